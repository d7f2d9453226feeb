/*
 * Key conditions: a condition's tree reduced to one operator for each attribute. What DynamoDB does not allow in them
 * is found while binding, but told later (expr_key_check()), because DynamoDB tells it later.
 */
#include "expr/expr_int.h"

#include <stdio.h>

struct compiler {
	struct expr *e;
	struct arena *arena;
};

static bool
fail(struct compiler *c, const char *format, const char *what)
{
	c->e->key_failure = arena_printf(c->arena, format, what).data;
	return false;
}

static bool
fail_operator(struct compiler *c, const struct node *n)
{
	return fail(c, "Invalid operator used in KeyConditionExpression: %s", expr_op_names[n->op]);
}

/* Of those made by code any operator may come this far: their own words need the schema. */
static bool
is_indexable(enum expr_op op)
{
	return op == EXPR_EQ || op == EXPR_LT || op == EXPR_LE || op == EXPR_GT || op == EXPR_GE ||
	       op == EXPR_BETWEEN || op == EXPR_BEGINS_WITH;
}

static bool
check_operator(struct compiler *c, const struct node *n)
{
	if (c->e->built)
		return true;
	switch (n->op) {
	case EXPR_OR:
	case EXPR_NOT:
	case EXPR_IN:
	case EXPR_NE:
	case EXPR_ATTRIBUTE_EXISTS:
	case EXPR_ATTRIBUTE_NOT_EXISTS:
	case EXPR_ATTRIBUTE_TYPE:
	case EXPR_CONTAINS:
		return fail_operator(c, n);
	case EXPR_BETWEEN:
	case EXPR_BEGINS_WITH:
		if (expr_child(c->e, n, 0)->op != EXPR_VALUE)
			return true;
		return fail(c,
			    "Invalid condition in KeyConditionExpression: %s operator must have the key attribute as "
			    "its first operand",
			    expr_op_names[n->op]);
	default:
		return true;
	}
}

/* The one attribute of a comparison: its place among the operands in *ret. */
static bool
find_attr(struct compiler *c, const struct node *n, uint32_t *ret)
{
	bool found = false;

	for (uint32_t i = 0; i < n->count; i++) {
		const struct node *operand = expr_child(c->e, n, i);

		if (operand->op == EXPR_SIZE)
			return fail(c, "KeyConditionExpressions cannot contain nested operations", NULL);
		if (operand->op != EXPR_PATH)
			continue;
		if (found)
			return fail(c,
				    "Invalid condition in KeyConditionExpression: Multiple attribute names used in one "
				    "condition",
				    NULL);
		if (operand->count > 1)
			return fail(c, "KeyConditionExpressions cannot have conditions on nested attributes", NULL);
		found = true;
		*ret = i;
	}
	return found || fail(c, "Invalid condition in KeyConditionExpression: No key attribute specified", NULL);
}

static enum key_op
key_op_of(enum expr_op op, bool mirrored)
{
	switch (op) {
	case EXPR_LT:
		return mirrored ? KEY_GT : KEY_LT;
	case EXPR_LE:
		return mirrored ? KEY_GE : KEY_LE;
	case EXPR_GT:
		return mirrored ? KEY_LT : KEY_GT;
	case EXPR_GE:
		return mirrored ? KEY_LE : KEY_GE;
	case EXPR_BETWEEN:
		return KEY_BETWEEN;
	case EXPR_BEGINS_WITH:
		return KEY_BEGINS_WITH;
	default:
		return KEY_EQ;
	}
}

static bool
compile_one(struct compiler *c, const struct node *n)
{
	struct expr *e = c->e;
	struct key_condition *k = &e->conditions[e->condition_count];
	uint32_t attr = 0;

	if (!find_attr(c, n, &attr))
		return false;
	k->name = expr_path_head(e, expr_child(e, n, attr));
	for (uint32_t i = 0; i < e->condition_count; i++)
		if (slice_eq(e->conditions[i].name, k->name))
			return fail(c,
				    "Invalid KeyConditionExpression: KeyConditionExpressions must only contain one "
				    "condition per key",
				    NULL);
	k->op = key_op_of((enum expr_op)n->op, attr == 1);
	k->not_indexable = !is_indexable((enum expr_op)n->op);
	k->low = n->count > 1 ? e->values[expr_child(e, n, attr == 0 ? 1 : 0)->first] : AV_NONE;
	k->high = n->op == EXPR_BETWEEN ? e->values[expr_child(e, n, 2)->first] : AV_NONE;
	e->condition_count++;
	return true;
}

static bool
compile(struct compiler *c, const struct node *n)
{
	if (!check_operator(c, n))
		return false;
	if (n->op != EXPR_AND)
		return compile_one(c, n);
	for (uint32_t i = 0; i < n->count; i++)
		if (!compile(c, expr_child(c->e, n, i)))
			return false;
	return true;
}

void
key_condition_compile(struct expr *e, struct arena *arena)
{
	struct compiler c = {e, arena};

	/* each comparison has an operator and an operand at least */
	e->conditions = ARENA_ARRAY(arena, struct key_condition, e->node_count / 2 + 1);
	compile(&c, expr_node(e, e->root));
}

enum status
expr_key_check(const struct expr *e, struct err *err)
{
	return e->key_failure != NULL ? err_set(err, S_VALIDATION, "%s", e->key_failure) : S_OK;
}

/* ---- against a schema ---- */

static const struct key_condition *
condition_on(const struct expr *e, struct slice name)
{
	for (uint32_t i = 0; i < e->condition_count; i++)
		if (slice_eq(e->conditions[i].name, name))
			return &e->conditions[i];
	return NULL;
}

