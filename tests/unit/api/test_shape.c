/* What is told about requests that break the model, in the service's words and order. */
#include "api_fixture.h"

#define SERIALIZATION  "SerializationException"
#define NULL_AT(where) "Value null at '" where "' failed to satisfy constraint: Member must not be null"

static void
wrong_json_types_are_serialization_errors(void **state)
{
	(void)state;
	expect_error("GetItem", "", SERIALIZATION, NULL);
	expect_error("GetItem", "{'TableName':", SERIALIZATION, NULL);
	expect_error("GetItem", "{'TableName':'abc'} x", SERIALIZATION, NULL);
	expect_error("GetItem", "{'TableName':'a','TableName':'b'}", SERIALIZATION, NULL);
	expect_error("GetItem", "{'TableName':12}", SERIALIZATION, "NUMBER_VALUE cannot be converted to String");
	expect_error("GetItem", "{'TableName':1.5}", SERIALIZATION, "DECIMAL_VALUE cannot be converted to String");
	expect_error("GetItem", "{'TableName':true}", SERIALIZATION, "TRUE_VALUE cannot be converted to String");
	expect_error("GetItem", "{'TableName':[]}", SERIALIZATION,
		     "Unrecognized collection type class java.lang.String");
	expect_error("GetItem", "{'TableName':{}}", SERIALIZATION,
		     "Start of structure or map found where not expected");
	expect_error("GetItem", "{'ConsistentRead':1}", SERIALIZATION, "NUMBER_VALUE cannot be converted to Boolean");
	expect_error("GetItem", "{'ConsistentRead':'maybe'}", SERIALIZATION, "Unexpected token received from parser");
	expect_error("GetItem", "{'AttributesToGet':'a'}", SERIALIZATION, "Unexpected field type");
	expect_error("GetItem", "{'AttributesToGet':{}}", SERIALIZATION,
		     "Start of structure or map found where not expected");
	expect_error("Query", "{'Limit':'1'}", SERIALIZATION, "STRING_VALUE cannot be converted to Integer");
	expect_error("Query", "{'ExpressionAttributeNames':[]}", SERIALIZATION,
		     "Unrecognized collection type java.util.Map<java.lang.String, java.lang.String>");
	expect_error("Query", "{'ExpressionAttributeValues':[]}", SERIALIZATION,
		     "Unrecognized collection type java.util.Map<java.lang.String, "
		     "com.amazonaws.dynamodb.v20120810.AttributeValue>");
	expect_error("CreateTable", "{'KeySchema':[1]}", SERIALIZATION, "Unexpected value type in payload");
	expect_error("CreateTable", "{'ProvisionedThroughput':1}", SERIALIZATION, "Unexpected field type");
	expect_error("CreateTable", "{'ProvisionedThroughput':[]}", SERIALIZATION,
		     "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.ProvisionedThroughput");
}

static void
unknown_members_are_ignored(void **state)
{
	(void)state;
	expect_error("GetItem", "{'Foo':[{'bar':1}],'TableName':'missing','Key':{'pk':{'S':'a'}}}",
		     "ResourceNotFoundException", "Requested resource not found");
}

static void
missing_members_are_told_together(void **state)
{
	(void)state;
	expect_invalid("GetItem", "{}", "2 validation errors detected: " NULL_AT("tableName") "; " NULL_AT("key"));
	expect_invalid("PutItem", "{'Item':{'pk':{'S':'a'}}}", "1 validation error detected: " NULL_AT("tableName"));
	expect_invalid("CreateTable", "{'TableName':'abc'}",
		       "2 validation errors detected: " NULL_AT("attributeDefinitions") "; " NULL_AT("keySchema"));
	expect_invalid("CreateTable", "{}", "The parameter 'TableName' is required but was not present in the request");
	expect_invalid("BatchGetItem", "{'RequestItems':{'abc':{}}}",
		       "1 validation error detected: " NULL_AT("requestItems.abc.member.keys"));
}

static void
a_table_name_is_told_alone(void **state)
{
	(void)state;
	expect_invalid(
	    "PutItem", "{'TableName':'','Item':{},'ReturnValues':'INVALID'}",
	    "1 validation error detected: Value '' at 'tableName' failed to satisfy constraint: Member must have "
	    "length greater than or equal to 1");
	expect_invalid(
	    "CreateTable", "{'TableName':'ab','AttributeDefinitions':[],'KeySchema':[]}",
	    "1 validation error detected: Value 'ab' at 'tableName' failed to satisfy constraint: Member must have "
	    "length greater than or equal to 3");
	expect_invalid(
	    "PutItem", "{'TableName':'bad table!@#','Item':{}}",
	    "1 validation error detected: Value 'bad table!@#' at 'tableName' failed to satisfy constraint: Member "
	    "must satisfy regular expression pattern: [a-zA-Z0-9_.-]+");
	expect_invalid(
	    "UpdateItem", "{'TableName':'','ReturnConsumedCapacity':'X','ReturnValues':'Y'}",
	    "4 validation errors detected: Value 'X' at 'returnConsumedCapacity' failed to satisfy constraint: "
	    "Member must satisfy enum value set: [INDEXES, TOTAL, NONE]; Value '' at 'tableName' failed to satisfy "
	    "constraint: Member must have length greater than or equal to 1; Value 'Y' at 'returnValues' failed to "
	    "satisfy constraint: Member must satisfy enum value set: [ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, "
	    "UPDATED_NEW]; " NULL_AT("key"));
}

