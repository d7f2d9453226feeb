#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/av_json.h"
#include "model/number.h"

#define EMPTY "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
#define SEVERAL                                                                                                        \
	"Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
#define INVALID      "One or more parameter values were invalid: "
#define NOT_A_NUMBER "The parameter cannot be converted to a numeric value"
#define TOO_DEEP                                                                                                       \
	"Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported "   \
	"limit"

/* Reads a value, or an item; the text lies in memory of its exact size, so that a sanitizer sees a byte read too far.
 */
struct reading {
	char *text;
	struct arena arena;
	struct json_reader r;
	struct av value;
	enum status status;
	struct err err;
};

static struct reading *
read_json(const char *text, bool item)
{
	struct reading *got = calloc(1, sizeof *got);
	size_t len = strlen(text);

	got->text = malloc(len + 1);
	memcpy(got->text, text, len);
	got->text = realloc(got->text, len > 0 ? len : 1);
	json_init(&got->r, slice_of(got->text, len), &got->arena);
	if (item)
		got->status = item_read_json(&got->r, &got->arena, &got->value, &got->err);
	else
		got->status = av_read_json(&got->r, &got->arena, &got->value, &got->err);
	json_end(&got->r);
	return got;
}

static void
done(struct reading *got)
{
	arena_done(&got->arena);
	free(got->text);
	free(got);
}

static void
becomes(const char *text, const char *wanted, bool item)
{
	struct reading *got = read_json(text, item);
	struct buf out = {0};

	if (got->status != S_OK || json_failed(&got->r))
		fail_msg("%s: %s %s", text, got->err.message, got->r.failure);
	if (av_check(slice_of(got->value.data, got->value.len), &got->err) != S_OK)
		fail_msg("%s: %s", text, got->err.message);
	if (item)
		item_write_json(&out, got->value);
	else
		av_write_json(&out, got->value);
	buf_put_byte(&out, 0);
	assert_string_equal(out.data, wanted);
	buf_done(&out);
	done(got);
}

static void
every_type_comes_back(void **state)
{
	static const char *const same[] = {
	    "{\"S\":\"\"}",
	    "{\"S\":\"text\"}",
	    "{\"S\":\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"}",
	    "{\"S\":\"a quote \\\" and \\\\ and \\n\\t\\u0001 in a text that is long\"}",
	    "{\"N\":\"0\"}",
	    "{\"N\":\"-12.5\"}",
	    "{\"B\":\"\"}",
	    "{\"B\":\"AAEC/w==\"}",
	    "{\"BOOL\":true}",
	    "{\"BOOL\":false}",
	    "{\"NULL\":true}",
	    "{\"SS\":[\"\",\"a\",\"b\"]}",
	    "{\"NS\":[\"-3\",\"0\",\"1.5\",\"20\"]}",
	    "{\"BS\":[\"\",\"AA==\",\"/w==\"]}",
	    "{\"L\":[]}",
	    "{\"L\":[{\"S\":\"x\"},{\"N\":\"1\"},{\"L\":[{\"NULL\":true}]},{\"M\":{}}]}",
	    "{\"M\":{}}",
	    "{\"M\":{\"a\":{\"S\":\"x\"},\"b\":{\"M\":{\"c\":{\"BOOL\":false}}}}}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
		becomes(same[i], same[i], false);
	becomes("{}", "{}", true);
	becomes("{\"pk\":{\"S\":\"x\"}}", "{\"pk\":{\"S\":\"x\"}}", true);
}

