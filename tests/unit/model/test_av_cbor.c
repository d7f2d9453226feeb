/* The vectors are what two clients were recorded to send for a text, and a server's answer they were seen to accept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codec/json.h"
#include "model/av_cbor.h"
#include "model/av_json.h"

static struct slice
unhex(const char *text, uint8_t *ret)
{
	size_t len = 0;

	for (; text[0] != '\0'; text += 2) {
		unsigned byte;

		assert_int_equal(sscanf(text, "%2x", &byte), 1);
		ret[len++] = (uint8_t)byte;
	}
	return slice_of(ret, len);
}

static void
expect_hex(const struct buf *out, const char *hex)
{
	char text[512];

	assert_true(out->len < 256);
	for (size_t i = 0; i < out->len; i++)
		snprintf(text + 2 * i, 3, "%02x", (uint8_t)out->data[i]);
	text[2 * out->len] = '\0';
	assert_string_equal(text, hex);
}

static struct slice
encode(const char *text, uint8_t ret[NUMBER_ENCODED_MAX])
{
	struct err err;
	size_t len = number_encode_text(slice_str(text), ret, &err);

	assert_true(len > 0);
	return slice_of(ret, len);
}

static const struct {
	const char *text, *client, *other_client, *ours;
} numbers[] = {
    {"0", "00", "00", "00"},
    {"-0", "00", "00", "00"},
    {"1", "01", "01", "01"},
    {"-1", "20", "20", "20"},
    {"23", "17", "17", "17"},
    {"24", "1818", "1818", "1818"},
    {"1.0", "c482200a", "c482200a", "01"},
    {"1.5", "fb3ff8000000000000", "c482200f", "c482200f"},
    {"0.1", "fb3fb999999999999a", "c4822001", "c4822001"},
    {"1e3", "c4820301", "c4820301", "1903e8"},
    {"1E+3", "c4820301", "c4820301", "1903e8"},
    {"1e-5", "c4822401", "c4822401", "c4822401"},
    {"100", "1864", "1864", "1864"},
    {"255", "18ff", "18ff", "18ff"},
    {"256", "190100", "190100", "190100"},
    {"65535", "19ffff", "19ffff", "19ffff"},
    {"65536", "1a00010000", "1a00010000", "1a00010000"},
    {"4294967296", "1b0000000100000000", "1b0000000100000000", "1b0000000100000000"},
    {"9007199254740991", "1b001fffffffffffff", "1b001fffffffffffff", "1b001fffffffffffff"},
    {"9007199254740993", "c24720000000000001", "1b0020000000000001", "1b0020000000000001"},
    {"-9007199254740993", "c34720000000000000", "3b0020000000000000", "3b0020000000000000"},
    {"123456789012345678", "c24801b69b4ba630f34e", "1b01b69b4ba630f34e", "1b01b69b4ba630f34e"},
    {"1234567890123456789", "c248112210f47de98115", "1b112210f47de98115", "1b112210f47de98115"},
    {"18446744073709551615", "c248ffffffffffffffff", "1bffffffffffffffff", "c248ffffffffffffffff"},
    {"18446744073709551616", "c249010000000000000000", "c249010000000000000000", "c249010000000000000000"},
    {"99999999999999999999999999999999999999", "c2504b3b4ca85a86c47a098a223fffffffff",
     "c2504b3b4ca85a86c47a098a223fffffffff", "c2504b3b4ca85a86c47a098a223fffffffff"},
    {"-99999999999999999999999999999999999999", "c3504b3b4ca85a86c47a098a223ffffffffe",
     "c3504b3b4ca85a86c47a098a223ffffffffe", "c3504b3b4ca85a86c47a098a223ffffffffe"},
    {"3.14159", "fb400921f9f01b866e", "c482241a0004cb2f", "c482241a0004cb2f"},
    {"-2.50", "c4822138f9", "c4822138f9", "c482203818"},
    {"0.30000000000000004", "fb3fd3333333333334", "c482301b006a94d74f430004", "c482301b006a94d74f430004"},
    {"1.2345678901234567890", "c48232c248ab54a98ceb1f0ad2", "c482321bab54a98ceb1f0ad2", "c482311b112210f47de98115"},
    {"1e-130", "fb24f1bebdf578b2f4", "c482388101", "c482388101"},
    {"9.99e125", "c482187b1903e7", "c482187b1903e7", "c482187b1903e7"},
};

static void
all_forms_of_a_number_are_the_number(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		const char *const forms[] = {numbers[i].client, numbers[i].other_client, numbers[i].ours};

		for (size_t j = 0; j < 3; j++) {
			uint8_t bytes[64], want[NUMBER_ENCODED_MAX], got[NUMBER_ENCODED_MAX];
			struct slice expected = encode(numbers[i].text, want);
			struct buf text = {0};
			struct cbor_reader r;
			struct err err;
			size_t len;

			cbor_init(&r, unhex(forms[j], bytes));
			number_read_cbor(&r, &text);
			assert_false(cbor_failed(&r));
			assert_true(cbor_at_end(&r));
			len = number_encode_text(buf_slice(&text), got, &err);
			if (!slice_eq(slice_of(got, len), expected))
				fail_msg("%s as %s read as %.*s", numbers[i].text, forms[j],
					 SLICE_ARG(buf_slice(&text)));
			buf_done(&text);
		}
	}
}

static void
numbers_are_written_as_clients_accept_them(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		uint8_t bytes[NUMBER_ENCODED_MAX];
		struct buf out = {0};

		number_write_cbor(&out, encode(numbers[i].text, bytes));
		expect_hex(&out, numbers[i].ours);
		buf_done(&out);
	}
}

static const struct {
	const char *text, *client, *stripped;
} lex[] = {
    {"0", "80", "80"},
    {"1", "c11c0000", "c11c0000"},
    {"-1", "3ee3fff0", "3ee3fff0"},
    {"7", "c1b20000", "c1b20000"},
    {"10", "c21c0010", "c21c0000"},
    {"12", "c2210010", "c2210010"},
    {"123", "c321c020", "c321c020"},
    {"1000", "c41c00c000", "c41c0000"},
    {"1000000", "c71c00c03000", "c71c0000"},
    {"1000000000", "ca1c00c0300c0000", "ca1c0000"},
    {"10.25", "c21ca00000", "c21ca00000"},
    {"1.50", "c1288020", "c1288010"},
    {"0.001", "be1c0000", "be1c0000"},
    {"-0.001", "41e3fff0", "41e3fff0"},
    {"-123.456", "3cde22bff4", "3cde22bff4"},
    {"12345.6789", "c521dd4c8402", "c521dd4c8402"},
    {"1e61", "fe8000003e1c0000", "fe8000003e1c0000"},
    {"1e62", "fe8000003f1c0000", "fe8000003f1c0000"},
    {"1e-64", "817fffffc11c0000", "817fffffc11c0000"},
    {"99999999999999999999999999999999999999", "e6fcff3fcff3fcff3fcff3fcff3fcff3fa8010",
     "e6fcff3fcff3fcff3fcff3fcff3fcff3fa8010"},
    {"-5", "3e7ffff0", "3e7ffff0"},
    {"1e3", "c41c0000", "c41c0000"},
};

static void
lexdecimals_read_with_and_without_zeros(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof lex / sizeof *lex; i++) {
		const char *const forms[] = {lex[i].client, lex[i].stripped};

		for (size_t j = 0; j < 2; j++) {
			uint8_t bytes[64], want[NUMBER_ENCODED_MAX], got[NUMBER_ENCODED_MAX];
			struct buf text = {0};
			struct slice whole = unhex(forms[j], bytes);
			struct err err;
			size_t len;

			assert_true(lexdecimal_read(whole, &text));
			len = number_encode_text(buf_slice(&text), got, &err);
			if (!slice_eq(slice_of(got, len), encode(lex[i].text, want)))
				fail_msg("%s as %s read as %.*s", lex[i].text, forms[j], SLICE_ARG(buf_slice(&text)));
			buf_done(&text);
			/* cut off, or with more behind, it is none */
			for (size_t less = 0; less < whole.len; less++) {
				assert_false(lexdecimal_read(slice_of(whole.data, less), &text));
				buf_done(&text);
			}
			bytes[whole.len] = 0;
			assert_false(lexdecimal_read(slice_of(bytes, whole.len + 1), &text));
			buf_done(&text);
		}
	}
}

