/*
 * Keys as the engine's bytes: byte order is DynamoDB's order.
 *
 *   row of a table = space id (u32 BE), hash (u64 BE) of the partition key, partition key parts, sort key parts
 *   row of an index = the same of the index's key, hash (u64 BE) of the table's key, the table's key parts
 *
 * A part is self-delimiting: S and B bytes with 0x00 written as 0x00 0xFF, ended by 0x00 0x00; numbers are
 * their encoding. So no part is the beginning of another, and a string sorts before those it begins.
 * docs/formats/key.md.
 */
#ifndef STATOR_MODEL_KEY_H
#define STATOR_MODEL_KEY_H

#include "model/schema.h"

/* Append one key attribute's value (S, N or B, and not empty: it passed a check of model/schema.h). */
void key_put_part(struct buf *out, struct av value);
/* Append the beginning that the parts of all strings (or binaries) starting with these bytes share: for begins_with. */
void key_put_prefix(struct buf *out, struct slice bytes);
/* Read one part back: appends the av (of the given type) to out, moves *bytes behind it. S_CORRUPT when malformed. */
enum status key_read_part(struct slice *bytes, enum av_type type, struct buf *ret_value);

/*
 * The hash by which the service itself orders partition keys, its first 64 bits: a Scan goes in the same order here and
 * there. Of key attributes' values, one after the other. Stable for ever (it is on the disk).
 */
uint64_t key_hash(const struct av *values, size_t count);

/* space id, hash and partition parts: the prefix that all items of one item collection share. values: one a
 * partition attribute, in schema order. ret_hash may be NULL, here and below. */
void key_put_collection(struct buf *out, uint32_t space_id, const struct av *values, size_t count, uint64_t *ret_hash);
/* The whole row key of an item (or of a map that holds just the key attributes). */
void key_put_row(struct buf *out, uint32_t space_id, const struct key_schema *schema, struct av item,
		 uint64_t *ret_hash);
/* The row key of an index entry: the index's parts, then the table's own key, which makes it unique: its hash, by which
 * the service orders entries of the same index key, and its parts. */
void key_put_index_row(struct buf *out, uint32_t space_id, const struct key_schema *index,
		       const struct key_schema *table, struct av item, uint64_t *ret_hash);

/* Turn a prefix into the smallest key behind all keys that start with it (for upper bounds); empty when there is none.
 */
void key_after_prefix(struct buf *prefix);

#endif
