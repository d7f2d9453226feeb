/* Query and Scan: the same reading of pages, with or without a key condition. */
#include "api/op_int.h"
#include "codec/gzip.h"
#include "model/av_json.h"
#include "table/vector.h"

struct read_in {
	struct slice table_name, index_name;
	struct in_enum select, return_capacity, conditional_operator;
	struct in_map query_filter, key_conditions, scan_filter;
	struct in_list attributes_to_get;
	struct in_long limit, segment, total_segments;
	struct in_item start_key;
	uint8_t consistent, forward;
	struct slice key_condition, filter, projection;
	struct in_params params;
};

enum { SELECT_IN_SPECIFIC = 1, SELECT_IN_COUNT, SELECT_IN_ALL, SELECT_IN_PROJECTED }; /* values of Select */

#define READ(member, name, type, flags, ...) FIELD(struct read_in, member, name, type, flags, __VA_ARGS__)
#define READ_SELECT                          READ(select, "Select", SHAPE_ENUM, 0, .values = values_select)
#define READ_INDEX                           READ(index_name, "IndexName", SHAPE_STRING, FIELD_NAME, LIMITS(3, 255))
#define READ_CAPACITY                        READ(return_capacity, "ReturnConsumedCapacity", SHAPE_ENUM, 0, .values = values_capacity)
#define READ_TABLE                           READ(table_name, "TableName", SHAPE_TABLE, FIELD_REQUIRED | FIELD_MOVED | FIELD_FIRST)
#define READ_OPERATOR                                                                                                  \
	READ(conditional_operator, "ConditionalOperator", SHAPE_ENUM, FIELD_MOVED | FIELD_FIRST,                       \
	     .values = values_and_or, .moved_values = W_CONDITIONAL_OPERATOR)
#define READ_ATTRIBUTES                                                                                                \
	READ(attributes_to_get, "AttributesToGet", SHAPE_LIST, 0, .element = &legacy_attribute, LIMITS(1, 255))
#define READ_REST                                                                                                      \
	READ(start_key, "ExclusiveStartKey", SHAPE_ITEM, 0), READ(consistent, "ConsistentRead", SHAPE_BOOL, 0),        \
	    READ(filter, "FilterExpression", SHAPE_STRING, 0),                                                         \
	    READ(projection, "ProjectionExpression", SHAPE_STRING, 0),                                                 \
	    READ(params, "ExpressionAttributeValues", SHAPE_VALUES, 0),                                                \
	    READ(params, "ExpressionAttributeNames", SHAPE_NAMES, 0)

/* The orders are the service's. Query words the check of its Limit in a way of its own. */
static const struct field query_fields[] = {
    READ_SELECT,
    READ_INDEX,
    READ_CAPACITY,
    READ(query_filter, "QueryFilter", SHAPE_MAP, 0, .element = &legacy_condition),
    READ_TABLE,
    READ_OPERATOR,
    READ_ATTRIBUTES,
    READ(limit, "Limit", SHAPE_INT, 0),
    READ(key_conditions, "KeyConditions", SHAPE_MAP, 0, .element = &legacy_condition),
    READ(forward, "ScanIndexForward", SHAPE_BOOL, 0),
    READ(key_condition, "KeyConditionExpression", SHAPE_STRING, 0),
    READ_REST,
    FIELD_END,
};
static const struct field scan_fields[] = {
    READ_SELECT,
    READ_INDEX,
    READ(total_segments, "TotalSegments", SHAPE_INT, 0, LIMITS(1, 1000000)),
    READ_CAPACITY,
    READ(table_name, "TableName", SHAPE_TABLE, FIELD_REQUIRED | FIELD_AMONG),
    READ_OPERATOR,
    READ(scan_filter, "ScanFilter", SHAPE_MAP, 0, .element = &legacy_condition),
    READ(segment, "Segment", SHAPE_INT, 0, LIMITS(0, 999999)),
    READ(limit, "Limit", SHAPE_INT, 0, LIMITS(1, INT32_MAX)),
    READ_ATTRIBUTES,
    READ_REST,
    FIELD_END,
};
const struct shape shape_query = {"QueryInput", sizeof(struct read_in), query_fields};
const struct shape shape_scan = {"ScanInput", sizeof(struct read_in), scan_fields};

#define LEND_FROM_BYTES (32 * 1024) /* less is copied to be sent in any case */

