/* BatchGetItem and BatchWriteItem. */
#include "dax/dax_int.h"
#include "model/av_json.h"

#define TABLES_PER_BATCH 100 /* no request of DynamoDB's limits names more */
#define GET_MAX          100
#define WRITE_MAX        25

#define MSG_TOO_MANY_GETS   "Too many items requested for the BatchGetItem call"
#define MSG_TOO_MANY_WRITES "Too many items requested for the BatchWriteItem call"
#define MSG_DUPLICATES      "Provided list of item keys contains duplicates"

enum entry_state {
	ENTRY_ASKED,  /* of the upstream; not found there until it is told */
	ENTRY_CACHED, /* answered from the cache; value is empty when there is no such item */
	ENTRY_FOUND,
	ENTRY_UNPROCESSED,
};
struct entry {
	struct dax_key key;
	struct slice key_bytes; /* as the client sent them */
	struct slice canonical;
	struct slice values; /* of a put, as sent; of a get from the cache: the byte string with its head */
	struct av item;      /* of a put */
	struct cache_key cache_key;
	enum entry_state state;
	bool is_delete;
};
struct batch_table {
	const struct dax_table *table;
	bool consistent;
	bool cached; /* cache keys are in use */
	struct slice projection;
	struct dax_paths paths;
	struct entry *entries;
	size_t count, room;
};
struct batch {
	struct batch_table *tables;
	size_t table_count, entry_count;
	struct options options;
	/* the parts of the upstream's reply */
	struct slice responses, unprocessed, capacity, metrics;
};

static struct entry *
add_entry(struct dax_request *r, struct batch *b, struct batch_table *t)
{
	if (t->count == t->room) {
		size_t room = t->room > 0 ? 2 * t->room : 8;
		struct entry *wider = arena_alloc(&r->arena, room * sizeof *wider);

		if (t->count > 0)
			memcpy(wider, t->entries, t->count * sizeof *wider);
		t->entries = wider;
		t->room = room;
	}
	b->entry_count++;
	return memset(&t->entries[t->count++], 0, sizeof *t->entries);
}

/* The next table of the request's map. NULL: the request has ended or waits. */
static struct batch_table *
add_table(struct dax_request *r, struct batch *b, struct cbor_reader *reader, const char *too_many)
{
	struct batch_table *t = &b->tables[b->table_count];
	struct slice name = cbor_string(reader);
	const struct dax_table *table;

	if (cbor_failed(reader)) {
		dax_request_fail_cbor(r, reader);
		return NULL;
	}
	if (b->table_count == TABLES_PER_BATCH) {
		dax_request_fail(r, err_set(&r->err, S_VALIDATION, "%s", too_many));
		return NULL;
	}
	table = dax_request_table(r, name);
	if (table == NULL)
		return NULL; /* by now the batch may be gone with the request */
	memset(t, 0, sizeof *t);
	t->table = table;
	b->table_count++;
	return t;
}

static struct batch *
begin(struct dax_request *r)
{
	struct batch *b = ARENA_NEW(&r->arena, struct batch);

	b->tables = arena_alloc(&r->arena, TABLES_PER_BATCH * sizeof *b->tables);
	r->state = b;
	r->json.len = r->names.len = r->values.len = 0;
	return b;
}

static enum status
read_key(struct dax_request *r, const struct batch_table *t, struct entry *e, struct cbor_reader *reader)
{
	enum status s;

	e->key_bytes = cbor_bytes(reader);
	if (cbor_failed(reader))
		return err_set(&r->err, S_VALIDATION, "Malformed request: %s", reader->failure);
	s = dax_key_read(t->table, e->key_bytes, &r->arena, &e->key, &r->err);
	if (s != S_OK)
		dax_table_doubt(r->home, dax_request_region(r), t->table->name);
	e->canonical = s == S_OK ? dax_key_canonical(t->table, &e->key, &r->arena) : SLICE_NONE;
	return s;
}

/* Clients do not look for them, and what a cache answers is not seen by the upstream, which would. */
static bool
has_duplicates(const struct batch_table *t)
{
	for (size_t i = 0; i < t->count; i++)
		for (size_t j = 0; j < i; j++)
			if (slice_eq(t->entries[i].canonical, t->entries[j].canonical))
				return true;
	return false;
}

