#include "io/sigv4.h"

#include <emmintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/crypto.h"

#define ALGORITHM         "AWS4-HMAC-SHA256"
#define SKEW_S            300
#define EXPIRES_MAX_S     604800
#define WORDS_MAX         64   /* looked at in an Authorization header; three are needed */
#define SIGNED_MAX        100  /* header names in SignedHeaders */
#define QUERY_MAX         1000 /* parameters of a query */
#define HEX_BYTES         (2 * SHA256_BYTES)
#define AMZ_DATE_BYTES    16   /* YYYYMMDDTHHMMSSZ */
#define TEXT_BYTES        1024 /* put together before they are hashed */
#define PAD_BYTES         64   /* a block of SHA-256 */
#define SCOPE_BYTES       224
#define KEY_CACHE_ENTRIES 64

static const char mismatch[] =
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details.";

/* --- small text --- */

static bool
next_piece(struct slice *rest, char separator, struct slice *ret)
{
	const char *end;

	if (rest->data == NULL)
		return false;
	end = memchr(rest->data, separator, rest->len);
	*ret = *rest;
	if (end == NULL) {
		*rest = SLICE_NONE;
		return true;
	}
	ret->len = (size_t)(end - rest->data);
	*rest = slice_of(end + 1, rest->len - ret->len - 1);
	return true;
}

static struct slice
trimmed(struct slice s)
{
	while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t')) {
		s.data++;
		s.len--;
	}
	while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
		s.len--;
	return s;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

static struct slice
percent_decoded(struct slice s, struct arena *arena)
{
	char *out, *at;

	if (s.len == 0 || memchr(s.data, '%', s.len) == NULL)
		return s;
	at = out = arena_alloc(arena, s.len);
	for (size_t i = 0; i < s.len; i++) {
		int high = i + 2 < s.len ? hex_value(s.data[i + 1]) : -1;
		int low = i + 2 < s.len ? hex_value(s.data[i + 2]) : -1;

		if (s.data[i] == '%' && high >= 0 && low >= 0) {
			*at++ = (char)(high << 4 | low);
			i += 2;
		} else {
			*at++ = s.data[i];
		}
	}
	return slice_of(out, (size_t)(at - out));
}

static void
put_encoded(struct buf *out, struct slice s, bool keep_slash)
{
	static const char digits[] = "0123456789ABCDEF";

	buf_reserve(out, 3 * s.len);
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.data[i];

		if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
		    c == '_' || c == '.' || c == '~' || (c == '/' && keep_slash)) {
			out->data[out->len++] = (char)c;
		} else {
			out->data[out->len++] = '%';
			out->data[out->len++] = digits[c >> 4];
			out->data[out->len++] = digits[c & 15];
		}
	}
}

static int
two_digits(const char *at)
{
	return (at[0] - '0') * 10 + (at[1] - '0');
}

/* Are all of "20130609T100015Z" digits but the letters? */
static bool
has_date_digits(const char *at)
{
	__m128i values =
	    _mm_sub_epi8(_mm_loadu_si128((const __m128i *)at), _mm_set1_epi8('0')); /* what is below wraps */
	__m128i digits = _mm_cmpeq_epi8(_mm_min_epu8(values, _mm_set1_epi8(9)), values);

	return (_mm_movemask_epi8(digits) | 1 << 8 | 1 << 15) == 0xffff;
}

/* "20130609T100015Z" to seconds since the epoch; timegm() would cost as much as a hash. */
static bool
amz_date_read(struct slice text, int64_t *ret)
{
	int64_t year, month, day, hour, minute, second, era_day;

	if (text.len != AMZ_DATE_BYTES || text.data[8] != 'T' || text.data[15] != 'Z' || !has_date_digits(text.data))
		return false;
	year = two_digits(text.data) * 100 + two_digits(text.data + 2);
	month = two_digits(text.data + 4);
	day = two_digits(text.data + 6);
	hour = two_digits(text.data + 9);
	minute = two_digits(text.data + 11);
	second = two_digits(text.data + 13);
	if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60)
		return false;
	if (month < 3) { /* a year that begins in March has its leap day at the end */
		year--;
		month += 12;
	}
	era_day = 365 * year + year / 4 - year / 100 + year / 400 + (153 * (month - 3) + 2) / 5 + day - 1;
	*ret = (era_day - 719468) * 86400 + hour * 3600 + minute * 60 + second; /* 719468: 1970-01-01 */
	return true;
}

