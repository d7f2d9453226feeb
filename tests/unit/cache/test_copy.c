/* Two caches as two nodes of a cluster: what one keeps reaches the other, late or at once. */
#include "base/clock.h"
#include "cache/cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TABLE      7
#define ON_ITS_WAY 16

/* Copies that are on their way to another node. */
struct sent {
	struct cache_copied copied;
	char key[32], value[32];
};
struct node {
	struct cache *cache;
	struct sent sent[ON_ITS_WAY];
	int count;
};

static void
send_copy(void *context, const struct cache_copied *copied)
{
	struct node *n = context;
	struct sent *s = &n->sent[n->count++];

	assert_true(n->count < ON_ITS_WAY);
	s->copied = *copied;
	snprintf(s->key, sizeof s->key, "%.*s", SLICE_ARG(copied->key));
	snprintf(s->value, sizeof s->value, "%.*s", SLICE_ARG(copied->value));
	s->copied.key = slice_str(s->key);
	s->copied.value = slice_str(s->value);
}

static void
start(struct node *n)
{
	n->count = 0;
	n->cache = cache_new(8 << 20);
	cache_watch(n->cache, send_copy, n);
}

static void
deliver(struct node *from, struct node *to)
{
	for (int i = 0; i < from->count; i++)
		cache_copy(to->cache, &from->sent[i].copied);
	from->count = 0;
}

static struct cache_key
key_of(struct node *n, enum cache_kind kind, const char *bytes)
{
	struct cache_key k;

	cache_key_make(n->cache, &k, kind, TABLE, SLICE("table"), slice_str(bytes));
	return k;
}

static void
expect(struct node *n, enum cache_kind kind, const char *bytes, const char *value)
{
	struct cache_key k = key_of(n, kind, bytes);
	struct buf out = {0};
	enum cache_found what = cache_get(n->cache, &k, &out);

	buf_put_byte(&out, 0);
	assert_string_equal(what == CACHE_HIT ? out.data : what == CACHE_ABSENT ? "(absent)" : "(miss)", value);
	buf_done(&out);
}

/* A reader or writer between its two calls. */
static struct cache_key
begin(struct node *n, const char *bytes)
{
	struct cache_key k = key_of(n, CACHE_ITEMS, bytes);

	cache_begin(n->cache, &k);
	return k;
}

static void
write_item(struct node *n, const char *bytes, const char *value, uint64_t order)
{
	struct cache_key k = begin(n, bytes);

	cache_write(n->cache, &k, order, value != NULL ? CACHE_HIT : CACHE_ABSENT, slice_str(value));
}

static void
fill(struct node *n, enum cache_kind kind, const char *bytes, const char *value)
{
	struct cache_key k = key_of(n, kind, bytes);
	struct buf out = {0};

	assert_int_equal(cache_get(n->cache, &k, &out), CACHE_MISS);
	cache_fill(n->cache, &k, value != NULL ? CACHE_HIT : CACHE_ABSENT, slice_str(value));
	buf_done(&out);
}

static struct node a, b;

static int
set_up(void **state)
{
	(void)state;
	start(&a);
	start(&b);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	cache_free(a.cache);
	cache_free(b.cache);
	clock_reset();
	return 0;
}

static void
what_one_node_reads_or_writes_the_other_has(void **state)
{
	(void)state;
	fill(&a, CACHE_ITEMS, "read", "1");
	fill(&a, CACHE_ITEMS, "nothing", NULL);
	fill(&a, CACHE_QUERIES, "page", "2");
	write_item(&a, "written", "3", 0);
	write_item(&a, "deleted", NULL, 0);
	deliver(&a, &b);
	expect(&b, CACHE_ITEMS, "read", "1");
	expect(&b, CACHE_ITEMS, "nothing", "(absent)");
	expect(&b, CACHE_QUERIES, "page", "2");
	expect(&b, CACHE_ITEMS, "written", "3");
	expect(&b, CACHE_ITEMS, "deleted", "(absent)");
}

static void
copies_are_not_copied_on(void **state)
{
	(void)state;
	fill(&a, CACHE_ITEMS, "x", "1");
	write_item(&a, "y", "2", 0);
	deliver(&a, &b);
	assert_int_equal(b.count, 0);
}