static enum status
fail_missed(const struct key_attr *attr, struct err *err)
{
	return err_set(err, S_VALIDATION, "Query condition missed key schema element: %.*s", SLICE_ARG(attr->name));
}

static enum status
fail_unsupported(struct err *err)
{
	return err_set(err, S_VALIDATION, "Query key condition not supported");
}

static enum status
check_operands(const struct key_condition *k, const struct key_attr *attr, struct err *err)
{
	if (k->not_indexable)
		return err_set(err, S_VALIDATION, "Attempted conditional constraint is not an indexable operation");
	if (av_type(k->low) != attr->type || (av_exists(k->high) && av_type(k->high) != attr->type))
		return err_set(
		    err, S_VALIDATION,
		    "One or more parameter values were invalid: Condition parameter type does not match schema type");
	return S_OK;
}

static enum status
check_not_empty(const struct key_condition *k, const struct key_attr *attr, struct err *err)
{
	if (attr->type == AV_N || av_bytes(k->low).len > 0)
		return S_OK;
	return err_set(
	    err, S_VALIDATION,
	    "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
	    "empty %s value. Key: %.*s",
	    attr->type == AV_S ? "string" : "binary", SLICE_ARG(attr->name));
}

static enum status
tie_partition(const struct expr *e, const struct key_schema *schema, struct key_range *ret, uint32_t *ret_used,
	      struct err *err)
{
	for (uint8_t i = 0; i < schema->partition_count; i++) {
		const struct key_attr *attr = &schema->partition[i];
		const struct key_condition *k = condition_on(e, attr->name);
		enum status s;

		if (k == NULL)
			return fail_missed(attr, err);
		s = check_operands(k, attr, err);
		if (s == S_OK && k->op != KEY_EQ)
			s = fail_unsupported(err);
		if (s == S_OK)
			s = check_not_empty(k, attr, err);
		if (s != S_OK)
			return s;
		ret->partition[i] = k->low;
		++*ret_used;
	}
	return S_OK;
}

/*
 * Several sort attributes: those before the last one that has a condition must be tied by equality. An engine's range
 * is one run of keys only then.
 */
static enum status
check_prefix(const struct expr *e, const struct key_schema *schema, struct err *err)
{
	char names[KEY_ATTRS_MAX * (KEY_ATTR_NAME_MAX + 2) + 1] = "";
	size_t len = 0;
	uint8_t last = 0;

	for (uint8_t i = 0; i < schema->sort_count; i++)
		if (condition_on(e, schema->sort[i].name) != NULL)
			last = i;
	for (uint8_t i = 0; i < last; i++) {
		const struct key_condition *k = condition_on(e, schema->sort[i].name);

		if (k != NULL && k->op == KEY_EQ)
			continue;
		len += (size_t)snprintf(names + len, sizeof names - len, "%s%.*s", len > 0 ? ", " : "",
					SLICE_ARG(schema->sort[i].name));
		if (len >= sizeof names)
			break; /* names longer than a key attribute's may be: cut */
	}
	if (len == 0)
		return S_OK;
	return err_set(
	    err, S_VALIDATION,
	    "RANGE key attributes %s must have equality conditions specified in the query because a condition is "
	    "present on key attribute %.*s",
	    names, SLICE_ARG(schema->sort[last].name));
}

static enum status
tie_sort(const struct expr *e, const struct key_schema *schema, struct key_range *ret, uint32_t *used, struct err *err)
{
	enum status s = check_prefix(e, schema, err);

	for (uint8_t i = 0; i < schema->sort_count && s == S_OK; i++) {
		const struct key_attr *attr = &schema->sort[i];
		const struct key_condition *k = condition_on(e, attr->name);

		if (k == NULL)
			return *used < e->condition_count ? fail_missed(attr, err) : S_OK;
		s = check_operands(k, attr, err);
		++*used;
		if (k->op == KEY_EQ && i + 1 < schema->sort_count) {
			ret->sort_equal[ret->sort_equal_count++] = k->low;
			continue;
		}
		ret->op = k->op;
		ret->low = k->low;
		ret->high = k->high;
		if (k->op != KEY_EQ)
			break; /* check_prefix(): nothing is tied behind a range */
	}
	return s;
}

/* How many conditions there are, and those on the partition attributes. */
static enum status
begin_range(const struct expr *e, const struct key_schema *schema, struct key_range *ret, uint32_t *used,
	    struct err *err)
{
	uint32_t attrs = (uint32_t)schema->partition_count + schema->sort_count;
	enum status s = expr_key_check(e, err);

	*ret = (struct key_range){0};
	if (s != S_OK)
		return s;
	if (attrs == 1 && e->condition_count > 1)
		return fail_unsupported(err);
	if (e->condition_count > attrs)
		return err_set(err, S_VALIDATION,
			       "The number of query conditions (%u) exceeds the number of key attributes defined in "
			       "the schema (%u)",
			       e->condition_count, attrs);
	return tie_partition(e, schema, ret, used, err);
}

enum status
expr_key_range_partition(const struct expr *e, const struct key_schema *schema, struct err *err)
{
	struct key_range range;
	uint32_t used = 0;

	return begin_range(e, schema, &range, &used, err);
}

enum status
expr_key_range(const struct expr *e, const struct key_schema *schema, struct key_range *ret, struct err *err)
{
	uint32_t used = 0;
	enum status s = begin_range(e, schema, ret, &used, err);

	if (s == S_OK)
		s = tie_sort(e, schema, ret, &used, err);
	if (s == S_OK && used < e->condition_count)
		s = fail_unsupported(err);
	return s;
}
