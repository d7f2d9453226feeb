#include "expr_fixture.h"
#include "partiql_fixture.h"

#include "expr/partiql/partiql_int.h"

#include <stdlib.h>

#define NOT_WELL "Statement wasn't well formed, can't be processed: "

/* ---- a statement and what became of it ---- */

struct subject {
	struct arena arena;
	struct err err;
	struct partiql *parsed;
	struct partiql_statement s;
	struct partiql_plan plan;
};

static size_t
read_params(struct subject *x, const char *params, struct av **ret)
{
	struct json_reader r;
	size_t count = 0;
	struct slice text = arena_dup(&x->arena, slice_str(params));

	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] == '\'')
			((char *)text.data)[i] = '"';
	*ret = ARENA_ARRAY(&x->arena, struct av, text.len + 1);
	json_init(&r, text, &x->arena);
	if (json_enter_array(&r))
		while (json_next_element(&r))
			assert_int_equal(av_read_json(&r, &x->arena, &(*ret)[count++], &x->err), S_OK);
	assert_false(json_failed(&r));
	return count;
}

static enum status
translate(struct subject *x, const char *text, const char *params)
{
	struct av *values;
	size_t count;
	enum status s;

	*x = (struct subject){0};
	count = read_params(x, params, &values);
	s = partiql_parse(slice_str(text), &x->arena, &x->parsed, &x->err);
	return s == S_OK ? partiql_translate(x->parsed, values, count, &x->arena, &x->s, &x->err) : s;
}

static enum status
plan(struct subject *x, const char *text)
{
	enum status s = translate(x, text, "[]");

	if (s == S_OK)
		s = partiql_plan(&x->s, &partiql_schema, true, &x->arena, &x->plan, &x->err);
	return s == S_OK ? partiql_plan_order(&x->s, &partiql_schema, &x->plan, &x->err) : s;
}

static void
done(struct subject *x)
{
	arena_done(&x->arena);
	expr_cache_done();
}

static void
demand_ok(struct subject *x, const char *text, enum status s)
{
	if (s != S_OK)
		fail_msg("%.200s: %s", text, x->err.message);
}

static void
demand_failure(struct subject *x, const char *text, enum status s, const char *message)
{
	if (s != S_VALIDATION)
		fail_msg("%.200s: was accepted", text);
	if (strcmp(x->err.message, message) != 0)
		fail_msg("%.200s\n  says   %s\n  wanted %s", text, x->err.message, message);
}

/* ---- words ---- */

static void
test_keywords_are_sorted_and_found_in_any_case(void **state)
{
	(void)state;
	for (size_t i = 0; pq_keyword(i) != NULL; i++) {
		const char *word = pq_keyword(i);
		struct arena arena = {0};
		struct pq_token *tokens;
		uint32_t count, params;
		struct err err;
		char upper[64];

		if (i > 0)
			assert_true(strcmp(pq_keyword(i - 1), word) < 0);
		assert_true(strlen(word) < sizeof upper);
		for (size_t n = 0; n <= strlen(word); n++)
			upper[n] = word[n] >= 'a' && word[n] <= 'z' ? (char)(word[n] - 32) : word[n];
		assert_int_equal(pq_lex(slice_str(word), &arena, &tokens, &count, &params, &err), S_OK);
		assert_int_not_equal(tokens[0].type, PT_IDENT);
		assert_int_equal(pq_lex(slice_str(upper), &arena, &tokens, &count, &params, &err), S_OK);
		assert_int_not_equal(tokens[0].type, PT_IDENT);
		arena_done(&arena);
	}
}

static void
test_quoted_keywords_are_names(void **state)
{
	struct subject x;

	(void)state;
	demand_ok(&x, "quoted", translate(&x, "SELECT \"select\", a.\"from\" FROM \"where\".\"index\"", "[]"));
	assert_true(slice_eq(x.s.table, slice_str("where")));
	assert_true(slice_eq(x.s.index, slice_str("index")));
	done(&x);
}

/* ---- what is refused ---- */

