/*
 * Inside PartiQL: text -> tokens -> tree -> statement -> plan.
 *
 *   lex.c           words: keywords, names, literals, operators
 *   parse.c         the grammar of PartiQL, as far as a statement can be about one table: expressions
 *   parse_clause.c  and the clauses of statements
 *   value.c         literals and parameters as attribute values
 *   condition.c     WHERE as a filter's tree, and in a form that can be planned
 *   statement.c     what the clauses say
 *   plan.c          WHERE against a key schema
 *   plan_index.c    what a filter needs of an index
 *   plan_item.c     what names one item
 *
 * The text is hostile. Tokens and nodes are bounded by its length; recursion is bounded by PQ_DEPTH_MAX, both in the
 * parser and, because each node knows how deep it reaches, in all that walks trees later.
 */
#ifndef STATOR_EXPR_PARTIQL_INT_H
#define STATOR_EXPR_PARTIQL_INT_H

#include "expr/expr_int.h"
#include "expr/partiql.h"

#define PQ_DEPTH_MAX 200 /* no statement that can run needs more: values have 32 levels, conditions few */
#define PQ_NOT_WELL  "Statement wasn't well formed, can't be processed: "

/* ---- words ---- */

enum pq_token_type {
	PT_EOF,
	PT_IDENT,
	PT_QUOTED,
	PT_STRING,
	PT_NUMBER,
	PT_TRUE,
	PT_FALSE,
	PT_NULL,
	PT_MISSING,
	PT_PARAM,
	PT_KEYWORD,
	PT_OPERATOR,
	PT_AS,
	PT_AT,
	PT_BY,
	PT_DOT,
	PT_COMMA,
	PT_COLON,
	PT_SEMICOLON,
	PT_LPAREN,
	PT_RPAREN,
	PT_LBRACKET,
	PT_RBRACKET,
	PT_LBRACE,
	PT_RBRACE,
	PT_LBAG,
	PT_RBAG
};

/* Operators and the keywords the grammar asks for. */
enum pq_word {
	W_NONE,
	W_OTHER, /* a keyword that only cannot be a name */
	W_OR,
	W_AND,
	W_NOT,
	W_EQ,
	W_NE,
	W_LT,
	W_LE,
	W_GT,
	W_GE,
	W_IS,
	W_IS_NOT,
	W_IN,
	W_NOT_IN,
	W_BETWEEN,
	W_NOT_BETWEEN,
	W_LIKE,
	W_NOT_LIKE,
	W_PLUS,
	W_MINUS,
	W_STAR,
	W_DIVIDE,
	W_MODULO,
	W_CONCAT,
	W_UNION,
	W_EXCEPT,
	W_INTERSECT,
	W_AT_SIGN,
	W_SELECT,
	W_FROM,
	W_WHERE,
	W_INSERT,
	W_INTO,
	W_INSERT_INTO,
	W_VALUE,
	W_VALUES,
	W_UPDATE,
	W_DELETE,
	W_SET,
	W_REMOVE,
	W_RETURNING,
	W_ALL,
	W_MODIFIED,
	W_OLD,
	W_NEW,
	W_ALL_OLD,
	W_ALL_NEW,
	W_MODIFIED_OLD,
	W_MODIFIED_NEW,
	W_ORDER,
	W_ASC,
	W_DESC,
	W_GROUP,
	W_HAVING,
	W_LIMIT,
	W_OFFSET,
	W_DISTINCT,
	W_ESCAPE,
	W_CROSS,
	W_INNER,
	W_LEFT,
	W_RIGHT,
	W_FULL,
	W_OUTER,
	W_JOIN,
	W_ON,
	W_DOUBLE,
	W_PRECISION,
	W_CHARACTER,
	W_VARYING,
	W_COUNT
};

#define PQ_FUNCTION 1u /* a keyword that may be called */
#define PQ_TYPE     2u /* the name of a type, behind IS */

struct pq_token {
	uint8_t type, word, flags;
	uint32_t at, len;  /* bytes of the text, quotes included */
	struct slice text; /* without quotes */
};

/* Ends with a PT_EOF; *ret_params: how many ? there are. */
enum status pq_lex(struct slice text, struct arena *arena, struct pq_token **ret, uint32_t *ret_count,
		   uint32_t *ret_params, struct err *err);

/* In the order of the table; NULL behind the last. For a test of that order. */
const char *pq_keyword(size_t i);

/* ---- the tree ---- */

enum pq_node_type {
	N_NAME,   /* text */
	N_PATH,   /* children: a name, then N_FIELD, N_INDEX, N_WILD */
	N_FIELD,  /* text */
	N_INDEX,  /* child: an expression */
	N_WILD,   /* [*] or .* */
	N_STRING, /* text */
	N_NUMBER, /* text, with its sign */
	N_TRUE,
	N_FALSE,
	N_NULL,
	N_MISSING,
	N_PARAM, /* number */
	N_LIST,
	N_BAG,
	N_STRUCT,  /* children: name, value, name, value ... */
	N_CALL,    /* text: the function in lower case */
	N_UNARY,   /* op: W_NOT, W_PLUS, W_MINUS */
	N_BINARY,  /* op; AND and OR have two children or more */
	N_TERNARY, /* op: BETWEEN and its like */
	N_IS,      /* op: W_IS, W_IS_NOT; text: the type in lower case */
	N_SELECT,
	N_CHANGE /* INSERT, UPDATE, DELETE */
};

