/* What is acknowledged survives crashes and damaged files, and a new database is whole or made again. */
#include "engine/engine_int.h"
#include "on_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

/* ---- files ---- */

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
	it = engine_iter_new(e, NULL, SPACE_ITEMS, SLICE_NONE, SLICE_NONE, ENGINE_CACHED_ONLY | ENGINE_NEVER_DROPPED);
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
	    TEST(a_new_database_is_whole_before_it_acknowledges),
	    TEST(a_new_database_cut_short_is_made_again),
	    TEST(a_new_database_that_cannot_be_synced_acknowledges_nothing),
	    TEST(data_without_its_beginning_is_refused_not_overwritten),
	    TEST(syncs_are_left_out_only_while_all_is_ephemeral),
	    TEST(rocksdb_leaves_no_files_for_people),
	};

	return cmocka_run_group_tests_name("durability", tests, NULL, NULL);
}
