/* PutResourcePolicy, GetResourcePolicy, DeleteResourcePolicy, and the policy that CreateTable may bring. */
#include <stdio.h>

#include "api/op_int.h"
#include "table/stream.h"

#define FLAG_NO_VERSION 1u /* of table_policy.flags, on the disk */

/* ---- documents ---- */

/* What a table's policy may speak of. */
static const char *const table_actions[] = {
    "BatchGetItem",
    "BatchWriteItem",
    "ConditionCheckItem",
    "CreateBackup",
    "CreateTableReplica",
    "DeleteItem",
    "DeleteResourcePolicy",
    "DeleteTable",
    "DeleteTableReplica",
    "DescribeContinuousBackups",
    "DescribeContributorInsights",
    "DescribeKinesisStreamingDestination",
    "DescribeTable",
    "DescribeTableReplicaAutoScaling",
    "DescribeTimeToLive",
    "DisableKinesisStreamingDestination",
    "EnableKinesisStreamingDestination",
    "ExportTableToPointInTime",
    "GetItem",
    "GetResourcePolicy",
    "ImportTable",
    "ListTagsOfResource",
    "PartiQLDelete",
    "PartiQLInsert",
    "PartiQLSelect",
    "PartiQLUpdate",
    "PutItem",
    "PutResourcePolicy",
    "Query",
    "ReadDataForReplication",
    "ReplicateSettings",
    "RestoreTableToPointInTime",
    "Scan",
    "SearchVectors",
    "StartBulkPutItems",
    "TagResource",
    "UntagResource",
    "UpdateContinuousBackups",
    "UpdateContributorInsights",
    "UpdateItem",
    "UpdateKinesisStreamingDestination",
    "UpdateTable",
    "UpdateTableReplicaAutoScaling",
    "UpdateTimeToLive",
    "WriteDataForReplication",
    NULL,
};
static const char *const stream_actions[] = {
    "DeleteResourcePolicy", "DescribeStream",    "GetRecords", "GetResourcePolicy",
    "GetShardIterator",     "PutResourcePolicy", NULL,
};

static enum status
check_document(struct slice text, enum policy_kind kind, struct policy **ret, struct err *err)
{
	struct err inner;

	if (text.len > POLICY_BYTES_MAX)
		return err_set(err, S_VALIDATION, MSG_POLICY_SIZE, POLICY_BYTES_MAX);
	if (policy_read(text, kind, ret, &inner) != S_OK)
		return err_set(err, S_VALIDATION, MSG_POLICY_DOCUMENT, inner.message);
	if (policy_check_targets(*ret, kind == POLICY_TABLE ? table_actions : stream_actions, &inner) != S_OK)
		return err_set(err, S_VALIDATION, MSG_POLICY_DOCUMENT, inner.message);
	if (!policy_principals_are_valid(*ret))
		return err_set(err, S_VALIDATION, MSG_POLICY_PRINCIPAL);
	if (policy_is_unbounded(*ret))
		return err_set(err, S_VALIDATION, MSG_POLICY_UNBOUNDED);
	return S_OK;
}

/* In the canonical form, which is what is kept: two documents that only look different are one. */
static struct slice
canonical(const struct policy *p, struct arena *arena, unsigned *ret_flags)
{
	struct buf out = {0};
	struct slice document;

	policy_write(p, &out);
	document = arena_dup(arena, buf_slice(&out));
	buf_done(&out);
	*ret_flags = policy_has_no_version(p) ? FLAG_NO_VERSION : 0;
	return document;
}

enum status
request_policy(struct slice text, struct arena *arena, struct slice *ret_document, unsigned *ret_flags, struct err *err)
{
	struct policy *p = NULL;
	enum status s = check_document(text, POLICY_TABLE, &p, err);

	if (s == S_OK)
		*ret_document = canonical(p, arena, ret_flags);
	policy_free(p);
	return s;
}

/* ---- requests ---- */

struct policy_in {
	struct slice arn, policy, expected;
	uint8_t confirm;
};

#define POLICY(member, name, type, flags, ...) FIELD(struct policy_in, member, name, type, flags, __VA_ARGS__)
#define POLICY_ARN                             POLICY(arn, "ResourceArn", SHAPE_STRING, FIELD_REQUIRED, LIMITS(1, 1283))
#define POLICY_EXPECTED                        POLICY(expected, "ExpectedRevisionId", SHAPE_STRING, 0, LIMITS(1, 255))

