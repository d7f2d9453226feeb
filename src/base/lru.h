/*
 * A bounded map from bytes to bytes that forgets what was least recently used. It is cut into shards by the key's
 * hash, each with a lock of its own held for the copying of one value.
 *
 * Every entry carries a stamp given by whoever put it there; a look-up names the stamp it accepts. So all entries
 * die at once when their world ends (an engine that was reopened), without anyone walking over them.
 */
#ifndef STATOR_BASE_LRU_H
#define STATOR_BASE_LRU_H

#include "base/arena.h"

struct lru;

struct lru_figures {
	uint64_t hits, misses, evictions;
	uint64_t entries, bytes; /* bytes: of keys, values and all bookkeeping */
};

/* budget_bytes bounds entries and their bookkeeping; 0 gives a cache that holds nothing. */
struct lru *lru_new(size_t budget_bytes);
void lru_free(struct lru *l); /* NULL is fine */
uint64_t lru_hash(struct slice key);

/* True and a copy of the value in the arena when the key is there with this stamp. Allocates nothing of its own. */
bool lru_get(struct lru *l, struct slice key, uint64_t hash, uint64_t stamp, struct arena *arena, struct slice *ret);
/*
 * Put a value that was read from elsewhere, unless it may have changed since: `*guard == expected` is looked at while
 * the shard is locked. A writer changes the guard, hides the entry, changes the store, then calls lru_update(): so an
 * older value is neither put behind its back nor found once the store shows the newer one.
 */
void lru_put(struct lru *l, struct slice key, uint64_t hash, uint64_t stamp, struct slice value,
	     const _Atomic uint64_t *guard, uint64_t expected);
/* Until lru_update() the entry is not found. */
void lru_hide(struct lru *l, struct slice key, uint64_t hash);
/* A new value for a key that is there, hidden or not; a key that is not stays away. */
void lru_update(struct lru *l, struct slice key, uint64_t hash, uint64_t stamp, struct slice value);
void lru_remove(struct lru *l, struct slice key, uint64_t hash);

struct lru_figures lru_figures(struct lru *l);

#endif