static void
amz_date_write(int64_t s, char ret[AMZ_DATE_BYTES + 1])
{
	time_t t = (time_t)s;
	struct tm tm;

	gmtime_r(&t, &tm);
	if (strftime(ret, AMZ_DATE_BYTES + 1, "%Y%m%dT%H%M%SZ", &tm) != AMZ_DATE_BYTES)
		memcpy(ret, "00000000T000000Z", AMZ_DATE_BYTES + 1); /* a year beyond 9999 */
}

/* --- parsing --- */

/* The value of a query parameter, decoded; data is NULL when it is not there. */
static struct slice
query_get(struct slice query, struct slice name, struct arena *arena)
{
	struct slice rest = query, pair, key;

	while (next_piece(&rest, '&', &pair)) {
		next_piece(&pair, '=', &key);
		if (slice_eq(key, name))
			return pair.data != NULL ? percent_decoded(pair, arena) : SLICE("");
	}
	return SLICE_NONE;
}

/* What stands before the next blank or comma. */
static struct slice
next_word(struct slice *rest)
{
	const char *comma = memchr(rest->data, ',', rest->len), *blank;
	struct slice word = *rest;

	if (comma != NULL)
		word.len = (size_t)(comma - word.data);
	blank = memchr(word.data, ' ', word.len);
	if (blank != NULL)
		word.len = (size_t)(blank - word.data);
	*rest = slice_of(rest->data + word.len, rest->len - word.len);
	if (rest->len > 0)
		*rest = slice_of(rest->data + 1, rest->len - 1);
	return word;
}

/* Credential, Signature and SignedHeaders of "AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., Signature=..." */
static void
split_authorization(struct slice header, struct slice *ret_algorithm, struct slice *ret_credential,
		    struct sigv4_auth *ret)
{
	struct slice rest = header, word, name;

	*ret_algorithm = next_word(&rest);
	for (int i = 0; i < WORDS_MAX && rest.len > 0; i++) {
		word = next_word(&rest);
		if (word.len == 0)
			continue;
		next_piece(&word, '=', &name);
		if (word.data == NULL)
			continue;
		if (slice_eq(name, SLICE("Credential")))
			*ret_credential = word;
		else if (slice_eq(name, SLICE("Signature")))
			ret->signature = word;
		else if (slice_eq(name, SLICE("SignedHeaders")))
			ret->signed_headers = word;
	}
}

static enum status
parse_header(const struct http_exchange *x, struct slice header, struct slice *ret_algorithm,
	     struct slice *ret_credential, struct sigv4_auth *ret, struct err *err)
{
	struct slice date = SLICE_NONE;
	const char *no_credential = "", *no_signature = "", *no_signed = "", *no_date = "";
	struct tm tm = {0};

