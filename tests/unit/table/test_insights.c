/* The state of Contributor Insights as the catalog keeps it. */
#include "fixture.h"

#include "table/insights.h"

static void
make(const char *name)
{
	struct key_attr pk = {SLICE("pk"), AV_S};
	struct table_spec spec = {
	    .name = slice_str(name),
	    .schema = {.partition_count = 1, .partition = {pk}},
	    .definitions = &pk,
	    .definition_count = 1,
	    .billing = BILLING_ON_DEMAND,
	};
	struct table_description d;

	assert_ok(table_create(fx.db, &spec, &fx.arena, &d, &fx.err));
	while (table_describe(fx.db, spec.name, &fx.arena, &d, &fx.err) == S_OK && d.status != TABLE_ACTIVE)
		usleep(1000);
}

static enum status
set(const char *name, bool enable, struct table_insights *ret)
{
	return table_insights_set(fx.db, slice_str(name), SLICE_NONE, enable, false, ret, &fx.err);
}

/* When it has settled. */
static struct table_insights
settled(const char *name)
{
	struct table_insights now;

	do {
		assert_ok(table_insights_get(fx.db, slice_str(name), SLICE_NONE, &now, &fx.err));
		usleep(500);
	} while (now.status == INSIGHTS_ENABLING || now.status == INSIGHTS_DISABLING);
	return now;
}

static bool
shows(const char *text)
{
	struct buf out = {0};
	bool found;

	table_db_write_metrics(fx.db, &out);
	buf_put_byte(&out, 0);
	found = strstr(out.data, text) != NULL;
	buf_done(&out);
	return found;
}

static void
write_item(const char *name, const char *pk)
{
	struct table_io io = {.arena = &fx.arena, .may_block = true};
	struct table_write w = {.kind = WRITE_PUT, .item = item("pk", pk, NULL)};

	assert_ok(table_find(fx.db, slice_str(name), &w.table, &fx.err));
	assert_ok(table_commit(&w, 1, &io, &fx.err));
	table_release(w.table);
}

static void
counting_is_off_until_someone_asks(void **state)
{
	struct table_insights now;

	(void)state;
	make("Music");
	assert_false(table_db_charges(fx.db));
	write_item("Music", "S:a");
	assert_false(shows("stator_key_units_total"));
	assert_ok(set("Music", true, &now));
	assert_int_equal(now.status, INSIGHTS_ENABLING);
	assert_int_equal(settled("Music").status, INSIGHTS_ENABLED);
	assert_true(table_db_charges(fx.db));
	write_item("Music", "S:b");
	assert_true(shows("stator_key_units_total{region=\"eu-central-1\",table=\"Music\",partition_key=\"b\"} 3.0\n"));
	assert_false(shows("partition_key=\"a\""));
	assert_ok(set("Music", false, &now));
	assert_int_equal(now.status, INSIGHTS_DISABLING);
	assert_int_equal(settled("Music").status, INSIGHTS_DISABLED);
	assert_false(table_db_charges(fx.db));
	assert_false(shows("stator_key_units_total"));
}

static void
it_is_as_it_was_after_a_restart(void **state)
{
	struct table_insights before, now;

	(void)state;
	make("Music");
	assert_ok(set("Music", true, &now));
	before = settled("Music");
	db_reopen();
	now = settled("Music");
	assert_int_equal(now.status, INSIGHTS_ENABLED);
	assert_int_equal(now.changed_ms, before.changed_ms);
	assert_int_equal(now.rules_ms, before.rules_ms);
	write_item("Music", "S:b");
	assert_true(shows("partition_key=\"b\"} 3.0\n"));
}

static void
a_dropped_table_stops_counting(void **state)
{
	struct table_description d;
	struct table_insights now;

	(void)state;
	make("Music");
	assert_ok(set("Music", true, &now));
	settled("Music");
	assert_ok(table_delete(fx.db, SLICE("Music"), &fx.arena, &d, &fx.err));
	while (table_describe(fx.db, SLICE("Music"), &fx.arena, &d, &fx.err) == S_OK)
		usleep(1000);
	assert_false(table_db_charges(fx.db));
	make("Music");
	now = settled("Music");
	assert_int_equal(now.status, INSIGHTS_DISABLED);
	assert_int_equal(now.changed_ms, 0);
	db_reopen();
	assert_int_equal(settled("Music").changed_ms, 0);
}

/* Each engine call of a change fails once: then nothing has changed, here and after a restart. */
static void
a_failed_change_leaves_what_was(void **state)
{
	struct table_insights now;
	enum status s = S_IO;

	(void)state;
	make("Music");
	for (uint64_t n = 1; s != S_OK; n++) {
		engine_faulty_arm(fx.engine, n, S_IO);
		s = set("Music", true, &now);
		engine_faulty_arm(fx.engine, 0, S_OK);
		if (s != S_OK)
			assert_int_equal(settled("Music").changed_ms, 0);
		assert_true(n < 50);
		assert_true(s != S_OK || n > 1);
	}
	assert_int_equal(settled("Music").status, INSIGHTS_ENABLED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(counting_is_off_until_someone_asks, setup, teardown),
	    cmocka_unit_test_setup_teardown(it_is_as_it_was_after_a_restart, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_dropped_table_stops_counting, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_failed_change_leaves_what_was, setup_faulty, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
