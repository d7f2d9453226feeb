/*
 * The streams of a region: their rows in the catalog, and what may be asked about them.
 */
#include "table/change_int.h"

#include "base/clock.h"
#include "base/crypto.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROW_VERSION       1
#define STREAM_HEAD_BYTES 19 /* version, status, view, created, disabled */
#define SHARD_HEAD_BYTES  37 /* version, partition, created, first, last, closed */

/* ---- names ---- */

void
stream_sequence(uint64_t seq, uint32_t partition, char ret[SEQUENCE_DIGITS_MAX + 1])
{
	unsigned __int128 v = (unsigned __int128)seq * SEQUENCE_STEP + partition;
	char digits[SEQUENCE_DIGITS_MAX];
	size_t at = sizeof digits;

	for (; v > 0 || at > sizeof digits - SEQUENCE_DIGITS_MIN; v /= 10)
		digits[--at] = (char)('0' + (int)(v % 10));
	memcpy(ret, digits + at, sizeof digits - at);
	ret[sizeof digits - at] = '\0';
}

/* "2015-05-20T20:51:10.252" */
static void
put_label(int64_t ms, char ret[32])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	size_t len;

	gmtime_r(&seconds, &tm);
	len = strftime(ret, 24, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret + len, 32 - len, ".%03d", (int)(ms % 1000));
}

static struct slice
heap_copy(struct slice s)
{
	char *copy = table_alloc(s.len + 1);

	memcpy(copy, s.data, s.len);
	return (struct slice){copy, s.len};
}

static void
set_names(struct table_db *db, struct stream *s, struct slice table_name_)
{
	struct buf arn = {0};
	size_t at;

	put_label(s->created_ms, s->label);
	buf_printf(&arn, "arn:aws:dynamodb:%s:%s:table/", db->region, db->account);
	at = arn.len;
	buf_put_slice(&arn, table_name_);
	buf_printf(&arn, "/stream/%s", s->label);
	s->arn = heap_copy(buf_slice(&arn));
	s->table_name = slice_of(s->arn.data + at, table_name_.len);
	buf_done(&arn);
}

/* ---- rows ---- */

static void
put_attrs(struct buf *out, const struct key_attr *attrs, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		buf_put_byte(out, (uint8_t)attrs[i].type);
		buf_put_byte(out, (uint8_t)(attrs[i].name.len >> 8));
		buf_put_byte(out, (uint8_t)attrs[i].name.len);
		buf_put_slice(out, attrs[i].name);
	}
}

static void
put_schema(struct buf *out, const struct key_schema *schema)
{
	buf_put_byte(out, schema->partition_count);
	buf_put_byte(out, schema->sort_count);
	put_attrs(out, schema->partition, schema->partition_count);
	put_attrs(out, schema->sort, schema->sort_count);
}

static bool
take_attrs(struct slice *bytes, struct key_attr *ret, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		size_t len;

		if (bytes->len < 3)
			return false;
		ret[i].type = (enum av_type)(uint8_t)bytes->data[0];
		len = (size_t)(uint8_t)bytes->data[1] << 8 | (uint8_t)bytes->data[2];
		if (ret[i].type >= AV_TYPE_COUNT || len > bytes->len - 3)
			return false;
		ret[i].name = slice_of(bytes->data + 3, len);
		*bytes = slice_of(bytes->data + 3 + len, bytes->len - 3 - len);
	}
	return true;
}

/* The names lie in the bytes. */
static bool
take_schema(struct slice bytes, struct key_schema *ret)
{
	*ret = (struct key_schema){0};
	if (bytes.len < 2 || (uint8_t)bytes.data[0] > KEY_ATTRS_MAX || (uint8_t)bytes.data[1] > KEY_ATTRS_MAX)
		return false;
	ret->partition_count = (uint8_t)bytes.data[0];
	ret->sort_count = (uint8_t)bytes.data[1];
	bytes = slice_of(bytes.data + 2, bytes.len - 2);
	return ret->partition_count > 0 && take_attrs(&bytes, ret->partition, ret->partition_count) &&
	       take_attrs(&bytes, ret->sort, ret->sort_count) && bytes.len == 0;
}

void
stream_put_row(const struct stream *s, uint32_t table_number, enum stream_status status, int64_t disabled_ms,
	       struct engine_batch *batch)
{
	struct buf key = {0}, value = {0};

