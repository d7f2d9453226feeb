#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codec/json.h"

/* The text in memory of its exact size, so that a sanitizer sees a byte read too far. */
struct doc {
	char *text;
	struct arena arena;
	struct json_reader r;
};

static void
doc_open(struct doc *d, const char *text, size_t len)
{
	*d = (struct doc){.text = malloc(len > 0 ? len : 1)};
	memcpy(d->text, text, len);
	json_init(&d->r, slice_of(d->text, len), &d->arena);
}

static void
doc_close(struct doc *d)
{
	arena_done(&d->arena);
	free(d->text);
}

static const char *
failure_of(const char *text, size_t len)
{
	static const char *failure;
	struct doc d;

	doc_open(&d, text, len);
	json_skip(&d.r);
	json_end(&d.r);
	failure = d.r.failure;
	assert_false(d.r.wrong_type);
	doc_close(&d);
	return failure;
}

static void
what_rfc_8259_allows_is_read(void **state)
{
	static const char *const texts[] = {
	    "null",
	    " true ",
	    "\tfalse\r\n",
	    "0",
	    "-0",
	    "-0.0e-0",
	    "10.25E+3",
	    "1e5",
	    "\"\"",
	    "\"a\"",
	    "[]",
	    "[ ]",
	    "{}",
	    "{ }",
	    "[1,2 , 3]",
	    "{\"a\":1,\"b\" : [ {} ] , \"c\":{\"\":null}}",
	    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20AC\\uD83D\\uDE00\"",
	    "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\xEF\xBF\xBF\xF4\x8F\xBF\xBF\x7F\"",
	    "\"\\u0000\"",
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		const char *failure = failure_of(texts[i], strlen(texts[i]));

		if (failure != NULL)
			fail_msg("%s: %s", texts[i], failure);
	}
}

static void
what_rfc_8259_forbids_is_refused(void **state)
{
	static const char *const texts[] = {
	    "",
	    " ",
	    "nul",
	    "nulll",
	    "True",
	    "tru",
	    "+1",
	    "01",
	    "-",
	    "-a",
	    "1.",
	    ".5",
	    "1e",
	    "1e+",
	    "0x1",
	    "1 2",
	    "NaN",
	    "Infinity",
	    "\"",
	    "\"a",
	    "\"\\\"",
	    "\"\\",
	    "\"\\x\"",
	    "\"\\u12\"",
	    "\"\\u12g4\"",
	    "\"\\u 123\"",
	    "'a'",
	    "[",
	    "]",
	    "[1",
	    "[1,",
	    "[1,]",
	    "[,1]",
	    "[1 2]",
	    "[1}",
	    "{",
	    "}",
	    "{\"a\"",
	    "{\"a\":",
	    "{\"a\":}",
	    "{\"a\" 1}",
	    "{\"a\":1",
	    "{\"a\":1,",
	    "{\"a\":1,}",
	    "{,}",
	    "{a:1}",
	    "{1:1}",
	    "{\"a\":1 \"b\":2}",
	    "{\"a\":1]",
	    "{}{}",
	    "[] x",
	    "/* c */ 1",
	    "\xEF\xBB\xBF{}",
	    "\"\t\"",
	    "\"\n\"",
	    "\"\x1f\"",
	    "\"0123456789abcdef\x01\"",
	    "\"\x80\"",
	    "\"\xC3\"",
	    "\"\xC3(\"",
	    "\"\xC0\xAF\"",
	    "\"\xC1\xBF\"",
	    "\"\xE0\x9F\xBF\"",
	    "\"\xED\xA0\x80\"",
	    "\"\xED\xBF\xBF\"",
	    "\"\xE2\x82\"",
	    "\"\xF0\x8F\xBF\xBF\"",
	    "\"\xF4\x90\x80\x80\"",
	    "\"\xF5\x80\x80\x80\"",
	    "\"\xFF\"",
	    "\"\xF0\x9F\x98",
	    "\"\\uD83D\"",
	    "\"\\uD83Dx\"",
	    "\"\\uD83D\\n\"",
	    "\"\\uD83D\\u0041\"",
	    "\"\\uD83D\\uD83D\"",
	    "\"\\uDE00\"",
	    "\"\\uDE00\\uD83D\"",
	    "\"\\uD83D\\uDE0",
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		if (failure_of(texts[i], strlen(texts[i])) == NULL)
			fail_msg("%s was read", texts[i]);
	}
	assert_non_null(failure_of("\0", 1));
	assert_non_null(failure_of("\"a\0b\"", 5));
	assert_non_null(failure_of("{}\0", 3));
}

