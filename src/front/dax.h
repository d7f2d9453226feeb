/*
 * The DAX front: a node of the DAX data protocol on the loops' own threads. Bytes on one side, the operations of this
 * process (dax_front_local) or any other upstream on the other.
 */
#ifndef STATOR_FRONT_DAX_H
#define STATOR_FRONT_DAX_H

#include "api/auth.h"
#include "api/op.h"
#include "dax/dax.h"
#include "dax/lists.h"
#include "io/loop.h"
#include "io/stream.h"

struct dax_front_options {
	struct dax_upstream upstream;
	struct cache *cache;     /* borrowed; NULL: nothing is cached */
	struct dax_lists *lists; /* borrowed */
	const char *listen;      /* cleartext; NULL: none */
	const char *tls_listen;  /* NULL: none */
	const char *tls_cert, *tls_key;
	struct stream_limits limits; /* of each of the two */
	struct auth_keys *keys;      /* taken, also after a failure; NULL: any well-formed signature will do */
	const char *const *regions;  /* whose names signatures may have; copied. Looked at only with keys */
	size_t region_count;
	const char *cluster; /* its name in rights, borrowed: arn:aws:dax:REGION:ACCOUNT:cache/NAME */
};

struct dax_front;
/* Call before the loops run. */
enum status dax_front_new(const struct dax_front_options *options, struct loop **loops, int loop_count,
			  struct dax_front **ret, struct err *err);
struct dax_node *dax_front_node(struct dax_front *f);
const char *dax_front_address(const struct dax_front *f);               /* NULL: none */
const char *dax_front_tls_address(const struct dax_front *f);           /* NULL: none */
enum status dax_front_reload_tls(struct dax_front *f, struct err *err); /* any thread; S_OK without TLS */
/* Other keys from now on: connections authorized with the old ones must authorize again. Any thread. */
void dax_front_set_keys(struct dax_front *f, struct auth_keys *keys);
void dax_front_drain(struct dax_front *f); /* any thread */
int dax_front_in_progress(const struct dax_front *f);
int dax_front_requests(const struct dax_front *f);    /* being answered; ends by itself when nobody asks any more */
int dax_front_connections(const struct dax_front *f); /* open now */
void dax_front_write_metrics(struct dax_front *f, struct buf *out);
void dax_front_free(struct dax_front *f); /* after the loops ended; NULL is fine */

/* The operations of this process as an upstream. coherent: writes are told by their place in the change log, as a
 * coherent cache asks for (cache/coherent.h). */
struct dax_upstream dax_front_local(struct op_context *ops, bool coherent);

#endif
