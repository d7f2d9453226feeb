/*
 * Coherent mode: the change log tells a cache what was changed behind its back. What no other DAX does.
 *
 * A thread reads the change logs of the tables that are read or written through the cache. Each record drops the item's
 * entry if that is older than the change, and all pages of the table. Once a record has passed, no read finds anything
 * older than it, however the change was made: over HTTP, in a transaction, by TTL, by replication.
 *
 * A table is kept only while its log is being read. So the first requests for a table go to the table itself, until the
 * reader stands (a moment later), and so they do again when it fails or falls behind so far that records were lost.
 */
#ifndef STATOR_CACHE_COHERENT_H
#define STATOR_CACHE_COHERENT_H

#include "cache/cache.h"
#include "table/change.h"

struct coherent;

/*
 * From now on the cache is coherent with these databases (borrowed, like the cache; both outlive this). Before the
 * cache is used. The cache's ids of tables must be coherent_table_id(), its keys the encoded values of the partition
 * key and of the sort key one behind the other, its orders those of change records (table_write.change_seq).
 */
enum status coherent_new(struct cache *cache, struct table_db *const *dbs, size_t db_count, struct coherent **ret,
			 struct err *err);
/* After the cache was used last. NULL is fine. */
void coherent_free(struct coherent *co);

/* Of the id that DescribeTable tells. */
uint64_t coherent_table_id(struct slice table_id);

/* stator_dax_coherent_... */
void coherent_write_metrics(struct coherent *co, struct slice node, struct buf *out);

#endif
