/* Partitions that split, shards that roll, and who reads meanwhile. */
#include "streams.h"

#include <pthread.h>

static void
a_partition_that_was_split_is_not_the_most_written_for_ever(void **state)
{
	struct table *t = create("t", schema("pk", NULL, AV_S), NULL, 0);
	unsigned split = 0;

	(void)state;
	for (int i = 0; i < 400; i++)
		assert_ok(put(t, row(i, i)));
	for (int i = 0; i < 4; i++)
		assert_ok(table_split(fx.db, SLICE("t"), UINT32_MAX, &fx.err));
	for (uint32_t i = 4; i < 8; i++)
		split |= 1u << layout_of(t->core)->by_id[i]->parent;
	assert_int_equal(split, 15);
	table_release(t);
}

static void
a_split_partition_has_two_children(void **state)
{
	struct table *t = create_streamed("t", STREAM_NEW_AND_OLD_IMAGES);
	struct slice arn = describe("t").stream_arn;
	struct stream_description d;
	struct slice parent = SLICE_NONE;
	int children = 0;

	(void)state;
	for (int i = 0; i < 40; i++)
		assert_ok(put(t, row(i, 0)));
	assert_ok(table_split(fx.db, SLICE("t"), 2, &fx.err));
	assert_int_equal(layout_of(t->core)->count, 5);
	for (int i = 0; i < 40; i++)
		assert_ok(put(t, row(i, 1)));
	d = describe_stream(arn);
	assert_int_equal(d.shard_count, 6);
	assert_int_equal(open_shards(arn), 5);
	for (size_t i = 0; i < d.shard_count; i++)
		if (d.shards[i].parent.len > 0) {
			parent = d.shards[i].parent;
			children++;
		}
	assert_int_equal(children, 2);
	for (size_t i = 0; i < d.shard_count; i++)
		if (slice_eq(d.shards[i].id, parent))
			assert_int_equal(d.shards[i].partition, 2);
	assert_int_equal(read_table("t").count, 80);
	assert_int_equal(describe("t").item_count, 40);
	for (int i = 0; i < 40; i++)
		assert_same(get(t, key_of(i)), row(i, 1));
	assert_int_equal(all_pages((struct table_read){.table = t}, 7).count, 40);
	table_release(t);
}

/* ThreadSanitizer ends a process that holds 64 locks at once, as a split does. */
#ifdef STATOR_SANITIZE
#define MANY 50
#else
#define MANY PARTITIONS_MAX
#endif

static void
a_table_splits_until_there_are_enough(void **state)
{
	struct table *t = create("t", schema("pk", NULL, AV_S), NULL, 0);
	const struct layout *l;

	(void)state;
	for (int i = 0; i < MANY - 4; i++) {
		assert_ok(table_split(fx.db, SLICE("t"), UINT32_MAX, &fx.err));
		assert_ok(put(t, row(i, i)));
	}
	if (MANY == PARTITIONS_MAX)
		assert_int_equal(table_split(fx.db, SLICE("t"), 0, &fx.err), S_LIMIT_EXCEEDED);
	table_release(t);
	db_reopen();
	t = find("t");
	l = layout_of(t->core);
	assert_int_equal(l->count, MANY);
	for (uint32_t i = 1; i < l->count; i++)
		assert_true(l->ranges[i - 1].first < l->ranges[i].first);
	assert_int_equal(describe("t").item_count, MANY - 4);
	for (int i = 0; i < MANY - 4; i++)
		assert_same(get(t, key_of(i)), row(i, i));
	table_release(t);
}

static void
a_partition_that_is_written_much_splits_by_itself(void **state)
{
	struct table *t = create("t", schema("pk", NULL, AV_S), NULL, 0);
	struct partition *busy = layout_of(t->core)->by_id[1];
	const struct layout *l;
	uint64_t sorted[WRITE_SAMPLES], at = 0;

	(void)state;
	for (int i = 0; atomic_load(&busy->writes) < 2 * WRITE_SAMPLES; i++)
		assert_ok(put(t, row(i, 0)));
	memcpy(sorted, busy->samples, sizeof sorted);
	for (int look = 0; look < 12; look++) { /* a minute, for the background thread */
		assert_ok(split_where_needed(fx.db, &fx.err));
		assert_int_equal(layout_of(t->core)->count, 4);
		atomic_fetch_add(&busy->writes, 1000000000 / WRITE_SAMPLES * WRITE_SAMPLES);
	}
	assert_ok(split_where_needed(fx.db, &fx.err));
	l = layout_of(t->core);
	assert_int_equal(l->count, 5);
	assert_int_equal(l->by_id[4]->parent, 1);
	for (uint32_t i = 0; i < l->count; i++)
		if (l->ranges[i].partition == l->by_id[4])
			at = l->ranges[i].first;
	{
		int below = 0;

		for (int i = 0; i < WRITE_SAMPLES; i++)
			below += sorted[i] < at;
		assert_int_equal(below, WRITE_SAMPLES / 2); /* cut in the middle of what was written */
	}
	assert_ok(split_where_needed(fx.db, &fx.err));
	assert_int_equal(layout_of(t->core)->count, 5);
	table_release(t);
}

