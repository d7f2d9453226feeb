#include "table/fixture.h"

#include "model/key.h"

static struct key_range
range_of(const char *pk, enum key_op op, const char *low, const char *high)
{
	struct key_range r = {.op = op};

	r.partition[0] = value(pk);
	if (low != NULL)
		r.low = value(low);
	if (high != NULL)
		r.high = value(high);
	return r;
}

/* The sort keys found, one behind the other. */
static const char *
found(struct table *t, const char *index, const char *attr, struct key_range range, bool backward)
{
	struct table_read read = {.table = t, .range = &range, .backward = backward, .select = SELECT_PROJECTED};
	struct table_page p;
	const char *list = "";

	if (index != NULL)
		read.index = table_index_find(t, slice_str(index));
	p = page(read);
	for (uint32_t i = 0; i < p.count; i++)
		list = text("%s%s", list, string_of(p.items[i], attr));
	return list;
}

static struct table *
letters(void)
{
	static const char *const keys[] = {"a", "b", "ba", "bb", "c", "d"};
	struct table_index_spec x[2] = {
	    {.name = SLICE("lsi"), .schema = schema("pk", "rev", AV_S), .projection = PROJECT_KEYS_ONLY},
	    {.name = SLICE("gsi"), .global = true, .schema = schema("all", "sk", AV_S), .projection = PROJECT_ALL},
	};
	struct table *t = create("Letters", schema("pk", "sk", AV_S), x, 2);

	for (int p = 0; p < 3; p++)
		for (size_t i = 0; i < 6; i++)
			assert_ok(put(t, item("pk", text("S:p%d", p), "sk", text("S:%s", keys[i]), "rev",
					      text("S:%c", (char)('z' - i)), "all", "S:yes", "more", "S:data", NULL)));
	return t;
}

static void
a_query_finds_what_its_condition_says(void **state)
{
	struct table *t = letters();

	(void)state;
	assert_string_equal(found(t, NULL, "sk", range_of("S:p1", KEY_ALL, NULL, NULL), false), "abbabbcd");
	assert_string_equal(found(t, NULL, "sk", range_of("S:p1", KEY_ALL, NULL, NULL), true), "dcbbbaba");
	assert_string_equal(found(t, NULL, "sk", range_of("S:p1", KEY_EQ, "S:b", NULL), false), "b");
	assert_string_equal(found(t, NULL, "sk", range_of("S:p1", KEY_LT, "S:b", NULL), false), "a");
	assert_string_equal(found(t, NULL, "sk", range_of("S:p1", KEY_LE, "S:b", NULL), false), "ab");
	assert_string_equal(found(t, NULL, "sk", range_of("S:p1", KEY_GT, "S:b", NULL), false), "babbcd");
	assert_string_equal(found(t, NULL, "sk", range_of("S:p1", KEY_GT, "S:b", NULL), true), "dcbbba");
	assert_string_equal(found(t, NULL, "sk", range_of("S:p1", KEY_GE, "S:bb", NULL), false), "bbcd");
	assert_string_equal(found(t, NULL, "sk", range_of("S:p1", KEY_BETWEEN, "S:b", "S:c"), false), "bbabbc");
	assert_string_equal(found(t, NULL, "sk", range_of("S:p1", KEY_BETWEEN, "S:c", "S:b"), false), "");
	assert_string_equal(found(t, NULL, "sk", range_of("S:p1", KEY_BEGINS_WITH, "S:b", NULL), false), "bbabb");
	assert_string_equal(found(t, NULL, "sk", range_of("S:p1", KEY_BEGINS_WITH, "S:b", NULL), true), "bbbab");
	assert_string_equal(found(t, NULL, "sk", range_of("S:none", KEY_ALL, NULL, NULL), false), "");
	assert_string_equal(found(t, "lsi", "sk", range_of("S:p1", KEY_GE, "S:x", NULL), false), "baba");
	/* equal keys of an index: by the hash of the table's key */
	assert_string_equal(found(t, "gsi", "pk", range_of("S:yes", KEY_EQ, "S:c", NULL), false), "p1p2p0");
	table_release(t);
}

