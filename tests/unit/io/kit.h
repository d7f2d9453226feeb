/* A real server on a free port with a handler for every situation, and a client that speaks raw bytes. */
#ifndef STATOR_TESTS_IO_KIT_H
#define STATOR_TESTS_IO_KIT_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "io/http.h"

struct kit {
	struct http_server_options options;
	struct loop *loops[2];
	int loop_count;
	pthread_t threads[2];
	struct http_server *server;
	int port;
};

/* Longer than whatever is waited for takes on a slow and busy machine; not reached but by a failure. */
#define KIT_PATIENCE_MS 60000

/* an answer that is given later */
struct kit_later {
	struct loop_timer timer;
	struct http_exchange *x;
};

#define HOST "Host: x\r\n" /* the header that every request must have */

static _Atomic int kit_gone;   /* exchanges that were answered after their client had left */
static _Atomic bool kit_holds; /* what asked for /held is not answered yet */

static inline void
kit_later_fire(struct loop_timer *t)
{
	struct kit_later *later = (struct kit_later *)t;

	buf_printf(later->x->out, "later %.*s", SLICE_ARG(later->x->query));
	http_reply(later->x, 200, SLICE_NONE);
}

/* Looks every few milliseconds. */
static inline void
kit_held_fire(struct loop_timer *t)
{
	struct kit_later *held = (struct kit_later *)t;

	if (kit_holds && !held->x->gone) {
		loop_timer_set(held->x->loop, t, loop_now_ns(held->x->loop) + 1000000);
		return;
	}
	kit_gone += held->x->gone;
	buf_put_lit(held->x->out, "held");
	http_reply(held->x, 200, SLICE_NONE);
}

/*
 * /echo: the body; /headers: what was understood; /size: the body's length; /big?N: N bytes; /later?MS: after a while;
 * /held: when kit_holds ends or the client is gone; anything else: "hello".
 */
static inline void
kit_handler(struct http_exchange *x, void *context)
{
	int refusal = x->packed ? http_unpack(x) : 0;

	(void)context;
	if (refusal != 0) {
		http_refuse(x, refusal);
		return;
	}
	if (slice_eq(x->path, SLICE("/echo"))) {
		buf_put_slice(x->out, x->body);
	} else if (slice_eq(x->path, SLICE("/headers"))) {
		buf_printf(x->out, "%.*s %.*s\n", SLICE_ARG(x->method), SLICE_ARG(x->target));
		for (size_t i = 0; i < x->header_count; i++)
			buf_printf(x->out, "%.*s=%.*s\n", SLICE_ARG(x->headers[i].name),
				   SLICE_ARG(x->headers[i].value));
	} else if (slice_eq(x->path, SLICE("/size"))) {
		buf_printf(x->out, "%zu", x->body.len);
	} else if (slice_eq(x->path, SLICE("/big"))) {
		size_t size = strtoull(arena_dup(x->arena, x->query).data, NULL, 10);

		buf_reserve(x->out, size);
		memset(x->out->data, 'b', size);
		x->out->len = size;
	} else if (slice_eq(x->path, SLICE("/later"))) {
		struct kit_later *later = ARENA_NEW(x->arena, struct kit_later);

		later->timer.fire = kit_later_fire;
		later->x = x;
		loop_timer_set(x->loop, &later->timer,
			       loop_now_ns(x->loop) +
				   (int64_t)strtoull(arena_dup(x->arena, x->query).data, NULL, 10) * 1000000);
		return;
	} else if (slice_eq(x->path, SLICE("/held"))) {
		struct kit_later *held = ARENA_NEW(x->arena, struct kit_later);

		held->timer.fire = kit_held_fire;
		held->x = x;
		loop_timer_set(x->loop, &held->timer, loop_now_ns(x->loop));
		return;
	} else {
		buf_put_lit(x->out, "hello");
	}
	http_reply(x, 200, SLICE("Content-Type: text/plain\r\n"));
}

static inline void *
kit_run(void *loop)
{
	loop_run(loop);
	return NULL;
}

static inline struct kit
kit_options(void)
{
	return (struct kit){
	    .options = {.listen = "127.0.0.1:0", .limits = http_limits_default, .handler = kit_handler},
	    .loop_count = 1,
	};
}

static inline void
kit_start(struct kit *k)
{
	struct err err;

	for (int i = 0; i < k->loop_count; i++)
		assert_int_equal(loop_new(i, &k->loops[i], &err), S_OK);
	if (http_server_new(&k->options, k->loops, k->loop_count, &k->server, &err) != S_OK)
		fail_msg("%s", err.message);
	k->port = atoi(strrchr(http_server_address(k->server), ':') + 1);
	for (int i = 0; i < k->loop_count; i++)
		assert_int_equal(pthread_create(&k->threads[i], NULL, kit_run, k->loops[i]), 0);
}

static inline void
kit_stop(struct kit *k)
{
	for (int i = 0; i < k->loop_count; i++)
		loop_stop(k->loops[i]);
	for (int i = 0; i < k->loop_count; i++)
		pthread_join(k->threads[i], NULL);
	http_server_free(k->server);
	for (int i = 0; i < k->loop_count; i++)
		loop_free(k->loops[i]);
}

/* A server for each test, in *state. */
static inline int
kit_start_for_test(struct kit options, void **state)
{
	struct kit *k = calloc(1, sizeof *k);

	*k = options;
	kit_start(k);
	*state = k;
	return 0;
}

static inline int
kit_setup(void **state)
{
	return kit_start_for_test(kit_options(), state);
}

