/*
 * Compiled expressions back to text.
 *
 * The upstream takes expressions as text, so that it checks them and words what is wrong, whoever it is. The tree is
 * written with as few parentheses as its meaning needs (DynamoDB refuses redundant ones), names that are long, reserved
 * or no plain words as #0, #1 ..., values as :0, :1 ... in base 36, so that the text is rarely longer than the one the
 * client parsed and DynamoDB's limit of 4 KB means the same.
 */
#include <stdlib.h>

#include "codec/json.h"
#include "dax/dax_int.h"
#include "expr/expr.h"
#include "model/av_cbor.h"

#define VERSION           1
#define DEPTH_MAX         1024         /* DynamoDB takes 300 operators */
#define TEXT_MAX          (256 * 1024) /* far beyond what DynamoDB takes; more is not worth writing */
#define VALUES_MAX        65536        /* of one expression */
#define NAMES_LOOKED_AT   64
#define PATH_MAX_ELEMENTS 4096

enum code {
	CODE_EQ,
	CODE_AND = 6,
	CODE_OR = 7,
	CODE_NOT = 8,
	CODE_BETWEEN = 9,
	CODE_IN = 10,
	CODE_VALUE = 17,
	CODE_PATH = 18,
	CODE_SET = 19,
	CODE_ADD = 20,
	CODE_DELETE = 21,
	CODE_REMOVE = 22,
	CODE_COUNT = 27
};

enum form { FORM_INFIX, FORM_PREFIX, FORM_BETWEEN, FORM_IN, FORM_FUNCTION, FORM_VALUE, FORM_PATH, FORM_ACTION };
/* How tightly it binds: what binds less than its place demands gets parentheses. */
enum binding { BIND_OR = 1, BIND_AND, BIND_NOT, BIND_TIGHT };

static const struct {
	const char *text;
	uint8_t form, args, binding;
} nodes[CODE_COUNT] = {
    [CODE_EQ] = {"=", FORM_INFIX, 2, BIND_TIGHT},
    {"<>", FORM_INFIX, 2, BIND_TIGHT},
    {"<", FORM_INFIX, 2, BIND_TIGHT},
    {">=", FORM_INFIX, 2, BIND_TIGHT},
    {">", FORM_INFIX, 2, BIND_TIGHT},
    {"<=", FORM_INFIX, 2, BIND_TIGHT},
    [CODE_AND] = {" AND ", FORM_INFIX, 2, BIND_AND},
    [CODE_OR] = {" OR ", FORM_INFIX, 2, BIND_OR},
    [CODE_NOT] = {"NOT ", FORM_PREFIX, 1, BIND_NOT},
    [CODE_BETWEEN] = {" BETWEEN ", FORM_BETWEEN, 3, BIND_TIGHT},
    [CODE_IN] = {" IN (", FORM_IN, 2, BIND_TIGHT},
    [11] = {"attribute_exists(", FORM_FUNCTION, 1, BIND_TIGHT},
    {"attribute_not_exists(", FORM_FUNCTION, 1, BIND_TIGHT},
    {"attribute_type(", FORM_FUNCTION, 2, BIND_TIGHT},
    {"begins_with(", FORM_FUNCTION, 2, BIND_TIGHT},
    {"contains(", FORM_FUNCTION, 2, BIND_TIGHT},
    {"size(", FORM_FUNCTION, 1, BIND_TIGHT},
    [CODE_VALUE] = {NULL, FORM_VALUE, 1, BIND_TIGHT},
    [CODE_PATH] = {NULL, FORM_PATH, 1, BIND_TIGHT},
    [CODE_SET] = {"SET ", FORM_ACTION, 2, 0},
    [CODE_ADD] = {"ADD ", FORM_ACTION, 2, 0},
    [CODE_DELETE] = {"DELETE ", FORM_ACTION, 2, 0},
    [CODE_REMOVE] = {"REMOVE ", FORM_ACTION, 1, 0},
    [23] = {"if_not_exists(", FORM_FUNCTION, 2, BIND_TIGHT},
    {"list_append(", FORM_FUNCTION, 2, BIND_TIGHT},
    {"+", FORM_INFIX, 2, BIND_TIGHT},
    {"-", FORM_INFIX, 2, BIND_TIGHT},
};

