/*
 * HTTP calls out, on the event loop: the upstream of a cache node, and whatever else of this program calls others.
 * libcurl does the work (its multi interface, driven by the loop), behind this header alone.
 *
 * One client for each loop, used by that loop's thread only. Connections are kept alive and reused; their number is
 * bounded, and so is the number of calls that are under way or wait for a connection: beyond it a call fails at once.
 * Nothing is ever tried twice, no redirect is followed: what to do about a failure is the caller's to know. HTTP/1.1.
 *
 * Proxies are those of the environment (HTTPS_PROXY, NO_PROXY ...), except for addresses of this machine.
 */
#ifndef STATOR_IO_HTTP_CLIENT_H
#define STATOR_IO_HTTP_CLIENT_H

#include "base/buf.h"
#include "io/loop.h"

struct http_client;

struct http_client_options {
	int connections;     /* open at once to all hosts together; 64 */
	int calls;           /* under way or waiting for a connection; 4096 */
	int connect_ms;      /* 3000 */
	const char *ca_file; /* NULL: the system's certificate authorities. Copied */
};
extern const struct http_client_options http_client_options_default;

/* What went wrong when there was no answer. */
enum http_call_failure {
	HTTP_CALL_OK,
	HTTP_CALL_BUSY,    /* more calls than allowed; nothing was sent */
	HTTP_CALL_CONNECT, /* no connection came about (name, address, TLS); nothing of the request was sent */
	HTTP_CALL_TIME,    /* no whole answer within timeout_ms: what the other side did is not known */
	HTTP_CALL_BROKEN,  /* the connection ended, or what came is no HTTP: likewise */
	HTTP_CALL_LARGE,   /* the answer is larger than out_max: likewise */
};

/* One call; the caller's memory, untouched by him until done() or http_client_cancel(). */
struct http_call {
	/* in */
	const char *method;   /* "POST" */
	const char *url;      /* "https://host/path?query"; NUL-terminated, as everything here that is no slice */
	struct slice headers; /* ready-made text "Name: value\r\n..."; Content-Length is added */
	struct slice body;
	int timeout_ms;                       /* for all of it */
	struct buf *out;                      /* the answer's body is appended here */
	size_t out_max;                       /* bytes of it */
	struct buf *out_headers;              /* NULL: not wanted; else "name: value\r\n..." as received */
	void (*done)(struct http_call *call); /* exactly once, on the loop, never within http_client_start() */
	void *owner;
	/* out */
	int status; /* 0: there was no answer */
	enum http_call_failure failure;
	char message[160]; /* about a failure, for people */
	/* private */
	void *easy, *lines;
	struct http_client *client;
	struct http_call *next, *prev;
	struct loop_timer timer;
	size_t out_start;
};

/* Before the loops run or on the loop's thread. */
enum status http_client_new(struct loop *loop, const struct http_client_options *options, struct http_client **ret,
			    struct err *err);
/* Calls under way end without done(). After the loop has ended, before loop_free(). */
void http_client_free(struct http_client *c);
void http_client_start(struct http_client *c, struct http_call *call);
/* done() is not called any more. The request may have reached the other side. */
void http_client_cancel(struct http_call *call);
int http_client_in_progress(const struct http_client *c);

#endif
