/* A read never returns what a crash could still take away: what is not durable is told by wait_seq. */
#include "table/fixture.h"

#include <pthread.h>

#include "table/recent.h"

static struct table *
counters(void)
{
	struct table_index_spec x = {
	    .name = SLICE("g"), .global = true, .schema = schema("group", NULL, AV_S), .projection = PROJECT_ALL};

	return create("Counters", schema("pk", NULL, AV_S), &x, 1);
}

/* put, and the place it got */
static uint64_t
put_seq(struct table *t, struct av new_item)
{
	struct table_io io = blocking_io();
	struct table_write w = {.kind = WRITE_PUT, .table = t, .item = new_item};

	assert_ok(table_commit(&w, 1, &io, &fx.err));
	assert_true(io.wait_seq > 0);
	return io.wait_seq;
}

static uint64_t
wait_of_get(struct table *t, const char *pk)
{
	struct table_io io = blocking_io();
	struct av got;

	assert_ok(table_get(t, item("pk", pk, NULL), &io, &got, &fx.err));
	return io.wait_seq;
}

static uint64_t
wait_of_page(struct table_read read)
{
	struct table_io io = blocking_io();
	struct table_page p;

	assert_ok(table_read_page(&read, &io, &p, &fx.err));
	return io.wait_seq;
}

static void
a_read_waits_for_the_write_it_saw(void **state)
{
	struct table *t = counters();
	const struct table_index *x = table_index_find(t, SLICE("g"));
	struct key_range in_table = {.op = KEY_ALL, .partition = {value("S:a")}};
	struct key_range in_index = {.op = KEY_ALL, .partition = {value("S:g1")}};
	struct table_io io = blocking_io();
	struct table_write check = {.kind = WRITE_CHECK, .table = t, .key = item("pk", "S:a", NULL)};
	uint64_t seq;

	(void)state;
	put_seq(t, item("pk", "S:a", "group", "S:g0", NULL));
	assert_int_equal(wait_of_get(t, "S:a"), 0); /* durable already */
	engine_memory_hold_sync(fx.memory, true);
	seq = put_seq(t, item("pk", "S:a", "group", "S:g1", NULL));
	assert_int_equal(engine_wait_status(fx.engine, seq), S_WOULD_BLOCK);
	assert_int_equal(wait_of_get(t, "S:a"), seq);
	assert_int_equal(wait_of_page((struct table_read){.table = t, .range = &in_table}), seq);
	assert_int_equal(wait_of_page((struct table_read){.table = t}), seq);
	assert_int_equal(wait_of_page((struct table_read){.table = t, .index = x, .range = &in_index}), seq);
	assert_int_equal(wait_of_page((struct table_read){.table = t, .index = x}), seq);
	in_index.partition[0] = value("S:g0"); /* the row that went away */
	assert_int_equal(wait_of_page((struct table_read){.table = t, .index = x, .range = &in_index}), seq);
	/* a refused write tells what is there too */
	check.condition = expression(EXPR_CONDITION, "attribute_not_exists(pk)", NULL, NULL);
	assert_int_equal(table_commit(&check, 1, &io, &fx.err), S_COND_FAILED);
	assert_int_equal(io.wait_seq, seq);
	/* and so does a delete of what is not there any more */
	{
		struct table_write gone = {.kind = WRITE_DELETE, .table = t, .key = item("pk", "S:a", NULL)};
		uint64_t deleted;

		io = blocking_io();
		assert_ok(table_commit(&gone, 1, &io, &fx.err));
		deleted = io.wait_seq;
		assert_true(deleted > seq);
		io = blocking_io();
		assert_ok(table_commit(&gone, 1, &io, &fx.err));
		assert_int_equal(io.wait_seq, deleted);
		seq = deleted;
	}
	engine_memory_hold_sync(fx.memory, false);
	assert_int_equal(engine_wait_status(fx.engine, seq), S_OK);
	assert_int_equal(wait_of_get(t, "S:a"), 0);
	assert_int_equal(wait_of_page((struct table_read){.table = t, .index = x}), 0);
	table_release(t);
}

