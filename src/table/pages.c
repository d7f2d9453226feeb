#include "table/pages.h"

#include <stdlib.h>

#include "codec/gzip.h"

#define SEEN 8192 /* reads of pages that are remembered: a power of two */

struct pages {
	struct lru *lru;
	_Atomic uint32_t seen[SEEN]; /* what was read once, by its hash; others fall into the same places */
};

/* An entry's value: this, the encoded last key, the text. */
struct head {
	uint64_t bytes;
	uint32_t count, scanned;
	uint32_t fetched_half_read;
	uint32_t key_len, text_len;
	uint32_t crc, crc_shift;
};

struct pages *
pages_new(uint64_t budget_bytes)
{
	struct pages *p = calloc(1, sizeof *p);

	if (p == NULL)
		abort();
	p->lru = lru_new(budget_bytes);
	return p;
}

void
pages_free(struct pages *p)
{
	if (p == NULL)
		return;
	lru_free(p->lru);
	free(p);
}

struct lru_figures
pages_figures(struct pages *p)
{
	return p != NULL ? lru_figures(p->lru) : (struct lru_figures){0};
}

bool
pages_find(struct pages *p, const struct page_place *place, struct arena *a, struct table_page *page,
	   uint64_t *ret_bytes)
{
	struct lru_shard *shard;
	struct lru_entry *e = lru_hold(p->lru, place->key, place->hash, place->stamp, place->slot, &shard);
	struct head head;

	if (e == NULL)
		return false;
	lru_read_part(shard, e, 0, sizeof head, (char *)&head);
	page->count = head.count;
	page->scanned = head.scanned;
	page->table_units.half_read = head.fetched_half_read;
	if (head.key_len > 0) {
		char *key = arena_alloc(a, head.key_len);

		lru_read_part(shard, e, sizeof head, head.key_len, key);
		page->last_key = av_stored(slice_of(key, head.key_len));
	}
	page->text = (struct table_text){.shard = shard,
					 .entry = e,
					 .at = (uint32_t)sizeof head + head.key_len,
					 .len = head.text_len,
					 .crc = head.crc,
					 .crc_shift = head.crc_shift};
	*ret_bytes = head.bytes;
	return true;
}

/* Has the page been read before, and nothing in its slot been written since? */
static bool
is_read_again(struct pages *p, const struct page_place *place)
{
	uint64_t mixed = (place->hash ^ place->slot_before) * 0x9e3779b97f4a7c15U;
	_Atomic uint32_t *seen = &p->seen[place->hash & (SEEN - 1)];
	uint32_t what = (uint32_t)(mixed >> 32) | 1;

	if (atomic_load_explicit(seen, memory_order_relaxed) == what)
		return true;
	atomic_store_explicit(seen, what, memory_order_relaxed);
	return false;
}

void
pages_put(struct pages *p, const struct page_place *place, const struct table_page *page, uint64_t bytes,
	  struct slice text)
{
	struct slice key = av_slice(page->last_key);
	struct head head = {.bytes = bytes,
			    .count = page->count,
			    .scanned = page->scanned,
			    .fetched_half_read = page->table_units.half_read,
			    .key_len = (uint32_t)key.len,
			    .text_len = (uint32_t)text.len};
	const struct slice parts[] = {slice_of((const char *)&head, sizeof head), key, text};

	if (place->slot_before == RECENT_BUSY || text.len > PAGE_TEXT_MAX || !is_read_again(p, place))
		return;
	head.crc = crc32_of(text);
	head.crc_shift = crc32_shift(text.len);
	lru_keep(p->lru, place->key, place->hash, place->stamp, parts, 3, place->slot, place->slot_before);
}

void
table_text_copy(const struct table_text *text, char *ret)
{
	lru_read_part(text->shard, text->entry, text->at, text->len, ret);
}

size_t
table_text_runs(const struct table_text *text, struct slice *ret, size_t max)
{
	return lru_runs(text->shard, text->entry, text->at, text->len, ret, max);
}

void
table_text_done(struct table_text *text)
{
	if (text->entry != NULL)
		lru_let_go(text->shard, text->entry);
	text->entry = NULL;
}
