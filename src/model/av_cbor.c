#include "model/av_cbor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/base64.h"
#include "codec/json.h"

#define BIG_BYTES_MAX 256 /* of a mantissa: 616 digits, far beyond what any number may have */
#define EXPONENT_MAX  100000
#define DEPTH_MAX     (AV_DEPTH_MAX + 8) /* a little deeper is passed on, so that the words are DynamoDB's */
#define INTEGER_MAX   38                 /* digits of what is written as an integer */

typedef unsigned __int128 u128;

static const char no_number[] = "a number was expected";

/* What DynamoDB answers with its words about magnitude. */
#define TOO_LARGE "1E9999"

/* --- numbers, reading --- */

static void
put_u64(struct buf *out, uint64_t value)
{
	char digits[20];
	int at = sizeof digits;

	do
		digits[--at] = (char)('0' + value % 10);
	while ((value /= 10) > 0);
	buf_put(out, digits + at, sizeof digits - (size_t)at);
}

/* Of an unsigned big-endian integer, plus `add` (0 or 1). */
static void
put_big(struct buf *out, struct slice bytes, unsigned add)
{
	uint32_t groups[BIG_BYTES_MAX * 8 / 29 + 2]; /* base 10^9, lowest first: more than 29 bits each */
	size_t count = 1;

	groups[0] = 0;
	for (size_t i = 0; i <= bytes.len; i++) { /* the last round only adds */
		bool last = i == bytes.len;
		uint64_t carry = last ? add : (uint8_t)bytes.data[i];

		for (size_t j = 0; j < count; j++) {
			carry += (uint64_t)groups[j] * (last ? 1 : 256);
			groups[j] = (uint32_t)(carry % 1000000000);
			carry /= 1000000000;
		}
		if (carry > 0)
			groups[count++] = (uint32_t)carry;
	}
	buf_printf(out, "%u", groups[--count]);
	while (count > 0)
		buf_printf(out, "%09u", groups[--count]);
}

/* UINT, NEGATIVE, or tag 2 or 3 with bytes. False: larger than any number; nothing is appended. */
static bool
put_integer(struct cbor_reader *r, struct buf *out)
{
	enum cbor_kind kind = cbor_peek(r);
	uint64_t tag, magnitude;
	struct slice bytes;

	if (kind == CBOR_UINT || kind == CBOR_NEGATIVE) {
		magnitude = cbor_magnitude(r);
		if (kind == CBOR_UINT) {
			put_u64(out, magnitude);
		} else if (magnitude == UINT64_MAX) {
			buf_put_lit(out, "-18446744073709551616");
		} else {
			buf_put_byte(out, '-');
			put_u64(out, magnitude + 1);
		}
		return true;
	}
	tag = kind == CBOR_TAG ? cbor_tag(r) : 0;
	if (tag != 2 && tag != 3) {
		cbor_fail(r, no_number);
		return true;
	}
	bytes = cbor_bytes(r);
	if (cbor_failed(r))
		return true;
	while (bytes.len > 0 && bytes.data[0] == 0) {
		bytes.data++;
		bytes.len--;
	}
	if (bytes.len > BIG_BYTES_MAX)
		return false;
	if (tag == 3)
		buf_put_byte(out, '-');
	put_big(out, bytes, tag == 3);
	return true;
}

/* An exponent, not beyond ±EXPONENT_MAX: what is that large or small is all the same. */
static int64_t
read_exponent(struct cbor_reader *r)
{
	bool negative = cbor_peek(r) == CBOR_NEGATIVE;
	uint64_t magnitude = cbor_magnitude(r);

	if (magnitude > EXPONENT_MAX)
		magnitude = EXPONENT_MAX;
	return negative ? -1 - (int64_t)magnitude : (int64_t)magnitude;
}

static void
put_decimal(struct cbor_reader *r, struct buf *out)
{
	struct cbor_items items = cbor_array(r);
	int64_t exponent = 0;
	size_t start = out->len;

	if (cbor_next(r, &items))
		exponent = read_exponent(r);
	if (!cbor_next(r, &items)) {
		cbor_fail(r, no_number);
		return;
	}
	if (!put_integer(r, out)) {
		out->len = start;
		buf_put_lit(out, TOO_LARGE);
	} else if (exponent != 0) {
		buf_printf(out, "E%lld", (long long)exponent);
	}
	if (cbor_next(r, &items))
		cbor_fail(r, no_number);
}