/* One expression being written. */
struct writer {
	struct express *x;
	struct cbor_reader r;
	struct buf text;
	struct {
		uint32_t *items; /* indexes into the value list that are used */
		uint32_t count, room;
	} used;
	uint32_t used_max;
};

void
express_begin(struct express *x, struct arena *arena, struct buf *names, struct buf *values)
{
	memset(x, 0, sizeof *x);
	x->arena = arena;
	x->names = names;
	x->values = values;
	x->names_start = names->len;
	x->values_start = values->len;
}

static int
base36(uint32_t value, char ret[8])
{
	char digits[8];
	int count = 0;

	do
		digits[count++] = "0123456789abcdefghijklmnopqrstuvwxyz"[value % 36];
	while ((value /= 36) > 0);
	for (int i = 0; i < count; i++)
		ret[i] = digits[count - 1 - i];
	return count;
}

/* --- names and paths --- */

static bool
is_plain(struct slice name)
{
	if (name.len == 0 || name.len > 255)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.data[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '_')))
			return false;
	}
	return !expr_is_reserved_word(name);
}

/* The number of the name's substitute; a new one for a name not seen lately. */
static uint32_t
substitute(struct express *x, struct slice name)
{
	uint32_t oldest = x->name_count > NAMES_LOOKED_AT ? x->name_count - NAMES_LOOKED_AT : 0;
	char digits[8];

	for (uint32_t i = oldest; i < x->name_count; i++)
		if (slice_eq(x->all_names[i], name))
			return i;
	if (x->name_count == x->name_room) {
		uint32_t room = x->name_room > 0 ? 2 * x->name_room : 16;
		struct slice *wider = arena_alloc(x->arena, room * sizeof *wider);

		if (x->name_count > 0)
			memcpy(wider, x->all_names, x->name_count * sizeof *wider);
		x->all_names = wider;
		x->name_room = room;
	}
	if (x->name_count > 0)
		buf_put_byte(x->names, ',');
	buf_put_lit(x->names, "\"#");
	buf_put(x->names, digits, (size_t)base36(x->name_count, digits));
	buf_put_lit(x->names, "\":");
	json_put_string(x->names, name);
	x->all_names[x->name_count] = name;
	return x->name_count++;
}

static void
put_name(struct writer *w, struct slice name)
{
	char digits[8];

	if (name.len <= 2 && is_plain(name)) { /* not longer than its substitute */
		buf_put_slice(&w->text, name);
		return;
	}
	buf_put_byte(&w->text, '#');
	buf_put(&w->text, digits, (size_t)base36(substitute(w->x, name), digits));
}

/* The rest of a path node behind its code. ret may be NULL. */
static void
put_path(struct writer *w, struct cbor_items *items, struct dax_path *ret)
{
	struct cbor_reader *r = &w->r;
	struct slice *elements = NULL;
	size_t room = 0, count = 0;

	while (cbor_next(r, items)) {
		struct slice element = SLICE_NONE;

		if (cbor_peek(r) == CBOR_TAG && count > 0) {
			if (cbor_tag(r) != CBOR_TAG_LIST_INDEX || cbor_peek(r) != CBOR_UINT)
				cbor_fail(r, "a path element has an unknown tag");
			element.len = cbor_magnitude(r);
			if (element.len > INT32_MAX)
				cbor_fail(r, "List index is not within the allowable range");
			buf_printf(&w->text, "[%zu]", element.len);
		} else {
			element = cbor_text(r);
			if (count > 0)
				buf_put_byte(&w->text, '.');
			put_name(w, element);
		}
		if (cbor_failed(r) || count > PATH_MAX_ELEMENTS)
			break;
		if (ret != NULL && count == room) {
			size_t more = room > 0 ? 2 * room : 4;
			struct slice *wider = arena_alloc(w->x->arena, more * sizeof *wider);

			if (count > 0)
				memcpy(wider, elements, count * sizeof *wider);
			elements = wider;
			room = more;
		}
		if (ret != NULL)
			elements[count] = element;
		count++;
	}
	if (count == 0 || count > PATH_MAX_ELEMENTS)
		cbor_fail(r, "a path is empty or too long");
	if (ret != NULL)
		*ret = (struct dax_path){elements, count};
}

