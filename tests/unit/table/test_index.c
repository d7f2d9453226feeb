/* Indexes added to and taken from a table with items in it. */
#include "table/fixture.h"

#include <pthread.h>

#include "table/table_int.h"

#define ITEMS 300

static struct table_index_spec
by_group(void)
{
	return (struct table_index_spec){.name = SLICE("by_group"),
					 .global = true,
					 .schema = schema("g", "n", AV_N),
					 .projection = PROJECT_KEYS_ONLY};
}

static struct av
numbered(int i, int group)
{
	return item("pk", text("S:%d", i), "g", text("S:g%d", group), "n", text("N:%d", i), "pad", "S:xxxxxxxxxxx",
		    NULL);
}

static enum status
add_index(struct table_index_spec *x, struct table_description *ret)
{
	struct key_attr definitions[] = {{SLICE("g"), AV_S}, {SLICE("n"), AV_N}};
	struct table_update update = {
	    .create_index = x, .set_definitions = true, .definitions = definitions, .definition_count = 2};

	return table_update(fx.db, SLICE("T"), &update, &fx.arena, ret, &fx.err);
}

static enum status
drop_index(const char *name)
{
	struct table_update update = {.delete_index = slice_str(name)};
	struct table_description d;

	return table_update(fx.db, SLICE("T"), &update, &fx.arena, &d, &fx.err);
}

/* The index says the same as the table: rows one by one, and the counts. */
static void
assert_index_is_right(struct table *t)
{
	const struct table_index *x = table_index_find(t, SLICE("by_group"));
	struct table_page items = all_pages((struct table_read){.table = t}, 0);
	struct table_page rows;
	uint64_t expected = 0, bytes = 0;
	struct table_description d;

	assert_non_null(x);
	rows = all_pages((struct table_read){.table = t, .index = x, .select = SELECT_PROJECTED}, 0);
	for (uint32_t i = 0; i < items.count; i++) {
		struct av g = av_get(items.items[i], SLICE("g")), n = av_get(items.items[i], SLICE("n"));
		bool found = false;

		if (!av_exists(g) || av_type(g) != AV_S || !av_exists(n))
			continue;
		expected++;
		for (uint32_t r = 0; r < rows.count && !found; r++)
			found = av_equal(av_get(rows.items[r], SLICE("pk")), av_get(items.items[i], SLICE("pk"))) &&
				av_equal(av_get(rows.items[r], SLICE("g")), g) &&
				av_equal(av_get(rows.items[r], SLICE("n")), n);
		assert_true(found);
	}
	assert_int_equal(rows.count, expected);
	for (uint32_t r = 0; r < rows.count; r++)
		bytes += item_size(rows.items[r]);
	d = describe("T");
	for (size_t i = 0; i < d.spec.index_count; i++)
		if (slice_eq(d.indexes[i].spec.name, SLICE("by_group"))) {
			assert_int_equal(d.indexes[i].item_count, expected);
			assert_int_equal(d.indexes[i].size_bytes, bytes);
		}
	assert_int_equal(d.item_count, items.count);
}

static void
an_added_index_finds_what_was_there(void **state)
{
	struct table *t = create("T", schema("pk", NULL, AV_S), NULL, 0);
	struct table_index_spec x = by_group();
	struct table_description d;

	(void)state;
	for (int i = 0; i < ITEMS; i++)
		assert_ok(put(t, numbered(i, i % 3)));
	/* of another type, or without the key: passed over */
	assert_ok(put(t, item("pk", "S:odd", "g", "N:1", "n", "N:1", NULL)));
	assert_ok(put(t, item("pk", "S:none", NULL)));
	table_release(t);
	assert_ok(add_index(&x, &d));
	assert_int_equal(d.status, TABLE_UPDATING);
	assert_int_equal(d.indexes[0].status, INDEX_CREATING);
	assert_int_equal(d.spec.definition_count, 3);
	wait_active("T");
	t = find("T");
	assert_index_is_right(t);
	assert_int_equal(describe("T").indexes[0].item_count, ITEMS);
	/* an item that does not fit the index may be changed as long as that attribute is left alone */
	{
		struct table_io io = blocking_io();
		struct table_write w = {.kind = WRITE_UPDATE, .table = t, .key = item("pk", "S:odd", NULL)};

		w.update = expression(EXPR_UPDATE, "SET remark = :a", "S:x", NULL);
		assert_ok(table_commit(&w, 1, &io, &fx.err));
		w.update = expression(EXPR_UPDATE, "SET g = :a", "N:2", NULL);
		assert_int_equal(table_commit(&w, 1, &io, &fx.err), S_VALIDATION);
	}
	assert_index_is_right(t);
	table_release(t);
}

