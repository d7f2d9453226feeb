/*
 * A thread that always has something to do leaves the processor in small pieces to the threads that it shares it with.
 *
 * Linux takes a processor from a thread that does not sleep only when its clock ticks, 4 ms apart with Debian's kernel,
 * and then for a whole tick. What a loop full of one tenant's requests owes to the thread of a flush or to the I/O
 * pool would so be taken from another tenant's request in one piece. Who sleeps for a moment of his own accord gets the
 * processor back to the moment: a thread with a short slice (base/thread.h) goes before others when it wakes. So a
 * thread that the system has let wait, while other threads of the process ran, begins to give: naps of 100 us, up to
 * a third of the time. The less it waits and the less they run, the fewer. Where processors are enough there are none.
 *
 * Of one thread. Without Linux's figures about waiting (/proc/thread-self/schedstat) there are no naps.
 */
#ifndef STATOR_BASE_COURTESY_H
#define STATOR_BASE_COURTESY_H

#include <stdint.h>

#define COURTESY_NAP_NS  100000
#define COURTESY_LOOK_NS 4000000 /* between two looks at what was taken */

/* What a thread knows of its time. All in ns. */
struct courtesy_times {
	int64_t at;     /* clock_mono_ns() */
	int64_t waited; /* for a processor, though it had something to do */
	int64_t ran;
	int64_t others_ran; /* threads of the process that have no struct courtesy */
};

struct courtesy {
	int schedstat_fd;             /* -1: not to be had */
	struct courtesy_times looked; /* the last look */
	int64_t napped_ns;            /* since then */
	int64_t since_ns;             /* it runs since then */
	int64_t owed_ns;              /* to be given */
	int share;                    /* given for each 256 of running */
	unsigned held;                /* looks at which it was well as it was */
};

void courtesy_init(struct courtesy *c); /* on the thread itself */
void courtesy_done(struct courtesy *c);
/* How long to sleep now, at most COURTESY_NAP_NS; mostly 0. Looks at the times when it is time to. */
int64_t courtesy_due(struct courtesy *c, int64_t now_ns);
/* Sleeps for that long, and counts it. */
void courtesy_nap(struct courtesy *c, int64_t ns);
/* It has waited for something to do, between these two moments; need not be told while `share` is 0. */
void courtesy_idled(struct courtesy *c, int64_t from_ns, int64_t to_ns);
/* A look at these times; courtesy_due() calls it. */
void courtesy_look(struct courtesy *c, const struct courtesy_times *now);

#endif
