/* Items: what goes in comes out, and what each parameter does to the reply. */
#include "api_fixture.h"

#define CONDITION_FAILED "ConditionalCheckFailedException"

static int
up(void **state)
{
	if (fixture_up(state) != 0)
		return -1;
	create_tables();
	return 0;
}

static void
a_put_item_is_read_back(void **state)
{
	(void)state;
	expect_reply("PutItem",
		     "{'TableName':'hash','Item':{'pk':{'S':'a'},'n':{'N':'1.50'},'l':{'L':[{'BOOL':true}]}}}", "{}");
	expect_reply("GetItem", "{'TableName':'hash','Key':{'pk':{'S':'a'}},'ConsistentRead':true}",
		     "{\"Item\":{\"l\":{\"L\":[{\"BOOL\":true}]},\"n\":{\"N\":\"1.5\"},\"pk\":{\"S\":\"a\"}}}");
	expect_reply("GetItem", "{'TableName':'hash','Key':{'pk':{'S':'nobody'}}}", "{}");
	expect_reply("GetItem",
		     "{'TableName':'hash','Key':{'pk':{'S':'a'}},'ProjectionExpression':'n, #l[0]',"
		     "'ExpressionAttributeNames':{'#l':'l'}}",
		     "{\"Item\":{\"l\":{\"L\":[{\"BOOL\":true}]},\"n\":{\"N\":\"1.5\"}}}");
	expect_reply("GetItem", "{'TableName':'hash','Key':{'pk':{'S':'a'}},'AttributesToGet':['n','zzz']}",
		     "{\"Item\":{\"n\":{\"N\":\"1.5\"}}}");
}

static void
a_table_may_be_named_by_its_arn(void **state)
{
	(void)state;
	expect_reply("PutItem",
		     "{'TableName':'arn:aws:dynamodb:us-east-1:000000000000:table/hash','Item':{'pk':{'S':'arn'}},"
		     "'ReturnConsumedCapacity':'TOTAL'}",
		     "{\"ConsumedCapacity\":{\"TableName\":\"arn:aws:dynamodb:us-east-1:000000000000:table/hash\","
		     "\"CapacityUnits\":1.0}}");
	expect_error("GetItem",
		     "{'TableName':'arn:aws:dynamodb:us-east-1:999999999999:table/hash','Key':{'pk':{'S':'arn'}}}",
		     "AccessDeniedException",
		     "User: arn:aws:iam::000000000000:root is not authorized to perform: dynamodb:GetItem on resource: "
		     "arn:aws:dynamodb:us-east-1:999999999999:table/hash");
	expect_invalid("GetItem",
		       "{'TableName':'arn:aws:dynamodb:us-east-1:000000000000:table/hash/x','Key':{'pk':{'S':'a'}}}",
		       "Invalid TableArn: Invalid ResourceArn provided as input "
		       "arn:aws:dynamodb:us-east-1:000000000000:table/hash/x");
}

