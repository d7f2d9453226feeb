#include <stdlib.h>

#include "base/clock.h"
#include "dax/dax_int.h"

/* --- the node --- */

struct dax_node *
dax_node_new(const struct dax_node_options *options)
{
	static const struct dax_cluster alone = {
	    .count = 1,
	    .leader_session = 1,
	    .nodes = {{.node_id = 1, .host = "localhost", .leader = true, .zone = "local-1a"}},
	};
	struct dax_node *n = calloc(1, sizeof *n);

	if (n == NULL)
		abort();
	n->options = *options;
	n->nodes = alone;
	pthread_mutex_init(&n->lock, NULL);
	return n;
}

void
dax_node_free(struct dax_node *n)
{
	if (n == NULL)
		return;
	pthread_mutex_destroy(&n->lock);
	free(n);
}

void
dax_node_set_cluster(struct dax_node *n, const struct dax_cluster *cluster)
{
	pthread_mutex_lock(&n->lock);
	n->nodes = *cluster;
	pthread_mutex_unlock(&n->lock);
}

void
dax_node_get_cluster(struct dax_node *n, struct dax_cluster *ret)
{
	pthread_mutex_lock(&n->lock);
	*ret = n->nodes;
	pthread_mutex_unlock(&n->lock);
}

struct dax_loop *
dax_loop_new(struct dax_node *n, void *loop)
{
	struct dax_loop *l = calloc(1, sizeof *l);

	if (l == NULL)
		abort();
	l->node = n;
	l->loop = loop;
	pthread_mutex_lock(&n->lock);
	l->next = n->loops;
	n->loops = l;
	pthread_mutex_unlock(&n->lock);
	return l;
}

static void
request_free(struct dax_request *r)
{
	arena_done(&r->arena);
	buf_done(&r->json);
	buf_done(&r->names);
	buf_done(&r->values);
	buf_done(&r->out);
	buf_done(&r->reply);
	free(r);
}

void
dax_loop_free(struct dax_loop *l)
{
	struct dax_loop **at;
	struct dax_request *r;

	if (l == NULL)
		return;
	pthread_mutex_lock(&l->node->lock);
	for (at = &l->node->loops; *at != l;)
		at = &(*at)->next;
	*at = l->next;
	pthread_mutex_unlock(&l->node->lock);
	while ((r = l->free_requests) != NULL) {
		l->free_requests = r->next;
		request_free(r);
	}
	for (size_t i = 0; i < TABLE_BUCKETS; i++) {
		struct dax_table *t = l->tables[i], *next;

		for (; t != NULL; t = next) {
			next = t->next;
			dax_table_release(t);
		}
	}
	arena_done(&l->scratch);
	free(l);
}

int
dax_loop_in_progress(const struct dax_loop *l)
{
	return atomic_load_explicit(&l->figures.in_progress, memory_order_relaxed);
}

/* --- figures --- */

void
dax_node_write_metrics(struct dax_node *n, struct buf *out)
{
	pthread_mutex_lock(&n->lock);
	for (int kind = 0; kind < 2; kind++) {
		buf_printf(out, "# HELP stator_dax_%s_total %s\n# TYPE stator_dax_%s_total counter\n",
			   kind == 0 ? "requests" : "errors",
			   kind == 0 ? "Requests of DAX clients answered." : "Of them, with an error.",
			   kind == 0 ? "requests" : "errors");
		for (int i = 0; i < dax_method_count; i++) {
			uint64_t sum = 0;

			for (struct dax_loop *l = n->loops; l != NULL; l = l->next)
				sum += atomic_load_explicit(kind == 0 ? &l->figures.requests[i] : &l->figures.errors[i],
							    memory_order_relaxed);
			buf_printf(out, "stator_dax_%s_total{method=\"%s\"} %llu\n", kind == 0 ? "requests" : "errors",
				   dax_methods[i].name, (unsigned long long)sum);
		}
	}
	pthread_mutex_unlock(&n->lock);
	buf_printf(out,
		   "# HELP stator_dax_malformed_total Connections ended because their bytes made no sense.\n"
		   "# TYPE stator_dax_malformed_total counter\nstator_dax_malformed_total %llu\n"
		   "# HELP stator_dax_unauthorized_total Requests refused for want of authorization.\n"
		   "# TYPE stator_dax_unauthorized_total counter\nstator_dax_unauthorized_total %llu\n"
		   "# HELP stator_dax_attribute_lists Attribute lists known.\n"
		   "# TYPE stator_dax_attribute_lists gauge\nstator_dax_attribute_lists %llu\n",
		   (unsigned long long)atomic_load(&n->malformed), (unsigned long long)atomic_load(&n->refused),
		   (unsigned long long)dax_lists_count(n->options.lists));
}

/* --- requests --- */

static void
count(_Atomic uint64_t *figure)
{
	/* only the loop's thread writes it */
	atomic_store_explicit(figure, atomic_load_explicit(figure, memory_order_relaxed) + 1, memory_order_relaxed);
}

