/* Query and Scan. */
#include "dax/dax_int.h"
#include "model/av_json.h"

#define SCAN_OPTIONS                                                                                                   \
	(1u << OPTION_PROJECTION | 1u << OPTION_CONSISTENT | 1u << OPTION_CAPACITY | 1u << OPTION_START_KEY |          \
	 1u << OPTION_FILTER | 1u << OPTION_INDEX | 1u << OPTION_LIMIT | 1u << OPTION_SELECT | 1u << OPTION_SEGMENT |  \
	 1u << OPTION_TOTAL_SEGMENTS)
#define QUERY_OPTIONS ((SCAN_OPTIONS | 1u << OPTION_FORWARD) & ~(1u << OPTION_SEGMENT | 1u << OPTION_TOTAL_SEGMENTS))
#define SELECT_ALL    1

struct query_state {
	const struct dax_table *table;
	struct options options;
	struct dax_paths paths;
	bool cached;
	struct cache_key cache_key;
};

/* --- the reply --- */

static enum status
put_item(struct dax_request *r, const struct query_state *state, struct av item, struct buf *out)
{
	struct dax_key key;
	size_t mark;
	enum status s;

	if (state->paths.count > 0) {
		dax_projected_write(&state->paths, item, out);
		return S_OK;
	}
	if (!dax_key_of_item(state->table, item, &key))
		return err_set(&r->err, S_INTERNAL, "An item of the upstream's reply lacks its key");
	cbor_put_array(out, 2);
	mark = cbor_open_bytes(out);
	dax_key_write(state->table, &key, out);
	cbor_close_bytes(out, mark);
	mark = cbor_open_bytes(out);
	s = dax_item_write(r->home->node->options.lists, state->table, item, &r->arena, out, &r->err);
	cbor_close_bytes(out, mark);
	return s;
}

static enum status
put_items(struct dax_request *r, const struct query_state *state, struct slice items, int64_t count)
{
	struct json_reader json;
	struct arena_mark mark;
	struct av item;
	enum status s = S_OK;

	cbor_put_int(&r->reply, 7);
	cbor_put_array(&r->reply, (uint64_t)count);
	json_init(&json, items, &r->arena);
	if (!json_enter_array(&json))
		return S_OK;
	while (s == S_OK && json_next_element(&json)) {
		mark = arena_mark(&r->arena);
		s = item_read_json(&json, &r->arena, &item, &r->err);
		if (s == S_OK)
			s = put_item(r, state, item, &r->reply);
		arena_rewind(&r->arena, mark);
		count--;
	}
	if (s == S_OK && (count != 0 || json_failed(&json)))
		s = err_set(&r->err, S_INTERNAL, "The upstream's reply makes no sense");
	return s;
}

static enum status
put_last_key(struct dax_request *r, const struct query_state *state, struct slice last)
{
	struct json_reader json;
	struct av key = AV_NONE;
	struct dax_key parts;
	size_t mark;

	json_init(&json, last, &r->arena);
	if (item_read_json(&json, &r->arena, &key, &r->err) != S_OK ||
	    (!option_given(&state->options, OPTION_INDEX) && !dax_key_of_item(state->table, key, &parts)))
		return err_set(&r->err, S_INTERNAL, "The upstream's LastEvaluatedKey makes no sense");
	cbor_put_int(&r->reply, 9);
	mark = cbor_open_bytes(&r->reply);
	if (option_given(&state->options, OPTION_INDEX))
		dax_compound_write(key, &r->reply);
	else
		dax_key_write(state->table, &parts, &r->reply);
	cbor_close_bytes(&r->reply, mark);
	return S_OK;
}

struct page {
	struct slice items, last, capacity;
	int64_t count, scanned;
};

static int64_t
read_count(struct json_reader *json)
{
	struct slice text = json_number(json);
	int64_t value = 0;

	for (size_t i = 0; i < text.len && i < 18 && text.data[i] >= '0' && text.data[i] <= '9'; i++)
		value = value * 10 + (text.data[i] - '0');
	return value;
}