/* One request on its way: what was bound and found. */
struct reading {
	struct op_call *call;
	const struct read_in *in;
	bool scan;
	const struct expr *key_condition, *filter, *projection;
	struct table *table;
	const struct table_index *index;
	const struct key_schema *schema; /* of the index or the table */
	struct key_range range;
};

/* ---- before the table is looked at ---- */

static enum status
check_mix(const struct read_in *in, struct err *err)
{
	const struct member expressions[] = {
	    {"ProjectionExpression", in->projection.data != NULL},
	    {"FilterExpression", in->filter.data != NULL},
	    {"KeyConditionExpression", in->key_condition.data != NULL},
	};
	const struct member legacy[] = {
	    {"AttributesToGet", in->attributes_to_get.set},
	    {"QueryFilter", in->query_filter.set},
	    {"ConditionalOperator", in->conditional_operator.text.data != NULL},
	    {"KeyConditions", in->key_conditions.set},
	};

	return request_check_mix(expressions, 3, legacy, 4, &in->params, err);
}

static enum status
check_scan_mix(const struct read_in *in, struct err *err)
{
	const struct member expressions[] = {
	    {"ProjectionExpression", in->projection.data != NULL},
	    {"FilterExpression", in->filter.data != NULL},
	};
	const struct member legacy[] = {
	    {"AttributesToGet", in->attributes_to_get.set},
	    {"ScanFilter", in->scan_filter.set},
	    {"ConditionalOperator", in->conditional_operator.text.data != NULL},
	};

	return request_check_mix(expressions, 2, legacy, 3, &in->params, err);
}

/* The service tells some value errors of a starting key bare and the rest with a prefix. */
static enum status
check_start_values(const struct in_item *key, struct err *err)
{
	static const char *const bare[] = {"contains duplicates", "number set", "numeric value", "significant digits",
					   "number with magnitude"};

	if (key->failure == NULL)
		return S_OK;
	for (size_t i = 0; i < sizeof bare / sizeof *bare; i++)
		if (strstr(key->failure, bare[i]) != NULL)
			return err_set(err, S_VALIDATION, "%s", key->failure);
	return err_set(err, S_VALIDATION, MSG_START_KEY_BECAUSE, key->failure);
}

static enum status
check_segments(const struct read_in *in, struct err *err)
{
	if (in->segment.set && !in->total_segments.set)
		return err_set(err, S_VALIDATION, MSG_NO_TOTAL_SEGMENTS);
	if (in->total_segments.set && !in->segment.set)
		return err_set(err, S_VALIDATION, MSG_NO_SEGMENT);
	if (in->segment.set && in->segment.value >= in->total_segments.value)
		return err_set(err, S_VALIDATION, MSG_SEGMENT_TOO_BIG, (long long)in->segment.value,
			       (long long)in->total_segments.value);
	return S_OK;
}

static enum status
check_select(const struct reading *r, struct err *err)
{
	static const char *const chosen[] = {[SELECT_IN_COUNT] = "only the Count",
					     [SELECT_IN_ALL] = "ALL_ATTRIBUTES",
					     [SELECT_IN_PROJECTED] = "ALL_PROJECTED_ATTRIBUTES"};
	const struct read_in *in = r->in;
	int select = in->select.value;
	bool some = in->projection.data != NULL || in->attributes_to_get.set;

	if (select == SELECT_IN_SPECIFIC && !some)
		return err_set(err, S_VALIDATION, "%s", wording(W_SELECT_SPECIFIC));
	if (select == SELECT_IN_PROJECTED && in->index_name.data == NULL)
		return err_set(err, S_VALIDATION, MSG_SELECT_PROJECTED, r->scan ? "Scanning" : "Querying");
	if (some && select > SELECT_IN_SPECIFIC)
		return err_set(err, S_VALIDATION, MSG_SELECT_NOT_SPECIFIC,
			       in->projection.data != NULL ? "ProjectionExpression" : "AttributesToGet",
			       chosen[select]);
	return S_OK;
}

static enum status
bind(struct reading *r, struct err *err)
{
	const struct read_in *in = r->in;
	struct expr_params params = in->params.p;
	const struct {
		enum expr_kind kind;
		struct slice text;
		const struct expr **ret;
	} parts[] = {
	    {EXPR_KEY_CONDITION, in->key_condition, &r->key_condition},
	    {EXPR_FILTER, in->filter, &r->filter},
	    {EXPR_PROJECTION, in->projection, &r->projection},
	};
	enum status s = request_check_params(&in->params, true, err);

	for (size_t i = 0; i < 3 && s == S_OK; i++) {
		struct expr *e;

		if (parts[i].text.data == NULL)
			continue;
		s = expr_bind(parts[i].kind, parts[i].text, &params, r->call->arena, &e, err);
		*parts[i].ret = e;
	}
	return s == S_OK ? expr_params_check_unused(&params, err) : s;
}

