/* Tables as clients make, change and see them. */
#include "api_fixture.h"

#define DEFINITIONS "'AttributeDefinitions':[{'AttributeName':'pk','AttributeType':'S'}]"
#define KEYS        "'KeySchema':[{'AttributeName':'pk','KeyType':'HASH'}]"
#define ON_DEMAND   "'BillingMode':'PAY_PER_REQUEST'"
#define UNITS       "'ProvisionedThroughput':{'ReadCapacityUnits':5,'WriteCapacityUnits':6}"
#define INVALID     "One or more parameter values were invalid: "

static void
a_created_table_is_described(void **state)
{
	(void)state;
	expect_part(
	    "CreateTable", "{'TableName':'one'," DEFINITIONS "," KEYS "," UNITS ",'DeletionProtectionEnabled':true}",
	    "{\"TableDescription\":{\"AttributeDefinitions\":[{\"AttributeName\":\"pk\",\"AttributeType\":\"S\"}],"
	    "\"TableName\":"
	    "\"one\",\"KeySchema\":[{\"AttributeName\":\"pk\",\"KeyType\":\"HASH\"}],\"TableStatus\":\"CREATING\",");
	wait_active("one");
#define ONE "{'TableName':'one'}"
	expect_part("DescribeTable", ONE, "{\"Table\":{");
	expect_part(
	    "DescribeTable", ONE,
	    "\"ProvisionedThroughput\":{\"NumberOfDecreasesToday\":0,\"ReadCapacityUnits\":5,\"WriteCapacityUnits\":6},"
	    "\"TableSizeBytes\":0,\"ItemCount\":0,\"TableArn\":\"arn:aws:dynamodb:us-east-1:000000000000:table/one\",");
	expect_part("DescribeTable", ONE, "\"DeletionProtectionEnabled\":true");
	assert_null(strstr(fx.out.data, "BillingModeSummary"));
	assert_null(strstr(fx.out.data, "TableClassSummary"));
	expect_error("DeleteTable", ONE, "ValidationException",
		     "Resource cannot be deleted as it is currently protected against deletion. Disable deletion "
		     "protection first.");
	expect_ok("UpdateTable", "{'TableName':'one','DeletionProtectionEnabled':false}");
	wait_active("one");
	expect_part("DeleteTable", ONE, "\"TableStatus\":\"DELETING\"");
}

static void
billing_may_change(void **state)
{
	(void)state;
	expect_ok("CreateTable", "{'TableName':'bill'," DEFINITIONS "," KEYS "," ON_DEMAND "}");
	wait_active("bill");
	expect_part("DescribeTable", "{'TableName':'bill'}",
		    "\"BillingModeSummary\":{\"BillingMode\":\"PAY_PER_REQUEST\"");
	expect_part("DescribeTable", "{'TableName':'bill'}",
		    "\"ProvisionedThroughput\":{\"NumberOfDecreasesToday\":0,\"ReadCapacityUnits\":0,"
		    "\"WriteCapacityUnits\":0}");
	expect_ok("UpdateTable", "{'TableName':'bill','BillingMode':'PROVISIONED'," UNITS "}");
	wait_active("bill");
	expect_part("DescribeTable", "{'TableName':'bill'}", "\"ReadCapacityUnits\":5");
	expect_invalid(
	    "UpdateTable", "{'TableName':'bill'," ON_DEMAND "," UNITS "}",
	    INVALID
	    "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST");
	expect_invalid(
	    "UpdateTable", "{'TableName':'bill'}",
	    "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates, "
	    "SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, "
	    "MultiRegionConsistency, "
	    "DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass is required");
}