static void
return_values_give_what_they_name(void **state)
{
	(void)state;
	expect_ok("PutItem", "{'TableName':'hash','Item':{'pk':{'S':'rv'},'a':{'N':'1'},'b':{'S':'x'}}}");
	expect_reply(
	    "PutItem",
	    "{'TableName':'hash','Item':{'pk':{'S':'rv'},'a':{'N':'2'},'b':{'S':'x'}},'ReturnValues':'ALL_OLD'}",
	    "{\"Attributes\":{\"a\":{\"N\":\"1\"},\"b\":{\"S\":\"x\"},\"pk\":{\"S\":\"rv\"}}}");
	expect_reply("PutItem", "{'TableName':'hash','Item':{'pk':{'S':'rv-new'}},'ReturnValues':'ALL_OLD'}", "{}");
	expect_invalid("PutItem", "{'TableName':'hash','Item':{'pk':{'S':'rv'}},'ReturnValues':'ALL_NEW'}",
		       "ReturnValues can only be ALL_OLD or NONE");
	expect_invalid("DeleteItem", "{'TableName':'hash','Key':{'pk':{'S':'rv'}},'ReturnValues':'UPDATED_NEW'}",
		       "ReturnValues can only be ALL_OLD or NONE");
#define UPDATE(values)                                                                                                 \
	"{'TableName':'hash','Key':{'pk':{'S':'rv'}},'UpdateExpression':'SET a = a + :one',"                           \
	"'ExpressionAttributeValues':{':one':{'N':'1'}},'ReturnValues':'" values "'}"
	expect_reply("UpdateItem", UPDATE("NONE"), "{}");
	expect_reply("UpdateItem", UPDATE("UPDATED_OLD"), "{\"Attributes\":{\"a\":{\"N\":\"3\"}}}");
	expect_reply("UpdateItem", UPDATE("UPDATED_NEW"), "{\"Attributes\":{\"a\":{\"N\":\"5\"}}}");
	expect_reply("UpdateItem", UPDATE("ALL_OLD"),
		     "{\"Attributes\":{\"a\":{\"N\":\"5\"},\"b\":{\"S\":\"x\"},\"pk\":{\"S\":\"rv\"}}}");
	expect_reply("UpdateItem", UPDATE("ALL_NEW"),
		     "{\"Attributes\":{\"a\":{\"N\":\"7\"},\"b\":{\"S\":\"x\"},\"pk\":{\"S\":\"rv\"}}}");
	expect_reply("DeleteItem", "{'TableName':'hash','Key':{'pk':{'S':'rv'}},'ReturnValues':'ALL_OLD'}",
		     "{\"Attributes\":{\"a\":{\"N\":\"7\"},\"b\":{\"S\":\"x\"},\"pk\":{\"S\":\"rv\"}}}");
	expect_reply("UpdateItem", "{'TableName':'hash','Key':{'pk':{'S':'bare'}},'ReturnValues':'ALL_NEW'}",
		     "{\"Attributes\":{\"pk\":{\"S\":\"bare\"}}}");
}

static void
a_failed_condition_may_show_the_item(void **state)
{
	(void)state;
	expect_ok("PutItem", "{'TableName':'hash','Item':{'pk':{'S':'cf'},'a':{'N':'1'}}}");
#define CONDITION(extra)                                                                                               \
	"{'TableName':'hash','Item':{'pk':{'S':'cf'}},'ConditionExpression':'attribute_not_exists(pk)'" extra "}"
	expect_error("PutItem", CONDITION(""), CONDITION_FAILED, "The conditional request failed");
	expect_reply(
	    "PutItem", CONDITION(",'ReturnValuesOnConditionCheckFailure':'ALL_OLD'"),
	    "{\"__type\":\"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException\",\"message\":\"The "
	    "conditional request failed\",\"Item\":{\"a\":{\"N\":\"1\"},\"pk\":{\"S\":\"cf\"}}}");
	expect_error("DeleteItem",
		     "{'TableName':'hash','Key':{'pk':{'S':'cf'}},'ConditionExpression':'a = :v',"
		     "'ExpressionAttributeValues':{':v':{'N':'2'}}}",
		     CONDITION_FAILED, "The conditional request failed");
}

