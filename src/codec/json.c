#include "codec/json.h"

#include <emmintrin.h>
#include <string.h>
#include <strings.h>

static const char *const ended_early = "the text ends within a value";

void
json_init(struct json_reader *r, struct slice text, struct arena *arena)
{
	if (text.data == NULL)
		text = SLICE("");
	*r = (struct json_reader){.at = text.data, .end = text.data + text.len, .start = text.data, .arena = arena};
}

static void
fail(struct json_reader *r, const char *what, bool wrong_type)
{
	if (r->failure == NULL) {
		r->failure = what;
		r->wrong_type = wrong_type;
	}
	/* whoever reads on sees an empty text */
	r->at = r->end;
}

void
json_fail(struct json_reader *r, const char *what)
{
	fail(r, what, false);
}

void
json_fail_type(struct json_reader *r, const char *what)
{
	fail(r, what, true);
}

static inline bool
is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Moves to the next byte that is not blank; false when there is none. */
static inline bool
skip_blanks(struct json_reader *r)
{
	const char *at = r->at, *end = r->end;

	if (at < end && (uint8_t)*at > ' ') /* mostly */
		return true;
	while (at < end && is_blank(*at))
		at++;
	r->at = at;
	return at < end;
}

enum json_type
json_peek(struct json_reader *r)
{
	if (!skip_blanks(r))
		return JSON_NONE;
	switch (*r->at) {
	case '"':
		return JSON_STRING;
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_ARRAY;
	case 't':
	case 'f':
		return JSON_BOOL;
	case 'n':
		return JSON_NULL;
	case '-':
	case '0' ... '9':
		return JSON_NUMBER;
	}
	json_fail(r, "a value was expected");
	return JSON_NONE;
}

/* ---- wrong types ---- */

static bool
is_decimal(const struct json_reader *r)
{
	for (const char *at = r->at; at < r->end; at++) {
		if (*at == '.' || *at == 'e' || *at == 'E')
			return true;
		if (*at != '-' && *at != '+' && (*at < '0' || *at > '9'))
			break;
	}
	return false;
}

static const char *
token_name(const struct json_reader *r, enum json_type type)
{
	switch (type) {
	case JSON_BOOL:
		return *r->at == 't' ? "TRUE_VALUE" : "FALSE_VALUE";
	case JSON_NUMBER:
		return is_decimal(r) ? "DECIMAL_VALUE" : "NUMBER_VALUE";
	case JSON_STRING:
		return "STRING_VALUE";
	default:
		return "NULL_VALUE";
	}
}

void
json_mismatch(struct json_reader *r, enum json_want want, const char *java_class)
{
	static const struct {
		const char *name;       /* in "cannot be converted to ..." */
		const char *collection; /* what a list is said not to be */
		const char *scalar;     /* the whole text for a scalar, when it is another one */
	} wants[] = {
	    [JSON_WANT_BOOLEAN] = {"Boolean", "class java.lang.Boolean", NULL},
	    [JSON_WANT_STRING] = {"String", "class java.lang.String", NULL},
	    [JSON_WANT_INTEGER] = {"Integer", "class java.lang.Integer", NULL},
	    [JSON_WANT_LONG] = {"Long", "class java.lang.Long", NULL},
	    [JSON_WANT_DOUBLE] = {"Double", "class java.lang.Double", NULL},
	    [JSON_WANT_BLOB] = {"Blob", "class java.nio.ByteBuffer",
				"only base-64-encoded strings are convertible to bytes"},
	    [JSON_WANT_LIST] = {"List", "", "Unexpected field type"},
	    [JSON_WANT_MAP] = {"Map", "java.util.Map<java.lang.String, %s>", "Unexpected field type"},
	    [JSON_WANT_STRUCT] = {"Structure", "class %s", "Unexpected field type"},
	    [JSON_WANT_STRUCT_ITEM] = {"Structure", "class %s", "Unexpected value type in payload"},
	};
	enum json_type type = json_peek(r);
	const char *what;

	switch (type) {
	case JSON_NONE:
		json_fail(r, ended_early);
		return;
	case JSON_OBJECT:
		what = "Start of structure or map found where not expected";
		break;
	case JSON_ARRAY:
		if (want == JSON_WANT_MAP)
			what =
			    arena_printf(r->arena, "Unrecognized collection type java.util.Map<java.lang.String, %s>",
					 java_class)
				.data;
		else if (want == JSON_WANT_STRUCT || want == JSON_WANT_STRUCT_ITEM)
			what = arena_printf(r->arena, "Unrecognized collection type class %s", java_class).data;
		else
			what = arena_printf(r->arena, "Unrecognized collection type %s", wants[want].collection).data;
		break;
	default:
		what = wants[want].scalar;
		if (what == NULL)
			what = arena_printf(r->arena, "%s cannot be converted to %s", token_name(r, type),
					    wants[want].name)
				   .data;
	}
	fail(r, what, true);
}

