/* Copies on their way from the caches, who is there and who leads, the thread, start and stop. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "front/dax_peers_int.h"
#include "io/listen.h"

#define OUTBOX_MAX ((size_t)32 << 20) /* copies on their way from the caches to the thread */
#define COPY_MAX   (WIRE_FRAME_MAX / 2)
#define CONNECT_MS 500

/* --- copies leave the caches --- */

static void
wake(struct dax_peers *p)
{
	if (!atomic_exchange(&p->posted, true))
		loop_post(p->loop, &p->task);
}

static void
copied_here(void *context, const struct cache_copied *copied)
{
	struct dax_peers *p = context;
	size_t bytes = copied->value.len + copied->key.len + copied->table_name.len + 64, start;
	uint32_t len;

	pthread_mutex_lock(&p->lock);
	if (bytes > COPY_MAX || p->outbox.len + bytes > OUTBOX_MAX) {
		p->outbox_lost |= copied->write;
	} else {
		start = p->outbox.len;
		buf_put(&p->outbox, &(uint32_t){0}, 4);
		wire_put_copy(copied, &p->outbox);
		len = (uint32_t)(p->outbox.len - start - 4);
		memcpy(p->outbox.data + start, &len, 4);
	}
	pthread_mutex_unlock(&p->lock);
	wake(p);
}

/* --- who is there --- */

static bool
is_there(const struct dax_peers *p, int index, int64_t now_ns)
{
	const struct peer *peer = &p->peers[index];

	if ((size_t)index == p->options.self)
		return true;
	return peer->heard_ns != 0 && now_ns - peer->heard_ns < PEERS_SILENCE_MS * MS && !peer->told.leaving;
}

static const struct wire_state *
facts_of(const struct dax_peers *p, int index)
{
	return (size_t)index == p->options.self ? &p->me : &p->peers[index].told;
}

static void
put_endpoint(const struct peer *peer, bool leader, struct dax_endpoint *e)
{
	e->node_id = peer->index + 1;
	snprintf(e->host, sizeof e->host, "%s", peer->host);
	snprintf(e->zone, sizeof e->zone, "zone-%d", peer->index + 1);
	e->port = peer->port;
	e->leader = leader;
	if (peer->address.ss_family == AF_INET6) {
		memcpy(e->address, &((const struct sockaddr_in6 *)&peer->address)->sin6_addr, 16);
		e->address_len = 16;
	} else {
		memcpy(e->address, &((const struct sockaddr_in *)&peer->address)->sin_addr, 4);
		e->address_len = 4;
	}
}

/* The one that started first; of two that started in one millisecond the first in the list. */
static int
find_leader(const struct dax_peers *p, int64_t now_ns)
{
	int leader = (int)p->options.self;

	for (int i = 0; i < (int)p->options.node_count; i++) {
		const struct wire_state *one = facts_of(p, i), *best = facts_of(p, leader);

		if (is_there(p, i, now_ns) &&
		    (one->started_ms < best->started_ms || (one->started_ms == best->started_ms && i < leader)))
			leader = i;
	}
	return leader;
}

void
peers_look_around(struct dax_peers *p)
{
	int64_t now_ns = clock_mono_ns();
	int leader = find_leader(p, now_ns);
	struct dax_cluster cluster = {.leader_session = (int64_t)(facts_of(p, leader)->incarnation & INT32_MAX)};
	uint64_t hash = (uint64_t)cluster.leader_session << 16;

	pthread_mutex_lock(&p->lock);
	for (int i = 0; i < (int)p->options.node_count; i++) {
		bool there = is_there(p, i, now_ns);

		p->peers[i].alive = there;
		if (!there)
			continue;
		put_endpoint(&p->peers[i], i == leader, &cluster.nodes[cluster.count++]);
		hash |= 1ULL << i;
	}
	pthread_cond_broadcast(&p->acked);
	pthread_mutex_unlock(&p->lock);
	if (hash == p->told_hash)
		return;
	p->told_hash = hash;
	dax_node_set_cluster(p->options.node, &cluster);
	log_info("dax", "%d of %zu nodes are there, %s leads", cluster.count, p->options.node_count,
		 p->options.nodes[leader]);
}

