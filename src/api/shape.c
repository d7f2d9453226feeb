#include "api/shape.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/message.h"
#include "base/wording.h"
#include "model/av_json.h"

/* ---- first pass: JSON to struct ---- */

struct reader {
	struct json_reader json;
	struct err *err;
	bool told; /* err holds the first failure's words */
};

static void read_value(struct reader *r, const struct field *f, void *at, bool element);

/* The first failure wins; the reader latches so that everything above returns. */
static void __attribute__((format(printf, 2, 3))) fail_type(struct reader *r, const char *format, ...)
{
	char text[512];
	va_list args;

	if (json_failed(&r->json) || r->told)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	err_set(r->err, S_SERIALIZATION, "%s", text);
	r->told = true;
	json_fail(&r->json, "wrong type");
}

static const char *
java_name(const struct field *f)
{
	switch (f->type) {
	case SHAPE_BOOL:
		return "Boolean";
	case SHAPE_INT:
		return "Integer";
	case SHAPE_LONG:
		return "Long";
	default:
		return "String";
	}
}

/* What the service says when a scalar member holds something else. */
static void
fail_scalar(struct reader *r, const struct field *f, enum json_type found)
{
	switch (found) {
	case JSON_BOOL: {
		bool value = json_bool(&r->json);

		fail_type(r, MSG_CANNOT_CONVERT, value ? "TRUE_VALUE" : "FALSE_VALUE", java_name(f));
		break;
	}
	case JSON_NUMBER: {
		struct slice text = json_number(&r->json);
		bool decimal = memchr(text.data ? text.data : "", '.', text.len) != NULL;

		fail_type(r, MSG_CANNOT_CONVERT, decimal ? "DECIMAL_VALUE" : "NUMBER_VALUE", java_name(f));
		break;
	}
	case JSON_STRING:
		json_string(&r->json);
		fail_type(r, MSG_CANNOT_CONVERT, "STRING_VALUE", java_name(f));
		break;
	case JSON_ARRAY:
		fail_type(r, MSG_COLLECTION, java_name(f));
		break;
	case JSON_OBJECT:
		fail_type(r, MSG_STRUCTURE);
		break;
	default:
		json_skip(&r->json);
	}
}

static bool
enter_list(struct reader *r, bool element)
{
	switch (json_peek(&r->json)) {
	case JSON_ARRAY:
		return json_enter_array(&r->json);
	case JSON_OBJECT:
		fail_type(r, MSG_STRUCTURE);
		return false;
	default:
		json_skip(&r->json);
		fail_type(r, "%s", element ? MSG_CAST : MSG_FIELD_TYPE);
		return false;
	}
}

/* elements: of the lists that are its values; NULL when they are none. */
static bool
enter_map(struct reader *r, const struct shape *value, const struct field *elements)
{
	switch (json_peek(&r->json)) {
	case JSON_OBJECT:
		return json_enter_object(&r->json);
	case JSON_ARRAY:
		if (elements != NULL)
			fail_type(r, MSG_COLLECTION_LISTS, elements->shape->name);
		else if (value != NULL)
			fail_type(r, MSG_COLLECTION_MAP, "com.amazonaws.dynamodb.v20120810.", value->name);
		else
			fail_type(r, MSG_COLLECTION_MAP, "java.lang.", "String");
		return false;
	default:
		json_skip(&r->json);
		fail_type(r, MSG_FIELD_TYPE);
		return false;
	}
}

static size_t
value_size(const struct field *f)
{
	switch (f->type) {
	case SHAPE_ENUM:
		return sizeof(struct in_enum);
	case SHAPE_BOOL:
		return sizeof(uint8_t);
	case SHAPE_INT:
	case SHAPE_LONG:
		return sizeof(struct in_long);
	case SHAPE_STRUCT:
		return sizeof(void *);
	case SHAPE_LIST:
		return sizeof(struct in_list);
	case SHAPE_MAP:
		return sizeof(struct in_map);
	case SHAPE_ITEM:
	case SHAPE_VALUE:
		return sizeof(struct in_item);
	default:
		return sizeof(struct slice);
	}
}

