#include "io/stream_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define POOL_BUF_BYTES (64 * 1024)
#define SMALL_BYTES    (64 * 1024)
#define SPARE_IDLE_MS  1000 /* as in io/http.h */
#define SPARE_HALF_MS  5000
#define LAST_READS     16
#define PIECE_BYTES    (128 * 1024) /* so much of one connection's answers is sent before the others have their turn */

#define CUT_OFF_EACH_NS 1000000 /* as in http_conn.c */
#define FEW_STREAMS     256

/* --- what handlers use --- */

void *
stream_state(struct stream *s)
{
	return s->state;
}

void *
stream_context(const struct stream *s)
{
	return s->home->server->options.context;
}

struct buf *
stream_out(struct stream *s)
{
	return &s->out;
}

void
stream_set_flow(struct stream *s, struct job_flow flow)
{
	bool queued = s->job.queued;

	loop_job_remove(s->home->loop, &s->job);
	s->job.flow = flow;
	if (queued)
		loop_job_add(s->home->loop, &s->job);
}

struct loop *
stream_loop(const struct stream *s)
{
	return s->home->loop;
}

bool
stream_is_secure(const struct stream *s)
{
	return s->ssl != NULL;
}

const char *
stream_peer(const struct stream *s)
{
	return s->peer;
}

int
stream_local_address(const struct stream *s, uint8_t ret[16], int *ret_port)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_storage all;
	} address = {.all = {0}};
	socklen_t len = sizeof address;

	if (getsockname(s->fd.fd, &address.any, &len) != 0)
		return 0;
	if (address.any.sa_family == AF_INET6) {
		*ret_port = ntohs(address.in6.sin6_port);
		if (IN6_IS_ADDR_V4MAPPED(&address.in6.sin6_addr)) {
			memcpy(ret, address.in6.sin6_addr.s6_addr + 12, 4);
			return 4;
		}
		memcpy(ret, address.in6.sin6_addr.s6_addr, 16);
		return 16;
	}
	*ret_port = ntohs(address.in.sin_port);
	memcpy(ret, &address.in.sin_addr, 4);
	return 4;
}

/* --- life of a connection --- */

/* Receive, send or close, when its turn comes. */
static void
want_turn(struct stream *s)
{
	if (!s->dead)
		loop_job_add(s->home->loop, &s->job);
}

static void
set_active(struct stream *s, bool active)
{
	if (s->active == active)
		return;
	s->active = active;
	atomic_store_explicit(&s->home->active,
			      atomic_load_explicit(&s->home->active, memory_order_relaxed) + (active ? 1 : -1),
			      memory_order_relaxed);
}

static void
count_in(struct stream *s)
{
	size_t now = s->in.cap;

	if (now != s->counted)
		atomic_fetch_add_explicit(&s->home->server->in_bytes, now - s->counted, memory_order_relaxed);
	s->counted = now;
}

/* What its answers take while the client has not taken them. */
static void
count_unsent(struct stream *s)
{
	size_t now = s->sent < s->out.len ? s->out.cap : 0;

	if (now != s->owed)
		atomic_fetch_add_explicit(&s->home->server->unsent_bytes, now - s->owed, memory_order_relaxed);
	s->owed = now;
}

void
stream_conn_close(struct stream *s)
{
	struct stream_home *home = s->home;

	if (s->dead)
		return;
	s->dead = true;
	home->server->options.handler->closed(s);
	set_active(s, false);
	loop_timer_clear(home->loop, &s->timer);
	loop_job_remove(home->loop, &s->job);
	loop_remove(home->loop, &s->fd);
	if (s->ssl != NULL) {
		if (!s->handshaking && !s->tls_broken)
			(void)SSL_shutdown(s->ssl);
		ERR_clear_error();
		SSL_free(s->ssl);
		s->ssl = NULL;
	}
	close(s->fd.fd);
	buf_done(&s->in);
	count_in(s);
	buf_done(&s->out);
	s->sent = 0;
	count_unsent(s);
	places_remove(&home->streams, &s->place);
	s->dead_next = home->dead;
	home->dead = s;
	atomic_fetch_sub(&home->server->connections, 1);
}

void
stream_conn_bury(struct stream_home *home)
{
	struct stream *s = home->dead, *next;

	home->dead = NULL;
	for (; s != NULL; s = next) {
		next = s->dead_next;
		free(s);
	}
}

/* --- time --- */

static int64_t
deadline(const struct stream *s)
{
	const struct stream_limits *limits = &s->home->server->options.limits;

	if (s->sent < s->out.len)
		return s->progress_ns + (int64_t)limits->write_ms * 1000000;
	if (s->handshaking || s->half_since_ns != 0)
		return s->half_since_ns + (int64_t)limits->request_ms * 1000000;
	if (s->waiting)
		return 0;
	return s->idle_since_ns + (int64_t)limits->idle_ms * 1000000;
}

