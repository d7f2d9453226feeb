#include "base/thread.h"

#include <malloc.h>
#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PROMPT_SLICE_NS 100000 /* the shortest that Linux takes; its own is 1 to 3 ms */
#define MODEST_NICE     5      /* a third of the share of a thread of nice 0 */

/* As the kernel has it; there is no such thing in the C library of Debian 12. */
struct attributes {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime; /* ns; of an ordinary thread: its slice */
	uint64_t deadline;
	uint64_t period;
};

void
thread_be_prompt(void)
{
	struct attributes a = {.size = 0};

	if (syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) != 0 || a.policy != SCHED_OTHER)
		return;
	a.size = sizeof a;
	a.runtime = PROMPT_SLICE_NS;
	syscall(SYS_sched_setattr, 0, &a, 0);
}

void
thread_be_patient(void)
{
	if (sched_getscheduler(0) == SCHED_OTHER)
		(void)sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0});
}

void
thread_be_modest(void)
{
	/* of this thread, as Linux has it, not of the process */
	(void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + MODEST_NICE);
}

void
thread_share_heaps(int answering)
{
	(void)mallopt(M_ARENA_MAX, answering + 2); /* a hint */
}

int
thread_cores(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}
