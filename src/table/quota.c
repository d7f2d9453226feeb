/*
 * Quotas of the original that hold here too: how often a table may change (docs/TABLES.md), and how much capacity a
 * table, an index and the account may have provisioned (what DescribeLimits tells).
 */
#include "base/clock.h"
#include "table/table_int.h"

#include <stdio.h>
#include <time.h>

#define ROW_VERSION 1

#define MSG_REFER "Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."

/* ---- how often ---- */

/* "Friday, October 9, 2026 at 1:21:34 AM Coordinated Universal Time" */
static void
put_moment(char ret[80], int64_t ms)
{
	time_t s = (time_t)(ms / 1000);
	char day[40], hour[16];
	struct tm tm;

	gmtime_r(&s, &tm);
	strftime(day, sizeof day, "%A, %B %e, %Y", &tm);
	strftime(hour, sizeof hour, "%I:%M:%S %p", &tm);
	if (strstr(day, "  ") != NULL) /* %e pads */
		memmove(strstr(day, "  "), strstr(day, "  ") + 1, strlen(strstr(day, "  ")));
	snprintf(ret, 80, "%s at %s Coordinated Universal Time", day, hour + (hour[0] == '0'));
}

enum status
quota_check_decrease(const struct table_throughput *now, int64_t now_ms, struct err *err)
{
	bool today = now->last_decrease_ms / QUOTA_DAY_MS == now_ms / QUOTA_DAY_MS;
	int64_t next_ms = now->last_decrease_ms + QUOTA_DECREASE_PAUSE_MS;
	int64_t midnight_ms = (now_ms / QUOTA_DAY_MS + 1) * QUOTA_DAY_MS;
	char last[80], next[80];

	if (!today || now->decreases_today < QUOTA_DECREASES || now_ms >= next_ms)
		return S_OK;
	put_moment(last, now->last_decrease_ms);
	put_moment(next, next_ms < midnight_ms ? next_ms : midnight_ms);
	return err_set(
	    err, S_LIMIT_EXCEEDED,
	    "Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day. After the "
	    "first %d decreases, each subsequent decrease in the same UTC day can be performed at most once every %lld "
	    "seconds. Number of decreases today: %lld. Last decrease at %s. Next decrease can be made at %s",
	    QUOTA_DECREASES, QUOTA_DECREASE_PAUSE_MS / 1000, (long long)now->decreases_today, last, next);
}

/* times: of the last `count` changes, the oldest first, 0 for those there were not. */
static bool
is_spent(const int64_t *times, int64_t window_ms, int64_t now_ms)
{
	return times[0] != 0 && now_ms - times[0] < window_ms;
}

static void
take(int64_t *times, size_t count, int64_t now_ms)
{
	memmove(times, times + 1, (count - 1) * sizeof *times);
	times[count - 1] = now_ms;
}

enum status
quota_switch_to_on_demand(struct quota *q, int64_t now_ms, struct err *err)
{
	time_t last_s = (time_t)(q->on_demand_ms[QUOTA_ON_DEMAND - 1] / 1000);
	time_t next_s = (time_t)((q->on_demand_ms[0] + QUOTA_DAY_MS) / 1000);
	char last[40], next[40];
	struct tm tm;

	if (!is_spent(q->on_demand_ms, QUOTA_DAY_MS, now_ms)) {
		take(q->on_demand_ms, QUOTA_ON_DEMAND, now_ms);
		return S_OK;
	}
	strftime(last, sizeof last, "%a %b %d %H:%M:%S UTC %Y", gmtime_r(&last_s, &tm));
	strftime(next, sizeof next, "%a %b %d %H:%M:%S UTC %Y", gmtime_r(&next_s, &tm));
	return err_set(err, S_LIMIT_EXCEEDED,
		       "Subscriber limit exceeded: Update to PayPerRequest mode are limited to %d times in 1 day(s). "
		       "Last update at %s. Next update can be made at %s",
		       QUOTA_ON_DEMAND, last, next);
}

