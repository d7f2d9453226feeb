/* What a client sends, taken apart: the Authorization header, a presigned query, a string to sign. */
#include <emmintrin.h>
#include <stdio.h>
#include <time.h>

#include "io/sigv4_int.h"

#define EXPIRES_MAX_S 604800
#define WORDS_MAX     64 /* looked at in an Authorization header; three are needed */

/* --- small text --- */

bool
sigv4_next_piece(struct slice *rest, char separator, struct slice *ret)
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

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

struct slice
sigv4_percent_decoded(struct slice s, struct arena *arena)
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
bool
sigv4_amz_date_read(struct slice text, int64_t *ret)
{
	int64_t year, month, day, hour, minute, second, era_day;

	if (text.len != SIGV4_AMZ_DATE_BYTES || text.data[8] != 'T' || text.data[15] != 'Z' ||
	    !has_date_digits(text.data))
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

void
sigv4_amz_date_write(int64_t s, char ret[SIGV4_AMZ_DATE_BYTES + 1])
{
	time_t t = (time_t)s;
	struct tm tm;

	gmtime_r(&t, &tm);
	if (strftime(ret, SIGV4_AMZ_DATE_BYTES + 1, "%Y%m%dT%H%M%SZ", &tm) != SIGV4_AMZ_DATE_BYTES)
		memcpy(ret, "00000000T000000Z", SIGV4_AMZ_DATE_BYTES + 1); /* a year beyond 9999 */
}

bool
sigv4_split_names(struct slice list, struct sigv4_names *ret)
{
	struct slice name;

	ret->count = 0;
	while (sigv4_next_piece(&list, ';', &name)) {
		if (ret->count == SIGV4_SIGNED_MAX)
			return false;
		ret->of[ret->count++] = name;
	}
	return true;
}

/* --- parsing --- */

/* The value of a query parameter, decoded; data is NULL when it is not there. */
static struct slice
query_get(struct slice query, struct slice name, struct arena *arena)
{
	struct slice rest = query, pair, key;

	while (sigv4_next_piece(&rest, '&', &pair)) {
		sigv4_next_piece(&pair, '=', &key);
		if (slice_eq(key, name))
			return pair.data != NULL ? sigv4_percent_decoded(pair, arena) : SLICE("");
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
		sigv4_next_piece(&word, '=', &name);
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
		char iso[SIGV4_AMZ_DATE_BYTES + 1];

		ret->amz_date = date;
		if (strptime(text.data, "%a, %d %b %Y %H:%M:%S GMT", &tm) != NULL) {
			sigv4_amz_date_write(timegm(&tm), iso);
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
	ret->expires_s = SIGV4_SKEW_S;
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
	while (count < 5 && sigv4_next_piece(&rest, '/', &parts[count]))
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
	if (!sigv4_amz_date_read(ret->amz_date, &ret->signed_s))
		return err_set(
		    err, S_INCOMPLETE_SIGNATURE,
		    "Date must be in ISO-8601 'basic format'. Got '%.*s'. See http://en.wikipedia.org/wiki/ISO_8601",
		    SLICE_ARG(ret->amz_date));
	if (!slice_eq(algorithm, SLICE(SIGV4_ALGORITHM)))
		return err_set(err, S_INCOMPLETE_SIGNATURE,
			       "Unsupported AWS 'algorithm': '%.*s' (only " SIGV4_ALGORITHM " for now). ",
			       SLICE_ARG(algorithm));
	return parse_credential(credential, ret, err);
}

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
	if (!four || !slice_eq(algorithm, SLICE(SIGV4_ALGORITHM)) || hash.len != SIGV4_HEX_BYTES ||
	    !sigv4_amz_date_read(ret->amz_date, &ret->signed_s) || signature.len != SIGV4_HEX_BYTES)
		return err_set(err, S_INCOMPLETE_SIGNATURE, "The string to sign is not in its form");
	if (!sigv4_next_piece(&scope, '/', &ret->date) || !sigv4_next_piece(&scope, '/', &ret->region) ||
	    !sigv4_next_piece(&scope, '/', &ret->service) || !sigv4_next_piece(&scope, '/', &ret->terminator) ||
	    sigv4_next_piece(&scope, '/', &part))
		return err_set(err, S_INCOMPLETE_SIGNATURE, "The string to sign has no credential scope");
	ret->signature = signature;
	return S_OK;
}
