/*
 * Expressions: condition, filter, key condition, projection and update.
 *
 * Text is parsed once into an immutable program and cached per thread by its text; #names and :values stay
 * placeholders in it. A request binds the program to its ExpressionAttributeNames and -Values, which checks all that
 * depends on them (missing, unused, operand types, overlapping paths, size), and then evaluates it on encoded items
 * (model/av.h) without building a tree. Messages are DynamoDB's to the letter.
 */
#ifndef STATOR_EXPR_EXPR_H
#define STATOR_EXPR_EXPR_H

#include "model/av.h"
#include "model/schema.h"

#define EXPR_TEXT_MAX              4096 /* bytes of one expression's text */
#define EXPR_OPERATORS_MAX         300
#define EXPR_SUBSTITUTES_MAX_BYTES (2 * 1024 * 1024) /* of all names and values of a request */

enum expr_kind { EXPR_CONDITION, EXPR_FILTER, EXPR_KEY_CONDITION, EXPR_PROJECTION, EXPR_UPDATE, EXPR_SEARCH };

/* The substitutes of one request, shared by all its expressions. Zeroed, then filled by the request's reader. */
struct expr_name {
	struct slice placeholder; /* "#n", with its # */
	struct slice name;
	bool used;
};
struct expr_value {
	struct slice placeholder; /* ":v", with its : */
	struct av value;          /* AV_NONE when it could not be read */
	struct slice invalid;     /* then: why, without a period ("The parameter cannot be converted ...") */
	bool used;
};
struct expr_params {
	struct expr_name *names;
	size_t name_count;
	struct expr_value *values;
	size_t value_count;
	bool has_names; /* the member was in the request, even when empty */
	bool has_values;
	/* expr_bind()'s own: hash tables over large maps, in the arena of the first bind */
	uint32_t *name_table;
	uint32_t *value_table;
};

struct expr; /* a bound expression; lives in the request's arena */

/*
 * Check ExpressionAttributeNames and -Values themselves (syntax of the placeholders, empty maps, values) and that they
 * are given only with an expression. `any_expression`: the request has at least one.
 */
enum status expr_params_check(const struct expr_params *params, bool any_expression, struct err *err);
/*
 * The first half of it, with the whole wording about values: `null_expressions` is NULL when an expression that takes
 * values is there, else what DynamoDB prints behind the colon: "UpdateExpression and ConditionExpression are null".
 */
enum status expr_params_check_given(const struct expr_params *params, bool any_expression, const char *null_expressions,
				    struct err *err);

/*
 * Parse (or take from the cache) and bind. `text` may be empty: that is DynamoDB's "The expression can not be empty".
 * The bound expression points into text, params' names and values and the arena; it does not point into the cache, so
 * a request may move to another thread.
 */
enum status expr_bind(enum expr_kind kind, struct slice text, struct expr_params *params, struct arena *arena,
		      struct expr **ret, struct err *err);

/* After all of a request's expressions are bound: "Value provided in ExpressionAttributeValues unused in expressions:
 * keys: {:x}". */
enum status expr_params_check_unused(const struct expr_params *params, struct err *err);

/* Condition and filter. item AV_NONE: no such item (attribute_not_exists holds). Evaluation itself never fails. */
bool expr_test(const struct expr *e, struct av item);
/* Does a condition or filter (top-level attribute of any path) or projection use this attribute? For "Filter Expression
 * can only contain non-primary key attributes". */
bool expr_uses_attr(const struct expr *e, struct slice name);
/* Has any path (of any kind of expression) that begins with this attribute more than that one element? For "Key
 * attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: x". */
bool expr_uses_nested(const struct expr *e, struct slice name);
bool expr_has_nested(const struct expr *e); /* any attribute at all */

/* The top-level attributes of all its paths, in no order, as often as they are used. */
struct slice *expr_attrs(const struct expr *e, struct arena *arena, size_t *ret_count);

/* Projection: the item reduced to the paths, in the arena. */
struct av expr_project(const struct expr *e, struct av item, struct arena *arena);
/* Top-level attribute names of a projection, for index planning; count in *ret_count. */
const struct slice *expr_projected_attrs(const struct expr *e, size_t *ret_count);

/*
 * Key condition, checked against the schema of the table or index ("Query key condition not supported",
 * "Query condition missed key schema element: pk", type mismatches, ...). Result: equality values for all
 * partition attributes, equalities on leading sort attributes, and at most one range on the next.
 */
