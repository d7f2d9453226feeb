/*
 * The short way of the commonest request: GetItem of an item that is in the cache. Straight from the received bytes to
 * the reply, without a dax_request, without JSON, without an allocation. Whatever is unusual (a projection, a miss, a
 * table not known yet, anything malformed) is left to dax_get_item(), which begins afresh.
 *
 * Shortest of all is a request that has come whole, in the form in which clients write it when no options are given: it
 * is not even scanned for its end.
 */
#include "base/clock.h"
#include "dax/dax_int.h"

#define KEY_BYTES_MAX 4096 /* valid ones are shorter: 2,048 and 1,024 bytes, and heads */

/* Only options that change nothing: an eventually consistent read that asks for no capacity. */
static bool
are_plain(struct cbor_reader *r)
{
	struct cbor_items items;

	if (cbor_take_null(r))
		return true;
	items = cbor_map(r);
	while (cbor_next(r, &items)) {
		int64_t option = cbor_int(r);

		if (option == OPTION_CONSISTENT ? cbor_bool(r) : option != OPTION_CAPACITY || cbor_int(r) != 0)
			return false;
	}
	return !cbor_failed(r);
}

static bool
make_key(struct dax_loop *l, const struct dax_table *t, struct slice key_bytes, struct cache_key *ret)
{
	struct dax_key key;

	if (t->key_count == 1 && t->keys[0].type == AV_S) { /* what is no UTF-8 is not in the cache either */
		struct av value = av_string(&l->scratch, key_bytes);

		cache_key_make(l->node->options.cache, ret, CACHE_ITEMS, t->id, t->name,
			       slice_of(value.data, value.len));
		return key_bytes.len <= KEY_BYTES_MAX;
	}
	if (key_bytes.len > KEY_BYTES_MAX || dax_key_read(t, key_bytes, &l->scratch, &key, NULL) != S_OK)
		return false;
	cache_key_make(l->node->options.cache, ret, CACHE_ITEMS, t->id, t->name,
		       dax_key_canonical(t, &key, &l->scratch));
	return true;
}

static bool
put_reply(struct cache *cache, struct cache_key *k, struct buf *out)
{
	size_t start = out->len;

	cbor_put_array(out, 0);
	cbor_put_map(out, 1);
	cbor_put_int(out, 0);
	switch (cache_peek(cache, k, out)) {
	case CACHE_HIT:
		return true;
	case CACHE_ABSENT:
		out->len = start;
		cbor_put_array(out, 0);
		cbor_put_map(out, 0);
		return true;
	default:
		out->len = start;
		return false;
	}
}

/* started_ns: when the request was taken up. */
static bool
answer(struct dax_session *s, struct slice table, struct slice key, int64_t started_ns)
{
	struct dax_loop *l = s->home;
	struct cache *cache = l->node->options.cache;
	const struct dax_table *t = dax_table_find(l, slice_str(s->identity->region), table, started_ns);
	struct cache_key k;
	bool hit = t != NULL && make_key(l, t, key, &k) && put_reply(cache, &k, s->out);

	arena_reset(&l->scratch);
	if (!hit)
		return false;
	dax_count_request(l, dax_methods);
	cache_timed(cache, &k, true, clock_mono_ns() - started_ns);
	return true;
}

bool
dax_answer_hit(struct dax_session *s, struct slice arguments)
{
	struct cbor_reader r;
	struct slice table, key;

	if (!dax_may_use_cache(s->home->node, s->identity))
		return false;
	cbor_init(&r, arguments);
	table = cbor_string(&r);
	key = cbor_bytes(&r);
	return are_plain(&r) && !cbor_failed(&r) && answer(s, table, key, clock_mono_ns());
}

/* ---- without a scan ---- */

/* A byte string of up to 255 bytes at *at, which moves behind it. */
static bool
take_bytes(const uint8_t **at, const uint8_t *end, struct slice *ret)
{
	const uint8_t *p = *at;
	size_t len;

	if (end - p < 2 || *p < 0x40 || *p > 0x58)
		return false;
	len = *p++ & 0x1f;
	if (len == 24)
		len = *p++;
	if ((size_t)(end - p) < len)
		return false;
	*ret = slice_of(p, len);
	*at = p + len;
	return true;
}

size_t
dax_answer_hit_at_once(struct dax_session *s, const char *data, size_t len)
{
	static const uint8_t get_item[] = {0x01, 0x1a, 0x0f, 0xb0, 0xcc, 0x6a};
	const uint8_t *at = (const uint8_t *)data, *end = at + len;
	const struct dax_gate *gate = &s->home->node->options.gate;
	int64_t now_ns;
	struct slice table, key;

	if (len < sizeof get_item || memcmp(data, get_item, sizeof get_item) != 0)
		return 0;
	at += sizeof get_item;
	if (!take_bytes(&at, end, &table) || !take_bytes(&at, end, &key))
		return 0;
	if (end - at >= 2 && at[0] == 0xbf && at[1] == 0xff) /* options: none */
		at += 2;
	else if (end - at >= 1 && (at[0] == 0xa0 || at[0] == 0xf6))
		at += 1;
	else
		return 0;
	now_ns = clock_mono_ns();
	if (!dax_may_use_cache(s->home->node, s->identity) || now_ns >= s->identity->until_ns ||
	    (gate->valid != NULL && !gate->valid(gate->context, s->identity)) || !answer(s, table, key, now_ns))
		return 0;
	return (size_t)(at - (const uint8_t *)data);
}
