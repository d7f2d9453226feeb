#include "front/dax.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/worker.h"
#include "io/sigv4.h"

#define AUTHORIZED_MS  (5 * 60 * 1000) /* clients authorize again after 150 to 225 s */
#define LOCAL_TABLE_MS 1000
#define SYNCS_QUEUED   4096

/* Keys in use, by the front and by the identities that were found in them. */
struct dax_keys {
	struct auth_keys *keys;
	atomic_int holders;
};

struct dax_front {
	struct dax_node *node;
	struct dax_loop **loops;
	int loop_count;
	struct stream_server *plain, *tls;
	struct worker_pool *syncer; /* of attribute lists: rare, and slow */
	struct dax_lists *lists;
	struct dax_upstream upstream;
	const char *cluster;
	bool verifies;
	char (*regions)[33];
	size_t region_count;
	pthread_mutex_t lock;
	_Atomic(struct dax_keys *) newest; /* changed under the lock */
};

/* --- who may come in --- */

static struct dax_keys *
keys_new(struct auth_keys *keys)
{
	struct dax_keys *k = malloc(sizeof *k);

	if (k == NULL)
		abort();
	k->keys = keys;
	atomic_init(&k->holders, 1);
	return k;
}

static void
keys_release(struct dax_keys *k)
{
	if (k == NULL || atomic_fetch_sub(&k->holders, 1) != 1)
		return;
	auth_keys_free(k->keys);
	free(k);
}

static struct dax_keys *
keys_take(struct dax_front *f)
{
	struct dax_keys *k;

	pthread_mutex_lock(&f->lock); /* once a connection and each few minutes */
	k = atomic_load(&f->newest);
	atomic_fetch_add(&k->holders, 1);
	pthread_mutex_unlock(&f->lock);
	return k;
}

static bool
serves_region(const struct dax_front *f, struct slice region)
{
	for (size_t i = 0; i < f->region_count; i++)
		if (slice_eq(slice_str(f->regions[i]), region))
			return true;
	return false;
}

/* The connection whose bytes are read on this thread. */
static _Thread_local struct stream *reading;

static void
take_turns_of(struct slice access_key)
{
	if (reading != NULL)
		stream_set_flow(reading, (struct job_flow){.tenant = job_hash(access_key)});
}

static bool
reads_all(const struct dax_front *f, const struct auth_caller *caller, struct slice region)
{
	struct dax_asker asker = {.caller = caller, .region = region, .cluster = slice_str(f->cluster)};

	if (f->upstream.may_read_all == NULL || reading == NULL)
		return false;
	asker.peer = slice_str(stream_peer(reading));
	asker.secure = stream_is_secure(reading);
	return f->upstream.may_read_all(f->upstream.context, &asker);
}

static enum status
verify(void *context, const struct dax_authorization *a, struct dax_identity *ret, struct err *err)
{
	struct dax_front *f = context;
	const struct auth_caller *caller;
	struct sigv4_auth auth;
	struct dax_keys *keys;
	enum status s = sigv4_parse_string(a->string_to_sign, a->signature, &auth, err);

	if (s != S_OK)
		return s;
	if (!slice_eq(auth.service, SLICE("dax")))
		return err_set(err, S_INVALID_SIGNATURE, "Credential should be scoped to correct service: 'dax'. ");
	if (auth.region.len >= sizeof ret->region)
		return err_set(err, S_INVALID_SIGNATURE, "Credential should be scoped to a valid region.");
	memcpy(ret->region, auth.region.data, auth.region.len);
	if (!f->verifies) {
		ret->unrestricted = true;
		take_turns_of(a->access_key);
		return S_OK;
	}
	if (!serves_region(f, auth.region))
		return err_set(err, S_INVALID_SIGNATURE, "Credential should be scoped to a valid region, not '%.*s'. ",
			       SLICE_ARG(auth.region));
	keys = keys_take(f);
	caller = auth_keys_find(keys->keys, a->access_key);
	if (caller == NULL || !auth_token_matches(caller, a->token))
		s = err_set(err, S_UNRECOGNIZED_CLIENT, "The security token included in the request is invalid.");
	else
		s = sigv4_verify_string(&auth, a->string_to_sign, caller->secret, clock_real_s(), err);
	if (s != S_OK) {
		keys_release(keys);
		return s;
	}
	take_turns_of(a->access_key); /* only who has proved it: else a stranger could use up another's */
	ret->caller = caller;
	ret->held = keys;
	/* who has policies is asked for each item, which only the upstream can do */
	ret->unrestricted = caller->administrator;
	ret->reads_all = !caller->administrator && reads_all(f, caller, auth.region);
	return S_OK;
}

