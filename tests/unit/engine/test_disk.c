/* What is acknowledged survives a disk that fails or is full, and reads go on meanwhile. */
#include "on_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* ---- the disk fails ---- */

static atomic_int told;

static void
listener(void *context)
{
	atomic_fetch_add((atomic_int *)context, 1);
}

static void
a_failed_sync_acknowledges_nothing_and_the_engine_comes_back(void **state)
{
	struct engine_batch *stale = engine_batch_new(e);
	struct err err;
	uint64_t seq, ignored;

	(void)state;
	atomic_store(&told, 0);
	engine_on_sync(e, listener, &told);
	put(1);
	for (int i = 0; i < 60000 && atomic_load(&told) == 0; i++)
		usleep(1000); /* waiters are woken before listeners are called */
	assert_true(atomic_load(&told) > 0);
	engine_batch_put(stale, SPACE_ITEMS, SLICE("stale"), SLICE("x"));
	fault_setup("engine-before-sync:io:1");
	assert_int_equal(try_put(2, 100, &seq, &err), S_OK);
	assert_int_equal(engine_sync_to(e, seq, &err), S_IO);
	assert_int_equal(engine_wait_status(e, seq), S_IO);
	assert_true(engine_failed_through(e) >= seq);
	assert_true(is_there(1));
	fault_setup(NULL);
	wait_until_writable(3);
	assert_int_equal(engine_wait_status(e, seq), S_IO); /* told so for ever */
	assert_int_equal(engine_wait_status(e, seq - 1), S_OK);
	assert_int_equal(engine_apply(e, stale, &ignored, &err), S_IO);
	engine_batch_clear(stale);
	engine_batch_put(stale, SPACE_ITEMS, SLICE("fresh"), SLICE("x"));
	assert_int_equal(engine_apply(e, stale, &ignored, &err), S_OK);
	engine_batch_free(stale);
	close_engine();
	open_engine();
	assert_true(is_there(1));
	assert_true(is_there(3));
}

static void
open_readers_hold_up_the_reopening_until_told_to_stop(void **state)
{
	struct engine_iter *it;
	struct engine_snapshot *snapshot;
	struct engine_value v, other;
	struct err err;
	uint64_t seq;

	(void)state;
	for (int i = 0; i < 10; i++)
		put(i);
	it = engine_iter_new(e, NULL, SPACE_ITEMS, SLICE_NONE, SLICE_NONE, 0);
	snapshot = engine_snapshot_new(e);
	engine_iter_first(it);
	assert_int_equal(engine_get(e, NULL, SPACE_ITEMS, SLICE("00000005"), 0, &v, &err), S_OK);
	fault_setup("engine-before-sync:io:1");
	assert_int_equal(try_put(11, 100, &seq, &err), S_OK);
	assert_int_equal(engine_sync_to(e, seq, &err), S_IO);
	while (engine_iter_valid(it)) { /* goes round and round until it is told */
		engine_iter_next(it);
		if (!engine_iter_valid(it) && engine_iter_status(it, &err) == S_OK)
			engine_iter_first(it);
		usleep(1000);
	}
	assert_int_equal(engine_iter_status(it, &err), S_UNAVAILABLE);
	assert_int_equal(engine_get(e, snapshot, SPACE_ITEMS, SLICE("00000005"), 0, &other, &err), S_UNAVAILABLE);
	assert_int_equal(try_put(12, 100, &seq, &err), S_IO);
	assert_int_equal(v.data.len, 100);
	assert_int_equal(v.data.data[99], 'f');
	engine_iter_free(it);
	engine_snapshot_free(e, snapshot);
	engine_value_done(&v);
	wait_until_writable(13);
	assert_true(is_there(5));
}

struct reader {
	atomic_bool stop;
	atomic_int errors;
};

static void *
read_always(void *context)
{
	struct reader *r = context;

	while (!atomic_load(&r->stop)) {
		struct engine_value v;

		if (engine_get(e, NULL, SPACE_ITEMS, SLICE("00000001"), ENGINE_MAY_BLOCK, &v, NULL) != S_OK)
			atomic_fetch_add(&r->errors, 1);
		engine_value_done(&v);
	}
	return NULL;
}

static void
reads_go_on_through_failure_and_reopening(void **state)
{
	struct reader r = {false, 0};
	pthread_t threads[2];

	(void)state;
	put(1);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, read_always, &r);
	for (int i = 0; i < 3; i++) {
		uint64_t seq;

		fault_setup("engine-after-sync:io:1");
		if (try_put(2, 100, &seq, NULL) == S_OK)
			engine_sync_to(e, seq, NULL);
		fault_setup(NULL);
		wait_until_writable(3);
	}
	atomic_store(&r.stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&r.errors), 0);
}

/* ---- the disk is full ---- */

