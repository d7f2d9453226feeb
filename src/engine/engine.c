#include "engine/engine_int.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

void *
engine_alloc(size_t size)
{
	void *p = calloc(1, size);

	if (p == NULL) {
		fprintf(stderr, "out of memory: the engine asked for %zu bytes\n", size);
		abort();
	}
	return p;
}

/* ---- the commit point ---- */

void
commit_init(struct commit_point *point)
{
	memset(point, 0, sizeof *point);
	pthread_mutex_init(&point->lock, NULL);
	pthread_cond_init(&point->moved, NULL);
}

void
commit_done(struct commit_point *point)
{
	pthread_cond_destroy(&point->moved);
	pthread_mutex_destroy(&point->lock);
}

static void
raise_to(_Atomic uint64_t *mark, uint64_t target)
{
	uint64_t now = atomic_load(mark);

	while (now < target && !atomic_compare_exchange_weak(mark, &now, target))
		;
}

void
commit_want(struct commit_point *point, uint64_t seq)
{
	raise_to(&point->wanted, seq);
}

static void
wake_waiters(struct commit_point *point)
{
	if (atomic_load(&point->waiters) == 0)
		return;
	pthread_mutex_lock(&point->lock);
	pthread_cond_broadcast(&point->moved);
	pthread_mutex_unlock(&point->lock);
}

static void
tell_listeners(struct commit_point *point)
{
	int count = atomic_load_explicit(&point->listener_count, memory_order_acquire);

	for (int i = 0; i < count; i++)
		point->listeners[i].call(point->listeners[i].context);
}

void
commit_durable_quietly(struct commit_point *point, uint64_t target)
{
	raise_to(&point->durable, target);
	wake_waiters(point);
}

void
commit_durable(struct commit_point *point, uint64_t target)
{
	commit_durable_quietly(point, target);
	tell_listeners(point);
}

static void
remember_lost(struct commit_point *point, struct lost_range range)
{
	struct lost_range *last = point->lost_count > 0 ? &point->lost[point->lost_count - 1] : NULL;

	if (last != NULL && last->after == range.after) { /* the same failure, told again with more */
		last->through = range.through;
		return;
	}
	if (point->lost_count == COMMIT_LOST_MAX) {
		point->lost[1].after = point->lost[0].after;
		memmove(&point->lost[0], &point->lost[1], (COMMIT_LOST_MAX - 1) * sizeof point->lost[0]);
		point->lost_count--;
	}
	point->lost[point->lost_count++] = range;
}

void
commit_failed(struct commit_point *point)
{
	struct lost_range range;

	pthread_mutex_lock(&point->lock);
	range.after = atomic_load(&point->durable);
	range.through = atomic_load(&point->applied);
	if (range.through > range.after) {
		remember_lost(point, range);
		raise_to(&point->failed_through, range.through);
	}
	pthread_mutex_unlock(&point->lock);
	wake_waiters(point);
	tell_listeners(point);
}

void
commit_recovered(struct commit_point *point)
{
	atomic_fetch_add(&point->reopened, 1);
	commit_durable(point, atomic_load(&point->applied));
}

enum status
commit_status(struct commit_point *point, uint64_t seq)
{
	uint64_t durable = atomic_load(&point->durable);
	enum status s = seq <= durable ? S_OK : S_WOULD_BLOCK;

	if (seq > atomic_load(&point->failed_through))
		return s;
	pthread_mutex_lock(&point->lock);
	for (int i = point->lost_count - 1; i >= 0 && seq <= point->lost[i].through; i--) {
		if (seq > point->lost[i].after)
			s = S_IO;
	}
	pthread_mutex_unlock(&point->lock);
	return s;
}

