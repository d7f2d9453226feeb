#include "base/lru.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const _Atomic uint64_t guard = 7;

static void
put(struct lru *l, const char *key, struct slice value)
{
	struct slice k = slice_str(key);

	lru_put(l, k, lru_hash(k), 1, value, &guard, 7);
}

/* The value, "(none)" when there is none. */
static struct slice
get(struct lru *l, const char *key, uint64_t stamp, struct arena *a)
{
	struct slice k = slice_str(key), value;

	return lru_get(l, k, lru_hash(k), stamp, a, &value) ? value : SLICE("(none)");
}

#define ASSERT_IS(got, literal) assert_true(slice_eq((got), SLICE(literal)))

static void
what_was_put_is_found_under_its_stamp_only(void **state)
{
	struct lru *l = lru_new(1 << 20);
	struct arena a = {0};

	(void)state;
	put(l, "a", SLICE("one"));
	put(l, "b", SLICE_NONE);
	ASSERT_IS(get(l, "a", 1, &a), "one");
	ASSERT_IS(get(l, "b", 1, &a), "");
	ASSERT_IS(get(l, "c", 1, &a), "(none)");
	ASSERT_IS(get(l, "a", 2, &a), "(none)");
	ASSERT_IS(get(l, "a", 1, &a), "(none)"); /* its world has ended: it was dropped */
	arena_done(&a);
	lru_free(l);
}

static void
a_moved_guard_keeps_an_old_value_out(void **state)
{
	struct lru *l = lru_new(1 << 20);
	struct arena a = {0};
	struct slice k = SLICE("a");

	(void)state;
	lru_put(l, k, lru_hash(k), 1, SLICE("old"), &guard, 6);
	ASSERT_IS(get(l, "a", 1, &a), "(none)");
	arena_done(&a);
	lru_free(l);
}

static void
a_hidden_entry_is_found_again_after_its_update(void **state)
{
	static const char *const values[] = {"two", "longer than before", ""};
	struct lru *l = lru_new(1 << 20);
	struct arena a = {0};
	struct slice k = SLICE("a");

	(void)state;
	put(l, "a", SLICE("one"));
	for (int i = 0; i < 3; i++) {
		lru_hide(l, k, lru_hash(k));
		ASSERT_IS(get(l, "a", 1, &a), "(none)");
		lru_update(l, k, lru_hash(k), 1, slice_str(values[i]));
		assert_true(slice_eq(get(l, "a", 1, &a), slice_str(values[i])));
	}
	k = SLICE("never put");
	lru_update(l, k, lru_hash(k), 1, SLICE("x"));
	ASSERT_IS(get(l, "never put", 1, &a), "(none)");
	lru_remove(l, SLICE("a"), lru_hash(SLICE("a")));
	ASSERT_IS(get(l, "a", 1, &a), "(none)");
	arena_done(&a);
	lru_free(l);
}

static void
memory_stays_in_its_budget_and_the_recently_used_stay(void **state)
{
	enum { BUDGET = 4 << 20, KEYS = 20000 };
	struct lru *l = lru_new(BUDGET);
	struct arena a = {0};
	char value[1000] = {0}, key[32];
	int kept = 0;

	(void)state;
	put(l, "favourite", SLICE("kept"));
	for (int i = 0; i < KEYS; i++) {
		snprintf(key, sizeof key, "key-%d", i);
		put(l, key, slice_of(value, sizeof value));
		ASSERT_IS(get(l, "favourite", 1, &a), "kept");
		assert_true(lru_figures(l).bytes <= BUDGET);
		arena_reset(&a);
	}
	for (int i = 0; i < KEYS; i++) {
		snprintf(key, sizeof key, "key-%d", i);
		kept += !slice_eq(get(l, key, 1, &a), SLICE("(none)"));
		arena_reset(&a);
	}
	assert_in_range(kept, BUDGET / 1250, BUDGET / 1000);
	assert_int_equal(lru_figures(l).entries, kept + 1);
	arena_done(&a);
	lru_free(l);
}