static bool
valid(void *context, const struct dax_identity *identity)
{
	struct dax_front *f = context;

	return identity->held == NULL || identity->held == atomic_load_explicit(&f->newest, memory_order_acquire);
}

static void
release(void *context, struct dax_identity *identity)
{
	(void)context;
	keys_release(identity->held);
}

void
dax_front_set_keys(struct dax_front *f, struct auth_keys *keys)
{
	struct dax_keys *old;

	pthread_mutex_lock(&f->lock);
	old = atomic_exchange(&f->newest, keys_new(keys));
	pthread_mutex_unlock(&f->lock);
	keys_release(old);
}

/* --- attribute lists to the disk --- */

struct sync_work {
	struct work work;
	struct loop_task task;
	struct dax_front *front;
	struct dax_sync *sync;
	enum status status;
	struct err err;
};
_Static_assert(sizeof(struct sync_work) <= DAX_SYNC_SPACE, "a sync's space holds it");

static void
sync_told(struct loop_task *task)
{
	struct sync_work *w = (struct sync_work *)((char *)task - offsetof(struct sync_work, task));

	w->sync->done(w->sync, w->status, &w->err);
}

static void
sync_run(struct work *work)
{
	struct sync_work *w = (struct sync_work *)work;

	w->status = dax_lists_sync(w->front->lists, &w->err);
	w->task.run = sync_told;
	loop_post(w->sync->loop, &w->task);
}

static void
sync_lists(void *context, struct dax_sync *sync)
{
	struct dax_front *f = context;
	struct sync_work *w = (struct sync_work *)sync->space;

	w->work = (struct work){.run = sync_run};
	w->front = f;
	w->sync = sync;
	if (!worker_submit(f->syncer, &w->work)) {
		w->status = err_set(&w->err, S_THROTTLING, "Too many attribute lists are being defined at once");
		sync->done(sync, w->status, &w->err);
	}
}

/* --- connections --- */

static void
answered(struct dax_session *session)
{
	stream_resume((struct stream *)session->owner);
}

static void
opened(struct stream *s, void *context)
{
	struct dax_session *session = stream_state(s);
	struct dax_front *f = context;

	session->home = f->loops[loop_index(stream_loop(s))];
	session->owner = s;
	session->out = stream_out(s);
	session->answered = answered;
	session->peer = slice_str(stream_peer(s));
	session->address_len = (uint8_t)stream_local_address(s, session->address, &session->port);
	dax_session_begin(session);
}

static enum stream_want
received(struct stream *s, const char *data, size_t len, size_t *ret_used)
{
	struct dax_session *session = stream_state(s);
	enum dax_want want;

	session->secure = stream_is_secure(s);
	reading = s;
	want = dax_session_feed(session, data, len, ret_used);
	reading = NULL;
	switch (want) {
	case DAX_WANT_TIME:
		return STREAM_TIME;
	case DAX_WANT_END:
		return STREAM_END;
	default:
		return STREAM_BYTES;
	}
}

static bool
is_half(struct stream *s, size_t unused_bytes)
{
	return dax_session_is_half(stream_state(s), unused_bytes);
}

static void
closed(struct stream *s)
{
	dax_session_end(stream_state(s));
}

static const struct stream_handler handler = {
    .state_bytes = sizeof(struct dax_session),
    .opened = opened,
    .received = received,
    .is_half = is_half,
    .closed = closed,
};

