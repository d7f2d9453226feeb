#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/number.h"

typedef unsigned __int128 u128;

/* A reference that shares nothing with the code under test: every place from 10^299 down to 10^-300 as one digit. */
#define PLACES 600
#define UNITS  299 /* index of the digit before the point */

struct wide {
	bool negative;
	uint8_t digit[PLACES];
};

static struct wide
wide_of(const struct number *n)
{
	struct wide w = {.negative = n->negative};
	u128 digits = n->digits;

	for (int at = UNITS - n->exponent; digits > 0; at--, digits /= 10)
		w.digit[at] = (uint8_t)(digits % 10);
	return w;
}

static int
wide_cmp(const struct wide *a, const struct wide *b)
{
	int order = memcmp(a->digit, b->digit, PLACES);

	if (a->negative != b->negative)
		return a->negative ? -1 : 1;
	return a->negative ? -order : order;
}

static struct wide
wide_add(const struct wide *a, const struct wide *b)
{
	struct wide sum = {.negative = a->negative};
	int carry = 0;

	if (a->negative != b->negative && memcmp(a->digit, b->digit, PLACES) < 0)
		return wide_add(b, a);
	for (int i = PLACES - 1; i >= 0; i--) {
		int d = a->digit[i] + carry + (a->negative == b->negative ? b->digit[i] : -b->digit[i]);

		carry = d < 0 ? -1 : d / 10;
		sum.digit[i] = (uint8_t)(d < 0 ? d + 10 : d % 10);
	}
	return sum;
}

/* First and last place that is not zero; first > last when all are. */
static void
wide_span(const struct wide *w, int *ret_first, int *ret_last)
{
	*ret_first = 0;
	*ret_last = PLACES - 1;
	while (*ret_first < PLACES && w->digit[*ret_first] == 0)
		++*ret_first;
	while (*ret_last >= 0 && w->digit[*ret_last] == 0)
		--*ret_last;
}

static struct number
parse(const char *text)
{
	struct number n;
	struct err err;

	if (number_parse(slice_str(text), &n, &err) != S_OK)
		fail_msg("%s: %s", text, err.message);
	return n;
}

static struct slice
encode(const struct number *n, uint8_t to[NUMBER_ENCODED_MAX])
{
	size_t len = number_encode(n, to);

	assert_true(len >= 2 && len <= NUMBER_ENCODED_MAX);
	return slice_of(to, len);
}

static void
assert_text(const char *text, const char *expected)
{
	struct number n = parse(text);
	char out[NUMBER_TEXT_MAX + 1];

	out[number_format(&n, out)] = '\0';
	assert_string_equal(out, expected);
}

static void
assert_refused(const char *text, const char *message)
{
	struct number n;
	struct err err;

	if (number_parse(slice_str(text), &n, &err) != S_VALIDATION)
		fail_msg("%s was accepted", text);
	assert_string_equal(err.message, message);
}

static uint64_t
random_bits(void)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 2685821657736338717u;
}

static struct number
random_number(void)
{
	u128 digits = (u128)random_bits() << 64 | random_bits();
	int count = 1 + (int)(random_bits() % 38), first;
	struct number n = {0};
	u128 limit = 1;

	for (int i = 0; i < count; i++)
		limit *= 10;
	digits %= limit;
	if (random_bits() % 4 == 0) /* long runs of zeros inside */
		digits = digits / (limit / 10 ? limit / 10 : 1) * (limit / 10) + digits % 10;
	if (digits == 0)
		return n;
	while (digits % 10 == 0)
		digits /= 10;
	count = 0;
	for (u128 rest = digits; rest > 0; rest /= 10)
		count++;
	first = random_bits() % 3 ? (int)(random_bits() % 12) - 6 : (int)(random_bits() % 256) - 130;
	n.digits = digits;
	n.exponent = (int16_t)(first - count + 1);
	n.negative = random_bits() & 1;
	return n;
}

/* ---- text ---- */