static const struct field put_fields[] = {
    POLICY_ARN,      POLICY(policy, "Policy", SHAPE_STRING, FIELD_REQUIRED),
    POLICY_EXPECTED, POLICY(confirm, "ConfirmRemoveSelfResourceAccess", SHAPE_BOOL, 0),
    FIELD_END,
};
static const struct field get_fields[] = {POLICY_ARN, FIELD_END};
static const struct field delete_fields[] = {POLICY_ARN, POLICY_EXPECTED, FIELD_END};
const struct shape shape_put_policy = {"PutResourcePolicyInput", sizeof(struct policy_in), put_fields};
const struct shape shape_get_policy = {"GetResourcePolicyInput", sizeof(struct policy_in), get_fields};
const struct shape shape_delete_policy = {"DeleteResourcePolicyInput", sizeof(struct policy_in), delete_fields};

/* The part of an ARN before the next colon; the sixth is all the rest. */
static struct slice
next_part(struct slice *rest, bool last)
{
	const char *colon = rest->len > 0 && !last ? memchr(rest->data, ':', rest->len) : NULL;
	struct slice part = *rest;

	if (colon != NULL)
		part.len = (size_t)(colon - part.data);
	*rest = colon != NULL ? slice_of(colon + 1, rest->len - part.len - 1) : SLICE_NONE;
	return part;
}

/* "table/NAME" or "table/NAME/stream/LABEL"; label empty: the table itself. */
static enum status
read_resource(struct slice arn, struct slice resource, struct slice *ret_table, struct slice *ret_label,
	      struct err *err)
{
	static const struct slice table = {"table/", 6}, stream = {"stream/", 7}, index = {"index/", 6};
	struct slice rest = SLICE_NONE;
	const char *slash;

	*ret_label = SLICE_NONE;
	if (!slice_starts(resource, table))
		return err_set(err, S_VALIDATION, MSG_POLICY_OTHER_ARN, SLICE_ARG(arn));
	*ret_table = slice_of(resource.data + table.len, resource.len - table.len);
	slash = memchr(ret_table->data, '/', ret_table->len);
	if (slash != NULL) {
		rest = slice_of(slash + 1, ret_table->len - (size_t)(slash - ret_table->data) - 1);
		ret_table->len = (size_t)(slash - ret_table->data);
	}
	if (ret_table->len < 3 || ret_table->len > 255 || !shape_is_name(*ret_table))
		return err_set(err, S_VALIDATION, MSG_POLICY_BAD_ARN, SLICE_ARG(arn));
	if (slash == NULL)
		return S_OK;
	if (slice_starts(rest, index))
		return err_set(err, S_VALIDATION, MSG_POLICY_INDEX_ARN, SLICE_ARG(arn));
	if (!slice_starts(rest, stream) || rest.len == stream.len)
		return err_set(err, S_VALIDATION, MSG_POLICY_OTHER_ARN, SLICE_ARG(arn));
	*ret_label = slice_of(rest.data + stream.len, rest.len - stream.len);
	return S_OK;
}

/* Another account's or region's is refused here in other words than elsewhere. */
static enum status
read_arn(struct op_call *call, struct slice arn, struct slice *ret_table, struct slice *ret_label, struct err *err)
{
	struct slice ours = table_arn(call->db, SLICE("x"), SLICE_NONE, call->arena), given = arn;

	if (!slice_starts(arn, SLICE("arn:")))
		return err_set(err, S_VALIDATION, MSG_POLICY_NO_ARN, SLICE_ARG(arn));
	for (int i = 0; i < 5; i++) {
		struct slice want = next_part(&ours, false), have = next_part(&given, false);

		if (given.data == NULL)
			return err_set(err, S_VALIDATION, MSG_POLICY_BAD_ARN, SLICE_ARG(arn));
		if (slice_eq(want, have))
			continue;
		if (i == 4)
			return err_set(err, S_VALIDATION, MSG_POLICY_OTHER_ACCOUNT);
		return err_set(err, S_VALIDATION, MSG_POLICY_BAD_ARN, SLICE_ARG(arn));
	}
	return read_resource(arn, given, ret_table, ret_label, err);
}

