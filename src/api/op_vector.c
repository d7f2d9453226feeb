/*
 * SearchVectors. The service answers it at an endpoint of its own, whose reader words some mistakes differently from
 * all other operations; here it is one operation like the others, with those words.
 */
#include "api/op_int.h"
#include "model/av_json.h"
#include "table/vector.h"

struct search_in {
	struct slice table_name, index_name;
	struct in_list vector;
	struct in_long top;
	struct slice condition, projection;
	struct in_params params;
	struct in_enum return_capacity;
};

static const struct field component_element = ELEMENT("member", SHAPE_VALUE, 0);
#define SEARCH(member, name, type, flags, ...) FIELD(struct search_in, member, name, type, flags, __VA_ARGS__)
static const struct field search_fields[] = {
    SEARCH(table_name, "TableName", SHAPE_TABLE, 0),
    SEARCH(index_name, "IndexName", SHAPE_STRING, 0),
    SEARCH(vector, "SearchVector", SHAPE_LIST, 0, .element = &component_element),
    SEARCH(top, "TopK", SHAPE_INT, 0),
    SEARCH(condition, "SearchConditionExpression", SHAPE_STRING, 0),
    SEARCH(projection, "ProjectionExpression", SHAPE_STRING, 0),
    SEARCH(params, "ExpressionAttributeNames", SHAPE_NAMES, 0),
    SEARCH(params, "ExpressionAttributeValues", SHAPE_VALUES, 0),
    SEARCH(return_capacity, "ReturnConsumedCapacity", SHAPE_ENUM, 0, .values = values_capacity),
    FIELD_END,
};
const struct shape shape_search_vectors = {"SearchVectorsInput", sizeof(struct search_in), search_fields};

/* One request on its way. */
struct searching {
	struct op_call *call;
	const struct search_in *in;
	const float *vector;
	const struct expr *projection;
	struct expr_equal *equals;
	size_t equal_count;
	struct table *table;
	struct table_search search;
};

/* ---- members that must be there ---- */

static void
place_of(struct slice body, const char *at, unsigned *line, unsigned *column)
{
	*line = 1;
	*column = 0;
	for (const char *p = body.data; p < at; p++) {
		++*column;
		if (*p == '\n') {
			++*line;
			*column = 0;
		}
	}
}

/* Where the member's null ends in the body; without such a member where the body's object ends. */
static const char *
find_null(struct op_call *call, const char *member, bool *ret_null)
{
	struct json_reader r;
	struct slice name;

	*ret_null = false;
	json_init(&r, call->body, call->arena);
	if (json_enter_object(&r))
		while (!*ret_null && json_next_member(&r, &name)) {
			*ret_null = slice_eq(name, slice_str(member)) && json_peek(&r) == JSON_NULL;
			json_skip(&r);
		}
	return r.at;
}

static enum status
check_present(struct op_call *call, const struct search_in *in, struct err *err)
{
	const struct {
		const char *name;
		bool set;
		const char *wanted;
	} members[] = {
	    {"TableName", in->table_name.data != NULL, "a string"},
	    {"IndexName", in->index_name.data != NULL, "a string"},
	    {"SearchVector", in->vector.set, "a sequence"},
	    {"TopK", in->top.set, "i32"},
	};
	unsigned line, column;
	const char *at;
	bool null;

	for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
		if (members[i].set)
			continue;
		at = find_null(call, members[i].name, &null);
		place_of(call->body, at, &line, &column);
		if (null)
			return err_set(err, S_SERIALIZATION, MSG_SEARCH_NULL, members[i].wanted, line, column);
		return err_set(err, S_VALIDATION, MSG_SEARCH_MISSING, members[i].name, line, column);
	}
	return S_OK;
}

/* ---- before the table is looked at ---- */

static enum status
check_length(const char *member, size_t length, int least, int most, struct err *err)
{
	if (length < (size_t)least)
		return err_set(err, S_VALIDATION, MSG_SEARCH_SHORT, member, least);
	if (length > (size_t)most)
		return err_set(err, S_VALIDATION, MSG_SEARCH_LONG, member, most);
	return S_OK;
}

static enum status
read_vector(struct searching *s, struct err *err)
{
	const struct in_list *list = &s->in->vector;
	const struct in_item *items = list->items;
	enum status status = check_length("SearchVector", list->total, 1, VECTOR_DIMENSIONS_MAX, err);
	float *vector;

	if (status != S_OK)
		return status;
	vector = ARENA_ARRAY(s->call->arena, float, list->count);
	for (uint32_t i = 0; i < list->count; i++)
		if (!av_exists(items[i].value) || av_type(items[i].value) != AV_N ||
		    !vector_component(av_bytes(items[i].value), &vector[i]))
			return err_set(err, S_VALIDATION, MSG_SEARCH_VALUES);
	s->vector = vector;
	return S_OK;
}

static enum status
check_top(const struct search_in *in, struct err *err)
{
	if (in->top.value < 1)
		return err_set(err, S_VALIDATION, MSG_SEARCH_TOP_LOW);
	if (in->top.value > VECTOR_TOP_MAX)
		return err_set(err, S_VALIDATION, MSG_SEARCH_TOP_HIGH, (long long)in->top.value, VECTOR_TOP_MAX);
	return S_OK;
}