static void
put_table_name(struct dax_request *r, const struct batch_table *t, bool first)
{
	if (!first)
		buf_put_byte(&r->json, ',');
	json_put_string(&r->json, t->table->name);
	buf_put_byte(&r->json, ':');
}

static bool
read_reply(struct dax_request *r, struct batch *b, const char *unprocessed)
{
	struct json_reader json;
	struct slice member;

	json_init(&json, buf_slice(&r->out), &r->arena);
	if (!json_enter_object(&json))
		return false;
	while (json_next_member(&json, &member)) {
		if (slice_eq(member, SLICE("Responses")))
			b->responses = json_raw(&json);
		else if (slice_eq(member, slice_str(unprocessed)))
			b->unprocessed = json_raw(&json);
		else if (slice_eq(member, SLICE("ConsumedCapacity")))
			b->capacity = json_raw(&json);
		else if (slice_eq(member, SLICE("ItemCollectionMetrics")))
			b->metrics = json_raw(&json);
		else
			json_skip(&json);
	}
	return !json_failed(&json);
}

static struct batch_table *
find_table(const struct batch *b, struct slice name)
{
	for (size_t i = 0; i < b->table_count; i++)
		if (slice_eq(b->tables[i].table->name, name))
			return &b->tables[i];
	return NULL;
}

static struct entry *
find_entry(struct dax_request *r, const struct batch_table *t, struct av item)
{
	struct dax_key key;
	struct slice canonical;

	if (!av_exists(item) || !dax_key_of_item(t->table, item, &key))
		return NULL;
	canonical = dax_key_canonical(t->table, &key, &r->arena);
	for (size_t i = 0; i < t->count; i++)
		if (slice_eq(t->entries[i].canonical, canonical))
			return &t->entries[i];
	return NULL;
}

static void
put_capacities(struct dax_request *r, struct slice capacity)
{
	struct json_reader json;

	if (capacity.len == 0) {
		cbor_put_array(&r->reply, 0);
		return;
	}
	json_init(&json, capacity, &r->arena);
	dax_capacities_write(&json, &r->reply);
}

static enum status
nonsense(struct dax_request *r)
{
	return err_set(&r->err, S_INTERNAL, "The upstream's reply makes no sense");
}

/* --- BatchGetItem: the request --- */

static enum status
read_get_table(struct dax_request *r, struct batch *b, struct batch_table *t, struct cbor_reader *reader)
{
	struct cbor_items parts = cbor_array(reader), keys;
	enum status s = S_OK;

	if (cbor_next(reader, &parts) && !cbor_take_null(reader))
		t->consistent = cbor_bool(reader);
	if (cbor_next(reader, &parts) && !cbor_take_null(reader))
		t->projection = cbor_bytes(reader);
	if (!cbor_next(reader, &parts))
		cbor_fail(reader, "a table without keys");
	keys = cbor_array(reader);
	while (s == S_OK && cbor_next(reader, &keys)) {
		if (b->entry_count == GET_MAX)
			return err_set(&r->err, S_VALIDATION, MSG_TOO_MANY_GETS);
		s = read_key(r, t, add_entry(r, b, t), reader);
	}
	if (s == S_OK && cbor_next(reader, &parts))
		cbor_fail(reader, "a table has too many parts");
	if (s == S_OK && cbor_failed(reader))
		s = err_set(&r->err, S_VALIDATION, "Malformed request: %s", reader->failure);
	if (s == S_OK && has_duplicates(t))
		s = err_set(&r->err, S_VALIDATION, MSG_DUPLICATES);
	return s;
}

/* What the cache has of this table's items. Returns how many are left to ask for. */
static size_t
look_up(struct dax_request *r, struct batch_table *t)
{
	struct cache *cache = r->home->node->options.cache;
	size_t left = t->count;

	if (!t->cached)
		return left;
	for (size_t i = 0; i < t->count; i++) {
		struct entry *e = &t->entries[i];
		enum cache_found found;

		r->out.len = 0;
		cache_key_make(cache, &e->cache_key, CACHE_ITEMS, t->table->id, t->table->name, e->canonical);
		found = cache_get(cache, &e->cache_key, &r->out);
		if (found == CACHE_MISS)
			continue;
		e->state = ENTRY_CACHED;
		e->values = found == CACHE_HIT ? arena_dup(&r->arena, buf_slice(&r->out)) : SLICE_NONE;
		dax_request_timed(r, &e->cache_key, true);
		left--;
	}
	return left;
}

