/*
 * The write path. One call: lock the partitions in order, read the old items, decide, put items, index rows and counts
 * into one batch, mark the recent-writes slots, apply, unlock.
 *
 * No disk read happens under a lock: reads there are from the cache only. When one would block, the locks are dropped,
 * the rows are read where blocking is allowed (which brings them into the cache), and all is decided afresh.
 */
#include "base/clock.h"
#include "base/fault.h"
#include "model/key.h"
#include "table/change_int.h"
#include "table/recent.h"
#include "table/transact.h"
#include "table/vector.h"

#include <stdlib.h>

#define WARM_ROUNDS 4 /* then the cache is too small to keep a row for a moment: read under the lock after all */

/* One write's place. */
struct place {
	size_t key_at, key_len; /* in scratch->keys */
	uint64_t hash;
	uint64_t cache_hash;
	struct partition *partition;
	struct locked *locked;
	bool index_refused; /* throttled, and not by the table */
};

/* One partition of the call, locked once however many writes are in it. */
struct locked {
	struct table_core *core;
	struct partition *partition;
	/* decided under the lock */
	const struct table *version;
	uint64_t failures;
	struct delta delta;
	struct delta *index_deltas; /* one a version->indexes; NULL: none yet */
	int64_t due_ms;             /* of the earliest row of TTL that is put; INT64_MAX: none */
	struct change_draft changes;
};

/* A slot of recent.h and what it was. */
struct marked {
	_Atomic uint64_t *slot;
	uint64_t before;
};

struct commit {
	struct table_db *db;
	struct table_io *io;
	struct scratch *scratch;
	struct table_write *writes;
	size_t count;
	bool transaction;
	struct table_token *token; /* NULL: none */
	struct place *places;      /* one a write */
	struct locked *locked;     /* ascending by (table number, partition) */
	size_t locked_count;
	struct marked *marked;
	size_t marked_count, marked_cap;
	uint64_t durable_before;
	uint64_t reopened; /* of the engine, before anything was read: what is written belongs to that world */
	bool any_change;   /* is there something in the batch? */
};

/* ---- places and locks ---- */

static int
locked_order(const struct locked *a, const struct locked *b)
{
	if (a->core != b->core)
		return a->core->number < b->core->number ? -1 : 1;
	return a->partition->id < b->partition->id ? -1 : a->partition->id > b->partition->id;
}

/* Where the partition is among the locked ones; it is put in when it is not there. */
static void
add_locked(struct commit *c, struct table_core *core, struct partition *partition)
{
	struct locked new = {.core = core, .partition = partition};
	size_t at = c->locked_count;

	while (at > 0 && locked_order(&c->locked[at - 1], &new) > 0)
		at--;
	if (at > 0 && locked_order(&c->locked[at - 1], &new) == 0)
		return;
	memmove(c->locked + at + 1, c->locked + at, (c->locked_count - at) * sizeof new);
	c->locked[at] = new;
	c->locked_count++;
}

static struct locked *
find_locked(struct commit *c, const struct partition *partition)
{
	for (size_t i = 0; i < c->locked_count; i++)
		if (c->locked[i].partition == partition)
			return &c->locked[i];
	return NULL;
}

static void
find_places(struct commit *c)
{
	c->places = ARENA_ARRAY(c->io->arena, struct place, c->count);
	c->locked = ARENA_ARRAY(c->io->arena, struct locked, c->count);
	for (size_t i = 0; i < c->count; i++) {
		struct table_write *w = &c->writes[i];
		struct table_core *core = w->table->core;
		struct place *place = &c->places[i];

		place->key_at = c->scratch->keys.len;
		key_put_row(&c->scratch->keys, core->number, table_schema(w->table),
			    w->kind == WRITE_PUT ? w->item : w->key, &place->hash);
		place->key_len = c->scratch->keys.len - place->key_at;
		place->cache_hash = lru_hash(buf_part(&c->scratch->keys, place->key_at, place->key_len));
	}
}