	split_authorization(header, ret_algorithm, ret_credential, ret);
	ret->amz_date = http_header_get(x, SLICE("x-amz-date"));
	if (ret->amz_date.len == 0)
		date = http_header_get(x, SLICE("date"));
	ret->session_token = http_header_get(x, SLICE("x-amz-security-token"));
	if (ret_credential->len == 0)
		no_credential = "Authorization header requires 'Credential' parameter. ";
	if (ret->signature.len == 0)
		no_signature = "Authorization header requires 'Signature' parameter. ";
	if (ret->signed_headers.len == 0)
		no_signed = "Authorization header requires 'SignedHeaders' parameter. ";
	if (ret->amz_date.len == 0 && date.len == 0)
		no_date = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ";
	if (*no_credential || *no_signature || *no_signed || *no_date)
		return err_set(err, S_INCOMPLETE_SIGNATURE, "%s%s%s%sAuthorization=%.*s", no_credential, no_signature,
			       no_signed, no_date, SLICE_ARG(header));
	if (ret->amz_date.len == 0) {
		struct slice text = arena_dup(x->arena, date);
		char iso[AMZ_DATE_BYTES + 1];

		ret->amz_date = date;
		if (strptime(text.data, "%a, %d %b %Y %H:%M:%S GMT", &tm) != NULL) {
			amz_date_write(timegm(&tm), iso);
			ret->amz_date = arena_dup(x->arena, slice_str(iso));
		}
	}
	return S_OK;
}

static enum status
parse_query(const struct http_exchange *x, struct slice *ret_algorithm, struct slice *ret_credential,
	    struct sigv4_auth *ret, struct err *err)
{
	static const struct slice names[] = {
	    {"X-Amz-Algorithm", 15},     {"X-Amz-Credential", 16}, {"X-Amz-Signature", 15},
	    {"X-Amz-SignedHeaders", 19}, {"X-Amz-Date", 10},
	};
	struct slice *const values[] = {ret_algorithm, ret_credential, &ret->signature, &ret->signed_headers,
					&ret->amz_date};
	struct slice expires = query_get(x->query, SLICE("X-Amz-Expires"), x->arena);
	char missing[512] = "";
	size_t len = 0;

	ret->presigned = true;
	ret->session_token = query_get(x->query, SLICE("X-Amz-Security-Token"), x->arena);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		*values[i] = query_get(x->query, names[i], x->arena);
		if (values[i]->len == 0)
			len += (size_t)snprintf(missing + len, sizeof missing - len,
						"AWS query-string parameters must include '%s'. ", names[i].data);
	}
	if (len > 0)
		return err_set(err, S_INCOMPLETE_SIGNATURE, "%sRe-examine the query-string parameters.", missing);
	ret->expires_s = SKEW_S;
	if (expires.data != NULL) {
		int64_t seconds = 0;

		for (size_t i = 0; i < expires.len; i++) {
			if (expires.data[i] < '0' || expires.data[i] > '9' || seconds > EXPIRES_MAX_S)
				return err_set(err, S_INCOMPLETE_SIGNATURE, "X-Amz-Expires should be a number");
			seconds = seconds * 10 + (expires.data[i] - '0');
		}
		if (seconds < 1 || seconds > EXPIRES_MAX_S)
			return err_set(err, S_INCOMPLETE_SIGNATURE, "X-Amz-Expires must be between 1 and %d seconds",
				       EXPIRES_MAX_S);
		ret->expires_s = seconds;
	}
	return S_OK;
}

static enum status
parse_credential(struct slice credential, struct sigv4_auth *ret, struct err *err)
{
	struct slice parts[5], rest = credential;
	size_t count = 0;

	while (rest.len > 0 && rest.data[rest.len - 1] == '/')
		rest.len--;
	while (count < 5 && next_piece(&rest, '/', &parts[count]))
		count++;
	if (count != 5 || rest.data != NULL)
		return err_set(err, S_INCOMPLETE_SIGNATURE,
			       "Credential must have exactly 5 slash-delimited elements, e.g. "
			       "keyid/date/region/service/term, got '%.*s'",
			       SLICE_ARG(credential));
	ret->access_key = parts[0];
	ret->date = parts[1];
	ret->region = parts[2];
	ret->service = parts[3];
	ret->terminator = parts[4];
	return S_OK;
}

