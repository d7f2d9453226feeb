#include "io/http_int.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "codec/gzip.h"

/* What a loop keeps for the next requests. */
#define POOL_CONNS        256
#define POOL_REQUESTS     128
#define POOL_BLOCKS       128
#define KEEP_BODY_BYTES   (64 * 1024)
#define KEEP_OUT_BYTES    (128 * 1024)
#define GZIP_FROM_BYTES   1024
#define SMALL_BYTES       (64 * 1024)
#define PROGRESS_BYTES    4096 /* who takes less of its answers in write_ms takes nothing */
#define CUT_OFF_EACH_NS   1000000
#define FEW_CONNS         256
#define UNPACK_INLINE_MAX (64 * 1024)

static void *
must(void *memory)
{
	if (memory == NULL)
		abort(); /* see base/arena.h: limits end long before memory does */
	return memory;
}

/* --- input blocks --- */

struct block *
block_new(struct http_loop *home, size_t cap)
{
	struct block *b;

	if (cap <= BLOCK_BYTES && home->free_blocks != NULL) {
		b = home->free_blocks;
		home->free_blocks = b->next;
		home->free_block_count--;
	} else {
		if (cap < BLOCK_BYTES)
			cap = BLOCK_BYTES;
		b = must(malloc(sizeof *b + cap));
		b->cap = cap;
	}
	b->refs = 1;
	b->len = 0;
	return b;
}

void
block_release(struct http_loop *home, struct block *b)
{
	if (b == NULL || --b->refs > 0)
		return;
	if (b->cap > BLOCK_BYTES || home->free_block_count >= POOL_BLOCKS) {
		free(b);
		return;
	}
	b->next = home->free_blocks;
	home->free_blocks = b;
	home->free_block_count++;
}

/* --- requests --- */

struct request *
request_new(struct conn *c)
{
	struct http_loop *home = c->home;
	struct request *r = home->free_requests;

	if (r != NULL) {
		home->free_requests = r->next;
		home->free_request_count--;
	} else {
		r = must(calloc(1, sizeof *r));
		r->home = home;
		r->x.loop = home->loop;
		r->x.arena = &r->arena;
		r->x.out = &r->out;
		r->x.headers = r->headers;
	}
	r->conn = c;
	r->x.flow = c->read_job.flow;
	r->state = REQUEST_READING;
	r->started_ns = loop_now_ns(home->loop);
	memcpy(r->x.peer, c->peer, sizeof r->x.peer);
	r->next = NULL;
	r->prev = c->last;
	if (c->last != NULL)
		c->last->next = r;
	else
		c->first = r;
	c->last = r;
	c->queued++;
	return r;
}

static void
buf_recycle(struct buf *b, size_t keep)
{
	if (b->cap > keep)
		buf_done(b);
	b->len = 0;
}

void
request_release_input(struct request *r)
{
	block_release(r->home, r->block);
	r->block = NULL;
	if (r->body_counted > 0) {
		atomic_fetch_sub(&r->home->server->body_bytes, r->body_counted);
		r->body_counted = 0;
	}
	buf_recycle(&r->body, KEEP_BODY_BYTES);
	buf_recycle(&r->unpacked, KEEP_BODY_BYTES);
	arena_reset(&r->arena);
}

void
request_free_memory(struct request *r)
{
	buf_done(&r->body);
	buf_done(&r->unpacked);
	buf_done(&r->head);
	buf_done(&r->out);
	buf_done(&r->gzip_out);
	arena_done(&r->arena);
	free(r);
}

