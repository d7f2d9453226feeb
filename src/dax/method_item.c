/* GetItem, PutItem, UpdateItem, DeleteItem. */
#include "dax/dax_int.h"
#include "model/av_json.h"

#define GET_OPTIONS (1u << OPTION_PROJECTION | 1u << OPTION_CONSISTENT | 1u << OPTION_CAPACITY)
#define WRITE_OPTIONS                                                                                                  \
	(1u << OPTION_CAPACITY | 1u << OPTION_CONDITION | 1u << OPTION_METRICS | 1u << OPTION_RETURN_VALUES)
#define UPDATE_OPTIONS (WRITE_OPTIONS | 1u << OPTION_UPDATE)

struct item_state {
	const struct dax_table *table;
	struct dax_key key;
	struct options options;
	struct dax_paths paths; /* of a projection; count 0: none */
	bool cached;            /* cache_key is in use */
	struct cache_key cache_key;
	bool updated_only; /* UPDATED_OLD, UPDATED_NEW: the reply is a map of places */
	bool hide;         /* the client did not ask for the attributes that come */
	struct av new_item;
};

/* table, key: the first two arguments of all four. False: the request has ended or waits. */
static bool
begin(struct dax_request *r, struct cbor_reader *reader, struct item_state *state)
{
	struct slice table, key;
	enum status s;

	memset(state, 0, sizeof *state);
	cbor_init(reader, r->arguments);
	table = cbor_string(reader);
	key = cbor_bytes(reader);
	if (cbor_failed(reader)) {
		dax_request_fail_cbor(r, reader);
		return false;
	}
	state->table = dax_request_table(r, table);
	if (state->table == NULL)
		return false;
	s = dax_key_read(state->table, key, &r->arena, &state->key, &r->err);
	if (s != S_OK) {
		dax_table_doubt(r->home, dax_request_region(r), table);
		dax_request_fail(r, s);
		return false;
	}
	return true;
}

static bool
read_options(struct dax_request *r, struct cbor_reader *reader, uint32_t allowed, struct item_state *state)
{
	enum status s = dax_options_read(reader, allowed, &state->options, &r->err);

	if (s == S_OK && !cbor_at_end(reader))
		s = err_set(&r->err, S_VALIDATION, "Malformed request: too long");
	if (s != S_OK)
		dax_request_fail(r, s);
	return s == S_OK;
}

static void
begin_json(struct dax_request *r, const struct item_state *state)
{
	r->json.len = r->names.len = r->values.len = 0;
	buf_put_lit(&r->json, "{\"TableName\":");
	json_put_string(&r->json, state->table->name);
}

static void
put_key(struct dax_request *r, const struct item_state *state)
{
	buf_put_lit(&r->json, ",\"Key\":");
	dax_key_write_json(state->table, &state->key, &r->json);
}

static struct item_state *
keep(struct dax_request *r, const struct item_state *state)
{
	struct item_state *kept = arena_alloc(&r->arena, sizeof *kept);

	*kept = *state;
	r->state = kept;
	return kept;
}

static void
make_cache_key(struct dax_request *r, struct item_state *state)
{
	state->cached = true;
	cache_key_make(r->home->node->options.cache, &state->cache_key, CACHE_ITEMS, state->table->id,
		       state->table->name, dax_key_canonical(state->table, &state->key, &r->arena));
}

/* The item's byte string, its head included, as it is cached and sent. */
static enum status
write_item(struct dax_request *r, const struct dax_table *t, struct av item, struct buf *out)
{
	size_t start = out->len, mark = cbor_open_bytes(out);
	enum status s = dax_item_write(r->home->node->options.lists, t, item, &r->arena, out, &r->err);

	if (s == S_OK)
		cbor_close_bytes(out, mark);
	else
		out->len = start;
	return s;
}

/* --- GetItem --- */

