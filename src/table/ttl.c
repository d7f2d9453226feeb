#include "table/ttl.h"

#include "base/clock.h"
#include "model/key.h"
#include "model/number.h"
#include "table/table_int.h"

#include <stdio.h>
#include <stdlib.h>

#define KEY_HEAD 12 /* bytes of a row's key before the item's */
#define ROW_HEAD 12 /* bytes of an item's row key before its parts: number and hash */

/* ---- due times ---- */

/* number * 1000, rounded down. False: below zero or beyond TTL_FUTURE_MS. */
static bool
to_ms(const struct number *n, int64_t *ret)
{
	unsigned __int128 v = n->digits;
	int exponent = n->exponent + 3;

	if (n->negative)
		return false;
	for (; exponent < 0 && v > 0; exponent++)
		v /= 10;
	for (; exponent > 0 && v > 0 && v <= TTL_FUTURE_MS; exponent--)
		v *= 10;
	if (v > TTL_FUTURE_MS)
		return false;
	*ret = (int64_t)v;
	return true;
}

int64_t
table_ttl_due_ms(struct av item, struct slice attribute)
{
	struct av v = av_exists(item) ? av_get(item, attribute) : AV_NONE;
	struct number n;
	int64_t ms;

	if (!av_exists(v) || av_type(v) != AV_N || number_decode(av_bytes(v), &n) != S_OK || !to_ms(&n, &ms))
		return TTL_NEVER;
	return ms;
}

/* ---- rows ---- */

void
ttl_put_key(struct buf *out, uint32_t number, int64_t due_ms, struct slice row_key)
{
	buf_put_be32(out, number);
	buf_put_be64(out, (uint64_t)due_ms);
	buf_put_slice(out, row_key);
}

static int64_t
key_due_ms(struct slice key)
{
	uint64_t due;

	memcpy(&due, key.data + 4, sizeof due);
	return (int64_t)__builtin_bswap64(due);
}

void
ttl_put_rows(const struct table *t, struct av old_item, struct av new_item, struct slice row_key,
	     struct engine_batch *batch, struct buf *work, int64_t *earliest_ms)
{
	int64_t before = table_ttl_due_ms(old_item, t->record.ttl.attribute);
	int64_t after = table_ttl_due_ms(new_item, t->record.ttl.attribute);

	if (before == after)
		return;
	if (before != TTL_NEVER) {
		work->len = 0;
		ttl_put_key(work, t->ttl->number, before, row_key);
		engine_batch_delete(batch, SPACE_INDEXES, buf_slice(work));
	}
	if (after != TTL_NEVER) {
		work->len = 0;
		ttl_put_key(work, t->ttl->number, after, row_key);
		engine_batch_put(batch, SPACE_INDEXES, buf_slice(work), SLICE_NONE);
		if (after < *earliest_ms)
			*earliest_ms = after;
	}
}

bool
ttl_holds(const struct table *t, struct av item, int64_t due_ms)
{
	return t->ttl != NULL && table_ttl_due_ms(item, t->record.ttl.attribute) == due_ms &&
	       table_ttl_is_due(due_ms, clock_wall_ms());
}

/* ---- the part that versions share ---- */

struct ttl_core *
ttl_core_for(const struct table *before, uint32_t number)
{
	struct ttl_core *x;

	if (before != NULL && before->ttl != NULL && before->ttl->number == number) {
		atomic_fetch_add_explicit(&before->ttl->refs, 1, memory_order_relaxed);
		return before->ttl;
	}
	x = table_alloc(sizeof *x);
	atomic_init(&x->refs, 1);
	atomic_init(&x->earliest_ms, 0); /* not known: look */
	x->number = number;
	return x;
}

void
ttl_core_release(struct ttl_core *x)
{
	if (x == NULL || atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) != 1)
		return;
	free(x);
}

/*
 * Who puts a row lowers the earliest time after the row is visible; who looks for rows raises it before looking. Both
 * with full fences: either the one sees the raised value and lowers it, or the other sees the row.
 */
void
ttl_lower(struct ttl_core *x, int64_t due_ms)
{
	int64_t now = atomic_load(&x->earliest_ms);

	while (due_ms < now && !atomic_compare_exchange_weak(&x->earliest_ms, &now, due_ms))
		;
}

/* ---- which tables ---- */

uint64_t
table_ttl_generation(struct table_db *db)
{
	return atomic_load(&db->ttl_generation);
}

struct table **
table_ttl_tables(struct table_db *db, size_t *ret_count)
{
	struct arena a = {0};
	struct table **tables;
	struct slice *names;
	size_t count, kept = 0;
	bool more;

	table_list(db, SLICE_NONE, SIZE_MAX, &a, &names, &count, &more);
	tables = table_alloc((count + 1) * sizeof *tables);
	for (size_t i = 0; i < count; i++) {
		struct table *t = directory_find(db, names[i]);

		if (t == NULL)
			continue;
		if (t->ttl != NULL && t->record.ttl.status == TTL_ENABLED && t->record.status != TABLE_DELETING)
			tables[kept++] = t;
		else
			table_release(t);
	}
	arena_done(&a);
	*ret_count = kept;
	return tables;
}

