/*
 * Memory of a fixed size for many things of any size that come and go: what it takes from the system is never more than
 * it was given, whatever sizes follow each other.
 *
 * It is cut into pages of 16 KB, a page into slots of one class, so that a slot is at most an eighth larger than what
 * is in it (larger things are cut into several slots by their owner: slab_class_for()). When sizes change, pages of one
 * class lie half empty while another class has none: slab_compact() moves slots together until a page is free. So a
 * class holds back less than a page, and that is all that is ever lost.
 *
 * One thread at a time.
 */
#ifndef STATOR_BASE_SLAB_H
#define STATOR_BASE_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLAB_PAGE    16384
#define SLAB_CLASSES 33

struct slab_page;

struct slab {
	char *base;
	struct slab_page *pages;
	uint32_t page_count;            /* there are */
	uint32_t page_limit;            /* may be used */
	uint32_t page_used;             /* are in use */
	uint32_t page_fresh;            /* from here on never used: not yet the system's */
	uint32_t free_pages;            /* list, number + 1 */
	uint32_t partial[SLAB_CLASSES]; /* pages with free slots: lists, number + 1 */
	uint32_t free_slots[SLAB_CLASSES];
};

/* Address space for `bytes` is reserved, memory taken when it is first used. Never fails but by ending the process. */
void slab_init(struct slab *s, size_t bytes);
void slab_done(struct slab *s); /* zeroed is fine */

/*
 * The class for `bytes`. When none is close enough the next smaller one is told: the owner cuts off as much as fits
 * (slab_class_bytes()) and asks again for the rest.
 */
unsigned slab_class_for(size_t bytes);
size_t slab_class_bytes(unsigned class);
size_t slab_slot_bytes(const struct slab *s, const void *slot); /* of the slot's class */

/* 16-byte aligned; NULL: no slot of that class and no free page. */
void *slab_alloc(struct slab *s, unsigned class);
void slab_free(struct slab *s, void *slot);

/* May use so many bytes from now on, at most what it began with; pages above that are not taken away, but no new ones
 * are given. */
void slab_limit(struct slab *s, size_t bytes);
bool slab_over_limit(const struct slab *s);

/*
 * Make a page free by moving slots of one class together. move() copies a slot's bytes and tells everyone who knows its
 * address; false: it cannot be moved now. False: there is nothing to win.
 */
bool slab_compact(struct slab *s, bool (*move)(void *context, void *from, void *to, size_t bytes), void *context);
/* Memory in use: pages and what describes them. */
size_t slab_bytes(const struct slab *s);
/* Give the memory of free pages back to the system. */
void slab_trim(struct slab *s);

#endif
