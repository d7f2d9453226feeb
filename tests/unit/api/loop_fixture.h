/* Operations on a loop with a thread of its own, and calls posted to it. Included by one .c file each. */
#ifndef TESTS_UNIT_API_LOOP_FIXTURE_H
#define TESTS_UNIT_API_LOOP_FIXTURE_H

#include "api_fixture.h"

#include <pthread.h>

static struct loop *loop;
static pthread_t loop_thread;

static void *
loop_main(void *unused)
{
	(void)unused;
	loop_run(loop);
	expr_cache_done();
	return NULL;
}

/* On fx.engine, which the caller has opened; makes the table "hash". */
static int
loop_up(void)
{
	static const struct table_db_options options = {
	    .region = "us-east-1", .account = "000000000000", .control_delay_ms = 1, .partitions = 4};
	struct op_options op_options = {.io_threads = 1, .io_queue_max = 2, .loops = &loop, .loop_count = 1};
	struct err err;

	if (table_db_open(fx.engine, &options, &fx.db, &err) != S_OK || loop_new(0, &loop, &err) != S_OK ||
	    op_context_new(&op_options, &fx.db, 1, &fx.context, &err) != S_OK) {
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
loop_down(void **state)
{
	int s;

	loop_stop(loop);
	pthread_join(loop_thread, NULL);
	s = fixture_down(state);
	loop_free(loop);
	return s;
}

/* One call posted to the loop, as a front would start it there. */
struct posted {
	struct op_call call;
	struct arena arena;
	struct buf out;
	struct loop_task task;
	uint64_t noted; /* by done(), whose owner this is */
};

static void
posted_start(struct loop_task *task)
{
	op_start(&((struct posted *)((char *)task - offsetof(struct posted, task)))->call);
}

/* call: what to ask for, and who is told. */
static void
post_call(struct posted *p, struct op_call call)
{
	p->call = call;
	p->call.context = fx.context;
	p->call.loop = loop;
	p->call.arena = &p->arena;
	p->call.out = &p->out;
	p->call.owner = p;
	p->task.run = posted_start;
	loop_post(loop, &p->task);
}

static void
release(struct posted *calls, int count)
{
	for (int i = 0; i < count; i++) {
		arena_done(&calls[i].arena);
		buf_done(&calls[i].out);
	}
	free(calls);
}

#endif