static int acknowledged;

/* Writes until refused; remembers what was acknowledged. */
static enum status
fill(size_t size, struct err *err)
{
	for (int i = 0; i < 10000; i++) {
		uint64_t seq;
		enum status s = try_put(acknowledged, size, &seq, err);

		if (s == S_OK)
			s = engine_sync_to(e, seq, err);
		if (s != S_OK)
			return s;
		acknowledged++;
	}
	return S_OK;
}

static void
expect_all_acknowledged(void)
{
	for (int i = 0; i < acknowledged; i++) {
		if (!is_there(i))
			fail_msg("write %d of %d was acknowledged and is gone", i, acknowledged);
	}
}

/* A small disk of its own; false when this user may not make one. */
static bool
mount_small_disk(const char *options)
{
	close_engine();
	folder_remove(dir);
	mkdir(dir, 0700);
	if (mount("tmpfs", dir, "tmpfs", 0, options) != 0) {
		open_engine();
		return false;
	}
	return true;
}

static void
use_up(const char *name)
{
	char path[128];
	off_t used = 0;
	int fd;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	for (off_t size = 64 << 20; size >= 4096; size /= 2) {
		while (fallocate(fd, 0, used, size) == 0)
			used += size;
	}
	close(fd);
}

static void
free_again(const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	unlink(path);
}

static void
a_disk_below_its_minimum_refuses_writes_and_nothing_else(void **state)
{
	struct err err;

	(void)state;
	min_free_bytes = 24 << 20;
	if (!mount_small_disk("size=64m")) {
		print_message("not allowed to mount: the limit on file sizes stands in (see the next test)\n");
		return;
	}
	open_engine();
	acknowledged = 0;
	assert_int_equal(fill(10000, &err), S_NO_SPACE);
	assert_true(acknowledged > 500);
	assert_int_equal(engine_failed_through(e), 0); /* the log never met the end of the disk */
	expect_all_acknowledged();
	close_engine();
	umount(dir);
}

static void
a_disk_full_under_the_log_loses_nothing_acknowledged(void **state)
{
	uint64_t seq;
	struct err err;

	(void)state;
	min_free_bytes = 0; /* as if another program used up the disk faster than the engine looks */
	if (!mount_small_disk("size=64m"))
		return;
	open_engine();
	acknowledged = 0;
	for (int i = 0; i < 300; i++) {
		assert_int_equal(try_put(i, 10000, &seq, &err), S_OK);
		assert_int_equal(engine_sync_to(e, seq, &err), S_OK);
		acknowledged++;
	}
	use_up("ballast");
	assert_int_equal(fill(10000, &err), S_IO); /* the waiter's answer: lost */
	assert_true(engine_failed_through(e) > 0);
	expect_all_acknowledged();
	assert_int_not_equal(try_put(99999, 10, &seq, &err), S_OK);
	usleep(700000); /* a try to recover finds no space */
	expect_all_acknowledged();
	free_again("ballast");
	wait_until_writable(90000);
	expect_all_acknowledged();
	close_engine();
	open_engine();
	expect_all_acknowledged();
	assert_true(is_there(90000));
	close_engine();
	umount(dir);
}

static size_t
length_of(const struct engine_snapshot *snapshot, const char *key)
{
	struct engine_value v;
	struct err err;
	enum status s = engine_get(e, snapshot, SPACE_ITEMS, slice_str(key), ENGINE_MAY_BLOCK, &v, &err);
	size_t len = v.data.len;

	if (s != S_OK && s != S_NOT_FOUND)
		fail_msg("%s", err.message);
	engine_value_done(&v);
	return s == S_OK ? len : 0;
}

/* While the disk stays full: else whoever reads what was written last would wait, or be told of an error, all the time.
 */
