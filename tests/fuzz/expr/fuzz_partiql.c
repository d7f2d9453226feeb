/*
 * Any text as a statement. Input: first byte: the schema and the kinds of the parameters; the rest the text. Besides
 * not crashing: values are well formed, and a plan finds each of some items exactly as often as its condition holds.
 */
#include "expr/partiql/partiql_int.h"
#include "expr/partiql_fixture.h"

#include <stdlib.h>

static const char items_json[] =
    "[{\"pk\":{\"S\":\"a\"},\"sk\":{\"N\":\"1\"}},{\"pk\":{\"S\":\"a\"},\"sk\":{\"N\":\"2\"},\"v\":{\"N\":\"1\"}},"
    "{\"pk\":{\"S\":\"b\"},\"sk\":{\"N\":\"1\"},\"v\":{\"S\":\"x\"},\"l\":{\"L\":[{\"S\":\"a\"},{\"M\":{\"k\":{\"N\":"
    "\"1\"}}}]}},{\"pk\":{\"S\":\"b\"},\"sk\":{\"N\":\"-3.5\"},\"ss\":{\"SS\":[\"a\",\"b\"]},\"m\":{\"M\":{\"a\":{"
    "\"M\":{"
    "\"b\":{\"NULL\":true}}}}}},{\"pk\":{\"S\":\"\\u00e9\"},\"sk\":{\"N\":\"1e20\"},\"v\":{\"BOOL\":true},\"b\":{\"B\":"
    "\"AQI=\"}}]";
static const char params_json[] =
    "[{\"S\":\"a\"},{\"N\":\"1\"},{\"SS\":[\"a\",\"c\"]},{\"M\":{\"k\":{\"L\":[]}}},{\"NULL\":true},{\"B\":\"AQID\"},"
    "{\"N\":\"2\"},{\"S\":\"b\"}]";
#define ITEMS  5
#define PARAMS 8

static void
demand(bool holds)
{
	if (!holds)
		abort();
}

static void
demand_well_formed(struct av v)
{
	demand(av_check(slice_of(v.data, v.len), NULL) == S_OK);
}

static void
read_list(const char *text, size_t len, bool items, struct av *ret, struct arena *arena)
{
	struct json_reader r;
	size_t n = 0;

	json_init(&r, slice_of(text, len), arena);
	demand(json_enter_array(&r));
	for (; json_next_element(&r); n++)
		demand((items ? item_read_json : av_read_json)(&r, arena, &ret[n], NULL) == S_OK);
	demand(!json_failed(&r));
}

/* Statements come out of JSON, which is UTF-8. */
static bool
is_text(const uint8_t *data, size_t size, struct arena *arena)
{
	struct json_reader r;
	struct buf json = {0};
	bool well;

	json_put_string(&json, slice_of(data, size));
	json_init(&r, buf_slice(&json), arena);
	(void)json_string(&r);
	well = !json_failed(&r);
	buf_done(&json);
	return well;
}

static void
check_plan(const struct partiql_statement *s, const struct key_schema *schema, const struct av *items,
	   struct arena *arena)
{
	struct partiql_plan plan;
	struct err err;

	if (partiql_plan(s, schema, true, arena, &plan, &err) != S_OK)
		return;
	for (size_t i = 0; i < ITEMS; i++) {
		bool holds = s->where == NULL || expr_test(s->where->expr, items[i]);

		demand(fixture_found(&plan, items[i]) == (unsigned)holds);
	}
	partiql_plan_order(s, schema, &plan, &err);
	(void)partiql_only_key(s, schema, arena);
}

static void
check_select(const struct partiql_statement *s, const struct av *items, struct arena *arena)
{
	for (size_t i = 0; i < ITEMS; i++) {
		struct av item = items[i];

		if (s->projection != NULL)
			item = expr_project(s->projection, item, arena);
		if (s->columns != NULL)
			item = partiql_select_columns(s->columns, item, arena);
		demand_well_formed(item);
	}
}

static void
check_write(const struct partiql_statement *s, const struct key_schema *schema, const struct av *items,
	    struct arena *arena)
{
	const struct expr *condition = NULL;
	struct expr_updated updated;
	struct err err;
	struct av key;

	if (s->kind == PARTIQL_INSERT) {
		demand_well_formed(s->item);
		return;
	}
	if (partiql_write_key(s, schema, arena, &key, &condition, &err) != S_OK)
		return;
	demand_well_formed(key);
	for (size_t i = 0; i < ITEMS && s->kind == PARTIQL_UPDATE; i++) {
		(void)expr_test(condition, items[i]);
		if (expr_update(s->update, key, items[i], arena, &updated, &err) != S_OK)
			continue;
		demand_well_formed(updated.new_item);
		demand_well_formed(partiql_modified(s->update, updated.new_item, arena));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct key_schema only_partition = {1, 0, {{{"pk", 2}, AV_S}}, {{{0}}}};
	struct av given[PARAMS] = {{0}}, items[ITEMS] = {{0}}, *params;
	const struct key_schema *schema;
	struct partiql_statement s;
	struct partiql *parsed;
	struct arena arena = {0};
	struct err err;

	if (size == 0 || size > PARTIQL_TEXT_MAX)
		return 0;
	schema = data[0] & 1 ? &only_partition : &partiql_schema;
	read_list(items_json, sizeof items_json - 1, true, items, &arena);
	read_list(params_json, sizeof params_json - 1, false, given, &arena);
	if (is_text(data + 1, size - 1, &arena) &&
	    partiql_parse(slice_of(data + 1, size - 1), &arena, &parsed, &err) == S_OK) {
		params = ARENA_ARRAY(&arena, struct av, parsed->param_count);
		for (uint32_t i = 0; i < parsed->param_count; i++)
			params[i] = given[(data[0] / 2 + i) % PARAMS];
		if (partiql_translate(parsed, params, parsed->param_count, &arena, &s, &err) == S_OK) {
			if (s.kind == PARTIQL_SELECT || s.kind == PARTIQL_EXISTS) {
				check_plan(&s, schema, items, &arena);
				check_select(&s, items, &arena);
			}
			if (s.kind != PARTIQL_SELECT)
				check_write(&s, schema, items, &arena);
		}
	}
	arena_done(&arena);
	return 0;
}
