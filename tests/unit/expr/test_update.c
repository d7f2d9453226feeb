#include "expr_fixture.h"

#define VALUES                                                                                                         \
	"{':s':{'S':'new'},':n':{'N':'5'},':m':{'M':{'k':{'S':'v'}}},':l':{'L':[{'S':'x'},{'S':'y'}]},':e':{'L':[]},"  \
	"':ss':{'SS':['a','c']},':sb':{'SS':['b']},':ns':{'NS':['1']},':neg':{'N':'-5'},"                              \
	"':big':{'N':'9.9999999999999999999999999999999999999E+125'}}"

#define INVALID_PATH "The document path provided in the update expression is invalid for update"
#define WRONG_TYPE   "An operand in the update expression has an incorrect data type"
#define NO_ATTRIBUTE "The provided expression refers to an attribute that does not exist in the item"

static const struct {
	const char *text;
	const char *old; /* NULL: there is no item, the key is {'pk':{'S':'k'}} */
	const char *item;
	const char *updated_old;
	const char *updated_new;
} cases[] = {
    /* SET */
    {"SET a = :s", "{'pk':{'S':'k'}}", "{'a':{'S':'new'},'pk':{'S':'k'}}", "{}", "{'a':{'S':'new'}}"},
    {"SET z = :s", "{'pk':{'S':'k'}}", "{'pk':{'S':'k'},'z':{'S':'new'}}", "{}", "{'z':{'S':'new'}}"},
    {"SET b = :s", "{'a':{'N':'1'},'b':{'N':'2'},'c':{'N':'3'}}", "{'a':{'N':'1'},'b':{'S':'new'},'c':{'N':'3'}}",
     "{'b':{'N':'2'}}", "{'b':{'S':'new'}}"},
    {"SET a = :s", NULL, "{'a':{'S':'new'},'pk':{'S':'k'}}", "{}", "{'a':{'S':'new'}}"},
    {"set d = :n, b = :s, a = :n", "{'b':{'N':'2'},'c':{'N':'3'}}",
     "{'a':{'N':'5'},'b':{'S':'new'},'c':{'N':'3'},'d':{'N':'5'}}", "{'b':{'N':'2'}}",
     "{'a':{'N':'5'},'b':{'S':'new'},'d':{'N':'5'}}"},
    /* the right side sees the old item */
    {"SET a = b, b = a", "{'a':{'N':'1'},'b':{'N':'2'}}", "{'a':{'N':'2'},'b':{'N':'1'}}",
     "{'a':{'N':'1'},'b':{'N':'2'}}", "{'a':{'N':'2'},'b':{'N':'1'}}"},
    {"SET a = b REMOVE b", "{'b':{'N':'2'}}", "{'a':{'N':'2'}}", "{'b':{'N':'2'}}", "{'a':{'N':'2'}}"},
    /* arithmetic */
    {"SET a = a + :n", "{'a':{'N':'1.5'}}", "{'a':{'N':'6.5'}}", "{'a':{'N':'1.5'}}", "{'a':{'N':'6.5'}}"},
    {"SET a = :n - a", "{'a':{'N':'1.5'}}", "{'a':{'N':'3.5'}}", "{'a':{'N':'1.5'}}", "{'a':{'N':'3.5'}}"},
    {"SET a = (a + :n)", "{'a':{'N':'1'}}", "{'a':{'N':'6'}}", "{'a':{'N':'1'}}", "{'a':{'N':'6'}}"},
    {"SET a = (a) + (:n)", "{'a':{'N':'1'}}", "{'a':{'N':'6'}}", "{'a':{'N':'1'}}", "{'a':{'N':'6'}}"},
    {"SET c = if_not_exists(c, :n) + :n", "{'a':{'N':'1'}}", "{'a':{'N':'1'},'c':{'N':'10'}}", "{}",
     "{'c':{'N':'10'}}"},
    /* functions */
    {"SET a = if_not_exists(a, :n), b = if_not_exists(b, :n)", "{'a':{'N':'1'}}", "{'a':{'N':'1'},'b':{'N':'5'}}",
     "{'a':{'N':'1'}}", "{'a':{'N':'1'},'b':{'N':'5'}}"},
    {"SET b = if_not_exists(b, a)", "{'a':{'N':'1'}}", "{'a':{'N':'1'},'b':{'N':'1'}}", "{}", "{'b':{'N':'1'}}"},
    {"SET a = list_append(a, :l)", "{'a':{'L':[{'N':'1'}]}}", "{'a':{'L':[{'N':'1'},{'S':'x'},{'S':'y'}]}}",
     "{'a':{'L':[{'N':'1'}]}}", "{'a':{'L':[{'N':'1'},{'S':'x'},{'S':'y'}]}}"},
    {"SET a = list_append(:l, a)", "{'a':{'L':[{'N':'1'}]}}", "{'a':{'L':[{'S':'x'},{'S':'y'},{'N':'1'}]}}",
     "{'a':{'L':[{'N':'1'}]}}", "{'a':{'L':[{'S':'x'},{'S':'y'},{'N':'1'}]}}"},
    {"SET a = list_append(if_not_exists(a, :e), :l)", "{}", "{'a':{'L':[{'S':'x'},{'S':'y'}]}}", "{}",
     "{'a':{'L':[{'S':'x'},{'S':'y'}]}}"},
    /* nested paths: only the touched pieces are returned */
    {"SET m.b = :s", "{'m':{'M':{'a':{'N':'1'},'c':{'N':'3'}}}}",
     "{'m':{'M':{'a':{'N':'1'},'b':{'S':'new'},'c':{'N':'3'}}}}", "{}", "{'m':{'M':{'b':{'S':'new'}}}}"},
    {"SET m.a = :s, m.c = :n", "{'m':{'M':{'a':{'N':'1'},'b':{'N':'2'}}},'z':{'N':'0'}}",
     "{'m':{'M':{'a':{'S':'new'},'b':{'N':'2'},'c':{'N':'5'}}},'z':{'N':'0'}}", "{'m':{'M':{'a':{'N':'1'}}}}",
     "{'m':{'M':{'a':{'S':'new'},'c':{'N':'5'}}}}"},
    {"SET m.o.p = m.o.p + :n", "{'m':{'M':{'o':{'M':{'p':{'N':'7'},'q':{'N':'8'}}}}}}",
     "{'m':{'M':{'o':{'M':{'p':{'N':'12'},'q':{'N':'8'}}}}}}", "{'m':{'M':{'o':{'M':{'p':{'N':'7'}}}}}}",
     "{'m':{'M':{'o':{'M':{'p':{'N':'12'}}}}}}"},
    /* lists */
    {"SET l[1] = :s", "{'l':{'L':[{'N':'0'},{'N':'1'},{'N':'2'}]}}", "{'l':{'L':[{'N':'0'},{'S':'new'},{'N':'2'}]}}",
     "{'l':{'L':[{'N':'1'}]}}", "{'l':{'L':[{'S':'new'}]}}"},
    /* what UPDATED_NEW shows is found by the path: nothing beyond the end, and what moves up after a removal */
    {"SET l[5] = :s", "{'l':{'L':[{'N':'0'}]}}", "{'l':{'L':[{'N':'0'},{'S':'new'}]}}", "{}", "{}"},
    {"SET l[9] = :s, l[5] = :n", "{'l':{'L':[]}}", "{'l':{'L':[{'N':'5'},{'S':'new'}]}}", "{}", "{}"},
    {"SET l[1] = :n, l[4] = :s, l[6] = :n", "{'l':{'L':[{'N':'0'},{'N':'1'},{'N':'2'}]}}",
     "{'l':{'L':[{'N':'0'},{'N':'5'},{'N':'2'},{'S':'new'},{'N':'5'}]}}", "{'l':{'L':[{'N':'1'}]}}",
     "{'l':{'L':[{'N':'5'},{'N':'5'}]}}"},
    {"SET l[0].k = :s", "{'l':{'L':[{'M':{}},{'N':'1'}]}}", "{'l':{'L':[{'M':{'k':{'S':'new'}}},{'N':'1'}]}}", "{}",
     "{'l':{'L':[{'M':{'k':{'S':'new'}}}]}}"},
    {"REMOVE l[0], l[2] SET l[1] = :s", "{'l':{'L':[{'N':'0'},{'N':'1'},{'N':'2'},{'N':'3'}]}}",
     "{'l':{'L':[{'S':'new'},{'N':'3'}]}}", "{'l':{'L':[{'N':'0'},{'N':'1'},{'N':'2'}]}}",
     "{'l':{'L':[{'S':'new'},{'N':'3'}]}}"},
    {"REMOVE l[1], l[7]", "{'l':{'L':[{'N':'0'},{'N':'1'}]}}", "{'l':{'L':[{'N':'0'}]}}", "{'l':{'L':[{'N':'1'}]}}",
     "{}"},
    {"REMOVE l[0]", "{'l':{'L':[{'N':'0'}]}}", "{'l':{'L':[]}}", "{'l':{'L':[{'N':'0'}]}}", "{}"},
    {"REMOVE l[1] SET l[4] = :s", "{'l':{'L':[{'N':'0'},{'N':'1'}]}}", "{'l':{'L':[{'N':'0'},{'S':'new'}]}}",
     "{'l':{'L':[{'N':'1'}]}}", "{'l':{'L':[{'S':'new'}]}}"},
    {"REMOVE l[0]", "{'l':{'L':[{'N':'0'},{'N':'1'}]}}", "{'l':{'L':[{'N':'1'}]}}", "{'l':{'L':[{'N':'0'}]}}",
     "{'l':{'L':[{'N':'1'}]}}"},
    /* REMOVE */
    {"REMOVE a", "{'a':{'N':'1'},'b':{'N':'2'}}", "{'b':{'N':'2'}}", "{'a':{'N':'1'}}", "{}"},
    {"REMOVE c, a", "{'a':{'N':'1'},'b':{'N':'2'}}", "{'b':{'N':'2'}}", "{'a':{'N':'1'}}", "{}"},
    {"REMOVE m.a", "{'m':{'M':{'a':{'N':'1'}}}}", "{'m':{'M':{}}}", "{'m':{'M':{'a':{'N':'1'}}}}", "{}"},
    {"REMOVE m.b", "{'m':{'M':{'a':{'N':'1'}}}}", "{'m':{'M':{'a':{'N':'1'}}}}", "{}", "{}"},
    /* ADD */
    {"ADD a :n", "{'a':{'N':'1'}}", "{'a':{'N':'6'}}", "{'a':{'N':'1'}}", "{'a':{'N':'6'}}"},
    {"ADD a :n", NULL, "{'a':{'N':'5'},'pk':{'S':'k'}}", "{}", "{'a':{'N':'5'}}"},
    {"ADD a :neg", "{'a':{'N':'5'}}", "{'a':{'N':'0'}}", "{'a':{'N':'5'}}", "{'a':{'N':'0'}}"},
    {"ADD a :ss", "{'a':{'SS':['b','c']}}", "{'a':{'SS':['a','b','c']}}", "{'a':{'SS':['b','c']}}",
     "{'a':{'SS':['a','b','c']}}"},
    {"ADD a :ss, m.x :n", "{'m':{'M':{'x':{'N':'1'}}}}", "{'a':{'SS':['a','c']},'m':{'M':{'x':{'N':'6'}}}}",
     "{'m':{'M':{'x':{'N':'1'}}}}", "{'a':{'SS':['a','c']},'m':{'M':{'x':{'N':'6'}}}}"},
    /* DELETE */
    {"DELETE a :ss", "{'a':{'SS':['a','b','c']}}", "{'a':{'SS':['b']}}", "{'a':{'SS':['a','b','c']}}",
     "{'a':{'SS':['b']}}"},
    {"DELETE a :ss", "{'a':{'SS':['a']},'b':{'N':'1'}}", "{'b':{'N':'1'}}", "{'a':{'SS':['a']}}", "{}"},
    {"DELETE a :ss", "{'b':{'N':'1'}}", "{'b':{'N':'1'}}", "{}", "{}"},
    {"DELETE a :sb", "{'a':{'SS':['a']}}", "{'a':{'SS':['a']}}", "{'a':{'SS':['a']}}", "{'a':{'SS':['a']}}"},
    /* all together */
    {"SET m.k = :s REMOVE r ADD c :n DELETE t :sb", "{'c':{'N':'1'},'m':{'M':{}},'r':{'N':'0'},'t':{'SS':['a','b']}}",
     "{'c':{'N':'6'},'m':{'M':{'k':{'S':'new'}}},'t':{'SS':['a']}}",
     "{'c':{'N':'1'},'r':{'N':'0'},'t':{'SS':['a','b']}}",
     "{'c':{'N':'6'},'m':{'M':{'k':{'S':'new'}}},'t':{'SS':['a']}}"},
};

