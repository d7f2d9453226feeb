#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codec/cbor.h"

static size_t
unhex(const char *text, uint8_t *ret)
{
	size_t len = 0;

	for (; text[0] != '\0'; text += 2) {
		unsigned byte;

		assert_int_equal(sscanf(text, "%2x", &byte), 1);
		ret[len++] = (uint8_t)byte;
	}
	return len;
}

static enum cbor_progress
scan(const char *hex, uint64_t items, size_t max_bytes, size_t *ret_at)
{
	uint8_t bytes[256];
	size_t len = unhex(hex, bytes);
	struct cbor_scan s;
	enum cbor_progress progress;

	cbor_scan_init(&s, items, max_bytes);
	progress = cbor_scan_run(&s, bytes, len);
	*ret_at = s.at;
	return progress;
}

static void
complete_items_are_known_to_be_complete(void **state)
{
	static const char *const items[] = {
	    "00",
	    "17",
	    "1818",
	    "3903e7",
	    "1bffffffffffffffff",
	    "40",
	    "43010203",
	    "6161",
	    "80",
	    "83010203",
	    "a0",
	    "bfff",
	    "bf6161016162f5ff",
	    "9f0102ff",
	    "9f9f9fffffff",
	    "c24101",
	    "d90cf9816161",
	    "f4",
	    "f5",
	    "f6",
	    "f93c00",
	    "fa3f800000",
	    "fb3ff8000000000000",
	};
	size_t at;

	(void)state;
	for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
		char text[64];
		size_t len = strlen(items[i]);

		memcpy(text, items[i], len + 1);
		assert_int_equal(scan(text, 1, 1000, &at), CBOR_DONE);
		assert_int_equal(at, len / 2);
		/* and each beginning is not */
		for (size_t less = len - 2; less > 0; less -= 2) {
			text[less] = '\0';
			assert_int_equal(scan(text, 1, 1000, &at), CBOR_MORE);
		}
	}
}

static void
what_no_message_may_hold_is_refused(void **state)
{
	static const char *const bad[] = {
	    "1c",
	    "3d",
	    "5e",
	    "7f",
	    "5f",
	    "ff",
	    "f7",
	    "f0",
	    "f818",
	    "1f",
	    "df",
	    "bf6161ff", /* a key without its value */
	    "5b7fffffffffffffff",
	    "7bffffffffffffffff",
	    "9b8000000000000000",
	    "bb7fffffffffffffff",
	    "ba80000000",
	};
	size_t at;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(scan(bad[i], 1, 1000, &at), CBOR_BAD);
}

static void
a_limit_of_bytes_is_kept(void **state)
{
	size_t at;

	(void)state;
	assert_int_equal(scan("43010203", 1, 4, &at), CBOR_DONE);
	assert_int_equal(scan("43010203", 1, 3, &at), CBOR_BAD);
	assert_int_equal(scan("43", 1, 3, &at), CBOR_BAD); /* at once, not when the bytes are there */
	assert_int_equal(scan("0102", 2, 2, &at), CBOR_DONE);
	assert_int_equal(scan("0102", 3, 2, &at), CBOR_BAD);
	assert_int_equal(scan("84", 1, 4, &at), CBOR_BAD); /* four elements need four bytes */
	assert_int_equal(scan("a2", 1, 5, &at), CBOR_MORE);
	assert_int_equal(scan("a2", 1, 4, &at), CBOR_BAD);
}

static void
nesting_has_an_end(void **state)
{
	char text[2 * (CBOR_SCAN_DEPTH + 1) + 3];
	size_t at;

	(void)state;
	for (int i = 0; i < CBOR_SCAN_DEPTH; i++)
		memcpy(text + 2 * i, "81", 2);
	memcpy(text + (ptrdiff_t)2 * CBOR_SCAN_DEPTH, "00", 3);
	assert_int_equal(scan(text, 1, 1000, &at), CBOR_DONE);
	memcpy(text + (ptrdiff_t)2 * CBOR_SCAN_DEPTH, "8100", 5);
	assert_int_equal(scan(text, 1, 1000, &at), CBOR_BAD);
}

/* Each byte once: a head that is not whole is all that is looked at again. */
static void
a_scan_goes_on_where_it_stopped(void **state)
{
	uint8_t bytes[64];
	size_t len = unhex("83bf6161820102ff43aabbcc9f0102ff", bytes);
	struct cbor_scan s;

	(void)state;
	cbor_scan_init(&s, 1, 1000);
	for (size_t have = 0; have < len; have++) {
		size_t before = s.at;

		assert_int_equal(cbor_scan_run(&s, bytes, have), CBOR_MORE);
		assert_true(s.at >= before && s.at <= have);
		memset(bytes, 0x1c, s.at); /* what was seen is not looked at again */
	}
	assert_int_equal(cbor_scan_run(&s, bytes, len), CBOR_DONE);
	assert_int_equal(s.at, len);
}

