/*
 * The read path: one item, a page of a query, a page of a scan. No locks. What was seen and is not yet durable raises
 * io->wait_seq (recent.h), looked up after the data was read.
 */
#include "base/thread.h"
#include "model/key.h"
#include "table/pages.h"
#include "table/recent.h"

/* Of a row that is about to be read: rows lie scattered, and waiting for their bytes is a part of a page's time. */
#define PREFETCH_BYTES 4096
#define BREATH_BYTES   (16 * 1024) /* of rows between two questions whether others want to go on: some 20 us */

static enum status
table_gone(struct err *err)
{
	return err_set(err, S_RESOURCE_NOT_FOUND, "Requested resource not found");
}

/* The item from the cache, or from the engine and then into the cache. */
static enum status
get_cached(struct table_core *core, struct slice row_key, uint64_t hash, struct table_io *io, struct av *ret,
	   struct err *err)
{
	struct table_db *db = core->db;
	const struct layout *layout = layout_of(core);
	const _Atomic uint64_t *slot = recent_slot(layout_find(layout, hash), hash);
	uint64_t cache_hash = lru_hash(row_key), stamp = item_stamp(db, layout);
	struct engine_value value = {0};
	struct slice item;
	uint64_t slot_before;
	enum status s;

	if (lru_get(db->items, row_key, cache_hash, stamp, io->arena, &item)) {
		*ret = item.len > 0 ? av_stored(item) : AV_NONE;
		return S_OK;
	}
	slot_before = atomic_load_explicit(slot, memory_order_acquire);
	s = engine_get(db->engine, NULL, SPACE_ITEMS, row_key, io->may_block ? ENGINE_MAY_BLOCK : ENGINE_CACHED_ONLY,
		       &value, err);
	if (s == S_OK)
		*ret = av_stored(arena_dup(io->arena, value.data));
	if ((s == S_OK || s == S_NOT_FOUND) && slot_before != RECENT_BUSY)
		lru_put(db->items, row_key, cache_hash, stamp, s == S_OK ? value.data : SLICE_NONE, slot, slot_before);
	engine_value_done(&value);
	return s;
}

enum status
table_get(struct table *t, struct av key, struct table_io *io, struct av *ret, struct err *err)
{
	struct table_db *db = t->core->db;
	struct scratch *scratch = table_scratch_take(db);
	uint64_t durable_before = engine_durable(db->engine);
	uint64_t hash;
	enum status s;

	*ret = AV_NONE;
	key_put_row(&scratch->keys, t->core->number, table_schema(t), key, &hash);
	s = get_cached(t->core, buf_slice(&scratch->keys), hash, io, ret, err);
	table_scratch_give(db, scratch);
	if (s != S_OK && s != S_NOT_FOUND)
		return s;
	/* set before the first row is dropped: not set, then nothing was missing when the row was read */
	if (atomic_load(&t->core->dropped))
		return table_gone(err);
	recent_read_collection(t->core, hash, durable_before, &io->wait_seq);
	return S_OK;
}

/* ---- where a page lies ---- */

struct walk {
	const struct table_read *read;
	struct table *t;
	struct table_core *core;
	const struct table_index *index;
	const struct key_schema *schema;
	struct scratch *scratch;
	struct table_io *io;
	enum engine_space space;
	uint32_t number;
	size_t prefix_len;    /* query: of the item collection's part of `from` */
	uint64_t hash;        /* query */
	uint64_t first, last; /* scan: hashes, both inclusive */
	bool fetch;           /* from the table what a local index does not hold */
	unsigned flags;
	struct engine_snapshot *snapshot; /* only to fetch: index row and item of one moment */
	uint64_t bytes;                   /* of rows, for capacity */
	uint64_t page_bytes;              /* what bounds a page: of fetched items instead of their rows */
	size_t items_cap;
};

static void
buf_copy(struct buf *to, const struct buf *from)
{
	to->len = 0;
	buf_put(to, from->data, from->len);
}

