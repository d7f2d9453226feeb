/*
 * What the tests of the change log share: tables with streams, and all that a stream has. Included by one .c file each.
 */
#ifndef TESTS_UNIT_TABLE_STREAMS_H
#define TESTS_UNIT_TABLE_STREAMS_H

#include "fixture.h"
#include "table/change_int.h"
#include "table/stream.h"

#define HOUR_US (3600 * 1000000LL)
#define DAY_MS  (24 * 3600 * 1000LL)

static UNUSED int
teardown_clock(void **state)
{
	clock_reset();
	return teardown(state);
}

static UNUSED struct table *
create_streamed(const char *name, enum stream_view view)
{
	struct table_spec spec = spec_of(name, schema("pk", NULL, AV_S), NULL, 0);
	struct table_description d;

	spec.stream = view;
	assert_ok(table_create(fx.db, &spec, &fx.arena, &d, &fx.err));
	wait_active(name);
	return find(name);
}

static UNUSED void
set_stream(const char *name, bool on, enum stream_view view)
{
	struct table_update update = {.set_stream = on ? STREAM_ENABLE : STREAM_DISABLE, .stream = view};
	struct table_description d;

	assert_ok(table_update(fx.db, slice_str(name), &update, &fx.arena, &d, &fx.err));
	wait_active(name);
}

static UNUSED struct stream_description
describe_stream(struct slice arn)
{
	struct table_io io = blocking_io();
	struct stream_description d;

	assert_ok(stream_describe(fx.db, arn, SLICE_NONE, SLICE_NONE, SIZE_MAX, &io, &d, &fx.err));
	assert_false(d.more);
	return d;
}

struct seen {
	struct change *changes;
	uint32_t *partitions;
	size_t count;
};

static UNUSED struct av
keep(struct av v)
{
	return av_exists(v) ? av_stored(arena_dup(&fx.arena, av_slice(v))) : v;
}

static UNUSED void
see(void *context, const struct stream_page *page, const struct change *c)
{
	struct seen *seen = context;

	assert_true(seen->count < 20000);
	seen->partitions[seen->count] = page->partition;
	seen->changes[seen->count] = *c;
	seen->changes[seen->count].keys = keep(c->keys);
	seen->changes[seen->count].old_image = keep(c->old_image);
	seen->changes[seen->count++].new_image = keep(c->new_image);
}

static UNUSED struct seen
nothing_seen(void)
{
	return (struct seen){.changes = ARENA_ARRAY(&fx.arena, struct change, 20000),
			     .partitions = ARENA_ARRAY(&fx.arena, uint32_t, 20000)};
}

/* Reads a shard from its beginning in pages of `limit`; returns whether it has ended. */
static UNUSED bool
read_shard(struct slice arn, struct slice shard, uint32_t limit, struct seen *seen)
{
	struct table_io io = blocking_io();
	struct stream_page page;
	uint64_t seq;

	assert_ok(stream_find(fx.db, arn, shard, START_TRIM_HORIZON, SLICE_NONE, &io, &seq, &fx.err));
	do {
		size_t before = seen->count;

		assert_ok(stream_read(fx.db, arn, shard, seq, limit, 1 << 20, &io, see, seen, &page, &fx.err));
		assert_true(seen->count - before <= limit);
		seq = page.next_seq;
	} while (page.more);
	return page.ended;
}

/* All records, parents before children. */
static UNUSED struct seen
read_stream(struct slice arn)
{
	struct stream_description d = describe_stream(arn);
	struct seen seen = nothing_seen();

	for (size_t i = 0; i < d.shard_count; i++) /* ids sort by time */
		assert_int_equal(read_shard(arn, d.shards[i].id, 7, &seen), d.shards[i].last != 0);
	return seen;
}

static UNUSED struct seen
read_table(const char *name)
{
	return read_stream(describe(name).stream_arn);
}

static UNUSED size_t
open_shards(struct slice arn)
{
	struct stream_description d = describe_stream(arn);
	size_t count = 0;

	for (size_t i = 0; i < d.shard_count; i++)
		count += d.shards[i].last == 0;
	return count;
}

static UNUSED struct av
row(int key, int value_)
{
	return item("pk", text("S:%d", key), "v", text("N:%d", value_), NULL);
}

static UNUSED struct av
key_of(int key)
{
	return item("pk", text("S:%d", key), NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown_clock)

#endif
