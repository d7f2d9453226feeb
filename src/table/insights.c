/* The state of Contributor Insights: changing, keeping, telling it. */
#include "table/table_int.h"

#include "base/clock.h"

#define ROW_VERSION    1
#define ROW_ENTRY      22 /* number (u32), status, flags, two times (i64); little-endian, as this machine */
#define FLAG_THROTTLED 1
#define FLAG_FAILED    2

#define MSG_NO_TABLE "Requested resource not found: Table: %.*s not found"
#define MSG_NO_INDEX "Requested resource not found: Index: %.*s not found for table: %.*s"
#define MSG_NOT_ACTIVE                                                                                                 \
	"Table or Index is not in a valid state to update Key Access Insights: IndexStatus must be ACTIVE to enable "  \
	"ContributorInsights."

/* A table or a global index, with what it is asked for. */
struct target {
	struct insights *insights;
	uint32_t number; /* its own */
	const struct key_schema *schema;
	const struct table_index *index; /* NULL: the table */
};

static struct target
table_target(const struct table *t)
{
	return (struct target){&t->core->insights, t->core->number, table_schema(t), NULL};
}

static bool
can_count(const struct table_index *x)
{
	return x->spec->global && x->spec->vector == NULL;
}

static struct target
index_target(const struct table_index *x)
{
	return (struct target){&x->core->insights, x->core->number, &x->spec->schema, x};
}

static enum status
find_target(const struct table *t, struct slice name, struct slice index, struct target *ret, struct err *err)
{
	if (t == NULL || t->record.status == TABLE_CREATING) /* as the service: not there yet */
		return err_set(err, S_RESOURCE_NOT_FOUND, MSG_NO_TABLE, SLICE_ARG(name));
	*ret = table_target(t);
	if (index.len == 0)
		return S_OK;
	for (size_t i = 0; i < t->index_count; i++) {
		const struct table_index *x = &t->indexes[i];
		bool begun = x->record->status != INDEX_CREATING || x->record->backfilling;

		if (!can_count(x) || !begun || !slice_eq(x->spec->name, index))
			continue;
		*ret = index_target(x);
		return S_OK;
	}
	return err_set(err, S_RESOURCE_NOT_FOUND, MSG_NO_INDEX, SLICE_ARG(index), SLICE_ARG(name));
}

static struct table_insights
state_of(struct table_db *db, const struct target *target)
{
	struct table_insights state;

	pthread_mutex_lock(&db->insights_lock);
	state = target->insights->state;
	pthread_mutex_unlock(&db->insights_lock);
	state.has_sort = target->schema->sort_count > 0;
	return state;
}

/* ---- counting starts and stops ---- */

static unsigned
rules_of(const struct target *target, const struct table_insights *state)
{
	unsigned partition = 1u << RULE_THROTTLED_PARTITION, item = 1u << RULE_THROTTLED_ITEM;

	if (!state->throttled_only) {
		partition |= 1u << RULE_ACCESSED_PARTITION;
		item |= 1u << RULE_ACCESSED_ITEM;
	}
	return target->schema->sort_count > 0 ? partition | item : partition;
}

/* rules: bits of enum key_rule. The caller holds db->control, or is alone. */
static void
count_rules(struct table_db *db, struct insights *x, unsigned rules)
{
	unsigned count = (unsigned)__builtin_popcount(rules);
	struct key_counts *counts = atomic_load(&x->counts);

	if (counts == NULL && count > 0) {
		counts = key_counts_new();
		atomic_store(&x->counts, counts);
	}
	if (counts != NULL)
		key_counts_set(counts, rules);
	db->insights_rules += count - x->rules;
	atomic_fetch_add(&db->insights_counting, (count > 0) - (x->rules > 0));
	x->rules = count;
}

static bool
has_room(const struct table_db *db, const struct insights *x, unsigned rules)
{
	return db->insights_rules - x->rules + (unsigned)__builtin_popcount(rules) <= INSIGHTS_RULES_MAX;
}

