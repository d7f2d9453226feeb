/* What the files of this room share; no other room includes it. */
#ifndef STATOR_API_OP_INT_H
#define STATOR_API_OP_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "api/auth.h"
#include "api/legacy.h"
#include "api/message.h"
#include "api/op.h"
#include "api/shape.h"
#include "base/wording.h"
#include "table/stream.h"

#define OP_BLOCKS   1u /* always runs on the I/O pool: it syncs or walks the catalog */
#define OP_READS    2u /* changes nothing, so it may run again when what it saw was lost */
#define OP_UNLISTED 4u /* not in the table of operations, and not in its figures */
#define OP_SINGLE   8u /* of one item: on the I/O pool it does not wait behind long reads */
#define OP_MOVED(parts)                                                                                                \
	((parts) << 8) /* enum wording_part: what this operation tells in the newer wording, if wanted */

/* One row of the operation table. */
struct op {
	const char *name; /* without the service's prefix */
	unsigned flags;
	const struct shape *shape; /* NULL: takes the body unread (refusals) */
	/* Runs the checked request and writes the reply's JSON to call->out. S_WOULD_BLOCK: run it again where blocking
	 * is allowed; what was written to call->out is taken back by the caller, as it is after any failure. */
	enum status (*run)(struct op_call *call, const void *in, struct err *err);
	/* of refusals */
	enum status refusal;
	const char *because; /* message; NULL: "NAME is not offered by this version of Stator" */
};

/* DynamoDB's: sorted by name; refusals among them. */
extern const struct op ops[];
extern const size_t op_count;

/* What X-Amz-Target can name: a service's operations, in a table of their own. */
struct auth;
struct service {
	struct slice prefix;  /* of the target, with its dot: "DynamoDB_20120810." */
	const char *name;     /* in signatures, IAM actions and ARNs: "dynamodb" */
	const struct op *ops; /* sorted by name */
	const size_t *op_count;
	enum status (*needs)(
	    struct auth *a); /* what an operation needs of IAM; NULL: the rows in auth_needs.c say it */
};
extern const struct service services[];
extern const size_t service_count;
const struct service *service_of(const struct op *op);
/* Its place among the operations of all services. */
size_t op_number(const struct op *op);

/* ---- op_stream.c: DynamoDB Streams, a service with a prefix of its own ---- */
extern const struct op stream_ops[];
extern const size_t stream_op_count;
extern const struct shape shape_list_streams, shape_describe_stream, shape_get_shard_iterator, shape_get_records;
extern const char *const stream_view_names[]; /* by enum stream_view - 1 */
enum status op_list_streams(struct op_call *call, const void *in, struct err *err);
enum status op_describe_stream(struct op_call *call, const void *in, struct err *err);
enum status op_get_shard_iterator(struct op_call *call, const void *in, struct err *err);
enum status op_get_records(struct op_call *call, const void *in, struct err *err);

extern const struct op dax_ops[]; /* op_dax.c */
extern const size_t dax_op_count;
enum status auth_dax_needs(struct auth *a);    /* auth_dax.c */
enum status auth_stream_needs(struct auth *a); /* auth_stream.c */
/* The DAX clusters of the call's region; NULL: this program runs none. */
struct fleet *call_fleet(struct op_call *call);

/* By target, "DynamoDB_20120810.PutItem"; NULL when the service knows none of that name. */
const struct op *op_find(struct slice target);

/* ---- run.c ---- */
struct troubles; /* trouble.h */
struct troubles *op_troubles(struct op_context *c);
/* The database of the i-th region; NULL beyond the last. */
struct table_db *op_db(struct op_context *c, size_t i);
/* Has a test control asked for this call to fail? table data NULL: asked before it is known. */
enum status op_meet_trouble(struct op_call *call, struct slice table, struct err *err);

/* ---- figures.c: counters, one set a thread, no sharing on the hot path ---- */
struct figures;
struct figures *figures_new(void);
void figures_free(struct figures *f);
void figures_count(struct figures *f, const struct op *op, enum status status, int64_t nanoseconds);
void figures_write(struct figures *f, struct buf *out);

/* ---- request.c: what several operations check alike ---- */

/* A member of a request for the checks of expressions against legacy parameters. */
struct member {
	const char *name;
	bool set;
};
/*
 * "Can not use both expression and non-expression parameters ...", names without expressions, values without the
 * expressions that could use them (those of `expressions` but ProjectionExpression). params may be NULL.
 */
