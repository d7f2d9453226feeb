/* Connections from other nodes: what they push. */
#include <stdatomic.h>

#include "base/crypto.h"
#include "base/log.h"
#include "front/dax_peers_int.h"

struct visitor {
	struct wire wire;
	int from; /* -1: not known yet */
	uint64_t lists;
};

static void
visitor_opened(struct stream *s, void *context)
{
	(void)context;
	((struct visitor *)stream_state(s))->from = -1;
}

static bool
meet(struct dax_peers *p, struct visitor *v, struct slice hello, struct buf *out)
{
	static const size_t magic = sizeof WIRE_MAGIC - 1;
	uint8_t nonce[WIRE_NONCE_BYTES];
	size_t from, to;

	if (hello.len != magic + 2 + 8 + WIRE_NONCE_BYTES || memcmp(hello.data, WIRE_MAGIC, magic) != 0)
		return false;
	from = (uint8_t)hello.data[magic];
	to = (uint8_t)hello.data[magic + 1];
	if (from >= p->options.node_count || to != p->options.self || from == to)
		return false;
	if (memcmp(hello.data + magic + 2, &p->list_hash, 8) != 0) {
		log_warn("dax", "node %s was started with another --nodes than this one", p->options.nodes[from]);
		return false;
	}
	crypto_random(nonce, sizeof nonce);
	wire_put(&v->wire, WIRE_CHALLENGE, slice_of(nonce, sizeof nonce), out);
	wire_set_key(&v->wire, 1, buf_slice(&p->secret), (const uint8_t *)hello.data + magic + 10, nonce, (uint8_t)from,
		     (uint8_t)to);
	v->from = (int)from;
	return true;
}

static void
answer_state(struct dax_peers *p, struct visitor *v, struct buf *out)
{
	struct wire_state mine = p->me;
	struct buf payload = {0};

	mine.lists = v->lists;
	wire_put_state(&mine, &payload);
	wire_put(&v->wire, WIRE_STATE, buf_slice(&payload), out);
	buf_done(&payload);
}

/* ret_answer: a sign of life is wanted. False: close the connection. */
static bool
serve(struct dax_peers *p, struct visitor *v, enum wire_type type, struct slice payload, struct buf *out,
      bool *ret_answer)
{
	struct cache_copied copied;
	struct wire_state told;
	struct err err;

	if (v->from < 0)
		return type == WIRE_HELLO && meet(p, v, payload, out);
	switch (type) {
	case WIRE_STATE:
		if (!wire_read_state(payload, &told))
			return false;
		peers_heard(p, v->from, &told);
		peers_look_around(p);
		*ret_answer = true;
		return true;
	case WIRE_LIST:
		if (dax_lists_add_wire(p->options.lists, payload, &err) != S_OK)
			log_warn("dax", "an attribute list of node %s: %s", p->options.nodes[v->from], err.message);
		v->lists++;
		*ret_answer = true;
		return true;
	case WIRE_COPY:
		if (!wire_read_copy(payload, &copied))
			return false;
		cache_copy(p->options.cache, &copied);
		atomic_fetch_add_explicit(&p->received, 1, memory_order_relaxed);
		return true;
	case WIRE_CLEAR:
		cache_clear(p->options.cache);
		return true;
	default:
		return false;
	}
}

static enum stream_want
visitor_received(struct stream *s, const char *data, size_t len, size_t *ret_used)
{
	struct dax_peers *p = stream_context(s);
	struct visitor *v = stream_state(s);
	struct slice payload;
	enum wire_type type;
	bool answer = false;
	size_t used = 0;
	long taken;

	while ((taken = wire_take(&v->wire, data + used, len - used, &type, &payload)) > 0) {
		used += (size_t)taken;
		if (!serve(p, v, type, payload, stream_out(s), &answer)) {
			taken = -1;
			break;
		}
	}
	if (answer)
		answer_state(p, v, stream_out(s));
	*ret_used = used;
	if (taken >= 0)
		return STREAM_BYTES;
	atomic_fetch_add_explicit(&p->refused, 1, memory_order_relaxed);
	log_warn("dax", "a connection from %s to the port of the other nodes is refused", stream_peer(s));
	*ret_used = len;
	return STREAM_END;
}

static bool
visitor_is_half(struct stream *s, size_t unused_bytes)
{
	return unused_bytes > 0 || ((struct visitor *)stream_state(s))->from < 0;
}

static void
visitor_closed(struct stream *s)
{
	(void)s; /* its own connection tells whether the node is still there */
}

const struct stream_handler dax_peers_visitors = {
    .state_bytes = sizeof(struct visitor),
    .opened = visitor_opened,
    .received = visitor_received,
    .is_half = visitor_is_half,
    .closed = visitor_closed,
};