static void
what_is_asked_for_again_outlives_what_is_asked_for_once(void **state)
{
	enum { BUDGET = 4 << 20, IN_USE = 1500 };
	struct lru *l = lru_new(BUDGET);
	struct arena a = {0};
	char value[1000] = {0}, key[32];

	(void)state;
	for (int i = 0; i < IN_USE; i++) {
		snprintf(key, sizeof key, "in-use-%d", i);
		put(l, key, slice_of(value, sizeof value));
		assert_int_equal(get(l, key, 1, &a).len, sizeof value);
		arena_reset(&a);
	}
	for (int i = 0; i < 100000; i++) {
		snprintf(key, sizeof key, "once-%d", i);
		put(l, key, slice_of(value, sizeof value));
	}
	for (int i = 0; i < IN_USE; i++) {
		snprintf(key, sizeof key, "in-use-%d", i);
		assert_int_equal(get(l, key, 1, &a).len, sizeof value);
		arena_reset(&a);
	}
	arena_done(&a);
	lru_free(l);
}

static void
a_full_shard_takes_one_in_four(void **state)
{
	enum { BUDGET = 1 << 20, KEYS = 40000 };
	struct lru *l = lru_new(BUDGET);
	char value[1000] = {0}, key[32];

	(void)state;
	for (int i = 0; i < KEYS; i++) {
		snprintf(key, sizeof key, "key-%d", i);
		put(l, key, slice_of(value, sizeof value));
	}
	assert_in_range(lru_figures(l).evictions, KEYS / 5, KEYS / 3);
	lru_free(l);
}

static void
large_values_are_not_kept(void **state)
{
	static char large[LRU_VALUE_MAX + 1];
	struct lru *l = lru_new(4 << 20);
	struct arena a = {0};
	struct slice k = SLICE("a");

	(void)state;
	put(l, "a", slice_of(large, sizeof large - 1));
	assert_int_equal(get(l, "a", 1, &a).len, sizeof large - 1);
	lru_update(l, k, lru_hash(k), 1, slice_of(large, sizeof large));
	ASSERT_IS(get(l, "a", 1, &a), "(none)"); /* nor is the older, smaller one */
	put(l, "a", slice_of(large, sizeof large));
	ASSERT_IS(get(l, "a", 1, &a), "(none)");
	arena_done(&a);
	lru_free(l);
}

/* Values of all sizes, in a cache that is always full: what is found is what was put last. */
static void
whatever_comes_and_goes_what_is_found_is_right(void **state)
{
	enum { KEYS = 3000, ROUNDS = 60000 };
	static uint32_t lengths[KEYS];
	static char value[6000];
	struct lru *l = lru_new(2 << 20);
	struct arena a = {0};
	uint64_t random = 1, found = 0;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		uint32_t n, number;
		char name[32];
		struct slice k, got;

		random = random * 6364136223846793005U + 1442695040888963407U;
		number = (uint32_t)(random >> 33) % KEYS;
		number = number * number / KEYS; /* the first ones more often */
		n = (uint32_t)(random >> 20) % sizeof value;
		k = slice_of(name, (size_t)snprintf(name, sizeof name, "key-%u", number));
		memset(value, (int)(number & 127), sizeof value);
		switch (random >> 60) {
		case 0:
			lru_remove(l, k, lru_hash(k));
			break;
		case 1:
		case 2:
			lru_hide(l, k, lru_hash(k));
			assert_false(lru_get(l, k, lru_hash(k), 1, &a, &got));
			lru_update(l, k, lru_hash(k), 1, slice_of(value, n));
			lengths[number] = n;
			break;
		default:
			if (lru_get(l, k, lru_hash(k), 1, &a, &got)) {
				found++;
				assert_int_equal(got.len, lengths[number]);
				assert_memory_equal(got.data, value, got.len);
			} else {
				lengths[number] = n;
				lru_put(l, k, lru_hash(k), 1, slice_of(value, n), &guard, 7);
			}
		}
		arena_reset(&a);
		assert_true(lru_figures(l).bytes <= 2 << 20);
	}
	assert_true(found > ROUNDS / 20);
	arena_done(&a);
	lru_free(l);
}

/* The value in `parts` of it; "(none)" when there is none. */
static struct slice
held(struct lru *l, const char *key, uint64_t stamp, const _Atomic uint64_t *of, size_t len, size_t parts,
     struct arena *a)
{
	struct slice k = slice_str(key);
	struct lru_shard *s;
	struct lru_entry *e = lru_hold(l, k, lru_hash(k), stamp, of, &s);
	char *copy;

	if (e == NULL)
		return SLICE("(none)");
	assert_int_equal(e->value_len, len);
	copy = arena_alloc(a, len + 1);
	for (size_t i = 0; i < parts; i++) {
		size_t from = len * i / parts, to = len * (i + 1) / parts;

		lru_read_part(s, e, from, to - from, copy + from);
	}
	lru_let_go(s, e);
	return slice_of(copy, len);
}

