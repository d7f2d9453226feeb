/*
 * Partitions: which hashes belong to which, and how one becomes two.
 *
 * A table is made with a number of partitions of equal width. When one has grown large or has been written much, its
 * upper part becomes a partition of its own: it gets the next number, a lock, a log, and shards in the table's streams.
 * The partition that is split keeps its number, its lock and its counts; the new one starts with counts of zero (they
 * are summed over all partitions anyway) and remembers how much its parent had counted, as a bound for what it may
 * hold. No item is moved, since rows are ordered by hash and not by partition.
 *
 * The catalog's row and the shards' rows are applied while all locks of the table are held, and the new layout is there
 * when they are let go: every write is decided wholly before or wholly after. The row is synced afterwards; what is
 * written behind it lies behind it in the engine's log, so nothing of it outlives a crash that the row does not.
 */
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "model/key.h"
#include "table/change_int.h"

#include <stdlib.h>

#define ROW_VERSION 1
#define ROW_HEAD    5  /* version, count */
#define ROW_RANGE   32 /* first hash, partition, parent, split seq, inherited bytes */

/* docs/STREAMS.md tells these. */
#define SPLIT_WRITES      20000 /* a second, over SPLIT_LOOKS looks in a row */
#define SPLIT_LOOKS       12    /* every 5 s: a minute */
#define SPLIT_BY_RATE_MAX 64    /* partitions; more locks do not make anything faster */

/* ---- partitions ---- */

static struct partition *
partition_new(struct table_core *core, uint32_t id)
{
	struct partition *p = aligned_alloc(64, (sizeof *p + 63) / 64 * 64);
	pthread_mutexattr_t attributes;

	if (p == NULL)
		abort();
	memset(p, 0, sizeof *p);
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes,
				  PTHREAD_MUTEX_ADAPTIVE_NP); /* held for microseconds: spin before sleeping */
	pthread_mutex_init(&p->lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
	p->id = p->parent = id;
	p->recent = table_alloc(RECENT_SLOTS * sizeof *p->recent);
	p->failures = engine_failed_through(core->db->engine);
	return p;
}

static void
partition_free(struct partition *p)
{
	pthread_mutex_destroy(&p->lock);
	free((void *)p->recent);
	free(p->ongoing);
	free(p);
}

static struct layout *
layout_alloc(uint32_t count)
{
	struct layout *l = table_alloc(sizeof *l + count * (sizeof l->ranges[0] + sizeof l->by_id[0]));

	l->count = count;
	l->by_id = (struct partition **)&l->ranges[count];
	return l;
}

/* Range i of n: all hashes h with h * n >> 64 == i. */
static uint64_t
even_first(uint32_t i, uint32_t n)
{
	return i == 0 ? 0 : (uint64_t)(((((unsigned __int128)i) << 64) + n - 1) / n);
}

void
layout_init(struct table_core *core, uint32_t partitions)
{
	struct layout *l = layout_alloc(partitions);

	for (uint32_t i = 0; i < partitions; i++) {
		l->by_id[i] = partition_new(core, i);
		l->ranges[i] = (struct range){even_first(i, partitions), l->by_id[i]};
	}
	atomic_init(&core->layout, l);
}

void
layout_done(struct table_core *core)
{
	struct layout *l = atomic_load(&core->layout);

	for (uint32_t i = 0; l != NULL && i < l->count; i++)
		partition_free(l->by_id[i]);
	while (l != NULL) {
		struct layout *older = l->older;

		free(l);
		l = older;
	}
}

/* ---- the parts of indexes ---- */

static struct index_part *
part_new(const struct index_core *x)
{
	struct index_part *part = table_alloc(sizeof *part);

	if (x->has_recent)
		part->recent = table_alloc(RECENT_INDEX_SLOTS * sizeof *part->recent);
	return part;
}

void
index_parts_grow(struct index_core *x, uint32_t partitions)
{
	struct index_parts *before = atomic_load(&x->parts), *parts;
	uint32_t had = before != NULL ? before->count : 0;

	if (had >= partitions)
		return;
	parts = table_alloc(sizeof *parts + partitions * sizeof parts->at[0]);
	parts->count = partitions;
	parts->older = before;
	for (uint32_t i = 0; i < partitions; i++)
		parts->at[i] = i < had ? before->at[i] : part_new(x);
	atomic_store_explicit(&x->parts, parts, memory_order_release);
}

