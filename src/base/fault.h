/*
 * Named places where a test may make the process fail: return an error, wait, or die on the spot, as a crash between
 * two steps would. Off (one relaxed load and a branch) unless armed; docs/RELIABILITY.md tells how they are used.
 *
 *   STATOR_FAULT=engine-before-sync:kill:100   die at the 100th passage
 *   STATOR_FAULT=engine-before-sync:io         every passage fails
 *   STATOR_FAULT=all:count                     only count the passages
 *
 * The test control `fault` arms them in a running server, and a GET of the test controls lists them with how often they
 * were passed since they were armed.
 */
#ifndef STATOR_BASE_FAULT_H
#define STATOR_BASE_FAULT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* DIES: passing it cannot fail, there is nobody to tell. FAILS: it can be made to report an error of the disk. */
enum fault_way { FAULT_DIES, FAULT_FAILS };

/* What lies between the step before and the step after. The order is the one in which a server meets them. */
#define FAULT_LIST(X)                                                                                                  \
	/* ---- the data directory, src/main ---- */                                                                   \
	X(VERSION_WRITTEN, DIES, "version-written", "VERSION.new is written and synced, not yet renamed")              \
	X(REGION_MADE, DIES, "region-made", "a region's folder is made, no database in it yet")                        \
	/* ---- the engine, src/engine/rocksdb ---- */                                                                 \
	X(ENGINE_OPENING, DIES, "engine-opening", "the log was looked through, the database not opened")               \
	X(ENGINE_OPENED, DIES, "engine-opened", "what the log held is in tables, nobody has read them")                \
	X(ENGINE_MAKING, FAILS, "engine-making", "a new database is there, its files are not synced")                  \
	X(ENGINE_MADE, DIES, "engine-made", "its files are synced, the mark MAKING is still there")                    \
	X(ENGINE_APPLY, FAILS, "engine-apply", "a batch is decided, nothing of it is written")                         \
	X(ENGINE_APPLIED, DIES, "engine-applied",                                                                      \
	  "the batch is in the memtable and the log's buffer, it has no place")                                        \
	X(ENGINE_BEFORE_SYNC, FAILS, "engine-before-sync", "writes wait for the log's sync")                           \
	X(ENGINE_AFTER_SYNC, FAILS, "engine-after-sync", "the log is synced, nobody was told")                         \
	X(ENGINE_DURABLE, DIES, "engine-durable", "the waiters were told, no answer may have gone out yet")            \
	X(ENGINE_MANIFEST_SYNCED, DIES, "engine-manifest-synced",                                                      \
	  "a manifest is synced, it is not noted how much of it")                                                      \
	X(ENGINE_MANIFEST_NOTED, DIES, "engine-manifest-noted",                                                        \
	  "it is noted, RocksDB does not know that it is synced")                                                      \
	X(ENGINE_RANGE_DELETED, DIES, "engine-range-deleted",                                                          \
	  "a dropped range is hidden, durably; its files are there")                                                   \
	X(ENGINE_FILES_DELETED, DIES, "engine-files-deleted", "the files of a dropped range are gone")                 \
	X(ENGINE_RECLAIM_FLUSHED, DIES, "engine-reclaim-flushed", "memtables are tables; the range is not compacted")  \
	X(ENGINE_RECLAIMED, DIES, "engine-reclaimed", "a dropped range is compacted")                                  \
	/* ---- writes of items, src/table ---- */                                                                     \
	X(COMMIT_DECIDED, DIES, "commit-decided", "items, index rows, counts and change records are in the batch")     \
	X(COMMIT_APPLIED, DIES, "commit-applied", "the batch is applied, memory does not know it yet")                 \
	X(COMMIT_UNLOCKED, DIES, "commit-unlocked", "others see the write, it may not be durable")                     \
	X(TOKEN_PUT, DIES, "token-put", "a transaction's token is in the batch with its writes")                       \
	X(TOKEN_REPEATED, DIES, "token-repeated", "a transaction's token was found: it is answered, not done again")   \
	X(TOKENS_FORGOTTEN, DIES, "tokens-forgotten", "tokens of old spans are dropped")                               \
	X(TTL_FOUND, DIES, "ttl-found", "items are due, none is deleted")                                              \
	X(TTL_DELETED, DIES, "ttl-deleted", "some of them are deleted")                                                \
	X(ANSWER, DIES, "answer", "a write is durable, its answer is not written")                                     \
	/* ---- the catalog ---- */                                                                                    \
	X(CATALOG_DECIDED, DIES, "catalog-decided", "a change of the catalog is in a batch")                           \
	X(CATALOG_APPLIED, DIES, "catalog-applied", "it is applied, not durable")                                      \
	X(CATALOG_DURABLE, DIES, "catalog-durable", "it is durable, memory does not know it yet")                      \
	X(TABLE_CREATED, DIES, "table-created", "CreateTable is durable, its later work is not queued")                \
	X(TABLE_UPDATED, DIES, "table-updated", "UpdateTable is durable, its later work is not queued")                \
	X(TABLE_DELETING, DIES, "table-deleting", "DeleteTable is durable, nothing is dropped")                        \
	X(SETTLE_STREAM, DIES, "settle-stream", "a new stream has its shards, the table is not ACTIVE")                \
	X(DROP_ITEMS, DIES, "drop-items", "a deleted table's items are dropped, its index rows are not")               \
	X(DROP_ROWS, DIES, "drop-rows", "its index rows, too; its record is there")                                    \
	X(DROP_FORGOTTEN, DIES, "drop-forgotten", "its record is gone, its change records may be there")               \
	X(INDEX_DROPPED, DIES, "index-dropped", "a deleted index has no rows, the record names it")                    \
	X(TTL_DROPPED, DIES, "ttl-dropped", "TTL's rows are dropped, it is DISABLING")                                 \
	X(BACKFILL_ROW, DIES, "backfill-row", "a row of a new index is put, others of the step are not")               \
	X(BACKFILL_STEP, DIES, "backfill-step", "a step's rows are put, how far it came is not")                       \
	X(BACKFILL_DONE, DIES, "backfill-done", "all rows of a new index are put, it is not ACTIVE")                   \
	X(STREAM_ENDED, DIES, "stream-ended", "a stream's status has changed and its shards, not durably")             \
	X(STREAM_FORGOTTEN, DIES, "stream-forgotten", "an old stream's rows are gone, its change records are not")     \
	X(SHARDS_FORGOTTEN, DIES, "shards-forgotten", "rows of trimmed shards are gone")                               \
	X(SHARD_ROLLED, DIES, "shard-rolled", "shards are closed and their children opened, not durably")              \
	X(SPLIT_DECIDED, DIES, "split-decided", "a split is in a batch, all locks are held")                           \
	X(SPLIT_APPLIED, DIES, "split-applied", "it is applied, memory does not know it yet")                          \
	X(SPLIT_DONE, DIES, "split-done", "writes go to the new partition, the split is not durable")                  \
	X(TRIM_NOTED, DIES, "trim-noted", "how far a log is trimmed is applied, the records are there")                \
	X(TRIM_DROPPED, DIES, "trim-dropped", "the records are dropped")                                               \
	X(LOG_DROPPED, DIES, "log-dropped", "a deleted table's change records are dropped, rows that tell so are not") \
	/* ---- DAX ---- */                                                                                            \
	X(FLEET_DECIDED, DIES, "fleet-decided", "a change of DAX clusters or groups is in a batch")                    \
	X(FLEET_DURABLE, DIES, "fleet-durable", "it is durable, not answered")                                         \
	X(LISTS_WRITTEN, DIES, "lists-written", "all attribute lists are in a new file that has no name yet")          \
	X(LIST_APPENDED, DIES, "list-appended", "an attribute list is in the file, not synced")                        \
	X(LIST_SYNCED, DIES, "list-synced", "it is synced, nobody was told its id")

