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

/* Quoted text at `to`, which is the end of out; the place behind it. There is room for it without escapes and AROUND.
 */
static inline char *
write_text(struct buf *out, char *to, struct slice text)
{
	char *behind = json_write_plain(to, text);

	if (behind == NULL) {
		ends_at(out, to);
		json_put_string(out, text);
		buf_reserve(out, AROUND);
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

static void write_container(struct buf *out, struct av container);

/*
 * The value behind `to`, the end of out, where AROUND bytes are free; the new end, with some of them left for a comma,
 * a bracket and a brace. What is not written through `to` is told to out first, and asked of it after.
 */
static inline char *
write_value(struct buf *out, char *to, struct av value)
{
	struct slice bytes;

	switch (value.data[0]) {
	case TAG_NULL:
		return WRITE(to, "{\"NULL\":true}");
	case TAG_FALSE:
		return WRITE(to, "{\"BOOL\":false}");
	case TAG_TRUE:
		return WRITE(to, "{\"BOOL\":true}");
	}
	ends_at(out, to);
	switch (value.data[0]) {
	case TAG_S:
		bytes = av_bytes(value);
		buf_reserve(out, bytes.len + 2 * AROUND);
		to = WRITE(end_of(out), "{\"S\":");
		to = write_text(out, to, bytes);
		*to++ = '}';
		break;
	case TAG_N:
		buf_reserve(out, NUMBER_TEXT_MAX + 2 * AROUND);
		to = WRITE(end_of(out), "{\"N\":\"");
		to += number_format_encoded(av_bytes(value), to);
		to = WRITE(to, "\"}");
		break;
	case TAG_B:
		bytes = av_bytes(value);
		buf_reserve(out, BASE64_LENGTH(bytes.len) + 2 * AROUND);
		to = WRITE(end_of(out), "{\"B\":\"");
		to = base64_write(to, bytes);
		to = WRITE(to, "\"}");
		break;
	case TAG_L:
	case TAG_M:
		buf_put_lit(out, "{\"");
		buf_put_byte(out, value.data[0] == TAG_L ? 'L' : 'M');
		buf_put_lit(out, "\":");
		write_container(out, value);
		buf_put_byte(out, '}');
		buf_reserve(out, AROUND);
		to = end_of(out);
		break;
	default:
		write_set(out, value);
		buf_reserve(out, AROUND);
		to = end_of(out);
	}
	return to;
}

/* A list or map without its type. Recursion is bounded as the value's depth is. */
static void
write_container(struct buf *out, struct av container)
{
	bool map = container.data[0] == TAG_M;
	struct av_iter it = av_iter(container);
	char *to;

	buf_reserve(out, container.len + AROUND);
	to = end_of(out);
	*to++ = map ? '{' : '[';
	for (bool first = true; av_next(&it); first = false) {
		/* the length is told to out only here, the rest is in `to` */
		ends_at(out, to);
		buf_reserve(out, (map ? it.name.len : 0) + 2 * AROUND);
		to = end_of(out);
		if (!first)
			*to++ = ',';
		if (map) {
			to = write_text(out, to, it.name);
			*to++ = ':';
		}
		to = write_value(out, to, it.value);
	}
	ends_at(out, to);
	buf_put_byte(out, map ? '}' : ']');
}

void
av_write_json(struct buf *out, struct av value)
{
	buf_reserve(out, AROUND);
	ends_at(out, write_value(out, end_of(out), value));
}

void
item_write_json(struct buf *out, struct av item)
{
	write_container(out, item);
}
