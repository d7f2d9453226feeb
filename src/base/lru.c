#include "base/lru.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define BUCKETS_FIRST    64
#define STAMP_HIDDEN     UINT64_MAX
#define ENTRY_PART_LIMIT 4          /* a value over a quarter of its shard's budget would push out all others */
#define GONE             (1U << 31) /* in pins: taken out, waits for its last reader */

struct lru_shard {
	_Alignas(64) pthread_mutex_t lock;
	struct lru_entry **buckets;
	size_t bucket_count; /* a power of two, or 0 before the first entry */
	size_t entry_count;
	size_t bytes;
	struct lru_entry *newest, *oldest;
	uint64_t hits, misses, evictions;
};

struct lru {
	size_t shard_budget;
	unsigned shard_count, shift;
	struct lru_shard shards[];
};

uint64_t
lru_hash(struct slice key)
{
	return XXH3_64bits(key.data, key.len);
}

/* The shard comes from the high bits, the bucket from the low ones. */
unsigned
lru_shard_index(const struct lru *l, uint64_t hash)
{
	return l->shift == 64 ? 0 : (unsigned)(hash >> l->shift);
}

unsigned
lru_shard_count(const struct lru *l)
{
	return l->shard_count;
}

struct lru *
lru_new(size_t budget_bytes, unsigned shard_count)
{
	size_t size = sizeof(struct lru) + shard_count * sizeof(struct lru_shard);
	struct lru *l = aligned_alloc(64, size);

	if (l == NULL)
		abort();
	memset(l, 0, size);
	l->shard_count = shard_count;
	l->shift = 64 - (unsigned)__builtin_ctz(shard_count);
	l->shard_budget = budget_bytes / shard_count;
	for (unsigned i = 0; i < shard_count; i++)
		pthread_mutex_init(&l->shards[i].lock, NULL);
	return l;
}

void
lru_free(struct lru *l)
{
	if (l == NULL)
		return;
	for (unsigned i = 0; i < l->shard_count; i++) {
		struct lru_shard *s = &l->shards[i];

		while (s->newest != NULL) {
			struct lru_entry *e = s->newest;

			s->newest = e->older;
			free(e);
		}
		free(s->buckets);
		pthread_mutex_destroy(&s->lock);
	}
	free(l);
}

/* ---- piece by piece ---- */

struct lru_entry *
lru_entry_new(struct lru *l, uint64_t space, struct slice key, uint64_t hash, struct slice value)
{
	size_t size = sizeof(struct lru_entry) + key.len + value.len;
	struct lru_entry *e;

	if (size > l->shard_budget / ENTRY_PART_LIMIT)
		return NULL;
	e = malloc(size);
	if (e == NULL)
		return NULL; /* a cache may forget */
	*e = (struct lru_entry){
	    .hash = hash, .space = space, .key_len = (uint32_t)key.len, .value_len = (uint32_t)value.len};
	if (key.len > 0)
		memcpy(e->bytes, key.data, key.len);
	if (value.len > 0)
		memcpy(e->bytes + key.len, value.data, value.len);
	return e;
}

void
lru_entry_free(struct lru_entry *e)
{
	free(e);
}

size_t
lru_entry_bytes(const struct lru_entry *e)
{
	return malloc_usable_size((void *)e) + sizeof(size_t); /* and the allocator's own word */
}

struct lru_shard *
lru_lock_at(struct lru *l, unsigned index)
{
	pthread_mutex_lock(&l->shards[index].lock);
	return &l->shards[index];
}

struct lru_shard *
lru_lock(struct lru *l, uint64_t hash)
{
	return lru_lock_at(l, lru_shard_index(l, hash));
}

void
lru_unlock(struct lru_shard *s)
{
	pthread_mutex_unlock(&s->lock);
}

static bool
is_key(const struct lru_entry *e, uint64_t space, struct slice key, uint64_t hash)
{
	return e->hash == hash && e->space == space && e->key_len == key.len &&
	       (key.len == 0 || memcmp(e->bytes, key.data, key.len) == 0);
}

struct lru_entry *
lru_find(struct lru_shard *s, uint64_t space, struct slice key, uint64_t hash)
{
	struct lru_entry *e;

	if (s->bucket_count == 0)
		return NULL;
	e = s->buckets[hash & (s->bucket_count - 1)];
	while (e != NULL && !is_key(e, space, key, hash))
		e = e->next;
	return e;
}

static void
unlink_use(struct lru_shard *s, struct lru_entry *e)
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
link_newest(struct lru_shard *s, struct lru_entry *e)
{
	e->newer = NULL;
	e->older = s->newest;
	if (s->newest != NULL)
		s->newest->newer = e;
	else
		s->oldest = e;
	s->newest = e;
}

void
lru_touch(struct lru_shard *s, struct lru_entry *e)
{
	if (s->newest == e)
		return;
	unlink_use(s, e);
	link_newest(s, e);
}

struct lru_entry *
lru_oldest(struct lru_shard *s)
{
	return s->oldest;
}

struct lru_entry *
lru_newer(struct lru_entry *e)
{
	return e->newer;
}

