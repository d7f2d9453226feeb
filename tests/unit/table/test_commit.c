#include "table/fixture.h"

static struct table *
music(void)
{
	struct table_index_spec x[3] = {
	    {.name = SLICE("by_year"), .schema = schema("pk", "year", AV_N), .projection = PROJECT_KEYS_ONLY},
	    {.name = SLICE("by_genre"),
	     .global = true,
	     .schema = schema("genre", "year", AV_N),
	     .projection = PROJECT_INCLUDE},
	    {.name = SLICE("whole"), .global = true, .schema = schema("label", NULL, AV_S), .projection = PROJECT_ALL},
	};
	x[1].include = ARENA_ARRAY(&fx.arena, struct slice, 1);
	x[1].include[0] = SLICE("title");
	x[1].include_count = 1;
	return create("Music", schema("pk", "sk", AV_S), x, 3);
}

static struct table_page
scan_index(struct table *t, const char *index)
{
	struct table_read read = {.table = t, .select = SELECT_PROJECTED};

	read.index = table_index_find(t, slice_str(index));
	assert_non_null(read.index);
	return page(read);
}

static struct av
key(const char *pk, const char *sk)
{
	return item("pk", pk, "sk", sk, NULL);
}

static void
what_was_put_is_got(void **state)
{
	struct table *t = music();
	struct av full = item("pk", "S:a", "sk", "S:b", "x", "NULL", "y", "N:-1.5", NULL);

	(void)state;
	assert_ok(put(t, full));
	assert_same(get(t, key("S:a", "S:b")), full);
	assert_same(get(t, key("S:a", "S:c")), AV_NONE);
	assert_ok(delete (t, key("S:a", "S:b")));
	assert_same(get(t, key("S:a", "S:b")), AV_NONE);
	assert_ok(delete (t, key("S:a", "S:b"))); /* of what is not there */
	table_release(t);
}

static void
a_failed_condition_leaves_the_item_and_tells_it(void **state)
{
	struct table *t = music();
	struct table_io io = blocking_io();
	struct table_write w = {
	    .kind = WRITE_PUT, .table = t, .item = item("pk", "S:a", "sk", "S:b", "v", "N:2", NULL)};
	struct av first = item("pk", "S:a", "sk", "S:b", "v", "N:1", NULL);

	(void)state;
	w.condition = expression(EXPR_CONDITION, "attribute_not_exists(pk)", NULL, NULL);
	assert_ok(put(t, first));
	assert_status(table_commit(&w, 1, &io, &fx.err), S_COND_FAILED, "The conditional request failed");
	assert_int_equal(w.status, S_COND_FAILED);
	assert_same(w.old_item, first);
	assert_int_equal(w.unit_count, 1);
	assert_int_equal(w.units[0].half_write, 2);
	assert_same(get(t, key("S:a", "S:b")), first);
	table_release(t);
}

static void
an_update_starts_from_the_key_when_there_is_nothing(void **state)
{
	struct table *t = music();
	struct table_io io = blocking_io();
	struct table_write w = {.kind = WRITE_UPDATE, .table = t, .key = key("S:a", "S:b")};

	(void)state;
	w.update = expression(EXPR_UPDATE, "SET v = :a", "N:5", NULL);
	assert_ok(table_commit(&w, 1, &io, &fx.err));
	assert_same(w.new_item, item("pk", "S:a", "sk", "S:b", "v", "N:5", NULL));
	assert_false(av_exists(w.old_item));
	w.update = expression(EXPR_UPDATE, "SET v = v + :a", "N:1", NULL);
	assert_ok(table_commit(&w, 1, &io, &fx.err));
	assert_same(w.updated_old, item("v", "N:5", NULL));
	assert_same(w.updated_new, item("v", "N:6", NULL));
	w.update = NULL; /* no expression: the item exists afterwards */
	w.key = key("S:a", "S:new");
	assert_ok(table_commit(&w, 1, &io, &fx.err));
	assert_same(get(t, key("S:a", "S:new")), key("S:a", "S:new"));
	table_release(t);
}

