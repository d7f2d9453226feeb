#include "io/sigv4.h"

#include <stdlib.h>

#include "io/sigv4_int.h"

static const char mismatch[] =
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details.";

/* --- verifying --- */

static bool
is_signed(const struct sigv4_names *names, struct slice name)
{
	for (size_t i = 0; i < names->count; i++)
		if (slice_eq(names->of[i], name))
			return true;
	return false;
}

static enum status
check_time(const struct sigv4_auth *auth, int64_t now_s, struct err *err)
{
	int64_t signed_s = auth->signed_s, lifetime = auth->presigned ? auth->expires_s : SIGV4_SKEW_S;
	char now[SIGV4_AMZ_DATE_BYTES + 1], limit[SIGV4_AMZ_DATE_BYTES + 1];

	if (signed_s >= now_s - lifetime && signed_s <= now_s + SIGV4_SKEW_S)
		return S_OK;
	sigv4_amz_date_write(now_s, now);
	if (signed_s < now_s - lifetime) {
		sigv4_amz_date_write(now_s - lifetime, limit);
		return err_set(err, S_INVALID_SIGNATURE,
			       "Signature expired: %.*s is now earlier than %s (%s - %lld %s.)",
			       SLICE_ARG(auth->amz_date), limit, now,
			       (long long)(lifetime % 60 ? lifetime : lifetime / 60), lifetime % 60 ? "sec" : "min");
	}
	sigv4_amz_date_write(now_s + SIGV4_SKEW_S, limit);
	return err_set(err, S_INVALID_SIGNATURE,
		       "Signature not yet current: %.*s is still later than %s (%s + %d min.)",
		       SLICE_ARG(auth->amz_date), limit, now, SIGV4_SKEW_S / 60);
}

static enum status
check_signed_headers(const struct http_exchange *x, const struct sigv4_auth *auth, struct sigv4_names *ret,
		     struct err *err)
{
	if (!sigv4_split_names(auth->signed_headers, ret))
		return err_set(err, S_INVALID_SIGNATURE, "%s", mismatch);
	if (!is_signed(ret, SLICE("host")))
		return err_set(err, S_INVALID_SIGNATURE, "'Host' must be a 'SignedHeader' in the AWS Authorization.");
	for (size_t i = 0; i < x->header_count; i++) {
		struct slice name = x->headers[i].name;

		if (slice_starts(name, SLICE("x-amz-")) && !is_signed(ret, name))
			return err_set(err, S_INVALID_SIGNATURE,
				       "'%.*s' must be a 'SignedHeader' in the AWS Authorization.", SLICE_ARG(name));
	}
	return S_OK;
}

static enum status
check_scope(const struct sigv4_auth *auth, struct err *err)
{
	if (!slice_eq(auth->terminator, SLICE("aws4_request")))
		return err_set(err, S_INVALID_SIGNATURE,
			       "Credential should be scoped with a valid terminator: 'aws4_request', not '%.*s'.",
			       SLICE_ARG(auth->terminator));
	if (auth->date.len != 8 || memcmp(auth->date.data, auth->amz_date.data, 8) != 0)
		return err_set(
		    err, S_INVALID_SIGNATURE,
		    "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
		    "'%.*s' != '%.8s', from '%.*s'.",
		    SLICE_ARG(auth->date), auth->amz_date.data, SLICE_ARG(auth->amz_date));
	return S_OK;
}

enum status
sigv4_verify(const struct http_exchange *x, const struct sigv4_auth *auth, struct slice secret, int64_t now_s,
	     struct err *err)
{
	uint8_t hash[SHA256_BYTES];
	char payload[SIGV4_HEX_BYTES], expected[SIGV4_HEX_BYTES];
	struct sigv4_names names;
	struct sigv4_signing s = {
	    .method = x->method,
	    .path = x->path,
	    .query = x->query,
	    .headers = x->headers,
	    .header_count = x->header_count,
	    .signed_headers = auth->signed_headers,
	    .names = &names,
	    .payload_hash = {payload, sizeof payload},
	    .amz_date = auth->amz_date,
	    .date = auth->date,
	    .region = auth->region,
	    .service = auth->service,
	};
	enum status status = check_time(auth, now_s, err);

	if (status == S_OK)
		status = check_signed_headers(x, auth, &names, err);
	if (status == S_OK)
		status = check_scope(auth, err);
	if (status != S_OK)
		return status;
	crypto_sha256(x->raw_body, hash);
	crypto_hex(hash, sizeof hash, payload);
	if (!sigv4_sum(secret, &s, x->arena, expected) || auth->signature.len != SIGV4_HEX_BYTES ||
	    !crypto_equal(auth->signature.data, expected, SIGV4_HEX_BYTES))
		return err_set(err, S_INVALID_SIGNATURE, "%s", mismatch);
	return S_OK;
}