static void
every_beginning_of_a_document_is_refused(void **state)
{
	static const char text[] =
	    "{\"name\":[\"long enough for sixteen\\n\\uD83D\\uDE00\xE2\x82\xAC\",-1.5e3,true,null,{}]}";

	(void)state;
	assert_null(failure_of(text, sizeof text - 1));
	for (size_t len = 0; len < sizeof text - 1; len++)
		assert_non_null(failure_of(text, len));
}

static void
nesting_ends_at_the_limit(void **state)
{
	char text[2 * (JSON_DEPTH_MAX + 1)];
	char endless[100000];

	(void)state;
	memset(text, '[', JSON_DEPTH_MAX);
	memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
	assert_null(failure_of(text, 2 * JSON_DEPTH_MAX));
	memset(text, '[', JSON_DEPTH_MAX + 1);
	memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
	assert_string_equal(failure_of(text, sizeof text), "nested too deep");
	memset(endless, '[', sizeof endless);
	assert_string_equal(failure_of(endless, sizeof endless), "nested too deep");
	for (size_t i = 0; i + 5 <= sizeof endless; i += 5)
		memcpy(endless + i, "{\"\":{", 5);
	assert_non_null(failure_of(endless, sizeof endless));
}

static void
members_and_elements_come_in_order(void **state)
{
	static const char text[] =
	    " { \"a\" : [ 1 , \"two\\n\" , true , null , -4.5 ] , \"b\\u0021\" : { } , \"skipped\" : [{\"x\":[]}], "
	    "\"raw\": [1, {\"y\" :2}] } ";
	struct slice name;
	struct doc d;

	(void)state;
	doc_open(&d, text, sizeof text - 1);
	assert_int_equal(json_peek(&d.r), JSON_OBJECT);
	assert_true(json_enter_object(&d.r));
	assert_true(json_next_member(&d.r, &name));
	assert_true(slice_eq(name, SLICE("a")));
	assert_int_equal(json_peek(&d.r), JSON_ARRAY);
	assert_true(json_enter_array(&d.r));
	assert_true(json_next_element(&d.r));
	assert_true(slice_eq(json_number(&d.r), SLICE("1")));
	assert_true(json_next_element(&d.r));
	assert_true(slice_eq(json_string(&d.r), SLICE("two\n")));
	assert_true(json_next_element(&d.r));
	assert_true(json_bool(&d.r));
	assert_true(json_next_element(&d.r));
	assert_int_equal(json_peek(&d.r), JSON_NULL);
	json_null(&d.r);
	assert_true(json_next_element(&d.r));
	assert_true(slice_eq(json_number(&d.r), SLICE("-4.5")));
	assert_false(json_next_element(&d.r));
	assert_true(json_next_member(&d.r, &name));
	assert_true(slice_eq(name, SLICE("b!")));
	assert_true(json_enter_object(&d.r));
	assert_false(json_next_member(&d.r, &name));
	assert_true(json_next_member(&d.r, &name));
	json_skip(&d.r);
	assert_true(json_next_member(&d.r, &name));
	assert_true(slice_eq(json_raw(&d.r), SLICE("[1, {\"y\" :2}]")));
	assert_false(json_next_member(&d.r, &name));
	json_end(&d.r);
	assert_false(json_failed(&d.r));
	doc_close(&d);
}

static void
strings_without_escapes_are_not_copied(void **state)
{
	struct slice text;
	struct doc d;

	(void)state;
	doc_open(&d, "\"plain \xC3\xA9\"", 10);
	text = json_string(&d.r);
	assert_ptr_equal(text.data, d.text + 1);
	assert_int_equal(text.len, 8);
	assert_int_equal(d.arena.used_bytes, 0);
	doc_close(&d);
}

static void
unescapes(const char *text, const char *wanted, size_t wanted_len)
{
	struct slice got;
	struct doc d;

	doc_open(&d, text, strlen(text));
	got = json_string(&d.r);
	json_end(&d.r);
	if (json_failed(&d.r) || got.len != wanted_len || memcmp(got.data, wanted, wanted_len) != 0)
		fail_msg("%s became %.*s (%s)", text, SLICE_ARG(got), d.r.failure);
	doc_close(&d);
}

