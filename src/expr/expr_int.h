/*
 * Inside the expression room: text -> program -> bound expression -> answer.
 *
 *   lex.c parse.c        text to a program, and all errors that the text alone has
 *   cache.c              programs kept per thread
 *   params.c bind.c      placeholders become names and values; errors that depend on them
 *   build.c              bound expressions made by code
 *   condition.c project.c update.c key_condition.c    what each kind does with an item
 *
 * A program is immutable and holds no pointers into a request; a bound expression holds none into a program, because
 * the cache may drop the program as soon as expr_bind() returns.
 */
#ifndef STATOR_EXPR_EXPR_INT_H
#define STATOR_EXPR_EXPR_INT_H

#include "expr/expr.h"

#define PATH_ELEMS_MAX  32
#define IN_OPERANDS_MAX 100
#define LIST_INDEX_MAX  2147483647
#define NO_NODE         UINT32_MAX

/*
 * More levels of parentheses, NOT and functions than any valid expression has: each needs an operator of its own (at
 * most 300 of them), and an operator brings at most two levels: NOT and its parenthesis.
 */
#define PARSE_DEPTH_MAX 700

/* ---- tokens ---- */

enum token_type {
	T_EOF,
	T_BAD,
	T_IDENT,
	T_NAME,
	T_VALUE,
	T_NUMBER,
	T_LPAREN,
	T_RPAREN,
	T_LBRACKET,
	T_RBRACKET,
	T_COMMA,
	T_DOT,
	T_PLUS,
	T_MINUS,
	T_EQ,
	T_NE,
	T_LT,
	T_LE,
	T_GT,
	T_GE,
	T_AND,
	T_OR,
	T_NOT,
	T_BETWEEN,
	T_IN,
	T_SET,
	T_REMOVE,
	T_ADD,
	T_DELETE
};

struct token {
	enum token_type type;
	uint32_t at; /* byte of the text */
	uint32_t len;
};

/* The token at or behind byte `at`. Which words are keywords depends on the kind. Unknown characters are T_BAD, one
 * each. */
struct token lex(enum expr_kind kind, struct slice text, size_t at);

/* ---- programs ---- */

#define NODE_PAREN  1 /* the text has parentheses right around it */
#define NODE_SORTED 2 /* IN: its values lie side by side and ascend (value_cmp) */

struct node {
	uint8_t op; /* enum expr_op */
	uint8_t flags;
	uint32_t first; /* PATH: of elems; VALUE: number of the value; others: of links, which name the children */
	uint32_t count; /* PATH: elements; others: children */
};

enum elem_kind { ELEM_NAME, ELEM_SLOT, ELEM_INDEX };
struct elem {
	uint8_t kind;
	uint16_t len;
	uint32_t at; /* NAME: byte of the text; SLOT: number of the # name; INDEX: the index */
};

/* A placeholder, once however often it is used. */
struct slot {
	uint32_t at; /* byte of the text */
	uint32_t len;
};

struct program {
	enum expr_kind kind;
	uint32_t root;
	uint32_t node_count, link_count, elem_count, name_count, value_count;
	const struct node *nodes;
	const uint32_t *links;
	const struct elem *elems;
	const struct slot *names;
	const struct slot *values;
	/* the cache's */
	uint64_t hash;
	struct slice text;
	size_t bytes; /* of the whole block */
};

/* The program's arrays lie in the arena and its text is the caller's. */
enum status program_parse(enum expr_kind kind, struct slice text, struct arena *arena, struct program *ret,
			  struct err *err);

/* NULL when it is not there. Valid until this thread's next cache call. */
const struct program *cache_find(enum expr_kind kind, struct slice text, uint64_t hash);
void cache_keep(const struct program *parsed, uint64_t hash);
uint64_t cache_hash(struct slice bytes); /* keyed per process: clients cannot make collisions */
/* This thread's scratch buffer, empty. Give it back before another is taken. */
struct buf *scratch_take(void);
void scratch_give(struct buf *b);

/* ---- bound expressions ---- */

struct path_elem {
	struct slice name; /* data is NULL for a list index */
	uint32_t index;
};

