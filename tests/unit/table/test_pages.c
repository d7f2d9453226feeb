/* The cache of pages in front of the engine: no reader finds in it what the engine would not answer. */
#include "table/fixture.h"

#include <pthread.h>
#include <sched.h>

#include "codec/gzip.h"
#include "table/change_int.h"
#include "table/pages.h"

#define WRITERS  2
#define READERS  2
#define KEYS     8 /* each is written by one writer */
#define FAILURES 60
#define SPLITS   3

/* A page as it was told. */
struct told {
	struct slice text; /* the items, one behind the other */
	bool kept;
	struct table_page page;
	uint64_t wait_seq;
	enum status status;
};

struct teller {
	struct buf out;
};

static void
take(void *context, struct av item)
{
	struct teller *teller = context;

	buf_put(&teller->out, item.data, item.len);
}

static struct slice
text_of(void *context)
{
	return buf_slice(&((struct teller *)context)->out);
}

static struct told
tell(struct table_read read, struct arena *a, bool may_be_kept)
{
	struct teller teller = {{0}};
	struct table_io io = {.arena = a, .may_block = true};
	struct told told = {0};
	struct err err;

	read.take = take;
	read.text = may_be_kept ? text_of : NULL;
	read.context = &teller;
	told.status = table_read_page(&read, &io, &told.page, &err);
	told.wait_seq = io.wait_seq;
	told.kept = told.page.text.entry != NULL;
	if (told.kept) {
		char *copy = arena_alloc(a, told.page.text.len + 1);

		table_text_copy(&told.page.text, copy);
		told.text = slice_of(copy, told.page.text.len);
		if (crc32_of(told.text) != told.page.text.crc ||
		    crc32_join(7, told.page.text.crc, told.page.text.crc_shift) != crc32_more(7, told.text))
			told.status = S_CORRUPT;
	} else {
		told.text = arena_dup(a, buf_slice(&teller.out));
	}
	table_text_done(&told.page.text);
	buf_done(&teller.out);
	return told;
}

static struct told
ask(struct table_read read)
{
	struct told told = tell(read, &fx.arena, true);

	assert_int_equal(told.status, S_OK);
	return told;
}

/* Until it comes from the cache. */
static struct told
ask_until_kept(struct table_read read)
{
	for (int i = 0; i < 2; i++)
		ask(read);
	return ask(read);
}

static void
assert_same_page(const struct told *a, const struct told *b)
{
	assert_true(slice_eq(a->text, b->text));
	assert_int_equal(a->page.count, b->page.count);
	assert_int_equal(a->page.scanned, b->page.scanned);
	assert_same(a->page.last_key, b->page.last_key);
	assert_int_equal(a->page.units.half_read, b->page.units.half_read);
	assert_ptr_equal(a->page.units.index, b->page.units.index);
	assert_int_equal(a->page.table_units.half_read, b->page.table_units.half_read);
	assert_int_equal(a->wait_seq, b->wait_seq);
}

static struct table *
letters(void)
{
	struct table_index_spec x[2] = {
	    {.name = SLICE("lsi"), .schema = schema("pk", "rev", AV_S), .projection = PROJECT_KEYS_ONLY},
	    {.name = SLICE("gsi"), .global = true, .schema = schema("pk", "rev", AV_S), .projection = PROJECT_ALL},
	};
	struct table *t = create("T", schema("pk", "sk", AV_S), x, 2);

	for (int p = 0; p < 3; p++)
		for (int i = 0; i < 12; i++)
			assert_ok(
			    put(t, item("pk", text("S:p%d", p), "sk", text("S:%c", 'a' + i), "rev",
					text("S:%c", 'z' - i), "more", long_text((size_t)(100 + 900 * i)), NULL)));
	return t;
}

static struct key_range
all_of(const char *pk)
{
	return (struct key_range){.op = KEY_ALL, .partition = {value(pk)}};
}

/* ---- the same as without ---- */

static void
assert_kept_is_as_read(struct table_read read)
{
	struct told plain = tell(read, &fx.arena, false), first, kept;

	assert_int_equal(plain.status, S_OK);
	assert_false(plain.kept);
	first = ask(read);
	ask(read);
	kept = ask(read);
	assert_true(kept.kept);
	assert_same_page(&plain, &first);
	assert_same_page(&plain, &kept);
}

