/* Query, Scan and the batches. */
#include "api_fixture.h"

static int
up(void **state)
{
	if (fixture_up(state) != 0)
		return -1;
	create_tables();
	for (int i = 0; i < 5; i++) {
		char body[400];

		snprintf(
		    body, sizeof body,
		    "{'TableName':'composite','Item':{'pk':{'S':'q'},'sk':{'S':'%d'},'ls':{'S':'l%d'},'gk':{'S':'g'},"
		    "'more':{'N':'%d'},'rest':{'S':'r'}}}",
		    i, 9 - i, i);
		expect_ok("PutItem", body);
	}
	return 0;
}

#define QUERY(rest)                                                                                                    \
	"{'TableName':'composite','KeyConditionExpression':'pk = "                                                     \
	":p','ExpressionAttributeValues':{':p':{'S':'q'}}" rest "}"
#define QUERY_GLOBAL(index, rest)                                                                                      \
	"{'TableName':'composite','IndexName':'" index "','KeyConditionExpression':'gk = :p',"                         \
	"'ExpressionAttributeValues':{':p':{'S':'g'}}" rest "}"

static void
a_query_pages_in_both_directions(void **state)
{
	(void)state;
	expect_reply(
	    "Query", QUERY(",'Limit':2,'ProjectionExpression':'more'"),
	    "{\"Count\":2,\"Items\":[{\"more\":{\"N\":\"0\"}},{\"more\":{\"N\":\"1\"}}],\"LastEvaluatedKey\":{\"pk\":{"
	    "\"S\":\"q\"},\"sk\":{\"S\":\"1\"}},\"ScannedCount\":2}");
	expect_reply(
	    "Query",
	    QUERY(",'Limit':2,'ProjectionExpression':'more','ExclusiveStartKey':{'pk':{'S':'q'},'sk':{'S':'3'}}"),
	    "{\"Count\":1,\"Items\":[{\"more\":{\"N\":\"4\"}}],\"ScannedCount\":1}");
	expect_part("Query", QUERY(",'Limit':1,'ScanIndexForward':false,'ProjectionExpression':'more'"),
		    "\"Items\":[{\"more\":{\"N\":\"4\"}}]");
	expect_reply("Query", QUERY(",'Select':'COUNT'"), "{\"Count\":5,\"ScannedCount\":5}");
}

static void
indexes_give_what_they_project(void **state)
{
	(void)state;
	expect_part("Query", QUERY(",'IndexName':'loc','Limit':1"),
		    "\"Items\":[{\"ls\":{\"S\":\"l5\"},\"pk\":{\"S\":\"q\"},\"sk\":{\"S\":\"4\"}}]");
	expect_part("Query", QUERY(",'IndexName':'loc','Limit':1,'Select':'ALL_ATTRIBUTES'"), "\"rest\":{\"S\":\"r\"}");
	expect_part(
	    "Query", QUERY_GLOBAL("inc", ",'Limit':1"),
	    "\"Items\":[{\"gk\":{\"S\":\"g\"},\"more\":{\"N\":\"0\"},\"pk\":{\"S\":\"q\"},\"sk\":{\"S\":\"0\"}}]");
	expect_invalid("Query", QUERY_GLOBAL("inc", ",'Select':'ALL_ATTRIBUTES'"),
		       "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for "
		       "global secondary "
		       "index inc because its projection type is not ALL");
	expect_invalid("Query", QUERY_GLOBAL("inc", ",'ProjectionExpression':'rest'"),
		       "One or more parameter values were invalid: Global secondary index inc does not project [rest]");
	expect_invalid("Query", QUERY_GLOBAL("glo", ",'ConsistentRead':true"),
		       "Consistent reads are not supported on global secondary indexes");
	expect_invalid("Scan", "{'TableName':'composite','IndexName':'glo','ConsistentRead':true}",
		       "Consistent reads are not supported on global secondary indexes");
	expect_invalid("Scan", "{'TableName':'composite','IndexName':'nope'}",
		       "The table does not have the specified index: nope");
}

