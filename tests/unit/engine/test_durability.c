/*
 * What is acknowledged survives: crashes, damaged files, a disk that fails or is full.
 */
#include "base/fault.h"
#include "engine/engine_int.h"
#include "folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];
static uint64_t min_free_bytes;
static struct engine *e;

static enum status
try_open(struct engine **ret, struct err *err)
{
	struct engine_options options = {dir, 8 << 20, 4 << 20, false, min_free_bytes};

	return engine_rocksdb_open(&options, ret, err);
}

static void
open_engine(void)
{
	struct err err;

	if (try_open(&e, &err) != S_OK)
		fail_msg("%s", err.message);
}

static void
close_engine(void)
{
	engine_close(e);
	e = NULL;
}

static int
setup(void **state)
{
	(void)state;
	min_free_bytes = 1 << 20;
	snprintf(dir, sizeof dir, "%s", "/tmp/stator-engine-XXXXXX");
	assert_non_null(mkdtemp(dir));
	open_engine();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fault_setup(NULL);
	engine_close(e);
	e = NULL;
	umount2(dir, MNT_DETACH); /* left by a test that failed half-way; else it is no mount */
	folder_remove(dir);
	return 0;
}

static enum status
try_put(int number, size_t size, uint64_t *ret_seq, struct err *err)
{
	struct engine_batch *b = engine_batch_new(e);
	char *value = calloc(1, size + 1);
	char key[16];
	enum status s;

	snprintf(key, sizeof key, "%08d", number);
	memset(value, 'a' + number % 26, size);
	engine_batch_put(b, SPACE_ITEMS, slice_str(key), slice_of(value, size));
	s = engine_apply(e, b, ret_seq, err);
	engine_batch_free(b);
	free(value);
	return s;
}

static void
put(int number)
{
	uint64_t seq;
	struct err err;

	if (try_put(number, 100, &seq, &err) != S_OK || engine_sync_to(e, seq, &err) != S_OK)
		fail_msg("%s", err.message);
}

static bool
is_there(int number)
{
	struct engine_value v;
	struct err err;
	char key[16];
	enum status s;

	snprintf(key, sizeof key, "%08d", number);
	s = engine_get(e, NULL, SPACE_ITEMS, slice_str(key), ENGINE_MAY_BLOCK, &v, &err);
	if (s != S_OK && s != S_NOT_FOUND)
		fail_msg("%s", err.message);
	engine_value_done(&v);
	return s == S_OK;
}

/* Tries for a minute. */
static void
wait_until_writable(int number)
{
	uint64_t seq;
	struct err err;

	for (int i = 0; i < 6000; i++) {
		if (try_put(number, 100, &seq, &err) == S_OK && engine_sync_to(e, seq, &err) == S_OK)
			return;
		usleep(10000);
	}
	fail_msg("still not writable: %s", err.message);
}

/* ---- files ---- */

static void
newest_log(char path[128])
{
	struct dirent *entry;
	unsigned long newest = 0;
	DIR *d = opendir(dir);

	while ((entry = readdir(d)) != NULL) {
		char *end;
		unsigned long number = strtoul(entry->d_name, &end, 10);

		if (strcmp(end, ".log") == 0 && number >= newest) {
			newest = number;
			snprintf(path, 128, "%s/%.32s", dir, entry->d_name);
		}
	}
	closedir(d);
	assert_true(newest > 0);
}

/* Finds a record's value in the log. */
static off_t
find_in_log(const char *path, const char *text)
{
	static char bytes[1 << 20];
	FILE *f = fopen(path, "rb");
	size_t len = fread(bytes, 1, sizeof bytes, f);
	char *found = memmem(bytes, len, text, strlen(text));

	fclose(f);
	assert_non_null(found);
	return found - bytes;
}

/* Where the record of a put with this key ends: behind it lie the value's length (a byte), the value, and often a mark.
 */
static off_t
end_in_log(const char *path, const char *key, off_t value_size)
{
	off_t at = find_in_log(path, key) + (off_t)strlen(key) + 1 + value_size;
	int fd = open(path, O_RDONLY);
	char tag = 0;

	assert_int_equal(pread(fd, &tag, 1, at), 1);
	close(fd);
	return tag == 3 ? at + 2 + 16 : at;
}

