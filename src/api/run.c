/*
 * How a call runs: at once on its loop; again on the I/O pool when the disk would be touched; and its answer waits,
 * without a thread, until what it tells is durable.
 *
 * Waiting calls hang in a list of their loop, touched by that loop's thread alone. The engine's syncing thread only
 * posts one task to each loop that has waiters. Lost wake-ups are impossible because a call is put into the list,
 * `waiting` is raised, and only then is the engine asked once more (the listener does it the other way round: the sync
 * is done, then it reads `waiting`; both with full fences).
 */
#include <stdlib.h>

#include "api/controls.h"
#include "api/transact.h"
#include "api/trouble.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "model/av_json.h"

#define READS_AGAIN_MAX 3
#define NEWER_DEPTH_MAX 127 /* levels of JSON */
#define LOST_STEP_MS    5
#define LOST_WAIT_MS    1000 /* how long a read waits until a lost write is not shown any more */
#define IN_PROGRESS_MAX 10000

struct loop_state {
	struct loop *loop;
	/* the loop's thread only; who came first is first */
	struct op_call *waiting_calls, **waiting_end;
	atomic_bool waiting; /* the list may hold something */
	atomic_bool posted;  /* the task is on its way */
	struct loop_task task;
	atomic_int in_progress;      /* written by the loop's thread only */
	int of_tenant[FAIR_TENANTS]; /* of these */
};

/* Outlives the context, for the engine keeps calling it until it is closed. Never freed, reachable for ever. */
struct listener {
	struct listener *next;
	pthread_mutex_t lock;
	struct op_context *context; /* NULL when that is gone */
};

struct op_context {
	struct table_db **dbs;
	_Atomic(struct fleet *) *fleets; /* NULL: none */
	size_t db_count;
	struct worker_pool *pool;
	struct figures *figures;
	struct listener *listener;
	struct troubles *troubles;
	atomic_bool ending;
	unsigned wording; /* parts told in the newer one: all or none */
	int loop_max;     /* calls in progress on one loop */
	int loop_count;
	struct loop_state loops[];
};

static pthread_mutex_t listeners_lock = PTHREAD_MUTEX_INITIALIZER;
static struct listener *listeners;

static struct loop_state *
state_of(struct op_call *call)
{
	struct op_context *c = call->context;
	int index = loop_index(call->loop);

	if (index < 0 || index >= c->loop_count || c->loops[index].loop != call->loop)
		abort(); /* a loop the context was not told of: our own mistake */
	return &c->loops[index];
}

/* ---- replies ---- */

static enum status
outward(enum status s)
{
	switch (s) {
	case S_NOT_FOUND:
	case S_WOULD_BLOCK:
	case S_IO:
	case S_NO_SPACE:
	case S_CORRUPT:
	case S_LOCKED:
		return S_INTERNAL;
	default:
		return s;
	}
}

/* The model spells the member differently in the two exceptions. */
static void
put_throttling_reasons(struct buf *out, const struct err *err)
{
	struct slice reason, resource;

	if (!table_refusal(err, &reason, &resource))
		return;
	buf_printf(out, ",\"%s\":[{\"reason\":\"%.*s\",\"resource\":",
		   err->status == S_THROTTLING ? "throttlingReasons" : "ThrottlingReasons", SLICE_ARG(reason));
	json_put_string(out, resource);
	buf_put_lit(out, "}]");
}

/* What has been written of a reply. */
static void
take_back(struct op_call *call)
{
	call->out->len = call->out_start;
	call->has_crc = false;
	if (call->text.entry != NULL)
		table_text_done(&call->text);
}

