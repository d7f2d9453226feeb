/*
 * The short way of the commonest request: GetItem of an item that is in the cache. Straight from the received bytes to
 * the reply, without a dax_request, without JSON, without an allocation. Whatever is unusual (a projection, a miss, a
 * table not known yet, anything malformed) is left to dax_get_item(), which begins afresh.
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

bool
dax_answer_hit(struct dax_session *s, struct slice arguments)
{
	int64_t started_ns = clock_mono_ns();
	struct dax_loop *l = s->home;
	struct cache *cache = l->node->options.cache;
	const struct dax_table *t;
	struct cbor_reader r;
	struct slice table, key;
	struct cache_key k;
	bool hit;

	if (cache == NULL || !s->identity->unrestricted)
		return false;
	cbor_init(&r, arguments);
	table = cbor_string(&r);
	key = cbor_bytes(&r);
	if (!are_plain(&r) || cbor_failed(&r))
		return false;
	t = dax_table_find(l, slice_str(s->identity->region), table);
	hit = t != NULL && make_key(l, t, key, &k) && put_reply(cache, &k, s->out);
	arena_reset(&l->scratch);
	if (!hit)
		return false;
	dax_count_request(l, s->method);
	cache_timed(cache, &k, true, clock_mono_ns() - started_ns);
	return true;
}
