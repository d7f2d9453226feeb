/*
 * WHERE: a filter for the evaluator, and beside it the same tree with what planning needs to know of each comparison.
 * Operand types and counts are checked by the code that checks filter expressions.
 */
#include "expr/partiql/partiql_int.h"

#include <strings.h>

static enum status condition(struct pq_translator *t, const struct pq_node *n, struct pq_cond **ret);

/* ---- paths ---- */

static enum status
fail_component(struct pq_translator *t, const struct pq_node *n)
{
	return err_set(t->err, S_VALIDATION, "Unexpected path component%s", pq_position(t, n));
}

static enum status
path_index(struct pq_translator *t, const struct pq_node *n, struct path_elem *ret)
{
	const struct pq_node *number = n->first;
	struct slice digits = number->text;
	bool negative = number->type == N_NUMBER && digits.data[0] == '-';
	uint64_t index = 0;

	if (number->type != N_NUMBER)
		return fail_component(t, number);
	if (negative)
		digits = slice_of(digits.data + 1, digits.len - 1);
	for (size_t i = 0; i < digits.len; i++) {
		if (digits.data[i] < '0' || digits.data[i] > '9')
			return fail_component(t, number);
		if (index <= LIST_INDEX_MAX)
			index = index * 10 + (uint64_t)(digits.data[i] - '0');
	}
	if (index > LIST_INDEX_MAX || (negative && index > 0))
		return err_set(t->err, S_VALIDATION, "List index is not within the allowable range; index: [%.*s]%s",
			       SLICE_ARG(number->text), pq_position(t, number));
	*ret = (struct path_elem){.index = (uint32_t)index};
	return S_OK;
}

enum status
pq_path(struct pq_translator *t, const struct pq_node *n, struct path_elem **ret, uint32_t *ret_len)
{
	uint32_t count = n->type == N_PATH ? n->count : 1;
	const struct pq_node *part = n->type == N_PATH ? n->first : n;
	struct path_elem *elems;
	enum status s = S_OK;

	if (part->type != N_NAME)
		return fail_component(t, part);
	if (count > PATH_ELEMS_MAX)
		return err_set(t->err, S_VALIDATION,
			       "The document path has too many nesting levels; nesting levels: %u", count);
	elems = arena_alloc(t->arena, count * sizeof *elems);
	for (uint32_t i = 0; i < count && s == S_OK; i++, part = part->next) {
		if (part->type == N_INDEX)
			s = path_index(t, part, &elems[i]);
		else if (part->type == N_WILD)
			s = fail_component(t, part);
		else if (part->text.len == 0)
			s = err_set(t->err, S_VALIDATION, "Path component cannot be an empty string");
		else
			elems[i] = (struct path_elem){.name = part->text};
	}
	*ret = elems;
	*ret_len = count;
	return s;
}

static enum status
path_node(struct pq_translator *t, const struct pq_node *n, uint32_t *ret)
{
	struct path_elem *elems;
	uint32_t len;
	enum status s = pq_path(t, n, &elems, &len);

	if (s == S_OK)
		*ret = expr_build_path(t->builder, elems, len);
	return s;
}

/* ---- functions ---- */

static const struct {
	const char *name;
	uint8_t op;
} functions[] = {
    {"attribute_exists", EXPR_ATTRIBUTE_EXISTS},
    {"attribute_not_exists", EXPR_ATTRIBUTE_NOT_EXISTS},
    {"attribute_type", EXPR_ATTRIBUTE_TYPE},
    {"begins_with", EXPR_BEGINS_WITH},
    {"contains", EXPR_CONTAINS},
    {"size", EXPR_SIZE},
};

/* NO_NODE when it is none of a condition's. */
static uint32_t
function_op(const struct pq_node *n)
{
	for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
		if (slice_eq(n->text, slice_str(functions[i].name)))
			return functions[i].op;
	return NO_NODE;
}

static enum status
fail_function(struct pq_translator *t, const struct pq_node *n)
{
	return err_set(t->err, S_VALIDATION, "Unrecognized function: %.*s%s", SLICE_ARG(n->text), pq_position(t, n));
}

