#include "base/clock.h"
#include "cache/cache.h"

#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define TABLE 7

static struct cache_key
key_in(struct cache *c, enum cache_kind kind, uint64_t table, const char *bytes)
{
	struct cache_key k;
	char name[32];

	snprintf(name, sizeof name, "table-%llu", (unsigned long long)table);
	cache_key_make(c, &k, kind, table, slice_str(name), slice_str(bytes));
	return k;
}

static struct cache_key
item(struct cache *c, const char *bytes)
{
	return key_in(c, CACHE_ITEMS, TABLE, bytes);
}

/* What is found: the value, "(absent)", or "(miss)". Valid until the next call. */
static const char *
found(struct cache *c, struct cache_key k)
{
	static char text[256];
	struct buf out = {0};
	enum cache_found what = cache_get(c, &k, &out);

	snprintf(text, sizeof text, "%s", what == CACHE_MISS ? "(miss)" : what == CACHE_ABSENT ? "(absent)" : "");
	if (what == CACHE_HIT)
		snprintf(text, sizeof text, "%.*s", SLICE_ARG(buf_slice(&out)));
	buf_done(&out);
	return text;
}

static const char *
found_item(struct cache *c, const char *bytes)
{
	return found(c, item(c, bytes));
}

static void
fill(struct cache *c, struct cache_key k, const char *value)
{
	struct buf out = {0};

	assert_int_equal(cache_get(c, &k, &out), CACHE_MISS);
	cache_fill(c, &k, value != NULL ? CACHE_HIT : CACHE_ABSENT, slice_str(value));
}

static void
write_item(struct cache *c, const char *bytes, uint64_t order, const char *value)
{
	struct cache_key k = item(c, bytes);

	cache_begin(c, &k);
	cache_write(c, &k, order, value != NULL ? CACHE_HIT : CACHE_ABSENT, slice_str(value));
}

static void
what_the_table_answered_is_found(void **state)
{
	struct cache *c = cache_new(16 << 20);

	(void)state;
	fill(c, item(c, "a"), "one");
	fill(c, item(c, "b"), NULL);
	fill(c, item(c, ""), "");
	assert_string_equal(found_item(c, "a"), "one");
	assert_string_equal(found_item(c, "b"), "(absent)");
	assert_string_equal(found_item(c, ""), "");
	assert_string_equal(found_item(c, "c"), "(miss)");
	cache_free(c);
}

static void
tables_items_and_queries_are_told_apart(void **state)
{
	struct cache *c = cache_new(16 << 20);

	(void)state;
	fill(c, item(c, "a"), "item");
	fill(c, key_in(c, CACHE_QUERIES, TABLE, "a"), "page");
	fill(c, key_in(c, CACHE_ITEMS, 8, "a"), "of another table");
	assert_string_equal(found_item(c, "a"), "item");
	assert_string_equal(found(c, key_in(c, CACHE_QUERIES, TABLE, "a")), "page");
	assert_string_equal(found(c, key_in(c, CACHE_ITEMS, 8, "a")), "of another table");
	assert_string_equal(found(c, key_in(c, CACHE_QUERIES, 8, "a")), "(miss)");
	cache_free(c);
}

static void
an_entry_lives_as_long_as_its_cache_says(void **state)
{
	struct cache *c = cache_new(16 << 20);

	(void)state;
	cache_set_ttl(c, CACHE_QUERIES, 60000);
	fill(c, item(c, "a"), "item");
	fill(c, item(c, "none"), NULL);
	fill(c, key_in(c, CACHE_QUERIES, TABLE, "q"), "page");
	clock_shift_us(59 * 1000000LL);
	assert_string_equal(found(c, key_in(c, CACHE_QUERIES, TABLE, "q")), "page");
	clock_shift_us(1 * 1000000LL);
	assert_string_equal(found(c, key_in(c, CACHE_QUERIES, TABLE, "q")), "(miss)");
	clock_shift_us(239 * 1000000LL);
	assert_string_equal(found_item(c, "a"), "item"); /* a hit makes it no younger */
	assert_string_equal(found_item(c, "none"), "(absent)");
	clock_shift_us(1 * 1000000LL);
	assert_string_equal(found_item(c, "a"), "(miss)");
	assert_string_equal(found_item(c, "none"), "(miss)");
	assert_int_equal(cache_figures(c, CACHE_ITEMS).expired, 2);
	assert_int_equal(cache_figures(c, CACHE_ITEMS).entries, 0);
	cache_free(c);
}

