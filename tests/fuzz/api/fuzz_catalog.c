/*
 * A catalog and a change log some of whose rows are damaged: the database opens or says what is wrong;
 * one that opens can be described, written to and closed. Input: edits of the rows of a small database that has
 * something of every kind (rows.h); items and rows of indexes are believed as they are read.
 */
#include "fleet/still_machine.h"
#include "rows.h"
#include "table/change.h"
#include "table/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct table_db_options options = {.region = "us-east-1", .account = "000000000000", .partitions = 2};

/* ---- the database with something of every kind ---- */

static void
put_stream_policy(struct table_db *db, struct op_context *context)
{
	struct arena a = {0};
	struct stream_name *streams;
	struct slice body;
	size_t count;
	bool more;

	stream_list(db, SLICE("tab"), SLICE_NONE, 1, &a, &streams, &count, &more);
	if (count != 1)
		abort();
	body = arena_printf(&a,
			    "{\"ResourceArn\":\"%.*s\",\"Policy\":\"{\\\"Version\\\":\\\"2012-10-17\\\","
			    "\\\"Statement\\\":[{\\\"Effect\\\":\\\"Allow\\\",\\\"Principal\\\":{\\\"AWS\\\":"
			    "\\\"000000000000\\\"},\\\"Action\\\":\\\"dynamodb:GetRecords\\\",\\\"Resource\\\":"
			    "\\\"%.*s\\\"}]}\"}",
			    SLICE_ARG(streams[0].arn), SLICE_ARG(streams[0].arn));
	must_soon(context, "PutResourcePolicy", body.data);
	arena_done(&a);
}

static void
fill(struct table_db *db, struct op_context *context)
{
	static const char policy[] =
	    "{\"ResourceArn\":\"arn:aws:dynamodb:us-east-1:000000000000:table/tab\",\"Policy\":\"{\\\"Version\\\":"
	    "\\\"2012-10-17\\\",\\\"Statement\\\":[{\\\"Effect\\\":\\\"Allow\\\",\\\"Principal\\\":{\\\"AWS\\\":"
	    "\\\"000000000000\\\"},"
	    "\\\"Action\\\":\\\"dynamodb:GetItem\\\",\\\"Resource\\\":\\\"*\\\"}]}\"}";
	static const struct change_reader_options reader_options = {
	    .name = {"trigger/one", 11}, .images = CHANGE_NEW_IMAGE, .retention_ms = 86400000};
	struct change_reader *reader;
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
	if (change_reader_open(db, SLICE("tab"), &reader_options, &reader, &err) != S_OK)
		abort();
	change_reader_close(reader);
	put_stream_policy(db, context);
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
start(void)
{
	struct engine *engine = filled_engine(&options, fill);

	fill_fleet(engine);
	keep_rows(engine, SPACE_CATALOG);
	keep_rows(engine, SPACE_LOG);
	edited_count = row_count;
	keep_rows(engine, SPACE_INDEXES);
	keep_rows(engine, SPACE_ITEMS);
	engine_close(engine);
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

/* The reader of before, or a new one of its name: what it reads are records, in order. */
static void
use_reader(struct table_db *db, struct arena *a)
{
	static const struct change_reader_options reader_options = {
	    .name = {"trigger/one", 11}, .images = CHANGE_OLD_IMAGE, .retention_ms = 1000};
	struct table_io io = {.arena = a, .may_block = true};
	struct change_reader *reader;
	uint32_t lanes[8], count;
	struct err err;

	if (change_reader_open(db, SLICE("tab"), &reader_options, &reader, &err) != S_OK)
		return;
	count = change_reader_lanes(reader, lanes, 8);
	for (uint32_t i = 0; i < count; i++) {
		struct change_batch batch = {0};
		uint64_t durable;

		if (change_reader_read(reader, lanes[i], 10, 65536, &io, &batch, &err) != S_OK)
			continue;
		for (uint32_t n = 1; n < batch.count; n++)
			if (batch.changes[n].seq <= batch.changes[n - 1].seq)
				abort();
		change_reader_rewind(reader, lanes[i]);
		if (batch.count > 0)
			(void)change_reader_ack(reader, lanes[i], batch.changes[batch.count - 1].seq, &durable, &err);
	}
	(void)change_reader_detach(reader, &err);
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
		use_reader(db, &a);
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
	struct engine *engine;
	struct arena a = {0};

	if (row_count == 0)
		start();
	engine = engine_of_edited(&in, &a);
	open_and_use(engine);
	engine_close(engine);
	arena_done(&a);
	return 0;
}
