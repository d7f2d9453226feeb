/* Memory that was needed once and is not any more goes back to the system. */
#ifndef STATOR_MAIN_MEMORY_H
#define STATOR_MAIN_MEMORY_H

#include <stdbool.h>

/*
 * Before the first thread. A block of 64 KB or an answer of 100 KB that is freed shall not go back to the system with
 * the request that needed it: the next one would fault the same pages in again, and giving pages back interrupts every
 * core that runs this process (a quarter of a Query's time). What is kept is bounded: memory_give_back().
 */
void memory_keep_freed(void);

/*
 * Ask now and then, on one thread that serves nobody. The C library keeps what is freed in a few heaps, each as large
 * as it ever had to be: after a burst of large answers that is hundreds of megabytes which nothing will use soon, and
 * in days of even load the heaps' peaks and the holes between what stays add up. Giving that back takes 2 to 5 ms and
 * holds a heap's lock meanwhile, so it is done at once only when, by `quiet`, nobody is being served at the moment;
 * else once a minute, when half as much is kept.
 */
void memory_give_back(bool quiet);

#endif