static void
what_is_kept_is_told_as_it_was_read(void **state)
{
	static const struct {
		enum key_op op;
		const char *low, *high;
	} ranges[] = {
	    {KEY_ALL, NULL, NULL}, {KEY_EQ, "S:d", NULL},          {KEY_LT, "S:d", NULL},
	    {KEY_LE, "S:d", NULL}, {KEY_GT, "S:d", NULL},          {KEY_GE, "S:d", NULL},
	    {KEY_EQ, "S:!", NULL}, {KEY_BEGINS_WITH, "S:c", NULL}, {KEY_BETWEEN, "S:b", "S:y"},
	};
	static const uint32_t limits[] = {0, 1, 2, 3, 12, 13};
	struct table *t = letters();
	const struct table_index *lsi = table_index_find(t, SLICE("lsi"));

	(void)state;
	for (size_t r = 0; r < sizeof ranges / sizeof *ranges; r++)
		for (size_t l = 0; l < sizeof limits / sizeof *limits; l++)
			for (int shape = 0; shape < 32; shape++) {
				struct key_range range = all_of("S:p1");
				struct table_read read = {.table = t,
							  .range = &range,
							  .backward = shape & 1,
							  .consistent = shape & 2,
							  .limit = limits[l],
							  .index = shape & 4 ? lsi : NULL,
							  .select = shape & 8    ? SELECT_COUNT
								    : shape & 16 ? SELECT_PROJECTED
										 : SELECT_ALL};

				range.op = ranges[r].op;
				if (ranges[r].low != NULL)
					range.low = value(ranges[r].low);
				if (ranges[r].high != NULL)
					range.high = value(ranges[r].high);
				assert_kept_is_as_read(read);
			}
	table_release(t);
}

static void
each_starting_key_has_its_page(void **state)
{
	struct table *t = letters();

	(void)state;
	for (int shape = 0; shape < 4; shape++) {
		struct key_range range = all_of("S:p2");
		struct table_read read = {.table = t, .range = &range, .limit = 5, .backward = shape & 1};
		uint32_t count = 0;

		if (shape & 2) {
			read.index = table_index_find(t, SLICE("lsi"));
			read.select = SELECT_PROJECTED;
		}
		do {
			struct told told;

			assert_kept_is_as_read(read);
			told = ask(read);
			count += told.page.count;
			read.start_key = told.page.last_key;
		} while (av_exists(read.start_key));
		assert_int_equal(count, 12);
	}
	table_release(t);
}

static void
what_has_a_filter_or_several_slots_is_not_kept(void **state)
{
	struct table *t = letters();
	struct key_range range = all_of("S:p1");
	struct table_read read = {.table = t, .range = &range}, other = read;

	(void)state;
	other.filter = expression(EXPR_FILTER, "attribute_exists(more)", NULL, NULL);
	assert_false(ask_until_kept(other).kept);
	other = read;
	other.projection = expression(EXPR_PROJECTION, "rev", NULL, NULL);
	other.select = SELECT_SPECIFIC;
	assert_false(ask_until_kept(other).kept);
	other = read;
	other.index = table_index_find(t, SLICE("gsi"));
	assert_false(ask_until_kept(other).kept);
	other = read;
	other.range = NULL;
	assert_false(ask_until_kept(other).kept);
	assert_true(ask_until_kept(read).kept);
	table_release(t);
}

static void
without_memory_nothing_is_kept(void **state)
{
	struct table *t = letters();
	struct key_range range = all_of("S:p1");

	(void)state;
	table_release(t);
	fx.no_cache = true;
	db_reopen();
	t = find("T");
	assert_false(ask_until_kept((struct table_read){.table = t, .range = &range}).kept);
	table_release(t);
}

/* ---- writes ---- */

static void
write_one(struct table *t, int kind, struct table_io *io)
{
	struct table_write w = {.table = t, .key = item("pk", "S:p1", "sk", "S:c", NULL)};

	switch (kind) {
	case 0:
		w.kind = WRITE_PUT;
		w.item = item("pk", "S:p1", "sk", "S:c", "rev", "S:x", "n", "S:put", NULL);
		break;
	case 1:
		w.kind = WRITE_UPDATE;
		w.update = expression(EXPR_UPDATE, "SET n = :a, rev = :b", "S:updated", "S:zz");
		break;
	case 2:
		w.kind = WRITE_PUT; /* a new one */
		w.item = item("pk", "S:p1", "sk", "S:cc", "rev", "S:xx", NULL);
		break;
	default:
		w.kind = WRITE_DELETE;
		break;
	}
	assert_ok(table_commit(&w, 1, io, &fx.err));
}