void
insights_forget(struct table_db *db, struct insights *x)
{
	count_rules(db, x, 0);
	pthread_mutex_lock(&db->insights_lock);
	x->state = (struct table_insights){0};
	pthread_mutex_unlock(&db->insights_lock);
}

void
insights_done(struct insights *x)
{
	key_counts_free(atomic_load(&x->counts));
}

/* ---- the row ---- */

static void
put_entry(struct buf *out, const struct target *target, const struct table_insights *s)
{
	if (s->changed_ms == 0)
		return;
	buf_put(out, &target->number, sizeof target->number);
	buf_put_byte(out, (uint8_t)s->status);
	buf_put_byte(out, (uint8_t)((s->throttled_only ? FLAG_THROTTLED : 0) | (s->failed ? FLAG_FAILED : 0)));
	buf_put(out, &s->changed_ms, sizeof s->changed_ms);
	buf_put(out, &s->rules_ms, sizeof s->rules_ms);
}

/* The table's row, in which `changed` (NULL: none) is in the state `next`. The caller holds db->control. */
static void
put_row(struct engine_batch *batch, const struct table *t, const struct insights *changed,
	const struct table_insights *next)
{
	struct buf key = {0}, value = {0};
	struct target target = table_target(t);

	catalog_key_insights(&key, t->core->number);
	buf_put_byte(&value, ROW_VERSION);
	put_entry(&value, &target, target.insights == changed ? next : &target.insights->state);
	for (size_t i = 0; i < t->index_count; i++) {
		target = index_target(&t->indexes[i]);
		put_entry(&value, &target, target.insights == changed ? next : &target.insights->state);
	}
	if (value.len > 1)
		engine_batch_put(batch, SPACE_CATALOG, buf_slice(&key), buf_slice(&value));
	else
		engine_batch_delete(batch, SPACE_CATALOG, buf_slice(&key));
	buf_done(&key);
	buf_done(&value);
}

void
insights_rewrite_row(struct engine_batch *batch, const struct table *t)
{
	put_row(batch, t, NULL, NULL);
}

static bool
take_entry(struct table *t, const char *bytes)
{
	struct table_insights state = {.status = (enum insights_status)(uint8_t)bytes[4]};
	struct target target = table_target(t);
	uint32_t number;

	memcpy(&number, bytes, sizeof number);
	state.throttled_only = bytes[5] & FLAG_THROTTLED;
	state.failed = bytes[5] & FLAG_FAILED;
	memcpy(&state.changed_ms, bytes + 6, sizeof state.changed_ms);
	memcpy(&state.rules_ms, bytes + 14, sizeof state.rules_ms);
	if (state.status > INSIGHTS_FAILED)
		return false;
	for (size_t i = 0; number != target.number; i++) {
		if (i == t->index_count)
			return true; /* of an index that is gone */
		target = index_target(&t->indexes[i]);
	}
	target.insights->state = state;
	if (state.rules_ms != 0) /* made before, whatever it is about to become */
		count_rules(t->core->db, target.insights, rules_of(&target, &state));
	return true;
}

enum status
insights_load(struct table *t, struct err *err)
{
	struct engine_value value = {0};
	struct buf key = {0};
	bool good;
	enum status s;

	catalog_key_insights(&key, t->core->number);
	s = engine_get(t->core->db->engine, NULL, SPACE_CATALOG, buf_slice(&key), ENGINE_MAY_BLOCK, &value, err);
	if (s == S_OK) {
		good = value.data.len % ROW_ENTRY == 1 && value.data.data[0] == ROW_VERSION;
		for (size_t at = 1; good && at < value.data.len; at += ROW_ENTRY)
			good = take_entry(t, value.data.data + at);
		if (!good)
			s = err_set(err, S_CORRUPT,
				    "Contributor Insights of table %.*s have a form that this program does not know",
				    SLICE_ARG(t->core->name));
	}
	engine_value_done(&value);
	buf_done(&key);
	return s == S_NOT_FOUND ? S_OK : s;
}

