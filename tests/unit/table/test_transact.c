#include "table/transact.h"

#include <pthread.h>

#include "table/fixture.h"

#define MINUTE_US (60 * 1000000LL)

static struct table *
two_tables(struct table **ret_other)
{
	*ret_other = create("Other", schema("id", "sk", AV_N), NULL, 0);
	return create("One", schema("pk", NULL, AV_S), NULL, 0);
}

static struct table_token
token(const char *text_, const char *request)
{
	struct table_token t = {.text = slice_str(text_)};

	crypto_sha256(slice_str(request), t.request);
	return t;
}

static struct table_write
write_put(struct table *t, struct av new_item)
{
	return (struct table_write){.kind = WRITE_PUT, .table = t, .item = new_item};
}

static struct av
key(const char *pk)
{
	return item("pk", pk, NULL);
}

/* Adds one to n of that item, by that token. */
static enum status
count_up(struct table *t, const char *pk, struct table_token *by)
{
	struct table_io io = blocking_io();
	struct table_write w = {.kind = WRITE_UPDATE, .table = t, .key = key(pk)};

	w.update = expression(EXPR_UPDATE, "ADD n :a", "N:1", NULL);
	return table_transact_write(&w, 1, by, &io, &fx.err);
}

static void
assert_count(struct table *t, const char *pk, const char *n)
{
	assert_same(av_get(get(t, key(pk)), SLICE("n")), value(n));
}

static void
writes_of_several_tables_are_one_batch(void **state)
{
	struct table *other, *t = two_tables(&other);
	struct table_io io = blocking_io();
	struct table_write w[3] = {write_put(t, key("S:a")),
				   write_put(other, item("id", "S:b", "sk", "N:1", NULL)),
				   {.kind = WRITE_CHECK, .table = t, .key = key("S:c")}};
	uint64_t before = engine_applied(fx.engine);

	(void)state;
	w[2].condition = expression(EXPR_CONDITION, "attribute_not_exists(pk)", NULL, NULL);
	assert_ok(table_transact_write(w, 3, NULL, &io, &fx.err));
	assert_int_equal(io.wait_seq, engine_applied(fx.engine));
	assert_true(engine_applied(fx.engine) > before);
	assert_true(av_exists(get(t, key("S:a"))));
	assert_true(av_exists(get(other, item("id", "S:b", "sk", "N:1", NULL))));
	assert_false(av_exists(get(t, key("S:c"))));
	table_release(t);
	table_release(other);
}

static void
each_failed_write_has_its_own_words(void **state)
{
	struct table *other, *t = two_tables(&other);
	struct table_io io = blocking_io();
	struct table_write w[4] = {
	    write_put(t, key("S:a")),
	    {.kind = WRITE_CHECK, .table = t, .key = key("S:b")},
	    {.kind = WRITE_UPDATE, .table = t, .key = key("S:there")},
	    {.kind = WRITE_UPDATE, .table = t, .key = key("S:big")},
	};
	struct table_token by = token("t", "r");

	(void)state;
	assert_ok(put(t, item("pk", "S:there", "n", "S:text", NULL)));
	assert_ok(put(t, item("pk", "S:big", "x", long_text(400000), NULL)));
	w[1].condition = expression(EXPR_CONDITION, "attribute_exists(pk)", NULL, NULL);
	w[2].update = expression(EXPR_UPDATE, "ADD n :a", "N:1", NULL);
	w[3].update = expression(EXPR_UPDATE, "SET y = :a", long_text(20000), NULL);
	assert_status(table_transact_write(w, 4, &by, &io, &fx.err), S_COND_FAILED, "The conditional request failed");
	assert_int_equal(w[0].status, S_OK);
	assert_int_equal(w[1].status, S_COND_FAILED);
	assert_true(slice_eq(w[1].message, SLICE("The conditional request failed")));
	assert_int_equal(w[2].status, S_VALIDATION);
	assert_true(slice_eq(w[2].message, SLICE("An operand in the update expression has an incorrect data type")));
	assert_int_equal(w[3].status, S_VALIDATION);
	assert_true(slice_eq(w[3].message, SLICE("Item size to update has exceeded the maximum allowed size")));
	assert_false(av_exists(get(t, key("S:a"))));
	w[1].condition = NULL;
	assert_ok(table_transact_write(w, 2, &by, &io, &fx.err)); /* what failed has not used the token up */
	assert_false(by.repeated);
	table_release(t);
	table_release(other);
}

