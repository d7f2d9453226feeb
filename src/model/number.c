/*
 * The encoding (docs/formats/number.md): one byte of sign and exponent, then the digits in pairs, counted from the
 * decimal point, as 2 * pair + 1, the last one as 2 * pair. All bytes inverted for a negative number. Zero is 80 00.
 */
#include "model/number.h"

#include "base/wording.h"

typedef unsigned __int128 u128;

#define EXPONENT_MAX      125 /* of the first digit: 9.99E125 */
#define EXPONENT_MIN      (-130)
#define PAIR_EXPONENT_MIN (-65) /* of the first pair */
#define PAIRS_MAX         20    /* 38 digits that begin and end in the middle of a pair */
#define POSITIVE          0x80
#define E18               1000000000000000000u
#define E9                1000000000u

static const char *const overflow_text =
    "Number overflow. Attempting to store a number with magnitude larger than supported range";
static const char *const underflow_text =
    "Number underflow. Attempting to store a number with magnitude smaller than supported range";

static const uint64_t pow10_small[20] = {1u,
					 10u,
					 100u,
					 1000u,
					 10000u,
					 100000u,
					 1000000u,
					 10000000u,
					 100000000u,
					 1000000000u,
					 10000000000u,
					 100000000000u,
					 1000000000000u,
					 10000000000000u,
					 100000000000000u,
					 1000000000000000u,
					 10000000000000000u,
					 100000000000000000u,
					 1000000000000000000u,
					 10000000000000000000u};

static const char digit_pairs[200] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
				     "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
				     "8081828384858687888990919293949596979899";

/* 10^n, n <= 38 */
static u128
pow10_of(unsigned n)
{
	return n < 20 ? (u128)pow10_small[n] : (u128)pow10_small[19] * pow10_small[n - 19];
}

static int
digit_count(u128 v)
{
	unsigned bits, guess;

	if (v >> 64)
		bits = 128 - (unsigned)__builtin_clzll((uint64_t)(v >> 64));
	else
		bits = 64 - (unsigned)__builtin_clzll((uint64_t)v | 1);
	guess = bits * 1233 >> 12; /* log10(2): right or one too few */
	return (int)guess + (v >= pow10_of(guess));
}

static void
strip_zeros(u128 *digits, int64_t *exponent)
{
	uint64_t low;

	while (*digits >> 64) {
		u128 tenth = *digits / 10;

		if ((uint64_t)*digits != (uint64_t)tenth * 10)
			return;
		*digits = tenth;
		*exponent += 1;
	}
	low = (uint64_t)*digits;
	while (low >= 100000000u && low % 100000000u == 0) {
		low /= 100000000u;
		*exponent += 8;
	}
	while (low % 10 == 0) {
		low /= 10;
		*exponent += 1;
	}
	*digits = low;
}

/* ---- reading text ---- */

static enum status
not_numeric(struct slice text, struct err *err)
{
	if (text.len == 0)
		return err_set(err, S_VALIDATION, "%s", wording(W_NUMBER_EMPTY));
	/* the message holds 2 KiB at most anyway; a %.*s takes an int */
	if (text.len > ERR_MESSAGE_MAX)
		text.len = ERR_MESSAGE_MAX;
	return err_set(err, S_VALIDATION, "The parameter cannot be converted to a numeric value: %.*s",
		       SLICE_ARG(text));
}

/* What was read so far, before it is known whether it fits. */
struct reading {
	u128 digits;   /* the first 38 significant digits, without trailing zeros */
	int64_t count; /* significant digits seen, without trailing zeros; may exceed 38 */
	int64_t zeros; /* zeros behind them, not yet known to be significant */
	int64_t
	    point; /* digits of text behind the first significant one and before the point; negative: zeros after it */
	int64_t exponent; /* as written, clamped */
	bool any;         /* a digit was there */
	bool negative;
};