static void
consumed_capacity_is_exact(void **state)
{
	(void)state;
#define ITEM "'Item':{'pk':{'S':'cap'},'sk':{'S':'1'},'ls':{'S':'x'},'gk':{'S':'g'}}"
	expect_reply("PutItem", "{'TableName':'composite'," ITEM ",'ReturnConsumedCapacity':'TOTAL'}",
		     "{\"ConsumedCapacity\":{\"TableName\":\"composite\",\"CapacityUnits\":4.0}}");
	expect_part("PutItem",
		    "{'TableName':'composite','Item':{'pk':{'S':'cap'},'sk':{'S':'2'},'gk':{'S':'g'}},"
		    "'ReturnConsumedCapacity':'INDEXES'}",
		    "\"CapacityUnits\":3.0,\"Table\":{\"CapacityUnits\":1.0},\"GlobalSecondaryIndexes\":{\"");
	expect_reply("GetItem", "{'TableName':'hash','Key':{'pk':{'S':'nobody'}},'ReturnConsumedCapacity':'TOTAL'}",
		     "{\"ConsumedCapacity\":{\"TableName\":\"hash\",\"CapacityUnits\":0.5}}");
	expect_reply(
	    "GetItem",
	    "{'TableName':'hash','Key':{'pk':{'S':'nobody'}},'ReturnConsumedCapacity':'INDEXES','ConsistentRead':true}",
	    "{\"ConsumedCapacity\":{\"TableName\":\"hash\",\"CapacityUnits\":1.0,\"Table\":{\"CapacityUnits\":1.0}}}");
	expect_reply("DeleteItem", "{'TableName':'hash','Key':{'pk':{'S':'nobody'}},'ReturnConsumedCapacity':'TOTAL'}",
		     "{\"ConsumedCapacity\":{\"TableName\":\"hash\",\"CapacityUnits\":1.0}}");
	expect_reply("GetItem", "{'TableName':'hash','Key':{'pk':{'S':'nobody'}},'ReturnConsumedCapacity':'NONE'}",
		     "{}");
}

static void
item_collections_are_told_where_there_are_local_indexes(void **state)
{
	(void)state;
	expect_reply(
	    "PutItem",
	    "{'TableName':'composite','Item':{'pk':{'S':'icm'},'sk':{'S':'1'}},'ReturnItemCollectionMetrics':'SIZE'}",
	    "{\"ItemCollectionMetrics\":{\"ItemCollectionKey\":{\"pk\":{\"S\":\"icm\"}},\"SizeEstimateRangeGB\":[0.0,1."
	    "0]}}");
	expect_reply(
	    "DeleteItem",
	    "{'TableName':'composite','Key':{'pk':{'S':'icm'},'sk':{'S':'1'}},'ReturnItemCollectionMetrics':'SIZE'}",
	    "{\"ItemCollectionMetrics\":{\"ItemCollectionKey\":{\"pk\":{\"S\":\"icm\"}},\"SizeEstimateRangeGB\":[0.0,1."
	    "0]}}");
	expect_reply("PutItem", "{'TableName':'hash','Item':{'pk':{'S':'icm'}},'ReturnItemCollectionMetrics':'SIZE'}",
		     "{}");
}

static void
expressions_and_legacy_parameters_do_not_mix(void **state)
{
	(void)state;
#define MIXED                                                                                                          \
	"Can not use both expression and non-expression parameters in the same request: Non-expression parameters: "
	expect_invalid("PutItem",
		       "{'TableName':'hash','Item':{'pk':{'S':'a'}},'Expected':{'pk':{'Exists':false}},"
		       "'ConditionExpression':'attribute_not_exists(pk)'}",
		       MIXED "{Expected} Expression parameters: {ConditionExpression}");
	expect_invalid(
	    "UpdateItem",
	    "{'TableName':'hash','Key':{'pk':{'S':'a'}},'AttributeUpdates':{},'UpdateExpression':'SET a = :v',"
	    "'ExpressionAttributeValues':{':v':{'S':'v'}}}",
	    MIXED "{AttributeUpdates} Expression parameters: {UpdateExpression}");
	expect_invalid("Query",
		       "{'TableName':'hash','AttributesToGet':['a'],'QueryFilter':{},'ConditionalOperator':'OR','"
		       "KeyConditions':{},"
		       "'ProjectionExpression':'','FilterExpression':'','KeyConditionExpression':''}",
		       MIXED
		       "{AttributesToGet, QueryFilter, ConditionalOperator, KeyConditions} Expression parameters: "
		       "{ProjectionExpression, FilterExpression, KeyConditionExpression}");
	expect_invalid(
	    "PutItem", "{'TableName':'hash','Item':{'pk':{'S':'a'}},'ExpressionAttributeValues':{':v':{'S':'x'}}}",
	    "ExpressionAttributeValues can only be specified when using expressions: ConditionExpression is null");
	expect_invalid("UpdateItem",
		       "{'TableName':'hash','Key':{'pk':{'S':'a'}},'ExpressionAttributeValues':{':v':{'S':'x'}}}",
		       "ExpressionAttributeValues can only be specified when using expressions: UpdateExpression and "
		       "ConditionExpression are null");
	expect_invalid("GetItem", "{'TableName':'hash','Key':{'pk':{'S':'a'}},'ExpressionAttributeNames':{'#a':'x'}}",
		       "ExpressionAttributeNames can only be specified when using expressions");
	expect_invalid("GetItem", "{'TableName':'hash','Key':{'pk':{'S':'a'}},'AttributesToGet':['a','a']}",
		       "One or more parameter values were invalid: Duplicate value in attribute name: a");
}