static void
a_token_is_used_once(void **state)
{
	struct table *other, *t = two_tables(&other);
	struct table_token by = token("once", "request"), longer = token("once more", "request"),
			   differs = token("once", "another request");

	(void)state;
	assert_ok(put(t, item("pk", "S:a", "n", "N:0", "x", long_text(9000), NULL)));
	assert_ok(count_up(t, "S:a", &by));
	assert_false(by.repeated);
	assert_ok(count_up(t, "S:a", &by));
	assert_true(by.repeated);
	assert_int_equal(by.read_steps[0], 3); /* 9 KB */
	assert_count(t, "S:a", "N:1");
	assert_int_equal(count_up(t, "S:a", &differs), S_IDEMPOTENT_MISMATCH);
	assert_ok(count_up(t, "S:a", &longer));
	assert_false(longer.repeated);
	assert_count(t, "S:a", "N:2");
	db_reopen();
	table_release(t);
	table_release(other);
	t = find("One");
	assert_ok(count_up(t, "S:a", &by));
	assert_true(by.repeated);
	assert_count(t, "S:a", "N:2");
	table_release(t);
}

static void
checks_alone_use_a_token_too(void **state)
{
	struct table *other, *t = two_tables(&other);
	struct table_io io = blocking_io();
	struct table_write w = {.kind = WRITE_CHECK, .table = t, .key = key("S:a")};
	struct table_token by = token("check", "request");

	(void)state;
	w.condition = expression(EXPR_CONDITION, "attribute_not_exists(pk)", NULL, NULL);
	assert_ok(table_transact_write(&w, 1, &by, &io, &fx.err));
	assert_ok(put(t, key("S:a")));
	assert_ok(table_transact_write(&w, 1, &by, &io, &fx.err));
	assert_true(by.repeated);
	assert_int_equal(by.read_steps[0], 1);
	table_release(t);
	table_release(other);
}

/* Rows of tokens on the disk: they lie under the number no table has. */
static int
token_rows(void)
{
	struct engine_iter *it = engine_iter_new(fx.memory, NULL, SPACE_ITEMS, slice_of("\0\0\0\0", 4),
						 slice_of("\0\0\0\1", 4), ENGINE_MAY_BLOCK);
	int count = 0;

	for (engine_iter_first(it); engine_iter_valid(it); engine_iter_next(it))
		count++;
	engine_iter_free(it);
	return count;
}

static void
a_token_lives_ten_minutes_and_is_then_forgotten(void **state)
{
	struct table *other, *t = two_tables(&other);
	struct table_token by = token("old", "request"), later = token("later", "request");
	int64_t shifted = 0;

	(void)state;
	for (int minute = 0; minute < 10; minute++) { /* whatever span it began in, the next one is entered */
		assert_ok(count_up(t, "S:a", &by));
		assert_int_equal(by.repeated, minute > 0);
		clock_shift_us(MINUTE_US - 1000000);
		shifted += MINUTE_US - 1000000;
	}
	assert_ok(count_up(t, "S:a", &by));
	assert_true(by.repeated);
	clock_shift_us(10 * 1000000LL);
	assert_ok(count_up(t, "S:a", &by));
	assert_false(by.repeated);
	assert_count(t, "S:a", "N:2");
	clock_shift_us(21 * MINUTE_US);
	shifted += 10 * 1000000LL + 21 * MINUTE_US;
	assert_ok(count_up(t, "S:a", &later));
	for (int i = 0; i < 120000 && token_rows() != 1; i++)
		usleep(500);
	assert_int_equal(token_rows(), 1);
	/* the clock goes back: what it has written since is found all the same */
	clock_shift_us(-shifted);
	assert_ok(count_up(t, "S:a", &later));
	assert_true(later.repeated);
	db_reopen();
	table_release(t);
	table_release(other);
	t = find("One");
	assert_ok(count_up(t, "S:a", &later));
	assert_true(later.repeated);
	table_release(t);
}

static void
a_damaged_token_row_is_told(void **state)
{
	struct table *other, *t = two_tables(&other);
	struct table_token by = token("damaged", "request");
	struct engine_iter *it;
	struct engine_batch *batch = engine_batch_new(fx.memory);
	uint64_t seq;

	(void)state;
	assert_ok(count_up(t, "S:a", &by));
	it = engine_iter_new(fx.memory, NULL, SPACE_ITEMS, slice_of("\0\0\0\0", 4), slice_of("\0\0\0\1", 4),
			     ENGINE_MAY_BLOCK);
	engine_iter_first(it);
	engine_batch_put(batch, SPACE_ITEMS, engine_iter_key(it), SLICE("?"));
	engine_iter_free(it);
	assert_ok(engine_apply(fx.memory, batch, &seq, &fx.err));
	engine_batch_free(batch);
	assert_int_equal(count_up(t, "S:a", &by), S_CORRUPT);
	assert_count(t, "S:a", "N:1");
	table_release(t);
	table_release(other);
}

