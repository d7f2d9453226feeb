#include "bench/workload.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "bench/wire.h"
#include "codec/json.h"
#include "io/sigv4.h"

/* What of an item is not the `data` attribute's value, by DynamoDB's rule: names and values. */
#define PLAIN_OVERHEAD 28 /* pk "item-0000000000" 2+15, n 1+6, data 4 */
#define QUERY_OVERHEAD 38 /* ... and sk 2+8 */

void
workload_put_table(const struct workload *w, bool queries, int64_t table, struct buf *out)
{
	buf_put_slice(out, slice_str(w->options->table));
	if (queries)
		buf_put_lit(out, "-query");
	if (table > 0)
		buf_printf(out, "-%lld", (long long)table + 1);
}

bool
workload_is_foreign(const struct workload *w)
{
	return w->options->memcached != NULL || w->options->redis != NULL;
}

/* The table of a request about a random item; pick() uses other bits of `random`. */
static int64_t
random_table(const struct workload *w, uint64_t random)
{
	return (int64_t)((random >> 40) % (uint64_t)w->options->tables);
}

bool
workload_needs(const struct workload *w, bool queries)
{
	int workload = w->options->workload;

	return queries ? workload == BENCH_QUERY || workload == BENCH_MIX : workload != BENCH_QUERY;
}

/* Whole partitions of the query table. */
static int64_t
partition_count(const struct workload *w)
{
	int64_t count = w->options->items / w->options->query_items;

	return count > 0 ? count : 1;
}

void
workload_init(struct workload *w)
{
	if (w->options->keys != BENCH_ZIPF)
		return;
	zipf_init(&w->items, (uint64_t)w->options->items);
	zipf_init(&w->partitions, (uint64_t)partition_count(w));
}

static int64_t
pick(const struct workload *w, const struct zipf *z, int64_t count, uint64_t random)
{
	if (w->options->keys != BENCH_ZIPF)
		return (int64_t)(random % (uint64_t)count);
	/* the mixing of splitmix64: the law looks at the high bits, of which the table is made, too */
	random = (random ^ (random >> 30)) * 0xbf58476d1ce4e5b9;
	random = (random ^ (random >> 27)) * 0x94d049bb133111eb;
	return (int64_t)zipf_pick(z, random ^ (random >> 31));
}

static int64_t
pick_item(const struct workload *w, uint64_t random)
{
	return pick(w, &w->items, w->options->items, random);
}

static int64_t
pick_partition(const struct workload *w, uint64_t random)
{
	return pick(w, &w->partitions, partition_count(w), random);
}

int64_t
workload_choices(const struct workload *w)
{
	switch (w->options->workload) {
	case BENCH_QUERY:
		return partition_count(w);
	case BENCH_BATCHWRITE:
		return w->options->items / w->options->batch_items;
	default:
		return w->options->items;
	}
}

int64_t
workload_item_count(const struct workload *w, bool queries)
{
	return queries ? partition_count(w) * w->options->query_items : w->options->items;
}

/* ---- bodies ---- */

static void
put_begin(const struct workload *w, bool queries, uint64_t random, struct buf *out)
{
	buf_put_lit(out, "{\"TableName\":\"");
	workload_put_table(w, queries, random_table(w, random), out);
	buf_put_lit(out, "\"");
}

#define KEY_BYTES 16 /* of text, with the NUL */

static struct slice
key_text(int64_t item, char ret[KEY_BYTES])
{
	return slice_of(ret, (size_t)snprintf(ret, KEY_BYTES, "item-%010lld", (long long)item));
}

static void
put_key(int64_t item, struct buf *out)
{
	char text[KEY_BYTES];

	buf_printf(out, "\"pk\":{\"S\":\"%.*s\"}", SLICE_ARG(key_text(item, text)));
}