static void
pages_of_any_size_make_the_whole(void **state)
{
	struct table *t = letters();
	struct key_range in_table = range_of("S:p1", KEY_ALL, NULL, NULL),
			 in_index = range_of("S:yes", KEY_ALL, NULL, NULL);
	struct key_range some = range_of("S:p1", KEY_BETWEEN, "S:b", "S:c");
	const struct table_read reads[] = {
	    {.table = t, .range = &in_table},
	    {.table = t, .range = &in_table, .backward = true},
	    {.table = t, .range = &some},
	    {.table = t, .range = &some, .backward = true},
	    {.table = t, .range = &in_table, .index = table_index_find(t, SLICE("lsi")), .select = SELECT_ALL},
	    {.table = t, .range = &in_index, .index = table_index_find(t, SLICE("gsi"))},
	    {.table = t, .range = &in_index, .index = table_index_find(t, SLICE("gsi")), .backward = true},
	    {.table = t},
	    {.table = t, .index = table_index_find(t, SLICE("gsi"))},
	    {.table = t, .index = table_index_find(t, SLICE("lsi"))},
	};

	(void)state;
	for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) {
		struct table_page whole = page(reads[i]);

		assert_false(av_exists(whole.last_key));
		assert_true(whole.count >= 4);
		for (uint32_t limit = 1; limit <= 20; limit++) {
			struct table_page p = all_pages(reads[i], limit);

			assert_int_equal(p.count, whole.count);
			for (uint32_t n = 0; n < p.count; n++)
				assert_same(p.items[n], whole.items[n]);
		}
	}
	table_release(t);
}

static void
a_page_that_ends_at_its_limit_names_the_key_though_nothing_follows(void **state)
{
	struct table *t = letters();
	struct key_range all = range_of("S:p1", KEY_ALL, NULL, NULL);
	struct table_read read = {.table = t, .range = &all, .limit = 6, .index = table_index_find(t, SLICE("gsi"))};
	struct table_page p;

	(void)state;
	read.index = NULL;
	p = page(read);
	assert_int_equal(p.count, 6);
	assert_same(p.last_key, item("pk", "S:p1", "sk", "S:d", NULL));
	read.start_key = p.last_key;
	p = page(read);
	assert_int_equal(p.count, 0);
	assert_false(av_exists(p.last_key));
	read = (struct table_read){.table = t, .index = table_index_find(t, SLICE("gsi")), .limit = 1};
	p = page(read);
	assert_int_equal(av_count(p.last_key), 3); /* the index's and the table's key */
	assert_true(av_exists(av_get(p.last_key, SLICE("all"))));
	table_release(t);
}

static void
segments_share_the_table_without_overlap(void **state)
{
	struct table *t = create("Wide", schema("pk", NULL, AV_S), NULL, 0);
	uint32_t segments[] = {1, 2, 3, 7, 64};

	(void)state;
	for (int i = 0; i < 200; i++)
		assert_ok(put(t, item("pk", text("S:%d", i), NULL)));
	for (size_t n = 0; n < 5; n++) {
		uint32_t sum = 0;
		bool seen[200] = {0};

		for (uint32_t s = 0; s < segments[n]; s++) {
			struct table_read read = {.table = t, .segment = s, .total_segments = segments[n]};
			struct table_page p = all_pages(read, 3);

			for (uint32_t i = 0; i < p.count; i++) {
				int k = atoi(string_of(p.items[i], "pk"));

				assert_false(seen[k]);
				seen[k] = true;
			}
			sum += p.count;
		}
		assert_int_equal(sum, 200);
	}
	table_release(t);
}

