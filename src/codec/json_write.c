#include <emmintrin.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/json.h"

/* To the first byte that JSON wants escaped; `end` when there is none. */
static inline const char *
scan_unescaped(const char *at, const char *end)
{
	const __m128i quote = _mm_set1_epi8('"');
	const __m128i backslash = _mm_set1_epi8('\\');
	const __m128i control = _mm_set1_epi8(0x1F);

	for (; end - at >= 16; at += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
		__m128i special = _mm_or_si128(_mm_cmpeq_epi8(_mm_max_epu8(v, control), control),
					       _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash)));
		unsigned mask = (unsigned)_mm_movemask_epi8(special);

		if (mask != 0)
			return at + __builtin_ctz(mask);
	}
	while (at < end && (uint8_t)*at >= 0x20 && *at != '"' && *at != '\\')
		at++;
	return at;
}

/* `to` has room for six bytes */
static char *
put_escape(char *to, uint8_t c)
{
	static const char digits[] = "0123456789ABCDEF";
	static const char letters[256] = {
	    ['"'] = '"', ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};

	*to++ = '\\';
	if (letters[c] != 0) {
		*to++ = letters[c];
		return to;
	}
	memcpy(to, "u00", 3);
	to[3] = digits[c >> 4];
	to[4] = digits[c & 15];
	return to + 5;
}

void
json_put_string(struct buf *out, struct slice text)
{
	const char *at = text.data != NULL ? text.data : "", *end = at + text.len;
	char *to;

	buf_reserve(out, text.len + 2);
	to = out->data + out->len;
	*to++ = '"';
	for (;;) {
		const char *stop = scan_unescaped(at, end);

		if (stop != at)
			memcpy(to, at, (size_t)(stop - at));
		to += stop - at;
		if (stop == end)
			break;
		at = stop + 1;
		/* always room for this escape, the rest as it stands and the quote */
		out->len = (size_t)(to - out->data);
		buf_reserve(out, 6 + (size_t)(end - at) + 1);
		to = put_escape(out->data + out->len, (uint8_t)*stop);
	}
	*to++ = '"';
	out->len = (size_t)(to - out->data);
}

void
json_put_int(struct buf *out, int64_t value)
{
	char text[20], *at = text + sizeof text;
	uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

	do {
		*--at = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (value < 0)
		*--at = '-';
	buf_put(out, at, (size_t)(text + sizeof text - at));
}

void
json_put_double(struct buf *out, double value)
{
	char text[40];
	int length = 0;

	if (!isfinite(value)) {
		buf_put_lit(out, "null");
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		length = snprintf(text, sizeof text, "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	buf_put(out, text, (size_t)length);
	if (strpbrk(text, ".e") == NULL)
		buf_put_lit(out, ".0");
}
