#include "table/fixture.h"

#include "table/table_int.h"

static const struct table_index_spec *
two_indexes(void)
{
	struct table_index_spec *x = ARENA_ARRAY(&fx.arena, struct table_index_spec, 2);

	x[0] = (struct table_index_spec){
	    .name = SLICE("local"), .schema = schema("pk", "n", AV_N), .projection = PROJECT_ALL};
	x[1] = (struct table_index_spec){.name = SLICE("global"),
					 .global = true,
					 .schema = schema("g", "n", AV_N),
					 .projection = PROJECT_INCLUDE,
					 .include = ARENA_ARRAY(&fx.arena, struct slice, 1),
					 .include_count = 1};
	x[1].include[0] = SLICE("extra");
	return x;
}

static void
a_table_is_creating_then_active(void **state)
{
	struct table_spec spec;
	struct table_description d;
	struct table *t;

	(void)state;
	db_reopen_with_delay(HELD);
	spec = spec_of("Music", schema("pk", "sk", AV_S), two_indexes(), 2);
	assert_ok(table_create(fx.db, &spec, &fx.arena, &d, &fx.err));
	assert_int_equal(d.status, TABLE_CREATING);
	assert_int_equal(d.indexes[1].status, INDEX_CREATING);
	assert_int_equal(d.indexes[0].status, INDEX_ACTIVE);
	assert_int_equal(strlen(d.id), 36);
	assert_int_equal(d.id[14], '4');
	assert_status(table_find(fx.db, SLICE("Music"), &t, &fx.err), S_RESOURCE_NOT_FOUND,
		      "Requested resource not found");
	assert_status(table_delete(fx.db, SLICE("Music"), &fx.arena, &d, &fx.err), S_RESOURCE_IN_USE,
		      "Attempt to change a resource which is still in use: Table is being created: Music");
	assert_status(table_create(fx.db, &spec, &fx.arena, &d, &fx.err), S_RESOURCE_IN_USE,
		      "Table already exists: Music");
	db_reopen_with_delay(0);
	wait_active("Music");
	d = describe("Music");
	assert_int_equal(d.spec.definition_count, 4);
	assert_true(d.created_ms > 0);
	assert_true(d.billing_changed_ms == d.created_ms);
	assert_true(slice_eq(d.indexes[1].spec.include[0], SLICE("extra")));
	t = find("Music");
	assert_non_null(table_index_find(t, SLICE("global")));
	assert_null(table_index_find(t, SLICE("other")));
	assert_true(table_has_local_indexes(t));
	table_release(t);
	assert_true(slice_eq(table_arn(fx.db, SLICE("Music"), SLICE("global"), &fx.arena),
			     SLICE("arn:aws:dynamodb:eu-central-1:000000000000:table/Music/index/global")));
}

static void
a_missing_table_is_told_by_name(void **state)
{
	struct table_description d;
	struct table_update update = {0};

	(void)state;
	assert_status(table_describe(fx.db, SLICE("nope"), &fx.arena, &d, &fx.err), S_RESOURCE_NOT_FOUND,
		      "Requested resource not found: Table: nope not found");
	assert_status(table_delete(fx.db, SLICE("nope"), &fx.arena, &d, &fx.err), S_RESOURCE_NOT_FOUND,
		      "Requested resource not found: Table: nope not found");
	assert_status(table_update(fx.db, SLICE("nope"), &update, &fx.arena, &d, &fx.err), S_RESOURCE_NOT_FOUND,
		      "Requested resource not found: Table: nope not found");
}

