/* Conditions and filters on an encoded item. Evaluation neither fails nor allocates. */
#include "expr/expr_int.h"
#include "model/number.h"

#include <emmintrin.h>
#include <stdlib.h>

_Static_assert(SMALL_NUMBER_MAX == 2 + NUMBER_ENCODED_MAX, "room for any number");

/* Depth is bounded: the parser's limit. */
static bool holds(const struct expr *e, const struct node *n, struct av item);

static uint64_t
utf16_units(const char *at, size_t len)
{
	uint64_t units = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)at[i];

		units += (c & 0xC0) != 0x80;
		units += c >= 0xF0; /* outside the basic plane: a surrogate pair */
	}
	return units;
}

/* Length as DynamoDB has it: UTF-16 code units. Sixteen plain ASCII bytes a step are sixteen. */
static uint64_t
utf16_len(struct slice utf8)
{
	uint64_t units = 0;
	size_t i = 0;

	for (; i + 16 <= utf8.len; i += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(utf8.data + i));

		units += _mm_movemask_epi8(v) == 0 ? 16 : utf16_units(utf8.data + i, 16);
	}
	return units + utf16_units(utf8.data + i, utf8.len - i);
}

static struct av
size_of(struct av v, uint8_t room[SMALL_NUMBER_MAX])
{
	struct number number;
	uint64_t size;

	if (!av_exists(v))
		return AV_NONE;
	switch (av_type(v)) {
	case AV_S:
		size = utf16_len(av_bytes(v));
		break;
	case AV_B:
		size = av_bytes(v).len;
		break;
	case AV_SS:
	case AV_NS:
	case AV_BS:
	case AV_L:
	case AV_M:
		size = av_count(v);
		break;
	default:
		return AV_NONE; /* others have no size */
	}
	number_from_int64((int64_t)size, &number);
	room[0] = TAG_N;
	room[1] = (uint8_t)number_encode(&number, room + 2);
	return (struct av){room, 2u + room[1]};
}

/* AV_NONE when the item has nothing there. `room` is used by size() only. A condition is an operand in PartiQL. */
static struct av
operand(const struct expr *e, const struct node *n, struct av item, uint8_t room[SMALL_NUMBER_MAX])
{
	static const uint8_t truth[] = {TAG_FALSE, TAG_TRUE};

	switch (n->op) {
	case EXPR_PATH:
		if (e->heads != NULL)
			return path_find(e->heads[n->first], &e->elems[n->first + 1], n->count - 1);
		return path_find(item, &e->elems[n->first], n->count);
	case EXPR_VALUE:
		return e->values[n->first];
	default:
		if (n->op <= EXPR_CONTAINS)
			return (struct av){&truth[holds(e, n, item)], 1};
		/* size(), maybe of a size(), which has none */
		return size_of(operand(e, expr_child(e, n, 0), item, room), room);
	}
}

static bool
equal(struct av a, struct av b)
{
	return av_exists(a) && av_exists(b) && av_equal(a, b);
}

/* Only strings, numbers and binaries have an order, each among themselves. */
static bool
ordered(struct av a, struct av b, int *ret_order)
{
	enum av_type type;

	if (!av_exists(a) || !av_exists(b))
		return false;
	type = av_type(a);
	if (type != av_type(b) || (type != AV_S && type != AV_N && type != AV_B))
		return false;
	*ret_order = av_cmp(a, b);
	return true;
}

static bool
compare(enum expr_op op, struct av a, struct av b)
{
	int order;

	if (op == EXPR_EQ)
		return equal(a, b);
	if (op == EXPR_NE)
		return !equal(a, b); /* also when one is not there */
	if (!ordered(a, b, &order))
		return false;
	switch (op) {
	case EXPR_LT:
		return order < 0;
	case EXPR_LE:
		return order <= 0;
	case EXPR_GT:
		return order > 0;
	default:
		return order >= 0;
	}
}

static bool
contains(struct av whole, struct av part)
{
	enum av_type type;

	if (!av_exists(whole) || !av_exists(part))
		return false;
	type = av_type(part);
	switch (av_type(whole)) {
	case AV_S:
	case AV_B: {
		struct slice text = av_bytes(whole), wanted;

		if (type != av_type(whole))
			return false;
		wanted = av_bytes(part);
		return wanted.len == 0 || memmem(text.data, text.len, wanted.data, wanted.len) != NULL;
	}
	case AV_SS:
		return type == AV_S && av_set_has(whole, part);
	case AV_NS:
		return type == AV_N && av_set_has(whole, part);
	case AV_BS:
		return type == AV_B && av_set_has(whole, part);
	case AV_L:
		for (struct av_iter it = av_iter(whole); av_next(&it);)
			if (av_equal(it.value, part))
				return true;
		return false;
	default:
		return false;
	}
}

