/*
 * The write path's files:
 *
 *   commit.c          one call from its locks to its place in the order; transactions that are running
 *   commit_decide.c   one write: what is there, does the condition hold, what goes into the batch
 *   commit_charge.c   what it costs is paid for (throttling) and counted (Contributor Insights)
 */
#ifndef STATOR_TABLE_COMMIT_INT_H
#define STATOR_TABLE_COMMIT_INT_H

#include "table/change_int.h"
#include "table/transact.h"

/* One write's place. */
struct place {
	size_t key_at, key_len; /* in scratch->keys */
	uint64_t hash;
	uint64_t cache_hash;
	struct partition *partition;
	struct locked *locked;
	bool index_refused; /* throttled, and not by the table */
};

/* One partition of the call, locked once however many writes are in it. */
struct locked {
	struct table_core *core;
	struct partition *partition;
	/* decided under the lock */
	const struct table *version;
	uint64_t failures;
	struct delta delta;
	struct delta *index_deltas; /* one a version->indexes; NULL: none yet */
	int64_t due_ms;             /* of the earliest row of TTL that is put; INT64_MAX: none */
	struct change_draft changes;
};

/* A slot of recent.h and what it was. */
struct marked {
	_Atomic uint64_t *slot;
	uint64_t before;
};

struct commit {
	struct table_db *db;
	struct table_io *io;
	struct scratch *scratch;
	struct table_write *writes;
	size_t count;
	bool transaction;
	struct table_token *token; /* NULL: none */
	struct place *places;      /* one a write */
	struct locked *locked;     /* ascending by (table number, partition) */
	size_t locked_count;
	struct marked *marked;
	size_t marked_count, marked_cap;
	uint64_t durable_before;
	uint64_t reopened; /* of the engine, before anything was read: what is written belongs to that world */
	bool any_change;   /* is there something in the batch? */
};

/* ---- commit_decide.c ---- */

/* The item as it is, from the cache of items or the engine; AV_NONE: there is none. place->locked is set. */
enum status commit_read_old(struct commit *c, const struct place *place, unsigned flags, struct av *ret,
			    struct err *err);
/* While an index is being filled a row may not be there yet, and then must not be counted as taken away. */
enum status commit_row_exists(struct commit *c, size_t key_at, size_t key_len, unsigned flags, bool *ret,
			      struct err *err);
/* The slot gets the write's place when it has one. */
void commit_mark(struct commit *c, _Atomic uint64_t *slot);
/* Puts all that the write changes into the batch; what it was and what it costs are told in w. The lock is held. */
enum status commit_decide(struct commit *c, struct table_write *w, const struct place *place, unsigned flags,
			  struct err *err);

/* ---- commit_charge.c ---- */

/* What was decided is paid for, or refused as a whole: then the status is the first refused write's, else `decided`. */
enum status commit_charge(struct commit *c, enum status decided, struct err *err);
/* For insights.h: writes that were paid for, or those that were throttled. No lock is held. */
void commit_count_keys(const struct commit *c, enum status s);

#endif
