/*
 * Pages of queries that were asked for before, as the bytes in which they are told.
 *
 * A page lies in one item collection of the table or of a local index, and so everything that could change it goes
 * through one slot of recent.h, like an item. An entry has the slot's value from before the page was read, and counts
 * only while the slot still has it. A write stores BUSY in the slot before its batch can be seen and later a place that
 * was never there, so from that moment on no reader finds what was told before, and writers do nothing for it. (A batch
 * that failed puts back the old value, and the pages count again: nothing has changed.) Pages of global indexes are not
 * kept: any partition may write into them.
 *
 * The stamp is that of items (item_stamp()): it ends all entries when the engine came back without what a failed sync
 * lost, and a table's when it was split. Why a reader with an old layout, who looks at a slot that nobody writes any
 * more, is right all the same: when it took the layout the slot was the one to look at, and it has not changed since
 * the page was read, so the page was true after the reader had begun.
 *
 * What a page depends on is in its key: the rows' bounds (they begin with the table's or index's number, which is never
 * given again), direction, limit and whether items are fetched. Filters and projections are not kept. What was read and
 * is not yet durable is found as always, from the slot: a page that is found may have to wait as one that is read.
 *
 * A page is kept when it is read for the second time and the slot has not changed in between: who reads something once,
 * or what is written more often than read, costs nothing here. Texts over PAGE_TEXT_MAX are not kept.
 */
#ifndef STATOR_TABLE_PAGES_H
#define STATOR_TABLE_PAGES_H

#include "base/lru.h"
#include "table/table_int.h"

#define PAGE_TEXT_MAX (128U * 1024) /* longer pages are read, written and packed on the I/O pool */

struct pages;

struct pages *pages_new(uint64_t budget_bytes);
void pages_free(struct pages *p); /* NULL is fine */
struct lru_figures pages_figures(struct pages *p);

/* Where a page is looked for and put. */
struct page_place {
	struct slice key; /* borrowed */
	uint64_t hash;
	uint64_t stamp; /* this, slot and its value are taken before the page is read */
	const _Atomic uint64_t *slot;
	uint64_t slot_before;
};
/* True: all of the page but its units is filled in, with what is fetched; *ret_bytes: of its rows, for capacity. */
bool pages_find(struct pages *p, const struct page_place *place, struct arena *a, struct table_page *page,
		uint64_t *ret_bytes);
/* Keeps, perhaps, a page that was read because it was not found. */
void pages_put(struct pages *p, const struct page_place *place, const struct table_page *page, uint64_t bytes,
	       struct slice text);

#endif
