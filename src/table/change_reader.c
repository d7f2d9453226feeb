/*
 * Readers with positions: what each has acknowledged in each partition. A durable reader is a row of the catalog, and
 * so is each of its positions; they are written as it acknowledges and read when the database is opened.
 */
#include "table/change_int.h"
#include "table/recent.h"

#include <stdlib.h>

#define ROW_VERSION 1
#define ROW_HEAD    11 /* version, images, retention, length of the table's name */

/* ---- what the others ask ---- */

static struct streams *
lock_streams(struct table_db *db)
{
	pthread_mutex_lock(&db->streams->lock);
	return db->streams;
}

unsigned
readers_want(struct table_core *core)
{
	struct streams *all = lock_streams(core->db);
	unsigned wants = 0;

	for (const struct change_reader *r = all->readers; r != NULL; r = r->next)
		if (r->core == core)
			wants |= LOG_ON | r->images | (r->wake != NULL ? LOG_WAKE : 0);
	pthread_mutex_unlock(&all->lock);
	return wants;
}

bool
readers_use(struct table_core *core)
{
	return readers_want(core) != 0;
}

/* A partition that came later begins where its parent's log was split. */
static uint64_t
acked_of(const struct change_reader *r, const struct partition *p)
{
	return p->id < atomic_load(&r->count) ? atomic_load(&r->positions[p->id].acked) : p->split_seq;
}

uint64_t
readers_keep_from(struct table_core *core, const struct partition *p)
{
	struct streams *all = lock_streams(core->db);
	uint64_t from = UINT64_MAX;

	for (const struct change_reader *r = all->readers; r != NULL; r = r->next) {
		uint64_t needs, longest;

		if (r->core != core)
			continue;
		needs = acked_of(r, p) + 1;
		longest = log_younger_than(p, r->retention_ms);
		if (needs < longest)
			needs = longest;
		if (needs < from)
			from = needs;
	}
	pthread_mutex_unlock(&all->lock);
	return from;
}

/* ---- rows ---- */

static void
put_row(const struct change_reader *r, struct engine_batch *batch)
{
	struct buf key = {0}, value = {0};

	catalog_key_reader(&key, r->core->number, r->name);
	buf_put_byte(&value, ROW_VERSION);
	buf_put_byte(&value, (uint8_t)r->images);
	buf_put_be64(&value, (uint64_t)r->retention_ms);
	buf_put_byte(&value, (uint8_t)r->table_name.len); /* 255 at most */
	buf_put_slice(&value, r->table_name);
	engine_batch_put(batch, SPACE_CATALOG, buf_slice(&key), buf_slice(&value));
	buf_done(&key);
	buf_done(&value);
}

static void
put_position(const struct change_reader *r, uint32_t partition, uint64_t acked, struct engine_batch *batch)
{
	struct buf key = {0}, value = {0};

	catalog_key_position(&key, r->core->number, r->name, partition);
	buf_put_be64(&value, acked);
	engine_batch_put(batch, SPACE_CATALOG, buf_slice(&key), buf_slice(&value));
	buf_done(&key);
	buf_done(&value);
}

static void
delete_rows(const struct change_reader *r, struct engine_batch *batch)
{
	struct buf key = {0};

	catalog_key_reader(&key, r->core->number, r->name);
	engine_batch_delete(batch, SPACE_CATALOG, buf_slice(&key));
	for (uint32_t i = 0; i < atomic_load(&r->count); i++) {
		key.len = 0;
		catalog_key_position(&key, r->core->number, r->name, i);
		engine_batch_delete(batch, SPACE_CATALOG, buf_slice(&key));
	}
	buf_done(&key);
}

/* ---- making and freeing ---- */

/* Takes a count of the core. */
static struct change_reader *
reader_new(struct table_core *core, struct slice table_name_, struct slice name)
{
	struct change_reader *r = table_alloc(sizeof *r);

	r->core = core;
	r->name = table_copy(name);
	r->table_name = table_copy(table_name_);
	return r;
}

static void
reader_free(struct change_reader *r)
{
	if (r == NULL)
		return;
	core_release(r->core);
	free((void *)r->name.data);
	free((void *)r->table_name.data);
	free(r);
}

static void
reader_add(struct change_reader *r)
{
	struct streams *all = lock_streams(r->core->db);

	r->next = all->readers;
	all->readers = r;
	pthread_mutex_unlock(&all->lock);
}

