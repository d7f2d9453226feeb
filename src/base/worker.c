#include "base/worker.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct worker_pool {
	/* set by new, then constant */
	int thread_count;
	int queue_max;
	char name[16]; /* what the kernel shows; it keeps 15 characters */
	pthread_t *threads;
	/* guarded by lock */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct work *first;
	struct work **last; /* where the next one is hung */
	bool stopping;
	/* written under lock, read by anyone */
	atomic_int queued;
};

static void *
worker_main(void *data)
{
	struct worker_pool *pool = data;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct work *work = pool->first;

		if (work == NULL) {
			if (pool->stopping)
				break;
			pthread_cond_wait(&pool->wake, &pool->lock);
			continue;
		}
		pool->first = work->next;
		if (pool->first == NULL)
			pool->last = &pool->first;
		atomic_fetch_sub_explicit(&pool->queued, 1, memory_order_relaxed);
		pthread_mutex_unlock(&pool->lock);
		work->run(work); /* may free or submit itself again */
		pthread_mutex_lock(&pool->lock);
	}
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
	pool->last = &pool->first;
	snprintf(pool->name, sizeof pool->name, "%s", name);
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->wake, NULL);
	for (int i = 0; i < threads; i++) {
		if (pthread_create(&pool->threads[i], NULL, worker_main, pool) != 0) {
			worker_pool_free(pool);
			return NULL;
		}
		pool->thread_count++;
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
	for (int i = 0; i < pool->thread_count; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_mutex_destroy(&pool->lock);
	pthread_cond_destroy(&pool->wake);
	free(pool->threads);
	free(pool);
}

bool
worker_submit(struct worker_pool *pool, struct work *work)
{
	bool taken = false;

	pthread_mutex_lock(&pool->lock);
	if (atomic_load_explicit(&pool->queued, memory_order_relaxed) < pool->queue_max) {
		work->next = NULL;
		*pool->last = work;
		pool->last = &work->next;
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
