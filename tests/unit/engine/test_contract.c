/*
 * What every engine promises, run on each of them: memory, faulty around memory, RocksDB.
 */
#include "base/fault.h"
#include "engine/engine.h"
#include "folder.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum which { MEMORY, FAULTY, ROCKSDB, EPHEMERAL };

struct fixture {
	enum which which;
	struct engine *e;
	char dir[64];
};

static void
make_dir(char dir[64])
{
	snprintf(dir, 64, "%s", "/tmp/stator-engine-XXXXXX");
	assert_non_null(mkdtemp(dir));
}

static void
open_rocksdb(struct fixture *f)
{
	struct engine_options options = {f->dir, 8 << 20, 1 << 20, f->which == EPHEMERAL, 1 << 20};
	struct err err;

	if (engine_rocksdb_open(&options, &f->e, &err) != S_OK)
		fail_msg("%s", err.message);
}

static int
setup(void **state)
{
	struct fixture *f = *state;
	struct err err;

	if (f->which == MEMORY || f->which == FAULTY) {
		assert_int_equal(engine_memory_open(&f->e, &err), S_OK);
		make_dir(f->dir);
		if (f->which == FAULTY)
			f->e = engine_faulty_new(f->e);
		return 0;
	}
	make_dir(f->dir);
	open_rocksdb(f);
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	engine_close(f->e);
	folder_remove(f->dir);
	return 0;
}

static void
put(struct engine *e, const char *key, const char *value)
{
	struct engine_batch *b = engine_batch_new(e);
	uint64_t seq;

	engine_batch_put(b, SPACE_ITEMS, slice_str(key), slice_str(value));
	assert_int_equal(engine_apply(e, b, &seq, NULL), S_OK);
	engine_batch_free(b);
}

static void
expect(struct engine *e, const struct engine_snapshot *snapshot, const char *key, const char *value)
{
	struct engine_value v;
	enum status s = engine_get(e, snapshot, SPACE_ITEMS, slice_str(key), ENGINE_MAY_BLOCK, &v, NULL);

	if (value == NULL) {
		assert_int_equal(s, S_NOT_FOUND);
	} else {
		assert_int_equal(s, S_OK);
		assert_true(slice_eq(v.data, slice_str(value)));
	}
	engine_value_done(&v);
	engine_value_done(&v); /* a released one may be released again */
}

/* All keys joined by spaces. */
static void
expect_keys(struct engine *e, const struct engine_snapshot *snapshot, const char *from, const char *to,
	    const char *forward, const char *backward)
{
	struct engine_iter *it = engine_iter_new(e, snapshot, SPACE_ITEMS, slice_str(from), slice_str(to), 0);
	char found[256] = "";
	struct err err;

	for (engine_iter_first(it); engine_iter_valid(it); engine_iter_next(it))
		sprintf(found + strlen(found), "%.*s ", SLICE_ARG(engine_iter_key(it)));
	assert_int_equal(engine_iter_status(it, &err), S_OK);
	assert_string_equal(found, forward);
	found[0] = '\0';
	for (engine_iter_last(it); engine_iter_valid(it); engine_iter_prev(it))
		sprintf(found + strlen(found), "%.*s ", SLICE_ARG(engine_iter_key(it)));
	assert_int_equal(engine_iter_status(it, &err), S_OK);
	assert_string_equal(found, backward);
	engine_iter_free(it);
}

static void
what_is_put_is_got(void **state)
{
	struct engine *e = ((struct fixture *)*state)->e;
	struct engine_value v;

	expect(e, NULL, "a", NULL);
	put(e, "a", "1");
	expect(e, NULL, "a", "1");
	put(e, "a", "2");
	expect(e, NULL, "a", "2");
	put(e, "empty", "");
	expect(e, NULL, "empty", "");
	assert_int_equal(engine_get(e, NULL, SPACE_LOG, SLICE("a"), 0, &v, NULL), S_NOT_FOUND); /* spaces are apart */
}

static void
a_batch_is_seen_whole_and_in_order(void **state)
{
	struct engine *e = ((struct fixture *)*state)->e;
	struct engine_batch *b = engine_batch_new(e);
	uint64_t first, second;

	put(e, "b", "old");
	engine_batch_put(b, SPACE_ITEMS, SLICE("a"), SLICE("1"));
	engine_batch_put(b, SPACE_ITEMS, SLICE("a"), SLICE("2"));
	engine_batch_delete(b, SPACE_ITEMS, SLICE("b"));
	engine_batch_put(b, SPACE_ITEMS, SLICE("c"), SLICE("3"));
	engine_batch_delete_range(b, SPACE_ITEMS, SLICE("c"), SLICE("d"));
	engine_batch_put(b, SPACE_ITEMS, SLICE("d"), SLICE("4"));
	expect(e, NULL, "a", NULL);
	assert_int_equal(engine_apply(e, b, &first, NULL), S_OK);
	expect(e, NULL, "a", "2");
	expect(e, NULL, "b", NULL);
	expect(e, NULL, "c", NULL);
	expect(e, NULL, "d", "4");
	engine_batch_clear(b);
	engine_batch_delete(b, SPACE_ITEMS, SLICE("d"));
	assert_int_equal(engine_apply(e, b, &second, NULL), S_OK);
	assert_true(second > first);
	assert_true(engine_applied(e) >= second);
	expect(e, NULL, "a", "2");
	expect(e, NULL, "d", NULL);
	engine_batch_free(b);
	engine_batch_free(NULL);
}