static void
a_partition_that_is_large_splits_by_itself(void **state)
{
	struct table *t = create("t", schema("pk", NULL, AV_S), NULL, 0);

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_ok(put(t, row(i, 0)));
	assert_ok(split_where_needed(fx.db, &fx.err));
	assert_int_equal(layout_of(t->core)->count, 4);
	fx.db->split_bytes = 400; /* of about 1,000 */
	for (int i = 0; i < 30; i++)
		assert_ok(split_where_needed(fx.db, &fx.err));
	assert_true(layout_of(t->core)->count > 4 && layout_of(t->core)->count < 40);
	assert_int_equal(describe("t").item_count, 100);
	for (int i = 0; i < 100; i++)
		assert_same(get(t, key_of(i)), row(i, 0));
	table_release(t);
}

static void
indexes_are_kept_across_splits(void **state)
{
	struct table_index_spec indexes[] = {
	    {.name = SLICE("local"), .schema = schema("pk", "v", AV_N), .projection = PROJECT_ALL},
	    {.name = SLICE("global"), .global = true, .schema = schema("g", NULL, AV_S), .projection = PROJECT_ALL}};
	struct table *t = create("t", schema("pk", "sk", AV_S), indexes, 2);
	struct table_description d;

	(void)state;
	for (int i = 0; i < 60; i++) {
		assert_ok(put(
		    t, item("pk", text("S:%d", i % 9), "sk", text("S:%d", i), "v", text("N:%d", i), "g", "S:g", NULL)));
		if (i % 10 == 9)
			assert_ok(table_split(fx.db, SLICE("t"), UINT32_MAX, &fx.err));
	}
	for (int i = 0; i < 60; i += 2)
		assert_ok(delete (t, item("pk", text("S:%d", i % 9), "sk", text("S:%d", i), NULL)));
	d = describe("t");
	assert_int_equal(d.item_count, 30);
	assert_int_equal(d.indexes[0].item_count, 30);
	assert_int_equal(d.indexes[1].item_count, 30);
	assert_int_equal(
	    all_pages((struct table_read){.table = t, .index = table_index_find(t, SLICE("global"))}, 4).count, 30);
	table_release(t);
	db_reopen();
	assert_int_equal(describe("t").item_count, 30);
	assert_int_equal(describe("t").indexes[1].item_count, 30);
}

#define WRITERS 3
#define WRITES  1500

static atomic_bool writing;

static void *
write_much(void *context)
{
	long me = (long)context;
	struct arena a = {0};

	for (int i = 1; i <= WRITES; i++) {
		struct buf out = {0};
		struct table *t;
		struct table_io io = {.arena = &a, .may_block = true};
		struct table_write w = {.kind = WRITE_PUT};
		struct number n;
		uint8_t encoded[NUMBER_ENCODED_MAX];
		char line[32];
		size_t map;

		if (table_find(fx.db, SLICE("t"), &t, NULL) != S_OK)
			abort();
		map = av_open(&out, TAG_M);
		av_put_name(&out, SLICE("pk"));
		snprintf(line, sizeof line, "%ld-%d", me, i % 25);
		av_put_string(&out, slice_str(line));
		av_put_name(&out, SLICE("v"));
		snprintf(line, sizeof line, "%d", i);
		if (number_parse(slice_str(line), &n, NULL) != S_OK)
			abort();
		av_put_number(&out, slice_of(encoded, number_encode(&n, encoded)));
		if (av_close_map(&out, map, 2, NULL) != S_OK)
			abort();
		w.table = t;
		w.item = (struct av){(const uint8_t *)out.data, (uint32_t)out.len};
		if (table_commit(&w, 1, &io, NULL) != S_OK)
			abort();
		if (w.change_seq == 0)
			abort();
		buf_done(&out);
		table_release(t);
		arena_reset(&a);
	}
	arena_done(&a);
	expr_cache_done();
	return NULL;
}

static void *
split_much(void *context)
{
	int *splits = context, rolls = 0; /* both bounded: a slow machine must not make more shards than are followed */

	do {
		if (*splits < 40 && table_split(fx.db, SLICE("t"), UINT32_MAX, NULL) == S_OK)
			(*splits)++;
		if (rolls++ < 90 && change_roll(fx.db, SLICE("t"), NULL) != S_OK)
			abort();
		usleep(2000);
	} while (atomic_load(&writing));
	expr_cache_done();
	return NULL;
}