/* The value of key 0; the cache gets it whole. */
static enum status
put_got(struct dax_request *r, struct item_state *state, struct av item)
{
	struct cache *cache = r->home->node->options.cache;
	size_t start = r->reply.len;
	enum status s = S_OK;

	if (state->cached || state->paths.count == 0)
		s = write_item(r, state->table, item, &r->reply);
	if (s == S_OK && state->cached)
		cache_fill(cache, &state->cache_key, CACHE_HIT, slice_of(r->reply.data + start, r->reply.len - start));
	if (s == S_OK && state->paths.count > 0) {
		r->reply.len = start;
		dax_projected_write(&state->paths, item, &r->reply);
	}
	return s;
}

static void
got_item(struct dax_request *r)
{
	struct item_state *state = r->state;
	struct buf *out = dax_request_reply(r);
	struct slice member, capacity = SLICE_NONE;
	struct json_reader json;
	struct av item = AV_NONE;
	enum status s = S_OK;

	json_init(&json, buf_slice(&r->out), &r->arena);
	if (json_enter_object(&json)) {
		while (json_next_member(&json, &member)) {
			if (slice_eq(member, SLICE("Item")))
				s = item_read_json(&json, &r->arena, &item, &r->err);
			else if (slice_eq(member, SLICE("ConsumedCapacity")))
				capacity = json_raw(&json);
			else
				json_skip(&json);
		}
	}
	if (json_failed(&json))
		s = err_set(&r->err, S_INTERNAL, "The upstream's reply makes no sense");
	cbor_put_map(out, (uint64_t)av_exists(item) + (capacity.len > 0));
	if (s == S_OK && av_exists(item)) {
		cbor_put_int(out, 0);
		s = put_got(r, state, item);
	}
	if (s != S_OK) {
		dax_request_fail(r, s);
		return;
	}
	if (state->cached && !av_exists(item))
		cache_fill(r->home->node->options.cache, &state->cache_key, CACHE_ABSENT, SLICE_NONE);
	if (state->cached)
		dax_request_timed(r, &state->cache_key, false);
	if (capacity.len > 0) {
		cbor_put_int(out, 1);
		json_init(&json, capacity, &r->arena);
		dax_capacity_write(&json, out);
	}
	dax_request_answer(r);
}

/* The reply for an item of which the cache has the wire form, behind `head` bytes of the reply. False: it makes no
 * sense, which is as good as a miss. */
static bool
project_cached(struct dax_request *r, struct item_state *state, size_t head)
{
	struct slice wire = slice_of(r->reply.data + head, r->reply.len - head);
	struct cbor_reader reader;
	struct av item;

	cbor_init(&reader, wire);
	wire = cbor_bytes(&reader);
	item = dax_item_from_wire(r->home->node->options.lists, state->table, &state->key, wire, &r->arena);
	if (!av_exists(item))
		return false;
	r->reply.len = head;
	dax_projected_write(&state->paths, item, &r->reply);
	return true;
}

/* True: answered from the cache. */
static bool
get_cached(struct dax_request *r, struct item_state *state)
{
	struct buf *out = dax_request_reply(r);
	enum cache_found found;
	size_t head;

	make_cache_key(r, state);
	cbor_put_map(out, 1);
	cbor_put_int(out, 0);
	head = out->len;
	found = cache_get(r->home->node->options.cache, &state->cache_key, out);
	if (found == CACHE_MISS || (found == CACHE_HIT && state->paths.count > 0 && !project_cached(r, state, head)))
		return false;
	if (found == CACHE_ABSENT)
		cbor_put_map(dax_request_reply(r), 0);
	dax_request_timed(r, &state->cache_key, true);
	dax_request_answer(r);
	return true;
}