static void
everything_is_there_after_reopening(void **state)
{
	struct table_index_spec const *x = two_indexes();
	struct table_spec spec = spec_of("Music", schema("pk", "sk", AV_S), x, 2);
	struct table_tag tags[] = {{SLICE("team"), SLICE("a")}, {SLICE("env"), SLICE("prod")}};
	struct table_description before, after;
	struct table_tag *read_tags;
	size_t count;
	struct table *t;

	(void)state;
	spec.billing = BILLING_PROVISIONED;
	spec.throughput = (struct table_throughput){.read_units = 5, .write_units = 6};
	spec.class = CLASS_INFREQUENT_ACCESS;
	spec.deletion_protection = true;
	spec.tags = tags;
	spec.tag_count = 2;
	assert_ok(table_create(fx.db, &spec, &fx.arena, &before, &fx.err));
	wait_active("Music");
	t = find("Music");
	assert_ok(put(t, item("pk", "S:a", "sk", "S:b", "g", "S:c", "n", "N:1", NULL)));
	assert_ok(put(t, item("pk", "S:a", "sk", "S:c", NULL)));
	table_release(t);
	before = describe("Music");
	db_reopen();
	after = describe("Music");
	assert_int_equal(after.status, TABLE_ACTIVE);
	assert_string_equal(before.id, after.id);
	assert_int_equal(before.number, after.number);
	assert_int_equal(after.item_count, 2);
	assert_int_equal(after.size_bytes, before.size_bytes);
	assert_int_equal(after.indexes[0].item_count, 1);
	assert_int_equal(after.indexes[1].item_count, 1);
	assert_int_equal(after.indexes[1].size_bytes, before.indexes[1].size_bytes);
	assert_int_equal(after.spec.throughput.write_units, 6);
	assert_int_equal(after.spec.class, CLASS_INFREQUENT_ACCESS);
	assert_true(after.spec.deletion_protection);
	assert_int_equal(after.created_ms, before.created_ms);
	assert_ok(table_tags(fx.db, SLICE("Music"), &fx.arena, &read_tags, &count, &fx.err));
	assert_int_equal(count, 2);
	assert_true(slice_eq(read_tags[1].value, SLICE("prod")));
	t = find("Music");
	assert_string_equal(string_of(get(t, item("pk", "S:a", "sk", "S:b", NULL)), "g"), "c");
	table_release(t);
}

static void
a_deleted_table_frees_its_name_and_its_rows(void **state)
{
	struct table_description d, again;
	struct table *t, *held;
	struct av row;

	(void)state;
	t = create("Music", schema("pk", NULL, AV_S), NULL, 0);
	assert_ok(put(t, item("pk", "S:a", NULL)));
	held = t;
	assert_ok(table_delete(fx.db, SLICE("Music"), &fx.arena, &d, &fx.err));
	assert_int_equal(d.status, TABLE_DELETING);
	wait_gone("Music");
	/* who still holds it can neither write nor take missing rows for missing items */
	assert_status(put(held, item("pk", "S:b", NULL)), S_RESOURCE_NOT_FOUND, "Requested resource not found");
	{
		struct table_io io = blocking_io();

		assert_status(table_get(held, item("pk", "S:a", NULL), &io, &row, &fx.err), S_RESOURCE_NOT_FOUND,
			      "Requested resource not found");
	}
	table_release(held);
	t = create("Music", schema("pk", NULL, AV_S), NULL, 0);
	again = describe("Music");
	assert_int_not_equal(again.number, d.number);
	assert_int_equal(again.item_count, 0);
	assert_false(av_exists(get(t, item("pk", "S:a", NULL))));
	table_release(t);
}

static void
a_delete_cut_short_goes_on_after_opening(void **state)
{
	struct table_description d;

	(void)state;
	table_release(create("Music", schema("pk", "sk", AV_S), two_indexes(), 2));
	db_reopen_with_delay(HELD); /* the rows are not dropped before the database is closed again */
	assert_ok(table_delete(fx.db, SLICE("Music"), &fx.arena, &d, &fx.err));
	assert_int_equal(describe("Music").status, TABLE_DELETING);
	assert_ok(table_delete(fx.db, SLICE("Music"), &fx.arena, &d, &fx.err)); /* again: no error */
	db_reopen();
	wait_gone("Music");
	db_reopen_with_delay(0);
	wait_gone("Music");
}

static void
deletion_protection_protects(void **state)
{
	struct table_update update = {.set_deletion_protection = true, .deletion_protection = true};
	struct table_description d;

	(void)state;
	table_release(create("Music", schema("pk", NULL, AV_S), NULL, 0));
	assert_ok(table_update(fx.db, SLICE("Music"), &update, &fx.arena, &d, &fx.err));
	assert_true(d.spec.deletion_protection);
	assert_status(
	    table_delete(fx.db, SLICE("Music"), &fx.arena, &d, &fx.err), S_VALIDATION,
	    "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection "
	    "first.");
	update.deletion_protection = false;
	assert_ok(table_update(fx.db, SLICE("Music"), &update, &fx.arena, &d, &fx.err));
	assert_ok(table_delete(fx.db, SLICE("Music"), &fx.arena, &d, &fx.err));
}

