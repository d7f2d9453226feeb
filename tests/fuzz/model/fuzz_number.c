/* Any text and any bytes: what is accepted is in normal form and goes through every way and back. */
#include <stdlib.h>

#include "model/number.h"

#define REQUIRE(what)                                                                                                  \
	do {                                                                                                           \
		if (!(what))                                                                                           \
			abort();                                                                                       \
	} while (0)

static void
check_number(const struct number *n)
{
	uint8_t encoded[NUMBER_ENCODED_MAX], again[NUMBER_ENCODED_MAX];
	char text[NUMBER_TEXT_MAX];
	size_t len = number_encode(n, encoded), text_len = number_format(n, text);
	struct number back;

	REQUIRE(n->digits == 0 ? n->exponent == 0 && !n->negative : n->digits % 10 != 0);
	REQUIRE(len <= NUMBER_ENCODED_MAX && text_len <= NUMBER_TEXT_MAX);
	REQUIRE(number_encoded_length(slice_of(encoded, len)) == len);
	REQUIRE(number_decode(slice_of(encoded, len), &back) == S_OK && number_cmp(n, &back) == 0);
	REQUIRE(number_parse(slice_of(text, text_len), &back, NULL) == S_OK);
	REQUIRE(number_encode(&back, again) == len && memcmp(encoded, again, len) == 0);
	REQUIRE(number_encoded_digits(slice_of(encoded, len)) <= NUMBER_DIGITS_MAX);
	len = number_hashed_bytes(slice_of(encoded, len), again);
	REQUIRE(len > 0 && len <= NUMBER_ENCODED_MAX);
	for (size_t i = 1; i < len; i++)
		REQUIRE(again[i] >= 1 && again[i] <= 102);
}

static void
check_sums(const struct number *a, const struct number *b)
{
	struct number sum, back;

	if (number_add(a, b, &sum, NULL) != S_OK)
		return;
	check_number(&sum);
	/* the way back can only fail by leaving 38 digits, which it cannot: its result is a */
	REQUIRE(number_sub(&sum, b, &back, NULL) == S_OK && number_cmp(&back, a) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *blank = size > 0 ? memchr(data, ' ', size) : NULL;
	size_t first = blank != NULL ? (size_t)(blank - data) : size;
	struct number a, b;
	struct err err;
	bool both;

	if (number_decode(slice_of(data, size), &a) == S_OK) {
		uint8_t again[NUMBER_ENCODED_MAX];

		check_number(&a);
		REQUIRE(number_encode(&a, again) == size && memcmp(data, again, size) == 0);
	}
	if (number_parse(slice_of(data, first), &a, &err) != S_OK)
		return 0;
	check_number(&a);
	both = blank != NULL && number_parse(slice_of(blank + 1, size - first - 1), &b, &err) == S_OK;
	if (both) {
		check_sums(&a, &b);
		check_sums(&b, &a);
	}
	return 0;
}
