/*
 * Which keys of one table or index are accessed and throttled most: the counting behind Contributor Insights
 * (insights.h). Four sketches (top_keys.h), one a rule, and these for each of a few shards: a thread counts in the
 * shard it was given, so that cores do not wait for each other; who asks adds the shards up. Ranks age: every minute
 * what was before counts half. The sums do not.
 */
#ifndef STATOR_TABLE_KEY_COUNTS_H
#define STATOR_TABLE_KEY_COUNTS_H

#include "table/top_keys.h"

#include "model/schema.h"

/* In the order in which the service lists them. */
enum key_rule {
	RULE_ACCESSED_PARTITION,
	RULE_ACCESSED_ITEM,
	RULE_THROTTLED_PARTITION,
	RULE_THROTTLED_ITEM,
	RULE_COUNT
};

struct key_counts;

/* Counts nothing until key_counts_start(). */
struct key_counts *key_counts_new(void);
void key_counts_free(struct key_counts *k); /* NULL is fine; nobody counts any more */
/* rules: bits of enum key_rule. What other rules have counted is dropped, and what these have is kept. 0: stop. */
void key_counts_set(struct key_counts *k, unsigned rules);

/* Key values, one a key attribute; sort_count 0: only the partition key's rule counts. Any thread. */
struct counted_key {
	struct av partition[KEY_ATTRS_MAX], sort[KEY_ATTRS_MAX];
	unsigned partition_count, sort_count;
};
void key_counts_add(struct key_counts *k, const struct counted_key *key, bool throttled, uint64_t amount);

/* The heaviest, heaviest first; at most `most`. Returns how many. total: since the key is watched. */
struct key_sum {
	uint64_t hash;
	uint64_t weight, total;
	struct key_text text;
};
unsigned key_counts_top(struct key_counts *k, enum key_rule rule, struct key_sum *ret, unsigned most);

#endif
