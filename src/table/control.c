/*
 * The control plane: CreateTable, UpdateTable, DeleteTable, tags. Each call checks against the current record, changes
 * a copy of it, makes that durable, then current (catalog_change). What has to happen later is a job (jobs.c).
 */
#include "base/clock.h"
#include "base/crypto.h"
#include "base/fault.h"
#include "table/change_int.h"
#include "table/vector_int.h"

#include <stdio.h>
#include <stdlib.h>

#define NUMBERS_END UINT32_MAX /* row keys of the last number still need an upper bound */

static enum status
not_found(struct slice name, struct err *err)
{
	return err_set(err, S_RESOURCE_NOT_FOUND, "Requested resource not found: Table: %.*s not found",
		       SLICE_ARG(name));
}

static enum status
in_use(const char *what, struct slice name, struct err *err)
{
	return err_set(err, S_RESOURCE_IN_USE,
		       "Attempt to change a resource which is still in use: Table is being %s: %.*s", what,
		       SLICE_ARG(name));
}

static const char *const doing[] = {
    [TABLE_CREATING] = "created", [TABLE_UPDATING] = "updated", [TABLE_DELETING] = "deleted"};

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

static void
default_throughput(struct table_throughput *t)
{
	int64_t *optional[] = {&t->max_read_units, &t->max_write_units, &t->warm_read_units, &t->warm_write_units};

	for (size_t i = 0; i < sizeof optional / sizeof *optional; i++)
		if (*optional[i] == 0)
			*optional[i] = -1;
	t->last_increase_ms = t->last_decrease_ms = t->decreases_today = 0;
}