static void
text_is_normalised(void **state)
{
	static const char *const cases[][2] = {
	    {"0", "0"},
	    {"-0", "0"},
	    {"+0", "0"},
	    {"0.000", "0"},
	    {"0e125", "0"},
	    {"0e-130", "0"},
	    {"00042", "42"},
	    {"1.0", "1"},
	    {"3.1400", "3.14"},
	    {"1.5E2", "150"},
	    {"1.5e+2", "150"},
	    {"15e-1", "1.5"},
	    {"1.", "1"},
	    {".5", "0.5"},
	    {"-.5", "-0.5"},
	    {"+3", "3"},
	    {"-7.1234", "-7.1234"},
	    {"0042.1200", "42.12"},
	    {"-100", "-100"},
	    {"1e-3", "0.001"},
	    {"120", "120"},
	    {"1e00000000000000000000000000000000000002", "100"},
	    {"1234567890123456789", "1234567890123456789"},
	    {"-999999999999999999", "-999999999999999999"},
	    {"12345678901234567890123456789012345678", "12345678901234567890123456789012345678"},
	    {"0.00000000000000000000000000000000000001", "0.00000000000000000000000000000000000001"},
	    {"1.2345678901234567890123456789012345678", "1.2345678901234567890123456789012345678"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_text(cases[i][0], cases[i][1]);
}

static void
the_ends_of_the_range_are_written_out(void **state)
{
	char expected[NUMBER_TEXT_MAX + 1] = "1";

	(void)state;
	memset(expected + 1, '0', 125);
	expected[126] = '\0';
	assert_text("1E125", expected);
	memset(expected, '9', 38);
	assert_text("9.9999999999999999999999999999999999999E+125", expected);
	memset(expected, '0', sizeof expected);
	memcpy(expected, "-0.", 3);
	strcpy(expected + 3 + 129, "1");
	assert_text("-1E-130", expected);
	strcpy(expected + 3 + 129, "12345678901234567890123456789012345678");
	assert_text("-1.2345678901234567890123456789012345678e-130", expected);
	assert_true(strlen(expected) <= NUMBER_TEXT_MAX);
}

#define NOT_NUMERIC "The parameter cannot be converted to a numeric value"
#define OVERFLOW    "Number overflow. Attempting to store a number with magnitude larger than supported range"
#define UNDERFLOW   "Number underflow. Attempting to store a number with magnitude smaller than supported range"
#define DIGITS      "Attempting to store more than 38 significant digits in a Number"

static void
what_is_no_number_is_refused_as_the_service_words_it(void **state)
{
	static const char *const not_numbers[] = {
	    "abc",   " 1",    "1 ",  "1e",       "1e+",
	    "e5",    ".",     "-",   "+",        "--1",
	    "1.2.3", "0x10",  "NaN", "Infinity", "-Infinity",
	    "1e5.0", "1_000", "1,5", "\xc2\xb2", "1e9223372036854775808",
	};
	char expected[200];

	(void)state;
	assert_refused("", NOT_NUMERIC);
	for (size_t i = 0; i < sizeof not_numbers / sizeof *not_numbers; i++) {
		snprintf(expected, sizeof expected, NOT_NUMERIC ": %s", not_numbers[i]);
		assert_refused(not_numbers[i], expected);
	}
}

static void
what_does_not_fit_is_refused_as_the_service_words_it(void **state)
{
	(void)state;
	assert_refused("1E+126", OVERFLOW);
	assert_refused("-1E+126", OVERFLOW);
	assert_refused("11e125", OVERFLOW);
	assert_refused("1e99999999999", OVERFLOW);
	assert_refused("1e2147483648", OVERFLOW);
	assert_refused("1e9223372036854775807", OVERFLOW);
	assert_refused("0e126", OVERFLOW);
	assert_refused("1E-131", UNDERFLOW);
	assert_refused("0.9e-130", UNDERFLOW);
	assert_refused("1e-99999999999", UNDERFLOW);
	assert_refused("1e-9223372036854775808", UNDERFLOW);
	assert_refused("0e-131", UNDERFLOW);
	assert_refused("123456789012345678901234567890123456789", DIGITS);
	assert_refused("-1.23456789012345678901234567890123456789", DIGITS);
	assert_refused("100000000000000000000000000000000000001", DIGITS);
	assert_refused("1000000000000000000000000000000000000.01", DIGITS);
}

static void
hostile_text_is_read_in_linear_time(void **state)
{
	enum { LEN = 1 << 20 };
	char *text = malloc(LEN + 20);
	struct number n;
	struct err err;

	(void)state;
	memset(text, '0', LEN + 20);
	assert_int_equal(number_parse(slice_of(text, LEN), &n, &err), S_OK);
	assert_true(n.digits == 0);
	text[0] = '1';
	assert_int_equal(number_parse(slice_of(text, LEN), &n, &err), S_VALIDATION);
	assert_string_equal(err.message, OVERFLOW);
	/* 1 and 2^20 - 1 zeros, brought back by the exponent */
	strcpy(text + LEN, "e-1048575");
	assert_int_equal(number_parse(slice_of(text, LEN + 9), &n, &err), S_OK);
	assert_true(n.digits == 1 && n.exponent == 0);
	memcpy(text, "0.", 2);
	strcpy(text + LEN, "7e1048575");
	assert_int_equal(number_parse(slice_of(text, LEN + 9), &n, &err), S_OK);
	assert_true(n.digits == 7 && n.exponent == 0);
	memset(text, '9', LEN);
	assert_int_equal(number_parse(slice_of(text, LEN), &n, &err), S_VALIDATION);
	text[LEN - 1] = 'x';
	assert_int_equal(number_parse(slice_of(text, LEN), &n, &err), S_VALIDATION);
	free(text);
}

/* ---- the encoding ---- */

static void
encodings_of_known_numbers_stay(void **state) /* they are on the disk */
{
	static const struct {
		const char *text;
		size_t len;
		uint8_t bytes[8];
	} cases[] = {
	    {"0", 2, {0x80, 0x00}},
	    {"1", 2, {0xc1, 0x02}},
	    {"10", 2, {0xc1, 0x14}},
	    {"99", 2, {0xc1, 0xc6}},
	    {"100", 2, {0xc2, 0x02}},
	    {"101", 3, {0xc2, 0x03, 0x02}},
	    {"1234.5", 4, {0xc2, 0x19, 0x45, 0x64}},
	    {"0.5", 2, {0xc0, 0x64}},
	    {"-1", 2, {0x3e, 0xfd}},
	    {"-101", 3, {0x3d, 0xfc, 0xfd}},
	    {"1e-130", 2, {0x80, 0x02}},
	    {"9e125", 2, {0xff, 0xb4}},
	    {"-9e125", 2, {0x00, 0x4b}},
	};
	uint8_t bytes[NUMBER_ENCODED_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct number n = parse(cases[i].text);

		assert_int_equal(number_encode(&n, bytes), cases[i].len);
		assert_memory_equal(bytes, cases[i].bytes, cases[i].len);
		assert_int_equal(number_encode_text(slice_str(cases[i].text), bytes, NULL), cases[i].len);
		assert_memory_equal(bytes, cases[i].bytes, cases[i].len);
	}
	assert_int_equal(number_encode_text(SLICE("x"), bytes, NULL), 0);
}

static void
assert_round_trip(const struct number *n)
{
	uint8_t bytes[NUMBER_ENCODED_MAX + 1], again[NUMBER_ENCODED_MAX];
	char text[NUMBER_TEXT_MAX], direct[NUMBER_TEXT_MAX];
	struct slice encoded = encode(n, bytes);
	size_t text_len = number_format(n, text);
	struct number back;

	assert_int_equal(number_decode(encoded, &back), S_OK);
	assert_true(back.digits == n->digits && back.exponent == n->exponent && back.negative == n->negative);
	assert_int_equal(number_format_encoded(encoded, direct), text_len);
	assert_memory_equal(text, direct, text_len);
	assert_int_equal(number_parse(slice_of(text, text_len), &back, NULL), S_OK);
	assert_true(slice_eq(encode(&back, again), encoded));
	/* self-delimiting, whatever follows; and no shorter than it is */
	bytes[encoded.len] = (uint8_t)random_bits();
	assert_int_equal(number_encoded_length(slice_of(bytes, encoded.len + 1)), encoded.len);
	assert_int_equal(number_encoded_length(slice_of(bytes, encoded.len - 1)), 0);
	assert_int_equal(number_decode(slice_of(bytes, encoded.len + 1), &back), S_CORRUPT);
}

static void
assert_ordered(const struct number *a, const struct number *b)
{
	uint8_t left[NUMBER_ENCODED_MAX], right[NUMBER_ENCODED_MAX];
	struct slice x = encode(a, left), y = encode(b, right);
	struct wide wide_a = wide_of(a), wide_b = wide_of(b);
	int expected = wide_cmp(&wide_a, &wide_b);
	size_t shorter = x.len < y.len ? x.len : y.len;
	int order = memcmp(x.data, y.data, shorter);

	if (expected == 0)
		assert_true(slice_eq(x, y));
	else /* decided within the shorter: none is the beginning of another */
		assert_true(order != 0 && (order < 0) == (expected < 0));
	assert_true((number_cmp(a, b) < 0) == (expected < 0) && (number_cmp(a, b) > 0) == (expected > 0));
}

static size_t
edge_numbers(struct number *ret, size_t most)
{
	static const char *const digits[] = {
	    "1",
	    "2",
	    "9",
	    "11",
	    "12",
	    "19",
	    "21",
	    "91",
	    "99",
	    "101",
	    "109",
	    "111",
	    "901",
	    "999",
	    "1001",
	    "9999",
	    "10001",
	    "99999999999999999999999999999999999999",
	    "10000000000000000000000000000000000001",
	    "9999999999999999999999999999999999999",
	    "1000000000000000000000000000000000001",
	    "12345678901234567890123456789012345678",
	};
	static const int firsts[] = {-130, -129, -128, -100, -2, -1, 0, 1, 2, 3, 37, 38, 124, 125};
	size_t count = 0;
	char text[80];

	ret[count++] = (struct number){0, 0, false};
	for (size_t i = 0; i < sizeof digits / sizeof *digits; i++) {
		for (size_t j = 0; j < sizeof firsts / sizeof *firsts; j++) {
			for (int sign = 0; sign < 2 && count < most; sign++) {
				snprintf(text, sizeof text, "%s%c.%se%d", sign ? "-" : "", digits[i][0], digits[i] + 1,
					 firsts[j]);
				ret[count++] = parse(text);
			}
		}
	}
	return count;
}

static void
number_keys_sort_as_bytes(void **state) /* the engine knows only bytes */
{
	static struct number edges[1000];
	size_t count = edge_numbers(edges, sizeof edges / sizeof *edges);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		assert_round_trip(&edges[i]);
		for (size_t j = 0; j <= i; j++)
			assert_ordered(&edges[i], &edges[j]);
	}
	for (int i = 0; i < 100000; i++) {
		struct number a = random_number(), b = random_number();

		if (i % 3 == 0) { /* near each other */
			b = a;
			b.digits ^= 1 + random_bits() % 3;
			if (b.digits == 0 || b.digits % 10 == 0)
				continue;
		}
		assert_round_trip(&a);
		assert_ordered(&a, &b);
	}
}

static void
integers_sort_as_integers(void **state)
{
	struct number a, b;

	(void)state;
	for (int64_t i = -2000; i < 2000; i++) {
		number_from_int64(i, &a);
		number_from_int64(i + 1, &b);
		assert_ordered(&a, &b);
		assert_round_trip(&a);
	}
}

static void
malformed_encodings_are_refused(void **state)
{
	static const struct {
		size_t len;
		uint8_t bytes[24];
	} cases[] = {
	    {0, {0}},
	    {1, {0x80}},
	    {2, {0x7f, 0xff}},       /* minus zero */
	    {2, {0x81, 0x00}},       /* zero with another exponent */
	    {3, {0xc1, 0x01, 0x02}}, /* leading zero pair */
	    {3, {0xc1, 0x03, 0x00}}, /* trailing zero pair */
	    {2, {0xc1, 0xc8}},       /* pair 100 */
	    {2, {0xc1, 0x03}},       /* no end */
	    {3, {0xc1, 0x02, 0x02}}, /* bytes behind the end */
	    {2, {0x3e, 0x02}},       /* negative, no end */
	    {22, {0xc1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2}}, /* 21 pairs */
	    {21, {0xc1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2}},    /* 20 pairs, 39 digits */
	    {21, {0xc1, 23, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 20}},  /* 20 pairs, 39 digits */
	};
	struct number n;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		if (number_decode(slice_of(cases[i].bytes, cases[i].len), &n) != S_CORRUPT)
			fail_msg("case %zu was accepted", i);
	}
}

