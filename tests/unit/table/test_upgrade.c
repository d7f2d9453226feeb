/*
 * Data of form 1, made from a database of today: the same rows under another hash, as form 1 ordered them, without the
 * hash of the table's key in rows of indexes.
 */
#include "table/fixture.h"
#include "table/table_int.h"

#define ITEMS 60

static struct slice
old_row_key(struct slice key)
{
	struct slice changed = arena_dup(&fx.arena, key);

	for (int i = 4; i < 12; i++) /* behind the number */
		((char *)changed.data)[i] ^= 0x5a;
	return changed;
}

/* Every row of the space gets another key; those of number 0 are of no table. */
static void
move_rows(enum engine_space space, struct engine_batch *batch)
{
	struct engine_iter *it =
	    engine_iter_new(fx.engine, NULL, space, slice_of("\0\0\0\1", 4), SLICE_NONE, ENGINE_MAY_BLOCK);

	for (engine_iter_first(it); engine_iter_valid(it); engine_iter_next(it)) {
		struct slice key = engine_iter_key(it);

		engine_batch_delete(batch, space, key);
		engine_batch_put(batch, space, old_row_key(key), engine_iter_value(it));
	}
	engine_iter_free(it);
}

static void
drop_kind(char letter, struct engine_batch *batch)
{
	char after = (char)(letter + 1);

	engine_batch_delete_range(batch, SPACE_CATALOG, slice_of(&letter, 1), slice_of(&after, 1));
}

static void
make_old(void)
{
	struct engine_batch *batch;
	uint64_t seq;

	table_db_close(fx.db);
	batch = engine_batch_new(fx.engine);
	move_rows(SPACE_ITEMS, batch);
	move_rows(SPACE_INDEXES, batch);
	drop_kind('c', batch); /* they count by partitions of the other hash */
	drop_kind('k', batch); /* it knew no streams */
	engine_batch_put(batch, SPACE_CATALOG, SLICE("v"), SLICE("1"));
	assert_ok(engine_apply(fx.engine, batch, &seq, &fx.err));
	assert_ok(engine_sync_to(fx.engine, seq, &fx.err));
	engine_batch_free(batch);
}

static struct table_index_spec *
indexes(void)
{
	struct table_index_spec *x = ARENA_ARRAY(&fx.arena, struct table_index_spec, 2);

	x[0] = (struct table_index_spec){
	    .name = SLICE("local"), .schema = schema("pk", "n", AV_N), .projection = PROJECT_ALL};
	x[1] = (struct table_index_spec){
	    .name = SLICE("global"), .global = true, .schema = schema("g", "n", AV_N), .projection = PROJECT_KEYS_ONLY};
	return x;
}

/* Two tables with items, one of them with indexes and a policy. *ret: as it is told before. */
static void
fill(struct table_description *ret)
{
	const struct table_policy_change policy = {.document = SLICE("{\"a\":1}")};
	struct table *t = create("with", schema("pk", "sk", AV_S), indexes(), 2);
	int64_t revision;

	for (int i = 0; i < ITEMS; i++)
		assert_ok(put(t, item("pk", text("S:p%d", i % 7), "sk", text("S:%d", i), "n", text("N:%d", i), "g",
				      text("S:g%d", i % 3), NULL)));
	table_release(t);
	t = create("plain", schema("pk", NULL, AV_S), NULL, 0);
	assert_ok(put(t, item("pk", "S:only", NULL)));
	table_release(t);
	assert_ok(table_policy_set(fx.db, SLICE("with"), &policy, &revision, &fx.err));
	*ret = describe("with");
}

static size_t
rows_of(enum engine_space space)
{
	struct engine_iter *it =
	    engine_iter_new(fx.engine, NULL, space, slice_of("\0\0\0\1", 4), SLICE_NONE, ENGINE_MAY_BLOCK);
	size_t count = 0;

	for (engine_iter_first(it); engine_iter_valid(it); engine_iter_next(it))
		count++;
	engine_iter_free(it);
	return count;
}

/* As many rows as items have that value; nothing else is in the index. */
static void
check_index(const struct table *t, const char *index, const char *attribute, const char *value_text, uint32_t expected)
{
	struct table_read read = {
	    .table = (struct table *)t, .index = table_index_find(t, slice_str(index)), .select = SELECT_ALL};
	struct table_page all = page(read);
	struct av wanted = value(value_text);
	uint32_t found = 0;

	for (uint32_t i = 0; i < all.count; i++)
		found += av_equal(av_get(all.items[i], slice_str(attribute)), wanted);
	assert_int_equal(all.count, ITEMS);
	assert_int_equal(found, expected);
}

