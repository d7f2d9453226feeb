/* The parameters that came before expressions. */
#include "api_fixture.h"

#define INVALID "One or more parameter values were invalid: "

static int
up(void **state)
{
	if (fixture_up(state) != 0)
		return -1;
	create_tables();
	return 0;
}

/* Of a body made in a loop: its text, valid until buf_done(). */
static const char *
text_of(struct buf *b)
{
	buf_put_byte(b, '\0');
	return b->data;
}

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

/* ---- Expected ---- */

#define WRITE(expected) "{'TableName':'hash','Key':{'pk':{'S':'x'}},'Expected':{'a':{" expected "}}}"

static void
expected_is_one_form_or_the_other(void **state)
{
	static const struct {
		const char *expected, *message;
	} cases[] = {
	    {"", "Value must be provided when Exists is null for Attribute: a"},
	    {"'Exists':true", "Value must be provided when Exists is true for Attribute: a"},
	    {"'Exists':false,'Value':{'S':'x'}", "Value cannot be used when Exists is false for Attribute: a"},
	    {"'Exists':true,'ComparisonOperator':'LT'",
	     "Exists and ComparisonOperator cannot be used together for Attribute: a"},
	    {"'Exists':false,'ComparisonOperator':'EQ','AttributeValueList':[{'S':'x'}]",
	     "Exists and ComparisonOperator cannot be used together for Attribute: a"},
	    {"'ComparisonOperator':'LT'",
	     "Value or AttributeValueList must be used with ComparisonOperator: LT for Attribute: a"},
	    {"'ComparisonOperator':'LT','Value':{'S':'x'},'AttributeValueList':[{'S':'x'}]",
	     "Value and AttributeValueList cannot be used together for Attribute: a"},
	    {"'AttributeValueList':[{'S':'x'}]",
	     "AttributeValueList can only be used with a ComparisonOperator for Attribute: a"},
	    {"'Exists':false,'AttributeValueList':[{'S':'x'}]",
	     "AttributeValueList can only be used with a ComparisonOperator for Attribute: a"},
	    {"'ComparisonOperator':'NULL','Value':{'S':'x'}",
	     "Invalid number of argument(s) for the NULL ComparisonOperator"},
	    {"'ComparisonOperator':'BETWEEN','Value':{'S':'x'}",
	     "Invalid number of argument(s) for the BETWEEN ComparisonOperator"},
	    {"'ComparisonOperator':'GT','Value':{'L':[]}",
	     "ComparisonOperator GT is not valid for L AttributeValue type"},
	    {"'Value':{'SS':[]}", "An string set  may not be empty"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char body[400], message[200];

		snprintf(body, sizeof body, WRITE("%s"), cases[i].expected);
		snprintf(message, sizeof message, INVALID "%s", cases[i].message);
		expect_invalid("DeleteItem", body, message);
		expect_invalid("UpdateItem", body, message);
		snprintf(body, sizeof body, "{'TableName':'hash','Item':{'pk':{'S':'x'}},'Expected':{'a':{%s}}}",
			 cases[i].expected);
		expect_invalid("PutItem", body, message);
	}
}

static void
expected_guards_every_write(void **state)
{
	(void)state;
	expect_ok("PutItem",
		  "{'TableName':'hash','Item':{'pk':{'S':'x'},'a':{'N':'1'}},'Expected':{'pk':{'Exists':false}}}");
	expect_error("PutItem", "{'TableName':'hash','Item':{'pk':{'S':'x'}},'Expected':{'pk':{'Exists':false}}}",
		     "ConditionalCheckFailedException", "The conditional request failed");
	expect_error("UpdateItem", WRITE("'Value':{'N':'2'}"), "ConditionalCheckFailedException",
		     "The conditional request failed");
	expect_error("DeleteItem", WRITE("'Exists':true,'Value':{'N':'2'}"), "ConditionalCheckFailedException",
		     "The conditional request failed");
	expect_error("DeleteItem", WRITE("'Value':{'S':'1'}"), "ConditionalCheckFailedException",
		     "The conditional request failed");
	expect_ok("UpdateItem", WRITE("'Exists':true,'Value':{'N':'1'}"));
	expect_ok("UpdateItem", WRITE("'Value':{'N':'1.0'}"));
	expect_ok("UpdateItem", WRITE("'ComparisonOperator':'GE','Value':{'N':'1'}")); /* in place of the list */
	expect_part("DeleteItem",
		    "{'TableName':'hash','Key':{'pk':{'S':'x'}},'Expected':{'a':{'Exists':false}},"
		    "'ReturnValuesOnConditionCheckFailure':'ALL_OLD'}",
		    "\"Item\":{\"a\":{\"N\":\"1\"},\"pk\":{\"S\":\"x\"}}");
	expect_ok("DeleteItem", WRITE("'Value':{'N':'1'}"));
	expect_error("DeleteItem", WRITE("'Value':{'N':'1'}"), "ConditionalCheckFailedException",
		     "The conditional request failed");
}

/* ---- AttributeUpdates ---- */

static const struct {
	const char *item; /* without its key; NULL: there is none */
	const char *updates;
	const char *after; /* NULL: there is none */
} updates[] = {
    {NULL, "", "\"pk\":{\"S\":\"u\"}"}, /* nothing to do still makes the item */
    {NULL, "'a':{'Value':{'S':'x'}}", "\"a\":{\"S\":\"x\"},\"pk\":{\"S\":\"u\"}"},
    {NULL, "'a':{'Action':'DELETE'}", NULL}, /* only removals do not */
    {NULL, "'a':{'Action':'DELETE','Value':{'SS':['x']}},'b':{'Action':'DELETE'}", NULL},
    {NULL, "'a':{'Action':'DELETE'},'b':{'Action':'ADD','Value':{'N':'2'}}",
     "\"b\":{\"N\":\"2\"},\"pk\":{\"S\":\"u\"}"},
    {NULL, "'a':{'Action':'ADD','Value':{'L':[{'S':'x'}]}}", "\"a\":{\"L\":[{\"S\":\"x\"}]},\"pk\":{\"S\":\"u\"}"},
    {"'a':{'S':'old'},'b':{'N':'1'}", "'a':{'Action':'PUT','Value':{'NULL':true}}",
     "\"a\":{\"NULL\":true},\"b\":{\"N\":\"1\"},\"pk\":{\"S\":\"u\"}"},
    {"'a':{'S':'old'},'b':{'N':'1'}", "'a':{'Action':'DELETE'},'c':{'Action':'DELETE'}",
     "\"b\":{\"N\":\"1\"},\"pk\":{\"S\":\"u\"}"},
    {"'a':{'N':'7'}", "'a':{'Action':'ADD','Value':{'N':'-3.5'}}", "\"a\":{\"N\":\"3.5\"},\"pk\":{\"S\":\"u\"}"},
    {"'a':{'NS':['1','2']}", "'a':{'Action':'ADD','Value':{'NS':['2','3']}}",
     "\"a\":{\"NS\":[\"1\",\"2\",\"3\"]},\"pk\":{\"S\":\"u\"}"},
    {"'a':{'L':[{'N':'1'}]}", "'a':{'Action':'ADD','Value':{'L':[{'S':'x'},{'N':'1'}]}}",
     "\"a\":{\"L\":[{\"N\":\"1\"},{\"S\":\"x\"},{\"N\":\"1\"}]},\"pk\":{\"S\":\"u\"}"},
    {"'a':{'SS':['a','b','c']}", "'a':{'Action':'DELETE','Value':{'SS':['b','x']}}",
     "\"a\":{\"SS\":[\"a\",\"c\"]},\"pk\":{\"S\":\"u\"}"},
    {"'a':{'SS':['a']}", "'a':{'Action':'DELETE','Value':{'SS':['a']}}", "\"pk\":{\"S\":\"u\"}"},
    {"'b':{'N':'1'}", "'a':{'Action':'DELETE','Value':{'SS':['a']}}", "\"b\":{\"N\":\"1\"},\"pk\":{\"S\":\"u\"}"},
    {"'z':{'N':'1'},'a':{'N':'1'}",
     "'z':{'Action':'ADD','Value':{'N':'1'}},'m':{'Value':{'M':{}}},'a':{'Action':'DELETE'}",
     "\"m\":{\"M\":{}},\"pk\":{\"S\":\"u\"},\"z\":{\"N\":\"2\"}"},
    /* names that a path would read otherwise */
    {"'a.b':{'N':'1'}", "'a.b':{'Action':'ADD','Value':{'N':'1'}},'a[0]':{'Value':{'S':'x'}}",
     "\"a.b\":{\"N\":\"2\"},\"a[0]\":{\"S\":\"x\"},\"pk\":{\"S\":\"u\"}"},
};

static void
updates_do_what_their_actions_say(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof updates / sizeof *updates; i++) {
		char body[500], after[400];

		expect_ok("DeleteItem", "{'TableName':'hash','Key':{'pk':{'S':'u'}}}");
		if (updates[i].item != NULL) {
			snprintf(body, sizeof body, "{'TableName':'hash','Item':{'pk':{'S':'u'},%s}}", updates[i].item);
			expect_ok("PutItem", body);
		}
		snprintf(after, sizeof after, "{\"Attributes\":{%s}}", updates[i].after ? updates[i].after : "");
		snprintf(body, sizeof body,
			 "{'TableName':'hash','Key':{'pk':{'S':'u'}},'ReturnValues':'ALL_NEW','AttributeUpdates':{%s}}",
			 updates[i].updates);
		expect_reply("UpdateItem", body, updates[i].after ? after : "{}");
		snprintf(after, sizeof after, "{\"Item\":{%s}}", updates[i].after ? updates[i].after : "");
		expect_reply("GetItem", "{'TableName':'hash','Key':{'pk':{'S':'u'}}}", updates[i].after ? after : "{}");
	}
}