static void
what_is_written_reads_back(void **state)
{
	static const int64_t ints[] = {0,         23, 24,  255, 256,  65535, 65536,    UINT32_MAX,
				       INT64_MAX, -1, -24, -25, -256, -257,  INT64_MIN};
	struct buf out = {0};
	struct cbor_reader r;
	struct cbor_items items;
	size_t mark;

	(void)state;
	for (size_t i = 0; i < sizeof ints / sizeof *ints; i++)
		cbor_put_int(&out, ints[i]);
	cbor_put_text(&out, SLICE("a\xc3\xa4"));
	mark = cbor_open_bytes(&out);
	for (int i = 0; i < 300; i++)
		buf_put_byte(&out, 'x');
	cbor_close_bytes(&out, mark);
	mark = cbor_open_bytes(&out);
	cbor_close_bytes(&out, mark);
	cbor_put_array(&out, 1);
	cbor_put_float(&out, 0.1);
	cbor_put_bool(&out, true);
	cbor_put_null(&out);
	cbor_init(&r, buf_slice(&out));
	for (size_t i = 0; i < sizeof ints / sizeof *ints; i++)
		assert_int_equal(cbor_int(&r), ints[i]);
	assert_true(slice_eq(cbor_text(&r), SLICE("a\xc3\xa4")));
	assert_int_equal(cbor_bytes(&r).len, 300);
	assert_int_equal(cbor_bytes(&r).len, 0);
	items = cbor_array(&r);
	assert_true(cbor_next(&r, &items));
	assert_true(cbor_float(&r) == 0.1);
	assert_false(cbor_next(&r, &items));
	assert_true(cbor_bool(&r));
	assert_true(cbor_take_null(&r));
	assert_true(cbor_at_end(&r) && !cbor_failed(&r));
	buf_done(&out);
}

static void
narrow_floats_are_read(void **state)
{
	static const struct {
		const char *hex;
		double value;
	} floats[] = {
	    {"f93c00", 1}, {"f9c400", -4}, {"f90001", 5.960464477539063e-8}, {"f97bff", 65504}, {"fa47c35000", 100000}};

	(void)state;
	for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
		uint8_t bytes[16];
		size_t len = unhex(floats[i].hex, bytes);
		struct cbor_reader r;

		cbor_init(&r, slice_of(bytes, len));
		assert_true(cbor_float(&r) == floats[i].value);
	}
}

static void
a_reader_fails_once_and_stays_failed(void **state)
{
	struct cbor_reader r;
	struct cbor_items items;

	(void)state;
	cbor_init(&r, SLICE("\x61\xff\x01"));
	assert_int_equal(cbor_text(&r).len, 0); /* no UTF-8 */
	assert_string_equal(r.failure, "a text is not valid UTF-8");
	assert_int_equal(cbor_int(&r), 0);
	assert_int_equal(cbor_peek(&r), CBOR_NONE);
	items = cbor_array(&r);
	assert_false(cbor_next(&r, &items));
	assert_string_equal(r.failure, "a text is not valid UTF-8");
	cbor_init(&r, SLICE("\x9b\x7f\xff\xff\xff\xff\xff\xff\xff"));
	items = cbor_array(&r);
	assert_true(cbor_failed(&r));
	cbor_init(&r, SLICE("\x1b\xff\xff\xff\xff\xff\xff\xff\xff"));
	(void)cbor_int(&r);
	assert_true(cbor_failed(&r));
}

static void
utf8_is_as_rfc_3629_has_it(void **state)
{
	static const char *const good[] = {"",
					   "abcdefghij",
					   "\xc2\x80",
					   "\xdf\xbf",
					   "\xe0\xa0\x80",
					   "\xed\x9f\xbf",
					   "\xee\x80\x80",
					   "\xf0\x90\x80\x80",
					   "\xf4\x8f\xbf\xbf",
					   "1234567\xc3\xa4"};
	static const char *const bad[] = {"\x80",
					  "\xc0\x80",
					  "\xc1\xbf",
					  "\xc2",
					  "\xe0\x9f\xbf",
					  "\xed\xa0\x80",
					  "\xf0\x8f\xbf\xbf",
					  "\xf4\x90\x80\x80",
					  "\xf5\x80\x80\x80",
					  "12345678\xff"};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(cbor_utf8_valid(slice_str(good[i])));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(cbor_utf8_valid(slice_str(bad[i])));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(complete_items_are_known_to_be_complete),
	    cmocka_unit_test(what_no_message_may_hold_is_refused),
	    cmocka_unit_test(a_limit_of_bytes_is_kept),
	    cmocka_unit_test(nesting_has_an_end),
	    cmocka_unit_test(a_scan_goes_on_where_it_stopped),
	    cmocka_unit_test(what_is_written_reads_back),
	    cmocka_unit_test(narrow_floats_are_read),
	    cmocka_unit_test(a_reader_fails_once_and_stays_failed),
	    cmocka_unit_test(utf8_is_as_rfc_3629_has_it),
	};

	return cmocka_run_group_tests_name("cbor", tests, NULL, NULL);
}
