#define OPENSSL_SUPPRESS_DEPRECATED /* of SHA256_Init() and its like; see crypto.h */

#include "base/crypto.h"

#include <emmintrin.h>
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/md5.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

/* set once by fetch_all, then constant; kept until the process ends */
static EVP_MAC *hmac;
static pthread_key_t cleanup_key;
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

/* Contexts of one thread; freed when it ends. */
struct contexts {
	EVP_MAC_CTX *mac; /* HMAC with SHA-256; each use sets its own key */
};

static _Thread_local struct contexts *mine;

/* OpenSSL fails here only without memory or with a broken installation: there is no way to go on. */
static void
must(bool done, const char *what)
{
	if (!done) {
		fprintf(stderr, "crypto: %s failed\n", what);
		abort();
	}
}

static void
contexts_free(void *data)
{
	struct contexts *c = data;

	EVP_MAC_CTX_free(c->mac);
	free(c);
	mine = NULL;
}

static void
free_of_main_thread(void)
{
	if (mine != NULL)
		contexts_free(mine);
}

static void
fetch_all(void)
{
	hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	must(hmac != NULL, "fetching HMAC");
	must(pthread_key_create(&cleanup_key, contexts_free) == 0, "pthread_key_create");
	/* key destructors do not run for a thread that calls exit() */
	atexit(free_of_main_thread);
}

static struct contexts *
contexts_new(void)
{
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
	    OSSL_PARAM_construct_end(),
	};
	struct contexts *c = calloc(1, sizeof *c);

	pthread_once(&fetched, fetch_all);
	must(c != NULL, "allocating contexts");
	c->mac = EVP_MAC_CTX_new(hmac);
	must(c->mac != NULL, "allocating contexts");
	must(EVP_MAC_CTX_set_params(c->mac, params) == 1, "choosing SHA-256");
	must(pthread_setspecific(cleanup_key, c) == 0, "pthread_setspecific");
	mine = c;
	return c;
}

static inline struct contexts *
contexts_get(void)
{
	return mine != NULL ? mine : contexts_new();
}

_Static_assert(sizeof(struct sha256) == sizeof(SHA256_CTX) && _Alignof(struct sha256) == _Alignof(SHA256_CTX),
	       "struct sha256 is OpenSSL's");

void
sha256_begin(struct sha256 *sum)
{
	must(SHA256_Init((SHA256_CTX *)sum) == 1, "SHA-256");
}

void
sha256_add(struct sha256 *sum, struct slice data)
{
	must(SHA256_Update((SHA256_CTX *)sum, data.data, data.len) == 1, "SHA-256");
}

void
sha256_end(struct sha256 *sum, uint8_t ret[SHA256_BYTES])
{
	must(SHA256_Final(ret, (SHA256_CTX *)sum) == 1, "SHA-256");
}

void
crypto_sha256(struct slice data, uint8_t ret[SHA256_BYTES])
{
	struct sha256 sum;

	sha256_begin(&sum);
	sha256_add(&sum, data);
	sha256_end(&sum, ret);
}

#define SHORT_MAX (MD5_CBLOCK - 1 - 8) /* what leaves room for the padding in one block */

/* OpenSSL's own functions know no configuration, so MD5 is there when the machine offers approved digests only. */
void
crypto_md5(const struct slice *pieces, size_t count, uint8_t ret[MD5_BYTES])
{
	unsigned char block[MD5_CBLOCK] = {0};
	uint64_t bits;
	size_t len = 0;
	bool done = true;
	MD5_CTX ctx;

	for (size_t i = 0; i < count; i++)
		len += pieces[i].len;
	bits = 8 * len;
	MD5_Init(&ctx);
	if (len <= SHORT_MAX) { /* as nearly all keys: one block, padded here */
		len = 0;
		for (size_t i = 0; i < count; len += pieces[i++].len)
			if (pieces[i].len > 0)
				memcpy(block + len, pieces[i].data, pieces[i].len);
		block[len] = 0x80;
		memcpy(block + MD5_CBLOCK - sizeof bits, &bits, sizeof bits);
		MD5_Transform(&ctx, block);
		memcpy(ret, (uint32_t[]){ctx.A, ctx.B, ctx.C, ctx.D}, MD5_BYTES);
		return;
	}
	for (size_t i = 0; i < count; i++)
		done &= MD5_Update(&ctx, pieces[i].data, pieces[i].len) == 1;
	must(done && MD5_Final(ret, &ctx) == 1, "MD5");
}

