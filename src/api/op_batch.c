/* BatchGetItem and BatchWriteItem. */
#include <stdlib.h>

#include "api/op_int.h"
#include "model/av_json.h"
#include "model/key.h"

#define BATCH_READS_MAX  100
#define BATCH_WRITES_MAX 25
#define ANSWER_BYTES_MAX (16 * 1024 * 1024) /* of items, by DynamoDB's size rule */

/* Tables of a batch, one entry a member of RequestItems. */
struct batch_table {
	struct slice requested; /* name or ARN, as the client wrote it */
	struct table *table;
};

static void
release(struct batch_table *tables, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		table_release(tables[i].table);
}

/* All tables before any key, as the service does. Those found are in tables[] also after a failure. */
static enum status
find_tables(struct op_call *call, const struct in_map *items, struct batch_table *tables, struct err *err)
{
	enum status s = S_OK;

	for (uint32_t i = 0; i < items->count && s == S_OK; i++) {
		tables[i].requested = items->keys[i];
		s = request_table(call, items->keys[i], &tables[i].table, err);
	}
	return s;
}

static int
row_order(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

/*
 * Row keys of all items of a batch, to find two that name the same one. The table's place in the batch stands for its
 * space (the same table by name and by ARN must not slip through: then the first of them).
 */
static void
note_row(struct buf *rows, size_t *ends, size_t n, const struct batch_table *tables, uint32_t table, struct av key)
{
	uint32_t space = table;
	uint64_t hash;

	for (uint32_t i = 0; i < table; i++)
		if (slice_eq(table_name(tables[i].table), table_name(tables[table].table)))
			space = i;
	key_put_row(rows, space, table_schema(tables[table].table), key, &hash);
	ends[n] = rows->len;
}

static enum status
check_rows(const struct buf *rows, const size_t *ends, size_t count, struct err *err)
{
	struct slice sorted[BATCH_READS_MAX];

	for (size_t i = 0; i < count; i++) {
		size_t start = i > 0 ? ends[i - 1] : 0;

		sorted[i] = slice_of(rows->data + start, ends[i] - start);
	}
	qsort(sorted, count, sizeof *sorted, row_order);
	for (size_t i = 1; i < count; i++)
		if (slice_eq(sorted[i - 1], sorted[i]))
			return err_set(err, S_VALIDATION, MSG_DUPLICATE_KEYS);
	return S_OK;
}

/* ---- BatchGetItem ---- */

struct keys_in {
	struct in_list keys, attributes_to_get;
	uint8_t consistent;
	struct slice projection;
	struct in_params params;
};
struct batch_get_in {
	struct in_enum return_capacity;
	struct in_map items;
};

static const struct field key_element = ELEMENT("member", SHAPE_ITEM, FIELD_REQUIRED);
static const struct field keys_fields[] = {
    FIELD(struct keys_in, keys, "Keys", SHAPE_LIST, FIELD_REQUIRED | FIELD_MOVED | FIELD_FIRST, .element = &key_element,
	  LIMITS(1, INT64_MAX)),
    FIELD(struct keys_in, attributes_to_get, "AttributesToGet", SHAPE_LIST, 0, .element = &legacy_attribute,
	  LIMITS(1, 255)),
    FIELD(struct keys_in, consistent, "ConsistentRead", SHAPE_BOOL, 0),
    FIELD(struct keys_in, projection, "ProjectionExpression", SHAPE_STRING, 0),
    FIELD(struct keys_in, params, "ExpressionAttributeNames", SHAPE_NAMES, 0),
    FIELD_END,
};
static const struct shape shape_keys = {"KeysAndAttributes", sizeof(struct keys_in), keys_fields};
static const struct field keys_element = ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_keys);
static const struct field batch_get_fields[] = {
    FIELD(struct batch_get_in, return_capacity, "ReturnConsumedCapacity", SHAPE_ENUM, 0, .values = values_capacity),
    FIELD(struct batch_get_in, items, "RequestItems", SHAPE_MAP,
	  FIELD_REQUIRED | FIELD_MAP_KEYS | FIELD_MOVED | FIELD_EARLY, .element = &keys_element),
    FIELD_END,
};
const struct shape shape_batch_get = {"BatchGetItemInput", sizeof(struct batch_get_in), batch_get_fields};

