#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/wording.h"

/* "s", "ds", ...: the types of the arguments a format takes, '*' being an int. */
static void
arguments_of(const char *format, char *ret)
{
	for (const char *at = format; *at != '\0'; at++) {
		if (*at != '%')
			continue;
		at++;
		assert_int_not_equal(*at, '%'); /* none is needed so far */
		for (; strchr("sdu", *at) == NULL; at++)
			if (*at == '*')
				*ret++ = 'd';
			else
				assert_non_null(strchr(".0", *at));
		*ret++ = *at;
	}
	*ret = '\0';
}

static void
both_formats_take_the_same_arguments(void **state)
{
	(void)state;
	for (int i = 0; i < WORDING_COUNT; i++) {
		const struct wording_row *row = &wording_rows[i];
		char classic[16], newer[16];

		assert_int_not_equal(row->part & WORDING_2026, 0);
		arguments_of(row->text[0], classic);
		arguments_of(row->text[1], newer);
		if (strncmp(classic, newer, strlen(newer)) != 0)
			fail_msg("'%s' takes %s, '%s' takes %s", row->text[0], classic, row->text[1], newer);
	}
}

static void
a_thread_begins_classic_and_each_part_moves_alone(void **state)
{
	(void)state;
	assert_string_equal(wording(W_CONDITIONAL_OPERATOR), "[OR, AND]");
	wording_begin(WORDING_VALUES);
	assert_string_equal(wording(W_CONDITIONAL_OPERATOR), "[OR, AND]");
	assert_string_equal(wording(W_SET_QUOTE), "\"");
	wording_begin(WORDING_MEMBERS);
	assert_string_equal(wording(W_CONDITIONAL_OPERATOR), "[ALL, OR]");
	assert_string_equal(wording(W_SET_QUOTE), "");
	wording_begin(0);
}

static void
the_envelope_is_for_what_has_none(void **state)
{
	(void)state;
	assert_false(wording_enveloped("Invalid UpdateExpression: The expression can not be empty;"));
	wording_begin(WORDING_2026);
	assert_true(wording_enveloped("Invalid UpdateExpression: The expression can not be empty;"));
	assert_false(wording_enveloped("1 validation error detected: Value null at 'key'"));
	assert_false(wording_enveloped("Supplied AttributeValue is empty, must contain exactly one of the supported"));
	assert_false(wording_enveloped("Item size has exceeded the maximum allowed size"));
	wording_begin(0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(both_formats_take_the_same_arguments),
	    cmocka_unit_test(a_thread_begins_classic_and_each_part_moves_alone),
	    cmocka_unit_test(the_envelope_is_for_what_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
