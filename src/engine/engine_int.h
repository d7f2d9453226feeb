/*
 * What the engines share and nobody above sees: the tables of functions behind the contract, and the commit point.
 *
 * An engine embeds `struct engine` as its first member, likewise its batch, iterator and sorted file. A wrapper
 * (faulty) points at the commit point of the engine it wraps, so that waiting never goes through a call.
 */
#ifndef STATOR_ENGINE_INT_H
#define STATOR_ENGINE_INT_H

#include "engine/engine.h"

#include <pthread.h>
#include <stdatomic.h>

#define COMMIT_LISTENERS_MAX 64
#define COMMIT_LOST_MAX      64

/* Places > after and <= through were applied and then lost. */
struct lost_range {
	uint64_t after;
	uint64_t through;
};

/*
 * How far writes are applied, durable, lost. `applied` and `wanted` belong to the writers, `durable` to the syncing
 * thread: cache lines of their own. A reader loads durable before failed_through; a failure publishes them in the
 * opposite order.
 */
struct commit_point {
	_Alignas(64) _Atomic uint64_t applied;
	_Atomic uint64_t wanted; /* somebody waits for what is up to here, or may; what is behind it has time */
	_Alignas(64) _Atomic uint64_t durable;
	_Atomic uint64_t failed_through;
	_Atomic uint64_t reopened; /* times that applied writes were taken back */
	atomic_int waiters;        /* threads inside commit_wait() */
	atomic_int listener_count;
	pthread_mutex_t lock;
	pthread_cond_t moved; /* durable or failed_through rose */
	struct {
		void (*call)(void *context);
		void *context;
	} listeners[COMMIT_LISTENERS_MAX];
	/* guarded by lock; oldest first; when full the two oldest become one, which may only call too much lost */
	struct lost_range lost[COMMIT_LOST_MAX];
	int lost_count;
};

void commit_init(struct commit_point *point);
void commit_done(struct commit_point *point);

/* The place of a write that is in the log's buffer (or wherever the next sync finds it) already. */
static inline uint64_t
commit_applied(struct commit_point *point)
{
	return atomic_fetch_add(&point->applied, 1) + 1;
}

void commit_want(struct commit_point *point, uint64_t seq);
/* Everything up to target is durable: wake those who wait. Never moves back. */
void commit_durable(struct commit_point *point, uint64_t target);
/* The same without the listeners: for engines where applied is durable. */
void commit_durable_quietly(struct commit_point *point, uint64_t target);
/* All that is applied and not durable is lost. */
void commit_failed(struct commit_point *point);
/* After a failure: what is left is durable. Places given out since the last commit_failed() must not exist. */
void commit_recovered(struct commit_point *point);
enum status commit_status(struct commit_point *point, uint64_t seq);
enum status commit_wait(struct commit_point *point, uint64_t seq, struct err *err);

struct engine_ops {
	void (*close)(struct engine *e);
	struct engine_batch *(*batch_new)(struct engine *e);
	enum status (*apply)(struct engine *e, struct engine_batch *b, uint64_t *ret_seq, struct err *err);
	enum status (*sync_to)(struct engine *e, uint64_t seq, struct err *err);
	void (*hurry)(struct engine *e, uint64_t seq); /* somebody waits for it; NULL: nothing ever waits for others */
	enum status (*get)(struct engine *e, const struct engine_snapshot *snapshot, enum engine_space space,
			   struct slice key, unsigned flags, struct engine_value *ret, struct err *err);
	void (*value_done)(struct engine_value *v); /* called when v->pin is not NULL */
	struct engine_snapshot *(*snapshot_new)(struct engine *e);
	void (*snapshot_free)(struct engine *e, struct engine_snapshot *s);
	struct engine_iter *(*iter_new)(struct engine *e, const struct engine_snapshot *snapshot,
					enum engine_space space, struct slice from, struct slice to, unsigned flags);
	enum status (*checkpoint)(struct engine *e, const char *dir, struct err *err);
	enum status (*ingest)(struct engine *e, enum engine_space space, const char *const *files, size_t count,
			      struct err *err);
	enum status (*drop)(struct engine *e, enum engine_space space, struct slice from, struct slice to,
			    struct err *err);
	enum status (*reclaim)(struct engine *e, uint64_t min_bytes, bool *ret_more, struct err *err); /* NULL: none */
	enum status (*sorted_file_open)(struct engine *e, enum engine_space space, const char *path,
					struct engine_sorted_file **ret, struct err *err);
	uint64_t (*approximate_bytes)(struct engine *e, enum engine_space space, struct slice from, struct slice to);
	void (*write_metrics)(struct engine *e, struct buf *out);
};

struct engine {
	const struct engine_ops *ops;
	struct commit_point *point;
};

struct batch_ops {
	void (*clear)(struct engine_batch *b);
	void (*free)(struct engine_batch *b);
	void (*put)(struct engine_batch *b, enum engine_space space, struct slice key, struct slice value);
	void (*delete)(struct engine_batch *b, enum engine_space space, struct slice key);
	void (*delete_range)(struct engine_batch *b, enum engine_space space, struct slice from, struct slice to);
};

struct engine_batch {
	const struct batch_ops *ops;
	struct commit_point *point;
	uint64_t reopened; /* of the point, when the batch was made or cleared */
	bool unhurried;
};

/* What the batch's writer may have read since was taken back: it must not be applied. Ask where no reopening can come
 * between. */
static inline bool
batch_is_stale(const struct engine_batch *b)
{
	return b->reopened != atomic_load(&b->point->reopened);
}

struct iter_ops {
	void (*first)(struct engine_iter *it);
	void (*last)(struct engine_iter *it);
	void (*seek)(struct engine_iter *it, struct slice key);
	void (*seek_back)(struct engine_iter *it, struct slice key);
	void (*next)(struct engine_iter *it); /* called only while valid */
	void (*prev)(struct engine_iter *it);
	enum status (*status)(const struct engine_iter *it, struct err *err);
	void (*free)(struct engine_iter *it);
};

/* Each move leaves its result here, so that looking at it is no call. */
struct engine_iter {
	const struct iter_ops *ops;
	struct slice key;
	struct slice value;
	bool valid;
};

struct sorted_file_ops {
	enum status (*put)(struct engine_sorted_file *f, struct slice key, struct slice value, struct err *err);
	enum status (*finish)(struct engine_sorted_file *f, struct err *err);
};

struct engine_sorted_file {
	const struct sorted_file_ops *ops;
};

/* Zeroed; ends the process with a line when there is no memory (base/arena.h says why). */
void *engine_alloc(size_t size);
/* One figure with its HELP and TYPE lines; the name without the prefix stator_engine_. */
void engine_metric(struct buf *out, const char *name, const char *type, const char *help, double value);

#endif
