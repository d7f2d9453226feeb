/* Readers of the change log, each with a position of its own. */
#include "streams.h"

#include "table/transact.h"

static void
count_wake(void *context)
{
	atomic_fetch_add((atomic_int *)context, 1);
}

static struct change_reader *
open_reader(const char *table, const char *name, unsigned images, bool in_memory, atomic_int *wakes)
{
	struct change_reader_options options = {.name = slice_str(name),
						.images = images,
						.retention_ms = 7 * DAY_MS,
						.in_memory = in_memory,
						.wake = wakes != NULL ? count_wake : NULL,
						.context = wakes};
	struct change_reader *r;

	assert_ok(change_reader_open(fx.db, slice_str(table), &options, &r, &fx.err));
	return r;
}

/* Everything there is to read, each record acknowledged. */
static size_t
drain(struct change_reader *r, struct seen *seen)
{
	uint32_t lanes[PARTITIONS_MAX], count;
	size_t before = seen->count;

	while ((count = change_reader_lanes(r, lanes, PARTITIONS_MAX)) > 0)
		for (uint32_t i = 0; i < count; i++) {
			struct table_io io = blocking_io();
			struct change_batch batch;

			assert_ok(change_reader_read(r, lanes[i], 5, 1 << 20, &io, &batch, &fx.err));
			assert_false(batch.trimmed);
			for (uint32_t n = 0; n < batch.count; n++) {
				seen->partitions[seen->count] = lanes[i];
				seen->changes[seen->count++] = batch.changes[n];
			}
			if (batch.count > 0)
				assert_ok(
				    change_reader_ack(r, lanes[i], batch.changes[batch.count - 1].seq, NULL, &fx.err));
		}
	return seen->count - before;
}

static void
a_reader_goes_on_where_it_stood(void **state)
{
	struct table *t = create("t", schema("pk", NULL, AV_S), NULL, 0);
	struct change_reader *r;
	struct seen seen = nothing_seen();
	struct table_io io = blocking_io();
	struct change_batch batch;
	uint32_t lane;

	(void)state;
	assert_ok(put(t, row(1, 0)));
	r = open_reader("t", "toy/one", CHANGE_NEW_IMAGE, false, NULL);
	assert_ok(put(t, row(1, 1)));
	assert_int_equal(drain(r, &seen), 1);
	assert_same(seen.changes[0].new_image, row(1, 1));
	assert_same(seen.changes[0].old_image, AV_NONE);
	assert_ok(put(t, row(1, 2)));
	assert_int_equal(change_reader_lanes(r, &lane, 1), 1);
	assert_ok(change_reader_read(r, lane, 10, 1000, &io, &batch, &fx.err)); /* read, not acknowledged */
	assert_int_equal(batch.count, 1);
	change_reader_rewind(r, lane);
	assert_ok(change_reader_read(r, lane, 10, 1000, &io, &batch, &fx.err));
	assert_int_equal(batch.count, 1);
	change_reader_close(r);
	assert_ok(put(t, row(1, 3))); /* kept for it */
	table_release(t);
	db_reopen();
	t = find("t");
	assert_ok(put(t, row(1, 4)));
	r = open_reader("t", "toy/one", CHANGE_NEW_IMAGE, false, NULL);
	assert_int_equal(drain(r, &seen), 3);
	assert_same(seen.changes[1].new_image, row(1, 2));
	assert_same(seen.changes[2].new_image, row(1, 3));
	assert_same(seen.changes[3].new_image, row(1, 4));
	assert_int_equal(drain(r, &seen), 0);
	assert_ok(change_reader_detach(r, &fx.err));
	assert_int_equal(atomic_load(&t->core->log_wants), 0);
	table_release(t);
}

static void
two_readers_do_not_meet(void **state)
{
	struct table *t = create_streamed("t", STREAM_KEYS_ONLY);
	struct change_reader *fast = open_reader("t", "toy/fast", CHANGE_OLD_IMAGE, false, NULL);
	struct change_reader *slow = open_reader("t", "toy/slow", 0, true, NULL), *twice;
	struct change_reader_options again = {.name = SLICE("toy/fast"), .retention_ms = 1};
	struct seen a = nothing_seen(), b = nothing_seen();

	(void)state;
	for (int i = 0; i < 30; i++)
		assert_ok(put(t, row(i % 10, i)));
	assert_int_equal(drain(fast, &a), 30);
	assert_int_equal(drain(fast, &a), 0);
	assert_int_equal(drain(slow, &b), 30);
	/* the stream does not show what the others wanted */
	assert_same(read_table("t").changes[29].old_image, AV_NONE);
	assert_int_equal(change_reader_open(fx.db, SLICE("t"), &again, &twice, &fx.err), S_RESOURCE_IN_USE);
	change_reader_close(slow);
	assert_ok(change_reader_detach(fast, &fx.err));
	table_release(t);
}

