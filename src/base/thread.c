#include "base/thread.h"

#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

#define PROMPT_SLICE_NS 100000 /* the shortest that Linux takes; its own is 1 to 3 ms */
#define POLITE_SLICE_NS 200000 /* who leaves the processor is charged for the rest of its slice */
#define BREATH_NS       100000
#define MODEST_NICE     5 /* a third of the share of a thread of nice 0 */

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

static _Thread_local struct {
	bool polite, patient;
	int64_t since_ns; /* it has worked */
} manners;

static void
set_slice(uint64_t ns)
{
	struct attributes a = {.size = 0};

	if (syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) != 0 || (a.policy != SCHED_OTHER && !manners.patient))
		return;
	a.size = sizeof a;
	a.policy = SCHED_OTHER;
	manners.patient = false;
	a.runtime = ns;
	syscall(SYS_sched_setattr, 0, &a, 0);
}

void
thread_be_prompt(void)
{
	set_slice(PROMPT_SLICE_NS);
}

void
thread_be_polite(void)
{
	set_slice(POLITE_SLICE_NS);
	manners.polite = true;
}

void
thread_breathe(void)
{
	int64_t now_ns;

	if (!manners.polite)
		return;
	now_ns = clock_mono_ns();
	if (now_ns - manners.since_ns < BREATH_NS)
		return;
	sched_yield();
	manners.since_ns = clock_mono_ns();
}

void
thread_be_patient(void)
{
	if (sched_getscheduler(0) == SCHED_OTHER)
		manners.patient = sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0}) == 0;
}

int64_t
thread_waited_ns(void)
{
	int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	char text[64], *second;
	ssize_t len;

	if (fd < 0)
		return -1;
	len = read(fd, text, sizeof text - 1);
	close(fd);
	text[len > 0 ? len : 0] = '\0';
	second = strchr(text, ' '); /* after how long it ran; both in ns */
	return second != NULL ? strtoll(second, NULL, 10) : -1;
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
