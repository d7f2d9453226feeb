/* How calls run on a real loop with a real disk: waiting for the sync, the I/O pool, its full queue. */
#include "loop_fixture.h"

#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "folder.h"

#define CALLS 200

static char dir[] = "/tmp/stator-api-XXXXXX";
static atomic_int done_count, failed_count, throttled_count, off_loop_count;

static int
up(void **state)
{
	struct engine_options options = {.dir = dir, .cache_bytes = 8 << 20, .write_buffer_bytes = 4 << 20};
	struct err err;

	(void)state;
	if (mkdtemp(dir) == NULL || engine_rocksdb_open(&options, &fx.engine, &err) != S_OK)
		return -1;
	return loop_up();
}

static int
down(void **state)
{
	int s = loop_down(state);

	folder_remove(dir);
	return s;
}

static void
posted_done(struct op_call *call)
{
	struct posted *p = call->owner;

	if (loop_current() != loop)
		atomic_fetch_add(&off_loop_count, 1);
	if (call->status == S_THROTTLING)
		atomic_fetch_add(&throttled_count, 1);
	else if (call->status != S_OK)
		atomic_fetch_add(&failed_count, 1);
	p->noted = engine_durable(fx.engine);
	atomic_fetch_add(&done_count, 1);
}

static void
post(struct posted *p, const char *target, struct slice body)
{
	post_call(
	    p, (struct op_call){.target = slice_str(target), .body = body, .gone = p->call.gone, .done = posted_done});
}

static void
wait_done(int count)
{
	int64_t until = clock_mono_ns() + 60 * INT64_C(1000000000);

	while (atomic_load(&done_count) < count && clock_mono_ns() < until)
		usleep(200);
	assert_int_equal(atomic_load(&done_count), count);
	assert_int_equal(op_in_progress(fx.context), 0);
	assert_int_equal(atomic_load(&off_loop_count), 0);
}

static void
reset(void)
{
	atomic_store(&done_count, 0);
	atomic_store(&failed_count, 0);
	atomic_store(&throttled_count, 0);
}

/* done() for a write comes once, on the loop, and not before its place in the log is on the disk. */
static void
writes_are_answered_when_they_are_durable(void **state)
{
	struct posted *calls = calloc(CALLS, sizeof *calls);
	char bodies[CALLS][96];

	(void)state;
	reset();
	for (int i = 0; i < CALLS; i++) {
		snprintf(bodies[i], sizeof bodies[i], "{\"TableName\":\"hash\",\"Item\":{\"pk\":{\"S\":\"w%d\"}}}", i);
		post(&calls[i], "DynamoDB_20120810.PutItem", slice_str(bodies[i]));
	}
	wait_done(CALLS);
	assert_int_equal(atomic_load(&failed_count), 0);
	for (int i = 0; i < CALLS; i++) {
		assert_true(calls[i].call.wait_seq > 0);
		assert_true(calls[i].noted >= calls[i].call.wait_seq);
	}
	release(calls, CALLS);
}

/* Scans without a limit go to the pool; all that fit its queue are answered, the others are throttled, none is lost. */
static void
a_full_pool_throttles(void **state)
{
	struct posted *calls = calloc(CALLS, sizeof *calls);

	(void)state;
	reset();
	for (int i = 0; i < CALLS; i++)
		post(&calls[i], "DynamoDB_20120810.Scan", SLICE("{\"TableName\":\"hash\",\"Select\":\"COUNT\"}"));
	wait_done(CALLS);
	assert_int_equal(atomic_load(&failed_count), 0);
	assert_true(atomic_load(&throttled_count) < CALLS);
	for (int i = 0; i < CALLS; i++)
		if (calls[i].call.status == S_THROTTLING)
			assert_non_null(memmem(calls[i].out.data, calls[i].out.len, "#ThrottlingException\"", 21));
		else
			assert_non_null(memmem(calls[i].out.data, calls[i].out.len, "\"ScannedCount\":200}", 19));
	release(calls, CALLS);
}

static void
what_cannot_wait_is_answered_at_once(void **state)
{
	struct posted *calls = calloc(CALLS, sizeof *calls);

	(void)state;
	reset();
	for (int i = 0; i < CALLS; i++)
		post(&calls[i], i & 1 ? "DynamoDB_20120810.Nope" : "DynamoDB_20120810.GetItem", SLICE("{}"));
	wait_done(CALLS);
	assert_int_equal(atomic_load(&failed_count), CALLS);
	release(calls, CALLS);
}

