/* The parameters that came before expressions: conditions of reads, and what goes together. */
#include "legacy_fixture.h"

/* ---- filters: what each comparison says of an item ---- */

#define ITEM                                                                                                           \
	"{'pk':{'S':'k'},'s':{'S':'hello'},'n':{'N':'5'},'b':{'B':'aGVsbG8='},'t':{'BOOL':true},'u':{'NULL':true},"    \
	"'ss':{'SS':['a','b']},'ns':{'NS':['1','2']},'bs':{'BS':['aGk=']},'l':{'L':[{'N':'1'},{'S':'x'},{'BOOL':true}" \
	"]},'m':{'M':{'k':{'S':'v'}}},'e':{'S':''}}"

static const struct {
	const char *attribute, *comparison, *values;
	bool holds;
} comparisons[] = {
    {"s", "EQ", "{'S':'hello'}", true},
    {"s", "EQ", "{'S':'hell'}", false},
    {"s", "EQ", "{'B':'aGVsbG8='}", false},
    {"n", "EQ", "{'N':'5.0'}", true},
    {"t", "EQ", "{'BOOL':true}", true},
    {"t", "EQ", "{'BOOL':false}", false},
    {"u", "EQ", "{'NULL':true}", true},
    {"ss", "EQ", "{'SS':['b','a']}", true},
    {"ns", "EQ", "{'NS':['2.0','1']}", true},
    {"l", "EQ", "{'L':[{'N':'1'},{'S':'x'},{'BOOL':true}]}", true},
    {"m", "EQ", "{'M':{'k':{'S':'v'}}}", true},
    {"m", "EQ", "{'M':{}}", false},
    {"none", "EQ", "{'S':'x'}", false},
    {"s", "NE", "{'S':'hello'}", false},
    {"s", "NE", "{'S':'x'}", true},
    {"s", "NE", "{'N':'5'}", true},
    {"none", "NE", "{'N':'5'}", true}, /* no attribute is unlike any value */
    {"n", "LT", "{'N':'6'}", true},
    {"n", "LT", "{'N':'5'}", false},
    {"n", "LT", "{'S':'6'}", false},
    {"none", "LT", "{'N':'6'}", false},
    {"n", "LE", "{'N':'5'}", true},
    {"n", "GT", "{'N':'4.9'}", true},
    {"n", "GT", "{'N':'5'}", false},
    {"n", "GE", "{'N':'5'}", true},
    {"s", "GE", "{'S':'hallo'}", true},
    {"b", "GT", "{'B':'aA=='}", true},
    {"l", "GT", "{'N':'0'}", false},
    {"s", "NOT_NULL", "", true},
    {"u", "NOT_NULL", "", true}, /* a NULL value is a value */
    {"none", "NOT_NULL", "", false},
    {"u", "NULL", "", false},
    {"none", "NULL", "", true},
    {"s", "CONTAINS", "{'S':'ell'}", true},
    {"s", "CONTAINS", "{'S':''}", true},
    {"s", "CONTAINS", "{'N':'1'}", false},
    {"b", "CONTAINS", "{'B':'bGw='}", true},
    {"ss", "CONTAINS", "{'S':'b'}", true},
    {"ss", "CONTAINS", "{'S':'c'}", false},
    {"ns", "CONTAINS", "{'N':'2'}", true},
    {"bs", "CONTAINS", "{'B':'aGk='}", true},
    {"l", "CONTAINS", "{'S':'x'}", true},
    {"l", "CONTAINS", "{'BOOL':true}", true},
    {"l", "CONTAINS", "{'NULL':true}", false},
    {"m", "CONTAINS", "{'S':'v'}", false},
    {"none", "CONTAINS", "{'S':'v'}", false},
    {"s", "NOT_CONTAINS", "{'S':'ell'}", false},
    {"s", "NOT_CONTAINS", "{'S':'z'}", true},
    {"s", "NOT_CONTAINS", "{'N':'1'}", true},
    {"l", "NOT_CONTAINS", "{'N':'1'}", false},
    {"none", "NOT_CONTAINS", "{'S':'z'}", false}, /* neither the one nor the other */
    {"s", "BEGINS_WITH", "{'S':'he'}", true},
    {"s", "BEGINS_WITH", "{'S':'el'}", false},
    {"b", "BEGINS_WITH", "{'B':'aGU='}", true},
    {"n", "BEGINS_WITH", "{'S':'5'}", false},
    {"n", "IN", "{'N':'1'},{'N':'5'}", true},
    {"n", "IN", "{'N':'1'}", false},
    {"s", "IN", "{'S':'a'},{'S':'b'},{'S':'hello'}", true},
    {"ss", "IN", "{'S':'a'},{'S':'b'}", false},
    {"none", "IN", "{'S':'a'}", false},
    {"n", "BETWEEN", "{'N':'5'},{'N':'5'}", true},
    {"n", "BETWEEN", "{'N':'6'},{'N':'7'}", false},
    {"s", "BETWEEN", "{'S':'a'},{'S':'z'}", true},
    {"n", "BETWEEN", "{'S':'a'},{'S':'z'}", false},
    {"none", "BETWEEN", "{'S':'a'},{'S':'z'}", false},
};

