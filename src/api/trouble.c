#include "api/trouble.h"

#include <stdlib.h>

#define TROUBLES_MAX 64
#define NAME_BYTES   256

struct trouble {
	char operation[NAME_BYTES]; /* empty: any */
	char table[NAME_BYTES];
	enum status status;
	uint32_t left;
};

struct troubles {
	atomic_bool armed;
	pthread_mutex_t lock;
	/* guarded by lock */
	struct trouble rows[TROUBLES_MAX];
	size_t count;
};

/* What may be asked for: errors that an operation may answer with whatever its request was. */
static const struct {
	enum status status;
	const char *message;
} errors[] = {
    {S_THROUGHPUT_EXCEEDED,
     "The level of configured provisioned throughput for the table was exceeded. Consider increasing your "
     "provisioning level with the UpdateTable API."},
    {S_THROTTLING, "Rate exceeded"},
    {S_REQUEST_LIMIT, "Throughput exceeds the current throughput limit for your account. Please contact AWS Support at "
		      "https://aws.amazon.com/support request a limit increase"},
    {S_INTERNAL, "a test control asked for it"},
    {S_UNAVAILABLE, "The service is temporarily unavailable."},
    {S_TRANSACTION_CONFLICT, "Transaction is ongoing for the item"},
    {S_TRANSACTION_IN_PROGRESS, "The transaction with the given request token is already in progress."},
    {S_LIMIT_EXCEEDED, "Subscriber limit exceeded: There is a limit of 500 tables per subscriber"},
    {S_RESOURCE_IN_USE, "Attempt to change a resource which is still in use"},
    {S_RESOURCE_NOT_FOUND, "Requested resource not found"},
    {S_ACCESS_DENIED, "User is not authorized to perform this operation"},
    {S_UNRECOGNIZED_CLIENT, "The security token included in the request is invalid."},
};
#define ERROR_COUNT (sizeof errors / sizeof *errors)

struct troubles *
troubles_new(void)
{
	struct troubles *t = calloc(1, sizeof *t);

	if (t == NULL)
		abort();
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

void
troubles_free(struct troubles *t)
{
	if (t == NULL)
		return;
	pthread_mutex_destroy(&t->lock);
	free(t);
}

bool
troubles_armed(const struct troubles *t)
{
	return atomic_load_explicit(&t->armed, memory_order_relaxed);
}

/* Of any service: some have operations of the same name, which then are both meant. */
static enum status
check_operation(struct slice name, struct err *err)
{
	if (slice_eq(name, SLICE("*")))
		return S_OK;
	for (size_t i = 0; i < service_count; i++)
		for (size_t n = 0; n < *services[i].op_count; n++)
			if (slice_eq(slice_str(services[i].ops[n].name), name))
				return S_OK;
	return err_set(err, S_VALIDATION, "operation: there is no \"%.*s\"", (int)(name.len < 80 ? name.len : 80),
		       name.data);
}

static enum status
find_error(struct slice name, enum status *ret, struct err *err)
{
	struct buf list = {0};

	for (size_t i = 0; i < ERROR_COUNT; i++)
		if (slice_eq(slice_str(status_short_name(errors[i].status)), name)) {
			*ret = errors[i].status;
			buf_done(&list);
			return S_OK;
		} else {
			buf_printf(&list, "%s%s", i > 0 ? ", " : "", status_short_name(errors[i].status));
		}
	(void)err_set(err, S_VALIDATION, "error: must be one of %.*s", (int)list.len, list.data);
	buf_done(&list);
	return S_VALIDATION;
}

enum status
troubles_add(struct troubles *t, struct slice operation, struct slice table, struct slice error, uint32_t count,
	     struct err *err)
{
	struct trouble new = {.left = count};
	enum status s = check_operation(operation, err);
	size_t at = 0;

	if (s == S_OK)
		s = find_error(error, &new.status, err);
	if (s != S_OK)
		return s;
	if (table.len >= sizeof new.table)
		return err_set(err, S_VALIDATION, "table: no name is that long");
	if (!slice_eq(operation, SLICE("*")))
		memcpy(new.operation, operation.data, operation.len);
	if (table.len > 0)
		memcpy(new.table, table.data, table.len);
	pthread_mutex_lock(&t->lock);
	while (at < t->count && (strcmp(t->rows[at].operation, new.operation) != 0 ||
				 t->rows[at].status != new.status || strcmp(t->rows[at].table, new.table) != 0))
		at++;
	if (count == 0) {
		if (at < t->count)
			t->rows[at] = t->rows[--t->count];
	} else if (at == TROUBLES_MAX) {
		s = err_set(err, S_VALIDATION, "There are %d of these already: reset some", TROUBLES_MAX);
	} else {
		t->rows[at] = new;
		t->count += at == t->count;
		atomic_store(&t->armed, true);
	}
	pthread_mutex_unlock(&t->lock);
	return s;
}

void
troubles_clear(struct troubles *t)
{
	pthread_mutex_lock(&t->lock);
	t->count = 0;
	atomic_store(&t->armed, false);
	pthread_mutex_unlock(&t->lock);
}

static enum status
tell(enum status status, struct err *err)
{
	for (size_t i = 0; i < ERROR_COUNT; i++)
		if (errors[i].status == status)
			return err_set(err, status, "%s", errors[i].message);
	abort(); /* find_error() let none other pass */
}

enum status
troubles_meet(struct troubles *t, const struct op *op, struct slice table, struct err *err)
{
	enum status s = S_OK;

	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; s == S_OK && i < t->count; i++) {
		struct trouble *row = &t->rows[i];
		bool met = (row->operation[0] == '\0' || strcmp(row->operation, op->name) == 0) &&
			   (row->table[0] != '\0') == (table.data != NULL);

		if (!met || (table.data != NULL && !slice_eq(slice_str(row->table), table)))
			continue;
		s = tell(row->status, err);
		if (--row->left > 0)
			continue;
		*row = t->rows[--t->count];
	}
	if (t->count == 0)
		atomic_store(&t->armed, false);
	pthread_mutex_unlock(&t->lock);
	return s;
}