static const struct {
	const char *text, *message;
} refused[] = {
    {"SELECT", NOT_WELL "Unexpected term"},
    {"SELECT * FROM", NOT_WELL "Unexpected term"},
    {"SELECT * FROM t WHERE", NOT_WELL "Unexpected term"},
    {"SELECT * FROM t WHERE (", NOT_WELL "Unexpected term"},
    {"SELECT * FROM t WHERE NOT", NOT_WELL "Unexpected term"},
    {"SELECT * FROM t WHERE a = 1 OR", NOT_WELL "Missing right-hand side expression of infix operator"},
    {"SELECT * FROM t WHERE ORDER BY a", NOT_WELL "Unexpected keyword"},
    {"SELECT * FROM t WHERE IS NULL", NOT_WELL "Unexpected operator"},
    {"SELECT * FROM t WHERE a IS FOO", NOT_WELL "Expected type name"},
    {"a IS INT4", "Unsupported operation: IsType"},
    {"SELECT * FROM t WHERE a IS INT4",
     "Unsupported type in IS: int4. Supported types: [NULL, MISSING, BOOLEAN, STRING, NUMERIC, STRUCT, TUPLE, LIST]"},
    {"SELECT * FROM t WHERE m.inner = 1", NOT_WELL "Invalid path dot component"},
    {"SELECT * FROM t one two", NOT_WELL "Unexpected token after expression"},
    {"SLECT * FROM t", NOT_WELL "Expected data manipulation"},
    {"DELETE FROM", NOT_WELL "Expected identifier for simple path"},
    {"DELETE FROM WHERE a = 1", NOT_WELL "Expected identifier for simple path"},
    {"SELECT * FROM t # no comment", NOT_WELL},
    {"SELECT * FROM t /* no end", NOT_WELL},
    {"SELECT * FROM t WHERE a = 'no end", NOT_WELL},
    {"SELECT * FROM \"no end", NOT_WELL},
    {"SELECT * FROM t WHERE a = 1e99999999999", NOT_WELL},
    {"SELECT * FROM t x", "Aliasing is not supported"},
    {"SELECT a AS b FROM t", "Aliasing is not supported"},
    {"SELECT * FROM t, u", "Only select from a single table or index is supported."},
    {"SELECT * FROM t GROUP BY a", "Unsupported clause: GROUP at 1:17:5"},
    {"SELECT *\nFROM t\n  LIMIT 5", "Unsupported clause: LIMIT at 3:3:5"},
    {"SELECT * FROM a.b.c", "A path may contain at most 2 components in the FROM clause"},
    {"SELECT * FROM \"\"", "Path component cannot be an empty string"},
    {"SELECT COUNT(*) FROM t", "Unexpected path component at 1:8:5"},
    {"SELECT * FROM t WHERE a = ?", "Number of parameters in request and statement don't match."},
    {"SELECT * FROM t WHERE a LIKE 'x'", "Unsupported operator in Condition Expression. Operator: like"},
    {"SELECT * FROM t WHERE a + 1 = 2", "Unsupported operator in Condition Expression. Operator: +"},
    {"SELECT * FROM t WHERE nope(a)", "Unrecognized function: nope at 1:23:4"},
    {"SELECT * FROM t WHERE a[-1] = 2", "List index is not within the allowable range; index: [-1] at 1:26:1"},
    {"SELECT * FROM t WHERE begins_with(a)",
     "Incorrect number of operands for operator or function; operator or function: begins_with, number of operands: 1"},
    {"SELECT * FROM t WHERE begins_with(a, 1)",
     "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N"},
    {"SELECT * FROM t WHERE attribute_type(a, 'LIST')",
     "Invalid attribute type name found; type: LIST, valid types: {N,BS,L,B,NULL,M,S,SS,NS,BOOL}"},
    {"INSERT INTO t VALUE {'a': 1e126}",
     "Number overflow. Attempting to store a number with magnitude larger than supported range under root"},
    {"INSERT INTO t VALUE {'a': [1, 123456789012345678901234567890123456789]}",
     "Attempting to store more than 38 significant digits in a Number under root[1]"},
    {"INSERT INTO t VALUE {'a': <<>>}", "Empty bags are not supported"},
    {"INSERT INTO t VALUE {'a': 1, 'a': 2}", "Duplicate keys in tuple. Key: a under root"},
    {"INSERT INTO t VALUE {'a': 1} RETURNING ALL OLD *", "RETURNING is not supported in INSERT"},
    {"UPDATE t.i SET a = 1 WHERE pk = 'x'", "This operation is not supported on an index"},
    {"UPDATE t SET a.b = 1 SET a = 2 WHERE pk = 'x'",
     "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a, b], path "
     "two: [a]"},
    {"UPDATE t SET a = set_add(b, <<1>>) WHERE pk = 'x'",
     "The first argument to SET_ADD must equal the assignment value at 1:18:7"},
    {"DELETE FROM t WHERE pk = 'x' RETURNING MODIFIED OLD *",
     "Invalid returning clause: RETURNING MODIFIED OLD *. Only RETURNING ALL OLD * is allowed in DELETE statements."},
};

