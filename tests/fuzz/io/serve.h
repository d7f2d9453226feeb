/*
 * A connection fed from a fuzzer's bytes: a real server on a socket pair, its loop turned by hand. The first byte says
 * how the rest is cut into pieces. Afterwards nothing may be left: no connection, no request, no byte accounted for.
 */
#ifndef STATOR_FUZZ_IO_SERVE_H
#define STATOR_FUZZ_IO_SERVE_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/http_int.h"

static struct loop *fuzz_loop;
static struct http_server *fuzz_server;
static struct http_exchange *held[64]; /* answered later */
static int held_count;

static void
release_held(int count)
{
	while (held_count > 0 && count-- > 0) {
		struct http_exchange *x = held[0];

		memmove(held, held + 1, sizeof *held * (size_t)--held_count);
		buf_put_slice(x->out, x->body);
		http_reply(x, 200, SLICE("X: y\r\n"));
	}
}

static void
fuzz_handler(struct http_exchange *x, void *context)
{
	int refusal = x->packed ? http_unpack(x) : 0;
	uint8_t sum = 0;

	(void)context;
	if (refusal != 0) {
		http_refuse(x, refusal);
		return;
	}
	/* every byte handed over must be there to be read */
	for (size_t i = 0; i < x->header_count; i++) {
		for (size_t j = 0; j < x->headers[i].name.len; j++)
			sum += (uint8_t)x->headers[i].name.data[j];
		for (size_t j = 0; j < x->headers[i].value.len; j++)
			sum += (uint8_t)x->headers[i].value.data[j];
	}
	for (size_t i = 0; i < x->body.len; i++)
		sum += (uint8_t)x->body.data[i];
	if (x->path.len + x->query.len > x->target.len)
		abort();
	if (x->path.len > 1 && x->path.data[1] == 'l' && held_count < 64) {
		held[held_count++] = x;
		return;
	}
	buf_printf(x->out, "%d", sum);
	if (x->path.len > 1 && x->path.data[1] == 'b')
		for (int i = 0; i < 3000; i++)
			buf_put_byte(x->out, sum);
	http_reply(x, x->path.len > 2 ? 204 : 200, SLICE("Content-Type: text/plain\r\nEmpty:\r\n"));
}

static void
fuzz_start(void)
{
	struct http_server_options options = {.listen = "127.0.0.1:0", .handler = fuzz_handler};
	struct err err;

	options.limits = http_limits_default;
	options.limits.header_bytes = 2048;
	options.limits.body_bytes = 20000;
	options.limits.pipelined = 4;
	options.limits.unsent_bytes = 4096;
	options.limits.h2_streams = 8;
	options.limits.h2_resets_per_s = 5;
	options.limits.body_bytes_total = 40000;
	if (loop_new(0, &fuzz_loop, &err) != S_OK ||
	    http_server_new(&options, &fuzz_loop, 1, &fuzz_server, &err) != S_OK) {
		fprintf(stderr, "%s\n", err.message);
		abort();
	}
}

/* The one connection there is; NULL: it was closed. */
static struct conn *
fuzz_conn(const struct http_loop *home)
{
	return conn_at(home->conns.first);
}

static void
fuzz_turn(struct http_loop *home)
{
	struct conn *c;

	while (loop_run_jobs(fuzz_loop))
		;
	http_loop_turn_end(fuzz_loop, home);
	if ((c = fuzz_conn(home)) != NULL)
		c->writable = true; /* as the next EPOLLOUT would say */
}

static void
fuzz_feed(struct http_loop *home, const uint8_t *data, size_t len, int peer)
{
	static char sink[65536];
	struct conn *c = fuzz_conn(home);

	while (len > 0) {
		ssize_t n = send(peer, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
		if (fuzz_conn(home) == NULL)
			return;
		c->readable = true;
		conn_pump(c);
		fuzz_turn(home);
		while (recv(peer, sink, sizeof sink, MSG_DONTWAIT) > 0)
			;
		if (fuzz_conn(home) == NULL)
			return;
	}
}

static int
fuzz_connection(const char *preface, size_t preface_len, const uint8_t *data, size_t size)
{
	struct http_loop *home;
	size_t piece, at = 1;
	int fds[2];

	if (fuzz_server == NULL)
		fuzz_start();
	home = fuzz_server->loops[0];
	if (size < 2)
		return 0;
	piece = data[0] == 0 ? size : (size_t)data[0] * (data[0] & 1 ? 1 : 40);
	if (piece < size / 200)
		piece = size / 200; /* byte by byte only what is short */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0)
		abort();
	if (conn_new(home, fds[0], "fuzz") == NULL)
		abort();
	fuzz_feed(home, (const uint8_t *)preface, preface_len, fds[1]);
	while (at < size && fuzz_conn(home) != NULL) {
		size_t len = size - at < piece ? size - at : piece;

		fuzz_feed(home, data + at, len, fds[1]);
		at += len;
		if (at % 3 == 0)
			release_held(1);
	}
	if (data[0] & 2)
		release_held(64); /* else they outlive their client */
	if (fuzz_conn(home) != NULL) {
		if (data[0] & 4)
			shutdown(fds[1], SHUT_WR);
		fuzz_conn(home)->readable = true;
		fuzz_conn(home)->hung_up = true;
		conn_pump(fuzz_conn(home));
		fuzz_turn(home);
	}
	close(fds[1]);
	for (int i = 0; i < 5; i++)
		fuzz_turn(home);
	if (fuzz_conn(home) != NULL)
		conn_close(fuzz_conn(home));
	release_held(64);
	fuzz_turn(home);
	fuzz_turn(home);
	if (http_server_connections(fuzz_server) != 0 || http_server_in_progress(fuzz_server) != 0 ||
	    atomic_load(&fuzz_server->body_bytes) != 0 || atomic_load(&fuzz_server->unsent_bytes) != 0)
		abort();
	return 0;
}

#endif
