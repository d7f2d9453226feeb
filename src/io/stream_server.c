#include "io/stream_int.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* --- accepting --- */

static struct stream_home *
home_of(struct acceptor *a)
{
	return (struct stream_home *)((char *)a - offsetof(struct stream_home, acceptor));
}

/* All places are taken: close one that has been unused for long. False: none of the few looked at is. */
static bool
make_room(struct stream_home *home)
{
	struct stream *most = stream_at(places_unused(&home->streams, stream_conn_unused_ns));

	if (most == NULL)
		return false;
	COUNT(home, closed_for_room, 1);
	stream_conn_close(most);
	return true;
}

static void
accepted(struct acceptor *a, int fd, const struct sockaddr_storage *address)
{
	struct stream_home *home = home_of(a);
	struct stream_server *server = home->server;
	char peer[64] = "";

	if (atomic_load(&server->connections) >= server->options.limits.connections && !make_room(home)) {
		COUNT(home, closed_limit, 1);
		close(fd);
		return;
	}
	listen_format(address, peer, sizeof peer);
	stream_conn_begin(home, fd, peer);
}

static void
turn_away(struct acceptor *a, int fd)
{
	(void)a;
	close(fd);
}

static const struct acceptor_handler acceptor_handler = {.accepted = accepted, .turn_away = turn_away};

/* --- the server --- */

static void
drain_loop(struct loop_task *t)
{
	struct stream_home *home = (struct stream_home *)((char *)t - offsetof(struct stream_home, drain_task));
	struct stream *s, *next;

	home->draining = true;
	acceptor_stop(&home->acceptor);
	for (s = stream_at(home->streams.first); s != NULL; s = next) {
		next = stream_at(s->place.next);
		stream_conn_drain(s);
	}
}

static void
turn_end(struct loop *l, void *context)
{
	struct stream_home *home = context;

	(void)l;
	if (home->dead != NULL)
		stream_conn_bury(home);
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
	home->drain_task.run = drain_loop;
	home->acceptor = (struct acceptor){
	    .handler = &acceptor_handler, .name = server->options.name, .listen_on = server->options.listen, .loop = l};
	status = acceptor_open(&home->acceptor, address, len, i == 0, err);
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
	while (home->streams.first != NULL)
		stream_conn_close(stream_at(home->streams.first));
	stream_conn_bury(home);
	while (home->pool_count > 0)
		buf_done(&home->pool[--home->pool_count]);
	acceptor_done(&home->acceptor);
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

/* --- figures --- */

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
		   "# TYPE stator_%s_request_bytes gauge\nstator_%s_request_bytes %zu\n"
		   "# HELP stator_%s_unsent_bytes Memory of answers that clients have not taken yet.\n"
		   "# TYPE stator_%s_unsent_bytes gauge\nstator_%s_unsent_bytes %zu\n",
		   s->options.name, s->options.name, s->options.name, stream_server_connections(s), s->options.name,
		   s->options.name, s->options.name, atomic_load(&s->in_bytes), s->options.name, s->options.name,
		   s->options.name, atomic_load(&s->unsent_bytes));
}
