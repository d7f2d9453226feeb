#include "codec/cbor.h"

#include <math.h>

/*
 * left[] of an indefinite array is INDEFINITE; of an indefinite map it is that or (a value must follow) one less. A
 * count from the wire never comes near: it is at most the bytes left.
 */
#define INDEFINITE (UINT64_MAX - 1)
#define MAP_FLAG   (UINT64_C(1) << 62)

enum { MAJOR_SIMPLE = 7 };

struct head {
	uint8_t major;
	uint8_t info;
	uint8_t size; /* bytes of the head */
	uint64_t value;
};

/* DONE: *ret is filled. */
static enum cbor_progress
read_head(const uint8_t *at, size_t len, struct head *ret)
{
	uint8_t first;
	unsigned more;

	if (len == 0)
		return CBOR_MORE;
	first = at[0];
	ret->major = first >> 5;
	ret->info = first & 31;
	ret->size = 1;
	ret->value = ret->info;
	if (ret->info < 24 || ret->info == 31)
		return CBOR_DONE;
	if (ret->info > 27)
		return CBOR_BAD;
	more = 1u << (ret->info - 24);
	if (len < 1 + more)
		return CBOR_MORE;
	ret->size = (uint8_t)(1 + more);
	ret->value = 0;
	for (unsigned i = 1; i <= more; i++)
		ret->value = ret->value << 8 | at[i];
	return CBOR_DONE;
}

/* --- scanning --- */

void
cbor_scan_init(struct cbor_scan *s, uint64_t items, size_t max_bytes)
{
	s->at = 0;
	s->max_bytes = max_bytes;
	s->depth = 0;
	s->left[0] = items;
}

static inline bool
is_indefinite(uint64_t left)
{
	return left >= INDEFINITE - MAP_FLAG - 1;
}

/* One item of the innermost container is complete; so may be those around it. */
static void
item_ends(struct cbor_scan *s)
{
	for (;;) {
		uint64_t *left = &s->left[s->depth];

		if (*left == INDEFINITE)
			return; /* an array: only a break ends it */
		if (is_indefinite(*left)) {
			*left ^= 1; /* key, value, key ... */
			return;
		}
		--*left;
		if (*left > 0 || s->depth == 0)
			return;
		s->depth--;
	}
}

static bool
enter(struct cbor_scan *s, uint64_t left)
{
	if (s->depth == CBOR_SCAN_DEPTH)
		return false;
	s->left[++s->depth] = left;
	return true;
}

static bool
scan_break(struct cbor_scan *s)
{
	uint64_t left = s->left[s->depth];

	/* not within a pair */
	if (s->depth == 0 || !is_indefinite(left) || (left != INDEFINITE && left != INDEFINITE - MAP_FLAG))
		return false;
	s->depth--;
	item_ends(s);
	return true;
}

static bool
scan_container(struct cbor_scan *s, const struct head *h)
{
	bool map = h->major == CBOR_M_MAP;

	if (h->info == 31)
		return enter(s, map ? INDEFINITE - MAP_FLAG : INDEFINITE);
	/* each element has at least one byte */
	if (h->value > (s->max_bytes - s->at) >> map)
		return false;
	if (h->value > 0)
		return enter(s, h->value << map);
	item_ends(s);
	return true;
}

static bool
scan_simple(struct cbor_scan *s, const struct head *h)
{
	if (h->info == 31)
		return scan_break(s);
	if ((h->info < 20 || h->info > 22) && (h->info < 25 || h->info > 27))
		return false;
	item_ends(s);
	return true;
}

