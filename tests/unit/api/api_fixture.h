/* One region on a memory engine, called without a loop: each call is answered before it returns. */
#ifndef STATOR_TESTS_API_FIXTURE_H
#define STATOR_TESTS_API_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "api/op.h"

struct fixture {
	struct engine *engine;
	struct table_db *db;
	struct op_context *context;
	struct buf out;
	int http_status;
	const struct auth_caller *caller; /* NULL: nobody is asked who it is */
};

static struct fixture fx;
static bool fx_wording_2026; /* to be set before fixture_up() */

static void
call_done(struct op_call *call)
{
	fx.http_status = call->http_status;
}

/* The reply, NUL-terminated, valid until the next call. operation: of DynamoDB, or a whole target. */
static inline const char *
call_op(const char *operation, const char *body)
{
	struct op_call *call = calloc(1, sizeof *call);
	struct arena arena = {0};
	char target[128];

	snprintf(target, sizeof target, "%s%s", strchr(operation, '.') != NULL ? "" : "DynamoDB_20120810.", operation);
	fx.out.len = 0;
	*call = (struct op_call){.context = fx.context,
				 .arena = &arena,
				 .target = slice_str(target),
				 .body = slice_str(body),
				 .caller = fx.caller,
				 .peer = SLICE("10.1.2.3:4711"),
				 .out = &fx.out,
				 .done = call_done};
	fx.http_status = 0;
	op_start(call);
	buf_put_byte(&fx.out, '\0');
	arena_done(&arena);
	free(call);
	return fx.out.data;
}

static inline int
fixture_up(void **state)
{
	static const struct table_db_options options = {
	    .region = "us-east-1", .account = "000000000000", .control_delay_ms = 1, .partitions = 4};
	struct op_options op_options = {.io_threads = 1, .io_queue_max = 16, .wording_2026 = fx_wording_2026};
	struct err err;

	(void)state;
	memset(&fx, 0, sizeof fx);
	if (engine_memory_open(&fx.engine, &err) != S_OK || table_db_open(fx.engine, &options, &fx.db, &err) != S_OK ||
	    op_context_new(&op_options, &fx.db, 1, &fx.context, &err) != S_OK) {
		fprintf(stderr, "fixture: %s\n", err.message);
		return -1;
	}
	return 0;
}

static inline int
fixture_down(void **state)
{
	(void)state;
	op_context_free(fx.context);
	table_db_close(fx.db);
	engine_close(fx.engine);
	buf_done(&fx.out);
	expr_cache_done();
	return 0;
}

/* Until the table is ACTIVE and none of its indexes is on its way. */
static inline void
wait_active(const char *table)
{
	char body[300];

	snprintf(body, sizeof body, "{\"TableName\":\"%s\"}", table);
	for (int i = 0; i < 60000; i++) {
		const char *reply = call_op("DescribeTable", body);

		if (strstr(reply, "\"TableStatus\":\"ACTIVE\"") != NULL && strstr(reply, "\"CREATING\"") == NULL &&
		    strstr(reply, "\"UPDATING\"") == NULL && strstr(reply, "\"DELETING\"") == NULL)
			return;
		nanosleep(&(struct timespec){0, 1000000}, NULL);
	}
	fail_msg("table %s did not become active: %s", table, fx.out.data);
}

/* The body may use ' for " to stay readable. */
static inline const char *
call_quoted(const char *operation, const char *body)
{
	char *text = strdup(body);
	const char *reply;

	for (char *at = text; *at != '\0'; at++)
		if (*at == '\'')
			*at = '"';
	reply = call_op(operation, text);
	free(text);
	return reply;
}

static inline void
expect_ok(const char *operation, const char *body)
{
	const char *reply = call_quoted(operation, body);

	if (fx.http_status != 200)
		fail_msg("%s %s: %s", operation, body, reply);
}

static inline void
expect_reply(const char *operation, const char *body, const char *expected)
{
	const char *reply = call_quoted(operation, body);

	if (strcmp(reply, expected) != 0)
		fail_msg("%s %s\n      gave %s\n  expected %s", operation, body, reply, expected);
}

static inline void
expect_part(const char *operation, const char *body, const char *part)
{
	const char *reply = call_quoted(operation, body);

	if (strstr(reply, part) == NULL)
		fail_msg("%s %s\n      gave %s\n  expected ... %s", operation, body, reply, part);
}

/* The whole message of an error of that name. */
static inline void
expect_error(const char *operation, const char *body, const char *name, const char *message)
{
	const char *reply = call_quoted(operation, body);
	char *type = NULL, *text = NULL;
	struct arena arena = {0};
	struct json_reader r;
	struct slice member;

	json_init(&r, slice_str(reply), &arena);
	if (json_enter_object(&r))
		while (json_next_member(&r, &member)) {
			if (slice_eq(member, SLICE("__type")))
				type = (char *)arena_dup(&arena, json_string(&r)).data;
			else if (slice_eq(member, SLICE("message")) || slice_eq(member, SLICE("Message")))
				text = (char *)arena_dup(&arena, json_string(&r)).data;
			else
				json_skip(&r);
		}
	if (fx.http_status != 400 || type == NULL || strchr(type, '#') == NULL ||
	    strcmp(strchr(type, '#') + 1, name) != 0 || (text == NULL) != (message == NULL) ||
	    (text != NULL && strcmp(text, message) != 0))
		fail_msg("%s %s\n      gave %d %s\n  expected %s: %s", operation, body, fx.http_status, reply, name,
			 message ? message : "(no message)");
	arena_done(&arena);
}

#define expect_invalid(operation, body, message) expect_error(operation, body, "ValidationException", message)

/* h: pk S; c: pk S and sk S, local index l (ls S, keys only), global indexes g (gk S, ALL) and i (gk S, sk S; INCLUDE
 * inc) */
static inline void
create_tables(void)
{
	expect_ok("CreateTable", "{'TableName':'hash','BillingMode':'PAY_PER_REQUEST',"
				 "'AttributeDefinitions':[{'AttributeName':'pk','AttributeType':'S'}],"
				 "'KeySchema':[{'AttributeName':'pk','KeyType':'HASH'}]}");
	expect_ok("CreateTable",
		  "{'TableName':'composite','BillingMode':'PAY_PER_REQUEST',"
		  "'AttributeDefinitions':[{'AttributeName':'pk','AttributeType':'S'},{'AttributeName':'sk','"
		  "AttributeType':'S'},"
		  "{'AttributeName':'ls','AttributeType':'S'},{'AttributeName':'gk','AttributeType':'S'}],"
		  "'KeySchema':[{'AttributeName':'pk','KeyType':'HASH'},{'AttributeName':'sk','KeyType':'RANGE'}],"
		  "'LocalSecondaryIndexes':[{'IndexName':'loc','KeySchema':[{'AttributeName':'pk','KeyType':'HASH'},"
		  "{'AttributeName':'ls','KeyType':'RANGE'}],'Projection':{'ProjectionType':'KEYS_ONLY'}}],"
		  "'GlobalSecondaryIndexes':[{'IndexName':'glo','KeySchema':[{'AttributeName':'gk','KeyType':'HASH'}],"
		  "'Projection':{'ProjectionType':'ALL'}},{'IndexName':'inc','KeySchema':[{'AttributeName':'gk','"
		  "KeyType':'HASH'},"
		  "{'AttributeName':'sk','KeyType':'RANGE'}],'Projection':{'ProjectionType':'INCLUDE',"
		  "'NonKeyAttributes':['more']}}]}");
	wait_active("hash");
	wait_active("composite");
}

#endif
