/*
 * An item reduced to document paths. Paths ascend as an item's entries do, so each level is one merge of the two:
 * the cost is the item's entries plus the paths, however many there are of both.
 */
#include "expr/expr_int.h"

struct group {
	const struct path_ref *paths;
	uint32_t count;
	const struct path_elem *elem; /* what they have in common at this depth */
	bool ends;                    /* the path ends here: the whole value */
};

/* The paths from `first` on that go through the same element at this depth. */
static struct group
next_group(const struct path_ref *paths, uint32_t first, uint32_t count, uint32_t depth)
{
	struct group g = {&paths[first], 1, &paths[first].elems[depth], paths[first].len == depth + 1};

	while (!g.ends && first + g.count < count && path_elem_cmp(&paths[first + g.count].elems[depth], g.elem) == 0)
		g.count++;
	return g;
}

static bool project_below(struct buf *out, struct av v, const struct group *g, uint32_t depth);

/* Returns how many entries were put. */
static uint32_t
project_map(struct buf *out, struct av map, const struct path_ref *paths, uint32_t count, uint32_t depth)
{
	struct av_iter it = av_iter(map);
	bool more = av_next(&it);
	uint32_t put = 0;

	for (uint32_t i = 0; i < count && more;) {
		struct group g = next_group(paths, i, count, depth);
		size_t before = out->len;
		int order;

		while ((order = name_cmp(it.name, g.elem->name)) < 0 && (more = av_next(&it)))
			;
		i += g.count;
		if (!more || order != 0)
			continue;
		av_put_name(out, it.name);
		if (project_below(out, it.value, &g, depth))
			put++;
		else
			out->len = before;
	}
	return put;
}

static uint32_t
project_list(struct buf *out, struct av list, const struct path_ref *paths, uint32_t count, uint32_t depth)
{
	struct av_iter it = av_iter(list);
	uint32_t put = 0, at = 0;
	bool more = av_next(&it);

	for (uint32_t i = 0; i < count && more;) {
		struct group g = next_group(paths, i, count, depth);

		for (; more && at < g.elem->index; at++)
			more = av_next(&it);
		if (more && project_below(out, it.value, &g, depth))
			put++;
		i += g.count;
	}
	return put;
}

/* False when nothing of the value is on a path; out is then as it was. */
static bool
project_below(struct buf *out, struct av v, const struct group *g, uint32_t depth)
{
	const struct path_elem *below;
	size_t before = out->len, mark;
	uint32_t put;

	if (g->ends) {
		av_put_value(out, v);
		return true;
	}
	depth++;
	below = &g->paths[0].elems[depth];
	if (av_type(v) != (below->name.data != NULL ? AV_M : AV_L))
		return false;
	mark = av_open(out, below->name.data != NULL ? TAG_M : TAG_L);
	if (below->name.data != NULL) {
		put = project_map(out, v, g->paths, g->count, depth);
		av_close_map_sorted(out, mark, put);
	} else {
		put = project_list(out, v, g->paths, g->count, depth);
		av_close_list(out, mark, put);
	}
	if (put == 0)
		out->len = before;
	return put > 0;
}

void
paths_project(struct buf *out, struct av item, const struct path_ref *paths, uint32_t count)
{
	size_t mark = av_open(out, TAG_M);

	av_close_map_sorted(out, mark, av_exists(item) ? project_map(out, item, paths, count, 0) : 0);
}

struct av
expr_project(const struct expr *e, struct av item, struct arena *arena)
{
	struct buf *out = scratch_take();
	struct av projected;

	paths_project(out, item, e->paths, e->path_count);
	projected = av_of_buf(arena, out, 0);
	scratch_give(out);
	return projected;
}
