/*
 * The caches themselves. Everything about a key happens under the lock of its shard: the entry, the key's version, the
 * counts. An entry is made before the lock is taken.
 */
#include "base/clock.h"
#include "base/crypto.h"
#include "cache/cache_int.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define COPY_LOCKED (16 * 1024) /* larger values are copied without the lock */
#define KIND_ABSENT 2           /* in lru_entry.kind, beside the cache_kind */

static void *
zeroed(size_t count, size_t size)
{
	void *p = calloc(count, size);

	if (p == NULL)
		abort();
	return p;
}

static struct cache_figures *
counts_of_entry(struct cache *c, const struct lru_entry *e)
{
	return &counts_at(c, lru_shard_index(c->lru, e->hash), e->tag, e->kind & 1)->f;
}

static void
uncount(struct cache *c, const struct lru_shard *s, const struct lru_entry *e)
{
	struct cache_figures *f = counts_of_entry(c, e);

	f->entries--;
	f->bytes -= lru_entry_bytes(s, e);
}

/* It makes room for another. */
static void
evicted(void *context, struct lru_shard *s, struct lru_entry *e)
{
	counts_of_entry(context, e)->evictions++;
	uncount(context, s, e);
}

struct cache *
cache_new(uint64_t budget_bytes)
{
	struct cache *c = zeroed(1, sizeof *c);
	unsigned shards = lru_shards_for(budget_bytes);
	uint64_t fixed;

	c->versions = zeroed((size_t)shards * VERSIONS, sizeof *c->versions);
	c->counts = zeroed((size_t)shards * TABLE_PLACES * CACHE_KINDS, sizeof *c->counts);
	c->times = aligned_alloc(64, shards * sizeof *c->times);
	if (c->times == NULL)
		abort();
	memset(c->times, 0, shards * sizeof *c->times);
	c->fixed_bytes = fixed = sizeof *c + shards * (VERSIONS * sizeof *c->versions + sizeof *c->times +
						       (uint64_t)TABLE_PLACES * CACHE_KINDS * sizeof *c->counts);
	c->lru = lru_new(budget_bytes > fixed ? budget_bytes - fixed : 0);
	lru_on_eviction(c->lru, evicted, c);
	c->budget = budget_bytes;
	crypto_random(&c->seed, sizeof c->seed); /* nobody can choose keys that meet in one bucket */
	for (int kind = 0; kind < CACHE_KINDS; kind++)
		atomic_store(&c->ttl_ms[kind], CACHE_TTL_DEFAULT_MS);
	pthread_mutex_init(&c->places_lock, NULL);
	return c;
}

void
cache_free(struct cache *c)
{
	if (c == NULL)
		return;
	lru_free(c->lru);
	free(c->versions);
	free(c->counts);
	free(c->times);
	places_done(c);
	pthread_mutex_destroy(&c->places_lock);
	free(c);
}

void
cache_set_ttl(struct cache *c, enum cache_kind kind, int64_t ttl_ms)
{
	atomic_store(&c->ttl_ms[kind], ttl_ms);
}

int64_t
cache_ttl(const struct cache *c, enum cache_kind kind)
{
	return atomic_load_explicit(&c->ttl_ms[kind], memory_order_relaxed);
}

uint64_t
cache_budget(const struct cache *c)
{
	return c->budget;
}

void
cache_key_make(struct cache *c, struct cache_key *k, enum cache_kind kind, uint64_t table_id, struct slice table_name,
	       struct slice bytes)
{
	k->bytes = bytes;
	k->table_name = table_name;
	k->space = table_id << 1 | kind;
	k->hash = XXH3_64bits_withSeed(bytes.data, bytes.len, c->seed ^ (k->space * 0x9E3779B97F4A7C15ULL));
	k->version = k->epoch = 0;
	k->table = places_find(c, table_id, table_name);
	k->off = c->covers != NULL && table_name.data != NULL && !c->covers(c->covers_context, table_id, table_name);
}

void
cache_cover(struct cache *c, cache_covers *covers, void *context)
{
	c->covers_context = context;
	c->covers = covers;
}

static enum cache_kind
kind_of(const struct cache_key *k)
{
	return (enum cache_kind)(k->space & 1);
}

static _Atomic uint64_t *
epoch_of(struct cache *c, uint64_t space)
{
	return &c->epochs[space & 1][(space >> 1) % EPOCHS];
}

static struct version *
version_of(struct cache *c, uint64_t hash)
{
	return &c->versions[(size_t)lru_shard_index(c->lru, hash) * VERSIONS + (hash >> 24) % VERSIONS];
}

static struct cache_figures *
counts_of_key(struct cache *c, const struct cache_key *k)
{
	return &counts_at(c, lru_shard_index(c->lru, k->hash), k->table, kind_of(k))->f;
}

