/* Bytes from outside: nothing is believed before it is checked. */
#include "model/av.h"
#include "model/number.h"

struct check {
	const uint8_t *at;
	const uint8_t *end;
	const char *wrong; /* NULL while all is well */
};

static bool
fail(struct check *c, const char *what)
{
	if (c->wrong == NULL)
		c->wrong = what;
	return false;
}

/* Moves over one character that is not ASCII; false when it is none, or none that UTF-8 allows. */
static bool
take_character(const uint8_t **at, const uint8_t *end)
{
	uint8_t lead = *(*at)++;
	int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
	uint32_t least = more == 3 ? 0x10000 : more == 2 ? 0x800 : 0x80;
	uint32_t c = lead & (0x3fu >> more);

	if (lead < 0xc2 || lead > 0xf4 || end - *at < more)
		return false;
	for (; more > 0; more--) {
		uint8_t byte = *(*at)++;

		if ((byte & 0xc0) != 0x80)
			return false;
		c = c << 6 | (byte & 0x3f);
	}
	return c >= least && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
}

static bool
is_utf8(struct slice text)
{
	const uint8_t *at = (const uint8_t *)text.data, *end = at + text.len;

	while (at < end) {
		uint64_t eight;

		if (end - at >= 8) {
			memcpy(&eight, at, 8);
			if ((eight & 0x8080808080808080u) == 0) {
				at += 8;
				continue;
			}
		}
		if (*at < 0x80)
			at++;
		else if (!take_character(&at, end))
			return false;
	}
	return true;
}

/* The shortest form only: equal values must have equal bytes. */
static bool
check_varint_bytes(struct check *c, struct slice *ret)
{
	uint64_t len = 0;
	unsigned shift = 0;
	uint8_t byte;

	do {
		if (c->at == c->end || shift > 28)
			return fail(c, "a length is cut off or too long");
		byte = *c->at++;
		len |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte >= 0x80);
	if (byte == 0 && shift > 7)
		return fail(c, "a length is not in its shortest form");
	if (len > (uint64_t)(c->end - c->at))
		return fail(c, "a string is cut off");
	*ret = slice_of(c->at, (size_t)len);
	c->at += len;
	return true;
}

static bool
check_text(struct check *c, struct slice *ret)
{
	return check_varint_bytes(c, ret) && (is_utf8(*ret) || fail(c, "a string is not UTF-8"));
}

static bool
check_number(struct check *c, struct slice encoded)
{
	struct number n;

	return number_decode(encoded, &n) == S_OK || fail(c, "a number is malformed");
}

static bool
check_element(struct check *c, uint8_t tag, struct slice *ret)
{
	switch (tag) {
	case TAG_SS:
		return check_text(c, ret);
	case TAG_NS:
		return check_varint_bytes(c, ret) && check_number(c, *ret);
	default:
		return check_varint_bytes(c, ret);
	}
}

static bool check_value(struct check *c, int depth);

static bool
check_entries(struct check *c, uint8_t tag, uint32_t count, int depth)
{
	struct slice previous = SLICE_NONE, name;

	for (uint32_t i = 0; i < count; i++) {
		if (tag != TAG_L) {
			if (tag == TAG_M ? !check_text(c, &name) : !check_element(c, tag, &name))
				return false;
			if (i > 0 && slice_cmp(previous, name) >= 0)
				return fail(c, "names or elements do not ascend");
			previous = name;
		}
		if (tag >= TAG_L && !check_value(c, depth))
			return false;
	}
	return true;
}

static bool
check_container(struct check *c, uint8_t tag, int depth)
{
	const uint8_t *outer_end = c->end;
	uint32_t body, count;

	if (c->end - c->at < (ptrdiff_t)AV_HEAD_BYTES - 1)
		return fail(c, "a container is cut off");
	body = av_raw_u32(c->at);
	count = av_raw_u32(c->at + 4);
	c->at += AV_HEAD_BYTES - 1;
	if (body > (uint64_t)(c->end - c->at))
		return fail(c, "a container is cut off");
	if (count == 0 && tag < TAG_L)
		return fail(c, "a set is empty");
	if (tag >= TAG_L && depth < 0)
		return fail(c, "nested too deeply");
	c->end = c->at + body;
	if (!check_entries(c, tag, count, depth - 1))
		return false;
	if (c->at != c->end)
		return fail(c, "a container is longer than its content");
	c->end = outer_end;
	return true;
}

/* depth: how many levels of L and M may still be opened, less one. */
static bool
check_value(struct check *c, int depth)
{
	struct slice bytes;
	uint8_t tag;

	if (c->at == c->end)
		return fail(c, "a value is missing");
	tag = *c->at++;
	switch (tag) {
	case TAG_NULL:
	case TAG_FALSE:
	case TAG_TRUE:
		return true;
	case TAG_N:
		if (c->at == c->end || *c->at > c->end - c->at - 1)
			return fail(c, "a number is cut off");
		bytes = slice_of(c->at + 1, *c->at);
		c->at += 1 + bytes.len;
		return check_number(c, bytes);
	case TAG_S:
		return check_text(c, &bytes);
	case TAG_B:
		return check_varint_bytes(c, &bytes);
	case TAG_SS:
	case TAG_NS:
	case TAG_BS:
	case TAG_L:
	case TAG_M:
		return check_container(c, tag, depth);
	default:
		return fail(c, "an unknown type");
	}
}

enum status
av_check(struct slice bytes, struct err *err)
{
	struct check c = {(const uint8_t *)bytes.data, NULL, NULL};

	if (bytes.len > 0) /* nothing may have no place */
		c.end = c.at + bytes.len;
	else
		c.end = c.at;
	if (bytes.len > UINT32_MAX)
		fail(&c, "it is longer than any value");
	else if (check_value(&c, AV_DEPTH_MAX) && c.at != c.end)
		fail(&c, "bytes follow the value");
	if (c.wrong != NULL)
		return err_set(err, S_CORRUPT, "An attribute value is malformed: %s", c.wrong);
	return S_OK;
}