void
peers_heard(struct dax_peers *p, int index, const struct wire_state *told)
{
	struct peer *peer = &p->peers[index];

	/* peer->lost stays, for one that has started anew, too: it may have read what was written since unheard */
	peer->told = *told;
	peer->heard_ns = clock_mono_ns();
}

/* --- the thread --- */

static void
hand_out(struct dax_peers *p)
{
	struct buf swap;
	bool lost;

	pthread_mutex_lock(&p->lock);
	swap = p->taken;
	p->taken = p->outbox;
	p->outbox = swap;
	p->outbox.len = 0;
	lost = p->outbox_lost;
	p->outbox_lost = false;
	pthread_mutex_unlock(&p->lock);
	for (int i = 0; i < (int)p->options.node_count; i++) {
		struct peer *peer = &p->peers[i];

		if ((size_t)i == p->options.self)
			continue;
		peer->lost |= lost;
		if (peer->state == PEER_UP)
			peer_put_lists(peer);
		for (size_t at = 0; at < p->taken.len;) {
			uint32_t len;

			memcpy(&len, p->taken.data + at, 4);
			peer_put_copy(peer, slice_of(p->taken.data + at + 4, len));
			at += 4 + len;
		}
		if (peer->state == PEER_UP)
			peer_flush(peer);
	}
	p->taken.len = 0;
	if (p->taken.cap > (1 << 20))
		buf_done(&p->taken);
}

static void
on_task(struct loop_task *task)
{
	struct dax_peers *p = (struct dax_peers *)((char *)task - offsetof(struct dax_peers, task));

	atomic_store(&p->posted, false);
	hand_out(p);
	if (atomic_load(&p->leaving) && !p->me.leaving) {
		p->me.leaving = true;
		for (int i = 0; i < (int)p->options.node_count; i++) {
			if (p->peers[i].state != PEER_UP)
				continue;
			peer_put_state(&p->peers[i]);
			peer_flush(&p->peers[i]);
		}
	}
}

static void
on_tick(struct loop_timer *t)
{
	struct dax_peers *p = (struct dax_peers *)((char *)t - offsetof(struct dax_peers, timer));
	int64_t now_ns = clock_mono_ns();

	for (int i = 0; i < (int)p->options.node_count; i++) {
		struct peer *peer = &p->peers[i];

		if ((size_t)i == p->options.self)
			continue;
		if (peer->state == PEER_DOWN && now_ns >= peer->next_try_ns) {
			peer_dial(peer);
		} else if (peer->state == PEER_UP) {
			peer_put_clear(peer); /* also when nothing more is written */
			peer_put_lists(peer);
			peer_put_state(peer);
			peer_flush(peer);
		} else if (peer->state != PEER_DOWN && now_ns - peer->since_ns > CONNECT_MS * MS) {
			peer_disconnect(peer);
		}
	}
	peers_look_around(p);
	loop_timer_set(p->loop, t, now_ns + PEERS_TICK_MS * MS);
}

static void *
run(void *context)
{
	struct dax_peers *p = context;

	pthread_setname_np(pthread_self(), "dax-peers");
	loop_run(p->loop);
	return NULL;
}

/* All live peers have the lists that there are now. */
static bool
all_have(struct dax_peers *p, uint64_t count)
{
	for (int i = 0; i < (int)p->options.node_count; i++)
		if ((size_t)i != p->options.self && p->peers[i].alive && p->peers[i].acked < count)
			return false;
	return true;
}

