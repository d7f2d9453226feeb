/* What the clauses of a statement say, as far as the text and its parameters tell. */
#include "expr/partiql/partiql_int.h"

#include <stdlib.h>

struct partiql_columns {
	const struct column *columns;
	size_t count;
	const struct slice *attrs; /* top-level names, one a column as written */
	size_t attr_count;
	bool plain; /* each is a whole attribute */
};

struct column {
	const struct path_elem *elems;
	uint32_t len;
	uint32_t place;    /* in the list */
	struct slice name; /* the path from its last name on: b[0] of a.b[0] */
};

/* ---- FROM ---- */

static enum status
check_source_parts(struct pq_translator *t, const struct pq_node *n)
{
	if (n->type == N_NAME)
		return S_OK;
	if (n->type != N_PATH || n->first->type != N_NAME)
		return err_set(t->err, S_VALIDATION, "FROM clause may only contain a single table name");
	for (const struct pq_node *part = n->first->next; part != NULL; part = part->next)
		if (part->type != N_FIELD)
			return err_set(t->err, S_VALIDATION, "Unexpected path component%s", pq_position(t, part));
	if (n->count > 2)
		return err_set(t->err, S_VALIDATION, "A path may contain at most 2 components in the FROM clause");
	return S_OK;
}

static enum status
source(struct pq_translator *t, const struct pq_node *n, bool alias, struct partiql_statement *ret)
{
	enum status s;

	if (n->next != NULL)
		return err_set(t->err, S_VALIDATION, "Only select from a single table or index is supported.");
	if (alias)
		return err_set(t->err, S_VALIDATION, "Aliasing is not supported");
	s = check_source_parts(t, n);
	if (s != S_OK)
		return s;
	ret->table = n->type == N_NAME ? n->text : n->first->text;
	if (n->type == N_PATH)
		ret->index = n->last->text;
	if (ret->table.len == 0 || (n->type == N_PATH && ret->index.len == 0))
		return err_set(t->err, S_VALIDATION, "Path component cannot be an empty string");
	return S_OK;
}

/* ---- SELECT ---- */

static struct slice
column_name(struct pq_translator *t, const struct path_elem *elems, uint32_t len)
{
	uint32_t last = len - 1;
	struct slice name;

	while (elems[last].name.data == NULL)
		last--; /* the first is a name */
	name = elems[last].name;
	for (uint32_t i = last + 1; i < len; i++)
		name = arena_printf(t->arena, "%.*s[%u]", SLICE_ARG(name), elems[i].index);
	return name;
}

static int
column_cmp(const void *one, const void *two)
{
	const struct column *a = one, *b = two;
	int order = name_cmp(a->name, b->name);

	return order != 0 ? order : a->place < b->place ? -1 : a->place > b->place;
}

/* Of columns with one name the last one counts. */
static size_t
drop_repeated(struct column *columns, size_t count)
{
	size_t kept = 0;

	qsort(columns, count, sizeof *columns, column_cmp);
	for (size_t i = 0; i < count; i++)
		if (i + 1 == count || !slice_eq(columns[i].name, columns[i + 1].name))
			columns[kept++] = columns[i];
	return kept;
}

static int
attr_cmp(const void *one, const void *two)
{
	return name_cmp(*(const struct slice *)one, *(const struct slice *)two);
}

static const struct expr *
projection_of(struct pq_translator *t, const struct slice *attrs, size_t count)
{
	struct expr_builder *b = expr_build_new(EXPR_PROJECTION, t->arena);
	uint32_t *nodes = arena_alloc(t->arena, count * sizeof *nodes), distinct = 0;
	struct slice *sorted = arena_alloc(t->arena, count * sizeof *sorted);

	memcpy(sorted, attrs, count * sizeof *sorted);
	qsort(sorted, count, sizeof *sorted, attr_cmp);
	for (size_t i = 0; i < count; i++)
		if (i == 0 || !slice_eq(sorted[i - 1], sorted[i]))
			nodes[distinct++] = expr_build_attr(b, sorted[i]);
	return expr_build_view(b, expr_build_node(b, EXPR_LIST, nodes, distinct));
}

static enum status
columns_of(struct pq_translator *t, const struct pq_node *items, struct partiql_statement *ret)
{
	struct partiql_columns *c;
	struct column *columns;
	struct slice *attrs;
	size_t count = 0;

	if (items == NULL)
		return S_OK;
	for (const struct pq_node *n = items; n != NULL; n = n->next)
		count++;
	c = ARENA_NEW(t->arena, struct partiql_columns);
	columns = arena_alloc(t->arena, count * sizeof *columns);
	attrs = arena_alloc(t->arena, count * sizeof *attrs);
	c->plain = true;
	for (const struct pq_node *n = items; n != NULL; n = n->next) {
		struct path_elem *elems;
		uint32_t len;
		enum status s;

		if (n->type != N_NAME && n->type != N_PATH)
			return err_set(t->err, S_VALIDATION, "Unexpected path component%s", pq_position(t, n));
		s = pq_path(t, n, &elems, &len);
		if (s != S_OK)
			return s;
		c->plain &= len == 1;
		columns[c->attr_count] =
		    (struct column){elems, len, (uint32_t)c->attr_count, column_name(t, elems, len)};
		attrs[c->attr_count++] = elems[0].name;
	}
	c->count = drop_repeated(columns, count);
	c->columns = columns;
	c->attrs = attrs;
	ret->columns = c;
	ret->projection = projection_of(t, attrs, count);
	return S_OK;
}