static enum status
prepare(struct reading *r, struct err *err)
{
	const struct read_in *in = r->in;
	struct arena *arena = r->call->arena;
	enum status s = r->scan ? check_scan_mix(in, err) : check_mix(in, err);

	if (s == S_OK && !r->scan && in->limit.set && in->limit.value < 1)
		s = err_set(err, S_VALIDATION, MSG_QUERY_LIMIT);
	if (s == S_OK && !r->scan)
		s = legacy_filter(&in->query_filter, &in->conditional_operator, arena, &r->filter, err);
	if (s == S_OK)
		s = legacy_attributes_to_get(&in->attributes_to_get, arena, &r->projection, err);
	if (s == S_OK && r->scan)
		s = legacy_filter(&in->scan_filter, &in->conditional_operator, arena, &r->filter, err);
	if (s == S_OK)
		s = check_start_values(&in->start_key, err);
	if (s == S_OK && r->scan)
		s = check_segments(in, err);
	if (s == S_OK && !r->scan && in->key_condition.data == NULL && !in->key_conditions.set)
		s = err_set(err, S_VALIDATION, MSG_NO_KEY_CONDITION);
	if (s == S_OK)
		s = check_select(r, err);
	if (s == S_OK)
		s = bind(r, err);
	if (s == S_OK)
		s = legacy_key_conditions(&in->key_conditions, arena, &r->key_condition, err);
	return s == S_OK && !r->scan ? expr_key_check(r->key_condition, err) : s;
}

/* ---- against the table ---- */

static const struct key_attr *
attr_at(const struct key_schema *schema, uint8_t i)
{
	return i < schema->partition_count ? &schema->partition[i] : &schema->sort[i - schema->partition_count];
}

static uint8_t
attr_count(const struct key_schema *schema)
{
	return (uint8_t)(schema->partition_count + schema->sort_count);
}

/* Only the schema's attributes of a starting key. */
static struct av
pick_key(const struct key_schema *schema, struct av key, struct arena *arena)
{
	struct slice names[2 * KEY_ATTRS_MAX];
	uint8_t count = attr_count(schema);

	for (uint8_t i = 0; i < count; i++)
		names[i] = attr_at(schema, i)->name;
	return item_pick(arena, key, names, count);
}

/* Lengths and emptiness too, told as the starting key's fault. */
static enum status
check_start_part(const struct reading *r, const struct key_schema *schema, struct err *err)
{
	struct err inner;

	if (key_check(schema, pick_key(schema, r->in->start_key.value, r->call->arena), &inner) == S_OK)
		return S_OK;
	return err_set(err, S_VALIDATION, MSG_START_KEY_BECAUSE, inner.message);
}

/* How many attributes it has. */
static enum status
check_start_count(const struct reading *r, struct err *err)
{
	const struct key_schema *table = table_schema(r->table);
	uint32_t wanted = attr_count(table);

	if (!r->in->start_key.set)
		return S_OK;
	if (r->index != NULL)
		for (uint8_t i = 0; i < attr_count(r->schema); i++)
			wanted += !key_has_attr(table, attr_at(r->schema, i)->name);
	if (av_count(r->in->start_key.value) != wanted)
		return r->scan && r->index == NULL ? err_set(err, S_VALIDATION, MSG_START_KEY_BECAUSE, MSG_KEY_ELEMENT)
						   : err_set(err, S_VALIDATION, MSG_START_KEY);
	return S_OK;
}

/* Some of the attributes of what is read: `from` to before `to`, sort attributes behind the partition's. */
static enum status
check_start_attrs(const struct reading *r, uint8_t from, uint8_t to, struct err *err)
{
	if (!r->in->start_key.set)
		return S_OK;
	for (uint8_t i = from; i < to; i++) {
		const struct key_attr *attr = attr_at(r->schema, i);
		struct av value = av_get(r->in->start_key.value, attr->name);

		if (!av_exists(value))
			return err_set(err, S_VALIDATION, MSG_START_KEY);
		if (av_type(value) != attr->type)
			return err_set(err, S_VALIDATION, MSG_KEY_ELEMENT);
	}
	return S_OK;
}