static void
a_write_replaces_what_the_other_node_had(void **state)
{
	(void)state;
	fill(&b, CACHE_ITEMS, "x", "old");
	write_item(&a, "x", "new", 0);
	deliver(&a, &b);
	expect(&b, CACHE_ITEMS, "x", "new");
}

static void
an_answer_does_not_replace_a_write(void **state)
{
	(void)state;
	fill(&a, CACHE_ITEMS, "x", "old");
	write_item(&b, "x", "new", 0);
	deliver(&a, &b);
	expect(&b, CACHE_ITEMS, "x", "new");
	deliver(&b, &a);
	expect(&a, CACHE_ITEMS, "x", "new");
}

static void
an_answer_does_not_come_in_where_a_write_has_left_nothing(void **state)
{
	struct cache_key k;

	(void)state;
	fill(&a, CACHE_ITEMS, "x", "old");
	k = begin(&b, "x");
	cache_drop(b.cache, &k);
	deliver(&a, &b);
	expect(&b, CACHE_ITEMS, "x", "(miss)");
}

static void
an_answer_on_its_way_to_its_own_node_is_overtaken_by_a_copied_write(void **state)
{
	struct cache_key k;

	(void)state;
	k = begin(&a, "x"); /* asks the table, gets the old item */
	write_item(&b, "x", "new", 0);
	deliver(&b, &a);
	cache_fill(a.cache, &k, CACHE_HIT, SLICE("old"));
	expect(&a, CACHE_ITEMS, "x", "new");
}

static void
writes_on_both_nodes_at_once_leave_the_item_to_the_table(void **state)
{
	(void)state;
	write_item(&a, "x", "a's", 0);
	write_item(&b, "x", "b's", 0);
	deliver(&a, &b);
	deliver(&b, &a);
	expect(&a, CACHE_ITEMS, "x", "(miss)");
	expect(&b, CACHE_ITEMS, "x", "(miss)");
}

static void
with_their_order_known_the_later_one_stays(void **state)
{
	(void)state;
	write_item(&a, "x", "first", 10);
	write_item(&b, "x", "second", 11);
	deliver(&a, &b);
	deliver(&b, &a);
	expect(&a, CACHE_ITEMS, "x", "second");
	expect(&b, CACHE_ITEMS, "x", "second");
}

static void
a_write_of_unknown_outcome_is_forgotten_everywhere(void **state)
{
	struct cache_key k;

	(void)state;
	fill(&a, CACHE_ITEMS, "x", "1");
	deliver(&a, &b);
	k = begin(&a, "x");
	cache_drop(a.cache, &k);
	deliver(&a, &b);
	expect(&b, CACHE_ITEMS, "x", "(miss)");
}

static void
a_copy_is_as_old_as_its_original(void **state)
{
	(void)state;
	clock_freeze(true);
	cache_set_ttl(a.cache, CACHE_ITEMS, 1000);
	cache_set_ttl(b.cache, CACHE_ITEMS, 1000);
	fill(&a, CACHE_ITEMS, "x", "1");
	a.sent[0].copied.age_ms = 400;
	deliver(&a, &b);
	clock_shift_us(599000);
	expect(&b, CACHE_ITEMS, "x", "1");
	clock_shift_us(1000);
	expect(&b, CACHE_ITEMS, "x", "(miss)");
}

static void
pages_are_not_copied_to_a_node_that_keeps_none(void **state)
{
	(void)state;
	cache_set_ttl(b.cache, CACHE_QUERIES, 0);
	fill(&a, CACHE_QUERIES, "page", "1");
	deliver(&a, &b);
	cache_set_ttl(b.cache, CACHE_QUERIES, 1000);
	expect(&b, CACHE_QUERIES, "page", "(miss)");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_one_node_reads_or_writes_the_other_has, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(copies_are_not_copied_on, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_write_replaces_what_the_other_node_had, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(an_answer_does_not_replace_a_write, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(an_answer_does_not_come_in_where_a_write_has_left_nothing, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(an_answer_on_its_way_to_its_own_node_is_overtaken_by_a_copied_write, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(writes_on_both_nodes_at_once_leave_the_item_to_the_table, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(with_their_order_known_the_later_one_stays, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_write_of_unknown_outcome_is_forgotten_everywhere, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_copy_is_as_old_as_its_original, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(pages_are_not_copied_to_a_node_that_keeps_none, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
