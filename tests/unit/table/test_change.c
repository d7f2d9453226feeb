/* The change log: records, streams with their shards, readers with positions, partitions that split, what is trimmed.
 */
#include "fixture.h"

#include <pthread.h>

#include "table/change_int.h"
#include "table/stream.h"
#include "table/transact.h"

#define HOUR_US (3600 * 1000000LL)
#define DAY_MS  (24 * 3600 * 1000LL)

static int
teardown_clock(void **state)
{
	clock_reset();
	return teardown(state);
}

/* ---- helpers ---- */

static struct table *
create_streamed(const char *name, enum stream_view view)
{
	struct table_spec spec = spec_of(name, schema("pk", NULL, AV_S), NULL, 0);
	struct table_description d;

	spec.stream = view;
	assert_ok(table_create(fx.db, &spec, &fx.arena, &d, &fx.err));
	wait_active(name);
	return find(name);
}

static void
set_stream(const char *name, bool on, enum stream_view view)
{
	struct table_update update = {.set_stream = on ? STREAM_ENABLE : STREAM_DISABLE, .stream = view};
	struct table_description d;

	assert_ok(table_update(fx.db, slice_str(name), &update, &fx.arena, &d, &fx.err));
	wait_active(name);
}

static struct stream_description
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

static struct av
keep(struct av v)
{
	return av_exists(v) ? av_stored(arena_dup(&fx.arena, av_slice(v))) : v;
}

static void
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

static struct seen
nothing_seen(void)
{
	return (struct seen){.changes = ARENA_ARRAY(&fx.arena, struct change, 20000),
			     .partitions = ARENA_ARRAY(&fx.arena, uint32_t, 20000)};
}

/* Reads a shard from its beginning in pages of `limit`; returns whether it has ended. */
static bool
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
static struct seen
read_stream(struct slice arn)
{
	struct stream_description d = describe_stream(arn);
	struct seen seen = nothing_seen();

	for (size_t i = 0; i < d.shard_count; i++) /* ids sort by time */
		assert_int_equal(read_shard(arn, d.shards[i].id, 7, &seen), d.shards[i].last != 0);
	return seen;
}

static struct seen
read_table(const char *name)
{
	return read_stream(describe(name).stream_arn);
}

static size_t
open_shards(struct slice arn)
{
	struct stream_description d = describe_stream(arn);
	size_t count = 0;

	for (size_t i = 0; i < d.shard_count; i++)
		count += d.shards[i].last == 0;
	return count;
}

static struct av
row(int key, int value_)
{
	return item("pk", text("S:%d", key), "v", text("N:%d", value_), NULL);
}

static struct av
key_of(int key)
{
	return item("pk", text("S:%d", key), NULL);
}

/* ---- records ---- */

static void
a_record_tells_what_happened(void **state)
{
	struct table *t = create_streamed("t", STREAM_NEW_AND_OLD_IMAGES);
	struct seen seen;

	(void)state;
	assert_ok(put(t, row(1, 1)));
	assert_ok(put(t, row(1, 2)));
	assert_ok(delete (t, key_of(1)));
	assert_ok(delete (t, key_of(1))); /* of nothing */
	seen = read_table("t");
	assert_int_equal(seen.count, 3);
	assert_int_equal(seen.changes[0].kind, CHANGE_INSERT);
	assert_same(seen.changes[0].keys, key_of(1));
	assert_same(seen.changes[0].old_image, AV_NONE);
	assert_same(seen.changes[0].new_image, row(1, 1));
	assert_int_equal(seen.changes[1].kind, CHANGE_MODIFY);
	assert_same(seen.changes[1].old_image, row(1, 1));
	assert_same(seen.changes[1].new_image, row(1, 2));
	assert_int_equal(seen.changes[2].kind, CHANGE_REMOVE);
	assert_same(seen.changes[2].old_image, row(1, 2));
	assert_same(seen.changes[2].new_image, AV_NONE);
	assert_true(seen.changes[0].seq < seen.changes[1].seq && seen.changes[1].seq < seen.changes[2].seq);
	table_release(t);
}

static void
a_write_that_changes_nothing_makes_no_record(void **state)
{
	struct table *t = create_streamed("t", STREAM_KEYS_ONLY);
	struct table_io io = blocking_io();
	struct table_write w = {.kind = WRITE_UPDATE, .table = t, .key = key_of(1)};

	(void)state;
	assert_ok(put(t, row(1, 1)));
	assert_ok(put(t, row(1, 1)));
	w.update = expression(EXPR_UPDATE, "SET v = :a", "N:1", NULL);
	assert_ok(table_commit(&w, 1, &io, &fx.err));
	assert_int_equal(w.change_seq, 0);
	w.update = expression(EXPR_UPDATE, "SET v = :a", "N:2", NULL);
	assert_ok(table_commit(&w, 1, &io, &fx.err));
	assert_true(w.change_seq != 0);
	assert_int_equal(read_table("t").count, 2);
	assert_true(read_table("t").changes[1].seq == w.change_seq);
	table_release(t);
}

static void
a_table_without_reader_writes_none(void **state)
{
	struct table *t = create("t", schema("pk", NULL, AV_S), NULL, 0);
	uint64_t first;

	(void)state;
	assert_ok(put(t, row(1, 1)));
	for (uint32_t i = 0; i < 4; i++) {
		assert_ok(log_find_first(t->core, i, 0, UINT64_MAX, &first, &fx.err));
		assert_int_equal(first, 0);
	}
	table_release(t);
}

static void
the_view_decides_what_is_shown(void **state)
{
	static const struct {
		const char *name;
		enum stream_view view;
		bool old, new;
	} views[] = {{"a", STREAM_KEYS_ONLY, false, false},
		     {"b", STREAM_NEW_IMAGE, false, true},
		     {"c", STREAM_OLD_IMAGE, true, false},
		     {"d", STREAM_NEW_AND_OLD_IMAGES, true, true}};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct table *t = create_streamed(text("table-%s", views[i].name), views[i].view);
		struct seen seen;

		assert_ok(put(t, row(1, 1)));
		assert_ok(put(t, row(1, 2)));
		seen = read_table(text("table-%s", views[i].name));
		assert_int_equal(seen.count, 2);
		assert_int_equal(av_exists(seen.changes[1].old_image), views[i].old);
		assert_int_equal(av_exists(seen.changes[1].new_image), views[i].new);
		assert_same(seen.changes[1].keys, key_of(1));
		table_release(t);
	}
}

static void
a_transaction_makes_a_record_of_each_write(void **state)
{
	struct table *t = create_streamed("t", STREAM_NEW_AND_OLD_IMAGES);
	struct table_io io = blocking_io();
	struct table_write w[] = {{.kind = WRITE_PUT, .table = t, .item = row(1, 9)},
				  {.kind = WRITE_DELETE, .table = t, .key = key_of(2)},
				  {.kind = WRITE_CHECK, .table = t, .key = key_of(3)}};
	struct seen seen;

	(void)state;
	for (int i = 1; i < 4; i++)
		assert_ok(put(t, row(i, i)));
	assert_ok(table_transact_write(w, 3, NULL, &io, &fx.err));
	seen = read_table("t");
	assert_int_equal(seen.count, 5);
	for (size_t i = 0; i < seen.count; i++)
		if (seen.changes[i].kind == CHANGE_MODIFY)
			assert_same(seen.changes[i].old_image, row(1, 1));
		else if (seen.changes[i].kind == CHANGE_REMOVE)
			assert_same(seen.changes[i].old_image, row(2, 2));
	table_release(t);
}

static void
cause_and_origin_are_kept(void **state)
{
	struct table *t = create_streamed("t", STREAM_KEYS_ONLY);
	struct table_io io = blocking_io();
	struct table_write w = {.kind = WRITE_PUT, .table = t, .item = row(1, 1), .cause = CAUSE_REPLICATION};
	struct seen seen;

	(void)state;
	w.origin = SLICE("ap-south-1");
	assert_ok(table_commit(&w, 1, &io, &fx.err));
	seen = read_table("t");
	assert_int_equal(seen.changes[0].cause, CAUSE_REPLICATION);
	table_release(t);
}

static void
damaged_records_are_told(void **state)
{
	struct change c;
	struct scratch scratch = {.batch = engine_batch_new(fx.engine)};
	struct table *t = create_streamed("t", STREAM_NEW_AND_OLD_IMAGES);
	struct change_draft draft = {.wants = LOG_ON | CHANGE_NEW_IMAGE | CHANGE_OLD_IMAGE};
	struct table_write w = {.old_item = row(1, 1), .new_item = row(1, 2), .origin = SLICE("xy")};
	struct slice bytes;

	(void)state;
	change_put(t, layout_of(t->core)->by_id[0], &w, &draft, &scratch, &fx.arena);
	bytes = slice_of(scratch.change.data + 16, scratch.change.len - 16);
	assert_ok(change_decode(5, bytes, &c, &fx.err));
	assert_true(slice_eq(c.origin, SLICE("xy")));
	for (size_t len = 0; len < bytes.len; len++) {
		char *copy = malloc(len ? len : 1); /* so that reading beyond it is seen */

		memcpy(copy, bytes.data, len);
		assert_int_equal(change_decode(5, slice_of(copy, len), &c, &fx.err), S_CORRUPT);
		free(copy);
	}
	buf_done(&scratch.change);
	engine_batch_free(scratch.batch);
	table_release(t);
}