static void
check_all(const struct table_description *before)
{
	struct table_description after = describe("with");
	struct table_policy *policy;
	struct table *t = find("with");

	assert_string_equal(after.id, before->id);
	assert_int_equal(after.created_ms, before->created_ms);
	assert_int_equal(after.item_count, ITEMS);
	assert_int_equal(after.size_bytes, before->size_bytes);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(after.indexes[i].item_count, ITEMS);
		assert_int_equal(after.indexes[i].size_bytes, before->indexes[i].size_bytes);
	}
	for (int i = 0; i < ITEMS; i++) {
		struct av got = get(t, item("pk", text("S:p%d", i % 7), "sk", text("S:%d", i), NULL));

		assert_string_equal(string_of(got, "g"), text("g%d", i % 3));
	}
	check_index(t, "global", "g", "S:g1", ITEMS / 3);
	check_index(t, "local", "pk", "S:p0", (ITEMS + 6) / 7);
	policy = table_policy_find(fx.db, SLICE("with"));
	assert_non_null(policy);
	assert_true(slice_eq(policy->document, SLICE("{\"a\":1}")));
	table_policy_release(policy);
	table_release(t);
	t = find("plain");
	assert_true(av_exists(get(t, item("pk", "S:only", NULL))));
	table_release(t);
	/* nothing of before is left */
	assert_int_equal(rows_of(SPACE_ITEMS), ITEMS + 1);
	assert_int_equal(rows_of(SPACE_INDEXES), 2 * ITEMS);
}

static void
form_1_has_everything_after_opening(void **state)
{
	struct table_description before;
	struct table *t;

	(void)state;
	fill(&before);
	make_old();
	db_open();
	check_all(&before);
	/* and is an ordinary database from then on */
	t = find("with");
	assert_ok(put(t, item("pk", "S:new", "sk", "S:x", "g", "S:g1", "n", "N:1", NULL)));
	table_release(t);
	db_reopen();
	assert_int_equal(describe("with").item_count, ITEMS + 1);
}

static void
a_table_that_was_being_deleted_is_gone(void **state)
{
	struct table_description before, d;

	(void)state;
	fill(&before);
	db_reopen_with_delay(HELD); /* the rows are not dropped before it is closed */
	assert_ok(table_delete(fx.db, SLICE("with"), &fx.arena, &d, &fx.err));
	make_old();
	db_open();
	assert_int_equal(table_describe(fx.db, SLICE("with"), &fx.arena, &d, &fx.err), S_RESOURCE_NOT_FOUND);
	assert_int_equal(rows_of(SPACE_ITEMS), 1);
	assert_int_equal(rows_of(SPACE_INDEXES), 0);
}

/* Each call of the engine fails once: the database does not open, and nothing is lost or left behind. */
static void
an_upgrade_that_fails_leaves_what_was_there(void **state)
{
	const struct table_db_options options = {"eu-central-1", "000000000000", 0, 4, 256 * 1024, false, 0};
	struct table_description before;
	uint64_t n = 0;

	(void)state;
	fill(&before);
	make_old();
	for (enum status s = S_IO; s != S_OK; n += n < 40 ? 1 : 23) {
		engine_faulty_arm(fx.engine, n + 1, S_IO);
		s = table_db_open(fx.engine, &options, &fx.db, &fx.err);
	}
	assert_true(n > 100);
	engine_faulty_arm(fx.engine, 0, S_OK);
	check_all(&before);
}

static void
numbers_that_were_not_given_out_stop_the_opening(void **state)
{
	static const struct slice rows[] = {{"\0\0\0\1", 4}, {"\0\0\0", 3}};
	struct table_description before;
	struct engine_batch *batch;
	struct table_db *db;
	uint64_t seq;

	(void)state;
	fill(&before);
	make_old();
	for (int i = 0; i < 2; i++) {
		const struct table_db_options options = {"eu-central-1", "000000000000", 0, 4, 256 * 1024, false, 0};

		batch = engine_batch_new(fx.engine);
		engine_batch_put(batch, SPACE_CATALOG, SLICE("n"), rows[i]);
		engine_batch_put(batch, SPACE_CATALOG, SLICE("v"), SLICE("1"));
		assert_ok(engine_apply(fx.engine, batch, &seq, &fx.err));
		assert_int_equal(table_db_open(fx.engine, &options, &db, &fx.err), S_CORRUPT);
		engine_batch_clear(batch);
		engine_batch_put(batch, SPACE_CATALOG, SLICE("v"), SLICE("2"));
		assert_ok(engine_apply(fx.engine, batch, &seq, &fx.err));
		assert_int_equal(table_db_open(fx.engine, &options, &db, &fx.err), S_CORRUPT);
		engine_batch_free(batch);
		assert_int_equal(rows_of(SPACE_ITEMS), ITEMS + 1);
	}
	/* for the teardown */
	batch = engine_batch_new(fx.engine);
	engine_batch_put(batch, SPACE_CATALOG, SLICE("n"), SLICE("\0\0\1\0"));
	assert_ok(engine_apply(fx.engine, batch, &seq, &fx.err));
	engine_batch_free(batch);
	db_open();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(form_1_has_everything_after_opening, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_table_that_was_being_deleted_is_gone, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_upgrade_that_fails_leaves_what_was_there, setup_faulty, teardown),
	    cmocka_unit_test_setup_teardown(numbers_that_were_not_given_out_stop_the_opening, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