static void
reader_remove(struct change_reader *r)
{
	struct streams *all = lock_streams(r->core->db);
	struct change_reader **at = &all->readers;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	pthread_mutex_unlock(&all->lock);
}

/* Positions of the partitions that have none yet. */
static void
grow(struct change_reader *r)
{
	const struct layout *l = layout_of(r->core);

	for (uint32_t i = atomic_load(&r->count); i < l->count; i++) {
		uint64_t acked = l->by_id[i]->split_seq;

		atomic_store(&r->positions[i].acked, acked);
		r->positions[i].next = acked + 1;
		r->positions[i].delivered = acked;
		atomic_store(&r->count, i + 1);
	}
}

/* ---- opening ---- */

static struct change_reader *
find(struct table_core *core, struct slice name)
{
	struct streams *all = lock_streams(core->db);
	struct change_reader *r = all->readers;

	while (r != NULL && (r->core != core || !slice_eq(r->name, name)))
		r = r->next;
	pthread_mutex_unlock(&all->lock);
	return r;
}

static void
take_options(struct change_reader *r, const struct change_reader_options *options)
{
	struct streams *all = lock_streams(r->core->db);

	r->images = options->images & (CHANGE_NEW_IMAGE | CHANGE_OLD_IMAGE);
	r->retention_ms = options->retention_ms;
	r->wake = options->wake;
	r->context = options->context;
	r->in_memory = options->in_memory;
	r->open = true;
	pthread_mutex_unlock(&all->lock);
}

/* From the next write on: with all locks held nobody is writing. */
static void
start_now(struct change_reader *r)
{
	const struct layout *l = layout_of(r->core);

	for (uint32_t i = 0; i < l->count; i++) {
		uint64_t last = atomic_load(&l->by_id[i]->log_last);

		atomic_store(&r->positions[i].acked, last);
		r->positions[i].next = last + 1;
		r->positions[i].delivered = last;
	}
	atomic_store(&r->count, l->count);
}

static enum status
open_locked(struct change_reader *r, bool is_new, struct engine_batch *batch, uint64_t *ret_seq, struct err *err)
{
	enum status s = S_OK;

	if (is_new)
		start_now(r);
	if (!r->in_memory) {
		put_row(r, batch);
		for (uint32_t i = 0; is_new && i < atomic_load(&r->count); i++)
			put_position(r, i, atomic_load(&r->positions[i].acked), batch);
		s = engine_apply(r->core->db->engine, batch, ret_seq, err);
	}
	if (s == S_OK) {
		if (is_new)
			reader_add(r);
		log_set_wants(r->core);
	}
	return s;
}

/* The caller holds db->control. */
static enum status
open_reader(struct table *t, const struct change_reader_options *options, struct change_reader **ret, struct err *err)
{
	struct table_core *core = t->core;
	struct change_reader *r = find(core, options->name);
	struct engine_batch *batch;
	bool is_new = r == NULL;
	uint64_t seq = 0;
	enum status s;

	if (r != NULL && r->open)
		return err_set(err, S_RESOURCE_IN_USE, "the reader %.*s is open already", SLICE_ARG(options->name));
	if (is_new) {
		core_hold(core);
		r = reader_new(core, core->name, options->name);
	}
	take_options(r, options);
	batch = engine_batch_new(core->db->engine);
	core_lock_all(core);
	s = open_locked(r, is_new, batch, &seq, err);
	core_unlock_all(core);
	engine_batch_free(batch);
	if (s == S_OK && seq != 0)
		s = engine_sync_to(core->db->engine, seq, err);
	if (s == S_OK)
		*ret = r;
	else if (is_new && seq == 0)
		reader_free(r);
	else
		r->open = false; /* it may be on the disk: the next one of that name takes it over */
	return s;
}

enum status
change_reader_open(struct table_db *db, struct slice table_name_, const struct change_reader_options *options,
		   struct change_reader **ret, struct err *err)
{
	struct table *t;
	enum status s;

	*ret = NULL;
	if (options->name.len == 0 || options->name.len > CHANGE_READER_NAME_MAX || options->retention_ms <= 0)
		return err_set(err, S_INTERNAL, "a reader needs a name and a retention");
	pthread_mutex_lock(&db->control);
	t = directory_find(db, table_name_);
	if (t == NULL || t->record.status == TABLE_DELETING)
		s = err_set(err, S_RESOURCE_NOT_FOUND, "Requested resource not found: Table: %.*s not found",
			    SLICE_ARG(table_name_));
	else
		s = open_reader(t, options, ret, err);
	pthread_mutex_unlock(&db->control);
	table_release(t);
	return s;
}

