/* TransactGetItems and TransactWriteItems. */
#include "dax/dax_int.h"
#include "model/av_json.h"

#define ACTIONS_MAX  100
#define MSG_TOO_MANY "Member must have length less than or equal to 100"

enum action_code { ACTION_PUT = 2, ACTION_DELETE = 7, ACTION_UPDATE = 9, ACTION_CHECK = 12 };

struct action {
	int64_t code;
	const struct dax_table *table;
	struct slice table_name, key_bytes, values, condition, update, projection;
	struct dax_key key;
	struct dax_paths paths;
	bool return_old;
	struct cache_key cache_key;
};
struct transact {
	struct action *actions;
	const struct dax_table **tables; /* of the actions, for errors */
	size_t count;
	struct options options;
};

/* --- reading arrays side by side --- */

/* The first array says how many actions there are. */
static enum status
begin_actions(struct dax_request *r, struct cbor_reader *reader, struct cbor_items *items, struct transact *ret)
{
	struct cbor_reader ahead;
	struct cbor_items count;

	*items = cbor_array(reader);
	ahead = *reader;
	count = *items;
	memset(ret, 0, sizeof *ret);
	for (; cbor_next(&ahead, &count); ret->count++)
		cbor_skip(&ahead);
	if (cbor_failed(&ahead))
		return err_set(&r->err, S_VALIDATION, "Malformed request: %s", ahead.failure);
	if (ret->count > ACTIONS_MAX)
		return err_set(&r->err, S_VALIDATION,
			       "1 validation error detected: Value at 'transactItems' failed to satisfy "
			       "constraint: " MSG_TOO_MANY);
	ret->actions = ARENA_ARRAY(&r->arena, struct action, ret->count + 1);
	ret->tables = ARENA_ARRAY(&r->arena, const struct dax_table *, ret->count + 1);
	return S_OK;
}

enum column {
	COLUMN_CODE,
	COLUMN_TABLE,
	COLUMN_KEY,
	COLUMN_VALUES,
	COLUMN_RETURN,
	COLUMN_CONDITION,
	COLUMN_UPDATE,
	COLUMN_PROJECTION
};

static struct slice
bytes_or_null(struct cbor_reader *reader)
{
	return cbor_take_null(reader) ? SLICE_NONE : cbor_bytes(reader);
}

static void
read_cell(struct cbor_reader *reader, enum column column, struct action *a)
{
	switch (column) {
	case COLUMN_CODE:
		a->code = cbor_int(reader);
		break;
	case COLUMN_TABLE:
		a->table_name = cbor_string(reader);
		break;
	case COLUMN_KEY:
		a->key_bytes = cbor_bytes(reader);
		break;
	case COLUMN_VALUES:
		a->values = bytes_or_null(reader);
		break;
	case COLUMN_RETURN:
		a->return_old = cbor_int(reader) == 2;
		break;
	case COLUMN_CONDITION:
		a->condition = bytes_or_null(reader);
		break;
	case COLUMN_UPDATE:
		a->update = bytes_or_null(reader);
		break;
	case COLUMN_PROJECTION:
		a->projection = bytes_or_null(reader);
		break;
	}
}

static void
read_cells(struct cbor_reader *reader, struct cbor_items *items, enum column column, struct transact *t)
{
	size_t at = 0;

	while (cbor_next(reader, items) && at < t->count)
		read_cell(reader, column, &t->actions[at++]);
	if (at != t->count || items->left > 0)
		cbor_fail(reader, "the arrays of a transaction differ in length");
}

/* A whole array; null stands for one of nulls. */
static void
read_column(struct cbor_reader *reader, enum column column, struct transact *t)
{
	struct cbor_items items;

	if (cbor_take_null(reader))
		return;
	items = cbor_array(reader);
	read_cells(reader, &items, column, t);
}

