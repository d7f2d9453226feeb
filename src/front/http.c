#include "front/http.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/controls.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "codec/gzip.h"
#include "codec/json.h"
#include "front/metrics.h"
#include "io/sigv4.h"

#define ADDRESSES_MAX    4
#define REQUEST_ID_BYTES 52

#define TYPE_JSON       "application/json"
#define CONTROLS_PATH   "/_stator/test-controls"
#define PACK_INLINE_MAX (32 * 1024)
#define TYPE_JSON10     "application/x-amz-json-1.0"
#define TYPE_JSON11     "application/x-amz-json-1.1" /* of services other than DynamoDB */

struct address {
	const char *name;
	char text[96];
};

/*
 * Keys in use. Requests point into them until they are answered, so a loop counts those that it has in progress:
 * without a line of memory that cores share, for only its own thread writes it. Who lets go last, of the loops that
 * have these keys as their current ones or in requests, frees them.
 */
struct ring {
	struct auth_keys *keys;
	atomic_int holders; /* loops, and the front while they are the newest */
	struct {
		_Alignas(64) int requests; /* in progress */
	} loops[];
};

/* What a loop's thread alone touches. */
struct loop_state {
	_Alignas(64) struct ring *ring; /* current on this loop; NULL before its first request */
};

struct front_http {
	struct front_http_options options;
	_Atomic(struct ring *) newest; /* changed under the lock */
	pthread_mutex_t lock;
	struct loop_state *loops;
	int loop_count;
	struct http_server *server;
	struct address addresses[ADDRESSES_MAX];
	int address_count;
	void (*more_metrics)(void *context, struct buf *out);
	void *metrics_context;
	char healthy[160]; /* the answer to GET / */
};

/* --- answers --- */

/* As the service's: 26 random digits of base 32, and an end that never changes. */
static void
put_request_id(struct buf *out)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUV";
	static const char end[] = "VV4KQNSO5AEMVJF66Q9ASUAAJG";
	uint64_t random = 0;
	char *at;

	buf_reserve(out, REQUEST_ID_BYTES);
	at = out->data + out->len;
	for (int i = 0; i < 26; i++) {
		if (i % 12 == 0)
			random = crypto_fast_random();
		*at++ = digits[random & 31];
		random >>= 5;
	}
	memcpy(at, end, sizeof end - 1);
	out->len += REQUEST_ID_BYTES;
}

/* Send x->out. Headers of its own are in `more`; type NULL: none. known_crc: of what http_encode() gives, or NULL. */
static void
reply_with(struct http_exchange *x, int status, const char *type, struct slice more, const uint32_t *known_crc)
{
	char memory[1024];
	struct buf headers = {memory, 0, sizeof memory}; /* never grows: `more` goes to the arena when it is long */
	struct slice sent = http_encode(x);
	uint32_t crc = known_crc != NULL ? *known_crc : crc32_of(sent);
	char digits[10];
	int count = 0;

	if (more.len > sizeof memory - 512) {
		headers.cap = more.len + 512;
		headers.data = arena_alloc(x->arena, headers.cap);
	}
	buf_put_lit(&headers, "Server: Stator\r\nx-amzn-RequestId: ");
	put_request_id(&headers);
	if (type != NULL) {
		buf_put_lit(&headers, "\r\nContent-Type: ");
		buf_put(&headers, type, strlen(type));
	}
	buf_put_lit(&headers, "\r\nx-amz-crc32: ");
	do
		digits[count++] = (char)('0' + crc % 10);
	while ((crc /= 10) > 0);
	while (count > 0)
		buf_put_byte(&headers, (uint8_t)digits[--count]);
	buf_put_lit(&headers, "\r\n");
	if (http_header_get(x, SLICE("origin")).data != NULL)
		buf_put_lit(&headers, "Access-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: "
				      "x-amzn-RequestId, x-amz-crc32, x-amzn-ErrorType, Date\r\n");
	buf_put_slice(&headers, more);
	http_reply(x, status, buf_slice(&headers));
}

