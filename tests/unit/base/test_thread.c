#include "base/thread.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

struct attributes { /* as the kernel has it */
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static void
a_prompt_thread_keeps_its_share_of_the_processors(void **state)
{
	struct attributes before = {.size = 0}, after = {.size = 0};

	(void)state;
	if (syscall(SYS_sched_getattr, 0, &before, sizeof before, 0) != 0)
		skip(); /* the system does not let anybody ask */
	thread_be_prompt();
	assert_int_equal(syscall(SYS_sched_getattr, 0, &after, sizeof after, 0), 0);
	assert_int_equal(after.policy, before.policy);
	assert_int_equal(after.nice, before.nice);
	/* before Linux 6.12 there are no slices of one's own */
	if (before.runtime != 0 && before.policy == SCHED_OTHER)
		assert_int_equal(after.runtime, 100000);
}

static void *
be_polite(void *ret)
{
	struct attributes *got = ret;

	thread_breathe(); /* is nothing yet */
	thread_be_polite();
	for (int i = 0; i < 1000; i++)
		thread_breathe();
	if (syscall(SYS_sched_getattr, 0, got, sizeof *got, 0) != 0)
		got->size = 0;
	return NULL;
}

static void
a_polite_thread_keeps_its_share_of_the_processors(void **state)
{
	struct attributes before = {.size = 0}, after = {.size = 0};
	pthread_t thread;

	(void)state;
	if (syscall(SYS_sched_getattr, 0, &before, sizeof before, 0) != 0)
		skip();
	assert_int_equal(pthread_create(&thread, NULL, be_polite, &after), 0);
	pthread_join(thread, NULL);
	assert_int_not_equal(after.size, 0);
	assert_int_equal(after.policy, before.policy);
	assert_int_equal(after.nice, before.nice);
	if (before.runtime != 0 && before.policy == SCHED_OTHER)
		assert_int_equal(after.runtime, 200000);
}

static void
a_patient_thread_lets_others_finish(void **state)
{
	(void)state;
	if (sched_getscheduler(0) != SCHED_OTHER)
		skip(); /* somebody gave the whole process another kind */
	thread_be_patient();
	assert_int_equal(sched_getscheduler(0), SCHED_BATCH);
	thread_be_patient();
	assert_int_equal(sched_getscheduler(0), SCHED_BATCH);
	thread_be_prompt();
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
	assert_int_equal(sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0}), 0);
	thread_be_prompt(); /* somebody else has made it so */
	assert_int_equal(sched_getscheduler(0), SCHED_BATCH);
	assert_int_equal(sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0}), 0);
}

static void *
be_modest(void *ret_nice)
{
	thread_be_modest();
	*(int *)ret_nice = getpriority(PRIO_PROCESS, 0);
	return NULL;
}

static void
a_modest_thread_gets_a_smaller_share_than_others(void **state)
{
	int before = getpriority(PRIO_PROCESS, 0), after = -100;
	pthread_t thread;

	(void)state;
	if (before > 10)
		skip(); /* somebody gave the whole process nearly nothing */
	assert_int_equal(pthread_create(&thread, NULL, be_modest, &after), 0);
	pthread_join(thread, NULL);
	assert_true(after > before);
	assert_int_equal(getpriority(PRIO_PROCESS, 0), before); /* this one's stays */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_prompt_thread_keeps_its_share_of_the_processors),
	    cmocka_unit_test(a_polite_thread_keeps_its_share_of_the_processors),
	    cmocka_unit_test(a_patient_thread_lets_others_finish),
	    cmocka_unit_test(a_modest_thread_gets_a_smaller_share_than_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
