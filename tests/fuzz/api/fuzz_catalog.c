/*
 * A catalog and a change log some of whose rows are damaged: the database opens or says what is wrong;
 * one that opens can be described, written to and closed. Input: edits of the rows of a small database that has
 * something of every kind. An edit: which row, what to do, and what that needs.
 *
 *   0  byte at an offset (2 bytes) becomes ...        3  the row is gone
 *   1  the value is cut to so many bytes              4  the value becomes the n bytes that follow
 *   2  n bytes that follow are added to the value     5  the key's byte at an offset becomes ...
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "call.h"
#include "fleet/still_machine.h"
#include "table/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROWS_MAX 250
#define EDITS    8

struct row {
	enum engine_space space;
	struct slice key, value;
};
static struct row rows[ROWS_MAX];
static size_t row_count, edited_count; /* the first ones: items and rows of indexes are believed as they are read */
static struct arena rows_arena;

static const struct table_db_options options = {.region = "us-east-1", .account = "000000000000", .partitions = 2};

/* ---- the database with something of every kind ---- */

static void
must(struct op_context *context, const char *operation, const char *body)
{
	struct buf out = {0};

	if (call_op(context, operation, body, &out) != 200) {
		fprintf(stderr, "%s: %.*s\n", operation, SLICE_ARG(buf_slice(&out)));
		abort();
	}
	buf_done(&out);
}

/* As long as a table moves from one status to the next it refuses. */
static void
must_soon(struct op_context *context, const char *operation, const char *body)
{
	const struct timespec pause = {0, 1000000};
	struct buf out = {0};

	for (int i = 0; call_op(context, operation, body, &out) != 200; i++) {
		if (i == 60000) {
			fprintf(stderr, "%s: %.*s\n", operation, SLICE_ARG(buf_slice(&out)));
			abort();
		}
		out.len = 0;
		nanosleep(&pause, NULL);
	}
	buf_done(&out);
}

