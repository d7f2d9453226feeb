/* The connection to another node: what is pushed through it. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "front/dax_peers_int.h"

#define UNSENT_MAX   ((size_t)16 << 20) /* to one peer */
#define RECEIVE_STEP (64 * 1024)

void
peer_disconnect(struct peer *peer)
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
	peers_look_around(peer->home);
}

void
peer_flush(struct peer *peer)
{
	while (peer->sent < peer->out.len) {
		ssize_t n = send(peer->fd.fd, peer->out.data + peer->sent, peer->out.len - peer->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			peer_disconnect(peer);
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
void
peer_put_lists(struct peer *peer)
{
	const struct dax_list *next;

	while (peer->out.len - peer->sent < UNSENT_MAX &&
	       (next = dax_lists_after(peer->home->options.lists, peer->list)) != NULL) {
		wire_put(&peer->wire, WIRE_LIST, next->wire, &peer->out);
		peer->list = next;
		peer->lists++;
	}
}

void
peer_put_state(struct peer *peer)
{
	struct buf payload = {0};

	wire_put_state(&peer->home->me, &payload);
	wire_put(&peer->wire, WIRE_STATE, buf_slice(&payload), &peer->out);
	buf_done(&payload);
}

/* What it has may be older than writes that it was not told of. */
void
peer_put_clear(struct peer *peer)
{
	if (!peer->lost)
		return;
	wire_put(&peer->wire, WIRE_CLEAR, SLICE_NONE, &peer->out);
	peer->lost = false;
}

void
peer_put_copy(struct peer *peer, struct slice copy)
{
	bool write = copy.len > 0 && (copy.data[0] & 2) != 0;

	if (peer->state != PEER_UP || peer->out.len - peer->sent + copy.len > UNSENT_MAX) {
		peer->lost |= write;
		atomic_fetch_add_explicit(&peer->dropped, 1, memory_order_relaxed);
		return;
	}
	peer_put_clear(peer);
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
	peer_flush(peer);
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
		peer_put_state(peer);
		peer_put_lists(peer);
		peer_flush(peer);
		return true;
	}
	if (peer->state != PEER_UP || type != WIRE_STATE || !wire_read_state(payload, &told))
		return false;
	peers_heard(p, peer->index, &told);
	pthread_mutex_lock(&p->lock);
	peer->acked = told.lists;
	pthread_cond_broadcast(&p->acked);
	pthread_mutex_unlock(&p->lock);
	peers_look_around(p);
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
		peer_disconnect(peer);
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
		peer_disconnect(peer);
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
			peer_disconnect(peer);
		else if (events & EPOLLOUT)
			greet(peer);
		return;
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		receive(peer);
	if (peer->state != PEER_DOWN && (events & EPOLLOUT))
		peer_flush(peer);
}

void
peer_dial(struct peer *peer)
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
