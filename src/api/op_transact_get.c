/* TransactGetItems. What is wrong is told at the levels that op_transact.c tells of. */
#include "api/transact.h"
#include "model/av_json.h"
#include "model/key.h"

struct get_in {
	struct slice table_name;
	struct in_item key;
	struct slice projection;
	struct in_params params;
};
struct get_item_in {
	struct get_in *get;
};
struct transact_get_in {
	struct in_enum return_capacity;
	struct in_list items;
};

#define GET(member, name, type, flags, ...) FIELD(struct get_in, member, name, type, flags, __VA_ARGS__)
static const struct field get_fields[] = {
    GET(table_name, "TableName", SHAPE_TABLE, FIELD_REQUIRED),
    GET(key, "Key", SHAPE_ITEM, FIELD_REQUIRED),
    GET(projection, "ProjectionExpression", SHAPE_STRING, 0),
    GET(params, "ExpressionAttributeNames", SHAPE_NAMES, 0),
    FIELD_END,
};
static const struct shape shape_get = {"Get", sizeof(struct get_in), get_fields};
static const struct field get_item_fields[] = {
    FIELD(struct get_item_in, get, "Get", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_get), FIELD_END};
static const struct shape shape_get_item_in = {"TransactGetItem", sizeof(struct get_item_in), get_item_fields};
static const struct field get_item_element =
    ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_get_item_in);
static const struct field transact_get_fields[] = {
    FIELD(struct transact_get_in, return_capacity, "ReturnConsumedCapacity", SHAPE_ENUM, 0, .values = values_capacity),
    FIELD(struct transact_get_in, items, "TransactItems", SHAPE_LIST, FIELD_REQUIRED | FIELD_MOVED | FIELD_FIRST,
	  .element = &get_item_element, LIMITS(1, TRANSACT_ITEMS_MAX)),
    FIELD_END,
};
const struct shape shape_transact_get = {"TransactGetItemsInput", sizeof(struct transact_get_in), transact_get_fields};

struct transact_get {
	size_t count;
	const struct get_in *in[TRANSACT_ITEMS_MAX];
	const struct expr *projections[TRANSACT_ITEMS_MAX];
	struct table_get_item gets[TRANSACT_ITEMS_MAX];
	struct table *tables[TRANSACT_ITEMS_MAX];
};

static enum status
check_get(struct op_call *call, struct transact_get *t, size_t i, struct err *err)
{
	const struct get_in *in = t->in[i];
	const struct member expressions[] = {{"ProjectionExpression", in->projection.data != NULL}};
	struct expr_params params = in->params.p;
	struct expr *projection;
	enum status s = request_check_mix(expressions, 1, NULL, 0, &in->params, err);

	if (s == S_OK)
		s = request_check_params(&in->params, true, err);
	if (s == S_OK && in->projection.data != NULL) {
		s = expr_bind(EXPR_PROJECTION, in->projection, &params, call->arena, &projection, err);
		if (s == S_OK)
			s = expr_params_check_unused(&params, err);
		t->projections[i] = projection;
	}
	t->gets[i].key = in->key.value;
	return s == S_OK ? request_check_item(&in->key, err) : s;
}

static enum status
check_get_keys(struct op_call *call, const struct transact_get *t, struct err *err)
{
	struct transact_targets targets = {.count = 0};
	enum status s = S_OK;

	for (size_t i = 0; i < t->count && s == S_OK; i++) {
		s = key_check(table_schema(t->tables[i]), t->gets[i].key, err);
		if (s == S_OK)
			transact_note_target(&targets, t->tables, t->gets[i].key);
		else
			s = transact_cancel_for(call, i, t->count, s, err);
	}
	if (s == S_OK)
		s = transact_check_targets(&targets, err);
	buf_done(&targets.rows);
	return s;
}

static enum status
check_bytes(const struct transact_get *t, struct err *err)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < t->count; i++)
		bytes += av_exists(t->gets[i].item) ? item_size(t->gets[i].item) : 0;
	return bytes <= TRANSACT_BYTES_MAX ? S_OK : err_set(err, S_VALIDATION, MSG_TRANSACT_TOO_BIG);
}