static void
a_snapshot_does_not_move(void **state)
{
	struct engine *e = ((struct fixture *)*state)->e;
	struct engine_snapshot *snapshot;

	put(e, "a", "1");
	put(e, "b", "1");
	snapshot = engine_snapshot_new(e);
	put(e, "a", "2");
	put(e, "c", "2");
	expect(e, snapshot, "a", "1");
	expect(e, snapshot, "c", NULL);
	expect_keys(e, snapshot, "", "", "a b ", "b a ");
	engine_snapshot_free(e, snapshot);
	engine_snapshot_free(e, NULL);
	expect_keys(e, NULL, "", "", "a b c ", "c b a ");
}

static void
iterators_keep_their_bounds(void **state)
{
	struct engine *e = ((struct fixture *)*state)->e;

	for (const char *key = "bdfh"; *key != '\0'; key++)
		put(e, (char[]){*key, '\0'}, "x");
	expect_keys(e, NULL, "", "", "b d f h ", "h f d b ");
	expect_keys(e, NULL, "c", "", "d f h ", "h f d ");
	expect_keys(e, NULL, "d", "h", "d f ", "f d ");
	expect_keys(e, NULL, "", "f", "b d ", "d b ");
	expect_keys(e, NULL, "i", "", "", "");
	expect_keys(e, NULL, "c", "cc", "", "");
}

static void
seeks_find_the_nearest(void **state)
{
	static const struct {
		const char *key, *seek, *back;
	} cases[] = {
	    {"a", "d", NULL}, {"d", "d", "d"}, {"e", "f", "d"}, {"f", "f", "f"}, {"g", NULL, "f"}, {"z", NULL, "f"},
	};
	struct engine *e = ((struct fixture *)*state)->e;
	struct engine_iter *it;

	for (const char *key = "bdfh"; *key != '\0'; key++)
		put(e, (char[]){*key, '\0'}, (char[]){*key, *key, '\0'});
	it = engine_iter_new(e, NULL, SPACE_ITEMS, SLICE("c"), SLICE("h"), ENGINE_SCAN);
	assert_false(engine_iter_valid(it));
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		engine_iter_seek(it, slice_str(cases[i].key));
		assert_int_equal(engine_iter_valid(it), cases[i].seek != NULL);
		if (cases[i].seek != NULL)
			assert_true(slice_eq(engine_iter_key(it), slice_str(cases[i].seek)));
		engine_iter_seek_back(it, slice_str(cases[i].key));
		assert_int_equal(engine_iter_valid(it), cases[i].back != NULL);
		if (cases[i].back != NULL)
			assert_true(slice_eq(engine_iter_key(it), slice_str(cases[i].back)));
	}
	engine_iter_seek(it, SLICE("e"));
	assert_true(slice_eq(engine_iter_value(it), SLICE("ff")));
	engine_iter_prev(it);
	assert_true(slice_eq(engine_iter_key(it), SLICE("d")));
	engine_iter_next(it);
	assert_true(slice_eq(engine_iter_key(it), SLICE("f")));
	engine_iter_next(it);
	assert_false(engine_iter_valid(it));
	engine_iter_free(it);
	engine_iter_free(NULL);
}

static void
an_iterator_sees_the_moment_it_was_made(void **state)
{
	struct engine *e = ((struct fixture *)*state)->e;
	struct engine_iter *it;

	put(e, "a", "1");
	it = engine_iter_new(e, NULL, SPACE_ITEMS, SLICE_NONE, SLICE_NONE, 0);
	put(e, "b", "1");
	engine_iter_last(it);
	assert_true(slice_eq(engine_iter_key(it), SLICE("a")));
	engine_iter_free(it);
}

static void
what_is_waited_for_is_durable(void **state)
{
	struct engine *e = ((struct fixture *)*state)->e;
	struct err err;

	put(e, "a", "1");
	assert_int_equal(engine_sync_to(e, engine_applied(e), &err), S_OK);
	assert_int_equal(engine_wait_status(e, engine_applied(e)), S_OK);
	assert_int_equal(engine_durable(e), engine_applied(e));
	assert_int_equal(engine_failed_through(e), 0);
}

