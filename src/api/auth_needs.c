/* What each operation needs: IAM's actions, and the resources they are needed on. */
#include "api/auth_int.h"

struct row;
typedef enum status check(struct auth *a, const struct row *row);

struct row {
	const char *operation;
	check *check;
	const char *member; /* that names the resource; several are alternatives: "SourceTableArn|SourceTableName" */
};

/* ---- requests ---- */

static const struct field *
find_field(const struct shape *shape, struct slice name)
{
	for (const struct field *f = shape->fields; f->name != NULL; f++)
		if (f->length == name.len && memcmp(f->name, name.data, name.len) == 0)
			return f;
	return NULL;
}

static const void *
find_member(const struct shape *shape, const void *in, struct slice name, enum shape_type type)
{
	const struct field *f = shape != NULL ? find_field(shape, name) : NULL;

	return f != NULL && f->type == type ? (const char *)in + f->offset : NULL;
}

const void *
auth_member(const struct shape *shape, const void *in, const char *name, enum shape_type type)
{
	return find_member(shape, in, slice_str(name), type);
}

const struct shape *
auth_shape_of(const struct shape *shape, const char *name)
{
	const struct field *f = find_field(shape, slice_str(name));

	return f != NULL && f->type == SHAPE_STRUCT ? f->shape : NULL;
}

const struct shape *
auth_element_of(const struct shape *shape, const char *name)
{
	const struct field *f = shape != NULL ? find_field(shape, slice_str(name)) : NULL;

	return f != NULL && f->type == SHAPE_LIST && f->element->type == SHAPE_STRUCT ? f->element->shape : NULL;
}

/* A string of the body's outermost object, or of an object in it ("outer.name"): for operations that take no shape. */
static struct slice
body_text(struct auth *a, struct slice path)
{
	const char *dot = memchr(path.data, '.', path.len);
	struct slice outer = slice_of(path.data, dot != NULL ? (size_t)(dot - path.data) : path.len), name,
		     found = SLICE_NONE;
	struct json_reader r;

	json_init(&r, a->call->body, a->call->arena);
	if (json_peek(&r) != JSON_OBJECT || !json_enter_object(&r))
		return SLICE_NONE;
	while (json_next_member(&r, &name)) {
		if (slice_eq(name, outer) && dot != NULL && json_peek(&r) == JSON_OBJECT && json_enter_object(&r)) {
			while (json_next_member(&r, &name)) {
				if (json_peek(&r) == JSON_STRING &&
				    slice_eq(name, slice_of(dot + 1, path.len - outer.len - 1)))
					found = json_string(&r);
				else
					json_skip(&r);
			}
		} else if (slice_eq(name, outer) && dot == NULL && json_peek(&r) == JSON_STRING) {
			found = json_string(&r);
		} else {
			json_skip(&r);
		}
	}
	return json_failed(&r) ? SLICE_NONE : found;
}

/* The same from a request that has a shape: only what the operation itself will see. */
static struct slice
shape_text(struct auth *a, struct slice path)
{
	const struct shape *shape = a->shape;
	const void *in = a->in;
	const struct slice *text;

	for (;;) {
		const char *dot = memchr(path.data, '.', path.len);
		struct slice name = slice_of(path.data, dot != NULL ? (size_t)(dot - path.data) : path.len);
		void *const *inner;

		if (dot == NULL) {
			text = find_member(shape, in, name, SHAPE_TABLE);
			if (text == NULL)
				text = find_member(shape, in, name, SHAPE_STRING);
			return text != NULL ? *text : SLICE_NONE;
		}
		inner = find_member(shape, in, name, SHAPE_STRUCT);
		if (inner == NULL || *inner == NULL)
			return SLICE_NONE;
		shape = find_field(shape, name)->shape;
		in = *inner;
		path = slice_of(dot + 1, path.len - name.len - 1);
	}
}

/* The value of the first of "A|B|C.D" that is there; empty when none is. */
static struct slice
text_of(struct auth *a, const char *members)
{
	while (*members != '\0') {
		size_t len = strcspn(members, "|");
		struct slice path = slice_of(members, len);
		struct slice found = a->shape != NULL ? shape_text(a, path) : body_text(a, path);

		if (found.len > 0)
			return found;
		members += len + (members[len] == '|');
	}
	return SLICE_NONE;
}

