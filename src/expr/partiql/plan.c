/*
 * WHERE against a key schema.
 *
 * A condition is taken apart into branches: what an item must fulfil of one row of alternatives. When each branch ties
 * the partition key to one value, each is a Query and the rest of it that Query's filter; else the whole is a scan. No
 * two branches may reach the same items, which is refused, so their results together hold nothing twice. Conditions on
 * the sort key that are no range (<>, NOT) are the exception: they are taken to reach the whole item collection, and
 * then all branches of that collection are read at once with the whole condition as the filter.
 */
#include "expr/partiql/partiql_int.h"
#include "model/number.h"

#include <stdlib.h>

#define BRANCHES_MAX 1000

/* A list of which lists of other branches may be the tail; the newest first. */
struct cell {
	const struct cell *next;
	union {
		struct key_part {
			bool sort;
			uint8_t op;
			struct av low, high;
			uint32_t node;
		} part;
		struct {
			uint32_t node;
			bool inexact; /* about the sort key, and no range */
		} filter;
	};
};

struct branch {
	const struct cell *parts, *filters;
};

struct branches {
	struct branch *items;
	uint32_t count;
};

struct end {
	struct slice bytes; /* data is NULL: open */
	bool inclusive;
};

/* What a branch is as a read. */
struct reach {
	bool tied, empty, inexact;
	struct av partition;
	struct end low, high;
	struct key_range range;
	uint32_t *filters; /* nodes */
	uint32_t filter_count;
};

struct planner {
	struct partiql_where *where;
	const struct key_schema *schema;
	bool check_types, too_many;
	struct arena *arena;
	struct err *err;
	enum status status;
};

/* ---- key attributes ---- */

static bool
ties_partition(const struct planner *p, const struct pq_cond *c)
{
	return (c->op == EXPR_EQ || c->op == EXPR_IN) && pq_is_attr(pq_partition_attr(p->schema), c->attr);
}

static bool
is_key_condition(const struct planner *p, const struct pq_cond *c)
{
	if (ties_partition(p, c))
		return true;
	if (!pq_is_attr(pq_sort_attr(p->schema), c->attr))
		return false;
	switch (c->op) {
	case EXPR_EQ:
	case EXPR_LT:
	case EXPR_LE:
	case EXPR_GT:
	case EXPR_GE:
	case EXPR_BETWEEN:
	case EXPR_BEGINS_WITH:
	case EXPR_IN:
		return true;
	default:
		return false;
	}
}

static bool
names_key(const struct planner *p, const struct pq_cond *c)
{
	if (c->op == EXPR_NOT)
		return false;
	if (c->first == NULL)
		return is_key_condition(p, c);
	for (const struct pq_cond *child = c->first; child != NULL; child = child->next)
		if (names_key(p, child))
			return true;
	return false;
}

/* Does every alternative name a value of the partition key? */
static bool
always_tied(const struct planner *p, const struct pq_cond *c)
{
	bool any = c->op == EXPR_AND;

	if (c->op == EXPR_NOT)
		return false;
	if (c->first == NULL)
		return ties_partition(p, c);
	for (const struct pq_cond *child = c->first; child != NULL; child = child->next)
		if (always_tied(p, child) == any)
			return any;
	return !any;
}

/* What orders keys; of values that can be no keys something that at least tells them apart. */
static struct slice
key_bytes(struct av v)
{
	return pq_is_key_type(v) ? av_bytes(v) : slice_of((const char *)v.data, v.len);
}

/* ---- branches ---- */

static struct branches spread(struct planner *p, const struct pq_cond *c);

static struct branches
one_branch(struct planner *p)
{
	return (struct branches){ARENA_NEW(p->arena, struct branch), 1};
}

static const struct cell *
cons(struct planner *p, struct cell cell, const struct cell *list)
{
	struct cell *new = arena_alloc(p->arena, sizeof *new);

	*new = cell;
	new->next = list;
	return new;
}