static void
a_dropped_range_is_gone(void **state)
{
	struct engine *e = ((struct fixture *)*state)->e;
	struct err err;

	for (int i = 0; i < 500; i++) {
		char key[16];

		sprintf(key, "%c%04d", i < 300 ? 'a' : 'b', i);
		put(e, key, "some value that is not that short");
	}
	if (((struct fixture *)*state)->which <= FAULTY) /* RocksDB tells of tables only, not of memtables */
		assert_true(engine_approximate_bytes(e, SPACE_ITEMS, SLICE("a"), SLICE("b")) > 0);
	assert_int_equal(engine_drop(e, SPACE_ITEMS, SLICE("a"), SLICE("b0498"), &err), S_OK);
	expect_keys(e, NULL, "", "", "b0498 b0499 ", "b0499 b0498 ");
}

/* Of all files in the folder. */
static uint64_t
bytes_in(const char *dir)
{
	DIR *d = opendir(dir);
	uint64_t bytes = 0;

	assert_non_null(d);
	for (const struct dirent *entry; (entry = readdir(d)) != NULL;) {
		struct stat file;

		if (fstatat(dirfd(d), entry->d_name, &file, 0) == 0 && S_ISREG(file.st_mode))
			bytes += (uint64_t)file.st_size; /* RocksDB takes 4 MiB of blocks for its manifest at once */
	}
	closedir(d);
	return bytes;
}

static void
what_a_dropped_range_takes_is_returned(void **state)
{
	static char value[8000];
	struct fixture *f = *state;
	uint64_t held = 0;
	bool more = true;
	struct err err;

	for (size_t i = 0; i + 1 < sizeof value; i++)
		value[i] = (char)('a' + rand() % 26);
	for (int i = 0; i < 1000; i++) {
		char key[16];

		sprintf(key, "b%04d", i);
		put(f->e, key, value);
	}
	put(f->e, "a", "stays");
	put(f->e, "c", "stays");
	if (f->which > FAULTY)
		held = bytes_in(f->dir);
	assert_int_equal(engine_drop(f->e, SPACE_ITEMS, SLICE("b"), SLICE("c"), &err), S_OK);
	assert_int_equal(engine_reclaim(f->e, 1 << 30, &more, &err), S_OK); /* so much it does not take */
	assert_false(more);
	for (int i = 0; i == 0 || more; i++) {
		assert_true(i < 10);
		assert_int_equal(engine_reclaim(f->e, 1 << 20, &more, &err), S_OK);
	}
	expect_keys(f->e, NULL, "", "", "a c ", "c a ");
	for (int i = 0; f->which > FAULTY && bytes_in(f->dir) > 2 << 20; i++) { /* files go in the background */
		assert_true(i < 12000);
		usleep(5000);
	}
	assert_true(f->which <= FAULTY || held > 4 << 20);
}

static void
sorted_files_are_ingested(void **state)
{
	struct fixture *f = *state;
	struct engine_sorted_file *file;
	struct err err;
	char path[2][128];

	put(f->e, "a2", "old");
	put(f->e, "c", "old");
	for (int i = 0; i < 2; i++) {
		snprintf(path[i], sizeof path[i], "%s/in%d.sst", f->dir, i);
		assert_int_equal(engine_sorted_file_open(f->e, SPACE_ITEMS, path[i], &file, &err), S_OK);
		for (int j = 0; j < 3; j++) {
			char key[8];

			sprintf(key, "%c%d", "ab"[i], j);
			assert_int_equal(engine_sorted_file_put(file, slice_str(key), SLICE("new"), &err), S_OK);
		}
		assert_int_not_equal(engine_sorted_file_put(file, SLICE("a"), SLICE("not ascending"), &err), S_OK);
		assert_int_equal(engine_sorted_file_finish(file, &err), S_OK);
	}
	if (engine_ingest(f->e, SPACE_ITEMS, (const char *const[]){path[0], path[1]}, 2, &err) != S_OK)
		fail_msg("%s", err.message);
	expect_keys(f->e, NULL, "", "", "a0 a1 a2 b0 b1 b2 c ", "c b2 b1 b0 a2 a1 a0 ");
	expect(f->e, NULL, "a2", "new");
	assert_int_not_equal(engine_ingest(f->e, SPACE_ITEMS, (const char *const[]){"/nowhere/x"}, 1, &err), S_OK);
}

struct racer {
	struct engine *e;
	atomic_bool stop;
};