static void
a_repeated_token_waits_for_the_first_time(void **state)
{
	struct table *other, *t = two_tables(&other);
	struct table_token by = token("t", "request");
	struct table_io first = blocking_io(), again = blocking_io();
	struct table_write w = write_put(t, key("S:a"));

	(void)state;
	engine_memory_hold_sync(fx.memory, true);
	assert_ok(table_transact_write(&w, 1, &by, &first, &fx.err));
	assert_ok(table_transact_write(&w, 1, &by, &again, &fx.err));
	assert_true(by.repeated);
	assert_true(first.wait_seq > engine_durable(fx.engine));
	assert_true(again.wait_seq >= first.wait_seq);
	engine_memory_fail_sync(fx.memory); /* lost, and the token with it */
	assert_ok(table_transact_write(&w, 1, &by, &again, &fx.err));
	assert_false(by.repeated);
	engine_memory_hold_sync(fx.memory, false);
	assert_true(av_exists(get(t, key("S:a"))));
	table_release(t);
	table_release(other);
}

static void
a_running_transaction_is_not_disturbed(void **state) /* it runs until it is durable */
{
	struct table *other, *t = two_tables(&other);
	struct table_io io = blocking_io();
	struct table_write running[2] = {write_put(t, key("S:a")),
					 {.kind = WRITE_CHECK, .table = t, .key = key("S:b")}};
	struct table_write w[2] = {write_put(t, key("S:c")), write_put(t, key("S:a"))};
	uint64_t place;

	(void)state;
	running[1].condition = expression(EXPR_CONDITION, "attribute_not_exists(pk)", NULL, NULL);
	engine_memory_hold_sync(fx.memory, true);
	assert_ok(table_transact_write(running, 2, NULL, &io, &fx.err));
	place = io.wait_seq;
	io.wait_seq = 0;
	assert_status(put(t, key("S:a")), S_TRANSACTION_CONFLICT, "Transaction is ongoing for the item");
	assert_status(put(t, key("S:b")), S_TRANSACTION_CONFLICT, "Transaction is ongoing for the item");
	assert_int_equal(table_transact_write(w, 2, NULL, &io, &fx.err), S_TRANSACTION_CONFLICT);
	assert_int_equal(w[0].status, S_OK);
	assert_int_equal(w[1].status, S_TRANSACTION_CONFLICT);
	assert_true(io.wait_seq >= place); /* told when the other has ended */
	assert_ok(put(t, key("S:c")));     /* of single writes nobody is refused */
	assert_ok(put(t, key("S:c")));
	w[0].cause = CAUSE_REPLICATION;
	w[0].item = key("S:b");
	assert_ok(table_commit(w, 1, &io, &fx.err)); /* nor is what no client asked for */
	engine_memory_hold_sync(fx.memory, false);
	assert_ok(put(t, key("S:a")));
	assert_ok(table_transact_write(&running[0], 1, NULL, &io, &fx.err));
	assert_ok(put(t, key("S:a")));
	table_release(t);
	table_release(other);
}

/* Make the n-th engine call fail until a transaction with a token goes through; whatever was acknowledged happened
 * once. */
static void
each_engine_failure_leaves_all_or_nothing(void **state)
{
	struct table *other, *t = two_tables(&other);
	bool through = false;

	(void)state;
	for (uint64_t n = 1; !through; n++) {
		const char *pk = text("S:%d", (int)n);
		struct table_io io = blocking_io();
		struct table_write w[2] = {write_put(t, key(pk)), write_put(other, item("id", pk, "sk", "N:1", NULL))};
		struct table_token by = token(text("token-%d", (int)n), "request");

		engine_faulty_arm(fx.engine, n, S_IO);
		through = table_transact_write(w, 2, &by, &io, &fx.err) == S_OK;
		engine_faulty_arm(fx.engine, 0, S_OK);
		assert_int_equal(av_exists(get(t, key(pk))), through);
		assert_int_equal(av_exists(get(other, item("id", pk, "sk", "N:1", NULL))), through);
		assert_ok(table_transact_write(w, 2, &by, &io, &fx.err));
		assert_int_equal(by.repeated, through);
		assert_true(n < 100);
	}
	table_release(t);
	table_release(other);
}