/* Once it is spent, the class that the table has is refused, too. */
enum status
quota_change_class(struct quota *q, bool changes, int64_t now_ms, struct err *err)
{
	if (is_spent(q->class_ms, QUOTA_CLASS_DAYS * QUOTA_DAY_MS, now_ms))
		return err_set(err, S_LIMIT_EXCEEDED,
			       "Subscriber limit exceeded: Updates to TableClass are limited to %d times in %d day(s).",
			       QUOTA_CLASS, QUOTA_CLASS_DAYS);
	if (changes)
		take(q->class_ms, QUOTA_CLASS, now_ms);
	return S_OK;
}

void
quota_put_row(struct engine_batch *batch, uint32_t table_number, const struct quota *q)
{
	struct buf key = {0}, value = {0};
	bool unused = q->on_demand_ms[QUOTA_ON_DEMAND - 1] == 0 && q->class_ms[QUOTA_CLASS - 1] == 0;

	catalog_key_quota(&key, table_number);
	buf_put_byte(&value, ROW_VERSION);
	buf_put(&value, q->on_demand_ms, sizeof q->on_demand_ms); /* little-endian, as this machine */
	buf_put(&value, q->class_ms, sizeof q->class_ms);
	if (unused)
		engine_batch_delete(batch, SPACE_CATALOG, buf_slice(&key));
	else
		engine_batch_put(batch, SPACE_CATALOG, buf_slice(&key), buf_slice(&value));
	buf_done(&key);
	buf_done(&value);
}

enum status
quota_load(struct table_core *core, struct err *err)
{
	struct quota *q = &core->quota;
	struct engine_value value = {0};
	struct buf key = {0};
	enum status s;

	catalog_key_quota(&key, core->number);
	s = engine_get(core->db->engine, NULL, SPACE_CATALOG, buf_slice(&key), ENGINE_MAY_BLOCK, &value, err);
	if (s == S_OK &&
	    (value.data.len != 1 + sizeof q->on_demand_ms + sizeof q->class_ms || value.data.data[0] != ROW_VERSION)) {
		s = err_set(err, S_CORRUPT, "the quotas of table %.*s have a form that this program does not know",
			    SLICE_ARG(core->name));
	} else if (s == S_OK) {
		memcpy(q->on_demand_ms, value.data.data + 1, sizeof q->on_demand_ms);
		memcpy(q->class_ms, value.data.data + 1 + sizeof q->on_demand_ms, sizeof q->class_ms);
	}
	engine_value_done(&value);
	buf_done(&key);
	return s == S_NOT_FOUND ? S_OK : s;
}

/* ---- how much ---- */

struct units {
	int64_t read, write;
};

static struct units
units_of(const struct table_throughput *now, bool has_pending, const struct table_throughput *pending)
{
	const struct table_throughput *t = has_pending ? pending : now;

	return (struct units){t->read_units, t->write_units};
}

static struct units
sum_of(const struct record *r)
{
	struct units sum = units_of(&r->spec.throughput, r->has_pending, &r->pending);

	for (size_t i = 0; i < r->spec.index_count; i++) {
		const struct index_record *x = &r->indexes[i];
		struct units u = units_of(&r->spec.indexes[i].throughput, x->has_pending, &x->pending);

		if (!r->spec.indexes[i].global)
			continue;
		sum.read += u.read;
		sum.write += u.write;
	}
	return sum;
}

static enum status
above(struct table_db *db, const char *kind, struct slice index, int64_t units, struct err *err)
{
	return err_set(err, S_LIMIT_EXCEEDED,
		       "The requested %s%s%.*s, %lld, is above the per %s maximum for the account in %s. Per %s "
		       "maximum: %d. " MSG_REFER,
		       kind, index.len > 0 ? " for index " : "", SLICE_ARG(index), (long long)units,
		       index.len > 0 ? "index" : "table", db->region, index.len > 0 ? "index" : "table",
		       QUOTA_TABLE_UNITS);
}