static void
fill(struct table_db *db, struct op_context *context)
{
	static const char policy[] =
	    "{\"ResourceArn\":\"arn:aws:dynamodb:us-east-1:000000000000:table/tab\",\"Policy\":\"{\\\"Version\\\":"
	    "\\\"2012-10-17\\\",\\\"Statement\\\":[{\\\"Effect\\\":\\\"Allow\\\",\\\"Principal\\\":{\\\"AWS\\\":"
	    "\\\"000000000000\\\"},"
	    "\\\"Action\\\":\\\"dynamodb:GetItem\\\",\\\"Resource\\\":\\\"*\\\"}]}\"}";
	struct err err;

	must(context, "CreateTable",
	     "{\"TableName\":\"tab\",\"BillingMode\":\"PAY_PER_REQUEST\",\"AttributeDefinitions\":[{\"AttributeName\":"
	     "\"p\",\"AttributeType\":\"S\"},{\"AttributeName\":\"s\",\"AttributeType\":\"N\"},{\"AttributeName\":"
	     "\"l\",\"AttributeType\":\"B\"}],\"KeySchema\":[{\"AttributeName\":\"p\",\"KeyType\":\"HASH\"},"
	     "{\"AttributeName\":\"s\",\"KeyType\":\"RANGE\"}],\"LocalSecondaryIndexes\":[{\"IndexName\":\"loc\","
	     "\"KeySchema\":[{\"AttributeName\":\"p\",\"KeyType\":\"HASH\"},{\"AttributeName\":\"l\",\"KeyType\":"
	     "\"RANGE\"}],\"Projection\":{\"ProjectionType\":\"KEYS_ONLY\"}}],\"GlobalSecondaryIndexes\":[{"
	     "\"IndexName\":\"glo\",\"KeySchema\":[{\"AttributeName\":\"s\",\"KeyType\":\"HASH\"}],\"Projection\":{"
	     "\"ProjectionType\":\"INCLUDE\",\"NonKeyAttributes\":[\"x\"]}}],\"StreamSpecification\":{"
	     "\"StreamEnabled\":true,\"StreamViewType\":\"NEW_AND_OLD_IMAGES\"},\"Tags\":[{\"Key\":\"a\",\"Value\":"
	     "\"b\"}]}");
	must(context, "CreateTable",
	     "{\"TableName\":\"vec\",\"BillingMode\":\"PAY_PER_REQUEST\","
	     "\"AttributeDefinitions\":[{\"AttributeName\":\"p\",\"AttributeType\":\"N\"},{\"AttributeName\":\"h\","
	     "\"AttributeType\":\"S\"}],\"KeySchema\":[{\"AttributeName\":\"p\",\"KeyType\":\"HASH\"}],"
	     "\"VectorIndexes\":[{\"IndexName\":\"keyed\",\"VectorAttribute\":{\"AttributeName\":\"v\"},"
	     "\"Dimensions\":2,\"DistanceFunction\":\"EUCLIDEAN\",\"Projection\":{\"ProjectionType\":\"KEYS_ONLY\"},"
	     "\"SearchSchema\":[{\"AttributeName\":\"h\",\"SearchSchemaElementType\":\"HASH\"}]}]}");
	must(context, "CreateTable",
	     "{\"TableName\":\"prov\",\"ProvisionedThroughput\":{\"ReadCapacityUnits\":9,\"WriteCapacityUnits\":9},"
	     "\"AttributeDefinitions\":[{\"AttributeName\":\"p\",\"AttributeType\":\"S\"}],\"KeySchema\":[{"
	     "\"AttributeName\":\"p\",\"KeyType\":\"HASH\"}]}");
	must_soon(context, "UpdateTimeToLive",
		  "{\"TableName\":\"tab\",\"TimeToLiveSpecification\":{\"AttributeName\":\"t\",\"Enabled\":true}}");
	must_soon(context, "UpdateContributorInsights",
		  "{\"TableName\":\"tab\",\"ContributorInsightsAction\":\"ENABLE\"}");
	must_soon(context, "PutResourcePolicy", policy);
	must_soon(context, "UpdateTable", "{\"TableName\":\"prov\",\"BillingMode\":\"PAY_PER_REQUEST\"}");
	for (int c = '0'; c <= '9'; c++) {
		char body[300];

		snprintf(body, sizeof body,
			 "{\"TableName\":\"tab\",\"Item\":{\"p\":{\"S\":\"%c\"},\"s\":{\"N\":\"%c\"},\"l\":{\"B\":"
			 "\"AAAA\"},\"t\":{\"N\":\"99999999%c\"}}}",
			 c, c, c);
		must_soon(context, "PutItem", body);
		if (c == '5' && table_split(db, SLICE("tab"), 0, &err) != S_OK)
			abort();
	}
	must_soon(context, "PutItem",
		  "{\"TableName\":\"vec\",\"Item\":{\"p\":{\"N\":\"1\"},\"h\":{\"S\":\"x\"},\"v\":{\"L\":[{\"N\":"
		  "\"1\"},{\"N\":\"2\"}]}}}");
	must(context, "TransactWriteItems",
	     "{\"ClientRequestToken\":\"token\",\"TransactItems\":[{\"Delete\":{\"TableName\":\"vec\",\"Key\":{\"p\":{"
	     "\"N\":\"2\"}}}}]}");
}

static void
fill_fleet(struct engine *engine)
{
	static const struct slice subnets[] = {{"subnet-1", 8}, {"subnet-2", 8}};
	static const struct slice tag_keys[] = {{"k", 1}}, tag_values[] = {{"v", 1}};
	static const struct fleet_create create = {.name = {"one", 3},
						   .node_type = {"dax.r4.large", 12},
						   .description = {"d", 1},
						   .subnet_group = {"subs", 4},
						   .group = {"group", 5},
						   .role = {"arn:aws:iam::000000000000:role/r", 32},
						   .tag_keys = tag_keys,
						   .tag_values = tag_values,
						   .tag_count = 1,
						   .replication = 2};
	struct fleet_cluster *cluster;
	struct fleet_group *group;
	struct fleet_subnet_group *subnet_group;
	struct fleet *f;
	struct err err;

	if (fleet_open(engine, &still_fleet_options, &f, &err) != S_OK)
		abort();
	fleet_lock(f);
	if (fleet_group_create(f, SLICE("group"), SLICE("text"), &group, &err) != S_OK ||
	    fleet_subnets_create(f, SLICE("subs"), SLICE("text"), subnets, 2, &subnet_group, &err) != S_OK ||
	    fleet_create(f, &create, &cluster, &err) != S_OK)
		abort();
	fleet_unlock(f);
	fleet_close(f);
}

