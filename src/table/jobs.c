/*
 * What happens later: statuses that end, rows that are dropped, indexes that are filled. One thread, a queue by due
 * time. A job names its table and finds it afresh when it runs, so one that has become pointless does nothing.
 * A job that fails (the disk) is tried again every second; nothing is lost by that, because what it is to do follows
 * from the catalog, and after a restart the catalog queues it again.
 */
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "table/change_int.h"
#include "table/vector_int.h"

#include <stdlib.h>
#include <time.h>

#define RETRY_NS             1000000000LL
#define LINGER_DELAY_MAX_NS  5000000LL /* who sets a longer one wants to see the statuses */
#define LINGER_NS            1000000000LL
#define RECLAIM_LOOK_NS      (5 * 60 * 1000000000LL)
#define RECLAIM_BYTES        (4u << 20) /* dropped neighbours that take less are left to compaction */
#define BACKFILL_REST_MAX_NS 2000000LL  /* a step takes as long a rest as it took, at most this */

struct job {
	struct job *next;
	int64_t due_ns;
	enum job_kind kind;
	uint32_t table_number;
	uint32_t index_number;
	struct slice name;
	char name_text[];
};

void
jobs_add(struct table_db *db, enum job_kind kind, struct slice table_name_, uint32_t table_number,
	 uint32_t index_number, int64_t delay_ns)
{
	struct job *job = table_alloc(sizeof *job + table_name_.len);
	struct job **at;

	job->due_ns = clock_mono_ns() + delay_ns;
	job->kind = kind;
	job->table_number = table_number;
	job->index_number = index_number;
	if (table_name_.len > 0) /* a job of the whole database has none */
		memcpy(job->name_text, table_name_.data, table_name_.len);
	job->name = slice_of(job->name_text, table_name_.len);
	pthread_mutex_lock(&db->jobs_lock);
	for (at = &db->jobs; *at != NULL && (*at)->due_ns <= job->due_ns; at = &(*at)->next)
		;
	job->next = *at;
	*at = job;
	pthread_cond_signal(&db->jobs_wake);
	pthread_mutex_unlock(&db->jobs_lock);
}

static void
job_again(struct table_db *db, const struct job *job, int64_t delay_ns)
{
	jobs_add(db, job->kind, job->name, job->table_number, job->index_number, delay_ns);
}

/* The job's table, if it is still the same one; counted. */
static struct table *
job_table(struct table_db *db, const struct job *job)
{
	struct table *t = directory_find(db, job->name);

	if (t != NULL && t->core->number == job->table_number)
		return t;
	table_release(t);
	return NULL;
}

static const struct table_index *
job_index(const struct table *t, const struct job *job)
{
	for (size_t i = 0; i < t->index_count; i++)
		if (t->indexes[i].core->number == job->index_number)
			return &t->indexes[i];
	return NULL;
}

/* ---- statuses that end ---- */

static void
settle_throughput(struct table_throughput *now, bool *has_pending, const struct table_throughput *pending)
{
	int64_t now_ms = clock_wall_ms();

	if (!*has_pending)
		return;
	*has_pending = false;
	if (pending->read_units > now->read_units || pending->write_units > now->write_units)
		now->last_increase_ms = now_ms;
	if (pending->read_units < now->read_units || pending->write_units < now->write_units) {
		now->last_decrease_ms = now_ms;
		now->decreases_today++;
	}
	now->read_units = pending->read_units;
	now->write_units = pending->write_units;
}

static void
settle_record(struct record *r)
{
	settle_throughput(&r->spec.throughput, &r->has_pending, &r->pending);
	if (r->status == TABLE_CREATING && r->spec.billing == BILLING_ON_DEMAND)
		r->billing_changed_ms = r->created_ms;
	r->status = TABLE_ACTIVE;
	for (size_t i = 0; i < r->spec.index_count; i++) {
		struct index_record *x = &r->indexes[i];

		settle_throughput(&r->spec.indexes[i].throughput, &x->has_pending, &x->pending);
		if (x->building)
			x->backfilling = true;
		else if (x->status != INDEX_DELETING)
			x->status = INDEX_ACTIVE;
	}
}

