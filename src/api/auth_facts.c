/*
 * What a request is about, for the conditions of policies: the partition keys it names (dynamodb:LeadingKeys), the
 * top-level attributes it speaks of (dynamodb:Attributes), what it asks back.
 *
 * A value that cannot be told (no such table, an expression that does not bind) is unknown, which fails an Allow: the
 * operation would have refused the request anyway, and what changes in between cannot open a gap.
 */
#include "api/auth_int.h"
#include "codec/base64.h"
#include "model/number.h"

/* ---- lists ---- */

void
auth_list_add(struct auth *a, struct auth_list *list, struct slice text)
{
	if (list->count == list->room) {
		uint32_t room = list->room > 0 ? 2 * list->room : 8;
		struct slice *bigger = arena_alloc(a->call->arena, room * sizeof *bigger);

		if (list->count > 0)
			memcpy(bigger, list->items, list->count * sizeof *bigger);
		list->items = bigger;
		list->room = room;
	}
	list->items[list->count++] = text;
}

/* As text: a number in its plain form, bytes in base64. */
void
auth_list_add_value(struct auth *a, struct auth_list *list, struct av value)
{
	struct arena *arena = a->call->arena;
	struct slice bytes;
	char *text;

	if (!av_exists(value)) {
		list->unknown = true;
		return;
	}
	switch (av_type(value)) {
	case AV_S:
		auth_list_add(a, list, av_bytes(value));
		break;
	case AV_N:
		text = arena_alloc(arena, NUMBER_TEXT_MAX);
		auth_list_add(a, list, slice_of(text, number_format_encoded(av_bytes(value), text)));
		break;
	case AV_B:
		bytes = av_bytes(value);
		text = arena_alloc(arena, BASE64_LENGTH(bytes.len));
		base64_write(text, bytes);
		auth_list_add(a, list, slice_of(text, BASE64_LENGTH(bytes.len)));
		break;
	default:
		list->unknown = true; /* no key has such a type */
	}
}

void
auth_list_add_expr(struct auth *a, struct auth_list *list, const struct expr *e)
{
	struct slice *names;
	size_t count;

	if (e == NULL)
		return;
	names = expr_attrs(e, a->call->arena, &count);
	for (size_t i = 0; i < count; i++)
		auth_list_add(a, list, names[i]);
}

static void
add_names(struct auth *a, struct auth_list *list, struct av map)
{
	struct av_iter it = av_iter(map);

	while (av_next(&it))
		auth_list_add(a, list, it.name);
}

/* ---- partition keys ---- */

void
auth_leading_add_key(struct auth *a, struct auth_leading *l, const struct key_schema *schema, struct av key)
{
	for (uint8_t i = 0; i < schema->partition_count; i++)
		auth_list_add_value(a, &l->attr[i], av_exists(key) ? av_get(key, schema->partition[i].name) : AV_NONE);
}

void
auth_leading_add_range(struct auth *a, struct auth_leading *l, const struct key_schema *schema,
		       const struct key_range *range)
{
	for (uint8_t i = 0; i < schema->partition_count; i++)
		auth_list_add_value(a, &l->attr[i], range->partition[i]);
}

void
auth_set_leading(struct auth *a, struct auth_leading *l)
{
	for (int i = 1; i < KEY_ATTRS_MAX; i++)
		l->attr[i].unknown |= l->attr[0].unknown;
	for (int i = 0; i < KEY_ATTRS_MAX; i++)
		auth_set_list(a, POLICY_KEY_FIRST_KEYS + i, l->attr[i].items, l->attr[i].count, l->attr[i].unknown);
	auth_set_list(a, POLICY_KEY_LEADING_KEYS, l->attr[0].items, l->attr[0].count, l->attr[0].unknown);
}

bool
auth_find_schema(struct auth *a, const struct need *need, struct key_schema *ret)
{
	const struct table_index *index = NULL;
	struct table *table;
	bool found;

	if (need->table.len == 0 || table_find(a->call->db, need->table, &table, a->scratch) != S_OK)
		return false;
	if (need->index.len > 0)
		index = table_index_find(table, need->index);
	found = need->index.len == 0 || index != NULL;
	if (found) {
		*ret = index != NULL ? *table_index_schema(index) : *table_schema(table);
		for (uint8_t i = 0; i < ret->partition_count; i++) /* the table may go */
			ret->partition[i].name = arena_dup(a->call->arena, ret->partition[i].name);
		for (uint8_t i = 0; i < ret->sort_count; i++)
			ret->sort[i].name = arena_dup(a->call->arena, ret->sort[i].name);
	}
	table_release(table);
	return found;
}

/* ---- members ---- */

static const struct in_item *
item_of(const struct need *need, const char *name)
{
	const struct in_item *item = auth_member(need->shape, need->in, name, SHAPE_ITEM);

	return item != NULL && item->set ? item : NULL;
}

static const struct in_map *
map_of(const struct need *need, const char *name)
{
	const struct in_map *map = auth_member(need->shape, need->in, name, SHAPE_MAP);

	return map != NULL && map->set ? map : NULL;
}

