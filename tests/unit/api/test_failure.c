/* When the engine fails: InternalServerError without our words, nothing half done, and the next call is served. */
#include "api_fixture.h"

static int
up(void **state)
{
	static const struct table_db_options options = {
	    .region = "us-east-1", .account = "000000000000", .control_delay_ms = 1, .partitions = 2};
	struct op_options op_options = {.io_threads = 1, .io_queue_max = 4};
	struct engine *memory;
	struct err err;

	(void)state;
	if (engine_memory_open(&memory, &err) != S_OK)
		return -1;
	fx.engine = engine_faulty_new(memory);
	if (table_db_open(fx.engine, &options, &fx.db, &err) != S_OK ||
	    op_context_new(&op_options, &fx.db, 1, &fx.context, &err) != S_OK)
		return -1;
	create_tables();
	return 0;
}

/* Fails the n-th engine call of one request, n = 1, 2, 3 ... until it succeeds. */
static void
each_failure_is_internal(const char *operation, const char *body, enum status status)
{
	for (uint64_t n = 1; n < 1000; n++) {
		const char *reply;

		engine_faulty_arm(fx.engine, n, status);
		reply = call_quoted(operation, body);
		engine_faulty_arm(fx.engine, 0, S_OK);
		if (fx.http_status == 200)
			return;
		assert_int_equal(fx.http_status, 500);
		assert_string_equal(reply,
				    "{\"__type\":\"com.amazonaws.dynamodb.v20120810#InternalServerError\",\"message\":"
				    "\"Internal server error\"}");
	}
	fail_msg("%s never succeeded", operation);
}

static void
every_engine_failure_is_internal(void **state)
{
	static const enum status failures[] = {S_IO, S_NO_SPACE, S_CORRUPT};

	(void)state;
	for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
		each_failure_is_internal(
		    "PutItem", "{'TableName':'composite','Item':{'pk':{'S':'f'},'sk':{'S':'1'},'gk':{'S':'g'}}}",
		    failures[i]);
		each_failure_is_internal("GetItem", "{'TableName':'composite','Key':{'pk':{'S':'f'},'sk':{'S':'1'}}}",
					 failures[i]);
		each_failure_is_internal(
		    "Query",
		    "{'TableName':'composite','IndexName':'glo','KeyConditionExpression':'gk = :g',"
		    "'ExpressionAttributeValues':{':g':{'S':'g'}}}",
		    failures[i]);
		each_failure_is_internal("Scan", "{'TableName':'composite'}", failures[i]);
		each_failure_is_internal(
		    "BatchWriteItem",
		    "{'RequestItems':{'hash':[{'PutRequest':{'Item':{'pk':{'S':'f'}}}}],'composite':[{'DeleteRequest':{"
		    "'Key':{'pk':{'S':'f'},'sk':{'S':'2'}}}}]}}",
		    failures[i]);
		each_failure_is_internal("BatchGetItem", "{'RequestItems':{'hash':{'Keys':[{'pk':{'S':'f'}}]}}}",
					 failures[i]);
	}
	expect_reply("GetItem", "{'TableName':'composite','Key':{'pk':{'S':'f'},'sk':{'S':'1'}}}",
		     "{\"Item\":{\"gk\":{\"S\":\"g\"},\"pk\":{\"S\":\"f\"},\"sk\":{\"S\":\"1\"}}}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_engine_failure_is_internal),
	};

	return cmocka_run_group_tests(tests, up, fixture_down);
}
