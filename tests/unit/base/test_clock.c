#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

#define SECOND_US 1000000LL
#define SLACK_US  (5 * SECOND_US) /* a machine may be busy */

static int
reset(void **state)
{
	(void)state;
	clock_reset();
	return 0;
}

static void
assert_about(int64_t got_us, int64_t wanted_us)
{
	if (got_us < wanted_us || got_us > wanted_us + SLACK_US)
		fail_msg("%lld is not about %lld", (long long)got_us, (long long)wanted_us);
}

static void
a_stopped_clock_stands_and_goes_on_from_there(void **state)
{
	int64_t at, passed;

	(void)state;
	clock_freeze(true);
	at = clock_wall_us();
	passed = clock_passed_ns();
	assert_true(clock_is_frozen());
	usleep(2000);
	assert_int_equal(clock_wall_us(), at);
	assert_int_equal(clock_passed_ns(), passed);
	clock_freeze(true); /* twice is once */
	clock_shift_us(-3 * SECOND_US);
	assert_int_equal(clock_wall_us(), at - 3 * SECOND_US);
	clock_set_us(1234567890 * SECOND_US);
	assert_int_equal(clock_wall_us(), 1234567890 * SECOND_US);
	assert_int_equal(clock_wall_ms(), 1234567890000);
	assert_int_equal(clock_wall_s(), 1234567890);
	clock_freeze(false);
	assert_about(clock_wall_us(), 1234567890 * SECOND_US);
	usleep(2000);
	assert_true(clock_wall_us() >= 1234567890 * SECOND_US + 2000);
	clock_freeze(false);
	assert_about(clock_wall_us(), 1234567890 * SECOND_US);
	clock_reset();
	assert_about(clock_wall_us(), clock_real_us() - 1000);
}

static void
what_has_passed_never_comes_back(void **state)
{
	int64_t before;

	(void)state;
	before = clock_passed_ns();
	clock_shift_us(10 * SECOND_US);
	assert_true(clock_passed_ns() >= before + 10 * SECOND_US * 1000);
	before = clock_passed_ns();
	clock_shift_us(-10 * SECOND_US);
	assert_true(clock_passed_ns() >= before);
	clock_freeze(true);
	before = clock_passed_ns();
	clock_shift_us(7 * SECOND_US);
	assert_int_equal(clock_passed_ns(), before + 7 * SECOND_US * 1000);
	clock_shift_us(-9 * SECOND_US);
	assert_int_equal(clock_passed_ns(), before + 7 * SECOND_US * 1000);
	clock_reset();
	assert_true(clock_passed_ns() >= before + 7 * SECOND_US * 1000);
}

static void
it_stays_within_its_bounds(void **state)
{
	int64_t passed;

	(void)state;
	clock_freeze(true);
	clock_set_us(-1);
	assert_int_equal(clock_wall_us(), 0);
	clock_shift_us(INT64_MIN);
	assert_int_equal(clock_wall_us(), 0);
	clock_shift_us(INT64_MAX);
	assert_int_equal(clock_wall_us(), CLOCK_MAX_US);
	clock_set_us(INT64_MAX);
	assert_int_equal(clock_wall_us(), CLOCK_MAX_US);
	clock_set_us(0);
	passed = clock_passed_ns();
	for (int i = 0; i < 1000; i++) { /* again and again through all of time */
		clock_set_us(CLOCK_MAX_US);
		clock_set_us(0);
		clock_shift_us(365LL * 86400 * SECOND_US);
		assert_true(clock_passed_ns() >= passed);
		passed = clock_passed_ns();
	}
}

static void
timeouts_and_signatures_are_not_moved(void **state)
{
	int64_t mono = clock_mono_ns(), real = clock_real_us();

	(void)state;
	clock_set_us(0);
	clock_freeze(true);
	assert_about(clock_real_us(), real);
	assert_true(clock_mono_ns() >= mono && clock_mono_ns() < mono + SLACK_US * 1000);
	assert_int_equal(clock_real_s(), clock_real_ms() / 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(a_stopped_clock_stands_and_goes_on_from_there, reset),
	    cmocka_unit_test_teardown(what_has_passed_never_comes_back, reset),
	    cmocka_unit_test_teardown(it_stays_within_its_bounds, reset),
	    cmocka_unit_test_teardown(timeouts_and_signatures_are_not_moved, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
