#include "io/sigv4.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "kit.h"

/* The credentials, date and signatures of AWS's published test suite for Signature Version 4. */
#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define NOW_S  1440938160 /* 20150830T123600Z */

static const struct sigv4_credentials suite = {
    .access_key = {"AKIDEXAMPLE", 11},
    .secret = {SECRET, sizeof SECRET - 1},
    .region = {"us-east-1", 9},
    .service = {"service", 7},
};

static struct arena arena;

static struct slice
value_of(struct slice text, const char *name)
{
	char *copy = (char *)arena_dup(&arena, text).data, *at = strstr(copy, name), *end;

	assert_non_null(at);
	at += strlen(name);
	end = at + strcspn(at, "\r,");
	return slice_of(at, (size_t)(end - at));
}

static void
amazons_published_signatures_come_out(void **state)
{
	static const struct {
		const char *name, *method, *path, *query, *body;
		struct http_header headers[3];
		const char *signature;
	} cases[] = {
	    {"get-vanilla",
	     "GET",
	     "/",
	     "",
	     "",
	     {{SLICE("host"), SLICE("example.amazonaws.com")}},
	     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
	    {"get-vanilla-query-order-key-case",
	     "GET",
	     "/",
	     "Param2=value2&Param1=value1",
	     "",
	     {{SLICE("host"), SLICE("example.amazonaws.com")}},
	     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
	    {"get-header-value-trim",
	     "GET",
	     "/",
	     "",
	     "",
	     {{SLICE("host"), SLICE("example.amazonaws.com")},
	      {SLICE("my-header1"), SLICE(" value1")},
	      {SLICE("my-header2"), SLICE(" \"a   b   c\" ")}},
	     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
	    {"get-space",
	     "GET",
	     "/example space/",
	     "",
	     "",
	     {{SLICE("host"), SLICE("example.amazonaws.com")}},
	     "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
	    {"get-utf8",
	     "GET",
	     "/\xe1\x88\xb4",
	     "",
	     "",
	     {{SLICE("host"), SLICE("example.amazonaws.com")}},
	     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
	    {"get-relative-relative",
	     "GET",
	     "/example1/example2/../..",
	     "",
	     "",
	     {{SLICE("host"), SLICE("example.amazonaws.com")}},
	     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
	    {"get-slashes",
	     "GET",
	     "//example//",
	     "",
	     "",
	     {{SLICE("host"), SLICE("example.amazonaws.com")}},
	     "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"},
	    {"post-vanilla",
	     "POST",
	     "/",
	     "",
	     "",
	     {{SLICE("host"), SLICE("example.amazonaws.com")}},
	     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
	    {"post-x-www-form-urlencoded",
	     "POST",
	     "/",
	     "",
	     "Param1=value1",
	     {{SLICE("content-type"), SLICE("application/x-www-form-urlencoded")},
	      {SLICE("host"), SLICE("example.amazonaws.com")}},
	     "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct buf out = {0};
		size_t count = 0;

		while (count < 3 && cases[i].headers[count].name.data != NULL)
			count++;
		sigv4_sign(&suite, slice_str(cases[i].method), slice_str(cases[i].path), slice_str(cases[i].query),
			   cases[i].headers, count, slice_str(cases[i].body), NOW_S, &out);
		if (!slice_eq(value_of(buf_slice(&out), "Signature="), slice_str(cases[i].signature)))
			fail_msg("%s:\n%.*s\nexpected %s", cases[i].name, SLICE_ARG(buf_slice(&out)),
				 cases[i].signature);
		buf_done(&out);
	}
	arena_reset(&arena);
}

/* What is hashed is put together in pieces: a value of any length is signed as if it were one. */
static void
headers_of_every_length_are_signed_whole(void **state)
{
	static const struct slice steps[] = {SLICE("20150830"), SLICE("us-east-1"), SLICE("service"),
					     SLICE("aws4_request")};
	uint8_t key[SHA256_BYTES], sum[SHA256_BYTES];
	char hex[2 * SHA256_BYTES];

	(void)state;
	for (size_t len = 900; len < 2300; len += 1 + len % 7) {
		char *value = (char *)arena_dup(&arena, slice_of((char[2300]){0}, len)).data;
		const struct http_header headers[] = {{SLICE("host"), SLICE("h")}, {SLICE("long"), {value, len}}};
		struct buf out = {0}, text = {0};

		for (size_t i = 0; i < len; i++)
			value[i] = (char)('a' + i % 23);
		sigv4_sign(&suite, SLICE("POST"), SLICE("/"), SLICE_NONE, headers, 2, SLICE_NONE, NOW_S, &out);
		buf_printf(&text, "POST\n/\n\nhost:h\nlong:%.*s\nx-amz-date:20150830T123600Z\n\nhost;long;x-amz-date\n",
			   (int)len, value);
		crypto_sha256(SLICE_NONE, sum);
		crypto_hex(sum, sizeof sum, hex);
		buf_put(&text, hex, sizeof hex);
		crypto_sha256(buf_slice(&text), sum);
		crypto_hex(sum, sizeof sum, hex);
		text.len = 0;
		buf_printf(&text, "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/service/aws4_request\n%.*s",
			   (int)sizeof hex, hex);
		crypto_hmac_sha256(SLICE("AWS4" SECRET), steps[0], key);
		for (int i = 1; i < 4; i++)
			crypto_hmac_sha256(slice_of(key, sizeof key), steps[i], key);
		crypto_hmac_sha256(slice_of(key, sizeof key), buf_slice(&text), sum);
		crypto_hex(sum, sizeof sum, hex);
		assert_memory_equal(value_of(buf_slice(&out), "Signature=").data, hex, sizeof hex);
		buf_done(&out);
		buf_done(&text);
		arena_reset(&arena);
	}
}

/* --- verifying what was signed --- */

struct request {
	struct http_exchange x;
	struct http_header headers[16];
	struct buf signed_text;
};

static struct http_header *
add_header(struct request *r, const char *name, struct slice value)
{
	r->headers[r->x.header_count] = (struct http_header){slice_str(name), value};
	return &r->headers[r->x.header_count++];
}

static void
make_signed(struct request *r, const struct sigv4_credentials *c, const char *query, const char *body, int64_t now_s)
{
	*r = (struct request){.x = {.method = SLICE("POST"), .path = SLICE("/"), .arena = &arena}};
	r->x.headers = r->headers;
	r->x.query = slice_str(query);
	r->x.body = r->x.raw_body = slice_str(body);
	add_header(r, "host", SLICE("localhost:8000"));
	add_header(r, "x-amz-target", SLICE("DynamoDB_20120810.GetItem"));
	sigv4_sign(c, r->x.method, r->x.path, r->x.query, r->headers, r->x.header_count, r->x.body, now_s,
		   &r->signed_text);
	buf_put_byte(&r->signed_text, 0);
	r->signed_text.len--;
	add_header(r, "x-amz-date", value_of(buf_slice(&r->signed_text), "x-amz-date: "));
	if (c->session_token.len > 0)
		add_header(r, "x-amz-security-token", c->session_token);
	{
		char *at = strstr(r->signed_text.data, "authorization: ") + 15;

		add_header(r, "authorization", slice_of(at, strcspn(at, "\r")));
	}
}

static void
drop(struct request *r)
{
	buf_done(&r->signed_text);
	arena_reset(&arena);
}

static enum status
check(struct request *r, const char *secret, int64_t now_s, struct err *err)
{
	struct sigv4_auth auth;
	enum status s = sigv4_parse(&r->x, &auth, err);

	return s == S_OK ? sigv4_verify(&r->x, &auth, slice_str(secret), now_s, err) : s;
}

static void
what_was_signed_verifies(void **state)
{
	struct sigv4_credentials c = suite;
	struct sigv4_auth auth;
	struct request r;
	struct err err;

	(void)state;
	for (int token = 0; token < 2; token++) {
		c.session_token = token ? SLICE("FwoGZXIvYXdzE==/+") : SLICE_NONE;
		make_signed(&r, &c, "b=2&a=%7e%20x&a=1&c", "{\"TableName\":\"t\"}", NOW_S);
		if (check(&r, SECRET, NOW_S + 299, &err) != S_OK)
			fail_msg("%s", err.message);
		assert_int_equal(check(&r, SECRET, NOW_S - 299, &err), S_OK);
		assert_int_equal(sigv4_parse(&r.x, &auth, &err), S_OK);
		assert_true(slice_eq(auth.access_key, SLICE("AKIDEXAMPLE")));
		assert_true(slice_eq(auth.region, SLICE("us-east-1")));
		assert_true(slice_eq(auth.service, SLICE("service")));
		assert_true(slice_eq(auth.date, SLICE("20150830")));
		assert_true(slice_eq(auth.session_token, c.session_token));
		assert_false(auth.presigned);
		drop(&r);
	}
}

static void
any_change_breaks_the_signature(void **state)
{
	struct request r;
	struct err err;

	(void)state;
	for (int change = 0; change < 9; change++) {
		const char *secret = SECRET;

		make_signed(&r, &suite, "a=1", "{}", NOW_S);
		switch (change) {
		case 0:
			r.x.raw_body = SLICE("{ }");
			break;
		case 1:
			r.x.method = SLICE("GET");
			break;
		case 2:
			r.x.path = SLICE("/x");
			break;
		case 3:
			r.x.query = SLICE("a=2");
			break;
		case 4:
			r.headers[0].value = SLICE("localhost:8001");
			break;
		case 5:
			r.headers[1].value = SLICE("DynamoDB_20120810.PutItem");
			break;
		case 6:
			secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEX";
			break;
		case 7: /* the last digit */
			((char *)r.headers[3].value.data)[r.headers[3].value.len - 1] ^= 1;
			break;
		case 8:
			r.headers[3].value.len--;
			break;
		}
		assert_int_equal(check(&r, secret, NOW_S, &err), S_INVALID_SIGNATURE);
		assert_string_equal(
		    err.message, "The request signature we calculated does not match the signature you provided. Check "
				 "your AWS Secret Access Key and signing method. Consult the service documentation for "
				 "details.");
		drop(&r);
	}
}

static void
what_must_be_signed_must_be_named(void **state)
{
	struct request r;
	struct err err;

	(void)state;
	make_signed(&r, &suite, "", "{}", NOW_S);
	add_header(&r, "x-amz-extra", SLICE("1"));
	assert_int_equal(check(&r, SECRET, NOW_S, &err), S_INVALID_SIGNATURE);
	assert_string_equal(err.message, "'x-amz-extra' must be a 'SignedHeader' in the AWS Authorization.");
	r.x.header_count--;
	add_header(&r, "user-agent", SLICE("not signed"));
	assert_int_equal(check(&r, SECRET, NOW_S, &err), S_OK);
	drop(&r);
	make_signed(&r, &suite, "", "{}", NOW_S);
	memcpy(strstr(r.signed_text.data, "=host;"), "=hosx;", 6);
	assert_int_equal(check(&r, SECRET, NOW_S, &err), S_INVALID_SIGNATURE);
	assert_string_equal(err.message, "'Host' must be a 'SignedHeader' in the AWS Authorization.");
	drop(&r);
}

static void
an_old_or_future_signature_is_refused(void **state)
{
	struct request r;
	struct err err;

	(void)state;
	make_signed(&r, &suite, "", "{}", NOW_S);
	assert_int_equal(check(&r, SECRET, NOW_S + 301, &err), S_INVALID_SIGNATURE);
	assert_string_equal(err.message, "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z "
					 "(20150830T124101Z - 5 min.)");
	assert_int_equal(check(&r, SECRET, NOW_S - 301, &err), S_INVALID_SIGNATURE);
	assert_string_equal(err.message, "Signature not yet current: 20150830T123600Z is still later than "
					 "20150830T123559Z (20150830T123059Z + 5 min.)");
	drop(&r);
}

static void
dates_are_read_right_in_every_kind_of_year(void **state)
{
	static const int64_t days[] = {0,     59,    789,   11016, 11017, 11322, 11323,
				       18321, 19782, 19783, 19784, 20088, 47540, 47541};
	struct request r;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof days / sizeof days[0]; i++) {
		int64_t now_s = days[i] * 86400 + 86399;

		make_signed(&r, &suite, "", "{}", now_s);
		assert_int_equal(check(&r, SECRET, now_s + 300, &err), S_OK);
		assert_int_equal(check(&r, SECRET, now_s - 300, &err), S_OK);
		assert_int_equal(check(&r, SECRET, now_s + 301, &err), S_INVALID_SIGNATURE);
		assert_int_equal(check(&r, SECRET, now_s - 301, &err), S_INVALID_SIGNATURE);
		drop(&r);
	}
}

static void
parse_case(const char *authorization, const char *date_name, const char *date, const char *query, enum status status,
	   const char *message)
{
	struct request r = {.x = {.method = SLICE("POST"), .path = SLICE("/"), .arena = &arena}};
	struct sigv4_auth auth;
	struct err err;

	r.x.headers = r.headers;
	r.x.query = slice_str(query);
	if (authorization != NULL)
		add_header(&r, "authorization", slice_str(authorization));
	if (date != NULL)
		add_header(&r, date_name, slice_str(date));
	assert_int_equal(sigv4_parse(&r.x, &auth, &err), status);
	if (status != S_OK)
		assert_string_equal(err.message, message);
	arena_reset(&arena);
}

#define GOOD_AUTH "AWS4-HMAC-SHA256 Credential=k/20150830/r/dynamodb/aws4_request, SignedHeaders=host, Signature=abc"

static void
malformed_credentials_are_told_as_the_service_tells_them(void **state)
{
	(void)state;
	parse_case(GOOD_AUTH, "x-amz-date", "20150830T123600Z", NULL, S_OK, NULL);
	parse_case(GOOD_AUTH, "date", "Sun, 30 Aug 2015 12:36:00 GMT", NULL, S_OK, NULL);
	parse_case(NULL, NULL, NULL, "", S_MISSING_AUTHENTICATION, "Request is missing Authentication Token");
	parse_case("AWS4", NULL, NULL, "", S_MISSING_AUTHENTICATION, "Request is missing Authentication Token");
	parse_case("X", NULL, NULL, "X-Amz-Algorith", S_MISSING_AUTHENTICATION,
		   "Request is missing Authentication Token");
	parse_case(NULL, NULL, NULL, "X-Amz-Credential=a&X-Amz-Signature=b&X-Amz-SignedHeaders=c&X-Amz-Date=d",
		   S_MISSING_AUTHENTICATION, "Request is missing Authentication Token");
	parse_case("X", NULL, NULL, "X-Amz-Algorithm", S_INVALID_SIGNATURE,
		   "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.");
	parse_case("AWS4-", NULL, NULL, "", S_INCOMPLETE_SIGNATURE,
		   "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' "
		   "parameter. Authorization header requires 'SignedHeaders' parameter. Authorization header requires "
		   "existence of either a 'X-Amz-Date' or a 'Date' header. Authorization=AWS4-");
	parse_case(
	    "AWS4- Signature=b Credential=a", "date", "a", "", S_INCOMPLETE_SIGNATURE,
	    "Authorization header requires 'SignedHeaders' parameter. Authorization=AWS4- Signature=b Credential=a");
	parse_case(
	    "AWS4- Signature=b,Credential=a", "date", "a", "", S_INCOMPLETE_SIGNATURE,
	    "Authorization header requires 'SignedHeaders' parameter. Authorization=AWS4- Signature=b,Credential=a");
	parse_case(
	    NULL, NULL, NULL, "X-Amz-Algorithm", S_INCOMPLETE_SIGNATURE,
	    "AWS query-string parameters must include 'X-Amz-Algorithm'. AWS query-string parameters must include "
	    "'X-Amz-Credential'. AWS query-string parameters must include 'X-Amz-Signature'. AWS query-string "
	    "parameters must include 'X-Amz-SignedHeaders'. AWS query-string parameters must include 'X-Amz-Date'. "
	    "Re-examine the query-string parameters.");
	parse_case(
	    NULL, NULL, NULL, "X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Signature=c&X-Amz-Date=d",
	    S_INCOMPLETE_SIGNATURE,
	    "AWS query-string parameters must include 'X-Amz-SignedHeaders'. Re-examine the query-string parameters.");
	parse_case(GOOD_AUTH, "x-amz-date", "201", "", S_INCOMPLETE_SIGNATURE,
		   "Date must be in ISO-8601 'basic format'. Got '201'. See http://en.wikipedia.org/wiki/ISO_8601");
	parse_case("AWS4-HMAC-SHA25 Credential=a, SignedHeaders=host, Signature=abc", "x-amz-date", "20150830T123600Z",
		   "", S_INCOMPLETE_SIGNATURE,
		   "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA25' (only AWS4-HMAC-SHA256 for now). ");
	parse_case("AWS4-HMAC-SHA256 Credential=a/b/c/d, SignedHeaders=host, Signature=abc", "x-amz-date",
		   "20150830T123600Z", "", S_INCOMPLETE_SIGNATURE,
		   "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got "
		   "'a/b/c/d'");
	parse_case("AWS4-HMAC-SHA256 Credential=a/b/c/d/e/f, SignedHeaders=host, Signature=abc", "x-amz-date",
		   "20150830T123600Z", "", S_INCOMPLETE_SIGNATURE,
		   "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got "
		   "'a/b/c/d/e/f'");
}

static void
the_scope_must_fit(void **state)
{
	static const struct {
		const char *from, *to, *message;
	} cases[] = {
	    {"/aws4_request", "/aws4_requesT",
	     "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws4_requesT'."},
	    {"/20150830/", "/20150831/",
	     "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
	     "from HTTP: '20150831' != '20150830', from '20150830T123600Z'."},
	};
	struct request r;
	struct err err;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		make_signed(&r, &suite, "", "{}", NOW_S);
		memcpy(strstr(r.signed_text.data, cases[i].from), cases[i].to, strlen(cases[i].to));
		assert_int_equal(check(&r, SECRET, NOW_S, &err), S_INVALID_SIGNATURE);
		assert_string_equal(err.message, cases[i].message);
		drop(&r);
	}
}

/* Made with botocore's SigV4QueryAuth. */
static void
a_presigned_query_verifies_until_it_expires(void **state)
{
	static const char query[] =
	    "Action=a%20b%2Fc&x=%C3%BC&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-"
	    "east-1%2Fdynamodb%2Faws4_request&X-Amz-Date=20150830T123600Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&"
	    "X-Amz-Security-Token=tok%2Fen%2B%3D%3D&X-Amz-Signature="
	    "6eb334f2c937a5addb0c2f3402f000d7e1ab27b0344f127933f515b51d37f1e5";
	struct request r = {.x = {.method = SLICE("GET"), .path = SLICE("/"), .arena = &arena}};
	struct err err;

	(void)state;
	r.x.headers = r.headers;
	r.x.query = SLICE(query);
	add_header(&r, "host", SLICE("localhost:8000"));
	if (check(&r, SECRET, NOW_S + 3599, &err) != S_OK)
		fail_msg("%s", err.message);
	assert_int_equal(check(&r, SECRET, NOW_S + 3601, &err), S_INVALID_SIGNATURE);
	assert_non_null(strstr(err.message, "Signature expired"));
	r.x.query.data = arena_dup(&arena, slice_of(query, sizeof query - 1)).data;
	memcpy(strstr(r.x.query.data, "Expires=3600"), "Expires=9600", 12);
	assert_int_equal(check(&r, SECRET, NOW_S, &err), S_INVALID_SIGNATURE);
	arena_reset(&arena);
}

/* Not a promise, a look: DESIGN.md wants 1.5 µs. */
static void
verifying_takes_a_few_microseconds(void **state)
{
	struct request r;
	struct err err;
	int64_t before;
	int rounds = 20000;

	(void)state;
	make_signed(&r, &suite, "", "{\"TableName\":\"table\",\"Key\":{\"pk\":{\"S\":\"a key of some length\"}}}",
		    NOW_S);
	assert_int_equal(check(&r, SECRET, NOW_S, &err), S_OK);
	before = clock_mono_ns();
	for (int i = 0; i < rounds; i++)
		assert_int_equal(check(&r, SECRET, NOW_S, NULL), S_OK);
	print_message("%.2f us a verification\n", (double)(clock_mono_ns() - before) / rounds / 1000);
	drop(&r);
}

/* As a DAX client was recorded to send it, with its secret. */
static void
a_string_to_sign_verifies_without_its_request(void **state)
{
	static const char recorded[] = "AWS4-HMAC-SHA256\n20261122T132207Z\n20261122/us-east-1/dax/aws4_request\n"
				       "416daeb2577d6e817498326aaeadb7beee4dc90efc43d1b5e9e35018649b548b";
	static const char signature[] = "ff8c881e726cbf4b52514e7ec2c7a742f62f40fc7fb34b3ec98fec3b028b2290";
	static const int64_t then = 1795353727;
	static const char *const malformed[] = {
	    "",
	    "AWS4-HMAC-SHA256",
	    "AWS4-HMAC-SHA256\n20261122T132207Z\n20261122/us-east-1/dax/aws4_request",
	    "AWS4-HMAC-SHA512\n20261122T132207Z\n20261122/us-east-1/dax/aws4_request\n"
	    "416daeb2577d6e817498326aaeadb7beee4dc90efc43d1b5e9e35018649b548b",
	    "AWS4-HMAC-SHA256\n20261122T132207\n20261122/us-east-1/dax/aws4_request\n"
	    "416daeb2577d6e817498326aaeadb7beee4dc90efc43d1b5e9e35018649b548b",
	    "AWS4-HMAC-SHA256\n20261122T132207Z\n20261122/us-east-1/dax\n"
	    "416daeb2577d6e817498326aaeadb7beee4dc90efc43d1b5e9e35018649b548b",
	    "AWS4-HMAC-SHA256\n20261122T132207Z\n20261122/us-east-1/dax/aws4_request/x\n"
	    "416daeb2577d6e817498326aaeadb7beee4dc90efc43d1b5e9e35018649b548b",
	};
	struct slice text = SLICE(recorded), secret = SLICE("SECRETEXAMPLE");
	struct sigv4_auth auth;
	struct err err;

	(void)state;
	assert_int_equal(sigv4_parse_string(text, SLICE(signature), &auth, &err), S_OK);
	assert_true(slice_eq(auth.service, SLICE("dax")) && slice_eq(auth.region, SLICE("us-east-1")));
	assert_int_equal(sigv4_verify_string(&auth, text, secret, then + 299, &err), S_OK);
	assert_int_equal(sigv4_verify_string(&auth, text, secret, then + 301, &err), S_INVALID_SIGNATURE);
	assert_int_equal(sigv4_verify_string(&auth, text, secret, then - 301, &err), S_INVALID_SIGNATURE);
	assert_int_equal(sigv4_verify_string(&auth, text, SLICE("SECRETEXAMPLF"), then, &err), S_INVALID_SIGNATURE);
	for (size_t i = 0; i < sizeof recorded - 1; i++) { /* no byte of it may be another */
		struct slice copy = arena_dup(&arena, text);

		((char *)copy.data)[i] ^= 1;
		if (sigv4_parse_string(copy, SLICE(signature), &auth, &err) == S_OK)
			assert_int_not_equal(sigv4_verify_string(&auth, copy, secret, then, &err), S_OK);
	}
	for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++)
		assert_int_equal(sigv4_parse_string(slice_str(malformed[i]), SLICE(signature), &auth, &err),
				 S_INCOMPLETE_SIGNATURE);
	assert_int_equal(sigv4_parse_string(text, SLICE("ff8c"), &auth, &err), S_INCOMPLETE_SIGNATURE);
}

static int
done(void **state)
{
	(void)state;
	arena_done(&arena);
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(amazons_published_signatures_come_out),
	    cmocka_unit_test(headers_of_every_length_are_signed_whole),
	    cmocka_unit_test(what_was_signed_verifies),
	    cmocka_unit_test(any_change_breaks_the_signature),
	    cmocka_unit_test(what_must_be_signed_must_be_named),
	    cmocka_unit_test(an_old_or_future_signature_is_refused),
	    cmocka_unit_test(dates_are_read_right_in_every_kind_of_year),
	    cmocka_unit_test(malformed_credentials_are_told_as_the_service_tells_them),
	    cmocka_unit_test(the_scope_must_fit),
	    cmocka_unit_test(a_presigned_query_verifies_until_it_expires),
	    cmocka_unit_test(a_string_to_sign_verifies_without_its_request),
	    cmocka_unit_test(verifying_takes_a_few_microseconds),
	};

	return cmocka_run_group_tests(tests, NULL, done);
}
