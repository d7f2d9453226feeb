/*
 * Flushes that the engine asks for, beside those that RocksDB makes by itself while others write.
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
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define ROUNDS 24

static char dir[64];
static struct engine *e;
static atomic_bool stop;

static int
setup(void **state)
{
	struct engine_options options = {dir, 8 << 20, 128 << 10, false, 1 << 20};
	struct err err;

	(void)state;
	snprintf(dir, sizeof dir, "%s", "/tmp/stator-reclaim-XXXXXX");
	assert_non_null(mkdtemp(dir));
	if (engine_rocksdb_open(&options, &e, &err) != S_OK)
		fail_msg("%s", err.message);
	atomic_store(&stop, false);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	engine_close(e);
	folder_remove(dir);
	return 0;
}

static void
put(enum engine_space space, const char *key, size_t size)
{
	static const char value[4096];
	struct engine_batch *b = engine_batch_new(e);
	uint64_t seq;

	engine_batch_put(b, space, slice_str(key), slice_of(value, size));
	assert_int_equal(engine_apply(e, b, &seq, NULL), S_OK);
	engine_batch_free(b);
}

/* Spaces come and go from the set of those that hold anything: one is written all the time, the others now and then. */
static void *
write_on(void *arg)
{
	(void)arg;
	for (unsigned i = 0; !atomic_load(&stop); i++) {
		char key[16];

		snprintf(key, sizeof key, "w%05u", i % 2000);
		put(SPACE_ITEMS, key, 4096);
		if (i % 40 == 0)
			put(i % 80 == 0 ? SPACE_LOG : SPACE_INDEXES, key, 100);
	}
	return NULL;
}

static void
drop_and_reclaim(int round)
{
	struct err err;
	bool more;

	for (int i = 0; i < 20; i++) {
		char key[16];

		snprintf(key, sizeof key, "b%d-%d", round, i);
		put(SPACE_LOG, key, 4096);
	}
	assert_int_equal(engine_drop(e, SPACE_LOG, SLICE("b"), SLICE("c"), &err), S_OK);
	if (engine_reclaim(e, 1, &more, &err) != S_OK)
		fail_msg("%s", err.message);
}

/* RocksDB 7.8 aborts when a flush of some spaces meets one of more spaces that waits. */
static void
space_is_reclaimed_while_others_write(void **state)
{
	pthread_t writer;

	(void)state;
	assert_int_equal(pthread_create(&writer, NULL, write_on, NULL), 0);
	for (int round = 0; round < ROUNDS; round++)
		drop_and_reclaim(round);
	atomic_store(&stop, true);
	pthread_join(writer, NULL);
}

static void
checkpoint_is_taken_while_others_write(void **state)
{
	pthread_t writer;
	struct err err;

	(void)state;
	assert_int_equal(pthread_create(&writer, NULL, write_on, NULL), 0);
	for (int round = 0; round < ROUNDS / 4; round++) {
		char copy[96];

		snprintf(copy, sizeof copy, "%s/copy-%d", dir, round);
		if (engine_checkpoint(e, copy, &err) != S_OK)
			fail_msg("%s", err.message);
	}
	atomic_store(&stop, true);
	pthread_join(writer, NULL);
}

/* ---- many little ranges ---- */

#define PIECES     32 /* each a number, as the logs of tables */
#define PIECE_ROWS 80 /* 320 KB */
#define BESIDE     6  /* each sixth is not as the others */
#define BESIDES    ((PIECES + BESIDE - 1) / BESIDE)
#define PIECE_SIZE (PIECE_ROWS * (uint64_t)4096)

/* Nothing that can be compressed. What lies at both ends is in each file of level 0, so they all become one in the last
 * level, and no piece has a file to itself. */
static void
put_piece(int piece)
{
	struct engine_batch *b = engine_batch_new(e);
	uint64_t seq;

	for (int row = 0; row < PIECE_ROWS; row++) {
		char key[16];
		uint32_t value[1024];

		snprintf(key, sizeof key, "p%04d-%03d", piece, row);
		for (size_t i = 0; i < sizeof value / sizeof value[0]; i++)
			value[i] = (uint32_t)rand() << 8 ^ (uint32_t)rand();
		engine_batch_put(b, SPACE_LOG, slice_str(key), slice_of(value, sizeof value));
	}
	engine_batch_put(b, SPACE_LOG, SLICE("o"), SLICE("low"));
	engine_batch_put(b, SPACE_LOG, SLICE("r"), SLICE("high"));
	assert_int_equal(engine_apply(e, b, &seq, NULL), S_OK);
	engine_batch_free(b);
}

static void
drop_piece(int piece)
{
	char from[16], to[16];
	struct err err;

	snprintf(from, sizeof from, "p%04d", piece);
	snprintf(to, sizeof to, "p%04d.", piece); /* not up to the next: there is a number between them */
	assert_int_equal(engine_drop(e, SPACE_LOG, slice_str(from), slice_str(to), &err), S_OK);
}

/* In table files, of all pieces. */
static uint64_t
held(void)
{
	return engine_approximate_bytes(e, SPACE_LOG, SLICE("p"), SLICE("q"));
}

static int
rows_there(void)
{
	struct engine_iter *it = engine_iter_new(e, NULL, SPACE_LOG, SLICE("p"), SLICE("q"), ENGINE_MAY_BLOCK);
	int count = 0;

	for (engine_iter_first(it); engine_iter_valid(it); engine_iter_next(it))
		count++;
	engine_iter_free(it);
	return count;
}

/* All of them in table files. */
static uint64_t
put_pieces(void)
{
	char copy[96];
	struct err err;

	for (int i = 0; i < PIECES; i++)
		put_piece(i);
	snprintf(copy, sizeof copy, "%s/copy", dir); /* holds tables only, so the memtables become some */
	if (engine_checkpoint(e, copy, &err) != S_OK)
		fail_msg("%s", err.message);
	assert_true(held() > PIECES * PIECE_SIZE * 9 / 10);
	return held();
}

/* Each takes far less than is worth a compaction, and none takes all files with it: together they are. */
static void
little_ranges_are_reclaimed_together(void **state)
{
	uint64_t before = put_pieces();
	struct err err;
	bool more = true;

	(void)state;
	for (int i = 0; i < PIECES; i++)
		if (i % BESIDE != 0)
			drop_piece(i);
	for (int i = 0; more; i++) {
		assert_true(i < 10);
		if (engine_reclaim(e, 5 * PIECE_SIZE, &more, &err) != S_OK)
			fail_msg("%s", err.message);
	}
	assert_int_equal(rows_there(), BESIDES * PIECE_ROWS);
	assert_true(held() < before / PIECES * (BESIDES + 3));
}

/* What lies between them is not written anew for the sake of less. */
static void
ranges_with_much_between_them_are_left(void **state)
{
	struct err err;
	bool more = true;

	(void)state;
	put_pieces();
	for (int i = 0; i < PIECES; i += BESIDE)
		drop_piece(i);
	if (engine_reclaim(e, (BESIDES - 1) * PIECE_SIZE, &more, &err) != S_OK)
		fail_msg("%s", err.message);
	assert_false(more);
	assert_int_equal(rows_there(), (PIECES - BESIDES) * PIECE_ROWS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(space_is_reclaimed_while_others_write, setup, teardown),
	    cmocka_unit_test_setup_teardown(little_ranges_are_reclaimed_together, setup, teardown),
	    cmocka_unit_test_setup_teardown(ranges_with_much_between_them_are_left, setup, teardown),
	    cmocka_unit_test_setup_teardown(checkpoint_is_taken_while_others_write, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