/* The keys in it; whether they lie within the query or segment is told when the page is read. */
static enum status
check_start_keys(const struct reading *r, struct err *err)
{
	enum status s;

	if (!r->in->start_key.set)
		return S_OK;
	s = check_start_part(r, table_schema(r->table), err);
	if (s == S_OK && r->index != NULL)
		s = check_start_part(r, r->schema, err);
	return s;
}

static enum status
check_filter(const struct reading *r, struct err *err)
{
	if (r->filter == NULL)
		return S_OK;
	for (uint8_t i = 0; i < attr_count(r->schema); i++)
		if (expr_uses_attr(r->filter, attr_at(r->schema, i)->name))
			return err_set(err, S_VALIDATION, MSG_FILTER_KEY,
				       r->in->query_filter.set ? "QueryFilter" : "Filter Expression",
				       SLICE_ARG(attr_at(r->schema, i)->name));
	return S_OK;
}

static bool
is_projected(const struct reading *r, struct slice name)
{
	const struct table_index_spec *spec = table_index_spec(r->index);

	if (spec->projection == PROJECT_ALL || key_has_attr(r->schema, name) ||
	    key_has_attr(table_schema(r->table), name))
		return true;
	if (spec->projection == PROJECT_INCLUDE)
		for (size_t i = 0; i < spec->include_count; i++)
			if (slice_eq(spec->include[i], name))
				return true;
	return false;
}

/* A global index gives what is in it; a local one fetches the rest from the table. */
static enum status
check_select_all(const struct reading *r, struct err *err)
{
	const struct table_index_spec *spec = r->index != NULL ? table_index_spec(r->index) : NULL;

	if (spec != NULL && spec->global && r->in->select.value == SELECT_IN_ALL && spec->projection != PROJECT_ALL)
		return err_set(err, S_VALIDATION, MSG_SELECT_ALL_GLOBAL, SLICE_ARG(spec->name));
	return S_OK;
}

static enum status
check_projection(const struct reading *r, struct err *err)
{
	const struct table_index_spec *spec = r->index != NULL ? table_index_spec(r->index) : NULL;

	if (spec != NULL && spec->global && r->projection != NULL) {
		size_t count;
		const struct slice *names = expr_projected_attrs(r->projection, &count);

		for (size_t i = 0; i < count; i++)
			if (!is_projected(r, names[i]))
				return err_set(err, S_VALIDATION, MSG_GLOBAL_NOT_PROJECTED, SLICE_ARG(spec->name),
					       SLICE_ARG(names[i]));
	}
	return S_OK;
}

static enum status
find_index(struct reading *r, struct err *err)
{
	const struct read_in *in = r->in;
	enum status s;

	r->schema = table_schema(r->table);
	if (in->index_name.data == NULL)
		return S_OK;
	if (!r->scan && table_vector_index_find(r->table, in->index_name))
		return err_set(err, S_VALIDATION, "%s",
			       in->consistent == IN_TRUE ? MSG_CONSISTENT_GLOBAL : MSG_QUERY_VECTOR);
	s = table_index_for_read(r->table, in->index_name, &r->index, err);
	if (s != S_OK)
		return s;
	r->schema = table_index_schema(r->index);
	if (table_index_spec(r->index)->global && in->consistent == IN_TRUE)
		return err_set(err, S_VALIDATION, MSG_CONSISTENT_GLOBAL);
	return S_OK;
}

/* Starting key and condition, attribute by attribute: the service looks at both of one before it goes to the next. */
static enum status
check_query(struct reading *r, struct err *err)
{
	uint8_t partition = r->schema->partition_count;
	enum status s = check_start_attrs(r, 0, partition, err);

	if (s == S_OK && r->in->start_key.set)
		s = expr_key_range_partition(r->key_condition, r->schema, err);
	if (s == S_OK)
		s = check_start_attrs(r, partition, attr_count(r->schema), err);
	if (s == S_OK)
		s = expr_key_range(r->key_condition, r->schema, &r->range, err);
	return s == S_OK ? check_start_keys(r, err) : s;
}

static enum status
check_scan(struct reading *r, struct err *err)
{
	enum status s = r->index != NULL ? check_start_attrs(r, 0, attr_count(r->schema), err) : S_OK;

	if (s == S_OK)
		s = check_select_all(r, err);
	return s == S_OK ? check_start_keys(r, err) : s;
}

