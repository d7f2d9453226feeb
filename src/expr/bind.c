/*
 * Binding: a program's placeholders become this request's names and values, and everything that depends on them is
 * checked. DynamoDB checks conditions one comparison or function at a time, each for missing substitutes, operand
 * counts, equal operands and types in that order; updates and projections as a whole.
 */
#include "expr/expr_int.h"
#include "model/number.h"

#define TABLE_FROM      16 /* substitutes from which a hash table beats looking at each */
#define PAIRWISE_MAX    64 /* paths up to which every pair is compared for overlaps */
#define OPERAND_UNKNOWN AV_TYPE_COUNT

const char *const expr_kind_names[] = {
    [EXPR_CONDITION] = "ConditionExpression",    [EXPR_FILTER] = "FilterExpression",
    [EXPR_SEARCH] = "SearchConditionExpression", [EXPR_KEY_CONDITION] = "KeyConditionExpression",
    [EXPR_PROJECTION] = "ProjectionExpression",  [EXPR_UPDATE] = "UpdateExpression",
};

const char *const expr_op_names[] = {
    [EXPR_OR] = "OR",
    [EXPR_AND] = "AND",
    [EXPR_NOT] = "NOT",
    [EXPR_EQ] = "=",
    [EXPR_NE] = "<>",
    [EXPR_LT] = "<",
    [EXPR_LE] = "<=",
    [EXPR_GT] = ">",
    [EXPR_GE] = ">=",
    [EXPR_BETWEEN] = "BETWEEN",
    [EXPR_IN] = "IN",
    [EXPR_ATTRIBUTE_EXISTS] = "attribute_exists",
    [EXPR_ATTRIBUTE_NOT_EXISTS] = "attribute_not_exists",
    [EXPR_ATTRIBUTE_TYPE] = "attribute_type",
    [EXPR_BEGINS_WITH] = "begins_with",
    [EXPR_CONTAINS] = "contains",
    [EXPR_SIZE] = "size",
    [EXPR_IF_NOT_EXISTS] = "if_not_exists",
    [EXPR_LIST_APPEND] = "list_append",
    [EXPR_PLUS] = "+",
    [EXPR_MINUS] = "-",
    [EXPR_SET] = "SET",
    [EXPR_ADD] = "ADD",
    [EXPR_DELETE] = "DELETE",
    [EXPR_REMOVE] = "REMOVE",
};

/* Operands of functions and arithmetic; 0: any. */
static const uint8_t arity[] = {
    [EXPR_ATTRIBUTE_EXISTS] = 1,
    [EXPR_ATTRIBUTE_NOT_EXISTS] = 1,
    [EXPR_ATTRIBUTE_TYPE] = 2,
    [EXPR_BEGINS_WITH] = 2,
    [EXPR_CONTAINS] = 2,
    [EXPR_SIZE] = 1,
    [EXPR_IF_NOT_EXISTS] = 2,
    [EXPR_LIST_APPEND] = 2,
    [EXPR_LIST] = 0,
};

struct binding {
	struct expr *e;
	const struct program *program;
	struct slice text;
	struct slice *names; /* by slot; data is NULL when the request has none such */
	bool missing;        /* some name or value is */
	struct err *err;
};

/* ---- finding substitutes ---- */

/* Both arrays begin with the placeholder; size is that of an element. */
static struct slice
placeholder_at(const void *array, size_t size, size_t i)
{
	return *(const struct slice *)((const char *)array + i * size);
}

static uint32_t *
make_table(const void *array, size_t size, size_t count, struct arena *arena)
{
	size_t places = 64;
	uint32_t *table;

	while (places < 2 * count)
		places *= 2;
	table = ARENA_ARRAY(arena, uint32_t, places + 1);
	table[0] = (uint32_t)(places - 1);
	for (size_t i = 0; i < count; i++) {
		uint64_t at = cache_hash(placeholder_at(array, size, i));

		while (table[1 + (at & table[0])] != 0)
			at++;
		table[1 + (at & table[0])] = (uint32_t)(i + 1);
	}
	return table;
}