/* Tables and keys. False: the request has ended or waits. */
static bool
find_tables(struct dax_request *r, struct transact *t)
{
	for (size_t i = 0; i < t->count; i++) {
		struct action *a = &t->actions[i];
		const struct dax_table *table = dax_request_table(r, a->table_name);
		enum status s;

		if (table == NULL)
			return false; /* by now the actions may be gone with the request */
		a->table = table;
		t->tables[i] = a->table;
		s = dax_key_read(a->table, a->key_bytes, &r->arena, &a->key, &r->err);
		if (s != S_OK) {
			dax_table_doubt(r->home, dax_request_region(r), a->table_name);
			dax_request_fail(r, s);
			return false;
		}
	}
	return true;
}

static void
put_place(struct dax_request *r, const struct action *a)
{
	buf_put_lit(&r->json, "\"TableName\":");
	json_put_string(&r->json, a->table->name);
}

static void
put_key(struct dax_request *r, const struct action *a)
{
	buf_put_lit(&r->json, ",\"Key\":");
	dax_key_write_json(a->table, &a->key, &r->json);
}

/* --- TransactGetItems --- */

static enum status
put_response(struct dax_request *r, const struct action *a, struct json_reader *json)
{
	struct slice member;
	struct av item = AV_NONE;
	size_t mark;
	enum status s = S_OK;

	if (!json_enter_object(json))
		return err_set(&r->err, S_INTERNAL, "The upstream's reply makes no sense");
	while (json_next_member(json, &member)) {
		if (slice_eq(member, SLICE("Item")) && !av_exists(item))
			s = item_read_json(json, &r->arena, &item, &r->err);
		else
			json_skip(json);
	}
	if (s != S_OK)
		return s;
	if (!av_exists(item)) {
		cbor_put_null(&r->reply);
	} else if (a->paths.count > 0) {
		dax_projected_write(&a->paths, item, &r->reply);
	} else {
		mark = cbor_open_bytes(&r->reply);
		s = dax_item_write(r->home->node->options.lists, a->table, item, &r->arena, &r->reply, &r->err);
		cbor_close_bytes(&r->reply, mark);
	}
	return s;
}

static void
got_transaction(struct dax_request *r)
{
	struct transact *t = r->state;
	struct slice member, responses = SLICE_NONE, capacity = SLICE_NONE;
	struct json_reader json;
	size_t at = 0;
	enum status s = S_OK;

	dax_request_reply(r);
	json_init(&json, buf_slice(&r->out), &r->arena);
	if (json_enter_object(&json)) {
		while (json_next_member(&json, &member)) {
			if (slice_eq(member, SLICE("Responses")))
				responses = json_raw(&json);
			else if (slice_eq(member, SLICE("ConsumedCapacity")))
				capacity = json_raw(&json);
			else
				json_skip(&json);
		}
	}
	cbor_put_array(&r->reply, 2);
	cbor_put_array(&r->reply, t->count);
	json_init(&json, responses, &r->arena);
	if (json_enter_array(&json))
		while (s == S_OK && json_next_element(&json) && at < t->count)
			s = put_response(r, &t->actions[at++], &json);
	if (s == S_OK && at != t->count)
		s = err_set(&r->err, S_INTERNAL, "The upstream's reply makes no sense");
	if (s != S_OK) {
		dax_request_fail(r, s);
		return;
	}
	if (capacity.len > 0) {
		json_init(&json, capacity, &r->arena);
		dax_extended_capacities_write(&json, dax_request_wants_indefinite(r), &r->reply);
	} else {
		cbor_put_array(&r->reply, 0);
	}
	dax_request_answer(r);
}

