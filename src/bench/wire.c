#include "bench/wire.h"

#include <time.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "codec/cbor.h"

#define DAX_SERVICE     1
#define DAX_GET_ITEM    263244906
#define DAX_AUTHORIZE   1489122155
#define DAX_HELLO_NS    (120 * INT64_C(1000000000)) /* clients authorize again after 150 s at the latest */
#define DAX_ANSWER_MAX  ((size_t)64 << 20)
#define SCOPE_BYTES_MAX 128

/* ---- DAX ---- */

/* "20261122T132207Z" and "20261122/us-east-1/dax/aws4_request" */
static void
put_times(const struct bench_options *o, char *ret_time, size_t time_size, char *ret_scope)
{
	time_t now = (time_t)clock_real_s();
	struct tm utc;
	char day[16];

	gmtime_r(&now, &utc);
	strftime(ret_time, time_size, "%Y%m%dT%H%M%SZ", &utc);
	strftime(day, sizeof day, "%Y%m%d", &utc);
	snprintf(ret_scope, SCOPE_BYTES_MAX, "%s/%.64s/dax/aws4_request", day, o->region);
}

static void
hmac(const void *key, size_t len, const char *text, size_t text_len, uint8_t ret[SHA256_BYTES])
{
	crypto_hmac_sha256(slice_of(key, len), slice_of(text, text_len), ret);
}

/* SigV4's chain of keys: date, region, service, "aws4_request", and then what is signed. */
static void
sign(const struct bench_options *o, const char *scope, struct slice text, char ret_hex[2 * SHA256_BYTES])
{
	uint8_t key[SHA256_BYTES];
	struct buf secret = {0};
	const char *at = scope;

	buf_printf(&secret, "AWS4%s", o->secret_key);
	hmac(secret.data, secret.len, at, strcspn(at, "/"), key);
	buf_done(&secret);
	while (*(at += strcspn(at, "/")) == '/') {
		at++;
		hmac(key, sizeof key, at, strcspn(at, "/"), key);
	}
	hmac(key, sizeof key, text.data, text.len, key);
	crypto_hex(key, sizeof key, ret_hex);
}

static void
put_string_to_sign(const char *time, const char *scope, struct buf *out)
{
	struct buf canonical = {0};
	uint8_t hash[SHA256_BYTES];
	char hex[2 * SHA256_BYTES];

	crypto_sha256(SLICE_NONE, hash);
	crypto_hex(hash, sizeof hash, hex);
	buf_printf(&canonical, "POST\n/\n\nhost:dax.amazonaws.com\nx-amz-date:%s\n\nhost;x-amz-date\n%.*s", time,
		   (int)sizeof hex, hex);
	crypto_sha256(buf_slice(&canonical), hash);
	crypto_hex(hash, sizeof hash, hex);
	buf_done(&canonical);
	buf_printf(out, "AWS4-HMAC-SHA256\n%s\n%s\n%.*s", time, scope, (int)sizeof hex, hex);
}

static void
dax_hello(const void *context, struct buf *out)
{
	const struct bench_options *o = ((const struct workload *)context)->options;
	char time[20], scope[SCOPE_BYTES_MAX], signature[2 * SHA256_BYTES];
	struct buf to_sign = {0};

	cbor_put_text(out, SLICE("J7yne5G"));
	cbor_put_int(out, 0);
	cbor_put_null(out);
	cbor_put_map(out, 1);
	cbor_put_text(out, SLICE("UserAgent"));
	cbor_put_text(out, SLICE("stator-bench"));
	cbor_put_int(out, 0);

	put_times(o, time, sizeof time, scope);
	put_string_to_sign(time, scope, &to_sign);
	sign(o, scope, buf_slice(&to_sign), signature);
	cbor_put_int(out, DAX_SERVICE);
	cbor_put_int(out, DAX_AUTHORIZE);
	cbor_put_text(out, slice_str(o->access_key));
	cbor_put_text(out, slice_of(signature, sizeof signature));
	cbor_put_bytes(out, buf_slice(&to_sign));
	if (o->session_token != NULL)
		cbor_put_text(out, slice_str(o->session_token));
	else
		cbor_put_null(out);
	cbor_put_null(out);
	buf_done(&to_sign);
}

