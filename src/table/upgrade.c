/*
 * Data of an older form, rewritten when it is opened.
 *
 * Form 1 of the catalog ordered partition keys by another hash (docs/formats/key.md), so every row key of it is
 * different. Its tables are written anew, side by side with what is there, under numbers that nothing has used; then
 * one batch makes the new rows the tables and drops the old ones. A crash before leaves form 1 as it was, with rows of
 * numbers that nobody has: they are deleted when the work begins again.
 *
 * Form 1 had tables, indexes of all kinds, policies and tokens of transactions; TTL, streams and splits came later.
 */
#include "base/log.h"
#include "model/key.h"
#include "table/table_int.h"

#include <stdlib.h>

#define ROWS_AT_ONCE 1000

struct upgrade {
	struct table_db *db;
	struct arena arena;           /* of all: the tables' rows */
	struct engine_batch *the_end; /* what makes it so */
	struct slice *names, *records;
	size_t count, room;
	uint64_t items;
};

static enum status
note_table(void *context, struct slice name, struct slice bytes, struct err *err)
{
	struct upgrade *u = context;
	struct arena_mark mark = arena_mark(&u->arena);
	struct record r;
	enum status s = record_decode(name, bytes, arena_allocator(&u->arena), &r, err);

	/* before anything is dropped */
	if (s == S_OK)
		s = catalog_check_numbers(u->db, name, &r, err);
	arena_rewind(&u->arena, mark);
	if (s != S_OK)
		return s;
	if (u->count == u->room) {
		u->room = u->room > 0 ? 2 * u->room : 64;
		u->names = reallocarray(u->names, u->room, sizeof *u->names);
		u->records = reallocarray(u->records, u->room, sizeof *u->records);
		if (u->names == NULL || u->records == NULL)
			abort();
	}
	u->names[u->count] = arena_dup(&u->arena, name);
	u->records[u->count++] = arena_dup(&u->arena, bytes);
	return S_OK;
}

/* One by one: walks over the tables that get these numbers do not look at what was dropped (ENGINE_NEVER_DROPPED). Nor
 * does this one: an older program may have dropped such rows as a range. */
static enum status
delete_rows(struct upgrade *u, enum engine_space space, const struct buf *from, const struct buf *to, struct err *err)
{
	struct engine_batch *batch = engine_batch_new(u->db->engine);
	struct engine_iter *it = engine_iter_new(u->db->engine, NULL, space, buf_slice(from), buf_slice(to),
						 ENGINE_SCAN | ENGINE_NEVER_DROPPED);
	enum status s = S_OK;
	size_t count = 0;
	uint64_t seq;

	for (engine_iter_first(it); s == S_OK && engine_iter_valid(it); engine_iter_next(it)) {
		engine_batch_delete(batch, space, engine_iter_key(it));
		if (++count % ROWS_AT_ONCE == 0) {
			s = engine_apply(u->db->engine, batch, &seq, err);
			engine_batch_clear(batch);
		}
	}
	if (s == S_OK)
		s = engine_iter_status(it, err);
	if (s == S_OK && count % ROWS_AT_ONCE != 0)
		s = engine_apply(u->db->engine, batch, &seq, err);
	engine_iter_free(it);
	engine_batch_free(batch);
	return s;
}

/* Rows of numbers that are not given out: of an upgrade that a crash ended. */
static enum status
delete_unfinished(struct upgrade *u, struct err *err)
{
	static const enum engine_space spaces[] = {SPACE_ITEMS, SPACE_INDEXES};
	struct buf from = {0}, to = {0};
	enum status s = S_OK;

	buf_put_be32(&from, u->db->next_number);
	buf_put_be32(&to, UINT32_MAX);
	for (size_t i = 0; s == S_OK && i < sizeof spaces / sizeof *spaces; i++)
		s = delete_rows(u, spaces[i], &from, &to, err);
	from.len = to.len = 0;
	catalog_key_counts(&from, u->db->next_number, 0);
	catalog_key_counts(&to, UINT32_MAX, 0);
	if (s == S_OK)
		s = delete_rows(u, SPACE_CATALOG, &from, &to, err);
	buf_done(&from);
	buf_done(&to);
	return s;
}

