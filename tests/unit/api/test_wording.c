/* --error-wording 2026: what was measured of the service (docs/ERRORS.md tells where and when). */
#include "api_fixture.h"

#define ONE     "1 validation error detected: "
#define INVALID "One or more parameter values were invalid: "
#define EMPTY_NAME                                                                                                     \
	ONE "Value at 'TableName' failed to satisfy constraint: Member must have length greater than or equal to 1"
#define NO_KEY "Value null at 'key' failed to satisfy constraint: Member must not be null"
#define ENUM_RETURN                                                                                                    \
	"Failed to satisfy constraint: Member must satisfy enum value set: [ALL_OLD, UPDATED_OLD, ALL_NEW, "           \
	"UPDATE_NEW, NONE]"
#define ENUM_CAPACITY(value)                                                                                           \
	"Value '" value                                                                                                \
	"' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, "   \
	"TOTAL, NONE]"
#define ENUM_METRICS(value)                                                                                            \
	"Value '" value                                                                                                \
	"' at 'returnItemCollectionMetrics' failed to satisfy constraint: Member must satisfy enum value set: [SIZE, " \
	"NONE]"
#define MAP_KEYS                                                                                                       \
	"Map keys must satisfy constraint: [Member must have length less than or equal to 255, Member must have "      \
	"length greater than or equal to 3, Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+]"

#define KEY    "'Key':{'pk':{'S':'a'}}"
#define UPDATE "'UpdateExpression':'SET a = :a','ExpressionAttributeValues':{':a':{'S':'x'}}"

static void
an_empty_table_name_is_told_alone_and_without_its_value(void **state)
{
	(void)state;
	expect_invalid("PutItem", "{'TableName':'','Item':{}}", EMPTY_NAME);
	expect_invalid("PutItem", "{'TableName':'','Item':{},'ReturnValues':'INVALID'}", EMPTY_NAME);
	expect_invalid("DeleteItem", "{'TableName':'','Key':{}}", EMPTY_NAME);
	expect_invalid("UpdateItem", "{'TableName':'','Key':{}}", EMPTY_NAME);
	expect_invalid("PutItem", "{'TableName':'bad table!@#','Item':{}}",
		       ONE
		       "Value 'bad table!@#' at 'tableName' failed to satisfy constraint: Member must satisfy regular "
		       "expression pattern: [a-zA-Z0-9_.-]+");
	expect_invalid("CreateTable", "{'TableName':'ab','AttributeDefinitions':[],'KeySchema':[]}",
		       ONE "Value 'ab' at 'tableName' failed to satisfy constraint: Member must have length greater "
			   "than or equal to 3");
}

static void
a_missing_member_brings_back_the_older_words(void **state)
{
	(void)state;
	expect_invalid("PutItem", "{'Item':{}}",
		       ONE "Value null at 'tableName' failed to satisfy constraint: Member must not be null");
	expect_invalid("UpdateItem", "{'TableName':''," UPDATE "}",
		       "2 validation errors detected: Value '' at 'tableName' failed to satisfy constraint: Member "
		       "must have length greater than or equal to 1; " NO_KEY);
	expect_invalid("UpdateItem",
		       "{'TableName':''," UPDATE ",'ReturnConsumedCapacity':'INVALID','ReturnValues':'INVALID'}",
		       "4 validation errors detected: " ENUM_CAPACITY(
			   "INVALID") "; Value '' at 'tableName' failed to satisfy constraint: Member must have length "
				      "greater than or equal to 1; Value 'INVALID' at 'returnValues' failed to satisfy "
				      "constraint: Member must satisfy enum value set: [ALL_NEW, UPDATED_OLD, ALL_OLD, "
				      "NONE, UPDATED_NEW]; " NO_KEY);
	expect_invalid("UpdateItem",
		       "{'TableName':'absent','AttributeUpdates':{'x':{'Action':'PUT','Value':{'S':'1'}}},"
		       "'Expected':{'a':{'Exists':false},'b':{'Exists':false}},'ConditionalOperator':'XOR'}",
		       "2 validation errors detected: Value 'XOR' at 'conditionalOperator' failed to satisfy "
		       "constraint: Member must satisfy enum value set: [OR, AND]; " NO_KEY);
}