static void
reply(struct http_exchange *x, int status, const char *type, struct slice more)
{
	reply_with(x, status, type, more, NULL);
}

static void
reply_text(struct http_exchange *x, int status, const char *type, struct slice body)
{
	x->out->len = 0;
	buf_put_slice(x->out, body);
	reply(x, status, type, SLICE_NONE);
}

static void
reply_not_found(struct http_exchange *x)
{
	reply_text(x, 404, NULL, SLICE("<UnknownOperationException/>\n"));
}

/* --- who asks --- */

static struct ring *
ring_new(struct auth_keys *keys, int loop_count)
{
	size_t bytes = sizeof(struct ring) + (size_t)loop_count * sizeof((struct ring *)0)->loops[0];
	struct ring *ring = aligned_alloc(64, (bytes + 63) & ~(size_t)63);

	if (ring == NULL)
		abort();
	memset(ring, 0, bytes);
	ring->keys = keys;
	atomic_init(&ring->holders, 1);
	return ring;
}

static void
ring_release(struct ring *ring)
{
	if (ring == NULL || atomic_fetch_sub(&ring->holders, 1) != 1)
		return;
	auth_keys_free(ring->keys);
	free(ring);
}

/* The newest keys, for one request on this loop. */
static struct ring *
ring_take(struct front_http *f, int loop)
{
	struct ring *old = f->loops[loop].ring;

	if (old != atomic_load_explicit(&f->newest, memory_order_acquire)) {
		pthread_mutex_lock(&f->lock); /* or what was just read could be freed */
		f->loops[loop].ring = atomic_load(&f->newest);
		atomic_fetch_add(&f->loops[loop].ring->holders, 1);
		pthread_mutex_unlock(&f->lock);
		if (old != NULL && old->loops[loop].requests == 0)
			ring_release(old);
	}
	f->loops[loop].ring->loops[loop].requests++;
	return f->loops[loop].ring;
}

static void
ring_give(struct front_http *f, int loop, struct ring *ring)
{
	if (--ring->loops[loop].requests == 0 && ring != f->loops[loop].ring)
		ring_release(ring);
}

static bool
serves_region(const struct front_http *f, struct slice region)
{
	for (size_t i = 0; i < f->options.db_count; i++)
		if (slice_eq(slice_str(table_db_region(f->options.dbs[i])), region))
			return true;
	return false;
}

/* keys NULL: the form is all that is looked at. */
static enum status
authenticate(const struct front_http *f, const struct http_exchange *x, const struct auth_keys *keys,
	     struct sigv4_auth *ret, const struct auth_caller **ret_caller, struct err *err)
{
	enum status s = sigv4_parse(x, ret, err);
	const char *service;

	*ret_caller = NULL;
	if (s != S_OK || keys == NULL)
		return s;
	service = op_signing_name(http_header_get(x, SLICE("x-amz-target")));
	if (!slice_eq(ret->service, slice_str(service)))
		return err_set(err, S_INVALID_SIGNATURE, "Credential should be scoped to correct service: '%s'. ",
			       service);
	if (!serves_region(f, ret->region))
		return err_set(err, S_INVALID_SIGNATURE, "Credential should be scoped to a valid region, not '%.*s'. ",
			       SLICE_ARG(ret->region));
	*ret_caller = auth_keys_find(keys, ret->access_key);
	if (*ret_caller == NULL || !auth_token_matches(*ret_caller, ret->session_token))
		return err_set(err, S_UNRECOGNIZED_CLIENT, "The security token included in the request is invalid.");
	return sigv4_verify(x, ret, (*ret_caller)->secret, clock_real_s(), err);
}

/* --- operations --- */

