#include "io/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "io/listen.h"

#define SCRATCH_BYTES   (64 * 1024)
#define POOL_BUFS       256
#define POOL_BUF_BYTES  (64 * 1024)
#define ACCEPT_BATCH    64
#define SMALL_BYTES     (64 * 1024)
#define SPARE_IDLE_MS   1000 /* as in io/http.h */
#define SPARE_HALF_MS   5000
#define LOOK_AT         64
#define ACCEPT_PAUSE_MS 100

struct stream_home;

struct stream {
	struct loop_fd fd; /* first: ready() is given this */
	struct loop_timer timer;
	struct stream_home *home;
	struct stream *next, *prev;
	struct loop_job job; /* receive, hand on, send */
	struct stream *dead_next;
	bool dead;
	bool handshaking, tls_broken;
	bool readable, writable; /* edges seen and not used up */
	bool hung_up, eof;
	bool waiting; /* the handler runs something */
	bool ending;  /* close when out is sent */
	bool active;  /* counted in home->active */
	struct buf in, out;
	size_t sent; /* of out */
	size_t counted;
	int64_t idle_since_ns, half_since_ns, progress_ns;
	SSL *ssl;
	char peer[64];
	_Alignas(16) char state[];
};

struct stream_figures {
	_Atomic uint64_t accepted, received_bytes, sent_bytes, handshakes_failed;
	_Atomic uint64_t closed_idle, closed_slow, closed_unread, closed_limit, closed_memory, closed_for_room;
};
#define COUNT(home, name, by)                                                                                          \
	atomic_store_explicit(&(home)->figures.name,                                                                   \
			      atomic_load_explicit(&(home)->figures.name, memory_order_relaxed) + (by),                \
			      memory_order_relaxed)

struct stream_home {
	struct stream_server *server;
	struct loop *loop;
	struct loop_fd listener;
	struct loop_timer accept_timer;
	int reserve_fd;
	bool draining;
	struct stream *streams, *dead, *look; /* the next to look at when room is needed */
	int stream_count;
	struct loop_task drain_task;
	atomic_bool drain_posted;
	_Atomic int active;
	struct buf pool[POOL_BUFS];
	int pool_count;
	struct stream_figures figures;
	char scratch[SCRATCH_BYTES];
};

struct stream_server {
	struct stream_server_options options; /* its strings are copies */
	_Atomic int connections;
	_Atomic size_t in_bytes;
	pthread_mutex_t tls_lock;
	SSL_CTX *tls;
	char address[96];
	int loop_count;
	struct stream_home *homes[];
};

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
	struct sockaddr_storage address = {0};
	socklen_t len = sizeof address;

	if (getsockname(s->fd.fd, (struct sockaddr *)&address, &len) != 0)
		return 0;
	if (address.ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address;

		*ret_port = ntohs(in6->sin6_port);
		if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
			memcpy(ret, in6->sin6_addr.s6_addr + 12, 4);
			return 4;
		}
		memcpy(ret, in6->sin6_addr.s6_addr, 16);
		return 16;
	}
	*ret_port = ntohs(((const struct sockaddr_in *)&address)->sin_port);
	memcpy(ret, &((const struct sockaddr_in *)&address)->sin_addr, 4);
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

static void
close_stream(struct stream *s)
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
	if (s->prev != NULL)
		s->prev->next = s->next;
	else
		home->streams = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	if (home->look == s)
		home->look = s->next;
	home->stream_count--;
	s->dead_next = home->dead;
	home->dead = s;
	atomic_fetch_sub(&home->server->connections, 1);
}

static void
bury(struct stream_home *home)
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
	close_stream(s);
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
		close_stream(s);
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
	close_stream(s);
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
		close_stream(s);
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
		close_stream(s);
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
	while (s->sent < s->out.len && s->writable) {
		ssize_t n = transmit(s, s->out.data + s->sent, s->out.len - s->sent);

		if (n == -2) {
			close_stream(s);
			return;
		}
		if (n < 0)
			break;
		s->sent += (size_t)n;
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
			while (receive(s, s->home->scratch, sizeof s->home->scratch) > 0)
				;
		}
		close_stream(s);
	} else if (s->readable || s->in.len > 0) { /* the handler may have stopped because of what was to be sent */
		want_turn(s);
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
}