enum cbor_progress
cbor_scan_run(struct cbor_scan *s, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	while (s->left[0] > 0) {
		struct head h;
		enum cbor_progress progress = read_head(bytes + s->at, len - s->at, &h);
		bool fine = true;

		if (progress == CBOR_DONE && s->at + h.size > s->max_bytes)
			progress = CBOR_BAD;
		if (progress == CBOR_MORE && s->at >= s->max_bytes)
			progress = CBOR_BAD;
		if (progress != CBOR_DONE)
			return progress;
		if (h.info == 31 && h.major != CBOR_M_ARRAY && h.major != CBOR_M_MAP && h.major != MAJOR_SIMPLE)
			return CBOR_BAD;
		switch (h.major) {
		case CBOR_M_BYTES:
		case CBOR_M_TEXT:
			if (h.value > s->max_bytes - s->at - h.size)
				return CBOR_BAD;
			if (h.value > len - s->at - h.size)
				return CBOR_MORE; /* its head is read again: 9 bytes at most */
			s->at += h.size + h.value;
			item_ends(s);
			continue;
		case CBOR_M_ARRAY:
		case CBOR_M_MAP:
			s->at += h.size;
			fine = scan_container(s, &h);
			break;
		case CBOR_M_TAG: /* the tag is a part of the item behind it */
			s->at += h.size;
			break;
		case MAJOR_SIMPLE:
			s->at += h.size;
			fine = scan_simple(s, &h);
			break;
		default:
			s->at += h.size;
			item_ends(s);
			break;
		}
		if (!fine)
			return CBOR_BAD;
	}
	return CBOR_DONE;
}

/* --- reading --- */

void
cbor_fail(struct cbor_reader *r, const char *what)
{
	if (r->failure == NULL)
		r->failure = what;
	r->at = r->end;
}

enum cbor_kind
cbor_peek(const struct cbor_reader *r)
{
	static const uint8_t kinds[] = {CBOR_UINT,  CBOR_NEGATIVE, CBOR_BYTES, CBOR_TEXT,
					CBOR_ARRAY, CBOR_MAP,      CBOR_TAG};

	if (r->at == r->end)
		return CBOR_NONE;
	if (*r->at < 0xe0)
		return (enum cbor_kind)kinds[*r->at >> 5];
	switch (*r->at) {
	case 0xf4:
		return CBOR_FALSE;
	case 0xf5:
		return CBOR_TRUE;
	case 0xf6:
		return CBOR_NULL;
	case 0xf9:
	case 0xfa:
	case 0xfb:
		return CBOR_FLOAT;
	case 0xff:
		return CBOR_BREAK;
	default:
		return CBOR_NONE;
	}
}

/* A head of this major type, definite; taken. */
static bool
take_head(struct cbor_reader *r, unsigned major, const char *what, struct head *h)
{
	if (read_head(r->at, (size_t)(r->end - r->at), h) != CBOR_DONE || h->major != major || h->info == 31) {
		cbor_fail(r, what);
		return false;
	}
	r->at += h->size;
	return true;
}

uint64_t
cbor_magnitude(struct cbor_reader *r)
{
	struct head h;

	if (read_head(r->at, (size_t)(r->end - r->at), &h) != CBOR_DONE || h.major > CBOR_M_NEGATIVE || h.info == 31) {
		cbor_fail(r, "an integer was expected");
		return 0;
	}
	r->at += h.size;
	return h.value;
}

int64_t
cbor_int(struct cbor_reader *r)
{
	bool negative = cbor_peek(r) == CBOR_NEGATIVE;
	uint64_t value = cbor_magnitude(r);

	if (value > INT64_MAX) {
		cbor_fail(r, "an integer is too large");
		return 0;
	}
	return negative ? -1 - (int64_t)value : (int64_t)value;
}

static struct slice
take_string(struct cbor_reader *r, unsigned major, const char *what)
{
	struct head h;
	struct slice s;

	if (!take_head(r, major, what, &h))
		return SLICE_NONE;
	if (h.value > (size_t)(r->end - r->at)) {
		cbor_fail(r, "a string is longer than what holds it");
		return SLICE_NONE;
	}
	s = slice_of(r->at, h.value);
	r->at += h.value;
	return s;
}

struct slice
cbor_bytes(struct cbor_reader *r)
{
	return take_string(r, CBOR_M_BYTES, "a byte string was expected");
}

