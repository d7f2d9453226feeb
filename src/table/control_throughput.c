/* UpdateTable: provisioned units, on-demand maxima, warm throughput, billing. */
#include "base/clock.h"
#include "table/control_int.h"
#include "table/vector_int.h"

void
throughput_default(struct table_throughput *t)
{
	int64_t *optional[] = {&t->max_read_units, &t->max_write_units, &t->warm_read_units, &t->warm_write_units};

	for (size_t i = 0; i < sizeof optional / sizeof *optional; i++)
		if (*optional[i] == 0)
			*optional[i] = -1;
	t->last_increase_ms = t->last_decrease_ms = t->decreases_today = 0;
}

bool
throughput_gives_units(const struct table_throughput *t)
{
	return t->read_units != 0 || t->write_units != 0;
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
		if (!c->update->set_throughput || !throughput_gives_units(&c->update->throughput))
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
	if (throughput_gives_units(wanted) || wanted->max_read_units || wanted->max_write_units ||
	    wanted->warm_read_units || wanted->warm_write_units)
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

enum status
alteration_throughput(struct alteration *c, struct err *err)
{
	struct record *r = &c->record;
	bool on_demand, from_on_demand;
	enum status s;

	on_demand = (c->update->set_billing ? c->update->billing : r->spec.billing) == BILLING_ON_DEMAND;
	if (on_demand && c->update->set_throughput && throughput_gives_units(&c->update->throughput))
		return err_set(err, S_VALIDATION,
			       "One or more parameter values were invalid: Neither ReadCapacityUnits nor "
			       "WriteCapacityUnits can be "
			       "specified when BillingMode is PAY_PER_REQUEST");
	s = change_billing(c, &from_on_demand, err);
	if (s == S_OK && c->update->set_throughput) {
		s = change_limits(c, SLICE_NONE, &c->update->throughput, &r->spec.throughput, err);
		if (s == S_OK && throughput_gives_units(&c->update->throughput))
			s = change_units(c, SLICE_NONE, &c->update->throughput, from_on_demand, &r->spec.throughput,
					 &r->has_pending, &r->pending, err);
	}
	for (size_t n = 0; s == S_OK && n < c->update->index_throughput_count; n++) {
		const struct table_throughput *wanted = &c->update->index_throughput[n].throughput;
		struct slice name = c->update->index_throughput[n].name;
		size_t i = record_find_index(r, name);
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
		if (throughput_gives_units(wanted) && on_demand)
			return err_set(err, S_VALIDATION,
				       "One or more parameter values were invalid: ProvisionedThroughput should not be "
				       "specified for "
				       "index: %.*s when BillingMode is PAY_PER_REQUEST",
				       SLICE_ARG(name));
		if (throughput_gives_units(wanted))
			s = change_units(c, name, wanted, from_on_demand, &r->spec.indexes[i].throughput,
					 &x->has_pending, &x->pending, err);
		if (c->updating)
			x->status = INDEX_UPDATING;
	}
	return s;
}
