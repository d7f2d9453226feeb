/*
 * Filling an index that was added to a table with items.
 *
 * From the moment the index is in the table's current version every write maintains it; the backfill adds the rows of
 * what is already there. It walks the table in row key order, a step at a time, and for each item that belongs into
 * the index takes the partition's lock, reads the item again and puts its row when it is missing. Writes on their side
 * look whether an old row is there before they count it as taken away (index `building`). So whoever comes first writes
 * the row and counts it, once.
 *
 * The progress row (the last row key looked at) follows the rows in the log, so after a crash it never claims more than
 * was done; doing a part again finds the rows there. Nobody reads the index before it is ACTIVE, and that is
 * made durable behind all its rows: its recent-writes slots are not needed here.
 *
 * The rows of TTL (ttl.h) are filled in the same way. They are not counted, and putting or deleting one twice changes
 * nothing, so there is no need to look whether one is there.
 */
#include "base/fault.h"
#include "model/key.h"
#include "table/table_int.h"

#define STEP_ROWS   64
#define STEP_BYTES  (256 * 1024)
#define WARM_ROUNDS 4

struct step {
	struct table *t;
	const struct table_index *x; /* NULL: TTL */
	struct table_core *core;
	struct engine *engine;
	struct scratch *scratch;
	struct arena arena;
	struct buf found; /* row keys of items to index */
	struct {
		size_t at, len;
	} rows[STEP_ROWS];
	size_t row_count;
	bool at_end;
};

static uint64_t
row_hash(struct slice row_key)
{
	uint64_t hash;

	memcpy(&hash, row_key.data + 4, sizeof hash); /* behind the space id, big endian */
	return __builtin_bswap64(hash);
}

static uint32_t
number_of(const struct step *st)
{
	return st->x != NULL ? st->x->core->number : st->t->record.ttl.number;
}

/* Has the item a row? One whose index key has the wrong type is passed over. *ret_change: of an index. */
static bool
has_row(struct step *st, struct av item, struct buf *keys, struct index_change *ret_change)
{
	if (st->x == NULL)
		return table_ttl_due_ms(item, st->t->record.ttl.attribute) != TTL_NEVER;
	return index_compare(st->t, st->x, AV_NONE, item, KEY_FROM_ITEM, keys, &st->arena, ret_change, NULL) == S_OK &&
	       ret_change->has;
}

/* Where the walk stands: from becomes the first key to look at. */
static enum status
load_progress(struct step *st, struct err *err)
{
	struct engine_value value = {0};
	struct buf *key = &st->scratch->keys;
	enum status s;

	space_range(st->core->number, &st->scratch->from, &st->scratch->to);
	key->len = 0;
	catalog_key_progress(key, number_of(st));
	s = engine_get(st->engine, NULL, SPACE_CATALOG, buf_slice(key), ENGINE_MAY_BLOCK, &value, err);
	if (s == S_OK) {
		st->scratch->from.len = 0;
		buf_put_slice(&st->scratch->from, value.data);
		buf_put_byte(&st->scratch->from, 0);
	}
	engine_value_done(&value);
	return s == S_NOT_FOUND ? S_OK : s;
}

static enum status
save_progress(struct step *st, struct slice last_row_key, struct err *err)
{
	struct buf *key = &st->scratch->keys;
	uint64_t seq;

	key->len = 0;
	catalog_key_progress(key, number_of(st));
	engine_batch_clear(st->scratch->batch);
	engine_batch_put(st->scratch->batch, SPACE_CATALOG, buf_slice(key), last_row_key);
	return engine_apply(st->engine, st->scratch->batch, &seq, err);
}

/* The next rows of the table; value keeps the last row key looked at. */
static enum status
collect(struct step *st, struct buf *last, struct err *err)
{
	struct engine_iter *it = engine_iter_new(st->engine, NULL, SPACE_ITEMS, buf_slice(&st->scratch->from),
						 buf_slice(&st->scratch->to), ENGINE_SCAN | ENGINE_NEVER_DROPPED);
	struct index_change change;
	size_t looked_at = 0, bytes = 0;
	enum status s = S_OK;

	for (engine_iter_first(it); engine_iter_valid(it) && looked_at < STEP_ROWS && bytes < STEP_BYTES;
	     engine_iter_next(it)) {
		struct slice key = engine_iter_key(it), value = engine_iter_value(it);
		struct arena_mark mark = arena_mark(&st->arena);

		looked_at++;
		bytes += value.len;
		last->len = 0;
		buf_put_slice(last, key);
		st->scratch->keys.len = 0;
		if (has_row(st, av_stored(value), &st->scratch->keys, &change)) {
			st->rows[st->row_count].at = st->found.len;
			st->rows[st->row_count++].len = key.len;
			buf_put_slice(&st->found, key);
		}
		arena_rewind(&st->arena, mark);
	}
	st->at_end = !engine_iter_valid(it);
	if (st->at_end)
		s = engine_iter_status(it, err);
	engine_iter_free(it);
	return s;
}