struct get_part {
	const struct keys_in *in;
	const struct expr *projection;
	uint32_t done; /* keys read; the rest is unprocessed */
	enum status throttled;
	struct table_units units;
};

static enum status
check_get_part(struct op_call *call, const struct keys_in *in, struct get_part *part, struct err *err)
{
	const struct member expressions[] = {{"ProjectionExpression", in->projection.data != NULL}};
	const struct member legacy[] = {{"AttributesToGet", in->attributes_to_get.set}};
	struct expr_params params = in->params.p;
	struct expr *projection;
	enum status s = request_check_mix(expressions, 1, legacy, 1, &in->params, err);

	part->in = in;
	if (s == S_OK)
		s = legacy_attributes_to_get(&in->attributes_to_get, call->arena, &part->projection, err);
	if (s == S_OK)
		s = request_check_params(&in->params, true, err);
	if (s == S_OK && in->projection.data != NULL) {
		s = expr_bind(EXPR_PROJECTION, in->projection, &params, call->arena, &projection, err);
		if (s == S_OK)
			s = expr_params_check_unused(&params, err);
		part->projection = projection;
	}
	for (uint32_t i = 0; i < in->keys.count && s == S_OK; i++)
		s = request_check_item((const struct in_item *)in->keys.items + i, err);
	return s;
}

static enum status
check_gets(struct op_call *call, const struct batch_get_in *in, struct get_part *parts, struct err *err)
{
	uint64_t total = 0;
	enum status s = S_OK;

	for (uint32_t i = 0; i < in->items.count && s == S_OK; i++) {
		const struct keys_in *keys = ((struct keys_in *const *)in->items.items)[i];

		if (keys->keys.total > BATCH_READS_MAX)
			return err_set(err, S_VALIDATION, MSG_BATCH_KEYS, SLICE_ARG(in->items.keys[i]));
		total += keys->keys.total;
		s = check_get_part(call, keys, &parts[i], err);
	}
	if (s == S_OK && total > BATCH_READS_MAX)
		s = err_set(err, S_VALIDATION, MSG_TOO_MANY_READS);
	return s;
}

static int
value_order(const void *a, const void *b)
{
	const struct in_item *x = a, *y = b;

	return x->value.len != y->value.len ? (x->value.len < y->value.len ? -1 : 1)
					    : memcmp(x->value.data, y->value.data, x->value.len);
}

/* A key given twice is told even when there is no such table; where there is, check_rows() finds it. */
static enum status
check_same_keys(const struct in_list *keys, struct arena *arena, struct err *err)
{
	struct in_item *sorted = arena_alloc(arena, keys->count * sizeof *sorted);

	memcpy(sorted, keys->items, keys->count * sizeof *sorted);
	qsort(sorted, keys->count, sizeof *sorted, value_order);
	for (uint32_t i = 1; i < keys->count; i++)
		if (value_order(&sorted[i - 1], &sorted[i]) == 0)
			return err_set(err, S_VALIDATION, MSG_DUPLICATE_KEYS);
	return S_OK;
}

static enum status
find_get_tables(struct op_call *call, const struct batch_get_in *in, struct batch_table *tables, struct err *err)
{
	enum status s = find_tables(call, &in->items, tables, err);

	if (s != S_RESOURCE_NOT_FOUND)
		return s;
	for (uint32_t i = 0; i < in->items.count; i++) {
		struct err same;

		s = check_same_keys(&((struct keys_in *const *)in->items.items)[i]->keys, call->arena, &same);
		if (s != S_OK)
			return err_set(err, s, "%s", same.message);
	}
	return S_RESOURCE_NOT_FOUND;
}

