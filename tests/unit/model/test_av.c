#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "model/av.h"
#include "model/number.h"

static struct av
whole(const struct buf *b)
{
	return (struct av){(const uint8_t *)b->data, (uint32_t)b->len};
}

static struct slice
encoded(const char *number)
{
	static uint8_t bytes[8][NUMBER_ENCODED_MAX];
	static int turn;
	uint8_t *to = bytes[turn++ % 8];

	return slice_of(to, number_encode_text(slice_str(number), to, NULL));
}

static void
put_pair(struct buf *out, const char *name, const char *text)
{
	av_put_name(out, slice_str(name));
	av_put_string(out, slice_str(text));
}

static void
assert_checked(struct av v)
{
	struct err err;

	if (av_check(slice_of(v.data, v.len), &err) != S_OK)
		fail_msg("%s", err.message);
}

static uint32_t
random_below(uint32_t limit)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33) % limit;
}

/* {"b": {"L": [null, true, -12.5, bytes]}, "a": "text", "": {}, "n": [3, 1, 2] as NS} written in that order */
static void
put_example(struct buf *out)
{
	size_t map = av_open(out, TAG_M), inner;

	av_put_name(out, SLICE("b"));
	inner = av_open(out, TAG_L);
	av_put_null(out);
	av_put_bool(out, true);
	av_put_number(out, encoded("-12.5"));
	av_put_binary(out, slice_of("\0\xff", 2));
	av_close_list(out, inner, 4);
	put_pair(out, "a", "text");
	av_put_name(out, SLICE(""));
	inner = av_open(out, TAG_M);
	assert_int_equal(av_close_map(out, inner, 0, NULL), S_OK);
	av_put_name(out, SLICE("n"));
	inner = av_open(out, TAG_NS);
	av_put_element(out, encoded("3"));
	av_put_element(out, encoded("-1"));
	av_put_element(out, encoded("2"));
	assert_int_equal(av_close_set(out, inner, 3, NULL), S_OK);
	assert_int_equal(av_close_map(out, map, 4, NULL), S_OK);
}

static void
what_was_built_is_read_back(void **state)
{
	struct buf b = {0};
	struct arena a = {0};
	struct av item, list, set;
	struct av_iter it;

	(void)state;
	put_example(&b);
	item = whole(&b);
	assert_checked(item);
	assert_int_equal(av_type(item), AV_M);
	assert_int_equal(av_count(item), 4);
	assert_int_equal(av_depth(item), 2);
	it = av_iter(item);
	assert_true(av_next(&it) && it.name.len == 0 && av_type(it.value) == AV_M);
	assert_true(av_next(&it) && slice_eq(it.name, SLICE("a")) && slice_eq(av_bytes(it.value), SLICE("text")));
	assert_true(av_next(&it) && slice_eq(it.name, SLICE("b")));
	assert_true(av_next(&it) && slice_eq(it.name, SLICE("n")) && av_type(it.value) == AV_NS);
	assert_false(av_next(&it));
	assert_false(av_next(&it)); /* and stays there */

	list = av_get(item, SLICE("b"));
	assert_int_equal(av_type(list), AV_L);
	assert_int_equal(av_type(av_at(list, 0)), AV_NULL);
	assert_int_equal(av_type(av_at(list, 1)), AV_BOOL);
	assert_true(av_is_true(av_at(list, 1)));
	assert_true(slice_eq(av_bytes(av_at(list, 2)), encoded("-12.5")));
	assert_true(slice_eq(av_bytes(av_at(list, 3)), slice_of("\0\xff", 2)));
	assert_false(av_exists(av_at(list, 4)));
	assert_false(av_exists(av_at(item, 0)));
	assert_false(av_exists(av_get(item, SLICE("c"))));
	assert_false(av_exists(av_get(list, SLICE("a"))));
	assert_false(av_exists(av_get(AV_NONE, SLICE("a"))));
	assert_true(av_exists(av_get(item, SLICE(""))));

	set = av_get(item, SLICE("n"));
	assert_true(av_set_has(set, av_number(&a, encoded("2.0"))));
	assert_true(av_set_has(set, av_number(&a, encoded("-1"))));
	assert_false(av_set_has(set, av_number(&a, encoded("4"))));
	assert_false(av_set_has(set, av_string(&a, SLICE("2"))));
	assert_false(av_set_has(list, av_number(&a, encoded("2"))));
	it = av_iter(set);
	assert_true(av_next(&it) && slice_eq(it.element, encoded("-1")));
	assert_true(av_next(&it) && slice_eq(it.element, encoded("2")));
	assert_true(av_next(&it) && slice_eq(it.element, encoded("3")));
	assert_false(av_next(&it));
	it = av_iter(av_get(item, SLICE("a")));
	assert_false(av_next(&it));
	assert_string_equal(av_type_name(av_type(set)), "NS");
	arena_done(&a);
	buf_done(&b);
}