static void
a_start_key_outside_what_is_read_is_refused(void **state)
{
	struct table *t = letters();
	struct key_range all = range_of("S:p1", KEY_ALL, NULL, NULL), above = range_of("S:p1", KEY_GT, "S:b", NULL);
	struct table_read read = {.table = t, .range = &all};
	struct table_io io = blocking_io();
	struct table_page p;
	int refused = 0;

	(void)state;
	read.start_key = item("pk", "S:p2", "sk", "S:a", NULL);
	assert_status(table_read_page(&read, &io, &p, &fx.err), S_VALIDATION,
		      "The provided starting key is outside query boundaries based on provided conditions");
	read.range = &above;
	assert_status(table_read_page(&read, &io, &p, &fx.err), S_VALIDATION,
		      "The provided starting key does not match the range key predicate");
	read.start_key = item("pk", "S:p2", "sk", "S:c", NULL);
	assert_status(table_read_page(&read, &io, &p, &fx.err), S_VALIDATION,
		      "The query can return at most one row and cannot be restarted");
	read.start_key = item("pk", "S:p1", NULL);
	assert_status(table_read_page(&read, &io, &p, &fx.err), S_VALIDATION, "The provided starting key is invalid");
	read.start_key = item("pk", "S:p1", "sk", "S:never put", NULL); /* a key need not exist to start behind it */
	assert_status(table_read_page(&read, &io, &p, &fx.err), S_OK, "");
	for (uint32_t s = 0; s < 2; s++) {
		read = (struct table_read){.table = t, .segment = s, .total_segments = 2};
		read.start_key = item("pk", "S:p1", "sk", "S:a", NULL);
		if (table_read_page(&read, &io, &p, &fx.err) != S_OK) {
			refused++;
			assert_string_equal(
			    fx.err.message,
			    text("The provided starting key is invalid: Invalid ExclusiveStartKey. Please "
				 "use ExclusiveStartKey with correct Segment. TotalSegments: 2 "
				 "Segment: %u",
				 s));
		}
	}
	assert_int_equal(refused, 1);
	table_release(t);
}

static void
a_local_index_fetches_what_it_does_not_hold(void **state)
{
	struct table *t = letters();
	struct key_range all = range_of("S:p1", KEY_ALL, NULL, NULL);
	struct table_read read = {
	    .table = t, .range = &all, .index = table_index_find(t, SLICE("lsi")), .select = SELECT_ALL};
	struct table_page p = page(read);

	(void)state;
	assert_int_equal(p.count, 6);
	assert_string_equal(string_of(p.items[0], "more"), "data");
	assert_int_equal(p.units.half_read, 1);       /* all index rows together */
	assert_int_equal(p.table_units.half_read, 6); /* each item by itself */
	read.select = SELECT_PROJECTED;
	p = page(read);
	assert_string_equal(string_of(p.items[0], "more"), "(none)");
	assert_int_equal(p.table_units.half_read, 0);
	read.select = SELECT_SPECIFIC;
	read.projection = expression(EXPR_PROJECTION, "rev", NULL, NULL);
	p = page(read);
	assert_int_equal(p.table_units.half_read, 0);
	assert_same(p.items[0], item("rev", "S:u", NULL));
	read.projection = expression(EXPR_PROJECTION, "rev, more", NULL, NULL);
	p = page(read);
	assert_int_equal(p.table_units.half_read, 6);
	assert_same(p.items[0], item("rev", "S:u", "more", "S:data", NULL));
	table_release(t);
}

static void
a_filter_drops_items_but_not_what_they_cost(void **state)
{
	struct table *t = letters();
	struct table_read read = {.table = t, .limit = 4};
	struct table_page p;

	(void)state;
	read.filter = expression(EXPR_FILTER, "sk = :a", "S:nothing", NULL);
	p = page(read);
	assert_int_equal(p.count, 0);
	assert_int_equal(p.scanned, 4);
	assert_true(av_exists(p.last_key));
	read.filter = expression(EXPR_FILTER, "begins_with(sk, :a)", "S:b", NULL);
	read.limit = 0;
	read.select = SELECT_COUNT;
	p = page(read);
	assert_int_equal(p.count, 9);
	assert_int_equal(p.scanned, 18);
	assert_null(p.items);
	table_release(t);
}

static void
a_page_ends_with_the_item_that_reaches_1_mb(void **state)
{
	struct table *t = create("Big", schema("pk", "sk", AV_S), NULL, 0);
	struct key_range all = range_of("S:p", KEY_ALL, NULL, NULL);
	struct table_read read = {.table = t, .range = &all, .consistent = true};
	struct table_io io = blocking_io();
	struct table_page p;

	(void)state;
	for (int i = 0; i < 20; i++)
		assert_ok(put(t, item("pk", "S:p", "sk", text("S:%02d", i), "pad", long_text(60000), NULL)));
	p = page(read);
	assert_int_equal(p.count, 18); /* 17 are below 1 MiB */
	assert_true(av_exists(p.last_key));
	assert_int_equal(p.units.half_read, 2 * ((18 * (60000 + 10) + 4095) / 4096));
	assert_int_equal(all_pages(read, 0).count, 20);
	io.may_block = false; /* a page this large is not read on a network thread */
	assert_int_equal(table_read_page(&read, &io, &p, &fx.err), S_WOULD_BLOCK);
	read.limit = 2;
	assert_int_equal(table_read_page(&read, &io, &p, &fx.err), S_OK);
	table_release(t);
}