enum status
commit_wait(struct commit_point *point, uint64_t seq, struct err *err)
{
	enum status s;

	while ((s = commit_status(point, seq)) == S_WOULD_BLOCK) {
		pthread_mutex_lock(&point->lock);
		atomic_fetch_add(&point->waiters, 1);
		/* counted before looked again: whoever moves the marks after this look sees the waiter */
		if (seq > atomic_load(&point->durable) && seq > atomic_load(&point->failed_through))
			pthread_cond_wait(&point->moved, &point->lock);
		atomic_fetch_sub(&point->waiters, 1);
		pthread_mutex_unlock(&point->lock);
	}
	if (s != S_OK)
		return err_set(err, s, "the write was lost: its log could not be written to the disk");
	return S_OK;
}

/* ---- the contract ---- */

uint64_t
engine_reopened(struct engine *e)
{
	return atomic_load(&e->point->reopened);
}

void
engine_close(struct engine *e)
{
	if (e != NULL)
		e->ops->close(e);
}

struct engine_batch *
engine_batch_new(struct engine *e)
{
	struct engine_batch *b = e->ops->batch_new(e);

	b->point = e->point;
	b->reopened = atomic_load(&e->point->reopened);
	return b;
}

void
engine_batch_clear(struct engine_batch *b)
{
	b->ops->clear(b);
	b->reopened = atomic_load(&b->point->reopened);
	b->unhurried = false;
}

void
engine_batch_free(struct engine_batch *b)
{
	if (b != NULL)
		b->ops->free(b);
}

void
engine_batch_put(struct engine_batch *b, enum engine_space space, struct slice key, struct slice value)
{
	b->ops->put(b, space, key, value);
}

void
engine_batch_delete(struct engine_batch *b, enum engine_space space, struct slice key)
{
	b->ops->delete (b, space, key);
}

void
engine_batch_delete_range(struct engine_batch *b, enum engine_space space, struct slice from, struct slice to)
{
	b->ops->delete_range(b, space, from, to);
}

void
engine_batch_unhurried(struct engine_batch *b)
{
	b->unhurried = true;
}

enum status
engine_apply(struct engine *e, struct engine_batch *b, uint64_t *ret_seq, struct err *err)
{
	return e->ops->apply(e, b, ret_seq, err);
}

uint64_t
engine_applied(struct engine *e)
{
	return atomic_load(&e->point->applied);
}

uint64_t
engine_durable(struct engine *e)
{
	return atomic_load(&e->point->durable);
}

uint64_t
engine_failed_through(struct engine *e)
{
	return atomic_load(&e->point->failed_through);
}

enum status
engine_wait_status(struct engine *e, uint64_t seq)
{
	enum status s = commit_status(e->point, seq);

	if (s == S_WOULD_BLOCK && e->ops->hurry != NULL && seq > atomic_load(&e->point->wanted))
		e->ops->hurry(e, seq);
	return s;
}

void
engine_on_sync(struct engine *e, void (*listener)(void *context), void *context)
{
	struct commit_point *point = e->point;
	int count;

	pthread_mutex_lock(&point->lock);
	count = atomic_load(&point->listener_count);
	assert(count < COMMIT_LISTENERS_MAX);
	point->listeners[count].call = listener;
	point->listeners[count].context = context;
	atomic_store_explicit(&point->listener_count, count + 1, memory_order_release);
	pthread_mutex_unlock(&point->lock);
}

enum status
engine_sync_to(struct engine *e, uint64_t seq, struct err *err)
{
	return e->ops->sync_to(e, seq, err);
}

void
engine_value_done(struct engine_value *v)
{
	if (v->pin != NULL)
		v->engine->ops->value_done(v);
	*v = (struct engine_value){0};
}

enum status
engine_get(struct engine *e, const struct engine_snapshot *snapshot, enum engine_space space, struct slice key,
	   unsigned flags, struct engine_value *ret, struct err *err)
{
	*ret = (struct engine_value){0};
	return e->ops->get(e, snapshot, space, key, flags, ret, err);
}

struct engine_snapshot *
engine_snapshot_new(struct engine *e)
{
	return e->ops->snapshot_new(e);
}

void
engine_snapshot_free(struct engine *e, struct engine_snapshot *s)
{
	if (s != NULL)
		e->ops->snapshot_free(e, s);
}

