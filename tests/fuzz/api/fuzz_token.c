/*
 * NextToken of ExecuteStatement. Input: a byte: whose bits say whether the text is a token as it comes, or the place
 * within one that is sealed as the server does (anybody who knows the table's id can), and which statement goes on
 * there; then the text or the place. Whatever it says, the answer is a page or a refusal.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "call.h"
#include "codec/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HASH_BYTES 16

static const char *const statements[] = {
    "SELECT * FROM tab",
    "SELECT * FROM tab WHERE p='a'",
    "SELECT * FROM tab WHERE p IN ['a','b','c'] AND s>1",
    "SELECT * FROM tab.glo WHERE s=1",
};
static struct op_context *context;
static char table_id[37];

static int
go_on(const char *statement, struct slice token, struct buf *out)
{
	struct buf body = {0};
	int status;

	buf_printf(&body, "{\"Statement\":\"%s\",\"NextToken\":\"%.*s\",\"Limit\":2}%c", statement, SLICE_ARG(token),
		   0);
	status = call_op(context, "ExecuteStatement", body.data, out);
	buf_done(&body);
	return status;
}

/* ---- as api/partiql_token.c seals ---- */

static void
put_part(struct buf *out, struct slice part)
{
	buf_put_be64(out, part.len);
	buf_put_slice(out, part);
}

static void
take_hash(struct buf *all, struct buf *out)
{
	uint8_t whole[SHA256_BYTES];

	crypto_sha256(buf_slice(all), whole);
	buf_put(out, whole, HASH_BYTES);
	buf_done(all);
}

static void
sealed(const char *statement, struct slice place, struct buf *text)
{
	struct buf all = {0}, token = {0};

	put_part(&all, SLICE("stator partiql token binding"));
	put_part(&all, slice_str(table_id));
	put_part(&all, slice_str(statement));
	buf_put_byte(&token, 1);
	take_hash(&all, &token);
	all = (struct buf){0};
	put_part(&all, SLICE("stator partiql token seal"));
	put_part(&all, slice_of(token.data + 1, HASH_BYTES));
	put_part(&all, place);
	take_hash(&all, &token);
	buf_put_slice(&token, place);
	buf_reserve(text, BASE64_LENGTH(token.len));
	text->len = (size_t)(base64_write(text->data, buf_slice(&token)) - text->data);
	buf_done(&token);
}

/* Else everything would be refused at the seal and nothing behind it be tried. */
static void
check_seal(void)
{
	struct buf out = {0}, text = {0};

	sealed(statements[0], SLICE("\0\0\0\0"), &text);
	if (go_on(statements[0], buf_slice(&text), &out) != 200)
		abort();
	buf_done(&out);
	buf_done(&text);
}

static void
start(void)
{
	static const struct table_db_options options = {
	    .region = "us-east-1", .account = "000000000000", .partitions = 2};
	static const struct op_options op_options = {.io_threads = 1, .io_queue_max = 4};
	struct table_description description;
	struct engine *engine;
	struct table_db *db;
	struct arena arena = {0};
	struct buf out = {0};
	struct err err;

	if (engine_memory_open(&engine, &err) != S_OK || table_db_open(engine, &options, &db, &err) != S_OK ||
	    op_context_new(&op_options, &db, 1, &context, &err) != S_OK)
		abort();
	if (call_op(
		context, "CreateTable",
		"{\"TableName\":\"tab\",\"BillingMode\":\"PAY_PER_REQUEST\",\"AttributeDefinitions\":[{"
		"\"AttributeName\":\"p\",\"AttributeType\":\"S\"},{\"AttributeName\":\"s\",\"AttributeType\":\"N\"}],"
		"\"KeySchema\":[{\"AttributeName\":\"p\",\"KeyType\":\"HASH\"},{\"AttributeName\":\"s\","
		"\"KeyType\":\"RANGE\"}],\"GlobalSecondaryIndexes\":[{\"IndexName\":\"glo\",\"KeySchema\":[{"
		"\"AttributeName\":\"s\",\"KeyType\":\"HASH\"}],\"Projection\":{\"ProjectionType\":\"ALL\"}}]}",
		&out) != 200)
		abort();
	for (int i = 0; i < 12; i++) {
		struct buf body = {0};

		buf_printf(&body, "{\"TableName\":\"tab\",\"Item\":{\"p\":{\"S\":\"%c\"},\"s\":{\"N\":\"%d\"}}}%c",
			   'a' + i % 3, i / 3, 0);
		do
			out.len = 0;
		while (call_op(context, "PutItem", body.data, &out) != 200); /* the table is about to be ACTIVE */
		buf_done(&body);
	}
	if (table_describe(db, SLICE("tab"), &arena, &description, &err) != S_OK)
		abort();
	memcpy(table_id, description.id, sizeof table_id);
	arena_done(&arena);
	buf_done(&out);
	check_seal();
}

static bool
is_plain(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] < ' ' || text.data[i] > '~' || text.data[i] == '"' || text.data[i] == '\\')
			return false;
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf out = {0}, text = {0};
	const char *statement;
	struct slice rest;
	int status = 400;

	if (context == NULL)
		start();
	if (size == 0)
		return 0;
	rest = slice_of((const char *)data + 1, size - 1);
	statement = statements[data[0] % 4];
	if ((data[0] & 128) == 0) {
		sealed(statement, rest, &text);
		status = go_on(statement, buf_slice(&text), &out);
	} else if (is_plain(rest)) {
		status = go_on(statement, rest, &out);
	}
	if (status != 200 && status != 400)
		abort();
	buf_done(&out);
	buf_done(&text);
	return 0;
}
