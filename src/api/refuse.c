/*
 * What this version has not: each operation of the API model is answered, with a refusal from its model or, where that
 * is the plain truth, with "there is none" and "it is off".
 */
#include "api/op_int.h"

enum status
op_refuse(struct op_call *call, const void *in, struct err *err)
{
	const struct op *op = call->op;

	(void)in;
	if (op->because != NULL)
		return err_set(err, op->refusal, "%s", op->because);
	return err_set(err, op->refusal, MSG_REFUSED, op->name);
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