static enum status
check_type_name(struct pq_translator *t, struct av type)
{
	enum av_type known = 0;

	if (av_type(type) != AV_S)
		return S_OK; /* told with the other operand types */
	while (known < AV_TYPE_COUNT && !slice_eq(av_bytes(type), slice_str(av_type_name(known))))
		known++;
	if (known < AV_TYPE_COUNT)
		return S_OK;
	return err_set(t->err, S_VALIDATION,
		       "Invalid attribute type name found; type: %.*s, valid types: {N,BS,L,B,NULL,M,S,SS,NS,BOOL}",
		       SLICE_ARG(av_bytes(type)));
}

/* ---- operands ---- */

static const char *
operator_text(uint8_t word)
{
	static const char *const texts[W_COUNT] = {
	    [W_OR] = "or",
	    [W_AND] = "and",
	    [W_NOT] = "not",
	    [W_EQ] = "=",
	    [W_NE] = "<>",
	    [W_LT] = "<",
	    [W_LE] = "<=",
	    [W_GT] = ">",
	    [W_GE] = ">=",
	    [W_IS] = "is",
	    [W_IS_NOT] = "is",
	    [W_IN] = "in",
	    [W_NOT_IN] = "in",
	    [W_BETWEEN] = "between",
	    [W_NOT_BETWEEN] = "between",
	    [W_LIKE] = "like",
	    [W_NOT_LIKE] = "like",
	    [W_PLUS] = "+",
	    [W_MINUS] = "-",
	    [W_STAR] = "*",
	    [W_DIVIDE] = "/",
	    [W_MODULO] = "%",
	    [W_CONCAT] = "||",
	    [W_UNION] = "union",
	    [W_EXCEPT] = "except",
	    [W_INTERSECT] = "intersect",
	    [W_AT_SIGN] = "@",
	};

	return texts[word];
}

static enum status
fail_operator(struct pq_translator *t, const struct pq_node *n, const char *clause)
{
	return err_set(t->err, S_VALIDATION, "Unsupported operator in %s Expression. Operator: %s", clause,
		       operator_text(n->op));
}

static enum status
fail_unary(struct pq_translator *t, const struct pq_node *n)
{
	return err_set(
	    t->err, S_VALIDATION,
	    "Incorrect number of operands for operator or function; operator or function: %s, number of operands: 1",
	    operator_text(n->op));
}

static enum status
value_node(struct pq_translator *t, const struct pq_node *n, uint32_t *ret)
{
	struct av value;
	enum status s = pq_value(t, n, &value);

	if (s == S_OK)
		*ret = expr_build_value(t->builder, value);
	return s;
}

static enum status operand(struct pq_translator *t, const struct pq_node *n, uint32_t *ret);

static enum status
operands(struct pq_translator *t, const struct pq_node *first, uint32_t count, uint32_t *ret)
{
	enum status s = S_OK;

	for (uint32_t i = 0; i < count && s == S_OK; i++, first = first->next)
		s = operand(t, first, &ret[i]);
	return s;
}

static enum status
size_node(struct pq_translator *t, const struct pq_node *n, uint32_t *ret)
{
	uint32_t *children = arena_alloc(t->arena, n->count * sizeof *children);
	enum status s = operands(t, n->first, n->count, children);

	if (s == S_OK)
		*ret = expr_build_node(t->builder, EXPR_SIZE, children, n->count);
	return s;
}

/* Conditions are operands too: attribute_exists(a) = true. */
static enum status
operand(struct pq_translator *t, const struct pq_node *n, uint32_t *ret)
{
	struct pq_cond *cond;
	enum status s;

	if (pq_is_value(n))
		return value_node(t, n, ret);
	if (n->type == N_NAME || n->type == N_PATH)
		return path_node(t, n, ret);
	if (n->type == N_CALL && function_op(n) == EXPR_SIZE)
		return size_node(t, n, ret);
	s = condition(t, n, &cond);
	if (s == S_OK)
		*ret = cond->node;
	return s;
}

/* ---- comparisons ---- */

static struct pq_cond *
new_cond(struct pq_translator *t, uint8_t op, const uint32_t *children, size_t count)
{
	struct pq_cond *cond = ARENA_NEW(t->arena, struct pq_cond);

	cond->op = op;
	cond->node = expr_build_node(t->builder, (enum expr_op)op, children, count);
	return cond;
}