/* ---- sequence numbers ---- */

static void
sequence_numbers_rise_when_the_clock_steps_back(void **state)
{
	struct table *t = create_streamed("t", STREAM_KEYS_ONLY);
	struct seen seen;

	(void)state;
	assert_ok(put(t, row(1, 1)));
	clock_shift_us(-HOUR_US);
	assert_ok(put(t, row(1, 2)));
	assert_ok(change_roll(fx.db, SLICE("t"), &fx.err));
	assert_ok(put(t, row(1, 3)));
	table_release(t);
	db_reopen();
	t = find("t");
	assert_ok(put(t, row(1, 4)));
	seen = read_table("t");
	assert_int_equal(seen.count, 4);
	for (size_t i = 1; i < 4; i++)
		assert_true(seen.changes[i - 1].seq < seen.changes[i].seq);
	assert_true(seen.changes[3].committed_us < (int64_t)seen.changes[0].seq);
	table_release(t);
}

static void
sequence_numbers_on_the_wire_are_long_enough_and_sort(void **state)
{
	static const uint64_t ascending[] = {1, 2, 1000000, 1700000000000000, 1700000000000001, UINT64_MAX - 1};
	char before[SEQUENCE_DIGITS_MAX + 1] = "", now[SEQUENCE_DIGITS_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof ascending / sizeof *ascending; i++) {
		stream_sequence(ascending[i], 255, now);
		assert_true(strlen(now) >= SEQUENCE_DIGITS_MIN && strlen(now) <= SEQUENCE_DIGITS_MAX);
		assert_true(strlen(before) < strlen(now) || strcmp(before, now) < 0);
		memcpy(before, now, sizeof before);
	}
}

/* ---- positions ---- */

static void
positions_begin_where_they_are_asked_to(void **state)
{
	struct table *t = create_streamed("t", STREAM_KEYS_ONLY);
	struct slice arn = describe("t").stream_arn, shard;
	struct table_io io = blocking_io();
	char number[SEQUENCE_DIGITS_MAX + 1];
	struct seen seen;
	uint64_t seq;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_ok(put(t, row(1, i)));
	seen = read_table("t");
	for (size_t i = 0; i < 4; i++)
		if (describe_stream(arn).shards[i].partition == seen.partitions[0])
			shard = describe_stream(arn).shards[i].id;
	stream_sequence(seen.changes[1].seq, seen.partitions[1], number);
	assert_ok(stream_find(fx.db, arn, shard, START_AT_SEQUENCE, slice_str(number), &io, &seq, &fx.err));
	assert_true(seq == seen.changes[1].seq);
	assert_ok(stream_find(fx.db, arn, shard, START_AFTER_SEQUENCE, slice_str(number), &io, &seq, &fx.err));
	assert_true(seq > seen.changes[1].seq && seq <= seen.changes[2].seq);
	assert_ok(stream_find(fx.db, arn, shard, START_LATEST, SLICE_NONE, &io, &seq, &fx.err));
	assert_true(seq > seen.changes[2].seq);
	stream_sequence(seen.changes[1].seq, seen.partitions[1] + 1, number); /* another partition's */
	assert_status(stream_find(fx.db, arn, shard, START_AT_SEQUENCE, slice_str(number), &io, &seq, &fx.err),
		      S_VALIDATION, "Invalid SequenceNumber for the shard");
	assert_status(
	    stream_find(fx.db, arn, shard, START_AT_SEQUENCE, SLICE("000000000000000000001"), &io, &seq, &fx.err),
	    S_VALIDATION, "Invalid SequenceNumber for the shard");
	assert_int_equal(stream_find(fx.db, arn, shard, START_AT_SEQUENCE,
				     SLICE("9999999999999999999999999999999999999999"), &io, &seq, &fx.err),
			 S_VALIDATION);
	assert_int_equal(stream_find(fx.db, arn, SLICE("shardId-00000000000000000000-00000000"), START_LATEST,
				     SLICE_NONE, &io, &seq, &fx.err),
			 S_RESOURCE_NOT_FOUND);
	table_release(t);
}

static void
records_wait_until_they_are_durable(void **state)
{
	struct table *t = create_streamed("t", STREAM_KEYS_ONLY);
	struct slice arn = describe("t").stream_arn;
	struct stream_description d = describe_stream(arn);
	struct table_io write_io = blocking_io();
	struct table_write w = {.kind = WRITE_PUT, .table = t, .item = row(1, 1)};
	uint64_t waits = 0;

	(void)state;
	engine_memory_hold_sync(fx.memory, true);
	assert_ok(table_commit(&w, 1, &write_io, &fx.err));
	for (size_t i = 0; i < d.shard_count; i++) {
		struct table_io io = blocking_io();
		struct seen seen = nothing_seen();
		struct stream_page page;

		assert_ok(stream_read(fx.db, arn, d.shards[i].id, d.shards[i].first, 10, 1000, &io, see, &seen, &page,
				      &fx.err));
		assert_int_equal(io.wait_seq != 0, seen.count > 0);
		if (seen.count > 0)
			waits = io.wait_seq;
	}
	assert_true(waits >= write_io.wait_seq);
	engine_memory_hold_sync(fx.memory, false);
	table_release(t);
}

/* ---- shards ---- */

static void
a_rolled_shard_ends_and_has_a_child(void **state)
{
	struct table *t = create_streamed("t", STREAM_KEYS_ONLY);
	struct slice arn = describe("t").stream_arn;
	struct stream_description d;
	struct seen seen;
	size_t parents = 0;

	(void)state;
	assert_ok(put(t, row(1, 1)));
	assert_ok(change_roll(fx.db, SLICE("t"), &fx.err)); /* those without records stay open */
	assert_ok(put(t, row(1, 2)));
	d = describe_stream(arn);
	assert_int_equal(d.shard_count, 5);
	for (size_t i = 0; i < d.shard_count; i++)
		if (d.shards[i].parent.len > 0) {
			parents++;
			for (size_t n = 0; n < d.shard_count; n++)
				if (slice_eq(d.shards[n].id, d.shards[i].parent)) {
					assert_true(n < i);
					assert_true(d.shards[n].last != 0 && d.shards[n].last < d.shards[i].first);
				}
		}
	assert_int_equal(parents, 1);
	assert_int_equal(open_shards(arn), 4);
	seen = read_table("t");
	assert_int_equal(seen.count, 2);
	table_release(t);
}

static void
shards_roll_when_they_are_old(void **state)
{
	struct table *t = create_streamed("t", STREAM_KEYS_ONLY);
	struct slice arn = describe("t").stream_arn;

	(void)state;
	assert_ok(put(t, row(1, 1)));
	clock_shift_us(3 * HOUR_US);
	assert_ok(change_maintain(fx.db, &fx.err));
	assert_int_equal(describe_stream(arn).shard_count, 4);
	clock_shift_us(2 * HOUR_US);
	assert_ok(change_maintain(fx.db, &fx.err));
	assert_int_equal(describe_stream(arn).shard_count, 5);
	table_release(t);
}

static void
streams_survive_a_restart(void **state)
{
	struct table *t = create_streamed("t", STREAM_NEW_IMAGE);
	struct slice arn = arena_dup(&fx.arena, describe("t").stream_arn);
	struct stream_description before, after;
	uint8_t secret[STREAM_SECRET_BYTES];
	struct seen seen;

	(void)state;
	assert_ok(put(t, row(1, 1)));
	assert_ok(change_roll(fx.db, SLICE("t"), &fx.err));
	assert_ok(put(t, row(1, 2)));
	assert_ok(table_split(fx.db, SLICE("t"), 0, &fx.err));
	before = describe_stream(arn);
	memcpy(secret, stream_secret(fx.db), sizeof secret);
	table_release(t);
	db_reopen();
	t = find("t");
	after = describe_stream(arn);
	assert_int_equal(after.shard_count, before.shard_count);
	for (size_t i = 0; i < after.shard_count; i++) {
		assert_true(slice_eq(after.shards[i].id, before.shards[i].id));
		assert_true(slice_eq(after.shards[i].parent, before.shards[i].parent));
		assert_true(after.shards[i].first == before.shards[i].first);
		assert_true(after.shards[i].last == before.shards[i].last);
	}
	assert_int_equal(after.view, STREAM_NEW_IMAGE);
	assert_memory_equal(secret, stream_secret(fx.db), sizeof secret);
	assert_ok(put(t, row(1, 3)));
	seen = read_stream(arn);
	assert_int_equal(seen.count, 3);
	assert_same(seen.changes[2].new_image, row(1, 3));
	table_release(t);
}

