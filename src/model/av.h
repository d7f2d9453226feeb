/*
 * Attribute values: one binary form from the request to the disk and back.
 *
 * JSON (later CBOR) is read straight into this form and written straight from
 * it; expressions walk it; the engine stores it. There is no tree in between.
 * The form is canonical: map entries ascend by the bytes of their names, set
 * elements ascend (numbers by value), numbers are in their one encoding. So two
 * values are equal in DynamoDB's sense exactly when their bytes are equal.
 *
 *   NULL FALSE TRUE   tag
 *   N                 tag, length byte, number encoding (model/number.h)
 *   S B               tag, varint length, bytes
 *   SS NS BS          tag, u32 body bytes, u32 count, elements: varint length, bytes
 *   L                 tag, u32 body bytes, u32 count, values
 *   M                 tag, u32 body bytes, u32 count, entries: varint length, name, value
 *
 * varint: 7 bits a byte, low first. u32: little endian; body bytes count what
 * follows the count. An item is a value of type M. docs/formats/item.md.
 */
#ifndef STATOR_MODEL_AV_H
#define STATOR_MODEL_AV_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/slice.h"
#include "base/status.h"

enum av_type { AV_NULL, AV_BOOL, AV_N, AV_S, AV_B, AV_SS, AV_NS, AV_BS, AV_L, AV_M, AV_TYPE_COUNT };

/* On the disk. The inline readers rely on the order: scalars first, then sets, then L and M. */
enum av_tag { TAG_NULL = 1, TAG_FALSE, TAG_TRUE, TAG_N, TAG_S, TAG_B, TAG_SS, TAG_NS, TAG_BS, TAG_L, TAG_M };

#define AV_DEPTH_MAX  32           /* nested maps and lists, DynamoDB's limit */
#define ITEM_SIZE_MAX (400 * 1024) /* bytes by DynamoDB's rule, not of this form */

/* One encoded value, borrowed. data is NULL when there is none. */
struct av {
	const uint8_t *data;
	uint32_t len; /* bytes of the whole value, tag included */
};

#define AV_NONE ((struct av){NULL, 0})

static inline bool
av_exists(struct av v)
{
	return v.data != NULL;
}

/* Raw reading, for the inline functions below. The bytes are trusted: made here or passed by av_check(). */
static inline uint32_t
av_raw_u32(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof v);
	return v;
}

static inline const uint8_t *
av_raw_varint(const uint8_t *at, uint32_t *ret)
{
	uint32_t v = *at++;

	if (v >= 0x80) {
		unsigned shift = 7;

		v &= 0x7f;
		while (*at >= 0x80 && shift < 28) {
			v |= (uint32_t)(*at++ & 0x7f) << shift;
			shift += 7;
		}
		v |= (uint32_t)*at++ << shift;
	}
	*ret = v;
	return at;
}

#define AV_HEAD_BYTES 9u /* of a container: tag, body bytes, count */

/* Bytes of the whole value that starts here. */
static inline uint32_t
av_raw_span(const uint8_t *at)
{
	uint32_t len;

	switch (*at) {
	case TAG_NULL:
	case TAG_FALSE:
	case TAG_TRUE:
		return 1;
	case TAG_N:
		return 2u + at[1];
	case TAG_S:
	case TAG_B:
		return (uint32_t)(av_raw_varint(at + 1, &len) - at) + len;
	default:
		return AV_HEAD_BYTES + av_raw_u32(at + 1);
	}
}

static inline enum av_type
av_type(struct av v)
{
	return (enum av_type)(v.data[0] < TAG_TRUE ? v.data[0] - 1 : v.data[0] - 2);
}

const char *av_type_name(enum av_type type); /* "S", "NULL", ... as on the wire */

/* Of a BOOL. */
static inline bool
av_is_true(struct av v)
{
	return v.data[0] == TAG_TRUE;
}

/* The bytes of an S or B, or the number encoding of an N. */
static inline struct slice
av_bytes(struct av v)
{
	const uint8_t *at = v.data + 2;
	uint32_t len = v.data[1];

	if (v.data[0] != TAG_N)
		at = av_raw_varint(v.data + 1, &len);
	return (struct slice){(const char *)at, len};
}

/* Elements of a set or list, entries of a map; 0 for others. */
static inline uint32_t
av_count(struct av v)
{
	return v.data[0] >= TAG_SS ? av_raw_u32(v.data + 5) : 0;
}