bool
lru_is_full(const struct lru *l, const struct lru_shard *s)
{
	return s->bytes > l->shard_budget;
}

static void
grow(struct lru_shard *s)
{
	size_t count = s->bucket_count == 0 ? BUCKETS_FIRST : s->bucket_count * 2;
	struct lru_entry **buckets = calloc(count, sizeof *buckets);

	if (buckets == NULL)
		abort();
	for (struct lru_entry *e = s->newest; e != NULL; e = e->older) {
		struct lru_entry **at = &buckets[e->hash & (count - 1)];

		e->next = *at;
		*at = e;
	}
	s->bytes += (count - s->bucket_count) * sizeof *buckets;
	free(s->buckets);
	s->buckets = buckets;
	s->bucket_count = count;
}

void
lru_insert(struct lru_shard *s, struct lru_entry *e)
{
	struct lru_entry **at;

	if (s->entry_count >= s->bucket_count)
		grow(s);
	at = &s->buckets[e->hash & (s->bucket_count - 1)];
	e->next = *at;
	*at = e;
	link_newest(s, e);
	s->entry_count++;
	s->bytes += lru_entry_bytes(e);
}

static void
free_entry(struct lru_shard *s, struct lru_entry *e)
{
	s->bytes -= lru_entry_bytes(e);
	free(e);
}

void
lru_delete(struct lru_shard *s, struct lru_entry *e)
{
	struct lru_entry **at = &s->buckets[e->hash & (s->bucket_count - 1)];

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	unlink_use(s, e);
	s->entry_count--;
	if (e->pins > 0)
		e->pins |= GONE;
	else
		free_entry(s, e);
}

void
lru_pin(struct lru_entry *e)
{
	e->pins++;
}

void
lru_unpin(struct lru_shard *s, struct lru_entry *e)
{
	if (--e->pins == GONE)
		free_entry(s, e);
}

/* ---- as a whole ---- */

static void
insert(struct lru *l, struct lru_shard *s, struct slice key, uint64_t hash, uint64_t stamp, struct slice value)
{
	struct lru_entry *e = lru_entry_new(l, 0, key, hash, value);

	if (e == NULL)
		return;
	e->stamp = stamp;
	lru_insert(s, e);
	while (lru_is_full(l, s) && s->oldest != NULL) {
		lru_delete(s, s->oldest);
		s->evictions++;
	}
}

bool
lru_get(struct lru *l, struct slice key, uint64_t hash, uint64_t stamp, struct arena *arena, struct slice *ret)
{
	struct lru_shard *s = lru_lock(l, hash);
	struct lru_entry *e = lru_find(s, 0, key, hash);
	bool found = e != NULL && e->stamp == stamp;

	if (found) {
		*ret = arena_dup(arena, lru_entry_value(e));
		lru_touch(s, e);
		s->hits++;
	} else {
		if (e != NULL && e->stamp != STAMP_HIDDEN)
			lru_delete(s, e);
		s->misses++;
	}
	lru_unlock(s);
	return found;
}

void
lru_put(struct lru *l, struct slice key, uint64_t hash, uint64_t stamp, struct slice value,
	const _Atomic uint64_t *guard, uint64_t expected)
{
	struct lru_shard *s = lru_lock(l, hash);

	if (atomic_load_explicit(guard, memory_order_acquire) == expected) {
		struct lru_entry *e = lru_find(s, 0, key, hash);

		if (e != NULL)
			lru_delete(s, e);
		insert(l, s, key, hash, stamp, value);
	}
	lru_unlock(s);
}

void
lru_hide(struct lru *l, struct slice key, uint64_t hash)
{
	struct lru_shard *s = lru_lock(l, hash);
	struct lru_entry *e = lru_find(s, 0, key, hash);

	if (e != NULL)
		e->stamp = STAMP_HIDDEN;
	lru_unlock(s);
}

void
lru_update(struct lru *l, struct slice key, uint64_t hash, uint64_t stamp, struct slice value)
{
	struct lru_shard *s = lru_lock(l, hash);
	struct lru_entry *e = lru_find(s, 0, key, hash);

	if (e != NULL && e->value_len == value.len) { /* the common overwrite: in place */
		if (value.len > 0)
			memcpy(e->bytes + e->key_len, value.data, value.len);
		e->stamp = stamp;
	} else if (e != NULL) {
		lru_delete(s, e);
		insert(l, s, key, hash, stamp, value);
	}
	lru_unlock(s);
}

void
lru_remove(struct lru *l, struct slice key, uint64_t hash)
{
	struct lru_shard *s = lru_lock(l, hash);
	struct lru_entry *e = lru_find(s, 0, key, hash);

	if (e != NULL)
		lru_delete(s, e);
	lru_unlock(s);
}

struct lru_figures
lru_figures(struct lru *l)
{
	struct lru_figures sum = {0};

	for (unsigned i = 0; i < l->shard_count; i++) {
		struct lru_shard *s = lru_lock_at(l, i);

		sum.hits += s->hits;
		sum.misses += s->misses;
		sum.evictions += s->evictions;
		sum.entries += s->entry_count;
		sum.bytes += s->bytes;
		lru_unlock(s);
	}
	return sum;
}