/* Was this member given, whatever it holds? */
static bool
is_given(struct auth *a, const char *name)
{
	struct slice member;
	struct json_reader r;
	bool given = false;

	json_init(&r, a->call->body, a->call->arena);
	if (json_peek(&r) == JSON_OBJECT && json_enter_object(&r))
		while (json_next_member(&r, &member)) {
			if (slice_eq(member, slice_str(name)))
				given = json_peek(&r) != JSON_NULL;
			json_skip(&r);
		}
	return given;
}

/* ---- resources ---- */

/* The table's name in an ARN of ours, up to the next slash; empty for any other text. */
static struct slice
table_of(struct auth *a, struct slice arn)
{
	static const struct slice table = {"table/", 6};
	struct slice prefix = auth_prefix(a), rest;
	const char *slash;

	if (!slice_starts(arn, prefix))
		return SLICE_NONE;
	rest = slice_of(arn.data + prefix.len, arn.len - prefix.len);
	if (!slice_starts(rest, table))
		return SLICE_NONE;
	rest = slice_of(rest.data + table.len, rest.len - table.len);
	slash = rest.len > 0 ? memchr(rest.data, '/', rest.len) : NULL;
	if (slash != NULL)
		rest.len = (size_t)(slash - rest.data);
	return rest;
}

void
auth_need_table(struct auth *a, struct need *need, struct slice name_or_arn, struct slice index)
{
	need->given = name_or_arn;
	need->index = index;
	need->resource = SLICE_NONE;
	need->stream = SLICE_NONE;
	need->table = slice_starts(name_or_arn, SLICE("arn:")) ? table_of(a, name_or_arn) : name_or_arn;
	if (need->table.len > 0 && need->table.data != name_or_arn.data &&
	    slice_starts(slice_of(need->table.data + need->table.len,
				  name_or_arn.len - (size_t)(need->table.data + need->table.len - name_or_arn.data)),
			 SLICE("/stream/"))) {
		need->stream = name_or_arn; /* which has a policy of its own */
		need->table = SLICE_NONE;
	}
}

/* Nothing in particular: of the account. */
static enum status
check_account(struct auth *a, const struct row *row)
{
	struct need need = {.action = row->operation, .resource = SLICE("*")};

	return auth_need(a, &need);
}

/* A table, by name or ARN; or anything else that an ARN names. */
static enum status
check_resource(struct auth *a, const struct row *row)
{
	struct need need = {.action = row->operation};

	auth_need_table(a, &need, text_of(a, row->member), SLICE_NONE);
	return auth_need(a, &need);
}

/* A table or, when the request names one, its index. */
static enum status
check_index(struct auth *a, const struct row *row)
{
	struct need need = {.action = row->operation};

	auth_need_table(a, &need, text_of(a, row->member), text_of(a, "IndexName"));
	return auth_need(a, &need);
}

/* A backup, export or import. */
static enum status
check_arn(struct auth *a, const struct row *row)
{
	struct need need = {.action = row->operation, .given = text_of(a, row->member)};

	need.table = table_of(a, need.given);
	need.resource = need.given.len > 0 ? need.given : SLICE("*");
	return auth_need(a, &need);
}

static enum status
check_global_table(struct auth *a, const struct row *row)
{
	struct slice name = text_of(a, row->member);
	struct need need = {.action = row->operation, .resource = SLICE("*")};
	enum status s;

	if (name.len > 0)
		need.resource = arena_printf(a->call->arena, "arn:aws:dynamodb::%.*s:global-table/%.*s",
					     SLICE_ARG(auth_account(a)), SLICE_ARG(name));
	s = auth_need(a, &need);
	if (s == S_OK && slice_starts(slice_str(row->operation), SLICE("Describe")))
		return S_OK;
	auth_need_table(a, &need, name, SLICE_NONE); /* what changes the group changes the table */
	return s == S_OK ? auth_need(a, &need) : s;
}

/* ---- table management that brings more with it ---- */

static enum status
check_create_table(struct auth *a, const struct row *row)
{
	struct need need = {.action = row->operation};
	enum status s;

	auth_need_table(a, &need, text_of(a, row->member), SLICE_NONE);
	s = auth_need(a, &need);
	if (s == S_OK && is_given(a, "ResourcePolicy")) {
		need.action = "PutResourcePolicy";
		s = auth_need(a, &need);
	}
	if (s == S_OK && is_given(a, "Tags")) {
		need.action = "TagResource";
		s = auth_need(a, &need);
	}
	return s;
}