/* Number of the element with the placeholder, or count. */
static size_t
find_substitute(const void *array, size_t size, size_t count, struct slice placeholder, uint32_t **table,
		struct arena *arena)
{
	if (count < TABLE_FROM) {
		size_t i = 0;

		while (i < count && !slice_eq(placeholder_at(array, size, i), placeholder))
			i++;
		return i;
	}
	if (*table == NULL)
		*table = make_table(array, size, count, arena);
	for (uint64_t at = cache_hash(placeholder);; at++) {
		uint32_t entry = (*table)[1 + (at & (*table)[0])];

		if (entry == 0)
			return count;
		if (slice_eq(placeholder_at(array, size, entry - 1), placeholder))
			return entry - 1;
	}
}

static void
bind_slots(struct binding *b, struct expr_params *params, struct av *values, struct arena *arena)
{
	const struct program *p = b->program;

	for (uint32_t i = 0; i < p->name_count; i++) {
		struct slice placeholder = slice_of(b->text.data + p->names[i].at, p->names[i].len);
		size_t found = find_substitute(params->names, sizeof *params->names, params->name_count, placeholder,
					       &params->name_table, arena);

		if (found == params->name_count) {
			b->names[i] = SLICE_NONE;
			b->missing = true;
			continue;
		}
		params->names[found].used = true;
		b->names[i] = params->names[found].name;
	}
	for (uint32_t i = 0; i < p->value_count; i++) {
		struct slice placeholder = slice_of(b->text.data + p->values[i].at, p->values[i].len);
		size_t found = find_substitute(params->values, sizeof *params->values, params->value_count, placeholder,
					       &params->value_table, arena);

		values[i] = AV_NONE;
		if (found < params->value_count) {
			params->values[found].used = true;
			values[i] = params->values[found].value;
		}
		b->missing |= !av_exists(values[i]);
	}
}

static void
bind_elems(struct binding *b, struct path_elem *elems)
{
	const struct program *p = b->program;

	for (uint32_t i = 0; i < p->elem_count; i++) {
		const struct elem *from = &p->elems[i];

		switch (from->kind) {
		case ELEM_NAME:
			elems[i] = (struct path_elem){slice_of(b->text.data + from->at, from->len), 0};
			break;
		case ELEM_SLOT:
			elems[i] = (struct path_elem){b->names[from->at], 0};
			break;
		default:
			elems[i] = (struct path_elem){SLICE_NONE, from->at};
		}
	}
}

/* ---- missing substitutes ---- */

static enum status
fail_missing_name(struct binding *b, uint32_t slot)
{
	const struct slot *s = &b->program->names[slot];

	return expr_fail(b->e->kind, b->err,
			 "An expression attribute name used in the document path is not defined; attribute name: %.*s",
			 (int)s->len, b->text.data + s->at);
}

static enum status
fail_missing_value(struct binding *b, uint32_t slot)
{
	const struct slot *s = &b->program->values[slot];

	return expr_fail(b->e->kind, b->err,
			 "An expression attribute value used in expression is not defined; attribute value: %.*s",
			 (int)s->len, b->text.data + s->at);
}

static enum status
check_elems_missing(struct binding *b, uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++) {
		const struct elem *elem = &b->program->elems[i];

		if (elem->kind == ELEM_SLOT && b->names[elem->at].data == NULL)
			return fail_missing_name(b, elem->at);
	}
	return S_OK;
}

/* In the text's order, which is that of the tree below one comparison. */
static enum status
check_missing(struct binding *b, const struct node *n)
{
	if (n->op == EXPR_PATH)
		return check_elems_missing(b, n->first, n->count);
	if (n->op == EXPR_VALUE)
		return av_exists(b->e->values[n->first]) ? S_OK : fail_missing_value(b, n->first);
	for (uint32_t i = 0; i < n->count; i++) {
		enum status s = check_missing(b, expr_child(b->e, n, i));

		if (s != S_OK)
			return s;
	}
	return S_OK;
}

/* ---- operands ---- */

static enum av_type
value_type(const struct expr *e, const struct node *n)
{
	return n->op == EXPR_VALUE ? av_type(e->values[n->first]) : OPERAND_UNKNOWN;
}

/* What an operand will be, as far as that is known without an item. */
static enum av_type
operand_type(const struct expr *e, const struct node *n)
{
	if (n->op == EXPR_SIZE)
		return AV_N;
	if (n->op == EXPR_LIST_APPEND)
		return AV_L;
	if (n->op <= EXPR_CONTAINS) /* PartiQL compares conditions too */
		return AV_BOOL;
	return value_type(e, n);
}

