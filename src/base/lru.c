#include "base/lru.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SHARD_COUNT   64
#define BUCKETS_FIRST 64
#define STAMP_HIDDEN  UINT64_MAX
#define ENTRY_PART_LIMIT                                                                                               \
	4 /* a value over a quarter of its shard's budget is not kept: it would push out all others                    \
	   */

struct entry {
	struct entry *next;          /* in its bucket */
	struct entry *newer, *older; /* by last use */
	uint64_t hash;
	uint64_t stamp;
	uint32_t key_len, value_len;
	char bytes[]; /* key, then value */
};

struct shard {
	_Alignas(64) pthread_mutex_t lock;
	struct entry **buckets;
	size_t bucket_count; /* a power of two, or 0 before the first entry */
	size_t entry_count;
	size_t bytes;
	struct entry *newest, *oldest;
	uint64_t hits, misses, evictions;
};

struct lru {
	size_t shard_budget;
	struct shard shards[SHARD_COUNT];
};

uint64_t
lru_hash(struct slice key)
{
	return XXH3_64bits(key.data, key.len);
}

/* The shard comes from the high bits, the bucket from the low ones. */
static struct shard *
shard_of(struct lru *l, uint64_t hash)
{
	return &l->shards[hash >> 58];
}

struct lru *
lru_new(size_t budget_bytes)
{
	struct lru *l = aligned_alloc(64, sizeof *l);

	if (l == NULL)
		abort();
	memset(l, 0, sizeof *l);
	l->shard_budget = budget_bytes / SHARD_COUNT;
	for (int i = 0; i < SHARD_COUNT; i++)
		pthread_mutex_init(&l->shards[i].lock, NULL);
	return l;
}

void
lru_free(struct lru *l)
{
	if (l == NULL)
		return;
	for (int i = 0; i < SHARD_COUNT; i++) {
		struct shard *s = &l->shards[i];

		while (s->newest != NULL) {
			struct entry *e = s->newest;

			s->newest = e->older;
			free(e);
		}
		free(s->buckets);
		pthread_mutex_destroy(&s->lock);
	}
	free(l);
}

static size_t
bytes_of(struct entry *e)
{
	return malloc_usable_size(e) + sizeof(size_t); /* and the allocator's own word */
}

static struct entry **
find(struct shard *s, struct slice key, uint64_t hash)
{
	struct entry **at;

	if (s->bucket_count == 0)
		return NULL;
	for (at = &s->buckets[hash & (s->bucket_count - 1)]; *at != NULL; at = &(*at)->next)
		if ((*at)->hash == hash && (*at)->key_len == key.len && memcmp((*at)->bytes, key.data, key.len) == 0)
			return at;
	return NULL;
}

static void
unlink_use(struct shard *s, struct entry *e)
{
	if (e->newer != NULL)
		e->newer->older = e->older;
	else
		s->newest = e->older;
	if (e->older != NULL)
		e->older->newer = e->newer;
	else
		s->oldest = e->newer;
}

static void
link_newest(struct shard *s, struct entry *e)
{
	e->newer = NULL;
	e->older = s->newest;
	if (s->newest != NULL)
		s->newest->newer = e;
	else
		s->oldest = e;
	s->newest = e;
}

/* `at` is where the bucket's list points to the entry. */
static void
drop(struct shard *s, struct entry **at)
{
	struct entry *e = *at;

	*at = e->next;
	unlink_use(s, e);
	s->bytes -= bytes_of(e);
	s->entry_count--;
	free(e);
}

static void
drop_oldest(struct shard *s)
{
	struct entry **at = &s->buckets[s->oldest->hash & (s->bucket_count - 1)];

	while (*at != s->oldest)
		at = &(*at)->next;
	drop(s, at);
	s->evictions++;
}

static void
grow(struct shard *s)
{
	size_t count = s->bucket_count == 0 ? BUCKETS_FIRST : s->bucket_count * 2;
	struct entry **buckets = calloc(count, sizeof *buckets);

	if (buckets == NULL)
		abort();
	for (struct entry *e = s->newest; e != NULL; e = e->older) {
		struct entry **at = &buckets[e->hash & (count - 1)];

		e->next = *at;
		*at = e;
	}
	s->bytes += (count - s->bucket_count) * sizeof *buckets;
	free(s->buckets);
	s->buckets = buckets;
	s->bucket_count = count;
}