/* ---- containers ---- */

static inline bool
enter(struct json_reader *r, char bracket)
{
	if (!skip_blanks(r)) {
		json_fail(r, ended_early);
		return false;
	}
	if (*r->at != bracket)
		return false;
	if (r->depth == JSON_DEPTH_MAX) {
		json_fail(r, "nested too deep");
		return false;
	}
	r->depth++;
	r->at++;
	r->need_comma = false;
	return true;
}

/* To the next element or name; false at the closing bracket, which is then taken, and after a failure. */
static inline bool
next(struct json_reader *r, char closing)
{
	if (!skip_blanks(r)) {
		json_fail(r, ended_early);
		return false;
	}
	if (*r->at == closing) {
		r->at++;
		r->depth--;
		r->need_comma = true;
		return false;
	}
	if (!r->need_comma)
		return true;
	if (*r->at != ',') {
		json_fail(r, closing == '}' ? "a comma or } was expected" : "a comma or ] was expected");
		return false;
	}
	r->at++;
	r->need_comma = false;
	if (!skip_blanks(r)) {
		json_fail(r, ended_early);
		return false;
	}
	return true; /* a bracket behind a comma fails as a name or value */
}

bool
json_enter_object(struct json_reader *r)
{
	bool entered = enter(r, '{');

	if (!entered && r->failure == NULL) {
		if (json_peek(r) == JSON_ARRAY)
			fail(r, "Start of list found where not expected", true);
		else if (r->failure == NULL)
			fail(r, "Unexpected field type", true);
	}
	return entered;
}

bool
json_enter_array(struct json_reader *r)
{
	bool entered = enter(r, '[');

	if (!entered && r->failure == NULL)
		json_mismatch(r, JSON_WANT_LIST, NULL);
	return entered;
}

bool
json_next_element(struct json_reader *r)
{
	return next(r, ']');
}

/* ---- strings ---- */

/* Length of the well-formed UTF-8 character at `at`, which is not ASCII; 0 when it is malformed. */
static inline size_t
utf8_length(const char *at, const char *end)
{
	const uint8_t *c = (const uint8_t *)at;
	size_t left = (size_t)(end - at);

	if (c[0] < 0xC2) /* a continuation, or an overlong form */
		return 0;
	if (c[0] < 0xE0)
		return left >= 2 && (c[1] & 0xC0) == 0x80 ? 2 : 0;
	if (c[0] < 0xF0) {
		if (left < 3 || (c[1] & 0xC0) != 0x80 || (c[2] & 0xC0) != 0x80)
			return 0;
		if ((c[0] == 0xE0 && c[1] < 0xA0) || (c[0] == 0xED && c[1] >= 0xA0)) /* overlong; surrogate */
			return 0;
		return 3;
	}
	if (c[0] > 0xF4 || left < 4 || (c[1] & 0xC0) != 0x80 || (c[2] & 0xC0) != 0x80 || (c[3] & 0xC0) != 0x80)
		return 0;
	if ((c[0] == 0xF0 && c[1] < 0x90) || (c[0] == 0xF4 && c[1] >= 0x90)) /* overlong; beyond U+10FFFF */
		return 0;
	return 4;
}

/* One bit for each of 16 bytes that may not simply stand for itself in a string. */
static inline __m128i
special_of_16(const char *at)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);

	/* signed: bytes of 0x80 and more are below a space too */
	return _mm_or_si128(
	    _mm_cmplt_epi8(v, _mm_set1_epi8(' ')),
	    _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'))));
}