static enum status
bind(struct searching *s, struct err *err)
{
	const struct search_in *in = s->in;
	const struct member expressions[] = {
	    {"ProjectionExpression", in->projection.data != NULL},
	    {"SearchConditionExpression", in->condition.data != NULL},
	};
	struct expr_params params = in->params.p;
	struct expr *condition = NULL, *projection = NULL;
	enum status status = request_check_mix(expressions, 2, NULL, 0, &in->params, err);

	if (status == S_OK)
		status = request_check_params(&in->params, true, err);
	if (status == S_OK && in->condition.data != NULL)
		status = expr_bind(EXPR_SEARCH, in->condition, &params, s->call->arena, &condition, err);
	if (status == S_OK && in->projection.data != NULL)
		status = expr_bind(EXPR_PROJECTION, in->projection, &params, s->call->arena, &projection, err);
	if (status == S_OK)
		status = expr_params_check_unused(&params, err);
	if (status == S_OK && condition != NULL)
		status = expr_search_equals(condition, s->call->arena, &s->equals, &s->equal_count, err);
	s->projection = projection;
	return status;
}

static enum status
prepare(struct searching *s, struct err *err)
{
	const struct search_in *in = s->in;
	enum status status = check_present(s->call, in, err);

	if (status == S_OK)
		status = check_length("IndexName", in->index_name.len, 3, 255, err);
	if (status == S_OK)
		status = read_vector(s, err);
	if (status == S_OK)
		status = check_top(in, err);
	return status == S_OK ? bind(s, err) : status;
}

/* ---- against the index ---- */

static enum status
check_value(const struct table_vector_element *element, struct av value, struct err *err)
{
	if (av_type(value) != element->attr.type)
		return err_set(err, S_VALIDATION, MSG_SEARCH_TYPE, SLICE_ARG(element->attr.name),
			       av_type_name(av_type(value)), av_type_name(element->attr.type));
	if (element->hash && element->attr.type != AV_N && av_bytes(value).len == 0)
		return err_set(err, S_VALIDATION, MSG_SEARCH_EMPTY_KEY,
			       element->attr.type == AV_S ? "string" : "binary", SLICE_ARG(element->attr.name));
	return S_OK;
}

static const struct table_vector_element *
element_of(const struct table_vector_spec *v, struct slice name)
{
	for (size_t i = 0; i < v->element_count; i++)
		if (slice_eq(v->elements[i].attr.name, name))
			return &v->elements[i];
	return NULL;
}

/* Which HASH value, and what its rows must have. */
static enum status
split_condition(struct searching *s, const struct table_vector_spec *v, struct err *err)
{
	struct table_vector_filter *filters = ARENA_ARRAY(s->call->arena, struct table_vector_filter, s->equal_count);
	bool has_hash = table_index_schema(s->search.index)->partition_count > 0;
	enum status status = S_OK;

	if (has_hash && s->in->condition.data == NULL)
		return err_set(err, S_VALIDATION, MSG_SEARCH_NO_CONDITION);
	for (size_t i = 0; i < s->equal_count; i++)
		if (element_of(v, s->equals[i].name) == NULL)
			return err_set(err, S_VALIDATION, MSG_SEARCH_FOREIGN, SLICE_ARG(s->equals[i].name));
	for (size_t i = 0; i < s->equal_count && status == S_OK; i++) {
		const struct expr_equal *equal = &s->equals[i];
		const struct table_vector_element *element = element_of(v, equal->name);

		if (element->hash)
			s->search.hash = equal->value;
		else
			filters[s->search.filter_count++] = (struct table_vector_filter){equal->name, equal->value};
		status = check_value(element, equal->value, err);
	}
	if (status == S_OK && has_hash && !av_exists(s->search.hash))
		return err_set(err, S_VALIDATION, MSG_SEARCH_NO_HASH);
	s->search.filters = filters;
	return status;
}

static enum status
check_against_index(struct searching *s, struct err *err)
{
	const struct table_vector_spec *v;
	enum status status = table_vector_index_for_search(s->table, s->in->index_name, &s->search.index, err);

	if (status != S_OK)
		return status;
	v = table_index_spec(s->search.index)->vector;
	if (s->in->vector.total != v->dimensions)
		return err_set(err, S_VALIDATION, MSG_SEARCH_DIMENSIONS, s->in->vector.total, v->dimensions);
	s->search.table = s->table;
	s->search.vector = s->vector;
	s->search.top = (uint32_t)s->in->top.value;
	s->search.projection = s->projection;
	return split_condition(s, v, err);
}

/* ---- the answer ---- */

static void
write_reply(struct op_call *call, const struct table_found *found, int detail)
{
	struct buf *out = call->out;
	const char *between = "";

	buf_put_byte(out, '{');
	if (detail == CAPACITY_TOTAL || detail == CAPACITY_INDEXES) {
		reply_name(out, &between, "ConsumedCapacity");
		buf_put_lit(out, "{\"VectorSearchRequestBytes\":");
		reply_units(out, 2 * found->bytes);
		buf_put_byte(out, '}');
	}
	reply_name(out, &between, "SearchResults");
	buf_put_byte(out, '[');
	for (uint32_t i = 0; i < found->count; i++) {
		buf_put_slice(out, i > 0 ? SLICE(",{\"Item\":") : SLICE("{\"Item\":"));
		item_write_json(out, found->hits[i].item);
		buf_put_lit(out, ",\"Score\":");
		json_put_double(out, found->hits[i].score);
		buf_put_byte(out, '}');
	}
	buf_put_lit(out, "]}");
}

enum status
op_search_vectors(struct op_call *call, const void *input, struct err *err)
{
	struct searching s = {.call = call, .in = input};
	struct table_io io = {.arena = call->arena, .may_block = call->may_block};
	struct table_found found = {0};
	enum status status = prepare(&s, err);

	if (status == S_OK)
		status = request_table(call, s.in->table_name, &s.table, err);
	if (status != S_OK)
		return status;
	status = check_against_index(&s, err);
	if (status == S_OK)
		status = table_search(&s.search, &io, &found, err);
	call->wait_seq = io.wait_seq;
	if (status == S_OK)
		write_reply(call, &found, s.in->return_capacity.value);
	table_release(s.table);
	return status;
}