/* Room for one more in an arena array; doubling, so what is left behind is at most as much again. */
static void *
grow(struct arena *arena, void *items, uint32_t count, size_t size)
{
	char *bigger;

	if (count == 0)
		return arena_alloc(arena, 4 * size);
	if (count < 4 || (count & (count - 1)) != 0)
		return items;
	bigger = arena_alloc(arena, (size_t)count * 2 * size);
	memcpy(bigger, items, (size_t)count * size);
	return bigger;
}

static int
slice_order(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

/* A member name twice in one object is no JSON the service could mean; sorted, so a hostile map costs n log n. */
static void
refuse_duplicates(struct reader *r, const struct slice *names, uint32_t count)
{
	struct slice *sorted;

	if (count < 2)
		return;
	if (count == 2) {
		if (slice_eq(names[0], names[1]))
			json_fail(&r->json, "a member name appears twice");
		return;
	}
	sorted = arena_alloc(r->json.arena, count * sizeof *sorted);
	memcpy(sorted, names, count * sizeof *sorted);
	qsort(sorted, count, sizeof *sorted, slice_order);
	for (uint32_t i = 1; i < count; i++)
		if (slice_eq(sorted[i - 1], sorted[i])) {
			json_fail(&r->json, "a member name appears twice");
			return;
		}
}

static void
read_list(struct reader *r, const struct field *f, struct in_list *list, bool element)
{
	size_t size = value_size(f->element);
	uint32_t most = f->flags & FIELD_MANY ? SHAPE_MANY_MAX : SHAPE_KEPT_MAX;

	list->set = true;
	if (!enter_list(r, element))
		return;
	while (json_next_element(&r->json)) {
		char scratch[sizeof(struct in_map)];
		void *at = memset(scratch, 0, sizeof scratch);

		if (list->count < most) {
			list->items = grow(r->json.arena, list->items, list->count, size);
			at = memset((char *)list->items + list->count * size, 0, size);
			list->count++;
			read_value(r, f->element, at, true);
		} else {
			json_skip(&r->json);
		}
		list->total++;
	}
}

static void
read_map(struct reader *r, const struct field *f, struct in_map *map)
{
	size_t size = value_size(f->element);
	uint32_t most = f->flags & FIELD_MANY ? SHAPE_MANY_MAX : SHAPE_KEPT_MAX;
	struct slice name;

	map->set = true;
	if (!enter_map(r, f->element->shape, f->element->element))
		return;
	while (json_next_member(&r->json, &name)) {
		if (map->count < most) {
			void *at;

			map->keys = grow(r->json.arena, map->keys, map->count, sizeof *map->keys);
			map->items = grow(r->json.arena, map->items, map->count, size);
			map->keys[map->count] = name;
			at = memset((char *)map->items + map->count * size, 0, size);
			map->count++;
			read_value(r, f->element, at, true);
		} else {
			json_skip(&r->json);
		}
		map->total++;
	}
	refuse_duplicates(r, map->keys, map->count);
}

/* What reading a value or a map of them came to. */
static void
keep_item(struct reader *r, struct in_item *item, enum status s)
{
	item->set = true;
	if (s == S_VALIDATION) {
		item->failure = arena_dup(r->json.arena, slice_str(r->err->message)).data;
		item->value = AV_NONE;
	} else if (s != S_OK) {
		r->told = s == S_SERIALIZATION;
		json_fail(&r->json, "broken item");
	}
}

static void
read_item(struct reader *r, struct in_item *item, enum json_type found, bool element)
{
	if (element && found != JSON_OBJECT && found != JSON_ARRAY) {
		json_skip(&r->json);
		fail_type(r, MSG_CAST);
		return;
	}
	keep_item(r, item, item_read_json(&r->json, r->json.arena, &item->value, r->err));
}

static void
read_attribute_value(struct reader *r, struct in_item *value, enum json_type found, bool element)
{
	if (!element && found != JSON_OBJECT) { /* the reader of values words these as of an element */
		if (found == JSON_ARRAY) {
			fail_type(r, MSG_COLLECTION_STRUCT, "AttributeValue");
		} else {
			json_skip(&r->json);
			fail_type(r, MSG_FIELD_TYPE);
		}
		return;
	}
	keep_item(r, value, av_read_json(&r->json, r->json.arena, &value->value, r->err));
}

static void
read_names(struct reader *r, struct in_params *in)
{
	struct slice placeholder;
	struct slice *seen = NULL;

	in->p.has_names = true;
	if (!enter_map(r, NULL, NULL))
		return;
	while (json_next_member(&r->json, &placeholder)) {
		static const struct field text = ELEMENT("member", SHAPE_STRING, 0);
		struct expr_name *name;

		if (in->p.name_count >= SHAPE_SUBSTITUTES_MAX) {
			json_fail(&r->json, "too many names");
			return;
		}
		in->p.names = grow(r->json.arena, in->p.names, (uint32_t)in->p.name_count, sizeof *in->p.names);
		seen = grow(r->json.arena, seen, (uint32_t)in->p.name_count, sizeof *seen);
		seen[in->p.name_count] = placeholder;
		name = &in->p.names[in->p.name_count++];
		*name = (struct expr_name){.placeholder = placeholder};
		read_value(r, &text, &name->name, true);
	}
	refuse_duplicates(r, seen, (uint32_t)in->p.name_count);
}

static const struct shape attribute_value = {.name = "AttributeValue"};

static void
read_values(struct reader *r, struct in_params *in)
{
	struct slice placeholder;
	struct slice *seen = NULL;

	in->p.has_values = true;
	if (!enter_map(r, &attribute_value, NULL))
		return;
	while (json_next_member(&r->json, &placeholder)) {
		struct expr_value *value;
		enum status s;

		if (in->p.value_count >= SHAPE_SUBSTITUTES_MAX) {
			json_fail(&r->json, "too many values");
			return;
		}
		in->p.values = grow(r->json.arena, in->p.values, (uint32_t)in->p.value_count, sizeof *in->p.values);
		seen = grow(r->json.arena, seen, (uint32_t)in->p.value_count, sizeof *seen);
		seen[in->p.value_count] = placeholder;
		value = &in->p.values[in->p.value_count++];
		*value = (struct expr_value){.placeholder = placeholder};
		s = av_read_json(&r->json, r->json.arena, &value->value, r->err);
		if (s == S_VALIDATION) { /* told when the expressions are looked at */
			value->invalid = arena_dup(r->json.arena, slice_str(r->err->message));
			value->value = AV_NONE;
		} else if (s != S_OK) {
			r->told = s == S_SERIALIZATION;
			json_fail(&r->json, "broken value");
			return;
		}
	}
	refuse_duplicates(r, seen, (uint32_t)in->p.value_count);
}

static const struct field *
field_find(const struct shape *shape, struct slice name, unsigned *ret_index)
{
	const struct field *f = shape->fields;

	for (unsigned i = 0; f->name != NULL; f++, i++)
		if (f->length == name.len && memcmp(f->name, name.data, name.len) == 0) {
			*ret_index = i;
			return f;
		}
	return NULL;
}

static void
read_members(struct reader *r, const struct shape *shape, void *in)
{
	uint64_t seen = 0;
	struct slice name;

	while (json_next_member(&r->json, &name)) {
		unsigned index;
		const struct field *f = field_find(shape, name, &index);

		if (f == NULL) {
			json_skip(&r->json);
			continue;
		}
		if (seen & (UINT64_C(1) << index)) {
			json_fail(&r->json, "a member name appears twice");
			return;
		}
		seen |= UINT64_C(1) << index;
		read_value(r, f, (char *)in + f->offset, false);
	}
}

static void
read_struct(struct reader *r, const struct shape *shape, void **ret, bool element)
{
	switch (json_peek(&r->json)) {
	case JSON_OBJECT:
		*ret = arena_zalloc(r->json.arena, shape->size);
		if (json_enter_object(&r->json))
			read_members(r, shape, *ret);
		break;
	case JSON_ARRAY:
		fail_type(r, MSG_COLLECTION_STRUCT, shape->name);
		break;
	default:
		json_skip(&r->json);
		fail_type(r, "%s", element ? MSG_VALUE_TYPE : MSG_FIELD_TYPE);
	}
}

static void
read_enum(const struct field *f, struct slice text, struct in_enum *ret)
{
	ret->text = text;
	for (int i = 0; f->values[i] != NULL; i++)
		if (strlen(f->values[i]) == text.len && memcmp(f->values[i], text.data, text.len) == 0) {
			ret->value = i + 1;
			return;
		}
}

/* Whole numbers; a fraction is cut off and a number too large for the type saturates, so that range checks see it. */
static int64_t
long_of(struct slice text, enum shape_type type)
{
	int64_t least = type == SHAPE_INT ? INT32_MIN : INT64_MIN, most = type == SHAPE_INT ? INT32_MAX : INT64_MAX;
	char digits[64];
	double wide;
	long long value;
	char *end;
	size_t len = text.len < sizeof digits - 1 ? text.len : sizeof digits - 1;

	if (len > 0) /* nothing after a failure of the reader */
		memcpy(digits, text.data, len);
	digits[len] = '\0';
	value = strtoll(digits, &end, 10); /* saturates by itself */
	if (*end == 'e' || *end == 'E' || *end == '.') {
		wide = strtod(digits, NULL);
		value = wide >= 9.2e18 ? INT64_MAX : wide <= -9.2e18 ? INT64_MIN : (long long)wide;
	}
	return value < least ? least : value > most ? most : value;
}

static void
read_bool(struct reader *r, const struct field *f, uint8_t *ret, enum json_type found)
{
	struct slice text;

	if (found == JSON_BOOL) {
		*ret = json_bool(&r->json) ? IN_TRUE : IN_FALSE;
		return;
	}
	if (found != JSON_STRING) {
		fail_scalar(r, f, found);
		return;
	}
	text = json_string(&r->json);
	if ((text.len == 4 && strncasecmp(text.data, "true", 4) == 0) || slice_eq(text, SLICE("1")) ||
	    (text.len == 3 && strncasecmp(text.data, "yes", 3) == 0))
		*ret = IN_TRUE;
	else if ((text.len == 5 && strncasecmp(text.data, "false", 5) == 0) || slice_eq(text, SLICE("0")) ||
		 (text.len == 2 && strncasecmp(text.data, "no", 2) == 0))
		*ret = IN_FALSE;
	else
		fail_type(r, MSG_UNEXPECTED_TOKEN);
}

static void
read_value(struct reader *r, const struct field *f, void *at, bool element)
{
	enum json_type found = json_peek(&r->json);

	if (found == JSON_NULL) { /* as if the member were not there */
		json_null(&r->json);
		return;
	}
	switch ((enum shape_type)f->type) {
	case SHAPE_STRING:
	case SHAPE_TABLE:
	case SHAPE_ENUM:
		if (found != JSON_STRING) {
			fail_scalar(r, f, found);
		} else {
			struct slice text = json_string(&r->json);

			if (text.data == NULL)
				text = SLICE("");
			if (f->type == SHAPE_ENUM)
				read_enum(f, text, at);
			else
				*(struct slice *)at = text;
		}
		break;
	case SHAPE_BOOL:
		read_bool(r, f, at, found);
		break;
	case SHAPE_INT:
	case SHAPE_LONG:
		if (found != JSON_NUMBER)
			fail_scalar(r, f, found);
		else
			*(struct in_long *)at = (struct in_long){long_of(json_number(&r->json), f->type), true};
		break;
	case SHAPE_STRUCT:
		read_struct(r, f->shape, at, element);
		break;
	case SHAPE_LIST:
		read_list(r, f, at, element);
		break;
	case SHAPE_MAP:
		read_map(r, f, at);
		break;
	case SHAPE_ITEM:
		read_item(r, at, found, element);
		break;
	case SHAPE_VALUE:
		read_attribute_value(r, at, found, element);
		break;
	case SHAPE_NAMES:
		read_names(r, at);
		break;
	case SHAPE_VALUES:
		read_values(r, at);
		break;
	case SHAPE_ANY:
		*(struct slice *)at = json_raw(&r->json);
		break;
	}
}

enum status
shape_read(struct slice body, const struct shape *shape, void *in, struct arena *arena, struct err *err)
{
	struct reader r = {.err = err};

	json_init(&r.json, body, arena);
	if (json_peek(&r.json) != JSON_OBJECT)
		return err_set(err, S_SERIALIZATION, "%s", "");
	if (json_enter_object(&r.json))
		read_members(&r, shape, in);
	json_end(&r.json);
	if (!json_failed(&r.json))
		return S_OK;
	if (!r.told)
		err_set(err, S_SERIALIZATION, "%s", "");
	return S_SERIALIZATION;
}

/* ---- second pass: constraints ---- */

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

#define VALUE_TEXT_MAX 1200 /* bytes of a value told in a message; the rest is cut */

/* Paths of the newer wording keep the case. */
static void
put_name(struct buf *out, const char *name, bool as_it_is)
{
	if (as_it_is) {
		buf_put(out, name, strlen(name));
		return;
	}
	buf_put_byte(out, (uint8_t)(name[0] >= 'A' && name[0] <= 'Z' ? name[0] - 'A' + 'a' : name[0]));
	buf_put(out, name + 1, strlen(name + 1));
}

static void
put_place(struct buf *out, const struct place *p, bool as_it_is)
{
	if (p->above != NULL) {
		put_place(out, p->above, as_it_is);
		buf_put_byte(out, '.');
	}
	if (p->name != NULL)
		put_name(out, p->name, as_it_is);
	else if (p->number > 0)
		buf_printf(out, "%u.member", p->number);
	else
		buf_printf(out, "%.*s.member", SLICE_ARG(p->key));
}

static bool is_set(const struct field *f, const void *at);

static void
put_item_text(struct buf *out, struct av item)
{
	const char *between = "";
	struct av_iter it;

	buf_put_byte(out, '{');
	if (av_exists(item))
		for (it = av_iter(item); av_next(&it) && out->len <= VALUE_TEXT_MAX;) {
			buf_printf(out, "%s%.*s=", between, SLICE_ARG(it.name));
			av_write_json(out, it.value);
			between = ", ";
		}
	buf_put_byte(out, '}');
}

/* A value as the service's Java prints it: [a, b], {k=v}, Class(member=value). */
static void
put_text(struct buf *out, const struct field *f, const void *at)
{
	const char *between = "";

	if (out->len > VALUE_TEXT_MAX)
		return;
	if (!is_set(f, at)) {
		buf_put_lit(out, "null");
		return;
	}
	switch ((enum shape_type)f->type) {
	case SHAPE_STRING:
	case SHAPE_TABLE:
	case SHAPE_ANY:
		buf_put_slice(out, *(const struct slice *)at);
		break;
	case SHAPE_ENUM:
		buf_put_slice(out, ((const struct in_enum *)at)->text);
		break;
	case SHAPE_BOOL:
		buf_printf(out, "%s", *(const uint8_t *)at == IN_TRUE ? "true" : "false");
		break;
	case SHAPE_INT:
	case SHAPE_LONG:
		buf_printf(out, "%lld", (long long)((const struct in_long *)at)->value);
		break;
	case SHAPE_STRUCT:
		buf_printf(out, "%s(", f->shape->name);
		for (const struct field *m = f->shape->fields; m->name != NULL; m++) {
			if (!is_set(m, *(char *const *)at + m->offset))
				continue;
			buf_printf(out, "%s", between);
			put_name(out, m->name, false);
			buf_put_byte(out, '=');
			put_text(out, m, *(char *const *)at + m->offset);
			between = ", ";
		}
		buf_put_byte(out, ')');
		break;
	case SHAPE_LIST: {
		const struct in_list *list = at;

		buf_put_byte(out, '[');
		for (uint32_t i = 0; i < list->count; i++) {
			buf_printf(out, "%s", between);
			put_text(out, f->element, (char *)list->items + i * value_size(f->element));
			between = ", ";
		}
		buf_put_byte(out, ']');
		break;
	}
	case SHAPE_MAP: {
		const struct in_map *map = at;

		buf_put_byte(out, '{');
		for (uint32_t i = 0; i < map->count; i++) {
			buf_printf(out, "%s%.*s=", between, SLICE_ARG(map->keys[i]));
			put_text(out, f->element, (char *)map->items + i * value_size(f->element));
			between = ", ";
		}
		buf_put_byte(out, '}');
		break;
	}
	case SHAPE_ITEM:
		put_item_text(out, ((const struct in_item *)at)->value);
		break;
	case SHAPE_VALUE:
		if (av_exists(((const struct in_item *)at)->value))
			av_write_json(out, ((const struct in_item *)at)->value);
		break;
	case SHAPE_NAMES:
	case SHAPE_VALUES:
		break; /* have no constraints of their own */
	}
}

/* The same as JSON, of what is echoed so: maps of structs, lists, items and scalars. */
static void
put_json(struct buf *out, const struct field *f, const void *at)
{
	const char *between = "";

	if (out->len > VALUE_TEXT_MAX)
		return;
	switch ((enum shape_type)f->type) {
	case SHAPE_STRUCT:
		buf_put_byte(out, '{');
		for (const struct field *m = f->shape->fields; m->name != NULL; m++) {
			if (!is_set(m, *(char *const *)at + m->offset))
				continue;
			buf_printf(out, "%s\"%s\":", between, m->name);
			put_json(out, m, *(char *const *)at + m->offset);
			between = ",";
		}
		buf_put_byte(out, '}');
		break;
	case SHAPE_LIST: {
		const struct in_list *list = at;

		buf_put_byte(out, '[');
		for (uint32_t i = 0; i < list->count; i++, between = ",") {
			buf_printf(out, "%s", between);
			put_json(out, f->element, (char *)list->items + i * value_size(f->element));
		}
		buf_put_byte(out, ']');
		break;
	}
	case SHAPE_MAP: {
		const struct in_map *map = at;

		buf_put_byte(out, '{');
		for (uint32_t i = 0; i < map->count; i++, between = ",") {
			buf_printf(out, "%s", between);
			json_put_string(out, map->keys[i]);
			buf_put_byte(out, ':');
			put_json(out, f->element, (char *)map->items + i * value_size(f->element));
		}
		buf_put_byte(out, '}');
		break;
	}
	case SHAPE_ITEM:
		if (av_exists(((const struct in_item *)at)->value))
			item_write_json(out, ((const struct in_item *)at)->value);
		else
			buf_put_lit(out, "{}"); /* what was there could not be read */
		break;
	case SHAPE_STRING:
		json_put_string(out, *(const struct slice *)at);
		break;
	case SHAPE_BOOL:
		put_text(out, f, at);
		break;
	default:
		buf_put_lit(out, "{}");
	}
}

/* 'value', or null. */
static void
put_value(struct buf *out, const struct field *f, const void *at, bool as_json)
{
	if (!is_set(f, at)) {
		buf_put_lit(out, "null");
		return;
	}
	buf_put_byte(out, '\'');
	if (as_json)
		put_json(out, f, at);
	else
		put_text(out, f, at);
	if (out->len > VALUE_TEXT_MAX) {
		size_t end = VALUE_TEXT_MAX;

		while (end > 0 && ((unsigned char)out->data[end] & 0xC0) == 0x80)
			end--; /* not in the middle of a character */
		out->len = end;
		buf_put_lit(out, "...");
		if (f->type == SHAPE_MAP) /* keep the outer form: clients match on it */
			buf_put_lit(out, "]}");
		else if (f->type == SHAPE_LIST)
			buf_put_lit(out, "]");
	}
	buf_put_byte(out, '\'');
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
	bool moved = is_moved(c, f) && f->type != SHAPE_MAP && !is_named_table(f, at);
	struct buf value = {0}, path = {0};

	if (c->alone || c->failures >= SHAPE_FAILURES_MAX)
		return false;
	c->failures++;
	if (!moved)
		put_value(&value, f, at, is_early(c, f));
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

static bool
is_set(const struct field *f, const void *at)
{
	switch ((enum shape_type)f->type) {
	case SHAPE_STRING:
	case SHAPE_TABLE:
	case SHAPE_ANY:
		return ((const struct slice *)at)->data != NULL;
	case SHAPE_ENUM:
		return ((const struct in_enum *)at)->text.data != NULL;
	case SHAPE_BOOL:
		return *(const uint8_t *)at != IN_UNSET;
	case SHAPE_INT:
	case SHAPE_LONG:
		return ((const struct in_long *)at)->set;
	case SHAPE_STRUCT:
		return *(void *const *)at != NULL;
	case SHAPE_LIST:
		return ((const struct in_list *)at)->set;
	case SHAPE_MAP:
		return ((const struct in_map *)at)->set;
	case SHAPE_ITEM:
	case SHAPE_VALUE:
		return ((const struct in_item *)at)->set;
	case SHAPE_NAMES:
		return ((const struct in_params *)at)->p.has_names;
	case SHAPE_VALUES:
		return ((const struct in_params *)at)->p.has_values;
	}
	return false;
}

bool
shape_is_name(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
		      c == '.' || c == '-'))
			return false;
	}
	return text.len > 0;
}

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
	if (name->len == 0) {
		fail(c, f, name, place, MSG_AT_LEAST_LENGTH, 1LL);
		return;
	}
	if (slice_starts(*name, SLICE("arn:"))) {
		if (name->len > 1024)
			fail(c, f, name, place, MSG_AT_MOST_LENGTH, 1024LL);
		return;
	}
	if (!shape_is_name(*name))
		fail(c, f, name, place, MSG_NAME_PATTERN);
	if (name->len < 3)
		fail(c, f, name, place, MSG_AT_LEAST_LENGTH, 3LL);
	if (shape_characters(*name) > 255)
		fail(c, f, name, place, MSG_AT_MOST_LENGTH, 255LL);
}

static void
check_field(struct checker *c, const struct field *f, const void *at, const struct place *place)
{
	if (!is_set(f, at)) {
		if (f->flags & FIELD_REQUIRED)
			fail(c, f, at, place, MSG_NULL);
		return;
	}
	switch ((enum shape_type)f->type) {
	case SHAPE_STRING: {
		struct slice text = *(const struct slice *)at;

		if ((f->flags & FIELD_NAME) && !shape_is_name(text))
			fail(c, f, at, place, MSG_NAME_PATTERN);
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

			check_field(c, f->element, (char *)list->items + i * value_size(f->element), &element);
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

			check_field(c, f->element, (char *)map->items + i * value_size(f->element), &element);
		}
		break;
	}
	case SHAPE_TABLE:
		check_table(c, f, at, place);
		break;
	case SHAPE_BOOL:
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
		if ((f->flags & FIELD_REQUIRED) && !is_set(f, (const char *)in + f->offset))
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

		if ((f->flags & FIELD_PARAMETER) && !is_set(f, at))
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
