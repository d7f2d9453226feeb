/*
 * Any target and any body against three tables on a memory engine: whatever comes, it is answered with a 2xx or 4xx and
 * JSON, and what is refused is refused alike in both wordings of errors. Input: the operation's name, which may have
 * the service before it ("AmazonDAXV3.DescribeClusters"), a newline, the body. Several requests may follow each other,
 * divided by a zero byte, so that one can build on what another wrote; bytes 1 to 4 stand for what an answer told last:
 * a stream's ARN, a shard, an iterator, a resource's ARN.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/auth.h"
#include "api/op.h"
#include "fleet/still_machine.h"

static struct op_context *context, *newer; /* in the classic wording of errors and in that of 2026 */
static struct table_db *db;
static const struct auth_caller *limited; /* whose policy looks at everything, and may refuse */

static void
done(struct op_call *call)
{
	if (call->http_status != 200 && call->http_status != 400)
		abort();
}

static void
check_json(const struct buf *out)
{
	struct arena arena = {0};
	struct json_reader r;

	if (out->len == 0) /* operations without output */
		return;
	json_init(&r, buf_slice(out), &arena);
	json_skip(&r);
	json_end(&r);
	if (json_failed(&r))
		abort();
	arena_done(&arena);
}

static const char *const told_members[] = {"StreamArn\":\"", "ShardId\":\"", "ShardIterator\":\"", "Arn\":\""};
static struct buf told[sizeof told_members / sizeof *told_members];

static void
note_told(const struct buf *out)
{
	for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
		size_t len = strlen(told_members[i]);
		const char *at = out->len > 0 ? memmem(out->data, out->len, told_members[i], len) : NULL, *end;

		if (at == NULL)
			continue;
		at += len;
		end = memchr(at, '"', (size_t)(out->data + out->len - at));
		told[i].len = 0;
		if (end != NULL)
			buf_put(&told[i], at, (size_t)(end - at));
	}
}

static struct slice
with_told(struct slice body, struct arena *a)
{
	struct buf full = {0};
	struct slice result;

	for (size_t i = 0; i < body.len; i++) {
		uint8_t c = (uint8_t)body.data[i];

		if (c >= 1 && c <= sizeof told / sizeof *told)
			buf_put_slice(&full, buf_slice(&told[c - 1]));
		else
			buf_put_byte(&full, c);
	}
	result = arena_dup(a, buf_slice(&full));
	buf_done(&full);
	return result;
}

static enum status
request_as(struct op_context *in, const struct auth_caller *caller, struct slice name, struct slice body)
{
	struct op_call *call = calloc(1, sizeof *call);
	struct arena arena = {0};
	struct buf out = {0};
	enum status status;

	call->context = in;
	call->arena = &arena;
	call->target = name.len > 0 && memchr(name.data, '.', name.len) != NULL
			   ? name
			   : arena_printf(&arena, "DynamoDB_20120810.%.*s", SLICE_ARG(name));
	call->body = with_told(body, &arena);
	call->caller = caller;
	call->peer = SLICE("[::1]:1");
	call->out = &out;
	call->done = done;
	op_start(call);
	check_json(&out);
	note_told(&out);
	status = call->status;
	buf_done(&out);
	arena_done(&arena);
	free(call);
	return status;
}

static void
request(struct slice name, struct slice body)
{
	enum status classic, other;

	if (limited != NULL)
		request_as(context, limited, name, body);
	classic = request_as(context, NULL, name, body);
	if (classic != S_VALIDATION && classic != S_SERIALIZATION)
		return;
	/* what breaks a rule breaks it in any words, unless a table has just moved on to another status */
	other = request_as(newer, NULL, name, body);
	if (other != classic && request_as(context, NULL, name, body) != other)
		abort();
}

static void
make_limited(void)
{
	static const char keys[] =
	    "{\"Keys\":[{\"AccessKeyId\":\"k\",\"SecretAccessKey\":\"s\",\"UserName\":\"u\",\"Policies\":[{\"Version\":"
	    "\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"dynamodb:*\",\"Resource\":\"*\"},{"
	    "\"Effect\":"
	    "\"Deny\",\"Action\":\"*\",\"Resource\":\"*\",\"Condition\":{\"ForAnyValue:StringLike\":{\"dynamodb:"
	    "LeadingKeys\":"
	    "\"?*${aws:username}\",\"dynamodb:Attributes\":\"*secret*\",\"dynamodb:ReturnValues\":\"ALL_OLD\"},"
	    "\"StringEquals\":{\"dynamodb:Select\":\"COUNT\",\"dynamodb:ReturnConsumedCapacity\":\"INDEXES\"},"
	    "\"Bool\":{\"dynamodb:FullTableScan\":true},\"IpAddress\":{\"aws:SourceIp\":\"::/1\"}}}]}]}]}";
	static struct auth_keys *made;
	struct err err;

	if (auth_keys_read(slice_str(keys), "000000000000", &made, &err) != S_OK)
		abort();
	limited = auth_keys_find(made, SLICE("k"));
}

static void
create(struct slice name, const char *request_body)
{
	struct err err;

	request(SLICE("CreateTable"), slice_str(request_body));
	for (;;) { /* until it is there */
		struct table *found;

		if (table_find(db, name, &found, &err) == S_OK) {
			table_release(found);
			return;
		}
	}
}