static bool
begins_with(struct av whole, struct av start)
{
	if (!av_exists(whole) || !av_exists(start) || av_type(whole) != av_type(start))
		return false;
	if (av_type(whole) != AV_S && av_type(whole) != AV_B)
		return false;
	return slice_starts(av_bytes(whole), av_bytes(start));
}

static bool
is_of_type(struct av v, struct av type_name)
{
	if (!av_exists(v) || !av_exists(type_name) || av_type(type_name) != AV_S)
		return false;
	return slice_eq(av_bytes(type_name), slice_str(av_type_name(av_type(v))));
}

int
value_cmp(const void *one, const void *two)
{
	const struct av *a = one, *b = two;

	return a->len != b->len ? (a->len < b->len ? -1 : 1) : memcmp(a->data, b->data, a->len);
}

static bool
any_equal(const struct expr *e, const struct node *n, struct av item, struct av wanted)
{
	uint8_t room[SMALL_NUMBER_MAX];

	if (!av_exists(wanted))
		return false;
	if (n->flags & NODE_SORTED)
		return bsearch(&wanted, &e->values[expr_child(e, n, 1)->first], n->count - 1, sizeof wanted,
			       value_cmp) != NULL;
	for (uint32_t i = 1; i < n->count; i++)
		if (equal(wanted, operand(e, expr_child(e, n, i), item, room)))
			return true;
	return false;
}

static bool
between(const struct expr *e, const struct node *n, struct av item, struct av v)
{
	uint8_t room[SMALL_NUMBER_MAX];

	return compare(EXPR_GE, v, operand(e, expr_child(e, n, 1), item, room)) &&
	       compare(EXPR_LE, v, operand(e, expr_child(e, n, 2), item, room));
}

/* A comparison or function. */
static bool
test_operands(const struct expr *e, const struct node *n, struct av item)
{
	uint8_t room[SMALL_NUMBER_MAX], second_room[SMALL_NUMBER_MAX];
	struct av first = operand(e, expr_child(e, n, 0), item, room), second;

	switch (n->op) {
	case EXPR_ATTRIBUTE_EXISTS:
		return av_exists(first);
	case EXPR_ATTRIBUTE_NOT_EXISTS:
		return !av_exists(first);
	case EXPR_IN:
		return any_equal(e, n, item, first);
	case EXPR_BETWEEN:
		return between(e, n, item, first);
	default:
		break;
	}
	second = operand(e, expr_child(e, n, 1), item, second_room);
	switch (n->op) {
	case EXPR_BEGINS_WITH:
		return begins_with(first, second);
	case EXPR_CONTAINS:
		return contains(first, second);
	case EXPR_ATTRIBUTE_TYPE:
		return is_of_type(first, second);
	default:
		return compare((enum expr_op)n->op, first, second);
	}
}

static bool
all_hold(const struct expr *e, const struct node *n, struct av item, bool wanted)
{
	for (uint32_t i = 0; i < n->count; i++)
		if (holds(e, expr_child(e, n, i), item) != wanted)
			return false;
	return true;
}

static bool
holds(const struct expr *e, const struct node *n, struct av item)
{
	switch (n->op) {
	case EXPR_AND:
		return all_hold(e, n, item, true);
	case EXPR_OR:
		return !all_hold(e, n, item, false);
	case EXPR_NOT:
		return !holds(e, expr_child(e, n, 0), item);
	default:
		return test_operands(e, n, item);
	}
}

/* ---- many top-level attributes ---- */

static int
attr_cmp(const void *one, const void *two, void *context)
{
	const struct expr *e = context;

	return name_cmp(e->elems[*(const uint32_t *)one].name, e->elems[*(const uint32_t *)two].name);
}

void
condition_sort_attrs(struct expr *e, struct arena *arena)
{
	uint32_t *sorted = arena_alloc(arena, e->elem_count * sizeof *sorted);

	for (uint32_t i = 0; i < e->node_count; i++)
		if (e->nodes[i].op == EXPR_PATH)
			sorted[e->sorted_count++] = e->nodes[i].first;
	qsort_r(sorted, e->sorted_count, sizeof *sorted, attr_cmp, e);
	e->sorted = sorted;
	e->heads = ARENA_ARRAY(arena, struct av, e->elem_count);
}

/* An item's entries ascend by name too: one walk finds all. */
static void
find_heads(const struct expr *e, struct av item)
{
	struct av_iter it = av_iter(item);
	bool more = av_next(&it);

	for (uint32_t i = 0; i < e->sorted_count; i++) {
		struct slice name = e->elems[e->sorted[i]].name;
		int order = 1;

		while (more && (order = name_cmp(it.name, name)) < 0)
			more = av_next(&it);
		e->heads[e->sorted[i]] = more && order == 0 ? it.value : AV_NONE;
	}
}

bool
expr_test(const struct expr *e, struct av item)
{
	if (e->heads != NULL)
		find_heads(e, item);
	return holds(e, expr_node(e, e->root), item);
}
