#include "io/loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"

#define EVENTS_MAX 256
#define HOOKS_MAX  8
#define TICK_NS    4000000 /* 4 ms: with epoll's rounding a timer is at most 10 ms late */
#define SLOTS      1024    /* a revolution of 4 s; timers due later stay in their slot for more rounds */

/*
 * To sleep and to be woken costs a thread tens of microseconds of its processor, and who waits for it as much time. So
 * a loop whose waits have been short stays awake for about as long as that, asking again and again, before it sleeps:
 * at worst it takes twice the processor time of sleeping at once, and a loop that is idle, or has an event now and
 * then, never does.
 */
#define AWAKE_NS    50000
#define SHORT_NS    100000 /* a short wait, being woken included */
#define SHORT_WAITS 8      /* in a row, before it stays awake */
/* Staying awake took far longer: somebody else needs the processor. So many short waits until it is tried again. */
#define LOST_NS    200000
#define LOST_WAITS 1000

struct hook {
	void (*run)(struct loop *l, void *context);
	void *context;
};

struct loop {
	int index;
	int epoll_fd;
	int wake_fd; /* edge-triggered, so it is written and never read */
	int64_t now_ns;

	/* any thread */
	_Atomic(struct loop_task *) tasks; /* newest first */
	atomic_bool asleep;                /* only then a post must write to wake_fd */
	atomic_bool stop;

	/* the loop's thread */
	struct hook hooks[HOOKS_MAX], flushes[HOOKS_MAX];
	int hook_count, flush_count;
	struct fair *jobs;
	struct epoll_event events[EVENTS_MAX];
	int event_next, event_count; /* those of this turn not yet handled: loop_remove() takes out its own */
	int short_waits;             /* in a row; below 0: it has lost its processor while it stayed awake */
	int64_t tick;                /* slots up to this one are handled */
	int timer_count;
	uint64_t occupied[SLOTS / 64];  /* a set bit may be stale, a clear one is not */
	struct loop_timer slots[SLOTS]; /* heads of rings */
};

static _Thread_local struct loop *current;

enum status
loop_new(int index, struct loop **ret, struct err *err)
{
	struct loop *l = calloc(1, sizeof *l);
	struct epoll_event wake = {.events = EPOLLIN | EPOLLET};

	*ret = NULL;
	if (l == NULL)
		return err_set(err, S_IO, "out of memory");
	l->index = index;
	l->jobs = fair_new();
	l->wake_fd = -1;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd >= 0)
		l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake_fd < 0 || epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->wake_fd, &wake) != 0) {
		enum status s = err_set(err, S_IO, "cannot make an event loop: %s", strerror(errno));

		loop_free(l);
		return s;
	}
	l->now_ns = clock_mono_ns();
	l->tick = l->now_ns / TICK_NS;
	for (int i = 0; i < SLOTS; i++)
		l->slots[i].next = l->slots[i].prev = &l->slots[i];
	*ret = l;
	return S_OK;
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	if (l->wake_fd >= 0)
		close(l->wake_fd);
	if (l->epoll_fd >= 0)
		close(l->epoll_fd);
	fair_free(l->jobs);
	free(l);
}

int
loop_index(const struct loop *l)
{
	return l->index;
}

struct loop *
loop_current(void)
{
	return current;
}

int64_t
loop_now_ns(const struct loop *l)
{
	return l->now_ns;
}

/* --- file descriptors --- */

enum status
loop_add(struct loop *l, struct loop_fd *f, uint32_t events, struct err *err)
{
	struct epoll_event event = {.events = events, .data.ptr = f};

	f->events = events;
	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, f->fd, &event) != 0)
		return err_set(err, S_IO, "epoll does not take a descriptor: %s", strerror(errno));
	return S_OK;
}

void
loop_change(struct loop *l, struct loop_fd *f, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = f};

	if (f->events == events)
		return;
	f->events = events;
	(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, f->fd, &event);
}

void
loop_remove(struct loop *l, struct loop_fd *f)
{
	(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, f->fd, NULL);
	/* its owner may free it now: no event of this turn may reach it any more */
	for (int i = l->event_next; i < l->event_count; i++)
		if (l->events[i].data.ptr == f)
			l->events[i].data.ptr = NULL;
}

