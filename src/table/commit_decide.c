/*
 * Deciding one write, under its partition's lock: the old item is read, the condition tested, the new item made,
 * compared with what each index holds, and all that changes put into the batch. Nothing is visible yet.
 */
#include "model/key.h"
#include "table/commit_int.h"
#include "table/recent.h"
#include "table/vector.h"

/* ---- reading what is there ---- */

enum status
commit_read_old(struct commit *c, const struct place *place, unsigned flags, struct av *ret, struct err *err)
{
	struct slice key = buf_part(&c->scratch->keys, place->key_at, place->key_len), cached;
	/* with a lock held it is the layout of `place`, else perhaps not: then the stamp must go with the slot */
	const struct layout *layout = layout_of(place->locked->core);
	const _Atomic uint64_t *slot = recent_slot(layout_find(layout, place->hash), place->hash);
	/* that it is not BUSY and does not change is certain only under the lock; warm() comes without */
	uint64_t slot_before = atomic_load_explicit(slot, memory_order_acquire);
	uint64_t stamp = item_stamp(c->db, layout);
	struct engine_value value = {0};
	enum status s;

	*ret = AV_NONE;
	if (lru_get(c->db->items, key, place->cache_hash, stamp, c->io->arena, &cached)) {
		if (cached.len > 0)
			*ret = av_stored(cached);
		return S_OK;
	}
	s = engine_get(c->db->engine, NULL, SPACE_ITEMS, key, flags, &value, err);
	if (s == S_OK) {
		*ret = av_stored(arena_dup(c->io->arena, value.data));
		if (slot_before != RECENT_BUSY)
			lru_put(c->db->items, key, place->cache_hash, stamp, value.data, slot, slot_before);
	}
	engine_value_done(&value);
	return s == S_NOT_FOUND ? S_OK : s;
}

enum status
commit_row_exists(struct commit *c, size_t key_at, size_t key_len, unsigned flags, bool *ret, struct err *err)
{
	struct engine_value value = {0};
	enum status s;

	s = engine_get(c->db->engine, NULL, SPACE_INDEXES, buf_part(&c->scratch->keys, key_at, key_len), flags, &value,
		       err);
	engine_value_done(&value);
	*ret = s == S_OK;
	return s == S_NOT_FOUND ? S_OK : s;
}

/* ---- deciding ---- */

static enum status
too_big(const struct table_write *w, struct err *err)
{
	return err_set(err, S_VALIDATION,
		       w->kind == WRITE_UPDATE ? "Item size to update has exceeded the maximum allowed size"
					       : "Item size has exceeded the maximum allowed size");
}

void
commit_mark(struct commit *c, _Atomic uint64_t *slot)
{
	if (c->marked_count == c->marked_cap) {
		struct marked *more = ARENA_ARRAY(c->io->arena, struct marked, 2 * c->marked_cap + 16);

		if (c->marked_count > 0)
			memcpy(more, c->marked, c->marked_count * sizeof *more);
		c->marked = more;
		c->marked_cap = 2 * c->marked_cap + 16;
	}
	c->marked[c->marked_count++].slot = slot;
}

static uint32_t
larger_half_writes(uint64_t a, uint64_t b)
{
	return capacity_half_writes(a > b ? a : b);
}

static uint64_t
vector_bytes(uint64_t size)
{
	return size > VECTOR_WRITE_MIN_BYTES ? size : VECTOR_WRITE_MIN_BYTES;
}

/* What a change of an index costs: one write, or a delete and a put when its key is another one. */
static void
add_units(const struct index_change *change, struct table_units *units)
{
	bool del = change->had && !change->same_key;

	if (change->index->spec->vector != NULL) {
		units->vector_write =
		    (del ? vector_bytes(change->old_size) : 0) + (change->has ? vector_bytes(change->new_size) : 0);
		return;
	}
	if (change->same_key) {
		units->half_write = larger_half_writes(change->old_size, change->new_size);
		return;
	}
	units->half_write = (del ? capacity_half_writes(change->old_size) : 0) +
			    (change->has ? capacity_half_writes(change->new_size) : 0);
}

/* Put one index's rows and add up what that costs. */
static void
put_index_rows(struct commit *c, struct table_write *w, const struct place *place, const struct index_change *change,
	       bool old_exists, size_t i)
{
	struct engine_batch *batch = c->scratch->batch;
	const struct buf *keys = &c->scratch->keys;
	struct locked *l = place->locked;

	if (change->changed) {
		struct table_units *units = &w->units[w->unit_count++];

		*units = (struct table_units){.index = change->index};
		add_units(change, units);
	}
	if (change->had && old_exists && !change->same_key)
		engine_batch_delete(batch, SPACE_INDEXES, buf_part(keys, change->old_key_at, change->old_key_len));
	if (change->has && change->row_changed)
		engine_batch_put(batch, SPACE_INDEXES, buf_part(keys, change->new_key_at, change->new_key_len),
				 change->new_value);
	if (l->index_deltas == NULL)
		l->index_deltas = ARENA_ARRAY(c->io->arena, struct delta, l->version->index_count);
	if (change->had && old_exists) {
		l->index_deltas[i].items--;
		l->index_deltas[i].bytes -= (int64_t)change->old_size;
	}
	if (change->has) {
		l->index_deltas[i].items++;
		l->index_deltas[i].bytes += (int64_t)change->new_size;
	}
	if (change->index->core->has_recent) {
		if (change->had)
			commit_mark(c, recent_index_slot(change->index->core, place->partition->id, change->old_hash));
		if (change->has)
			commit_mark(c, recent_index_slot(change->index->core, place->partition->id, change->new_hash));
	}
}

