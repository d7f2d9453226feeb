/* What is wrong with an expression, in DynamoDB's words and its order. */
#include "expr_fixture.h"

#define C EXPR_CONDITION
#define F EXPR_FILTER
#define K EXPR_KEY_CONDITION
#define P EXPR_PROJECTION
#define U EXPR_UPDATE

#define NAMES "#a=a #b=b #c=c #d=[3]"
#define VALUES                                                                                                         \
	"{':s':{'S':'a'},':s2':{'S':'b'},':n':{'N':'1'},':b':{'B':'YQ=='},':t':{'BOOL':true},':z':{'NULL':true},"      \
	"':ss':{'SS':['a']},':ns':{'NS':['1']},':bs':{'BS':['YQ==']},':m':{'M':{}},':l':{'L':[]},':S':{'S':'S'}}"

struct wording {
	enum expr_kind kind;
	const char *text;
	const char *message; /* behind "Invalid ...Expression: " */
};

static void
check_wording(const struct wording *w, size_t count)
{
	static const char *const kinds[] = {"Condition", "Filter", "KeyCondition", "Projection", "Update"};

	for (size_t i = 0; i < count; i++) {
		struct fixture f;
		struct expr *e;
		char expected[1000];

		fixture_init(&f, NAMES, VALUES);
		snprintf(expected, sizeof expected, "Invalid %sExpression: %s", kinds[w[i].kind], w[i].message);
		if (expr_bind(w[i].kind, slice_str(w[i].text), &f.params, &f.arena, &e, &f.err) != S_VALIDATION)
			fail_msg("%s must be refused: %s", w[i].text, expected);
		if (strcmp(f.err.message, expected) != 0)
			fail_msg("%s\n  is     %s\n  wanted %s", w[i].text, f.err.message, expected);
		fixture_done(&f);
	}
}

#define CHECK(table) check_wording(table, sizeof(table) / sizeof(table)[0])

static void
syntax_errors_show_the_token_and_its_neighbours(void **state)
{
	static const struct wording w[] = {
	    {C, "", "The expression can not be empty;"},
	    {U, "", "The expression can not be empty;"},
	    {P, " \t\n", "The expression can not be empty;"},
	    {U, "INVALID SYNTAX HERE", "Syntax error; token: \"INVALID\", near: \"INVALID SYNTAX\""},
	    {P, "!!! INVALID !!!", "Syntax error; token: \"!\", near: \"!!\""},
	    {C, "attribute_not_exists(", "Syntax error; token: \"<EOF>\", near: \"(\""},
	    {C, "a = = b", "Syntax error; token: \"=\", near: \"= = b\""},
	    {F, "(#a)", "Syntax error; token: \"<EOF>\", near: \")\""},
	    {C, "foo", "Syntax error; token: \"<EOF>\", near: \"foo\""},
	    {K, "a = :s AND __b = :s", "Syntax error; token: \"_\", near: \"AND __\""},
	    {U, "ADD hits : incr", "Syntax error; token: \":\", near: \"hits : incr\""},
	    {U, "SET a = b,", "Syntax error; token: \"<EOF>\", near: \",\""},
	    {U, "set {0} = :s", "Syntax error; token: \"{\", near: \"set {0\""},
	    {C, "things are not gonna be ok", "Syntax error; token: \"are\", near: \"things are not\""},
	    {C, "a > 4", "Syntax error; token: \"4\", near: \"> 4\""},
	    {C, "\xc3\xbc > a", "Syntax error; token: \"\xc3\xbc\", near: \"\xc3\xbc >\""},
	    {U, "SET a", "Syntax error; token: \"<EOF>\", near: \"a\""},
	    {U, "SET", "Syntax error; token: \"<EOF>\", near: \"SET\""},
	    {U, "SET a = b + c + d", "Syntax error; token: \"+\", near: \"c + d\""},
	    {P, "a,,b", "Syntax error; token: \",\", near: \",,b\""},
	};

	(void)state;
	CHECK(w);
}