/* ---- closing ---- */

static void
set_wants(struct table_core *core)
{
	core_lock_all(core);
	log_set_wants(core);
	core_unlock_all(core);
}

void
change_reader_close(struct change_reader *r)
{
	struct table_db *db;
	struct streams *all;

	if (r == NULL)
		return;
	db = r->core->db;
	pthread_mutex_lock(&db->control);
	all = lock_streams(db);
	r->wake = NULL;
	r->open = false;
	pthread_mutex_unlock(&all->lock);
	if (r->in_memory)
		reader_remove(r);
	set_wants(r->core);
	if (r->in_memory) {
		log_drop_if_unused(r->core, NULL); /* what is left over goes with the next one */
		reader_free(r);
	}
	pthread_mutex_unlock(&db->control);
}

/* The caller holds db->control. */
static enum status
forget(struct change_reader *r, struct err *err)
{
	struct engine *e = r->core->db->engine;
	struct engine_batch *batch = engine_batch_new(e);
	uint64_t seq;
	enum status s;

	delete_rows(r, batch);
	s = engine_apply(e, batch, &seq, err);
	engine_batch_free(batch);
	if (s == S_OK)
		s = engine_sync_to(e, seq, err);
	if (s != S_OK)
		return s;
	reader_remove(r);
	set_wants(r->core);
	log_drop_if_unused(r->core, NULL);
	reader_free(r);
	return S_OK;
}

enum status
change_reader_detach(struct change_reader *r, struct err *err)
{
	struct table_db *db = r->core->db;
	enum status s = S_OK;

	if (r->in_memory) {
		change_reader_close(r);
		return S_OK;
	}
	pthread_mutex_lock(&db->control);
	pthread_mutex_lock(&db->streams->lock);
	r->wake = NULL;
	r->open = false;
	pthread_mutex_unlock(&db->streams->lock);
	s = forget(r, err);
	pthread_mutex_unlock(&db->control);
	return s;
}

/* ---- reading ---- */

/* What was handed out and acknowledged, and that behind it nothing was found. */
static uint64_t
done_through(const struct reader_position *at)
{
	uint64_t acked = atomic_load(&at->acked);

	return acked >= at->delivered && at->next > acked ? at->next - 1 : acked;
}

/* A partition that was split off: has its parent's part been read? */
static bool
is_free(const struct change_reader *r, const struct partition *p)
{
	return p->parent == p->id || done_through(&r->positions[p->parent]) >= p->split_seq;
}

uint32_t
change_reader_lanes(struct change_reader *r, uint32_t *ret, uint32_t max)
{
	const struct layout *l = layout_of(r->core);
	uint32_t count = 0;

	grow(r);
	for (uint32_t i = 0; i < l->count && count < max; i++)
		if (atomic_load_explicit(&l->by_id[i]->log_last, memory_order_acquire) >= r->positions[i].next &&
		    is_free(r, l->by_id[i]))
			ret[count++] = i;
	return count;
}

static enum status
take(struct engine_iter *it, uint32_t limit, size_t bytes, struct table_io *io, struct change_batch *ret,
     struct err *err)
{
	size_t taken = 0, cap = 0;
	enum status s = S_OK;

	for (engine_iter_first(it); s == S_OK && engine_iter_valid(it); engine_iter_next(it)) {
		if (ret->count == limit || taken >= bytes) {
			ret->more = true;
			return S_OK;
		}
		if (ret->count == cap) {
			struct change *more;

			cap = cap ? 2 * cap : 16;
			more = ARENA_ARRAY(io->arena, struct change, cap);
			if (ret->count > 0)
				memcpy(more, ret->changes, ret->count * sizeof *more);
			ret->changes = more;
		}
		taken += engine_iter_value(it).len;
		s = change_decode(log_key_seq(engine_iter_key(it)), arena_dup(io->arena, engine_iter_value(it)),
				  &ret->changes[ret->count], err);
		ret->count += s == S_OK;
	}
	return s == S_OK ? engine_iter_status(it, err) : s;
}

