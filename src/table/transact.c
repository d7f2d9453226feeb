#include "table/transact.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "model/key.h"
#include "table/recent.h"

#include <stdlib.h>

/*
 * Token rows lie in SPACE_ITEMS, whose filters answer for keys that are not there, under a number no table has:
 * number (u32), span (u32), the token. Value: version, time (ms, i64 LE), hash of the request, read steps.
 */
#define TOKEN_SPACE   0u
#define TOKEN_VERSION 1
#define TOKEN_HEAD    (1 + 8 + SHA256_BYTES)
#define TOKEN_LOCKS   64
#define READ_STEP     4096

struct token_lock {
	_Alignas(64) pthread_mutex_t lock;
	_Atomic uint64_t last; /* recent.h: place of the newest row of a token of this lock */
};

struct tokens {
	/* Highest span ever written to. The clock may step back, spans do not: a row must be found where it was put. */
	_Atomic uint32_t newest;
	struct token_lock locks[TOKEN_LOCKS];
};

/* ---- spans ---- */

static uint32_t
span_now(const struct table_db *db)
{
	int64_t span = clock_wall_ms() / TOKEN_LIFE_MS;
	uint32_t newest = atomic_load_explicit(&db->tokens->newest, memory_order_relaxed);
	uint32_t now = span < 2 ? 2 : span > UINT32_MAX - 2 ? UINT32_MAX - 2 : (uint32_t)span;

	return now > newest ? now : newest;
}

/* The first row of a new span has those of the last but one forgotten, when its own time is over at the latest. */
static void
enter_span(struct table_db *db, uint32_t span)
{
	uint32_t newest = atomic_load_explicit(&db->tokens->newest, memory_order_relaxed);

	while (span > newest)
		if (atomic_compare_exchange_weak(&db->tokens->newest, &newest, span)) {
			jobs_add(db, JOB_FORGET_TOKENS, SLICE(""), 0, 0, 0);
			jobs_add(db, JOB_FORGET_TOKENS, SLICE(""), 0, 0, 2 * TOKEN_LIFE_MS * 1000000);
			return;
		}
}

static void
put_span(struct buf *out, uint32_t span)
{
	out->len = 0;
	buf_put_be32(out, TOKEN_SPACE);
	buf_put_be32(out, span);
}

enum status
tokens_forget(struct table_db *db, struct err *err)
{
	struct scratch *scratch = table_scratch_take(db);
	struct engine_iter *it;
	enum status s = S_OK;
	bool any;

	put_span(&scratch->from, 0);
	put_span(&scratch->to, span_now(db) - 1);
	it = engine_iter_new(db->engine, NULL, SPACE_ITEMS, buf_slice(&scratch->from), buf_slice(&scratch->to),
			     ENGINE_MAY_BLOCK | ENGINE_SCAN);
	engine_iter_first(it);
	any = engine_iter_valid(it);
	if (!any)
		s = engine_iter_status(it, err);
	engine_iter_free(it);
	if (any)
		s = engine_drop(db->engine, SPACE_ITEMS, buf_slice(&scratch->from), buf_slice(&scratch->to), err);
	fault_pass(FAULT_TOKENS_FORGOTTEN);
	table_scratch_give(db, scratch);
	return s;
}

enum status
tokens_open(struct table_db *db, struct err *err)
{
	struct buf from = {0}, to = {0};
	struct engine_iter *it;
	enum status s;

	db->tokens = table_alloc(sizeof *db->tokens);
	for (int i = 0; i < TOKEN_LOCKS; i++)
		pthread_mutex_init(&db->tokens->locks[i].lock, NULL);
	put_span(&from, 0);
	put_span(&to, UINT32_MAX);
	it = engine_iter_new(db->engine, NULL, SPACE_ITEMS, buf_slice(&from), buf_slice(&to), ENGINE_MAY_BLOCK);
	engine_iter_last(it);
	if (engine_iter_valid(it) && engine_iter_key(it).len > 8) {
		uint32_t span;

		memcpy(&span, engine_iter_key(it).data + 4, sizeof span);
		enter_span(db, __builtin_bswap32(span));
	}
	s = engine_iter_valid(it) ? S_OK : engine_iter_status(it, err);
	if (s == S_CORRUPT) { /* the clock tells the span, unless it stepped back */
		log_error("table", "the newest tokens of transactions are damaged and cannot be read");
		s = S_OK;
	}
	engine_iter_free(it);
	buf_done(&from);
	buf_done(&to);
	return s;
}

void
tokens_close(struct table_db *db)
{
	if (db->tokens == NULL)
		return;
	for (int i = 0; i < TOKEN_LOCKS; i++)
		pthread_mutex_destroy(&db->tokens->locks[i].lock);
	free(db->tokens);
}

/* ---- one token, within a commit ---- */

static uint32_t
hash_of(struct slice text)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < text.len; i++)
		h = (h ^ (uint8_t)text.data[i]) * 16777619u;
	return h;
}

void
token_lock(struct table_db *db, struct table_token *token)
{
	token->lock = &db->tokens->locks[hash_of(token->text) % TOKEN_LOCKS];
	pthread_mutex_lock(&token->lock->lock);
}

void
token_unlock(struct table_token *token)
{
	pthread_mutex_unlock(&token->lock->lock);
}

_Atomic uint64_t *
token_slot(const struct table_token *token)
{
	return &token->lock->last;
}

static bool
is_alive(struct slice row)
{
	int64_t written_ms;

	memcpy(&written_ms, row.data + 1, sizeof written_ms);
	return clock_wall_ms() - written_ms < TOKEN_LIFE_MS;
}

