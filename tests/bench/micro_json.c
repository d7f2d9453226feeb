/*
 * How long JSON takes: an item of about 1 KB and ten attributes, read and written, and the pieces of it.
 *
 * Not part of the tests. Built by hand, from an optimised build folder:
 *
 *     cc -O2 -std=gnu17 -D_GNU_SOURCE -Isrc tests/bench/micro_json.c build/release/libmodel.a build/release/libcodec.a
 * \ build/release/libbase.a -lisal -lcrypto -lpthread -lm -o build/micro_json && build/micro_json
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "model/av_json.h"

#define ROUNDS 200000
#define TRIES  7

struct bench {
	struct slice text; /* the item as JSON */
	struct av item;
	struct arena arena;
	struct buf out;
	uint8_t sum[SHA256_BYTES];
};

static void
read_item(struct bench *b)
{
	struct json_reader r;
	struct err err;
	struct av item;

	json_init(&r, b->text, &b->arena);
	if (item_read_json(&r, &b->arena, &item, &err) != S_OK)
		exit(1);
	arena_reset(&b->arena);
}

static void
skip_item(struct bench *b)
{
	struct json_reader r;

	json_init(&r, b->text, &b->arena);
	json_skip(&r);
	if (json_failed(&r))
		exit(1);
}

static void
write_item(struct bench *b)
{
	b->out.len = 0;
	item_write_json(&b->out, b->item);
}

static void
hash_64(struct bench *b)
{
	crypto_sha256(slice_of(b->text.data, 64), b->sum);
}

static void
hmac_64(struct bench *b)
{
	crypto_hmac_sha256(slice_of(b->sum, sizeof b->sum), slice_of(b->text.data, 64), b->sum);
}

static void
measure(struct bench *b, const char *name, void (*run)(struct bench *))
{
	double best = 1e9;

	for (int i = 0; i < TRIES; i++) {
		int64_t start = clock_mono_ns();
		double ns;

		for (int round = 0; round < ROUNDS; round++)
			run(b);
		ns = (double)(clock_mono_ns() - start) / ROUNDS;
		if (ns < best)
			best = ns;
	}
	printf("%-28s %8.1f ns\n", name, best);
}

static void
measure_item(const char *what, const char *text)
{
	struct bench b = {.text = slice_str(text)};
	struct arena arena = {0};
	struct json_reader r;
	struct err err;
	char name[64];

	json_init(&r, b.text, &arena);
	if (item_read_json(&r, &arena, &b.item, &err) != S_OK) {
		fprintf(stderr, "%s\n", err.message);
		exit(1);
	}
	printf("%s: %zu bytes of JSON, %u encoded\n", what, b.text.len, b.item.len);
	snprintf(name, sizeof name, "  read %s", what);
	measure(&b, name, read_item);
	snprintf(name, sizeof name, "  only check %s", what);
	measure(&b, name, skip_item);
	snprintf(name, sizeof name, "  write %s", what);
	measure(&b, name, write_item);
	arena_done(&arena);
	arena_done(&b.arena);
	buf_done(&b.out);
}

int
main(void)
{
	char pad[700], text[4096];
	struct bench b = {.text = slice_of(text, 64)};

	memset(pad, 'x', sizeof pad);
	snprintf(
	    text, sizeof text,
	    "{\"pk\": {\"S\": \"user#0000012345\"}, \"sk\": {\"S\": \"order#2026-11-22#000123\"}, "
	    "\"created_at\": {\"N\": \"1763832600\"}, \"amount\": {\"N\": \"1234.56\"}, "
	    "\"status\": {\"S\": \"shipped\"}, \"active\": {\"BOOL\": true}, \"customer\": {\"S\": \"Ada Lovelace\"}, "
	    "\"tags\": {\"SS\": [\"a\", \"b\", \"c\"]}, \"address\": {\"M\": {\"city\": {\"S\": \"London\"}, "
	    "\"zip\": {\"S\": \"N1\"}}}, \"payload\": {\"S\": \"%.700s\"}}",
	    pad);
	measure_item("mixed item", text);
	snprintf(text, sizeof text,
		 "{\"pk\":{\"S\":\"user0000012345\"},\"field0\":{\"S\":\"%.100s\"},\"field1\":{\"S\":\"%.100s\"},"
		 "\"field2\":{\"S\":\"%.100s\"},\"field3\":{\"S\":\"%.100s\"},\"field4\":{\"S\":\"%.100s\"},"
		 "\"field5\":{\"S\":\"%.100s\"},\"field6\":{\"S\":\"%.100s\"},\"field7\":{\"S\":\"%.100s\"},"
		 "\"field8\":{\"S\":\"%.100s\"},\"field9\":{\"S\":\"%.100s\"}}",
		 pad, pad, pad, pad, pad, pad, pad, pad, pad, pad);
	measure_item("YCSB item", text);
	measure(&b, "SHA-256 of 64 bytes", hash_64);
	measure(&b, "HMAC-SHA-256 of 64 bytes", hmac_64);
	return 0;
}
