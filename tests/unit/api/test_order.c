/*
 * Which of two faults of a request is told. The orders are the service's (docs/ERRORS.md): between members they are
 * those of the fields' tables, measured by the suites; between checks they were measured by requests with two faults.
 */
#include "api_fixture.h"

#define ONE "1 validation error detected: "

/* ---- members: all of a list that are wrong, in the service's order ---- */

static const struct {
	const char *operation, *body; /* %s where each fault stands */
	const char *faults[10], *told[10];
} orders[] = {
#define NULL_AT(path) "Value null at '" path "' failed to satisfy constraint: Member must not be null"
#define ENUM_AT(path) "Value 'X' at '" path "' failed to satisfy constraint: Member must satisfy enum value set: ["
#define EMPTY_AT(path)                                                                                                 \
	"Value '[]' at '" path "' failed to satisfy constraint: Member must have length greater than or equal to 1"
#define NAME_AT(path)                                                                                                  \
	"Value 'a!' at '" path "' failed to satisfy constraint: Member must satisfy regular expression pattern: "
#define SHORT_AT(path)                                                                                                 \
	"Value 'a!' at '" path "' failed to satisfy constraint: Member must have length greater than or equal to 3"
#define LOW_AT(path, min)                                                                                              \
	"Value '-1' at '" path "' failed to satisfy constraint: Member must have value greater than or equal to " min
    {"GetItem",
     "{%s}",
     {"'ReturnConsumedCapacity':'X'", "'AttributesToGet':[]"},
     {ENUM_AT("returnConsumedCapacity"), EMPTY_AT("attributesToGet"), NULL_AT("tableName"), NULL_AT("key")}},
    {"PutItem",
     "{%s}",
     {"'ReturnItemCollectionMetrics':'X'", "'ReturnValues':'X'", "'ConditionalOperator':'X'",
      "'ReturnConsumedCapacity':'X'", "'Expected':{'a':{'ComparisonOperator':'X'}}"},
     {ENUM_AT("returnConsumedCapacity"), NULL_AT("tableName"), NULL_AT("item"), ENUM_AT("conditionalOperator"),
      ENUM_AT("expected.a.member.comparisonOperator"), ENUM_AT("returnValues"),
      ENUM_AT("returnItemCollectionMetrics")}},
    {"DeleteItem",
     "{%s}",
     {"'ReturnItemCollectionMetrics':'X'", "'ReturnValues':'X'", "'ConditionalOperator':'X'",
      "'ReturnConsumedCapacity':'X'", "'Expected':{'a':{'ComparisonOperator':'X'}}"},
     {ENUM_AT("returnConsumedCapacity"), NULL_AT("tableName"), ENUM_AT("returnValues"),
      ENUM_AT("returnItemCollectionMetrics"), NULL_AT("key"), ENUM_AT("conditionalOperator"),
      ENUM_AT("expected.a.member.comparisonOperator")}},
    {"UpdateItem",
     "{%s}",
     {"'ReturnItemCollectionMetrics':'X'", "'ReturnValues':'X'", "'ConditionalOperator':'X'",
      "'ReturnConsumedCapacity':'X'", "'Expected':{'a':{'ComparisonOperator':'X'}}",
      "'AttributeUpdates':{'a':{'Action':'X'}}"},
     {ENUM_AT("returnConsumedCapacity"), NULL_AT("tableName"), ENUM_AT("returnItemCollectionMetrics"),
      ENUM_AT("returnValues"), ENUM_AT("conditionalOperator"), NULL_AT("key"),
      ENUM_AT("expected.a.member.comparisonOperator"), ENUM_AT("attributeUpdates.a.member.action")}},
    {"Query",
     "{%s}",
     {"'AttributesToGet':[]", "'ConditionalOperator':'X'", "'ReturnConsumedCapacity':'X'", "'IndexName':'a!'",
      "'Select':'X'", "'QueryFilter':{'a':{}}", "'KeyConditions':{'a':{}}"},
     {ENUM_AT("select"), NAME_AT("indexName"), SHORT_AT("indexName"), ENUM_AT("returnConsumedCapacity"),
      NULL_AT("queryFilter.a.member.comparisonOperator"), NULL_AT("tableName"), ENUM_AT("conditionalOperator"),
      EMPTY_AT("attributesToGet"), NULL_AT("keyConditions.a.member.comparisonOperator")}},
    {"Scan",
     "{%s}",
     {"'AttributesToGet':[]", "'ConditionalOperator':'X'", "'ReturnConsumedCapacity':'X'", "'Limit':-1", "'Select':'X'",
      "'Segment':-1", "'TotalSegments':-1", "'ScanFilter':{'a':{}}"},
     {ENUM_AT("select"), LOW_AT("totalSegments", "1"), ENUM_AT("returnConsumedCapacity"), NULL_AT("tableName"),
      ENUM_AT("conditionalOperator"), NULL_AT("scanFilter.a.member.comparisonOperator"), LOW_AT("segment", "0"),
      LOW_AT("limit", "1"), EMPTY_AT("attributesToGet")}},
    {"BatchGetItem",
     "{%s}",
     {"'RequestItems':{'a!':{'Keys':[]}}", "'ReturnConsumedCapacity':'X'"},
     {ENUM_AT("returnConsumedCapacity"), "Value '{a!=KeysAndAttributes(", EMPTY_AT("requestItems.a!.member.keys")}},
    {"BatchWriteItem",
     "{%s}",
     {"'RequestItems':{'a!':[{'DeleteRequest':{}}]}", "'ReturnConsumedCapacity':'X'",
      "'ReturnItemCollectionMetrics':'X'"},
     {ENUM_AT("returnConsumedCapacity"), ENUM_AT("returnItemCollectionMetrics"), "Value '{a!=[WriteRequest(",
      NULL_AT("requestItems.a!.member.1.member.deleteRequest.key")}},
    {"TransactWriteItems",
     "{%s}",
     {"'ReturnConsumedCapacity':'X'", "'ReturnItemCollectionMetrics':'X'",
      "'ClientRequestToken':'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'"},
     {"Value 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' at 'clientRequestToken' failed to satisfy constraint: Member must "
      "have length less than or equal to 36",
      ENUM_AT("returnConsumedCapacity"), ENUM_AT("returnItemCollectionMetrics"), NULL_AT("transactItems")}},
    {"ListTables",
     "{%s}",
     {"'ExclusiveStartTableName':'a!'", "'Limit':-1"},
     {LOW_AT("limit", "1"), NAME_AT("exclusiveStartTableName"), SHORT_AT("exclusiveStartTableName")}},
    {"CreateTable",
     "{'TableName':'abc',%s}",
     {"'LocalSecondaryIndexes':[{}]", "'GlobalSecondaryIndexes':[{}]", "'BillingMode':'X'"},
     {NULL_AT("attributeDefinitions"), ENUM_AT("billingMode"), NULL_AT("keySchema"),
      NULL_AT("globalSecondaryIndexes.1.member.indexName"), NULL_AT("globalSecondaryIndexes.1.member.keySchema"),
      NULL_AT("globalSecondaryIndexes.1.member.projection"), NULL_AT("localSecondaryIndexes.1.member.indexName"),
      NULL_AT("localSecondaryIndexes.1.member.keySchema"), NULL_AT("localSecondaryIndexes.1.member.projection")}},
};

