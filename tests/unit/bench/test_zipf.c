#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bench/zipf.h"

#define PICKS 1000000

/* All of the distribution, evenly: no luck is in it. */
static uint64_t
random_at(int i)
{
	return (uint64_t)i * (UINT64_MAX / PICKS);
}

static void
each_number_comes_up_as_often_as_the_law_says(void **state)
{
	static const uint64_t looked_at[] = {0, 1, 9, 99, 999};
	static uint32_t counts[1000];
	struct zipf z;

	(void)state;
	zipf_init(&z, 1000);
	for (int i = 0; i < PICKS; i++)
		counts[zipf_pick(&z, random_at(i))]++;
	for (int i = 0; i < 5; i++) {
		uint64_t number = looked_at[i];
		double expected = PICKS / (pow((double)number + 1, 0.99) * z.sum);

		/* from the third number on the inverse is a power law fitted to both ends */
		assert_in_range(counts[number], (uint64_t)(0.6 * expected), (uint64_t)(1.4 * expected));
	}
}

static void
no_number_is_out_of_range(void **state)
{
	(void)state;
	for (uint64_t count = 1; count < 6; count++) {
		bool seen[6] = {false};
		struct zipf z;

		zipf_init(&z, count);
		for (int i = 0; i < PICKS; i++) {
			uint64_t number = zipf_pick(&z, random_at(i));

			assert_in_range(number, 0, count - 1);
			seen[number] = true;
		}
		assert_in_range(zipf_pick(&z, UINT64_MAX), 0, count - 1);
		for (uint64_t i = 0; i < count; i++)
			assert_true(seen[i]);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_number_comes_up_as_often_as_the_law_says),
	    cmocka_unit_test(no_number_is_out_of_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
