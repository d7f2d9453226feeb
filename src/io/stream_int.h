/*
 * Inside the servers of connections that carry bytes: stream.c is one connection, stream_server.c what accepts them.
 * A server has one stream_home on each loop, which owns the loop's connections and a pool of buffers for answers.
 */
#ifndef STATOR_IO_STREAM_INT_H
#define STATOR_IO_STREAM_INT_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "io/accept.h"
#include "io/stream.h"

#define SCRATCH_BYTES (64 * 1024)
#define POOL_BUFS     256

struct stream_home;

struct stream {
	struct loop_fd fd; /* first: ready() is given this */
	struct loop_timer timer;
	struct stream_home *home;
	struct place place;  /* among all of the loop */
	struct loop_job job; /* receive, hand on, send */
	struct stream *dead_next;
	bool dead;
	bool handshaking, tls_broken;
	bool readable, writable; /* edges seen and not used up */
	bool hung_up, eof;
	bool waiting; /* the handler runs something */
	bool ending;  /* close when out is sent */
	bool active;  /* counted in home->active */
	struct buf in, out;
	size_t sent;          /* of out */
	size_t counted, owed; /* in the server's in_bytes, unsent_bytes */
	int64_t idle_since_ns, half_since_ns, progress_ns;
	SSL *ssl;
	char peer[64];
	_Alignas(16) char state[];
};

/* NULL for NULL. */
static inline struct stream *
stream_at(const struct place *p)
{
	return p != NULL ? (struct stream *)((char *)p - offsetof(struct stream, place)) : NULL;
}

struct stream_figures {
	_Atomic uint64_t accepted, received_bytes, sent_bytes, handshakes_failed;
	_Atomic uint64_t closed_idle, closed_slow, closed_unread, closed_limit, closed_memory, closed_for_room;
};
/* Only the loop's thread writes its figures, so a plain add will do. */
#define COUNT(home, name, by)                                                                                          \
	atomic_store_explicit(&(home)->figures.name,                                                                   \
			      atomic_load_explicit(&(home)->figures.name, memory_order_relaxed) + (by),                \
			      memory_order_relaxed)

struct stream_home {
	struct stream_server *server;
	struct loop *loop;
	struct acceptor acceptor;
	bool draining;
	struct places streams;
	struct stream *dead;
	int64_t cut_off_ns;
	struct loop_task drain_task;
	atomic_bool drain_posted;
	_Atomic int active;
	struct buf pool[POOL_BUFS];
	int pool_count;
	struct stream_figures figures;
	char scratch[SCRATCH_BYTES];
};

struct stream_server {
	struct stream_server_options options; /* its strings are copies */
	_Atomic int connections;
	_Atomic size_t in_bytes, unsent_bytes;
	pthread_mutex_t tls_lock;
	SSL_CTX *tls;
	char address[96];
	int loop_count;
	struct stream_home *homes[];
};

/* --- stream.c --- */

/* Takes fd and begins with what its client sends. */
void stream_conn_begin(struct stream_home *home, int fd, const char *peer);
/* Ends it now. The memory stays until stream_conn_bury(). */
void stream_conn_close(struct stream *s);
void stream_conn_bury(struct stream_home *home); /* frees those that were closed; where no handler is on the stack */
void stream_conn_drain(struct stream *s);        /* nothing more is read; it closes when its answer is out */
/* For places_unused(). */
int64_t stream_conn_unused_ns(const struct place *p);

#endif
