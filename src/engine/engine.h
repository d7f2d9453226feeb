/*
 * The engine contract: ordered byte keys; a batch that is applied whole or not at all; snapshots; iterators both ways;
 * a durable point. RocksDB keeps it on disk, `memory` for tests; `faulty` wraps either and fails the n-th call.
 *
 * Visible is not durable. engine_apply() makes a batch visible to this process at once and returns its place in the
 * order; engine_durable() says up to which place everything survives a crash. One syncing thread flushes and fsyncs the
 * log for all that wait (group commit): it starts the next sync as soon as the last has ended and something new was
 * applied.
 *
 * When the disk fails: after a failed sync nothing that was not durable is ever acknowledged. The waiters are told
 * (engine_failed_through), the engine reopens itself from what is on the disk, by itself, as soon as the disk works
 * again; meanwhile apply refuses with S_NO_SPACE or S_IO and reads go on: they see what the last good sync left.
 */
#ifndef STATOR_ENGINE_ENGINE_H
#define STATOR_ENGINE_ENGINE_H

#include "base/buf.h"
#include "base/slice.h"
#include "base/status.h"

/* Kinds of data, each with settings of its own (RocksDB: column families). Their numbers are on the disk: append only.
 */
enum engine_space { SPACE_CATALOG, SPACE_ITEMS, SPACE_INDEXES, SPACE_LOG, SPACE_COUNT };

struct engine;
struct engine_batch;
struct engine_snapshot;
struct engine_iter;

#define ENGINE_MAY_BLOCK   0u
#define ENGINE_CACHED_ONLY 1u /* S_WOULD_BLOCK instead of a disk read */
#define ENGINE_SCAN        2u /* a long walk: does not push other data out of the cache */
/*
 * Of iterators: the caller knows that nothing between the bounds was ever dropped (engine_drop,
 * engine_batch_delete_range), so the walk does not look at what was; that costs less, and no error is lost (ENGINE.md,
 * "Dropped ranges"). What was dropped there and never deleted may come back in such a walk. Only with it an iterator
 * may be ENGINE_CACHED_ONLY; without, that is S_WOULD_BLOCK.
 */
#define ENGINE_NEVER_DROPPED 4u

/* ---- opening (each engine's own constructor) ---- */
struct engine_options {
	const char *dir;      /* RocksDB; created when missing; exclusively locked */
	uint64_t cache_bytes; /* block cache */
	uint64_t write_buffer_bytes;
	bool ephemeral;          /* no fsync: durable as soon as applied; for tests */
	uint64_t min_free_bytes; /* apply refuses with S_NO_SPACE below this much free disk */
};
enum status engine_rocksdb_open(const struct engine_options *options, struct engine **ret, struct err *err);
enum status engine_memory_open(struct engine **ret, struct err *err);
/* Tests of waiting, memory engine only: while held, what is applied stays not durable; letting go makes all of it
 * durable and calls the listeners from this thread. */
void engine_memory_hold_sync(struct engine *memory, bool hold);
/* A failed sync and the recovery from it in one: all that is applied and not durable is undone and told as lost.
 * Iterators and snapshots made before may or may not see what was undone. */
void engine_memory_fail_sync(struct engine *memory);
/* Takes ownership of inner. Calls are counted over all kinds that can fail; the n-th (1 = first) fails with `status`;
 * 0: none. */
struct engine *engine_faulty_new(struct engine *inner);
void engine_faulty_arm(struct engine *faulty, uint64_t nth, enum status status);
uint64_t engine_faulty_calls(const struct engine *faulty);
/* Syncs what is applied, stops the syncing thread, closes. */
void engine_close(struct engine *e);

/* ---- writing ---- */
struct engine_batch *engine_batch_new(struct engine *e);
void engine_batch_clear(struct engine_batch *b);
void engine_batch_free(struct engine_batch *b); /* NULL is fine */
void engine_batch_put(struct engine_batch *b, enum engine_space space, struct slice key, struct slice value);
void engine_batch_delete(struct engine_batch *b, enum engine_space space, struct slice key);
void engine_batch_delete_range(struct engine_batch *b, enum engine_space space, struct slice from,
			       struct slice to); /* [from, to) */
/* Nobody waits for this batch to be durable: it may have to wait some ms for a sync that others want. Who asks for its
 * place after all (engine_wait_status, engine_sync_to) gets it as soon as any other. Until the batch is cleared. */
void engine_batch_unhurried(struct engine_batch *b);
/* Any thread. On failure nothing of the batch is visible. The batch may be cleared and used again. S_IO also when
 * writes that were visible when the batch was made or last cleared have been lost since: it may have been decided by
 * them. */