/* --- nodes --- */

static void
put_value(struct writer *w)
{
	uint64_t index = cbor_magnitude(&w->r);
	char digits[8];

	if (index >= VALUES_MAX) {
		cbor_fail(&w->r, "a value's index is out of range");
		return;
	}
	if (w->used.count == w->used.room) {
		uint32_t room = w->used.room > 0 ? 2 * w->used.room : 16;
		uint32_t *wider = arena_alloc(w->x->arena, room * sizeof *wider);

		if (w->used.count > 0)
			memcpy(wider, w->used.items, w->used.count * sizeof *wider);
		w->used.items = wider;
		w->used.room = room;
	}
	w->used.items[w->used.count++] = (uint32_t)index;
	if (index >= w->used_max)
		w->used_max = (uint32_t)index + 1;
	buf_put_byte(&w->text, ':');
	buf_put(&w->text, digits, (size_t)base36(w->x->value_count + (uint32_t)index, digits));
}

static void put_node(struct writer *w, enum binding least, int depth);

/* The next argument, which must be there. */
static bool
next_argument(struct writer *w, struct cbor_items *items)
{
	if (cbor_next(&w->r, items))
		return true;
	cbor_fail(&w->r, "an expression's node lacks an argument");
	return false;
}

static void
put_argument(struct writer *w, struct cbor_items *items, enum binding least, int depth)
{
	if (next_argument(w, items))
		put_node(w, least, depth);
}

static void
put_text(struct writer *w, const char *text)
{
	buf_put(&w->text, text, strlen(text));
}

static void
put_in(struct writer *w, struct cbor_items *items, int depth)
{
	struct cbor_items list;
	const char *comma = "";

	put_argument(w, items, BIND_TIGHT, depth);
	put_text(w, " IN (");
	if (next_argument(w, items)) {
		list = cbor_array(&w->r);
		while (cbor_next(&w->r, &list)) {
			put_text(w, comma);
			comma = ",";
			put_node(w, BIND_TIGHT, depth);
		}
	}
	put_text(w, ")");
}

static void
put_form(struct writer *w, int64_t code, struct cbor_items *items, int depth)
{
	enum binding inner = (enum binding)nodes[code].binding;

	switch (nodes[code].form) {
	case FORM_INFIX:
		put_argument(w, items, inner, depth);
		put_text(w, nodes[code].text);
		put_argument(w, items, inner, depth);
		break;
	case FORM_PREFIX:
		put_text(w, nodes[code].text);
		put_argument(w, items, inner, depth);
		break;
	case FORM_BETWEEN:
		put_argument(w, items, BIND_TIGHT, depth);
		put_text(w, " BETWEEN ");
		put_argument(w, items, BIND_TIGHT, depth);
		put_text(w, " AND ");
		put_argument(w, items, BIND_TIGHT, depth);
		break;
	case FORM_IN:
		put_in(w, items, depth);
		break;
	case FORM_FUNCTION:
		put_text(w, nodes[code].text);
		put_argument(w, items, BIND_TIGHT, depth);
		if (nodes[code].args == 2) {
			put_text(w, ",");
			put_argument(w, items, BIND_TIGHT, depth);
		}
		put_text(w, ")");
		break;
	case FORM_VALUE:
		if (next_argument(w, items))
			put_value(w);
		break;
	default:
		put_path(w, items, NULL);
		break;
	}
}

/* The code in front of a node's arguments; -1: none that is known. */
static int64_t
take_code(struct writer *w, struct cbor_items *items)
{
	int64_t code = -1;

	if (next_argument(w, items))
		code = cbor_int(&w->r);
	if (!cbor_failed(&w->r) && code >= 0 && code < CODE_COUNT)
		return code;
	cbor_fail(&w->r, "an expression has an unknown code");
	return -1;
}

