/* SELECT: a plan's reads, one after the other, until a page is full. */
#include "api/partiql.h"

#define SCAN_INLINE_MAX  100 /* items; a longer scan goes to the pool at once */
#define READS_INLINE_MAX 4
#define STEP_BYTES       4096 /* of a half unit or two */

/* One SELECT on its way. */
struct select {
	struct op_call *call;
	struct statement *st;
	struct table_io *io;
	const struct table_index *index;
	const struct key_schema *schema;
	struct partiql_plan plan;
	uint32_t left; /* items that may still be looked at; 0: no limit */
	size_t room;
	bool consistent;
};

/* ---- checks ---- */

static bool
is_projected(void *context, struct slice name)
{
	const struct select *x = context;
	const struct table_index_spec *spec = table_index_spec(x->index);

	if (spec->projection == PROJECT_ALL || key_has_attr(x->schema, name) ||
	    key_has_attr(table_schema(x->st->table), name))
		return true;
	for (size_t i = 0; i < spec->include_count && spec->projection == PROJECT_INCLUDE; i++)
		if (slice_eq(spec->include[i], name))
			return true;
	return false;
}

static struct slice
join(struct select *x, const struct slice *names, size_t count)
{
	struct buf text = {0};
	struct slice copy;

	for (size_t i = 0; i < count && text.len < ERR_MESSAGE_MAX; i++)
		buf_printf(&text, "%s%.*s", i > 0 ? ", " : "", SLICE_ARG(names[i]));
	copy = arena_dup(x->call->arena, buf_slice(&text));
	buf_done(&text);
	return copy;
}

/* A global index cannot give what it does not hold; a local one reads that from the table. */
static enum status
check_columns(struct select *x, struct err *err)
{
	const struct table_index_spec *spec = table_index_spec(x->index);
	const struct slice *attrs;
	struct slice *missing, names;
	size_t count, missing_count = 0;

	if (!spec->global || x->st->s.columns == NULL)
		return S_OK;
	attrs = partiql_column_attrs(x->st->s.columns, &count);
	missing = arena_alloc(x->call->arena, count * sizeof *missing);
	for (size_t i = 0; i < count; i++)
		if (!is_projected(x, attrs[i]))
			missing[missing_count++] = attrs[i];
	if (missing_count == 0)
		return S_OK;
	names = join(x, missing, missing_count);
	return err_set(err, S_VALIDATION, MSG_GLOBAL_NOT_PROJECTED, SLICE_ARG(spec->name), SLICE_ARG(names));
}

static enum status
check_filters(struct select *x, struct err *err)
{
	struct slice *missing, names, name = table_index_spec(x->index)->name;
	size_t count;

	partiql_plan_unprojected(&x->plan, is_projected, x, x->call->arena, &missing, &count);
	if (count == 0)
		return S_OK;
	names = join(x, missing, count);
	return err_set(err, S_VALIDATION, MSG_FILTER_NOT_PROJECTED, SLICE_ARG(name), SLICE_ARG(names));
}

static enum status
find_index(struct select *x, struct err *err)
{
	struct slice name = x->st->s.index;
	enum status s;

	x->schema = table_schema(x->st->table);
	if (name.data == NULL)
		return S_OK;
	s = table_index_for_read(x->st->table, name, &x->index, err);
	if (s == S_VALIDATION && slice_starts(slice_str(err->message), SLICE(MSG_NO_INDEX)))
		return err_set(err, S_VALIDATION, MSG_NO_INDEX);
	if (s != S_OK)
		return s;
	x->schema = table_index_schema(x->index);
	if (x->consistent && table_index_spec(x->index)->global)
		return err_set(err, S_VALIDATION, MSG_STRONG_GLOBAL);
	return S_OK;
}

static enum status
prepare(struct select *x, struct err *err)
{
	struct arena *arena = x->call->arena;
	enum status s = find_index(x, err);

	if (s == S_OK && x->index != NULL)
		s = check_columns(x, err);
	if (s == S_OK)
		s = partiql_plan(&x->st->s, x->schema, true, arena, &x->plan, err);
	if (s == S_OK && x->index != NULL)
		s = check_filters(x, err);
	return s == S_OK ? partiql_plan_order(&x->st->s, x->schema, &x->plan, err) : s;
}

/* ---- where it goes on ---- */

static struct av
pick_key(struct select *x, const struct key_schema *schema, struct av key)
{
	struct slice names[2 * KEY_ATTRS_MAX];
	size_t count = 0;

	for (uint8_t i = 0; i < schema->partition_count; i++)
		names[count++] = schema->partition[i].name;
	for (uint8_t i = 0; i < schema->sort_count; i++)
		names[count++] = schema->sort[i].name;
	return item_pick(x->call->arena, key, names, count);
}

/* What table_read_page() takes for granted of a starting key. */
static bool
fits(struct select *x, struct av key)
{
	const struct key_schema *table = table_schema(x->st->table);
	struct err why;

	return key_check(table, pick_key(x, table, key), &why) == S_OK &&
	       (x->index == NULL || key_check(x->schema, pick_key(x, x->schema, key), &why) == S_OK);
}

static enum status
start(struct select *x, uint32_t *ret_read, struct av *ret_key, struct err *err)
{
	size_t reads = x->plan.keyed ? x->plan.read_count : 1;
	enum status s = token_read(x->call, x->st, ret_read, ret_key, err);

	if (s != S_OK)
		return s;
	if ((*ret_read > 0 && *ret_read >= reads) || (av_exists(*ret_key) && !fits(x, *ret_key)))
		return err_set(err, S_VALIDATION, MSG_NEXT_TOKEN);
	return S_OK;
}

/* ---- reading ---- */