static enum status
check_expressions(const struct reading *r, struct err *err)
{
	enum status s = request_check_scalars(r->table, r->projection, err);

	if (s == S_OK && !r->scan)
		s = check_filter(r, err);
	if (s == S_OK && !r->scan)
		s = check_select_all(r, err);
	if (s == S_OK)
		s = request_check_scalars(r->table, r->filter, err);
	return s == S_OK ? check_projection(r, err) : s;
}

/* ---- the page ---- */

static enum select_kind
select_kind(const struct reading *r)
{
	switch (r->in->select.value) {
	case SELECT_IN_COUNT:
		return SELECT_COUNT;
	case SELECT_IN_ALL:
		return SELECT_ALL;
	case SELECT_IN_PROJECTED:
		return SELECT_PROJECTED;
	default:
		if (r->projection != NULL)
			return SELECT_SPECIFIC;
		return r->index != NULL ? SELECT_PROJECTED : SELECT_ALL;
	}
}

/* All that comes before the items, of which there are none for SELECT_COUNT. */
static void
write_head(const struct reading *r, const struct table_page *page, struct buf *out)
{
	int detail = r->in->return_capacity.value;
	const char *between = "";

	buf_put_byte(out, '{');
	if (detail == CAPACITY_TOTAL || detail == CAPACITY_INDEXES) {
		struct table_units units[] = {page->units, page->table_units};

		reply_name(out, &between, "ConsumedCapacity");
		reply_capacity(out, r->in->table_name, units, 2, false, detail);
	}
	reply_name(out, &between, "Count");
	json_put_int(out, page->count);
	if (r->in->select.value != SELECT_IN_COUNT) {
		reply_name(out, &between, "Items");
		buf_put_byte(out, '[');
	}
}

/*
 * The items are written while they are read, and what comes before them tells how many there are: it is written last,
 * into a gap as large as it was the last time. They are moved when it is another size now.
 */
static _Thread_local size_t gap_bytes = 32;

static void
begin_items(struct buf *out)
{
	buf_reserve(out, gap_bytes);
	out->len += gap_bytes;
}

static void
write_item(void *context, struct av item)
{
	const struct reading *r = context;
	struct buf *out = r->call->out;

	item_write_json(out, item);
	buf_put_byte(out, ',');
}

/* The items as they are told, without the last comma. */
static struct slice
written_items(void *context)
{
	const struct reading *r = context;
	const struct buf *out = r->call->out;
	size_t start = r->call->out_start + gap_bytes, len = out->len - start;

	return slice_of(out->data + start, len > 0 ? len - 1 : 0);
}

static void
put_head(const struct reading *r, const struct table_page *page, struct buf *out)
{
	size_t start = r->call->out_start, items = out->len - start - gap_bytes;
	struct buf head = {0};

	if (page->count > 0 && r->in->select.value != SELECT_IN_COUNT) {
		out->len--; /* the last item's comma */
		items--;
	}
	write_head(r, page, &head);
	if (head.len != gap_bytes) {
		buf_reserve(out, head.len);
		memmove(out->data + start + head.len, out->data + start + gap_bytes, items);
		gap_bytes = head.len;
	}
	memcpy(out->data + start, head.data, head.len);
	out->len = start + head.len + items;
	buf_done(&head);
}

/* What comes behind the items. */
static void
write_tail(const struct reading *r, const struct table_page *page)
{
	struct buf *out = r->call->out;
	const char *between = ",";

	if (r->in->select.value != SELECT_IN_COUNT)
		buf_put_byte(out, ']');
	if (av_exists(page->last_key)) {
		reply_name(out, &between, "LastEvaluatedKey");
		item_write_json(out, page->last_key);
	}
	reply_name(out, &between, "ScannedCount");
	json_put_int(out, page->scanned);
	buf_put_byte(out, '}');
}

/* A page whose items were told before, with their CRC: they are not looked at, and if they are many not even copied. */
static void
write_kept(const struct reading *r, struct table_page *page)
{
	struct op_call *call = r->call;
	struct buf *out = call->out;
	size_t start = call->out_start, end;

	out->len = start;
	write_head(r, page, out);
	call->crc =
	    crc32_join(crc32_of(slice_of(out->data + start, out->len - start)), page->text.crc, page->text.crc_shift);
	if (call->takes_text && !call->may_block && page->text.len > LEND_FROM_BYTES) {
		call->text = page->text;
		call->text_at = out->len - start;
		page->text.entry = NULL;
	} else {
		buf_reserve(out, page->text.len + 1024);
		table_text_copy(&page->text, out->data + out->len);
		out->len += page->text.len;
	}
	end = out->len;
	write_tail(r, page);
	call->crc = crc32_more(call->crc, slice_of(out->data + end, out->len - end));
	call->has_crc = true;
}