static enum status
decide_indexes(struct commit *c, struct table_write *w, const struct place *place, unsigned flags, struct err *err)
{
	const struct table *t = place->locked->version;
	enum key_cause cause = w->kind == WRITE_UPDATE ? KEY_FROM_UPDATE : KEY_FROM_ITEM;
	struct buf *keys = &c->scratch->keys;
	size_t keys_len = keys->len;
	enum status s = S_OK;

	for (size_t n = 0; s == S_OK && n < t->index_count; n++) {
		size_t i = t->by_name[n];
		const struct table_index *x = &t->indexes[i];
		struct index_change change;
		bool old_exists = true;

		if (!x->maintained)
			continue;
		s = index_compare(t, x, w->old_item, w->new_item, cause, keys, c->io->arena, &change, err);
		if (s == S_OK && x->record->building && change.had) {
			s = commit_row_exists(c, change.old_key_at, change.old_key_len, flags, &old_exists, err);
			if (change.has && !old_exists)
				change.row_changed = true; /* ahead of the filling, which costs nothing */
		}
		if (s == S_OK && (change.changed || change.row_changed))
			put_index_rows(c, w, place, &change, old_exists, i);
		keys->len = keys_len;
	}
	return s;
}

static enum status
check_given_type(const struct table_index *x, const struct key_attr *attr, const struct expr *update, struct err *err)
{
	enum av_type given;

	if (!expr_update_type(update, attr->name, &given) || given == attr->type)
		return S_OK;
	return err_set(
	    err, S_VALIDATION,
	    "One or more parameter values were invalid: Type mismatch for Index Key %.*s Expected: %s Actual: %s "
	    "IndexName: %.*s",
	    SLICE_ARG(attr->name), av_type_name(attr->type), av_type_name(given), SLICE_ARG(x->spec->name));
}

/* What is wrong with index keys whatever the item is: DynamoDB tells that before it looks at the condition. */
static enum status
check_given_index_keys(const struct table *t, const struct table_write *w, struct err *err)
{
	enum status s = S_OK;
	bool indexed;

	for (size_t n = 0; s == S_OK && n < t->index_count; n++) {
		const struct table_index *x = &t->indexes[t->by_name[n]];
		const struct key_schema *schema = &x->spec->schema;

		if (!x->maintained)
			continue;
		if (x->spec->vector != NULL) {
			if (w->kind == WRITE_PUT)
				s = vector_check_item(x, w->item, err);
			continue;
		}
		if (w->kind == WRITE_PUT)
			s = key_check_index_from(schema, x->spec->name, w->item, KEY_FROM_ITEM, &indexed, err);
		for (unsigned i = 0; s == S_OK && w->update != NULL && i < schema->partition_count; i++)
			s = check_given_type(x, &schema->partition[i], w->update, err);
		for (unsigned i = 0; s == S_OK && w->update != NULL && i < schema->sort_count; i++)
			s = check_given_type(x, &schema->sort[i], w->update, err);
	}
	return s;
}

/* The old item is read and the condition holds: what shall the item be? */
static enum status
make_new_item(struct commit *c, struct table_write *w, struct err *err)
{
	struct expr_updated updated;
	enum status s;

	switch (w->kind) {
	case WRITE_PUT:
		w->new_item = w->item;
		return S_OK;
	case WRITE_UPDATE:
		if (w->update == NULL) { /* an update without expression makes sure that the item exists */
			w->new_item = av_exists(w->old_item) ? w->old_item : w->key;
			return S_OK;
		}
		s = expr_update(w->update, w->key, w->old_item, c->io->arena, &updated, err);
		if (s == S_OK) {
			w->new_item = updated.new_item;
			w->updated_old = updated.updated_old;
			w->updated_new = updated.updated_new;
		}
		return s;
	default:
		return S_OK;
	}
}

/*
 * What one partition key's items and local index rows may come to. A collection lies in one partition, so as long as
 * the partition as a whole holds less, which is known without asking, there is nothing to look up.
 */
static enum status
check_collection(struct commit *c, const struct table_write *w, const struct locked *l, uint64_t growth,
		 struct err *err)
{
	uint64_t most = c->db->collection_bytes_max;
	int64_t held = atomic_load_explicit(&l->partition->count.bytes, memory_order_relaxed) +
		       (int64_t)l->partition->inherited_bytes;

