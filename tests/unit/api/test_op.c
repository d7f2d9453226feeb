/* The operation table: who is in it, and that each is answered. */
#include "api_fixture.h"

#include "api/op_int.h"

static void
operations_are_sorted(void **state) /* op_find() bisects */
{
	(void)state;
	for (size_t i = 1; i < op_count; i++)
		if (strcmp(ops[i - 1].name, ops[i].name) >= 0)
			fail_msg("%s must come after %s", ops[i - 1].name, ops[i].name);
}

static void
every_operation_is_found_by_its_target(void **state)
{
	(void)state;
	for (size_t i = 0; i < op_count; i++) {
		char target[128];

		snprintf(target, sizeof target, "DynamoDB_20120810.%s", ops[i].name);
		assert_ptr_equal(op_find(slice_str(target)), &ops[i]);
	}
	assert_null(op_find(SLICE("DynamoDB_20120810.")));
	assert_null(op_find(SLICE("DynamoDB_20120810.PutItems")));
	assert_null(op_find(SLICE("DynamoDB_20111205.PutItem")));
	assert_null(op_find(SLICE("PutItem")));
	assert_null(op_find(SLICE_NONE));
}

static void
fields_fit_their_readers(void **state) /* the duplicate check of one object is a 64-bit mask */
{
	(void)state;
	for (size_t i = 0; i < op_count; i++) {
		size_t count = 0;

		if (ops[i].shape == NULL)
			continue;
		while (ops[i].shape->fields[count].name != NULL) {
			assert_true(ops[i].shape->fields[count].offset < ops[i].shape->size);
			count++;
		}
		assert_true(count <= 64);
	}
}

static void
an_unknown_operation_is_refused(void **state)
{
	(void)state;
	expect_reply("Nonsense", "{}", "{\"__type\":\"com.amazon.coral.service#UnknownOperationException\"}");
	assert_int_equal(fx.http_status, 400);
}

/* Nothing that a client sends may look like our fault. */
static void
every_operation_answers_any_body_without_500(void **state)
{
	static const char *const bodies[] = {
	    "",
	    "{",
	    "[]",
	    "null",
	    "{}",
	    "{'TableName':'missing'}",
	    "{'TableName':null,'Key':null,'Item':null}",
	    "{'TableName':'missing','Key':{},'Item':{},'RequestItems':{'missing':{}}}",
	    "{'TableName':'arn:aws:dynamodb:us-east-1:000000000000:table/missing','Key':{'a':{'S':'b'}}}",
	    "{'RequestItems':{'missing':[null]},'ResourceArn':'arn:','Tags':[null],'TagKeys':[null]}",
	    "{'RequestItems':{'missing':{'Keys':[null]}}}",
	    "{'RequestItems':{'missing':null}}",
	    "{'TableName':'abc','KeySchema':[null],'AttributeDefinitions':[null],'GlobalSecondaryIndexUpdates':[null]}",
	};

	(void)state;
	for (size_t i = 0; i < op_count; i++)
		for (size_t b = 0; b < sizeof bodies / sizeof *bodies; b++) {
			const char *reply = call_quoted(ops[i].name, bodies[b]);

			if (fx.http_status != 200 && fx.http_status != 400)
				fail_msg("%s %s: %d %s", ops[i].name, bodies[b], fx.http_status, reply);
		}
}

