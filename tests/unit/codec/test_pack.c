/* base64, gzip and CRC-32 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/crypto.h"
#include "codec/base64.h"
#include "codec/gzip.h"

static void
base64_of_rfc_4648(void **state)
{
	static const char *const pairs[][2] = {{"", ""},
					       {"f", "Zg=="},
					       {"fo", "Zm8="},
					       {"foo", "Zm9v"},
					       {"foob", "Zm9vYg=="},
					       {"fooba", "Zm9vYmE="},
					       {"foobar", "Zm9vYmFy"}};
	struct arena arena = {0};
	struct buf out = {0};

	(void)state;
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		struct slice got;

		out.len = 0;
		base64_put(&out, slice_str(pairs[i][0]));
		assert_true(slice_eq(buf_slice(&out), slice_str(pairs[i][1])));
		assert_true(base64_read(slice_str(pairs[i][1]), &arena, &got));
		assert_true(slice_eq(got, slice_str(pairs[i][0])));
	}
	buf_done(&out);
	arena_done(&arena);
}

static void
base64_that_is_not_strict_is_refused(void **state)
{
	static const char *const texts[] = {
	    "Z",    "Zg",    "Zg=",      "Zh==", "Zm9=",  "====", "=m9v",           "Z=9v",
	    "Zm=v", "Zm9v=", "Zg==Zg==", "Zm 9", "Zm9\n", "Zm-_", "Zm9v\xC3\xA9==", "+/+="};
	struct arena arena = {0};
	struct slice got;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		if (base64_read(slice_str(texts[i]), &arena, &got))
			fail_msg("%s was read", texts[i]);
	}
	assert_false(base64_read(slice_of("Zm\0v", 4), &arena, &got));
	arena_done(&arena);
}

static void
crc32_is_that_of_gzip(void **state)
{
	(void)state;
	assert_int_equal(crc32_of(SLICE("123456789")), 0xCBF43926);
	assert_int_equal(crc32_of(SLICE_NONE), 0);
	assert_int_equal(crc32_of(SLICE("{}")), 2745614147u);
}

/* RFC 1952, bit by bit: `crc` is that of what came before, inverted as it is told. */
static uint32_t
crc32_bit_by_bit(uint32_t crc, uint8_t byte)
{
	crc = ~crc ^ byte;
	for (int bit = 0; bit < 8; bit++)
		crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
	return ~crc;
}

static void
crc32_of_any_length_and_place(void **state) /* long ones take another way than short ones */
{
	enum { LENGTH_MAX = 2600 };
	char bytes[LENGTH_MAX + 32];

	(void)state;
	crypto_random(bytes, sizeof bytes);
	for (size_t from = 0; from < 32; from += 5) {
		uint32_t wanted = 0;

		for (size_t len = 0; len <= LENGTH_MAX; len++) {
			if (crc32_of(slice_of(bytes + from, len)) != wanted)
				fail_msg("CRC-32 of %zu bytes from %zu", len, from);
			wanted = crc32_bit_by_bit(wanted, (uint8_t)bytes[from + len]);
		}
	}
}

static void
crcs_of_two_texts_make_that_of_both(void **state)
{
	enum { LENGTH_MAX = 200000 };
	char *bytes = malloc(LENGTH_MAX);

	(void)state;
	crypto_random(bytes, LENGTH_MAX);
	for (size_t len = 0; len <= LENGTH_MAX; len = len < 70 ? len + 1 : len * 3 / 2)
		for (size_t first = 0; first <= len; first = first < 40 ? first + 1 : first * 2) {
			struct slice a = slice_of(bytes, first), b = slice_of(bytes + first, len - first);
			uint32_t wanted = crc32_of(slice_of(bytes, len));

			assert_int_equal(crc32_more(crc32_of(a), b), wanted);
			assert_int_equal(crc32_join(crc32_of(a), crc32_of(b), crc32_shift(b.len)), wanted);
		}
	free(bytes);
}