enum status engine_apply(struct engine *e, struct engine_batch *b, uint64_t *ret_seq, struct err *err);

uint64_t engine_applied(struct engine *e); /* the last place given out */
/* Rises; passes a lost place only when reads do not show it any more. */
uint64_t engine_durable(struct engine *e);
/* Places <= this and > engine_durable() at the time of the failure were lost by a failed sync. A waiter for seq gets
 * S_IO when engine_failed_through(e) >= seq and seq was not durable when it last looked. */
uint64_t engine_failed_through(struct engine *e);
/* One answer for a waiter: S_OK durable, S_WOULD_BLOCK not yet, S_IO lost. */
enum status engine_wait_status(struct engine *e, uint64_t seq);
/* How often applied writes were taken back by a reopening. What was read while it had a smaller value may be gone. */
uint64_t engine_reopened(struct engine *e);
/* Called from the syncing thread after each sync, good or failed. At most 64 listeners; added at start, never removed
 * before close. */
void engine_on_sync(struct engine *e, void (*listener)(void *context), void *context);
/* Block the calling thread until seq is durable (control plane, tests). */
enum status engine_sync_to(struct engine *e, uint64_t seq, struct err *err);

/* ---- reading ---- */
/* A value that stays where the engine has it until released. A zeroed one may be released too. */
struct engine_value {
	struct slice data;
	void *pin;
	struct engine *engine;
};
void engine_value_done(struct engine_value *v);
/* S_OK, S_NOT_FOUND, S_WOULD_BLOCK, S_IO, S_CORRUPT. snapshot NULL: the newest. */
enum status engine_get(struct engine *e, const struct engine_snapshot *snapshot, enum engine_space space,
		       struct slice key, unsigned flags, struct engine_value *ret, struct err *err);

struct engine_snapshot *engine_snapshot_new(struct engine *e);
void engine_snapshot_free(struct engine *e, struct engine_snapshot *s);

/* Keys in [from, to); empty `to`: to the end of the space. The bounds are copied. Key and value are valid until the
 * next move. */
struct engine_iter *engine_iter_new(struct engine *e, const struct engine_snapshot *snapshot, enum engine_space space,
				    struct slice from, struct slice to, unsigned flags);
void engine_iter_first(struct engine_iter *it);
void engine_iter_last(struct engine_iter *it);
void engine_iter_seek(struct engine_iter *it, struct slice key);      /* first key >= key */
void engine_iter_seek_back(struct engine_iter *it, struct slice key); /* last key <= key */
void engine_iter_next(struct engine_iter *it);
void engine_iter_prev(struct engine_iter *it);
bool engine_iter_valid(const struct engine_iter *it);
struct slice engine_iter_key(const struct engine_iter *it);
struct slice engine_iter_value(const struct engine_iter *it);
/* Why it is not valid: S_OK at the end, else S_WOULD_BLOCK, S_IO, S_CORRUPT. */
enum status engine_iter_status(const struct engine_iter *it, struct err *err);
void engine_iter_free(struct engine_iter *it);

/* ---- whole ranges ---- */
enum status engine_checkpoint(struct engine *e, const char *dir, struct err *err); /* hard links; dir must not exist */
enum status engine_ingest(struct engine *e, enum engine_space space, const char *const *files, size_t count,
			  struct err *err);
enum status engine_drop(struct engine *e, enum engine_space space, struct slice from, struct slice to,
			struct err *err); /* durable on return */
/* Returns to the disk what dropped ranges still take, when that is so much: for each call one range, or neighbours
 * together, *ret_more: ask again. Writes files, may take seconds. Ranges dropped before the last opening are not known.
 */
enum status engine_reclaim(struct engine *e, uint64_t min_bytes, bool *ret_more, struct err *err);
/* Sorted-file writer for ingestion; keys ascending. */
struct engine_sorted_file;
enum status engine_sorted_file_open(struct engine *e, enum engine_space space, const char *path,
				    struct engine_sorted_file **ret, struct err *err);
enum status engine_sorted_file_put(struct engine_sorted_file *f, struct slice key, struct slice value, struct err *err);
enum status engine_sorted_file_finish(struct engine_sorted_file *f, struct err *err); /* also frees, good or bad */
uint64_t engine_approximate_bytes(struct engine *e, enum engine_space space, struct slice from, struct slice to);

/* Prometheus lines: stator_engine_... (syncs, sync latency, applied, cache use and hits, compaction, free disk,
 * failed). */
void engine_write_metrics(struct engine *e, struct buf *out);

#endif