struct writer {
	pthread_t thread;
	unsigned seed;
	atomic_bool *stop;
	struct table *t;
};

/* fixture.h's helpers share an arena: a thread builds its items itself */
static void *
write_on(void *context)
{
	struct writer *w = context;
	struct arena arena = {0};

	while (!atomic_load(w->stop)) {
		struct table_io io = {.arena = &arena, .may_block = true};
		struct table_write write = {.table = w->t};
		struct buf out = {0};
		int i = rand_r(&w->seed) % ITEMS;
		size_t map = av_open(&out, TAG_M);
		struct slice duplicate;
		char name[16];
		struct number n;
		uint8_t encoded[NUMBER_ENCODED_MAX];
		uint32_t count = 1;
		struct err err;

		snprintf(name, sizeof name, "%d", i);
		av_put_name(&out, SLICE("pk"));
		av_put_string(&out, slice_str(name));
		write.kind = rand_r(&w->seed) % 4 == 0 ? WRITE_DELETE : WRITE_PUT;
		if (write.kind == WRITE_PUT) {
			snprintf(name, sizeof name, "g%d", rand_r(&w->seed) % 5);
			number_from_int64(rand_r(&w->seed) % 100, &n);
			av_put_name(&out, SLICE("g"));
			av_put_string(&out, slice_str(name));
			av_put_name(&out, SLICE("n"));
			av_put_number(&out, slice_of(encoded, number_encode(&n, encoded)));
			count = 3;
		}
		if (av_close_map(&out, map, count, &duplicate) != S_OK)
			abort();
		write.key = write.item = av_of_buf(&arena, &out, 0);
		buf_done(&out);
		if (table_commit(&write, 1, &io, &err) != S_OK)
			abort();
		arena_reset(&arena);
	}
	arena_done(&arena);
	return NULL;
}

static void
an_index_filled_while_items_change_is_right(void **state)
{
	struct table_index_spec x = by_group();
	struct table_description d;
	struct writer writers[3];
	atomic_bool stop = false;
	struct table *t = create("T", schema("pk", NULL, AV_S), NULL, 0);

	(void)state;
	for (int i = 0; i < ITEMS; i++)
		assert_ok(put(t, numbered(i, i % 3)));
	for (unsigned i = 0; i < 3; i++) {
		writers[i] = (struct writer){.seed = i + 1, .stop = &stop, .t = t};
		pthread_create(&writers[i].thread, NULL, write_on, &writers[i]);
	}
	for (int round = 0; round < 3; round++) {
		struct table *now;

		assert_ok(add_index(&x, &d));
		wait_active("T");
		usleep(2000);
		if (round == 2)
			break;
		assert_ok(drop_index("by_group"));
		while (describe("T").spec.index_count > 0)
			usleep(500);
		now = find("T");
		assert_null(table_index_find(now, SLICE("by_group")));
		table_release(now);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 3; i++)
		pthread_join(writers[i].thread, NULL);
	table_release(t);
	t = find("T");
	assert_index_is_right(t);
	table_release(t);
}

static void
only_one_index_at_a_time(void **state)
{
	static const char message[] =
	    "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table";
	struct table_index_spec x = by_group(), y = by_group();
	struct table_description d;
	const struct table_index *none;
	struct table *t;

	(void)state;
	table_release(create("T", schema("pk", NULL, AV_S), NULL, 0));
	db_reopen_with_delay(HELD);
	y.name = SLICE("other");
	assert_ok(add_index(&x, &d));
	t = find("T");
	assert_status(table_index_for_read(t, SLICE("by_group"), &none, &fx.err), S_VALIDATION,
		      "Cannot read from backfilling global secondary index: by_group");
	assert_status(table_index_for_read(t, SLICE("x"), &none, &fx.err), S_VALIDATION,
		      "The table does not have the specified index: x");
	table_release(t);
	db_reopen_with_delay(0);
	while (describe("T").status != TABLE_ACTIVE || describe("T").indexes[0].status == INDEX_CREATING)
		usleep(1000);
	assert_status(add_index(&x, &d), S_VALIDATION, "Attempting to create an index which already exists");
	assert_status(drop_index("y"), S_RESOURCE_NOT_FOUND, "Requested resource not found");
	{
		struct table_update both = {.create_index = &y, .delete_index = SLICE("by_group")};

		assert_status(table_update(fx.db, SLICE("T"), &both, &fx.arena, &d, &fx.err), S_LIMIT_EXCEEDED,
			      message);
	}
	db_reopen_with_delay(HELD);
	assert_ok(drop_index("by_group"));
	d = describe("T");
	assert_int_equal(d.indexes[0].status, INDEX_DELETING);
	db_reopen_with_delay(0);
	while (describe("T").spec.index_count > 0)
		usleep(1000);
	assert_int_equal(describe("T").spec.definition_count, 1); /* nobody uses g and n any more */
}