static bool
read_page(struct dax_request *r, struct page *page)
{
	struct json_reader json;
	struct slice member;

	memset(page, 0, sizeof *page);
	json_init(&json, buf_slice(&r->out), &r->arena);
	if (!json_enter_object(&json))
		return false;
	while (json_next_member(&json, &member)) {
		if (slice_eq(member, SLICE("Items")))
			page->items = json_raw(&json);
		else if (slice_eq(member, SLICE("LastEvaluatedKey")))
			page->last = json_raw(&json);
		else if (slice_eq(member, SLICE("ConsumedCapacity")))
			page->capacity = json_raw(&json);
		else if (slice_eq(member, SLICE("Count")))
			page->count = read_count(&json);
		else if (slice_eq(member, SLICE("ScannedCount")))
			page->scanned = read_count(&json);
		else
			json_skip(&json);
	}
	return !json_failed(&json);
}

/* The map of the reply; without capacity is what the cache keeps. */
static enum status
put_page(struct dax_request *r, const struct query_state *state, const struct page *page, bool capacity)
{
	struct json_reader json;
	enum status s = S_OK;

	cbor_put_map(&r->reply, 2 + (uint64_t)(page->items.len > 0) + (page->last.len > 0) + capacity);
	if (page->items.len > 0)
		s = put_items(r, state, page->items, page->count);
	cbor_put_int(&r->reply, 8);
	cbor_put_int(&r->reply, page->count);
	cbor_put_int(&r->reply, 10);
	cbor_put_int(&r->reply, page->scanned);
	if (s == S_OK && page->last.len > 0)
		s = put_last_key(r, state, page->last);
	if (s == S_OK && capacity) {
		cbor_put_int(&r->reply, 1);
		json_init(&json, page->capacity, &r->arena);
		dax_capacity_write(&json, &r->reply);
	}
	return s;
}

static void
got_page(struct dax_request *r)
{
	struct query_state *state = r->state;
	struct buf *out = dax_request_reply(r);
	size_t start = out->len;
	struct page page;
	enum status s =
	    read_page(r, &page) ? S_OK : err_set(&r->err, S_INTERNAL, "The upstream's reply makes no sense");

	if (s == S_OK)
		s = put_page(r, state, &page, false);
	if (s != S_OK) {
		dax_request_fail(r, s);
		return;
	}
	if (state->cached)
		cache_fill(r->home->node->options.cache, &state->cache_key, CACHE_HIT,
			   slice_of(out->data + start, out->len - start));
	if (state->cached)
		dax_request_timed(r, &state->cache_key, false);
	if (page.capacity.len > 0) { /* one more pair in a map of fewer than 24 */
		struct json_reader json;

		out->data[start]++;
		cbor_put_int(out, 1);
		json_init(&json, page.capacity, &r->arena);
		dax_capacity_write(&json, out);
	}
	dax_request_answer(r);
}

/* --- the request --- */

static enum status
put_start_key(struct dax_request *r, const struct query_state *state)
{
	struct slice bytes = state->options.strings[OPTION_START_KEY];
	struct dax_key key;
	enum status s;

	buf_put_lit(&r->json, ",\"ExclusiveStartKey\":");
	if (option_given(&state->options, OPTION_INDEX))
		return dax_compound_to_json(bytes, &r->json, &r->err);
	s = dax_key_read(state->table, bytes, &r->arena, &key, &r->err);
	if (s == S_OK)
		dax_key_write_json(state->table, &key, &r->json);
	else if (s == S_VALIDATION)
		s = err_set(&r->err, S_VALIDATION, "The provided starting key is invalid");
	return s;
}

