/*
 * The two caches of a DAX node: items by primary key, pages of Query and Scan by the whole request.
 *
 * They know nothing of CBOR or DynamoDB. A key is a run of bytes that the front makes canonical (equal keys, equal
 * bytes), a value a run of bytes in the form in which it goes to the client, so that a hit is one copy. Both share one
 * memory budget and one order of last use, cut into shards with a lock each, held for one copy of some kilobytes.
 * Hits allocate nothing.
 *
 * What DAX promises, and so do they:
 * - Eventually consistent GetItem and BatchGetItem read items, Query and Scan read pages. Neither fills the other.
 * - An item that is not there is an entry, too (CACHE_ABSENT). It ends like any other: by its time to live, by LRU, by
 *   a write.
 * - Each cache has its own time to live, changeable at any time, also for what is already there. Items: 0 is for ever.
 *   Pages: 0 caches nothing.
 * - A write goes to the table first and then, through cache_write(), to the item cache. Pages do not notice it.
 *
 * Nothing old overwrites what is newer. Who goes to the table, to read or to write, first takes the key's version
 * (cache_get() and cache_begin() put it into the key); what comes back is kept only if no write of this key has come in
 * between. A writer that knows the order of its write (see cache_write()) is exact also among concurrent writers;
 * without it two overlapping writes of one item leave no entry, and the next read makes one.
 *
 * GetItem, BatchGetItem (for each key), Query, Scan, all eventually consistent:
 *
 *	cache_key_make(c, &k, CACHE_ITEMS, table_id, table_name, key_bytes);
 *	found = cache_get(c, &k, out);            // CACHE_HIT: the value was appended to out
 *	if (found == CACHE_MISS) {
 *		... read the table; k and key_bytes stay ...
 *		cache_fill(c, &k, CACHE_HIT or CACHE_ABSENT, value);
 *	}
 *
 * PutItem, UpdateItem, DeleteItem, each item of BatchWriteItem and, in the background, of TransactWriteItems:
 *
 *	cache_key_make(c, &k, CACHE_ITEMS, ...);
 *	cache_begin(c, &k);
 *	... write the table ...
 *	accepted:          cache_write(c, &k, order, CACHE_HIT, new item)  or  (..., CACHE_ABSENT, SLICE_NONE) for a
 *delete refused:           nothing (a failed condition, a validation error, throttling: the table is as it was) nobody
 *knows:      cache_drop(c, &k)  (a timeout, a 5xx, a closed connection); also when the new item is unknown
 *
 * Coherent mode calls cache_changed() for every record of the change log: see coherent.h.
 */
#ifndef STATOR_CACHE_CACHE_H
#define STATOR_CACHE_CACHE_H

#include "base/buf.h"

enum cache_kind { CACHE_ITEMS, CACHE_QUERIES };
#define CACHE_KINDS 2

enum cache_found {
	CACHE_MISS,
	CACHE_HIT,
	CACHE_ABSENT, /* known: there is no such item */
};

#define CACHE_TTL_DEFAULT_MS 300000
#define CACHE_BUDGET_DEFAULT (256ULL << 20)
#define CACHE_TABLES_MAX     200 /* told apart in figures; further ones count together as "(other)" */

struct cache;

/* A key with what was found when it was last looked up. Made on the stack or in the request's arena. */
struct cache_key {
	struct slice bytes; /* borrowed from the caller until the last call with this key, as is table_name */
	struct slice table_name;
	/* private */
	uint64_t space; /* table and kind */
	uint64_t hash;
	uint64_t version, epoch;
	uint32_t table; /* its place in the figures */
	bool off;       /* nothing of the table may be kept: cache_cover() */
};

/* budget_bytes bounds keys, values and all bookkeeping. Never NULL. */
struct cache *cache_new(uint64_t budget_bytes);
void cache_free(struct cache *c); /* NULL is fine */

/* Milliseconds; from now on, also for entries that are there. */
void cache_set_ttl(struct cache *c, enum cache_kind kind, int64_t ttl_ms);
int64_t cache_ttl(const struct cache *c, enum cache_kind kind);