static void
a_commit_is_all_or_nothing(void **state)
{
	struct table *t = music();
	struct table_io io = blocking_io();
	struct table_write w[4] = {
	    {.kind = WRITE_PUT, .table = t, .item = item("pk", "S:a", "sk", "S:1", NULL)},
	    {.kind = WRITE_PUT,
	     .table = t,
	     .item = item("pk", "S:b", "sk", "S:1", "label", "N:1", NULL)}, /* wrong type */
	    {.kind = WRITE_CHECK, .table = t, .key = key("S:c", "S:1")},
	    {.kind = WRITE_DELETE, .table = t, .key = key("S:d", "S:1")},
	};

	(void)state;
	assert_ok(put(t, key("S:d", "S:1")));
	w[2].condition = expression(EXPR_CONDITION, "attribute_exists(pk)", NULL, NULL);
	assert_status(
	    table_commit(w, 4, &io, &fx.err), S_VALIDATION,
	    "One or more parameter values were invalid: Type mismatch for Index Key label Expected: S Actual: N "
	    "IndexName: whole");
	assert_int_equal(w[0].status, S_OK);
	assert_int_equal(w[1].status, S_VALIDATION);
	assert_int_equal(w[2].status, S_COND_FAILED);
	assert_int_equal(w[3].status, S_OK);
	assert_false(av_exists(get(t, key("S:a", "S:1"))));
	assert_true(av_exists(get(t, key("S:d", "S:1"))));
	assert_int_equal(describe("Music").item_count, 1);
	w[1].item = item("pk", "S:b", "sk", "S:1", "label", "S:l", NULL);
	w[2].condition = expression(EXPR_CONDITION, "attribute_not_exists(pk)", NULL, NULL);
	assert_ok(table_commit(w, 4, &io, &fx.err));
	assert_true(av_exists(get(t, key("S:a", "S:1"))));
	assert_false(av_exists(get(t, key("S:d", "S:1"))));
	assert_int_equal(scan_index(t, "whole").count, 1);
	table_release(t);
}

static void
index_rows_follow_the_item(void **state)
{
	struct table *t = music();
	struct table_page p;

	(void)state;
	assert_ok(put(t, item("pk", "S:a", "sk", "S:1", "genre", "S:jazz", "year", "N:1959", "title", "S:Blue", "other",
			      "S:x", NULL)));
	p = scan_index(t, "by_genre");
	assert_int_equal(p.count, 1);
	assert_same(p.items[0],
		    item("pk", "S:a", "sk", "S:1", "genre", "S:jazz", "year", "N:1959", "title", "S:Blue", NULL));
	p = scan_index(t, "by_year");
	assert_same(p.items[0], item("pk", "S:a", "sk", "S:1", "year", "N:1959", NULL));
	assert_int_equal(scan_index(t, "whole").count, 0); /* no label: not in the index */
	assert_ok(put(t, item("pk", "S:a", "sk", "S:1", "genre", "S:pop", "year", "N:1960", "label", "S:l", NULL)));
	p = scan_index(t, "by_genre");
	assert_int_equal(p.count, 1);
	assert_string_equal(string_of(p.items[0], "genre"), "pop");
	assert_int_equal(scan_index(t, "whole").count, 1);
	assert_ok(put(t, item("pk", "S:a", "sk", "S:1", "genre", "S:pop", NULL))); /* half an index key is none */
	assert_int_equal(scan_index(t, "by_genre").count, 0);
	assert_int_equal(scan_index(t, "whole").count, 0);
	assert_ok(put(t, item("pk", "S:a", "sk", "S:1", "label", "S:l", NULL)));
	assert_ok(delete (t, key("S:a", "S:1")));
	assert_int_equal(scan_index(t, "whole").count, 0);
	assert_int_equal(describe("Music").indexes[2].item_count, 0);
	assert_int_equal(describe("Music").indexes[2].size_bytes, 0);
	table_release(t);
}

static uint32_t
units_of(const struct table_write *w, const char *index)
{
	for (size_t i = 0; i < w->unit_count; i++) {
		const struct table_index *x = w->units[i].index;

		if (index == NULL ? x == NULL : x != NULL && slice_eq(table_index_spec(x)->name, slice_str(index)))
			return w->units[i].half_write;
	}
	return 0;
}

