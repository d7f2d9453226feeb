/*
 * The space of dropped ranges. Files that lie wholly in a range are deleted with it; what is left of it in level 0, in
 * files at its ends, in memtables and therefore in the log comes back with compaction, which on a quiet database never
 * comes. So ranges are remembered, and engine_reclaim() flushes and compacts those that hold most. They are
 * forgotten with the process: after a restart the rest waits for an ordinary compaction.
 *
 * Nor does it come where much was dropped in little pieces. The log of each table is a range; a file holds hundreds of
 * them, so none takes a file with it and none is worth a compaction. And a space that has shrunk may keep a level above
 * its last that RocksDB finds too small to be compacted: there all range deletions gather, and in the last level all
 * that they hide. So ranges that have little between them are weighed together.
 */
#include "base/arena.h"
#include "base/fault.h"
#include "engine/rocksdb/rocksdb_int.h"

#include <stdlib.h>
#include <string.h>

/* What a range counts even when it is empty: whoever reads a table keeps the range deletions of its file in memory. */
#define DROP_BYTES 4096

/* Ranges that stand beside each other in r->dropped, sorted. */
struct cluster {
	uint32_t first, count;
	uint64_t bytes;          /* of the ranges; DROP_BYTES at least for each */
	uint64_t between_bytes;  /* what lies between them and was not dropped, in table files */
	uint64_t memtable_bytes; /* that of the space, once */
};

static uint64_t
memtable_bytes(struct rocks *r, int space)
{
	uint64_t bytes = 0;

	return rocksdb_property_int_cf(r->db, r->spaces[space], "rocksdb.cur-size-all-mem-tables", &bytes) == 0 ? bytes
														: 0;
}

static uint64_t
file_bytes(struct rocks *r, int space, struct slice low, struct slice high)
{
	const char *from = low.data != NULL ? low.data : "", *to = high.data;
	char *message = NULL;
	uint64_t bytes = 0;

	rocksdb_approximate_sizes_cf(r->db, r->spaces[space], 1, &from, &low.len, &to, &high.len, &bytes, &message);
	rocksdb_free(message);
	return bytes;
}

static void
weigh(struct rocks *r, struct dropped *d)
{
	d->bytes = file_bytes(r, d->space, buf_slice(&d->from), buf_slice(&d->to));
}

static uint64_t
weight(const struct dropped *d)
{
	return (d->bytes > DROP_BYTES ? d->bytes : DROP_BYTES) + d->memtable_bytes;
}

static void
set(struct buf *to, struct slice from)
{
	to->len = 0;
	buf_put_slice(to, from);
}

/* A known range that meets it, a free place, or that of the range that holds least. */
static struct dropped *
place_for(struct rocks *r, enum engine_space space, struct slice from, struct slice to)
{
	struct dropped *least = &r->dropped[0];

	for (uint32_t i = 0; i < r->dropped_count; i++) {
		struct dropped *d = &r->dropped[i];

		if (d->space == space && slice_cmp(from, buf_slice(&d->to)) <= 0 &&
		    slice_cmp(buf_slice(&d->from), to) <= 0)
			return d;
		if (weight(d) < weight(least))
			least = d;
	}
	if (r->dropped_count < DROPPED_MAX)
		least = &r->dropped[r->dropped_count++];
	least->space = space;
	set(&least->from, from);
	set(&least->to, to);
	return least;
}

static struct dropped *
remember(struct rocks *r, enum engine_space space, struct slice from, struct slice to)
{
	struct dropped *d = place_for(r, space, from, to);

	if (slice_cmp(from, buf_slice(&d->from)) < 0)
		set(&d->from, from);
	if (slice_cmp(to, buf_slice(&d->to)) > 0)
		set(&d->to, to);
	weigh(r, d);
	return d;
}

void
rocks_dropped(struct rocks *r, enum engine_space space, struct slice from, struct slice to)
{
	struct dropped *d;

	pthread_mutex_lock(&r->dropped_lock);
	d = remember(r, space, from, to);
	d->memtable_bytes = memtable_bytes(r, space);
	pthread_mutex_unlock(&r->dropped_lock);
}