static enum status
order_of(struct pq_translator *t, const struct pq_order *first, struct partiql_statement *ret)
{
	size_t count = 0;

	for (const struct pq_order *o = first; o != NULL; o = o->next) {
		if (o->value->type != N_NAME)
			return err_set(t->err, S_VALIDATION, "Unexpected path component%s", pq_position(t, o->value));
		count++;
	}
	ret->order = arena_alloc(t->arena, count * sizeof *ret->order);
	for (const struct pq_order *o = first; o != NULL; o = o->next)
		ret->order[ret->order_count++] = (struct partiql_order){o->value->text, o->descending};
	return S_OK;
}

static enum status
unsupported(struct pq_translator *t, const struct pq_token *tok)
{
	struct pq_node n = {.at = tok->at, .len = tok->len};
	char upper[16];
	size_t len = tok->len < sizeof upper ? tok->len : sizeof upper;

	for (size_t i = 0; i < len; i++)
		upper[i] = tok->text.data[i] >= 'a' && tok->text.data[i] <= 'z' ? (char)(tok->text.data[i] - 'a' + 'A')
										: tok->text.data[i];
	return err_set(t->err, S_VALIDATION, "Unsupported clause: %.*s%s", (int)len, upper, pq_position(t, &n));
}

static enum status
translate_select(struct pq_translator *t, const struct pq_select *in, struct partiql_statement *ret)
{
	enum status s = source(t, in->sources, in->alias, ret);

	if (s == S_OK && in->unsupported.word != W_NONE)
		s = unsupported(t, &in->unsupported);
	if (s == S_OK)
		s = columns_of(t, in->items, ret);
	if (s == S_OK && in->where != NULL)
		s = pq_where(t, in->where, &ret->where);
	return s == S_OK ? order_of(t, in->order, ret) : s;
}

/* ---- UPDATE ---- */

static bool
same_path(const struct pq_node *a, const struct pq_node *b)
{
	if (a->type != b->type || a->count != b->count)
		return false;
	if (a->type != N_PATH && a->type != N_INDEX)
		return slice_eq(a->text, b->text);
	a = a->first;
	b = b->first;
	for (; a != NULL; a = a->next, b = b->next)
		if (!same_path(a, b))
			return false;
	return true;
}

/* SET a = set_add(a, <<...>>) */
static enum status
set_function(struct pq_translator *t, const struct pq_action *a, bool add, struct av *ret)
{
	const struct pq_node *call = a->value, *first = call->first;
	const char *name = add ? "ADD" : "DELETE";
	enum av_type type;
	enum status s;

	if (call->count != 2)
		return err_set(t->err, S_VALIDATION, "SET_%s must have exactly two arguments%s", name,
			       pq_position(t, call));
	if ((first->type != N_NAME && first->type != N_PATH) || !same_path(first, a->path))
		return err_set(t->err, S_VALIDATION, "The first argument to SET_%s must equal the assignment value%s",
			       name, pq_position(t, call));
	if (call->last->type == N_BAG || call->last->type == N_PARAM) {
		s = pq_value(t, call->last, ret);
		if (s != S_OK)
			return s;
		type = av_type(*ret);
		if (type == AV_SS || type == AV_NS || type == AV_BS)
			return S_OK;
	}
	return err_set(t->err, S_VALIDATION, "The second argument to SET_%s must be a value with type SET%s", name,
		       pq_position(t, first));
}

static enum status
action_node(struct pq_translator *t, const struct pq_action *a, uint32_t *ret)
{
	bool call = a->word == W_SET && a->value->type == N_CALL,
	     add = call && slice_eq(a->value->text, SLICE("set_add"));
	enum expr_op op = a->word == W_REMOVE ? EXPR_REMOVE : EXPR_SET;
	struct path_elem *elems;
	uint32_t children[2], len;
	struct av set;
	enum status s = pq_path(t, a->path, &elems, &len);

	if (s != S_OK)
		return s;
	children[0] = expr_build_path(t->builder, elems, len);
	if (add || (call && slice_eq(a->value->text, SLICE("set_delete")))) {
		op = add ? EXPR_ADD : EXPR_DELETE;
		s = set_function(t, a, add, &set);
		if (s == S_OK)
			children[1] = expr_build_value(t->builder, set);
	} else if (op == EXPR_SET) {
		s = pq_update_value(t, a->value, &children[1]);
	}
	if (s == S_OK)
		*ret = expr_build_node(t->builder, op, children, op == EXPR_REMOVE ? 1 : 2);
	return s;
}

