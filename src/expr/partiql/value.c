/* Literals and parameters as attribute values. */
#include "expr/partiql/partiql_int.h"
#include "model/number.h"

#define LITERAL_DEPTH_MAX 32 /* a member of so many lists and maps is refused */

/* Where a value lies within the attribute, for messages: root.a[0] */
struct place {
	const struct place *above;
	struct slice name; /* data is NULL: an index */
	uint32_t index;
};

const char *
pq_position(const struct pq_translator *t, const struct pq_node *n)
{
	const char *text = t->p->text.data;
	uint32_t line = 1, column = 1, length = 0;

	for (uint32_t i = 0; i < n->at; i++) {
		if (text[i] == '\n') {
			line++;
			column = 1;
		} else if (((unsigned char)text[i] & 0xC0) != 0x80) {
			column++;
		}
	}
	for (uint32_t i = n->at; i < n->at + n->len; i++)
		length += ((unsigned char)text[i] & 0xC0) != 0x80;
	return arena_printf(t->arena, " at %u:%u:%u", line, column, length).data;
}

static void
put_place(struct buf *out, const struct place *place)
{
	if (place == NULL) {
		buf_put_lit(out, "root");
		return;
	}
	put_place(out, place->above); /* as deep as literals may be */
	if (place->name.data != NULL)
		buf_printf(out, ".%.*s", SLICE_ARG(place->name));
	else
		buf_printf(out, "[%u]", place->index);
}

static const char *
place_text(struct pq_translator *t, const struct place *place)
{
	struct buf text = {0};
	const char *copy;

	put_place(&text, place);
	copy = arena_dup(t->arena, buf_slice(&text)).data;
	buf_done(&text);
	return copy;
}

bool
pq_is_value(const struct pq_node *n)
{
	switch (n->type) {
	case N_STRING:
	case N_NUMBER:
	case N_TRUE:
	case N_FALSE:
	case N_NULL:
	case N_MISSING:
	case N_PARAM:
	case N_LIST:
	case N_BAG:
	case N_STRUCT:
		return true;
	default:
		return false;
	}
}

static enum status
fail_type(struct pq_translator *t, const struct pq_node *n, const struct place *place)
{
	static const char *const names[] = {
	    [N_NAME] = "VariableReference",
	    [N_PATH] = "Path",
	    [N_MISSING] = "LiteralMissing",
	    [N_PARAM] = "Parameter",
	    [N_UNARY] = "NAry",
	    [N_BINARY] = "NAry",
	    [N_TERNARY] = "NAry",
	    [N_IS] = "Typed",
	    [N_SELECT] = "Select",
	    [N_CHANGE] = "DataManipulation",
	};
	struct slice name = n->type == N_CALL ? n->text : slice_str(names[n->type]);

	return err_set(t->err, S_VALIDATION, "Unsupported data type: %.*s under key %s%s", SLICE_ARG(name),
		       place_text(t, place), pq_position(t, n));
}

static enum status
put_number(struct pq_translator *t, struct buf *out, const struct pq_node *n, const struct place *place)
{
	uint8_t encoded[NUMBER_ENCODED_MAX];
	struct err why;
	size_t len = number_encode_text(n->text, encoded, &why);

	if (len == 0)
		return err_set(t->err, S_VALIDATION, "%s under %s", why.message, place_text(t, place));
	av_put_number(out, slice_of(encoded, len));
	return S_OK;
}

/* ---- sets ---- */

static enum status
fail_duplicates(struct pq_translator *t, const struct pq_node *bag, const struct place *place)
{
	struct buf text = {0};
	enum status s;

	for (const struct pq_node *n = bag->first; n != NULL && text.len < ERR_MESSAGE_MAX; n = n->next)
		buf_printf(&text, "%s%.*s", text.len > 0 ? ", " : "", SLICE_ARG(n->text));
	buf_put_byte(&text, '\0');
	if (bag->first->type == N_NUMBER)
		s = err_set(
		    t->err, S_VALIDATION,
		    "One or more parameter values were invalid: Input collection [%s] contains duplicates! under %s",
		    text.data, place_text(t, place));
	else
		s = err_set(t->err, S_VALIDATION,
			    "One or more parameter values were invalid: Input collection [%s] contains duplicates.",
			    text.data);
	buf_done(&text);
	return s;
}

static enum status
put_element(struct pq_translator *t, struct buf *out, const struct pq_node *n, const struct place *place)
{
	struct buf number = {0};
	enum status s;

	if (n->type == N_STRING) {
		av_put_element(out, n->text);
		return S_OK;
	}
	s = put_number(t, &number, n, place);
	if (s == S_OK) /* tag and length are the value's, not the element's */
		av_put_element(out, slice_of(number.data + 2, number.len - 2));
	buf_done(&number);
	return s;
}

