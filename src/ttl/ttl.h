/*
 * The TTL service: one thread that deletes items whose time has come, in all regions of the server.
 *
 * It waits for no disk and no clock but looks every few milliseconds at each table's earliest due time, which is a
 * number in memory (table/ttl.h). What is due is deleted in small commits, a few items of one partition at a time, with
 * rests between them, so that clients meet a lock for microseconds only. The pace follows how much is due, up to
 * 25,000 items a second: a table with millions of items that are long due does not take the machine from its clients.
 *
 * Nothing is kept about what was done: an item that is there and due is deleted, after a crash as before. docs/TTL.md.
 */
#ifndef STATOR_TTL_TTL_H
#define STATOR_TTL_TTL_H

#include "table/ttl.h"

struct ttl_service;
/* Borrows the databases. */
enum status ttl_service_new(struct table_db **dbs, size_t db_count, struct ttl_service **ret, struct err *err);
/* Before the databases are closed. What is being deleted is finished. NULL is fine. */
void ttl_service_free(struct ttl_service *s);

/*
 * Delete all that is due in one table (empty: in all) now, without rests, on the calling thread, which may block.
 * *ret_wait_seq: up to where the engine must be durable before that may be told. S_RESOURCE_NOT_FOUND: no such table.
 */
enum status ttl_sweep(struct table_db *db, struct slice table_name, uint64_t *ret_deleted, uint64_t *ret_wait_seq,
		      struct err *err);

#endif