static enum status
put_get_table(struct dax_request *r, struct batch_table *t)
{
	struct express express;
	const char *comma = "";
	enum status s = S_OK;

	express_begin(&express, &r->arena, &r->names, &r->values);
	buf_put_lit(&r->json, "{\"Keys\":[");
	for (size_t i = 0; i < t->count; i++) {
		if (t->entries[i].state != ENTRY_ASKED)
			continue;
		buf_put(&r->json, comma, strlen(comma));
		comma = ",";
		dax_key_write_json(t->table, &t->entries[i].key, &r->json);
	}
	buf_put_byte(&r->json, ']');
	if (t->consistent)
		buf_put_lit(&r->json, ",\"ConsistentRead\":true");
	if (t->projection.data != NULL && !t->cached) {
		buf_put_lit(&r->json, ",\"ProjectionExpression\":");
		s = express_projection(&express, t->projection, &r->json, &t->paths, &r->err);
	}
	express_end(&express, &r->json);
	buf_put_byte(&r->json, '}');
	return s;
}

/* May its items come from the cache? Then they are asked for whole, and the projection is only checked. */
static enum status
begin_cached(struct dax_request *r, struct batch_table *t)
{
	struct express express;

	t->cached = dax_request_may_cache(r) && !t->consistent;
	if (!t->cached || t->projection.data == NULL)
		return S_OK;
	express_begin(&express, &r->arena, &r->names, &r->values);
	return express_projection(&express, t->projection, NULL, &t->paths, &r->err);
}

/* --- BatchGetItem: the reply --- */

static enum status
put_found(struct dax_request *r, struct batch_table *t, struct av item)
{
	struct buf *out = &r->reply;
	struct entry *e = NULL;
	size_t begin = out->len, mark, start;
	enum status s;

	if (t->paths.count > 0 && !t->cached) {
		dax_projected_write(&t->paths, item, out);
		return S_OK;
	}
	e = find_entry(r, t, item);
	if (e == NULL)
		return nonsense(r);
	e->state = ENTRY_FOUND;
	mark = cbor_open_bytes(out);
	dax_key_write(t->table, &e->key, out);
	cbor_close_bytes(out, mark);
	start = out->len;
	mark = cbor_open_bytes(out);
	s = dax_item_write(r->home->node->options.lists, t->table, item, &r->arena, out, &r->err);
	cbor_close_bytes(out, mark);
	if (s == S_OK && t->cached) {
		cache_fill(r->home->node->options.cache, &e->cache_key, CACHE_HIT,
			   slice_of(out->data + start, out->len - start));
		dax_request_timed(r, &e->cache_key, false);
	}
	if (t->paths.count > 0) {
		out->len = begin;
		dax_projected_write(&t->paths, item, out);
	}
	return s;
}

/* One item that the cache had. Returns the elements written. */
static size_t
put_cached(struct dax_request *r, struct batch_table *t, struct entry *e)
{
	struct cbor_reader reader;
	struct av item;

	if (t->paths.count == 0) {
		cbor_put_bytes(&r->reply, e->key_bytes);
		buf_put_slice(&r->reply, e->values);
		return 2;
	}
	cbor_init(&reader, e->values);
	item = dax_item_from_wire(r->home->node->options.lists, t->table, &e->key, cbor_bytes(&reader), &r->arena);
	if (!av_exists(item))
		return 0; /* not reached: what is cached was made by us */
	dax_projected_write(&t->paths, item, &r->reply);
	return 1;
}

/* The array of one table: its head is known when its elements are. */
static enum status
put_found_of(struct dax_request *r, struct batch *b, struct batch_table *t)
{
	struct json_reader json;
	struct slice name;
	struct av item;
	size_t start = r->reply.len, elements = 0, room;
	char head[9];
	enum status s = S_OK;

	for (size_t i = 0; i < t->count; i++) {
		if (t->entries[i].state != ENTRY_CACHED || t->entries[i].values.len == 0)
			continue;
		elements += put_cached(r, t, &t->entries[i]);
	}
	json_init(&json, b->responses, &r->arena);
	if (b->responses.len > 0 && json_enter_object(&json)) {
		while (s == S_OK && json_next_member(&json, &name)) {
			if (!slice_eq(name, t->table->name)) {
				json_skip(&json);
				continue;
			}
			if (!json_enter_array(&json))
				return nonsense(r);
			while (s == S_OK && json_next_element(&json)) {
				s = item_read_json(&json, &r->arena, &item, &r->err);
				if (s == S_OK)
					s = put_found(r, t, item);
				elements += t->paths.count > 0 ? 1 : 2;
			}
		}
	}
	room = r->reply.len;
	cbor_put_array(&r->reply, elements);
	memcpy(head, r->reply.data + room, r->reply.len - room);
	memmove(r->reply.data + start + (r->reply.len - room), r->reply.data + start, room - start);
	memcpy(r->reply.data + start, head, r->reply.len - room);
	return s;
}