static void
malformed_texts_are_syntax_errors(void **state)
{
	static const struct {
		enum expr_kind kind;
		const char *text;
	} texts[] = {
	    {C, "attribute_exists(Pictures-RearView)"},
	    {C, "attribute_exists(\"Pictures.RearView\")"},
	    {C, "attribute_exists(Pictures..RearView)"},
	    {C, "attribute_exists(Pi#ctures.RearView)"},
	    {C, "attribute_exists(asdf[a])"},
	    {C, "a in b, c"},
	    {C, "a > between"},
	    {C, "a in b"},
	    {C, "a in (b,c,)"},
	    {C, "a in ()"},
	    {C, "(a)between(b.(c.d))and(c)"},
	    {C, "(a)between(b.c.d)and((c)"},
	    {C, "#$.b > a"},
	    {C, "a > :things.stuff"},
	    {C, "b[:a] > a"},
	    {C, "b[#_] > a"},
	    {C, "(a)between(b.c[4.5].#d)and(:a)"},
	    {C, "size(a).b > a"},
	    {C, "(size(a)).b > a"},
	    {C, "size(a)[0] > a"},
	    {C, "(size(a))[0] > a"},
	    {C, "a"},
	    {C, "NOT a"},
	    {C, "a = b c"},
	    {C, "a = b AND"},
	    {C, "a = b AND c"},
	    {C, "a AND b = c"},
	    {C, "(a AND b)"},
	    {C, "(a = b) = c"},
	    {C, "a = (b = c)"},
	    {C, "a = b = c"},
	    {C, "(a = b"},
	    {C, "a = b)"},
	    {C, ":s"},
	    {C, ")"},
	    {C, "()"},
	    {C, "a between b"},
	    {C, "a between b or c"},
	    {C, "a.:s = b"},
	    {C, "a[0 = b"},
	    {C, "a. = b"},
	    {C, "contains()"},
	    {C, "contains(a b)"},
	    {C, "a in"},
	    {C, "a == b"},
	    {C, "a => b"},
	    {C, "a != b"},
	    {C, "a in (b) c"},
	    {C, "-a = b"},
	    {C, "a = _b"},
	    {U, "whatever"},
	    {U, "set a"},
	    {U, "add a"},
	    {U, "delete a"},
	    {U, "set a=set"},
	    {U, "remove a = b"},
	    {U, "add a = b"},
	    {U, "delete a = b"},
	    {U, "delete a b"},
	    {U, "delete a if_not_exist(b)"},
	    {U, "add abort b"},
	    {U, "add a if_not_exist(b)"},
	    {U, "remove a b"},
	    {U, "set a b"},
	    {U, "set :a = b"},
	    {U, "add :a b"},
	    {U, "delete :a b"},
	    {U, "remove :a"},
	    {U, "set a = b / c"},
	    {U, "set a = b * c"},
	    {U, "set a[1] = \"eight\""},
	    {U, "set a[1] = 1"},
	    {U, "SET a = if_not_exist(a, 100)"},
	    {U, "SET if_not_exist(a, b) = a"},
	    {U, "set (a = (b + c))"},
	    {U, "set a = (b.c).d + e"},
	    {U, "set a = (b.c)[0] + e"},
	    {U, "set a = b + c + d"},
	    {U, "set a = (b + c) + d"},
	    {U, "set a = b + (c + d)"},
	    {U, "set a = list_append(b + c, d)"},
	    {U, "set a = b, remove c"},
	    {U, "set a = "},
	    {U, "remove"},
	    {U, "set a = b remove"},
	    {U, "a = b"},
	    {P, "whatever(stuff)"},
	    {P, ":a"},
	    {P, "abort,"},
	    {P, "a,,b"},
	    {P, "a..b"},
	    {P, "a[b]"},
	    {P, "(a.b).c"},
	    {P, "(a)"},
	    {P, "(a),(b)"},
	    {P, "(a,b)"},
	    {P, "a-b"},
	    {P, "a b"},
	    {P, "a[-1]"},
	    {P, "a[]"},
	    {P, "1a"},
	    {P, "_a"},
	    {P, "a = b"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct fixture f;
		struct expr *e;

		fixture_init(&f, NAMES, VALUES);
		if (expr_bind(texts[i].kind, slice_str(texts[i].text), &f.params, &f.arena, &e, &f.err) != S_VALIDATION)
			fail_msg("%s must be refused", texts[i].text);
		if (strstr(f.err.message, "Expression: Syntax error; token: \"") == NULL)
			fail_msg("%s: %s", texts[i].text, f.err.message);
		fixture_done(&f);
	}
}

static void
a_texts_mistakes_come_in_dynamodbs_order(void **state)
{
	static const struct wording w[] = {
	    {F, "a=a and a > ((views))", "The expression has redundant parentheses;"},
	    {F, "(a)between(((b.c)).d)and(c)", "The expression has redundant parentheses;"},
	    {F, "a > whatever((:things), ((a)))", "The expression has redundant parentheses;"},
	    {F, "a=a AND ((a=a AND a=a)) AND a=a", "The expression has redundant parentheses;"},
	    {F, "a=a OR ((a=a OR (a=a OR a=a)))", "The expression has redundant parentheses;"},
	    {C, "((a = :s))", "The expression has redundant parentheses;"},
	    {U, "SET a = ((b + c))", "The expression has redundant parentheses;"},
	    {F, "a=a and whatever((:things)) > a", "Invalid function name; function: whatever"},
	    {F, "attRIbute_exIsts((views), #a)", "Invalid function name; function: attRIbute_exIsts"},
	    {U, "set #c = if_not_exist(:c) set c = d", "Invalid function name; function: if_not_exist"},
	    {C, "a = if_not_exists(a, :s)",
	     "The function is not allowed in a condition expression; function: if_not_exists"},
	    {U, "SET a = size(b)", "The function is not allowed in an update expression; function: size"},
	    {F, "a=a and attribute_exists((views), (#a)) > b",
	     "The function is not allowed to be used this way in an expression; function: attribute_exists"},
	    {F, "size(contains(a, b)) > a",
	     "The function is not allowed to be used this way in an expression; function: contains"},
	    {F, "size(things)", "The function is not allowed to be used this way in an expression; function: size"},
	    {F, "(size(things))", "The function is not allowed to be used this way in an expression; function: size"},
	    {F, "NOT size(things)", "The function is not allowed to be used this way in an expression; function: size"},
	    {F, "a between b and attribute_exists(things)",
	     "The function is not allowed to be used this way in an expression; function: attribute_exists"},
	    {F, "a in (b, attribute_exists(things))",
	     "The function is not allowed to be used this way in an expression; function: attribute_exists"},
	    {F, "attribute_exists(views, #a)", "Attribute name is a reserved keyword; reserved keyword: views"},
	    {F, ":a < abOrT", "Attribute name is a reserved keyword; reserved keyword: abOrT"},
	    {F, "x.status = :s", "Attribute name is a reserved keyword; reserved keyword: status"},
	    {U, " set #c = :c set abOrt = true ", "Attribute name is a reserved keyword; reserved keyword: abOrt"},
	    {U, " remove Absolute ", "Attribute name is a reserved keyword; reserved keyword: Absolute"},
	    {P, "#a,ABSoLUTE", "Attribute name is a reserved keyword; reserved keyword: ABSoLUTE"},
	    {P, "set", "Attribute name is a reserved keyword; reserved keyword: set"},
	    {U, "set a = #c set c = :d", "The \"SET\" section can only be used once in an update expression;"},
	    {U, "remove #d set a = b remove e",
	     "The \"REMOVE\" section can only be used once in an update expression;"},
	    {U, "add #d :e set a = b add e :f", "The \"ADD\" section can only be used once in an update expression;"},
	    {U, "delete #d :e set a = b delete #e :f",
	     "The \"DELETE\" section can only be used once in an update expression;"},
	    {P, "a[2147483648]", "List index is not within the allowable range; index: [2147483648]"},
	    {C, "a[99999999999999999999999] = :s",
	     "List index is not within the allowable range; index: [99999999999999999999999]"},
	};

	(void)state;
	CHECK(w);
}

static void
conditions_are_checked_one_by_one(void **state)
{
	static const struct wording w[] = {
	    {F, "attribute_exists(#Pictures.RearView, :a) and a=a",
	     "An expression attribute name used in the document path is not defined; attribute name: #Pictures"},
	    {F, "begins_with(Pictures.#RearView)",
	     "An expression attribute name used in the document path is not defined; attribute name: #RearView"},
	    {F, "(#P between :lo and :hi) and (#PC in (:cat1, :cat2))",
	     "An expression attribute name used in the document path is not defined; attribute name: #P"},
	    {F, "#4g > a",
	     "An expression attribute name used in the document path is not defined; attribute name: #4g"},
	    {F, "#_ > a", "An expression attribute name used in the document path is not defined; attribute name: #_"},
	    {F, "begins_with(:hello, #x, #y)",
	     "An expression attribute value used in expression is not defined; attribute value: :hello"},
	    {F, ":x < :y", "An expression attribute value used in expression is not defined; attribute value: :x"},
	    {C, "a = :s AND b = :missing AND c = :gone",
	     "An expression attribute value used in expression is not defined; attribute value: :missing"},
	    {C, "begins_with(a, :n) AND b = :missing",
	     "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N"},
	    {C, "b = :missing AND begins_with(a, :n)",
	     "An expression attribute value used in expression is not defined; attribute value: :missing"},
	    {F, "attribute_exists(things, a) and a=a",
	     "Incorrect number of operands for operator or function; operator or function: attribute_exists, number of "
	     "operands: 2"},
	    {F, "begins_with(things, size(a), b)",
	     "Incorrect number of operands for operator or function; operator or function: begins_with, number of "
	     "operands: 3"},
	    {F, "size(things, a) > b",
	     "Incorrect number of operands for operator or function; operator or function: size, number of operands: "
	     "2"},
	    {F, "attribute_type(a, b)",
	     "Incorrect operand type for operator or function; operator or function: attribute_type, operand type: "
	     "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}"},
	    {F, "attribute_type(a, size(a)) and a=a and a=:s",
	     "Incorrect operand type for operator or function; operator or function: attribute_type, operand type: N"},
	    {F, "attribute_type(a, :ss)",
	     "Incorrect operand type for operator or function; operator or function: attribute_type, operand type: SS"},
	    {F, "attribute_type(a, :s)",
	     "Invalid attribute type name found; type: a, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}"},
	    {F, "begins_with(a, size(a)) and a=:s",
	     "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N"},
	    {F, "begins_with(:m, a)",
	     "Incorrect operand type for operator or function; operator or function: begins_with, operand type: M"},
	    {F, "size(size(a)) > :n",
	     "Incorrect operand type for operator or function; operator or function: size, operand type: N"},
	    {F, "attribute_not_exists(size(:n))",
	     "Incorrect operand type for operator or function; operator or function: size, operand type: N"},
	    {F, "size(:t) > a",
	     "Incorrect operand type for operator or function; operator or function: size, operand type: BOOL"},
	    {C, "a < :t",
	     "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL"},
	    {C, ":l >= a",
	     "Incorrect operand type for operator or function; operator or function: >=, operand type: L"},
	    {C, "a BETWEEN :z AND :n",
	     "Incorrect operand type for operator or function; operator or function: BETWEEN, operand type: NULL"},
	    {F, "attribute_exists(:s) and a=a",
	     "Operator or function requires a document path; operator or function: attribute_exists"},
	    {F, "attribute_not_exists(size(:s))",
	     "Operator or function requires a document path; operator or function: attribute_not_exists"},
	    {F, "a = a AND #a = b AND :views > a",
	     "The first operand must be distinct from the remaining operands for this operator or function; operator: "
	     "=, "
	     "first operand: [a]"},
	    {F, "((a=a) OR (a=a))",
	     "The first operand must be distinct from the remaining operands for this operator or function; operator: "
	     "=, "
	     "first operand: [a]"},
	    {F, "contains(ab.bc[1].a, ab.bc[1].#a)",
	     "The first operand must be distinct from the remaining operands for this operator or function; operator: "
	     "contains, first operand: [ab, bc, [1], a]"},
	    {F, "attribute_type(ab.bc[1].#a, ab.bc[1].a)",
	     "The first operand must be distinct from the remaining operands for this operator or function; operator: "
	     "attribute_type, first operand: [ab, bc, [1], a]"},
	    {K, "a BETWEEN :n AND :s",
	     "The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: "
	     "AttributeValue: "
	     "{N:1}, upper bound operand: AttributeValue: {S:a}"},
	    {K, "a BETWEEN :s2 AND :s",
	     "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound "
	     "operand: "
	     "AttributeValue: {S:b}, upper bound operand: AttributeValue: {S:a}"},
	    {C, "a BETWEEN :b AND :s",
	     "The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: "
	     "AttributeValue: "
	     "{B:YQ==}, upper bound operand: AttributeValue: {S:a}"},
	};

	(void)state;
	CHECK(w);
}

static void
updates_and_projections_are_checked_as_a_whole(void **state)
{
#define OVERLAP(one, two)                                                                                              \
	"Two document paths overlap with each other; must remove or rewrite one of these paths; path one: " one        \
	", path two: " two
#define CONFLICT(one, two)                                                                                             \
	"Two document paths conflict with each other; must remove or rewrite one of these paths; path one: " one       \
	", path two: " two
#define OPERAND(op, type)                                                                                              \
	"Incorrect operand type for operator or function; operator: " op ", operand type: " type                       \
	", typeSet: ALLOWED_FOR_" op "_OPERAND"
#define FUNCTION(op, type)                                                                                             \
	"Incorrect operand type for operator or function; operator or function: " op ", operand type: " type
	static const struct wording w[] = {
	    {U, "SET #x = if_not_exists(:c)",
	     "An expression attribute name used in the document path is not defined; attribute name: #x"},
	    {U, "SET a = :missing REMOVE #x",
	     "An expression attribute name used in the document path is not defined; attribute name: #x"},
	    {U, "SET #a = if_not_exists(:c)",
	     "An expression attribute value used in expression is not defined; attribute value: :c"},
	    {U, "set d[1] = a, d.b = a, c[1].a = a, #c = if_not_exists(a)", OVERLAP("[c, [1], a]", "[c]")},
	    {U, "set #c[3].#d = a, #c[3] = a", OVERLAP("[c, [3], [3]]", "[c, [3]]")},
	    {U, "SET a = :s, a = :n", OVERLAP("[a]", "[a]")},
	    {U, "SET a = :s REMOVE #a", OVERLAP("[a]", "[a]")},
	    {U, "SET a = :s, a.b = :n", OVERLAP("[a]", "[a, b]")},
	    {U, "set #c[3].#d = a, #c.#d[3] = if_not_exists(a)", CONFLICT("[c, [3], [3]]", "[c, [3], [3]]")},
	    {U, "remove a.#c set a[1] = #d", CONFLICT("[a, c]", "[a, [1]]")},
	    {P, "b[1], b.a, #a.b, a", OVERLAP("[a, b]", "[a]")},
	    {P, "a, #a[1]", OVERLAP("[a]", "[a, [1]]")},
	    {P, "a.b, a[0]", CONFLICT("[a, b]", "[a, [0]]")},
	    {P, "a,b,a,#x",
	     "An expression attribute name used in the document path is not defined; attribute name: #x"},
	    {U, "set b = list_append(:s, a), c = if_not_exists(a) add a.b :s", OPERAND("ADD", "STRING")},
	    {U, "delete a.b :s", OPERAND("DELETE", "STRING")},
	    {U, "add a.b :z", OPERAND("ADD", "NULL")},
	    {U, "add a :t", OPERAND("ADD", "BOOLEAN")},
	    {U, "delete a :b", OPERAND("DELETE", "BINARY")},
	    {U, "add a :m", OPERAND("ADD", "MAP")},
	    {U, "add a :l", OPERAND("ADD", "LIST")},
	    {U, "delete a :n", OPERAND("DELETE", "NUMBER")},
	    {U, "set a = if_not_exists(c)",
	     "Incorrect number of operands for operator or function; operator or function: if_not_exists, number of "
	     "operands: 1"},
	    {U, "set a = list_append(c)",
	     "Incorrect number of operands for operator or function; operator or function: list_append, number of "
	     "operands: 1"},
	    {U, "set a = if_not_exists(:s, c)",
	     "Operator or function requires a document path; operator or function: if_not_exists"},
	    {U, "set a = if_not_exists(if_not_exists(a, b), c)",
	     "Operator or function requires a document path; operator or function: if_not_exists"},
	    {U, "set a = list_append(:s, a)", FUNCTION("list_append", "S")},
	    {U, "set a = list_append(a, :n)", FUNCTION("list_append", "N")},
	    {U, "set a = list_append(:m, a)", FUNCTION("list_append", "M")},
	    {U, "set a = a + :s", FUNCTION("+", "S")},
	    {U, "set a = :s + :b", FUNCTION("+", "S")},
	    {U, "set a = :b + a", FUNCTION("+", "B")},
	    {U, "set a = a + :l", FUNCTION("+", "L")},
	    {U, "set a = a - :ns", FUNCTION("-", "NS")},
	    {U, "set a = :z - b", FUNCTION("-", "NULL")},
	};

	(void)state;
	CHECK(w);
}

static void
repeat(struct buf *out, const char *first, const char *more, int count)
{
	out->len = 0;
	buf_put(out, first, strlen(first));
	for (int i = 0; i < count; i++)
		buf_put(out, more, strlen(more));
	buf_put_byte(out, '\0');
}

static void
limits_are_dynamodbs(void **state)
{
	struct fixture f;
	struct buf text = {0};
	struct expr *e;

	(void)state;
	fixture_init(&f, NAMES, VALUES);
#define BIND(kind) expr_bind(kind, slice_of(text.data, text.len - 1), &f.params, &f.arena, &e, &f.err)
	/* 151 comparisons and 150 ANDs */
	repeat(&text, "a = :s", " AND a = :s", 150);
	assert_int_equal(BIND(C), S_VALIDATION);
	assert_string_equal(
	    f.err.message,
	    "Invalid ConditionExpression: The expression contains too many operators; operator count: 301");
	repeat(&text, "NOT a = :s", " AND a = :s", 149);
	assert_int_equal(BIND(C), S_OK);
	repeat(&text, "", "NOT ", 1000);
	text.len--;
	buf_put(&text, "a = :s", 7);
	assert_int_equal(BIND(C), S_VALIDATION);
	assert_string_equal(
	    f.err.message,
	    "Invalid ConditionExpression: The expression contains too many operators; operator count: 1001");
	repeat(&text, "", "(", 4000);
	assert_int_equal(BIND(C), S_VALIDATION);
	assert_string_equal(f.err.message, "Invalid ConditionExpression: The expression has redundant parentheses;");
	repeat(&text, "a IN (:s", ", :s", 99);
	text.len--;
	buf_put(&text, ")", 2);
	assert_int_equal(BIND(F), S_OK);
	repeat(&text, "a IN (:s", ", :s", 100);
	text.len--;
	buf_put(&text, ")", 2);
	assert_int_equal(BIND(F), S_VALIDATION);
	assert_string_equal(
	    f.err.message,
	    "Invalid FilterExpression: The IN operator is provided with too many operands; number of operands: 101");
	repeat(&text, "a", ".b", 31);
	assert_int_equal(BIND(P), S_OK);
	repeat(&text, "a", ".b", 32);
	assert_int_equal(BIND(P), S_VALIDATION);
	assert_string_equal(
	    f.err.message,
	    "Invalid ProjectionExpression: The document path has too many nesting levels; nesting levels: 33");
	repeat(&text, "a", "b", 4095);
	assert_int_equal(BIND(P), S_OK);
	repeat(&text, "a", "b", 4096);
	assert_int_equal(BIND(P), S_VALIDATION);
	assert_string_equal(f.err.message, "Invalid ProjectionExpression: Expression size has exceeded the maximum "
					   "allowed size; expression size: 4097");
	assert_int_equal(BIND(U), S_VALIDATION);
	assert_string_equal(f.err.message,
			    "Invalid UpdateExpression: Expression size has exceeded the maximum allowed size;");
	buf_done(&text);
	fixture_done(&f);
}

static void
many_paths_are_checked_too(void **state)
{
	struct fixture f;
	struct buf text = {0};
	struct expr *e;

	(void)state;
	fixture_init(&f, NULL, NULL);
	for (int i = 0; i < 200; i++)
		buf_printf(&text, "a%d, ", i);
	buf_put_lit(&text, "b.c[1], b.c[2], b.d");
	assert_int_equal(expr_bind(P, buf_slice(&text), &f.params, &f.arena, &e, &f.err), S_OK);
	buf_put_lit(&text, ", a77.x");
	assert_int_equal(expr_bind(P, buf_slice(&text), &f.params, &f.arena, &e, &f.err), S_VALIDATION);
	assert_string_equal(f.err.message, "Invalid ProjectionExpression: " OVERLAP("[a77]", "[a77, x]"));
	buf_done(&text);
	fixture_done(&f);
}

static void
reserved_words_are_known_in_any_case(void **state)
{
	(void)state;
	assert_true(expr_is_reserved_word(SLICE("ABORT")));
	assert_true(expr_is_reserved_word(SLICE("zone")));
	assert_true(expr_is_reserved_word(SLICE("LocalTimestamp")));
	assert_true(expr_is_reserved_word(SLICE("status")));
	assert_true(expr_is_reserved_word(SLICE("size")));
	assert_false(expr_is_reserved_word(SLICE("pk")));
	assert_false(expr_is_reserved_word(SLICE("")));
	assert_false(expr_is_reserved_word(SLICE("zones")));
	assert_false(expr_is_reserved_word(SLICE("abort\0x")));
	assert_false(expr_is_reserved_word(SLICE("averylongnamethatisnotreserved")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(syntax_errors_show_the_token_and_its_neighbours),
	    cmocka_unit_test(malformed_texts_are_syntax_errors),
	    cmocka_unit_test(a_texts_mistakes_come_in_dynamodbs_order),
	    cmocka_unit_test(conditions_are_checked_one_by_one),
	    cmocka_unit_test(updates_and_projections_are_checked_as_a_whole),
	    cmocka_unit_test(limits_are_dynamodbs),
	    cmocka_unit_test(many_paths_are_checked_too),
	    cmocka_unit_test(reserved_words_are_known_in_any_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