void
dax_count_request(struct dax_loop *l, const struct dax_method *method)
{
	count(&l->figures.requests[method - dax_methods]);
}

struct dax_request *
dax_request_new(struct dax_loop *l)
{
	struct dax_request *r = l->free_requests;

	if (r != NULL) {
		l->free_requests = r->next;
		l->free_count--;
	} else {
		r = calloc(1, sizeof *r);
		if (r == NULL)
			abort();
		r->home = l;
	}
	atomic_store_explicit(&l->figures.in_progress,
			      atomic_load_explicit(&l->figures.in_progress, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	return r;
}

static void
recycle(struct buf *b)
{
	if (b->cap > BUF_KEPT_BYTES)
		buf_done(b);
	b->len = 0;
}

static void
request_end(struct dax_request *r)
{
	struct dax_loop *l = r->home;

	for (size_t i = 0; i < r->held_count; i++)
		dax_table_release(r->held[i]);
	if (r->identity != NULL)
		dax_identity_release(l->node, r->identity);
	atomic_store_explicit(&l->figures.in_progress,
			      atomic_load_explicit(&l->figures.in_progress, memory_order_relaxed) - 1,
			      memory_order_relaxed);
	if (l->free_count >= REQUESTS_KEPT) {
		request_free(r);
		return;
	}
	r->session = NULL;
	r->gone = false;
	r->method = NULL;
	r->identity = NULL;
	r->state = NULL;
	r->held = NULL;
	r->held_count = r->held_room = 0;
	r->schemas = NULL;
	r->schema_count = 0;
	r->finally = NULL;
	r->as_node = false;
	arena_reset(&r->arena);
	recycle(&r->json);
	recycle(&r->names);
	recycle(&r->values);
	recycle(&r->out);
	recycle(&r->reply);
	r->next = l->free_requests;
	l->free_requests = r;
	l->free_count++;
}

bool
dax_request_wants_indefinite(const struct dax_request *r)
{
	return r->session != NULL && r->session->framed;
}

/* [] and a map of fewer than 24 pairs -> the same with a map of indefinite length. */
static void
open_map(struct buf *reply)
{
	if (reply->len < 2 || (uint8_t)reply->data[1] >> 5 != CBOR_M_MAP)
		return;
	reply->data[1] = (char)0xbf;
	cbor_put_break(reply);
}

/* An answer goes out, in r->reply. */
static void
finish(struct dax_request *r, bool error)
{
	struct dax_session *s = r->session;
	if (r->method != NULL) {
		long method = r->method - dax_methods;

		count(&r->home->figures.requests[method]);
		if (error)
			count(&r->home->figures.errors[method]);
	}
	if (s != NULL) {
		size_t start = s->out->len;

		if (!error && r->method != NULL && r->method->map && s->framed)
			open_map(&r->reply);
		buf_put_slice(s->out, buf_slice(&r->reply));
		dax_session_frame(s, start);
		s->running = NULL;
		r->session = NULL;
	}
	if (r->finally != NULL)
		r->finally(r, !error);
	request_end(r);
	if (s != NULL && !s->feeding)
		s->answered(s);
}

struct buf *
dax_request_reply(struct dax_request *r)
{
	r->reply.len = 0;
	cbor_put_array(&r->reply, 0);
	return &r->reply;
}

void
dax_request_answer(struct dax_request *r)
{
	finish(r, false);
}

void
dax_request_fail_codes(struct dax_request *r, const int *codes)
{
	r->reply.len = 0;
	dax_put_error_codes(&r->reply, codes, r->err.status, r->err.message);
	finish(r, true);
}

void
dax_request_fail(struct dax_request *r, enum status s)
{
	r->reply.len = 0;
	dax_put_error(&r->reply, s, r->err.message);
	finish(r, true);
}

void
dax_request_fail_cbor(struct dax_request *r, const struct cbor_reader *reader)
{
	dax_request_fail(r, err_set(&r->err, S_VALIDATION, "Malformed request: %s", reader->failure));
}

void
dax_request_timed(const struct dax_request *r, const struct cache_key *key, bool hit)
{
	cache_timed(r->home->node->options.cache, key, hit, clock_mono_ns() - r->started_ns);
}

bool
dax_may_use_cache(const struct dax_node *node, const struct dax_identity *identity)
{
	const struct dax_upstream *upstream = &node->options.upstream;

	if (node->options.cache == NULL)
		return false;
	if (identity == NULL || identity->caller == NULL)
		return identity == NULL || identity->unrestricted;
	if (identity->reads_all)
		return true;
	return identity->unrestricted && (upstream->has_policies == NULL || !upstream->has_policies(upstream->context));
}

bool
dax_request_may_cache(const struct dax_request *r)
{
	return dax_may_use_cache(r->home->node, r->identity);
}

struct slice
dax_request_region(const struct dax_request *r)
{
	return slice_str(r->identity != NULL ? r->identity->region : "");
}

struct slice
dax_node_cluster(const struct dax_node *node)
{
	return slice_str(node->options.cluster != NULL ? node->options.cluster : "");
}

bool
dax_request_may_use(const struct dax_request *r, struct slice table)
{
	const struct dax_upstream *upstream = &r->home->node->options.upstream;
	const struct dax_session *s = r->session;
	struct dax_asker asker = {.region = dax_request_region(r), .cluster = dax_node_cluster(r->home->node)};

	if (r->identity == NULL || r->identity->caller == NULL || upstream->may_use == NULL)
		return true;
	asker.caller = r->identity->caller;
	if (s != NULL) {
		asker.peer = s->peer;
		asker.secure = s->secure;
	}
	return upstream->may_use(upstream->context, &asker, table);
}

/* --- calls --- */

static void
start_call(struct dax_request *r, const char *operation, const void *caller, void (*done)(struct dax_call *call))
{
	struct dax_session *s = r->session;
	struct dax_call *call = &r->call;

	memset(call, 0, sizeof *call);
	call->target = arena_printf(&r->arena, "DynamoDB_20120810.%s", operation);
	call->body = buf_slice(&r->json);
	call->region = dax_request_region(r);
	call->caller = caller;
	call->cluster = dax_node_cluster(r->home->node);
	if (s != NULL) {
		call->peer = arena_dup(&r->arena, s->peer);
		call->secure = s->secure;
	}
	call->loop = r->home->loop;
	call->arena = &r->arena;
	call->gone = &r->gone;
	call->out = &r->out;
	call->done = done;
	call->owner = r;
	r->out.len = 0;
	r->home->node->options.upstream.call(r->home->node->options.upstream.context, call);
}

static void
call_done(struct dax_call *call)
{
	struct dax_request *r = call->owner;

	if (call->http_status == 200) {
		r->replied(r);
		return;
	}
	/*
	 * Perhaps a table was dropped or made anew: what is known of them is asked again. Not after a failed condition
	 * or throttling, which are frequent and say that the table is there.
	 */
	if (dax_upstream_says(r, "ResourceNotFoundException") || dax_upstream_says(r, "ValidationException"))
		for (size_t i = 0; i < r->held_count; i++)
			dax_table_doubt(r->home, r->held[i]->region, r->held[i]->name);
	dax_put_upstream_error(r, r->schemas, r->schema_count);
	finish(r, true);
}

void
dax_request_call(struct dax_request *r, const char *operation, void (*replied)(struct dax_request *r))
{
	r->replied = replied;
	start_call(r, operation, r->identity != NULL && !r->as_node ? r->identity->caller : NULL, call_done);
}

void
dax_request_hold(struct dax_request *r, const struct dax_table *table)
{
	struct dax_table *t = (struct dax_table *)table; /* its count of references */

	if (r->held_count == r->held_room) {
		size_t room = r->held_room > 0 ? 2 * r->held_room : 4;
		struct dax_table **wider = arena_alloc(&r->arena, room * sizeof *wider);

		if (r->held_count > 0)
			memcpy(wider, r->held, r->held_count * sizeof *wider);
		r->held = wider;
		r->held_room = room;
	}
	t->refs++;
	r->held[r->held_count++] = t;
}

static void
table_described(struct dax_call *call)
{
	struct dax_request *r = call->owner;
	struct dax_table *t;

	if (call->http_status != 200) {
		dax_table_doubt(r->home, dax_request_region(r), r->table_name);
		if (dax_upstream_says(r, "ResourceNotFoundException")) {
			err_set(&r->err, S_RESOURCE_NOT_FOUND, "Requested resource not found");
			if (r->method != NULL && r->method->run == dax_define_key_schema)
				dax_request_fail_codes(r, dax_no_table);
			else
				dax_request_fail(r, S_RESOURCE_NOT_FOUND);
			return;
		}
		dax_put_upstream_error(r, NULL, 0);
		finish(r, true);
		return;
	}
	t = dax_table_put(r->home, dax_request_region(r), r->table_name, buf_slice(&r->out), &r->arena);
	if (t == NULL) {
		dax_request_fail(r, err_set(&r->err, S_INTERNAL, "The upstream describes no key schema of the table"));
		return;
	}
	dax_request_hold(r, t);
	r->run(r);
}

const struct dax_table *
dax_request_table(struct dax_request *r, struct slice name)
{
	struct dax_table *t;

	for (size_t i = 0; i < r->held_count; i++)
		if (slice_eq(r->held[i]->name, name))
			return r->held[i];
	t = dax_table_find(r->home, dax_request_region(r), name, clock_mono_ns());
	if (t != NULL) {
		dax_request_hold(r, t);
		return t;
	}
	r->table_name = name;
	r->json.len = 0;
	buf_put_lit(&r->json, "{\"TableName\":");
	json_put_string(&r->json, name);
	buf_put_byte(&r->json, '}');
	start_call(r, "DescribeTable", NULL, table_described); /* the node's own question: what is asked needs it */
	return NULL;
}
