/*
 * The DAX data protocol, without sockets: what a node does with the bytes of a connection.
 *
 * A node has one struct dax_loop for each event loop; sessions (one a connection) and their requests belong to it and
 * are touched by its thread alone. A session is fed bytes and appends replies to a buf. Requests are CBOR; each becomes
 * a request in DynamoDB JSON for the node's upstream, whose JSON reply becomes CBOR again. So every node, in this
 * process or alone in front of another endpoint, answers with the upstream's checks and words. What the caches hold is
 * in wire form and goes out without any of that.
 *
 * What is handed to clients for ever are the ids of attribute lists: see lists.h.
 * The wire: docs/formats/dax.md.
 */
#ifndef STATOR_DAX_DAX_H
#define STATOR_DAX_DAX_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"
#include "cache/cache.h"
#include "codec/cbor.h"

#define DAX_REQUEST_MAX  (17 * 1024 * 1024) /* bytes of one request */
#define DAX_PREAMBLE_MAX 1024

struct dax_node;
struct dax_loop;

/* --- the way to the data --- */

/* One call of the upstream. Made by the node, filled by the upstream from http_status on. */
struct dax_call {
	/* in */
	struct slice target;  /* "DynamoDB_20120810.GetItem" */
	struct slice body;    /* JSON */
	struct slice region;  /* of the client's credential scope; empty: the default */
	const void *caller;   /* of the client's identity; NULL: the node itself asks */
	struct slice cluster; /* dax_node_options.cluster */
	struct slice peer;    /* the client's address; may be empty */
	bool secure;
	void *loop;                          /* dax_loop_options.loop */
	struct arena *arena;                 /* lives until done() has returned */
	const _Atomic bool *gone;            /* set when nobody waits for the answer any more */
	struct buf *out;                     /* the reply's JSON is appended here */
	void (*done)(struct dax_call *call); /* exactly once, on the loop that called; maybe before call() returns */
	void *owner;
	/* out */
	int http_status; /* 0: no answer was had, err_message says why */
	uint64_t order;  /* of an accepted write: see cache_write(); 0: not known */
	const char *err_message;
};
/* A caller, as far as it is known without a request. */
struct dax_asker {
	const void *caller;
	struct slice region, peer, cluster;
	bool secure;
};
struct dax_upstream {
	void (*call)(void *context, struct dax_call *call);
	/* Do policies decide about reads besides those of the caller? Then nothing is answered from a cache to a known
	 * caller. Any thread, cheap; NULL: never. */
	bool (*has_policies)(void *context);
	/* May the caller read all that the cluster holds, whatever else is decided about tables? Asked when it
	 * authorizes; NULL: no. */
	bool (*may_read_all)(void *context, const struct dax_asker *asker);
	/* May the caller do anything with that table's items? Then it may know the keys. NULL: yes. */
	bool (*may_use)(void *context, const struct dax_asker *asker, struct slice table);
	void *context;
	int64_t table_ms; /* how long a table's key schema is believed; a table made anew may be told as its predecessor
			   * so long */
};

/* --- who may come in --- */

struct dax_authorization {
	struct slice access_key, signature, string_to_sign, token; /* token empty: none */
};
/* Held by the sessions and requests of one loop. */
struct dax_identity {
	int refs;
	const void *caller; /* handed to the upstream; NULL: everything is allowed */
	void *held;         /* the gate's own */
	char region[33];
	bool unrestricted; /* may read what another has put into the cache, unless there are policies of tables */
	bool reads_all;    /* may read it in any case */
	int64_t until_ns;  /* clock_mono_ns: then the client must authorize again */
};
struct dax_gate {
	/* Fill caller, held, region, unrestricted; S_OK or the failure to tell at the next request. */
	enum status (*verify)(void *context, const struct dax_authorization *a, struct dax_identity *ret,
			      struct err *err);
	/* Are its keys still in use? */
	bool (*valid)(void *context, const struct dax_identity *identity);
	void (*release)(void *context, struct dax_identity *identity); /* held */
	void *context;
};

/* --- the cluster, as the endpoints call tells it --- */

