/* A cache that is coherent with tables on the memory engine; changes are made behind its back. */
#include "../table/fixture.h"
#include "base/lru.h"
#include "cache/coherent.h"

#include <pthread.h>

static struct cache *cache;
static struct coherent *coherent;
static struct table *table;
static uint64_t table_id;

static int
setup_coherent(void **state)
{
	if (setup(state) != 0)
		return -1;
	table = create("t", schema("pk", "sk", AV_N), NULL, 0);
	table_id = coherent_table_id(slice_str(describe("t").id));
	cache = cache_new(16 << 20);
	assert_ok(coherent_new(cache, &fx.db, 1, &coherent, &fx.err));
	return 0;
}

static int
teardown_coherent(void **state)
{
	coherent_free(coherent);
	cache_free(cache);
	table_release(table);
	return teardown(state);
}

/* ---- the cache, as the front uses it ---- */

static struct av
key_of(int i)
{
	return item("pk", "S:p", "sk", text("N:%d", i), NULL);
}

static struct slice
key_bytes(struct arena *a, int i)
{
	struct av pk = value("S:p"), sk = value(text("N:%d", i));
	char *bytes = arena_alloc(a, (size_t)pk.len + sk.len);

	memcpy(bytes, pk.data, pk.len);
	memcpy(bytes + pk.len, sk.data, sk.len);
	return slice_of(bytes, (size_t)pk.len + sk.len);
}

static struct cache_key
cache_key_of(enum cache_kind kind, int i)
{
	struct cache_key k;

	cache_key_make(cache, &k, kind, table_id, SLICE("t"),
		       kind == CACHE_ITEMS ? key_bytes(&fx.arena, i) : SLICE("query"));
	return k;
}

/* What is found, "(miss)" when nothing is. */
static const char *
found(enum cache_kind kind, int i)
{
	struct cache_key k = cache_key_of(kind, i);
	struct buf out = {0};
	enum cache_found what = cache_get(cache, &k, &out);
	const char *copy = arena_dup(&fx.arena, buf_slice(&out)).data;

	buf_done(&out);
	return what == CACHE_HIT ? copy : what == CACHE_ABSENT ? "(absent)" : "(miss)";
}

static bool
fill(enum cache_kind kind, int i, const char *what)
{
	struct cache_key k = cache_key_of(kind, i);
	struct buf out = {0};

	cache_get(cache, &k, &out);
	cache_fill(cache, &k, CACHE_HIT, slice_str(what));
	buf_done(&out);
	return strcmp(found(kind, i), what) == 0;
}

/* Requests come until the log of the table is read. */
static void
wait_covered(void)
{
	int i = 0;

	while (!fill(CACHE_ITEMS, 999, "covered") && i++ < 120000)
		usleep(500);
	assert_string_equal(found(CACHE_ITEMS, 999), "covered");
}

static uint64_t
metric(const char *name)
{
	struct buf out = {0};
	uint64_t value_;
	const char *at;

	coherent_write_metrics(coherent, SLICE("n1"), &out);
	buf_put_byte(&out, 0);
	at = strstr(out.data, text("\n%s{node=\"n1\"} ", name));
	assert_non_null(at);
	value_ = strtoull(strchr(at, '}') + 1, NULL, 10);
	buf_done(&out);
	return value_;
}

static void
wait_passed(uint64_t records)
{
	for (int i = 0; metric("stator_dax_coherent_records_total") < records && i < 120000; i++)
		usleep(500);
	assert_int_equal(metric("stator_dax_coherent_records_total"), records);
}

/* ---- the table ---- */

static uint64_t
commit(enum write_kind kind, int i, const char *what)
{
	struct table_io io = {.arena = &fx.arena, .may_block = true};
	struct table_write w = {.kind = kind, .table = table};

	if (kind == WRITE_PUT)
		w.item = item("pk", "S:p", "sk", text("N:%d", i), "v", text("S:%s", what), NULL);
	else
		w.key = key_of(i);
	assert_ok(table_commit(&w, 1, &io, &fx.err));
	engine_memory_hold_sync(fx.memory, false); /* tells of a sync, which wakes the readers */
	return w.change_seq;
}

static void
a_table_is_kept_only_while_its_log_is_read(void **state)
{
	(void)state;
	assert_false(fill(CACHE_ITEMS, 1, "too early"));
	wait_covered();
	assert_int_equal(metric("stator_dax_coherent_tables"), 1);
	assert_true(fill(CACHE_ITEMS, 1, "item"));
	assert_true(fill(CACHE_QUERIES, 0, "page"));
}

static void
a_change_behind_its_back_ends_the_item_and_all_pages(void **state)
{
	(void)state;
	wait_covered();
	assert_true(fill(CACHE_ITEMS, 1, "one"));
	assert_true(fill(CACHE_ITEMS, 2, "two"));
	assert_true(fill(CACHE_QUERIES, 0, "page"));
	commit(WRITE_PUT, 1, "changed");
	wait_passed(1);
	assert_string_equal(found(CACHE_ITEMS, 1), "(miss)");
	assert_string_equal(found(CACHE_ITEMS, 2), "two");
	assert_string_equal(found(CACHE_QUERIES, 0), "(miss)");
	assert_true(fill(CACHE_ITEMS, 1, "changed"));
	commit(WRITE_DELETE, 1, NULL);
	wait_passed(2);
	assert_string_equal(found(CACHE_ITEMS, 1), "(miss)");
}