/* An empty array and the result, or an array of codes, a message and details. */
static size_t
dax_answer_bytes(struct slice data, int *ret_status)
{
	bool good = (uint8_t)data.data[0] == 0x80;
	struct cbor_scan scan;

	*ret_status = good ? 200 : 400;
	cbor_scan_init(&scan, good ? 2 : 3, DAX_ANSWER_MAX);
	return cbor_scan_run(&scan, data.data, data.len) == CBOR_DONE ? scan.at : 0;
}

static void
dax_get(const struct workload *w, struct slice key, struct buf *out)
{
	cbor_put_int(out, DAX_SERVICE);
	cbor_put_int(out, DAX_GET_ITEM);
	cbor_put_bytes(out, slice_str(w->options->table));
	cbor_put_bytes(out, key); /* of a table whose only key is a string: its bytes */
	cbor_put_map_indefinite(out);
	if (!w->options->eventual) {
		cbor_put_int(out, 2);
		cbor_put_bool(out, true);
	}
	cbor_put_break(out);
}

/* ---- memcached's text protocol ---- */

static size_t
memcached_answer_bytes(struct slice data, int *ret_status)
{
	const char *end = memmem(data.data, data.len, "\r\n", 2);
	size_t line = end != NULL ? (size_t)(end - data.data) + 2 : 0, value = 0, unit = 1;

	if (line == 0)
		return 0;
	*ret_status = slice_eq(slice_of(data.data, line), SLICE("STORED\r\n")) ? 200 : 500;
	if (!slice_starts(data, SLICE("VALUE ")))
		return line; /* also END at once: it is not there */
	*ret_status = 200;
	for (const char *at = end - 1; *at >= '0' && *at <= '9'; at--, unit *= 10)
		value += (size_t)(*at - '0') * unit;
	value += line + sizeof "\r\nEND\r\n" - 1;
	return value <= data.len ? value : 0;
}

/* ---- redis' protocol ---- */

static size_t
redis_answer_bytes(struct slice data, int *ret_status)
{
	const char *end = memmem(data.data, data.len, "\r\n", 2);
	size_t line = end != NULL ? (size_t)(end - data.data) + 2 : 0, value = 0;

	if (line == 0)
		return 0;
	*ret_status = data.data[0] == '+' ? 200 : 500;
	if (data.data[0] != '$' || data.data[1] == '-')
		return line; /* also $-1: it is not there */
	*ret_status = 200;
	for (const char *at = data.data + 1; *at >= '0' && *at <= '9'; at++)
		value = value * 10 + (size_t)(*at - '0');
	value += line + sizeof "\r\n" - 1;
	return value <= data.len ? value : 0;
}

/* ---- all ---- */

const struct client_wire *
wire_of(const struct workload *w, struct client_wire *ret)
{
	if (w->options->dax != NULL)
		*ret = (struct client_wire){dax_hello, w, DAX_HELLO_NS, dax_answer_bytes};
	else if (w->options->memcached != NULL)
		*ret = (struct client_wire){.answer_bytes = memcached_answer_bytes};
	else if (w->options->redis != NULL)
		*ret = (struct client_wire){.answer_bytes = redis_answer_bytes};
	else
		return NULL;
	return ret;
}

void
wire_make_get(const struct workload *w, struct slice key, struct request *ret)
{
	ret->bytes.len = 0;
	ret->signed_s = INT64_MAX; /* never too old: the connection is what is signed */
	if (w->options->dax != NULL)
		dax_get(w, key, &ret->bytes);
	else if (w->options->redis != NULL)
		buf_printf(&ret->bytes, "*2\r\n$3\r\nGET\r\n$%zu\r\n%.*s\r\n", key.len, SLICE_ARG(key));
	else
		buf_printf(&ret->bytes, "get %.*s\r\n", SLICE_ARG(key));
}

void
wire_make_set(const struct workload *w, struct slice key, struct slice value, struct request *ret)
{
	ret->bytes.len = 0;
	ret->signed_s = INT64_MAX;
	if (w->options->redis != NULL)
		buf_printf(&ret->bytes, "*3\r\n$3\r\nSET\r\n$%zu\r\n%.*s\r\n$%zu\r\n", key.len, SLICE_ARG(key),
			   value.len);
	else
		buf_printf(&ret->bytes, "set %.*s 0 0 %zu\r\n", SLICE_ARG(key), value.len);
	buf_put_slice(&ret->bytes, value);
	buf_put_lit(&ret->bytes, "\r\n");
}