static void
long_table_name(void **state)
{
	char body[600], expected[800], name[257];

	(void)state;
	memset(name, 'a', 256);
	name[256] = '\0';
	snprintf(body, sizeof body, "{'TableName':'%s','Item':{}}", name);
	snprintf(expected, sizeof expected,
		 "1 validation error detected: Value '%s' at 'tableName' failed to satisfy constraint: Member must "
		 "have length "
		 "less than or equal to 255",
		 name);
	expect_invalid("PutItem", body, expected);
}

static void
enums_ranges_and_lengths_come_in_member_order(void **state)
{
	(void)state;
	expect_invalid(
	    "Scan",
	    "{'TableName':'abc','Select':'hi','IndexName':'a;','TotalSegments':0,'ReturnConsumedCapacity':'hi',"
	    "'Segment':-1,'Limit':-1,'AttributesToGet':[]}",
	    "8 validation errors detected: Value 'hi' at 'select' failed to satisfy constraint: Member must satisfy "
	    "enum "
	    "value set: [SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES]; "
	    "Value 'a;' at 'indexName' failed to satisfy constraint: Member must satisfy regular expression pattern: "
	    "[a-zA-Z0-9_.-]+; "
	    "Value 'a;' at 'indexName' failed to satisfy constraint: Member must have length greater than or equal to "
	    "3; "
	    "Value '0' at 'totalSegments' failed to satisfy constraint: Member must have value greater than or equal "
	    "to "
	    "1; "
	    "Value 'hi' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: "
	    "[INDEXES, TOTAL, NONE]; "
	    "Value '-1' at 'segment' failed to satisfy constraint: Member must have value greater than or equal to 0; "
	    "Value '-1' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1; "
	    "Value '[]' at 'attributesToGet' failed to satisfy constraint: Member must have length greater than or "
	    "equal "
	    "to 1");
	expect_invalid("Query", "{'TableName':'abc','Limit':0,'KeyConditionExpression':'a = :a'}",
		       "1 validation error detected: Value at 'Limit' failed to satisfy constraint: Member must have "
		       "value greater "
		       "than or equal to 1");
	expect_invalid(
	    "ListTables", "{'Limit':101,'ExclusiveStartTableName':'a;'}",
	    "3 validation errors detected: Value '101' at 'limit' failed to satisfy constraint: Member must have value "
	    "less than or equal to 100; Value 'a;' at 'exclusiveStartTableName' failed to satisfy constraint: Member "
	    "must "
	    "satisfy regular expression pattern: [a-zA-Z0-9_.-]+; Value 'a;' at 'exclusiveStartTableName' failed to "
	    "satisfy constraint: Member must have length greater than or equal to 3");
}

static void
members_of_lists_have_paths(void **state)
{
	(void)state;
	expect_invalid(
	    "CreateTable",
	    "{'TableName':'abc','BillingMode':'PAY_PER_REQUEST','AttributeDefinitions':[{'AttributeName':'pk',"
	    "'AttributeType':'X'}],'KeySchema':[{'AttributeName':'pk','KeyType':'INVALID'}]}",
	    "2 validation errors detected: Value 'X' at 'attributeDefinitions.1.member.attributeType' failed to "
	    "satisfy "
	    "constraint: Member must satisfy enum value set: [B, N, S]; Value 'INVALID' at "
	    "'keySchema.1.member.keyType' "
	    "failed to satisfy constraint: Member must satisfy enum value set: [HASH, RANGE]");
	expect_invalid(
	    "CreateTable",
	    "{'TableName':'abc','AttributeDefinitions':[],'KeySchema':[{'AttributeName':'a','KeyType':'HASH'},"
	    "{'AttributeName':'b','KeyType':'RANGE'},{'AttributeName':'c','KeyType':'RANGE'}]}",
	    "1 validation error detected: Value '[KeySchemaElement(attributeName=a, keyType=HASH), "
	    "KeySchemaElement(attributeName=b, keyType=RANGE), KeySchemaElement(attributeName=c, keyType=RANGE)]' at "
	    "'keySchema' failed to satisfy constraint: Member must have length less than or equal to 2");
	expect_invalid(
	    "CreateTable",
	    "{'TableName':'abc','AttributeDefinitions':[],'KeySchema':[{'AttributeName':'a','KeyType':'HASH'}],"
	    "'LocalSecondaryIndexes':[{'IndexName':'l1','KeySchema':[{'AttributeName':'a','KeyType':'HASH'}],"
	    "'Projection':{}}],'GlobalSecondaryIndexes':[{'IndexName':'g1','KeySchema':[{'AttributeName':'a',"
	    "'KeyType':'HASH'}],'Projection':{}}]}",
	    "2 validation errors detected: Value 'g1' at 'globalSecondaryIndexes.1.member.indexName' failed to satisfy "
	    "constraint: Member must have length greater than or equal to 3; Value 'l1' at "
	    "'localSecondaryIndexes.1.member.indexName' failed to satisfy constraint: Member must have length greater "
	    "than "
	    "or equal to 3");
	expect_invalid(
	    "UpdateTable", "{'TableName':'abc','GlobalSecondaryIndexUpdates':[{'Update':{}}]}",
	    "1 validation error detected: " NULL_AT("globalSecondaryIndexUpdates.1.member.update.indexName"));
}