static enum status
settle(struct table_db *db, struct table *t, struct arena *a, struct err *err)
{
	struct record r;
	enum status s;

	if (t->record.status != TABLE_CREATING && t->record.status != TABLE_UPDATING)
		return S_OK;
	s = record_decode(t->core->name, t->encoded, arena_allocator(a), &r, err);
	if (s != S_OK)
		return s;
	settle_record(&r);
	s = stream_settle(t->core, err); /* first: a table that is ACTIVE has its stream as it was asked for */
	fault_pass(FAULT_SETTLE_STREAM);
	if (s == S_OK)
		s = catalog_change(db, t, &r, NULL, NULL, err);
	for (size_t i = 0; s == S_OK && i < r.spec.index_count; i++)
		if (r.indexes[i].building)
			jobs_add(db, JOB_BACKFILL, t->core->name, t->core->number, r.indexes[i].number, 0);
	return s;
}

/* ---- rows that go ---- */

static enum status
drop_space(struct table_db *db, enum engine_space space, uint32_t number, struct err *err)
{
	struct buf from = {0}, to = {0};
	enum status s;

	space_range(number, &from, &to);
	s = engine_drop(db->engine, space, buf_slice(&from), buf_slice(&to), err);
	buf_done(&from);
	buf_done(&to);
	return s;
}

static enum status
forget_table(struct table_db *db, struct table *t, struct err *err)
{
	struct engine_batch *batch = engine_batch_new(db->engine);
	struct buf key = {0};
	enum status s;

	catalog_key_table(&key, t->core->name);
	engine_batch_delete(batch, SPACE_CATALOG, buf_slice(&key));
	for (uint32_t i = 0; i < layout_of(t->core)->count; i++) {
		key.len = 0;
		catalog_key_counts(&key, t->core->number, i);
		engine_batch_delete(batch, SPACE_CATALOG, buf_slice(&key));
	}
	for (size_t i = 0; i < t->index_count; i++) {
		key.len = 0;
		catalog_key_progress(&key, t->indexes[i].core->number);
		engine_batch_delete(batch, SPACE_CATALOG, buf_slice(&key));
	}
	if (t->record.ttl.number != 0) {
		key.len = 0;
		catalog_key_progress(&key, t->record.ttl.number);
		engine_batch_delete(batch, SPACE_CATALOG, buf_slice(&key));
	}
	key.len = 0;
	catalog_key_policy(&key, t->core->number);
	engine_batch_delete(batch, SPACE_CATALOG, buf_slice(&key));
	key.len = 0;
	catalog_key_insights(&key, t->core->number);
	engine_batch_delete(batch, SPACE_CATALOG, buf_slice(&key));
	key.len = 0;
	catalog_key_quota(&key, t->core->number);
	engine_batch_delete(batch, SPACE_CATALOG, buf_slice(&key));
	key.len = 0;
	catalog_key_layout(&key, t->core->number);
	engine_batch_delete(batch, SPACE_CATALOG, buf_slice(&key));
	stream_put_deleted(t->core, batch);
	s = catalog_commit(db, batch, err);
	engine_batch_free(batch);
	buf_done(&key);
	fault_pass(FAULT_DROP_FORGOTTEN);
	if (s == S_OK) {
		stream_deleted(t->core);
		insights_forget(db, &t->core->insights);
		for (size_t i = 0; i < t->index_count; i++)
			insights_forget(db, &t->indexes[i].core->insights);
		directory_remove(t->core);
		change_count_gone(t->core);
		log_drop_if_unused(t->core, NULL); /* tried again with its last stream, else left over */
		policy_publish(t->core, NULL);
	}
	return s;
}

/* The record goes last: until then a restart finds it DELETING and goes on here. */
static enum status
drop_table(struct table_db *db, struct table *t, struct err *err)
{
	enum status s;

	if (t->record.status != TABLE_DELETING)
		return S_OK;
	s = drop_space(db, SPACE_ITEMS, t->core->number, err);
	fault_pass(FAULT_DROP_ITEMS);
	for (size_t i = 0; s == S_OK && i < t->index_count; i++)
		s = drop_space(db, SPACE_INDEXES, t->indexes[i].core->number, err);
	if (s == S_OK && t->record.ttl.number != 0)
		s = drop_space(db, SPACE_INDEXES, t->record.ttl.number, err);
	fault_pass(FAULT_DROP_ROWS);
	return s == S_OK ? forget_table(db, t, err) : s;
}

static bool
schema_uses(const struct key_schema *schema, struct slice name)
{
	for (unsigned i = 0; i < schema->partition_count; i++)
		if (slice_eq(schema->partition[i].name, name))
			return true;
	for (unsigned i = 0; i < schema->sort_count; i++)
		if (slice_eq(schema->sort[i].name, name))
			return true;
	return false;
}