enum status request_check_mix(const struct member *expressions, size_t expression_count, const struct member *legacy,
			      size_t legacy_count, const struct in_params *params, struct err *err);
/* After the mixture: the placeholders and values themselves. */
enum status request_check_params(const struct in_params *params, bool any_expression, struct err *err);
/* Both, where they are given (data not NULL), with these parameters; nothing of the parameters may be left over. */
enum status request_bind_write(const struct in_params *params, struct slice update, struct slice condition,
			       struct arena *arena, struct table_write *w, struct err *err);
/* What the request alone shows, in PutItem, UpdateItem and DeleteItem: "1 validation error detected: " before it, in
 * the newer wording. Passes s on; to be asked before anything of the table is. */
enum status request_envelope(enum status s, struct err *err);
/* A broken value in Key, Item or ExclusiveStartKey. prefix may be "". */
enum status request_check_item(const struct in_item *item, struct err *err);

/* Paths of an expression (NULL: none) that go into what is a key attribute of the table or of an index. */
enum status request_check_scalars(struct table *table, const struct expr *e, struct err *err);

struct slice request_arn_part(struct slice arn, int n); /* from 0 */
/* Another account's or region's: nothing there lets this caller in. */
enum status request_refuse_foreign(struct op_call *call, struct slice arn, struct err *err);
/* A table's name from a name or an ARN of this database. */
enum status request_table_name(struct op_call *call, struct slice name_or_arn, struct slice *ret, struct err *err);
/* And the table itself, counted. */
enum status request_table(struct op_call *call, struct slice name_or_arn, struct table **ret, struct err *err);

/* ---- auth.c: may the caller do this? ---- */
enum status auth_check_slow(struct op_call *call, const void *in, struct err *err);
/* For every operation, after its request was read and before it runs. S_ACCESS_DENIED. */
static inline enum status
auth_check(struct op_call *call, const void *in, struct err *err)
{
	if (call->caller == NULL || call->allowed)
		return S_OK;
	if (call->caller->administrator && !table_db_has_policies(call->db) && !stream_db_has_policies(call->db))
		return S_OK;
	return auth_check_slow(call, in, err);
}
/* For each statement of BatchExecuteStatement, which are told one by one. */
enum status auth_check_statement_slow(struct op_call *call, const void *statement, struct err *err);
static inline enum status
auth_check_statement(struct op_call *call, const void *statement, struct err *err)
{
	if (call->caller == NULL || (call->caller->administrator && !table_db_has_policies(call->db)))
		return S_OK;
	return auth_check_statement_slow(call, statement, err);
}
/* See op.h; call->db is set. */
bool auth_may_read_all(struct op_call *call);
bool auth_may_use(struct op_call *call, struct slice table);
/* Would this policy, put on the table, deny the caller to put another one? */
bool auth_would_lock_out(struct op_call *call, const struct policy *policy, struct slice arn);

/* ---- reply.c ---- */
#define CAPACITY_INDEXES 1 /* values of ReturnConsumedCapacity */
#define CAPACITY_TOTAL   2
#define CAPACITY_NONE    3

#define REPLY_UNITS_MAX (2 * (1 + LSI_MAX + GSI_MAX + VECTOR_MAX)) /* a table may change its indexes while we work */

/* What several actions on one table consumed, by index. */
struct reply_units {
	struct table_units units[REPLY_UNITS_MAX];
	size_t count;
};
void reply_units_add(struct reply_units *all, const struct table_units *units, uint32_t factor);

/* Members are written with their commas: `*between` is "" before the first and "," after. */
void reply_name(struct buf *out, const char **between, const char *name);
void reply_units(struct buf *out, uint64_t half_units);
/* {"TableName":...,"CapacityUnits":...}: the sum of all; per table and index when detail is CAPACITY_INDEXES.
 * write: the half_write figures count, else half_read. */
void reply_capacity(struct buf *out, struct slice table_name, const struct table_units *units, size_t count, bool write,
		    int detail);
/* With half units that count into the sum and belong to no part: of writes that were refused. */
void reply_capacity_failed(struct buf *out, struct slice table_name, const struct table_units *units, size_t count,
			   bool write, int detail, uint64_t failed);
/* The same for a transaction, whose figures also say of which kind they are ("WriteCapacityUnits"). */
void reply_transaction_capacity(struct buf *out, struct slice table_name, const struct table_units *units, size_t count,
				bool write, int detail);
