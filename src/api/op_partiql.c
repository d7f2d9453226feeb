/*
 * PartiQL statements: what the three operations do alike, and ExecuteStatement.
 *
 * expr/partiql.h makes of a statement what other operations take apart from JSON; from there on it goes their ways:
 * a write is a table_commit(), a SELECT is point reads and pages (partiql_select.c).
 */
#include "api/partiql.h"
#include "model/av_json.h"
#include "model/key.h"

/* ---- requests ---- */

#define STATEMENT(member, name, type, flags, ...) FIELD(struct statement_in, member, name, type, flags, __VA_ARGS__)

static const struct field parameter_element = ELEMENT("member", SHAPE_VALUE, FIELD_REQUIRED);
static const struct field execute_fields[] = {
    STATEMENT(text, "Statement", SHAPE_STRING, FIELD_REQUIRED, LIMITS(1, PARTIQL_TEXT_MAX)),
    STATEMENT(parameters, "Parameters", SHAPE_LIST, FIELD_MANY, .element = &parameter_element, LIMITS(1, INT32_MAX)),
    STATEMENT(consistent, "ConsistentRead", SHAPE_BOOL, 0),
    STATEMENT(next_token, "NextToken", SHAPE_STRING, 0, LIMITS(1, 32768)),
    STATEMENT(return_capacity, "ReturnConsumedCapacity", SHAPE_ENUM, 0, .values = values_capacity),
    STATEMENT(limit, "Limit", SHAPE_INT, 0, LIMITS(1, INT32_MAX)),
    STATEMENT(return_on_failure, "ReturnValuesOnConditionCheckFailure", SHAPE_ENUM, 0,
	      .values = values_return_on_failure),
    FIELD_END,
};
const struct shape shape_execute_statement = {"ExecuteStatementInput", sizeof(struct statement_in), execute_fields};

static const struct field batch_member_fields[] = {
    STATEMENT(text, "Statement", SHAPE_STRING, FIELD_REQUIRED, LIMITS(1, PARTIQL_TEXT_MAX)),
    STATEMENT(parameters, "Parameters", SHAPE_LIST, FIELD_MANY, .element = &parameter_element, LIMITS(1, INT32_MAX)),
    STATEMENT(consistent, "ConsistentRead", SHAPE_BOOL, 0),
    STATEMENT(return_on_failure, "ReturnValuesOnConditionCheckFailure", SHAPE_ENUM, 0,
	      .values = values_return_on_failure),
    FIELD_END,
};
static const struct shape shape_batch_member = {"BatchStatementRequest", sizeof(struct statement_in),
						batch_member_fields};
static const struct field batch_element = ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_batch_member);
static const struct field batch_fields[] = {
    FIELD(struct statements_in, statements, "Statements", SHAPE_LIST, FIELD_REQUIRED, .element = &batch_element,
	  LIMITS(1, STATEMENTS_BATCH_MAX)),
    FIELD(struct statements_in, return_capacity, "ReturnConsumedCapacity", SHAPE_ENUM, 0, .values = values_capacity),
    FIELD_END,
};
const struct shape shape_batch_execute = {"BatchExecuteStatementInput", sizeof(struct statements_in), batch_fields};

static const struct field transaction_member_fields[] = {
    STATEMENT(text, "Statement", SHAPE_STRING, FIELD_REQUIRED, LIMITS(1, PARTIQL_TEXT_MAX)),
    STATEMENT(parameters, "Parameters", SHAPE_LIST, FIELD_MANY, .element = &parameter_element, LIMITS(1, INT32_MAX)),
    STATEMENT(return_on_failure, "ReturnValuesOnConditionCheckFailure", SHAPE_ENUM, 0,
	      .values = values_return_on_failure),
    FIELD_END,
};
static const struct shape shape_transaction_member = {"ParameterizedStatement", sizeof(struct statement_in),
						      transaction_member_fields};
static const struct field transaction_element =
    ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_transaction_member);
static const struct field transaction_fields[] = {
    FIELD(struct statements_in, statements, "TransactStatements", SHAPE_LIST, FIELD_REQUIRED,
	  .element = &transaction_element, LIMITS(1, TRANSACT_ITEMS_MAX)),
    FIELD(struct statements_in, token, "ClientRequestToken", SHAPE_STRING, 0, LIMITS(1, 36)),
    FIELD(struct statements_in, return_capacity, "ReturnConsumedCapacity", SHAPE_ENUM, 0, .values = values_capacity),
    FIELD_END,
};
const struct shape shape_execute_transaction = {"ExecuteTransactionInput", sizeof(struct statements_in),
						transaction_fields};

