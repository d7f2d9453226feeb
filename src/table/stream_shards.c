/*
 * How shards come and go: with the stream, by splits, by age, and when all that was in them is trimmed.
 */
#include "table/change_int.h"

#include "base/clock.h"
#include "base/fault.h"

#include <stdio.h>
#include <stdlib.h>

struct shard *
shard_open_of(const struct stream *s, uint32_t partition)
{
	for (size_t i = s->shard_count; i-- > 0;)
		if (s->shards[i]->partition == partition && s->shards[i]->last == 0)
			return s->shards[i];
	return NULL;
}

/* ---- a change in the making ---- */

struct shard_change *
shard_change_new(struct stream *s, struct engine_batch *batch)
{
	struct shard_change *c = table_alloc(sizeof *c);

	c->stream = s;
	c->batch = batch;
	c->closed_ms = clock_wall_ms();
	return c;
}

void
shard_change_close(struct shard_change *c, struct shard *shard, uint64_t *ret_last)
{
	uint64_t last =
	    atomic_load_explicit(&layout_of(c->stream->core)->by_id[shard->partition]->log_last, memory_order_relaxed);

	if (last < shard->first) /* nothing was written: the shard still covers one number, which nobody gets */
		last = shard->first;
	c->closed[c->closed_count].shard = shard;
	c->closed[c->closed_count++].last = last;
	c->log_last[shard->partition] = last;
	shard_put_row(c->stream, shard, last, c->closed_ms, c->batch);
	*ret_last = last;
}

/* Another number for each partition, so that shards of one millisecond have ids of their own. */
static uint32_t
mix(uint32_t v)
{
	v = (v + 0x9e3779b9u) * 0x85ebca6bu;
	v ^= v >> 15;
	return v * 0xc2b2ae35u;
}

static void
make_id(struct shard *shard, int64_t ms, const struct stream *s)
{
	snprintf(shard->id, sizeof shard->id, "shardId-%020llu-%08x", (unsigned long long)ms,
		 mix(shard->partition ^ (uint32_t)s->created_ms));
}

static int64_t
id_ms_of(const struct shard *shard)
{
	return strtoll(shard->id + sizeof "shardId-" - 1, NULL, 10);
}

void
shard_change_open(struct shard_change *c, uint32_t partition, const struct shard *parent)
{
	const struct layout *l = layout_of(c->stream->core);
	struct shard *shard = table_alloc(sizeof *shard);
	int64_t now_us = clock_wall_us(), id_ms;
	uint64_t last = parent != NULL ? c->log_last[parent->partition]
				       : atomic_load_explicit(&l->by_id[partition]->log_last, memory_order_relaxed);

	shard->partition = partition;
	shard->created_ms = id_ms = now_us > 0 ? now_us / 1000 : 0;
	if (parent != NULL) {
		memcpy(shard->parent, parent->id, sizeof shard->parent);
		if (id_ms <=
		    id_ms_of(parent)) /* children sort behind their parents, also when the clock stepped back */
			id_ms = id_ms_of(parent) + 1;
	}
	make_id(shard, id_ms, c->stream);
	shard->first = now_us > 0 && (uint64_t)now_us > last ? (uint64_t)now_us : last + 1;
	c->log_last[partition] = shard->first - 1;
	shard_put_row(c->stream, shard, 0, 0, c->batch);
	c->opened[c->opened_count++] = shard;
}

void
shard_change_done(struct shard_change *c, struct layout *layout, uint64_t seq)
{
	struct streams *all = c->stream->core->db->streams;

	for (uint32_t i = 0; i < layout->count; i++)
		if (c->log_last[i] != 0)
			atomic_store_explicit(&layout->by_id[i]->log_last, c->log_last[i], memory_order_release);
	pthread_mutex_lock(&all->lock);
	for (uint32_t i = 0; i < c->closed_count; i++) {
		c->closed[i].shard->last = c->closed[i].last;
		c->closed[i].shard->closed_ms = c->closed_ms;
	}
	for (uint32_t i = 0; i < c->opened_count; i++)
		shard_add(c->stream, c->opened[i]);
	c->opened_count = 0; /* the stream's now */
	c->stream->changed_at = seq;
	pthread_mutex_unlock(&all->lock);
}

