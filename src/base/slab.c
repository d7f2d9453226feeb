#include "base/slab.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SLOTS_MAX  128
#define WASTE_PART 8    /* a slot may be larger than what is in it by one part of so many */
#define CUT_FROM   2048 /* smaller things are never cut: their classes are close */

struct slab_page {
	uint32_t prev, next; /* in its list; number + 1 */
	uint16_t class;
	uint16_t used;      /* slots */
	uint16_t untouched; /* slots from here on have never been used */
	uint16_t free_slot; /* list through the free slots' first bytes; number + 1 */
};

/* Bytes of a slot: multiples of 16, as large as so many in a page can be. */
static const uint16_t class_bytes[SLAB_CLASSES] = {128,  144,  160,  176,  208,  240,  272,  320,  352,  400,  448,
						   512,  576,  640,  736,  816,  896,  1024, 1088, 1168, 1248, 1360,
						   1488, 1632, 1808, 2048, 2336, 2720, 3264, 4096, 5456, 8192, 16384};

size_t
slab_class_bytes(unsigned class)
{
	return class_bytes[class];
}

static unsigned
class_slots(unsigned class)
{
	return SLAB_PAGE / class_bytes[class];
}

unsigned
slab_class_for(size_t bytes)
{
	unsigned low = 0, high = SLAB_CLASSES - 1;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (slab_class_bytes(middle) < bytes)
			low = middle + 1;
		else
			high = middle;
	}
	if (bytes > CUT_FROM && slab_class_bytes(low) > bytes + bytes / WASTE_PART)
		low--;
	return low;
}

/* ---- pages ---- */

static uint32_t
pages_in(size_t bytes)
{
	return (uint32_t)(bytes / (SLAB_PAGE + sizeof(struct slab_page)));
}