	for (size_t i = 0; i < l->version->index_count; i++) {
		const struct table_index *x = &l->version->indexes[i];

		if (!x->spec->global)
			held += atomic_load_explicit(&index_part_of(x->core, l->partition->id)->count.bytes,
						     memory_order_relaxed);
	}
	if (held < 0 || (uint64_t)held + growth <= most)
		return S_OK;
	if (table_collection_bytes((struct table *)l->version, w->kind == WRITE_PUT ? w->item : w->key, c->io) +
		growth <=
	    most)
		return S_OK;
	return err_set(err, S_ITEM_COLLECTION_LIMIT, "Collection size exceeded.");
}

/* The item is not due any more: it is passed over. Its row went with the write that changed that; if it did not, it is
 * not to come up again. */
static enum status
keep_item(struct commit *c, struct table_write *w, const struct place *place)
{
	const struct table *t = place->locked->version;
	struct buf *work = &c->scratch->value;

	if (t->ttl != NULL && table_ttl_due_ms(w->old_item, t->record.ttl.attribute) != w->expires_ms) {
		work->len = 0;
		ttl_put_key(work, t->ttl->number, w->expires_ms,
			    buf_part(&c->scratch->keys, place->key_at, place->key_len));
		engine_batch_delete(c->scratch->batch, SPACE_INDEXES, buf_slice(work));
		c->any_change = true;
	}
	w->old_item = AV_NONE;
	return S_OK;
}

enum status
commit_decide(struct commit *c, struct table_write *w, const struct place *place, unsigned flags, struct err *err)
{
	struct locked *l = place->locked;
	struct engine_batch *batch = c->scratch->batch;
	uint64_t old_size, new_size, old_billed;
	struct slice key;
	enum status s;

	w->old_item = w->new_item = w->updated_old = w->updated_new = AV_NONE;
	w->unit_count = 0;
	w->change_seq = 0;
	w->units = ARENA_ARRAY(c->io->arena, struct table_units, 1 + l->version->index_count);
	s = commit_read_old(c, place, flags, &w->old_item, err);
	if (s != S_OK)
		return s;
	if (w->expires_ms != 0 && !ttl_holds(l->version, w->old_item, w->expires_ms))
		return keep_item(c, w, place);
	old_size = av_exists(w->old_item) ? item_size(w->old_item) : 0;
	old_billed = vector_billed_size(l->version, w->old_item, old_size);
	if (w->update != NULL || (w->condition != NULL && w->kind == WRITE_PUT)) {
		s = check_given_index_keys(l->version, w, err);
		if (s != S_OK)
			return s;
	}
	w->unit_count = 1; /* a refused write also costs, by what it looked at */
	w->units[0].half_write = capacity_half_writes(old_billed);
	if (w->condition != NULL && !expr_test(w->condition, w->old_item))
		return err_set(err, S_COND_FAILED, "The conditional request failed");
	if (w->kind == WRITE_CHECK)
		return S_OK;
	s = make_new_item(c, w, err);
	if (s != S_OK)
		return s;
	new_size = av_exists(w->new_item) ? item_size(w->new_item) : 0;
	if (new_size > ITEM_SIZE_MAX)
		return too_big(w, err);
	if (new_size > old_size && l->version->has_local) {
		s = check_collection(c, w, l, new_size - old_size, err);
		if (s != S_OK)
			return s;
	}
	w->units[0].half_write = larger_half_writes(old_billed, vector_billed_size(l->version, w->new_item, new_size));
	if (!av_exists(w->old_item) && !av_exists(w->new_item))
		return S_OK; /* a delete of nothing */
	s = decide_indexes(c, w, place, flags, err);
	if (s != S_OK)
		return s;
	key = buf_part(&c->scratch->keys, place->key_at, place->key_len); /* only now: the buffer may have moved */
	if (av_exists(w->new_item))
		engine_batch_put(batch, SPACE_ITEMS, key, av_slice(w->new_item));
	else
		engine_batch_delete(batch, SPACE_ITEMS, key);
	if (l->version->ttl != NULL)
		ttl_put_rows(l->version, w->old_item, w->new_item, key, batch, &c->scratch->value, &l->due_ms);
	if (w->expires_ms != 0)
		w->unit_count = 0; /* the service does not charge for it */
	l->delta.items += (int64_t)av_exists(w->new_item) - (int64_t)av_exists(w->old_item);
	l->delta.bytes += (int64_t)new_size - (int64_t)old_size;
	if (l->changes.wants != 0 &&
	    !(av_exists(w->old_item) && av_exists(w->new_item) && av_equal(w->old_item, w->new_item)))
		change_put(l->version, l->partition, w, &l->changes, c->scratch, c->io->arena);
	commit_mark(c, recent_slot(l->partition, place->hash));
	c->any_change = true;
	return S_OK;
}