static struct pq_cond *
negated(struct pq_translator *t, struct pq_cond *cond)
{
	struct pq_cond *not = new_cond(t, EXPR_NOT, &cond->node, 1);

	not ->first = not ->last = cond;
	not ->count = 1;
	return not ;
}

/* A comparison of an attribute with nothing but constants can be a key condition. */
static enum status
note_constants(struct pq_translator *t, struct pq_cond *cond, const struct pq_node *attr, const struct pq_node *first,
	       uint32_t count)
{
	struct av *values;
	enum status s = S_OK;

	if (attr->type != N_NAME)
		return S_OK;
	for (const struct pq_node *n = first; n != NULL; n = n->next)
		if (!pq_is_value(n))
			return S_OK;
	values = arena_alloc(t->arena, count * sizeof *values);
	for (uint32_t i = 0; i < count && s == S_OK; i++, first = first->next)
		s = pq_value(t, first, &values[i]);
	cond->attr = attr->text;
	cond->values = values;
	cond->value_count = count;
	return s;
}

static uint8_t
mirrored(uint8_t op)
{
	switch (op) {
	case EXPR_LT:
		return EXPR_GT;
	case EXPR_LE:
		return EXPR_GE;
	case EXPR_GT:
		return EXPR_LT;
	case EXPR_GE:
		return EXPR_LE;
	default:
		return op;
	}
}

static enum status
comparison(struct pq_translator *t, const struct pq_node *n, uint8_t op, struct pq_cond **ret)
{
	uint32_t children[2];
	enum status s = operands(t, n->first, 2, children);

	if (s != S_OK)
		return s;
	*ret = new_cond(t, op, children, 2);
	if (pq_is_value(n->first) && n->last->type == N_NAME) {
		struct pq_node alone = *n->first;

		alone.next = NULL;
		(*ret)->op = mirrored(op);
		return note_constants(t, *ret, n->last, &alone, 1);
	}
	return note_constants(t, *ret, n->first, n->last, 1);
}

static enum status
between(struct pq_translator *t, const struct pq_node *n, struct pq_cond **ret)
{
	uint32_t children[3];
	enum status s = operands(t, n->first, 3, children);

	if (s != S_OK)
		return s;
	*ret = new_cond(t, EXPR_BETWEEN, children, 3);
	return note_constants(t, *ret, n->first, n->first->next, 2);
}

static enum status
in(struct pq_translator *t, const struct pq_node *n, struct pq_cond **ret)
{
	const struct pq_node *list = n->last;
	uint32_t children[1 + IN_OPERANDS_MAX];
	enum status s;

	if (list->type != N_LIST && list->type != N_BAG)
		return fail_operator(t, n, "Condition");
	if (list->count > IN_OPERANDS_MAX)
		return err_set(t->err, S_VALIDATION,
			       "The IN operator is provided with too many operands; number of operands: %u",
			       list->count);
	if (list->count == 0)
		return err_set(t->err, S_VALIDATION,
			       "Incorrect number of operands for operator or function; operator or function: IN, "
			       "number of operands: 1");
	s = operand(t, n->first, &children[0]);
	if (s == S_OK)
		s = operands(t, list->first, list->count, children + 1);
	if (s != S_OK)
		return s;
	*ret = new_cond(t, EXPR_IN, children, 1 + list->count);
	return note_constants(t, *ret, n->first, list->first, list->count);
}

static enum status
call(struct pq_translator *t, const struct pq_node *n, struct pq_cond **ret)
{
	uint32_t op = function_op(n), *children = arena_alloc(t->arena, n->count * sizeof *children);
	struct av type;
	enum status s;

	if (op == NO_NODE || op == EXPR_SIZE)
		return fail_function(t, n);
	s = operands(t, n->first, n->count, children);
	if (s == S_OK && op == EXPR_ATTRIBUTE_TYPE && n->count == 2 && pq_is_value(n->last)) {
		s = pq_value(t, n->last, &type);
		if (s == S_OK)
			s = check_type_name(t, type);
	}
	if (s != S_OK)
		return s;
	*ret = new_cond(t, (uint8_t)op, children, n->count);
	if (op == EXPR_BEGINS_WITH && n->count == 2)
		return note_constants(t, *ret, n->first, n->last, 1);
	return S_OK;
}

