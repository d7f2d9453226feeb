#include "base/courtesy.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define SHARE_ALL   256
#define SHARE_MOST  128 /* half as long as it runs: a third of the time */
#define LITTLE_PART 64  /* of the time; less is not answered */

/* What all threads have run that have a struct courtesy, as they told when they last looked: they give to others, not
 * to each other. */
static _Atomic int64_t courteous_ns;

static bool
read_times(struct courtesy *c, int64_t now_ns, struct courtesy_times *ret)
{
	char text[64], *waited_text, *end;
	int64_t ran, waited;
	ssize_t length = pread(c->schedstat_fd, text, sizeof text - 1, 0);

	if (length <= 0)
		return false;
	text[length] = '\0'; /* "ran waited times", the first two in ns */
	ran = strtoll(text, &waited_text, 10);
	waited = strtoll(waited_text, &end, 10);
	if (end == waited_text)
		return false;
	atomic_fetch_add(&courteous_ns, ran - c->looked.ran);
	*ret = (struct courtesy_times){
	    .at = now_ns,
	    .waited = waited,
	    .ran = ran,
	    .others_ran = clock_process_cpu_ns() - atomic_load(&courteous_ns),
	};
	return true;
}

void
courtesy_init(struct courtesy *c)
{
	*c = (struct courtesy){.schedstat_fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)};
	c->since_ns = clock_mono_ns();
	if (c->schedstat_fd >= 0 && !read_times(c, c->since_ns, &c->looked))
		courtesy_done(c);
}

void
courtesy_done(struct courtesy *c)
{
	if (c->schedstat_fd >= 0)
		close(c->schedstat_fd);
	c->schedstat_fd = -1;
}

void
courtesy_look(struct courtesy *c, const struct courtesy_times *now)
{
	int64_t wall = now->at - c->looked.at, waited = now->waited - c->looked.waited;
	int64_t others = now->others_ran - c->looked.others_ran;

	if (waited > wall / LITTLE_PART && others > wall / LITTLE_PART) {
		c->share += (int)(SHARE_ALL * (waited < wall ? waited : wall) / wall);
		c->share = c->share < SHARE_MOST ? c->share : SHARE_MOST;
	} else if (others < c->napped_ns / 2) {
		c->share -= (c->share + 7) / 8; /* nobody needs as much */
	} else {
		c->share -= (++c->held & 3) == 0; /* is less enough? */
	}
	c->looked = *now;
	c->napped_ns = 0;
}

static void
owe(struct courtesy *c, int64_t now_ns)
{
	if (now_ns > c->since_ns)
		c->owed_ns += (now_ns - c->since_ns) * c->share / SHARE_ALL;
	c->since_ns = now_ns;
}

int64_t
courtesy_due(struct courtesy *c, int64_t now_ns)
{
	struct courtesy_times now;

	if (now_ns - c->looked.at >= COURTESY_LOOK_NS && c->schedstat_fd >= 0 && read_times(c, now_ns, &now))
		courtesy_look(c, &now);
	owe(c, now_ns);
	if (c->owed_ns < COURTESY_NAP_NS)
		return 0;
	c->owed_ns -= COURTESY_NAP_NS;
	if (c->owed_ns > COURTESY_NAP_NS)
		c->owed_ns = COURTESY_NAP_NS; /* what one long piece of work owes is not given in one */
	return COURTESY_NAP_NS;
}

void
courtesy_nap(struct courtesy *c, int64_t ns)
{
	struct timespec t = {.tv_nsec = ns};
	int64_t from_ns = clock_mono_ns();

	(void)prctl(PR_SET_TIMERSLACK, 1UL); /* ns; else it may be 50 us late */
	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
	(void)prctl(PR_SET_TIMERSLACK, 0UL); /* exact timers cost each wait of a loop more than they are worth */
	c->since_ns = clock_mono_ns();
	c->napped_ns += c->since_ns - from_ns;
}

void
courtesy_idled(struct courtesy *c, int64_t from_ns, int64_t to_ns)
{
	owe(c, from_ns);
	c->owed_ns = c->owed_ns > to_ns - from_ns ? c->owed_ns - (to_ns - from_ns) : 0; /* others could run meanwhile */
	c->since_ns = to_ns;
}