/* Under the partition's lock: the item's row and those of its indexes, with the counts. */
static enum status
put_item(struct table *t, struct scratch *scratch, struct slice row_key, struct partition *partition, struct av item,
	 struct arena *a, struct err *err)
{
	struct delta *deltas = ARENA_ARRAY(a, struct delta, t->index_count);
	struct delta one = {1, (int64_t)item_size(item)};
	struct index_change change;
	struct buf *keys = &scratch->from; /* row_key lies in scratch->keys */
	uint64_t failures, seq;
	enum status s;

	engine_batch_clear(scratch->batch);
	s = counts_begin(t, partition, ENGINE_MAY_BLOCK, &failures, err);
	if (s != S_OK)
		return s;
	engine_batch_put(scratch->batch, SPACE_ITEMS, row_key, av_slice(item));
	for (size_t i = 0; i < t->index_count; i++) {
		const struct table_index *x = &t->indexes[i];

		keys->len = 0;
		/* a key of another type, older than the index: the item is not in it */
		if (!x->maintained ||
		    index_compare(t, x, AV_NONE, item, KEY_FROM_ITEM, keys, a, &change, NULL) != S_OK || !change.has)
			continue;
		engine_batch_put(scratch->batch, SPACE_INDEXES, buf_part(keys, change.new_key_at, change.new_key_len),
				 change.new_value);
		deltas[i] = (struct delta){1, (int64_t)change.new_size};
	}
	counts_put_row(t, partition, one, deltas, scratch->batch, &scratch->value);
	s = engine_apply(t->core->db->engine, scratch->batch, &seq, err);
	if (s == S_OK)
		counts_end(t, partition, failures, one, deltas);
	return s;
}

static enum status
copy_item(struct table *t, struct scratch *scratch, struct slice value, struct arena *a, struct err *err)
{
	struct partition *partition;
	struct err why = {0};
	struct av item;
	uint64_t hash;
	enum status s;

	if (av_check(value, &why) != S_OK || value.len == 0 || (uint8_t)value.data[0] != TAG_M ||
	    key_check_item(table_schema(t), av_stored(value), &why) != S_OK)
		return err_set(err, S_CORRUPT, "an item of table %.*s is damaged: %s", SLICE_ARG(t->core->name),
			       why.message);
	item = av_stored(value);
	scratch->keys.len = 0;
	key_put_row(&scratch->keys, t->core->number, table_schema(t), item, &hash);
	partition = partition_lock(t->core, hash);
	s = put_item(t, scratch, buf_slice(&scratch->keys), partition, item, a, err);
	pthread_mutex_unlock(&partition->lock);
	return s;
}

static enum status
copy_items(struct upgrade *u, struct table *t, uint32_t old_number, struct err *err)
{
	struct scratch *scratch = table_scratch_take(u->db);
	struct buf from = {0}, to = {0};
	struct engine_iter *it;
	enum status s = S_OK;

	space_range(old_number, &from, &to);
	it = engine_iter_new(u->db->engine, NULL, SPACE_ITEMS, buf_slice(&from), buf_slice(&to),
			     ENGINE_SCAN | ENGINE_NEVER_DROPPED);
	for (engine_iter_first(it); s == S_OK && engine_iter_valid(it); engine_iter_next(it)) {
		struct arena_mark mark = arena_mark(&u->arena);

		s = copy_item(t, scratch, engine_iter_value(it), &u->arena, err);
		arena_rewind(&u->arena, mark);
		u->items++;
	}
	if (s == S_OK)
		s = engine_iter_status(it, err);
	engine_iter_free(it);
	table_scratch_give(u->db, scratch);
	buf_done(&from);
	buf_done(&to);
	return s;
}

/* ---- the end: the batch that all depends on ---- */

static void
drop_space(struct upgrade *u, enum engine_space space, uint32_t number)
{
	struct buf from = {0}, to = {0};

	space_range(number, &from, &to);
	engine_batch_delete_range(u->the_end, space, buf_slice(&from), buf_slice(&to));
	buf_done(&from);
	buf_done(&to);
}

static void
drop_row(struct upgrade *u, void (*key_of)(struct buf *out, uint32_t number), uint32_t number)
{
	struct buf key = {0};

	key_of(&key, number);
	engine_batch_delete(u->the_end, SPACE_CATALOG, buf_slice(&key));
	buf_done(&key);
}