/* Nothing is kept under this key. */
static bool
is_off(const struct cache *c, const struct cache_key *k)
{
	return k->off || (kind_of(k) == CACHE_QUERIES && cache_ttl(c, CACHE_QUERIES) == 0);
}

static void delete (struct cache *c, struct lru_shard *s, struct lru_entry *e)
{
	uncount(c, s, e);
	lru_delete(s, e);
}

/* What is there under the key, NULL when there is nothing or what there is has ended, which is then removed. */
static struct lru_entry *
find_living(struct cache *c, struct lru_shard *s, const struct cache_key *k)
{
	struct lru_entry *e = lru_find(s, k->space, k->bytes, k->hash);
	int64_t ttl = cache_ttl(c, kind_of(k)), age;

	if (e == NULL)
		return NULL;
	if (e->stamp != k->epoch) {
		counts_of_entry(c, e)->invalidated++;
		delete (c, s, e);
		return NULL;
	}
	if (ttl == 0)
		return e; /* of items: for ever */
	age = clock_wall_ms() - e->at_ms;
	if (age >= 0 && age < ttl) /* a clock that was set back makes all entries old */
		return e;
	counts_of_entry(c, e)->expired++;
	delete (c, s, e);
	return NULL;
}

static void
append(const struct lru_shard *s, const struct lru_entry *e, struct buf *out)
{
	if (e->value_len == 0)
		return;
	buf_reserve(out, e->value_len);
	lru_read(s, e, out->data + out->len);
	out->len += e->value_len;
}

/* The entry is pinned meanwhile. Ends the lock. */
static void
append_unlocked(struct lru_shard *s, struct lru_entry *e, struct buf *out)
{
	lru_pin(e);
	lru_unlock(s);
	append(s, e, out);
	lru_relock(s);
	lru_unpin(s, e);
	lru_unlock(s);
}

/* Ends the lock. */
static enum cache_found
found(struct cache *c, struct lru_shard *s, const struct cache_key *k, struct lru_entry *e, struct buf *out)
{
	struct cache_figures *f = counts_of_key(c, k);

	f->hits++;
	lru_touch(s, e);
	if (e->kind & KIND_ABSENT) {
		f->absent_hits++;
		lru_unlock(s);
		return CACHE_ABSENT;
	}
	if (e->value_len > COPY_LOCKED || e->value_len > out->cap - out->len) {
		append_unlocked(s, e, out);
		return CACHE_HIT;
	}
	append(s, e, out);
	lru_unlock(s);
	return CACHE_HIT;
}

enum cache_found
cache_peek(struct cache *c, struct cache_key *k, struct buf *out)
{
	struct lru_shard *s;
	struct lru_entry *e;

	k->epoch = atomic_load_explicit(epoch_of(c, k->space), memory_order_acquire);
	if (is_off(c, k))
		return CACHE_MISS;
	s = lru_lock(c->lru, k->hash);
	e = find_living(c, s, k);
	if (e != NULL)
		return found(c, s, k, e, out);
	lru_unlock(s);
	return CACHE_MISS;
}

enum cache_found
cache_get(struct cache *c, struct cache_key *k, struct buf *out)
{
	struct lru_shard *s;
	struct lru_entry *e;

	k->epoch = atomic_load_explicit(epoch_of(c, k->space), memory_order_acquire);
	if (is_off(c, k))
		return CACHE_MISS;
	s = lru_lock(c->lru, k->hash);
	e = find_living(c, s, k);
	if (e != NULL)
		return found(c, s, k, e, out);
	counts_of_key(c, k)->misses++;
	k->version = version_of(c, k->hash)->count;
	lru_unlock(s);
	return CACHE_MISS;
}

void
cache_begin(struct cache *c, struct cache_key *k)
{
	struct lru_shard *s;

	k->epoch = atomic_load_explicit(epoch_of(c, k->space), memory_order_acquire);
	s = lru_lock(c->lru, k->hash);
	k->version = version_of(c, k->hash)->count;
	lru_unlock(s);
}

static bool
has_ended(struct cache *c, const struct cache_key *k)
{
	return atomic_load_explicit(epoch_of(c, k->space), memory_order_acquire) != k->epoch;
}

static void
insert(struct cache *c, struct lru_shard *s, struct lru_entry *e)
{
	struct cache_figures *f = counts_of_entry(c, e);

	f->entries++;
	f->bytes += lru_entry_bytes(s, e);
	lru_insert(c->lru, s, e);
}

