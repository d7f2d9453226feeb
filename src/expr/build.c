/* Bound expressions made by code: the arrays of struct expr, grown in the arena. */
#include "expr/expr_int.h"

#include <stdlib.h>

#define MERGE_FROM 8  /* attributes from which a merge with the item beats looking for each */
#define SORT_FROM  16 /* operands from which halving beats looking at each */

struct array {
	char *items;
	size_t count, room;
};

struct expr_builder {
	struct expr *e;
	struct arena *arena;
	struct array nodes, links, elems, values;
};

/* Room for `more` items of `size` bytes behind those there are; old room is left to the arena. */
static void *
extend(struct expr_builder *b, struct array *a, size_t size, size_t more)
{
	void *end;

	if (a->items == NULL || a->count + more > a->room) {
		size_t room = a->room == 0 ? 16 : a->room * 2;
		char *items;

		while (room < a->count + more)
			room *= 2;
		items = arena_alloc(b->arena, room * size);
		if (a->count > 0)
			memcpy(items, a->items, a->count * size);
		a->items = items;
		a->room = room;
	}
	end = a->items + a->count * size;
	a->count += more;
	return end;
}

struct expr_builder *
expr_build_new(enum expr_kind kind, struct arena *arena)
{
	struct expr_builder *b = ARENA_NEW(arena, struct expr_builder);

	b->arena = arena;
	b->e = ARENA_NEW(arena, struct expr);
	b->e->kind = kind;
	return b;
}

static uint32_t
add_node(struct expr_builder *b, enum expr_op op, size_t first, size_t count)
{
	struct node *n = extend(b, &b->nodes, sizeof *n, 1);

	*n = (struct node){(uint8_t)op, 0, (uint32_t)first, (uint32_t)count};
	return (uint32_t)(b->nodes.count - 1);
}

uint32_t
expr_build_path(struct expr_builder *b, const struct path_elem *elems, uint32_t count)
{
	memcpy(extend(b, &b->elems, sizeof *elems, count), elems, count * sizeof *elems);
	return add_node(b, EXPR_PATH, b->elems.count - count, count);
}

uint32_t
expr_build_attr(struct expr_builder *b, struct slice name)
{
	struct path_elem elem = {name.data != NULL ? name : SLICE(""), 0};

	return expr_build_path(b, &elem, 1);
}

uint32_t
expr_build_value(struct expr_builder *b, struct av value)
{
	struct av *v = extend(b, &b->values, sizeof *v, 1);

	*v = value;
	return add_node(b, EXPR_VALUE, b->values.count - 1, 0);
}

/* Looked up by halves then; unless something else than values stands there, or values of another node between them. */
static void
sort_values(struct expr_builder *b, uint32_t node)
{
	struct node *nodes = (struct node *)b->nodes.items, *n = &nodes[node];
	const uint32_t *children = (const uint32_t *)b->links.items + n->first;
	uint32_t first = nodes[children[1]].first;

	for (uint32_t i = 1; i < n->count; i++)
		if (nodes[children[i]].op != EXPR_VALUE || nodes[children[i]].first != first + i - 1)
			return;
	qsort((struct av *)b->values.items + first, n->count - 1, sizeof(struct av), value_cmp);
	n->flags |= NODE_SORTED;
}

uint32_t
expr_build_node(struct expr_builder *b, enum expr_op op, const uint32_t *children, size_t count)
{
	uint32_t *links = extend(b, &b->links, sizeof *links, count);
	uint32_t node;

	if (count > 0)
		memcpy(links, children, count * sizeof *links);
	node = add_node(b, op, b->links.count - count, count);
	if (op == EXPR_IN && count > SORT_FROM)
		sort_values(b, node);
	return node;
}

static void
finish(struct expr_builder *b, struct expr *e, uint32_t root)
{
	e->root = root;
	e->nodes = (const struct node *)b->nodes.items;
	e->node_count = (uint32_t)b->nodes.count;
	e->links = (const uint32_t *)b->links.items;
	e->elems = (const struct path_elem *)b->elems.items;
	e->elem_count = (uint32_t)b->elems.count;
	e->values = (const struct av *)b->values.items;
	if (e->kind == EXPR_UPDATE || e->kind == EXPR_PROJECTION)
		expr_sort_paths(e, b->arena);
	if (e->kind == EXPR_PROJECTION)
		expr_collect_attrs(e, b->arena);
	if (e->kind == EXPR_KEY_CONDITION)
		key_condition_compile(e, b->arena);
}

struct expr *
expr_build_view(struct expr_builder *b, uint32_t root)
{
	struct expr *e = ARENA_NEW(b->arena, struct expr);

	e->kind = b->e->kind;
	finish(b, e, root);
	return e;
}

struct expr *
expr_build_done(struct expr_builder *b, uint32_t root)
{
	struct expr *e = b->e;

	e->built = true;
	finish(b, e, root);
	if ((e->kind == EXPR_CONDITION || e->kind == EXPR_FILTER) && e->elem_count > MERGE_FROM)
		condition_sort_attrs(e, b->arena);
	return e;
}
