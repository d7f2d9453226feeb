/*
 * Is the thread that syncs to wait until whoever runs has finished?
 *
 * Patient, it lets the loops go on with what they have in hand, and one sync is for more writes: a server that is busy
 * with writes does 10 % more of them. Where the loops are busy with something else and have no end, Linux gives it the
 * processor only at ticks of its clock, after it was woken and again when the disk has answered: few writes wait for
 * 8 ms then, though reading would lose little. So it looks at how long it has waited for a processor, and is prompt
 * when that is more than its writes can have taken. Prompt, it cannot see whether that is over: it tries.
 */
#include "base/clock.h"
#include "base/thread.h"
#include "engine/rocksdb/rocksdb_int.h"

#define LOOK_NS        ((int64_t)20 * 1000000)
#define TRIAL_NS       ((int64_t)4 * 1000000) /* the first look of a trial: after one sync, where it is in vain */
#define ROUND_WAITS_NS 1000000                /* for a processor, in one sync */
#define WRITE_WAITS_NS 50000                  /* twice what a loop needs for a write */
#define PROMPT_FOR_NS  ((int64_t)1000 * 1000000)
#define PROMPT_AT_MOST 16  /* times that: after as many trials in vain it tries that seldom */
#define HELD_FOR_LOOKS 250 /* so long patience was right: the next trials come soon again */

bool
patience_step(struct patience *p, int64_t now_ns, int64_t waited_ns, uint64_t writes)
{
	int64_t waited = waited_ns - p->waited_ns;
	uint64_t covered = writes - p->writes;
	uint32_t rounds = p->rounds;

	p->looked_ns = now_ns;
	p->waited_ns = waited_ns;
	p->writes = writes;
	p->rounds = 0;
	if (p->is_prompt) {
		p->is_prompt = now_ns < p->prompt_until_ns;
		p->on_trial = !p->is_prompt;
	} else if (waited <= (int64_t)rounds * ROUND_WAITS_NS || waited / WRITE_WAITS_NS <= (int64_t)covered) {
		p->on_trial = p->doubted = false;
		p->times = ++p->held >= HELD_FOR_LOOKS ? 0 : p->times;
	} else if (!p->on_trial && !p->doubted) {
		p->doubted = true; /* once is chance */
	} else {
		p->is_prompt = true;
		p->doubted = false;
		p->held = 0;
		p->times = p->times == 0 ? 1 : p->times < PROMPT_AT_MOST ? 2 * p->times : PROMPT_AT_MOST;
		p->prompt_until_ns = now_ns + p->times * PROMPT_FOR_NS;
	}
	return p->is_prompt;
}

void
patience_after_sync(struct patience *p, uint64_t writes)
{
	int64_t now_ns = clock_mono_ns(), waited_ns;
	bool was_prompt = p->is_prompt;

	p->rounds++;
	if (now_ns - p->looked_ns < (p->on_trial ? TRIAL_NS : LOOK_NS) || (waited_ns = thread_waited_ns()) < 0 ||
	    patience_step(p, now_ns, waited_ns, writes) == was_prompt)
		return;
	if (p->is_prompt)
		thread_be_prompt();
	else
		thread_be_patient();
}
