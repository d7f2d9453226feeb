/*
 * Contributor Insights: for a table or a global index, which keys are accessed and throttled most. The state is kept in
 * the catalog (a row for each table that was ever asked to count) and goes with the table or the index; what is counted
 * is kept in memory only and shown among the metrics.
 *
 * Reads are counted where they are charged (table_charge_reads()), writes at the end of table_commit(); both look at
 * one number of the database first, so that a database that counts nothing pays a load and a branch. As in the service
 * an access weighs its read units and three times its write units, a Query counts for its partition key only, a Scan
 * not at all, and a write that a global index throttles is no throttled key.
 *
 * The service makes a CloudWatch rule of each thing to count and has room for a hundred; so have we, which is what
 * bounds memory and the number of metrics. Who enables one too many finds it FAILED.
 */
#ifndef STATOR_TABLE_INSIGHTS_H
#define STATOR_TABLE_INSIGHTS_H

#include "table/table.h"

#define INSIGHTS_RULES_MAX 100
#define INSIGHTS_TOP       10 /* keys of a rule among the metrics */

enum insights_status {
	INSIGHTS_DISABLED,
	INSIGHTS_ENABLING,
	INSIGHTS_ENABLED,
	INSIGHTS_DISABLING,
	INSIGHTS_FAILED, /* no room for its rules */
};

/* All zero: never asked for. */
struct table_insights {
	enum insights_status status;
	bool throttled_only; /* THROTTLED_KEYS */
	bool failed;         /* FAILED, or DISABLING and was FAILED before */
	bool has_sort;       /* out: its keys have a sort key, so there are rules for it */
	int64_t changed_ms;  /* of the status; 0: never */
	int64_t rules_ms;    /* when its rules were made: part of their names */
};

/*
 * index empty: the table itself. Durable when it returns S_OK (it may block). What is so already is no change. *ret:
 * as it then is. S_RESOURCE_NOT_FOUND: no such table or global index; S_VALIDATION: an index that is being filled.
 */
enum status table_insights_set(struct table_db *db, struct slice name, struct slice index, bool enable,
			       bool throttled_only, struct table_insights *ret, struct err *err);
enum status table_insights_get(struct table_db *db, struct slice name, struct slice index, struct table_insights *ret,
			       struct err *err);
struct table_insights_entry {
	struct slice table, index; /* index empty: the table itself */
	struct table_insights insights;
};
/*
 * Those that are not DISABLED: of one table, or of all when `table` is empty; by table name, the table before its
 * indexes, these by name. Those behind (after_table, after_index), which need not be there any more; after_table empty:
 * from the beginning. At most limit; *ret_more: others follow.
 */
enum status table_insights_list(struct table_db *db, struct slice table, struct slice after_table,
				struct slice after_index, size_t limit, struct arena *a,
				struct table_insights_entry **ret, size_t *ret_count, bool *ret_more, struct err *err);

/* Prometheus lines of the heaviest keys. */
void table_insights_write_metrics(struct table_db *db, struct buf *out);

#endif
