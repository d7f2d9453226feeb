/*
 * A bounded map from bytes to bytes that forgets what was least recently used. It is cut into shards by the key's
 * hash, each with a lock of its own held for the copying of one value.
 *
 * Every entry carries a stamp given by whoever put it there; a look-up names the stamp it accepts. So all entries
 * die at once when their world ends (an engine that was reopened), without anyone walking over them.
 *
 * Two users: the table's cache of items (lru_get() ... lru_remove()) and the caches of DAX, whose rules are their own
 * and which therefore work with shards and entries themselves (lru_lock() ...).
 */
#ifndef STATOR_BASE_LRU_H
#define STATOR_BASE_LRU_H

#include "base/arena.h"

struct lru;

struct lru_figures {
	uint64_t hits, misses, evictions;
	uint64_t entries, bytes; /* bytes: of keys, values and all bookkeeping */
};

#define LRU_SHARDS 64 /* the usual number */

/* budget_bytes bounds entries and their bookkeeping; 0 gives a cache that holds nothing. shard_count: a power of two,
 * at most 64; a value over a quarter of a shard's part of the budget is not kept. */
struct lru *lru_new(size_t budget_bytes, unsigned shard_count);
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

/*
 * ---- piece by piece ----
 *
 * An entry belongs to whoever made it until lru_insert() and after lru_take(). What is inside a shard is touched only
 * while the shard is locked, except the bytes of a pinned entry, which do not change.
 */
struct lru_entry {
	struct lru_entry *next;          /* in its bucket */
	struct lru_entry *newer, *older; /* by last use */
	uint64_t hash;
	uint64_t space; /* keys of different spaces are different keys */
	uint64_t stamp;
	int64_t at_ms; /* the user's: when it was made */
	uint32_t key_len, value_len;
	uint32_t pins;
	uint16_t tag, kind; /* the user's */
	char bytes[];       /* key, then value */
};
struct lru_shard;

/* Not in the cache yet: the user sets its own members and lru_insert()s or lru_entry_free()s it. NULL when the system
 * has no memory or the entry would be too big a part of the budget. */
struct lru_entry *lru_entry_new(struct lru *l, uint64_t space, struct slice key, uint64_t hash, struct slice value);
void lru_entry_free(struct lru_entry *e);          /* NULL is fine */
size_t lru_entry_bytes(const struct lru_entry *e); /* what it takes of the budget */
static inline struct slice
lru_entry_value(const struct lru_entry *e)
{
	return slice_of(e->bytes + e->key_len, e->value_len);
}

unsigned lru_shard_index(const struct lru *l, uint64_t hash);
unsigned lru_shard_count(const struct lru *l);
struct lru_shard *lru_lock(struct lru *l, uint64_t hash);
struct lru_shard *lru_lock_at(struct lru *l, unsigned index);
void lru_unlock(struct lru_shard *s);
/* NULL: there is none. Does not count as a use. */
struct lru_entry *lru_find(struct lru_shard *s, uint64_t space, struct slice key, uint64_t hash);
void lru_touch(struct lru_shard *s, struct lru_entry *e);         /* used now */
struct lru_entry *lru_oldest(struct lru_shard *s);                /* of all; NULL: empty */
struct lru_entry *lru_newer(struct lru_entry *e);                 /* the next more recently used one, or NULL */
bool lru_is_full(const struct lru *l, const struct lru_shard *s); /* over its budget: the user removes the oldest */
/* Its key is not there (the user has looked). */
void lru_insert(struct lru_shard *s, struct lru_entry *e);
/* Takes it out; it is freed with its last pin. */
void lru_delete(struct lru_shard *s, struct lru_entry *e);
/* A pinned entry may be read without the lock; its memory counts until lru_unpin(), which needs the lock. */
void lru_pin(struct lru_entry *e);
void lru_unpin(struct lru_shard *s, struct lru_entry *e);

#endif