	catalog_key_stream(&key, table_number, s->number);
	buf_put_byte(&value, ROW_VERSION);
	buf_put_byte(&value, (uint8_t)status);
	buf_put_byte(&value, (uint8_t)s->view);
	buf_put_be64(&value, (uint64_t)s->created_ms);
	buf_put_be64(&value, (uint64_t)disabled_ms);
	buf_put_byte(&value, (uint8_t)s->table_name.len); /* 255 at most */
	buf_put_slice(&value, s->table_name);
	buf_put_slice(&value, s->schema_bytes);
	engine_batch_put(batch, SPACE_CATALOG, buf_slice(&key), buf_slice(&value));
	buf_done(&key);
	buf_done(&value);
}

void
shard_put_row(const struct stream *s, const struct shard *shard, uint64_t last, int64_t closed_ms,
	      struct engine_batch *batch)
{
	struct buf key = {0}, value = {0};

	catalog_key_shard(&key, s->core->number, s->number, slice_str(shard->id));
	buf_put_byte(&value, ROW_VERSION);
	buf_put_be32(&value, shard->partition);
	buf_put_be64(&value, (uint64_t)shard->created_ms);
	buf_put_be64(&value, shard->first);
	buf_put_be64(&value, last);
	buf_put_be64(&value, (uint64_t)closed_ms);
	buf_put_slice(&value, slice_str(shard->parent));
	engine_batch_put(batch, SPACE_CATALOG, buf_slice(&key), buf_slice(&value));
	buf_done(&key);
	buf_done(&value);
}

void
stream_put_rows(struct table_core *core, struct engine_batch *batch)
{
	struct streams *all = core->db->streams;

	pthread_mutex_lock(&all->lock);
	for (size_t i = 0; i < all->count; i++) {
		const struct stream *s = all->by_arn[i];

		if (s->core != core)
			continue;
		stream_put_row(s, core->number, s->status, s->disabled_ms, batch);
		for (size_t n = 0; n < s->shard_count; n++)
			shard_put_row(s, s->shards[n], s->shards[n]->last, s->shards[n]->closed_ms, batch);
	}
	pthread_mutex_unlock(&all->lock);
}

/* ---- the directory ---- */