static void
reads_see_the_last_good_sync_while_the_disk_is_full(void **state)
{
	struct engine_snapshot *snapshot;
	struct engine_iter *it;
	uint64_t seq, before;
	struct err err;
	int count = 0;

	(void)state;
	min_free_bytes = 0;
	if (!mount_small_disk("size=32m"))
		return;
	open_engine();
	put(1);
	put(2);
	before = engine_reopened(e);
	use_up("ballast");
	fault_setup("engine-before-sync:io:1");
	assert_int_equal(try_put(1, 50, &seq, &err), S_OK);
	assert_int_equal(engine_sync_to(e, seq, &err), S_IO);
	for (int i = 0; i < 6000 && engine_durable(e) < seq; i++)
		usleep(10000);
	assert_true(engine_durable(e) >= seq); /* nobody waits for what is not shown */
	assert_int_equal(engine_wait_status(e, seq), S_IO);
	assert_true(engine_reopened(e) > before); /* what was remembered of it is void */
	assert_int_equal(length_of(NULL, "00000001"), 100);
	snapshot = engine_snapshot_new(e);
	assert_int_equal(length_of(snapshot, "00000001"), 100);
	it = engine_iter_new(e, snapshot, SPACE_ITEMS, SLICE_NONE, SLICE_NONE, 0);
	for (engine_iter_first(it); engine_iter_valid(it); engine_iter_next(it), count++)
		assert_int_equal(engine_iter_value(it).len, 100);
	assert_int_equal(engine_iter_status(it, &err), S_OK);
	engine_iter_free(it);
	engine_snapshot_free(e, snapshot);
	it = engine_iter_new(e, NULL, SPACE_ITEMS, SLICE_NONE, SLICE_NONE, 0);
	for (engine_iter_last(it); engine_iter_valid(it); engine_iter_prev(it), count++)
		assert_int_equal(engine_iter_value(it).len, 100);
	engine_iter_free(it);
	assert_int_equal(count, 4);
	assert_int_not_equal(try_put(3, 10, &seq, &err), S_OK);
	free_again("ballast");
	wait_until_writable(4);
	assert_int_equal(length_of(NULL, "00000002"), 100);
	assert_int_equal(try_put(1, 70, &seq, &err), S_OK);
	assert_int_equal(length_of(NULL, "00000001"), 70);
	assert_int_equal(engine_sync_to(e, seq, &err), S_OK);
	close_engine();
	open_engine();
	assert_int_equal(length_of(NULL, "00000001"), 70);
	close_engine();
	umount(dir);
}

#define CROWD       8
#define CROWD_RANGE 1000000

struct crowd_writer {
	pthread_t thread;
	atomic_int *stop;
	int number;
	int count;
	int *acknowledged; /* numbers of the keys */
};

static void *
write_without_end(void *context)
{
	struct crowd_writer *w = context;

	for (int i = 0; !atomic_load(w->stop); i++) {
		int key = w->number * CROWD_RANGE + i;
		uint64_t seq;
		struct err err;

		if (try_put(key, 4000, &seq, &err) != S_OK || engine_sync_to(e, seq, &err) != S_OK)
			usleep(1000);
		else if (w->count < CROWD_RANGE)
			w->acknowledged[w->count++] = key;
	}
	return NULL;
}

/* RocksDB 7.8 aborts when it writes on behind a write that failed at the beginning of a log. */
static void
a_crowd_of_writers_meets_a_full_disk_again_and_again(void **state)
{
	struct crowd_writer crowd[CROWD];
	atomic_int stop = 0;

	(void)state;
	min_free_bytes = 0;
	if (!mount_small_disk("size=100m"))
		return;
	open_engine();
	for (int i = 0; i < CROWD; i++) {
		crowd[i] = (struct crowd_writer){.number = i, .stop = &stop};
		crowd[i].acknowledged = malloc(CROWD_RANGE * sizeof(int));
		pthread_create(&crowd[i].thread, NULL, write_without_end, &crowd[i]);
	}
	for (int i = 0; i < 6; i++) {
		struct err err;

		usleep(20000);
		use_up("ballast");
		usleep(100000 + 30000 * (useconds_t)i);
		engine_drop(e, SPACE_ITEMS, SLICE("9"), SLICE("91"), &err); /* whatever comes of it */
		free_again("ballast");
		wait_until_writable(90000000 + i);
	}
	atomic_store(&stop, 1);
	for (int i = 0; i < CROWD; i++) {
		pthread_join(crowd[i].thread, NULL);
		for (int j = 0; j < crowd[i].count; j++)
			if (!is_there(crowd[i].acknowledged[j]))
				fail_msg("%d was acknowledged", crowd[i].acknowledged[j]);
		free(crowd[i].acknowledged);
	}
	close_engine();
	umount(dir);
}

static void
a_limit_on_file_sizes_is_a_full_disk(void **state)
{
	struct rlimit before, limit;
	struct err err;
	enum status s;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	limit = before;
	limit.rlim_cur = 1 << 20;
	acknowledged = 0;
	setrlimit(RLIMIT_FSIZE, &limit);
	s = fill(10000, &err);
	assert_true(s == S_NO_SPACE || s == S_IO);
	expect_all_acknowledged();
	usleep(700000);
	expect_all_acknowledged();
	setrlimit(RLIMIT_FSIZE, &before);
	wait_until_writable(90000);
	expect_all_acknowledged();
	close_engine();
	open_engine();
	expect_all_acknowledged();
}

/* Without any waiting for syncs: so one is always behind the other. */
static void *
write_without_waiting(void *context)
{
	atomic_int *stop = context;

	while (!atomic_load(stop))
		try_put(5, 200, &(uint64_t){0}, &(struct err){0});
	return NULL;
}