void
op_fail(struct op_call *call, const struct err *err)
{
	enum status s = outward(err->status);
	const char *message = err->message;
	struct buf *out = call->out;

	if (s == S_INTERNAL) {
		log_error("api", "%.*s: %s%s%s", SLICE_ARG(call->target), status_short_name(err->status),
			  status_short_name(err->status)[0] ? ": " : "", err->message);
		message = MSG_INTERNAL; /* ours is for the log */
	}
	take_back(call);
	buf_put_lit(out, "{\"__type\":\"");
	buf_put(out, status_wire_name(s), strlen(status_wire_name(s)));
	buf_put_byte(out, '"');
	if (s == S_TRANSACTION_CANCELED) {
		buf_put_byte(out, ',');
		transact_put_reasons(out, call->reasons, call->reason_count);
	} else if (message[0] != '\0') {
		/* the service spells it so for errors of its serializer */
		if (s == S_SERIALIZATION)
			buf_put_lit(out, ",\"Message\":");
		else
			buf_put_lit(out, ",\"message\":");
		json_put_string(out, slice_str(message));
	}
	if (s == S_THROUGHPUT_EXCEEDED || s == S_THROTTLING)
		put_throttling_reasons(out, err);
	if (s == S_COND_FAILED && av_exists(call->fail_item)) {
		buf_put_lit(out, ",\"Item\":");
		item_write_json(out, call->fail_item);
	}
	buf_put_byte(out, '}');
	call->status = s;
	call->http_status = status_http(s);
}

static void
count_in_progress(struct op_call *call, int by)
{
	struct loop_state *state = state_of(call);

	atomic_store_explicit(&state->in_progress, atomic_load_explicit(&state->in_progress, memory_order_relaxed) + by,
			      memory_order_relaxed);
	state->of_tenant[call->flow.tenant % FAIR_TENANTS] += by;
}

/*
 * Calls wait for a sync or for the pool with all their memory, so there is a limit, and no one tenant takes all of it:
 * each may have as many as could still come, so half at most, and what is left is for the others.
 */
static bool
is_one_too_many(struct op_call *call)
{
	struct loop_state *state = state_of(call);
	int left = call->context->loop_max - atomic_load_explicit(&state->in_progress, memory_order_relaxed);

	if (call->op != NULL && (call->op->flags & OP_UNLISTED))
		return false;
	return state->of_tenant[call->flow.tenant % FAIR_TENANTS] > left;
}

static void
finish(struct op_call *call)
{
	const struct op *op = call->op != NULL && (call->op->flags & OP_UNLISTED) ? NULL : call->op;

	figures_count(call->context->figures, op, call->status, clock_mono_ns() - call->started_ns);
	if (call->loop != NULL)
		count_in_progress(call, -1);
	call->done(call);
}

/* ---- waiting for the disk ---- */

/* False: not yet. */
static bool
answerable(struct op_call *call)
{
	struct err *err = &call->err;
	enum status s;

	if (call->wait_seq == 0)
		return true;
	s = engine_wait_status(table_db_engine(call->db), call->wait_seq);
	if (s == S_WOULD_BLOCK)
		return false;
	if (s == S_OK) {
		fault_pass(FAULT_ANSWER);
		return true;
	}
	if (call->op->flags & OP_READS && call->loop != NULL && call->reads_again < READS_AGAIN_MAX) {
		call->lost_seq = call->wait_seq;
		return true;
	}
	err_set(err, S_IO, "what this answer tells was lost by a failed sync");
	op_fail(call, err);
	return true;
}

static void hand_over(struct op_call *call);

static bool
is_large(const struct op_call *call)
{
	return call->body.len > OP_INLINE_BODY_MAX;
}

/* An answerable call: is it answered, or does it read again what is there without the write that was lost? */
static void
conclude(struct op_call *call)
{
	if (call->lost_seq == 0) {
		finish(call);
		return;
	}
	call->reads_again++;
	hand_over(call);
}

static void
answer_or_wait(struct op_call *call)
{
	struct loop_state *state;
	struct op_call **before;

	if (answerable(call)) {
		conclude(call);
		return;
	}
	state = state_of(call);
	before = state->waiting_end;
	call->next = NULL;
	*before = call;
	state->waiting_end = &call->next;
	atomic_store(&state->waiting, true);
	atomic_thread_fence(memory_order_seq_cst);
	if (answerable(call)) { /* synced between the two looks: nobody may come to tell */
		*before = NULL;
		state->waiting_end = before;
		conclude(call);
	}
}

static void
answer_job(struct loop_job *job)
{
	conclude((struct op_call *)((char *)job - offsetof(struct op_call, answer)));
}

/* One sync is for many calls at once: each is answered when it is its tenant's turn, or who came for something else
 * would wait for all of them. */
