/*
 * A server for protocols of bytes that are not HTTP (DAX): listening sockets on each loop, TLS, limits, time-outs,
 * draining. A connection's bytes reach the handler as they come; what it appends to stream_out() is sent when the
 * loop's turn ends.
 *
 * A connection that waits holds no buffer: what is read goes through the loop's own, and only the beginning of a
 * message that is not complete is kept, counted against a total over all connections.
 */
#ifndef STATOR_IO_STREAM_H
#define STATOR_IO_STREAM_H

#include "base/buf.h"
#include "io/loop.h"

struct stream;

enum stream_want {
	STREAM_BYTES, /* call again with what is left and more */
	STREAM_TIME,  /* not before stream_resume() */
	STREAM_END,   /* send what is in out, then close */
};

struct stream_handler {
	size_t state_bytes; /* the handler's own for each connection, zeroed: stream_state() */
	void (*opened)(struct stream *s, void *context);
	/* data: all that was received and not used. *ret_used of it is used up now. */
	enum stream_want (*received)(struct stream *s, const char *data, size_t len, size_t *ret_used);
	/* Is what was received, unused_bytes not used, the beginning of something? Then request_ms limits it. */
	bool (*is_half)(struct stream *s, size_t unused_bytes);
	void (*closed)(struct stream *s);
};

struct stream_limits {
	int connections;
	int idle_ms;    /* nothing begun */
	int request_ms; /* from the first to the last byte of a message */
	int write_ms;   /* without progress while sending */
	size_t in_bytes_total;
	size_t unsent_bytes_total; /* answers not taken, of all connections: beyond it the largest are closed */
};

struct stream_server_options {
	const char *name;     /* of its figures: stator_NAME_connections ... */
	const char *listen;   /* see io/http.h */
	const char *tls_cert; /* NULL: cleartext */
	const char *tls_key;
	struct stream_limits limits;
	const struct stream_handler *handler;
	void *context;
};

struct stream_server;
/* Before the loops run. */
enum status stream_server_new(const struct stream_server_options *options, struct loop **loops, int loop_count,
			      struct stream_server **ret, struct err *err);
const char *stream_server_address(const struct stream_server *s); /* with the port that was really taken */
enum status stream_server_reload_tls(struct stream_server *s, struct err *err); /* any thread */
/* Stop accepting; connections close when what they run is answered. Any thread. */
void stream_server_drain(struct stream_server *s);
int stream_server_in_progress(const struct stream_server *s); /* connections that run or send something; any thread */
int stream_server_connections(const struct stream_server *s);
void stream_server_write_metrics(const struct stream_server *s, struct buf *out);
void stream_server_free(struct stream_server *s); /* after the loops ended */

/* On the loop's thread. */
void *stream_state(struct stream *s);
void *stream_context(const struct stream *s);
struct buf *stream_out(struct stream *s);
struct loop *stream_loop(const struct stream *s);
bool stream_is_secure(const struct stream *s);
const char *stream_peer(const struct stream *s); /* "127.0.0.1:50412" */
/* Whose turns its work takes; before: its address's (base/fair.h). */
void stream_set_flow(struct stream *s, struct job_flow flow);
/* The address and port the client connected to: 4 or 16 bytes. */
int stream_local_address(const struct stream *s, uint8_t ret[16], int *ret_port);
/* After STREAM_TIME: out holds the answer; received() is called again. */
void stream_resume(struct stream *s);

#endif