static void
drop_old(struct upgrade *u, const struct record *old)
{
	struct buf from = {0}, to = {0};

	drop_space(u, SPACE_ITEMS, old->number);
	for (size_t i = 0; i < old->spec.index_count; i++) {
		drop_space(u, SPACE_INDEXES, old->indexes[i].number);
		drop_row(u, catalog_key_progress, old->indexes[i].number);
	}
	catalog_key_counts(&from, old->number, 0);
	catalog_key_counts(&to, old->number + 1, 0);
	engine_batch_delete_range(u->the_end, SPACE_CATALOG, buf_slice(&from), buf_slice(&to));
	drop_row(u, catalog_key_policy, old->number);
	buf_done(&from);
	buf_done(&to);
}

static enum status
move_policy(struct upgrade *u, uint32_t old_number, uint32_t number, struct err *err)
{
	struct engine_value value = {0};
	struct buf key = {0};
	enum status s;

	catalog_key_policy(&key, old_number);
	s = engine_get(u->db->engine, NULL, SPACE_CATALOG, buf_slice(&key), ENGINE_MAY_BLOCK, &value, err);
	if (s == S_OK) {
		key.len = 0;
		catalog_key_policy(&key, number);
		engine_batch_put(u->the_end, SPACE_CATALOG, buf_slice(&key), value.data);
	}
	engine_value_done(&value);
	buf_done(&key);
	return s == S_NOT_FOUND ? S_OK : s;
}

/* ---- all ---- */

static enum status
upgrade_table(struct upgrade *u, struct slice name, struct slice bytes, struct err *err)
{
	struct buf key = {0}, value = {0};
	struct table *t = NULL;
	struct record old, r;
	enum status s = record_decode(name, bytes, arena_allocator(&u->arena), &old, err);

	if (s == S_OK)
		s = record_decode(name, bytes, arena_allocator(&u->arena), &r, err);
	if (s != S_OK)
		return s;
	catalog_key_table(&key, name);
	drop_old(u, &old);
	if (old.status == TABLE_DELETING) {
		engine_batch_delete(u->the_end, SPACE_CATALOG, buf_slice(&key));
		buf_done(&key);
		return S_OK;
	}
	r.number = u->db->next_number++;
	for (size_t i = 0; i < r.spec.index_count; i++)
		r.indexes[i].number = u->db->next_number++;
	record_encode(&r, &value);
	engine_batch_put(u->the_end, SPACE_CATALOG, buf_slice(&key), buf_slice(&value));
	s = version_new(u->db, NULL, name, buf_slice(&value), &t, err);
	if (s == S_OK) {
		for (size_t i = 0; i < t->index_count; i++)
			index_parts_grow(t->indexes[i].core, layout_of(t->core)->count);
		s = copy_items(u, t, old.number, err);
	}
	if (s == S_OK)
		s = move_policy(u, old.number, r.number, err);
	table_release(t);
	buf_done(&key);
	buf_done(&value);
	return s;
}

static enum status
finish(struct upgrade *u, struct err *err)
{
	struct buf key = {0}, value = {0};

	catalog_key_next_number(&key);
	buf_put_be32(&value, u->db->next_number);
	engine_batch_put(u->the_end, SPACE_CATALOG, buf_slice(&key), buf_slice(&value));
	catalog_put_form(u->the_end);
	buf_done(&key);
	buf_done(&value);
	return catalog_commit(u->db, u->the_end, err);
}

enum status
upgrade_form_1(struct table_db *db, struct err *err)
{
	struct upgrade u = {.db = db, .the_end = engine_batch_new(db->engine)};
	enum status s = catalog_each_table(db, note_table, &u, err);

	if (s == S_OK)
		s = delete_unfinished(&u, err);
	if (s == S_OK)
		log_info("table", "%s: data of form 1 is rewritten in form 2, %zu tables", db->region, u.count);
	for (size_t i = 0; s == S_OK && i < u.count; i++)
		s = upgrade_table(&u, u.names[i], u.records[i], err);
	if (s == S_OK)
		s = finish(&u, err);
	if (s == S_OK)
		log_info("table", "%s: rewritten, %llu items", db->region, (unsigned long long)u.items);
	engine_batch_free(u.the_end);
	arena_done(&u.arena);
	free(u.names);
	free(u.records);
	return s;
}