static void
test_what_is_wrong_is_told_in_the_services_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		struct subject x;
		enum status s = translate(&x, refused[i].text, "[]");

		demand_failure(&x, refused[i].text, s, refused[i].message);
		done(&x);
	}
}

static void
test_depth_is_bounded(void **state)
{
	static const char *const openings[] = {"(", "[",  "{'a':", "NOT ", "<<",
					       "-", "f(", "a[",    "1+(",  "SELECT * FROM ("};
	static const char *const before[] = {"SELECT * FROM t WHERE ", "INSERT INTO t VALUE ",
					     "UPDATE t SET a = ", "EXISTS(SELECT * FROM t WHERE ", "SELECT "};

	(void)state;
	for (size_t o = 0; o < sizeof openings / sizeof *openings; o++)
		for (size_t b = 0; b < sizeof before / sizeof *before; b++) {
			struct buf text = {0};
			struct arena arena = {0};
			struct partiql *parsed;
			struct err err;

			buf_put(&text, before[b], strlen(before[b]));
			while (text.len + strlen(openings[o]) < PARTIQL_TEXT_MAX)
				buf_put(&text, openings[o], strlen(openings[o]));
			assert_int_equal(partiql_parse(buf_slice(&text), &arena, &parsed, &err), S_VALIDATION);
			buf_done(&text);
			arena_done(&arena);
		}
}

/* ---- conditions ---- */

#define ITEM                                                                                                           \
	"{'pk':{'S':'k'},'sk':{'N':'1'},'n':{'N':'5'},'s':{'S':'hello'},'z':{'NULL':true},'t':{'BOOL':true},"          \
	"'l':{'L':[{'S':'x'},{'M':{'d':{'S':'y'}}}]},'m':{'M':{'a':{'N':'5'}}},'ss':{'SS':['p','q']},'n2':{'N':'7'}}"

static const struct {
	const char *text;
	bool holds;
} conditions[] = {
    {"n = 5.0", true},
    {"n <> 5", false},
    {"n != 6", true},
    {"n = m.a", true},
    {"n = n2", false},
    {"n < n2", true},
    {"6 > n", true},
    {"n = 5 AND s = 'hello' AND t = true", true},
    {"n = 6 OR s = 'no' OR t = false", false},
    {"NOT (n = 6) AND NOT n > 5", true},
    {"n BETWEEN 1 AND 5", true},
    {"n NOT BETWEEN 1 AND 5", false},
    {"n NOT IN [1, 2]", true},
    {"s IN ['x', 'hello']", true},
    {"s IN <<'x', 'hello'>>", true},
    {"z = null", true},
    {"z IS NULL", true},
    {"n IS NOT NULL", true},
    {"none IS MISSING", true},
    {"none IS NOT MISSING", false},
    {"n IS NOT MISSING", true},
    {"none = 1", false},
    {"none <> 1", true},
    {"l[0] = 'x'", true},
    {"l[1].d = 'y'", true},
    {"ss = <<'q', 'p'>>", true},
    {"m = {'a': 5}", true},
    {"contains(l, 'x') AND contains(ss, 'q') AND contains(s, 'ell')", true},
    {"begins_with(s, 'he') AND attribute_type(s, 'S')", true},
    {"size(s) = 5 AND size(l) > 1", true},
    {"s = 'it''s' OR \"s\" = 'hello'", true},
    {"n = +5 AND n > -5", true},
};

static void
test_conditions_hold_as_they_say(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
		struct fixture f = {0};
		struct subject x;
		char text[512];
		bool holds;

		snprintf(text, sizeof text, "SELECT * FROM t WHERE %s", conditions[i].text);
		demand_ok(&x, text, plan(&x, text));
		holds = expr_test(x.plan.filter, fixture_item(&f, ITEM));
		if (holds != conditions[i].holds)
			fail_msg("%s: %d", text, holds);
		done(&x);
		fixture_done(&f);
	}
}