static void
names_are_listed_in_byte_order_page_by_page(void **state)
{
	static const char *const names[] = {"b", "Z", "aa", "a", "_x"};
	static const char *const sorted[] = {"Z", "_x", "a", "aa", "b"};
	struct slice *list, start = SLICE_NONE;
	size_t count, seen = 0;
	bool more;

	(void)state;
	for (size_t i = 0; i < 5; i++)
		table_release(create(names[i], schema("pk", NULL, AV_S), NULL, 0));
	do {
		table_list(fx.db, start, 2, &fx.arena, &list, &count, &more);
		for (size_t i = 0; i < count; i++)
			assert_true(slice_eq(list[i], slice_str(sorted[seen++])));
		start = list[count - 1];
	} while (more);
	assert_int_equal(seen, 5);
	table_list(fx.db, SLICE("aaa"), 10, &fx.arena, &list, &count, &more);
	assert_int_equal(count, 1); /* the start need not exist */
}

static void
tags_are_set_replaced_and_removed(void **state)
{
	struct table_tag first[] = {{SLICE("a"), SLICE("1")}, {SLICE("b"), SLICE("2")}};
	struct table_tag second[] = {{SLICE("b"), SLICE("3")}, {SLICE("c"), SLICE("4")}};
	struct slice gone[] = {SLICE("a"), SLICE("x")};
	struct table_tag *tags;
	size_t count;

	(void)state;
	table_release(create("Music", schema("pk", NULL, AV_S), NULL, 0));
	assert_ok(table_tag(fx.db, SLICE("Music"), first, 2, &fx.err));
	assert_ok(table_tag(fx.db, SLICE("Music"), second, 2, &fx.err));
	assert_ok(table_untag(fx.db, SLICE("Music"), gone, 2, &fx.err));
	assert_ok(table_tags(fx.db, SLICE("Music"), &fx.arena, &tags, &count, &fx.err));
	assert_int_equal(count, 2);
	assert_true(slice_eq(tags[0].value, SLICE("3")));
	assert_true(slice_eq(tags[1].key, SLICE("c")));
	assert_status(
	    table_tag(fx.db, SLICE("x"), first, 2, &fx.err), S_RESOURCE_NOT_FOUND,
	    "Requested resource not found: ResourcArn: arn:aws:dynamodb:eu-central-1:000000000000:table/x not found");
}

static void
provisioned(const char *name)
{
	struct table_spec spec = spec_of(name, schema("pk", NULL, AV_S), NULL, 0);
	struct table_description d;

	spec.billing = BILLING_PROVISIONED;
	spec.throughput = (struct table_throughput){.read_units = 5, .write_units = 5};
	assert_ok(table_create(fx.db, &spec, &fx.arena, &d, &fx.err));
	wait_active(name);
}

static void
throughput_changes_when_updating_ends(void **state)
{
	struct table_update update = {.set_throughput = true, .throughput = {.read_units = 10, .write_units = 3}};
	struct table_description d;

	(void)state;
	provisioned("Music");
	db_reopen_with_delay(HELD);
	assert_ok(table_update(fx.db, SLICE("Music"), &update, &fx.arena, &d, &fx.err));
	assert_int_equal(d.status, TABLE_UPDATING);
	assert_int_equal(d.spec.throughput.read_units, 5);
	assert_true(d.spec.throughput.last_increase_ms > 0);
	assert_status(table_update(fx.db, SLICE("Music"), &update, &fx.arena, &d, &fx.err), S_RESOURCE_IN_USE,
		      "Attempt to change a resource which is still in use: Table is being updated: Music");
	table_release(find("Music")); /* data operations go on */
	db_reopen_with_delay(0);
	wait_active("Music");
	d = describe("Music");
	assert_int_equal(d.spec.throughput.read_units, 10);
	assert_int_equal(d.spec.throughput.write_units, 3);
	assert_status(
	    table_update(fx.db, SLICE("Music"), &update, &fx.arena, &d, &fx.err), S_VALIDATION,
	    "The provisioned throughput for the table will not change. The requested value equals the current value. "
	    "Current ReadCapacityUnits provisioned for the table: 10. Requested ReadCapacityUnits: 10. Current "
	    "WriteCapacityUnits provisioned for the table: 3. Requested WriteCapacityUnits: 3. Refer to the Amazon "
	    "DynamoDB Developer Guide for current limits and how to request higher limits.");
}