static void
index_reads_have_their_capacity(void **state)
{
	(void)state;
	expect_part("Query", QUERY_GLOBAL("glo", ",'Select':'COUNT','ReturnConsumedCapacity':'INDEXES'"),
		    "{\"ConsumedCapacity\":{\"TableName\":\"composite\",\"CapacityUnits\":0.5,\"Table\":{"
		    "\"CapacityUnits\":0.0},"
		    "\"GlobalSecondaryIndexes\":{\"glo\":{\"CapacityUnits\":0.5}}}");
	expect_part("Query", QUERY(",'Select':'COUNT','ReturnConsumedCapacity':'TOTAL','ConsistentRead':true"),
		    "{\"ConsumedCapacity\":{\"TableName\":\"composite\",\"CapacityUnits\":1.0}");
}

static void
select_must_fit_the_rest(void **state)
{
	(void)state;
	expect_invalid(
	    "Query", QUERY(",'Select':'SPECIFIC_ATTRIBUTES'"),
	    "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES");
	expect_invalid("Query", QUERY(",'Select':'ALL_PROJECTED_ATTRIBUTES'"),
		       "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName");
	expect_invalid("Scan", "{'TableName':'composite','Select':'COUNT','ProjectionExpression':'a'}",
		       "Cannot specify the ProjectionExpression when choosing to get only the Count");
}

static void
filters_are_for_other_attributes_than_keys(void **state)
{
	(void)state;
	expect_reply("Query",
		     "{'TableName':'composite','KeyConditionExpression':'pk = :p','FilterExpression':'more > "
		     ":n','Select':'COUNT',"
		     "'ExpressionAttributeValues':{':p':{'S':'q'},':n':{'N':'2'}}}",
		     "{\"Count\":2,\"ScannedCount\":5}");
	expect_invalid("Query",
		       "{'TableName':'composite','KeyConditionExpression':'pk = :p','FilterExpression':'sk = :p',"
		       "'ExpressionAttributeValues':{':p':{'S':'q'}}}",
		       "Filter Expression can only contain non-primary key attributes: Primary key attribute: sk");
}

static void
key_conditions_are_required(void **state)
{
	(void)state;
	expect_invalid(
	    "Query", "{'TableName':'composite'}",
	    "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.");
	expect_invalid("Query",
		       "{'TableName':'composite','KeyConditionExpression':'sk = :p',"
		       "'ExpressionAttributeValues':{':p':{'S':'q'}}}",
		       "Query condition missed key schema element: pk");
	expect_invalid(
	    "Query",
	    "{'TableName':'composite','KeyConditionExpression':'','ExpressionAttributeValues':{':p':{'S':'q'}}}",
	    "Invalid KeyConditionExpression: The expression can not be empty;");
}

static void
starting_keys_must_belong_to_the_read(void **state)
{
	(void)state;
	expect_invalid("Query", QUERY(",'ExclusiveStartKey':{}"), "The provided starting key is invalid");
	expect_invalid("Query", QUERY(",'ExclusiveStartKey':{'pk':{'S':'q'}}"), "The provided starting key is invalid");
	expect_invalid("Query", QUERY(",'ExclusiveStartKey':{'pk':{'S':'q'},'sk':{'N':'1'}}"),
		       "The provided key element does not match the schema");
	expect_invalid("Query", QUERY(",'ExclusiveStartKey':{'pk':{'S':'other'},'sk':{'S':'1'}}"),
		       "The provided starting key is outside query boundaries based on provided conditions");
	expect_invalid("Query", QUERY(",'IndexName':'loc','ExclusiveStartKey':{'pk':{'S':'q'},'sk':{'S':'1'}}"),
		       "The provided starting key is invalid");
	expect_invalid("Scan", "{'TableName':'composite','ExclusiveStartKey':{'pk':{'S':'q'}}}",
		       "The provided starting key is invalid: The provided key element does not match the schema");
	expect_invalid("Scan", "{'TableName':'composite','ExclusiveStartKey':{'pk':{'SS':[]}}}",
		       "The provided starting key is invalid: One or more parameter values were invalid: An string set "
		       " may not be "
		       "empty");
	expect_part("Scan",
		    "{'TableName':'composite','TotalSegments':1000000,'Segment':0,'ExclusiveStartKey':{'pk':{'S':'q'},'"
		    "sk':{'S':'1'}}}",
		    "Please use ExclusiveStartKey with correct Segment. TotalSegments: 1000000 Segment: 0");
}