/* Mentions a path that begins with the sort key anywhere below? */
static bool
mentions(const struct expr *e, uint32_t node, struct slice name)
{
	const struct node *n = expr_node(e, node);

	if (n->op == EXPR_PATH)
		return slice_eq(expr_path_head(e, n), name);
	if (n->op == EXPR_VALUE)
		return false;
	for (uint32_t i = 0; i < n->count; i++)
		if (mentions(e, e->links[n->first + i], name))
			return true;
	return false;
}

static bool
is_inexact(const struct planner *p, const struct pq_cond *c)
{
	const struct key_attr *sort = pq_sort_attr(p->schema);

	return sort != NULL && (c->op == EXPR_NOT || c->op == EXPR_NE) && mentions(p->where->expr, c->node, sort->name);
}

static struct branches
spread_filter(struct planner *p, const struct pq_cond *c)
{
	struct branches b = one_branch(p);
	struct cell cell = {.filter = {c->node, is_inexact(p, c)}};

	b.items[0].filters = cons(p, cell, NULL);
	return b;
}

static struct branches
spread_key(struct planner *p, const struct pq_cond *c)
{
	bool sort = !ties_partition(p, c), in = c->op == EXPR_IN;
	const struct key_attr *attr = sort ? pq_sort_attr(p->schema) : pq_partition_attr(p->schema);
	struct branches b = {ARENA_ARRAY(p->arena, struct branch, c->value_count), in ? c->value_count : 1};

	for (uint32_t i = 0; i < c->value_count && p->check_types && p->status == S_OK; i++)
		p->status = pq_check_key_value(attr, c->values[i], p->err);
	for (uint32_t i = 0; i < b.count; i++) {
		struct cell cell = {.part = {sort, in ? EXPR_EQ : c->op, c->values[i],
					     c->op == EXPR_BETWEEN ? c->values[1] : AV_NONE, c->node}};

		b.items[i].parts = cons(p, cell, NULL);
	}
	return b;
}

static struct branches
spread_or(struct planner *p, const struct pq_cond *c)
{
	struct branches *each = arena_alloc(p->arena, c->count * sizeof *each), all = {NULL, 0};
	uint32_t total = 0, n = 0;

	for (const struct pq_cond *child = c->first; child != NULL; child = child->next) {
		each[n] = spread(p, child);
		total += each[n++].count;
		if (total > BRANCHES_MAX) {
			p->too_many = true;
			return each[0];
		}
	}
	all.items = arena_alloc(p->arena, total * sizeof *all.items);
	for (uint32_t i = 0; i < n; i++) {
		memcpy(all.items + all.count, each[i].items, each[i].count * sizeof *all.items);
		all.count += each[i].count;
	}
	return all;
}

static const struct cell *
append(struct planner *p, const struct cell *list, const struct cell *more)
{
	for (; more != NULL; more = more->next)
		list = cons(p, *more, list);
	return list;
}

/* Each of the left with each of the right. */
static struct branches
cross(struct planner *p, struct branches left, struct branches right)
{
	struct branches all;

	if ((uint64_t)left.count * right.count > BRANCHES_MAX) {
		p->too_many = true;
		return left;
	}
	all = (struct branches){ARENA_ARRAY(p->arena, struct branch, left.count * right.count), 0};
	for (uint32_t i = 0; i < left.count; i++)
		for (uint32_t j = 0; j < right.count; j++)
			all.items[all.count++] =
			    (struct branch){append(p, left.items[i].parts, right.items[j].parts),
					    append(p, left.items[i].filters, right.items[j].filters)};
	return all;
}

/* What is no key condition is put into all branches at the end, once. */
static struct branches
spread_and(struct planner *p, const struct pq_cond *c)
{
	struct branches all = one_branch(p);

	for (const struct pq_cond *child = c->first; child != NULL; child = child->next)
		if (names_key(p, child))
			all = cross(p, all, spread(p, child));
	for (const struct pq_cond *child = c->first; child != NULL; child = child->next) {
		struct cell cell = {.filter = {child->node, false}};

		if (names_key(p, child))
			continue;
		cell.filter.inexact = is_inexact(p, child);
		for (uint32_t i = 0; i < all.count; i++)
			all.items[i].filters = cons(p, cell, all.items[i].filters);
	}
	return all;
}

