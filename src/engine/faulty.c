/*
 * Fails the n-th call of any kind that can fail: apply, sync_to, get, every move of an iterator, checkpoint, ingest,
 * drop, and opening, filling and finishing a sorted file. A failed apply leaves nothing behind; a failed iterator move
 * leaves it invalid with that status until the next seek. Everything else goes straight to the engine inside.
 */
#include "engine/engine_int.h"

#include <stdlib.h>

struct faulty {
	struct engine engine;
	struct engine *inner;
	_Atomic uint64_t calls; /* since arming */
	_Atomic uint64_t nth;   /* 0: none */
	atomic_int status;
};

struct faulty_iter {
	struct engine_iter iter;
	struct faulty *faulty;
	struct engine_iter *inner;
	enum status failed; /* S_OK: ask the inner one */
};

struct faulty_file {
	struct engine_sorted_file file;
	struct faulty *faulty;
	struct engine_sorted_file *inner;
};

static enum status
hit(struct faulty *f, struct err *err)
{
	uint64_t call = atomic_fetch_add(&f->calls, 1) + 1;

	if (call != atomic_load(&f->nth))
		return S_OK;
	return err_set(err, (enum status)atomic_load(&f->status), "fault injected at engine call %llu",
		       (unsigned long long)call);
}

void
engine_faulty_arm(struct engine *faulty, uint64_t nth, enum status status)
{
	struct faulty *f = (struct faulty *)faulty;

	atomic_store(&f->calls, 0);
	atomic_store(&f->status, (int)status);
	atomic_store(&f->nth, nth);
}

uint64_t
engine_faulty_calls(const struct engine *faulty)
{
	return atomic_load(&((const struct faulty *)faulty)->calls);
}

static struct engine *
inner_of(struct engine *e)
{
	return ((struct faulty *)e)->inner;
}

static struct engine_batch *
faulty_batch_new(struct engine *e)
{
	return engine_batch_new(inner_of(e)); /* filling a batch cannot fail: it is the inner engine's own */
}

static enum status
faulty_apply(struct engine *e, struct engine_batch *b, uint64_t *ret_seq, struct err *err)
{
	enum status s = hit((struct faulty *)e, err);

	return s != S_OK ? s : engine_apply(inner_of(e), b, ret_seq, err);
}

static enum status
faulty_sync_to(struct engine *e, uint64_t seq, struct err *err)
{
	enum status s = hit((struct faulty *)e, err);

	return s != S_OK ? s : engine_sync_to(inner_of(e), seq, err);
}

static void
faulty_hurry(struct engine *e, uint64_t seq)
{
	struct engine *inner = inner_of(e);

	if (inner->ops->hurry != NULL)
		inner->ops->hurry(inner, seq);
}

static enum status
faulty_get(struct engine *e, const struct engine_snapshot *snapshot, enum engine_space space, struct slice key,
	   unsigned flags, struct engine_value *ret, struct err *err)
{
	enum status s = hit((struct faulty *)e, err);

	return s != S_OK ? s : engine_get(inner_of(e), snapshot, space, key, flags, ret, err);
}

static void
faulty_value_done(struct engine_value *v)
{
	(void)v; /* never called: a value names the engine inside */
}

static struct engine_snapshot *
faulty_snapshot_new(struct engine *e)
{
	return engine_snapshot_new(inner_of(e));
}

static void
faulty_snapshot_free(struct engine *e, struct engine_snapshot *s)
{
	engine_snapshot_free(inner_of(e), s);
}

/* ---- iterators ---- */

static bool
iter_hit(struct faulty_iter *it)
{
	it->failed = hit(it->faulty, NULL);
	if (it->failed == S_OK)
		return false;
	it->iter.valid = false;
	it->iter.key = it->iter.value = SLICE_NONE;
	return true;
}

static void
iter_show(struct faulty_iter *it)
{
	it->iter.valid = it->inner->valid;
	it->iter.key = it->inner->key;
	it->iter.value = it->inner->value;
}

static void
iter_first(struct engine_iter *iter)
{
	struct faulty_iter *it = (struct faulty_iter *)iter;

	if (iter_hit(it))
		return;
	engine_iter_first(it->inner);
	iter_show(it);
}

static void
iter_last(struct engine_iter *iter)
{
	struct faulty_iter *it = (struct faulty_iter *)iter;

	if (iter_hit(it))
		return;
	engine_iter_last(it->inner);
	iter_show(it);
}

static void
iter_seek(struct engine_iter *iter, struct slice key)
{
	struct faulty_iter *it = (struct faulty_iter *)iter;

	if (iter_hit(it))
		return;
	engine_iter_seek(it->inner, key);
	iter_show(it);
}

static void
iter_seek_back(struct engine_iter *iter, struct slice key)
{
	struct faulty_iter *it = (struct faulty_iter *)iter;

	if (iter_hit(it))
		return;
	engine_iter_seek_back(it->inner, key);
	iter_show(it);
}

static void
iter_next(struct engine_iter *iter)
{
	struct faulty_iter *it = (struct faulty_iter *)iter;

	if (iter_hit(it))
		return;
	engine_iter_next(it->inner);
	iter_show(it);
}