static void
a_stream_enabled_again_is_another_one(void **state)
{
	struct table *t = create_streamed("t", STREAM_KEYS_ONLY);
	struct slice first = arena_dup(&fx.arena, describe("t").stream_arn), second;
	struct stream_name *names;
	size_t count;
	bool more;

	(void)state;
	assert_ok(put(t, row(1, 1)));
	set_stream("t", false, STREAM_NONE);
	assert_int_equal(describe("t").stream, STREAM_NONE);
	assert_true(slice_eq(describe("t").stream_arn, first));
	assert_int_equal(describe_stream(first).status, STREAM_DISABLED);
	assert_int_equal(open_shards(first), 0);
	assert_ok(put(t, row(1, 2)));
	set_stream("t", true, STREAM_NEW_IMAGE);
	second = describe("t").stream_arn;
	assert_false(slice_eq(first, second));
	assert_ok(put(t, row(1, 3)));
	assert_int_equal(read_stream(first).count, 1);
	assert_int_equal(read_stream(second).count, 1);
	assert_same(read_stream(second).changes[0].new_image, row(1, 3));
	stream_list(fx.db, SLICE("t"), SLICE_NONE, 1, &fx.arena, &names, &count, &more);
	assert_true(count == 1 && more && slice_eq(names[0].arn, first));
	stream_list(fx.db, SLICE("t"), first, 1, &fx.arena, &names, &count, &more);
	assert_true(count == 1 && !more && slice_eq(names[0].arn, second));
	table_release(t);
}

static void
a_stream_outlives_its_table_by_a_day(void **state)
{
	struct table *t = create_streamed("t", STREAM_NEW_IMAGE);
	struct slice arn = arena_dup(&fx.arena, describe("t").stream_arn), other;
	uint32_t number = describe("t").number;
	struct table_description d;
	struct table_io io = blocking_io();
	struct stream_description sd;
	struct buf from = {0}, to = {0};
	struct engine_iter *it;

	(void)state;
	assert_ok(put(t, row(1, 1)));
	table_release(t);
	assert_ok(table_delete(fx.db, SLICE("t"), &fx.arena, &d, &fx.err));
	wait_gone("t");
	t = create_streamed("t", STREAM_NEW_IMAGE);
	other = arena_dup(&fx.arena, describe("t").stream_arn);
	assert_ok(put(t, row(1, 2)));
	table_release(t);
	assert_false(slice_eq(arn, other));
	for (int round = 0; round < 2; round++) {
		assert_int_equal(describe_stream(arn).status, STREAM_DISABLED);
		assert_int_equal(open_shards(arn), 0);
		assert_int_equal(read_stream(arn).count, 1);
		assert_same(read_stream(arn).changes[0].new_image, row(1, 1));
		assert_same(read_stream(other).changes[0].new_image, row(1, 2));
		db_reopen(); /* there is no table any more that would know of it */
	}
	clock_shift_us(25 * HOUR_US);
	assert_ok(change_maintain(fx.db, &fx.err));
	assert_int_equal(stream_describe(fx.db, arn, SLICE_NONE, SLICE_NONE, 1, &io, &sd, &fx.err),
			 S_RESOURCE_NOT_FOUND);
	space_range(number, &from, &to);
	it = engine_iter_new(fx.engine, NULL, SPACE_LOG, buf_slice(&from), buf_slice(&to), ENGINE_MAY_BLOCK);
	engine_iter_first(it);
	assert_false(engine_iter_valid(it));
	engine_iter_free(it);
	buf_done(&from);
	buf_done(&to);
}

/* ---- trimming ---- */

static void
records_go_after_a_day(void **state)
{
	struct table *t = create_streamed("t", STREAM_KEYS_ONLY);
	struct slice arn = describe("t").stream_arn;
	struct stream_description d;
	struct table_io io = blocking_io();
	struct seen seen;
	struct stream_page page;
	uint32_t partition;
	uint64_t first, old;

	(void)state;
	assert_ok(put(t, row(1, 1)));
	seen = read_table("t");
	partition = seen.partitions[0];
	old = seen.changes[0].seq;
	clock_shift_us(23 * HOUR_US);
	assert_ok(put(t, row(1, 2)));
	assert_ok(change_maintain(fx.db, &fx.err));
	assert_int_equal(read_table("t").count, 2);
	clock_shift_us(2 * HOUR_US);
	assert_ok(change_maintain(fx.db, &fx.err));
	assert_ok(log_find_first(t->core, partition, 0, UINT64_MAX, &first, &fx.err));
	assert_true(first > old);
	assert_int_equal(read_table("t").count, 1);
	d = describe_stream(arn);
	for (size_t i = 0; i < d.shard_count; i++)
		if (d.shards[i].partition == partition && d.shards[i].first <= old) {
			assert_status(
			    stream_read(fx.db, arn, d.shards[i].id, old, 10, 1000, &io, see, &seen, &page, &fx.err),
			    S_TRIMMED_DATA,
			    "The operation attempted to read past the oldest stream record in a shard.");
			/* who read it stands behind it and goes on */
			assert_ok(stream_read(fx.db, arn, d.shards[i].id, old + 1, 10, 1000, &io, see, &seen, &page,
					      &fx.err));
		}
	table_release(t);
}

static size_t
shards_of(struct slice arn, uint32_t partition)
{
	struct stream_description d = describe_stream(arn);
	size_t count = 0;

	for (size_t i = 0; i < d.shard_count; i++)
		count += d.shards[i].partition == partition;
	return count;
}

static void
records_go_after_a_day_when_the_clock_was_years_ahead(void **state)
{
	struct table *t;
	struct slice arn;
	struct stream_description d;
	struct seen seen;
	uint32_t partition;
	uint64_t first, second;

	(void)state;
	clock_shift_us(5 * 365 * 24 * HOUR_US);
	t = create_streamed("t", STREAM_KEYS_ONLY);
	arn = arena_dup(&fx.arena, describe("t").stream_arn);
	assert_ok(put(t, row(1, 1)));
	clock_shift_us(-5 * 365 * 24 * HOUR_US);
	partition = read_table("t").partitions[0];
	assert_ok(change_maintain(fx.db, &fx.err)); /* closes what the future made, once */
	assert_ok(change_maintain(fx.db, &fx.err));
	assert_int_equal(shards_of(arn, partition), 2);
	assert_ok(put(t, row(1, 2)));
	assert_ok(change_maintain(fx.db, &fx.err));
	assert_int_equal(shards_of(arn, partition), 2);
	clock_shift_us(23 * HOUR_US);
	assert_ok(put(t, row(1, 3)));
	assert_ok(change_maintain(fx.db, &fx.err));
	seen = read_table("t");
	assert_int_equal(seen.count, 3); /* nothing that is younger than a day goes */
	second = seen.changes[1].seq;
	clock_shift_us(2 * HOUR_US);
	assert_ok(change_maintain(fx.db, &fx.err));
	seen = read_table("t");
	assert_true(seen.count >= 1 && seen.count <= 2);
	assert_true(seen.changes[0].seq >= second);
	for (int i = 0; i < 8; i++) {
		clock_shift_us(5 * HOUR_US);
		assert_ok(change_maintain(fx.db, &fx.err));
	}
	assert_int_equal(read_table("t").count, 0);
	assert_ok(log_find_first(t->core, partition, 0, UINT64_MAX, &first, &fx.err));
	assert_int_equal(first, 0);
	clock_shift_us(25 * HOUR_US);
	assert_ok(change_maintain(fx.db, &fx.err));
	assert_int_equal(shards_of(arn, partition), 1);
	d = describe_stream(arn);
	assert_int_equal(d.shard_count, 4);
	table_release(t);
}

static void
a_clock_that_is_set_right_takes_no_record_before_its_day(void **state) /* it had booted in the past */
{
	struct table *t = create_streamed("t", STREAM_KEYS_ONLY);

	(void)state;
	assert_ok(put(t, row(1, 1)));
	clock_shift_us(-365 * 24 * HOUR_US);
	assert_ok(change_maintain(fx.db, &fx.err));
	assert_ok(put(t, row(1, 2)));
	assert_ok(change_maintain(fx.db, &fx.err));
	clock_reset(); /* unlike a shift forward this lets no time pass */
	assert_ok(change_maintain(fx.db, &fx.err));
	assert_int_equal(read_table("t").count, 2);
	table_release(t);
}

static void
a_disabled_stream_of_the_future_goes_after_a_day(void **state)
{
	struct table *t;
	struct slice arn;

	(void)state;
	clock_shift_us(365 * 24 * HOUR_US);
	t = create_streamed("t", STREAM_KEYS_ONLY);
	arn = arena_dup(&fx.arena, describe("t").stream_arn);
	assert_ok(put(t, row(1, 1)));
	set_stream("t", false, STREAM_NONE);
	clock_shift_us(-365 * 24 * HOUR_US);
	assert_ok(change_maintain(fx.db, &fx.err));
	clock_shift_us(23 * HOUR_US);
	assert_ok(change_maintain(fx.db, &fx.err));
	assert_int_equal(read_stream(arn).count, 1);
	clock_shift_us(2 * HOUR_US);
	assert_ok(change_maintain(fx.db, &fx.err));
	assert_int_equal(describe("t").stream_arn.len, 0);
	table_release(t);
}

