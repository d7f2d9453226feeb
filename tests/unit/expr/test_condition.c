#include "expr_fixture.h"

#define ITEM                                                                                                           \
	"{'s':{'S':'hello'},'n':{'N':'5'},'b':{'B':'AQID'},'t':{'BOOL':true},'z':{'NULL':true},"                       \
	"'ss':{'SS':['x','y']},'ns':{'NS':['1','2.50']},'bs':{'BS':['AQ==']},'e':{'S':''},"                            \
	"'l':{'L':[{'S':'first'},{'N':'2'},{'M':{'k':{'S':'deep'}}}]},"                                                \
	"'m':{'M':{'k':{'S':'v'},'o':{'M':{'p':{'N':'7'}}}}},'s2':{'S':'hello'},'u':{'S':'\\u00e9\\ud834\\udd1e'},"    \
	"'w':{'S':'0123456789abcdefghij0123456789\\u00e9\\ud834\\udd1e0123456789abcdefghij'}}"

#define VALUES                                                                                                         \
	"{':hello':{'S':'hello'},':h':{'S':'h'},':ell':{'S':'ell'},':i':{'S':'i'},':5':{'N':'5'},':50':{'N':'5.0'},"   \
	"':6':{'N':'6'},':1':{'N':'1'},':2':{'N':'2'},':25':{'N':'2.5'},':3':{'N':'3'},':7':{'N':'7'},':x':{'S':'x'}," \
	"':v':{'S':'v'},':deep':{'S':'deep'},':first':{'S':'first'},':true':{'BOOL':true},':null':{'NULL':true},"      \
	"':aq':{'B':'AQ=='},':ag':{'B':'Ag=='},':map':{'M':{'k':{'S':'deep'}}},':S':{'S':'S'},':M':{'S':'M'},"         \
	"':yx':{'SS':['y','x']},':empty':{'S':''},':12':{'NS':['2.5','1']},':L':{'S':'L'},':53':{'N':'53'}}"

static const struct {
	const char *text;
	bool holds;
} cases[] = {
    /* equality */
    {"s = :hello", true},
    {"s = :h", false},
    {"n = :50", true},
    {"n = :hello", false},
    {"t = :true", true},
    {"z = :null", true},
    {"ss = :yx", true},
    {"ns = :12", true},
    {"s = s2", true},
    {"s = n", false},
    {"absent = :h", false},
    {"absent = absent2", false},
    {":5 = n", true},
    {":5 = :50", true},
    /* inequality holds for other types and absent attributes */
    {"s <> :hello", false},
    {"s <> :h", true},
    {"s <> :5", true},
    {"absent <> :h", true},
    /* order: only among strings, numbers, binaries, each with its like */
    {"n < :6", true},
    {"n < :5", false},
    {"n <= :5", true},
    {"n > :1", true},
    {"n >= :6", false},
    {"s > :h", true},
    {"s < :i", true},
    {"s < :5", false},
    {"s > :5", false},
    {"b > :aq", true},
    {"b < :ag", true},
    {"t < :5", false},
    {"absent < :5", false},
    {"absent > :5", false},
    {"ss > :5", false},
    {"n BETWEEN :1 AND :6", true},
    {"n between :6 and :7", false},
    {"s BETWEEN :h AND :i", true},
    {"s BETWEEN :1 AND :6", false},
    {"absent BETWEEN :1 AND :6", false},
    {":5 BETWEEN n AND n", true},
    {"n IN (:1, :50)", true},
    {"n IN (:1)", false},
    {"s IN (:5, :hello)", true},
    {"absent IN (:5, :hello)", false},
    /* logic and precedence: NOT, AND, OR */
    {"NOT s = :h", true},
    {"NOT NOT s = :hello", true},
    {"n = :1 OR n = :5 AND s = :hello", true},
    {"(n = :5 OR n = :1) AND s = :h", false},
    {"n = :5 OR n = :1 AND s = :h", true},
    {"NOT n = :1 AND s = :h", false},
    {"NOT (n = :1 AND s = :h)", true},
    {"n = :5 and s = :hello or n = :6", true},
    {"n = :1 OR n = :2 OR n = :5 OR n = :6", true},
    {"n > :1 AND n > :2 AND n > :3 AND n > :5", false},
    /* paths */
    {"m.k = :v", true},
    {"m.o.p = :7", true},
    {"l[0] = :first", true},
    {"l[2].k = :deep", true},
    {"l[3] = :first", false},
    {"l[0].k = :v", false},
    {"m[0] = :v", false},
    {"l.k = :v", false},
    {"#m.#k = :v", true},
    {"#m.o.#p = :7", true},
    {"(m.o).p = :7", true},
    {"((m.k) = :v)", true},
    {"s.k = :v", false},
    {"(l)[0] = :first", true},
    /* functions */
    {"attribute_exists(s)", true},
    {"attribute_exists(absent)", false},
    {"attribute_not_exists(absent)", true},
    {"attribute_not_exists(m.k)", false},
    {"attribute_exists(l[2].k)", true},
    {"attribute_not_exists(l[9])", true},
    {"attribute_type(s, :S)", true},
    {"attribute_type(m, :M)", true},
    {"attribute_type(m, :S)", false},
    {"attribute_type(absent, :S)", false},
    {"attribute_type(l, :L)", true},
    {"begins_with(s, :h)", true},
    {"begins_with(s, :ell)", false},
    {"begins_with(b, :aq)", true},
    {"begins_with(b, :h)", false},
    {"begins_with(n, :h)", false},
    {"begins_with(s, :empty)", true},
    {"begins_with(s, s3)", false},
    {"contains(s, :ell)", true},
    {"contains(s, :x)", false},
    {"contains(ss, :x)", true},
    {"contains(ss, :v)", false},
    {"contains(ns, :25)", true},
    {"contains(ns, :3)", false},
    {"contains(bs, :aq)", true},
    {"contains(b, :ag)", true},
    {"contains(l, :first)", true},
    {"contains(l, :map)", true},
    {"contains(l, :deep)", false},
    {"contains(n, :5)", false},
    {"contains(ss, :1)", false},
    {"contains(e, :empty)", true},
    {"contains(absent, :x)", false},
    {"contains(s, m.k)", false},
    {"size(s) = :5", true},
    {"size(u) = :3", true}, /* UTF-16 units */
    {"size(w) = :53", true},
    {"size(b) = :3", true},
    {"size(ss) = :2", true},
    {"size(l) = :3", true},
    {"size(m) = :2", true},
    {"size(n) = :1", false},
    {"size(t) <> :1", true},
    {"size(absent) = :1", false},
    {"size(e) < :1", true},
    {"size(s) BETWEEN :5 AND :6", true},
    {"size(s) IN (:1, :5)", true},
    {":5 = size(s)", true},
    {"size(s) = size(s2)", true},
    {"n IN (size(l), size(s))", true},
    {"size(u) = :3", true},
    {"n BETWEEN size(l) AND size(s)", true},
};

