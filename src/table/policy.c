/*
 * Resource policies: a document for each table that has one, kept in the catalog under the table's number, so that it
 * goes with the table and never comes back with another of the same name. What a document says is not known here.
 * Those of streams are in stream_policy.c.
 */
#include "base/clock.h"
#include "table/table_int.h"

#include <stdio.h>
#include <stdlib.h>

#define ROW_VERSION 1
#define ROW_HEAD    10 /* version, flags, revision */

#define NOT_FOUND "Resource-based policy not found for the provided ResourceArn: "

/* ---- counting ---- */

static struct table_policy *
policy_new(struct slice document, unsigned flags, int64_t revision)
{
	struct table_policy *p = table_alloc(sizeof *p + document.len);

	atomic_init(&p->refs, 1);
	memcpy(p->bytes, document.data, document.len);
	p->document = slice_of(p->bytes, document.len);
	p->flags = (uint8_t)flags;
	p->revision = revision;
	return p;
}

void
table_policy_release(struct table_policy *p)
{
	void *meaning;

	if (p == NULL || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
		return;
	meaning = atomic_load_explicit(&p->meaning, memory_order_acquire);
	if (meaning != NULL)
		atomic_load_explicit(&p->drop_meaning, memory_order_relaxed)(meaning);
	free(p);
}

void *
table_policy_meaning(struct table_policy *p, void *(*make)(struct slice document), void (*drop)(void *meaning))
{
	void *meaning = atomic_load_explicit(&p->meaning, memory_order_acquire), *none = NULL;

	if (meaning != NULL)
		return meaning;
	meaning = make(p->document);
	atomic_store_explicit(&p->drop_meaning, drop, memory_order_relaxed); /* the same by whoever writes it */
	if (meaning == NULL || atomic_compare_exchange_strong(&p->meaning, &none, meaning))
		return meaning;
	drop(meaning); /* another thread was first */
	return none;
}

bool
table_db_has_policies(const struct table_db *db)
{
	return atomic_load_explicit(&db->policy_count, memory_order_relaxed) > 0;
}

struct table_policy *
table_policy_find(struct table_db *db, struct slice name)
{
	struct table *t = directory_find(db, name);
	struct table_policy *p = NULL;

	if (t == NULL)
		return NULL;
	if (atomic_load(&t->core->policy) != NULL) {
		pthread_mutex_lock(&t->core->policy_lock);
		p = t->core->policy;
		if (p != NULL)
			atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
		pthread_mutex_unlock(&t->core->policy_lock);
	}
	table_release(t);
	return p;
}

/* Takes the caller's count of `p`, which may be NULL. The caller holds db->control, or is alone. */
void
policy_publish(struct table_core *core, struct table_policy *p)
{
	struct table_policy *old;

	pthread_mutex_lock(&core->policy_lock);
	old = core->policy;
	core->policy = p;
	if (p != NULL)
		core->policy_revision = p->revision;
	pthread_mutex_unlock(&core->policy_lock);
	atomic_fetch_add(&core->db->policy_count, (p != NULL) - (old != NULL));
	table_policy_release(old);
}

/* The last user of a table lets go of it. */
void
policy_forget(struct table_core *core)
{
	table_policy_release(core->policy);
	core->policy = NULL;
}

/* ---- rows ---- */

static void
put_value(struct buf *out, const struct table_policy *p)
{
	uint64_t revision = (uint64_t)p->revision;

	buf_put_byte(out, ROW_VERSION);
	buf_put_byte(out, p->flags);
	buf_put(out, &revision, sizeof revision); /* little-endian, as this machine */
	buf_put_slice(out, p->document);
}

static enum status
take_value(struct slice value, struct slice whose, struct table_policy **ret, struct err *err)
{
	uint64_t revision;

	if (value.len < ROW_HEAD || value.data[0] != ROW_VERSION)
		return err_set(err, S_CORRUPT, "the resource policy of %.*s has a form that this program does not know",
			       SLICE_ARG(whose));
	memcpy(&revision, value.data + 2, sizeof revision);
	*ret = policy_new(slice_of(value.data + ROW_HEAD, value.len - ROW_HEAD), (uint8_t)value.data[1],
			  (int64_t)revision);
	return S_OK;
}

void
policy_write_row(struct engine_batch *batch, struct slice key, const struct table_policy *p)
{
	struct buf value = {0};

	if (p == NULL) {
		engine_batch_delete(batch, SPACE_CATALOG, key);
		return;
	}
	put_value(&value, p);
	engine_batch_put(batch, SPACE_CATALOG, key, buf_slice(&value));
	buf_done(&value);
}

enum status
policy_read_row(struct table_db *db, struct slice key, struct slice whose, struct table_policy **ret, struct err *err)
{
	struct engine_value value = {0};
	enum status s;

	*ret = NULL;
	s = engine_get(db->engine, NULL, SPACE_CATALOG, key, ENGINE_MAY_BLOCK, &value, err);
	if (s == S_OK)
		s = take_value(value.data, whose, ret, err);
	engine_value_done(&value);
	return s == S_NOT_FOUND ? S_OK : s;
}

void
policy_put_row(struct engine_batch *batch, uint32_t table_number, const struct table_policy *p)
{
	struct buf key = {0};

	catalog_key_policy(&key, table_number);
	policy_write_row(batch, buf_slice(&key), p);
	buf_done(&key);
}

/* What is in memory, once more: for rows of which it is not known whether they reached the disk. */
void
policy_rewrite_row(struct engine_batch *batch, const struct table_core *core)
{
	policy_put_row(batch, core->number, core->policy);
}

struct table_policy *
policy_of_spec(const struct table_spec *spec, int64_t revision)
{
	if (spec->policy.data == NULL)
		return NULL;
	return policy_new(spec->policy, spec->policy_flags, revision);
}

enum status
policy_load(struct table_core *core, struct err *err)
{
	struct table_policy *p;
	struct buf key = {0};
	enum status s;

	catalog_key_policy(&key, core->number);
	s = policy_read_row(core->db, buf_slice(&key), core->name, &p, err);
	if (s == S_OK && p != NULL)
		policy_publish(core, p);
	buf_done(&key);
	return s;
}

/* ---- changing ---- */

static enum status
check_revision(const char *kind, struct slice name, const struct table_policy *now,
	       const struct table_policy_change *change, struct err *err)
{
	char revision[24] = "";

	if (change->expected.data == NULL)
		return S_OK;
	if (now != NULL)
		snprintf(revision, sizeof revision, "%lld", (long long)now->revision);
	if (change->document.data != NULL && slice_eq(change->expected, SLICE("NO_POLICY"))) {
		if (now == NULL)
			return S_OK;
		return err_set(err, S_POLICY_NOT_FOUND,
			       NOT_FOUND "Requested policy update expecting none to be present for %s %.*s, but a "
					 "policy exists with revision id %s.",
			       kind, SLICE_ARG(name), revision);
	}
	if (now == NULL)
		return err_set(err, S_POLICY_NOT_FOUND,
			       NOT_FOUND "Requested update for policy with revision id %.*s, but %s %.*s has no "
					 "associated policy.",
			       SLICE_ARG(change->expected), kind, SLICE_ARG(name));
	if (slice_eq(change->expected, slice_str(revision)))
		return S_OK;
	return err_set(err, S_POLICY_NOT_FOUND,
		       NOT_FOUND
		       "Requested update for policy with revision id %.*s, but the policy associated to target "
		       "%s %.*s has revision id %s.",
		       SLICE_ARG(change->expected), kind, SLICE_ARG(name), revision);
}

static bool
changes_nothing(const struct table_policy *now, const struct table_policy_change *change)
{
	if (now == NULL || change->document.data == NULL)
		return now == NULL && change->document.data == NULL;
	return now->flags == change->flags && slice_eq(now->document, change->document);
}

enum status
policy_change(const struct policy_place *place, const struct table_policy_change *change, int64_t *ret_revision,
	      struct table_policy **ret_policy, struct err *err)
{
	const struct table_core *core = place->core;
	struct table_policy *next = NULL;
	struct engine_batch *batch;
	int64_t revision = clock_wall_ms();
	enum status s = check_revision(place->kind, place->name, place->now, change, err);

	*ret_policy = place->now;
	*ret_revision = place->now != NULL ? place->now->revision : 0;
	if (s != S_OK || changes_nothing(place->now, change))
		return s;
	if (revision <= *place->highest) /* rises, whatever the clock does */
		revision = *place->highest + 1;
	if (change->document.data != NULL)
		next = policy_new(change->document, change->flags, revision);
	batch = engine_batch_new(core->db->engine);
	policy_write_row(batch, place->key, next);
	s = catalog_commit(core->db, batch, err);
	engine_batch_free(batch);
	if (s != S_OK) {
		jobs_add(core->db, JOB_REWRITE, core->name, core->number, 0, 0);
		table_policy_release(next);
		return s;
	}
	*place->highest = revision;
	*ret_policy = next;
	if (next != NULL)
		*ret_revision = revision;
	return S_OK;
}

/* The caller holds db->control, so core->policy does not change under it. */
static enum status
change_locked(struct table_core *core, const struct table_policy_change *change, int64_t *ret_revision, struct err *err)
{
	struct policy_place place = {.kind = "table", .core = core, .name = core->name, .now = core->policy};
	struct table_policy *next;
	struct buf key = {0};
	enum status s;

	catalog_key_policy(&key, core->number);
	place.key = buf_slice(&key);
	place.highest = &core->policy_revision;
	s = policy_change(&place, change, ret_revision, &next, err);
	if (next != place.now)
		policy_publish(core, next);
	buf_done(&key);
	return s;
}

enum status
table_policy_set(struct table_db *db, struct slice name, const struct table_policy_change *change,
		 int64_t *ret_revision, struct err *err)
{
	struct table *t;
	enum status s;

	pthread_mutex_lock(&db->control);
	t = directory_find(db, name);
	if (t == NULL || t->record.status == TABLE_CREATING) /* as the service: not there yet */
		s = err_set(err, S_RESOURCE_NOT_FOUND, "Requested resource not found: Table: %.*s not found",
			    SLICE_ARG(name));
	else if (t->record.status == TABLE_DELETING)
		s = err_set(err, S_RESOURCE_IN_USE,
			    "Attempt to change a resource which is still in use: Table is being deleted: %.*s",
			    SLICE_ARG(name));
	else
		s = change_locked(t->core, change, ret_revision, err);
	pthread_mutex_unlock(&db->control);
	table_release(t);
	return s;
}
