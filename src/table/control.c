/*
 * The control plane: tables are created, deleted, updated. Each call checks against the current record, changes a copy
 * of it, makes that durable, then current (catalog_change). What has to happen later is a job (jobs.c).
 */
#include "base/clock.h"
#include "base/crypto.h"
#include "base/fault.h"
#include "table/change_int.h"
#include "table/control_int.h"

#include <stdio.h>
#include <stdlib.h>

#define NUMBERS_END UINT32_MAX /* row keys of the last number still need an upper bound */

static enum status
not_found(struct slice name, struct err *err)
{
	return err_set(err, S_RESOURCE_NOT_FOUND, "Requested resource not found: Table: %.*s not found",
		       SLICE_ARG(name));
}

enum status
control_in_use(const struct table *t, struct err *err)
{
	static const char *const doing[] = {
	    [TABLE_CREATING] = "created", [TABLE_UPDATING] = "updated", [TABLE_DELETING] = "deleted"};

	return err_set(err, S_RESOURCE_IN_USE,
		       "Attempt to change a resource which is still in use: Table is being %s: %.*s",
		       doing[t->record.status], SLICE_ARG(t->core->name));
}

enum status
next_numbers(struct table_db *db, size_t count, struct engine_batch *batch, uint32_t *ret_first, struct err *err)
{
	struct buf key = {0}, value = {0};

	if (NUMBERS_END - db->next_number <= count)
		return err_set(err, S_INTERNAL, "all table numbers are used");
	*ret_first = db->next_number;
	catalog_key_next_number(&key);
	buf_put_be32(&value, db->next_number + (uint32_t)count);
	engine_batch_put(batch, SPACE_CATALOG, buf_slice(&key), buf_slice(&value));
	buf_done(&key);
	buf_done(&value);
	/* also when the batch then fails: it may turn up after all, and a number must never be given twice */
	db->next_number += (uint32_t)count;
	return S_OK;
}

