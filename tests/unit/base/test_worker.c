/* the worker pool and fault points */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/worker.h"

struct job {
	struct work work;
	atomic_int runs;
	int order;
};

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_int ran;

static void
job_run(struct work *work)
{
	struct job *job = (struct job *)((char *)work - offsetof(struct job, work));

	pthread_mutex_lock(&gate);
	job->order = atomic_fetch_add(&ran, 1);
	pthread_mutex_unlock(&gate);
	atomic_fetch_add(&job->runs, 1);
}

static void
every_job_runs_once_also_those_queued_at_the_end(void **state)
{
	struct worker_pool *pool = worker_pool_new("test", 4, 1000);
	static struct job jobs[1000];

	(void)state;
	pthread_mutex_lock(&gate);
	for (int i = 0; i < 1000; i++) {
		jobs[i].work.run = job_run;
		assert_true(worker_submit(pool, &jobs[i].work));
	}
	pthread_mutex_unlock(&gate);
	worker_pool_free(pool);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(jobs[i].runs, 1);
}

static void
a_full_queue_says_so_and_jobs_keep_their_order(void **state)
{
	struct worker_pool *pool = worker_pool_new("test", 1, 3);
	struct job jobs[5] = {0};

	(void)state;
	ran = 0;
	for (int i = 0; i < 5; i++)
		jobs[i].work.run = job_run;
	pthread_mutex_lock(&gate);
	assert_true(worker_submit(pool, &jobs[0].work));
	while (worker_queued(pool) > 0)
		sched_yield(); /* until the thread has taken it, to wait at the gate */
	for (int i = 1; i <= 3; i++)
		assert_true(worker_submit(pool, &jobs[i].work));
	assert_int_equal(worker_queued(pool), 3);
	assert_false(worker_submit(pool, &jobs[4].work));
	pthread_mutex_unlock(&gate);
	worker_pool_free(pool);
	for (int i = 0; i < 4; i++)
		assert_int_equal(jobs[i].order, i);
	assert_int_equal(jobs[4].runs, 0);
}

static void
a_tenant_leaves_room_for_others(void **state)
{
	struct worker_pool *pool = worker_pool_new("test", 1, 8);
	static struct job jobs[16];
	int taken = 0;

	(void)state;
	pthread_mutex_lock(&gate);
	jobs[0].work.run = job_run;
	assert_true(worker_submit(pool, &jobs[0].work));
	while (worker_queued(pool) > 0)
		sched_yield();
	for (int i = 1; i < 8; i++) {
		jobs[i].work = (struct work){.run = job_run, .flow = {.tenant = 1}};
		taken += worker_submit(pool, &jobs[i].work);
	}
	assert_int_equal(taken, 4);
	jobs[8].work = (struct work){.run = job_run, .flow = {.tenant = 2}};
	assert_true(worker_submit(pool, &jobs[8].work));
	pthread_mutex_unlock(&gate);
	worker_pool_free(pool);
	assert_int_equal(jobs[8].runs, 1);
}

static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
static bool open_now;
static atomic_int inside;

static void
job_wait(struct work *work)
{
	(void)work;
	atomic_fetch_add(&inside, 1);
	pthread_mutex_lock(&gate);
	while (!open_now)
		pthread_cond_wait(&opened, &gate);
	pthread_mutex_unlock(&gate);
}

static void
long_work_never_has_all_threads(void **state)
{
	struct worker_pool *pool = worker_pool_new("test", 4, 100);
	static struct job lengthy[10], brief;

	(void)state;
	for (int i = 0; i < 10; i++) {
		lengthy[i].work = (struct work){.run = job_wait, .lengthy = true};
		assert_true(worker_submit(pool, &lengthy[i].work));
	}
	brief.work.run = job_run;
	assert_true(worker_submit(pool, &brief.work));
	while (atomic_load(&brief.runs) == 0)
		sched_yield(); /* for ever, if all four waited */
	assert_in_range(atomic_load(&inside), 0, 3);
	pthread_mutex_lock(&gate);
	open_now = true;
	pthread_cond_broadcast(&opened);
	pthread_mutex_unlock(&gate);
	worker_pool_free(pool);
	assert_int_equal(inside, 10);
}

