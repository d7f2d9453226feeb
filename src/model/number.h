/*
 * DynamoDB's numbers: up to 38 significant decimal digits, exact, magnitudes
 * 1E-130 ... 9.9999999999999999999999999999999999999E+125, and zero.
 *
 * One encoding serves everywhere (items, keys, indexes): its bytes sort by value
 * (memcmp), equal numbers have equal bytes, and no encoding is the beginning of
 * another. docs/formats/number.md describes it.
 */
#ifndef STATOR_MODEL_NUMBER_H
#define STATOR_MODEL_NUMBER_H

#include "base/slice.h"
#include "base/status.h"

#define NUMBER_DIGITS_MAX  38
#define NUMBER_ENCODED_MAX 24  /* bytes */
#define NUMBER_TEXT_MAX    176 /* bytes of the longest plain text: "-0." and 130 places and 38 digits */

/* value = ± digits * 10^exponent. Normal form: no trailing zeros in digits; zero is {0, 0, false}. */
struct number {
	unsigned __int128 digits;
	int16_t exponent;
	bool negative;
};

/*
 * Read decimal text as DynamoDB does: optional sign ('+' too), digits with an optional point ("1.", ".5"), optional
 * exponent; no blanks. Fails with S_VALIDATION and DynamoDB's four messages: not a number, overflow, underflow, more
 * than 38 digits. Linear in the text, whatever it says.
 */
enum status number_parse(struct slice text, struct number *ret, struct err *err);
/* As DynamoDB prints it: plain digits, no exponent, no trailing zeros. Returns the length; no NUL. */
size_t number_format(const struct number *n, char ret[NUMBER_TEXT_MAX]);

/* Text to encoding in one step, for requests. Returns the length, 0 when number_parse() would fail (err is then
 * filled). */
size_t number_encode_text(struct slice text, uint8_t ret[NUMBER_ENCODED_MAX], struct err *err);
size_t number_encode(const struct number *n, uint8_t ret[NUMBER_ENCODED_MAX]);
/* S_CORRUPT when the bytes are no encoding. */
enum status number_decode(struct slice encoded, struct number *ret);
/* Straight from an encoding to text, the fast way out for replies. Returns the length. */
size_t number_format_encoded(struct slice encoded, char ret[NUMBER_TEXT_MAX]);
/* Significant digits, for the item size rule; from the encoding. */
int number_encoded_digits(struct slice encoded);
/* Bytes by DynamoDB's item size rule: one, one for each pair of digits (pairs counted from the decimal point), one more
 * when negative; zero is one byte. From the encoding. */
int number_encoded_size(struct slice encoded);

/* The bytes by which the service knows a number when it hashes keys; from the encoding. Returns the length. */
size_t number_hashed_bytes(struct slice encoded, uint8_t ret[NUMBER_ENCODED_MAX]);

/* Length of the encoding at the start of bytes; 0 when there is none. It is not checked beyond that. */
size_t number_encoded_length(struct slice bytes);

int number_cmp(const struct number *a, const struct number *b);
/*
 * Exact, never rounded. A result that needs more than 38 digits (1E50 + 1) fails like one that is too large, with
 * DynamoDB's overflow message; one that is too small with its underflow message (S_VALIDATION). ret may be a or b.
 */
enum status number_add(const struct number *a, const struct number *b, struct number *ret, struct err *err);
enum status number_sub(const struct number *a, const struct number *b, struct number *ret, struct err *err);
/* True and the value when it is an integer that fits. */
bool number_to_int64(const struct number *n, int64_t *ret);
void number_from_int64(int64_t v, struct number *ret);

#endif
