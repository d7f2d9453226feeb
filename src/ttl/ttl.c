#include "ttl/ttl.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"

#define LOOK_NS      50000000LL   /* between two looks while there are tables with TTL */
#define IDLE_LOOK_NS 250000000LL  /* while there are none */
#define FIND_MAX     12000        /* rows found at a time; other tables have their turn between */
#define COMMIT_MAX   16           /* deletes in one commit: what one lock is held for */
#define TARGET_MS    600          /* after their time items shall be gone */
#define RATE_MIN     4000         /* items a second */
#define RATE_MAX     25000        /* also of what is late: about half a core */
#define BEHIND_NS    20000000LL   /* so much lost time is made up for */
#define RETRY_NS     1000000000LL /* after the disk failed */
#define SECOND_NS    1000000000LL

/* One region. */
struct place {
	struct table_db *db;
	uint64_t generation; /* of `tables` */
	struct table **tables;
	size_t table_count;
	uint64_t reopened; /* of the engine: what was deleted before may be there again */
	int64_t last_ms;   /* the clock when it was last looked at */
	int64_t retry_ns;  /* not before this */
};

struct ttl_service {
	pthread_t thread;
	/* the thread's own */
	struct table_ttl_due due;
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

/*
 * Rests before the next `count` of `left` items, the first of which has been due for delay_ms. Times are whole seconds
 * as a rule: what is due in a second becomes so at once, and is spread over the time there is.
 */
static bool
keep_pace(struct ttl_service *s, size_t count, size_t left, int64_t delay_ms)
{
	int64_t rate = RATE_MAX, now_ns = clock_mono_ns();

	if (delay_ms < TARGET_MS)
		rate = (int64_t)left * 1000 / (TARGET_MS - (delay_ms > 0 ? delay_ms : 0));
	rate = rate < RATE_MIN ? RATE_MIN : rate > RATE_MAX ? RATE_MAX : rate;
	if (s->next_ns < now_ns - BEHIND_NS)
		s->next_ns = now_ns - BEHIND_NS;
	s->next_ns += (int64_t)count * SECOND_NS / rate;
	return rest(s, s->next_ns);
}

/* A few neighbours: rows that are due at the same time are in the order of their hashes, so of one partition. */
static enum status
delete_some(struct table *t, const struct table_ttl_due *due, size_t first, size_t count, struct arena *arena,
	    uint64_t *deleted, uint64_t *wait_seq, struct err *err)
{
	struct table_io io = {.arena = arena, .may_block = true};
	uint32_t now_deleted;
	enum status s = table_ttl_delete(t, due, first, count, &io, &now_deleted, err);

	if (s == S_OK) {
		*deleted += now_deleted;
		if (io.wait_seq > *wait_seq)
			*wait_seq = io.wait_seq;
	} else {
		table_ttl_put_back(t, due->rows[first].due_ms);
	}
	arena_reset(arena);
	return s;
}

/* Goes on until everything found is deleted; service NULL: without rests. *ret_more: there was more than could be found
 * at once. */
static enum status
sweep_found(struct ttl_service *service, struct table *t, struct table_ttl_due *due, struct arena *arena,
	    uint64_t *deleted, uint64_t *wait_seq, struct err *err)
{
	enum status s = S_OK;

	for (size_t at = 0, n; s == S_OK && at < due->count; at += n) {
		n = due->count - at < COMMIT_MAX ? due->count - at : COMMIT_MAX;
		table_ttl_set_backlog(t, due->count - at, due->rows[at].due_ms);
		if (service != NULL &&
		    !keep_pace(service, n, due->count - at, clock_wall_ms() - due->rows[at].due_ms)) {
			table_ttl_put_back(t, due->rows[at].due_ms);
			break;
		}
		s = delete_some(t, due, at, n, arena, deleted, wait_seq, err);
	}
	table_ttl_set_backlog(t, 0, 0);
	return s;
}

static enum status
sweep_table(struct ttl_service *service, struct table *t, struct table_ttl_due *due, struct arena *arena,
	    uint64_t *deleted, uint64_t *wait_seq, struct err *err)
{
	enum status s = table_ttl_find(t, clock_wall_ms(), FIND_MAX, due, err);

	return s == S_OK ? sweep_found(service, t, due, arena, deleted, wait_seq, err) : s;
}

/* ---- the thread ---- */

static void
release_tables(struct place *p)
{
	for (size_t i = 0; i < p->table_count; i++)
		table_release(p->tables[i]);
	free(p->tables);
	p->tables = NULL;
	p->table_count = 0;
}

static void
refresh(struct place *p)
{
	uint64_t generation = table_ttl_generation(p->db);
	uint64_t reopened = engine_reopened(table_db_engine(p->db));
	int64_t now_ms = clock_wall_ms();

	if (generation != p->generation) {
		release_tables(p);
		p->generation = generation;
		p->tables = table_ttl_tables(p->db, &p->table_count);
	}
	if (reopened != p->reopened || now_ms < p->last_ms)
		for (size_t i = 0; i < p->table_count; i++)
			table_ttl_look_again(p->tables[i]);
	p->reopened = reopened;
	p->last_ms = now_ms;
}

/* One turn: each table that has something due deletes what can be found at once. True: some have more. */
static bool
turn(struct ttl_service *service, struct place *p)
{
	bool more = false;
	struct err err;

	if (clock_mono_ns() < p->retry_ns)
		return false;
	refresh(p);
	for (size_t i = 0; i < p->table_count; i++) {
		struct table *t = p->tables[i];
		uint64_t deleted = 0, wait_seq = 0;
		enum status s;

		if (table_ttl_earliest_ms(t) >= clock_wall_ms() || !table_ttl_begin(t, false))
			continue;
		s = sweep_table(service, t, &service->due, &service->arena, &deleted, &wait_seq, &err);
		table_ttl_end(t);
		more |= s == S_OK && service->due.more;
		if (s == S_OK)
			continue;
		log_warn("ttl", "%.*s: items could not be deleted, tried again: %s", SLICE_ARG(table_name(t)),
			 err.message);
		p->retry_ns = clock_mono_ns() + RETRY_NS;
		return false;
	}
	return more;
}

static void *
run(void *context)
{
	struct ttl_service *s = context;
	bool more;

	do {
		int64_t look_ns = IDLE_LOOK_NS;

		more = false;
		for (size_t i = 0; i < s->place_count; i++) {
			more |= turn(s, &s->places[i]);
			if (s->places[i].table_count > 0)
				look_ns = LOOK_NS;
		}
		if (!more && s->due.cap > 0)
			table_ttl_due_done(&s->due);
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
	table_ttl_due_done(&s->due);
	arena_done(&s->arena);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* ---- on demand ---- */

static enum status
sweep_now(struct table *t, uint64_t *deleted, uint64_t *wait_seq, struct err *err)
{
	struct table_ttl_due due = {.count = 0};
	struct arena arena = {0};
	enum status s;

	table_ttl_begin(t, true);
	table_ttl_look_again(t);
	do
		s = sweep_table(NULL, t, &due, &arena, deleted, wait_seq, err);
	while (s == S_OK && due.more);
	table_ttl_end(t);
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
