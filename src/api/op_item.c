#include "api/op_int.h"
#include "model/av_json.h"

/* ---- what the three writes have in common ---- */

struct write_in {
	struct slice table_name;
	struct in_item item; /* PutItem */
	struct in_item key;  /* UpdateItem, DeleteItem */
	struct in_map expected, attribute_updates;
	struct in_enum conditional_operator;
	struct in_enum return_values, return_capacity, return_collection, return_on_failure;
	struct slice condition, update;
	struct in_params params;
};

#define WRITE(member, name, type, flags, ...) FIELD(struct write_in, member, name, type, flags, __VA_ARGS__)
#define WRITE_CAPACITY                        WRITE(return_capacity, "ReturnConsumedCapacity", SHAPE_ENUM, 0, .values = values_capacity)
#define WRITE_TABLE                           WRITE(table_name, "TableName", SHAPE_TABLE, FIELD_REQUIRED | FIELD_MOVED | FIELD_FIRST)
#define WRITE_VALUES(flags)                                                                                            \
	WRITE(return_values, "ReturnValues", SHAPE_ENUM, FIELD_MOVED | (flags), .values = values_return,               \
	      .moved_values = W_RETURN_VALUES)
#define WRITE_COLLECTION                                                                                               \
	WRITE(return_collection, "ReturnItemCollectionMetrics", SHAPE_ENUM, 0, .values = values_collection)
#define WRITE_KEY WRITE(key, "Key", SHAPE_ITEM, FIELD_REQUIRED)
#define WRITE_OPERATOR                                                                                                 \
	WRITE(conditional_operator, "ConditionalOperator", SHAPE_ENUM, FIELD_MOVED | FIELD_FIRST,                      \
	      .values = values_and_or, .moved_values = W_CONDITIONAL_OPERATOR)
#define WRITE_CONDITION                                                                                                \
	WRITE(expected, "Expected", SHAPE_MAP, 0, .element = &legacy_expected),                                        \
	    WRITE(condition, "ConditionExpression", SHAPE_STRING, 0),                                                  \
	    WRITE(params, "ExpressionAttributeValues", SHAPE_VALUES, 0),                                               \
	    WRITE(params, "ExpressionAttributeNames", SHAPE_NAMES, 0),                                                 \
	    WRITE(return_on_failure, "ReturnValuesOnConditionCheckFailure", SHAPE_ENUM, 0,                             \
		  .values = values_return_on_failure)

/* The orders are the service's. */
static const struct field put_fields[] = {
    WRITE_CAPACITY,   WRITE_TABLE,     WRITE(item, "Item", SHAPE_ITEM, FIELD_REQUIRED),
    WRITE_OPERATOR,   WRITE_CONDITION, WRITE_VALUES(0),
    WRITE_COLLECTION, FIELD_END,
};
static const struct field delete_fields[] = {
    WRITE_CAPACITY, WRITE_TABLE,    WRITE_VALUES(0), WRITE_COLLECTION,
    WRITE_KEY,      WRITE_OPERATOR, WRITE_CONDITION, FIELD_END,
};
static const struct field update_fields[] = {
    WRITE_CAPACITY,
    WRITE_TABLE,
    WRITE_COLLECTION,
    WRITE_VALUES(FIELD_FIRST), /* the one operation that stops there */
    WRITE_OPERATOR,
    WRITE_KEY,
    WRITE_CONDITION,
    WRITE(attribute_updates, "AttributeUpdates", SHAPE_MAP, FIELD_MANY, .element = &legacy_update),
    WRITE(update, "UpdateExpression", SHAPE_STRING, 0),
    FIELD_END,
};
const struct shape shape_put_item = {"PutItemInput", sizeof(struct write_in), put_fields};
const struct shape shape_delete_item = {"DeleteItemInput", sizeof(struct write_in), delete_fields};
const struct shape shape_update_item = {"UpdateItemInput", sizeof(struct write_in), update_fields};

