/*
 * The nodes of DAX clusters that the control plane makes (struct fleet_machine): each a cache, a port and a thread with
 * an event loop of its own, so that it can come and go while the server runs. What its cache does not have it asks the
 * operations of this process for, on one of the server's loops.
 *
 * Nodes of one cluster copy to each other what they keep, at once: there is no wire between them. A node that is
 * restarting keeps its cache and goes on receiving copies, so nothing in it is older than in the others. Coherent nodes
 * copy nothing: a copy could arrive behind the record that makes it old.
 */
#ifndef STATOR_FRONT_DAX_FLEET_H
#define STATOR_FRONT_DAX_FLEET_H

#include "api/auth.h"
#include "dax/lists.h"
#include "fleet/fleet.h"
#include "front/metrics.h"
#include "io/stream.h"

struct dax_fleet_options {
	struct op_context *ops;
	struct loop **loops;
	int loop_count;
	const char *region;
	const char *host;          /* that nodes listen on */
	int port_first, port_last; /* 0: any free one */
	uint64_t node_bytes;       /* of each node's caches */
	struct table_db *db;       /* of the region, borrowed */
	bool coherent;             /* each cache follows the change log; nothing is copied from one to another */
	const char *tls_cert, *tls_key;
	struct stream_limits limits;
	/* Asked when a node starts. keys NULL: any well-formed signature will do. */
	enum status (*lists)(void *context, struct dax_lists **ret, struct err *err);
	enum status (*keys)(void *context, struct auth_keys **ret, struct err *err);
	void *context;
};
struct dax_fleet;

/* Strings and loops are borrowed. One for each region. */
struct dax_fleet *dax_fleet_new(const struct dax_fleet_options *options);
struct fleet_machine dax_fleet_machine(struct dax_fleet *f);
void dax_fleet_reload(struct dax_fleet *f); /* certificate and keys have changed */
int dax_fleet_in_progress(struct dax_fleet *f);
/* The figures of the nodes' caches. */
void dax_fleet_add_metrics(struct dax_fleet *f, struct metrics_merge *merge);
void dax_fleet_free(struct dax_fleet *f); /* after fleet_close(); NULL is fine */

#endif