static void
turn_end(struct loop *l, void *context)
{
	struct stream_home *home = context;

	(void)l;
	if (home->dead != NULL)
		bury(home);
}

static void
ready(struct loop_fd *f, uint32_t events)
{
	struct stream *s = (struct stream *)f;

	if (events & (EPOLLERR | EPOLLHUP)) {
		close_stream(s);
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

/* --- accepting --- */

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
	s->next = home->streams;
	if (s->next != NULL)
		s->next->prev = s;
	home->streams = s;
	home->stream_count++;
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

/* How long it has kept a place without using it; 0: it is at work. */
static int64_t
unused_ns(const struct stream *s)
{
	int64_t now = loop_now_ns(s->home->loop);

	if (s->waiting || s->sent < s->out.len)
		return 0;
	if (s->half_since_ns != 0)
		return now - s->half_since_ns > (int64_t)SPARE_HALF_MS * 1000000 ? now - s->half_since_ns : 0;
	return now - s->idle_since_ns > (int64_t)SPARE_IDLE_MS * 1000000 ? now - s->idle_since_ns : 0;
}

/* All places are taken: close one that has been unused for long. False: none of the few looked at is. */
static bool
make_room(struct stream_home *home)
{
	struct stream *most = NULL;
	int64_t longest_ns = 0;

	for (int i = 0; i < LOOK_AT && i < home->stream_count; i++) {
		struct stream *s = home->look != NULL ? home->look : home->streams;

		home->look = s->next;
		if (unused_ns(s) > longest_ns) {
			longest_ns = unused_ns(s);
			most = s;
		}
	}
	if (most == NULL)
		return false;
	COUNT(home, closed_for_room, 1);
	close_stream(most);
	return true;
}

static void
accepted(struct stream_home *home, int fd, const struct sockaddr_storage *address)
{
	struct stream_server *server = home->server;
	struct stream *s;
	char peer[64] = "";

	if (atomic_load(&server->connections) >= server->options.limits.connections && !make_room(home)) {
		COUNT(home, closed_limit, 1);
		close(fd);
		return;
	}
	listen_format(address, peer, sizeof peer);
	s = stream_new(home, fd, peer);
	if (s == NULL) {
		close(fd);
		return;
	}
	server->options.handler->opened(s, server->options.context);
	if (server->options.tls_cert != NULL && !begin_tls(s)) {
		close_stream(s);
		return;
	}
	/* from the first moment on it owes its first message */
	s->half_since_ns = loop_now_ns(home->loop);
	arm(s);
	s->readable = true;
	want_turn(s);
}

static void
accept_pause(struct stream_home *home)
{
	loop_change(home->loop, &home->listener, 0);
	loop_timer_set(home->loop, &home->accept_timer, loop_now_ns(home->loop) + (int64_t)ACCEPT_PAUSE_MS * 1000000);
}

static void
accept_resume(struct loop_timer *t)
{
	struct stream_home *home = (struct stream_home *)((char *)t - offsetof(struct stream_home, accept_timer));

	if (home->reserve_fd < 0)
		home->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (home->listener.fd >= 0)
		loop_change(home->loop, &home->listener, EPOLLIN);
}

/* No descriptors left: who waits is told by a close. */
static void
accept_and_drop(struct stream_home *home)
{
	int fd;

	for (int i = 0; i < ACCEPT_BATCH && home->reserve_fd >= 0; i++) {
		close(home->reserve_fd);
		home->reserve_fd = -1;
		fd = accept4(home->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0)
			close(fd);
		home->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			break;
	}
	accept_pause(home);
}

static void
accept_ready(struct loop_fd *f, uint32_t events)
{
	struct stream_home *home = (struct stream_home *)((char *)f - offsetof(struct stream_home, listener));

	(void)events;
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		struct sockaddr_storage address;
		socklen_t len = sizeof address;
		int fd = accept4(f->fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0)
			accepted(home, fd, &address);
		else if (errno == EMFILE || errno == ENFILE)
			accept_and_drop(home);
		else if (errno == ENOBUFS || errno == ENOMEM)
			accept_pause(home);
		else if (errno == ECONNABORTED || errno == EINTR || errno == EPROTO || errno == EPERM)
			continue;
		if (fd < 0)
			return;
	}
}

/* --- the server --- */

static void
drain_loop(struct loop_task *t)
{
	struct stream_home *home = (struct stream_home *)((char *)t - offsetof(struct stream_home, drain_task));
	struct stream *s, *next;

	home->draining = true;
	if (home->listener.fd >= 0) {
		loop_remove(home->loop, &home->listener);
		close(home->listener.fd);
		home->listener.fd = -1;
	}
	for (s = home->streams; s != NULL; s = next) {
		next = s->next;
		s->ending = true; /* nothing more is read */
		if (!s->waiting && s->sent == s->out.len)
			close_stream(s);
	}
}

static enum status
open_home(struct stream_server *server, int i, struct loop *l, struct sockaddr_storage *address, socklen_t len,
	  struct err *err)
{
	struct stream_home *home = calloc(1, sizeof *home);
	enum status status;

	if (home == NULL)
		abort();
	server->homes[i] = home;
	home->server = server;
	home->loop = l;
	home->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	home->listener.ready = accept_ready;
	home->accept_timer.fire = accept_resume;
	home->drain_task.run = drain_loop;
	home->listener.fd = listen_socket(address, len, i == 0);
	if (home->listener.fd < 0)
		return err_set(err, S_IO, "cannot listen on %s: %s", server->options.listen, strerror(errno));
	status = loop_add(l, &home->listener, EPOLLIN, err);
	if (status == S_OK)
		loop_on_flush(l, turn_end, home);
	return status;
}

enum status
stream_server_reload_tls(struct stream_server *s, struct err *err)
{
	SSL_CTX *fresh, *old;
	enum status status = tls_context_new(s->options.tls_cert, s->options.tls_key, &fresh, err);

	if (status != S_OK)
		return status;
	pthread_mutex_lock(&s->tls_lock);
	old = s->tls;
	s->tls = fresh;
	pthread_mutex_unlock(&s->tls_lock);
	SSL_CTX_free(old);
	return S_OK;
}

static char *
copy_text(const char *text)
{
	return text != NULL ? strdup(text) : NULL;
}

enum status
stream_server_new(const struct stream_server_options *options, struct loop **loops, int loop_count,
		  struct stream_server **ret, struct err *err)
{
	struct stream_server *s = calloc(1, sizeof *s + sizeof s->homes[0] * (size_t)loop_count);
	struct sockaddr_storage address = {0};
	socklen_t len = 0;
	enum status status;

	*ret = NULL;
	if (s == NULL)
		abort();
	signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
	s->options = *options;
	s->options.name = copy_text(options->name);
	s->options.listen = copy_text(options->listen);
	s->options.tls_cert = copy_text(options->tls_cert);
	s->options.tls_key = copy_text(options->tls_key);
	pthread_mutex_init(&s->tls_lock, NULL);
	status = listen_parse(options->listen, &address, &len, err);
	if (status == S_OK && options->tls_cert != NULL)
		status = stream_server_reload_tls(s, err);
	for (int i = 0; i < loop_count && status == S_OK; i++) {
		status = open_home(s, i, loops[i], &address, len, err);
		s->loop_count = i + 1;
	}
	if (status != S_OK) {
		stream_server_free(s);
		return status;
	}
	listen_format(&address, s->address, sizeof s->address);
	*ret = s;
	return S_OK;
}

static void
close_home(struct stream_home *home)
{
	if (home == NULL)
		return;
	while (home->streams != NULL)
		close_stream(home->streams);
	bury(home);
	while (home->pool_count > 0)
		buf_done(&home->pool[--home->pool_count]);
	if (home->listener.fd >= 0) {
		loop_remove(home->loop, &home->listener);
		close(home->listener.fd);
	}
	loop_timer_clear(home->loop, &home->accept_timer);
	if (home->reserve_fd >= 0)
		close(home->reserve_fd);
	free(home);
}

void
stream_server_free(struct stream_server *s)
{
	if (s == NULL)
		return;
	for (int i = 0; i < s->loop_count; i++)
		close_home(s->homes[i]);
	SSL_CTX_free(s->tls);
	pthread_mutex_destroy(&s->tls_lock);
	free((char *)s->options.name);
	free((char *)s->options.listen);
	free((char *)s->options.tls_cert);
	free((char *)s->options.tls_key);
	free(s);
}

const char *
stream_server_address(const struct stream_server *s)
{
	return s->address;
}

void
stream_server_drain(struct stream_server *s)
{
	for (int i = 0; i < s->loop_count; i++)
		if (!atomic_exchange(&s->homes[i]->drain_posted, true))
			loop_post(s->homes[i]->loop, &s->homes[i]->drain_task);
}

int
stream_server_in_progress(const struct stream_server *s)
{
	int sum = 0;

	for (int i = 0; i < s->loop_count; i++)
		sum += atomic_load_explicit(&s->homes[i]->active, memory_order_relaxed);
	return sum;
}

int
stream_server_connections(const struct stream_server *s)
{
	return atomic_load(&s->connections);
}

#define FIGURE(field, name, label, help)                                                                               \
	{                                                                                                              \
		offsetof(struct stream_figures, field), name, label, help                                              \
	}
static const struct {
	size_t offset;
	const char *name, *label, *help; /* help is told at the first of a name */
} metrics[] = {
    FIGURE(accepted, "connections_total", "", "Connections accepted."),
    FIGURE(received_bytes, "received_bytes_total", "", "Bytes read from clients, without TLS."),
    FIGURE(sent_bytes, "sent_bytes_total", "", "Bytes sent to clients, without TLS."),
    FIGURE(closed_idle, "closed_total", "{reason=\"idle\"}", "Connections closed by the server."),
    FIGURE(closed_slow, "closed_total", "{reason=\"slow\"}", NULL),
    FIGURE(closed_unread, "closed_total", "{reason=\"answers_not_read\"}", NULL),
    FIGURE(closed_limit, "closed_total", "{reason=\"connection_limit\"}", NULL),
    FIGURE(closed_for_room, "closed_total", "{reason=\"room_for_others\"}", NULL),
    FIGURE(closed_memory, "closed_total", "{reason=\"memory\"}", NULL),
    FIGURE(handshakes_failed, "handshakes_failed_total", "", "TLS handshakes that failed."),
};

void
stream_server_write_metrics(const struct stream_server *s, struct buf *out)
{
	for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++) {
		uint64_t sum = 0;

		for (int j = 0; j < s->loop_count; j++)
			sum += atomic_load_explicit(
			    (_Atomic uint64_t *)((char *)&s->homes[j]->figures + metrics[i].offset),
			    memory_order_relaxed);
		if (metrics[i].help != NULL)
			buf_printf(out, "# HELP stator_%s_%s %s\n# TYPE stator_%s_%s counter\n", s->options.name,
				   metrics[i].name, metrics[i].help, s->options.name, metrics[i].name);
		buf_printf(out, "stator_%s_%s%s %llu\n", s->options.name, metrics[i].name, metrics[i].label,
			   (unsigned long long)sum);
	}
	buf_printf(out,
		   "# HELP stator_%s_connections Connections open now.\n"
		   "# TYPE stator_%s_connections gauge\nstator_%s_connections %d\n"
		   "# HELP stator_%s_request_bytes Incomplete requests in memory.\n"
		   "# TYPE stator_%s_request_bytes gauge\nstator_%s_request_bytes %zu\n",
		   s->options.name, s->options.name, s->options.name, stream_server_connections(s), s->options.name,
		   s->options.name, s->options.name, atomic_load(&s->in_bytes));
}
