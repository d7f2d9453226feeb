/* Endpoints, key schemas, attribute lists. */
#include "dax/dax_int.h"
#include "model/av_cbor.h"

#define NODE_KEYS 7

static void
put_endpoint(struct buf *out, const struct dax_endpoint *e, const struct dax_session *s, int64_t leader_session)
{
	bool own = e->address_len == 0;

	cbor_put_map(out, NODE_KEYS);
	cbor_put_int(out, 0);
	cbor_put_int(out, e->node_id);
	cbor_put_int(out, 1);
	cbor_put_text(out, slice_str(e->host));
	cbor_put_int(out, 2);
	cbor_put_bytes(out, own ? slice_of(s->address, s->address_len) : slice_of(e->address, e->address_len));
	cbor_put_int(out, 3);
	cbor_put_int(out, e->port == 0 ? s->port : e->port);
	cbor_put_int(out, 4);
	cbor_put_int(out, e->leader ? 1 : 2);
	cbor_put_int(out, 5);
	cbor_put_text(out, slice_str(e->zone));
	cbor_put_int(out, 6);
	cbor_put_int(out, leader_session);
}

void
dax_endpoints(struct dax_request *r)
{
	struct dax_cluster told;
	struct buf *out = dax_request_reply(r);

	dax_node_get_cluster(r->home->node, &told);
	cbor_put_array(out, (uint64_t)told.count);
	for (int i = 0; i < told.count; i++)
		put_endpoint(out, &told.nodes[i], r->session, told.leader_session);
	dax_request_answer(r);
}

void
dax_define_key_schema(struct dax_request *r)
{
	const struct dax_table *t;
	struct cbor_reader reader;
	struct slice name;
	struct buf *out;

	cbor_init(&reader, r->arguments);
	name = cbor_string(&reader);
	if (cbor_failed(&reader)) {
		dax_request_fail_cbor(r, &reader);
		return;
	}
	if (!dax_request_may_use(r, name)) {
		dax_request_fail(r,
				 err_set(&r->err, S_ACCESS_DENIED,
					 "User is not authorized to perform any operation on the items of table %.*s",
					 SLICE_ARG(name)));
		return;
	}
	t = dax_request_table(r, name);
	if (t == NULL)
		return;
	out = dax_request_reply(r);
	cbor_put_map(out, (uint64_t)t->key_count);
	for (int i = 0; i < t->key_count; i++) {
		cbor_put_text(out, t->keys[i].name);
		cbor_put_text(out, slice_str(av_type_name(t->keys[i].type)));
	}
	dax_request_answer(r);
}

static void
list_synced(struct dax_sync *sync, enum status s, const struct err *err)
{
	struct dax_request *r = sync->owner;

	if (s == S_OK) {
		dax_request_answer(r);
		return;
	}
	r->err = *err;
	dax_request_fail(r, s);
}

/* The client will use the id for ever, so it must be known for ever. */
static void
tell_when_synced(struct dax_request *r)
{
	const struct dax_node_options *options = &r->home->node->options;
	struct dax_sync *sync;

	if (options->sync == NULL || dax_lists_is_synced(options->lists)) {
		dax_request_answer(r);
		return;
	}
	sync = arena_alloc(&r->arena, sizeof *sync);
	sync->loop = r->home->loop;
	sync->done = list_synced;
	sync->owner = r;
	options->sync(options->sync_context, sync);
}

void
dax_define_list_id(struct dax_request *r)
{
	const struct dax_list *list;
	struct cbor_reader reader;
	struct cbor_items items;
	struct slice *names;
	size_t count = 0;
	enum status s;

	cbor_init(&reader, r->arguments);
	if (cbor_peek(&reader) == CBOR_TAG &&
	    cbor_tag(&reader) != CBOR_TAG_STRING_SET) /* the Java client sends a set */
		cbor_fail(&reader, "an attribute list is an array of texts");
	items = cbor_array(&reader);
	if (items.indefinite || items.left > DAX_LIST_NAMES_MAX) {
		dax_request_fail(
		    r, err_set(&r->err, S_VALIDATION, "An attribute list has at most %d names", DAX_LIST_NAMES_MAX));
		return;
	}
	names = ARENA_ARRAY(&r->arena, struct slice, items.left);
	while (cbor_next(&reader, &items))
		names[count++] = cbor_string(&reader);
	if (cbor_failed(&reader)) {
		dax_request_fail_cbor(r, &reader);
		return;
	}
	s = dax_lists_add(r->home->node->options.lists, names, count, &list, &r->err);
	if (s != S_OK) {
		dax_request_fail(r, s);
		return;
	}
	cbor_put_head(dax_request_reply(r), CBOR_M_UINT, list->id);
	tell_when_synced(r);
}

void
dax_define_list(struct dax_request *r)
{
	const struct dax_list *list;
	struct cbor_reader reader;
	uint64_t id;

	cbor_init(&reader, r->arguments);
	id = cbor_peek(&reader) == CBOR_NEGATIVE ? 0 : cbor_magnitude(&reader);
	if (cbor_failed(&reader)) {
		dax_request_fail_cbor(r, &reader);
		return;
	}
	list = dax_lists_find(r->home->node->options.lists, id);
	if (list == NULL) {
		dax_request_fail(r, dax_lists_unknown(r->home->node->options.lists, id, &r->err));
		return;
	}
	buf_put_slice(dax_request_reply(r), list->wire);
	dax_request_answer(r);
}
