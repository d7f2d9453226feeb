/*
 * What PartiQL statements need: PartiQLSelect, PartiQLInsert, PartiQLUpdate, PartiQLDelete on their table or index.
 *
 * A statement that is not well formed, or not with its parameters, needs nothing: what makes it so depends on nothing
 * else, so the operation is going to refuse it in its own words.
 */
#include "api/auth_int.h"
#include "api/partiql.h"

struct facts {
	struct auth_list attributes;
	struct auth_leading leading;
	bool scans, unknown;
};

static void
add_key_names(struct auth *a, struct auth_list *list, const struct key_schema *schema)
{
	auth_list_add(a, list, schema->partition[0].name);
	if (schema->sort_count > 0)
		auth_list_add(a, list, schema->sort[0].name);
}

static void
read_facts(struct auth *a, const struct partiql_statement *s, const struct key_schema *schema, struct facts *f)
{
	struct partiql_plan plan;

	auth_list_add_expr(a, &f->attributes, s->projection);
	for (size_t i = 0; i < s->order_count; i++)
		auth_list_add(a, &f->attributes, s->order[i].attr);
	if (partiql_plan(s, schema, true, a->call->arena, &plan, a->scratch) != S_OK) {
		f->unknown = true;
		return;
	}
	f->scans = !plan.keyed;
	if (f->scans) {
		auth_list_add_expr(a, &f->attributes, plan.filter);
		return;
	}
	add_key_names(a, &f->attributes, schema);
	for (size_t i = 0; i < plan.read_count; i++) {
		auth_leading_add_range(a, &f->leading, schema, &plan.reads[i].range);
		auth_list_add_expr(a, &f->attributes, plan.reads[i].filter);
	}
}

static void
write_facts(struct auth *a, const struct partiql_statement *s, const struct key_schema *schema, struct facts *f)
{
	const struct expr *condition = NULL;
	struct av_iter it;
	struct av key;

	if (s->kind == PARTIQL_INSERT) {
		for (it = av_iter(s->item); av_next(&it);)
			auth_list_add(a, &f->attributes, it.name);
		auth_leading_add_key(a, &f->leading, schema, s->item);
		return;
	}
	if (partiql_write_key(s, schema, a->call->arena, &key, &condition, a->scratch) != S_OK) {
		f->unknown = true;
		return;
	}
	add_key_names(a, &f->attributes, schema);
	auth_leading_add_key(a, &f->leading, schema, key);
	auth_list_add_expr(a, &f->attributes, condition);
	auth_list_add_expr(a, &f->attributes, s->update);
}

/* The service's names for what RETURNING gives back. */
static struct slice
returned(enum partiql_returning returning)
{
	static const struct slice names[] = {
	    [PARTIQL_RETURNING_NONE] = {"NONE", 4},       [PARTIQL_ALL_OLD] = {"ALL_OLD", 7},
	    [PARTIQL_ALL_NEW] = {"ALL_NEW", 7},           [PARTIQL_MODIFIED_OLD] = {"UPDATED_OLD", 11},
	    [PARTIQL_MODIFIED_NEW] = {"UPDATED_NEW", 11},
	};

	return names[returning];
}

static void
set_answers(struct auth *a, const struct need *need, const struct partiql_statement *s, const struct facts *f)
{
	const struct in_enum *failure =
	    auth_member(need->shape, need->in, "ReturnValuesOnConditionCheckFailure", SHAPE_ENUM);
	struct slice *values = arena_alloc(a->call->arena, 2 * sizeof *values);
	uint32_t count = 1;

	if (s->kind == PARTIQL_SELECT) {
		auth_set(a, POLICY_KEY_SELECT,
			 s->columns != NULL    ? SLICE("SPECIFIC_ATTRIBUTES")
			 : need->index.len > 0 ? SLICE("ALL_PROJECTED_ATTRIBUTES")
					       : SLICE("ALL_ATTRIBUTES"));
		auth_set(a, POLICY_KEY_FULL_SCAN, f->scans ? SLICE("true") : SLICE("false"));
		if (f->unknown)
			auth_set_list(a, POLICY_KEY_FULL_SCAN, NULL, 0, true);
		return;
	}
	values[0] = returned(s->returning);
	if (failure != NULL && failure->text.data != NULL && !slice_eq(failure->text, SLICE("NONE")))
		values[count++] = failure->text;
	auth_set_list(a, POLICY_KEY_RETURN_VALUES, values, count, false);
}

