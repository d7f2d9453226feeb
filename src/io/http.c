#include "io/http.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/http_int.h"

const struct http_limits http_limits_default = {
    .header_bytes = 32 * 1024,
    .body_bytes = 16 * 1024 * 1024,
    .connections = 10000,
    .idle_ms = 75 * 1000,
    .request_ms = 30 * 1000,
    .write_ms = 30 * 1000,
    .unsent_bytes = 1024 * 1024,
    .pipelined = 64,
    .h2_streams = 100,
    .h2_resets_per_s = 200,
    .h2_idle_frames_per_s = 2000,
    .spare_idle_ms = 1000,
    .spare_half_ms = 5000,
    .body_bytes_total = (size_t)512 * 1024 * 1024,
    .unsent_bytes_total = (size_t)512 * 1024 * 1024,
};

static const struct {
	int status;
	const char *text;
} status_texts[] = {
    {200, "OK"},
    {204, "No Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Payload Too Large"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
};

const char *
http_status_text(int status)
{
	for (size_t i = 0; i < sizeof status_texts / sizeof status_texts[0]; i++)
		if (status_texts[i].status == status)
			return status_texts[i].text;
	return "Status";
}

struct slice
http_loop_date(struct http_loop *home)
{
	int64_t now = loop_now_ns(home->loop);

	if (now != home->date_checked_ns || home->date_len == 0) { /* once a turn is enough */
		time_t s = (time_t)clock_real_s();
		struct tm tm;

		home->date_checked_ns = now;
		if (s != home->date_s || home->date_len == 0) {
			home->date_s = s;
			gmtime_r(&s, &tm);
			home->date_len =
			    strftime(home->date, sizeof home->date, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
		}
	}
	return slice_of(home->date, home->date_len);
}

/* --- accepting --- */

static struct http_loop *
loop_of(struct acceptor *a)
{
	return (struct http_loop *)((char *)a - offsetof(struct http_loop, acceptor));
}

/* A client that cannot be taken is told so. What it has sent is read first, or closing would take the answer back. */
static void
turn_away(struct acceptor *a, int fd)
{
	static const char full[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
	struct http_loop *home = loop_of(a);

	if (home->server->options.tls_cert == NULL) {
		(void)!send(fd, full, sizeof full - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		shutdown(fd, SHUT_WR);
		(void)!recv(fd, home->scratch, SCRATCH_BYTES, MSG_DONTWAIT);
	}
	close(fd);
}

static void
accepted(struct acceptor *a, int fd, const struct sockaddr_storage *address)
{
	struct http_loop *home = loop_of(a);
	struct http_server *s = home->server;
	struct conn *c;
	char peer[64];

	if (atomic_load(&s->connections) >= s->limits.connections && !conn_make_room(home)) {
		COUNT(home, closed_connection_limit, 1);
		turn_away(a, fd);
		return;
	}
	listen_format(address, peer, sizeof peer);
	c = conn_new(home, fd, peer);
	if (c == NULL) {
		close(fd);
		return;
	}
	if (s->options.tls_cert != NULL && !tls_begin(c)) {
		conn_close(c);
		return;
	}
	/* the first request is often there already */
	c->readable = true;
	conn_again(c);
}

static void
paused(struct acceptor *a)
{
	COUNT(loop_of(a), accept_paused, 1);
}

static const struct acceptor_handler acceptor_handler = {accepted, turn_away, paused};

/* --- the server --- */

static void
drain_loop(struct loop_task *t)
{
	struct http_loop *home = (struct http_loop *)((char *)t - offsetof(struct http_loop, drain_task));
	struct conn *c, *next;

	if (home->draining)
		return;
	home->draining = true;
	acceptor_stop(&home->acceptor);
	for (c = conn_at(home->conns.first); c != NULL; c = next) {
		next = conn_at(c->place.next);
		if (c->h2 != NULL) {
			http2_drain(c);
			continue;
		}
		c->closing = true;
		if (c->reading != NULL)
			request_free(c->reading);
		if (c->first == NULL && !c->lingering)
			conn_close(c);
	}
}

static enum status
open_loop(struct http_server *s, int i, struct loop *l, struct sockaddr_storage *address, socklen_t len,
	  struct err *err)
{
	struct http_loop *home = calloc(1, sizeof *home);
	enum status status;

	if (home == NULL)
		return err_set(err, S_IO, "out of memory");
	s->loops[i] = home;
	home->server = s;
	home->loop = l;
	home->drain_task.run = drain_loop;
	home->acceptor =
	    (struct acceptor){.handler = &acceptor_handler, .name = "http", .listen_on = s->options.listen, .loop = l};
	status = acceptor_open(&home->acceptor, address, len, i == 0, err);
	if (status == S_OK)
		loop_on_flush(l, http_loop_turn_end, home);
	return status;
}

static char *
copy_text(const char *text)
{
	return text != NULL ? strdup(text) : NULL;
}

enum status
http_server_new(const struct http_server_options *options, struct loop **loops, int loop_count,
		struct http_server **ret, struct err *err)
{
	struct http_server *s = calloc(1, sizeof *s + sizeof s->loops[0] * (size_t)loop_count);
	struct sockaddr_storage address = {0};
	socklen_t len = 0;
	enum status status;

	*ret = NULL;
	if (s == NULL)
		return err_set(err, S_IO, "out of memory");
	signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
	s->options = *options;
	s->options.listen = copy_text(options->listen);
	s->options.tls_cert = copy_text(options->tls_cert);
	s->options.tls_key = copy_text(options->tls_key);
	s->limits = options->limits;
	pthread_mutex_init(&s->tls_lock, NULL);
	status = listen_parse(options->listen, &address, &len, err);
	if (status == S_OK && options->tls_cert != NULL)
		status = http_server_reload_tls(s, err);
	for (int i = 0; i < loop_count && status == S_OK; i++) {
		status = open_loop(s, i, loops[i], &address, len, err);
		s->loop_count = i + 1;
	}
	if (status != S_OK) {
		http_server_free(s);
		return status;
	}
	listen_format(&address, s->address, sizeof s->address);
	*ret = s;
	return S_OK;
}

static void
free_pools(struct http_loop *home)
{
	struct conn *c;
	struct request *r;
	struct block *b;

	while ((c = home->free_conns) != NULL) {
		home->free_conns = c->next;
		free(c);
	}
	while ((r = home->free_requests) != NULL) {
		home->free_requests = r->next;
		request_free_memory(r);
	}
	while ((b = home->free_blocks) != NULL) {
		home->free_blocks = b->next;
		free(b);
	}
}

static void
close_loop(struct http_loop *home)
{
	if (home == NULL)
		return;
	while (home->conns.first != NULL)
		conn_close(conn_at(home->conns.first));
	http_loop_turn_end(home->loop, home);
	free_pools(home);
	acceptor_done(&home->acceptor);
	free(home);
}

void
http_server_free(struct http_server *s)
{
	if (s == NULL)
		return;
	for (int i = 0; i < s->loop_count; i++)
		close_loop(s->loops[i]);
	SSL_CTX_free(s->tls);
	pthread_mutex_destroy(&s->tls_lock);
	free((char *)s->options.listen);
	free((char *)s->options.tls_cert);
	free((char *)s->options.tls_key);
	free(s);
}

const char *
http_server_address(const struct http_server *s)
{
	return s->address;
}

void
http_server_drain(struct http_server *s)
{
	for (int i = 0; i < s->loop_count; i++)
		if (!atomic_exchange(&s->loops[i]->drain_posted, true))
			loop_post(s->loops[i]->loop, &s->loops[i]->drain_task);
}

int
http_server_connections(const struct http_server *s)
{
	return atomic_load(&s->connections);
}

int
http_server_in_progress(const struct http_server *s)
{
	int64_t sum = 0;

	for (int i = 0; i < s->loop_count; i++)
		sum += atomic_load_explicit(&s->loops[i]->figures.in_progress, memory_order_relaxed);
	return (int)sum;
}

/* --- figures --- */

#define FIGURE(field, name, label, type, help)                                                                         \
	{                                                                                                              \
		offsetof(struct figures, field), name, label, type, help                                               \
	}
static const struct {
	size_t offset;
	const char *name, *label, *type, *help; /* help is told at the first of a name */
} metrics[] = {
    FIGURE(accepted, "stator_http_connections_total", "", "counter", "Connections accepted."),
    FIGURE(requests_http1, "stator_http_requests_total", "{protocol=\"http1\"}", "counter", "Complete requests read."),
    FIGURE(requests_http2, "stator_http_requests_total", "{protocol=\"http2\"}", "counter", NULL),
    FIGURE(received_bytes, "stator_http_received_bytes_total", "", "counter", "Bytes read from clients, without TLS."),
    FIGURE(sent_bytes, "stator_http_sent_bytes_total", "", "counter", "Bytes sent to clients, without TLS."),
    FIGURE(refused_headers, "stator_http_refused_total", "{reason=\"headers_too_large\"}", "counter",
	   "Requests refused before they were looked at."),
    FIGURE(refused_body, "stator_http_refused_total", "{reason=\"body_too_large\"}", "counter", NULL),
    FIGURE(refused_slow, "stator_http_refused_total", "{reason=\"slow\"}", "counter", NULL),
    FIGURE(refused_malformed, "stator_http_refused_total", "{reason=\"malformed\"}", "counter", NULL),
    FIGURE(refused_memory, "stator_http_refused_total", "{reason=\"memory\"}", "counter", NULL),
    FIGURE(closed_idle, "stator_http_closed_total", "{reason=\"idle\"}", "counter",
	   "Connections closed by the server."),
    FIGURE(closed_unread, "stator_http_closed_total", "{reason=\"answers_not_read\"}", "counter", NULL),
    FIGURE(closed_connection_limit, "stator_http_closed_total", "{reason=\"connection_limit\"}", "counter", NULL),
    FIGURE(closed_resets, "stator_http_closed_total", "{reason=\"stream_resets\"}", "counter", NULL),
    FIGURE(closed_for_room, "stator_http_closed_total", "{reason=\"room_for_others\"}", "counter", NULL),
    FIGURE(handshakes_failed, "stator_http_handshakes_failed_total", "", "counter", "TLS handshakes that failed."),
    FIGURE(accept_paused, "stator_http_accept_paused_total", "", "counter",
	   "Times no connection could be accepted for want of descriptors or memory."),
    FIGURE(in_progress, "stator_http_in_progress", "", "gauge", "Requests not yet answered and sent."),
};

void
http_server_write_metrics(const struct http_server *s, struct buf *out)
{
	for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++) {
		uint64_t sum = 0;

		for (int j = 0; j < s->loop_count; j++)
			sum += atomic_load_explicit(
			    (_Atomic uint64_t *)((char *)&s->loops[j]->figures + metrics[i].offset),
			    memory_order_relaxed);
		if (metrics[i].help != NULL)
			buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", metrics[i].name, metrics[i].help,
				   metrics[i].name, metrics[i].type);
		buf_printf(out, "%s%s %llu\n", metrics[i].name, metrics[i].label, (unsigned long long)sum);
	}
	buf_printf(out,
		   "# HELP stator_http_connections Connections open now.\n"
		   "# TYPE stator_http_connections gauge\nstator_http_connections %d\n"
		   "# HELP stator_http_body_bytes Request bodies in memory.\n"
		   "# TYPE stator_http_body_bytes gauge\nstator_http_body_bytes %zu\n"
		   "# HELP stator_http_unsent_bytes Answers that clients have not taken yet.\n"
		   "# TYPE stator_http_unsent_bytes gauge\nstator_http_unsent_bytes %zu\n",
		   http_server_connections(s), atomic_load(&s->body_bytes), atomic_load(&s->unsent_bytes));
}
