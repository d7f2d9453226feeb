#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define RUNNING INT64_MIN

/*
 * A clock that can be moved and stopped: the system's plus an offset, or a fixed time. Readers take `stopped` first:
 * who finds it RUNNING after it was stopped sees the offset that was stored before.
 */
struct moved {
	_Atomic int64_t stopped;
	_Atomic int64_t offset;
};

static struct moved wall_us = {RUNNING, 0};
static struct moved passed_ns = {RUNNING, 0};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* one change at a time */

static int64_t
moved_now(const struct moved *m, int64_t (*system_now)(void))
{
	int64_t stopped = atomic_load_explicit(&m->stopped, memory_order_acquire);

	return stopped != RUNNING ? stopped : system_now() + atomic_load_explicit(&m->offset, memory_order_relaxed);
}

static void
moved_shift(struct moved *m, int64_t by)
{
	if (atomic_load(&m->stopped) != RUNNING)
		atomic_fetch_add(&m->stopped, by);
	else
		atomic_fetch_add(&m->offset, by);
}

static void
moved_freeze(struct moved *m, int64_t (*system_now)(void), bool frozen)
{
	bool is_frozen = atomic_load(&m->stopped) != RUNNING;

	if (frozen && !is_frozen) {
		atomic_store(&m->stopped, moved_now(m, system_now));
	} else if (!frozen && is_frozen) {
		atomic_store(&m->offset, atomic_load(&m->stopped) - system_now());
		atomic_store(&m->stopped, RUNNING);
	}
}

int64_t
clock_real_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t
clock_real_ms(void)
{
	return clock_real_us() / 1000;
}

int64_t
clock_real_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now); /* a tick of the kernel late at most, and asked for each request */
	return now.tv_sec;
}

int64_t
clock_wall_us(void)
{
	return moved_now(&wall_us, clock_real_us);
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

int64_t
clock_passed_ns(void)
{
	return moved_now(&passed_ns, clock_mono_ns);
}

/* ---- commands ---- */

/* The caller holds the lock. */
static void
shift_locked(int64_t by)
{
	int64_t now = clock_wall_us();

	if (by > 0 && by > CLOCK_MAX_US - now)
		by = CLOCK_MAX_US > now ? CLOCK_MAX_US - now : 0;
	else if (by < 0 && by < -now)
		by = now > 0 ? -now : 0;
	moved_shift(&wall_us, by);
	/* 8,000 years are more ns than there is room for */
	if (by > 0 && by < INT64_MAX / 2000 - clock_passed_ns() / 1000)
		moved_shift(&passed_ns, by * 1000);
}

void
clock_shift_us(int64_t by)
{
	pthread_mutex_lock(&lock);
	shift_locked(by);
	pthread_mutex_unlock(&lock);
}

void
clock_set_us(int64_t to)
{
	pthread_mutex_lock(&lock);
	shift_locked((to < 0 ? 0 : to > CLOCK_MAX_US ? CLOCK_MAX_US : to) - clock_wall_us());
	pthread_mutex_unlock(&lock);
}

void
clock_freeze(bool frozen)
{
	pthread_mutex_lock(&lock);
	moved_freeze(&wall_us, clock_real_us, frozen);
	moved_freeze(&passed_ns, clock_mono_ns, frozen);
	pthread_mutex_unlock(&lock);
}

void
clock_reset(void)
{
	pthread_mutex_lock(&lock);
	atomic_store(&wall_us.offset, 0);
	atomic_store(&wall_us.stopped, RUNNING);
	moved_freeze(&passed_ns, clock_mono_ns, false); /* what has passed has passed */
	pthread_mutex_unlock(&lock);
}

bool
clock_is_frozen(void)
{
	return atomic_load(&wall_us.stopped) != RUNNING;
}