static void
share_lists(void *context)
{
	struct dax_peers *p = context;
	uint64_t count = dax_lists_count(p->options.lists);
	int64_t until_ns = clock_mono_ns() + PEERS_SHARE_MS * MS;
	struct timespec until = {until_ns / 1000000000, until_ns % 1000000000};

	wake(p);
	pthread_mutex_lock(&p->lock);
	while (!all_have(p, count) && pthread_cond_timedwait(&p->acked, &p->lock, &until) == 0)
		;
	pthread_mutex_unlock(&p->lock);
}

/* --- start and stop --- */

static enum status
resolve(struct peer *peer, const char *node, struct err *err)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	const char *colon = strrchr(node, ':');
	struct addrinfo *found;
	size_t len = colon != NULL ? (size_t)(colon - node) : 0;
	int failed;

	if (len == 0 || len >= sizeof peer->host || !listen_port(colon + 1, &peer->port))
		return err_set(err, S_VALIDATION, "--nodes: \"%s\" is not HOST:PORT", node);
	if (node[0] == '[' && node[len - 1] == ']')
		snprintf(peer->host, sizeof peer->host, "%.*s", (int)len - 2, node + 1);
	else
		snprintf(peer->host, sizeof peer->host, "%.*s", (int)len, node);
	failed = getaddrinfo(peer->host, NULL, &hints, &found);
	if (failed != 0)
		return err_set(err, S_VALIDATION, "--nodes: %s: %s", peer->host, gai_strerror(failed));
	memcpy(&peer->address, found->ai_addr, found->ai_addrlen);
	peer->address_len = found->ai_addrlen;
	freeaddrinfo(found);
	return S_OK;
}

static uint64_t
hash_nodes(const struct dax_peers_options *options)
{
	uint8_t hash[SHA256_BYTES];
	struct buf text = {0};
	uint64_t ret;

	for (size_t i = 0; i < options->node_count; i++)
		buf_printf(&text, "%s\n", options->nodes[i]);
	crypto_sha256(buf_slice(&text), hash);
	buf_done(&text);
	memcpy(&ret, hash, sizeof ret);
	return ret;
}

static enum status
listen_for_peers(struct dax_peers *p, struct err *err)
{
	const struct peer *self = &p->peers[p->options.self];
	bool v6 = strchr(self->host, ':') != NULL;
	char listen[320];
	struct stream_server_options options = {
	    .name = "dax_peers",
	    .listen = listen,
	    .limits = {.connections = 4 * DAX_NODES_MAX,
		       .idle_ms = 10 * PEERS_SILENCE_MS,
		       .request_ms = 10000,
		       .write_ms = 10000,
		       .in_bytes_total = (size_t)DAX_NODES_MAX * WIRE_FRAME_MAX,
		       .unsent_bytes_total = (size_t)DAX_NODES_MAX * WIRE_FRAME_MAX},
	    .handler = &dax_peers_visitors,
	    .context = p,
	};
	char address[INET6_ADDRSTRLEN];

	if (getnameinfo((const struct sockaddr *)&self->address, self->address_len, address, sizeof address, NULL, 0,
			NI_NUMERICHOST) != 0)
		return err_set(err, S_VALIDATION, "--nodes: %s has no address", self->host);
	v6 = strchr(address, ':') != NULL;
	snprintf(listen, sizeof listen, "%s%s%s:%d", v6 ? "[" : "", address, v6 ? "]" : "",
		 self->port + p->options.port_offset);
	return stream_server_new(&options, &p->loop, 1, &p->server, err);
}