static void
query_bounds(struct walk *w)
{
	const struct key_range *range = w->read->range;
	struct buf *from = &w->scratch->from, *to = &w->scratch->to;

	key_put_collection(from, w->number, range->partition, w->schema->partition_count, &w->hash);
	w->prefix_len = from->len;
	for (unsigned i = 0; i < range->sort_equal_count; i++)
		key_put_part(from, range->sort_equal[i]);
	buf_copy(to, from);
	switch (range->op) {
	case KEY_ALL:
		break;
	case KEY_EQ:
		key_put_part(from, range->low);
		key_put_part(to, range->low);
		break;
	case KEY_LT:
		key_put_part(to, range->low);
		return; /* the rows of the value itself begin there: not behind them */
	case KEY_LE:
		key_put_part(to, range->low);
		break;
	case KEY_GT:
		key_put_part(from, range->low);
		key_after_prefix(from);
		break;
	case KEY_GE:
		key_put_part(from, range->low);
		break;
	case KEY_BETWEEN:
		key_put_part(from, range->low);
		key_put_part(to, range->high);
		break;
	case KEY_BEGINS_WITH:
		key_put_prefix(from, av_bytes(range->low));
		key_put_prefix(to, av_bytes(range->low));
		break;
	}
	key_after_prefix(to);
}

static void
scan_bounds(struct walk *w)
{
	uint32_t segment = w->read->segment, total = w->read->total_segments ? w->read->total_segments : 1;
	struct buf *from = &w->scratch->from, *to = &w->scratch->to;

	w->first = (uint64_t)(((unsigned __int128)segment << 64) / total);
	w->last = (uint64_t)((((unsigned __int128)segment + 1) << 64) / total - 1);
	buf_put_be32(from, w->number);
	buf_put_be64(from, w->first);
	buf_put_be32(to, w->number);
	buf_put_be64(to, w->last);
	key_after_prefix(to);
}

/* ---- where it goes on ---- */

static enum status
bad_start(struct err *err, const char *why)
{
	return err_set(err, S_VALIDATION, "The provided starting key %s", why);
}

static bool
has_attrs(const struct key_attr *attrs, unsigned count, struct av item)
{
	for (unsigned i = 0; i < count; i++) {
		struct av v = av_get(item, attrs[i].name);

		if (!av_exists(v) || av_type(v) != attrs[i].type)
			return false;
	}
	return true;
}

static bool
has_key(const struct key_schema *schema, struct av item)
{
	return has_attrs(schema->partition, schema->partition_count, item) &&
	       has_attrs(schema->sort, schema->sort_count, item);
}

/* Does the key fulfil what the query asks of the sort key, its partition key aside? */
static bool
start_sort_matches(struct walk *w)
{
	struct buf *row = &w->scratch->value;

	row->len = 0;
	buf_put(row, w->scratch->from.data, w->prefix_len);
	for (unsigned i = 0; i < w->schema->sort_count; i++)
		key_put_part(row, av_get(w->read->start_key, w->schema->sort[i].name));
	return slice_cmp(buf_slice(row), buf_slice(&w->scratch->from)) >= 0 &&
	       slice_cmp(buf_slice(row), buf_slice(&w->scratch->to)) < 0;
}

static enum status
check_start(struct walk *w, struct slice row, uint64_t hash, struct err *err)
{
	const struct key_range *range = w->read->range;
	bool same_collection, has_sort_condition;

	if (range == NULL) {
		if (hash >= w->first && hash <= w->last)
			return S_OK;
		return err_set(
		    err, S_VALIDATION,
		    "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey "
		    "with correct Segment. TotalSegments: %u Segment: %u",
		    w->read->total_segments, w->read->segment);
	}
	has_sort_condition = range->op != KEY_ALL || range->sort_equal_count > 0;
	same_collection = slice_starts(row, slice_of(w->scratch->from.data, w->prefix_len));
	if (has_sort_condition && !start_sort_matches(w))
		return bad_start(err, "does not match the range key predicate");
	if (same_collection)
		return S_OK;
	if (has_sort_condition)
		return err_set(err, S_VALIDATION, "The query can return at most one row and cannot be restarted");
	return bad_start(err, "is outside query boundaries based on provided conditions");
}