/* RocksDB 7.8 aborts when it writes behind a write that failed. The limit stands for a broken disk with room. */
static void
writers_behind_a_failed_write_of_the_log_are_no_mistake(void **state)
{
	struct rlimit before, limit;
	pthread_t threads[3];

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	for (int round = 0; round < 10; round++) {
		atomic_int stop = 0;
		char path[128];
		struct stat info;

		put(round);
		newest_log(path);
		assert_int_equal(stat(path, &info), 0);
		limit = before;
		limit.rlim_cur = (rlim_t)info.st_size + 20000;
		setrlimit(RLIMIT_FSIZE, &limit);
		for (size_t i = 0; i < 3; i++)
			pthread_create(&threads[i], NULL, write_without_waiting, &stop);
		for (int i = 0; i < 60000 && engine_failed_through(e) == 0; i++)
			usleep(1000);
		assert_true(engine_failed_through(e) > 0);
		setrlimit(RLIMIT_FSIZE, &before);
		atomic_store(&stop, 1);
		for (size_t i = 0; i < 3; i++)
			pthread_join(threads[i], NULL);
		wait_until_writable(1000 + round);
		close_engine();
		open_engine(); /* what it has learnt is forgotten, too: the next failure is the first again */
		for (int i = 0; i <= round; i++)
			assert_true(is_there(i) && is_there(1000 + i));
	}
}

static bool
is_compacting(void)
{
	struct buf out = {0};
	bool idle;

	engine_write_metrics(e, &out);
	buf_put_byte(&out, 0);
	idle = strstr(out.data, "compactions_running 0\n") != NULL;
	buf_done(&out);
	return !idle;
}

/* Opened four times with something in the log: then four tables are to become one, or none. */
static void
open_with_tables_that_vanish(void)
{
	struct engine_options options = {dir, 8 << 20, 64 << 20, false, 1 << 20};
	struct err err;
	uint64_t seq;

	for (int round = 0; round < 4; round++) {
		close_engine();
		assert_int_equal(engine_rocksdb_open(&options, &e, &err), S_OK);
		for (int i = 0; round < 3 && i < 15; i++)
			assert_int_equal(try_put(i, 1 << 20, &seq, &err), S_OK);
		if (round == 2)
			assert_int_equal(engine_drop(e, SPACE_ITEMS, SLICE("0"), SLICE("1"), &err), S_OK);
	}
}

/* RocksDB 7.8 asks for the first key of a table that it could not write, and its assert ends the process. */
static void
a_compaction_that_leaves_nothing_may_fail(void **state)
{
	struct rlimit before, limit;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	limit = before;
	limit.rlim_cur = 1;
	put(100000000);
	open_with_tables_that_vanish();
	setrlimit(RLIMIT_FSIZE, &limit);
	for (int i = 0; i < 60000 && is_compacting(); i++)
		usleep(1000);
	setrlimit(RLIMIT_FSIZE, &before);
	wait_until_writable(100000001);
	assert_true(is_there(100000000));
	assert_false(is_there(0));
}

/* RocksDB's own recovery from a full disk, for which closing it would wait, never begins. */
static void
rocksdb_is_told_that_its_folder_has_no_room(void **state)
{
	struct statvfs of_folder, of_file, of_other;
	char path[128];

	(void)state;
	put(1);
	newest_log(path);
	assert_int_equal(statvfs(dir, &of_folder), 0);
	assert_int_equal(statvfs(path, &of_file), 0);
	assert_int_equal(statvfs("/tmp", &of_other), 0);
	assert_int_equal(of_folder.f_bavail, 0);
	assert_int_equal(of_folder.f_bfree, 0);
	assert_true(of_file.f_bavail > 0);
	assert_true(of_other.f_bavail > 0);
	close_engine();
	assert_int_equal(statvfs(dir, &of_folder), 0);
	assert_true(of_folder.f_bavail > 0);
	open_engine();
	assert_true(is_there(1));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(a_failed_sync_acknowledges_nothing_and_the_engine_comes_back),
	    TEST(open_readers_hold_up_the_reopening_until_told_to_stop),
	    TEST(reads_go_on_through_failure_and_reopening),
	    TEST(reads_see_the_last_good_sync_while_the_disk_is_full),
	    TEST(a_disk_below_its_minimum_refuses_writes_and_nothing_else),
	    TEST(a_disk_full_under_the_log_loses_nothing_acknowledged),
	    TEST(a_crowd_of_writers_meets_a_full_disk_again_and_again),
	    TEST(writers_behind_a_failed_write_of_the_log_are_no_mistake),
	    TEST(a_compaction_that_leaves_nothing_may_fail),
	    TEST(rocksdb_is_told_that_its_folder_has_no_room),
	    TEST(a_limit_on_file_sizes_is_a_full_disk),
	};

	return cmocka_run_group_tests_name("durability", tests, NULL, NULL);
}