static int
in_order(const void *va, const void *vb)
{
	const struct dropped *a = va, *b = vb;

	return a->space != b->space ? (a->space < b->space ? -1 : 1)
				    : slice_cmp(buf_slice(&a->from), buf_slice(&b->from));
}

/* The next range belongs to it when then no more than half of all is of others: so a compaction writes at most about
 * what it returns. */
static bool
extend(struct rocks *r, struct cluster *c)
{
	const struct dropped *last = &r->dropped[c->first + c->count - 1], *next = last + 1;
	uint64_t between = c->between_bytes, bytes = c->bytes + weight(next) - next->memtable_bytes;

	if (next->space != last->space)
		return false;
	if (slice_cmp(buf_slice(&last->to), buf_slice(&next->from)) < 0)
		between += file_bytes(r, next->space, buf_slice(&last->to), buf_slice(&next->from));
	if (between > bytes)
		return false;
	c->count++;
	c->bytes = bytes;
	c->between_bytes = between;
	if (next->memtable_bytes > c->memtable_bytes)
		c->memtable_bytes = next->memtable_bytes;
	return true;
}

/* The caller holds dropped_lock. */
static struct cluster
heaviest(struct rocks *r)
{
	struct cluster most = {0};

	qsort(r->dropped, r->dropped_count, sizeof r->dropped[0], in_order);
	for (uint32_t i = 0; i < r->dropped_count;) {
		const struct dropped *d = &r->dropped[i];
		struct cluster c = {i, 1, weight(d) - d->memtable_bytes, 0, d->memtable_bytes};

		while (c.first + c.count < r->dropped_count && extend(r, &c))
			;
		if (c.bytes + c.memtable_bytes > most.bytes + most.memtable_bytes)
			most = c;
		i += c.count;
	}
	return most;
}

/* Takes out the ranges that together hold most, into the arena; 0: none hold that much. */
static uint32_t
take(struct rocks *r, uint64_t min_bytes, struct arena *a, struct dropped **ret)
{
	struct cluster c;

	pthread_mutex_lock(&r->dropped_lock);
	c = heaviest(r);
	if (c.bytes + c.memtable_bytes < min_bytes) {
		c.count = 0;
	} else {
		*ret = ARENA_ARRAY(a, struct dropped, c.count);
		memcpy(*ret, &r->dropped[c.first], c.count * sizeof **ret);
		r->dropped_count -= c.count;
		memmove(&r->dropped[c.first], &r->dropped[c.first + c.count],
			(r->dropped_count - c.first) * sizeof r->dropped[0]);
		memset(&r->dropped[r->dropped_count], 0, c.count * sizeof r->dropped[0]);
		/* the flush that follows is of all spaces */
		for (uint32_t i = 0; i < r->dropped_count; i++)
			r->dropped[i].memtable_bytes = 0;
	}
	pthread_mutex_unlock(&r->dropped_lock);
	return c.count;
}

static void
put_back(struct rocks *r, const struct dropped *ranges, uint32_t count)
{
	pthread_mutex_lock(&r->dropped_lock);
	for (uint32_t i = 0; i < count; i++)
		remember(r, ranges[i].space, buf_slice(&ranges[i].from), buf_slice(&ranges[i].to));
	pthread_mutex_unlock(&r->dropped_lock);
}

static void
compact(struct rocks *r, enum engine_space space, struct slice from, struct slice to)
{
	rocksdb_compactoptions_t *options = rocksdb_compactoptions_create();

	rocksdb_compactoptions_set_exclusive_manual_compaction(options, 0);
	rocksdb_compactoptions_set_bottommost_level_compaction(options, 3); /* all but what this one has just made */
	rocksdb_compact_range_cf_opt(r->db, r->spaces[space], options, from.data != NULL ? from.data : "", from.len,
				     to.data, to.len);
	rocksdb_compactoptions_destroy(options);
}

