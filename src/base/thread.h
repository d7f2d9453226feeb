/* How the system is to schedule a thread. */
#ifndef STATOR_BASE_THREAD_H
#define STATOR_BASE_THREAD_H

#include <stdint.h>

/*
 * The calling thread answers somebody, does little at a time and then waits: it shall have a processor as soon as there
 * is something to do, also when a thread that works for long is in the middle of its slice. Its share of the processors
 * stays what it is; one that was patient is so no more. Linux 6.12 and later; earlier ones, and whoever forbids it,
 * leave things as they are.
 */
void thread_be_prompt(void);

/*
 * The calling thread does one large thing for many, and does it cheaper the more have come together: when there is
 * something to do it lets whoever runs finish first. Its share of the processors stays what it is.
 */
void thread_be_patient(void);

/* For how long the calling thread has waited for a processor since it began; -1: the system does not tell. Some 10 us.
 */
int64_t thread_waited_ns(void);

/*
 * The calling thread works at what nobody waits for: where there is more to do than processors can it gets a smaller
 * share than the others, a third. That is not nothing, so it keeps up.
 */
void thread_be_modest(void);

/*
 * The calling thread works for long at a time, beside others that answer somebody: it lets them go on whenever it calls
 * thread_breathe(). Linux would let a thread that has had its share, and the loops of a busy server have, wait until
 * the next tick of its clock, 1 to 4 ms.
 */
void thread_be_polite(void);

/* To be called in whatever may take longer than 100 us, every few microseconds: a polite thread leaves the processor
 * for who waits for it, at most every 100 us; on all others, and on a loop, it does nothing. */
void thread_breathe(void);

/* Processors that this process may use, which in a container is less than what the machine has. */
int thread_cores(void);

/*
 * To be called before the first thread is started. The C library lets threads allocate from up to eight heaps for each
 * processor, and what was freed in one serves no other: beside 110 MB in use it kept 150 free. Now there are as many as
 * threads that answer clients, and two for all others.
 */
void thread_share_heaps(int answering);

#endif