static void
an_entry_behind_the_empty_name_is_found(void **state) /* the empty name has no first byte to compare */
{
	struct buf b = {0};
	size_t map = av_open(&b, TAG_M);

	(void)state;
	put_pair(&b, "", "long enough to look like a name");
	put_pair(&b, "\1", "wanted");
	assert_int_equal(av_close_map(&b, map, 2, NULL), S_OK);
	assert_true(slice_eq(av_bytes(av_get(whole(&b), SLICE("\1"))), SLICE("wanted")));
	buf_done(&b);
}

static void
long_strings_keep_their_length(void **state)
{
	static const size_t lengths[] = {0, 1, 127, 128, 16383, 16384, 2097151, 2097152};
	struct arena a = {0};

	(void)state;
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		char *text = malloc(lengths[i] + 1);
		struct buf b = {0};
		struct av v;

		memset(text, 'x', lengths[i] + 1);
		av_put_string(&b, slice_of(text, lengths[i]));
		assert_checked(whole(&b));
		assert_int_equal(av_bytes(whole(&b)).len, lengths[i]);
		assert_int_equal(av_raw_span(whole(&b).data), b.len);
		v = av_string(&a, slice_of(text, lengths[i]));
		assert_true(av_equal(v, whole(&b)));
		buf_done(&b);
		free(text);
	}
	arena_done(&a);
}

static void
values_are_ordered_as_the_service_orders_them(void **state)
{
	struct arena a = {0};

	(void)state;
	assert_true(av_cmp(av_number(&a, encoded("-10")), av_number(&a, encoded("-9"))) < 0);
	assert_true(av_cmp(av_number(&a, encoded("10")), av_number(&a, encoded("9"))) > 0);
	assert_int_equal(av_cmp(av_number(&a, encoded("1.0")), av_number(&a, encoded("1"))), 0);
	assert_true(av_cmp(av_string(&a, SLICE("a")), av_string(&a, SLICE("ab"))) < 0);
	assert_true(av_cmp(av_string(&a, SLICE("\xc3\xa4")), av_string(&a, SLICE("z"))) > 0); /* by UTF-8 bytes */
	arena_done(&a);
}

