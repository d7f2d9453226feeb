/* How many tables and tags, and the size of an item collection, with a limit small enough to be reached. */
#include "table/fixture.h"

#define WORDS "Collection size exceeded."

static struct table *
with_local_index(void)
{
	struct table_index_spec local = {
	    .name = SLICE("by_n"), .schema = schema("pk", "n", AV_N), .projection = PROJECT_ALL};
	struct table *t;

	table_db_close(fx.db);
	fx.collection_bytes_max = 4000;
	db_open();
	t = create("T", schema("pk", "sk", AV_S), &local, 1);
	return t;
}

static struct av
sized(const char *pk, int i, int bytes)
{
	return item("pk", pk, "sk", text("S:%d", i), "n", text("N:%d", i), "pad", text("S:%0*d", bytes, 0), NULL);
}

static void
a_collection_grows_to_its_limit_and_no_further(void **state)
{
	struct table *t = with_local_index();
	int n = 0;

	(void)state;
	while (n < 100 && put(t, sized("S:a", n, 400)) == S_OK)
		n++;
	assert_in_range(n, 2, 8); /* each counts in the table and in the index */
	assert_status(put(t, sized("S:a", n, 400)), S_ITEM_COLLECTION_LIMIT, WORDS);
	assert_ok(put(t, sized("S:a", 0, 300))); /* what makes it smaller is welcome */
	assert_ok(put(t, sized("S:b", 0, 400))); /* and so are others */
	table_release(t);
}

static void
a_table_without_local_indexes_has_no_such_limit(void **state)
{
	struct table *t;

	(void)state;
	table_release(with_local_index());
	t = create("Plain", schema("pk", "sk", AV_S), NULL, 0);
	for (int i = 0; i < 30; i++)
		assert_ok(put(t, sized("S:a", i, 400)));
	table_release(t);
}

static void
a_table_has_at_most_50_tags(void **state)
{
	struct table_tag tags[TAGS_MAX + 1], *got;
	size_t count;

	(void)state;
	table_release(create("T", schema("pk", NULL, AV_S), NULL, 0));
	for (int i = 0; i <= TAGS_MAX; i++)
		tags[i] = (struct table_tag){slice_str(text("k%d", i)), SLICE("v")};
	assert_ok(table_tag(fx.db, SLICE("T"), tags, TAGS_MAX, &fx.err));
	assert_ok(table_tag(fx.db, SLICE("T"), tags, 1, &fx.err)); /* one that is there already */
	assert_int_equal(table_tag(fx.db, SLICE("T"), tags + TAGS_MAX, 1, &fx.err), S_VALIDATION);
	assert_ok(table_tags(fx.db, SLICE("T"), &fx.arena, &got, &count, &fx.err));
	assert_int_equal(count, TAGS_MAX);
}

static int
setup_small(void **state)
{
	(void)state;
	return setup_with(1, 0, false);
}

static void
there_are_at_most_2500_tables(void **state)
{
	struct table_spec spec = spec_of("", schema("pk", NULL, AV_S), NULL, 0);
	struct table_description d;

	(void)state;
	for (int i = 0; i < TABLES_MAX; i++) {
		struct arena_mark mark = arena_mark(&fx.arena);

		spec.name = slice_str(text("table%d", i));
		assert_ok(table_create(fx.db, &spec, &fx.arena, &d, &fx.err));
		arena_rewind(&fx.arena, mark);
	}
	spec.name = SLICE("one-more");
	assert_status(table_create(fx.db, &spec, &fx.arena, &d, &fx.err), S_LIMIT_EXCEEDED,
		      "Subscriber limit exceeded: There is a limit of 2500 tables per subscriber");
	wait_active("table7");
	assert_ok(table_delete(fx.db, SLICE("table7"), &fx.arena, &d, &fx.err));
	wait_gone("table7");
	assert_ok(table_create(fx.db, &spec, &fx.arena, &d, &fx.err));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_table_has_at_most_50_tags, setup, teardown),
	    cmocka_unit_test_setup_teardown(there_are_at_most_2500_tables, setup_small, teardown),
	    cmocka_unit_test_setup_teardown(a_collection_grows_to_its_limit_and_no_further, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_table_without_local_indexes_has_no_such_limit, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
