/* One connection: bytes in and out, its turns, and how long it may take. */
#include "io/http_int.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define POOL_CONNS      256  /* what a loop keeps for the next ones */
#define PROGRESS_BYTES  4096 /* who takes less of its answers in write_ms takes nothing */
#define CUT_OFF_EACH_NS 1000000
#define FEW_CONNS       256
#define BRIEF_BYTES     (16 * 1024) /* sent in a few microseconds */

/* --- connections --- */

static void conn_ready(struct loop_fd *f, uint32_t events);
static void conn_timeout(struct loop_timer *t);
static void read_job(struct loop_job *j);
static void flush_job(struct loop_job *j);

struct conn *
conn_new(struct http_loop *home, int fd, const char *peer)
{
	struct conn *c = home->free_conns;

	if (c != NULL) {
		home->free_conns = c->next;
		home->free_conn_count--;
		memset(c, 0, sizeof *c);
	} else {
		c = calloc(1, sizeof *c);
		if (c == NULL)
			abort(); /* see base/arena.h: limits end long before memory does */
	}
	c->home = home;
	c->fd.fd = fd;
	c->fd.ready = conn_ready;
	c->read_job = (struct loop_job){.run = read_job, .flow = {.tenant = job_hash_peer(peer)}};
	c->flush_job = (struct loop_job){.run = flush_job, .flow = c->read_job.flow};
	c->timer.fire = conn_timeout;
	c->accepted_ns = c->idle_since_ns = c->progress_ns = loop_now_ns(home->loop);
	c->writable = true;
	strncpy(c->peer, peer, sizeof c->peer - 1);
	if (loop_add(home->loop, &c->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, NULL) != S_OK) {
		free(c);
		return NULL;
	}
	places_add(&home->conns, &c->place);
	atomic_fetch_add(&home->server->connections, 1);
	COUNT(home, accepted, 1);
	conn_arm(c);
	return c;
}

void
conn_close(struct conn *c)
{
	struct http_loop *home = c->home;

	if (c->dead)
		return;
	c->dead = true;
	while (c->first != NULL)
		request_free(c->first);
	if (c->h2 != NULL)
		http2_end(c);
	loop_timer_clear(home->loop, &c->timer);
	loop_job_remove(home->loop, &c->read_job);
	loop_job_remove(home->loop, &c->flush_job);
	loop_remove(home->loop, &c->fd);
	if (c->ssl != NULL) {
		tls_goodbye(c);
		tls_end(c);
	}
	close(c->fd.fd);
	block_release(home, c->in);
	c->in = NULL;
	places_remove(&home->conns, &c->place);
	c->next = home->dead;
	home->dead = c;
	atomic_fetch_sub(&home->server->connections, 1);
}

static void
bury(struct http_loop *home)
{
	struct conn *c = home->dead, *next;

	home->dead = NULL;
	for (; c != NULL; c = next) {
		next = c->next;
		if (home->free_conn_count >= POOL_CONNS) {
			free(c);
		} else {
			c->next = home->free_conns;
			home->free_conns = c;
			home->free_conn_count++;
		}
	}
}

/* How long it has kept a place without using it; 0: it is at work. */
static int64_t
unused_ns(const struct place *p)
{
	const struct conn *c = (const struct conn *)((const char *)p - offsetof(struct conn, place));
	int64_t now = loop_now_ns(c->home->loop);
	const struct http_limits *limits = &c->home->server->limits;

	if (c->handshaking)
		return now - c->accepted_ns > (int64_t)limits->spare_half_ms * 1000000 ? now - c->accepted_ns : 0;
	if (c->first == NULL)
		return now - c->idle_since_ns > (int64_t)limits->spare_idle_ms * 1000000 ? now - c->idle_since_ns : 0;
	if (c->h2 == NULL && c->first == c->reading &&
	    now - c->reading->started_ns > (int64_t)limits->spare_half_ms * 1000000)
		return now - c->reading->started_ns;
	return 0;
}

bool
conn_make_room(struct http_loop *home)
{
	struct conn *most = conn_at(places_unused(&home->conns, unused_ns));

	if (most == NULL)
		return false;
	COUNT(home, closed_for_room, 1);
	conn_close(most);
	return true;
}

