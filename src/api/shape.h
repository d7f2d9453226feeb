/*
 * Requests as typed structs: tables of fields say what an operation takes; one pass over the JSON fills the struct, a
 * second over the struct collects what breaks the API model's constraints, in the service's own member order and words.
 *
 * The first pass knows types only: a wrong JSON type is a SerializationException and ends everything. Members that no
 * field names are skipped, as the service does. Strings and encoded items point into the body or the call's arena.
 * Broken attribute values are no type errors: they are kept with the field (in_item.failure) and each operation tells
 * them in its turn.
 *
 * What a hostile body can make grow is bounded: of a list or map only the first SHAPE_KEPT_MAX elements are kept (the
 * rest is checked and counted), which is above every limit that is tested later.
 */
#ifndef STATOR_API_SHAPE_H
#define STATOR_API_SHAPE_H

#include <stddef.h>

#include "codec/json.h"
#include "expr/expr.h"

#define SHAPE_KEPT_MAX 4096
#define SHAPE_MANY_MAX 131072 /* where an item's attributes are named: more than fit into one */
#define SHAPE_SUBSTITUTES_MAX                                                                                          \
	20000                 /* ExpressionAttributeNames and -Values, each; their bytes have a limit of their own */
#define SHAPE_FAILURES_MAX 10 /* told in one answer, as the service does */

/* The C type of a field in its struct stands behind each. All zero means: not in the request. */
enum shape_type {
	SHAPE_STRING, /* struct slice; data NULL: unset */
	SHAPE_TABLE,  /* struct slice: a table's name or ARN; its checks come before all others */
	SHAPE_ENUM,   /* struct in_enum */
	SHAPE_BOOL,   /* enum in_bool (uint8_t) */
	SHAPE_INT,    /* struct in_long, 32 bits on the wire */
	SHAPE_LONG,   /* struct in_long */
	SHAPE_DOUBLE, /* struct slice: the number's text */
	SHAPE_STRUCT, /* pointer to the struct; NULL: unset */
	SHAPE_LIST,   /* struct in_list */
	SHAPE_MAP,    /* struct in_map */
	SHAPE_ITEM,   /* struct in_item: a map of attribute values */
	SHAPE_VALUE,  /* struct in_item: one attribute value */
	SHAPE_NAMES,  /* struct in_params: ExpressionAttributeNames */
	SHAPE_VALUES, /* struct in_params: ExpressionAttributeValues */
	SHAPE_ANY,    /* struct slice: checked JSON as text, for members that are refused or read later */
};

struct in_enum {
	struct slice text; /* data NULL: unset */
	int value;         /* place in the field's list plus 1; 0: unset or none of them */
};
enum in_bool { IN_UNSET, IN_FALSE, IN_TRUE };
struct in_long {
	int64_t value;
	bool set;
};
struct in_list {
	void *items;    /* array of the element's C type */
	uint32_t count; /* kept */
	uint32_t total; /* in the request */
	bool set;
};
struct in_map {
	struct slice *keys;
	void *items;
	uint32_t count, total;
	bool set;
};
struct in_item {
	struct av value;     /* AV_NONE when unset or broken */
	const char *failure; /* DynamoDB's words for what is wrong with a value, else NULL */
	bool set;
};
struct in_params {
	struct expr_params p;
};

/* What a string must look like. */
enum shape_pattern {
	PATTERN_NONE,
	PATTERN_NAME,      /* [a-zA-Z0-9_.-]+ */
	PATTERN_ACCOUNT,   /* [0-9]{12} */
	PATTERN_BUCKET,    /* of S3 */
	PATTERN_NO_DOLLAR, /* ClientToken */
	PATTERN_DELIMITER, /* of CSV */
	PATTERN_HEADER,    /* a column's name of CSV */
	PATTERN_HEX,       /* 16 digits, several times */
	PATTERN_PRINT,
	PATTERN_TEXT,
};

#define FIELD_REQUIRED  1u  /* "Member must not be null" */
#define FIELD_PARAMETER 2u  /* "The parameter 'X' is required but was not present in the request" */
#define FIELD_NAME      4u  /* PATTERN_NAME */
#define FIELD_MAP_KEYS  8u  /* keys are table names; checked as a constraint of the map */
#define FIELD_MANY      16u /* a list or map of which SHAPE_MANY_MAX elements are kept */
#define FIELD_AMONG     32u /* of a TABLE: told among the other members' errors, in its place */
/* In operations that have moved their members to the newer wording (base/wording.h): */
#define FIELD_MOVED 64u  /* what is wrong with its length or value is told in the newer words */
#define FIELD_FIRST 128u /* and alone, whatever else is wrong */
#define FIELD_EARLY 256u /* of a MAP: its keys are told before all other members, and echoed as JSON */
#define FIELD_LATE  512u /* of a MAP: its keys are told only when nothing else is wrong */

struct shape;
struct field {
	const char *name; /* on the wire */
	uint8_t length;   /* of the name */
	uint8_t type;
	uint16_t flags;
	uint32_t offset;
	struct {
		int64_t least, most;
		bool on;
	} limits;                    /* length of strings, lists, maps; value of numbers */
	const struct shape *shape;   /* STRUCT */
	const struct field *element; /* LIST, MAP */
	const char *const *values;   /* ENUM, NULL-terminated, in the service's order */
	int64_t element_max;         /* MAP of lists: "Map value must satisfy constraint"; 0: none */
	uint8_t pattern;             /* STRING: enum shape_pattern */
	uint8_t moved_values;        /* MOVED ENUM: enum wording of its list of values */
};
struct shape {
	const char *name; /* of the service's class, for its messages */
	uint32_t size;
	const struct field *fields; /* in the service's order of checks; ended by a NULL name; at most 64 */
};

/* The name or ARN of the table that the input names; SLICE_NONE: none, or several. */
struct slice shape_table(const struct shape *shape, const void *in);

#define FIELD(type_, member_, name_, shape_type_, flags_, ...)                                                         \
	{                                                                                                              \
		.name = (name_), .length = sizeof(name_) - 1, .type = (shape_type_), .flags = (flags_),                \
		.offset = offsetof(type_, member_), __VA_ARGS__                                                        \
	}
#define ELEMENT(name_, shape_type_, flags_, ...)                                                                       \
	{                                                                                                              \
		.name = (name_), .length = sizeof(name_) - 1, .type = (shape_type_), .flags = (flags_), __VA_ARGS__    \
	}
#define LIMITS(least_, most_) .limits = {(least_), (most_), true}
#define FIELD_END                                                                                                      \
	{                                                                                                              \
		.name = NULL                                                                                           \
	}

/* Fill a zeroed struct from the body. Fails with S_SERIALIZATION; the message may be empty, as the service's is. */
enum status shape_read(struct slice body, const struct shape *shape, void *in, struct arena *arena, struct err *err);
/* All constraints of the model; S_VALIDATION with "2 validation errors detected: ...". */
enum status shape_check(const struct shape *shape, const void *in, struct err *err);
/* Is it [a-zA-Z0-9_.-]+ ? */
bool shape_is_name(struct slice text);
int64_t shape_characters(struct slice text); /* of UTF-8 */

#endif
