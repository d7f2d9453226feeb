#include "base/worker.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/thread.h"

struct worker_pool {
	/* set by new, then constant */
	int thread_count, started;
	int queue_max;
	char name[16]; /* what the kernel shows; it keeps 15 characters */
	pthread_t *threads;
	/* guarded by lock */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct fair *brief, *lengthy;
	int lengthy_running;
	bool stopping;
	/* written under lock, read by anyone */
	atomic_int queued;
};

/* The next to run and where it was queued; NULL: none may run now. */
static struct work *
take(struct worker_pool *pool, struct fair **ret_from)
{
	int most = pool->thread_count - (pool->thread_count + 3) / 4; /* long ones at once */
	struct loop_job *j = NULL;

	if (most < 1)
		most = 1;
	/* one long one goes on always, or a stream of short ones would keep all of them waiting */
	if (pool->lengthy_running == 0 || !fair_any(pool->brief)) {
		*ret_from = pool->lengthy;
		if (pool->lengthy_running < most)
			j = fair_next(pool->lengthy);
	}
	if (j == NULL) {
		*ret_from = pool->brief;
		j = fair_next(pool->brief);
	}
	return (struct work *)j;
}

static void *
worker_main(void *data)
{
	struct worker_pool *pool = data;

	thread_be_polite();
	pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct fair *from;
		struct work *work = take(pool, &from);
		bool lengthy = from == pool->lengthy;
		struct job_flow flow;
		int64_t began_ns;

		if (work == NULL) {
			if (pool->stopping && atomic_load_explicit(&pool->queued, memory_order_relaxed) == 0)
				break;
			pthread_cond_wait(&pool->wake, &pool->lock);
			continue;
		}
		flow = work->flow;
		pool->lengthy_running += lengthy;
		atomic_fetch_sub_explicit(&pool->queued, 1, memory_order_relaxed);
		pthread_mutex_unlock(&pool->lock);
		began_ns = clock_mono_ns();
		work->run(work); /* may free or submit itself again */
		thread_breathe();
		began_ns = clock_mono_ns() - began_ns;
		pthread_mutex_lock(&pool->lock);
		pool->lengthy_running -= lengthy;
		fair_charge(from, flow, began_ns);
		if (lengthy && fair_any(pool->lengthy))
			pthread_cond_signal(&pool->wake); /* who had to leave long ones may take one now */
	}
	pthread_cond_broadcast(&pool->wake); /* the others may end, too */
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

struct worker_pool *
worker_pool_new(const char *name, int threads, int queue_max)
{
	struct worker_pool *pool = calloc(1, sizeof *pool);

	assert(threads > 0 && queue_max > 0);
	if (pool == NULL || (pool->threads = calloc((size_t)threads, sizeof *pool->threads)) == NULL) {
		fprintf(stderr, "out of memory: worker pool %s\n", name);
		abort();
	}
	pool->queue_max = queue_max;
	pool->brief = fair_new();
	pool->lengthy = fair_new();
	snprintf(pool->name, sizeof pool->name, "%s", name);
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->wake, NULL);
	pool->thread_count = threads;
	for (int i = 0; i < threads; i++) {
		if (pthread_create(&pool->threads[i], NULL, worker_main, pool) != 0) {
			worker_pool_free(pool);
			return NULL;
		}
		pool->started++;
		pthread_setname_np(pool->threads[i], pool->name);
	}
	return pool;
}

void
worker_pool_free(struct worker_pool *pool)
{
	if (pool == NULL)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->stopping = true;
	pthread_cond_broadcast(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
	for (int i = 0; i < pool->started; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_mutex_destroy(&pool->lock);
	pthread_cond_destroy(&pool->wake);
	free(pool->threads);
	fair_free(pool->brief);
	fair_free(pool->lengthy);
	free(pool);
}

static bool
has_room(const struct worker_pool *pool, const struct work *work)
{
	int left = pool->queue_max - atomic_load_explicit(&pool->queued, memory_order_relaxed);
	uint32_t tenant = work->flow.tenant;

	if (tenant == 0)
		return left > 0;
	return fair_count(pool->brief, tenant) + fair_count(pool->lengthy, tenant) < left;
}

bool
worker_submit(struct worker_pool *pool, struct work *work)
{
	bool taken = false;

	pthread_mutex_lock(&pool->lock);
	if (has_room(pool, work)) {
		work->job = (struct loop_job){.flow = work->flow};
		/* a thread that is alone takes all in turn */
		fair_add(work->lengthy && pool->thread_count > 1 ? pool->lengthy : pool->brief, &work->job);
		atomic_fetch_add_explicit(&pool->queued, 1, memory_order_relaxed);
		pthread_cond_signal(&pool->wake);
		taken = true;
	}
	pthread_mutex_unlock(&pool->lock);
	return taken;
}

int
worker_queued(const struct worker_pool *pool)
{
	return atomic_load_explicit(&pool->queued, memory_order_relaxed);
}