void
shard_change_free(struct shard_change *c)
{
	if (c == NULL)
		return;
	for (uint32_t i = 0; i < c->opened_count; i++)
		free(c->opened[i]);
	free(c);
}

/* ---- a stream's life ---- */

/* The caller holds all locks of the table, or is alone. */
void
log_set_wants(struct table_core *core)
{
	static const unsigned images[] = {[STREAM_NEW_IMAGE] = CHANGE_NEW_IMAGE,
					  [STREAM_OLD_IMAGE] = CHANGE_OLD_IMAGE,
					  [STREAM_NEW_AND_OLD_IMAGES] = CHANGE_NEW_IMAGE | CHANGE_OLD_IMAGE};
	const struct stream *s = stream_enabled(core);
	unsigned wants = readers_want(core);

	if (s != NULL && s->status != STREAM_ENABLING)
		wants |= LOG_ON | (s->view < sizeof images / sizeof *images ? images[s->view] : 0);
	atomic_store(&core->log_wants, wants);
}

static void
set_status(struct stream *s, enum stream_status status, int64_t disabled_ms)
{
	struct streams *all = s->core->db->streams;

	pthread_mutex_lock(&all->lock);
	s->status = status;
	s->disabled_ms = disabled_ms;
	pthread_mutex_unlock(&all->lock);
}

static enum status
settle_locked(struct stream *s, struct engine_batch *batch, uint64_t *ret_seq, struct err *err)
{
	struct table_core *core = s->core;
	struct layout *l = (struct layout *)layout_of(core);
	bool enable = s->status == STREAM_ENABLING;
	enum stream_status status = enable ? STREAM_ENABLED : STREAM_DISABLED;
	int64_t disabled_ms = enable ? 0 : clock_wall_ms();
	struct shard_change *c = shard_change_new(s, batch);
	enum status result;
	uint64_t last;

	for (uint32_t i = 0; i < l->count; i++) {
		struct shard *open = shard_open_of(s, i);

		if (enable && open == NULL)
			shard_change_open(c, i, NULL);
		else if (!enable && open != NULL)
			shard_change_close(c, open, &last);
	}
	stream_put_row(s, core->number, status, disabled_ms, batch);
	result = engine_apply(core->db->engine, batch, ret_seq, err);
	fault_pass(FAULT_STREAM_ENDED);
	if (result == S_OK) {
		shard_change_done(c, l, *ret_seq);
		set_status(s, status, disabled_ms);
		log_set_wants(core);
		core_doubt_begin(core);
	}
	shard_change_free(c);
	return result;
}

enum status
stream_settle(struct table_core *core, struct err *err)
{
	struct stream *s = stream_enabled(core);
	struct engine_batch *batch;
	uint64_t seq = 0;
	enum status result;

	if (s == NULL || s->status == STREAM_ENABLED)
		return S_OK;
	if (atomic_load(&core->doubt) != 0)
		return err_set(err, S_IO, MSG_DOUBT);
	batch = engine_batch_new(core->db->engine);
	core_lock_all(core);
	result = settle_locked(s, batch, &seq, err);
	core_unlock_all(core);
	engine_batch_free(batch);
	return result == S_OK ? core_doubt_end(core, engine_sync_to(core->db->engine, seq, err)) : result;
}

/* ---- the table goes ---- */

/* With which number an open shard of a table that nobody writes any more ends. */
static uint64_t
final_number(const struct stream *s, const struct shard *shard)
{
	uint64_t last = atomic_load(&layout_of(s->core)->by_id[shard->partition]->log_last);

	return last < shard->first ? shard->first : last;
}

/* What is put here becomes true with the batch that forgets the table. */
void
stream_put_deleted(struct table_core *core, struct engine_batch *batch)
{
	struct stream *s = stream_enabled(core);
	int64_t now_ms = clock_wall_ms();

	if (s == NULL)
		return;
	stream_put_row(s, core->number, STREAM_DISABLED, now_ms, batch);
	for (size_t i = 0; i < s->shard_count; i++)
		if (s->shards[i]->last == 0)
			shard_put_row(s, s->shards[i], final_number(s, s->shards[i]), now_ms, batch);
}