static struct branches
spread(struct planner *p, const struct pq_cond *c)
{
	if (c->first == NULL && is_key_condition(p, c))
		return spread_key(p, c);
	if (c->op == EXPR_AND)
		return spread_and(p, c);
	if (c->op == EXPR_OR && names_key(p, c))
		return spread_or(p, c);
	return spread_filter(p, c);
}

/* ---- one branch's reach ---- */

static int
low_order(struct end a, struct end b)
{
	int order;

	if (a.bytes.data == NULL || b.bytes.data == NULL)
		return (a.bytes.data != NULL) - (b.bytes.data != NULL);
	order = slice_cmp(a.bytes, b.bytes);
	return order != 0 ? order : (int)b.inclusive - (int)a.inclusive;
}

static int
high_order(struct end a, struct end b)
{
	int order;

	if (a.bytes.data == NULL || b.bytes.data == NULL)
		return (b.bytes.data != NULL) - (a.bytes.data != NULL);
	order = slice_cmp(a.bytes, b.bytes);
	return order != 0 ? order : (int)a.inclusive - (int)b.inclusive;
}

/* Does a range that begins there have anything in common with one that ends here? */
static bool
meets(struct end low, struct end high)
{
	int order;

	if (low.bytes.data == NULL || high.bytes.data == NULL)
		return true;
	order = slice_cmp(low.bytes, high.bytes);
	return order < 0 || (order == 0 && low.inclusive && high.inclusive);
}

/* The first bytes behind all that begin with these; open when there are none. */
static struct end
after_prefix(struct planner *p, struct slice prefix)
{
	char *bytes;

	while (prefix.len > 0 && (uint8_t)prefix.data[prefix.len - 1] == 0xFF)
		prefix.len--;
	if (prefix.len == 0)
		return (struct end){SLICE_NONE, false};
	bytes = (char *)arena_dup(p->arena, prefix).data;
	bytes[prefix.len - 1]++;
	return (struct end){slice_of(bytes, prefix.len), false};
}

static void
ends_of(struct planner *p, const struct key_part *part, struct end *low, struct end *high)
{
	struct slice bytes = key_bytes(part->low);

	*low = *high = (struct end){SLICE_NONE, false};
	switch (part->op) {
	case EXPR_LT:
	case EXPR_LE:
		*high = (struct end){bytes, part->op == EXPR_LE};
		break;
	case EXPR_GT:
	case EXPR_GE:
		*low = (struct end){bytes, part->op == EXPR_GE};
		break;
	case EXPR_BETWEEN:
		*low = (struct end){bytes, true};
		*high = (struct end){key_bytes(part->high), true};
		break;
	case EXPR_BEGINS_WITH:
		*low = (struct end){bytes, true};
		*high = after_prefix(p, bytes);
		break;
	default:
		*low = *high = (struct end){bytes, true};
	}
}

static void
narrow(struct planner *p, struct reach *r, const struct key_part *part)
{
	struct end low, high;

	ends_of(p, part, &low, &high);
	if (low_order(low, r->low) > 0)
		r->low = low;
	if (high_order(high, r->high) < 0)
		r->high = high;
}

static enum key_op
key_op_of(uint8_t op)
{
	switch (op) {
	case EXPR_EQ:
		return KEY_EQ;
	case EXPR_LT:
		return KEY_LT;
	case EXPR_LE:
		return KEY_LE;
	case EXPR_GT:
		return KEY_GT;
	case EXPR_GE:
		return KEY_GE;
	case EXPR_BETWEEN:
		return KEY_BETWEEN;
	default:
		return KEY_BEGINS_WITH;
	}
}

/* A lower and an upper bound are a BETWEEN; what it does not say exactly becomes a filter. */
static bool
bounds_of(const struct cell *parts, struct key_range *range)
{
	const struct key_part *low = NULL, *high = NULL;
	uint32_t others = 0;

	for (const struct cell *c = parts; c != NULL; c = c->next) {
		if (!c->part.sort)
			continue;
		if (c->part.op == EXPR_GT || c->part.op == EXPR_GE)
			low = low == NULL ? &c->part : (others++, low);
		else if (c->part.op == EXPR_LT || c->part.op == EXPR_LE)
			high = high == NULL ? &c->part : (others++, high);
		else
			others++;
	}
	if (low == NULL || high == NULL || others > 0)
		return false;
	range->op = KEY_BETWEEN;
	range->low = low->low;
	range->high = high->low;
	return true;
}