struct engine_iter *
engine_iter_new(struct engine *e, const struct engine_snapshot *snapshot, enum engine_space space, struct slice from,
		struct slice to, unsigned flags)
{
	return e->ops->iter_new(e, snapshot, space, from, to, flags);
}

void
engine_iter_first(struct engine_iter *it)
{
	it->ops->first(it);
}

void
engine_iter_last(struct engine_iter *it)
{
	it->ops->last(it);
}

void
engine_iter_seek(struct engine_iter *it, struct slice key)
{
	it->ops->seek(it, key);
}

void
engine_iter_seek_back(struct engine_iter *it, struct slice key)
{
	it->ops->seek_back(it, key);
}

void
engine_iter_next(struct engine_iter *it)
{
	assert(it->valid);
	it->ops->next(it);
}

void
engine_iter_prev(struct engine_iter *it)
{
	assert(it->valid);
	it->ops->prev(it);
}

bool
engine_iter_valid(const struct engine_iter *it)
{
	return it->valid;
}

struct slice
engine_iter_key(const struct engine_iter *it)
{
	return it->key;
}

struct slice
engine_iter_value(const struct engine_iter *it)
{
	return it->value;
}

enum status
engine_iter_status(const struct engine_iter *it, struct err *err)
{
	return it->valid ? S_OK : it->ops->status(it, err);
}

void
engine_iter_free(struct engine_iter *it)
{
	if (it != NULL)
		it->ops->free(it);
}

enum status
engine_checkpoint(struct engine *e, const char *dir, struct err *err)
{
	return e->ops->checkpoint(e, dir, err);
}

enum status
engine_ingest(struct engine *e, enum engine_space space, const char *const *files, size_t count, struct err *err)
{
	return e->ops->ingest(e, space, files, count, err);
}

enum status
engine_drop(struct engine *e, enum engine_space space, struct slice from, struct slice to, struct err *err)
{
	return e->ops->drop(e, space, from, to, err);
}

enum status
engine_reclaim(struct engine *e, uint64_t min_bytes, bool *ret_more, struct err *err)
{
	*ret_more = false;
	return e->ops->reclaim != NULL ? e->ops->reclaim(e, min_bytes, ret_more, err) : S_OK;
}

enum status
engine_sorted_file_open(struct engine *e, enum engine_space space, const char *path, struct engine_sorted_file **ret,
			struct err *err)
{
	*ret = NULL;
	return e->ops->sorted_file_open(e, space, path, ret, err);
}

enum status
engine_sorted_file_put(struct engine_sorted_file *f, struct slice key, struct slice value, struct err *err)
{
	return f->ops->put(f, key, value, err);
}

enum status
engine_sorted_file_finish(struct engine_sorted_file *f, struct err *err)
{
	return f->ops->finish(f, err);
}

uint64_t
engine_approximate_bytes(struct engine *e, enum engine_space space, struct slice from, struct slice to)
{
	return e->ops->approximate_bytes(e, space, from, to);
}

void
engine_write_metrics(struct engine *e, struct buf *out)
{
	static const struct {
		const char *name, *type, *help;
		size_t offset;
	} rows[] = {
	    {"applied", "counter", "Batches applied", offsetof(struct commit_point, applied)},
	    {"durable", "counter", "Batches that survive a crash", offsetof(struct commit_point, durable)},
	    {"failed_through", "gauge", "Last batch lost by a failed sync, 0 when none was",
	     offsetof(struct commit_point, failed_through)},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		engine_metric(out, rows[i].name, rows[i].type, rows[i].help,
			      (double)atomic_load((_Atomic uint64_t *)((char *)e->point + rows[i].offset)));
	e->ops->write_metrics(e, out);
}

void
engine_metric(struct buf *out, const char *name, const char *type, const char *help, double value)
{
	buf_printf(out, "# HELP stator_engine_%s %s.\n# TYPE stator_engine_%s %s\nstator_engine_%s %.17g\n", name, help,
		   name, type, name, value);
}