static void
statement_facts(struct auth *a, const struct need *need)
{
	const struct partiql_statement *s = need->more;
	struct facts f = {0};
	struct key_schema schema;

	f.unknown = !auth_find_schema(a, need, &schema) || schema.partition_count > 1 || schema.sort_count > 1;
	if (!f.unknown && s->kind == PARTIQL_SELECT)
		read_facts(a, s, &schema, &f);
	else if (!f.unknown)
		write_facts(a, s, &schema, &f);
	f.leading.attr[0].unknown |= f.unknown;
	auth_set_leading(a, &f.leading);
	auth_set_list(a, POLICY_KEY_ATTRIBUTES, f.attributes.items, f.attributes.count,
		      f.attributes.unknown || f.unknown);
	set_answers(a, need, s, &f);
}

static enum status
check_statement(struct auth *a, const struct shape *shape, const void *in, const char *enclosing)
{
	static const char *const actions[] = {
	    [PARTIQL_SELECT] = "PartiQLSelect", [PARTIQL_INSERT] = "PartiQLInsert", [PARTIQL_UPDATE] = "PartiQLUpdate",
	    [PARTIQL_DELETE] = "PartiQLDelete", [PARTIQL_EXISTS] = "PartiQLSelect",
	};
	const struct slice *text = auth_member(shape, in, "Statement", SHAPE_STRING);
	const struct in_list *given = auth_member(shape, in, "Parameters", SHAPE_LIST);
	struct arena *arena = a->call->arena;
	struct partiql_statement *s = ARENA_NEW(arena, struct partiql_statement);
	struct need need = {.facts = statement_facts, .shape = shape, .in = in, .enclosing = enclosing, .more = s};
	struct partiql *parsed;
	struct av *params;

	if (text == NULL || given == NULL) { /* nothing that we know how to read: for those who may do everything */
		need = (struct need){.action = a->call->op->name, .resource = SLICE("*")};
		return auth_need(a, &need);
	}
	params = ARENA_ARRAY(arena, struct av, given->count);
	for (uint32_t i = 0; i < given->count; i++) {
		params[i] = ((const struct in_item *)given->items)[i].value;
		if (!av_exists(params[i]))
			return S_OK; /* a broken value: to be refused */
	}
	if (partiql_parse(*text, arena, &parsed, a->scratch) != S_OK ||
	    partiql_translate(parsed, params, given->count, arena, s, a->scratch) != S_OK)
		return S_OK;
	need.action = actions[s->kind];
	auth_need_table(a, &need, s->table, s->index);
	return auth_need(a, &need);
}

enum status
auth_statements(struct auth *a)
{
	const struct in_list *list = auth_member(a->shape, a->in, "TransactStatements", SHAPE_LIST);
	const struct shape *element = auth_element_of(a->shape, "TransactStatements");
	enum status s = S_OK;

	if (list == NULL || element == NULL)
		return check_statement(a, a->shape, a->in, NULL);
	for (uint32_t i = 0; i < list->count && s == S_OK; i++) {
		const void *one = ((void *const *)list->items)[i];

		if (one != NULL)
			s = check_statement(a, element, one, a->call->op->name);
	}
	return s;
}

enum status
auth_check_statement_slow(struct op_call *call, const void *statement, struct err *err)
{
	struct err scratch;
	struct auth a;

	auth_begin(&a, call, NULL, &scratch, err);
	return check_statement(&a, auth_element_of(call->op->shape, "Statements"), statement, NULL);
}
