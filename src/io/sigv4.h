/*
 * AWS Signature Version 4, both directions: verifying what clients send (Authorization header or presigned query) and
 * signing what we send (bench, later S3 and the cache's upstream).
 */
#ifndef STATOR_IO_SIGV4_H
#define STATOR_IO_SIGV4_H

#include "io/http.h"

/* The parts of a request's credentials, borrowed from it. */
struct sigv4_auth {
	struct slice access_key, date /* YYYYMMDD */, region, service, terminator /* "aws4_request" */;
	struct slice amz_date;       /* YYYYMMDDTHHMMSSZ */
	int64_t signed_s;            /* the same, since 1970 */
	struct slice signed_headers; /* a;b;c */
	struct slice signature;
	struct slice session_token; /* empty: none */
	bool presigned;
	int64_t expires_s; /* presigned */
};
/* Split the credentials; checks only their form. S_MISSING_AUTHENTICATION, S_INCOMPLETE_SIGNATURE with DynamoDB's
 * messages. */
enum status sigv4_parse(const struct http_exchange *x, struct sigv4_auth *ret, struct err *err);
/* Check date (±5 min of now_s), signed headers (host and all x-amz-* must be signed) and signature.
 * S_INVALID_SIGNATURE. Derived keys are cached per thread by (secret, date, region, service). */
enum status sigv4_verify(const struct http_exchange *x, const struct sigv4_auth *auth, struct slice secret,
			 int64_t now_s, struct err *err);

/*
 * For protocols that send the string to sign itself (DAX): its four lines, and the signature beside it. What the last
 * line is the hash of is not known and not looked at. The checks are those above, but for the headers'.
 */
enum status sigv4_parse_string(struct slice string_to_sign, struct slice signature, struct sigv4_auth *ret,
			       struct err *err);
enum status sigv4_verify_string(const struct sigv4_auth *auth, struct slice string_to_sign, struct slice secret,
				int64_t now_s, struct err *err);

struct sigv4_credentials {
	struct slice access_key, secret, session_token, region, service;
};
/* Append "x-amz-date: ...\r\n[x-amz-security-token: ...\r\n]authorization: ...\r\n" for a request with these headers
 * (lower case, trimmed). */
void sigv4_sign(const struct sigv4_credentials *c, struct slice method, struct slice path, struct slice query,
		const struct http_header *headers, size_t header_count, struct slice body, int64_t now_s,
		struct buf *ret_headers);

#endif
