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
	struct partition *p = &core->partitions[partition_of(core, hash)];

	recent_raise(wait_seq, recent_load(recent_slot(p, hash), p), durable_before);
}

void
recent_read_index(struct table_core *core, struct index_core *x, uint64_t hash, uint64_t durable_before,
		  uint64_t *wait_seq)
{
	for (uint32_t i = 0; i < core->partition_count; i++)
		recent_raise(wait_seq, recent_load(recent_index_slot(x, i, hash), &core->partitions[i]),
			     durable_before);
}

void
recent_read_partitions(struct table_core *core, uint32_t first, uint32_t last, uint64_t durable_before,
		       uint64_t *wait_seq)
{
	for (uint32_t i = first; i <= last; i++)
		recent_raise(wait_seq, recent_load(&core->partitions[i].last, &core->partitions[i]), durable_before);
}
