/* What the files of shapes share; no other file includes it. */
#ifndef STATOR_API_SHAPE_INT_H
#define STATOR_API_SHAPE_INT_H

#include "api/shape.h"

/* Of a field's C type. */
static inline size_t
shape_value_size(const struct field *f)
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

/* Is it in the request? */
static inline bool
shape_is_set(const struct field *f, const void *at)
{
	switch ((enum shape_type)f->type) {
	case SHAPE_STRING:
	case SHAPE_TABLE:
	case SHAPE_DOUBLE:
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

/* ---- shape_text.c: values in messages ---- */

/* A member's name as paths show it: its first letter small, or as it is in the newer wording. */
void shape_put_name(struct buf *out, const char *name, bool as_it_is);
/* 'value', or null; long ones are cut. */
void shape_put_value(struct buf *out, const struct field *f, const void *at, bool as_json);

#endif
