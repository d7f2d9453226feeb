#include "front/dax_fleet.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cache/coherent.h"
#include "front/dax.h"
#include "io/listen.h"

#define CALLS_MAX     4096 /* of one node, under way */
#define DRAIN_MS      5000 /* for clients that do not take their answers */
#define DRAIN_STEP_MS 1

/* The caches of one cluster, which copy to each other. */
struct group {
	struct group *next;
	char name[24];
	int members; /* guarded by dax_fleet.lock, as next */
	pthread_rwlock_t lock;
	struct cache *caches[FLEET_NODES_MAX]; /* guarded by lock */
	int count;
};

struct fleet_member {
	struct fleet_member *next;
	struct dax_fleet *home;
	struct group *group;
	char label[64];      /* "cluster/node" */
	struct cache *cache; /* NULL: the discovery endpoint */
	struct coherent *coherent;
	struct loop *asks; /* which of the server's loops runs its calls */
	int port;
	bool tls;
	/* while it listens */
	struct loop *loop;
	pthread_t thread;
	struct dax_front *front;
	atomic_int calls; /* on the server's loops */
};

struct dax_fleet {
	struct dax_fleet_options options;
	struct dax_upstream local;
	pthread_mutex_t lock; /* of the lists below; held while figures are read, never while a node starts or stops */
	struct group *groups;
	struct fleet_member *members;
	int started;
};

/* --- copies --- */

static void
copy_to_others(void *context, const struct cache_copied *copied)
{
	struct fleet_member *m = context;
	struct group *g = m->group;

	pthread_rwlock_rdlock(&g->lock);
	for (int i = 0; i < g->count; i++)
		if (g->caches[i] != m->cache)
			cache_copy(g->caches[i], copied);
	pthread_rwlock_unlock(&g->lock);
}

static struct group *
group_join(struct dax_fleet *f, const char *name, struct cache *cache)
{
	struct group *g;

	pthread_mutex_lock(&f->lock);
	for (g = f->groups; g != NULL && strcmp(g->name, name) != 0;)
		g = g->next;
	if (g == NULL) {
		g = calloc(1, sizeof *g);
		if (g == NULL)
			abort();
		snprintf(g->name, sizeof g->name, "%s", name);
		pthread_rwlock_init(&g->lock, NULL);
		g->next = f->groups;
		f->groups = g;
	}
	g->members++;
	if (cache != NULL) {
		pthread_rwlock_wrlock(&g->lock);
		g->caches[g->count++] = cache;
		pthread_rwlock_unlock(&g->lock);
	}
	pthread_mutex_unlock(&f->lock);
	return g;
}

static void
group_leave(struct dax_fleet *f, struct group *g, struct cache *cache)
{
	struct group **at = &f->groups;

	pthread_mutex_lock(&f->lock);
	pthread_rwlock_wrlock(&g->lock);
	for (int i = 0; i < g->count; i++)
		if (g->caches[i] == cache)
			g->caches[i--] = g->caches[--g->count];
	pthread_rwlock_unlock(&g->lock);
	if (--g->members == 0) {
		while (*at != g)
			at = &(*at)->next;
		*at = g->next;
		pthread_rwlock_destroy(&g->lock);
		free(g);
	}
	pthread_mutex_unlock(&f->lock);
}

/* --- calls: from the node's loop to one of the server's and back --- */

struct hop {
	struct dax_call inner;
	struct dax_call *outer;
	struct fleet_member *member;
	struct loop_task there, back;
};

static void
arrive_back(struct loop_task *task)
{
	struct hop *hop = (struct hop *)((char *)task - offsetof(struct hop, back));

	hop->outer->done(hop->outer);
}

static void
answered(struct dax_call *inner)
{
	struct hop *hop = inner->owner;
	struct fleet_member *m = hop->member;

	hop->outer->http_status = inner->http_status;
	hop->outer->order = inner->order;
	hop->outer->err_message = inner->err_message;
	loop_post(m->loop, &hop->back); /* from here on the hop is the node's */
	atomic_fetch_sub(&m->calls, 1);
}

static void
arrive_there(struct loop_task *task)
{
	struct hop *hop = (struct hop *)((char *)task - offsetof(struct hop, there));

	hop->member->home->local.call(hop->member->home->local.context, &hop->inner);
}

