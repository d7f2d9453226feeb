/*
 * Bad requests, made from the API model, and what DynamoDB says to them.
 *
 * For each member of each request, at any depth, a request that is right but for this one place: the member is missing,
 * null, of another JSON type, empty, too short, too long, out of range, no value of its enum, against its pattern. What
 * is expected is computed from the model's constraints alone, by the rules that the service's two layers follow: types
 * are told first and by a SerializationException whose words depend on the type that was expected and the one that was
 * found; then comes a ValidationException that lists what is broken. Where the service does otherwise than its model
 * says, known.h says so.
 */
#ifndef STATOR_TESTS_API_BAD_INPUT_H
#define STATOR_TESTS_API_BAD_INPUT_H

#include "api_fixture.h"

enum model_kind {
	MODEL_STRUCTURE,
	MODEL_LIST,
	MODEL_MAP,
	MODEL_STRING,
	MODEL_INTEGER,
	MODEL_LONG,
	MODEL_DOUBLE,
	MODEL_BOOLEAN,
	MODEL_TIMESTAMP,
	MODEL_VALUE, /* an attribute value */
};
struct model_member {
	const char *name;
	int shape;
	bool required;
};
struct model_shape {
	const char *name;
	enum model_kind kind;
	const struct model_member *members;
	const char *const *values; /* of an enum */
	int element, key;
	int64_t min, max; /* -1: none */
	const char *pattern;
};

#include "model_shapes.h"

/* Required, whatever the model says: as the suites know it. */
static inline bool
is_required(const struct model_shape *s, const struct model_member *m)
{
	static const struct {
		int shape;
		const char *member;
	} more[] = {
#define LIMITS_OF(shape, member, min, max, pattern)
#define REQUIRED(shape, member) {M_##shape, member},
#define SAYS(operation, path, what, message)
#define SAYS_2026(operation, path, what, message)
#define UNKNOWN(operation, path, what, why)
#include "bad_input_known.h"
#undef LIMITS_OF
#undef REQUIRED
#undef SAYS
#undef SAYS_2026
#undef UNKNOWN
	};

	for (size_t i = 0; i < sizeof more / sizeof *more; i++)
		if (&model_shapes[more[i].shape] == s && strcmp(more[i].member, m->name) == 0)
			return true;
	return m->required;
}

#define STEPS_MAX 12

/* The way from a request to one place in it. */
struct step {
	const struct model_member *member; /* NULL: the element of a list or map */
	int shape;                         /* what is there */
};
struct place {
	struct step steps[STEPS_MAX];
	size_t count;
};

/* One bad request. */
struct bad {
	const char *operation;
	const struct place *place;
	const char *what; /* "missing", "null", "empty" ... */
	const char *text; /* JSON of the value there; NULL: the member is left out */
};

static inline const struct model_shape *
shape_at(const struct place *place)
{
	return &model_shapes[place->steps[place->count - 1].shape];
}

static inline bool
is_element(const struct place *place)
{
	return place->steps[place->count - 1].member == NULL;
}

/* ---- right values ---- */

#define HEX16 "0123456789abcdef"

/* The patterns of the model: what of the strings that are tried matches them. */
static const struct model_pattern {
	const char *pattern;
	const char *right; /* NULL: "abc" */
	const char *wrong; /* as JSON, and of a length that is right */
	bool empty, a;     /* does "", does "a" match? */
	char fill;         /* makes a string of any length that matches, or of any multiple of 16 */
} model_patterns[] = {
    {"[a-zA-Z0-9_.-]+", NULL, "a!b", false, true, 'a'},
    {"[0-9]{12}", "123456789012", "12345678901a", false, false, '1'},
    {"^[a-z0-9A-Z]+[\\.\\-\\w]*[a-z0-9A-Z]+$", NULL, "-abc", false, false, 'a'},
    {"^[^\\$]+$", NULL, "a$b", false, true, 'a'},
    {"[,;:|\\t ]", ",", "x", false, false, ','},
    {"[\\x20-\\x21\\x23-\\x2B\\x2D-\\x7E]*", NULL, "a,b", true, true, 'a'},
    {"([0-9a-f]{16})+", HEX16 HEX16 HEX16 HEX16 HEX16 HEX16 HEX16,
     HEX16 HEX16 HEX16 HEX16 HEX16 HEX16 "0123456789abcdeX", false, false, '0'},
    {"\\p{Print}+", NULL, NULL, false, true, 'a'},
    {"[\\u0020-\\uD7FF\\uE000-\\uFFFD\\uD800\\uDC00-\\uDBFF\\uDFFF\\r\\n\\t]*", NULL, NULL, true, true, 'a'},
};

static inline const struct model_pattern *
pattern_of(const char *pattern)
{
	for (size_t i = 0; i < sizeof model_patterns / sizeof *model_patterns; i++)
		if (strcmp(model_patterns[i].pattern, pattern) == 0)
			return &model_patterns[i];
	fail_msg("a pattern that nobody knows: %s", pattern);
	return NULL;
}