static void
enums_of_writes(void **state)
{
	(void)state;
	expect_invalid("PutItem",
		       "{'TableName':'absent','Item':{'pk':{'S':'a'}},'ReturnConsumedCapacity':'INVALID',"
		       "'ReturnItemCollectionMetrics':'INVALID','ReturnValues':'INVALID'}",
		       "3 validation errors detected: " ENUM_CAPACITY("INVALID") "; " ENUM_RETURN
										 "; " ENUM_METRICS("INVALID"));
	expect_invalid("DeleteItem",
		       "{'TableName':'absent'," KEY ",'ReturnConsumedCapacity':'INVALID','ReturnValues':'INVALID'}",
		       "2 validation errors detected: " ENUM_CAPACITY("INVALID") "; " ENUM_RETURN);
	expect_invalid("UpdateItem",
		       "{'TableName':'absent'," KEY ",'ReturnConsumedCapacity':'INVALID','ReturnValues':'INVALID'}",
		       ONE ENUM_RETURN);
	expect_invalid("DeleteItem", "{'TableName':'hash'," KEY ",'ReturnValues':'ALL_NEW'}",
		       ONE "ReturnValues can only be ALL_OLD or NONE");
	expect_invalid("Query",
		       "{'TableName':'absent','KeyConditions':{'pk':{'ComparisonOperator':'EQ','AttributeValueList':["
		       "{'S':'a'}]}},'QueryFilter':{'b':{'ComparisonOperator':'NULL'},'c':{'ComparisonOperator':'NULL'}"
		       "},'ConditionalOperator':'XOR','Select':'BOGUS'}",
		       "Failed to satisfy constraint: Member must satisfy enum value set: [ALL, OR]");
	expect_invalid("PutItem",
		       "{'TableName':'absent','Item':{'pk':{'S':'a'}},'Expected':{'a':{'Exists':false},'b':{'Exists':"
		       "false}},'ConditionalOperator':'XOR'}",
		       ONE "Failed to satisfy constraint: Member must satisfy enum value set: [ALL, OR]");
}

static void
writes_tell_what_the_request_shows_within_the_envelope(void **state)
{
	static const struct {
		const char *more, *message;
	} cases[] = {
	    {"'ExpressionAttributeValues':{':v':{'S':'x'}}",
	     "ExpressionAttributeValues can only be specified when using expressions"},
	    {"'ExpressionAttributeNames':{'#a':'a'}",
	     "ExpressionAttributeNames can only be specified when using expressions"},
	    {"'Expected':{'a':{'Exists':false}},'ExpressionAttributeNames':{'#a':'a'}",
	     "ExpressionAttributeNames can only be specified when using expressions"},
	    {"'ConditionExpression':'attribute_exists(a)','ExpressionAttributeValues':{}",
	     "ExpressionAttributeValues must not be empty"},
	    {"'ConditionExpression':'attribute_exists(a)','ExpressionAttributeNames':{}",
	     "ExpressionAttributeNames must not be empty"},
	    {"'ConditionExpression':''", "Invalid ConditionExpression: The expression can not be empty;"},
	    {"'ConditionExpression':'((attribute_not_exists(pk)))'",
	     "Invalid ConditionExpression: The expression has redundant parentheses;"},
	    {"'ConditionExpression':'contains(#a, #a)','ExpressionAttributeNames':{'#a':'data'}",
	     "Invalid ConditionExpression: The first operand must be distinct from the remaining operands for this "
	     "operator or function; operator: contains, first operand: [data]"},
	    {"'Expected':{'pk':{'Exists':false}},'ConditionExpression':'attribute_not_exists(pk)'",
	     "Can not use both expression and non-expression parameters in the same request: Non-expression "
	     "parameters: {Expected} Expression parameters: {ConditionExpression}"},
	    {"'Expected':{'a':{'Exists':true}}", INVALID "Value must be provided when Exists is true for Attribute: a"},
	    {"'Expected':{'a':{'Exists':false,'Value':{'S':'x'}}}",
	     INVALID "Value cannot be used when Exists is false for Attribute: a"},
	    {"'Expected':{'a':{'Value':{'S':'x'},'ComparisonOperator':'EQ','AttributeValueList':[{'S':'x'}]}}",
	     INVALID "Value and AttributeValueList cannot be used together for Attribute: a"},
	    {"'Expected':{'a':{'ComparisonOperator':'EQ'}}",
	     INVALID "Value or AttributeValueList must be used with ComparisonOperator: EQ for Attribute: a"},
	    {"'Expected':{'a':{'ComparisonOperator':'BETWEEN','AttributeValueList':[{'S':'x'}]}}",
	     INVALID "Invalid number of argument(s) for the BETWEEN ComparisonOperator"},
	};
	char body[600], message[400];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(message, sizeof message, ONE "%s", cases[i].message);
		snprintf(body, sizeof body, "{'TableName':'hash','Item':{'pk':{'S':'a'}},%s}", cases[i].more);
		expect_invalid("PutItem", body, message);
		snprintf(body, sizeof body, "{'TableName':'hash'," KEY ",%s}", cases[i].more);
		expect_invalid("DeleteItem", body, message);
	}
}