static enum status
fail_type(struct binding *b, const struct node *n, enum av_type type)
{
	return expr_fail(b->e->kind, b->err,
			 "Incorrect operand type for operator or function; operator or function: %s, operand type: %s",
			 expr_op_names[n->op],
			 type == OPERAND_UNKNOWN ? "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}" : av_type_name(type));
}

#define TYPES(a)          (1u << (a))
#define TYPES_ORDERED     (TYPES(AV_S) | TYPES(AV_N) | TYPES(AV_B))
#define TYPES_WITH_PREFIX (TYPES(AV_S) | TYPES(AV_B))
#define TYPES_WITH_SIZE   (~(TYPES(AV_N) | TYPES(AV_BOOL) | TYPES(AV_NULL)))

static enum status
check_operand_types(struct binding *b, const struct node *n, unsigned allowed)
{
	for (uint32_t i = 0; i < n->count; i++) {
		enum av_type type = operand_type(b->e, expr_child(b->e, n, i));

		if (type != OPERAND_UNKNOWN && !(allowed & TYPES(type)))
			return fail_type(b, n, type);
	}
	return S_OK;
}

static enum status
check_path_operand(struct binding *b, const struct node *n)
{
	if (expr_child(b->e, n, 0)->op == EXPR_PATH)
		return S_OK;
	return expr_fail(b->e->kind, b->err, "Operator or function requires a document path; operator or function: %s",
			 expr_op_names[n->op]);
}

static enum status
check_type_name(struct binding *b, const struct node *n)
{
	const struct node *operand = expr_child(b->e, n, 1);
	enum av_type type = operand_type(b->e, operand);
	struct slice name;

	if (type != AV_S)
		return fail_type(b, n, type);
	name = av_bytes(b->e->values[operand->first]);
	for (type = 0; type < AV_TYPE_COUNT; type++)
		if (slice_eq(name, slice_str(av_type_name(type))))
			return S_OK;
	return expr_fail(b->e->kind, b->err,
			 "Invalid attribute type name found; type: %.*s, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
			 SLICE_ARG(name));
}

/* ---- BETWEEN's bounds ---- */

/* {S:b}, {N:1}, {B:YQ==} */
static struct slice
print_bound(struct buf *out, struct av v)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct slice bytes = av_bytes(v);
	char number[NUMBER_TEXT_MAX];
	size_t from = out->len;

	buf_printf(out, "{%s:", av_type_name(av_type(v)));
	if (av_type(v) == AV_N)
		buf_put(out, number, number_format_encoded(bytes, number));
	else if (av_type(v) == AV_S)
		buf_put_slice(out, bytes);
	else
		for (size_t i = 0; i < bytes.len && out->len < ERR_MESSAGE_MAX; i += 3) {
			size_t left = bytes.len - i;
			uint32_t group = (uint32_t)(uint8_t)bytes.data[i] << 16;

			if (left > 1)
				group |= (uint32_t)(uint8_t)bytes.data[i + 1] << 8;
			if (left > 2)
				group |= (uint8_t)bytes.data[i + 2];
			for (size_t d = 0; d < 4; d++)
				buf_put_byte(out, (uint8_t)(d <= left ? digits[group >> (18 - 6 * d) & 63] : '='));
		}
	buf_put_byte(out, '}');
	return slice_of(out->data + from, out->len - from);
}

static enum status
fail_bounds(struct binding *b, const char *what, struct av low, struct av high)
{
	struct buf *out = scratch_take();
	size_t low_len = print_bound(out, low).len;
	struct slice upper = print_bound(out, high);
	enum status s =
	    expr_fail(b->e->kind, b->err,
		      "The BETWEEN operator requires %s; lower bound operand: AttributeValue: %.*s, upper bound "
		      "operand: AttributeValue: %.*s",
		      what, (int)low_len, out->data, SLICE_ARG(upper));

	scratch_give(out);
	return s;
}

static enum status
check_between(struct binding *b, const struct node *n)
{
	const struct node *low = expr_child(b->e, n, 1), *high = expr_child(b->e, n, 2);
	enum status s = check_operand_types(b, n, TYPES_ORDERED);
	struct av low_value, high_value;

	if (s != S_OK || low->op != EXPR_VALUE || high->op != EXPR_VALUE)
		return s;
	low_value = b->e->values[low->first];
	high_value = b->e->values[high->first];
	if (av_type(low_value) != av_type(high_value))
		return fail_bounds(b, "same data type for lower and upper bounds", low_value, high_value);
	if (av_cmp(low_value, high_value) > 0)
		return fail_bounds(b, "upper bound to be greater than or equal to lower bound", low_value, high_value);
	return S_OK;
}

