/*
 * Any answers of a DAX node's upstream: whatever another endpoint says, clients get whole items of CBOR, and the node
 * goes on. Input: flags; length (2 bytes, big-endian) of the messages of a client, the messages; then answers, divided
 * by zero bytes: one byte chooses the HTTP status (0: no answer was had), the rest is the body. Flag 1: answers to
 * DescribeTable are among them, too; else the tables are as they should be. Flag 2: everything is asked twice, the
 * second time of the cache.
 */
#include <stdint.h>
#include <stdlib.h>

#include "codec/cbor.h"
#include "dax/dax.h"
#include "dax/lists.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char described[] =
    "{\"Table\":{\"TableName\":\"%s\",\"TableId\":\"0\",\"KeySchema\":[{\"AttributeName\":\"pk\",\"KeyType\":\"HASH\"}"
    "%s],\"AttributeDefinitions\":[{\"AttributeName\":\"pk\",\"AttributeType\":\"%c\"},{\"AttributeName\":\"sk\","
    "\"AttributeType\":\"N\"}]}}";

static struct slice answers;
static bool describes;

static struct slice
next_answer(void)
{
	const char *end = answers.len > 0 ? memchr(answers.data, '\0', answers.len) : NULL;
	struct slice one = slice_of(answers.data, end != NULL ? (size_t)(end - answers.data) : answers.len);

	answers = end != NULL ? slice_of(end + 1, answers.len - one.len - 1) : SLICE_NONE;
	return one;
}

static void
describe(struct dax_call *call)
{
	bool two = memmem(call->body.data, call->body.len, "orders", 6) != NULL;
	bool number = memmem(call->body.data, call->body.len, "nums", 4) != NULL;

	buf_printf(call->out, described, "t", two ? ",{\"AttributeName\":\"sk\",\"KeyType\":\"RANGE\"}" : "",
		   number ? 'N' : 'S');
	call->http_status = 200;
}

static void
answer(void *context, struct dax_call *call)
{
	static const int statuses[] = {200, 200, 200, 0, 400, 400, 500, 503};
	struct slice one;

	(void)context;
	if (!describes && slice_eq(call->target, SLICE("DynamoDB_20120810.DescribeTable"))) {
		describe(call);
	} else {
		one = next_answer();
		call->http_status = one.len > 0 ? statuses[(uint8_t)one.data[0] % 8] : 0;
		call->err_message = "none";
		if (call->http_status != 0)
			buf_put(call->out, one.data + 1, one.len - 1);
	}
	call->done(call);
}

static enum status
let_in(void *context, const struct dax_authorization *a, struct dax_identity *ret, struct err *err)
{
	(void)context, (void)a, (void)err;
	ret->unrestricted = true;
	return S_OK;
}

/* Everything answered is whole items. */
static void
check(const struct buf *out)
{
	struct cbor_reader r;

	cbor_init(&r, buf_slice(out));
	while (!cbor_at_end(&r)) {
		struct cbor_scan scan;
		size_t left = (size_t)(r.end - r.at);
		enum cbor_progress result;

		cbor_scan_init(&scan, 1, left);
		result = cbor_scan_run(&scan, r.at, left);
		if (result == CBOR_BAD) /* a value within may nest deeper than a scan follows */
			return;
		if (result != CBOR_DONE)
			abort();
		r.at += scan.at;
	}
}

static void
feed(struct dax_loop *loop, struct slice messages)
{
	static const char hello[] = "\x67J7yne5G\x00\xf6\xa0\x00\x01\x1a\x58\xc2\x33\x6b\x61k\x60\x40\xf6\xf6";
	struct dax_session session = {.home = loop, .address_len = 4};
	struct buf in = {0}, out = {0};
	size_t used;

	session.out = &out;
	dax_session_begin(&session);
	buf_put(&in, hello, sizeof hello - 1);
	buf_put_slice(&in, messages);
	for (size_t at = 0; at <= in.len; at += used > 0 ? used : in.len + 1) {
		enum dax_want want = dax_session_feed(&session, in.data + at, in.len - at, &used);

		if (used > in.len - at || want == DAX_WANT_TIME)
			abort();
		if (want == DAX_WANT_END)
			break;
	}
	dax_session_end(&session);
	check(&out);
	buf_done(&in);
	buf_done(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dax_node_options options = {
	    .upstream = {.call = answer, .table_ms = 60000}, .gate = {.verify = let_in}, .authorized_ms = 3600000};
	struct dax_loop *loop;
	struct dax_node *node;
	struct err err;
	size_t len;

	if (size < 3 || size > 16384)
		return 0;
	len = (size_t)data[1] << 8 | data[2];
	len = len < size - 3 ? len : size - 3;
	describes = (data[0] & 1) != 0;
	if (dax_lists_open(NULL, &options.lists, &err) != S_OK)
		abort();
	options.cache = cache_new(1 << 20);
	node = dax_node_new(&options);
	loop = dax_loop_new(node, NULL);
	for (int round = 0; round < ((data[0] & 2) != 0 ? 2 : 1); round++) {
		answers = slice_of((const char *)data + 3 + len, size - 3 - len);
		feed(loop, slice_of((const char *)data + 3, len));
	}
	dax_loop_free(loop);
	dax_node_free(node);
	cache_free(options.cache);
	dax_lists_close(options.lists);
	return 0;
}