static void
update_expressions_are_enveloped_and_what_the_table_shows_is_not(void **state)
{
#define SET(update, more) "{'TableName':'hash'," KEY ",'UpdateExpression':'" update "'" more "}"
	(void)state;
	expect_invalid("UpdateItem", SET("INVALID SYNTAX HERE", ""),
		       ONE "Invalid UpdateExpression: Syntax error; token: \"INVALID\", near: \"INVALID SYNTAX\"");
	expect_invalid("UpdateItem",
		       SET("SET a = :v",
			   ",'ExpressionAttributeValues':{':v':{'S':'x'}},'ExpressionAttributeNames':{'#unused':'a'}"),
		       ONE "Value provided in ExpressionAttributeNames unused in expressions: keys: {#unused}");
	expect_invalid("UpdateItem",
		       SET("SET a = :v", ",'ExpressionAttributeValues':{':v':{'S':'x'},':unused':{'S':'x'}}"),
		       ONE "Value provided in ExpressionAttributeValues unused in expressions: keys: {:unused}");
	expect_invalid("UpdateItem", SET("SET a = :v", ""),
		       ONE "Invalid UpdateExpression: An expression attribute value used in expression is not defined; "
			   "attribute value: :v");
	expect_invalid(
	    "UpdateItem",
	    SET("SET b = :w", ",'ConditionExpression':'a = :v','ExpressionAttributeValues':{':w':{'S':'x'}}"),
	    ONE "Invalid ConditionExpression: An expression attribute value used in expression is not "
		"defined; attribute value: :v");
	expect_invalid("UpdateItem", SET("", ""), ONE "Invalid UpdateExpression: The expression can not be empty;");
	expect_invalid("UpdateItem", SET("SET a = :v", ",'AttributeUpdates':{'a':{'Value':{'S':'x'}}}"),
		       ONE "Can not use both expression and non-expression parameters in the same request: "
			   "Non-expression parameters: {AttributeUpdates} Expression parameters: {UpdateExpression}");
	expect_invalid("UpdateItem", SET("SET pk = :v", ",'ExpressionAttributeValues':{':v':{'S':'x'}}"),
		       INVALID "Cannot update attribute pk. This attribute is part of the key");
	expect_invalid("DeleteItem", "{'TableName':'hash','Key':{'pk':{'S':''}}}",
		       "One or more parameter values are not valid. The AttributeValue for a key attribute cannot "
		       "contain an empty string value. Key: pk");
	expect_invalid("DeleteItem", "{'TableName':'hash','Key':{'pk':{'N':'1'}}}",
		       "The provided key element does not match the schema");
	expect_invalid("PutItem", "{'TableName':'hash','Item':{'pk':{'S':'a'},'b':{}}}",
		       "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes");
}

/* ---- values, by operation ---- */

#define PUT_VALUE "PutItem", "{'TableName':'hash','Item':{'pk':{'S':'a'},'n':{'M':{'x':{'L':[%s]}}}}}"
#define PUT_CONDITION                                                                                                  \
	"PutItem", "{'TableName':'hash','Item':{'pk':{'S':'a'}},'ConditionExpression':'n = :v',"                       \
		   "'ExpressionAttributeValues':{':v':%s}}"
