/* Time to live, on a clock that stands still unless it is moved. */
#include "table/fixture.h"

#include <time.h>

#include "table/change.h"
#include "table/transact.h"
#include "ttl/ttl.h"

#define NOW_S  1800000000LL
#define DAY_S  86400LL
#define YEAR_S (365 * DAY_S)

static int
setup_clock(void **state)
{
	clock_freeze(true);
	clock_set_us(NOW_S * 1000000);
	return setup(state);
}

static int
setup_faulty_clock(void **state)
{
	clock_freeze(true);
	clock_set_us(NOW_S * 1000000);
	return setup_faulty(state);
}

static int
teardown_clock(void **state)
{
	int failed = teardown(state);

	clock_reset();
	return failed;
}

static enum table_ttl_status
ttl_status(const char *name)
{
	struct table_ttl_description d;

	assert_ok(table_ttl_describe(fx.db, slice_str(name), &fx.arena, &d, &fx.err));
	assert_int_equal(d.attribute.len > 0, d.status != TTL_DISABLED);
	return d.status;
}

static void
wait_status(const char *name, enum table_ttl_status status)
{
	for (int i = 0; i < 120000 && ttl_status(name) != status; i++)
		usleep(500);
	assert_int_equal(ttl_status(name), status);
}

static void
enable(const char *name, const char *attribute)
{
	assert_ok(table_ttl_update(fx.db, slice_str(name), slice_str(attribute), true, &fx.err));
	wait_status(name, TTL_ENABLED);
}

/* With TTL by "due". */
static struct table *
create_with_ttl(const char *name)
{
	table_release(create(name, schema("pk", NULL, AV_S), NULL, 0));
	enable(name, "due");
	return find(name);
}

static uint64_t
sweep(void)
{
	uint64_t deleted, wait_seq;

	assert_ok(ttl_sweep(fx.db, SLICE_NONE, &deleted, &wait_seq, &fx.err));
	return deleted;
}

/* Rows of indexes, those of TTL among them. */
static size_t
index_rows(void)
{
	struct engine_iter *it =
	    engine_iter_new(fx.engine, NULL, SPACE_INDEXES, SLICE_NONE, SLICE_NONE, ENGINE_MAY_BLOCK);
	size_t count = 0;

	for (engine_iter_first(it); engine_iter_valid(it); engine_iter_next(it))
		count++;
	engine_iter_free(it);
	return count;
}

static struct av
key(const char *pk)
{
	return item("pk", text("S:%s", pk), NULL);
}

static bool
exists(struct table *t, const char *pk)
{
	return av_exists(get(t, key(pk)));
}

static enum status
put_due(struct table *t, const char *pk, long long due_s)
{
	return put(t, item("pk", text("S:%s", pk), "due", text("N:%lld", due_s), NULL));
}

/* ---- times ---- */

static void
only_numbers_are_times_and_fractions_count(void **state)
{
	static const struct {
		const char *value;
		int64_t due_ms;
	} rows[] = {
	    {"N:1800000000", 1800000000000},
	    {"N:1800000000.5", 1800000000500},
	    {"N:1800000000.9999", 1800000000999},
	    {"N:18E8", 1800000000000},
	    {"N:0", 0},
	    {"N:0.0001", 0},
	    {"N:1E-130", 0},
	    {"N:253402300799", 253402300799000},
	    {"N:253402300799.0001", 253402300799000},
	    {"N:253402300800", TTL_NEVER},  /* year 10000 */
	    {"N:1800000000000", TTL_NEVER}, /* milliseconds by mistake */
	    {"N:9.9999999999999999999999999999999999999E125", TTL_NEVER},
	    {"N:99999999999999999999999999999999999999", TTL_NEVER},
	    {"N:-1", TTL_NEVER},
	    {"N:-0.001", TTL_NEVER},
	    {"S:1800000000", TTL_NEVER},
	    {"B:1800000000", TTL_NEVER},
	    {"BOOL", TTL_NEVER},
	    {"NULL", TTL_NEVER},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int64_t due_ms = table_ttl_due_ms(item("pk", "S:a", "due", rows[i].value, NULL), SLICE("due"));

		if (due_ms != rows[i].due_ms)
			fail_msg("%s is due at %lld", rows[i].value, (long long)due_ms);
	}
	assert_int_equal(table_ttl_due_ms(item("pk", "S:a", NULL), SLICE("due")), TTL_NEVER);
	assert_int_equal(table_ttl_due_ms(AV_NONE, SLICE("due")), TTL_NEVER);
}