int64_t
table_ttl_earliest_ms(const struct table *t)
{
	return atomic_load_explicit(&t->ttl->earliest_ms, memory_order_relaxed);
}

/* ---- finding and deleting ---- */

void
table_ttl_due_done(struct table_ttl_due *due)
{
	buf_done(&due->keys);
	buf_done(&due->next);
	free(due->rows);
	*due = (struct table_ttl_due){.count = 0};
}

void
table_ttl_expect(struct table *t)
{
	atomic_store(&t->ttl->earliest_ms, INT64_MAX);
}

void
table_ttl_leave(struct table *t, int64_t due_ms)
{
	ttl_lower(t->ttl, due_ms);
}

static void
add_row(struct table_ttl_due *due, int64_t due_ms, struct slice row_key)
{
	if (due->count == due->cap) {
		due->cap = due->cap > 0 ? 2 * due->cap : 64;
		due->rows = realloc(due->rows, due->cap * sizeof *due->rows);
		if (due->rows == NULL)
			abort();
	}
	due->rows[due->count++] = (struct table_ttl_row){due_ms, (uint32_t)due->keys.len, (uint32_t)row_key.len};
	buf_put_slice(&due->keys, row_key);
}

/* Where the walk goes on; too old times, or none at all, are passed over. */
static void
walk_from(const struct ttl_core *x, int64_t now_ms, struct table_ttl_due *due)
{
	if (due->more)
		return;
	due->next.len = 0;
	ttl_put_key(&due->next, x->number, now_ms > TTL_PAST_MS ? now_ms - TTL_PAST_MS : 1, SLICE_NONE);
}

enum status
table_ttl_find(struct table *t, int64_t now_ms, size_t limit, struct table_ttl_due *due, struct err *err)
{
	struct buf to = {0};
	struct engine_iter *it;
	enum status s = S_OK;

	due->keys.len = due->count = 0;
	walk_from(t->ttl, now_ms, due);
	due->more = false;
	due->next_due_ms = INT64_MAX;
	buf_put_be32(&to, t->ttl->number + 1);
	it = engine_iter_new(t->core->db->engine, NULL, SPACE_INDEXES, buf_slice(&due->next), buf_slice(&to),
			     ENGINE_SCAN | ENGINE_NEVER_DROPPED);
	for (engine_iter_first(it); engine_iter_valid(it); engine_iter_next(it)) {
		struct slice key = engine_iter_key(it);
		int64_t due_ms = key_due_ms(key);

		if (due_ms >= now_ms || due->count == limit) {
			due->more = due_ms < now_ms;
			due->next_due_ms = due_ms;
			due->next.len = 0;
			buf_put_slice(&due->next, key);
			break;
		}
		add_row(due, due_ms, slice_of(key.data + KEY_HEAD, key.len - KEY_HEAD));
	}
	if (!engine_iter_valid(it))
		s = engine_iter_status(it, err);
	engine_iter_free(it);
	buf_done(&to);
	return s;
}

static enum status
put_attrs(struct slice *bytes, const struct key_attr *attrs, unsigned count, struct buf *out)
{
	enum status s = S_OK;

	for (unsigned i = 0; s == S_OK && i < count; i++) {
		av_put_name(out, attrs[i].name);
		s = key_read_part(bytes, attrs[i].type, out);
	}
	return s;
}

/* The item's key out of its row key. Whether there is such an item, and when it is due, the commit finds out. */
static enum status
read_key(const struct table *t, struct slice row_key, struct buf *work, struct arena *a, struct av *ret,
	 struct err *err)
{
	const struct key_schema *schema = &t->record.spec.schema;
	struct slice bytes = slice_of(row_key.data + ROW_HEAD, row_key.len - ROW_HEAD);
	enum status s;
	size_t map;

	work->len = 0;
	map = av_open(work, TAG_M);
	s = put_attrs(&bytes, schema->partition, schema->partition_count, work);
	if (s == S_OK)
		s = put_attrs(&bytes, schema->sort, schema->sort_count, work);
	if (s == S_OK)
		s = av_close_map(work, map, schema->partition_count + schema->sort_count, NULL);
	if (s != S_OK || bytes.len > 0)
		return err_set(err, S_CORRUPT, "a row of TTL of table %.*s names no item", SLICE_ARG(t->core->name));
	*ret = av_of_buf(a, work, 0);
	return S_OK;
}

static const int64_t delay_bounds_ms[TTL_DELAYS] = {100, 250, 500, 1000, 2500, 5000, 15000, 60000};