static void
members_are_told_in_the_services_order(void **state)
{
	(void)state;
	for (size_t o = 0; o < sizeof orders / sizeof *orders; o++) {
		struct buf body = {0};
		const char *hole = strstr(orders[o].body, "%s"), *reply, *at;
		char count[40];
		int told = 0;

		buf_put(&body, orders[o].body, (size_t)(hole - orders[o].body));
		for (int i = 0; i < 10 && orders[o].faults[i] != NULL; i++)
			buf_printf(&body, "%s%s", i > 0 ? "," : "", orders[o].faults[i]);
		buf_printf(&body, "%s", hole + 2);
		buf_put_byte(&body, '\0');
		while (told < 10 && orders[o].told[told] != NULL)
			told++;
		reply = call_quoted(orders[o].operation, body.data);
		snprintf(count, sizeof count, "\"%d validation errors detected: ", told);
		at = strstr(reply, count);
		for (int i = 0; i < told && at != NULL; i++)
			at = strstr(at, orders[o].told[i]);
		if (at == NULL)
			fail_msg("%s %s\n gave %s", orders[o].operation, body.data, reply);
		buf_done(&body);
	}
}

/* ---- one check before another ---- */

#define NEST                                                                                                           \
	"Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported "   \
	"limit"
#define SYNTAX "Invalid ConditionExpression: Syntax error; token: \"=\", near: \"= = b\""
#define UNUSED "Value provided in ExpressionAttributeValues unused in expressions: keys: {:v}"