enum status
sigv4_parse(const struct http_exchange *x, struct sigv4_auth *ret, struct err *err)
{
	struct slice header = http_header_get(x, SLICE("authorization"));
	bool in_query = x->query.len > 0 && query_get(x->query, SLICE("X-Amz-Algorithm"), x->arena).data != NULL;
	struct slice algorithm = SLICE_NONE, credential = SLICE_NONE;
	enum status s;

	memset(ret, 0, sizeof *ret);
	if (header.len > 0 && in_query)
		return err_set(
		    err, S_INVALID_SIGNATURE,
		    "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.");
	if (header.len > 0 ? !slice_starts(header, SLICE("AWS4-")) : !in_query)
		return err_set(err, S_MISSING_AUTHENTICATION, "Request is missing Authentication Token");
	s = in_query ? parse_query(x, &algorithm, &credential, ret, err)
		     : parse_header(x, header, &algorithm, &credential, ret, err);
	if (s != S_OK)
		return s;
	if (!amz_date_read(ret->amz_date, &ret->signed_s))
		return err_set(
		    err, S_INCOMPLETE_SIGNATURE,
		    "Date must be in ISO-8601 'basic format'. Got '%.*s'. See http://en.wikipedia.org/wiki/ISO_8601",
		    SLICE_ARG(ret->amz_date));
	if (!slice_eq(algorithm, SLICE(ALGORITHM)))
		return err_set(err, S_INCOMPLETE_SIGNATURE,
			       "Unsupported AWS 'algorithm': '%.*s' (only " ALGORITHM " for now). ",
			       SLICE_ARG(algorithm));
	return parse_credential(credential, ret, err);
}

/* --- the canonical request --- */

struct parameter {
	struct slice name, value; /* encoded */
};

static int
parameter_order(const void *a, const void *b)
{
	const struct parameter *left = a, *right = b;
	int order = slice_cmp(left->name, right->name);

	return order != 0 ? order : slice_cmp(left->value, right->value);
}

static struct slice
encoded_copy(struct slice s, struct arena *arena)
{
	struct buf b = {0};
	struct slice copy;

	put_encoded(&b, percent_decoded(s, arena), false);
	copy = arena_dup(arena, buf_slice(&b));
	buf_done(&b);
	return copy;
}

/* False: too many parameters. */
static bool
put_query(struct buf *out, struct slice query, struct arena *arena)
{
	struct parameter *parameters;
	struct slice rest = query.len > 0 ? query : SLICE_NONE, pair, name;
	size_t count = 0, max = 1;

	if (query.len == 0)
		return true;
	for (size_t i = 0; i < query.len; i++)
		max += query.data[i] == '&';
	if (max > QUERY_MAX)
		return false;
	parameters = ARENA_ARRAY(arena, struct parameter, max);
	while (next_piece(&rest, '&', &pair)) {
		if (pair.len == 0)
			continue;
		next_piece(&pair, '=', &name);
		if (slice_eq(name, SLICE("X-Amz-Signature")))
			continue;
		parameters[count++] = (struct parameter){encoded_copy(name, arena),
							 pair.data != NULL ? encoded_copy(pair, arena) : SLICE("")};
	}
	qsort(parameters, count, sizeof *parameters, parameter_order);
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_put_byte(out, '&');
		buf_put_slice(out, parameters[i].name);
		buf_put_byte(out, '=');
		buf_put_slice(out, parameters[i].value);
	}
	return true;
}

/* Without "//", "." and ".."; each segment encoded once more, as every service but S3 has it. */
static void
put_path(struct buf *out, struct slice path, bool s3)
{
	size_t start = out->len;
	struct slice rest = path, segment = SLICE_NONE;

	if (path.len <= 1) {
		buf_put_byte(out, '/');
		return;
	}
	if (s3) { /* as sent: it is encoded once already */
		buf_put_slice(out, path);
		return;
	}
	while (next_piece(&rest, '/', &segment)) {
		if (segment.len == 0 || slice_eq(segment, SLICE(".")))
			continue;
		if (slice_eq(segment, SLICE(".."))) {
			while (out->len > start && out->data[--out->len] != '/')
				;
			continue;
		}
		buf_put_byte(out, '/');
		put_encoded(out, segment, false);
	}
	if (out->len == start || segment.len == 0 || slice_eq(segment, SLICE(".")) || slice_eq(segment, SLICE("..")))
		buf_put_byte(out, '/');
}