static const struct key_part *
main_part(const struct cell *parts)
{
	const struct key_part *best = NULL;

	for (const struct cell *c = parts; c != NULL; c = c->next)
		if (c->part.sort &&
		    (best == NULL || best->op != EXPR_EQ)) /* the list is backwards: the first written */
			best = &c->part;
	for (const struct cell *c = parts; c != NULL; c = c->next)
		if (c->part.sort && c->part.op == EXPR_EQ)
			best = &c->part;
	return best;
}

static void
add_filter(struct reach *r, uint32_t node)
{
	r->filters[r->filter_count++] = node;
}

static void
sort_range(struct reach *r, const struct cell *parts)
{
	const struct key_part *best = main_part(parts);

	if (best == NULL)
		return;
	if (bounds_of(parts, &r->range)) {
		for (const struct cell *c = parts; c != NULL; c = c->next)
			if (c->part.sort && (c->part.op == EXPR_GT || c->part.op == EXPR_LT))
				add_filter(r, c->part.node);
		return;
	}
	r->range.op = key_op_of(best->op);
	r->range.low = best->low;
	r->range.high = best->high;
	if (best->op == EXPR_EQ)
		return; /* narrow() has seen to the others */
	for (const struct cell *c = parts; c != NULL; c = c->next)
		if (c->part.sort && &c->part != best)
			add_filter(r, c->part.node);
}

static uint32_t
cell_count(const struct cell *list)
{
	uint32_t count = 0;

	for (; list != NULL; list = list->next)
		count++;
	return count;
}

static struct reach
reach_of(struct planner *p, const struct branch *b)
{
	struct reach r = {0};

	r.filters = arena_alloc(p->arena, (cell_count(b->parts) + cell_count(b->filters)) * sizeof *r.filters);
	for (const struct cell *c = b->filters; c != NULL; c = c->next) {
		add_filter(&r, c->filter.node);
		r.inexact |= c->filter.inexact;
	}
	for (uint32_t i = 0; i < r.filter_count / 2; i++) { /* as they are written */
		uint32_t swap = r.filters[i];

		r.filters[i] = r.filters[r.filter_count - 1 - i];
		r.filters[r.filter_count - 1 - i] = swap;
	}
	for (const struct cell *c = b->parts; c != NULL; c = c->next) {
		if (c->part.sort) {
			narrow(p, &r, &c->part);
			continue;
		}
		r.tied = !av_exists(r.partition) || (r.tied && av_equal(r.partition, c->part.low));
		r.partition = c->part.low;
	}
	r.empty = !meets(r.low, r.high);
	r.range.partition[0] = r.partition;
	sort_range(&r, b->parts);
	return r;
}

/* ---- all branches ---- */

static int
reach_order(const void *one, const void *two)
{
	const struct reach *a = one, *b = two;
	int order = slice_cmp(key_bytes(a->partition), key_bytes(b->partition));

	return order != 0 ? order : low_order(a->low, b->low);
}

static bool
same_collection(const struct reach *a, const struct reach *b)
{
	return slice_eq(key_bytes(a->partition), key_bytes(b->partition));
}

/* Sorted: among the exact ones of a collection none may begin before those before it have ended. */
static enum status
check_overlap(struct planner *p, const struct reach *reaches, uint32_t count)
{
	const struct reach *farthest = NULL;

	for (uint32_t i = 0; i < count; i++) {
		const struct reach *r = &reaches[i];

		if (r->inexact || r->empty)
			continue;
		if (farthest != NULL && !same_collection(farthest, r))
			farthest = NULL;
		if (farthest != NULL && meets(r->low, farthest->high))
			return err_set(p->err, S_VALIDATION,
				       "Overlapping conditions with range keys are not supported in where clause");
		if (farthest == NULL || high_order(r->high, farthest->high) > 0)
			farthest = r;
	}
	return S_OK;
}