void
slab_init(struct slab *s, size_t bytes)
{
	*s = (struct slab){.page_count = pages_in(bytes)};
	s->page_limit = s->page_count;
	if (s->page_count == 0)
		return;
	s->base = mmap(NULL, (size_t)s->page_count * SLAB_PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	s->pages = calloc(s->page_count, sizeof *s->pages);
	if (s->base == MAP_FAILED || s->pages == NULL)
		abort();
}

void
slab_done(struct slab *s)
{
	if (s->base != NULL)
		munmap(s->base, (size_t)s->page_count * SLAB_PAGE);
	free(s->pages);
	*s = (struct slab){0};
}

void
slab_limit(struct slab *s, size_t bytes)
{
	s->page_limit = pages_in(bytes) < s->page_count ? pages_in(bytes) : s->page_count;
}

bool
slab_over_limit(const struct slab *s)
{
	return s->page_used > s->page_limit;
}

size_t
slab_bytes(const struct slab *s)
{
	return (size_t)s->page_used * SLAB_PAGE + s->page_count * sizeof *s->pages;
}

static uint32_t
page_of(const struct slab *s, const void *slot)
{
	return (uint32_t)((size_t)((const char *)slot - s->base) / SLAB_PAGE);
}

static char *
slot_at(const struct slab *s, uint32_t page, unsigned slot)
{
	return s->base + (size_t)page * SLAB_PAGE + slot * class_bytes[s->pages[page].class];
}

static unsigned
slot_of(const struct slab *s, uint32_t page, const void *slot)
{
	return (unsigned)((size_t)((const char *)slot - slot_at(s, page, 0)) / class_bytes[s->pages[page].class]);
}

size_t
slab_slot_bytes(const struct slab *s, const void *slot)
{
	return class_bytes[s->pages[page_of(s, slot)].class];
}

static void
link_partial(struct slab *s, uint32_t page)
{
	struct slab_page *p = &s->pages[page];
	uint32_t *head = &s->partial[p->class];

	p->prev = 0;
	p->next = *head;
	if (*head != 0)
		s->pages[*head - 1].prev = page + 1;
	*head = page + 1;
}

static void
unlink_partial(struct slab *s, uint32_t page)
{
	struct slab_page *p = &s->pages[page];

	if (p->prev != 0)
		s->pages[p->prev - 1].next = p->next;
	else
		s->partial[p->class] = p->next;
	if (p->next != 0)
		s->pages[p->next - 1].prev = p->prev;
}

/* A free page becomes one of that class. */
static bool
take_page(struct slab *s, unsigned class)
{
	uint32_t page;

	if (s->page_used >= s->page_limit)
		return false;
	if (s->free_pages != 0) {
		page = s->free_pages - 1;
		s->free_pages = s->pages[page].next;
	} else {
		page = s->page_fresh++;
	}
	s->pages[page] = (struct slab_page){.class = (uint16_t) class};
	s->page_used++;
	s->free_slots[class] += class_slots(class);
	link_partial(s, page);
	return true;
}

/* It has no used slot and is in no list. */
static void
give_page(struct slab *s, uint32_t page)
{
	struct slab_page *p = &s->pages[page];

	s->free_slots[p->class] -= class_slots(p->class);
	s->page_used--;
	p->next = s->free_pages;
	s->free_pages = page + 1;
}

/* ---- slots ---- */

void *
slab_alloc(struct slab *s, unsigned class)
{
	struct slab_page *p;
	uint32_t page;
	unsigned slot;
	char *at;

	if (s->partial[class] == 0 && !take_page(s, class))
		return NULL;
	page = s->partial[class] - 1;
	p = &s->pages[page];
	if (p->free_slot != 0) {
		uint16_t next;

		slot = p->free_slot - 1U;
		memcpy(&next, slot_at(s, page, slot), sizeof next);
		p->free_slot = next;
	} else {
		slot = p->untouched++;
	}
	at = slot_at(s, page, slot);
	s->free_slots[class]--;
	if (++p->used == class_slots(class))
		unlink_partial(s, page);
	return at;
}

void
slab_free(struct slab *s, void *slot)
{
	uint32_t page = page_of(s, slot);
	struct slab_page *p = &s->pages[page];

	memcpy(slot, &p->free_slot, sizeof p->free_slot);
	p->free_slot = (uint16_t)(slot_of(s, page, slot) + 1);
	s->free_slots[p->class]++;
	if (p->used-- == class_slots(p->class))
		link_partial(s, page);
	if (p->used == 0) {
		unlink_partial(s, page);
		give_page(s, page);
	}
}

/* ---- compaction ---- */

static void
mark_free(const struct slab *s, uint32_t page, bool *is_free)
{
	const struct slab_page *p = &s->pages[page];
	uint16_t slot = p->free_slot;

	memset(is_free, 0, SLOTS_MAX);
	while (slot != 0) {
		is_free[slot - 1] = true;
		memcpy(&slot, slot_at(s, page, slot - 1U), sizeof slot);
	}
	for (unsigned i = p->untouched; i < class_slots(p->class); i++)
		is_free[i] = true;
}

/* Move all of a page's slots into other pages of the class, which have room for them. */
static bool
vacate(struct slab *s, uint32_t page, bool (*move)(void *, void *, void *, size_t), void *context)
{
	struct slab_page *p = &s->pages[page];
	size_t bytes = slab_class_bytes(p->class);
	bool is_free[SLOTS_MAX];

	mark_free(s, page, is_free);
	unlink_partial(s, page); /* so that no slot of it is given out */
	for (unsigned i = 0; i < class_slots(p->class); i++) {
		void *to;

		if (is_free[i])
			continue;
		to = slab_alloc(s, p->class);
		assert(to != NULL);
		if (!move(context, slot_at(s, page, i), to, bytes)) {
			slab_free(s, to);
			link_partial(s, page);
			return false;
		}
		memcpy(slot_at(s, page, i), &p->free_slot, sizeof p->free_slot);
		p->free_slot = (uint16_t)(i + 1);
		p->used--;
		s->free_slots[p->class]++;
	}
	give_page(s, page);
	return true;
}

static uint32_t
emptiest(const struct slab *s, unsigned class)
{
	uint32_t best = s->partial[class];

	for (uint32_t at = best; at != 0; at = s->pages[at - 1].next)
		if (s->pages[at - 1].used < s->pages[best - 1].used)
			best = at;
	return best - 1;
}

bool
slab_compact(struct slab *s, bool (*move)(void *context, void *from, void *to, size_t bytes), void *context)
{
	for (unsigned class = 0; class < SLAB_CLASSES; class ++)
		if (s->free_slots[class] >= class_slots(class) && vacate(s, emptiest(s, class), move, context))
			return true;
	return false;
}

void
slab_trim(struct slab *s)
{
	for (uint32_t at = s->free_pages; at != 0; at = s->pages[at - 1].next)
		madvise(s->base + (size_t)(at - 1) * SLAB_PAGE, SLAB_PAGE, MADV_DONTNEED);
}