void
index_parts_free(struct index_core *x)
{
	struct index_parts *parts = atomic_load(&x->parts);

	for (uint32_t i = 0; parts != NULL && i < parts->count; i++) {
		free((void *)parts->at[i]->recent);
		free(parts->at[i]);
	}
	while (parts != NULL) {
		struct index_parts *older = parts->older;

		free(parts);
		parts = older;
	}
}

/* ---- the row ---- */

static void
put_row(uint32_t table_number, const struct layout *l, struct engine_batch *batch)
{
	struct buf key = {0}, value = {0};

	catalog_key_layout(&key, table_number);
	buf_put_byte(&value, ROW_VERSION);
	buf_put_be32(&value, l->count);
	for (uint32_t i = 0; i < l->count; i++) {
		const struct partition *p = l->ranges[i].partition;

		buf_put_be64(&value, l->ranges[i].first);
		buf_put_be32(&value, p->id);
		buf_put_be32(&value, p->parent);
		buf_put_be64(&value, p->split_seq);
		buf_put_be64(&value, p->inherited_bytes);
	}
	engine_batch_put(batch, SPACE_CATALOG, buf_slice(&key), buf_slice(&value));
	buf_done(&key);
	buf_done(&value);
}

void
layout_put_row(struct table_core *core, struct engine_batch *batch)
{
	const struct layout *l = layout_of(core);

	if (l->older != NULL)
		put_row(core->number, l, batch);
}

static enum status
damaged(const struct table_core *core, struct err *err)
{
	return err_set(err, S_CORRUPT, "the partitions of table %.*s are damaged", SLICE_ARG(core->name));
}

/* Every partition once, the first range from 0, hashes ascending. */
static enum status
take_row(struct table_core *core, struct slice row, struct err *err)
{
	struct layout *before = atomic_load(&core->layout), *l;
	uint32_t count;

	if (row.len < ROW_HEAD || row.data[0] != ROW_VERSION)
		return damaged(core, err);
	count = get_be32(row.data + 1);
	if (count < before->count || count > PARTITIONS_MAX || row.len != ROW_HEAD + (size_t)count * ROW_RANGE)
		return damaged(core, err);
	l = layout_alloc(count);
	l->older = before;
	for (uint32_t i = 0; i < count; i++)
		l->by_id[i] = i < before->count ? before->by_id[i] : partition_new(core, i);
	atomic_store(&core->layout, l); /* whatever follows, it is freed with the table */
	for (uint32_t i = 0; i < count; i++) {
		const char *at = row.data + ROW_HEAD + (size_t)i * ROW_RANGE;
		uint32_t id = get_be32(at + 8);
		struct partition *p = id < count ? l->by_id[id] : NULL;

		l->ranges[i] = (struct range){get_be64(at), p};
		if (p == NULL || (i == 0 ? l->ranges[i].first != 0 : l->ranges[i].first <= l->ranges[i - 1].first))
			return damaged(core, err);
		for (uint32_t n = 0; n < i; n++)
			if (l->ranges[n].partition == p)
				return damaged(core, err);
		p->parent = get_be32(at + 12);
		p->split_seq = get_be64(at + 16);
		p->inherited_bytes = get_be64(at + 24);
		if (p->parent >= count)
			return damaged(core, err);
	}
	for (uint32_t i = 0; i < count; i++) { /* numbers go on behind the split, whatever the clock says now */
		log_raise(l->by_id[i], l->by_id[i]->split_seq);
		log_raise(l->by_id[l->by_id[i]->parent], l->by_id[i]->split_seq);
	}
	return S_OK;
}

enum status
layout_load(struct table_core *core, struct err *err)
{
	struct engine_value value = {0};
	struct buf key = {0};
	enum status s;

	catalog_key_layout(&key, core->number);
	s = engine_get(core->db->engine, NULL, SPACE_CATALOG, buf_slice(&key), ENGINE_MAY_BLOCK, &value, err);
	if (s == S_OK)
		s = take_row(core, value.data, err);
	engine_value_done(&value);
	buf_done(&key);
	return s == S_NOT_FOUND ? S_OK : s;
}