static void
global_indexes_come_and_go(void **state)
{
	(void)state;
	expect_ok("CreateTable", "{'TableName':'gsi'," DEFINITIONS "," KEYS "," ON_DEMAND "}");
	wait_active("gsi");
	expect_ok("PutItem", "{'TableName':'gsi','Item':{'pk':{'S':'a'},'x':{'S':'1'},'y':{'N':'2'},'z':{'N':'3'}}}");
	expect_ok(
	    "UpdateTable",
	    "{'TableName':'gsi','AttributeDefinitions':[{'AttributeName':'x','AttributeType':'S'},{'AttributeName':'y',"
	    "'AttributeType':'N'},{'AttributeName':'z','AttributeType':'N'}],'GlobalSecondaryIndexUpdates':[{'Create':{"
	    "'IndexName':'multi','KeySchema':[{'AttributeName':'x','KeyType':'HASH'},{'AttributeName':'y','KeyType':'"
	    "HASH'},"
	    "{'AttributeName':'z','KeyType':'RANGE'}],'Projection':{'ProjectionType':'KEYS_ONLY'}}}]}");
	wait_active("gsi");
	expect_part("Query",
		    "{'TableName':'gsi','IndexName':'multi','KeyConditionExpression':'x = :x AND y = :y AND z > :z',"
		    "'ExpressionAttributeValues':{':x':{'S':'1'},':y':{'N':'2'},':z':{'N':'2'}}}",
		    "\"Count\":1,\"Items\":[{\"pk\":{\"S\":\"a\"}");
	expect_part("DescribeTable", "{'TableName':'gsi'}",
		    "\"IndexArn\":\"arn:aws:dynamodb:us-east-1:000000000000:table/gsi/index/multi\"");
	expect_error("UpdateTable",
		     "{'TableName':'gsi','GlobalSecondaryIndexUpdates':[{'Delete':{'IndexName':'nope'}}]}",
		     "ResourceNotFoundException", "Requested resource not found");
	expect_error(
	    "UpdateTable",
	    "{'TableName':'gsi','GlobalSecondaryIndexUpdates':[{'Delete':{'IndexName':'multi'}},{'Delete':{'IndexName':"
	    "'two'}}]}",
	    "LimitExceededException",
	    "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table");
	expect_ok("UpdateTable",
		  "{'TableName':'gsi','GlobalSecondaryIndexUpdates':[{'Delete':{'IndexName':'multi'}}]}");
	wait_active("gsi");
	expect_ok("DescribeTable", "{'TableName':'gsi'}");
	assert_null(strstr(fx.out.data, "GlobalSecondaryIndexes"));
}

static void
schemas_that_make_no_sense_are_refused(void **state)
{
	(void)state;
#define CREATE(rest) "{'TableName':'bad'," ON_DEMAND "," rest "}"
	expect_invalid(
	    "CreateTable", "{'TableName':'bad'," DEFINITIONS "," KEYS "}",
	    INVALID "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED");
	expect_invalid("CreateTable",
		       CREATE(DEFINITIONS
			      ",'KeySchema':[{'AttributeName':'pk','KeyType':'HASH'},{'AttributeName':'pk','KeyType':"
			      "'RANGE'}]"),
		       "Invalid KeySchema: Some index key attribute have no definition");
	expect_invalid(
	    "CreateTable", CREATE(DEFINITIONS ",'KeySchema':[{'AttributeName':'x','KeyType':'HASH'}]"),
	    INVALID
	    "Some index key attributes are not defined in AttributeDefinitions. Keys: [x], AttributeDefinitions: "
	    "[pk]");
	expect_invalid("CreateTable", CREATE(DEFINITIONS ",'KeySchema':[{'AttributeName':'pk','KeyType':'RANGE'}]"),
		       "Invalid KeySchema: The first KeySchemaElement is not a HASH key type");
	expect_invalid("CreateTable",
		       CREATE("'AttributeDefinitions':[{'AttributeName':'pk','AttributeType':'S'},{'AttributeName':'x',"
			      "'AttributeType':'S'}]," KEYS),
		       INVALID
		       "Number of attributes in KeySchema does not exactly match number of attributes defined in "
		       "AttributeDefinitions");
	expect_invalid(
	    "CreateTable",
	    CREATE("'AttributeDefinitions':[{'AttributeName':'pk','AttributeType':'S'},{'AttributeName':'x',"
		   "'AttributeType':'S'}]," KEYS
		   ",'LocalSecondaryIndexes':[{'IndexName':'lsi','KeySchema':[{'AttributeName':'pk','KeyType':'HASH'},"
		   "{'AttributeName':'x','KeyType':'RANGE'}],'Projection':{'ProjectionType':'ALL'}}]"),
	    INVALID
	    "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex");
#define GLOBAL(projection)                                                                                             \
	"{'IndexName':'same','KeySchema':[{'AttributeName':'pk','KeyType':'HASH'}],'Projection':" projection "}"
	expect_invalid("CreateTable",
		       CREATE(DEFINITIONS "," KEYS ",'GlobalSecondaryIndexes':[" GLOBAL(
			   "{'ProjectionType':'ALL'}") "," GLOBAL("{'ProjectionType':'ALL'}") "]"),
		       INVALID "Duplicate index name: same");
	expect_invalid("CreateTable", CREATE(DEFINITIONS "," KEYS ",'GlobalSecondaryIndexes':[" GLOBAL("{}") "]"),
		       INVALID "Unknown ProjectionType: null");
	expect_invalid("CreateTable",
		       CREATE(DEFINITIONS "," KEYS ",'GlobalSecondaryIndexes':[" GLOBAL(
			   "{'ProjectionType':'ALL','NonKeyAttributes':['a']}") "]"),
		       INVALID "ProjectionType is ALL, but NonKeyAttributes is specified");
	expect_invalid("CreateTable", CREATE(DEFINITIONS "," KEYS ",'GlobalSecondaryIndexes':[]"),
		       INVALID "List of GlobalSecondaryIndexes is empty");
}

