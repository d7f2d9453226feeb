/* PartiQL operations: what their files share. */
#ifndef STATOR_API_PARTIQL_H
#define STATOR_API_PARTIQL_H

#include "api/op_int.h"
#include "expr/partiql.h"
#include "table/transact.h"

#define STATEMENTS_BATCH_MAX 25

extern const struct shape shape_execute_statement, shape_batch_execute, shape_execute_transaction;
enum status op_execute_statement(struct op_call *call, const void *in, struct err *err);
enum status op_batch_execute(struct op_call *call, const void *in, struct err *err);
enum status op_execute_transaction(struct op_call *call, const void *in, struct err *err);

/* A statement of any of the three; each knows some of the members. */
struct statement_in {
	struct slice text;
	struct in_list parameters;
	uint8_t consistent;
	struct slice next_token;
	struct in_long limit;
	struct in_enum return_capacity, return_on_failure;
};
/* Several: BatchExecuteStatement and ExecuteTransaction. */
struct statements_in {
	struct in_list statements;
	struct slice token;
	struct in_enum return_capacity;
};

/* A statement on its way. */
struct statement {
	const struct statement_in *in;
	struct av *params;
	size_t param_count;
	struct partiql *parsed; /* NULL: not well formed */
	struct partiql_statement s;
	struct table *table; /* counted, the caller releases it; NULL: none such, or not looked for yet */
};

/* ---- op_partiql.c: the steps of a statement, in their order ---- */

/* The parameters alone. Sets all of *ret, also when it fails. */
enum status statement_parameters(struct op_call *call, const struct statement_in *in, struct statement *ret,
				 struct err *err);
/* They and the text. */
enum status statement_parse(struct op_call *call, const struct statement_in *in, struct statement *ret,
			    struct err *err);
/* What the text says with these parameters. */
enum status statement_translate(struct op_call *call, struct statement *st, struct err *err);
/* And with its table, which must be there. */
enum status statement_prepare(struct op_call *call, struct statement *st, struct err *err);
/* The item of an INSERT, the key and condition of UPDATE, DELETE and EXISTS. */
enum status statement_write(struct op_call *call, const struct statement *st, struct table_write *ret, struct err *err);
/* Do two items, or their keys, have the same key? */
bool statement_same_item(const struct key_schema *schema, struct av a, struct av b);
/* What the failure of its commit is called here. */
enum status statement_failed(const struct statement *st, enum status s, struct err *err);
/* The item for RETURNING; AV_NONE: nothing. */
struct av statement_returned(const struct statement *st, const struct table_write *w, struct arena *arena);

/* ---- partiql_select.c ---- */

struct selected {
	struct av *items;
	size_t count;
	bool more; /* the read stopped before the end: where is told by the next two */
	uint32_t next_read;
	struct av last_key;          /* AV_NONE: at the beginning of that read */
	struct table_units units[2]; /* of the table or index; of the table behind a local index */
};
/* One page of a SELECT of ExecuteStatement. */
enum status statement_select(struct op_call *call, struct statement *st, struct table_io *io, struct selected *ret,
			     struct err *err);
/* An item as the statement's columns show it. */
struct av statement_columns(const struct statement *st, struct av item, struct arena *arena);

/* ---- partiql_token.c ---- */

/* Where to go on, as base64 text in the arena, bound to the statement, its parameters and its table. */
struct slice token_write(struct op_call *call, const struct statement *st, const struct selected *page);
enum status token_read(struct op_call *call, const struct statement *st, uint32_t *ret_read, struct av *ret_key,
		       struct err *err);

#endif