static inline const char *
right_string(const struct model_shape *s)
{
	size_t last = 0;

	if (s->values != NULL) {
		while (s->values[last + 1] != NULL) /* for KeyType that is RANGE: no table comes to be by accident */
			last++;
		return s->values[last];
	}
	if (s->pattern != NULL && pattern_of(s->pattern)->right != NULL)
		return pattern_of(s->pattern)->right;
	if (s->min > 30)
		return "arn:aws:dynamodb:us-east-1:000000000000:table/abc/backup/01234567890123-00000000";
	if (s->min > 3)
		return "shardId-00000000000000000000-00000000";
	return "abc";
}

static inline void put_right(struct buf *out, int id);

static inline void put_members(struct buf *out, const struct model_shape *s, const struct step *steps, size_t count,
			       const char *text);

/* The value at steps[0..count), which is `text` at the end of them; a right one where no steps are left. */
static inline void
put_shape(struct buf *out, int id, const struct step *steps, size_t count, const char *text)
{
	const struct model_shape *s = &model_shapes[id];

	if (count == 0) {
		if (text != NULL)
			buf_put(out, text, strlen(text));
		else
			put_right(out, id);
		return;
	}
	switch (s->kind) {
	case MODEL_STRUCTURE:
		put_members(out, s, steps, count, text);
		break;
	case MODEL_LIST:
		buf_put_byte(out, '[');
		put_shape(out, s->element, steps + 1, count - 1, text);
		buf_put_byte(out, ']');
		break;
	case MODEL_MAP:
		buf_put_lit(out, "{\"abc\":");
		put_shape(out, s->element, steps + 1, count - 1, text);
		buf_put_byte(out, '}');
		break;
	default:
		abort();
	}
}

static inline void
put_members(struct buf *out, const struct model_shape *s, const struct step *steps, size_t count, const char *text)
{
	const char *between = "";

	buf_put_byte(out, '{');
	for (const struct model_member *m = s->members; m->name != NULL; m++) {
		bool chosen = count > 0 && steps[0].member == m;

		if ((!chosen && !is_required(s, m)) || (chosen && count == 1 && text == NULL))
			continue;
		buf_printf(out, "%s\"%s\":", between, m->name);
		between = ",";
		if (chosen)
			put_shape(out, m->shape, steps + 1, count - 1, text);
		else
			put_right(out, m->shape);
	}
	buf_put_byte(out, '}');
}

static inline void
put_right(struct buf *out, int id)
{
	const struct model_shape *s = &model_shapes[id];

	switch (s->kind) {
	case MODEL_STRUCTURE:
		put_members(out, s, NULL, 0, NULL);
		break;
	case MODEL_LIST:
		buf_put_byte(out, '[');
		put_right(out, s->element);
		buf_put_byte(out, ']');
		break;
	case MODEL_MAP:
		buf_put_lit(out, "{\"abc\":");
		put_right(out, s->element);
		buf_put_byte(out, '}');
		break;
	case MODEL_STRING:
		buf_printf(out, "\"%s\"", right_string(s));
		break;
	case MODEL_INTEGER:
	case MODEL_LONG:
		buf_printf(out, "%lld", (long long)(s->min > 0 ? s->min : 1));
		break;
	case MODEL_DOUBLE:
	case MODEL_TIMESTAMP:
		buf_put_lit(out, "1.5");
		break;
	case MODEL_BOOLEAN:
		buf_put_lit(out, "true");
		break;
	case MODEL_VALUE:
		buf_put_lit(out, "{\"S\":\"a\"}");
		break;
	}
}

/* The whole request; the caller frees it. */
static inline char *
bad_body(const struct bad *bad, int input)
{
	struct buf out = {0};

	put_shape(&out, input, bad->place->steps, bad->place->count, bad->text);
	buf_put_byte(&out, '\0');
	return out.data;
}

/* requestItems.abc.member.keys */
static inline void
put_path(struct buf *out, const struct place *place)
{
	int above = MODEL_STRUCTURE;

	for (size_t i = 0; i < place->count; i++) {
		const struct step *step = &place->steps[i];

		if (i > 0)
			buf_put_byte(out, '.');
		if (step->member != NULL)
			buf_printf(out, "%c%s", step->member->name[0] | 0x20, step->member->name + 1);
		else
			buf_printf(out, "%s.member", above == MODEL_LIST ? "1" : "abc");
		above = model_shapes[step->shape].kind;
	}
}

/* RequestItems{}.Keys[] : as in model_members.h */
static inline void
put_model_path(struct buf *out, const struct place *place)
{
	int above = MODEL_STRUCTURE;

	for (size_t i = 0; i < place->count; i++) {
		const struct step *step = &place->steps[i];

		if (step->member != NULL)
			buf_printf(out, "%s%s", i > 0 ? "." : "", step->member->name);
		else
			buf_printf(out, "%s", above == MODEL_LIST ? "[]" : "{}");
		above = model_shapes[step->shape].kind;
	}
}

