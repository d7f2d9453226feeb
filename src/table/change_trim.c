/*
 * What goes from the log, and when. Records are kept as long as somebody may read them: a stream shows the last
 * STREAM_RETENTION_MS. As sequence numbers are times, the horizon is a number: the records before it go as one
 * range. How far a partition's log was trimmed is a row of the catalog, written before: so sequence numbers never start
 * again below it, and a crash in between only leaves records that nobody asks for and that are dropped the next time.
 *
 * A clock that stepped back leaves records whose numbers are ahead of it, and numbers that go on from there. Their age
 * is told by marks: how far the log was when, by the clock that only measures what passes. Marks are in memory, so
 * after a restart such records are as old as the process: longer than asked for, never shorter.
 */
#include "table/change_int.h"

#include "base/clock.h"
#include "base/fault.h"

#define SLACK_MS    (15 * 60 * 1000LL)         /* records may stay that much longer, so that they go in few ranges */
#define AHEAD_US    (3600 * 1000000LL)         /* less makes records stay that much longer */
#define MARK_NS     (12 * 3600 * 1000000000LL) /* between two marks: together they cover readers of three days */
#define LOG_LOOK_NS 5000000000LL
#define LOG_STEP_NS 50000000LL /* trimming takes a rest after that long */

/* The first sequence number that is younger than that. */
uint64_t
log_horizon(int64_t age_ms)
{
	int64_t us = clock_wall_us() - age_ms * 1000;

	return us > 0 ? (uint64_t)us : 0;
}

/* The caller holds streams.lock. */
static void
mark(struct partition *p)
{
	int64_t now_us = clock_wall_us(), passed_ns = clock_passed_ns();
	uint64_t last = atomic_load(&p->log_last);
	unsigned count = p->log_mark_count;

	if (last < (uint64_t)(now_us > 0 ? now_us : 0) + AHEAD_US ||
	    (count > 0 &&
	     (passed_ns - p->log_marks[count - 1].passed_ns < MARK_NS || p->log_marks[count - 1].seq == last)))
		return;
	if (count == LOG_MARKS) {
		memmove(p->log_marks, p->log_marks + 1, (LOG_MARKS - 1) * sizeof *p->log_marks);
		count--;
	}
	p->log_marks[count].passed_ns = passed_ns;
	p->log_marks[count].seq = last;
	p->log_mark_count = count + 1;
}

uint64_t
log_younger_than(const struct partition *p, int64_t age_ms)
{
	uint64_t from = log_horizon(age_ms);
	int64_t passed_ms = clock_passed_ns() / 1000000;

	for (unsigned i = p->log_mark_count; i-- > 0;)
		if (passed_ms - p->log_marks[i].passed_ns / 1000000 >= age_ms)
			return p->log_marks[i].seq >= from ? p->log_marks[i].seq + 1 : from;
	return from;
}

uint64_t
log_shown_from(struct table_core *core, struct partition *p)
{
	struct streams *all = core->db->streams;
	uint64_t from;

	pthread_mutex_lock(&all->lock);
	mark(p);
	from = log_younger_than(p, STREAM_RETENTION_MS);
	pthread_mutex_unlock(&all->lock);
	return from;
}

/* What is about to go, for the figures. */
static uint64_t
range_bytes(struct table_db *db, struct slice from, struct slice to)
{
	return engine_approximate_bytes(db->engine, SPACE_LOG, from, to);
}

/* Drop the records up to `through`. */
static enum status
trim(struct table_core *core, struct partition *p, uint64_t through, struct err *err)
{
	struct table_db *db = core->db;
	struct engine_batch *batch = engine_batch_new(db->engine);
	struct buf from = {0}, to = {0}, key = {0}, value = {0};
	uint64_t seq, bytes;
	enum status s;

	catalog_key_trim(&key, core->number, p->id);
	buf_put_be64(&value, through);
	engine_batch_put(batch, SPACE_CATALOG, buf_slice(&key), buf_slice(&value));
	s = engine_apply(db->engine, batch, &seq, err);
	fault_pass(FAULT_TRIM_NOTED);
	log_put_key(&from, core->number, p->id, 0);
	log_put_key(&to, core->number, p->id, through + 1);
	if (s == S_OK) {
		bytes = range_bytes(db, buf_slice(&from), buf_slice(&to));
		atomic_store(&p->log_trimmed, through);
		s = engine_drop(db->engine, SPACE_LOG, buf_slice(&from), buf_slice(&to), err);
		atomic_fetch_add(&db->streams->trimmed_bytes, bytes);
	}
	fault_pass(FAULT_TRIM_DROPPED);
	if (s == S_OK)
		atomic_store(&p->log_oldest, 0);
	engine_batch_free(batch);
	buf_done(&from);
	buf_done(&to);
	buf_done(&key);
	buf_done(&value);
	return s;
}