static void
updates_change_what_they_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct fixture f;
		struct expr_updated updated;
		struct av key, old;
		struct expr *e;

		fixture_init(&f, "#k=k", VALUES);
		key = fixture_item(&f, "{'pk':{'S':'k'}}");
		old = fixture_item(&f, cases[i].old);
		e = fixture_bind(&f, EXPR_UPDATE, cases[i].text);
		if (expr_update(e, key, old, &f.arena, &updated, &f.err) != S_OK)
			fail_msg("%s: %s", cases[i].text, f.err.message);
		fixture_expect_json(&f, cases[i].text, updated.new_item, cases[i].item);
		fixture_expect_json(&f, cases[i].text, updated.updated_old, cases[i].updated_old);
		fixture_expect_json(&f, cases[i].text, updated.updated_new, cases[i].updated_new);
		fixture_done(&f);
	}
}

static const struct {
	const char *text;
	const char *message;
} refusals[] = {
    {"SET b.x = :s", INVALID_PATH},
    {"SET b[1] = :s", INVALID_PATH},
    {"SET y.x = :s", INVALID_PATH},
    {"SET y[1] = :s", INVALID_PATH},
    {"SET m[1] = :s", INVALID_PATH},
    {"SET l.x = :s", INVALID_PATH},
    {"REMOVE b.x", INVALID_PATH},
    {"REMOVE b[1]", INVALID_PATH},
    {"REMOVE y.x", INVALID_PATH},
    {"REMOVE l.x", INVALID_PATH},
    {"DELETE b.x :ss", INVALID_PATH},
    {"DELETE y[1] :ss", INVALID_PATH},
    {"ADD y.x :n", INVALID_PATH},
    {"ADD m[1] :n", INVALID_PATH},
    {"ADD l.x :n", INVALID_PATH},
    {"SET m.x.y = :s", INVALID_PATH},
    {"SET l[7].x = :s", INVALID_PATH},
    {"SET c = y", NO_ATTRIBUTE},
    {"SET c = list_append(b, y)", NO_ATTRIBUTE},
    {"SET c = y + :n", NO_ATTRIBUTE},
    {"SET c = if_not_exists(y, x)", NO_ATTRIBUTE},
    {"SET y.x = y", NO_ATTRIBUTE},
    {"SET c = b + :n", WRONG_TYPE},
    {"SET c = m - :n", WRONG_TYPE},
    {"SET c = list_append(b, :l)", WRONG_TYPE},
    {"SET c = list_append(l, b)", WRONG_TYPE},
    {"ADD b :n", WRONG_TYPE},
    {"ADD n :ss", WRONG_TYPE},
    {"ADD t :n", WRONG_TYPE},
    {"ADD t :ns", WRONG_TYPE},
    {"DELETE t :ns", WRONG_TYPE},
    {"DELETE b :ss", WRONG_TYPE},
    {"DELETE m :ss", WRONG_TYPE},
    {"SET n = :big + :big", "Number overflow. Attempting to store a number with magnitude larger than supported range"},
    {"ADD big :big", "Number overflow. Attempting to store a number with magnitude larger than supported range"},
};