static void
items_go_when_their_time_has_passed_and_not_before(void **state)
{
	struct table *t = create_with_ttl("T");

	(void)state;
	assert_ok(put_due(t, "past", NOW_S - 1));
	assert_ok(put_due(t, "now", NOW_S));
	assert_ok(put_due(t, "later", NOW_S + 1));
	assert_ok(put(t, item("pk", "S:half", "due", text("N:%lld.5", NOW_S), NULL)));
	assert_ok(put(t, item("pk", "S:none", NULL)));
	assert_ok(put(t, item("pk", "S:text", "due", text("S:%lld", NOW_S - 1), NULL)));
	assert_ok(put(t, item("pk", "S:other", "Ttl", text("N:%lld", NOW_S - 1), NULL)));
	assert_true(exists(t, "past")); /* due, and readable until it is deleted */
	assert_int_equal(sweep(), 1);
	assert_false(exists(t, "past"));
	assert_true(exists(t, "now")); /* "less than the current time" */
	clock_shift_us(1000);
	assert_int_equal(sweep(), 1);
	assert_false(exists(t, "now"));
	clock_shift_us(499000);
	assert_int_equal(sweep(), 0);
	clock_shift_us(1000);
	assert_int_equal(sweep(), 1);
	assert_false(exists(t, "half"));
	clock_shift_us(YEAR_S * 1000000);
	assert_int_equal(sweep(), 1);
	assert_true(exists(t, "none") && exists(t, "text") && exists(t, "other"));
	assert_int_equal(index_rows(), 0);
	table_release(t);
}

static void
times_more_than_five_years_ago_are_ignored(void **state)
{
	struct table *t = create_with_ttl("T");

	(void)state;
	assert_ok(put_due(t, "old", NOW_S - 5 * YEAR_S));
	assert_ok(put_due(t, "older", NOW_S - 5 * YEAR_S - 1));
	assert_ok(put_due(t, "zero", 0));
	assert_int_equal(sweep(), 1);
	assert_false(exists(t, "old"));
	assert_true(exists(t, "older") && exists(t, "zero"));
	/* nobody was there for six years: what became due meanwhile is too old now */
	assert_ok(put_due(t, "slept", NOW_S + DAY_S));
	clock_shift_us(6 * YEAR_S * 1000000);
	assert_int_equal(sweep(), 0);
	assert_true(exists(t, "slept"));
	/* and the clock was wrong */
	clock_set_us((NOW_S + 2 * DAY_S) * 1000000);
	assert_int_equal(sweep(), 1);
	assert_false(exists(t, "slept"));
	table_release(t);
}

/* A map of pk, sk and due, whatever bytes they have. */
static struct av
raw_item(struct slice pk, const char *sk, struct slice sk_bytes)
{
	struct buf out = {0};
	size_t map = av_open(&out, TAG_M);
	struct av v;

	av_put_name(&out, SLICE("pk"));
	av_put_string(&out, pk);
	av_put_name(&out, SLICE("sk"));
	if (sk != NULL)
		put_value(&out, sk);
	else
		av_put_binary(&out, sk_bytes);
	av_put_name(&out, SLICE("due"));
	put_value(&out, text("N:%lld", NOW_S - 1));
	assert_ok(av_close_map(&out, map, 3, NULL));
	v = av_of_buf(&fx.arena, &out, 0);
	buf_done(&out);
	return v;
}

static void
items_with_keys_of_any_kind_are_found_again(void **state)
{
	static const enum av_type types[] = {AV_S, AV_N, AV_B};
	static const char *const numbers[] = {"N:0", "N:-1.5E10", "N:1E-130",
					      "N:99999999999999999999999999999999999999"};
	static const struct slice strings[] = {{"a", 1}, {"a\0b", 3}, {"\0", 1}, {"\0\377\0\0", 4}};

	(void)state;
	for (int i = 0; i < 3; i++) {
		const char *name = text("T-%d", i);
		struct table *t;

		table_release(create(name, schema("pk", "sk", types[i]), NULL, 0));
		enable(name, "due");
		t = find(name);
		for (int a = 0; a < 4; a++)
			for (int b = 0; b < 4; b++) {
				const char *sk = types[i] == AV_N   ? numbers[b]
						 : types[i] == AV_S ? text("S:%d", b)
								    : NULL;

				assert_ok(put(t, raw_item(strings[a], sk, strings[b])));
			}
		assert_int_equal(describe(name).item_count, 16);
		assert_int_equal(sweep(), 16);
		assert_int_equal(describe(name).item_count, 0);
		table_release(t);
	}
	assert_int_equal(index_rows(), 0);
}