/* Version 4: random. */
static void
make_id(char ret[37])
{
	uint8_t bytes[16];
	char hex[32];

	crypto_random(bytes, sizeof bytes);
	bytes[6] = (bytes[6] & 0x0f) | 0x40;
	bytes[8] = (bytes[8] & 0x3f) | 0x80;
	crypto_hex(bytes, sizeof bytes, hex);
	snprintf(ret, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

void
control_copy_record(const struct table *t, struct arena *a, struct record *ret)
{
	if (record_decode(t->core->name, t->encoded, arena_allocator(a), ret, NULL) != S_OK)
		abort(); /* it was decoded before */
}

/* ---- create ---- */

static void
new_record(struct table_db *db, const struct table_spec *spec, uint32_t first_number, struct arena *a,
	   struct record *ret)
{
	*ret = (struct record){.spec = *spec,
			       .number = first_number,
			       .partitions = db->partitions,
			       .status = TABLE_CREATING,
			       .created_ms = clock_wall_ms()};
	make_id(ret->id);
	throughput_default(&ret->spec.throughput);
	ret->spec.indexes = ARENA_ARRAY(a, struct table_index_spec, spec->index_count);
	ret->indexes = ARENA_ARRAY(a, struct index_record, spec->index_count);
	for (size_t i = 0; i < spec->index_count; i++) {
		ret->spec.indexes[i] = spec->indexes[i];
		throughput_default(&ret->spec.indexes[i].throughput);
		ret->indexes[i].number = first_number + 1 + (uint32_t)i;
		ret->indexes[i].status = spec->indexes[i].global ? INDEX_CREATING : INDEX_ACTIVE;
	}
}

static enum status
create_locked(struct table_db *db, const struct table_spec *spec, struct arena *a, struct table **ret, struct err *err)
{
	struct table *existing = directory_find(db, spec->name);
	struct engine_batch *batch;
	struct table_policy *policy = NULL;
	struct stream *stream = NULL;
	struct record record;
	uint32_t number;
	enum status s;

	if (existing != NULL) {
		table_release(existing);
		return err_set(err, S_RESOURCE_IN_USE, "Table already exists: %.*s", SLICE_ARG(spec->name));
	}
	if (directory_count(db) >= TABLES_MAX)
		return err_set(err, S_LIMIT_EXCEEDED,
			       "Subscriber limit exceeded: There is a limit of %d tables per subscriber", TABLES_MAX);
	batch = engine_batch_new(db->engine);
	s = next_numbers(db, 1 + spec->index_count, batch, &number, err);
	if (s == S_OK) {
		new_record(db, spec, number, a, &record);
		s = quota_check_units(db, NULL, &record, err);
	}
	if (s == S_OK) {
		policy = policy_of_spec(spec, record.created_ms);
		if (policy != NULL)
			policy_put_row(batch, number, policy);
		if (spec->stream != STREAM_NONE)
			stream = stream_begin(db, NULL, spec->name, &spec->schema, number, spec->stream, batch);
		s = catalog_change(db, NULL, &record, batch, ret, err);
	}
	if (s == S_OK && stream != NULL)
		stream_begun((*ret)->core, stream);
	else
		stream_free(stream);
	if (s == S_OK && policy != NULL)
		policy_publish((*ret)->core, policy);
	else
		table_policy_release(policy);
	engine_batch_free(batch);
	return s;
}

enum status
table_create(struct table_db *db, const struct table_spec *spec, struct arena *a, struct table_description *ret,
	     struct err *err)
{
	struct table *t = NULL;
	enum status s;

	pthread_mutex_lock(&db->control);
	s = create_locked(db, spec, a, &t, err);
	pthread_mutex_unlock(&db->control);
	if (s != S_OK)
		return s;
	fault_pass(FAULT_TABLE_CREATED);
	jobs_add(db, JOB_SETTLE, t->core->name, t->core->number, 0, db->control_delay_ns);
	catalog_describe(t, a, ret);
	jobs_linger(db, t);
	table_release(t);
	return S_OK;
}

/* ---- delete ---- */

static enum status
delete_locked(struct table_db *db, struct table *t, struct arena *a, struct table **ret, struct err *err)
{
	struct record record;

	switch (t->record.status) {
	case TABLE_CREATING:
	case TABLE_UPDATING:
		return control_in_use(t, err);
	case TABLE_DELETING:
		*ret = table_hold(t);
		return S_OK;
	case TABLE_ACTIVE:
		break;
	}
	for (size_t i = 0; i < t->index_count; i++)
		if (t->indexes[i].spec->vector != NULL && t->indexes[i].record->status != INDEX_ACTIVE)
			return err_set(err, S_RESOURCE_IN_USE,
				       "Attempt to change a resource which is still in use: Cannot delete table while "
				       "indexes are being created, updated, or deleted.");
	if (t->record.spec.deletion_protection)
		return err_set(
		    err, S_VALIDATION,
		    "Resource cannot be deleted as it is currently protected against deletion. Disable deletion "
		    "protection first.");
	control_copy_record(t, a, &record);
	record.status = TABLE_DELETING;
	return catalog_change(db, t, &record, NULL, ret, err);
}

enum status
table_delete(struct table_db *db, struct slice name, struct arena *a, struct table_description *ret, struct err *err)
{
	struct table *t, *deleting = NULL;
	enum status s;

	pthread_mutex_lock(&db->control);
	t = directory_find(db, name);
	s = t != NULL ? delete_locked(db, t, a, &deleting, err) : not_found(name, err);
	pthread_mutex_unlock(&db->control);
	if (s == S_OK) {
		fault_pass(FAULT_TABLE_DELETING);
		if (t->record.status != TABLE_DELETING)
			jobs_add(db, JOB_DROP_TABLE, t->core->name, t->core->number, 0, db->control_delay_ns);
		catalog_describe(deleting, a, ret);
		jobs_linger(db, deleting);
	}
	table_release(deleting);
	table_release(t);
	return s;
}

/* ---- update ---- */

static enum status
change_settings(struct alteration *c, struct err *err)
{
	struct table_spec *spec = &c->record.spec;
	bool class_changes = c->update->set_class && c->update->class != spec->class;
	int64_t now_ms = clock_wall_ms();
	enum status s;

	if (c->update->set_class) {
		s = quota_change_class(&c->quota, class_changes, now_ms, err);
		if (s != S_OK)
			return s;
	}
	if (class_changes) {
		spec->class = c->update->class;
		c->record.class_changed_ms = now_ms;
		c->changed = c->updating = c->quota_changed = true;
	}
	if (c->update->set_deletion_protection && c->update->deletion_protection != spec->deletion_protection) {
		spec->deletion_protection = c->update->deletion_protection;
		c->changed = true;
	}
	return S_OK;
}

static enum status
change_stream(struct alteration *c, struct err *err)
{
	struct stream *s;

	if (c->update->set_stream == STREAM_LEAVE)
		return S_OK;
	s = stream_enabled(c->t->core);
	if (c->update->set_stream == STREAM_ENABLE && s != NULL)
		return err_set(err, S_VALIDATION, "Table already has an enabled stream: TableName: %.*s",
			       SLICE_ARG(c->t->core->name));
	if (c->update->set_stream == STREAM_DISABLE && s == NULL)
		return err_set(err, S_VALIDATION, "Table has no stream to disable: TableName: %.*s",
			       SLICE_ARG(c->t->core->name));
	if (s == NULL) {
		c->new_stream = stream_begin(c->db, c->t->core, c->t->core->name, &c->record.spec.schema,
					     c->record.number, c->update->stream, c->batch);
	} else {
		c->old_stream = s;
		stream_put_disabling(s, c->batch);
	}
	c->changed = c->updating = true;
	return S_OK;
}

static enum status
update_locked(struct alteration *c, struct table **ret, struct err *err)
{
	const struct table *t = c->t;
	enum status s = alteration_check_vectors(c, err);

	if (s != S_OK)
		return s;
	if (t->record.status != TABLE_ACTIVE)
		return control_in_use(t, err);
	c->quota = t->core->quota;
	control_copy_record(t, c->arena, &c->record);
	if (c->update->set_definitions &&
	    c->update->create_index != NULL) /* else they mean nothing, whatever they say */
		s = alteration_definitions(c, err);
	if (s == S_OK)
		s = alteration_throughput(c, err);
	if (s == S_OK)
		s = alteration_indexes(c, err);
	if (s == S_OK)
		s = change_settings(c, err);
	if (s == S_OK)
		s = quota_check_units(c->db, t, &c->record, err);
	if (s == S_OK)
		s = change_stream(c, err);
	if (s != S_OK)
		return s;
	if (!c->changed) {
		*ret = table_hold((struct table *)t);
		return S_OK;
	}
	if (c->updating)
		c->record.status = TABLE_UPDATING;
	if (c->quota_changed)
		quota_put_row(c->batch, t->core->number, &c->quota);
	s = catalog_change(c->db, t, &c->record, c->batch, ret, err);
	if (s != S_OK) {
		stream_free(c->new_stream);
		return s;
	}
	fault_pass(FAULT_TABLE_UPDATED);
	t->core->quota = c->quota;
	if (c->new_stream != NULL)
		stream_begun(t->core, c->new_stream);
	if (c->old_stream != NULL)
		stream_disabling(c->old_stream);
	if (c->updating)
		jobs_add(c->db, JOB_SETTLE, t->core->name, t->core->number, 0, c->db->control_delay_ns);
	if (c->drop_index != 0)
		jobs_add(c->db, JOB_DROP_INDEX, t->core->name, t->core->number, c->drop_index, c->db->control_delay_ns);
	return S_OK;
}

enum status
table_update(struct table_db *db, struct slice name, const struct table_update *update, struct arena *a,
	     struct table_description *ret, struct err *err)
{
	struct alteration c = {.db = db, .update = update, .arena = a};
	struct table *t, *updated = NULL;
	enum status s;

	pthread_mutex_lock(&db->control);
	t = directory_find(db, name);
	c.t = t;
	c.batch = engine_batch_new(db->engine);
	s = t != NULL ? update_locked(&c, &updated, err) : not_found(name, err);
	engine_batch_free(c.batch);
	pthread_mutex_unlock(&db->control);
	if (s == S_OK) {
		catalog_describe(updated, a, ret);
		jobs_linger(db, updated);
	}
	table_release(updated);
	table_release(t);
	return s;
}