static void
find_partitions(struct commit *c)
{
	c->locked_count = 0;
	for (size_t i = 0; i < c->count; i++) {
		struct table_core *core = c->writes[i].table->core;

		c->places[i].partition = partition_of(core, c->places[i].hash);
		add_locked(c, core, c->places[i].partition);
	}
	for (size_t i = 0; i < c->count; i++)
		c->places[i].locked = find_locked(c, c->places[i].partition);
}

static void
unlock_all(struct commit *c)
{
	for (size_t i = c->locked_count; i-- > 0;)
		pthread_mutex_unlock(&c->locked[i].partition->lock);
	if (c->token != NULL)
		token_unlock(c->token);
}

/* Has none of the partitions been split before it was locked? Now none will be. */
static bool
are_right(const struct commit *c)
{
	for (size_t i = 0; i < c->count; i++)
		if (partition_of(c->writes[i].table->core, c->places[i].hash) != c->places[i].partition)
			return false;
	return true;
}

static void
lock_all(struct commit *c)
{
	for (;;) {
		find_partitions(c);
		if (c->token != NULL)
			token_lock(c->db, c->token);
		for (size_t i = 0; i < c->locked_count; i++)
			pthread_mutex_lock(&c->locked[i].partition->lock);
		if (are_right(c))
			return;
		unlock_all(c);
	}
}

/* ---- reading what is there ---- */

static enum status
read_old(struct commit *c, const struct place *place, unsigned flags, struct av *ret, struct err *err)
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

/* While an index is being filled a row may not be there yet, and then must not be counted as taken away. */
static enum status
row_exists(struct commit *c, size_t key_at, size_t key_len, unsigned flags, bool *ret, struct err *err)
{
	struct engine_value value = {0};
	enum status s;

	s = engine_get(c->db->engine, NULL, SPACE_INDEXES, buf_part(&c->scratch->keys, key_at, key_len), flags, &value,
		       err);
	engine_value_done(&value);
	*ret = s == S_OK;
	return s == S_NOT_FOUND ? S_OK : s;
}

/* Bring into the cache what the decision reads. No lock is held. */
static enum status
warm(struct commit *c, struct err *err)
{
	if (c->token != NULL) { /* what it says is looked at under the lock */
		enum status s =
		    token_find(c->db, c->token, c->count, ENGINE_MAY_BLOCK, &c->scratch->from, c->io->arena, err);

		if (s != S_OK && s != S_IDEMPOTENT_MISMATCH)
			return s;
	}
	for (size_t i = 0; i < c->count; i++) {
		const struct table_write *w = &c->writes[i];
		struct buf *keys = &c->scratch->keys;
		size_t keys_len = keys->len;
		struct av old;
		enum status s = read_old(c, &c->places[i], ENGINE_MAY_BLOCK, &old, err);

		for (size_t n = 0; s == S_OK && av_exists(old) && n < w->table->index_count; n++) {
			const struct table_index *x = &w->table->indexes[n];
			struct index_change change;
			bool exists;

			if (!x->record->building ||
			    index_compare(w->table, x, old, AV_NONE, KEY_FROM_ITEM, keys, c->io->arena, &change, err) !=
				S_OK ||
			    !change.had)
				continue;
			s = row_exists(c, change.old_key_at, change.old_key_len, ENGINE_MAY_BLOCK, &exists, err);
		}
		keys->len = keys_len;
		if (s != S_OK)
			return s;
	}
	return S_OK;
}

/* ---- deciding one write ---- */

static enum status
too_big(const struct table_write *w, struct err *err)
{
	return err_set(err, S_VALIDATION,
		       w->kind == WRITE_UPDATE ? "Item size to update has exceeded the maximum allowed size"
					       : "Item size has exceeded the maximum allowed size");
}

static void
mark(struct commit *c, _Atomic uint64_t *slot)
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
			mark(c, recent_index_slot(change->index->core, place->partition->id, change->old_hash));
		if (change->has)
			mark(c, recent_index_slot(change->index->core, place->partition->id, change->new_hash));
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
			s = row_exists(c, change.old_key_at, change.old_key_len, flags, &old_exists, err);
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

