/* DynamoDB Streams: ListStreams, DescribeStream, GetShardIterator, GetRecords. */
#include "api/op_int.h"
#include "api/stream_iterator.h"
#include "model/av_json.h"
#include "table/stream.h"

#define PAGE_RECORDS 1000
#define PAGE_BYTES   (1024 * 1024)

static const char *const values_start[] = {"AFTER_SEQUENCE_NUMBER", "LATEST", "AT_SEQUENCE_NUMBER", "TRIM_HORIZON",
					   NULL};
static const enum stream_start starts[] = {START_AFTER_SEQUENCE, START_LATEST, START_AT_SEQUENCE, START_TRIM_HORIZON};
static const char *const values_filter[] = {"CHILD_SHARDS", NULL};
static const char *const statuses[] = {[STREAM_ENABLING] = "ENABLING",
				       [STREAM_ENABLED] = "ENABLED",
				       [STREAM_DISABLING] = "DISABLING",
				       [STREAM_DISABLED] = "DISABLED"};
static const char *const kinds[] = {[CHANGE_INSERT] = "INSERT", [CHANGE_MODIFY] = "MODIFY", [CHANGE_REMOVE] = "REMOVE"};

/* An ARN of a stream in some account and region; S_VALIDATION for anything else. */
static enum status
check_arn(struct slice arn, struct err *err)
{
	const char *at = arn.data, *end = arn.data + arn.len;
	int colons = 0;

	if (slice_starts(arn, SLICE("arn:aws:dynamodb:")))
		for (; at < end && colons < 5; at++)
			colons += *at == ':';
	if (colons == 5 && slice_starts(slice_of(at, (size_t)(end - at)), SLICE("table/")) &&
	    memmem(at, (size_t)(end - at), "/stream/", 8) != NULL)
		return S_OK;
	return err_set(err, S_VALIDATION, MSG_STREAM_ARN);
}

static void
put_time(struct buf *out, int64_t ms)
{
	buf_printf(out, "%lld.%03d", (long long)(ms / 1000), (int)(ms % 1000));
}

/* ---- ListStreams ---- */

struct list_in {
	struct slice table_name, start;
	struct in_long limit;
};
static const struct field list_fields[] = {
    FIELD(struct list_in, table_name, "TableName", SHAPE_STRING, FIELD_NAME, LIMITS(3, 255)),
    FIELD(struct list_in, limit, "Limit", SHAPE_INT, 0, LIMITS(1, 100)),
    FIELD(struct list_in, start, "ExclusiveStartStreamArn", SHAPE_STRING, 0, LIMITS(37, 1024)),
    FIELD_END,
};
const struct shape shape_list_streams = {"ListStreamsInput", sizeof(struct list_in), list_fields};

enum status
op_list_streams(struct op_call *call, const void *input, struct err *err)
{
	const struct list_in *in = input;
	struct stream_name *names;
	size_t count;
	bool more;
	enum status s = in->start.len > 0 ? check_arn(in->start, err) : S_OK;

	if (s != S_OK)
		return s;
	stream_list(call->db, in->table_name, in->start, in->limit.set ? (size_t)in->limit.value : 100, call->arena,
		    &names, &count, &more);
	buf_put_lit(call->out, "{\"Streams\":[");
	for (size_t i = 0; i < count; i++) {
		buf_printf(call->out, "%s{\"StreamArn\":", i > 0 ? "," : "");
		json_put_string(call->out, names[i].arn);
		buf_put_lit(call->out, ",\"TableName\":");
		json_put_string(call->out, names[i].table_name);
		buf_put_lit(call->out, ",\"StreamLabel\":");
		json_put_string(call->out, names[i].label);
		buf_put_byte(call->out, '}');
	}
	buf_put_byte(call->out, ']');
	if (more) {
		buf_put_lit(call->out, ",\"LastEvaluatedStreamArn\":");
		json_put_string(call->out, names[count - 1].arn);
	}
	buf_put_byte(call->out, '}');
	return S_OK;
}

/* ---- DescribeStream ---- */