/* ---- checks of one node, those below it first ---- */

static enum status
check_types_here(struct binding *b, const struct node *n)
{
	switch (n->op) {
	case EXPR_LT:
	case EXPR_LE:
	case EXPR_GT:
	case EXPR_GE:
		return check_operand_types(b, n, TYPES_ORDERED);
	case EXPR_BETWEEN:
		return check_between(b, n);
	case EXPR_BEGINS_WITH:
		return check_operand_types(b, n, TYPES_WITH_PREFIX);
	case EXPR_SIZE:
		return check_operand_types(b, n, TYPES_WITH_SIZE);
	case EXPR_ATTRIBUTE_EXISTS:
	case EXPR_ATTRIBUTE_NOT_EXISTS:
	case EXPR_IF_NOT_EXISTS:
		return check_path_operand(b, n);
	case EXPR_ATTRIBUTE_TYPE:
		return check_type_name(b, n);
	case EXPR_LIST_APPEND:
		return check_operand_types(b, n, TYPES(AV_L));
	case EXPR_PLUS:
	case EXPR_MINUS:
		return check_operand_types(b, n, TYPES(AV_N));
	default:
		return S_OK;
	}
}

static enum status
check_arity_here(struct binding *b, const struct node *n)
{
	if (arity[n->op] == 0 || n->count == arity[n->op])
		return S_OK;
	return expr_fail(b->e->kind, b->err,
			 "Incorrect number of operands for operator or function; operator or function: %s, number of "
			 "operands: %u",
			 expr_op_names[n->op], n->count);
}

static bool
same_path(const struct expr *e, const struct node *a, const struct node *b)
{
	if (a->op != EXPR_PATH || b->op != EXPR_PATH || a->count != b->count)
		return false;
	for (uint32_t i = 0; i < a->count; i++)
		if (path_elem_cmp(&e->elems[a->first + i], &e->elems[b->first + i]) != 0)
			return false;
	return true;
}

/* [a, [1], b] */
static struct slice
print_path(struct buf *out, const struct path_elem *elems, uint32_t count)
{
	size_t from = out->len;

	buf_put_byte(out, '[');
	for (uint32_t i = 0; i < count; i++) {
		if (i > 0)
			buf_put_lit(out, ", ");
		if (elems[i].name.data == NULL)
			buf_printf(out, "[%u]", elems[i].index);
		else
			buf_put_slice(out, elems[i].name);
	}
	buf_put_byte(out, ']');
	return slice_of(out->data + from, out->len - from);
}

static enum status
check_distinct_here(struct binding *b, const struct node *n)
{
	const struct node *first;
	struct buf *out;
	enum status s;

	if (n->op == EXPR_BETWEEN || n->count < 2)
		return S_OK;
	first = expr_child(b->e, n, 0);
	for (uint32_t i = 1; i < n->count; i++) {
		if (!same_path(b->e, first, expr_child(b->e, n, i)))
			continue;
		out = scratch_take();
		s = expr_fail(
		    b->e->kind, b->err,
		    "The first operand must be distinct from the remaining operands for this operator or function; "
		    "operator: %s, first operand: %.*s",
		    expr_op_names[n->op], SLICE_ARG(print_path(out, &b->e->elems[first->first], first->count)));
		scratch_give(out);
		return s;
	}
	return S_OK;
}

static enum status
check_below(struct binding *b, const struct node *n, enum status (*check)(struct binding *b, const struct node *n))
{
	if (n->op == EXPR_PATH || n->op == EXPR_VALUE)
		return S_OK;
	for (uint32_t i = 0; i < n->count; i++) {
		enum status s = check_below(b, expr_child(b->e, n, i), check);

		if (s != S_OK)
			return s;
	}
	return check(b, n);
}

static enum status
check_condition(struct binding *b, const struct node *n)
{
	enum status s = S_OK;

	if (n->op <= EXPR_NOT) {
		for (uint32_t i = 0; i < n->count && s == S_OK; i++)
			s = check_condition(b, expr_child(b->e, n, i));
		return s;
	}
	if (b->missing)
		s = check_missing(b, n);
	if (s == S_OK)
		s = check_below(b, n, check_arity_here);
	if (s == S_OK)
		s = check_below(b, n, check_distinct_here);
	if (s == S_OK)
		s = check_below(b, n, check_types_here);
	return s;
}