/* A body that takes long to read does not hold up its loop: the pool takes it. */
static void
large_bodies_go_to_the_pool(void **state)
{
	struct posted *calls = calloc(2, sizeof *calls);
	size_t pad = 300 * 1024;
	struct buf body = {0};

	(void)state;
	reset();
	buf_put_lit(&body, "{\"TableName\":\"hash\",\"Item\":{\"pk\":{\"S\":\"large\"},\"x\":{\"S\":\"");
	for (size_t i = 0; i < pad; i++)
		buf_put_byte(&body, 'x');
	buf_put_lit(&body, "\"}}}");
	post(&calls[0], "DynamoDB_20120810.PutItem", buf_slice(&body));
	wait_done(1);
	assert_int_equal(calls[0].call.status, S_OK);
	assert_true(calls[0].call.may_block);
	post(&calls[1], "DynamoDB_20120810.BatchGetItem",
	     SLICE("{\"RequestItems\":{\"hash\":{\"Keys\":[{\"pk\":{\"S\":\"large\"}}]}}}"));
	wait_done(2);
	assert_int_equal(calls[1].call.status, S_OK);
	assert_true(calls[1].call.may_block); /* so does an answer that takes long to write */
	assert_true(calls[1].out.len > pad);
	buf_done(&body);
	release(calls, 2);
}

/* A call whose client leaves while it is queued is not begun. */
static void
what_nobody_waits_for_is_not_begun(void **state)
{
	struct posted *calls = calloc(2, sizeof *calls);
	_Atomic bool gone = true;

	(void)state;
	reset();
	for (int i = 0; i < 2; i++)
		calls[i].call.gone = i == 0 ? &gone : NULL;
	post(&calls[0], "DynamoDB_20120810.CreateTable",
	     SLICE("{\"TableName\":\"vain\",\"BillingMode\":\"PAY_PER_REQUEST\",\"AttributeDefinitions\":[{"
		   "\"AttributeName\":\"pk\",\"AttributeType\":\"S\"}],\"KeySchema\":[{\"AttributeName\":\"pk\","
		   "\"KeyType\":\"HASH\"}]}"));
	wait_done(1);
	assert_int_equal(calls[0].call.status, S_UNAVAILABLE);
	post(&calls[1], "DynamoDB_20120810.DescribeTable", SLICE("{\"TableName\":\"vain\"}"));
	wait_done(2);
	assert_int_equal(calls[1].call.status, S_RESOURCE_NOT_FOUND);
	release(calls, 2);
}

/* What it saw first was never acknowledged; when that is lost it tells what is there instead. */
static void
a_read_of_a_lost_write_reads_again(void **state)
{
	static const char get[] = "{\"TableName\":\"hash\",\"Key\":{\"pk\":{\"S\":\"lost\"}}}";
	struct posted *calls = calloc(4, sizeof *calls);

	(void)state;
	reset();
	post(&calls[0], "DynamoDB_20120810.PutItem",
	     SLICE("{\"TableName\":\"hash\",\"Item\":{\"pk\":{\"S\":\"lost\"},\"v\":{\"S\":\"old\"}}}"));
	wait_done(1);
	fault_setup("engine-before-sync:io:1");
	post(&calls[1], "DynamoDB_20120810.PutItem",
	     SLICE("{\"TableName\":\"hash\",\"Item\":{\"pk\":{\"S\":\"lost\"},\"v\":{\"S\":\"new\"}}}"));
	post(&calls[2], "DynamoDB_20120810.GetItem", slice_str(get));
	wait_done(3);
	fault_setup(NULL);
	assert_int_equal(calls[1].call.status, S_INTERNAL);
	assert_int_equal(calls[2].call.status, S_OK);
	post(&calls[3], "DynamoDB_20120810.GetItem", slice_str(get)); /* the old or, after all, the new one */
	wait_done(4);
	assert_int_equal(calls[3].out.len, calls[2].out.len);
	assert_memory_equal(calls[3].out.data, calls[2].out.data, calls[2].out.len);
	release(calls, 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(writes_are_answered_when_they_are_durable),
	    cmocka_unit_test(a_full_pool_throttles),
	    cmocka_unit_test(what_cannot_wait_is_answered_at_once),
	    cmocka_unit_test(large_bodies_go_to_the_pool),
	    cmocka_unit_test(what_nobody_waits_for_is_not_begun),
	    cmocka_unit_test(a_read_of_a_lost_write_reads_again),
	};

	return cmocka_run_group_tests(tests, up, down);
}