static void
a_new_time_to_live_holds_for_what_is_there(void **state)
{
	struct cache *c = cache_new(16 << 20);

	(void)state;
	fill(c, item(c, "a"), "one");
	cache_set_ttl(c, CACHE_ITEMS, 0);
	clock_shift_us(365LL * 86400 * 1000000);
	assert_string_equal(found_item(c, "a"), "one"); /* 0: for ever */
	cache_set_ttl(c, CACHE_ITEMS, 1000);
	assert_string_equal(found_item(c, "a"), "(miss)");
	cache_free(c);
}

static void
queries_with_no_time_to_live_are_not_cached(void **state)
{
	struct cache *c = cache_new(16 << 20);

	(void)state;
	fill(c, key_in(c, CACHE_QUERIES, TABLE, "q"), "page");
	cache_set_ttl(c, CACHE_QUERIES, 0);
	assert_string_equal(found(c, key_in(c, CACHE_QUERIES, TABLE, "q")), "(miss)");
	fill(c, key_in(c, CACHE_QUERIES, TABLE, "r"), "page");
	cache_set_ttl(c, CACHE_QUERIES, 1000);
	assert_string_equal(found(c, key_in(c, CACHE_QUERIES, TABLE, "r")), "(miss)");
	cache_free(c);
}

static void
a_clock_set_back_makes_no_entry_live_longer(void **state)
{
	struct cache *c = cache_new(16 << 20);

	(void)state;
	fill(c, item(c, "a"), "one");
	clock_shift_us(-3600LL * 1000000);
	assert_string_equal(found_item(c, "a"), "(miss)");
	clock_shift_us(3600LL * 1000000);
	cache_free(c);
}

static void
a_write_is_seen_by_items_and_not_by_queries(void **state)
{
	struct cache *c = cache_new(16 << 20);

	(void)state;
	fill(c, item(c, "a"), "old");
	fill(c, key_in(c, CACHE_QUERIES, TABLE, "q"), "page with old");
	write_item(c, "a", 0, "new");
	assert_string_equal(found_item(c, "a"), "new");
	assert_string_equal(found(c, key_in(c, CACHE_QUERIES, TABLE, "q")), "page with old");
	write_item(c, "a", 0, NULL);
	assert_string_equal(found_item(c, "a"), "(absent)");
	write_item(c, "never read", 0, "written");
	assert_string_equal(found_item(c, "never read"), "written");
	cache_free(c);
}

static void
a_slow_read_does_not_overwrite_a_write(void **state)
{
	struct cache *c = cache_new(16 << 20);
	struct cache_key reader = item(c, "a");
	struct buf out = {0};

	(void)state;
	assert_int_equal(cache_get(c, &reader, &out), CACHE_MISS);
	write_item(c, "a", 0, "new");
	cache_fill(c, &reader, CACHE_HIT, SLICE("old"));
	assert_string_equal(found_item(c, "a"), "new");
	assert_int_equal(cache_figures(c, CACHE_ITEMS).rejected, 1);
	cache_free(c);
}

static void
overlapping_writes_of_unknown_order_leave_nothing(void **state)
{
	struct cache *c = cache_new(16 << 20);
	struct cache_key one = item(c, "a"), two = item(c, "a");

	(void)state;
	cache_begin(c, &one);
	cache_begin(c, &two);
	cache_write(c, &two, 0, CACHE_HIT, SLICE("two"));
	cache_write(c, &one, 0, CACHE_HIT, SLICE("one"));
	assert_string_equal(found_item(c, "a"), "(miss)");
	cache_free(c);
}