/* IS MISSING asks for an attribute that is not there, IS NULL for one that is NULL, the rest for a type. */
static enum status
is(struct pq_translator *t, const struct pq_node *n, struct pq_cond **ret)
{
	static const struct {
		const char *name, *type;
	} types[] = {
	    {"null", "NULL"}, {"bool", "BOOL"}, {"boolean", "BOOL"}, {"string", "S"},
	    {"numeric", "N"}, {"struct", "M"},  {"tuple", "M"},      {"list", "L"},
	};
	uint32_t children[2];
	enum status s = operand(t, n->first, &children[0]);
	size_t i = 0;

	if (s != S_OK)
		return s;
	if (slice_eq(n->text, SLICE("missing"))) {
		*ret = new_cond(t, n->op == W_IS ? EXPR_ATTRIBUTE_NOT_EXISTS : EXPR_ATTRIBUTE_EXISTS, children, 1);
		return S_OK;
	}
	while (i < sizeof types / sizeof *types && !slice_eq(n->text, slice_str(types[i].name)))
		i++;
	if (i == sizeof types / sizeof *types)
		return err_set(
		    t->err, S_VALIDATION,
		    "Unsupported type in IS: %.*s. Supported types: [NULL, MISSING, BOOLEAN, STRING, NUMERIC, "
		    "STRUCT, TUPLE, LIST]",
		    SLICE_ARG(n->text));
	children[1] = expr_build_value(t->builder, av_string(t->arena, slice_str(types[i].type)));
	*ret = new_cond(t, EXPR_ATTRIBUTE_TYPE, children, 2);
	if (n->op == W_IS_NOT)
		*ret = negated(t, *ret);
	return S_OK;
}

/* ---- conditions ---- */

static void
add_cond(struct pq_cond *cond, struct pq_cond *child)
{
	if (cond->last != NULL)
		cond->last->next = child;
	else
		cond->first = child;
	cond->last = child;
	cond->count++;
}

/* AND of AND is one AND, wherever the parentheses are. */
static void
splice(struct pq_cond *cond, struct pq_cond *child)
{
	if (child->op != cond->op || child->first == NULL) {
		add_cond(cond, child);
		return;
	}
	for (struct pq_cond *c = child->first, *next; c != NULL; c = next) {
		next = c->next;
		c->next = NULL;
		add_cond(cond, c);
	}
}

static enum status
junction(struct pq_translator *t, const struct pq_node *n, uint8_t op, struct pq_cond **ret)
{
	struct pq_cond *cond = ARENA_NEW(t->arena, struct pq_cond);
	uint32_t *children, count = 0;

	cond->op = op;
	for (const struct pq_node *child = n->first; child != NULL; child = child->next) {
		struct pq_cond *c;
		enum status s = condition(t, child, &c);

		if (s != S_OK)
			return s;
		splice(cond, c);
	}
	children = arena_alloc(t->arena, cond->count * sizeof *children);
	for (const struct pq_cond *c = cond->first; c != NULL; c = c->next)
		children[count++] = c->node;
	cond->node = expr_build_node(t->builder, (enum expr_op)op, children, count);
	*ret = cond;
	return S_OK;
}

static enum status
binary(struct pq_translator *t, const struct pq_node *n, struct pq_cond **ret)
{
	enum status s;

	switch (n->op) {
	case W_AND:
		return junction(t, n, EXPR_AND, ret);
	case W_OR:
		return junction(t, n, EXPR_OR, ret);
	case W_EQ:
		return comparison(t, n, EXPR_EQ, ret);
	case W_NE:
		return comparison(t, n, EXPR_NE, ret);
	case W_LT:
		return comparison(t, n, EXPR_LT, ret);
	case W_LE:
		return comparison(t, n, EXPR_LE, ret);
	case W_GT:
		return comparison(t, n, EXPR_GT, ret);
	case W_GE:
		return comparison(t, n, EXPR_GE, ret);
	case W_IN:
		return in(t, n, ret);
	case W_NOT_IN:
		s = in(t, n, ret);
		if (s == S_OK)
			*ret = negated(t, *ret);
		return s;
	default:
		return fail_operator(t, n, "Condition");
	}
}

