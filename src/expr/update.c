/*
 * Updates, in three passes: the right-hand sides of SET are computed from the old item; each action is decided in the
 * text's order, which is where errors come from; the new item is written, copying what no action touches.
 */
#include "expr/expr_int.h"
#include "model/number.h"

/* Encoded bytes that certainly are more than an item may have by DynamoDB's rule (the form takes less than four times
 * the counted bytes). What is above is refused early, so that a short text cannot make values of gigabytes. */
#define VALUES_BYTES_MAX (4u * ITEM_SIZE_MAX + 65536)

enum decision { KEEP, PUT, DROP };

struct change {
	const struct path_elem *elems;
	uint32_t len;
	enum decision decision;
	struct av head;  /* the top-level attribute the path begins with, as it was; AV_NONE: none */
	struct av value; /* what is there afterwards; AV_NONE: nothing */
};

struct updater {
	const struct expr *e;
	struct av base; /* the old item, or the key of one to be made */
	struct arena *arena;
	struct err *err;
	struct change *changes; /* by place in the text */
	size_t made_bytes;
};

/* ---- values ---- */

static enum status
fail_type(struct updater *u)
{
	return err_set(u->err, S_VALIDATION, "An operand in the update expression has an incorrect data type");
}

/* The existing value is of another type than what is added or deleted. */
static enum status
fail_mismatch(struct updater *u)
{
	if (u->e->built)
		return err_set(u->err, S_VALIDATION, "Type mismatch for attribute to update");
	return fail_type(u);
}

static enum status
fail_path(struct updater *u)
{
	return err_set(u->err, S_VALIDATION,
		       "The document path provided in the update expression is invalid for update");
}

static enum status
fail_size(struct updater *u)
{
	return err_set(u->err, S_VALIDATION, "Item size to update has exceeded the maximum allowed size");
}

/* A buf for a value of about so many bytes, to be ended by finish(); NULL when the item becomes too large. */
static struct buf *
begin(struct updater *u, size_t bytes)
{
	u->made_bytes += bytes;
	return u->made_bytes > VALUES_BYTES_MAX ? NULL : scratch_take();
}

static struct av
finish(struct updater *u, struct buf *out)
{
	struct av v = av_of_buf(u->arena, out, 0);

	scratch_give(out);
	return v;
}

/* What av_iter() will walk, as bytes. */
static struct slice
body_of(struct av container)
{
	struct av_iter it = av_iter(container);

	return slice_of(it.at, (size_t)(it.end - it.at));
}

static enum status
arithmetic(struct updater *u, enum expr_op op, struct av a, struct av b, struct av *ret)
{
	struct number x, y, result;
	uint8_t encoded[NUMBER_ENCODED_MAX];
	enum status s;

	if (av_type(a) != AV_N || av_type(b) != AV_N)
		return fail_type(u);
	s = number_decode(av_bytes(a), &x);
	if (s == S_OK)
		s = number_decode(av_bytes(b), &y);
	if (s != S_OK)
		return err_set(u->err, s, "a stored number cannot be read");
	s = op == EXPR_MINUS ? number_sub(&x, &y, &result, u->err) : number_add(&x, &y, &result, u->err);
	if (s == S_OK)
		*ret = av_number(u->arena, slice_of(encoded, number_encode(&result, encoded)));
	return s;
}

static enum status
list_append(struct updater *u, struct av a, struct av b, struct av *ret)
{
	struct buf *out;
	size_t mark;

	if (av_type(a) != AV_L || av_type(b) != AV_L)
		return fail_type(u);
	out = begin(u, (size_t)a.len + b.len);
	if (out == NULL)
		return fail_size(u);
	mark = av_open(out, TAG_L);
	buf_put_slice(out, body_of(a));
	buf_put_slice(out, body_of(b));
	av_close_list(out, mark, av_count(a) + av_count(b));
	*ret = finish(u, out);
	return S_OK;
}

static enum status compute(struct updater *u, const struct node *n, struct av *ret);

static enum status
compute_two(struct updater *u, const struct node *n, struct av *ret)
{
	struct av a, b;
	enum status s = compute(u, expr_child(u->e, n, 0), &a);

	if (s == S_OK)
		s = compute(u, expr_child(u->e, n, 1), &b);
	if (s != S_OK)
		return s;
	if (n->op == EXPR_LIST_APPEND)
		return list_append(u, a, b, ret);
	return arithmetic(u, (enum expr_op)n->op, a, b, ret);
}

