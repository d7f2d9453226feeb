#include "front/dax_wire.h"

#include "base/crypto.h"

#define HEAD_BYTES 5

static void
put_le(struct buf *out, uint64_t value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		buf_put_byte(out, (uint8_t)(value >> (8 * i)));
}

static uint64_t
get_le(const char *at, int bytes)
{
	uint64_t value = 0;

	for (int i = bytes - 1; i >= 0; i--)
		value = value << 8 | (uint8_t)at[i];
	return value;
}

/* --- frames --- */

void
wire_set_key(struct wire *w, uint8_t side, struct slice secret, const uint8_t nonce_of_0[WIRE_NONCE_BYTES],
	     const uint8_t nonce_of_1[WIRE_NONCE_BYTES], uint8_t from, uint8_t to)
{
	struct buf text = {0};

	buf_put_lit(&text, "stator dax peers 1");
	buf_put(&text, nonce_of_0, WIRE_NONCE_BYTES);
	buf_put(&text, nonce_of_1, WIRE_NONCE_BYTES);
	buf_put_byte(&text, from);
	buf_put_byte(&text, to);
	crypto_hmac_sha256(secret, buf_slice(&text), w->key);
	buf_done(&text);
	w->side = side;
	w->sent = w->received = 0;
	w->keyed = true;
}

/* Of a frame's type and payload, and its place among those of its side. */
static void
mac_of(const struct wire *w, uint8_t side, uint64_t count, struct slice bytes, uint8_t ret[SHA256_BYTES])
{
	uint8_t about[1 + 8 + SHA256_BYTES];

	about[0] = side;
	for (int i = 0; i < 8; i++)
		about[1 + i] = (uint8_t)(count >> (8 * i));
	crypto_sha256(bytes, about + 9);
	crypto_hmac_sha256(slice_of(w->key, sizeof w->key), slice_of(about, sizeof about), ret);
}

void
wire_put(struct wire *w, enum wire_type type, struct slice payload, struct buf *out)
{
	uint8_t mac[SHA256_BYTES];
	size_t start;

	put_le(out, 1 + payload.len + (w->keyed ? WIRE_MAC_BYTES : 0), 4);
	start = out->len;
	buf_put_byte(out, (uint8_t)type);
	buf_put_slice(out, payload);
	if (!w->keyed)
		return;
	mac_of(w, w->side, w->sent++, slice_of(out->data + start, out->len - start), mac);
	buf_put(out, mac, WIRE_MAC_BYTES);
}

long
wire_take(struct wire *w, const char *data, size_t len, enum wire_type *ret_type, struct slice *ret_payload)
{
	size_t extra = w->keyed ? WIRE_MAC_BYTES : 0, size;
	uint8_t mac[SHA256_BYTES];

	if (len < 4)
		return 0;
	size = get_le(data, 4);
	if (size < 1 + extra || size > (w->keyed ? WIRE_FRAME_MAX : WIRE_HELLO_MAX))
		return -1;
	if (len < 4 + size)
		return 0;
	if (w->keyed) {
		mac_of(w, !w->side, w->received++, slice_of(data + 4, size - extra), mac);
		if (!crypto_equal(mac, data + 4 + size - extra, extra))
			return -1;
	}
	*ret_type = (enum wire_type)(uint8_t)data[4];
	*ret_payload = slice_of(data + HEAD_BYTES, size - 1 - extra);
	return (long)(4 + size);
}

/* --- payloads --- */

void
wire_put_state(const struct wire_state *s, struct buf *out)
{
	put_le(out, (uint64_t)s->started_ms, 8);
	put_le(out, s->incarnation, 8);
	put_le(out, s->lists, 8);
	buf_put_byte(out, s->leaving);
}

bool
wire_read_state(struct slice payload, struct wire_state *ret)
{
	if (payload.len < 25)
		return false;
	ret->started_ms = (int64_t)get_le(payload.data, 8);
	ret->incarnation = get_le(payload.data + 8, 8);
	ret->lists = get_le(payload.data + 16, 8);
	ret->leaving = payload.data[24] != 0;
	return true;
}

#define COPY_KIND  1u /* flags: of the query cache */
#define COPY_WRITE 2u
#define COPY_BYTES 28

void
wire_put_copy(const struct cache_copied *c, struct buf *out)
{
	buf_put_byte(out, (uint8_t)((c->kind == CACHE_QUERIES ? COPY_KIND : 0) | (c->write ? COPY_WRITE : 0)));
	buf_put_byte(out, (uint8_t)c->what);
	put_le(out, c->table_id, 8);
	put_le(out, c->order, 8);
	put_le(out, c->age_ms < UINT32_MAX ? (uint64_t)c->age_ms : UINT32_MAX, 4);
	put_le(out, c->table_name.len, 2);
	put_le(out, c->key.len, 4);
	buf_put_slice(out, c->table_name);
	buf_put_slice(out, c->key);
	buf_put_slice(out, c->value);
}

bool
wire_read_copy(struct slice payload, struct cache_copied *ret)
{
	size_t name_len, key_len;
	uint8_t flags, what;

	if (payload.len < COPY_BYTES)
		return false;
	flags = (uint8_t)payload.data[0];
	what = (uint8_t)payload.data[1];
	name_len = get_le(payload.data + 22, 2);
	key_len = get_le(payload.data + 24, 4);
	if (what > CACHE_ABSENT || name_len > 255 || key_len > payload.len ||
	    name_len + key_len > payload.len - COPY_BYTES)
		return false;
	*ret = (struct cache_copied){
	    .kind = flags & COPY_KIND ? CACHE_QUERIES : CACHE_ITEMS,
	    .write = (flags & COPY_WRITE) != 0,
	    .what = (enum cache_found)what,
	    .table_id = get_le(payload.data + 2, 8) & INT64_MAX,
	    .order = get_le(payload.data + 10, 8),
	    .age_ms = (int64_t)get_le(payload.data + 18, 4),
	    .table_name = slice_of(payload.data + COPY_BYTES, name_len),
	    .key = slice_of(payload.data + COPY_BYTES + name_len, key_len),
	};
	payload.data += COPY_BYTES + name_len + key_len;
	payload.len -= COPY_BYTES + name_len + key_len;
	if (ret->what == CACHE_HIT)
		ret->value = payload;
	/* an answer says something, and only items are written */
	return (ret->what != CACHE_MISS || ret->write) && !(ret->write && ret->kind == CACHE_QUERIES);
}
