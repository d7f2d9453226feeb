/*
 * Errors on request, for test controls: the next so many requests of an operation, or of an operation on one table, are
 * answered with an error that was chosen.
 */
#ifndef STATOR_API_TROUBLE_H
#define STATOR_API_TROUBLE_H

#include "api/op_int.h"

/* The row of test controls, which run.c starts as it starts an operation. */
extern const struct op op_control;

struct troubles *troubles_new(void);
void troubles_free(struct troubles *t);
/* Replaces what is left of the same operation, table and error. count 0: no more of it. S_VALIDATION: no such operation
 * or error. table empty: any. */
enum status troubles_add(struct troubles *t, struct slice operation, struct slice table, struct slice error,
			 uint32_t count, struct err *err);
void troubles_clear(struct troubles *t);
/* Is this request one of them? table data NULL: asked before the table is known. */
enum status troubles_meet(struct troubles *t, const struct op *op, struct slice table, struct err *err);
bool troubles_armed(const struct troubles *t);

#endif