/* --- the front --- */

static enum status
listen_on(struct dax_front *f, const struct dax_front_options *options, bool tls, struct loop **loops,
	  struct stream_server **ret, struct err *err)
{
	struct stream_server_options server = {
	    .name = tls ? "dax_tls" : "dax",
	    .listen = tls ? options->tls_listen : options->listen,
	    .tls_cert = tls ? options->tls_cert : NULL,
	    .tls_key = tls ? options->tls_key : NULL,
	    .limits = options->limits,
	    .handler = &handler,
	    .context = f,
	};

	return server.listen != NULL ? stream_server_new(&server, loops, f->loop_count, ret, err) : S_OK;
}

enum status
dax_front_new(const struct dax_front_options *options, struct loop **loops, int loop_count, struct dax_front **ret,
	      struct err *err)
{
	struct dax_front *f = calloc(1, sizeof *f);
	struct dax_node_options node = {
	    .upstream = options->upstream,
	    .gate = {.verify = verify, .valid = valid, .release = release, .context = f},
	    .cache = options->cache,
	    .lists = options->lists,
	    .sync = sync_lists,
	    .sync_context = f,
	    .authorized_ms = AUTHORIZED_MS,
	    .cluster = options->cluster,
	};
	enum status s;

	*ret = NULL;
	if (f == NULL)
		abort();
	pthread_mutex_init(&f->lock, NULL);
	f->verifies = options->keys != NULL;
	f->upstream = options->upstream;
	f->cluster = options->cluster != NULL ? options->cluster : "";
	if (options->keys != NULL)
		atomic_init(&f->newest, keys_new(options->keys));
	f->regions = calloc(options->region_count + 1, sizeof *f->regions);
	f->loops = calloc((size_t)loop_count, sizeof *f->loops);
	if (f->regions == NULL || f->loops == NULL)
		abort();
	for (; f->region_count < options->region_count; f->region_count++)
		strncpy(f->regions[f->region_count], options->regions[f->region_count], sizeof *f->regions - 1);
	f->lists = options->lists;
	f->syncer = worker_pool_new("dax-lists", 1, SYNCS_QUEUED);
	f->node = dax_node_new(&node);
	for (; f->loop_count < loop_count; f->loop_count++)
		f->loops[f->loop_count] = dax_loop_new(f->node, loops[f->loop_count]);
	s = listen_on(f, options, false, loops, &f->plain, err);
	if (s == S_OK)
		s = listen_on(f, options, true, loops, &f->tls, err);
	if (s != S_OK) {
		dax_front_free(f);
		return s;
	}
	*ret = f;
	return S_OK;
}

struct dax_node *
dax_front_node(struct dax_front *f)
{
	return f->node;
}

const char *
dax_front_address(const struct dax_front *f)
{
	return f->plain != NULL ? stream_server_address(f->plain) : NULL;
}

const char *
dax_front_tls_address(const struct dax_front *f)
{
	return f->tls != NULL ? stream_server_address(f->tls) : NULL;
}

enum status
dax_front_reload_tls(struct dax_front *f, struct err *err)
{
	return f->tls != NULL ? stream_server_reload_tls(f->tls, err) : S_OK;
}

void
dax_front_drain(struct dax_front *f)
{
	if (f->plain != NULL)
		stream_server_drain(f->plain);
	if (f->tls != NULL)
		stream_server_drain(f->tls);
}

int
dax_front_in_progress(const struct dax_front *f)
{
	int sum = 0;

	for (int i = 0; i < f->loop_count; i++)
		sum += dax_loop_in_progress(f->loops[i]);
	if (f->plain != NULL)
		sum += stream_server_in_progress(f->plain);
	if (f->tls != NULL)
		sum += stream_server_in_progress(f->tls);
	return sum;
}

int
dax_front_requests(const struct dax_front *f)
{
	int sum = 0;

	for (int i = 0; i < f->loop_count; i++)
		sum += dax_loop_in_progress(f->loops[i]);
	return sum;
}

