/*
 * Frames between nodes: length (u32), type (a byte), payload, and once both sides have a key a MAC of 16 bytes. Numbers
 * are little endian. See docs/formats/dax-peers.md.
 */
#ifndef STATOR_FRONT_DAX_WIRE_H
#define STATOR_FRONT_DAX_WIRE_H

#include "base/buf.h"
#include "cache/cache.h"

#define WIRE_MAGIC       "STATORDX1"
#define WIRE_NONCE_BYTES 16
#define WIRE_MAC_BYTES   16
#define WIRE_FRAME_MAX   ((size_t)8 << 20)
#define WIRE_HELLO_MAX   64 /* of a frame of somebody unknown */

enum wire_type {
	WIRE_HELLO = 1, /* who begins: magic, from, to (bytes), hash of the list of nodes (8 bytes), nonce */
	WIRE_CHALLENGE, /* the answer: nonce */
	WIRE_STATE,     /* sign of life: struct wire_state; from the other side an answer to it */
	WIRE_LIST,      /* an attribute list: a CBOR array of texts */
	WIRE_COPY,      /* struct cache_copied */
	WIRE_CLEAR,     /* copies of writes were lost: forget everything */
};

struct wire_state {
	int64_t started_ms;
	uint64_t incarnation;
	uint64_t lists; /* received through this connection */
	bool leaving;
};

/* One direction's key and count are the other's, too. */
struct wire {
	bool keyed;
	uint8_t key[32];
	uint8_t side; /* 0: who connected */
	uint64_t sent, received;
};

void wire_set_key(struct wire *w, uint8_t side, struct slice secret, const uint8_t nonce_of_0[WIRE_NONCE_BYTES],
		  const uint8_t nonce_of_1[WIRE_NONCE_BYTES], uint8_t from, uint8_t to);
void wire_put(struct wire *w, enum wire_type type, struct slice payload, struct buf *out);
/* The frame at the beginning of data: its bytes, 0 when it is not complete, -1 when it is none of ours. */
long wire_take(struct wire *w, const char *data, size_t len, enum wire_type *ret_type, struct slice *ret_payload);

void wire_put_state(const struct wire_state *s, struct buf *out);
bool wire_read_state(struct slice payload, struct wire_state *ret);
void wire_put_copy(const struct cache_copied *c, struct buf *out);
/* What it points to lies in the payload. */
bool wire_read_copy(struct slice payload, struct cache_copied *ret);

#endif
