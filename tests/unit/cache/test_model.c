/*
 * The caches against a model of what DAX documents (docs/DAX-CACHES.md), by random operations on a clock that the test
 * moves. The model is as simple as can be: a table, and for each key what a cache would have. It says not only what a
 * read must answer but also whether the cache must have known it.
 */
#include "base/clock.h"
#include "cache/cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define KEYS   12
#define PAGES  4 /* queries: each reads a quarter of the keys */
#define ROUNDS 60000
#define NONE   (-1) /* no such item */

struct known {
	bool is;
	int value; /* of an item, or of a page: the sum of its items' values, NONE for each that is missing */
	int64_t at_ms;
};

struct world {
	struct cache *cache;
	unsigned seed;
	int table[KEYS];
	struct known items[KEYS], pages[PAGES];
	int64_t item_ttl, query_ttl;
	bool refresh[KEYS]; /* TransactWriteItems has changed it, the background has not come to it */
	int next_value;
	uint64_t order; /* of writes; 0 in every other run */
	bool ordered;
	unsigned counts[2][2]; /* items, pages: misses, hits */
};

static int
pick(struct world *w, int below)
{
	return rand_r(&w->seed) % below;
}

/* ---- the model ---- */

static bool
lives(const struct known *k, int64_t ttl)
{
	return k->is && (ttl == 0 || clock_wall_ms() - k->at_ms < ttl);
}

static void
learn(struct known *k, int value)
{
	*k = (struct known){true, value, clock_wall_ms()};
}

static int
page_of(const struct world *w, int page)
{
	int sum = 0;

	for (int i = page; i < KEYS; i += PAGES)
		sum += w->table[i];
	return sum;
}

/* ---- the cache, used as a front uses it ---- */

static void
make_key(struct world *w, struct cache_key *k, enum cache_kind kind, int i, char bytes[16])
{
	cache_key_make(w->cache, k, kind, 1, SLICE("table"), slice_of(bytes, (size_t)sprintf(bytes, "k%d", i)));
}

static struct slice
text_of(int value, char text[16])
{
	return slice_of(text, (size_t)sprintf(text, "%d", value));
}

static void
told(struct world *w, enum cache_kind kind, int i, bool hit, int answer, bool must_hit, int must)
{
	w->counts[kind][hit]++;
	if (hit == must_hit && answer == must)
		return;
	fail_msg("%s %d: %s %d, but it must be a %s of %d", kind == CACHE_ITEMS ? "item" : "page", i,
		 hit ? "a hit of" : "a miss, the table has", answer, must_hit ? "hit" : "miss", must);
}

static void
read_through(struct world *w, enum cache_kind kind, int i, int in_table, struct known *known, int64_t ttl)
{
	bool kept = kind == CACHE_ITEMS || ttl > 0;
	bool must_hit = kept && lives(known, ttl);
	int must = must_hit ? known->value : in_table, answer = NONE;
	struct buf out = {0};
	struct cache_key k;
	enum cache_found found;
	char bytes[16], text[16];

	make_key(w, &k, kind, i, bytes);
	found = cache_get(w->cache, &k, &out);
	if (found == CACHE_HIT) {
		buf_put_byte(&out, 0);
		answer = atoi(out.data);
	} else if (found == CACHE_MISS) {
		answer = in_table;
		cache_fill(w->cache, &k, answer == NONE && kind == CACHE_ITEMS ? CACHE_ABSENT : CACHE_HIT,
			   text_of(answer, text));
		if (kept)
			learn(known, in_table);
	}
	buf_done(&out);
	told(w, kind, i, found != CACHE_MISS, answer, must_hit, must);
}

static void
get(struct world *w)
{
	int i = pick(w, KEYS);

	read_through(w, CACHE_ITEMS, i, w->table[i], &w->items[i], w->item_ttl);
}