static void
call_over(void *context, struct dax_call *call)
{
	struct fleet_member *m = context;
	struct hop *hop = ARENA_NEW(call->arena, struct hop);

	if (atomic_fetch_add(&m->calls, 1) >= CALLS_MAX) {
		atomic_fetch_sub(&m->calls, 1);
		call->http_status = 400;
		call->order = 0;
		buf_put_lit(call->out, "{\"__type\":\"com.amazon.coral.availability#ThrottlingException\",\"message\":"
				       "\"Rate exceeded: this node has as many calls under way as it may\"}");
		call->done(call);
		return;
	}
	hop->inner = *call;
	hop->inner.loop = m->asks;
	hop->inner.done = answered;
	hop->inner.owner = hop;
	hop->outer = call;
	hop->member = m;
	hop->there.run = arrive_there;
	hop->back.run = arrive_back;
	loop_post(m->asks, &hop->there);
}

static bool
have_policies(void *context)
{
	const struct dax_upstream *local = &((struct fleet_member *)context)->home->local;

	return local->has_policies(local->context);
}

static bool
may_read_all(void *context, const struct dax_asker *asker)
{
	const struct dax_upstream *local = &((struct fleet_member *)context)->home->local;

	return local->may_read_all(local->context, asker);
}

static bool
may_use(void *context, const struct dax_asker *asker, struct slice table)
{
	const struct dax_upstream *local = &((struct fleet_member *)context)->home->local;

	return local->may_use(local->context, asker, table);
}

/* --- listening --- */

static void *
run(void *context)
{
	struct fleet_member *m = context;

	pthread_setname_np(pthread_self(), "dax-node");
	loop_run(m->loop);
	return NULL;
}

static enum status
make_front(struct fleet_member *m, int port, struct err *err)
{
	struct dax_fleet *f = m->home;
	const struct dax_fleet_options *o = &f->options;
	bool v6 = o->host != NULL && strchr(o->host, ':') != NULL;
	char listen[128];
	struct dax_front_options front = {
	    .upstream = {.call = call_over,
			 .has_policies = have_policies,
			 .may_read_all = may_read_all,
			 .may_use = may_use,
			 .context = m,
			 .table_ms = f->local.table_ms},
	    .cluster = m->group->name,
	    .cache = m->cache,
	    .listen = m->tls ? NULL : listen,
	    .tls_listen = m->tls ? listen : NULL,
	    .tls_cert = o->tls_cert,
	    .tls_key = o->tls_key,
	    .limits = o->limits,
	    .regions = &o->region,
	    .region_count = 1,
	};
	struct dax_front *made;
	const char *address;
	enum status s = o->lists(o->context, &front.lists, err);

	if (s == S_OK && o->keys != NULL)
		s = o->keys(o->context, &front.keys, err);
	if (s != S_OK)
		return s;
	snprintf(listen, sizeof listen, "%s%s%s:%d", v6 ? "[" : "", o->host, v6 ? "]" : "", port);
	s = dax_front_new(&front, &m->loop, 1, &made, err);
	if (s != S_OK)
		return s;
	address = m->tls ? dax_front_tls_address(made) : dax_front_address(made);
	if (!listen_port(strrchr(address, ':') + 1, &m->port))
		abort(); /* it was written by us */
	pthread_mutex_lock(&f->lock);
	m->front = made;
	pthread_mutex_unlock(&f->lock);
	return S_OK;
}

static void
end_listening(struct fleet_member *m)
{
	dax_front_free(m->front);
	loop_free(m->loop);
	m->front = NULL;
	m->loop = NULL;
}

/* On the port, or the first free one of the range when it is 0. */
static enum status
begin_listening(struct fleet_member *m, int port, struct err *err)
{
	const struct dax_fleet_options *o = &m->home->options;
	int first = port != 0 ? port : o->port_first, last = port != 0 ? port : o->port_last;
	enum status s = loop_new(0, &m->loop, err);
	struct loop *loop;

	for (int p = first; s == S_OK && p <= last; p++) {
		s = make_front(m, p, err);
		if (s == S_OK)
			break;
		if (p < last)
			s = S_OK;
		else if (port == 0)
			s = err_set(err, S_DAX_CAPACITY, "No port from %d to %d is free for a node (--dax-ports)",
				    first, last);
	}
	loop = m->loop;
	if (s == S_OK && pthread_create(&m->thread, NULL, run, m) != 0)
		s = err_set(err, S_DAX_CAPACITY, "No thread is left for a node");
	if (s != S_OK && loop != NULL)
		end_listening(m);
	return s;
}