static void
updates_return_what_they_touched(void **state)
{
	(void)state;
	expect_ok("PutItem", "{'TableName':'hash','Item':{'pk':{'S':'r'},'a':{'N':'1'},'b':{'S':'x'},'c':{'S':'y'}}}");
#define UPDATE(what)                                                                                                   \
	"{'TableName':'hash','Key':{'pk':{'S':'r'}},'ReturnValues':'" what                                             \
	"','AttributeUpdates':{'a':{'Action':'ADD',"                                                                   \
	"'Value':{'N':'1'}},'b':{'Action':'DELETE'},'d':{'Value':{'N':'9'}}}}"
	expect_reply("UpdateItem", UPDATE("UPDATED_OLD"), "{\"Attributes\":{\"a\":{\"N\":\"1\"},\"b\":{\"S\":\"x\"}}}");
	expect_reply("UpdateItem", UPDATE("UPDATED_NEW"), "{\"Attributes\":{\"a\":{\"N\":\"3\"},\"d\":{\"N\":\"9\"}}}");
	expect_reply(
	    "UpdateItem", UPDATE("ALL_OLD"),
	    "{\"Attributes\":{\"a\":{\"N\":\"3\"},\"c\":{\"S\":\"y\"},\"d\":{\"N\":\"9\"},\"pk\":{\"S\":\"r\"}}}");
	expect_reply("UpdateItem", UPDATE("NONE"), "{}");
	/* nothing touched */
	expect_reply("UpdateItem",
		     "{'TableName':'hash','Key':{'pk':{'S':'r'}},'ReturnValues':'UPDATED_NEW','AttributeUpdates':{}}",
		     "{}");
}