static enum status
take_row(struct table_token *token, struct slice row, size_t count, struct arena *a, struct err *err)
{
	if (row.len < TOKEN_HEAD || row.data[0] != TOKEN_VERSION)
		return err_set(err, S_CORRUPT, "the row of a transaction's token is damaged");
	if (!is_alive(row))
		return S_OK;
	if (memcmp(row.data + 9, token->request, SHA256_BYTES) != 0)
		return err_set(err, S_IDEMPOTENT_MISMATCH,
			       "DynamoDB rejected the request because you retried a request with a different payload "
			       "but with an idempotent token that was already used.");
	if (row.len - TOKEN_HEAD != count)
		return err_set(err, S_CORRUPT, "the row of a transaction's token tells of %zu actions, not %zu",
			       row.len - TOKEN_HEAD, count);
	token->repeated = true;
	fault_pass(FAULT_TOKEN_REPEATED);
	token->read_steps = (const uint8_t *)arena_dup(a, slice_of(row.data + TOKEN_HEAD, row.len - TOKEN_HEAD)).data;
	return S_OK;
}

enum status
token_find(struct table_db *db, struct table_token *token, size_t count, unsigned flags, struct buf *key,
	   struct arena *a, struct err *err)
{
	uint32_t span = span_now(db);

	token->repeated = false;
	for (int back = 0; back < 2; back++) {
		struct engine_value value = {0};
		enum status s;

		put_span(key, span - (uint32_t)back);
		buf_put_slice(key, token->text);
		s = engine_get(db->engine, NULL, SPACE_ITEMS, buf_slice(key), flags, &value, err);
		if (s == S_OK)
			s = take_row(token, value.data, count, a, err);
		engine_value_done(&value);
		if (s != S_NOT_FOUND && (s != S_OK || token->repeated))
			return s;
	}
	return S_OK;
}

static uint8_t
read_steps(const struct table_write *w)
{
	uint64_t old_size = av_exists(w->old_item) ? item_size(w->old_item) : 0;
	uint64_t new_size = av_exists(w->new_item) ? item_size(w->new_item) : 0;
	uint64_t steps = ((old_size > new_size ? old_size : new_size) + READ_STEP - 1) / READ_STEP;

	return (uint8_t)(steps > 0 ? steps : 1); /* an item has 400 KB at most: 100 steps */
}

void
token_put(struct table_db *db, const struct table_token *token, const struct table_write *writes, size_t count,
	  struct engine_batch *batch, struct buf *key, struct buf *value)
{
	uint32_t span = span_now(db);
	int64_t now_ms = clock_wall_ms();

	put_span(key, span);
	buf_put_slice(key, token->text);
	value->len = 0;
	buf_put_byte(value, TOKEN_VERSION);
	buf_put(value, &now_ms, sizeof now_ms); /* little endian, as all machines we build for */
	buf_put(value, token->request, SHA256_BYTES);
	for (size_t i = 0; i < count; i++)
		buf_put_byte(value, read_steps(&writes[i]));
	engine_batch_put(batch, SPACE_ITEMS, buf_slice(key), buf_slice(value));
	enter_span(db, span);
}

enum status
table_transact_write(struct table_write *writes, size_t count, struct table_token *token, struct table_io *io,
		     struct err *err)
{
	return commit_writes(writes, count, true, token, io, err);
}

/* ---- reading ---- */

static enum status
get_one(struct table_get_item *get, struct engine *e, const struct engine_snapshot *snapshot, struct buf *key,
	struct table_io *io, uint64_t *bytes, uint64_t *ret_hash, struct err *err)
{
	struct table_core *core = get->table->core;
	struct engine_value value = {0};
	enum status s;

	key->len = 0;
	key_put_row(key, core->number, table_schema(get->table), get->key, ret_hash);
	s = engine_get(e, snapshot, SPACE_ITEMS, buf_slice(key), io->may_block ? ENGINE_MAY_BLOCK : ENGINE_CACHED_ONLY,
		       &value, err);
	*bytes += value.data.len;
	if (s == S_OK && !io->may_block && *bytes > INLINE_BYTES_MAX)
		s = S_WOULD_BLOCK;
	if (s == S_OK)
		get->item = av_stored(arena_dup(io->arena, value.data));
	engine_value_done(&value);
	if (s != S_OK && s != S_NOT_FOUND)
		return s;
	/* set before the first row is dropped, see table_get() */
	if (atomic_load(&core->dropped))
		return err_set(err, S_RESOURCE_NOT_FOUND, "Requested resource not found");
	return S_OK;
}

enum status
table_transact_get(struct table_get_item *gets, size_t count, struct table_io *io, struct err *err)
{
	uint64_t *hashes = ARENA_ARRAY(io->arena, uint64_t, count);
	uint64_t durable_before, bytes = 0;
	struct engine_snapshot *snapshot;
	struct scratch *scratch;
	struct table_db *db;
	enum status s = S_OK;

	if (count == 0)
		return S_OK;
	db = gets[0].table->core->db;
	scratch = table_scratch_take(db);
	durable_before = engine_durable(db->engine);
	snapshot = engine_snapshot_new(db->engine);
	for (size_t i = 0; i < count && s == S_OK; i++) {
		gets[i].item = AV_NONE;
		s = get_one(&gets[i], db->engine, snapshot, &scratch->keys, io, &bytes, &hashes[i], err);
	}
	engine_snapshot_free(db->engine, snapshot);
	table_scratch_give(db, scratch);
	for (size_t i = 0; i < count && s == S_OK; i++)
		recent_read_collection(gets[i].table->core, hashes[i], durable_before, &io->wait_seq);
	return s;
}
