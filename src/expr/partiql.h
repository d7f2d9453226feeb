/*
 * PartiQL: statements as text become what the rest of the house already knows: items, conditions, filters, updates and
 * key ranges.
 *
 *   partiql_parse()       the text alone: words and grammar
 *   partiql_translate()   the text with its parameters: values, operand types, the condition and the update
 *   partiql_plan() ...    the same against a key schema: which items can it be about?
 *
 * Errors come in that order, which is the service's, and in its words. All results lie in the caller's arena and point
 * into the text and the parameters.
 */
#ifndef STATOR_EXPR_PARTIQL_H
#define STATOR_EXPR_PARTIQL_H

#include "expr/expr.h"

#define PARTIQL_TEXT_MAX  8192 /* characters; the caller checks */
#define PARTIQL_READS_MAX 50   /* item collections and ranges that one SELECT may be taken apart into */

enum partiql_kind { PARTIQL_SELECT, PARTIQL_INSERT, PARTIQL_UPDATE, PARTIQL_DELETE, PARTIQL_EXISTS };
enum partiql_returning {
	PARTIQL_RETURNING_NONE,
	PARTIQL_ALL_OLD,
	PARTIQL_ALL_NEW,
	PARTIQL_MODIFIED_OLD,
	PARTIQL_MODIFIED_NEW
};

/* ---- the text ---- */

struct partiql; /* a statement that is well formed */

/* "Statement wasn't well formed, can't be processed: ..." and "Unsupported operation: ...". */
enum status partiql_parse(struct slice text, struct arena *arena, struct partiql **ret, struct err *err);
enum partiql_kind partiql_kind(const struct partiql *p);
/* Table and index as written, as far as they can be told before translation; empty when not. */
void partiql_source(const struct partiql *p, struct slice *ret_table, struct slice *ret_index);

/* ---- with its parameters ---- */

struct partiql_where;   /* the condition, in a form that can be planned */
struct partiql_columns; /* what SELECT lists */

struct partiql_order {
	struct slice attr;
	bool descending;
};

struct partiql_statement {
	enum partiql_kind kind;
	struct slice table, index;       /* index empty: the table itself */
	struct partiql_where *where;     /* NULL: none */
	struct partiql_columns *columns; /* SELECT; NULL: * */
	const struct expr *projection;   /* the columns' top-level attributes; NULL: * */
	struct partiql_order *order;
	size_t order_count;
	struct av item;            /* INSERT */
	const struct expr *update; /* UPDATE */
	enum partiql_returning returning;
};

enum status partiql_translate(const struct partiql *p, const struct av *params, size_t param_count, struct arena *arena,
			      struct partiql_statement *ret, struct err *err);
/* An item as SELECT's list shows it: each column under the last name of its path. */
struct av partiql_select_columns(const struct partiql_columns *columns, struct av item, struct arena *arena);
/* What an UPDATE's paths name in an item: for RETURNING MODIFIED. */
struct av partiql_modified(const struct expr *update, struct av item, struct arena *arena);
/* Top-level names of the columns in the statement's order, each as often as it is written. */
const struct slice *partiql_column_attrs(const struct partiql_columns *columns, size_t *ret_count);

/* ---- against a schema ---- */

/* One Query of a plan. */
struct partiql_read {
	struct key_range range;
	const struct expr *filter; /* NULL: none */
	struct av key;             /* of the one row it can find, when the schema is a table's; AV_NONE: several */
};
struct partiql_plan {
	bool keyed;                 /* false: a scan */
	const struct expr *filter;  /* of the scan; NULL: none */
	struct partiql_read *reads; /* ascending by keys, or as ORDER BY says */
	size_t read_count;
	bool backward;
};

/*
 * How to find what a SELECT asks for in a table or index of this schema (one partition key attribute, at most one sort
 * key attribute). check_types: key conditions must have the types of the schema.
 */
enum status partiql_plan(const struct partiql_statement *s, const struct key_schema *schema, bool check_types,
			 struct arena *arena, struct partiql_plan *ret, struct err *err);
/* ORDER BY, after the checks that the caller has in between. */
enum status partiql_plan_order(const struct partiql_statement *s, const struct key_schema *schema,
			       struct partiql_plan *plan, struct err *err);
/*
 * A keyed read of an index may filter only by what the index holds. Names what it does not hold in the order the
 * service prints; *ret_count is 0 when all is well.
 */
void partiql_plan_unprojected(const struct partiql_plan *plan, bool (*projected)(void *context, struct slice name),
			      void *context, struct arena *arena, struct slice **ret, size_t *ret_count);

/* The one item that a SELECT of a batch or transaction names with nothing but its whole key; AV_NONE: it does not. */
struct av partiql_only_key(const struct partiql_statement *s, const struct key_schema *schema, struct arena *arena);

/*
 * The key that an UPDATE, DELETE or EXISTS names, and the rest of its WHERE as a condition: of an UPDATE that the item
 * is there too, of a DELETE that holds as well when it is not. *ret_condition may be NULL (DELETE and EXISTS).
 */
enum status partiql_write_key(const struct partiql_statement *s, const struct key_schema *schema, struct arena *arena,
			      struct av *ret_key, const struct expr **ret_condition, struct err *err);
/* Of an INSERT: that there is no such item. */
const struct expr *partiql_insert_condition(const struct key_schema *schema, struct arena *arena);

#endif