static void
put_record(uint32_t table_number)
{
	struct engine_batch *batch = engine_batch_new(fx.engine);
	struct buf key = {0};
	uint64_t seq;

	log_put_key(&key, table_number, 2, 5000000000000000);
	engine_batch_put(batch, SPACE_LOG, buf_slice(&key), SLICE("x"));
	assert_ok(engine_apply(fx.engine, batch, &seq, &fx.err));
	engine_batch_free(batch);
	buf_done(&key);
}

/* How far the log of a table was trimmed, as if that were gone. */
static void
put_trim(uint32_t table_number)
{
	struct engine_batch *batch = engine_batch_new(fx.engine);
	struct buf key = {0};
	uint64_t seq;

	catalog_key_trim(&key, table_number, 3);
	engine_batch_put(batch, SPACE_CATALOG, buf_slice(&key), slice_of("\0\0\0\0\0\0\0\1", 8));
	assert_ok(engine_apply(fx.engine, batch, &seq, &fx.err));
	engine_batch_free(batch);
	buf_done(&key);
}

struct rows_of {
	uint32_t table_number;
	int count;
};

static enum status
count_row(void *context, struct slice key, struct slice value, struct err *err)
{
	struct rows_of *rows = context;
	uint32_t number;

	(void)value, (void)err;
	memcpy(&number, key.data, sizeof number);
	rows->count += __builtin_bswap32(number) == rows->table_number;
	return S_OK;
}

static int
count_trims(uint32_t table_number)
{
	struct rows_of rows = {.table_number = table_number};

	assert_ok(catalog_each_trim(fx.db, count_row, &rows, &fx.err));
	return rows.count;
}

static void
what_a_crash_left_of_a_log_goes(void **state) /* between the end of its last reader and its own */
{
	struct table *t = create("t", schema("pk", NULL, AV_S), NULL, 0);
	uint32_t left, gone;

	(void)state;
	put_record(t->core->number);
	put_record(t->core->number + 100);
	put_trim(t->core->number + 100);
	gone = t->core->number + 100;
	assert_int_equal(count_trims(gone), 1);
	table_release(t);
	db_reopen();
	assert_ok(log_next_number(fx.db, 0, &left, &fx.err));
	assert_int_equal(left, 0);
	assert_int_equal(count_trims(gone), 0);
	set_stream("t", true, STREAM_KEYS_ONLY);
	t = find("t");
	for (int i = 0; i < 20; i++)
		assert_ok(put(t, row(i, i)));
	for (size_t i = 0; i < 20; i++) /* numbers go on behind those that were dropped */
		assert_true(read_table("t").partitions[i] != 2 || read_table("t").changes[i].seq > 5000000000000000);
	table_release(t);
}

static void
shards_go_with_their_records_and_children_remember_them(void **state)
{
	struct table *t = create_streamed("t", STREAM_KEYS_ONLY);
	struct slice arn = describe("t").stream_arn;
	struct stream_description d;

	(void)state;
	assert_ok(put(t, row(1, 1)));
	assert_ok(change_roll(fx.db, SLICE("t"), &fx.err));
	assert_int_equal(describe_stream(arn).shard_count, 5);
	clock_shift_us(25 * HOUR_US);
	assert_ok(change_maintain(fx.db, &fx.err));
	d = describe_stream(arn);
	assert_int_equal(d.shard_count, 4);
	assert_int_equal(open_shards(arn), 4);
	for (size_t i = 0; i < d.shard_count; i++)
		for (size_t n = 0; n < d.shard_count; n++)
			assert_false(slice_eq(d.shards[i].parent, d.shards[n].id));
	table_release(t);
}

static void
numbers_go_on_behind_what_was_trimmed(void **state)
{
	struct table *t = create_streamed("t", STREAM_KEYS_ONLY);
	struct seen seen;
	uint64_t old;

	(void)state;
	assert_ok(put(t, row(1, 1)));
	old = read_table("t").changes[0].seq;
	clock_shift_us(25 * HOUR_US);
	assert_ok(change_maintain(fx.db, &fx.err));
	assert_int_equal(read_table("t").count, 0);
	clock_shift_us(-48 * HOUR_US);
	table_release(t);
	db_reopen();
	t = find("t");
	assert_ok(put(t, row(1, 2)));
	seen = read_table("t");
	assert_int_equal(seen.count, 1);
	assert_true(seen.changes[0].seq > old);
	table_release(t);
}

/* ---- partitions that split ---- */

static void
a_partition_that_was_split_is_not_the_most_written_for_ever(void **state)
{
	struct table *t = create("t", schema("pk", NULL, AV_S), NULL, 0);
	unsigned split = 0;

	(void)state;
	for (int i = 0; i < 400; i++)
		assert_ok(put(t, row(i, i)));
	for (int i = 0; i < 4; i++)
		assert_ok(table_split(fx.db, SLICE("t"), UINT32_MAX, &fx.err));
	for (uint32_t i = 4; i < 8; i++)
		split |= 1u << layout_of(t->core)->by_id[i]->parent;
	assert_int_equal(split, 15);
	table_release(t);
}

static void
a_split_partition_has_two_children(void **state)
{
	struct table *t = create_streamed("t", STREAM_NEW_AND_OLD_IMAGES);
	struct slice arn = describe("t").stream_arn;
	struct stream_description d;
	struct slice parent = SLICE_NONE;
	int children = 0;

	(void)state;
	for (int i = 0; i < 40; i++)
		assert_ok(put(t, row(i, 0)));
	assert_ok(table_split(fx.db, SLICE("t"), 2, &fx.err));
	assert_int_equal(layout_of(t->core)->count, 5);
	for (int i = 0; i < 40; i++)
		assert_ok(put(t, row(i, 1)));
	d = describe_stream(arn);
	assert_int_equal(d.shard_count, 6);
	assert_int_equal(open_shards(arn), 5);
	for (size_t i = 0; i < d.shard_count; i++)
		if (d.shards[i].parent.len > 0) {
			parent = d.shards[i].parent;
			children++;
		}
	assert_int_equal(children, 2);
	for (size_t i = 0; i < d.shard_count; i++)
		if (slice_eq(d.shards[i].id, parent))
			assert_int_equal(d.shards[i].partition, 2);
	assert_int_equal(read_table("t").count, 80);
	assert_int_equal(describe("t").item_count, 40);
	for (int i = 0; i < 40; i++)
		assert_same(get(t, key_of(i)), row(i, 1));
	assert_int_equal(all_pages((struct table_read){.table = t}, 7).count, 40);
	table_release(t);
}

/* ThreadSanitizer ends a process that holds 64 locks at once, as a split does. */
#ifdef STATOR_SANITIZE
#define MANY 50
#else
#define MANY PARTITIONS_MAX
#endif

static void
a_table_splits_until_there_are_enough(void **state)
{
	struct table *t = create("t", schema("pk", NULL, AV_S), NULL, 0);
	const struct layout *l;

	(void)state;
	for (int i = 0; i < MANY - 4; i++) {
		assert_ok(table_split(fx.db, SLICE("t"), UINT32_MAX, &fx.err));
		assert_ok(put(t, row(i, i)));
	}
	if (MANY == PARTITIONS_MAX)
		assert_int_equal(table_split(fx.db, SLICE("t"), 0, &fx.err), S_LIMIT_EXCEEDED);
	table_release(t);
	db_reopen();
	t = find("t");
	l = layout_of(t->core);
	assert_int_equal(l->count, MANY);
	for (uint32_t i = 1; i < l->count; i++)
		assert_true(l->ranges[i - 1].first < l->ranges[i].first);
	assert_int_equal(describe("t").item_count, MANY - 4);
	for (int i = 0; i < MANY - 4; i++)
		assert_same(get(t, key_of(i)), row(i, i));
	table_release(t);
}

static void
a_partition_that_is_written_much_splits_by_itself(void **state)
{
	struct table *t = create("t", schema("pk", NULL, AV_S), NULL, 0);
	struct partition *busy = layout_of(t->core)->by_id[1];
	const struct layout *l;
	uint64_t sorted[WRITE_SAMPLES], at = 0;

	(void)state;
	for (int i = 0; atomic_load(&busy->writes) < 2 * WRITE_SAMPLES; i++)
		assert_ok(put(t, row(i, 0)));
	memcpy(sorted, busy->samples, sizeof sorted);
	for (int look = 0; look < 12; look++) { /* a minute, for the background thread */
		assert_ok(split_where_needed(fx.db, &fx.err));
		assert_int_equal(layout_of(t->core)->count, 4);
		atomic_fetch_add(&busy->writes, 1000000000 / WRITE_SAMPLES * WRITE_SAMPLES);
	}
	assert_ok(split_where_needed(fx.db, &fx.err));
	l = layout_of(t->core);
	assert_int_equal(l->count, 5);
	assert_int_equal(l->by_id[4]->parent, 1);
	for (uint32_t i = 0; i < l->count; i++)
		if (l->ranges[i].partition == l->by_id[4])
			at = l->ranges[i].first;
	{
		int below = 0;

		for (int i = 0; i < WRITE_SAMPLES; i++)
			below += sorted[i] < at;
		assert_int_equal(below, WRITE_SAMPLES / 2); /* cut in the middle of what was written */
	}
	assert_ok(split_where_needed(fx.db, &fx.err));
	assert_int_equal(layout_of(t->core)->count, 5);
	table_release(t);
}

