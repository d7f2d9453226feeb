/* Command lines, as options are written in front/config. */
#include "io/listen.h"
#include "main/config.h"
#include "main/dax_cmd.h"

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

static void
nodes_of_a_cluster_have_ports_that_are_ports(void **state)
{
	static const char *const ports[] = {"", "0", "65536", "99999999999999999999", "8111x", "+8111", " 8111", "-1"};
	int port;

	(void)state;
	assert_true(listen_port("1", &port) && port == 1);
	assert_true(listen_port("65535", &port) && port == 65535);
	assert_int_equal(setenv("AWS_ACCESS_KEY_ID", "k", 1), 0);
	assert_int_equal(setenv("AWS_SECRET_ACCESS_KEY", "s", 1), 0);
	for (size_t i = 0; i < sizeof ports / sizeof *ports; i++) {
		char upstream[] = "--upstream=http://127.0.0.1:1", listen[] = "--listen=127.0.0.1:8111", nodes[80];
		char *arguments[] = {upstream, listen, nodes};

		assert_false(listen_port(ports[i], &port));
		snprintf(nodes, sizeof nodes, "--nodes=127.0.0.1:8111,127.0.0.1:%s", ports[i]);
		assert_int_equal(dax_cmd(3, arguments), 2);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_argument_too_short_for_an_option_is_told_as_it_is),
	    cmocka_unit_test(what_was_allocated_for_lists_is_freed_after_a_failure_too),
	    cmocka_unit_test(ranges_of_ports_are_read_whole_or_refused),
	    cmocka_unit_test(nodes_of_a_cluster_have_ports_that_are_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