static void
request_recycle(struct request *r)
{
	struct http_loop *home = r->home;

	if (r->state == REQUEST_RUNNING || r->state == REQUEST_REPLIED)
		COUNT(home, in_progress, -1);
	request_release_input(r);
	if (home->free_request_count >= POOL_REQUESTS) {
		request_free_memory(r);
		return;
	}
	buf_recycle(&r->head, BLOCK_BYTES);
	buf_recycle(&r->out, KEEP_OUT_BYTES);
	buf_recycle(&r->gzip_out, KEEP_OUT_BYTES);
	r->x.method = r->x.target = r->x.path = r->x.query = r->x.body = r->x.raw_body = SLICE_NONE;
	r->x.header_count = 0;
	r->x.context = NULL;
	r->x.gone = false;
	r->start = r->header_bytes = r->sent = 0;
	r->part = PART_TARGET;
	r->refusal = r->status = 0;
	r->spilled = r->body_gzip = r->accept_gzip = r->is_head = r->http10 = r->keep_alive = r->want_continue = false;
	r->encoded = r->gzipped = r->x.packed = false;
	r->reply_body = SLICE_NONE;
	r->stream_id = 0;
	r->next = home->free_requests;
	home->free_requests = r;
	home->free_request_count++;
}

static size_t
request_unsent(const struct request *r)
{
	if (r->state != REQUEST_REPLIED)
		return 0;
	return r->head.len + r->reply_body.len - r->sent;
}

static void
request_unlink(struct request *r)
{
	struct conn *c = r->conn;
	size_t unsent = request_unsent(r);

	if (r->prev != NULL)
		r->prev->next = r->next;
	else
		c->first = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
	else
		c->last = r->prev;
	c->queued--;
	if (c->reading == r)
		c->reading = NULL;
	c->unsent -= unsent;
	if (unsent > 0)
		atomic_fetch_sub(&r->home->server->unsent_bytes, unsent);
	r->conn = NULL;
}

void
request_free(struct request *r)
{
	if (r->conn != NULL)
		request_unlink(r);
	if (r->state == REQUEST_RUNNING)
		r->x.gone = true; /* the handler still owes its http_reply() */
	else if (!r->in_replied)
		request_recycle(r);
}

bool
request_count_body(struct request *r, size_t more)
{
	struct http_server *s = r->home->server;
	size_t limit = s->limits.body_bytes_total, total;

	r->body_counted += more;
	total = atomic_fetch_add(&s->body_bytes, more) + more;
	if (total <= limit)
		return true;
	/* the small ones go on until it is twice that: else a few large ones that come slowly would keep all others out
	 */
	return r->body_counted <= (limit / 64 < SMALL_BYTES ? limit / 64 : SMALL_BYTES) && total / 2 <= limit;
}

void
request_split_target(struct request *r)
{
	const char *mark = memchr(r->x.target.data, '?', r->x.target.len);

	r->x.path = r->x.target;
	if (mark != NULL) {
		r->x.path.len = (size_t)(mark - r->x.target.data);
		r->x.query = slice_of(mark + 1, r->x.target.len - r->x.path.len - 1);
	}
}

