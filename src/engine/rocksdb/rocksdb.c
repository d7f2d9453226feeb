#include "base/fault.h"
#include "engine/rocksdb/rocksdb_int.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#define SCAN_READAHEAD (256 << 10)

struct rocks_batch {
	struct engine_batch batch;
	struct rocks *rocks;
	rocksdb_writebatch_t *write;
	bool incomplete; /* the database was away when something was added: not to be applied */
};

struct rocks_iter {
	struct engine_iter iter;
	struct rocks *rocks;
	rocksdb_iterator_t *rocksdb; /* NULL: dead from the start, `dead` says why */
	rocksdb_readoptions_t *read_options;
	enum status dead;
	char bounds[];
};

struct rocks_file {
	struct engine_sorted_file file;
	rocksdb_sstfilewriter_t *writer;
	rocksdb_envoptions_t *env_options;
	char path[];
};

static enum status
being_reopened(unsigned flags, struct err *err)
{
	if (flags & ENGINE_CACHED_ONLY)
		return err_set(err, S_WOULD_BLOCK, "the engine is being reopened");
	return err_set(err, S_UNAVAILABLE, "the engine is being reopened after a disk failure");
}

/* ---- batches ---- */

/*
 * A batch may be filled while the database is being replaced, and its column family handles with it (their ids stay, so
 * that what was added before remains right): hence the gate. False: the batch is lost, as its write would have been.
 */
static bool
batch_enter(struct rocks_batch *batch)
{
	if (!gate_enter(batch->rocks, false))
		batch->incomplete = true;
	return !batch->incomplete;
}

static void
batch_put(struct engine_batch *b, enum engine_space space, struct slice key, struct slice value)
{
	struct rocks_batch *batch = (struct rocks_batch *)b;

	if (batch->incomplete || !batch_enter(batch))
		return;
	rocksdb_writebatch_put_cf(batch->write, batch->rocks->spaces[space], key.data, key.len, value.data, value.len);
	gate_leave(batch->rocks);
}

static void
batch_delete(struct engine_batch *b, enum engine_space space, struct slice key)
{
	struct rocks_batch *batch = (struct rocks_batch *)b;

	if (batch->incomplete || !batch_enter(batch))
		return;
	rocksdb_writebatch_delete_cf(batch->write, batch->rocks->spaces[space], key.data, key.len);
	gate_leave(batch->rocks);
}

/* No key of the project begins with so many of the highest byte; stands for "to the end". */
static struct slice
end_or_last(struct slice to)
{
	return to.len > 0 ? to : SLICE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
}

static void
batch_delete_range(struct engine_batch *b, enum engine_space space, struct slice from, struct slice to)
{
	struct rocks_batch *batch = (struct rocks_batch *)b;

	to = end_or_last(to);
	if (batch->incomplete || slice_cmp(from, to) >= 0 || !batch_enter(batch))
		return;
	rocksdb_writebatch_delete_range_cf(batch->write, batch->rocks->spaces[space], from.data, from.len, to.data,
					   to.len);
	gate_leave(batch->rocks);
}

static void
batch_clear(struct engine_batch *b)
{
	struct rocks_batch *batch = (struct rocks_batch *)b;

	rocksdb_writebatch_clear(batch->write);
	batch->incomplete = false;
}

static void
batch_free(struct engine_batch *b)
{
	rocksdb_writebatch_destroy(((struct rocks_batch *)b)->write);
	free(b);
}

static const struct batch_ops rocks_batch_ops = {batch_clear, batch_free, batch_put, batch_delete, batch_delete_range};

static struct engine_batch *
rocks_batch_new(struct engine *e)
{
	struct rocks_batch *batch = engine_alloc(sizeof *batch);

	batch->batch.ops = &rocks_batch_ops;
	batch->rocks = (struct rocks *)e;
	batch->write = rocksdb_writebatch_create();
	return &batch->batch;
}

/* ---- applying ---- */

static enum status
refused(struct rocks *r, struct err *err)
{
	if (atomic_load(&r->failure) == S_NO_SPACE)
		return err_set(err, S_NO_SPACE, "the disk of %s was full; writes are refused until it has space again",
			       r->dir);
	return err_set(err, S_IO, "writing to %s failed; writes are refused until the disk works again", r->dir);
}