/* ---- who writes meanwhile ---- */

static struct table_ttl_due
find_due(struct table *t)
{
	struct table_ttl_due due = {.count = 0};

	table_ttl_expect(t);
	assert_ok(table_ttl_find(t, clock_wall_ms(), 100, &due, &fx.err));
	assert_false(due.more);
	table_ttl_leave(t, due.next_due_ms);
	return due;
}

static uint32_t
delete_due(struct table *t, struct table_ttl_due *due)
{
	struct table_io io = blocking_io();
	uint32_t deleted;

	assert_ok(table_ttl_delete(t, due, 0, due->count, &io, &deleted, &fx.err));
	table_ttl_due_done(due);
	return deleted;
}

static void
an_item_updated_just_before_is_kept(void **state)
{
	struct table *t = create_with_ttl("T");
	struct table_io io = blocking_io();
	struct table_write touch = {.kind = WRITE_UPDATE, .table = t, .key = key("touched")};
	struct table_ttl_due due;

	(void)state;
	assert_ok(put_due(t, "prolonged", NOW_S - 10));
	assert_ok(put_due(t, "earlier", NOW_S - 10));
	assert_ok(put_due(t, "without", NOW_S - 10));
	assert_ok(put_due(t, "touched", NOW_S - 10));
	assert_ok(put_due(t, "again", NOW_S - 10));
	assert_ok(put_due(t, "deleted", NOW_S - 10));
	assert_ok(put_due(t, "left", NOW_S - 10));
	due = find_due(t);
	assert_int_equal(due.count, 7);
	assert_ok(put_due(t, "prolonged", NOW_S + 10));
	assert_ok(put_due(t, "earlier", NOW_S - 11));
	assert_ok(put(t, item("pk", "S:without", NULL)));
	touch.update = expression(EXPR_UPDATE, "SET v = :a", "S:x", NULL);
	assert_ok(table_commit(&touch, 1, &io, &fx.err));
	assert_ok(delete (t, key("again")));
	assert_ok(put_due(t, "again", NOW_S - 10));
	assert_ok(delete (t, key("deleted")));
	assert_int_equal(delete_due(t, &due), 3); /* touched, again, left: due since just then */
	assert_true(exists(t, "prolonged") && exists(t, "earlier") && exists(t, "without"));
	assert_false(exists(t, "touched") || exists(t, "again") || exists(t, "left"));
	assert_int_equal(describe("T").item_count, 3);
	/* the one that became due earlier is found, although what was due before had been looked at */
	assert_true(table_ttl_earliest_ms(t) <= (NOW_S - 11) * 1000);
	assert_int_equal(sweep(), 1);
	assert_false(exists(t, "earlier"));
	assert_int_equal(index_rows(), 1);
	table_release(t);
}

static void
a_clock_set_back_keeps_what_is_not_due_any_more(void **state)
{
	struct table *t = create_with_ttl("T");
	struct table_ttl_due due;

	(void)state;
	assert_ok(put_due(t, "a", NOW_S + 5));
	clock_shift_us(10 * 1000000);
	due = find_due(t);
	assert_int_equal(due.count, 1);
	clock_shift_us(-10 * 1000000);
	assert_int_equal(delete_due(t, &due), 0);
	assert_true(exists(t, "a"));
	assert_int_equal(sweep(), 0);
	clock_shift_us(10 * 1000000);
	assert_int_equal(sweep(), 1);
	assert_false(exists(t, "a"));
	table_release(t);
}

