/*
 * The distribution's inverse is known exactly for the first two numbers and by a power law for the rest: J. Gray et
 * al., "Quickly generating billion-record synthetic databases", SIGMOD 1994.
 */
#include "bench/zipf.h"

#include <math.h>

#define THETA 0.99

void
zipf_init(struct zipf *z, uint64_t count)
{
	*z = (struct zipf){.count = count, .power = 1 / (1 - THETA), .first_two = 1 + pow(0.5, THETA)};
	for (uint64_t i = count; i > 0; i--) /* the small ones first, for the sum's exactness */
		z->sum += pow((double)i, -THETA);
	if (count > 2)
		z->scale = (1 - pow(2.0 / (double)count, 1 - THETA)) / (1 - z->first_two / z->sum);
}

uint64_t
zipf_pick(const struct zipf *z, uint64_t random)
{
	double at = (double)(random >> 11) * 0x1p-53; /* 0 <= at < 1 */
	double part = at * z->sum;
	uint64_t number;

	if (part < 1 || z->count < 2)
		return 0;
	if (part < z->first_two || z->count < 3)
		return 1;
	number = (uint64_t)((double)z->count * pow(z->scale * at - z->scale + 1, z->power));
	return number < z->count ? number : z->count - 1;
}