enum key_op { KEY_ALL, KEY_EQ, KEY_LT, KEY_LE, KEY_GT, KEY_GE, KEY_BETWEEN, KEY_BEGINS_WITH };
struct key_range {
	struct av partition[KEY_ATTRS_MAX];
	uint8_t sort_equal_count; /* leading sort attributes tied by '=' */
	struct av sort_equal[KEY_ATTRS_MAX];
	enum key_op op; /* on the sort attribute behind those; KEY_ALL when none */
	struct av low;  /* the operand of the one-operand operators, or BETWEEN's first */
	struct av high; /* BETWEEN's second */
};
/* What can be said without a schema ("Invalid operator used in KeyConditionExpression: OR", ...): DynamoDB says it
 * before it looks for the table, but after all of the request's expressions are bound and checked for unused
 * substitutes. */
enum status expr_key_check(const struct expr *e, struct err *err);
enum status expr_key_range(const struct expr *e, const struct key_schema *schema, struct key_range *ret,
			   struct err *err);
/* Of that, what comes up to and with the partition attributes: a starting key's sort attributes are checked after it.
 */
enum status expr_key_range_partition(const struct expr *e, const struct key_schema *schema, struct err *err);

/*
 * Search condition (of SearchVectors): attributes that must equal values, joined by AND. What else a condition may say
 * is refused ("Invalid comparator used in SearchConditionExpression", ...). The names and values are in the order of
 * the text.
 */
struct expr_equal {
	struct slice name;
	struct av value;
};
enum status expr_search_equals(const struct expr *e, struct arena *arena, struct expr_equal **ret, size_t *ret_count,
			       struct err *err);

/*
 * Update: the new item from the old one. `old` may be AV_NONE (an upsert: starts from `key`, the map of key
 * attributes). Fails with S_VALIDATION (bad path, wrong operand type, number overflow). Changed attributes for
 * UPDATED_OLD and UPDATED_NEW: two maps holding just the touched paths as DynamoDB returns them. The results lie in the
 * arena.
 */
struct expr_updated {
	struct av new_item;    /* AV_NONE: there was none and the update only removes, which makes no item */
	struct av updated_old; /* map; may be empty */
	struct av updated_new;
};
enum status expr_update(const struct expr *e, struct av key, struct av old, struct arena *arena,
			struct expr_updated *ret, struct err *err);
/* "Cannot update attribute pk. This attribute is part of the key": does the update touch a key attribute? */
enum status expr_update_check_keys(const struct expr *e, const struct key_schema *schema, struct err *err);

/* The type the update gives this top-level attribute, when that is known without an item (SET a = :v, ADD a :v); for
 * "Type mismatch for Index Key". False: not touched, removed, or not known. */
bool expr_update_type(const struct expr *e, struct slice name, enum av_type *ret);

/*
 * Expressions made by code instead of text (legacy parameters): nodes are made bottom up, a node is known by its
 * number, children must exist before their parent. Names and values are borrowed and must outlive the expression. What
 * expr_bind() checks with messages (operand types, counts, overlaps) is here up to the caller. A condition or filter
 * made so is used by one thread at a time. What is found later has the legacy parameters' own words: "Type mismatch for
 * attribute to update", and key conditions of any operator end in "Attempted conditional constraint is not an indexable
 * operation".
 */
enum expr_op {
	EXPR_OR,
	EXPR_AND,
	EXPR_NOT, /* of conditions */
	EXPR_EQ,
	EXPR_NE,
	EXPR_LT,
	EXPR_LE,
	EXPR_GT,
	EXPR_GE,
	EXPR_BETWEEN,
	EXPR_IN, /* of operands */
	EXPR_ATTRIBUTE_EXISTS,
	EXPR_ATTRIBUTE_NOT_EXISTS,
	EXPR_ATTRIBUTE_TYPE,
	EXPR_BEGINS_WITH,
	EXPR_CONTAINS,
	EXPR_SIZE,
	EXPR_IF_NOT_EXISTS,
	EXPR_LIST_APPEND,
	EXPR_PLUS,
	EXPR_MINUS, /* right of SET */
	EXPR_PATH,
	EXPR_VALUE, /* not by expr_build_node() */
	EXPR_SET,
	EXPR_ADD,
	EXPR_DELETE,
	EXPR_REMOVE, /* children: path, value; REMOVE: path */
	EXPR_LIST    /* the root of updates and projections */
};
struct expr_builder;
struct expr_builder *expr_build_new(enum expr_kind kind, struct arena *arena);
uint32_t expr_build_attr(struct expr_builder *b, struct slice name); /* a path of one element */
uint32_t expr_build_value(struct expr_builder *b, struct av value);
uint32_t expr_build_node(struct expr_builder *b, enum expr_op op, const uint32_t *children, size_t count);
struct expr *expr_build_done(struct expr_builder *b, uint32_t root);

bool expr_is_reserved_word(struct slice word); /* case-insensitive; DynamoDB's 573 words */
void expr_cache_done(void);                    /* frees the calling thread's cache and scratch memory */

#endif
