/* The second pass over a request: what breaks the API model's constraints. */
#include "api/shape_int.h"

#include <stdarg.h>
#include <stdio.h>

#include "api/message.h"
#include "base/wording.h"

/* Where we are, as a chain on the stack; written out only when something is wrong. */
struct place {
	const struct place *above;
	const char *name; /* a member ... */
	uint32_t number;  /* ... or an element of a list, from 1 ... */
	struct slice key; /* ... or of a map */
};

struct checker {
	struct buf text;
	int failures;
	bool moved;     /* the operation tells its members in the newer wording, and none that it needs is missing */
	bool alone;     /* text holds the one failure that is told */
	bool enveloped; /* of that */
};

static bool
is_moved(const struct checker *c, const struct field *f)
{
	return c->moved && (f->flags & FIELD_MOVED);
}

static bool
is_early(const struct checker *c, const struct field *f)
{
	return c->moved && (f->flags & FIELD_EARLY);
}

static void check_fields(struct checker *c, const struct shape *shape, const void *in, const struct place *above);

static void
put_place(struct buf *out, const struct place *p, bool as_it_is)
{
	if (p->above != NULL) {
		put_place(out, p->above, as_it_is);
		buf_put_byte(out, '.');
	}
	if (p->name != NULL)
		shape_put_name(out, p->name, as_it_is);
	else if (p->number > 0)
		buf_printf(out, "%u.member", p->number);
	else
		buf_printf(out, "%.*s.member", SLICE_ARG(p->key));
}

/* In the newer words. Of a FIELD_FIRST nothing else is told; when there are two, the first of them. */
static void
begin_moved(struct checker *c, const struct field *f, const char *path)
{
	enum wording id = f->type == SHAPE_ENUM ? W_CONSTRAINT_ENUM : W_CONSTRAINT;

	if (f->flags & FIELD_FIRST) {
		c->text.len = 0;
		c->alone = true;
		/* what the service does not tell as a member's fault stands in the envelope where all else does */
		c->enveloped = f->type != SHAPE_ENUM || wording_is_2026(WORDING_ENVELOPE);
	} else if (c->failures > 1) {
		buf_put_lit(&c->text, "; ");
	}
	buf_printf(&c->text, wording_rows[id].text[1], "", path);
}

/* Only the empty name of a table is told anew. */
static bool
is_named_table(const struct field *f, const void *at)
{
	return f->type == SHAPE_TABLE && ((const struct slice *)at)->len > 0;
}

/* "Value 'x' at 'a.b' failed to satisfy constraint: " and what the caller says. False: enough was told. */
static bool
begin_failure(struct checker *c, const struct field *f, const void *at, const struct place *place)
{
	bool moved = is_moved(c, f) && f->type != SHAPE_MAP && shape_is_set(f, at) && !is_named_table(f, at);
	struct buf value = {0}, path = {0};

	if (c->alone || c->failures >= SHAPE_FAILURES_MAX)
		return false;
	c->failures++;
	if (!moved)
		shape_put_value(&value, f, at, is_early(c, f));
	buf_put_byte(&value, '\0');
	put_place(&path, place, moved);
	buf_put_byte(&path, '\0');
	if (moved) {
		begin_moved(c, f, path.data);
	} else {
		buf_printf(&c->text, "%s", c->failures > 1 ? "; " : "");
		buf_printf(&c->text, wording_rows[W_CONSTRAINT].text[0], value.data, path.data);
	}
	buf_done(&value);
	buf_done(&path);
	return true;
}

static void __attribute__((format(printf, 5, 6)))
fail(struct checker *c, const struct field *f, const void *at, const struct place *place, const char *format, ...)
{
	char text[512];
	va_list args;

	if (!begin_failure(c, f, at, place))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	buf_put(&c->text, text, strlen(text));
}

bool
shape_is_name(struct slice text)
{
	static const bool fits[256] = {
	    ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['_'] = true, ['.'] = true, ['-'] = true};

	for (size_t i = 0; i < text.len; i++)
		if (!fits[(unsigned char)text.data[i]])
			return false;
	return text.len > 0;
}

