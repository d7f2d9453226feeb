/* Items in wire form: an attribute list id and the values of that list, the key beside them. */
#include "codec/json.h"
#include "dax/dax_int.h"
#include "model/av_cbor.h"
#include "model/av_json.h"

bool
dax_is_key(const struct dax_table *t, struct slice name)
{
	for (int i = 0; i < t->key_count; i++)
		if (slice_eq(t->keys[i].name, name))
			return true;
	return false;
}

/* The list of the item's non-key attributes. */
static enum status
list_of(struct dax_lists *lists, const struct dax_table *t, struct av item, struct arena *arena,
	const struct dax_list **ret, struct err *err)
{
	struct slice *names = arena_alloc(arena, av_count(item) * sizeof *names);
	struct av_iter it = av_iter(item);
	size_t count = 0;

	while (av_next(&it))
		if (!dax_is_key(t, it.name))
			names[count++] = it.name;
	return dax_lists_add(lists, names, count, ret, err);
}

enum status
dax_item_write(struct dax_lists *lists, const struct dax_table *t, struct av item, struct arena *arena, struct buf *out,
	       struct err *err)
{
	struct av_iter it = av_iter(item);
	const struct dax_list *list;
	enum status s = list_of(lists, t, item, arena, &list, err);

	if (s != S_OK)
		return s;
	cbor_put_head(out, CBOR_M_UINT, list->id);
	while (av_next(&it)) /* the list was made in this order */
		if (!dax_is_key(t, it.name))
			av_write_cbor(out, it.value);
	return S_OK;
}

enum status
dax_updated_write(struct dax_lists *lists, const struct dax_table *t, struct av item, bool indefinite,
		  struct arena *arena, struct buf *out, struct err *err)
{
	struct av_iter it = av_iter(item);
	const struct dax_list *list;
	enum status s = list_of(lists, t, item, arena, &list, err);
	uint64_t place = 0;

	if (s != S_OK)
		return s;
	cbor_put_head(out, CBOR_M_UINT, list->id);
	if (indefinite)
		cbor_put_map_indefinite(out);
	else
		cbor_put_map(out, list->count);
	while (av_next(&it)) {
		if (dax_is_key(t, it.name))
			continue;
		cbor_put_head(out, CBOR_M_UINT, place++);
		av_write_cbor(out, it.value);
	}
	if (indefinite)
		cbor_put_break(out);
	return S_OK;
}

enum status
dax_item_to_json(struct dax_lists *lists, const struct dax_table *t, const struct dax_key *key, struct slice values,
		 struct buf *out, struct err *err)
{
	const struct dax_list *list;
	struct cbor_reader r;
	uint64_t id;

	cbor_init(&r, values);
	id = cbor_peek(&r) == CBOR_UINT ? cbor_magnitude(&r) : 0;
	list = dax_lists_find(lists, id);
	if (list == NULL)
		return dax_lists_unknown(lists, id, err);
	buf_put_byte(out, '{');
	dax_key_write_members(t, key, out);
	for (uint32_t i = 0; i < list->count; i++) {
		buf_put_byte(out, ',');
		json_put_string(out, list->names[i]);
		buf_put_byte(out, ':');
		av_cbor_to_json(&r, out);
	}
	buf_put_byte(out, '}');
	if (!cbor_failed(&r) && !cbor_at_end(&r))
		cbor_fail(&r, "an item has more values than its attribute list has names");
	if (cbor_failed(&r))
		return err_set(err, S_VALIDATION, "Malformed item: %s", r.failure);
	return S_OK;
}

struct av
dax_item_from_wire(struct dax_lists *lists, const struct dax_table *t, const struct dax_key *key, struct slice wire,
		   struct arena *arena)
{
	struct buf text = {0};
	struct json_reader json;
	struct av item = AV_NONE;
	struct err err;

	if (dax_item_to_json(lists, t, key, wire, &text, &err) == S_OK) {
		json_init(&json, buf_slice(&text), arena);
		if (item_read_json(&json, arena, &item, &err) != S_OK)
			item = AV_NONE;
	}
	buf_done(&text);
	return item;
}

enum status
dax_compound_to_json(struct slice bytes, struct buf *out, struct err *err)
{
	struct cbor_reader r;
	struct cbor_items items;
	const char *comma = "";

	cbor_init(&r, bytes);
	items = cbor_map(&r);
	buf_put_byte(out, '{');
	while (cbor_next(&r, &items)) {
		buf_put(out, comma, strlen(comma));
		comma = ",";
		json_put_string(out, cbor_string(&r));
		buf_put_byte(out, ':');
		av_cbor_to_json(&r, out);
	}
	buf_put_byte(out, '}');
	if (cbor_failed(&r) || !cbor_at_end(&r))
		return err_set(err, S_VALIDATION, "The provided starting key is invalid");
	return S_OK;
}

void
dax_compound_write(struct av key, struct buf *out)
{
	struct av_iter it = av_iter(key);

	cbor_put_map_indefinite(out); /* the Go clients insist on it here */
	while (av_next(&it)) {
		cbor_put_text(out, it.name);
		av_write_cbor(out, it.value);
	}
	cbor_put_break(out);
}
