/* docs/formats/key.md. */
#include "model/key.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "model/number.h"

#define ESCAPED_ZERO 0xff /* behind a 00 of the content; behind the 00 that ends the part stands another 00 */

static void
put_escaped(struct buf *out, struct slice bytes)
{
	const char *at = bytes.data, *end = bytes.data + bytes.len, *zero;

	buf_reserve(out, bytes.len + 2);
	while (at < end && (zero = memchr(at, 0, (size_t)(end - at))) != NULL) {
		buf_put(out, at, (size_t)(zero - at) + 1);
		buf_put_byte(out, ESCAPED_ZERO);
		at = zero + 1;
	}
	buf_put(out, at, (size_t)(end - at));
	buf_put(out, "\0", 2);
}

void
key_put_part(struct buf *out, struct av value)
{
	struct slice bytes = av_bytes(value);

	if (av_type(value) == AV_N)
		buf_put_slice(out, bytes);
	else
		put_escaped(out, bytes);
}

/* Appends what was escaped to out; false when the end of the part is missing or a 00 is followed by anything else. */
static bool
read_escaped(struct slice *bytes, struct buf *out)
{
	const char *at = bytes->data, *end = bytes->data + bytes->len, *zero;

	while (at < end && (zero = memchr(at, 0, (size_t)(end - at))) != NULL && end - zero >= 2) {
		buf_put(out, at, (size_t)(zero - at));
		at = zero + 2;
		if (zero[1] == 0) {
			*bytes = slice_of(at, (size_t)(end - at));
			return true;
		}
		if ((uint8_t)zero[1] != ESCAPED_ZERO)
			return false;
		buf_put_byte(out, 0);
	}
	return false;
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
	bool ok;

	if (type == AV_N)
		return read_number(bytes, ret_value);
	ok = read_escaped(bytes, &content);
	if (ok && type == AV_S)
		av_put_string(ret_value, buf_slice(&content));
	else if (ok)
		av_put_binary(ret_value, buf_slice(&content));
	buf_done(&content);
	return ok ? S_OK : S_CORRUPT;
}

/* XXH3 with no seed; its results are fixed since version 0.8.0. */
uint64_t
key_hash(struct slice encoded_partition_parts)
{
	return XXH3_64bits(encoded_partition_parts.data, encoded_partition_parts.len);
}

/* Space id and room for the hash; the parts follow. Returns where the parts begin. */
static size_t
open_row(struct buf *out, uint32_t space_id)
{
	buf_put_be32(out, space_id);
	buf_put_be64(out, 0);
	return out->len;
}

static void
put_hash(struct buf *out, size_t parts, uint64_t *ret_hash)
{
	uint64_t hash = key_hash(slice_of(out->data + parts, out->len - parts));
	uint64_t big_endian = __builtin_bswap64(hash);

	memcpy(out->data + parts - sizeof big_endian, &big_endian, sizeof big_endian);
	if (ret_hash != NULL)
		*ret_hash = hash;
}

void
key_put_collection(struct buf *out, uint32_t space_id, const struct av *values, size_t count, uint64_t *ret_hash)
{
	size_t parts = open_row(out, space_id);

	for (size_t i = 0; i < count; i++)
		key_put_part(out, values[i]);
	put_hash(out, parts, ret_hash);
}

static void
put_parts(struct buf *out, const struct key_attr *attrs, size_t count, struct av item)
{
	for (size_t i = 0; i < count; i++)
		key_put_part(out, av_get(item, attrs[i].name));
}

void
key_put_row(struct buf *out, uint32_t space_id, const struct key_schema *schema, struct av item, uint64_t *ret_hash)
{
	size_t parts = open_row(out, space_id);

	put_parts(out, schema->partition, schema->partition_count, item);
	put_hash(out, parts, ret_hash);
	put_parts(out, schema->sort, schema->sort_count, item);
}

void
key_put_index_row(struct buf *out, uint32_t space_id, const struct key_schema *index, const struct key_schema *table,
		  struct av item, uint64_t *ret_hash)
{
	key_put_row(out, space_id, index, item, ret_hash);
	put_parts(out, table->partition, table->partition_count, item);
	put_parts(out, table->sort, table->sort_count, item);
}

void
key_after_prefix(struct buf *prefix)
{
	while (prefix->len > 0 && (uint8_t)prefix->data[prefix->len - 1] == 0xff)
		prefix->len--;
	if (prefix->len > 0)
		prefix->data[prefix->len - 1]++;
}