static void
insert(struct lru *l, struct shard *s, struct slice key, uint64_t hash, uint64_t stamp, struct slice value)
{
	size_t size = sizeof(struct entry) + key.len + value.len;
	struct entry *e;

	if (size > l->shard_budget / ENTRY_PART_LIMIT)
		return;
	if (s->entry_count >= s->bucket_count)
		grow(s);
	e = malloc(size);
	if (e == NULL)
		return; /* a cache may forget */
	*e = (struct entry){
	    .hash = hash, .stamp = stamp, .key_len = (uint32_t)key.len, .value_len = (uint32_t)value.len};
	memcpy(e->bytes, key.data, key.len);
	if (value.len > 0)
		memcpy(e->bytes + key.len, value.data, value.len);
	e->next = s->buckets[hash & (s->bucket_count - 1)];
	s->buckets[hash & (s->bucket_count - 1)] = e;
	link_newest(s, e);
	s->entry_count++;
	s->bytes += bytes_of(e);
	while (s->bytes > l->shard_budget && s->oldest != NULL)
		drop_oldest(s);
}

bool
lru_get(struct lru *l, struct slice key, uint64_t hash, uint64_t stamp, struct arena *arena, struct slice *ret)
{
	struct shard *s = shard_of(l, hash);
	struct entry **at, *e;
	bool found = false;

	pthread_mutex_lock(&s->lock);
	at = find(s, key, hash);
	if (at != NULL) {
		e = *at;
		if (e->stamp == stamp) {
			found = true;
			*ret = arena_dup(arena, slice_of(e->bytes + e->key_len, e->value_len));
			if (s->newest != e) {
				unlink_use(s, e);
				link_newest(s, e);
			}
		} else if (e->stamp != STAMP_HIDDEN) {
			drop(s, at);
		}
	}
	if (found)
		s->hits++;
	else
		s->misses++;
	pthread_mutex_unlock(&s->lock);
	return found;
}

void
lru_put(struct lru *l, struct slice key, uint64_t hash, uint64_t stamp, struct slice value,
	const _Atomic uint64_t *guard, uint64_t expected)
{
	struct shard *s = shard_of(l, hash);
	struct entry **at;

	pthread_mutex_lock(&s->lock);
	if (atomic_load_explicit(guard, memory_order_acquire) == expected) {
		at = find(s, key, hash);
		if (at != NULL)
			drop(s, at);
		insert(l, s, key, hash, stamp, value);
	}
	pthread_mutex_unlock(&s->lock);
}

void
lru_hide(struct lru *l, struct slice key, uint64_t hash)
{
	struct shard *s = shard_of(l, hash);
	struct entry **at;

	pthread_mutex_lock(&s->lock);
	at = find(s, key, hash);
	if (at != NULL)
		(*at)->stamp = STAMP_HIDDEN;
	pthread_mutex_unlock(&s->lock);
}

void
lru_update(struct lru *l, struct slice key, uint64_t hash, uint64_t stamp, struct slice value)
{
	struct shard *s = shard_of(l, hash);
	struct entry **at;

	pthread_mutex_lock(&s->lock);
	at = find(s, key, hash);
	if (at != NULL) {
		struct entry *e = *at;

		if (e->value_len == value.len) { /* the common overwrite: in place */
			if (value.len > 0)
				memcpy(e->bytes + e->key_len, value.data, value.len);
			e->stamp = stamp;
		} else {
			drop(s, at);
			insert(l, s, key, hash, stamp, value);
		}
	}
	pthread_mutex_unlock(&s->lock);
}

void
lru_remove(struct lru *l, struct slice key, uint64_t hash)
{
	struct shard *s = shard_of(l, hash);
	struct entry **at;

	pthread_mutex_lock(&s->lock);
	at = find(s, key, hash);
	if (at != NULL)
		drop(s, at);
	pthread_mutex_unlock(&s->lock);
}

struct lru_figures
lru_figures(struct lru *l)
{
	struct lru_figures sum = {0};

	for (int i = 0; i < SHARD_COUNT; i++) {
		struct shard *s = &l->shards[i];

		pthread_mutex_lock(&s->lock);
		sum.hits += s->hits;
		sum.misses += s->misses;
		sum.evictions += s->evictions;
		sum.entries += s->entry_count;
		sum.bytes += s->bytes;
		pthread_mutex_unlock(&s->lock);
	}
	return sum;
}