/* A changeable copy of what is there: its arrays are the arena's, its strings those of `encoded`. */
static void
copy_record(const struct table *t, struct arena *a, struct record *ret)
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
	default_throughput(&ret->spec.throughput);
	ret->spec.indexes = ARENA_ARRAY(a, struct table_index_spec, spec->index_count);
	ret->indexes = ARENA_ARRAY(a, struct index_record, spec->index_count);
	for (size_t i = 0; i < spec->index_count; i++) {
		ret->spec.indexes[i] = spec->indexes[i];
		default_throughput(&ret->spec.indexes[i].throughput);
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
		return in_use(doing[t->record.status], t->core->name, err);
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
	copy_record(t, a, &record);
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

/* ---- update: throughput and billing ---- */

/* An update in the making. */
struct alteration {
	struct table_db *db;
	const struct table *t;
	const struct table_update *update;
	struct arena *arena;
	struct record record;
	struct engine_batch *batch;
	bool changed;                           /* something to write */
	bool updating;                          /* the table goes through UPDATING */
	struct stream *new_stream, *old_stream; /* enabled or disabled by this */
	uint32_t drop_index;                    /* number of the index to drop; 0: none */
	struct quota quota;                     /* with what this takes of it */
	bool quota_changed;
};

static size_t
find_index(const struct record *r, struct slice name)
{
	size_t i = 0;

	while (i < r->spec.index_count && !slice_eq(r->spec.indexes[i].name, name))
		i++;
	return i;
}

/* What units were once provisioned stays warm when they go. */
static void
keep_warm(struct table_throughput *t)
{
	t->warm_read_units = table_warm_units(t->warm_read_units, t->read_units, WARM_READS_INITIAL);
	t->warm_write_units = table_warm_units(t->warm_write_units, t->write_units, WARM_WRITES_INITIAL);
}

/*
 * Provisioned units: shown as they were until UPDATING ends, as DynamoDB does; only a table that comes from on demand
 * (`at_once`) has the new ones immediately. index: empty for the table's own.
 */
static enum status
change_units(struct alteration *c, struct slice index, const struct table_throughput *wanted, bool at_once,
	     struct table_throughput *now, bool *has_pending, struct table_throughput *pending, struct err *err)
{
	int64_t now_ms = clock_wall_ms();
	int64_t read = wanted->read_units ? wanted->read_units : now->read_units;
	int64_t write = wanted->write_units ? wanted->write_units : now->write_units;
	enum status s;

	if (read == now->read_units && write == now->write_units)
		return err_set(
		    err, S_VALIDATION,
		    "The provisioned throughput for the %s%.*s will not change. The requested value equals the current "
		    "value. Current ReadCapacityUnits provisioned for the %s: %lld. Requested ReadCapacityUnits: %lld. "
		    "Current WriteCapacityUnits provisioned for the %s: %lld. Requested WriteCapacityUnits: %lld. "
		    "Refer "
		    "to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits.",
		    index.len ? "index " : "table", SLICE_ARG(index), index.len ? "index" : "table",
		    (long long)now->read_units, (long long)read, index.len ? "index" : "table",
		    (long long)now->write_units, (long long)write);
	if (!at_once && (read < now->read_units || write < now->write_units)) {
		s = quota_check_decrease(now, now_ms, err);
		if (s != S_OK)
			return s;
	}
	keep_warm(now);
	*has_pending = true;
	*pending = *now;
	pending->read_units = read;
	pending->write_units = write;
	if (read > now->read_units || write > now->write_units)
		now->last_increase_ms = now_ms;
	if ((read < now->read_units || write < now->write_units) && !at_once) {
		/* the count of today's decreases goes up when this one is through */
		if (now->last_decrease_ms / QUOTA_DAY_MS != now_ms / QUOTA_DAY_MS)
			now->decreases_today = 0;
		now->last_decrease_ms = now_ms;
	}
	if (at_once) {
		now->read_units = read;
		now->write_units = write;
	}
	c->changed = c->updating = true;
	return S_OK;
}

/* The table stays ACTIVE meanwhile. */
static void
set_limit(struct alteration *c, int64_t wanted, int64_t *now)
{
	if (wanted == 0 || wanted == *now)
		return;
	*now = wanted;
	c->changed = true;
}

/* What is warm never cools. */
static enum status
check_warm(int64_t wanted, int64_t now, const char *name, struct slice index, struct err *err)
{
	if (wanted == 0 || wanted >= now)
		return S_OK;
	return err_set(err, S_VALIDATION,
		       "One or more parameter values were invalid: Requested %s for WarmThroughput for %s%.*s is lower "
		       "than current WarmThroughput, decreasing WarmThroughput is not supported",
		       name, index.len > 0 ? "index " : "table", SLICE_ARG(index));
}

/* On-demand maxima and warm throughput: at once. index: empty for the table's own. */
static enum status
change_limits(struct alteration *c, struct slice index, const struct table_throughput *wanted,
	      struct table_throughput *now, struct err *err)
{
	int64_t reads = table_warm_units(now->warm_read_units, now->read_units, WARM_READS_INITIAL);
	int64_t writes = table_warm_units(now->warm_write_units, now->write_units, WARM_WRITES_INITIAL);
	enum status s = check_warm(wanted->warm_read_units, reads, "ReadUnitsPerSecond", index, err);

	if (s == S_OK)
		s = check_warm(wanted->warm_write_units, writes, "WriteUnitsPerSecond", index, err);
	if (s != S_OK)
		return s;
	set_limit(c, wanted->max_read_units, &now->max_read_units);
	set_limit(c, wanted->max_write_units, &now->max_write_units);
	set_limit(c, wanted->warm_read_units, &now->warm_read_units);
	set_limit(c, wanted->warm_write_units, &now->warm_write_units);
	return S_OK;
}

static bool
gives_units(const struct table_throughput *t)
{
	return t->read_units != 0 || t->write_units != 0;
}

/* The indexes that an UpdateTable to provisioned billing forgot. */
static enum status
check_all_provisioned(struct alteration *c, struct err *err)
{
	struct slice missing = SLICE_NONE;

	for (size_t i = 0; i < c->record.spec.index_count; i++) {
		const struct table_index_spec *x = &c->record.spec.indexes[i];
		bool given = !x->global;

		for (size_t n = 0; n < c->update->index_throughput_count; n++)
			given |= slice_eq(c->update->index_throughput[n].name, x->name);
		if (!given)
			missing = arena_printf(c->arena, "%.*s%s%.*s", SLICE_ARG(missing), missing.len ? "," : "",
					       SLICE_ARG(x->name));
	}
	if (missing.len == 0)
		return S_OK;
	return err_set(
	    err, S_VALIDATION,
	    "One or more parameter values were invalid: ProvisionedThroughput must be specified for index: %.*s",
	    SLICE_ARG(missing));
}

static void
drop_units(struct table_throughput *t, int64_t now_ms)
{
	t->read_units = t->write_units = 0;
	t->last_decrease_ms = now_ms;
}

static enum status
change_billing(struct alteration *c, bool *ret_from_on_demand, struct err *err)
{
	struct table_spec *spec = &c->record.spec;
	int64_t now_ms = clock_wall_ms();
	enum status s;

	*ret_from_on_demand = false;
	if (!c->update->set_billing || c->update->billing == spec->billing)
		return S_OK;
	c->changed = c->updating = true;
	spec->billing = c->update->billing;
	for (size_t i = 0; i < spec->index_count && spec->billing == BILLING_PROVISIONED; i++)
		if (spec->indexes[i].vector != NULL)
			return err_set(err, S_VALIDATION, VECTOR_ON_DEMAND_ONLY);
	if (spec->billing == BILLING_PROVISIONED) {
		*ret_from_on_demand = true;
		if (!c->update->set_throughput || !gives_units(&c->update->throughput))
			return err_set(err, S_VALIDATION,
				       "One or more parameter values were invalid: ReadCapacityUnits and "
				       "WriteCapacityUnits must both be "
				       "specified when BillingMode is PROVISIONED");
		return check_all_provisioned(c, err);
	}
	s = quota_switch_to_on_demand(&c->quota, now_ms, err);
	if (s != S_OK)
		return s;
	c->quota_changed = true;
	c->record.billing_changed_ms = now_ms;
	drop_units(&spec->throughput, now_ms);
	for (size_t i = 0; i < spec->index_count; i++)
		if (spec->indexes[i].global) {
			drop_units(&spec->indexes[i].throughput, now_ms);
			if (c->record.indexes[i].status == INDEX_ACTIVE)
				c->record.indexes[i].status = INDEX_UPDATING;
		}
	return S_OK;
}

/* An update of an index must update something that its table's billing mode has. */
static enum status
check_index_update(struct slice name, const struct table_throughput *wanted, bool on_demand, struct err *err)
{
	if (gives_units(wanted) || wanted->max_read_units || wanted->max_write_units || wanted->warm_read_units ||
	    wanted->warm_write_units)
		return S_OK;
	if (on_demand)
		return err_set(err, S_VALIDATION,
			       "One or more parameter values were invalid: The only Updates for index: %.*s when "
			       "TableThroughputMode is PAY_PER_REQUEST can be to OnDemandThroughput, WarmThroughput",
			       SLICE_ARG(name));
	return err_set(err, S_VALIDATION,
		       "One or more parameter values were invalid: ProvisionedThroughput must be specified for index: "
		       "%.*s",
		       SLICE_ARG(name));
}

static enum status
change_throughput(struct alteration *c, struct err *err)
{
	struct record *r = &c->record;
	bool on_demand, from_on_demand;
	enum status s;

	on_demand = (c->update->set_billing ? c->update->billing : r->spec.billing) == BILLING_ON_DEMAND;
	if (on_demand && c->update->set_throughput && gives_units(&c->update->throughput))
		return err_set(err, S_VALIDATION,
			       "One or more parameter values were invalid: Neither ReadCapacityUnits nor "
			       "WriteCapacityUnits can be "
			       "specified when BillingMode is PAY_PER_REQUEST");
	s = change_billing(c, &from_on_demand, err);
	if (s == S_OK && c->update->set_throughput) {
		s = change_limits(c, SLICE_NONE, &c->update->throughput, &r->spec.throughput, err);
		if (s == S_OK && gives_units(&c->update->throughput))
			s = change_units(c, SLICE_NONE, &c->update->throughput, from_on_demand, &r->spec.throughput,
					 &r->has_pending, &r->pending, err);
	}
	for (size_t n = 0; s == S_OK && n < c->update->index_throughput_count; n++) {
		const struct table_throughput *wanted = &c->update->index_throughput[n].throughput;
		struct slice name = c->update->index_throughput[n].name;
		size_t i = find_index(r, name);
		struct index_record *x = &r->indexes[i];

		if (i == r->spec.index_count || !r->spec.indexes[i].global || r->spec.indexes[i].vector != NULL)
			return err_set(err, S_RESOURCE_NOT_FOUND,
				       "Requested resource not found: Index %.*s for table %.*s", SLICE_ARG(name),
				       SLICE_ARG(c->t->core->name));
		if (x->status != INDEX_ACTIVE && x->status != INDEX_UPDATING)
			return err_set(err, S_RESOURCE_IN_USE,
				       "Attempt to change a resource which is still in use: Index is being %s: %.*s",
				       x->status == INDEX_CREATING ? "created" : "deleted", SLICE_ARG(name));
		s = check_index_update(name, wanted, on_demand, err);
		if (s == S_OK)
			s = change_limits(c, name, wanted, &r->spec.indexes[i].throughput, err);
		if (s != S_OK)
			return s;
		if (gives_units(wanted) && on_demand)
			return err_set(err, S_VALIDATION,
				       "One or more parameter values were invalid: ProvisionedThroughput should not be "
				       "specified for "
				       "index: %.*s when BillingMode is PAY_PER_REQUEST",
				       SLICE_ARG(name));
		if (gives_units(wanted))
			s = change_units(c, name, wanted, from_on_demand, &r->spec.indexes[i].throughput,
					 &x->has_pending, &x->pending, err);
		if (c->updating)
			x->status = INDEX_UPDATING;
	}
	return s;
}

/* ---- update: indexes ---- */

static enum status
one_index_at_a_time(struct err *err)
{
	return err_set(
	    err, S_LIMIT_EXCEEDED,
	    "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table");
}

static const struct key_attr *
find_definition(const struct table_spec *spec, struct slice name)
{
	for (size_t i = 0; i < spec->definition_count; i++)
		if (slice_eq(spec->definitions[i].name, name))
			return &spec->definitions[i];
	return NULL;
}

/* AttributeDefinitions of an update add to those the table has. */
static enum status
merge_definitions(struct alteration *c, struct err *err)
{
	struct table_spec *spec = &c->record.spec;
	struct key_attr *merged =
	    ARENA_ARRAY(c->arena, struct key_attr, spec->definition_count + c->update->definition_count);

	memcpy(merged, spec->definitions, spec->definition_count * sizeof *merged);
	spec->definitions = merged;
	for (size_t i = 0; i < c->update->definition_count; i++) {
		const struct key_attr *new = &c->update->definitions[i];
		const struct key_attr *old = find_definition(spec, new->name);

		if (old == NULL)
			merged[spec->definition_count++] = *new;
		else if (old->type != new->type)
			return err_set(err, S_VALIDATION,
				       "One or more parameter values were invalid: Attribute definition of %.*s cannot "
				       "be changed from %s to "
				       "%s: a key of the table or of an index uses it",
				       SLICE_ARG(new->name), av_type_name(old->type), av_type_name(new->type));
	}
	return S_OK;
}

static bool
type_attrs(const struct table_spec *spec, struct key_attr *attrs, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct key_attr *definition = find_definition(spec, attrs[i].name);

		if (definition == NULL)
			return false;
		attrs[i].type = definition->type;
	}
	return true;
}