/* ---- overlapping paths ---- */

enum relation { APART, OVERLAP, CONFLICT };

static enum relation
relate(const struct path_ref *a, const struct path_ref *b)
{
	for (uint32_t i = 0; i < a->len && i < b->len; i++) {
		if ((a->elems[i].name.data == NULL) != (b->elems[i].name.data == NULL))
			return CONFLICT;
		if (path_elem_cmp(&a->elems[i], &b->elems[i]) != 0)
			return APART;
	}
	return OVERLAP;
}

static enum status
fail_paths(struct binding *b, enum relation relation, const struct path_ref *one, const struct path_ref *two)
{
	struct buf *out = scratch_take();
	size_t one_len = print_path(out, one->elems, one->len).len;
	struct slice second = print_path(out, two->elems, two->len);
	enum status s =
	    expr_fail(b->e->kind, b->err,
		      "Two document paths %s with each other; must remove or rewrite one of these paths; "
		      "path one: %.*s, path two: %.*s",
		      relation == OVERLAP ? "overlap" : "conflict", (int)one_len, out->data, SLICE_ARG(second));

	scratch_give(out);
	return s;
}

/* The first offending pair in the text's order; few paths only. */
static enum status
check_pairs(struct binding *b, const struct path_ref *by_order, uint32_t count, enum relation wanted)
{
	for (uint32_t j = 1; j < count; j++)
		for (uint32_t i = 0; i < j; i++)
			if (relate(&by_order[i], &by_order[j]) == wanted)
				return fail_paths(b, wanted, &by_order[i], &by_order[j]);
	return S_OK;
}

/* Sorted, an offending pair stands side by side. */
static enum status
check_neighbours(struct binding *b, enum relation wanted)
{
	const struct path_ref *paths = b->e->paths;

	for (uint32_t i = 1; i < b->e->path_count; i++)
		if (relate(&paths[i - 1], &paths[i]) == wanted)
			return paths[i - 1].order < paths[i].order ? fail_paths(b, wanted, &paths[i - 1], &paths[i])
								   : fail_paths(b, wanted, &paths[i], &paths[i - 1]);
	return S_OK;
}

static enum status
check_overlaps(struct binding *b)
{
	struct path_ref by_order[PAIRWISE_MAX];
	struct expr *e = b->e;
	enum status s = check_neighbours(b, OVERLAP);
	enum status conflict = s == S_OK ? check_neighbours(b, CONFLICT) : S_OK;

	if ((s == S_OK && conflict == S_OK) || e->path_count > PAIRWISE_MAX)
		return s != S_OK ? s : conflict;
	for (uint32_t i = 0; i < e->path_count; i++)
		by_order[e->paths[i].order] = e->paths[i];
	s = check_pairs(b, by_order, e->path_count, OVERLAP);
	return s != S_OK ? s : check_pairs(b, by_order, e->path_count, CONFLICT);
}

/* ---- updates and projections ---- */

static enum status
check_all_missing(struct binding *b)
{
	enum status s = check_elems_missing(b, 0, b->program->elem_count);

	for (uint32_t i = 0; i < b->program->value_count && s == S_OK; i++)
		if (!av_exists(b->e->values[i]))
			s = fail_missing_value(b, i); /* values are numbered as they appear */
	return s;
}

static enum status
check_action_operand(struct binding *b, const struct node *action)
{
	static const char *const type_names[] = {
	    [AV_NULL] = "NULL", [AV_BOOL] = "BOOLEAN",  [AV_N] = "NUMBER",      [AV_S] = "STRING",
	    [AV_B] = "BINARY",  [AV_SS] = "STRING_SET", [AV_NS] = "NUMBER_SET", [AV_BS] = "BINARY_SET",
	    [AV_L] = "LIST",    [AV_M] = "MAP",
	};
	enum av_type type;

	if (action->op != EXPR_ADD && action->op != EXPR_DELETE)
		return S_OK;
	type = value_type(b->e, expr_child(b->e, action, 1));
	if (type == AV_SS || type == AV_NS || type == AV_BS || (type == AV_N && action->op == EXPR_ADD))
		return S_OK;
	return expr_fail(b->e->kind, b->err,
			 "Incorrect operand type for operator or function; operator: %s, operand type: %s, typeSet: "
			 "ALLOWED_FOR_%s_OPERAND",
			 expr_op_names[action->op], type_names[type], expr_op_names[action->op]);
}