static void
every_write_ends_the_pages_of_its_collection(void **state)
{
	struct table *t = letters();
	struct key_range range = all_of("S:p1"), other = all_of("S:p2");
	struct table_read reads[] = {
	    {.table = t, .range = &range},
	    {.table = t, .range = &range, .backward = true, .limit = 11},
	    {.table = t, .range = &range, .index = table_index_find(t, SLICE("lsi"))},
	    {.table = t, .range = &range, .index = table_index_find(t, SLICE("lsi")), .select = SELECT_PROJECTED},
	};

	(void)state;
	for (int kind = 0; kind < 4; kind++)
		for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) {
			struct told now, plain;
			struct table_io io = blocking_io();

			if (kind == 3)
				write_one(t, 0, &io); /* that there is something to delete */
			assert_true(ask_until_kept(reads[i]).kept);
			assert_true(ask_until_kept((struct table_read){.table = t, .range = &other}).kept);
			write_one(t, kind, &io);
			now = ask(reads[i]);
			plain = tell(reads[i], &fx.arena, false);
			assert_false(now.kept);
			assert_same_page(&now, &plain);
			assert_true(ask((struct table_read){.table = t, .range = &other}).kept);
		}
	table_release(t);
}

static void
what_is_written_as_often_as_read_is_not_copied(void **state)
{
	struct table *t = letters();
	struct key_range range = all_of("S:p1");
	struct table_read read = {.table = t, .range = &range};

	(void)state;
	for (int i = 0; i < 10; i++) {
		struct table_io io = blocking_io();

		write_one(t, 0, &io);
		assert_false(ask(read).kept);
	}
	assert_int_equal(pages_figures(fx.db->pages).entries, 0);
	table_release(t);
}

static void
a_write_that_fails_changes_no_page(void **state)
{
	struct table *t = letters();
	struct key_range range = all_of("S:p1");
	struct table_read read = {.table = t, .range = &range};
	struct table_write w = {.kind = WRITE_PUT, .table = t};
	struct told before = ask_until_kept(read), now;
	enum status s;

	(void)state;
	w.item = item("pk", "S:p1", "sk", "S:c", "rev", "S:x", "n", "S:put", NULL);
	for (uint64_t nth = 1;; nth++) {
		struct table_io io = blocking_io();

		engine_faulty_arm(fx.engine, nth, S_IO);
		s = table_commit(&w, 1, &io, &fx.err);
		engine_faulty_arm(fx.engine, 0, S_OK);
		if (s == S_OK)
			break;
		now = ask(read);
		assert_same_page(&before, &now);
		assert_true(nth < 100);
	}
	now = ask(read);
	assert_false(now.kept);
	assert_false(slice_eq(now.text, before.text));
	table_release(t);
}

static void
a_text_that_is_held_stays_as_it_was(void **state)
{
	struct table *t = letters();
	struct key_range range = all_of("S:p1");
	struct table_read read = {.table = t, .range = &range};
	struct teller teller = {{0}};
	struct table_io io = blocking_io();
	struct told before = ask_until_kept(read);
	struct table_page held;
	char *copy;

	(void)state;
	read.take = take;
	read.text = text_of;
	read.context = &teller;
	assert_ok(table_read_page(&read, &io, &held, &fx.err));
	assert_non_null(held.text.entry);
	for (int i = 0; i < 20; i++) {
		write_one(t, i & 3, &io);
		ask_until_kept(read);
	}
	assert_int_equal(held.text.len, before.text.len);
	copy = arena_alloc(&fx.arena, held.text.len);
	table_text_copy(&held.text, copy);
	assert_true(slice_eq(slice_of(copy, held.text.len), before.text));
	table_text_done(&held.text);
	table_text_done(&held.text); /* twice is once */
	buf_done(&teller.out);
	table_release(t);
}

/* ---- what is not durable, lost, split, gone ---- */