/* Branches of a collection of which one has no exact reach become one that has the whole condition as its filter. */
static uint32_t
merge_inexact(struct planner *p, struct reach *reaches, uint32_t count)
{
	uint32_t kept = 0;

	for (uint32_t i = 0, end; i < count; i = end) {
		bool inexact = false;

		for (end = i; end < count && same_collection(&reaches[i], &reaches[end]); end++)
			inexact |= reaches[end].inexact;
		if (!inexact || end == i + 1) {
			for (uint32_t j = i; j < end; j++)
				if (!reaches[j].empty)
					reaches[kept++] = reaches[j];
			continue;
		}
		reaches[kept] = (struct reach){.tied = true, .partition = reaches[i].partition};
		reaches[kept].range.partition[0] = reaches[i].partition;
		reaches[kept].filters = arena_alloc(p->arena, sizeof *reaches[kept].filters);
		add_filter(&reaches[kept], p->where->root->node);
		kept++;
	}
	return kept;
}

static bool
is_empty_key(struct av v)
{
	return av_type(v) != AV_N && av_bytes(v).len == 0;
}

static enum status
check_not_empty(struct planner *p, const struct key_attr *attr, struct av v)
{
	if (!pq_is_key_type(v) || !is_empty_key(v))
		return S_OK;
	return err_set(
	    p->err, S_VALIDATION,
	    "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
	    "empty %s value. Key: %.*s",
	    av_type(v) == AV_S ? "string" : "binary", SLICE_ARG(attr->name));
}

static uint32_t
filter_root(struct planner *p, const struct reach *r)
{
	if (r->filter_count == 0)
		return NO_NODE;
	if (r->filter_count == 1)
		return r->filters[0];
	return expr_build_node(p->where->builder, EXPR_AND, r->filters, r->filter_count);
}

static enum status
make_reads(struct planner *p, const struct reach *reaches, uint32_t count, struct partiql_plan *ret)
{
	uint32_t *roots = arena_alloc(p->arena, count * sizeof *roots);
	enum status s = S_OK;

	ret->keyed = true;
	ret->reads = ARENA_ARRAY(p->arena, struct partiql_read, count);
	ret->read_count = count;
	for (uint32_t i = 0; i < count; i++)
		roots[i] = filter_root(p, &reaches[i]);
	/* all nodes are made: from here on the views share the builder's arrays */
	for (uint32_t i = 0; i < count && s == S_OK; i++) {
		const struct key_range *range = &reaches[i].range;
		bool whole = p->schema->sort_count == 0 || range->op == KEY_EQ;

		ret->reads[i].range = *range;
		if (roots[i] != NO_NODE)
			ret->reads[i].filter = expr_build_view(p->where->builder, roots[i]);
		s = check_not_empty(p, pq_partition_attr(p->schema), range->partition[0]);
		if (s == S_OK && whole && p->schema->sort_count > 0)
			s = check_not_empty(p, pq_sort_attr(p->schema), range->low);
		if (s == S_OK && whole)
			ret->reads[i].key = pq_item_key(p->schema, range->partition[0], range->low, p->arena);
	}
	return s;
}

static enum status
plan_where(struct planner *p, struct partiql_plan *ret)
{
	struct branches b = spread(p, p->where->root);
	bool tied = !p->too_many, pinned = always_tied(p, p->where->root);
	struct reach *reaches;
	uint32_t count;
	enum status s = p->status;

	ret->filter = p->where->expr;
	if (s != S_OK)
		return s;
	reaches = arena_alloc(p->arena, b.count * sizeof *reaches);
	for (uint32_t i = 0; i < b.count && tied; i++) {
		reaches[i] = reach_of(p, &b.items[i]);
		tied = reaches[i].tied;
	}
	if (tied) {
		qsort(reaches, b.count, sizeof *reaches, reach_order);
		s = check_overlap(p, reaches, b.count);
	}
	if (s == S_OK && pinned && (p->too_many || b.count > PARTIQL_READS_MAX))
		s = err_set(p->err, S_VALIDATION, "Too many decomposed read operations for a given query.");
	if (s != S_OK || !tied)
		return s;
	count = merge_inexact(p, reaches, b.count);
	return make_reads(p, reaches, count, ret);
}

