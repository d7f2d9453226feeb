#include "cache/coherent.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/lru.h"

#define PLACES          16384 /* of tables; several times what there can be */
#define PLACES_TRIED    16
#define COVERED         1 /* beside the id in a place */
#define WANTED_MAX      4096
#define LANES_MAX       64
#define BATCH_RECORDS   512
#define BATCH_BYTES     (1U << 20)
#define RETENTION_MS    60000 /* a reader that lags so far has lost its place, and its table's entries are dropped */
#define LOOK_AFTER_MS   2000  /* tables that were deleted, readers that failed */
#define READER_NAME_MAX 64

/* A table whose log is read. The thread's own, but for `woken` and `woken_next`, guarded by lock. */
struct coherent_table {
	struct coherent *co;
	struct coherent_table *next;
	uint64_t id;
	char *name;
	struct table_db *db;
	struct change_reader *reader;
	int key_count;
	char *key_names[2];
	bool woken;
	struct coherent_table *woken_next;
};

struct wanted {
	uint64_t id;
	char *name;
};

struct coherent {
	struct cache *cache;
	struct table_db *const *dbs;
	size_t db_count;
	uint64_t number; /* of this one in the process: its readers' name */
	/*
	 * Which tables are covered, and which are known to be wanted: id << 1 | COVERED, 0: free. Read without a lock;
	 * written by the thread, and (wanted) under the lock.
	 */
	_Atomic uint64_t places[PLACES];
	_Atomic uint64_t records, failures, tables;
	pthread_t thread;
	/* guarded by lock */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop;
	struct wanted wanted[WANTED_MAX];
	size_t wanted_count;
	struct coherent_table *woken;
	/* the thread's own */
	struct coherent_table *all;
	struct arena arena;
	struct buf key;
};

static _Atomic uint64_t last_number;

uint64_t
coherent_table_id(struct slice table_id)
{
	return lru_hash(table_id) >> 1;
}

/* ---- which tables ---- */

static _Atomic uint64_t *
place_at(struct coherent *co, uint64_t id, unsigned i)
{
	return &co->places[(id + i) % PLACES];
}

/* NULL: not among them. */
static _Atomic uint64_t *
find_place(struct coherent *co, uint64_t id)
{
	for (unsigned i = 0; i < PLACES_TRIED; i++) {
		_Atomic uint64_t *place = place_at(co, id, i);

		if (atomic_load_explicit(place, memory_order_acquire) >> 1 == id)
			return place;
	}
	return NULL;
}

static void
set_place(struct coherent *co, uint64_t id, uint64_t value)
{
	_Atomic uint64_t *place = find_place(co, id);

	if (place != NULL)
		atomic_store_explicit(place, value, memory_order_release);
}

/* A table is asked for that nobody has asked for yet. */
static void
want(struct coherent *co, uint64_t id, struct slice name)
{
	pthread_mutex_lock(&co->lock);
	if (find_place(co, id) == NULL && co->wanted_count < WANTED_MAX)
		for (unsigned i = 0; i < PLACES_TRIED; i++) {
			_Atomic uint64_t *place = place_at(co, id, i);

			if (atomic_load_explicit(place, memory_order_relaxed) != 0)
				continue;
			atomic_store_explicit(place, id << 1, memory_order_release);
			co->wanted[co->wanted_count++] = (struct wanted){id, strndup(name.data, name.len)};
			pthread_cond_signal(&co->wake);
			break;
		}
	pthread_mutex_unlock(&co->lock);
}

static bool
covers(void *context, uint64_t table_id, struct slice table_name)
{
	struct coherent *co = context;
	_Atomic uint64_t *place = find_place(co, table_id);

	if (place == NULL)
		want(co, table_id, table_name);
	return place != NULL && atomic_load_explicit(place, memory_order_acquire) == (table_id << 1 | COVERED);
}

/* ---- the log's records ---- */

/* From the thread that syncs. */
static void
woken(void *context)
{
	struct coherent_table *t = context;

	pthread_mutex_lock(&t->co->lock);
	if (!t->woken) {
		t->woken = true;
		t->woken_next = t->co->woken;
		t->co->woken = t;
		pthread_cond_signal(&t->co->wake);
	}
	pthread_mutex_unlock(&t->co->lock);
}

static void
pass(struct coherent *co, const struct coherent_table *t, const struct change *change)
{
	co->key.len = 0;
	for (int i = 0; i < t->key_count; i++) {
		struct av value = av_get(change->keys, slice_str(t->key_names[i]));

		buf_put(&co->key, value.data, value.len);
	}
	cache_changed(co->cache, t->id, buf_slice(&co->key), change->seq);
	atomic_fetch_add_explicit(&co->records, 1, memory_order_release);
}