void
stream_deleted(struct table_core *core)
{
	struct streams *all = core->db->streams;
	struct stream *s = stream_enabled(core);

	atomic_store(&core->log_wants, 0);
	if (s == NULL)
		return;
	pthread_mutex_lock(&all->lock);
	s->disabled_ms = clock_wall_ms();
	for (size_t i = 0; i < s->shard_count; i++)
		if (s->shards[i]->last == 0) {
			s->shards[i]->last = final_number(s, s->shards[i]);
			s->shards[i]->closed_ms = s->disabled_ms;
		}
	s->status = STREAM_DISABLED;
	pthread_mutex_unlock(&all->lock);
}

/* ---- shards that are old ---- */

/* Has the partition's open shard records, and was it made at or before then, or by a clock that stepped back since? */
static struct shard *
shard_to_roll(const struct stream *s, const struct partition *p, int64_t made_until_ms)
{
	struct shard *open = shard_open_of(s, p->id);

	if (open == NULL ||
	    (open->created_ms > made_until_ms && open->created_ms - made_until_ms < 2 * STREAM_ROLL_MS) ||
	    atomic_load_explicit(&p->log_last, memory_order_relaxed) < open->first)
		return NULL;
	return open;
}

/* All locks are held. *ret_seq 0: there was nothing to do. */
static enum status
roll_locked(struct stream *s, int64_t made_until_ms, struct engine_batch *batch, uint64_t *ret_seq, struct err *err)
{
	struct layout *l = (struct layout *)layout_of(s->core);
	struct shard_change *c = shard_change_new(s, batch);
	enum status result = S_OK;
	uint64_t last;

	for (uint32_t i = 0; i < l->count; i++) {
		struct shard *open = shard_to_roll(s, l->by_id[i], made_until_ms);

		if (open == NULL)
			continue;
		shard_change_close(c, open, &last);
		shard_change_open(c, i, open);
	}
	if (c->closed_count > 0) {
		result = engine_apply(s->core->db->engine, batch, ret_seq, err);
		fault_pass(FAULT_SHARD_ROLLED);
		if (result == S_OK) {
			shard_change_done(c, l, *ret_seq);
			core_doubt_begin(s->core);
		}
	}
	shard_change_free(c);
	return result;
}

/* Close such shards and open a child of each. The caller holds db->control. */
static enum status
roll(struct stream *s, int64_t made_until_ms, struct err *err)
{
	struct table_core *core = s->core;
	const struct layout *l = layout_of(core);
	struct engine_batch *batch;
	bool any = false;
	uint64_t seq = 0;
	enum status result;

	for (uint32_t i = 0; !any && i < l->count; i++)
		any = shard_to_roll(s, l->by_id[i], made_until_ms) != NULL;
	if (!any)
		return S_OK;
	if (atomic_load(&core->doubt) != 0)
		return err_set(err, S_IO, MSG_DOUBT);
	batch = engine_batch_new(core->db->engine);
	core_lock_all(core);
	result = roll_locked(s, made_until_ms, batch, &seq, err);
	core_unlock_all(core);
	engine_batch_free(batch);
	return result == S_OK && seq != 0 ? core_doubt_end(core, engine_sync_to(core->db->engine, seq, err)) : result;
}

enum status
change_roll(struct table_db *db, struct slice name, struct err *err)
{
	struct stream *stream;
	struct table *t;
	enum status s = S_OK;

	pthread_mutex_lock(&db->control);
	t = directory_find(db, name);
	if (t == NULL || t->record.status == TABLE_DELETING) {
		s = err_set(err, S_RESOURCE_NOT_FOUND, "Requested resource not found: Table: %.*s not found",
			    SLICE_ARG(name));
	} else {
		stream = stream_enabled(t->core);
		if (stream != NULL && stream->status == STREAM_ENABLED)
			s = roll(stream, INT64_MAX, err);
	}
	pthread_mutex_unlock(&db->control);
	table_release(t);
	return s;
}

/* ---- what is gone ---- */

static void
put_forget_shard(const struct stream *s, const struct shard *shard, struct engine_batch *batch)
{
	struct buf key = {0};

	catalog_key_shard(&key, s->core->number, s->number, slice_str(shard->id));
	engine_batch_delete(batch, SPACE_CATALOG, buf_slice(&key));
	buf_done(&key);
}