static struct slice
only_utf8(struct cbor_reader *r, struct slice s)
{
	if (cbor_utf8_valid(s))
		return s;
	cbor_fail(r, "a text is not valid UTF-8");
	return SLICE_NONE;
}

struct slice
cbor_text(struct cbor_reader *r)
{
	return only_utf8(r, take_string(r, CBOR_M_TEXT, "a text was expected"));
}

struct slice
cbor_string(struct cbor_reader *r)
{
	unsigned major = cbor_peek(r) == CBOR_BYTES ? CBOR_M_BYTES : CBOR_M_TEXT;

	return only_utf8(r, take_string(r, major, "a string was expected"));
}

uint64_t
cbor_tag(struct cbor_reader *r)
{
	struct head h;

	return take_head(r, CBOR_M_TAG, "a tag was expected", &h) ? h.value : 0;
}

bool
cbor_bool(struct cbor_reader *r)
{
	enum cbor_kind kind = cbor_peek(r);

	if (kind == CBOR_UINT) {
		uint64_t value = cbor_magnitude(r);

		if (value > 1)
			cbor_fail(r, "a boolean was expected");
		return value == 1;
	}
	if (kind != CBOR_TRUE && kind != CBOR_FALSE) {
		cbor_fail(r, "a boolean was expected");
		return false;
	}
	r->at++;
	return kind == CBOR_TRUE;
}

static double
half_to_double(uint16_t half)
{
	int exponent = half >> 10 & 31, mantissa = half & 1023;
	double value;

	if (exponent == 0)
		value = ldexp(mantissa, -24);
	else if (exponent < 31)
		value = ldexp(mantissa + 1024, exponent - 25);
	else
		value = mantissa == 0 ? INFINITY : NAN;
	return half & 0x8000 ? -value : value;
}

double
cbor_float(struct cbor_reader *r)
{
	struct head h;
	uint32_t single;
	float narrow;
	double wide;

	if (cbor_peek(r) != CBOR_FLOAT || !take_head(r, MAJOR_SIMPLE, "a float was expected", &h)) {
		cbor_fail(r, "a float was expected");
		return 0;
	}
	if (h.info == 25)
		return half_to_double((uint16_t)h.value);
	if (h.info == 26) {
		single = (uint32_t)h.value;
		memcpy(&narrow, &single, sizeof narrow);
		return (double)narrow;
	}
	memcpy(&wide, &h.value, sizeof wide);
	return wide;
}

bool
cbor_take_null(struct cbor_reader *r)
{
	if (cbor_peek(r) != CBOR_NULL)
		return false;
	r->at++;
	return true;
}

struct slice
cbor_raw(struct cbor_reader *r)
{
	size_t len = (size_t)(r->end - r->at);
	struct cbor_scan scan;
	struct slice s;

	cbor_scan_init(&scan, 1, len);
	if (cbor_failed(r) || cbor_scan_run(&scan, r->at, len) != CBOR_DONE) {
		cbor_fail(r, "an item is malformed or nests too deep");
		return SLICE_NONE;
	}
	s = slice_of(r->at, scan.at);
	r->at += scan.at;
	return s;
}

void
cbor_skip(struct cbor_reader *r)
{
	(void)cbor_raw(r);
}

static struct cbor_items
take_container(struct cbor_reader *r, unsigned major, const char *what)
{
	struct head h;

	if (read_head(r->at, (size_t)(r->end - r->at), &h) != CBOR_DONE || h.major != major) {
		cbor_fail(r, what);
		return (struct cbor_items){0};
	}
	r->at += h.size;
	if (h.info == 31)
		return (struct cbor_items){.indefinite = true};
	if (h.value > (size_t)(r->end - r->at) >> (major == CBOR_M_MAP)) {
		cbor_fail(r, "a container is longer than what holds it");
		return (struct cbor_items){0};
	}
	return (struct cbor_items){.left = h.value};
}

struct cbor_items
cbor_array(struct cbor_reader *r)
{
	return take_container(r, CBOR_M_ARRAY, "an array was expected");
}