/* Depth is bounded by the parser. */
static enum status
compute(struct updater *u, const struct node *n, struct av *ret)
{
	const struct node *path = n;

	switch (n->op) {
	case EXPR_VALUE:
		*ret = u->e->values[n->first];
		return S_OK;
	case EXPR_PATH:
	case EXPR_IF_NOT_EXISTS:
		if (n->op == EXPR_IF_NOT_EXISTS)
			path = expr_child(u->e, n, 0);
		*ret = path_find(u->base, &u->e->elems[path->first], path->count);
		if (av_exists(*ret))
			return S_OK;
		if (n->op == EXPR_IF_NOT_EXISTS)
			return compute(u, expr_child(u->e, n, 1), ret);
		return err_set(u->err, S_VALIDATION,
			       "The provided expression refers to an attribute that does not exist in the item");
	default:
		return compute_two(u, n, ret);
	}
}

/* ---- sets ---- */

/*
 * Merge two ascending sets: the union for ADD, a without b for DELETE. *ret is AV_NONE when nothing is left.
 */
static enum status
merge_sets(struct updater *u, struct av a, struct av b, bool unite, struct av *ret)
{
	struct av_iter left = av_iter(a), right = av_iter(b);
	bool more_left = av_next(&left), more_right = av_next(&right);
	uint32_t count = 0;
	struct buf *out = begin(u, (size_t)a.len + (unite ? b.len : 0));
	size_t mark;
	enum status s;

	if (out == NULL)
		return fail_size(u);
	mark = av_open(out, (enum av_tag)a.data[0]);
	while (more_left || (unite && more_right)) {
		int order = !more_right ? -1 : !more_left ? 1 : slice_cmp(left.element, right.element);

		if (order < 0 || (order == 0 && unite)) {
			av_put_element(out, left.element);
			count++;
		} else if (order > 0 && unite) {
			av_put_element(out, right.element);
			count++;
		}
		if (order <= 0)
			more_left = av_next(&left);
		if (order >= 0)
			more_right = av_next(&right);
	}
	s = av_close_set(out, mark, count, &(struct slice){0}); /* distinct: the merge saw to it */
	*ret = finish(u, out);
	if (count == 0)
		*ret = AV_NONE;
	return s;
}

/* ---- deciding ---- */

static enum status
decide_add(struct updater *u, struct change *c, struct av existing, struct av operand)
{
	c->decision = PUT;
	c->value = operand;
	if (!av_exists(existing))
		return S_OK;
	if (av_type(existing) != av_type(operand))
		return fail_mismatch(u);
	if (av_type(operand) == AV_N)
		return arithmetic(u, EXPR_PLUS, existing, operand, &c->value);
	if (av_type(operand) == AV_L)
		return list_append(u, existing, operand, &c->value); /* legacy ADD only */
	return merge_sets(u, existing, operand, true, &c->value);
}

static enum status
decide_delete(struct updater *u, struct change *c, struct av existing, struct av operand)
{
	enum status s;

	c->decision = KEEP;
	c->value = existing;
	if (!av_exists(existing))
		return S_OK;
	if (av_type(existing) != av_type(operand))
		return fail_mismatch(u);
	s = merge_sets(u, existing, operand, false, &c->value);
	c->decision = av_exists(c->value) ? PUT : DROP;
	return s;
}

static enum status
decide(struct updater *u, const struct node *action, struct change *c)
{
	const struct node *path = expr_child(u->e, action, 0);
	const struct path_elem *last;
	struct av parent, existing, operand;

	c->elems = &u->e->elems[path->first];
	c->len = path->count;
	last = &c->elems[c->len - 1];
	parent = c->len == 1 ? u->base : path_find(c->head, c->elems + 1, c->len - 2);
	if (!av_exists(parent) || av_type(parent) != (last->name.data != NULL ? AV_M : AV_L))
		return fail_path(u);
	if (action->op == EXPR_SET)
		return S_OK; /* its value is computed already */
	existing = c->len == 1 ? c->head : path_find(parent, last, 1);
	if (action->op == EXPR_REMOVE) {
		c->decision = DROP;
		return S_OK;
	}
	operand = u->e->values[expr_child(u->e, action, 1)->first];
	return action->op == EXPR_ADD ? decide_add(u, c, existing, operand) : decide_delete(u, c, existing, operand);
}

static enum status
check_depth(struct updater *u, const struct change *c)
{
	/* a value at path a.b lies in one container of the attribute's own */
	if (c->decision != PUT || c->len - 1 + (uint32_t)av_depth(c->value) < AV_DEPTH_MAX)
		return S_OK;
	return err_set(
	    u->err, S_VALIDATION,
	    "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond "
	    "supported limit");
}

