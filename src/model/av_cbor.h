/*
 * Attribute values in the CBOR of the DAX protocol (docs/formats/dax.md): text is S, byte strings are B, integers, big
 * integers (tags 2 and 3), decimals (tag 4) and doubles are N, tags 3321 to 3323 are sets.
 *
 * Clients spell equal numbers differently, so the bytes of a value are never compared: they become text or the one
 * encoding of model/number.h first. Requests become DynamoDB JSON, so that whoever answers them checks them and words
 * what is wrong; replies are written from encoded values.
 */
#ifndef STATOR_MODEL_AV_CBOR_H
#define STATOR_MODEL_AV_CBOR_H

#include "codec/cbor.h"
#include "model/av.h"
#include "model/number.h"

#define CBOR_TAG_STRING_SET 3321
#define CBOR_TAG_NUMBER_SET 3322
#define CBOR_TAG_BINARY_SET 3323
#define CBOR_TAG_LIST_INDEX 3324

/*
 * Append one number of any of the five forms as decimal text. It is not checked against DynamoDB's limits:
 * number_parse() is linear in the text and words what is wrong. A reader failure when it is no number.
 */
void number_read_cbor(struct cbor_reader *r, struct buf *out);
/* Integers of at most 38 digits as integers, others as tag 4 without trailing zeros; never as a float. */
void number_write_cbor(struct buf *out, struct slice encoded);

/*
 * LexDecimal: numbers of a sort key inside key bytes, whose byte order is their order. Reading appends decimal text,
 * and is false when the bytes are none. Writing keeps the zeros of an integer, as clients show what they read.
 */
bool lexdecimal_read(struct slice bytes, struct buf *out);
void lexdecimal_write(struct buf *out, struct slice encoded);

/* Append one value as DynamoDB JSON, {"S":"x"}. What is checked is its form and its depth. */
void av_cbor_to_json(struct cbor_reader *r, struct buf *out);
void av_write_cbor(struct buf *out, struct av value);

#endif