/*
 * RocksDB 7.8 notes why it flushes at the space, not at the flush. When a flush of some spaces is asked for while one
 * of more spaces waits, they differ, and an assert (the package has them on) ends the process. So each flush covers all
 * spaces: none is empty, because each is given a deletion of the empty key, which nobody has; and it is asked for by a
 * compaction of that key, because rocksdb_flush_cf() would cover one space alone.
 */
static const struct slice touched = {"", 0}, behind_touched = {"\0", 1};

enum status
rocks_touch_spaces(struct rocks *r, struct err *err)
{
	struct engine_batch *b = engine_batch_new(&r->engine);
	enum status s;

	for (int i = 0; i < SPACE_COUNT; i++)
		engine_batch_delete(b, i, touched);
	s = rocks_write_batch(r, b, err);
	engine_batch_free(b);
	return s;
}

static uint64_t
background_errors(struct rocks *r)
{
	uint64_t count = 0;

	return rocksdb_property_int_cf(r->db, r->spaces[0], "rocksdb.background-errors", &count) == 0 ? count : 0;
}

/* All spaces: the log's files go when no memtable needs them. */
static enum status
flush(struct rocks *r, struct err *err)
{
	uint64_t errors = background_errors(r);
	enum status s = rocks_touch_spaces(r, err);

	if (s != S_OK)
		return s;
	compact(r, SPACE_CATALOG, touched, behind_touched);
	return background_errors(r) == errors ? S_OK : err_set(err, S_IO, "a flush of %s failed", r->dir);
}

/*
 * Each range for itself, and only what was dropped: nobody writes there. A compaction of a range with a row in a
 * memtable would flush, and that flush might be of fewer spaces than another that waits (see above). The first takes
 * the others with it where they share files; of those nothing is left then.
 */
static void
compact_ranges(struct rocks *r, struct dropped *ranges, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (i > 0)
			weigh(r, &ranges[i]);
		if (i == 0 || ranges[i].bytes > 0)
			compact(r, ranges[i].space, buf_slice(&ranges[i].from), buf_slice(&ranges[i].to));
	}
}

/* What they hold now that nothing of it is in memtables. */
static uint64_t
weigh_all(struct rocks *r, struct dropped *ranges, uint32_t count)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < count; i++) {
		ranges[i].memtable_bytes = 0;
		weigh(r, &ranges[i]);
		bytes += weight(&ranges[i]);
	}
	return bytes;
}

static enum status
reclaim_ranges(struct rocks *r, struct dropped *ranges, uint32_t count, uint64_t min_bytes, struct err *err)
{
	enum status s = flush(r, err);

	fault_pass(FAULT_ENGINE_RECLAIM_FLUSHED);
	if (s == S_OK && weigh_all(r, ranges, count) >= min_bytes)
		compact_ranges(r, ranges, count);
	else
		put_back(r, ranges, count);
	fault_pass(FAULT_ENGINE_RECLAIMED);
	return s;
}

enum status
rocks_reclaim(struct engine *e, uint64_t min_bytes, bool *ret_more, struct err *err)
{
	struct rocks *r = (struct rocks *)e;
	struct arena a = {0};
	struct dropped *ranges;
	enum status s = S_OK;
	uint32_t count = 0;

	*ret_more = false;
	if (atomic_load(&r->free_bytes) < r->nearly_full_bytes || atomic_load(&r->damaged) ||
	    atomic_load(&r->unfinished) || !gate_enter(r, false))
		return S_OK;
	if (atomic_load(&r->state) == ENGINE_RUNNING)
		count = take(r, min_bytes, &a, &ranges);
	if (count > 0) {
		s = reclaim_ranges(r, ranges, count, min_bytes, err);
		*ret_more = s == S_OK;
	}
	gate_leave(r);
	for (uint32_t i = 0; i < count; i++) {
		buf_done(&ranges[i].from);
		buf_done(&ranges[i].to);
	}
	arena_done(&a);
	return s;
}

void
rocks_reclaim_done(struct rocks *r)
{
	for (uint32_t i = 0; i < r->dropped_count; i++) {
		buf_done(&r->dropped[i].from);
		buf_done(&r->dropped[i].to);
	}
	pthread_mutex_destroy(&r->dropped_lock);
}