static void
segments_together_give_everything_once(void **state)
{
	int seen = 0;

	(void)state;
	for (int i = 0; i < 3; i++) {
		char body[200];

		snprintf(body, sizeof body, "{'TableName':'composite','TotalSegments':3,'Segment':%d,'Select':'COUNT'}",
			 i);
		expect_ok("Scan", body);
		seen += atoi(strstr(fx.out.data, "\"Count\":") + 8);
	}
	assert_int_equal(seen, 5);
	expect_invalid("Scan", "{'TableName':'composite','Segment':0}",
		       "The TotalSegments parameter is required but was not present in the request when Segment "
		       "parameter is present");
	expect_invalid("Scan", "{'TableName':'composite','TotalSegments':4}",
		       "The Segment parameter is required but was not present in the request when parameter "
		       "TotalSegments is present");
	expect_invalid("Scan", "{'TableName':'composite','TotalSegments':5,'Segment':5}",
		       "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: 5 "
		       "is not less than "
		       "TotalSegments: 5");
}

static void
a_batch_writes_and_reads_several_tables(void **state)
{
	(void)state;
	expect_reply(
	    "BatchWriteItem",
	    "{'RequestItems':{'hash':[{'PutRequest':{'Item':{'pk':{'S':'b1'}}}},{'DeleteRequest':{'Key':{'pk':{'S':'b2'"
	    "}}}}],"
	    "'composite':[{'PutRequest':{'Item':{'pk':{'S':'b'},'sk':{'S':'1'}}}}]},'ReturnConsumedCapacity':'TOTAL',"
	    "'ReturnItemCollectionMetrics':'SIZE'}",
	    "{\"UnprocessedItems\":{},\"ItemCollectionMetrics\":{\"composite\":[{\"ItemCollectionKey\":{\"pk\":{\"S\":"
	    "\"b\"}},"
	    "\"SizeEstimateRangeGB\":[0.0,1.0]}]},\"ConsumedCapacity\":[{\"TableName\":\"hash\",\"CapacityUnits\":2.0},"
	    "{"
	    "\"TableName\":\"composite\",\"CapacityUnits\":1.0}]}");
	expect_reply(
	    "BatchGetItem",
	    "{'RequestItems':{'hash':{'Keys':[{'pk':{'S':'b1'}},{'pk':{'S':'b2'}}],'ConsistentRead':true},"
	    "'composite':{'Keys':[{'pk':{'S':'b'},'sk':{'S':'1'}}],'ProjectionExpression':'sk'}},"
	    "'ReturnConsumedCapacity':'TOTAL'}",
	    "{\"Responses\":{\"hash\":[{\"pk\":{\"S\":\"b1\"}}],\"composite\":[{\"sk\":{\"S\":\"1\"}}]},"
	    "\"UnprocessedKeys\":{},"
	    "\"ConsumedCapacity\":[{\"TableName\":\"hash\",\"CapacityUnits\":2.0},{\"TableName\":\"composite\","
	    "\"CapacityUnits\":0.5}]}");
}

