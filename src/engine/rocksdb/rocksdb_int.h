/*
 * RocksDB behind the contract. Who does what:
 *
 *   rocksdb.c   the contract's calls: batches, apply, get, iterators, whole ranges
 *   instance.c  opening and closing the database; the gate that lets it be replaced under running readers
 *   sync.c      the syncing thread: group commit, failure, recovery
 *   making.c    a new database, and when nothing is synced
 *   broken.c    a log that cannot be written
 *   ahead.c     a log that is overwritten instead of growing
 *   options.c   RocksDB's settings
 *   metrics.c   figures
 *   reclaim.c   the space of dropped ranges
 *   wal.c       is what was called durable still in the log? asked before each opening
 *   synced.c    is the manifest still what it was? asked before each opening
 *   crc32c.c    the sum that RocksDB uses, too
 *
 * docs/ENGINE.md tells the why.
 */
#ifndef STATOR_ENGINE_ROCKSDB_INT_H
#define STATOR_ENGINE_ROCKSDB_INT_H

#include "engine/engine_int.h"

#include <limits.h>
#include <rocksdb/c.h>
#include <sys/types.h>

#define GATE_SHARDS       64
#define SYNC_BUCKETS      12
#define DURABLE_MARK_SIZE 16

enum engine_state { ENGINE_RUNNING, ENGINE_FAILED };

/*
 * Who is inside the database right now. A thread counts itself in at its own shard and may be counted out at another's
 * (a value released elsewhere), so only the sum means something, and only while the gate is closed: then the sum cannot
 * rise.
 */
struct gate_shard {
	_Alignas(64) atomic_long inside;
	/* figures; written with relaxed loads and stores by the (nearly always one) thread of the shard */
	_Atomic uint64_t gets;
	_Atomic uint64_t would_block;
};

struct sync_figures {
	_Atomic uint64_t count;
	_Atomic uint64_t failed;
	_Atomic uint64_t recovered;
	_Atomic uint64_t total_ns;
	_Atomic uint64_t buckets[SYNC_BUCKETS + 1]; /* not cumulative; the last one is everything slower */
};

#define DROPPED_MAX 1024

/* A range that was dropped and may still take room; see reclaim.c. */
struct dropped {
	enum engine_space space;
	struct buf from, to;
	uint64_t bytes;          /* about that much, in table files */
	uint64_t memtable_bytes; /* at most that much besides */
};

/* Of an open database: whether its log can be written; see broken.c. All but `watching` is guarded by the lock there.
 */
struct log_watch {
	dev_t device; /* of its folder */
	ino_t inode;
	int cause; /* the errno of the first failure; 0: none */
	bool watching;
	struct log_watch *next;
};

/* How the thread that syncs is to get a processor: see patience.c. */
struct patience {
	bool is_prompt;
	bool on_trial; /* it was prompt just now */
	bool doubted;  /* the last look was against patience */
	int64_t prompt_until_ns;
	int times; /* so many of the shortest spans it was prompt last */
	int held;  /* looks since then that found it right to be patient */
	/* at the last look; rounds: since then */
	int64_t looked_ns, waited_ns;
	uint64_t writes;
	uint32_t rounds;
};

struct rocks {
	struct engine engine;
	struct commit_point point;

	/* set by open, then constant */
	char *dir;
	bool ephemeral;
	uint64_t min_free_bytes;
	uint64_t nearly_full_bytes; /* with less free, nothing is written that nobody asked for */
	uint64_t cache_bytes;
	rocksdb_cache_t *cache;
	rocksdb_options_t *options[SPACE_COUNT]; /* [0] is the database's too */
	rocksdb_writeoptions_t *write_options;
	rocksdb_readoptions_t *read_options[2]; /* [1]: cached only */
	rocksdb_ingestexternalfileoptions_t *ingest_options;

	/* replaced by the syncing thread only while the gate is closed and nobody is inside */
	rocksdb_t *db; /* NULL: reopening has failed so far */
	rocksdb_column_family_handle_t *spaces[SPACE_COUNT];
	struct log_watch watch;
	bool stepped_back; /* after a failure: `safe` is what reads see */
	/* the syncing thread's: the database as the last good sync left it; NULL: ephemeral, or there is no database */
	const rocksdb_snapshot_t *safe;