static enum status
ternary(struct pq_translator *t, const struct pq_node *n, struct pq_cond **ret)
{
	enum status s;

	if (n->op != W_BETWEEN && n->op != W_NOT_BETWEEN)
		return fail_operator(t, n, "Condition");
	s = between(t, n, ret);
	if (s == S_OK && n->op == W_NOT_BETWEEN)
		*ret = negated(t, *ret);
	return s;
}

static enum status not(struct pq_translator * t, const struct pq_node *n, struct pq_cond **ret) {
	enum status s;

	if (n->op != W_NOT) return fail_unary(t, n);
	s = condition(t, n->first, ret);
	if (s == S_OK) *ret = negated(t, *ret);
	return s;
}

/* Depth is bounded by the parser. */
static enum status
condition(struct pq_translator *t, const struct pq_node *n, struct pq_cond **ret)
{
	switch (n->type) {
	case N_BINARY:
		return binary(t, n, ret);
	case N_TERNARY:
		return ternary(t, n, ret);
	case N_UNARY:
		return not(t, n, ret);
	case N_IS:
		return is(t, n, ret);
	case N_CALL:
		return call(t, n, ret);
	default:
		return err_set(t->err, S_VALIDATION, "Unsupported token in expression: %.*s%s", (int)n->len,
			       t->p->text.data + n->at, pq_position(t, n));
	}
}

/* ---- the whole ---- */

enum status
pq_without_prefix(enum expr_kind kind, enum status s, struct err *err)
{
	size_t prefix = strlen("Invalid : ") + strlen(expr_kind_names[kind]);

	if (s == S_OK)
		return S_OK;
	memmove(err->message, err->message + prefix, strlen(err->message + prefix) + 1);
	return s;
}

enum status
pq_where(struct pq_translator *t, const struct pq_node *n, struct partiql_where **ret)
{
	struct partiql_where *w = ARENA_NEW(t->arena, struct partiql_where);
	enum status s;

	t->builder = w->builder = expr_build_new(EXPR_FILTER, t->arena);
	s = condition(t, n, &w->root);
	if (s != S_OK)
		return s;
	w->expr = expr_build_view(w->builder, w->root->node);
	*ret = w;
	return pq_without_prefix(EXPR_FILTER, expr_check_built(w->expr, t->err), t->err);
}

/* ---- SET ---- */

static enum status
update_call(struct pq_translator *t, const struct pq_node *n, uint32_t *ret)
{
	uint32_t *children = arena_alloc(t->arena, n->count * sizeof *children), count = 0;
	enum status s = S_OK;

	if (!slice_eq(n->text, SLICE("list_append")))
		return fail_function(t, n);
	for (const struct pq_node *child = n->first; child != NULL && s == S_OK; child = child->next)
		s = pq_update_value(t, child, &children[count++]);
	if (s == S_OK)
		*ret = expr_build_node(t->builder, EXPR_LIST_APPEND, children, count);
	return s;
}

static enum status
update_arithmetic(struct pq_translator *t, const struct pq_node *n, uint32_t *ret)
{
	uint32_t children[2];
	enum status s;

	if (n->op != W_PLUS && n->op != W_MINUS)
		return fail_operator(t, n, "Update");
	s = pq_update_value(t, n->first, &children[0]);
	if (s == S_OK)
		s = pq_update_value(t, n->last, &children[1]);
	if (s == S_OK)
		*ret = expr_build_node(t->builder, n->op == W_PLUS ? EXPR_PLUS : EXPR_MINUS, children, 2);
	return s;
}

enum status
pq_update_value(struct pq_translator *t, const struct pq_node *n, uint32_t *ret)
{
	if (pq_is_value(n))
		return value_node(t, n, ret);
	switch (n->type) {
	case N_NAME:
	case N_PATH:
		return path_node(t, n, ret);
	case N_CALL:
		return update_call(t, n, ret);
	case N_BINARY:
		return update_arithmetic(t, n, ret);
	case N_UNARY:
		return n->op == W_NOT ? fail_operator(t, n, "Update") : fail_unary(t, n);
	case N_TERNARY:
	case N_IS:
		return fail_operator(t, n, "Update");
	default:
		return err_set(t->err, S_VALIDATION, "Unsupported token in expression: %.*s%s", (int)n->len,
			       t->p->text.data + n->at, pq_position(t, n));
	}
}