#define PUT_EXPECTED "PutItem", "{'TableName':'hash','Item':{'pk':{'S':'a'}},'Expected':{'n':{'Value':%s}}}"
#define UPDATE_KEY                                                                                                     \
	"UpdateItem", "{'TableName':'hash','Key':{'pk':%s},'UpdateExpression':'SET n = :o',"                           \
		      "'ExpressionAttributeValues':{':o':{'N':'1'}}}"
#define UPDATE_OLD "UpdateItem", "{'TableName':'hash'," KEY ",'AttributeUpdates':{'n':{'Action':'PUT','Value':%s}}}"
#define DELETE_KEY "DeleteItem", "{'TableName':'hash','Key':{'pk':%s}}"
#define GET_KEY    "GetItem", "{'TableName':'hash','Key':{'pk':%s}}"
#define BATCH_GET  "BatchGetItem", "{'RequestItems':{'hash':{'Keys':[{'pk':%s}]}}}"
#define QUERY_VALUE                                                                                                    \
	"Query", "{'TableName':'hash','KeyConditionExpression':'pk = :p','FilterExpression':'n = :v',"                 \
		 "'ExpressionAttributeValues':{':p':{'S':'a'},':v':%s}}"
#define QUERY_START                                                                                                    \
	"Query", "{'TableName':'hash','KeyConditionExpression':'pk = :p','ExpressionAttributeValues':{':p':{'S':'a'}}" \
		 ",'ExclusiveStartKey':{'pk':%s}}"
#define QUERY_FILTER                                                                                                   \
	"Query", "{'TableName':'hash','KeyConditions':{'pk':{'ComparisonOperator':'EQ','AttributeValueList':["         \
		 "{'S':'a'}]}},'QueryFilter':{'n':{'ComparisonOperator':'EQ','AttributeValueList':[%s]}}}"
#define BATCH_WRITE "BatchWriteItem", "{'RequestItems':{'hash':[{'PutRequest':{'Item':{'pk':{'S':'a'},'n':%s}}}]}}"
#define SCAN_VALUE  "Scan", "{'TableName':'hash','FilterExpression':'n = :v','ExpressionAttributeValues':{':v':%s}}"
#define TRANSACT_PUT                                                                                                   \
	"TransactWriteItems", "{'TransactItems':[{'Put':{'TableName':'hash','Item':{'pk':{'S':'a'},'n':%s}}}]}"
#define TRANSACT_UPDATE                                                                                                \
	"TransactWriteItems", "{'TransactItems':[{'Update':{'TableName':'hash'," KEY                                   \
			      ",'UpdateExpression':'SET n = :v','ExpressionAttributeValues':{':v':%s}}}]}"
#define TRANSACT_GET "TransactGetItems", "{'TransactItems':[{'Get':{'TableName':'hash','Key':{'pk':%s}}}]}"

enum answer { ENVELOPED, BARE, OLDER, OLDER_FOR_KEY };
static const struct {
	const char *operation, *body;
	enum answer answer;
} places[] = {
    {PUT_VALUE, ENVELOPED},      {PUT_CONDITION, ENVELOPED}, {PUT_EXPECTED, ENVELOPED}, {UPDATE_KEY, ENVELOPED},
    {UPDATE_OLD, ENVELOPED},     {DELETE_KEY, ENVELOPED},    {GET_KEY, BARE},           {BATCH_GET, BARE},
    {QUERY_VALUE, BARE},         {QUERY_START, BARE},        {QUERY_FILTER, BARE},      {BATCH_WRITE, OLDER},
    {SCAN_VALUE, OLDER_FOR_KEY}, {TRANSACT_PUT, BARE},       {TRANSACT_UPDATE, BARE},   {TRANSACT_GET, BARE},
};