/* ---- changing ---- */

/* rules: what is counted from then on, before anybody is told of the new state; NULL: as before. The caller holds
 * db->control. */
static enum status
change(struct table_db *db, const struct table *t, struct insights *x, const struct table_insights *next,
       const unsigned *rules, struct err *err)
{
	struct engine_batch *batch = engine_batch_new(db->engine);
	enum status s;

	put_row(batch, t, x, next);
	s = catalog_commit(db, batch, err);
	engine_batch_free(batch);
	if (s != S_OK) {
		jobs_add(db, JOB_REWRITE, t->core->name, t->core->number, 0, 0);
		return s;
	}
	if (rules != NULL)
		count_rules(db, x, *rules);
	pthread_mutex_lock(&db->insights_lock);
	x->state = *next;
	pthread_mutex_unlock(&db->insights_lock);
	return S_OK;
}

static void
settle_later(struct table_db *db, const struct table *t, const struct target *target)
{
	jobs_add(db, JOB_INSIGHTS, t->core->name, t->core->number, target->index != NULL ? target->number : 0,
		 db->control_delay_ns);
}

/* What is asked for of what is. False: it is so already. */
static bool
next_state(struct table_insights *state, bool enable, bool throttled_only)
{
	bool on = state->status == INSIGHTS_ENABLED || state->status == INSIGHTS_ENABLING;
	bool off = state->status == INSIGHTS_DISABLED || state->status == INSIGHTS_DISABLING;

	if (enable ? on && state->throttled_only == throttled_only : off)
		return false;
	state->status = enable ? INSIGHTS_ENABLING : INSIGHTS_DISABLING;
	if (enable) {
		state->throttled_only = throttled_only;
		state->failed = false;
	}
	state->changed_ms = clock_wall_ms();
	return true;
}

static enum status
set_locked(struct table_db *db, struct table *t, const struct target *target, bool enable, bool throttled_only,
	   struct table_insights *ret, struct err *err)
{
	enum status s = S_OK;

	*ret = state_of(db, target);
	if (enable && target->index != NULL &&
	    (target->index->record->status == INDEX_CREATING || target->index->record->status == INDEX_DELETING))
		return err_set(err, S_VALIDATION, MSG_NOT_ACTIVE);
	if (!next_state(ret, enable, throttled_only))
		return S_OK;
	s = change(db, t, target->insights, ret, NULL, err);
	if (s == S_OK)
		settle_later(db, t, target);
	return s;
}

enum status
table_insights_set(struct table_db *db, struct slice name, struct slice index, bool enable, bool throttled_only,
		   struct table_insights *ret, struct err *err)
{
	struct target target;
	struct table *t;
	enum status s;

	pthread_mutex_lock(&db->control);
	t = directory_find(db, name);
	s = find_target(t, name, index, &target, err);
	if (s == S_OK)
		s = set_locked(db, t, &target, enable, throttled_only, ret, err);
	pthread_mutex_unlock(&db->control);
	table_release(t);
	return s;
}

static bool
find_number(const struct table *t, uint32_t index_number, struct target *ret)
{
	*ret = table_target(t);
	for (size_t i = 0; index_number != 0 && i < t->index_count; i++) {
		*ret = index_target(&t->indexes[i]);
		if (ret->number == index_number)
			return true;
	}
	return index_number == 0;
}

enum status
insights_settle(struct table_db *db, struct table *t, uint32_t index_number, struct err *err)
{
	struct table_insights state;
	struct target target;
	unsigned rules = 0;

	if (!find_number(t, index_number, &target))
		return S_OK;
	state = state_of(db, &target);
	if (state.status != INSIGHTS_ENABLING && state.status != INSIGHTS_DISABLING)
		return S_OK;
	state.changed_ms = clock_wall_ms();
	if (state.status == INSIGHTS_ENABLING)
		rules = rules_of(&target, &state);
	state.failed = !has_room(db, target.insights, rules);
	if (state.failed)
		rules = 0;
	if (rules == 0)
		state.rules_ms = 0;
	else if (state.rules_ms == 0)
		state.rules_ms = state.changed_ms;
	state.status = state.failed ? INSIGHTS_FAILED : rules != 0 ? INSIGHTS_ENABLED : INSIGHTS_DISABLED;
	return change(db, t, target.insights, &state, &rules, err);
}

