#include "api/stream_iterator.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "codec/base64.h"

#define VERSION     1
#define BODY_BYTES  30 /* version, flags, shard's time and number, seq, made */
#define MAC_BYTES   16
#define TOKEN_BYTES (BODY_BYTES + MAC_BYTES)
#define TOKEN_CHARS ((TOKEN_BYTES + 2) / 3 * 4)
#define SECRET      32
#define FLAG_MORE   1

static const struct slice separator = {"|1|", 3};
static const struct slice shard_prefix = {"shardId-", 8};

/* ---- time ---- */

static _Atomic int64_t aged_ms;
static _Atomic int64_t ahead_ms = INT64_MIN; /* how far the wall clock was ahead of the time that passes, at most */

/* Goes on when the wall clock steps back: an iterator of before then would else live until that has caught up. */
int64_t
stream_iterator_now_ms(void)
{
	int64_t passed_ms = clock_passed_ns() / 1000000, ahead = clock_wall_ms() - passed_ms;
	int64_t most = atomic_load_explicit(&ahead_ms, memory_order_relaxed);

	while (most < ahead && !atomic_compare_exchange_weak_explicit(&ahead_ms, &most, ahead, memory_order_relaxed,
								      memory_order_relaxed))
		;
	return passed_ms + (most > ahead ? most : ahead) + atomic_load_explicit(&aged_ms, memory_order_relaxed);
}

/* One of the future was made before a restart, and the clock has stepped back since: nobody knows how old it is. */
bool
stream_iterator_expired(const struct stream_iterator *it, int64_t now_ms)
{
	return now_ms - it->made_ms > STREAM_ITERATOR_LIFE_MS || it->made_ms - now_ms > STREAM_ITERATOR_LIFE_MS;
}

void
stream_iterators_age(int64_t by_ms)
{
	atomic_fetch_add(&aged_ms, by_ms);
}

/* ---- numbers ---- */

static void
put_be(uint8_t *at, uint64_t v, int bytes)
{
	for (int i = bytes; i-- > 0; v >>= 8)
		at[i] = (uint8_t)v;
}

static uint64_t
get_be(const uint8_t *at, int bytes)
{
	uint64_t v = 0;

	for (int i = 0; i < bytes; i++)
		v = v << 8 | at[i];
	return v;
}

static uint64_t
number_in(struct slice text, int base)
{
	uint64_t v = 0;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];

		v = v * (unsigned)base + (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	return v;
}

static void
authenticate(struct slice arn, const uint8_t *body, const uint8_t *secret, uint8_t ret[SHA256_BYTES])
{
	char bytes[STREAM_ITERATOR_BYTES_MAX + BODY_BYTES];

	memcpy(bytes, arn.data, arn.len);
	memcpy(bytes + arn.len, body, BODY_BYTES);
	crypto_hmac_sha256(slice_of((const char *)secret, SECRET), slice_of(bytes, arn.len + BODY_BYTES), ret);
}

/* ---- making and taking apart ---- */

void
stream_iterator_put(struct buf *out, const struct stream_iterator *it, const uint8_t *secret)
{
	uint8_t token[TOKEN_BYTES], mac[SHA256_BYTES];

	token[0] = VERSION;
	token[1] = it->more ? FLAG_MORE : 0;
	put_be(token + 2, number_in(slice_of(it->shard_id.data + 8, 20), 10), 8);
	put_be(token + 10, number_in(slice_of(it->shard_id.data + 29, 8), 16), 4);
	put_be(token + 14, it->seq, 8);
	put_be(token + 22, (uint64_t)it->made_ms, 8);
	authenticate(it->arn, token, secret, mac);
	memcpy(token + BODY_BYTES, mac, MAC_BYTES);
	buf_put_slice(out, it->arn);
	buf_put_slice(out, separator);
	base64_put(out, slice_of((const char *)token, sizeof token));
}

static enum status
not_ours(struct err *err)
{
	return err_set(err, S_VALIDATION, "Invalid ShardIterator");
}

enum status
stream_iterator_parse(struct slice text, const uint8_t *secret, struct arena *a, struct stream_iterator *ret,
		      struct err *err)
{
	uint8_t mac[SHA256_BYTES];
	const uint8_t *token;
	struct slice coded, bytes, arn;

	if (text.len > STREAM_ITERATOR_BYTES_MAX || text.len < TOKEN_CHARS + separator.len)
		return not_ours(err);
	arn = slice_of(text.data, text.len - TOKEN_CHARS - separator.len);
	coded = slice_of(text.data + text.len - TOKEN_CHARS, TOKEN_CHARS);
	if (!slice_eq(slice_of(arn.data + arn.len, separator.len), separator) || !base64_read(coded, a, &bytes) ||
	    bytes.len != TOKEN_BYTES)
		return not_ours(err);
	token = (const uint8_t *)bytes.data;
	authenticate(arn, token, secret, mac);
	if (!crypto_equal(mac, token + BODY_BYTES, MAC_BYTES) || token[0] != VERSION)
		return not_ours(err);
	ret->arn = arn;
	ret->more = token[1] & FLAG_MORE;
	ret->shard_id = arena_printf(a, "%.*s%020llu-%08x", SLICE_ARG(shard_prefix),
				     (unsigned long long)get_be(token + 2, 8), (unsigned)get_be(token + 10, 4));
	ret->seq = get_be(token + 14, 8);
	ret->made_ms = (int64_t)get_be(token + 22, 8);
	return S_OK;
}