static void
reads_of_other_keys_do_not_wait(void **state)
{
	struct table *t = counters();
	int waiting = 0;

	(void)state;
	for (int i = 0; i < 200; i++)
		assert_ok(put(t, item("pk", text("S:%d", i), NULL)));
	engine_memory_hold_sync(fx.memory, true);
	put_seq(t, item("pk", "S:0", NULL));
	for (int i = 1; i < 200; i++)
		waiting += wait_of_get(t, text("S:%d", i)) != 0;
	assert_true(waiting <= 2); /* those that happen to share its slot */
	engine_memory_hold_sync(fx.memory, false);
	table_release(t);
}

static void
a_lost_write_is_neither_seen_nor_waited_for(void **state)
{
	struct table *t = counters();
	uint64_t seq;

	(void)state;
	put_seq(t, item("pk", "S:a", "v", "N:1", NULL));
	engine_memory_hold_sync(fx.memory, true);
	seq = put_seq(t, item("pk", "S:a", "v", "N:2", NULL));
	engine_memory_fail_sync(fx.memory);
	assert_int_equal(engine_wait_status(fx.engine, seq), S_IO);
	assert_same(get(t, item("pk", "S:a", NULL)), item("pk", "S:a", "v", "N:1", NULL));
	assert_int_equal(wait_of_get(t, "S:a"), 0);
	engine_memory_hold_sync(fx.memory, false);
	table_release(t);
}

static void
a_lost_write_is_not_counted(void **state)
{
	struct table *t = counters();
	struct table_description d;

	(void)state;
	put_seq(t, item("pk", "S:a", "group", "S:g", NULL));
	engine_memory_hold_sync(fx.memory, true);
	put_seq(t, item("pk", "S:b", "group", "S:g", NULL));
	assert_ok(table_recount(fx.db, false, &fx.err)); /* nothing was lost yet */
	engine_memory_fail_sync(fx.memory);
	assert_int_equal(table_recount(fx.db, false, &fx.err), S_WOULD_BLOCK);
	assert_ok(table_recount(fx.db, true, &fx.err));
	assert_ok(table_recount(fx.db, false, &fx.err));
	assert_ok(table_describe(fx.db, SLICE("Counters"), &fx.arena, &d, &fx.err));
	assert_int_equal(d.item_count, 1);
	assert_int_equal(d.indexes[0].item_count, 1);
	engine_memory_hold_sync(fx.memory, false);
	put(t, item("pk", "S:b", "group", "S:g", NULL));
	assert_ok(table_describe(fx.db, SLICE("Counters"), &fx.arena, &d, &fx.err));
	assert_int_equal(d.item_count, 2);
	table_release(t);
}

static void
a_failed_apply_leaves_the_slots_as_they_were(void **state)
{
	struct table *t = counters();
	uint64_t seq;

	(void)state;
	engine_memory_hold_sync(fx.memory, true);
	seq = put_seq(t, item("pk", "S:a", "group", "S:g", NULL));
	for (uint64_t n = 1; n < 4; n++) {
		engine_faulty_arm(fx.engine, n, S_NO_SPACE);
		put(t, item("pk", "S:a", "group", "S:h", NULL));
		engine_faulty_arm(fx.engine, 0, S_OK);
	}
	assert_true(wait_of_get(t, "S:a") >= seq);
	for (uint32_t i = 0; i < layout_of(t->core)->count; i++)
		for (int s = 0; s < RECENT_SLOTS; s++)
			assert_true(atomic_load(&layout_of(t->core)->by_id[i]->recent[s]) != RECENT_BUSY);
	engine_memory_hold_sync(fx.memory, false);
	table_release(t);
}

/* ---- many at once ---- */

#define KEYS    4
#define VALUES  3000
#define SECONDS 2

static _Atomic uint64_t seq_of[KEYS][VALUES + 1]; /* the place of the write of value v; 0: not told yet */
static atomic_bool stop;
static atomic_int waits_seen, reads_done;
static struct table *shared;

static struct av
small_item(struct arena *a, int k, int64_t v)
{
	struct buf out = {0};
	struct slice duplicate;
	char name[16];
	struct number n;
	uint8_t encoded[NUMBER_ENCODED_MAX];
	size_t map = av_open(&out, TAG_M);
	struct av made;

	snprintf(name, sizeof name, "k%d", k);
	av_put_name(&out, SLICE("pk"));
	av_put_string(&out, slice_str(name));
	if (v >= 0) {
		number_from_int64(v, &n);
		av_put_name(&out, SLICE("v"));
		av_put_number(&out, slice_of(encoded, number_encode(&n, encoded)));
		av_put_name(&out, SLICE("group")); /* one group for all: the hottest row of the index */
		av_put_string(&out, SLICE("g"));
	}
	if (av_close_map(&out, map, v >= 0 ? 3 : 1, &duplicate) != S_OK)
		abort();
	made = av_of_buf(a, &out, 0);
	buf_done(&out);
	return made;
}