/* Letters that do not compress to nothing. */
static void
put_data(int64_t length, struct buf *out)
{
	char *at;

	if (length < 0)
		length = 0;
	buf_reserve(out, (size_t)length + 16);
	at = out->data + out->len;
	for (int64_t i = 0; i < length; i += 10) {
		uint64_t random = crypto_fast_random();

		for (int j = 0; j < 10; j++, random >>= 6)
			at[i + j] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-"[random & 63];
	}
	out->len += (size_t)length;
}

static void
put_item(const struct workload *w, bool queries, int64_t item, struct buf *out)
{
	buf_put_lit(out, "{");
	if (queries)
		buf_printf(out, "\"pk\":{\"S\":\"part-%010lld\"},\"sk\":{\"S\":\"s-%06lld\"}",
			   (long long)(item / w->options->query_items), (long long)(item % w->options->query_items));
	else
		put_key(item, out);
	/* nine digits without a zero at the end, so that every n is six bytes */
	buf_printf(out, ",\"n\":{\"N\":\"%lld\"},\"data\":{\"S\":\"", (long long)(100000001 + item % 10000000 * 10));
	put_data(w->options->item_bytes - (queries ? QUERY_OVERHEAD : PLAIN_OVERHEAD), out);
	buf_put_lit(out, "\"}}");
}

static void
put_batch(const struct workload *w, const struct fill *fill, struct buf *out)
{
	int64_t all = workload_item_count(w, fill->queries);

	buf_put_lit(out, "{\"RequestItems\":{\"");
	workload_put_table(w, fill->queries, fill->table, out);
	buf_put_lit(out, "\":[");
	for (int64_t i = 0; i < fill->count && i < all; i++) {
		buf_put_slice(out, i > 0 ? SLICE(",") : SLICE_NONE);
		buf_put_lit(out, "{\"PutRequest\":{\"Item\":");
		put_item(w, fill->queries, (fill->from + i) % all, out);
		buf_put_lit(out, "}}");
	}
	buf_put_lit(out, "]}}");
}

static void
put_consistent(const struct workload *w, struct buf *out)
{
	if (!w->options->eventual)
		buf_put_lit(out, ",\"ConsistentRead\":true");
	buf_put_lit(out, "}");
}

static void
body_get(const struct workload *w, uint64_t random, struct buf *out)
{
	put_begin(w, false, random, out);
	buf_put_lit(out, ",\"Key\":{");
	put_key(pick_item(w, random), out);
	buf_put_lit(out, "}");
	put_consistent(w, out);
}

static void
body_put(const struct workload *w, uint64_t random, struct buf *out)
{
	put_begin(w, false, random, out);
	buf_put_lit(out, ",\"Item\":");
	put_item(w, false, pick_item(w, random), out);
	buf_put_lit(out, "}");
}

static void
body_update(const struct workload *w, uint64_t random, struct buf *out)
{
	put_begin(w, false, random, out);
	buf_put_lit(out, ",\"Key\":{");
	put_key(pick_item(w, random), out);
	buf_put_lit(
	    out, "},\"UpdateExpression\":\"SET n = n + :one\",\"ExpressionAttributeValues\":{\":one\":{\"N\":\"1\"}}}");
}

static void
body_query(const struct workload *w, uint64_t random, struct buf *out)
{
	put_begin(w, true, random, out);
	buf_printf(
	    out,
	    ",\"KeyConditionExpression\":\"pk = :pk\",\"ExpressionAttributeValues\":{\":pk\":{\"S\":\"part-%010lld\"}}",
	    (long long)pick_partition(w, random));
	put_consistent(w, out);
}

static void
body_batchwrite(const struct workload *w, uint64_t random, struct buf *out)
{
	struct fill batch = {
	    .table = random_table(w, random),
	    .from = pick_item(w, random),
	    .count = w->options->batch_items,
	};

	put_batch(w, &batch, out);
}

