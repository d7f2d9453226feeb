/*
 * Programs by their text, one cache for each thread, so no locks. Bounded whatever clients send: 512 programs, 2 MiB in
 * all; a program over 16 KiB is parsed each time. Four places for each hash value; a new program takes the place that
 * was not used since the last search for one.
 */
#include "base/clock.h"
#include "expr/expr_int.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define WAYS          4
#define SETS          128
#define PLACES        (WAYS * SETS)
#define BYTES_MAX     (2u * 1024 * 1024)
#define ONE_BYTES_MAX (16u * 1024)
#define SCRATCH_KEEP  (256u * 1024)

struct cache {
	struct program *programs[PLACES];
	bool used[PLACES];
	size_t bytes;
	uint32_t hand; /* next place to lose its program when bytes run out */
};

static _Thread_local struct cache *cache;
static _Thread_local struct buf scratch;

/* ---- the end of a thread ---- */

static pthread_key_t thread_end;

static void
free_at_end(void *unused)
{
	(void)unused;
	expr_cache_done();
}

static void
make_key(void)
{
	pthread_key_create(&thread_end, free_at_end);
}

/* Threads of a pool know nothing of this cache, so it goes with the thread by itself. */
static void
free_with_thread(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_key);
	pthread_setspecific(thread_end, &thread_end);
}

/* ---- hashing ---- */

static inline uint64_t
mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Unknown to clients; all threads must agree on it because a request may change threads. */
static uint64_t
hash_key(void)
{
	static _Atomic uint64_t key;
	uint64_t k = atomic_load_explicit(&key, memory_order_relaxed);

	if (k == 0) {
		uint64_t none = 0;

		k = mix((uint64_t)clock_mono_ns() ^ 0x9E3779B97F4A7C15u, (uint64_t)(uintptr_t)&k | 1) | 1;
		if (!atomic_compare_exchange_strong(&key, &none, k))
			k = none;
	}
	return k;
}

uint64_t
cache_hash(struct slice bytes)
{
	uint64_t key = hash_key(), h = key ^ bytes.len, a, b;
	const char *at = bytes.data;
	size_t left = bytes.len;

	for (; left >= 16; at += 16, left -= 16) {
		memcpy(&a, at, 8);
		memcpy(&b, at + 8, 8);
		h = mix(a ^ key ^ 0xE7037ED1A0B428DBu, b ^ h);
	}
	a = b = 0;
	if (left > 8) {
		memcpy(&a, at, 8);
		memcpy(&b, at + 8, left - 8);
	} else if (left > 0) {
		memcpy(&a, at, left);
	}
	return mix(mix(a ^ key ^ 0x8EBC6AF09C88C6E3u, b ^ h), key ^ 0x589965CC75374CC3u);
}

/* ---- programs ---- */

static struct program *
program_copy(const struct program *p, uint64_t hash)
{
	size_t nodes = p->node_count * sizeof *p->nodes, links = p->link_count * sizeof *p->links;
	size_t elems = p->elem_count * sizeof *p->elems, names = p->name_count * sizeof *p->names;
	size_t values = p->value_count * sizeof *p->values;
	size_t bytes = sizeof *p + nodes + links + elems + names + values + p->text.len;
	struct program *copy;
	char *at;

	if (bytes > ONE_BYTES_MAX)
		return NULL;
	copy = malloc(bytes);
	if (copy == NULL)
		return NULL; /* then it is not cached */
	*copy = *p;
	copy->hash = hash;
	copy->bytes = bytes;
	at = (char *)(copy + 1);
	/* all of these hold 4-byte integers at most: one behind the other keeps them aligned */
	copy->nodes = memcpy(at, p->nodes, nodes);
	copy->links = memcpy(at += nodes, p->links, links);
	copy->elems = memcpy(at += links, p->elems, elems);
	copy->names = memcpy(at += elems, p->names, names);
	copy->values = memcpy(at += names, p->values, values);
	copy->text = slice_of(memcpy(at + values, p->text.data, p->text.len), p->text.len);
	return copy;
}

/* One grammar, one program: conditions, filters and key conditions only differ in messages and in what is done with
 * them. */
static enum expr_kind
grammar_of(enum expr_kind kind)
{
	return kind == EXPR_FILTER || kind == EXPR_KEY_CONDITION || kind == EXPR_SEARCH ? EXPR_CONDITION : kind;
}

static uint32_t
set_of(enum expr_kind kind, uint64_t hash)
{
	return (uint32_t)((hash + kind) % SETS) * WAYS;
}

const struct program *
cache_find(enum expr_kind kind, struct slice text, uint64_t hash)
{
	uint32_t place;

	if (cache == NULL)
		return NULL;
	kind = grammar_of(kind);
	place = set_of(kind, hash);
	for (uint32_t end = place + WAYS; place < end; place++) {
		const struct program *p = cache->programs[place];

		if (p != NULL && p->hash == hash && p->kind == kind && slice_eq(p->text, text)) {
			cache->used[place] = true;
			return p;
		}
	}
	return NULL;
}

static void
drop(uint32_t place)
{
	if (cache->programs[place] == NULL)
		return;
	cache->bytes -= cache->programs[place]->bytes;
	free(cache->programs[place]);
	cache->programs[place] = NULL;
}

static uint32_t
place_for(uint32_t set)
{
	for (uint32_t i = set; i < set + WAYS; i++)
		if (cache->programs[i] == NULL)
			return i;
	for (uint32_t i = set; i < set + WAYS; i++) {
		if (!cache->used[i])
			return i;
		cache->used[i] = false;
	}
	return set;
}

void
cache_keep(const struct program *parsed, uint64_t hash)
{
	struct program *copy = program_copy(parsed, hash);
	uint32_t place;

	if (copy == NULL)
		return;
	if (cache == NULL) {
		cache = calloc(1, sizeof *cache);
		free_with_thread();
	}
	if (cache == NULL) {
		free(copy);
		return;
	}
	copy->kind = grammar_of(copy->kind);
	while (cache->bytes + copy->bytes > BYTES_MAX) {
		if (cache->used[cache->hand])
			cache->used[cache->hand] = false;
		else
			drop(cache->hand);
		cache->hand = (cache->hand + 1) % PLACES;
	}
	place = place_for(set_of(copy->kind, hash));
	drop(place);
	cache->programs[place] = copy;
	cache->used[place] = false; /* a text sent once is the first to go */
	cache->bytes += copy->bytes;
}

/* ---- scratch ---- */

struct buf *
scratch_take(void)
{
	if (scratch.cap == 0)
		free_with_thread();
	scratch.len = 0;
	return &scratch;
}

void
scratch_give(struct buf *b)
{
	if (b->cap > SCRATCH_KEEP)
		buf_done(b);
}

void
expr_cache_done(void)
{
	for (uint32_t i = 0; cache != NULL && i < PLACES; i++)
		free(cache->programs[i]);
	free(cache);
	cache = NULL;
	buf_done(&scratch);
}
