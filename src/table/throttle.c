/*
 * Throttling, when it is switched on: each table and each global index has a bucket of read units and one of write
 * units. A bucket fills at the provisioned rate, or at the on-demand maximum, and holds what 300 seconds of it give; a
 * request goes through when there is anything in all the buckets it needs and may take more than there is, because what
 * it costs is known only when it has been done. The debt is paid before the next one goes through, so over time no more
 * than the rate is spent.
 *
 * A bucket is one number: the moment (clock_passed_ns) at which it would have been empty. What it holds is the time
 * since then, at whatever the rate is now. A new one has one second in it: there is no unused capacity of a time
 * before.
 *
 * Test controls can have the next few requests refused whatever the buckets hold (table_trouble_set()), also when
 * throttling is switched off.
 */
#include "base/clock.h"
#include "table/table_int.h"

#include <stdio.h>

#define BURST_NS (300 * 1000000000LL)
#define START_NS 1000000000LL
#define HALF_NS  500000000LL /* that half a unit takes at one unit a second */

#define MSG_TABLE                                                                                                      \
	"The level of configured provisioned throughput for the table was exceeded. Consider increasing your "         \
	"provisioning level with the UpdateTable API."
#define MSG_INDEX                                                                                                      \
	"The level of configured provisioned throughput for one or more global secondary indexes of the table was "    \
	"exceeded. Consider increasing your provisioning level for the under-provisioned global secondary indexes "    \
	"with the UpdateTable API"
#define MSG_CAPACITY                                                                                                   \
	"Throughput exceeds the current capacity of your table or index. DynamoDB is automatically scaling your "      \
	"table or index so please try again shortly. If exceptions persist, check if you have a hot key: "             \
	"https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html"
#define MSG_CONFLICT "Transaction is ongoing for the item"
#define MSG_MAXIMUM  "Throughput exceeds the maximum OnDemandThroughput configured on table or index"

/* What refused the last request of this thread; err has room for words only. */
static _Thread_local struct {
	const char *message;
	char reason[64];
	char resource[ERR_MESSAGE_MAX];
} refused;

void
throttle_init(struct throttle *t)
{
	int64_t empty = clock_passed_ns() - START_NS;

	atomic_init(&t->read, empty);
	atomic_init(&t->write, empty);
}

bool
throttle_has(const throttle_bucket *b, int64_t now_ns)
{
	return atomic_load_explicit(b, memory_order_relaxed) < now_ns;
}

void
throttle_take(throttle_bucket *b, int64_t half_units, int64_t rate, int64_t now_ns)
{
	int64_t before = atomic_load_explicit(b, memory_order_relaxed), after;

	do { /* at most 2^33 half units: no overflow */
		after = before > now_ns - BURST_NS ? before : now_ns - BURST_NS;
		after += half_units * HALF_NS / rate;
	} while (!atomic_compare_exchange_weak_explicit(b, &before, after, memory_order_relaxed, memory_order_relaxed));
}

/* The bucket that pays; NULL: none, there is no limit. Local indexes live on what the table has. */
static throttle_bucket *
bucket_of(const struct table *t, const struct table_index *x, bool write, int64_t *ret_rate)
{
	bool own = x != NULL && x->spec->global;
	const struct table_throughput *units = own ? &x->spec->throughput : &t->record.spec.throughput;
	struct throttle *throttle = own ? &x->core->throttle : &t->core->throttle;

	if (t->record.spec.billing == BILLING_PROVISIONED)
		*ret_rate = write ? units->write_units : units->read_units;
	else
		*ret_rate = write ? units->max_write_units : units->max_read_units;
	if (*ret_rate <= 0)
		return NULL;
	return write ? &throttle->write : &throttle->read;
}

static enum status
refuse(const struct table *t, const struct table_index *x, bool write, struct err *err)
{
	bool own = x != NULL && x->spec->global;
	bool provisioned = t->record.spec.billing == BILLING_PROVISIONED;
	struct throttle *throttle = own ? &x->core->throttle : &t->core->throttle;
	int64_t rate;
	bool limited = bucket_of(t, x, write, &rate) != NULL;

	atomic_fetch_add_explicit(write ? &throttle->refused_writes : &throttle->refused_reads, 1,
				  memory_order_relaxed);
	refused.message = !limited ? MSG_CAPACITY : !provisioned ? MSG_MAXIMUM : own ? MSG_INDEX : MSG_TABLE;
	snprintf(refused.reason, sizeof refused.reason, "%s%s%s", own ? "Index" : "Table", write ? "Write" : "Read",
		 !limited      ? "KeyRangeThroughputExceeded"
		 : provisioned ? "ProvisionedThroughputExceeded"
			       : "MaxOnDemandThroughputExceeded");
	snprintf(refused.resource, sizeof refused.resource, "arn:aws:dynamodb:%s:%s:table/%.*s%s%.*s",
		 t->core->db->region, t->core->db->account, SLICE_ARG(t->core->name), own ? "/index/" : "",
		 own ? (int)x->spec->name.len : 0, own ? x->spec->name.data : "");
	return err_set(err, provisioned ? S_THROUGHPUT_EXCEEDED : S_THROTTLING, "%s", refused.message);
}

/* Is one of those left that were asked for? It is then one less. */
static bool
take_trouble(_Atomic uint32_t *left)
{
	uint32_t n = atomic_load_explicit(left, memory_order_relaxed);

	while (n > 0)
		if (atomic_compare_exchange_weak(left, &n, n - 1))
			return true;
	return false;
}

