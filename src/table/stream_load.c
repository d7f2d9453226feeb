/* What the catalog knows of streams, read when the database is opened. */
#include "table/change_int.h"

#include "base/crypto.h"
#include "base/log.h"

#include <stdlib.h>

#define HOUR_MS (3600 * 1000LL)

#define ROW_VERSION 1

/* ---- opening ---- */

static enum status
damaged(struct err *err)
{
	return err_set(err, S_CORRUPT, "the catalog's row of a stream is damaged");
}

struct table_core *
core_numbered(struct table_db *db, uint32_t number, struct slice name)
{
	struct record record = {.number = number, .partitions = 1};
	struct table *t = directory_find(db, name);
	struct table_core *core = NULL;

	if (t != NULL && t->core->number == number) {
		core = t->core;
		core_hold(core);
	}
	table_release(t);
	for (size_t i = 0; core == NULL && i < db->streams->count; i++)
		if (db->streams->by_arn[i]->core->number == number) {
			core = db->streams->by_arn[i]->core;
			core_hold(core);
		}
	for (const struct change_reader *r = db->streams->readers; core == NULL && r != NULL; r = r->next)
		if (r->core->number == number) {
			core = r->core;
			core_hold(core);
		}
	if (core == NULL) {
		core = core_new(db, name, &record);
		atomic_store(&core->dropped, true);
	}
	return core;
}

static enum status
load_stream(void *context, struct slice key, struct slice value, struct err *err)
{
	struct table_db *db = context;
	struct stream *s;
	struct slice name;
	size_t len;

	if (key.len != 8 || value.len < STREAM_HEAD_BYTES + 1 || value.data[0] != ROW_VERSION)
		return damaged(err);
	len = (uint8_t)value.data[STREAM_HEAD_BYTES];
	if (len > value.len - STREAM_HEAD_BYTES - 1)
		return damaged(err);
	s = table_alloc(sizeof *s);
	s->number = get_be32(key.data + 4);
	s->status = (enum stream_status)(uint8_t)value.data[1];
	s->view = (enum stream_view)(uint8_t)value.data[2];
	s->created_ms = (int64_t)get_be64(value.data + 3);
	s->disabled_ms = (int64_t)get_be64(value.data + 11);
	name = slice_of(value.data + STREAM_HEAD_BYTES + 1, len);
	s->schema_bytes = table_copy(slice_of(name.data + len, value.len - STREAM_HEAD_BYTES - 1 - len));
	if (s->status > STREAM_DISABLED || s->view > STREAM_KEYS_ONLY || s->created_ms < 0 ||
	    !stream_take_schema(s->schema_bytes, &s->schema)) {
		stream_free(s);
		return damaged(err);
	}
	stream_set_names(db, s, name);
	s->core = core_numbered(db, get_be32(key.data), name);
	streams_add(db->streams, s);
	return stream_policy_load(s, err);
}

static struct stream *
stream_numbered(struct streams *all, uint32_t table_number, uint32_t number)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->by_arn[i]->core->number == table_number && all->by_arn[i]->number == number)
			return all->by_arn[i];
	return NULL;
}

static enum status
load_shard(void *context, struct slice key, struct slice value, struct err *err)
{
	struct table_db *db = context;
	struct stream *s;
	struct shard *shard;
	size_t parent;

	if (key.len != 8 + SHARD_ID_BYTES || value.len < SHARD_HEAD_BYTES || value.data[0] != ROW_VERSION)
		return damaged(err);
	parent = value.len - SHARD_HEAD_BYTES;
	s = stream_numbered(db->streams, get_be32(key.data), get_be32(key.data + 4));
	if (s == NULL || (parent != 0 && parent != SHARD_ID_BYTES) || get_be32(value.data + 1) >= PARTITIONS_MAX)
		return damaged(err);
	shard = table_alloc(sizeof *shard);
	memcpy(shard->id, key.data + 8, SHARD_ID_BYTES);
	memcpy(shard->parent, value.data + SHARD_HEAD_BYTES, parent);
	shard->partition = get_be32(value.data + 1);
	shard->created_ms = (int64_t)get_be64(value.data + 5);
	shard->first = get_be64(value.data + 13);
	shard->last = get_be64(value.data + 21);
	shard->closed_ms = (int64_t)get_be64(value.data + 29);
	shard_add(s, shard);
	return S_OK;
}

