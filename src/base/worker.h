/*
 * A fixed pool of threads for work that may block: cold reads, long scans,
 * background jobs. The queue is bounded; a full queue says so and the caller
 * answers with a throttling error instead of waiting.
 */
#ifndef STATOR_BASE_WORKER_H
#define STATOR_BASE_WORKER_H

#include <stdbool.h>

struct worker_pool;

/* A job embeds this; the pool allocates nothing. */
struct work {
	struct work *next;
	void (*run)(struct work *work);
};

/* NULL when the system gives no threads. */
struct worker_pool *worker_pool_new(const char *name, int threads, int queue_max);
/* Finishes what is queued, then joins; takes NULL. Nobody submits any more by then. */
void worker_pool_free(struct worker_pool *pool);
/* False when the queue is full; the work was then not taken. */
bool worker_submit(struct worker_pool *pool, struct work *work);
int worker_queued(const struct worker_pool *pool);

#endif
