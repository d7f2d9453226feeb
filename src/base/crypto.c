#include "base/crypto.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

/* set once by fetch_all, then constant; kept until the process ends */
static EVP_MD *sha256, *md5;
static EVP_MAC *hmac;
static pthread_key_t cleanup_key;
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

/* Contexts of one thread; freed when it ends. */
struct contexts {
	EVP_MD_CTX *sha256, *md5;
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
	EVP_MD_CTX_free(c->md5);
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
	/* a world of its own, which no configuration of the machine reaches: one that offers approved digests only has
	 * no MD5 */
	OSSL_LIB_CTX *plain = OSSL_LIB_CTX_new();

	must(plain != NULL, "a library context");
	md5 = EVP_MD_fetch(plain, "MD5", NULL);
	must(md5 != NULL, "fetching MD5");
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
	c->md5 = EVP_MD_CTX_new();
	c->mac = EVP_MAC_CTX_new(hmac);
	must(c->sha256 != NULL && c->md5 != NULL && c->mac != NULL, "allocating contexts");
	must(EVP_MAC_CTX_set_params(c->mac, params) == 1, "choosing SHA-256");
	/* the digests are named here once; later inits with NULL skip the set-up */
	must(EVP_DigestInit_ex2(c->sha256, sha256, NULL) == 1 && EVP_DigestInit_ex2(c->md5, md5, NULL) == 1,
	     "EVP_DigestInit");
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

void
crypto_md5(const struct slice *pieces, size_t count, uint8_t ret[MD5_BYTES])
{
	EVP_MD_CTX *ctx = contexts_get()->md5;
	unsigned int length = MD5_BYTES;
	bool done = EVP_DigestInit_ex2(ctx, NULL, NULL) == 1;

	for (size_t i = 0; i < count; i++)
		done &= EVP_DigestUpdate(ctx, pieces[i].data, pieces[i].len) == 1;
	must(done && EVP_DigestFinal_ex(ctx, ret, &length) == 1, "MD5");
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