enum fault_point {
#define X(id, way, name, between) FAULT_##id,
	FAULT_LIST(X)
#undef X
	    FAULT_COUNT
};

extern atomic_bool fault_armed;
bool fault_hit_slow(enum fault_point point);
/*
 * Arm what the specification names and nothing else; NULL or "" disarms. Commas separate several:
 * name:kind or name:kind:n for the n-th passage only (counted from 1, from now); the name `all` means every point.
 * Kinds: kill (SIGKILL to this process), io (fault_hit() says true; only points that can fail), sleep:MS, count
 * (nothing happens). False when it is malformed or names what is not there; the faults are then as they were.
 */
bool fault_setup(const char *specification);

struct fault_told {
	const char *name, *between;
	bool fails;
	uint64_t passed; /* since it was armed; 0 when nothing is armed */
};
struct fault_told fault_tell(enum fault_point point);

/* True when the named place, one that can fail, shall fail now. */
static inline bool
fault_hit(enum fault_point point)
{
	return atomic_load_explicit(&fault_armed, memory_order_relaxed) && fault_hit_slow(point);
}

/* A place that cannot fail. */
static inline void
fault_pass(enum fault_point point)
{
	if (atomic_load_explicit(&fault_armed, memory_order_relaxed))
		fault_hit_slow(point);
}

#endif