static const struct {
	const char *value, *current, *older;
} values[] = {
    {"{'N':'abc'}", "The parameter cannot be converted to a numeric value: abc",
     "The parameter cannot be converted to a numeric value: abc"},
    {"{'N':''}",
     "The parameter cannot be converted to a numeric value: ", "The parameter cannot be converted to a numeric value"},
    {"{'N':'1e126'}", "Number overflow. Attempting to store a number with magnitude larger than supported range",
     "Number overflow. Attempting to store a number with magnitude larger than supported range"},
    {"{'SS':['b','a','b']}", INVALID "Input collection [\"a\", \"b\", \"b\"] contains duplicates.",
     INVALID "Input collection [b, a, b] contains duplicates."},
    {"{'BS':['/w==','AA==','AA==']}",
     INVALID "Input collection [\"AA==\",\"/w==\",\"AA==\"]of type BS contains duplicates.",
     INVALID "Input collection [/w==, AA==, AA==]of type BS contains duplicates."},
    {"{'NS':['2','1','2']}", INVALID "Input collection contains duplicates.", "Input collection contains duplicates"},
    {"{'SS':['d','b','a','b','c','a']}",
     INVALID "Input collection [\"a\", \"b\", \"d\", \"b\", \"c\", \"a\"] contains duplicates.",
     INVALID "Input collection [d, b, a, b, c, a] contains duplicates."},
    {"{'SS':[]}", INVALID "An string set  may not be empty", INVALID "An string set  may not be empty"},
};

static void
values_are_told_as_each_operation_has_moved(void **state)
{
	char body[600], message[400];

	(void)state;
	for (size_t p = 0; p < sizeof places / sizeof *places; p++)
		for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
			const char *half = strstr(places[p].body, "%s");
			enum answer answer = places[p].answer;

			if (places[p].body == (const char *)NULL || half == NULL)
				fail_msg("%s", places[p].body);
			/* told with a prefix there: not among what was measured */
			if (strstr(places[p].body, "ExclusiveStartKey") && strstr(values[v].value, "[]"))
				continue;
			snprintf(body, sizeof body, "%.*s%s%s", (int)(half - places[p].body), places[p].body,
				 values[v].value, half + 2);
			snprintf(message, sizeof message, "%s%s%s%s", answer == ENVELOPED ? ONE : "",
				 answer == OLDER_FOR_KEY ? "ExpressionAttributeValues contains invalid value: " : "",
				 answer == ENVELOPED || answer == BARE ? values[v].current : values[v].older,
				 answer == OLDER_FOR_KEY ? " for key :v" : "");
			expect_invalid(places[p].operation, body, message);
		}
}

static void
batches(void **state)
{
#define EMPTY(op)                                                                                                      \
	ONE "Value at '" op "' failed to satisfy constraint: Member must have length greater than or equal to 1"
	struct buf many = {0};

	(void)state;
	expect_invalid("BatchGetItem", "{'RequestItems':{}}", EMPTY("RequestItems"));
	expect_invalid("BatchWriteItem", "{'RequestItems':{}}", EMPTY("RequestItems"));
	expect_invalid("BatchGetItem", "{'RequestItems':{'hash':{'Keys':[]}}}", EMPTY("RequestItems.hash.member.Keys"));
	expect_invalid("BatchWriteItem", "{'RequestItems':{'hash':[]}}",
		       ONE "Value '{hash=[]}' at 'requestItems' failed to satisfy constraint: Map value must satisfy "
			   "constraint: [Member must have length less than or equal to 25, Member must have length "
			   "greater than or equal to 1]");
	expect_invalid("BatchGetItem", "{'RequestItems':{'bad!name':{'Keys':[{'pk':{'S':'a'}}]}}}",
		       ONE "Value '{\"bad!name\":{\"Keys\":[{\"pk\":{\"S\":\"a\"}}]}}' at 'requestItems' failed to "
			   "satisfy constraint: " MAP_KEYS);
	expect_invalid("BatchGetItem",
		       "{'RequestItems':{'bad!name':{'Keys':[{'pk':{'S':'a'}}]}},'ReturnConsumedCapacity':'BOGUS'}",
		       "2 validation errors detected: Value '{\"bad!name\":{\"Keys\":[{\"pk\":{\"S\":\"a\"}}]}}' at "
		       "'requestItems' failed to satisfy constraint: " MAP_KEYS "; " ENUM_CAPACITY("BOGUS"));
	expect_invalid("BatchWriteItem",
		       "{'RequestItems':{'bad!name':[{'PutRequest':{'Item':{'pk':{'S':'a'}}}}]},"
		       "'ReturnConsumedCapacity':'BOGUS'}",
		       ONE ENUM_CAPACITY("BOGUS"));
	expect_invalid("BatchWriteItem",
		       "{'RequestItems':{'hash':[{'PutRequest':{'Item':{'pk':{'S':'a'}}}}]},"
		       "'ReturnConsumedCapacity':'BOGUS','ReturnItemCollectionMetrics':'BOGUS2'}",
		       "2 validation errors detected: " ENUM_CAPACITY("BOGUS") "; " ENUM_METRICS("BOGUS2"));
	buf_put_lit(&many, "{'RequestItems':{'hash':[");
	for (int i = 0; i < 26; i++)
		buf_printf(&many, "%s{'DeleteRequest':{'Key':{'pk':{'S':'%d'}}}}", i > 0 ? "," : "", i);
	buf_put_lit(&many, "]}}");
	buf_put_byte(&many, '\0');
	expect_invalid("BatchWriteItem", many.data,
		       ONE "Value at 'RequestItems.hash.member' failed to satisfy constraint: Member must have length "
			   "less than or equal to 25");
	buf_done(&many);
}

