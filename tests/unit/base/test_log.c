#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/* What was written to standard error while it was led into a file. */
static char captured[1 << 20];
static int saved_stderr = -1, file = -1;

static void
capture_start(void)
{
	char path[] = "/tmp/stator-test-log-XXXXXX";

	file = mkstemp(path);
	assert_true(file >= 0);
	unlink(path);
	saved_stderr = dup(STDERR_FILENO);
	dup2(file, STDERR_FILENO);
}

/* What there is so far. */
static const char *
capture_look(void)
{
	ssize_t length = pread(file, captured, sizeof captured - 1, 0);

	captured[length >= 0 ? length : 0] = '\0';
	return captured;
}

static const char *
capture_end(void)
{
	capture_look();
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	close(file);
	return captured;
}

static int
lines_of(const char *text)
{
	int lines = 0;

	for (; *text != '\0'; text++)
		lines += *text == '\n';
	return lines;
}

static void
a_line_of_text_has_time_level_and_room(void **state)
{
	const char *line;
	char level[8], rest[64];
	int year, month, day, hour, minute, second, ms;

	(void)state;
	log_setup(LOG_INFO, LOG_TEXT);
	capture_start();
	log_debug("test", "not this");
	log_info("test", "number %d", 5);
	line = capture_end();
	assert_int_equal(sscanf(line, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ %7s %63[^\n]", &year, &month, &day, &hour, &minute,
				&second, &ms, level, rest),
			 9);
	assert_string_equal(level, "INFO");
	assert_string_equal(rest, "test: number 5");
	assert_int_equal(lines_of(line), 1);
	assert_int_equal(line[23], 'Z');
}

static void
a_message_cannot_make_lines_of_its_own(void **state)
{
	(void)state;
	log_setup(LOG_INFO, LOG_TEXT);
	capture_start();
	log_warn("test", "%s", "a\nb\r\x1b[31m\x7f \xC3\xA9 \xff\xE2\x82 \"\\");
	assert_non_null(strstr(capture_end(), " WARN test: a\\nb\\x0d\\x1b[31m\\x7f \xC3\xA9 \\xff\\xe2\\x82 \"\\\n"));
	assert_int_equal(lines_of(captured), 1);
}

static void
json_lines_are_json(void **state)
{
	(void)state;
	log_setup(LOG_INFO, LOG_JSON);
	capture_start();
	log_error("test", "%s", "a\n\"\\\x01 \xC3\xA9 \xff");
	capture_end();
	assert_memory_equal(captured, "{\"time\":\"2", 10);
	assert_non_null(strstr(
	    captured,
	    "Z\",\"level\":\"ERROR\",\"room\":\"test\",\"message\":\"a\\n\\\"\\\\\\u0001 \xC3\xA9 \\ufffd\"}\n"));
}

static void
a_long_message_is_cut_and_still_json(void **state)
{
	static char text[20000];
	size_t length;

	(void)state;
	memset(text, '"', sizeof text - 1);
	log_setup(LOG_INFO, LOG_JSON);
	capture_start();
	log_info("test", "%s", text);
	capture_end();
	length = strlen(captured);
	assert_true(length <= 4096);
	assert_memory_equal(captured + length - 5, "\\\"\"}\n", 5);
}

static void
a_place_that_repeats_is_counted(void **state)
{
	const struct timespec step = {0, 10000000}, second = {1, 100000000};
	int64_t began;
	bool slow;

	(void)state;
	log_setup(LOG_INFO, LOG_TEXT);
	do { /* until all are in one second */
		capture_start();
		began = clock_mono_ns();
		for (int i = 0; i < 1000; i++)
			log_warn("test", "again %d", i);
		slow = clock_mono_ns() - began > 900000000;
		log_warn("test", "another place speaks");
		for (int i = 0; i < 6000 && strstr(capture_look(), " more like: ") == NULL; i++)
			nanosleep(&step, NULL);
		capture_end();
		if (slow) {
			nanosleep(&second, NULL);
			nanosleep(&second, NULL); /* the thread that tells of held lines has ended, too */
		}
	} while (slow);
	assert_non_null(strstr(captured, "again 9\n"));
	assert_null(strstr(captured, "again 10\n"));
	assert_non_null(strstr(captured, "another place speaks\n"));
	assert_non_null(strstr(captured, "test: 990 more like: again 9\n"));
	assert_int_equal(lines_of(captured), 12);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_line_of_text_has_time_level_and_room),
	    cmocka_unit_test(a_message_cannot_make_lines_of_its_own),
	    cmocka_unit_test(json_lines_are_json),
	    cmocka_unit_test(a_long_message_is_cut_and_still_json),
	    cmocka_unit_test(a_place_that_repeats_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