/* ---- at the same time ---- */

#define ACCOUNTS 6
#define TOTAL    600

struct mover {
	struct table *t, *other;
	unsigned seed;
	int tokens; /* > 0: uses tokens 0 ... tokens - 1, as all others do */
	int done;
};

static struct av
account(struct arena *a, int i)
{
	struct buf out = {0};
	char id[8];
	size_t map = av_open(&out, TAG_M);
	struct av v;

	snprintf(id, sizeof id, "a%d", i);
	av_put_name(&out, SLICE("pk"));
	av_put_string(&out, slice_str(id));
	av_close_map_sorted(&out, map, 1);
	v = av_of_buf(a, &out, 0);
	buf_done(&out);
	return v;
}

static const struct expr *
adding(struct arena *a, const char *number)
{
	struct expr_params *params = ARENA_NEW(a, struct expr_params);
	uint8_t encoded[NUMBER_ENCODED_MAX];
	size_t length = number_encode_text(slice_str(number), encoded, NULL);
	struct expr *e = NULL;

	params->values = ARENA_ARRAY(a, struct expr_value, 1);
	params->values[0].placeholder = SLICE(":a");
	params->values[0].value = av_number(a, slice_of((const char *)encoded, length));
	params->value_count = 1;
	params->has_values = true;
	if (expr_bind(EXPR_UPDATE, SLICE("ADD n :a"), params, a, &e, NULL) != S_OK)
		abort();
	return e;
}

static void *
move_around(void *context)
{
	struct mover *m = context;
	struct arena a = {0};

	for (int i = 0; i < 400; i++) {
		struct table_io io = {.arena = &a, .may_block = true};
		int from = rand_r(&m->seed) % ACCOUNTS, to = (from + 1 + rand_r(&m->seed) % (ACCOUNTS - 1)) % ACCOUNTS;
		struct table_write w[2] = {
		    {.kind = WRITE_UPDATE, .table = m->t, .key = account(&a, from), .update = adding(&a, "-1")},
		    {.kind = WRITE_UPDATE, .table = m->t, .key = account(&a, to), .update = adding(&a, "1")}};

		if (table_transact_write(w, 2, NULL, &io, NULL) == S_OK)
			m->done++;
		arena_reset(&a);
	}
	arena_done(&a);
	expr_cache_done();
	return NULL;
}

static void *
look_around(void *context)
{
	struct mover *m = context;
	struct arena a = {0};

	for (int i = 0; i < 400; i++) {
		struct table_io io = {.arena = &a, .may_block = true};
		struct table_get_item gets[ACCOUNTS];
		int64_t sum = 0;

		for (int n = 0; n < ACCOUNTS; n++)
			gets[n] = (struct table_get_item){.table = m->t, .key = account(&a, n)};
		if (table_transact_get(gets, ACCOUNTS, &io, NULL) != S_OK)
			abort();
		for (int n = 0; n < ACCOUNTS; n++) {
			struct number number;
			int64_t balance;

			if (number_decode(av_bytes(av_get(gets[n].item, SLICE("n"))), &number) != S_OK ||
			    !number_to_int64(&number, &balance))
				abort();
			sum += balance;
		}
		m->done += sum == TOTAL;
		arena_reset(&a);
	}
	arena_done(&a);
	return NULL;
}

static void
reads_see_one_moment(void **state)
{
	struct table *other, *t = two_tables(&other);
	struct mover m[4] = {{t, other, 1, 0, 0}, {t, other, 2, 0, 0}, {t, other, 3, 0, 0}, {t, other, 4, 0, 0}};
	pthread_t threads[4];

	(void)state;
	for (int i = 0; i < ACCOUNTS; i++)
		assert_ok(put(t, item("pk", text("S:a%d", i), "n", "N:100", NULL)));
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, i < 2 ? move_around : look_around, &m[i]);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(m[i].done, 400);
	}
	table_release(t);
	table_release(other);
}

