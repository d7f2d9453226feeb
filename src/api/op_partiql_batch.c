/*
 * BatchExecuteStatement: up to 25 reads of one item each, or as many writes of one. Each is its own request: what is
 * wrong with one is told in its place and does not keep the others from being done. Only what makes no sense for the
 * batch as a whole refuses it: reads together with writes, and two statements about one item.
 */
#include "api/partiql.h"
#include "base/log.h"
#include "model/av_json.h"
#include "model/key.h"

struct member_of_batch {
	struct statement st;
	struct table_write write; /* of a read only its key */
	enum status status;
	struct slice message;
	bool ran;
	struct av item;   /* read or returned; AV_NONE: nothing to show */
	struct av failed; /* the item that failed a condition, when asked for */
	uint32_t half_read;
};

struct batch {
	const struct statements_in *in;
	uint32_t count;
	struct member_of_batch members[STATEMENTS_BATCH_MAX];
};

static void
keep_failure(struct op_call *call, struct member_of_batch *m, enum status s, const struct err *err)
{
	m->status = s;
	if (s != S_OK)
		m->message = arena_dup(call->arena, slice_str(err->message));
}

static bool
is_read(const struct member_of_batch *m)
{
	return partiql_kind(m->st.parsed) == PARTIQL_SELECT;
}

static struct av
key_of(const struct member_of_batch *m)
{
	return m->write.kind == WRITE_PUT ? m->write.item : m->write.key;
}

/* ---- before anything runs ---- */

static enum status
check_mixture(const struct batch *b, struct err *err)
{
	bool reads = false, writes = false;

	for (uint32_t i = 0; i < b->count; i++) {
		const struct member_of_batch *m = &b->members[i];

		if (m->st.parsed == NULL || partiql_kind(m->st.parsed) == PARTIQL_EXISTS)
			continue;
		reads |= is_read(m);
		writes |= !is_read(m);
	}
	return reads && writes ? err_set(err, S_VALIDATION, MSG_STATEMENTS_MIXED) : S_OK;
}

static enum status
prepare_read(struct op_call *call, struct member_of_batch *m, struct err *err)
{
	const struct key_schema *schema = table_schema(m->st.table);
	struct partiql_plan plan;
	enum status s = partiql_plan(&m->st.s, schema, true, call->arena, &plan, err);

	m->write = (struct table_write){.kind = WRITE_CHECK, .table = m->st.table};
	if (s != S_OK)
		return s;
	m->write.key = partiql_only_key(&m->st.s, schema, call->arena);
	if (!av_exists(m->write.key))
		return err_set(err, S_VALIDATION, MSG_BATCH_SELECT);
	return key_check(schema, m->write.key, err);
}

static enum status
prepare(struct op_call *call, struct member_of_batch *m, struct err *err)
{
	enum status s;

	if (partiql_kind(m->st.parsed) == PARTIQL_EXISTS)
		return err_set(err, S_VALIDATION, MSG_EXISTS_ALONE);
	s = auth_check_statement(call, m->st.in, err);
	if (s == S_OK)
		s = statement_prepare(call, &m->st, err);
	if (s != S_OK)
		return s;
	return is_read(m) ? prepare_read(call, m, err) : statement_write(call, &m->st, &m->write, err);
}

static bool
same_item(const struct member_of_batch *a, const struct member_of_batch *b)
{
	return slice_eq(a->st.s.table, b->st.s.table) &&
	       statement_same_item(table_schema(a->st.table), key_of(a), key_of(b));
}

static enum status
check_duplicates(const struct batch *b, struct err *err)
{
	for (uint32_t i = 0; i < b->count; i++)
		for (uint32_t j = 0; j < i; j++)
			if (b->members[i].status == S_OK && b->members[j].status == S_OK &&
			    same_item(&b->members[i], &b->members[j]))
				return err_set(err, S_VALIDATION, MSG_DUPLICATE_KEYS);
	return S_OK;
}