static void
of_overlapping_writes_the_last_in_order_stays(void **state)
{
	static const uint64_t orders[][3] = {{11, 12, 13}, {13, 12, 11}, {12, 13, 11}, {13, 11, 12}};

	(void)state;
	for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
		struct cache *c = cache_new(16 << 20);
		struct cache_key writers[3];
		char value[8];

		for (int w = 0; w < 3; w++) {
			writers[w] = item(c, "a");
			cache_begin(c, &writers[w]);
		}
		for (int w = 0; w < 3; w++) {
			snprintf(value, sizeof value, "%d", (int)orders[i][w]);
			cache_write(c, &writers[w], orders[i][w], CACHE_HIT, slice_str(value));
		}
		assert_string_equal(found_item(c, "a"), "13");
		cache_free(c);
	}
}

static void
a_write_of_unknown_outcome_ends_the_entry_and_what_overlaps(void **state)
{
	struct cache *c = cache_new(16 << 20);
	struct cache_key lost = item(c, "a"), slow = item(c, "a"), reader = item(c, "a");
	struct buf out = {0};

	(void)state;
	write_item(c, "a", 5, "before");
	cache_begin(c, &slow);
	cache_begin(c, &lost);
	cache_drop(c, &lost);
	assert_int_equal(cache_get(c, &reader, &out), CACHE_MISS);
	cache_write(c, &slow, 6, CACHE_HIT, SLICE("perhaps overwritten"));
	assert_string_equal(found_item(c, "a"), "(miss)");
	cache_fill(c, &reader, CACHE_HIT, SLICE("perhaps read before"));
	assert_string_equal(found_item(c, "a"), "(miss)");
	cache_free(c);
}

static void
a_change_ends_what_is_older_than_it(void **state)
{
	struct cache *c = cache_new(16 << 20);
	struct cache_key reader = item(c, "b"), writer = item(c, "c");
	struct buf out = {0};

	(void)state;
	fill(c, item(c, "a"), "old");
	fill(c, key_in(c, CACHE_QUERIES, TABLE, "q"), "page");
	fill(c, key_in(c, CACHE_QUERIES, 8, "q"), "page of another table");
	assert_int_equal(cache_get(c, &reader, &out), CACHE_MISS);
	cache_begin(c, &writer);
	cache_changed(c, TABLE, SLICE("a"), 21);
	cache_changed(c, TABLE, SLICE("b"), 22);
	cache_changed(c, TABLE, SLICE("c"), 24);
	cache_fill(c, &reader, CACHE_HIT, SLICE("read before"));
	cache_write(c, &writer, 23, CACHE_HIT, SLICE("overwritten by 24"));
	assert_string_equal(found_item(c, "a"), "(miss)");
	assert_string_equal(found_item(c, "b"), "(miss)");
	assert_string_equal(found_item(c, "c"), "(miss)");
	assert_string_equal(found(c, key_in(c, CACHE_QUERIES, TABLE, "q")), "(miss)");
	assert_string_equal(found(c, key_in(c, CACHE_QUERIES, 8, "q")), "page of another table");
	cache_free(c);
}

static void
the_record_of_a_write_through_leaves_its_entry(void **state)
{
	struct cache *c = cache_new(16 << 20);
	struct cache_key writer = item(c, "b");

	(void)state;
	write_item(c, "a", 31, "new");
	cache_changed(c, TABLE, SLICE("a"), 31); /* afterwards */
	assert_string_equal(found_item(c, "a"), "new");
	cache_begin(c, &writer);
	cache_changed(c, TABLE, SLICE("b"), 32); /* or in between */
	cache_write(c, &writer, 32, CACHE_HIT, SLICE("new"));
	assert_string_equal(found_item(c, "b"), "new");
	cache_free(c);
}