static void
write_units_follow_the_larger_image_and_the_indexes(void **state)
{
	struct table *t = music();
	struct table_io io = blocking_io();
	struct table_write w = {.kind = WRITE_PUT, .table = t};

	(void)state;
	w.item =
	    item("pk", "S:a", "sk", "S:1", "label", "S:l", "genre", "S:g", "year", "N:1", "pad", long_text(2000), NULL);
	assert_ok(table_commit(&w, 1, &io, &fx.err));
	assert_int_equal(units_of(&w, NULL), 4); /* 2 units */
	assert_int_equal(units_of(&w, "whole"), 4);
	assert_int_equal(units_of(&w, "by_year"), 2);
	assert_int_equal(units_of(&w, "by_genre"), 2);
	w.item = item("pk", "S:a", "sk", "S:1", "label", "S:m", "genre", "S:g", "year", "N:1", NULL);
	assert_ok(table_commit(&w, 1, &io, &fx.err));
	assert_int_equal(units_of(&w, NULL), 4);      /* the old one is the larger */
	assert_int_equal(units_of(&w, "whole"), 6);   /* another key: a delete of 2 and a put of 1 */
	assert_int_equal(units_of(&w, "by_year"), 0); /* nothing it holds has changed */
	assert_int_equal(units_of(&w, "by_genre"), 0);
	w.item = item("pk", "S:a", "sk", "S:1", "label", "S:m", "genre", "S:g", "year", "N:1", "title", "S:t", NULL);
	assert_ok(table_commit(&w, 1, &io, &fx.err));
	assert_int_equal(units_of(&w, "by_genre"), 2); /* a projected attribute */
	assert_int_equal(units_of(&w, "by_year"), 0);
	w = (struct table_write){.kind = WRITE_DELETE, .table = t, .key = key("S:a", "S:none")};
	assert_ok(table_commit(&w, 1, &io, &fx.err));
	assert_int_equal(w.unit_count, 1);
	assert_int_equal(units_of(&w, NULL), 2); /* also a delete of nothing costs one */
	table_release(t);
}

static void
an_item_of_400_kb_fits_and_one_byte_more_does_not(void **state)
{
	struct table *t = music();
	struct table_io io = blocking_io();
	struct table_write w = {.kind = WRITE_UPDATE, .table = t, .key = key("S:a", "S:1")};
	size_t rest = ITEM_SIZE_MAX - (2 + 1 + 2 + 1 + 3); /* pk a sk 1 pad */

	(void)state;
	assert_ok(put(t, item("pk", "S:a", "sk", "S:1", "pad", long_text(rest), NULL)));
	assert_status(put(t, item("pk", "S:a", "sk", "S:1", "pad", long_text(rest + 1), NULL)), S_VALIDATION,
		      "Item size has exceeded the maximum allowed size");
	w.update = expression(EXPR_UPDATE, "SET b = :a", "S:x", NULL);
	assert_status(table_commit(&w, 1, &io, &fx.err), S_VALIDATION,
		      "Item size to update has exceeded the maximum allowed size");
	table_release(t);
}

static void
of_several_bad_index_keys_the_first_by_name_is_told(void **state)
{
	struct table *t = music();

	(void)state;
	assert_status(
	    put(t, item("pk", "S:a", "sk", "S:1", "year", "S:x", NULL)), S_VALIDATION,
	    "One or more parameter values were invalid: Type mismatch for Index Key year Expected: N Actual: S "
	    "IndexName: by_genre");
	table_release(t);
}

static void
index_keys_that_can_only_be_wrong_are_told_before_the_condition(void **state)
{
	struct table *t = music();
	struct table_io io = blocking_io();
	struct table_write w = {
	    .kind = WRITE_PUT, .table = t, .item = item("pk", "S:a", "sk", "S:1", "label", "N:1", NULL)};

	(void)state;
	w.condition = expression(EXPR_CONDITION, "attribute_exists(nothing)", NULL, NULL);
	assert_int_equal(table_commit(&w, 1, &io, &fx.err), S_VALIDATION);
	w = (struct table_write){.kind = WRITE_UPDATE, .table = t, .key = key("S:a", "S:1"), .condition = w.condition};
	w.update = expression(EXPR_UPDATE, "SET label = :a", "N:1", NULL);
	assert_status(
	    table_commit(&w, 1, &io, &fx.err), S_VALIDATION,
	    "One or more parameter values were invalid: Type mismatch for Index Key label Expected: S Actual: N "
	    "IndexName: whole");
	assert_ok(put(t, item("pk", "S:a", "sk", "S:1", "nothing", "N:1", NULL)));
	w.update = expression(EXPR_UPDATE, "SET label = nothing", NULL, NULL);
	assert_status(table_commit(&w, 1, &io, &fx.err), S_VALIDATION,
		      "The update expression attempted to update the secondary index key to unsupported type");
	table_release(t);
}