/* Answers what runs, closes, and returns when nothing of the node is under way any more. */
static void
stop_listening(struct fleet_member *m)
{
	int64_t deadline_ns = clock_mono_ns() + DRAIN_MS * 1000000LL;

	if (m->front == NULL)
		return;
	dax_front_drain(m->front);
	while (dax_front_in_progress(m->front) > 0 && clock_mono_ns() < deadline_ns)
		usleep(DRAIN_STEP_MS * 1000);
	/* what still runs ends by itself, to nobody, and needs the loop for that */
	while (atomic_load(&m->calls) > 0 || dax_front_requests(m->front) > 0)
		usleep(DRAIN_STEP_MS * 1000);
	loop_stop(m->loop);
	pthread_join(m->thread, NULL);
	pthread_mutex_lock(&m->home->lock);
	end_listening(m);
	pthread_mutex_unlock(&m->home->lock);
}

/* --- the machine --- */

static void
set_ttls(void *context, struct fleet_member *m, int64_t item_ttl_ms, int64_t query_ttl_ms)
{
	(void)context;
	if (m->cache == NULL)
		return;
	cache_set_ttl(m->cache, CACHE_ITEMS, item_ttl_ms);
	cache_set_ttl(m->cache, CACHE_QUERIES, query_ttl_ms);
}

static void
member_free(struct fleet_member *m)
{
	group_leave(m->home, m->group, m->cache);
	coherent_free(m->coherent);
	cache_free(m->cache);
	free(m);
}

static enum status
start(void *context, const struct fleet_member_spec *spec, struct fleet_member **ret, int *ret_port, struct err *err)
{
	struct dax_fleet *f = context;
	struct fleet_member *m = calloc(1, sizeof *m);
	enum status s = S_OK;

	*ret = NULL;
	if (m == NULL)
		abort();
	m->home = f;
	m->tls = spec->tls;
	m->asks = f->options.loops[f->started++ % f->options.loop_count];
	snprintf(m->label, sizeof m->label, "%s", spec->id != NULL ? spec->id : spec->cluster);
	if (spec->id != NULL) {
		m->cache = cache_new(f->options.node_bytes);
		if (!f->options.coherent)
			cache_watch(m->cache, copy_to_others, m);
		set_ttls(f, m, spec->item_ttl_ms, spec->query_ttl_ms);
	}
	m->group = group_join(f, spec->cluster, m->cache);
	if (m->cache != NULL && f->options.coherent)
		s = coherent_new(m->cache, &f->options.db, 1, &m->coherent, err);
	if (s == S_OK)
		s = begin_listening(m, spec->port, err);
	if (s != S_OK) {
		member_free(m);
		return s;
	}
	pthread_mutex_lock(&f->lock);
	m->next = f->members;
	f->members = m;
	pthread_mutex_unlock(&f->lock);
	log_info("dax", "%s %s listens on port %d", spec->id != NULL ? "node" : "discovery of", m->label, m->port);
	*ret = m;
	*ret_port = m->port;
	return S_OK;
}

static bool
is_idle(void *context, struct fleet_member *m)
{
	(void)context;
	return m->front == NULL || dax_front_connections(m->front) == 0;
}

static void
take_break(void *context, struct fleet_member *m)
{
	(void)context;
	stop_listening(m);
}

static enum status
again(void *context, struct fleet_member *m, struct err *err)
{
	(void)context;
	return m->front == NULL ? begin_listening(m, m->port, err) : S_OK;
}

static void
stop(void *context, struct fleet_member *m)
{
	struct dax_fleet *f = context;
	struct fleet_member **at = &f->members;

	stop_listening(m);
	pthread_mutex_lock(&f->lock);
	while (*at != m)
		at = &(*at)->next;
	*at = m->next;
	pthread_mutex_unlock(&f->lock);
	member_free(m);
}