static void
a_page_read_before_a_change_is_not_kept_after_it(void **state)
{
	struct cache *c = cache_new(16 << 20);
	struct cache_key reader = key_in(c, CACHE_QUERIES, TABLE, "q");
	struct buf out = {0};

	(void)state;
	assert_int_equal(cache_get(c, &reader, &out), CACHE_MISS);
	cache_changed(c, TABLE, SLICE("a"), 1);
	cache_fill(c, &reader, CACHE_HIT, SLICE("page"));
	assert_string_equal(found(c, key_in(c, CACHE_QUERIES, TABLE, "q")), "(miss)");
	cache_free(c);
}

static void
a_cleared_table_keeps_nothing_also_of_answers_on_their_way(void **state)
{
	struct cache *c = cache_new(16 << 20);
	struct cache_key reader = item(c, "b"), writer = item(c, "c");
	struct buf out = {0};

	(void)state;
	fill(c, item(c, "a"), "one");
	fill(c, key_in(c, CACHE_ITEMS, 8, "a"), "of another table");
	assert_int_equal(cache_get(c, &reader, &out), CACHE_MISS);
	cache_begin(c, &writer);
	cache_clear_table(c, TABLE);
	cache_fill(c, &reader, CACHE_HIT, SLICE("old"));
	cache_write(c, &writer, 0, CACHE_HIT, SLICE("old"));
	assert_string_equal(found_item(c, "a"), "(miss)");
	assert_string_equal(found_item(c, "b"), "(miss)");
	assert_string_equal(found_item(c, "c"), "(miss)");
	assert_string_equal(found(c, key_in(c, CACHE_ITEMS, 8, "a")), "of another table");
	cache_clear(c);
	assert_string_equal(found(c, key_in(c, CACHE_ITEMS, 8, "a")), "(miss)");
	assert_int_equal(cache_figures(c, CACHE_ITEMS).entries, 0);
	assert_int_equal(cache_figures(c, CACHE_ITEMS).bytes, 0);
	cache_free(c);
}

static void
the_least_recently_used_make_room_and_the_budget_holds(void **state)
{
	enum { BUDGET = 4 << 20, KEYS = 20000 };
	struct cache *c = cache_new(BUDGET);
	char value[1000], bytes[32];
	int kept = 0;

	(void)state;
	memset(value, 'v', sizeof value);
	fill(c, item(c, "favourite"), "kept");
	fill(c, key_in(c, CACHE_QUERIES, TABLE, "forgotten"), "page");
	for (int i = 0; i < KEYS; i++) {
		struct cache_key k;
		struct buf out = {0};

		snprintf(bytes, sizeof bytes, "key-%d", i);
		k = item(c, bytes);
		assert_int_equal(cache_get(c, &k, &out), CACHE_MISS);
		cache_fill(c, &k, CACHE_HIT, slice_of(value, sizeof value));
		assert_string_equal(found_item(c, "favourite"), "kept");
	}
	assert_string_equal(found(c, key_in(c, CACHE_QUERIES, TABLE, "forgotten")), "(miss)");
	for (int i = 0; i < KEYS; i++) {
		snprintf(bytes, sizeof bytes, "key-%d", i);
		kept += found_item(c, bytes)[0] == 'v';
	}
	assert_in_range(kept, BUDGET / 1250, BUDGET / 1000);
	assert_int_equal(cache_figures(c, CACHE_ITEMS).entries, kept + 1);
	assert_int_equal(cache_figures(c, CACHE_ITEMS).evictions, KEYS - kept);
	assert_int_equal(cache_figures(c, CACHE_QUERIES).evictions, 1);
	assert_in_range(cache_figures(c, CACHE_ITEMS).bytes, (uint64_t)kept * 1000, BUDGET);
	cache_free(c);
}

static void
a_value_too_large_to_keep_ends_the_older_one(void **state)
{
	struct cache *c = cache_new(1 << 20);
	struct cache_key k = item(c, "a");
	char *value = calloc(1, 1 << 20);

	(void)state;
	write_item(c, "a", 0, "old");
	cache_begin(c, &k);
	cache_write(c, &k, 0, CACHE_HIT, slice_of(value, 1 << 20));
	assert_string_equal(found_item(c, "a"), "(miss)");
	free(value);
	cache_free(c);
}