/* Paths and the item's entries ascend by name: one walk finds where each path begins, however many there are. */
static void
find_heads(struct updater *u)
{
	struct av_iter it = av_iter(u->base);
	bool more = av_next(&it);

	for (uint32_t i = 0; i < u->e->path_count; i++) {
		const struct path_ref *path = &u->e->paths[i];
		int order = 1;

		while (more && (order = name_cmp(it.name, path->elems[0].name)) < 0)
			more = av_next(&it);
		u->changes[path->order].head = more && order == 0 ? it.value : AV_NONE;
	}
}

static enum status
decide_all(struct updater *u)
{
	const struct node *root = expr_node(u->e, u->e->root);
	size_t bytes = 0;
	enum status s = S_OK;

	find_heads(u);
	for (uint32_t i = 0; i < root->count && s == S_OK; i++) {
		const struct node *action = expr_child(u->e, root, i);

		u->changes[i].decision = PUT;
		if (action->op == EXPR_SET)
			s = compute(u, expr_child(u->e, action, 1), &u->changes[i].value);
	}
	for (uint32_t i = 0; i < root->count && s == S_OK; i++) {
		s = decide(u, expr_child(u->e, root, i), &u->changes[i]);
		if (s == S_OK)
			s = check_depth(u, &u->changes[i]);
		bytes += u->changes[i].decision == PUT ? u->changes[i].value.len : 0;
		if (s == S_OK && bytes > VALUES_BYTES_MAX)
			s = fail_size(u);
	}
	return s;
}

/* ---- writing the new item ---- */

/* Changes, ascending by path, that share their elements above `depth`. */
struct span {
	const struct change *changes;
	uint32_t count;
	uint32_t depth;
};

static struct span
next_group(const struct span *all, uint32_t first)
{
	struct span g = {&all->changes[first], 1, all->depth};

	while (first + g.count < all->count &&
	       path_elem_cmp(&g.changes[g.count].elems[g.depth], &g.changes[0].elems[g.depth]) == 0)
		g.count++;
	return g;
}

static bool
ends_here(const struct span *g)
{
	return g->changes[0].len == g->depth + 1;
}

static const struct path_elem *
elem_of(const struct span *g)
{
	return &g->changes[0].elems[g->depth];
}

static void write_container(struct buf *out, struct av old, const struct span *all);

/* The entry's value after the group's changes; `old` exists unless the group is a PUT. */
static void
write_value(struct buf *out, struct av old, const struct span *g)
{
	struct span below = {g->changes, g->count, g->depth + 1};

	if (!ends_here(g))
		write_container(out, old, &below);
	else
		av_put_value(out, g->changes[0].value);
}

static void
put_range(struct buf *out, const uint8_t *from, const uint8_t *to)
{
	buf_put(out, from, (size_t)(to - from));
}

/* Entries between changes are copied in runs; behind the last change nothing is even looked at. */
static uint32_t
write_map(struct buf *out, struct av old, const struct span *all)
{
	struct av_iter it = av_iter(old);
	const uint8_t *copied = it.at, *entry = it.at;
	uint32_t count = av_count(old);
	bool more = av_next(&it);

	for (uint32_t i = 0; i < all->count;) {
		struct span g = next_group(all, i);
		enum decision decision = ends_here(&g) ? g.changes[0].decision : PUT;
		int order = 1;

		while (more && (order = name_cmp(it.name, elem_of(&g)->name)) < 0) {
			entry = it.at;
			more = av_next(&it);
		}
		if (!more)
			order = 1;
		i += g.count;
		if (decision == KEEP || (decision == DROP && order > 0))
			continue;
		put_range(out, copied, entry);
		copied = entry;
		if (decision == PUT) {
			av_put_name(out, elem_of(&g)->name);
			write_value(out, it.value, &g);
		}
		count += (decision == PUT) - (order == 0); /* one more, one less, or the same */
		if (order == 0) {
			copied = entry = it.at;
			more = av_next(&it);
		}
	}
	put_range(out, copied, it.end);
	return count;
}

static uint32_t
write_list(struct buf *out, struct av old, const struct span *all)
{
	struct av_iter it = av_iter(old);
	const uint8_t *copied = it.at, *entry = it.at;
	uint32_t count = av_count(old), at = 0;
	bool more = av_next(&it);

	for (uint32_t i = 0; i < all->count;) {
		struct span g = next_group(all, i);
		enum decision decision = ends_here(&g) ? g.changes[0].decision : PUT;

		for (; more && at < elem_of(&g)->index; at++) {
			entry = it.at;
			more = av_next(&it);
		}
		i += g.count;
		if (decision == KEEP || (decision == DROP && !more))
			continue;
		put_range(out, copied, entry);
		copied = entry;
		if (decision == PUT)
			write_value(out, it.value, &g); /* beyond the end: appended */
		count += (decision == PUT) - more;
		if (more) {
			copied = entry = it.at;
			more = av_next(&it);
			at++;
		}
	}
	put_range(out, copied, it.end);
	return count;
}