static enum status
undefined_attrs(struct alteration *c, const struct key_schema *schema, struct err *err)
{
	const struct table_spec *spec = &c->record.spec;
	struct slice keys = SLICE_NONE, definitions = SLICE_NONE;

	for (unsigned i = 0; i < schema->partition_count + (unsigned)schema->sort_count; i++) {
		const struct key_attr *attr =
		    i < schema->partition_count ? &schema->partition[i] : &schema->sort[i - schema->partition_count];

		keys = arena_printf(c->arena, "%.*s%s%.*s", SLICE_ARG(keys), i ? ", " : "", SLICE_ARG(attr->name));
	}
	for (size_t i = 0; i < spec->definition_count; i++)
		definitions = arena_printf(c->arena, "%.*s%s%.*s", SLICE_ARG(definitions), i ? ", " : "",
					   SLICE_ARG(spec->definitions[i].name));
	return err_set(err, S_VALIDATION,
		       "One or more parameter values were invalid: Some index key attributes are not defined in "
		       "AttributeDefinitions. Keys: [%.*s], AttributeDefinitions: [%.*s]",
		       SLICE_ARG(keys), SLICE_ARG(definitions));
}

static enum status
check_new_index(struct alteration *c, const struct table_index_spec *new, struct err *err)
{
	const struct table_spec *spec = &c->record.spec;
	size_t global = 0;

	if (find_index(&c->record, new->name) < spec->index_count)
		return err_set(err, S_VALIDATION, "Attempting to create an index which already exists");
	for (size_t i = 0; i < spec->index_count; i++)
		global += spec->indexes[i].global && spec->indexes[i].vector == NULL;
	if (new->vector != NULL)
		return vector_check_new_index(spec, new, err);
	if (global >= GSI_MAX)
		return err_set(err, S_LIMIT_EXCEEDED,
			       "Subscriber limit exceeded: Number of global secondary indexes exceeds per-table limit "
			       "of %d",
			       GSI_MAX);
	if (spec->billing == BILLING_PROVISIONED && !gives_units(&new->throughput))
		return err_set(err, S_VALIDATION,
			       "One or more parameter values were invalid: ProvisionedThroughput must be specified for "
			       "index: %.*s",
			       SLICE_ARG(new->name));
	if (spec->billing == BILLING_ON_DEMAND && gives_units(&new->throughput))
		return err_set(err, S_VALIDATION,
			       "One or more parameter values were invalid: ProvisionedThroughput should not be "
			       "specified for index: "
			       "%.*s when BillingMode is PAY_PER_REQUEST",
			       SLICE_ARG(new->name));
	return S_OK;
}