static uint64_t
metric(struct cache *c, const char *line)
{
	struct buf text = {0};
	char *at;
	uint64_t value;

	cache_write_metrics(c, SLICE("n1"), &text);
	buf_put_byte(&text, 0);
	at = strstr(text.data, line);
	if (at == NULL)
		fail_msg("no %s in\n%s", line, text.data);
	value = strtoull(at + strlen(line), NULL, 10);
	buf_done(&text);
	return value;
}

static size_t
resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	size_t pages = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*s %zu", &pages), 1);
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void
fill_with(struct cache *c, uint64_t *next, size_t bytes, size_t least, size_t most)
{
	static char value[8192];

	for (size_t put = 0; put < bytes;) {
		size_t len = least + (size_t)rand() % (most - least + 1);
		struct buf out = {0};
		struct cache_key k;
		char text[32];

		snprintf(text, sizeof text, "item-%010llu", (unsigned long long)(*next)++);
		k = item(c, text);
		assert_int_equal(cache_get(c, &k, &out), CACHE_MISS);
		memset(value, (int)*next, len);
		cache_fill(c, &k, CACHE_HIT, slice_of(value, len));
		put += len;
	}
}

/* Values of other and other sizes: what makes an allocator keep twice what is in use. */
static void
the_process_takes_no_more_than_the_budget(void **state)
{
	enum { BUDGET = 16 << 20 };
	size_t before = resident_bytes();
	struct cache *c = cache_new(BUDGET);
	uint64_t next = 0;

	(void)state;
	fill_with(c, &next, 2 * BUDGET, 1024, 1024);
	assert_true(BUDGET / cache_figures(c, CACHE_ITEMS).entries <= 1280); /* an item of 1 KB takes 1.25 KB at most */
	for (int round = 0; round < 8; round++)
		fill_with(c, &next, 2 * BUDGET, 50, round % 2 ? 300 : 8192);
	fill_with(c, &next, 2 * BUDGET, 1024, 1024);
	assert_true(BUDGET / cache_figures(c, CACHE_ITEMS).entries <= 1280);
	assert_in_range(metric(c, "stator_dax_cache_memory_bytes{node=\"n1\"} "), BUDGET * 9 / 10, BUDGET);
#ifndef STATOR_SANITIZE /* has memory of its own for each byte */
	assert_in_range(resident_bytes() - before, BUDGET / 2, BUDGET + (1 << 20)); /* and what the test takes itself */
#else
	(void)before;
#endif
	cache_clear(c);
	assert_int_equal(cache_figures(c, CACHE_ITEMS).entries, 0);
#ifndef STATOR_SANITIZE
	assert_true(resident_bytes() - before < BUDGET / 4); /* given back */
#endif
	cache_free(c);
}

static void
without_a_budget_nothing_is_kept(void **state)
{
	struct cache *c = cache_new(0);

	(void)state;
	fill(c, item(c, "a"), "one");
	write_item(c, "b", 0, "two");
	assert_string_equal(found_item(c, "a"), "(miss)");
	assert_string_equal(found_item(c, "b"), "(miss)");
	cache_free(c);
}

static void
a_page_of_a_megabyte_is_kept_and_comes_back_whole(void **state)
{
	enum { LEN = 1200000 };
	struct cache *c = cache_new(CACHE_BUDGET_DEFAULT);
	struct cache_key k = key_in(c, CACHE_QUERIES, TABLE, "q");
	struct buf out = {0};
	char *page = malloc(LEN);

	(void)state;
	for (int i = 0; i < LEN; i++)
		page[i] = (char)(i * 31);
	assert_int_equal(cache_get(c, &k, &out), CACHE_MISS);
	cache_fill(c, &k, CACHE_HIT, slice_of(page, LEN));
	buf_put_lit(&out, "before");
	assert_int_equal(cache_get(c, &k, &out), CACHE_HIT);
	assert_int_equal(out.len, LEN + 6);
	assert_memory_equal(out.data, "before", 6);
	assert_memory_equal(out.data + 6, page, LEN);
	buf_done(&out);
	free(page);
	cache_free(c);
}

