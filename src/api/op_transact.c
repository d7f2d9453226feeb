/*
 * TransactWriteItems.
 *
 * What is wrong is told at three levels, as the service does. What the request alone shows, action by action in its
 * order, refuses it (ValidationException), and so does an empty key value. What needs a table's schema, or the item,
 * cancels the transaction (TransactionCanceledException with a ValidationError among the reasons). Keys are checked
 * before anything runs: only the first bad one is told then and no condition is looked at.
 */
#include <stdlib.h>

#include "api/transact.h"
#include "model/key.h"

/* ---- requests ---- */

/* Of all four kinds; ConditionCheck, Delete and Update have a key, Put an item. */
struct action_in {
	struct slice table_name;
	struct in_item item, key;
	struct slice condition, update;
	struct in_params params;
	struct in_enum return_on_failure;
};
struct transact_item_in {
	struct action_in *check, *put, *delete, *update;
};
struct transact_write_in {
	struct slice token;
	struct in_enum return_capacity, return_collection;
	struct in_list items;
};

#define ACTION(member, name, type, flags, ...) FIELD(struct action_in, member, name, type, flags, __VA_ARGS__)
#define ACTION_TABLE                           ACTION(table_name, "TableName", SHAPE_TABLE, FIELD_REQUIRED)
#define ACTION_KEY                             ACTION(key, "Key", SHAPE_ITEM, FIELD_REQUIRED)
#define ACTION_CONDITION(flags)                                                                                        \
	ACTION(condition, "ConditionExpression", SHAPE_STRING, flags),                                                 \
	    ACTION(params, "ExpressionAttributeValues", SHAPE_VALUES, 0),                                              \
	    ACTION(params, "ExpressionAttributeNames", SHAPE_NAMES, 0),                                                \
	    ACTION(return_on_failure, "ReturnValuesOnConditionCheckFailure", SHAPE_ENUM, 0,                            \
		   .values = values_return_on_failure)

static const struct field check_fields[] = {ACTION_TABLE, ACTION_KEY, ACTION_CONDITION(FIELD_REQUIRED), FIELD_END};
static const struct field delete_fields[] = {ACTION_TABLE, ACTION_KEY, ACTION_CONDITION(0), FIELD_END};
static const struct field put_fields[] = {
    ACTION_TABLE,
    ACTION(item, "Item", SHAPE_ITEM, FIELD_REQUIRED),
    ACTION_CONDITION(0),
    FIELD_END,
};
static const struct field update_fields[] = {
    ACTION_TABLE, ACTION_KEY, ACTION_CONDITION(0), ACTION(update, "UpdateExpression", SHAPE_STRING, FIELD_REQUIRED),
    FIELD_END,
};
static const struct shape shape_condition_check = {"ConditionCheck", sizeof(struct action_in), check_fields};
static const struct shape shape_put = {"Put", sizeof(struct action_in), put_fields};
static const struct shape shape_delete = {"Delete", sizeof(struct action_in), delete_fields};
static const struct shape shape_update = {"Update", sizeof(struct action_in), update_fields};
static const struct field item_fields[] = {
    FIELD(struct transact_item_in, check, "ConditionCheck", SHAPE_STRUCT, 0, .shape = &shape_condition_check),
    FIELD(struct transact_item_in, put, "Put", SHAPE_STRUCT, 0, .shape = &shape_put),
    FIELD(struct transact_item_in, delete, "Delete", SHAPE_STRUCT, 0, .shape = &shape_delete),
    FIELD(struct transact_item_in, update, "Update", SHAPE_STRUCT, 0, .shape = &shape_update),
    FIELD_END,
};
static const struct shape shape_item = {"TransactWriteItem", sizeof(struct transact_item_in), item_fields};
static const struct field item_element = ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_item);

#define WRITE(member, name, type, flags, ...) FIELD(struct transact_write_in, member, name, type, flags, __VA_ARGS__)
static const struct field write_fields[] = {
    WRITE(token, "ClientRequestToken", SHAPE_STRING, FIELD_MOVED | FIELD_FIRST, LIMITS(1, 36)),
    WRITE(return_capacity, "ReturnConsumedCapacity", SHAPE_ENUM, 0, .values = values_capacity),
    WRITE(return_collection, "ReturnItemCollectionMetrics", SHAPE_ENUM, 0, .values = values_collection),
    WRITE(items, "TransactItems", SHAPE_LIST, FIELD_REQUIRED | FIELD_MOVED | FIELD_FIRST, .element = &item_element,
	  LIMITS(1, TRANSACT_ITEMS_MAX)),
    FIELD_END,
};
const struct shape shape_transact_write = {"TransactWriteItemsInput", sizeof(struct transact_write_in), write_fields};