static struct slice
content_type(const struct http_exchange *x)
{
	struct slice type = http_header_get(x, SLICE("content-type"));
	const char *semicolon = type.len > 0 ? memchr(type.data, ';', type.len) : NULL;

	if (semicolon != NULL)
		type.len = (size_t)(semicolon - type.data);
	while (type.len > 0 && (type.data[type.len - 1] == ' ' || type.data[type.len - 1] == '\t'))
		type.len--;
	return type;
}

/* As the request's. */
static const char *
reply_type(const struct http_exchange *x)
{
	struct slice type = content_type(x);

	if (slice_eq(type, SLICE(TYPE_JSON10)))
		return TYPE_JSON10;
	return slice_eq(type, SLICE(TYPE_JSON11)) ? TYPE_JSON11 : TYPE_JSON;
}

static bool
is_json(const struct http_exchange *x)
{
	struct slice type = content_type(x);

	if (slice_eq(type, SLICE(TYPE_JSON10)) || slice_eq(type, SLICE(TYPE_JSON)) || x->body.len == 0)
		return true;
	return slice_eq(type, SLICE(TYPE_JSON11)) &&
	       strcmp(op_signing_name(http_header_get(x, SLICE("x-amz-target"))), "dynamodb") != 0;
}

/* A call and where it came from. */
struct request {
	struct op_call call;
	struct front_http *front;
	struct http_exchange *exchange;
	struct ring *ring; /* NULL: signatures are not verified */
	/* of a large one, which is unpacked and verified on the I/O pool */
	struct work work;
	struct loop_task task;
	bool admitted;
	int refusal; /* status; 0: none */
	/* of what the pool has made ready for sending */
	bool has_sent_crc;
	uint32_t sent_crc;
};

static void
give_back(void *const owner[2])
{
	struct table_text text = {.shard = owner[0], .entry = owner[1]};

	table_text_done(&text);
}

static void
insert_text(struct buf *out, size_t at, struct table_text *text)
{
	buf_reserve(out, text->len);
	memmove(out->data + at + text->len, out->data + at, out->len - at);
	table_text_copy(text, out->data + at);
	out->len += text->len;
	table_text_done(text);
}

static void
lend_text(struct http_exchange *x, struct op_call *call)
{
	struct http_loan loan = {.at = call->text_at,
				 .len = call->text.len,
				 .owner = {call->text.shard, call->text.entry},
				 .done = give_back};

	loan.count = table_text_runs(&call->text, loan.runs, HTTP_LOAN_RUNS);
	if (loan.count > 0)
		http_lend(x, &loan);
	else
		insert_text(x->out, call->text_at, &call->text);
	call->text.entry = NULL;
}

static void
reply_call(struct op_call *call)
{
	struct request *request = call->owner;
	struct http_exchange *x = request->exchange;
	const uint32_t *known_crc = NULL;

	x->flow = call->flow;
	if (call->http_status != 200)
		http_encode_again(x); /* what had been made is not what is told */
	if (request->ring != NULL)
		ring_give(request->front, loop_index(x->loop), request->ring);
	if (call->text.entry != NULL)
		lend_text(x, call);
	if (request->has_sent_crc && call->http_status == 200)
		known_crc = &request->sent_crc;
	else if (call->has_crc && http_encode(x).data == x->out->data)
		known_crc = &call->crc;
	reply_with(x, call->http_status, reply_type(x), SLICE_NONE, known_crc);
}

/* What the service looks at before it looks at the signature. */
static void
find_earlier_mistake(struct http_exchange *x, struct err *err)
{
	struct json_reader r;

	if (x->body.len > 0) {
		json_init(&r, x->body, x->arena);
		json_skip(&r);
		json_end(&r);
		if (json_failed(&r)) {
			(void)err_set(err, S_SERIALIZATION, "%s", "");
			return;
		}
	}
	if (!op_known(http_header_get(x, SLICE("x-amz-target"))))
		(void)err_set(err, S_UNKNOWN_OPERATION, "%s", "");
}