static enum status
create_index(struct alteration *c, struct err *err)
{
	struct table_spec *spec = &c->record.spec;
	struct table_index_spec new = *c->update->create_index;
	struct index_record record = {.status = INDEX_CREATING, .building = true};
	enum status s = check_new_index(c, &new, err);

	if (s != S_OK)
		return s;
	new.global = true;
	default_throughput(&new.throughput);
	if (!type_attrs(spec, new.schema.partition, new.schema.partition_count) ||
	    !type_attrs(spec, new.schema.sort, new.schema.sort_count))
		return undefined_attrs(c, &new.schema, err);
	s = next_numbers(c->db, 1, c->batch, &record.number, err);
	if (s != S_OK)
		return s;
	spec->indexes = memcpy(ARENA_ARRAY(c->arena, struct table_index_spec, spec->index_count + 1), spec->indexes,
			       spec->index_count * sizeof new);
	c->record.indexes = memcpy(ARENA_ARRAY(c->arena, struct index_record, spec->index_count + 1), c->record.indexes,
				   spec->index_count * sizeof record);
	spec->indexes[spec->index_count] = new;
	c->record.indexes[spec->index_count] = record;
	spec->index_count++;
	c->changed = c->updating = true;
	return S_OK;
}

static enum status
delete_index(struct alteration *c, struct err *err)
{
	size_t i = find_index(&c->record, c->update->delete_index);

	if (i == c->record.spec.index_count || !c->record.spec.indexes[i].global ||
	    (c->record.spec.indexes[i].vector != NULL) != c->update->delete_vector)
		return err_set(err, S_RESOURCE_NOT_FOUND, "Requested resource not found");
	c->record.indexes[i].status = INDEX_DELETING;
	c->record.indexes[i].backfilling = c->record.indexes[i].building = false;
	c->drop_index = c->record.indexes[i].number;
	c->changed = c->updating = true;
	return S_OK;
}