static void
broken_updates_are_told_in_the_services_words(void **state)
{
	static const struct {
		const char *updates, *message;
	} cases[] = {
	    {"'a':{}", INVALID "Only DELETE action is allowed when no attribute value is specified"},
	    {"'a':{'Action':'ADD'}", INVALID "Only DELETE action is allowed when no attribute value is specified"},
	    {"'a':{'Action':'DELETE','Value':{'S':'x'}}",
	     INVALID "DELETE action with value is not supported for the type S"},
	    {"'a':{'Action':'DELETE','Value':{'L':[]}}",
	     INVALID "DELETE action with value is not supported for the type L"},
	    {"'a':{'Action':'ADD','Value':{'S':'x'}}", INVALID "ADD action is not supported for the type S"},
	    {"'a':{'Action':'ADD','Value':{'BOOL':true}}", INVALID "ADD action is not supported for the type BOOL"},
	    {"'a':{'Action':'ADD','Value':{'M':{}}}", INVALID "ADD action is not supported for the type M"},
	    {"'a':{'Value':{'NS':[]}}", INVALID "An number set  may not be empty"},
	    {"'a':{'Value':{}}",
	     "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"},
	    {"'':{'Value':{'S':'x'}}", "Empty attribute name"},
	    {"'x':{'Value':{'S':'x'}},'pk':{'Value':{'S':'x'}}",
	     INVALID "Cannot update attribute pk. This attribute is part of the key"},
	    {"'pk':{'Action':'DELETE'}", INVALID "Cannot update attribute pk. This attribute is part of the key"},
	    {"'n':{'Action':'ADD','Value':{'NS':['1']}}", "Type mismatch for attribute to update"},
	    {"'n':{'Action':'DELETE','Value':{'NS':['1']}}", "Type mismatch for attribute to update"},
	    {"'s':{'Action':'ADD','Value':{'N':'1'}}", "Type mismatch for attribute to update"},
	    {"'s':{'Action':'ADD','Value':{'L':[]}}", "Type mismatch for attribute to update"},
	    {"'ss':{'Action':'DELETE','Value':{'NS':['1']}}", "Type mismatch for attribute to update"},
	    {"'n':{'Action':'ADD','Value':{'N':'9E125'}}",
	     "Number overflow. Attempting to store a number with magnitude larger than supported range"},
	};

	(void)state;
	expect_ok("PutItem",
		  "{'TableName':'hash','Item':{'pk':{'S':'w'},'n':{'N':'9.9E125'},'s':{'S':'x'},'ss':{'SS':['1']}}}");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char body[400];

		snprintf(body, sizeof body, "{'TableName':'hash','Key':{'pk':{'S':'w'}},'AttributeUpdates':{%s}}",
			 cases[i].updates);
		expect_invalid("UpdateItem", body, cases[i].message);
	}
	expect_invalid("UpdateItem",
		       "{'TableName':'composite','Key':{'pk':{'S':'w'},'sk':{'S':'w'}},"
		       "'AttributeUpdates':{'gk':{'Value':{'N':'1'}}}}",
		       INVALID "Type mismatch for Index Key gk Expected: S Actual: N IndexName: glo");
	/* expressions keep their own words */
	expect_invalid("UpdateItem",
		       "{'TableName':'hash','Key':{'pk':{'S':'w'}},'UpdateExpression':'ADD s :n',"
		       "'ExpressionAttributeValues':{':n':{'N':'1'}}}",
		       "An operand in the update expression has an incorrect data type");
}

