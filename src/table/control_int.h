/*
 * The control plane's files:
 *
 *   control.c              CreateTable, DeleteTable, UpdateTable from its checks to what is durable
 *   control_throughput.c   UpdateTable: units, limits, billing
 *   control_index.c        UpdateTable: indexes
 *   control_tags.c         tags
 *
 * UpdateTable is an alteration: each part looks at what is asked for, and changes the copy of the record in it.
 */
#ifndef STATOR_TABLE_CONTROL_INT_H
#define STATOR_TABLE_CONTROL_INT_H

#include "table/table_int.h"

/* An update in the making. */
struct alteration {
	struct table_db *db;
	const struct table *t;
	const struct table_update *update;
	struct arena *arena;
	struct record record;
	struct engine_batch *batch;
	bool changed;                           /* something to write */
	bool updating;                          /* the table goes through UPDATING */
	struct stream *new_stream, *old_stream; /* enabled or disabled by this */
	uint32_t drop_index;                    /* number of the index to drop; 0: none */
	struct quota quota;                     /* with what this takes of it */
	bool quota_changed;
};

/* ---- control.c ---- */

/* A changeable copy of what is there: its arrays are the arena's, its strings those of t->encoded. */
void control_copy_record(const struct table *t, struct arena *a, struct record *ret);
/* S_RESOURCE_IN_USE in the words for what is being done to the table, which is not ACTIVE. */
enum status control_in_use(const struct table *t, struct err *err);

/* ---- control_throughput.c ---- */

/* What a client leaves out, and what only time brings. */
void throughput_default(struct table_throughput *t);
bool throughput_gives_units(const struct table_throughput *t);
enum status alteration_throughput(struct alteration *c, struct err *err);

/* ---- control_index.c ---- */

/* spec.index_count: there is no such index. */
size_t record_find_index(const struct record *r, struct slice name);
/* AttributeDefinitions of an update add to those the table has. */
enum status alteration_definitions(struct alteration *c, struct err *err);
enum status alteration_indexes(struct alteration *c, struct err *err);
/* Does a vector index that is being made stand in the way? Asked before anything else is looked at. */
enum status alteration_check_vectors(struct alteration *c, struct err *err);

#endif