static void
impossible_updates_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		struct fixture f;
		struct expr_updated updated;
		struct av old;
		struct expr *e;

		fixture_init(&f, NULL, VALUES);
		old =
		    fixture_item(&f, "{'b':{'S':'text'},'big':{'N':'9.9999999999999999999999999999999999999E+125'},"
				     "'l':{'L':[{'N':'1'}]},'m':{'M':{'k':{'S':'v'}}},'n':{'N':'1'},'t':{'SS':['a']}}");
		e = fixture_bind(&f, EXPR_UPDATE, refusals[i].text);
		if (expr_update(e, AV_NONE, old, &f.arena, &updated, &f.err) != S_VALIDATION)
			fail_msg("%s must be refused", refusals[i].text);
		if (strcmp(f.err.message, refusals[i].message) != 0)
			fail_msg("%s\n  is     %s\n  wanted %s", refusals[i].text, f.err.message, refusals[i].message);
		fixture_done(&f);
	}
}

/* A short text must not make gigabytes. */
static void
doubling_lists_end_at_the_item_size(void **state)
{
	struct fixture f;
	struct expr_updated updated;
	struct buf list = {0}, text = {0};
	struct expr_value value = {.placeholder = SLICE(":l")};
	struct expr *e;
	size_t mark;

	(void)state;
	fixture_init(&f, NULL, NULL);
	mark = av_open(&list, TAG_L);
	for (int i = 0; i < 1000; i++)
		av_put_string(&list, SLICE("0123456789012345678901234567890123456789012345678901234567890123456789"));
	av_close_list(&list, mark, 1000);
	value.value = av_of_buf(&f.arena, &list, 0);
	f.params.values = &value;
	f.params.value_count = 1;
	buf_put_lit(&text, "SET a0 = :l");
	for (int i = 1; i < 30; i++)
		buf_printf(&text, ", a%d = list_append(:l, list_append(:l, :l))", i);
	buf_put_byte(&text, '\0');
	e = fixture_bind(&f, EXPR_UPDATE, text.data);
	assert_int_equal(expr_update(e, AV_NONE, fixture_item(&f, "{}"), &f.arena, &updated, &f.err), S_VALIDATION);
	assert_string_equal(f.err.message, "Item size to update has exceeded the maximum allowed size");
	assert_true(f.arena.used_bytes < 16u * 1024 * 1024);
	buf_done(&list);
	buf_done(&text);
	fixture_done(&f);
}