/* The source, and all that writing the new table's items is. */
static enum status
check_restore(struct auth *a, const struct row *row)
{
	static const char *const also[] = {"BatchWriteItem", "DeleteItem", "GetItem",    "PutItem",
					   "Query",          "Scan",       "UpdateItem", NULL};
	struct need need = {.action = row->operation};
	enum status s;

	auth_need_table(a, &need, text_of(a, row->member), SLICE_NONE);
	s = auth_need(a, &need);
	auth_need_table(a, &need, text_of(a, "TargetTableName"), SLICE_NONE);
	if (s == S_OK)
		s = auth_need(a, &need);
	for (int i = 0; s == S_OK && also[i] != NULL; i++) {
		need.action = also[i];
		s = auth_need(a, &need);
	}
	return s;
}

/* ---- items ---- */

static enum status
check_items(struct auth *a, const struct row *row)
{
	struct need need = {
	    .action = row->operation,
	    .facts = auth_item_facts,
	    .shape = a->shape,
	    .in = a->in,
	};

	auth_need_table(a, &need, text_of(a, row->member), text_of(a, "IndexName"));
	return auth_need(a, &need);
}

static enum status
check_batch(struct auth *a, const struct row *row)
{
	const struct in_map *items = auth_member(a->shape, a->in, "RequestItems", SHAPE_MAP);
	const struct field *f = a->shape != NULL ? find_field(a->shape, SLICE("RequestItems")) : NULL;
	struct need need = {.action = row->operation, .resource = SLICE("*")};
	enum status s = S_OK;

	if (items == NULL || items->count == 0) /* to be refused anyway */
		return auth_need(a, &need);
	for (uint32_t i = 0; i < items->count && s == S_OK; i++) {
		auth_need_table(a, &need, items->keys[i], SLICE_NONE);
		if (f->element->type == SHAPE_STRUCT) {
			need.facts = auth_batch_get_facts;
			need.shape = f->element->shape;
			need.in = ((void *const *)items->items)[i];
		} else {
			need.facts = auth_batch_write_facts;
			need.shape = f->element->element->shape;
			need.in = (const struct in_list *)items->items + i;
		}
		s = auth_need(a, &need);
	}
	return s;
}

/* ---- transactions ---- */

/* All that one element holds, even where only one is allowed. */
static enum status
check_action(struct auth *a, const struct row *row, const struct shape *element, const void *in)
{
	static const struct {
		const char *member, *action;
	} kinds[] = {
	    {"ConditionCheck", "ConditionCheckItem"},
	    {"Delete", "DeleteItem"},
	    {"Get", "GetItem"},
	    {"Put", "PutItem"},
	    {"Update", "UpdateItem"},
	};
	enum status s = S_OK;

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds && s == S_OK; i++) {
		void *const *part = auth_member(element, in, kinds[i].member, SHAPE_STRUCT);
		struct need need = {.action = kinds[i].action, .facts = auth_item_facts, .enclosing = row->operation};
		const struct slice *table;

		if (part == NULL || *part == NULL)
			continue;
		need.shape = auth_shape_of(element, kinds[i].member);
		need.in = *part;
		table = auth_member(need.shape, need.in, "TableName", SHAPE_TABLE);
		auth_need_table(a, &need, table != NULL ? *table : SLICE_NONE, SLICE_NONE);
		s = auth_need(a, &need);
	}
	return s;
}

static enum status
check_transaction(struct auth *a, const struct row *row)
{
	const struct in_list *items = auth_member(a->shape, a->in, "TransactItems", SHAPE_LIST);
	const struct field *f = a->shape != NULL ? find_field(a->shape, SLICE("TransactItems")) : NULL;
	struct need need = {.action = row->operation, .resource = SLICE("*")};
	enum status s = S_OK;

	if (items == NULL || items->count == 0)
		return auth_need(a, &need);
	for (uint32_t i = 0; i < items->count && s == S_OK; i++) {
		const void *element = ((void *const *)items->items)[i];

		if (element != NULL)
			s = check_action(a, row, f->element->shape, element);
	}
	return s;
}

/* ---- PartiQL ---- */

static enum status
check_statements(struct auth *a, const struct row *row)
{
	(void)row;
	if (auth_element_of(a->shape, "Statements") != NULL)
		return S_OK; /* BatchExecuteStatement tells each by itself: auth_check_statement() */
	return auth_statements(a);
}

/* ---- the table ---- */