static void *
use_tokens(void *context)
{
	struct mover *m = context;
	struct arena a = {0};

	for (int i = 0; i < m->tokens; i++) {
		struct table_io io = {.arena = &a, .may_block = true};
		struct table_write w = {
		    .kind = WRITE_UPDATE, .table = m->t, .key = account(&a, 0), .update = adding(&a, "1")};
		struct table_token by = {.text = arena_printf(&a, "token-%d", i)};

		if (table_transact_write(&w, 1, &by, &io, NULL) != S_OK)
			abort();
		m->done += !by.repeated;
		arena_reset(&a);
	}
	arena_done(&a);
	expr_cache_done();
	return NULL;
}

static void
of_many_with_one_token_one_does_it(void **state)
{
	struct table *other, *t = two_tables(&other);
	struct mover m[4] = {
	    {t, other, 0, 300, 0}, {t, other, 0, 300, 0}, {t, other, 0, 300, 0}, {t, other, 0, 300, 0}};
	pthread_t threads[4];
	int done = 0;

	(void)state;
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, use_tokens, &m[i]);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		done += m[i].done;
	}
	assert_int_equal(done, 300);
	assert_count(t, "S:a0", "N:300");
	table_release(t);
	table_release(other);
}

static void
reads_tell_what_must_be_durable(void **state)
{
	struct table *other, *t = two_tables(&other);
	struct table_get_item gets[2] = {{.table = t, .key = key("S:a")},
					 {.table = other, .key = item("id", "S:b", "sk", "N:1", NULL)}};
	struct table_io io = blocking_io();

	(void)state;
	assert_ok(put(t, key("S:a")));
	engine_memory_hold_sync(fx.memory, true);
	assert_ok(put(other, item("id", "S:b", "sk", "N:1", NULL)));
	assert_ok(table_transact_get(gets, 2, &io, &fx.err));
	assert_true(av_exists(gets[0].item) && av_exists(gets[1].item));
	assert_int_equal(io.wait_seq, engine_applied(fx.engine));
	engine_memory_hold_sync(fx.memory, false);
	io = blocking_io();
	gets[0].key = key("S:missing");
	assert_ok(table_transact_get(gets, 2, &io, &fx.err));
	assert_false(av_exists(gets[0].item));
	assert_int_equal(io.wait_seq, 0);
	table_release(t);
	table_release(other);
}

static void
reads_of_a_dropped_table_find_none(void **state)
{
	struct table *other, *t = two_tables(&other);
	struct table_get_item gets[2] = {{.table = t, .key = key("S:a")},
					 {.table = other, .key = item("id", "S:b", "sk", "N:1", NULL)}};
	struct table_io io = blocking_io();
	struct table_description d;

	(void)state;
	assert_ok(table_delete(fx.db, SLICE("Other"), &fx.arena, &d, &fx.err));
	wait_gone("Other");
	assert_status(table_transact_get(gets, 2, &io, &fx.err), S_RESOURCE_NOT_FOUND, "Requested resource not found");
	table_release(t);
	table_release(other);
}

static void
large_reads_go_where_blocking_is_allowed(void **state)
{
	struct table *other, *t = two_tables(&other);
	struct table_get_item get_big = {.table = t, .key = key("S:big")};
	struct table_io io = {.arena = &fx.arena};

	(void)state;
	assert_ok(put(t, item("pk", "S:big", "x", long_text(INLINE_BYTES_MAX), NULL)));
	assert_int_equal(table_transact_get(&get_big, 1, &io, &fx.err), S_WOULD_BLOCK);
	io.may_block = true;
	assert_ok(table_transact_get(&get_big, 1, &io, &fx.err));
	assert_true(av_exists(get_big.item));
	table_release(t);
	table_release(other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(writes_of_several_tables_are_one_batch, setup, teardown),
	    cmocka_unit_test_setup_teardown(each_failed_write_has_its_own_words, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_token_is_used_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(checks_alone_use_a_token_too, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_token_lives_ten_minutes_and_is_then_forgotten, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_damaged_token_row_is_told, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_repeated_token_waits_for_the_first_time, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_running_transaction_is_not_disturbed, setup, teardown),
	    cmocka_unit_test_setup_teardown(each_engine_failure_leaves_all_or_nothing, setup_faulty, teardown),
	    cmocka_unit_test_setup_teardown(reads_see_one_moment, setup, teardown),
	    cmocka_unit_test_setup_teardown(of_many_with_one_token_one_does_it, setup, teardown),
	    cmocka_unit_test_setup_teardown(reads_tell_what_must_be_durable, setup, teardown),
	    cmocka_unit_test_setup_teardown(reads_of_a_dropped_table_find_none, setup, teardown),
	    cmocka_unit_test_setup_teardown(large_reads_go_where_blocking_is_allowed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