/* Over plain ASCII, to the first byte that is anything else; `end` when there is none. */
static inline const char *
scan_ascii(const char *at, const char *end)
{
	unsigned mask;

	while (end - at >= 64) {
		__m128i a = special_of_16(at), b = special_of_16(at + 16);
		__m128i c = special_of_16(at + 32), d = special_of_16(at + 48);

		if (_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d))) != 0)
			break;
		at += 64;
	}
	for (; end - at >= 16; at += 16) {
		mask = (unsigned)_mm_movemask_epi8(special_of_16(at));
		if (mask != 0)
			return at + __builtin_ctz(mask);
	}
	while (at < end && (int8_t)*at >= ' ' && *at != '"' && *at != '\\')
		at++;
	return at;
}

/*
 * From `at` over everything that stands for itself, to the first quote, backslash, control character or
 * malformed byte; NULL when the text ends before.
 */
static __attribute__((noinline)) const char *
scan_plain(const char *at, const char *end)
{
	for (;;) {
		at = scan_ascii(at, end);
		if (at == end)
			return NULL;
		if ((int8_t)*at >= 0)
			return at;
		do {
			size_t length = utf8_length(at, end);

			if (length == 0)
				return at;
			at += length;
		} while (at < end && (int8_t)*at < 0);
	}
}

/* Four hexadecimal digits; -1 when they are not. */
static int32_t
hex4(const char *at, const char *end)
{
	int32_t value = 0;

	if (end - at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		uint8_t c = (uint8_t)at[i];

		if (c >= '0' && c <= '9')
			c -= '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			c = (uint8_t)((c | 0x20) - 'a' + 10);
		else
			return -1;
		value = value << 4 | c;
	}
	return value;
}

static char *
put_utf8(char *to, uint32_t code)
{
	if (code < 0x80) {
		*to++ = (char)code;
	} else if (code < 0x800) {
		*to++ = (char)(0xC0 | code >> 6);
		*to++ = (char)(0x80 | (code & 0x3F));
	} else if (code < 0x10000) {
		*to++ = (char)(0xE0 | code >> 12);
		*to++ = (char)(0x80 | (code >> 6 & 0x3F));
		*to++ = (char)(0x80 | (code & 0x3F));
	} else {
		*to++ = (char)(0xF0 | code >> 18);
		*to++ = (char)(0x80 | (code >> 12 & 0x3F));
		*to++ = (char)(0x80 | (code >> 6 & 0x3F));
		*to++ = (char)(0x80 | (code & 0x3F));
	}
	return to;
}

/* \uXXXX, or two of them for a character beyond the basic plane. r->at is behind the u. NULL after a failure. */
static char *
unescape_unicode(struct json_reader *r, char *to)
{
	int32_t code = hex4(r->at, r->end), low;

	if (code < 0) {
		json_fail(r, "\\u needs four hexadecimal digits");
		return NULL;
	}
	r->at += 4;
	if (code < 0xD800 || code > 0xDFFF)
		return put_utf8(to, (uint32_t)code);
	if (code <= 0xDBFF && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u') {
		low = hex4(r->at + 2, r->end);
		if (low >= 0xDC00 && low <= 0xDFFF) {
			r->at += 6;
			return put_utf8(to, 0x10000u + ((uint32_t)(code - 0xD800) << 10) + (uint32_t)(low - 0xDC00));
		}
	}
	json_fail(r, "half a surrogate pair");
	return NULL;
}

static char *
unescape_one(struct json_reader *r, char *to)
{
	static const char meanings[256] = {['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
					   ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t'};
	uint8_t c;

	if (r->end - r->at < 2) {
		json_fail(r, ended_early);
		return NULL;
	}
	c = (uint8_t)r->at[1];
	r->at += 2;
	if (c == 'u')
		return unescape_unicode(r, to);
	if (meanings[c] == 0) {
		json_fail(r, "unknown escape");
		return NULL;
	}
	*to++ = meanings[c];
	return to;
}

static void
fail_at_byte(struct json_reader *r, const char *at)
{
	if (at == NULL)
		json_fail(r, ended_early);
	else if ((uint8_t)*at < 0x20)
		json_fail(r, "a control character within a string");
	else
		json_fail(r, "the text is not UTF-8");
}

/* How long the rest of a string is as it stands, up to its closing quote. */
static size_t
raw_length(const char *at, const char *end)
{
	const __m128i quote = _mm_set1_epi8('"');
	const __m128i backslash = _mm_set1_epi8('\\');
	const char *from = at;

	while (at < end) {
		if (end - at >= 16) {
			__m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
			unsigned mask = (unsigned)_mm_movemask_epi8(
			    _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash)));

			if (mask == 0) {
				at += 16;
				continue;
			}
			at += __builtin_ctz(mask);
		}
		if (*at == '"')
			break;
		at += *at == '\\' && end - at > 1 ? 2 : 1;
	}
	return (size_t)(at - from);
}

