/*
 * Inside the nodes' room: what the thread of dax_peers.c shares with the connections it holds.
 *
 *   dax_peers.c    copies on their way from the caches, who is there and who leads, the thread, start and stop
 *   dax_peer.c     the connection to another node: what is pushed through it
 *   dax_visitor.c  connections from other nodes: what they push
 *
 * All of it runs on the thread of dax_peers.c but for what is said to be guarded by the lock.
 */
#ifndef STATOR_FRONT_DAX_PEERS_INT_H
#define STATOR_FRONT_DAX_PEERS_INT_H

#include <pthread.h>
#include <sys/socket.h>

#include "front/dax_peers.h"
#include "front/dax_wire.h"
#include "io/stream.h"

#define MS INT64_C(1000000)

enum peer_state { PEER_DOWN, PEER_CONNECTING, PEER_GREETED, PEER_UP };

struct peer {
	struct loop_fd fd; /* first */
	struct dax_peers *home;
	int index;
	char host[256];
	int port; /* of DAX */
	struct sockaddr_storage address;
	socklen_t address_len;
	/* the connection to it */
	enum peer_state state;
	int64_t since_ns, next_try_ns;
	struct wire wire;
	uint8_t nonce[WIRE_NONCE_BYTES];
	struct buf in, out;
	size_t sent; /* of out */
	const struct dax_list *list;
	uint64_t lists; /* sent through it */
	bool lost;      /* the copy of a write */
	/* what is known of it */
	int64_t heard_ns;
	struct wire_state told;
	bool alive; /* guarded by home->lock, as the next */
	uint64_t acked;
	_Atomic uint64_t copies, dropped;
};

struct dax_peers {
	struct dax_peers_options options;
	struct buf secret;
	uint64_t list_hash;
	struct wire_state me;
	struct loop *loop;
	pthread_t thread;
	bool running;
	struct stream_server *server;
	struct loop_timer timer;
	struct loop_task task; /* the outbox has something, or lists are to be shared */
	atomic_bool posted, leaving;
	uint64_t told_hash; /* of the endpoints told last */
	pthread_mutex_t lock;
	pthread_cond_t acked;
	struct buf outbox; /* u32 length, copy's payload; guarded by lock */
	bool outbox_lost;  /* likewise: the copy of a write did not fit */
	struct buf taken;  /* the outbox being handed out */
	_Atomic uint64_t received, refused;
	struct peer peers[DAX_NODES_MAX];
};

/* ---- dax_peers.c ---- */

/* A node said this of itself, on whichever connection. */
void peers_heard(struct dax_peers *p, int index, const struct wire_state *told);
/* Tell the node and those who wait, when something has changed of who is there. */
void peers_look_around(struct dax_peers *p);

/* ---- dax_peer.c ---- */

/* The peer is not there any more: also when its connection was not made yet. */
void peer_disconnect(struct peer *peer);
/* Begins to connect; tried again when it fails. */
void peer_dial(struct peer *peer);
/* These only fill the peer's buffer; call peer_flush() behind them. It may disconnect. */
void peer_put_lists(struct peer *peer);
void peer_put_state(struct peer *peer);
void peer_put_clear(struct peer *peer);
/* Also to a peer that is not there: then it is noted that it was lost. */
void peer_put_copy(struct peer *peer, struct slice copy);
void peer_flush(struct peer *peer);

/* ---- dax_visitor.c ---- */

extern const struct stream_handler dax_peers_visitors;

#endif
