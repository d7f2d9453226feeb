/* One sync is for many calls: whose answer comes first. */
#include "loop_fixture.h"

#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"

#define HEAVY      40 /* calls of the one tenant */
#define BODY_BYTES 96
#define ANSWER_NS  100000 /* what an answer takes at least: more than a tenant's share of a turn */

static atomic_int done_count;
static atomic_bool passed;

static int
up(void **state)
{
	struct err err;

	(void)state;
	return engine_memory_open(&fx.engine, &err) == S_OK ? loop_up() : -1;
}

static void
posted_done(struct op_call *call)
{
	struct posted *p = call->owner;
	int64_t until = clock_mono_ns() + ANSWER_NS;

	assert_int_equal(call->status, S_OK);
	while (clock_mono_ns() < until)
		;
	p->noted = (uint64_t)atomic_load(&done_count);
	atomic_fetch_add(&done_count, 1); /* last: the test reads what was noted then, and frees them */
}

static void
pass(struct loop_task *task)
{
	(void)task;
	atomic_store(&passed, true);
}

static void
post_put(struct posted *p, uint32_t tenant, char body[BODY_BYTES], int number)
{
	snprintf(body, BODY_BYTES, "{\"TableName\":\"hash\",\"Item\":{\"pk\":{\"S\":\"w%d\"}}}", number);
	post_call(p, (struct op_call){.target = SLICE("DynamoDB_20120810.PutItem"),
				      .body = slice_str(body),
				      .done = posted_done,
				      .flow = {.tenant = tenant}});
}

/* A tenant whose write became durable with many of another one is not answered behind all of those; of one tenant who
 * came first is answered first. */
static void
answers_of_one_sync_take_turns(void **state)
{
	struct posted *calls = calloc(HEAVY + 1, sizeof *calls);
	char bodies[HEAVY + 1][BODY_BYTES];
	struct loop_task barrier = {.run = pass};

	(void)state;
	engine_memory_hold_sync(fx.engine, true);
	for (int i = 0; i < HEAVY; i++)
		post_put(&calls[i], 1, bodies[i], i);
	post_put(&calls[HEAVY], 2, bodies[HEAVY], HEAVY);
	loop_post(loop, &barrier);
	while (!atomic_load(&passed))
		usleep(200);
	assert_int_equal(atomic_load(&done_count), 0);
	engine_memory_hold_sync(fx.engine, false);
	while (atomic_load(&done_count) < HEAVY + 1)
		usleep(200);
	assert_true(calls[HEAVY].noted < 3);
	for (int i = 1; i < HEAVY; i++)
		assert_true(calls[i].noted > calls[i - 1].noted);
	release(calls, HEAVY + 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(answers_of_one_sync_take_turns)};

	return cmocka_run_group_tests(tests, up, loop_down);
}