static void
take_digit(struct reading *r, unsigned digit)
{
	if (digit == 0) {
		r->zeros++;
		return;
	}
	r->count += r->zeros + 1;
	if (r->count <= NUMBER_DIGITS_MAX)
		r->digits = r->digits * pow10_of((unsigned)r->zeros + 1) + digit;
	r->zeros = 0;
}

static const char *
take_digits(struct reading *r, const char *at, const char *end, bool fraction)
{
	const char *start = at;

	for (; at < end && (uint8_t)(*at - '0') < 10; at++) {
		if (r->count == 0 && *at == '0') { /* leading zeros */
			r->point -= fraction;
			continue;
		}
		r->point += !fraction;
		take_digit(r, (unsigned)(*at - '0'));
	}
	r->any |= at > start;
	return at;
}

/* Behind the 'e'. False when there are no digits or they do not fit 64 bits, as the service has it. */
static bool
take_exponent(struct reading *r, const char *at, const char *end)
{
	bool negative = at < end && *at == '-';
	uint64_t value = 0;

	if (at < end && (*at == '-' || *at == '+'))
		at++;
	if (at == end)
		return false;
	for (; at < end; at++) {
		uint8_t digit = (uint8_t)(*at - '0');

		if (digit > 9 || value > (uint64_t)INT64_MAX / 10)
			return false;
		value = value * 10 + digit;
		if (value > (uint64_t)INT64_MAX + negative)
			return false;
	}
	if (value >
	    (uint64_t)1 << 40) /* far out of range with any text in front of it; keeps the sums below in range */
		value = (uint64_t)1 << 40;
	r->exponent = negative ? -(int64_t)value : (int64_t)value;
	return true;
}

static bool
read_text(struct slice text, struct reading *r)
{
	const char *at = text.data, *end = text.data + text.len;

	if (at < end && (*at == '-' || *at == '+'))
		r->negative = *at++ == '-';
	at = take_digits(r, at, end, false);
	if (at < end && *at == '.')
		at = take_digits(r, at + 1, end, true);
	if (!r->any)
		return false;
	if (at == end)
		return true;
	return (*at == 'e' || *at == 'E') && take_exponent(r, at + 1, end);
}

/* The exponent of the first digit decides, before the count of digits does. */
static enum status
check_range(int64_t first_exponent, struct err *err)
{
	if (first_exponent > EXPONENT_MAX)
		return err_set(err, S_VALIDATION, "%s", overflow_text);
	if (first_exponent < EXPONENT_MIN)
		return err_set(err, S_VALIDATION, "%s", underflow_text);
	return S_OK;
}

/* Most numbers: at most 18 digits, a sign, a point. False when it is anything else. */
static bool
parse_short(struct slice text, struct number *ret)
{
	const char *at = text.data, *end = at + text.len, *point = NULL;
	bool negative = text.len > 0 && *at == '-';
	int64_t exponent = 0;
	uint64_t value = 0;
	u128 digits;

	at += negative;
	if (at == end || end - at > 18)
		return false;
	for (; at < end; at++) {
		uint8_t digit = (uint8_t)(*at - '0');

		if (digit <= 9)
			value = value * 10 + digit;
		else if (*at == '.' && point == NULL)
			point = at;
		else
			return false;
	}
	if (value == 0) { /* also "." and "-.", which are no numbers */
		*ret = (struct number){0, 0, false};
		return point == NULL;
	}
	if (point != NULL)
		exponent = -(int64_t)(end - point - 1);
	digits = value;
	strip_zeros(&digits, &exponent);
	*ret = (struct number){digits, (int16_t)exponent, negative};
	return true;
}