static void
each_comparison_holds_as_the_service_says(void **state)
{
	(void)state;
	expect_ok("PutItem", "{'TableName':'hash','Item':" ITEM "}");
	for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++) {
		char condition[400], body[600];

		snprintf(condition, sizeof condition, "{'%s':{'ComparisonOperator':'%s','AttributeValueList':[%s]}}",
			 comparisons[i].attribute, comparisons[i].comparison, comparisons[i].values);
		snprintf(body, sizeof body, "{'TableName':'hash','Select':'COUNT','ScanFilter':%s}", condition);
		expect_part("Scan", body, comparisons[i].holds ? "{\"Count\":1," : "{\"Count\":0,");
		snprintf(body, sizeof body, "{'TableName':'hash','Key':{'pk':{'S':'k'}},'Expected':%s}", condition);
		if (comparisons[i].holds)
			expect_ok("UpdateItem", body);
		else
			expect_error("UpdateItem", body, "ConditionalCheckFailedException",
				     "The conditional request failed");
	}
}

static void
conditions_are_joined_by_the_operator(void **state)
{
	static const char *const two = "'s':{'ComparisonOperator':'EQ','AttributeValueList':[{'S':'hello'}]},"
				       "'n':{'ComparisonOperator':'EQ','AttributeValueList':[{'N':'6'}]}";
	char body[600];

	(void)state;
	expect_ok("PutItem", "{'TableName':'hash','Item':" ITEM "}");
	snprintf(body, sizeof body, "{'TableName':'hash','Select':'COUNT','ScanFilter':{%s}}", two);
	expect_part("Scan", body, "{\"Count\":0,");
	snprintf(body, sizeof body,
		 "{'TableName':'hash','Select':'COUNT','ScanFilter':{%s},'ConditionalOperator':'AND'}", two);
	expect_part("Scan", body, "{\"Count\":0,");
	snprintf(body, sizeof body,
		 "{'TableName':'hash','Select':'COUNT','ScanFilter':{%s},'ConditionalOperator':'OR'}", two);
	expect_part("Scan", body, "{\"Count\":1,");
	snprintf(body, sizeof body, "{'TableName':'hash','Key':{'pk':{'S':'k'}},'Expected':{%s}}", two);
	expect_error("UpdateItem", body, "ConditionalCheckFailedException", "The conditional request failed");
	snprintf(body, sizeof body,
		 "{'TableName':'hash','Key':{'pk':{'S':'k'}},'Expected':{%s},'ConditionalOperator':'OR'}", two);
	expect_ok("UpdateItem", body);
	/* none at all hold always */
	expect_part("Scan", "{'TableName':'hash','Select':'COUNT','ScanFilter':{}}", "{\"Count\":1,");
	expect_ok("UpdateItem", "{'TableName':'hash','Key':{'pk':{'S':'k'}},'Expected':{}}");
}

/* So many that the item is merged with them instead of searched for each. */
static void
many_conditions_hold_as_few_do(void **state)
{
	for (int wrong = -1; wrong < 40; wrong += 13) {
		struct buf t = {0}, item = {0};

		buf_printf(&t, "{'TableName':'hash','Select':'COUNT','ScanFilter':{"
			       "'aa':{'ComparisonOperator':'NULL'},'zz':{'ComparisonOperator':'NULL'},"
			       "'pk':{'ComparisonOperator':'EQ','AttributeValueList':[{'S':'many'}]}");
		for (int i = 39; i >= 0; i--)
			buf_printf(&t, ",'a%d':{'ComparisonOperator':'NOT_CONTAINS','AttributeValueList':[{'S':'%d'}]}",
				   i, i == wrong ? i : 100 + i);
		buf_printf(&t, "}}");
		buf_printf(&item, "{'TableName':'hash','Item':{'pk':{'S':'many'}");
		for (int i = 0; i < 40; i++)
			buf_printf(&item, ",'a%d':{'S':'<%d>'}", i, i);
		buf_printf(&item, "}}");
		expect_ok("PutItem", text_of(&item));
		buf_done(&item);
		expect_part("Scan", text_of(&t), wrong < 0 ? "{\"Count\":1," : "{\"Count\":0,");
		buf_done(&t);
	}
	expect_ok("DeleteItem", "{'TableName':'hash','Key':{'pk':{'S':'many'}}}");
	(void)state;
}

/* A scan by IN with the multiples of step, descending; the caller ends it with text_of() and buf_done(). */
static struct buf
in_list(const char *attribute, int count, int step)
{
	struct buf t = {0};

	buf_printf(
	    &t,
	    "{'TableName':'hash','Select':'COUNT','ScanFilter':{'%s':{'ComparisonOperator':'IN','AttributeValueList':[",
	    attribute);
	for (int i = 0; i < count; i++)
		buf_printf(&t, "%s{'N':'%d'}", i > 0 ? "," : "", (count - i) * step);
	buf_printf(&t, "]}}}");
	return t;
}

