/*
 * The streams of a region: their rows in the catalog, and what may be asked about them.
 */
#include "table/change_int.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROW_VERSION 1

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

struct slice
table_copy(struct slice s)
{
	char *copy = table_alloc(s.len + 1);

	memcpy(copy, s.data, s.len);
	return (struct slice){copy, s.len};
}

void
stream_set_names(struct table_db *db, struct stream *s, struct slice table_name_)
{
	struct buf arn = {0};
	size_t at;

	put_label(s->created_ms, s->label);
	buf_printf(&arn, "arn:aws:dynamodb:%s:%s:table/", db->region, db->account);
	at = arn.len;
	buf_put_slice(&arn, table_name_);
	buf_printf(&arn, "/stream/%s", s->label);
	s->arn = table_copy(buf_slice(&arn));
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

bool
stream_take_schema(struct slice bytes, struct key_schema *ret)
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
	for (const struct stream *s = core->streams; s != NULL; s = s->sibling) {
		stream_put_row(s, core->number, s->status, s->disabled_ms, batch);
		stream_policy_put_row(s, batch);
		for (size_t n = 0; n < s->shard_count; n++)
			shard_put_row(s, s->shards[n], s->shards[n]->last, s->shards[n]->closed_ms, batch);
	}
	pthread_mutex_unlock(&all->lock);
}

/* Of a table that may be gone; NULL: it has no streams. The caller holds db->control. */
static struct table_core *
core_with_streams(struct table_db *db, uint32_t table_number)
{
	struct streams *all = db->streams;
	struct table_core *core = NULL;

	pthread_mutex_lock(&all->lock);
	for (size_t i = 0; core == NULL && i < all->count; i++)
		if (all->by_arn[i]->core->number == table_number)
			core = all->by_arn[i]->core;
	pthread_mutex_unlock(&all->lock);
	return core;
}

void
stream_put_rows_left(struct table_db *db, uint32_t table_number, struct engine_batch *batch)
{
	struct table_core *core = core_with_streams(db, table_number);

	if (core != NULL)
		stream_put_rows(core, batch);
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

struct stream *
stream_find_arn(const struct streams *all, struct slice arn)
{
	size_t at = arn_place(all, arn);

	return at < all->count && slice_eq(all->by_arn[at]->arn, arn) ? all->by_arn[at] : NULL;
}

void
streams_add(struct streams *all, struct stream *s)
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
	s->sibling = s->core->streams;
	s->core->streams = s;
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
	if (s->policy != NULL)
		stream_policy_forget(s);
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
	struct stream **link = &s->core->streams;

	all->count--;
	memmove(all->by_arn + at, all->by_arn + at + 1, (all->count - at) * sizeof *all->by_arn);
	while (*link != s)
		link = &(*link)->sibling;
	*link = s->sibling;
}

struct stream *
stream_enabled(struct table_core *core)
{
	for (struct stream *s = core->streams; s != NULL; s = s->sibling)
		if (s->status != STREAM_DISABLED)
			return s;
	return NULL;
}

/* ---- beginning ---- */

/* No two streams of a name have the same label, whatever the clock does. */
static int64_t
free_created_ms(struct table_db *db, struct stream *s, struct slice table_name_)
{
	for (int64_t ms = clock_wall_ms();; ms++) {
		s->created_ms = ms > 0 ? ms : 0;
		stream_set_names(db, s, table_name_);
		if (stream_find_arn(db->streams, s->arn) == NULL)
			return ms;
		free((void *)s->arn.data);
	}
}

struct stream *
stream_begin(struct table_db *db, const struct table_core *core, struct slice table_name_,
	     const struct key_schema *schema, uint32_t table_number, enum stream_view view, struct engine_batch *batch)
{
	struct stream *s = table_alloc(sizeof *s);
	struct buf bytes = {0};

	s->view = view;
	s->status = STREAM_ENABLING;
	s->number = 1;
	for (const struct stream *other = core != NULL ? core->streams : NULL; other != NULL; other = other->sibling)
		if (other->number >= s->number)
			s->number = other->number + 1;
	free_created_ms(db, s, table_name_);
	put_schema(&bytes, schema);
	s->schema_bytes = table_copy(buf_slice(&bytes));
	if (!stream_take_schema(s->schema_bytes, &s->schema))
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
	streams_add(all, s);
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
	for (const struct stream *s = core->streams; s != NULL; s = s->sibling)
		if (latest == NULL || s->number > latest->number)
			latest = s;
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
	uint64_t durable_before = engine_durable(db->engine), changed_at;
	struct stream *s;
	size_t at;

	pthread_mutex_lock(&all->lock);
	s = stream_find_arn(all, arn);
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
	changed_at = s->changed_at;
	pthread_mutex_unlock(&all->lock);
	return stream_told(db->engine, changed_at, durable_before, io, err);
}

enum status
stream_told(struct engine *e, uint64_t changed_at, uint64_t durable_before, struct table_io *io, struct err *err)
{
	if (changed_at > durable_before && changed_at > io->wait_seq)
		io->wait_seq = changed_at;
	/* the durable point passes lost places, too */
	if (changed_at <= durable_before && engine_wait_status(e, changed_at) == S_IO)
		return err_set(err, S_IO, MSG_DOUBT);
	return S_OK;
}

void
stream_durable(struct table_core *core)
{
	struct streams *all = core->db->streams;

	pthread_mutex_lock(&all->lock);
	for (struct stream *s = core->streams; s != NULL; s = s->sibling)
		s->changed_at = 0;
	pthread_mutex_unlock(&all->lock);
}

void
stream_rewritten(struct table_db *db, uint32_t table_number)
{
	struct table_core *core = core_with_streams(db, table_number);

	if (core == NULL)
		return;
	stream_durable(core);
	core_doubt_over(core);
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
	s = stream_find_arn(all, arn);
	if (s != NULL) {
		at = shard_place(s, shard_id);
		core_hold(s->core);
		ret->core = s->core;
		ret->view = s->view;
		ret->changed_at = s->changed_at;
		ret->created_ms = s->created_ms;
		ret->found = at < s->shard_count && slice_eq(slice_str(s->shards[at]->id), shard_id);
		if (ret->found) {
			memcpy(&ret->shard, s->shards[at], offsetof(struct shard, work));
			/* a shard that is not closed yet has no child that is written: shard_change_done() */
			ret->through = ret->shard.last != 0
					   ? ret->shard.last
					   : atomic_load(&layout_of(s->core)->by_id[ret->shard.partition]->log_last);
		}
	}
	pthread_mutex_unlock(&all->lock);
	return ret->core != NULL ? S_OK : no_stream(arn, err);
}

const uint8_t *
stream_secret(const struct table_db *db)
{
	return db->streams->secret;
}