/* Sequence numbers go on behind all that were ever told, whatever is left of the log. */
static enum status
raise_by_shards(struct stream *s, struct err *err)
{
	uint32_t most = 0;

	for (size_t i = 0; i < s->shard_count; i++)
		if (s->shards[i]->partition > most)
			most = s->shards[i]->partition;
	if (s->core->current == NULL) /* a table that is gone has no row that tells how many it had */
		layout_need(s->core, most + 1);
	if (most >= layout_of(s->core)->count)
		return damaged(err);
	for (size_t i = 0; i < s->shard_count; i++) {
		const struct shard *shard = s->shards[i];

		log_raise(layout_of(s->core)->by_id[shard->partition],
			  shard->last != 0 ? shard->last : shard->first - 1);
	}
	return S_OK;
}

struct trims {
	struct table_db *db;
	struct table_core **cores; /* of all tables and streams, by number */
	size_t count;
	struct engine_batch *gone; /* deletes the rows of tables that are none of these */
	bool any_gone;
};

static int
by_number(const void *a, const void *b)
{
	const struct table_core *left = *(struct table_core *const *)a, *right = *(struct table_core *const *)b;

	return (left->number > right->number) - (left->number < right->number);
}

static struct table_core *
trims_find(const struct trims *t, uint32_t number)
{
	struct table_core probe = {.number = number}, *key = &probe, **found;

	found = t->count > 0 ? bsearch(&key, t->cores, t->count, sizeof *t->cores, by_number) : NULL;
	return found != NULL ? *found : NULL;
}

static enum status
load_trim(void *context, struct slice key, struct slice value, struct err *err)
{
	struct trims *trims = context;
	struct table_core *core;
	uint32_t partition;
	struct buf row = {0};

	if (key.len != 8 || value.len != 8)
		return damaged(err);
	core = trims_find(trims, get_be32(key.data));
	partition = get_be32(key.data + 4);
	if (core == NULL) { /* a crash came between the table's last stream and this */
		catalog_key_trim(&row, get_be32(key.data), partition);
		engine_batch_delete(trims->gone, SPACE_CATALOG, buf_slice(&row));
		buf_done(&row);
		trims->any_gone = true;
	}
	if (core != NULL && partition < layout_of(core)->count) {
		struct partition *p = layout_of(core)->by_id[partition];

		atomic_store(&p->log_trimmed, get_be64(value.data));
		atomic_store(&p->log_stale, get_be64(value.data));
		log_raise(p, get_be64(value.data));
	}
	return S_OK;
}

static void
trims_init(struct trims *t, struct table_db *db)
{
	const struct streams *all = db->streams;
	size_t readers = 0;

	for (const struct change_reader *r = all->readers; r != NULL; r = r->next)
		readers++;
	t->db = db;
	t->gone = engine_batch_new(db->engine);
	t->cores = table_alloc((db->list_count + all->count + readers) * sizeof *t->cores);
	for (size_t i = 0; i < db->list_count; i++)
		t->cores[t->count++] = db->list[i];
	for (size_t i = 0; i < all->count; i++)
		if (all->by_arn[i]->core->current == NULL)
			t->cores[t->count++] = all->by_arn[i]->core;
	for (const struct change_reader *r = all->readers; r != NULL; r = r->next)
		if (r->core->current == NULL)
			t->cores[t->count++] = r->core;
	qsort(t->cores, t->count, sizeof *t->cores, by_number);
}

static enum status load_last(struct table_core *core, struct err *err);

/* What a crash left of logs that had just lost their last reader. */
static enum status
drop_leftovers(const struct trims *trims, struct err *err)
{
	uint32_t number = 0;
	enum status s;

	while ((s = log_next_number(trims->db, number, &number, err)) == S_OK && number != 0) {
		struct table_core *core = trims_find(trims, number);

		if (core == NULL)
			s = log_drop_range(trims->db, number, err);
		else if ((s = load_last(core, err)) == S_OK)
			s = log_drop_if_unused(core, err);
		if (s != S_OK)
			return s;
		number++;
	}
	if (s != S_CORRUPT)
		return s;
	log_error("table", "the change log is damaged; records that nobody needs may stay");
	return S_OK;
}

static enum status
load_last(struct table_core *core, struct err *err)
{
	const struct layout *l = layout_of(core);
	enum status s = S_OK;
	uint64_t last;

	for (uint32_t i = 0; s == S_OK && i < l->count; i++) {
		s = log_find_last(core, i, 1, UINT64_MAX, &last, err);
		if (s == S_CORRUPT) { /* numbers are times: those there are lie before now, or an hour before */
			log_error("table", "table %u: the end of its change log is damaged and cannot be read",
				  core->number);
			last = log_horizon(-HOUR_MS);
			s = S_OK;
		}
		if (s == S_OK)
			log_raise(l->by_id[i], last);
	}
	return s;
}