static void
a_reader_reads_parents_before_children(void **state)
{
	struct table *t = create("t", schema("pk", NULL, AV_S), NULL, 0);
	struct change_reader *r = open_reader("t", "toy/one", CHANGE_NEW_IMAGE, false, NULL);
	struct seen seen = nothing_seen();
	struct av last[20];

	(void)state;
	for (int i = 0; i < 300; i++) {
		assert_ok(put(t, row(i % 20, i)));
		if (i % 50 == 49)
			assert_ok(table_split(fx.db, SLICE("t"), UINT32_MAX, &fx.err));
		if (i == 120) {
			drain(r, &seen);
			change_reader_close(r);
			table_release(t);
			db_reopen();
			t = find("t");
			r = open_reader("t", "toy/one", CHANGE_NEW_IMAGE, false, NULL);
		}
	}
	drain(r, &seen);
	assert_int_equal(seen.count, 300);
	for (int i = 0; i < 20; i++)
		last[i] = AV_NONE;
	for (size_t i = 0; i < seen.count; i++) {
		int key = atoi(string_of(seen.changes[i].keys, "pk"));
		struct av now = av_get(seen.changes[i].new_image, SLICE("v"));

		if (av_exists(last[key]))
			assert_true(av_cmp(last[key], now) < 0);
		last[key] = now;
	}
	assert_ok(change_reader_detach(r, &fx.err));
	table_release(t);
}

static void
numbers_go_on_behind_a_split_when_the_clock_has_stepped_back(void **state)
{
	struct table *t = create("t", schema("pk", NULL, AV_S), NULL, 0);
	struct change_reader *r = open_reader("t", "toy/one", 0, false, NULL);
	struct seen seen = nothing_seen();

	(void)state;
	for (int i = 0; i < 20; i++)
		assert_ok(put(t, row(i, 0)));
	assert_int_equal(drain(r, &seen), 20);
	assert_ok(change_maintain(fx.db, &fx.err)); /* nothing is left in the log that would tell its last number */
	for (uint32_t i = 0; i < 4; i++)
		assert_ok(table_split(fx.db, SLICE("t"), i, &fx.err));
	change_reader_close(r);
	table_release(t);
	clock_shift_us(-HOUR_US);
	db_reopen();
	t = find("t");
	r = open_reader("t", "toy/one", 0, false, NULL);
	for (int i = 0; i < 20; i++)
		assert_ok(put(t, row(i, 1)));
	assert_int_equal(drain(r, &seen), 20);
	assert_ok(change_reader_detach(r, &fx.err));
	table_release(t);
}

static void
a_stream_that_was_refused_does_not_come_back(void **state) /* its row was written, and then the sync failed */
{
	struct table *t = create("t", schema("pk", NULL, AV_S), NULL, 0);
	struct table *kept = create_streamed("kept", STREAM_KEYS_ONLY);
	struct engine_batch *batch = engine_batch_new(fx.engine);
	struct stream *s;
	uint64_t seq;

	(void)state;
	pthread_mutex_lock(&fx.db->control);
	s = stream_begin(fx.db, t->core, SLICE("t"), table_schema(t), t->core->number, STREAM_NEW_IMAGE, batch);
	stream_free(s);
	s = stream_begin(fx.db, NULL, SLICE("never"), table_schema(t), 4711, STREAM_NEW_IMAGE, batch);
	stream_free(s);
	stream_put_row(stream_enabled(kept->core), kept->core->number, STREAM_DISABLING, 0, batch);
	pthread_mutex_unlock(&fx.db->control);
	assert_ok(engine_apply(fx.engine, batch, &seq, &fx.err));
	engine_batch_free(batch);
	table_release(t);
	table_release(kept);
	db_reopen();
	assert_int_equal(describe("t").stream_arn.len, 0);
	assert_int_equal(describe("kept").stream, STREAM_KEYS_ONLY);
	set_stream("t", true, STREAM_KEYS_ONLY);
	assert_int_equal(open_shards(describe("t").stream_arn), 4);
	assert_int_equal(fx.db->streams->count, 3); /* that of no table ends by itself */
	clock_shift_us(25 * HOUR_US);
	assert_ok(change_maintain(fx.db, &fx.err));
	assert_int_equal(fx.db->streams->count, 2);
}

