/* How the system is to schedule a thread. */
#ifndef STATOR_BASE_THREAD_H
#define STATOR_BASE_THREAD_H

/*
 * The calling thread answers somebody, does little at a time and then waits: it shall have a processor as soon as there
 * is something to do, also when a thread that works for long is in the middle of its slice. Its share of the processors
 * stays what it is. Linux 6.12 and later; earlier ones, and whoever forbids it, leave things as they are.
 */
void thread_be_prompt(void);

/*
 * The calling thread does one large thing for many, and does it cheaper the more have come together: when there is
 * something to do it lets whoever runs finish first. Its share of the processors stays what it is.
 */
void thread_be_patient(void);

/*
 * The calling thread works at what nobody waits for: where there is more to do than processors can it gets a smaller
 * share than the others, a third. That is not nothing, so it keeps up.
 */
void thread_be_modest(void);

/* Processors that this process may use, which in a container is less than what the machine has. */
int thread_cores(void);

/*
 * To be called before the first thread is started. The C library lets threads allocate from up to eight heaps for each
 * processor, and what was freed in one serves no other: beside 110 MB in use it kept 150 free. Now there are as many as
 * threads that answer clients, and two for all others.
 */
void thread_share_heaps(int answering);

#endif