/* What is hashed, put together in pieces that are worth a call. */
struct text {
	struct sha256 sum;
	size_t len;
	char bytes[TEXT_BYTES];
};

/* `start`: what was hashed before it; NULL: nothing. */
static void
text_begin(struct text *t, const struct sha256 *start)
{
	t->len = 0;
	if (start != NULL)
		t->sum = *start;
	else
		sha256_begin(&t->sum);
}

static void
text_put(struct text *t, const void *data, size_t len)
{
	if (len == 0)
		return;
	if (len > sizeof t->bytes - t->len) {
		sha256_add(&t->sum, slice_of(t->bytes, t->len));
		t->len = 0;
		if (len > sizeof t->bytes) {
			sha256_add(&t->sum, slice_of(data, len));
			return;
		}
	}
	memcpy(t->bytes + t->len, data, len);
	t->len += len;
}

#define text_put_lit(t, literal) text_put((t), (literal), sizeof(literal) - 1)

static void
text_put_slice(struct text *t, struct slice s)
{
	text_put(t, s.data, s.len);
}

static void
text_end(struct text *t, uint8_t ret[SHA256_BYTES])
{
	sha256_add(&t->sum, slice_of(t->bytes, t->len));
	sha256_end(&t->sum, ret);
}

/* Runs of blanks become one. */
static void
put_folded(struct text *out, struct slice value)
{
	const char *at = value.data, *end = value.data + value.len;

	while (at < end) {
		const char *blank = memchr(at, ' ', (size_t)(end - at));

		if (blank == NULL || blank + 1 == end || blank[1] != ' ') { /* the usual case: single ones */
			const char *stop = blank != NULL ? blank + 1 : end;

			text_put(out, at, (size_t)(stop - at));
			at = stop;
			continue;
		}
		text_put(out, at, (size_t)(blank + 1 - at));
		for (at = blank; at < end && *at == ' ';)
			at++;
	}
}

/* "name:value\n"; several fields of one name are one, with commas. */
static void
put_header(struct text *out, struct slice name, const struct http_header *headers, size_t count)
{
	bool found = false;

	text_put_slice(out, name);
	text_put_lit(out, ":");
	for (size_t i = 0; i < count; i++) {
		if (!slice_eq(headers[i].name, name))
			continue;
		if (found)
			text_put_lit(out, ",");
		put_folded(out, trimmed(headers[i].value));
		found = true;
	}
	text_put_lit(out, "\n");
}

/* SignedHeaders, taken apart once. */
struct names {
	size_t count;
	struct slice of[SIGNED_MAX];
};

/* False: too many. */
static bool
split_names(struct slice list, struct names *ret)
{
	struct slice name;

	ret->count = 0;
	while (next_piece(&list, ';', &name)) {
		if (ret->count == SIGNED_MAX)
			return false;
		ret->of[ret->count++] = name;
	}
	return true;
}

struct signing {
	struct slice method, path, query;
	const struct http_header *headers;
	size_t header_count;
	struct slice signed_headers;
	const struct names *names; /* the same */
	struct slice payload_hash; /* hex */
	struct slice amz_date, date, region, service;
};

/* False: too many parameters. */
static bool
put_path_and_query(struct text *out, const struct signing *s, struct arena *arena)
{
	struct buf made = {0};
	bool fits;

	if (s->path.len <= 1 && s->query.len == 0) { /* every request to DynamoDB */
		text_put_lit(out, "/\n\n");
		return true;
	}
	put_path(&made, s->path, slice_eq(s->service, SLICE("s3")));
	buf_put_byte(&made, '\n');
	fits = put_query(&made, s->query, arena);
	buf_put_byte(&made, '\n');
	text_put_slice(out, buf_slice(&made));
	buf_done(&made);
	return fits;
}