static void
write_container(struct buf *out, struct av old, const struct span *all)
{
	bool is_map = elem_of(all)->name.data != NULL;
	size_t mark = av_open(out, is_map ? TAG_M : TAG_L);

	if (is_map)
		av_close_map_sorted(out, mark, write_map(out, old, all));
	else
		av_close_list(out, mark, write_list(out, old, all));
}

/* ---- */

static bool
puts_anything(const struct updater *u)
{
	for (uint32_t i = 0; i < u->e->path_count; i++)
		if (u->changes[i].decision == PUT)
			return true;
	return false;
}

static struct av
keep(struct buf *out, struct arena *arena)
{
	struct av v = av_of_buf(arena, out, 0);

	out->len = 0;
	return v;
}

enum status
expr_update(const struct expr *e, struct av key, struct av old, struct arena *arena, struct expr_updated *ret,
	    struct err *err)
{
	struct updater u = {.e = e, .base = av_exists(old) ? old : key, .arena = arena, .err = err};
	struct change *sorted;
	struct span all;
	struct buf *out;
	size_t mark;
	enum status s;

	u.changes = ARENA_ARRAY(arena, struct change, e->path_count);
	s = decide_all(&u);
	if (s != S_OK)
		return s;
	if (!av_exists(old) && !puts_anything(&u)) { /* only removals: they do not make an item */
		out = scratch_take();
		mark = av_open(out, TAG_M);
		av_close_map_sorted(out, mark, 0);
		ret->new_item = AV_NONE;
		ret->updated_old = ret->updated_new = keep(out, arena);
		scratch_give(out);
		return S_OK;
	}
	sorted = arena_alloc(arena, e->path_count * sizeof *sorted);
	for (uint32_t i = 0; i < e->path_count; i++)
		sorted[i] = u.changes[e->paths[i].order];
	all = (struct span){sorted, e->path_count, 0};
	out = scratch_take();
	write_container(out, u.base, &all);
	ret->new_item = keep(out, arena);
	paths_project(out, old, e->paths, e->path_count);
	ret->updated_old = keep(out, arena);
	/* what the paths lead to now: behind an index beyond a list's end that may be another action's value, or none
	 */
	paths_project(out, ret->new_item, e->paths, e->path_count);
	ret->updated_new = keep(out, arena);
	scratch_give(out);
	return S_OK;
}

/* ---- checks against a schema ---- */

static bool
touches(const struct expr *e, struct slice name)
{
	for (uint32_t i = 0; i < e->path_count; i++)
		if (slice_eq(e->paths[i].elems[0].name, name))
			return true;
	return false;
}

static enum status
check_key_attr(const struct expr *e, const struct key_attr *attr, struct err *err)
{
	if (!touches(e, attr->name))
		return S_OK;
	return err_set(err, S_VALIDATION,
		       "One or more parameter values were invalid: Cannot update attribute %.*s. This attribute is "
		       "part of the key",
		       SLICE_ARG(attr->name));
}

enum status
expr_update_check_keys(const struct expr *e, const struct key_schema *schema, struct err *err)
{
	enum status s = S_OK;

	for (uint8_t i = 0; i < schema->partition_count && s == S_OK; i++)
		s = check_key_attr(e, &schema->partition[i], err);
	for (uint8_t i = 0; i < schema->sort_count && s == S_OK; i++)
		s = check_key_attr(e, &schema->sort[i], err);
	return s;
}

static bool
known_type(const struct expr *e, const struct node *n, enum av_type *ret)
{
	switch (n->op) {
	case EXPR_VALUE:
		*ret = av_type(e->values[n->first]);
		return true;
	case EXPR_PLUS:
	case EXPR_MINUS:
		*ret = AV_N;
		return true;
	case EXPR_LIST_APPEND:
		*ret = AV_L;
		return true;
	default:
		return false;
	}
}

bool
expr_update_type(const struct expr *e, struct slice name, enum av_type *ret)
{
	const struct node *root = expr_node(e, e->root);

	for (uint32_t i = 0; i < root->count; i++) {
		const struct node *action = expr_child(e, root, i), *path = expr_child(e, action, 0);

		if (path->count == 1 && action->op != EXPR_REMOVE && slice_eq(expr_path_head(e, path), name))
			return known_type(e, expr_child(e, action, 1), ret);
	}
	return false;
}