enum status
number_parse(struct slice text, struct number *ret, struct err *err)
{
	struct reading r = {0};
	int64_t first;
	enum status s;

	if (parse_short(text, ret))
		return S_OK;
	if (!read_text(text, &r))
		return not_numeric(text, err);
	first =
	    r.count == 0 ? r.exponent : r.exponent + r.point - 1; /* zero counts as it is written: 0e126 is too large */
	s = check_range(first, err);
	if (s != S_OK)
		return s;
	if (r.count > NUMBER_DIGITS_MAX)
		return err_set(err, S_VALIDATION, "Attempting to store more than 38 significant digits in a Number");
	if (r.count == 0)
		*ret = (struct number){0, 0, false};
	else
		*ret = (struct number){r.digits, (int16_t)(first - r.count + 1), r.negative};
	return S_OK;
}

/* ---- the encoding ---- */

/* Writes the pairs of v backwards, so that they end at `to`; v is at most 18 digits. width: pairs wanted, 0: as many as
 * needed. */
static uint8_t *
pairs_backwards(uint8_t *to, uint64_t v, int width)
{
	uint8_t *end = to;

	while (v > 0 || end - to < width) {
		*--to = (uint8_t)(v % 100 * 2 + 1);
		v /= 100;
	}
	return to;
}

size_t
number_encode(const struct number *n, uint8_t ret[NUMBER_ENCODED_MAX])
{
	uint8_t pairs[PAIRS_MAX + 2], *end = pairs + sizeof pairs, *first = end;
	u128 digits = n->digits;
	int exponent = n->exponent;
	size_t count;

	if (digits == 0) {
		ret[0] = POSITIVE;
		ret[1] = 0;
		return 2;
	}
	if (exponent & 1) { /* the last pair is a digit and a zero */
		*--first = (uint8_t)((unsigned)(digits % 10) * 20 + 1);
		digits /= 10;
		exponent--;
	}
	while (digits >= E18) {
		first = pairs_backwards(first, (uint64_t)(digits % E18), 9);
		digits /= E18;
	}
	first = pairs_backwards(first, (uint64_t)digits, 0);
	end[-1] &= 0xfe;
	count = (size_t)(end - first);
	ret[0] = (uint8_t)(POSITIVE + exponent / 2 + (int)count - 1 - PAIR_EXPONENT_MIN);
	memcpy(ret + 1, first, count);
	if (n->negative) {
		for (size_t i = 0; i <= count; i++)
			ret[i] = (uint8_t)~ret[i];
	}
	return count + 1;
}

size_t
number_encode_text(struct slice text, uint8_t ret[NUMBER_ENCODED_MAX], struct err *err)
{
	struct number n;

	return number_parse(text, &n, err) == S_OK ? number_encode(&n, ret) : 0;
}

size_t
number_encoded_length(struct slice bytes)
{
	const uint8_t *at = (const uint8_t *)bytes.data;
	size_t most = bytes.len < PAIRS_MAX + 1 ? bytes.len : PAIRS_MAX + 1;
	uint8_t last; /* the low bit of the last pair's byte */

	if (bytes.len == 0)
		return 0;
	last = at[0] & POSITIVE ? 0 : 1;
	for (size_t i = 1; i < most; i++) {
		if ((at[i] & 1) == last)
			return i + 1;
	}
	return 0;
}

enum status
number_decode(struct slice encoded, struct number *ret)
{
	const uint8_t *at = (const uint8_t *)encoded.data;
	size_t len = number_encoded_length(encoded);
	uint8_t flip;
	u128 digits = 0;
	int64_t exponent = 0;

	if (len == 0 || len != encoded.len)
		return S_CORRUPT;
	flip = at[0] & POSITIVE ? 0 : 0xff;
	if (len == 2 && at[0] == POSITIVE && at[1] == 0) {
		*ret = (struct number){0, 0, false};
		return S_OK;
	}
	for (size_t i = 1; i < len; i++) {
		unsigned pair = (uint8_t)(at[i] ^ flip) >> 1;

		if (pair > 99 || (pair == 0 && (i == 1 || i == len - 1)))
			return S_CORRUPT;
		if (i == PAIRS_MAX) { /* 40 digits do not fit; here only 38 of them may be */
			if (pair % 10 != 0 || digits >= pow10_of(37))
				return S_CORRUPT;
			digits = digits * 10 + pair / 10;
			exponent = 1;
		} else {
			digits = digits * 100 + pair;
			exponent = 0;
		}
	}
	exponent += 2 * ((int64_t)(uint8_t)(at[0] ^ flip) - POSITIVE + PAIR_EXPONENT_MIN - ((int64_t)len - 2));
	strip_zeros(&digits, &exponent);
	if (digit_count(digits) > NUMBER_DIGITS_MAX)
		return S_CORRUPT;
	*ret = (struct number){digits, (int16_t)exponent, flip != 0};
	return S_OK;
}

