/*
 * Item counts and sizes, exact: each partition has one row with what its items add to the table and to each index. The
 * row goes into the same batch as the change it counts, so after a crash it is right without counting again.
 * A write that changes neither count nor size (an overwrite by an item of the same size) leaves it alone.
 *
 * The figures in memory count writes that a failed sync may take back. Each partition's next write reads its row again;
 * for those who only ask, table_recount() does.
 */
#include "table/table_int.h"

#define COUNTS_VERSION 1

static void
put_le64(struct buf *out, int64_t v)
{
	uint64_t bits = (uint64_t)v; /* the machines we build for are little endian, as the item format is */

	buf_put(out, &bits, sizeof bits);
}

static int64_t
get_le64(const char *at)
{
	uint64_t bits;

	memcpy(&bits, at, sizeof bits);
	return (int64_t)bits;
}

static void
add(struct count *count, struct delta delta)
{
	/* one writer at a time (the partition's lock): no need for an atomic addition */
	atomic_store_explicit(&count->items, atomic_load_explicit(&count->items, memory_order_relaxed) + delta.items,
			      memory_order_relaxed);
	atomic_store_explicit(&count->bytes, atomic_load_explicit(&count->bytes, memory_order_relaxed) + delta.bytes,
			      memory_order_relaxed);
}

static void
put_count(struct buf *out, const struct count *count, struct delta delta)
{
	put_le64(out, atomic_load_explicit(&count->items, memory_order_relaxed) + delta.items);
	put_le64(out, atomic_load_explicit(&count->bytes, memory_order_relaxed) + delta.bytes);
}

void
counts_put_row(const struct table *t, const struct partition *partition, struct delta table,
	       const struct delta *indexes, struct engine_batch *batch, struct buf *scratch)
{
	size_t key, value;

	scratch->len = 0;
	catalog_key_counts(scratch, t->core->number, partition->id);
	key = scratch->len;
	buf_put_byte(scratch, COUNTS_VERSION);
	put_count(scratch, &partition->count, table);
	for (size_t i = 0; i < t->index_count; i++) {
		if (!t->indexes[i].maintained)
			continue;
		buf_put_be32(scratch, t->indexes[i].core->number);
		put_count(scratch, &index_part_of(t->indexes[i].core, partition->id)->count,
			  indexes ? indexes[i] : (struct delta){0, 0});
	}
	value = scratch->len - key;
	engine_batch_put(batch, SPACE_CATALOG, buf_part(scratch, 0, key), buf_part(scratch, key, value));
}

static void
set(struct count *count, int64_t items, int64_t bytes)
{
	atomic_store_explicit(&count->items, items, memory_order_relaxed);
	atomic_store_explicit(&count->bytes, bytes, memory_order_relaxed);
}

/* Rows may name indexes that are gone; they are passed over. */
static enum status
read_row(const struct table *t, struct partition *partition, struct slice row, struct err *err)
{
	const char *at = row.data + 1;
	const char *end = row.data + row.len;

	if (row.len < 17 || row.data[0] != COUNTS_VERSION || (row.len - 17) % 20 != 0)
		return err_set(err, S_CORRUPT, "the counts of table %.*s are damaged", SLICE_ARG(t->core->name));
	set(&partition->count, get_le64(at), get_le64(at + 8));
	for (at += 16; at < end; at += 20) {
		uint32_t number;

		memcpy(&number, at, 4);
		number = __builtin_bswap32(number);
		for (size_t i = 0; i < t->index_count; i++)
			if (t->indexes[i].core->number == number)
				set(&index_part_of(t->indexes[i].core, partition->id)->count, get_le64(at + 4),
				    get_le64(at + 12));
	}
	return S_OK;
}

enum status
counts_load(const struct table *t, struct partition *partition, unsigned flags, struct err *err)
{
	struct engine_value value = {0};
	struct buf key = {0};
	enum status s;

	catalog_key_counts(&key, t->core->number, partition->id);
	s = engine_get(t->core->db->engine, NULL, SPACE_CATALOG, buf_slice(&key), flags, &value, err);
	if (s == S_OK || s == S_NOT_FOUND) {
		set(&partition->count, 0, 0);
		for (size_t i = 0; i < t->index_count; i++)
			set(&index_part_of(t->indexes[i].core, partition->id)->count, 0, 0);
		s = s == S_OK ? read_row(t, partition, value.data, err) : S_OK;
	}
	engine_value_done(&value);
	buf_done(&key);
	return s;
}

enum status
counts_begin(const struct table *t, struct partition *partition, unsigned flags, uint64_t *ret_failures,
	     struct err *err)
{
	*ret_failures = engine_failed_through(t->core->db->engine);
	if (*ret_failures == partition->failures)
		return S_OK;
	return counts_load(t, partition, flags, err);
}

/*
 * Under each partition's lock in turn, as a write does it; the disk is read before. The partition's own note stays as
 * it is: its next write reads the row again.
 */
static enum status
recount_table(struct table *t, struct err *err)
{
	enum status s = S_OK;

	for (uint32_t i = 0; s == S_OK && i < layout_of(t->core)->count; i++) {
		struct partition *p = layout_of(t->core)->by_id[i];
		struct engine_value value = {0};
		struct buf key = {0};

		catalog_key_counts(&key, t->core->number, p->id);
		do {
			s = engine_get(t->core->db->engine, NULL, SPACE_CATALOG, buf_slice(&key), ENGINE_MAY_BLOCK,
				       &value, err);
			engine_value_done(&value);
			value = (struct engine_value){0};
			if (s != S_OK && s != S_NOT_FOUND)
				break;
			pthread_mutex_lock(&p->lock);
			s = t->core->current != NULL ? counts_load(t->core->current, p, ENGINE_CACHED_ONLY, err) : S_OK;
			pthread_mutex_unlock(&p->lock);
		} while (s == S_WOULD_BLOCK);
		buf_done(&key);
	}
	return s;
}

enum status
table_recount(struct table_db *db, bool may_block, struct err *err)
{
	/* twice for a failure: when reads step back, and when the database was opened anew, which may show more */
	uint64_t reopened = engine_reopened(db->engine);
	struct arena a = {0};
	struct slice *names;
	size_t count;
	bool more;
	enum status s = S_OK;

	if (atomic_load_explicit(&db->recounted, memory_order_relaxed) == reopened)
		return S_OK;
	if (!may_block)
		return S_WOULD_BLOCK;
	table_list(db, SLICE_NONE, TABLES_MAX, &a, &names, &count, &more);
	for (size_t i = 0; s == S_OK && i < count; i++) {
		struct table *t = directory_find(db, names[i]);

		if (t != NULL)
			s = recount_table(t, err);
		table_release(t);
	}
	arena_done(&a);
	if (s == S_OK)
		atomic_store(&db->recounted, reopened);
	return s;
}

void
counts_end(const struct table *t, struct partition *partition, uint64_t failures, struct delta table,
	   const struct delta *indexes)
{
	add(&partition->count, table);
	for (size_t i = 0; indexes != NULL && i < t->index_count; i++)
		add(&index_part_of(t->indexes[i].core, partition->id)->count, indexes[i]);
	partition->failures = failures;
}
