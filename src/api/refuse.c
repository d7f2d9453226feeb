/*
 * What this version has not: each operation of the API model is answered, with a refusal from its model or, where that
 * is the plain truth, with "there is none" and "it is off".
 */
#include "api/auth_int.h"

enum status
op_refuse(struct op_call *call, const void *in, struct err *err)
{
	const struct op *op = call->op;

	(void)in;
	if (op->because != NULL)
		return err_set(err, op->refusal, "%s", op->because);
	return err_set(err, op->refusal, MSG_REFUSED, op->name);
}

/* A member of a request whose shape nobody else reads. */
static const void *
member(const struct op_call *call, const void *in, const char *name)
{
	const struct field *f = call->op->shape->fields;

	while (strcmp(f->name, name) != 0)
		f++; /* the model has it */
	return (const char *)in + f->offset;
}

/* Of the form "arn:aws:dynamodb:REGION:ACCOUNT:table/NAME/backup/ID"? */
static bool
names_backup(struct slice arn)
{
	struct slice resource = request_arn_part(arn, 5);
	const char *found;

	if (!slice_starts(resource, SLICE("table/")))
		return false;
	found = memmem(resource.data, resource.len, "/backup/", 8);
	return found != NULL && found + 8 < resource.data + resource.len;
}

enum status
op_refuse_backup(struct op_call *call, const void *in, struct err *err)
{
	struct slice arn = *(const struct slice *)member(call, in, "BackupArn");
	struct slice account = request_arn_part(arn, 4);

	if (slice_starts(arn, SLICE("arn:")) && account.len > 0 &&
	    !slice_eq(account, slice_str(table_db_account(call->db))))
		return request_refuse_foreign(call, arn, err);
	if (!slice_starts(arn, SLICE("arn:aws:dynamodb:")))
		return err_set(err, S_VALIDATION, MSG_BACKUP_NO_ARN);
	if (!names_backup(arn))
		return err_set(err, S_VALIDATION, MSG_BACKUP_ARN);
	return err_set(err, S_BACKUP_NOT_FOUND, MSG_NO_BACKUP, SLICE_ARG(arn));
}

/* Of the version of 2017, of which the service itself has none any more. */
enum status
op_refuse_global_table(struct op_call *call, const void *in, struct err *err)
{
	struct slice name = *(const struct slice *)member(call, in, "GlobalTableName");
	const char *operation = call->op->name;
	const struct in_list *updates;

	if (strcmp(operation, "UpdateGlobalTable") == 0) {
		updates = member(call, in, "ReplicaUpdates");
		if (updates->count == 0)
			return err_set(err, S_VALIDATION, "One or more parameter values were invalid");
		for (uint32_t i = 0; i < updates->count; i++) {
			const struct shape *update = auth_element_of(call->op->shape, "ReplicaUpdates");
			const void *at = ((void *const *)updates->items)[i];

			if (*(void *const *)auth_member(update, at, "Create", SHAPE_STRUCT) != NULL)
				return err_set(err, S_VALIDATION, "%s", MSG_GLOBAL_LEGACY);
			if (*(void *const *)auth_member(update, at, "Delete", SHAPE_STRUCT) == NULL)
				return err_set(err, S_VALIDATION, "One or more parameter values were invalid");
		}
	}
	return err_set(err, S_GLOBAL_TABLE_NOT_FOUND, "%s" MSG_NO_GLOBAL,
		       strstr(operation, "Settings") != NULL ? "" : "Global table not found: ", SLICE_ARG(name));
}

/* No table has replicas. */
enum status
op_refuse_replica_scaling(struct op_call *call, const void *in, struct err *err)
{
	struct slice name = *(const struct slice *)member(call, in, "TableName"), table;
	enum status s = request_table_name(call, name, &table, err);

	return s == S_OK ? err_set(err, S_RESOURCE_NOT_FOUND, MSG_NO_GLOBAL, SLICE_ARG(table)) : s;
}

struct name_in {
	struct slice table_name;
};
static const struct field name_fields[] = {
    FIELD(struct name_in, table_name, "TableName", SHAPE_TABLE, FIELD_PARAMETER),
    FIELD_END,
};
const struct shape shape_table_only = {"Input", sizeof(struct name_in), name_fields};

/* The table must be there. missing: the status this operation's model has for that. */
static enum status
existing(struct op_call *call, const struct name_in *in, enum status missing, struct slice *ret, struct err *err)
{
	struct table_description description;
	enum status s = request_table_name(call, in->table_name, ret, err);

	if (s == S_OK)
		s = table_describe(call->db, *ret, call->arena, &description, err);
	if (s != S_RESOURCE_NOT_FOUND)
		return s;
	if (missing == S_TABLE_NOT_FOUND)
		return err_set(err, missing, MSG_TABLE_NAMED_NOT_FOUND, SLICE_ARG(*ret));
	return s;
}

/* The service calls continuous backups always enabled; ours are as little as its point-in-time recovery when that is
 * off. */
enum status
op_describe_continuous_backups(struct op_call *call, const void *in, struct err *err)
{
	struct slice name;
	enum status s = existing(call, in, S_TABLE_NOT_FOUND, &name, err);

	if (s == S_OK)
		buf_put_lit(call->out,
			    "{\"ContinuousBackupsDescription\":{\"ContinuousBackupsStatus\":\"DISABLED\","
			    "\"PointInTimeRecoveryDescription\":{\"PointInTimeRecoveryStatus\":\"DISABLED\"}}}");
	return s;
}

enum status
op_describe_kinesis(struct op_call *call, const void *in, struct err *err)
{
	struct slice name;
	enum status s = existing(call, in, S_RESOURCE_NOT_FOUND, &name, err);

	if (s != S_OK)
		return s;
	buf_put_lit(call->out, "{\"TableName\":");
	json_put_string(call->out, name);
	buf_put_lit(call->out, ",\"KinesisDataStreamDestinations\":[]}");
	return S_OK;
}

/* Lists of what there is none of; whatever the filters and tokens say, the answer is the same. */
enum status
op_list_none(struct op_call *call, const void *in, struct err *err)
{
	static const struct {
		const char *operation, *member;
	} lists[] = {
	    {"ListBackups", "BackupSummaries"},
	    {"ListExports", "ExportSummaries"},
	    {"ListGlobalTables", "GlobalTables"},
	    {"ListImports", "ImportSummaryList"},
	};

	(void)in;
	(void)err;
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		if (strcmp(lists[i].operation, call->op->name) == 0)
			buf_printf(call->out, "{\"%s\":[]}", lists[i].member);
	return S_OK;
}