/* The string that starts at `start` and has a backslash at `escape`. Unescaped text is never longer than it was. */
static struct slice
string_with_escapes(struct json_reader *r, const char *start, const char *escape)
{
	size_t plain = (size_t)(escape - start);
	char *text = arena_alloc(r->arena, plain + raw_length(escape, r->end));
	char *to = text;

	for (;;) {
		memcpy(to, start, plain);
		to += plain;
		r->at = start + plain;
		while (r->at < r->end && *r->at == '\\') {
			to = unescape_one(r, to);
			if (to == NULL)
				return SLICE_NONE;
		}
		start = r->at;
		escape = scan_plain(start, r->end);
		if (escape == NULL || (*escape != '"' && *escape != '\\')) {
			fail_at_byte(r, escape);
			return SLICE_NONE;
		}
		plain = (size_t)(escape - start);
		if (*escape == '"')
			break;
	}
	memcpy(to, start, plain);
	r->at = escape + 1;
	return slice_of(text, (size_t)(to - text) + plain);
}

static __attribute__((noinline)) struct slice
take_long_string(struct json_reader *r, const char *start, const char *from)
{
	const char *stop = scan_plain(from, r->end);

	if (stop != NULL && *stop == '"') {
		r->at = stop + 1;
		return slice_of(start, (size_t)(stop - start));
	}
	if (stop != NULL && *stop == '\\')
		return string_with_escapes(r, start, stop);
	fail_at_byte(r, stop);
	return SLICE_NONE;
}

/* r->at is at the opening quote. Names and short values end within 16 bytes: that case stays in line. */
static inline struct slice
take_string(struct json_reader *r)
{
	const char *start = r->at + 1, *from = start;

	if (r->end - start >= 16) {
		unsigned mask = (unsigned)_mm_movemask_epi8(special_of_16(start));

		from = start + (mask != 0 ? __builtin_ctz(mask) : 16);
		if (mask != 0 && *from == '"') {
			r->at = from + 1;
			return slice_of(start, (size_t)(from - start));
		}
	}
	return take_long_string(r, start, from);
}

bool
json_next_member(struct json_reader *r, struct slice *ret_name)
{
	if (!next(r, '}'))
		return false;
	if (*r->at != '"') {
		json_fail(r, "a member name was expected");
		return false;
	}
	*ret_name = take_string(r);
	if (!skip_blanks(r)) {
		json_fail(r, ended_early);
		return false;
	}
	if (*r->at != ':') {
		json_fail(r, "a colon was expected");
		return false;
	}
	r->at++;
	return true;
}

struct slice
json_string(struct json_reader *r)
{
	if (!skip_blanks(r) || *r->at != '"') {
		json_mismatch(r, JSON_WANT_STRING, NULL);
		return SLICE_NONE;
	}
	r->need_comma = true;
	return take_string(r);
}

/* ---- other scalars ---- */

static inline const char *
skip_digits(const char *at, const char *end)
{
	while (at < end && *at >= '0' && *at <= '9')
		at++;
	return at;
}

static struct slice
take_number(struct json_reader *r)
{
	const char *at = r->at, *end = r->end, *digits;

	if (*at == '-')
		at++;
	digits = at;
	at = skip_digits(at, end);
	if (at == digits || (*digits == '0' && at - digits > 1))
		goto malformed;
	if (at < end && *at == '.') {
		digits = ++at;
		at = skip_digits(at, end);
		if (at == digits)
			goto malformed;
	}
	if (at < end && (*at == 'e' || *at == 'E')) {
		at++;
		if (at < end && (*at == '+' || *at == '-'))
			at++;
		digits = at;
		at = skip_digits(at, end);
		if (at == digits)
			goto malformed;
	}
	digits = r->at;
	r->at = at;
	r->need_comma = true;
	return slice_of(digits, (size_t)(at - digits));
malformed:
	json_fail(r, "malformed number");
	return SLICE_NONE;
}