static void
remove_index(struct record *r, uint32_t number)
{
	struct table_spec *spec = &r->spec;
	size_t kept = 0;

	for (size_t i = 0; i < spec->index_count; i++)
		if (r->indexes[i].number != number) {
			r->indexes[kept] = r->indexes[i];
			spec->indexes[kept++] = spec->indexes[i];
		}
	spec->index_count = kept;
	/* definitions that no key uses any more go with it */
	kept = 0;
	for (size_t i = 0; i < spec->definition_count; i++) {
		bool used = schema_uses(&spec->schema, spec->definitions[i].name);

		for (size_t n = 0; n < spec->index_count; n++)
			used |= schema_uses(&spec->indexes[n].schema, spec->definitions[i].name) ||
				vector_uses(spec->indexes[n].vector, spec->definitions[i].name);
		if (used)
			spec->definitions[kept++] = spec->definitions[i];
	}
	spec->definition_count = kept;
}

static enum status
drop_index(struct table_db *db, struct table *t, const struct table_index *x, struct arena *a, struct err *err)
{
	struct engine_batch *batch;
	struct buf key = {0};
	struct record r;
	enum status s;

	if (x == NULL || x->record->status != INDEX_DELETING || t->record.status == TABLE_DELETING)
		return S_OK;
	s = drop_space(db, SPACE_INDEXES, x->core->number, err);
	fault_pass(FAULT_INDEX_DROPPED);
	if (s == S_OK)
		s = record_decode(t->core->name, t->encoded, arena_allocator(a), &r, err);
	if (s != S_OK)
		return s;
	remove_index(&r, x->core->number);
	batch = engine_batch_new(db->engine);
	catalog_key_progress(&key, x->core->number);
	engine_batch_delete(batch, SPACE_CATALOG, buf_slice(&key));
	s = catalog_change(db, t, &r, batch, NULL, err);
	if (s == S_OK)
		insights_forget(db, &x->core->insights);
	engine_batch_free(batch);
	buf_done(&key);
	return s;
}

/* ---- indexes that are filled ---- */

static enum status
finish_backfill(struct table_db *db, const struct job *job, struct arena *a, struct err *err)
{
	struct table *t = job_table(db, job);
	const struct table_index *x = t != NULL ? job_index(t, job) : NULL;
	struct engine_batch *batch;
	struct buf key = {0};
	struct record r;
	enum status s = S_OK;

	if (x == NULL || !x->record->building || t->record.status == TABLE_DELETING)
		goto out;
	s = record_decode(t->core->name, t->encoded, arena_allocator(a), &r, err);
	if (s != S_OK)
		goto out;
	for (size_t i = 0; i < r.spec.index_count; i++)
		if (r.indexes[i].number == x->core->number) {
			r.indexes[i].building = r.indexes[i].backfilling = false;
			r.indexes[i].status = INDEX_ACTIVE;
		}
	batch = engine_batch_new(db->engine);
	catalog_key_progress(&key, x->core->number);
	engine_batch_delete(batch, SPACE_CATALOG, buf_slice(&key));
	s = catalog_change(db, t, &r, batch, NULL, err);
	engine_batch_free(batch);
	buf_done(&key);
out:
	table_release(t);
	return s;
}

static enum status
finish_ttl(struct table_db *db, const struct job *job, struct arena *a, struct err *err)
{
	struct table *t = job_table(db, job);
	enum status s = t != NULL ? ttl_filled(db, t, job->index_number, a, err) : S_OK;

	table_release(t);
	return s;
}

/* One step without db->control, so that the control plane does not wait for it; only the end is a change of the
 * catalog. */
static enum status
backfill(struct table_db *db, const struct job *job, struct table *t, struct arena *a, struct err *err)
{
	const struct table_index *x = job->kind == JOB_BACKFILL ? job_index(t, job) : NULL;
	int64_t started = clock_mono_ns(), took;
	bool done, needed;
	enum status s;

	if (job->kind == JOB_BACKFILL)
		needed = x != NULL && x->record->building;
	else
		needed = t->record.ttl.number == job->index_number && t->record.ttl.status == TTL_ENABLING;
	if (!needed || t->record.status == TABLE_DELETING)
		return S_OK;
	s = backfill_step(t, x, &done, err);
	if (s != S_OK)
		return s;
	if (!done) {
		took = clock_mono_ns() - started;
		job_again(db, job, took < BACKFILL_REST_MAX_NS ? took : BACKFILL_REST_MAX_NS);
		return S_OK;
	}
	fault_pass(FAULT_BACKFILL_DONE);
	pthread_mutex_lock(&db->control);
	s = job->kind == JOB_BACKFILL ? finish_backfill(db, job, a, err) : finish_ttl(db, job, a, err);
	pthread_mutex_unlock(&db->control);
	return s;
}