enum status
rocks_write_batch(struct rocks *r, struct engine_batch *b, struct err *err)
{
	struct rocks_batch *batch = (struct rocks_batch *)b;
	char *message = NULL;
	struct err why;
	enum status s;

	rocks_mark(r, batch->write);
	rocksdb_write(r->db, r->write_options, batch->write, &message);
	fault_pass(FAULT_ENGINE_APPLIED);
	if (message == NULL)
		return S_OK;
	s = rocks_error(message, &why);
	rocks_fail(r, s, "a write", why.message);
	return err_set(err, s == S_NO_SPACE ? s : S_IO, "%s", why.message);
}

static void
rocks_hurry(struct engine *e, uint64_t seq)
{
	struct rocks *r = (struct rocks *)e;

	commit_want(&r->point, seq);
	rocks_wake(r);
}

static enum status
rocks_apply(struct engine *e, struct engine_batch *b, uint64_t *ret_seq, struct err *err)
{
	struct rocks *r = (struct rocks *)e;
	struct rocks_batch *batch = (struct rocks_batch *)b;
	enum status s;

	assert(batch->batch.ops == &rocks_batch_ops && batch->rocks == r);
	if (fault_hit(FAULT_ENGINE_APPLY))
		return err_set(err, S_IO, "fault injected before a write");
	s = rocks_check_space(r, err);
	if (s != S_OK)
		return s;
	if (!gate_enter(r, false))
		return refused(r, err);
	/* asked inside the gate: a place given out after a failure is then counted as lost, as recovery waits for us */
	if (atomic_load(&r->state) != ENGINE_RUNNING)
		s = refused(r, err);
	else if (batch->incomplete || batch_is_stale(b))
		s = err_set(err, S_IO, "writes were lost by a disk failure after this one was begun");
	else
		s = rocks_write_batch(r, b, err);
	if (s == S_OK)
		*ret_seq = commit_applied(&r->point);
	gate_leave(r);
	if (s != S_OK)
		return s;
	if (r->ephemeral)
		commit_durable_quietly(&r->point, *ret_seq);
	else if (b->unhurried)
		rocks_wake_in_time(r);
	else
		rocks_hurry(e, *ret_seq);
	return S_OK;
}

static enum status
rocks_sync_to(struct engine *e, uint64_t seq, struct err *err)
{
	rocks_hurry(e, seq);
	return commit_wait(e->point, seq, err);
}

/* ---- reading ---- */

