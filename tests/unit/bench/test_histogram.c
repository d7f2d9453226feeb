/* What `stator bench` tells about latencies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bench/histogram.h"

static struct histogram h;
static struct histogram_view v, earlier;

static int
setup(void **state)
{
	(void)state;
	memset(&h, 0, sizeof h);
	memset(&v, 0, sizeof v);
	memset(&earlier, 0, sizeof earlier);
	return 0;
}

static void
a_value_is_known_to_1_6_percent(void **state)
{
	(void)state;
	for (uint64_t ns = 1; ns < UINT64_C(1) << 62; ns += 1 + ns / 7) {
		uint64_t found;

		setup(NULL);
		histogram_record(&h, ns);
		histogram_add(&v, &h);
		found = histogram_at(&v, 0.5);
		assert_int_equal(v.total, 1);
		assert_true((found > ns ? found - ns : ns - found) <= ns / 64 + (ns >= 64));
	}
	histogram_record(&h, UINT64_MAX);
	histogram_record(&h, 0);
}

static void
percentiles_are_of_the_rank(void **state)
{
	(void)state;
	for (uint64_t us = 1; us <= 1000; us++)
		histogram_record(&h, us * 1000);
	histogram_add(&v, &h);
	assert_int_equal(v.total, 1000);
	assert_in_range(histogram_at(&v, 0.5), 500000 * 63 / 64, 500000 * 65 / 64);
	assert_in_range(histogram_at(&v, 0.99), 990000 * 63 / 64, 990000 * 65 / 64);
	assert_in_range(histogram_at(&v, 1.0), 1000000 * 63 / 64, 1000000 * 65 / 64);
	assert_in_range(histogram_at(&v, 0), 1000 * 63 / 64, 1000 * 65 / 64);
}

static void
a_difference_is_what_happened_between(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		histogram_record(&h, 1000);
	histogram_add(&earlier, &h);
	for (int i = 0; i < 10; i++)
		histogram_record(&h, 5000000);
	histogram_add(&v, &h);
	histogram_subtract(&v, &earlier);
	assert_int_equal(v.total, 10);
	assert_int_equal(v.sum_ns, 50000000);
	assert_in_range(histogram_at(&v, 0.01), 4900000, 5100000);
}

static void
an_empty_one_says_nothing(void **state)
{
	(void)state;
	assert_int_equal(histogram_at(&v, 0.5), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(a_value_is_known_to_1_6_percent, setup),
	    cmocka_unit_test_setup(percentiles_are_of_the_rank, setup),
	    cmocka_unit_test_setup(a_difference_is_what_happened_between, setup),
	    cmocka_unit_test_setup(an_empty_one_says_nothing, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