/* --- bytes in and out --- */

ssize_t
conn_recv(struct conn *c, void *data, size_t len)
{
	ssize_t n = c->ssl != NULL ? tls_recv(c, data, len) : recv(c->fd.fd, data, len, 0);

	if (n > 0) {
		COUNT(c->home, received_bytes, (uint64_t)n);
		/* less than asked for: it is all there was, unless the end comes right behind */
		if ((size_t)n < len && !c->hung_up && c->ssl == NULL)
			c->readable = false;
		return n;
	}
	if (c->ssl != NULL)
		return n;
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		c->readable = false;
		return -1;
	}
	c->readable = false;
	return n == 0 ? 0 : -2;
}

static ssize_t
sent(struct conn *c, ssize_t n)
{
	if (n >= 0) {
		COUNT(c->home, sent_bytes, (uint64_t)n);
		return n;
	}
	if (c->ssl != NULL)
		return n;
	if (errno == EAGAIN || errno == EINTR) {
		c->writable = false;
		return -1;
	}
	return -2;
}

ssize_t
conn_send(struct conn *c, const void *data, size_t len)
{
	if (c->ssl != NULL) {
		ssize_t n = tls_send(c, data, len);

		return sent(c, n == 0 ? -2 : n);
	}
	return sent(c, send(c->fd.fd, data, len, MSG_NOSIGNAL));
}

ssize_t
conn_sendv(struct conn *c, struct iovec *parts, int count)
{
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};

	return sent(c, sendmsg(c->fd.fd, &message, MSG_NOSIGNAL));
}

void
conn_moved(struct conn *c, size_t bytes)
{
	c->moved += bytes;
	if (c->moved < PROGRESS_BYTES && c->unsent > 0)
		return;
	c->moved = 0;
	c->progress_ns = loop_now_ns(c->home->loop);
}

void
conn_progress(struct conn *c, size_t bytes)
{
	if (bytes == 0)
		return;
	c->unsent -= bytes;
	conn_moved(c, bytes);
	atomic_fetch_sub_explicit(&c->home->server->unsent_bytes, bytes, memory_order_relaxed);
}

/* --- reading --- */

static bool
may_read(const struct conn *c)
{
	if (c->h2 != NULL)
		return c->writable || !http2_owes(c); /* see http2.c for what else is held back */
	return c->unsent <= c->home->server->limits.unsent_bytes && !c->closing;
}

/* Throw away what the client still sends, so that closing does not take back the answer. */
static void
linger_read(struct conn *c)
{
	size_t taken = 0;

	while (c->readable) {
		ssize_t n = conn_recv(c, c->home->scratch, SCRATCH_BYTES);

		if (n == 0 || n == -2) {
			conn_close(c);
			return;
		}
		if (n > 0 && (taken += (size_t)n) >= TURN_BYTES) {
			conn_again(c);
			return;
		}
	}
}

static void
conn_end(struct conn *c)
{
	c->eof = true;
	c->closing = true;
	if (c->reading != NULL)
		request_free(c->reading); /* half a request: nobody waits for an answer */
	if (c->first == NULL || c->h2 != NULL)
		conn_close(c);
}

/* False: not yet, or never. */
static bool
shake_hands(struct conn *c)
{
	ssize_t n = tls_handshake(c);

	if (n == -2) {
		COUNT(c->home, handshakes_failed, 1);
		conn_close(c);
	}
	if (n != 1)
		return false;
	c->idle_since_ns = loop_now_ns(c->home->loop);
	if (c->protocol == PROTOCOL_HTTP2)
		http2_begin(c);
	return !c->dead;
}

void
conn_pump(struct conn *c)
{
	if (c->lingering) {
		linger_read(c);
		return;
	}
	if (c->handshaking && !shake_hands(c))
		return;
	if (c->h2 != NULL)
		http2_run_waiting(c);
	else if (c->in != NULL)
		http1_feed(c);
	while (!c->dead && c->readable && may_read(c)) {
		if (!(c->h2 != NULL ? http2_receive(c) : http1_receive(c)))
			break;
		if (!c->dead && c->readable && conn_spent(c)) { /* asks the time, so only when there is more */
			conn_again(c);
			break;
		}
	}
	if (!c->dead && c->eof)
		conn_end(c);
	if (!c->dead && (c->reading != NULL || c->h2 != NULL))
		conn_arm(c);
}