enum status
sigv4_verify_string(const struct sigv4_auth *auth, struct slice string_to_sign, struct slice secret, int64_t now_s,
		    struct err *err)
{
	struct sigv4_signing s = {.date = auth->date, .region = auth->region, .service = auth->service};
	char expected[SIGV4_HEX_BYTES];
	enum status status = check_time(auth, now_s, err);

	if (status == S_OK)
		status = check_scope(auth, err);
	if (status != S_OK)
		return status;
	sigv4_sum_string(secret, &s, string_to_sign, expected);
	if (auth->signature.len != SIGV4_HEX_BYTES || !crypto_equal(auth->signature.data, expected, SIGV4_HEX_BYTES))
		return err_set(err, S_INVALID_SIGNATURE, "%s", mismatch);
	return S_OK;
}

/* --- signing --- */

static int
header_order(const void *a, const void *b)
{
	return slice_cmp(((const struct http_header *)a)->name, ((const struct http_header *)b)->name);
}

static struct slice
join_names(const struct http_header *headers, size_t count, struct arena *arena)
{
	struct buf names = {0};
	struct slice joined;

	for (size_t i = 0; i < count; i++) {
		if (i > 0 && slice_eq(headers[i].name, headers[i - 1].name))
			continue;
		if (i > 0)
			buf_put_byte(&names, ';');
		buf_put_slice(&names, headers[i].name);
	}
	joined = arena_dup(arena, buf_slice(&names));
	buf_done(&names);
	return joined;
}

void
sigv4_sign(const struct sigv4_credentials *c, struct slice method, struct slice path, struct slice query,
	   const struct http_header *headers, size_t header_count, struct slice body, int64_t now_s,
	   struct buf *ret_headers)
{
	struct arena arena = {0};
	struct http_header *all = ARENA_ARRAY(&arena, struct http_header, header_count + 2);
	char amz_date[SIGV4_AMZ_DATE_BYTES + 1], payload[SIGV4_HEX_BYTES], signature[SIGV4_HEX_BYTES];
	uint8_t hash[SHA256_BYTES];
	struct sigv4_names names;
	struct sigv4_signing s = {.method = method, .path = path, .query = query, .headers = all, .names = &names};

	sigv4_amz_date_write(now_s, amz_date);
	s.amz_date = slice_of(amz_date, SIGV4_AMZ_DATE_BYTES);
	s.date = slice_of(amz_date, 8);
	s.region = c->region;
	s.service = c->service;
	for (size_t i = 0; i < header_count; i++) {
		all[s.header_count++] = headers[i];
		if (slice_eq(headers[i].name, SLICE("x-amz-content-sha256"))) /* S3: "UNSIGNED-PAYLOAD" or a hash */
			s.payload_hash = headers[i].value;
	}
	all[s.header_count++] = (struct http_header){SLICE("x-amz-date"), s.amz_date};
	if (c->session_token.len > 0)
		all[s.header_count++] = (struct http_header){SLICE("x-amz-security-token"), c->session_token};
	qsort(all, s.header_count, sizeof *all, header_order);
	s.signed_headers = join_names(all, s.header_count, &arena);
	(void)sigv4_split_names(s.signed_headers, &names);
	if (s.payload_hash.data == NULL) {
		crypto_sha256(body, hash);
		crypto_hex(hash, sizeof hash, payload);
		s.payload_hash = slice_of(payload, sizeof payload);
	}
	(void)sigv4_sum(c->secret, &s, &arena, signature); /* our own requests are within the limits */
	buf_printf(ret_headers, "x-amz-date: %s\r\n", amz_date);
	if (c->session_token.len > 0)
		buf_printf(ret_headers, "x-amz-security-token: %.*s\r\n", SLICE_ARG(c->session_token));
	buf_printf(ret_headers,
		   "authorization: " SIGV4_ALGORITHM
		   " Credential=%.*s/%.8s/%.*s/%.*s/aws4_request, SignedHeaders=%.*s, "
		   "Signature=%.*s\r\n",
		   SLICE_ARG(c->access_key), amz_date, SLICE_ARG(c->region), SLICE_ARG(c->service),
		   SLICE_ARG(s.signed_headers), SIGV4_HEX_BYTES, signature);
	arena_done(&arena);
}