/* Packing a large answer takes long, and so does its sum: where it was made. */
static void
pack_large(struct op_call *call)
{
	struct request *request = call->owner;
	struct http_exchange *x = request->exchange;

	http_encode_again(x);
	request->has_sent_crc = x->out->len > PACK_INLINE_MAX && call->text.entry == NULL;
	if (request->has_sent_crc) {
		struct slice sent = http_encode(x);

		request->sent_crc = call->has_crc && sent.data == x->out->data ? call->crc : crc32_of(sent);
	}
}

static struct request *
request_new(struct front_http *f, struct http_exchange *x)
{
	struct request *request = arena_alloc(x->arena, sizeof *request);
	struct op_call *call = &request->call;

	memset(call, 0, offsetof(struct op_call, err)); /* the message's 2 KB are filled when there is one */
	request->front = f;
	request->exchange = x;
	request->has_sent_crc = false;
	request->ring = f->options.keys != NULL ? ring_take(f, loop_index(x->loop)) : NULL;
	call->context = f->options.ops;
	call->loop = x->loop;
	call->arena = x->arena;
	call->target = http_header_get(x, SLICE("x-amz-target"));
	call->body = x->body;
	call->host = http_header_get(x, SLICE("host"));
	call->gone = &x->gone;
	call->out = x->out;
	call->done = reply_call;
	call->made = pack_large;
	call->owner = request;
	call->peer = slice_str(x->peer);
	call->flow = x->flow;
	call->secure = f->options.tls_cert != NULL;
	call->takes_text = !call->secure;
	return request;
}

/* Is the signature good? Else the reply is made. */
static bool
admit(struct request *request, bool control)
{
	struct http_exchange *x = request->exchange;
	struct op_call *call = &request->call;
	struct sigv4_auth auth = {.region = SLICE_NONE};
	struct err err;

	if (authenticate(request->front, x, request->ring != NULL ? request->ring->keys : NULL, &auth, &call->caller,
			 &call->err) == S_OK) {
		call->region = auth.region;
		/* only who has proved it: else a stranger could use up the turns of another's key */
		call->flow.tenant = job_hash(auth.access_key);
		return true;
	}
	err.status = call->err.status;
	memcpy(err.message, call->err.message, sizeof err.message);
	if (!control)
		find_earlier_mistake(x, &err);
	op_fail(call, &err);
	return false;
}

static void
admitted(struct loop_task *task)
{
	struct request *request = (struct request *)((char *)task - offsetof(struct request, task));

	if (request->admitted)
		op_start(&request->call);
	else if (request->refusal == 0)
		reply_call(&request->call);
	else {
		if (request->ring != NULL)
			ring_give(request->front, loop_index(request->exchange->loop), request->ring);
		http_refuse(request->exchange, request->refusal);
	}
}

static void
admit_large(struct work *work)
{
	struct request *request = (struct request *)((char *)work - offsetof(struct request, work));
	struct http_exchange *x = request->exchange;

	if (x->packed)
		request->refusal = http_unpack(x);
	request->call.body = x->body;
	request->admitted = request->refusal == 0 && admit(request, false);
	request->task = (struct loop_task){.run = admitted};
	loop_post(x->loop, &request->task);
}

static void
run_large(struct request *request)
{
	struct err err;

	request->refusal = 0;
	request->work = (struct work){.run = admit_large, .flow = request->call.flow, .lengthy = true};
	if (op_offload(request->front->options.ops, &request->work))
		return;
	err_set(&err, S_THROTTLING, "Rate of requests exceeds the allowed throughput.");
	op_fail(&request->call, &err);
	reply_call(&request->call);
}

static void
run_operation(struct front_http *f, struct http_exchange *x)
{
	struct request *request = request_new(f, x);

	if (x->packed || x->raw_body.len > OP_INLINE_BODY_MAX)
		run_large(request);
	else if (admit(request, false))
		op_start(&request->call);
	else
		reply_call(&request->call);
}

