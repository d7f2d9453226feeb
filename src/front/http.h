/*
 * The HTTP front: requests on one side, operations on the other.
 *
 *     POST /         X-Amz-Target names the operation; JSON 1.0
 *     GET /          "healthy: dynamodb.REGION.amazonaws.com ", as the service answers
 *     GET /health    this server, as JSON
 *     GET /metrics   figures for Prometheus
 *     POST, GET /_stator/test-controls   api/controls.h, when they are switched on
 *     OPTIONS *      the preflight of browsers
 *
 * Everything else is answered as the service answers it. Signatures are checked in their form always, and against the
 * keys when there are some. The region a request works on is that of its credential scope.
 */
#ifndef STATOR_FRONT_HTTP_H
#define STATOR_FRONT_HTTP_H

#include "api/auth.h"
#include "api/op.h"
#include "io/http.h"

struct front_http_options {
	struct op_context *ops;
	struct table_db **dbs; /* one a region, the first is the default; for /health and /metrics */
	size_t db_count;
	const char *listen; /* "127.0.0.1:8000"; see io/http.h */
	const char *tls_cert, *tls_key;
	struct http_limits limits;
	bool test_controls;     /* POST and GET /_stator/test-controls are served */
	struct auth_keys *keys; /* taken, also after a failure; NULL: any well-formed signature will do */
};

struct front_http;
/* Borrows ops and dbs. Call before the loops run. */
enum status front_http_new(const struct front_http_options *options, struct loop **loops, int loop_count,
			   struct front_http **ret, struct err *err);
/* "127.0.0.1:8000", with the port that was really taken. */
const char *front_http_address(const struct front_http *f);
/* Read certificate and key again; connections go on with what they have. Any thread. */
enum status front_http_reload_tls(struct front_http *f, struct err *err);
/* Other keys from now on; requests in progress keep theirs. Only for a front that was made with some. Any thread. */
void front_http_set_keys(struct front_http *f, struct auth_keys *keys);
/* Another front's address for /health: {"http":"...", "dax":"..."}. Before the loops run; name is borrowed, address
 * copied. */
void front_http_add_address(struct front_http *f, const char *name, const char *address);
/* What else /metrics tells. One, before the loops run; called on any loop. */
void front_http_on_metrics(struct front_http *f, void (*write)(void *context, struct buf *out), void *context);
/* Stop accepting connections and requests; what is in progress is answered. Any thread. */
void front_http_drain(struct front_http *f);
/* Requests not yet answered and sent. Any thread. */
int front_http_in_progress(const struct front_http *f);
void front_http_free(struct front_http *f); /* after the loops ended */

#endif