/* ---- catalog rows whose sync failed ---- */

/* Whether a change whose sync failed is on the disk is not known. It was refused, so memory decides: write that. */
static enum status
rewrite(struct table_db *db, const struct job *job, struct err *err)
{
	struct table *t = directory_find(db, job->name);
	struct engine_batch *batch = engine_batch_new(db->engine);
	struct buf key = {0};
	enum status s;

	catalog_key_table(&key, job->name);
	if (t != NULL) {
		engine_batch_put(batch, SPACE_CATALOG, buf_slice(&key), t->encoded);
		policy_rewrite_row(batch, t->core);
		insights_rewrite_row(batch, t);
		quota_put_row(batch, t->core->number, &t->core->quota);
		layout_put_row(t->core, batch);
		stream_put_rows(t->core, batch);
	} else {
		engine_batch_delete(batch, SPACE_CATALOG, buf_slice(&key));
	}
	if (t == NULL || t->core->number != job->table_number) { /* a table that never came to be */
		key.len = 0;
		catalog_key_policy(&key, job->table_number);
		engine_batch_delete(batch, SPACE_CATALOG, buf_slice(&key));
		stream_put_rows_left(db, job->table_number, batch);
	}
	s = catalog_commit(db, batch, err);
	if (s == S_OK && t != NULL && t->core->number == job->table_number)
		core_doubt_over(t->core);
	if (s == S_OK)
		stream_rewritten(db, job->table_number);
	engine_batch_free(batch);
	buf_done(&key);
	table_release(t);
	return s;
}

/* ---- the thread ---- */

static enum status
run_locked(struct table_db *db, const struct job *job, struct arena *a, struct err *err)
{
	struct table *t;
	enum status s = S_OK;

	if (job->kind == JOB_REWRITE)
		return rewrite(db, job, err);
	if (job->kind == JOB_FORGET_TOKENS)
		return tokens_forget(db, err);
	t = job_table(db, job);
	if (t == NULL)
		return S_OK;
	if (job->kind == JOB_SETTLE)
		s = settle(db, t, a, err);
	else if (job->kind == JOB_INSIGHTS)
		s = insights_settle(db, t, job->index_number, err);
	else if (job->kind == JOB_DROP_TABLE)
		s = drop_table(db, t, err);
	else if (job->kind == JOB_DROP_INDEX)
		s = drop_index(db, t, job_index(t, job), a, err);
	else if (job->kind == JOB_TTL_DROP)
		s = ttl_drop(db, t, job->index_number, a, err);
	table_release(t);
	return s;
}

/* ---- space that dropped ranges take ---- */

enum status
reclaim_now(struct table_db *db, struct err *err)
{
	bool more = true;
	enum status s = S_OK;

	while (s == S_OK && more && !atomic_load(&db->reclaim_stop))
		s = engine_reclaim(db->engine, RECLAIM_BYTES, &more, err);
	return s;
}

static void *
reclaim_thread(void *context)
{
	struct table_db *db = context;
	struct err err;

	pthread_setname_np(pthread_self(), "reclaim");
	if (reclaim_now(db, &err) != S_OK)
		log_warn("table", "room on the disk is not taken back: %s", err.message);
	atomic_store(&db->reclaim_runs, false);
	return NULL;
}

/* A thread of its own, as it may take seconds and the other jobs are waited for. */
static void
reclaim_when_due(struct table_db *db)
{
	int64_t now_ns = clock_mono_ns();

	if (now_ns < db->reclaim_due_ns || atomic_load(&db->reclaim_runs))
		return;
	if (db->reclaim_started)
		pthread_join(db->reclaim_thread, NULL);
	db->reclaim_due_ns = now_ns + RECLAIM_LOOK_NS;
	atomic_store(&db->reclaim_runs, true);
	db->reclaim_started = pthread_create(&db->reclaim_thread, NULL, reclaim_thread, db) == 0;
	if (!db->reclaim_started)
		atomic_store(&db->reclaim_runs, false);
}