static void
iter_prev(struct engine_iter *iter)
{
	struct faulty_iter *it = (struct faulty_iter *)iter;

	if (iter_hit(it))
		return;
	engine_iter_prev(it->inner);
	iter_show(it);
}

static enum status
iter_status(const struct engine_iter *iter, struct err *err)
{
	const struct faulty_iter *it = (const struct faulty_iter *)iter;

	if (it->failed != S_OK)
		return err_set(err, it->failed, "fault injected at an iterator's move");
	return engine_iter_status(it->inner, err);
}

static void
iter_free(struct engine_iter *iter)
{
	engine_iter_free(((struct faulty_iter *)iter)->inner);
	free(iter);
}

static const struct iter_ops faulty_iter_ops = {
    .first = iter_first,
    .last = iter_last,
    .seek = iter_seek,
    .seek_back = iter_seek_back,
    .next = iter_next,
    .prev = iter_prev,
    .status = iter_status,
    .free = iter_free,
};

static struct engine_iter *
faulty_iter_new(struct engine *e, const struct engine_snapshot *snapshot, enum engine_space space, struct slice from,
		struct slice to, unsigned flags)
{
	struct faulty_iter *it = engine_alloc(sizeof *it);

	it->iter.ops = &faulty_iter_ops;
	it->faulty = (struct faulty *)e;
	it->inner = engine_iter_new(inner_of(e), snapshot, space, from, to, flags);
	return &it->iter;
}

/* ---- whole ranges ---- */

static enum status
faulty_checkpoint(struct engine *e, const char *dir, struct err *err)
{
	enum status s = hit((struct faulty *)e, err);

	return s != S_OK ? s : engine_checkpoint(inner_of(e), dir, err);
}

static enum status
faulty_ingest(struct engine *e, enum engine_space space, const char *const *files, size_t count, struct err *err)
{
	enum status s = hit((struct faulty *)e, err);

	return s != S_OK ? s : engine_ingest(inner_of(e), space, files, count, err);
}

static enum status
faulty_drop(struct engine *e, enum engine_space space, struct slice from, struct slice to, struct err *err)
{
	enum status s = hit((struct faulty *)e, err);

	return s != S_OK ? s : engine_drop(inner_of(e), space, from, to, err);
}

static enum status
faulty_reclaim(struct engine *e, uint64_t min_bytes, bool *ret_more, struct err *err)
{
	return engine_reclaim(inner_of(e), min_bytes, ret_more, err);
}

static enum status
file_put(struct engine_sorted_file *f, struct slice key, struct slice value, struct err *err)
{
	struct faulty_file *file = (struct faulty_file *)f;
	enum status s = hit(file->faulty, err);

	return s != S_OK ? s : engine_sorted_file_put(file->inner, key, value, err);
}

static enum status
file_finish(struct engine_sorted_file *f, struct err *err)
{
	struct faulty_file *file = (struct faulty_file *)f;
	struct err failed;
	enum status s = hit(file->faulty, &failed);
	enum status inner = engine_sorted_file_finish(file->inner, err); /* frees, good or bad */

	free(file);
	return s != S_OK ? err_set(err, s, "%s", failed.message) : inner;
}

static const struct sorted_file_ops faulty_file_ops = {file_put, file_finish};

static enum status
faulty_sorted_file_open(struct engine *e, enum engine_space space, const char *path, struct engine_sorted_file **ret,
			struct err *err)
{
	struct faulty_file *file;
	struct engine_sorted_file *inner;
	enum status s = hit((struct faulty *)e, err);

	if (s == S_OK)
		s = engine_sorted_file_open(inner_of(e), space, path, &inner, err);
	if (s != S_OK)
		return s;
	file = engine_alloc(sizeof *file);
	file->file.ops = &faulty_file_ops;
	file->faulty = (struct faulty *)e;
	file->inner = inner;
	*ret = &file->file;
	return S_OK;
}

static uint64_t
faulty_approximate_bytes(struct engine *e, enum engine_space space, struct slice from, struct slice to)
{
	return engine_approximate_bytes(inner_of(e), space, from, to);
}

static void
faulty_write_metrics(struct engine *e, struct buf *out)
{
	inner_of(e)->ops->write_metrics(inner_of(e), out);
}

static void
faulty_close(struct engine *e)
{
	engine_close(inner_of(e));
	free(e);
}

static const struct engine_ops faulty_ops = {
    .close = faulty_close,
    .batch_new = faulty_batch_new,
    .apply = faulty_apply,
    .sync_to = faulty_sync_to,
    .hurry = faulty_hurry,
    .get = faulty_get,
    .value_done = faulty_value_done,
    .snapshot_new = faulty_snapshot_new,
    .snapshot_free = faulty_snapshot_free,
    .iter_new = faulty_iter_new,
    .checkpoint = faulty_checkpoint,
    .ingest = faulty_ingest,
    .drop = faulty_drop,
    .reclaim = faulty_reclaim,
    .sorted_file_open = faulty_sorted_file_open,
    .approximate_bytes = faulty_approximate_bytes,
    .write_metrics = faulty_write_metrics,
};

struct engine *
engine_faulty_new(struct engine *inner)
{
	struct faulty *f = engine_alloc(sizeof *f);

	f->engine.ops = &faulty_ops;
	f->engine.point = inner->point;
	f->inner = inner;
	return &f->engine;
}
