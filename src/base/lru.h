/*
 * A bounded map from bytes to bytes that forgets what was least recently used. It is cut into shards by the key's
 * hash, each with a lock of its own held for the copying of one value.
 *
 * lru_get() also tells what was asked for once from what is asked for again: the latter may fill four fifths of a
 * shard, and room is made among the former first. So neither a walk over many keys nor the long tail of rare ones
 * pushes out what is in use. And in a full shard lru_put() keeps only one value in four: what is asked for often comes
 * in all the same, what is not costs no copy and no eviction.
 *
 * Every entry carries a stamp given by whoever put it there; a look-up names the stamp it accepts. So all entries
 * die at once when their world ends (an engine that was reopened), without anyone walking over them.
 *
 * Three users: the table's cache of items (lru_get() ... lru_remove()), its cache of pages (lru_hold() ...) and the
 * caches of DAX, whose rules are their own and which therefore work with shards and entries themselves (lru_lock()
 * ...).
 */
#ifndef STATOR_BASE_LRU_H
#define STATOR_BASE_LRU_H

#include "base/arena.h"

struct lru;

struct lru_figures {
	uint64_t hits, misses, evictions;
	uint64_t entries, bytes; /* bytes: of keys, values and all bookkeeping */
};

/*
 * budget_bytes bounds entries and all their bookkeeping: what is taken from the system never exceeds it. 0 gives a
 * cache that holds nothing. A value over a quarter of a shard's part (there are up to 64 shards, of 8 MB at least) is
 * not kept; nor, by lru_put() and lru_update(), one over LRU_VALUE_MAX, whose copying would hold the lock for long.
 */
#define LRU_VALUE_MAX (32U << 10)
struct lru *lru_new(size_t budget_bytes);
unsigned lru_shards_for(size_t budget_bytes); /* that lru_new() will make */
void lru_free(struct lru *l);                 /* NULL is fine */
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
 * ---- values too large to be copied under a lock ----
 *
 * Nobody hides or updates them. Instead each has the value of a guard from before it was read elsewhere, and counts
 * only as long as the guard is still that: so who changes what the value was made of has nothing to do but to change
 * the guard before, to a value that it never had.
 */
struct lru_entry;
struct lru_shard;

/* The entry, pinned, to be read by lru_read_part() and given back; NULL: there is none with this stamp and guard. */
struct lru_entry *lru_hold(struct lru *l, struct slice key, uint64_t hash, uint64_t stamp,
			   const _Atomic uint64_t *guard, struct lru_shard **ret_shard);
void lru_let_go(struct lru_shard *s, struct lru_entry *e);
/* A new entry with a value made of the parts, unless the guard has changed, or the value is too large. */
void lru_keep(struct lru *l, struct slice key, uint64_t hash, uint64_t stamp, const struct slice *parts, size_t count,
	      const _Atomic uint64_t *guard, uint64_t expected);
/* Of a pinned entry's value, without a lock. lru_runs(): where it lies, valid as long as the pin; 0: in more than `max`
 * runs. */
size_t lru_runs(const struct lru_shard *s, const struct lru_entry *e, size_t from, size_t len, struct slice *ret,
		size_t max);
void lru_read_part(const struct lru_shard *s, const struct lru_entry *e, size_t from, size_t len, char *ret);

/*
 * ---- piece by piece ----
 *
 * What is inside a shard, entries included, is touched only while the shard is locked, except what is in a pinned
 * entry, which neither changes nor moves. Entries that are not pinned move whenever another one is made: nobody keeps
 * a pointer to one beyond that, or beyond the lock.
 */
struct lru_part {
	struct lru_part *more;  /* the entry's next part; NULL: the last */
	struct lru_entry *head; /* the entry */
};
struct lru_entry {
	struct lru_part part;
	struct lru_entry *next;          /* in its bucket */
	struct lru_entry *newer, *older; /* by last use */
	uint64_t hash;
	uint64_t space; /* keys of different spaces are different keys */
	uint64_t stamp; /* the user's, as are: */
	int64_t at_ms;  /* lru_keep(): the guard's value */
	uint32_t key_len, value_len;
	uint16_t tag;
	uint8_t kind;
	bool again; /* lru_get() has found it: in the second list */
	uint32_t pins;
	char bytes[]; /* key, then value; what has no room here goes on in the other parts */
};
struct lru_shard;

/* Called, under the shard's lock, for each entry that has to make room, before it is taken out. */
void lru_on_eviction(struct lru *l, void (*evicted)(void *context, struct lru_shard *s, struct lru_entry *e),
		     void *context);

unsigned lru_shard_index(const struct lru *l, uint64_t hash);
unsigned lru_shard_count(const struct lru *l);
struct lru_shard *lru_lock(struct lru *l, uint64_t hash);
struct lru_shard *lru_lock_at(struct lru *l, unsigned index);
void lru_relock(struct lru_shard *s);
void lru_unlock(struct lru_shard *s);

/* NULL: there is none. Does not count as a use. */
struct lru_entry *lru_find(struct lru_shard *s, uint64_t space, struct slice key, uint64_t hash);
void lru_touch(struct lru_shard *s, struct lru_entry *e); /* used now */
struct lru_entry *lru_oldest(struct lru_shard *s);        /* the next to make room; NULL: empty */
struct lru_entry *lru_newer(struct lru_entry *e); /* the next more recently used one, or NULL; not with lru_get() */
size_t lru_entry_bytes(const struct lru_shard *s, const struct lru_entry *e); /* of memory */
/* Copies value_len bytes. */
void lru_read(const struct lru_shard *s, const struct lru_entry *e, char *ret);

/*
 * A new entry, pinned and not found yet. The user writes its value and its own members, which may be without the lock,
 * and then lru_insert()s it (if its key is not there: it has looked), which unpins it, or lru_abandon()s it. NULL: too
 * large.
 */
struct lru_entry *lru_make(struct lru *l, struct lru_shard *s, uint64_t space, struct slice key, uint64_t hash,
			   size_t value_len);
void lru_write(const struct lru_shard *s, struct lru_entry *e, const char *value);
void lru_insert(struct lru *l, struct lru_shard *s, struct lru_entry *e);
void lru_abandon(struct lru_shard *s, struct lru_entry *e); /* NULL is fine */

/* Takes it out; it is freed with its last pin. */
void lru_delete(struct lru_shard *s, struct lru_entry *e);
void lru_pin(struct lru_entry *e);
void lru_unpin(struct lru_shard *s, struct lru_entry *e);
/* Gives free memory back to the system. */
void lru_trim(struct lru_shard *s);

#endif