/* ---- what the request alone shows ---- */

/* A checked request. */
struct transaction {
	const struct transact_write_in *in;
	size_t count;
	const struct action_in *actions[TRANSACT_ITEMS_MAX];
	struct table_write writes[TRANSACT_ITEMS_MAX];
	struct table *tables[TRANSACT_ITEMS_MAX];
	uint64_t bytes;
};

static enum status
pick_action(const struct transact_item_in *in, const struct action_in **ret, enum write_kind *ret_kind, struct err *err)
{
	const struct {
		const struct action_in *action;
		enum write_kind kind;
	} kinds[] = {
	    {in->check, WRITE_CHECK}, {in->put, WRITE_PUT}, {in->delete, WRITE_DELETE}, {in->update, WRITE_UPDATE}};

	*ret = NULL;
	for (size_t i = 0; i < 4; i++) {
		if (kinds[i].action == NULL)
			continue;
		if (*ret != NULL)
			return err_set(err, S_VALIDATION, MSG_TRANSACT_SEVERAL);
		*ret = kinds[i].action;
		*ret_kind = kinds[i].kind;
	}
	return *ret != NULL ? S_OK : err_set(err, S_VALIDATION, MSG_TRANSACT_NOTHING);
}

static enum status
bind(const struct action_in *in, struct arena *arena, struct table_write *w, struct err *err)
{
	const struct member expressions[] = {
	    {"UpdateExpression", in->update.data != NULL},
	    {"ConditionExpression", in->condition.data != NULL},
	};
	size_t skip = w->kind == WRITE_UPDATE ? 0 : 1;
	enum status s = request_check_mix(expressions + skip, 2 - skip, NULL, 0, &in->params, err);

	return s == S_OK ? request_bind_write(&in->params, in->update, in->condition, arena, w, err) : s;
}

static uint64_t
action_bytes(const struct action_in *in)
{
	uint64_t bytes = av_exists(in->item.value) ? item_size(in->item.value) : 0;

	if (av_exists(in->key.value))
		bytes += item_size(in->key.value);
	for (size_t i = 0; i < in->params.p.value_count; i++)
		bytes += av_exists(in->params.p.values[i].value) ? av_size(in->params.p.values[i].value) : 0;
	return bytes;
}

static enum status
check_action(struct op_call *call, struct transaction *t, size_t i, struct err *err)
{
	const struct transact_item_in *item = ((struct transact_item_in *const *)t->in->items.items)[i];
	struct table_write *w = &t->writes[i];
	const struct action_in *in;
	enum status s = pick_action(item, &in, &w->kind, err);

	if (s != S_OK)
		return s;
	t->actions[i] = in;
	s = bind(in, call->arena, w, err);
	if (s == S_OK)
		s = request_check_item(w->kind == WRITE_PUT ? &in->item : &in->key, err);
	if (s != S_OK)
		return s;
	w->item = in->item.value;
	w->key = in->key.value;
	if (w->kind == WRITE_PUT && item_size(w->item) > ITEM_SIZE_MAX)
		return err_set(err, S_VALIDATION, MSG_ITEM_TOO_BIG);
	t->bytes += action_bytes(in);
	return S_OK;
}

static enum status
check_actions(struct op_call *call, struct transaction *t, struct err *err)
{
	enum status s = S_OK;

	for (size_t i = 0; i < t->count && s == S_OK; i++)
		s = check_action(call, t, i, err);
	if (s == S_OK && t->bytes > TRANSACT_BYTES_MAX)
		s = err_set(err, S_VALIDATION, MSG_TRANSACT_TOO_BIG);
	return s;
}

/* ---- what the tables show ---- */

static enum status
find_tables(struct op_call *call, struct transaction *t, struct err *err)
{
	enum status s = S_OK;

	for (size_t i = 0; i < t->count && s == S_OK; i++) {
		s = request_table(call, t->actions[i]->table_name, &t->tables[i], err);
		t->writes[i].table = t->tables[i];
	}
	return s;
}

static enum status
check_key(const struct table_write *w, struct err *err)
{
	const struct key_schema *schema = table_schema(w->table);
	enum status s = w->kind == WRITE_PUT ? key_check_item(schema, w->item, err) : key_check(schema, w->key, err);

	if (s == S_OK && w->update != NULL)
		s = expr_update_check_keys(w->update, schema, err);
	return s;
}