static void
lexdecimals_sort_as_numbers(void **state)
{
	static const char *const ascending[] = {"-9.9E125",   "-1E62",
						"-123.456",   "-5",
						"-1",         "-0.001",
						"-1E-64",     "-1E-130",
						"0",          "1E-130",
						"1E-64",      "0.001",
						"1",          "1.5",
						"7",          "10",
						"10.25",      "12",
						"123",        "1000",
						"12345.6789", "99999999999999999999999999999999999999",
						"1E61",       "1E62",
						"9.9E125"};
	struct buf before = {0}, out = {0};

	(void)state;
	for (size_t i = 0; i < sizeof ascending / sizeof *ascending; i++) {
		uint8_t bytes[NUMBER_ENCODED_MAX], again[NUMBER_ENCODED_MAX];
		struct buf text = {0}, swap;
		struct slice encoded = encode(ascending[i], bytes);
		struct err err;

		out.len = 0;
		lexdecimal_write(&out, encoded);
		if (i > 0 && slice_cmp(buf_slice(&before), buf_slice(&out)) >= 0)
			fail_msg("%s does not sort before %s", ascending[i - 1], ascending[i]);
		assert_true(lexdecimal_read(buf_slice(&out), &text));
		assert_true(slice_eq(slice_of(again, number_encode_text(buf_slice(&text), again, &err)), encoded));
		buf_done(&text);
		swap = before;
		before = out;
		out = swap;
	}
	buf_done(&before);
	buf_done(&out);
}