static void
every_kind_of_write_keeps_the_rows(void **state)
{
	struct table *t = create_with_ttl("T");
	struct table_io io = blocking_io();
	struct table_write w = {.kind = WRITE_UPDATE, .table = t, .key = key("a")};
	struct table_write two[2] = {
	    {.kind = WRITE_PUT, .table = t, .item = item("pk", "S:b", "due", "N:1900000000", NULL)},
	    {.kind = WRITE_PUT, .table = t, .item = item("pk", "S:c", "due", "N:1900000000", NULL)}};

	(void)state;
	w.update = expression(EXPR_UPDATE, "SET due = :a", "N:1900000000", NULL);
	assert_ok(table_commit(&w, 1, &io, &fx.err));
	assert_int_equal(index_rows(), 1);
	w.update = expression(EXPR_UPDATE, "SET due = due + :a", "N:1", NULL);
	assert_ok(table_commit(&w, 1, &io, &fx.err));
	assert_int_equal(index_rows(), 1);
	w.update = expression(EXPR_UPDATE, "SET due = :a", "S:x", NULL);
	assert_ok(table_commit(&w, 1, &io, &fx.err));
	assert_int_equal(index_rows(), 0);
	assert_ok(table_transact_write(two, 2, NULL, &io, &fx.err));
	assert_int_equal(index_rows(), 2);
	two[0].condition = expression(EXPR_CONDITION, "due = :a", "N:1", NULL);
	two[1].item = item("pk", "S:c", NULL);
	assert_int_equal(table_transact_write(two, 2, NULL, &io, &fx.err), S_COND_FAILED);
	assert_int_equal(index_rows(), 2);
	two[0].condition = NULL;
	two[0].kind = WRITE_DELETE;
	two[0].key = key("b");
	assert_ok(table_commit(two, 2, &io, &fx.err));
	assert_int_equal(index_rows(), 0);
	table_release(t);
}

static void
index_rows_and_counts_go_with_the_item_and_nothing_is_charged(void **state)
{
	struct table_index_spec x[2] = {
	    {.name = SLICE("by_g"), .global = true, .schema = schema("g", NULL, AV_S), .projection = PROJECT_ALL},
	    {.name = SLICE("by_l"), .schema = schema("pk", "g", AV_S), .projection = PROJECT_KEYS_ONLY}};
	struct table_spec spec = spec_of("T", schema("pk", "sk", AV_S), x, 2);
	struct table_description d;
	struct table *t;

	(void)state;
	table_db_close(fx.db);
	fx.throttling = true;
	db_open();
	spec.billing = BILLING_PROVISIONED;
	spec.throughput.read_units = spec.throughput.write_units = 1000;
	spec.indexes[0].throughput = spec.throughput;
	assert_ok(table_create(fx.db, &spec, &fx.arena, &d, &fx.err));
	wait_active("T");
	t = find("T");
	enable("T", "due");
	for (int i = 0; i < 100; i++)
		assert_ok(put(
		    t, item("pk", text("S:%d", i), "sk", "S:x", "g", "S:y", "due", text("N:%lld", NOW_S - 1), NULL)));
	assert_int_equal(index_rows(), 300);
	/* the clock stands, so the buckets do not fill: one unit too much would be refused */
	assert_ok(table_trouble_set(fx.db, SLICE("T"), SLICE_NONE, TROUBLE_WRITES_THROTTLED, 1, &fx.err));
	assert_int_equal(sweep(), 100);
	assert_int_equal(index_rows(), 0);
	d = describe("T");
	assert_int_equal(d.item_count, 0);
	assert_int_equal(d.size_bytes, 0);
	assert_int_equal(d.indexes[0].item_count, 0);
	assert_int_equal(d.indexes[1].item_count, 0);
	assert_int_equal(put(t, item("pk", "S:a", "sk", "S:x", NULL)), S_THROUGHPUT_EXCEEDED);
	table_release(t);
}

/* ---- on and off ---- */

