/* What is counted of which table, and how it is shown. */
#include "base/clock.h"
#include "cache/cache_int.h"

#include <stdlib.h>

#define SEARCH_EVERY_NS 1000000000LL /* for a place that is free again */

static const struct {
	int64_t at_most_ns;
	const char *text;
} time_buckets[TIME_BUCKETS] = {
    {1000, "0.000001"},  {2500, "0.0000025"}, {5000, "0.000005"},  {10000, "0.00001"},
    {25000, "0.000025"}, {50000, "0.00005"},  {100000, "0.0001"},  {250000, "0.00025"},
    {500000, "0.0005"},  {1000000, "0.001"},  {2500000, "0.0025"}, {5000000, "0.005"},
    {10000000, "0.01"},  {50000000, "0.05"},  {250000000, "0.25"}, {1000000000, "1"},
};

/* ---- places ---- */

/* Its place, that of a free one as *ret_free (0: none). */
static uint32_t
search(struct cache *c, uint64_t wanted, uint32_t *ret_free)
{
	uint32_t at = (uint32_t)(wanted % CACHE_TABLES_MAX);

	*ret_free = 0;
	for (int i = 0; i < CACHE_TABLES_MAX; i++, at = (at + 1) % CACHE_TABLES_MAX) {
		uint64_t id = atomic_load_explicit(&c->place_ids[at + 1], memory_order_relaxed);

		if (id == wanted)
			return at + 1;
		if (id == 0) { /* a place never gets free again, so it was not put behind one */
			*ret_free = at + 1;
			return 0;
		}
	}
	return 0;
}

static void
add_figures(struct cache_figures *to, const struct cache_figures *from)
{
	const uint64_t *values = (const uint64_t *)from;
	uint64_t *sums = (uint64_t *)to;

	_Static_assert(sizeof *to % sizeof *sums == 0, "counters and nothing else");
	for (size_t i = 0; i < sizeof *to / sizeof *sums; i++)
		sums[i] += values[i];
}

/* The counts of a table without entries go to those of the others. */
static void
fold(struct table_counts *to, struct table_counts *from)
{
	add_figures(&to->f, &from->f);
	from->f = (struct cache_figures){0};
	for (int hit = 0; hit < 2; hit++) {
		atomic_fetch_add(&to->timed[hit], atomic_exchange(&from->timed[hit], 0));
		atomic_fetch_add(&to->nanoseconds[hit], atomic_exchange(&from->nanoseconds[hit], 0));
	}
}

/* A place whose table has no entries any more; 0: none. */
static uint32_t
vacate(struct cache *c)
{
	bool used[TABLE_PLACES] = {[OTHER_TABLES] = true};
	uint32_t place = 0;

	for (unsigned i = 0; i < lru_shard_count(c->lru); i++) {
		struct lru_shard *s = lru_lock_at(c->lru, i);

		for (uint32_t p = 0; p < TABLE_PLACES; p++)
			for (unsigned kind = 0; kind < CACHE_KINDS; kind++)
				used[p] |= counts_at(c, i, p, kind)->f.entries > 0;
		lru_unlock(s);
	}
	while (place < TABLE_PLACES && used[place])
		place++;
	if (place == TABLE_PLACES)
		return 0;
	for (unsigned i = 0; i < lru_shard_count(c->lru); i++) {
		struct lru_shard *s = lru_lock_at(c->lru, i);

		for (unsigned kind = 0; kind < CACHE_KINDS; kind++)
			fold(counts_at(c, i, OTHER_TABLES, kind), counts_at(c, i, place, kind));
		lru_unlock(s);
	}
	return place;
}

static uint32_t
settle(struct cache *c, uint64_t wanted, struct slice name)
{
	uint32_t free_place, place;

	pthread_mutex_lock(&c->places_lock);
	place = search(c, wanted, &free_place);
	if (place == 0) {
		place = free_place;
		if (place == 0 && clock_mono_ns() - c->places_searched_ns >= SEARCH_EVERY_NS) {
			c->places_searched_ns = clock_mono_ns();
			place = vacate(c);
		}
		if (place != 0) {
			free(c->place_names[place]);
			c->place_names[place] = strndup(name.data != NULL ? name.data : "", name.len);
			if (c->place_names[place] == NULL)
				abort();
			atomic_store_explicit(&c->place_ids[place], wanted, memory_order_relaxed);
		}
	}
	pthread_mutex_unlock(&c->places_lock);
	return place;
}

uint32_t
places_find(struct cache *c, uint64_t table_id, struct slice name)
{
	uint32_t free_place, place = search(c, table_id + 1, &free_place);

	if (place != 0 || name.data == NULL) /* nameless: not a client's, makes no place */
		return place;
	if (free_place == 0 &&
	    clock_mono_ns() - atomic_load_explicit(&c->places_searched_ns, memory_order_relaxed) < SEARCH_EVERY_NS)
		return OTHER_TABLES;
	return settle(c, table_id + 1, name);
}