static const struct in_list *
list_of(const struct need *need, const char *name)
{
	const struct in_list *list = auth_member(need->shape, need->in, name, SHAPE_LIST);

	return list != NULL && list->set ? list : NULL;
}

static struct slice
enum_of(const struct need *need, const char *name)
{
	const struct in_enum *value = auth_member(need->shape, need->in, name, SHAPE_ENUM);

	return value != NULL ? value->text : SLICE_NONE;
}

/* Binding marks what is used, and the operation will bind again: so it gets copies. */
static struct expr_params
params_of(struct auth *a, const struct need *need)
{
	const struct in_params *names = auth_member(need->shape, need->in, "ExpressionAttributeNames", SHAPE_NAMES);
	const struct in_params *values = auth_member(need->shape, need->in, "ExpressionAttributeValues", SHAPE_VALUES);
	struct expr_params p = {0};

	if (names != NULL && names->p.name_count > 0) {
		p.names = arena_alloc(a->call->arena, names->p.name_count * sizeof *p.names);
		memcpy(p.names, names->p.names, names->p.name_count * sizeof *p.names);
		p.name_count = names->p.name_count;
		p.has_names = true;
	}
	if (values != NULL && values->p.value_count > 0) {
		p.values = arena_alloc(a->call->arena, values->p.value_count * sizeof *p.values);
		memcpy(p.values, values->p.values, values->p.value_count * sizeof *p.values);
		p.value_count = values->p.value_count;
		p.has_values = true;
	}
	return p;
}

/* *ret stays NULL when the request has no such expression. false: it does not bind. */
static bool
bind(struct auth *a, const struct need *need, const char *name, enum expr_kind kind, struct expr **ret)
{
	const struct slice *text = auth_member(need->shape, need->in, name, SHAPE_STRING);
	struct expr_params params;

	*ret = NULL;
	if (text == NULL || text->data == NULL)
		return true;
	params = params_of(a, need);
	return expr_bind(kind, *text, &params, a->call->arena, ret, a->scratch) == S_OK;
}

/* ---- attributes ---- */

static void
add_attributes(struct auth *a, const struct need *need, struct auth_list *list)
{
	static const struct {
		const char *name;
		enum expr_kind kind;
	} expressions[] = {
	    {"ConditionExpression", EXPR_CONDITION},
	    {"FilterExpression", EXPR_FILTER},
	    {"KeyConditionExpression", EXPR_KEY_CONDITION},
	    {"ProjectionExpression", EXPR_PROJECTION},
	    {"UpdateExpression", EXPR_UPDATE},
	};
	static const char *const items[] = {"Key", "Item"};
	static const char *const maps[] = {"AttributeUpdates", "Expected", "KeyConditions", "QueryFilter",
					   "ScanFilter"};
	const struct in_list *names = list_of(need, "AttributesToGet");
	struct expr *e;

	for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
		const struct in_item *item = item_of(need, items[i]);

		if (item != NULL && av_exists(item->value))
			add_names(a, list, item->value);
	}
	for (size_t i = 0; i < sizeof expressions / sizeof *expressions; i++) {
		if (bind(a, need, expressions[i].name, expressions[i].kind, &e))
			auth_list_add_expr(a, list, e);
		else
			list->unknown = true;
	}
	for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
		const struct in_map *map = map_of(need, maps[i]);

		for (uint32_t n = 0; map != NULL && n < map->count; n++)
			auth_list_add(a, list, map->keys[n]);
	}
	for (uint32_t i = 0; names != NULL && i < names->count; i++)
		auth_list_add(a, list, ((const struct slice *)names->items)[i]);
}

/* ---- keys of one request ---- */

/* Of a Query. NULL: it is none; unknown when it does not bind. */
static const struct expr *
key_condition(struct auth *a, const struct need *need, bool *ret_unknown)
{
	const struct in_map *conditions = map_of(need, "KeyConditions");
	const struct expr *e = NULL;
	struct expr *bound;

	*ret_unknown = !bind(a, need, "KeyConditionExpression", EXPR_KEY_CONDITION, &bound);
	if (bound != NULL || *ret_unknown)
		return bound;
	if (conditions != NULL && legacy_key_conditions(conditions, a->call->arena, &e, a->scratch) != S_OK)
		*ret_unknown = true;
	return e;
}

static void
add_leading(struct auth *a, const struct need *need, struct auth_leading *l)
{
	static const char *const items[] = {"Key", "Item"};
	const struct expr *condition;
	struct key_schema schema;
	struct key_range range;
	bool unknown, known = auth_find_schema(a, need, &schema);

	for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
		const struct in_item *item = item_of(need, items[i]);

		if (item != NULL && known)
			auth_leading_add_key(a, l, &schema, item->value);
		else if (item != NULL)
			l->attr[0].unknown = true;
	}
	condition = key_condition(a, need, &unknown);
	if (condition != NULL && known && expr_key_range(condition, &schema, &range, a->scratch) == S_OK)
		auth_leading_add_range(a, l, &schema, &range);
	else if (condition != NULL || unknown)
		l->attr[0].unknown = true;
}

/* ---- what is asked back ---- */