static void
an_index_on_undefined_attributes_is_refused(void **state)
{
	struct table_index_spec x = by_group();
	struct table_update update = {.create_index = &x};
	struct table_description d;

	(void)state;
	table_release(create("T", schema("pk", "sk", AV_S), NULL, 0));
	assert_status(table_update(fx.db, SLICE("T"), &update, &fx.arena, &d, &fx.err), S_VALIDATION,
		      "One or more parameter values were invalid: Some index key attributes are not defined in "
		      "AttributeDefinitions. Keys: [g, n], AttributeDefinitions: [pk, sk]");
}

/* Steps by hand: the background thread is kept away by a long delay. */
static void
filling_goes_on_where_it_stopped(void **state)
{
	struct table_index_spec x = by_group();
	struct table_description d;
	struct table *t;
	int steps = 0;
	bool done = false;

	(void)state;
	t = create("T", schema("pk", NULL, AV_S), NULL, 0);
	for (int i = 0; i < ITEMS; i++)
		assert_ok(put(t, numbered(i, i % 3)));
	table_release(t);
	db_reopen_with_delay(HELD);
	assert_ok(add_index(&x, &d));
	while (!done) {
		db_reopen();
		t = find("T");
		assert_ok(backfill_step(t, &t->indexes[0], &done, &fx.err));
		assert_int_equal(describe("T").item_count, ITEMS);
		table_release(t);
		steps++;
	}
	assert_int_equal(steps, (ITEMS + 63) / 64);
	assert_int_equal(describe("T").indexes[0].item_count, ITEMS);
	/* the same again changes nothing */
	db_reopen_with_delay(0);
	wait_active("T");
	t = find("T");
	assert_index_is_right(t);
	table_release(t);
}

/* Every engine call of a step fails once; the step done again makes it whole, and nothing is counted twice. */
static void
a_step_that_fails_is_done_again(void **state)
{
	struct table_index_spec x = by_group();
	struct table_description d;
	struct table *t;
	bool done;
	uint64_t n;

	(void)state;
	t = create("T", schema("pk", NULL, AV_S), NULL, 0);
	for (int i = 0; i < 10; i++)
		assert_ok(put(t, numbered(i, i % 3)));
	table_release(t);
	db_reopen_with_delay(HELD);
	assert_ok(add_index(&x, &d));
	t = find("T");
	for (n = 1;; n++) {
		enum status s;

		engine_faulty_arm(fx.engine, n, n % 2 ? S_IO : S_WOULD_BLOCK);
		s = backfill_step(t, &t->indexes[0], &done, &fx.err);
		engine_faulty_arm(fx.engine, 0, S_OK);
		if (s == S_OK && n % 2 == 1)
			break;
		assert_true(describe("T").indexes[0].item_count <= 10);
		assert_true(n < 200);
	}
	assert_true(n > 4);
	assert_int_equal(describe("T").indexes[0].item_count, 10);
	table_release(t);
}

static void
long_index_keys_do_not_move_the_item(void **state) /* the keys of a call share one buffer, which grows */
{
	struct table_index_spec x = by_group();
	struct table *t = create("T", schema("pk", NULL, AV_S), &x, 1);

	(void)state;
	for (int i = 1; i <= 40; i++) {
		struct av key = item("pk", long_text((size_t)i * 45), NULL);

		assert_ok(
		    put(t, item("pk", long_text((size_t)i * 45), "g", long_text((size_t)i * 50), "n", "N:1", NULL)));
		assert_true(av_exists(get(t, key)));
		assert_index_is_right(t);
	}
	table_release(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(long_index_keys_do_not_move_the_item, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_added_index_finds_what_was_there, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_index_filled_while_items_change_is_right, setup, teardown),
	    cmocka_unit_test_setup_teardown(only_one_index_at_a_time, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_index_on_undefined_attributes_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(filling_goes_on_where_it_stopped, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_step_that_fails_is_done_again, setup_faulty, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