/* Everything behind the table's name. */
static enum status
put_request(struct dax_request *r, struct query_state *state, struct slice condition)
{
	struct options *o = &state->options;
	struct express express;
	enum status s = S_OK;

	/* the newer Go client sends it when the caller left it out */
	if (o->numbers[OPTION_SELECT] == SELECT_ALL && r->session != NULL && r->session->go_client)
		o->given &= ~(1u << OPTION_SELECT);
	dax_options_write(o, &r->json);
	express_begin(&express, &r->arena, &r->names, &r->values);
	if (condition.data != NULL) {
		buf_put_lit(&r->json, ",\"KeyConditionExpression\":");
		s = express_condition(&express, condition, &r->json, &r->err);
	}
	if (s == S_OK && option_given(o, OPTION_FILTER)) {
		buf_put_lit(&r->json, ",\"FilterExpression\":");
		s = express_condition(&express, o->strings[OPTION_FILTER], &r->json, &r->err);
	}
	if (s == S_OK && option_given(o, OPTION_PROJECTION)) {
		buf_put_lit(&r->json, ",\"ProjectionExpression\":");
		s = express_projection(&express, o->strings[OPTION_PROJECTION], &r->json, &state->paths, &r->err);
	}
	if (s == S_OK && option_given(o, OPTION_START_KEY))
		s = put_start_key(r, state);
	express_end(&express, &r->json);
	buf_put_byte(&r->json, '}');
	return s;
}

/* A page is found again by the request in its JSON form, in which the same question of different clients is mostly the
 * same, and by its projection, which is not in it whole. */
static struct slice
canonical(struct dax_request *r, const char *operation, const struct query_state *state)
{
	struct slice projection = state->options.strings[OPTION_PROJECTION];
	size_t len = strlen(operation);
	char *bytes = arena_alloc(&r->arena, len + projection.len + r->json.len), *at = bytes;

	at = (char *)memcpy(at, operation, len) + len;
	if (projection.len > 0)
		at = (char *)memcpy(at, projection.data, projection.len) + projection.len;
	at = (char *)memcpy(at, r->json.data, r->json.len) + r->json.len;
	return slice_of(bytes, (size_t)(at - bytes));
}

static bool
find_page(struct dax_request *r, const char *operation, struct query_state *state)
{
	state->cached = true;
	cache_key_make(r->home->node->options.cache, &state->cache_key, CACHE_QUERIES, state->table->id,
		       state->table->name, canonical(r, operation, state));
	if (cache_get(r->home->node->options.cache, &state->cache_key, dax_request_reply(r)) != CACHE_HIT)
		return false;
	dax_request_timed(r, &state->cache_key, true);
	dax_request_answer(r);
	return true;
}

static void
run_page(struct dax_request *r, const char *operation, bool has_condition, uint32_t options)
{
	struct query_state state = {0}, *kept;
	struct slice table, condition = SLICE_NONE;
	struct cbor_reader reader;
	enum status s;

	cbor_init(&reader, r->arguments);
	table = cbor_string(&reader);
	if (has_condition && !cbor_take_null(&reader))
		condition = cbor_bytes(&reader);
	if (cbor_failed(&reader)) {
		dax_request_fail_cbor(r, &reader);
		return;
	}
	state.table = dax_request_table(r, table);
	if (state.table == NULL)
		return;
	s = dax_options_read(&reader, options, &state.options, &r->err);
	r->json.len = r->names.len = r->values.len = 0;
	buf_put_lit(&r->json, "{\"TableName\":");
	json_put_string(&r->json, table);
	if (s == S_OK)
		s = put_request(r, &state, condition);
	if (s != S_OK) {
		dax_request_fail(r, s);
		return;
	}
	if (dax_request_may_cache(r) && !state.options.numbers[OPTION_CONSISTENT] && find_page(r, operation, &state))
		return;
	kept = arena_alloc(&r->arena, sizeof *kept);
	*kept = state;
	r->state = kept;
	dax_request_call(r, operation, got_page);
}

void
dax_query(struct dax_request *r)
{
	run_page(r, "Query", true, QUERY_OPTIONS);
}

void
dax_scan(struct dax_request *r)
{
	run_page(r, "Scan", false, SCAN_OPTIONS);
}