static enum status
check(struct op_call *call, struct batch *b, struct err *err)
{
	enum status s;

	for (uint32_t i = 0; i < b->count; i++) {
		const struct statement_in *in = ((struct statement_in *const *)b->in->statements.items)[i];

		s = statement_parse(call, in, &b->members[i].st, err);
		keep_failure(call, &b->members[i], s, err);
	}
	s = check_mixture(b, err);
	if (s != S_OK)
		return s;
	for (uint32_t i = 0; i < b->count; i++) {
		if (b->members[i].status != S_OK)
			continue;
		s = prepare(call, &b->members[i], err);
		keep_failure(call, &b->members[i], s, err);
	}
	return check_duplicates(b, err);
}

/* ---- running ---- */

static enum status
run_read(struct op_call *call, struct member_of_batch *m, struct table_io *io, struct err *err)
{
	struct table_charge cost = {.table = m->st.table, .key = m->write.key};
	struct av item;
	enum status s = table_get(m->st.table, m->write.key, io, &item, err);

	if (s != S_OK)
		return s;
	m->half_read = capacity_half_reads(av_exists(item) ? item_size(item) : 0, m->st.in->consistent == IN_TRUE);
	cost.half_units = m->half_read;
	s = table_charge_reads(&cost, 1, NULL, err);
	if (s != S_OK) {
		m->half_read = 0;
		return s;
	}
	if (!av_exists(item))
		return S_OK;
	if (m->st.s.projection != NULL)
		item = expr_project(m->st.s.projection, item, call->arena);
	m->item = statement_columns(&m->st, item, call->arena);
	return S_OK;
}

static enum status
run_write(struct op_call *call, struct member_of_batch *m, struct table_io *io, struct err *err)
{
	enum status s = table_commit(&m->write, 1, io, err);

	if (s == S_OK) {
		m->item = statement_returned(&m->st, &m->write, call->arena);
		return S_OK;
	}
	s = statement_failed(&m->st, s, err);
	if (s == S_COND_FAILED && m->st.in->return_on_failure.value == 1)
		m->failed = m->write.old_item;
	return s;
}

/*
 * A call that would block is run again from its start, so nothing may have been written by then: only one write is
 * tried on the loop.
 */
static enum status
run(struct op_call *call, struct batch *b, struct err *err)
{
	struct table_io io = {.arena = call->arena, .may_block = call->may_block};
	uint32_t writes = 0;

	for (uint32_t i = 0; i < b->count; i++)
		writes += b->members[i].status == S_OK && !is_read(&b->members[i]);
	if ((writes > 1 || table_db_charges(call->db)) && !call->may_block)
		return S_WOULD_BLOCK;
	for (uint32_t i = 0; i < b->count; i++) {
		struct member_of_batch *m = &b->members[i];
		enum status s;

		if (m->status != S_OK)
			continue;
		m->ran = true;
		s = is_read(m) ? run_read(call, m, &io, err) : run_write(call, m, &io, err);
		if (s == S_WOULD_BLOCK && !call->may_block)
			return s;
		keep_failure(call, m, s, err);
	}
	call->wait_seq = io.wait_seq;
	return S_OK;
}

/* ---- the reply ---- */

static const char *
code_of(enum status s)
{
	switch (s) {
	case S_VALIDATION:
		return "ValidationError";
	case S_RESOURCE_NOT_FOUND:
		return "ResourceNotFound";
	case S_COND_FAILED:
		return "ConditionalCheckFailed";
	case S_DUPLICATE_ITEM:
		return "DuplicateItem";
	case S_TRANSACTION_CONFLICT:
		return "TransactionConflict";
	case S_ITEM_COLLECTION_LIMIT:
		return "ItemCollectionSizeLimitExceeded";
	case S_THROUGHPUT_EXCEEDED:
		return "ProvisionedThroughputExceeded";
	case S_REQUEST_LIMIT:
		return "RequestLimitExceeded";
	case S_THROTTLING:
		return "ThrottlingError";
	case S_ACCESS_DENIED:
		return "AccessDenied";
	default:
		return "InternalServerError";
	}
}