static void
at_most_ten_errors_are_told(void **state)
{
	(void)state;
	expect_part(
	    "CreateTable",
	    "{'TableName':'abc','KeySchema':[{},{}],'AttributeDefinitions':[{},{},{},{},{},{},{},{},{},{},{},{}]}",
	    "\"10 validation errors detected: ");
}

static void
batches_are_told_as_maps(void **state)
{
	(void)state;
	expect_invalid("BatchWriteItem", "{'RequestItems':{}}",
		       "The requestItems parameter is required for BatchWriteItem");
	expect_invalid("BatchGetItem", "{'RequestItems':{}}",
		       "The requestItems parameter is required for BatchGetItem");
	expect_invalid("BatchWriteItem", "{'RequestItems':{'abc':[]}}",
		       "1 validation error detected: Value '{abc=[]}' at 'requestItems' failed to satisfy constraint: "
		       "Map value must "
		       "satisfy constraint: [Member must have length less than or equal to 25, Member must have length "
		       "greater than "
		       "or equal to 1]");
	expect_invalid(
	    "BatchWriteItem", "{'RequestItems':{'bad!name':[{'PutRequest':{'Item':{'pk':{'S':'x'}}}}]}}",
	    "1 validation error detected: Value "
	    "'{bad!name=[WriteRequest(putRequest=PutRequest(item={pk={\"S\":\"x\"}}))]}' at 'requestItems' failed to "
	    "satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 255, "
	    "Member must have length greater than or equal to 3, Member must satisfy regular expression pattern: "
	    "[a-zA-Z0-9_.-]+]");
}

static void
huge_requests_are_bounded(void **state) /* in memory, time and message */
{
	size_t count = 300000;
	struct buf body = {0};

	(void)state;
	buf_put_lit(&body, "{\"TableName\":\"abc\",\"AttributeDefinitions\":[{}");
	for (size_t i = 0; i < count; i++)
		buf_put_lit(&body, ",{}");
	buf_put_lit(&body, "],\"KeySchema\":[]}");
	buf_put_byte(&body, '\0');
	call_op("CreateTable", body.data);
	assert_int_equal(fx.http_status, 400);
	assert_true(fx.out.len < 8192);

	body.len = 0;
	buf_put_lit(&body, "{\"TableName\":\"abc\",\"Key\":{},\"ExpressionAttributeNames\":{\"#\":\"a\"");
	for (size_t i = 0; i < count; i++)
		buf_printf(&body, ",\"#%zu\":\"\"", i);
	buf_put_lit(&body, "}}");
	buf_put_byte(&body, '\0');
	call_op("GetItem", body.data);
	assert_int_equal(fx.http_status, 400);
	assert_true(fx.out.len < 8192);
	buf_done(&body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(wrong_json_types_are_serialization_errors),
	    cmocka_unit_test(unknown_members_are_ignored),
	    cmocka_unit_test(missing_members_are_told_together),
	    cmocka_unit_test(a_table_name_is_told_alone),
	    cmocka_unit_test(long_table_name),
	    cmocka_unit_test(enums_ranges_and_lengths_come_in_member_order),
	    cmocka_unit_test(members_of_lists_have_paths),
	    cmocka_unit_test(at_most_ten_errors_are_told),
	    cmocka_unit_test(batches_are_told_as_maps),
	    cmocka_unit_test(huge_requests_are_bounded),
	};

	return cmocka_run_group_tests(tests, fixture_up, fixture_down);
}
