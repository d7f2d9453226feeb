/*
 * Hashes and random bytes, by OpenSSL. SHA-256 and MD5 are its own functions for
 * them, without the way through a provider, which costs more than a short hash
 * and several mallocs; HMAC's objects are fetched once and kept per thread.
 */
#ifndef STATOR_BASE_CRYPTO_H
#define STATOR_BASE_CRYPTO_H

#include "base/slice.h"

#define SHA256_BYTES 32
#define MD5_BYTES    16

void crypto_sha256(struct slice data, uint8_t ret[SHA256_BYTES]);

/* The same piece by piece. A copy goes on from where it was taken. */
struct sha256 {
	uint32_t state[28];
};
void sha256_begin(struct sha256 *sum);
void sha256_add(struct sha256 *sum, struct slice data);
void sha256_end(struct sha256 *sum, uint8_t ret[SHA256_BYTES]); /* it is to be begun again after that */

void crypto_hmac_sha256(struct slice key, struct slice data, uint8_t ret[SHA256_BYTES]);
/* Of the pieces one after the other. It guards nothing (keys are spread by it); it is there in FIPS mode, too. */
void crypto_md5(const struct slice *pieces, size_t count, uint8_t ret[MD5_BYTES]);
void crypto_random(void *ret, size_t len);                   /* from the system's generator */
bool crypto_equal(const void *a, const void *b, size_t len); /* in constant time */
void crypto_hex(const void *data, size_t len, char *ret);    /* lower case, 2 * len bytes, no NUL */
uint64_t crypto_fast_random(void);                           /* not secret: request ids, jitter */

#endif