/* ---- from text to what can run ---- */

enum status
statement_parameters(struct op_call *call, const struct statement_in *in, struct statement *ret, struct err *err)
{
	const struct in_item *given = in->parameters.items;
	uint32_t count = in->parameters.count;

	*ret = (struct statement){.in = in, .params = ARENA_ARRAY(call->arena, struct av, count), .param_count = count};
	for (uint32_t i = 0; i < count; i++) {
		enum status s = request_check_item(&given[i], err);

		if (s != S_OK)
			return s;
		ret->params[i] = given[i].value;
	}
	return S_OK;
}

enum status
statement_parse(struct op_call *call, const struct statement_in *in, struct statement *ret, struct err *err)
{
	enum status s = statement_parameters(call, in, ret, err);

	return s == S_OK ? partiql_parse(in->text, call->arena, &ret->parsed, err) : s;
}

static bool
has_several(const struct key_schema *schema)
{
	return schema->partition_count > 1 || schema->sort_count > 1;
}

/* Of keys with several attributes the service speaks before it understands the statement. */
static enum status
check_key_attrs(struct op_call *call, const struct statement *st, struct err *err)
{
	const struct table_index *index = NULL;
	struct slice name, index_name;
	struct table *table;
	struct err gone;
	bool several;

	partiql_source(st->parsed, &name, &index_name);
	if (name.data == NULL || table_find(call->db, name, &table, &gone) != S_OK)
		return S_OK;
	if (index_name.data != NULL)
		index = table_index_find(table, index_name);
	several = has_several(table_schema(table)) || (index != NULL && has_several(table_index_schema(index)));
	table_release(table);
	return several ? err_set(err, S_VALIDATION, MSG_SEVERAL_KEY_ATTRS) : S_OK;
}

enum status
statement_translate(struct op_call *call, struct statement *st, struct err *err)
{
	enum status s = check_key_attrs(call, st, err);

	return s == S_OK ? partiql_translate(st->parsed, st->params, st->param_count, call->arena, &st->s, err) : s;
}

enum status
statement_prepare(struct op_call *call, struct statement *st, struct err *err)
{
	enum status s = statement_translate(call, st, err);

	return s == S_OK ? table_find(call->db, st->s.table, &st->table, err) : s;
}

static enum status
write_item(struct op_call *call, const struct statement *st, struct table_write *w, struct err *err)
{
	const struct key_schema *schema = table_schema(st->table);

	w->kind = WRITE_PUT;
	w->item = st->s.item;
	w->condition = partiql_insert_condition(schema, call->arena);
	if (item_size(w->item) > ITEM_SIZE_MAX)
		return err_set(err, S_VALIDATION, MSG_ITEM_TOO_BIG);
	return key_check_item(schema, w->item, err);
}

static enum status
write_by_key(struct op_call *call, const struct statement *st, struct table_write *w, struct err *err)
{
	const struct key_schema *schema = table_schema(st->table);
	enum status s = partiql_write_key(&st->s, schema, call->arena, &w->key, &w->condition, err);

	w->kind = st->s.kind == PARTIQL_UPDATE   ? WRITE_UPDATE
		  : st->s.kind == PARTIQL_DELETE ? WRITE_DELETE
						 : WRITE_CHECK;
	w->update = st->s.update;
	if (s == S_OK)
		s = key_check(schema, w->key, err);
	if (s == S_OK && w->update != NULL)
		s = expr_update_check_keys(w->update, schema, err);
	return s;
}

enum status
statement_write(struct op_call *call, const struct statement *st, struct table_write *ret, struct err *err)
{
	*ret = (struct table_write){.table = st->table};
	return st->s.kind == PARTIQL_INSERT ? write_item(call, st, ret, err) : write_by_key(call, st, ret, err);
}

bool
statement_same_item(const struct key_schema *schema, struct av a, struct av b)
{
	for (unsigned i = 0; i < (unsigned)schema->partition_count + schema->sort_count; i++) {
		struct slice name = i < schema->partition_count ? schema->partition[i].name
								: schema->sort[i - schema->partition_count].name;

		if (!av_equal(av_get(a, name), av_get(b, name)))
			return false;
	}
	return true;
}

