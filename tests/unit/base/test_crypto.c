#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include <pthread.h>

#include "base/crypto.h"

static void
assert_sum(const uint8_t sum[SHA256_BYTES], const char *wanted)
{
	char hex[2 * SHA256_BYTES + 1] = "";

	crypto_hex(sum, SHA256_BYTES, hex);
	assert_string_equal(hex, wanted);
}

static void
sha256_of_the_standard(void **state)
{
	uint8_t sum[SHA256_BYTES];

	(void)state;
	for (int again = 0; again < 2; again++) { /* the context is used again */
		crypto_sha256(SLICE_NONE, sum);
		assert_sum(sum, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
		crypto_sha256(SLICE("abc"), sum);
		assert_sum(sum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	}
}

/* In one go and cut in two, the second part twice by a copy taken between them: around where a block ends. */
static void
sha256_of_every_length(void **state)
{
	uint8_t ours[SHA256_BYTES], theirs[EVP_MAX_MD_SIZE];
	char text[200];

	(void)state;
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)(i * 37 + 11);
	for (size_t len = 0; len <= sizeof text; len++) {
		assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, text, len, theirs, NULL), 1);
		crypto_sha256(slice_of(text, len), ours);
		assert_memory_equal(ours, theirs, SHA256_BYTES);
		for (size_t cut = 0; cut <= len; cut += 1 + len / 4) {
			struct sha256 sum, copy;

			sha256_begin(&sum);
			sha256_add(&sum, slice_of(text, cut));
			copy = sum;
			for (int again = 0; again < 2; again++) {
				sha256_add(again == 0 ? &sum : &copy, slice_of(text + cut, len - cut));
				sha256_end(again == 0 ? &sum : &copy, ours);
				assert_memory_equal(ours, theirs, SHA256_BYTES);
			}
		}
	}
}

static void
every_byte_has_its_two_digits(void **state)
{
	uint8_t bytes[256];
	char hex[2 * sizeof bytes + 1], wanted[2 * sizeof bytes + 1];

	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++) {
		bytes[i] = (uint8_t)i;
		snprintf(wanted + 2 * i, 3, "%02x", (unsigned)i);
	}
	for (size_t len = 0; len <= sizeof bytes; len++) {
		memset(hex, '#', sizeof hex);
		crypto_hex(bytes + sizeof bytes - len, len, hex);
		assert_memory_equal(hex, wanted + 2 * (sizeof bytes - len), 2 * len);
		assert_int_equal(hex[2 * len], '#');
	}
}

static void
one_bit_anywhere_makes_bytes_unequal(void **state)
{
	char a[70] = "", b[70] = "";

	(void)state;
	for (size_t len = 0; len <= sizeof a; len++) {
		assert_true(crypto_equal(a, b, len));
		for (size_t i = 0; i < sizeof a; i++) {
			b[i] ^= (char)(1 << i % 8);
			assert_int_equal(crypto_equal(a, b, len), i >= len);
			b[i] = a[i];
		}
	}
}

static void
hmac_of_rfc_4231(void **state)
{
	uint8_t sum[SHA256_BYTES], key[131];

	(void)state;
	memset(key, 0xaa, sizeof key);
	for (int again = 0; again < 2; again++) {
		crypto_hmac_sha256(SLICE("Jefe"), SLICE("what do ya want for nothing?"), sum);
		assert_sum(sum, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
		crypto_hmac_sha256(slice_of(key, sizeof key),
				   SLICE("Test Using Larger Than Block-Size Key - Hash Key First"), sum);
		assert_sum(sum, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
		crypto_hmac_sha256(SLICE_NONE, SLICE_NONE, sum); /* not the key of last time */
		assert_sum(sum, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
	}
}

static void
md5_of_rfc_1321(void **state)
{
	struct slice pieces[] = {SLICE("a"), SLICE_NONE, SLICE("bc")};
	uint8_t sum[MD5_BYTES];

	(void)state;
	for (int again = 0; again < 2; again++) {
		char hex[2 * MD5_BYTES + 1] = "";

		crypto_md5(pieces, 3, sum);
		crypto_hex(sum, MD5_BYTES, hex);
		assert_string_equal(hex, "900150983cd24fb0d6963f7d28e17f72");
		crypto_md5(NULL, 0, sum);
		crypto_hex(sum, MD5_BYTES, hex);
		assert_string_equal(hex, "d41d8cd98f00b204e9800998ecf8427e");
	}
}

/* Short ones go their own way: compared with the library's, around where a block and its padding end. */
static void
md5_of_every_length(void **state)
{
	uint8_t ours[MD5_BYTES], theirs[EVP_MAX_MD_SIZE];
	char text[200];

	(void)state;
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)(i * 37 + 11);
	for (size_t len = 0; len <= sizeof text; len++)
		for (size_t cut = 0; cut <= len; cut += 1 + len / 4) {
			struct slice pieces[] = {slice_of(text, cut), SLICE_NONE, slice_of(text + cut, len - cut)};

			crypto_md5(pieces, 3, ours);
			assert_int_equal(EVP_Q_digest(NULL, "MD5", NULL, text, len, theirs, NULL), 1);
			assert_memory_equal(ours, theirs, MD5_BYTES);
		}
}

static void *
hash_in_thread(void *wanted)
{
	uint8_t sum[SHA256_BYTES];

	for (int i = 0; i < 1000; i++)
		crypto_sha256(SLICE("abc"), sum);
	crypto_hmac_sha256(SLICE("key"), SLICE("abc"), sum);
	memcpy(wanted, sum, sizeof sum);
	return NULL;
}

static void
threads_do_not_share_contexts(void **state)
{
	uint8_t sums[8][SHA256_BYTES], wanted[SHA256_BYTES];
	pthread_t threads[8];

	(void)state;
	crypto_hmac_sha256(SLICE("key"), SLICE("abc"), wanted);
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hash_in_thread, sums[i]), 0);
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		assert_memory_equal(sums[i], wanted, SHA256_BYTES);
	}
}

static void
random_bytes_differ(void **state)
{
	uint8_t a[300] = {0}, b[300] = {0};

	(void)state;
	crypto_random(a, sizeof a);
	crypto_random(b, sizeof b);
	assert_memory_not_equal(a, b, sizeof a);
	assert_memory_not_equal(a + 268, b + 268, 32); /* to the end */
	assert_true(crypto_fast_random() != crypto_fast_random());
	assert_true(crypto_equal(a, a, sizeof a));
	b[299] = (uint8_t)(a[299] ^ 1);
	memcpy(b, a, 299);
	assert_false(crypto_equal(a, b, sizeof a));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sha256_of_the_standard),
	    cmocka_unit_test(sha256_of_every_length),
	    cmocka_unit_test(every_byte_has_its_two_digits),
	    cmocka_unit_test(one_bit_anywhere_makes_bytes_unequal),
	    cmocka_unit_test(hmac_of_rfc_4231),
	    cmocka_unit_test(md5_of_rfc_1321),
	    cmocka_unit_test(md5_of_every_length),
	    cmocka_unit_test(threads_do_not_share_contexts),
	    cmocka_unit_test(random_bytes_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
