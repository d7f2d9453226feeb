/* The sketch behind Contributor Insights: what it promises of weights and errors, and how keys are told. */
#include "fixture.h"

#include <pthread.h>

#include "table/key_counts.h"

#define KEYS 5000

static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static const struct top_key *
place_of(const struct top_keys *t, uint64_t hash)
{
	for (uint32_t i = 0; i < t->count; i++)
		if (t->keys[i].hash == hash)
			return &t->keys[i];
	return NULL;
}

static void
check_bounds(const struct top_keys *t, const uint64_t *truth, uint64_t sum)
{
	uint64_t weights = 0;

	for (uint64_t key = 0; key < KEYS; key++) {
		const struct top_key *k = place_of(t, key);

		if (k == NULL) {
			assert_true(truth[key] <= sum / TOP_KEYS);
			continue;
		}
		assert_true(truth[key] <= k->weight);
		assert_true(truth[key] >= k->weight - k->error);
		assert_int_equal(k->total, k->weight - k->error);
		assert_true(k->error <= sum / TOP_KEYS);
		weights += k->weight;
	}
	assert_int_equal(weights, sum); /* nothing is lost, only given to others */
}

static void
no_error_exceeds_the_sum_by_the_places(void **state)
{
	static uint64_t truth[KEYS];

	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct top_keys *t = calloc(1, sizeof *t);
		uint64_t random = seed * 0x9e3779b97f4a7c15ULL, sum = 0;

		memset(truth, 0, sizeof truth);
		for (int i = 0; i < 50000; i++) {
			/* from all alike (seed 1) to a few that have nearly everything */
			uint64_t key = next_random(&random) % KEYS, amount = 1 + next_random(&random) % 9;
			bool new;

			for (uint64_t skew = 1; skew < seed; skew++)
				key = key * (next_random(&random) % KEYS) / KEYS;
			top_keys_add(t, key, amount, &new);
			truth[key] += amount;
			sum += amount;
			if (i % 10000 == 9999)
				check_bounds(t, truth, sum);
		}
		free(t);
	}
}

static void
a_hot_key_survives_a_stream_of_new_ones(void **state)
{
	struct top_keys *t = calloc(1, sizeof *t);
	const struct top_key *k;
	bool new;

	(void)state;
	for (uint64_t i = 0; i < 100000; i++) {
		top_keys_add(t, 1000 + i, 1, &new);
		if (i % 10 == 0)
			top_keys_add(t, 7, 1, &new);
	}
	k = place_of(t, 7);
	assert_non_null(k);
	assert_true(k->weight >= 10000 && k->weight - k->error <= 10000);
	for (uint32_t i = 0; i < t->count; i++)
		assert_true(t->keys[i].weight <= k->weight);
	free(t);
}

static void
age_halves_ranks_and_not_sums(void **state)
{
	struct top_keys *t = calloc(1, sizeof *t);
	bool new;

	(void)state;
	assert_int_equal(top_keys_add(t, 1, 1000, &new)->weight, 1000);
	assert_true(new);
	top_keys_age(t, 3);
	assert_int_equal(place_of(t, 1)->weight, 125);
	assert_int_equal(place_of(t, 1)->total, 1000);
	top_keys_add(t, 2, 200, &new);
	assert_true(place_of(t, 2)->weight > place_of(t, 1)->weight); /* what is hot now outranks what was */
	assert_int_equal(top_keys_add(t, 1, 1, &new)->total, 1001);
	assert_false(new);
	top_keys_age(t, 64);
	assert_int_equal(place_of(t, 1)->weight, 0);
	assert_int_equal(place_of(t, 1)->total, 1001);
	free(t);
}

/* ---- key_counts ---- */

static struct counted_key
make_key(const char *partition, const char *sort)
{
	struct counted_key key = {.partition_count = 1, .partition = {value(partition)}};

	if (sort != NULL) {
		key.sort_count = 1;
		key.sort[0] = value(sort);
	}
	return key;
}

static void
add(struct key_counts *k, const char *partition, const char *sort, bool throttled, uint64_t amount)
{
	struct counted_key key = make_key(partition, sort);

	key_counts_add(k, &key, throttled, amount);
}