static void
one_change_an_hour_and_wrong_wishes_are_told_first(void **state)
{
	static const char *const too_soon = "Time to live has been modified multiple times within a fixed interval";
	struct table *t = create("T", schema("pk", NULL, AV_S), NULL, 0);

	(void)state;
	assert_status(table_ttl_update(fx.db, SLICE("No"), SLICE("due"), true, &fx.err), S_RESOURCE_NOT_FOUND,
		      "Requested resource not found: Table: No not found");
	assert_int_equal(ttl_status("T"), TTL_DISABLED);
	assert_status(table_ttl_update(fx.db, SLICE("T"), SLICE("due"), false, &fx.err), S_VALIDATION,
		      "TimeToLive is already disabled");
	enable("T", "due");
	assert_status(table_ttl_update(fx.db, SLICE("T"), SLICE("due"), true, &fx.err), S_VALIDATION,
		      "TimeToLive is already enabled");
	assert_status(table_ttl_update(fx.db, SLICE("T"), SLICE("x"), true, &fx.err), S_VALIDATION,
		      "TimeToLive is active on a different AttributeName: current AttributeName is due");
	assert_status(table_ttl_update(fx.db, SLICE("T"), SLICE("x"), false, &fx.err), S_VALIDATION,
		      "TimeToLive is active on a different AttributeName: current AttributeName is due");
	assert_status(table_ttl_update(fx.db, SLICE("T"), SLICE("due"), false, &fx.err), S_VALIDATION, too_soon);
	clock_shift_us(3599 * 1000000LL);
	assert_status(table_ttl_update(fx.db, SLICE("T"), SLICE("due"), false, &fx.err), S_VALIDATION, too_soon);
	clock_shift_us(1 * 1000000LL);
	assert_ok(table_ttl_update(fx.db, SLICE("T"), SLICE("due"), false, &fx.err));
	wait_status("T", TTL_DISABLED);
	assert_status(table_ttl_update(fx.db, SLICE("T"), SLICE("due"), true, &fx.err), S_VALIDATION, too_soon);
	db_reopen();
	assert_status(table_ttl_update(fx.db, SLICE("T"), SLICE("due"), true, &fx.err), S_VALIDATION, too_soon);
	/* set back behind the last change, the clock must not lock the table for longer */
	clock_shift_us(-7200 * 1000000LL);
	enable("T", "other");
	table_release(t);
}

static void
enabling_finds_the_items_that_are_there_and_disabling_forgets_them(void **state)
{
	struct table *t = create("T", schema("pk", NULL, AV_S), NULL, 0);

	(void)state;
	for (int i = 0; i < 500; i++)
		assert_ok(put_due(t, text("%d", i), NOW_S - 1 - i % 7));
	assert_ok(put(t, item("pk", "S:x", NULL)));
	assert_int_equal(index_rows(), 0);
	enable("T", "due");
	assert_int_equal(index_rows(), 500);
	clock_shift_us(3600 * 1000000LL);
	assert_ok(table_ttl_update(fx.db, SLICE("T"), SLICE("due"), false, &fx.err));
	assert_ok(put_due(t, "while disabling", NOW_S));
	wait_status("T", TTL_DISABLED);
	assert_int_equal(index_rows(), 0);
	assert_int_equal(sweep(), 0);
	clock_shift_us(3600 * 1000000LL);
	enable("T", "pk"); /* a key attribute; none of the keys is a number */
	assert_int_equal(sweep(), 0);
	assert_int_equal(index_rows(), 0);
	assert_int_equal(describe("T").item_count, 502);
	table_release(t);
}

static void
what_a_stop_cut_short_goes_on_and_ttl_survives(void **state)
{
	struct table *t;

	(void)state;
	table_release(create("T", schema("pk", NULL, AV_S), NULL, 0));
	db_reopen_with_delay(HELD);
	t = find("T");
	for (int i = 0; i < 100; i++)
		assert_ok(put_due(t, text("%d", i), NOW_S - 1));
	assert_ok(table_ttl_update(fx.db, SLICE("T"), SLICE("due"), true, &fx.err));
	assert_int_equal(ttl_status("T"), TTL_ENABLING);
	assert_int_equal(sweep(), 0); /* not yet */
	table_release(t);
	db_reopen_with_delay(0);
	wait_status("T", TTL_ENABLED);
	t = find("T");
	assert_ok(put_due(t, "later", NOW_S + 1));
	assert_int_equal(sweep(), 100);
	table_release(t);
	db_reopen_with_delay(HELD);
	assert_int_equal(ttl_status("T"), TTL_ENABLED);
	clock_shift_us(3600 * 1000000LL);
	assert_int_equal(sweep(), 1);
	t = find("T");
	assert_ok(put_due(t, "kept", NOW_S));
	assert_ok(table_ttl_update(fx.db, SLICE("T"), SLICE("due"), false, &fx.err));
	assert_int_equal(ttl_status("T"), TTL_DISABLING);
	table_release(t);
	db_reopen_with_delay(0);
	wait_status("T", TTL_DISABLED);
	assert_int_equal(index_rows(), 0);
	assert_int_equal(describe("T").item_count, 1);
}

