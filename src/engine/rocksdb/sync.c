/*
 * The syncing thread.
 *
 * What somebody waits for is synced as soon as the last round is over. What nobody does (engine_batch_unhurried) is
 * synced with it, or after NAP_NS.
 *
 * One round: note the last place applied, write out and fsync the log, call everything up to that place durable. While
 * the disk works, writers go on and gather for the next round (FlushWAL holds the log's lock only while it copies its
 * buffer to the kernel, not during the fsync).
 *
 * A failed round, or a failed write anywhere, ends the database's life: of the log behind the last good sync nothing
 * can be trusted (the kernel may have dropped the dirty pages and say nothing the next time). So the engine refuses
 * writes, tells the waiters, and when the disk can be written again it closes the database and opens it from what is on
 * the disk. Until then, which on a full disk may be long, reads see the last good sync: a snapshot is taken at the
 * beginning of each round and kept when the round has made it durable. Opening rewrites all that the log still holds as
 * tables and fsyncs them, so nothing rests on pages that only look written.
 */
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/thread.h"
#include "engine/rocksdb/rocksdb_int.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define IDLE_NS      ((int64_t)1000 * 1000000)
#define NAP_NS       ((int64_t)10 * 1000000)
#define RETRY_NS     ((int64_t)500 * 1000000)
#define PATIENCE_NS  ((int64_t)3000 * 1000000) /* then holders of iterators and snapshots are told to give up */
#define DISK_LOOK_NS ((int64_t)50 * 1000000)
#define PROBE_BYTES  65536

/* ---- sleeping and waking ---- */

/* The states of `sleeping`. ASLEEP: nothing is applied that is not durable, whoever applies wakes the thread. NAPPING:
 * there is something, but nobody waits for it. */
enum { AWAKE, ASLEEP, NAPPING };

/* Returns at once when `sleeping` is no longer `how`. True: the time has passed. */
static bool
sleep_until_woken(struct rocks *r, uint32_t how, int64_t at_most_ns)
{
	struct timespec timeout = {at_most_ns / 1000000000, at_most_ns % 1000000000};
	bool late =
	    syscall(SYS_futex, &r->sleeping, FUTEX_WAIT_PRIVATE, how, &timeout, NULL, 0) != 0 && errno == ETIMEDOUT;

	atomic_store(&r->sleeping, AWAKE);
	return late;
}

