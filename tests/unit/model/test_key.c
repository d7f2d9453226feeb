#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/key.h"
#include "model/number.h"

static struct av
number(struct arena *a, const char *text)
{
	uint8_t bytes[NUMBER_ENCODED_MAX];

	return av_number(a, slice_of(bytes, number_encode_text(slice_str(text), bytes, NULL)));
}

static struct av
binary(struct arena *a, struct slice bytes)
{
	struct buf b = {0};
	struct av v;

	av_put_binary(&b, bytes);
	v = av_of_buf(a, &b, 0);
	buf_done(&b);
	return v;
}

static struct slice
part(struct arena *a, struct av value)
{
	struct buf b = {0};
	struct slice copy;

	key_put_part(&b, value);
	copy = arena_dup(a, buf_slice(&b));
	buf_done(&b);
	return copy;
}

static void
parts_sort_as_their_values(void **state)
{
	static const struct slice ascending[] = {
	    {"\0", 1},    {"\0\0", 2},  {"\0\1", 2}, {"\0\xff", 2},  {"\1", 1},         {"a", 1},
	    {"a\0", 2},   {"a\0\0", 3}, {"a\0b", 3}, {"a\0\xff", 3}, {"a\1", 2},        {"aa", 2},
	    {"a\xff", 2}, {"b", 1},     {"\xff", 1}, {"\xff\0", 2},  {"\xff\xff\0", 3},
	};
	size_t count = sizeof ascending / sizeof *ascending;
	struct arena a = {0};

	(void)state;
	for (size_t i = 0; i < count; i++) {
		struct slice x = part(&a, binary(&a, ascending[i]));

		for (size_t j = 0; j < count; j++) {
			struct slice y = part(&a, av_string(&a, ascending[j]));
			int order = slice_cmp(x, y);

			assert_true(i < j ? order < 0 : i > j ? order > 0 : order == 0);
			if (i != j) /* none is the beginning of another, so what follows cannot change the order */
				assert_false(slice_starts(x, y));
		}
	}
	arena_done(&a);
}

static void
assert_read_back(struct arena *a, struct av value, enum av_type type)
{
	struct buf key = {0}, back = {0};
	struct slice rest;

	key_put_part(&key, value);
	buf_put_lit(&key, "rest");
	rest = buf_slice(&key);
	assert_int_equal(key_read_part(&rest, type, &back), S_OK);
	assert_true(slice_eq(rest, SLICE("rest")));
	assert_true(av_equal(value, av_of_buf(a, &back, 0)));
	/* cut off anywhere: refused */
	for (size_t len = 0; len < key.len - 4; len++) {
		rest = slice_of(key.data, len);
		assert_int_equal(key_read_part(&rest, type, &back), S_CORRUPT);
	}
	buf_done(&key);
	buf_done(&back);
}

static void
parts_are_read_back(void **state)
{
	struct arena a = {0};
	struct buf out = {0};
	struct slice bad = {"a\0b\0\0", 5};

	(void)state;
	assert_read_back(&a, av_string(&a, SLICE("text")), AV_S);
	assert_read_back(&a, av_string(&a, slice_of("\0a\0\0b\0", 6)), AV_S);
	assert_read_back(&a, binary(&a, slice_of("\0\xff\0\xff\xff\0", 6)), AV_B);
	assert_read_back(&a, number(&a, "-12.5"), AV_N);
	assert_read_back(&a, number(&a, "0"), AV_N);
	assert_int_equal(key_read_part(&bad, AV_S, &out), S_CORRUPT);
	buf_done(&out);
	arena_done(&a);
}

static void
a_prefix_starts_the_parts_of_what_it_begins(void **state)
{
	static const struct slice words[] = {{"a", 1}, {"a\0", 2}, {"a\0b", 3}, {"ab", 2}, {"\0", 1}, {"b", 1}};
	struct arena a = {0};
	struct buf prefix = {0};

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		for (size_t j = 0; j < 6; j++) {
			prefix.len = 0;
			key_put_prefix(&prefix, words[j]);
			assert_int_equal(slice_starts(part(&a, av_string(&a, words[i])), buf_slice(&prefix)),
					 slice_starts(words[i], words[j]));
		}
	}
	buf_done(&prefix);
	arena_done(&a);
}

static struct av
text(struct arena *a, const char *bytes)
{
	return av_string(a, slice_str(bytes));
}

