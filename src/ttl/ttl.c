#include "ttl/ttl.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/thread.h"

#define LOOK_NS      50000000LL  /* between two looks while there are tables with TTL */
#define IDLE_LOOK_NS 250000000LL /* while there are none */
#define FIND_MAX     256         /* rows found at a time */
#define TURN_MAX     2048        /* items of one table, then others have their turn */
#define COMMIT_MAX   8           /* deletes in one commit: what one lock is held for */
#define RATE         17000       /* items a second: 10,000, which all become due when a second begins, in 0.6 of it */
#define LATE_MS      600
#define RATE_LATE    25000        /* of what has been due for so long; about half a core */
#define BEHIND_NS    5000000LL    /* so much lost time is made up for: without a rest in between */
#define RETRY_NS     1000000000LL /* after the disk failed */
#define SECOND_NS    1000000000LL

/* One table and the walk through what is due in it. */
struct sweep {
	struct table *table;
	struct table_ttl_due due;
	size_t done; /* of due.rows */
	bool open;   /* the walk has begun */
};

/* One region. */
struct place {
	struct table_db *db;
	uint64_t generation; /* of `sweeps` */
	struct sweep *sweeps;
	size_t count;
	uint64_t reopened; /* of the engine: what was deleted before may be there again */
	int64_t last_ms;   /* the clock when it was last looked at */
	int64_t retry_ns;  /* not before this */
};

struct ttl_service {
	pthread_t thread;
	/* the thread's own */
	struct arena arena;
	int64_t next_ns; /* when the next commit may begin */
	/* guarded by lock */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stopping;
	size_t place_count;
	struct place places[];
};

/* ---- one table ---- */

/* False: the service stops. */
static bool
rest(struct ttl_service *s, int64_t until_ns)
{
	struct timespec until = {until_ns / SECOND_NS, until_ns % SECOND_NS};
	bool go_on;

	pthread_mutex_lock(&s->lock);
	while (!s->stopping && clock_mono_ns() < until_ns)
		pthread_cond_timedwait(&s->wake, &s->lock, &until);
	go_on = !s->stopping;
	pthread_mutex_unlock(&s->lock);
	return go_on;
}

/* Rests before the next `count` items, the first of which has been due for delay_ms. */
static bool
keep_pace(struct ttl_service *s, size_t count, int64_t delay_ms)
{
	int64_t now_ns = clock_mono_ns();

	if (s->next_ns < now_ns - BEHIND_NS)
		s->next_ns = now_ns - BEHIND_NS;
	s->next_ns += (int64_t)count * SECOND_NS / (delay_ms < LATE_MS ? RATE : RATE_LATE);
	return rest(s, s->next_ns);
}

/* A few neighbours: rows that are due at the same time are in the order of their hashes, so of one partition. */
static enum status
delete_some(struct table *t, const struct table_ttl_due *due, size_t *done, struct arena *arena, uint64_t *deleted,
	    uint64_t *wait_seq, struct err *err)
{
	size_t count = due->count - *done < COMMIT_MAX ? due->count - *done : COMMIT_MAX;
	struct table_io io = {.arena = arena, .may_block = true};
	uint32_t now_deleted;
	enum status s;

	fault_pass(FAULT_TTL_FOUND);
	s = table_ttl_delete(t, due, *done, count, &io, &now_deleted, err);
	fault_pass(FAULT_TTL_DELETED);
	arena_reset(arena);
	if (s != S_OK)
		return s;
	*done += count;
	*deleted += now_deleted;
	if (io.wait_seq > *wait_seq)
		*wait_seq = io.wait_seq;
	return S_OK;
}

/* The walk is over, or given up. */
static void
close_sweep(struct sweep *w)
{
	if (!w->open)
		return;
	table_ttl_leave(w->table, w->done < w->due.count ? w->due.rows[w->done].due_ms : w->due.next_due_ms);
	table_ttl_set_backlog(w->table, 0, 0);
	table_ttl_due_done(&w->due);
	w->open = false;
	w->done = 0;
}

/* A turn of one table: at most TURN_MAX items. The walk stays open when there are more. */
static enum status
sweep_turn(struct ttl_service *service, struct sweep *w, struct err *err)
{
	uint64_t deleted = 0, wait_seq = 0;
	enum status s = S_OK;

	if (!w->open) {
		table_ttl_expect(w->table);
		w->open = true;
		w->due.next_due_ms = 0; /* should the first look fail */
	}
	for (size_t n = 0; n < TURN_MAX; n += COMMIT_MAX) {
		const struct table_ttl_row *row;

		if (w->done == w->due.count) {
			if (w->due.count > 0 && !w->due.more)
				break;
			w->done = 0;
			s = table_ttl_find(w->table, clock_wall_ms(), FIND_MAX, &w->due, err);
			if (s != S_OK)
				w->due.next_due_ms = 0;
			if (s != S_OK || w->due.count == 0)
				break;
		}
		row = &w->due.rows[w->done];
		table_ttl_set_backlog(w->table, w->due.count - w->done, row->due_ms);
		if (!keep_pace(service, COMMIT_MAX, clock_wall_ms() - row->due_ms))
			break;
		s = delete_some(w->table, &w->due, &w->done, &service->arena, &deleted, &wait_seq, err);
		if (s != S_OK)
			break;
	}
	if (s != S_OK || (w->done == w->due.count && !w->due.more))
		close_sweep(w);
	return s;
}