enum status
dax_peers_new(const struct dax_peers_options *options, struct dax_peers **ret, struct err *err)
{
	struct dax_peers *p = calloc(1, sizeof *p);
	pthread_condattr_t monotonic;
	enum status s = S_OK;

	*ret = NULL;
	if (p == NULL)
		abort();
	p->options = *options;
	buf_put_slice(&p->secret, options->secret);
	p->list_hash = hash_nodes(options);
	p->me.started_ms = clock_real_ms();
	crypto_random(&p->me.incarnation, sizeof p->me.incarnation);
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&p->acked, &monotonic);
	pthread_condattr_destroy(&monotonic);
	for (size_t i = 0; s == S_OK && i < options->node_count; i++) {
		p->peers[i].home = p;
		p->peers[i].index = (int)i;
		s = resolve(&p->peers[i], options->nodes[i], err);
	}
	if (s == S_OK)
		s = loop_new(0, &p->loop, err);
	if (s == S_OK)
		s = listen_for_peers(p, err);
	if (s != S_OK) {
		dax_peers_free(p);
		return s;
	}
	p->task.run = on_task;
	p->timer.fire = on_tick;
	loop_timer_set(p->loop, &p->timer, clock_mono_ns());
	peers_look_around(p);
	cache_watch(options->cache, copied_here, p);
	dax_lists_on_sync(options->lists, share_lists, p);
	p->running = pthread_create(&p->thread, NULL, run, p) == 0;
	if (!p->running) {
		dax_peers_free(p);
		return err_set(err, S_INTERNAL, "a thread could not be started");
	}
	*ret = p;
	return S_OK;
}

void
dax_peers_leave(struct dax_peers *p)
{
	atomic_store(&p->leaving, true);
	wake(p);
}

void
dax_peers_free(struct dax_peers *p)
{
	if (p == NULL)
		return;
	if (p->running) {
		loop_stop(p->loop);
		pthread_join(p->thread, NULL);
	}
	cache_watch(p->options.cache, NULL, NULL); /* the thread asks who watches, too, when it keeps a copy */
	dax_lists_on_sync(p->options.lists, NULL, NULL);
	for (size_t i = 0; i < p->options.node_count; i++) {
		if (p->peers[i].state != PEER_DOWN)
			close(p->peers[i].fd.fd);
		buf_done(&p->peers[i].in);
		buf_done(&p->peers[i].out);
	}
	stream_server_free(p->server);
	loop_free(p->loop);
	buf_done(&p->outbox);
	buf_done(&p->taken);
	if (p->secret.len > 0)
		explicit_bzero(p->secret.data, p->secret.len);
	buf_done(&p->secret);
	pthread_cond_destroy(&p->acked);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

void
dax_peers_write_metrics(struct dax_peers *p, struct buf *out)
{
	static const char *const helps[] = {"Whether the node is there.", "Copies of cache entries sent to it.",
					    "Copies it could not take."};
	static const char *const names[] = {"stator_dax_peer_up", "stator_dax_peer_copies_total",
					    "stator_dax_peer_dropped_total"};

	for (int family = 0; family < 3; family++) {
		buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", names[family], helps[family], names[family],
			   family == 0 ? "gauge" : "counter");
		for (size_t i = 0; i < p->options.node_count; i++) {
			const struct peer *peer = &p->peers[i];
			uint64_t value = family == 1 ? atomic_load(&peer->copies) : atomic_load(&peer->dropped);

			if (family == 0) {
				pthread_mutex_lock(&p->lock);
				value = peer->alive;
				pthread_mutex_unlock(&p->lock);
			}
			if (i != p->options.self)
				buf_printf(out, "%s{peer=\"%s\"} %llu\n", names[family], p->options.nodes[i],
					   (unsigned long long)value);
		}
	}
	buf_printf(out,
		   "# HELP stator_dax_peers_received_total Copies received from other nodes.\n"
		   "# TYPE stator_dax_peers_received_total counter\nstator_dax_peers_received_total %llu\n"
		   "# HELP stator_dax_peers_refused_total Connections that were none of another node.\n"
		   "# TYPE stator_dax_peers_refused_total counter\nstator_dax_peers_refused_total %llu\n",
		   (unsigned long long)atomic_load(&p->received), (unsigned long long)atomic_load(&p->refused));
}