static void
count(_Atomic uint64_t *figure)
{
	/* threads that share a shard may lose each other's count; a locked add costs more than the figure is worth */
	atomic_store_explicit(figure, atomic_load_explicit(figure, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* Counted in until the value is released. */
static enum status
get_inside(struct rocks *r, const rocksdb_readoptions_t *read_options, bool cached_only, enum engine_space space,
	   struct slice key, struct engine_value *ret, struct err *err)
{
	char *message = NULL;
	rocksdb_pinnableslice_t *pin =
	    rocksdb_get_pinned_cf(r->db, read_options, r->spaces[space], key.data, key.len, &message);

	if (message != NULL)
		return rocks_error(message, err);
	if (pin == NULL)
		return S_NOT_FOUND; /* too common for a message */
	ret->data.data = rocksdb_pinnableslice_value(pin, &ret->data.len);
	/* RocksDB says the same of a key whose table is not open, and would have to be read for that */
	if (cached_only && ret->data.len == 0) {
		rocksdb_pinnableslice_destroy(pin);
		ret->data = SLICE_NONE;
		return S_WOULD_BLOCK;
	}
	ret->pin = pin;
	ret->engine = &r->engine;
	return S_OK;
}

static enum status
rocks_get(struct engine *e, const struct engine_snapshot *snapshot, enum engine_space space, struct slice key,
	  unsigned flags, struct engine_value *ret, struct err *err)
{
	struct rocks *r = (struct rocks *)e;
	int cached_only = (flags & ENGINE_CACHED_ONLY) != 0;
	struct gate_shard *shard = gate_shard(r);
	enum status s;

	if (snapshot != NULL && (snapshot->snapshot == NULL || atomic_load(&r->revoked)))
		return being_reopened(0, err);
	/* a snapshot keeps the database inside the gate already; waiting at the gate would be waiting for ourselves */
	if (!gate_enter(r, !cached_only && snapshot == NULL)) {
		if (snapshot == NULL)
			return being_reopened(flags, err);
		atomic_fetch_add(&shard->inside, 1);
	}
	s = get_inside(r, snapshot != NULL ? snapshot->read_options[cached_only] : r->read_options[cached_only],
		       cached_only, space, key, ret, err);
	count(&shard->gets);
	if (s == S_WOULD_BLOCK)
		count(&shard->would_block);
	if (s != S_OK)
		gate_leave(r);
	return s;
}

static void
rocks_value_done(struct engine_value *v)
{
	rocksdb_pinnableslice_destroy(v->pin);
	gate_leave((struct rocks *)v->engine);
}

static struct engine_snapshot *
rocks_snapshot_new(struct engine *e)
{
	struct rocks *r = (struct rocks *)e;
	struct engine_snapshot *s = engine_alloc(sizeof *s);

	if (!gate_enter(r, true))
		return s; /* reading with it says S_UNAVAILABLE */
	s->borrowed = r->stepped_back;
	s->snapshot = s->borrowed ? r->safe : rocksdb_create_snapshot(r->db);
	for (int cached_only = 0; cached_only < 2; cached_only++) {
		s->read_options[cached_only] = rocksdb_readoptions_create();
		rocksdb_readoptions_set_read_tier(s->read_options[cached_only], cached_only);
		rocksdb_readoptions_set_snapshot(s->read_options[cached_only], s->snapshot);
	}
	return s;
}

static void
rocks_snapshot_free(struct engine *e, struct engine_snapshot *s)
{
	struct rocks *r = (struct rocks *)e;

	if (s->snapshot != NULL) {
		if (!s->borrowed)
			rocksdb_release_snapshot(r->db, s->snapshot);
		rocksdb_readoptions_destroy(s->read_options[0]);
		rocksdb_readoptions_destroy(s->read_options[1]);
		gate_leave(r);
	}
	free(s);
}

/* ---- iterators ---- */

static void
iter_show(struct rocks_iter *it)
{
	it->iter.valid =
	    !atomic_load_explicit(&it->rocks->revoked, memory_order_relaxed) && rocksdb_iter_valid(it->rocksdb);
	if (!it->iter.valid) {
		it->iter.key = it->iter.value = SLICE_NONE;
		return;
	}
	it->iter.key.data = rocksdb_iter_key(it->rocksdb, &it->iter.key.len);
	it->iter.value.data = rocksdb_iter_value(it->rocksdb, &it->iter.value.len);
}

static void
iter_first(struct engine_iter *iter)
{
	struct rocks_iter *it = (struct rocks_iter *)iter;

	if (it->rocksdb == NULL)
		return;
	rocksdb_iter_seek_to_first(it->rocksdb);
	iter_show(it);
}

static void
iter_last(struct engine_iter *iter)
{
	struct rocks_iter *it = (struct rocks_iter *)iter;

	if (it->rocksdb == NULL)
		return;
	rocksdb_iter_seek_to_last(it->rocksdb);
	iter_show(it);
}

static void
iter_seek(struct engine_iter *iter, struct slice key)
{
	struct rocks_iter *it = (struct rocks_iter *)iter;

	if (it->rocksdb == NULL)
		return;
	rocksdb_iter_seek(it->rocksdb, key.data, key.len);
	iter_show(it);
}

static void
iter_seek_back(struct engine_iter *iter, struct slice key)
{
	struct rocks_iter *it = (struct rocks_iter *)iter;

	if (it->rocksdb == NULL)
		return;
	rocksdb_iter_seek_for_prev(it->rocksdb, key.data, key.len);
	iter_show(it);
}

static void
iter_next(struct engine_iter *iter)
{
	struct rocks_iter *it = (struct rocks_iter *)iter;

	rocksdb_iter_next(it->rocksdb);
	iter_show(it);
}

static void
iter_prev(struct engine_iter *iter)
{
	struct rocks_iter *it = (struct rocks_iter *)iter;

	rocksdb_iter_prev(it->rocksdb);
	iter_show(it);
}

static enum status
iter_status(const struct engine_iter *iter, struct err *err)
{
	const struct rocks_iter *it = (const struct rocks_iter *)iter;
	char *message = NULL;

	if (it->rocksdb == NULL)
		return being_reopened(it->dead == S_WOULD_BLOCK ? ENGINE_CACHED_ONLY : 0, err);
	if (atomic_load(&it->rocks->revoked))
		return being_reopened(0, err);
	rocksdb_iter_get_error(it->rocksdb, &message);
	return message != NULL ? rocks_error(message, err) : S_OK;
}

static void
iter_free(struct engine_iter *iter)
{
	struct rocks_iter *it = (struct rocks_iter *)iter;

	if (it->rocksdb != NULL) {
		rocksdb_iter_destroy(it->rocksdb);
		rocksdb_readoptions_destroy(it->read_options);
		gate_leave(it->rocks);
	}
	free(it);
}

static const struct iter_ops rocks_iter_ops = {
    .first = iter_first,
    .last = iter_last,
    .seek = iter_seek,
    .seek_back = iter_seek_back,
    .next = iter_next,
    .prev = iter_prev,
    .status = iter_status,
    .free = iter_free,
};

/* The options keep pointers to the bounds: they live as long as the iterator. */
static rocksdb_readoptions_t *
iter_read_options(const rocksdb_snapshot_t *snapshot, struct slice from, struct slice to, unsigned flags)
{
	rocksdb_readoptions_t *options = rocksdb_readoptions_create();
	bool cached_only = (flags & ENGINE_CACHED_ONLY) != 0;

	if (snapshot != NULL)
		rocksdb_readoptions_set_snapshot(options, snapshot);
	if (from.len > 0)
		rocksdb_readoptions_set_iterate_lower_bound(options, from.data, from.len);
	if (to.len > 0)
		rocksdb_readoptions_set_iterate_upper_bound(options, to.data, to.len);
	rocksdb_readoptions_set_read_tier(options, cached_only);
	if (flags & ENGINE_SCAN) {
		rocksdb_readoptions_set_fill_cache(options, 0);
		if (!cached_only)
			rocksdb_readoptions_set_readahead_size(options, SCAN_READAHEAD);
	}
	rocksdb_readoptions_set_ignore_range_deletions(options, (flags & ENGINE_NEVER_DROPPED) != 0);
	rocksdb_readoptions_set_background_purge_on_iterator_cleanup(options, 1);
	return options;
}

/*
 * RocksDB before 8.7 forgets why a level's next table could not be read, when it looks at range deletions: a walk goes
 * on without that level, or ends, and says that all is well. "Not in the cache" is such a reason.
 */
static bool
would_lose_errors(unsigned flags)
{
	return (flags & ENGINE_CACHED_ONLY) != 0 && !(flags & ENGINE_NEVER_DROPPED);
}

static struct engine_iter *
rocks_iter_new(struct engine *e, const struct engine_snapshot *snapshot, enum engine_space space, struct slice from,
	       struct slice to, unsigned flags)
{
	struct rocks *r = (struct rocks *)e;
	struct rocks_iter *it = engine_alloc(sizeof *it + from.len + to.len);

	it->iter.ops = &rocks_iter_ops;
	it->rocks = r;
	if (would_lose_errors(flags)) {
		it->dead = S_WOULD_BLOCK;
		return &it->iter;
	}
	if (snapshot != NULL) {
		if (snapshot->snapshot == NULL || atomic_load(&r->revoked)) {
			it->dead = S_UNAVAILABLE;
			return &it->iter;
		}
		atomic_fetch_add(&gate_shard(r)->inside,
				 1); /* the snapshot is inside, so we may go in whatever the gate says */
	} else if (!gate_enter(r, !(flags & ENGINE_CACHED_ONLY))) {
		it->dead = flags & ENGINE_CACHED_ONLY ? S_WOULD_BLOCK : S_UNAVAILABLE;
		return &it->iter;
	}
	if (from.len > 0)
		memcpy(it->bounds, from.data, from.len);
	if (to.len > 0)
		memcpy(it->bounds + from.len, to.data, to.len);
	it->read_options =
	    iter_read_options(snapshot != NULL  ? snapshot->snapshot
			      : r->stepped_back ? r->safe
						: NULL,
			      slice_of(it->bounds, from.len), slice_of(it->bounds + from.len, to.len), flags);
	it->rocksdb = rocksdb_create_iterator_cf(r->db, it->read_options, r->spaces[space]);
	return &it->iter;
}

/* ---- whole ranges ---- */

static enum status
rocks_checkpoint(struct engine *e, const char *dir, struct err *err)
{
	struct rocks *r = (struct rocks *)e;
	rocksdb_checkpoint_t *checkpoint;
	char *message = NULL;

	if (!gate_enter(r, true))
		return being_reopened(0, err);
	if (atomic_load(&r->state) != ENGINE_RUNNING) { /* it would hold what was lost */
		gate_leave(r);
		return refused(r, err);
	}
	log_hold_ahead(true);
	if (rocks_touch_spaces(r, err) != S_OK) { /* it flushes */
		log_hold_ahead(false);
		gate_leave(r);
		return S_IO;
	}
	checkpoint = rocksdb_checkpoint_object_create(r->db, &message);
	if (message == NULL) {
		rocksdb_checkpoint_create(checkpoint, dir, 0, &message); /* 0: it flushes, whatever the log's size */
		rocksdb_checkpoint_object_destroy(checkpoint);
	}
	log_hold_ahead(false);
	gate_leave(r);
	return message != NULL ? rocks_error(message, err) : S_OK;
}

/* See wal.c: an ingestion uses up a number that no batch has. */
static void
note_ingestion(struct rocks *r, bool begins, char **message)
{
	rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
	char mark[DURABLE_MARK_SIZE];

	wal_ingest_encode(mark, begins);
	rocksdb_writebatch_put_log_data(batch, mark, sizeof mark);
	rocksdb_write(r->db, r->write_options, batch, message);
	rocksdb_writebatch_destroy(batch);
}

static enum status
rocks_ingest(struct engine *e, enum engine_space space, const char *const *files, size_t files_count, struct err *err)
{
	struct rocks *r = (struct rocks *)e;
	char *message = NULL;
	enum status s = rocks_check_space(r, err);

	if (s != S_OK)
		return s;
	if (!gate_enter(r, true))
		return being_reopened(0, err);
	s = rocks_making_finish(r, err);
	if (s == S_OK && atomic_load(&r->state) == ENGINE_RUNNING) {
		note_ingestion(r, true, &message);
		if (message == NULL)
			rocksdb_ingest_external_file_cf(r->db, r->spaces[space], files, files_count, r->ingest_options,
							&message);
		if (message == NULL)
			note_ingestion(r, false, &message);
	} else if (s == S_OK) {
		s = refused(r, err);
	}
	gate_leave(r);
	return message != NULL ? rocks_error(message, err) : s;
}

/*
 * RocksDB also deletes a file whose last key is the end it is given; so give it a key shortly before `to`.
 * What lies between stays until compaction, hidden by the range deletion.
 */
static void
delete_whole_files(struct rocks *r, enum engine_space space, struct slice from, struct slice to)
{
	struct buf last = {0};
	char *message = NULL;

	buf_put_slice(&last, to);
	if (last.data[last.len - 1] == '\0') {
		last.len--;
	} else {
		last.data[last.len - 1]--;
		buf_put_lit(&last, "\xff\xff\xff\xff\xff\xff\xff\xff");
	}
	if (last.len > 0 && slice_cmp(from, buf_slice(&last)) < 0)
		rocksdb_delete_file_in_range_cf(r->db, r->spaces[space], from.data != NULL ? from.data : "", from.len,
						last.data, last.len, &message);
	rocksdb_free(message); /* the range is deleted; its space comes back with compaction then */
	buf_done(&last);
}

static enum status
rocks_drop(struct engine *e, enum engine_space space, struct slice from, struct slice to, struct err *err)
{
	struct rocks *r = (struct rocks *)e;
	struct engine_batch *b = engine_batch_new(e);
	enum status s;
	uint64_t seq = 0;

	to = end_or_last(to);
	batch_delete_range(b, space, from, to);
	s = rocks_apply(e, b, &seq, err);
	batch_free(b);
	/* first durable, then the files: else a crash could bring back old versions from files that were left */
	if (s == S_OK)
		s = commit_wait(e->point, seq, err);
	fault_pass(FAULT_ENGINE_RANGE_DELETED);
	if (s == S_OK && gate_enter(r, true)) {
		delete_whole_files(r, space, from, to);
		fault_pass(FAULT_ENGINE_FILES_DELETED);
		rocks_dropped(r, space, from, to);
		gate_leave(r);
	}
	return s;
}

static enum status
file_put(struct engine_sorted_file *f, struct slice key, struct slice value, struct err *err)
{
	char *message = NULL;

	rocksdb_sstfilewriter_put(((struct rocks_file *)f)->writer, key.data, key.len, value.data, value.len, &message);
	return message != NULL ? rocks_error(message, err) : S_OK;
}

static void
file_free(struct rocks_file *file)
{
	rocksdb_sstfilewriter_destroy(file->writer);
	rocksdb_envoptions_destroy(file->env_options);
	free(file);
}

static enum status
file_finish(struct engine_sorted_file *f, struct err *err)
{
	struct rocks_file *file = (struct rocks_file *)f;
	char *message = NULL;
	enum status s = S_OK;

	rocksdb_sstfilewriter_finish(file->writer, &message);
	if (message != NULL) {
		s = rocks_error(message, err);
		unlink(file->path);
	}
	file_free(file);
	return s;
}

static const struct sorted_file_ops rocks_file_ops = {file_put, file_finish};

static enum status
rocks_sorted_file_open(struct engine *e, enum engine_space space, const char *path, struct engine_sorted_file **ret,
		       struct err *err)
{
	struct rocks *r = (struct rocks *)e;
	struct rocks_file *file = engine_alloc(sizeof *file + strlen(path) + 1);
	char *message = NULL;

	memcpy(file->path, path, strlen(path));
	file->file.ops = &rocks_file_ops;
	file->env_options = rocksdb_envoptions_create();
	file->writer = rocksdb_sstfilewriter_create(file->env_options, r->options[space]);
	rocksdb_sstfilewriter_open(file->writer, path, &message);
	if (message != NULL) {
		file_free(file);
		return rocks_error(message, err);
	}
	*ret = &file->file;
	return S_OK;
}

static uint64_t
rocks_approximate_bytes(struct engine *e, enum engine_space space, struct slice from, struct slice to)
{
	struct rocks *r = (struct rocks *)e;
	const char *start = from.data != NULL ? from.data : "";
	char *message = NULL;
	uint64_t bytes = 0;

	to = end_or_last(to);
	if (!gate_enter(r, false))
		return 0;
	rocksdb_approximate_sizes_cf(r->db, r->spaces[space], 1, &start, &from.len, &to.data, &to.len, &bytes,
				     &message);
	gate_leave(r);
	rocksdb_free(message);
	return bytes;
}

/* ---- opening and closing ---- */

static void
rocks_close(struct engine *e)
{
	struct rocks *r = (struct rocks *)e;

	rocks_sync_stop(r);
	rocks_close_instance(r);
	rocks_making_drop(r);
	rocks_count_engine(r, -1);
	rocks_options_done(r);
	rocks_reclaim_done(r);
	pthread_cond_destroy(&r->gate_opened);
	pthread_mutex_destroy(&r->gate_lock);
	pthread_mutex_destroy(&r->making_lock);
	commit_done(&r->point);
	free(r);
}

static const struct engine_ops rocks_ops = {
    .close = rocks_close,
    .batch_new = rocks_batch_new,
    .apply = rocks_apply,
    .sync_to = rocks_sync_to,
    .hurry = rocks_hurry,
    .get = rocks_get,
    .value_done = rocks_value_done,
    .snapshot_new = rocks_snapshot_new,
    .snapshot_free = rocks_snapshot_free,
    .iter_new = rocks_iter_new,
    .checkpoint = rocks_checkpoint,
    .ingest = rocks_ingest,
    .drop = rocks_drop,
    .reclaim = rocks_reclaim,
    .sorted_file_open = rocks_sorted_file_open,
    .approximate_bytes = rocks_approximate_bytes,
    .write_metrics = rocks_write_metrics,
};

enum status
engine_rocksdb_open(const struct engine_options *options, struct engine **ret, struct err *err)
{
	struct rocks *r = aligned_alloc(_Alignof(struct rocks), sizeof *r);
	pthread_condattr_t monotonic;
	enum status s;

	*ret = NULL;
	if (r == NULL)
		return err_set(err, S_INTERNAL, "no memory for an engine");
	memset(r, 0, sizeof *r);
	r->engine.ops = &rocks_ops;
	r->engine.point = &r->point;
	commit_init(&r->point);
	pthread_mutex_init(&r->gate_lock, NULL);
	pthread_mutex_init(&r->making_lock, NULL);
	pthread_mutex_init(&r->dropped_lock, NULL);
	r->mark_fd = -1;
	r->ephemeral = options->ephemeral;
	rocks_count_engine(r, 1);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&r->gate_opened, &monotonic);
	pthread_condattr_destroy(&monotonic);
	s = rocks_options_init(r, options, err);
	if (s == S_OK)
		s = rocks_open_instance(r, err);
	if (s == S_OK)
		s = rocks_sync_start(r, err);
	if (s != S_OK) {
		rocks_close(&r->engine);
		return s;
	}
	*ret = &r->engine;
	return S_OK;
}
