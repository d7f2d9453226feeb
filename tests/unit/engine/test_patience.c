/* When the thread that syncs lets others finish first, and when it does not. */
#include "engine/rocksdb/rocksdb_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MS ((int64_t)1000000)

static struct patience p;
static int64_t now_ns, waited_ns;
static uint64_t writes;

static int
setup(void **state)
{
	(void)state;
	p = (struct patience){0};
	now_ns = waited_ns = 0;
	writes = 0;
	return 0;
}

/* A look after so many rounds, each of which waited so long for a processor and was for so many writes. */
static bool
look(uint32_t rounds, int64_t wait_ns, uint64_t each)
{
	now_ns += 20 * MS;
	waited_ns += rounds * wait_ns;
	writes += rounds * each;
	p.rounds = rounds;
	return patience_step(&p, now_ns, waited_ns, writes);
}

static void
who_waits_for_writes_is_patient(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		assert_false(look(10, MS / 10, 1)); /* a single client: nothing to wait for */
		assert_false(look(10, 2 * MS, 64)); /* many */
		assert_false(look(4, 5 * MS, 256)); /* very many */
		assert_false(look(100, 300000, 2)); /* short waits are none, whoever it is for */
	}
}

static void
who_waits_for_others_is_prompt(void **state)
{
	(void)state;
	assert_false(look(3, 8 * MS, 8)); /* once is chance */
	assert_false(look(20, MS / 10, 8));
	assert_false(look(3, 8 * MS, 8));
	assert_true(look(3, 8 * MS, 8));
	while (now_ns < 1060 * MS)
		assert_true(look(20, MS / 10, 8));
	assert_false(look(20, MS / 10, 8)); /* it tries */
	assert_true(look(3, 8 * MS, 8));
}

/* One look in 1, 2, 4, 8, 16 s, and then one in 16 s. */
static void
trials_in_vain_become_rare(void **state)
{
	int trials = 0;

	(void)state;
	while (now_ns < 111 * 1000 * MS)
		trials += !look(3, p.is_prompt ? 0 : 8 * MS, 8);
	assert_in_range(trials, 9, 10);
}

static void
after_it_was_right_trials_come_soon(void **state)
{
	int64_t since;

	(void)state;
	assert_false(look(3, 8 * MS, 8));
	for (int i = 0; i < 5; i++) {
		assert_true(look(3, 8 * MS, 8));
		while (look(3, 0, 8))
			;
	}
	for (int i = 0; i < 300; i++)
		assert_false(look(10, 2 * MS, 64));
	assert_false(look(3, 8 * MS, 8)); /* once is chance */
	assert_true(look(3, 8 * MS, 8));
	since = now_ns;
	while (look(3, 0, 8))
		;
	assert_in_range(now_ns - since, 1000 * MS, 1040 * MS);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(who_waits_for_writes_is_patient, setup),
	    cmocka_unit_test_setup(who_waits_for_others_is_prompt, setup),
	    cmocka_unit_test_setup(trials_in_vain_become_rare, setup),
	    cmocka_unit_test_setup(after_it_was_right_trials_come_soon, setup),
	};

	return cmocka_run_group_tests_name("patience", tests, NULL, NULL);
}