/* The shortest text that reads back as the same double: what the client's application wrote. */
static void
put_double(struct cbor_reader *r, struct buf *out)
{
	double value = cbor_float(r);
	char text[40];

	if (cbor_failed(r))
		return;
	if (!isfinite(value)) {
		cbor_fail(r, "a number is infinite or none");
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	buf_put(out, text, strlen(text));
}

void
number_read_cbor(struct cbor_reader *r, struct buf *out)
{
	struct cbor_reader ahead;

	switch (cbor_peek(r)) {
	case CBOR_FLOAT:
		put_double(r, out);
		return;
	case CBOR_TAG:
		ahead = *r;
		if (cbor_tag(&ahead) == 4) {
			*r = ahead;
			put_decimal(r, out);
			return;
		}
		break;
	default:
		break;
	}
	if (!put_integer(r, out))
		buf_put_lit(out, TOO_LARGE);
}

/* --- numbers, writing --- */

static int
count_digits(u128 value)
{
	int count = 0;

	for (; value > 0; value /= 10)
		count++;
	return count;
}

static void
put_u128(struct buf *out, enum cbor_major major, u128 value)
{
	uint8_t bytes[16];
	int at = sizeof bytes;

	if (value <= INT64_MAX) { /* readers that know 64 bits know a sign within them */
		cbor_put_head(out, major, (uint64_t)value);
		return;
	}
	for (; value > 0; value >>= 8)
		bytes[--at] = (uint8_t)value;
	cbor_put_head(out, CBOR_M_TAG, major == CBOR_M_UINT ? 2 : 3);
	cbor_put_bytes(out, slice_of(bytes + at, sizeof bytes - (size_t)at));
}

static void
put_signed(struct buf *out, bool negative, u128 digits)
{
	if (negative && digits > 0)
		put_u128(out, CBOR_M_NEGATIVE, digits - 1);
	else
		put_u128(out, CBOR_M_UINT, digits);
}

/* Spell an integer out when it has at most INTEGER_MAX digits. */
static void
spell_out(struct number *n)
{
	if (n->exponent <= 0 || count_digits(n->digits) + n->exponent > INTEGER_MAX)
		return;
	for (; n->exponent > 0; n->exponent--)
		n->digits *= 10;
}

void
number_write_cbor(struct buf *out, struct slice encoded)
{
	struct number n;

	if (number_decode(encoded, &n) != S_OK)
		n = (struct number){0}; /* not reached: encodings are made by us or were checked */
	spell_out(&n);
	if (n.exponent != 0) {
		cbor_put_head(out, CBOR_M_TAG, 4);
		cbor_put_array(out, 2);
		cbor_put_int(out, n.exponent);
	}
	put_signed(out, n.negative, n.digits);
}

/* --- LexDecimal --- */

enum {
	LEX_ZERO = 0x80,
	LEX_ZERO_TOO = 0x7f,
	LEX_POSITIVE = 0xc0, /* + place of the decimal point */
	LEX_NEGATIVE = 0x3f, /* - place of the decimal point */
	LEX_POSITIVE_LARGE = 0xfe,
	LEX_POSITIVE_SMALL = 0x81,
	LEX_NEGATIVE_LARGE = 0x01,
	LEX_NEGATIVE_SMALL = 0x7e,
	LEX_PLACE_MIN = -62,
	LEX_PLACE_MAX = 61,
	LEX_CODE_BITS = 10,
	LEX_OFFSET = 12, /* below it terminators */
	LEX_CODES = 1024,
};

/* Where the decimal point stands, and the sign. False: no head of a number other than zero. */
static bool
lex_read_head(struct slice *bytes, bool *ret_negative, int64_t *ret_place)
{
	const uint8_t *at = (const uint8_t *)bytes->data;
	uint8_t first = at[0];
	uint32_t wide = 0;

	*ret_negative = first < LEX_ZERO_TOO;
	if (first == LEX_POSITIVE_LARGE || first == LEX_POSITIVE_SMALL || first == LEX_NEGATIVE_LARGE ||
	    first == LEX_NEGATIVE_SMALL) {
		if (bytes->len < 5)
			return false;
		for (int i = 1; i <= 4; i++)
			wide = wide << 8 | at[i];
		*ret_place = (int32_t)(wide ^ (*ret_negative ? 0x7fffffffu : 0x80000000u));
		bytes->data += 5;
		bytes->len -= 5;
		return true;
	}
	if (first == 0 || first == 0xff || first == LEX_ZERO)
		return false;
	*ret_place = *ret_negative ? LEX_NEGATIVE - first : first - LEX_POSITIVE;
	bytes->data++;
	bytes->len--;
	return true;
}

bool
lexdecimal_read(struct slice bytes, struct buf *out)
{
	const uint8_t *at;
	uint32_t bits = 0;
	int bit_count = 0;
	size_t digits;
	bool negative;
	int64_t place;

	if (bytes.len == 0)
		return false;
	if ((uint8_t)bytes.data[0] == LEX_ZERO || (uint8_t)bytes.data[0] == LEX_ZERO_TOO) {
		buf_put_byte(out, '0');
		return bytes.len == 1;
	}
	if (!lex_read_head(&bytes, &negative, &place))
		return false;
	if (negative)
		buf_put_byte(out, '-');
	digits = out->len;
	at = (const uint8_t *)bytes.data;
	for (size_t i = 0; i < bytes.len; i++) {
		unsigned code, group;

		bits = (bits << 8 | at[i]) & 0xffffff;
		bit_count += 8;
		if (bit_count < LEX_CODE_BITS)
			continue;
		bit_count -= LEX_CODE_BITS;
		code = bits >> bit_count & (LEX_CODES - 1);
		group = negative ? LEX_CODES - 1 - code : code; /* terminators are 0, 1, 2 now, digits 12 and more */
		if (group <= 2) {
			size_t zeros = 2 - group;

			if (out->len < digits + 3 || i + 1 != bytes.len || (bits & ((1u << bit_count) - 1)) != 0)
				return false;
			out->len -= zeros;
			buf_printf(out, "E%lld", (long long)(place - (int64_t)(out->len - digits)));
			return true;
		}
		if (group < LEX_OFFSET || group - LEX_OFFSET > 999)
			return false;
		buf_printf(out, "%03u", group - LEX_OFFSET);
	}
	return false;
}

static void
lex_put_head(struct buf *out, bool negative, int place)
{
	if (place >= LEX_PLACE_MIN && place <= LEX_PLACE_MAX) {
		buf_put_byte(out, (uint8_t)(negative ? LEX_NEGATIVE - place : LEX_POSITIVE + place));
		return;
	}
	if (negative)
		buf_put_byte(out, place > 0 ? LEX_NEGATIVE_LARGE : LEX_NEGATIVE_SMALL);
	else
		buf_put_byte(out, place > 0 ? LEX_POSITIVE_LARGE : LEX_POSITIVE_SMALL);
	buf_put_be32(out, (uint32_t)place ^ (negative ? 0x7fffffffu : 0x80000000u));
}

void
lexdecimal_write(struct buf *out, struct slice encoded)
{
	char digits[INTEGER_MAX + 3];
	struct number n;
	int count, zeros;
	uint32_t bits = 0;
	int bit_count = 0;

	if (number_decode(encoded, &n) != S_OK || n.digits == 0) {
		buf_put_byte(out, LEX_ZERO);
		return;
	}
	spell_out(&n);
	count = count_digits(n.digits);
	lex_put_head(out, n.negative, count + n.exponent);
	for (int i = count; i > 0; i--, n.digits /= 10)
		digits[i - 1] = (char)(n.digits % 10);
	zeros = (3 - count % 3) % 3;
	memset(digits + count, 0, (size_t)zeros);
	for (int i = 0; i <= count + zeros; i += 3) {
		unsigned code = i == count + zeros
				    ? 2 - (unsigned)zeros
				    : (unsigned)(digits[i] * 100 + digits[i + 1] * 10 + digits[i + 2]) + LEX_OFFSET;

		bits = bits << LEX_CODE_BITS | (n.negative ? LEX_CODES - 1 - code : code);
		for (bit_count += LEX_CODE_BITS; bit_count >= 8; bit_count -= 8)
			buf_put_byte(out, (uint8_t)(bits >> (bit_count - 8)));
	}
	if (bit_count > 0)
		buf_put_byte(out, (uint8_t)(bits << (8 - bit_count)));
}

/* --- values --- */

static void
put_base64(struct buf *out, struct slice bytes)
{
	buf_put_byte(out, '"');
	base64_put(out, bytes);
	buf_put_byte(out, '"');
}

static void
put_number(struct cbor_reader *r, struct buf *out)
{
	buf_put_byte(out, '"');
	number_read_cbor(r, out);
	buf_put_byte(out, '"');
}

static void
put_set(struct cbor_reader *r, uint64_t tag, struct buf *out)
{
	static const char *const names[] = {"{\"SS\":[", "{\"NS\":[", "{\"BS\":["};
	const char *comma = "";
	struct cbor_items items;

	if (tag < CBOR_TAG_STRING_SET || tag > CBOR_TAG_BINARY_SET) {
		cbor_fail(r, "an attribute value has an unknown tag");
		return;
	}
	buf_put(out, names[tag - CBOR_TAG_STRING_SET], 7);
	items = cbor_array(r);
	while (cbor_next(r, &items)) {
		buf_put(out, comma, strlen(comma));
		comma = ",";
		if (tag == CBOR_TAG_STRING_SET)
			json_put_string(out, cbor_text(r));
		else if (tag == CBOR_TAG_NUMBER_SET)
			put_number(r, out);
		else
			put_base64(out, cbor_bytes(r));
	}
	buf_put_lit(out, "]}");
}

static void put_value(struct cbor_reader *r, struct buf *out, int depth);

static void
put_list(struct cbor_reader *r, struct buf *out, int depth)
{
	struct cbor_items items = cbor_array(r);
	const char *comma = "";

	buf_put_lit(out, "{\"L\":[");
	while (cbor_next(r, &items)) {
		buf_put(out, comma, strlen(comma));
		comma = ",";
		put_value(r, out, depth + 1);
	}
	buf_put_lit(out, "]}");
}

static void
put_map(struct cbor_reader *r, struct buf *out, int depth)
{
	struct cbor_items items = cbor_map(r);
	const char *comma = "";

	buf_put_lit(out, "{\"M\":{");
	while (cbor_next(r, &items)) {
		buf_put(out, comma, strlen(comma));
		comma = ",";
		json_put_string(out, cbor_text(r));
		buf_put_byte(out, ':');
		put_value(r, out, depth + 1);
	}
	buf_put_lit(out, "}}");
}

static void
put_tagged(struct cbor_reader *r, struct buf *out)
{
	struct cbor_reader ahead = *r;
	uint64_t tag = cbor_tag(&ahead);

	if (tag >= 2 && tag <= 4) {
		buf_put_lit(out, "{\"N\":");
		put_number(r, out);
		buf_put_byte(out, '}');
		return;
	}
	*r = ahead;
	put_set(r, tag, out);
}

static void
put_value(struct cbor_reader *r, struct buf *out, int depth)
{
	if (depth > DEPTH_MAX) {
		cbor_fail(r, "Nesting Levels have exceeded supported limits");
		return;
	}
	switch (cbor_peek(r)) {
	case CBOR_TEXT:
		buf_put_lit(out, "{\"S\":");
		json_put_string(out, cbor_text(r));
		break;
	case CBOR_BYTES:
		buf_put_lit(out, "{\"B\":");
		put_base64(out, cbor_bytes(r));
		break;
	case CBOR_UINT:
	case CBOR_NEGATIVE:
	case CBOR_FLOAT:
		buf_put_lit(out, "{\"N\":");
		put_number(r, out);
		break;
	case CBOR_TRUE:
	case CBOR_FALSE:
		if (cbor_bool(r))
			buf_put_lit(out, "{\"BOOL\":true");
		else
			buf_put_lit(out, "{\"BOOL\":false");
		break;
	case CBOR_NULL:
		(void)cbor_take_null(r);
		buf_put_lit(out, "{\"NULL\":true");
		break;
	case CBOR_TAG:
		put_tagged(r, out);
		return;
	case CBOR_ARRAY:
		put_list(r, out, depth);
		return;
	case CBOR_MAP:
		put_map(r, out, depth);
		return;
	default:
		cbor_fail(r, "an attribute value was expected");
		return;
	}
	buf_put_byte(out, '}');
}

void
av_cbor_to_json(struct cbor_reader *r, struct buf *out)
{
	put_value(r, out, 0);
}

static void
write_element(struct buf *out, uint8_t tag, struct slice element)
{
	if (tag == TAG_SS)
		cbor_put_text(out, element);
	else if (tag == TAG_NS)
		number_write_cbor(out, element);
	else
		cbor_put_bytes(out, element);
}

static void
write_container(struct buf *out, struct av value)
{
	struct av_iter it = av_iter(value);

	if (it.tag == TAG_M)
		cbor_put_map(out, av_count(value));
	else
		cbor_put_array(out, av_count(value));
	while (av_next(&it)) {
		if (it.tag == TAG_M)
			cbor_put_text(out, it.name);
		av_write_cbor(out, it.value);
	}
}

static void
write_set(struct buf *out, struct av value)
{
	struct av_iter it = av_iter(value);

	cbor_put_head(out, CBOR_M_TAG, (uint64_t)(CBOR_TAG_STRING_SET + (it.tag - TAG_SS)));
	cbor_put_array(out, av_count(value));
	while (av_next(&it))
		write_element(out, it.tag, it.element);
}

void
av_write_cbor(struct buf *out, struct av value)
{
	switch (value.data[0]) {
	case TAG_NULL:
		cbor_put_null(out);
		break;
	case TAG_TRUE:
	case TAG_FALSE:
		cbor_put_bool(out, av_is_true(value));
		break;
	case TAG_N:
		number_write_cbor(out, av_bytes(value));
		break;
	case TAG_S:
		cbor_put_text(out, av_bytes(value));
		break;
	case TAG_B:
		cbor_put_bytes(out, av_bytes(value));
		break;
	case TAG_SS:
	case TAG_NS:
	case TAG_BS:
		write_set(out, value);
		break;
	default:
		write_container(out, value); /* av_check() and the readers bound the depth */
		break;
	}
}