struct cbor_items
cbor_map(struct cbor_reader *r)
{
	return take_container(r, CBOR_M_MAP, "a map was expected");
}

bool
cbor_next(struct cbor_reader *r, struct cbor_items *items)
{
	if (r->failure != NULL)
		return false;
	if (!items->indefinite) {
		if (items->left == 0)
			return false;
		items->left--;
	} else if (cbor_peek(r) == CBOR_BREAK) {
		r->at++;
		return false;
	}
	if (r->at == r->end) {
		cbor_fail(r, "a container ends too early");
		return false;
	}
	return true;
}

/* Length of the character at `at`, which is no ASCII; 0 when it is none. As RFC 3629: no surrogates, no long forms. */
static size_t
utf8_length(const uint8_t *at, size_t left)
{
	size_t len = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;

	if (at[0] < 0xc2 || at[0] > 0xf4 || left < len)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf0 && at[1] < 0x90) ||
	    (at[0] == 0xf4 && at[1] > 0x8f))
		return 0;
	return len;
}

bool
cbor_utf8_valid(struct slice text)
{
	const uint8_t *at = (const uint8_t *)text.data, *end = text.len > 0 ? at + text.len : at;

	while (at < end) {
		uint64_t eight;
		size_t len;

		if (end - at >= 8) {
			memcpy(&eight, at, 8);
			if ((eight & UINT64_C(0x8080808080808080)) == 0) {
				at += 8;
				continue;
			}
		}
		if (*at < 0x80) {
			at++;
			continue;
		}
		len = utf8_length(at, (size_t)(end - at));
		if (len == 0)
			return false;
		at += len;
	}
	return true;
}

/* --- writing --- */

static size_t
write_head(uint8_t *at, enum cbor_major major, uint64_t value)
{
	uint8_t first = (uint8_t)(major << 5);
	int bytes;

	if (value < 24) {
		at[0] = (uint8_t)(first | value);
		return 1;
	}
	bytes = value <= UINT8_MAX ? 1 : value <= UINT16_MAX ? 2 : value <= UINT32_MAX ? 4 : 8;
	at[0] = (uint8_t)(first | (24 + __builtin_ctz((unsigned)bytes)));
	for (int i = bytes; i > 0; i--, value >>= 8)
		at[i] = (uint8_t)value;
	return (size_t)bytes + 1;
}

void
cbor_put_head(struct buf *out, enum cbor_major major, uint64_t value)
{
	buf_reserve(out, 9);
	out->len += write_head((uint8_t *)out->data + out->len, major, value);
}

void
cbor_put_int(struct buf *out, int64_t value)
{
	if (value >= 0)
		cbor_put_head(out, CBOR_M_UINT, (uint64_t)value);
	else
		cbor_put_head(out, CBOR_M_NEGATIVE, (uint64_t)(-1 - value));
}

void
cbor_put_bytes(struct buf *out, struct slice bytes)
{
	cbor_put_head(out, CBOR_M_BYTES, bytes.len);
	buf_put_slice(out, bytes);
}

void
cbor_put_text(struct buf *out, struct slice text)
{
	cbor_put_head(out, CBOR_M_TEXT, text.len);
	buf_put_slice(out, text);
}

void
cbor_put_float(struct buf *out, double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof bits);
	buf_put_byte(out, 0xfb);
	buf_put_be64(out, bits);
}

size_t
cbor_open_bytes(struct buf *out)
{
	buf_put_byte(out, 0); /* most are shorter than 256 bytes: room for two would need as much moving */
	return out->len;
}

void
cbor_close_bytes(struct buf *out, size_t mark)
{
	size_t len = out->len - mark, size;
	uint8_t head[9];

	size = write_head(head, CBOR_M_BYTES, len);
	if (size > 1) {
		buf_reserve(out, size - 1);
		memmove(out->data + mark + size - 1, out->data + mark, len);
		out->len += size - 1;
	}
	memcpy(out->data + mark - 1, head, size);
}