/* Move the bound from which the page starts behind the starting key. */
static enum status
start_behind(struct walk *w, struct err *err)
{
	struct av key = w->read->start_key;
	struct buf *row = &w->scratch->keys;
	uint64_t hash;
	enum status s;

	if (!has_key(table_schema(w->t), key) || !has_key(w->schema, key))
		return bad_start(err, "is invalid");
	row->len = 0;
	if (w->index != NULL)
		key_put_index_row(row, w->number, w->schema, table_schema(w->t), key, &hash);
	else
		key_put_row(row, w->number, w->schema, key, &hash);
	s = check_start(w, buf_slice(row), hash, err);
	if (s != S_OK)
		return s;
	if (w->read->backward) {
		buf_copy(&w->scratch->to, row);
	} else {
		buf_put_byte(row, 0); /* the next key there can be: no row key is the beginning of another */
		buf_copy(&w->scratch->from, row);
	}
	return S_OK;
}

/* ---- one page ---- */

static bool
holds_attr(const struct table_index *x, struct slice name)
{
	for (size_t i = 0; i < x->row_name_count; i++)
		if (slice_eq(x->row_names[i], name))
			return true;
	return false;
}

/* A local index reads from the table what is asked for and not projected; a global one never does (api refuses it). */
static bool
needs_fetch(const struct table_read *read)
{
	const struct slice *names;
	size_t count;

	if (read->index == NULL || read->index->whole || read->index->spec->global)
		return false;
	if (read->select == SELECT_ALL)
		return true;
	if (read->select != SELECT_SPECIFIC || read->projection == NULL)
		return false;
	names = expr_projected_attrs(read->projection, &count);
	for (size_t i = 0; i < count; i++)
		if (!holds_attr(read->index, names[i]))
			return true;
	return false;
}

static enum status
fetch(struct walk *w, struct av row, struct table_page *page, struct av *ret, struct err *err)
{
	struct engine_value value = {0};
	struct buf *key = &w->scratch->keys;
	enum status s;

	key->len = 0;
	key_put_row(key, w->core->number, table_schema(w->t), row, NULL);
	s = engine_get(w->core->db->engine, w->snapshot, SPACE_ITEMS, buf_slice(key), w->flags, &value, err);
	if (s == S_OK) {
		*ret = av_stored(arena_dup(w->io->arena, value.data));
		page->table_units.half_read += capacity_half_reads(item_size(*ret), w->read->consistent);
	}
	engine_value_done(&value);
	if (s == S_NOT_FOUND)
		return err_set(err, S_CORRUPT, "a row of index %.*s of table %.*s has no item",
			       SLICE_ARG(w->index->spec->name), SLICE_ARG(w->core->name));
	return s;
}

static void
add_item(struct walk *w, struct table_page *page, struct av item)
{
	if (page->count == w->items_cap) {
		struct av *more;

		w->items_cap = w->items_cap ? 2 * w->items_cap : 64;
		more = arena_alloc(w->io->arena, w->items_cap * sizeof *more);
		if (page->count > 0)
			memcpy(more, page->items, page->count * sizeof *more);
		page->items = more;
	}
	page->items[page->count] = item;
}

/* Look at one row; it counts whether the filter takes it or not. `row` is valid only until the iterator moves. */
static enum status
take_row(struct walk *w, struct av row, struct table_page *page, struct err *err)
{
	const struct table_read *read = w->read;
	struct av item = row;
	uint64_t size;
	enum status s;

	page->scanned++;
	for (uint32_t at = 0; at < row.len && at < PREFETCH_BYTES; at += 64)
		__builtin_prefetch(row.data + at);
	if (w->fetch) {
		s = fetch(w, row, page, &item, err);
		if (s != S_OK)
			return s;
	}
	size = item_size(row);
	w->bytes += size;
	w->page_bytes += w->fetch ? item_size(item) : size;
	if (!w->io->may_block && w->page_bytes > INLINE_BYTES_MAX)
		return S_WOULD_BLOCK;
	if (read->filter != NULL && !expr_test(read->filter, item))
		return S_OK;
	if (read->select != SELECT_COUNT) {
		if (read->projection != NULL)
			item = expr_project(read->projection, item, w->io->arena);
		else if (!w->fetch && read->take == NULL)
			item = av_stored(arena_dup(w->io->arena, av_slice(item)));
		if (read->take != NULL)
			read->take(read->context, item);
		else
			add_item(w, page, item);
	}
	page->count++;
	return S_OK;
}

