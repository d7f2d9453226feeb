#include "api/legacy.h"

#include "api/message.h"

/* ---- shapes ---- */

/* In the service's order. */
enum {
	COMPARE_IN = 1,
	COMPARE_NULL,
	COMPARE_BETWEEN,
	COMPARE_LT,
	COMPARE_NOT_CONTAINS,
	COMPARE_EQ,
	COMPARE_GT,
	COMPARE_NOT_NULL,
	COMPARE_NE,
	COMPARE_LE,
	COMPARE_BEGINS_WITH,
	COMPARE_GE,
	COMPARE_CONTAINS,
};
const char *const values_comparison[] = {"IN", "NULL", "BETWEEN",     "LT", "NOT_CONTAINS", "EQ", "GT", "NOT_NULL",
					 "NE", "LE",   "BEGINS_WITH", "GE", "CONTAINS",     NULL};

enum { ACTION_ADD = 1, ACTION_DELETE, ACTION_PUT };
static const char *const values_action[] = {"ADD", "DELETE", "PUT", NULL};

enum { OPERATOR_OR = 1 }; /* of values_and_or */

struct condition_in {
	struct in_list values;
	struct in_enum comparison;
};
struct expected_in {
	struct condition_in condition;
	uint8_t exists;
	struct in_item value;
};
struct update_in {
	struct in_item value;
	struct in_enum action;
};

static const struct field value_element = ELEMENT("member", SHAPE_VALUE, FIELD_REQUIRED);
static const struct field condition_fields[] = {
    FIELD(struct condition_in, values, "AttributeValueList", SHAPE_LIST, FIELD_MANY, .element = &value_element),
    FIELD(struct condition_in, comparison, "ComparisonOperator", SHAPE_ENUM, FIELD_REQUIRED,
	  .values = values_comparison),
    FIELD_END,
};
static const struct field expected_fields[] = {
    FIELD(struct expected_in, condition.values, "AttributeValueList", SHAPE_LIST, FIELD_MANY,
	  .element = &value_element),
    FIELD(struct expected_in, condition.comparison, "ComparisonOperator", SHAPE_ENUM, 0, .values = values_comparison),
    FIELD(struct expected_in, exists, "Exists", SHAPE_BOOL, 0),
    FIELD(struct expected_in, value, "Value", SHAPE_VALUE, 0),
    FIELD_END,
};
static const struct field update_fields[] = {
    FIELD(struct update_in, action, "Action", SHAPE_ENUM, 0, .values = values_action),
    FIELD(struct update_in, value, "Value", SHAPE_VALUE, 0),
    FIELD_END,
};
static const struct shape shape_condition = {"Condition", sizeof(struct condition_in), condition_fields};
static const struct shape shape_expected = {"ExpectedAttributeValue", sizeof(struct expected_in), expected_fields};
static const struct shape shape_update = {"AttributeValueUpdate", sizeof(struct update_in), update_fields};
const struct field legacy_condition = ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_condition);
const struct field legacy_expected = ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_expected);
const struct field legacy_update = ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_update);
const struct field legacy_attribute = ELEMENT("member", SHAPE_STRING, FIELD_REQUIRED, LIMITS(0, 65535));

static const void *
element_at(const struct in_map *map, uint32_t i)
{
	return ((void *const *)map->items)[i];
}

/* ---- the comparison operators ---- */

#define BIT(type)    (1u << (type))
#define ANY_TYPE     (BIT(AV_TYPE_COUNT) - 1)
#define ORDERED_TYPE (BIT(AV_S) | BIT(AV_N) | BIT(AV_B))
/* what a set can hold, and what else is compared in a list as a whole */
#define MEMBER_TYPE (ORDERED_TYPE | BIT(AV_BOOL) | BIT(AV_NULL))

