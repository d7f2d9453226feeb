/* One sync is for many calls: whose answer comes first. */
#include "api_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"

#define HEAVY     40     /* calls of the one tenant */
#define ANSWER_NS 100000 /* what an answer takes at least: more than a tenant's share of a turn */

static struct loop *loop;
static pthread_t loop_thread;
static atomic_int done_count;
static atomic_bool passed;

struct posted {
	struct op_call call;
	struct arena arena;
	struct buf out;
	struct loop_task task;
	char body[96];
	int place; /* in the order of the answers */
};

static void *
loop_main(void *unused)
{
	(void)unused;
	loop_run(loop);
	expr_cache_done();
	return NULL;
}

static int
up(void **state)
{
	static const struct table_db_options options = {
	    .region = "us-east-1", .account = "000000000000", .control_delay_ms = 1, .partitions = 4};
	struct op_options op_options = {.io_threads = 1, .io_queue_max = 2, .loops = &loop, .loop_count = 1};
	struct err err;

	(void)state;
	if (engine_memory_open(&fx.engine, &err) != S_OK || table_db_open(fx.engine, &options, &fx.db, &err) != S_OK ||
	    loop_new(0, &loop, &err) != S_OK || op_context_new(&op_options, &fx.db, 1, &fx.context, &err) != S_OK) {
		fprintf(stderr, "fixture: %s\n", err.message);
		return -1;
	}
	expect_ok("CreateTable", "{'TableName':'hash','BillingMode':'PAY_PER_REQUEST',"
				 "'AttributeDefinitions':[{'AttributeName':'pk','AttributeType':'S'}],"
				 "'KeySchema':[{'AttributeName':'pk','KeyType':'HASH'}]}");
	wait_active("hash");
	return pthread_create(&loop_thread, NULL, loop_main, NULL);
}

static int
down(void **state)
{
	int s;

	loop_stop(loop);
	pthread_join(loop_thread, NULL);
	s = fixture_down(state);
	loop_free(loop);
	return s;
}

static void
posted_done(struct op_call *call)
{
	struct posted *p = call->owner;
	int64_t until = clock_mono_ns() + ANSWER_NS;

	assert_int_equal(call->status, S_OK);
	while (clock_mono_ns() < until)
		;
	p->place = atomic_load(&done_count);
	atomic_fetch_add(&done_count, 1); /* last: the test reads the places then, and frees them */
}

static void
posted_start(struct loop_task *task)
{
	op_start(&((struct posted *)((char *)task - offsetof(struct posted, task)))->call);
}

static void
pass(struct loop_task *task)
{
	(void)task;
	atomic_store(&passed, true);
}

static void
post_put(struct posted *p, uint32_t tenant, int number)
{
	snprintf(p->body, sizeof p->body, "{\"TableName\":\"hash\",\"Item\":{\"pk\":{\"S\":\"w%d\"}}}", number);
	p->call = (struct op_call){.context = fx.context,
				   .loop = loop,
				   .arena = &p->arena,
				   .target = SLICE("DynamoDB_20120810.PutItem"),
				   .body = slice_str(p->body),
				   .out = &p->out,
				   .done = posted_done,
				   .owner = p,
				   .flow = {.tenant = tenant}};
	p->task.run = posted_start;
	loop_post(loop, &p->task);
}

/* A tenant whose write became durable with many of another one is not answered behind all of those; of one tenant who
 * came first is answered first. */
static void
answers_of_one_sync_take_turns(void **state)
{
	struct posted *calls = calloc(HEAVY + 1, sizeof *calls);
	struct loop_task barrier = {.run = pass};

	(void)state;
	engine_memory_hold_sync(fx.engine, true);
	for (int i = 0; i < HEAVY; i++)
		post_put(&calls[i], 1, i);
	post_put(&calls[HEAVY], 2, HEAVY);
	loop_post(loop, &barrier);
	while (!atomic_load(&passed))
		usleep(200);
	assert_int_equal(atomic_load(&done_count), 0);
	engine_memory_hold_sync(fx.engine, false);
	while (atomic_load(&done_count) < HEAVY + 1)
		usleep(200);
	assert_true(calls[HEAVY].place < 3);
	for (int i = 1; i < HEAVY; i++)
		assert_true(calls[i].place > calls[i - 1].place);
	for (int i = 0; i <= HEAVY; i++) {
		arena_done(&calls[i].arena);
		buf_done(&calls[i].out);
	}
	free(calls);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(answers_of_one_sync_take_turns)};

	return cmocka_run_group_tests(tests, up, down);
}