/* Where the log begins, found once and kept until something is trimmed; 0: it is empty. */
static enum status
find_oldest(struct table_core *core, struct partition *p, uint64_t *ret, struct err *err)
{
	uint64_t last = atomic_load_explicit(&p->log_last, memory_order_acquire);
	enum status s = S_OK;

	*ret = atomic_load(&p->log_oldest);
	if (*ret != 0 || last == p->log_empty_at)
		return S_OK;
	s = log_find_first(core, p->id, atomic_load(&p->log_trimmed) + 1, UINT64_MAX, ret, err);
	if (s == S_OK && *ret == 0)
		p->log_empty_at = last;
	if (s == S_OK)
		atomic_store(&p->log_oldest, *ret);
	return s;
}

static enum status
trim_partition(struct table_core *core, struct partition *p, uint64_t keep_from, bool slack, struct err *err)
{
	uint64_t shown_from = log_shown_from(core, p), oldest, last = 0;
	uint64_t drop_before = slack && keep_from > SLACK_MS * 1000 ? keep_from - SLACK_MS * 1000 : keep_from;
	enum status s = find_oldest(core, p, &oldest, err);

	if (s != S_OK || oldest == 0)
		return s;
	/* by a mark, which are rare enough: such numbers do not tell the time */
	if (oldest < shown_from && shown_from > log_horizon(0))
		drop_before = keep_from;
	if (oldest < shown_from) {
		s = log_find_last(core, p->id, oldest, shown_from - 1, &last, err);
		if (s == S_OK && last > atomic_load(&p->log_stale))
			atomic_store(&p->log_stale, last);
	}
	if (s != S_OK || oldest >= drop_before)
		return s;
	s = log_find_last(core, p->id, oldest, keep_from - 1, &last, err);
	return s == S_OK && last != 0 ? trim(core, p, last, err) : s;
}

static size_t
add_core(struct table_core **cores, size_t count, struct table_core *core)
{
	for (size_t i = 0; i < count; i++)
		if (cores[i] == core)
			return count;
	core_hold(core);
	cores[count] = core;
	return count + 1;
}

/* Every core with a log, counted; in the arena. */
static size_t
logged_cores(struct table_db *db, struct arena *a, struct table_core ***ret)
{
	struct streams *all = db->streams;
	size_t count = 0, readers = 0;

	pthread_mutex_lock(&all->lock);
	for (const struct change_reader *r = all->readers; r != NULL; r = r->next)
		readers++;
	*ret = ARENA_ARRAY(a, struct table_core *, all->count + readers);
	for (size_t i = 0; i < all->count; i++)
		if (all->by_arn[i]->core->streams == all->by_arn[i]) { /* one of each table's */
			core_hold(all->by_arn[i]->core);
			(*ret)[count++] = all->by_arn[i]->core;
		}
	for (const struct change_reader *r = all->readers; r != NULL; r = r->next)
		if (r->core->streams == NULL)
			count = add_core(*ret, count, r->core);
	pthread_mutex_unlock(&all->lock);
	return count;
}

static bool
has_stream(struct table_core *core)
{
	struct streams *all = core->db->streams;
	bool has;

	pthread_mutex_lock(&all->lock);
	has = core->streams != NULL;
	pthread_mutex_unlock(&all->lock);
	return has;
}

/* The first number that somebody may still ask for. */
static uint64_t
keep_from(struct table_core *core, struct partition *p)
{
	uint64_t last = atomic_load(&p->log_last); /* first: who comes now wants what is written from now on */
	uint64_t readers = readers_keep_from(core, p);
	uint64_t streams = has_stream(core) ? log_shown_from(core, p) : UINT64_MAX;
	uint64_t from = readers < streams ? readers : streams;

	return from <= last ? from : last + 1;
}

/* The table is gone and its last stream about to be: then everything goes, as one range and with one sync. */
static bool
goes_whole(struct table_core *core)
{
	struct streams *all = core->db->streams;
	int64_t now_ms = clock_wall_ms();
	bool soon;

	pthread_mutex_lock(&all->lock);
	soon = atomic_load(&core->dropped) && core->streams != NULL;
	for (const struct stream *s = core->streams; soon && s != NULL; s = s->sibling)
		soon = s->status == STREAM_DISABLED && now_ms - s->disabled_ms >= STREAM_RETENTION_MS - SLACK_MS;
	pthread_mutex_unlock(&all->lock);
	return soon && !readers_use(core);
}

