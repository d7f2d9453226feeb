/* The change log: records, streams with their shards, what is trimmed. */
#include "streams.h"

#include "table/transact.h"

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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