/* Fails every engine call of a commit in turn; the table is as before each time. */
static void
a_failed_engine_call_changes_nothing(void **state)
{
	struct table *t;
	struct av old = item("pk", "S:a", "sk", "S:1", "label", "S:l", "year", "N:1", NULL);
	struct table_write w[2];
	enum status s = S_OK;
	uint64_t n;

	(void)state;
	fx.no_cache = true;
	db_reopen();
	t = music();
	assert_ok(put(t, old));
	for (n = 1;; n++) {
		struct table_io io = blocking_io();

		w[0] = (struct table_write){
		    .kind = WRITE_PUT, .table = t, .item = item("pk", "S:a", "sk", "S:1", "label", "S:m", NULL)};
		w[1] = (struct table_write){
		    .kind = WRITE_PUT, .table = t, .item = item("pk", "S:b", "sk", "S:1", "year", "N:2", NULL)};
		engine_faulty_arm(fx.engine, n, S_IO);
		s = table_commit(w, 2, &io, &fx.err);
		engine_faulty_arm(fx.engine, 0, S_OK);
		if (s == S_OK)
			break;
		assert_int_equal(s, S_IO);
		assert_same(get(t, key("S:a", "S:1")), old);
		assert_same(get(t, key("S:b", "S:1")), AV_NONE);
		assert_string_equal(string_of(scan_index(t, "whole").items[0], "label"), "l");
		assert_int_equal(describe("Music").item_count, 1);
		assert_int_equal(describe("Music").indexes[2].item_count, 1);
		assert_true(n < 100);
	}
	assert_true(n > 2); /* it did fail: reads and the apply */
	assert_int_equal(describe("Music").item_count, 2);
	assert_int_equal(describe("Music").indexes[0].item_count, 1);
	assert_string_equal(string_of(scan_index(t, "whole").items[0], "label"), "m");
	table_release(t);
}

static void
where_blocking_is_not_allowed_the_caller_is_told(void **state)
{
	struct table *t = music();
	struct table_io io = {.arena = &fx.arena};
	struct table_write w = {.kind = WRITE_PUT, .table = t, .item = key("S:a", "S:1")};
	struct av got;

	(void)state;
	engine_faulty_arm(fx.engine, 1, S_WOULD_BLOCK);
	assert_int_equal(table_commit(&w, 1, &io, &fx.err), S_WOULD_BLOCK);
	engine_faulty_arm(fx.engine, 1, S_WOULD_BLOCK);
	assert_int_equal(table_get(t, w.item, &io, &got, &fx.err), S_WOULD_BLOCK);
	engine_faulty_arm(fx.engine, 1,
			  S_WOULD_BLOCK); /* with blocking allowed it is read without the lock, then again */
	assert_ok(put(t, w.item));
	assert_same(get(t, w.item), w.item);
	table_release(t);
}

static void
counts_are_exact_after_lost_writes(void **state)
{
	struct table *t = music();
	struct table_description before, after;

	(void)state;
	for (int i = 0; i < 20; i++)
		assert_ok(put(t, item("pk", text("S:%d", i), "sk", "S:1", "label", "S:l", NULL)));
	before = describe("Music");
	engine_memory_hold_sync(fx.memory, true);
	for (int i = 10; i < 30; i++)
		assert_ok(put(t, item("pk", text("S:%d", i), "sk", "S:1", "label", "S:longer", NULL)));
	engine_memory_fail_sync(fx.memory);
	engine_memory_hold_sync(fx.memory, false);
	/* each partition finds out with its next write */
	for (int i = 0; i < 20; i++)
		assert_ok(put(t, item("pk", text("S:%d", i), "sk", "S:1", "label", "S:l", NULL)));
	after = describe("Music");
	assert_int_equal(after.item_count, before.item_count);
	assert_int_equal(after.size_bytes, before.size_bytes);
	assert_int_equal(after.indexes[2].item_count, before.indexes[2].item_count);
	assert_int_equal(after.indexes[2].size_bytes, before.indexes[2].size_bytes);
	assert_int_equal(scan_index(t, "whole").count, 20);
	table_release(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_was_put_is_got, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_failed_condition_leaves_the_item_and_tells_it, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_update_starts_from_the_key_when_there_is_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_commit_is_all_or_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(index_rows_follow_the_item, setup, teardown),
	    cmocka_unit_test_setup_teardown(write_units_follow_the_larger_image_and_the_indexes, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_item_of_400_kb_fits_and_one_byte_more_does_not, setup, teardown),
	    cmocka_unit_test_setup_teardown(of_several_bad_index_keys_the_first_by_name_is_told, setup, teardown),
	    cmocka_unit_test_setup_teardown(index_keys_that_can_only_be_wrong_are_told_before_the_condition, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(a_failed_engine_call_changes_nothing, setup_faulty, teardown),
	    cmocka_unit_test_setup_teardown(where_blocking_is_not_allowed_the_caller_is_told, setup_faulty, teardown),
	    cmocka_unit_test_setup_teardown(counts_are_exact_after_lost_writes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