void
crypto_hmac_sha256(struct slice key, struct slice data, uint8_t ret[SHA256_BYTES])
{
	EVP_MAC_CTX *ctx = contexts_get()->mac;
	/* a NULL key would mean "the key of last time" */
	const unsigned char *key_bytes = (const unsigned char *)(key.data != NULL ? key.data : "");
	size_t length = 0;

	must(EVP_MAC_init(ctx, key_bytes, key.len, NULL) == 1 &&
		 EVP_MAC_update(ctx, (const unsigned char *)data.data, data.len) == 1 &&
		 EVP_MAC_final(ctx, ret, &length, SHA256_BYTES) == 1,
	     "HMAC-SHA-256");
}

void
crypto_random(void *ret, size_t len)
{
	char *at = ret;

	while (len > 0) {
		ssize_t got = getrandom(at, len, 0);

		if (got < 0 && errno == EINTR)
			continue;
		must(got > 0, "getrandom");
		at += got;
		len -= (size_t)got;
	}
}

bool
crypto_equal(const void *a, const void *b, size_t len)
{
	const char *left = a, *right = b;
	uint64_t one, other, differ = 0;
	size_t at = 0;

	for (; at + 8 <= len; at += 8) {
		memcpy(&one, left + at, 8);
		memcpy(&other, right + at, 8);
		differ |= one ^ other;
		__asm__("" : "+r"(differ)); /* what is known by now must not end the loop */
	}
	for (; at < len; at++) {
		differ |= (uint8_t)(left[at] ^ right[at]);
		__asm__("" : "+r"(differ));
	}
	return differ == 0;
}

void
crypto_hex(const void *data, size_t len, char *ret)
{
	static const char digits[] = "0123456789abcdef";
	const __m128i low = _mm_set1_epi8(15), nine = _mm_set1_epi8(9), zero = _mm_set1_epi8('0'),
		      more = _mm_set1_epi8('a' - '0' - 10);
	const uint8_t *bytes = data;
	size_t i = 0;

	for (; i + 16 <= len; i += 16) {
		__m128i all = _mm_loadu_si128((const __m128i *)(bytes + i));
		__m128i first = _mm_and_si128(_mm_srli_epi16(all, 4), low), second = _mm_and_si128(all, low);

		for (int half = 0; half < 2; half++) {
			__m128i nibbles =
			    half == 0 ? _mm_unpacklo_epi8(first, second) : _mm_unpackhi_epi8(first, second);
			__m128i letters = _mm_and_si128(_mm_cmpgt_epi8(nibbles, nine), more);

			_mm_storeu_si128((__m128i *)(ret + 2 * i + (half == 0 ? 0 : 16)),
					 _mm_add_epi8(_mm_add_epi8(nibbles, zero), letters));
		}
	}
	for (; i < len; i++) {
		ret[2 * i] = digits[bytes[i] >> 4];
		ret[2 * i + 1] = digits[bytes[i] & 15];
	}
}

/* splitmix64: its state may be any number, so the seed needs no care */
uint64_t
crypto_fast_random(void)
{
	static _Thread_local uint64_t state;
	static _Thread_local bool seeded;
	uint64_t z;

	if (!seeded) {
		crypto_random(&state, sizeof state);
		seeded = true;
	}
	state += 0x9E3779B97F4A7C15u;
	z = state;
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return z ^ (z >> 31);
}
