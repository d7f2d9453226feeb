/* Policy documents of tests: written with ' for ", read or refused. Values live until the teardown. */
#ifndef STATOR_TESTS_UNIT_API_POLICY_FIXTURE_H
#define STATOR_TESTS_UNIT_API_POLICY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "api/policy_int.h"

#define ARN  "arn:aws:dynamodb:us-east-1:123456789012:"
#define ROOT "arn:aws:iam::123456789012:root"

static struct arena arena;

/* ' for ", to stay readable */
static struct slice
quoted(const char *text)
{
	struct slice s = arena_dup(&arena, slice_str(text));

	for (size_t i = 0; i < s.len; i++)
		if (s.data[i] == '\'')
			((char *)s.data)[i] = '"';
	return s;
}

static struct policy *
read_as(enum policy_kind kind, const char *text)
{
	struct policy *p;
	struct err err;

	if (policy_read(quoted(text), kind, &p, &err) != S_OK)
		fail_msg("%s: %s", text, err.message);
	return p;
}

static int
teardown(void **state)
{
	(void)state;
	arena_done(&arena);
	return 0;
}

#endif