static void
a_partition_that_is_large_splits_by_itself(void **state)
{
	struct table *t = create("t", schema("pk", NULL, AV_S), NULL, 0);

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_ok(put(t, row(i, 0)));
	assert_ok(split_where_needed(fx.db, &fx.err));
	assert_int_equal(layout_of(t->core)->count, 4);
	fx.db->split_bytes = 400; /* of about 1,000 */
	for (int i = 0; i < 30; i++)
		assert_ok(split_where_needed(fx.db, &fx.err));
	assert_true(layout_of(t->core)->count > 4 && layout_of(t->core)->count < 40);
	assert_int_equal(describe("t").item_count, 100);
	for (int i = 0; i < 100; i++)
		assert_same(get(t, key_of(i)), row(i, 0));
	table_release(t);
}

static void
indexes_are_kept_across_splits(void **state)
{
	struct table_index_spec indexes[] = {
	    {.name = SLICE("local"), .schema = schema("pk", "v", AV_N), .projection = PROJECT_ALL},
	    {.name = SLICE("global"), .global = true, .schema = schema("g", NULL, AV_S), .projection = PROJECT_ALL}};
	struct table *t = create("t", schema("pk", "sk", AV_S), indexes, 2);
	struct table_description d;

	(void)state;
	for (int i = 0; i < 60; i++) {
		assert_ok(put(
		    t, item("pk", text("S:%d", i % 9), "sk", text("S:%d", i), "v", text("N:%d", i), "g", "S:g", NULL)));
		if (i % 10 == 9)
			assert_ok(table_split(fx.db, SLICE("t"), UINT32_MAX, &fx.err));
	}
	for (int i = 0; i < 60; i += 2)
		assert_ok(delete (t, item("pk", text("S:%d", i % 9), "sk", text("S:%d", i), NULL)));
	d = describe("t");
	assert_int_equal(d.item_count, 30);
	assert_int_equal(d.indexes[0].item_count, 30);
	assert_int_equal(d.indexes[1].item_count, 30);
	assert_int_equal(
	    all_pages((struct table_read){.table = t, .index = table_index_find(t, SLICE("global"))}, 4).count, 30);
	table_release(t);
	db_reopen();
	assert_int_equal(describe("t").item_count, 30);
	assert_int_equal(describe("t").indexes[1].item_count, 30);
}

#define WRITERS 3
#define WRITES  1500

static atomic_bool writing;

static void *
write_much(void *context)
{
	long me = (long)context;
	struct arena a = {0};

	for (int i = 1; i <= WRITES; i++) {
		struct buf out = {0};
		struct table *t;
		struct table_io io = {.arena = &a, .may_block = true};
		struct table_write w = {.kind = WRITE_PUT};
		struct number n;
		uint8_t encoded[NUMBER_ENCODED_MAX];
		char line[32];
		size_t map;

		if (table_find(fx.db, SLICE("t"), &t, NULL) != S_OK)
			abort();
		map = av_open(&out, TAG_M);
		av_put_name(&out, SLICE("pk"));
		snprintf(line, sizeof line, "%ld-%d", me, i % 25);
		av_put_string(&out, slice_str(line));
		av_put_name(&out, SLICE("v"));
		snprintf(line, sizeof line, "%d", i);
		if (number_parse(slice_str(line), &n, NULL) != S_OK)
			abort();
		av_put_number(&out, slice_of(encoded, number_encode(&n, encoded)));
		if (av_close_map(&out, map, 2, NULL) != S_OK)
			abort();
		w.table = t;
		w.item = (struct av){(const uint8_t *)out.data, (uint32_t)out.len};
		if (table_commit(&w, 1, &io, NULL) != S_OK)
			abort();
		if (w.change_seq == 0)
			abort();
		buf_done(&out);
		table_release(t);
		arena_reset(&a);
	}
	arena_done(&a);
	expr_cache_done();
	return NULL;
}

static void *
split_much(void *context)
{
	int *splits = context, rolls = 0; /* both bounded: a slow machine must not make more shards than are followed */

	do {
		if (*splits < 40 && table_split(fx.db, SLICE("t"), UINT32_MAX, NULL) == S_OK)
			(*splits)++;
		if (rolls++ < 90 && change_roll(fx.db, SLICE("t"), NULL) != S_OK)
			abort();
		usleep(2000);
	} while (atomic_load(&writing));
	expr_cache_done();
	return NULL;
}

static void
every_write_is_in_the_stream_once_and_in_order(void **state) /* while partitions split and shards roll */
{
	struct table *t = create_streamed("t", STREAM_NEW_AND_OLD_IMAGES);
	pthread_t writers[WRITERS], splitter;
	struct stream_description d;
	struct seen seen = nothing_seen();
	int splits = 0;
	struct {
		const char *key;
		struct av last;
	} items[WRITERS * 25] = {{0}};

	(void)state;
	atomic_store(&writing, true);
	for (long i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&writers[i], NULL, write_much, (void *)i), 0);
	assert_int_equal(pthread_create(&splitter, NULL, split_much, &splits), 0);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(writers[i], NULL);
	atomic_store(&writing, false);
	pthread_join(splitter, NULL);
	assert_true(splits > 0);
	d = describe_stream(describe("t").stream_arn);
	for (size_t i = 0; i < d.shard_count; i++)
		read_shard(d.name.arn, d.shards[i].id, 100, &seen);
	assert_int_equal(seen.count, WRITERS * WRITES);
	for (size_t i = 0; i < seen.count; i++) {
		const char *key = string_of(seen.changes[i].keys, "pk");
		size_t n = 0;

		while (items[n].key != NULL && strcmp(items[n].key, key) != 0)
			n++;
		assert_same(seen.changes[i].old_image, items[n].key != NULL ? items[n].last : AV_NONE);
		items[n].key = key;
		items[n].last = seen.changes[i].new_image;
	}
	for (size_t n = 0; n < WRITERS * 25; n++)
		assert_same(get(t, item("pk", text("S:%s", items[n].key), NULL)), items[n].last);
	table_release(t);
}

/* ---- failures ---- */

/* ---- reading while shards come and go ---- */

struct followed {
	struct slice id;
	uint64_t next;
	bool ended;
};

/* A page of each shard that is there, the way a client reads them. */
static void
follow_once(struct slice arn, struct followed *shards, size_t *count, struct seen *seen)
{
	struct stream_description d = describe_stream(arn);

	for (size_t i = 0; i < d.shard_count; i++) {
		struct table_io io = blocking_io();
		struct stream_page page;
		size_t n = 0;

		while (n < *count && !slice_eq(shards[n].id, d.shards[i].id))
			n++;
		if (n == *count) {
			assert_true(n < 4000);
			shards[(*count)++] = (struct followed){.id = d.shards[i].id, .next = d.shards[i].first};
		}
		if (shards[n].ended)
			continue;
		assert_ok(stream_read(fx.db, arn, shards[n].id, shards[n].next, 1000, 1 << 20, &io, see, seen, &page,
				      &fx.err));
		shards[n].next = page.next_seq;
		shards[n].ended = page.ended;
	}
}

static void
what_is_written_behind_a_shard_is_only_its_childs(void **state) /* also for who reads it while it is being closed */
{
	struct table *t = create_streamed("t", STREAM_KEYS_ONLY);
	struct slice arn = describe("t").stream_arn;
	struct followed *shards = ARENA_ARRAY(&fx.arena, struct followed, 4000);
	struct seen seen = nothing_seen();
	struct stream_description d = describe_stream(arn), after;
	struct pinned pins[PARTITIONS_MAX];
	pthread_t writer, splitter;
	size_t count = 0;
	int splits = 0;

	(void)state;
	assert_ok(put(t, row(1, 1)));
	for (size_t i = 0; i < d.shard_count;
	     i++) /* taken hold of before it is closed, read after its child was written */
		assert_ok(stream_pin(fx.db, arn, d.shards[i].id, &pins[i], &fx.err));
	assert_ok(change_roll(fx.db, SLICE("t"), &fx.err));
	assert_ok(put(t, row(1, 2)));
	after = describe_stream(arn);
	assert_int_equal(after.shard_count, d.shard_count + 1);
	for (size_t i = 0; i < d.shard_count; i++) {
		assert_true(pins[i].found && pins[i].shard.last == 0);
		assert_true(pins[i].through < after.shards[after.shard_count - 1].first);
		core_release(pins[i].core);
	}
	atomic_store(&writing, true);
	assert_int_equal(pthread_create(&writer, NULL, write_much, (void *)0L), 0);
	assert_int_equal(pthread_create(&splitter, NULL, split_much, &splits), 0);
	while (seen.count < 2 + WRITES)
		follow_once(arn, shards, &count, &seen);
	pthread_join(writer, NULL);
	atomic_store(&writing, false);
	pthread_join(splitter, NULL);
	follow_once(arn, shards, &count, &seen);
	follow_once(arn, shards, &count, &seen);
	assert_int_equal(seen.count, 2 + WRITES);
	for (size_t i = 0; i < seen.count; i++)
		for (size_t n = 0; n < i; n++)
			assert_false(seen.changes[i].seq == seen.changes[n].seq &&
				     seen.partitions[i] == seen.partitions[n]);
	table_release(t);
}

