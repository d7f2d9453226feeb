/* The order in which members are told, for docs/ERRORS.md. */
#include "api/op_int.h"

static void
put_limits(struct buf *out, const struct field *f, const char *what)
{
	if (!f->limits.on)
		return;
	buf_printf(out, ", %s ", what);
	if (f->limits.most == INT64_MAX || f->limits.most == INT32_MAX)
		buf_printf(out, "from %lld", (long long)f->limits.least);
	else if (f->limits.least <= 0 && f->type != SHAPE_INT && f->type != SHAPE_LONG)
		buf_printf(out, "to %lld", (long long)f->limits.most);
	else
		buf_printf(out, "%lld to %lld", (long long)f->limits.least, (long long)f->limits.most);
}

static void
put_constraints(struct buf *out, const struct field *f)
{
	if (f->flags & (FIELD_REQUIRED | FIELD_PARAMETER))
		buf_put_lit(out, ", required");
	if (f->type == SHAPE_ENUM)
		buf_put_lit(out, ", enum");
	if ((f->flags & FIELD_NAME) || f->pattern != PATTERN_NONE)
		buf_put_lit(out, ", pattern");
	put_limits(out, f, f->type == SHAPE_INT || f->type == SHAPE_LONG ? "value" : "length");
}

/* "TableName (required), Limit (value 1 to 100)"; what is inside of a member stands in braces behind it. */
static void
put_members(struct buf *out, const struct shape *shape, int depth)
{
	for (const struct field *f = shape->fields; f->name != NULL; f++) {
		const struct field *inner = f;
		struct buf constraints = {0};

		put_constraints(&constraints, f);
		buf_printf(out, "%s%s", f > shape->fields ? ", " : "", f->name);
		if (constraints.len > 2)
			buf_printf(out, " (%.*s)", (int)constraints.len - 2, constraints.data + 2);
		buf_done(&constraints);
		while (inner->type == SHAPE_LIST || inner->type == SHAPE_MAP) {
			inner = inner->element;
			buf_put(out, "[]", 2);
		}
		if (inner->type == SHAPE_STRUCT && depth < 8) {
			buf_put_lit(out, " {");
			put_members(out, inner->shape, depth + 1);
			buf_put_byte(out, '}');
		}
	}
}

void
op_write_orders(struct buf *out)
{
	buf_put_lit(out, "| operation | members, in the order in which they are told |\n|---|---|\n");
	for (size_t i = 0; i < op_count; i++) {
		if (ops[i].shape == NULL || ops[i].shape->fields[0].name == NULL || ops[i].refusal != S_OK)
			continue;
		buf_printf(out, "| %s | ", ops[i].name);
		put_members(out, ops[i].shape, 0);
		buf_put_lit(out, " |\n");
	}
}