static void
the_hash_is_the_services(void **state) /* it is on the disk, and the order of a Scan */
{
	struct arena a = {0};
	struct av pair[2];

	(void)state;
	assert_true(key_hash(NULL, 0) == 0x65a4c05294be8932u);
	assert_true(key_hash((struct av[]){text(&a, "a")}, 1) == 0xf6558e516275dee2u);
	assert_true(key_hash((struct av[]){text(&a, "\xc3\xa9")}, 1) == 0x1062807ac84fe65au);
	assert_true(key_hash((struct av[]){binary(&a, SLICE("a"))}, 1) == 0xf6558e516275dee2u);
	/* longer than a block */
	assert_true(key_hash((struct av[]){text(&a, "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz")},
			     1) == 0x1801e3ef20dce620u);
	assert_true(key_hash((struct av[]){number(&a, "0")}, 1) == 0xce212d751674ab5du);
	assert_true(key_hash((struct av[]){number(&a, "1.0")}, 1) == 0xc3a0310aed78739bu);
	assert_true(key_hash((struct av[]){number(&a, "-1")}, 1) == 0x0267df4c95559d50u);
	pair[0] = text(&a, "p");
	pair[1] = number(&a, "7");
	assert_true(key_hash(pair, 2) == 0x72d89456609e7d5bu);
	arena_done(&a);
}

static const struct key_schema table_schema = {
    .partition_count = 1,
    .sort_count = 1,
    .partition = {{{"pk", 2}, AV_S}},
    .sort = {{{"sk", 2}, AV_N}},
};
static const struct key_schema index_schema = {
    .partition_count = 2,
    .sort_count = 1,
    .partition = {{{"x", 1}, AV_S}, {{"y", 1}, AV_N}},
    .sort = {{{"z", 1}, AV_B}},
};

static struct av
example_item(struct arena *a)
{
	struct buf b = {0};
	size_t map = av_open(&b, TAG_M);
	struct av item;

	av_put_name(&b, SLICE("sk"));
	av_put_value(&b, number(a, "7"));
	av_put_name(&b, SLICE("pk"));
	av_put_string(&b, SLICE("p"));
	av_put_name(&b, SLICE("z"));
	av_put_binary(&b, slice_of("\0", 1));
	av_put_name(&b, SLICE("x"));
	av_put_string(&b, SLICE("q"));
	av_put_name(&b, SLICE("y"));
	av_put_value(&b, number(a, "-1"));
	av_close_map(&b, map, 5, NULL);
	item = av_of_buf(a, &b, 0);
	buf_done(&b);
	return item;
}

static void
a_row_key_is_space_hash_and_parts(void **state)
{
	struct arena a = {0};
	struct buf row = {0}, collection = {0}, entry = {0};
	struct av item = example_item(&a), pk = av_get(item, SLICE("pk"));
	uint64_t hash, same, big_endian;

	(void)state;
	key_put_row(&row, 0x01020304, &table_schema, item, &hash);
	assert_true(hash == 0x5b3c8697600ae3dau);
	big_endian = __builtin_bswap64(hash);
	assert_int_equal(row.len, 4 + 8 + 3 + 2);
	assert_memory_equal(row.data, "\1\2\3\4", 4);
	assert_memory_equal(row.data + 4, &big_endian, 8);
	assert_memory_equal(row.data + 12, "p\0\0\xc1\x0e", 5);
	key_put_collection(&collection, 0x01020304, &pk, 1, &same);
	assert_true(same == hash);
	assert_true(slice_starts(buf_slice(&row), buf_slice(&collection)));
	assert_int_equal(collection.len, 15);
	key_put_index_row(&entry, 5, &index_schema, &table_schema, item, &hash);
	assert_true(hash == 0x933f487393ffb7eau);
	assert_int_equal(entry.len, 4 + 8 + 5 + 4 + 8 + 5);
	assert_memory_equal(entry.data + 12, "q\0\0\x3e\xfd\0\xff\0\0", 9);
	assert_memory_equal(entry.data + 21, "\x72\xd8\x94\x56\x60\x9e\x7d\x5b", 8); /* of p and 7 */
	assert_memory_equal(entry.data + 29, "p\0\0\xc1\x0e", 5);
	buf_done(&row);
	buf_done(&collection);
	buf_done(&entry);
	arena_done(&a);
}

static void
the_key_behind_a_prefix_bounds_it(void **state)
{
	struct buf b = {0};

	(void)state;
	buf_put(&b, "a\xff\xff", 3);
	key_after_prefix(&b);
	assert_true(slice_eq(buf_slice(&b), SLICE("b")));
	b.len = 0;
	buf_put(&b, "a\0", 2);
	key_after_prefix(&b);
	assert_true(slice_eq(buf_slice(&b), SLICE("a\1")));
	b.len = 0;
	buf_put(&b, "\x7f", 1);
	key_after_prefix(&b);
	assert_true(slice_eq(buf_slice(&b), SLICE("\x80")));
	b.len = 0;
	buf_put(&b, "\xff\xff", 2);
	key_after_prefix(&b);
	assert_int_equal(b.len, 0);
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(parts_sort_as_their_values),
	    cmocka_unit_test(parts_are_read_back),
	    cmocka_unit_test(a_prefix_starts_the_parts_of_what_it_begins),
	    cmocka_unit_test(the_hash_is_the_services),
	    cmocka_unit_test(a_row_key_is_space_hash_and_parts),
	    cmocka_unit_test(the_key_behind_a_prefix_bounds_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
