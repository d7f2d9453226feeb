#include "table/recent.h"

#define SPINS 64 /* an apply takes microseconds; longer means the writer lost its processor */

uint64_t
recent_wait_for(_Atomic uint64_t *slot, struct partition *p)
{
	uint64_t seq;

	for (int i = 0; i < SPINS; i++) {
#if defined(__x86_64__) || defined(__i386__)
		__builtin_ia32_pause();
#endif
		seq = atomic_load_explicit(slot, memory_order_acquire);
		if (seq != RECENT_BUSY)
			return seq;
	}
	pthread_mutex_lock(&p->lock);
	seq = atomic_load_explicit(slot, memory_order_relaxed);
	pthread_mutex_unlock(&p->lock);
	return seq;
}

void
recent_read_collection(struct table_core *core, uint64_t hash, uint64_t durable_before, uint64_t *wait_seq)
{
	struct partition *p = partition_of(core, hash);

	recent_raise(wait_seq, recent_load(recent_slot(p, hash), p), durable_before);
}

void
recent_read_index(struct table_core *core, struct index_core *x, uint64_t hash, uint64_t durable_before,
		  uint64_t *wait_seq)
{
	const struct layout *l = layout_of(core);

	for (uint32_t i = 0; i < l->count; i++)
		recent_raise(wait_seq, recent_load(recent_index_slot(x, i, hash), l->by_id[i]), durable_before);
}

void
recent_read_range(struct table_core *core, uint64_t first, uint64_t last, uint64_t durable_before, uint64_t *wait_seq)
{
	const struct layout *l = layout_of(core);

	for (uint32_t i = 0; i < l->count && l->ranges[i].first <= last; i++) {
		struct partition *p = l->ranges[i].partition;

		if (i + 1 == l->count || l->ranges[i + 1].first > first)
			recent_raise(wait_seq, recent_load(&p->last, p), durable_before);
	}
}