/* Of a table (index empty) or a global index: what is asked for and is more than it was. */
static enum status
check_one(struct table_db *db, struct slice index, const struct table_throughput *before, struct units units,
	  const struct table_throughput *after, struct err *err)
{
	const struct {
		const char *name, *of, *limit;
		int64_t before, after;
	} kinds[] = {
	    {"MaxReadRequestUnits", "OnDemandThroughput", "Read", before->max_read_units, after->max_read_units},
	    {"MaxWriteRequestUnits", "OnDemandThroughput", "Write", before->max_write_units, after->max_write_units},
	    {"ReadUnitsPerSecond", "WarmThroughput", "Read", before->warm_read_units, after->warm_read_units},
	    {"WriteUnitsPerSecond", "WarmThroughput", "Write", before->warm_write_units, after->warm_write_units},
	};

	if (units.read > QUOTA_TABLE_UNITS && units.read > before->read_units)
		return above(db, "ReadCapacityUnits", index, units.read, err);
	if (units.write > QUOTA_TABLE_UNITS && units.write > before->write_units)
		return above(db, "WriteCapacityUnits", index, units.write, err);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		bool maximum = kinds[i].name[0] == 'M';

		if (kinds[i].after <= QUOTA_TABLE_UNITS || kinds[i].after <= kinds[i].before)
			continue;
		return err_set(err, S_LIMIT_EXCEEDED,
			       "Subscriber limit exceeded: Requested %s for %s for %s%s%.*s exceeds "
			       "TableMax%sCapacityUnits of the account in region %s",
			       kinds[i].name, kinds[i].of, index.len > 0 ? "index" : "table",
			       index.len == 0 ? ""
			       : maximum      ? " : "
					      : " ",
			       SLICE_ARG(index), kinds[i].limit, db->region);
	}
	return S_OK;
}

static const struct table_throughput *
throughput_before(const struct table *before, uint32_t index_number)
{
	static const struct table_throughput none;

	for (size_t i = 0; before != NULL && i < before->index_count; i++)
		if (before->indexes[i].core->number == index_number)
			return &before->indexes[i].spec->throughput;
	return &none;
}

static enum status
check_account(struct table_db *db, const struct table *before, const struct record *after, struct err *err)
{
	struct units old = before != NULL ? sum_of(&before->record) : (struct units){0, 0};
	struct units new = sum_of(after), all = {0, 0};

	if (new.read <= old.read &&new.write <= old.write)
		return S_OK;
	pthread_mutex_lock(&db->list_lock);
	for (size_t i = 0; i < db->list_count; i++) { /* versions do not change under db->control */
		struct units u = sum_of(&db->list[i]->current->record);

		all.read += u.read;
		all.write += u.write;
	}
	pthread_mutex_unlock(&db->list_lock);
	for (int i = 0; i < 2; i++) {
		int64_t reserved = i == 0 ? all.read : all.write;
		int64_t more = i == 0 ? new.read - old.read : new.write - old.write;

		if (more > 0 && reserved + more > QUOTA_ACCOUNT_UNITS)
			return err_set(err, S_LIMIT_EXCEEDED,
				       "This request would have caused the %sCapacityUnits limit to be exceeded for "
				       "the account in %s. Current %sCapacityUnits reserved by the account: %lld. "
				       "Limit: %d. Requested: %lld. " MSG_REFER,
				       i == 0 ? "Read" : "Write", db->region, i == 0 ? "Read" : "Write",
				       (long long)reserved, QUOTA_ACCOUNT_UNITS, (long long)more);
	}
	return S_OK;
}

enum status
quota_check_units(struct table_db *db, const struct table *before, const struct record *after, struct err *err)
{
	static const struct table_throughput none;
	enum status s = check_one(db, SLICE_NONE, before != NULL ? &before->record.spec.throughput : &none,
				  units_of(&after->spec.throughput, after->has_pending, &after->pending),
				  &after->spec.throughput, err);

	for (size_t i = 0; s == S_OK && i < after->spec.index_count; i++) {
		const struct table_index_spec *spec = &after->spec.indexes[i];
		const struct index_record *x = &after->indexes[i];

		if (spec->global && spec->vector == NULL)
			s = check_one(db, spec->name, throughput_before(before, x->number),
				      units_of(&spec->throughput, x->has_pending, &x->pending), &spec->throughput, err);
	}
	return s == S_OK ? check_account(db, before, after, err) : s;
}