/* {"ItemCollectionKey":{...},"SizeEstimateRangeGB":[0.0,1.0]}; key holds at least the partition key. */
void reply_collection(struct buf *out, struct table *table, struct av key, struct table_io *io);

/* ---- enum lists several operations take ---- */
extern const char *const values_capacity[];
extern const char *const values_collection[];
extern const char *const values_return[];
extern const char *const values_return_on_failure[];
extern const char *const values_and_or[];
extern const char *const values_select[];
enum { RETURN_ALL_NEW = 1, RETURN_UPDATED_OLD, RETURN_ALL_OLD, RETURN_NONE, RETURN_UPDATED_NEW };

/* ---- the operations, by file ---- */
extern const struct shape shape_create_table, shape_describe_table, shape_list_tables, shape_delete_table,
    shape_update_table;
extern const struct shape shape_put_item, shape_get_item, shape_update_item, shape_delete_item;
extern const struct shape shape_query, shape_scan, shape_batch_get, shape_batch_write;
extern const struct shape shape_search_vectors;
extern const struct shape shape_tag, shape_untag, shape_list_tags, shape_empty, shape_table_only;

enum status op_create_table(struct op_call *call, const void *in, struct err *err);
enum status op_describe_table(struct op_call *call, const void *in, struct err *err);
enum status op_list_tables(struct op_call *call, const void *in, struct err *err);
enum status op_delete_table(struct op_call *call, const void *in, struct err *err);
enum status op_update_table(struct op_call *call, const void *in, struct err *err);
enum status op_put_item(struct op_call *call, const void *in, struct err *err);
enum status op_get_item(struct op_call *call, const void *in, struct err *err);
enum status op_update_item(struct op_call *call, const void *in, struct err *err);
enum status op_delete_item(struct op_call *call, const void *in, struct err *err);
enum status op_query(struct op_call *call, const void *in, struct err *err);
enum status op_scan(struct op_call *call, const void *in, struct err *err);
enum status op_batch_get(struct op_call *call, const void *in, struct err *err);
enum status op_batch_write(struct op_call *call, const void *in, struct err *err);
enum status op_search_vectors(struct op_call *call, const void *in, struct err *err);
enum status op_tag(struct op_call *call, const void *in, struct err *err);
enum status op_untag(struct op_call *call, const void *in, struct err *err);
enum status op_list_tags(struct op_call *call, const void *in, struct err *err);
enum status op_describe_limits(struct op_call *call, const void *in, struct err *err);
enum status op_describe_endpoints(struct op_call *call, const void *in, struct err *err);
/* ---- op_policy.c ---- */
extern const struct shape shape_put_policy, shape_get_policy, shape_delete_policy;
enum status op_put_policy(struct op_call *call, const void *in, struct err *err);
enum status op_get_policy(struct op_call *call, const void *in, struct err *err);
enum status op_delete_policy(struct op_call *call, const void *in, struct err *err);
/* A table's policy, checked and in the form in which it is kept (table_spec.policy). */
enum status request_policy(struct slice text, struct arena *arena, struct slice *ret_document, unsigned *ret_flags,
			   struct err *err);
/* ---- op_insights.c ---- */
extern const struct shape shape_update_insights, shape_describe_insights, shape_list_insights;
enum status op_update_insights(struct op_call *call, const void *in, struct err *err);
enum status op_describe_insights(struct op_call *call, const void *in, struct err *err);
enum status op_list_insights(struct op_call *call, const void *in, struct err *err);
/* ---- op_ttl.c ---- */
extern const struct shape shape_update_ttl, shape_describe_ttl;
enum status op_update_ttl(struct op_call *call, const void *in, struct err *err);
enum status op_describe_ttl(struct op_call *call, const void *in, struct err *err);
/* ---- truthful answers about what this version has none of (refuse.c) ---- */
enum status op_refuse(struct op_call *call, const void *in, struct err *err);
enum status op_refuse_backup(struct op_call *call, const void *in, struct err *err);
enum status op_refuse_global_table(struct op_call *call, const void *in, struct err *err);
enum status op_refuse_replica_scaling(struct op_call *call, const void *in, struct err *err);
enum status op_describe_continuous_backups(struct op_call *call, const void *in, struct err *err);
enum status op_describe_kinesis(struct op_call *call, const void *in, struct err *err);
enum status op_list_none(struct op_call *call, const void *in, struct err *err);

#endif