static void
keep_rows(struct engine *engine, enum engine_space space)
{
	struct engine_iter *it = engine_iter_new(engine, NULL, space, SLICE_NONE, SLICE_NONE, ENGINE_MAY_BLOCK);

	for (engine_iter_first(it); engine_iter_valid(it) && row_count < ROWS_MAX; engine_iter_next(it))
		rows[row_count++] = (struct row){space, arena_dup(&rows_arena, engine_iter_key(it)),
						 arena_dup(&rows_arena, engine_iter_value(it))};
	engine_iter_free(it);
}

static void
start(void)
{
	static const struct op_options op_options = {.io_threads = 1, .io_queue_max = 4};
	struct op_context *context;
	struct engine *engine;
	struct table_db *db;
	struct err err;

	log_setup(LOG_ERROR, LOG_TEXT);
	if (engine_memory_open(&engine, &err) != S_OK || table_db_open(engine, &options, &db, &err) != S_OK ||
	    op_context_new(&op_options, &db, 1, &context, &err) != S_OK)
		abort();
	fill(db, context);
	op_context_free(context);
	table_db_close(db);
	fill_fleet(engine);
	keep_rows(engine, SPACE_CATALOG);
	keep_rows(engine, SPACE_LOG);
	edited_count = row_count;
	keep_rows(engine, SPACE_INDEXES);
	keep_rows(engine, SPACE_ITEMS);
	engine_close(engine);
}

/* ---- edits ---- */

struct input {
	const uint8_t *at, *end;
};