static void
put_error(struct op_call *call, const struct member_of_batch *m)
{
	struct buf *out = call->out;
	const char *code = code_of(m->status);
	struct slice message = m->message;

	if (code == code_of(S_INTERNAL)) { /* ours is for the log */
		log_error("api", "%.*s: a statement: %.*s", SLICE_ARG(call->target), SLICE_ARG(message));
		message = SLICE(MSG_INTERNAL);
	}
	buf_printf(out, "\"Error\":{\"Code\":\"%s\",\"Message\":", code);
	json_put_string(out, message);
	if (av_exists(m->failed)) {
		buf_put_lit(out, ",\"Item\":");
		item_write_json(out, m->failed);
	}
	buf_put_byte(out, '}');
}

static void
put_response(struct op_call *call, const struct member_of_batch *m)
{
	struct buf *out = call->out;
	const char *between = "";

	buf_put_byte(out, '{');
	if (m->status != S_OK) {
		put_error(call, m);
		between = ",";
	}
	if (m->ran || m->status == S_RESOURCE_NOT_FOUND) {
		reply_name(out, &between, "TableName");
		json_put_string(out, m->st.s.table);
	}
	if (m->status == S_OK && av_exists(m->item)) {
		reply_name(out, &between, "Item");
		item_write_json(out, m->item);
	}
	buf_put_byte(out, '}');
}

/* What all statements on the table of this one consumed. */
struct consumed {
	struct reply_units all;
	uint64_t failed; /* of writes that were refused; they belong to no part */
	bool write;
};

static void
add_member(struct consumed *c, const struct member_of_batch *m)
{
	c->write |= !is_read(m);
	if (is_read(m))
		reply_units_add(&c->all, &(struct table_units){.half_read = m->half_read}, 1);
	for (size_t i = 0; i < m->write.unit_count; i++) {
		if (m->status == S_OK)
			reply_units_add(&c->all, &m->write.units[i], 1);
		else
			c->failed += m->write.units[i].half_write;
	}
}

static bool
is_first_of_table(const struct batch *b, uint32_t i)
{
	for (uint32_t j = 0; j < i; j++)
		if (b->members[j].ran && slice_eq(b->members[j].st.s.table, b->members[i].st.s.table))
			return false;
	return true;
}

static void
put_capacity(struct op_call *call, const struct batch *b)
{
	const char *between = "";

	buf_put_lit(call->out, ",\"ConsumedCapacity\":[");
	for (uint32_t i = 0; i < b->count; i++) {
		struct consumed c = {.failed = 0};

		if (!b->members[i].ran || !is_first_of_table(b, i))
			continue;
		for (uint32_t j = i; j < b->count; j++)
			if (b->members[j].ran && slice_eq(b->members[j].st.s.table, b->members[i].st.s.table))
				add_member(&c, &b->members[j]);
		buf_put(call->out, between, strlen(between));
		between = ",";
		reply_capacity_failed(call->out, b->members[i].st.s.table, c.all.units, c.all.count, c.write,
				      b->in->return_capacity.value, c.failed);
	}
	buf_put_byte(call->out, ']');
}

static bool
any_done(const struct batch *b)
{
	for (uint32_t i = 0; i < b->count; i++)
		if (b->members[i].status == S_OK)
			return true;
	return false;
}

static void
put_reply(struct op_call *call, const struct batch *b)
{
	int detail = b->in->return_capacity.value;

	buf_put_lit(call->out, "{\"Responses\":[");
	for (uint32_t i = 0; i < b->count; i++) {
		if (i > 0)
			buf_put_byte(call->out, ',');
		put_response(call, &b->members[i]);
	}
	buf_put_byte(call->out, ']');
	if ((detail == CAPACITY_TOTAL || detail == CAPACITY_INDEXES) && any_done(b))
		put_capacity(call, b);
	buf_put_byte(call->out, '}');
}

enum status
op_batch_execute(struct op_call *call, const void *in, struct err *err)
{
	struct batch *b = ARENA_NEW(call->arena, struct batch);
	enum status s;

	b->in = in;
	b->count = b->in->statements.count;
	s = check(call, b, err);
	if (s == S_OK)
		s = run(call, b, err);
	if (s == S_OK)
		put_reply(call, b);
	for (uint32_t i = 0; i < b->count; i++)
		table_release(b->members[i].st.table);
	return s;
}
