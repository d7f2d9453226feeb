/* How values look in messages. */
#include "api/shape_int.h"
#include "model/av_json.h"

#define VALUE_TEXT_MAX 1200 /* bytes of a value told in a message; the rest is cut */

void
shape_put_name(struct buf *out, const char *name, bool as_it_is)
{
	if (as_it_is) {
		buf_put(out, name, strlen(name));
		return;
	}
	buf_put_byte(out, (uint8_t)(name[0] >= 'A' && name[0] <= 'Z' ? name[0] - 'A' + 'a' : name[0]));
	buf_put(out, name + 1, strlen(name + 1));
}

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
	if (!shape_is_set(f, at)) {
		buf_put_lit(out, "null");
		return;
	}
	switch ((enum shape_type)f->type) {
	case SHAPE_STRING:
	case SHAPE_TABLE:
	case SHAPE_DOUBLE:
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
			if (!shape_is_set(m, *(char *const *)at + m->offset))
				continue;
			buf_printf(out, "%s", between);
			shape_put_name(out, m->name, false);
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
			put_text(out, f->element, (char *)list->items + i * shape_value_size(f->element));
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
			put_text(out, f->element, (char *)map->items + i * shape_value_size(f->element));
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
			if (!shape_is_set(m, *(char *const *)at + m->offset))
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
			put_json(out, f->element, (char *)list->items + i * shape_value_size(f->element));
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
			put_json(out, f->element, (char *)map->items + i * shape_value_size(f->element));
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

void
shape_put_value(struct buf *out, const struct field *f, const void *at, bool as_json)
{
	if (!shape_is_set(f, at)) {
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