static void
values_nest_no_deeper_than_32_levels(void **state)
{
	for (int wraps = 30; wraps <= 31; wraps++) {
		struct fixture f;
		struct expr_updated updated;
		struct buf json = {0};
		struct expr *e;

		(void)state;
		buf_put_lit(&json, "{':v':");
		for (int i = 0; i < wraps; i++)
			buf_put_lit(&json, "{'M':{'n':");
		buf_put_lit(&json, "{'S':'leaf'}");
		for (int i = 0; i < wraps; i++)
			buf_put_lit(&json, "}}");
		buf_put(&json, "}", 2);
		fixture_init(&f, NULL, json.data);
		e = fixture_bind(&f, EXPR_UPDATE, "SET m.x = :v");
		assert_int_equal(
		    expr_update(e, AV_NONE, fixture_item(&f, "{'m':{'M':{}}}"), &f.arena, &updated, &f.err),
		    wraps == 30 ? S_OK : S_VALIDATION);
		buf_done(&json);
		fixture_done(&f);
	}
}

static void
key_attributes_are_not_updated(void **state)
{
	static const struct key_schema schema = {
	    1,
	    1,
	    {{{"pk", 2}, AV_S}},
	    {{{"sk", 2}, AV_N}},
	};
	static const struct {
		const char *text;
		const char *attr;
	} touching[] = {
	    {"SET pk = :s", "pk"},          {"REMOVE sk", "sk"}, {"ADD a :n, sk :n", "sk"}, {"SET pk.x = :s", "pk"},
	    {"SET sk = :n, pk = :s", "pk"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof touching / sizeof touching[0]; i++) {
		struct fixture f;
		char expected[200];

		fixture_init(&f, NULL, VALUES);
		snprintf(expected, sizeof expected,
			 "One or more parameter values were invalid: Cannot update attribute %s. This attribute is "
			 "part of the key",
			 touching[i].attr);
		assert_int_equal(
		    expr_update_check_keys(fixture_bind(&f, EXPR_UPDATE, touching[i].text), &schema, &f.err),
		    S_VALIDATION);
		assert_string_equal(f.err.message, expected);
		assert_int_equal(
		    expr_update_check_keys(fixture_bind(&f, EXPR_UPDATE, "SET a = pk, sk2 = :n"), &schema, &f.err),
		    S_OK);
		fixture_done(&f);
	}
}

static void
types_of_updates_are_known_early(void **state)
{
	struct fixture f;
	struct expr *e;
	enum av_type type;

	(void)state;
	fixture_init(&f, NULL, VALUES);
	e = fixture_bind(&f, EXPR_UPDATE, "SET a = :s, b = c + :n, d = x, m.k = :s REMOVE r ADD t :ss");
	assert_true(expr_update_type(e, SLICE("a"), &type) && type == AV_S);
	assert_true(expr_update_type(e, SLICE("b"), &type) && type == AV_N);
	assert_true(expr_update_type(e, SLICE("t"), &type) && type == AV_SS);
	assert_false(expr_update_type(e, SLICE("d"), &type));
	assert_false(expr_update_type(e, SLICE("m"), &type));
	assert_false(expr_update_type(e, SLICE("r"), &type));
	assert_false(expr_update_type(e, SLICE("x"), &type));
	fixture_done(&f);
}

static void
updates_can_be_made_by_code(void **state)
{
	struct fixture f;
	struct expr_builder *b;
	struct expr_updated updated;
	uint32_t operands[2], actions[2];

	(void)state;
	fixture_init(&f, NULL, "{':l':{'L':[{'S':'x'}]}}");
	b = expr_build_new(EXPR_UPDATE, &f.arena);
	operands[0] = expr_build_attr(b, SLICE("z"));
	operands[1] = expr_build_value(b, f.params.values[0].value);
	actions[0] = expr_build_node(b, EXPR_ADD, operands, 2);
	operands[0] = expr_build_attr(b, SLICE("a"));
	actions[1] = expr_build_node(b, EXPR_REMOVE, operands, 1);
	assert_int_equal(expr_update(expr_build_done(b, expr_build_node(b, EXPR_LIST, actions, 2)), AV_NONE,
				     fixture_item(&f, "{'a':{'N':'1'},'z':{'L':[]}}"), &f.arena, &updated, &f.err),
			 S_OK);
	fixture_expect_json(&f, "built", updated.new_item, "{'z':{'L':[{'S':'x'}]}}");
	fixture_done(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(updates_change_what_they_name),
	    cmocka_unit_test(impossible_updates_are_refused),
	    cmocka_unit_test(doubling_lists_end_at_the_item_size),
	    cmocka_unit_test(values_nest_no_deeper_than_32_levels),
	    cmocka_unit_test(key_attributes_are_not_updated),
	    cmocka_unit_test(types_of_updates_are_known_early),
	    cmocka_unit_test(updates_can_be_made_by_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