/* ---- the thread ---- */

static void
release_tables(struct place *p)
{
	for (size_t i = 0; i < p->count; i++) {
		close_sweep(&p->sweeps[i]);
		table_release(p->sweeps[i].table);
	}
	free(p->sweeps);
	p->sweeps = NULL;
	p->count = 0;
}

static void
find_tables(struct place *p)
{
	struct table **tables;

	release_tables(p);
	p->generation = table_ttl_generation(p->db);
	tables = table_ttl_tables(p->db, &p->count);
	p->sweeps = calloc(p->count + 1, sizeof *p->sweeps);
	if (p->sweeps == NULL)
		abort();
	for (size_t i = 0; i < p->count; i++)
		p->sweeps[i].table = tables[i];
	free(tables);
}

static void
refresh(struct place *p)
{
	uint64_t reopened = engine_reopened(table_db_engine(p->db));
	int64_t now_ms = clock_wall_ms();
	bool again = reopened != p->reopened || now_ms < p->last_ms;

	if (table_ttl_generation(p->db) != p->generation)
		find_tables(p);
	/* writes were lost by a failed sync, or the clock stepped back: what was thought done may have to be done again
	 */
	for (size_t i = 0; again && i < p->count; i++) {
		close_sweep(&p->sweeps[i]);
		table_ttl_leave(p->sweeps[i].table, 0);
	}
	p->reopened = reopened;
	p->last_ms = now_ms;
}

/* One turn of each table that has something due. True: some have more. */
static bool
turn(struct ttl_service *service, struct place *p)
{
	bool more = false;
	struct err err;

	if (clock_mono_ns() < p->retry_ns)
		return false;
	refresh(p);
	for (size_t i = 0; i < p->count; i++) {
		struct sweep *w = &p->sweeps[i];

		if (!w->open && table_ttl_earliest_ms(w->table) >= clock_wall_ms())
			continue;
		if (sweep_turn(service, w, &err) != S_OK) {
			log_warn("ttl", "%.*s: items could not be deleted, tried again: %s",
				 SLICE_ARG(table_name(w->table)), err.message);
			p->retry_ns = clock_mono_ns() + RETRY_NS;
			return false;
		}
		more |= w->open;
	}
	return more;
}

static void *
run(void *context)
{
	struct ttl_service *s = context;
	bool more;

	thread_be_modest();
	do {
		int64_t look_ns = IDLE_LOOK_NS;

		more = false;
		for (size_t i = 0; i < s->place_count; i++) {
			more |= turn(s, &s->places[i]);
			if (s->places[i].count > 0)
				look_ns = LOOK_NS;
		}
		if (!rest(s, more ? 0 : clock_mono_ns() + look_ns))
			break;
	} while (true);
	expr_cache_done();
	return NULL;
}

enum status
ttl_service_new(struct table_db **dbs, size_t db_count, struct ttl_service **ret, struct err *err)
{
	struct ttl_service *s = calloc(1, sizeof *s + db_count * sizeof s->places[0]);
	pthread_condattr_t attributes;

	*ret = NULL;
	if (s == NULL)
		abort();
	s->place_count = db_count;
	for (size_t i = 0; i < db_count; i++)
		s->places[i] = (struct place){.db = dbs[i], .generation = UINT64_MAX};
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	if (pthread_create(&s->thread, NULL, run, s) != 0) {
		pthread_cond_destroy(&s->wake);
		pthread_mutex_destroy(&s->lock);
		free(s);
		return err_set(err, S_INTERNAL, "cannot start the thread of TTL");
	}
	pthread_setname_np(s->thread, "ttl");
	*ret = s;
	return S_OK;
}

void
ttl_service_free(struct ttl_service *s)
{
	if (s == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	for (size_t i = 0; i < s->place_count; i++)
		release_tables(&s->places[i]);
	arena_done(&s->arena);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* ---- on demand ---- */

/* A walk of its own; the thread, which may be at the same items, keeps its books. */
static enum status
sweep_now(struct table *t, uint64_t *deleted, uint64_t *wait_seq, struct err *err)
{
	struct table_ttl_due due = {.count = 0};
	struct arena arena = {0};
	enum status s;

	do {
		size_t done = 0;

		s = table_ttl_find(t, clock_wall_ms(), FIND_MAX, &due, err);
		while (s == S_OK && done < due.count)
			s = delete_some(t, &due, &done, &arena, deleted, wait_seq, err);
	} while (s == S_OK && due.more);
	table_ttl_due_done(&due);
	arena_done(&arena);
	return s;
}

enum status
ttl_sweep(struct table_db *db, struct slice name, uint64_t *ret_deleted, uint64_t *ret_wait_seq, struct err *err)
{
	struct table **tables;
	struct table *named;
	size_t count;
	enum status s = S_OK;

	*ret_deleted = *ret_wait_seq = 0;
	if (name.len > 0) {
		s = table_find(db, name, &named, err);
		table_release(named);
		if (s != S_OK)
			return s;
	}
	tables = table_ttl_tables(db, &count);
	for (size_t i = 0; i < count; i++) {
		if (s == S_OK && (name.len == 0 || slice_eq(table_name(tables[i]), name)))
			s = sweep_now(tables[i], ret_deleted, ret_wait_seq, err);
		table_release(tables[i]);
	}
	free(tables);
	return s;
}