static void
integers_keep_their_zeros_in_keys(void **state)
{
	static const char *const whole[] = {"10",   "c21c0010", "1000000", "c71c00c03000",
					    "1.50", "c1288010", "-5",      "3e7ffff0"};

	(void)state;
	for (size_t i = 0; i < sizeof whole / sizeof *whole; i += 2) {
		uint8_t bytes[NUMBER_ENCODED_MAX];
		struct buf out = {0};

		lexdecimal_write(&out, encode(whole[i], bytes));
		expect_hex(&out, whole[i + 1]);
		buf_done(&out);
	}
}

static void
what_is_too_large_keeps_dynamodbs_words(void **state)
{
	static const char *const large[] = {
	    "c4821a7fffffff01",
	    "c4821b7fffffffffffffff01",
	    "c482190400c24101",
	    "fb7fe0000000000000",
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
		uint8_t bytes[64], encoded[NUMBER_ENCODED_MAX];
		struct buf text = {0};
		struct cbor_reader r;

		cbor_init(&r, unhex(large[i], bytes));
		number_read_cbor(&r, &text);
		assert_false(cbor_failed(&r));
		assert_int_equal(number_encode_text(buf_slice(&text), encoded, &err), 0);
		assert_non_null(strstr(err.message, "Number overflow"));
		buf_done(&text);
	}
}

static void
what_is_no_number_is_refused(void **state)
{
	static const char *const bad[] = {
	    "",     "60",     "40",   "80",     "f6",         "f97c00", "fb7ff8000000000000", "c1",      "c100", "c2",
	    "c200", "c26101", "c480", "c48100", "c483000102", "c4a0",   "c482006131",         "c4820060"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		uint8_t bytes[64];
		struct buf text = {0};
		struct cbor_reader r;

		cbor_init(&r, unhex(bad[i], bytes));
		number_read_cbor(&r, &text);
		if (!cbor_failed(&r))
			fail_msg("%s read as %.*s", bad[i], SLICE_ARG(buf_slice(&text)));
		buf_done(&text);
	}
}

/* JSON -> value -> CBOR -> JSON gives the JSON again. */
static void
values_of_all_types_make_the_round(void **state)
{
	static const char *const values[] = {
	    "{\"S\":\"\"}",
	    "{\"S\":\"a\\\"\u00e4\"}",
	    "{\"N\":\"0\"}",
	    "{\"N\":\"-12.5\"}",
	    "{\"N\":\"123456789012345678901234567890\"}",
	    "{\"B\":\"\"}",
	    "{\"B\":\"AQL/\"}",
	    "{\"BOOL\":true}",
	    "{\"BOOL\":false}",
	    "{\"NULL\":true}",
	    "{\"SS\":[\"a\",\"b\"]}",
	    "{\"NS\":[\"1\",\"2.5\"]}",
	    "{\"BS\":[\"AQ==\",\"Ag==\"]}",
	    "{\"L\":[]}",
	    "{\"M\":{}}",
	    "{\"L\":[{\"M\":{\"a\":{\"L\":[{\"N\":\"1\"}]}}},{\"S\":\"x\"}]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		struct arena arena = {0};
		struct json_reader json;
		struct cbor_reader cbor;
		struct buf wire = {0}, text = {0};
		struct av value;
		struct err err;

		json_init(&json, slice_str(values[i]), &arena);
		assert_int_equal(av_read_json(&json, &arena, &value, &err), S_OK);
		av_write_cbor(&wire, value);
		cbor_init(&cbor, buf_slice(&wire));
		av_cbor_to_json(&cbor, &text);
		assert_false(cbor_failed(&cbor));
		assert_true(cbor_at_end(&cbor));
		if (strchr(values[i], '.') == NULL) {
			buf_put_byte(&text, '\0');
			assert_string_equal(text.data, values[i]);
			text.len--;
		}
		/* spelled 25E-1, it is the same number */
		json_init(&json, buf_slice(&text), &arena);
		{
			struct av again;

			assert_int_equal(av_read_json(&json, &arena, &again, &err), S_OK);
			assert_true(av_equal(value, again));
		}
		buf_done(&wire);
		buf_done(&text);
		arena_done(&arena);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_forms_of_a_number_are_the_number),
	    cmocka_unit_test(numbers_are_written_as_clients_accept_them),
	    cmocka_unit_test(lexdecimals_read_with_and_without_zeros),
	    cmocka_unit_test(lexdecimals_sort_as_numbers),
	    cmocka_unit_test(integers_keep_their_zeros_in_keys),
	    cmocka_unit_test(what_is_too_large_keeps_dynamodbs_words),
	    cmocka_unit_test(what_is_no_number_is_refused),
	    cmocka_unit_test(values_of_all_types_make_the_round),
	};

	return cmocka_run_group_tests_name("av_cbor", tests, NULL, NULL);
}