/* By the public measurements of the 400 KB limit, number by number. */
static void
number_sizes_are_those_of_the_service(void **state)
{
	static const struct {
		const char *text;
		int bytes;
		int digits;
	} cases[] = {
	    {"0", 1, 1},       {"-0", 1, 1},
	    {"1", 2, 1},       {"12", 2, 2},
	    {"123", 3, 3},     {"1234", 3, 4},
	    {"0042", 2, 2},    {"100", 2, 1},
	    {"1010", 3, 3},    {"0.0000001", 2, 1},
	    {"1E125", 2, 1},   {"1E-100", 2, 1},
	    {"1.5", 3, 2},     {"15", 2, 2},
	    {"1.200", 3, 2},   {"1.234", 4, 4},
	    {"3.14159", 5, 6}, {"123456", 4, 6},
	    {"100.5", 4, 4},   {"0.15", 2, 2},
	    {"-42", 3, 2},     {"12345678901234567890123456789012345678", 20, 38},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct number n = parse(cases[i].text);
		uint8_t bytes[NUMBER_ENCODED_MAX];
		struct slice encoded = encode(&n, bytes);

		if (number_encoded_size(encoded) != cases[i].bytes || number_encoded_digits(encoded) != cases[i].digits)
			fail_msg("%s: %d bytes, %d digits", cases[i].text, number_encoded_size(encoded),
				 number_encoded_digits(encoded));
	}
}