static enum status
check_get_keys(const struct batch_get_in *in, const struct batch_table *tables, struct err *err)
{
	size_t ends[BATCH_READS_MAX], n = 0;
	struct buf rows = {0};
	enum status s = S_OK;

	for (uint32_t t = 0; t < in->items.count && s == S_OK; t++) {
		const struct keys_in *keys = ((struct keys_in *const *)in->items.items)[t];

		for (uint32_t i = 0; i < keys->keys.count && s == S_OK; i++) {
			struct av key = ((const struct in_item *)keys->keys.items)[i].value;

			s = key_check(table_schema(tables[t].table), key, err);
			if (s == S_OK)
				note_row(&rows, ends, n++, tables, t, key);
		}
	}
	if (s == S_OK)
		s = check_rows(&rows, ends, n, err);
	buf_done(&rows);
	return s;
}

/* Or in the way of a transaction: either way the rest of a batch goes on. */
static bool
is_throttled(enum status s)
{
	return s == S_THROUGHPUT_EXCEEDED || s == S_THROTTLING || s == S_TRANSACTION_CONFLICT;
}

/* Reads one table's keys and writes its list of items, until the answer is full. */
static enum status
get_part(struct op_call *call, struct batch_table *table, struct get_part *part, uint64_t *bytes, struct table_io *io,
	 struct err *err)
{
	const struct in_item *keys = part->in->keys.items;
	bool consistent = part->in->consistent == IN_TRUE;
	struct table_charge cost = {.table = table->table};
	const char *between = "";

	json_put_string(call->out, table->requested);
	buf_put_lit(call->out, ":[");
	for (; part->done < part->in->keys.count && *bytes < ANSWER_BYTES_MAX; part->done++) {
		struct av item;
		uint64_t size;
		enum status s = table_get(table->table, keys[part->done].value, io, &item, err);

		if (s != S_OK)
			return s;
		size = av_exists(item) ? item_size(item) : 0;
		if (*bytes + size > ANSWER_BYTES_MAX) {
			*bytes = ANSWER_BYTES_MAX; /* this one and all behind it are for another call */
			break;
		}
		*bytes += size;
		if (!io->may_block && *bytes > INLINE_BYTES_MAX)
			return S_WOULD_BLOCK;
		cost.half_units = capacity_half_reads(size, consistent);
		cost.key = keys[part->done].value;
		s = table_charge_reads(&cost, 1, NULL, err);
		if (is_throttled(s)) {
			part->throttled = s;
			break;
		}
		part->units.half_read += (uint32_t)cost.half_units;
		if (!av_exists(item))
			continue;
		buf_put(call->out, between, strlen(between));
		between = ",";
		item_write_json(call->out, part->projection ? expr_project(part->projection, item, call->arena) : item);
	}
	buf_put_byte(call->out, ']');
	return S_OK;
}

static void
put_names(struct buf *out, const struct expr_params *params)
{
	buf_put_lit(out, ",\"ExpressionAttributeNames\":{");
	for (size_t i = 0; i < params->name_count; i++) {
		if (i > 0)
			buf_put_byte(out, ',');
		json_put_string(out, params->names[i].placeholder);
		buf_put_byte(out, ':');
		json_put_string(out, params->names[i].name);
	}
	buf_put_byte(out, '}');
}

