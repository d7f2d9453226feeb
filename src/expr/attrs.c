/* Which top-level attributes an expression speaks of. */
#include "expr/expr_int.h"

struct slice *
expr_attrs(const struct expr *e, struct arena *arena, size_t *ret_count)
{
	struct slice *names = arena_alloc(arena, e->node_count * sizeof *names);
	size_t count = 0;

	for (uint32_t i = 0; i < e->node_count; i++)
		if (e->nodes[i].op == EXPR_PATH)
			names[count++] = expr_path_head(e, &e->nodes[i]);
	*ret_count = count;
	return names;
}
