/* The change log and its streams when writes and syncs fail. */
#include "streams.h"

#include <pthread.h>

static void
what_a_failed_sync_took_is_not_in_the_stream(void **state)
{
	struct table *t = create_streamed("t", STREAM_NEW_IMAGE);
	struct seen seen;

	(void)state;
	assert_ok(put(t, row(1, 1)));
	engine_memory_hold_sync(fx.memory, true);
	assert_ok(put(t, row(1, 2)));
	engine_memory_fail_sync(fx.memory);
	engine_memory_hold_sync(fx.memory, false);
	assert_ok(put(t, row(1, 3)));
	table_release(t);
	db_reopen();
	seen = read_table("t");
	assert_int_equal(seen.count, 2);
	assert_same(seen.changes[0].new_image, row(1, 1));
	assert_same(seen.changes[1].new_image, row(1, 3));
}

/* Refused until the catalog's rows are written again; then for good. */
static void
put_when_certain(struct table *t, struct av item_)
{
	enum status s = S_IO;

	for (int i = 0; i < 60000 && s == S_IO; i++) {
		s = put(t, item_);
		if (s == S_IO)
			usleep(1000);
	}
	assert_ok(s);
}

static void *
split_once(void *context)
{
	*(enum status *)context = table_split(fx.db, SLICE("t"), 1, NULL);
	return NULL;
}

static void *
roll_once(void *context)
{
	*(enum status *)context = change_roll(fx.db, SLICE("t"), NULL);
	return NULL;
}

static size_t
shard_count(struct slice arn)
{
	struct stream_description d;
	struct table_io io = blocking_io();

	assert_ok(stream_describe(fx.db, arn, SLICE_NONE, SLICE_NONE, 1000, &io, &d, &fx.err));
	return d.shard_count;
}

/* 20 items, then a roll whose sync is held, so that it is seen and not durable. How many shards there were before. */
static size_t
roll_while_syncs_are_held(struct table *t, struct slice arn, pthread_t *ret, enum status *rolled)
{
	size_t before;

	for (int i = 0; i < 20; i++)
		assert_ok(put(t, row(i, 0)));
	before = shard_count(arn);
	engine_memory_hold_sync(fx.memory, true);
	assert_int_equal(pthread_create(ret, NULL, roll_once, rolled), 0);
	for (int i = 0; i < 60000 && shard_count(arn) == before; i++)
		usleep(1000);
	return before;
}

static void
a_roll_that_a_failed_sync_took_is_written_again(void **state)
{
	struct table *t = create_streamed("t", STREAM_NEW_IMAGE);
	struct slice arn = arena_dup(&fx.arena, describe("t").stream_arn);
	enum status rolled = S_OK;
	pthread_t thread;
	size_t before, after;

	(void)state;
	before = roll_while_syncs_are_held(t, arn, &thread, &rolled);
	after = shard_count(arn);
	assert_true(after > before);
	engine_memory_fail_sync(fx.memory);
	engine_memory_hold_sync(fx.memory, false);
	pthread_join(thread, NULL);
	assert_int_equal(rolled, S_IO);
	for (int i = 0; i < 20; i++)
		put_when_certain(t, row(i, 1));
	table_release(t);
	db_reopen();
	assert_int_equal(shard_count(arn), after);
	assert_int_equal(open_shards(arn), before);
	assert_int_equal(read_stream(arn).count, 40);
}

static enum status
try_to_describe(struct slice arn, struct stream_description *ret)
{
	struct table_io io = blocking_io();

	return stream_describe(fx.db, arn, SLICE_NONE, SLICE_NONE, 1000, &io, ret, &fx.err);
}