struct path_ref {
	const struct path_elem *elems;
	uint32_t len;
	uint32_t order; /* place in the text: of an update's action, of a projection's path */
};

struct key_condition {
	struct slice name;
	enum key_op op;
	bool not_indexable; /* only those made by code */
	struct av low, high;
};

struct expr {
	enum expr_kind kind;
	uint32_t root;
	uint32_t node_count, elem_count;
	const struct node *nodes;
	const uint32_t *links;
	const struct path_elem *elems;
	const struct av *values;
	/* projection and update: the paths, ascending, so that an item's entries are merged with them in one pass */
	struct path_ref *paths;
	uint32_t path_count;
	struct slice *attrs; /* top-level names of a projection, each once */
	size_t attr_count;
	/* key condition */
	struct key_condition *conditions;
	uint32_t condition_count;
	/* made by code, from legacy parameters: some messages differ */
	bool built;
	/* conditions made by code with many attributes: `sorted` numbers elems by name, `heads` is scratch for what an
	 * item has of each, found in one merge (an expression's text is too short to need that) */
	const uint32_t *sorted;
	uint32_t sorted_count;
	struct av *heads;
	const char *key_failure; /* what expr_key_check() will say; NULL: nothing */
};

static inline const struct node *
expr_node(const struct expr *e, uint32_t node)
{
	return &e->nodes[node];
}

static inline const struct node *
expr_child(const struct expr *e, const struct node *n, uint32_t i)
{
	return &e->nodes[e->links[n->first + i]];
}

static inline struct slice
expr_path_head(const struct expr *e, const struct node *path)
{
	return e->elems[path->first].name;
}

extern const char *const expr_kind_names[]; /* "ConditionExpression", ... */
extern const char *const expr_op_names[];   /* as messages print them: "<", "BETWEEN", "size", ... */

#define expr_fail(kind, err, format, ...)                                                                              \
	err_set((err), S_VALIDATION, "Invalid %s: " format, expr_kind_names[kind], ##__VA_ARGS__)

/* slice_cmp() for names: most differ in their first byte. */
static inline int
name_cmp(struct slice a, struct slice b)
{
	if (a.len > 0 && b.len > 0 && a.data[0] != b.data[0])
		return (uint8_t)a.data[0] < (uint8_t)b.data[0] ? -1 : 1;
	return slice_cmp(a, b);
}

/* Order of two path elements that lie in one container: indexes by number, then names by bytes. */
int path_elem_cmp(const struct path_elem *a, const struct path_elem *b);
/* What hangs at the path below v; AV_NONE when there is nothing. */
struct av path_find(struct av v, const struct path_elem *elems, uint32_t len);

/* A document path; the elements are copied. */
uint32_t expr_build_path(struct expr_builder *b, const struct path_elem *elems, uint32_t count);
/* An expression as if it came from a text; of one builder there may be several, with different roots. */
struct expr *expr_build_view(struct expr_builder *b, uint32_t root);
/* What expr_bind() checks of operands, for a condition or update made by code; the messages begin with "Invalid KIND:
 * ". */
enum status expr_check_built(const struct expr *e, struct err *err);

/* The paths of an update's actions or a projection, sorted into e->paths. */
void expr_sort_paths(struct expr *e, struct arena *arena);
/* Top-level names of e->paths into e->attrs. */
void expr_collect_attrs(struct expr *e, struct arena *arena);
/* Any total order of values. */
int value_cmp(const void *one, const void *two);
/* Prepare sorted and heads; they are used by expr_test() then. */
void condition_sort_attrs(struct expr *e, struct arena *arena);
/* Fill conditions or key_failure from the tree. */
void key_condition_compile(struct expr *e, struct arena *arena);

/* The item reduced to ascending paths without overlaps; appends a map, maybe an empty one. */
void paths_project(struct buf *out, struct av item, const struct path_ref *paths, uint32_t count);

/* Bytes of an N made on the fly, for size(): tag, length, number encoding (at most NUMBER_ENCODED_MAX). */
#define SMALL_NUMBER_MAX (2 + 24)

#endif
