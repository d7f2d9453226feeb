#define OPENSSL_SUPPRESS_DEPRECATED /* of MD5_Init() and its like; see crypto_md5() */

#include "base/crypto.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/md5.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

/* set once by fetch_all, then constant; kept until the process ends */
static EVP_MD *sha256;
static EVP_MAC *hmac;
static pthread_key_t cleanup_key;
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

/* Contexts of one thread; freed when it ends. */
struct contexts {
	EVP_MD_CTX *sha256;
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

	EVP_MD_CTX_free(c->sha256);
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
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	must(sha256 != NULL && hmac != NULL, "fetching SHA-256 and HMAC");
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
	c->sha256 = EVP_MD_CTX_new();
	c->mac = EVP_MAC_CTX_new(hmac);
	must(c->sha256 != NULL && c->mac != NULL, "allocating contexts");
	must(EVP_MAC_CTX_set_params(c->mac, params) == 1, "choosing SHA-256");
	/* the digest is named here once; later inits with NULL skip the set-up */
	must(EVP_DigestInit_ex2(c->sha256, sha256, NULL) == 1, "EVP_DigestInit");
	must(pthread_setspecific(cleanup_key, c) == 0, "pthread_setspecific");
	mine = c;
	return c;
}

static inline struct contexts *
contexts_get(void)
{
	return mine != NULL ? mine : contexts_new();
}

void
crypto_sha256(struct slice data, uint8_t ret[SHA256_BYTES])
{
	EVP_MD_CTX *ctx = contexts_get()->sha256;
	unsigned int length = SHA256_BYTES;

	must(EVP_DigestInit_ex2(ctx, NULL, NULL) == 1 && EVP_DigestUpdate(ctx, data.data, data.len) == 1 &&
		 EVP_DigestFinal_ex(ctx, ret, &length) == 1,
	     "SHA-256");
}

#define SHORT_MAX (MD5_CBLOCK - 1 - 8) /* what leaves room for the padding in one block */

/*
 * By OpenSSL's own functions for it, not through EVP: every request hashes its key, and the way through a provider
 * costs four times the digest. They know no configuration, so MD5 is there when the machine offers approved digests
 * only.
 */
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
	return CRYPTO_memcmp(a, b, len) == 0;
}

void
crypto_hex(const void *data, size_t len, char *ret)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++) {
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