void
dax_get_item(struct dax_request *r)
{
	struct item_state state;
	struct cbor_reader reader;
	struct express express;
	bool cached;
	enum status s = S_OK;

	if (!begin(r, &reader, &state) || !read_options(r, &reader, GET_OPTIONS, &state))
		return;
	cached = dax_request_may_cache(r) && !state.options.numbers[OPTION_CONSISTENT];
	begin_json(r, &state);
	put_key(r, &state);
	dax_options_write(&state.options, &r->json);
	if (option_given(&state.options, OPTION_PROJECTION)) {
		/* what is to be cached is read whole */
		express_begin(&express, &r->arena, &r->names, &r->values);
		if (!cached)
			buf_put_lit(&r->json, ",\"ProjectionExpression\":");
		s = express_projection(&express, state.options.strings[OPTION_PROJECTION], cached ? NULL : &r->json,
				       &state.paths, &r->err);
		express_end(&express, &r->json);
	}
	if (s != S_OK) {
		dax_request_fail(r, s);
		return;
	}
	if (cached && get_cached(r, &state))
		return;
	buf_put_byte(&r->json, '}');
	keep(r, &state);
	dax_request_call(r, "GetItem", got_item);
}

/* --- writes --- */

/* What a write did is known, or that nobody knows. */
static void
write_ended(struct dax_request *r, bool succeeded)
{
	struct item_state *state = r->state;
	struct cache *cache = r->home->node->options.cache;
	size_t start = r->out.len; /* the reply's JSON has been read */

	if (!succeeded) {
		/* refused: the table is as it was */
		if (r->call.http_status < 400 || r->call.http_status >= 500)
			cache_drop(cache, &state->cache_key);
		return;
	}
	if (r->method->run == dax_delete_item)
		cache_write(cache, &state->cache_key, r->call.order, CACHE_ABSENT, SLICE_NONE);
	else if (av_exists(state->new_item) && write_item(r, state->table, state->new_item, &r->out) == S_OK)
		cache_write(cache, &state->cache_key, r->call.order, CACHE_HIT,
			    slice_of(r->out.data + start, r->out.len - start));
	else
		cache_drop(cache, &state->cache_key);
}

static enum status
put_attributes(struct dax_request *r, struct item_state *state, struct slice attributes)
{
	struct json_reader json;
	struct av item = AV_NONE;
	size_t mark;
	enum status s;

	json_init(&json, attributes, &r->arena);
	s = item_read_json(&json, &r->arena, &item, &r->err);
	if (s != S_OK || !av_exists(item))
		return err_set(&r->err, S_INTERNAL, "The upstream's reply makes no sense");
	if (state->options.numbers[OPTION_RETURN_VALUES] == RETURN_ALL_NEW || state->hide)
		state->new_item = item;
	if (state->hide)
		return S_OK;
	cbor_put_int(&r->reply, 2);
	if (!state->updated_only)
		return write_item(r, state->table, item, &r->reply);
	mark = cbor_open_bytes(&r->reply);
	s = dax_updated_write(r->home->node->options.lists, state->table, item, dax_request_wants_indefinite(r),
			      &r->arena, &r->reply, &r->err);
	cbor_close_bytes(&r->reply, mark);
	return s;
}

static void
wrote(struct dax_request *r)
{
	struct item_state *state = r->state;
	struct slice member, capacity = SLICE_NONE, attributes = SLICE_NONE, metrics = SLICE_NONE;
	struct json_reader json;
	struct buf *out = dax_request_reply(r);
	enum status s = S_OK;

	json_init(&json, buf_slice(&r->out), &r->arena);
	if (json_enter_object(&json)) {
		while (json_next_member(&json, &member)) {
			if (slice_eq(member, SLICE("ConsumedCapacity")))
				capacity = json_raw(&json);
			else if (slice_eq(member, SLICE("Attributes")))
				attributes = json_raw(&json);
			else if (slice_eq(member, SLICE("ItemCollectionMetrics")))
				metrics = json_raw(&json);
			else
				json_skip(&json);
		}
	}
	cbor_put_map(out, (uint64_t)(capacity.len > 0) + (attributes.len > 0 && !state->hide) + (metrics.len > 0));
	if (capacity.len > 0) {
		cbor_put_int(out, 1);
		json_init(&json, capacity, &r->arena);
		dax_capacity_write(&json, out);
	}
	if (attributes.len > 0)
		s = put_attributes(r, state, attributes);
	if (metrics.len > 0) {
		cbor_put_int(out, 3);
		json_init(&json, metrics, &r->arena);
		dax_metrics_write(&json, &r->arena, out);
	}
	if (s == S_OK)
		dax_request_answer(r);
	else
		dax_request_fail(r, s);
}

