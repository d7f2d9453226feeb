/* Buckets by themselves, and what a commit does with them. */
#include "fixture.h"

#include "table/table_int.h"

#define SECOND 1000000000LL

static void
what_was_unused_for_300_seconds_can_be_spent_at_once(void **state)
{
	throttle_bucket b = 0;
	int64_t now = 10000 * SECOND;
	int spent = 0;

	(void)state;
	for (; throttle_has(&b, now) && spent < 10000; spent++)
		throttle_take(&b, 2, 10, now);
	assert_int_equal(spent, 3000);
	assert_false(throttle_has(&b, now));
	assert_true(throttle_has(&b, now + SECOND / 100));
}

static void
what_was_taken_too_much_is_paid_back_first(void **state)
{
	throttle_bucket b = 9999 * SECOND;
	int64_t now = 10000 * SECOND;

	(void)state;
	throttle_take(&b, 2 * 40, 2, now); /* 40 units at 2 a second */
	assert_false(throttle_has(&b, now + 19 * SECOND));
	assert_true(throttle_has(&b, now + 19 * SECOND + 1));
	throttle_take(&b, -2 * 40, 2, now);
	assert_true(throttle_has(&b, now));
}

static void
the_largest_request_at_the_smallest_rate_does_not_overflow(void **state)
{
	throttle_bucket b = INT64_MIN / 2;
	int64_t now = 4000000 * SECOND;

	(void)state;
	throttle_take(&b, 2LL * UINT32_MAX, 1, now);
	assert_false(throttle_has(&b, now + 1000000 * SECOND));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_unused_for_300_seconds_can_be_spent_at_once),
	    cmocka_unit_test(what_was_taken_too_much_is_paid_back_first),
	    cmocka_unit_test(the_largest_request_at_the_smallest_rate_does_not_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
