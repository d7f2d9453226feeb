/*
 * The heaviest keys of an endless row of them, in bounded memory (the Space-Saving sketch of Metwally, Agrawal and El
 * Abbadi): TOP_KEYS places; a key that has none takes the lightest one's place and inherits its weight.
 *
 * With W the sum of all that was added, for every key: what was added of it is at most its weight and at least its
 * weight less its error; no error exceeds W / TOP_KEYS; and whatever came to more than W / TOP_KEYS has a place. So of
 * a key that is hot nothing is missed.
 *
 * Not locked; key_counts.h does that.
 */
#ifndef STATOR_TABLE_TOP_KEYS_H
#define STATOR_TABLE_TOP_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#define TOP_KEYS     64
#define KEY_TEXT_MAX 96 /* bytes */

/* A key for people: cut off when it is long. */
struct key_text {
	uint8_t partition_len, sort_len;
	char partition[KEY_TEXT_MAX], sort[KEY_TEXT_MAX];
};

struct top_key {
	uint64_t hash;   /* stands for the key */
	uint64_t weight; /* see above; halved with age */
	uint64_t error;
	uint64_t total; /* added since the key got this place, never halved: all of that is the key's own */
	struct key_text text;
};

struct top_keys {
	uint32_t count;
	uint64_t hashes[TOP_KEYS]; /* beside the keys, so that looking one up touches 8 cache lines */
	struct top_key keys[TOP_KEYS];
};

/* Returns the key's place; *ret_new: it has just got it, the caller writes the text. */
struct top_key *top_keys_add(struct top_keys *t, uint64_t hash, uint64_t amount, bool *ret_new);
/* What happened before counts half as much, for each time. */
void top_keys_age(struct top_keys *t, uint64_t times);

#endif
