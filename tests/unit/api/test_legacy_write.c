/* The parameters of writes that came before expressions: Expected and AttributeUpdates. */
#include "legacy_fixture.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(expected_is_one_form_or_the_other),
	    cmocka_unit_test(expected_guards_every_write),
	    cmocka_unit_test(updates_do_what_their_actions_say),
	    cmocka_unit_test(updates_return_what_they_touched),
	    cmocka_unit_test(broken_updates_are_told_in_the_services_words),
	    cmocka_unit_test(as_many_attributes_are_updated_as_an_item_holds),
	};

	return cmocka_run_group_tests(tests, up, fixture_down);
}
