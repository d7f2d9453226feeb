/*
 * A fixed pool of threads for work that may block: cold reads, long scans,
 * background jobs. The queue is bounded; a full queue says so and the caller
 * answers with a throttling error instead of waiting.
 *
 * Who has work queued takes turns by base/fair.h, counted in the time that it
 * took. One tenant may queue at most as much as is still free, so that the
 * first has half of the room at most and the next one always finds some. Work
 * that says it is long never has all the threads: one of four (of a pool with
 * more than one) is left for the rest.
 */
#ifndef STATOR_BASE_WORKER_H
#define STATOR_BASE_WORKER_H

#include "base/fair.h"

struct worker_pool;

/* A job embeds this; the pool allocates nothing. */
struct work {
	struct loop_job job; /* the pool's */
	void (*run)(struct work *work);
	struct job_flow flow; /* whose it is; tenant 0: nobody's, it may fill the queue */
	bool lengthy;
};

/* NULL when the system gives no threads. */
struct worker_pool *worker_pool_new(const char *name, int threads, int queue_max);
/* Finishes what is queued, then joins; takes NULL. Nobody submits any more by then. */
void worker_pool_free(struct worker_pool *pool);
/* False when the queue is full, for its tenant at least; the work was then not taken. */
bool worker_submit(struct worker_pool *pool, struct work *work);
int worker_queued(const struct worker_pool *pool);

#endif