struct filter_in {
	struct in_enum type;
	struct slice shard_id;
};
static const struct field filter_fields[] = {
    FIELD(struct filter_in, type, "Type", SHAPE_ENUM, 0, .values = values_filter),
    FIELD(struct filter_in, shard_id, "ShardId", SHAPE_STRING, 0, LIMITS(28, 65)),
    FIELD_END,
};
static const struct shape shape_filter = {"ShardFilter", sizeof(struct filter_in), filter_fields};

struct describe_in {
	struct slice arn, start;
	struct in_long limit;
	struct filter_in *filter;
};
static const struct field describe_fields[] = {
    FIELD(struct describe_in, arn, "StreamArn", SHAPE_STRING, FIELD_REQUIRED, LIMITS(37, 1024)),
    FIELD(struct describe_in, limit, "Limit", SHAPE_INT, 0, LIMITS(1, 100)),
    FIELD(struct describe_in, start, "ExclusiveStartShardId", SHAPE_STRING, 0, LIMITS(28, 65)),
    FIELD(struct describe_in, filter, "ShardFilter", SHAPE_STRUCT, 0, .shape = &shape_filter),
    FIELD_END,
};
const struct shape shape_describe_stream = {"DescribeStreamInput", sizeof(struct describe_in), describe_fields};

static void
put_key_attrs(struct buf *out, const struct key_attr *attrs, unsigned count, const char *type, const char **between)
{
	for (unsigned i = 0; i < count; i++) {
		buf_printf(out, "%s{\"AttributeName\":", *between);
		json_put_string(out, attrs[i].name);
		buf_printf(out, ",\"KeyType\":\"%s\"}", type);
		*between = ",";
	}
}

static void
put_shard(struct buf *out, const struct stream_shard *shard)
{
	char number[SEQUENCE_DIGITS_MAX + 1];

	stream_sequence(shard->first, shard->partition, number);
	buf_printf(out, "{\"ShardId\":\"%.*s\",\"SequenceNumberRange\":{\"StartingSequenceNumber\":\"%s\"",
		   SLICE_ARG(shard->id), number);
	if (shard->last != 0) {
		stream_sequence(shard->last, shard->partition, number);
		buf_printf(out, ",\"EndingSequenceNumber\":\"%s\"", number);
	}
	buf_put_byte(out, '}');
	if (shard->parent.len > 0)
		buf_printf(out, ",\"ParentShardId\":\"%.*s\"", SLICE_ARG(shard->parent));
	buf_put_byte(out, '}');
}

static void
put_description(struct buf *out, const struct stream_description *d)
{
	const char *between = "";

	buf_put_lit(out, "{\"StreamDescription\":{\"StreamArn\":");
	json_put_string(out, d->name.arn);
	buf_put_lit(out, ",\"StreamLabel\":");
	json_put_string(out, d->name.label);
	buf_printf(out, ",\"StreamStatus\":\"%s\",\"StreamViewType\":\"%s\",\"CreationRequestDateTime\":",
		   statuses[d->status], stream_view_names[d->view - 1]);
	put_time(out, d->created_ms);
	buf_put_lit(out, ",\"TableName\":");
	json_put_string(out, d->name.table_name);
	buf_put_lit(out, ",\"KeySchema\":[");
	put_key_attrs(out, d->schema.partition, d->schema.partition_count, "HASH", &between);
	put_key_attrs(out, d->schema.sort, d->schema.sort_count, "RANGE", &between);
	buf_put_lit(out, "],\"Shards\":[");
	for (size_t i = 0; i < d->shard_count; i++) {
		if (i > 0)
			buf_put_byte(out, ',');
		put_shard(out, &d->shards[i]);
	}
	buf_put_byte(out, ']');
	if (d->more) {
		buf_put_lit(out, ",\"LastEvaluatedShardId\":");
		json_put_string(out, d->shards[d->shard_count - 1].id);
	}
	buf_put_lit(out, "}}");
}