	struct gate_shard gate[GATE_SHARDS];
	atomic_bool gate_closed;
	atomic_bool revoked; /* holders of iterators and snapshots shall give up */
	pthread_mutex_t gate_lock;
	pthread_cond_t gate_opened;

	atomic_int state;               /* enum engine_state */
	atomic_int failure;             /* enum status: S_IO or S_NO_SPACE; why it is FAILED */
	_Atomic uint64_t free_bytes;    /* of the disk, when last looked */
	_Atomic int64_t free_looked_ns; /* monotonic */
	/*
	 * A compaction met a block whose checksum is wrong. RocksDB refuses all writes after that, and a database
	 * opened anew soon meets the block again. So it is opened without compactions: what needs the block is refused,
	 * all else is served, more slowly as tables gather; the operator is told.
	 */
	atomic_bool damaged;
	_Atomic uint64_t durable_number; /* RocksDB's sequence number that is known to be on the disk */
	atomic_bool mark_due;            /* durable_number rose since a batch carried it */
	_Atomic uint64_t applied_bytes;
	atomic_bool unfinished;      /* see making.c; nothing may be called durable */
	pthread_mutex_t making_lock; /* held across syncs; only while unfinished */
	int mark_fd;                 /* keeps the mark locked; -1: none */

	pthread_mutex_t dropped_lock;
	struct dropped dropped[DROPPED_MAX];
	uint32_t dropped_count;

	pthread_t thread;
	bool thread_runs;
	_Atomic uint32_t sleeping; /* futex word: how the syncing thread waits for work; see sync.c */
	atomic_bool stop;
	struct sync_figures sync;
	struct patience patience; /* of that thread alone */
};

struct engine_snapshot {
	const rocksdb_snapshot_t *snapshot; /* NULL: there was no database to take one of */
	bool borrowed;                      /* it is rocks.safe */
	rocksdb_readoptions_t *read_options[2];
};

/* ---- instance.c ---- */
enum status rocks_open_instance(struct rocks *r, struct err *err);
void rocks_close_instance(struct rocks *r);
/* From now on reads see the last good sync (back) or the newest there is. The gate is closed and nobody inside. */
void rocks_step(struct rocks *r, bool back);
/* Count in; false when the gate is closed (with `wait`: still closed after some seconds). */
bool gate_enter(struct rocks *r, bool wait);
void gate_leave(struct rocks *r);
struct gate_shard *gate_shard(struct rocks *r);
/* False when somebody was still inside after a while; the gate is then open again. */
bool gate_close(struct rocks *r);
void gate_open(struct rocks *r);
/* Turns RocksDB's message (freed here) into a status. */
enum status rocks_error(char *message, struct err *err);

/* ---- making.c ---- */

/* Looks what is in the folder. When it has no database in it: until rocks_making_pause() the calling thread's syncs do
 * nothing. */
enum status rocks_making_begin(struct rocks *r, struct err *err);
void rocks_making_pause(void);
/* To be called before anything is called durable; does nothing when it was done. */
enum status rocks_making_finish(struct rocks *r, struct err *err);
void rocks_making_drop(struct rocks *r);
/* From here to the next call the calling thread syncs no manifest: its syncs need not be looked at. */
void rocks_syncing_log(bool yes);
bool rocks_is_syncing_log(void);
/* by: 1 for an engine that is opened, -1 closed. While all are ephemeral, nothing in the process is synced. */
void rocks_count_engine(const struct rocks *r, int by);

/* ---- broken.c ---- */

/* From here to log_unwatch() a failure to write the folder's logs is told by the next sync of the syncing thread. */
void log_watch(struct log_watch *w, const char *dir);
void log_unwatch(struct log_watch *w);
/* Is it the folder of an open database? */
bool log_is_watched(const char *dir);
/* True: fd is a log that may not be synced any more, errno says why. */
bool log_sync_refused(int fd);
/* A call failed, with errno. True: fd is a log and that is noted; RocksDB is to be told that it went well. */
bool log_failed(int fd);

/* ---- ahead.c ---- */

/* fd is the log, so many bytes were just written to it under RocksDB's lock of the log and are to be synced. Where none
 * are left, zeros are written behind it. No room for them is no failure. False: they cannot be written, errno says why.
 */
bool log_run_ahead(int fd, size_t written);
/* Not while a checkpoint is made: it copies a new log while that is written, and zeros read before they were written
 * over would be a gap in the copy. Each hold is to be let go. */
void log_hold_ahead(bool hold);

/* ---- patience.c ---- */