static void
answer_waiting(struct loop_task *task)
{
	struct loop_state *state = (struct loop_state *)((char *)task - offsetof(struct loop_state, task));
	struct op_call **at = &state->waiting_calls;

	atomic_store(&state->posted, false);
	atomic_thread_fence(memory_order_seq_cst);
	while (*at != NULL) {
		struct op_call *call = *at;

		if (answerable(call)) {
			*at = call->next;
			call->answer = (struct loop_job){.run = answer_job, .flow = call->flow, .brief = true};
			loop_job_add(state->loop, &call->answer);
		} else {
			at = &call->next;
		}
	}
	state->waiting_end = at;
	if (state->waiting_calls == NULL)
		atomic_store(&state->waiting, false);
}

static void
on_sync(void *context)
{
	struct listener *listener = context;

	pthread_mutex_lock(&listener->lock);
	if (listener->context != NULL) {
		struct op_context *c = listener->context;

		atomic_thread_fence(memory_order_seq_cst);
		for (int i = 0; i < c->loop_count; i++) {
			struct loop_state *state = &c->loops[i];

			if (atomic_load(&state->waiting) && !atomic_exchange(&state->posted, true))
				loop_post(state->loop, &state->task);
		}
	}
	pthread_mutex_unlock(&listener->lock);
}

/* ---- running ---- */

/* Does the JSON go deeper than the service's newer layer reads? It has the limit of many parsers: 127 levels. */
static bool __attribute__((cold)) is_deep(struct slice body)
{
	int depth = 0;

	for (size_t i = 0; i < body.len; i++) {
		switch (body.data[i]) {
		case '"':
			for (i++; i < body.len && body.data[i] != '"'; i++)
				i += body.data[i] == '\\';
			break;
		case '{':
		case '[':
			if (++depth > NEWER_DEPTH_MAX)
				return true;
			break;
		case '}':
		case ']':
			depth--;
			break;
		default:
			break;
		}
	}
	return false;
}

static enum status
run_in_words(struct op_call *call, unsigned moved, struct err *err)
{
	const struct op *op = call->op;
	void *in = NULL;
	enum status s = S_OK;

	take_back(call);
	call->wait_seq = 0;
	call->fail_item = AV_NONE;
	wording_begin(moved);
	if (op->shape != NULL) {
		in = arena_zalloc(call->arena, op->shape->size);
		s = shape_read(call->body, op->shape, in, call->arena, err);
		call->flow.table = job_hash(shape_table(op->shape, in));
		if (s == S_OK)
			s = shape_check(op->shape, in, err);
	}
	if (s == S_OK)
		s = auth_check(call, in, err);
	if (s == S_OK)
		s = op_meet_trouble(call, SLICE_NONE, err);
	return s == S_OK ? op->run(call, in, err) : s;
}

static enum status
run_once(struct op_call *call)
{
	struct err *err = &call->err;
	unsigned moved = call->op->flags >> 8 & call->context->wording;
	enum status s = run_in_words(call, moved, err);

	if (s == S_VALIDATION && (moved & WORDING_ENVELOPE) && is_deep(call->body))
		s = run_in_words(call, 0, err); /* the service leaves such a request to its older layer */
	if (s == S_OK) {
		call->status = S_OK;
		call->http_status = 200;
	} else if (s != S_WOULD_BLOCK || call->may_block) {
		err->status = s;
		op_fail(call, err);
		s = S_OK; /* answered */
	}
	return s;
}

static void
return_job(struct loop_job *job)
{
	answer_or_wait((struct op_call *)((char *)job - offsetof(struct op_call, answer)));
}

/* The pool may be done with many at once: each is answered when it is its tenant's turn. */
static void
back_on_loop(struct loop_task *task)
{
	struct op_call *call = (struct op_call *)((char *)task - offsetof(struct op_call, task));

	call->answer = (struct loop_job){.run = return_job, .flow = call->flow};
	loop_job_add(call->loop, &call->answer);
}

/* Nobody is told the answer: the client has left while the call was queued, or the loops have ended. */
static bool
is_in_vain(const struct op_call *call)
{
	return (call->gone != NULL && atomic_load_explicit(call->gone, memory_order_relaxed)) ||
	       atomic_load_explicit(&call->context->ending, memory_order_relaxed);
}

/* engine_durable() passes the place of a lost write when reads do not show it any more. */
static void
wait_for_the_loss(struct op_call *call)
{
	const struct timespec step = {0, LOST_STEP_MS * 1000000};

	for (int ms = 0; ms < LOST_WAIT_MS && engine_durable(table_db_engine(call->db)) < call->lost_seq;
	     ms += LOST_STEP_MS)
		nanosleep(&step, NULL);
	call->lost_seq = 0;
}

