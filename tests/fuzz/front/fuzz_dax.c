/*
 * A DAX connection over the operations of one region on a memory engine: whatever comes after a preamble and an
 * authorization, the connection goes on or ends, and what it answers is CBOR. Input: messages as a client sends them.
 * The same bytes must have the same number of answers when they arrive in pieces.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "front/dax.h"

static struct engine *engine;
static struct table_db *db;
static struct op_context *context;
static struct dax_lists *lists;
static struct dax_node *node;
static struct dax_loop *loop;
static struct cache *cache;

static void
nothing(struct op_call *call)
{
	(void)call;
}

static void
make_table(const char *body)
{
	struct op_call *call = calloc(1, sizeof *call);
	struct arena arena = {0};
	struct buf out = {0};

	call->context = context;
	call->arena = &arena;
	call->target = SLICE("DynamoDB_20120810.CreateTable");
	call->body = slice_str(body);
	call->out = &out;
	call->done = nothing;
	op_start(call);
	if (call->http_status != 200)
		abort();
	buf_done(&out);
	arena_done(&arena);
	free(call);
}

static enum status
let_in(void *unused, const struct dax_authorization *a, struct dax_identity *ret, struct err *err)
{
	(void)unused;
	if (a->access_key.len == 0)
		return err_set(err, S_UNRECOGNIZED_CLIENT, "no");
	ret->unrestricted = a->access_key.len % 2 == 1;
	return S_OK;
}

static void
set_up(void)
{
	static const struct table_db_options options = {
	    .region = "us-east-1", .account = "000000000000", .partitions = 1};
	struct op_options op_options = {.io_threads = 1, .io_queue_max = 16};
	struct dax_node_options node_options = {.gate = {.verify = let_in}, .authorized_ms = 3600000};
	struct err err;

	if (engine_memory_open(&engine, &err) != S_OK || table_db_open(engine, &options, &db, &err) != S_OK ||
	    op_context_new(&op_options, &db, 1, &context, &err) != S_OK || dax_lists_open(NULL, &lists, &err) != S_OK)
		abort();
	make_table(
	    "{\"TableName\":\"users\",\"BillingMode\":\"PAY_PER_REQUEST\",\"KeySchema\":[{\"AttributeName\":\"pk\","
	    "\"KeyType\":\"HASH\"}],\"AttributeDefinitions\":[{\"AttributeName\":\"pk\",\"AttributeType\":\"S\"}]}");
	make_table(
	    "{\"TableName\":\"orders\",\"BillingMode\":\"PAY_PER_REQUEST\",\"KeySchema\":[{\"AttributeName\":\"pk\","
	    "\"KeyType\":\"HASH\"},{\"AttributeName\":\"sk\",\"KeyType\":\"RANGE\"}],\"AttributeDefinitions\":[{"
	    "\"AttributeName\":\"pk\",\"AttributeType\":\"S\"},{\"AttributeName\":\"sk\",\"AttributeType\":\"N\"},{"
	    "\"AttributeName\":\"gpk\",\"AttributeType\":\"S\"}],\"GlobalSecondaryIndexes\":[{\"IndexName\":\"gsi1\","
	    "\"KeySchema\":[{\"AttributeName\":\"gpk\",\"KeyType\":\"HASH\"},{\"AttributeName\":\"sk\",\"KeyType\":"
	    "\"RANGE\"}],\"Projection\":{\"ProjectionType\":\"ALL\"}}]}");
	make_table(
	    "{\"TableName\":\"nums\",\"BillingMode\":\"PAY_PER_REQUEST\",\"KeySchema\":[{\"AttributeName\":\"pk\","
	    "\"KeyType\":\"HASH\"}],\"AttributeDefinitions\":[{\"AttributeName\":\"pk\",\"AttributeType\":\"N\"}]}");
	node_options.upstream = dax_front_local(context, false);
	node_options.lists = lists;
	cache = cache_new(1 << 20);
	node_options.cache = cache;
	node = dax_node_new(&node_options);
	loop = dax_loop_new(node, NULL);
}

/* Everything answered is whole items. Returns how many. */
static size_t
count_items(const struct buf *out)
{
	struct cbor_reader r;
	size_t count = 0;

	cbor_init(&r, buf_slice(out));
	while (!cbor_at_end(&r)) {
		struct cbor_scan scan;
		size_t left = (size_t)(r.end - r.at);

		cbor_scan_init(&scan, 1, left);
		switch (cbor_scan_run(&scan, r.at, left)) {
		case CBOR_DONE:
			r.at += scan.at;
			break;
		case CBOR_BAD: /* a value within may nest deeper than a scan follows */
			return count;
		default:
			abort();
		}
		count++;
	}
	return count;
}

static size_t
feed(const uint8_t *data, size_t size, size_t step)
{
	static const char hello[] = "\x67J7yne5G\x00\xf6\xa0\x00\x01\x1a\x58\xc2\x33\x6b\x61k\x60\x40\xf6\xf6";
	struct dax_session session = {.home = loop, .address_len = 4};
	struct buf in = {0}, out = {0};
	enum dax_want want;
	size_t used, count;

	session.out = &out;
	dax_session_begin(&session);
	want = dax_session_feed(&session, hello, sizeof hello - 1, &used);
	for (size_t at = 0; want == DAX_WANT_BYTES && at < size;) {
		size_t more = size - at < step ? size - at : step;

		buf_put(&in, data + at, more);
		at += more;
		want = dax_session_feed(&session, in.data, in.len, &used);
		if (used > in.len || want == DAX_WANT_TIME)
			abort();
		memmove(in.data, in.data + used, in.len - used);
		in.len -= used;
	}
	dax_session_end(&session);
	count = count_items(&out);
	buf_done(&in);
	buf_done(&out);
	return count;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (node == NULL)
		set_up();
	if (size > 16384)
		return 0;
	feed(data, size, size > 0 ? size : 1);
	feed(data, size, 7);
	return 0;
}
