#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fair.h"

struct job {
	struct loop_job job;
	int done;
};

static struct job
job_of(uint32_t tenant, uint32_t table)
{
	return (struct job){.job = {.flow = {tenant, table}}};
}

/* As if each took so long. */
static struct job *
serve(struct fair *q, int64_t ns)
{
	struct loop_job *j = fair_next(q);

	assert_non_null(j);
	assert_false(j->queued);
	fair_charge(q, j->flow, ns);
	((struct job *)j)->done++;
	return (struct job *)j;
}

static void
a_crowd_of_one_tenant_delays_another_by_one_turn(void **state)
{
	struct fair *q = fair_new();
	static struct job crowd[1000];
	struct job one = job_of(2, 0);
	int before = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		crowd[i] = job_of(1, 0);
		fair_add(q, &crowd[i].job);
	}
	for (int i = 0; i < 10; i++)
		assert_int_equal(serve(q, 20000)->job.flow.tenant, 1);
	fair_add(q, &one.job);
	while (one.done == 0) {
		before++;
		serve(q, 20000);
	}
	assert_in_range(before, 1, 6); /* what is left of the crowd's share, and itself */
	for (int i = 0; i < 10; i++)
		serve(q, 20000);
	while (fair_any(q))
		serve(q, 20000);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(crowd[i].done, 1);
	fair_free(q);
}

static void
shares_are_counted_in_time_not_in_jobs(void **state)
{
	struct fair *q = fair_new();
	struct job heavy = job_of(1, 0), light = job_of(2, 0);

	(void)state;
	fair_add(q, &heavy.job);
	fair_add(q, &light.job);
	for (int i = 0; i < 11000; i++) {
		struct job *j = serve(q, 1000);

		if (j == &heavy)
			fair_charge(q, j->job.flow, 9000); /* ten times as long */
		fair_add(q, &j->job);
	}
	assert_in_range(light.done, 9 * heavy.done, 11 * heavy.done);
	fair_remove(q, &heavy.job);
	fair_remove(q, &light.job);
	assert_false(fair_any(q));
	fair_free(q);
}

static void
many_tables_are_not_more_than_one_tenant(void **state)
{
	struct fair *q = fair_new();
	static struct job many[16];
	struct job one = job_of(2, 7);
	int of_many = 0;

	(void)state;
	for (uint32_t i = 0; i < 16; i++) {
		many[i] = job_of(1, i);
		fair_add(q, &many[i].job);
	}
	fair_add(q, &one.job);
	for (int i = 0; i < 32000; i++)
		fair_add(q, &serve(q, 10000)->job);
	for (int i = 0; i < 16; i++) {
		of_many += many[i].done;
		assert_in_range(many[i].done, 800, 1200); /* and they share among themselves */
	}
	assert_in_range(one.done, of_many * 9 / 10, of_many * 11 / 10);
	fair_free(q);
}

static void
drips_do_not_always_come_first(void **state)
{
	struct fair *q = fair_new();
	struct job drip = job_of(1, 0), steady = job_of(2, 0);

	(void)state;
	fair_add(q, &steady.job);
	for (int i = 0; i < 1000; i++) { /* it has never more than one, and always one */
		if (!drip.job.queued)
			fair_add(q, &drip.job);
		fair_add(q, &serve(q, 50000)->job);
	}
	assert_in_range(steady.done, 400, 600);
	fair_remove(q, &steady.job);
	fair_remove(q, &drip.job);
	fair_free(q);
}

static void
what_is_taken_out_is_not_served(void **state)
{
	struct fair *q = fair_new();
	struct job jobs[] = {job_of(1, 1), job_of(1, 1), job_of(1, 1), job_of(1, 2), job_of(3, 3)};

	(void)state;
	for (int i = 0; i < 5; i++)
		fair_add(q, &jobs[i].job);
	fair_add(q, &jobs[0].job); /* stays where it is */
	assert_int_equal(fair_count(q, 1), 4);
	fair_remove(q, &jobs[1].job);
	fair_remove(q, &jobs[3].job);
	fair_remove(q, &jobs[3].job);
	fair_remove(q, &jobs[4].job);
	assert_ptr_equal(serve(q, 1), &jobs[0]);
	assert_ptr_equal(serve(q, 1), &jobs[2]);
	assert_null(fair_next(q));
	assert_false(fair_any(q));
	fair_free(q);
}

static struct fair *running;
static int runs;

static void
run_again(struct loop_job *j)
{
	int64_t until = clock_mono_ns() + 50000;

	runs++;
	while (clock_mono_ns() < until)
		;
	fair_add(running, j);
}

static void
a_turn_ends_though_there_is_more(void **state)
{
	struct job j = job_of(1, 0);

	(void)state;
	running = fair_new();
	j.job.run = run_again;
	fair_add(running, &j.job);
	assert_false(fair_spent(running)); /* outside of a job */
	fair_run(running, 1000000);
	assert_in_range(runs, 1, 170); /* 160 of 50 us each, or fewer when the machine is busy */
	assert_true(fair_any(running));
	fair_remove(running, &j.job);
	fair_free(running);
}

/* While only one flow is there, too: whoever comes now waits until the turn is over. */
static void
a_job_that_takes_a_whole_turn_is_its_last(void **state)
{
	struct job jobs[3];

	(void)state;
	running = fair_new();
	runs = 0;
	for (int i = 0; i < 3; i++) {
		jobs[i] = job_of(1, 0);
		jobs[i].job.run = run_again;
		fair_add(running, &jobs[i].job);
	}
	fair_run(running, 1000); /* alone it has eight times as much */
	assert_int_equal(runs, 1);
	for (int i = 0; i < 3; i++)
		fair_remove(running, &jobs[i].job);
	fair_free(running);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_crowd_of_one_tenant_delays_another_by_one_turn),
	    cmocka_unit_test(shares_are_counted_in_time_not_in_jobs),
	    cmocka_unit_test(many_tables_are_not_more_than_one_tenant),
	    cmocka_unit_test(drips_do_not_always_come_first),
	    cmocka_unit_test(what_is_taken_out_is_not_served),
	    cmocka_unit_test(a_turn_ends_though_there_is_more),
	    cmocka_unit_test(a_job_that_takes_a_whole_turn_is_its_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
