/*
 * Key schemas: which attributes make the primary key of a table or an index.
 * Tables and local indexes have one partition key attribute and at most one sort
 * key attribute; global indexes up to four of each.
 */
#ifndef STATOR_MODEL_SCHEMA_H
#define STATOR_MODEL_SCHEMA_H

#include "model/av.h"

#define KEY_ATTRS_MAX     4
#define PARTITION_KEY_MAX 2048 /* bytes of a partition key value */
#define SORT_KEY_MAX      1024
#define ATTR_NAME_MAX     65535
#define KEY_ATTR_NAME_MAX 255

struct key_attr {
	struct slice name;
	enum av_type type; /* AV_S, AV_N or AV_B */
};

struct key_schema {
	uint8_t partition_count;
	uint8_t sort_count; /* 0: no sort key */
	struct key_attr partition[KEY_ATTRS_MAX];
	struct key_attr sort[KEY_ATTRS_MAX];
};

/*
 * Check that `key` is a map of exactly the schema's attributes with their types and lengths (GetItem, DeleteItem, ...):
 * "The provided key element does not match the schema" and the empty and too-long key messages.
 */
enum status key_check(const struct key_schema *schema, struct av key, struct err *err);
/*
 * Check that an item to be put has the schema's attributes with their types and lengths:
 * "One or more parameter values were invalid: Missing the key pk in the item", "... Type mismatch for key ...", ...
 */
enum status key_check_item(const struct key_schema *schema, struct av item, struct err *err);
/* The same check as BatchWriteItem words it for its puts: what is missing or has the wrong type "does not match the
 * schema". */
enum status key_check_batch_item(const struct key_schema *schema, struct av item, struct err *err);
/* Has the item all attributes of an index's key? Absent ones: false and S_OK (not in the index). Present with
 * the wrong type, empty or too long: S_VALIDATION, worded for secondary indexes with the index's name. */
enum status key_check_index(const struct key_schema *schema, struct slice index_name, struct av item, bool *ret_indexed,
			    struct err *err);
/* The same with the wording that fits who made the value: a put, or an update (whose empty index key reads
 * differently). When an attribute keys several indexes DynamoDB names the alphabetically first one, so check them in
 * the order of their names. */
enum key_cause { KEY_FROM_ITEM, KEY_FROM_UPDATE };
enum status key_check_index_from(const struct key_schema *schema, struct slice index_name, struct av item,
				 enum key_cause cause, bool *ret_indexed, struct err *err);
bool key_has_attr(const struct key_schema *schema, struct slice name);
/* The item's attributes that make up the key, as a map in the arena. */
struct av key_of_item(const struct key_schema *schema, struct av item, struct arena *a);

#endif
