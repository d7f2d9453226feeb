#include "front/dax_peers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "front/dax_wire.h"
#include "io/listen.h"
#include "io/stream.h"

#define OUTBOX_MAX   ((size_t)32 << 20) /* copies on their way from the caches to the thread */
#define UNSENT_MAX   ((size_t)16 << 20) /* to one peer */
#define COPY_MAX     (WIRE_FRAME_MAX / 2)
#define MS           INT64_C(1000000)
#define CONNECT_MS   500
#define RECEIVE_STEP (64 * 1024)

enum peer_state { PEER_DOWN, PEER_CONNECTING, PEER_GREETED, PEER_UP };

struct peer {
	struct loop_fd fd; /* first */
	struct dax_peers *home;
	int index;
	char host[256];
	int port; /* of DAX */
	struct sockaddr_storage address;
	socklen_t address_len;
	/* the connection to it */
	enum peer_state state;
	int64_t since_ns, next_try_ns;
	struct wire wire;
	uint8_t nonce[WIRE_NONCE_BYTES];
	struct buf in, out;
	size_t sent; /* of out */
	const struct dax_list *list;
	uint64_t lists; /* sent through it */
	bool lost;      /* the copy of a write */
	/* what is known of it */
	int64_t heard_ns;
	struct wire_state told;
	bool alive; /* guarded by home->lock, as the next */
	uint64_t acked;
	_Atomic uint64_t copies, dropped;
};

/* A connection from another node. */
struct visitor {
	struct wire wire;
	int from; /* -1: not known yet */
	uint64_t lists;
	bool greeted;
};

struct dax_peers {
	struct dax_peers_options options;
	struct buf secret;
	uint64_t list_hash;
	struct wire_state me;
	struct loop *loop;
	pthread_t thread;
	bool running;
	struct stream_server *server;
	struct loop_timer timer;
	struct loop_task task; /* the outbox has something, or lists are to be shared */
	atomic_bool posted, leaving;
	uint64_t told_hash; /* of the endpoints told last */
	pthread_mutex_t lock;
	pthread_cond_t acked;
	struct buf outbox; /* u32 length, copy's payload; guarded by lock */
	bool outbox_lost;  /* likewise: the copy of a write did not fit */
	struct buf taken;  /* the outbox being handed out */
	_Atomic uint64_t received, refused;
	struct peer peers[DAX_NODES_MAX];
};

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

/* Tell the node and those who wait, when something has changed. */
static void
look_around(struct dax_peers *p)
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

static void
heard(struct dax_peers *p, int index, const struct wire_state *told)
{
	struct peer *peer = &p->peers[index];

	/* peer->lost stays, for one that has started anew, too: it may have read what was written since unheard */
	peer->told = *told;
	peer->heard_ns = clock_mono_ns();
}

/* --- the connection to a peer --- */

static void
disconnect(struct peer *peer)
{
	if (peer->state == PEER_DOWN)
		return;
	loop_remove(peer->home->loop, &peer->fd);
	close(peer->fd.fd);
	if (peer->state == PEER_UP)
		peer->lost = true; /* copies of writes, or the word to forget, may have been on their way */
	peer->state = PEER_DOWN;
	peer->wire.keyed = false;
	peer->in.len = peer->out.len = peer->sent = 0;
	peer->next_try_ns = clock_mono_ns() + PEERS_TICK_MS * MS;
	/* who closes its connections has ended; if it has not, it is heard again soon */
	peer->heard_ns = 0;
	look_around(peer->home);
}

static void
flush(struct peer *peer)
{
	while (peer->sent < peer->out.len) {
		ssize_t n = send(peer->fd.fd, peer->out.data + peer->sent, peer->out.len - peer->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			disconnect(peer);
			return;
		}
		if (n < 0)
			break;
		peer->sent += (size_t)n;
	}
	if (peer->sent == peer->out.len) {
		peer->out.len = peer->sent = 0;
		if (peer->out.cap > (1 << 20))
			buf_done(&peer->out);
	} else if (peer->sent > (1 << 20)) {
		memmove(peer->out.data, peer->out.data + peer->sent, peer->out.len - peer->sent);
		peer->out.len -= peer->sent;
		peer->sent = 0;
	}
	loop_change(peer->home->loop, &peer->fd, EPOLLIN | (peer->out.len > 0 ? EPOLLOUT : 0));
}