static void
billing_changes_both_ways(void **state)
{
	struct table_update to_demand = {.set_billing = true, .billing = BILLING_ON_DEMAND};
	struct table_update back = {.set_billing = true, .billing = BILLING_PROVISIONED};
	struct table_description d;

	(void)state;
	provisioned("Music");
	assert_ok(table_update(fx.db, SLICE("Music"), &to_demand, &fx.arena, &d, &fx.err));
	assert_int_equal(d.spec.throughput.read_units, 0);
	wait_active("Music");
	assert_true(describe("Music").billing_changed_ms > 0);
	assert_ok(
	    table_update(fx.db, SLICE("Music"), &to_demand, &fx.arena, &d, &fx.err)); /* the same again is accepted */
	to_demand.set_throughput = true;
	to_demand.throughput = (struct table_throughput){.read_units = 5, .write_units = 5};
	assert_status(
	    table_update(fx.db, SLICE("Music"), &to_demand, &fx.arena, &d, &fx.err), S_VALIDATION,
	    "One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be "
	    "specified when BillingMode is PAY_PER_REQUEST");
	assert_status(table_update(fx.db, SLICE("Music"), &back, &fx.arena, &d, &fx.err), S_VALIDATION,
		      "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both "
		      "be specified "
		      "when BillingMode is PROVISIONED");
	back.set_throughput = true;
	back.throughput = (struct table_throughput){.read_units = 7, .write_units = 8};
	assert_ok(table_update(fx.db, SLICE("Music"), &back, &fx.arena, &d, &fx.err));
	assert_int_equal(d.spec.throughput.read_units, 7);
	wait_active("Music");
	d = describe("Music");
	assert_int_equal(d.spec.billing, BILLING_PROVISIONED);
	assert_int_equal(d.spec.throughput.write_units, 8);
}

static void
data_of_a_newer_form_is_refused(void **state) /* form 1: test_upgrade.c */
{
	struct table_db_options options = {"eu-central-1", "000000000000", 0, 4, 0, false, 0};
	struct engine_batch *batch = engine_batch_new(fx.engine);
	struct table_db *db;
	uint64_t seq;

	(void)state;
	engine_batch_put(batch, SPACE_CATALOG, SLICE("v"), SLICE("3"));
	assert_ok(engine_apply(fx.engine, batch, &seq, &fx.err));
	engine_batch_free(batch);
	assert_status(table_db_open(fx.engine, &options, &db, &fx.err), S_CORRUPT,
		      "the data was written by a newer stator, in form 3 of the catalog; this one, " STATOR_VERSION
		      ", reads forms up to 2");
}

static void
records_keep_ttl_and_those_from_before_it_are_read(void **state)
{
	struct record r = {.number = 7, .partitions = 4, .status = TABLE_ACTIVE}, back;
	struct buf bytes = {0};
	size_t without;

	(void)state;
	memset(r.id, 'x', 36);
	r.spec = spec_of("T", schema("pk", NULL, AV_S), NULL, 0);
	r.indexes = ARENA_ARRAY(&fx.arena, struct index_record, 0);
	r.ttl = (struct ttl_record){12, TTL_DISABLING, SLICE("expires"), 1800000000000};
	record_encode(&r, &bytes);
	assert_ok(record_decode(SLICE("T"), buf_slice(&bytes), arena_allocator(&fx.arena), &back, &fx.err));
	assert_int_equal(back.ttl.number, 12);
	assert_int_equal(back.ttl.status, TTL_DISABLING);
	assert_true(slice_eq(back.ttl.attribute, SLICE("expires")));
	assert_int_equal(back.ttl.changed_ms, 1800000000000);
	r.ttl.status = TTL_DISABLED; /* rows that nobody keeps */
	bytes.len = 0;
	record_encode(&r, &bytes);
	assert_int_equal(record_decode(SLICE("T"), buf_slice(&bytes), arena_allocator(&fx.arena), &back, NULL),
			 S_CORRUPT);
	r.ttl = (struct ttl_record){.number = 0};
	bytes.len = 0;
	record_encode(&r, &bytes);
	without = bytes.len - 4; /* a TTL that is off has four bytes */
	bytes.data[0] = 2;
	assert_int_equal(record_decode(SLICE("T"), buf_slice(&bytes), arena_allocator(&fx.arena), &back, NULL),
			 S_CORRUPT);
	assert_ok(record_decode(SLICE("T"), slice_of(bytes.data, without), arena_allocator(&fx.arena), &back, &fx.err));
	assert_int_equal(back.ttl.status, TTL_DISABLED);
	assert_int_equal(back.number, 7);
	buf_done(&bytes);
}