static void
test_parameters_stand_for_values(void **state)
{
	struct fixture f = {0};
	struct subject x;
	const char *text = "SELECT * FROM t WHERE n IN [?, ?] AND s = ? AND ss = ?";

	(void)state;
	demand_ok(&x, text, translate(&x, text, "[{'N':'1'},{'N':'5.00'},{'S':'hello'},{'SS':['q','p']}]"));
	assert_int_equal(partiql_plan(&x.s, &partiql_schema, true, &x.arena, &x.plan, &x.err), S_OK);
	assert_true(expr_test(x.plan.filter, fixture_item(&f, ITEM)));
	done(&x);
	fixture_done(&f);
}

/* ---- plans ---- */

static void
put_value(struct buf *out, struct av v)
{
	struct buf json = {0};

	av_write_json(&json, v);
	/* {"N":"1"} -> 1 */
	buf_put(out, json.data + 6, json.len - 8);
	buf_done(&json);
}

static void
put_range(struct buf *out, const struct key_range *range)
{
	static const char *const ops[] = {
	    [KEY_EQ] = "=",  [KEY_LT] = "<",       [KEY_LE] = "<=", [KEY_GT] = ">",
	    [KEY_GE] = ">=", [KEY_BETWEEN] = "..", [KEY_ALL] = "*", [KEY_BEGINS_WITH] = "^"};

	put_value(out, range->partition[0]);
	buf_printf(out, "%s", ops[range->op]);
	if (range->op == KEY_ALL)
		return;
	put_value(out, range->low);
	if (range->op == KEY_BETWEEN) {
		buf_put_byte(out, ',');
		put_value(out, range->high);
	}
}

static void
put_plan(struct buf *out, const struct partiql_plan *p)
{
	if (!p->keyed)
		buf_put_lit(out, "scan");
	for (size_t i = 0; i < p->read_count; i++) {
		if (i > 0)
			buf_put_byte(out, ' ');
		put_range(out, &p->reads[i].range);
		if (p->reads[i].filter != NULL)
			buf_put_byte(out, '?');
	}
	if (p->backward)
		buf_put_lit(out, " backward");
	buf_put_byte(out, '\0');
}

static const struct {
	const char *where, *plan;
} plans[] = {
    {"pk = 'a'", "a*"},
    {"pk = 'a' AND sk = 1", "a=1"},
    {"sk = 1 AND pk = 'a'", "a=1"},
    {"pk = 'a' AND sk = 1 AND v = 2", "a=1?"},
    {"pk = 'a' AND v = 2", "a*?"},
    {"pk = 'a' AND sk > 1", "a>1"},
    {"pk = 'a' AND 1 < sk", "a>1"},
    {"pk = 'a' AND sk BETWEEN 1 AND 3", "a..1,3"},
    {"pk = 'a' AND sk >= 1 AND sk <= 3", "a..1,3"},
    {"pk = 'a' AND sk > 1 AND sk < 3", "a..1,3?"},
    {"pk IN ['b', 'a']", "a* b*"},
    {"pk IN ['b', 'a'] AND sk IN [2, 1]", "a=1 a=2 b=1 b=2"},
    {"pk = 'a' OR pk = 'b'", "a* b*"},
    {"(pk = 'a' AND sk < 2) OR (pk = 'a' AND sk > 3)", "a<2 a>3"},
    {"pk = 'a' AND (sk < 2 OR sk > 3)", "a<2 a>3"},
    {"(pk = 'a' OR pk = 'b') AND v = 1", "a*? b*?"},
    {"pk = 'a' AND (sk = 1 OR v = 1)", NULL}, /* which branch? both reach a=1 */
    {"pk = 'a' AND NOT sk = 1", "a*?"},
    {"pk = 'a' AND sk <> 1", "a*?"},
    {"pk = 'a' OR v = 1", "scan"},
    {"NOT pk = 'a'", "scan"},
    {"pk > 'a'", "scan"},
    {"sk = 1", "scan"},
    {"begins_with(pk, 'a')", "scan"},
    {"v = 1", "scan"},
    {"pk = 'a' ORDER BY sk", "a*"},
    {"pk = 'a' ORDER BY sk DESC", "a* backward"},
    {"pk = 'a' ORDER BY pk", "a* backward"},
    {"pk IN ['a', 'b'] ORDER BY pk DESC, sk ASC", "b* a*"},
    {"pk = 'a' AND sk IN [1, 2] ORDER BY sk DESC", "a=2 a=1 backward"},
};