/* Lists that it does not have yet: always before the copies that may speak of them. */
static void
put_lists(struct peer *peer)
{
	const struct dax_list *next;

	while (peer->out.len - peer->sent < UNSENT_MAX &&
	       (next = dax_lists_after(peer->home->options.lists, peer->list)) != NULL) {
		wire_put(&peer->wire, WIRE_LIST, next->wire, &peer->out);
		peer->list = next;
		peer->lists++;
	}
}

static void
put_state(struct peer *peer)
{
	struct buf payload = {0};

	wire_put_state(&peer->home->me, &payload);
	wire_put(&peer->wire, WIRE_STATE, buf_slice(&payload), &peer->out);
	buf_done(&payload);
}

/* What it has may be older than writes that it was not told of. */
static void
put_clear(struct peer *peer)
{
	if (!peer->lost)
		return;
	wire_put(&peer->wire, WIRE_CLEAR, SLICE_NONE, &peer->out);
	peer->lost = false;
}

static void
put_copy(struct peer *peer, struct slice copy)
{
	bool write = copy.len > 0 && (copy.data[0] & 2) != 0;

	if (peer->state != PEER_UP || peer->out.len - peer->sent + copy.len > UNSENT_MAX) {
		peer->lost |= write;
		atomic_fetch_add_explicit(&peer->dropped, 1, memory_order_relaxed);
		return;
	}
	put_clear(peer);
	wire_put(&peer->wire, WIRE_COPY, copy, &peer->out);
	atomic_fetch_add_explicit(&peer->copies, 1, memory_order_relaxed);
}

static void
greet(struct peer *peer)
{
	struct dax_peers *p = peer->home;
	struct buf hello = {0};

	buf_put_lit(&hello, WIRE_MAGIC);
	buf_put_byte(&hello, (uint8_t)p->options.self);
	buf_put_byte(&hello, (uint8_t)peer->index);
	buf_put(&hello, &p->list_hash, 8);
	buf_put(&hello, peer->nonce, sizeof peer->nonce);
	wire_put(&peer->wire, WIRE_HELLO, buf_slice(&hello), &peer->out);
	buf_done(&hello);
	peer->state = PEER_GREETED;
	flush(peer);
}

/* False: the connection is no good. */
static bool
take(struct peer *peer, enum wire_type type, struct slice payload)
{
	struct dax_peers *p = peer->home;
	struct wire_state told;

	if (peer->state == PEER_GREETED && type == WIRE_CHALLENGE && payload.len == WIRE_NONCE_BYTES) {
		wire_set_key(&peer->wire, 0, buf_slice(&p->secret), peer->nonce, (const uint8_t *)payload.data,
			     (uint8_t)p->options.self, (uint8_t)peer->index);
		peer->state = PEER_UP;
		peer->list = NULL;
		peer->lists = 0;
		put_state(peer);
		put_lists(peer);
		flush(peer);
		return true;
	}
	if (peer->state != PEER_UP || type != WIRE_STATE || !wire_read_state(payload, &told))
		return false;
	heard(p, peer->index, &told);
	pthread_mutex_lock(&p->lock);
	peer->acked = told.lists;
	pthread_cond_broadcast(&p->acked);
	pthread_mutex_unlock(&p->lock);
	look_around(p);
	return true;
}