static enum status
decide(struct commit *c, struct table_write *w, const struct place *place, unsigned flags, struct err *err)
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
	s = read_old(c, place, flags, &w->old_item, err);
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
	mark(c, recent_slot(l->partition, place->hash));
	c->any_change = true;
	return S_OK;
}

/* ---- transactions that are running ---- */

/*
 * Until a transaction is durable, and so can be answered, it is running, and a write that meets one of its items is
 * refused as the service refuses it; it is told so when that transaction has ended (wait_for_what_was_read()), so
 * whoever tries again finds the way free. The first of two always goes on: nobody holds up each other.
 *
 * Items are known by the hash of their key, each in the one slot that it selects: a newer one takes the place of an
 * older. That one is then not told as a conflict any more; its writers wait for each other as single writes do.
 */
#define ONGOING_SLOTS 128

struct ongoing {
	struct {
		uint64_t hash, seq;
	} slots[ONGOING_SLOTS];
};

static bool
meets_transaction(const struct commit *c, const struct table_write *w, const struct place *place)
{
	const struct partition *p = place->partition;
	size_t at = place->cache_hash % ONGOING_SLOTS;

	if (p->ongoing_last <= c->durable_before || w->cause != CAUSE_CLIENT)
		return false;
	return p->ongoing->slots[at].hash == place->cache_hash && p->ongoing->slots[at].seq > c->durable_before;
}

/* It has looked at nothing, and costs nothing. */
static enum status
decide_conflict(struct table_write *w, struct err *err)
{
	w->old_item = w->new_item = w->updated_old = w->updated_new = AV_NONE;
	w->unit_count = 0;
	w->change_seq = 0;
	return throttle_tell_conflict(err);
}

static void
transaction_runs(struct commit *c, uint64_t seq)
{
	for (size_t i = 0; i < c->count; i++) {
		struct partition *p = c->places[i].partition;
		size_t at = c->places[i].cache_hash % ONGOING_SLOTS;

		if (p->ongoing == NULL)
			p->ongoing = table_alloc(sizeof *p->ongoing);
		p->ongoing->slots[at].hash = c->places[i].cache_hash;
		p->ongoing->slots[at].seq = seq;
		p->ongoing_last = seq;
	}
}

/* ---- deciding all ---- */

/* The newest version decides, whatever version the caller found; it cannot change while the lock is held. */
static enum status
prepare_partition(struct locked *l, unsigned flags, struct err *err)
{
	if (atomic_load_explicit(&l->core->dropped, memory_order_relaxed))
		return err_set(err, S_RESOURCE_NOT_FOUND, "Requested resource not found");
	if (core_is_doubtful(l->core))
		return err_set(err, S_IO, MSG_DOUBT);
	l->version = l->core->current;
	l->delta = (struct delta){0, 0};
	l->index_deltas = NULL;
	l->due_ms = INT64_MAX;
	change_begin(l->core, l->partition, &l->changes);
	return counts_begin(l->version, l->partition, flags, &l->failures, err);
}

/* Not something the client did: there is no point in deciding the other writes. */
static bool
is_engine_trouble(enum status s)
{
	return s != S_OK && s != S_COND_FAILED && s != S_VALIDATION && s != S_ITEM_COLLECTION_LIMIT &&
	       s != S_TRANSACTION_CONFLICT;
}

static bool
counts_change(const struct locked *l)
{
	bool change = l->delta.items != 0 || l->delta.bytes != 0;

	for (size_t i = 0; !change && l->index_deltas != NULL && i < l->version->index_count; i++)
		change = l->index_deltas[i].items != 0 || l->index_deltas[i].bytes != 0;
	return change;
}

/*
 * Everything up to the apply. The first failing write's status is returned, but the others are decided too, so that
 * each can tell its own. An engine trouble ends it at once.
 */