/*
 * table_id: unique for ever, so that a table dropped and made again shares nothing with its predecessor; below 2^63.
 * bytes: for an item its canonical primary key, for a page the canonical request (method, conditions, options).
 * Allocates nothing, except when a table is seen for the first time.
 */
void cache_key_make(struct cache *c, struct cache_key *k, enum cache_kind kind, uint64_t table_id,
		    struct slice table_name, struct slice bytes);

/* CACHE_HIT: the value was appended to out (which grows only if it has no room). Counts a hit or a miss. */
enum cache_found cache_get(struct cache *c, struct cache_key *k, struct buf *out);
/* The same, but a miss is not counted and cannot be filled: the caller goes on to cache_get(). */
enum cache_found cache_peek(struct cache *c, struct cache_key *k, struct buf *out);
/* What the table answered after a miss: CACHE_HIT and the value, or CACHE_ABSENT. The bytes are copied. */
void cache_fill(struct cache *c, const struct cache_key *k, enum cache_found what, struct slice value);

/* Before the table is written. */
void cache_begin(struct cache *c, struct cache_key *k);
/*
 * The table has accepted a write, this is the item now. order rises with each write of one item (the engine's place of
 * the write, io->wait_seq; with coherent mode the change record's number); 0: not known.
 */
void cache_write(struct cache *c, const struct cache_key *k, uint64_t order, enum cache_found what, struct slice value);
/* The item may have changed, nobody knows into what. */
void cache_drop(struct cache *c, const struct cache_key *k);

/* Everything, or everything of one table (it was deleted, or records of it were missed), is not found any more. */
void cache_clear(struct cache *c);
void cache_clear_table(struct cache *c, uint64_t table_id);
/* Coherent mode: this item was changed by the write of that order, by whomever; pages of the table end, too. */
void cache_changed(struct cache *c, uint64_t table_id, struct slice key_bytes, uint64_t order);

/*
 * Copies for the other nodes of a cluster. What this cache has kept of its own (not what was copied to it) is told to
 * the watcher, on the thread of the call and under no lock; the other nodes' caches are given it with cache_copy().
 *
 * A copied write takes the place of what is there. Two nodes that wrote one item at the same time would end with each
 * other's value; so where the order is not known, a copy of a write that meets a recent write of this node's own leaves
 * no entry, on both sides. A copied answer of the table never takes the place of anything, nor comes in where an item
 * has just been written: it may be older. CACHE_MISS as what: nobody knows what the item is now.
 */
#define CACHE_COPY_WINDOW_MS 2000 /* longer than a copy is on its way */
struct cache_copied {
	enum cache_kind kind;
	uint64_t table_id;
	struct slice table_name, key;
	enum cache_found what;
	struct slice value;
	bool write;     /* else an answer of the table */
	uint64_t order; /* of a write; see cache_write() */
	int64_t age_ms; /* since it was kept first */
};
typedef void cache_watcher(void *context, const struct cache_copied *copied);
/* NULL: nobody. Set before the cache is used, or while nothing is under way. */
void cache_watch(struct cache *c, cache_watcher *watcher, void *context);
void cache_copy(struct cache *c, const struct cache_copied *copied);

/*
 * Coherent mode: only tables for which covers() says yes are kept; it is asked when a key is made. Set before the cache
 * is used.
 */
typedef bool cache_covers(void *context, uint64_t table_id, struct slice table_name);
void cache_cover(struct cache *c, cache_covers *covers, void *context);

/* How long the answer took, for the figures: from the last byte of the request to the reply being ready to go. */
void cache_timed(struct cache *c, const struct cache_key *k, bool hit, int64_t ns);

struct cache_figures {
	uint64_t hits, misses;
	uint64_t absent_hits;             /* of hits: known not to be there */
	uint64_t fills, writes, rejected; /* rejected: came back too late */
	uint64_t evictions, expired, invalidated;
	uint64_t entries, bytes; /* bytes: of keys, values and their bookkeeping */
};
/* Of all tables. */
struct cache_figures cache_figures(struct cache *c, enum cache_kind kind);
uint64_t cache_budget(const struct cache *c);
/* Prometheus lines stator_dax_cache_*; node: value of the `node` label. */
void cache_write_metrics(struct cache *c, struct slice node, struct buf *out);

#endif