/* What was not read, in a form that can be sent again as it is. */
static void
put_unprocessed(struct buf *out, struct slice requested, const struct get_part *part)
{
	const struct keys_in *in = part->in;

	json_put_string(out, requested);
	buf_put_lit(out, ":{\"Keys\":[");
	for (uint32_t i = part->done; i < in->keys.count; i++) {
		if (i > part->done)
			buf_put_byte(out, ',');
		item_write_json(out, ((const struct in_item *)in->keys.items)[i].value);
	}
	buf_put_byte(out, ']');
	if (in->attributes_to_get.set) {
		buf_put_lit(out, ",\"AttributesToGet\":[");
		for (uint32_t i = 0; i < in->attributes_to_get.count; i++) {
			if (i > 0)
				buf_put_byte(out, ',');
			json_put_string(out, ((const struct slice *)in->attributes_to_get.items)[i]);
		}
		buf_put_byte(out, ']');
	}
	if (in->consistent != IN_UNSET)
		buf_printf(out, ",\"ConsistentRead\":%s", in->consistent == IN_TRUE ? "true" : "false");
	if (in->projection.data != NULL) {
		buf_put_lit(out, ",\"ProjectionExpression\":");
		json_put_string(out, in->projection);
	}
	if (in->params.p.has_names)
		put_names(out, &in->params.p);
	buf_put_byte(out, '}');
}

static void
finish_gets(struct op_call *call, const struct batch_get_in *in, const struct batch_table *tables,
	    const struct get_part *parts)
{
	struct buf *out = call->out;
	int detail = in->return_capacity.value;
	const char *between = "";

	buf_put_lit(out, "},\"UnprocessedKeys\":{");
	for (uint32_t t = 0; t < in->items.count; t++) {
		if (parts[t].done == parts[t].in->keys.count)
			continue;
		buf_put(out, between, strlen(between));
		between = ",";
		put_unprocessed(out, tables[t].requested, &parts[t]);
	}
	buf_put_byte(out, '}');
	if (detail == CAPACITY_TOTAL || detail == CAPACITY_INDEXES) {
		buf_put_lit(out, ",\"ConsumedCapacity\":[");
		for (uint32_t t = 0; t < in->items.count; t++) {
			if (t > 0)
				buf_put_byte(out, ',');
			reply_capacity(out, tables[t].requested, &parts[t].units, 1, false, detail);
		}
		buf_put_byte(out, ']');
	}
	buf_put_byte(out, '}');
}

enum status
op_batch_get(struct op_call *call, const void *input, struct err *err)
{
	const struct batch_get_in *in = input;
	struct table_io io = {.arena = call->arena, .may_block = call->may_block};
	struct batch_table *tables;
	struct get_part *parts;
	uint64_t bytes = 0, done = 0;
	enum status throttled = S_OK, s;

	if (in->items.total == 0)
		return err_set(err, S_VALIDATION, wording(W_BATCH_EMPTY), "BatchGetItem");
	if (in->items.total > BATCH_READS_MAX) /* each has at least one key */
		return err_set(err, S_VALIDATION, MSG_TOO_MANY_READS);
	tables = ARENA_ARRAY(call->arena, struct batch_table, in->items.count);
	parts = ARENA_ARRAY(call->arena, struct get_part, in->items.count);
	s = check_gets(call, in, parts, err);
	if (s == S_OK)
		s = find_get_tables(call, in, tables, err);
	if (s == S_OK)
		s = check_get_keys(in, tables, err);
	if (s == S_OK && table_db_charges(call->db) && !call->may_block)
		s = S_WOULD_BLOCK; /* what has been charged for must not be read again */
	buf_put_lit(call->out, "{\"Responses\":{");
	for (uint32_t t = 0; t < in->items.count && s == S_OK; t++) {
		if (t > 0)
			buf_put_byte(call->out, ',');
		s = get_part(call, &tables[t], &parts[t], &bytes, &io, err);
		done += parts[t].done;
		throttled = parts[t].throttled != S_OK ? parts[t].throttled : throttled;
	}
	if (s == S_OK && done == 0 && throttled != S_OK)
		s = throttled; /* nothing at all went through: the exception instead; err has its words */
	call->wait_seq = io.wait_seq;
	if (s == S_OK)
		finish_gets(call, in, tables, parts);
	release(tables, in->items.count);
	return s;
}

/* ---- BatchWriteItem ---- */

