/* Keys: bytes on the wire whose meaning depends on the table, values here, canonical bytes for the cache. */
#include "codec/json.h"
#include "dax/dax_int.h"
#include "model/av_cbor.h"
#include "model/av_json.h"

static enum status
mismatch(struct err *err)
{
	return err_set(err, S_VALIDATION, "The provided key element does not match the schema");
}

/* Number text to a value, with DynamoDB's words when it is out of range. */
static enum status
number_value(struct slice text, struct arena *arena, struct av *ret, struct err *err)
{
	uint8_t encoded[NUMBER_ENCODED_MAX];
	size_t len = number_encode_text(text, encoded, err);

	if (len == 0)
		return S_VALIDATION;
	*ret = av_number(arena, slice_of(encoded, len));
	return S_OK;
}

static struct av
binary_value(struct arena *arena, struct slice bytes)
{
	struct buf out = {0};
	struct av value;

	av_put_binary(&out, bytes);
	value = av_of_buf(arena, &out, 0);
	buf_done(&out);
	return value;
}

/* Small integers are what number keys mostly are; they take no detour through text. */
static bool
small_number(struct cbor_reader *r, struct arena *arena, struct av *ret)
{
	enum cbor_kind kind = cbor_peek(r);
	struct cbor_reader ahead = *r;
	struct number n;
	uint8_t encoded[NUMBER_ENCODED_MAX];
	int64_t value;

	if (kind != CBOR_UINT && kind != CBOR_NEGATIVE)
		return false;
	value = cbor_int(&ahead);
	if (cbor_failed(&ahead))
		return false;
	*r = ahead;
	number_from_int64(value, &n);
	*ret = av_number(arena, slice_of(encoded, number_encode(&n, encoded)));
	return true;
}

static enum status
read_number(struct cbor_reader *r, struct arena *arena, struct av *ret, struct err *err)
{
	struct buf text = {0};
	enum status s;

	if (small_number(r, arena, ret))
		return S_OK;
	number_read_cbor(r, &text);
	s = cbor_failed(r) ? mismatch(err) : number_value(buf_slice(&text), arena, ret, err);
	buf_done(&text);
	return s;
}

/* The partition key in front of a sort key: one CBOR item. */
static enum status
read_item(struct cbor_reader *r, enum av_type type, struct arena *arena, struct av *ret, struct err *err)
{
	if (type == AV_N)
		return read_number(r, arena, ret, err);
	if (type == AV_S)
		*ret = av_string(arena, cbor_text(r));
	else
		*ret = binary_value(arena, cbor_bytes(r));
	return cbor_failed(r) ? mismatch(err) : S_OK;
}

/* A partition key alone, or the sort key: bare bytes. */
static enum status
read_bare(struct slice bytes, enum av_type type, struct arena *arena, struct av *ret, struct err *err)
{
	if (type == AV_S && !cbor_utf8_valid(bytes))
		return mismatch(err);
	*ret = type == AV_S ? av_string(arena, bytes) : binary_value(arena, bytes);
	return S_OK;
}

static enum status
read_lexdecimal(struct slice bytes, struct arena *arena, struct av *ret, struct err *err)
{
	struct buf text = {0};
	enum status s;

	s = lexdecimal_read(bytes, &text) ? number_value(buf_slice(&text), arena, ret, err) : mismatch(err);
	buf_done(&text);
	return s;
}

enum status
dax_key_read(const struct dax_table *t, struct slice bytes, struct arena *arena, struct dax_key *ret, struct err *err)
{
	struct cbor_reader r;
	enum status s;

	cbor_init(&r, bytes);
	if (t->key_count == 1) {
		if (t->keys[0].type != AV_N)
			return read_bare(bytes, t->keys[0].type, arena, &ret->values[0], err);
		s = read_number(&r, arena, &ret->values[0], err);
		return s == S_OK && !cbor_at_end(&r) ? mismatch(err) : s;
	}
	s = read_item(&r, t->keys[0].type, arena, &ret->values[0], err);
	if (s != S_OK)
		return s;
	bytes = slice_of(r.at, (size_t)(r.end - r.at));
	if (t->keys[1].type == AV_N)
		return read_lexdecimal(bytes, arena, &ret->values[1], err);
	return read_bare(bytes, t->keys[1].type, arena, &ret->values[1], err);
}

/* Encoded values are equal exactly when their bytes are, and say where they end. */
struct slice
dax_key_canonical(const struct dax_table *t, const struct dax_key *key, struct arena *arena)
{
	size_t len = 0;
	char *bytes;

	if (t->key_count == 1)
		return slice_of(key->values[0].data, key->values[0].len);
	bytes = arena_alloc(arena, (size_t)key->values[0].len + key->values[1].len);
	for (int i = 0; i < t->key_count; i++) {
		memcpy(bytes + len, key->values[i].data, key->values[i].len);
		len += key->values[i].len;
	}
	return slice_of(bytes, len);
}

bool
dax_key_of_item(const struct dax_table *t, struct av item, struct dax_key *ret)
{
	for (int i = 0; i < t->key_count; i++) {
		ret->values[i] = av_get(item, t->keys[i].name);
		if (!av_exists(ret->values[i]) || av_type(ret->values[i]) != t->keys[i].type)
			return false;
	}
	return true;
}

void
dax_key_write(const struct dax_table *t, const struct dax_key *key, struct buf *out)
{
	if (t->key_count == 1 && t->keys[0].type != AV_N) {
		buf_put_slice(out, av_bytes(key->values[0]));
		return;
	}
	av_write_cbor(out, key->values[0]);
	if (t->key_count == 1)
		return;
	if (t->keys[1].type == AV_N)
		lexdecimal_write(out, av_bytes(key->values[1]));
	else
		buf_put_slice(out, av_bytes(key->values[1]));
}

void
dax_key_write_members(const struct dax_table *t, const struct dax_key *key, struct buf *out)
{
	for (int i = 0; i < t->key_count; i++) {
		if (i > 0)
			buf_put_byte(out, ',');
		json_put_string(out, t->keys[i].name);
		buf_put_byte(out, ':');
		av_write_json(out, key->values[i]);
	}
}

void
dax_key_write_json(const struct dax_table *t, const struct dax_key *key, struct buf *out)
{
	buf_put_byte(out, '{');
	dax_key_write_members(t, key, out);
	buf_put_byte(out, '}');
}