/* A client that was told of such a shard would miss it after a crash. */
static void
a_roll_that_a_failed_sync_took_is_not_told_until_it_is_written_again(void **state)
{
	struct table *t = create_streamed("t", STREAM_NEW_IMAGE);
	struct slice arn = arena_dup(&fx.arena, describe("t").stream_arn);
	struct stream_description d;
	struct table_io io = blocking_io();
	enum status rolled = S_OK, s = S_IO;
	pthread_t thread;
	size_t before, after;
	uint64_t seq;

	(void)state;
	before = roll_while_syncs_are_held(t, arn, &thread, &rolled);
	assert_ok(try_to_describe(arn, &d));
	after = d.shard_count;
	assert_true(after > before);
	engine_memory_fail_sync(fx.memory);
	pthread_join(thread, NULL);
	assert_int_equal(rolled, S_IO);
	/* the engine is well again and has lost it; the rows are not durable as long as syncs are held */
	assert_int_equal(try_to_describe(arn, &d), S_IO);
	assert_int_equal(stream_find(fx.db, arn, d.shards[0].id, START_TRIM_HORIZON, SLICE_NONE, &io, &seq, &fx.err),
			 S_IO);
	engine_memory_hold_sync(fx.memory, false);
	for (int i = 0; i < 60000 && s == S_IO; i++) {
		s = try_to_describe(arn, &d);
		if (s == S_IO)
			usleep(1000);
	}
	assert_ok(s);
	assert_int_equal(d.shard_count, after);
	table_release(t);
	db_reopen();
	assert_int_equal(shard_count(arn), after);
}

static void *
maintain_once(void *context)
{
	*(enum status *)context = change_maintain(fx.db, NULL);
	return NULL;
}

static size_t
catalog_rows(void)
{
	struct engine_iter *it =
	    engine_iter_new(fx.engine, NULL, SPACE_CATALOG, SLICE_NONE, SLICE_NONE, ENGINE_MAY_BLOCK);
	size_t count = 0;

	for (engine_iter_first(it); engine_iter_valid(it); engine_iter_next(it))
		count++;
	engine_iter_free(it);
	return count;
}

/* The background's maintenance may come first at any time: it does not matter whose sync fails. */
static void
shards_are_told_after_the_sync_of_their_trimming_failed(void **state)
{
	struct table *t = create_streamed("t", STREAM_NEW_IMAGE);
	struct slice arn = arena_dup(&fx.arena, describe("t").stream_arn);
	struct stream_description d = {0};
	enum status trimmed = S_OK, s = S_IO;
	pthread_t thread;
	size_t shards, rows;

	(void)state;
	for (int i = 0; i < 20; i++)
		assert_ok(put(t, row(i, 0)));
	clock_shift_us(2 * HOUR_US);
	assert_ok(change_roll(fx.db, SLICE("t"), &fx.err));
	clock_shift_us(23 * HOUR_US);
	assert_ok(change_maintain(fx.db, &fx.err)); /* the records; the shards ended less than a day ago */
	shards = shard_count(arn);
	rows = catalog_rows();
	engine_memory_hold_sync(fx.memory, true);
	clock_shift_us(2 * HOUR_US);
	assert_int_equal(pthread_create(&thread, NULL, maintain_once, &trimmed), 0);
	for (int i = 0; i < 60000 && catalog_rows() >= rows; i++)
		usleep(1000);
	assert_true(catalog_rows() < rows);
	engine_memory_fail_sync(fx.memory);
	engine_memory_hold_sync(fx.memory, false);
	pthread_join(thread, NULL);
	for (int i = 0; i < 60000 && (s != S_OK || d.shard_count >= shards); i++) {
		usleep(1000);
		(void)change_maintain(fx.db, &fx.err);
		s = try_to_describe(arn, &d);
		assert_true(s == S_OK || s == S_IO);
	}
	assert_ok(s);
	assert_true(d.shard_count < shards);
	put_when_certain(t, row(1, 1));
	table_release(t);
}

/* The engine remembers only so many losses one by one. */
static void
shards_are_told_after_many_failed_syncs(void **state)
{
	struct table *t = create_streamed("t", STREAM_NEW_IMAGE);
	struct slice arn = describe("t").stream_arn;

	(void)state;
	for (int i = 0; i < 200; i++) {
		assert_ok(put(t, row(1, i)));
		if (i == 1)
			assert_ok(change_roll(fx.db, SLICE("t"), &fx.err));
		engine_memory_hold_sync(fx.memory, true);
		assert_ok(put(t, row(2, i)));
		engine_memory_fail_sync(fx.memory);
		engine_memory_hold_sync(fx.memory, false);
	}
	assert_true(shard_count(arn) > 0);
	table_release(t);
}