void
rocks_wake(struct rocks *r)
{
	/* a plain load in the common case: the thread is busy and will look at `applied` again before it sleeps */
	if (atomic_load(&r->sleeping) == AWAKE || atomic_exchange(&r->sleeping, AWAKE) == AWAKE)
		return;
	syscall(SYS_futex, &r->sleeping, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void
rocks_wake_in_time(struct rocks *r)
{
	if (atomic_load(&r->sleeping) == ASLEEP)
		rocks_wake(r);
}

/* ---- the disk's free space ---- */

static void
measure_disk(struct rocks *r)
{
	uint64_t left;

	if (rocks_free_bytes(r->dir, &left))
		atomic_store_explicit(&r->free_bytes, left, memory_order_relaxed);
}

void
rocks_look_at_disk(struct rocks *r)
{
	int64_t now = clock_mono_ns();
	int64_t last = atomic_load_explicit(&r->free_looked_ns, memory_order_relaxed);

	if (now - last >= DISK_LOOK_NS && atomic_compare_exchange_strong(&r->free_looked_ns, &last, now))
		measure_disk(r);
}

enum status
rocks_check_space(struct rocks *r, struct err *err)
{
	uint64_t left = atomic_load_explicit(&r->free_bytes, memory_order_relaxed);

	if (left < r->min_free_bytes || r->ephemeral) { /* ephemeral: no syncing thread looks while writes go on */
		rocks_look_at_disk(r);
		left = atomic_load_explicit(&r->free_bytes, memory_order_relaxed);
	}
	if (left >= r->min_free_bytes)
		return S_OK;
	return err_set(err, S_NO_SPACE,
		       "the disk of %s has %" PRIu64 " MiB left, less than the %" PRIu64 " MiB that must stay free",
		       r->dir, left >> 20, r->min_free_bytes >> 20);
}

/* ---- marks ---- */

bool
rocks_mark(struct rocks *r, rocksdb_writebatch_t *batch)
{
	char mark[DURABLE_MARK_SIZE];

	if (!atomic_load_explicit(&r->mark_due, memory_order_relaxed) || !atomic_exchange(&r->mark_due, false))
		return false;
	wal_mark_encode(mark, atomic_load(&r->durable_number));
	rocksdb_writebatch_put_log_data(batch, mark, sizeof mark);
	return true;
}

/* The last mark of an orderly end, so that all of the log is checked at the next start. */
static void
write_last_mark(struct rocks *r)
{
	rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
	char *message = NULL;

	if (rocks_mark(r, batch)) {
		rocksdb_write(r->db, r->write_options, batch, &message);
		if (message == NULL)
			rocksdb_flush_wal(r->db, 1, &message);
	}
	rocksdb_free(message); /* nothing depends on it */
	rocksdb_writebatch_destroy(batch);
}

/* ---- failing ---- */

void
rocks_fail(struct rocks *r, enum status status, const char *what, const char *why)
{
	int running = ENGINE_RUNNING;

	atomic_store(&r->failure, status == S_NO_SPACE ? S_NO_SPACE : S_IO);
	if (!atomic_compare_exchange_strong(&r->state, &running, ENGINE_FAILED))
		return;
	measure_disk(r);
	atomic_fetch_add(&r->sync.failed, 1);
	log_error("engine", "%s failed: %s. Writes are refused until the disk works again; reads go on", what, why);
	if (status == S_CORRUPT && !atomic_exchange(&r->damaged, true))
		log_error("engine",
			  "%s holds damaged data: from now on nothing is compacted, what lies in the damaged place is "
			  "refused, all else is served. Restore a backup",
			  r->dir);
	rocks_wake(r);
}

/* ---- one sync ---- */

static void
count_sync(struct sync_figures *figures, uint64_t ns)
{
	int bucket = 0;

	for (uint64_t limit = 50000; bucket < SYNC_BUCKETS && ns > limit; limit *= 2)
		bucket++;
	atomic_fetch_add_explicit(&figures->buckets[bucket], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&figures->total_ns, ns, memory_order_relaxed);
	atomic_fetch_add_explicit(&figures->count, 1, memory_order_relaxed);
}

static enum status
flush_and_sync(struct rocks *r, struct err *err)
{
	int64_t start = clock_mono_ns();
	char *message = NULL;

	if (rocks_making_finish(r, err) != S_OK)
		return S_IO;
	if (fault_hit(FAULT_ENGINE_BEFORE_SYNC))
		return err_set(err, S_IO, "fault injected before the sync");
	rocks_syncing_log(true);
	rocksdb_flush_wal(r->db, 1, &message);
	rocks_syncing_log(false);
	if (message != NULL)
		return rocks_error(message, err);
	if (fault_hit(FAULT_ENGINE_AFTER_SYNC))
		return err_set(err, S_IO, "fault injected after the sync");
	count_sync(&r->sync, (uint64_t)(clock_mono_ns() - start));
	return S_OK;
}

static void
sync_round(struct rocks *r)
{
	/* Everything up to target is in the log's buffer: a place is given out after the write. The number and the
	 * snapshot are taken before the flush for the same reason; the snapshot after the target, so that it shows it.
	 */
	uint64_t target = atomic_load(&r->point.applied);
	const rocksdb_snapshot_t *shown = rocksdb_create_snapshot(r->db);
	uint64_t number = rocksdb_get_latest_sequence_number(r->db);
	struct err err;
	enum status s = flush_and_sync(r, &err);

	if (s != S_OK)
		rocks_fail(r, s, "writing the log", err.message);
	/* a write that failed meanwhile may have taken a part of the log's buffer with it */
	if (s != S_OK || atomic_load(&r->state) != ENGINE_RUNNING) {
		rocksdb_release_snapshot(r->db, shown);
		return;
	}
	rocksdb_release_snapshot(r->db, r->safe);
	r->safe = shown;
	atomic_store(&r->durable_number, number);
	atomic_store(&r->mark_due, true);
	commit_durable(&r->point, target);
	fault_pass(FAULT_ENGINE_DURABLE);
	rocks_look_at_disk(r);
}

/* ---- recovery ---- */

/* Opening rewrites the log's content as tables: as much as the memtables hold now, beside the log. */
static uint64_t
bytes_to_reopen(struct rocks *r)
{
	uint64_t sum = PROBE_BYTES, bytes;

	for (int i = 0; r->db != NULL && i < SPACE_COUNT; i++) {
		if (rocksdb_property_int_cf(r->db, r->spaces[i], "rocksdb.cur-size-all-mem-tables", &bytes) == 0)
			sum += bytes;
	}
	return sum;
}

/*
 * Can a file be written and fsynced, and is there room for what opening will write? Asked by taking the room, which
 * quotas and limits see too: once the old database is closed there is nothing to read from until a new one could be
 * opened.
 */
static bool
disk_works(struct rocks *r)
{
	uint64_t need = bytes_to_reopen(r);
	static const char zeros[PROBE_BYTES];
	char path[PATH_MAX];
	bool works;
	int fd;

	measure_disk(r);
	if (atomic_load(&r->free_bytes) < r->min_free_bytes + need)
		return false;
	if (snprintf(path, sizeof path, "%s/probe", r->dir) >= (int)sizeof path)
		return true;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	works = (fallocate(fd, 0, 0, (off_t)need) == 0 || errno == EOPNOTSUPP) &&
		write(fd, zeros, sizeof zeros) == (ssize_t)sizeof zeros && fsync(fd) == 0;
	works = close(fd) == 0 && works;
	unlink(path);
	return works;
}

static void
reopen(struct rocks *r)
{
	bool first = r->db != NULL;
	struct err err;

	commit_failed(&r->point); /* places given out since the failure: nobody is inside any more, so now it is all */
	rocks_close_instance(r);
	if (rocks_open_instance(r, &err) != S_OK) {
		if (first)
			log_error("engine", "reopening %s failed, trying again and again: %s", r->dir, err.message);
		return; /* the gate stays closed: there is nothing to read from */
	}
	atomic_store(&r->durable_number, rocksdb_get_latest_sequence_number(r->db));
	atomic_fetch_add(&r->sync.recovered, 1);
	commit_recovered(&r->point); /* before the gate opens: who reads again may rely on what it finds */
	atomic_store(&r->revoked, false);
	atomic_store(&r->state, ENGINE_RUNNING);
	gate_open(r);
	log_warn("engine", "reopened %s; writes are accepted again", r->dir);
}

/* Reads see no longer what was lost, so they need not wait for it: for them it is as if it were reopened. */
static void
step_back(struct rocks *r)
{
	commit_failed(&r->point);
	rocks_step(r, true);
	commit_recovered(&r->point);
	atomic_store(&r->revoked, false);
	gate_open(r);
}

static void
try_to_recover(struct rocks *r, int64_t failed_since)
{
	bool works = disk_works(r);

	if (!works && (r->safe == NULL || r->stepped_back))
		return;
	if (r->db == NULL || gate_close(r)) {
		if (works)
			reopen(r);
		else
			step_back(r);
	} else if (clock_mono_ns() - failed_since > PATIENCE_NS && !atomic_exchange(&r->revoked, true)) {
		log_warn("engine", "long reads hold up the reopening of %s; they are told to stop", r->dir);
	}
}

/* Waiters are told at once; then tries twice a second. */
static void
failed(struct rocks *r)
{
	int64_t since = clock_mono_ns();

	while (!atomic_load(&r->stop) && atomic_load(&r->state) == ENGINE_FAILED) {
		uint64_t told = atomic_load(&r->point.failed_through), durable = atomic_load(&r->point.durable);

		if (atomic_load(&r->point.applied) > (told > durable ? told : durable))
			commit_failed(&r->point);
		try_to_recover(r, since);
		if (atomic_load(&r->state) == ENGINE_FAILED) {
			atomic_store(&r->sleeping, ASLEEP);
			if (!atomic_load(&r->stop))
				sleep_until_woken(r, ASLEEP, RETRY_NS);
		}
	}
}

/* ---- the thread ---- */

static bool
is_behind(struct rocks *r)
{
	return atomic_load(&r->point.applied) != atomic_load(&r->point.durable);
}

static bool
is_wanted(struct rocks *r)
{
	return atomic_load(&r->stop) || atomic_load(&r->state) != ENGINE_RUNNING ||
	       atomic_load(&r->point.wanted) > atomic_load(&r->point.durable);
}

/* Until somebody waits for a sync, or what nobody waits for has waited long enough: then true. */
static bool
rest(struct rocks *r)
{
	uint32_t how = is_behind(r) ? NAPPING : ASLEEP;

	/* said before looked again: whoever applies after this look sees it and wakes us */
	atomic_store(&r->sleeping, how);
	if (!is_wanted(r) && (how == NAPPING || !is_behind(r)))
		return sleep_until_woken(r, how, how == NAPPING ? NAP_NS : IDLE_NS) && how == NAPPING;
	atomic_store(&r->sleeping, AWAKE);
	return false;
}

static void *
sync_main(void *context)
{
	struct rocks *r = context;
	bool late = false;

	thread_be_patient(); /* one sync for all that the loops have in hand */
	while (!atomic_load(&r->stop)) {
		if (atomic_load(&r->state) == ENGINE_FAILED) {
			failed(r);
		} else if (!r->ephemeral &&
			   (late || is_wanted(r))) { /* it may seem to be behind between two steps of a writer */
			sync_round(r);
			patience_after_sync(&r->patience, atomic_load(&r->durable_number));
			late = false;
		} else {
			late = rest(r);
		}
	}
	return NULL;
}

enum status
rocks_sync_start(struct rocks *r, struct err *err)
{
	sigset_t all, before;
	int failure;

	measure_disk(r);
	sigfillset(&all); /* signals are for the main thread */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failure = pthread_create(&r->thread, NULL, sync_main, r);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failure != 0)
		return err_set(err, S_INTERNAL, "no thread for syncing the log: %s", strerror(failure));
	pthread_setname_np(r->thread, "log-sync");
	r->thread_runs = true;
	return S_OK;
}

void
rocks_sync_stop(struct rocks *r)
{
	if (!r->thread_runs)
		return;
	atomic_store(&r->stop, true);
	rocks_wake(r);
	pthread_join(r->thread, NULL);
	r->thread_runs = false;
	if (r->ephemeral || r->db == NULL)
		return;
	if (atomic_load(&r->state) == ENGINE_RUNNING && atomic_load(&r->point.applied) > atomic_load(&r->point.durable))
		sync_round(r);
	if (atomic_load(&r->state) == ENGINE_RUNNING)
		write_last_mark(r);
	else
		commit_failed(&r->point);
}