struct av
statement_columns(const struct statement *st, struct av item, struct arena *arena)
{
	return st->s.columns != NULL ? partiql_select_columns(st->s.columns, item, arena) : item;
}

static void
add_items(struct select *x, struct selected *ret, const struct av *items, uint32_t count)
{
	struct arena *arena = x->call->arena;

	if (ret->count + count > x->room) {
		struct av *more;

		x->room = 2 * (ret->count + count);
		more = arena_alloc(arena, x->room * sizeof *more);
		if (ret->count > 0)
			memcpy(more, ret->items, ret->count * sizeof *more);
		ret->items = more;
	}
	for (uint32_t i = 0; i < count; i++)
		ret->items[ret->count++] = statement_columns(x->st, items[i], arena);
}

/* A whole key of the table: one point read. */
static enum status
read_item(struct select *x, const struct partiql_read *read, struct selected *ret, uint32_t *ret_scanned,
	  struct err *err)
{
	struct table_charge cost = {.table = x->st->table, .key = read->key};
	struct av item;
	enum status s = key_check(x->schema, read->key, err);

	if (s == S_OK)
		s = table_get(x->st->table, read->key, x->io, &item, err);
	if (s == S_OK) {
		cost.half_units = capacity_half_reads(av_exists(item) ? item_size(item) : 0, x->consistent);
		s = table_charge_reads(&cost, 1, NULL, err);
	}
	if (s != S_OK)
		return s;
	ret->units[0].half_read += (uint32_t)cost.half_units;
	*ret_scanned = av_exists(item);
	if (!av_exists(item) || (read->filter != NULL && !expr_test(read->filter, item)))
		return S_OK;
	if (x->st->s.projection != NULL)
		item = expr_project(x->st->s.projection, item, x->call->arena);
	add_items(x, ret, &item, 1);
	return S_OK;
}

static enum status
read_range(struct select *x, const struct partiql_read *range, struct av start_key, struct selected *ret,
	   uint32_t *ret_scanned, struct err *err)
{
	const struct expr *projection = x->st->s.projection;
	struct table_read read = {
	    .table = x->st->table,
	    .index = x->index,
	    .range = range != NULL ? &range->range : NULL,
	    .total_segments = 1,
	    .backward = x->plan.backward,
	    .consistent = x->consistent,
	    .start_key = start_key,
	    .limit = x->left,
	    .filter = range != NULL ? range->filter : x->plan.filter,
	    .projection = projection,
	    .select = projection != NULL ? SELECT_SPECIFIC
		      : x->index != NULL ? SELECT_PROJECTED
					 : SELECT_ALL,
	};
	struct table_page page = {0};
	enum status s = table_read_page(&read, x->io, &page, err);
	const struct table_charge cost[] = {
	    {.table = x->st->table, .index = x->index, .half_units = page.units.half_read, .range = read.range},
	    {.table = x->st->table, .half_units = page.table_units.half_read, .range = read.range},
	};

	if (s == S_OK)
		s = table_charge_reads(cost, 2, NULL, err);
	if (s != S_OK)
		return s;
	ret->units[0].half_read += page.units.half_read;
	ret->units[1].half_read += page.table_units.half_read;
	ret->last_key = page.last_key;
	*ret_scanned = page.scanned;
	add_items(x, ret, page.items, page.count);
	return S_OK;
}

static bool
is_full(const struct select *x, const struct selected *page, bool limited)
{
	uint64_t steps = (uint64_t)page->units[0].half_read + page->units[1].half_read;

	if (limited && x->left == 0)
		return true;
	return steps * STEP_BYTES / (x->consistent ? 2 : 1) >= PAGE_BYTES_MAX;
}

static enum status
read_all(struct select *x, uint32_t read, struct av start_key, struct selected *ret, struct err *err)
{
	bool limited = x->left > 0;
	size_t reads = x->plan.keyed ? x->plan.read_count : 1;

	for (; read < reads; read++, start_key = AV_NONE) {
		const struct partiql_read *range = x->plan.keyed ? &x->plan.reads[read] : NULL;
		uint32_t scanned;
		enum status s;

		ret->last_key = AV_NONE;
		if (x->index == NULL && range != NULL && av_exists(range->key))
			s = read_item(x, range, ret, &scanned, err);
		else
			s = read_range(x, range, start_key, ret, &scanned, err);
		if (s != S_OK)
			return s;
		x->left = limited ? x->left - scanned : 0;
		ret->more = av_exists(ret->last_key);
		ret->next_read = read;
		if (ret->more)
			return S_OK;
		if (read + 1 < reads && is_full(x, ret, limited)) {
			ret->more = true;
			ret->next_read = read + 1;
			return S_OK;
		}
	}
	return S_OK;
}

/* What may take long is done where it may block, from the start. */
static bool
is_long(const struct select *x)
{
	const struct in_long *limit = &x->st->in->limit;

	if (x->plan.keyed)
		return x->plan.read_count > READS_INLINE_MAX;
	return !limit->set || limit->value > SCAN_INLINE_MAX;
}

enum status
statement_select(struct op_call *call, struct statement *st, struct table_io *io, struct selected *ret, struct err *err)
{
	struct select x = {.call = call,
			   .st = st,
			   .io = io,
			   .left = (uint32_t)st->in->limit.value,
			   .consistent = st->in->consistent == IN_TRUE};
	uint32_t read;
	struct av key;
	enum status s = prepare(&x, err);

	*ret = (struct selected){0};
	if (s == S_OK)
		s = start(&x, &read, &key, err);
	if (s != S_OK)
		return s;
	if (!io->may_block && is_long(&x))
		return S_WOULD_BLOCK;
	ret->units[0].index = x.index;
	return read_all(&x, read, key, ret, err);
}