static void
put_endpoint(const struct dax_fleet *f, const struct fleet_told *told, int i, struct dax_endpoint *ret)
{
	const char *host = f->options.host;

	ret->node_id = told->nodes[i].number;
	ret->port = told->nodes[i].port;
	ret->leader = i == 0;
	snprintf(ret->host, sizeof ret->host, "%s", told->nodes[i].id);
	snprintf(ret->zone, sizeof ret->zone, "%s", told->nodes[i].zone);
	if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0)
		return; /* the one that the asking connection came to */
	if (inet_pton(AF_INET, host, ret->address) == 1)
		ret->address_len = 4;
	else if (inet_pton(AF_INET6, host, ret->address) == 1)
		ret->address_len = 16;
}

static void
tell(void *context, struct fleet_member *discovery, const struct fleet_told *told)
{
	struct dax_fleet *f = context;
	struct dax_cluster cluster = {.count = told->count, .leader_session = told->leader_session};

	for (int i = 0; i < told->count; i++)
		put_endpoint(f, told, i, &cluster.nodes[i]);
	if (discovery->front != NULL)
		dax_node_set_cluster(dax_front_node(discovery->front), &cluster);
	for (int i = 0; i < told->count; i++)
		if (told->nodes[i].member->front != NULL)
			dax_node_set_cluster(dax_front_node(told->nodes[i].member->front), &cluster);
}

struct dax_fleet *
dax_fleet_new(const struct dax_fleet_options *options)
{
	struct dax_fleet *f = calloc(1, sizeof *f);

	if (f == NULL)
		abort();
	f->options = *options;
	f->local = dax_front_local(options->ops, options->coherent);
	pthread_mutex_init(&f->lock, NULL);
	return f;
}

struct fleet_machine
dax_fleet_machine(struct dax_fleet *f)
{
	return (struct fleet_machine){
	    .context = f,
	    .start = start,
	    .is_idle = is_idle,
	    .pause = take_break,
	    .again = again,
	    .stop = stop,
	    .set_ttls = set_ttls,
	    .tell = tell,
	    .host = f->options.host,
	    .has_tls = f->options.tls_cert != NULL,
	};
}

void
dax_fleet_reload(struct dax_fleet *f)
{
	const struct dax_fleet_options *o = &f->options;
	struct err err;

	pthread_mutex_lock(&f->lock);
	for (struct fleet_member *m = f->members; m != NULL; m = m->next) {
		struct auth_keys *keys;

		if (m->front == NULL)
			continue;
		if (dax_front_reload_tls(m->front, &err) != S_OK)
			log_error("dax", "node %s: the old certificate stays in use: %s", m->label, err.message);
		if (o->keys == NULL)
			continue;
		if (o->keys(o->context, &keys, &err) == S_OK)
			dax_front_set_keys(m->front, keys);
		else
			log_error("dax", "node %s: the old credentials stay in use: %s", m->label, err.message);
	}
	pthread_mutex_unlock(&f->lock);
}

int
dax_fleet_in_progress(struct dax_fleet *f)
{
	int sum = 0;

	pthread_mutex_lock(&f->lock);
	for (struct fleet_member *m = f->members; m != NULL; m = m->next)
		if (m->front != NULL)
			sum += dax_front_in_progress(m->front);
	pthread_mutex_unlock(&f->lock);
	return sum;
}

void
dax_fleet_add_metrics(struct dax_fleet *f, struct metrics_merge *merge)
{
	struct buf text = {0};

	pthread_mutex_lock(&f->lock);
	for (struct fleet_member *m = f->members; m != NULL; m = m->next)
		if (m->cache != NULL) {
			text.len = 0;
			cache_write_metrics(m->cache, slice_str(m->label), &text);
			if (m->coherent != NULL)
				coherent_write_metrics(m->coherent, slice_str(m->label), &text);
			metrics_merge_add(merge, buf_slice(&text), SLICE_NONE);
		}
	pthread_mutex_unlock(&f->lock);
	buf_done(&text);
}

void
dax_fleet_free(struct dax_fleet *f)
{
	if (f == NULL)
		return;
	pthread_mutex_destroy(&f->lock);
	free(f);
}