struct put_in {
	struct in_item item;
};
struct delete_in {
	struct in_item key;
};
struct request_in {
	struct delete_in *delete;
	struct put_in *put;
};
struct batch_write_in {
	struct in_enum return_capacity, return_collection;
	struct in_map items;
};

static const struct field put_fields[] = {FIELD(struct put_in, item, "Item", SHAPE_ITEM, FIELD_REQUIRED), FIELD_END};
static const struct field delete_fields[] = {FIELD(struct delete_in, key, "Key", SHAPE_ITEM, FIELD_REQUIRED),
					     FIELD_END};
static const struct shape shape_put = {"PutRequest", sizeof(struct put_in), put_fields};
static const struct shape shape_delete = {"DeleteRequest", sizeof(struct delete_in), delete_fields};
static const struct field request_fields[] = {
    FIELD(struct request_in, delete, "DeleteRequest", SHAPE_STRUCT, 0, .shape = &shape_delete),
    FIELD(struct request_in, put, "PutRequest", SHAPE_STRUCT, 0, .shape = &shape_put),
    FIELD_END,
};
static const struct shape shape_request = {"WriteRequest", sizeof(struct request_in), request_fields};
static const struct field request_element = ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_request);
static const struct field requests_element = ELEMENT("member", SHAPE_LIST, FIELD_REQUIRED, .element = &request_element);
static const struct field batch_write_fields[] = {
    FIELD(struct batch_write_in, return_capacity, "ReturnConsumedCapacity", SHAPE_ENUM, 0, .values = values_capacity),
    FIELD(struct batch_write_in, return_collection, "ReturnItemCollectionMetrics", SHAPE_ENUM, 0,
	  .values = values_collection),
    FIELD(struct batch_write_in, items, "RequestItems", SHAPE_MAP,
	  FIELD_REQUIRED | FIELD_MAP_KEYS | FIELD_MOVED | FIELD_LATE, .element = &requests_element,
	  .element_max = BATCH_WRITES_MAX),
    FIELD_END,
};
const struct shape shape_batch_write = {"BatchWriteItemInput", sizeof(struct batch_write_in), batch_write_fields};

static const struct request_in *
request_at(const struct batch_write_in *in, uint32_t table, uint32_t i)
{
	return ((struct request_in *const *)((const struct in_list *)in->items.items)[table].items)[i];
}

static uint32_t
requests_of(const struct batch_write_in *in, uint32_t table)
{
	return ((const struct in_list *)in->items.items)[table].count;
}

static enum status
check_writes(const struct batch_write_in *in, struct err *err)
{
	uint64_t total = 0;

	for (uint32_t t = 0; t < in->items.count; t++)
		for (uint32_t i = 0; i < requests_of(in, t); i++) {
			const struct request_in *request = request_at(in, t, i);
			enum status s;

			if ((request->put == NULL) == (request->delete == NULL))
				return err_set(err, S_VALIDATION, MSG_WRITE_REQUEST);
			s = request_check_item(request->put ? &request->put->item : &request->delete->key, err);
			if (s != S_OK)
				return s;
			if (request->put != NULL && item_size(request->put->item.value) > ITEM_SIZE_MAX)
				return err_set(err, S_VALIDATION, MSG_ITEM_TOO_BIG);
			if (++total > BATCH_WRITES_MAX)
				return err_set(err, S_VALIDATION, MSG_TOO_MANY_WRITES);
		}
	return S_OK;
}