static void
a_peek_counts_hits_only(void **state)
{
	struct cache *c = cache_new(16 << 20);
	struct cache_key k = item(c, "a");
	struct buf out = {0};

	(void)state;
	assert_int_equal(cache_peek(c, &k, &out), CACHE_MISS);
	assert_int_equal(cache_figures(c, CACHE_ITEMS).misses, 0);
	fill(c, item(c, "a"), "one");
	assert_int_equal(cache_peek(c, &k, &out), CACHE_HIT);
	assert_int_equal(cache_figures(c, CACHE_ITEMS).hits, 1);
	assert_int_equal(out.len, 3);
	buf_done(&out);
	cache_free(c);
}

static bool
covers_table_8(void *context, uint64_t table_id, struct slice table_name)
{
	assert_string_equal((const char *)context, "context");
	assert_true(slice_eq(table_name, table_id == 8 ? SLICE("table-8") : SLICE("table-7")));
	return table_id == 8;
}

static void
what_is_not_covered_is_not_kept(void **state)
{
	struct cache *c = cache_new(16 << 20);

	(void)state;
	cache_cover(c, covers_table_8, "context");
	fill(c, item(c, "a"), "one");
	write_item(c, "b", 0, "two");
	fill(c, key_in(c, CACHE_QUERIES, TABLE, "q"), "page");
	assert_string_equal(found_item(c, "a"), "(miss)");
	assert_string_equal(found_item(c, "b"), "(miss)");
	assert_string_equal(found(c, key_in(c, CACHE_QUERIES, TABLE, "q")), "(miss)");
	fill(c, key_in(c, CACHE_ITEMS, 8, "a"), "one");
	assert_string_equal(found(c, key_in(c, CACHE_ITEMS, 8, "a")), "one");
	cache_free(c);
}

static void
a_hit_allocates_nothing(void **state)
{
	struct cache *c = cache_new(16 << 20);
	struct buf out = {0};
	char value[1024] = {0};
	struct cache_key k = item(c, "a");
	size_t before;

	(void)state;
	buf_reserve(&out, 4096);
	assert_int_equal(cache_get(c, &k, &out), CACHE_MISS);
	cache_fill(c, &k, CACHE_HIT, slice_of(value, sizeof value));
	before = mallinfo2().uordblks;
	for (int i = 0; i < 1000; i++) {
		k = item(c, "a");
		out.len = 0;
		assert_int_equal(cache_get(c, &k, &out), CACHE_HIT);
		cache_timed(c, &k, true, 1000);
	}
	assert_int_equal(mallinfo2().uordblks, before);
	buf_done(&out);
	cache_free(c);
}

static void
figures_are_told_by_cache_and_table(void **state)
{
	struct cache *c = cache_new(16 << 20);
	struct cache_key k = item(c, "a");

	(void)state;
	fill(c, item(c, "a"), "one");
	found_item(c, "a");
	found_item(c, "a");
	fill(c, item(c, "b"), NULL);
	found_item(c, "b");
	fill(c, key_in(c, CACHE_QUERIES, 8, "q"), "page");
	cache_timed(c, &k, true, 3000);
	cache_timed(c, &k, true, 2000000);
	assert_int_equal(metric(c, "stator_dax_cache_hits_total{node=\"n1\",cache=\"item\",table=\"table-7\"} "), 3);
	assert_int_equal(metric(c, "stator_dax_cache_absent_hits_total{node=\"n1\",cache=\"item\",table=\"table-7\"} "),
			 1);
	assert_int_equal(metric(c, "stator_dax_cache_misses_total{node=\"n1\",cache=\"item\",table=\"table-7\"} "), 2);
	assert_int_equal(metric(c, "stator_dax_cache_entries{node=\"n1\",cache=\"query\",table=\"table-8\"} "), 1);
	assert_int_equal(metric(c, "stator_dax_cache_table_seconds_count{node=\"n1\",cache=\"item\",table=\"table-7\","
				   "result=\"hit\"} "),
			 2);
	assert_int_equal(metric(c, "stator_dax_cache_seconds_bucket{node=\"n1\",cache=\"item\",result=\"hit\","
				   "le=\"0.000005\"} "),
			 1);
	assert_int_equal(metric(c, "stator_dax_cache_seconds_bucket{node=\"n1\",cache=\"item\",result=\"hit\","
				   "le=\"+Inf\"} "),
			 2);
	assert_int_equal(metric(c, "stator_dax_cache_budget_bytes{node=\"n1\"} "), 16 << 20);
	cache_free(c);
}