static enum status
put_gets(struct dax_request *r, struct transact *t)
{
	enum status s = S_OK;

	buf_put_lit(&r->json, "{\"TransactItems\":[");
	for (size_t i = 0; s == S_OK && i < t->count; i++) {
		struct action *a = &t->actions[i];
		struct express express;

		if (i > 0)
			buf_put_byte(&r->json, ',');
		buf_put_lit(&r->json, "{\"Get\":{");
		put_place(r, a);
		put_key(r, a);
		express_begin(&express, &r->arena, &r->names, &r->values);
		if (a->projection.data != NULL) {
			buf_put_lit(&r->json, ",\"ProjectionExpression\":");
			s = express_projection(&express, a->projection, &r->json, &a->paths, &r->err);
		}
		express_end(&express, &r->json);
		buf_put_lit(&r->json, "}}");
	}
	buf_put_byte(&r->json, ']');
	dax_options_write(&t->options, &r->json);
	buf_put_byte(&r->json, '}');
	return s;
}

void
dax_transact_get(struct dax_request *r)
{
	struct transact *t = ARENA_NEW(&r->arena, struct transact);
	struct cbor_reader reader;
	struct cbor_items items;
	enum status s;

	cbor_init(&reader, r->arguments);
	s = begin_actions(r, &reader, &items, t);
	if (s == S_OK) {
		read_cells(&reader, &items, COLUMN_TABLE, t);
		read_column(&reader, COLUMN_KEY, t);
		read_column(&reader, COLUMN_PROJECTION, t);
		if (cbor_failed(&reader)) {
			dax_request_fail_cbor(r, &reader);
			return;
		}
		s = dax_options_read(&reader, 1u << OPTION_CAPACITY, &t->options, &r->err);
	}
	if (s != S_OK) {
		dax_request_fail(r, s);
		return;
	}
	if (!find_tables(r, t))
		return;
	r->json.len = r->names.len = r->values.len = 0;
	s = put_gets(r, t);
	if (s != S_OK) {
		dax_request_fail(r, s);
		return;
	}
	r->state = t;
	dax_request_call(r, "TransactGetItems", got_transaction);
}

/* --- TransactWriteItems --- */

static const struct {
	int64_t code;
	const char *name;
} kinds[] = {
    {ACTION_PUT, "Put"},
    {ACTION_DELETE, "Delete"},
    {ACTION_UPDATE, "Update"},
    {ACTION_CHECK, "ConditionCheck"},
};

static enum status
put_action(struct dax_request *r, struct action *a)
{
	const char *name = NULL;
	struct express express;
	enum status s = S_OK;

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (kinds[i].code == a->code)
			name = kinds[i].name;
	if (name == NULL)
		return err_set(&r->err, S_VALIDATION, "Unknown action in a transaction: %lld", (long long)a->code);
	buf_printf(&r->json, "{\"%s\":{", name);
	put_place(r, a);
	if (a->code == ACTION_PUT) {
		buf_put_lit(&r->json, ",\"Item\":");
		s = dax_item_to_json(r->home->node->options.lists, a->table, &a->key, a->values, &r->json, &r->err);
	} else {
		put_key(r, a);
	}
	express_begin(&express, &r->arena, &r->names, &r->values);
	if (s == S_OK && a->update.data != NULL) {
		buf_put_lit(&r->json, ",\"UpdateExpression\":");
		s = express_update(&express, a->update, &r->json, &r->err);
	}
	if (s == S_OK && a->condition.data != NULL) {
		buf_put_lit(&r->json, ",\"ConditionExpression\":");
		s = express_condition(&express, a->condition, &r->json, &r->err);
	}
	express_end(&express, &r->json);
	if (a->return_old)
		buf_put_lit(&r->json, ",\"ReturnValuesOnConditionCheckFailure\":\"ALL_OLD\"");
	buf_put_lit(&r->json, "}}");
	return s;
}

/*
 * After a transaction its items are read back, behind the client's back, into the cache: a request of its own, which
 * counts as one more write of each item, so that one that comes in between leaves no old item there.
 */
struct refresh {
	struct action *actions;
	size_t count;
};