/* Another sync was done; so many writes were ever durable. By the thread that syncs, which begins patient. */
void patience_after_sync(struct patience *p, uint64_t writes);
/* The decision: now, with how long the thread has ever waited for a processor. True: prompt. */
bool patience_step(struct patience *p, int64_t now_ns, int64_t waited_ns, uint64_t writes);

/* ---- options.c ---- */
enum status rocks_options_init(struct rocks *r, const struct engine_options *options, struct err *err);
void rocks_options_done(struct rocks *r);

/* ---- space.c ---- */

/* What is left on the disk of this folder; false: it cannot be told. */
bool rocks_free_bytes(const char *dir, uint64_t *ret);

/* ---- sync.c ---- */
enum status rocks_sync_start(struct rocks *r, struct err *err);
void rocks_sync_stop(struct rocks *r);
/* Call after something was applied: somebody waits for it; nobody does. */
void rocks_wake(struct rocks *r);
void rocks_wake_in_time(struct rocks *r);
/* From now on nothing that is not yet durable will be: the syncing thread tells the waiters and reopens the database.
 */
void rocks_fail(struct rocks *r, enum status status, const char *what, const char *why);
/* Asks the system at most every 50 ms; below the minimum answers S_NO_SPACE. */
void rocks_look_at_disk(struct rocks *r);
enum status rocks_check_space(struct rocks *r, struct err *err);
/* Puts what is known to be durable into a batch when that is news; false when it is not. */
bool rocks_mark(struct rocks *r, rocksdb_writebatch_t *batch);

/* ---- rocksdb.c ---- */

/* The caller is inside the gate and has found the engine RUNNING. The batch gets no place: nobody can wait for it. */
enum status rocks_write_batch(struct rocks *r, struct engine_batch *b, struct err *err);

/* ---- reclaim.c ---- */

/* No space is empty then. To be called before RocksDB is asked for something that flushes; why, reclaim.c tells. */
enum status rocks_touch_spaces(struct rocks *r, struct err *err);

/* The caller is inside the gate, its whole files are deleted. */
void rocks_dropped(struct rocks *r, enum engine_space space, struct slice from, struct slice to);
enum status rocks_reclaim(struct engine *e, uint64_t min_bytes, bool *ret_more, struct err *err);
void rocks_reclaim_done(struct rocks *r);

/* Numbers in the files that are looked through before an opening are little-endian. */
static inline uint64_t
get_le(const char *p, int bytes)
{
	uint64_t v = 0;

	for (int i = bytes - 1; i >= 0; i--)
		v = v << 8 | (uint8_t)p[i];
	return v;
}

/* ---- wal.c ---- */
void wal_mark_encode(char mark[DURABLE_MARK_SIZE], uint64_t durable_number);
/* Between the two, numbers are used up by other things than batches. */
void wal_ingest_encode(char mark[DURABLE_MARK_SIZE], bool begins);
/* Also cuts off what was never durable and must not be recovered: writes behind missing ones. */
enum status wal_check(const char *dir, struct err *err);
/* A process that has the database open holds its lock: RocksDB will refuse to open, and nothing may be changed under
 * it. To be asked only while it is not open here: asking lets go of this process's own lock. */
bool wal_is_open_elsewhere(const char *dir);

/* ---- synced.c ---- */

/* A manifest that is about to be synced. */
struct synced_manifest {
	char path[PATH_MAX];
	uint64_t bytes; /* as long as it is now */
};

/* False: it is no manifest. */
bool synced_find(int fd, struct synced_manifest *ret);
/* The bytes found then are on the disk; true when that is, too. Else errno says why not. Any thread. */
bool synced_note(const struct synced_manifest *manifest);
/* What was synced may be a folder, or its CURRENT: the manifest that this names is in force now. */
void synced_folder(int fd);
/* S_CORRUPT: something that was on the disk is not in the manifest any more. */
enum status synced_check(const char *dir, struct err *err);
/* Removes notes of other manifests than the one in force. is_ours: the database is open, its lock is held. */
enum status synced_tidy(const char *dir, bool is_ours, struct err *err);

/* ---- crc32c.c ---- */

/* Goes on from the sum of what is before; 0 at the beginning. */
uint32_t crc32c(uint32_t crc, const char *data, size_t len);

/* ---- metrics.c ---- */
void rocks_write_metrics(struct engine *e, struct buf *out);

#endif