/* Fills the writes in the request's order; *ret_count of them. */
static enum status
list_writes(const struct batch_write_in *in, const struct batch_table *tables, struct table_write *writes,
	    size_t *ret_count, struct err *err)
{
	size_t ends[BATCH_WRITES_MAX], n = 0;
	struct buf rows = {0};
	enum status s = S_OK;

	for (uint32_t t = 0; t < in->items.count && s == S_OK; t++) {
		struct table *table = tables[t].table;

		for (uint32_t i = 0; i < requests_of(in, t) && s == S_OK; i++) {
			const struct request_in *request = request_at(in, t, i);
			struct table_write *w = &writes[n];

			*w = (struct table_write){.kind = request->put ? WRITE_PUT : WRITE_DELETE, .table = table};
			if (request->put != NULL) {
				w->item = request->put->item.value;
				s = key_check_batch_item(table_schema(table), w->item, err);
			} else {
				w->key = request->delete->key.value;
				s = key_check(table_schema(table), w->key, err);
			}
			if (s == S_OK)
				note_row(&rows, ends, n++, tables, t, request->put ? w->item : w->key);
		}
	}
	if (s == S_OK)
		s = check_rows(&rows, ends, n, err);
	buf_done(&rows);
	*ret_count = n;
	return s;
}

static void
add_units(struct table_units *sums, size_t *count, const struct table_units *more, size_t more_count)
{
	for (size_t i = 0; i < more_count; i++) {
		size_t at = 0;

		while (at < *count && sums[at].index != more[i].index)
			at++;
		if (at == *count)
			sums[(*count)++] = (struct table_units){.index = more[i].index};
		sums[at].half_read += more[i].half_read;
		sums[at].half_write += more[i].half_write;
		sums[at].vector_write += more[i].vector_write;
	}
}

static void
put_write_capacity(struct op_call *call, const struct batch_write_in *in, const struct batch_table *tables,
		   const struct table_write *writes)
{
	size_t n = 0;

	buf_put_lit(call->out, ",\"ConsumedCapacity\":[");
	for (uint32_t t = 0; t < in->items.count; t++) {
		struct table_units sums[2 * (1 + LSI_MAX + GSI_MAX + VECTOR_MAX)];
		size_t count = 0;

		for (uint32_t i = 0; i < requests_of(in, t); i++, n++)
			if (count + writes[n].unit_count <= sizeof sums / sizeof *sums)
				add_units(sums, &count, writes[n].units, writes[n].unit_count);
		if (t > 0)
			buf_put_byte(call->out, ',');
		reply_capacity(call->out, tables[t].requested, sums, count, true, in->return_capacity.value);
	}
	buf_put_byte(call->out, ']');
}

static bool
same_collection(const struct table_write *a, const struct table_write *b)
{
	struct slice name = table_schema(a->table)->partition[0].name;

	return av_equal(av_get(a->kind == WRITE_PUT ? a->item : a->key, name),
			av_get(b->kind == WRITE_PUT ? b->item : b->key, name));
}

/* One entry for each item collection that was written, in tables with local indexes. */
static void
put_collections(struct op_call *call, const struct batch_write_in *in, const struct batch_table *tables,
		const struct table_write *writes, struct table_io *io)
{
	const char *between_tables = "";
	size_t n = 0;

	buf_put_lit(call->out, ",\"ItemCollectionMetrics\":{");
	for (uint32_t t = 0; t < in->items.count; t++) {
		const char *between = "";
		uint32_t count = requests_of(in, t);

		if (table_has_local_indexes(tables[t].table)) {
			buf_put(call->out, between_tables, strlen(between_tables));
			between_tables = ",";
			json_put_string(call->out, tables[t].requested);
			buf_put_lit(call->out, ":[");
			for (uint32_t i = 0; i < count; i++) {
				const struct table_write *w = &writes[n + i];
				bool told = w->status != S_OK;

				for (uint32_t j = 0; j < i; j++)
					told |= writes[n + j].status == S_OK && same_collection(w, &writes[n + j]);
				if (told)
					continue;
				buf_put(call->out, between, strlen(between));
				between = ",";
				reply_collection(call->out, w->table, w->kind == WRITE_PUT ? w->item : w->key, io);
			}
			buf_put_byte(call->out, ']');
		}
		n += count;
	}
	buf_put_byte(call->out, '}');
}

/* Those that are refused, for capacity or for a transaction, are left to the client and the others tried again, unless
 * it is all. */