void
places_done(struct cache *c)
{
	for (int i = 0; i < TABLE_PLACES; i++)
		free(c->place_names[i]);
}

/* ---- figures ---- */

void
cache_timed(struct cache *c, const struct cache_key *k, bool hit, int64_t ns)
{
	unsigned shard = lru_shard_index(c->lru, k->hash), kind = k->space & 1;
	struct table_counts *t = counts_at(c, shard, k->table, kind);
	int bucket = 0;

	while (bucket < TIME_BUCKETS && ns > time_buckets[bucket].at_most_ns)
		bucket++;
	atomic_fetch_add_explicit(&t->timed[hit], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&t->nanoseconds[hit], (uint64_t)ns, memory_order_relaxed);
	atomic_fetch_add_explicit(&c->times[shard].buckets[kind][hit][bucket], 1, memory_order_relaxed);
}

struct sums {
	struct cache_figures f;
	uint64_t timed[2], nanoseconds[2];
};

static void
sum_shard(struct cache *c, unsigned shard, struct sums (*sums)[CACHE_KINDS])
{
	for (uint32_t place = 0; place < TABLE_PLACES; place++)
		for (unsigned kind = 0; kind < CACHE_KINDS; kind++) {
			struct table_counts *t = counts_at(c, shard, place, kind);
			struct sums *to = &sums[place][kind];

			add_figures(&to->f, &t->f);
			for (int hit = 0; hit < 2; hit++) {
				to->timed[hit] += atomic_load_explicit(&t->timed[hit], memory_order_relaxed);
				to->nanoseconds[hit] +=
				    atomic_load_explicit(&t->nanoseconds[hit], memory_order_relaxed);
			}
		}
}

/* [TABLE_PLACES][CACHE_KINDS], to be freed. */
static struct sums (*sum_up(struct cache *c))[CACHE_KINDS]
{
	struct sums(*sums)[CACHE_KINDS] = calloc(TABLE_PLACES, sizeof *sums);

	if (sums == NULL)
		abort();
	for (unsigned i = 0; i < lru_shard_count(c->lru); i++) {
		struct lru_shard *s = lru_lock_at(c->lru, i);

		sum_shard(c, i, sums);
		lru_unlock(s);
	}
	return sums;
}

struct cache_figures
cache_figures(struct cache *c, enum cache_kind kind)
{
	struct sums(*sums)[CACHE_KINDS] = sum_up(c);
	struct cache_figures f = {0};

	for (int place = 0; place < TABLE_PLACES; place++)
		add_figures(&f, &sums[place][kind].f);
	free(sums);
	return f;
}

static const char *const kind_names[CACHE_KINDS] = {"item", "query"};

static const struct {
	const char *name, *type, *help;
	size_t offset;
} families[] = {
#define FAMILY(name, type, member, help)                                                                               \
	{                                                                                                              \
		name, type, help, offsetof(struct cache_figures, member)                                               \
	}
    FAMILY("hits_total", "counter", hits, "Reads answered from the cache."),
    FAMILY("absent_hits_total", "counter", absent_hits, "Hits that knew that there is no such item."),
    FAMILY("misses_total", "counter", misses, "Reads that had to ask the table."),
    FAMILY("fills_total", "counter", fills, "Answers of the table that were kept."),
    FAMILY("writes_total", "counter", writes, "Written items that were kept."),
    FAMILY("rejected_total", "counter", rejected, "Answers that came back when the item had changed again; not kept."),
    FAMILY("evictions_total", "counter", evictions, "Entries that made room: the least recently used."),
    FAMILY("expired_total", "counter", expired, "Entries found past their time to live."),
    FAMILY("invalidated_total", "counter", invalidated, "Entries dropped by the change log or with their table."),
    FAMILY("entries", "gauge", entries, "Entries, also those that have ended and wait to be noticed."),
    FAMILY("bytes", "gauge", bytes, "Memory of the entries."),
#undef FAMILY
};

static bool
is_seen(const struct sums *s)
{
	return s->f.hits + s->f.misses + s->f.writes + s->f.entries > 0;
}

struct view {
	struct cache *c;
	struct slice node;
	struct buf *out;
	struct sums (*sums)[CACHE_KINDS];
};

static void
put_labels(struct view *v, unsigned kind, int place)
{
	buf_printf(v->out, "{node=\"%.*s\",cache=\"%s\"", SLICE_ARG(v->node), kind_names[kind]);
	if (place >= 0)
		buf_printf(v->out, ",table=\"%s\"", place == OTHER_TABLES ? "(other)" : v->c->place_names[place]);
}

static void
put_header(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP stator_dax_cache_%s %s\n# TYPE stator_dax_cache_%s %s\n", name, help, name, type);
}

