/*
 * A cache node's way to the data over HTTP: DynamoDB JSON, signed with the node's own keys, to any DynamoDB endpoint.
 *
 * Nothing is tried twice: clients of DAX retry. An answer, good or bad, is passed on as it came. When there was none
 * the call ends with http_status 0, so that nobody takes a write for done or not done; with more calls than are allowed
 * at once, with a ThrottlingException of the node's own, before anything was sent.
 */
#ifndef STATOR_FRONT_DAX_UPSTREAM_H
#define STATOR_FRONT_DAX_UPSTREAM_H

#include "dax/dax.h"
#include "io/http_client.h"

struct dax_remote;

struct dax_remote_options {
	const char *url;    /* "https://dynamodb.eu-west-1.amazonaws.com", "http://127.0.0.1:8000" */
	const char *region; /* of the signatures; NULL: that in the host's name */
	const char *access_key, *secret, *session_token; /* session_token NULL or empty: none */
	const char *ca_file;                             /* NULL: the system's */
	int timeout_ms, connect_ms;
	int connections, calls; /* of all loops together */
	int64_t table_ms;       /* see struct dax_upstream */
};
/* Everything is copied. S_VALIDATION: the URL or the region. Before the loops run. */
enum status dax_remote_new(const struct dax_remote_options *options, struct loop **loops, int loop_count,
			   struct dax_remote **ret, struct err *err);
void dax_remote_free(struct dax_remote *r); /* after the loops ended, before loop_free(); NULL is fine */
struct dax_upstream dax_remote_upstream(struct dax_remote *r);
const char *dax_remote_region(const struct dax_remote *r);
/* Prometheus lines stator_dax_upstream_*. */
void dax_remote_write_metrics(struct dax_remote *r, struct buf *out);

#endif