static void
set_select(struct auth *a, const struct need *need)
{
	const struct slice *projection = auth_member(need->shape, need->in, "ProjectionExpression", SHAPE_STRING);
	struct slice select = enum_of(need, "Select");

	if (projection == NULL && auth_member(need->shape, need->in, "AttributesToGet", SHAPE_LIST) == NULL)
		return; /* not a read */
	if (select.data == NULL) {
		bool some =
		    (projection != NULL && projection->data != NULL) || list_of(need, "AttributesToGet") != NULL;

		select = some                  ? SLICE("SPECIFIC_ATTRIBUTES")
			 : need->index.len > 0 ? SLICE("ALL_PROJECTED_ATTRIBUTES")
					       : SLICE("ALL_ATTRIBUTES");
	}
	auth_set(a, POLICY_KEY_SELECT, select);
}

/* ReturnValues, and what ReturnValuesOnConditionCheckFailure may give back as well. */
static void
set_return_values(struct auth *a, const struct need *need)
{
	const struct in_enum *values = auth_member(need->shape, need->in, "ReturnValues", SHAPE_ENUM);
	struct slice failure = enum_of(need, "ReturnValuesOnConditionCheckFailure");
	struct slice *both = arena_alloc(a->call->arena, 2 * sizeof *both);
	uint32_t count = 0;

	if (values == NULL &&
	    auth_member(need->shape, need->in, "ReturnValuesOnConditionCheckFailure", SHAPE_ENUM) == NULL)
		return; /* not a write */
	if (values != NULL)
		both[count++] = values->text.data != NULL ? values->text : SLICE("NONE");
	if (failure.data != NULL && !slice_eq(failure, SLICE("NONE")))
		both[count++] = failure;
	if (count == 0)
		both[count++] = SLICE("NONE");
	auth_set_list(a, POLICY_KEY_RETURN_VALUES, both, count, false);
}

static void
set_return_capacity(struct auth *a)
{
	const struct in_enum *value = auth_member(a->shape, a->in, "ReturnConsumedCapacity", SHAPE_ENUM);

	if (value != NULL)
		auth_set(a, POLICY_KEY_RETURN_CAPACITY, value->text.data != NULL ? value->text : SLICE("NONE"));
}

/* ---- the three kinds of requests ---- */

void
auth_item_facts(struct auth *a, const struct need *need)
{
	struct auth_list attributes = {0};
	struct auth_leading leading = {0};

	add_leading(a, need, &leading);
	auth_set_leading(a, &leading);
	add_attributes(a, need, &attributes);
	auth_set_list(a, POLICY_KEY_ATTRIBUTES, attributes.items, attributes.count, attributes.unknown);
	set_select(a, need);
	set_return_values(a, need);
	set_return_capacity(a);
}

void
auth_batch_get_facts(struct auth *a, const struct need *need)
{
	const struct in_list *keys = need->in != NULL ? list_of(need, "Keys") : NULL;
	struct auth_list attributes = {0};
	struct auth_leading leading = {0};
	struct key_schema schema;
	bool known = auth_find_schema(a, need, &schema);

	for (uint32_t i = 0; keys != NULL && i < keys->count; i++) {
		struct av key = ((const struct in_item *)keys->items)[i].value;

		if (av_exists(key))
			add_names(a, &attributes, key);
		if (known)
			auth_leading_add_key(a, &leading, &schema, key);
	}
	leading.attr[0].unknown |= !known || keys == NULL;
	auth_set_leading(a, &leading);
	if (need->in != NULL) {
		add_attributes(a, need, &attributes);
		set_select(a, need);
	}
	auth_set_list(a, POLICY_KEY_ATTRIBUTES, attributes.items, attributes.count, attributes.unknown);
	set_return_capacity(a);
}

void
auth_batch_write_facts(struct auth *a, const struct need *need)
{
	static const struct {
		const char *request, *item;
	} kinds[] = {{"PutRequest", "Item"}, {"DeleteRequest", "Key"}};
	const struct in_list *requests = need->in;
	struct auth_list attributes = {0};
	struct auth_leading leading = {0};
	struct key_schema schema;
	bool known = auth_find_schema(a, need, &schema);

	leading.attr[0].unknown = !known;
	for (uint32_t i = 0; i < requests->count; i++)
		for (int k = 0; k < 2; k++) {
			const void *one = ((void *const *)requests->items)[i];
			void *const *part =
			    one != NULL ? auth_member(need->shape, one, kinds[k].request, SHAPE_STRUCT) : NULL;
			const struct in_item *item;

			if (part == NULL || *part == NULL)
				continue;
			item =
			    auth_member(auth_shape_of(need->shape, kinds[k].request), *part, kinds[k].item, SHAPE_ITEM);
			if (item == NULL || !av_exists(item->value)) {
				leading.attr[0].unknown = attributes.unknown = true;
				continue;
			}
			add_names(a, &attributes, item->value);
			if (known)
				auth_leading_add_key(a, &leading, &schema, item->value);
		}
	auth_set_leading(a, &leading);
	auth_set_list(a, POLICY_KEY_ATTRIBUTES, attributes.items, attributes.count, attributes.unknown);
	set_return_capacity(a);
}