int
dax_front_connections(const struct dax_front *f)
{
	return (f->plain != NULL ? stream_server_connections(f->plain) : 0) +
	       (f->tls != NULL ? stream_server_connections(f->tls) : 0);
}

void
dax_front_write_metrics(struct dax_front *f, struct buf *out)
{
	dax_node_write_metrics(f->node, out);
	if (f->plain != NULL)
		stream_server_write_metrics(f->plain, out);
	if (f->tls != NULL)
		stream_server_write_metrics(f->tls, out);
}

void
dax_front_free(struct dax_front *f)
{
	if (f == NULL)
		return;
	worker_pool_free(f->syncer); /* what it still posts to the ended loops runs no more */
	stream_server_free(f->plain);
	stream_server_free(f->tls);
	for (int i = 0; i < f->loop_count; i++)
		dax_loop_free(f->loops[i]);
	dax_node_free(f->node);
	keys_release(f->newest);
	pthread_mutex_destroy(&f->lock);
	free(f->loops);
	free(f->regions);
	free(f);
}

/* --- the operations of this process --- */

struct local_call {
	struct op_call op;
	struct dax_call *call;
	bool coherent;
};

static void
local_done(struct op_call *op)
{
	const struct local_call *local = op->owner;
	struct dax_call *call = local->call;

	call->http_status = op->http_status;
	call->order = local->coherent ? op->change_seq : op->wait_seq;
	call->done(call);
}

static void
start_local(void *context, struct dax_call *call, bool coherent)
{
	struct local_call *local = arena_alloc(call->arena, sizeof *local);
	struct op_call *op = &local->op;

	memset(op, 0, offsetof(struct op_call, err)); /* the message's 2 KB are filled when there is one */
	local->call = call;
	local->coherent = coherent;
	op->context = context;
	op->loop = call->loop;
	op->arena = call->arena;
	op->target = call->target;
	op->body = call->body;
	op->region = call->region;
	op->caller = call->caller;
	op->cluster = call->cluster;
	op->peer = call->peer;
	op->flow.tenant = job_hash_peer(call->peer.len > 0 ? call->peer.data : ""); /* a stream's: ends with 0 */
	if (call->caller != NULL)
		op->flow.tenant = job_hash(((const struct auth_caller *)call->caller)->access_key);
	op->secure = call->secure;
	op->gone = call->gone;
	op->out = call->out;
	op->done = local_done;
	op->owner = local;
	op_start(op);
}

static void
local_call(void *context, struct dax_call *call)
{
	start_local(context, call, false);
}

static void
local_call_coherent(void *context, struct dax_call *call)
{
	start_local(context, call, true);
}

static bool
local_has_policies(void *context)
{
	return op_context_has_policies(context);
}

/* A call in which the caller is only looked at. */
static struct op_call *
ask(void *context, const struct dax_asker *asker, struct arena *arena)
{
	struct op_call *op = ARENA_NEW(arena, struct op_call);

	op->context = context;
	op->arena = arena;
	op->caller = asker->caller;
	op->region = asker->region;
	op->peer = asker->peer;
	op->secure = asker->secure;
	op->cluster = asker->cluster;
	return op;
}

static bool
local_may_read_all(void *context, const struct dax_asker *asker)
{
	struct arena arena = {0};
	bool may = op_may_read_all(ask(context, asker, &arena));

	arena_done(&arena);
	return may;
}

static bool
local_may_use(void *context, const struct dax_asker *asker, struct slice table)
{
	struct arena arena = {0};
	bool may = op_may_use(ask(context, asker, &arena), table);

	arena_done(&arena);
	return may;
}

struct dax_upstream
dax_front_local(struct op_context *ops, bool coherent)
{
	return (struct dax_upstream){
	    .call = coherent ? local_call_coherent : local_call,
	    .has_policies = local_has_policies,
	    .may_read_all = local_may_read_all,
	    .may_use = local_may_use,
	    .context = ops,
	    .table_ms = LOCAL_TABLE_MS,
	};
}