static void
resume(struct table_db *db, const struct table *t, const struct target *target)
{
	enum insights_status status = target->insights->state.status;

	if (status == INSIGHTS_ENABLING || status == INSIGHTS_DISABLING)
		settle_later(db, t, target);
}

void
insights_resume(struct table_db *db, const struct table *t)
{
	struct target target = table_target(t);

	resume(db, t, &target);
	for (size_t i = 0; i < t->index_count; i++) {
		target = index_target(&t->indexes[i]);
		resume(db, t, &target);
	}
}

/* ---- telling ---- */

enum status
table_insights_get(struct table_db *db, struct slice name, struct slice index, struct table_insights *ret,
		   struct err *err)
{
	struct table *t = directory_find(db, name);
	struct target target;
	enum status s = find_target(t, name, index, &target, err);

	if (s == S_OK)
		*ret = state_of(db, &target);
	table_release(t);
	return s;
}

struct listing {
	struct table_db *db;
	struct arena *arena;
	struct table_insights_entry *entries; /* room for one more than limit */
	size_t count, limit;
};

static void
list_target(struct listing *l, const struct table *t, const struct target *target)
{
	struct table_insights state = state_of(l->db, target);

	if (state.status == INSIGHTS_DISABLED || l->count > l->limit)
		return;
	l->entries[l->count++] = (struct table_insights_entry){
	    .table = arena_dup(l->arena, t->core->name),
	    .index = target->index != NULL ? arena_dup(l->arena, target->index->spec->name) : SLICE_NONE,
	    .insights = state,
	};
}

/* after: NULL: the table itself, too. */
static void
list_one(struct listing *l, const struct table *t, const struct slice *after)
{
	struct target target = table_target(t);

	if (after == NULL)
		list_target(l, t, &target);
	for (size_t i = 0; i < t->index_count; i++) {
		target = index_target(&t->indexes[t->by_name[i]]);
		if (can_count(target.index) && (after == NULL || slice_cmp(target.index->spec->name, *after) > 0))
			list_target(l, t, &target);
	}
}

static void
list_named(struct listing *l, struct slice name, const struct slice *after)
{
	struct table *t = directory_find(l->db, name);

	if (t != NULL)
		list_one(l, t, after);
	table_release(t);
}

enum status
table_insights_list(struct table_db *db, struct slice table, struct slice after_table, struct slice after_index,
		    size_t limit, struct arena *a, struct table_insights_entry **ret, size_t *ret_count, bool *ret_more,
		    struct err *err)
{
	struct listing l = {.db = db, .arena = a, .limit = limit};
	struct target unused;
	struct slice *names;
	size_t count = 0;
	bool more = true;

	l.entries = ARENA_ARRAY(a, struct table_insights_entry, limit + 1);
	if (table.len > 0) {
		struct table *t = directory_find(db, table);
		enum status s = find_target(t, table, SLICE_NONE, &unused, err);

		if (s == S_OK)
			list_one(&l, t, after_table.len > 0 ? &after_index : NULL);
		table_release(t);
		if (s != S_OK)
			return s;
	} else if (after_table.len > 0) {
		list_named(&l, after_table, &after_index);
	}
	while (table.len == 0 && more && l.count <= limit) {
		table_list(db, after_table, 100, a, &names, &count, &more);
		for (size_t i = 0; i < count; i++)
			list_named(&l, names[i], NULL);
		if (count > 0)
			after_table = names[count - 1];
	}
	*ret_more = l.count > limit;
	*ret_count = *ret_more ? limit : l.count;
	*ret = l.entries;
	return S_OK;
}