static void
a_kept_page_waits_like_one_that_is_read_and_is_lost_with_its_writes(void **state)
{
	struct table *t = letters();
	struct key_range range = all_of("S:p1");
	struct table_read read = {.table = t, .range = &range};
	struct told before = ask_until_kept(read), now;
	struct table_io io = blocking_io();

	(void)state;
	engine_memory_hold_sync(fx.memory, true);
	write_one(t, 0, &io);
	now = ask_until_kept(read);
	assert_true(now.kept);
	assert_int_equal(now.wait_seq, io.wait_seq);
	assert_false(slice_eq(now.text, before.text));
	engine_memory_fail_sync(fx.memory);
	now = ask(read);
	assert_false(now.kept);
	assert_same_page(&now, &before);
	engine_memory_hold_sync(fx.memory, false);
	write_one(t, 0, &io);
	now = ask_until_kept(read);
	assert_true(now.kept);
	assert_int_equal(now.wait_seq, 0);
	table_release(t);
}

static void
a_split_ends_the_pages_of_its_table(void **state)
{
	struct table *t = letters();

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct key_range range = all_of("S:p1");
		struct table_read read = {.table = t, .range = &range};
		struct told before = ask_until_kept(read), now;
		struct table_io io = blocking_io();

		assert_true(before.kept);
		assert_ok(table_split(fx.db, SLICE("T"), UINT32_MAX, &fx.err));
		now = ask(read);
		assert_false(now.kept);
		assert_same_page(&now, &before);
		assert_true(ask_until_kept(read).kept);
		write_one(t, i, &io);
		now = ask(read);
		assert_false(now.kept);
		assert_false(slice_eq(now.text, before.text));
	}
	table_release(t);
}

static void
a_table_made_again_has_none_of_the_old_pages(void **state)
{
	struct table *t = letters();
	struct key_range range = all_of("S:p1");
	struct table_description d;

	(void)state;
	assert_true(ask_until_kept((struct table_read){.table = t, .range = &range}).kept);
	assert_ok(table_delete(fx.db, SLICE("T"), &fx.arena, &d, &fx.err));
	wait_gone("T");
	assert_int_equal(tell((struct table_read){.table = t, .range = &range}, &fx.arena, true).status,
			 S_RESOURCE_NOT_FOUND);
	table_release(t);
	t = create("T", schema("pk", "sk", AV_S), NULL, 0);
	assert_int_equal(ask((struct table_read){.table = t, .range = &range}).page.count, 0);
	table_release(t);
}

/* ---- how much ---- */

static void
what_is_kept_stays_within_its_bound(void **state)
{
	struct table *t = create("T", schema("pk", "sk", AV_S), NULL, 0);

	(void)state;
	for (int i = 0; i < 120; i++) {
		struct key_range range = all_of(text("S:%d", i));

		assert_ok(put(t, item("pk", text("S:%d", i), "sk", "S:a", "more", long_text(60000), NULL)));
		assert_true(ask_until_kept((struct table_read){.table = t, .range = &range}).kept);
		assert_true(pages_figures(fx.db->pages).bytes <= 4 << 20);
	}
	assert_true(pages_figures(fx.db->pages).evictions > 0);
	assert_true(pages_figures(fx.db->pages).entries > 40);
	table_release(t);
}

static void
a_page_that_is_large_is_not_kept(void **state)
{
	struct table *t = create("T", schema("pk", "sk", AV_S), NULL, 0);
	struct key_range range = all_of("S:a");

	(void)state;
	assert_ok(put(t, item("pk", "S:a", "sk", "S:a", "more", long_text(PAGE_TEXT_MAX - 5000), NULL)));
	assert_true(ask_until_kept((struct table_read){.table = t, .range = &range}).kept);
	assert_ok(put(t, item("pk", "S:a", "sk", "S:b", "more", long_text(6000), NULL)));
	assert_false(ask_until_kept((struct table_read){.table = t, .range = &range}).kept);
	table_release(t);
}

/* ---- all at once ---- */

static struct table *table;
static _Atomic uint64_t known[KEYS]; /* at least so far every later answer must be: it was told to somebody */
static atomic_int writing, bad;

/* The key's only item: its value in 20 digits. */
static struct av
item_of(struct arena *a, int key, uint64_t n)
{
	char name[32], digits[32];
	struct buf out = {0};
	size_t map = av_open(&out, TAG_M);
	struct slice duplicate;
	struct av v;

	snprintf(name, sizeof name, "key-%d", key);
	snprintf(digits, sizeof digits, "%020llu", (unsigned long long)n);
	av_put_name(&out, SLICE("pk"));
	av_put_string(&out, slice_str(name));
	av_put_name(&out, SLICE("sk"));
	av_put_string(&out, SLICE("s"));
	av_put_name(&out, SLICE("n"));
	av_put_string(&out, slice_str(digits));
	if (av_close_map(&out, map, 3, &duplicate) != S_OK)
		abort();
	v = av_of_buf(a, &out, 0);
	buf_done(&out);
	return v;
}