static void
faults_hit_only_where_and_when_named(void **state)
{
	(void)state;
	assert_false(fault_hit(FAULT_ENGINE_APPLY));
	assert_true(fault_setup("engine-apply:io,engine-making:io:2,answer:sleep:30:1"));
	for (int i = 1; i <= 3; i++) {
		int64_t start = clock_mono_ns();

		assert_true(fault_hit(FAULT_ENGINE_APPLY));
		assert_int_equal(fault_hit(FAULT_ENGINE_MAKING), i == 2);
		assert_false(fault_hit(FAULT_ENGINE_AFTER_SYNC));
		fault_pass(FAULT_ANSWER);
		assert_int_equal(clock_mono_ns() - start >= 30000000, i == 1);
	}
	assert_true(fault_setup(NULL));
	assert_false(fault_hit(FAULT_ENGINE_APPLY));
	assert_true(fault_setup(""));
	assert_false(atomic_load(&fault_armed));
}

static void
passages_are_counted_while_something_is_armed(void **state)
{
	(void)state;
	fault_pass(FAULT_ANSWER);
	assert_int_equal(fault_tell(FAULT_ANSWER).passed, 0);
	assert_true(fault_setup("all:count"));
	fault_pass(FAULT_ANSWER);
	assert_false(fault_hit(FAULT_ENGINE_APPLY));
	assert_false(fault_hit(FAULT_ENGINE_APPLY));
	assert_int_equal(fault_tell(FAULT_ANSWER).passed, 1);
	assert_int_equal(fault_tell(FAULT_ENGINE_APPLY).passed, 2);
	fault_setup(NULL);
	assert_int_equal(fault_tell(FAULT_ANSWER).passed, 0);
}

static void
every_point_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int i = 0; i < FAULT_COUNT; i++) {
		struct fault_told told = fault_tell((enum fault_point)i);
		char text[100];

		assert_non_null(told.name);
		assert_true(strlen(told.between) > 10);
		for (int k = 0; k < i; k++)
			assert_string_not_equal(told.name, fault_tell((enum fault_point)k).name);
		snprintf(text, sizeof text, "%s:io", told.name);
		assert_int_equal(fault_setup(text), told.fails);
		snprintf(text, sizeof text, "%s:count", told.name);
		assert_true(fault_setup(text));
	}
	fault_setup(NULL);
}

static void
malformed_specifications_change_nothing(void **state)
{
	static const char *const malformed[] = {"answer",
						"answer:",
						"engine-apply:io:",
						"engine-apply:io:0",
						"engine-apply:io:x",
						"answer:sleep",
						"answer:sleep:",
						"answer:sleep:-1",
						"engine-apply:io,",
						",engine-apply:io",
						":io",
						"answer:kill:1:2",
						"engine-apply:IO",
						"engine-apply:io:99999999999999999999",
						"answer:sleep:99999999999",
						"nowhere:kill",
						"answer:io", /* it cannot fail */
						"all:io"};

	(void)state;
	assert_true(fault_setup("engine-apply:io"));
	for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
		if (fault_setup(malformed[i]))
			fail_msg("%s was taken", malformed[i]);
		assert_true(fault_hit(FAULT_ENGINE_APPLY));
	}
	fault_setup(NULL);
}

static void
kill_dies_at_the_named_passage(void **state)
{
	int pipe_ends[2], status;
	char passed[8];
	pid_t child;

	(void)state;
	assert_int_equal(pipe(pipe_ends), 0);
	child = fork();
	if (child == 0) {
		fault_setup("answer:kill:3");
		for (;;) {
			fault_pass(FAULT_ANSWER);
			if (write(pipe_ends[1], "x", 1) != 1)
				_exit(1);
		}
	}
	close(pipe_ends[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(read(pipe_ends[0], passed, sizeof passed), 2);
	close(pipe_ends[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_job_runs_once_also_those_queued_at_the_end),
	    cmocka_unit_test(a_full_queue_says_so_and_jobs_keep_their_order),
	    cmocka_unit_test(a_tenant_leaves_room_for_others),
	    cmocka_unit_test(long_work_never_has_all_threads),
	    cmocka_unit_test(faults_hit_only_where_and_when_named),
	    cmocka_unit_test(passages_are_counted_while_something_is_armed),
	    cmocka_unit_test(every_point_has_a_name_of_its_own),
	    cmocka_unit_test(malformed_specifications_change_nothing),
	    cmocka_unit_test(kill_dies_at_the_named_passage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