/* Counts and types together: whichever is met first. */
static enum status
check_function_here(struct binding *b, const struct node *n)
{
	enum status s = check_arity_here(b, n);

	return s == S_OK ? check_types_here(b, n) : s;
}

static enum status
check_update(struct binding *b)
{
	const struct expr *e = b->e;
	const struct node *root = expr_node(e, e->root);
	enum status s = check_overlaps(b);

	for (uint32_t i = 0; i < root->count && s == S_OK; i++)
		s = check_action_operand(b, expr_child(e, root, i));
	for (uint32_t i = 0; i < root->count && s == S_OK; i++)
		if (expr_child(e, root, i)->op == EXPR_SET)
			s = check_below(b, expr_child(e, expr_child(e, root, i), 1), check_function_here);
	return s;
}

/* ---- putting it together ---- */

static struct expr *
instantiate(struct binding *b, enum expr_kind kind, struct expr_params *params, struct arena *arena)
{
	const struct program *p = b->program;
	size_t nodes = p->node_count * sizeof *p->nodes, links = p->link_count * sizeof *p->links;
	struct expr *e = ARENA_NEW(arena, struct expr);
	struct path_elem *elems = arena_alloc(arena, p->elem_count * sizeof *elems);
	struct av *values = arena_alloc(arena, p->value_count * sizeof *values);

	e->kind = kind;
	e->root = p->root;
	e->node_count = p->node_count;
	e->elem_count = p->elem_count;
	e->nodes = memcpy(arena_alloc(arena, nodes), p->nodes, nodes);
	e->links = memcpy(arena_alloc(arena, links), p->links, links);
	e->elems = elems;
	e->values = values;
	b->e = e;
	b->names = arena_alloc(arena, p->name_count * sizeof *b->names);
	bind_slots(b, params, values, arena);
	bind_elems(b, elems);
	return e;
}

static enum status
check_expr(struct binding *b, struct arena *arena)
{
	struct expr *e = b->e;
	enum status s;

	if (e->kind != EXPR_UPDATE && e->kind != EXPR_PROJECTION) {
		s = check_condition(b, expr_node(e, e->root));
		if (s == S_OK && e->kind == EXPR_KEY_CONDITION)
			key_condition_compile(e, arena);
		return s;
	}
	s = b->missing ? check_all_missing(b) : S_OK;
	if (s != S_OK)
		return s;
	expr_sort_paths(e, arena);
	if (e->kind == EXPR_UPDATE)
		return check_update(b);
	s = check_overlaps(b);
	if (s == S_OK)
		expr_collect_attrs(e, arena);
	return s;
}

enum status
expr_check_built(const struct expr *e, struct err *err)
{
	struct binding b = {.e = (struct expr *)e, .err = err};

	return e->kind == EXPR_UPDATE ? check_update(&b) : check_condition(&b, expr_node(e, e->root));
}

enum status
expr_bind(enum expr_kind kind, struct slice text, struct expr_params *params, struct arena *arena, struct expr **ret,
	  struct err *err)
{
	struct binding b = {.text = text, .err = err};
	struct arena work = {0};
	struct program parsed;
	uint64_t hash;
	enum status s;

	if (text.len == 0)
		return expr_fail(kind, err, "The expression can not be empty;");
	if (text.len > EXPR_TEXT_MAX && kind == EXPR_UPDATE) /* updates do not tell how long they are */
		return expr_fail(kind, err, "Expression size has exceeded the maximum allowed size;");
	if (text.len > EXPR_TEXT_MAX)
		return expr_fail(
		    kind, err, "Expression size has exceeded the maximum allowed size; expression size: %zu", text.len);
	hash = cache_hash(text);
	b.program = cache_find(kind, text, hash);
	if (b.program == NULL) {
		s = program_parse(kind, text, &work, &parsed, err);
		if (s != S_OK)
			goto out;
		cache_keep(&parsed, hash);
		b.program = &parsed;
	}
	*ret = instantiate(&b, kind, params, arena);
	s = check_expr(&b, arena);
out:
	arena_done(&work);
	return s;
}
