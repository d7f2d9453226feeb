/* Counting, and the state behind it: for the rest of the room. */
#ifndef STATOR_TABLE_INSIGHTS_INT_H
#define STATOR_TABLE_INSIGHTS_INT_H

#include "table/insights.h"
#include "table/key_counts.h"

/* Part of table_core and index_core. */
struct insights {
	/* Made when it is first enabled, kept to the end of the core; empty while nothing is counted. */
	_Atomic(struct key_counts *) counts;
	struct table_insights state; /* guarded by db->insights_lock; changes only while db->control is held too */
	unsigned rules;              /* how many of the database's it has; guarded by db->control */
};

struct engine_batch;

void insights_done(struct insights *x);
/* The table's row: what the catalog says. */
enum status insights_load(struct table *t, struct err *err);
/* What is in memory once more, for rows of which it is not known whether they reached the disk. */
void insights_rewrite_row(struct engine_batch *batch, const struct table *t);
/* The table, or an index of it, is no more: it gives its rules back. The caller holds db->control. */
void insights_forget(struct table_db *db, struct insights *x);
/* A status that ends: JOB_INSIGHTS. index_number 0: the table itself. The caller holds db->control. */
enum status insights_settle(struct table_db *db, struct table *t, uint32_t index_number, struct err *err);
/* After a restart. */
void insights_resume(struct table_db *db, const struct table *t);

/* Both only while insights_counting(). A read of a key or of a range (its partition key); NULL index: of the table. */
void insights_count_read(const struct table_charge *charge, bool throttled);
/* A write of the item, or of the index's part of it. half_units 0: not accessed, throttled. False: the item (which may
 * be AV_NONE) is not in the index. */
bool insights_count_write(const struct table *t, const struct table_index *x, struct av item, uint64_t half_units);

#endif