static void
in_takes_as_many_values_as_the_service_does(void **state)
{
	static const struct {
		int count, step;
		bool holds;
	} lists[] = {{16, 1, true},     {17, 1, true},   {30000, 1, true},
		     {30000, 2, false}, {100, 6, false}, {30000, 5, true}};

	(void)state;
	expect_ok("PutItem", "{'TableName':'hash','Item':" ITEM "}");
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		struct buf body = in_list("n", lists[i].count, lists[i].step);

		expect_part("Scan", text_of(&body), lists[i].holds ? "{\"Count\":1," : "{\"Count\":0,");
		buf_done(&body);
		body = in_list("none", lists[i].count, lists[i].step);
		expect_part("Scan", text_of(&body), "{\"Count\":0,");
		buf_done(&body);
	}
}

static void
what_a_filter_may_cost_is_bounded(void **state)
{
	struct buf t = {0};

	(void)state;
	buf_printf(&t, "{'TableName':'hash','ScanFilter':{");
	for (int i = 0; i < 1025; i++)
		buf_printf(&t, "%s'a%d':{'ComparisonOperator':'NULL'}", i > 0 ? "," : "", i);
	buf_printf(&t, "}}");
	expect_invalid("Scan", text_of(&t), INVALID "Stator takes at most 1024 conditions in one parameter");
	buf_done(&t);
	buf_printf(&t, "{'TableName':'hash','ScanFilter':{");
	for (int i = 0; i < 2; i++) {
		buf_printf(&t, "%s'a%d':{'ComparisonOperator':'IN','AttributeValueList':[", i > 0 ? "," : "", i);
		for (int j = 0; j < 20000; j++)
			buf_printf(&t, "%s{'N':'%d'}", j > 0 ? "," : "", j);
		buf_printf(&t, "]}");
	}
	buf_printf(&t, "}}");
	expect_invalid("Scan", text_of(&t),
		       INVALID "Stator takes at most 32768 values in the conditions of one parameter");
	buf_done(&t);
	t = in_list("n", 40000, 1);
	expect_invalid("Scan", text_of(&t), INVALID "Invalid number of argument(s) for the IN ComparisonOperator");
	buf_done(&t);
}

/* ---- what is wrong with conditions ---- */

#define NUMBER_OF(operator)     INVALID "Invalid number of argument(s) for the " operator" ComparisonOperator"
#define TYPE_OF(operator, type) INVALID "ComparisonOperator " operator" is not valid for " type " AttributeValue type"

static const struct {
	const char *condition, *message;
} broken_conditions[] = {
    {"'ComparisonOperator':'EQ'", NUMBER_OF("EQ")},
    {"'ComparisonOperator':'EQ','AttributeValueList':[]", NUMBER_OF("EQ")},
    {"'ComparisonOperator':'EQ','AttributeValueList':[{'S':'a'},{'S':'b'}]", NUMBER_OF("EQ")},
    {"'ComparisonOperator':'NE','AttributeValueList':[]", NUMBER_OF("NE")},
    {"'ComparisonOperator':'LT','AttributeValueList':[]", NUMBER_OF("LT")},
    {"'ComparisonOperator':'LE','AttributeValueList':[]", NUMBER_OF("LE")},
    {"'ComparisonOperator':'GT','AttributeValueList':[]", NUMBER_OF("GT")},
    {"'ComparisonOperator':'GE','AttributeValueList':[]", NUMBER_OF("GE")},
    {"'ComparisonOperator':'CONTAINS','AttributeValueList':[]", NUMBER_OF("CONTAINS")},
    {"'ComparisonOperator':'NOT_CONTAINS','AttributeValueList':[]", NUMBER_OF("NOT_CONTAINS")},
    {"'ComparisonOperator':'BEGINS_WITH','AttributeValueList':[]", NUMBER_OF("BEGINS_WITH")},
    {"'ComparisonOperator':'IN','AttributeValueList':[]", NUMBER_OF("IN")},
    {"'ComparisonOperator':'NULL','AttributeValueList':[{'S':'a'}]", NUMBER_OF("NULL")},
    {"'ComparisonOperator':'NOT_NULL','AttributeValueList':[{'S':'a'}]", NUMBER_OF("NOT_NULL")},
    {"'ComparisonOperator':'BETWEEN','AttributeValueList':[{'S':'a'}]", NUMBER_OF("BETWEEN")},
    {"'ComparisonOperator':'BETWEEN','AttributeValueList':[{'S':'a'},{'S':'b'},{'S':'c'}]", NUMBER_OF("BETWEEN")},
    {"'ComparisonOperator':'LT','AttributeValueList':[{'BOOL':true}]", TYPE_OF("LT", "BOOL")},
    {"'ComparisonOperator':'LE','AttributeValueList':[{'NULL':true}]", TYPE_OF("LE", "NULL")},
    {"'ComparisonOperator':'GT','AttributeValueList':[{'SS':['a']}]", TYPE_OF("GT", "SS")},
    {"'ComparisonOperator':'GE','AttributeValueList':[{'NS':['1']}]", TYPE_OF("GE", "NS")},
    {"'ComparisonOperator':'IN','AttributeValueList':[{'BS':['YQ==']}]", TYPE_OF("IN", "BS")},
    {"'ComparisonOperator':'IN','AttributeValueList':[{'L':[]}]", TYPE_OF("IN", "L")},
    {"'ComparisonOperator':'CONTAINS','AttributeValueList':[{'SS':['a']}]", TYPE_OF("CONTAINS", "SS")},
    {"'ComparisonOperator':'NOT_CONTAINS','AttributeValueList':[{'M':{}}]", TYPE_OF("NOT_CONTAINS", "M")},
    {"'ComparisonOperator':'BEGINS_WITH','AttributeValueList':[{'N':'1'}]", TYPE_OF("BEGINS_WITH", "N")},
    {"'ComparisonOperator':'BETWEEN','AttributeValueList':[{'L':[]},{'L':[]}]", TYPE_OF("BETWEEN", "L")},
    {"'ComparisonOperator':'IN','AttributeValueList':[{'S':'a'},{'N':'1'}]",
     INVALID "AttributeValues inside AttributeValueList must be of same type"},
    {"'ComparisonOperator':'BETWEEN','AttributeValueList':[{'S':'b'},{'S':'a'}]",
     "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound"},
    {"'ComparisonOperator':'BETWEEN','AttributeValueList':[{'N':'10'},{'N':'9'}]",
     "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound"},
    /* broken values come before all that */
    {"'ComparisonOperator':'EQ','AttributeValueList':[{'N':'x'},{}]",
     "The parameter cannot be converted to a numeric value: x"},
    {"'ComparisonOperator':'EQ','AttributeValueList':[{'S':'a'},{}]",
     "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"},
};