static inline int
kit_teardown(void **state)
{
	kit_stop(*state);
	free(*state);
	return 0;
}

#define ON_SERVER(test) cmocka_unit_test_setup_teardown(test, kit_setup, kit_teardown)

/* The value of one line of the metrics; -1: there is none. */
static inline long long
kit_metric(struct kit *k, const char *line)
{
	struct buf text = {0};
	long long value = -1;
	char *at;

	http_server_write_metrics(k->server, &text);
	buf_put_byte(&text, 0);
	for (at = text.data; (at = strstr(at, line)) != NULL; at++)
		if ((at == text.data || at[-1] == '\n') && at[strlen(line)] == ' ')
			value = atoll(at + strlen(line));
	buf_done(&text);
	return value;
}

static inline void
kit_sleep_ms(int ms)
{
	usleep((useconds_t)ms * 1000);
}

/* Wait until a metric has the value. */
static inline void
kit_expect_metric(struct kit *k, const char *line, long long value)
{
	for (int i = 0; i < KIT_PATIENCE_MS && kit_metric(k, line) != value; i++)
		kit_sleep_ms(1);
	if (kit_metric(k, line) != value)
		fail_msg("%s is %lld, not %lld", line, kit_metric(k, line), value);
}

/* --- the client --- */

static inline int
client_connect(struct kit *k)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)k->port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

/* All of it, as far as the server takes it: false when it closed meanwhile. */
static inline bool
client_send(int fd, const void *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		data = (const char *)data + n;
		len -= (size_t)n;
	}
	return true;
}

static inline void
client_say(int fd, const char *text)
{
	(void)client_send(fd, text, strlen(text));
}

/* One more piece; false at the end or when nothing came for wait_ms. */
static inline bool
client_more(int fd, struct buf *in, int wait_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	ssize_t n;

	if (poll(&p, 1, wait_ms) != 1)
		return false;
	buf_reserve(in, 65536 + 1);
	n = recv(fd, in->data + in->len, 65536, 0);
	if (n <= 0)
		return false;
	in->len += (size_t)n;
	in->data[in->len] = '\0';
	return true;
}

/* Everything until the server closes, as text in *in. Fails when it does not close. */
static inline void
client_read_all(int fd, struct buf *in)
{
	buf_reserve(in, 1);
	in->data[0] = '\0';
	while (client_more(fd, in, KIT_PATIENCE_MS))
		;
	{
		struct pollfd p = {.fd = fd, .events = POLLIN};

		assert_int_equal(poll(&p, 1, 0), 1); /* closed, not just silent */
	}
}

/* One answer with Content-Length: its status; body and head as texts. What follows stays in *in. */
struct answer {
	int status;
	struct buf head, body;
};

static inline void
answer_done(struct answer *a)
{
	buf_done(&a->head);
	buf_done(&a->body);
}

static inline bool
client_answer(int fd, struct buf *in, struct answer *ret, bool has_body)
{
	char *end, *length;
	size_t head, body = 0;

	answer_done(ret);
	for (;;) {
		end = in->len > 0 ? memmem(in->data, in->len, "\r\n\r\n", 4) : NULL;
		if (end != NULL)
			break;
		if (!client_more(fd, in, KIT_PATIENCE_MS))
			return false;
	}
	head = (size_t)(end - in->data) + 4;
	buf_put(&ret->head, in->data, head);
	buf_put_byte(&ret->head, 0);
	ret->status = atoi(ret->head.data + 9);
	length = strcasestr(ret->head.data, "\r\nContent-Length: ");
	if (length != NULL && has_body)
		body = strtoull(length + 18, NULL, 10);
	while (in->len < head + body)
		if (!client_more(fd, in, KIT_PATIENCE_MS))
			return false;
	buf_put(&ret->body, in->data + head, body);
	buf_put_byte(&ret->body, 0);
	ret->body.len--;
	memmove(in->data, in->data + head + body, in->len - head - body);
	in->len -= head + body;
	return true;
}

/* Send one request on a connection of its own and give the status; the connection is closed. 0: no answer. */
static inline int
client_status(struct kit *k, const char *request)
{
	struct buf in = {0};
	struct answer a = {0};
	int fd = client_connect(k), status = 0;

	client_say(fd, request);
	if (client_answer(fd, &in, &a, true))
		status = a.status;
	close(fd);
	buf_done(&in);
	answer_done(&a);
	return status;
}

/* True when the server has closed within wait_ms without another byte. Whoever expects it gives KIT_PATIENCE_MS. */
static inline bool
client_closed(int fd, int wait_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char byte;

	return poll(&p, 1, wait_ms) == 1 && recv(fd, &byte, 1, 0) <= 0;
}

/* Send `request` in one piece on a new connection and expect `count` answers of 200 with these bodies. */
static inline void
expect_bodies(struct kit *k, const char *request, size_t len, const char *const *bodies, int count)
{
	struct buf in = {0};
	struct answer a = {0};
	int fd = client_connect(k);

	assert_true(client_send(fd, request, len));
	for (int i = 0; i < count; i++) {
		assert_true(client_answer(fd, &in, &a, true));
		assert_int_equal(a.status, 200);
		assert_string_equal(a.body.data, bodies[i]);
	}
	close(fd);
	buf_done(&in);
	answer_done(&a);
}

static inline void
expect_body(struct kit *k, const char *request, const char *body)
{
	expect_bodies(k, request, strlen(request), &body, 1);
}

#endif