static void
a_value_counts_while_its_guard_is_as_it_was(void **state)
{
	static const size_t lengths[] = {0, 1, 1000, 16384, 70001, 200000};
	struct lru *l = lru_new(1 << 20);
	struct arena a = {0};

	(void)state;
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		_Atomic uint64_t changing = 5;
		size_t len = lengths[i];
		char *bytes = arena_alloc(&a, len + 1);
		struct slice k = SLICE("a"), value = slice_of(bytes, len);
		const struct slice parts[] = {slice_of(bytes, len / 3), slice_of(bytes + len / 3, len - len / 3)};

		for (size_t at = 0; at < len; at++)
			bytes[at] = (char)(at * 31 + at / 251);
		lru_keep(l, k, lru_hash(k), 1, parts, 2, &changing, 4); /* it has changed already */
		ASSERT_IS(held(l, "a", 1, &changing, len, 1, &a), "(none)");
		lru_keep(l, k, lru_hash(k), 1, parts, 2, &changing, 5);
		lru_keep(l, k, lru_hash(k), 1, parts, 2, &changing, 5); /* it is there */
		assert_int_equal(lru_figures(l).entries, 1);
		for (size_t n = 1; n < 12; n++)
			assert_true(slice_eq(held(l, "a", 1, &changing, len, n, &a), value));
		changing = 6;
		ASSERT_IS(held(l, "a", 1, &changing, len, 1, &a), "(none)");
		changing = 5;
		ASSERT_IS(held(l, "a", 1, &changing, len, 1, &a), "(none)"); /* it was dropped */
		lru_keep(l, k, lru_hash(k), 1, parts, 2, &changing, 5);
		ASSERT_IS(held(l, "a", 2, &changing, len, 1, &a), "(none)"); /* another world */
		assert_int_equal(lru_figures(l).entries, 0);
	}
	arena_done(&a);
	lru_free(l);
}

static void
what_is_held_outlives_its_entry(void **state)
{
	enum { LENGTH = 100000, HELD = 4 };
	struct lru *l = lru_new(1 << 20);
	_Atomic uint64_t same = 5;
	struct lru_shard *s[HELD];
	struct lru_entry *e[HELD];
	char *bytes = malloc(LENGTH), *copy = malloc(LENGTH);
	struct slice value = slice_of(bytes, LENGTH);

	(void)state;
	for (int i = 0; i < 200;
	     i++) { /* the first are pushed out, and the memory that is left is used again and again */
		char name[16];
		struct slice k = slice_of(name, (size_t)snprintf(name, sizeof name, "%d", i));

		memset(bytes, i, LENGTH);
		lru_keep(l, k, lru_hash(k), 1, &value, 1, &same, 5);
		if (i < HELD)
			assert_non_null(e[i] = lru_hold(l, k, lru_hash(k), 1, &same, &s[i]));
		assert_true(lru_figures(l).bytes <= 1 << 20);
	}
	for (int i = 0; i < HELD; i++) {
		lru_read_part(s[i], e[i], 0, LENGTH, copy);
		memset(bytes, i, LENGTH);
		assert_memory_equal(copy, bytes, LENGTH);
		lru_let_go(s[i], e[i]);
	}
	free(bytes);
	free(copy);
	lru_free(l);
}

static void
no_budget_keeps_nothing(void **state)
{
	struct lru *l = lru_new(0);
	struct arena a = {0};

	(void)state;
	put(l, "a", SLICE("one"));
	ASSERT_IS(get(l, "a", 1, &a), "(none)");
	arena_done(&a);
	lru_free(l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_put_is_found_under_its_stamp_only),
	    cmocka_unit_test(a_moved_guard_keeps_an_old_value_out),
	    cmocka_unit_test(a_hidden_entry_is_found_again_after_its_update),
	    cmocka_unit_test(memory_stays_in_its_budget_and_the_recently_used_stay),
	    cmocka_unit_test(what_is_asked_for_again_outlives_what_is_asked_for_once),
	    cmocka_unit_test(a_full_shard_takes_one_in_four),
	    cmocka_unit_test(large_values_are_not_kept),
	    cmocka_unit_test(whatever_comes_and_goes_what_is_found_is_right),
	    cmocka_unit_test(a_value_counts_while_its_guard_is_as_it_was),
	    cmocka_unit_test(what_is_held_outlives_its_entry),
	    cmocka_unit_test(no_budget_keeps_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
