/* Search conditions: a condition's tree as a list of equalities. */
#include "expr/expr_int.h"

struct search {
	const struct expr *e;
	struct expr_equal *equals;
	size_t count;
	struct err *err;
};

static enum status
fail(struct search *s, const char *what)
{
	return err_set(s->err, S_VALIDATION, "%s", what);
}

static enum status
add_equal(struct search *s, const struct node *n)
{
	const struct node *left = expr_child(s->e, n, 0), *right = expr_child(s->e, n, 1);
	const struct node *path = left->op == EXPR_PATH ? left : right, *value = path == left ? right : left;
	struct expr_equal *equal = &s->equals[s->count];

	if (left->op == EXPR_SIZE || right->op == EXPR_SIZE)
		return fail(s, "SearchConditionExpression cannot contain nested operations");
	if (path->op != EXPR_PATH)
		return fail(s, "Invalid condition in SearchConditionExpression: No key attribute specified");
	if (value->op == EXPR_PATH)
		return fail(s, "Invalid condition in SearchConditionExpression: Multiple attribute names used in one "
			       "condition");
	if (path->count > 1)
		return fail(s, "SearchConditionExpression cannot have conditions on nested attributes");
	*equal = (struct expr_equal){expr_path_head(s->e, path), s->e->values[value->first]};
	for (size_t i = 0; i < s->count; i++)
		if (slice_eq(s->equals[i].name, equal->name))
			return fail(s, "SearchConditionExpression must only contain one condition per attribute");
	s->count++;
	return S_OK;
}

static enum status
collect(struct search *s, const struct node *n)
{
	enum status status = S_OK;

	switch (n->op) {
	case EXPR_AND:
		for (uint32_t i = 0; i < n->count && status == S_OK; i++)
			status = collect(s, expr_child(s->e, n, i));
		return status;
	case EXPR_EQ:
		return add_equal(s, n);
	case EXPR_NE:
	case EXPR_LT:
	case EXPR_LE:
	case EXPR_GT:
	case EXPR_GE:
		return expr_fail(EXPR_SEARCH, s->err, "Invalid comparator used in SearchConditionExpression");
	default:
		return expr_fail(EXPR_SEARCH, s->err, "Invalid operator used in SearchConditionExpression");
	}
}

enum status
expr_search_equals(const struct expr *e, struct arena *arena, struct expr_equal **ret, size_t *ret_count,
		   struct err *err)
{
	/* each equality has an operator and an operand at least */
	struct search s = {.e = e, .equals = ARENA_ARRAY(arena, struct expr_equal, e->node_count / 2 + 1), .err = err};
	enum status status = collect(&s, expr_node(e, e->root));

	*ret = s.equals;
	*ret_count = s.count;
	return status;
}