static void
what_was_written_through_stays_when_its_record_passes(void **state)
{
	struct cache_key k;
	uint64_t order;

	(void)state;
	wait_covered();
	k = cache_key_of(CACHE_ITEMS, 1);
	cache_begin(cache, &k);
	order = commit(WRITE_PUT, 1, "mine");
	assert_true(order > 0);
	cache_write(cache, &k, order, CACHE_HIT, SLICE("mine"));
	wait_passed(1);
	assert_string_equal(found(CACHE_ITEMS, 1), "mine");
	/* or has passed before the cache is told */
	k = cache_key_of(CACHE_ITEMS, 1);
	cache_begin(cache, &k);
	order = commit(WRITE_PUT, 1, "mine again");
	wait_passed(2);
	cache_write(cache, &k, order, CACHE_HIT, SLICE("mine again"));
	assert_string_equal(found(CACHE_ITEMS, 1), "mine again");
}

static void
a_table_made_anew_is_another_one(void **state)
{
	struct table_description d;
	uint64_t old_id = table_id;

	(void)state;
	wait_covered();
	assert_true(fill(CACHE_ITEMS, 1, "of the old table"));
	table_release(table);
	assert_ok(table_delete(fx.db, SLICE("t"), &fx.arena, &d, &fx.err));
	wait_gone("t");
	table = create("t", schema("pk", "sk", AV_N), NULL, 0);
	table_id = coherent_table_id(slice_str(describe("t").id));
	assert_int_not_equal(table_id, old_id);
	assert_string_equal(found(CACHE_ITEMS, 1), "(miss)");
	wait_covered();
	assert_true(fill(CACHE_ITEMS, 1, "of the new table"));
	commit(WRITE_PUT, 1, "changed");
	wait_passed(1);
	assert_string_equal(found(CACHE_ITEMS, 1), "(miss)");
}

/* ---- readers and writers at once ---- */

enum { ITEMS = 4, CHANGES = 400, READERS = 2 };

struct reader {
	pthread_t thread;
	unsigned hits;
};
static _Atomic bool stop;
static _Atomic int passed[ITEMS]; /* the newest value whose record has passed */
static _Atomic int stale;

/* Value of the item in the table, as text. */
static const char *
read_table(struct arena *a, struct av key)
{
	struct table_io io = {.arena = a, .may_block = true};
	struct err err;
	struct av got;

	if (table_get(table, key, &io, &got, &err) != S_OK || !av_exists(got))
		return "0";
	return arena_dup(a, av_bytes(av_get(got, SLICE("v")))).data;
}

struct raced {
	struct slice bytes;
	struct av key;
};
static struct raced raced[ITEMS];

static void *
read_all_the_time(void *context)
{
	struct reader *r = context;
	struct arena a = {0};
	struct buf out = {0};

	for (unsigned n = 0; !atomic_load(&stop); n++) {
		int i = (int)(n % ITEMS), at_least = atomic_load(&passed[i]);
		struct cache_key k;

		out.len = 0;
		cache_key_make(cache, &k, CACHE_ITEMS, table_id, SLICE("t"), raced[i].bytes);
		if (cache_get(cache, &k, &out) == CACHE_HIT) {
			buf_put_byte(&out, 0);
			r->hits++;
			if (atoi(out.data) < at_least)
				atomic_fetch_add(&stale, 1);
		} else {
			cache_fill(cache, &k, CACHE_HIT, slice_str(read_table(&a, raced[i].key)));
		}
		arena_reset(&a);
	}
	buf_done(&out);
	arena_done(&a);
	return NULL;
}

static void
no_reader_finds_anything_older_than_a_record_that_has_passed(void **state)
{
	struct reader readers[READERS] = {0};

	(void)state;
	wait_covered();
	atomic_store(&stop, false);
	for (int i = 0; i < ITEMS; i++)
		raced[i] = (struct raced){key_bytes(&fx.arena, i), key_of(i)};
	for (int r = 0; r < READERS; r++)
		assert_int_equal(pthread_create(&readers[r].thread, NULL, read_all_the_time, &readers[r]), 0);
	for (int n = 1; n <= CHANGES; n++) {
		commit(WRITE_PUT, n % ITEMS, text("%d", n));
		if (n % 8 != 0)
			continue;
		wait_passed((uint64_t)n);
		for (int i = n - 7; i <= n; i++)
			atomic_store(&passed[i % ITEMS], i);
	}
	atomic_store(&stop, true);
	for (int r = 0; r < READERS; r++) {
		pthread_join(readers[r].thread, NULL);
		assert_true(readers[r].hits > 0);
	}
	assert_int_equal(stale, 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_coherent, teardown_coherent)
	const struct CMUnitTest tests[] = {
	    TEST(a_table_is_kept_only_while_its_log_is_read),
	    TEST(a_change_behind_its_back_ends_the_item_and_all_pages),
	    TEST(what_was_written_through_stays_when_its_record_passes),
	    TEST(a_table_made_anew_is_another_one),
	    TEST(no_reader_finds_anything_older_than_a_record_that_has_passed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