static const struct comparison {
	uint8_t op;           /* enum expr_op */
	uint16_t least, most; /* number of values */
	unsigned types;       /* they may be of */
} comparisons[] = {
    [COMPARE_EQ] = {EXPR_EQ, 1, 1, ANY_TYPE},
    [COMPARE_NE] = {EXPR_NE, 1, 1, ANY_TYPE},
    [COMPARE_LT] = {EXPR_LT, 1, 1, ORDERED_TYPE},
    [COMPARE_LE] = {EXPR_LE, 1, 1, ORDERED_TYPE},
    [COMPARE_GT] = {EXPR_GT, 1, 1, ORDERED_TYPE},
    [COMPARE_GE] = {EXPR_GE, 1, 1, ORDERED_TYPE},
    [COMPARE_NULL] = {EXPR_ATTRIBUTE_NOT_EXISTS, 0, 0, ANY_TYPE},
    [COMPARE_NOT_NULL] = {EXPR_ATTRIBUTE_EXISTS, 0, 0, ANY_TYPE},
    [COMPARE_CONTAINS] = {EXPR_CONTAINS, 1, 1, MEMBER_TYPE},
    [COMPARE_NOT_CONTAINS] = {EXPR_CONTAINS, 1, 1, MEMBER_TYPE},
    [COMPARE_BEGINS_WITH] = {EXPR_BEGINS_WITH, 1, 1, BIT(AV_S) | BIT(AV_B)},
    [COMPARE_IN] = {EXPR_IN, 1, LEGACY_VALUES_MAX, ORDERED_TYPE},
    [COMPARE_BETWEEN] = {EXPR_BETWEEN, 2, 2, ORDERED_TYPE},
};

/* One condition, wherever it comes from. */
struct condition {
	struct slice attribute;
	int comparison;
	const struct in_item *values;
	uint32_t count; /* of values kept */
	uint32_t total; /* and given */
};

static enum status
check_values(const struct in_item *values, uint32_t count, struct err *err)
{
	for (uint32_t i = 0; i < count; i++)
		if (values[i].failure != NULL)
			return err_set(err, S_VALIDATION, "%s", values[i].failure);
	return S_OK;
}

static enum status
check_types(const struct condition *c, struct err *err)
{
	const struct in_item *v = c->values;

	for (uint32_t i = 1; i < c->count; i++)
		if (av_type(v[i].value) != av_type(v[0].value))
			return err_set(err, S_VALIDATION, MSG_VALUES_TYPES);
	if (c->count > 0 && !(comparisons[c->comparison].types & BIT(av_type(v[0].value))))
		return err_set(err, S_VALIDATION, MSG_COMPARISON_TYPE, values_comparison[c->comparison - 1],
			       av_type_name(av_type(v[0].value)));
	return S_OK;
}

static enum status
check_condition(const struct condition *c, struct err *err)
{
	const struct comparison *how = &comparisons[c->comparison];
	enum status s = check_values(c->values, c->count, err);

	if (s == S_OK && (c->total < how->least || c->total > how->most))
		s = err_set(err, S_VALIDATION, MSG_COMPARISON_COUNT, values_comparison[c->comparison - 1]);
	if (s == S_OK)
		s = check_types(c, err);
	if (s == S_OK && c->comparison == COMPARE_BETWEEN && av_cmp(c->values[0].value, c->values[1].value) > 0)
		s = err_set(err, S_VALIDATION, MSG_BETWEEN_ORDER);
	return s;
}

/* ---- building ---- */

struct building {
	struct expr_builder *builder;
	uint32_t *nodes; /* of the conditions or actions */
	uint32_t count;
	uint32_t values;
};

static struct building
begin(enum expr_kind kind, uint32_t count, struct arena *arena)
{
	return (struct building){.builder = expr_build_new(kind, arena),
				 .nodes = arena_alloc(arena, (count > 0 ? count : 1) * sizeof(uint32_t))};
}