static enum status
put_bag(struct pq_translator *t, struct buf *out, const struct pq_node *bag, const struct place *place)
{
	size_t mark;
	enum status s = S_OK;

	if (bag->count == 0)
		return err_set(t->err, S_VALIDATION, "Empty bags are not supported");
	for (const struct pq_node *n = bag->first; n != NULL; n = n->next)
		if ((n->type != N_STRING && n->type != N_NUMBER) || n->type != bag->first->type)
			return err_set(t->err, S_VALIDATION,
				       "Unsupported data type in Bag. DynamoDB only supports either numbers or strings "
				       "in bags");
	mark = av_open(out, bag->first->type == N_STRING ? TAG_SS : TAG_NS);
	for (const struct pq_node *n = bag->first; n != NULL && s == S_OK; n = n->next)
		s = put_element(t, out, n, place);
	if (s != S_OK)
		return s;
	return av_close_set(out, mark, bag->count, NULL) == S_OK ? S_OK : fail_duplicates(t, bag, place);
}

/* ---- lists and maps ---- */

static enum status put_value(struct pq_translator *t, struct buf *out, const struct pq_node *n,
			     const struct place *place, unsigned depth);

static enum status
put_list(struct pq_translator *t, struct buf *out, const struct pq_node *list, const struct place *place,
	 unsigned depth)
{
	struct place below = {.above = place};
	size_t mark = av_open(out, TAG_L);
	enum status s = S_OK;

	for (const struct pq_node *n = list->first; n != NULL && s == S_OK; n = n->next, below.index++)
		s = put_value(t, out, n, &below, depth + 1);
	if (s == S_OK)
		av_close_list(out, mark, list->count);
	return s;
}

static enum status
fail_duplicate_key(struct pq_translator *t, struct slice name, const struct place *place)
{
	return err_set(t->err, S_VALIDATION, "Duplicate keys in tuple. Key: %.*s under %s", SLICE_ARG(name),
		       place_text(t, place));
}

/* An item's attributes are values of their own: each begins at "root". */
static enum status
put_map(struct pq_translator *t, struct buf *out, const struct pq_node *map, const struct place *place, unsigned depth,
	bool item)
{
	size_t mark = av_open(out, TAG_M);
	struct slice duplicate;

	for (const struct pq_node *name = map->first; name != NULL; name = name->next->next) {
		struct place below = {.above = place, .name = name->text};
		enum status s;

		if (name->type != N_STRING)
			return err_set(t->err, S_VALIDATION, "Tuple keys must be of type String%s",
				       pq_position(t, name));
		if (name->text.len == 0)
			return err_set(t->err, S_VALIDATION, "Empty attribute name");
		av_put_name(out, name->text);
		s = item ? put_value(t, out, name->next, NULL, 0) : put_value(t, out, name->next, &below, depth + 1);
		if (s != S_OK)
			return s;
	}
	if (av_close_map(out, mark, map->count / 2, &duplicate) != S_OK)
		return fail_duplicate_key(t, duplicate, place);
	return S_OK;
}

static enum status
put_parameter(struct pq_translator *t, struct buf *out, const struct pq_node *n, const struct place *place)
{
	if (place != NULL)
		return fail_type(t, n, place);
	av_put_value(out, t->params[n->number]);
	return S_OK;
}

/* depth: lists and maps around the value; bounded, so the recursion is. */
static enum status
put_value(struct pq_translator *t, struct buf *out, const struct pq_node *n, const struct place *place, unsigned depth)
{
	if (depth >= LITERAL_DEPTH_MAX)
		return err_set(t->err, S_VALIDATION, "Nesting Levels have exceeded supported limits under %s",
			       place_text(t, place));
	switch (n->type) {
	case N_STRING:
		av_put_string(out, n->text);
		return S_OK;
	case N_NUMBER:
		return put_number(t, out, n, place);
	case N_TRUE:
	case N_FALSE:
		av_put_bool(out, n->type == N_TRUE);
		return S_OK;
	case N_NULL:
		av_put_null(out);
		return S_OK;
	case N_PARAM:
		return put_parameter(t, out, n, place);
	case N_BAG:
		return put_bag(t, out, n, place);
	case N_LIST:
		return put_list(t, out, n, place, depth);
	case N_STRUCT:
		return put_map(t, out, n, place, depth, false);
	default:
		return fail_type(t, n, place);
	}
}

enum status
pq_value(struct pq_translator *t, const struct pq_node *n, struct av *ret)
{
	struct buf out = {0};
	enum status s;

	if (n->type == N_PARAM) { /* no copy: it may be large */
		*ret = t->params[n->number];
		return S_OK;
	}
	s = put_value(t, &out, n, NULL, 0);
	if (s == S_OK)
		*ret = av_of_buf(t->arena, &out, 0);
	buf_done(&out);
	return s;
}

enum status
pq_item(struct pq_translator *t, const struct pq_node *n, struct av *ret)
{
	struct buf out = {0};
	enum status s;

	if (n->type != N_STRUCT)
		return err_set(t->err, S_VALIDATION, "Only a single tuple can be inserted as a VALUE%s",
			       pq_position(t, n));
	s = put_map(t, &out, n, NULL, 0, true);
	if (s == S_OK)
		*ret = av_of_buf(t->arena, &out, 0);
	buf_done(&out);
	return s;
}