static uint64_t
count_members(struct dax_request *r, struct slice object)
{
	struct json_reader json;
	struct slice name;
	uint64_t count = 0;

	json_init(&json, object, &r->arena);
	if (object.len > 0 && json_enter_object(&json)) {
		while (json_next_member(&json, &name)) {
			json_skip(&json);
			count++;
		}
	}
	return count;
}

/* "Keys" of one table of UnprocessedKeys. */
static enum status
put_unprocessed_keys(struct dax_request *r, const struct batch_table *t, struct json_reader *json)
{
	struct slice member;
	struct av key;
	enum status s = S_OK;

	if (!json_enter_object(json))
		return nonsense(r);
	while (s == S_OK && json_next_member(json, &member)) {
		if (!slice_eq(member, SLICE("Keys"))) {
			json_skip(json);
			continue;
		}
		cbor_put_array(&r->reply, dax_count_elements(json));
		if (!json_enter_array(json))
			return nonsense(r);
		while (s == S_OK && json_next_element(json)) {
			struct entry *e;

			s = item_read_json(json, &r->arena, &key, &r->err);
			e = s == S_OK ? find_entry(r, t, key) : NULL;
			if (e == NULL)
				return nonsense(r);
			e->state = ENTRY_UNPROCESSED;
			cbor_put_bytes(&r->reply, e->key_bytes);
		}
	}
	return s;
}

static enum status
put_unprocessed(struct dax_request *r, const struct batch *b,
		enum status (*put)(struct dax_request *r, const struct batch_table *t, struct json_reader *json))
{
	struct json_reader json;
	struct slice name;
	enum status s = S_OK;

	cbor_put_map(&r->reply, count_members(r, b->unprocessed));
	json_init(&json, b->unprocessed, &r->arena);
	if (b->unprocessed.len == 0 || !json_enter_object(&json))
		return S_OK;
	while (s == S_OK && json_next_member(&json, &name)) {
		const struct batch_table *t = find_table(b, name);

		cbor_put_text(&r->reply, name);
		s = t != NULL ? put(r, t, &json) : nonsense(r);
	}
	return s;
}

static void
answer_get(struct dax_request *r)
{
	struct batch *b = r->state;
	enum status s = S_OK;

	dax_request_reply(r);
	cbor_put_array(&r->reply, 2);
	cbor_put_map(&r->reply, b->table_count);
	for (size_t i = 0; s == S_OK && i < b->table_count; i++) {
		cbor_put_text(&r->reply, b->tables[i].table->name);
		s = put_found_of(r, b, &b->tables[i]);
	}
	if (s == S_OK)
		s = put_unprocessed(r, b, put_unprocessed_keys);
	if (s != S_OK) {
		dax_request_fail(r, s);
		return;
	}
	for (size_t i = 0; i < b->table_count; i++)
		for (size_t j = 0; b->tables[i].cached && j < b->tables[i].count; j++)
			if (b->tables[i].entries[j].state == ENTRY_ASKED) /* and not told: it is not there */
				cache_fill(r->home->node->options.cache, &b->tables[i].entries[j].cache_key,
					   CACHE_ABSENT, SLICE_NONE);
	put_capacities(r, b->capacity);
	dax_request_answer(r);
}

static void
got_batch(struct dax_request *r)
{
	if (read_reply(r, r->state, "UnprocessedKeys"))
		answer_get(r);
	else
		dax_request_fail(r, nonsense(r));
}