static void
batch_get(struct world *w)
{
	int first = pick(w, KEYS);

	for (int n = 0; n < 5; n++) {
		int i = (first + n) % KEYS;

		read_through(w, CACHE_ITEMS, i, w->table[i], &w->items[i], w->item_ttl);
	}
}

static void
query(struct world *w)
{
	int page = pick(w, PAGES);

	read_through(w, CACHE_QUERIES, page, page_of(w, page), &w->pages[page], w->query_ttl);
}

/* Through DAX: to the table, then to the item cache. */
static void
write_through(struct world *w, int i, int value)
{
	struct cache_key k;
	char bytes[16], text[16];

	make_key(w, &k, CACHE_ITEMS, i, bytes);
	cache_begin(w->cache, &k);
	w->table[i] = value;
	cache_write(w->cache, &k, w->ordered ? ++w->order : 0, value == NONE ? CACHE_ABSENT : CACHE_HIT,
		    value == NONE ? SLICE_NONE : text_of(value, text));
	learn(&w->items[i], value);
}

static void
put(struct world *w)
{
	write_through(w, pick(w, KEYS), w->next_value++);
}

static void
update(struct world *w)
{
	int i = pick(w, KEYS);

	write_through(w, i, w->table[i] == NONE ? 1 : w->table[i] + 1);
}

static void
delete_item(struct world *w)
{
	write_through(w, pick(w, KEYS), NONE);
}

static void
batch_write(struct world *w)
{
	int first = pick(w, KEYS);

	for (int n = 0; n < 4; n++)
		write_through(w, (first + n) % KEYS, pick(w, 2) ? NONE : w->next_value++);
}

/* The table refuses: nothing changes, neither there nor in the cache. */
static void
refused(struct world *w)
{
	struct cache_key k;
	char bytes[16];

	make_key(w, &k, CACHE_ITEMS, pick(w, KEYS), bytes);
	cache_begin(w->cache, &k);
}

/* No answer came; the table may have taken it. */
static void
unanswered(struct world *w)
{
	int i = pick(w, KEYS);
	struct cache_key k;
	char bytes[16];

	make_key(w, &k, CACHE_ITEMS, i, bytes);
	cache_begin(w->cache, &k);
	if (pick(w, 2))
		w->table[i] = w->next_value++;
	cache_drop(w->cache, &k);
	w->items[i].is = false;
}

/* The answer is sent before the items' entries are fresh. */
static void
transact(struct world *w)
{
	int first = pick(w, KEYS);

	for (int n = 0; n < 3; n++) {
		w->table[(first + n) % KEYS] = w->next_value++;
		w->refresh[(first + n) % KEYS] = true;
	}
}

static void
background(struct world *w)
{
	for (int i = 0; i < KEYS; i++) {
		struct cache_key k;
		char bytes[16], text[16];

		if (!w->refresh[i])
			continue;
		w->refresh[i] = false;
		make_key(w, &k, CACHE_ITEMS, i, bytes);
		cache_begin(w->cache, &k);
		cache_fill(w->cache, &k, w->table[i] == NONE ? CACHE_ABSENT : CACHE_HIT, text_of(w->table[i], text));
		learn(&w->items[i], w->table[i]);
	}
}

/* Not through DAX: it learns nothing of it. */
static void
bypass(struct world *w)
{
	w->table[pick(w, KEYS)] = pick(w, 3) ? w->next_value++ : NONE;
}

static void
pass_time(struct world *w)
{
	clock_shift_us((int64_t)pick(w, 90000) * 1000);
}

static void
change_ttl(struct world *w)
{
	static const int64_t ttls[] = {0, 1000, 60000, 300000, 300000};

	w->item_ttl = ttls[pick(w, 5)];
	cache_set_ttl(w->cache, CACHE_ITEMS, w->item_ttl);
	w->query_ttl = ttls[pick(w, 5)];
	cache_set_ttl(w->cache, CACHE_QUERIES, w->query_ttl);
	/* with 0 queries are not cached: nothing of before is found later on that would have ended meanwhile */
}