/* {'M':{'n': ... {'S':'leaf'}}}, `depth` maps deep; one buffer. */
static const char *
deep(int depth)
{
	static struct buf out;

	out.len = 0;
	for (int i = 0; i < depth; i++)
		buf_put_lit(&out, "{'M':{'n':");
	buf_put_lit(&out, "{'S':'leaf'}");
	for (int i = 0; i < depth; i++)
		buf_put_lit(&out, "}}");
	buf_put_byte(&out, '\0');
	return out.data;
}

/* %s in actions stands for a value of that depth. */
static void
expect_transaction(const char *actions, int depth, const char *message)
{
	const char *hole = strstr(actions, "%s");
	struct buf body = {0};

	buf_put_lit(&body, "{'TransactItems':[");
	buf_put(&body, actions, hole ? (size_t)(hole - actions) : strlen(actions));
	if (hole != NULL)
		buf_printf(&body, "%s%s", deep(depth), hole + 2);
	buf_put_lit(&body, "]}");
	buf_put_byte(&body, '\0');
	expect_invalid("TransactWriteItems", body.data, message);
	buf_done(&body);
}

#define KEY          "'Key':{'pk':{'S':'a'}}"
#define PUT(more)    "{'Put':{'TableName':'absent','Item':{'pk':{'S':'a'}" more "}}}"
#define CHECK(more)  "{'ConditionCheck':{'TableName':'absent','Key':{'pk':{'S':'b'}}," more "}}"
#define UPDATE(more) "{'Update':{'TableName':'absent','Key':{'pk':{'S':'c'}}," more "}}"

static void
actions_are_checked_one_after_the_other(void **state)
{
	(void)state;
	expect_transaction(PUT(",'d':%s") "," PUT(",'':{'S':'x'}"), 40, NEST);
	expect_transaction(PUT(",'':{'S':'x'}") "," PUT(",'d':%s"), 100, "Empty attribute name");
	expect_transaction(PUT(",'':{'S':'x'},'d':%s"), 100, "Empty attribute name");
	expect_transaction(PUT(",'d':%s,'':{'S':'x'}"), 100, "Empty attribute name");
	expect_transaction(PUT(",'m':{'M':{'':{'S':'x'}}},'d':%s"), 40, NEST);
	expect_transaction(PUT(",'':{'S':'x'}") "," CHECK("'ConditionExpression':'d = :d','ExpressionAttributeValues':{"
							  "':d':%s}"),
			   100, "Empty attribute name");
	expect_transaction(
	    CHECK("'ConditionExpression':'d = :d','ExpressionAttributeValues':{':d':%s}") "," PUT(",'':{'S':'x'}"), 40,
	    "ExpressionAttributeValues contains invalid value: " NEST " for key :d");
	expect_transaction(
	    UPDATE("'UpdateExpression':'SET d = :d','ExpressionAttributeValues':{':d':%s}") "," PUT(",'':{'S':'x'}"),
	    40, "ExpressionAttributeValues contains invalid value: " NEST " for key :d");
	expect_transaction(
	    "{'Delete':{'TableName':'absent','Key':{'pk':%s}}},{'Put':{'TableName':'absent','Item':{'pk':"
	    "{'S':'a'}},'ConditionExpression':'a = = b'}}",
	    40, NEST);
	expect_transaction("{'Put':{'TableName':'absent','Item':{'pk':{'S':'a'}},'ConditionExpression':'a = = b'}},"
			   "{'Delete':{'TableName':'absent','Key':{'pk':%s}}}",
			   100, SYNTAX);
	expect_transaction("{'Delete':{'TableName':'absent','Key':{'pk':%s},'ConditionExpression':'a = = b'}}", 100,
			   SYNTAX);
}

static void
expressions_are_told_before_tables_and_targets(void **state)
{
	(void)state;
	expect_transaction(PUT("") "," CHECK("'ConditionExpression':'attribute_not_exists('"), 0,
			   "Invalid ConditionExpression: Syntax error; token: \"<EOF>\", near: \"(\"");
	expect_transaction(
	    PUT("") "," CHECK("'ConditionExpression':'attribute_exists(pk)','ExpressionAttributeValues':{"
			      "':v':{'S':'x'}}"),
	    0, UNUSED);
	expect_transaction("{'Put':{'TableName':'hash','Item':{'pk':{'S':'b'}}}},{'ConditionCheck':{'TableName':'hash',"
			   "'Key':{'pk':{'S':'b'}},'ConditionExpression':'attribute_exists(pk)',"
			   "'ExpressionAttributeValues':{':v':{'S':'x'}}}}",
			   0, UNUSED);
	expect_transaction(PUT("") "," PUT("") "],'ReturnConsumedCapacity':'BOGUS','x':[", 0,
			   ONE "Value 'BOGUS' at 'returnConsumedCapacity' failed to satisfy constraint: Member must "
			       "satisfy enum value set: [INDEXES, TOTAL, NONE]");
}

