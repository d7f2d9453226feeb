/*
 * Waiting for the durable point, and the faulty engine: what the rooms above are tested with.
 */
#include "engine/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

static struct engine *e;
static atomic_int told;

static int
setup(void **state)
{
	(void)state;
	atomic_store(&told, 0);
	return engine_memory_open(&e, NULL) == S_OK ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	engine_close(e);
	return 0;
}

static uint64_t
put(const char *key, const char *value)
{
	struct engine_batch *b = engine_batch_new(e);
	uint64_t seq;

	engine_batch_put(b, SPACE_ITEMS, slice_str(key), slice_str(value));
	assert_int_equal(engine_apply(e, b, &seq, NULL), S_OK);
	engine_batch_free(b);
	return seq;
}

static enum status
get(const char *key)
{
	struct engine_value v;
	enum status s = engine_get(e, NULL, SPACE_ITEMS, slice_str(key), 0, &v, NULL);

	engine_value_done(&v);
	return s;
}

static void
listener(void *context)
{
	(void)context;
	atomic_fetch_add(&told, 1);
}

struct waiter {
	uint64_t seq;
	enum status status;
};

static void *
wait_for(void *context)
{
	struct waiter *w = context;

	w->status = engine_sync_to(e, w->seq, NULL);
	return NULL;
}

static void
held_writes_are_visible_and_not_durable(void **state)
{
	struct waiter waiter = {0};
	pthread_t thread;
	uint64_t seq;

	(void)state;
	assert_int_equal(engine_wait_status(e, put("a", "1")), S_OK);
	engine_on_sync(e, listener, NULL);
	engine_memory_hold_sync(e, true);
	seq = put("b", "1");
	assert_int_equal(get("b"), S_OK);
	assert_int_equal(engine_wait_status(e, seq), S_WOULD_BLOCK);
	assert_int_equal(engine_durable(e), seq - 1);
	waiter.seq = seq;
	pthread_create(&thread, NULL, wait_for, &waiter);
	usleep(10000);
	assert_int_equal(atomic_load(&told), 0);
	engine_memory_hold_sync(e, false);
	pthread_join(thread, NULL);
	assert_int_equal(waiter.status, S_OK);
	assert_int_equal(engine_wait_status(e, seq), S_OK);
	assert_int_equal(atomic_load(&told), 1);
}

static void
lost_writes_are_gone_and_told_lost(void **state)
{
	struct engine_batch *stale;
	struct waiter waiter;
	pthread_t thread;
	uint64_t seq;

	(void)state;
	put("a", "1");
	engine_memory_hold_sync(e, true);
	waiter.seq = seq = put("b", "1");
	stale = engine_batch_new(e);
	pthread_create(&thread, NULL, wait_for, &waiter);
	usleep(10000);
	engine_memory_fail_sync(e);
	pthread_join(thread, NULL);
	assert_int_equal(waiter.status, S_IO);
	assert_int_equal(engine_wait_status(e, seq), S_IO);
	assert_int_equal(engine_wait_status(e, seq - 1), S_OK);
	assert_int_equal(engine_failed_through(e), seq);
	assert_int_equal(get("a"), S_OK);
	assert_int_equal(get("b"), S_NOT_FOUND);
	assert_int_equal(engine_apply(e, stale, &seq, NULL), S_IO); /* may have been made from what was lost */
	engine_batch_clear(stale);
	assert_int_equal(engine_apply(e, stale, &seq, NULL), S_OK);
	engine_batch_free(stale);
	engine_memory_hold_sync(e, false);
	assert_int_equal(engine_wait_status(e, put("c", "1")), S_OK);
}

static void
many_failures_are_remembered(void **state) /* when too many, too much is called lost rather than too little */
{
	uint64_t lost[200];

	(void)state;
	for (int i = 0; i < 200; i++) {
		put("kept", "1");
		engine_memory_hold_sync(e, true);
		lost[i] = put("lost", "1");
		engine_memory_fail_sync(e);
		engine_memory_hold_sync(e, false);
	}
	for (int i = 0; i < 200; i++)
		assert_int_equal(engine_wait_status(e, lost[i]), S_IO);
	assert_int_equal(engine_wait_status(e, lost[199] - 1), S_OK);
}

/* ---- faulty ---- */