/* False: the request is beyond what is looked at. */
static bool
hash_canonical_request(const struct signing *s, struct arena *arena, uint8_t ret[SHA256_BYTES])
{
	struct text text;

	text_begin(&text, NULL);
	text_put_slice(&text, s->method);
	text_put_lit(&text, "\n");
	if (!put_path_and_query(&text, s, arena))
		return false;
	for (size_t i = 0; i < s->names->count; i++)
		put_header(&text, s->names->of[i], s->headers, s->header_count);
	text_put_lit(&text, "\n");
	text_put_slice(&text, s->signed_headers);
	text_put_lit(&text, "\n");
	text_put_slice(&text, s->payload_hash);
	text_end(&text, ret);
	return true;
}

static void
put_string_to_sign(struct text *out, const struct signing *s, const uint8_t request[SHA256_BYTES])
{
	char hex[HEX_BYTES];

	text_put_lit(out, ALGORITHM "\n");
	text_put_slice(out, s->amz_date);
	text_put_lit(out, "\n");
	text_put_slice(out, s->date);
	text_put_lit(out, "/");
	text_put_slice(out, s->region);
	text_put_lit(out, "/");
	text_put_slice(out, s->service);
	text_put_lit(out, "/aws4_request\n");
	crypto_hex(request, SHA256_BYTES, hex);
	text_put(out, hex, HEX_BYTES);
}

/* --- keys --- */

/*
 * A signing key as HMAC uses it: mixed with its two constants, a block of the hash each, which are hashed here already.
 * A signature goes on from there with two plain hashes, which takes half the time of an HMAC that is given its key
 * anew.
 */
struct pads {
	struct sha256 inner, outer;
};

struct cached_key {
	size_t len; /* of `scope`; 0: empty */
	struct pads pads;
	char scope[SCOPE_BYTES]; /* secret, date, region, service, each behind its length */
};

static size_t
put_part(char *at, struct slice s)
{
	at[0] = (char)s.len;
	memcpy(at + 1, s.data, s.len);
	return s.len + 1;
}

static void
hash_pad(const uint8_t key[SHA256_BYTES], uint8_t constant, struct sha256 *ret)
{
	uint8_t pad[PAD_BYTES];

	memset(pad, constant, sizeof pad);
	for (size_t i = 0; i < SHA256_BYTES; i++)
		pad[i] ^= key[i];
	sha256_begin(ret);
	sha256_add(ret, slice_of(pad, sizeof pad));
}

static void
derive_pads(struct slice secret, const struct signing *s, struct pads *ret)
{
	uint8_t key[SHA256_BYTES];
	struct buf first = {0};

	buf_put_lit(&first, "AWS4");
	buf_put_slice(&first, secret);
	crypto_hmac_sha256(buf_slice(&first), s->date, key);
	memset(first.data, 0, first.len);
	buf_done(&first);
	crypto_hmac_sha256(slice_of(key, sizeof key), s->region, key);
	crypto_hmac_sha256(slice_of(key, sizeof key), s->service, key);
	crypto_hmac_sha256(slice_of(key, sizeof key), SLICE("aws4_request"), key);
	hash_pad(key, 0x36, &ret->inner);
	hash_pad(key, 0x5c, &ret->outer);
}

static size_t
cache_place(const char *scope, size_t len)
{
	uint64_t hash = len;

	for (size_t i = 0; i < len; i += 8) { /* zeros follow up to a multiple of 8 */
		uint64_t word;

		memcpy(&word, scope + i, 8);
		hash = (hash ^ word) * 0x9e3779b97f4a7c15;
		hash ^= hash >> 32;
	}
	return hash % KEY_CACHE_ENTRIES;
}