/* ---- patterns ---- */

static bool
all_of(struct slice text, const char *set)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] == '\0' || strchr(set, text.data[i]) == NULL)
			return false;
	return true;
}

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS  "0123456789"

static bool
is_account(struct slice text)
{
	return text.len == 12 && all_of(text, DIGITS);
}

static bool
is_bucket(struct slice text)
{
	return text.len >= 2 && all_of(text, LETTERS DIGITS ".-_") && all_of(slice_of(text.data, 1), LETTERS DIGITS) &&
	       all_of(slice_of(text.data + text.len - 1, 1), LETTERS DIGITS);
}

static bool
has_no_dollar(struct slice text)
{
	return text.len > 0 && memchr(text.data, '$', text.len) == NULL;
}

static bool
is_delimiter(struct slice text)
{
	return text.len == 1 && all_of(text, ",;:|\t ");
}

static bool
is_header(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] < ' ' || text.data[i] > '~' || text.data[i] == '"' || text.data[i] == ',')
			return false;
	return true;
}

static bool
is_hex(struct slice text)
{
	return text.len > 0 && text.len % 16 == 0 && all_of(text, DIGITS "abcdef");
}

static bool
is_print(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f)
			return false;
	return text.len > 0;
}

static bool
is_text(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.data[i] < ' ' && !all_of(slice_of(text.data + i, 1), "\r\n\t"))
			return false;
	return true;
}

static const struct {
	const char *words;
	bool (*holds)(struct slice text);
} patterns[] = {
    [PATTERN_NAME] = {MSG_NAME_PATTERN, shape_is_name},
    [PATTERN_ACCOUNT] = {MSG_PATTERN "[0-9]{12}", is_account},
    [PATTERN_BUCKET] = {MSG_PATTERN "^[a-z0-9A-Z]+[\\.\\-\\w]*[a-z0-9A-Z]+$", is_bucket},
    [PATTERN_NO_DOLLAR] = {MSG_PATTERN "^[^\\$]+$", has_no_dollar},
    [PATTERN_DELIMITER] = {MSG_PATTERN "[,;:|\\t ]", is_delimiter},
    [PATTERN_HEADER] = {MSG_PATTERN "[\\x20-\\x21\\x23-\\x2B\\x2D-\\x7E]*", is_header},
    [PATTERN_HEX] = {MSG_PATTERN "([0-9a-f]{16})+", is_hex},
    [PATTERN_PRINT] = {MSG_PATTERN "\\p{Print}+", is_print},
    [PATTERN_TEXT] = {MSG_PATTERN "[\\u0020-\\uD7FF\\uE000-\\uFFFD\\uD800\\uDC00-\\uDBFF\\uDFFF\\r\\n\\t]*", is_text},
};

static void
check_pattern(struct checker *c, const struct field *f, const struct slice *text, const struct place *place)
{
	unsigned pattern = f->flags & FIELD_NAME ? PATTERN_NAME : f->pattern;

	if (pattern != PATTERN_NONE && !patterns[pattern].holds(*text))
		fail(c, f, text, place, "%s", patterns[pattern].words);
}

/* ---- lengths and values ---- */

/* Characters, as the service counts lengths (UTF-16 units there; the same for all names that pass the patterns). */
int64_t
shape_characters(struct slice text)
{
	int64_t count = 0;

	for (size_t i = 0; i < text.len; i++)
		count += ((unsigned char)text.data[i] & 0xC0) != 0x80;
	return count;
}

static void
check_length(struct checker *c, const struct field *f, const void *at, const struct place *place, int64_t length)
{
	if (!f->limits.on)
		return;
	if (length < f->limits.least)
		fail(c, f, at, place, MSG_AT_LEAST_LENGTH, (long long)f->limits.least);
	if (length > f->limits.most)
		fail(c, f, at, place, MSG_AT_MOST_LENGTH, (long long)f->limits.most);
}

