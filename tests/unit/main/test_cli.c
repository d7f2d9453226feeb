/* Command lines, as options are written in front/config. */
#include "main/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* The argument lies at the very end of its memory, so that a sanitizer sees a byte read behind it. */
static void
an_argument_too_short_for_an_option_is_told_as_it_is(void **state)
{
	static const char *const texts[] = {"", "x", "-", "--"};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		char *argument = strdup(texts[i]), expected[100];
		struct config config;
		struct err err;

		assert_non_null(argument);
		snprintf(expected, sizeof expected, "unexpected argument \"%s\"; options begin with --", texts[i]);
		assert_int_equal(config_read(&config, 1, &argument, &err), CLI_WRONG);
		assert_string_equal(err.message, expected);
		config_done(&config);
		free(argument);
	}
}

static void
what_was_allocated_for_lists_is_freed_after_a_failure_too(void **state)
{
	char *arguments[] = {"--region", "a,b", "--region=c", "--region", "a"};
	struct config config;
	struct err err;

	(void)state;
	assert_int_equal(config_read(&config, 5, arguments, &err), CLI_WRONG);
	assert_string_equal(err.message, "--region: a is given twice");
	config_done(&config);
	assert_int_equal(config.regions.count, 0);
}

static void
ranges_of_ports_are_read_whole_or_refused(void **state)
{
	static const struct {
		const char *text;
		int first, last;
	} good[] = {{"0", 0, 0}, {"8121", 8121, 8121}, {"8121-8170", 8121, 8170}, {"1-65535", 1, 65535}};
	static const char *const bad[] = {"",    "-1", "x",     "5-4", "1-65536",
					  "0-5", "1-", "1-2-3", "1 ",  "99999999999999999999"};
	int first, last;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_int_equal(config_ports(good[i].text, &first, &last), S_OK);
		assert_int_equal(first, good[i].first);
		assert_int_equal(last, good[i].last);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (config_ports(bad[i], &first, &last) != S_VALIDATION)
			fail_msg("%s was taken", bad[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_argument_too_short_for_an_option_is_told_as_it_is),
	    cmocka_unit_test(what_was_allocated_for_lists_is_freed_after_a_failure_too),
	    cmocka_unit_test(ranges_of_ports_are_read_whole_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