static void
refusals_name_a_modelled_exception(void **state)
{
	(void)state;
	expect_invalid("StartBulkPutItems", "{}", "StartBulkPutItems is not offered by this version of Stator");
#define BACKUP(account, table) "{'BackupArn':'arn:aws:dynamodb:us-east-1:" account ":" table "'}"
	expect_error("DescribeBackup", BACKUP("000000000000", "table/t/backup/1"), "BackupNotFoundException",
		     "Backup not found: arn:aws:dynamodb:us-east-1:000000000000:table/t/backup/1");
	expect_error("DeleteBackup", BACKUP("000000000000", "table/t/backup/1"), "BackupNotFoundException",
		     "Backup not found: arn:aws:dynamodb:us-east-1:000000000000:table/t/backup/1");
	expect_invalid("DescribeBackup", BACKUP("000000000000", "table/music"), "Invalid Backup ARN");
	expect_invalid("DescribeBackup", BACKUP("000000000000", "table/t/backup/"), "Invalid Backup ARN");
	expect_invalid("DescribeBackup", "{'BackupArn':'a-text-that-is-not-an-arn-and-long-enough-to-be'}",
		       "Invalid Request: BackupArn is not valid");
	expect_error("DescribeBackup", BACKUP("999999999999", "table/t/backup/1"), "AccessDeniedException",
		     "User: arn:aws:iam::000000000000:root is not authorized to perform: dynamodb:DescribeBackup on "
		     "resource: arn:aws:dynamodb:us-east-1:999999999999:table/t/backup/1");
#define LEGACY                                                                                                         \
	"DynamoDB global tables version 2017.11.29 is not supported. We recommend using DynamoDB global tables "       \
	"version 2019.11.21, instead of version 2017.11.29 (Legacy)."
	expect_error("DescribeGlobalTable", "{'GlobalTableName':'abc'}", "GlobalTableNotFoundException",
		     "Global table not found: Global table with name: 'abc' does not exist.");
	expect_error("DescribeGlobalTableSettings", "{'GlobalTableName':'abc'}", "GlobalTableNotFoundException",
		     "Global table with name: 'abc' does not exist.");
	expect_error("UpdateGlobalTableSettings", "{'GlobalTableName':'abc'}", "GlobalTableNotFoundException",
		     "Global table with name: 'abc' does not exist.");
	expect_invalid("CreateGlobalTable", "{'GlobalTableName':'abc','ReplicationGroup':[]}", LEGACY);
	expect_invalid("UpdateGlobalTable",
		       "{'GlobalTableName':'abc','ReplicaUpdates':[{'Create':{'RegionName':'eu-west-1'}}]}", LEGACY);
	expect_invalid("UpdateGlobalTable", "{'GlobalTableName':'abc','ReplicaUpdates':[]}",
		       "One or more parameter values were invalid");
	expect_invalid("UpdateGlobalTable", "{'GlobalTableName':'abc','ReplicaUpdates':[{}]}",
		       "One or more parameter values were invalid");
	expect_error(
	    "UpdateGlobalTable", "{'GlobalTableName':'abc','ReplicaUpdates':[{'Delete':{'RegionName':'eu-west-1'}}]}",
	    "GlobalTableNotFoundException", "Global table not found: Global table with name: 'abc' does not exist.");
	expect_error("DescribeTableReplicaAutoScaling", "{'TableName':'abc'}", "ResourceNotFoundException",
		     "Global table with name: 'abc' does not exist.");
	expect_reply("ListExports", "{}", "{\"ExportSummaries\":[]}");
	expect_error("DescribeTimeToLive", "{'TableName':'missing'}", "ResourceNotFoundException",
		     "Requested resource not found: Table: missing not found");
	expect_error("DescribeContinuousBackups", "{'TableName':'missing'}", "TableNotFoundException",
		     "Table not found: missing");
}

static void
limits_and_endpoints_are_told(void **state)
{
	(void)state;
	expect_reply("DescribeLimits", "{}",
		     "{\"AccountMaxReadCapacityUnits\":80000,\"AccountMaxWriteCapacityUnits\":80000,"
		     "\"TableMaxReadCapacityUnits\":40000,\"TableMaxWriteCapacityUnits\":40000}");
	expect_reply("DescribeEndpoints", "{}",
		     "{\"Endpoints\":[{\"Address\":\"localhost\",\"CachePeriodInMinutes\":1440}]}");
}

static void
requests_are_counted_by_operation(void **state)
{
	struct buf out = {0};

	(void)state;
	expect_ok("DescribeLimits", "{}");
	call_op("GetItem", "{}");
	op_write_metrics(fx.context, &out);
	buf_put_byte(&out, '\0');
	assert_non_null(strstr(out.data, "stator_requests_total{operation=\"DescribeLimits\"} "));
	assert_non_null(strstr(out.data, "stator_errors_total{operation=\"GetItem\",error=\"ValidationException\"} "));
	assert_non_null(strstr(out.data, "stator_request_seconds_bucket{operation=\"GetItem\",le=\"+Inf\"} "));
	assert_non_null(strstr(out.data, "stator_requests_in_progress 0\n"));
	buf_done(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(operations_are_sorted),
	    cmocka_unit_test(every_operation_is_found_by_its_target),
	    cmocka_unit_test(fields_fit_their_readers),
	    cmocka_unit_test(an_unknown_operation_is_refused),
	    cmocka_unit_test(every_operation_answers_any_body_without_500),
	    cmocka_unit_test(refusals_name_a_modelled_exception),
	    cmocka_unit_test(limits_and_endpoints_are_told),
	    cmocka_unit_test(requests_are_counted_by_operation),
	};

	return cmocka_run_group_tests(tests, fixture_up, fixture_down);
}