static void
reboot(struct world *w)
{
	cache_clear(w->cache);
	for (int i = 0; i < KEYS; i++)
		w->items[i].is = false;
	for (int i = 0; i < PAGES; i++)
		w->pages[i].is = false;
}

static const struct {
	void (*run)(struct world *w);
	int weight;
} operations[] = {
    {get, 400},        {batch_get, 80},   {query, 200},    {put, 60},        {update, 60},
    {delete_item, 40}, {batch_write, 20}, {refused, 20},   {unanswered, 10}, {transact, 20},
    {background, 40},  {bypass, 100},     {pass_time, 30}, {change_ttl, 3},  {reboot, 1},
};

static void
run_world(unsigned seed, bool ordered)
{
	struct world w = {.cache = cache_new(16 << 20),
			  .seed = seed,
			  .ordered = ordered,
			  .next_value = 1000,
			  .item_ttl = CACHE_TTL_DEFAULT_MS,
			  .query_ttl = CACHE_TTL_DEFAULT_MS};
	int weights = 0;

	for (int i = 0; i < KEYS; i++)
		w.table[i] = NONE;
	for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
		weights += operations[i].weight;
	for (int round = 0; round < ROUNDS; round++) {
		int at = pick(&w, weights);
		size_t i = 0;

		while (at >= operations[i].weight)
			at -= operations[i++].weight;
		operations[i].run(&w);
	}
	for (int kind = 0; kind < CACHE_KINDS; kind++) {
		assert_true(w.counts[kind][false] > 500);
		assert_true(w.counts[kind][true] > 500);
	}
	cache_free(w.cache);
}

static void
every_read_is_what_the_documented_rules_say(void **state)
{
	(void)state;
	clock_freeze(true);
	run_world(1, false);
	run_world(2, true);
	clock_reset();
}

/* ---- coherent mode ---- */

#define WRITERS 6
#define READERS 6
#define LOG_MAX 64

/*
 * A table whose values are the sequence numbers of its writes. Reads, writes and records are cut into their steps, and
 * the steps of many of them are done in random order: a reader looks into the cache, reads the table, fills; a writer
 * begins, writes (which appends a record), tells the cache. Records pass in order.
 */
struct step {
	bool busy;
	int at, key;
	uint64_t value;
	struct cache_key k;
	char bytes[16];
};

struct log_world {
	struct cache *cache;
	unsigned seed;
	uint64_t seq;
	uint64_t table[KEYS], passed[KEYS]; /* passed: newest write of the key whose record went by */
	struct {
		int key;
		uint64_t seq;
	} log[LOG_MAX];
	int log_count;
	struct step writers[WRITERS], readers[READERS], queriers[READERS];
	uint64_t hits, page_hits, own_kept;
};

static void
lw_key(struct log_world *w, struct step *s, enum cache_kind kind)
{
	cache_key_make(w->cache, &s->k, kind, 1, SLICE("table"),
		       slice_of(s->bytes, (size_t)sprintf(s->bytes, "k%d", s->key)));
}

static void
append_record(struct log_world *w, int key)
{
	w->table[key] = ++w->seq;
	w->log[w->log_count].key = key;
	w->log[w->log_count++].seq = w->seq;
}

static void
pass_record(struct log_world *w)
{
	char bytes[16];

	if (w->log_count == 0)
		return;
	cache_changed(w->cache, 1, slice_of(bytes, (size_t)sprintf(bytes, "k%d", w->log[0].key)), w->log[0].seq);
	w->passed[w->log[0].key] = w->log[0].seq;
	memmove(w->log, w->log + 1, (size_t)--w->log_count * sizeof w->log[0]);
}