enum status
statement_failed(const struct statement *st, enum status s, struct err *err)
{
	if (s == S_COND_FAILED && st->s.kind == PARTIQL_INSERT)
		return err_set(err, S_DUPLICATE_ITEM, MSG_DUPLICATE_ITEM);
	if (s == S_COND_FAILED)
		return err_set(err, S_COND_FAILED, MSG_CONDITION_FAILED);
	if (s == S_VALIDATION && slice_starts(slice_str(err->message), SLICE(MSG_NESTING)))
		return err_set(err, S_VALIDATION, MSG_NESTING);
	return s;
}

struct av
statement_returned(const struct statement *st, const struct table_write *w, struct arena *arena)
{
	struct av item = AV_NONE;

	switch (st->s.returning) {
	case PARTIQL_RETURNING_NONE:
		break;
	case PARTIQL_ALL_OLD:
		item = w->old_item;
		break;
	case PARTIQL_ALL_NEW:
		item = w->new_item;
		break;
	case PARTIQL_MODIFIED_OLD:
		item = partiql_modified(st->s.update, w->old_item, arena);
		break;
	case PARTIQL_MODIFIED_NEW:
		item = partiql_modified(st->s.update, w->new_item, arena);
		break;
	}
	return av_exists(item) && av_count(item) > 0 ? item : AV_NONE;
}

/* ---- ExecuteStatement ---- */

static void
put_items(struct buf *out, const struct av *items, size_t count)
{
	buf_put_lit(out, "\"Items\":[");
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_put_byte(out, ',');
		item_write_json(out, items[i]);
	}
	buf_put_byte(out, ']');
}

static void
put_capacity(struct op_call *call, const struct statement *st, const struct table_units *units, size_t count,
	     bool write)
{
	int detail = st->in->return_capacity.value;

	if (detail != CAPACITY_TOTAL && detail != CAPACITY_INDEXES)
		return;
	buf_put_lit(call->out, ",\"ConsumedCapacity\":");
	reply_capacity(call->out, st->s.table, units, count, write, detail);
}

static enum status
run_select(struct op_call *call, struct statement *st, struct err *err)
{
	struct table_io io = {.arena = call->arena, .may_block = call->may_block};
	struct buf *out = call->out;
	struct selected page;
	enum status s;

	if (table_db_charges(call->db) && !call->may_block)
		return S_WOULD_BLOCK; /* what has been charged for must not be read again */
	s = statement_select(call, st, &io, &page, err);
	call->wait_seq = io.wait_seq;
	if (s != S_OK)
		return s;
	buf_put_byte(out, '{');
	put_items(out, page.items, page.count);
	if (page.more) {
		buf_put_lit(out, ",\"NextToken\":");
		json_put_string(out, token_write(call, st, &page));
		if (av_exists(page.last_key)) {
			buf_put_lit(out, ",\"LastEvaluatedKey\":");
			item_write_json(out, page.last_key);
		}
	}
	put_capacity(call, st, page.units, page.units[1].half_read > 0 ? 2 : 1, false);
	buf_put_byte(out, '}');
	return S_OK;
}

static enum status
run_write(struct op_call *call, struct statement *st, struct err *err)
{
	struct table_io io = {.arena = call->arena, .may_block = call->may_block};
	struct table_write w;
	struct av returned;
	enum status s = statement_write(call, st, &w, err);

	if (s == S_OK && st->in->next_token.data != NULL)
		s = err_set(err, S_VALIDATION, MSG_TOKEN_MISMATCH);
	if (s != S_OK)
		return s;
	s = table_commit(&w, 1, &io, err);
	call->wait_seq = io.wait_seq;
	if (s != S_OK) {
		s = statement_failed(st, s, err);
		if (s == S_COND_FAILED && st->in->return_on_failure.value == 1)
			call->fail_item = w.old_item;
		return s;
	}
	returned = statement_returned(st, &w, call->arena);
	buf_put_byte(call->out, '{');
	put_items(call->out, &returned, av_exists(returned));
	put_capacity(call, st, w.units, w.unit_count, true);
	buf_put_byte(call->out, '}');
	return S_OK;
}

enum status
op_execute_statement(struct op_call *call, const void *in, struct err *err)
{
	struct statement st;
	enum status s = statement_parse(call, in, &st, err);

	if (s == S_OK && partiql_kind(st.parsed) == PARTIQL_EXISTS)
		s = err_set(err, S_VALIDATION, MSG_EXISTS_ALONE);
	if (s == S_OK)
		s = statement_prepare(call, &st, err);
	if (s == S_OK)
		s = st.s.kind == PARTIQL_SELECT ? run_select(call, &st, err) : run_write(call, &st, err);
	table_release(st.table);
	return s;
}