static void
write_reply(const struct reading *r, struct table_page *page)
{
	if (page->text.entry != NULL) {
		write_kept(r, page);
		return;
	}
	put_head(r, page, r->call->out);
	write_tail(r, page);
}

static struct table_read
whole_read(const struct reading *r)
{
	const struct read_in *in = r->in;

	return (struct table_read){
	    .table = r->table,
	    .index = r->index,
	    .range = r->scan ? NULL : &r->range,
	    .segment = (uint32_t)in->segment.value,
	    .total_segments = in->total_segments.set ? (uint32_t)in->total_segments.value : 1,
	    .backward = in->forward == IN_FALSE,
	    .consistent = in->consistent == IN_TRUE,
	    .start_key = in->start_key.value,
	    .limit = (uint32_t)in->limit.value,
	    .filter = r->filter,
	    .projection = r->projection,
	    .select = select_kind(r),
	    .take = write_item,
	    .text = written_items,
	    .context = (void *)r,
	};
}

/*
 * Where the starting key lies is told before what is wrong with the expressions. The table finds it when it reads: so
 * when they are wrong, and only then, it reads for that alone.
 */
static enum status
fail_expressions(const struct reading *r, enum status s, struct err *err)
{
	struct table_io io = {.arena = r->call->arena, .may_block = r->call->may_block};
	struct table_read read = whole_read(r);
	struct table_page page = {0};
	struct err place;
	enum status other = S_OK;

	read.limit = 1;
	read.filter = read.projection = NULL;
	read.select = SELECT_COUNT;
	read.text = NULL;
	if (r->in->start_key.set)
		other = table_read_page(&read, &io, &page, &place);
	if (other == S_OK)
		return s;
	*err = place;
	return other;
}

static enum status
check_against_table(struct reading *r, struct err *err)
{
	enum status s = find_index(r, err);

	if (s == S_OK)
		s = check_start_count(r, err);
	if (s == S_OK)
		s = r->scan ? check_scan(r, err) : check_query(r, err);
	if (s != S_OK)
		return s;
	s = check_expressions(r, err);
	return s == S_OK ? S_OK : fail_expressions(r, s, err);
}

static enum status
charge(const struct reading *r, const struct table_page *page, struct err *err)
{
	const struct key_range *range = r->scan ? NULL : &r->range;
	const struct table_charge of[] = {
	    {.table = r->table, .index = page->units.index, .half_units = page->units.half_read, .range = range},
	    {.table = r->table, .half_units = page->table_units.half_read, .range = range},
	};

	return table_charge_reads(of, 2, NULL, err);
}

static enum status
read_page(struct reading *r, struct err *err)
{
	struct table_io io = {.arena = r->call->arena, .may_block = r->call->may_block};
	struct table_read read = whole_read(r);
	struct table_page page = {0};
	enum status s;

	begin_items(r->call->out);
	s = table_read_page(&read, &io, &page, err);
	if (s == S_OK)
		s = charge(r, &page, err);
	r->call->wait_seq = io.wait_seq;
	if (s == S_OK)
		write_reply(r, &page);
	table_text_done(&page.text);
	return s;
}

static enum status
run(struct op_call *call, const struct read_in *in, bool scan, struct err *err)
{
	struct reading r = {.call = call, .in = in, .scan = scan};
	enum status s = prepare(&r, err);

	if (s == S_OK)
		s = request_table(call, in->table_name, &r.table, err);
	if (s != S_OK)
		return s;
	s = check_against_table(&r, err);
	if (s == S_OK)
		s = read_page(&r, err);
	table_release(r.table);
	return s;
}

enum status
op_query(struct op_call *call, const void *in, struct err *err)
{
	return run(call, in, false, err);
}

#define SCAN_INLINE_MAX 100 /* items; a longer scan goes to the pool at once */

enum status
op_scan(struct op_call *call, const void *input, struct err *err)
{
	const struct read_in *in = input;

	if (!call->may_block && (!in->limit.set || in->limit.value > SCAN_INLINE_MAX))
		return S_WOULD_BLOCK;
	return run(call, in, true, err);
}
