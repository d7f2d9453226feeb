/*
 * An HTTP server: HTTP/1.1 (llhttp), HTTP/2 (nghttp2; prior knowledge on the same port, ALPN under TLS), TLS (OpenSSL).
 * A complete request, body unpacked, reaches the handler as one exchange; the handler answers it at once or later, on
 * the same loop, with http_reply(). Answers of pipelined requests leave in order. Everything a client can make grow is
 * limited.
 */
#ifndef STATOR_IO_HTTP_H
#define STATOR_IO_HTTP_H

#include "base/arena.h"
#include "base/buf.h"
#include "io/loop.h"

struct http_limits {
	size_t header_bytes;       /* 32 KiB */
	size_t body_bytes;         /* 16 MiB, also after unpacking */
	int connections;           /* of the whole server; 10,000 */
	int idle_ms;               /* keep-alive without a request; 75 s... */
	int request_ms;            /* from first to last byte of a request; 30 s */
	int write_ms;              /* without progress while answering; 30 s */
	size_t unsent_bytes;       /* reading stops while more is waiting to be sent on a connection; 1 MiB */
	int pipelined;             /* requests in progress on one HTTP/1.1 connection; 64 */
	int h2_streams;            /* concurrent; 100 */
	int h2_resets_per_s;       /* by either side; then GOAWAY; 200 */
	int h2_idle_frames_per_s;  /* that bring no request further; then GOAWAY; 2,000 */
	int spare_idle_ms;         /* all places taken: who has been idle for longer makes room; 1 s */
	int spare_half_ms;         /* likewise who has not finished a request or handshake after so long; 5 s */
	size_t body_bytes_total;   /* request bodies in memory over all connections; then 503 and close; 512 MiB */
	size_t unsent_bytes_total; /* answers in memory; beyond it, who leaves most unread is cut off; 512 MiB */
};
extern const struct http_limits http_limits_default;

struct http_header {
	struct slice name;  /* lower case */
	struct slice value; /* trimmed */
};

/* One request and its answer. The handler's own data can be in `context`; all memory of the exchange is its arena. */
struct http_exchange {
	struct slice method;
	struct slice target; /* as sent: path and query */
	struct slice path;   /* without query, as sent */
	struct slice query;
	struct http_header *headers; /* in order; HTTP/2's :authority appears as host */
	size_t header_count;
	struct slice body; /* after Content-Encoding: gzip was undone; raw_body is what the signature covers */
	struct slice raw_body;
	bool packed; /* the body is still packed, for unpacking it may take long: http_unpack() before it is used */
	struct arena *arena; /* lives until the answer is handed to the socket */
	struct loop *loop;
	void *context;
	struct job_flow flow; /* whose the connection's work is: the handler may correct it, for its next turns */
	_Atomic bool
	    gone;      /* the client left: the answer will be dropped; http_reply must still be called. Any thread */
	char peer[64]; /* "127.0.0.1:50412" */
	/* the answer */
	struct buf *out; /* the handler writes the body here; recycled by the connection */
};
/* Value of a header by lower-case name; SLICE_NONE when absent. */
static inline struct slice
http_header_get(const struct http_exchange *x, struct slice name)
{
	for (size_t i = 0; i < x->header_count; i++)
		if (slice_eq(x->headers[i].name, name)) /* in place: a constant's length spares the call */
			return x->headers[i].value;
	return SLICE_NONE;
}

/* Undo Content-Encoding: gzip. On any thread, like all that follows but http_refuse() and http_reply(). 0, or the
 * status with which the request must be refused. */
int http_unpack(struct http_exchange *x);
void http_refuse(struct http_exchange *x, int status); /* instead of a reply; closes the connection */

/* What will be sent for the body written to x->out: itself or, when the client accepts it and it is worth it, its gzip
 * form. For headers that cover the sent bytes (x-amz-crc32). Call it once the body is complete, before http_reply(). */
struct slice http_encode(struct http_exchange *x);
void http_encode_again(struct http_exchange *x); /* the body was changed after it */

/*
 * A part of the body that lies elsewhere and neither changes nor moves until done() is called, on the loop: `at` bytes
 * behind the beginning of x->out. It is sent from where it lies as long as the client takes it. In all other cases,
 * of a slow reader, HTTP/2, packing, it is copied then, so no loan waits for a client.
 */
#define HTTP_LOAN_RUNS 20
struct http_loan {
	size_t at, len;
	size_t count; /* of runs, at least 1 */
	struct slice runs[HTTP_LOAN_RUNS];
	void *owner[2];
	void (*done)(void *const owner[2]);
};
/* Once, before http_encode() and http_reply(). The CRC of x->out alone is then that of nothing. */
void http_lend(struct http_exchange *x, const struct http_loan *loan);

/* `headers` is ready-made text "Name: value\r\n..." for HTTP/1.1, converted for HTTP/2; Content-Length, Date,
 * Connection and, when the client accepts gzip and the body is larger than 1 KiB, Content-Encoding are added here. The
 * body is x->out. */
void http_reply(struct http_exchange *x, int status, struct slice headers);

typedef void (*http_handler)(struct http_exchange *x, void *context);

struct http_server;
struct http_server_options {
	const char *listen;   /* "127.0.0.1:8000", "[::1]:0", ":8000" */
	const char *tls_cert; /* NULL: cleartext */
	const char *tls_key;
	struct http_limits limits;
	http_handler handler;
	void *context;
};
/* One listening socket on each loop. Call before the loops run. SIGPIPE is ignored from here on. */
enum status http_server_new(const struct http_server_options *options, struct loop **loops, int loop_count,
			    struct http_server **ret, struct err *err);
/* "127.0.0.1:8000" with the port that was really taken. */
const char *http_server_address(const struct http_server *s);
enum status http_server_reload_tls(struct http_server *s,
				   struct err *err); /* any thread; the old one stays on failure */
/* Stop accepting and reading new requests; connections close after their answers in progress. Any thread. */
void http_server_drain(struct http_server *s);
int http_server_connections(const struct http_server *s); /* open now */
int http_server_in_progress(const struct http_server *s); /* exchanges not yet answered and sent */
void http_server_free(struct http_server *s);             /* after the loops ended */
void http_server_write_metrics(const struct http_server *s, struct buf *out);

#endif