/* The digits as text without the zeros around them; *ret_first: exponent of the first. len >= 2, not zero. */
static int
encoded_digits(const uint8_t *at, size_t len, char digits[2 * PAIRS_MAX], int *ret_first)
{
	uint8_t flip = at[0] & POSITIVE ? 0 : 0xff;
	unsigned first_pair = (uint8_t)(at[1] ^ flip) >> 1;
	int count = 0;

	*ret_first = 2 * ((uint8_t)(at[0] ^ flip) - POSITIVE + PAIR_EXPONENT_MIN) + (first_pair >= 10);
	if (first_pair >= 10)
		digits[count++] = digit_pairs[2 * first_pair];
	digits[count++] = digit_pairs[2 * first_pair + 1];
	for (size_t i = 2; i < len; i++, count += 2)
		memcpy(digits + count, digit_pairs + ((at[i] ^ flip) & 0xfe), 2);
	return digits[count - 1] == '0' ? count - 1 : count;
}

size_t
number_format_encoded(struct slice encoded, char ret[NUMBER_TEXT_MAX])
{
	const uint8_t *at = (const uint8_t *)encoded.data;
	char digits[2 * PAIRS_MAX], *to = ret;
	int count, first;

	if (at[0] == POSITIVE && at[1] == 0) {
		*ret = '0';
		return 1;
	}
	count = encoded_digits(at, encoded.len, digits, &first);
	if (!(at[0] & POSITIVE))
		*to++ = '-';
	if (first < 0) {
		*to++ = '0';
		*to++ = '.';
		memset(to, '0', (size_t)(-first - 1));
		to += -first - 1;
		memcpy(to, digits, (size_t)count);
		return (size_t)(to + count - ret);
	}
	if (count <= first + 1) {
		memcpy(to, digits, (size_t)count);
		memset(to + count, '0', (size_t)(first + 1 - count));
		return (size_t)(to + first + 1 - ret);
	}
	memcpy(to, digits, (size_t)first + 1);
	to += first + 1;
	*to++ = '.';
	memcpy(to, digits + first + 1, (size_t)(count - first - 1));
	return (size_t)(to + count - first - 1 - ret);
}

size_t
number_format(const struct number *n, char ret[NUMBER_TEXT_MAX])
{
	uint8_t encoded[NUMBER_ENCODED_MAX];

	return number_format_encoded(slice_of(encoded, number_encode(n, encoded)), ret);
}

int
number_encoded_digits(struct slice encoded)
{
	const uint8_t *at = (const uint8_t *)encoded.data;
	char digits[2 * PAIRS_MAX];
	int first;

	if (at[0] == POSITIVE && at[1] == 0)
		return 1;
	return encoded_digits(at, encoded.len, digits, &first);
}

int
number_encoded_size(struct slice encoded)
{
	const uint8_t *at = (const uint8_t *)encoded.data;

	if (at[0] == POSITIVE && at[1] == 0)
		return 1;
	return (int)encoded.len + !(at[0] & POSITIVE);
}

/*
 * One byte for each pair, as in the encoding: a pair + 1, of a negative number 101 - pair, and behind a negative
 * number's last pair 102 while there is room for more. Zero is its first byte alone.
 */