static enum status
decide_all(struct commit *c, unsigned flags, struct err *err)
{
	struct err own, *told = err != NULL ? err : &own;
	enum status first = S_OK, s;

	own.message[0] = '\0';
	/* Before the first read: the engine refuses a batch begun before it had to reopen itself. */
	engine_batch_clear(c->scratch->batch);
	c->durable_before = engine_durable(c->db->engine);
	c->reopened = engine_reopened(c->db->engine);
	c->marked_count = c->marked_cap = 0;
	c->any_change = false;
	if (c->token != NULL) {
		s = token_find(c->db, c->token, c->count, flags, &c->scratch->from, c->io->arena, err);
		if (s != S_OK || c->token->repeated)
			return s;
	}
	for (size_t i = 0; i < c->locked_count; i++) {
		s = prepare_partition(&c->locked[i], flags, err);
		if (s != S_OK)
			return s;
	}
	for (size_t i = 0; i < c->count; i++) {
		struct table_write *w = &c->writes[i];

		w->status = meets_transaction(c, w, &c->places[i]) ? decide_conflict(w, told)
								   : decide(c, w, &c->places[i], flags, told);
		if (is_engine_trouble(w->status))
			return w->status;
		if (w->status == S_OK)
			continue;
		w->message = arena_dup(c->io->arena, slice_str(told->message));
		if (first == S_OK)
			first = w->status;
		told = &own; /* err keeps the first one's words */
	}
	for (size_t i = 0; first == S_OK && i < c->locked_count; i++) {
		struct locked *l = &c->locked[i];

		/* a failed sync took writes away: what is known of partitions and shards goes with the next one */
		if (c->any_change && l->failures != l->partition->failures) {
			layout_put_row(l->core, c->scratch->batch);
			stream_put_rows(l->core, c->scratch->batch);
		}
		if (counts_change(l))
			counts_put_row(l->version, l->partition, l->delta, l->index_deltas, c->scratch->batch,
				       &c->scratch->value);
	}
	return first;
}

/* ---- paying for it ---- */

static enum status
look(const struct commit *c, size_t i, int64_t now_ns, struct err *err)
{
	const struct table_write *w = &c->writes[i];
	enum status s = S_OK;

	for (size_t n = 0; n < w->unit_count && s == S_OK; n++) {
		s = throttle_look(c->places[i].locked->version, w->units[n].index, true, now_ns, err);
		c->places[i].index_refused = w->units[n].index != NULL && w->units[n].index->spec->global;
	}
	if (s == S_OK && w->unit_count > 0)
		s = throttle_look_conflict(c->places[i].locked->version, err);
	return s;
}

static void
pay(const struct commit *c, size_t i, bool back, int64_t now_ns)
{
	const struct table_write *w = &c->writes[i];

	for (size_t n = 0; n < w->unit_count; n++) {
		int64_t half_units = w->units[n].half_write;

		if (c->transaction && w->units[n].index == NULL)
			half_units *= 2;
		throttle_charge(c->places[i].locked->version, w->units[n].index, true, back ? -half_units : half_units,
				now_ns);
	}
}

/*
 * What was decided is paid for, a failed condition too; or refused as a whole. One after the other, so that those that
 * are not refused are what there is capacity for and a batch can do without the others; a transaction goes through when
 * there is something left for each.
 */
static enum status
charge(struct commit *c, enum status decided, struct err *err)
{
	enum status first = S_OK;
	int64_t now_ns = clock_passed_ns();
	struct err own;

	if (c->token != NULL && c->token->repeated)
		return decided;
	for (size_t i = 0; i < c->count; i++) {
		struct table_write *w = &c->writes[i];
		struct err *told = first == S_OK && err != NULL ? err : &own;
		enum status s = look(c, i, now_ns, told);

		if (s == S_OK && !c->transaction)
			pay(c, i, false, now_ns);
		if (s == S_OK)
			continue;
		w->status = s;
		w->message = arena_dup(c->io->arena, slice_str(told->message));
		if (first == S_OK)
			first = s;
	}
	for (size_t i = 0; i < c->count; i++) {
		enum status s = c->writes[i].status;

		if (first == S_OK && c->transaction)
			pay(c, i, false, now_ns);
		else if (first != S_OK && !c->transaction && s != S_THROUGHPUT_EXCEEDED && s != S_THROTTLING &&
			 s != S_TRANSACTION_CONFLICT)
			pay(c, i, true, now_ns);
	}
	return first != S_OK ? first : decided;
}