static void
run_on_pool(struct work *work)
{
	struct op_call *call = (struct op_call *)((char *)work - offsetof(struct op_call, work));

	if (call->lost_seq != 0)
		wait_for_the_loss(call);
	if (is_in_vain(call)) {
		call->wait_seq = 0;
		err_set(&call->err, S_UNAVAILABLE, "%s", "");
		op_fail(call, &call->err);
	} else {
		run_once(call);
		if (call->made != NULL)
			call->made(call);
	}
	call->task = (struct loop_task){.run = back_on_loop};
	loop_post(call->loop, &call->task);
}

static void
hand_over(struct op_call *call)
{
	call->may_block = true;
	call->work = (struct work){
	    .run = run_on_pool, .flow = call->flow, .lengthy = !(call->op->flags & OP_SINGLE) || is_large(call)};
	if (worker_submit(call->context->pool, &call->work))
		return;
	err_set(&call->err, S_THROTTLING, MSG_THROTTLED);
	call->wait_seq = call->lost_seq = 0;
	op_fail(call, &call->err);
	finish(call);
}

static void
run_inline(struct op_call *call)
{
	call->may_block = true;
	run_once(call);
	if (call->wait_seq > 0 && engine_sync_to(table_db_engine(call->db), call->wait_seq, &call->err) != S_OK) {
		call->err.status = S_IO;
		op_fail(call, &call->err);
	}
	finish(call);
}

struct fleet *
call_fleet(struct op_call *call)
{
	struct op_context *c = call->context;

	for (size_t i = 0; c->fleets != NULL && i < c->db_count; i++)
		if (c->dbs[i] == call->db)
			return atomic_load_explicit(&c->fleets[i], memory_order_acquire);
	return NULL;
}

/* With one region served every scope means it: a client's default region need not be the server's. */
static struct table_db *
db_of(struct op_call *call)
{
	struct op_context *c = call->context;

	if (call->region.len == 0 || c->db_count == 1)
		return c->dbs[0];
	for (size_t i = 0; i < c->db_count; i++)
		if (slice_eq(slice_str(table_db_region(c->dbs[i])), call->region))
			return c->dbs[i];
	return NULL;
}

static bool
is_asked(struct op_call *call)
{
	call->op = op_find(SLICE("DynamoDB_20120810.GetItem")); /* whose service it is */
	call->db = db_of(call);
	return call->db != NULL;
}

bool
op_may_read_all(struct op_call *call)
{
	return is_asked(call) && auth_may_read_all(call);
}

bool
op_may_use(struct op_call *call, struct slice table)
{
	return is_asked(call) && auth_may_use(call, table);
}

static void
start(struct op_call *call, const struct op *op)
{
	call->started_ns = clock_mono_ns();
	call->out_start = call->out->len;
	call->op = op;
	call->db = db_of(call);
	call->may_block = false;
	call->allowed = op != NULL && (op->flags & OP_UNLISTED); /* it asks by itself */
	call->wait_seq = 0;
	call->fail_item = AV_NONE;
	call->next = NULL;
	if (call->loop != NULL)
		count_in_progress(call, 1);
	if (call->loop != NULL && is_one_too_many(call)) {
		err_set(&call->err, S_THROTTLING, MSG_THROTTLED);
		op_fail(call, &call->err);
		finish(call);
	} else if (call->op == NULL || call->db == NULL) {
		if (call->op == NULL)
			err_set(&call->err, S_UNKNOWN_OPERATION, "%s", "");
		else
			err_set(&call->err, S_INVALID_SIGNATURE,
				"Credential should be scoped to a valid region, not '%.*s'. ", SLICE_ARG(call->region));
		op_fail(call, &call->err);
		finish(call);
	} else if (call->loop == NULL) {
		run_inline(call);
	} else if ((call->op->flags & OP_BLOCKS) || is_large(call) || run_once(call) == S_WOULD_BLOCK) {
		hand_over(call);
	} else {
		answer_or_wait(call);
	}
}

void
op_start(struct op_call *call)
{
	start(call, op_find(call->target));
}

void
op_start_control(struct op_call *call)
{
	start(call, &op_control);
}

