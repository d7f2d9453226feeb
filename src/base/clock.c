#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic int64_t offset_us;

int64_t
clock_wall_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 +
	       atomic_load_explicit(&offset_us, memory_order_relaxed);
}

int64_t
clock_wall_ms(void)
{
	return clock_wall_us() / 1000;
}

int64_t
clock_wall_s(void)
{
	return clock_wall_us() / 1000000;
}

int64_t
clock_mono_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void
clock_shift_us(int64_t by)
{
	atomic_fetch_add(&offset_us, by);
}
