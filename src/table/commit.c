/*
 * The write path. One call: lock the partitions in order, read the old items, decide, put items, index rows and counts
 * into one batch, mark the recent-writes slots, apply, unlock.
 *
 * No disk read happens under a lock: reads there are from the cache only. When one would block, the locks are dropped,
 * the rows are read where blocking is allowed (which brings them into the cache), and all is decided afresh.
 */
#include "base/fault.h"
#include "model/key.h"
#include "table/commit_int.h"
#include "table/recent.h"

#define WARM_ROUNDS 4 /* then the cache is too small to keep a row for a moment: read under the lock after all */

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
		enum status s = commit_read_old(c, &c->places[i], ENGINE_MAY_BLOCK, &old, err);

		for (size_t n = 0; s == S_OK && av_exists(old) && n < w->table->index_count; n++) {
			const struct table_index *x = &w->table->indexes[n];
			struct index_change change;
			bool exists;

			if (!x->record->building ||
			    index_compare(w->table, x, old, AV_NONE, KEY_FROM_ITEM, keys, c->io->arena, &change, err) !=
				S_OK ||
			    !change.had)
				continue;
			s = commit_row_exists(c, change.old_key_at, change.old_key_len, ENGINE_MAY_BLOCK, &exists, err);
		}
		keys->len = keys_len;
		if (s != S_OK)
			return s;
	}
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
								   : commit_decide(c, w, &c->places[i], flags, told);
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

/* ---- doing it ---- */

/* See recent.h. A slot may be in the list twice: its oldest value is then the first one's. */
static void
slots_busy(struct commit *c)
{
	for (size_t i = 0; i < c->locked_count; i++)
		commit_mark(c, &c->locked[i].partition->last);
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
		commit_mark(c, token_slot(c->token));
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
		s = commit_charge(c, s, err);
	if (s == S_OK && (c->any_change || (c->token != NULL && !c->token->repeated)))
		return apply(c, err);
	if (s != S_WOULD_BLOCK)
		wait_for_what_was_read(c);
	return s;
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
		commit_count_keys(&c, s);
	table_scratch_give(c.db, c.scratch);
	return s;
}

enum status
table_commit(struct table_write *writes, size_t count, struct table_io *io, struct err *err)
{
	return commit_writes(writes, count, false, NULL, io, err);
}