enum status
logs_trim(struct table_db *db, bool slack, int64_t until_ns, bool *ret_all, struct err *err)
{
	struct arena a = {0};
	struct table_core **cores;
	size_t count;
	enum status s = S_OK;

	*ret_all = true;
	pthread_mutex_lock(&db->streams->trimming);
	count = logged_cores(db, &a, &cores);
	for (size_t i = 0; i < count; i++) {
		const struct layout *l = layout_of(cores[i]);
		bool whole = goes_whole(cores[i]);

		*ret_all &= clock_mono_ns() < until_ns;
		for (uint32_t n = 0; s == S_OK && *ret_all && !whole && n < l->count; n++)
			s = trim_partition(cores[i], l->by_id[n], keep_from(cores[i], l->by_id[n]), slack, err);
		core_release(cores[i]);
	}
	pthread_mutex_unlock(&db->streams->trimming);
	arena_done(&a);
	return s;
}

static bool
is_used(struct table_core *core)
{
	return core->streams != NULL || readers_use(core);
}

enum status
log_next_number(struct table_db *db, uint32_t from, uint32_t *ret, struct err *err)
{
	struct buf low = {0};
	struct engine_iter *it;
	enum status s = S_OK;

	*ret = 0;
	buf_put_be32(&low, from);
	it = engine_iter_new(db->engine, NULL, SPACE_LOG, buf_slice(&low), SLICE_NONE, ENGINE_MAY_BLOCK | ENGINE_SCAN);
	engine_iter_first(it);
	if (engine_iter_valid(it)) {
		memcpy(ret, engine_iter_key(it).data, sizeof *ret);
		*ret = __builtin_bswap32(*ret);
	} else {
		s = engine_iter_status(it, err);
	}
	engine_iter_free(it);
	buf_done(&low);
	return s;
}

enum status
log_drop_range(struct table_db *db, uint32_t table_number, struct err *err)
{
	struct buf from = {0}, to = {0};
	uint64_t bytes;
	enum status s;

	space_range(table_number, &from, &to);
	bytes = range_bytes(db, buf_slice(&from), buf_slice(&to));
	s = engine_drop(db->engine, SPACE_LOG, buf_slice(&from), buf_slice(&to), err);
	if (s == S_OK)
		atomic_fetch_add(&db->streams->trimmed_bytes, bytes);
	buf_done(&from);
	buf_done(&to);
	return s;
}

/* Of a table that is gone: everything, and that it was there. */
static enum status
drop_all(struct table_core *core, struct err *err)
{
	struct table_db *db = core->db;
	enum status s = log_drop_range(db, core->number, err);
	struct engine_batch *batch;
	struct buf key = {0};
	uint64_t seq;

	fault_pass(FAULT_LOG_DROPPED);
	if (s != S_OK)
		return s;
	batch = engine_batch_new(db->engine);
	for (uint32_t i = 0; i < layout_of(core)->count; i++) {
		key.len = 0;
		catalog_key_trim(&key, core->number, i);
		engine_batch_delete(batch, SPACE_CATALOG, buf_slice(&key));
	}
	s = engine_apply(db->engine, batch, &seq, err);
	engine_batch_free(batch);
	buf_done(&key);
	return s;
}

enum status
log_drop_if_unused(struct table_core *core, struct err *err)
{
	const struct layout *l = layout_of(core);
	bool written = false;
	enum status s = S_OK;

	for (uint32_t i = 0; !written && i < l->count; i++)
		written = atomic_load(&l->by_id[i]->log_last) != 0;
	if (!written || is_used(core))
		return S_OK;
	if (atomic_load(&core->dropped))
		return drop_all(core, err);
	for (uint32_t i = 0; s == S_OK && i < l->count; i++)
		s = trim(core, l->by_id[i], atomic_load(&l->by_id[i]->log_last), err);
	return s;
}

enum status
change_maintain(struct table_db *db, struct err *err)
{
	bool all;
	enum status s = logs_trim(db, false, INT64_MAX, &all, err);

	if (s == S_OK)
		s = shards_maintain(db, err);
	if (s == S_OK)
		s = split_where_needed(db, err);
	return s == S_OK ? reclaim_now(db, err) : s;
}

enum status
log_job(struct table_db *db, struct err *err)
{
	bool all;
	enum status s = logs_trim(db, true, clock_mono_ns() + LOG_STEP_NS, &all, err);

	if (s == S_OK && !all) { /* the other jobs have their turn; what was trimmed is not looked for again */
		jobs_add(db, JOB_LOG, SLICE_NONE, 0, 0, LOG_STEP_NS);
		return S_OK;
	}
	if (s == S_OK)
		s = shards_maintain(db, err);
	if (s == S_OK)
		s = split_where_needed(db, err);
	if (s == S_OK)
		s = table_recount(db, true, err);
	if (s == S_OK)
		jobs_add(db, JOB_LOG, SLICE_NONE, 0, 0, LOG_LOOK_NS);
	return s;
}