/* ---- every place ---- */

typedef void each_place(const char *operation, int input, const struct place *place);

static inline void
walk(const char *operation, int input, struct place *place, int id, each_place *each)
{
	const struct model_shape *s = &model_shapes[id];

	if (place->count > 0)
		each(operation, input, place);
	if (place->count == STEPS_MAX)
		return;
	switch (s->kind) {
	case MODEL_STRUCTURE:
		for (const struct model_member *m = s->members; m->name != NULL; m++) {
			place->steps[place->count++] = (struct step){m, m->shape};
			walk(operation, input, place, m->shape, each);
			place->count--;
		}
		break;
	case MODEL_LIST:
	case MODEL_MAP:
		place->steps[place->count++] = (struct step){NULL, s->element};
		walk(operation, input, place, s->element, each);
		place->count--;
		break;
	default:
		break;
	}
}

/* ---- wrong JSON types ---- */

static inline const char *
java_class(const struct model_shape *s)
{
	switch (s->kind) {
	case MODEL_BOOLEAN:
		return "Boolean";
	case MODEL_INTEGER:
		return "Integer";
	case MODEL_LONG:
		return "Long";
	case MODEL_DOUBLE:
		return "Double";
	default:
		return "String";
	}
}

#define CAST                                                                                                           \
	"class sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl cannot be cast to class java.lang.Class "  \
	"(sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl and java.lang.Class are in module java.base "   \
	"of loader 'bootstrap')"
#define PACKAGE "com.amazonaws.dynamodb.v20120810."

/* What a map's values are, in Java: String, PutRequest, List<WriteRequest>. */
static inline void
put_java_class(struct buf *out, int id)
{
	const struct model_shape *s = &model_shapes[id];

	switch (s->kind) {
	case MODEL_LIST:
		buf_put_lit(out, "java.util.List<");
		put_java_class(out, s->element);
		buf_put_byte(out, '>');
		break;
	case MODEL_MAP:
		buf_put_lit(out, "java.util.Map<java.lang.String, ");
		put_java_class(out, s->element);
		buf_put_byte(out, '>');
		break;
	case MODEL_STRUCTURE:
	case MODEL_VALUE:
		buf_printf(out, PACKAGE "%s", s->name);
		break;
	default:
		buf_printf(out, "java.lang.%s", java_class(s));
	}
}

/* Writes the message; false: a value of this JSON type is right there, or what is told is not known. */
static inline bool
wrong_type(const struct place *place, const char *text, struct buf *out)
{
	const struct model_shape *s = shape_at(place);
	bool element = is_element(place), list = text[0] == '[', map = text[0] == '{', string = text[0] == '"';
	const char *token = text[0] == 't'              ? "TRUE_VALUE"
			    : text[0] == 'f'            ? "FALSE_VALUE"
			    : string                    ? "STRING_VALUE"
			    : strchr(text, '.') != NULL ? "DECIMAL_VALUE"
							: "NUMBER_VALUE";

	switch (s->kind) {
	case MODEL_TIMESTAMP:
		return false;
	case MODEL_STRING:
	case MODEL_INTEGER:
	case MODEL_LONG:
	case MODEL_DOUBLE:
	case MODEL_BOOLEAN:
		if (list)
			buf_printf(out, "Unrecognized collection type class java.lang.%s", java_class(s));
		else if (map)
			buf_put_lit(out, "Start of structure or map found where not expected");
		else if (s->kind == MODEL_STRING    ? string
			 : s->kind == MODEL_BOOLEAN ? text[0] == 't' || text[0] == 'f'
						    : text[0] == '1')
			return false;
		else if (s->kind == MODEL_BOOLEAN && string)
			buf_put_lit(out, "Unexpected token received from parser");
		else
			buf_printf(out, "%s cannot be converted to %s", token, java_class(s));
		return true;
	case MODEL_STRUCTURE:
	case MODEL_VALUE:
		if (map)
			return false;
		if (list)
			buf_printf(out, "Unrecognized collection type class " PACKAGE "%s", s->name);
		else
			buf_printf(out, "%s", element ? "Unexpected value type in payload" : "Unexpected field type");
		return true;
	case MODEL_LIST:
		if (list)
			return false;
		buf_printf(out, "%s",
			   map       ? "Start of structure or map found where not expected"
			   : element ? CAST
				     : "Unexpected field type");
		return true;
	case MODEL_MAP:
		if (map)
			return false;
		if (list) {
			buf_put_lit(out, "Unrecognized collection type java.util.Map<java.lang.String, ");
			put_java_class(out, s->element);
			buf_put_byte(out, '>');
		} else {
			buf_printf(out, "%s", element ? CAST : "Unexpected field type");
		}
		return true;
	}
	return false;
}

#endif