static void
run(struct table_db *db, const struct job *job)
{
	struct arena a = {0};
	struct err err;
	enum status s = S_OK;

	err.message[0] = '\0';
	if (job->kind == JOB_BACKFILL || job->kind == JOB_TTL_FILL) {
		struct table *t = job_table(db, job);

		if (t != NULL)
			s = backfill(db, job, t, &a, &err);
		table_release(t);
	} else if (job->kind == JOB_LOG) {
		s = log_job(db, &err);
		reclaim_when_due(db);
	} else {
		pthread_mutex_lock(&db->control);
		s = run_locked(db, job, &a, &err);
		pthread_mutex_unlock(&db->control);
	}
	if (s != S_OK) {
		log_warn("table", "%.*s: background work failed and is tried again: %s", SLICE_ARG(job->name),
			 err.message);
		job_again(db, job, RETRY_NS);
	}
	arena_done(&a);
}

/* The next job when it is due; waits. NULL: the thread shall end. */
static struct job *
next_job(struct table_db *db)
{
	struct job *job;

	pthread_mutex_lock(&db->jobs_lock);
	while (!db->stopping && (db->jobs == NULL || db->jobs->due_ns > clock_mono_ns())) {
		if (db->jobs == NULL) {
			pthread_cond_wait(&db->jobs_wake, &db->jobs_lock);
		} else {
			struct timespec due = {db->jobs->due_ns / 1000000000, db->jobs->due_ns % 1000000000};

			pthread_cond_timedwait(&db->jobs_wake, &db->jobs_lock, &due);
		}
	}
	job = db->stopping ? NULL : db->jobs;
	if (job != NULL)
		db->jobs = job->next;
	pthread_mutex_unlock(&db->jobs_lock);
	return job;
}

static void *
jobs_thread(void *context)
{
	struct table_db *db = context;
	struct job *job;

	pthread_setname_np(pthread_self(), "tables");
	while ((job = next_job(db)) != NULL) {
		run(db, job);
		free(job);
		pthread_mutex_lock(&db->jobs_lock);
		db->jobs_ran_count++;
		pthread_cond_broadcast(&db->jobs_ran);
		pthread_mutex_unlock(&db->jobs_lock);
	}
	expr_cache_done();
	return NULL;
}

static bool
is_settled(struct table_db *db, const struct table *t)
{
	struct table *now = directory_find(db, t->core->name);
	bool settled = now == NULL || now->core != t->core ||
		       (now->record.status == TABLE_ACTIVE && now->record.ttl.status != TTL_ENABLING &&
			now->record.ttl.status != TTL_DISABLING);

	table_release(now);
	return settled;
}

void
jobs_linger(struct table_db *db, const struct table *t)
{
	int64_t until = clock_mono_ns() + LINGER_NS;
	struct timespec due = {until / 1000000000, until % 1000000000};
	bool over = db->control_delay_ns > LINGER_DELAY_MAX_NS;

	while (!over) {
		uint64_t seen;

		pthread_mutex_lock(&db->jobs_lock);
		seen = db->jobs_ran_count;
		pthread_mutex_unlock(&db->jobs_lock);
		if (is_settled(db, t)) /* takes a lock that must not be taken under this one */
			return;
		pthread_mutex_lock(&db->jobs_lock);
		while (!db->stopping && db->jobs_ran_count == seen && clock_mono_ns() < until)
			pthread_cond_timedwait(&db->jobs_ran, &db->jobs_lock, &due);
		over = db->stopping || db->jobs_ran_count == seen;
		pthread_mutex_unlock(&db->jobs_lock);
	}
}

enum status
jobs_start(struct table_db *db, struct err *err)
{
	db->reclaim_due_ns = clock_mono_ns() + RECLAIM_LOOK_NS;
	if (pthread_create(&db->thread, NULL, jobs_thread, db) != 0)
		return err_set(err, S_INTERNAL, "cannot start the thread for background work on tables");
	db->thread_started = true;
	jobs_add(db, JOB_LOG, SLICE_NONE, 0, 0, RETRY_NS);
	return S_OK;
}

void
jobs_stop(struct table_db *db)
{
	pthread_mutex_lock(&db->jobs_lock);
	db->stopping = true;
	pthread_cond_signal(&db->jobs_wake);
	pthread_mutex_unlock(&db->jobs_lock);
	atomic_store(&db->reclaim_stop, true);
	if (db->thread_started)
		pthread_join(db->thread, NULL);
	if (db->reclaim_started)
		pthread_join(db->reclaim_thread, NULL);
	while (db->jobs != NULL) {
		struct job *next = db->jobs->next;

		free(db->jobs);
		db->jobs = next;
	}
}
