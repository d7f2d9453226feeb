#include "bench/client.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define SCRATCH_BYTES  (256u * 1024)
#define HEAD_BYTES_MAX (64u * 1024)
#define BODY_BYTES_MAX (64u << 20) /* of one answer, as far as it is kept */
#define EVENTS_A_TURN  256
#define SILENCE_MAX_NS (60 * INT64_C(1000000000)) /* no answer on any connection: the endpoint hangs */

enum conn_state { CONN_CLOSED, CONN_CONNECTING, CONN_HANDSHAKE, CONN_FREE, CONN_BUSY };

struct conn {
	int fd;
	enum conn_state state;
	uint32_t events;
	SSL *tls;
	struct request *request; /* in flight, or waiting for the connection */
	int64_t due_ns;          /* when it should have left; latency counts from here */
	size_t sent;
	struct buf hello; /* another wire: what is still to be said first */
	size_t hello_sent;
	int64_t hello_again_ns;
	/* the answer so far */
	struct buf head; /* only when it comes in pieces */
	struct buf body; /* keep_body, and chunked bodies */
	bool head_done, chunked, close_after;
	bool reused; /* it has answered a request before this one */
	int status;
	uint64_t body_left;
};

struct client {
	const struct client_options *o;
	struct conn *conns;
	int epoll;
	int idle; /* connections that have nothing more to do */
	int *free_slots;
	int free_count; /* rate: connections without a request */
	int64_t next_due_ns, interval_ns, last_answer_ns;
	char *scratch;
	enum status failed;
	struct err *err;
};

/* ---- endpoints ---- */