enum status
partiql_plan(const struct partiql_statement *s, const struct key_schema *schema, bool check_types, struct arena *arena,
	     struct partiql_plan *ret, struct err *err)
{
	struct planner p = {
	    .where = s->where, .schema = schema, .check_types = check_types, .arena = arena, .err = err};
	enum status status;

	*ret = (struct partiql_plan){0};
	if (s->where == NULL)
		return S_OK;
	status = pq_check_nested_keys(s->where, schema, err);
	return status == S_OK ? plan_where(&p, ret) : status;
}

/* ---- ORDER BY ---- */

/* How many values of the partition key the top of the condition names. */
static uint32_t
named_partitions(const struct planner *p, const struct pq_cond *c)
{
	if (c->op == EXPR_OR) {
		for (const struct pq_cond *child = c->first; child != NULL; child = child->next)
			if (child->op != EXPR_EQ || !ties_partition(p, child))
				return 0;
		return c->count;
	}
	return ties_partition(p, c) ? c->value_count : 0;
}

static const struct partiql_order *
order_on(const struct partiql_statement *s, const struct key_attr *attr)
{
	for (size_t i = 0; i < s->order_count; i++)
		if (pq_is_attr(attr, s->order[i].attr))
			return &s->order[i];
	return NULL;
}

static enum status
check_order(const struct planner *p, const struct partiql_statement *s)
{
	const struct pq_cond *root = p->where->root;
	uint32_t partitions = 0;

	for (size_t i = 0; i < s->order_count; i++)
		if (!pq_is_attr(pq_partition_attr(p->schema), s->order[i].attr) &&
		    !pq_is_attr(pq_sort_attr(p->schema), s->order[i].attr))
			return err_set(p->err, S_VALIDATION,
				       "Attribute %.*s in ORDER BY clause must be part of the primary key",
				       SLICE_ARG(s->order[i].attr));
	if (root->op != EXPR_AND)
		partitions = named_partitions(p, root);
	for (const struct pq_cond *c = root->first; c != NULL && root->op == EXPR_AND; c = c->next)
		partitions += named_partitions(p, c);
	if (partitions == 0)
		return err_set(
		    p->err, S_VALIDATION,
		    "Must have at least one non-optional hash key condition in WHERE clause when using ORDER "
		    "BY clause.");
	if (partitions > 1 && order_on(s, pq_partition_attr(p->schema)) == NULL)
		return err_set(
		    p->err, S_VALIDATION,
		    "Must have hash key in ORDER BY clause when more than one hash key condition specified in "
		    "WHERE clause.");
	return S_OK;
}

static void
reverse(struct partiql_read *reads, size_t count)
{
	for (size_t i = 0; i < count / 2; i++) {
		struct partiql_read swap = reads[i];

		reads[i] = reads[count - 1 - i];
		reads[count - 1 - i] = swap;
	}
}

enum status
partiql_plan_order(const struct partiql_statement *s, const struct key_schema *schema, struct partiql_plan *plan,
		   struct err *err)
{
	struct planner p = {.where = s->where, .schema = schema, .err = err};
	const struct partiql_order *partition, *sort;
	enum status status;
	bool down;

	if (s->order_count == 0)
		return S_OK;
	if (s->where == NULL)
		return err_set(err, S_VALIDATION,
			       "Must have WHERE clause in the statement when using ORDER BY clause.");
	status = check_order(&p, s);
	if (status != S_OK)
		return status;
	partition = order_on(s, pq_partition_attr(schema));
	sort = order_on(s, pq_sort_attr(schema));
	down = partition != NULL && partition->descending;
	/* the service goes down the sort key unless it is told to go up */
	plan->backward = schema->sort_count > 0 && (sort == NULL || sort->descending);
	if (down)
		reverse(plan->reads, plan->read_count);
	if (down == plan->backward)
		return S_OK;
	for (size_t i = 0, end; i < plan->read_count; i = end) { /* ranges within a collection the other way */
		for (end = i + 1; end < plan->read_count &&
				  av_equal(plan->reads[i].range.partition[0], plan->reads[end].range.partition[0]);
		     end++)
			;
		reverse(plan->reads + i, end - i);
	}
	return S_OK;
}