static bool
same_word(struct slice s, const char *lower, size_t len)
{
	if (s.len != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((s.data[i] >= 'A' && s.data[i] <= 'Z' ? s.data[i] | 0x20 : s.data[i]) != lower[i])
			return false;
	return true;
}
#define SAME_WORD(s, literal) same_word((s), (literal), sizeof(literal) - 1)

static struct slice
trimmed(struct slice s)
{
	while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t')) {
		s.data++;
		s.len--;
	}
	while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* Does Accept-Encoding take gzip? "gzip;q=0" does not. */
static bool
accepts_gzip(struct slice value)
{
	while (value.len > 0) {
		const char *comma = memchr(value.data, ',', value.len);
		struct slice one = value, parameter = SLICE_NONE;
		const char *semicolon;

		if (comma != NULL)
			one.len = (size_t)(comma - value.data);
		value.data += one.len + (comma != NULL);
		value.len -= one.len + (comma != NULL);
		semicolon = memchr(one.data, ';', one.len);
		if (semicolon != NULL) {
			parameter = trimmed(slice_of(semicolon + 1, one.len - (size_t)(semicolon + 1 - one.data)));
			one.len = (size_t)(semicolon - one.data);
		}
		one = trimmed(one);
		if (!SAME_WORD(one, "gzip") && !SAME_WORD(one, "x-gzip") && !SAME_WORD(one, "*"))
			continue;
		if (!slice_starts(parameter, SLICE("q=0")))
			return true;
		for (size_t i = 3; i < parameter.len; i++)
			if (parameter.data[i] >= '1' && parameter.data[i] <= '9')
				return true;
		return false;
	}
	return false;
}

/* A header field the server itself reads; false: it cannot be served, r->refusal says how. */
static bool
scan_header(struct request *r, struct slice name, struct slice value)
{
	switch (name.len) {
	case 6:
		if (slice_eq(name, SLICE("expect"))) {
			if (!SAME_WORD(value, "100-continue"))
				r->refusal = 417;
			r->want_continue = !r->http10;
		}
		break;
	case 15:
		if (slice_eq(name, SLICE("accept-encoding")))
			r->accept_gzip = accepts_gzip(value);
		break;
	case 16:
		if (slice_eq(name, SLICE("content-encoding"))) {
			if (SAME_WORD(value, "gzip") && !r->body_gzip)
				r->body_gzip = true;
			else if (!SAME_WORD(value, "identity") && value.len > 0)
				r->refusal = 415;
		}
		break;
	case 17:
		/* any other coding would leave open where the body ends */
		if (slice_eq(name, SLICE("transfer-encoding")) && !SAME_WORD(value, "chunked"))
			r->refusal = 501;
		break;
	default:
		break;
	}
	return r->refusal == 0;
}

void
request_scan_headers(struct request *r)
{
	for (size_t i = 0; i < r->x.header_count; i++)
		if (!scan_header(r, r->headers[i].name, r->headers[i].value))
			return;
}

void
request_refuse(struct request *r, int status)
{
	r->keep_alive = false;
	r->want_continue = false;
	if (r->conn->h2 == NULL) {
		r->conn->closing = true;
		r->conn->linger = true;
	}
	if (r->conn->reading == r)
		r->conn->reading = NULL;
	if (r->state != REQUEST_RUNNING)
		COUNT(r->home, in_progress, 1);
	r->state = REQUEST_RUNNING;
	r->out.len = 0;
	http_reply(&r->x, status, SLICE_NONE);
}

/* What a gzip member says about its unpacked size, in its last four bytes. */
static size_t
gzip_claims(struct slice packed)
{
	const unsigned char *end = (const unsigned char *)packed.data + packed.len;

	if (packed.len < 18)
		return 0;
	return end[-4] | (size_t)end[-3] << 8 | (size_t)end[-2] << 16 | (size_t)end[-1] << 24;
}

int
http_unpack(struct http_exchange *x)
{
	struct request *r = (struct request *)x;
	size_t max = r->home->server->limits.body_bytes;
	enum status s = gzip_unpack(x->raw_body, max, &r->unpacked, NULL);

	if (!request_count_body(r, r->unpacked.len))
		return 503;
	if (s != S_OK) /* a liar's bomb is damaged data: refused as well */
		return gzip_claims(x->raw_body) > max ? 413 : 400;
	x->packed = false;
	x->body = buf_slice(&r->unpacked);
	return 0;
}

void
http_refuse(struct http_exchange *x, int status)
{
	struct request *r = (struct request *)x;

	if (status == 413)
		COUNT(r->home, refused_body, 1);
	else if (status != 503)
		COUNT(r->home, refused_malformed, 1);
	else
		COUNT(r->home, refused_memory, 1);
	if (r->conn != NULL)
		request_refuse(r, status);
	else
		http_reply(x, status, SLICE_NONE);
}

/* What is small is unpacked here, what is not by the handler, where it may take its time. */
static void
unpack_small(struct request *r)
{
	if (gzip_claims(r->x.raw_body) <= UNPACK_INLINE_MAX && r->x.raw_body.len <= UNPACK_INLINE_MAX &&
	    gzip_unpack(r->x.raw_body, UNPACK_INLINE_MAX, &r->unpacked, NULL) == S_OK &&
	    request_count_body(r, r->unpacked.len)) {
		r->x.body = buf_slice(&r->unpacked);
		return;
	}
	r->unpacked.len = 0;
	r->x.packed = true;
}

void
request_dispatch(struct request *r)
{
	struct http_server *s = r->home->server;

	if (r->spilled)
		r->x.raw_body = buf_slice(&r->body);
	r->x.body = r->x.raw_body;
	if (r->body_gzip && r->x.raw_body.len > 0)
		unpack_small(r);
	r->want_continue = false;
	r->state = REQUEST_RUNNING;
	COUNT(r->home, in_progress, 1);
	s->options.handler(&r->x, s->options.context);
}

struct slice
http_encode(struct http_exchange *x)
{
	struct request *r = (struct request *)x;

	if (!r->encoded) {
		r->encoded = true;
		r->reply_body = buf_slice(&r->out);
		if (r->accept_gzip && r->out.len > GZIP_FROM_BYTES) {
			r->gzip_out.len = 0;
			gzip_put(&r->gzip_out, r->reply_body, 0);
			if (r->gzip_out.len < r->out.len) {
				r->gzipped = true;
				r->reply_body = buf_slice(&r->gzip_out);
			}
		}
	}
	return r->reply_body;
}

void
http_encode_again(struct http_exchange *x)
{
	struct request *r = (struct request *)x;

	r->encoded = r->gzipped = false;
}

/* What is queued goes on in the turns of whose it turned out to be. */
static void
set_flow(struct conn *c, struct job_flow flow)
{
	struct loop_job *jobs[] = {&c->read_job, &c->flush_job};

	if (c->read_job.flow.tenant == flow.tenant && c->read_job.flow.table == flow.table)
		return;
	for (int i = 0; i < 2; i++) {
		bool queued = jobs[i]->queued;

		loop_job_remove(c->home->loop, jobs[i]);
		jobs[i]->flow = flow;
		if (queued)
			loop_job_add(c->home->loop, jobs[i]);
	}
}

void
http_reply(struct http_exchange *x, int status, struct slice headers)
{
	struct request *r = (struct request *)x;
	struct http_loop *home = r->home;
	struct conn *c = r->conn;
	size_t unsent;

	http_encode(x);
	r->status = status;
	r->state = REQUEST_REPLIED;
	r->in_replied = true;
	r->replied_next = home->replied;
	home->replied = r;
	if (c == NULL)
		return; /* recycled when this turn ends */
	set_flow(c, x->flow);
	if (c->h2 != NULL) {
		http2_reply(r, headers);
	} else {
		if (home->draining) {
			r->keep_alive = false;
			c->closing = true;
		}
		http1_render(r, headers);
	}
	unsent = request_unsent(r);
	if (c->unsent == 0) {
		c->progress_ns = loop_now_ns(home->loop);
		c->moved = 0;
	}
	c->unsent += unsent;
	atomic_fetch_add_explicit(&home->server->unsent_bytes, unsent, memory_order_relaxed);
	conn_want_flush(c);
}

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
		c = must(calloc(1, sizeof *c));
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
	if (!c->dead)
		loop_job_add(c->home->loop, &c->flush_job);
}

/* Is something waiting for the client to take it? */
static bool
owes(const struct conn *c)
{
	return c->unsent > 0 || (c->h2 != NULL && http2_owes(c));
}

/*
 * Too many answers are unread: of this loop's connections those go that owe most, not the one that happened to ask when
 * the limit was passed. Each may owe what a connection may; only at twice the limit nobody is spared.
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
			if (c->unsent > (most != NULL ? most->unsent : 0))
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
