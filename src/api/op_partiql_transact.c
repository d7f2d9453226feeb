/*
 * ExecuteTransaction: statements as one transaction, by the way of TransactWriteItems or TransactGetItems.
 *
 * What a statement says wrongly refuses the request and tells which statement it was; a table that is not there, a key
 * that does not fit its table, and what the items decide cancel the transaction.
 */
#include "api/partiql.h"
#include "api/transact.h"
#include "model/av_json.h"
#include "model/key.h"

struct execution {
	const struct statements_in *in;
	size_t count;
	bool write;
	uint64_t bytes;
	struct statement statements[TRANSACT_ITEMS_MAX];
	struct table_write writes[TRANSACT_ITEMS_MAX]; /* of reads only the key */
	struct cancel_reason reasons[TRANSACT_ITEMS_MAX];
};

/* ---- what the statements alone show ---- */

static enum status
in_statement(size_t i, enum status s, struct err *err)
{
	struct err why;

	if (s != S_VALIDATION)
		return s;
	why = *err;
	return err_set(err, S_VALIDATION, MSG_IN_STATEMENT, i, why.message);
}

static enum status
fail_statement(size_t i, const char *message, struct err *err)
{
	return err_set(err, S_VALIDATION, MSG_IN_STATEMENT, i, message);
}

static enum status
parse(struct op_call *call, struct execution *x, struct err *err)
{
	bool reads = false;
	enum status s = S_OK;

	for (size_t i = 0; i < x->count && s == S_OK; i++) {
		const struct statement_in *in = ((struct statement_in *const *)x->in->statements.items)[i];

		s = statement_parameters(call, in, &x->statements[i], err);
		for (size_t n = 0; n < x->statements[i].param_count && s == S_OK; n++)
			x->bytes += av_size(x->statements[i].params[n]);
		x->bytes += in->text.len;
	}
	for (size_t i = 0; i < x->count && s == S_OK; i++) {
		struct statement *st = &x->statements[i];

		s = in_statement(i, partiql_parse(st->in->text, call->arena, &st->parsed, err), err);
		if (s == S_OK && partiql_kind(st->parsed) == PARTIQL_SELECT)
			reads = true;
		else
			x->write = true;
	}
	if (s == S_OK && reads && x->write)
		s = err_set(err, S_VALIDATION, MSG_TRANSACT_MIXED);
	if (s == S_OK && x->bytes > TRANSACT_BYTES_MAX)
		s = err_set(err, S_VALIDATION, MSG_TRANSACT_TOO_BIG);
	return s;
}

/* ---- with their tables ---- */

static void
give_reason(struct op_call *call, struct execution *x, size_t i, const char *code, const char *message)
{
	x->reasons[i].code = code;
	x->reasons[i].message = arena_dup(call->arena, slice_str(message));
}

/* What a table's schema says of the statement cancels; of `message` the caller may know better. */
static enum status
keep_reason(struct op_call *call, struct execution *x, size_t i, enum status s, const struct err *err,
	    const char *message)
{
	if (s != S_VALIDATION || transact_refuses(slice_str(err->message)))
		return s;
	give_reason(call, x, i, "ValidationError", message != NULL ? message : err->message);
	return S_OK;
}

/* A SELECT by the whole key and nothing else. */
static enum status
prepare_read(struct op_call *call, struct execution *x, size_t i, struct err *err)
{
	const struct statement *st = &x->statements[i];
	const struct key_schema *schema = table_schema(st->table);
	struct table_write *w = &x->writes[i];
	struct partiql_plan plan;
	enum status s;

	if (st->s.index.data != NULL)
		return fail_statement(i, MSG_TRANSACT_INDEX, err);
	s = in_statement(i, partiql_plan(&st->s, schema, false, call->arena, &plan, err), err);
	if (s != S_OK)
		return s;
	w->kind = WRITE_CHECK;
	w->key = partiql_only_key(&st->s, schema, call->arena);
	if (!av_exists(w->key))
		return fail_statement(i, MSG_TRANSACT_SELECT, err);
	return keep_reason(call, x, i, key_check(schema, w->key, err), err, NULL);
}

static bool
has_no_key(const struct err *err)
{
	return slice_starts(slice_str(err->message), SLICE("Where clause does not contain"));
}

static enum status
prepare_write(struct op_call *call, struct execution *x, size_t i, struct err *err)
{
	const struct statement *st = &x->statements[i];
	struct table_write *w = &x->writes[i];
	bool exists = st->s.kind == PARTIQL_EXISTS, insert = st->s.kind == PARTIQL_INSERT;
	enum status s;

	if (exists && st->s.index.data != NULL)
		return fail_statement(i, MSG_TRANSACT_INDEX, err);
	s = statement_write(call, st, w, err);
	if (exists && (s == S_OK ? w->condition == NULL : has_no_key(err)))
		return fail_statement(i, MSG_TRANSACT_EXISTS, err);
	if (insert && item_size(w->item) > ITEM_SIZE_MAX)
		return s;
	return keep_reason(call, x, i, s, err, insert || av_exists(w->key) ? NULL : MSG_KEY_ELEMENT);
}