static void
as_many_attributes_are_updated_as_an_item_holds(void **state)
{
	struct buf t = {0};

	(void)state;
	buf_printf(&t, "{'TableName':'hash','Key':{'pk':{'S':'many'}},'AttributeUpdates':{");
	for (int i = 0; i < 20000; i++)
		buf_printf(&t, "%s'a%d':{'Action':'ADD','Value':{'N':'1'}}", i > 0 ? "," : "", (i * 7919) % 20000);
	buf_printf(&t, "}}");
	text_of(&t);
	expect_ok("UpdateItem", t.data);
	expect_ok("UpdateItem", t.data);
	buf_done(&t);
	expect_reply(
	    "GetItem",
	    "{'TableName':'hash','Key':{'pk':{'S':'many'}},'AttributesToGet':['a0','a4096','a19999','a20000']}",
	    "{\"Item\":{\"a0\":{\"N\":\"2\"},\"a19999\":{\"N\":\"2\"},\"a4096\":{\"N\":\"2\"}}}");
	expect_ok("DeleteItem", "{'TableName':'hash','Key':{'pk':{'S':'many'}}}");
	buf_printf(&t, "{'TableName':'hash','Key':{'pk':{'S':'many'}},'AttributeUpdates':{");
	for (int i = 0; i < 131073; i++)
		buf_printf(&t, "%s'%d':{'Value':{'S':''}}", i > 0 ? "," : "", i);
	buf_printf(&t, "}}");
	expect_invalid("UpdateItem", text_of(&t), "Item size to update has exceeded the maximum allowed size");
	buf_done(&t);
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
	    cmocka_unit_test(expected_is_one_form_or_the_other),
	    cmocka_unit_test(expected_guards_every_write),
	    cmocka_unit_test(updates_do_what_their_actions_say),
	    cmocka_unit_test(updates_return_what_they_touched),
	    cmocka_unit_test(broken_updates_are_told_in_the_services_words),
	    cmocka_unit_test(as_many_attributes_are_updated_as_an_item_holds),
	    cmocka_unit_test(key_conditions_choose_the_range),
	    cmocka_unit_test(broken_key_conditions_are_told_in_the_services_words),
	    cmocka_unit_test(old_and_new_parameters_do_not_mix),
	    cmocka_unit_test(conditional_operators_need_two_conditions),
	    cmocka_unit_test(attributes_to_get_are_names_not_paths),
	    cmocka_unit_test(paths_into_key_attributes_are_refused),
	};

	return cmocka_run_group_tests(tests, up, fixture_down);
}