/* A large value is copied without the lock. What has come meanwhile is at least as new and stays. */
static void
insert_large(struct cache *c, struct lru_shard *s, const struct cache_key *k, struct lru_entry *e, const char *value)
{
	uint64_t count = version_of(c, k->hash)->count;

	lru_unlock(s);
	lru_write(s, e, value);
	lru_relock(s);
	if (version_of(c, k->hash)->count != count || has_ended(c, k) ||
	    lru_find(s, k->space, k->bytes, k->hash) != NULL)
		lru_abandon(s, e);
	else
		insert(c, s, e);
}

static void
forget(struct cache *c, struct lru_shard *s, const struct cache_key *k)
{
	struct lru_entry *old = lru_find(s, k->space, k->bytes, k->hash);

	if (old != NULL)
		delete (c, s, old);
}

/* Instead of what is there, which is old also when the new one is too large to be kept. */
static void
replace(struct cache *c, struct lru_shard *s, const struct cache_key *k, enum cache_found what, struct slice value)
{
	struct lru_entry *e;

	forget(c, s, k);
	e = lru_make(c->lru, s, k->space, k->bytes, k->hash, value.len);
	if (e == NULL)
		return;
	e->stamp = k->epoch;
	e->at_ms = clock_wall_ms();
	e->tag = (uint16_t)k->table;
	e->kind = (uint8_t)(kind_of(k) | (what == CACHE_ABSENT ? KIND_ABSENT : 0));
	if (value.len > COPY_LOCKED) {
		insert_large(c, s, k, e, value.data);
		return;
	}
	lru_write(s, e, value.data);
	insert(c, s, e);
}

/* ---- telling others ---- */

void
cache_watch(struct cache *c, cache_watcher *watcher, void *context)
{
	c->watcher_context = context;
	c->watcher = watcher;
}

static void
tell(struct cache *c, const struct cache_key *k, enum cache_found what, struct slice value, bool write, uint64_t order)
{
	const struct cache_copied copied = {
	    .kind = kind_of(k),
	    .table_id = k->space >> 1,
	    .table_name = k->table_name,
	    .key = k->bytes,
	    .what = what,
	    .value = value,
	    .write = write,
	    .order = order,
	};

	c->watcher(c->watcher_context, &copied);
}

/* The item that falls here is another one from now on. own: a writer of this node did it. */
static void
bump(struct cache *c, struct version *v, bool own)
{
	v->count++;
	if (c->watcher == NULL)
		return;
	v->changed_ms = clock_mono_ns() / 1000000;
	if (own)
		v->own_ms = v->changed_ms;
}

static bool
is_recent(int64_t at_ms)
{
	return at_ms != 0 && clock_mono_ns() / 1000000 - at_ms < CACHE_COPY_WINDOW_MS;
}

/* ---- filling and writing ---- */

void
cache_fill(struct cache *c, const struct cache_key *k, enum cache_found what, struct slice value)
{
	struct cache_figures *f = counts_of_key(c, k);
	struct lru_shard *s;
	bool kept = false;

	if (is_off(c, k))
		return;
	s = lru_lock(c->lru, k->hash);
	/* pages have no writers: the later answer stays, as good as the other */
	if (has_ended(c, k) || (kind_of(k) == CACHE_ITEMS && version_of(c, k->hash)->count != k->version)) {
		f->rejected++;
	} else {
		f->fills++;
		replace(c, s, k, what, value);
		kept = true;
	}
	lru_unlock(s);
	if (kept && c->watcher != NULL)
		tell(c, k, what, value, false, 0);
}

enum verdict { NEWEST, OLDER, UNKNOWN };

/* How this write stands to the last change of its key that came here. */
static enum verdict
judge(const struct version *v, const struct cache_key *k, uint64_t order)
{
	if (order != 0 && v->hash == k->hash && v->order != 0)
		return order >= v->order ? NEWEST : OLDER;
	return v->count == k->version ? NEWEST : UNKNOWN;
}

/* Nobody knows what the item is now. */
static void
doubt(struct cache *c, struct lru_shard *s, const struct cache_key *k, bool own)
{
	struct version *v = version_of(c, k->hash);

	bump(c, v, own);
	if (v->hash == k->hash)
		v->order = 0;
	forget(c, s, k);
}

void
cache_write(struct cache *c, const struct cache_key *k, uint64_t order, enum cache_found what, struct slice value)
{
	struct cache_figures *f = counts_of_key(c, k);
	struct version *v = version_of(c, k->hash);
	enum verdict verdict;
	struct lru_shard *s;

	if (is_off(c, k))
		return;
	s = lru_lock(c->lru, k->hash);
	verdict = judge(v, k, order);
	if (verdict == NEWEST && !has_ended(c, k)) {
		bump(c, v, true);
		v->hash = k->hash;
		v->order = order;
		f->writes++;
		replace(c, s, k, what, value);
	} else {
		f->rejected++;
		if (verdict != OLDER) /* what is there may be older than this one or newer */
			doubt(c, s, k, true);
		what = CACHE_MISS;
		value = SLICE_NONE;
	}
	lru_unlock(s);
	if (c->watcher != NULL && verdict != OLDER)
		tell(c, k, what, value, true, order);
}