static void
check_enum(struct checker *c, const struct field *f, const struct in_enum *value, const struct place *place)
{
	if (value->value != 0 || !begin_failure(c, f, value, place))
		return;
	buf_put_lit(&c->text, MSG_ENUM);
	if (is_moved(c, f)) {
		const char *values = wording_rows[f->moved_values].text[1];

		buf_put(&c->text, values, strlen(values));
		return;
	}
	buf_put_byte(&c->text, '[');
	for (int i = 0; f->values[i] != NULL; i++)
		buf_printf(&c->text, "%s%s", i > 0 ? ", " : "", f->values[i]);
	buf_put_byte(&c->text, ']');
}

static void
check_map_keys(struct checker *c, const struct field *f, const struct in_map *map, const struct place *place)
{
	if (is_moved(c, f) && (f->flags & FIELD_LATE) && c->failures > 0)
		return;
	for (uint32_t i = 0; i < map->count; i++) {
		struct slice key = map->keys[i];

		if (slice_starts(key, SLICE("arn:")) && key.len <= 1024)
			continue;
		if (key.len < 3 || key.len > 255 || !shape_is_name(key)) {
			fail(c, f, map, place, MSG_MAP_KEYS);
			return;
		}
	}
}

/* The elements of a list of a map, in the newer wording. */
static const struct field many_element = ELEMENT("member", SHAPE_LIST, FIELD_MOVED | FIELD_FIRST);

static void
check_map_values(struct checker *c, const struct field *f, const struct in_map *map, const struct place *place)
{
	for (uint32_t i = 0; i < map->count; i++) {
		const struct in_list *list = (const struct in_list *)map->items + i;

		if (is_moved(c, f) && list->total > (uint64_t)f->element_max) {
			struct place element = {.above = place, .key = map->keys[i]};

			fail(c, &many_element, list, &element, MSG_AT_MOST_LENGTH, (long long)f->element_max);
			return;
		}
		if (list->total == 0 || list->total > (uint64_t)f->element_max) {
			fail(c, f, map, place, MSG_MAP_VALUES, (long long)f->element_max);
			return;
		}
	}
}

static void
check_table(struct checker *c, const struct field *f, const struct slice *name, const struct place *place)
{
	bool control_plane = f->flags & FIELD_PARAMETER;

	if (name->len == 0 && !control_plane) {
		fail(c, f, name, place, MSG_AT_LEAST_LENGTH, 1LL);
		return;
	}
	if (slice_starts(*name, SLICE("arn:"))) {
		if (name->len > 1024)
			fail(c, f, name, place, MSG_AT_MOST_LENGTH, 1024LL);
		return;
	}
	if (!control_plane && !shape_is_name(*name))
		fail(c, f, name, place, MSG_NAME_PATTERN);
	if (name->len < 3)
		fail(c, f, name, place, MSG_AT_LEAST_LENGTH, 3LL);
	if (control_plane && !shape_is_name(*name))
		fail(c, f, name, place, MSG_NAME_PATTERN);
	if (name->len > 255 && shape_characters(*name) > 255)
		fail(c, f, name, place, MSG_AT_MOST_LENGTH, 255LL);
}