static void
a_reader_is_woken(void **state)
{
	struct table *t = create("t", schema("pk", NULL, AV_S), NULL, 0);
	atomic_int wakes = 0;
	struct change_reader *r = open_reader("t", "toy/one", 0, true, &wakes);
	int before;

	(void)state;
	assert_ok(put(t, row(1, 0))); /* durable at once */
	assert_int_equal(atomic_load(&wakes), 1);
	engine_memory_hold_sync(fx.memory, true);
	before = atomic_load(&wakes);
	assert_ok(put(t, row(1, 1)));
	assert_int_equal(atomic_load(&wakes), before);
	engine_memory_hold_sync(fx.memory, false);
	for (int i = 0; i < 60000 && atomic_load(&wakes) == before; i++)
		usleep(1000);
	assert_true(atomic_load(&wakes) > before);
	change_reader_close(r);
	before = atomic_load(&wakes);
	assert_ok(put(t, row(1, 2)));
	usleep(5000);
	assert_int_equal(atomic_load(&wakes), before);
	table_release(t);
}

static void
a_reader_that_lags_too_long_is_told(void **state)
{
	struct table *t = create("t", schema("pk", NULL, AV_S), NULL, 0);
	struct change_reader_options options = {.name = SLICE("toy/one"), .retention_ms = 2 * DAY_MS};
	struct table_io io = blocking_io();
	struct change_reader *r;
	struct change_batch batch;
	uint32_t lane;

	(void)state;
	assert_ok(change_reader_open(fx.db, SLICE("t"), &options, &r, &fx.err));
	assert_ok(put(t, row(1, 1)));
	clock_shift_us(30 * HOUR_US);
	assert_ok(change_maintain(fx.db, &fx.err)); /* longer than a stream would keep it */
	assert_int_equal(change_reader_lanes(r, &lane, 1), 1);
	clock_shift_us(30 * HOUR_US);
	assert_ok(put(t, row(1, 2)));
	assert_ok(change_maintain(fx.db, &fx.err));
	assert_ok(change_reader_read(r, lane, 10, 1000, &io, &batch, &fx.err));
	assert_true(batch.trimmed);
	assert_int_equal(batch.count, 1);
	assert_ok(change_reader_ack(r, lane, batch.changes[0].seq, NULL, &fx.err));
	assert_ok(change_maintain(fx.db, &fx.err));
	{
		uint64_t first;

		assert_ok(log_find_first(t->core, lane, 0, UINT64_MAX, &first, &fx.err));
		assert_int_equal(first, 0); /* acknowledged by all: gone */
	}
	change_reader_close(r);
	table_release(t);
}

static void
a_reader_may_finish_what_a_dropped_table_left(void **state)
{
	struct table *t = create("t", schema("pk", NULL, AV_S), NULL, 0);
	struct change_reader *r = open_reader("t", "toy/one", CHANGE_NEW_IMAGE, false, NULL);
	struct seen seen = nothing_seen();
	struct table_description d;

	(void)state;
	assert_ok(put(t, row(1, 1)));
	table_release(t);
	assert_ok(table_delete(fx.db, SLICE("t"), &fx.arena, &d, &fx.err));
	wait_gone("t");
	assert_ok(change_maintain(fx.db, &fx.err));
	assert_int_equal(drain(r, &seen), 1);
	change_reader_close(r);
	assert_ok(change_maintain(fx.db, &fx.err)); /* nothing is left for it */
	assert_null(fx.db->streams->readers);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_reader_goes_on_where_it_stood),
	    TEST(two_readers_do_not_meet),
	    TEST(a_reader_reads_parents_before_children),
	    TEST(numbers_go_on_behind_a_split_when_the_clock_has_stepped_back),
	    TEST(a_stream_that_was_refused_does_not_come_back),
	    TEST(a_reader_is_woken),
	    TEST(a_reader_that_lags_too_long_is_told),
	    TEST(a_reader_may_finish_what_a_dropped_table_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