/* Expressions against legacy parameters, for each of the writes. */
static enum status
check_mix(const struct write_in *in, bool update, struct err *err)
{
	const struct member expressions[] = {
	    {"UpdateExpression", in->update.data != NULL},
	    {"ConditionExpression", in->condition.data != NULL},
	};
	const struct member legacy[] = {
	    {"AttributeUpdates", in->attribute_updates.set},
	    {"Expected", in->expected.set},
	    {"ConditionalOperator", in->conditional_operator.text.data != NULL},
	};
	size_t skip = update ? 0 : 1;
	enum status s = request_check_mix(expressions + skip, 2 - skip, legacy + skip, 3 - skip, &in->params, err);

	return s == S_OK ? legacy_check_operator(&in->conditional_operator, &in->expected, err) : s;
}

static enum status
bind(const struct write_in *in, struct arena *arena, struct table_write *w, struct err *err)
{
	enum status s;

	s = legacy_updates(&in->attribute_updates, arena, &w->update, err);
	if (s == S_OK)
		s = legacy_expectation(&in->expected, &in->conditional_operator, arena, &w->condition, err);
	return s == S_OK ? request_bind_write(&in->params, in->update, in->condition, arena, w, err) : s;
}

/* Which attributes ReturnValues asks for; AV_NONE: none. */
static struct av
returned(const struct table_write *w, int return_values)
{
	struct av values = AV_NONE;

	switch (return_values) {
	case RETURN_ALL_OLD:
		return w->old_item;
	case RETURN_ALL_NEW:
		return w->new_item;
	case RETURN_UPDATED_OLD:
		values = w->updated_old;
		break;
	case RETURN_UPDATED_NEW:
		values = w->updated_new;
		break;
	default:
		break;
	}
	return av_exists(values) && av_count(values) > 0 ? values : AV_NONE;
}

static void
write_reply(struct op_call *call, const struct write_in *in, const struct table_write *w, struct av key,
	    struct table_io *io)
{
	struct av attributes = returned(w, in->return_values.value);
	struct buf *out = call->out;
	const char *between = "";
	int detail = in->return_capacity.value;

	buf_put_byte(out, '{');
	if (av_exists(attributes)) {
		reply_name(out, &between, "Attributes");
		item_write_json(out, attributes);
	}
	if (detail == CAPACITY_TOTAL || detail == CAPACITY_INDEXES) {
		reply_name(out, &between, "ConsumedCapacity");
		reply_capacity(out, in->table_name, w->units, w->unit_count, true, detail);
	}
	if (in->return_collection.value == 1 && table_has_local_indexes(w->table)) {
		reply_name(out, &between, "ItemCollectionMetrics");
		reply_collection(out, w->table, key, io);
	}
	buf_put_byte(out, '}');
}

/* From the checked request to the reply. Takes the table, which the caller found, and lets it go. */
static enum status
commit(struct op_call *call, const struct write_in *in, struct table_write *w, struct err *err)
{
	struct table_io io = {.arena = call->arena, .may_block = call->may_block};
	enum status s = table_commit(w, 1, &io, err);

	call->wait_seq = io.wait_seq;
	call->change_seq = w->change_seq;
	if (s == S_OK) {
		write_reply(call, in, w, w->kind == WRITE_PUT ? w->item : w->key, &io);
		if (io.wait_seq > call->wait_seq)
			call->wait_seq = io.wait_seq;
	} else if (s == S_COND_FAILED) {
		if (in->return_on_failure.value == 1)
			call->fail_item = w->old_item;
		err_set(err, S_COND_FAILED, MSG_CONDITION_FAILED);
	}
	return s;
}

static enum status
check_return_old(const struct write_in *in, struct err *err)
{
	int wanted = in->return_values.value;

	if (wanted != 0 && wanted != RETURN_ALL_OLD && wanted != RETURN_NONE)
		return err_set(err, S_VALIDATION, MSG_RETURN_OLD_ONLY);
	return S_OK;
}

