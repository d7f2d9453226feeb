/* The cache of items in front of the engine: no reader finds in it what the engine would not answer. */
#include "table/fixture.h"

#include <pthread.h>
#include <sched.h>

#define WRITERS  2
#define READERS  2
#define KEYS     8 /* written; each by one writer */
#define OTHERS   400
#define FAILURES 100

static struct table *table;
static _Atomic uint64_t known[KEYS]; /* at least so far every later answer must be: it was told to somebody */
static atomic_int writing, bad;

/* Of key number `key`: its value, 20 digits, and so many bytes more; `bytes` < 0: the key alone. */
static struct av
item_of(struct arena *a, int key, uint64_t n, int bytes)
{
	char name[32], digits[32], filler[2048];
	struct buf out = {0};
	size_t map = av_open(&out, TAG_M);
	struct slice duplicate;
	struct av v;

	snprintf(name, sizeof name, "key-%d", key);
	av_put_name(&out, SLICE("pk"));
	av_put_string(&out, slice_str(name));
	if (bytes >= 0) {
		memset(filler, 'x', sizeof filler);
		snprintf(digits, sizeof digits, "%020llu", (unsigned long long)n);
		av_put_name(&out, SLICE("n"));
		av_put_string(&out, slice_str(digits));
		av_put_name(&out, SLICE("rest"));
		av_put_string(&out, slice_of(filler, (size_t)bytes));
	}
	if (av_close_map(&out, map, bytes >= 0 ? 3 : 1, &duplicate) != S_OK)
		abort();
	v = av_of_buf(a, &out, 0);
	buf_done(&out);
	return v;
}

static uint64_t
value_of(struct av item)
{
	return av_exists(item) ? strtoull(av_bytes(av_get(item, SLICE("n"))).data, NULL, 10) : 0;
}

static void
know(int key, uint64_t n)
{
	uint64_t before = atomic_load(&known[key]);

	while (before < n && !atomic_compare_exchange_weak(&known[key], &before, n))
		continue;
}

static bool
put_value_of(struct arena *a, int key, uint64_t n, int bytes)
{
	struct table_io io = {.arena = a, .may_block = true};
	struct table_write w = {.kind = WRITE_PUT, .table = table, .item = item_of(a, key, n, bytes)};
	struct err err;

	return table_commit(&w, 1, &io, &err) == S_OK && durable(io.wait_seq);
}

static void *
write_values(void *context)
{
	int first = (int)(intptr_t)context;
	struct arena a = {0};

	for (uint64_t n = 1; n <= 3000; n++) {
		int key = first + (int)(n % (KEYS / WRITERS)) * WRITERS;

		if (put_value_of(&a, key, n, (int)(n % 7) * 200))
			know(key, n);
		arena_reset(&a);
	}
	arena_done(&a);
	atomic_fetch_sub(&writing, 1);
	return NULL;
}

static void *
read_values(void *unused)
{
	struct arena a = {0};

	(void)unused;
	for (int i = 0; atomic_load(&writing) > 0; i++) {
		int key = i % 3 != 0 ? i % KEYS : KEYS + i % OTHERS; /* those push out what is written */
		uint64_t least = key < KEYS ? atomic_load(&known[key]) : 1;
		struct table_io io = {.arena = &a, .may_block = true};
		struct av got;
		struct err err;

		if (table_get(table, item_of(&a, key, 0, -1), &io, &got, &err) != S_OK ||
		    (durable(io.wait_seq) && value_of(got) < least))
			atomic_fetch_add(&bad, 1);
		else if (key < KEYS && durable(io.wait_seq))
			know(key, value_of(got));
		arena_reset(&a);
	}
	arena_done(&a);
	return NULL;
}

