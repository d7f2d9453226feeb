/*
 * Time to live: items that go when the time in one of their attributes has passed.
 *
 * Nobody scans for them. A table with TTL has rows by due time in SPACE_INDEXES, under a number of their own: number
 * (u32 BE), due time (ms, u64 BE), the item's row key. They are written in the same batch as the item, by whatever
 * writes it, so they are there exactly when the item is and its attribute holds a time. What has become due is a prefix
 * of them. docs/TTL.md, docs/formats/catalog.md.
 *
 * Deleting is an ordinary table_commit() that holds only while the item still is due at that very time: who updated the
 * item a moment before keeps it. It consumes no capacity, and its change record has the cause CAUSE_TTL.
 *
 * Each table knows the earliest due time that may be among its rows (in memory), so who waits for items to become due
 * looks at a number and not at the disk, and does not walk over the places of rows that are gone.
 */
#ifndef STATOR_TABLE_TTL_H
#define STATOR_TABLE_TTL_H

#include "table/table.h"

#define TTL_CHANGE_PAUSE_MS (60 * 60 * 1000LL)                /* between two changes of one table's TTL */
#define TTL_PAST_MS         (5 * 365LL * 24 * 60 * 60 * 1000) /* times longer ago than this are not taken */
#define TTL_FUTURE_MS       253402300799000LL                 /* year 9999; later is never */
#define TTL_NEVER           (-1)

enum table_ttl_status { TTL_DISABLED, TTL_ENABLING, TTL_ENABLED, TTL_DISABLING };

struct table_ttl_description {
	enum table_ttl_status status;
	struct slice attribute; /* empty when DISABLED */
};

/* UpdateTimeToLive and DescribeTimeToLive. The first is durable when it returns S_OK (it may block). */
enum status table_ttl_update(struct table_db *db, struct slice table_name, struct slice attribute, bool enabled,
			     struct err *err);
enum status table_ttl_describe(struct table_db *db, struct slice table_name, struct arena *a,
			       struct table_ttl_description *ret, struct err *err);

/* When the item is due, ms of the epoch; TTL_NEVER: the attribute is missing, no number, or no time. */
int64_t table_ttl_due_ms(struct av item, struct slice attribute);
/* Has that time passed, and not too long ago? */
static inline bool
table_ttl_is_due(int64_t due_ms, int64_t now_ms)
{
	return due_ms > 0 && due_ms < now_ms && due_ms >= now_ms - TTL_PAST_MS;
}

/* ---- for who deletes: all of these with tables that table_ttl_tables() gave, or that were found while ENABLED ---- */

/* Rises whenever some table's TTL was enabled or disabled, or such a table came or went. */
uint64_t table_ttl_generation(struct table_db *db);
/* Tables whose TTL is ENABLED, counted each until table_release(); the array is the caller's to free. */
struct table **table_ttl_tables(struct table_db *db, size_t *ret_count);
/* Before this nothing is due; INT64_MAX: there is nothing. Without asking the disk. */
int64_t table_ttl_earliest_ms(const struct table *t);
/*
 * A walk through what is due, in the order in which it became due, some at a time. Zeroed before the first use. Several
 * may walk at once: each deletes what it comes to first.
 */
struct table_ttl_due {
	struct buf keys; /* row keys of items */
	struct table_ttl_row {
		int64_t due_ms;
		uint32_t at, len;
	} * rows;
	size_t count, cap;
	bool more;           /* there was no room for all: call table_ttl_find() again, it goes on from there */
	int64_t next_due_ms; /* of the first row that was not taken; INT64_MAX: there is none */
	struct buf next;     /* private: that row's key */
};
void table_ttl_due_done(struct table_ttl_due *due);
/* The next items that are due, at most `limit`. After a failure the walk is over. May block. */
enum status table_ttl_find(struct table *t, int64_t now_ms, size_t limit, struct table_ttl_due *due, struct err *err);
/* Delete rows [first, first + count) of what was found, those that are still due. One commit. May block. */
enum status table_ttl_delete(struct table *t, const struct table_ttl_due *due, size_t first, size_t count,
			     struct table_io *io, uint32_t *ret_deleted, struct err *err);
/*
 * For the one that keeps the earliest due time right: to be said before a walk begins, so that rows which come up
 * behind its back are told by who puts them; and at its end, with the time of the first row that was not dealt with.
 */
void table_ttl_expect(struct table *t);
void table_ttl_leave(struct table *t, int64_t due_ms);
/* For the figures: that many are known to be due and not yet deleted, the next of them since then. */
void table_ttl_set_backlog(struct table *t, uint64_t count, int64_t next_due_ms);

#endif
