#include "api/shape_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/message.h"
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
	case SHAPE_DOUBLE:
		return "Double";
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
	size_t size = shape_value_size(f->element);
	uint32_t most = f->flags & FIELD_MANY ? SHAPE_MANY_MAX : SHAPE_KEPT_MAX;

	list->set = true;
	if (!enter_list(r, element))
		return;
	while (json_next_element(&r->json)) {
		if (list->count < most) {
			void *at;

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
	size_t size = shape_value_size(f->element);
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
	case SHAPE_DOUBLE:
		if (found != JSON_NUMBER)
			fail_scalar(r, f, found);
		else
			*(struct slice *)at = json_number(&r->json);
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

struct slice
shape_table(const struct shape *shape, const void *in)
{
	for (const struct field *f = shape->fields; f->name != NULL; f++)
		if (f->type == SHAPE_TABLE)
			return *(const struct slice *)((const char *)in + f->offset);
	return SLICE_NONE;
}
