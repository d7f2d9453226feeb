/*
 * DynamoDB JSON <-> attribute values: {"S": "text"}, {"N": "12"}, {"M": {...}} ...
 *
 * Reading checks what DynamoDB checks and words it as DynamoDB does, in its order:
 * wrong JSON types are S_SERIALIZATION; unknown or several types in one value, bad
 * numbers, empty or duplicate sets, nesting over 32 are S_VALIDATION.
 */
#ifndef STATOR_MODEL_AV_JSON_H
#define STATOR_MODEL_AV_JSON_H

#include "codec/json.h"
#include "model/av.h"

/*
 * Read one value / one map of values ("Item", "Key", "ExpressionAttributeValues") at the reader's place.
 * The result lies in the arena. The value errors (S_VALIDATION) do not stop the JSON: the reader is moved
 * behind the value, the first error is kept in err, *ret is AV_NONE; so the caller can order it after its
 * own checks. S_SERIALIZATION latches in the reader.
 */
enum status av_read_json(struct json_reader *r, struct arena *a, struct av *ret, struct err *err);
enum status item_read_json(struct json_reader *r, struct arena *a, struct av *ret, struct err *err);

void av_write_json(struct buf *out, struct av value);  /* {"S":"x"} */
void item_write_json(struct buf *out, struct av item); /* {"a":{"S":"x"},...} */

#endif