static enum status
tls_context(struct endpoint *e, bool insecure, struct err *err)
{
	e->tls = SSL_CTX_new(TLS_client_method());
	if (e->tls == NULL || SSL_CTX_set_default_verify_paths(e->tls) != 1)
		return err_set(err, S_IO, "TLS cannot be set up");
	SSL_CTX_set_mode(e->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(e->tls, insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	return S_OK;
}

enum status
endpoint_init(struct endpoint *e, const char *url, bool insecure, struct err *err)
{
	const char *at = url, *port = "80", *end;
	char number[16];
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	size_t name_length;
	bool bracket;
	int failed;

	*e = (struct endpoint){0};
	snprintf(e->url, sizeof e->url, "%s", url);
	if (strncmp(at, "https://", 8) == 0) {
		port = "443";
		at += 8;
		if (tls_context(e, insecure, err) != S_OK)
			return S_IO;
	} else if (strncmp(at, "http://", 7) == 0) {
		at += 7;
	} else {
		return err_set(err, S_VALIDATION, "\"%s\" begins with neither http:// nor https://", url);
	}
	end = at + strcspn(at, "/");
	bracket = *at == '[';
	name_length = strcspn(at + bracket, bracket ? "]" : ":/");
	if (name_length == 0 || (size_t)(end - at) >= sizeof e->host || strlen(end) > 1)
		return err_set(err, S_VALIDATION, "\"%s\" is not http://HOST:PORT", url);
	snprintf(e->host, sizeof e->host, "%.*s", (int)(end - at), at);
	snprintf(e->name, sizeof e->name, "%.*s", (int)name_length, at + bracket);
	at += name_length + 2u * bracket;
	if (*at == ':') {
		snprintf(number, sizeof number, "%.*s", (int)(end - at - 1), at + 1);
		port = number;
	}
	failed = getaddrinfo(e->name, port, &hints, &found);
	if (failed != 0)
		return err_set(err, S_IO, "%s: %s", url, gai_strerror(failed));
	memcpy(&e->address, found->ai_addr, found->ai_addrlen);
	e->address_bytes = found->ai_addrlen;
	freeaddrinfo(found);
	return S_OK;
}

void
endpoint_done(struct endpoint *e)
{
	SSL_CTX_free(e->tls);
	e->tls = NULL;
}

/* ---- a connection's bytes ---- */

static void
watch(struct client *c, struct conn *conn, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = conn};

	if (conn->events == events)
		return;
	epoll_ctl(c->epoll, conn->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, conn->fd, &event);
	conn->events = events;
}

/* > 0 bytes, 0 later (watched for it), < 0 lost */
static ssize_t
tls_result(struct client *c, struct conn *conn, int result)
{
	if (result > 0)
		return result;
	switch (SSL_get_error(conn->tls, result)) {
	case SSL_ERROR_WANT_READ:
		watch(c, conn, EPOLLIN);
		return 0;
	case SSL_ERROR_WANT_WRITE:
		watch(c, conn, EPOLLIN | EPOLLOUT);
		return 0;
	default:
		return -1;
	}
}

static ssize_t
send_some(struct client *c, struct conn *conn, const char *data, size_t len)
{
	ssize_t n;

	if (conn->tls != NULL) {
		ERR_clear_error();
		return tls_result(c, conn, SSL_write(conn->tls, data, (int)len));
	}
	n = send(conn->fd, data, len, MSG_NOSIGNAL);
	if (n < 0 && errno == EAGAIN) {
		watch(c, conn, EPOLLIN | EPOLLOUT);
		return 0;
	}
	return n;
}

static ssize_t
recv_some(struct client *c, struct conn *conn)
{
	ssize_t n;

	if (conn->tls != NULL) {
		ERR_clear_error();
		return tls_result(c, conn, SSL_read(conn->tls, c->scratch, SCRATCH_BYTES));
	}
	n = recv(conn->fd, c->scratch, SCRATCH_BYTES, 0);
	if (n < 0 && errno == EAGAIN)
		return 0;
	return n == 0 ? -1 : n;
}

static void conn_send(struct client *c, struct conn *conn);

static void
conn_close(struct conn *conn)
{
	SSL_free(conn->tls);
	conn->tls = NULL;
	if (conn->fd >= 0)
		close(conn->fd);
	conn->fd = -1;
	conn->events = 0;
	conn->state = CONN_CLOSED;
}

static void
client_fail(struct client *c, const char *what, int cause)
{
	if (c->failed == S_OK)
		c->failed = err_set(c->err, S_IO, "%s: %s%s%s", c->o->endpoint->url, what, cause != 0 ? ": " : "",
				    cause != 0 ? strerror(cause) : "");
}

static void
conn_handshake(struct client *c, struct conn *conn)
{
	int result;

	ERR_clear_error();
	result = SSL_connect(conn->tls);
	if (result == 1) {
		conn->state = CONN_FREE;
		watch(c, conn, EPOLLIN);
		conn_send(c, conn);
	} else if (tls_result(c, conn, result) < 0) {
		const char *reason = ERR_reason_error_string(ERR_peek_error());

		client_fail(c, reason != NULL ? reason : "the TLS handshake failed", 0);
	}
}

static void
conn_connected(struct client *c, struct conn *conn)
{
	int cause = 0;
	socklen_t len = sizeof cause;

	if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &cause, &len) != 0 || cause != 0) {
		client_fail(c, "cannot connect", cause);
		return;
	}
	if (c->o->endpoint->tls == NULL) {
		conn->state = CONN_FREE;
		watch(c, conn, EPOLLIN);
		conn_send(c, conn);
		return;
	}
	conn->tls = SSL_new(c->o->endpoint->tls);
	SSL_set_fd(conn->tls, conn->fd);
	SSL_set_tlsext_host_name(conn->tls, c->o->endpoint->name);
	if (SSL_CTX_get_verify_mode(c->o->endpoint->tls) != SSL_VERIFY_NONE &&
	    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(conn->tls), c->o->endpoint->name) != 1)
		SSL_set1_host(conn->tls, c->o->endpoint->name);
	conn->state = CONN_HANDSHAKE;
	conn_handshake(c, conn);
}