void
dax_batch_get(struct dax_request *r)
{
	struct batch *b = begin(r);
	struct cbor_reader reader;
	struct cbor_items tables;
	size_t left = 0;
	bool first = true;
	enum status s = S_OK;

	cbor_init(&reader, r->arguments);
	tables = cbor_map(&reader);
	while (s == S_OK && cbor_next(&reader, &tables)) {
		struct batch_table *t = add_table(r, b, &reader, MSG_TOO_MANY_GETS);

		if (t == NULL)
			return;
		s = read_get_table(r, b, t, &reader);
	}
	if (s == S_OK)
		s = dax_options_read(&reader, 1u << OPTION_CAPACITY, &b->options, &r->err);
	buf_put_lit(&r->json, "{\"RequestItems\":{");
	for (size_t i = 0; s == S_OK && i < b->table_count; i++) {
		struct batch_table *t = &b->tables[i];
		size_t misses;

		s = begin_cached(r, t);
		misses = look_up(r, t);
		left += misses;
		if (misses == 0 && t->count > 0)
			continue;
		put_table_name(r, t, first);
		first = false;
		if (s == S_OK)
			s = put_get_table(r, t);
	}
	if (s != S_OK) {
		dax_request_fail(r, s);
		return;
	}
	if (left == 0 && b->entry_count > 0 && first) {
		answer_get(r);
		return;
	}
	buf_put_byte(&r->json, '}');
	dax_options_write(&b->options, &r->json);
	buf_put_byte(&r->json, '}');
	dax_request_call(r, "BatchGetItem", got_batch);
}

/* --- BatchWriteItem --- */

static void
writes_ended(struct dax_request *r, bool succeeded)
{
	struct batch *b = r->state;
	struct cache *cache = r->home->node->options.cache;

	if (!succeeded && r->call.http_status >= 400 && r->call.http_status < 500)
		return;
	for (size_t i = 0; i < b->table_count; i++) {
		struct batch_table *t = &b->tables[i];

		for (size_t j = 0; j < t->count; j++) {
			struct entry *e = &t->entries[j];
			size_t mark;

			if (succeeded && e->state == ENTRY_UNPROCESSED)
				continue;
			r->out.len = 0;
			mark = cbor_open_bytes(&r->out);
			if (succeeded && e->is_delete) {
				cache_write(cache, &e->cache_key, 0, CACHE_ABSENT, SLICE_NONE);
			} else if (succeeded && av_exists(e->item) &&
				   dax_item_write(r->home->node->options.lists, t->table, e->item, &r->arena, &r->out,
						  &r->err) == S_OK) {
				cbor_close_bytes(&r->out, mark);
				cache_write(cache, &e->cache_key, 0, CACHE_HIT, buf_slice(&r->out));
			} else {
				cache_drop(cache, &e->cache_key);
			}
		}
	}
}

static struct av
read_item(struct dax_request *r, struct slice text)
{
	struct json_reader json;
	struct av item = AV_NONE;
	struct err err;

	json_init(&json, text, &r->arena);
	(void)item_read_json(&json, &r->arena, &item, &err);
	return item;
}

/* One pair of key and values (null: a delete), as an element of the JSON array. */
static enum status
put_write(struct dax_request *r, struct batch_table *t, struct entry *e, struct cbor_items *pairs,
	  struct cbor_reader *reader)
{
	enum status s = read_key(r, t, e, reader);
	size_t start;

	if (s != S_OK)
		return s;
	if (!cbor_next(reader, pairs))
		return err_set(&r->err, S_VALIDATION, "Malformed request: a key without values");
	if (cbor_take_null(reader)) {
		e->is_delete = true;
		buf_put_lit(&r->json, "{\"DeleteRequest\":{\"Key\":");
		dax_key_write_json(t->table, &e->key, &r->json);
	} else {
		e->values = cbor_bytes(reader);
		if (cbor_failed(reader))
			return err_set(&r->err, S_VALIDATION, "Malformed request: %s", reader->failure);
		buf_put_lit(&r->json, "{\"PutRequest\":{\"Item\":");
		start = r->json.len;
		s = dax_item_to_json(r->home->node->options.lists, t->table, &e->key, e->values, &r->json, &r->err);
		if (s == S_OK && r->home->node->options.cache != NULL)
			e->item = read_item(r, slice_of(r->json.data + start, r->json.len - start));
	}
	buf_put_lit(&r->json, "}}");
	return s;
}

