/*
 * A small database's rows, and edits of them: what the targets share that open a database some of whose rows are
 * damaged. An edit: which row, what to do, and what that needs.
 *
 *   0  byte at an offset (2 bytes) becomes ...        3  the row is gone
 *   1  the value is cut to so many bytes              4  the value becomes the n bytes that follow
 *   2  n bytes that follow are added to the value     5  the key's byte at an offset becomes ...
 */
#ifndef STATOR_TESTS_FUZZ_API_ROWS_H
#define STATOR_TESTS_FUZZ_API_ROWS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "call.h"

#define ROWS_MAX 250
#define EDITS    8

struct row {
	enum engine_space space;
	struct slice key, value;
};
static struct row rows[ROWS_MAX];
static size_t row_count, edited_count; /* the first ones */
static struct arena rows_arena;

static void
must(struct op_context *context, const char *operation, const char *body)
{
	struct buf out = {0};

	if (call_op(context, operation, body, &out) != 200) {
		fprintf(stderr, "%s: %.*s\n", operation, SLICE_ARG(buf_slice(&out)));
		abort();
	}
	buf_done(&out);
}

/* As long as a table moves from one status to the next it refuses. */
static void
must_soon(struct op_context *context, const char *operation, const char *body)
{
	const struct timespec pause = {0, 1000000};
	struct buf out = {0};

	for (int i = 0; call_op(context, operation, body, &out) != 200; i++) {
		if (i == 60000) {
			fprintf(stderr, "%s: %.*s\n", operation, SLICE_ARG(buf_slice(&out)));
			abort();
		}
		out.len = 0;
		nanosleep(&pause, NULL);
	}
	buf_done(&out);
}

static void
keep_rows(struct engine *engine, enum engine_space space)
{
	struct engine_iter *it = engine_iter_new(engine, NULL, space, SLICE_NONE, SLICE_NONE, ENGINE_MAY_BLOCK);

	for (engine_iter_first(it); engine_iter_valid(it) && row_count < ROWS_MAX; engine_iter_next(it))
		rows[row_count++] = (struct row){space, arena_dup(&rows_arena, engine_iter_key(it)),
						 arena_dup(&rows_arena, engine_iter_value(it))};
	engine_iter_free(it);
}

/* An engine that fill() has filled through a database, which is closed again. */
static struct engine *
filled_engine(const struct table_db_options *options, void (*fill)(struct table_db *, struct op_context *))
{
	static const struct op_options op_options = {.io_threads = 1, .io_queue_max = 4};
	struct op_context *context;
	struct engine *engine;
	struct table_db *db;
	struct err err;

	log_setup(LOG_ERROR, LOG_TEXT);
	if (engine_memory_open(&engine, &err) != S_OK || table_db_open(engine, options, &db, &err) != S_OK ||
	    op_context_new(&op_options, &db, 1, &context, &err) != S_OK)
		abort();
	fill(db, context);
	op_context_free(context);
	table_db_close(db);
	return engine;
}

struct input {
	const uint8_t *at, *end;
};

static unsigned
take(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static struct slice
take_bytes(struct input *in)
{
	size_t n = take(in), left = (size_t)(in->end - in->at);
	struct slice s = slice_of((const char *)in->at, n < left ? n : left);

	in->at += s.len;
	return s;
}

static struct slice
with_byte(struct arena *a, struct slice old, size_t offset, unsigned byte)
{
	struct slice changed = arena_dup(a, old);

	if (changed.len > 0)
		((char *)changed.data)[offset % changed.len] = (char)byte;
	return changed;
}

static struct slice
with_more(struct arena *a, struct slice old, struct slice more)
{
	char *both = arena_alloc(a, old.len + more.len + 1);

	memcpy(both, old.data, old.len);
	memcpy(both + old.len, more.data, more.len);
	return slice_of(both, old.len + more.len);
}

static void
edit(struct input *in, struct row *all, struct arena *a)
{
	struct row *row = &all[take(in) % edited_count];
	size_t offset;

	switch (take(in) % 6) {
	case 0:
		offset = take(in) << 8;
		offset |= take(in);
		row->value = with_byte(a, row->value, offset, take(in));
		break;
	case 1:
		offset = take(in);
		row->value.len = offset < row->value.len ? offset : row->value.len;
		break;
	case 2:
		row->value = with_more(a, row->value, take_bytes(in));
		break;
	case 3:
		row->key = SLICE_NONE;
		break;
	case 4:
		row->value = take_bytes(in);
		break;
	default:
		offset = take(in);
		row->key = with_byte(a, row->key, offset, take(in));
		break;
	}
}

/* An engine with the rows as the input has them. */
static struct engine *
engine_of_edited(struct input *in, struct arena *a)
{
	struct row all[ROWS_MAX];
	struct engine_batch *batch;
	struct engine *engine;
	struct err err;
	uint64_t seq;

	memcpy(all, rows, sizeof all);
	for (int i = 0; i < EDITS && in->at < in->end; i++)
		edit(in, all, a);
	if (engine_memory_open(&engine, &err) != S_OK)
		abort();
	batch = engine_batch_new(engine);
	for (size_t i = 0; i < row_count; i++)
		if (all[i].key.len > 0)
			engine_batch_put(batch, all[i].space, all[i].key, all[i].value);
	if (engine_apply(engine, batch, &seq, &err) != S_OK)
		abort();
	engine_batch_free(batch);
	return engine;
}

#endif