static void
broken_conditions_are_told_in_the_services_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof broken_conditions / sizeof *broken_conditions; i++) {
		const char *condition = broken_conditions[i].condition, *message = broken_conditions[i].message;
		char body[500];

		/* before it is known that there is no such table */
		snprintf(body, sizeof body, "{'TableName':'none','ScanFilter':{'a':{%s}}}", condition);
		expect_invalid("Scan", body, message);
		snprintf(body, sizeof body, "{'TableName':'none','QueryFilter':{'a':{%s}}}", condition);
		expect_invalid("Query", body, message);
		snprintf(body, sizeof body, "{'TableName':'none','KeyConditions':{'a':{%s}}}", condition);
		expect_invalid("Query", body, message);
		if (strstr(condition, "AttributeValueList") == NULL)
			continue; /* Expected has other words for that */
		snprintf(body, sizeof body, "{'TableName':'none','Key':{'pk':{'S':'k'}},'Expected':{'a':{%s}}}",
			 condition);
		expect_invalid("DeleteItem", body, message);
	}
}

#define COMPARISONS "[IN, NULL, BETWEEN, LT, NOT_CONTAINS, EQ, GT, NOT_NULL, NE, LE, BEGINS_WITH, GE, CONTAINS]"

static void
constraints_name_the_condition(void **state)
{
	(void)state;
	expect_invalid("Scan", "{'TableName':'hash','ScanFilter':{'a':{},'b':{'ComparisonOperator':'eq'},'c':null}}",
		       "3 validation errors detected: Value null at 'scanFilter.a.member.comparisonOperator' failed to "
		       "satisfy constraint: Member must not be null; Value 'eq' at "
		       "'scanFilter.b.member.comparisonOperator' failed to satisfy constraint: Member must satisfy "
		       "enum value set: " COMPARISONS "; Value null at 'scanFilter.c.member' failed to satisfy "
		       "constraint: Member must not be null");
	expect_invalid("Query",
		       "{'TableName':'hash','KeyConditions':{'a':{'ComparisonOperator':'EQ','AttributeValueList':[null]"
		       "}},'ConditionalOperator':'XOR'}",
		       "2 validation errors detected: Value 'XOR' at 'conditionalOperator' failed to satisfy "
		       "constraint: Member must satisfy enum value set: [OR, AND]; Value null at "
		       "'keyConditions.a.member.attributeValueList.1.member' failed to satisfy constraint: Member must "
		       "not be null");
	expect_invalid("UpdateItem",
		       "{'TableName':'hash','Key':{'pk':{'S':'k'}},'Expected':{'a':{'ComparisonOperator':''}},"
		       "'AttributeUpdates':{'a':{'Action':'SET','Value':{'S':'x'}}}}",
		       "2 validation errors detected: Value '' at 'expected.a.member.comparisonOperator' failed to "
		       "satisfy constraint: Member must satisfy enum value set: " COMPARISONS "; Value 'SET' at "
		       "'attributeUpdates.a.member.action' failed to satisfy constraint: Member must satisfy enum "
		       "value set: [ADD, DELETE, PUT]");
}