static void
step_writer(struct log_world *w, struct step *s)
{
	switch (s->at++) {
	case 0:
		s->key = rand_r(&w->seed) % KEYS;
		lw_key(w, s, CACHE_ITEMS);
		cache_begin(w->cache, &s->k);
		return;
	case 1:
		if (w->log_count == LOG_MAX) {
			s->at = 1;
			return;
		}
		append_record(w, s->key);
		s->value = w->seq;
		return;
	default:
		s->at = 0;
		if (rand_r(&w->seed) % 10 == 0)
			cache_drop(w->cache, &s->k);
		else
			cache_write(w->cache, &s->k, rand_r(&w->seed) % 4 ? s->value : 0, CACHE_HIT,
				    slice_of(&s->value, sizeof s->value));
	}
}

/* A number that was kept: 0 when there is none. */
static uint64_t
look_up(struct log_world *w, struct step *s)
{
	struct buf out = {0};
	uint64_t value = 0;

	if (cache_get(w->cache, &s->k, &out) == CACHE_HIT)
		memcpy(&value, out.data, sizeof value);
	buf_done(&out);
	return value;
}

static void
step_reader(struct log_world *w, struct step *s)
{
	uint64_t value;

	switch (s->at++) {
	case 0:
		s->key = rand_r(&w->seed) % KEYS;
		lw_key(w, s, CACHE_ITEMS);
		value = look_up(w, s);
		if (value == 0)
			return;
		w->hits++;
		if (value < w->passed[s->key])
			fail_msg("key %d: %llu found, the record of %llu has passed", s->key, (unsigned long long)value,
				 (unsigned long long)w->passed[s->key]);
		s->at = 0;
		return;
	case 1:
		s->value = w->table[s->key];
		return;
	default:
		s->at = 0;
		cache_fill(w->cache, &s->k, CACHE_HIT, slice_of(&s->value, sizeof s->value));
	}
}

/* A page holds all keys: its value is the number of the newest write it saw. */
static void
step_querier(struct log_world *w, struct step *s)
{
	uint64_t value, newest = 0;

	switch (s->at++) {
	case 0:
		s->key = rand_r(&w->seed) % 3; /* three queries of the same keys */
		lw_key(w, s, CACHE_QUERIES);
		value = look_up(w, s);
		if (value == 0)
			return;
		w->page_hits++;
		for (int i = 0; i < KEYS; i++)
			newest = w->passed[i] > newest ? w->passed[i] : newest;
		if (value < newest)
			fail_msg("a page of %llu found, the record of %llu has passed", (unsigned long long)value,
				 (unsigned long long)newest);
		s->at = 0;
		return;
	case 1:
		s->value = w->seq;
		return;
	default:
		s->at = 0;
		cache_fill(w->cache, &s->k, CACHE_HIT, slice_of(&s->value, sizeof s->value));
	}
}

static void
no_read_is_stale_once_the_record_has_passed(void **state)
{
	struct log_world w = {.cache = cache_new(16 << 20), .seed = 3};

	(void)state;
	for (int i = 0; i < KEYS; i++)
		append_record(&w, i);
	for (int round = 0; round < 400000; round++) {
		int what = rand_r(&w.seed) % 100;

		if (what < 45)
			step_reader(&w, &w.readers[rand_r(&w.seed) % READERS]);
		else if (what < 75)
			step_querier(&w, &w.queriers[rand_r(&w.seed) % READERS]);
		else if (what < 85)
			step_writer(&w, &w.writers[rand_r(&w.seed) % WRITERS]);
		else if (what < 88 && w.log_count < LOG_MAX)
			append_record(&w, rand_r(&w.seed) % KEYS); /* not through DAX */
		else
			pass_record(&w);
	}
	assert_true(w.hits > 10000);
	assert_true(w.page_hits > 1000);
	assert_true(cache_figures(w.cache, CACHE_ITEMS).writes > 1000);
	assert_true(cache_figures(w.cache, CACHE_ITEMS).rejected > 1000);
	cache_free(w.cache);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_read_is_what_the_documented_rules_say),
	    cmocka_unit_test(no_read_is_stale_once_the_record_has_passed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
