/*
 * TTL on and off. Enabling gives the table a number for rows by due time: from then on writes keep them, a job adds
 * those of the items that are there (backfill.c), and then it is ENABLED. Disabling ends the keeping at once; a job
 * drops the rows. Each enabling has a number of its own, so rows of one cannot be taken for those of another.
 */
#include "base/clock.h"
#include "base/fault.h"
#include "table/table_int.h"

static enum status
not_found(struct slice name, struct err *err)
{
	return err_set(err, S_RESOURCE_NOT_FOUND, "Requested resource not found: Table: %.*s not found",
		       SLICE_ARG(name));
}

/* What is wrong with the wish itself is told before that it comes too soon, as the service does. */
static enum status
check_change(const struct ttl_record *now, struct slice attribute, bool enabled, int64_t now_ms, struct err *err)
{
	bool active = now->status == TTL_ENABLED || now->status == TTL_ENABLING;

	if (active && !slice_eq(now->attribute, attribute))
		return err_set(err, S_VALIDATION,
			       "TimeToLive is active on a different AttributeName: current AttributeName is %.*s",
			       SLICE_ARG(now->attribute));
	if (active == enabled)
		return err_set(err, S_VALIDATION, "TimeToLive is already %s", enabled ? "enabled" : "disabled");
	/* a clock that was set back behind the last change must not lock the table for longer */
	if (now->status == TTL_DISABLING || now->status == TTL_ENABLING ||
	    (now->changed_ms > 0 && now_ms >= now->changed_ms && now_ms - now->changed_ms < TTL_CHANGE_PAUSE_MS))
		return err_set(err, S_VALIDATION,
			       "Time to live has been modified multiple times within a fixed interval");
	return S_OK;
}

static enum status
update_locked(struct table_db *db, struct table *t, struct slice attribute, bool enabled, struct arena *a,
	      struct table **ret, struct err *err)
{
	struct engine_batch *batch;
	struct record r;
	enum status s;

	if (t->record.status == TABLE_CREATING || t->record.status == TABLE_DELETING)
		return err_set(err, S_RESOURCE_IN_USE,
			       "Attempt to change a resource which is still in use: Table is being %s: %.*s",
			       t->record.status == TABLE_CREATING ? "created" : "deleted", SLICE_ARG(t->core->name));
	s = check_change(&t->record.ttl, attribute, enabled, clock_wall_ms(), err);
	if (s == S_OK)
		s = record_decode(t->core->name, t->encoded, arena_allocator(a), &r, err);
	if (s != S_OK)
		return s;
	batch = engine_batch_new(db->engine);
	r.ttl.status = enabled ? TTL_ENABLING : TTL_DISABLING;
	r.ttl.attribute = attribute;
	r.ttl.changed_ms = clock_wall_ms();
	if (enabled)
		s = next_numbers(db, 1, batch, &r.ttl.number, err);
	if (s == S_OK)
		s = catalog_change(db, t, &r, batch, ret, err);
	engine_batch_free(batch);
	if (s == S_OK)
		jobs_add(db, enabled ? JOB_TTL_FILL : JOB_TTL_DROP, t->core->name, t->core->number, r.ttl.number,
			 db->control_delay_ns);
	return s;
}

enum status
table_ttl_update(struct table_db *db, struct slice table_name_, struct slice attribute, bool enabled, struct err *err)
{
	struct arena a = {0};
	struct table *t, *updated = NULL;
	enum status s;

	pthread_mutex_lock(&db->control);
	t = directory_find(db, table_name_);
	s = t != NULL ? update_locked(db, t, attribute, enabled, &a, &updated, err) : not_found(table_name_, err);
	pthread_mutex_unlock(&db->control);
	if (s == S_OK)
		jobs_linger(db, updated);
	table_release(updated);
	table_release(t);
	arena_done(&a);
	return s;
}

enum status
table_ttl_describe(struct table_db *db, struct slice table_name_, struct arena *a, struct table_ttl_description *ret,
		   struct err *err)
{
	struct table *t = directory_find(db, table_name_);

	if (t == NULL)
		return not_found(table_name_, err);
	ret->status = t->record.ttl.status;
	ret->attribute = arena_dup(a, t->record.ttl.attribute);
	table_release(t);
	return S_OK;
}

/* ---- the jobs' ends ---- */

static enum status
settle(struct table_db *db, struct table *t, enum table_ttl_status status, struct arena *a, struct err *err)
{
	struct engine_batch *batch;
	struct buf key = {0};
	struct record r;
	enum status s = record_decode(t->core->name, t->encoded, arena_allocator(a), &r, err);

	if (s != S_OK)
		return s;
	batch = engine_batch_new(db->engine);
	catalog_key_progress(&key, r.ttl.number);
	engine_batch_delete(batch, SPACE_CATALOG, buf_slice(&key));
	r.ttl.status = status;
	if (status == TTL_DISABLED) {
		r.ttl.number = 0;
		r.ttl.attribute = SLICE_NONE;
	}
	s = catalog_change(db, t, &r, batch, NULL, err);
	engine_batch_free(batch);
	buf_done(&key);
	return s;
}

enum status
ttl_filled(struct table_db *db, struct table *t, uint32_t number, struct arena *a, struct err *err)
{
	if (t->record.ttl.number != number || t->record.ttl.status != TTL_ENABLING ||
	    t->record.status == TABLE_DELETING)
		return S_OK;
	return settle(db, t, TTL_ENABLED, a, err);
}

enum status
ttl_drop(struct table_db *db, struct table *t, uint32_t number, struct arena *a, struct err *err)
{
	struct buf from = {0}, to = {0};
	enum status s;

	if (t->record.ttl.number != number || t->record.ttl.status != TTL_DISABLING ||
	    t->record.status == TABLE_DELETING)
		return S_OK;
	space_range(number, &from, &to);
	s = engine_drop(db->engine, SPACE_INDEXES, buf_slice(&from), buf_slice(&to), err);
	fault_pass(FAULT_TTL_DROPPED);
	buf_done(&from);
	buf_done(&to);
	return s == S_OK ? settle(db, t, TTL_DISABLED, a, err) : s;
}