/* Sorted by name; a unit test looks for every operation. */
static const struct row rows[] = {
    {"BatchExecuteStatement", check_statements, NULL},
    {"BatchGetItem", check_batch, NULL},
    {"BatchWriteItem", check_batch, NULL},
    {"CancelBulkOperation", check_arn, "BulkOperationArn|OperationArn"},
    {"CreateBackup", check_resource, "TableName"},
    {"CreateGlobalTable", check_global_table, "GlobalTableName"},
    {"CreateTable", check_create_table, "TableName"},
    {"DeleteBackup", check_arn, "BackupArn"},
    {"DeleteItem", check_items, "TableName"},
    {"DeleteResourcePolicy", check_resource, "ResourceArn"},
    {"DeleteTable", check_resource, "TableName"},
    {"DescribeBackup", check_arn, "BackupArn"},
    {"DescribeBulkOperation", check_arn, "BulkOperationArn|OperationArn"},
    {"DescribeContinuousBackups", check_resource, "TableName"},
    {"DescribeContributorInsights", check_index, "TableName"},
    {"DescribeEndpoints", check_account, NULL},
    {"DescribeExport", check_arn, "ExportArn"},
    {"DescribeGlobalTable", check_global_table, "GlobalTableName"},
    {"DescribeGlobalTableSettings", check_global_table, "GlobalTableName"},
    {"DescribeImport", check_arn, "ImportArn"},
    {"DescribeKinesisStreamingDestination", check_resource, "TableName"},
    {"DescribeLimits", check_account, NULL},
    {"DescribeTable", check_resource, "TableName"},
    {"DescribeTableReplicaAutoScaling", check_resource, "TableName"},
    {"DescribeTimeToLive", check_resource, "TableName"},
    {"DisableKinesisStreamingDestination", check_resource, "TableName"},
    {"EnableKinesisStreamingDestination", check_resource, "TableName"},
    {"ExecuteStatement", check_statements, NULL},
    {"ExecuteTransaction", check_statements, NULL},
    {"ExportTableToPointInTime", check_resource, "TableArn"},
    {"GetItem", check_items, "TableName"},
    {"GetResourcePolicy", check_resource, "ResourceArn"},
    {"ImportTable", check_resource, "TableCreationParameters.TableName"},
    {"ListBackups", check_account, NULL},
    {"ListBulkOperations", check_account, NULL},
    {"ListContributorInsights", check_account, NULL},
    {"ListExports", check_account, NULL},
    {"ListGlobalTables", check_account, NULL},
    {"ListImports", check_account, NULL},
    {"ListTables", check_account, NULL},
    {"ListTagsOfResource", check_resource, "ResourceArn"},
    {"PutItem", check_items, "TableName"},
    {"PutResourcePolicy", check_resource, "ResourceArn"},
    {"Query", check_items, "TableName"},
    {"RestoreTableFromBackup", check_restore, "BackupArn"},
    {"RestoreTableToPointInTime", check_restore, "SourceTableArn|SourceTableName"},
    {"Scan", check_items, "TableName"},
    {"SearchVectors", check_index, "TableName"},
    {"StartBulkPutItems", check_resource, "TableArn|TableName"},
    {"TagResource", check_resource, "ResourceArn"},
    {"TransactGetItems", check_transaction, NULL},
    {"TransactWriteItems", check_transaction, NULL},
    {"UntagResource", check_resource, "ResourceArn"},
    {"UpdateContinuousBackups", check_resource, "TableName"},
    {"UpdateContributorInsights", check_index, "TableName"},
    {"UpdateGlobalTable", check_global_table, "GlobalTableName"},
    {"UpdateGlobalTableSettings", check_global_table, "GlobalTableName"},
    {"UpdateItem", check_items, "TableName"},
    {"UpdateKinesisStreamingDestination", check_resource, "TableName"},
    {"UpdateTable", check_resource, "TableName"},
    {"UpdateTableReplicaAutoScaling", check_resource, "TableName"},
    {"UpdateTimeToLive", check_resource, "TableName"},
};

static const struct row *
find_row(const struct op *op)
{
	const char *operation = op->name;
	size_t low = 0, high = sizeof rows / sizeof *rows, guess = (size_t)(op - ops); /* of DynamoDB itself */

	if (guess < high && strcmp(rows[guess].operation, operation) == 0) /* both tables are sorted */
		return &rows[guess];
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(rows[middle].operation, operation);

		if (order == 0)
			return &rows[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

enum status
auth_needs(struct auth *a)
{
	enum status (*needs)(struct auth *) = service_of(a->call->op)->needs;
	const struct row unknown = {a->call->op->name, check_account, NULL};
	const struct row *row;

	if (needs != NULL)
		return needs(a);
	row = find_row(a->call->op);
	if (row == NULL) /* an operation that has no row yet is for those who may do everything */
		row = &unknown;
	return row->check(a, row);
}