static void
put_read_capacity(struct op_call *call, const struct transact_get *t, int detail)
{
	struct transact_bill *bill = transact_bill_new(call->arena, t->count);

	for (size_t i = 0; i < t->count; i++) {
		struct av item = t->gets[i].item;
		struct table_units units = {.half_read =
						capacity_half_reads(av_exists(item) ? item_size(item) : 0, true)};

		transact_bill_add(bill, t->tables[i], t->in[i]->table_name, &units, 1);
	}
	transact_bill_put(call->out, bill, false, detail);
	buf_put_byte(call->out, ',');
}

static void
get_reply(struct op_call *call, const struct transact_get *t, int detail)
{
	struct buf *out = call->out;

	buf_put_byte(out, '{');
	if (detail == CAPACITY_TOTAL || detail == CAPACITY_INDEXES)
		put_read_capacity(call, t, detail);
	buf_put_lit(out, "\"Responses\":[");
	for (size_t i = 0; i < t->count; i++) {
		struct av item = t->gets[i].item;

		if (av_exists(item) && t->projections[i] != NULL) {
			item = expr_project(t->projections[i], item, call->arena);
			if (av_count(item) == 0) /* nothing of it was asked for: as if there were none */
				item = AV_NONE;
		}
		if (i > 0)
			buf_put_byte(out, ',');
		buf_put_byte(out, '{');
		if (av_exists(item)) {
			buf_put_lit(out, "\"Item\":");
			item_write_json(out, item);
		}
		buf_put_byte(out, '}');
	}
	buf_put_lit(out, "]}");
}

/* Reads of a transaction cost twice, and are paid for together or not at all. */
static enum status
charge_gets(struct op_call *call, const struct table_get_item *gets, size_t count, struct err *err)
{
	struct table_charge *costs = ARENA_ARRAY(call->arena, struct table_charge, count);
	struct cancel_reason *reasons;
	size_t which;
	enum status s;

	for (size_t i = 0; i < count; i++) {
		uint64_t bytes = av_exists(gets[i].item) ? item_size(gets[i].item) : 0;

		costs[i] = (struct table_charge){
		    .table = gets[i].table,
		    .half_units = 2 * (uint64_t)capacity_half_reads(bytes, true),
		    .transaction = true,
		    .key = gets[i].key,
		};
	}
	s = table_charge_reads(costs, count, &which, err);
	if (s == S_OK)
		return S_OK;
	reasons = ARENA_ARRAY(call->arena, struct cancel_reason, count);
	reasons[which].code = transact_limit_code(s);
	reasons[which].message = arena_dup(call->arena, slice_str(err->message));
	return transact_cancel(call, reasons, count, err);
}

enum status
op_transact_get(struct op_call *call, const void *input, struct err *err)
{
	const struct transact_get_in *in = input;
	struct table_io io = {.arena = call->arena, .may_block = call->may_block};
	struct transact_get *t = ARENA_NEW(call->arena, struct transact_get);
	enum status s = S_OK;

	t->count = in->items.count;
	for (size_t i = 0; i < t->count && s == S_OK; i++) {
		t->in[i] = ((struct get_item_in *const *)in->items.items)[i]->get;
		s = check_get(call, t, i, err);
	}
	for (size_t i = 0; i < t->count && s == S_OK; i++) {
		s = request_table(call, t->in[i]->table_name, &t->tables[i], err);
		t->gets[i].table = t->tables[i];
	}
	if (s == S_OK)
		s = check_get_keys(call, t, err);
	if (s == S_OK)
		s = table_transact_get(t->gets, t->count, &io, err);
	if (s == S_OK)
		s = check_bytes(t, err);
	if (s == S_OK && table_db_charges(call->db))
		s = charge_gets(call, t->gets, t->count, err);
	call->wait_seq = io.wait_seq;
	if (s == S_OK)
		get_reply(call, t, in->return_capacity.value);
	transact_release(t->tables, t->count);
	return s;
}