static void
check_field(struct checker *c, const struct field *f, const void *at, const struct place *place)
{
	if (!shape_is_set(f, at)) {
		if (f->flags & FIELD_REQUIRED)
			fail(c, f, at, place, MSG_NULL);
		return;
	}
	switch ((enum shape_type)f->type) {
	case SHAPE_STRING: {
		struct slice text = *(const struct slice *)at;

		check_pattern(c, f, at, place);
		if (f->limits.on)
			check_length(c, f, at, place, shape_characters(text));
		break;
	}
	case SHAPE_ENUM:
		check_enum(c, f, at, place);
		break;
	case SHAPE_INT:
	case SHAPE_LONG: {
		const struct in_long *number = at;

		if (f->limits.on && number->value < f->limits.least)
			fail(c, f, at, place, MSG_AT_LEAST, (long long)f->limits.least);
		if (f->limits.on && number->value > f->limits.most)
			fail(c, f, at, place, MSG_AT_MOST, (long long)f->limits.most);
		break;
	}
	case SHAPE_STRUCT:
		check_fields(c, f->shape, *(void *const *)at, place);
		break;
	case SHAPE_LIST: {
		const struct in_list *list = at;

		check_length(c, f, at, place, list->total);
		for (uint32_t i = 0; i < list->count && c->failures < SHAPE_FAILURES_MAX; i++) {
			struct place element = {.above = place, .number = i + 1};

			check_field(c, f->element, (char *)list->items + i * shape_value_size(f->element), &element);
		}
		break;
	}
	case SHAPE_MAP: {
		const struct in_map *map = at;

		check_length(c, f, at, place, map->total);
		if (f->flags & FIELD_MAP_KEYS)
			check_map_keys(c, f, map, place);
		if (f->element_max > 0)
			check_map_values(c, f, map, place);
		for (uint32_t i = 0; i < map->count && c->failures < SHAPE_FAILURES_MAX; i++) {
			struct place element = {.above = place, .key = map->keys[i]};

			check_field(c, f->element, (char *)map->items + i * shape_value_size(f->element), &element);
		}
		break;
	}
	case SHAPE_TABLE:
		check_table(c, f, at, place);
		break;
	case SHAPE_BOOL:
	case SHAPE_DOUBLE:
	case SHAPE_ITEM:
	case SHAPE_VALUE:
	case SHAPE_NAMES:
	case SHAPE_VALUES:
	case SHAPE_ANY:
		break;
	}
}

static void
check_fields(struct checker *c, const struct shape *shape, const void *in, const struct place *above)
{
	for (const struct field *f = shape->fields; f->name != NULL; f++) {
		struct place place = {.above = above, .name = f->name};

		if (!is_early(c, f))
			check_field(c, f, (const char *)in + f->offset, &place);
	}
}

static void
check_early(struct checker *c, const struct shape *shape, const void *in)
{
	for (const struct field *f = shape->fields; f->name != NULL; f++) {
		struct place place = {.name = f->name};

		if (is_early(c, f))
			check_field(c, f, (const char *)in + f->offset, &place);
	}
}

static bool
lacks_required(const struct shape *shape, const void *in)
{
	for (const struct field *f = shape->fields; f->name != NULL; f++)
		if ((f->flags & FIELD_REQUIRED) && !shape_is_set(f, (const char *)in + f->offset))
			return true;
	return false;
}

/*
 * A table name that breaks its rules is told alone, unless a required member is missing: then it takes its place among
 * the others.
 */
static void
check_table_first(struct checker *c, const struct shape *shape, const void *in)
{
	for (const struct field *f = shape->fields; f->name != NULL; f++)
		if (f->type == SHAPE_TABLE && !(f->flags & FIELD_AMONG)) {
			struct place place = {.name = f->name};

			check_field(c, f, (const char *)in + f->offset, &place);
		}
}

enum status
shape_check(const struct shape *shape, const void *in, struct err *err)
{
	struct checker c = {0};
	enum status s = S_OK;

	for (const struct field *f = shape->fields; f->name != NULL; f++) {
		const void *at = (const char *)in + f->offset;

		if ((f->flags & FIELD_PARAMETER) && !shape_is_set(f, at))
			return err_set(err, S_VALIDATION, MSG_PARAMETER_REQUIRED, f->name);
	}
	if (!lacks_required(shape, in)) {
		c.moved = wording_is_2026(WORDING_MEMBERS);
		check_table_first(&c, shape, in);
	}
	if (c.failures == 0) {
		if (c.moved)
			check_early(&c, shape, in);
		check_fields(&c, shape, in, NULL);
	}
	if (c.failures > 0) {
		buf_put_byte(&c.text, '\0');
		if (c.alone)
			s = err_set(err, S_VALIDATION, "%s%s", c.enveloped ? WORDING_DETECTED : "", c.text.data);
		else
			s = err_set(err, S_VALIDATION, MSG_DETECTED, c.failures, c.failures > 1 ? "s" : "",
				    c.text.data);
	}
	buf_done(&c.text);
	return s;
}