/* The attribute against the values. */
static uint32_t
build_comparison(struct building *b, const struct condition *c, struct arena *arena)
{
	uint32_t *children = arena_alloc(arena, ((size_t)c->count + 1) * sizeof *children);

	children[0] = expr_build_attr(b->builder, c->attribute);
	for (uint32_t i = 0; i < c->count; i++)
		children[1 + i] = expr_build_value(b->builder, c->values[i].value);
	return expr_build_node(b->builder, (enum expr_op)comparisons[c->comparison].op, children, c->count + 1u);
}

static enum status
add_condition(struct building *b, const struct condition *c, struct arena *arena, struct err *err)
{
	uint32_t node;

	b->values += c->count;
	if (b->values > LEGACY_VALUES_MAX)
		return err_set(err, S_VALIDATION, MSG_LEGACY_VALUES, LEGACY_VALUES_MAX);
	node = build_comparison(b, c, arena);
	if (c->comparison == COMPARE_NOT_CONTAINS) { /* false of an attribute that is not there, unlike NE */
		uint32_t both[2], attribute = expr_build_attr(b->builder, c->attribute);

		both[0] = expr_build_node(b->builder, EXPR_ATTRIBUTE_EXISTS, &attribute, 1);
		both[1] = expr_build_node(b->builder, EXPR_NOT, &node, 1);
		node = expr_build_node(b->builder, EXPR_AND, both, 2);
	}
	b->nodes[b->count++] = node;
	return S_OK;
}

static const struct expr *
finish(struct building *b, enum expr_op op)
{
	uint32_t root =
	    b->count == 1 && op != EXPR_LIST ? b->nodes[0] : expr_build_node(b->builder, op, b->nodes, b->count);

	return expr_build_done(b->builder, root);
}

static enum expr_op
combining(const struct in_enum *conditional_operator)
{
	return conditional_operator->value == OPERATOR_OR ? EXPR_OR : EXPR_AND;
}

enum status
legacy_check_operator(const struct in_enum *conditional_operator, const struct in_map *conditions, struct err *err)
{
	if (conditional_operator->text.data == NULL || conditions->total > 1)
		return S_OK;
	return err_set(err, S_VALIDATION, conditions->total == 0 ? MSG_OPERATOR_ALONE : MSG_OPERATOR_OF_ONE);
}

/* ---- filters and key conditions ---- */

static struct condition
condition_of(struct slice attribute, const struct condition_in *in)
{
	return (struct condition){attribute, in->comparison.value, in->values.items, in->values.count,
				  in->values.total};
}

static enum status
check_count(const struct in_map *conditions, struct err *err)
{
	if (conditions->total > LEGACY_CONDITIONS_MAX)
		return err_set(err, S_VALIDATION, MSG_LEGACY_CONDITIONS, LEGACY_CONDITIONS_MAX);
	return S_OK;
}

static enum status
add_conditions(struct building *b, const struct in_map *conditions, struct arena *arena, struct err *err)
{
	enum status s = check_count(conditions, err);

	for (uint32_t i = 0; i < conditions->count && s == S_OK; i++) {
		struct condition c = condition_of(conditions->keys[i], element_at(conditions, i));

		s = check_condition(&c, err);
		if (s == S_OK)
			s = add_condition(b, &c, arena, err);
	}
	return s;
}

/* The service tells broken values before the misuse of ConditionalOperator, and that before the rest. */
enum status
legacy_filter(const struct in_map *conditions, const struct in_enum *conditional_operator, struct arena *arena,
	      const struct expr **ret, struct err *err)
{
	struct building b;
	enum status s = S_OK;

	for (uint32_t i = 0; i < conditions->count && s == S_OK; i++) {
		const struct condition_in *c = element_at(conditions, i);

		s = check_values(c->values.items, c->values.count, err);
	}
	if (s == S_OK)
		s = legacy_check_operator(conditional_operator, conditions, err);
	if (s != S_OK || conditions->total == 0)
		return s;
	b = begin(EXPR_FILTER, conditions->count, arena);
	s = add_conditions(&b, conditions, arena, err);
	if (s == S_OK)
		*ret = finish(&b, combining(conditional_operator));
	return s;
}

