#include "codec/base64.h"

static const char alphabet[64] = {'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P',
				  'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'a', 'b', 'c', 'd', 'e', 'f',
				  'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v',
				  'w', 'x', 'y', 'z', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '+', '/'};

/* The value of a character plus one, so that what is not listed is 0. */
static const uint8_t value_plus_1[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64};

char *
base64_write(char *to, struct slice bytes)
{
	const uint8_t *at = (const uint8_t *)(bytes.data != NULL ? bytes.data : ""), *end = at + bytes.len;
	uint32_t three;

	for (; end - at >= 3; at += 3) {
		three = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
		*to++ = alphabet[three >> 18];
		*to++ = alphabet[three >> 12 & 63];
		*to++ = alphabet[three >> 6 & 63];
		*to++ = alphabet[three & 63];
	}
	if (at < end) {
		bool two = end - at == 2;

		three = (uint32_t)at[0] << 16 | (two ? (uint32_t)at[1] << 8 : 0);
		*to++ = alphabet[three >> 18];
		*to++ = alphabet[three >> 12 & 63];
		*to++ = two ? alphabet[three >> 6 & 63] : '=';
		*to++ = '=';
	}
	return to;
}

void
base64_put(struct buf *out, struct slice bytes)
{
	if (bytes.len == 0)
		return;
	buf_reserve(out, BASE64_LENGTH(bytes.len));
	out->len = (size_t)(base64_write(out->data + out->len, bytes) - out->data);
}

/* Four characters to 24 bits; false when one is none of the alphabet. */
static inline bool
quad_read(const uint8_t *at, uint32_t *ret)
{
	uint32_t a = value_plus_1[at[0]], b = value_plus_1[at[1]], c = value_plus_1[at[2]], d = value_plus_1[at[3]];

	*ret = (a - 1) << 18 | (b - 1) << 12 | (c - 1) << 6 | (d - 1);
	return a != 0 && b != 0 && c != 0 && d != 0;
}

/* The last four characters, of which one or two may be padding. */
static uint8_t *
last_quad_read(const uint8_t *at, uint8_t *to)
{
	size_t padding = at[3] != '=' ? 0 : at[2] != '=' ? 1 : 2;
	uint8_t filled[4] = {at[0], at[1], padding > 1 ? 'A' : at[2], padding > 0 ? 'A' : at[3]};
	uint32_t three;

	if (!quad_read(filled, &three))
		return NULL;
	if (padding > 0 && (three & (padding == 1 ? 0xFF : 0xFFFF)) != 0)
		return NULL; /* stray bits: two texts would mean the same bytes */
	*to++ = (uint8_t)(three >> 16);
	if (padding < 2)
		*to++ = (uint8_t)(three >> 8);
	if (padding < 1)
		*to++ = (uint8_t)three;
	return to;
}

bool
base64_read(struct slice text, struct arena *arena, struct slice *ret)
{
	const uint8_t *at = (const uint8_t *)text.data;
	size_t quads = text.len / 4;
	uint8_t *bytes, *to;
	uint32_t three;

	if (text.len % 4 != 0)
		return false;
	bytes = to = arena_alloc(arena, 3 * quads);
	for (; quads > 1; quads--, at += 4) {
		if (!quad_read(at, &three))
			return false;
		*to++ = (uint8_t)(three >> 16);
		*to++ = (uint8_t)(three >> 8);
		*to++ = (uint8_t)three;
	}
	if (quads == 1 && (to = last_quad_read(at, to)) == NULL)
		return false;
	*ret = slice_of(bytes, (size_t)(to - bytes));
	return true;
}