static void
put_node(struct writer *w, enum binding least, int depth)
{
	struct cbor_items items = cbor_array(&w->r);
	int64_t code = take_code(w, &items);
	bool parentheses;

	if (code < 0)
		return;
	if (depth >= DEPTH_MAX || w->text.len > TEXT_MAX || nodes[code].form == FORM_ACTION) {
		cbor_fail(&w->r, depth >= DEPTH_MAX || w->text.len > TEXT_MAX
				     ? "the expression contains too many operators"
				     : "an update action stands where none may");
		return;
	}
	parentheses = nodes[code].binding < least;
	if (parentheses)
		put_text(w, "(");
	put_form(w, code, &items, depth + 1);
	if (parentheses)
		put_text(w, ")");
	if (cbor_next(&w->r, &items))
		cbor_fail(&w->r, "an expression's node has too many arguments");
}

/* --- values --- */

static int
order(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

/* The value list: those that are used become values of the request. */
static void
put_values(struct writer *w)
{
	struct cbor_items items = cbor_array(&w->r);
	struct buf *out = w->x->values;
	uint32_t index = 0, at = 0;
	char digits[8];

	if (w->used.count > 1)
		qsort(w->used.items, w->used.count, sizeof *w->used.items, order);
	for (; cbor_next(&w->r, &items); index++) {
		size_t start = out->len;

		while (at < w->used.count && w->used.items[at] < index)
			at++;
		if (out->len > w->x->values_start)
			buf_put_byte(out, ',');
		buf_put_lit(out, "\":");
		buf_put(out, digits, (size_t)base36(w->x->value_count + index, digits));
		buf_put_lit(out, "\":");
		av_cbor_to_json(&w->r, out);
		if (at == w->used.count || w->used.items[at] != index)
			out->len = start; /* DynamoDB refuses values that no expression uses */
	}
	if (w->used_max > index)
		cbor_fail(&w->r, "a value's index is out of range");
	w->x->value_count += w->used_max;
}

/* --- whole expressions --- */

static bool
begin(struct writer *w, struct express *x, struct slice bytes, struct cbor_items *items)
{
	memset(w, 0, sizeof *w);
	w->x = x;
	cbor_init(&w->r, bytes);
	*items = cbor_array(&w->r);
	if (next_argument(w, items) && cbor_int(&w->r) != VERSION)
		cbor_fail(&w->r, "an expression has an unknown version");
	return next_argument(w, items);
}

static enum status
end(struct writer *w, struct cbor_items *items, struct buf *out, struct err *err)
{
	if (cbor_next(&w->r, items) || (!cbor_failed(&w->r) && !cbor_at_end(&w->r)))
		cbor_fail(&w->r, "there is more behind an expression");
	if (!cbor_failed(&w->r) && out != NULL)
		json_put_string(out, buf_slice(&w->text));
	buf_done(&w->text);
	if (cbor_failed(&w->r))
		return err_set(err, S_VALIDATION, "Invalid expression: %s", w->r.failure);
	return S_OK;
}

enum status
express_condition(struct express *x, struct slice bytes, struct buf *out, struct err *err)
{
	struct cbor_items items;
	struct writer w;

	if (begin(&w, x, bytes, &items))
		put_node(&w, BIND_OR, 0);
	if (!cbor_failed(&w.r) && next_argument(&w, &items))
		put_values(&w);
	return end(&w, &items, out, err);
}

/* One action behind the section it belongs to. */
static void
put_action(struct writer *w, struct buf sections[4])
{
	struct cbor_items items = cbor_array(&w->r);
	int64_t code = take_code(w, &items);
	struct buf *section, text;

	if (code < 0)
		return;
	if (nodes[code].form != FORM_ACTION) {
		cbor_fail(&w->r, "an update holds something else than actions");
		return;
	}
	section = &sections[code - CODE_SET];
	text = w->text; /* the others' own is kept aside */
	w->text = *section;
	put_text(w, w->text.len == 0 ? nodes[code].text : ",");
	put_argument(w, &items, BIND_TIGHT, 0);
	if (nodes[code].args == 2) {
		put_text(w, code == CODE_SET ? "=" : " ");
		put_argument(w, &items, BIND_TIGHT, 0);
	}
	if (cbor_next(&w->r, &items))
		cbor_fail(&w->r, "an action has too many arguments");
	if (w->text.len > TEXT_MAX)
		cbor_fail(&w->r, "the expression contains too many operators");
	*section = w->text;
	w->text = text;
}

enum status
express_update(struct express *x, struct slice bytes, struct buf *out, struct err *err)
{
	struct buf sections[4] = {{0}};
	struct cbor_items items, actions;
	struct writer w;

	if (begin(&w, x, bytes, &items)) {
		actions = cbor_array(&w.r);
		while (cbor_next(&w.r, &actions))
			put_action(&w, sections);
	}
	for (int i = 0; i < 4; i++) {
		if (sections[i].len > 0 && w.text.len > 0)
			buf_put_byte(&w.text, ' ');
		buf_put_slice(&w.text, buf_slice(&sections[i]));
		buf_done(&sections[i]);
	}
	if (!cbor_failed(&w.r) && next_argument(&w, &items))
		put_values(&w);
	return end(&w, &items, out, err);
}

static bool
goes_deeper(const struct dax_paths *paths)
{
	for (size_t i = 0; i < paths->count; i++)
		if (paths->items[i].count > 1)
			return true;
	return false;
}

/* What the upstream would say about the paths. */
static enum status
check_paths(struct express *x, struct slice text, struct err *err)
{
	struct expr_params params = {0};
	struct expr *unused;
	char digits[8];

	params.names = ARENA_ARRAY(x->arena, struct expr_name, x->name_count + 1);
	params.name_count = x->name_count;
	params.has_names = x->name_count > 0;
	for (uint32_t i = 0; i < x->name_count; i++) {
		params.names[i].placeholder = arena_printf(x->arena, "#%.*s", base36(i, digits), digits);
		params.names[i].name = x->all_names[i];
	}
	return expr_bind(EXPR_PROJECTION, text, &params, x->arena, &unused, err);
}

/* Their top-level attributes, each once. */
static void
put_top_level(struct writer *w, const struct dax_paths *paths)
{
	for (size_t i = 0; i < paths->count; i++) {
		struct slice name = paths->items[i].elements[0];
		bool known = false;

		for (size_t j = 0; j < i && !known; j++)
			known = slice_eq(paths->items[j].elements[0], name);
		if (known)
			continue;
		if (w->text.len > 0)
			buf_put_byte(&w->text, ',');
		put_name(w, name);
	}
}

enum status
express_projection(struct express *x, struct slice bytes, struct buf *out, struct dax_paths *ret, struct err *err)
{
	struct cbor_items items, paths = {0}, path;
	uint32_t name_count = x->name_count;
	size_t names_len = x->names->len, room = 0;
	enum status s = S_OK;
	struct writer w;

	*ret = (struct dax_paths){0};
	if (begin(&w, x, bytes, &items))
		paths = cbor_array(&w.r);
	while (cbor_next(&w.r, &paths)) {
		if (ret->count == room) {
			struct dax_path *wider;

			room = room > 0 ? 2 * room : 8;
			wider = arena_alloc(x->arena, room * sizeof *wider);
			if (ret->count > 0)
				memcpy(wider, ret->items, ret->count * sizeof *wider);
			ret->items = wider;
		}
		if (ret->count > 0)
			buf_put_byte(&w.text, ',');
		path = cbor_array(&w.r);
		if (take_code(&w, &path) != CODE_PATH || w.text.len > TEXT_MAX)
			cbor_fail(&w.r, "a projection holds something else than paths, or too many");
		put_path(&w, &path, &ret->items[ret->count++]);
	}
	if (!cbor_failed(&w.r))
		s = check_paths(x, buf_slice(&w.text), err);
	if (!cbor_failed(&w.r) && s == S_OK && (out == NULL || goes_deeper(ret))) {
		x->name_count = name_count;
		x->names->len = names_len;
		w.text.len = 0;
		if (out != NULL)
			put_top_level(&w, ret);
	}
	if (s != S_OK) {
		buf_done(&w.text);
		return s;
	}
	return end(&w, &items, out, err);
}

void
express_end(const struct express *x, struct buf *out)
{
	if (x->names->len > x->names_start) {
		buf_put_lit(out, ",\"ExpressionAttributeNames\":{");
		buf_put(out, x->names->data + x->names_start, x->names->len - x->names_start);
		buf_put_byte(out, '}');
	}
	if (x->values->len > x->values_start) {
		buf_put_lit(out, ",\"ExpressionAttributeValues\":{");
		buf_put(out, x->values->data + x->values_start, x->values->len - x->values_start);
		buf_put_byte(out, '}');
	}
}