static void
what_a_failed_sync_took_is_not_in_the_stream(void **state)
{
	struct table *t = create_streamed("t", STREAM_NEW_IMAGE);
	struct seen seen;

	(void)state;
	assert_ok(put(t, row(1, 1)));
	engine_memory_hold_sync(fx.memory, true);
	assert_ok(put(t, row(1, 2)));
	engine_memory_fail_sync(fx.memory);
	engine_memory_hold_sync(fx.memory, false);
	assert_ok(put(t, row(1, 3)));
	table_release(t);
	db_reopen();
	seen = read_table("t");
	assert_int_equal(seen.count, 2);
	assert_same(seen.changes[0].new_image, row(1, 1));
	assert_same(seen.changes[1].new_image, row(1, 3));
}

/* Refused until the catalog's rows are written again; then for good. */
static void
put_when_certain(struct table *t, struct av item_)
{
	enum status s = S_IO;

	for (int i = 0; i < 60000 && s == S_IO; i++) {
		s = put(t, item_);
		if (s == S_IO)
			usleep(1000);
	}
	assert_ok(s);
}

static void *
split_once(void *context)
{
	*(enum status *)context = table_split(fx.db, SLICE("t"), 1, NULL);
	return NULL;
}

static void *
roll_once(void *context)
{
	*(enum status *)context = change_roll(fx.db, SLICE("t"), NULL);
	return NULL;
}

static size_t
shard_count(struct slice arn)
{
	struct stream_description d;
	struct table_io io = blocking_io();

	assert_ok(stream_describe(fx.db, arn, SLICE_NONE, SLICE_NONE, 1000, &io, &d, &fx.err));
	return d.shard_count;
}

static void
a_roll_that_a_failed_sync_took_is_written_again(void **state)
{
	struct table *t = create_streamed("t", STREAM_NEW_IMAGE);
	struct slice arn = arena_dup(&fx.arena, describe("t").stream_arn);
	enum status rolled = S_OK;
	pthread_t thread;
	size_t before, after;

	(void)state;
	for (int i = 0; i < 20; i++)
		assert_ok(put(t, row(i, 0)));
	before = shard_count(arn);
	engine_memory_hold_sync(fx.memory, true);
	assert_int_equal(pthread_create(&thread, NULL, roll_once, &rolled), 0);
	for (int i = 0; i < 60000 && shard_count(arn) == before; i++)
		usleep(1000);
	after = shard_count(arn);
	assert_true(after > before);
	engine_memory_fail_sync(fx.memory);
	engine_memory_hold_sync(fx.memory, false);
	pthread_join(thread, NULL);
	assert_int_equal(rolled, S_IO);
	for (int i = 0; i < 20; i++)
		put_when_certain(t, row(i, 1));
	table_release(t);
	db_reopen();
	assert_int_equal(shard_count(arn), after);
	assert_int_equal(open_shards(arn), before);
	assert_int_equal(read_stream(arn).count, 40);
}

static enum status
try_to_describe(struct slice arn, struct stream_description *ret)
{
	struct table_io io = blocking_io();

	return stream_describe(fx.db, arn, SLICE_NONE, SLICE_NONE, 1000, &io, ret, &fx.err);
}

/* A client that was told of such a shard would miss it after a crash. */
static void
a_roll_that_a_failed_sync_took_is_not_told_until_it_is_written_again(void **state)
{
	struct table *t = create_streamed("t", STREAM_NEW_IMAGE);
	struct slice arn = arena_dup(&fx.arena, describe("t").stream_arn);
	struct stream_description d;
	struct table_io io = blocking_io();
	enum status rolled = S_OK, s = S_IO;
	pthread_t thread;
	size_t before, after;
	uint64_t seq;

	(void)state;
	for (int i = 0; i < 20; i++)
		assert_ok(put(t, row(i, 0)));
	before = shard_count(arn);
	engine_memory_hold_sync(fx.memory, true);
	assert_int_equal(pthread_create(&thread, NULL, roll_once, &rolled), 0);
	for (int i = 0; i < 60000 && shard_count(arn) == before; i++)
		usleep(1000);
	assert_ok(try_to_describe(arn, &d));
	after = d.shard_count;
	assert_true(after > before);
	engine_memory_fail_sync(fx.memory);
	pthread_join(thread, NULL);
	assert_int_equal(rolled, S_IO);
	/* the engine is well again and has lost it; the rows are not durable as long as syncs are held */
	assert_int_equal(try_to_describe(arn, &d), S_IO);
	assert_int_equal(stream_find(fx.db, arn, d.shards[0].id, START_TRIM_HORIZON, SLICE_NONE, &io, &seq, &fx.err),
			 S_IO);
	engine_memory_hold_sync(fx.memory, false);
	for (int i = 0; i < 60000 && s == S_IO; i++) {
		s = try_to_describe(arn, &d);
		if (s == S_IO)
			usleep(1000);
	}
	assert_ok(s);
	assert_int_equal(d.shard_count, after);
	table_release(t);
	db_reopen();
	assert_int_equal(shard_count(arn), after);
}

static void *
maintain_once(void *context)
{
	*(enum status *)context = change_maintain(fx.db, NULL);
	return NULL;
}

static size_t
catalog_rows(void)
{
	struct engine_iter *it =
	    engine_iter_new(fx.engine, NULL, SPACE_CATALOG, SLICE_NONE, SLICE_NONE, ENGINE_MAY_BLOCK);
	size_t count = 0;

	for (engine_iter_first(it); engine_iter_valid(it); engine_iter_next(it))
		count++;
	engine_iter_free(it);
	return count;
}

/* The background's maintenance may come first at any time: it does not matter whose sync fails. */
static void
shards_are_told_after_the_sync_of_their_trimming_failed(void **state)
{
	struct table *t = create_streamed("t", STREAM_NEW_IMAGE);
	struct slice arn = arena_dup(&fx.arena, describe("t").stream_arn);
	struct stream_description d = {0};
	enum status trimmed = S_OK, s = S_IO;
	pthread_t thread;
	size_t shards, rows;

	(void)state;
	for (int i = 0; i < 20; i++)
		assert_ok(put(t, row(i, 0)));
	clock_shift_us(2 * HOUR_US);
	assert_ok(change_roll(fx.db, SLICE("t"), &fx.err));
	clock_shift_us(23 * HOUR_US);
	assert_ok(change_maintain(fx.db, &fx.err)); /* the records; the shards ended less than a day ago */
	shards = shard_count(arn);
	rows = catalog_rows();
	engine_memory_hold_sync(fx.memory, true);
	clock_shift_us(2 * HOUR_US);
	assert_int_equal(pthread_create(&thread, NULL, maintain_once, &trimmed), 0);
	for (int i = 0; i < 60000 && catalog_rows() >= rows; i++)
		usleep(1000);
	assert_true(catalog_rows() < rows);
	engine_memory_fail_sync(fx.memory);
	engine_memory_hold_sync(fx.memory, false);
	pthread_join(thread, NULL);
	for (int i = 0; i < 60000 && (s != S_OK || d.shard_count >= shards); i++) {
		usleep(1000);
		(void)change_maintain(fx.db, &fx.err);
		s = try_to_describe(arn, &d);
		assert_true(s == S_OK || s == S_IO);
	}
	assert_ok(s);
	assert_true(d.shard_count < shards);
	put_when_certain(t, row(1, 1));
	table_release(t);
}

/* The engine remembers only so many losses one by one. */
static void
shards_are_told_after_many_failed_syncs(void **state)
{
	struct table *t = create_streamed("t", STREAM_NEW_IMAGE);
	struct slice arn = describe("t").stream_arn;

	(void)state;
	for (int i = 0; i < 200; i++) {
		assert_ok(put(t, row(1, i)));
		if (i == 1)
			assert_ok(change_roll(fx.db, SLICE("t"), &fx.err));
		engine_memory_hold_sync(fx.memory, true);
		assert_ok(put(t, row(2, i)));
		engine_memory_fail_sync(fx.memory);
		engine_memory_hold_sync(fx.memory, false);
	}
	assert_true(shard_count(arn) > 0);
	table_release(t);
}