static void
test_plans_read_what_the_keys_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
		struct buf out = {0};
		struct subject x;
		char text[512];
		enum status s;

		snprintf(text, sizeof text, "SELECT * FROM t WHERE %s", plans[i].where);
		s = plan(&x, text);
		if (plans[i].plan == NULL) {
			demand_failure(&x, text, s,
				       "Overlapping conditions with range keys are not supported in where clause");
		} else {
			demand_ok(&x, text, s);
			put_plan(&out, &x.plan);
			if (strcmp(out.data, plans[i].plan) != 0)
				fail_msg("%s\n  plan   %s\n  wanted %s", text, out.data, plans[i].plan);
		}
		buf_done(&out);
		done(&x);
	}
}

/* ---- plans of any condition ---- */

static uint32_t seed;

static uint32_t
draw(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % below;
}

static void
put_condition(struct buf *out, unsigned depth)
{
	static const char *const operators[] = {"=", "<>", "<", "<=", ">", ">="};

	switch (depth > 0 ? draw(9) : draw(6)) {
	case 0:
	case 1:
		buf_printf(out, "pk = '%c'", 'a' + (char)draw(3));
		break;
	case 2:
		buf_printf(out, "sk %s %u", operators[draw(6)], draw(5));
		break;
	case 3:
		buf_printf(out, "sk BETWEEN %u AND %u", draw(5), draw(5));
		break;
	case 4:
		buf_printf(out, "v %s %u", operators[draw(6)], draw(2));
		break;
	case 5:
		if (draw(2))
			buf_printf(out, "pk IN ['%c', '%c']", 'a' + (char)draw(3), 'a' + (char)draw(3));
		else
			buf_printf(out, "sk IN [%u, %u]", draw(5), draw(5));
		break;
	case 6:
		buf_put_lit(out, "NOT (");
		put_condition(out, depth - 1);
		buf_put_byte(out, ')');
		break;
	default:
		buf_put_byte(out, '(');
		put_condition(out, depth - 1);
		buf_printf(out, draw(3) ? " AND " : " OR ");
		put_condition(out, depth - 1);
		buf_put_byte(out, ')');
	}
}

static void
check_plan_on_all_items(struct subject *x, const char *text, struct av *items, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		unsigned holds = expr_test(x->s.where->expr, items[i]), found = fixture_found(&x->plan, items[i]);

		if (found != holds) {
			struct buf out = {0};

			put_plan(&out, &x->plan);
			fail_msg("%s\n  plan %s\n  item %zu: holds %u, found %u", text, out.data, i, holds, found);
		}
	}
}

static void
test_any_plan_finds_each_item_once_and_only_where_the_condition_holds(void **state)
{
	struct fixture f = {0};
	struct av items[3 * 5 * 2];
	size_t count = 0, planned = 0, keyed = 0;

	(void)state;
	for (int pk = 0; pk < 3; pk++)
		for (int sk = 0; sk < 5; sk++)
			for (int v = 0; v < 2; v++) {
				char json[128];

				snprintf(json, sizeof json, "{'pk':{'S':'%c'},'sk':{'N':'%d'},'v':{'N':'%d'}}",
					 'a' + pk, sk, v);
				items[count++] = fixture_item(&f, json);
			}
	seed = 1;
	while (planned < 20000) {
		struct subject x;
		struct buf text = {0};
		unsigned depth = 1 + draw(4);

		buf_put_lit(&text, "SELECT * FROM t WHERE ");
		if (draw(2))
			buf_printf(&text, "pk = '%c' AND ", 'a' + (char)draw(3));
		put_condition(&text, depth);
		buf_put_byte(&text, '\0');
		if (plan(&x, text.data) == S_OK) {
			planned++;
			keyed += x.plan.keyed;
			check_plan_on_all_items(&x, text.data, items, count);
		}
		buf_done(&text);
		done(&x);
	}
	assert_true(keyed > planned / 4 && keyed < planned);
	fixture_done(&f);
}