/* The result lives until the thread's next call; `space` is for keys that are not cached. */
static const struct pads *
signing_pads(struct slice secret, const struct signing *s, struct pads *space)
{
	static _Thread_local struct cached_key cache[KEY_CACHE_ENTRIES];
	struct cached_key *entry;
	char scope[SCOPE_BYTES];
	size_t len = 0;

	if (secret.len + s->date.len + s->region.len + s->service.len + 4 + 8 > sizeof scope) {
		derive_pads(secret, s, space);
		return space;
	}
	len += put_part(scope + len, secret);
	len += put_part(scope + len, s->date);
	len += put_part(scope + len, s->region);
	len += put_part(scope + len, s->service);
	memset(scope + len, 0, 8);
	entry = &cache[cache_place(scope, len)];
	if (entry->len != len || memcmp(entry->scope, scope, len) != 0) {
		derive_pads(secret, s, &entry->pads);
		memcpy(entry->scope, scope, len);
		entry->len = len;
	}
	return &entry->pads;
}

/* The HMAC of what is in `inner`, which began with the key's pad. */
static void
put_signature(struct text *inner, const struct pads *pads, char ret[HEX_BYTES])
{
	struct sha256 outer = pads->outer;
	uint8_t sum[SHA256_BYTES];

	text_end(inner, sum);
	sha256_add(&outer, slice_of(sum, sizeof sum));
	sha256_end(&outer, sum);
	crypto_hex(sum, sizeof sum, ret);
}

/* False: the request is beyond what is looked at. */
static bool
sign(struct slice secret, const struct signing *s, struct arena *arena, char ret[HEX_BYTES])
{
	uint8_t request[SHA256_BYTES];
	const struct pads *pads;
	struct pads space;
	struct text text;

	if (!hash_canonical_request(s, arena, request))
		return false;
	pads = signing_pads(secret, s, &space);
	text_begin(&text, &pads->inner);
	put_string_to_sign(&text, s, request);
	put_signature(&text, pads, ret);
	return true;
}

/* --- verifying --- */

static bool
is_signed(const struct names *names, struct slice name)
{
	for (size_t i = 0; i < names->count; i++)
		if (slice_eq(names->of[i], name))
			return true;
	return false;
}

static enum status
check_time(const struct sigv4_auth *auth, int64_t now_s, struct err *err)
{
	int64_t signed_s = auth->signed_s, lifetime = auth->presigned ? auth->expires_s : SKEW_S;
	char now[AMZ_DATE_BYTES + 1], limit[AMZ_DATE_BYTES + 1];

	if (signed_s >= now_s - lifetime && signed_s <= now_s + SKEW_S)
		return S_OK;
	amz_date_write(now_s, now);
	if (signed_s < now_s - lifetime) {
		amz_date_write(now_s - lifetime, limit);
		return err_set(err, S_INVALID_SIGNATURE,
			       "Signature expired: %.*s is now earlier than %s (%s - %lld %s.)",
			       SLICE_ARG(auth->amz_date), limit, now,
			       (long long)(lifetime % 60 ? lifetime : lifetime / 60), lifetime % 60 ? "sec" : "min");
	}
	amz_date_write(now_s + SKEW_S, limit);
	return err_set(err, S_INVALID_SIGNATURE,
		       "Signature not yet current: %.*s is still later than %s (%s + %d min.)",
		       SLICE_ARG(auth->amz_date), limit, now, SKEW_S / 60);
}