static void
the_rows_go_with_the_table(void **state)
{
	struct table *t = create_with_ttl("T");
	struct table_description d;
	struct table_ttl_due due;

	(void)state;
	assert_ok(put_due(t, "a", NOW_S - 1));
	due = find_due(t);
	assert_ok(table_delete(fx.db, SLICE("T"), &fx.arena, &d, &fx.err));
	assert_int_equal(delete_due(t, &due), 0);
	table_release(t);
	wait_gone("T");
	assert_int_equal(index_rows(), 0);
	t = create("T", schema("pk", NULL, AV_S), NULL, 0);
	assert_int_equal(ttl_status("T"), TTL_DISABLED);
	table_release(t);
}

/* ---- trouble ---- */

static void
lost_deletes_are_done_again(void **state)
{
	struct table *t = create_with_ttl("T");
	struct ttl_service *service;

	(void)state;
	assert_ok(put_due(t, "a", NOW_S + 1));
	assert_ok(ttl_service_new(&fx.db, 1, &service, &fx.err));
	engine_memory_hold_sync(fx.memory, true);
	clock_shift_us(2 * 1000000LL);
	for (int i = 0; i < 120000 && exists(t, "a"); i++)
		usleep(500);
	assert_false(exists(t, "a"));
	engine_memory_fail_sync(fx.memory);
	engine_memory_hold_sync(fx.memory, false);
	for (int i = 0; i < 120000 && (exists(t, "a") || index_rows() > 0); i++)
		usleep(500);
	assert_false(exists(t, "a"));
	assert_int_equal(index_rows(), 0);
	ttl_service_free(service);
	table_release(t);
}

static void
a_failing_engine_delays_and_loses_nothing(void **state)
{
	struct table *t;
	uint64_t deleted, wait_seq;
	int failures = 0;

	(void)state;
	t = create_with_ttl("T");
	for (uint64_t nth = 1;; nth++) {
		enum status s;

		for (int i = 0; i < 40; i++)
			assert_ok(put_due(t, text("%d", i), NOW_S - 1));
		assert_ok(put_due(t, "kept", NOW_S));
		engine_faulty_arm(fx.engine, nth, S_IO);
		s = ttl_sweep(fx.db, SLICE_NONE, &deleted, &wait_seq, &fx.err);
		engine_faulty_arm(fx.engine, 0, S_IO);
		if (s == S_OK && deleted == 40)
			break;
		failures++;
		sweep();
		assert_int_equal(describe("T").item_count, 1);
		assert_int_equal(index_rows(), 1);
	}
	assert_true(failures > 10);
	table_release(t);
}

static bool
metrics_have(const char *line)
{
	struct buf metrics = {0};
	bool have;

	table_db_write_metrics(fx.db, &metrics);
	buf_put_byte(&metrics, '\0');
	have = strstr(metrics.data, line) != NULL;
	buf_done(&metrics);
	return have;
}

/* The thread keeps its books after the commit, which others see first. */
static void
wait_metric(const char *line)
{
	for (int i = 0; i < 120000 && !metrics_have(line); i++)
		usleep(500);
	assert_true(metrics_have(line));
}

static void
the_service_deletes_by_itself(void **state)
{
	struct table *t = create("T", schema("pk", NULL, AV_S), NULL, 0);
	struct ttl_service *service;

	(void)state;
	assert_ok(ttl_service_new(&fx.db, 1, &service, &fx.err));
	for (int i = 0; i < 5000; i++) /* more than are found at once */
		assert_ok(put_due(t, text("%d", i), NOW_S + 1 + i % 3));
	enable("T", "due");
	clock_shift_us(2500 * 1000LL);
	for (int i = 0; i < 120000 && describe("T").item_count > 1666; i++)
		usleep(500);
	usleep(120000); /* two more looks */
	assert_int_equal(describe("T").item_count, 1666);
	clock_shift_us(3600 * 1000000LL);
	for (int i = 0; i < 120000 && describe("T").item_count > 0; i++)
		usleep(500);
	assert_int_equal(describe("T").item_count, 0);
	wait_metric("stator_ttl_deleted_total{region=\"eu-central-1\",table=\"T\"} 5000\n");
	wait_metric("stator_ttl_backlog{region=\"eu-central-1\",table=\"T\"} 0\n");
	wait_metric("stator_ttl_lag_seconds{region=\"eu-central-1\",table=\"T\"} 0.000\n");
	ttl_service_free(service);
	table_release(t);
}

