/*
 * Reads that may not block, of tables that are not open: no more than a few are after an opening when descriptors are
 * scarce.
 */
#include "engine/engine.h"
#include "folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sys/resource.h>

#define TABLES      60
#define DESCRIPTORS 280 /* the engine keeps a quarter of that, and opens a quarter of those when it begins */

static char dir[64];
static struct engine *e;
static struct rlimit before;

static void
open_engine(void)
{
	struct engine_options options = {dir, 8 << 20, 1 << 20, false, 1 << 20};
	struct err err;

	if (engine_rocksdb_open(&options, &e, &err) != S_OK)
		fail_msg("%s", err.message);
}

static int
setup(void **state)
{
	struct rlimit few;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = DESCRIPTORS;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	snprintf(dir, sizeof dir, "%s", "/tmp/stator-cached-XXXXXX");
	assert_non_null(mkdtemp(dir));
	open_engine();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	engine_close(e);
	folder_remove(dir);
	return setrlimit(RLIMIT_NOFILE, &before);
}

static void
key_of(char key[16], int i)
{
	snprintf(key, 16, "key%03d", i);
}

/* One table for each key. */
static void
ingest(int i)
{
	struct engine_sorted_file *file;
	char path[96], key[16];
	struct err err;

	key_of(key, i);
	snprintf(path, sizeof path, "%s/in.sst", dir);
	assert_int_equal(engine_sorted_file_open(e, SPACE_ITEMS, path, &file, &err), S_OK);
	assert_int_equal(engine_sorted_file_put(file, slice_str(key), slice_str(key), &err), S_OK);
	assert_int_equal(engine_sorted_file_finish(file, &err), S_OK);
	if (engine_ingest(e, SPACE_ITEMS, (const char *const[]){path}, 1, &err) != S_OK)
		fail_msg("%s", err.message);
}

static void
expect(int i, const struct engine_snapshot *snapshot, unsigned flags)
{
	struct engine_value value = {0};
	struct err err;
	char key[16];
	enum status s;

	key_of(key, i);
	s = engine_get(e, snapshot, SPACE_ITEMS, slice_str(key), flags, &value, &err);
	if (s == S_OK)
		assert_true(slice_eq(value.data, slice_str(key)));
	else
		assert_true(flags == ENGINE_CACHED_ONLY && s == S_WOULD_BLOCK);
	engine_value_done(&value);
}

/* RocksDB answers such a read with an empty value and says that all is well. */
static void
a_table_that_is_not_open_is_not_answered_for(void **state)
{
	struct engine_snapshot *snapshot;

	(void)state;
	for (int i = 0; i < TABLES; i++)
		ingest(i);
	engine_close(e);
	open_engine();
	snapshot = engine_snapshot_new(e);
	for (int i = 0; i < TABLES; i++) {
		expect(i, NULL, ENGINE_CACHED_ONLY);
		expect(i, snapshot, ENGINE_CACHED_ONLY);
	}
	engine_snapshot_free(e, snapshot);
	for (int i = 0; i < TABLES; i++)
		expect(i, NULL, ENGINE_MAY_BLOCK);
}

static void
a_walk_over_tables_that_are_not_open_says_so(void **state)
{
	struct engine_iter *it;
	enum status s;
	struct err err;
	int i = 0;

	(void)state;
	for (int n = 0; n < TABLES; n++)
		ingest(n);
	engine_close(e);
	open_engine();
	it = engine_iter_new(e, NULL, SPACE_ITEMS, SLICE("key"), SLICE("kez"),
			     ENGINE_CACHED_ONLY | ENGINE_NEVER_DROPPED);
	for (engine_iter_first(it); engine_iter_valid(it); engine_iter_next(it), i++) {
		char key[16];

		key_of(key, i);
		assert_true(slice_eq(engine_iter_key(it), slice_str(key)));
		assert_true(slice_eq(engine_iter_value(it), slice_str(key)));
	}
	s = engine_iter_status(it, &err);
	assert_true(s == S_WOULD_BLOCK || (s == S_OK && i == TABLES));
	engine_iter_free(it);
}

/* RocksDB 7.8 forgets what hindered it where one table of a level ends and the next begins. */
static void
a_walk_that_meets_a_table_that_is_not_open_says_so(void **state)
{
	struct engine_iter *it;
	struct err err;

	(void)state;
	for (int n = 0; n < TABLES; n++)
		ingest(n);
	engine_close(e);
	open_engine();
	for (int from = 0; from < TABLES; from++) {
		char key[16];
		int i = from;
		enum status s;

		expect(from, NULL, ENGINE_MAY_BLOCK);
		key_of(key, from);
		it = engine_iter_new(e, NULL, SPACE_ITEMS, SLICE("key"), SLICE("kez"),
				     ENGINE_CACHED_ONLY | ENGINE_NEVER_DROPPED);
		for (engine_iter_seek(it, slice_str(key)); engine_iter_valid(it); engine_iter_next(it))
			i++;
		s = engine_iter_status(it, &err);
		if (s != S_WOULD_BLOCK)
			assert_int_equal(i, TABLES);
		engine_iter_free(it);
	}
}

static void
a_walk_that_looks_at_dropped_ranges_may_not_be_told_not_to_block(void **state)
{
	struct engine_iter *it;
	struct err err;

	(void)state;
	ingest(1);
	expect(1, NULL, ENGINE_MAY_BLOCK);
	it = engine_iter_new(e, NULL, SPACE_ITEMS, SLICE("key"), SLICE("kez"), ENGINE_CACHED_ONLY);
	engine_iter_first(it);
	assert_false(engine_iter_valid(it));
	assert_int_equal(engine_iter_status(it, &err), S_WOULD_BLOCK);
	engine_iter_free(it);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_table_that_is_not_open_is_not_answered_for, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_walk_over_tables_that_are_not_open_says_so, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_walk_that_meets_a_table_that_is_not_open_says_so, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_walk_that_looks_at_dropped_ranges_may_not_be_told_not_to_block, setup,
					    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