void
layout_need(struct table_core *core, uint32_t partitions)
{
	const struct layout *before = layout_of(core);
	struct layout *l;

	if (before->count >= partitions)
		return;
	l = layout_alloc(partitions);
	l->older = (struct layout *)before;
	for (uint32_t i = 0; i < partitions; i++) {
		l->by_id[i] = i < before->count ? before->by_id[i] : partition_new(core, i);
		l->ranges[i] = (struct range){even_first(i, partitions), l->by_id[i]};
	}
	atomic_store(&core->layout, l);
}

/* ---- where to split ---- */

static uint32_t
range_place(const struct layout *l, const struct partition *p)
{
	uint32_t i = 0;

	while (l->ranges[i].partition != p)
		i++;
	return i;
}

static uint64_t
range_last(const struct layout *l, uint32_t i)
{
	return i + 1 < l->count ? l->ranges[i + 1].first - 1 : UINT64_MAX;
}

static int
hash_order(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

/* Of the last writes, the hash in the middle; false when they were too few or mostly one hash. Under the lock. */
static bool
written_median(const struct partition *p, uint64_t first, uint64_t *ret)
{
	uint64_t sorted[WRITE_SAMPLES];

	if (atomic_load_explicit(&p->writes, memory_order_relaxed) < WRITE_SAMPLES)
		return false;
	memcpy(sorted, p->samples, sizeof sorted);
	qsort(sorted, WRITE_SAMPLES, sizeof sorted[0], hash_order);
	*ret = sorted[WRITE_SAMPLES / 2];
	return *ret > first && sorted[WRITE_SAMPLES / 4] < *ret && sorted[3 * WRITE_SAMPLES / 4] > *ret;
}

/* The first hash of the upper part; 0: the partition is one hash wide. Under the lock. */
static uint64_t
split_point(const struct layout *l, uint32_t place)
{
	uint64_t first = l->ranges[place].first, last = range_last(l, place), median;

	if (last == first)
		return 0;
	if (written_median(l->ranges[place].partition, first, &median) && median <= last)
		return median;
	return first + (last - first) / 2 + 1;
}

/* ---- changes that may be lost ---- */

void
core_doubt_begin(struct table_core *core)
{
	core->doubt_is_mine = atomic_load(&core->doubt) == 0;
	if (core->doubt_is_mine)
		atomic_store(&core->doubt, engine_reopened(core->db->engine) + 1);
}

enum status
core_doubt_end(struct table_core *core, enum status synced)
{
	if (synced == S_OK && core->doubt_is_mine) {
		stream_durable(core);
		atomic_store(&core->doubt, 0);
	} else if (synced != S_OK) { /* it is so in memory; the catalog follows */
		jobs_add(core->db, JOB_REWRITE, core->name, core->number, 0, 0);
	}
	return synced;
}

void
core_doubt_over(struct table_core *core)
{
	atomic_store(&core->doubt, 0);
}

/* ---- splitting ---- */

/* `child` takes the hashes from `at` on. */
static struct layout *
layout_split(const struct layout *before, uint32_t place, uint64_t at, struct partition *child)
{
	struct layout *l = layout_alloc(before->count + 1);

	l->older = (struct layout *)before;
	memcpy(l->by_id, before->by_id, before->count * sizeof l->by_id[0]);
	l->by_id[before->count] = child;
	memcpy(l->ranges, before->ranges, (place + 1) * sizeof l->ranges[0]);
	l->ranges[place + 1] = (struct range){at, child};
	memcpy(l->ranges + place + 2, before->ranges + place + 1, (before->count - place - 1) * sizeof l->ranges[0]);
	return l;
}

static uint64_t
held_bytes(const struct table *t, const struct partition *p)
{
	int64_t held = atomic_load_explicit(&p->count.bytes, memory_order_relaxed) + (int64_t)p->inherited_bytes;

	for (size_t i = 0; i < t->index_count; i++)
		if (!t->indexes[i].spec->global)
			held += atomic_load_explicit(&index_part_of(t->indexes[i].core, p->id)->count.bytes,
						     memory_order_relaxed);
	return held > 0 ? (uint64_t)held : 0;
}

/* The child's beginnings; all locks are held, so no slot is busy. */
static void
inherit(const struct table *t, const struct partition *parent, struct partition *child)
{
	for (uint32_t i = 0; i < RECENT_SLOTS; i++)
		atomic_store_explicit(&child->recent[i], atomic_load_explicit(&parent->recent[i], memory_order_relaxed),
				      memory_order_relaxed);
	atomic_store(&child->last, atomic_load(&parent->last));
	child->parent = parent->id;
	child->inherited_bytes = held_bytes(t, parent);
	child->split_seq = atomic_load(&parent->log_last);
	atomic_store(&child->log_last, child->split_seq);
	child->failures = engine_failed_through(t->core->db->engine);
}

/* All locks are held. */
static enum status
split_locked(struct table *t, uint32_t place, struct partition *child, struct engine_batch *batch, uint64_t *ret_seq,
	     struct err *err)
{
	struct table_core *core = t->core;
	const struct layout *before = layout_of(core);
	struct partition *parent = before->ranges[place].partition;
	uint64_t at = split_point(before, place), last;
	struct stream *stream = stream_enabled(core);
	struct shard *open = stream != NULL ? shard_open_of(stream, parent->id) : NULL;
	struct shard_change *shards = NULL;
	struct layout *after;
	enum status s;

	if (at == 0)
		return err_set(err, S_LIMIT_EXCEEDED, "the partition cannot be split any further");
	inherit(t, parent, child);
	after = layout_split(before, place, at, child);
	if (open != NULL) {
		shards = shard_change_new(stream, batch);
		shard_change_close(shards, open, &last);
		child->split_seq = last;
		shard_change_open(shards, parent->id, open);
		shard_change_open(shards, child->id, open);
	}
	put_row(core->number, after, batch);
	fault_pass(FAULT_SPLIT_DECIDED);
	s = engine_apply(core->db->engine, batch, ret_seq, err);
	fault_pass(FAULT_SPLIT_APPLIED);
	if (s == S_OK) {
		/* who is told of the child's shard finds its partition, and nobody writes there before its numbers
		 * begin */
		pthread_mutex_lock(&child->lock);
		atomic_store_explicit(&core->layout, after, memory_order_release);
		if (shards != NULL)
			shard_change_done(shards, after, *ret_seq);
		core_doubt_begin(core);
		pthread_mutex_unlock(&child->lock);
	} else {
		free(after);
	}
	shard_change_free(shards);
	return s;
}

/* Since the start; what was written before a split counts half for each of the two. */
static int64_t
writes_of(const struct partition *p)
{
	return (int64_t)atomic_load_explicit(&p->writes, memory_order_relaxed) + p->inherited_writes;
}

/* The one with the most writes. */
static uint32_t
busiest(const struct layout *l)
{
	uint32_t most = 0;

	for (uint32_t i = 1; i < l->count; i++)
		if (writes_of(l->by_id[i]) > writes_of(l->by_id[most]))
			most = i;
	return most;
}

/* The caller holds db->control. */
static enum status
split(struct table *t, uint32_t partition, struct err *err)
{
	struct table_core *core = t->core;
	const struct layout *l = layout_of(core);
	struct engine_batch *batch;
	struct partition *child;
	uint64_t seq = 0;
	enum status s;

	if (l->count >= PARTITIONS_MAX)
		return err_set(err, S_LIMIT_EXCEEDED, "the table has %d partitions already", PARTITIONS_MAX);
	if (atomic_load(&core->doubt) != 0)
		return err_set(err, S_IO, MSG_DOUBT);
	if (partition == UINT32_MAX)
		partition = busiest(l);
	if (partition >= l->count)
		return err_set(err, S_VALIDATION, "the table has no partition %u", partition);
	child = partition_new(core, l->count);
	for (size_t i = 0; i < t->index_count; i++)
		index_parts_grow(t->indexes[i].core, l->count + 1);
	batch = engine_batch_new(core->db->engine);
	core_lock_all(core);
	s = split_locked(t, range_place(l, l->by_id[partition]), child, batch, &seq, err);
	for (uint32_t i = l->count; i-- > 0;) /* those that were locked: not the child */
		pthread_mutex_unlock(&l->by_id[i]->lock);
	engine_batch_free(batch);
	if (s != S_OK) {
		partition_free(child);
		return s;
	}
	child->inherited_writes = writes_of(l->by_id[partition]) / 2;
	l->by_id[partition]->inherited_writes -= child->inherited_writes;
	log_info("table", "%.*s: partition %u was split, %u partitions", SLICE_ARG(core->name), partition,
		 l->count + 1);
	fault_pass(FAULT_SPLIT_DONE);
	return core_doubt_end(core, engine_sync_to(core->db->engine, seq, err));
}

enum status
table_split(struct table_db *db, struct slice name, uint32_t partition, struct err *err)
{
	struct table *t;
	enum status s;

	pthread_mutex_lock(&db->control);
	t = directory_find(db, name);
	if (t == NULL || t->record.status == TABLE_DELETING)
		s = err_set(err, S_RESOURCE_NOT_FOUND, "Requested resource not found: Table: %.*s not found",
			    SLICE_ARG(name));
	else
		s = split(t, partition, err);
	pthread_mutex_unlock(&db->control);
	table_release(t);
	return s;
}

/* ---- by themselves ---- */

static bool
is_too_large(const struct table_core *core, const struct layout *l, uint32_t place)
{
	struct buf from = {0}, to = {0};
	bool large;

	/* rows begin with the table's number and their hash */
	buf_put_be32(&from, core->number);
	buf_put_be64(&from, l->ranges[place].first);
	buf_put_be32(&to, core->number);
	buf_put_be64(&to, range_last(l, place));
	key_after_prefix(&to);
	large = engine_approximate_bytes(core->db->engine, SPACE_ITEMS, buf_slice(&from), buf_slice(&to)) >
		core->db->split_bytes;
	buf_done(&from);
	buf_done(&to);
	return large;
}

/* Has it been written at more than SPLIT_WRITES a second in each of the last SPLIT_LOOKS looks? */
static bool
is_written_much(struct partition *p, int64_t now_ns)
{
	uint64_t writes = atomic_load_explicit(&p->writes, memory_order_relaxed);
	int64_t passed_ns = now_ns - p->looked_ns;
	bool much = p->looked_ns != 0 && passed_ns > 0 &&
		    (double)(writes - p->looked_writes) * 1e9 > (double)SPLIT_WRITES * (double)passed_ns;

	p->looked_ns = now_ns;
	p->looked_writes = writes;
	p->busy_looks = much ? p->busy_looks + 1 : 0;
	if (p->busy_looks < SPLIT_LOOKS)
		return false;
	p->busy_looks = 0;
	return true;
}

/* One partition of a table at a time; there is another look soon. */
static enum status
split_table_where_needed(struct table *t, struct err *err)
{
	const struct layout *l = layout_of(t->core);
	int64_t now_ns = clock_mono_ns(), bytes = 0;
	uint32_t chosen = UINT32_MAX;

	for (uint32_t i = 0; i < l->count; i++) {
		bytes += atomic_load_explicit(&l->by_id[i]->count.bytes, memory_order_relaxed);
		if (is_written_much(l->by_id[i], now_ns) && l->count < SPLIT_BY_RATE_MAX)
			chosen = i;
	}
	for (uint32_t i = 0; bytes > (int64_t)t->core->db->split_bytes && i < l->count && chosen == UINT32_MAX; i++)
		if (is_too_large(t->core, l, i))
			chosen = l->ranges[i].partition->id;
	if (chosen == UINT32_MAX || l->count >= PARTITIONS_MAX || t->record.status == TABLE_DELETING)
		return S_OK;
	return split(t, chosen, err);
}

enum status
split_where_needed(struct table_db *db, struct err *err)
{
	struct arena a = {0};
	struct slice *names;
	size_t count;
	bool more;
	enum status s = S_OK;

	table_list(db, SLICE_NONE, TABLES_MAX, &a, &names, &count, &more);
	for (size_t i = 0; s == S_OK && i < count; i++) {
		struct table *t;

		pthread_mutex_lock(&db->control);
		t = directory_find(db, names[i]);
		if (t != NULL)
			s = split_table_where_needed(t, err);
		pthread_mutex_unlock(&db->control);
		table_release(t);
		if (s == S_LIMIT_EXCEEDED)
			s = S_OK;
	}
	arena_done(&a);
	return s;
}