static void
damage(const char *path, off_t at)
{
	int fd = open(path, O_RDWR);
	char byte;

	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 0x55;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

static void
a_second_open_is_refused(void **state)
{
	struct engine *second;
	struct err err;

	(void)state;
	assert_int_equal(try_open(&second, &err), S_LOCKED);
	assert_non_null(strstr(err.message, "in use"));
	assert_null(second);
}

static void
what_was_waited_for_is_found_again(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		put(i);
	for (int round = 0; round < 3; round++) {
		close_engine();
		open_engine();
		for (int i = 0; i < 100; i++)
			assert_true(is_there(i));
		assert_true(engine_durable(e) == engine_applied(e));
	}
}

static void
a_torn_end_of_the_log_is_no_damage(void **state)
{
	static const char garbage[100000] = {1, 2, 3, 0, 0, 0, 7};
	char path[128];
	FILE *f;

	(void)state;
	for (int i = 0; i < 100; i++)
		put(i);
	close_engine();
	newest_log(path);
	f = fopen(path, "ab");
	fwrite(garbage, sizeof garbage, 1, f);
	fclose(f);
	open_engine();
	for (int i = 0; i < 100; i++)
		assert_true(is_there(i));
	put(100);
	close_engine();
	open_engine();
	assert_true(is_there(100));
}

static void
a_log_cut_anywhere_is_opened_with_what_is_before(void **state)
{
	char path[128];
	off_t at;

	(void)state;
	for (int i = 0; i < 100; i++)
		put(i);
	close_engine();
	newest_log(path);
	at = find_in_log(path, "00000090");
	assert_int_equal(truncate(path, at), 0);
	open_engine(); /* cannot be told from an end that was never written */
	assert_true(is_there(89));
	assert_false(is_there(90));
}

/* Every file of the log. */
static void
copy_file(const char *from, const char *to)
{
	FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
	char room[65536];
	size_t n;

	assert_non_null(in);
	assert_non_null(out);
	while ((n = fread(room, 1, sizeof room, in)) > 0)
		assert_int_equal(fwrite(room, 1, n, out), n);
	fclose(in);
	assert_int_equal(fclose(out), 0);
}

static void
copy_folder(const char *from, const char *to)
{
	struct dirent *entry;
	DIR *d = opendir(from);

	assert_non_null(d);
	while ((entry = readdir(d)) != NULL) {
		char source[384], target[384];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(source, sizeof source, "%s/%s", from, entry->d_name);
		snprintf(target, sizeof target, "%s/%s", to, entry->d_name);
		copy_file(source, target);
	}
	closedir(d);
}

/*
 * A crash with two files of the log that are both needed, as it is while memtables are being written to tables: what
 * was there when the first had 100 rows, and beside it the file that was begun after it. *ret_first is that first one.
 */
static void
leave_two_logs(char ret_first[128])
{
	char before[64], second[128], target[256];

	for (int i = 0; i < 100; i++)
		put(i);
	newest_log(ret_first);
	close_engine();
	snprintf(before, sizeof before, "%s", "/tmp/stator-engine-XXXXXX");
	assert_non_null(mkdtemp(before));
	copy_folder(dir, before);
	open_engine();
	for (int i = 100; i < 200; i++)
		put(i);
	newest_log(second);
	assert_string_not_equal(ret_first, second);
	close_engine();
	snprintf(target, sizeof target, "%s%s", before, strrchr(second, '/'));
	copy_file(second, target);
	assert_int_equal(folder_remove(dir), 0);
	assert_int_equal(rename(before, dir), 0);
}

static void
all_files_of_the_log_are_read(void **state)
{
	char first[128];

	(void)state;
	leave_two_logs(first);
	open_engine();
	for (int i = 0; i < 200; i++)
		assert_true(is_there(i));
}

/* What the loss of power leaves when the end of one file did not reach the disk and the next one did. */
static void
a_log_that_ends_early_before_another_file_is_damage(void **state)
{
	char first[128];
	struct err err;

	(void)state;
	leave_two_logs(first);
	assert_int_equal(truncate(first, end_in_log(first, "00000089", 100)), 0);
	assert_int_equal(try_open(&e, &err), S_CORRUPT);
	assert_non_null(strstr(err.message, "durable and are lost"));
}

static void
damage_in_what_was_durable_is_refused(void **state)
{
	static const char *const places[] = {"00000000", "00000050", "00000099"};
	struct err err;
	char path[128];

	(void)state;
	for (int i = 0; i < 100; i++)
		put(i);
	close_engine();
	newest_log(path);
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		off_t at = find_in_log(path, places[i]);

		damage(path, at);
		assert_int_equal(try_open(&e, &err), S_CORRUPT);
		assert_non_null(strstr(err.message, path));
		damage(path, at); /* back */
	}
	open_engine();
	for (int i = 0; i < 100; i++)
		assert_true(is_there(i));
}