enum status
throttle_look(const struct table *t, const struct table_index *x, bool write, int64_t now_ns, struct err *err)
{
	struct throttle *throttle = x != NULL && x->spec->global ? &x->core->throttle : &t->core->throttle;
	int64_t rate;
	const throttle_bucket *b;

	if (take_trouble(&throttle->trouble[write ? TROUBLE_WRITES_THROTTLED : TROUBLE_READS_THROTTLED]))
		return refuse(t, x, write, err);
	if (!t->core->db->throttling)
		return S_OK;
	b = bucket_of(t, x, write, &rate);
	return b == NULL || throttle_has(b, now_ns) ? S_OK : refuse(t, x, write, err);
}

enum status
throttle_tell_conflict(struct err *err)
{
	return err_set(err, S_TRANSACTION_CONFLICT, MSG_CONFLICT);
}

enum status
throttle_look_conflict(const struct table *t, struct err *err)
{
	return take_trouble(&t->core->throttle.trouble[TROUBLE_CONFLICTS]) ? throttle_tell_conflict(err) : S_OK;
}

void
throttle_charge(const struct table *t, const struct table_index *x, bool write, int64_t half_units, int64_t now_ns)
{
	int64_t rate;
	throttle_bucket *b = t->core->db->throttling ? bucket_of(t, x, write, &rate) : NULL;

	if (b != NULL && half_units != 0)
		throttle_take(b, half_units, rate, now_ns);
}

/* ---- for those who know what a read costs ---- */

bool
table_db_throttles(const struct table_db *db)
{
	return atomic_load_explicit(&db->throttles, memory_order_relaxed);
}

bool
table_db_charges(const struct table_db *db)
{
	return table_db_throttles(db) || insights_counting(db);
}

static enum status
pay_reads(const struct table_charge *charges, size_t count, size_t *ret_which, struct err *err)
{
	int64_t now_ns = clock_passed_ns();

	for (size_t i = 0; i < count; i++) {
		const struct table_charge *c = &charges[i];
		enum status s = c->half_units == 0 ? S_OK : throttle_look(c->table, c->index, false, now_ns, err);

		if (s == S_OK && c->transaction)
			s = throttle_look_conflict(c->table, err);
		if (s == S_OK)
			continue;
		*ret_which = i;
		return s;
	}
	for (size_t i = 0; i < count; i++)
		throttle_charge(charges[i].table, charges[i].index, false, (int64_t)charges[i].half_units, now_ns);
	return S_OK;
}

enum status
table_charge_reads(const struct table_charge *charges, size_t count, size_t *ret_which, struct err *err)
{
	struct table_db *db = count > 0 ? charges[0].table->core->db : NULL;
	size_t which = 0;
	enum status s = S_OK;

	if (db == NULL)
		return S_OK;
	if (table_db_throttles(db))
		s = pay_reads(charges, count, &which, err);
	if (s != S_OK && ret_which != NULL)
		*ret_which = which;
	if (!insights_counting(db))
		return s;
	if (s == S_THROUGHPUT_EXCEEDED || s == S_THROTTLING)
		insights_count_read(&charges[which], true);
	for (size_t i = 0; s == S_OK && i < count; i++)
		insights_count_read(&charges[i], false);
	return s;
}

bool
table_refusal(const struct err *err, struct slice *ret_reason, struct slice *ret_resource)
{
	if (refused.message == NULL || strcmp(err->message, refused.message) != 0)
		return false;
	*ret_reason = slice_str(refused.reason);
	*ret_resource = slice_str(refused.resource);
	return true;
}

/* ---- trouble on request ---- */

enum status
table_trouble_set(struct table_db *db, struct slice name, struct slice index, enum table_trouble kind, uint32_t count,
		  struct err *err)
{
	const struct table_index *x = NULL;
	struct throttle *throttle;
	struct table *t;
	enum status s = table_find(db, name, &t, err);

	for (size_t i = 0; s == S_OK && index.len > 0 && i < t->index_count; i++)
		if (slice_eq(t->indexes[i].spec->name, index) && t->indexes[i].spec->global)
			x = &t->indexes[i];
	if (s == S_OK && index.len > 0 && x == NULL)
		s = err_set(err, S_VALIDATION, "The table has no global secondary index named %.*s", SLICE_ARG(index));
	if (s == S_OK) {
		throttle = x != NULL ? &x->core->throttle : &t->core->throttle;
		atomic_store(&throttle->trouble[kind], count);
		if (count > 0)
			atomic_store(&db->throttles, true);
	}
	table_release(t);
	return s;
}

static void
end_trouble(struct throttle *throttle)
{
	for (int i = 0; i < TROUBLE_KINDS; i++)
		atomic_store(&throttle->trouble[i], 0);
}

void
table_trouble_end(struct table_db *db)
{
	struct arena a = {0};
	struct slice *names;
	size_t count;
	bool more;

	table_list(db, SLICE_NONE, SIZE_MAX, &a, &names, &count, &more);
	for (size_t i = 0; i < count; i++) {
		struct table *t = directory_find(db, names[i]);

		if (t == NULL)
			continue;
		end_trouble(&t->core->throttle);
		for (size_t n = 0; n < t->index_count; n++)
			end_trouble(&t->indexes[n].core->throttle);
		table_release(t);
	}
	arena_done(&a);
	atomic_store(&db->throttles, db->throttling);
}