static void
a_split_that_a_failed_sync_took_is_written_again(void **state)
{
	struct table *t = create_streamed("t", STREAM_NEW_IMAGE);
	struct slice arn = arena_dup(&fx.arena, describe("t").stream_arn);
	enum status split = S_OK;
	pthread_t thread;
	struct seen seen;
	struct engine_value layout = {0};
	struct buf key = {0};

	(void)state;
	for (int i = 0; i < 20; i++)
		assert_ok(put(t, row(i, 0)));
	engine_memory_hold_sync(fx.memory, true);
	assert_int_equal(pthread_create(&thread, NULL, split_once, &split), 0);
	for (int i = 0; i < 60000 && layout_of(t->core)->count == 4; i++)
		usleep(1000);
	for (int i = 0; i < 20; i++)
		assert_ok(put(t, row(i, 1)));
	engine_memory_fail_sync(fx.memory);
	engine_memory_hold_sync(fx.memory, false);
	pthread_join(thread, NULL);
	assert_int_equal(split, S_IO); /* perhaps it was, perhaps it was not */
	put_when_certain(t, row(0, 2));
	/* a crash now finds the split with what was written behind it */
	catalog_key_layout(&key, t->core->number);
	assert_ok(engine_get(fx.engine, NULL, SPACE_CATALOG, buf_slice(&key), ENGINE_MAY_BLOCK, &layout, &fx.err));
	engine_value_done(&layout);
	buf_done(&key);
	for (int i = 1; i < 20; i++)
		assert_ok(put(t, row(i, 2)));
	table_release(t);
	db_reopen();
	t = find("t");
	assert_int_equal(layout_of(t->core)->count, 5);
	assert_int_equal(open_shards(arn), 5);
	seen = read_stream(arn);
	assert_int_equal(seen.count, 40);
	for (int i = 0; i < 20; i++)
		assert_same(get(t, key_of(i)), row(i, 2));
	assert_int_equal(describe("t").item_count, 20);
	table_release(t);
}

static void
each_failing_call_leaves_the_log_whole(void **state)
{
	(void)state;
	for (uint64_t n = 1; n < 200; n++) {
		struct table *t;
		struct table_update update = {.set_stream = STREAM_ENABLE, .stream = STREAM_NEW_IMAGE};
		struct table_description d;
		struct seen seen;
		uint64_t before;
		int done = 0;

		t = create("t", schema("pk", NULL, AV_S), NULL, 0);
		before = engine_faulty_calls(fx.engine);
		engine_faulty_arm(fx.engine, n, S_IO);
		if (table_update(fx.db, SLICE("t"), &update, &fx.arena, &d, &fx.err) == S_OK) {
			for (int i = 0; i < 600000 && !is_active("t"); i++)
				usleep(100);
			done += put(t, row(1, 1)) == S_OK;
			table_split(fx.db, SLICE("t"), 1, &fx.err);
			done += put(t, row(1, 2)) == S_OK;
			change_roll(fx.db, SLICE("t"), &fx.err);
			done += put(t, row(1, 3)) == S_OK;
		}
		engine_faulty_arm(fx.engine, 0, S_OK);
		wait_active("t");
		table_release(t);
		db_reopen();
		wait_active("t");
		if (describe("t").stream != STREAM_NONE) {
			seen = read_table("t");
			assert_int_equal(seen.count, done);
		}
		assert_ok(table_delete(fx.db, SLICE("t"), &fx.arena, &d, &fx.err));
		wait_gone("t");
		if (engine_faulty_calls(fx.engine) - before < n)
			return;
	}
}

/* ---- readers with positions ---- */

static void
count_wake(void *context)
{
	atomic_fetch_add((atomic_int *)context, 1);
}

static struct change_reader *
open_reader(const char *table, const char *name, unsigned images, bool in_memory, atomic_int *wakes)
{
	struct change_reader_options options = {.name = slice_str(name),
						.images = images,
						.retention_ms = 7 * DAY_MS,
						.in_memory = in_memory,
						.wake = wakes != NULL ? count_wake : NULL,
						.context = wakes};
	struct change_reader *r;

	assert_ok(change_reader_open(fx.db, slice_str(table), &options, &r, &fx.err));
	return r;
}

/* Everything there is to read, each record acknowledged. */
static size_t
drain(struct change_reader *r, struct seen *seen)
{
	uint32_t lanes[PARTITIONS_MAX], count;
	size_t before = seen->count;

	while ((count = change_reader_lanes(r, lanes, PARTITIONS_MAX)) > 0)
		for (uint32_t i = 0; i < count; i++) {
			struct table_io io = blocking_io();
			struct change_batch batch;

			assert_ok(change_reader_read(r, lanes[i], 5, 1 << 20, &io, &batch, &fx.err));
			assert_false(batch.trimmed);
			for (uint32_t n = 0; n < batch.count; n++) {
				seen->partitions[seen->count] = lanes[i];
				seen->changes[seen->count++] = batch.changes[n];
			}
			if (batch.count > 0)
				assert_ok(
				    change_reader_ack(r, lanes[i], batch.changes[batch.count - 1].seq, NULL, &fx.err));
		}
	return seen->count - before;
}

static void
a_reader_goes_on_where_it_stood(void **state)
{
	struct table *t = create("t", schema("pk", NULL, AV_S), NULL, 0);
	struct change_reader *r;
	struct seen seen = nothing_seen();
	struct table_io io = blocking_io();
	struct change_batch batch;
	uint32_t lane;

	(void)state;
	assert_ok(put(t, row(1, 0)));
	r = open_reader("t", "toy/one", CHANGE_NEW_IMAGE, false, NULL);
	assert_ok(put(t, row(1, 1)));
	assert_int_equal(drain(r, &seen), 1);
	assert_same(seen.changes[0].new_image, row(1, 1));
	assert_same(seen.changes[0].old_image, AV_NONE);
	assert_ok(put(t, row(1, 2)));
	assert_int_equal(change_reader_lanes(r, &lane, 1), 1);
	assert_ok(change_reader_read(r, lane, 10, 1000, &io, &batch, &fx.err)); /* read, not acknowledged */
	assert_int_equal(batch.count, 1);
	change_reader_rewind(r, lane);
	assert_ok(change_reader_read(r, lane, 10, 1000, &io, &batch, &fx.err));
	assert_int_equal(batch.count, 1);
	change_reader_close(r);
	assert_ok(put(t, row(1, 3))); /* kept for it */
	table_release(t);
	db_reopen();
	t = find("t");
	assert_ok(put(t, row(1, 4)));
	r = open_reader("t", "toy/one", CHANGE_NEW_IMAGE, false, NULL);
	assert_int_equal(drain(r, &seen), 3);
	assert_same(seen.changes[1].new_image, row(1, 2));
	assert_same(seen.changes[2].new_image, row(1, 3));
	assert_same(seen.changes[3].new_image, row(1, 4));
	assert_int_equal(drain(r, &seen), 0);
	assert_ok(change_reader_detach(r, &fx.err));
	assert_int_equal(atomic_load(&t->core->log_wants), 0);
	table_release(t);
}

static void
two_readers_do_not_meet(void **state)
{
	struct table *t = create_streamed("t", STREAM_KEYS_ONLY);
	struct change_reader *fast = open_reader("t", "toy/fast", CHANGE_OLD_IMAGE, false, NULL);
	struct change_reader *slow = open_reader("t", "toy/slow", 0, true, NULL), *twice;
	struct change_reader_options again = {.name = SLICE("toy/fast"), .retention_ms = 1};
	struct seen a = nothing_seen(), b = nothing_seen();

	(void)state;
	for (int i = 0; i < 30; i++)
		assert_ok(put(t, row(i % 10, i)));
	assert_int_equal(drain(fast, &a), 30);
	assert_int_equal(drain(fast, &a), 0);
	assert_int_equal(drain(slow, &b), 30);
	/* the stream does not show what the others wanted */
	assert_same(read_table("t").changes[29].old_image, AV_NONE);
	assert_int_equal(change_reader_open(fx.db, SLICE("t"), &again, &twice, &fx.err), S_RESOURCE_IN_USE);
	change_reader_close(slow);
	assert_ok(change_reader_detach(fast, &fx.err));
	table_release(t);
}

static void
a_reader_reads_parents_before_children(void **state)
{
	struct table *t = create("t", schema("pk", NULL, AV_S), NULL, 0);
	struct change_reader *r = open_reader("t", "toy/one", CHANGE_NEW_IMAGE, false, NULL);
	struct seen seen = nothing_seen();
	struct av last[20];

	(void)state;
	for (int i = 0; i < 300; i++) {
		assert_ok(put(t, row(i % 20, i)));
		if (i % 50 == 49)
			assert_ok(table_split(fx.db, SLICE("t"), UINT32_MAX, &fx.err));
		if (i == 120) {
			drain(r, &seen);
			change_reader_close(r);
			table_release(t);
			db_reopen();
			t = find("t");
			r = open_reader("t", "toy/one", CHANGE_NEW_IMAGE, false, NULL);
		}
	}
	drain(r, &seen);
	assert_int_equal(seen.count, 300);
	for (int i = 0; i < 20; i++)
		last[i] = AV_NONE;
	for (size_t i = 0; i < seen.count; i++) {
		int key = atoi(string_of(seen.changes[i].keys, "pk"));
		struct av now = av_get(seen.changes[i].new_image, SLICE("v"));

		if (av_exists(last[key]))
			assert_true(av_cmp(last[key], now) < 0);
		last[key] = now;
	}
	assert_ok(change_reader_detach(r, &fx.err));
	table_release(t);
}

