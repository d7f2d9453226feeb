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

enum av_tag {
	TAG_NULL = 1, TAG_FALSE, TAG_TRUE, TAG_N, TAG_S, TAG_B, TAG_SS, TAG_NS, TAG_BS, TAG_L, TAG_M
};

#define AV_DEPTH_MAX  32              /* nested maps and lists, DynamoDB's limit */
#define ITEM_SIZE_MAX (400 * 1024)    /* bytes by DynamoDB's rule, not of this form */

/* One encoded value, borrowed. data is NULL when there is none. */
struct av {
	const uint8_t *data;
	uint32_t       len; /* bytes of the whole value, tag included */
};

#define AV_NONE ((struct av){NULL, 0})

static inline bool
av_exists(struct av v)
{
	return v.data != NULL;
}

enum av_type av_type(struct av v);
const char  *av_type_name(enum av_type type); /* "S", "NULL", ... as on the wire */
bool         av_is_true(struct av v);         /* of a BOOL */
/* The bytes of an S or B, or the number encoding of an N. */
struct slice av_bytes(struct av v);
/* Elements of a set or list, entries of a map; 0 for others. */
uint32_t     av_count(struct av v);

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
	uint8_t        tag;
	struct slice   name;
	struct slice   element;
	struct av      value;
};
struct av_iter av_iter(struct av container);
bool           av_next(struct av_iter *it);

/* Bytes by DynamoDB's item size rule. av_size of an item (an M) is the sum over its attributes of name
 * and value, without the 3 + 1-per-entry bytes that a nested map costs. */
uint64_t av_size(struct av value);   /* one attribute value */
uint64_t item_size(struct av item);  /* a whole item */
int      av_depth(struct av value);  /* 0 for scalars and sets, 1 + deepest for L and M */

/* Check bytes that come from outside this process (import, replication, a corrupt disk) before trusting them. */
enum status av_check(struct slice bytes, struct err *err);

/*
 * Building. Values are appended to a buf. Containers are opened and closed around their content:
 *
 *     size_t map = av_open(out, TAG_M);
 *     av_put_name(out, name);  av_put_string(out, text);   ... in any order
 *     s = av_close_map(out, map, &duplicate);    sorts the entries in place
 *
 * av_close_map and av_close_set fail with S_VALIDATION when two names or elements are equal; the caller
 * words the error. Use av_close_map_sorted when entries are known to ascend.
 */
void   av_put_null(struct buf *out);
void   av_put_bool(struct buf *out, bool value);
void   av_put_string(struct buf *out, struct slice bytes);
void   av_put_binary(struct buf *out, struct slice bytes);
void   av_put_number(struct buf *out, struct slice encoded);
void   av_put_value(struct buf *out, struct av value); /* copies an encoded value */
void   av_put_name(struct buf *out, struct slice name);
void   av_put_element(struct buf *out, struct slice element); /* inside a set */
size_t av_open(struct buf *out, enum av_tag tag);
void   av_close_list(struct buf *out, size_t mark, uint32_t count);
enum status av_close_map(struct buf *out, size_t mark, uint32_t count, struct slice *ret_duplicate);
void   av_close_map_sorted(struct buf *out, size_t mark, uint32_t count);
enum status av_close_set(struct buf *out, size_t mark, uint32_t count, struct slice *ret_duplicate);

/* A small value in the arena, for those who need one. */
struct av av_string(struct arena *a, struct slice bytes);
struct av av_number(struct arena *a, struct slice encoded);
struct av av_of_buf(struct arena *a, const struct buf *b, size_t from); /* copies what was appended since `from` */

/* The item with only the named top-level attributes (names sorted or not); absent ones are left out. */
struct av item_pick(struct arena *a, struct av item, const struct slice *names, size_t count);

#endif
