/*
 * The space of dropped ranges. Files that lie wholly in a range are deleted with it; what is left of it in level 0, in
 * files at its ends, in memtables and therefore in the log comes back with compaction, which on a quiet database never
 * comes. So ranges are remembered, and engine_reclaim() flushes and compacts the one that holds most. They are
 * forgotten with the process: after a restart the rest waits for an ordinary compaction.
 */
#include "base/fault.h"
#include "engine/rocksdb/rocksdb_int.h"

#include <string.h>

static uint64_t
memtable_bytes(struct rocks *r, int space)
{
	uint64_t bytes = 0;

	return rocksdb_property_int_cf(r->db, r->spaces[space], "rocksdb.cur-size-all-mem-tables", &bytes) == 0 ? bytes
														: 0;
}

static uint64_t
file_bytes(struct rocks *r, const struct dropped *d)
{
	const char *from = d->from.data != NULL ? d->from.data : "", *to = d->to.data;
	char *message = NULL;
	uint64_t bytes = 0;

	rocksdb_approximate_sizes_cf(r->db, r->spaces[d->space], 1, &from, &d->from.len, &to, &d->to.len, &bytes,
				     &message);
	rocksdb_free(message);
	return bytes;
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
		if (d->bytes < least->bytes)
			least = d;
	}
	if (r->dropped_count < DROPPED_MAX)
		least = &r->dropped[r->dropped_count++];
	least->space = space;
	set(&least->from, from);
	set(&least->to, to);
	return least;
}

void
rocks_dropped(struct rocks *r, enum engine_space space, struct slice from, struct slice to)
{
	struct dropped *d;

	pthread_mutex_lock(&r->dropped_lock);
	d = place_for(r, space, from, to);
	if (slice_cmp(from, buf_slice(&d->from)) < 0)
		set(&d->from, from);
	if (slice_cmp(to, buf_slice(&d->to)) > 0)
		set(&d->to, to);
	d->bytes = file_bytes(r, d) + memtable_bytes(r, space);
	pthread_mutex_unlock(&r->dropped_lock);
}

/* Takes out the range that holds most; false: none holds that much. */
static bool
take(struct rocks *r, uint64_t min_bytes, struct dropped *ret)
{
	struct dropped *most = NULL;

	pthread_mutex_lock(&r->dropped_lock);
	for (uint32_t i = 0; i < r->dropped_count; i++)
		if (r->dropped[i].bytes >= min_bytes && (most == NULL || r->dropped[i].bytes > most->bytes))
			most = &r->dropped[i];
	if (most != NULL) {
		*ret = *most;
		*most = r->dropped[--r->dropped_count];
		r->dropped[r->dropped_count] = (struct dropped){0};
	}
	pthread_mutex_unlock(&r->dropped_lock);
	return most != NULL;
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

enum status
rocks_reclaim(struct engine *e, uint64_t min_bytes, bool *ret_more, struct err *err)
{
	struct rocks *r = (struct rocks *)e;
	struct dropped d;
	enum status s;

	*ret_more = false;
	/* while the disk is nearly full, nothing is written that nobody asked for */
	if (atomic_load(&r->careful) || atomic_load(&r->damaged) || atomic_load(&r->unfinished) ||
	    !gate_enter(r, false))
		return S_OK;
	if (atomic_load(&r->state) == ENGINE_RUNNING && take(r, min_bytes, &d)) {
		s = flush(r, err);
		fault_pass(FAULT_ENGINE_RECLAIM_FLUSHED);
		if (s == S_OK && file_bytes(r, &d) >= min_bytes)
			compact(r, d.space, buf_slice(&d.from), buf_slice(&d.to));
		fault_pass(FAULT_ENGINE_RECLAIMED);
		*ret_more = s == S_OK;
		buf_done(&d.from);
		buf_done(&d.to);
	} else {
		s = S_OK;
	}
	gate_leave(r);
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
