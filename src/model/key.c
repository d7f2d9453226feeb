/* docs/formats/key.md. */
#include "model/key.h"

#include <assert.h>

#include "base/crypto.h"
#include "model/number.h"

#define HASH_VALUES_MAX (2 * KEY_ATTRS_MAX)

#define ESCAPED_ZERO 0xff /* behind a 00 of the content; behind the 00 that ends the part stands another 00 */

static void
put_escaped(struct buf *out, struct slice bytes)
{
	const char *at = bytes.data, *end = bytes.data + bytes.len, *zero;

	while (at < end && (zero = memchr(at, 0, (size_t)(end - at))) != NULL) {
		buf_put(out, at, (size_t)(zero - at) + 1);
		buf_put_byte(out, ESCAPED_ZERO);
		at = zero + 1;
	}
	buf_put(out, at, (size_t)(end - at));
}

void
key_put_prefix(struct buf *out, struct slice bytes)
{
	buf_reserve(out, bytes.len + 2);
	put_escaped(out, bytes);
}

void
key_put_part(struct buf *out, struct av value)
{
	struct slice bytes = av_bytes(value);

	if (av_type(value) == AV_N) {
		buf_put_slice(out, bytes);
		return;
	}
	key_put_prefix(out, bytes);
	buf_put(out, "\0", 2);
}

/* Where the content of a part ends and how many escapes are in it; false when the end is missing or a 00 is followed by
 * anything else. */
static bool
find_end(struct slice bytes, size_t *ret_len, size_t *ret_escapes)
{
	const char *at = bytes.data, *end = bytes.data + bytes.len, *zero;

	for (*ret_escapes = 0;; at = zero + 2, ++*ret_escapes) {
		if (at == end || (zero = memchr(at, 0, (size_t)(end - at))) == NULL || end - zero < 2)
			return false;
		if (zero[1] == 0)
			break;
		if ((uint8_t)zero[1] != ESCAPED_ZERO)
			return false;
	}
	*ret_len = (size_t)(zero - bytes.data);
	return true;
}

static void
put_unescaped(struct buf *out, struct slice bytes)
{
	const char *at = bytes.data, *end = bytes.data + bytes.len, *zero;

	while (at < end && (zero = memchr(at, 0, (size_t)(end - at))) != NULL) {
		buf_put(out, at, (size_t)(zero - at) + 1);
		at = zero + 2;
	}
	buf_put(out, at, (size_t)(end - at));
}

static void
put_text(struct buf *out, enum av_type type, struct slice content)
{
	if (type == AV_S)
		av_put_string(out, content);
	else
		av_put_binary(out, content);
}

static enum status
read_number(struct slice *bytes, struct buf *ret_value)
{
	struct slice encoded = {bytes->data, number_encoded_length(*bytes)};
	struct number checked;

	if (encoded.len == 0 || number_decode(encoded, &checked) != S_OK)
		return S_CORRUPT;
	av_put_number(ret_value, encoded);
	*bytes = slice_of(bytes->data + encoded.len, bytes->len - encoded.len);
	return S_OK;
}

enum status
key_read_part(struct slice *bytes, enum av_type type, struct buf *ret_value)
{
	struct buf content = {0};
	size_t len, escapes;

	if (type == AV_N)
		return read_number(bytes, ret_value);
	if (!find_end(*bytes, &len, &escapes))
		return S_CORRUPT;
	if (escapes == 0) {
		put_text(ret_value, type, slice_of(bytes->data, len));
	} else {
		put_unescaped(&content, slice_of(bytes->data, len));
		put_text(ret_value, type, buf_slice(&content));
		buf_done(&content);
	}
	*bytes = slice_of(bytes->data + len + 2, bytes->len - len - 2);
	return S_OK;
}

/* Values on their way into a hash. */
struct hashed {
	struct slice pieces[1 + HASH_VALUES_MAX];
	uint8_t numbers[HASH_VALUES_MAX][NUMBER_ENCODED_MAX];
	size_t count;
};

static void
hashed_begin(struct hashed *h)
{
	h->pieces[0] = SLICE("Outliers"); /* what the service puts before a key; measured by others, nobody knows why */
	h->count = 1;
}

static void
hashed_add(struct hashed *h, struct av value)
{
	struct slice bytes = av_bytes(value);

	if (av_type(value) == AV_N) {
		uint8_t *number = h->numbers[h->count - 1];

		bytes = slice_of(number, number_hashed_bytes(bytes, number));
	}
	h->pieces[h->count++] = bytes;
}

static uint64_t
hashed_end(const struct hashed *h)
{
	uint8_t digest[MD5_BYTES];
	uint64_t big_endian;

	crypto_md5(h->pieces, h->count, digest);
	memcpy(&big_endian, digest, sizeof big_endian);
	return __builtin_bswap64(big_endian);
}

uint64_t
key_hash(const struct av *values, size_t count)
{
	struct hashed h;

	assert(count <= HASH_VALUES_MAX);
	hashed_begin(&h);
	for (size_t i = 0; i < count; i++)
		hashed_add(&h, values[i]);
	return hashed_end(&h);
}

static void
put_parts(struct buf *out, const struct av *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		key_put_part(out, values[i]);
}

void
key_put_collection(struct buf *out, uint32_t space_id, const struct av *values, size_t count, uint64_t *ret_hash)
{
	uint64_t hash = key_hash(values, count);

	buf_put_be32(out, space_id);
	buf_put_be64(out, hash);
	put_parts(out, values, count);
	if (ret_hash != NULL)
		*ret_hash = hash;
}

static size_t
get_values(const struct key_attr *attrs, size_t count, struct av item, struct av *ret)
{
	for (size_t i = 0; i < count; i++)
		ret[i] = av_get(item, attrs[i].name);
	return count;
}

void
key_put_row(struct buf *out, uint32_t space_id, const struct key_schema *schema, struct av item, uint64_t *ret_hash)
{
	struct av values[KEY_ATTRS_MAX];
	size_t count = get_values(schema->partition, schema->partition_count, item, values);

	key_put_collection(out, space_id, values, count, ret_hash);
	count = get_values(schema->sort, schema->sort_count, item, values);
	put_parts(out, values, count);
}

void
key_put_index_row(struct buf *out, uint32_t space_id, const struct key_schema *index, const struct key_schema *table,
		  struct av item, uint64_t *ret_hash)
{
	struct av values[HASH_VALUES_MAX];
	size_t count;

	key_put_row(out, space_id, index, item, ret_hash);
	count = get_values(table->partition, table->partition_count, item, values);
	count += get_values(table->sort, table->sort_count, item, values + count);
	buf_put_be64(out, key_hash(values, count));
	put_parts(out, values, count);
}

void
key_after_prefix(struct buf *prefix)
{
	while (prefix->len > 0 && (uint8_t)prefix->data[prefix->len - 1] == 0xff)
		prefix->len--;
	if (prefix->len > 0)
		prefix->data[prefix->len - 1]++;
}
