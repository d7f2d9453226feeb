#include "codec/base64.h"
#include "model/av_json.h"
#include "model/number.h"

/* Room for everything around the text of a scalar: quotes, braces, colon, the longest type name, a comma. */
#define AROUND 32

/* Appends text whose length the compiler knows, where there is room. */
#define WRITE(to, literal) ((char *)memcpy((to), (literal), sizeof(literal) - 1) + sizeof(literal) - 1)

static inline char *
end_of(const struct buf *out)
{
	return out->data + out->len;
}

static inline void
ends_at(struct buf *out, const char *to)
{
	out->len = (size_t)(to - out->data);
}

/* The same place behind out's bytes up to `to`, with room for `more`. */
static inline char *
with_room(struct buf *out, char *to, size_t more)
{
	if ((size_t)(out->data + out->cap - to) < more) {
		ends_at(out, to);
		buf_grow(out, more);
		to = end_of(out);
	}
	return to;
}

/*
 * Quoted text at `to`, where there is room for it without escapes and AROUND; the place behind it. What lies behind the
 * text can be read up to `end`.
 */
static inline char *
write_text(struct buf *out, char *to, struct slice text, const uint8_t *end)
{
	bool is_short = text.len <= 16 && (const char *)end - text.data >= 16;
	char *behind = is_short ? json_write_short(to, text) : json_write_plain(to, text);

	if (behind == NULL) {
		ends_at(out, to);
		json_put_string(out, text);
		buf_reserve(out, 2 * AROUND);
		behind = end_of(out);
	}
	return behind;
}

static void
write_element(struct buf *out, uint8_t tag, struct slice element)
{
	char *to;

	switch (tag) {
	case TAG_SS:
		json_put_string(out, element);
		break;
	case TAG_NS:
		buf_reserve(out, NUMBER_TEXT_MAX + AROUND);
		to = end_of(out);
		*to++ = '"';
		to += number_format_encoded(element, to);
		*to++ = '"';
		ends_at(out, to);
		break;
	default:
		buf_reserve(out, BASE64_LENGTH(element.len) + AROUND);
		to = end_of(out);
		*to++ = '"';
		to = base64_write(to, element);
		*to++ = '"';
		ends_at(out, to);
	}
}

static void
write_set(struct buf *out, struct av set)
{
	struct av_iter it = av_iter(set);
	bool first = true;

	buf_put_lit(out, "{\"");
	buf_put(out, av_type_name(av_type(set)), 2);
	buf_put_lit(out, "\":[");
	while (av_next(&it)) {
		if (!first)
			buf_put_byte(out, ',');
		first = false;
		write_element(out, it.tag, it.element);
	}
	buf_put_lit(out, "]}");
}

static char *write_container(struct buf *out, char *to, struct av container);

static char *
write_scarce(struct buf *out, char *to, struct av value)
{
	if (value.data[0] < TAG_L) {
		ends_at(out, to);
		write_set(out, value);
		buf_reserve(out, AROUND);
		return end_of(out);
	}
	to = value.data[0] == TAG_L ? WRITE(to, "{\"L\":") : WRITE(to, "{\"M\":");
	to = write_container(out, to, value);
	*to++ = '}';
	return to;
}

/*
 * The value at *at goes to `to`, and *at behind it. At `to` AROUND bytes are free, and behind what is written still
 * enough for a comma and two brackets. Up to `end` can be read.
 */
static inline char *
write_next(struct buf *out, char *to, const uint8_t **at, const uint8_t *end)
{
	const uint8_t *value = *at;
	struct slice bytes;
	uint32_t len;

	switch (*value) {
	case TAG_S:
		bytes.data = (const char *)av_raw_varint(value + 1, &len);
		bytes.len = len;
		*at = (const uint8_t *)bytes.data + len;
		to = with_room(out, to, bytes.len + 2 * AROUND);
		to = WRITE(to, "{\"S\":");
		to = write_text(out, to, bytes, end);
		*to++ = '}';
		return to;
	case TAG_N:
		*at = value + 2 + value[1];
		to = with_room(out, to, NUMBER_TEXT_MAX + 2 * AROUND);
		to = WRITE(to, "{\"N\":\"");
		to += number_format_encoded(slice_of(value + 2, value[1]), to);
		return WRITE(to, "\"}");
	case TAG_B:
		bytes.data = (const char *)av_raw_varint(value + 1, &len);
		bytes.len = len;
		*at = (const uint8_t *)bytes.data + len;
		to = with_room(out, to, BASE64_LENGTH(bytes.len) + 2 * AROUND);
		to = WRITE(to, "{\"B\":\"");
		to = base64_write(to, bytes);
		return WRITE(to, "\"}");
	case TAG_NULL:
		*at = value + 1;
		return WRITE(to, "{\"NULL\":true}");
	case TAG_FALSE:
		*at = value + 1;
		return WRITE(to, "{\"BOOL\":false}");
	case TAG_TRUE:
		*at = value + 1;
		return WRITE(to, "{\"BOOL\":true}");
	default:
		len = av_raw_span(value);
		*at = value + len;
		return write_scarce(out, to, (struct av){value, len});
	}
}

/* A list or map without its type, at `to`, with AROUND free bytes behind it. Recursion is bounded as the value's depth
 * is. */
static char *
write_container(struct buf *out, char *to, struct av container)
{
	const uint8_t *at = container.data + AV_HEAD_BYTES, *end = container.data + container.len;
	bool map = container.data[0] == TAG_M;

	to = with_room(out, to, container.len + AROUND);
	*to++ = map ? '{' : '[';
	while (at < end) {
		if (map) {
			struct slice name;
			uint32_t len;

			name.data = (const char *)av_raw_varint(at, &len);
			name.len = len;
			at = (const uint8_t *)name.data + len;
			to = with_room(out, to, name.len + 2 * AROUND);
			to = write_text(out, to, name, end);
			*to++ = ':';
		} else {
			to = with_room(out, to, 2 * AROUND);
		}
		to = write_next(out, to, &at, end);
		*to++ = ',';
	}
	to -= to[-1] == ','; /* of the last one; an empty container has none */
	*to++ = map ? '}' : ']';
	return with_room(out, to, AROUND);
}

void
av_write_json(struct buf *out, struct av value)
{
	const uint8_t *at = value.data;

	buf_reserve(out, AROUND);
	ends_at(out, write_next(out, end_of(out), &at, value.data + value.len));
}

void
item_write_json(struct buf *out, struct av item)
{
	buf_reserve(out, item.len + AROUND);
	ends_at(out, write_container(out, end_of(out), item));
}