enum status
op_meet_trouble(struct op_call *call, struct slice table, struct err *err)
{
	struct troubles *t = call->context->troubles;

	if (!troubles_armed(t) || (call->op->flags & OP_UNLISTED))
		return S_OK;
	return troubles_meet(t, call->op, table, err);
}

bool
op_offload(struct op_context *c, struct work *work)
{
	return worker_submit(c->pool, work);
}

/* ---- the context ---- */

struct troubles *
op_troubles(struct op_context *c)
{
	return c->troubles;
}

struct table_db *
op_db(struct op_context *c, size_t i)
{
	return i < c->db_count ? c->dbs[i] : NULL;
}

static struct listener *
listener_take(struct op_context *c)
{
	struct listener *l = calloc(1, sizeof *l);

	if (l == NULL)
		abort();
	pthread_mutex_init(&l->lock, NULL);
	l->context = c;
	pthread_mutex_lock(&listeners_lock);
	l->next = listeners;
	listeners = l;
	pthread_mutex_unlock(&listeners_lock);
	return l;
}

enum status
op_context_new(const struct op_options *options, struct table_db **dbs, size_t db_count, struct op_context **ret,
	       struct err *err)
{
	struct op_context *c = calloc(1, sizeof *c + (size_t)options->loop_count * sizeof c->loops[0]);

	*ret = NULL;
	if (c == NULL || db_count == 0) {
		free(c);
		return err_set(err, S_INTERNAL, "no memory or no region");
	}
	c->dbs = calloc(db_count, sizeof *c->dbs);
	if (c->dbs == NULL)
		abort();
	memcpy(c->dbs, dbs, db_count * sizeof *c->dbs);
	c->db_count = db_count;
	c->fleets = options->fleets;
	c->loop_count = options->loop_count;
	c->loop_max = (options->in_progress_max > 0 ? options->in_progress_max : IN_PROGRESS_MAX) /
		      (c->loop_count > 0 ? c->loop_count : 1);
	c->wording = options->wording_2026 ? WORDING_2026 : 0;
	for (int i = 0; i < options->loop_count; i++) {
		c->loops[i].loop = options->loops[i];
		c->loops[i].task.run = answer_waiting;
		c->loops[i].waiting_end = &c->loops[i].waiting_calls;
	}
	c->figures = figures_new();
	c->troubles = troubles_new();
	c->pool = worker_pool_new("api-io", options->io_threads > 0 ? options->io_threads : 4,
				  options->io_queue_max > 0 ? options->io_queue_max : 4096);
	c->listener = listener_take(c);
	for (size_t i = 0; i < db_count; i++) {
		bool known = false;

		for (size_t j = 0; j < i; j++)
			known |= table_db_engine(dbs[j]) == table_db_engine(dbs[i]);
		if (!known)
			engine_on_sync(table_db_engine(dbs[i]), on_sync, c->listener);
	}
	*ret = c;
	return S_OK;
}

bool
op_context_has_policies(const struct op_context *c)
{
	for (size_t i = 0; i < c->db_count; i++)
		if (table_db_has_policies(c->dbs[i]))
			return true;
	return false;
}

void
op_context_free(struct op_context *c)
{
	if (c == NULL)
		return;
	pthread_mutex_lock(&c->listener->lock);
	c->listener->context = NULL;
	pthread_mutex_unlock(&c->listener->lock);
	atomic_store(&c->ending, true); /* what is still queued is not begun */
	worker_pool_free(c->pool);
	figures_free(c->figures);
	troubles_free(c->troubles);
	free(c->dbs);
	free(c);
}

void
op_write_metrics(struct op_context *c, struct buf *out)
{
	figures_write(c->figures, out);
	buf_printf(out,
		   "# HELP stator_requests_in_progress Requests begun and not yet answered.\n"
		   "# TYPE stator_requests_in_progress gauge\nstator_requests_in_progress %d\n",
		   op_in_progress(c));
	buf_printf(out,
		   "# HELP stator_io_pool_queued Requests waiting for a thread that may block.\n"
		   "# TYPE stator_io_pool_queued gauge\nstator_io_pool_queued %d\n",
		   worker_queued(c->pool));
}

int
op_in_progress(struct op_context *c)
{
	int sum = 0;

	for (int i = 0; i < c->loop_count; i++)
		sum += atomic_load_explicit(&c->loops[i].in_progress, memory_order_relaxed);
	return sum;
}
