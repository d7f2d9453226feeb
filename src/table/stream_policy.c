/*
 * Resource policies of streams: rows of the catalog under the table's number and the stream's, which go with the
 * stream. It may outlive its table, and its policy with it.
 */
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

static void
write_row(const struct stream *s, const struct table_policy *p, struct engine_batch *batch)
{
	struct buf key = {0};

	catalog_key_stream_policy(&key, s->core->number, s->number);
	policy_write_row(batch, buf_slice(&key), p);
	buf_done(&key);
}

void
stream_policy_delete_row(const struct stream *s, struct engine_batch *batch)
{
	write_row(s, NULL, batch);
}

void
stream_policy_put_row(const struct stream *s, struct engine_batch *batch)
{
	write_row(s, s->policy, batch);
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
	struct table_policy *p;
	struct buf key = {0};
	enum status result;

	catalog_key_stream_policy(&key, s->core->number, s->number);
	result = policy_read_row(s->core->db, buf_slice(&key), s->arn, &p, err);
	if (result == S_OK && p != NULL)
		publish(s, p);
	buf_done(&key);
	return result;
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
	struct policy_place place = {.kind = "stream", .core = s->core, .name = s->arn, .now = s->policy};
	struct table_policy *next;
	struct buf key = {0};
	enum status result;

	catalog_key_stream_policy(&key, s->core->number, s->number);
	place.key = buf_slice(&key);
	place.highest = &s->policy_revision;
	result = policy_change(&place, change, ret_revision, &next, err);
	if (next != place.now)
		publish(s, next);
	buf_done(&key);
	return result;
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
