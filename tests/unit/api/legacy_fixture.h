/* What the tests of parameters from before expressions share. */
#ifndef STATOR_TESTS_UNIT_API_LEGACY_FIXTURE_H
#define STATOR_TESTS_UNIT_API_LEGACY_FIXTURE_H

#include "api_fixture.h"

#define INVALID "One or more parameter values were invalid: "

static int
up(void **state)
{
	if (fixture_up(state) != 0)
		return -1;
	create_tables();
	return 0;
}

/* Of a body made in a loop: its text, valid until buf_done(). */
static const char *
text_of(struct buf *b)
{
	buf_put_byte(b, '\0');
	return b->data;
}

#endif