/* ---- doing it ---- */

/* See recent.h. A slot may be in the list twice: its oldest value is then the first one's. */
static void
slots_busy(struct commit *c)
{
	for (size_t i = 0; i < c->locked_count; i++)
		mark(c, &c->locked[i].partition->last);
	for (size_t i = 0; i < c->marked_count; i++) {
		struct marked *m = &c->marked[i];

		m->before = atomic_load_explicit(m->slot, memory_order_relaxed);
		atomic_store_explicit(m->slot, RECENT_BUSY, memory_order_release);
	}
}

static void
slots_set(struct commit *c, uint64_t seq)
{
	for (size_t i = 0; i < c->marked_count; i++)
		atomic_store_explicit(c->marked[i].slot, seq, memory_order_release);
}

static void
slots_restore(struct commit *c)
{
	for (size_t i = c->marked_count; i-- > 0;)
		if (c->marked[i].before != RECENT_BUSY)
			atomic_store_explicit(c->marked[i].slot, c->marked[i].before, memory_order_release);
}

/* Nothing was written, but the answer tells what is there (or not): that must be durable all the same. */
static void
wait_for_what_was_read(struct commit *c)
{
	if (c->token != NULL)
		recent_raise(&c->io->wait_seq, atomic_load_explicit(token_slot(c->token), memory_order_relaxed),
			     c->durable_before);
	for (size_t i = 0; i < c->count; i++) {
		const struct place *place = &c->places[i];
		_Atomic uint64_t *slot = recent_slot(place->partition, place->hash);

		recent_raise(&c->io->wait_seq, atomic_load_explicit(slot, memory_order_relaxed), c->durable_before);
	}
}

static bool
touches_item(const struct table_write *w)
{
	return w->kind != WRITE_CHECK && (av_exists(w->old_item) || av_exists(w->new_item));
}

/* No reader may find the old item once another may have seen the new one. */
static void
cache_hide(struct commit *c)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct place *place = &c->places[i];

		if (touches_item(&c->writes[i]))
			lru_hide(c->db->items, buf_part(&c->scratch->keys, place->key_at, place->key_len),
				 place->cache_hash);
	}
}

static void
cache_update(struct commit *c)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct table_write *w = &c->writes[i];
		const struct place *place = &c->places[i];

		if (touches_item(w))
			lru_update(c->db->items, buf_part(&c->scratch->keys, place->key_at, place->key_len),
				   place->cache_hash, c->reopened << 16 | layout_of(place->locked->core)->count,
				   av_exists(w->new_item) ? av_slice(w->new_item) : SLICE_NONE);
	}
}

/* Which hashes are written, for the day the partition is split. */
static void
sample(struct commit *c)
{
	for (size_t i = 0; i < c->count; i++) {
		struct partition *p = c->places[i].partition;
		uint64_t writes = atomic_load_explicit(&p->writes, memory_order_relaxed);

		p->samples[writes % WRITE_SAMPLES] = c->places[i].hash;
		atomic_store_explicit(&p->writes, writes + 1, memory_order_relaxed);
	}
}

static enum status
apply(struct commit *c, struct err *err)
{
	uint64_t seq;
	enum status s;

	if (c->token != NULL) {
		token_put(c->db, c->token, c->writes, c->count, c->scratch->batch, &c->scratch->from, &c->scratch->to);
		mark(c, token_slot(c->token));
		fault_pass(FAULT_TOKEN_PUT);
	}
	if (c->writes[0].cause == CAUSE_TTL) /* so are all of them */
		engine_batch_unhurried(c->scratch->batch);
	fault_pass(FAULT_COMMIT_DECIDED);
	slots_busy(c);
	cache_hide(c);
	s = engine_apply(c->db->engine, c->scratch->batch, &seq, err);
	if (s != S_OK) {
		slots_restore(c);
		return s;
	}
	fault_pass(FAULT_COMMIT_APPLIED);
	slots_set(c, seq);
	cache_update(c);
	for (size_t i = 0; i < c->locked_count; i++) {
		struct locked *l = &c->locked[i];

		counts_end(l->version, l->partition, l->failures, l->delta, l->index_deltas);
		if (l->due_ms != INT64_MAX)
			ttl_lower(l->version->ttl, l->due_ms);
		change_end(l->core, l->partition, &l->changes, seq);
	}
	if (c->transaction)
		transaction_runs(c, seq);
	sample(c);
	if (seq > c->io->wait_seq)
		c->io->wait_seq = seq;
	return S_OK;
}