static void
every_write_is_in_the_stream_once_and_in_order(void **state) /* while partitions split and shards roll */
{
	struct table *t = create_streamed("t", STREAM_NEW_AND_OLD_IMAGES);
	pthread_t writers[WRITERS], splitter;
	struct stream_description d;
	struct seen seen = nothing_seen();
	int splits = 0;
	struct {
		const char *key;
		struct av last;
	} items[WRITERS * 25] = {{0}};

	(void)state;
	atomic_store(&writing, true);
	for (long i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&writers[i], NULL, write_much, (void *)i), 0);
	assert_int_equal(pthread_create(&splitter, NULL, split_much, &splits), 0);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(writers[i], NULL);
	atomic_store(&writing, false);
	pthread_join(splitter, NULL);
	assert_true(splits > 0);
	d = describe_stream(describe("t").stream_arn);
	for (size_t i = 0; i < d.shard_count; i++)
		read_shard(d.name.arn, d.shards[i].id, 100, &seen);
	assert_int_equal(seen.count, WRITERS * WRITES);
	for (size_t i = 0; i < seen.count; i++) {
		const char *key = string_of(seen.changes[i].keys, "pk");
		size_t n = 0;

		while (items[n].key != NULL && strcmp(items[n].key, key) != 0)
			n++;
		assert_same(seen.changes[i].old_image, items[n].key != NULL ? items[n].last : AV_NONE);
		items[n].key = key;
		items[n].last = seen.changes[i].new_image;
	}
	for (size_t n = 0; n < WRITERS * 25; n++)
		assert_same(get(t, item("pk", text("S:%s", items[n].key), NULL)), items[n].last);
	table_release(t);
}

struct followed {
	struct slice id;
	uint64_t next;
	bool ended;
};

/* A page of each shard that is there, the way a client reads them. */
static void
follow_once(struct slice arn, struct followed *shards, size_t *count, struct seen *seen)
{
	struct stream_description d = describe_stream(arn);

	for (size_t i = 0; i < d.shard_count; i++) {
		struct table_io io = blocking_io();
		struct stream_page page;
		size_t n = 0;

		while (n < *count && !slice_eq(shards[n].id, d.shards[i].id))
			n++;
		if (n == *count) {
			assert_true(n < 4000);
			shards[(*count)++] = (struct followed){.id = d.shards[i].id, .next = d.shards[i].first};
		}
		if (shards[n].ended)
			continue;
		assert_ok(stream_read(fx.db, arn, shards[n].id, shards[n].next, 1000, 1 << 20, &io, see, seen, &page,
				      &fx.err));
		shards[n].next = page.next_seq;
		shards[n].ended = page.ended;
	}
}

static void
what_is_written_behind_a_shard_is_only_its_childs(void **state) /* also for who reads it while it is being closed */
{
	struct table *t = create_streamed("t", STREAM_KEYS_ONLY);
	struct slice arn = describe("t").stream_arn;
	struct followed *shards = ARENA_ARRAY(&fx.arena, struct followed, 4000);
	struct seen seen = nothing_seen();
	struct stream_description d = describe_stream(arn), after;
	struct pinned pins[PARTITIONS_MAX];
	pthread_t writer, splitter;
	size_t count = 0;
	int splits = 0;

	(void)state;
	assert_ok(put(t, row(1, 1)));
	for (size_t i = 0; i < d.shard_count;
	     i++) /* taken hold of before it is closed, read after its child was written */
		assert_ok(stream_pin(fx.db, arn, d.shards[i].id, &pins[i], &fx.err));
	assert_ok(change_roll(fx.db, SLICE("t"), &fx.err));
	assert_ok(put(t, row(1, 2)));
	after = describe_stream(arn);
	assert_int_equal(after.shard_count, d.shard_count + 1);
	for (size_t i = 0; i < d.shard_count; i++) {
		assert_true(pins[i].found && pins[i].shard.last == 0);
		assert_true(pins[i].through < after.shards[after.shard_count - 1].first);
		core_release(pins[i].core);
	}
	atomic_store(&writing, true);
	assert_int_equal(pthread_create(&writer, NULL, write_much, (void *)0L), 0);
	assert_int_equal(pthread_create(&splitter, NULL, split_much, &splits), 0);
	while (seen.count < 2 + WRITES)
		follow_once(arn, shards, &count, &seen);
	pthread_join(writer, NULL);
	atomic_store(&writing, false);
	pthread_join(splitter, NULL);
	follow_once(arn, shards, &count, &seen);
	follow_once(arn, shards, &count, &seen);
	assert_int_equal(seen.count, 2 + WRITES);
	for (size_t i = 0; i < seen.count; i++)
		for (size_t n = 0; n < i; n++)
			assert_false(seen.changes[i].seq == seen.changes[n].seq &&
				     seen.partitions[i] == seen.partitions[n]);
	table_release(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_partition_that_was_split_is_not_the_most_written_for_ever),
	    TEST(a_split_partition_has_two_children),
	    TEST(a_table_splits_until_there_are_enough),
	    TEST(a_partition_that_is_written_much_splits_by_itself),
	    TEST(a_partition_that_is_large_splits_by_itself),
	    TEST(indexes_are_kept_across_splits),
	    TEST(every_write_is_in_the_stream_once_and_in_order),
	    TEST(what_is_written_behind_a_shard_is_only_its_childs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