static void
refreshed(struct dax_request *r)
{
	struct refresh *f = r->state;
	struct cache *cache = r->home->node->options.cache;
	struct slice member, responses = SLICE_NONE;
	struct json_reader json;
	struct av item;
	size_t at = 0;

	json_init(&json, buf_slice(&r->out), &r->arena);
	if (json_enter_object(&json)) {
		while (json_next_member(&json, &member)) {
			if (slice_eq(member, SLICE("Responses")))
				responses = json_raw(&json);
			else
				json_skip(&json);
		}
	}
	json_init(&json, responses, &r->arena);
	if (json_enter_array(&json)) {
		for (; at < f->count && json_next_element(&json); at++) {
			struct action *a = &f->actions[at];
			size_t mark;

			item = AV_NONE;
			if (json_enter_object(&json))
				while (json_next_member(&json, &member))
					if (item_read_json(&json, &r->arena, &item, &r->err) != S_OK)
						break;
			r->reply.len = 0;
			mark = cbor_open_bytes(&r->reply);
			if (json_failed(&json))
				break;
			if (!av_exists(item)) {
				cache_write(cache, &a->cache_key, 0, CACHE_ABSENT, SLICE_NONE);
			} else if (dax_item_write(r->home->node->options.lists, a->table, item, &r->arena, &r->reply,
						  &r->err) == S_OK) {
				cbor_close_bytes(&r->reply, mark);
				cache_write(cache, &a->cache_key, 0, CACHE_HIT, buf_slice(&r->reply));
			} else {
				break;
			}
		}
	}
	for (; at < f->count; at++)
		cache_drop(cache, &f->actions[at].cache_key);
	r->finally = NULL;
	dax_request_answer(r); /* to nobody */
}

static void
refresh_failed(struct dax_request *r, bool succeeded)
{
	struct refresh *f = r->state;

	(void)succeeded;
	for (size_t i = 0; i < f->count; i++)
		cache_drop(r->home->node->options.cache, &f->actions[i].cache_key);
}

static void
refresh_items(struct dax_request *done, const struct transact *t)
{
	struct dax_request *r = dax_request_new(done->home);
	struct cache *cache = r->home->node->options.cache;
	struct refresh *f = ARENA_NEW(&r->arena, struct refresh);

	f->actions = ARENA_ARRAY(&r->arena, struct action, t->count);
	r->identity = done->identity;
	r->identity->refs++;
	r->as_node = true;
	r->started_ns = done->started_ns;
	r->state = f;
	r->finally = refresh_failed;
	buf_put_lit(&r->json, "{\"TransactItems\":[");
	for (size_t i = 0; i < t->count; i++) {
		const struct action *from = &t->actions[i];
		struct action *a = &f->actions[f->count];

		if (from->code == ACTION_CHECK)
			continue;
		if (f->count++ > 0)
			buf_put_byte(&r->json, ',');
		a->table = from->table;
		dax_request_hold(r, a->table);
		cache_key_make(cache, &a->cache_key, CACHE_ITEMS, a->table->id, a->table->name,
			       arena_dup(&r->arena, dax_key_canonical(from->table, &from->key, &r->arena)));
		cache_begin(cache, &a->cache_key);
		buf_put_lit(&r->json, "{\"Get\":{");
		put_place(r, a);
		put_key(r, from);
		buf_put_lit(&r->json, "}}");
	}
	buf_put_lit(&r->json, "]}");
	dax_request_call(r, "TransactGetItems", refreshed);
}

static void
transaction_ended(struct dax_request *r, bool succeeded)
{
	struct transact *t = r->state;
	size_t written = 0;

	if (!succeeded && r->call.http_status >= 400 && r->call.http_status < 500)
		return;
	for (size_t i = 0; i < t->count; i++) {
		if (t->actions[i].code == ACTION_CHECK)
			continue;
		cache_drop(r->home->node->options.cache, &t->actions[i].cache_key);
		written++;
	}
	if (succeeded && written > 0)
		refresh_items(r, t);
}