size_t
number_hashed_bytes(struct slice encoded, uint8_t ret[NUMBER_ENCODED_MAX])
{
	const uint8_t *at = (const uint8_t *)encoded.data;
	bool negative = !(at[0] & POSITIVE);
	size_t len = encoded.len;

	ret[0] = at[0];
	if (at[0] == POSITIVE && at[1] == 0)
		return 1;
	for (size_t i = 1; i < len; i++)
		ret[i] = negative ? (uint8_t)(101 - ((uint8_t)~at[i] >> 1)) : (uint8_t)((at[i] >> 1) + 1);
	if (negative && len - 1 < PAIRS_MAX)
		ret[len++] = 102;
	return len;
}

/* ---- comparing and arithmetic ---- */

int
number_cmp(const struct number *a, const struct number *b)
{
	uint8_t left[NUMBER_ENCODED_MAX], right[NUMBER_ENCODED_MAX];
	size_t left_len = number_encode(a, left), right_len = number_encode(b, right);

	return slice_cmp(slice_of(left, left_len), slice_of(right, right_len));
}

static enum status
finish(u128 digits, int64_t exponent, bool negative, struct number *ret, struct err *err)
{
	int count;
	enum status s;

	if (digits == 0) {
		*ret = (struct number){0, 0, false};
		return S_OK;
	}
	strip_zeros(&digits, &exponent);
	count = digit_count(digits);
	s = check_range(exponent + count - 1, err);
	if (s != S_OK)
		return s;
	if (count > NUMBER_DIGITS_MAX)
		return err_set(err, S_VALIDATION, "%s", overflow_text); /* the service words it so */
	*ret = (struct number){digits, (int16_t)exponent, negative};
	return S_OK;
}

enum status
number_add(const struct number *a, const struct number *b, struct number *ret, struct err *err)
{
	u128 limit = 2 * pow10_of(38), high, low;
	unsigned apart;

	if (a->digits == 0 || b->digits == 0) {
		*ret = a->digits == 0 ? *b : *a;
		return S_OK;
	}
	if (a->exponent < b->exponent) {
		const struct number *swap = a;

		a = b;
		b = swap;
	}
	apart = (unsigned)(a->exponent - b->exponent);
	/*
	 * Above this limit the result has more than 38 digits whatever b is: b's last digit stays the last of the sum.
	 * Below it nothing overflows 128 bits.
	 */
	if (apart > 38 || a->digits > limit / pow10_of(apart))
		return err_set(err, S_VALIDATION, "%s", overflow_text);
	high = a->digits * pow10_of(apart);
	low = b->digits;
	if (a->negative == b->negative)
		return finish(high + low, b->exponent, a->negative, ret, err);
	if (high >= low)
		return finish(high - low, b->exponent, a->negative, ret, err);
	return finish(low - high, b->exponent, b->negative, ret, err);
}

enum status
number_sub(const struct number *a, const struct number *b, struct number *ret, struct err *err)
{
	struct number minus_b = *b;

	minus_b.negative = !b->negative && b->digits != 0;
	return number_add(a, &minus_b, ret, err);
}

bool
number_to_int64(const struct number *n, int64_t *ret)
{
	uint64_t limit = (uint64_t)INT64_MAX + n->negative, value;

	if (n->exponent < 0 || n->exponent > 18 || n->digits > limit / pow10_small[n->exponent])
		return false;
	value = (uint64_t)n->digits * pow10_small[n->exponent];
	*ret = n->negative ? (int64_t)(0 - value) : (int64_t)value;
	return true;
}

void
number_from_int64(int64_t v, struct number *ret)
{
	u128 digits = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	int64_t exponent = 0;

	if (v != 0)
		strip_zeros(&digits, &exponent);
	*ret = (struct number){digits, (int16_t)exponent, v < 0};
}
