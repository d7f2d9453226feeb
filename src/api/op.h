/*
 * Operations: one row a operation, one way to run them, whatever front the call came through.
 *
 * A front fills an op_call (operation name, body, caller) and hands it to op_start() on its loop. The call is read,
 * checked and run there and then in the common case. When it would touch the disk it is run again from the start on the
 * I/O pool; when its result is not yet durable it waits, without a thread, for the engine's sync. In every case done()
 * is called exactly once, on the call's loop, with the reply in call->out.
 */
#ifndef STATOR_API_OP_H
#define STATOR_API_OP_H

#include "base/arena.h"
#include "base/worker.h"
#include "codec/json.h"
#include "io/loop.h"
#include "table/table.h"

struct op_context; /* what all calls share: databases by region, I/O pool, options, figures */
struct op;
struct auth_caller;
struct cancel_reason;
struct fleet;

struct op_call {
	/* in */
	struct op_context *context;
	struct loop *loop;   /* NULL: run at once, blocking, on the calling thread (tests, embedded callers) */
	struct arena *arena; /* lives until after done() */
	struct slice target; /* "DynamoDB_20120810.PutItem" */
	struct slice body;
	struct slice region; /* of the credential scope; empty: the first region served */
	const struct auth_caller
	    *caller;              /* whose signature was verified; NULL: nobody is asked, everything is allowed */
	struct slice peer;        /* address and port of the client, for conditions of policies; may be empty */
	bool secure;              /* it came through TLS */
	struct slice host;        /* of the Host header, for DescribeEndpoints; may be empty */
	struct slice cluster;     /* the DAX cluster it came through, whose dax: rights count as well; else empty */
	const _Atomic bool *gone; /* may be NULL; set by the front when nobody waits for the answer any more */
	bool takes_text; /* the reply may have its middle in `text`: done() takes it over, which only happens on the
			    loop */
	struct buf *out; /* the reply's JSON is appended here */
	void (*done)(struct op_call *call);
	void (*made)(struct op_call *call); /* may be NULL; on the I/O pool, when a reply has been made there */
	void *owner;                        /* the front's exchange */
	/* Whose turns it takes in queues: the front says who asks, its table is filled in when it is known. */
	struct job_flow flow;
	/* out */
	int http_status;
	enum status status;
	uint64_t change_seq; /* of an accepted write of one item: its record in the change log; 0: none was made */
	bool has_crc;        /* the reply's CRC-32 is known: */
	uint32_t crc;
	struct table_text text; /* if it has an entry: what is missing in `out`, `text_at` bytes behind its beginning */
	size_t text_at;
	/* while running; private to api */
	const struct op *op;
	struct table_db *db;
	int64_t started_ns;
	bool may_block;
	uint8_t reads_again; /* times it was found that what it saw was lost */
	uint64_t lost_seq;   /* place of that; not 0: it runs again */
	bool allowed;        /* auth_check() has let it pass */
	uint64_t wait_seq;
	size_t out_start;                    /* where this call's reply begins in out */
	struct av fail_item;                 /* the old item of a failed condition, when the caller asked for it */
	const struct cancel_reason *reasons; /* of a cancelled transaction; in the arena */
	size_t reason_count;
	struct op_call *next;
	struct work work;
	struct loop_task task;
	struct loop_job answer; /* what it waited for is durable */
	struct err err;
};

struct op_options {
	int io_threads;      /* 4 */
	int io_queue_max;    /* 4096; beyond: ThrottlingException */
	int in_progress_max; /* calls of all loops; 10,000; beyond: ThrottlingException */
	struct loop **loops;
	int loop_count;
	_Atomic(struct fleet *) *fleets; /* one a database, in their order; NULL: no DAX clusters. Borrowed */
	bool wording_2026;               /* validation errors in the service's newer words (base/wording.h) */
};
/* Borrows the databases (one a region); the first is the default. Starts the I/O pool. */
enum status op_context_new(const struct op_options *options, struct table_db **dbs, size_t db_count,
			   struct op_context **ret, struct err *err);
void op_context_free(struct op_context *c); /* after the loops ended */
/* Has any table a resource policy? A load a region. */
bool op_context_has_policies(const struct op_context *c);

/*
 * What a DAX node asks about a caller before it answers by itself; nothing of the call but context, caller, region,
 * peer, secure, cluster and arena is looked at. May it read whatever the cluster holds, until it authorizes again? May
 * it do anything at all with the items of that table, as far as can be told without a request?
 */
bool op_may_read_all(struct op_call *call);
bool op_may_use(struct op_call *call, struct slice table);

/* Is there an operation of this X-Amz-Target? For fronts, which must refuse an unknown one before a bad signature. */
bool op_known(struct slice target);
/* The service that a signature of this call must be scoped to: "dynamodb", "dax". */
const char *op_signing_name(struct slice target);
void op_start(struct op_call *call);
/* Reading a larger body takes a loop away from its other clients for too long. */
#define OP_INLINE_BODY_MAX (128 * 1024)
/* Run something long on the I/O pool; false: it is full. */
bool op_offload(struct op_context *c, struct work *work);
/* Write an error reply ({"__type":...,"message":...}) into call->out and set status; for fronts that refuse before
 * op_start. */
void op_fail(struct op_call *call, const struct err *err);

/* A table in Markdown: each operation's members with their constraints, in the order in which they are told. */
void op_write_orders(struct buf *out);
/* stator_requests_total, stator_errors_total, stator_request_seconds (histogram), by operation. */
void op_write_metrics(struct op_context *c, struct buf *out);
int op_in_progress(struct op_context *c);

#endif