/* *ret_more: there was something; ask again. */
static enum status
read_lane(struct coherent *co, struct coherent_table *t, uint32_t lane, bool *ret_more, struct err *err)
{
	struct table_io io = {.arena = &co->arena, .may_block = true};
	struct change_batch batch = {0};
	enum status s = change_reader_read(t->reader, lane, BATCH_RECORDS, BATCH_BYTES, &io, &batch, err);

	if (s != S_OK)
		return s;
	if (batch.trimmed) {
		log_warn("dax", "coherent mode: the reader of table %s fell behind; its entries are dropped", t->name);
		cache_clear_table(co->cache, t->id);
		*ret_more = true;
	}
	/* it need not be durable: an entry too few is no harm */
	for (uint32_t i = 0; i < batch.count; i++)
		pass(co, t, &batch.changes[i]);
	if (batch.count > 0) {
		*ret_more = true;
		s = change_reader_ack(t->reader, lane, batch.changes[batch.count - 1].seq, NULL, err);
	}
	return s;
}

static enum status
read_log(struct coherent *co, struct coherent_table *t, struct err *err)
{
	uint32_t lanes[LANES_MAX];
	bool more = true;

	while (more) {
		uint32_t count = change_reader_lanes(t->reader, lanes, LANES_MAX);

		more = false;
		for (uint32_t i = 0; i < count; i++) {
			enum status s = read_lane(co, t, lanes[i], &more, err);

			arena_reset(&co->arena);
			if (s != S_OK)
				return s;
		}
	}
	return S_OK;
}

/* ---- tables come and go ---- */

static void
table_free(struct coherent_table *t)
{
	free(t->name);
	free(t->key_names[0]);
	free(t->key_names[1]);
	free(t);
}

/* Its reader is not woken any more. */
static void
forget_woken(struct coherent *co, struct coherent_table *t)
{
	struct coherent_table **at = &co->woken;

	pthread_mutex_lock(&co->lock);
	if (t->woken) {
		while (*at != t)
			at = &(*at)->woken_next;
		*at = t->woken_next;
	}
	pthread_mutex_unlock(&co->lock);
}

/* Nothing of it is kept any more; who asks for it makes it wanted again. */
static void
uncover(struct coherent *co, struct coherent_table *t)
{
	struct coherent_table **at = &co->all;

	set_place(co, t->id, t->id << 1);
	cache_clear_table(co->cache, t->id);
	change_reader_close(t->reader);
	forget_woken(co, t);
	set_place(co, t->id, 0);
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	atomic_fetch_sub(&co->tables, 1);
	table_free(t);
}

/* Is it still the table of this id? */
static bool
is_there(struct coherent *co, const struct coherent_table *t, struct table_description *ret)
{
	struct err err;

	return table_describe(t->db, slice_str(t->name), &co->arena, ret, &err) == S_OK &&
	       coherent_table_id(slice_str(ret->id)) == t->id;
}

static void
keep_keys(struct coherent_table *t, const struct key_schema *schema)
{
	t->key_names[t->key_count++] = strndup(schema->partition[0].name.data, schema->partition[0].name.len);
	if (schema->sort_count > 0)
		t->key_names[t->key_count++] = strndup(schema->sort[0].name.data, schema->sort[0].name.len);
}

static enum status
open_reader(struct coherent *co, struct coherent_table *t, struct err *err)
{
	char name[READER_NAME_MAX];
	struct change_reader_options options = {
	    .name = slice_of(name, (size_t)snprintf(name, sizeof name, "dax/%llu", (unsigned long long)co->number)),
	    .in_memory = true,
	    .retention_ms = RETENTION_MS,
	    .wake = woken,
	    .context = t,
	};

	return change_reader_open(t->db, slice_str(t->name), &options, &t->reader, err);
}

/* Read its log, and only then let it be kept: what changes from here on is told. */
static void
cover(struct coherent *co, struct wanted w)
{
	struct coherent_table *t = calloc(1, sizeof *t);
	struct table_description d;
	struct err err = {.message = "the table was made anew"};
	bool found = false;

	if (t == NULL || w.name == NULL)
		abort();
	*t = (struct coherent_table){.co = co, .id = w.id, .name = w.name};
	for (size_t i = 0; i < co->db_count && !found; i++) {
		t->db = co->dbs[i];
		found = is_there(co, t, &d);
	}
	if (found)
		keep_keys(t, &d.spec.schema);
	/* and it was not made anew before the reader stood */
	if (!found || open_reader(co, t, &err) != S_OK || !is_there(co, t, &d)) {
		if (found) {
			atomic_fetch_add(&co->failures, 1);
			log_warn("dax", "coherent mode: table %s is not cached: %s", t->name, err.message);
		}
		change_reader_close(t->reader);
		forget_woken(co, t);
		table_free(t); /* its place says that it was wanted, until look_after() */
		return;
	}
	t->next = co->all;
	co->all = t;
	atomic_fetch_add(&co->tables, 1);
	set_place(co, t->id, t->id << 1 | COVERED);
}

static void
read_or_uncover(struct coherent *co, struct coherent_table *t)
{
	struct err err;

	if (read_log(co, t, &err) == S_OK)
		return;
	atomic_fetch_add(&co->failures, 1);
	log_warn("dax", "coherent mode: the change log of table %s cannot be read: %s", t->name, err.message);
	uncover(co, t);
}