static void
any_number_of_tables_makes_a_bounded_number_of_figures(void **state)
{
	enum { TABLES = 5 * CACHE_TABLES_MAX };
	struct cache *c = cache_new(16 << 20);
	struct buf text = {0};
	int lines = 0;

	(void)state;
	for (uint64_t t = 1; t <= TABLES; t++)
		fill(c, key_in(c, CACHE_ITEMS, t, "a"), "one");
	for (uint64_t t = 1; t <= TABLES; t++)
		assert_string_equal(found(c, key_in(c, CACHE_ITEMS, t, "a")), "one");
	assert_int_equal(cache_figures(c, CACHE_ITEMS).hits, TABLES);
	assert_int_equal(cache_figures(c, CACHE_ITEMS).entries, TABLES);
	cache_write_metrics(c, SLICE("n1"), &text);
	buf_put_byte(&text, 0);
	for (char *at = text.data; (at = strstr(at, "\nstator_dax_cache_hits_total{")) != NULL; at++)
		lines++;
	assert_int_equal(lines, CACHE_TABLES_MAX + 1);
	buf_done(&text);
	cache_free(c);
}

static void
a_table_without_entries_gives_its_place_away(void **state)
{
	struct cache *c = cache_new(16 << 20);

	(void)state;
	for (uint64_t t = 1; t <= CACHE_TABLES_MAX; t++)
		fill(c, key_in(c, CACHE_ITEMS, t, "a"), "one");
	cache_clear_table(c, 5);
	fill(c, key_in(c, CACHE_ITEMS, 1000, "a"), "one");
	assert_int_equal(metric(c, "stator_dax_cache_entries{node=\"n1\",cache=\"item\",table=\"table-1000\"} "), 1);
	/* what was counted of it is not lost */
	assert_int_equal(metric(c, "stator_dax_cache_misses_total{node=\"n1\",cache=\"item\",table=\"(other)\"} "), 1);
	assert_int_equal(cache_figures(c, CACHE_ITEMS).misses, CACHE_TABLES_MAX + 1);
	cache_free(c);
}

/* ---- several threads ---- */

enum { THREADS = 4, ROUNDS = 20000, RACED = 16 };

/*
 * A table of RACED items, each a number that only rises, written and read by all threads. A write is told to the cache
 * after the table took it; `told` is what was told at most. No reader may find less than was told before it looked.
 */
struct race {
	struct cache *c;
	bool ordered;
	pthread_mutex_t table_lock;
	uint64_t table[RACED];
	_Atomic uint64_t told[RACED];
	_Atomic uint64_t stale;
};

static void
raise_told(_Atomic uint64_t *told, uint64_t to)
{
	uint64_t was = atomic_load(told);

	while (was < to && !atomic_compare_exchange_weak(told, &was, to))
		continue;
}

static void
race_write(struct race *r, struct cache_key *k, unsigned i)
{
	uint64_t value;

	cache_begin(r->c, k);
	pthread_mutex_lock(&r->table_lock);
	value = ++r->table[i];
	pthread_mutex_unlock(&r->table_lock);
	if (value % 16 == 0)
		cache_drop(r->c, k);
	else
		cache_write(r->c, k, r->ordered ? value : 0, CACHE_HIT, slice_of(&value, sizeof value));
	raise_told(&r->told[i], value);
}

