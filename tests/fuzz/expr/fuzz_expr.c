/*
 * Any text as any kind of expression, on a fixed item. Input: first byte the kind, the rest the text. Besides not
 * crashing: what evaluation returns is well formed, an update's new item has only what the paths touched changed, and
 * the cached program answers as the parsed one did.
 */
#include "expr/expr.h"
#include "model/av_json.h"

#include <stdlib.h>

static const char values_json[] =
    "{\":a\":{\"S\":\"a\"},\":b\":{\"N\":\"2\"},\":c\":{\"SS\":[\"a\",\"b\"]},\":d\":{\"L\":[{\"S\":\"x\"}]},"
    "\":e\":{\"M\":{\"k\":{\"N\":\"1\"}}},\":f\":{\"BOOL\":true},\":g\":{\"S\":\"S\"},\":h\":{\"B\":\"AQID\"},"
    "\":i\":{\"NS\":[\"1\",\"2\"]}}";
static const char item_json[] =
    "{\"a\":{\"S\":\"abc\"},\"b\":{\"N\":\"5\"},\"c\":{\"SS\":[\"a\",\"q\"]},\"d\":{\"L\":[{\"N\":\"1\"},{\"M\":{\"a\":"
    "{\"L\":[{\"S\":\"x\"},{\"S\":\"y\"}]}}},{\"S\":\"z\"}]},\"e\":{\"M\":{\"a\":{\"N\":\"1\"},\"b\":{\"M\":{\"c\":"
    "{\"NS\":[\"1\",\"3\"]}}}}},\"f\":{\"BOOL\":false},\"g\":{\"NULL\":true},\"h\":{\"B\":\"AQIDBA==\"},\"pk\":{\"S\":"
    "\"k\"}}";

static void
demand(bool holds)
{
	if (!holds)
		abort();
}

static struct av
read_map(const char *text, size_t len, struct arena *arena)
{
	struct json_reader r;
	struct av map = AV_NONE;

	json_init(&r, slice_of(text, len), arena);
	demand(item_read_json(&r, arena, &map, NULL) == S_OK);
	return map;
}

static void
make_params(struct expr_params *params, struct arena *arena)
{
	struct av map = read_map(values_json, sizeof values_json - 1, arena);

	params->has_names = params->has_values = true;
	params->names = ARENA_ARRAY(arena, struct expr_name, 26);
	params->values = ARENA_ARRAY(arena, struct expr_value, 26);
	for (struct av_iter it = av_iter(map); av_next(&it); params->value_count++)
		params->values[params->value_count] = (struct expr_value){.placeholder = it.name, .value = it.value};
	for (char c = 'a'; c <= 'h'; c++)
		params->names[params->name_count++] = (struct expr_name){.placeholder = arena_printf(arena, "#%c", c),
									 .name = arena_printf(arena, "%c", c)};
}

static void
demand_well_formed(struct av v)
{
	demand(av_check(slice_of(v.data, v.len), NULL) == S_OK);
}

static void
run_update(const struct expr *e, struct av item, struct arena *arena)
{
	static const struct key_schema schema = {1, 0, {{{"pk", 2}, AV_S}}, {{{0}}}};
	struct expr_updated updated;
	struct av key = key_of_item(&schema, item, arena);
	struct err err;

	expr_update_check_keys(e, &schema, &err);
	for (int i = 0; i < 2; i++) {
		if (expr_update(e, key, i == 0 ? item : AV_NONE, arena, &updated, &err) != S_OK)
			continue;
		if (av_exists(updated.new_item)) /* a REMOVE makes no item where there was none */
			demand_well_formed(updated.new_item);
		demand_well_formed(updated.updated_old);
		demand_well_formed(updated.updated_new);
	}
}

static void
run_key_condition(const struct expr *e)
{
	static const struct key_schema schema = {1, 2, {{{"a", 1}, AV_S}}, {{{"b", 1}, AV_N}, {{"c", 1}, AV_S}}};
	struct key_range range;
	struct err err;

	if (expr_key_range(e, &schema, &range, &err) == S_OK)
		demand(av_exists(range.partition[0]) && av_exists(range.low) == (range.op != KEY_ALL));
}

static bool
run(const struct expr *e, enum expr_kind kind, struct av item, struct arena *arena)
{
	switch (kind) {
	case EXPR_PROJECTION:
		demand_well_formed(expr_project(e, item, arena));
		return true;
	case EXPR_UPDATE:
		run_update(e, item, arena);
		return true;
	case EXPR_KEY_CONDITION:
		run_key_condition(e);
		return true;
	default:
		expr_test(e, AV_NONE);
		return expr_test(e, item);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {0};
	struct expr_params params = {0};
	struct slice text;
	struct av item;
	bool answers[2];
	struct err err;

	if (size == 0)
		return 0;
	text = slice_of(data + 1, size - 1);
	make_params(&params, &arena);
	item = read_map(item_json, sizeof item_json - 1, &arena);
	for (int i = 0; i < 2; i++) { /* parsed, then cached */
		enum expr_kind kind = data[0] % 5;
		struct expr *e;

		answers[i] = false;
		if (expr_bind(kind, text, &params, &arena, &e, &err) == S_OK)
			answers[i] = run(e, kind, item, &arena);
	}
	demand(answers[0] == answers[1]);
	expr_params_check_unused(&params, &err);
	expr_cache_done();
	arena_done(&arena);
	return 0;
}