static enum status
put_write_table(struct dax_request *r, struct batch *b, struct batch_table *t, struct cbor_reader *reader)
{
	struct cbor_items pairs = cbor_array(reader);
	enum status s = S_OK;

	put_table_name(r, t, b->table_count == 1);
	buf_put_byte(&r->json, '[');
	while (s == S_OK && cbor_next(reader, &pairs)) {
		if (b->entry_count == WRITE_MAX)
			return err_set(&r->err, S_VALIDATION, MSG_TOO_MANY_WRITES);
		if (t->count > 0)
			buf_put_byte(&r->json, ',');
		s = put_write(r, t, add_entry(r, b, t), &pairs, reader);
	}
	buf_put_byte(&r->json, ']');
	if (s == S_OK && cbor_failed(reader))
		s = err_set(&r->err, S_VALIDATION, "Malformed request: %s", reader->failure);
	return s;
}

static enum status
put_unprocessed_write(struct dax_request *r, const struct batch_table *t, struct json_reader *json)
{
	struct json_reader request;
	struct slice kind, member;
	struct av item;
	enum status s = S_OK;

	cbor_put_array(&r->reply, 2 * dax_count_elements(json));
	if (!json_enter_array(json))
		return nonsense(r);
	while (s == S_OK && json_next_element(json)) {
		struct entry *e = NULL;

		json_init(&request, json_raw(json), &r->arena);
		item = AV_NONE;
		if (json_enter_object(&request) && json_next_member(&request, &kind) && json_enter_object(&request) &&
		    json_next_member(&request, &member))
			s = item_read_json(&request, &r->arena, &item, &r->err);
		e = s == S_OK ? find_entry(r, t, item) : NULL;
		if (e == NULL)
			return nonsense(r);
		e->state = ENTRY_UNPROCESSED;
		cbor_put_bytes(&r->reply, e->key_bytes);
		if (e->is_delete)
			cbor_put_null(&r->reply);
		else
			cbor_put_bytes(&r->reply, e->values);
	}
	return s;
}

static void
wrote_batch(struct dax_request *r)
{
	struct batch *b = r->state;
	struct json_reader json;
	enum status s;

	dax_request_reply(r);
	s = read_reply(r, b, "UnprocessedItems") ? put_unprocessed(r, b, put_unprocessed_write) : nonsense(r);
	if (s != S_OK) {
		dax_request_fail(r, s);
		return;
	}
	put_capacities(r, b->capacity);
	if (b->metrics.len > 0) {
		json_init(&json, b->metrics, &r->arena);
		dax_metrics_map_write(&json, &r->arena, &r->reply);
	} else {
		cbor_put_map(&r->reply, 0);
	}
	dax_request_answer(r);
}

static void
begin_writes(struct dax_request *r, struct batch *b)
{
	struct cache *cache = r->home->node->options.cache;

	if (cache == NULL)
		return;
	for (size_t i = 0; i < b->table_count; i++) {
		struct batch_table *t = &b->tables[i];

		for (size_t j = 0; j < t->count; j++) {
			struct entry *e = &t->entries[j];

			cache_key_make(cache, &e->cache_key, CACHE_ITEMS, t->table->id, t->table->name, e->canonical);
			cache_begin(cache, &e->cache_key);
		}
	}
	r->finally = writes_ended;
}

void
dax_batch_write(struct dax_request *r)
{
	struct batch *b = begin(r);
	struct cbor_reader reader;
	struct cbor_items tables;
	enum status s = S_OK;

	cbor_init(&reader, r->arguments);
	tables = cbor_map(&reader);
	buf_put_lit(&r->json, "{\"RequestItems\":{");
	while (s == S_OK && cbor_next(&reader, &tables)) {
		struct batch_table *t;

		t = add_table(r, b, &reader, MSG_TOO_MANY_WRITES);
		if (t == NULL)
			return;
		s = put_write_table(r, b, t, &reader);
	}
	if (s == S_OK)
		s = dax_options_read(&reader, 1u << OPTION_CAPACITY | 1u << OPTION_METRICS, &b->options, &r->err);
	if (s != S_OK) {
		dax_request_fail(r, s);
		return;
	}
	buf_put_byte(&r->json, '}');
	dax_options_write(&b->options, &r->json);
	buf_put_byte(&r->json, '}');
	begin_writes(r, b);
	dax_request_call(r, "BatchWriteItem", wrote_batch);
}