static void
a_damaged_record_is_refused(void **state)
{
	struct record r = {.number = 7, .partitions = 4, .status = TABLE_ACTIVE}, back;
	struct buf bytes = {0};

	(void)state;
	memset(r.id, 'x', 36);
	r.spec = spec_of("Music", schema("pk", "sk", AV_N), two_indexes(), 2);
	r.indexes = ARENA_ARRAY(&fx.arena, struct index_record, 2);
	r.spec.throughput.max_read_units = -1;
	record_encode(&r, &bytes);
	assert_ok(record_decode(SLICE("Music"), buf_slice(&bytes), arena_allocator(&fx.arena), &back, &fx.err));
	assert_int_equal(back.spec.throughput.max_read_units, -1);
	assert_int_equal(back.spec.schema.sort[0].type, AV_N);
	for (size_t cut = 0; cut < bytes.len; cut++)
		assert_int_equal(
		    record_decode(SLICE("Music"), slice_of(bytes.data, cut), arena_allocator(&fx.arena), &back, NULL),
		    S_CORRUPT);
	/* any byte may be wrong: no crash, no huge allocation */
	for (size_t i = 0; i < bytes.len; i++)
		for (int flip = 1; flip < 256; flip <<= 1) {
			bytes.data[i] = (char)(bytes.data[i] ^ flip);
			record_decode(SLICE("Music"), buf_slice(&bytes), arena_allocator(&fx.arena), &back, NULL);
			bytes.data[i] = (char)(bytes.data[i] ^ flip);
		}
	buf_done(&bytes);
}

static void
no_more_tables_than_the_limit(void **state)
{
	struct table_spec spec;
	struct table_description d;

	(void)state;
	for (int i = 0; i < TABLES_MAX; i++) {
		struct arena_mark mark = arena_mark(&fx.arena);

		spec = spec_of(text("t%d", i), schema("pk", NULL, AV_S), NULL, 0);
		assert_ok(table_create(fx.db, &spec, &fx.arena, &d, &fx.err));
		arena_rewind(&fx.arena, mark);
	}
	spec = spec_of("onemore", schema("pk", NULL, AV_S), NULL, 0);
	assert_int_equal(table_create(fx.db, &spec, &fx.arena, &d, &fx.err), S_LIMIT_EXCEEDED);
}

static int
setup_one_partition(void **state)
{
	(void)state;
	return setup_with(1, 0, false);
}

/* Every engine call of a create and of an update fails once: the catalog is as before, and works afterwards. */
static void
a_failed_change_changes_nothing(void **state)
{
	struct table_update update = {.set_deletion_protection = true, .deletion_protection = true};
	struct table_spec spec = spec_of("Music", schema("pk", "sk", AV_S), two_indexes(), 2);
	struct table_description d;
	enum status s;

	(void)state;
	for (uint64_t n = 1;; n++) {
		engine_faulty_arm(fx.engine, n, S_IO);
		s = table_create(fx.db, &spec, &fx.arena, &d, &fx.err);
		engine_faulty_arm(fx.engine, 0, S_OK);
		if (s == S_OK)
			break;
		assert_int_equal(table_describe(fx.db, SLICE("Music"), &fx.arena, &d, &fx.err), S_RESOURCE_NOT_FOUND);
		assert_true(n < 50);
	}
	wait_active("Music");
	for (uint64_t n = 1;; n++) {
		engine_faulty_arm(fx.engine, n, S_IO);
		s = table_update(fx.db, SLICE("Music"), &update, &fx.arena, &d, &fx.err);
		engine_faulty_arm(fx.engine, 0, S_OK);
		if (s == S_OK)
			break;
		assert_false(describe("Music").spec.deletion_protection);
		assert_true(n < 50);
	}
	assert_true(describe("Music").spec.deletion_protection);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_table_is_creating_then_active, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_missing_table_is_told_by_name, setup, teardown),
	    cmocka_unit_test_setup_teardown(everything_is_there_after_reopening, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_deleted_table_frees_its_name_and_its_rows, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_delete_cut_short_goes_on_after_opening, setup, teardown),
	    cmocka_unit_test_setup_teardown(deletion_protection_protects, setup, teardown),
	    cmocka_unit_test_setup_teardown(names_are_listed_in_byte_order_page_by_page, setup, teardown),
	    cmocka_unit_test_setup_teardown(tags_are_set_replaced_and_removed, setup, teardown),
	    cmocka_unit_test_setup_teardown(throughput_changes_when_updating_ends, setup, teardown),
	    cmocka_unit_test_setup_teardown(billing_changes_both_ways, setup, teardown),
	    cmocka_unit_test_setup_teardown(data_of_a_newer_form_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(records_keep_ttl_and_those_from_before_it_are_read, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_damaged_record_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(no_more_tables_than_the_limit, setup_one_partition, teardown),
	    cmocka_unit_test_setup_teardown(a_failed_change_changes_nothing, setup_faulty, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