/* ---- one item ---- */

static const struct {
	const char *text, *key; /* "!..." is the failure */
	int condition;          /* has one? */
} keys[] = {
    {"DELETE FROM t WHERE pk = 'a' AND sk = 1", "{'pk':{'S':'a'},'sk':{'N':'1'}}", 0},
    {"DELETE FROM t WHERE sk = 1 AND pk = 'a' AND v = 1", "{'pk':{'S':'a'},'sk':{'N':'1'}}", 1},
    {"UPDATE t SET v = 1 WHERE pk = 'a' AND sk = 1", "{'pk':{'S':'a'},'sk':{'N':'1'}}", 1},
    {"EXISTS(SELECT * FROM t WHERE pk = 'a' AND sk = 1)", "{'pk':{'S':'a'},'sk':{'N':'1'}}", 0},
    {"EXISTS(SELECT * FROM t WHERE pk = 'a' AND sk = 1 AND v = 1)", "{'pk':{'S':'a'},'sk':{'N':'1'}}", 1},
    {"DELETE FROM t WHERE pk = 'a' AND pk = 'a' AND sk = 1", "{'pk':{'S':'a'},'sk':{'N':'1'}}", 0},
    {"DELETE FROM t WHERE pk = 'a'", "!Where clause does not contain a mandatory equality on all key attributes", 0},
    {"DELETE FROM t", "!Where clause does not contain a mandatory equality on all key attributes", 0},
    {"DELETE FROM t WHERE pk = 'a' OR sk = 1",
     "!Where clause does not contain a mandatory equality on all key attributes", 0},
    {"DELETE FROM t WHERE pk = 'a' AND sk > 1",
     "!Where clause does not contain a mandatory equality on all key attributes", 0},
    {"DELETE FROM t WHERE pk = 'a' AND sk = 1 AND sk = 2",
     "!Multiple conditions on same key sk. Only single item Update/Insert/Delete are supported", 0},
    {"DELETE FROM t WHERE pk = 1 AND sk = 1",
     "!Key attribute's data type should match its data type in table's schema: Key pk", 0},
};

static void
test_writes_name_their_item(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		const struct expr *condition = NULL;
		struct fixture f = {0};
		struct subject x;
		struct av key;
		enum status s = translate(&x, keys[i].text, "[]");

		demand_ok(&x, keys[i].text, s);
		s = partiql_write_key(&x.s, &partiql_schema, &x.arena, &key, &condition, &x.err);
		if (keys[i].key[0] == '!') {
			demand_failure(&x, keys[i].text, s, keys[i].key + 1);
		} else {
			demand_ok(&x, keys[i].text, s);
			fixture_expect_json(&f, keys[i].text, key, keys[i].key);
			assert_int_equal(condition != NULL, keys[i].condition);
		}
		done(&x);
		fixture_done(&f);
	}
}

static void
test_updates_need_the_item_and_deletes_do_not(void **state)
{
	static const char *const texts[] = {"UPDATE t SET v = 1 WHERE pk = 'a' AND sk = 1",
					    "DELETE FROM t WHERE pk = 'a' AND sk = 1 AND v = 5"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		const struct expr *condition;
		struct subject x;
		struct av key;

		demand_ok(&x, texts[i], translate(&x, texts[i], "[]"));
		assert_int_equal(partiql_write_key(&x.s, &partiql_schema, &x.arena, &key, &condition, &x.err), S_OK);
		assert_int_equal(expr_test(condition, AV_NONE), i);
		done(&x);
	}
}

/* ---- what INSERT, UPDATE and SELECT make ---- */