/* Condition and update, what is left of the options, and off it goes. */
static void
call_write(struct dax_request *r, struct item_state *state, const char *operation)
{
	const struct options *o = &state->options;
	struct express express;
	enum status s = S_OK;

	express_begin(&express, &r->arena, &r->names, &r->values);
	if (option_given(o, OPTION_UPDATE)) {
		buf_put_lit(&r->json, ",\"UpdateExpression\":");
		s = express_update(&express, o->strings[OPTION_UPDATE], &r->json, &r->err);
	}
	if (s == S_OK && option_given(o, OPTION_CONDITION)) {
		buf_put_lit(&r->json, ",\"ConditionExpression\":");
		s = express_condition(&express, o->strings[OPTION_CONDITION], &r->json, &r->err);
	}
	if (s != S_OK) {
		dax_request_fail(r, s);
		return;
	}
	express_end(&express, &r->json);
	dax_options_write(o, &r->json);
	if (state->hide)
		buf_put_lit(&r->json, ",\"ReturnValues\":\"ALL_NEW\"");
	buf_put_byte(&r->json, '}');
	state = keep(r, state);
	if (r->home->node->options.cache != NULL) {
		make_cache_key(r, state);
		cache_begin(r->home->node->options.cache, &state->cache_key);
		r->finally = write_ended;
	}
	dax_request_call(r, operation, wrote);
}

/* What the client puts becomes what the cache holds: the same as if it were read, whichever form its numbers had. */
static void
note_put(struct dax_request *r, struct item_state *state, struct slice item)
{
	struct json_reader json;
	struct err err;

	if (r->home->node->options.cache == NULL)
		return;
	json_init(&json, item, &r->arena);
	if (item_read_json(&json, &r->arena, &state->new_item, &err) != S_OK)
		state->new_item = AV_NONE; /* the upstream will refuse it */
}

void
dax_put_item(struct dax_request *r)
{
	struct item_state state;
	struct cbor_reader reader;
	struct slice values;
	size_t start;
	enum status s;

	if (!begin(r, &reader, &state))
		return;
	values = cbor_bytes(&reader);
	if (cbor_failed(&reader)) {
		dax_request_fail_cbor(r, &reader);
		return;
	}
	if (!read_options(r, &reader, WRITE_OPTIONS, &state))
		return;
	begin_json(r, &state);
	buf_put_lit(&r->json, ",\"Item\":");
	start = r->json.len;
	s = dax_item_to_json(r->home->node->options.lists, state.table, &state.key, values, &r->json, &r->err);
	if (s != S_OK) {
		dax_request_fail(r, s);
		return;
	}
	note_put(r, &state, slice_of(r->json.data + start, r->json.len - start));
	call_write(r, &state, "PutItem");
}

void
dax_update_item(struct dax_request *r)
{
	struct item_state state;
	struct cbor_reader reader;
	int64_t wanted;

	if (!begin(r, &reader, &state) || !read_options(r, &reader, UPDATE_OPTIONS, &state))
		return;
	wanted = state.options.numbers[OPTION_RETURN_VALUES];
	state.updated_only = wanted == RETURN_UPDATED_OLD || wanted == RETURN_UPDATED_NEW;
	if (dax_request_may_cache(r) && wanted <= RETURN_NONE) { /* for the cache, which costs the client nothing */
		state.hide = true;
		state.options.given &= ~(1u << OPTION_RETURN_VALUES);
	}
	begin_json(r, &state);
	put_key(r, &state);
	call_write(r, &state, "UpdateItem");
}

void
dax_delete_item(struct dax_request *r)
{
	struct item_state state;
	struct cbor_reader reader;

	if (!begin(r, &reader, &state) || !read_options(r, &reader, WRITE_OPTIONS, &state))
		return;
	begin_json(r, &state);
	put_key(r, &state);
	call_write(r, &state, "DeleteItem");
}