/* Under the lock: the item's row, when it is missing. *ret_put: the batch holds something. */
static enum status
decide_row(struct step *st, const struct table *version, struct partition *partition, struct slice row_key,
	   unsigned flags, struct delta *deltas, bool *ret_put, struct err *err)
{
	struct engine_value value = {0};
	struct index_change change;
	struct buf *keys = &st->scratch->keys;
	struct slice index_key;
	struct av item = AV_NONE;
	enum status s;

	*ret_put = false;
	s = engine_get(st->engine, NULL, SPACE_ITEMS, row_key, flags, &value, err);
	if (s == S_OK)
		item = av_stored(arena_dup(&st->arena, value.data));
	engine_value_done(&value);
	if (s != S_OK)
		return s == S_NOT_FOUND ? S_OK : s; /* deleted meanwhile */
	keys->len = 0;
	if (!has_row(st, item, keys, &change))
		return S_OK;
	if (st->x == NULL) {
		ttl_put_key(keys, number_of(st), table_ttl_due_ms(item, st->t->record.ttl.attribute), row_key);
		engine_batch_put(st->scratch->batch, SPACE_INDEXES, buf_slice(keys), SLICE_NONE);
		*ret_put = true;
		return S_OK;
	}
	index_key = buf_part(keys, change.new_key_at, change.new_key_len);
	value = (struct engine_value){0};
	s = engine_get(st->engine, NULL, SPACE_INDEXES, index_key, flags, &value, err);
	engine_value_done(&value);
	if (s != S_NOT_FOUND)
		return s; /* S_OK: a write was here first */
	for (size_t i = 0; i < version->index_count; i++)
		if (version->indexes[i].core == st->x->core)
			deltas[i] = (struct delta){1, (int64_t)change.new_size};
	engine_batch_put(st->scratch->batch, SPACE_INDEXES, index_key, change.new_value);
	counts_put_row(version, partition, (struct delta){0, 0}, deltas, st->scratch->batch, &st->scratch->value);
	*ret_put = true;
	return S_OK;
}

static enum status
add_row_locked(struct step *st, struct partition *partition, struct slice row_key, unsigned flags, struct err *err)
{
	const struct table *version = st->core->current;
	struct delta *deltas;
	uint64_t failures, seq;
	bool put;
	enum status s;

	if (core_is_doubtful(st->core))
		return err_set(err, S_IO, MSG_DOUBT);
	if (atomic_load(&st->core->dropped) || (st->x != NULL && atomic_load(&st->x->core->dropped)) ||
	    (st->x == NULL && version->record.ttl.number != number_of(st)))
		return S_OK;
	deltas = ARENA_ARRAY(&st->arena, struct delta, version->index_count);
	engine_batch_clear(st->scratch->batch); /* before the first read, as in commit.c */
	s = counts_begin(version, partition, flags, &failures, err);
	if (s == S_OK)
		s = decide_row(st, version, partition, row_key, flags, deltas, &put, err);
	if (s != S_OK || !put)
		return s;
	s = engine_apply(st->engine, st->scratch->batch, &seq, err);
	fault_pass(FAULT_BACKFILL_ROW);
	if (s == S_OK)
		counts_end(version, partition, failures, (struct delta){0, 0}, deltas);
	return s;
}

/* As the write path does: the lock is not held while something is read from the disk. */
static enum status
warm(struct step *st, struct slice row_key, struct err *err)
{
	struct engine_value value = {0}, row = {0};
	struct index_change change;
	struct buf *keys = &st->scratch->keys;
	enum status s;

	s = engine_get(st->engine, NULL, SPACE_ITEMS, row_key, ENGINE_MAY_BLOCK, &value, err);
	keys->len = 0;
	if (s == S_OK && st->x != NULL && has_row(st, av_stored(value.data), keys, &change))
		s = engine_get(st->engine, NULL, SPACE_INDEXES, buf_part(keys, change.new_key_at, change.new_key_len),
			       ENGINE_MAY_BLOCK, &row, err);
	engine_value_done(&row);
	engine_value_done(&value);
	return s == S_NOT_FOUND ? S_OK : s;
}

static enum status
add_row(struct step *st, struct slice row_key, struct err *err)
{
	enum status s;

	for (int round = 0;; round++) {
		struct arena_mark mark = arena_mark(&st->arena);
		struct partition *p = partition_lock(st->core, row_hash(row_key));

		s = add_row_locked(st, p, row_key, round < WARM_ROUNDS ? ENGINE_CACHED_ONLY : ENGINE_MAY_BLOCK, err);
		pthread_mutex_unlock(&p->lock);
		if (s == S_WOULD_BLOCK)
			s = warm(st, row_key, err) == S_OK ? S_WOULD_BLOCK : S_IO;
		arena_rewind(&st->arena, mark);
		if (s != S_WOULD_BLOCK)
			return s;
	}
}

enum status
backfill_step(struct table *t, const struct table_index *x, bool *ret_done, struct err *err)
{
	struct step st = {.t = t, .x = x, .core = t->core, .engine = t->core->db->engine};
	struct buf last = {0};
	enum status s;

	st.scratch = table_scratch_take(t->core->db);
	s = load_progress(&st, err);
	if (s == S_OK)
		s = collect(&st, &last, err);
	for (size_t i = 0; s == S_OK && i < st.row_count; i++)
		s = add_row(&st, buf_part(&st.found, st.rows[i].at, st.rows[i].len), err);
	fault_pass(FAULT_BACKFILL_STEP);
	if (s == S_OK && last.len > 0)
		s = save_progress(&st, buf_slice(&last), err);
	table_scratch_give(t->core->db, st.scratch);
	arena_done(&st.arena);
	buf_done(&st.found);
	buf_done(&last);
	*ret_done = st.at_end;
	return s;
}