static void
gzip_gives_back_what_went_in(void **state)
{
	static const size_t sizes[] = {0, 1, 100, 65535, 65536, 70000, 3000000};
	char *random = malloc(3000000), *text = malloc(3000000);
	struct buf packed = {0}, out = {0};

	(void)state;
	crypto_random(random, 3000000);
	for (size_t i = 0; i < 3000000; i++)
		text[i] = "abcdefgh, "[(uint8_t)random[i / 7] % 10];
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		for (int variant = 0; variant < 4; variant++) {
			struct slice bytes = slice_of(variant & 1 ? random : text, sizes[i]);
			struct err err;

			packed.len = out.len = 0;
			buf_put_lit(&packed, "x"); /* what was there stays */
			buf_put_lit(&out, "y");
			gzip_put(&packed, bytes, variant >> 1);
			assert_int_equal(gzip_unpack(slice_of(packed.data + 1, packed.len - 1), bytes.len, &out, &err),
					 S_OK);
			assert_true(slice_eq(slice_of(out.data + 1, out.len - 1), bytes));
			assert_int_equal(out.data[0], 'y');
			if (bytes.len > 0) {
				out.len = 1;
				assert_int_equal(
				    gzip_unpack(slice_of(packed.data + 1, packed.len - 1), bytes.len - 1, &out, &err),
				    S_SERIALIZATION);
				assert_int_equal(out.len, 1);
			}
		}
	}
	free(random);
	free(text);
	buf_done(&packed);
	buf_done(&out);
}

static void
damaged_gzip_is_refused(void **state)
{
	struct buf packed = {0}, out = {0};
	struct err err;

	(void)state;
	gzip_put(&packed, SLICE("some text, some more text, some more text"), 0);
	for (size_t len = 0; len < packed.len; len++) {
		char *cut = malloc(len + 1); /* exactly sized, so that an overrun is seen */

		memcpy(cut, packed.data, len);
		assert_int_equal(gzip_unpack(slice_of(cut, len), 1000, &out, &err), S_SERIALIZATION);
		free(cut);
	}
	for (size_t i = packed.len - 8; i < packed.len; i++) { /* the checksum and the length */
		packed.data[i] ^= 1;
		assert_int_equal(gzip_unpack(buf_slice(&packed), 1000, &out, &err), S_SERIALIZATION);
		packed.data[i] ^= 1;
	}
	packed.data[0] ^= 1;
	assert_int_equal(gzip_unpack(buf_slice(&packed), 1000, &out, &err), S_SERIALIZATION);
	packed.data[0] ^= 1;
	assert_int_equal(gzip_unpack(buf_slice(&packed), 1000, &out, &err), S_OK);
	buf_put_byte(&packed, 0);
	assert_int_equal(gzip_unpack(buf_slice(&packed), 1000, &out, &err), S_SERIALIZATION);
	buf_done(&packed);
	buf_done(&out);
}

static void
a_gzip_bomb_stops_at_the_limit(void **state)
{
	char *zeros = calloc(1, 64 << 20);
	struct buf packed = {0}, out = {0};
	struct err err;

	(void)state;
	gzip_put(&packed, slice_of(zeros, 64 << 20), 1);
	assert_int_equal(gzip_unpack(buf_slice(&packed), 1 << 20, &out, &err), S_SERIALIZATION);
	assert_true(out.cap <= 4 << 20);
	free(zeros);
	buf_done(&packed);
	buf_done(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(base64_of_rfc_4648),
	    cmocka_unit_test(base64_that_is_not_strict_is_refused),
	    cmocka_unit_test(crc32_is_that_of_gzip),
	    cmocka_unit_test(crc32_of_any_length_and_place),
	    cmocka_unit_test(crcs_of_two_texts_make_that_of_both),
	    cmocka_unit_test(gzip_gives_back_what_went_in),
	    cmocka_unit_test(damaged_gzip_is_refused),
	    cmocka_unit_test(a_gzip_bomb_stops_at_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
