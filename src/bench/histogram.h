/*
 * Latencies in log-spaced buckets: 64 for each power of two, so a value is known to 1.6 %. One thread records, any
 * thread may take a copy; the difference of two copies is what happened between them.
 */
#ifndef STATOR_BENCH_HISTOGRAM_H
#define STATOR_BENCH_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#define HISTOGRAM_SUB_BITS 6
#define HISTOGRAM_BUCKETS  ((64 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
	_Atomic uint64_t counts[HISTOGRAM_BUCKETS];
	_Atomic uint64_t sum_ns;
};

/* A copy, or a sum or difference of copies. */
struct histogram_view {
	uint64_t counts[HISTOGRAM_BUCKETS];
	uint64_t sum_ns;
	uint64_t total;
};

void histogram_record(struct histogram *h, uint64_t ns);
void histogram_add(struct histogram_view *to, const struct histogram *h);
void histogram_subtract(struct histogram_view *from, const struct histogram_view *earlier);
uint64_t histogram_at(const struct histogram_view *v, double quantile); /* ns; 0 when empty; 1.0: the largest */

#endif