static void
read_job(struct loop_job *j)
{
	conn_pump((struct conn *)((char *)j - offsetof(struct conn, read_job)));
}

static void
conn_ready(struct loop_fd *f, uint32_t events)
{
	struct conn *c = (struct conn *)f;

	if (events & (EPOLLERR | EPOLLHUP)) {
		conn_close(c);
		return;
	}
	if (events & EPOLLOUT && !c->writable) {
		c->writable = true;
		conn_want_flush(c);
		if (c->handshaking)
			conn_again(c);
	}
	if (events & EPOLLRDHUP)
		c->hung_up = true;
	if (events & (EPOLLIN | EPOLLRDHUP)) {
		c->readable = true;
		conn_again(c);
	}
}

void
conn_again(struct conn *c)
{
	if (!c->dead)
		loop_job_add(c->home->loop, &c->read_job);
}

bool
conn_spent(const struct conn *c)
{
	return loop_job_spent(c->home->loop);
}

/* --- writing --- */

void
conn_want_flush(struct conn *c)
{
	if (c->dead)
		return;
	c->flush_job.brief = c->unsent <= BRIEF_BYTES;
	loop_job_add(c->home->loop, &c->flush_job);
}

/* Is something waiting for the client to take it? */
static bool
owes(const struct conn *c)
{
	return c->unsent > 0 || (c->h2 != NULL && http2_owes(c));
}

/* Its client has taken all that was tried. An HTTP/2 client may close its window, and the socket is as writable as
 * ever.
 */
static bool
takes_what_it_is_sent(const struct conn *c)
{
	return c->writable && c->flush_job.queued;
}

/*
 * Too many answers are unread: of this loop's connections those go that owe most, not the one that happened to ask when
 * the limit was passed. Each may owe what a connection may, and who takes what it is sent is sent the rest first; only
 * at twice the limit nobody is spared.
 */
static void
cut_off(struct http_loop *home)
{
	const struct http_limits *limits = &home->server->limits;

	if (home->conns.count > FEW_CONNS && loop_now_ns(home->loop) - home->cut_off_ns < CUT_OFF_EACH_NS)
		return; /* looking at all of them each time would be the attack's work */
	home->cut_off_ns = loop_now_ns(home->loop);
	for (;;) {
		size_t total = atomic_load_explicit(&home->server->unsent_bytes, memory_order_relaxed);
		struct conn *most = NULL;

		if (total <= limits->unsent_bytes_total)
			return;
		for (struct conn *c = conn_at(home->conns.first); c != NULL; c = conn_at(c->place.next))
			if (c->unsent > (most != NULL ? most->unsent : 0) &&
			    (!takes_what_it_is_sent(c) || total / 2 > limits->unsent_bytes_total))
				most = c;
		if (most == NULL || (most->unsent <= limits->unsent_bytes && total / 2 <= limits->unsent_bytes_total))
			return;
		COUNT(home, closed_unread, 1);
		conn_close(most);
	}
}

static void
flush_job(struct loop_job *j)
{
	struct conn *c = (struct conn *)((char *)j - offsetof(struct conn, flush_job));

	if (c->writable && c->h2 != NULL)
		http2_flush(c);
	else if (c->writable && !c->handshaking)
		http1_flush(c);
	if (c->dead || !owes(c))
		return;
	if (c->unsent > 0)
		cut_off(c->home);
	if (!c->dead)
		conn_arm(c);
}

void
http_loop_turn_end(struct loop *l, void *context)
{
	struct http_loop *home = context;
	struct request *r = home->replied, *next;

	(void)l;
	home->replied = NULL;
	for (; r != NULL; r = next) { /* no handler is on the stack any more */
		next = r->replied_next;
		r->in_replied = false;
		if (r->conn == NULL)
			request_recycle(r);
		else
			request_release_input(r);
	}
	if (home->dead != NULL)
		bury(home);
}