enum status
change_reader_read(struct change_reader *r, uint32_t partition, uint32_t limit, size_t bytes, struct table_io *io,
		   struct change_batch *ret, struct err *err)
{
	struct engine *e = r->core->db->engine;
	uint64_t durable_before = engine_durable(e), end;
	struct buf from = {0}, to = {0};
	struct reader_position *at;
	struct engine_iter *it;
	struct partition *p;
	enum status s;

	*ret = (struct change_batch){0};
	grow(r);
	if (partition >= atomic_load(&r->count))
		return S_OK;
	p = layout_of(r->core)->by_id[partition];
	at = &r->positions[partition];
	if (!is_free(r, p))
		return S_OK;
	end = atomic_load_explicit(&p->log_last, memory_order_acquire); /* before the records are looked for */
	if (at->next <= atomic_load(&p->log_trimmed)) {
		ret->trimmed = true;
		at->next = atomic_load(&p->log_trimmed) + 1;
	}
	log_put_key(&from, r->core->number, partition, at->next);
	log_put_key(&to, r->core->number, partition, UINT64_MAX);
	it = engine_iter_new(e, NULL, SPACE_LOG, buf_slice(&from), buf_slice(&to),
			     ENGINE_NEVER_DROPPED | (io->may_block ? ENGINE_MAY_BLOCK : ENGINE_CACHED_ONLY));
	s = take(it, limit, bytes, io, ret, err);
	engine_iter_free(it);
	buf_done(&from);
	buf_done(&to);
	if (s != S_OK)
		return s;
	/* raised before records are dropped: not yet, then nothing was missing; else what there is comes with the next
	 * call, which tells that there was more */
	if (at->next <= atomic_load(&p->log_trimmed)) {
		*ret = (struct change_batch){.trimmed = true, .more = true};
		at->next = atomic_load(&p->log_trimmed) + 1;
		return S_OK;
	}
	if (ret->count > 0) {
		at->delivered = ret->changes[ret->count - 1].seq;
		at->next = at->delivered + 1;
	}
	if (!ret->more && end >= at->next)
		at->next = end + 1;
	recent_raise(&io->wait_seq, recent_load(&p->last, p), durable_before);
	return S_OK;
}

void
change_reader_rewind(struct change_reader *r, uint32_t partition)
{
	struct reader_position *at = &r->positions[partition];

	if (partition >= atomic_load(&r->count))
		return;
	at->delivered = atomic_load(&at->acked);
	at->next = at->delivered + 1;
}

enum status
change_reader_ack(struct change_reader *r, uint32_t partition, uint64_t seq, uint64_t *ret_seq, struct err *err)
{
	struct engine *e = r->core->db->engine;
	struct reader_position *at = &r->positions[partition];
	struct engine_batch *batch;
	uint64_t applied = 0, through;
	enum status s = S_OK;

	if (partition >= atomic_load(&r->count) || seq <= atomic_load(&at->acked)) {
		if (ret_seq != NULL)
			*ret_seq = 0;
		return S_OK;
	}
	through = seq >= at->delivered && at->next > seq ? at->next - 1 : seq;
	if (!r->in_memory) {
		batch = engine_batch_new(e);
		put_position(r, partition, through, batch);
		s = engine_apply(e, batch, &applied, err);
		engine_batch_free(batch);
	}
	if (s == S_OK)
		atomic_store(&at->acked, through);
	if (ret_seq != NULL)
		*ret_seq = applied;
	return s;
}

/* ---- waking ---- */

/* Outlives the database, for the engine keeps calling it until it is closed. Never freed, reachable for ever. */
struct log_listener {
	struct log_listener *next;
	pthread_mutex_t lock;
	struct table_db *db; /* NULL when that is gone */
};

static pthread_mutex_t listeners_lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_listener *listeners;

/* What is not durable yet is told again after the next sync. */
void
log_wake_readers(struct table_db *db)
{
	uint64_t durable = engine_durable(db->engine);
	struct streams *all = lock_streams(db);

	for (struct change_reader *r = all->readers; r != NULL; r = r->next) {
		r->told = atomic_load(&r->core->log_news);
		if (r->wake != NULL && r->told != 0)
			r->wake(r->context);
	}
	for (struct change_reader *r = all->readers; r != NULL; r = r->next)
		if (r->told != 0 && r->told <= durable) /* the others of this table have been woken for it, too */
			atomic_compare_exchange_strong(&r->core->log_news, &r->told, 0);
	pthread_mutex_unlock(&all->lock);
}

