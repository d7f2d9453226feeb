/* What names one item: WHERE of a write, of EXISTS, and of a SELECT in a batch or transaction. */
#include "expr/partiql/partiql_int.h"

/* ---- key attributes ---- */

bool
pq_is_key_type(struct av v)
{
	enum av_type type = av_type(v);

	return type == AV_S || type == AV_N || type == AV_B;
}

enum status
pq_check_key_value(const struct key_attr *attr, struct av v, struct err *err)
{
	if (!pq_is_key_type(v))
		return err_set(err, S_VALIDATION, "Key value must be of type S, N, or B. Key name: %.*s, Key type: %s",
			       SLICE_ARG(attr->name), av_type_name(av_type(v)));
	if (av_type(v) != attr->type)
		return err_set(err, S_VALIDATION,
			       "Key attribute's data type should match its data type in table's schema: Key %.*s",
			       SLICE_ARG(attr->name));
	return S_OK;
}

enum status
pq_check_nested_keys(const struct partiql_where *where, const struct key_schema *schema, struct err *err)
{
	const struct key_attr *attrs[] = {pq_partition_attr(schema), pq_sort_attr(schema)};

	for (size_t i = 0; i < 2; i++)
		if (attrs[i] != NULL && expr_uses_nested(where->expr, attrs[i]->name))
			return err_set(err, S_VALIDATION,
				       "Key attributes must be scalars; list random access '[]' and map lookup '.' are "
				       "not allowed: Key %.*s",
				       SLICE_ARG(attrs[i]->name));
	return S_OK;
}

struct av
pq_item_key(const struct key_schema *schema, struct av partition, struct av sort, struct arena *arena)
{
	struct buf out = {0};
	size_t mark = av_open(&out, TAG_M);
	struct av key;

	av_put_name(&out, schema->partition[0].name);
	av_put_value(&out, partition);
	if (schema->sort_count > 0) {
		av_put_name(&out, schema->sort[0].name);
		av_put_value(&out, sort);
	}
	(void)av_close_map(&out, mark, 1u + schema->sort_count, NULL); /* two names of one schema */
	key = av_of_buf(arena, &out, 0);
	buf_done(&out);
	return key;
}

/* ---- one item ---- */

/* The conditions that must all hold, one after the other. */
static const struct pq_cond *
first_of(const struct partiql_where *w)
{
	return w->root->op == EXPR_AND ? w->root->first : w->root;
}

static const struct pq_cond *
next_of(const struct partiql_where *w, const struct pq_cond *c)
{
	return w->root->op == EXPR_AND ? c->next : NULL;
}

/* Which key attribute a condition sets equal to a constant: 0, 1; -1: none. */
static int
equality(const struct key_schema *schema, const struct pq_cond *c, bool in)
{
	if (c->op != EXPR_EQ && !(in && c->op == EXPR_IN && c->value_count == 1))
		return -1;
	if (pq_is_attr(pq_partition_attr(schema), c->attr))
		return 0;
	return pq_is_attr(pq_sort_attr(schema), c->attr) ? 1 : -1;
}

struct av
partiql_only_key(const struct partiql_statement *s, const struct key_schema *schema, struct arena *arena)
{
	struct av values[2] = {AV_NONE, AV_NONE};

	if (s->where == NULL || s->index.data != NULL)
		return AV_NONE;
	for (const struct pq_cond *c = first_of(s->where); c != NULL; c = next_of(s->where, c)) {
		int which = equality(schema, c, true);

		if (which < 0 || (av_exists(values[which]) && !av_equal(values[which], c->values[0])))
			return AV_NONE;
		values[which] = c->values[0];
	}
	if (!av_exists(values[0]) || (schema->sort_count > 0 && !av_exists(values[1])))
		return AV_NONE;
	return pq_item_key(schema, values[0], values[1], arena);
}

static enum status
fail_several(const struct pq_cond *c, struct err *err)
{
	return err_set(err, S_VALIDATION,
		       "Multiple conditions on same key %.*s. Only single item Update/Insert/Delete are supported",
		       SLICE_ARG(c->attr));
}

/* Of an UPDATE the item must be there, of a DELETE it need not. */
static const struct expr *
write_condition(const struct partiql_statement *s, const struct key_schema *schema, const uint32_t *rest,
		uint32_t count)
{
	struct expr_builder *b = s->where->builder;
	uint32_t both[2], attr, root = NO_NODE;

	if (count > 0)
		root = count == 1 ? rest[0] : expr_build_node(b, EXPR_AND, rest, count);
	if (s->kind == PARTIQL_UPDATE || (s->kind == PARTIQL_DELETE && count > 0)) {
		bool update = s->kind == PARTIQL_UPDATE;

		attr = expr_build_attr(b, schema->partition[0].name);
		both[0] = expr_build_node(b, update ? EXPR_ATTRIBUTE_EXISTS : EXPR_ATTRIBUTE_NOT_EXISTS, &attr, 1);
		both[1] = root;
		root = count > 0 ? expr_build_node(b, update ? EXPR_AND : EXPR_OR, both, 2) : both[0];
	}
	return root != NO_NODE ? expr_build_view(b, root) : NULL;
}

enum status
partiql_write_key(const struct partiql_statement *s, const struct key_schema *schema, struct arena *arena,
		  struct av *ret_key, const struct expr **ret_condition, struct err *err)
{
	struct av values[2] = {AV_NONE, AV_NONE};
	const struct key_attr *attrs[] = {pq_partition_attr(schema), pq_sort_attr(schema)};
	uint32_t *rest, count = 0;
	enum status status = S_OK;

	if (s->where == NULL)
		goto missing;
	status = pq_check_nested_keys(s->where, schema, err);
	rest = arena_alloc(arena, (s->where->root->count + 1) * sizeof *rest);
	for (const struct pq_cond *c = first_of(s->where); c != NULL && status == S_OK; c = next_of(s->where, c)) {
		int which = equality(schema, c, false);

		if (which >= 0 && !av_exists(values[which]))
			values[which] = c->values[0];
		else if (which < 0 || (s->kind == PARTIQL_EXISTS && !av_equal(values[which], c->values[0])))
			rest[count++] = c->node;
		else if (!av_equal(values[which], c->values[0]))
			status = fail_several(c, err);
	}
	if (status == S_OK && (!av_exists(values[0]) || (attrs[1] != NULL && !av_exists(values[1]))))
		goto missing;
	for (size_t i = 0; i < 2 && status == S_OK && attrs[i] != NULL; i++)
		status = pq_check_key_value(attrs[i], values[i], err);
	if (status != S_OK)
		return status;
	*ret_key = pq_item_key(schema, values[0], values[1], arena);
	*ret_condition = write_condition(s, schema, rest, count);
	return S_OK;
missing:
	return err_set(err, S_VALIDATION, "Where clause does not contain a mandatory equality on all key attributes");
}

const struct expr *
partiql_insert_condition(const struct key_schema *schema, struct arena *arena)
{
	struct expr_builder *b = expr_build_new(EXPR_CONDITION, arena);
	uint32_t attr = expr_build_attr(b, schema->partition[0].name);

	return expr_build_view(b, expr_build_node(b, EXPR_ATTRIBUTE_NOT_EXISTS, &attr, 1));
}