static void
no_answer_is_older_than_one_before(void **state)
{
	pthread_t threads[WRITERS + READERS];

	(void)state;
	table = create("T", schema("pk", NULL, AV_S), NULL, 0);
	for (int i = 0; i < KEYS; i++)
		atomic_store(&known[i], 0);
	for (int i = KEYS; i < KEYS + OTHERS; i++)
		assert_true(put_value_of(&fx.arena, i, 1, 1000));
	atomic_store(&writing, WRITERS);
	atomic_store(&bad, 0);
	for (intptr_t i = 0; i < WRITERS + READERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, i < WRITERS ? write_values : read_values, (void *)i),
				 0);
	for (int i = 0; i < FAILURES && atomic_load(&writing) > 0; i++) {
		engine_memory_hold_sync(fx.memory, true);
		usleep(300);
		engine_memory_fail_sync(fx.memory); /* what was written meanwhile is gone, from the cache too */
		engine_memory_hold_sync(fx.memory, false);
	}
	for (int i = 0; i < WRITERS + READERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&bad), 0);
	for (int i = 0; i < KEYS; i++)
		assert_true(atomic_load(&known[i]) > 0);
	table_release(table);
}

/* By the cache, and by a page, which asks the engine. */
static void
assert_value(const char *expected)
{
	struct key_range range = {.op = KEY_ALL, .partition = {value("S:a")}};
	struct table_read read = {.table = table, .range = &range};
	struct table_io io = {.arena = &fx.arena, .may_block = true};
	struct table_page page;
	struct av got;

	assert_ok(table_get(table, item("pk", "S:a", NULL), &io, &got, &fx.err));
	assert_string_equal(string_of(got, "v"), expected);
	assert_ok(table_read_page(&read, &io, &page, &fx.err));
	assert_int_equal(page.count, 1);
	assert_string_equal(string_of(page.items[0], "v"), expected);
}

static void
a_write_that_fails_leaves_the_old_item(void **state)
{
	struct table_write w = {.kind = WRITE_PUT};
	struct table_io io = {.arena = &fx.arena, .may_block = true};
	enum status s;

	(void)state;
	w.table = table = create("T", schema("pk", NULL, AV_S), NULL, 0);
	w.item = item("pk", "S:a", "v", "S:old", NULL);
	assert_ok(table_commit(&w, 1, &io, &fx.err));
	w.item = item("pk", "S:a", "v", "S:newer, and longer", NULL);
	for (uint64_t nth = 1;; nth++) {
		assert_value("old");
		engine_faulty_arm(fx.engine, nth, S_IO);
		s = table_commit(&w, 1, &io, &fx.err);
		engine_faulty_arm(fx.engine, 0, S_OK);
		if (s == S_OK)
			break;
		assert_true(nth < 100);
	}
	assert_value("newer, and longer");
	table_release(table);
}

static void
a_table_made_again_has_none_of_the_old_items(void **state)
{
	struct table_description d;
	struct table_io io = {.arena = &fx.arena, .may_block = true};
	struct table_write w = {.kind = WRITE_PUT};
	struct av got;

	(void)state;
	w.table = table = create("T", schema("pk", NULL, AV_S), NULL, 0);
	w.item = item("pk", "S:a", "v", "S:old", NULL);
	assert_ok(table_commit(&w, 1, &io, &fx.err));
	assert_value("old");
	assert_ok(table_delete(fx.db, SLICE("T"), &fx.arena, &d, &fx.err));
	wait_gone("T");
	assert_int_equal(table_get(table, item("pk", "S:a", NULL), &io, &got, &fx.err), S_RESOURCE_NOT_FOUND);
	table_release(table);
	table = create("T", schema("pk", NULL, AV_S), NULL, 0);
	assert_ok(table_get(table, item("pk", "S:a", NULL), &io, &got, &fx.err));
	assert_false(av_exists(got));
	table_release(table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(no_answer_is_older_than_one_before, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_write_that_fails_leaves_the_old_item, setup_faulty, teardown),
	    cmocka_unit_test_setup_teardown(a_table_made_again_has_none_of_the_old_items, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