static enum status
check_signed_headers(const struct http_exchange *x, const struct sigv4_auth *auth, struct names *ret, struct err *err)
{
	if (!split_names(auth->signed_headers, ret))
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
	char payload[HEX_BYTES], expected[HEX_BYTES];
	struct names names;
	struct signing s = {
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
	if (!sign(secret, &s, x->arena, expected) || auth->signature.len != HEX_BYTES ||
	    !crypto_equal(auth->signature.data, expected, HEX_BYTES))
		return err_set(err, S_INVALID_SIGNATURE, "%s", mismatch);
	return S_OK;
}

/* --- a string to sign without its request --- */

static bool
next_line(struct slice *rest, struct slice *ret)
{
	const char *end = rest->len > 0 ? memchr(rest->data, '\n', rest->len) : NULL;

	*ret = *rest;
	if (end == NULL) {
		*rest = SLICE_NONE;
		return false;
	}
	ret->len = (size_t)(end - rest->data);
	rest->data = end + 1;
	rest->len -= ret->len + 1;
	return true;
}

enum status
sigv4_parse_string(struct slice string_to_sign, struct slice signature, struct sigv4_auth *ret, struct err *err)
{
	struct slice rest = string_to_sign, algorithm, scope, hash, part;
	bool four;

	memset(ret, 0, sizeof *ret);
	four = next_line(&rest, &algorithm) && next_line(&rest, &ret->amz_date) && next_line(&rest, &scope) &&
	       !next_line(&rest, &hash);
	if (!four || !slice_eq(algorithm, SLICE(ALGORITHM)) || hash.len != HEX_BYTES ||
	    !amz_date_read(ret->amz_date, &ret->signed_s) || signature.len != HEX_BYTES)
		return err_set(err, S_INCOMPLETE_SIGNATURE, "The string to sign is not in its form");
	if (!next_piece(&scope, '/', &ret->date) || !next_piece(&scope, '/', &ret->region) ||
	    !next_piece(&scope, '/', &ret->service) || !next_piece(&scope, '/', &ret->terminator) ||
	    next_piece(&scope, '/', &part))
		return err_set(err, S_INCOMPLETE_SIGNATURE, "The string to sign has no credential scope");
	ret->signature = signature;
	return S_OK;
}

enum status
sigv4_verify_string(const struct sigv4_auth *auth, struct slice string_to_sign, struct slice secret, int64_t now_s,
		    struct err *err)
{
	struct signing s = {.date = auth->date, .region = auth->region, .service = auth->service};
	const struct pads *pads;
	struct pads space;
	struct text text;
	char expected[HEX_BYTES];
	enum status status = check_time(auth, now_s, err);

	if (status == S_OK)
		status = check_scope(auth, err);
	if (status != S_OK)
		return status;
	pads = signing_pads(secret, &s, &space);
	text_begin(&text, &pads->inner);
	text_put_slice(&text, string_to_sign);
	put_signature(&text, pads, expected);
	if (auth->signature.len != HEX_BYTES || !crypto_equal(auth->signature.data, expected, HEX_BYTES))
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
	char amz_date[AMZ_DATE_BYTES + 1], payload[HEX_BYTES], signature[HEX_BYTES];
	uint8_t hash[SHA256_BYTES];
	struct names names;
	struct signing s = {.method = method, .path = path, .query = query, .headers = all, .names = &names};

	amz_date_write(now_s, amz_date);
	s.amz_date = slice_of(amz_date, AMZ_DATE_BYTES);
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
	(void)split_names(s.signed_headers, &names);
	if (s.payload_hash.data == NULL) {
		crypto_sha256(body, hash);
		crypto_hex(hash, sizeof hash, payload);
		s.payload_hash = slice_of(payload, sizeof payload);
	}
	(void)sign(c->secret, &s, &arena, signature); /* our own requests are within the limits */
	buf_printf(ret_headers, "x-amz-date: %s\r\n", amz_date);
	if (c->session_token.len > 0)
		buf_printf(ret_headers, "x-amz-security-token: %.*s\r\n", SLICE_ARG(c->session_token));
	buf_printf(ret_headers,
		   "authorization: " ALGORITHM " Credential=%.*s/%.8s/%.*s/%.*s/aws4_request, SignedHeaders=%.*s, "
		   "Signature=%.*s\r\n",
		   SLICE_ARG(c->access_key), amz_date, SLICE_ARG(c->region), SLICE_ARG(c->service),
		   SLICE_ARG(s.signed_headers), HEX_BYTES, signature);
	arena_done(&arena);
}