static void
numbers_go_on_behind_a_split_when_the_clock_has_stepped_back(void **state)
{
	struct table *t = create("t", schema("pk", NULL, AV_S), NULL, 0);
	struct change_reader *r = open_reader("t", "toy/one", 0, false, NULL);
	struct seen seen = nothing_seen();

	(void)state;
	for (int i = 0; i < 20; i++)
		assert_ok(put(t, row(i, 0)));
	assert_int_equal(drain(r, &seen), 20);
	assert_ok(change_maintain(fx.db, &fx.err)); /* nothing is left in the log that would tell its last number */
	for (uint32_t i = 0; i < 4; i++)
		assert_ok(table_split(fx.db, SLICE("t"), i, &fx.err));
	change_reader_close(r);
	table_release(t);
	clock_shift_us(-HOUR_US);
	db_reopen();
	t = find("t");
	r = open_reader("t", "toy/one", 0, false, NULL);
	for (int i = 0; i < 20; i++)
		assert_ok(put(t, row(i, 1)));
	assert_int_equal(drain(r, &seen), 20);
	assert_ok(change_reader_detach(r, &fx.err));
	table_release(t);
}

static void
a_stream_that_was_refused_does_not_come_back(void **state) /* its row was written, and then the sync failed */
{
	struct table *t = create("t", schema("pk", NULL, AV_S), NULL, 0);
	struct table *kept = create_streamed("kept", STREAM_KEYS_ONLY);
	struct engine_batch *batch = engine_batch_new(fx.engine);
	struct stream *s;
	uint64_t seq;

	(void)state;
	pthread_mutex_lock(&fx.db->control);
	s = stream_begin(fx.db, t->core, SLICE("t"), table_schema(t), t->core->number, STREAM_NEW_IMAGE, batch);
	stream_free(s);
	s = stream_begin(fx.db, NULL, SLICE("never"), table_schema(t), 4711, STREAM_NEW_IMAGE, batch);
	stream_free(s);
	stream_put_row(stream_enabled(kept->core), kept->core->number, STREAM_DISABLING, 0, batch);
	pthread_mutex_unlock(&fx.db->control);
	assert_ok(engine_apply(fx.engine, batch, &seq, &fx.err));
	engine_batch_free(batch);
	table_release(t);
	table_release(kept);
	db_reopen();
	assert_int_equal(describe("t").stream_arn.len, 0);
	assert_int_equal(describe("kept").stream, STREAM_KEYS_ONLY);
	set_stream("t", true, STREAM_KEYS_ONLY);
	assert_int_equal(open_shards(describe("t").stream_arn), 4);
	assert_int_equal(fx.db->streams->count, 3); /* that of no table ends by itself */
	clock_shift_us(25 * HOUR_US);
	assert_ok(change_maintain(fx.db, &fx.err));
	assert_int_equal(fx.db->streams->count, 2);
}

static void
a_reader_is_woken(void **state)
{
	struct table *t = create("t", schema("pk", NULL, AV_S), NULL, 0);
	atomic_int wakes = 0;
	struct change_reader *r = open_reader("t", "toy/one", 0, true, &wakes);
	int before;

	(void)state;
	assert_ok(put(t, row(1, 0))); /* durable at once */
	assert_int_equal(atomic_load(&wakes), 1);
	engine_memory_hold_sync(fx.memory, true);
	before = atomic_load(&wakes);
	assert_ok(put(t, row(1, 1)));
	assert_int_equal(atomic_load(&wakes), before);
	engine_memory_hold_sync(fx.memory, false);
	for (int i = 0; i < 60000 && atomic_load(&wakes) == before; i++)
		usleep(1000);
	assert_true(atomic_load(&wakes) > before);
	change_reader_close(r);
	before = atomic_load(&wakes);
	assert_ok(put(t, row(1, 2)));
	usleep(5000);
	assert_int_equal(atomic_load(&wakes), before);
	table_release(t);
}

static void
a_reader_that_lags_too_long_is_told(void **state)
{
	struct table *t = create("t", schema("pk", NULL, AV_S), NULL, 0);
	struct change_reader_options options = {.name = SLICE("toy/one"), .retention_ms = 2 * DAY_MS};
	struct table_io io = blocking_io();
	struct change_reader *r;
	struct change_batch batch;
	uint32_t lane;

	(void)state;
	assert_ok(change_reader_open(fx.db, SLICE("t"), &options, &r, &fx.err));
	assert_ok(put(t, row(1, 1)));
	clock_shift_us(30 * HOUR_US);
	assert_ok(change_maintain(fx.db, &fx.err)); /* longer than a stream would keep it */
	assert_int_equal(change_reader_lanes(r, &lane, 1), 1);
	clock_shift_us(30 * HOUR_US);
	assert_ok(put(t, row(1, 2)));
	assert_ok(change_maintain(fx.db, &fx.err));
	assert_ok(change_reader_read(r, lane, 10, 1000, &io, &batch, &fx.err));
	assert_true(batch.trimmed);
	assert_int_equal(batch.count, 1);
	assert_ok(change_reader_ack(r, lane, batch.changes[0].seq, NULL, &fx.err));
	assert_ok(change_maintain(fx.db, &fx.err));
	{
		uint64_t first;

		assert_ok(log_find_first(t->core, lane, 0, UINT64_MAX, &first, &fx.err));
		assert_int_equal(first, 0); /* acknowledged by all: gone */
	}
	change_reader_close(r);
	table_release(t);
}

static void
a_reader_may_finish_what_a_dropped_table_left(void **state)
{
	struct table *t = create("t", schema("pk", NULL, AV_S), NULL, 0);
	struct change_reader *r = open_reader("t", "toy/one", CHANGE_NEW_IMAGE, false, NULL);
	struct seen seen = nothing_seen();
	struct table_description d;

	(void)state;
	assert_ok(put(t, row(1, 1)));
	table_release(t);
	assert_ok(table_delete(fx.db, SLICE("t"), &fx.arena, &d, &fx.err));
	wait_gone("t");
	assert_ok(change_maintain(fx.db, &fx.err));
	assert_int_equal(drain(r, &seen), 1);
	change_reader_close(r);
	assert_ok(change_maintain(fx.db, &fx.err)); /* nothing is left for it */
	assert_null(fx.db->streams->readers);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown_clock)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_record_tells_what_happened),
	    TEST(a_write_that_changes_nothing_makes_no_record),
	    TEST(a_table_without_reader_writes_none),
	    TEST(the_view_decides_what_is_shown),
	    TEST(a_transaction_makes_a_record_of_each_write),
	    TEST(cause_and_origin_are_kept),
	    TEST(damaged_records_are_told),
	    TEST(sequence_numbers_rise_when_the_clock_steps_back),
	    TEST(sequence_numbers_on_the_wire_are_long_enough_and_sort),
	    TEST(positions_begin_where_they_are_asked_to),
	    TEST(records_wait_until_they_are_durable),
	    TEST(a_rolled_shard_ends_and_has_a_child),
	    TEST(shards_roll_when_they_are_old),
	    TEST(streams_survive_a_restart),
	    TEST(a_stream_enabled_again_is_another_one),
	    TEST(a_stream_outlives_its_table_by_a_day),
	    TEST(records_go_after_a_day),
	    TEST(what_a_crash_left_of_a_log_goes),
	    TEST(shards_go_with_their_records_and_children_remember_them),
	    TEST(numbers_go_on_behind_what_was_trimmed),
	    TEST(records_go_after_a_day_when_the_clock_was_years_ahead),
	    TEST(a_clock_that_is_set_right_takes_no_record_before_its_day),
	    TEST(a_disabled_stream_of_the_future_goes_after_a_day),
	    TEST(a_partition_that_was_split_is_not_the_most_written_for_ever),
	    TEST(a_split_partition_has_two_children),
	    TEST(a_table_splits_until_there_are_enough),
	    TEST(a_partition_that_is_written_much_splits_by_itself),
	    TEST(a_partition_that_is_large_splits_by_itself),
	    TEST(indexes_are_kept_across_splits),
	    TEST(every_write_is_in_the_stream_once_and_in_order),
	    TEST(what_is_written_behind_a_shard_is_only_its_childs),
	    TEST(what_a_failed_sync_took_is_not_in_the_stream),
	    TEST(a_roll_that_a_failed_sync_took_is_written_again),
	    TEST(a_roll_that_a_failed_sync_took_is_not_told_until_it_is_written_again),
	    TEST(shards_are_told_after_the_sync_of_their_trimming_failed),
	    TEST(shards_are_told_after_many_failed_syncs),
	    TEST(a_split_that_a_failed_sync_took_is_written_again),
	    cmocka_unit_test_setup_teardown(each_failing_call_leaves_the_log_whole, setup_faulty, teardown_clock),
	    TEST(a_reader_goes_on_where_it_stood),
	    TEST(two_readers_do_not_meet),
	    TEST(a_reader_reads_parents_before_children),
	    TEST(numbers_go_on_behind_a_split_when_the_clock_has_stepped_back),
	    TEST(a_stream_that_was_refused_does_not_come_back),
	    TEST(a_reader_is_woken),
	    TEST(a_reader_that_lags_too_long_is_told),
	    TEST(a_reader_may_finish_what_a_dropped_table_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