static void
test_insert_makes_the_item(void **state)
{
	struct fixture f = {0};
	struct subject x;
	const char *text = "INSERT INTO \"t\" VALUE {'pk': 'a b', 'n': -1.50, 'e': 2e2, 'b': true, 'z': null, 'p': ?, "
			   "'l': [1, [], {}], 'm': {'a': {'b': 'c'}}, 'ss': <<'b', 'a'>>, 'ns': <<1>>}";

	(void)state;
	demand_ok(&x, text, translate(&x, text, "[{'B':'AQID'}]"));
	assert_int_equal(x.s.kind, PARTIQL_INSERT);
	fixture_expect_json(&f, text, x.s.item,
			    "{'b':{'BOOL':true},'e':{'N':'200'},'l':{'L':[{'N':'1'},{'L':[]},{'M':{}}]},"
			    "'m':{'M':{'a':{'M':{'b':{'S':'c'}}}}},'n':{'N':'-1.5'},'ns':{'NS':['1']},"
			    "'p':{'B':'AQID'},'pk':{'S':'a b'},'ss':{'SS':['a','b']},'z':{'NULL':true}}");
	done(&x);
	fixture_done(&f);
}

static void
test_update_makes_the_item(void **state)
{
	struct fixture f = {0};
	struct expr_updated updated;
	struct subject x;
	struct av item = fixture_item(&f, ITEM), key = fixture_item(&f, "{'pk':{'S':'k'},'sk':{'N':'1'}}");
	const char *text =
	    "UPDATE t SET n = n + n2 SET l = list_append(l, [1]), m.b = 'x' SET ss = set_delete(ss, <<'p'>>) "
	    "REMOVE z, t REMOVE s WHERE pk = 'k' AND sk = 1 RETURNING MODIFIED NEW *";

	(void)state;
	demand_ok(&x, text, translate(&x, text, "[]"));
	assert_int_equal(x.s.returning, PARTIQL_MODIFIED_NEW);
	assert_int_equal(expr_update(x.s.update, key, item, &x.arena, &updated, &x.err), S_OK);
	fixture_expect_json(
	    &f, text, updated.new_item,
	    "{'l':{'L':[{'S':'x'},{'M':{'d':{'S':'y'}}},{'N':'1'}]},'m':{'M':{'a':{'N':'5'},'b':{'S':'x'}}},"
	    "'n':{'N':'12'},'n2':{'N':'7'},'pk':{'S':'k'},'sk':{'N':'1'},'ss':{'SS':['q']}}");
	fixture_expect_json(
	    &f, text, partiql_modified(x.s.update, updated.new_item, &x.arena),
	    "{'l':{'L':[{'S':'x'},{'M':{'d':{'S':'y'}}},{'N':'1'}]},'m':{'M':{'b':{'S':'x'}}},'n':{'N':'12'},"
	    "'ss':{'SS':['q']}}");
	done(&x);
	fixture_done(&f);
}

static const struct {
	const char *columns, *shown;
} columns[] = {
    {"n, s", "{'n':{'N':'5'},'s':{'S':'hello'}}"},
    {"m.a", "{'a':{'N':'5'}}"},
    {"l[1].d, l[0]", "{'d':{'S':'y'},'l[0]':{'S':'x'}}"},
    {"none, m.none, l[9]", "{}"},
    {"\"n\"", "{'n':{'N':'5'}}"},
};

static void
test_select_shows_its_columns(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
		struct fixture f = {0};
		struct subject x;
		char text[256];
		struct av item = fixture_item(&f, ITEM);

		snprintf(text, sizeof text, "SELECT %s FROM t", columns[i].columns);
		demand_ok(&x, text, translate(&x, text, "[]"));
		item = expr_project(x.s.projection, item, &x.arena);
		item = partiql_select_columns(x.s.columns, item, &x.arena);
		fixture_expect_json(&f, text, item, columns[i].shown);
		done(&x);
		fixture_done(&f);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_keywords_are_sorted_and_found_in_any_case),
	    cmocka_unit_test(test_quoted_keywords_are_names),
	    cmocka_unit_test(test_what_is_wrong_is_told_in_the_services_words),
	    cmocka_unit_test(test_depth_is_bounded),
	    cmocka_unit_test(test_conditions_hold_as_they_say),
	    cmocka_unit_test(test_parameters_stand_for_values),
	    cmocka_unit_test(test_plans_read_what_the_keys_name),
	    cmocka_unit_test(test_any_plan_finds_each_item_once_and_only_where_the_condition_holds),
	    cmocka_unit_test(test_writes_name_their_item),
	    cmocka_unit_test(test_updates_need_the_item_and_deletes_do_not),
	    cmocka_unit_test(test_insert_makes_the_item),
	    cmocka_unit_test(test_update_makes_the_item),
	    cmocka_unit_test(test_select_shows_its_columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
