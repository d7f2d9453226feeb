#include "base/lru.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

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
	    cmocka_unit_test(no_budget_keeps_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