/* Did it end a day ago? What ended by a clock that stepped back since is as old as it was seen to be ahead. */
static bool
is_over(int64_t ended_ms, int64_t *ahead_since_ns)
{
	int64_t age_ms = clock_wall_ms() - ended_ms, passed_ns = clock_passed_ns();

	if (age_ms < 0 && *ahead_since_ns == 0)
		*ahead_since_ns = passed_ns;
	return age_ms >= STREAM_RETENTION_MS ||
	       (*ahead_since_ns != 0 && (passed_ns - *ahead_since_ns) / 1000000 >= STREAM_RETENTION_MS);
}

/* Whoever reads it has had time to learn that it ended, too. */
static bool
is_trimmed(const struct stream *s, struct shard *shard)
{
	struct partition *p = layout_of(s->core)->by_id[shard->partition];

	return shard->last != 0 && is_over(shard->closed_ms, &shard->work.ahead_since_ns) &&
	       (shard->last <= atomic_load(&p->log_stale) || shard->last < log_shown_from(s->core, p));
}

/* Rows first: a crash in between leaves shards that are found trimmed again. When their sync fails the shards stay, and
 * the rows are written again. */
static enum status
forget_trimmed(struct stream *s, struct err *err)
{
	struct streams *all = s->core->db->streams;
	struct engine_batch *batch = engine_batch_new(s->core->db->engine);
	size_t count = 0;
	enum status result = S_OK;

	for (size_t i = 0; i < s->shard_count; i++) {
		struct shard *shard = s->shards[i];

		/* asked once: by the second loop the clock has moved on, and a row left behind would have no stream */
		shard->work.forgotten = is_trimmed(s, shard);
		if (!shard->work.forgotten)
			continue;
		put_forget_shard(s, shard, batch);
		count++;
	}
	if (count > 0) {
		core_doubt_begin(s->core);
		result = core_doubt_end(s->core, catalog_commit(s->core->db, batch, err));
	}
	if (count > 0 && result == S_OK) {
		fault_pass(FAULT_SHARDS_FORGOTTEN);
		pthread_mutex_lock(&all->lock);
		for (size_t i = s->shard_count; i-- > 0;)
			if (s->shards[i]->work.forgotten)
				shard_remove(s, i);
		pthread_mutex_unlock(&all->lock);
	}
	engine_batch_free(batch);
	return result;
}

/* A stream whose time is over, with all that it has. Its table may be gone long since. */
static enum status
forget_stream(struct stream *s, struct err *err)
{
	struct table_db *db = s->core->db;
	struct streams *all = db->streams;
	struct engine_batch *batch = engine_batch_new(db->engine);
	struct buf key = {0};
	uint64_t seq;
	enum status result;

	catalog_key_stream(&key, s->core->number, s->number);
	engine_batch_delete(batch, SPACE_CATALOG, buf_slice(&key));
	stream_policy_delete_row(s, batch);
	for (size_t i = 0; i < s->shard_count; i++)
		put_forget_shard(s, s->shards[i], batch);
	result = engine_apply(db->engine, batch, &seq, err);
	fault_pass(FAULT_STREAM_FORGOTTEN);
	engine_batch_free(batch);
	buf_done(&key);
	if (result != S_OK)
		return result;
	pthread_mutex_lock(&all->lock);
	stream_remove(all, s);
	pthread_mutex_unlock(&all->lock);
	result = log_drop_if_unused(s->core, err);
	stream_free(s);
	return result;
}

enum status
shards_maintain(struct table_db *db, struct err *err)
{
	struct streams *all = db->streams;
	int64_t now_ms = clock_wall_ms();
	enum status s = S_OK;

	pthread_mutex_lock(&db->control);
	for (size_t i = all->count; s == S_OK && i-- > 0;) { /* backward: the last one looked at may be taken out */
		struct stream *stream = all->by_arn[i];

		if (stream->status == STREAM_DISABLED && is_over(stream->disabled_ms, &stream->ahead_since_ns)) {
			s = forget_stream(stream, err);
			continue;
		}
		if (atomic_load(&stream->core->doubt) != 0)
			continue; /* next time: its rows are to be written again first */
		if (stream->status == STREAM_ENABLED)
			s = roll(stream, now_ms - STREAM_ROLL_MS, err);
		if (s == S_OK)
			s = forget_trimmed(stream, err);
	}
	if (s == S_OK)
		s = readers_maintain(db, err);
	pthread_mutex_unlock(&db->control);
	return s;
}