static void
transactions(void **state)
{
#define PUT "'TransactItems':[{'Put':{'TableName':'hash','Item':{'pk':{'S':'t'}}}}]"
#define TOKEN                                                                                                          \
	ONE "Value at 'ClientRequestToken' failed to satisfy constraint: Member must have length less than or equal "  \
	    "to 36"
	struct buf many = {0};

	(void)state;
	expect_invalid("TransactWriteItems", "{'TransactItems':[]}", EMPTY("TransactItems"));
	expect_invalid("TransactGetItems", "{'TransactItems':[]}", EMPTY("TransactItems"));
	expect_invalid("TransactWriteItems",
		       "{" PUT ",'ReturnConsumedCapacity':'BOGUS','ReturnItemCollectionMetrics':'BOGUS2'}",
		       "2 validation errors detected: " ENUM_CAPACITY("BOGUS") "; " ENUM_METRICS("BOGUS2"));
	expect_invalid("TransactWriteItems", "{" PUT ",'ClientRequestToken':'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'}",
		       TOKEN);
	expect_invalid("TransactWriteItems",
		       "{" PUT ",'ClientRequestToken':'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',"
		       "'ReturnConsumedCapacity':'BOGUS'}",
		       TOKEN);
	buf_put_lit(&many, "{'TransactItems':[");
	for (int i = 0; i < 101; i++)
		buf_printf(&many, "%s{'Get':{'TableName':'hash','Key':{'pk':{'S':'%d'}}}}", i > 0 ? "," : "", i);
	buf_put_lit(&many, "]}");
	buf_put_byte(&many, '\0');
	expect_invalid("TransactGetItems", many.data,
		       ONE "Value at 'TransactItems' failed to satisfy constraint: Member must have length less than "
			   "or equal to 100");
	buf_done(&many);
	expect_invalid("TransactWriteItems",
		       "{'TransactItems':[{'ConditionCheck':{'TableName':'hash'," KEY
		       ",'ConditionExpression':'attribute_not_exists('}}]}",
		       "Invalid ConditionExpression: Syntax error; token: \"<EOF>\", near: \"(\"");
}

static void
a_query_without_attributes_and_a_scan(void **state)
{
#define SPECIFIC "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"
	(void)state;
	expect_invalid("Query",
		       "{'TableName':'hash','Select':'SPECIFIC_ATTRIBUTES','KeyConditionExpression':'pk = :p',"
		       "'ExpressionAttributeValues':{':p':{'S':'a'}}}",
		       ONE SPECIFIC);
	expect_invalid("Scan", "{'TableName':'hash','Select':'SPECIFIC_ATTRIBUTES'}", SPECIFIC);
}