static void
run_control(struct front_http *f, struct http_exchange *x)
{
	struct request *request = request_new(f, x);

	if (x->packed) {
		if (request->ring != NULL)
			ring_give(f, loop_index(x->loop), request->ring);
		http_refuse(x, 415);
	} else if (request->ring == NULL /* of those who may reach it: see the option */ || admit(request, true)) {
		op_start_control(&request->call);
	} else {
		reply_call(&request->call);
	}
}

/* --- the other pages --- */

static void
reply_health(struct front_http *f, struct http_exchange *x)
{
	struct buf *out = x->out;

	out->len = 0;
	buf_put_lit(out, "{\"status\":\"ok\",\"version\":\"" STATOR_VERSION "\",\"region\":[");
	for (size_t i = 0; i < f->options.db_count; i++) {
		if (i > 0)
			buf_put_byte(out, ',');
		json_put_string(out, slice_str(table_db_region(f->options.dbs[i])));
	}
	buf_put_byte(out, ']');
	for (int i = 0; i < f->address_count; i++) {
		buf_put_byte(out, ',');
		json_put_string(out, slice_str(f->addresses[i].name));
		buf_put_byte(out, ':');
		json_put_string(out, slice_str(f->addresses[i].text));
	}
	buf_put_lit(out, "}\n");
	reply(x, 200, TYPE_JSON, SLICE_NONE);
}

static void
reply_metrics(struct front_http *f, struct http_exchange *x)
{
	struct metrics_merge *regions = metrics_merge_new();
	struct buf text = {0};

	x->out->len = 0;
	op_write_metrics(f->options.ops, x->out);
	http_server_write_metrics(f->server, x->out);
	for (size_t i = 0; i < f->options.db_count; i++) {
		struct table_db *db = f->options.dbs[i];

		text.len = 0;
		engine_write_metrics(table_db_engine(db), &text);
		table_db_write_metrics(db, &text);
		metrics_merge_add(regions, buf_slice(&text), slice_str(table_db_region(db)));
	}
	metrics_merge_end(regions, x->out);
	if (f->more_metrics != NULL)
		f->more_metrics(f->metrics_context, x->out);
	buf_done(&text);
	reply(x, 200, "text/plain; version=0.0.4; charset=utf-8", SLICE_NONE);
}

static void
reply_controls(struct http_exchange *x)
{
	x->out->len = 0;
	controls_describe(x->out);
	reply(x, 200, TYPE_JSON, SLICE_NONE);
}

static void
reply_page(struct front_http *f, struct http_exchange *x)
{
	if (slice_eq(x->path, SLICE("/health")))
		reply_health(f, x);
	else if (slice_eq(x->path, SLICE("/metrics")))
		reply_metrics(f, x);
	else if (f->options.test_controls && slice_eq(x->path, SLICE(CONTROLS_PATH)))
		reply_controls(x);
	else if (slice_eq(x->path, SLICE("/")))
		reply_text(x, 200, NULL, slice_str(f->healthy));
	else
		reply_not_found(x);
}

static void
reply_preflight(struct http_exchange *x)
{
	struct slice headers = http_header_get(x, SLICE("access-control-request-headers"));
	struct slice method = http_header_get(x, SLICE("access-control-request-method"));
	struct slice more = SLICE("Access-Control-Max-Age: 172800\r\n");

	if (headers.len > 0)
		more = arena_printf(x->arena, "%.*sAccess-Control-Allow-Headers: %.*s\r\n", SLICE_ARG(more),
				    SLICE_ARG(headers));
	if (method.len > 0)
		more = arena_printf(x->arena, "%.*sAccess-Control-Allow-Methods: %.*s\r\n", SLICE_ARG(more),
				    SLICE_ARG(method));
	x->out->len = 0;
	reply(x, 200, NULL, more);
}

