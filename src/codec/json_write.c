#include <immintrin.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/json.h"

#define WIDE_BYTES 128 /* text so long is copied by so many bytes, where the processor can */

/* Whether one of eight bytes is a quote, a backslash or a control character. Tests eight at once; exact in its answer
 * of "none", and that is what it is asked for. */
static inline bool
eight_have_special(uint64_t v)
{
	const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
	uint64_t quote = v ^ ones * '"', backslash = v ^ ones * '\\';

	return ((((v - ones * 0x20) & ~v) | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash)) & tops) != 0;
}

static inline uint64_t
load_8(const char *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof v);
	return v;
}

/* Copies fewer than 16 bytes without a loop: two halves that overlap. False when one wants an escape. */
static inline bool
copy_short(char *to, const char *from, size_t len)
{
	uint64_t first, last;

	if (len >= 8) {
		first = load_8(from);
		last = load_8(from + len - 8);
		memcpy(to, &first, 8);
		memcpy(to + len - 8, &last, 8);
		return !eight_have_special(first) && !eight_have_special(last);
	}
	if (len >= 4) {
		uint32_t a, b;

		memcpy(&a, from, 4);
		memcpy(&b, from + len - 4, 4);
		memcpy(to, &a, 4);
		memcpy(to + len - 4, &b, 4);
		return !eight_have_special((uint64_t)a << 32 | b);
	}
	for (size_t i = 0; i < len; i++) {
		if ((uint8_t)from[i] < 0x20 || from[i] == '"' || from[i] == '\\')
			return false;
		to[i] = from[i];
	}
	return true;
}

static inline __m128i
load_16(const char *at)
{
	return _mm_loadu_si128((const __m128i *)(const void *)at);
}

static inline void
store_16(char *to, __m128i v)
{
	_mm_storeu_si128((__m128i *)(void *)to, v);
}

__attribute__((target("avx2"))) static inline __m256i
load_32(const char *at)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

__attribute__((target("avx2"))) static inline void
store_32(char *to, __m256i v)
{
	_mm256_storeu_si256((__m256i *)(void *)to, v);
}

/*
 * Copies whole 128 bytes as long as nothing in them wants an escape; how many. Worth its call for long texts only.
 * Control characters and the quote are the bytes that are at most 0x20 once bit 1 is flipped: the least of four is
 * enough to look at.
 */
__attribute__((target("avx2"))) static size_t
copy_128s(char *to, const char *from, size_t len)
{
	const __m256i flip = _mm256_set1_epi8(2), most = _mm256_set1_epi8(0x20), backslash = _mm256_set1_epi8('\\');
	size_t done = 0;

	for (; len - done >= 128; done += 128) {
		__m256i a = load_32(from + done), b = load_32(from + done + 32);
		__m256i c = load_32(from + done + 64), d = load_32(from + done + 96);
		__m256i least = _mm256_min_epu8(_mm256_min_epu8(_mm256_xor_si256(a, flip), _mm256_xor_si256(b, flip)),
						_mm256_min_epu8(_mm256_xor_si256(c, flip), _mm256_xor_si256(d, flip)));
		__m256i slashes =
		    _mm256_or_si256(_mm256_or_si256(_mm256_cmpeq_epi8(a, backslash), _mm256_cmpeq_epi8(b, backslash)),
				    _mm256_or_si256(_mm256_cmpeq_epi8(c, backslash), _mm256_cmpeq_epi8(d, backslash)));
		__m256i special = _mm256_or_si256(slashes, _mm256_cmpeq_epi8(_mm256_max_epu8(least, most), most));

		if (!_mm256_testz_si256(special, special))
			break;
		store_32(to + done, a);
		store_32(to + done + 32, b);
		store_32(to + done + 64, c);
		store_32(to + done + 96, d);
	}
	return done;
}

char *
json_write_plain(char *to, struct slice text)
{
	size_t len = text.len, done = 0;

	*to++ = '"';
	if (len >= WIDE_BYTES && __builtin_cpu_supports("avx2"))
		done = copy_128s(to, text.data, len);
	if (len < 16) {
		if (!copy_short(to, text.data, len))
			return NULL;
	} else {
		__m128i last = load_16(text.data + len - 16);

		for (; len - done > 16; done += 16) {
			__m128i v = load_16(text.data + done);

			if (json_special_of_16(v) != 0)
				return NULL;
			store_16(to + done, v);
		}
		if (json_special_of_16(last) != 0)
			return NULL;
		store_16(to + len - 16, last);
	}
	to[len] = '"';
	return to + len + 1;
}

/* To the first byte that JSON wants escaped; `end` when there is none. */
static inline const char *
scan_unescaped(const char *at, const char *end)
{
	for (; end - at >= 16; at += 16) {
		unsigned mask = json_special_of_16(load_16(at));

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