static void
hashed_bytes_are_those_of_the_service(void **state)
{
	static const struct {
		const char *text, *hex;
	} cases[] = {
	    {"0", "80"},
	    {"1", "c102"},
	    {"10", "c10b"},
	    {"101", "c20202"},
	    {"1234.5", "c20d2333"},
	    {"0.05", "c006"},
	    {"1E-130", "8002"},
	    {"-1", "3e6466"},
	    {"-0.5", "3f3366"},
	    {"-9E125", "000b66"},
	    {"12345678901234567890123456789012345678", "d30d23394f5b0d23394f5b0d23394f5b0d23394f"},
	    {"-12345678901234567890123456789012345678", "2c59432d170b59432d170b59432d170b59432d1766"},
	    /* twenty pairs: nothing behind them */
	    {"-1234567890123456789012345678901234567.8", "2c644e38220c644e38220c644e38220c644e382215"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct number n = parse(cases[i].text);
		uint8_t bytes[NUMBER_ENCODED_MAX], hashed[NUMBER_ENCODED_MAX];
		size_t len = number_hashed_bytes(encode(&n, bytes), hashed);
		char hex[2 * NUMBER_ENCODED_MAX + 1];

		for (size_t j = 0; j < len; j++)
			snprintf(hex + 2 * j, 3, "%02x", hashed[j]);
		assert_string_equal(hex, cases[i].hex);
	}
}

/* ---- arithmetic ---- */

static void
assert_sum(const struct number *a, const struct number *b)
{
	struct wide wide_a = wide_of(a), wide_b = wide_of(b), expected = wide_add(&wide_a, &wide_b), got;
	struct number sum;
	struct err err;
	enum status s = number_add(a, b, &sum, &err);
	int first, last;

	wide_span(&expected, &first, &last);
	if (first > last) {
		assert_int_equal(s, S_OK);
		assert_true(sum.digits == 0 && sum.exponent == 0 && !sum.negative);
	} else if (UNITS - first > 125 || last - first >= 38) {
		assert_int_equal(s, S_VALIDATION);
		assert_string_equal(err.message, OVERFLOW);
	} else if (UNITS - first < -130) {
		assert_int_equal(s, S_VALIDATION);
		assert_string_equal(err.message, UNDERFLOW);
	} else {
		assert_int_equal(s, S_OK);
		got = wide_of(&sum);
		assert_int_equal(wide_cmp(&got, &expected), 0);
		assert_round_trip(&sum);
	}
}

static void
sums_and_differences_are_exact(void **state)
{
	static struct number edges[1000];
	size_t count = edge_numbers(edges, sizeof edges / sizeof *edges);

	(void)state;
	for (size_t i = 0; i < count; i += 3) {
		for (size_t j = 0; j < count; j += 7)
			assert_sum(&edges[i], &edges[j]);
	}
	for (int i = 0; i < 30000; i++) {
		struct number a = random_number(), b = random_number(), minus, left, right;
		enum status s;

		assert_sum(&a, &b);
		minus = b;
		minus.negative = !b.negative && b.digits != 0;
		s = number_add(&a, &minus, &left, NULL);
		assert_int_equal(number_sub(&a, &b, &right, NULL), s);
		if (s == S_OK)
			assert_int_equal(number_cmp(&left, &right), 0);
	}
}

static void
a_result_of_39_digits_is_refused_not_rounded(void **state)
{
	struct number big = parse("1e50"), one = parse("1"), low = parse("10000000000000000000000"), sum;
	struct err err;

	(void)state;
	assert_int_equal(number_add(&big, &one, &sum, &err), S_VALIDATION);
	assert_string_equal(err.message, OVERFLOW);
	assert_int_equal(number_sub(&big, &one, &sum, &err), S_VALIDATION);
	assert_int_equal(number_sub(&low, &one, &sum, &err), S_OK);
	low = parse("9999999999999999999999");
	assert_int_equal(number_cmp(&sum, &low), 0);
	/* 39 digits in, 38 out */
	big = parse("1e38");
	assert_int_equal(number_sub(&big, &one, &sum, &err), S_OK);
	assert_int_equal(number_add(&sum, &one, &sum, &err), S_OK);
	assert_int_equal(number_cmp(&sum, &big), 0);
}

static void
int64_converts_both_ways(void **state)
{
	static const int64_t values[] = {0, 1, -1, 10, 1000000000000000000, INT64_MAX, INT64_MIN, INT64_MIN + 1, 42000};
	struct number n;
	int64_t back;

	(void)state;
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		number_from_int64(values[i], &n);
		assert_true(number_to_int64(&n, &back));
		assert_int_equal(back, values[i]);
		assert_round_trip(&n);
	}
	n = parse("9223372036854775808");
	assert_false(number_to_int64(&n, &back));
	n = parse("-9223372036854775809");
	assert_false(number_to_int64(&n, &back));
	n = parse("1.5");
	assert_false(number_to_int64(&n, &back));
	n = parse("1e125");
	assert_false(number_to_int64(&n, &back));
	n = parse("-9.223372036854775808e18");
	assert_true(number_to_int64(&n, &back) && back == INT64_MIN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(text_is_normalised),
	    cmocka_unit_test(the_ends_of_the_range_are_written_out),
	    cmocka_unit_test(what_is_no_number_is_refused_as_the_service_words_it),
	    cmocka_unit_test(what_does_not_fit_is_refused_as_the_service_words_it),
	    cmocka_unit_test(hostile_text_is_read_in_linear_time),
	    cmocka_unit_test(encodings_of_known_numbers_stay),
	    cmocka_unit_test(number_keys_sort_as_bytes),
	    cmocka_unit_test(integers_sort_as_integers),
	    cmocka_unit_test(malformed_encodings_are_refused),
	    cmocka_unit_test(number_sizes_are_those_of_the_service),
	    cmocka_unit_test(hashed_bytes_are_those_of_the_service),
	    cmocka_unit_test(sums_and_differences_are_exact),
	    cmocka_unit_test(a_result_of_39_digits_is_refused_not_rounded),
	    cmocka_unit_test(int64_converts_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