static void
on_sync(void *context)
{
	struct log_listener *l = context;

	pthread_mutex_lock(&l->lock);
	if (l->db != NULL)
		log_wake_readers(l->db);
	pthread_mutex_unlock(&l->lock);
}

struct log_listener *
log_listen(struct table_db *db)
{
	struct log_listener *l = table_alloc(sizeof *l);

	pthread_mutex_init(&l->lock, NULL);
	l->db = db;
	pthread_mutex_lock(&listeners_lock);
	l->next = listeners;
	listeners = l;
	pthread_mutex_unlock(&listeners_lock);
	engine_on_sync(db->engine, on_sync, l);
	return l;
}

void
log_listener_end(struct log_listener *l)
{
	if (l == NULL)
		return;
	pthread_mutex_lock(&l->lock);
	l->db = NULL;
	pthread_mutex_unlock(&l->lock);
}

/* ---- opening the database ---- */

static enum status
damaged(struct err *err)
{
	return err_set(err, S_CORRUPT, "the catalog's row of a reader is damaged");
}

static uint64_t
get_be(const char *at, int bytes)
{
	uint64_t v = 0;

	for (int i = 0; i < bytes; i++)
		v = v << 8 | (uint8_t)at[i];
	return v;
}

/* Rows of positions sort behind their reader's. */
static enum status
load_row(void *context, struct slice key, struct slice value, struct err *err)
{
	struct table_db *db = context;
	struct change_reader *r = db->streams->readers; /* the last one added */
	uint32_t number, partition;
	struct slice name, table;
	size_t len;

	if (key.len < 5 || key.len - 5 < (uint8_t)key.data[4])
		return damaged(err);
	number = (uint32_t)get_be(key.data, 4);
	name = slice_of(key.data + 5, (uint8_t)key.data[4]);
	if (key.len == 5 + name.len) {
		if (value.len < ROW_HEAD || value.data[0] != ROW_VERSION)
			return damaged(err);
		len = (uint8_t)value.data[10];
		if (value.len != ROW_HEAD + len)
			return damaged(err);
		table = slice_of(value.data + ROW_HEAD, len);
		r = reader_new(core_numbered(db, number, table), table, name);
		r->images = (uint8_t)value.data[1] & (CHANGE_NEW_IMAGE | CHANGE_OLD_IMAGE);
		r->retention_ms = (int64_t)get_be(value.data + 2, 8);
		reader_add(r);
		return S_OK;
	}
	if (key.len != 9 + name.len || value.len != 8 || r == NULL || r->core->number != number ||
	    !slice_eq(r->name, name))
		return damaged(err);
	partition = (uint32_t)get_be(key.data + 5 + name.len, 4);
	if (partition >= PARTITIONS_MAX)
		return damaged(err);
	if (r->core->current == NULL)
		layout_need(r->core, partition + 1);
	grow(r);
	if (partition >= atomic_load(&r->count))
		return damaged(err);
	atomic_store(&r->positions[partition].acked, get_be(value.data, 8));
	change_reader_rewind(r, partition);
	return S_OK;
}

enum status
readers_load(struct table_db *db, struct err *err)
{
	return catalog_each_reader(db, load_row, db, err);
}

void
readers_done(struct table_db *db)
{
	while (db->streams->readers != NULL) {
		struct change_reader *r = db->streams->readers;

		db->streams->readers = r->next;
		reader_free(r);
	}
}

/* ---- of tables that are gone ---- */

static enum status
has_records(const struct change_reader *r, bool *ret, struct err *err)
{
	const struct layout *l = layout_of(r->core);
	enum status s = S_OK;
	uint64_t first;

	*ret = false;
	for (uint32_t i = 0; s == S_OK && !*ret && i < l->count; i++) {
		s = log_find_first(r->core, i, acked_of(r, l->by_id[i]) + 1, UINT64_MAX, &first, err);
		*ret = first != 0;
	}
	return s;
}

enum status
readers_maintain(struct table_db *db, struct err *err)
{
	struct change_reader *r = db->streams->readers, *next;
	enum status s = S_OK;
	bool has;

	for (; s == S_OK && r != NULL; r = next) {
		next = r->next;
		if (r->open || !atomic_load(&r->core->dropped))
			continue;
		s = has_records(r, &has, err);
		if (s == S_OK && !has)
			s = forget(r, err);
	}
	return s;
}