static void
conditions_hold_as_in_dynamodb(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct fixture f;
		struct expr *e;

		fixture_init(&f, "#m=m #k=k #p=p", VALUES);
		e = fixture_bind(&f, EXPR_CONDITION, cases[i].text);
		if (expr_test(e, fixture_item(&f, ITEM)) != cases[i].holds)
			fail_msg("%s must be %s", cases[i].text, cases[i].holds ? "true" : "false");
		fixture_done(&f);
	}
}

static void
without_an_item_nothing_exists(void **state)
{
	static const struct {
		const char *text;
		bool holds;
	} none[] = {
	    {"attribute_not_exists(a)", true}, {"attribute_exists(a)", false}, {"a = :v", false},    {"a <> :v", true},
	    {"size(a) = :v", false},           {"contains(a, :v)", false},     {"NOT a = :v", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
		struct fixture f;

		fixture_init(&f, NULL, "{':v':{'N':'1'}}");
		if (expr_test(fixture_bind(&f, EXPR_CONDITION, none[i].text), AV_NONE) != none[i].holds)
			fail_msg("%s must be %s", none[i].text, none[i].holds ? "true" : "false");
		fixture_done(&f);
	}
}

static void
a_filter_knows_its_attributes(void **state)
{
	struct fixture f;
	struct expr *e;

	(void)state;
	fixture_init(&f, "#x=y", "{':v':{'N':'1'}}");
	e = fixture_bind(&f, EXPR_FILTER, "a.b = :v AND (size(#x) > :v OR NOT contains(c, :v))");
	assert_true(expr_uses_attr(e, SLICE("a")));
	assert_true(expr_uses_attr(e, SLICE("y")));
	assert_true(expr_uses_attr(e, SLICE("c")));
	assert_false(expr_uses_attr(e, SLICE("b")));
	assert_true(expr_uses_nested(e, SLICE("a")));
	assert_false(expr_uses_nested(e, SLICE("c")));
	fixture_done(&f);
}

static void
conditions_can_be_made_by_code(void **state)
{
	struct fixture f;
	struct expr_builder *b;
	struct expr *e;
	uint32_t compare[2], both[2];

	(void)state;
	fixture_init(&f, NULL, "{':v':{'S':'hello'}}");
	b = expr_build_new(EXPR_CONDITION, &f.arena);
	compare[0] = expr_build_attr(b, SLICE("s"));
	compare[1] = expr_build_value(b, f.params.values[0].value);
	both[0] = expr_build_node(b, EXPR_EQ, compare, 2);
	compare[0] = expr_build_attr(b, SLICE("a.b"));
	both[1] = expr_build_node(b, EXPR_ATTRIBUTE_NOT_EXISTS, compare, 1);
	e = expr_build_done(b, expr_build_node(b, EXPR_AND, both, 2));
	assert_true(expr_test(e, fixture_item(&f, "{'s':{'S':'hello'}}")));
	assert_false(expr_test(e, fixture_item(&f, "{'s':{'S':'hello'},'a.b':{'S':''}}")));
	fixture_done(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(conditions_hold_as_in_dynamodb),
	    cmocka_unit_test(without_an_item_nothing_exists),
	    cmocka_unit_test(a_filter_knows_its_attributes),
	    cmocka_unit_test(conditions_can_be_made_by_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
