/*
 * Any bodies as test controls, one behind the other, divided by zero bytes: each is answered with 200 or 400 and JSON,
 * a write after it still is answered with one of the errors that can be asked for, and reset makes all well again.
 */
#include <stdint.h>
#include <stdlib.h>

#include "api/controls.h"
#include "base/clock.h"

static struct op_context *context;

static void
done(struct op_call *call)
{
	*(int *)call->owner = call->http_status;
}

/* target NULL: a control. */
static int
run(const char *target, struct slice body)
{
	struct op_call *call = calloc(1, sizeof *call);
	struct arena arena = {0};
	struct buf out = {0};
	struct json_reader r;
	int status = 0;

	if (call == NULL)
		abort();
	call->context = context;
	call->arena = &arena;
	call->target = slice_str(target != NULL ? target : "");
	call->body = body;
	call->out = &out;
	call->done = done;
	call->owner = &status;
	if (target != NULL)
		op_start(call);
	else
		op_start_control(call);
	json_init(&r, buf_slice(&out), &arena);
	json_skip(&r);
	json_end(&r);
	if (json_failed(&r))
		abort();
	buf_done(&out);
	arena_done(&arena);
	free(call);
	return status;
}

static int
put(void)
{
	return run("DynamoDB_20120810.PutItem", SLICE("{\"TableName\":\"tab\",\"Item\":{\"p\":{\"S\":\"a\"}}}"));
}

static void
start(void)
{
	static const struct table_db_options options = {
	    .region = "us-east-1", .account = "000000000000", .partitions = 2};
	static const struct op_options op_options = {.io_threads = 1, .io_queue_max = 4};
	static struct engine *engine;
	static struct table_db *db;
	struct err err;

	if (engine_memory_open(&engine, &err) != S_OK || table_db_open(engine, &options, &db, &err) != S_OK ||
	    op_context_new(&op_options, &db, 1, &context, &err) != S_OK)
		abort();
	if (run("DynamoDB_20120810.CreateTable",
		SLICE("{\"TableName\":\"tab\",\"BillingMode\":\"PAY_PER_REQUEST\",\"AttributeDefinitions\":["
		      "{\"AttributeName\":\"p\",\"AttributeType\":\"S\"}],\"KeySchema\":[{\"AttributeName\":\"p\","
		      "\"KeyType\":\"HASH\"}]}")) != 200)
		abort();
	while (put() != 200)
		; /* until it is there */
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice_of((const char *)data, size);
	int status;

	if (context == NULL)
		start();
	for (int i = 0; i < 16; i++) {
		const char *zero = rest.len > 0 ? memchr(rest.data, 0, rest.len) : NULL;
		size_t len = zero != NULL ? (size_t)(zero - rest.data) : rest.len;
		int64_t now;

		status = run(NULL, slice_of(rest.data, len));
		if (status != 200 && status != 400)
			abort();
		now = clock_wall_us();
		if (now < 0 || now > CLOCK_MAX_US + 3600 * 1000000LL)
			abort();
		status = put();
		if (status != 200 && status != 400 && status != 500 && status != 503)
			abort();
		if (zero == NULL)
			break;
		rest = slice_of(zero + 1, rest.len - len - 1);
	}
	if (run(NULL, SLICE("{\"control\":\"reset\"}")) != 200 || put() != 200)
		abort();
	return 0;
}