/* ---- the model ---- */

#define MODEL_ITEMS 60
#define MODEL_STEPS 4000

struct model_item {
	bool there;
	int64_t due_s; /* -1: none */
};

static void
the_items_are_those_of_a_model_under_a_moving_clock(void **state)
{
	struct model_item model[MODEL_ITEMS] = {{false, -1}};
	struct table *t = create_with_ttl("T");
	const char *given = getenv("SEED");
	unsigned seed = given != NULL ? (unsigned)atoi(given) : (unsigned)time(NULL);
	uint64_t swept = 0;

	(void)state;
	srand(seed);
	for (int step = 0; step < MODEL_STEPS; step++) {
		int n = rand() % MODEL_ITEMS, what = rand() % 100;
		const char *pk = text("%d", n);
		int64_t now_us = clock_wall_us(), due_s = now_us / 1000000 + rand() % 120 - 40;

		if (what < 45) {
			assert_ok(put_due(t, pk, due_s));
			model[n] = (struct model_item){true, due_s};
		} else if (what < 55) {
			assert_ok(put(t, item("pk", text("S:%s", pk), NULL)));
			model[n] = (struct model_item){true, -1};
		} else if (what < 62) {
			assert_ok(delete (t, key(pk)));
			model[n].there = false;
		} else if (what < 80) {
			clock_shift_us((rand() % 20000000) - 5000000);
		} else if (what < 82) {
			clock_shift_us((rand() % 2 ? 1 : -1) * 3 * YEAR_S * 1000000);
		} else if (what < 83) {
			table_release(t);
			db_reopen();
			t = find("T");
		} else if (what < 84) {
			enum status s = table_split(fx.db, SLICE("T"), UINT32_MAX, &fx.err);

			assert_true(s == S_OK || s == S_LIMIT_EXCEEDED);
		} else {
			uint64_t expected = 0;

			for (int i = 0; i < MODEL_ITEMS; i++)
				if (model[i].there && model[i].due_s >= 0 &&
				    table_ttl_is_due(model[i].due_s * 1000, now_us / 1000)) {
					model[i].there = false;
					expected++;
				}
			if (sweep() != expected)
				fail_msg("seed %u step %d: %llu were due", seed, step, (unsigned long long)expected);
			swept += expected;
		}
		if (step % 50 == 49)
			for (int i = 0; i < MODEL_ITEMS; i++)
				if (exists(t, text("%d", i)) != model[i].there)
					fail_msg("seed %u step %d: item %d", seed, step, i);
		if (step % 200 == 0)
			arena_reset(&fx.arena);
	}
	assert_true(swept > 0);
	table_release(t);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_clock, teardown_clock)
	const struct CMUnitTest tests[] = {
	    TEST(only_numbers_are_times_and_fractions_count),
	    TEST(items_go_when_their_time_has_passed_and_not_before),
	    TEST(times_more_than_five_years_ago_are_ignored),
	    TEST(items_with_keys_of_any_kind_are_found_again),
	    TEST(an_item_updated_just_before_is_kept),
	    TEST(a_clock_set_back_keeps_what_is_not_due_any_more),
	    TEST(every_kind_of_write_keeps_the_rows),
	    TEST(index_rows_and_counts_go_with_the_item_and_nothing_is_charged),
	    TEST(one_change_an_hour_and_wrong_wishes_are_told_first),
	    TEST(enabling_finds_the_items_that_are_there_and_disabling_forgets_them),
	    TEST(what_a_stop_cut_short_goes_on_and_ttl_survives),
	    TEST(the_rows_go_with_the_table),
	    TEST(lost_deletes_are_done_again),
	    cmocka_unit_test_setup_teardown(a_failing_engine_delays_and_loses_nothing, setup_faulty_clock,
					    teardown_clock),
	    TEST(the_service_deletes_by_itself),
	    TEST(the_items_are_those_of_a_model_under_a_moving_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
