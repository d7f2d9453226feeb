/*
 * Numbers as keys are asked for in life: some all the time, most hardly ever. Number r (from 0) comes up in proportion
 * to 1 / (r + 1)^0.99, the constant that YCSB made customary.
 */
#ifndef STATOR_BENCH_ZIPF_H
#define STATOR_BENCH_ZIPF_H

#include <stdint.h>

struct zipf {
	uint64_t count;
	double sum; /* of all the proportions */
	double first_two;
	double power, scale;
};

/* Of `count` numbers, at least 1. Takes time in proportion to that. */
void zipf_init(struct zipf *z, uint64_t count);
/* One of them, by 64 random bits. */
uint64_t zipf_pick(const struct zipf *z, uint64_t random);

#endif