static void
cold_keys_are_not_waited_for(void **state)
{
	struct engine_value v;
	struct engine_iter *it;
	struct err err;

	(void)state;
	put(1);
	close_engine();
	open_engine(); /* the log has become a table, and nothing of it is cached */
	assert_int_equal(engine_get(e, NULL, SPACE_ITEMS, SLICE("00000001"), ENGINE_CACHED_ONLY, &v, &err),
			 S_WOULD_BLOCK);
	it = engine_iter_new(e, NULL, SPACE_ITEMS, SLICE_NONE, SLICE_NONE, ENGINE_CACHED_ONLY);
	engine_iter_first(it);
	assert_false(engine_iter_valid(it));
	assert_int_equal(engine_iter_status(it, &err), S_WOULD_BLOCK);
	engine_iter_free(it);
	assert_true(is_there(1));
	assert_int_equal(engine_get(e, NULL, SPACE_ITEMS, SLICE("00000001"), ENGINE_CACHED_ONLY, &v, &err), S_OK);
	engine_value_done(&v);
}

static void
a_checkpoint_is_an_engine_of_its_own(void **state)
{
	char copy[80], original[64];
	struct err err;

	(void)state;
	for (int i = 0; i < 10; i++)
		put(i);
	snprintf(copy, sizeof copy, "%s/copy", dir);
	assert_int_equal(engine_checkpoint(e, copy, &err), S_OK);
	assert_int_not_equal(engine_checkpoint(e, copy, &err), S_OK); /* must not exist */
	put(10);
	close_engine();
	memcpy(original, dir, sizeof dir);
	snprintf(dir, sizeof dir, "%.40s/copy", original);
	open_engine();
	for (int i = 0; i < 10; i++)
		assert_true(is_there(i));
	assert_false(is_there(10));
	close_engine();
	memcpy(dir, original, sizeof dir);
}

/* ---- killed ---- */

static void
what_was_waited_for_survives_a_kill(void **state)
{
	pid_t child;
	int status;

	(void)state;
	close_engine();
	child = fork();
	if (child == 0) {
		open_engine();
		for (int i = 0; i < 50; i++)
			put(i);
		kill(getpid(), SIGKILL);
	}
	waitpid(child, &status, 0);
	open_engine();
	for (int i = 0; i < 50; i++)
		assert_true(is_there(i));
}

/* ---- nobody waits ---- */

static uint64_t
apply_one(struct engine_batch *b, const char *key)
{
	uint64_t seq;
	struct err err;

	engine_batch_put(b, SPACE_ITEMS, slice_str(key), SLICE("x"));
	if (engine_apply(e, b, &seq, &err) != S_OK)
		fail_msg("%s", err.message);
	return seq;
}

/* It wants no sync, and is durable after a while all the same; who asks for it wants one. */
static void
what_nobody_waits_for_becomes_durable(void **state)
{
	struct engine_batch *b = engine_batch_new(e);
	uint64_t seq;

	(void)state;
	for (int i = 0; i < 3; i++) {
		engine_batch_clear(b);
		engine_batch_unhurried(b);
		seq = apply_one(b, "nobody");
		assert_true(atomic_load(&e->point->wanted) < seq);
		while (engine_durable(e) < seq)
			usleep(200);
	}
	engine_batch_clear(b);
	engine_batch_unhurried(b);
	seq = apply_one(b, "asked for");
	if (engine_wait_status(e, seq) == S_WOULD_BLOCK)
		assert_true(atomic_load(&e->point->wanted) >= seq);
	assert_int_equal(engine_sync_to(e, seq, NULL), S_OK);
	assert_true(atomic_load(&e->point->wanted) >= seq);
	engine_batch_clear(b);
	seq = apply_one(b, "a write like others");
	assert_true(atomic_load(&e->point->wanted) >= seq);
	assert_int_equal(engine_sync_to(e, seq, NULL), S_OK);
	engine_batch_free(b);
}

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

/* ---- a new database ---- */

static bool
has_file(const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

static void
spoil(const char *name)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "w");
	fputs("half a li", f);
	fclose(f);
}

static void
a_new_database_is_whole_before_it_acknowledges(void **state)
{
	(void)state;
	assert_true(has_file("MAKING"));
	put(1);
	assert_false(has_file("MAKING"));
	close_engine();
	open_engine();
	assert_false(has_file("MAKING"));
	assert_true(is_there(1));
}

static void
a_new_database_cut_short_is_made_again(void **state)
{
	(void)state;
	close_engine(); /* as a crash before the first write leaves it: any file may be anything */
	assert_true(has_file("MAKING"));
	spoil("CURRENT");
	spoil("MANIFEST-000005");
	spoil("000004.log");
	spoil("letter.txt");
	open_engine();
	put(1);
	close_engine();
	open_engine();
	assert_true(is_there(1));
	assert_true(has_file("letter.txt"));
}

