/*
 * Resource policies of streams: rows of the catalog under the table's number and the stream's, which go with the
 * stream. It may outlive its table, and its policy with it.
 */
#include "base/clock.h"
#include "table/change_int.h"

bool
stream_db_has_policies(const struct table_db *db)
{
	return atomic_load_explicit(&db->streams->policy_count, memory_order_relaxed) > 0;
}

struct table_policy *
stream_policy_find(struct table_db *db, struct slice arn)
{
	struct streams *all = db->streams;
	struct table_policy *p;
	const struct stream *s;

	pthread_mutex_lock(&all->lock);
	s = stream_find_arn(all, arn);
	p = s != NULL ? s->policy : NULL;
	if (p != NULL)
		atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
	pthread_mutex_unlock(&all->lock);
	return p;
}

/* ---- rows ---- */

void
stream_policy_delete_row(const struct stream *s, struct engine_batch *batch)
{
	struct buf key = {0};

	catalog_key_stream_policy(&key, s->core->number, s->number);
	engine_batch_delete(batch, SPACE_CATALOG, buf_slice(&key));
	buf_done(&key);
}

static void
put_row(const struct stream *s, const struct table_policy *p, struct engine_batch *batch)
{
	struct buf key = {0}, value = {0};

	catalog_key_stream_policy(&key, s->core->number, s->number);
	policy_put_value(&value, p);
	engine_batch_put(batch, SPACE_CATALOG, buf_slice(&key), buf_slice(&value));
	buf_done(&key);
	buf_done(&value);
}

void
stream_policy_put_row(const struct stream *s, struct engine_batch *batch)
{
	if (s->policy != NULL)
		put_row(s, s->policy, batch);
	else
		stream_policy_delete_row(s, batch);
}

/* Takes the caller's count of `p`, which may be NULL. The caller holds db->control, or is alone. */
static void
publish(struct stream *s, struct table_policy *p)
{
	struct streams *all = s->core->db->streams;
	struct table_policy *old;

	pthread_mutex_lock(&all->lock);
	old = s->policy;
	s->policy = p;
	if (p != NULL)
		s->policy_revision = p->revision;
	pthread_mutex_unlock(&all->lock);
	atomic_fetch_add(&all->policy_count, (p != NULL) - (old != NULL));
	table_policy_release(old);
}

enum status
stream_policy_load(struct stream *s, struct err *err)
{
	struct engine_value value = {0};
	struct table_policy *p;
	struct buf key = {0};
	enum status result;

	catalog_key_stream_policy(&key, s->core->number, s->number);
	result = engine_get(s->core->db->engine, NULL, SPACE_CATALOG, buf_slice(&key), ENGINE_MAY_BLOCK, &value, err);
	if (result == S_OK)
		result = policy_take_value(value.data, s->arn, &p, err);
	if (result == S_OK)
		publish(s, p);
	engine_value_done(&value);
	buf_done(&key);
	return result == S_NOT_FOUND ? S_OK : result;
}

void
stream_policy_forget(struct stream *s)
{
	if (s->policy != NULL)
		publish(s, NULL);
}

/* ---- changing ---- */

/* The caller holds db->control, so the stream stays, and its policy. */
static enum status
change_locked(struct stream *s, const struct table_policy_change *change, int64_t *ret_revision, struct err *err)
{
	struct table_db *db = s->core->db;
	struct table_policy *now = s->policy, *next = NULL;
	int64_t revision = clock_wall_ms();
	struct engine_batch *batch;
	enum status result = policy_check_revision("stream", s->arn, now, change, err);

	*ret_revision = now != NULL ? now->revision : 0;
	if (result != S_OK || policy_changes_nothing(now, change))
		return result;
	if (revision <= s->policy_revision) /* rises, whatever the clock does */
		revision = s->policy_revision + 1;
	if (change->document.data != NULL)
		next = policy_new(change->document, change->flags, revision);
	batch = engine_batch_new(db->engine);
	if (next != NULL)
		put_row(s, next, batch);
	else
		stream_policy_delete_row(s, batch);
	result = catalog_commit(db, batch, err);
	engine_batch_free(batch);
	if (result != S_OK) {
		jobs_add(db, JOB_REWRITE, s->core->name, s->core->number, 0, 0);
		table_policy_release(next);
		return result;
	}
	s->policy_revision = revision;
	if (next != NULL)
		*ret_revision = revision;
	publish(s, next);
	return S_OK;
}

enum status
stream_policy_set(struct table_db *db, struct slice arn, const struct table_policy_change *change,
		  int64_t *ret_revision, struct err *err)
{
	struct stream *s;
	enum status result;

	pthread_mutex_lock(&db->control);
	pthread_mutex_lock(&db->streams->lock);
	s = stream_find_arn(db->streams, arn);
	pthread_mutex_unlock(&db->streams->lock);
	if (s != NULL)
		result = change_locked(s, change, ret_revision, err);
	else
		result = err_set(err, S_RESOURCE_NOT_FOUND, "Requested resource not found: Stream: %.*s not found",
				 SLICE_ARG(arn));
	pthread_mutex_unlock(&db->control);
	return result;
}