struct pq_node {
	uint8_t type, op;
	uint16_t depth;   /* levels below and with this one */
	uint32_t at, len; /* the token that stands for it, for messages */
	uint32_t number;
	uint32_t count; /* children */
	struct slice text;
	struct pq_node *first, *last, *next;
	union {
		struct pq_select *select;
		struct pq_change *change;
	};
};

struct pq_order {
	struct pq_node *value;
	bool descending;
	struct pq_order *next;
};

struct pq_select {
	struct pq_node *items;   /* linked; NULL: * */
	struct pq_node *sources; /* linked */
	struct pq_node *where;
	struct pq_order *order;
	bool alias;                  /* somewhere */
	struct pq_token unsupported; /* the first clause we know and DynamoDB does not have; W_NONE: none */
};

struct pq_action {
	enum pq_word word; /* W_SET, W_REMOVE, W_INSERT_INTO, W_VALUES (INSERT without VALUE) */
	struct pq_node *path, *value;
	struct pq_action *next;
};

struct pq_change {
	bool delete;
	bool alias;
	bool returning_in_insert;
	struct pq_node *sources; /* linked; NULL for INSERT and actions without a table */
	struct pq_action *actions;
	struct pq_node *where;
	enum partiql_returning returning;
};

struct partiql {
	enum partiql_kind kind;
	struct slice text;
	struct pq_node *root; /* N_SELECT (also of EXISTS) or N_CHANGE */
	uint32_t param_count;
};

static inline struct pq_node *
pq_child(const struct pq_node *n, unsigned i)
{
	struct pq_node *child = n->first;

	while (i-- > 0)
		child = child->next;
	return child;
}

/* ---- translation ---- */

struct pq_translator {
	const struct partiql *p;
	const struct av *params;
	struct arena *arena;
	struct err *err;
	struct expr_builder *builder; /* of the condition or update at hand */
};

/* " at LINE:COLUMN:LENGTH", counted in characters from 1; in the arena. */
const char *pq_position(const struct pq_translator *t, const struct pq_node *n);

/* value.c. A literal or parameter: everything but names, calls and operators. */
bool pq_is_value(const struct pq_node *n);
enum status pq_value(struct pq_translator *t, const struct pq_node *n, struct av *ret);
/* The struct of an INSERT as an item. */
enum status pq_item(struct pq_translator *t, const struct pq_node *n, struct av *ret);

/* A document path as elements; N_NAME or N_PATH. */
enum status pq_path(struct pq_translator *t, const struct pq_node *n, struct path_elem **ret, uint32_t *ret_len);

/* A condition that can be planned. */
struct pq_cond {
	uint8_t op; /* EXPR_AND, EXPR_OR, EXPR_NOT, or a leaf's */
	uint32_t node;
	struct slice
	    attr; /* a leaf that compares one top-level attribute with constants; data is NULL when it is no such */
	const struct av *values;
	uint32_t value_count;
	uint32_t count;
	struct pq_cond *first, *last, *next;
};
struct partiql_where {
	struct expr_builder *builder; /* more nodes may be made of those there are */
	struct expr *expr;            /* the whole */
	struct pq_cond *root;
};
enum status pq_where(struct pq_translator *t, const struct pq_node *n, struct partiql_where **ret);

/* "Invalid FilterExpression: x" -> "x": PartiQL has the same checks and no such names for its clauses. */
enum status pq_without_prefix(enum expr_kind kind, enum status s, struct err *err);
/* SET's right-hand side. */
enum status pq_update_value(struct pq_translator *t, const struct pq_node *n, uint32_t *ret);

/* ---- keys ---- */

static inline const struct key_attr *
pq_partition_attr(const struct key_schema *schema)
{
	return &schema->partition[0];
}

static inline const struct key_attr *
pq_sort_attr(const struct key_schema *schema)
{
	return schema->sort_count > 0 ? &schema->sort[0] : NULL;
}

static inline bool
pq_is_attr(const struct key_attr *attr, struct slice name)
{
	return attr != NULL && name.data != NULL && slice_eq(attr->name, name);
}

/* plan_item.c */
bool pq_is_key_type(struct av v);
enum status pq_check_key_value(const struct key_attr *attr, struct av v, struct err *err);
enum status pq_check_nested_keys(const struct partiql_where *where, const struct key_schema *schema, struct err *err);
/* A map of the key attributes; sort is unused where the schema has none. */
struct av pq_item_key(const struct key_schema *schema, struct av partition, struct av sort, struct arena *arena);

#endif