#define QUERY(table, condition, values)                                                                                \
	"{'TableName':'" table "','KeyConditionExpression':'" condition "','ExpressionAttributeValues':{" values "}}"
#define OPERAND                                                                                                        \
	"Invalid KeyConditionExpression: Incorrect operand type for operator or function; operator or function: "      \
	"begins_with, operand type: N"
#define UNDEFINED                                                                                                      \
	"Invalid KeyConditionExpression: An expression attribute value used in expression is not defined; attribute "  \
	"value: :missing"

static void
a_key_condition_tells_its_first_fault(void **state)
{
	(void)state;
	expect_invalid("Query", QUERY("composite", "pk = :missing AND begins_with(sk, :n)", "':n':{'N':'1'}"),
		       UNDEFINED);
	expect_invalid("Query", QUERY("composite", "begins_with(sk, :n) AND pk = :missing", "':n':{'N':'1'}"), OPERAND);
	expect_invalid(
	    "Query",
	    QUERY("composite", "pk = :p AND begins_with(sk, :n) AND sk = :missing", "':p':{'S':'q'},':n':{'N':'1'}"),
	    OPERAND);
	expect_invalid("Query",
		       QUERY("composite", "pk = :p AND begins_with(sk, :n) AND sk > :s",
			     "':p':{'S':'q'},':n':{'N':'1'},':s':{'S':'a'}"),
		       OPERAND);
	expect_invalid("Query", QUERY("absent", "pk = :p AND begins_with(sk, :n)", "':p':{'S':'q'},':n':{'N':'1'}"),
		       OPERAND);
	expect_error("Query", QUERY("absent", "pk = :p AND begins_with(sk, :s)", "':p':{'S':'q'},':s':{'S':'a'}"),
		     "ResourceNotFoundException", "Requested resource not found");
}

static void
batches_tell_members_before_tables_and_keys(void **state)
{
	(void)state;
	expect_invalid("BatchWriteItem",
		       "{'RequestItems':{'absent':[{'PutRequest':{'Item':{'pk':{'S':'a'}}}}]},"
		       "'ReturnConsumedCapacity':'BOGUS'}",
		       ONE
		       "Value 'BOGUS' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy "
		       "enum value set: [INDEXES, TOTAL, NONE]");
	expect_invalid("BatchGetItem", "{'RequestItems':{'absent':{'Keys':[{'pk':{'S':'a'}},{'pk':{'S':'a'}}]}}}",
		       "Provided list of item keys contains duplicates");
	expect_invalid("BatchGetItem",
		       "{'RequestItems':{'hash':{'Keys':[{'pk':{'S':'a'}}],'ProjectionExpression':'a, a'},'absent':{"
		       "'Keys':[{'pk':{'S':'a'}}]}}}",
		       "Invalid ProjectionExpression: Two document paths overlap with each other; must remove or "
		       "rewrite one of these paths; path one: [a], path two: [a]");
	expect_invalid("BatchWriteItem", "{'RequestItems':{'hash':[{'PutRequest':{'Item':{'other':{'S':'x'}}}}]}}",
		       "The provided key element does not match the schema");
	expect_invalid("BatchWriteItem", "{'RequestItems':{'hash':[{'DeleteRequest':{'Key':{'other':{'S':'x'}}}}]}}",
		       "The provided key element does not match the schema");
	expect_invalid("BatchWriteItem", "{'RequestItems':{'hash':[{'PutRequest':{'Item':{'pk':{'N':'5'}}}}]}}",
		       "The provided key element does not match the schema");
}

static int
up(void **state)
{
	if (fixture_up(state) != 0)
		return -1;
	create_tables();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(members_are_told_in_the_services_order),
	    cmocka_unit_test(actions_are_checked_one_after_the_other),
	    cmocka_unit_test(expressions_are_told_before_tables_and_targets),
	    cmocka_unit_test(a_key_condition_tells_its_first_fault),
	    cmocka_unit_test(batches_tell_members_before_tables_and_keys),
	};

	return cmocka_run_group_tests(tests, up, fixture_down);
}