/* One of each kind of call that can fail; the first failure ends it. */
static enum status
one_of_each(struct engine *faulty, const char *dir, struct err *err)
{
	struct engine_batch *b = engine_batch_new(faulty);
	struct engine_sorted_file *file = NULL;
	struct engine_iter *it = NULL;
	struct engine_value v = {0};
	char path[128];
	uint64_t seq;
	enum status s;

	snprintf(path, sizeof path, "%s/file", dir);
	engine_batch_put(b, SPACE_ITEMS, SLICE("a"), SLICE("1"));
	engine_batch_put(b, SPACE_ITEMS, SLICE("b"), SLICE("1"));
	s = engine_apply(faulty, b, &seq, err);
	if (s == S_OK)
		s = engine_sync_to(faulty, seq, err);
	if (s == S_OK)
		s = engine_get(faulty, NULL, SPACE_ITEMS, SLICE("a"), 0, &v, err);
	if (s == S_OK) {
		it = engine_iter_new(faulty, NULL, SPACE_ITEMS, SLICE_NONE, SLICE_NONE, 0);
		for (engine_iter_first(it); engine_iter_valid(it); engine_iter_next(it))
			;
		s = engine_iter_status(it, err);
	}
	if (s == S_OK) {
		for (engine_iter_last(it); engine_iter_valid(it); engine_iter_prev(it))
			;
		s = engine_iter_status(it, err);
	}
	if (s == S_OK) {
		engine_iter_seek(it, SLICE("a"));
		s = engine_iter_status(it, err);
	}
	if (s == S_OK) {
		engine_iter_seek_back(it, SLICE("b"));
		s = engine_iter_status(it, err);
	}
	if (s == S_OK)
		s = engine_sorted_file_open(faulty, SPACE_LOG, path, &file, err);
	if (s == S_OK) {
		enum status finished;

		s = engine_sorted_file_put(file, SLICE("x"), SLICE("1"), err);
		finished = engine_sorted_file_finish(file, s == S_OK ? err : NULL);
		s = s == S_OK ? finished : s;
	}
	if (s == S_OK)
		s = engine_ingest(faulty, SPACE_LOG, (const char *const[]){path}, 1, err);
	if (s == S_OK)
		s = engine_drop(faulty, SPACE_LOG, SLICE("x"), SLICE("y"), err);
	engine_value_done(&v);
	engine_iter_free(it);
	engine_batch_free(b);
	unlink(path);
	return s;
}

static void
each_call_fails_once(void **state)
{
	struct engine *faulty = engine_faulty_new(e);
	char dir[] = "/tmp/stator-engine-XXXXXX";
	uint64_t calls, nth;
	struct err err;

	(void)state;
	e = faulty; /* closed by teardown */
	assert_non_null(mkdtemp(dir));
	engine_faulty_arm(faulty, 0, S_OK);
	assert_int_equal(one_of_each(faulty, dir, &err), S_OK);
	calls = engine_faulty_calls(faulty);
	for (nth = 1;; nth++) {
		enum status s;

		engine_faulty_arm(faulty, nth, nth % 2 ? S_IO : S_WOULD_BLOCK);
		s = one_of_each(faulty, dir, &err);
		if (s == S_OK)
			break;
		assert_int_equal(s, nth % 2 ? S_IO : S_WOULD_BLOCK);
		assert_non_null(strstr(err.message, "fault injected"));
	}
	assert_int_equal(nth, calls + 1);
	assert_true(calls >= 15);
	rmdir(dir);
}

static void
a_failed_apply_leaves_nothing(void **state)
{
	struct engine *faulty = engine_faulty_new(e);
	struct engine_batch *b = engine_batch_new(faulty);
	uint64_t seq = 77;

	(void)state;
	e = faulty;
	engine_batch_put(b, SPACE_ITEMS, SLICE("a"), SLICE("1"));
	engine_faulty_arm(faulty, 1, S_NO_SPACE);
	assert_int_equal(engine_apply(faulty, b, &seq, NULL), S_NO_SPACE);
	assert_int_equal(seq, 77);
	assert_int_equal(get("a"), S_NOT_FOUND);
	assert_int_equal(engine_apply(faulty, b, &seq, NULL), S_OK); /* once only */
	assert_int_equal(get("a"), S_OK);
	engine_batch_free(b);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(held_writes_are_visible_and_not_durable),
	    TEST(lost_writes_are_gone_and_told_lost),
	    TEST(many_failures_are_remembered),
	    TEST(each_call_fails_once),
	    TEST(a_failed_apply_leaves_nothing),
	};

	return cmocka_run_group_tests_name("commit", tests, NULL, NULL);
}