static void
a_split_that_a_failed_sync_took_is_written_again(void **state)
{
	struct table *t = create_streamed("t", STREAM_NEW_IMAGE);
	struct slice arn = arena_dup(&fx.arena, describe("t").stream_arn);
	enum status split = S_OK;
	pthread_t thread;
	struct seen seen;
	struct engine_value layout = {0};
	struct buf key = {0};

	(void)state;
	for (int i = 0; i < 20; i++)
		assert_ok(put(t, row(i, 0)));
	engine_memory_hold_sync(fx.memory, true);
	assert_int_equal(pthread_create(&thread, NULL, split_once, &split), 0);
	for (int i = 0; i < 60000 && layout_of(t->core)->count == 4; i++)
		usleep(1000);
	for (int i = 0; i < 20; i++)
		assert_ok(put(t, row(i, 1)));
	engine_memory_fail_sync(fx.memory);
	engine_memory_hold_sync(fx.memory, false);
	pthread_join(thread, NULL);
	assert_int_equal(split, S_IO); /* perhaps it was, perhaps it was not */
	put_when_certain(t, row(0, 2));
	/* a crash now finds the split with what was written behind it */
	catalog_key_layout(&key, t->core->number);
	assert_ok(engine_get(fx.engine, NULL, SPACE_CATALOG, buf_slice(&key), ENGINE_MAY_BLOCK, &layout, &fx.err));
	engine_value_done(&layout);
	buf_done(&key);
	for (int i = 1; i < 20; i++)
		assert_ok(put(t, row(i, 2)));
	table_release(t);
	db_reopen();
	t = find("t");
	assert_int_equal(layout_of(t->core)->count, 5);
	assert_int_equal(open_shards(arn), 5);
	seen = read_stream(arn);
	assert_int_equal(seen.count, 40);
	for (int i = 0; i < 20; i++)
		assert_same(get(t, key_of(i)), row(i, 2));
	assert_int_equal(describe("t").item_count, 20);
	table_release(t);
}

static void
each_failing_call_leaves_the_log_whole(void **state)
{
	(void)state;
	for (uint64_t n = 1; n < 200; n++) {
		struct table *t;
		struct table_update update = {.set_stream = STREAM_ENABLE, .stream = STREAM_NEW_IMAGE};
		struct table_description d;
		struct seen seen;
		uint64_t before;
		int done = 0;

		t = create("t", schema("pk", NULL, AV_S), NULL, 0);
		before = engine_faulty_calls(fx.engine);
		engine_faulty_arm(fx.engine, n, S_IO);
		if (table_update(fx.db, SLICE("t"), &update, &fx.arena, &d, &fx.err) == S_OK) {
			for (int i = 0; i < 600000 && !is_active("t"); i++)
				usleep(100);
			done += put(t, row(1, 1)) == S_OK;
			table_split(fx.db, SLICE("t"), 1, &fx.err);
			done += put(t, row(1, 2)) == S_OK;
			change_roll(fx.db, SLICE("t"), &fx.err);
			done += put(t, row(1, 3)) == S_OK;
		}
		engine_faulty_arm(fx.engine, 0, S_OK);
		wait_active("t");
		table_release(t);
		db_reopen();
		wait_active("t");
		if (describe("t").stream != STREAM_NONE) {
			seen = read_table("t");
			assert_int_equal(seen.count, done);
		}
		assert_ok(table_delete(fx.db, SLICE("t"), &fx.arena, &d, &fx.err));
		wait_gone("t");
		if (engine_faulty_calls(fx.engine) - before < n)
			return;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(what_a_failed_sync_took_is_not_in_the_stream),
	    TEST(a_roll_that_a_failed_sync_took_is_written_again),
	    TEST(a_roll_that_a_failed_sync_took_is_not_told_until_it_is_written_again),
	    TEST(shards_are_told_after_the_sync_of_their_trimming_failed),
	    TEST(shards_are_told_after_many_failed_syncs),
	    TEST(a_split_that_a_failed_sync_took_is_written_again),
	    cmocka_unit_test_setup_teardown(each_failing_call_leaves_the_log_whole, setup_faulty, teardown_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
