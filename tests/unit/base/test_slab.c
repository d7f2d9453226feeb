#include "base/slab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES  (1 << 20)
#define THINGS 4000

/* What is in a slot: which thing it is of, and its bytes to the end are its number's low byte. */
struct thing {
	char *at;
	unsigned class;
};
static struct thing things[THINGS];

static void
put(struct slab *s, unsigned i, unsigned class)
{
	char *at = slab_alloc(s, class);

	things[i] = (struct thing){at, class};
	if (at == NULL)
		return;
	assert_int_equal((uintptr_t)at % 16, 0);
	memset(at, (int)(i & 0xff), slab_class_bytes(class));
	memcpy(at, &i, sizeof i);
}

static void
check(const struct slab *s, unsigned i)
{
	const struct thing *t = &things[i];
	unsigned found;

	if (t->at == NULL)
		return;
	assert_int_equal(slab_slot_bytes(s, t->at), slab_class_bytes(t->class));
	memcpy(&found, t->at, sizeof found);
	assert_int_equal(found, i);
	for (size_t b = sizeof found; b < slab_class_bytes(t->class); b++)
		if ((t->at[b] & 0xff) != (int)(i & 0xff))
			fail_msg("byte %zu of thing %u is another's", b, i);
}

static void
take(struct slab *s, unsigned i)
{
	if (things[i].at != NULL)
		slab_free(s, things[i].at);
	things[i].at = NULL;
}

static unsigned pinned = THINGS;

static bool
move(void *context, void *from, void *to, size_t bytes)
{
	unsigned i;

	(void)context;
	memcpy(&i, from, sizeof i);
	assert_in_range(i, 0, THINGS - 1);
	assert_ptr_equal(things[i].at, from);
	if (i == pinned)
		return false;
	memcpy(to, from, bytes);
	things[i].at = to;
	return true;
}

static void
a_slot_wastes_at_most_an_eighth_or_the_thing_is_cut(void **state)
{
	(void)state;
	for (size_t bytes = 1; bytes < 3 * SLAB_PAGE; bytes++) {
		size_t left = bytes, taken = 0;
		int cuts = 0;

		for (;;) {
			size_t slot = slab_class_bytes(slab_class_for(left));

			taken += slot;
			if (slot >= left)
				break;
			left -= slot;
			cuts++;
		}
		assert_true(cuts <= 4);
		if (bytes >= 256 && taken > bytes + bytes / 5)
			fail_msg("%zu bytes take %zu", bytes, taken);
	}
}

static void
what_it_takes_is_never_more_than_it_was_given(void **state)
{
	struct slab s;
	unsigned count = 0;

	(void)state;
	slab_init(&s, BYTES);
	while (slab_alloc(&s, count % SLAB_CLASSES) != NULL)
		count++;
	assert_in_range(slab_bytes(&s), BYTES - SLAB_CLASSES * SLAB_PAGE, BYTES);
	slab_done(&s);
}

static void
things_of_all_sizes_come_and_go_and_keep_their_bytes(void **state)
{
	unsigned seed = 1;
	struct slab s;
	int full = 0;

	(void)state;
	memset(things, 0, sizeof things);
	slab_init(&s, BYTES);
	for (int round = 0; round < 40000; round++) {
		unsigned i = (unsigned)rand_r(&seed) % THINGS;

		check(&s, i);
		take(&s, i);
		if (rand_r(&seed) % 3 == 0)
			continue;
		/* the sizes change all the time */
		put(&s, i, ((unsigned)round / 4000 * 5 + (unsigned)rand_r(&seed) % 6) % SLAB_CLASSES);
		if (things[i].at == NULL) {
			full++;
			slab_compact(&s, move, NULL);
		}
	}
	assert_true(full > 100);
	for (unsigned i = 0; i < THINGS; i++) {
		check(&s, i);
		take(&s, i);
	}
	assert_int_equal(s.page_used, 0);
	slab_trim(&s);
	slab_done(&s);
}

static void
half_empty_pages_become_free_ones(void **state)
{
	unsigned small = slab_class_for(1000), large = slab_class_for(SLAB_PAGE), i = 0;
	struct slab s;

	(void)state;
	memset(things, 0, sizeof things);
	slab_init(&s, BYTES);
	do
		put(&s, i, small);
	while (things[i++].at != NULL);
	assert_null(slab_alloc(&s, large));
	for (unsigned j = 0; j < i; j += 2)
		take(&s, j);
	for (int page = 0; page < 20; page++) {
		assert_null(slab_alloc(&s, large));
		assert_true(slab_compact(&s, move, NULL));
		assert_non_null(slab_alloc(&s, large));
	}
	for (unsigned j = 1; j < i; j += 2)
		check(&s, j);
	slab_done(&s);
}

static void
what_cannot_be_moved_stays(void **state)
{
	unsigned class = slab_class_for(SLAB_PAGE / 2), i = 0;
	struct slab s;

	(void)state;
	memset(things, 0, sizeof things);
	slab_init(&s, 4 * SLAB_PAGE + 200);
	do
		put(&s, i, class);
	while (things[i++].at != NULL);
	assert_int_equal(i, 9);
	take(&s, 0);
	take(&s, 2);
	take(&s, 4);
	take(&s, 6);
	pinned = 7;
	while (slab_compact(&s, move, NULL))
		continue;
	pinned = THINGS;
	check(&s, 7);
	check(&s, 1);
	check(&s, 3);
	check(&s, 5);
	slab_done(&s);
}

static void
a_lower_limit_gives_no_new_pages(void **state)
{
	unsigned class = slab_class_for(SLAB_PAGE);
	struct slab s;
	void *first;

	(void)state;
	slab_init(&s, BYTES);
	first = slab_alloc(&s, class);
	assert_non_null(slab_alloc(&s, class));
	slab_limit(&s, SLAB_PAGE + 100);
	assert_true(slab_over_limit(&s));
	assert_null(slab_alloc(&s, class));
	slab_free(&s, first);
	assert_false(slab_over_limit(&s));
	assert_null(slab_alloc(&s, class));
	slab_done(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_slot_wastes_at_most_an_eighth_or_the_thing_is_cut),
	    cmocka_unit_test(what_it_takes_is_never_more_than_it_was_given),
	    cmocka_unit_test(things_of_all_sizes_come_and_go_and_keep_their_bytes),
	    cmocka_unit_test(half_empty_pages_become_free_ones),
	    cmocka_unit_test(what_cannot_be_moved_stays),
	    cmocka_unit_test(a_lower_limit_gives_no_new_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