static void
each_rule_counts_by_itself(void **state)
{
	struct key_counts *k = key_counts_new();
	struct key_sum sums[4];

	(void)state;
	add(k, "S:a", "N:1", false, 5); /* not started */
	key_counts_set(k, 15);
	add(k, "S:a", "N:1", false, 5);
	add(k, "S:a", "N:2", false, 2);
	add(k, "S:b", NULL, false, 9);
	add(k, "S:b", "N:1", true, 1);
	assert_int_equal(key_counts_top(k, RULE_ACCESSED_PARTITION, sums, 4), 2);
	assert_int_equal(sums[0].total, 9);
	assert_memory_equal(sums[0].text.partition, "b", 1);
	assert_int_equal(sums[0].text.sort_len, 0);
	assert_int_equal(sums[1].total, 7);
	assert_int_equal(key_counts_top(k, RULE_ACCESSED_ITEM, sums, 4), 2);
	assert_int_equal(sums[0].total, 5);
	assert_memory_equal(sums[0].text.sort, "1", 1);
	assert_int_equal(key_counts_top(k, RULE_THROTTLED_PARTITION, sums, 4), 1);
	assert_int_equal(key_counts_top(k, RULE_THROTTLED_ITEM, sums, 4), 1);
	assert_int_equal(key_counts_top(k, RULE_ACCESSED_PARTITION, sums, 1), 1);
	/* a rule that goes takes its sums along, the others keep theirs */
	key_counts_set(k, 1u << RULE_THROTTLED_PARTITION);
	assert_int_equal(key_counts_top(k, RULE_ACCESSED_PARTITION, sums, 4), 0);
	assert_int_equal(key_counts_top(k, RULE_THROTTLED_PARTITION, sums, 4), 1);
	add(k, "S:b", "N:1", true, 1);
	assert_int_equal(key_counts_top(k, RULE_THROTTLED_PARTITION, sums, 4), 1);
	assert_int_equal(sums[0].total, 2);
	key_counts_free(k);
}

static void
what_is_hot_now_outranks_what_was(void **state)
{
	struct key_counts *k = key_counts_new();
	struct key_sum sums[2];

	(void)state;
	key_counts_set(k, 1u << RULE_ACCESSED_PARTITION);
	add(k, "S:yesterday", NULL, false, 100000);
	clock_shift_us(15 * 60 * 1000000LL);
	add(k, "S:now", NULL, false, 10);
	assert_int_equal(key_counts_top(k, RULE_ACCESSED_PARTITION, sums, 2), 2);
	assert_memory_equal(sums[0].text.partition, "now", 3);
	assert_int_equal(sums[0].total, 10);
	assert_int_equal(sums[1].total, 100000); /* sums do not age */
	clock_reset();
	key_counts_free(k);
}

static void *
count_a_lot(void *argument)
{
	for (int i = 0; i < 20000; i++) {
		struct counted_key key = {.partition_count = 1};
		const uint8_t hot[] = {TAG_S, 1, 'h'}, cold[] = {TAG_S, 2, (uint8_t)i, (uint8_t)(i >> 8)};

		key.partition[0] = i % 4 == 0 ? (struct av){hot, sizeof hot} : (struct av){cold, sizeof cold};
		key_counts_add(argument, &key, false, 1);
	}
	return NULL;
}

static void
threads_are_added_up(void **state)
{
	struct key_counts *k = key_counts_new();
	struct key_sum sums[1];
	pthread_t threads[6];

	(void)state;
	key_counts_set(k, 1u << RULE_ACCESSED_PARTITION);
	for (int i = 0; i < 6; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count_a_lot, k), 0);
	for (int i = 0; i < 50; i++)
		key_counts_top(k, RULE_ACCESSED_PARTITION, sums, 1); /* as metrics are read meanwhile */
	for (int i = 0; i < 6; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(key_counts_top(k, RULE_ACCESSED_PARTITION, sums, 1), 1);
	assert_int_equal(sums[0].total, 6 * 5000);
	assert_memory_equal(sums[0].text.partition, "h", 1);
	key_counts_free(k);
}

static void
several_attributes_are_told_unmistakably(void **state)
{
	struct key_counts *k = key_counts_new();
	struct counted_key one = {.partition_count = 2, .partition = {value("S:a,b"), value("S:c")}};
	struct counted_key two = {.partition_count = 2, .partition = {value("S:a"), value("S:b,c")}};
	struct counted_key three = {.partition_count = 2, .partition = {value("S:x"), value("N:1")}};
	struct key_sum sums[3];

	(void)state;
	key_counts_set(k, 1u << RULE_ACCESSED_PARTITION);
	key_counts_add(k, &one, false, 3);
	key_counts_add(k, &two, false, 2);
	key_counts_add(k, &three, false, 1);
	assert_int_equal(key_counts_top(k, RULE_ACCESSED_PARTITION, sums, 3), 3);
	assert_int_equal(sums[0].text.partition_len, sums[1].text.partition_len);
	assert_memory_equal(sums[0].text.partition, "a,b,c...", 8);
	assert_memory_not_equal(sums[0].text.partition, sums[1].text.partition, sums[0].text.partition_len);
	assert_int_equal(sums[2].text.partition_len, 3);
	assert_memory_equal(sums[2].text.partition, "x,1", 3);
	key_counts_free(k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_error_exceeds_the_sum_by_the_places),
	    cmocka_unit_test(a_hot_key_survives_a_stream_of_new_ones),
	    cmocka_unit_test(age_halves_ranks_and_not_sums),
	    cmocka_unit_test_setup_teardown(each_rule_counts_by_itself, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_is_hot_now_outranks_what_was, setup, teardown),
	    cmocka_unit_test(threads_are_added_up),
	    cmocka_unit_test_setup_teardown(several_attributes_are_told_unmistakably, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