/*
 * What a failed sync left in doubt was refused to the client, who may have met a crash before the catalog was put
 * right: a table that is not being updated has no stream that begins or ends. One whose table never came to be has
 * ended.
 */
static enum status
resolve(struct stream *s, struct err *err)
{
	struct table *t = s->core->current;
	struct engine_batch *batch;
	struct buf key = {0};
	uint64_t seq;
	enum status result;

	if (t == NULL && s->status != STREAM_DISABLED) {
		s->status = STREAM_DISABLED;
		s->disabled_ms = s->created_ms;
	}
	if (t == NULL || t->record.status != TABLE_ACTIVE)
		return S_OK;
	if (s->status == STREAM_DISABLING)
		s->status = STREAM_ENABLED;
	if (s->status != STREAM_ENABLING)
		return S_OK;
	batch = engine_batch_new(s->core->db->engine);
	catalog_key_stream(&key, s->core->number, s->number);
	engine_batch_delete(batch, SPACE_CATALOG, buf_slice(&key));
	result = engine_apply(s->core->db->engine, batch, &seq, err);
	engine_batch_free(batch);
	buf_done(&key);
	if (result == S_OK) {
		stream_remove(s->core->db->streams, s);
		stream_free(s);
	}
	return result;
}

static enum status
load_secret(struct table_db *db, struct err *err)
{
	struct streams *all = db->streams;
	struct engine_value value = {0};
	struct buf key = {0};
	uint64_t seq;
	enum status s;

	catalog_key_secret(&key);
	s = engine_get(db->engine, NULL, SPACE_CATALOG, buf_slice(&key), ENGINE_MAY_BLOCK, &value, err);
	if (s == S_OK && value.data.len != sizeof all->secret) {
		s = damaged(err);
	} else if (s == S_OK) {
		memcpy(all->secret, value.data.data, sizeof all->secret);
	} else if (s == S_NOT_FOUND) {
		struct engine_batch *batch = engine_batch_new(db->engine);

		crypto_random(all->secret, sizeof all->secret);
		engine_batch_put(batch, SPACE_CATALOG, buf_slice(&key),
				 slice_of((const char *)all->secret, sizeof all->secret));
		/* durable with the first stream: nobody waits for it */
		s = engine_apply(db->engine, batch, &seq, err);
		engine_batch_free(batch);
	}
	engine_value_done(&value);
	buf_done(&key);
	return s;
}

enum status
streams_open(struct table_db *db, struct err *err)
{
	struct streams *all = table_alloc(sizeof *all);
	struct trims trims = {0};
	uint64_t seq;
	enum status s;

	pthread_mutex_init(&all->lock, NULL);
	pthread_mutex_init(&all->trimming, NULL);
	db->streams = all;
	s = load_secret(db, err);
	if (s == S_OK)
		s = catalog_each_stream(db, load_stream, db, err);
	if (s == S_OK)
		s = catalog_each_shard(db, load_shard, db, err);
	if (s == S_OK)
		s = readers_load(db, err);
	for (size_t i = all->count; s == S_OK && i-- > 0;) /* backward: one may be taken out */
		s = resolve(all->by_arn[i], err);
	for (size_t i = 0; s == S_OK && i < all->count; i++)
		s = raise_by_shards(all->by_arn[i], err);
	if (s != S_OK)
		return s;
	trims_init(&trims, db);
	s = catalog_each_trim(db, load_trim, &trims, err);
	if (s == S_OK)
		s = drop_leftovers(&trims, err);
	if (s == S_OK && trims.any_gone) /* when no record is left below them */
		s = engine_apply(db->engine, trims.gone, &seq, err);
	engine_batch_free(trims.gone);
	free(trims.cores);
	for (size_t i = 0; s == S_OK && i < all->count; i++) {
		s = load_last(all->by_arn[i]->core, err);
		log_set_wants(all->by_arn[i]->core);
	}
	for (const struct change_reader *r = all->readers; s == S_OK && r != NULL; r = r->next) {
		s = load_last(r->core, err);
		log_set_wants(r->core);
	}
	all->listener = log_listen(db);
	return s;
}

void
streams_close(struct table_db *db)
{
	struct streams *all = db->streams;

	log_listener_end(all->listener);
	readers_done(db);
	for (size_t i = 0; i < all->count; i++)
		stream_free(all->by_arn[i]);
	free(all->by_arn);
	pthread_mutex_destroy(&all->lock);
	pthread_mutex_destroy(&all->trimming);
	free(all);
	db->streams = NULL;
}