static unsigned
take(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static struct slice
take_bytes(struct input *in)
{
	size_t n = take(in), left = (size_t)(in->end - in->at);
	struct slice s = slice_of((const char *)in->at, n < left ? n : left);

	in->at += s.len;
	return s;
}

static struct slice
with_byte(struct arena *a, struct slice old, size_t offset, unsigned byte)
{
	struct slice changed = arena_dup(a, old);

	if (changed.len > 0)
		((char *)changed.data)[offset % changed.len] = (char)byte;
	return changed;
}

static struct slice
with_more(struct arena *a, struct slice old, struct slice more)
{
	char *both = arena_alloc(a, old.len + more.len + 1);

	memcpy(both, old.data, old.len);
	memcpy(both + old.len, more.data, more.len);
	return slice_of(both, old.len + more.len);
}

static void
edit(struct input *in, struct row *all, struct arena *a)
{
	struct row *row = &all[take(in) % edited_count];
	size_t offset;

	switch (take(in) % 6) {
	case 0:
		offset = take(in) << 8;
		offset |= take(in);
		row->value = with_byte(a, row->value, offset, take(in));
		break;
	case 1:
		offset = take(in);
		row->value.len = offset < row->value.len ? offset : row->value.len;
		break;
	case 2:
		row->value = with_more(a, row->value, take_bytes(in));
		break;
	case 3:
		row->key = SLICE_NONE;
		break;
	case 4:
		row->value = take_bytes(in);
		break;
	default:
		offset = take(in);
		row->key = with_byte(a, row->key, offset, take(in));
		break;
	}
}

/* ---- using what has opened ---- */

static void
use_tables(struct table_db *db, struct arena *a)
{
	struct slice *names;
	size_t count;
	bool more;
	struct err err;

	table_list(db, SLICE_NONE, TABLES_MAX, a, &names, &count, &more);
	for (size_t i = 0; i < count; i++) {
		struct table_description description;

		(void)table_describe(db, names[i], a, &description, &err);
	}
}

static void
use_streams(struct table_db *db, struct arena *a)
{
	struct table_io io = {.arena = a, .may_block = true};
	struct stream_name *streams;
	struct err err;
	size_t count;
	bool more;

	stream_list(db, SLICE_NONE, SLICE_NONE, 100, a, &streams, &count, &more);
	for (size_t i = 0; i < count; i++) {
		struct stream_description d;

		if (stream_describe(db, streams[i].arn, SLICE_NONE, SLICE_NONE, 100, &io, &d, &err) != S_OK)
			continue;
		for (size_t n = 0; n < d.shard_count; n++) {
			uint64_t seq;

			(void)stream_find(db, streams[i].arn, d.shards[n].id, START_TRIM_HORIZON, SLICE_NONE, &io, &seq,
					  &err);
		}
	}
}

static void
use_fleet(struct fleet *f)
{
	size_t events;

	fleet_lock(f);
	for (const struct fleet_cluster *c = fleet_clusters(f); c != NULL; c = c->next) {
		if (c->role == NULL || c->node_type == NULL || c->group == NULL || c->subnet_group == NULL)
			abort();
		if (fleet_cluster_states[c->state][0] == '\0')
			abort();
		for (int i = 0; i < c->node_count; i++)
			if (fleet_node_states[c->nodes[i].state][0] == '\0')
				abort();
	}
	for (const struct fleet_group *g = fleet_groups(f); g != NULL; g = g->next)
		if (g->item_ttl_ms < 0 || g->query_ttl_ms < 0)
			abort();
	for (const struct fleet_event *e = fleet_events(f, &events); events > 0; events--, e++)
		if (e->source == NULL || e->message == NULL || fleet_sources[e->type][0] == '\0')
			abort();
	fleet_unlock(f);
}

static void
open_and_use(struct engine *engine)
{
	static const char *const requests[][2] = {
	    {"PutItem", "{\"TableName\":\"tab\",\"Item\":{\"p\":{\"S\":\"new\"},\"s\":{\"N\":\"1\"},"
			"\"l\":{\"B\":\"AAAA\"},\"t\":{\"N\":\"1\"}}}"},
	    {"DeleteItem", "{\"TableName\":\"tab\",\"Key\":{\"p\":{\"S\":\"1\"},\"s\":{\"N\":\"1\"}}}"},
	    {"Scan", "{\"TableName\":\"tab\",\"IndexName\":\"glo\"}"},
	    {"DescribeTable", "{\"TableName\":\"vec\"}"},
	    {"DescribeTimeToLive", "{\"TableName\":\"tab\"}"},
	    {"DescribeContributorInsights", "{\"TableName\":\"tab\"}"},
	    {"GetResourcePolicy", "{\"ResourceArn\":\"arn:aws:dynamodb:us-east-1:000000000000:table/tab\"}"},
	    {"SearchVectors", "{\"TableName\":\"vec\",\"IndexName\":\"keyed\",\"QueryVector\":[1,2],\"Limit\":2}"},
	};
	static const struct op_options op_options = {.io_threads = 1, .io_queue_max = 4};
	struct op_context *context;
	struct arena a = {0};
	struct buf out = {0};
	struct table_db *db;
	struct fleet *f;
	struct err err = {0};

	if (table_db_open(engine, &options, &db, &err) == S_OK) {
		use_tables(db, &a);
		use_streams(db, &a);
		if (op_context_new(&op_options, &db, 1, &context, &err) != S_OK)
			abort();
		for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
			(void)call_op(context, requests[i][0], requests[i][1], &out);
		op_context_free(context);
		table_db_write_metrics(db, &out);
		table_db_close(db);
	} else if (err.message[0] == '\0') {
		abort();
	}
	err.message[0] = '\0';
	if (fleet_open(engine, &still_fleet_options, &f, &err) == S_OK) {
		use_fleet(f);
		fleet_close(f);
	} else if (err.message[0] == '\0') {
		abort();
	}
	buf_done(&out);
	arena_done(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	struct row all[ROWS_MAX];
	struct engine_batch *batch;
	struct engine *engine;
	struct arena a = {0};
	struct err err;
	uint64_t seq;

	if (row_count == 0)
		start();
	memcpy(all, rows, sizeof all);
	for (int i = 0; i < EDITS && in.at < in.end; i++)
		edit(&in, all, &a);
	if (engine_memory_open(&engine, &err) != S_OK)
		abort();
	batch = engine_batch_new(engine);
	for (size_t i = 0; i < row_count; i++)
		if (all[i].key.len > 0)
			engine_batch_put(batch, all[i].space, all[i].key, all[i].value);
	if (engine_apply(engine, batch, &seq, &err) != S_OK)
		abort();
	engine_batch_free(batch);
	open_and_use(engine);
	engine_close(engine);
	arena_done(&a);
	return 0;
}
