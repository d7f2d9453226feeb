/* Inside the room: a cache's parts, and what is counted where. */
#ifndef STATOR_CACHE_CACHE_INT_H
#define STATOR_CACHE_CACHE_INT_H

#include "base/lru.h"
#include "cache/cache.h"

#include <pthread.h>
#include <stdatomic.h>

#define OTHER_TABLES 0 /* place of the tables that are not told apart */
#define TABLE_PLACES (CACHE_TABLES_MAX + 1)
#define VERSIONS     256  /* in a shard: keys that share one only make each other's answers come too late */
#define EPOCHS       1024 /* of tables; those that share one also end together */
#define TIME_BUCKETS 16

/*
 * The last change of the keys that fall here. Guarded by the shard's lock. order is of the key with that hash, 0 when
 * not known.
 */
struct version {
	uint64_t count;
	uint64_t hash, order;
	int64_t changed_ms, own_ms; /* when, by clock_mono_ns: by anybody; by a writer of this node */
};

/* Of one table in one shard; guarded by the shard's lock but for the times. */
struct table_counts {
	struct cache_figures f;
	_Atomic uint64_t timed[2], nanoseconds[2]; /* misses, hits */
};

struct times {
	_Alignas(64) _Atomic uint64_t buckets[CACHE_KINDS][2][TIME_BUCKETS + 1];
};

struct cache {
	struct lru *lru;
	uint64_t budget, seed, fixed_bytes; /* fixed: of all that is not in the lru */
	_Atomic int64_t ttl_ms[CACHE_KINDS];
	cache_watcher *watcher; /* NULL: nobody */
	void *watcher_context;
	cache_covers *covers; /* NULL: all tables are kept */
	void *covers_context;
	struct version *versions;                 /* [shard][VERSIONS] */
	struct table_counts *counts;              /* [shard][TABLE_PLACES][CACHE_KINDS] */
	struct times *times;                      /* [shard] */
	_Atomic uint64_t place_ids[TABLE_PLACES]; /* which table stands at which place: its id + 1; 0: free */
	pthread_mutex_t places_lock;
	char *place_names[TABLE_PLACES];    /* guarded by places_lock */
	_Atomic int64_t places_searched_ns; /* when a place was last looked for */
	_Atomic uint64_t epochs[CACHE_KINDS][EPOCHS];
};

static inline struct table_counts *
counts_at(struct cache *c, unsigned shard, uint32_t place, unsigned kind)
{
	return &c->counts[((size_t)shard * TABLE_PLACES + place) * CACHE_KINDS + kind];
}

/* The place of a table in the counts; one is found for it when it has none. */
uint32_t places_find(struct cache *c, uint64_t table_id, struct slice name);
void places_done(struct cache *c);

#endif