/* %s in the body stands for a value of that depth. */
static void
expect_deep(const char *operation, const char *body, int depth, const char *message)
{
	const char *hole = strstr(body, "%s");
	struct buf out = {0};

	buf_put(&out, body, (size_t)(hole - body));
	for (int i = 0; i < depth; i++)
		buf_put_lit(&out, "{'M':{'n':");
	buf_put_lit(&out, "{'S':'leaf'}");
	for (int i = 0; i < depth; i++)
		buf_put_lit(&out, "}}");
	buf_printf(&out, "%s", hole + 2);
	buf_put_byte(&out, '\0');
	expect_invalid(operation, out.data, message);
	buf_done(&out);
}

static void
requests_too_deep_for_the_newer_layer_get_the_older_words(void **state)
{
#define DEEP                                                                                                           \
	"'ConditionExpression':'#d = "                                                                                 \
	":deep','ExpressionAttributeNames':{'#d':'d'},'ExpressionAttributeValues':{':deep':%s}"
#define OLD_ENUM                                                                                                       \
	"Value 'BOGUS' at 'returnValues' failed to satisfy constraint: Member must satisfy enum value set: [ALL_NEW, " \
	"UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]"
#define OLD_XOR                                                                                                        \
	ONE "Value 'XOR' at 'conditionalOperator' failed to satisfy constraint: Member must satisfy enum value set: "  \
	    "[OR, AND]"
#define TWO "'Expected':{'a':{'Value':%s},'b':{'Exists':false}},'ConditionalOperator':'XOR'"
	(void)state;
	expect_deep("DeleteItem", "{'TableName':'absent'," KEY "," DEEP ",'ReturnValues':'BOGUS'}", 63, ONE OLD_ENUM);
	expect_deep("DeleteItem", "{'TableName':'absent'," KEY "," DEEP ",'ReturnValues':'BOGUS'}", 62,
		    ONE ENUM_RETURN);
	expect_deep("DeleteItem", "{'TableName':'absent'," KEY ",'Expected':{'d':{'Value':%s}},'ReturnValues':'BOGUS'}",
		    63, ONE OLD_ENUM);
	expect_deep("DeleteItem", "{'TableName':'absent','Key':{'pk':%s},'ReturnValues':'BOGUS'}", 100, ONE OLD_ENUM);
	expect_deep("PutItem", "{'TableName':'absent','Item':{'pk':{'S':'a'}}," TWO "}", 100, OLD_XOR);
	expect_deep("UpdateItem",
		    "{'TableName':'absent'," KEY ",'AttributeUpdates':{'x':{'Action':'PUT','Value':{'S':'1'}}}," TWO
		    "}",
		    100, OLD_XOR);
	expect_deep("PutItem", "{'TableName':'absent','Item':{'pk':{'S':'a'}}," TWO "}", 40,
		    ONE "Failed to satisfy constraint: Member must satisfy enum value set: [ALL, OR]");
	expect_deep("DeleteItem", "{'TableName':'absent'," KEY "," DEEP ",'ReturnValues':'UPDATED_NEW'}", 100,
		    "ReturnValues can only be ALL_OLD or NONE");
	/* brackets within a string are no levels */
	expect_invalid(
	    "DeleteItem",
	    "{'TableName':'absent','Key':{'pk':{'S':'[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
	    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[['}},"
	    "'ReturnValues':'BOGUS'}",
	    ONE ENUM_RETURN);
}

static int
up(void **state)
{
	fx_wording_2026 = true;
	if (fixture_up(state) != 0)
		return -1;
	create_tables();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_empty_table_name_is_told_alone_and_without_its_value),
	    cmocka_unit_test(a_missing_member_brings_back_the_older_words),
	    cmocka_unit_test(enums_of_writes),
	    cmocka_unit_test(writes_tell_what_the_request_shows_within_the_envelope),
	    cmocka_unit_test(update_expressions_are_enveloped_and_what_the_table_shows_is_not),
	    cmocka_unit_test(values_are_told_as_each_operation_has_moved),
	    cmocka_unit_test(batches),
	    cmocka_unit_test(transactions),
	    cmocka_unit_test(a_query_without_attributes_and_a_scan),
	    cmocka_unit_test(requests_too_deep_for_the_newer_layer_get_the_older_words),
	};

	return cmocka_run_group_tests(tests, up, fixture_down);
}
