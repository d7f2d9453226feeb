/* Projections, key conditions, substitutes and the cache. */
#include "expr_fixture.h"

static void
projections_keep_only_their_paths(void **state)
{
	static const char item[] = "{'a':{'N':'1'},'b':{'L':[{'N':'0'},{'M':{'x':{'N':'1'},'y':{'N':'2'}}},{'N':'2'}]},"
				   "'c':{'M':{'d':{'S':'s'},"
				   "'e':{'M':{'f':{'N':'3'},'g':{'N':'4'}}}}},'z':{'BOOL':true}}";
	static const struct {
		const char *text;
		const char *projected;
	} cases[] = {
	    {"a", "{'a':{'N':'1'}}"},
	    {"z, a", "{'a':{'N':'1'},'z':{'BOOL':true}}"},
	    {"absent", "{}"},
	    {"a.b", "{}"},
	    {"a[0]", "{}"},
	    {"c.d", "{'c':{'M':{'d':{'S':'s'}}}}"},
	    {"c.e.g, c.d, c.nothing", "{'c':{'M':{'d':{'S':'s'},'e':{'M':{'g':{'N':'4'}}}}}}"},
	    {"c.e", "{'c':{'M':{'e':{'M':{'f':{'N':'3'},'g':{'N':'4'}}}}}}"},
	    {"b[2], b[0]", "{'b':{'L':[{'N':'0'},{'N':'2'}]}}"},
	    {"b[1].y", "{'b':{'L':[{'M':{'y':{'N':'2'}}}]}}"},
	    {"b[7]", "{}"},
	    {"b[0].x, c.q.r", "{}"},
	    {"#z, b[1].#x", "{'b':{'L':[{'M':{'x':{'N':'1'}}}]},'z':{'BOOL':true}}"},
	    {"zz, aa, z", "{'z':{'BOOL':true}}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct fixture f;

		fixture_init(&f, "#z=z #x=x", NULL);
		fixture_expect_json(
		    &f, cases[i].text,
		    expr_project(fixture_bind(&f, EXPR_PROJECTION, cases[i].text), fixture_item(&f, item), &f.arena),
		    cases[i].projected);
		fixture_done(&f);
	}
}

static void
a_projection_names_its_attributes_once(void **state)
{
	struct fixture f;
	const struct slice *attrs;
	size_t count;

	(void)state;
	fixture_init(&f, NULL, NULL);
	attrs = expr_projected_attrs(fixture_bind(&f, EXPR_PROJECTION, "c.x, b, c.y, aa[0]"), &count);
	assert_int_equal(count, 3);
	assert_true(slice_eq(attrs[0], SLICE("aa")) && slice_eq(attrs[1], SLICE("b")) &&
		    slice_eq(attrs[2], SLICE("c")));
	fixture_done(&f);
}

/* ---- key conditions ---- */

static const struct key_schema hash_only = {1, 0, {{{"a", 1}, AV_S}}, {{{0}}}};
static const struct key_schema composite = {1, 1, {{{"a", 1}, AV_S}}, {{{"b", 1}, AV_N}}};
static const struct key_schema multiple = {
    2, 3, {{{"h", 1}, AV_S}, {{"i", 1}, AV_S}}, {{{"a", 1}, AV_S}, {{"b", 1}, AV_S}, {{"c", 1}, AV_S}}};

#define VALUES "{':s':{'S':'x'},':t':{'S':'y'},':n':{'N':'1'},':m':{'N':'2'},':e':{'S':''},':bool':{'BOOL':true}}"

static void
key_conditions_become_ranges(void **state)
{
	static const struct {
		const struct key_schema *schema;
		const char *text;
		uint8_t equal_count;
		enum key_op op;
	} cases[] = {
	    {&hash_only, "a = :s", 0, KEY_ALL},
	    {&hash_only, "(a = :s)", 0, KEY_ALL},
	    {&hash_only, ":s = a", 0, KEY_ALL},
	    {&composite, "a = :s", 0, KEY_ALL},
	    {&composite, "a = :s AND b = :n", 0, KEY_EQ},
	    {&composite, "b = :n AND a = :s", 0, KEY_EQ},
	    {&composite, "(a = :s) AND (b < :n)", 0, KEY_LT},
	    {&composite, "(a = :s AND (b <= :n))", 0, KEY_LE},
	    {&composite, "a = :s AND :n < b", 0, KEY_GT},
	    {&composite, "a = :s AND :n >= b", 0, KEY_LE},
	    {&composite, "a = :s AND :n <= b", 0, KEY_GE},
	    {&composite, "a = :s AND b BETWEEN :n AND :m", 0, KEY_BETWEEN},
	    {&multiple, "h = :s AND i = :s", 0, KEY_ALL},
	    {&multiple, "i = :s AND a = :t AND h = :s", 1, KEY_ALL},
	    {&multiple, "h = :s AND i = :s AND a = :t AND b > :s", 1, KEY_GT},
	    {&multiple, "h = :s AND i = :s AND a = :t AND b = :s AND c = :t", 2, KEY_EQ},
	    {&multiple, "h = :s AND i = :s AND a = :t AND b = :s AND begins_with(c, :t)", 2, KEY_BEGINS_WITH},
	    {&multiple, "h = :s AND i = :s AND begins_with(a, :t)", 0, KEY_BEGINS_WITH},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct fixture f;
		struct key_range range;
		struct expr *e;

		fixture_init(&f, NULL, VALUES);
		e = fixture_bind(&f, EXPR_KEY_CONDITION, cases[i].text);
		if (expr_key_range(e, cases[i].schema, &range, &f.err) != S_OK)
			fail_msg("%s: %s", cases[i].text, f.err.message);
		if (range.op != cases[i].op || range.sort_equal_count != cases[i].equal_count)
			fail_msg("%s: operator %d after %d equalities", cases[i].text, range.op,
				 range.sort_equal_count);
		assert_true(slice_eq(av_bytes(range.partition[0]), SLICE("x")));
		assert_int_equal(av_exists(range.low), range.op != KEY_ALL);
		assert_int_equal(av_exists(range.high), range.op == KEY_BETWEEN);
		fixture_done(&f);
	}
}

#define UNSUPPORTED "Query key condition not supported"
#define MISMATCH    "One or more parameter values were invalid: Condition parameter type does not match schema type"
#define OPERATOR    "Invalid operator used in KeyConditionExpression: "
#define CONDITION   "Invalid condition in KeyConditionExpression: "

static void
unusable_key_conditions_are_refused(void **state)
{
	static const struct {
		const struct key_schema *schema;
		const char *text;
		const char *message;
	} cases[] = {
	    {&composite, "a > b and size(b) > c or a > c", OPERATOR "OR"},
	    {&composite, "a in (b, size(c), d)", OPERATOR "IN"},
	    {&composite, "attribute_exists(a)", OPERATOR "attribute_exists"},
	    {&composite, "attribute_not_exists(a)", OPERATOR "attribute_not_exists"},
	    {&composite, "contains(a.d, b)", OPERATOR "contains"},
	    {&composite, "not a > b", OPERATOR "NOT"},
	    {&composite, "a <> b", OPERATOR "<>"},
	    {&composite, ":s between size(b) and size(a) and b > :t",
	     CONDITION "BETWEEN operator must have the key attribute as its first operand"},
	    {&composite, "begins_with(:s, b) and a > :t",
	     CONDITION "begins_with operator must have the key attribute as its first operand"},
	    {&composite, "size(b) > a AND a.b > b AND b > c",
	     "KeyConditionExpressions cannot contain nested operations"},
	    {&composite, "a > size(b.d)", "KeyConditionExpressions cannot contain nested operations"},
	    {&composite, "a between size(b) and size(a)", "KeyConditionExpressions cannot contain nested operations"},
	    {&composite, "b > a.b", CONDITION "Multiple attribute names used in one condition"},
	    {&composite, "b between c[1] and d", CONDITION "Multiple attribute names used in one condition"},
	    {&composite, "begins_with(a, b)", CONDITION "Multiple attribute names used in one condition"},
	    {&composite, "b.d > a AND c.d > e.f",
	     "KeyConditionExpressions cannot have conditions on nested attributes"},
	    {&composite, "b[0] > a", "KeyConditionExpressions cannot have conditions on nested attributes"},
	    {&composite, ":t > :s AND a < :t", CONDITION "No key attribute specified"},
	    {&composite, "b > :s AND b < :s and c = :s and d = :s",
	     "Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key"},
	    {&composite, "(a > :s and b > :s) and (b > :s and c > :s)",
	     "Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key"},
	    {&composite, "b = :n", "Query condition missed key schema element: a"},
	    {&composite, "z = :n", "Query condition missed key schema element: a"},
	    {&composite, "a = :s AND z = :n", "Query condition missed key schema element: b"},
	    {&composite, "a = :s AND b > :n AND z = :n",
	     "The number of query conditions (3) exceeds the number of key attributes defined in the schema (2)"},
	    {&hash_only, "a > :s", UNSUPPORTED},
	    {&hash_only, ":s <= a", UNSUPPORTED},
	    {&hash_only, "begins_with(a, :s)", UNSUPPORTED},
	    {&hash_only, "a between :s and :s", UNSUPPORTED},
	    {&hash_only, "a = :s AND b = :s", UNSUPPORTED},
	    {&hash_only, "y = :s and z = :s", UNSUPPORTED},
	    {&composite, "a < :s AND b = :n", UNSUPPORTED},
	    {&hash_only, "a > :n", MISMATCH},
	    {&hash_only, "a = :n", MISMATCH},
	    {&composite, "a = :s AND b = :s", MISMATCH},
	    {&composite, "a = :s AND begins_with(b, :s)", MISMATCH},
	    {&composite, "a = :s AND b = :bool", MISMATCH},
	    {&hash_only, "a = :e",
	     "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
	     "empty "
	     "string value. Key: a"},
	    {&multiple, "h = :s", "Query condition missed key schema element: i"},
	    {&multiple, "h = :s AND i = :s AND a = :s AND c = :s",
	     "RANGE key attributes b must have equality conditions specified in the query because a condition is "
	     "present on key "
	     "attribute c"},
	    {&multiple, "h = :s AND i = :s AND a = :s AND b > :s AND c = :s",
	     "RANGE key attributes b must have equality conditions specified in the query because a condition is "
	     "present on key "
	     "attribute c"},
	    {&multiple, "h = :s AND i = :s AND c = :s",
	     "RANGE key attributes a, b must have equality conditions specified in the query because a condition is "
	     "present on "
	     "key attribute c"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct fixture f;
		struct key_range range;
		struct expr *e;

		fixture_init(&f, NULL, VALUES);
		e = fixture_bind(&f, EXPR_KEY_CONDITION, cases[i].text);
		if (expr_key_range(e, cases[i].schema, &range, &f.err) != S_VALIDATION)
			fail_msg("%s must be refused", cases[i].text);
		if (strcmp(f.err.message, cases[i].message) != 0)
			fail_msg("%s\n  is     %s\n  wanted %s", cases[i].text, f.err.message, cases[i].message);
		fixture_done(&f);
	}
}

/* ---- substitutes ---- */

static void
expect_params(const char *names, const char *values, bool any, const char *message)
{
	struct fixture f;

	fixture_init(&f, names, values);
	assert_int_equal(expr_params_check(&f.params, any, &f.err), message == NULL ? S_OK : S_VALIDATION);
	if (message != NULL)
		assert_string_equal(f.err.message, message);
	fixture_done(&f);
}

static void
substitutes_are_checked(void **state)
{
	(void)state;
	expect_params(NULL, NULL, false, NULL);
	expect_params("#a=b #0_=c", "{':a':{'S':''},':_':{'S':''}}", true, NULL);
	expect_params("", NULL, true, "ExpressionAttributeNames must not be empty");
	expect_params(NULL, "{}", true, "ExpressionAttributeValues must not be empty");
	expect_params("#a=b", NULL, false, "ExpressionAttributeNames can only be specified when using expressions");
	expect_params(NULL, "{':a':{'S':''}}", false,
		      "ExpressionAttributeValues can only be specified when using expressions");
	expect_params("a=a", "{}", true, "ExpressionAttributeNames contains invalid key: Syntax error; key: \"a\"");
	expect_params("#a=a #=b", NULL, true,
		      "ExpressionAttributeNames contains invalid key: Syntax error; key: \"#\"");
	expect_params("#a-b=a", NULL, true,
		      "ExpressionAttributeNames contains invalid key: Syntax error; key: \"#a-b\"");
	expect_params("#a=", NULL, true,
		      "ExpressionAttributeNames contains invalid value: Empty attribute name for key #a");
	expect_params(NULL, "{':a':{'S':''},'b':{'S':''}}", true,
		      "ExpressionAttributeValues contains invalid key: Syntax error; key: \"b\"");
	expect_params(
	    NULL, "{':b':{'N':'b'}}", true,
	    "ExpressionAttributeValues contains invalid value: The parameter cannot be converted to a numeric value: b "
	    "for key :b");
}

static void
values_need_an_expression_that_takes_them(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, NULL, "{':a':{'S':''}}");
	assert_int_equal(expr_params_check_given(&f.params, true, "FilterExpression is null", &f.err), S_VALIDATION);
	assert_string_equal(
	    f.err.message,
	    "ExpressionAttributeValues can only be specified when using expressions: FilterExpression is null");
	assert_int_equal(expr_params_check_given(&f.params, true, NULL, &f.err), S_OK);
	fixture_done(&f);
}

static void
unused_substitutes_are_named(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, "#a=a #b=b #c=c", "{':x':{'N':'1'},':y':{'N':'1'},':z':{'N':'1'}}");
	fixture_bind(&f, EXPR_CONDITION, "#b = :y");
	assert_int_equal(expr_params_check_unused(&f.params, &f.err), S_VALIDATION);
	assert_string_equal(f.err.message,
			    "Value provided in ExpressionAttributeNames unused in expressions: keys: {#a, #c}");
	fixture_bind(&f, EXPR_PROJECTION, "#a, #c");
	assert_int_equal(expr_params_check_unused(&f.params, &f.err), S_VALIDATION);
	assert_string_equal(f.err.message,
			    "Value provided in ExpressionAttributeValues unused in expressions: keys: {:x, :z}");
	fixture_bind(&f, EXPR_FILTER, "q BETWEEN :x AND :z");
	assert_int_equal(expr_params_check_unused(&f.params, &f.err), S_OK);
	fixture_done(&f);
}