static void
conn_open(struct client *c, struct conn *conn)
{
	const struct endpoint *e = c->o->endpoint;
	int on = 1;

	conn->fd = socket(e->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (conn->fd < 0) {
		client_fail(c, "no socket", errno);
		return;
	}
	setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (connect(conn->fd, (const struct sockaddr *)&e->address, e->address_bytes) != 0 && errno != EINPROGRESS) {
		client_fail(c, "cannot connect", errno);
		return;
	}
	conn->state = CONN_CONNECTING;
	watch(c, conn, EPOLLOUT);
	conn->reused = false;
	conn->hello.len = conn->hello_sent = 0;
	if (c->o->wire != NULL && c->o->wire->hello != NULL)
		c->o->wire->hello(c->o->wire->context, &conn->hello);
	conn->hello_again_ns = clock_mono_ns() + (c->o->wire != NULL ? c->o->wire->hello_ns : 0);
}

/* ---- requests ---- */

static void conn_lost(struct client *c, struct conn *conn);

/* True: all of it is sent. */
static bool
send_all(struct client *c, struct conn *conn, const struct buf *bytes, size_t *sent)
{
	while (*sent < bytes->len) {
		ssize_t n = send_some(c, conn, bytes->data + *sent, bytes->len - *sent);

		if (n < 0)
			conn_lost(c, conn);
		if (n <= 0)
			return false;
		*sent += (size_t)n;
	}
	return true;
}

/* Send what is left of the request; reconnects when the connection is closed. */
static void
conn_send(struct client *c, struct conn *conn)
{
	if (conn->request == NULL)
		return;
	if (conn->state == CONN_CLOSED) {
		conn_open(c, conn);
		return;
	}
	if (conn->state != CONN_FREE && conn->state != CONN_BUSY)
		return; /* still connecting: called again then */
	conn->state = CONN_BUSY;
	if (send_all(c, conn, &conn->hello, &conn->hello_sent) && send_all(c, conn, &conn->request->bytes, &conn->sent))
		watch(c, conn, EPOLLIN);
}

static void
begin(struct client *c, struct conn *conn, int64_t due_ns)
{
	struct request *request = c->o->hooks.next(c->o->hooks.context, (int)(conn - c->conns));

	if (request == NULL) {
		c->idle++;
		return;
	}
	conn->request = request;
	conn->due_ns = due_ns;
	conn->sent = 0;
	conn->head.len = conn->body.len = 0;
	conn->head_done = conn->chunked = conn->close_after = false;
	if (c->o->wire != NULL && c->o->wire->hello_ns > 0 && due_ns > conn->hello_again_ns)
		conn_close(conn);
	conn_send(c, conn);
}

/* Free again: at once in a closed loop, when the next is due at a fixed rate. */
static void
turn_over(struct client *c, struct conn *conn, int64_t now_ns)
{
	if (c->interval_ns == 0)
		begin(c, conn, now_ns);
	else
		c->free_slots[c->free_count++] = (int)(conn - c->conns);
}

static void
answer(struct client *c, struct conn *conn, int status, struct slice body)
{
	int64_t now_ns = clock_mono_ns();
	struct client_answer a = {
	    .status = status,
	    .body = body,
	    .latency_ns = now_ns - conn->due_ns,
	    .slot = (int)(conn - c->conns),
	    .request = conn->request,
	};

	c->last_answer_ns = now_ns;
	conn->request = NULL;
	conn->reused = true;
	if (conn->close_after || status == 0)
		conn_close(conn);
	else
		conn->state = CONN_FREE;
	c->o->hooks.answered(c->o->hooks.context, &a);
	turn_over(c, conn, now_ns);
}

/* Servers may close a connection between two requests; then the request was not seen and is sent again. One that closes
 * a new connection does not answer. */
static void
conn_lost(struct client *c, struct conn *conn)
{
	bool unanswered = conn->reused && conn->head.len == 0 && conn->body.len == 0 && !conn->head_done;

	conn_close(conn);
	if (conn->request == NULL)
		return;
	if (unanswered) {
		conn->sent = 0;
		conn_open(c, conn);
	} else {
		answer(c, conn, 0, SLICE_NONE);
	}
}

/* ---- answers ---- */

static bool
header_is(struct slice line, const char *name, struct slice *ret_value)
{
	size_t n = strlen(name);

	if (line.len <= n || line.data[n] != ':' || strncasecmp(line.data, name, n) != 0)
		return false;
	for (n++; n < line.len && line.data[n] == ' '; n++)
		;
	*ret_value = slice_of(line.data + n, line.len - n);
	return true;
}

/* False: not HTTP. */
static bool
parse_head(struct conn *conn, struct slice head)
{
	const char *at = head.data, *end = head.data + head.len, *line_end;
	struct slice value;

	if (head.len < 13 || memcmp(at, "HTTP/1.", 7) != 0)
		return false;
	conn->status = (at[9] - '0') * 100 + (at[10] - '0') * 10 + (at[11] - '0');
	conn->body_left = 0;
	for (; at < end && (line_end = memchr(at, '\r', (size_t)(end - at))) != NULL; at = line_end + 2) {
		struct slice line = slice_of(at, (size_t)(line_end - at));

		if (line.len == 0 || ((line.data[0] | 0x20) != 'c' && (line.data[0] | 0x20) != 't'))
			continue;
		if (header_is(line, "content-length", &value))
			for (size_t i = 0; i < value.len && value.data[i] >= '0' && value.data[i] <= '9'; i++)
				conn->body_left = conn->body_left * 10 + (uint64_t)(value.data[i] - '0');
		else if (header_is(line, "transfer-encoding", &value))
			conn->chunked = value.len == 7 && strncasecmp(value.data, "chunked", 7) == 0;
		else if (header_is(line, "connection", &value))
			conn->close_after = value.len == 5 && strncasecmp(value.data, "close", 5) == 0;
	}
	conn->head_done = true;
	return true;
}

static void
take_body(struct client *c, struct conn *conn, struct slice part)
{
	if (conn->chunked || c->o->keep_body)
		buf_put_slice(&conn->body, part);
	if (conn->body.len > BODY_BYTES_MAX) {
		client_fail(c, "an answer is larger than 64 MiB", 0);
		return;
	}
	if (conn->chunked) {
		/* one answer at a time is on the wire, so its last chunk ends what was received */
		if (conn->body.len < 5 || memcmp(conn->body.data + conn->body.len - 5, "0\r\n\r\n", 5) != 0)
			return;
	} else {
		conn->body_left -= part.len < conn->body_left ? part.len : conn->body_left;
		if (conn->body_left > 0)
			return;
	}
	answer(c, conn, conn->status, conn->body.len > 0 ? buf_slice(&conn->body) : part);
}

/* Another wire's. conn->body holds what came before. */
static void
take_answer(struct client *c, struct conn *conn, struct slice part)
{
	struct slice all = part;
	size_t len;

	if (conn->body.len > 0) {
		buf_put_slice(&conn->body, part);
		all = buf_slice(&conn->body);
	}
	len = c->o->wire->answer_bytes(all, &conn->status);
	if (all.len > BODY_BYTES_MAX)
		client_fail(c, "an answer is larger than 64 MiB", 0);
	else if (len == 0 && all.data == part.data)
		buf_put_slice(&conn->body, part);
	else if (len == all.len)
		answer(c, conn, conn->status, all);
	else if (len > 0)
		client_fail(c, "more than the answer came", 0);
}

static void
take(struct client *c, struct conn *conn, struct slice part)
{
	struct slice all = part;
	const char *end;
	size_t head_bytes;

	if (c->o->wire != NULL) {
		take_answer(c, conn, part);
		return;
	}
	if (conn->head_done) {
		take_body(c, conn, part);
		return;
	}
	if (conn->head.len > 0) {
		buf_put_slice(&conn->head, part);
		all = buf_slice(&conn->head);
	}
	end = memmem(all.data, all.len, "\r\n\r\n", 4);
	if (end == NULL) {
		if (conn->head.len == 0)
			buf_put_slice(&conn->head, part);
		if (all.len > HEAD_BYTES_MAX)
			client_fail(c, "what answers is not an HTTP server", 0);
		return;
	}
	head_bytes = (size_t)(end - all.data) + 4;
	if (!parse_head(conn, slice_of(all.data, head_bytes - 2))) {
		client_fail(c, "what answers is not an HTTP server", 0);
		return;
	}
	take_body(c, conn, slice_of(all.data + head_bytes, all.len - head_bytes));
}

static void
conn_readable(struct client *c, struct conn *conn)
{
	ssize_t n = recv_some(c, conn);

	while (n > 0) {
		if (conn->request == NULL) {
			client_fail(c, "an answer came without a request", 0);
			return;
		}
		take(c, conn, slice_of(c->scratch, (size_t)n));
		/* TLS may hold more that epoll does not see */
		n = conn->tls != NULL && conn->state == CONN_BUSY && c->failed == S_OK ? recv_some(c, conn) : 0;
	}
	if (n < 0)
		conn_lost(c, conn);
}

static void
conn_ready(struct client *c, struct conn *conn, uint32_t events)
{
	switch (conn->state) {
	case CONN_CLOSED:
		break;
	case CONN_CONNECTING:
		conn_connected(c, conn);
		break;
	case CONN_HANDSHAKE:
		conn_handshake(c, conn);
		break;
	case CONN_FREE:
	case CONN_BUSY:
		if (events & EPOLLOUT)
			conn_send(c, conn);
		if ((events & ~EPOLLOUT) && (conn->state == CONN_FREE || conn->state == CONN_BUSY))
			conn_readable(c, conn);
		break;
	}
}

/* ---- the loop ---- */

/*
 * Start what is due; returns how long the loop may sleep. It does sleep: a client that spun until the next request is
 * due would take a processor from the server that it measures, when both are on one machine.
 */
static struct timespec
dispatch(struct client *c)
{
	const struct timespec long_enough = {.tv_nsec = 100000000};
	int64_t now_ns = clock_mono_ns(), wait_ns;

	if (c->interval_ns == 0)
		return long_enough;
	while (c->free_count > 0 && c->next_due_ns <= now_ns) {
		begin(c, &c->conns[c->free_slots[--c->free_count]], c->next_due_ns);
		c->next_due_ns += c->interval_ns;
	}
	wait_ns = c->next_due_ns - now_ns;
	if (c->free_count == 0 || wait_ns > long_enough.tv_nsec)
		return long_enough;
	return (struct timespec){.tv_nsec = wait_ns > 0 ? wait_ns : 0};
}

static void
loop(struct client *c)
{
	struct epoll_event events[EVENTS_A_TURN];

	while (c->failed == S_OK && c->idle < c->o->connections &&
	       !atomic_load_explicit(c->o->stop, memory_order_relaxed)) {
		struct timespec wait = dispatch(c);
		int count = epoll_pwait2(c->epoll, events, EVENTS_A_TURN, &wait, NULL);

		for (int i = 0; i < count; i++)
			conn_ready(c, events[i].data.ptr, events[i].events);
		if (clock_mono_ns() - c->last_answer_ns > SILENCE_MAX_NS && c->free_count < c->o->connections)
			client_fail(c, "no answer for a minute", 0);
	}
}

enum status
client_run(const struct client_options *options, uint64_t *ret_unsent, struct err *err)
{
	struct client c = {.o = options, .err = err, .last_answer_ns = clock_mono_ns()};
	int64_t now_ns = clock_mono_ns();

	c.conns = calloc((size_t)options->connections, sizeof *c.conns);
	c.free_slots = calloc((size_t)options->connections, sizeof *c.free_slots);
	c.scratch = malloc(SCRATCH_BYTES);
	c.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (c.conns == NULL || c.free_slots == NULL || c.scratch == NULL || c.epoll < 0)
		c.failed = err_set(err, S_IO, "no memory or no file descriptor left");
	for (int i = 0; c.conns != NULL && i < options->connections; i++)
		c.conns[i].fd = -1;
	if (options->rate > 0) {
		c.interval_ns = (int64_t)(1e9 / options->rate);
		c.interval_ns += c.interval_ns == 0;
		c.next_due_ns = now_ns;
		prctl(PR_SET_TIMERSLACK, 1); /* ns, of this thread */
	}
	for (int i = 0; c.failed == S_OK && i < options->connections; i++)
		turn_over(&c, &c.conns[i], now_ns);
	loop(&c);

	if (ret_unsent != NULL)
		*ret_unsent = c.interval_ns > 0 && clock_mono_ns() > c.next_due_ns
				  ? (uint64_t)((clock_mono_ns() - c.next_due_ns) / c.interval_ns)
				  : 0;
	for (int i = 0; c.conns != NULL && i < options->connections; i++) {
		conn_close(&c.conns[i]);
		buf_done(&c.conns[i].hello);
		buf_done(&c.conns[i].head);
		buf_done(&c.conns[i].body);
	}
	if (c.epoll >= 0)
		close(c.epoll);
	free(c.conns);
	free(c.free_slots);
	free(c.scratch);
	return c.failed;
}
