/*
 * Inside the HTTP server: who owns what.
 *
 * A server has one http_loop on each loop; nothing in it is shared between threads but counters. An http_loop owns its
 * connections and the pools that requests, connections and input blocks are recycled through, so that a request in the
 * usual case costs no malloc.
 *
 * Input arrives in blocks. A request's slices point into its block, which it keeps by a reference until its answer is
 * handed to the socket; a connection between two requests holds no block. A body that does not fit is collected in the
 * request's own buffer, which grows as data really comes.
 *
 * A request is in its connection's queue from its first byte until the last byte of its answer was taken by the socket.
 * Handlers only ever add to lists (http_reply); closing and recycling is done where no handler is on the stack.
 */
#ifndef STATOR_IO_HTTP_INT_H
#define STATOR_IO_HTTP_INT_H

#include <llhttp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>

#include "io/accept.h"
#include "io/http.h"

#define HEADERS_MAX   100 /* header fields of one request; then 431 */
#define BLOCK_BYTES   (16 * 1024)
#define SCRATCH_BYTES (64 * 1024)
#define TURN_BYTES    (256 * 1024) /* thrown away of one connection in one turn; then the others have theirs */
#define LINGER_MS     5000         /* reading on after a refusal, so that the client can read it */

struct conn;
struct h2;
struct http_loop;

/* A run of input, shared by the connection filling it and the requests within. */
struct block {
	int refs;
	struct block *next; /* in the pool */
	size_t len, cap;
	char data[];
};

enum request_state {
	REQUEST_READING, /* not complete */
	REQUEST_WAITING, /* complete, not yet handed to the handler (HTTP/2, while answers pile up) */
	REQUEST_RUNNING, /* with the handler */
	REQUEST_REPLIED, /* head and body are ready to be sent */
};

struct request {
	struct http_exchange x;       /* first: the handler's pointer is ours */
	struct request *next, *prev;  /* in the connection's queue or the pool */
	struct request *replied_next; /* in http_loop.replied */
	struct conn *conn;            /* NULL: the client is gone */
	struct http_loop *home;
	enum request_state state;
	bool in_replied;

	/* the request */
	struct block *block;
	size_t start;        /* where it begins in the block */
	size_t header_bytes; /* seen so far, also of trailers */
	enum { PART_TARGET, PART_NAME, PART_VALUE, PART_BODY } part;
	int refusal;  /* status to answer instead of running it; 0: none */
	bool spilled; /* the body is in `body`, not in the block */
	bool body_gzip;
	bool accept_gzip;
	bool is_head;
	bool http10;
	bool keep_alive;
	bool want_continue;  /* "100 Continue" is still to be sent */
	size_t body_counted; /* of http_server.body_bytes */
	int64_t started_ns;  /* first byte */
	struct buf body, unpacked;
	struct arena arena;

	/* the answer */
	int status;
	bool encoded; /* http_encode() was called */
	bool gzipped; /* out is in gzip_out */
	struct buf head, out, gzip_out;
	struct slice reply_body; /* what is sent: of out or gzip_out, and the loan within */
	size_t sent;             /* of head and body; HTTP/2: of the body */
	struct http_loan loan;   /* len 0: none */
	int32_t stream_id;       /* HTTP/2 */

	struct http_header headers[HEADERS_MAX];
};

struct conn {
	struct loop_fd fd; /* first: ready() is given this */
	struct loop_timer timer;
	struct http_loop *home;
	struct place place;                  /* among all of the loop */
	struct loop_job read_job, flush_job; /* both of the same flow */
	struct conn *next;                   /* of the dead; in the pool */
	bool dead;
	enum { PROTOCOL_UNKNOWN, PROTOCOL_HTTP1, PROTOCOL_HTTP2 } protocol;
	bool handshaking;
	bool readable, writable; /* edges seen and not yet used up */
	bool hung_up;            /* the client sent its last byte; what is before it may still be read */
	bool eof;                /* and we have read it */
	bool closing;            /* no further request is read */
	bool linger;             /* before closing, read on what the client still sends */
	bool lingering;
	bool tls_broken;

	struct block *in;
	size_t parsed; /* of in */
	struct request *first, *last;
	struct request *reading; /* HTTP/1.1: the one not complete */
	int queued;
	size_t unsent; /* of answers */
	size_t moved;  /* of them since progress_ns */
	int64_t accepted_ns, idle_since_ns, progress_ns, linger_until_ns;

	SSL *ssl;
	struct h2 *h2;
	llhttp_t parser;
	char peer[64];
};

/* NULL for NULL. */
static inline struct conn *
conn_at(const struct place *p)
{
	return p != NULL ? (struct conn *)((char *)p - offsetof(struct conn, place)) : NULL;
}

struct figures {
	_Atomic uint64_t accepted, requests_http1, requests_http2, received_bytes, sent_bytes, handshakes_failed;
	_Atomic uint64_t refused_headers, refused_body, refused_slow, refused_malformed, refused_memory;
	_Atomic uint64_t closed_idle, closed_unread, closed_connection_limit, closed_resets, closed_for_room,
	    accept_paused;
	_Atomic int64_t in_progress;
};
/* Only the loop's thread writes its figures, so a plain add will do. */
#define COUNT(home, name, by)                                                                                          \
	atomic_store_explicit(&(home)->figures.name,                                                                   \
			      atomic_load_explicit(&(home)->figures.name, memory_order_relaxed) + (by),                \
			      memory_order_relaxed)