static void
thousands_of_substitutes_are_found(void **state)
{
	struct fixture f;
	struct expr *e;

	(void)state;
	fixture_init(&f, NULL, NULL);
	f.params.has_names = f.params.has_values = true;
	f.params.names = ARENA_ARRAY(&f.arena, struct expr_name, 5000);
	f.params.values = ARENA_ARRAY(&f.arena, struct expr_value, 5000);
	f.params.name_count = f.params.value_count = 5000;
	for (int i = 0; i < 5000; i++) {
		f.params.names[i].placeholder = arena_printf(&f.arena, "#n%d", i);
		f.params.names[i].name = arena_printf(&f.arena, "name%d", i);
		f.params.values[i].placeholder = arena_printf(&f.arena, ":v%d", i);
		f.params.values[i].value = av_string(&f.arena, arena_printf(&f.arena, "value%d", i));
	}
	e = fixture_bind(&f, EXPR_CONDITION, "#n4711 = :v99 AND #n0 = :v4999");
	assert_true(expr_test(e, fixture_item(&f, "{'name0':{'S':'value4999'},'name4711':{'S':'value99'}}")));
	assert_int_equal(expr_bind(EXPR_CONDITION, SLICE("#n5000 = :v1"), &f.params, &f.arena, &e, &f.err),
			 S_VALIDATION);
	assert_string_equal(f.err.message,
			    "Invalid ConditionExpression: An expression attribute name used in the document "
			    "path is not defined; attribute name: #n5000");
	fixture_done(&f);
}