static void
order_blanks_and_escapes_do_not_matter(void **state)
{
	(void)state;
	becomes(" { \"S\" : \"x\" } ", "{\"S\":\"x\"}", false);
	becomes("{\"\\u0053\":\"\\u0078\"}", "{\"S\":\"x\"}", false);
	becomes("{\"S\": \"x\" }", "{\"S\":\"x\"}", false);
	becomes("{\"N\": \"1e2\"\n}", "{\"N\":\"100\"}", false);
	becomes("{\"SS\":[\"b\",\"a\"]}", "{\"SS\":[\"a\",\"b\"]}", false);
	becomes("{\"NS\":[\"10\",\"9\",\"-1\"]}", "{\"NS\":[\"-1\",\"9\",\"10\"]}", false);
	becomes("{\"BS\":[\"/w==\",\"AA==\"]}", "{\"BS\":[\"AA==\",\"/w==\"]}", false);
	becomes("{\"b\": {\"S\": \"2\"}, \"a\\n\": {\"N\": \"1\"}, \"ab\": {\"BOOL\": true}}",
		"{\"a\\n\":{\"N\":\"1\"},\"ab\":{\"BOOL\":true},\"b\":{\"S\":\"2\"}}", true);
	becomes("{\"NULL\":\"yes\"}", "{\"NULL\":true}", false);
	becomes("{\"BOOL\":\"False\"}", "{\"BOOL\":false}", false);
}

static void
unknown_and_null_members_are_ignored(void **state)
{
	(void)state;
	becomes("{\"S\":\"x\",\"N\":null}", "{\"S\":\"x\"}", false);
	becomes("{\"X\":[{\"S\":1}],\"S\":\"x\",\"\":{}}", "{\"S\":\"x\"}", false);
	becomes("{\"S\":null,\"N\":\"1\"}", "{\"N\":\"1\"}", false);
}

static void
refused(const char *text, const char *message, bool item)
{
	struct reading *got = read_json(text, item);

	if (got->status != S_VALIDATION || strcmp(got->err.message, message) != 0)
		fail_msg("%s: %d %s", text, got->status, got->status != S_OK ? got->err.message : "was read");
	assert_false(av_exists(got->value));
	assert_false(json_failed(&got->r)); /* the JSON goes on behind it */
	done(got);
}

