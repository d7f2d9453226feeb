#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/courtesy.h"

#define MS 1000000LL

/* The next look: of `wall` ns it waited so long, and others ran so long. */
static void
look(struct courtesy *c, int64_t wall, int64_t waited, int64_t others)
{
	struct courtesy_times now = c->looked;

	now.at += wall;
	now.waited += waited;
	now.ran += wall - waited;
	now.others_ran += others;
	courtesy_look(c, &now);
}

/* How much of a time that it never sleeps in is given, by turns of 50 us; all naps are used by others when `used`. */
static int64_t
given(struct courtesy *c, int64_t ns, bool used)
{
	int64_t sum = 0, from = c->looked.at, last = from;

	c->schedstat_fd = -1; /* the looks here are the test's */
	c->since_ns = from;
	for (int64_t now = from; now < from + ns; now += 50000) {
		int64_t nap = courtesy_due(c, now);

		sum += nap;
		now += nap;
		c->napped_ns += nap;
		c->since_ns = now;
		if (now - last >= COURTESY_LOOK_NS) {
			look(c, now - last, 0, used ? c->napped_ns : 0);
			last = now;
		}
	}
	return sum;
}

static void
nothing_is_given_where_nothing_was_taken(void **state)
{
	struct courtesy c = {.schedstat_fd = -1};

	(void)state;
	look(&c, 4 * MS, 0, 0);
	look(&c, 4 * MS, 0, 4 * MS); /* others run, on another processor */
	look(&c, 4 * MS, 4 * MS, 0); /* another program took it: that is not given to */
	assert_int_equal(c.share, 0);
	assert_int_equal(given(&c, 100 * MS, false), 0);
}

static void
what_was_taken_in_one_piece_is_given_in_small_ones_at_once(void **state)
{
	struct courtesy c = {.schedstat_fd = -1};

	(void)state;
	look(&c, 4 * MS, 3 * MS, 3 * MS);
	assert_in_range(given(&c, 12 * MS, true), 3 * MS, 4 * MS); /* a third, and never more */
}

static void
naps_that_others_use_stay_and_the_rest_ends_soon(void **state)
{
	struct courtesy used = {.schedstat_fd = -1}, unused = {.schedstat_fd = -1};

	(void)state;
	look(&used, 4 * MS, 3 * MS, 3 * MS);
	look(&unused, 4 * MS, 3 * MS, 3 * MS);
	assert_true(given(&used, 400 * MS, true) > 80 * MS);
	assert_true(given(&unused, 400 * MS, false) < 20 * MS);
	assert_int_equal(given(&unused, 400 * MS, false), 0);
}

static void
who_idles_owes_nothing(void **state)
{
	struct courtesy c = {.schedstat_fd = -1};

	(void)state;
	look(&c, 4 * MS, 3 * MS, 3 * MS);
	for (int64_t now = c.since_ns = c.looked.at; now < 400 * MS; now += 300000) { /* 100 us of each 300 */
		assert_int_equal(courtesy_due(&c, now), 0);
		courtesy_idled(&c, now + 100000, now + 300000);
	}
}

static void
it_looks_and_naps(void **state)
{
	struct courtesy c;
	struct courtesy_times before;

	(void)state;
	courtesy_init(&c);
	if (c.schedstat_fd < 0)
		skip(); /* a kernel without these figures */
	before = c.looked;
	assert_true(before.ran >= 0);
	courtesy_nap(&c, COURTESY_NAP_NS);
	assert_true(c.napped_ns >= COURTESY_NAP_NS);
	(void)courtesy_due(&c, before.at + COURTESY_LOOK_NS);
	assert_int_equal(c.looked.at, before.at + COURTESY_LOOK_NS);
	assert_true(c.looked.ran >= before.ran);
	courtesy_done(&c);
	assert_int_equal(c.schedstat_fd, -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_is_given_where_nothing_was_taken),
	    cmocka_unit_test(what_was_taken_in_one_piece_is_given_in_small_ones_at_once),
	    cmocka_unit_test(naps_that_others_use_stay_and_the_rest_ends_soon),
	    cmocka_unit_test(who_idles_owes_nothing),
	    cmocka_unit_test(it_looks_and_naps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