static void
wrong_types_are_serialization_errors(void **state)
{
	static const struct {
		const char *operation, *body, *message;
	} cases[] = {
	    {"Scan", "'ScanFilter':'x'", "Unexpected field type"},
	    {"Scan", "'ScanFilter':[]",
	     "Unrecognized collection type java.util.Map<java.lang.String, "
	     "com.amazonaws.dynamodb.v20120810.Condition>"},
	    {"Scan", "'ScanFilter':{'a':1}", "Unexpected value type in payload"},
	    {"Scan", "'ScanFilter':{'a':[]}",
	     "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.Condition"},
	    {"Scan", "'ScanFilter':{'a':{'AttributeValueList':{}}}",
	     "Start of structure or map found where not expected"},
	    {"Query", "'KeyConditions':{'a':{'AttributeValueList':['x']}}", "Unexpected value type in payload"},
	    {"Query", "'QueryFilter':{'a':{'ComparisonOperator':1}}", "NUMBER_VALUE cannot be converted to String"},
	    {"PutItem", "'Expected':[]",
	     "Unrecognized collection type java.util.Map<java.lang.String, "
	     "com.amazonaws.dynamodb.v20120810.ExpectedAttributeValue>"},
	    {"PutItem", "'Expected':{'a':{'Exists':1}}", "NUMBER_VALUE cannot be converted to Boolean"},
	    {"PutItem", "'Expected':{'a':{'Value':'x'}}", "Unexpected field type"},
	    {"PutItem", "'Expected':{'a':{'Value':[]}}",
	     "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.AttributeValue"},
	    {"PutItem", "'Expected':{'a':{'Value':{'S':1}}}", "NUMBER_VALUE cannot be converted to String"},
	    {"UpdateItem", "'AttributeUpdates':{'a':[]}",
	     "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.AttributeValueUpdate"},
	    {"UpdateItem", "'AttributeUpdates':{'a':{'Value':true}}", "Unexpected field type"},
	    {"UpdateItem", "'AttributeUpdates':{'a':{'Action':{}}}",
	     "Start of structure or map found where not expected"},
	    {"GetItem", "'AttributesToGet':'a'", "Unexpected field type"},
	    {"GetItem", "'AttributesToGet':[1]", "NUMBER_VALUE cannot be converted to String"},
	    {"Scan", "'ScanFilter':{'a':{},'a':{}}", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char body[400];

		snprintf(body, sizeof body, "{'TableName':'hash',%s}", cases[i].body);
		expect_error(cases[i].operation, body, "SerializationException", cases[i].message);
	}
}

/* ---- KeyConditions and QueryFilter ---- */

#define EQ_PK     "'pk':{'ComparisonOperator':'EQ','AttributeValueList':[{'S':'q'}]}"
#define CONDITION "'sk':{'ComparisonOperator':'%s','AttributeValueList':[%s]}"

static void
key_conditions_choose_the_range(void **state)
{
	static const struct {
		const char *operator, * values, *found;
	} cases[] = {
	    {"EQ", "{'S':'b'}", "b"},          {"LT", "{'S':'b'}", "a"},  {"LE", "{'S':'b'}", "ab"},
	    {"GT", "{'S':'b'}", "cd"},         {"GE", "{'S':'c'}", "cd"}, {"BETWEEN", "{'S':'b'},{'S':'c'}", "bc"},
	    {"BEGINS_WITH", "{'S':'d'}", "d"}, {"EQ", "{'S':'x'}", ""},
	};

	(void)state;
	for (const char *sk = "abcd"; *sk != '\0'; sk++) {
		char body[200];

		snprintf(
		    body, sizeof body,
		    "{'TableName':'composite','Item':{'pk':{'S':'q'},'sk':{'S':'%c'},'gk':{'S':'g'},'n':{'N':'%d'}}}",
		    *sk, *sk - 'a');
		expect_ok("PutItem", body);
	}
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char body[400], expected[400] = "\"Items\":[";

		for (const char *sk = cases[i].found; *sk != '\0'; sk++)
			snprintf(expected + strlen(expected), sizeof expected - strlen(expected),
				 "%s{\"sk\":{\"S\":\"%c\"}}", sk > cases[i].found ? "," : "", *sk);
		snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "]");
		snprintf(body, sizeof body,
			 "{'TableName':'composite','AttributesToGet':['sk'],'KeyConditions':{" CONDITION "," EQ_PK "}}",
			 cases[i].operator, cases[i].values);
		expect_part("Query", body, expected);
	}
	expect_part("Query",
		    "{'TableName':'composite','ScanIndexForward':false,'Limit':1,'ProjectionExpression':'sk',"
		    "'FilterExpression':'n > :z','ExpressionAttributeValues':{':z':{'N':'0'}},'KeyConditions':{" EQ_PK
		    "}}",
		    "\"Items\":[{\"sk\":{\"S\":\"d\"}}]");
	expect_part("Query",
		    "{'TableName':'composite','Select':'COUNT','KeyConditions':{" EQ_PK "},'QueryFilter':{'n':{"
		    "'ComparisonOperator':'GE','AttributeValueList':[{'N':'2'}]}}}",
		    "{\"Count\":2,\"ScannedCount\":4}");
	expect_part("Query",
		    "{'TableName':'composite','IndexName':'inc','Select':'COUNT','KeyConditions':{'gk':{"
		    "'ComparisonOperator':'EQ','AttributeValueList':[{'S':'g'}]},'sk':{'ComparisonOperator':'LT',"
		    "'AttributeValueList':[{'S':'c'}]}}}",
		    "{\"Count\":2,\"ScannedCount\":2}");
}