static void
an_index_of_several_attributes_is_queried_from_the_left(void **state)
{
	struct table_index_spec x = {.name = SLICE("multi"), .global = true, .projection = PROJECT_ALL};
	struct key_range r = {.op = KEY_GE};
	struct table_read read;
	struct table *t;
	struct table_page p;

	(void)state;
	x.schema.partition_count = 2;
	x.schema.partition[0] = (struct key_attr){SLICE("country"), AV_S};
	x.schema.partition[1] = (struct key_attr){SLICE("city"), AV_S};
	x.schema.sort_count = 2;
	x.schema.sort[0] = (struct key_attr){SLICE("year"), AV_N};
	x.schema.sort[1] = (struct key_attr){SLICE("name"), AV_S};
	t = create("Multi", schema("pk", NULL, AV_S), &x, 1);
	for (int i = 0; i < 12; i++)
		assert_ok(put(t, item("pk", text("S:%d", i), "country", "S:de", "city", i % 2 ? "S:ulm" : "S:bonn",
				      "year", text("N:%d", 2000 + i / 6), "name", text("S:n%02d", i), NULL)));
	r.partition[0] = value("S:de");
	r.partition[1] = value("S:ulm");
	r.sort_equal_count = 1;
	r.sort_equal[0] = value("N:2001");
	r.low = value("S:n09");
	read = (struct table_read){.table = t, .index = table_index_find(t, SLICE("multi")), .range = &r};
	p = page(read);
	assert_int_equal(p.count, 2);
	assert_string_equal(string_of(p.items[0], "name"), "n09");
	assert_string_equal(string_of(p.items[1], "name"), "n11");
	assert_int_equal(all_pages(read, 1).count, 2);
	r.sort_equal_count = 0;
	r.op = KEY_ALL;
	assert_int_equal(page(read).count, 6);
	table_release(t);
}

/* Every engine call of a page fails in turn: an error, never a page with something missing. */
static void
a_failed_read_is_an_error(void **state)
{
	struct table *t = letters();
	struct key_range all = range_of("S:p1", KEY_ALL, NULL, NULL);
	struct table_read read = {
	    .table = t, .range = &all, .index = table_index_find(t, SLICE("lsi")), .select = SELECT_ALL};
	struct table_page p;
	uint64_t n;

	(void)state;
	for (n = 1;; n++) {
		struct table_io io = blocking_io();
		enum status s;

		engine_faulty_arm(fx.engine, n, S_IO);
		s = table_read_page(&read, &io, &p, &fx.err);
		engine_faulty_arm(fx.engine, 0, S_OK);
		if (s == S_OK)
			break;
		assert_int_equal(s, S_IO);
		assert_true(n < 100);
	}
	assert_true(n > 6);
	assert_int_equal(p.count, 6);
	table_release(t);
}

static void
what_an_item_collection_weighs_is_estimated(void **state)
{
	struct table *t = letters();
	struct table_io io = blocking_io();

	(void)state;
	assert_true(table_collection_bytes(t, item("pk", "S:p1", NULL), &io) > 0);
	table_release(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_query_finds_what_its_condition_says, setup, teardown),
	    cmocka_unit_test_setup_teardown(pages_of_any_size_make_the_whole, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_page_that_ends_at_its_limit_names_the_key_though_nothing_follows, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(segments_share_the_table_without_overlap, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_start_key_outside_what_is_read_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_local_index_fetches_what_it_does_not_hold, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_filter_drops_items_but_not_what_they_cost, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_page_ends_with_the_item_that_reaches_1_mb, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_index_of_several_attributes_is_queried_from_the_left, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_failed_read_is_an_error, setup_faulty, teardown),
	    cmocka_unit_test_setup_teardown(what_an_item_collection_weighs_is_estimated, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