enum status
legacy_key_conditions(const struct in_map *conditions, struct arena *arena, const struct expr **ret, struct err *err)
{
	struct building b;
	enum status s = S_OK;

	if (!conditions->set)
		return S_OK;
	b = begin(EXPR_KEY_CONDITION, conditions->count, arena);
	for (uint32_t i = 0; i < conditions->count && s == S_OK; i++) {
		struct condition c = condition_of(conditions->keys[i], element_at(conditions, i));

		s = check_condition(&c, err);
		if (s == S_OK) /* whatever its operator: that is told when the key is known */
			b.nodes[b.count++] = build_comparison(&b, &c, arena);
	}
	if (s == S_OK && (conditions->total < 1 || conditions->total > 2))
		s = err_set(err, S_VALIDATION, MSG_KEY_CONDITION_COUNT);
	if (s == S_OK)
		*ret = finish(&b, EXPR_AND);
	return s;
}

/* ---- Expected ---- */

#define FAIL_EXPECTED(err, format, name, ...)                                                                          \
	err_set((err), S_VALIDATION, MSG_INVALID format " for Attribute: %.*s", ##__VA_ARGS__, SLICE_ARG(name))

/* {ComparisonOperator, AttributeValueList or Value} */
static enum status
read_comparison(const struct expected_in *in, struct condition *c, struct err *err)
{
	const struct in_list *values = &in->condition.values;

	if (in->exists != IN_UNSET)
		return FAIL_EXPECTED(err, MSG_EXISTS_COMPARISON, c->attribute);
	if (c->comparison != COMPARE_NULL && c->comparison != COMPARE_NOT_NULL && !values->set && !in->value.set)
		return FAIL_EXPECTED(err, MSG_COMPARISON_VALUE, c->attribute, values_comparison[c->comparison - 1]);
	if (values->set)
		*c = condition_of(c->attribute, &in->condition);
	return check_condition(c, err);
}

/* {Value, Exists}: a value means that the attribute is there and has it. */
static enum status
read_value(const struct expected_in *in, struct condition *c, struct err *err)
{
	if (in->condition.values.set)
		return FAIL_EXPECTED(err, MSG_LIST_COMPARISON, c->attribute);
	if (in->exists != IN_FALSE && !in->value.set)
		return FAIL_EXPECTED(err, MSG_EXISTS_VALUE, c->attribute, in->exists == IN_TRUE ? "true" : "null");
	if (in->exists == IN_FALSE && in->value.set)
		return FAIL_EXPECTED(err, MSG_EXISTS_FALSE, c->attribute);
	c->comparison = in->exists == IN_FALSE ? COMPARE_NULL : COMPARE_EQ;
	return check_values(c->values, c->count, err);
}

static enum status
read_expected(const struct expected_in *in, struct condition *c, struct err *err)
{
	if (in->condition.values.set && in->value.set)
		return FAIL_EXPECTED(err, MSG_VALUE_LIST, c->attribute);
	c->comparison = in->condition.comparison.value;
	c->values = &in->value;
	c->count = c->total = in->value.set;
	return c->comparison != 0 ? read_comparison(in, c, err) : read_value(in, c, err);
}

enum status
legacy_expectation(const struct in_map *expected, const struct in_enum *conditional_operator, struct arena *arena,
		   const struct expr **ret, struct err *err)
{
	struct building b;
	enum status s = S_OK;

	if (expected->total == 0)
		return S_OK;
	b = begin(EXPR_CONDITION, expected->count, arena);
	s = check_count(expected, err);
	for (uint32_t i = 0; i < expected->count && s == S_OK; i++) {
		struct condition c = {.attribute = expected->keys[i]};

		s = read_expected(element_at(expected, i), &c, err);
		if (s == S_OK)
			s = add_condition(&b, &c, arena, err);
	}
	if (s == S_OK)
		*ret = finish(&b, combining(conditional_operator));
	return s;
}

/* ---- AttributeUpdates ---- */

#define SET_TYPE (BIT(AV_SS) | BIT(AV_NS) | BIT(AV_BS))
#define ADD_TYPE (SET_TYPE | BIT(AV_N) | BIT(AV_L))

static enum status
check_update(struct slice attribute, const struct update_in *in, struct err *err)
{
	enum av_type type;

	if (attribute.len == 0)
		return err_set(err, S_VALIDATION, MSG_EMPTY_NAME);
	if (attribute.len > UINT16_MAX)
		return err_set(err, S_VALIDATION, MSG_LONG_NAME);
	if (in->value.failure != NULL)
		return err_set(err, S_VALIDATION, "%s", in->value.failure);
	if (!in->value.set)
		return in->action.value == ACTION_DELETE ? S_OK : err_set(err, S_VALIDATION, MSG_UPDATE_VALUE);
	type = av_type(in->value.value);
	if (in->action.value == ACTION_DELETE && !(SET_TYPE & BIT(type)))
		return err_set(err, S_VALIDATION, MSG_DELETE_TYPE, av_type_name(type));
	if (in->action.value == ACTION_ADD && !(ADD_TYPE & BIT(type)))
		return err_set(err, S_VALIDATION, MSG_ADD_TYPE, av_type_name(type));
	return S_OK;
}

static uint32_t
build_update(struct expr_builder *b, struct slice attribute, const struct update_in *in)
{
	uint32_t children[2] = {expr_build_attr(b, attribute)};
	enum expr_op op = in->action.value == ACTION_ADD      ? EXPR_ADD
			  : in->action.value == ACTION_DELETE ? EXPR_DELETE
							      : EXPR_SET;

	if (!in->value.set)
		return expr_build_node(b, EXPR_REMOVE, children, 1);
	children[1] = expr_build_value(b, in->value.value);
	return expr_build_node(b, op, children, 2);
}

enum status
legacy_updates(const struct in_map *updates, struct arena *arena, const struct expr **ret, struct err *err)
{
	struct building b;
	enum status s = S_OK;

	if (updates->total == 0) /* as without: the item is there afterwards */
		return S_OK;
	for (uint32_t i = 0; i < updates->count && s == S_OK; i++)
		s = check_update(updates->keys[i], element_at(updates, i), err);
	if (s == S_OK && updates->total > updates->count)
		s = err_set(err, S_VALIDATION, MSG_UPDATE_TOO_BIG);
	if (s != S_OK)
		return s;
	b = begin(EXPR_UPDATE, updates->count, arena);
	for (uint32_t i = 0; i < updates->count; i++)
		b.nodes[b.count++] = build_update(b.builder, updates->keys[i], element_at(updates, i));
	*ret = finish(&b, EXPR_LIST);
	return S_OK;
}

/* ---- AttributesToGet ---- */

enum status
legacy_attributes_to_get(const struct in_list *names, struct arena *arena, const struct expr **ret, struct err *err)
{
	const struct slice *name = names->items;
	struct building b;

	if (!names->set)
		return S_OK;
	for (uint32_t i = 0; i < names->count; i++) /* at most 255 */
		for (uint32_t j = 0; j < i; j++)
			if (slice_eq(name[i], name[j]))
				return err_set(err, S_VALIDATION, MSG_DUPLICATE_ATTRIBUTE, SLICE_ARG(name[i]));
	b = begin(EXPR_PROJECTION, names->count, arena);
	for (uint32_t i = 0; i < names->count; i++)
		b.nodes[b.count++] = expr_build_attr(b.builder, name[i]);
	*ret = finish(&b, EXPR_LIST);
	return S_OK;
}