/* ---- the cache ---- */

static void
cached_programs_answer_alike(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, "#a=a", "{':v':{'N':'7'}}");
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < 3000; i++) { /* more than the cache holds */
			struct slice text = arena_printf(&f.arena, "#a = :v AND attribute_not_exists(x%d)", i);
			struct expr *e;

			assert_int_equal(expr_bind(EXPR_FILTER, text, &f.params, &f.arena, &e, &f.err), S_OK);
			assert_true(expr_uses_attr(e, arena_printf(&f.arena, "x%d", i)));
			assert_true(expr_test(e, fixture_item(&f, "{'a':{'N':'7'}}")));
		}
	fixture_done(&f);
}

static void
one_text_serves_several_kinds(void **state)
{
	struct fixture f;
	struct expr *e;

	(void)state;
	fixture_init(&f, NULL, "{':v':{'N':'7'}}");
	for (int round = 0; round < 2; round++) {
		fixture_bind(&f, EXPR_CONDITION, "a = :v");
		fixture_bind(&f, EXPR_FILTER, "a = :v");
		fixture_bind(&f, EXPR_KEY_CONDITION, "a = :v");
		fixture_bind(&f, EXPR_PROJECTION, "a");
		assert_int_equal(expr_bind(EXPR_PROJECTION, SLICE("a = :v"), &f.params, &f.arena, &e, &f.err),
				 S_VALIDATION);
		assert_int_equal(expr_bind(EXPR_FILTER, SLICE("a = :w"), &f.params, &f.arena, &e, &f.err),
				 S_VALIDATION);
		assert_non_null(strstr(f.err.message, "Invalid FilterExpression"));
		assert_int_equal(expr_bind(EXPR_CONDITION, SLICE("a = :w"), &f.params, &f.arena, &e, &f.err),
				 S_VALIDATION);
		assert_non_null(strstr(f.err.message, "Invalid ConditionExpression"));
	}
	fixture_done(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(projections_keep_only_their_paths),
	    cmocka_unit_test(a_projection_names_its_attributes_once),
	    cmocka_unit_test(key_conditions_become_ranges),
	    cmocka_unit_test(unusable_key_conditions_are_refused),
	    cmocka_unit_test(substitutes_are_checked),
	    cmocka_unit_test(values_need_an_expression_that_takes_them),
	    cmocka_unit_test(unused_substitutes_are_named),
	    cmocka_unit_test(thousands_of_substitutes_are_found),
	    cmocka_unit_test(cached_programs_answer_alike),
	    cmocka_unit_test(one_text_serves_several_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