static const struct {
	const char *operation;
	void (*body)(const struct workload *w, uint64_t random, struct buf *out);
} kinds[BENCH_WORKLOADS] = {
    [BENCH_GET] = {"GetItem", body_get},
    [BENCH_PUT] = {"PutItem", body_put},
    [BENCH_UPDATE] = {"UpdateItem", body_update},
    [BENCH_QUERY] = {"Query", body_query},
    [BENCH_BATCHWRITE] = {"BatchWriteItem", body_batchwrite},
};

/* ---- requests ---- */

void
workload_sign(const struct workload *w, const char *operation, struct slice body, struct request *ret)
{
	const struct bench_options *o = w->options;
	struct sigv4_credentials credentials = {
	    .access_key = slice_str(o->access_key),
	    .secret = slice_str(o->secret_key),
	    .session_token = slice_str(o->session_token),
	    .region = slice_str(o->region),
	    .service = SLICE("dynamodb"),
	};
	char target[64];
	struct http_header headers[] = {
	    {SLICE("content-type"), SLICE("application/x-amz-json-1.0")},
	    {SLICE("host"), slice_str(w->endpoint->host)},
	    {SLICE("x-amz-target"),
	     slice_of(target, (size_t)snprintf(target, sizeof target, "DynamoDB_20120810.%s", operation))},
	};

	ret->bytes.len = 0;
	ret->signed_s = clock_wall_s();
	buf_put_lit(&ret->bytes, "POST / HTTP/1.1\r\n");
	for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
		buf_printf(&ret->bytes, "%.*s: %.*s\r\n", SLICE_ARG(headers[i].name), SLICE_ARG(headers[i].value));
	buf_printf(&ret->bytes, "content-length: %zu\r\n", body.len);
	sigv4_sign(&credentials, SLICE("POST"), SLICE("/"), SLICE_NONE, headers, sizeof headers / sizeof *headers, body,
		   ret->signed_s, &ret->bytes);
	buf_put_lit(&ret->bytes, "\r\n");
	buf_put_slice(&ret->bytes, body);
}

static void
make_raw(const struct workload *w, struct request *ret)
{
	ret->bytes.len = 0;
	ret->signed_s = INT64_MAX; /* never too old */
	buf_printf(&ret->bytes, "GET %s HTTP/1.1\r\nhost: %s\r\n\r\n", w->options->raw_get, w->endpoint->host);
}

void
workload_make(const struct workload *w, int kind, uint64_t random, struct request *ret)
{
	struct buf body = {0};

	ret->kind = kind;
	if (kind == KIND_RAW) {
		make_raw(w, ret);
		return;
	}
	if (workload_is_foreign(w) && kind == BENCH_PUT) {
		workload_make_set(w, pick_item(w, random), ret);
		return;
	}
	if (w->target != w->endpoint) {
		char text[KEY_BYTES];

		wire_make_get(w, key_text(pick_item(w, random), text), ret);
		return;
	}
	kinds[kind].body(w, random, &body);
	workload_sign(w, kinds[kind].operation, buf_slice(&body), ret);
	buf_done(&body);
}

int
workload_kind(const struct workload *w, uint64_t random)
{
	static const int mix[8] = {BENCH_GET, BENCH_GET, BENCH_GET,    BENCH_GET,
				   BENCH_PUT, BENCH_PUT, BENCH_UPDATE, BENCH_QUERY};

	if (w->options->raw_get != NULL)
		return KIND_RAW;
	return w->options->workload == BENCH_MIX ? mix[random % 8] : w->options->workload;
}

void
workload_make_fill(const struct workload *w, const struct fill *fill, struct request *ret)
{
	struct buf body = {0};

	ret->kind = BENCH_BATCHWRITE;
	put_batch(w, fill, &body);
	workload_sign(w, "BatchWriteItem", buf_slice(&body), ret);
	buf_done(&body);
}

void
workload_make_set(const struct workload *w, int64_t item, struct request *ret)
{
	struct buf value = {0};
	char text[KEY_BYTES];

	put_data(w->options->item_bytes, &value);
	wire_make_set(w, key_text(item, text), buf_slice(&value), ret);
	buf_done(&value);
}