/* What the request alone shows. */
static enum status
check_put(const struct write_in *in, struct arena *arena, struct table_write *w, struct err *err)
{
	enum status s = check_mix(in, false, err);

	if (s == S_OK)
		s = request_check_item(&in->item, err);
	if (s == S_OK)
		s = check_return_old(in, err);
	if (s == S_OK && item_size(w->item) > ITEM_SIZE_MAX)
		s = err_set(err, S_VALIDATION, MSG_ITEM_TOO_BIG);
	if (s == S_OK)
		s = bind(in, arena, w, err);
	return request_envelope(s, err);
}

enum status
op_put_item(struct op_call *call, const void *input, struct err *err)
{
	const struct write_in *in = input;
	struct table_write w = {.kind = WRITE_PUT, .item = in->item.value};
	enum status s = check_put(in, call->arena, &w, err);

	if (s == S_OK)
		s = request_table(call, in->table_name, &w.table, err);
	if (s != S_OK)
		return s;
	s = key_check_item(table_schema(w.table), w.item, err);
	if (s == S_OK)
		s = commit(call, in, &w, err);
	table_release(w.table);
	return s;
}

/* Does it give an index key a value of another type? Then that is what the table will say. */
static bool
mistypes_index_key(struct table *table, const struct expr *update)
{
	for (size_t i = 0; i < table_index_count(table); i++) {
		const struct key_schema *schema = table_index_schema(table_index_at(table, i));

		for (unsigned k = 0; k < (unsigned)schema->partition_count + schema->sort_count; k++) {
			const struct key_attr *attr = k < schema->partition_count
							  ? &schema->partition[k]
							  : &schema->sort[k - schema->partition_count];
			enum av_type given;

			if (expr_update_type(update, attr->name, &given) && given != attr->type)
				return true;
		}
	}
	return false;
}

static enum status
check_update(struct table *table, const struct expr *update, struct err *err)
{
	enum status s = expr_update_check_keys(update, table_schema(table), err);

	if (s == S_OK && request_check_scalars(table, update, err) != S_OK && !mistypes_index_key(table, update))
		s = S_VALIDATION;
	return s;
}

/* What the request alone shows. */
static enum status
check_by_key(const struct write_in *in, struct arena *arena, struct table_write *w, struct err *err)
{
	enum status s = check_mix(in, w->kind == WRITE_UPDATE, err);

	if (s == S_OK)
		s = request_check_item(&in->key, err);
	if (s == S_OK && w->kind == WRITE_DELETE)
		s = check_return_old(in, err);
	if (s == S_OK)
		s = bind(in, arena, w, err);
	return request_envelope(s, err);
}

static enum status
write_by_key(struct op_call *call, const struct write_in *in, struct table_write *w, struct err *err)
{
	enum status s = check_by_key(in, call->arena, w, err);

	if (s == S_OK)
		s = request_table(call, in->table_name, &w->table, err);
	if (s != S_OK)
		return s;
	w->key = in->key.value;
	s = key_check(table_schema(w->table), w->key, err);
	if (s == S_OK && w->update != NULL)
		s = check_update(w->table, w->update, err);
	if (s == S_OK)
		s = commit(call, in, w, err);
	table_release(w->table);
	return s;
}

enum status
op_update_item(struct op_call *call, const void *input, struct err *err)
{
	struct table_write w = {.kind = WRITE_UPDATE};

	return write_by_key(call, input, &w, err);
}

enum status
op_delete_item(struct op_call *call, const void *input, struct err *err)
{
	struct table_write w = {.kind = WRITE_DELETE};

	return write_by_key(call, input, &w, err);
}

/* ---- GetItem ---- */

struct get_in {
	struct slice table_name;
	struct in_item key;
	struct in_list attributes_to_get;
	uint8_t consistent;
	struct in_enum return_capacity;
	struct slice projection;
	struct in_params params;
};