static void
handle(struct http_exchange *x, void *context)
{
	struct front_http *f = context;

	if (slice_eq(x->method, SLICE("POST")) && slice_eq(x->path, SLICE("/"))) {
		if (is_json(x))
			run_operation(f, x);
		else
			reply_not_found(x);
	} else if (f->options.test_controls && slice_eq(x->method, SLICE("POST")) &&
		   slice_eq(x->path, SLICE(CONTROLS_PATH))) {
		run_control(f, x);
	} else if (slice_eq(x->method, SLICE("GET")) || slice_eq(x->method, SLICE("HEAD"))) {
		reply_page(f, x);
	} else if (slice_eq(x->method, SLICE("OPTIONS")) && http_header_get(x, SLICE("origin")).data != NULL) {
		reply_preflight(x);
	} else {
		reply_not_found(x);
	}
}

/* --- start and stop --- */

enum status
front_http_new(const struct front_http_options *options, struct loop **loops, int loop_count, struct front_http **ret,
	       struct err *err)
{
	struct front_http *f = calloc(1, sizeof *f);
	struct http_server_options server = {
	    .listen = options->listen,
	    .tls_cert = options->tls_cert,
	    .tls_key = options->tls_key,
	    .limits = options->limits,
	    .handler = handle,
	    .context = f,
	};
	enum status s;

	*ret = NULL;
	if (f == NULL)
		abort();
	f->options = *options;
	pthread_mutex_init(&f->lock, NULL);
	f->loop_count = loop_count;
	f->loops = aligned_alloc(64, (size_t)loop_count * sizeof *f->loops);
	if (f->loops == NULL)
		abort();
	memset(f->loops, 0, (size_t)loop_count * sizeof *f->loops);
	if (options->keys != NULL)
		f->newest = ring_new(options->keys, loop_count);
	/* the trailing blank is the service's */
	snprintf(f->healthy, sizeof f->healthy, "healthy: dynamodb.%s.amazonaws.com ",
		 options->db_count > 0 ? table_db_region(options->dbs[0]) : "local");
	s = http_server_new(&server, loops, loop_count, &f->server, err);
	if (s != S_OK) {
		front_http_free(f);
		return s;
	}
	front_http_add_address(f, "http", http_server_address(f->server));
	*ret = f;
	return S_OK;
}

const char *
front_http_address(const struct front_http *f)
{
	return http_server_address(f->server);
}

enum status
front_http_reload_tls(struct front_http *f, struct err *err)
{
	return http_server_reload_tls(f->server, err);
}

void
front_http_set_keys(struct front_http *f, struct auth_keys *keys)
{
	struct ring *old;

	pthread_mutex_lock(&f->lock);
	old = atomic_exchange(&f->newest, ring_new(keys, f->loop_count));
	pthread_mutex_unlock(&f->lock);
	ring_release(old);
}

void
front_http_add_address(struct front_http *f, const char *name, const char *address)
{
	struct address *a = &f->addresses[f->address_count];

	if (f->address_count == ADDRESSES_MAX)
		return;
	f->address_count++;
	a->name = name;
	snprintf(a->text, sizeof a->text, "%s", address);
}

void
front_http_on_metrics(struct front_http *f, void (*write)(void *context, struct buf *out), void *context)
{
	f->more_metrics = write;
	f->metrics_context = context;
}

void
front_http_drain(struct front_http *f)
{
	http_server_drain(f->server);
}

int
front_http_in_progress(const struct front_http *f)
{
	return http_server_in_progress(f->server);
}

void
front_http_free(struct front_http *f)
{
	if (f == NULL)
		return;
	http_server_free(f->server);
	for (int i = 0; i < f->loop_count; i++)
		ring_release(f->loops[i].ring);
	ring_release(f->newest);
	pthread_mutex_destroy(&f->lock);
	free(f->loops);
	free(f);
}