static void
names_in_any_order_give_the_same_bytes(void **state)
{
	char names[200][24];
	struct buf sorted = {0}, shuffled = {0};
	size_t mark;

	(void)state;
	for (uint32_t count = 0; count <= 200; count += count < 70 ? 1 : 13) {
		sorted.len = shuffled.len = 0;
		mark = av_open(&sorted, TAG_M);
		for (uint32_t i = 0; i < count; i++) { /* some share their first eight bytes, some do not */
			snprintf(names[i], sizeof names[i], i % 3 ? "attribute%05u" : "%05u", i);
			put_pair(&sorted, names[i], names[i]);
		}
		assert_int_equal(av_close_map(&sorted, mark, count, NULL), S_OK);
		assert_checked(whole(&sorted));
		for (int round = 0; round < 3; round++) {
			for (uint32_t i = count; i > 1; i--) {
				uint32_t other = random_below(i);
				char swap[24];

				memcpy(swap, names[i - 1], sizeof swap);
				memcpy(names[i - 1], names[other], sizeof swap);
				memcpy(names[other], swap, sizeof swap);
			}
			shuffled.len = 0;
			buf_put_lit(&shuffled, "in front"); /* the container need not be at the start of the buf */
			mark = av_open(&shuffled, TAG_M);
			for (uint32_t i = 0; i < count; i++)
				put_pair(&shuffled, names[i], names[i]);
			assert_int_equal(av_close_map(&shuffled, mark, count, NULL), S_OK);
			assert_int_equal(shuffled.len - 8, sorted.len);
			assert_memory_equal(shuffled.data + 8, sorted.data, sorted.len);
		}
	}
	buf_done(&sorted);
	buf_done(&shuffled);
}

static void
equal_names_and_elements_are_found(void **state)
{
	struct buf b = {0};
	struct slice duplicate;
	size_t mark;

	(void)state;
	mark = av_open(&b, TAG_M);
	put_pair(&b, "x", "1");
	put_pair(&b, "same name, longer than eight", "1");
	put_pair(&b, "y", "1");
	put_pair(&b, "same name, longer than eight", "2");
	assert_int_equal(av_close_map(&b, mark, 4, &duplicate), S_VALIDATION);
	assert_true(slice_eq(duplicate, SLICE("same name, longer than eight")));
	b.len = mark;
	mark = av_open(&b, TAG_M);
	put_pair(&b, "a", "1");
	put_pair(&b, "a", "2");
	assert_int_equal(av_close_map(&b, mark, 2, NULL), S_VALIDATION);
	b.len = mark;
	mark = av_open(&b, TAG_NS);
	av_put_element(&b, encoded("1"));
	av_put_element(&b, encoded("2"));
	av_put_element(&b, encoded("1.0"));
	assert_int_equal(av_close_set(&b, mark, 3, &duplicate), S_VALIDATION);
	assert_true(slice_eq(duplicate, encoded("1")));
	b.len = mark;
	mark = av_open(&b, TAG_SS); /* a zero byte is not the end of a name */
	av_put_element(&b, slice_of("a\0", 2));
	av_put_element(&b, slice_of("a", 1));
	av_put_element(&b, slice_of("", 0));
	assert_int_equal(av_close_set(&b, mark, 3, NULL), S_OK);
	assert_checked(whole(&b));
	buf_done(&b);
}

static void
hostile_orders_sort_quickly(void **state)
{
	enum { COUNT = 100000 };
	struct buf b = {0};
	char name[64];
	clock_t start = clock();

	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		size_t mark;

		b.len = 0;
		mark = av_open(&b, TAG_M);
		for (uint32_t i = 0; i < COUNT; i++) {
			uint32_t n = kind == 0 ? COUNT - i : kind == 1 ? i * 7919 % COUNT : i;

			snprintf(name, sizeof name, "%s%08u", kind == 1 ? "the same beginning for all of them, " : "",
				 n);
			put_pair(&b, name, "");
		}
		if (kind == 2)
			put_pair(&b, name, ""); /* all in order, then one twice */
		assert_int_equal(av_close_map(&b, mark, COUNT + (kind == 2), NULL), kind == 2 ? S_VALIDATION : S_OK);
		if (kind != 2)
			assert_checked(whole(&b));
	}
	assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 10);
	buf_done(&b);
}

static void
sizes_follow_the_service(void **state)
{
	struct buf b = {0};
	size_t map, list;

	(void)state;
	put_example(&b);
	/* b: 3 + 4 + 1 + 1 + (1 + 2 pairs + sign) + 2, a: 4, "": 3, n: 2 + 3 + 2, and three letters of names */
	assert_int_equal(item_size(whole(&b)), (3 + 4 + 1 + 1 + 4 + 2) + 4 + 3 + (2 + 3 + 2) + 3);
	assert_int_equal(av_size(whole(&b)), item_size(whole(&b)) + 3 + 4);
	b.len = 0;
	map = av_open(&b, TAG_M);
	av_put_name(&b, SLICE("\xc2\xa3"));
	list = av_open(&b, TAG_L);
	av_close_list(&b, list, 0);
	av_close_map_sorted(&b, map, 1);
	assert_int_equal(item_size(whole(&b)), 5);
	buf_done(&b);
}