static void
know(int key, uint64_t n)
{
	uint64_t before = atomic_load(&known[key]);

	while (before < n && !atomic_compare_exchange_weak(&known[key], &before, n))
		continue;
}

static void *
write_values(void *context)
{
	int first = (int)(intptr_t)context;
	struct arena a = {0};

	for (uint64_t n = 1; n <= 2000; n++) {
		int key = first + (int)(n % (KEYS / WRITERS)) * WRITERS;
		struct table_io io = {.arena = &a, .may_block = true};
		struct table_write w = {.kind = WRITE_PUT, .table = table, .item = item_of(&a, key, n)};
		struct err err;

		if (table_commit(&w, 1, &io, &err) == S_OK && durable(io.wait_seq))
			know(key, n);
		arena_reset(&a);
		if (n % 8 == 0)
			sched_yield();
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
		int key = i / 6 % KEYS; /* again and again: so that it is kept */
		uint64_t least = atomic_load(&known[key]), n = 0;
		struct key_range range = {.op = KEY_ALL, .partition = {av_get(item_of(&a, key, 0), SLICE("pk"))}};
		struct told told = tell((struct table_read){.table = table, .range = &range}, &a, true);

		if (told.page.count == 1)
			n = strtoull(av_bytes(av_get(av_stored(told.text), SLICE("n"))).data, NULL, 10);
		if (told.status != S_OK || (durable(told.wait_seq) && n < least))
			atomic_fetch_add(&bad, 1);
		else if (durable(told.wait_seq))
			know(key, n);
		arena_reset(&a);
	}
	arena_done(&a);
	return NULL;
}

static void
no_page_is_older_than_one_before(void **state) /* while syncs fail and partitions split */
{
	pthread_t threads[WRITERS + READERS];
	int splits = 0;

	(void)state;
	table = create("T", schema("pk", "sk", AV_S), NULL, 0);
	for (int i = 0; i < KEYS; i++)
		atomic_store(&known[i], 0);
	atomic_store(&writing, WRITERS);
	atomic_store(&bad, 0);
	for (intptr_t i = 0; i < WRITERS + READERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, i < WRITERS ? write_values : read_values, (void *)i),
				 0);
	for (int i = 0; i < FAILURES && (i == 0 || atomic_load(&writing) > 0); i++) {
		engine_memory_hold_sync(fx.memory, true);
		usleep(300);
		engine_memory_fail_sync(fx.memory); /* what was written meanwhile is gone, from the cache too */
		engine_memory_hold_sync(fx.memory, false);
		if (i % (FAILURES / SPLITS) == 0 && table_split(fx.db, SLICE("T"), UINT32_MAX, &fx.err) == S_OK)
			splits++;
	}
	for (int i = 0; i < WRITERS + READERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&bad), 0);
	assert_true(splits > 0);
	for (int i = 0; i < KEYS; i++) {
		struct key_range range = all_of(text("S:key-%d", i));

		assert_true(atomic_load(&known[i]) > 0);
		assert_true(ask_until_kept((struct table_read){.table = table, .range = &range}).kept);
	}
	table_release(table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_is_kept_is_told_as_it_was_read, setup, teardown),
	    cmocka_unit_test_setup_teardown(each_starting_key_has_its_page, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_has_a_filter_or_several_slots_is_not_kept, setup, teardown),
	    cmocka_unit_test_setup_teardown(without_memory_nothing_is_kept, setup, teardown),
	    cmocka_unit_test_setup_teardown(every_write_ends_the_pages_of_its_collection, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_is_written_as_often_as_read_is_not_copied, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_write_that_fails_changes_no_page, setup_faulty, teardown),
	    cmocka_unit_test_setup_teardown(a_text_that_is_held_stays_as_it_was, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_kept_page_waits_like_one_that_is_read_and_is_lost_with_its_writes, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(a_split_ends_the_pages_of_its_table, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_table_made_again_has_none_of_the_old_pages, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_is_kept_stays_within_its_bound, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_page_that_is_large_is_not_kept, setup, teardown),
	    cmocka_unit_test_setup_teardown(no_page_is_older_than_one_before, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