void
cache_drop(struct cache *c, const struct cache_key *k)
{
	struct lru_shard *s = lru_lock(c->lru, k->hash);

	doubt(c, s, k, true);
	lru_unlock(s);
	if (c->watcher != NULL)
		tell(c, k, CACHE_MISS, SLICE_NONE, true, 0);
}

/* ---- copies from other nodes ---- */

static void
copy_answer(struct cache *c, struct lru_shard *s, const struct cache_key *k, const struct cache_copied *copied)
{
	struct lru_entry *e;

	if (is_off(c, k) || find_living(c, s, k) != NULL ||
	    (copied->kind == CACHE_ITEMS && is_recent(version_of(c, k->hash)->changed_ms)))
		return;
	replace(c, s, k, copied->what, copied->value);
	e = lru_find(s, k->space, k->bytes, k->hash);
	if (e != NULL)
		e->at_ms -= copied->age_ms;
}

static void
copy_write(struct cache *c, struct lru_shard *s, const struct cache_key *k, const struct cache_copied *copied)
{
	struct version *v = version_of(c, k->hash);
	bool ordered = copied->order != 0 && v->hash == k->hash && v->order != 0;

	if (ordered && copied->order < v->order)
		return;
	if (copied->what == CACHE_MISS || (!ordered && is_recent(v->own_ms))) {
		doubt(c, s, k, false);
		return;
	}
	bump(c, v, false);
	v->hash = k->hash;
	v->order = copied->order;
	replace(c, s, k, copied->what, copied->value);
}

void
cache_copy(struct cache *c, const struct cache_copied *copied)
{
	struct lru_shard *s;
	struct cache_key k;

	cache_key_make(c, &k, copied->kind, copied->table_id, copied->table_name, copied->key);
	k.epoch = atomic_load_explicit(epoch_of(c, k.space), memory_order_acquire);
	s = lru_lock(c->lru, k.hash);
	if (copied->write)
		copy_write(c, s, &k, copied);
	else
		copy_answer(c, s, &k, copied);
	lru_unlock(s);
}

/* ---- changes of which the change log tells ---- */

void
cache_changed(struct cache *c, uint64_t table_id, struct slice key_bytes, uint64_t order)
{
	struct version *v;
	struct lru_shard *s;
	struct lru_entry *e;
	struct cache_key k;

	/* pages first: whoever looks up after this call has returned finds neither */
	atomic_fetch_add_explicit(epoch_of(c, table_id << 1 | CACHE_QUERIES), 1, memory_order_acq_rel);
	cache_key_make(c, &k, CACHE_ITEMS, table_id, SLICE_NONE, key_bytes);
	v = version_of(c, k.hash);
	s = lru_lock(c->lru, k.hash);
	if (order == 0 || v->hash != k.hash || v->order < order) {
		e = lru_find(s, k.space, k.bytes, k.hash);
		if (e != NULL) {
			counts_of_entry(c, e)->invalidated++;
			delete (c, s, e);
		}
		bump(c, v, false);
		v->hash = k.hash;
		v->order = order;
	}
	lru_unlock(s);
}

/* table_id: of the entries that go; UINT64_MAX: all. */
static void
sweep(struct cache *c, uint64_t table_id)
{
	for (unsigned i = 0; i < lru_shard_count(c->lru); i++) {
		struct lru_shard *s = lru_lock_at(c->lru, i);
		struct lru_entry *e = lru_oldest(s);

		while (e != NULL) {
			struct lru_entry *next = lru_newer(e);

			if (table_id == UINT64_MAX || e->space >> 1 == table_id) {
				counts_of_entry(c, e)->invalidated++;
				delete (c, s, e);
			}
			e = next;
		}
		lru_trim(s);
		lru_unlock(s);
	}
}

void
cache_clear(struct cache *c)
{
	for (int kind = 0; kind < CACHE_KINDS; kind++)
		for (int i = 0; i < EPOCHS; i++)
			atomic_fetch_add(&c->epochs[kind][i], 1);
	sweep(c, UINT64_MAX);
}

void
cache_clear_table(struct cache *c, uint64_t table_id)
{
	for (int kind = 0; kind < CACHE_KINDS; kind++)
		atomic_fetch_add(epoch_of(c, table_id << 1 | (unsigned)kind), 1);
	sweep(c, table_id);
}