#define GET(member, name, type, flags, ...) FIELD(struct get_in, member, name, type, flags, __VA_ARGS__)
static const struct field get_fields[] = {
    GET(return_capacity, "ReturnConsumedCapacity", SHAPE_ENUM, 0, .values = values_capacity),
    GET(attributes_to_get, "AttributesToGet", SHAPE_LIST, 0, .element = &legacy_attribute, LIMITS(1, 255)),
    GET(table_name, "TableName", SHAPE_TABLE, FIELD_REQUIRED | FIELD_MOVED | FIELD_FIRST),
    GET(key, "Key", SHAPE_ITEM, FIELD_REQUIRED),
    GET(consistent, "ConsistentRead", SHAPE_BOOL, 0),
    GET(projection, "ProjectionExpression", SHAPE_STRING, 0),
    GET(params, "ExpressionAttributeNames", SHAPE_NAMES, 0),
    FIELD_END,
};
const struct shape shape_get_item = {"GetItemInput", sizeof(struct get_in), get_fields};

static enum status
get_projection(const struct get_in *in, struct arena *arena, const struct expr **ret, struct err *err)
{
	const struct member expressions[] = {{"ProjectionExpression", in->projection.data != NULL}};
	const struct member legacy[] = {{"AttributesToGet", in->attributes_to_get.set}};
	struct expr_params params = in->params.p;
	struct expr *projection;
	enum status s = request_check_mix(expressions, 1, legacy, 1, &in->params, err);

	*ret = NULL;
	if (s == S_OK)
		s = request_check_item(&in->key, err);
	if (s == S_OK)
		s = legacy_attributes_to_get(&in->attributes_to_get, arena, ret, err);
	if (s == S_OK)
		s = request_check_params(&in->params, true, err);
	if (s != S_OK || in->projection.data == NULL)
		return s;
	s = expr_bind(EXPR_PROJECTION, in->projection, &params, arena, &projection, err);
	if (s == S_OK)
		s = expr_params_check_unused(&params, err);
	if (s == S_OK)
		*ret = projection;
	return s;
}

static void
get_reply(struct op_call *call, const struct get_in *in, struct av item, const struct expr *projection)
{
	struct buf *out = call->out;
	const char *between = "";
	int detail = in->return_capacity.value;

	buf_put_byte(out, '{');
	if (detail == CAPACITY_TOTAL || detail == CAPACITY_INDEXES) {
		struct table_units units = {
		    .half_read = capacity_half_reads(av_exists(item) ? item_size(item) : 0, in->consistent == IN_TRUE)};

		reply_name(out, &between, "ConsumedCapacity");
		reply_capacity(out, in->table_name, &units, 1, false, detail);
	}
	if (av_exists(item)) {
		reply_name(out, &between, "Item");
		item_write_json(out, projection != NULL ? expr_project(projection, item, call->arena) : item);
	}
	buf_put_byte(out, '}');
}

static enum status
charge(const struct get_in *in, struct table *table, struct av item, struct err *err)
{
	struct table_charge of = {
	    .table = table,
	    .half_units = capacity_half_reads(av_exists(item) ? item_size(item) : 0, in->consistent == IN_TRUE),
	    .key = in->key.value,
	};

	return table_charge_reads(&of, 1, NULL, err);
}

enum status
op_get_item(struct op_call *call, const void *input, struct err *err)
{
	const struct get_in *in = input;
	struct table_io io = {.arena = call->arena, .may_block = call->may_block};
	const struct expr *projection;
	struct table *table;
	struct av item;
	enum status s = get_projection(in, call->arena, &projection, err);

	if (s == S_OK)
		s = request_table(call, in->table_name, &table, err);
	if (s != S_OK)
		return s;
	s = key_check(table_schema(table), in->key.value, err);
	if (s == S_OK)
		s = request_check_scalars(table, projection, err);
	if (s == S_OK)
		s = table_get(table, in->key.value, &io, &item, err);
	if (s == S_OK && table_db_charges(call->db))
		s = charge(in, table, item, err);
	call->wait_seq = io.wait_seq;
	if (s == S_OK)
		get_reply(call, in, item, projection);
	table_release(table);
	return s;
}