static void
batches_have_limits(void **state)
{
	struct buf body = {0};

	(void)state;
	expect_invalid("BatchWriteItem",
		       "{'RequestItems':{'hash':[{'PutRequest':{'Item':{'pk':{'S':'d'}}}},{'DeleteRequest':{'Key':{'pk'"
		       ":{'S':'d'}}}}]}}",
		       "Provided list of item keys contains duplicates");
	expect_invalid("BatchGetItem",
		       "{'RequestItems':{'hash':{'Keys':[{'pk':{'S':'d'}}]},"
		       "'arn:aws:dynamodb:us-east-1:000000000000:table/hash':{'Keys':[{'pk':{'S':'d'}}]}}}",
		       "Provided list of item keys contains duplicates");
	expect_error("BatchGetItem", "{'RequestItems':{'missing':{'Keys':[{'pk':{'S':'d'}}]}}}",
		     "ResourceNotFoundException", "Requested resource not found");
	buf_put_lit(&body, "{'RequestItems':{'hash':{'Keys':[");
	for (int i = 0; i < 101; i++)
		buf_printf(&body, "%s{'pk':{'S':'%d'}}", i > 0 ? "," : "", i);
	buf_put(&body, "]}}}", 5);
	expect_invalid("BatchGetItem", body.data,
		       "1 validation error detected: Value at 'RequestItems.hash.member.Keys' failed to satisfy "
		       "constraint: Member "
		       "must have length less than or equal to 100");
	body.len = 0;
	buf_put_lit(&body, "{'RequestItems':{'hash':[");
	for (int i = 0; i < 26; i++)
		buf_printf(&body, "%s{'PutRequest':{'Item':{'pk':{'S':'%d'}}}}", i > 0 ? "," : "", i);
	buf_put(&body, "]}}", 4);
	expect_part("BatchWriteItem", body.data,
		    "]}' at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: [Member "
		    "must have length "
		    "less than or equal to 25, Member must have length greater than or equal to 1]\"}");
	buf_done(&body);
}

/* 16 MB of items an answer: what does not fit is given back as keys to ask for again. */
static void
a_full_answer_leaves_keys_unprocessed(void **state)
{
	struct buf body = {0}, filler = {0};
	const char *rest;
	int keys = 0;

	(void)state;
	buf_reserve(&filler, 390001);
	memset(filler.data, 'x', 390000);
	filler.data[390000] = '\0';
	for (int i = 0; i < 45; i++) {
		body.len = 0;
		buf_printf(&body, "{\"TableName\":\"hash\",\"Item\":{\"pk\":{\"S\":\"big%d\"},\"f\":{\"S\":\"%s\"}}}",
			   i, filler.data);
		buf_put_byte(&body, '\0');
		call_op("PutItem", body.data);
		assert_int_equal(fx.http_status, 200);
	}
	body.len = 0;
	buf_put_lit(&body, "{'RequestItems':{'hash':{'ConsistentRead':true,'Keys':[");
	for (int i = 0; i < 45; i++)
		buf_printf(&body, "%s{'pk':{'S':'big%d'}}", i > 0 ? "," : "", i);
	buf_put(&body, "]}}}", 5);
	expect_ok("BatchGetItem", body.data);
	rest = strstr(fx.out.data, "\"UnprocessedKeys\":{\"hash\":{\"Keys\":[");
	assert_non_null(rest);
	assert_non_null(strstr(rest, "],\"ConsistentRead\":true}}}"));
	for (const char *at = rest; (at = strstr(at, "{\"pk\":")) != NULL; at++)
		keys++;
	assert_int_equal(keys, 2); /* 43 items of 390,007 bytes fit */
	buf_done(&body);
	buf_done(&filler);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_query_pages_in_both_directions),
	    cmocka_unit_test(indexes_give_what_they_project),
	    cmocka_unit_test(index_reads_have_their_capacity),
	    cmocka_unit_test(select_must_fit_the_rest),
	    cmocka_unit_test(filters_are_for_other_attributes_than_keys),
	    cmocka_unit_test(key_conditions_are_required),
	    cmocka_unit_test(starting_keys_must_belong_to_the_read),
	    cmocka_unit_test(segments_together_give_everything_once),
	    cmocka_unit_test(a_batch_writes_and_reads_several_tables),
	    cmocka_unit_test(batches_have_limits),
	    cmocka_unit_test(a_full_answer_leaves_keys_unprocessed),
	};

	return cmocka_run_group_tests(tests, up, fixture_down);
}