static void
wrote_transaction(struct dax_request *r)
{
	struct slice member, capacity = SLICE_NONE, metrics = SLICE_NONE;
	struct json_reader json;

	dax_request_reply(r);
	json_init(&json, buf_slice(&r->out), &r->arena);
	if (json_enter_object(&json)) {
		while (json_next_member(&json, &member)) {
			if (slice_eq(member, SLICE("ConsumedCapacity")))
				capacity = json_raw(&json);
			else if (slice_eq(member, SLICE("ItemCollectionMetrics")))
				metrics = json_raw(&json);
			else
				json_skip(&json);
		}
	}
	cbor_put_array(&r->reply, 3);
	cbor_put_array(&r->reply, 0); /* the Go clients read its head and nothing more */
	json_init(&json, capacity, &r->arena);
	if (capacity.len > 0)
		dax_extended_capacities_write(&json, dax_request_wants_indefinite(r), &r->reply);
	else
		cbor_put_array(&r->reply, 0);
	json_init(&json, metrics, &r->arena);
	if (metrics.len > 0)
		dax_metrics_map_write(&json, &r->arena, &r->reply);
	else
		cbor_put_map(&r->reply, 0);
	dax_request_answer(r);
}

static void
begin_caching(struct dax_request *r, struct transact *t)
{
	struct cache *cache = r->home->node->options.cache;

	if (cache == NULL)
		return;
	for (size_t i = 0; i < t->count; i++) {
		struct action *a = &t->actions[i];

		cache_key_make(cache, &a->cache_key, CACHE_ITEMS, a->table->id, a->table->name,
			       dax_key_canonical(a->table, &a->key, &r->arena));
		cache_begin(cache, &a->cache_key);
	}
	r->finally = transaction_ended;
}

static enum status
put_writes(struct dax_request *r, struct transact *t)
{
	enum status s = S_OK;

	r->json.len = r->names.len = r->values.len = 0;
	buf_put_lit(&r->json, "{\"TransactItems\":[");
	for (size_t i = 0; s == S_OK && i < t->count; i++) {
		if (i > 0)
			buf_put_byte(&r->json, ',');
		s = put_action(r, &t->actions[i]);
	}
	buf_put_byte(&r->json, ']');
	dax_options_write(&t->options, &r->json);
	buf_put_byte(&r->json, '}');
	return s;
}

void
dax_transact_write(struct dax_request *r)
{
	static const uint32_t allowed = 1u << OPTION_CAPACITY | 1u << OPTION_METRICS | 1u << OPTION_TOKEN;
	struct transact *t = ARENA_NEW(&r->arena, struct transact);
	struct cbor_reader reader;
	struct cbor_items items;
	enum status s;

	cbor_init(&reader, r->arguments);
	s = begin_actions(r, &reader, &items, t);
	if (s == S_OK) {
		read_cells(&reader, &items, COLUMN_CODE, t);
		read_column(&reader, COLUMN_TABLE, t);
		read_column(&reader, COLUMN_KEY, t);
		read_column(&reader, COLUMN_VALUES, t);
		cbor_skip(&reader); /* return values: DynamoDB has none here */
		read_column(&reader, COLUMN_RETURN, t);
		read_column(&reader, COLUMN_CONDITION, t);
		read_column(&reader, COLUMN_UPDATE, t);
		if (cbor_failed(&reader)) {
			dax_request_fail_cbor(r, &reader);
			return;
		}
		s = dax_options_read(&reader, allowed, &t->options, &r->err);
	}
	if (s != S_OK) {
		dax_request_fail(r, s);
		return;
	}
	if (!find_tables(r, t))
		return;
	s = put_writes(r, t);
	if (s != S_OK) {
		dax_request_fail(r, s);
		return;
	}
	r->state = t;
	r->schemas = t->tables;
	r->schema_count = t->count;
	begin_caching(r, t);
	dax_request_call(r, "TransactWriteItems", wrote_transaction);
}