/* Where the ARN is, or where it belongs. The caller holds the lock. */
static size_t
arn_place(const struct streams *all, struct slice arn)
{
	size_t low = 0, high = all->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (slice_cmp(all->by_arn[middle]->arn, arn) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct stream *
find_stream(const struct streams *all, struct slice arn)
{
	size_t at = arn_place(all, arn);

	return at < all->count && slice_eq(all->by_arn[at]->arn, arn) ? all->by_arn[at] : NULL;
}

static void
add_stream(struct streams *all, struct stream *s)
{
	size_t at = arn_place(all, s->arn);

	if (all->count == all->cap) {
		all->cap = all->cap ? 2 * all->cap : 16;
		all->by_arn = realloc(all->by_arn, all->cap * sizeof *all->by_arn);
		if (all->by_arn == NULL)
			abort();
	}
	memmove(all->by_arn + at + 1, all->by_arn + at, (all->count - at) * sizeof *all->by_arn);
	all->by_arn[at] = s;
	all->count++;
}

void
stream_free(struct stream *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->shard_count; i++)
		free(s->shards[i]);
	free(s->shards);
	free((void *)s->arn.data);
	free((void *)s->schema_bytes.data);
	core_release(s->core);
	free(s);
}

/* Where the id is among the stream's shards, or where it belongs. */
size_t
shard_place(const struct stream *s, struct slice id)
{
	size_t low = 0, high = s->shard_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (slice_cmp(slice_str(s->shards[middle]->id), id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void
shard_add(struct stream *s, struct shard *shard)
{
	size_t at = shard_place(s, slice_str(shard->id));

	if (s->shard_count == s->shard_cap) {
		s->shard_cap = s->shard_cap ? 2 * s->shard_cap : 8;
		s->shards = realloc(s->shards, s->shard_cap * sizeof *s->shards);
		if (s->shards == NULL)
			abort();
	}
	memmove(s->shards + at + 1, s->shards + at, (s->shard_count - at) * sizeof *s->shards);
	s->shards[at] = shard;
	s->shard_count++;
}

void
shard_remove(struct stream *s, size_t at)
{
	free(s->shards[at]);
	s->shard_count--;
	memmove(s->shards + at, s->shards + at + 1, (s->shard_count - at) * sizeof *s->shards);
}

void
stream_remove(struct streams *all, struct stream *s)
{
	size_t at = arn_place(all, s->arn);

	all->count--;
	memmove(all->by_arn + at, all->by_arn + at + 1, (all->count - at) * sizeof *all->by_arn);
}

struct stream *
stream_enabled(struct table_core *core)
{
	const struct streams *all = core->db->streams;

	for (size_t i = 0; i < all->count; i++)
		if (all->by_arn[i]->core == core && all->by_arn[i]->status != STREAM_DISABLED)
			return all->by_arn[i];
	return NULL;
}

/* ---- beginning ---- */

/* No two streams of a name have the same label, whatever the clock does. */
static int64_t
free_created_ms(struct table_db *db, struct stream *s, struct slice table_name_)
{
	for (int64_t ms = clock_wall_ms();; ms++) {
		s->created_ms = ms > 0 ? ms : 0;
		set_names(db, s, table_name_);
		if (find_stream(db->streams, s->arn) == NULL)
			return ms;
		free((void *)s->arn.data);
	}
}

struct stream *
stream_begin(struct table_db *db, struct slice table_name_, const struct key_schema *schema, uint32_t table_number,
	     enum stream_view view, struct engine_batch *batch)
{
	struct stream *s = table_alloc(sizeof *s);
	struct buf bytes = {0};

	s->view = view;
	s->status = STREAM_ENABLING;
	s->number = 1;
	for (size_t i = 0; i < db->streams->count; i++) {
		const struct stream *other = db->streams->by_arn[i];

		if (other->core->number == table_number && other->number >= s->number)
			s->number = other->number + 1;
	}
	free_created_ms(db, s, table_name_);
	put_schema(&bytes, schema);
	s->schema_bytes = heap_copy(buf_slice(&bytes));
	if (!take_schema(s->schema_bytes, &s->schema))
		abort(); /* just written */
	buf_done(&bytes);
	stream_put_row(s, table_number, s->status, 0, batch);
	return s;
}

void
stream_begun(struct table_core *core, struct stream *s)
{
	struct streams *all = core->db->streams;

	core_hold(core);
	s->core = core;
	pthread_mutex_lock(&all->lock);
	add_stream(all, s);
	pthread_mutex_unlock(&all->lock);
}

void
stream_put_disabling(struct stream *s, struct engine_batch *batch)
{
	stream_put_row(s, s->core->number, STREAM_DISABLING, 0, batch);
}

void
stream_disabling(struct stream *s)
{
	struct streams *all = s->core->db->streams;

	pthread_mutex_lock(&all->lock);
	s->status = STREAM_DISABLING;
	pthread_mutex_unlock(&all->lock);
}

/* ---- telling ---- */

static struct stream_name
name_of(const struct stream *s, struct arena *a)
{
	struct slice arn = arena_dup(a, s->arn);

	return (struct stream_name){.arn = arn,
				    .label = arena_dup(a, slice_str(s->label)),
				    .table_name =
					slice_of(arn.data + (s->table_name.data - s->arn.data), s->table_name.len)};
}

void
stream_list(struct table_db *db, struct slice table_name_, struct slice start, size_t limit, struct arena *a,
	    struct stream_name **ret, size_t *ret_count, bool *ret_more)
{
	struct streams *all = db->streams;
	struct stream_name *names = ARENA_ARRAY(a, struct stream_name, limit);
	size_t count = 0;

	*ret_more = false;
	pthread_mutex_lock(&all->lock);
	for (size_t i = arn_place(all, start); i < all->count && !*ret_more; i++) {
		const struct stream *s = all->by_arn[i];

		if (slice_eq(s->arn, start) || (table_name_.len > 0 && !slice_eq(s->table_name, table_name_)))
			continue;
		*ret_more = count == limit;
		if (count < limit)
			names[count++] = name_of(s, a);
	}
	pthread_mutex_unlock(&all->lock);
	*ret = names;
	*ret_count = count;
}

void
stream_describe_table(struct table_core *core, struct arena *a, struct table_description *ret)
{
	struct streams *all = core->db->streams;
	const struct stream *latest = NULL;

	ret->stream = STREAM_NONE;
	if (all == NULL)
		return; /* while the tables are being loaded */
	pthread_mutex_lock(&all->lock);
	for (size_t i = 0; i < all->count; i++)
		if (all->by_arn[i]->core == core && (latest == NULL || all->by_arn[i]->number > latest->number))
			latest = all->by_arn[i];
	if (latest != NULL) {
		struct stream_name name = name_of(latest, a);

		ret->stream_arn = name.arn;
		ret->stream_label = name.label;
		if (latest->status == STREAM_ENABLING || latest->status == STREAM_ENABLED)
			ret->stream = latest->view;
	}
	pthread_mutex_unlock(&all->lock);
}

static enum status
no_stream(struct slice arn, struct err *err)
{
	return err_set(err, S_RESOURCE_NOT_FOUND, "Requested resource not found: Stream: %.*s not found",
		       SLICE_ARG(arn));
}

static void
dup_attrs(struct key_attr *attrs, unsigned count, struct arena *a)
{
	for (unsigned i = 0; i < count; i++)
		attrs[i].name = arena_dup(a, attrs[i].name);
}

static struct stream_shard
shard_of(const struct shard *shard, struct arena *a)
{
	return (struct stream_shard){.id = arena_dup(a, slice_str(shard->id)),
				     .parent = arena_dup(a, slice_str(shard->parent)),
				     .partition = shard->partition,
				     .first = shard->first,
				     .last = shard->last};
}

enum status
stream_describe(struct table_db *db, struct slice arn, struct slice start, struct slice children_of, size_t limit,
		struct table_io *io, struct stream_description *ret, struct err *err)
{
	struct streams *all = db->streams;
	uint64_t durable_before = engine_durable(db->engine);
	struct stream *s;
	size_t at;

	pthread_mutex_lock(&all->lock);
	s = find_stream(all, arn);
	if (s == NULL) {
		pthread_mutex_unlock(&all->lock);
		return no_stream(arn, err);
	}
	*ret = (struct stream_description){.name = name_of(s, io->arena),
					   .status = s->status,
					   .view = s->view,
					   .created_ms = s->created_ms,
					   .schema = s->schema};
	dup_attrs(ret->schema.partition, ret->schema.partition_count, io->arena);
	dup_attrs(ret->schema.sort, ret->schema.sort_count, io->arena);
	ret->shards = ARENA_ARRAY(io->arena, struct stream_shard, limit < s->shard_count ? limit : s->shard_count);
	at = shard_place(s, start);
	if (start.len > 0 && at < s->shard_count && slice_eq(slice_str(s->shards[at]->id), start))
		at++;
	for (; at < s->shard_count && !ret->more; at++) {
		if (children_of.len > 0 && !slice_eq(slice_str(s->shards[at]->parent), children_of))
			continue;
		ret->more = ret->shard_count == limit;
		if (!ret->more)
			ret->shards[ret->shard_count++] = shard_of(s->shards[at], io->arena);
	}
	if (s->changed_at > durable_before && s->changed_at > io->wait_seq)
		io->wait_seq = s->changed_at;
	pthread_mutex_unlock(&all->lock);
	return S_OK;
}

enum status
stream_pin(struct table_db *db, struct slice arn, struct slice shard_id, struct pinned *ret, struct err *err)
{
	struct streams *all = db->streams;
	const struct stream *s;
	size_t at;

	ret->core = NULL;
	ret->found = false;
	pthread_mutex_lock(&all->lock);
	s = find_stream(all, arn);
	if (s != NULL) {
		at = shard_place(s, shard_id);
		core_hold(s->core);
		ret->core = s->core;
		ret->view = s->view;
		ret->changed_at = s->changed_at;
		ret->created_ms = s->created_ms;
		ret->found = at < s->shard_count && slice_eq(slice_str(s->shards[at]->id), shard_id);
		if (ret->found)
			ret->shard = *s->shards[at];
	}
	pthread_mutex_unlock(&all->lock);
	return ret->core != NULL ? S_OK : no_stream(arn, err);
}

const uint8_t *
stream_secret(const struct table_db *db)
{
	return db->streams->secret;
}

/* ---- opening ---- */

static enum status
damaged(struct err *err)
{
	return err_set(err, S_CORRUPT, "the catalog's row of a stream is damaged");
}

static uint32_t
get_be32(const char *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof v);
	return __builtin_bswap32(v);
}

static uint64_t
get_be64(const char *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof v);
	return __builtin_bswap64(v);
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
	s->schema_bytes = heap_copy(slice_of(name.data + len, value.len - STREAM_HEAD_BYTES - 1 - len));
	if (s->status > STREAM_DISABLED || s->view > STREAM_KEYS_ONLY || s->created_ms < 0 ||
	    !take_schema(s->schema_bytes, &s->schema)) {
		stream_free(s);
		return damaged(err);
	}
	set_names(db, s, name);
	s->core = core_numbered(db, get_be32(key.data), name);
	add_stream(db->streams, s);
	return S_OK;
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
	const struct trims *trims = context;
	struct table_core *core;
	uint32_t partition;

	if (key.len != 8 || value.len != 8)
		return damaged(err);
	core = trims_find(trims, get_be32(key.data));
	partition = get_be32(key.data + 4);
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
	return s;
}

static enum status
load_last(struct table_core *core, struct err *err)
{
	const struct layout *l = layout_of(core);
	enum status s = S_OK;
	uint64_t last;

	for (uint32_t i = 0; s == S_OK && i < l->count; i++) {
		s = log_find_last(core, i, 1, UINT64_MAX, &last, err);
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
	enum status s;

	pthread_mutex_init(&all->lock, NULL);
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
	free(all);
	db->streams = NULL;
}
