#include "api/partiql.h"
#include "api/refused_shapes.h"
#include "api/transact.h"

#define DONE(name, flags, shape, run)                                                                                  \
	{                                                                                                              \
		name, flags, &shape, run, S_OK, NULL                                                                   \
	}
/* Checked by the API model before it is refused (scripts/refused-shapes). */
#define REFUSED(name, status, because)                                                                                 \
	{                                                                                                              \
#name, 0, &refused_##name, op_refuse, status, because                                                  \
	}
/* The same, in words that tell more of the request. */
#define TOLD(name, status, run)                                                                                        \
	{                                                                                                              \
#name, 0, &refused_##name, run, status, NULL                                                           \
	}
/* Newer than the model. */
#define UNREAD(name, status, because)                                                                                  \
	{                                                                                                              \
		name, 0, NULL, op_refuse, status, because                                                              \
	}
/* A list of what there is none of. */
#define NONE(name)                                                                                                     \
	{                                                                                                              \
#name, 0, &refused_##name, op_list_none, S_OK, NULL                                                    \
	}
#define NO_BACKUPS  "Backups are not offered by this version of Stator"
#define NO_RECOVERY "Point in time recovery is not enabled for table"

/* How far the service has come with its newer wording; Scan, PartiQL and the control plane have not begun. */
#define MOVED_WRITE OP_MOVED(WORDING_VALUES | WORDING_MEMBERS | WORDING_ENVELOPE)
#define MOVED_READ  OP_MOVED(WORDING_VALUES | WORDING_MEMBERS)

/* Sorted by name: op_find() bisects, a unit test checks. */
const struct op ops[] = {
    DONE("BatchExecuteStatement", 0, shape_batch_execute, op_batch_execute),
    DONE("BatchGetItem", OP_READS | MOVED_READ, shape_batch_get, op_batch_get),
    DONE("BatchWriteItem", OP_MOVED(WORDING_MEMBERS), shape_batch_write, op_batch_write),
    UNREAD("CancelBulkOperation", S_VALIDATION, NULL),
    REFUSED(CreateBackup, S_CONTINUOUS_BACKUPS_UNAVAILABLE, NO_BACKUPS),
    REFUSED(CreateGlobalTable, S_VALIDATION, MSG_GLOBAL_LEGACY),
    DONE("CreateTable", OP_BLOCKS, shape_create_table, op_create_table),
    TOLD(DeleteBackup, S_BACKUP_NOT_FOUND, op_refuse_backup),
    DONE("DeleteItem", OP_SINGLE | MOVED_WRITE, shape_delete_item, op_delete_item),
    DONE("DeleteResourcePolicy", OP_BLOCKS, shape_delete_policy, op_delete_policy),
    DONE("DeleteTable", OP_BLOCKS, shape_delete_table, op_delete_table),
    TOLD(DescribeBackup, S_BACKUP_NOT_FOUND, op_refuse_backup),
    UNREAD("DescribeBulkOperation", S_VALIDATION, NULL),
    DONE("DescribeContinuousBackups", 0, shape_table_only, op_describe_continuous_backups),
    DONE("DescribeContributorInsights", 0, shape_describe_insights, op_describe_insights),
    DONE("DescribeEndpoints", 0, shape_empty, op_describe_endpoints),
    REFUSED(DescribeExport, S_EXPORT_NOT_FOUND, "Export not found: there are none"),
    TOLD(DescribeGlobalTable, S_GLOBAL_TABLE_NOT_FOUND, op_refuse_global_table),
    TOLD(DescribeGlobalTableSettings, S_GLOBAL_TABLE_NOT_FOUND, op_refuse_global_table),
    REFUSED(DescribeImport, S_IMPORT_NOT_FOUND, "Import not found: there are none"),
    DONE("DescribeKinesisStreamingDestination", 0, shape_table_only, op_describe_kinesis),
    DONE("DescribeLimits", 0, shape_empty, op_describe_limits),
    DONE("DescribeTable", 0, shape_describe_table, op_describe_table),
    TOLD(DescribeTableReplicaAutoScaling, S_RESOURCE_NOT_FOUND, op_refuse_replica_scaling),
    DONE("DescribeTimeToLive", 0, shape_describe_ttl, op_describe_ttl),
    REFUSED(DisableKinesisStreamingDestination, S_VALIDATION, NULL),
    REFUSED(EnableKinesisStreamingDestination, S_VALIDATION, NULL),
    DONE("ExecuteStatement", 0, shape_execute_statement, op_execute_statement),
    DONE("ExecuteTransaction", 0, shape_execute_transaction, op_execute_transaction),
    REFUSED(ExportTableToPointInTime, S_PITR_UNAVAILABLE, NO_RECOVERY),
    DONE("GetItem", OP_SINGLE | OP_READS | MOVED_READ, shape_get_item, op_get_item),
    DONE("GetResourcePolicy", 0, shape_get_policy, op_get_policy),
    REFUSED(ImportTable, S_VALIDATION, NULL),
    NONE(ListBackups),
    UNREAD("ListBulkOperations", S_VALIDATION, NULL),
    DONE("ListContributorInsights", OP_BLOCKS, shape_list_insights, op_list_insights),
    NONE(ListExports),
    NONE(ListGlobalTables),
    NONE(ListImports),
    DONE("ListTables", 0, shape_list_tables, op_list_tables),
    DONE("ListTagsOfResource", 0, shape_list_tags, op_list_tags),
    DONE("PutItem", OP_SINGLE | MOVED_WRITE, shape_put_item, op_put_item),
    DONE("PutResourcePolicy", OP_BLOCKS, shape_put_policy, op_put_policy),
    DONE("Query", OP_READS | MOVED_READ, shape_query, op_query),
    TOLD(RestoreTableFromBackup, S_BACKUP_NOT_FOUND, op_refuse_backup),
    REFUSED(RestoreTableToPointInTime, S_PITR_UNAVAILABLE, NO_RECOVERY),
    DONE("Scan", OP_READS, shape_scan, op_scan),
    DONE("SearchVectors", 0, shape_search_vectors, op_search_vectors),
    UNREAD("StartBulkPutItems", S_VALIDATION, NULL),
    DONE("TagResource", OP_BLOCKS, shape_tag, op_tag),
    DONE("TransactGetItems", OP_READS | MOVED_READ, shape_transact_get, op_transact_get),
    DONE("TransactWriteItems", MOVED_READ, shape_transact_write, op_transact_write),
    DONE("UntagResource", OP_BLOCKS, shape_untag, op_untag),
    REFUSED(UpdateContinuousBackups, S_CONTINUOUS_BACKUPS_UNAVAILABLE, NO_BACKUPS),
    DONE("UpdateContributorInsights", OP_BLOCKS, shape_update_insights, op_update_insights),
    TOLD(UpdateGlobalTable, S_GLOBAL_TABLE_NOT_FOUND, op_refuse_global_table),
    TOLD(UpdateGlobalTableSettings, S_GLOBAL_TABLE_NOT_FOUND, op_refuse_global_table),
    DONE("UpdateItem", OP_SINGLE | MOVED_WRITE, shape_update_item, op_update_item),
    REFUSED(UpdateKinesisStreamingDestination, S_VALIDATION, NULL),
    DONE("UpdateTable", OP_BLOCKS, shape_update_table, op_update_table),
    TOLD(UpdateTableReplicaAutoScaling, S_RESOURCE_NOT_FOUND, op_refuse_replica_scaling),
    DONE("UpdateTimeToLive", OP_BLOCKS, shape_update_ttl, op_update_ttl),
};
const size_t op_count = sizeof ops / sizeof *ops;