/* One index is created or deleted at a time; one that is being filled may be deleted. */
static enum status
change_indexes(struct alteration *c, struct err *err)
{
	bool deletes = c->update->delete_index.len > 0;
	enum status s = S_OK;

	if (c->update->create_index == NULL && !deletes)
		return S_OK;
	for (size_t i = 0; i < c->record.spec.index_count; i++) {
		enum index_status status = c->record.indexes[i].status;
		bool same = deletes && slice_eq(c->record.spec.indexes[i].name, c->update->delete_index);

		if (status == INDEX_DELETING || (status == INDEX_CREATING && !same))
			return one_index_at_a_time(err);
	}
	if (c->update->create_index != NULL && deletes)
		return one_index_at_a_time(err);
	if (c->update->create_index != NULL)
		s = create_index(c, err);
	return s == S_OK && deletes ? delete_index(c, err) : s;
}

/*
 * While a table is being updated nothing else can be changed. About vector indexes the service says more: which index
 * is in the way, and when a creation can be cancelled.
 */
static enum status
check_vector_change(struct alteration *c, struct err *err)
{
	const struct table *t = c->t;
	const struct table_index_spec *create = c->update->create_index;

	for (size_t i = 0; i < t->index_count; i++) {
		const struct table_index *x = &t->indexes[i];
		struct slice name = x->spec->name;

		if (x->spec->vector == NULL || x->record->status != INDEX_CREATING)
			continue;
		if (c->update->delete_vector && slice_eq(name, c->update->delete_index) && x->record->building &&
		    !x->record->backfilling)
			return err_set(
			    err, S_RESOURCE_IN_USE,
			    "Attempt to change a resource which is still in use: Index creation is in resource "
			    "allocation phase. Retry deletion during backfilling phase or when the index is active. "
			    "Table: %.*s Index: %.*s",
			    SLICE_ARG(t->core->name), SLICE_ARG(name));
		if (create != NULL && create->vector != NULL && slice_eq(name, create->name))
			return err_set(err, S_RESOURCE_IN_USE,
				       "Attempt to change a resource which is still in use: Index is being created.  "
				       "Table: %.*s Index: %.*s",
				       SLICE_ARG(t->core->name), SLICE_ARG(name));
		if (create != NULL && create->vector != NULL && t->record.status == TABLE_UPDATING)
			return one_index_at_a_time(err);
	}
	return S_OK;
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
	enum status s = check_vector_change(c, err);

	if (s != S_OK)
		return s;
	if (t->record.status != TABLE_ACTIVE)
		return in_use(doing[t->record.status], t->core->name, err);
	c->quota = t->core->quota;
	copy_record(t, c->arena, &c->record);
	if (c->update->set_definitions &&
	    c->update->create_index != NULL) /* else they mean nothing, whatever they say */
		s = merge_definitions(c, err);
	if (s == S_OK)
		s = change_throughput(c, err);
	if (s == S_OK)
		s = change_indexes(c, err);
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

/* ---- tags ---- */

static enum status
tags_not_found(struct table_db *db, struct slice name, struct err *err)
{
	return err_set(err, S_RESOURCE_NOT_FOUND,
		       "Requested resource not found: ResourcArn: arn:aws:dynamodb:%s:%s:table/%.*s not found",
		       db->region, db->account, SLICE_ARG(name)); /* "ResourcArn" is how DynamoDB spells it */
}

/* Make `tags` the table's. The caller holds db->control. */
static enum status
set_tags(struct table_db *db, const struct table *t, struct table_tag *tags, size_t count, struct arena *a,
	 struct err *err)
{
	struct record record;

	if (t->record.status == TABLE_DELETING)
		return in_use(doing[TABLE_DELETING], t->core->name, err);
	if (count > TAGS_MAX)
		return err_set(err, S_VALIDATION,
			       "Number of Tags exceed the current limit for the provided ResourceArn");
	copy_record(t, a, &record);
	record.spec.tags = tags;
	record.spec.tag_count = count;
	return catalog_change(db, t, &record, NULL, NULL, err);
}

static size_t
find_tag(const struct table_tag *tags, size_t count, struct slice key)
{
	size_t i = 0;

	while (i < count && !slice_eq(tags[i].key, key))
		i++;
	return i;
}

enum status
table_tag(struct table_db *db, struct slice name, const struct table_tag *tags, size_t count, struct err *err)
{
	struct arena a = {0};
	struct table *t;
	enum status s;

	pthread_mutex_lock(&db->control);
	t = directory_find(db, name);
	if (t != NULL) {
		const struct table_spec *spec = &t->record.spec;
		struct table_tag *merged = ARENA_ARRAY(&a, struct table_tag, spec->tag_count + count);
		size_t merged_count = spec->tag_count;

		if (merged_count > 0)
			memcpy(merged, spec->tags, merged_count * sizeof *merged);
		for (size_t i = 0; i < count; i++) {
			size_t at = find_tag(merged, merged_count, tags[i].key);

			merged[at] = tags[i];
			merged_count += at == merged_count;
		}
		s = set_tags(db, t, merged, merged_count, &a, err);
	} else {
		s = tags_not_found(db, name, err);
	}
	pthread_mutex_unlock(&db->control);
	table_release(t);
	arena_done(&a);
	return s;
}

enum status
table_untag(struct table_db *db, struct slice name, const struct slice *keys, size_t count, struct err *err)
{
	struct arena a = {0};
	struct table *t;
	enum status s;

	pthread_mutex_lock(&db->control);
	t = directory_find(db, name);
	if (t != NULL) {
		const struct table_spec *spec = &t->record.spec;
		struct table_tag *left = ARENA_ARRAY(&a, struct table_tag, spec->tag_count);
		size_t left_count = 0;

		for (size_t i = 0; i < spec->tag_count; i++) {
			size_t n = 0;

			while (n < count && !slice_eq(keys[n], spec->tags[i].key))
				n++;
			if (n == count)
				left[left_count++] = spec->tags[i];
		}
		s = set_tags(db, t, left, left_count, &a, err);
	} else {
		s = tags_not_found(db, name, err);
	}
	pthread_mutex_unlock(&db->control);
	table_release(t);
	arena_done(&a);
	return s;
}

enum status
table_tags(struct table_db *db, struct slice name, struct arena *a, struct table_tag **ret, size_t *ret_count,
	   struct err *err)
{
	struct table *t = directory_find(db, name);
	struct table_tag *tags;

	if (t == NULL)
		return tags_not_found(db, name, err);
	tags = ARENA_ARRAY(a, struct table_tag, t->record.spec.tag_count);
	for (size_t i = 0; i < t->record.spec.tag_count; i++) {
		tags[i].key = arena_dup(a, t->record.spec.tags[i].key);
		tags[i].value = arena_dup(a, t->record.spec.tags[i].value);
	}
	*ret = tags;
	*ret_count = t->record.spec.tag_count;
	table_release(t);
	return S_OK;
}