static void
picking_takes_what_is_named(void **state)
{
	struct arena a = {0};
	struct buf b = {0};
	const struct slice names[] = {SLICE("n"), SLICE("zz"), SLICE("a"), SLICE("a"), SLICE("0")};
	struct av picked;
	struct av_iter it;

	(void)state;
	put_example(&b);
	picked = item_pick(&a, whole(&b), names, 5);
	assert_checked(picked);
	it = av_iter(picked);
	assert_true(av_next(&it) && slice_eq(it.name, SLICE("a")));
	assert_true(av_next(&it) && slice_eq(it.name, SLICE("n")) && av_count(it.value) == 3);
	assert_false(av_next(&it));
	picked = item_pick(&a, whole(&b), names, 0);
	assert_checked(picked);
	assert_int_equal(av_count(picked), 0);
	b.len = 0;
	av_close_map_sorted(&b, av_open(&b, TAG_M), 0);
	picked = item_pick(&a, whole(&b), names, 5);
	assert_true(av_equal(picked, whole(&b)));
	arena_done(&a);
	buf_done(&b);
}

static void
put_nested(struct buf *b, int levels, enum av_tag tag)
{
	size_t marks[100];

	for (int i = 0; i < levels; i++) {
		if (i > 0 && tag == TAG_M)
			av_put_name(b, SLICE("n"));
		marks[i] = av_open(b, tag);
	}
	for (int i = levels - 1; i >= 0; i--)
		av_close_list(b, marks[i], i < levels - 1);
}

static void
nesting_is_bounded(void **state)
{
	struct buf b = {0};

	(void)state;
	put_nested(&b, AV_DEPTH_MAX + 1, TAG_M);
	assert_int_equal(av_depth(whole(&b)), AV_DEPTH_MAX + 1);
	assert_checked(whole(&b));
	b.len = 0;
	put_nested(&b, AV_DEPTH_MAX + 2, TAG_M);
	assert_int_equal(av_check(SLICE_NONE, NULL), S_CORRUPT);
	assert_int_equal(av_check(buf_slice(&b), NULL), S_CORRUPT);
	b.len = 0;
	put_nested(&b, 100, TAG_L);
	assert_int_equal(av_check(buf_slice(&b), NULL), S_CORRUPT);
	buf_done(&b);
}