static enum status
check_keys(struct op_call *call, const struct transaction *t, struct err *err)
{
	struct transact_targets targets = {.count = 0};
	enum status s = S_OK;

	for (size_t i = 0; i < t->count && s == S_OK; i++) {
		const struct table_write *w = &t->writes[i];

		s = check_key(w, err);
		if (s == S_OK)
			transact_note_target(&targets, t->tables, w->kind == WRITE_PUT ? w->item : w->key);
		else
			s = transact_cancel_for(call, i, t->count, s, err);
	}
	if (s == S_OK)
		s = transact_check_targets(&targets, err);
	buf_done(&targets.rows);
	return s;
}

/* ---- the token ---- */

static void
put_part(struct buf *out, struct slice part)
{
	uint64_t length = part.data != NULL ? part.len : UINT64_MAX;

	buf_put(out, &length, sizeof length);
	buf_put_slice(out, part);
}

static void
put_av(struct buf *out, struct av v)
{
	put_part(out, av_exists(v) ? slice_of((const char *)v.data, v.len) : SLICE_NONE);
}

static int
name_order(const void *a, const void *b)
{
	return slice_cmp(((const struct expr_name *)a)->placeholder, ((const struct expr_name *)b)->placeholder);
}

static int
value_order(const void *a, const void *b)
{
	return slice_cmp(((const struct expr_value *)a)->placeholder, ((const struct expr_value *)b)->placeholder);
}

/* In one order: clients write maps in any, a second time in another. */
static void
put_params(struct buf *out, const struct expr_params *params, struct arena *arena)
{
	struct expr_name *names = arena_alloc(arena, params->name_count * sizeof *names);
	struct expr_value *values = arena_alloc(arena, params->value_count * sizeof *values);

	if (params->name_count > 0) {
		memcpy(names, params->names, params->name_count * sizeof *names);
		qsort(names, params->name_count, sizeof *names, name_order);
	}
	if (params->value_count > 0) {
		memcpy(values, params->values, params->value_count * sizeof *values);
		qsort(values, params->value_count, sizeof *values, value_order);
	}
	buf_put_be64(out, params->name_count);
	for (size_t i = 0; i < params->name_count; i++) {
		put_part(out, names[i].placeholder);
		put_part(out, names[i].name);
	}
	buf_put_be64(out, params->value_count);
	for (size_t i = 0; i < params->value_count; i++) {
		put_part(out, values[i].placeholder);
		put_av(out, values[i].value);
	}
}

/* Items and keys are taken in their encoded form, so that neither the order of attributes nor how a number is written
 * makes a request another one. */
static void
hash_request(struct op_call *call, const struct transaction *t, uint8_t ret[SHA256_BYTES])
{
	struct buf all = {0};

	for (size_t i = 0; i < t->count; i++) {
		const struct action_in *in = t->actions[i];

		buf_put_byte(&all, (uint8_t)t->writes[i].kind);
		buf_put_byte(&all, (uint8_t)in->return_on_failure.value);
		put_part(&all, table_name(t->tables[i]));
		put_av(&all, in->item.value);
		put_av(&all, in->key.value);
		put_part(&all, in->condition);
		put_part(&all, in->update);
		put_params(&all, &in->params.p, call->arena);
	}
	crypto_sha256(buf_slice(&all), ret);
	buf_done(&all);
}

/* ---- doing it ---- */

/* The conditions and what the writes would have made of the items: why it was cancelled. */
static enum status
cancel_for_writes(struct op_call *call, const struct transaction *t, struct err *err)
{
	struct cancel_reason *reasons = ARENA_ARRAY(call->arena, struct cancel_reason, t->count);

	for (size_t i = 0; i < t->count; i++) {
		const struct table_write *w = &t->writes[i];

		if (w->status == S_OK)
			continue;
		if (w->status == S_VALIDATION && transact_refuses(w->message))
			return err_set(err, S_VALIDATION, "%.*s", SLICE_ARG(w->message));
		if (w->status == S_VALIDATION) {
			reasons[i] = (struct cancel_reason){.code = "ValidationError", .message = w->message};
			continue;
		}
		if (transact_limit_code(w->status) != NULL) {
			reasons[i] =
			    (struct cancel_reason){.code = transact_limit_code(w->status), .message = w->message};
			continue;
		}
		reasons[i] = (struct cancel_reason){.code = "ConditionalCheckFailed",
						    .message = slice_str(MSG_CONDITION_FAILED)};
		if (t->actions[i]->return_on_failure.value == 1)
			reasons[i].item = w->old_item;
	}
	return transact_cancel(call, reasons, t->count, err);
}

