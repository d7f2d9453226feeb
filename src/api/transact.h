/* What transactions share with the rest of the room: their shapes and why one was cancelled. */
#ifndef STATOR_API_TRANSACT_H
#define STATOR_API_TRANSACT_H

#include "api/op_int.h"
#include "table/transact.h"

extern const struct shape shape_transact_get, shape_transact_write;
enum status op_transact_get(struct op_call *call, const void *in, struct err *err);
enum status op_transact_write(struct op_call *call, const void *in, struct err *err);

/* One a action, in the request's order. All zero: this action was not the reason. */
struct cancel_reason {
	const char *code;     /* "ConditionalCheckFailed"; NULL: "None" */
	struct slice message; /* told when there is a code */
	struct av item;       /* AV_NONE: not asked for, or none */
};

/* Fail the call with TransactionCanceledException; the reasons lie in the call's arena. */
enum status transact_cancel(struct op_call *call, const struct cancel_reason *reasons, size_t count, struct err *err);
/* "CancellationReasons":[...],"Message":"..." for op_fail(). The message names up to 100 codes, more than an err holds.
 */
void transact_put_reasons(struct buf *out, const struct cancel_reason *reasons, size_t count);

/* One action of `count` failed its checks. s and err: why; what refuses the request or is no mistake of the client's is
 * passed on. */
enum status transact_cancel_for(struct op_call *call, size_t which, size_t count, enum status s, struct err *err);

/* Must this failed check refuse the request rather than cancel the transaction? So it is for empty values of keys. */
bool transact_refuses(struct slice message);

/* The reason's code for a write that was refused for capacity or size; NULL: it was something else. */
const char *transact_limit_code(enum status s);

/* Row keys of all items, to find two actions on one. The place of the first action on a table stands for the table.
 * Zeroed at first; the caller frees rows. */
struct transact_targets {
	struct buf rows;
	size_t ends[TRANSACT_ITEMS_MAX];
	size_t count;
};
/* The next action's; tables has one for each action so far and for this one. */
void transact_note_target(struct transact_targets *t, struct table *const *tables, struct av key);
enum status transact_check_targets(const struct transact_targets *t, struct err *err);
void transact_release(struct table *const *tables, size_t count);

/* What a transaction consumed, by table in the order of their first actions. */
struct transact_bill;
struct transact_bill *transact_bill_new(struct arena *arena, size_t actions);
/* Twice on the table, but not on its indexes. requested: how the client calls the table. */
void transact_bill_add(struct transact_bill *bill, struct table *table, struct slice requested,
		       const struct table_units *units, size_t count);
/* "ConsumedCapacity":[...] */
void transact_bill_put(struct buf *out, const struct transact_bill *bill, bool write, int detail);

#endif
