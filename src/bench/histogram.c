#include "bench/histogram.h"

#define SUB_COUNT (1u << HISTOGRAM_SUB_BITS)

static unsigned
bucket_of(uint64_t ns)
{
	unsigned shift;

	if (ns < SUB_COUNT)
		return (unsigned)ns;
	shift = 63 - (unsigned)__builtin_clzll(ns) - HISTOGRAM_SUB_BITS;
	return ((shift + 1) << HISTOGRAM_SUB_BITS) + (unsigned)(ns >> shift) - SUB_COUNT;
}

/* The middle of a bucket. */
static uint64_t
value_of(unsigned bucket)
{
	unsigned shift;
	uint64_t low;

	if (bucket < SUB_COUNT)
		return bucket;
	shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
	low = (uint64_t)(SUB_COUNT + (bucket & (SUB_COUNT - 1))) << shift;
	return low + ((UINT64_C(1) << shift) >> 1);
}

/* One writer only, so a load and a store do; no locked instruction. */
static void
add(_Atomic uint64_t *counter, uint64_t by)
{
	uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, now + by, memory_order_relaxed);
}

void
histogram_record(struct histogram *h, uint64_t ns)
{
	add(&h->counts[bucket_of(ns)], 1);
	add(&h->sum_ns, ns);
}

void
histogram_add(struct histogram_view *to, const struct histogram *h)
{
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t count = atomic_load_explicit(&h->counts[i], memory_order_relaxed);

		to->counts[i] += count;
		to->total += count;
	}
	to->sum_ns += atomic_load_explicit(&h->sum_ns, memory_order_relaxed);
}

void
histogram_subtract(struct histogram_view *from, const struct histogram_view *earlier)
{
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		from->counts[i] -= earlier->counts[i];
	from->sum_ns -= earlier->sum_ns;
	from->total -= earlier->total;
}

uint64_t
histogram_at(const struct histogram_view *v, double quantile)
{
	uint64_t rank = (uint64_t)(quantile * (double)v->total + 0.5), seen = 0;

	if (v->total == 0)
		return 0;
	if (rank < 1)
		rank = 1;
	if (rank > v->total)
		rank = v->total;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += v->counts[i];
		if (seen >= rank)
			return value_of(i);
	}
	return 0;
}
