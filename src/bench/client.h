/*
 * A client for load, HTTP/1.1 or another protocol of requests and answers (struct client_wire): one thread, one epoll,
 * many connections with one request in flight on each.
 *
 * What to send and what to do with an answer is the user's (struct client_hooks). Everything runs in client_run() on
 * the calling thread.
 */
#ifndef STATOR_BENCH_CLIENT_H
#define STATOR_BENCH_CLIENT_H

#include <netdb.h>
#include <openssl/ssl.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/status.h"

struct endpoint {
	char url[512];
	char host[256]; /* as in the Host header, with the port unless it is the scheme's own */
	char name[256]; /* without port, for TLS */
	struct sockaddr_storage address;
	socklen_t address_bytes;
	SSL_CTX *tls; /* NULL: cleartext */
};
enum status endpoint_init(struct endpoint *e, const char *url, bool insecure, struct err *err);
void endpoint_done(struct endpoint *e);

/* A request, ready to be sent again and again. */
struct request {
	struct buf bytes;
	int kind;
	int64_t signed_s;
	bool busy; /* the user's: it is on its way */
};

struct client;
struct client_answer {
	int status;        /* HTTP, or by the wire; 0: the connection was lost before an answer */
	struct slice body; /* all of it with keep_body, else at least its beginning when that came with the header */
	int64_t latency_ns;
	int slot; /* which connection */
	struct request *request;
};
struct client_hooks {
	/* The next request for that connection; NULL: it has nothing more to do. Stays untouched until its answer. */
	struct request *(*next)(void *context, int slot);
	void (*answered)(void *context, const struct client_answer *answer);
	void *context;
};
/* Another protocol than HTTP. */
struct client_wire {
	/* What a connection says before its first request; NULL: nothing. */
	void (*hello)(const void *context, struct buf *out);
	const void *context;
	int64_t hello_ns; /* it is believed so long; then the connection is made anew. 0: for ever */
	/* The bytes of an answer that begins with these; 0: more must come. *ret_status: 200 when it is a good one. */
	size_t (*answer_bytes)(struct slice data, int *ret_status);
};
struct client_options {
	const struct endpoint *endpoint;
	const struct client_wire *wire; /* NULL: HTTP/1.1 */
	struct client_hooks hooks;
	int connections;
	double rate; /* requests a second of this client; 0: closed loop */
	bool keep_body;
	atomic_bool *stop; /* checked at least every 100 ms */
};
/* Until *stop, or until no connection has anything to do. S_IO: the endpoint cannot be reached. */
enum status client_run(const struct client_options *options, uint64_t *ret_unsent, struct err *err);

#endif