static void
put_family(struct view *v, size_t family)
{
	const char *name = families[family].name;

	put_header(v->out, name, families[family].type, families[family].help);
	for (int place = 0; place < TABLE_PLACES; place++)
		for (unsigned kind = 0; kind < CACHE_KINDS; kind++) {
			const struct sums *s = &v->sums[place][kind];

			if (!is_seen(s))
				continue;
			buf_printf(v->out, "stator_dax_cache_%s", name);
			put_labels(v, kind, place);
			buf_printf(v->out, "} %llu\n",
				   *(const unsigned long long *)((const char *)&s->f + families[family].offset));
		}
}

static const char *const result_names[2] = {"miss", "hit"};

/* By table only how long all took together: a histogram for each would be too many series. */
static void
put_table_times(struct view *v)
{
	put_header(v->out, "table_seconds", "summary", "Time to the answer, by table.");
	for (int place = 0; place < TABLE_PLACES; place++)
		for (int at = 0; at < CACHE_KINDS * 2; at++) {
			unsigned kind = (unsigned)at / 2, hit = at % 2;
			const struct sums *s = &v->sums[place][kind];

			if (s->timed[hit] == 0)
				continue;
			buf_printf(v->out, "stator_dax_cache_table_seconds_sum");
			put_labels(v, kind, place);
			buf_printf(v->out, ",result=\"%s\"} %.9f\n", result_names[hit],
				   (double)s->nanoseconds[hit] / 1e9);
			buf_printf(v->out, "stator_dax_cache_table_seconds_count");
			put_labels(v, kind, place);
			buf_printf(v->out, ",result=\"%s\"} %llu\n", result_names[hit],
				   (unsigned long long)s->timed[hit]);
		}
}

static uint64_t
bucket_sum(struct cache *c, unsigned kind, unsigned hit, int bucket)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < lru_shard_count(c->lru); i++)
		sum += atomic_load_explicit(&c->times[i].buckets[kind][hit][bucket], memory_order_relaxed);
	return sum;
}

static void
put_histogram(struct view *v, unsigned kind, unsigned hit)
{
	uint64_t below = 0, nanoseconds = 0;

	for (int place = 0; place < TABLE_PLACES; place++)
		nanoseconds += v->sums[place][kind].nanoseconds[hit];
	for (int i = 0; i <= TIME_BUCKETS; i++) {
		below += bucket_sum(v->c, kind, hit, i);
		buf_printf(v->out, "stator_dax_cache_seconds_bucket");
		put_labels(v, kind, -1);
		buf_printf(v->out, ",result=\"%s\",le=\"%s\"} %llu\n", result_names[hit],
			   i < TIME_BUCKETS ? time_buckets[i].text : "+Inf", (unsigned long long)below);
	}
	buf_printf(v->out, "stator_dax_cache_seconds_sum");
	put_labels(v, kind, -1);
	buf_printf(v->out, ",result=\"%s\"} %.9f\n", result_names[hit], (double)nanoseconds / 1e9);
	buf_printf(v->out, "stator_dax_cache_seconds_count");
	put_labels(v, kind, -1);
	buf_printf(v->out, ",result=\"%s\"} %llu\n", result_names[hit], (unsigned long long)below);
}

static void
put_node(struct view *v)
{
	static const char *const names[] = {"memory_bytes", "budget_bytes"};
	static const char *const helps[] = {"Memory of both caches with all bookkeeping.", "What it may be at most."};
	uint64_t values[] = {v->c->fixed_bytes + lru_figures(v->c->lru).bytes, v->c->budget};

	for (int i = 0; i < 2; i++) {
		put_header(v->out, names[i], "gauge", helps[i]);
		buf_printf(v->out, "stator_dax_cache_%s{node=\"%.*s\"} %llu\n", names[i], SLICE_ARG(v->node),
			   (unsigned long long)values[i]);
	}
	put_header(v->out, "ttl_seconds", "gauge", "How long an entry lives; 0: items for ever, queries not at all.");
	for (unsigned kind = 0; kind < CACHE_KINDS; kind++) {
		buf_printf(v->out, "stator_dax_cache_ttl_seconds");
		put_labels(v, kind, -1);
		buf_printf(v->out, "} %.3f\n", (double)cache_ttl(v->c, kind) / 1e3);
	}
}

void
cache_write_metrics(struct cache *c, struct slice node, struct buf *out)
{
	struct view v = {c, node, out, NULL};

	pthread_mutex_lock(&c->places_lock); /* names stay, and so does what stands where */
	v.sums = sum_up(c);
	put_node(&v);
	for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
		put_family(&v, i);
	put_table_times(&v);
	pthread_mutex_unlock(&c->places_lock);
	put_header(out, "seconds", "histogram", "Time to the answer.");
	for (unsigned kind = 0; kind < CACHE_KINDS; kind++)
		for (unsigned hit = 0; hit < 2; hit++)
			put_histogram(&v, kind, hit);
	free(v.sums);
}