/* Two keys always written together must always be read together. */
static void *
write_pairs(void *context)
{
	struct racer *r = context;
	struct engine_batch *b = engine_batch_new(r->e);
	char value[16];
	uint64_t seq;

	for (int i = 0; !atomic_load(&r->stop); i++) {
		sprintf(value, "%d", i);
		engine_batch_clear(b);
		engine_batch_put(b, SPACE_ITEMS, SLICE("left"), slice_str(value));
		engine_batch_put(b, SPACE_ITEMS, SLICE("right"), slice_str(value));
		engine_apply(r->e, b, &seq, NULL);
	}
	engine_batch_free(b);
	return NULL;
}

static void
readers_never_see_half_a_batch(void **state)
{
	struct racer r = {((struct fixture *)*state)->e, false};
	pthread_t writer;

	put(r.e, "left", "");
	put(r.e, "right", "");
	pthread_create(&writer, NULL, write_pairs, &r);
	for (int i = 0; i < 2000; i++) {
		struct engine_snapshot *snapshot = engine_snapshot_new(r.e);
		struct engine_iter *it = engine_iter_new(r.e, NULL, SPACE_ITEMS, SLICE_NONE, SLICE_NONE, 0);
		struct engine_value left, right;

		engine_get(r.e, snapshot, SPACE_ITEMS, SLICE("left"), 0, &left, NULL);
		engine_get(r.e, snapshot, SPACE_ITEMS, SLICE("right"), 0, &right, NULL);
		assert_true(slice_eq(left.data, right.data));
		engine_value_done(&left);
		engine_value_done(&right);
		engine_snapshot_free(r.e, snapshot);
		engine_iter_first(it);
		engine_get(r.e, NULL, SPACE_ITEMS, SLICE("left"), 0, &left, NULL);
		engine_value_done(&left);
		{
			char first[16];
			size_t len = engine_iter_value(it).len;

			memcpy(first, engine_iter_value(it).data, len);
			engine_iter_next(it);
			assert_true(slice_eq(engine_iter_value(it), slice_of(first, len)));
		}
		engine_iter_free(it);
	}
	atomic_store(&r.stop, true);
	pthread_join(writer, NULL);
}

static void
figures_are_told(void **state)
{
	struct engine *e = ((struct fixture *)*state)->e;
	struct buf out = {0};

	put(e, "a", "1");
	engine_write_metrics(e, &out);
	buf_put_byte(&out, 0);
	assert_non_null(strstr(out.data, "\nstator_engine_applied 1\n"));
	buf_done(&out);
}

#define CONTRACT(fixture)                                                                                              \
	cmocka_unit_test_prestate_setup_teardown(what_is_put_is_got, setup, teardown, fixture),                        \
	    cmocka_unit_test_prestate_setup_teardown(a_batch_is_seen_whole_and_in_order, setup, teardown, fixture),    \
	    cmocka_unit_test_prestate_setup_teardown(a_snapshot_does_not_move, setup, teardown, fixture),              \
	    cmocka_unit_test_prestate_setup_teardown(iterators_keep_their_bounds, setup, teardown, fixture),           \
	    cmocka_unit_test_prestate_setup_teardown(seeks_find_the_nearest, setup, teardown, fixture),                \
	    cmocka_unit_test_prestate_setup_teardown(an_iterator_sees_the_moment_it_was_made, setup, teardown,         \
						     fixture),                                                         \
	    cmocka_unit_test_prestate_setup_teardown(what_is_waited_for_is_durable, setup, teardown, fixture),         \
	    cmocka_unit_test_prestate_setup_teardown(a_dropped_range_is_gone, setup, teardown, fixture),               \
	    cmocka_unit_test_prestate_setup_teardown(what_a_dropped_range_takes_is_returned, setup, teardown,          \
						     fixture),                                                         \
	    cmocka_unit_test_prestate_setup_teardown(sorted_files_are_ingested, setup, teardown, fixture),             \
	    cmocka_unit_test_prestate_setup_teardown(readers_never_see_half_a_batch, setup, teardown, fixture),        \
	    cmocka_unit_test_prestate_setup_teardown(figures_are_told, setup, teardown, fixture)

int
main(void)
{
	static struct fixture memory = {MEMORY}, faulty = {FAULTY}, rocksdb = {ROCKSDB}, ephemeral = {EPHEMERAL};
	const struct CMUnitTest on_memory[] = {CONTRACT(&memory)};
	const struct CMUnitTest on_faulty[] = {CONTRACT(&faulty)};
	const struct CMUnitTest on_rocksdb[] = {CONTRACT(&rocksdb)};
	const struct CMUnitTest on_ephemeral[] = {CONTRACT(&ephemeral)};

	return cmocka_run_group_tests_name("memory", on_memory, NULL, NULL) +
	       cmocka_run_group_tests_name("faulty", on_faulty, NULL, NULL) +
	       cmocka_run_group_tests_name("rocksdb", on_rocksdb, NULL, NULL) +
	       cmocka_run_group_tests_name("ephemeral", on_ephemeral, NULL, NULL);
}