static struct av
key_of_row(const struct walk *w, struct av row)
{
	if (w->index == NULL)
		return key_of_item(w->schema, row, w->io->arena);
	return item_pick(w->io->arena, row, w->index->key_names, w->index->key_name_count);
}

static enum status
walk_rows(struct walk *w, struct table_page *page, struct err *err)
{
	const struct table_read *read = w->read;
	struct engine_iter *it;
	uint64_t breathed_bytes = w->bytes;
	enum status s = S_OK;

	if (slice_cmp(buf_slice(&w->scratch->from), buf_slice(&w->scratch->to)) >= 0)
		return S_OK;
	it = engine_iter_new(w->core->db->engine, w->snapshot, w->space, buf_slice(&w->scratch->from),
			     buf_slice(&w->scratch->to),
			     w->flags | ENGINE_NEVER_DROPPED | (read->range == NULL ? ENGINE_SCAN : 0));
	if (read->backward)
		engine_iter_last(it);
	else
		engine_iter_first(it);
	while (engine_iter_valid(it)) {
		struct av row = av_stored(engine_iter_value(it));

		s = take_row(w, row, page, err);
		if (s != S_OK)
			break;
		if (w->bytes - breathed_bytes >= BREATH_BYTES) {
			breathed_bytes = w->bytes;
			thread_breathe();
		}
		/* the page ends with the item that reaches a limit, and names it even when nothing follows */
		if (page->scanned == read->limit || w->page_bytes >= PAGE_BYTES_MAX) {
			page->last_key = key_of_row(w, row);
			break;
		}
		if (read->backward)
			engine_iter_prev(it);
		else
			engine_iter_next(it);
	}
	if (s == S_OK && !engine_iter_valid(it))
		s = engine_iter_status(it, err);
	engine_iter_free(it);
	return s;
}

/* Rows of what is being dropped may be missing: the flag is set before the first is. */
static enum status
check_dropped(const struct walk *w, struct err *err)
{
	if (atomic_load(&w->core->dropped))
		return table_gone(err);
	if (w->index != NULL && atomic_load(&w->index->core->dropped))
		return err_set(err, S_VALIDATION, "The table does not have the specified index: %.*s",
			       SLICE_ARG(w->index->spec->name));
	return S_OK;
}

static void
raise_wait(const struct walk *w, uint64_t durable_before)
{
	bool global = w->index != NULL && w->index->spec->global;
	uint64_t *wait_seq = &w->io->wait_seq;

	if (w->read->range != NULL && global)
		recent_read_index(w->core, w->index->core, w->hash, durable_before, wait_seq);
	else if (w->read->range != NULL)
		recent_read_collection(w->core, w->hash, durable_before, wait_seq);
	else if (global)
		recent_read_range(w->core, 0, UINT64_MAX, durable_before, wait_seq);
	else
		recent_read_range(w->core, w->first, w->last, durable_before, wait_seq);
}

/* May the page be kept? Then in one item collection's slot lies all that can change it. */
static bool
may_be_kept(const struct walk *w)
{
	const struct table_read *read = w->read;

	return w->core->db->pages != NULL && read->text != NULL && read->range != NULL && read->filter == NULL &&
	       read->projection == NULL && (w->index == NULL || !w->index->spec->global);
}

/* After the bounds are known. scratch->value stays until the page is kept. */
static struct page_place
page_place(struct walk *w)
{
	enum { BACKWARD = 1, INDEX = 2, FETCH = 4, CONSISTENT = 8, COUNT = 16 };
	const struct table_read *read = w->read;
	const struct buf *from = &w->scratch->from, *to = &w->scratch->to;
	const struct layout *layout = layout_of(w->core);
	struct page_place place = {.slot = recent_slot(layout_find(layout, w->hash), w->hash),
				   .stamp = item_stamp(w->core->db, layout)};
	struct buf *key = &w->scratch->value;
	/* what is fetched was counted for one kind of consistency */
	int flags = (read->backward ? BACKWARD : 0) | (w->index != NULL ? INDEX : 0) | (w->fetch ? FETCH : 0) |
		    (w->fetch && read->consistent ? CONSISTENT : 0) | (read->select == SELECT_COUNT ? COUNT : 0);

	place.slot_before = atomic_load_explicit(place.slot, memory_order_acquire);
	key->len = 0;
	buf_put_be32(key, read->limit);
	buf_put_byte(key, (uint8_t)flags);
	buf_put_be32(key, (uint32_t)from->len);
	buf_put(key, from->data, from->len);
	buf_put(key, to->data, to->len);
	place.key = buf_slice(key);
	place.hash = lru_hash(place.key);
	return place;
}

