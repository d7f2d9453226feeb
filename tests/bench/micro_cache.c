/*
 * What does an entry of the DAX caches cost, in memory and in time?
 *
 *     cc -O2 -g -D_GNU_SOURCE -Isrc tests/bench/micro_cache.c -o micro_cache build/libcache.a build/libbase.a -lcrypto
 * \ -lpthread
 *     ./micro_cache [BUDGET_MIB]
 *
 * Memory is what the process has more than before (RSS), so it holds whatever the allocator keeps for itself. "churn"
 * replaces the whole cache many times by values of other sizes: what an allocator finds hardest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cache/cache.h"

#define VALUE 1024

static char value[1 << 20];
static struct cache *cache;
static struct buf out;

static size_t
resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	size_t pages = 0;

	if (f == NULL || fscanf(f, "%*s %zu", &pages) != 1)
		abort();
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static enum cache_found
get(uint64_t i, struct cache_key *k, char *bytes)
{
	struct slice key = slice_of(bytes, (size_t)sprintf(bytes, "item-%010llu", (unsigned long long)i));

	cache_key_make(cache, k, CACHE_ITEMS, 1, SLICE("table"), key);
	out.len = 0;
	return cache_get(cache, k, &out);
}

static void
put(uint64_t i, size_t len)
{
	struct cache_key k;
	char bytes[32];

	if (get(i, &k, bytes) == CACHE_MISS)
		cache_fill(cache, &k, CACHE_HIT, slice_of(value, len));
}

static void
tell(const char *what, size_t before, uint64_t budget)
{
	struct cache_figures f = cache_figures(cache, CACHE_ITEMS);
	size_t now = resident_bytes() - before;

	printf("%-28s %8llu entries %7.1f MiB of entries %7.1f MiB resident, %.3f of the budget; %.0f B an entry\n",
	       what, (unsigned long long)f.entries, (double)f.bytes / 1048576, (double)now / 1048576,
	       (double)now / (double)budget, (double)now / (double)f.entries);
}

static uint64_t
random_number(void)
{
	static uint64_t x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static void
time_hits(uint64_t count)
{
	struct cache_key k;
	char bytes[32];
	int64_t begin;
	int hits = 0;

	for (uint64_t i = 0; i < count; i++)
		put(i, VALUE);
	begin = clock_mono_ns();
	for (int i = 0; i < 2000000; i++)
		hits += get(random_number() % count, &k, bytes) == CACHE_HIT;
	printf("hit, %llu keys: %.0f ns (%d hits)\n", (unsigned long long)count,
	       (double)(clock_mono_ns() - begin) / 2000000, hits);
}

int
main(int argc, char **argv)
{
	uint64_t budget = (uint64_t)(argc > 1 ? atoi(argv[1]) : 256) << 20, next = 0;
	size_t before;

	memset(value, 'v', sizeof value);
	buf_reserve(&out, sizeof value);
	before = resident_bytes();
	cache = cache_new(budget);
	while (next < budget / VALUE * 2)
		put(next++, VALUE);
	tell("1 KB items", before, budget);
	for (int round = 0; round < 20; round++)
		for (uint64_t bytes = 0; bytes < budget;) {
			size_t len = 64 + random_number() % (round % 2 ? 500 : 4000);

			put(next++, len);
			bytes += len;
		}
	tell("churn, 64 B to 4 KB", before, budget);
	for (int round = 0; round < 20; round++)
		for (uint64_t bytes = 0; bytes < budget;) {
			size_t len =
			    random_number() % 50 == 0 ? random_number() % 300000 : 100 + random_number() % 1000;

			put(next++, len);
			bytes += len;
		}
	tell("churn, some of 300 KB", before, budget);
	for (uint64_t i = 0; i < budget / VALUE * 2; i++)
		put(next++, VALUE);
	tell("1 KB items again", before, budget);
	cache_clear(cache);
	tell("cleared", before, budget);
	time_hits(1000);
	time_hits(budget / VALUE / 2);
	cache_free(cache);
	return 0;
}
