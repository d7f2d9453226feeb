/*
 * What the servers of this room have on each of their loops: a listening socket, and the list of the connections that
 * came from it. All on the loop's thread.
 */
#ifndef STATOR_IO_ACCEPT_H
#define STATOR_IO_ACCEPT_H

#include "io/listen.h"
#include "io/loop.h"

struct acceptor;
struct acceptor_handler {
	/* A client; fd is the handler's. */
	void (*accepted)(struct acceptor *a, int fd, const struct sockaddr_storage *address);
	/* A client that cannot be taken, for want of descriptors. Closes fd, and may say why before. */
	void (*turn_away)(struct acceptor *a, int fd);
	/* For some time nobody is accepted. NULL: not of interest. */
	void (*paused)(struct acceptor *a);
};

struct acceptor {
	/* set before acceptor_open(), borrowed */
	const struct acceptor_handler *handler;
	const char *name;      /* in the log */
	const char *listen_on; /* as it was written, for the message */
	struct loop *loop;
	/* its own */
	struct loop_fd listener; /* fd -1: none */
	struct loop_timer timer;
	int reserve_fd; /* closed to accept, and turn away, a client when there is no other descriptor */
	int64_t warned_ns;
};

/* `address`, `len`, `first`: see listen_socket(). Pair with acceptor_done(), also after a failure. */
enum status acceptor_open(struct acceptor *a, struct sockaddr_storage *address, socklen_t len, bool first,
			  struct err *err);
void acceptor_stop(struct acceptor *a); /* nobody is accepted any more */
void acceptor_done(struct acceptor *a);

/* Part of each connection. */
struct place {
	struct place *next, *prev;
};
struct places {
	struct place *first;
	struct place *look; /* the next to look at when room is needed; NULL: the first */
	int count;
};
void places_add(struct places *all, struct place *p);
void places_remove(struct places *all, struct place *p);
/*
 * All places are taken: of the next few the one that has been unused for longest, which may be closed for another;
 * NULL: all of these are at work. unused_ns(): how long a place has been kept without being used; 0: it is at work.
 */
struct place *places_unused(struct places *all, int64_t (*unused_ns)(const struct place *p));

#endif