static enum status
commit_allowed(struct table_write *writes, size_t count, struct table_io *io, struct err *err)
{
	struct table_write allowed[BATCH_WRITES_MAX];
	size_t places[BATCH_WRITES_MAX], left = count;
	enum status s = S_OK;

	for (size_t i = 0; i < count; i++) {
		places[i] = i;
		allowed[i] = writes[i];
	}
	while (left > 0) {
		size_t kept = 0;

		s = table_commit(allowed, left, io, err);
		for (size_t i = 0; i < left; i++) {
			writes[places[i]] = allowed[i];
			if (is_throttled(s) && is_throttled(allowed[i].status)) {
				writes[places[i]].unit_count = 0; /* they were not consumed */
				continue;
			}
			places[kept] = places[i];
			allowed[kept++] = allowed[i];
		}
		if (!is_throttled(s))
			return s;
		left = kept;
	}
	return s == S_TRANSACTION_CONFLICT ? S_OK : s; /* no error of this operation: all are left to the client */
}

static void
put_unprocessed_writes(struct op_call *call, const struct batch_write_in *in, const struct batch_table *tables,
		       const struct table_write *writes)
{
	struct buf *out = call->out;
	const char *between_tables = "";
	size_t n = 0;

	buf_put_lit(out, "{\"UnprocessedItems\":{");
	for (uint32_t t = 0; t < in->items.count; t++) {
		const char *between = "";

		for (uint32_t i = 0; i < requests_of(in, t); i++, n++) {
			const struct table_write *w = &writes[n];

			if (w->status == S_OK)
				continue;
			if (between[0] == '\0') {
				buf_put(out, between_tables, strlen(between_tables));
				json_put_string(out, tables[t].requested);
				buf_put_lit(out, ":[");
				between_tables = ",";
			} else {
				buf_put_byte(out, ',');
			}
			between = ",";
			buf_printf(out, "{\"%s\":{\"%s\":", w->kind == WRITE_PUT ? "PutRequest" : "DeleteRequest",
				   w->kind == WRITE_PUT ? "Item" : "Key");
			item_write_json(out, w->kind == WRITE_PUT ? w->item : w->key);
			buf_put_lit(out, "}}");
		}
		if (between[0] != '\0')
			buf_put_byte(out, ']');
	}
	buf_put_byte(out, '}');
}

enum status
op_batch_write(struct op_call *call, const void *input, struct err *err)
{
	const struct batch_write_in *in = input;
	struct table_io io = {.arena = call->arena, .may_block = call->may_block};
	struct table_write writes[BATCH_WRITES_MAX];
	int detail = in->return_capacity.value;
	struct batch_table *tables;
	size_t count;
	enum status s;

	if (in->items.total == 0)
		return err_set(err, S_VALIDATION, wording(W_BATCH_EMPTY), "BatchWriteItem");
	s = check_writes(in, err);
	if (s != S_OK)
		return s;
	tables = ARENA_ARRAY(call->arena, struct batch_table, in->items.count);
	s = find_tables(call, &in->items, tables, err);
	if (s == S_OK)
		s = list_writes(in, tables, writes, &count, err);
	if (s == S_OK && !table_db_throttles(call->db)) {
		s = table_commit(writes, count, &io, err);
		if (s == S_TRANSACTION_CONFLICT)
			s = commit_allowed(writes, count, &io, err);
	} else if (s == S_OK) {
		s = call->may_block ? commit_allowed(writes, count, &io, err) : S_WOULD_BLOCK;
	}
	if (s == S_OK) {
		put_unprocessed_writes(call, in, tables, writes);
		if (in->return_collection.value == 1)
			put_collections(call, in, tables, writes, &io);
		if (detail == CAPACITY_TOTAL || detail == CAPACITY_INDEXES)
			put_write_capacity(call, in, tables, writes);
		buf_put_byte(call->out, '}');
	}
	call->wait_seq = io.wait_seq;
	release(tables, in->items.count);
	return s;
}
