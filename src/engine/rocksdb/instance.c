#include "base/clock.h"
#include "base/fault.h"
#include "engine/rocksdb/rocksdb_int.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <time.h>
#include <unistd.h>

#define DRAIN_NS     ((int64_t)200 * 1000000)  /* how long readers are held up for one attempt to reopen */
#define GATE_WAIT_NS ((int64_t)5000 * 1000000) /* how long a reader waits for the end of a reopening */

static const char *const space_names[SPACE_COUNT] = {"default", "items", "indexes", "log"};

/* ---- the gate ---- */

struct gate_shard *
gate_shard(struct rocks *r)
{
	static atomic_uint threads;
	static _Thread_local unsigned mine;

	if (mine == 0)
		mine = atomic_fetch_add(&threads, 1) % GATE_SHARDS + 1;
	return &r->gate[mine - 1];
}

static bool
gate_wait(struct rocks *r)
{
	int64_t until = clock_mono_ns() + GATE_WAIT_NS;
	struct timespec deadline = {until / 1000000000, until % 1000000000};
	int failed = 0;

	pthread_mutex_lock(&r->gate_lock);
	while (atomic_load(&r->gate_closed) && failed != ETIMEDOUT)
		failed = pthread_cond_timedwait(&r->gate_opened, &r->gate_lock, &deadline);
	pthread_mutex_unlock(&r->gate_lock);
	return failed != ETIMEDOUT;
}

bool
gate_enter(struct rocks *r, bool wait)
{
	struct gate_shard *shard = gate_shard(r);

	for (;;) {
		/* in this order, both sequentially consistent: either whoever closes the gate sees us inside, or we see
		 * it closed */
		atomic_fetch_add(&shard->inside, 1);
		if (!atomic_load(&r->gate_closed))
			return true;
		atomic_fetch_sub(&shard->inside, 1);
		if (!wait || !gate_wait(r))
			return false;
	}
}

void
gate_leave(struct rocks *r)
{
	atomic_fetch_sub(&gate_shard(r)->inside, 1);
}

static bool
nobody_inside(struct rocks *r)
{
	long sum = 0;

	/* The gate is closed: counts only fall (but for those who look in and leave at the same shard), so a sum read
	 * shard by shard is never less than the truth at its end. */
	for (int i = 0; i < GATE_SHARDS; i++)
		sum += atomic_load(&r->gate[i].inside);
	return sum == 0;
}

bool
gate_close(struct rocks *r)
{
	int64_t until = clock_mono_ns() + DRAIN_NS;
	const struct timespec pause = {0, 1000000};

	atomic_store(&r->gate_closed, true);
	while (!nobody_inside(r)) {
		if (clock_mono_ns() > until) {
			gate_open(r);
			return false;
		}
		nanosleep(&pause, NULL);
	}
	return true;
}

void
gate_open(struct rocks *r)
{
	pthread_mutex_lock(&r->gate_lock);
	atomic_store(&r->gate_closed, false);
	pthread_cond_broadcast(&r->gate_opened);
	pthread_mutex_unlock(&r->gate_lock);
}

/* ---- RocksDB's messages ---- */

enum status
rocks_error(char *message, struct err *err)
{
	/* the first that fits; the beginnings are those of rocksdb::Status::ToString() */
	static const struct {
		const char *start, *inside;
		enum status status;
	} rows[] = {
	    {"Result incomplete", "", S_WOULD_BLOCK},
	    {"NotFound", "", S_NOT_FOUND},
	    {"Corruption", "", S_CORRUPT},
	    {"IO error", "No space left", S_NO_SPACE},
	    {"IO error", "File too large", S_NO_SPACE}, /* a limit on file sizes */
	    {"IO error", "Disk quota exceeded", S_NO_SPACE},
	    {"IO error", "lock", S_LOCKED}, /* only seen when opening */
	    {"IO error", "", S_IO},
	    {"Invalid argument", "", S_INTERNAL},
	    {"", "", S_IO},
	};
	enum status s = S_IO;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (strncmp(message, rows[i].start, strlen(rows[i].start)) == 0 &&
		    strstr(message, rows[i].inside) != NULL) {
			s = rows[i].status;
			break;
		}
	}
	err_set(err, s, "%s", message);
	rocksdb_free(message);
	return s;
}

/* ---- opening and closing ---- */

/* What RocksDB 7 leaves of each OPTIONS file it could not write; see options.c. */
static void
remove_unfinished_options(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	if (d == NULL)
		return;
	while ((entry = readdir(d)) != NULL)
		if (fnmatch("OPTIONS-*.dbtmp", entry->d_name, 0) == 0)
			unlinkat(dirfd(d), entry->d_name, 0);
	closedir(d);
}

void
rocks_step(struct rocks *r, bool back)
{
	for (int i = 0; i < 2; i++)
		rocksdb_readoptions_set_snapshot(r->read_options[i], back ? r->safe : NULL);
	r->stepped_back = back;
}

enum status
rocks_open_instance(struct rocks *r, struct err *err)
{
	char *message = NULL;
	struct err why;
	enum status s;

	assert(r->db == NULL);
	for (int i = 0; i < SPACE_COUNT; i++)
		rocksdb_options_set_disable_auto_compactions(r->options[i], atomic_load(&r->damaged));
	s = rocks_making_begin(r, err);
	if (s == S_OK)
		s = synced_check(r->dir, err);
	if (s == S_OK)
		s = synced_tidy(r->dir, false, err);
	if (s == S_OK)
		s = wal_check(r->dir, err);
	if (s != S_OK) {
		rocks_making_pause();
		return s;
	}
	fault_pass(FAULT_ENGINE_OPENING);
	log_watch(&r->watch, r->dir);
	r->db = rocksdb_open_column_families(r->options[0], r->dir, SPACE_COUNT, space_names,
					     (const rocksdb_options_t *const *)r->options, r->spaces, &message);
	rocks_making_pause();
	remove_unfinished_options(r->dir);
	fault_pass(FAULT_ENGINE_OPENED);
	if (message == NULL) {
		synced_tidy(r->dir, true, NULL); /* what cannot be removed now must be before the next opening */
		if (!r->ephemeral) /* what was opened is on the disk: opening wrote the log's content anew */
			r->safe = rocksdb_create_snapshot(r->db);
		return S_OK;
	}
	r->db = NULL;
	log_unwatch(&r->watch);
	s = rocks_error(message, &why);
	if (s == S_LOCKED)
		return err_set(err, s,
			       "%s is in use by another process (or another engine of this one): one data directory "
			       "serves one server",
			       r->dir);
	return err_set(err, s, "the database in %s cannot be opened: %s", r->dir, why.message);
}

void
rocks_close_instance(struct rocks *r)
{
	if (r->db == NULL)
		return;
	rocks_step(r, false);
	if (r->safe != NULL)
		rocksdb_release_snapshot(r->db, r->safe);
	r->safe = NULL;
	for (int i = 0; i < SPACE_COUNT; i++)
		rocksdb_column_family_handle_destroy(r->spaces[i]);
	rocksdb_close(r->db);
	log_unwatch(&r->watch); /* not before: closing writes what is left of the log */
	r->db = NULL;
}
