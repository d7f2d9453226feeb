/*
 * The nodes of a cluster of `stator dax` processes: who is there, who leads, and copies of what each keeps.
 *
 * Each node knows the list of all nodes and opens one connection to each other one, on the node's DAX port plus an
 * offset, which it pushes through: its attribute lists, copies of cache entries, and a sign of life. The wire is
 * docs/formats/dax-peers.md: frames with a MAC from a secret that the nodes share; nothing is encrypted.
 *
 * A node is there while it gives signs of life; it leaves the endpoints answer when its connections break and cannot be
 * made again, or after PEERS_SILENCE_MS. The leader is the node that started first of those that are there, so one that
 * comes back is a replica. All nodes compute that for themselves from the same facts; while the network between them is
 * cut in two, each side has its leader, which is fine for caches: the table decides every write.
 *
 * Nothing here ever waits for a peer in the path of a request, but for one thing: a client gets the id of a new
 * attribute list when all live nodes have the list, or after PEERS_SHARE_MS.
 *
 * Queues are bounded. What a peer cannot take is dropped; when that was the copy of a write, the peer's caches are
 * emptied before it gets the next copy, for they may hold the item as it was.
 */
#ifndef STATOR_FRONT_DAX_PEERS_H
#define STATOR_FRONT_DAX_PEERS_H

#include "dax/dax.h"
#include "dax/lists.h"

#define PEERS_TICK_MS    100
#define PEERS_SILENCE_MS 800
#define PEERS_SHARE_MS   3000 /* a node that is not heard of for PEERS_SILENCE_MS is not waited for */

struct dax_peers;
struct dax_peers_options {
	const char *const *nodes; /* "host:port" of all nodes, as clients reach them; the same list on each of them */
	size_t node_count;
	size_t self; /* which of them is this one */
	int port_offset;
	struct slice secret;
	struct cache *cache;
	struct dax_lists *lists;
	struct dax_node *node; /* is told the endpoints */
};
/* Resolves the names, listens, starts a thread. Sets the cache's watcher and the lists' on_sync. */
enum status dax_peers_new(const struct dax_peers_options *options, struct dax_peers **ret, struct err *err);
/* The others take this node out of their endpoints at once. Any thread. */
void dax_peers_leave(struct dax_peers *p);
/* Prometheus lines stator_dax_peer_*. */
void dax_peers_write_metrics(struct dax_peers *p, struct buf *out);
void dax_peers_free(struct dax_peers *p); /* when nothing uses the cache any more; NULL is fine */

#endif