/* Whoever names a stream that is not there is told so in words of its own. */
static enum status
check_stream(struct op_call *call, struct slice arn, struct slice table, struct slice label, struct err *err)
{
	struct table_io io = {.arena = call->arena};
	struct stream_description d;

	if (stream_describe(call->db, arn, SLICE_NONE, SLICE_NONE, 1, &io, &d, NULL) == S_OK)
		return S_OK;
	return err_set(err, S_RESOURCE_NOT_FOUND, MSG_POLICY_NO_STREAM, SLICE_ARG(label), SLICE_ARG(table));
}

static enum status
set_policy(struct op_call *call, struct slice arn, struct slice table, struct slice label,
	   const struct table_policy_change *change, int64_t *ret_revision, struct err *err)
{
	enum status s;

	if (label.len == 0)
		return table_policy_set(call->db, table, change, ret_revision, err);
	s = check_stream(call, arn, table, label, err);
	return s == S_OK ? stream_policy_set(call->db, arn, change, ret_revision, err) : s;
}

static void
reply_revision(struct op_call *call, int64_t revision)
{
	if (revision != 0)
		buf_printf(call->out, "{\"RevisionId\":\"%lld\"}", (long long)revision);
	else
		buf_put_lit(call->out, "{}");
}

/* ---- the operations ---- */

enum status
op_put_policy(struct op_call *call, const void *input, struct err *err)
{
	const struct policy_in *in = input;
	struct table_policy_change change = {.expected = in->expected};
	struct slice table, label;
	struct policy *policy = NULL;
	int64_t revision;
	enum status s = read_arn(call, in->arn, &table, &label, err);

	if (s == S_OK)
		s = check_document(in->policy, label.len > 0 ? POLICY_STREAM : POLICY_TABLE, &policy, err);
	if (s == S_OK && label.len > 0)
		s = check_stream(call, in->arn, table, label, err);
	if (s == S_OK && in->confirm != IN_TRUE && auth_would_lock_out(call, policy, in->arn))
		s = err_set(err, S_ACCESS_DENIED, MSG_POLICY_LOCK_OUT);
	if (s == S_OK) {
		change.document = canonical(policy, call->arena, &change.flags);
		s = set_policy(call, in->arn, table, label, &change, &revision, err);
	}
	policy_free(policy);
	if (s == S_OK)
		reply_revision(call, revision);
	return s;
}

enum status
op_get_policy(struct op_call *call, const void *input, struct err *err)
{
	const struct policy_in *in = input;
	struct table_description description;
	struct table_policy *kept = NULL;
	struct slice table, label;
	enum status s = read_arn(call, in->arn, &table, &label, err);

	if (s == S_OK && label.len > 0)
		s = check_stream(call, in->arn, table, label, err);
	else if (s == S_OK)
		s = table_describe(call->db, table, call->arena, &description, err);
	if (s != S_OK)
		return s;
	kept = label.len > 0 ? stream_policy_find(call->db, in->arn) : table_policy_find(call->db, table);
	if (kept == NULL && label.len == 0 && description.status == TABLE_CREATING)
		return err_set(err, S_RESOURCE_NOT_FOUND, MSG_TABLE_NOT_FOUND, SLICE_ARG(table));
	if (kept == NULL)
		return err_set(err, S_POLICY_NOT_FOUND, MSG_NO_POLICY, SLICE_ARG(in->arn));
	buf_put_lit(call->out, "{\"Policy\":");
	json_put_string(call->out, kept->document);
	buf_printf(call->out, ",\"RevisionId\":\"%lld\"}", (long long)kept->revision);
	table_policy_release(kept);
	return S_OK;
}

enum status
op_delete_policy(struct op_call *call, const void *input, struct err *err)
{
	const struct policy_in *in = input;
	const struct table_policy_change change = {.expected = in->expected};
	struct slice table, label;
	int64_t revision;
	enum status s = read_arn(call, in->arn, &table, &label, err);

	if (s == S_OK)
		s = set_policy(call, in->arn, table, label, &change, &revision, err);
	if (s == S_OK)
		reply_revision(call, revision);
	return s;
}