static void
arm(struct stream *s)
{
	const struct stream_limits *limits = &s->home->server->options.limits;
	int64_t latest = loop_now_ns(s->home->loop) + (int64_t)limits->idle_ms * 1000000, due = deadline(s);

	if (due == 0 || due > latest)
		due = latest;
	if (s->timer.due_ns == 0 || due < s->timer.due_ns)
		loop_timer_set(s->home->loop, &s->timer, due);
}

static void
timed_out(struct loop_timer *t)
{
	struct stream *s = (struct stream *)((char *)t - offsetof(struct stream, timer));
	int64_t due = deadline(s);

	if (due == 0 || due > loop_now_ns(s->home->loop)) {
		arm(s);
		return;
	}
	if (s->sent < s->out.len)
		COUNT(s->home, closed_unread, 1);
	else if (s->half_since_ns != 0)
		COUNT(s->home, closed_slow, 1);
	else
		COUNT(s->home, closed_idle, 1);
	stream_conn_close(s);
}

/* --- bytes --- */

/* -1: nothing now; -2: broken; 0: the end. */
static ssize_t
tls_result(struct stream *s, int result)
{
	switch (SSL_get_error(s->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		s->readable = false;
		return -1;
	case SSL_ERROR_WANT_WRITE:
		s->writable = false;
		return -1;
	case SSL_ERROR_ZERO_RETURN:
		s->readable = false;
		return 0;
	default:
		s->readable = false;
		s->tls_broken = true;
		ERR_clear_error();
		return -2;
	}
}

static ssize_t
receive(struct stream *s, void *data, size_t len)
{
	ssize_t n;

	if (s->ssl != NULL) {
		size_t got = 0;
		int result;

		ERR_clear_error();
		result = SSL_read_ex(s->ssl, data, len, &got);
		n = result == 1 ? (ssize_t)got : tls_result(s, result);
	} else {
		n = recv(s->fd.fd, data, len, 0);
		if (n < 0)
			n = errno == EAGAIN || errno == EINTR ? -1 : -2;
		/* less than asked for is all there was, unless the end comes right behind */
		if (n < (ssize_t)len && !(n > 0 && s->hung_up))
			s->readable = false;
	}
	if (n > 0)
		COUNT(s->home, received_bytes, (uint64_t)n);
	return n;
}

static ssize_t
transmit(struct stream *s, const void *data, size_t len)
{
	ssize_t n;

	if (s->ssl != NULL) {
		size_t put = 0;
		int result;

		ERR_clear_error();
		result = SSL_write_ex(s->ssl, data, len, &put);
		n = result == 1 ? (ssize_t)put : tls_result(s, result);
		return n == 0 ? -2 : n;
	}
	n = send(s->fd.fd, data, len, MSG_NOSIGNAL);
	if (n >= 0)
		return n;
	if (errno != EAGAIN && errno != EINTR)
		return -2;
	s->writable = false;
	return -1;
}

static bool
shake_hands(struct stream *s)
{
	int result;

	ERR_clear_error();
	result = SSL_do_handshake(s->ssl);
	if (result == 1) {
		s->handshaking = false;
		s->half_since_ns = 0;
		s->idle_since_ns = loop_now_ns(s->home->loop);
		return true;
	}
	if (tls_result(s, result) != -1) {
		COUNT(s->home, handshakes_failed, 1);
		stream_conn_close(s);
	}
	return false;
}

/* --- reading --- */

static void
lend_out(struct stream *s)
{
	struct stream_home *home = s->home;

	if (s->out.cap == 0 && home->pool_count > 0)
		s->out = home->pool[--home->pool_count];
}

static void
give_back_out(struct stream *s)
{
	struct stream_home *home = s->home;

	s->out.len = s->sent = 0;
	if (s->out.cap > 0 && s->out.cap <= POOL_BUF_BYTES && home->pool_count < POOL_BUFS)
		home->pool[home->pool_count++] = s->out;
	else
		buf_done(&s->out);
	s->out = (struct buf){0};
}

/* Hand on data, which is all that is not used yet; what is left is kept in s->in. */
static void
feed(struct stream *s, const char *data, size_t len)
{
	const struct stream_handler *handler = s->home->server->options.handler;
	size_t used = 0, left;
	enum stream_want want;

	lend_out(s);
	want = handler->received(s, data, len, &used);
	left = len - used;
	if (data == s->in.data) {
		if (used > 0 && left > 0)
			memmove(s->in.data, data + used, left);
		s->in.len = left;
	} else if (left > 0) {
		buf_put(&s->in, data + used, left);
	}
	if (left == 0 && s->in.cap > 0)
		buf_done(&s->in);
	count_in(s);
	s->waiting = want == STREAM_TIME;
	if (want == STREAM_END)
		s->ending = true;
	if (s->waiting || s->ending || !handler->is_half(s, left))
		s->half_since_ns = 0;
	else if (s->half_since_ns == 0)
		s->half_since_ns = loop_now_ns(s->home->loop);
	s->idle_since_ns = loop_now_ns(s->home->loop);
}

static void
over_memory(struct stream *s)
{
	size_t limit = s->home->server->options.limits.in_bytes_total;
	size_t total = atomic_load_explicit(&s->home->server->in_bytes, memory_order_relaxed);

	/* small ones go on until it is twice that: a few large ones that come slowly must not keep all others out */
	if (total <= limit ||
	    (s->in.cap <= (limit / 64 < SMALL_BYTES ? limit / 64 : SMALL_BYTES) && total / 2 <= limit))
		return;
	COUNT(s->home, closed_memory, 1);
	stream_conn_close(s);
}

/* Read once. False: nothing more for now. */
static bool
read_once(struct stream *s, size_t *taken)
{
	struct stream_home *home = s->home;
	ssize_t n;

	if (s->in.len == 0) {
		n = receive(s, home->scratch, sizeof home->scratch);
		if (n > 0)
			feed(s, home->scratch, (size_t)n);
	} else {
		buf_reserve(&s->in, s->in.len < SCRATCH_BYTES ? s->in.len + 1024 : SCRATCH_BYTES);
		n = receive(s, s->in.data + s->in.len, s->in.cap - s->in.len);
		if (n > 0) {
			s->in.len += (size_t)n;
			feed(s, s->in.data, s->in.len);
		}
	}
	if (n == -2) {
		stream_conn_close(s);
		return false;
	}
	if (n == 0)
		s->eof = true;
	if (n <= 0)
		return false;
	*taken += (size_t)n;
	over_memory(s);
	return !s->dead;
}

static bool
may_read(const struct stream *s)
{
	return s->readable && !s->waiting && !s->ending && s->out.len - s->sent < SCRATCH_BYTES;
}

static void
pump(struct stream *s)
{
	size_t taken = 0;

	if (s->dead || (s->handshaking && !shake_hands(s)))
		return;
	if (s->in.len > 0 && !s->waiting && !s->ending)
		feed(s, s->in.data, s->in.len); /* what was left when an answer was waited for */
	while (may_read(s)) {
		if (taken > 0 && loop_job_spent(s->home->loop)) {
			want_turn(s);
			break;
		}
		if (!read_once(s, &taken))
			break;
	}
	if (s->dead)
		return;
	if (s->eof && !s->waiting && s->sent == s->out.len) {
		stream_conn_close(s);
		return;
	}
	set_active(s, s->waiting || s->sent < s->out.len);
	if (s->sent == s->out.len && !s->ending && !s->waiting)
		give_back_out(s);
	if (s->half_since_ns != 0)
		arm(s);
}

void
stream_resume(struct stream *s)
{
	s->waiting = false;
	want_turn(s);
}

/* --- writing --- */

static void
flush(struct stream *s)
{
	size_t piece = 0;

	while (s->sent < s->out.len && s->writable) {
		size_t left = s->out.len - s->sent;
		ssize_t n;

		if (piece >= PIECE_BYTES) {
			want_turn(s);
			break;
		}
		n = transmit(s, s->out.data + s->sent, left < PIECE_BYTES ? left : PIECE_BYTES);

		if (n == -2) {
			stream_conn_close(s);
			return;
		}
		if (n < 0)
			break;
		s->sent += (size_t)n;
		piece += (size_t)n;
		s->progress_ns = loop_now_ns(s->home->loop);
		COUNT(s->home, sent_bytes, (uint64_t)n);
	}
	if (s->sent < s->out.len) {
		arm(s);
		return;
	}
	if (!s->waiting)
		give_back_out(s);
	set_active(s, s->waiting);
	if (s->waiting)
		return;
	if (s->ending || s->eof || s->home->draining) {
		/* closing with unread bytes would take the answer back from the client */
		if (s->ending && s->ssl == NULL) {
			shutdown(s->fd.fd, SHUT_WR);
			for (int i = 0; i < LAST_READS && receive(s, s->home->scratch, sizeof s->home->scratch) > 0;
			     i++)
				;
		}
		stream_conn_close(s);
	} else if (s->readable || s->in.len > 0) { /* the handler may have stopped because of what was to be sent */
		want_turn(s);
	}
}

/* While answers that nobody takes need more memory than they may, those of this loop that owe most are closed. Small
 * ones, and those who take what they are sent, go on until it is twice that. */
static void
cut_off(struct stream_home *home)
{
	size_t limit = home->server->options.limits.unsent_bytes_total;

	if (home->streams.count > FEW_STREAMS && loop_now_ns(home->loop) - home->cut_off_ns < CUT_OFF_EACH_NS)
		return; /* looking at all of them each time would be the attack's work */
	home->cut_off_ns = loop_now_ns(home->loop);
	for (;;) {
		size_t total = atomic_load_explicit(&home->server->unsent_bytes, memory_order_relaxed);
		struct stream *most = NULL;

		if (total <= limit)
			return;
		for (struct stream *s = stream_at(home->streams.first); s != NULL; s = stream_at(s->place.next))
			if (s->owed > (most != NULL ? most->owed : 0) && (!s->writable || total / 2 > limit))
				most = s;
		if (most == NULL || (most->owed <= SCRATCH_BYTES && total / 2 <= limit))
			return;
		COUNT(home, closed_unread, 1);
		stream_conn_close(most);
	}
}

static void
run_job(struct loop_job *j)
{
	struct stream *s = (struct stream *)((char *)j - offsetof(struct stream, job));

	if (!s->waiting && !s->ending && (s->in.len > 0 || s->readable || s->handshaking))
		pump(s);
	if (!s->dead && !s->handshaking && (s->out.len > s->sent || s->ending || (s->home->draining && !s->waiting)))
		flush(s);
	if (s->dead)
		return;
	count_unsent(s);
	if (s->owed > 0)
		cut_off(s->home);
}

static void
ready(struct loop_fd *f, uint32_t events)
{
	struct stream *s = (struct stream *)f;

	if (events & (EPOLLERR | EPOLLHUP)) {
		stream_conn_close(s);
		return;
	}
	if (events & EPOLLOUT) {
		s->writable = true;
		if (s->handshaking || s->sent < s->out.len)
			want_turn(s);
	}
	if (events & EPOLLRDHUP)
		s->hung_up = true;
	if (events & (EPOLLIN | EPOLLRDHUP)) {
		s->readable = true;
		want_turn(s);
	}
}

/* --- beginning --- */

static struct stream *
stream_new(struct stream_home *home, int fd, const char *peer)
{
	size_t more = home->server->options.handler->state_bytes;
	struct stream *s = aligned_alloc(16, (sizeof *s + more + 15) & ~(size_t)15);

	if (s == NULL)
		abort();
	memset(s, 0, sizeof *s + more);
	s->home = home;
	s->fd.fd = fd;
	s->fd.ready = ready;
	s->job = (struct loop_job){.run = run_job, .flow = {.tenant = job_hash_peer(peer)}};
	s->timer.fire = timed_out;
	s->writable = true;
	s->idle_since_ns = s->progress_ns = loop_now_ns(home->loop);
	memcpy(s->peer, peer, sizeof s->peer);
	if (loop_add(home->loop, &s->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, NULL) != S_OK) {
		free(s);
		return NULL;
	}
	places_add(&home->streams, &s->place);
	atomic_fetch_add(&home->server->connections, 1);
	COUNT(home, accepted, 1);
	return s;
}

static bool
begin_tls(struct stream *s)
{
	struct stream_server *server = s->home->server;

	pthread_mutex_lock(&server->tls_lock);
	s->ssl = SSL_new(server->tls);
	pthread_mutex_unlock(&server->tls_lock);
	if (s->ssl == NULL || SSL_set_fd(s->ssl, s->fd.fd) != 1)
		return false;
	SSL_set_accept_state(s->ssl);
	s->handshaking = true;
	s->half_since_ns = loop_now_ns(s->home->loop);
	return true;
}

void
stream_conn_begin(struct stream_home *home, int fd, const char *peer)
{
	struct stream_server *server = home->server;
	struct stream *s = stream_new(home, fd, peer);

	if (s == NULL) {
		close(fd);
		return;
	}
	server->options.handler->opened(s, server->options.context);
	if (server->options.tls_cert != NULL && !begin_tls(s)) {
		stream_conn_close(s);
		return;
	}
	/* from the first moment on it owes its first message */
	s->half_since_ns = loop_now_ns(home->loop);
	arm(s);
	s->readable = true;
	want_turn(s);
}

/* How long it has kept a place without using it; 0: it is at work. */
int64_t
stream_conn_unused_ns(const struct place *p)
{
	const struct stream *s = (const struct stream *)((const char *)p - offsetof(struct stream, place));
	int64_t now = loop_now_ns(s->home->loop);

	if (s->waiting || s->sent < s->out.len)
		return 0;
	if (s->half_since_ns != 0)
		return now - s->half_since_ns > (int64_t)SPARE_HALF_MS * 1000000 ? now - s->half_since_ns : 0;
	return now - s->idle_since_ns > (int64_t)SPARE_IDLE_MS * 1000000 ? now - s->idle_since_ns : 0;
}

void
stream_conn_drain(struct stream *s)
{
	s->ending = true;
	if (!s->waiting && s->sent == s->out.len)
		stream_conn_close(s);
}
