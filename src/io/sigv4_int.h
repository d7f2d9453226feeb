/*
 * Inside SigV4: sigv4_parse.c takes apart what a client sends, sigv4_sum.c makes the canonical request and the
 * signature over it, sigv4.c verifies and signs with these.
 */
#ifndef STATOR_IO_SIGV4_INT_H
#define STATOR_IO_SIGV4_INT_H

#include "base/crypto.h"
#include "io/sigv4.h"

#define SIGV4_ALGORITHM      "AWS4-HMAC-SHA256"
#define SIGV4_SKEW_S         300
#define SIGV4_SIGNED_MAX     100 /* header names in SignedHeaders */
#define SIGV4_HEX_BYTES      (2 * SHA256_BYTES)
#define SIGV4_AMZ_DATE_BYTES 16 /* YYYYMMDDTHHMMSSZ */

/* SignedHeaders, taken apart once. */
struct sigv4_names {
	size_t count;
	struct slice of[SIGV4_SIGNED_MAX];
};

/* What a signature is made of. */
struct sigv4_signing {
	struct slice method, path, query;
	const struct http_header *headers;
	size_t header_count;
	struct slice signed_headers;
	const struct sigv4_names *names; /* the same */
	struct slice payload_hash;       /* hex */
	struct slice amz_date, date, region, service;
};

/* --- sigv4_parse.c --- */

/* What stands before the next separator, which is passed over. False: there is nothing more. */
bool sigv4_next_piece(struct slice *rest, char separator, struct slice *ret);
struct slice sigv4_percent_decoded(struct slice s, struct arena *arena);
/* "20130609T100015Z" to seconds since the epoch; false: it is no such text. */
bool sigv4_amz_date_read(struct slice text, int64_t *ret);
void sigv4_amz_date_write(int64_t s, char ret[SIGV4_AMZ_DATE_BYTES + 1]);
/* SignedHeaders; false: too many. */
bool sigv4_split_names(struct slice list, struct sigv4_names *ret);

/* --- sigv4_sum.c: signatures in hex --- */

/* False: the request is beyond what is looked at. */
bool sigv4_sum(struct slice secret, const struct sigv4_signing *s, struct arena *arena, char ret[SIGV4_HEX_BYTES]);
/* Of a string to sign; of `s` only the scope is looked at. */
void sigv4_sum_string(struct slice secret, const struct sigv4_signing *s, struct slice string_to_sign,
		      char ret[SIGV4_HEX_BYTES]);

#endif