static void
a_new_database_that_cannot_be_synced_acknowledges_nothing(void **state)
{
	uint64_t seq;
	struct err err;

	(void)state;
	assert_true(fault_setup("engine-making:io:1"));
	assert_int_equal(try_put(1, 100, &seq, &err), S_OK);
	assert_int_not_equal(engine_sync_to(e, seq, &err), S_OK);
	fault_setup(NULL);
	wait_until_writable(2);
	assert_false(has_file("MAKING"));
	close_engine();
	open_engine();
	assert_true(is_there(2));
}

static void
data_without_its_beginning_is_refused_not_overwritten(void **state)
{
	char from[128], to[128];
	struct engine *second;
	struct err err;

	(void)state;
	put(1);
	close_engine();
	snprintf(from, sizeof from, "%s/CURRENT", dir);
	snprintf(to, sizeof to, "%s/aside", dir);
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(try_open(&second, &err), S_CORRUPT);
	assert_non_null(strstr(err.message, "CURRENT"));
	assert_int_equal(rename(to, from), 0);
	open_engine();
	assert_true(is_there(1));
}

/* A sync of no file at all shows whether syncs reach the system. */
static void
syncs_are_left_out_only_while_all_is_ephemeral(void **state)
{
	char other[] = "/tmp/stator-engine-XXXXXX";
	struct engine_options options = {other, 8 << 20, 4 << 20, true, 0};
	struct engine *ephemeral;
	struct err err;

	(void)state;
	assert_int_equal(fsync(-1), -1);
	assert_non_null(mkdtemp(other));
	assert_int_equal(engine_rocksdb_open(&options, &ephemeral, &err), S_OK);
	assert_int_equal(fsync(-1), -1);
	assert_int_equal(fdatasync(-1), -1);
	close_engine();
	assert_int_equal(fsync(-1), 0);
	assert_int_equal(fdatasync(-1), 0);
	open_engine();
	assert_int_equal(fsync(-1), -1);
	close_engine();
	engine_close(ephemeral);
	assert_int_equal(fdatasync(-1), -1);
	folder_remove(other);
}

/* Nobody reads them, and the folder of a server that is often restarted must not fill with them. */
static void
rocksdb_leaves_no_files_for_people(void **state)
{
	struct dirent *entry;
	int logs = 0;
	DIR *d;

	(void)state;
	for (int i = 0; i < 4; i++) {
		put(i);
		close_engine();
		open_engine();
	}
	d = opendir(dir);
	while ((entry = readdir(d)) != NULL) {
		assert_null(strstr(entry->d_name, ".dbtmp"));
		logs += strncmp(entry->d_name, "LOG", 3) == 0;
	}
	closedir(d);
	assert_in_range(logs, 0, 2);
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

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(a_second_open_is_refused),
	    TEST(what_was_waited_for_is_found_again),
	    TEST(what_nobody_waits_for_becomes_durable),
	    TEST(a_torn_end_of_the_log_is_no_damage),
	    TEST(a_log_cut_anywhere_is_opened_with_what_is_before),
	    TEST(all_files_of_the_log_are_read),
	    TEST(a_log_that_ends_early_before_another_file_is_damage),
	    TEST(damage_in_what_was_durable_is_refused),
	    TEST(cold_keys_are_not_waited_for),
	    TEST(a_checkpoint_is_an_engine_of_its_own),
	    TEST(what_was_waited_for_survives_a_kill),
	    TEST(a_failed_sync_acknowledges_nothing_and_the_engine_comes_back),
	    TEST(open_readers_hold_up_the_reopening_until_told_to_stop),
	    TEST(reads_go_on_through_failure_and_reopening),
	    TEST(reads_see_the_last_good_sync_while_the_disk_is_full),
	    TEST(a_disk_below_its_minimum_refuses_writes_and_nothing_else),
	    TEST(a_disk_full_under_the_log_loses_nothing_acknowledged),
	    TEST(a_crowd_of_writers_meets_a_full_disk_again_and_again),
	    TEST(a_new_database_is_whole_before_it_acknowledges),
	    TEST(a_new_database_cut_short_is_made_again),
	    TEST(a_new_database_that_cannot_be_synced_acknowledges_nothing),
	    TEST(data_without_its_beginning_is_refused_not_overwritten),
	    TEST(syncs_are_left_out_only_while_all_is_ephemeral),
	    TEST(rocksdb_leaves_no_files_for_people),
	    TEST(a_limit_on_file_sizes_is_a_full_disk),
	};

	return cmocka_run_group_tests_name("durability", tests, NULL, NULL);
}