static void
start(void)
{
	static const struct table_db_options options = {
	    .region = "us-east-1", .account = "000000000000", .control_delay_ms = 0, .partitions = 2};
	static _Atomic(struct fleet *) fleets[1];
	static const struct op_options op_options = {.io_threads = 1, .io_queue_max = 4, .fleets = fleets};
	static const struct op_options newer_options = {
	    .io_threads = 1, .io_queue_max = 4, .fleets = fleets, .wording_2026 = true};
	static const char streamed[] =
	    "{\"TableName\":\"str\",\"BillingMode\":\"PAY_PER_REQUEST\",\"AttributeDefinitions\":[{\"AttributeName\":"
	    "\"p\",\"AttributeType\":\"S\"}],\"KeySchema\":[{\"AttributeName\":\"p\",\"KeyType\":\"HASH\"}],"
	    "\"StreamSpecification\":{\"StreamEnabled\":true,\"StreamViewType\":\"NEW_AND_OLD_IMAGES\"}}";
	static const char table[] =
	    "{\"TableName\":\"tab\",\"BillingMode\":\"PAY_PER_REQUEST\",\"AttributeDefinitions\":[{\"AttributeName\":"
	    "\"p\","
	    "\"AttributeType\":\"S\"},{\"AttributeName\":\"s\",\"AttributeType\":\"N\"},{\"AttributeName\":\"l\","
	    "\"AttributeType\":"
	    "\"B\"}],\"KeySchema\":[{\"AttributeName\":\"p\",\"KeyType\":\"HASH\"},{\"AttributeName\":\"s\","
	    "\"KeyType\":\"RANGE\"}],"
	    "\"LocalSecondaryIndexes\":[{\"IndexName\":\"loc\",\"KeySchema\":[{\"AttributeName\":\"p\",\"KeyType\":"
	    "\"HASH\"},{"
	    "\"AttributeName\":\"l\",\"KeyType\":\"RANGE\"}],\"Projection\":{\"ProjectionType\":\"KEYS_ONLY\"}}],"
	    "\"GlobalSecondaryIndexes\":[{\"IndexName\":\"glo\",\"KeySchema\":[{\"AttributeName\":\"s\",\"KeyType\":"
	    "\"HASH\"},{"
	    "\"AttributeName\":\"l\",\"KeyType\":\"RANGE\"}],\"Projection\":{\"ProjectionType\":\"ALL\"}}]}";
	static const char vectors[] =
	    "{\"TableName\":\"vec\",\"BillingMode\":\"PAY_PER_REQUEST\",\"AttributeDefinitions\":[{\"AttributeName\":"
	    "\"p\",\"AttributeType\":\"S\"},{\"AttributeName\":\"h\",\"AttributeType\":\"S\"},{\"AttributeName\":\"f\","
	    "\"AttributeType\":\"N\"}],\"KeySchema\":[{\"AttributeName\":\"p\",\"KeyType\":\"HASH\"}],"
	    "\"VectorIndexes\":[{\"IndexName\":\"plain\",\"VectorAttribute\":{\"AttributeName\":\"v\"},\"Dimensions\":"
	    "2,"
	    "\"DistanceFunction\":\"COSINE\",\"Projection\":{\"ProjectionType\":\"ALL\"}},"
	    "{\"IndexName\":\"keyed\",\"VectorAttribute\":{\"AttributeName\":\"v\"},\"Dimensions\":2,"
	    "\"DistanceFunction\":\"EUCLIDEAN\",\"Projection\":{\"ProjectionType\":\"KEYS_ONLY\"},"
	    "\"SearchSchema\":[{\"AttributeName\":\"h\",\"SearchSchemaElementType\":\"HASH\"},{\"AttributeName\":\"f\","
	    "\"SearchSchemaElementType\":\"INLINE_FILTER\"}]}]}";
	static struct engine *engine;
	struct fleet *fleet;
	struct err err;

	if (engine_memory_open(&engine, &err) != S_OK || table_db_open(engine, &options, &db, &err) != S_OK ||
	    fleet_open(engine, &still_fleet_options, &fleet, &err) != S_OK ||
	    op_context_new(&op_options, &db, 1, &context, &err) != S_OK ||
	    op_context_new(&newer_options, &db, 1, &newer, &err) != S_OK)
		abort();
	atomic_store(&fleets[0], fleet);
	create(SLICE("tab"), table);
	create(SLICE("vec"), vectors);
	create(SLICE("str"), streamed);
	make_limited();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice_of(data, size);

	if (context == NULL)
		start();
	while (rest.len > 0) {
		const char *end = memchr(rest.data, '\0', rest.len);
		struct slice one = slice_of(rest.data, end != NULL ? (size_t)(end - rest.data) : rest.len);
		const char *line = memchr(one.data, '\n', one.len);

		rest = end != NULL ? slice_of(end + 1, rest.len - one.len - 1) : SLICE_NONE;
		if (line != NULL && (size_t)(line - one.data) < 100) {
			size_t name = (size_t)(line - one.data);

			request(slice_of(one.data, name), slice_of(line + 1, one.len - name - 1));
		}
	}
	return 0;
}