struct http_loop {
	struct http_server *server;
	struct loop *loop;
	struct acceptor acceptor;
	bool draining;

	struct places conns;
	struct conn *dead;
	int64_t cut_off_ns;
	struct request *replied; /* answered in this turn; their input is let go at its end */
	struct loop_task drain_task;
	atomic_bool drain_posted; /* any thread */

	struct conn *free_conns;
	struct request *free_requests;
	struct block *free_blocks;
	int free_conn_count, free_request_count, free_block_count;

	int64_t date_checked_ns, date_s;
	char date[64]; /* "Date: ...\r\n" */
	size_t date_len;

	struct figures figures;
	char scratch[SCRATCH_BYTES];     /* input on its way into a body; thrown-away input */
	char out_scratch[SCRATCH_BYTES]; /* output put together for one send */
};

struct http_server {
	struct http_server_options options; /* its strings are copies */
	struct http_limits limits;
	_Atomic int connections;
	_Atomic size_t body_bytes; /* in memory, of all connections */
	_Atomic size_t unsent_bytes;
	pthread_mutex_t tls_lock;
	SSL_CTX *tls; /* guarded by tls_lock; NULL: cleartext */
	char address[96];
	int loop_count;
	struct http_loop *loops[];
};

/* --- http_conn.c: one connection --- */

struct conn *conn_new(struct http_loop *home, int fd, const char *peer);
/* Ends it now; answers in progress become `gone`. The memory stays until the turn ends. */
void conn_close(struct conn *c);
void conn_pump(struct conn *c);                   /* read and handle what is there and allowed */
void conn_want_flush(struct conn *c);             /* as a job */
void conn_again(struct conn *c);                  /* pump, as a job */
bool conn_spent(const struct conn *c);            /* its job has taken enough: the others' turn */
void conn_arm(struct conn *c);                    /* its timer, when a deadline came nearer */
void conn_after_answers(struct conn *c);          /* all answers are out: close, linger or go on reading */
void conn_progress(struct conn *c, size_t bytes); /* so much of the answers left the connection */
void conn_moved(struct conn *c, size_t bytes);    /* so much was taken by the client */
/* All places are taken: close one that has been unused for long. False: there is none of the few looked at. */
bool conn_make_room(struct http_loop *home);
/* Bytes, 0 at the end, -1 when there is nothing now, -2 when the connection is broken. */
ssize_t conn_recv(struct conn *c, void *data, size_t len);
ssize_t conn_send(struct conn *c, const void *data, size_t len);
ssize_t conn_sendv(struct conn *c, struct iovec *parts, int count);
void http_loop_turn_end(struct loop *l, void *context); /* recycle what was answered and who has been closed */

/* --- http_request.c: one request --- */

struct request *request_new(struct conn *c);
void request_free_memory(struct request *r); /* of one in the pool */
/* Take it out of its connection's queue and recycle it (at the turn's end when a handler may still look at it). */
void request_free(struct request *r);
void request_recycle(struct request *r); /* of one that is in no queue */
/* Body, block and arena, when the answer does not need them any more. */
void request_release_input(struct request *r);
/* Account for `more` bytes of body. False: over the total limit. */
bool request_count_body(struct request *r, size_t more);
/* The request is complete: unpack the body, check it, run the handler. Or answer r->refusal. */
void request_dispatch(struct request *r);
/* Reads what the server needs from a request's headers. Sets r->refusal when something is wrong with them. */
void request_scan_headers(struct request *r);
void request_split_target(struct request *r);
/* Copies what was lent into `out`, so that it is an answer like others. */
void request_settle(struct request *r);
/* Of head and body. */
static inline size_t
request_answer_len(const struct request *r)
{
	return r->head.len + r->reply_body.len + r->loan.len;
}
/* Answer with `status`, an empty body, and close after it. */
void request_refuse(struct request *r, int status);

struct block *block_new(struct http_loop *home, size_t cap);
void block_release(struct http_loop *home, struct block *b);

/* --- http1.c --- */

/* Read once from the socket and handle it. False: nothing more to do now. */
bool http1_receive(struct conn *c);
/* Handle what is in the block c->in. */
void http1_feed(struct conn *c);
void http1_render(struct request *r, struct slice headers); /* r->head */
void http1_flush(struct conn *c);

/* --- http2.c --- */

void http2_begin(struct conn *c);   /* after the preface was seen, or ALPN said so; takes over c->in */
bool http2_receive(struct conn *c); /* as http1_receive */
void http2_reply(struct request *r, struct slice headers);
void http2_flush(struct conn *c);
void http2_run_waiting(struct conn *c); /* answers got out: requests that waited for that may run */
bool http2_owes(const struct conn *c);  /* frames wait for the socket */
void http2_drain(struct conn *c);       /* GOAWAY; what runs is answered */
void http2_goodbye(struct conn *c);     /* GOAWAY, then the next flush closes */
void http2_end(struct conn *c);         /* the connection is closed */

/* --- tls.c: results as of conn_recv and conn_send --- */

bool tls_begin(struct conn *c);
ssize_t tls_handshake(struct conn *c); /* 1 when it is done */
ssize_t tls_recv(struct conn *c, void *data, size_t len);
ssize_t tls_send(struct conn *c, const void *data, size_t len);
void tls_goodbye(struct conn *c); /* close_notify */
void tls_end(struct conn *c);

const char *http_status_text(int status);
struct slice http_loop_date(struct http_loop *home); /* "Date: ...\r\n" */

#endif
