/* A keyed read of an index: does the index hold all that its filter needs? */
#include "expr/partiql/partiql_int.h"

struct names {
	struct slice *items;
	uint32_t *hashes;
	size_t count, room;
};

/* As Java hashes strings: over UTF-16 units. */
static uint32_t
java_hash(struct slice text)
{
	uint32_t hash = 0;

	for (size_t i = 0; i < text.len;) {
		unsigned char c = (unsigned char)text.data[i];
		unsigned more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;
		uint32_t point = more == 3 ? c & 7u : more == 2 ? c & 15u : more == 1 ? c & 31u : c;

		for (i++; more > 0 && i < text.len; more--, i++)
			point = point << 6 | ((unsigned char)text.data[i] & 63u);
		if (point >= 0x10000) {
			hash = 31 * hash + (0xD800 + ((point - 0x10000) >> 10));
			point = 0xDC00 + ((point - 0x10000) & 0x3FF);
		}
		hash = 31 * hash + point;
	}
	return hash ^ hash >> 16;
}

static void
add_name(struct names *n, struct slice name, struct arena *arena)
{
	for (size_t i = 0; i < n->count; i++)
		if (slice_eq(n->items[i], name))
			return;
	if (n->count == n->room) {
		struct slice *items;
		uint32_t *hashes;

		n->room = n->room > 0 ? 2 * n->room : 16;
		items = arena_alloc(arena, n->room * sizeof *items);
		hashes = arena_alloc(arena, n->room * sizeof *hashes);
		if (n->count > 0) {
			memcpy(items, n->items, n->count * sizeof *items);
			memcpy(hashes, n->hashes, n->count * sizeof *hashes);
		}
		n->items = items;
		n->hashes = hashes;
	}
	n->items[n->count] = name;
	n->hashes[n->count++] = java_hash(name);
}

struct search {
	const struct expr *e;
	bool (*projected)(void *context, struct slice name);
	void *context;
	struct arena *arena;
	struct names names;
};

static void
search_names(struct search *s, uint32_t node)
{
	const struct node *n = expr_node(s->e, node);

	if (n->op == EXPR_PATH) {
		if (!s->projected(s->context, expr_path_head(s->e, n)))
			add_name(&s->names, expr_path_head(s->e, n), s->arena);
	} else if (n->op != EXPR_VALUE) {
		for (uint32_t i = 0; i < n->count; i++)
			search_names(s, s->e->links[n->first + i]);
	}
}

/* The order of a Java set: by bucket, then as they came. Clients match on the message. */
static void
order_names(struct names *n, struct arena *arena, struct slice **ret)
{
	size_t buckets = 16, count = 0;

	while (n->count * 4 > buckets * 3)
		buckets *= 2;
	*ret = arena_alloc(arena, n->count * sizeof **ret);
	for (size_t bucket = 0; bucket < buckets && count < n->count; bucket++)
		for (size_t i = 0; i < n->count; i++)
			if ((n->hashes[i] & (buckets - 1)) == bucket)
				(*ret)[count++] = n->items[i];
}

void
partiql_plan_unprojected(const struct partiql_plan *plan, bool (*projected)(void *context, struct slice name),
			 void *context, struct arena *arena, struct slice **ret, size_t *ret_count)
{
	struct search s = {.projected = projected, .context = context, .arena = arena};

	*ret_count = 0;
	for (size_t i = 0; i < plan->read_count; i++) {
		s.e = plan->reads[i].filter;
		s.names.count = 0;
		if (s.e != NULL)
			search_names(&s, s.e->root);
		if (s.names.count == 0)
			return; /* one read that can do is enough for the service */
	}
	*ret_count = s.names.count;
	order_names(&s.names, arena, ret);
}