static void
malformed_values_are_refused(void **state)
{
#define CASE(text)                                                                                                     \
	{                                                                                                              \
		sizeof(text) - 1, text                                                                                 \
	}
	static const struct {
		size_t len;
		const char *bytes;
	} cases[] = {
	    CASE(""),
	    CASE("\0"),
	    CASE("\x0c"),
	    CASE("\x01\x01"),         /* bytes behind a null */
	    CASE("\x04\x02\xc1\x03"), /* number without end */
	    CASE("\x04\x03\xc1\x02"), /* cut off */
	    CASE("\x04\x00"),
	    CASE("\x05\x02"
		 "a"), /* string cut off */
	    CASE("\x05\x81\x00"
		 "a"),                            /* length not shortest */
	    CASE("\x05\xff\xff\xff\xff\xff\x01"), /* length of more than 32 bits */
	    CASE("\x05\x80"),
	    CASE("\x05\x01\xff"),                         /* no UTF-8 */
	    CASE("\x05\x02\xc0\x80"),                     /* overlong */
	    CASE("\x05\x03\xe0\x9f\xbf"),                 /* overlong */
	    CASE("\x05\x03\xed\xa0\x80"),                 /* surrogate */
	    CASE("\x05\x04\xf4\x90\x80\x80"),             /* beyond Unicode */
	    CASE("\x05\x02\xe2\x82"),                     /* character cut off */
	    CASE("\x07\x00\x00\x00\x00\x00\x00\x00\x00"), /* empty set */
	    CASE("\x07\x04\x00\x00\x00\x02\x00\x00\x00\x01"
		 "b\x01"
		 "a"), /* elements descend */
	    CASE("\x07\x04\x00\x00\x00\x02\x00\x00\x00\x01"
		 "a\x01"
		 "a"), /* elements equal */
	    CASE("\x07\x04\x00\x00\x00\x01\x00\x00\x00\x01"
		 "a\x01"
		 "b"), /* more bytes than elements */
	    CASE("\x07\x02\x00\x00\x00\x02\x00\x00\x00\x01"
		 "a"), /* fewer */
	    CASE("\x08\x02\x00\x00\x00\x01\x00\x00\x00\x01"
		 "a"),                                    /* no number in it */
	    CASE("\x0a\x01\x00\x00\x00\x01\x00\x00\x00"), /* list cut off */
	    CASE("\x0a\xff\xff\xff\xff\xff\xff\xff\xff"),
	    CASE("\x0a\x01\x00\x00\x00\xff\xff\xff\xff\x01"),
	    CASE("\x0b\x00\x00\x00\x00\x00\x00\x00"),
	    CASE("\x0b\x06\x00\x00\x00\x02\x00\x00\x00\x01"
		 "b\x01\x01"
		 "a\x01"), /* names descend */
	    CASE("\x0b\x02\x00\x00\x00\x01\x00\x00\x00\x01"
		 "b"), /* name without value */
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *copy = malloc(cases[i].len); /* of its own, so that a read beyond it shows */

		memcpy(copy, cases[i].bytes, cases[i].len);
		if (av_check(slice_of(copy, cases[i].len), NULL) != S_CORRUPT)
			fail_msg("case %zu was accepted", i);
		free(copy);
	}
}

static void
a_damaged_value_is_refused_or_still_whole(void **state)
{
	struct buf b = {0};

	(void)state;
	put_example(&b);
	for (size_t cut = 0; cut < b.len; cut++)
		assert_int_equal(av_check(slice_of(b.data, cut), NULL), S_CORRUPT);
	for (int i = 0; i < 20000; i++) {
		size_t at = random_below((uint32_t)b.len);
		char kept = b.data[at];

		b.data[at] = (char)random_below(256);
		if (av_check(buf_slice(&b), NULL) == S_OK)
			assert_true(item_size(whole(&b)) < 1000 && av_depth(whole(&b)) < 4);
		b.data[at] = kept;
	}
	buf_done(&b);
}

static void
text_of_all_lengths_of_characters_is_accepted(void **state)
{
	struct buf b = {0};

	(void)state;
	av_put_string(&b, SLICE("plain text of more than eight bytes, "
				"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\xf0\x90\x80\x80"
				"\xf4\x8f\xbf\xbf and on\x7f"));
	assert_checked(whole(&b));
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_built_is_read_back),
	    cmocka_unit_test(an_entry_behind_the_empty_name_is_found),
	    cmocka_unit_test(long_strings_keep_their_length),
	    cmocka_unit_test(values_are_ordered_as_the_service_orders_them),
	    cmocka_unit_test(names_in_any_order_give_the_same_bytes),
	    cmocka_unit_test(equal_names_and_elements_are_found),
	    cmocka_unit_test(hostile_orders_sort_quickly),
	    cmocka_unit_test(sizes_follow_the_service),
	    cmocka_unit_test(picking_takes_what_is_named),
	    cmocka_unit_test(nesting_is_bounded),
	    cmocka_unit_test(malformed_values_are_refused),
	    cmocka_unit_test(a_damaged_value_is_refused_or_still_whole),
	    cmocka_unit_test(text_of_all_lengths_of_characters_is_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
