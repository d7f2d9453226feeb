#include "base/lru.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/slab.h"

#define SHARDS_MAX       64
#define SHARD_BYTES      (8U << 20) /* at least, if there are several */
#define BUCKETS_FIRST    64
#define STAMP_HIDDEN     UINT64_MAX
#define ENTRY_PART_LIMIT 4          /* a value over a quarter of its shard's budget would push out all others */
#define GONE             (1U << 31) /* in pins: taken out, waits for its last reader */
#define AGAIN_OF_5       4          /* fifths of the entries that may be in the second list when room is made */
#define KEEP_SHIFT       62         /* of random 64 bits: one value in four is kept when there is no free room */

struct list {
	struct lru_entry *newest, *oldest;
	size_t count;
};

struct lru_shard {
	_Alignas(64) pthread_mutex_t lock;
	struct lru_entry **buckets;
	size_t bucket_count; /* a power of two, or 0 before the first entry */
	size_t entry_count;
	struct list lists[2]; /* by lru_entry.again */
	uint64_t hits, misses, evictions;
	uint64_t dice;
	struct slab slab;
};

struct lru {
	size_t shard_budget;
	unsigned shard_count, shift;
	void (*evicted)(void *context, struct lru_shard *s, struct lru_entry *e);
	void *context;
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

unsigned
lru_shards_for(size_t budget)
{
	unsigned count = 1;

	while (count < SHARDS_MAX && budget / (count * 2) >= SHARD_BYTES)
		count *= 2;
	return count;
}

struct lru *
lru_new(size_t budget_bytes)
{
	unsigned shard_count = lru_shards_for(budget_bytes);
	size_t size = sizeof(struct lru) + shard_count * sizeof(struct lru_shard);
	struct lru *l = aligned_alloc(64, (size + 63) & ~(size_t)63);

	if (l == NULL)
		abort();
	memset(l, 0, size);
	l->shard_count = shard_count;
	l->shift = 64 - (unsigned)__builtin_ctz(shard_count);
	l->shard_budget = budget_bytes / shard_count;
	for (unsigned i = 0; i < shard_count; i++) {
		pthread_mutex_init(&l->shards[i].lock, NULL);
		slab_init(&l->shards[i].slab, l->shard_budget);
	}
	return l;
}

void
lru_free(struct lru *l)
{
	if (l == NULL)
		return;
	for (unsigned i = 0; i < l->shard_count; i++) {
		slab_done(&l->shards[i].slab);
		free(l->shards[i].buckets);
		pthread_mutex_destroy(&l->shards[i].lock);
	}
	free(l);
}

void
lru_on_eviction(struct lru *l, void (*evicted)(void *context, struct lru_shard *s, struct lru_entry *e), void *context)
{
	l->evicted = evicted;
	l->context = context;
}

/* ---- an entry's parts ---- */

static size_t
head_room(const struct lru_shard *s, const struct lru_entry *e)
{
	return slab_slot_bytes(&s->slab, e) - offsetof(struct lru_entry, bytes);
}

static size_t
part_room(const struct lru_shard *s, const struct lru_part *part)
{
	return slab_slot_bytes(&s->slab, part) - sizeof *part;
}

/* Walks over an entry's bytes. */
struct walk {
	const struct lru_shard *s;
	struct lru_part *part;
	char *at;
	size_t left; /* in this part */
};

static struct walk
walk_begin(const struct lru_shard *s, const struct lru_entry *e)
{
	return (struct walk){s, (struct lru_part *)&e->part, (char *)e->bytes, head_room(s, e)};
}

/* The next run of bytes, at most `wanted`. */
static struct slice
walk_run(struct walk *w, size_t wanted)
{
	struct slice run;

	if (w->left == 0) {
		w->part = w->part->more;
		w->at = (char *)(w->part + 1);
		w->left = part_room(w->s, w->part);
	}
	run = slice_of(w->at, wanted < w->left ? wanted : w->left);
	w->at += run.len;
	w->left -= run.len;
	return run;
}

static void
walk_read(struct walk *w, char *ret, size_t len)
{
	while (len > 0) {
		struct slice run = walk_run(w, len);

		if (ret != NULL) {
			memcpy(ret, run.data, run.len);
			ret += run.len;
		}
		len -= run.len;
	}
}

static void
walk_write(struct walk *w, const char *data, size_t len)
{
	while (len > 0) {
		struct slice run = walk_run(w, len);

		memcpy((char *)run.data, data, run.len);
		data += run.len;
		len -= run.len;
	}
}

static bool
walk_equals(struct walk *w, struct slice key)
{
	while (key.len > 0) {
		struct slice run = walk_run(w, key.len);

		if (memcmp(run.data, key.data, run.len) != 0)
			return false;
		key = slice_of(key.data + run.len, key.len - run.len);
	}
	return true;
}

void
lru_read(const struct lru_shard *s, const struct lru_entry *e, char *ret)
{
	struct walk w;

	if (e->value_len == 0)
		return;
	if (e->part.more == NULL) {
		memcpy(ret, e->bytes + e->key_len, e->value_len);
		return;
	}
	w = walk_begin(s, e);
	walk_read(&w, NULL, e->key_len);
	walk_read(&w, ret, e->value_len);
}

void
lru_read_part(const struct lru_shard *s, const struct lru_entry *e, size_t from, size_t len, char *ret)
{
	struct walk w = walk_begin(s, e);

	walk_read(&w, NULL, e->key_len + from);
	walk_read(&w, ret, len);
}

size_t
lru_runs(const struct lru_shard *s, const struct lru_entry *e, size_t from, size_t len, struct slice *ret, size_t max)
{
	struct walk w = walk_begin(s, e);
	size_t count = 0;

	walk_read(&w, NULL, e->key_len + from);
	while (len > 0 && count < max) {
		ret[count] = walk_run(&w, len);
		len -= ret[count++].len;
	}
	return len == 0 ? count : 0;
}

void
lru_write(const struct lru_shard *s, struct lru_entry *e, const char *value)
{
	struct walk w;

	if (e->value_len == 0)
		return;
	w = walk_begin(s, e);
	walk_read(&w, NULL, e->key_len);
	walk_write(&w, value, e->value_len);
}

size_t
lru_entry_bytes(const struct lru_shard *s, const struct lru_entry *e)
{
	size_t bytes = 0;

	for (const struct lru_part *part = &e->part; part != NULL; part = part->more)
		bytes += slab_slot_bytes(&s->slab, part);
	return bytes;
}

/* ---- piece by piece ---- */

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
lru_relock(struct lru_shard *s)
{
	pthread_mutex_lock(&s->lock);
}

void
lru_unlock(struct lru_shard *s)
{
	pthread_mutex_unlock(&s->lock);
}

static bool
is_key(const struct lru_shard *s, const struct lru_entry *e, uint64_t space, struct slice key, uint64_t hash)
{
	struct walk w;

	if (e->hash != hash || e->space != space || e->key_len != key.len)
		return false;
	if (key.len == 0)
		return true;
	if (e->part.more == NULL)
		return memcmp(e->bytes, key.data, key.len) == 0;
	w = walk_begin(s, e);
	return walk_equals(&w, key);
}

struct lru_entry *
lru_find(struct lru_shard *s, uint64_t space, struct slice key, uint64_t hash)
{
	struct lru_entry *e;

	if (s->bucket_count == 0)
		return NULL;
	e = s->buckets[hash & (s->bucket_count - 1)];
	while (e != NULL && !is_key(s, e, space, key, hash))
		e = e->next;
	return e;
}

static void
unlink_use(struct lru_shard *s, struct lru_entry *e)
{
	struct list *l = &s->lists[e->again];

	*(e->newer != NULL ? &e->newer->older : &l->newest) = e->older;
	*(e->older != NULL ? &e->older->newer : &l->oldest) = e->newer;
	l->count--;
}

static void
link_newest(struct lru_shard *s, struct lru_entry *e)
{
	struct list *l = &s->lists[e->again];

	e->newer = NULL;
	e->older = l->newest;
	*(l->newest != NULL ? &l->newest->newer : &l->oldest) = e;
	l->newest = e;
	l->count++;
}

void
lru_touch(struct lru_shard *s, struct lru_entry *e)
{
	if (s->lists[e->again].newest == e)
		return;
	unlink_use(s, e);
	link_newest(s, e);
}

static void
move_to(struct lru_shard *s, struct lru_entry *e, bool again)
{
	unlink_use(s, e);
	e->again = again;
	link_newest(s, e);
}

/* Used now, and not for the first time. */
static void
use_again(struct lru_shard *s, struct lru_entry *e)
{
	if (e->again)
		lru_touch(s, e);
	else
		move_to(s, e, true);
}

struct lru_entry *
lru_oldest(struct lru_shard *s)
{
	return s->lists[false].oldest != NULL ? s->lists[false].oldest : s->lists[true].oldest;
}

struct lru_entry *
lru_newer(struct lru_entry *e)
{
	return e->newer;
}

/* ---- memory ---- */

static struct lru_entry **
bucket_of(struct lru_shard *s, const struct lru_entry *e)
{
	struct lru_entry **at = &s->buckets[e->hash & (s->bucket_count - 1)];

	while (*at != e)
		at = &(*at)->next;
	return at;
}

static void
move_head(struct lru_shard *s, struct lru_entry *e, struct lru_entry *to)
{
	struct list *l = &s->lists[e->again];

	*bucket_of(s, e) = to;
	*(e->newer != NULL ? &e->newer->older : &l->newest) = to;
	*(e->older != NULL ? &e->older->newer : &l->oldest) = to;
	for (struct lru_part *part = &to->part; part != NULL; part = part->more)
		part->head = to;
}

/* A slot has moved: for slab_compact(). */
static bool
move(void *context, void *from, void *to, size_t bytes)
{
	struct lru_entry *e = ((struct lru_part *)from)->head;
	struct lru_part *before;

	if (e->pins > 0)
		return false;
	memcpy(to, from, bytes);
	if (from == e) {
		move_head(context, e, to);
		return true;
	}
	for (before = &e->part; before->more != from; before = before->more)
		continue;
	before->more = to;
	return true;
}

static void
free_entry(struct lru_shard *s, struct lru_entry *e)
{
	struct lru_part *part = &e->part;

	while (part != NULL) {
		struct lru_part *more = part->more;

		slab_free(&s->slab, part);
		part = more;
	}
}

static void
evict_oldest(struct lru *l, struct lru_shard *s)
{
	struct lru_entry *e;

	if (s->lists[true].count > s->entry_count / 5 * AGAIN_OF_5)
		move_to(s, s->lists[true].oldest, false);
	e = lru_oldest(s);
	if (l->evicted != NULL)
		l->evicted(l->context, s, e);
	s->evictions++;
	lru_delete(s, e);
}

/* NULL: all that is left is pinned. */
static void *
take_slot(struct lru *l, struct lru_shard *s, unsigned class)
{
	void *slot;

	while ((slot = slab_alloc(&s->slab, class)) == NULL) {
		if (slab_compact(&s->slab, move, s))
			continue;
		if (lru_oldest(s) == NULL)
			return NULL;
		evict_oldest(l, s);
	}
	return slot;
}

struct lru_entry *
lru_make(struct lru *l, struct lru_shard *s, uint64_t space, struct slice key, uint64_t hash, size_t value_len)
{
	size_t left = offsetof(struct lru_entry, bytes) + key.len + value_len;
	unsigned class = slab_class_for(left);
	struct lru_part *part;
	struct lru_entry *e;
	struct walk w;

	if (left > l->shard_budget / ENTRY_PART_LIMIT || (e = take_slot(l, s, class)) == NULL)
		return NULL;
	*e = (struct lru_entry){.part.head = e,
				.hash = hash,
				.space = space,
				.key_len = (uint32_t)key.len,
				.value_len = (uint32_t)value_len,
				.pins = 1};
	for (part = &e->part; left > slab_class_bytes(class); part = part->more) {
		left -= slab_class_bytes(class);
		left += sizeof *part;
		class = slab_class_for(left);
		part->more = take_slot(l, s, class);
		if (part->more == NULL) {
			free_entry(s, e);
			return NULL;
		}
		*part->more = (struct lru_part){.head = e};
	}
	w = walk_begin(s, e);
	walk_write(&w, key.data, key.len);
	return e;
}

void
lru_abandon(struct lru_shard *s, struct lru_entry *e)
{
	if (e != NULL)
		free_entry(s, e);
}

/* The table of buckets is part of the budget. */
static void
grow(struct lru *l, struct lru_shard *s)
{
	size_t count = s->bucket_count == 0 ? BUCKETS_FIRST : s->bucket_count * 2;
	struct lru_entry **buckets = calloc(count, sizeof *buckets);

	if (buckets == NULL)
		abort();
	for (int i = 0; i < 2; i++)
		for (struct lru_entry *e = s->lists[i].newest; e != NULL; e = e->older) {
			struct lru_entry **at = &buckets[e->hash & (count - 1)];

			e->next = *at;
			*at = e;
		}
	free(s->buckets);
	s->buckets = buckets;
	s->bucket_count = count;
	slab_limit(&s->slab, l->shard_budget - count * sizeof *buckets);
}

/* The buckets have taken memory that pages had. */
static void
shrink(struct lru *l, struct lru_shard *s)
{
	while (slab_over_limit(&s->slab) && lru_oldest(s) != NULL)
		if (!slab_compact(&s->slab, move, s))
			evict_oldest(l, s);
	slab_trim(&s->slab);
}

void
lru_insert(struct lru *l, struct lru_shard *s, struct lru_entry *e)
{
	struct lru_entry **at;

	if (s->entry_count >= s->bucket_count)
		grow(l, s);
	at = &s->buckets[e->hash & (s->bucket_count - 1)];
	e->next = *at;
	*at = e;
	link_newest(s, e);
	s->entry_count++;
	e->pins--;
	if (slab_over_limit(&s->slab))
		shrink(l, s);
}

void
lru_delete(struct lru_shard *s, struct lru_entry *e)
{
	*bucket_of(s, e) = e->next;
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

void
lru_trim(struct lru_shard *s)
{
	slab_trim(&s->slab);
}

/* ---- as a whole ---- */

static void
insert(struct lru *l, struct lru_shard *s, struct slice key, uint64_t hash, uint64_t stamp, struct slice value)
{
	struct lru_entry *e = value.len <= LRU_VALUE_MAX ? lru_make(l, s, 0, key, hash, value.len) : NULL;

	if (e == NULL)
		return;
	lru_write(s, e, value.data);
	e->stamp = stamp;
	lru_insert(l, s, e);
}

/* Has the shard room for a value that nothing is known of? When it is full the dice say. */
static bool
keeps(struct lru_shard *s)
{
	if (s->evictions == 0)
		return true;
	s->dice = s->dice * 6364136223846793005U + 1442695040888963407U; /* Knuth's MMIX */
	return s->dice >> KEEP_SHIFT == 0;
}

bool
lru_get(struct lru *l, struct slice key, uint64_t hash, uint64_t stamp, struct arena *arena, struct slice *ret)
{
	struct lru_shard *s = lru_lock(l, hash);
	struct lru_entry *e = lru_find(s, 0, key, hash);
	bool found = e != NULL && e->stamp == stamp;

	if (found) {
		char *copy = arena_alloc(arena, e->value_len + 1U);

		lru_read(s, e, copy);
		copy[e->value_len] = '\0';
		*ret = slice_of(copy, e->value_len);
		use_again(s, e);
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
		if (e != NULL || keeps(s))
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
		lru_write(s, e, value.data);
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
		sum.bytes += slab_bytes(&s->slab) + s->bucket_count * sizeof *s->buckets;
		lru_unlock(s);
	}
	return sum;
}

/* ---- values too large to be copied under a lock ---- */

struct lru_entry *
lru_hold(struct lru *l, struct slice key, uint64_t hash, uint64_t stamp, const _Atomic uint64_t *guard,
	 struct lru_shard **ret_shard)
{
	struct lru_shard *s = lru_lock(l, hash);
	struct lru_entry *e = lru_find(s, 0, key, hash);

	if (e != NULL &&
	    (e->stamp != stamp || (uint64_t)e->at_ms != atomic_load_explicit(guard, memory_order_acquire))) {
		lru_delete(s, e);
		e = NULL;
	}
	if (e != NULL) {
		lru_pin(e);
		use_again(s, e);
		s->hits++;
	} else {
		s->misses++;
	}
	lru_unlock(s);
	*ret_shard = s;
	return e;
}

void
lru_let_go(struct lru_shard *s, struct lru_entry *e)
{
	lru_relock(s);
	lru_unpin(s, e);
	lru_unlock(s);
}

/* It is filled without the lock, so another thread may have put the same meanwhile. */
void
lru_keep(struct lru *l, struct slice key, uint64_t hash, uint64_t stamp, const struct slice *parts, size_t count,
	 const _Atomic uint64_t *guard, uint64_t expected)
{
	struct lru_shard *s;
	struct lru_entry *e;
	struct walk w;
	size_t len = 0;

	for (size_t i = 0; i < count; i++)
		len += parts[i].len;
	if (len > UINT32_MAX)
		return;
	s = lru_lock(l, hash);
	e = atomic_load_explicit(guard, memory_order_acquire) == expected ? lru_make(l, s, 0, key, hash, len) : NULL;
	lru_unlock(s);
	if (e == NULL)
		return;
	e->stamp = stamp;
	e->at_ms = (int64_t)expected;
	w = walk_begin(s, e);
	walk_read(&w, NULL, e->key_len);
	for (size_t i = 0; i < count; i++)
		walk_write(&w, parts[i].data, parts[i].len);
	lru_relock(s);
	if (lru_find(s, 0, key, hash) == NULL)
		lru_insert(l, s, e);
	else
		lru_abandon(s, e);
	lru_unlock(s);
}