struct dax_endpoint {
	int64_t node_id;
	char host[256];
	uint8_t address[16]; /* the first 4 bytes for IPv4 */
	uint8_t address_len; /* 4 or 16; 0: the one that the asking connection came to */
	int port;            /* 0: likewise */
	bool leader;
	char zone[64];
};
#define DAX_NODES_MAX 11
struct dax_cluster {
	int count;
	int64_t leader_session; /* another one when another node became the leader */
	struct dax_endpoint nodes[DAX_NODES_MAX];
};

/* --- a node --- */

struct dax_lists;

#define DAX_SYNC_SPACE 4096
/* A wish that lists be on the disk. */
struct dax_sync {
	void *loop;                                                                     /* dax_loop_options.loop */
	void (*done)(struct dax_sync *sync, enum status status, const struct err *err); /* on that loop */
	void *owner;
	_Alignas(16) char space[DAX_SYNC_SPACE]; /* for who does it */
};
struct dax_node_options {
	struct dax_upstream upstream;
	struct dax_gate gate;
	struct cache *cache;     /* borrowed; NULL: nothing is cached */
	struct dax_lists *lists; /* borrowed */
	void (*sync)(void *context,
		     struct dax_sync *sync); /* dax_lists_sync() without blocking the loop; NULL: not needed */
	void *sync_context;
	int64_t authorized_ms; /* how long an authorization lasts */
	const char *cluster;   /* its name in rights, borrowed; NULL: it has none */
};
struct dax_node *dax_node_new(const struct dax_node_options *options);
void dax_node_free(struct dax_node *n); /* after its loops */
/* What the endpoints call answers from now on; before the first time the node is alone. Any thread. */
void dax_node_set_cluster(struct dax_node *n, const struct dax_cluster *cluster);
void dax_node_get_cluster(struct dax_node *n, struct dax_cluster *ret);
/* Prometheus lines stator_dax_*, without those of the cache. */
void dax_node_write_metrics(struct dax_node *n, struct buf *out);

struct dax_loop *dax_loop_new(struct dax_node *n, void *loop);
void dax_loop_free(struct dax_loop *l);             /* no session is open and no call under way */
int dax_loop_in_progress(const struct dax_loop *l); /* requests begun and not answered; any thread */

/* --- a connection --- */

enum dax_phase { DAX_PREAMBLE, DAX_METHOD, DAX_ARGUMENTS };
struct dax_method;
struct dax_request;

struct dax_session {
	/* set by the caller before dax_session_begin() */
	void *owner; /* its own */
	struct dax_loop *home;
	struct buf *out; /* replies are appended here */
	/* A request that did not end within dax_session_feed() has been answered: send, and feed on. */
	void (*answered)(struct dax_session *s);
	struct slice peer;
	bool secure;
	uint8_t address[16]; /* where the client connected to, for endpoints */
	uint8_t address_len;
	int port;
	/* private */
	struct cbor_scan scan;
	enum dax_phase phase;
	const struct dax_method *method;
	struct dax_request *running;
	struct dax_identity *identity;
	struct {
		enum status status; /* S_OK: none */
		char message[200];
	} refused;      /* an authorization that failed: told with the next request */
	bool go_client; /* its "Select 1" means nothing */
	bool framed;    /* it wants each reply in a frame */
	bool closing;
	bool feeding;
};

enum dax_want {
	DAX_WANT_BYTES, /* feed again with what is left and more */
	DAX_WANT_TIME,  /* a request is running: feed again after answered() */
	DAX_WANT_END,   /* send what is in out, then close */
};

void dax_session_begin(struct dax_session *s);
/*
 * data: all bytes not yet used. *ret_used of them were; the next call begins with the rest (of which what was already
 * looked at is not looked at again).
 */
enum dax_want dax_session_feed(struct dax_session *s, const char *data, size_t len, size_t *ret_used);
/* Has the client begun a request (or its preamble) that is not complete? For timeouts. */
bool dax_session_is_half(const struct dax_session *s, size_t unused_bytes);
void dax_session_end(struct dax_session *s); /* the connection is gone */

#endif