static void
escapes_become_their_characters(void **state)
{
	(void)state;
	unescapes("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8);
	unescapes("\"\\u0000x\"", "\0x", 2);
	unescapes("\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"", "\x7f\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF", 11);
	unescapes("\"\\uD800\\uDC00\\uDBFF\\udfff\"", "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF", 8);
	unescapes("\"some plain text in front\\nand some plain text behind, \\\\long enough\"",
		  "some plain text in front\nand some plain text behind, \\long enough", 65);
}

static void
first_failure_stays_and_stops_everything(void **state)
{
	struct slice name;
	struct doc d;

	(void)state;
	doc_open(&d, "{\"a\":1}", 7);
	assert_true(json_enter_object(&d.r));
	assert_true(json_next_member(&d.r, &name));
	json_fail(&d.r, "mine");
	assert_int_equal(json_peek(&d.r), JSON_NONE);
	assert_int_equal(json_string(&d.r).len, 0);
	assert_int_equal(json_number(&d.r).len, 0);
	assert_false(json_bool(&d.r));
	json_null(&d.r);
	json_skip(&d.r);
	assert_null(json_raw(&d.r).data);
	assert_false(json_enter_object(&d.r));
	assert_false(json_enter_array(&d.r));
	assert_false(json_next_element(&d.r));
	assert_false(json_next_member(&d.r, &name));
	json_end(&d.r);
	assert_string_equal(d.r.failure, "mine");
	doc_close(&d);
}

static void
read_string(struct json_reader *r)
{
	json_string(r);
}

static void
read_number(struct json_reader *r)
{
	json_number(r);
}

static void
read_bool(struct json_reader *r)
{
	json_bool(r);
}

static void
read_array(struct json_reader *r)
{
	json_enter_array(r);
}

static void
read_struct(struct json_reader *r)
{
	json_mismatch(r, JSON_WANT_STRUCT_ITEM, "com.amazonaws.dynamodb.v20120810.Tag");
}

static void
wrong_types_are_told_in_the_services_words(void **state)
{
	static const struct {
		const char *text;
		void (*read)(struct json_reader *);
		const char *words;
	} cases[] = {
	    {"23", read_string, "NUMBER_VALUE cannot be converted to String"},
	    {"-2147483648", read_string, "NUMBER_VALUE cannot be converted to String"},
	    {"34.56", read_string, "DECIMAL_VALUE cannot be converted to String"},
	    {"true", read_string, "TRUE_VALUE cannot be converted to String"},
	    {"false", read_string, "FALSE_VALUE cannot be converted to String"},
	    {"[]", read_string, "Unrecognized collection type class java.lang.String"},
	    {"{}", read_string, "Start of structure or map found where not expected"},
	    {"\"23\"", read_number, "STRING_VALUE cannot be converted to Integer"},
	    {"true", read_number, "TRUE_VALUE cannot be converted to Integer"},
	    {"[]", read_number, "Unrecognized collection type class java.lang.Integer"},
	    {"23", read_bool, "NUMBER_VALUE cannot be converted to Boolean"},
	    {"\"23\"", read_bool, "Unexpected token received from parser"},
	    {"[]", read_bool, "Unrecognized collection type class java.lang.Boolean"},
	    {"{}", read_bool, "Start of structure or map found where not expected"},
	    {"\"23\"", read_array, "Unexpected field type"},
	    {"{}", read_array, "Start of structure or map found where not expected"},
	    {"1", read_struct, "Unexpected value type in payload"},
	    {"[]", read_struct, "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.Tag"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct doc d;

		doc_open(&d, cases[i].text, strlen(cases[i].text));
		cases[i].read(&d.r);
		assert_string_equal(d.r.failure, cases[i].words);
		assert_true(d.r.wrong_type);
		doc_close(&d);
	}
}

static void
booleans_may_be_strings(void **state)
{
	static const char text[] = "[true,\"True\",\"1\",\"YES\",false,\"false\",\"0\",\"no\"]";
	struct doc d;

	(void)state;
	doc_open(&d, text, sizeof text - 1);
	json_enter_array(&d.r);
	for (int i = 0; json_next_element(&d.r); i++)
		assert_int_equal(json_bool(&d.r), i < 4);
	json_end(&d.r);
	assert_null(d.r.failure);
	doc_close(&d);
}

static void
written_strings_read_back_the_same(void **state)
{
	char bytes[0x80 + 40];
	struct buf out = {0};

	(void)state;
	for (size_t i = 0; i < 0x80; i++)
		bytes[i] = (char)i;
	for (size_t i = 0x80; i < sizeof bytes; i++)
		bytes[i] = 'x';
	for (size_t start = 0; start < 0x80; start += 7) {
		struct slice got;
		struct doc d;

		out.len = 0;
		json_put_string(&out, slice_of(bytes + start, sizeof bytes - start));
		doc_open(&d, out.data, out.len);
		got = json_string(&d.r);
		json_end(&d.r);
		assert_null(d.r.failure);
		assert_true(slice_eq(got, slice_of(bytes + start, sizeof bytes - start)));
		doc_close(&d);
	}
	out.len = 0;
	json_put_string(&out, SLICE_NONE);
	json_put_string(&out, SLICE("a\"b\\c\n\x0b/\xC3\xA9"));
	assert_true(slice_eq(buf_slice(&out), SLICE("\"\"\"a\\\"b\\\\c\\n\\u000B/\xC3\xA9\"")));
	buf_done(&out);
}

static void
plain_text_is_copied_and_what_wants_an_escape_is_seen_wherever_it_is(void **state)
{
	static const char escaped[] = {'"', '\\', 0, 0x1F};

	(void)state;
	for (size_t len = 0; len <= 300; len++) {
		char *text = malloc(len + 1), *to = malloc(len + 2); /* of their exact size, for a sanitizer */

		memset(text, 'a' + (int)(len % 26), len);
		assert_ptr_equal(json_write_plain(to, slice_of(text, len)), to + len + 2);
		assert_int_equal(to[0], '"');
		assert_memory_equal(to + 1, text, len);
		assert_int_equal(to[len + 1], '"');
		for (size_t at = 0; at < len; at++) {
			char before = text[at];

			text[at] = escaped[at % sizeof escaped];
			assert_null(json_write_plain(to, slice_of(text, len)));
			text[at] = before;
		}
		free(text);
		free(to);
	}
}

static void
numbers_are_written_as_people_expect(void **state)
{
	static const struct {
		double value;
		const char *text;
	} doubles[] = {{5.0, "5.0"},
		       {0.5, "0.5"},
		       {1.0, "1.0"},
		       {0, "0.0"},
		       {-2.5, "-2.5"},
		       {1763832600.123, "1763832600.123"},
		       {0.1, "0.1"},
		       {1.0 / 3, "0.3333333333333333"},
		       {12345678901234567.0, "12345678901234568.0"},
		       {1e300, "1e+300"},
		       {INFINITY, "null"}};
	static const struct {
		int64_t value;
		const char *text;
	} ints[] = {{0, "0"},
		    {-1, "-1"},
		    {1234567890123, "1234567890123"},
		    {INT64_MAX, "9223372036854775807"},
		    {INT64_MIN, "-9223372036854775808"}};
	struct buf out = {0};

	(void)state;
	for (size_t i = 0; i < sizeof doubles / sizeof doubles[0]; i++) {
		out.len = 0;
		json_put_double(&out, doubles[i].value);
		buf_put_byte(&out, 0);
		assert_string_equal(out.data, doubles[i].text);
	}
	for (size_t i = 0; i < sizeof ints / sizeof ints[0]; i++) {
		out.len = 0;
		json_put_int(&out, ints[i].value);
		buf_put_byte(&out, 0);
		assert_string_equal(out.data, ints[i].text);
	}
	buf_done(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_rfc_8259_allows_is_read),
	    cmocka_unit_test(what_rfc_8259_forbids_is_refused),
	    cmocka_unit_test(every_beginning_of_a_document_is_refused),
	    cmocka_unit_test(nesting_ends_at_the_limit),
	    cmocka_unit_test(members_and_elements_come_in_order),
	    cmocka_unit_test(strings_without_escapes_are_not_copied),
	    cmocka_unit_test(escapes_become_their_characters),
	    cmocka_unit_test(first_failure_stays_and_stops_everything),
	    cmocka_unit_test(wrong_types_are_told_in_the_services_words),
	    cmocka_unit_test(booleans_may_be_strings),
	    cmocka_unit_test(written_strings_read_back_the_same),
	    cmocka_unit_test(plain_text_is_copied_and_what_wants_an_escape_is_seen_wherever_it_is),
	    cmocka_unit_test(numbers_are_written_as_people_expect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