static void
keys_are_checked_against_the_schema(void **state)
{
	(void)state;
	expect_invalid("GetItem", "{'TableName':'composite','Key':{'pk':{'S':'a'}}}",
		       "The provided key element does not match the schema");
	expect_invalid("PutItem", "{'TableName':'hash','Item':{'x':{'S':'a'}}}",
		       "One or more parameter values were invalid: Missing the key pk in the item");
	expect_invalid(
	    "UpdateItem",
	    "{'TableName':'composite','Key':{'pk':{'S':'a'},'sk':{'S':'b'}},'UpdateExpression':'SET sk = :v',"
	    "'ExpressionAttributeValues':{':v':{'S':'c'}}}",
	    "One or more parameter values were invalid: Cannot update attribute sk. This attribute is part of the key");
	expect_error("PutItem", "{'TableName':'missing','Item':{'pk':{'S':'a'}}}", "ResourceNotFoundException",
		     "Requested resource not found");
}

static void
broken_values_are_told_after_the_parameters(void **state)
{
	(void)state;
	expect_invalid("PutItem", "{'TableName':'hash','Item':{'pk':{'S':'a'},'s':{'SS':[]}}}",
		       "One or more parameter values were invalid: An string set  may not be empty");
	expect_invalid("UpdateItem",
		       "{'TableName':'hash','Key':{'pk':{'S':'a'}},'UpdateExpression':'SET a = :v',"
		       "'ExpressionAttributeValues':{':v':{'N':'x'}}}",
		       "ExpressionAttributeValues contains invalid value: The parameter cannot be converted to a "
		       "numeric value: x for "
		       "key :v");
	expect_invalid("UpdateItem",
		       "{'TableName':'hash','Key':{'pk':{'S':'a'}},'UpdateExpression':'SET a = :v',"
		       "'ExpressionAttributeValues':{':v':{'S':'x'},':u':{'S':'x'}}}",
		       "Value provided in ExpressionAttributeValues unused in expressions: keys: {:u}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_put_item_is_read_back),
	    cmocka_unit_test(a_table_may_be_named_by_its_arn),
	    cmocka_unit_test(return_values_give_what_they_name),
	    cmocka_unit_test(a_failed_condition_may_show_the_item),
	    cmocka_unit_test(consumed_capacity_is_exact),
	    cmocka_unit_test(item_collections_are_told_where_there_are_local_indexes),
	    cmocka_unit_test(expressions_and_legacy_parameters_do_not_mix),
	    cmocka_unit_test(keys_are_checked_against_the_schema),
	    cmocka_unit_test(broken_values_are_told_after_the_parameters),
	};

	return cmocka_run_group_tests(tests, up, fixture_down);
}