/* What could not be covered may be asked for again. */
static void
give_another_chance(struct coherent *co)
{
	pthread_mutex_lock(&co->lock);
	for (unsigned i = 0; i < PLACES && co->wanted_count == 0; i++)
		if (!(atomic_load_explicit(&co->places[i], memory_order_relaxed) & COVERED))
			atomic_store_explicit(&co->places[i], 0, memory_order_release);
	pthread_mutex_unlock(&co->lock);
}

static void
look_after(struct coherent *co)
{
	struct coherent_table *t = co->all, *next;
	struct table_description d;

	for (; t != NULL; t = next) {
		next = t->next;
		if (!is_there(co, t, &d))
			uncover(co, t);
		else
			read_or_uncover(co, t);
		arena_reset(&co->arena);
	}
	give_another_chance(co);
}

/* ---- the thread ---- */

static void
sleep_until_woken(struct coherent *co, int64_t until_ns)
{
	struct timespec at = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};

	while (!co->stop && co->wanted_count == 0 && co->woken == NULL)
		if (pthread_cond_timedwait(&co->wake, &co->lock, &at) != 0)
			return;
}

static void
serve_woken(struct coherent *co)
{
	struct coherent_table *t = co->woken;

	co->woken = t->woken_next;
	t->woken = false;
	pthread_mutex_unlock(&co->lock);
	read_or_uncover(co, t);
	pthread_mutex_lock(&co->lock);
}

static void
serve_wanted(struct coherent *co)
{
	struct wanted w = co->wanted[--co->wanted_count];

	pthread_mutex_unlock(&co->lock);
	cover(co, w);
	arena_reset(&co->arena);
	pthread_mutex_lock(&co->lock);
}

static void *
run(void *context)
{
	struct coherent *co = context;
	int64_t look_ns = clock_mono_ns() + LOOK_AFTER_MS * 1000000LL;

	pthread_mutex_lock(&co->lock);
	while (!co->stop) {
		sleep_until_woken(co, look_ns);
		while (co->woken != NULL && !co->stop)
			serve_woken(co);
		if (co->wanted_count > 0 && !co->stop)
			serve_wanted(co);
		if (clock_mono_ns() < look_ns)
			continue;
		pthread_mutex_unlock(&co->lock);
		look_after(co);
		pthread_mutex_lock(&co->lock);
		look_ns = clock_mono_ns() + LOOK_AFTER_MS * 1000000LL;
	}
	pthread_mutex_unlock(&co->lock);
	return NULL;
}

enum status
coherent_new(struct cache *cache, struct table_db *const *dbs, size_t db_count, struct coherent **ret, struct err *err)
{
	struct coherent *co = calloc(1, sizeof *co);
	pthread_condattr_t attr;

	if (co == NULL)
		abort();
	co->cache = cache;
	co->dbs = dbs;
	co->db_count = db_count;
	co->number = atomic_fetch_add(&last_number, 1);
	pthread_mutex_init(&co->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&co->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&co->thread, NULL, run, co) != 0) {
		pthread_cond_destroy(&co->wake);
		pthread_mutex_destroy(&co->lock);
		free(co);
		return err_set(err, S_INTERNAL, "a thread could not be started");
	}
	pthread_setname_np(co->thread, "dax-coherent");
	cache_cover(cache, covers, co);
	*ret = co;
	return S_OK;
}

void
coherent_free(struct coherent *co)
{
	if (co == NULL)
		return;
	pthread_mutex_lock(&co->lock);
	co->stop = true;
	pthread_cond_signal(&co->wake);
	pthread_mutex_unlock(&co->lock);
	pthread_join(co->thread, NULL);
	while (co->all != NULL)
		uncover(co, co->all);
	while (co->wanted_count > 0)
		free(co->wanted[--co->wanted_count].name);
	arena_done(&co->arena);
	buf_done(&co->key);
	pthread_cond_destroy(&co->wake);
	pthread_mutex_destroy(&co->lock);
	free(co);
}

void
coherent_write_metrics(struct coherent *co, struct slice node, struct buf *out)
{
	const struct {
		const char *name, *type, *help;
		uint64_t value;
	} rows[] = {
	    {"records_total", "counter", "Change records that have passed.", atomic_load(&co->records)},
	    {"failures_total", "counter", "Change logs that could not be read; their tables were not cached meanwhile.",
	     atomic_load(&co->failures)},
	    {"tables", "gauge", "Tables whose change log is read.", atomic_load(&co->tables)},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		buf_printf(out,
			   "# HELP stator_dax_coherent_%s %s\n# TYPE stator_dax_coherent_%s %s\n"
			   "stator_dax_coherent_%s{node=\"%.*s\"} %llu\n",
			   rows[i].name, rows[i].help, rows[i].name, rows[i].type, rows[i].name, SLICE_ARG(node),
			   (unsigned long long)rows[i].value);
}