static void
race_read(struct race *r, struct cache_key *k, unsigned i, struct buf *out)
{
	uint64_t at_least = atomic_load(&r->told[i]), value;

	out->len = 0;
	if (cache_get(r->c, k, out) == CACHE_HIT) {
		memcpy(&value, out->data, sizeof value);
	} else {
		pthread_mutex_lock(&r->table_lock);
		value = r->table[i];
		pthread_mutex_unlock(&r->table_lock);
		cache_fill(r->c, k, CACHE_HIT, slice_of(&value, sizeof value));
	}
	if (value < at_least)
		atomic_fetch_add(&r->stale, 1);
}

static _Atomic unsigned seeds;

static void *
race_thread(void *context)
{
	struct race *r = context;
	unsigned seed = atomic_fetch_add(&seeds, 1);
	struct buf out = {0};

	for (int round = 0; round < ROUNDS; round++) {
		unsigned i = (unsigned)rand_r(&seed) % RACED;
		struct cache_key k;

		cache_key_make(r->c, &k, CACHE_ITEMS, TABLE, SLICE("raced"), slice_of(&i, sizeof i));
		if (rand_r(&seed) % 4 == 0)
			race_write(r, &k, i);
		else
			race_read(r, &k, i, &out);
	}
	buf_done(&out);
	return NULL;
}

static void
race(bool ordered)
{
	struct race r = {.c = cache_new(16 << 20), .ordered = ordered, .table_lock = PTHREAD_MUTEX_INITIALIZER};
	pthread_t threads[THREADS];

	for (int t = 0; t < THREADS; t++)
		assert_int_equal(pthread_create(&threads[t], NULL, race_thread, &r), 0);
	for (int t = 0; t < THREADS; t++)
		pthread_join(threads[t], NULL);
	assert_int_equal(r.stale, 0);
	assert_true(cache_figures(r.c, CACHE_ITEMS).hits > ROUNDS / 10);
	cache_free(r.c);
}

static void
no_thread_finds_less_than_was_told(void **state)
{
	(void)state;
	race(false);
	race(true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_the_table_answered_is_found),
	    cmocka_unit_test(tables_items_and_queries_are_told_apart),
	    cmocka_unit_test(an_entry_lives_as_long_as_its_cache_says),
	    cmocka_unit_test(a_new_time_to_live_holds_for_what_is_there),
	    cmocka_unit_test(queries_with_no_time_to_live_are_not_cached),
	    cmocka_unit_test(a_clock_set_back_makes_no_entry_live_longer),
	    cmocka_unit_test(a_write_is_seen_by_items_and_not_by_queries),
	    cmocka_unit_test(a_slow_read_does_not_overwrite_a_write),
	    cmocka_unit_test(overlapping_writes_of_unknown_order_leave_nothing),
	    cmocka_unit_test(of_overlapping_writes_the_last_in_order_stays),
	    cmocka_unit_test(a_write_of_unknown_outcome_ends_the_entry_and_what_overlaps),
	    cmocka_unit_test(a_change_ends_what_is_older_than_it),
	    cmocka_unit_test(the_record_of_a_write_through_leaves_its_entry),
	    cmocka_unit_test(a_page_read_before_a_change_is_not_kept_after_it),
	    cmocka_unit_test(a_cleared_table_keeps_nothing_also_of_answers_on_their_way),
	    cmocka_unit_test(the_least_recently_used_make_room_and_the_budget_holds),
	    cmocka_unit_test(a_value_too_large_to_keep_ends_the_older_one),
	    cmocka_unit_test(the_process_takes_no_more_than_the_budget),
	    cmocka_unit_test(without_a_budget_nothing_is_kept),
	    cmocka_unit_test(a_page_of_a_megabyte_is_kept_and_comes_back_whole),
	    cmocka_unit_test(a_peek_counts_hits_only),
	    cmocka_unit_test(what_is_not_covered_is_not_kept),
	    cmocka_unit_test(a_hit_allocates_nothing),
	    cmocka_unit_test(figures_are_told_by_cache_and_table),
	    cmocka_unit_test(any_number_of_tables_makes_a_bounded_number_of_figures),
	    cmocka_unit_test(a_table_without_entries_gives_its_place_away),
	    cmocka_unit_test(no_thread_finds_less_than_was_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