static void
count_deleted(struct ttl_core *x, int64_t due_ms, int64_t now_ms)
{
	int64_t delay = now_ms - due_ms;
	int i = 0;

	while (i < TTL_DELAYS && delay > delay_bounds_ms[i])
		i++;
	atomic_fetch_add_explicit(&x->delays[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&x->delay_sum_ms, (uint64_t)(delay > 0 ? delay : 0), memory_order_relaxed);
	atomic_fetch_add_explicit(&x->deleted, 1, memory_order_relaxed);
}

enum status
table_ttl_delete(struct table *t, const struct table_ttl_due *due, size_t first, size_t count, struct table_io *io,
		 uint32_t *ret_deleted, struct err *err)
{
	struct table_write *writes = ARENA_ARRAY(io->arena, struct table_write, count);
	struct buf work = {0};
	int64_t now_ms;
	enum status s = S_OK;

	*ret_deleted = 0;
	for (size_t i = 0; s == S_OK && i < count; i++) {
		const struct table_ttl_row *row = &due->rows[first + i];

		writes[i] = (struct table_write){
		    .kind = WRITE_DELETE, .table = t, .cause = CAUSE_TTL, .expires_ms = row->due_ms};
		s = read_key(t, buf_part(&due->keys, row->at, row->len), &work, io->arena, &writes[i].key, err);
	}
	buf_done(&work);
	if (s == S_OK)
		s = table_commit(writes, count, io, err);
	if (s == S_RESOURCE_NOT_FOUND)
		return S_OK; /* the table was deleted */
	if (s != S_OK)
		return s;
	now_ms = clock_wall_ms();
	for (size_t i = 0; i < count; i++) {
		if (!av_exists(writes[i].old_item))
			continue; /* changed or deleted meanwhile */
		++*ret_deleted;
		count_deleted(t->ttl, writes[i].expires_ms, now_ms);
	}
	return S_OK;
}

/* ---- figures ---- */

void
table_ttl_set_backlog(struct table *t, uint64_t count, int64_t next_due_ms)
{
	atomic_store_explicit(&t->ttl->deleting_ms, count > 0 ? next_due_ms : 0, memory_order_relaxed);
	atomic_store_explicit(&t->ttl->backlog, count, memory_order_relaxed);
}

static void
write_delays(const struct ttl_core *x, const char *labels, struct buf *out)
{
	uint64_t sum = 0;

	for (int i = 0; i <= TTL_DELAYS; i++) {
		sum += atomic_load_explicit(&x->delays[i], memory_order_relaxed);
		if (i < TTL_DELAYS)
			buf_printf(out, "stator_ttl_delay_seconds_bucket{%s,le=\"%g\"} %llu\n", labels,
				   (double)delay_bounds_ms[i] / 1000, (unsigned long long)sum);
		else
			buf_printf(out, "stator_ttl_delay_seconds_bucket{%s,le=\"+Inf\"} %llu\n", labels,
				   (unsigned long long)sum);
	}
	buf_printf(out, "stator_ttl_delay_seconds_sum{%s} %.3f\nstator_ttl_delay_seconds_count{%s} %llu\n", labels,
		   (double)atomic_load_explicit(&x->delay_sum_ms, memory_order_relaxed) / 1000, labels,
		   (unsigned long long)sum);
}

void
ttl_write_metrics(struct table_db *db, struct buf *out)
{
	size_t count;
	struct table **tables = table_ttl_tables(db, &count);
	int64_t now_ms = clock_wall_ms();

	buf_put_lit(
	    out, "# HELP stator_ttl_deleted_total Items deleted because their time had come.\n"
		 "# TYPE stator_ttl_deleted_total counter\n"
		 "# HELP stator_ttl_backlog Items known to be due and not yet deleted; there may be more behind them.\n"
		 "# TYPE stator_ttl_backlog gauge\n"
		 "# HELP stator_ttl_lag_seconds For how long the next item to delete has been due; 0: none is.\n"
		 "# TYPE stator_ttl_lag_seconds gauge\n"
		 "# HELP stator_ttl_delay_seconds From the time an item was due to its deletion.\n"
		 "# TYPE stator_ttl_delay_seconds histogram\n");
	for (size_t i = 0; i < count; i++) {
		const struct ttl_core *x = tables[i]->ttl;
		int64_t earliest = atomic_load_explicit(&x->earliest_ms, memory_order_relaxed);
		int64_t next = atomic_load_explicit(&x->deleting_ms, memory_order_relaxed);
		char labels[512];

		if (next > 0 && next < earliest)
			earliest = next;
		snprintf(labels, sizeof labels, "region=\"%s\",table=\"%.*s\"", db->region,
			 SLICE_ARG(tables[i]->core->name));
		buf_printf(out, "stator_ttl_deleted_total{%s} %llu\nstator_ttl_backlog{%s} %llu\n", labels,
			   (unsigned long long)atomic_load_explicit(&x->deleted, memory_order_relaxed), labels,
			   (unsigned long long)atomic_load_explicit(&x->backlog, memory_order_relaxed));
		buf_printf(out, "stator_ttl_lag_seconds{%s} %.3f\n", labels,
			   earliest > 0 && earliest < now_ms ? (double)(now_ms - earliest) / 1000 : 0.0);
		write_delays(x, labels, out);
		table_release(tables[i]);
	}
	free(tables);
}