void
conn_after_answers(struct conn *c)
{
	c->idle_since_ns = loop_now_ns(c->home->loop);
	if (!c->closing && !c->home->draining) {
		/* what pipelining or back-pressure held up */
		if (c->in != NULL || c->readable)
			conn_again(c);
		return;
	}
	if (c->first != NULL)
		return;
	if (c->eof || !(c->linger || c->readable)) {
		conn_close(c);
		return;
	}
	if (c->lingering)
		return;
	if (c->ssl != NULL)
		tls_goodbye(c);
	shutdown(c->fd.fd, SHUT_WR);
	c->lingering = true;
	c->linger_until_ns = loop_now_ns(c->home->loop) + (int64_t)LINGER_MS * 1000000;
	block_release(c->home, c->in);
	c->in = NULL;
	conn_arm(c);
	if (c->readable)
		conn_again(c);
}

/* --- time --- */

enum deadline { DEADLINE_NONE, DEADLINE_CLOSE, DEADLINE_IDLE, DEADLINE_WRITE, DEADLINE_REQUEST };

static struct request *
oldest_reading(const struct conn *c)
{
	struct request *r = c->reading;

	if (c->h2 != NULL)
		for (r = c->first; r != NULL && r->state != REQUEST_READING;)
			r = r->next;
	return r;
}

static enum deadline
conn_deadline(const struct conn *c, int64_t *ret_due_ns)
{
	const struct http_limits *limits = &c->home->server->limits;
	const struct request *r;

	if (c->lingering) {
		*ret_due_ns = c->linger_until_ns;
		return DEADLINE_CLOSE;
	}
	if (c->handshaking) {
		*ret_due_ns = c->accepted_ns + (int64_t)limits->request_ms * 1000000;
		return DEADLINE_CLOSE;
	}
	if (owes(c)) {
		*ret_due_ns = c->progress_ns + (int64_t)limits->write_ms * 1000000;
		return DEADLINE_WRITE;
	}
	r = oldest_reading(c);
	if (r != NULL) {
		*ret_due_ns = r->started_ns + (int64_t)limits->request_ms * 1000000;
		return DEADLINE_REQUEST;
	}
	if (c->first == NULL) {
		*ret_due_ns = c->idle_since_ns + (int64_t)limits->idle_ms * 1000000;
		return DEADLINE_IDLE;
	}
	return DEADLINE_NONE;
}

void
conn_arm(struct conn *c)
{
	/* never later than this, as nothing sets the timer when a connection becomes idle */
	int64_t idle = loop_now_ns(c->home->loop) + (int64_t)c->home->server->limits.idle_ms * 1000000;
	int64_t due = 0;

	if (conn_deadline(c, &due) == DEADLINE_NONE || due > idle)
		due = idle;
	if (c->timer.due_ns == 0 || due < c->timer.due_ns)
		loop_timer_set(c->home->loop, &c->timer, due);
}

static void
conn_timeout(struct loop_timer *t)
{
	struct conn *c = (struct conn *)((char *)t - offsetof(struct conn, timer));
	int64_t due = 0;
	enum deadline deadline = conn_deadline(c, &due);

	if (deadline == DEADLINE_NONE || due > loop_now_ns(c->home->loop)) {
		conn_arm(c); /* a nearer deadline passed meanwhile by getting its bytes */
		return;
	}
	switch (deadline) {
	case DEADLINE_REQUEST:
		COUNT(c->home, refused_slow, 1);
		request_refuse(oldest_reading(c), 408);
		conn_arm(c);
		return;
	case DEADLINE_IDLE:
		COUNT(c->home, closed_idle, 1);
		if (c->h2 != NULL && c->writable) {
			http2_goodbye(c);
			return;
		}
		break;
	case DEADLINE_WRITE:
		COUNT(c->home, closed_unread, 1);
		break;
	case DEADLINE_CLOSE:
	case DEADLINE_NONE:
		break;
	}
	conn_close(c);
}