static void
receive(struct peer *peer)
{
	enum wire_type type;
	struct slice payload;
	size_t used = 0;
	ssize_t n;
	long len;

	buf_reserve(&peer->in, RECEIVE_STEP);
	n = recv(peer->fd.fd, peer->in.data + peer->in.len, peer->in.cap - peer->in.len, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		disconnect(peer);
		return;
	}
	peer->in.len += (size_t)n;
	while ((len = wire_take(&peer->wire, peer->in.data + used, peer->in.len - used, &type, &payload)) > 0) {
		used += (size_t)len;
		if (!take(peer, type, payload)) {
			len = -1;
			break;
		}
		if (peer->state == PEER_DOWN) /* it broke while it was answered */
			return;
	}
	if (len < 0 || peer->in.len - used > WIRE_FRAME_MAX) {
		log_warn("dax", "what comes from node %s is none of our frames: is its secret the same?",
			 peer->home->options.nodes[peer->index]);
		disconnect(peer);
		return;
	}
	memmove(peer->in.data, peer->in.data + used, peer->in.len - used);
	peer->in.len -= used;
}

static void
on_ready(struct loop_fd *fd, uint32_t events)
{
	struct peer *peer = (struct peer *)fd;
	int failed = 0;
	socklen_t len = sizeof failed;

	if (peer->state == PEER_CONNECTING) {
		if (getsockopt(fd->fd, SOL_SOCKET, SO_ERROR, &failed, &len) != 0 || failed != 0)
			disconnect(peer);
		else if (events & EPOLLOUT)
			greet(peer);
		return;
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		receive(peer);
	if (peer->state != PEER_DOWN && (events & EPOLLOUT))
		flush(peer);
}

static void
dial(struct peer *peer)
{
	struct sockaddr_storage to = peer->address;
	int on = 1, port = peer->port + peer->home->options.port_offset;
	struct err err;

	if (to.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&to)->sin6_port = htons((uint16_t)port);
	else
		((struct sockaddr_in *)&to)->sin_port = htons((uint16_t)port);
	peer->next_try_ns = clock_mono_ns() + PEERS_TICK_MS * MS;
	peer->fd.fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	peer->fd.ready = on_ready;
	if (peer->fd.fd < 0)
		return;
	(void)setsockopt(peer->fd.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if ((connect(peer->fd.fd, (struct sockaddr *)&to, peer->address_len) != 0 && errno != EINPROGRESS) ||
	    loop_add(peer->home->loop, &peer->fd, EPOLLOUT, &err) != S_OK) {
		close(peer->fd.fd);
		return;
	}
	crypto_random(peer->nonce, sizeof peer->nonce);
	peer->since_ns = clock_mono_ns();
	peer->state = PEER_CONNECTING;
}

/* --- connections from peers --- */

static void
visitor_opened(struct stream *s, void *context)
{
	(void)context;
	((struct visitor *)stream_state(s))->from = -1;
}

static bool
meet(struct dax_peers *p, struct visitor *v, struct slice hello, struct buf *out)
{
	static const size_t magic = sizeof WIRE_MAGIC - 1;
	uint8_t nonce[WIRE_NONCE_BYTES];
	size_t from, to;

	if (hello.len != magic + 2 + 8 + WIRE_NONCE_BYTES || memcmp(hello.data, WIRE_MAGIC, magic) != 0)
		return false;
	from = (uint8_t)hello.data[magic];
	to = (uint8_t)hello.data[magic + 1];
	if (from >= p->options.node_count || to != p->options.self || from == to)
		return false;
	if (memcmp(hello.data + magic + 2, &p->list_hash, 8) != 0) {
		log_warn("dax", "node %s was started with another --nodes than this one", p->options.nodes[from]);
		return false;
	}
	crypto_random(nonce, sizeof nonce);
	wire_put(&v->wire, WIRE_CHALLENGE, slice_of(nonce, sizeof nonce), out);
	wire_set_key(&v->wire, 1, buf_slice(&p->secret), (const uint8_t *)hello.data + magic + 10, nonce, (uint8_t)from,
		     (uint8_t)to);
	v->from = (int)from;
	return true;
}

static void
answer_state(struct dax_peers *p, struct visitor *v, struct buf *out)
{
	struct wire_state mine = p->me;
	struct buf payload = {0};

	mine.lists = v->lists;
	wire_put_state(&mine, &payload);
	wire_put(&v->wire, WIRE_STATE, buf_slice(&payload), out);
	buf_done(&payload);
}

/* ret_answer: a sign of life is wanted. False: close the connection. */
static bool
serve(struct dax_peers *p, struct visitor *v, enum wire_type type, struct slice payload, struct buf *out,
      bool *ret_answer)
{
	struct cache_copied copied;
	struct wire_state told;
	struct err err;

	if (v->from < 0)
		return type == WIRE_HELLO && meet(p, v, payload, out);
	switch (type) {
	case WIRE_STATE:
		if (!wire_read_state(payload, &told))
			return false;
		heard(p, v->from, &told);
		look_around(p);
		*ret_answer = true;
		return true;
	case WIRE_LIST:
		if (dax_lists_add_wire(p->options.lists, payload, &err) != S_OK)
			log_warn("dax", "an attribute list of node %s: %s", p->options.nodes[v->from], err.message);
		v->lists++;
		*ret_answer = true;
		return true;
	case WIRE_COPY:
		if (!wire_read_copy(payload, &copied))
			return false;
		cache_copy(p->options.cache, &copied);
		atomic_fetch_add_explicit(&p->received, 1, memory_order_relaxed);
		return true;
	case WIRE_CLEAR:
		cache_clear(p->options.cache);
		return true;
	default:
		return false;
	}
}

static enum stream_want
visitor_received(struct stream *s, const char *data, size_t len, size_t *ret_used)
{
	struct dax_peers *p = stream_context(s);
	struct visitor *v = stream_state(s);
	struct slice payload;
	enum wire_type type;
	bool answer = false;
	size_t used = 0;
	long taken;

	while ((taken = wire_take(&v->wire, data + used, len - used, &type, &payload)) > 0) {
		used += (size_t)taken;
		if (!serve(p, v, type, payload, stream_out(s), &answer)) {
			taken = -1;
			break;
		}
	}
	if (answer)
		answer_state(p, v, stream_out(s));
	*ret_used = used;
	if (taken >= 0)
		return STREAM_BYTES;
	atomic_fetch_add_explicit(&p->refused, 1, memory_order_relaxed);
	log_warn("dax", "a connection from %s to the port of the other nodes is refused", stream_peer(s));
	*ret_used = len;
	return STREAM_END;
}

static bool
visitor_is_half(struct stream *s, size_t unused_bytes)
{
	return unused_bytes > 0 || ((struct visitor *)stream_state(s))->from < 0;
}

static void
visitor_closed(struct stream *s)
{
	(void)s; /* its own connection tells whether the node is still there */
}

static const struct stream_handler visitors = {
    .state_bytes = sizeof(struct visitor),
    .opened = visitor_opened,
    .received = visitor_received,
    .is_half = visitor_is_half,
    .closed = visitor_closed,
};

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
			put_lists(peer);
		for (size_t at = 0; at < p->taken.len;) {
			uint32_t len;

			memcpy(&len, p->taken.data + at, 4);
			put_copy(peer, slice_of(p->taken.data + at + 4, len));
			at += 4 + len;
		}
		if (peer->state == PEER_UP)
			flush(peer);
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
			put_state(&p->peers[i]);
			flush(&p->peers[i]);
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
			dial(peer);
		} else if (peer->state == PEER_UP) {
			put_clear(peer); /* also when nothing more is written */
			put_lists(peer);
			put_state(peer);
			flush(peer);
		} else if (peer->state != PEER_DOWN && now_ns - peer->since_ns > CONNECT_MS * MS) {
			disconnect(peer);
		}
	}
	look_around(p);
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
		       .in_bytes_total = (size_t)DAX_NODES_MAX * WIRE_FRAME_MAX},
	    .handler = &visitors,
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
	look_around(p);
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
