/*
 * The event loop: one thread, one epoll, one listening socket for each port (SO_REUSEPORT). Commits decide when answers
 * leave a loop turn, so the loop is ours; HTTP/1.1, HTTP/2 and later DAX share it.
 *
 * Everything here is called on the loop's own thread except loop_post().
 */
#ifndef STATOR_IO_LOOP_H
#define STATOR_IO_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fair.h"
#include "base/status.h"

struct loop;

/* A file descriptor in a loop; embed it. */
struct loop_fd {
	int fd;
	uint32_t events; /* EPOLLIN, EPOLLOUT as set */
	void (*ready)(struct loop_fd *f, uint32_t events);
};
/* A timer; embed it. Coarse: up to 10 ms late. */
struct loop_timer {
	struct loop_timer *next, *prev;
	int64_t due_ns; /* clock_mono_ns; 0: not set */
	void (*fire)(struct loop_timer *t);
};
/* A message to a loop from any thread; embed it. Runs once on the loop's thread. */
struct loop_task {
	struct loop_task *next;
	void (*run)(struct loop_task *t);
};

enum status loop_new(int index, struct loop **ret, struct err *err);
void loop_free(struct loop *l);
void loop_run(struct loop *l);  /* until loop_stop */
void loop_stop(struct loop *l); /* any thread */
int loop_index(const struct loop *l);
struct loop *loop_current(void);           /* of this thread; NULL off the loops */
int64_t loop_now_ns(const struct loop *l); /* clock_mono_ns at the start of this turn */

enum status loop_add(struct loop *l, struct loop_fd *f, uint32_t events, struct err *err);
void loop_change(struct loop *l, struct loop_fd *f, uint32_t events);
void loop_remove(struct loop *l, struct loop_fd *f); /* also when its own ready() is running */
void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t due_ns);
void loop_timer_clear(struct loop *l, struct loop_timer *t);
/* Any thread; wakes the loop with one eventfd write for any number of posts between two turns. */
void loop_post(struct loop *l, struct loop_task *t);
/* Work that is ready; it runs in this turn or a later one, in fair order (base/fair.h), before the turn-end hooks. A
 * turn spends about LOOP_TURN_NS on jobs, then it looks for new events. */
#define LOOP_TURN_NS 100000
void loop_job_add(struct loop *l, struct loop_job *j);
void loop_job_remove(struct loop *l, struct loop_job *j);
/* Should the running job stop and queue itself again? Asks the clock. */
bool loop_job_spent(const struct loop *l);
/* A turn's jobs, for tests that turn a loop by hand. True: more are left. */
bool loop_run_jobs(struct loop *l);
/* Run before the loop sleeps, once a turn, every turn, in the order of registration: where a batch of writes is
 * committed. Register before loop_run(). */
void loop_on_turn_end(struct loop *l, void (*hook)(struct loop *l, void *context), void *context);
/* Likewise, after all turn-end hooks: where replies are flushed with one system call a connection. */
void loop_on_flush(struct loop *l, void (*hook)(struct loop *l, void *context), void *context);

#endif