static void *
count_up(void *context)
{
	int k = (int)(intptr_t)context;
	struct arena arena = {0};

	for (int v = 1; v <= VALUES && !atomic_load(&stop); v++) {
		struct table_io io = {.arena = &arena, .may_block = true};
		struct table_write w = {.kind = WRITE_PUT, .table = shared};
		struct err err;

		w.item = small_item(&arena, k, v);
		if (table_commit(&w, 1, &io, &err) != S_OK)
			abort();
		atomic_store(&seq_of[k][v], io.wait_seq);
		arena_reset(&arena);
	}
	arena_done(&arena);
	return NULL;
}

/* What was seen must be durable by now or be covered by wait_seq. */
static void
check_seen(struct av seen, uint64_t wait_seq)
{
	struct number n;
	int64_t v;
	uint64_t seq;
	int k;

	if (!av_exists(seen))
		return;
	k = av_bytes(av_get(seen, SLICE("pk"))).data[1] - '0';
	if (number_decode(av_bytes(av_get(seen, SLICE("v"))), &n) != S_OK || !number_to_int64(&n, &v))
		abort();
	while ((seq = atomic_load(&seq_of[k][v])) == 0)
		; /* its writer is about to tell */
	if (seq > wait_seq && seq > engine_durable(fx.engine))
		abort();
	atomic_fetch_add(&reads_done, 1);
	if (wait_seq > 0)
		atomic_fetch_add(&waits_seen, 1);
}

static void *
look_on(void *context)
{
	int kind = (int)(intptr_t)context;
	struct arena arena = {0};

	for (int i = 0; !atomic_load(&stop); i++) {
		struct table_io io = {.arena = &arena, .may_block = true};
		struct key_range range = {.op = KEY_ALL};
		struct table_read read = {.table = shared};
		struct table_page p;
		struct err err;
		struct av got;

		if (kind == 0) {
			if (table_get(shared, small_item(&arena, i % KEYS, -1), &io, &got, &err) != S_OK)
				abort();
			check_seen(got, io.wait_seq);
		} else {
			if (kind >= 2)
				read.index = table_index_find(shared, SLICE("g"));
			if (kind == 3) {
				range.partition[0] = av_string(&arena, SLICE("g"));
				read.range = &range;
			}
			if (table_read_page(&read, &io, &p, &err) != S_OK)
				abort();
			for (uint32_t n = 0; n < p.count; n++)
				check_seen(p.items[n], io.wait_seq);
		}
		arena_reset(&arena);
	}
	arena_done(&arena);
	return NULL;
}

static void
readers_never_see_what_they_do_not_wait_for(void **state)
{
	pthread_t writers[KEYS], readers[4];
	int64_t end;

	(void)state;
	shared = counters();
	memset(seq_of, 0, sizeof seq_of);
	atomic_store(&stop, false);
	for (intptr_t i = 0; i < KEYS; i++)
		pthread_create(&writers[i], NULL, count_up, (void *)i);
	for (intptr_t i = 0; i < 4; i++)
		pthread_create(&readers[i], NULL, look_on, (void *)i);
	for (end = clock_mono_ns() + SECONDS * 1000000000LL; clock_mono_ns() < end;) {
		engine_memory_hold_sync(fx.memory, true);
		usleep(3000);
		engine_memory_hold_sync(fx.memory, false);
		usleep(300);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < KEYS; i++)
		pthread_join(writers[i], NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(readers[i], NULL);
	assert_true(atomic_load(&reads_done) > 0);
	assert_true(atomic_load(&waits_seen) > 0);
	table_release(shared);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_read_waits_for_the_write_it_saw, setup, teardown),
	    cmocka_unit_test_setup_teardown(reads_of_other_keys_do_not_wait, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_lost_write_is_not_counted, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_lost_write_is_neither_seen_nor_waited_for, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_failed_apply_leaves_the_slots_as_they_were, setup_faulty, teardown),
	    cmocka_unit_test_setup_teardown(readers_never_see_what_they_do_not_wait_for, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