enum status
op_describe_stream(struct op_call *call, const void *input, struct err *err)
{
	const struct describe_in *in = input;
	struct table_io io = {.arena = call->arena, .may_block = call->may_block};
	struct stream_description d;
	struct slice parent = SLICE_NONE;
	enum status s = check_arn(in->arn, err);

	if (s == S_OK && in->filter != NULL) {
		if (in->filter->type.value == 0 || in->filter->shard_id.len == 0)
			return err_set(err, S_VALIDATION, MSG_SHARD_FILTER);
		parent = in->filter->shard_id;
	}
	if (s == S_OK)
		s = stream_look_describe(call->db, in->arn, err);
	if (s == S_OK)
		s = stream_describe(call->db, in->arn, in->start, parent, in->limit.set ? (size_t)in->limit.value : 100,
				    &io, &d, err);
	if (s == S_OK)
		put_description(call->out, &d);
	call->wait_seq = io.wait_seq;
	return s;
}

/* ---- GetShardIterator ---- */

struct iterator_in {
	struct slice arn, shard_id, sequence;
	struct in_enum type;
};
static const struct field iterator_fields[] = {
    FIELD(struct iterator_in, arn, "StreamArn", SHAPE_STRING, FIELD_REQUIRED, LIMITS(37, 1024)),
    FIELD(struct iterator_in, shard_id, "ShardId", SHAPE_STRING, FIELD_REQUIRED, LIMITS(28, 65)),
    FIELD(struct iterator_in, type, "ShardIteratorType", SHAPE_ENUM, FIELD_REQUIRED, .values = values_start),
    FIELD(struct iterator_in, sequence, "SequenceNumber", SHAPE_STRING, 0,
	  LIMITS(SEQUENCE_DIGITS_MIN, SEQUENCE_DIGITS_MAX)),
    FIELD_END,
};
const struct shape shape_get_shard_iterator = {"GetShardIteratorInput", sizeof(struct iterator_in), iterator_fields};

enum status
op_get_shard_iterator(struct op_call *call, const void *input, struct err *err)
{
	const struct iterator_in *in = input;
	struct table_io io = {.arena = call->arena, .may_block = call->may_block};
	enum stream_start start = starts[in->type.value - 1];
	bool by_sequence = start == START_AT_SEQUENCE || start == START_AFTER_SEQUENCE;
	struct stream_iterator it = {.arn = in->arn, .shard_id = in->shard_id, .made_ms = stream_iterator_now_ms()};
	enum status s = S_OK;

	if (by_sequence && in->sequence.data == NULL)
		s = err_set(err, S_VALIDATION, MSG_SEQUENCE_MISSING, values_start[in->type.value - 1]);
	else if (!by_sequence && in->sequence.data != NULL)
		s = err_set(err, S_VALIDATION, MSG_SEQUENCE_EXTRA, values_start[in->type.value - 1]);
	if (s == S_OK)
		s = check_arn(in->arn, err);
	if (s == S_OK)
		s = stream_find(call->db, in->arn, in->shard_id, start, in->sequence, &io, &it.seq, err);
	if (s != S_OK)
		return s;
	buf_put_lit(call->out, "{\"ShardIterator\":\""); /* nothing in it that JSON would escape */
	stream_iterator_put(call->out, &it, stream_secret(call->db));
	buf_put_lit(call->out, "\"}");
	call->wait_seq = io.wait_seq;
	return S_OK;
}

/* ---- GetRecords ---- */

struct records_in {
	struct slice iterator;
	struct in_long limit;
};
static const struct field records_fields[] = {
    FIELD(struct records_in, iterator, "ShardIterator", SHAPE_STRING, FIELD_REQUIRED,
	  LIMITS(1, STREAM_ITERATOR_BYTES_MAX)),
    FIELD(struct records_in, limit, "Limit", SHAPE_INT, 0, LIMITS(1, PAGE_RECORDS)),
    FIELD_END,
};
const struct shape shape_get_records = {"GetRecordsInput", sizeof(struct records_in), records_fields};

struct writer {
	struct buf *out;
	const char *region;
	uint64_t bytes; /* the sum of SizeBytes */
	bool any;
};

