#include "front/dax_wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint8_t nonces[2][WIRE_NONCE_BYTES] = {{1, 2, 3}, {4, 5, 6}};

/* The two ends of one connection. */
static void
meet(struct wire *a, struct wire *b, struct slice secret_a, struct slice secret_b)
{
	*a = *b = (struct wire){0};
	wire_set_key(a, 0, secret_a, nonces[0], nonces[1], 0, 1);
	wire_set_key(b, 1, secret_b, nonces[0], nonces[1], 0, 1);
}

static long
take(struct wire *w, const struct buf *bytes, size_t at, enum wire_type *type, struct slice *payload)
{
	return wire_take(w, bytes->data + at, bytes->len - at, type, payload);
}

static void
frames_arrive_as_they_were_sent(void **state)
{
	struct wire a, b;
	struct buf out = {0};
	enum wire_type type;
	struct slice payload;
	size_t at = 0;

	(void)state;
	meet(&a, &b, SLICE("secret"), SLICE("secret"));
	wire_put(&a, WIRE_LIST, SLICE("one"), &out);
	wire_put(&a, WIRE_CLEAR, SLICE_NONE, &out);
	for (size_t whole = 0; whole < 4 + 1 + 3 + WIRE_MAC_BYTES; whole++) {
		struct buf part = {out.data, whole, whole};

		assert_int_equal(take(&b, &part, 0, &type, &payload), 0);
	}
	at = (size_t)take(&b, &out, 0, &type, &payload);
	assert_int_equal(at, 4 + 1 + 3 + WIRE_MAC_BYTES);
	assert_int_equal(type, WIRE_LIST);
	assert_int_equal(payload.len, 3);
	assert_memory_equal(payload.data, "one", 3);
	assert_int_equal(take(&b, &out, at, &type, &payload), 4 + 1 + WIRE_MAC_BYTES);
	assert_int_equal(type, WIRE_CLEAR);
	/* and back */
	out.len = 0;
	wire_put(&b, WIRE_STATE, SLICE("two"), &out);
	assert_true(take(&a, &out, 0, &type, &payload) > 0);
	buf_done(&out);
}

static void
no_byte_can_be_changed_and_no_frame_repeated_left_out_or_sent_back(void **state)
{
	struct wire a, b, fresh;
	struct buf out = {0}, second = {0};
	enum wire_type type;
	struct slice payload;

	(void)state;
	meet(&a, &b, SLICE("secret"), SLICE("secret"));
	wire_put(&a, WIRE_LIST, SLICE("one"), &out);
	wire_put(&a, WIRE_LIST, SLICE("two"), &second);
	for (size_t i = 0; i < out.len; i++) {
		fresh = b;
		out.data[i] ^= 1;
		assert_true(take(&fresh, &out, 0, &type, &payload) <= 0); /* a length may say: more */
		out.data[i] ^= 1;
	}
	fresh = b;
	assert_true(take(&fresh, &second, 0, &type, &payload) < 0); /* the first was left out */
	fresh = b;
	assert_true(take(&fresh, &out, 0, &type, &payload) > 0);
	assert_true(take(&fresh, &out, 0, &type, &payload) < 0); /* repeated */
	fresh = a;
	fresh.received = 0;
	assert_true(take(&fresh, &out, 0, &type, &payload) < 0); /* to its sender */
	buf_done(&out);
	buf_done(&second);
}

static void
another_secret_or_place_is_another_key(void **state)
{
	struct wire a, b;
	struct buf out = {0};
	enum wire_type type;
	struct slice payload;

	(void)state;
	meet(&a, &b, SLICE("secret"), SLICE("Secret"));
	wire_put(&a, WIRE_CLEAR, SLICE_NONE, &out);
	assert_true(take(&b, &out, 0, &type, &payload) < 0);
	meet(&a, &b, SLICE("secret"), SLICE("secret"));
	wire_set_key(&b, 1, SLICE("secret"), nonces[0], nonces[1], 0, 2);
	out.len = 0;
	wire_put(&a, WIRE_CLEAR, SLICE_NONE, &out);
	assert_true(take(&b, &out, 0, &type, &payload) < 0);
	buf_done(&out);
}

static void
lengths_are_believed_only_as_far_as_is_allowed(void **state)
{
	struct wire unknown = {0}, a, b;
	enum wire_type type;
	struct slice payload;

	(void)state;
	meet(&a, &b, SLICE("s"), SLICE("s"));
	assert_true(wire_take(&unknown, "\0\0\0\0", 4, &type, &payload) < 0);
	assert_true(wire_take(&unknown, "\x41\0\0\0", 4, &type, &payload) < 0); /* above WIRE_HELLO_MAX */
	assert_true(wire_take(&unknown, "\xff\xff\xff\xff", 4, &type, &payload) < 0);
	assert_int_equal(wire_take(&unknown, "\x40\0\0\0", 4, &type, &payload), 0);
	assert_true(wire_take(&b, "\x10\0\0\0", 4, &type, &payload) < 0); /* no room for a MAC */
	assert_true(wire_take(&b, "\x01\0\x80\0", 4, &type, &payload) < 0);
}

static void
copies_and_states_come_back_as_they_were(void **state)
{
	const struct cache_copied copied = {
	    .kind = CACHE_ITEMS,
	    .table_id = 0x7123456789abcdefULL,
	    .table_name = SLICE("table"),
	    .key = SLICE("key"),
	    .what = CACHE_HIT,
	    .value = SLICE("value"),
	    .write = true,
	    .order = UINT64_MAX,
	    .age_ms = 77,
	};
	const struct wire_state told = {.started_ms = 5, .incarnation = UINT64_MAX - 1, .lists = 9, .leaving = true};
	struct wire_state heard;
	struct cache_copied read;
	struct buf out = {0};

	(void)state;
	wire_put_copy(&copied, &out);
	assert_true(wire_read_copy(buf_slice(&out), &read));
	assert_int_equal(read.kind, copied.kind);
	assert_true(read.table_id == copied.table_id && read.order == copied.order && read.write);
	assert_true(slice_eq(read.table_name, copied.table_name) && slice_eq(read.key, copied.key) &&
		    slice_eq(read.value, copied.value));
	assert_int_equal(read.what, CACHE_HIT);
	assert_int_equal(read.age_ms, 77);
	for (size_t len = 0; len < 28 + 8; len++)
		assert_false(wire_read_copy(slice_of(out.data, len), &read)); /* name and key must be whole */
	out.data[0] = 3;                                                      /* a write of a page */
	assert_false(wire_read_copy(buf_slice(&out), &read));
	out.data[0] = 0;
	out.data[1] = 0; /* an answer that says nothing */
	assert_false(wire_read_copy(buf_slice(&out), &read));
	out.len = 0;
	wire_put_state(&told, &out);
	assert_true(wire_read_state(buf_slice(&out), &heard));
	assert_true(heard.started_ms == 5 && heard.incarnation == told.incarnation && heard.lists == 9 &&
		    heard.leaving);
	assert_false(wire_read_state(slice_of(out.data, out.len - 1), &heard));
	buf_done(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(frames_arrive_as_they_were_sent),
	    cmocka_unit_test(no_byte_can_be_changed_and_no_frame_repeated_left_out_or_sent_back),
	    cmocka_unit_test(another_secret_or_place_is_another_key),
	    cmocka_unit_test(lengths_are_believed_only_as_far_as_is_allowed),
	    cmocka_unit_test(copies_and_states_come_back_as_they_were),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