static void
put_capacity(struct op_call *call, const struct transaction *t, const struct table_token *token)
{
	struct transact_bill *bill = transact_bill_new(call->arena, t->count);
	bool repeated = token != NULL && token->repeated;

	for (size_t i = 0; i < t->count; i++) {
		const struct table_write *w = &t->writes[i];
		struct table_units again = {.half_read = repeated ? 2u * token->read_steps[i] : 0};

		/* repeated: what the first time wrote was read again, so to say */
		transact_bill_add(bill, w->table, t->actions[i]->table_name, repeated ? &again : w->units,
				  repeated ? 1 : w->unit_count);
	}
	transact_bill_put(call->out, bill, !repeated, t->in->return_capacity.value);
}

static bool
writes_into(const struct table_write *w, struct table *table)
{
	return w->kind != WRITE_CHECK && table_has_local_indexes(w->table) &&
	       slice_eq(table_name(w->table), table_name(table));
}

static struct av
key_of(const struct table_write *w)
{
	return w->kind == WRITE_PUT ? w->item : w->key;
}

/* Is this the first write into its item collection? */
static bool
first_of_collection(const struct transaction *t, size_t i)
{
	const struct table_write *w = &t->writes[i];
	struct slice name = table_schema(w->table)->partition[0].name;

	for (size_t j = 0; j < i; j++)
		if (writes_into(&t->writes[j], w->table) &&
		    av_equal(av_get(key_of(&t->writes[j]), name), av_get(key_of(w), name)))
			return false;
	return true;
}

static void
put_collections(struct op_call *call, const struct transaction *t, struct table_io *io)
{
	const char *between_tables = "";
	bool done[TRANSACT_ITEMS_MAX] = {false};

	buf_put_lit(call->out, "\"ItemCollectionMetrics\":{");
	for (size_t i = 0; i < t->count; i++) {
		const char *between = "";

		if (done[i] || !writes_into(&t->writes[i], t->tables[i]))
			continue;
		buf_put(call->out, between_tables, strlen(between_tables));
		between_tables = ",";
		json_put_string(call->out, t->actions[i]->table_name);
		buf_put_lit(call->out, ":[");
		for (size_t j = i; j < t->count; j++) {
			if (!writes_into(&t->writes[j], t->tables[i]))
				continue;
			done[j] = true;
			if (!first_of_collection(t, j))
				continue;
			buf_put(call->out, between, strlen(between));
			between = ",";
			reply_collection(call->out, t->tables[j], key_of(&t->writes[j]), io);
		}
		buf_put_byte(call->out, ']');
	}
	buf_put_byte(call->out, '}');
}

static void
write_reply(struct op_call *call, const struct transaction *t, const struct table_token *token, struct table_io *io)
{
	int detail = t->in->return_capacity.value;
	bool capacity = detail == CAPACITY_TOTAL || detail == CAPACITY_INDEXES;

	buf_put_byte(call->out, '{');
	if (capacity)
		put_capacity(call, t, token);
	if (t->in->return_collection.value == 1) {
		if (capacity)
			buf_put_byte(call->out, ',');
		put_collections(call, t, io);
	}
	buf_put_byte(call->out, '}');
}

static enum status
commit(struct op_call *call, struct transaction *t, struct err *err)
{
	struct table_io io = {.arena = call->arena, .may_block = call->may_block};
	struct table_token token = {.text = t->in->token}, *given = t->in->token.data != NULL ? &token : NULL;
	enum status s;

	if (given != NULL)
		hash_request(call, t, token.request);
	s = table_transact_write(t->writes, t->count, given, &io, err);
	if (s == S_OK)
		write_reply(call, t, given, &io);
	call->wait_seq = io.wait_seq;
	if (s == S_COND_FAILED || s == S_VALIDATION || transact_limit_code(s) != NULL)
		return cancel_for_writes(call, t, err);
	return s;
}

enum status
op_transact_write(struct op_call *call, const void *input, struct err *err)
{
	struct transaction *t = ARENA_NEW(call->arena, struct transaction);
	enum status s;

	t->in = input;
	t->count = t->in->items.count;
	s = check_actions(call, t, err);
	if (s == S_OK)
		s = find_tables(call, t, err);
	if (s == S_OK)
		s = check_keys(call, t, err);
	if (s == S_OK)
		s = commit(call, t, err);
	transact_release(t->tables, t->count);
	return s;
}