const struct service services[] = {
    {{"DynamoDB_20120810.", 18}, "dynamodb", ops, &op_count, NULL}, /* first: asked most */
    {{"DynamoDBStreams_20120810.", 25}, "dynamodb", stream_ops, &stream_op_count, auth_stream_needs},
    {{"AmazonDAXV3.", 12}, "dax", dax_ops, &dax_op_count, auth_dax_needs},
};
const size_t service_count = sizeof services / sizeof *services;

const struct service *
service_of(const struct op *op)
{
	const struct service *s = services;

	while (op < s->ops || op >= s->ops + *s->op_count)
		s++;
	return s;
}

size_t
op_number(const struct op *op)
{
	size_t before = 0;

	for (const struct service *s = services;; s++) {
		if (op >= s->ops && op < s->ops + *s->op_count)
			return before + (size_t)(op - s->ops);
		before += *s->op_count;
	}
}

static const struct op *
find_in(const struct service *service, struct slice name)
{
	size_t low = 0, high = *service->op_count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = slice_cmp(slice_str(service->ops[middle].name), name);

		if (order == 0)
			return &service->ops[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static const struct service *
find_service(struct slice target)
{
	for (size_t i = 0; i < service_count; i++)
		if (slice_starts(target, services[i].prefix))
			return &services[i];
	return NULL;
}

const struct op *
op_find(struct slice target)
{
	static _Thread_local struct {
		size_t len;
		const struct op *op;
		char target[64];
	} last; /* most ask for what was asked for before */
	const struct service *s;

	if (target.len > 0 && target.len == last.len && memcmp(target.data, last.target, last.len) == 0)
		return last.op;
	s = find_service(target);
	if (s == NULL)
		return NULL;
	last.len = target.len <= sizeof last.target ? target.len : 0;
	memcpy(last.target, target.data, last.len);
	last.op = find_in(s, slice_of(target.data + s->prefix.len, target.len - s->prefix.len));
	return last.op;
}

const char *
op_signing_name(struct slice target)
{
	const struct service *s = find_service(target);

	return s != NULL ? s->name : services[0].name;
}

bool
op_known(struct slice target)
{
	return op_find(target) != NULL;
}

const char *const values_capacity[] = {"INDEXES", "TOTAL", "NONE", NULL};
const char *const values_collection[] = {"SIZE", "NONE", NULL};
const char *const values_return[] = {"ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW", NULL};
const char *const values_return_on_failure[] = {"ALL_OLD", "NONE", NULL};
const char *const values_and_or[] = {"OR", "AND", NULL};
const char *const values_select[] = {"SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES",
				     NULL};