static void
parameters_without_effect_are_refused(void **state)
{
	static const struct {
		const char *member, *value;
	} refused[] = {
	    {"SSESpecification", "{'Enabled':true}"},
	    {"GlobalTableSourceArn", "'arn:x'"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		char body[500], message[200];

		snprintf(body, sizeof body, "{'TableName':'bad'," ON_DEMAND "," DEFINITIONS "," KEYS ",'%s':%s}",
			 refused[i].member, refused[i].value);
		snprintf(message, sizeof message, INVALID "%s is not offered by this version of Stator",
			 refused[i].member);
		expect_invalid("CreateTable", body, message);
	}
	expect_error("DescribeTable", "{'TableName':'bad'}", "ResourceNotFoundException",
		     "Requested resource not found: Table: bad not found");
}

static void
tables_are_listed_in_pages(void **state)
{
	(void)state;
	expect_ok("CreateTable", "{'TableName':'list-a'," DEFINITIONS "," KEYS "," ON_DEMAND "}");
	expect_ok("CreateTable", "{'TableName':'list-b'," DEFINITIONS "," KEYS "," ON_DEMAND "}");
	expect_reply("ListTables", "{'ExclusiveStartTableName':'list','Limit':1}",
		     "{\"TableNames\":[\"list-a\"],\"LastEvaluatedTableName\":\"list-a\"}");
	expect_reply("ListTables", "{'ExclusiveStartTableName':'list-a'}", "{\"TableNames\":[\"list-b\"]}");
	expect_error("CreateTable", "{'TableName':'list-a'," DEFINITIONS "," KEYS "," ON_DEMAND "}",
		     "ResourceInUseException", "Table already exists: list-a");
}

static void
tags_are_kept(void **state)
{
	(void)state;
	expect_ok("CreateTable", "{'TableName':'tags'," DEFINITIONS "," KEYS "," ON_DEMAND
				 ",'Tags':[{'Key':'a','Value':'1'},{'Key':'b','Value':''}]}");
	wait_active("tags");
#define ARN "'ResourceArn':'arn:aws:dynamodb:us-east-1:000000000000:table/tags'"
	expect_reply("ListTagsOfResource", "{" ARN "}",
		     "{\"Tags\":[{\"Key\":\"a\",\"Value\":\"1\"},{\"Key\":\"b\",\"Value\":\"\"}]}");
	expect_reply("TagResource", "{" ARN ",'Tags':[{'Key':'a','Value':'2'},{'Key':'c','Value':'3'}]}", "");
	expect_reply("UntagResource", "{" ARN ",'TagKeys':['b']}", "");
	expect_reply("ListTagsOfResource", "{" ARN "}",
		     "{\"Tags\":[{\"Key\":\"a\",\"Value\":\"2\"},{\"Key\":\"c\",\"Value\":\"3\"}]}");
	expect_invalid("TagResource", "{" ARN ",'Tags':[]}", "Atleast one Tag needs to be provided as Input.");
	expect_invalid("TagResource", "{'ResourceArn':'nonsense','Tags':[{'Key':'a','Value':'2'}]}",
		       "One or more parameter values were invalid: ARNs must start with 'arn:': nonsense");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_created_table_is_described),
	    cmocka_unit_test(billing_may_change),
	    cmocka_unit_test(global_indexes_come_and_go),
	    cmocka_unit_test(schemas_that_make_no_sense_are_refused),
	    cmocka_unit_test(parameters_without_effect_are_refused),
	    cmocka_unit_test(tables_are_listed_in_pages),
	    cmocka_unit_test(tags_are_kept),
	};

	return cmocka_run_group_tests(tests, fixture_up, fixture_down);
}