/* --- timers: a wheel of slots --- */

static void
timer_unlink(struct loop_timer *t)
{
	t->prev->next = t->next;
	t->next->prev = t->prev;
	t->next = t->prev = NULL;
}

static void
timer_link(struct loop_timer *head, struct loop_timer *t)
{
	t->next = head;
	t->prev = head->prev;
	head->prev->next = t;
	head->prev = t;
}

void
loop_timer_set(struct loop *l, struct loop_timer *t, int64_t due_ns)
{
	int64_t tick = due_ns / TICK_NS + 1; /* the first tick at which it is surely due */
	size_t slot;

	loop_timer_clear(l, t);
	if (tick <= l->tick)
		tick = l->tick + 1;
	slot = (size_t)tick % SLOTS;
	t->due_ns = due_ns > 0 ? due_ns : 1;
	timer_link(&l->slots[slot], t);
	l->occupied[slot / 64] |= UINT64_C(1) << (slot % 64);
	l->timer_count++;
}

void
loop_timer_clear(struct loop *l, struct loop_timer *t)
{
	if (t->due_ns == 0)
		return;
	timer_unlink(t);
	t->due_ns = 0;
	l->timer_count--;
}

static void
run_slot(struct loop *l, size_t slot)
{
	struct loop_timer *head = &l->slots[slot];
	struct loop_timer due, *t, *next;

	due.next = due.prev = &due;
	for (t = head->next; t != head; t = next) {
		next = t->next;
		if (t->due_ns > l->now_ns)
			continue; /* a later round */
		timer_unlink(t);
		timer_link(&due, t);
	}
	if (head->next == head)
		l->occupied[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
	/* fire() may set and clear any timer, also one of those still due */
	while (due.next != &due) {
		t = due.next;
		timer_unlink(t);
		t->due_ns = 0;
		l->timer_count--;
		t->fire(t);
	}
}

static void
run_timers(struct loop *l)
{
	int64_t now = l->now_ns / TICK_NS;

	if (now - l->tick > SLOTS)
		l->tick = now - SLOTS;
	while (l->tick < now) {
		size_t slot;

		l->tick++;
		slot = (size_t)l->tick % SLOTS;
		if (l->occupied[slot / 64] >> (slot % 64) & 1)
			run_slot(l, slot);
	}
}

/* Milliseconds until a timer may be due; -1: none is set. */
static int
timers_wait_ms(const struct loop *l)
{
	int64_t wait;

	if (l->timer_count == 0)
		return -1;
	for (int64_t ahead = 1; ahead <= SLOTS;) {
		size_t slot = (size_t)(l->tick + ahead) % SLOTS;
		uint64_t word = l->occupied[slot / 64] >> (slot % 64);

		if (word == 0) {
			ahead += 64 - (int64_t)(slot % 64);
			continue;
		}
		ahead += __builtin_ctzll(word);
		wait = (l->tick + ahead) * TICK_NS - l->now_ns;
		return wait <= 0 ? 0 : (int)((wait + 999999) / 1000000);
	}
	return (int)((int64_t)SLOTS * TICK_NS / 1000000);
}

/* --- messages from other threads --- */

static void
wake(struct loop *l)
{
	uint64_t one = 1;

	if (atomic_exchange(&l->asleep, false))
		(void)!write(l->wake_fd, &one, sizeof one);
}

void
loop_post(struct loop *l, struct loop_task *t)
{
	struct loop_task *head = atomic_load_explicit(&l->tasks, memory_order_relaxed);

	do
		t->next = head;
	while (!atomic_compare_exchange_weak(&l->tasks, &head, t));
	if (current != l)
		wake(l);
}

static void
run_tasks(struct loop *l)
{
	struct loop_task *t = atomic_exchange(&l->tasks, NULL);
	struct loop_task *first = NULL, *next;

	for (; t != NULL; t = next) { /* oldest first */
		next = t->next;
		t->next = first;
		first = t;
	}
	for (t = first; t != NULL; t = next) {
		next = t->next; /* run() may free or post it again */
		t->run(t);
	}
}

/* --- jobs --- */

void
loop_job_add(struct loop *l, struct loop_job *j)
{
	fair_add(l->jobs, j);
}

void
loop_job_remove(struct loop *l, struct loop_job *j)
{
	fair_remove(l->jobs, j);
}

bool
loop_run_jobs(struct loop *l)
{
	fair_run(l->jobs, LOOP_TURN_NS);
	return fair_any(l->jobs);
}

bool
loop_job_spent(const struct loop *l)
{
	return fair_spent(l->jobs);
}

/* --- turns --- */

void
loop_on_turn_end(struct loop *l, void (*hook)(struct loop *l, void *context), void *context)
{
	if (l->hook_count == HOOKS_MAX)
		abort(); /* our own mistake: a fixed few register at start */
	l->hooks[l->hook_count++] = (struct hook){hook, context};
}

void
loop_on_flush(struct loop *l, void (*hook)(struct loop *l, void *context), void *context)
{
	if (l->flush_count == HOOKS_MAX)
		abort();
	l->flushes[l->flush_count++] = (struct hook){hook, context};
}

void
loop_stop(struct loop *l)
{
	atomic_store(&l->stop, true);
	wake(l);
}

static void
look_for_events(struct loop *l, int wait_ms)
{
	l->event_count = epoll_wait(l->epoll_fd, l->events, EVENTS_MAX, wait_ms);
	if (l->event_count < 0)
		l->event_count = 0; /* EINTR */
}

/* Is there something for it from other threads? */
static bool
is_called(struct loop *l)
{
	return atomic_load(&l->tasks) != NULL || atomic_load(&l->stop);
}

/* True: there is something to do. */
static bool
stay_awake(struct loop *l, int64_t since_ns)
{
	int64_t now_ns;

	do {
		look_for_events(l, 0);
		if (l->event_count > 0 || is_called(l))
			return true;
		now_ns = clock_mono_ns();
	} while (now_ns - since_ns < AWAKE_NS);
	l->short_waits = now_ns - since_ns < LOST_NS ? 0 : -LOST_WAITS;
	return false;
}

static void
fall_asleep(struct loop *l, int wait_ms)
{
	/* who posts after this sees that we sleep; who posted before is seen here */
	atomic_store(&l->asleep, true);
	look_for_events(l, is_called(l) ? 0 : wait_ms);
	atomic_store_explicit(&l->asleep, false, memory_order_relaxed);
}

/* Who waits for another thread of ours must not keep it from its processor: such waits are none of the short ones. */
static void
count_wait(struct loop *l, int64_t since_ns)
{
	bool is_short = l->event_count > 0 && l->now_ns - since_ns < SHORT_NS && !is_called(l);

	if (is_short && l->short_waits < SHORT_WAITS)
		l->short_waits++;
	else if (!is_short && l->short_waits > 0)
		l->short_waits = 0;
}

static void
wait_for_events(struct loop *l)
{
	int wait_ms = atomic_load(&l->tasks) == NULL && !fair_any(l->jobs) ? timers_wait_ms(l) : 0;
	int64_t since_ns;

	l->event_next = 0;
	if (wait_ms == 0) {
		look_for_events(l, 0);
		l->now_ns = clock_mono_ns();
		return;
	}
	since_ns = clock_mono_ns();
	if (l->short_waits < SHORT_WAITS || !stay_awake(l, since_ns))
		fall_asleep(l, wait_ms);
	l->now_ns = clock_mono_ns();
	count_wait(l, since_ns);
}

void
loop_run(struct loop *l)
{
	current = l;
	thread_be_prompt();
	while (!atomic_load(&l->stop)) {
		wait_for_events(l);
		while (l->event_next < l->event_count) {
			struct epoll_event *event = &l->events[l->event_next++];
			struct loop_fd *f = event->data.ptr;

			if (f != NULL)
				f->ready(f, event->events);
		}
		run_tasks(l);
		run_timers(l);
		(void)loop_run_jobs(l);
		for (int i = 0; i < l->hook_count; i++)
			l->hooks[i].run(l, l->hooks[i].context);
		for (int i = 0; i < l->flush_count; i++)
			l->flushes[i].run(l, l->flushes[i].context);
	}
	current = NULL;
}
