/*
 * CRC-32C as RocksDB knows it: where its archive is linked into the program, its own logs and manifests carry our sum,
 * too.
 */
#include "engine/rocksdb/rocksdb_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static uint32_t
bit_by_bit(const uint8_t *data, size_t len)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
	}
	return ~crc;
}

static void
known_sums_come_out(void **state) /* RFC 3720, B.4 */
{
	uint8_t ascending[32];
	static const char zeros[32];

	(void)state;
	for (int i = 0; i < 32; i++)
		ascending[i] = (uint8_t)i;
	assert_int_equal(crc32c(0, "123456789", 9), 0xE3069283);
	assert_int_equal(crc32c(0, zeros, 32), 0x8A9136AA);
	assert_int_equal(crc32c(0, (const char *)ascending, 32), 0x46DD794E);
}

static void
every_length_and_beginning_is_right_and_may_be_cut_anywhere(void **state)
{
	uint8_t data[96];

	(void)state;
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 151 + 7);
	for (size_t at = 0; at < 16; at++) {
		for (size_t len = 0; at + len <= sizeof data; len++) {
			const char *from = (const char *)data + at;
			uint32_t whole = bit_by_bit(data + at, len);

			assert_int_equal(crc32c(0, from, len), whole);
			assert_int_equal(crc32c(crc32c(0, from, len / 3), from + len / 3, len - len / 3), whole);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(known_sums_come_out),
	    cmocka_unit_test(every_length_and_beginning_is_right_and_may_be_cut_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