static void
bad_values_are_refused_in_dynamodbs_words(void **state)
{
	static const char *const cases[][2] = {
	    {"{}", EMPTY},
	    {"null", EMPTY},
	    {"{\"a\":\"\"}", EMPTY},
	    {"{\"S\":null}", EMPTY},
	    {"{\"M\":{\"a\":{}}}", EMPTY},
	    {"{\"L\":[{}]}", EMPTY},
	    {"{\"L\":[{\"a\":{}}]}", EMPTY},
	    {"{\"S\":\"a\",\"N\":\"1\"}", SEVERAL},
	    {"{\"S\":\"a\",\"L\":[],\"M\":{}}", SEVERAL},
	    {"{\"S\":\"a\",\"N\":\"b\"}", NOT_A_NUMBER ": b"},
	    {"{\"S\":\"a\",\"M\":{\"x\":{}}}", EMPTY},
	    {"{\"NULL\":false}", INVALID "Null attribute value types must have the value of true"},
	    {"{\"NULL\":\"no\"}", INVALID "Null attribute value types must have the value of true"},
	    {"{\"SS\":[]}", INVALID "An string set  may not be empty"},
	    {"{\"NS\":[]}", INVALID "An number set  may not be empty"},
	    {"{\"BS\":[]}", INVALID "Binary sets should not be empty"},
	    {"{\"SS\":[\"a\",\"a\"]}", INVALID "Input collection [a, a] contains duplicates."},
	    {"{\"SS\":[\"b\",\"a\",\"b\"]}", INVALID "Input collection [b, a, b] contains duplicates."},
	    {"{\"SS\":[\"\",\"\"]}", INVALID "Input collection [, ] contains duplicates."},
	    {"{\"BS\":[\"Yg==\",\"Yg==\"]}", INVALID "Input collection [Yg==, Yg==]of type BS contains duplicates."},
	    {"{\"NS\":[\"1\",\"1.0\"]}", "Input collection contains duplicates"},
	    {"{\"N\":\"\"}", NOT_A_NUMBER},
	    {"{\"N\":\"abc\"}", NOT_A_NUMBER ": abc"},
	    {"{\"NS\":[\"1\",\"b\"]}", NOT_A_NUMBER ": b"},
	    {"{\"L\":[{\"N\":\"b\"},{}]}", NOT_A_NUMBER ": b"},
	    {"{\"L\":[{},{\"N\":\"b\"}]}", EMPTY},
	    {"{\"N\":\"1e126\"}",
	     "Number overflow. Attempting to store a number with magnitude larger than supported range"},
	    {"{\"M\":{\"\":{\"S\":\"x\"}}}", "Empty attribute name"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		refused(cases[i][0], cases[i][1], false);
	refused("{\"a\":{},\"b\":{\"S\":\"x\"}}", EMPTY, true);
	refused("{\"a\":null}", EMPTY, true);
	refused("{\"a\":{\"N\":\"x\"},\"\":{\"S\":\"x\"}}", "Empty attribute name", true);
}

static void
not_read(const char *text, const char *message, bool item)
{
	struct reading *got = read_json(text, item);

	if (got->status != S_SERIALIZATION || !json_failed(&got->r) || strcmp(got->err.message, message) != 0)
		fail_msg("%s: %d %s", text, got->status, got->status != S_OK ? got->err.message : "was read");
	assert_false(av_exists(got->value));
	done(got);
}

static void
wrong_json_types_are_serialization_errors(void **state)
{
	static const char structure[] = "Start of structure or map found where not expected";
	static const char not_base64[] = "only base-64-encoded strings are convertible to bytes";
	static const char no_value[] =
	    "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.AttributeValue";
	static const char no_map[] = "Unrecognized collection type java.util.Map<java.lang.String, "
				     "com.amazonaws.dynamodb.v20120810.AttributeValue>";
	static const char *const cases[][2] = {
	    {"23", "Unexpected value type in payload"},
	    {"\"23\"", "Unexpected value type in payload"},
	    {"[]", no_value},
	    {"{\"S\":23}", "NUMBER_VALUE cannot be converted to String"},
	    {"{\"N\":23}", "NUMBER_VALUE cannot be converted to String"},
	    {"{\"N\":34.56}", "DECIMAL_VALUE cannot be converted to String"},
	    {"{\"S\":true}", "TRUE_VALUE cannot be converted to String"},
	    {"{\"S\":[]}", "Unrecognized collection type class java.lang.String"},
	    {"{\"S\":{}}", structure},
	    {"{\"B\":true}", not_base64},
	    {"{\"B\":34.56}", not_base64},
	    {"{\"B\":[]}", "Unrecognized collection type class java.nio.ByteBuffer"},
	    {"{\"B\":{}}", structure},
	    {"{\"B\":\"23456\"}", "Base64 encoded length is expected a multiple of 4 bytes but found: 5"},
	    {"{\"B\":\"=+/=\"}", "Invalid last non-pad Base64 character dectected"},
	    {"{\"B\":\"+/+=\"}", "Invalid last non-pad Base64 character dectected"},
	    {"{\"BOOL\":\"23\"}", "Unexpected token received from parser"},
	    {"{\"BOOL\":23}", "NUMBER_VALUE cannot be converted to Boolean"},
	    {"{\"NULL\":34.56}", "DECIMAL_VALUE cannot be converted to Boolean"},
	    {"{\"NULL\":[]}", "Unrecognized collection type class java.lang.Boolean"},
	    {"{\"SS\":\"23\"}", "Unexpected field type"},
	    {"{\"SS\":{}}", structure},
	    {"{\"SS\":[1]}", "NUMBER_VALUE cannot be converted to String"},
	    {"{\"NS\":[true]}", "TRUE_VALUE cannot be converted to String"},
	    {"{\"BS\":[1]}", not_base64},
	    {"{\"L\":true}", "Unexpected field type"},
	    {"{\"L\":{}}", structure},
	    {"{\"L\":[1]}", "Unexpected value type in payload"},
	    {"{\"L\":[[]]}", no_value},
	    {"{\"L\":[{\"BS\":[[]]}]}", "Unrecognized collection type class java.nio.ByteBuffer"},
	    {"{\"M\":23}", "Unexpected field type"},
	    {"{\"M\":[]}", no_map},
	    {"{\"M\":{\"a\":\"x\"}}", "Unexpected value type in payload"},
	    {"{\"M\":{\"a\":[]}}", no_value},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		not_read(cases[i][0], cases[i][1], false);
	not_read("[]", no_map, true);
	not_read("\"x\"", "Unexpected field type", true);
	not_read("{\"a\":23}", "Unexpected value type in payload", true);
	/* also behind a value error */
	not_read("{\"a\":{},\"b\":{\"S\":1}}", "NUMBER_VALUE cannot be converted to String", true);
}

static void
malformed_json_and_double_names_have_no_words(void **state)
{
	static const char *const texts[] = {
	    "",
	    "{",
	    "{\"S\"",
	    "{\"S\":",
	    "{\"S\":}",
	    "{\"S\":\"x",
	    "{\"S\":\"x\"",
	    "{\"S\":\"x\",",
	    "{\"S\":\"x\",}",
	    "{\"S\":\"\xff\"}",
	    "{\"S\":\"\n\"}",
	    "{\"N\":\"1\" \"S\"}",
	    "{\"SS\":[\"a\"",
	    "{\"SS\":[\"a\",]}",
	    "{\"M\":{\"a\":{\"S\":\"x\"}",
	    "{\"L\":[{\"S\":\"x\"}",
	    "{\"S\":\"x\",\"S\":\"y\"}",
	    "{\"M\":{\"a\":{\"S\":\"x\"},\"a\":{\"S\":\"x\"}}}",
	    "{\"M\":{\"b\":{\"S\":\"1\"},\"a\":{\"S\":\"x\"},\"b\":{\"N\":\"2\"}}}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		not_read(texts[i], "", false);
	not_read("{\"a\":{\"S\":\"x\"},\"\\u0061\":{\"S\":\"y\"}}", "", true);
}

/* A text inside so many maps, one in the other. */
static char *
nested(int depth, const char *open, const char *close)
{
	struct buf text = {0};

	for (int i = 0; i < depth; i++)
		buf_put(&text, open, strlen(open));
	buf_put_lit(&text, "{\"S\":\"leaf\"}");
	for (int i = 0; i < depth; i++)
		buf_put(&text, close, strlen(close));
	buf_put_byte(&text, 0);
	return text.data;
}

static void
nesting_ends_below_31_containers(void **state)
{
	static const char *const kinds[][2] = {{"{\"M\":{\"n\":", "}}"}, {"{\"L\":[", "]}"}};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		static const int deeper[] = {32, 33, 40, 63, 100, 250};
		char *text = nested(31, kinds[i][0], kinds[i][1]), whole[8192];

		becomes(text, text, false);
		snprintf(whole, sizeof whole, "{\"a\":%s}", text);
		becomes(whole, whole, true);
		free(text);
		for (size_t d = 0; d < sizeof deeper / sizeof deeper[0]; d++) {
			text = nested(deeper[d], kinds[i][0], kinds[i][1]);
			refused(text, TOO_DEEP, false);
			snprintf(whole, sizeof whole, "{\"a\":%s}", text);
			refused(whole, TOO_DEEP, true);
			free(text);
		}
		text = nested(400, kinds[i][0], kinds[i][1]);
		not_read(text, "", false);
		free(text);
	}
}

static void
many_attributes_and_elements_are_sorted(void **state)
{
	struct buf text = {0};
	struct reading *got;
	struct av_iter it;
	int i = 0;

	(void)state;
	buf_put_lit(&text, "{\"set\":{\"NS\":[");
	for (int n = 4999; n >= 0; n--)
		buf_printf(&text, "\"%d\"%s", n, n > 0 ? "," : "]}");
	for (int n = 4999; n >= 0; n--)
		buf_printf(&text, ",\"name%04d\":{\"N\":\"%d\"}", (n * 2741) % 5000, (n * 2741) % 5000);
	buf_put_lit(&text, "}");
	buf_put_byte(&text, 0);
	got = read_json(text.data, true);
	assert_int_equal(got->status, S_OK);
	assert_int_equal(av_check(slice_of(got->value.data, got->value.len), &got->err), S_OK);
	assert_int_equal(av_count(got->value), 5001);
	for (it = av_iter(got->value); av_next(&it) && i < 5000; i++) {
		char name[16], number[NUMBER_TEXT_MAX];

		snprintf(name, sizeof name, "name%04d", i);
		assert_true(slice_eq(it.name, slice_str(name)));
		assert_int_equal(number_format_encoded(av_bytes(it.value), number), i < 10     ? 1
										    : i < 100  ? 2
										    : i < 1000 ? 3
											       : 4);
	}
	assert_int_equal(av_count(av_get(got->value, SLICE("set"))), 5000);
	done(got);
	buf_done(&text);
}

static void
long_duplicates_are_cut_in_the_message(void **state)
{
	struct buf text = {0};
	struct reading *got;

	(void)state;
	buf_put_lit(&text, "{\"SS\":[");
	for (int i = 0; i < 2; i++) {
		buf_put_lit(&text, "\"");
		for (int n = 0; n < 3000; n++)
			buf_put_lit(&text, "\xC3\xA9");
		buf_put_lit(&text, "\"");
		if (i == 0)
			buf_put_lit(&text, ",");
	}
	buf_put_lit(&text, "]}");
	buf_put_byte(&text, 0);
	got = read_json(text.data, false);
	assert_int_equal(got->status, S_VALIDATION);
	assert_in_range(strlen(got->err.message), ERR_MESSAGE_MAX - 8, ERR_MESSAGE_MAX - 1);
	done(got);
	buf_done(&text);
}

static void
texts_of_every_length_are_written(void **state)
{
	char bytes[80];

	(void)state;
	for (size_t len = 0; len < sizeof bytes; len++) {
		for (size_t special = 0; special <= len; special++) { /* == len: none */
			struct arena arena = {0};
			struct buf out = {0};
			struct json_reader r;
			struct slice got;

			memset(bytes, 'x', sizeof bytes);
			bytes[special] = "\"\\\n\x1f"[special % 4];
			av_write_json(&out, av_string(&arena, slice_of(bytes, len)));
			json_init(&r, slice_of(out.data + 5, out.len - 6), &arena);
			got = json_string(&r);
			json_end(&r);
			assert_null(r.failure);
			assert_true(slice_eq(got, slice_of(bytes, len)));
			arena_done(&arena);
			buf_done(&out);
		}
	}
}

/* The reader has a short way for common attributes and a long one for the rest: both must see the same. */
static void
short_and_long_ways_read_the_same(void **state)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
	static const char *const colons[] = {":", ": ", "  : "};
	static const char *const commas[] = {",", ", ", " , "};
	static const char *const sent[] = {"x", "\\n", "\xC3\xA9", "\\u0041", "}", ",\\\""};
	static const char *const shown[] = {"x", "\\n", "\xC3\xA9", "A", "}", ",\\\""};

	(void)state;
	for (int i = 0; i < 40 * 3 * 6; i++) {
		const char *colon = colons[i % 3], *comma = commas[i % 3];
		const char *s = sent[i / 3 % 6], *w = shown[i / 3 % 6];
		int len = i / 18;
		char text[512], wanted[512];

		/* the names begin so that they are in order */
		snprintf(text, sizeof text,
			 "{\"1%.*s%s\"%s{\"S\"%s\"%s%.*s\"}%s\"2%.*s%s\"%s{\"N\"%s\"%d\"}%s\"3\":{\"BOOL\":true}}", len,
			 letters, s, colon, colon, s, len, letters, comma, len, letters, s, colon, colon, len, comma);
		snprintf(wanted, sizeof wanted,
			 "{\"1%.*s%s\":{\"S\":\"%s%.*s\"},\"2%.*s%s\":{\"N\":\"%d\"},\"3\":{\"BOOL\":true}}", len,
			 letters, w, w, len, letters, len, letters, w, len);
		becomes(text, wanted, true);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_type_comes_back),
	    cmocka_unit_test(order_blanks_and_escapes_do_not_matter),
	    cmocka_unit_test(unknown_and_null_members_are_ignored),
	    cmocka_unit_test(bad_values_are_refused_in_dynamodbs_words),
	    cmocka_unit_test(wrong_json_types_are_serialization_errors),
	    cmocka_unit_test(malformed_json_and_double_names_have_no_words),
	    cmocka_unit_test(nesting_ends_below_31_containers),
	    cmocka_unit_test(many_attributes_and_elements_are_sorted),
	    cmocka_unit_test(long_duplicates_are_cut_in_the_message),
	    cmocka_unit_test(texts_of_every_length_are_written),
	    cmocka_unit_test(short_and_long_ways_read_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
