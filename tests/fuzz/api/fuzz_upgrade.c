/*
 * A database of form 1 (docs/formats/README.md), some of whose rows are damaged: it is rewritten when it is opened, or
 * the opening says what is wrong. One that opened opens again, with as many items. Input: edits of its rows (rows.h).
 *
 * Form 1 is made of today's: the same rows under another hash, without counts and streams.
 */
#include "rows.h"
#include "table/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct table_db_options options = {.region = "us-east-1", .account = "000000000000", .partitions = 2};

static void
fill(struct table_db *db, struct op_context *context)
{
	static const char policy[] =
	    "{\"ResourceArn\":\"arn:aws:dynamodb:us-east-1:000000000000:table/tab\",\"Policy\":\"{\\\"Version\\\":"
	    "\\\"2012-10-17\\\",\\\"Statement\\\":[{\\\"Effect\\\":\\\"Allow\\\",\\\"Principal\\\":{\\\"AWS\\\":"
	    "\\\"000000000000\\\"},\\\"Action\\\":\\\"dynamodb:GetItem\\\",\\\"Resource\\\":\\\"*\\\"}]}\"}";

	(void)db;
	must(context, "CreateTable",
	     "{\"TableName\":\"tab\",\"BillingMode\":\"PAY_PER_REQUEST\",\"AttributeDefinitions\":[{\"AttributeName\":"
	     "\"p\",\"AttributeType\":\"S\"},{\"AttributeName\":\"s\",\"AttributeType\":\"N\"},{\"AttributeName\":"
	     "\"l\",\"AttributeType\":\"B\"}],\"KeySchema\":[{\"AttributeName\":\"p\",\"KeyType\":\"HASH\"},"
	     "{\"AttributeName\":\"s\",\"KeyType\":\"RANGE\"}],\"LocalSecondaryIndexes\":[{\"IndexName\":\"loc\","
	     "\"KeySchema\":[{\"AttributeName\":\"p\",\"KeyType\":\"HASH\"},{\"AttributeName\":\"l\",\"KeyType\":"
	     "\"RANGE\"}],\"Projection\":{\"ProjectionType\":\"KEYS_ONLY\"}}],\"GlobalSecondaryIndexes\":[{"
	     "\"IndexName\":\"glo\",\"KeySchema\":[{\"AttributeName\":\"s\",\"KeyType\":\"HASH\"}],\"Projection\":{"
	     "\"ProjectionType\":\"INCLUDE\",\"NonKeyAttributes\":[\"x\"]}}]}");
	must(context, "CreateTable",
	     "{\"TableName\":\"plain\",\"BillingMode\":\"PAY_PER_REQUEST\",\"AttributeDefinitions\":[{"
	     "\"AttributeName\":\"p\",\"AttributeType\":\"N\"}],\"KeySchema\":[{\"AttributeName\":\"p\",\"KeyType\":"
	     "\"HASH\"}]}");
	must_soon(context, "PutResourcePolicy", policy);
	for (int c = '0'; c <= '9'; c++) {
		char body[300];

		snprintf(body, sizeof body,
			 "{\"TableName\":\"tab\",\"Item\":{\"p\":{\"S\":\"%c\"},\"s\":{\"N\":\"%c\"},\"l\":{\"B\":"
			 "\"AAAA\"},\"x\":{\"L\":[{\"BOOL\":true}]}}}",
			 c, c);
		must_soon(context, "PutItem", body);
	}
	must_soon(context, "PutItem", "{\"TableName\":\"plain\",\"Item\":{\"p\":{\"N\":\"1\"}}}");
}

/* As form 1 had it; what it did not know goes. */
static void
make_old(void)
{
	size_t kept = 0;

	for (size_t i = 0; i < row_count; i++) {
		struct row row = rows[i];

		if (row.space == SPACE_CATALOG && (row.key.data[0] == 'c' || row.key.data[0] == 'k'))
			continue;
		if (row.space == SPACE_CATALOG && slice_eq(row.key, SLICE("v")))
			row.value = SLICE("1");
		if (row.space != SPACE_CATALOG && row.key.len >= 12)
			for (int at = 4; at < 12; at++) /* behind the number */
				((char *)row.key.data)[at] ^= 0x5a;
		rows[kept++] = row;
	}
	row_count = edited_count = kept;
}

static void
start(void)
{
	struct engine *engine = filled_engine(&options, fill);

	keep_rows(engine, SPACE_CATALOG);
	keep_rows(engine, SPACE_INDEXES);
	keep_rows(engine, SPACE_ITEMS);
	engine_close(engine);
	make_old();
}

/* How many items all tables have; -1: it did not open, and said why. */
static int64_t
items_of(struct engine *engine, struct arena *a)
{
	struct table_db *db;
	struct slice *names;
	struct err err = {0};
	int64_t sum = 0;
	size_t count;
	bool more;

	if (table_db_open(engine, &options, &db, &err) != S_OK) {
		if (err.message[0] == '\0')
			abort();
		return -1;
	}
	table_list(db, SLICE_NONE, TABLES_MAX, a, &names, &count, &more);
	for (size_t i = 0; i < count; i++) {
		struct table_description description;

		if (table_describe(db, names[i], a, &description, &err) == S_OK)
			sum += description.item_count;
	}
	table_db_close(db);
	return sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	struct engine *engine;
	struct arena a = {0};
	int64_t items;

	if (row_count == 0)
		start();
	engine = engine_of_edited(&in, &a);
	items = items_of(engine, &a);
	if (items >= 0 && items_of(engine, &a) != items)
		abort();
	if (size == 0 && items != 11)
		abort();
	engine_close(engine);
	arena_done(&a);
	return 0;
}
