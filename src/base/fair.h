/*
 * Turns at something that many want, a loop's thread or a pool's, dealt out fairly.
 *
 * A job is a piece of work that is ready to be done: the requests that have come on a connection, the answers it is
 * owed. Each belongs to somebody: its flow, made of who asks (a tenant: an access key, or an address as long as no key
 * is known) and what is asked (a table). Tenants take turns, within a tenant its tables do, within a table its jobs go
 * in their order; what a turn may take is counted in time. So a tenant with a thousand busy connections delays
 * another one's single request by about a turn, and not by a thousand requests.
 *
 * Who comes after having had nothing to do is served first, once (as fq_codel does with queues of packets): that is
 * what keeps a light load's latency where it was when a heavy one sets in. Tenants share FAIR_TENANTS places by hash,
 * tables of a tenant FAIR_TABLES: who falls into the same place as another shares its turns.
 *
 * No lock in it: of one thread, or the caller's lock's.
 */
#ifndef STATOR_BASE_FAIR_H
#define STATOR_BASE_FAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define FAIR_TENANTS 256
#define FAIR_TABLES  16

/* Whose work it is: hashes; all values are fine. */
struct job_flow {
	uint32_t tenant;
	uint32_t table;
};

uint32_t job_hash(struct slice s);
/* Of the address in "127.0.0.1:50412": who asks, as long as nothing better is known. */
uint32_t job_hash_peer(const char *peer);

/* Embed it. */
struct loop_job {
	struct loop_job *next, *prev;
	struct job_flow flow; /* may be changed while it is not queued */
	bool queued;
	bool brief; /* takes so little that not each is timed while nobody else is there; may be changed at any time */
	/* One piece of the work; it queues itself again when there is more. */
	void (*run)(struct loop_job *j);
};

struct fair;

struct fair *fair_new(void); /* aborts without memory */
void fair_free(struct fair *q);
void fair_add(struct fair *q, struct loop_job *j);    /* one that is queued stays where it is */
void fair_remove(struct fair *q, struct loop_job *j); /* one that is not queued is fine */
/* Take out the job whose turn it is; NULL: there is none. What it took is told by fair_charge(). */
struct loop_job *fair_next(struct fair *q);
void fair_charge(struct fair *q, struct job_flow flow, int64_t ns);
int fair_count(const struct fair *q, uint32_t tenant); /* jobs of a tenant, or of those that share its place */
/* Run jobs until about turn_ns are spent or none is left. A flow that has been alone for a second has 8 turns at once.
 */
void fair_run(struct fair *q, int64_t turn_ns);
bool fair_any(const struct fair *q);
/* Has the running job had what one piece may take? Outside of a job: no. */
bool fair_spent(const struct fair *q);

#endif