static enum status
walk_snapshot(struct walk *w, struct table_page *page, struct err *err)
{
	struct engine *e = w->core->db->engine;
	enum status s;

	if (w->fetch)
		w->snapshot = engine_snapshot_new(e);
	s = walk_rows(w, page, err);
	if (w->snapshot != NULL)
		engine_snapshot_free(e, w->snapshot);
	return s;
}

/* From the kept ones, or by walking over the rows. */
static enum status
find_or_walk(struct walk *w, struct table_page *page, struct err *err)
{
	struct pages *pages = w->core->db->pages;
	struct page_place place;
	enum status s;

	if (!may_be_kept(w))
		return walk_snapshot(w, page, err);
	place = page_place(w);
	if (pages_find(pages, &place, w->io->arena, page, &w->bytes))
		return S_OK;
	s = walk_snapshot(w, page, err);
	if (s == S_OK)
		pages_put(pages, &place, page, w->bytes, w->read->text(w->read->context));
	return s;
}

static enum status
read_page(struct walk *w, struct table_page *page, struct err *err)
{
	uint64_t durable_before = engine_durable(w->core->db->engine);
	enum status s = S_OK, gone;

	if (w->read->range != NULL)
		query_bounds(w);
	else
		scan_bounds(w);
	if (av_exists(w->read->start_key))
		s = start_behind(w, err);
	if (s != S_OK)
		return s;
	s = find_or_walk(w, page, err);
	if (s == S_OK || s == S_CORRUPT) { /* an item missing behind its index row may just have been dropped */
		gone = check_dropped(w, err);
		s = gone != S_OK ? gone : s;
	}
	if (s == S_OK)
		raise_wait(w, durable_before);
	return s;
}

enum status
table_read_page(const struct table_read *read, struct table_io *io, struct table_page *ret, struct err *err)
{
	const struct table_index *x = read->index;
	struct walk w = {.read = read, .t = read->table, .core = read->table->core, .index = x, .io = io};
	enum status s;

	*ret = (struct table_page){.units = {.index = x}};
	w.schema = x != NULL ? &x->spec->schema : table_schema(read->table);
	w.space = x != NULL ? SPACE_INDEXES : SPACE_ITEMS;
	w.number = x != NULL ? x->core->number : w.core->number;
	w.flags = io->may_block ? ENGINE_MAY_BLOCK : ENGINE_CACHED_ONLY;
	w.fetch = needs_fetch(read);
	w.scratch = table_scratch_take(w.core->db);
	s = read_page(&w, ret, err);
	table_scratch_give(w.core->db, w.scratch);
	if (s != S_OK)
		return s;
	ret->units.half_read = capacity_half_reads(w.bytes, read->consistent);
	return S_OK;
}

/* ---- item collections ---- */

/*
 * The engine's own estimate: the figure is told in whole gigabytes ("SizeEstimateRangeGB"), walking through so many
 * items to be exact about it would be absurd.
 */
uint64_t
table_collection_bytes(struct table *t, struct av key, struct table_io *io)
{
	struct table_db *db = t->core->db;
	struct scratch *scratch = table_scratch_take(db);
	struct av partition = av_get(key, table_schema(t)->partition[0].name);
	uint64_t bytes = 0;

	(void)io; /* nothing is read that could block */
	for (size_t i = 0; i <= t->index_count; i++) {
		const struct table_index *x = i > 0 ? &t->indexes[i - 1] : NULL;

		if (x != NULL && x->spec->global)
			continue;
		scratch->from.len = 0;
		key_put_collection(&scratch->from, x != NULL ? x->core->number : t->core->number, &partition, 1, NULL);
		buf_copy(&scratch->to, &scratch->from);
		key_after_prefix(&scratch->to);
		bytes += engine_approximate_bytes(db->engine, x != NULL ? SPACE_INDEXES : SPACE_ITEMS,
						  buf_slice(&scratch->from), buf_slice(&scratch->to));
	}
	table_scratch_give(db, scratch);
	return bytes;
}
