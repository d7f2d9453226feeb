/* What TransactWriteItems, TransactGetItems and ExecuteTransaction share: why one was cancelled, what it consumed. */
#include <stdlib.h>

#include "api/transact.h"
#include "model/av_json.h"
#include "model/key.h"

/* ---- cancelled ---- */

enum status
transact_cancel(struct op_call *call, const struct cancel_reason *reasons, size_t count, struct err *err)
{
	call->reasons = reasons;
	call->reason_count = count;
	return err_set(err, S_TRANSACTION_CANCELED, "%s", MSG_CANCELED);
}

static const char *
reason_code(const struct cancel_reason *reason)
{
	return reason->code != NULL ? reason->code : "None";
}

void
transact_put_reasons(struct buf *out, const struct cancel_reason *reasons, size_t count)
{
	buf_put_lit(out, "\"CancellationReasons\":[");
	for (size_t i = 0; i < count; i++) {
		buf_printf(out, "%s{\"Code\":\"%s\"", i > 0 ? "," : "", reason_code(&reasons[i]));
		if (reasons[i].code != NULL) {
			buf_put_lit(out, ",\"Message\":");
			json_put_string(out, reasons[i].message);
		}
		if (av_exists(reasons[i].item)) {
			buf_put_lit(out, ",\"Item\":");
			item_write_json(out, reasons[i].item);
		}
		buf_put_byte(out, '}');
	}
	buf_put_lit(out, "],\"Message\":\"" MSG_CANCELED " [");
	for (size_t i = 0; i < count; i++)
		buf_printf(out, "%s%s", i > 0 ? ", " : "", reason_code(&reasons[i]));
	buf_put_lit(out, "]\"");
}

/* An empty value of a key refuses the request; the service tells such things in its newer sentences, all that cancel in
 * older ones. */
bool
transact_refuses(struct slice message)
{
	return slice_starts(message, SLICE("One or more parameter values are not valid."));
}

const char *
transact_limit_code(enum status s)
{
	switch (s) {
	case S_THROUGHPUT_EXCEEDED:
		return "ProvisionedThroughputExceeded";
	case S_THROTTLING:
		return "ThrottlingError";
	case S_ITEM_COLLECTION_LIMIT:
		return "ItemCollectionSizeLimitExceeded";
	case S_TRANSACTION_CONFLICT:
		return "TransactionConflict";
	default:
		return NULL;
	}
}

enum status
transact_cancel_for(struct op_call *call, size_t which, size_t count, enum status s, struct err *err)
{
	struct cancel_reason *reasons;
	struct slice message = slice_str(err->message);

	if (s != S_VALIDATION || transact_refuses(message))
		return s;
	reasons = ARENA_ARRAY(call->arena, struct cancel_reason, count);
	reasons[which].code = "ValidationError";
	reasons[which].message = arena_dup(call->arena, message);
	return transact_cancel(call, reasons, count, err);
}

/* ---- two actions on one item ---- */

void
transact_note_target(struct transact_targets *t, struct table *const *tables, struct av key)
{
	uint32_t first = 0;

	while (!slice_eq(table_name(tables[first]), table_name(tables[t->count])))
		first++;
	key_put_row(&t->rows, first, table_schema(tables[t->count]), key, NULL);
	t->ends[t->count++] = t->rows.len;
}

static int
row_order(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

enum status
transact_check_targets(const struct transact_targets *t, struct err *err)
{
	struct slice sorted[TRANSACT_ITEMS_MAX];

	for (size_t i = 0; i < t->count; i++) {
		size_t start = i > 0 ? t->ends[i - 1] : 0;

		sorted[i] = slice_of(t->rows.data + start, t->ends[i] - start);
	}
	qsort(sorted, t->count, sizeof *sorted, row_order);
	for (size_t i = 1; i < t->count; i++)
		if (slice_eq(sorted[i - 1], sorted[i]))
			return err_set(err, S_VALIDATION, MSG_TRANSACT_ONE_ITEM);
	return S_OK;
}

void
transact_release(struct table *const *tables, size_t count)
{
	for (size_t i = 0; i < count; i++)
		table_release(tables[i]);
}

/* ---- capacity ---- */

/* What one table's actions consumed, together. */
struct consumed {
	struct table *table;
	struct slice requested; /* name or ARN, as the client wrote it first */
	struct reply_units all;
};

struct transact_bill {
	size_t count;
	struct consumed tables[]; /* at most one an action */
};

struct transact_bill *
transact_bill_new(struct arena *arena, size_t actions)
{
	struct transact_bill *bill = arena_alloc(arena, sizeof *bill + actions * sizeof bill->tables[0]);

	bill->count = 0;
	return bill;
}

static struct consumed *
consumed_of(struct transact_bill *bill, struct table *table, struct slice requested)
{
	struct consumed *c;

	for (size_t i = 0; i < bill->count; i++)
		if (slice_eq(table_name(bill->tables[i].table), table_name(table)))
			return &bill->tables[i];
	c = &bill->tables[bill->count++];
	*c = (struct consumed){.table = table, .requested = requested, .all = {.count = 1}};
	return c;
}

void
transact_bill_add(struct transact_bill *bill, struct table *table, struct slice requested,
		  const struct table_units *units, size_t count)
{
	struct consumed *c = consumed_of(bill, table, requested);

	for (size_t i = 0; i < count; i++)
		reply_units_add(&c->all, &units[i], units[i].index == NULL ? 2 : 1);
}

void
transact_bill_put(struct buf *out, const struct transact_bill *bill, bool write, int detail)
{
	buf_put_lit(out, "\"ConsumedCapacity\":[");
	for (size_t i = 0; i < bill->count; i++) {
		const struct consumed *c = &bill->tables[i];

		if (i > 0)
			buf_put_byte(out, ',');
		reply_transaction_capacity(out, c->requested, c->all.units, c->all.count, write, detail);
	}
	buf_put_byte(out, ']');
}
