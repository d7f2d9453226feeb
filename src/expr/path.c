/* Document paths: order, look-up, and the plan of a projection or an update. */
#include "expr/expr_int.h"

#include <stdlib.h>

int
path_elem_cmp(const struct path_elem *a, const struct path_elem *b)
{
	if (a->name.data == NULL || b->name.data == NULL) {
		if (a->name.data != b->name.data && (a->name.data != NULL || b->name.data != NULL))
			return a->name.data == NULL ? -1 : 1;
		return a->index < b->index ? -1 : a->index > b->index;
	}
	if (a->name.data == b->name.data && a->name.len == b->name.len)
		return 0;
	return name_cmp(a->name, b->name);
}

struct av
path_find(struct av v, const struct path_elem *elems, uint32_t len)
{
	for (uint32_t i = 0; i < len && av_exists(v); i++)
		v = elems[i].name.data != NULL ? av_get(v, elems[i].name) : av_at(v, elems[i].index);
	return v;
}

static int
path_ref_cmp(const void *one, const void *two)
{
	const struct path_ref *a = one, *b = two;

	for (uint32_t i = 0; i < a->len && i < b->len; i++) {
		int order = path_elem_cmp(&a->elems[i], &b->elems[i]);

		if (order != 0)
			return order;
	}
	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

void
expr_sort_paths(struct expr *e, struct arena *arena)
{
	const struct node *root = expr_node(e, e->root);
	bool sorted = true;

	e->path_count = root->count;
	e->paths = arena_alloc(arena, root->count * sizeof *e->paths);
	for (uint32_t i = 0; i < root->count; i++) {
		const struct node *n = expr_child(e, root, i);

		if (n->op != EXPR_PATH)
			n = expr_child(e, n, 0); /* an action's */
		e->paths[i] = (struct path_ref){&e->elems[n->first], n->count, i};
		sorted = sorted && (i == 0 || path_ref_cmp(&e->paths[i - 1], &e->paths[i]) < 0);
	}
	if (!sorted)
		qsort(e->paths, e->path_count, sizeof *e->paths, path_ref_cmp);
}

void
expr_collect_attrs(struct expr *e, struct arena *arena)
{
	e->attrs = arena_alloc(arena, e->path_count * sizeof *e->attrs);
	for (uint32_t i = 0; i < e->path_count; i++) {
		struct slice name = e->paths[i].elems[0].name;

		if (e->attr_count == 0 || !slice_eq(e->attrs[e->attr_count - 1], name))
			e->attrs[e->attr_count++] = name;
	}
}

const struct slice *
expr_projected_attrs(const struct expr *e, size_t *ret_count)
{
	*ret_count = e->attr_count;
	return e->attrs;
}

/* Is there a path that begins with the name and has at least this many elements? */
static bool
any_path(const struct expr *e, struct slice name, uint32_t elems_min)
{
	for (uint32_t i = 0; i < e->node_count; i++)
		if (e->nodes[i].op == EXPR_PATH && e->nodes[i].count >= elems_min &&
		    slice_eq(expr_path_head(e, &e->nodes[i]), name))
			return true;
	return false;
}

bool
expr_uses_attr(const struct expr *e, struct slice name)
{
	return any_path(e, name, 1);
}

bool
expr_has_nested(const struct expr *e)
{
	for (uint32_t i = 0; i < e->node_count; i++)
		if (e->nodes[i].op == EXPR_PATH && e->nodes[i].count > 1)
			return true;
	return false;
}

bool
expr_uses_nested(const struct expr *e, struct slice name)
{
	return any_path(e, name, 2);
}