struct slice
json_number(struct json_reader *r)
{
	if (json_peek(r) == JSON_NUMBER)
		return take_number(r);
	json_mismatch(r, JSON_WANT_INTEGER, NULL);
	return SLICE_NONE;
}

static bool
take_word(struct json_reader *r, struct slice word)
{
	if ((size_t)(r->end - r->at) < word.len || memcmp(r->at, word.data, word.len) != 0) {
		json_fail(r, "a value was expected");
		return false;
	}
	r->at += word.len;
	r->need_comma = true;
	return true;
}

static bool
bool_of_string(struct json_reader *r)
{
	static const struct {
		struct slice text;
		bool meaning;
	} words[] = {{{"true", 4}, true},   {{"1", 1}, true},  {{"yes", 3}, true},
		     {{"false", 5}, false}, {{"0", 1}, false}, {{"no", 2}, false}};
	struct slice text = json_string(r);

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (text.len == words[i].text.len && strncasecmp(text.data, words[i].text.data, text.len) == 0)
			return words[i].meaning;
	}
	fail(r, "Unexpected token received from parser", true);
	return false;
}

bool
json_bool(struct json_reader *r)
{
	switch (json_peek(r)) {
	case JSON_BOOL:
		return *r->at == 't' ? take_word(r, SLICE("true")) : (take_word(r, SLICE("false")), false);
	case JSON_STRING:
		return bool_of_string(r);
	default:
		json_mismatch(r, JSON_WANT_BOOLEAN, NULL);
		return false;
	}
}

void
json_null(struct json_reader *r)
{
	if (json_peek(r) == JSON_NULL)
		take_word(r, SLICE("null"));
	else if (r->failure == NULL)
		fail(r, r->at < r->end ? "a null was expected" : ended_early, r->at < r->end);
}

/* ---- whole values ---- */

/* Which of the open containers are objects: one bit a level. */
struct kinds {
	uint64_t objects[JSON_DEPTH_MAX / 64 + 1];
};

static void
kinds_set(struct kinds *k, int depth, bool object)
{
	uint64_t bit = (uint64_t)1 << (depth % 64);

	if (object)
		k->objects[depth / 64] |= bit;
	else
		k->objects[depth / 64] &= ~bit;
}

static bool
kinds_is_object(const struct kinds *k, int depth)
{
	return k->objects[depth / 64] >> (depth % 64) & 1;
}

/* A scalar, or the opening bracket of a container. */
static void
skip_start(struct json_reader *r, struct kinds *k)
{
	switch (json_peek(r)) {
	case JSON_OBJECT:
		if (enter(r, '{'))
			kinds_set(k, r->depth, true);
		break;
	case JSON_ARRAY:
		if (enter(r, '['))
			kinds_set(k, r->depth, false);
		break;
	case JSON_STRING:
		json_string(r);
		break;
	case JSON_NUMBER:
		take_number(r);
		break;
	case JSON_BOOL:
		take_word(r, *r->at == 't' ? SLICE("true") : SLICE("false"));
		break;
	case JSON_NULL:
		take_word(r, SLICE("null"));
		break;
	case JSON_NONE:
		json_fail(r, ended_early);
		break;
	}
}

void
json_skip(struct json_reader *r)
{
	struct kinds k;
	int outside = r->depth;

	memset(&k, 0, sizeof k);
	for (;;) {
		struct slice name;
		bool more = false;

		skip_start(r, &k);
		while (!more && r->failure == NULL && r->depth > outside)
			more = kinds_is_object(&k, r->depth) ? json_next_member(r, &name) : json_next_element(r);
		if (!more)
			return;
	}
}

struct slice
json_raw(struct json_reader *r)
{
	const char *start;

	skip_blanks(r);
	start = r->at;
	json_skip(r);
	return r->failure == NULL ? slice_of(start, (size_t)(r->at - start)) : SLICE_NONE;
}

void
json_end(struct json_reader *r)
{
	if (r->failure != NULL)
		return;
	if (r->depth > 0)
		json_fail(r, ended_early);
	else if (skip_blanks(r))
		json_fail(r, "something follows the value");
}