static inline bool
av_equal(struct av a, struct av b)
{
	return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

/* Order of two S, two N or two B: < 0, 0, > 0. Other types and mixed ones: the caller must not ask. */
int av_cmp(struct av a, struct av b);

/* One entry of a map by name; AV_NONE when it has none or v is no map. */
struct av av_get(struct av map, struct slice name);
/* Element of a list; AV_NONE beyond its end or when v is no list. */
struct av av_at(struct av list, uint32_t index);
/* Is the S, N or B among the elements of the set (of its type)? */
bool av_set_has(struct av set, struct av element);

/*
 * Walk a container: for (it = av_iter(v); av_next(&it); ) use it.name (maps), it.value (lists,
 * maps), it.element (sets: raw bytes of the S or B, or number encoding).
 */
struct av_iter {
	const uint8_t *at;
	const uint8_t *end;
	uint8_t tag;
	struct slice name;
	struct slice element;
	struct av value;
};
/* Of a scalar or AV_NONE: an iteration that ends at once. */
static inline struct av_iter
av_iter(struct av container)
{
	struct av_iter it = {0};

	if (container.data != NULL && container.data[0] >= TAG_SS) {
		it.at = container.data + AV_HEAD_BYTES;
		it.end = container.data + container.len;
		it.tag = container.data[0];
	}
	return it;
}

static inline bool
av_next(struct av_iter *it)
{
	const uint8_t *at = it->at;
	uint32_t len;

	if (at == it->end)
		return false;
	if (it->tag == TAG_M) {
		at = av_raw_varint(at, &len);
		it->name = (struct slice){(const char *)at, len};
		at += len;
	} else if (it->tag != TAG_L) {
		at = av_raw_varint(at, &len);
		it->element = (struct slice){(const char *)at, len};
		it->at = at + len;
		return true;
	}
	len = av_raw_span(at);
	it->value = (struct av){at, len};
	it->at = at + len;
	return true;
}

/* Bytes by DynamoDB's item size rule. av_size of an item (an M) is the sum over its attributes of name
 * and value, without the 3 + 1-per-entry bytes that a nested map costs. */
uint64_t av_size(struct av value);  /* one attribute value */
uint64_t item_size(struct av item); /* a whole item */
int av_depth(struct av value);      /* 0 for scalars and sets, 1 + deepest for L and M */

/*
 * Check bytes that come from outside this process (import, replication, a corrupt disk) before trusting them: exactly
 * one value in canonical form, at most AV_DEPTH_MAX levels below an outermost map (an item). S_CORRUPT otherwise.
 */
enum status av_check(struct slice bytes, struct err *err);

/*
 * Building. Values are appended to a buf. Containers are opened and closed around their content:
 *
 *     size_t map = av_open(out, TAG_M);
 *     av_put_name(out, name);  av_put_string(out, text);   ... in any order
 *     s = av_close_map(out, map, &duplicate);    sorts the entries in place
 *
 * av_close_map and av_close_set fail with S_VALIDATION when two names or elements are equal; the caller
 * words the error. *ret_duplicate (which may be NULL) then points into the buf, until its next change; the container
 * is not usable. Use av_close_map_sorted when entries are known to ascend.
 */
void av_put_null(struct buf *out);
void av_put_bool(struct buf *out, bool value);
void av_put_string(struct buf *out, struct slice bytes);
void av_put_binary(struct buf *out, struct slice bytes);
void av_put_number(struct buf *out, struct slice encoded);
void av_put_value(struct buf *out, struct av value); /* copies an encoded value */
void av_put_name(struct buf *out, struct slice name);
void av_put_element(struct buf *out, struct slice element); /* inside a set */
size_t av_open(struct buf *out, enum av_tag tag);
void av_close_list(struct buf *out, size_t mark, uint32_t count);
enum status av_close_map(struct buf *out, size_t mark, uint32_t count, struct slice *ret_duplicate);
void av_close_map_sorted(struct buf *out, size_t mark, uint32_t count);
enum status av_close_set(struct buf *out, size_t mark, uint32_t count, struct slice *ret_duplicate);

/* A small value in the arena, for those who need one. */
struct av av_string(struct arena *a, struct slice bytes);
struct av av_number(struct arena *a, struct slice encoded);
struct av av_of_buf(struct arena *a, const struct buf *b, size_t from); /* copies what was appended since `from` */

/* The item with only the named top-level attributes (names sorted or not); absent ones are left out. */
struct av item_pick(struct arena *a, struct av item, const struct slice *names, size_t count);

#endif