static void
broken_key_conditions_are_told_in_the_services_words(void **state)
{
	static const struct {
		const char *query, *message;
	} cases[] = {
	    {"'KeyConditions':{}", "Conditions can be of length 1 or 2 only"},
	    {"'KeyConditions':{" EQ_PK ",'a':{'ComparisonOperator':'NULL'},'b':{'ComparisonOperator':'NULL'}}",
	     "Conditions can be of length 1 or 2 only"},
	    {"'KeyConditions':{'sk':{'ComparisonOperator':'EQ','AttributeValueList':[{'S':'a'}]}}",
	     "Query condition missed key schema element: pk"},
	    {"'KeyConditions':{" EQ_PK ",'n':{'ComparisonOperator':'EQ','AttributeValueList':[{'S':'a'}]}}",
	     "Query condition missed key schema element: sk"},
	    {"'KeyConditions':{'pk':{'ComparisonOperator':'NULL'}}",
	     "Attempted conditional constraint is not an indexable operation"},
	    {"'KeyConditions':{'pk':{'ComparisonOperator':'NE','AttributeValueList':[{'N':'1'}]}}",
	     "Attempted conditional constraint is not an indexable operation"},
	    {"'KeyConditions':{'pk':{'ComparisonOperator':'IN','AttributeValueList':[{'S':'a'}]}}",
	     "Attempted conditional constraint is not an indexable operation"},
	    {"'KeyConditions':{" EQ_PK ",'sk':{'ComparisonOperator':'NOT_NULL'}}",
	     "Attempted conditional constraint is not an indexable operation"},
	    {"'KeyConditions':{" EQ_PK ",'sk':{'ComparisonOperator':'NOT_CONTAINS','AttributeValueList':[{'S':'a'}]}}",
	     "Attempted conditional constraint is not an indexable operation"},
	    {"'KeyConditions':{'pk':{'ComparisonOperator':'BEGINS_WITH','AttributeValueList':[{'S':'a'}]}}",
	     "Query key condition not supported"},
	    {"'KeyConditions':{'pk':{'ComparisonOperator':'EQ','AttributeValueList':[{'N':'1'}]}}",
	     INVALID "Condition parameter type does not match schema type"},
	    {"'KeyConditions':{" EQ_PK
	     ",'sk':{'ComparisonOperator':'BETWEEN','AttributeValueList':[{'N':'1'},{'N':'2'}]}}",
	     INVALID "Condition parameter type does not match schema type"},
	    {"'KeyConditions':{'pk':{'ComparisonOperator':'EQ','AttributeValueList':[{'S':''}]}}",
	     "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
	     "empty string value. Key: pk"},
	    {"'KeyConditions':{" EQ_PK "},'QueryFilter':{'sk':{'ComparisonOperator':'NOT_NULL'}}",
	     "QueryFilter can only contain non-primary key attributes: Primary key attribute: sk"},
	    {"'KeyConditions':{" EQ_PK "},'QueryFilter':{'n':{'ComparisonOperator':'NULL'},'pk':{'ComparisonOperator':"
	     "'NULL'}}",
	     "QueryFilter can only contain non-primary key attributes: Primary key attribute: pk"},
	    {"'QueryFilter':{'n':{'ComparisonOperator':'NULL'}}",
	     "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."},
	    /* of one attribute the starting key comes first, then the condition, then the next attribute */
	    {"'KeyConditions':{" EQ_PK "},'ExclusiveStartKey':{'pk':{'N':'1'},'sk':{'S':'a'}}",
	     "The provided key element does not match the schema"},
	    {"'KeyConditions':{'z':{'ComparisonOperator':'NULL'}},'ExclusiveStartKey':{'pk':{'S':'q'},'sk':{'N':'1'}}",
	     "Query condition missed key schema element: pk"},
	    {"'KeyConditions':{" EQ_PK ",'z':{'ComparisonOperator':'NULL'}},'ExclusiveStartKey':{'pk':{'S':'q'},'sk':{"
	     "'N':'1'}}",
	     "The provided key element does not match the schema"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char body[400];

		snprintf(body, sizeof body, "{'TableName':'composite',%s}", cases[i].query);
		expect_invalid("Query", body, cases[i].message);
	}
	expect_invalid("Query", "{'TableName':'hash','KeyConditions':{" EQ_PK ",'a':{'ComparisonOperator':'NULL'}}}",
		       "Query key condition not supported");
	/* a scan may filter by keys */
	expect_ok("Scan", "{'TableName':'hash','ScanFilter':{'pk':{'ComparisonOperator':'NULL'}}}");
}

/* ---- what goes together ---- */

#define MIXED                                                                                                          \
	"Can not use both expression and non-expression parameters in the same request: Non-expression parameters: "

static void
old_and_new_parameters_do_not_mix(void **state)
{
	static const struct {
		const char *operation, *rest, *message;
	} cases[] = {
	    {"PutItem", "'Item':{},'Expected':{},'ConditionalOperator':'AND','ConditionExpression':''",
	     MIXED "{Expected, ConditionalOperator} Expression parameters: {ConditionExpression}"},
	    {"DeleteItem", "'Key':{},'ConditionalOperator':'AND','ConditionExpression':''",
	     MIXED "{ConditionalOperator} Expression parameters: {ConditionExpression}"},
	    {"UpdateItem",
	     "'Key':{},'AttributeUpdates':{},'Expected':{},'ConditionalOperator':'OR','UpdateExpression':'',"
	     "'ConditionExpression':''",
	     MIXED "{AttributeUpdates, Expected, ConditionalOperator} Expression parameters: {UpdateExpression, "
		   "ConditionExpression}"},
	    {"UpdateItem", "'Key':{},'Expected':{},'UpdateExpression':''",
	     MIXED "{Expected} Expression parameters: {UpdateExpression}"},
	    {"GetItem", "'Key':{},'AttributesToGet':['a'],'ProjectionExpression':''",
	     MIXED "{AttributesToGet} Expression parameters: {ProjectionExpression}"},
	    {"Query",
	     "'AttributesToGet':['a'],'QueryFilter':{},'ConditionalOperator':'OR','KeyConditions':{},"
	     "'ProjectionExpression':'','FilterExpression':'','KeyConditionExpression':''",
	     MIXED "{AttributesToGet, QueryFilter, ConditionalOperator, KeyConditions} Expression parameters: "
		   "{ProjectionExpression, FilterExpression, KeyConditionExpression}"},
	    {"Query", "'QueryFilter':{},'KeyConditions':{},'FilterExpression':''",
	     MIXED "{QueryFilter} Expression parameters: {FilterExpression}"},
	    {"Scan",
	     "'AttributesToGet':['a'],'ScanFilter':{},'ConditionalOperator':'OR','ProjectionExpression':'',"
	     "'FilterExpression':''",
	     MIXED "{AttributesToGet, ScanFilter, ConditionalOperator} Expression parameters: {ProjectionExpression, "
		   "FilterExpression}"},
	    {"UpdateItem", "'Key':{},'AttributeUpdates':{},'ExpressionAttributeValues':{}",
	     "ExpressionAttributeValues can only be specified when using expressions: UpdateExpression and "
	     "ConditionExpression are null"},
	    {"Scan", "'ScanFilter':{},'ExpressionAttributeNames':{}",
	     "ExpressionAttributeNames can only be specified when using expressions"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char body[400];

		snprintf(body, sizeof body, "{'TableName':'hash',%s}", cases[i].rest);
		expect_invalid(cases[i].operation, body, cases[i].message);
	}
}

#define ONE "'a':{'ComparisonOperator':'NULL'}"

static void
conditional_operators_need_two_conditions(void **state)
{
	static const char alone[] = "ConditionalOperator cannot be used without Filter or Expected",
			  of_one[] = "ConditionalOperator can only be used when Filter or Expected has two or more "
				     "elements";

	(void)state;
	expect_invalid("Scan", "{'TableName':'hash','ConditionalOperator':'AND'}", alone);
	expect_invalid("Scan", "{'TableName':'hash','ConditionalOperator':'OR','ScanFilter':{}}", alone);
	expect_invalid("Scan", "{'TableName':'hash','ConditionalOperator':'AND','ScanFilter':{" ONE "}}", of_one);
	expect_invalid("Query", "{'TableName':'hash','ConditionalOperator':'AND'}", alone);
	expect_invalid("Query", "{'TableName':'hash','ConditionalOperator':'AND','KeyConditions':{" EQ_PK "}}", alone);
	expect_invalid("Query",
		       "{'TableName':'hash','ConditionalOperator':'OR','KeyConditions':{" EQ_PK "},'QueryFilter':{" ONE
		       "}}",
		       of_one);
	expect_invalid("PutItem", "{'TableName':'hash','Item':{'pk':{'S':'a'}},'ConditionalOperator':'OR'}", alone);
	expect_invalid("DeleteItem",
		       "{'TableName':'hash','Key':{'pk':{'S':'a'}},'ConditionalOperator':'OR','Expected':{" ONE "}}",
		       of_one);
	expect_invalid("UpdateItem",
		       "{'TableName':'hash','Key':{'pk':{'S':'a'}},'ConditionalOperator':'OR','AttributeUpdates':{'a':{"
		       "'Value':{'S':'x'}}}}",
		       alone);
	/* a broken value in a filter is told before, too few of them after */
	expect_invalid("Scan",
		       "{'TableName':'hash','ConditionalOperator':'AND','ScanFilter':{'a':{'ComparisonOperator':'EQ',"
		       "'AttributeValueList':[{'N':'x'}]}}}",
		       "The parameter cannot be converted to a numeric value: x");
	expect_invalid(
	    "Scan", "{'TableName':'hash','ConditionalOperator':'AND','ScanFilter':{'a':{'ComparisonOperator':'EQ'}}}",
	    of_one);
}

static void
attributes_to_get_are_names_not_paths(void **state)
{
	(void)state;
	expect_ok(
	    "PutItem",
	    "{'TableName':'hash','Item':{'pk':{'S':'g'},'a':{'M':{'b':{'N':'1'}}},'a.b':{'N':'2'},'c':{'N':'3'}}}");
	expect_reply("GetItem", "{'TableName':'hash','Key':{'pk':{'S':'g'}},'AttributesToGet':['a.b','none','size']}",
		     "{\"Item\":{\"a.b\":{\"N\":\"2\"}}}");
	expect_reply("GetItem", "{'TableName':'hash','Key':{'pk':{'S':'g'}},'AttributesToGet':['none']}",
		     "{\"Item\":{}}");
	expect_part("BatchGetItem",
		    "{'RequestItems':{'hash':{'Keys':[{'pk':{'S':'g'}}],'AttributesToGet':['c','pk']}}}",
		    "{\"hash\":[{\"c\":{\"N\":\"3\"},\"pk\":{\"S\":\"g\"}}]}");
	expect_invalid("GetItem", "{'TableName':'hash','Key':{'pk':{'S':'g'}},'AttributesToGet':['a','b','a']}",
		       INVALID "Duplicate value in attribute name: a");
	expect_invalid("GetItem", "{'TableName':'hash','Key':{'pk':{'S':'g'}},'AttributesToGet':[]}",
		       "1 validation error detected: Value '[]' at 'attributesToGet' failed to satisfy constraint: "
		       "Member must have length greater than or equal to 1");
	expect_invalid("GetItem", "{'TableName':'hash','Key':{'pk':{'S':'g'}},'AttributesToGet':['a',null]}",
		       "1 validation error detected: Value null at 'attributesToGet.2.member' failed to satisfy "
		       "constraint: Member must not be null");
	expect_invalid("Scan", "{'TableName':'hash','AttributesToGet':['a'],'Select':'COUNT'}",
		       "Cannot specify the AttributesToGet when choosing to get only the Count");
}

/* Old clients know these orders too. */
static void
paths_into_key_attributes_are_refused(void **state)
{
	static const char key[] = "Key attributes must be scalars; list random access '[]' and map lookup '.' are not "
				  "allowed: Key: pk",
			  index[] = "Key attributes must be scalars; list random access '[]' and map lookup '.' are "
				    "not allowed: IndexKey: gk";

	(void)state;
	expect_invalid("GetItem", "{'TableName':'hash','Key':{'pk':{'S':'g'}},'ProjectionExpression':'a, pk.x'}", key);
	expect_invalid("Scan", "{'TableName':'hash','FilterExpression':'attribute_exists(pk[0])'}", key);
	expect_invalid("Query",
		       "{'TableName':'composite','KeyConditionExpression':'pk = :p','FilterExpression':'gk.x = :p',"
		       "'ExpressionAttributeValues':{':p':{'S':'q'}}}",
		       index);
	expect_invalid(
	    "UpdateItem",
	    "{'TableName':'composite','Key':{'pk':{'S':'w'},'sk':{'S':'w'}},'UpdateExpression':'SET x = gk[1]'}",
	    index);
	expect_invalid(
	    "UpdateItem",
	    "{'TableName':'composite','Key':{'pk':{'S':'w'},'sk':{'S':'w'}},'UpdateExpression':'SET gk = :n, x = "
	    "ls.a','ExpressionAttributeValues':{':n':{'N':'1'}}}",
	    INVALID "Type mismatch for Index Key gk Expected: S Actual: N IndexName: glo");
	/* where a page would start comes before them */
	expect_invalid(
	    "Query",
	    "{'TableName':'composite','KeyConditionExpression':'pk = :p','FilterExpression':'gk.x = :p',"
	    "'ExpressionAttributeValues':{':p':{'S':'q'}},'ExclusiveStartKey':{'pk':{'S':'x'},'sk':{'S':'x'}}}",
	    "The provided starting key is outside query boundaries based on provided conditions");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_comparison_holds_as_the_service_says),
	    cmocka_unit_test(conditions_are_joined_by_the_operator),
	    cmocka_unit_test(many_conditions_hold_as_few_do),
	    cmocka_unit_test(in_takes_as_many_values_as_the_service_does),
	    cmocka_unit_test(what_a_filter_may_cost_is_bounded),
	    cmocka_unit_test(broken_conditions_are_told_in_the_services_words),
	    cmocka_unit_test(constraints_name_the_condition),
	    cmocka_unit_test(wrong_types_are_serialization_errors),
	    cmocka_unit_test(key_conditions_choose_the_range),
	    cmocka_unit_test(broken_key_conditions_are_told_in_the_services_words),
	    cmocka_unit_test(old_and_new_parameters_do_not_mix),
	    cmocka_unit_test(conditional_operators_need_two_conditions),
	    cmocka_unit_test(attributes_to_get_are_names_not_paths),
	    cmocka_unit_test(paths_into_key_attributes_are_refused),
	};

	return cmocka_run_group_tests(tests, up, fixture_down);
}