static enum status
commit_locked(struct commit *c, unsigned flags, struct err *err)
{
	enum status s = decide_all(c, flags, err);

	if (table_db_throttles(c->db) && (s == S_OK || s == S_COND_FAILED))
		s = charge(c, s, err);
	if (s == S_OK && (c->any_change || (c->token != NULL && !c->token->repeated)))
		return apply(c, err);
	if (s != S_WOULD_BLOCK)
		wait_for_what_was_read(c);
	return s;
}

/* ---- counting the keys ---- */

static bool
is_throttled(enum status s)
{
	return s == S_THROUGHPUT_EXCEEDED || s == S_THROTTLING;
}

static void
count_accesses(const struct commit *c, const struct table_write *w, const struct table *t, struct av key)
{
	for (size_t n = 0; n < w->unit_count; n++) {
		const struct table_units *u = &w->units[n];
		bool own = u->index != NULL && u->index->spec->global;
		uint64_t half_units = (uint64_t)u->half_write << (c->transaction && u->index == NULL);

		if (half_units == 0)
			continue;
		if (!own)
			insights_count_write(t, NULL, key, half_units);
		else if (!insights_count_write(t, u->index, w->new_item, half_units))
			insights_count_write(t, u->index, w->old_item, half_units); /* it left the index */
	}
}

/*
 * For insights.h: writes that were paid for, a failed condition too; or, when any was throttled and so nothing was
 * done, those that were. No lock is held; the versions live as long as the caller's tables, which lead to them.
 */
static void
count_keys(const struct commit *c, enum status s)
{
	if (c->token != NULL && c->token->repeated)
		return;
	for (size_t i = 0; i < c->count; i++) {
		const struct table_write *w = &c->writes[i];
		const struct table *t = c->places[i].locked->version;
		struct av key = w->kind == WRITE_PUT ? w->item : w->key;

		if (s == S_OK || s == S_COND_FAILED)
			count_accesses(c, w, t, key);
		else if (is_throttled(s) && is_throttled(w->status) && !c->places[i].index_refused)
			insights_count_write(t, NULL, key, 0);
	}
}

enum status
commit_writes(struct table_write *writes, size_t count, bool transaction, struct table_token *token,
	      struct table_io *io, struct err *err)
{
	struct commit c = {.io = io, .writes = writes, .count = count, .transaction = transaction, .token = token};
	enum status s;

	if (count == 0)
		return S_OK;
	c.db = writes[0].table->core->db;
	c.scratch = table_scratch_take(c.db);
	find_places(&c);
	for (int round = 0;; round++) {
		struct arena_mark start = arena_mark(io->arena);

		lock_all(&c);
		s = commit_locked(&c, io->may_block && round >= WARM_ROUNDS ? ENGINE_MAY_BLOCK : ENGINE_CACHED_ONLY,
				  err);
		unlock_all(&c);
		fault_pass(FAULT_COMMIT_UNLOCKED);
		if (s != S_WOULD_BLOCK || !io->may_block)
			break;
		arena_rewind(io->arena, start);
		s = warm(&c, err);
		if (s != S_OK)
			break;
		arena_rewind(io->arena, start);
	}
	if (insights_counting(c.db))
		count_keys(&c, s);
	table_scratch_give(c.db, c.scratch);
	return s;
}

enum status
table_commit(struct table_write *writes, size_t count, struct table_io *io, struct err *err)
{
	return commit_writes(writes, count, false, NULL, io, err);
}