static enum status
prepare(struct op_call *call, struct execution *x, size_t i, struct err *err)
{
	struct statement *st = &x->statements[i];
	enum status s = in_statement(i, statement_translate(call, st, err), err);

	if (s == S_OK)
		s = table_find(call->db, st->s.table, &st->table, err);
	if (s == S_RESOURCE_NOT_FOUND) {
		give_reason(call, x, i, "ResourceNotFound", err->message);
		return S_OK;
	}
	if (s == S_OK && st->s.returning != PARTIQL_RETURNING_NONE)
		s = fail_statement(i, MSG_TRANSACT_RETURN, err);
	if (s != S_OK)
		return s;
	x->writes[i].table = st->table;
	return x->write ? prepare_write(call, x, i, err) : prepare_read(call, x, i, err);
}

static bool
has_reasons(const struct execution *x)
{
	for (size_t i = 0; i < x->count; i++)
		if (x->reasons[i].code != NULL)
			return true;
	return false;
}

static struct av
key_of(const struct table_write *w)
{
	return w->kind == WRITE_PUT ? w->item : w->key;
}

static enum status
check_targets(const struct execution *x, struct err *err)
{
	for (size_t i = 0; i < x->count; i++)
		for (size_t j = 0; j < i; j++)
			if (slice_eq(x->statements[i].s.table, x->statements[j].s.table) &&
			    statement_same_item(table_schema(x->writes[i].table), key_of(&x->writes[i]),
						key_of(&x->writes[j])))
				return err_set(err, S_VALIDATION, MSG_TRANSACT_ONE_ITEM);
	return S_OK;
}

static enum status
check(struct op_call *call, struct execution *x, struct err *err)
{
	enum status s = S_OK;

	for (size_t i = 0; i < x->count && s == S_OK; i++)
		s = prepare(call, x, i, err);
	if (s != S_OK)
		return s;
	return has_reasons(x) ? transact_cancel(call, x->reasons, x->count, err) : check_targets(x, err);
}

/* ---- the token ---- */

static void
put_part(struct buf *out, struct slice part)
{
	buf_put_be64(out, part.len);
	buf_put_slice(out, part);
}

static void
hash_request(const struct execution *x, uint8_t ret[SHA256_BYTES])
{
	struct buf all = {0};

	put_part(&all, SLICE("ExecuteTransaction"));
	for (size_t i = 0; i < x->count; i++) {
		const struct statement *st = &x->statements[i];

		put_part(&all, st->in->text);
		buf_put_byte(&all, (uint8_t)st->in->return_on_failure.value);
		buf_put_be64(&all, st->param_count);
		for (size_t n = 0; n < st->param_count; n++)
			put_part(&all, slice_of((const char *)st->params[n].data, st->params[n].len));
	}
	crypto_sha256(buf_slice(&all), ret);
	buf_done(&all);
}

/* ---- writing ---- */

static const char *
code_of(enum status s)
{
	switch (s) {
	case S_DUPLICATE_ITEM:
		return "DuplicateItem";
	case S_COND_FAILED:
		return "ConditionalCheckFailed";
	default:
		return transact_limit_code(s) != NULL ? transact_limit_code(s) : "ValidationError";
	}
}

static enum status
cancel_for_writes(struct op_call *call, struct execution *x, struct err *err)
{
	for (size_t i = 0; i < x->count; i++) {
		const struct table_write *w = &x->writes[i];
		const struct statement *st = &x->statements[i];

		if (w->status == S_OK)
			continue;
		if (w->status == S_VALIDATION && transact_refuses(w->message))
			return err_set(err, S_VALIDATION, "%.*s", SLICE_ARG(w->message));
		err_set(err, w->status, "%.*s", SLICE_ARG(w->message));
		give_reason(call, x, i, code_of(statement_failed(st, w->status, err)), err->message);
		if (w->status == S_COND_FAILED && st->in->return_on_failure.value == 1)
			x->reasons[i].item = w->old_item;
	}
	return transact_cancel(call, x->reasons, x->count, err);
}