static enum status
translate_actions(struct pq_translator *t, const struct pq_action *first, struct partiql_statement *ret)
{
	uint32_t *nodes, count = 0;
	struct expr *e;

	for (const struct pq_action *a = first; a != NULL; a = a->next)
		count++;
	nodes = arena_alloc(t->arena, count * sizeof *nodes);
	count = 0;
	t->builder = expr_build_new(EXPR_UPDATE, t->arena);
	for (const struct pq_action *a = first; a != NULL; a = a->next) {
		enum status s = action_node(t, a, &nodes[count++]);

		if (s != S_OK)
			return s;
	}
	e = expr_build_view(t->builder, expr_build_node(t->builder, EXPR_LIST, nodes, count));
	ret->update = e;
	return pq_without_prefix(EXPR_UPDATE, expr_check_built(e, t->err), t->err);
}

/* ---- INSERT, UPDATE, DELETE ---- */

static enum status
translate_insert(struct pq_translator *t, const struct pq_change *c, struct partiql_statement *ret)
{
	enum status s;

	if (c->actions->path->type != N_NAME)
		return err_set(t->err, S_VALIDATION, "FROM clause may only contain a single table name");
	s = source(t, c->actions->path, false, ret);
	if (s == S_OK && c->actions->word == W_VALUES)
		s = err_set(t->err, S_VALIDATION, "Unsupported operation: Insert");
	if (s == S_OK && c->returning != PARTIQL_RETURNING_NONE)
		s = err_set(t->err, S_VALIDATION, "RETURNING is not supported in INSERT");
	return s == S_OK ? pq_item(t, c->actions->value, &ret->item) : s;
}

static enum status
check_returning(struct pq_translator *t, const struct pq_change *c)
{
	static const char *const texts[] = {[PARTIQL_ALL_NEW] = "ALL NEW",
					    [PARTIQL_MODIFIED_OLD] = "MODIFIED OLD",
					    [PARTIQL_MODIFIED_NEW] = "MODIFIED NEW"};

	if (!c->delete || c->returning <= PARTIQL_ALL_OLD)
		return S_OK;
	return err_set(t->err, S_VALIDATION,
		       "Invalid returning clause: RETURNING %s *. Only RETURNING ALL OLD * is allowed in DELETE "
		       "statements.",
		       texts[c->returning]);
}

static enum status
translate_change(struct pq_translator *t, const struct pq_change *c, struct partiql_statement *ret)
{
	enum status s;

	ret->returning = c->returning;
	if (ret->kind == PARTIQL_INSERT)
		return translate_insert(t, c, ret);
	s = source(t, c->sources, c->alias, ret);
	if (s == S_OK && ret->index.data != NULL)
		s = err_set(t->err, S_VALIDATION, "This operation is not supported on an index");
	if (s == S_OK)
		s = check_returning(t, c);
	if (s == S_OK && ret->kind == PARTIQL_UPDATE)
		s = translate_actions(t, c->actions, ret);
	if (s == S_OK && c->where != NULL)
		s = pq_where(t, c->where, &ret->where);
	return s;
}

enum status
partiql_translate(const struct partiql *p, const struct av *params, size_t param_count, struct arena *arena,
		  struct partiql_statement *ret, struct err *err)
{
	struct pq_translator t = {.p = p, .params = params, .arena = arena, .err = err};

	*ret = (struct partiql_statement){.kind = p->kind};
	if (param_count != p->param_count)
		return err_set(err, S_VALIDATION, "Number of parameters in request and statement don't match.");
	return p->root->type == N_SELECT ? translate_select(&t, p->root->select, ret)
					 : translate_change(&t, p->root->change, ret);
}

/* ---- columns of items ---- */

const struct slice *
partiql_column_attrs(const struct partiql_columns *columns, size_t *ret_count)
{
	*ret_count = columns->attr_count;
	return columns->attrs;
}

struct av
partiql_select_columns(const struct partiql_columns *columns, struct av item, struct arena *arena)
{
	struct buf *out;
	uint32_t count = 0;
	struct av selected;
	size_t mark;

	if (columns->plain)
		return item; /* the projection did it */
	out = scratch_take();
	mark = av_open(out, TAG_M);
	for (size_t i = 0; i < columns->count; i++) {
		const struct column *c = &columns->columns[i];
		struct av v = path_find(item, c->elems, c->len);

		if (!av_exists(v))
			continue;
		av_put_name(out, c->name);
		av_put_value(out, v);
		count++;
	}
	(void)av_close_map(out, mark, count, NULL); /* the names differ */
	selected = av_of_buf(arena, out, 0);
	scratch_give(out);
	return selected;
}

struct av
partiql_modified(const struct expr *update, struct av item, struct arena *arena)
{
	return av_exists(item) ? expr_project(update, item, arena) : AV_NONE;
}