/* Names stand in the order in which the service's documentation shows them. */
static void
put_record(void *context, const struct stream_page *page, const struct change *c)
{
	struct writer *w = context;
	struct buf *out = w->out;
	uint64_t size = item_size(c->keys);
	char number[SEQUENCE_DIGITS_MAX + 1];

	if (w->any)
		buf_put_byte(out, ',');
	w->any = true;
	buf_put_lit(out, "{\"eventID\":\"");
	buf_reserve(out, 32);
	stream_event_id(page, c->seq, out->data + out->len);
	out->len += 32;
	buf_put_lit(out, "\",\"eventName\":\"");
	buf_put(out, kinds[c->kind], 6);
	buf_put_lit(out, "\",\"eventVersion\":\"1.1\",\"eventSource\":\"aws:dynamodb\",\"awsRegion\":\"");
	buf_put(out, w->region, strlen(w->region));
	buf_put_lit(out, "\",\"dynamodb\":{\"ApproximateCreationDateTime\":");
	json_put_int(out, c->committed_us / 1000000);
	buf_put_lit(out, ",\"Keys\":");
	item_write_json(out, c->keys);
	if (av_exists(c->new_image)) {
		size += item_size(c->new_image);
		buf_put_lit(out, ",\"NewImage\":");
		item_write_json(out, c->new_image);
	}
	if (av_exists(c->old_image)) {
		size += item_size(c->old_image);
		buf_put_lit(out, ",\"OldImage\":");
		item_write_json(out, c->old_image);
	}
	w->bytes += size;
	stream_sequence(c->seq, page->partition, number);
	buf_put_lit(out, ",\"SequenceNumber\":\"");
	buf_put(out, number, strlen(number));
	buf_put_lit(out, "\",\"SizeBytes\":");
	json_put_int(out, (int64_t)size);
	buf_put_lit(out, ",\"StreamViewType\":\"");
	buf_put(out, stream_view_names[page->view - 1], strlen(stream_view_names[page->view - 1]));
	buf_put_lit(out, "\"}");
	if (c->cause == CAUSE_TTL)
		buf_put_lit(out, ",\"userIdentity\":{\"PrincipalId\":\"dynamodb.amazonaws.com\",\"Type\":\"Service\"}");
	buf_put_byte(out, '}');
}

enum status
op_get_records(struct op_call *call, const void *input, struct err *err)
{
	const struct records_in *in = input;
	struct table_io io = {.arena = call->arena, .may_block = call->may_block};
	struct writer w = {.out = call->out, .region = table_db_region(call->db)};
	struct stream_iterator it;
	struct stream_page page;
	int64_t now_ms = stream_iterator_now_ms();
	enum status s = stream_iterator_parse(in->iterator, stream_secret(call->db), call->arena, &it, err);

	if (s != S_OK)
		return s;
	if (stream_iterator_expired(&it, now_ms))
		return err_set(err, S_EXPIRED_ITERATOR, MSG_ITERATOR_EXPIRED);
	if (it.more && !call->may_block) /* a large page in all likelihood: it would not be finished here */
		return S_WOULD_BLOCK;
	s = stream_look_read(call->db, it.arn, it.shard_id, err);
	if (s != S_OK)
		return s;
	buf_put_lit(call->out, "{\"Records\":[");
	s = stream_read(call->db, it.arn, it.shard_id, it.seq, in->limit.set ? (uint32_t)in->limit.value : PAGE_RECORDS,
			PAGE_BYTES, &io, put_record, &w, &page, err);
	if (s != S_OK)
		return s;
	stream_charge_read(call->db, it.arn, it.shard_id, w.bytes);
	buf_put_byte(call->out, ']');
	if (!page.ended) {
		it.seq = page.next_seq;
		it.more = page.more;
		it.made_ms = now_ms;
		buf_put_lit(call->out, ",\"NextShardIterator\":\"");
		stream_iterator_put(call->out, &it, stream_secret(call->db));
		buf_put_byte(call->out, '"');
	}
	buf_put_byte(call->out, '}');
	call->wait_seq = io.wait_seq;
	return S_OK;
}

const struct op stream_ops[] = {
    {"DescribeStream", OP_READS, &shape_describe_stream, op_describe_stream, S_OK, NULL},
    {"GetRecords", OP_READS, &shape_get_records, op_get_records, S_OK, NULL},
    {"GetShardIterator", OP_READS, &shape_get_shard_iterator, op_get_shard_iterator, S_OK, NULL},
    {"ListStreams", OP_READS, &shape_list_streams, op_list_streams, S_OK, NULL},
};
const size_t stream_op_count = sizeof stream_ops / sizeof *stream_ops;