static void
put_capacity(struct op_call *call, const struct execution *x, const struct table_token *token,
	     const struct table_get_item *gets)
{
	struct transact_bill *bill = transact_bill_new(call->arena, x->count);
	bool repeated = token != NULL && token->repeated;
	int detail = x->in->return_capacity.value;

	if (detail != CAPACITY_TOTAL && detail != CAPACITY_INDEXES)
		return;
	for (size_t i = 0; i < x->count; i++) {
		const struct table_write *w = &x->writes[i];
		struct table_units read = {0};

		if (repeated)
			read.half_read = 2u * token->read_steps[i];
		else if (gets != NULL)
			read.half_read =
			    capacity_half_reads(av_exists(gets[i].item) ? item_size(gets[i].item) : 0, true);
		if (repeated || gets != NULL)
			transact_bill_add(bill, w->table, x->statements[i].s.table, &read, 1);
		else
			transact_bill_add(bill, w->table, x->statements[i].s.table, w->units, w->unit_count);
	}
	buf_put_byte(call->out, ',');
	transact_bill_put(call->out, bill, gets == NULL && !repeated, detail);
}

static enum status
run_writes(struct op_call *call, struct execution *x, struct err *err)
{
	struct table_io io = {.arena = call->arena, .may_block = call->may_block};
	struct table_token token = {.text = x->in->token}, *given = x->in->token.data != NULL ? &token : NULL;
	enum status s;

	if (given != NULL)
		hash_request(x, token.request);
	s = table_transact_write(x->writes, x->count, given, &io, err);
	call->wait_seq = io.wait_seq;
	if (s == S_COND_FAILED || s == S_VALIDATION || transact_limit_code(s) != NULL)
		return cancel_for_writes(call, x, err);
	if (s != S_OK)
		return s;
	buf_put_lit(call->out, "{\"Responses\":[]");
	put_capacity(call, x, given, NULL);
	buf_put_byte(call->out, '}');
	return S_OK;
}

/* ---- reading ---- */

static void
put_response(struct op_call *call, const struct statement *st, struct av item)
{
	struct buf *out = call->out;

	if (av_exists(item) && st->s.projection != NULL)
		item = statement_columns(st, expr_project(st->s.projection, item, call->arena), call->arena);
	buf_put_byte(out, '{');
	if (av_exists(item) && av_count(item) > 0) {
		buf_put_lit(out, "\"Item\":");
		item_write_json(out, item);
	}
	buf_put_byte(out, '}');
}

static enum status
check_bytes(const struct table_get_item *gets, size_t count, struct err *err)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += av_exists(gets[i].item) ? item_size(gets[i].item) : 0;
	return bytes <= TRANSACT_BYTES_MAX ? S_OK : err_set(err, S_VALIDATION, MSG_TRANSACT_TOO_BIG);
}

/* Twice, and all or none. */
static enum status
charge(struct op_call *call, struct execution *x, const struct table_get_item *gets, struct err *err)
{
	struct table_charge *costs = ARENA_ARRAY(call->arena, struct table_charge, x->count);
	size_t which;
	enum status s;

	for (size_t i = 0; i < x->count; i++) {
		uint64_t bytes = av_exists(gets[i].item) ? item_size(gets[i].item) : 0;

		costs[i] = (struct table_charge){
		    .table = x->writes[i].table,
		    .half_units = 2 * (uint64_t)capacity_half_reads(bytes, true),
		    .transaction = true,
		    .key = gets[i].key,
		};
	}
	s = table_charge_reads(costs, x->count, &which, err);
	if (transact_limit_code(s) == NULL)
		return s;
	give_reason(call, x, which, code_of(s), err->message);
	return transact_cancel(call, x->reasons, x->count, err);
}

static enum status
run_reads(struct op_call *call, struct execution *x, struct err *err)
{
	struct table_io io = {.arena = call->arena, .may_block = call->may_block};
	struct table_get_item *gets = ARENA_ARRAY(call->arena, struct table_get_item, x->count);
	enum status s;

	for (size_t i = 0; i < x->count; i++)
		gets[i] = (struct table_get_item){.table = x->writes[i].table, .key = x->writes[i].key};
	s = table_transact_get(gets, x->count, &io, err);
	call->wait_seq = io.wait_seq;
	if (s == S_OK)
		s = check_bytes(gets, x->count, err);
	if (s == S_OK && table_db_charges(call->db))
		s = charge(call, x, gets, err);
	if (s != S_OK)
		return s;
	buf_put_lit(call->out, "{\"Responses\":[");
	for (size_t i = 0; i < x->count; i++) {
		if (i > 0)
			buf_put_byte(call->out, ',');
		put_response(call, &x->statements[i], gets[i].item);
	}
	buf_put_byte(call->out, ']');
	put_capacity(call, x, NULL, gets);
	buf_put_byte(call->out, '}');
	return S_OK;
}

enum status
op_execute_transaction(struct op_call *call, const void *in, struct err *err)
{
	struct execution *x = ARENA_NEW(call->arena, struct execution);
	enum status s;

	x->in = in;
	x->count = x->in->statements.count;
	s = parse(call, x, err);
	if (s == S_OK)
		s = check(call, x, err);
	if (s == S_OK)
		s = x->write ? run_writes(call, x, err) : run_reads(call, x, err);
	for (size_t i = 0; i < x->count; i++)
		table_release(x->statements[i].table);
	return s;
}
