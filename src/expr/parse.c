/*
 * Recursive descent over the tokens. Syntax errors end the parse at once; the other mistakes a text can have are
 * remembered, the first of each sort, and reported in DynamoDB's order of sorts once the whole text is known to be
 * well formed.
 */
#include "expr/expr_int.h"

#define SLOT_TABLE_SIZE 4096 /* a power of two above the placeholders that fit into EXPR_TEXT_MAX, twice */

struct parser {
	enum expr_kind kind;
	struct slice text;
	struct err *err;
	struct token prev, tok; /* tok is next to be taken */
	bool failed;
	int depth;
	unsigned operators;
	/* Sized by the text: each node, element and child takes at least a byte of it. */
	struct node *nodes;
	uint32_t *links;
	struct elem *elems;
	struct slot *names, *values;
	uint32_t *stack; /* children gathered for nodes not made yet */
	uint32_t node_count, link_count, elem_count, name_count, value_count, stack_count;
	uint16_t *slot_table; /* number + 1, into names and (by the first byte) values */
	/* the first of each sort; len 0 or 0: none */
	bool redundant_parens;
	struct slice unknown_function, unfit_function, misused_function, reserved, bad_index;
	const char *repeated_section;
	uint32_t in_operands, path_elems;
};

static uint32_t parse_or(struct parser *p);
static uint32_t parse_operand(struct parser *p);

static struct slice
text_of(const struct parser *p, struct token t)
{
	return slice_of(p->text.data + t.at, t.len);
}

/* ---- failing ---- */

static uint32_t
give_up(struct parser *p)
{
	p->failed = true;
	p->tok.type = T_BAD; /* nothing accepts it: all loops end */
	return NO_NODE;
}

/* DynamoDB shows the token with its neighbours, as the text has them. */
static uint32_t
syntax_error(struct parser *p)
{
	struct token t = p->tok, next;
	size_t from, to;

	if (p->failed)
		return NO_NODE;
	from = p->prev.len > 0 ? p->prev.at : t.at;
	if (t.type == T_EOF) {
		expr_fail(p->kind, p->err, "Syntax error; token: \"<EOF>\", near: \"%.*s\"",
			  SLICE_ARG(text_of(p, p->prev)));
		return give_up(p);
	}
	next = lex(p->kind, p->text, t.at + t.len);
	to = next.type == T_EOF ? t.at + t.len : next.at + next.len;
	expr_fail(p->kind, p->err, "Syntax error; token: \"%.*s\", near: \"%.*s\"", SLICE_ARG(text_of(p, t)),
		  (int)(to - from), p->text.data + from);
	return give_up(p);
}

/* All operators and functions of the text, however it is nested. */
static unsigned
count_operators(const struct parser *p)
{
	unsigned count = 0;
	struct token before = {0};

	for (size_t at = 0;;) {
		struct token t = lex(p->kind, p->text, at);

		if (t.type == T_EOF)
			return count;
		if ((t.type >= T_PLUS && t.type <= T_NOT) || t.type == T_IN ||
		    (t.type == T_LPAREN && before.type == T_IDENT))
			count++; /* BETWEEN counts by its AND */
		before = t;
		at = t.at + t.len;
	}
}

static enum status
too_many_operators(const struct parser *p, unsigned count)
{
	return expr_fail(p->kind, p->err, "The expression contains too many operators; operator count: %u", count);
}

static bool
descend(struct parser *p)
{
	unsigned count;

	if (p->failed)
		return false;
	if (++p->depth <= PARSE_DEPTH_MAX)
		return true;
	count = count_operators(p);
	if (count > EXPR_OPERATORS_MAX)
		too_many_operators(p, count);
	else
		expr_fail(p->kind, p->err, "The expression has redundant parentheses;");
	give_up(p);
	return false;
}

/* ---- making nodes ---- */

static void
advance(struct parser *p)
{
	p->prev = p->tok;
	p->tok = lex(p->kind, p->text, p->tok.at + p->tok.len);
}

static bool
accept(struct parser *p, enum token_type type)
{
	if (p->failed || p->tok.type != type)
		return false;
	advance(p);
	return true;
}

static bool
expect(struct parser *p, enum token_type type)
{
	if (accept(p, type))
		return true;
	syntax_error(p);
	return false;
}

static uint32_t
new_node(struct parser *p, enum expr_op op, uint32_t first, uint32_t count)
{
	p->nodes[p->node_count] = (struct node){(uint8_t)op, 0, first, count};
	return p->node_count++;
}

static void
push(struct parser *p, uint32_t node)
{
	p->stack[p->stack_count++] = node;
}

/* A node over the children pushed since the stack was `base` high. */
static uint32_t
fold(struct parser *p, enum expr_op op, uint32_t base)
{
	uint32_t count = p->stack_count - base, first = p->link_count;

	if (p->failed)
		return NO_NODE;
	memcpy(p->links + first, p->stack + base, count * sizeof *p->links);
	p->link_count += count;
	p->stack_count = base;
	return new_node(p, op, first, count);
}

static void
note(struct slice *first, struct slice what)
{
	if (first->len == 0)
		*first = what;
}

/* ---- placeholders and paths ---- */

static uint32_t
slot_of(struct parser *p, struct token t)
{
	struct slice text = text_of(p, t);
	bool is_name = text.data[0] == '#';
	struct slot *slots = is_name ? p->names : p->values;
	uint32_t *count = is_name ? &p->name_count : &p->value_count;

	for (uint64_t i = cache_hash(text);; i++) {
		uint16_t *entry = &p->slot_table[i % SLOT_TABLE_SIZE];
		const struct slot *s;

		if (*entry == 0) {
			slots[*count] = (struct slot){t.at, t.len};
			*entry = (uint16_t)(*count * 2 + is_name + 1);
			return (*count)++;
		}
		if (((*entry - 1) & 1) != is_name)
			continue;
		s = &slots[(*entry - 1) / 2];
		if (slice_eq(text, slice_of(p->text.data + s->at, s->len)))
			return (uint32_t)(*entry - 1) / 2;
	}
}

static void
path_name(struct parser *p, struct token t)
{
	struct elem *e = &p->elems[p->elem_count++];

	if (t.type == T_NAME) {
		*e = (struct elem){ELEM_SLOT, 0, slot_of(p, t)};
		return;
	}
	*e = (struct elem){ELEM_NAME, (uint16_t)t.len, t.at};
	if (expr_is_reserved_word(text_of(p, t)))
		note(&p->reserved, text_of(p, t));
}

static void
path_index(struct parser *p, struct token t)
{
	struct slice digits = text_of(p, t);
	uint64_t index = 0;

	for (size_t i = 0; i < digits.len && index <= LIST_INDEX_MAX; i++)
		index = index * 10 + (uint64_t)(digits.data[i] - '0');
	if (index > LIST_INDEX_MAX)
		note(&p->bad_index, digits);
	p->elems[p->elem_count++] = (struct elem){ELEM_INDEX, 0, (uint32_t)index};
}

/* What may follow a path's beginning: .name and [index]. */
static void
path_tail(struct parser *p, uint32_t path)
{
	struct node *n = &p->nodes[path];

	for (;;) {
		if (accept(p, T_DOT)) {
			if (p->failed || (p->tok.type != T_IDENT && p->tok.type != T_NAME)) {
				syntax_error(p);
				return;
			}
			path_name(p, p->tok);
			advance(p);
		} else if (accept(p, T_LBRACKET)) {
			struct token index = p->tok;

			if (!expect(p, T_NUMBER) || !expect(p, T_RBRACKET))
				return;
			path_index(p, index);
		} else {
			break;
		}
		n->flags = 0;
	}
	n->count = p->elem_count - n->first;
	if (n->count > PATH_ELEMS_MAX && p->path_elems == 0)
		p->path_elems = n->count;
}

static uint32_t
parse_path(struct parser *p)
{
	uint32_t path;

	if (p->failed || (p->tok.type != T_IDENT && p->tok.type != T_NAME))
		return syntax_error(p);
	path = new_node(p, EXPR_PATH, p->elem_count, 1);
	path_name(p, p->tok);
	advance(p);
	path_tail(p, path);
	return path;
}

static uint32_t
parse_value(struct parser *p)
{
	struct token t = p->tok;

	if (!expect(p, T_VALUE))
		return NO_NODE;
	return new_node(p, EXPR_VALUE, slot_of(p, t), 0);
}

/* ---- functions ---- */

static const struct {
	const char *name;
	enum expr_op op;
	bool of_update;
} functions[] = {
    {"attribute_exists", EXPR_ATTRIBUTE_EXISTS, false},
    {"attribute_not_exists", EXPR_ATTRIBUTE_NOT_EXISTS, false},
    {"attribute_type", EXPR_ATTRIBUTE_TYPE, false},
    {"begins_with", EXPR_BEGINS_WITH, false},
    {"contains", EXPR_CONTAINS, false},
    {"size", EXPR_SIZE, false},
    {"if_not_exists", EXPR_IF_NOT_EXISTS, true},
    {"list_append", EXPR_LIST_APPEND, true},
};

static enum expr_op
function_op(struct parser *p, struct slice name)
{
	for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
		if (!slice_eq(name, slice_str(functions[i].name)))
			continue;
		if (functions[i].of_update != (p->kind == EXPR_UPDATE))
			note(&p->unfit_function, name);
		return functions[i].op;
	}
	note(&p->unknown_function, name);
	return EXPR_SIZE;
}

static bool
is_function(const struct node *n)
{
	return n->op >= EXPR_ATTRIBUTE_EXISTS && n->op <= EXPR_LIST_APPEND;
}

/* An operand must not be a function that answers yes or no. */
static void
check_operand(struct parser *p, uint32_t node)
{
	if (node == NO_NODE || p->kind == EXPR_UPDATE)
		return;
	if (is_function(&p->nodes[node]) && p->nodes[node].op < EXPR_SIZE)
		note(&p->misused_function, slice_str(expr_op_names[p->nodes[node].op]));
}

static uint32_t
parse_function(struct parser *p)
{
	enum expr_op op = function_op(p, text_of(p, p->tok));
	uint32_t base = p->stack_count;

	p->operators++;
	advance(p);
	advance(p); /* the parenthesis */
	if (!descend(p))
		return NO_NODE;
	do
		push(p, parse_operand(p));
	while (accept(p, T_COMMA));
	p->depth--;
	if (!expect(p, T_RPAREN))
		return NO_NODE;
	for (uint32_t i = base; i < p->stack_count; i++)
		check_operand(p, p->stack[i]);
	return fold(p, op, base);
}

/* ---- operands ---- */

static uint32_t
parse_bare_operand(struct parser *p)
{
	if (p->failed)
		return NO_NODE;
	if (p->tok.type == T_VALUE)
		return parse_value(p);
	if (p->tok.type == T_IDENT && lex(p->kind, p->text, p->tok.at + p->tok.len).type == T_LPAREN)
		return parse_function(p);
	return parse_path(p);
}

/* After ")": node is what they enclose. */
static uint32_t
in_parens(struct parser *p, uint32_t node)
{
	struct node *n;

	if (p->failed || node == NO_NODE)
		return NO_NODE;
	n = &p->nodes[node];
	if (n->flags & NODE_PAREN)
		p->redundant_parens = true;
	n->flags |= NODE_PAREN;
	if (n->op == EXPR_PATH && p->kind != EXPR_UPDATE)
		path_tail(p, node); /* (a.b).c */
	return p->failed ? NO_NODE : node;
}

static uint32_t
parse_operand(struct parser *p)
{
	uint32_t node;

	if (!accept(p, T_LPAREN))
		return parse_bare_operand(p);
	if (!descend(p))
		return NO_NODE;
	node = parse_operand(p);
	p->depth--;
	if (!expect(p, T_RPAREN))
		return NO_NODE;
	return in_parens(p, node);
}

/* ---- conditions ---- */

/* A path or value alone is no condition: the parser wanted an operator where it stands now. */
static bool
require_condition(struct parser *p, uint32_t node)
{
	if (p->failed || node == NO_NODE)
		return false;
	if (p->nodes[node].op == EXPR_PATH || p->nodes[node].op == EXPR_VALUE) {
		syntax_error(p);
		return false;
	}
	if (p->nodes[node].op == EXPR_SIZE)
		note(&p->misused_function, SLICE("size"));
	return true;
}

static uint32_t
parse_primary(struct parser *p)
{
	uint32_t node;

	if (!accept(p, T_LPAREN))
		return parse_bare_operand(p);
	if (!descend(p))
		return NO_NODE;
	node = parse_or(p);
	p->depth--;
	if (!expect(p, T_RPAREN))
		return NO_NODE;
	return in_parens(p, node);
}

static uint32_t
finish_comparison(struct parser *p, enum expr_op op, uint32_t base)
{
	p->operators++;
	if (p->failed)
		return NO_NODE;
	for (uint32_t i = base; i < p->stack_count; i++)
		check_operand(p, p->stack[i]);
	return fold(p, op, base);
}

static uint32_t
parse_in(struct parser *p, uint32_t base)
{
	uint32_t count;

	if (!expect(p, T_LPAREN))
		return NO_NODE;
	do
		push(p, parse_operand(p));
	while (accept(p, T_COMMA));
	if (!expect(p, T_RPAREN))
		return NO_NODE;
	count = p->stack_count - base - 1;
	if (count > IN_OPERANDS_MAX && p->in_operands == 0)
		p->in_operands = count;
	return finish_comparison(p, EXPR_IN, base);
}

static uint32_t
parse_comparison(struct parser *p)
{
	uint32_t base = p->stack_count, left = parse_primary(p);
	enum token_type type = p->tok.type;
	bool comparator = type >= T_EQ && type <= T_GE;

	if (p->failed || left == NO_NODE)
		return NO_NODE;
	if (!comparator && type != T_BETWEEN && type != T_IN)
		return left;
	if (p->nodes[left].op <= EXPR_IN)
		return syntax_error(p); /* a condition cannot be compared */
	advance(p);
	push(p, left);
	if (type == T_IN)
		return parse_in(p, base);
	push(p, parse_operand(p));
	if (comparator)
		return finish_comparison(p, (enum expr_op)(EXPR_EQ + (type - T_EQ)), base);
	if (!expect(p, T_AND))
		return NO_NODE;
	push(p, parse_operand(p));
	return finish_comparison(p, EXPR_BETWEEN, base);
}

static uint32_t
parse_not(struct parser *p)
{
	uint32_t base = p->stack_count, node;

	if (!accept(p, T_NOT))
		return parse_comparison(p);
	p->operators++;
	if (!descend(p))
		return NO_NODE;
	node = parse_not(p);
	p->depth--;
	if (!require_condition(p, node))
		return NO_NODE;
	push(p, node);
	return fold(p, EXPR_NOT, base);
}

/* a AND b AND c, or a OR b OR c: one node over all of them. */
static uint32_t
parse_chain(struct parser *p, enum token_type type, enum expr_op op, uint32_t (*parse_part)(struct parser *p))
{
	uint32_t base = p->stack_count, node = parse_part(p);

	if (p->failed || p->tok.type != type)
		return node;
	if (!require_condition(p, node))
		return NO_NODE;
	push(p, node);
	while (accept(p, type)) {
		p->operators++;
		node = parse_part(p);
		if (!require_condition(p, node))
			return NO_NODE;
		push(p, node);
	}
	return fold(p, op, base);
}

static uint32_t
parse_and(struct parser *p)
{
	return parse_chain(p, T_AND, EXPR_AND, parse_not);
}

static uint32_t
parse_or(struct parser *p)
{
	return parse_chain(p, T_OR, EXPR_OR, parse_and);
}

static uint32_t
parse_condition(struct parser *p)
{
	uint32_t node = parse_or(p);

	if (p->failed || (p->tok.type != T_EOF && p->nodes[node].op != EXPR_PATH && p->nodes[node].op != EXPR_VALUE))
		return syntax_error(p);
	return require_condition(p, node) ? node : NO_NODE;
}

/* ---- projections ---- */

static uint32_t
parse_projection(struct parser *p)
{
	do
		push(p, parse_path(p));
	while (accept(p, T_COMMA));
	if (p->failed || p->tok.type != T_EOF)
		return syntax_error(p);
	return fold(p, EXPR_LIST, 0);
}

/* ---- updates ---- */

/* operand, operand + operand, operand - operand; once in parentheses */
static uint32_t
parse_set_value(struct parser *p)
{
	uint32_t base = p->stack_count, node;
	enum expr_op op;

	if (accept(p, T_LPAREN)) {
		if (!descend(p))
			return NO_NODE;
		node = parse_set_value(p);
		p->depth--;
		if (!expect(p, T_RPAREN))
			return NO_NODE;
		node = in_parens(p, node);
	} else {
		node = parse_bare_operand(p);
	}
	if (p->failed || node == NO_NODE)
		return NO_NODE;
	if ((p->tok.type != T_PLUS && p->tok.type != T_MINUS) || p->nodes[node].op == EXPR_PLUS ||
	    p->nodes[node].op == EXPR_MINUS)
		return node;
	op = p->tok.type == T_PLUS ? EXPR_PLUS : EXPR_MINUS;
	p->operators++;
	advance(p);
	push(p, node);
	push(p, parse_operand(p));
	return fold(p, op, base);
}

static uint32_t
parse_action(struct parser *p, enum expr_op op)
{
	uint32_t base = p->stack_count;

	push(p, parse_path(p));
	if (op == EXPR_SET) {
		if (!expect(p, T_EQ))
			return NO_NODE;
		push(p, parse_set_value(p));
	} else if (op != EXPR_REMOVE) {
		push(p, parse_value(p));
	}
	return fold(p, op, base);
}

static uint32_t
parse_update(struct parser *p)
{
	static const struct {
		enum token_type type;
		enum expr_op op;
		const char *name;
	} sections[] = {
	    {T_SET, EXPR_SET, "SET"},
	    {T_REMOVE, EXPR_REMOVE, "REMOVE"},
	    {T_ADD, EXPR_ADD, "ADD"},
	    {T_DELETE, EXPR_DELETE, "DELETE"},
	};
	unsigned seen = 0, i;

	do {
		for (i = 0; i < 4 && sections[i].type != p->tok.type; i++)
			;
		if (i == 4)
			return syntax_error(p);
		if ((seen & 1u << i) && p->repeated_section == NULL)
			p->repeated_section = sections[i].name;
		seen |= 1u << i;
		advance(p);
		do
			push(p, parse_action(p, sections[i].op));
		while (accept(p, T_COMMA));
	} while (!p->failed && p->tok.type != T_EOF);
	return fold(p, EXPR_LIST, 0);
}

/* ---- the mistakes that are not syntax ---- */

static enum status
check_limits(struct parser *p)
{
	if (p->operators > EXPR_OPERATORS_MAX)
		return too_many_operators(p, p->operators);
	if (p->redundant_parens)
		return expr_fail(p->kind, p->err, "The expression has redundant parentheses;");
	return S_OK;
}

static enum status
check_functions(struct parser *p)
{
	if (p->unknown_function.len > 0)
		return expr_fail(p->kind, p->err, "Invalid function name; function: %.*s",
				 SLICE_ARG(p->unknown_function));
	if (p->unfit_function.len > 0)
		return expr_fail(p->kind, p->err, "The function is not allowed in %s expression; function: %.*s",
				 p->kind == EXPR_UPDATE ? "an update" : "a condition", SLICE_ARG(p->unfit_function));
	if (p->misused_function.len > 0)
		return expr_fail(p->kind, p->err,
				 "The function is not allowed to be used this way in an expression; function: %.*s",
				 SLICE_ARG(p->misused_function));
	return S_OK;
}

static enum status
check_names(struct parser *p)
{
	if (p->reserved.len > 0)
		return expr_fail(p->kind, p->err, "Attribute name is a reserved keyword; reserved keyword: %.*s",
				 SLICE_ARG(p->reserved));
	if (p->bad_index.len > 0)
		return expr_fail(p->kind, p->err, "List index is not within the allowable range; index: [%.*s]",
				 SLICE_ARG(p->bad_index));
	if (p->path_elems > 0)
		return expr_fail(p->kind, p->err, "The document path has too many nesting levels; nesting levels: %u",
				 p->path_elems);
	return S_OK;
}

static enum status
check_text(struct parser *p)
{
	enum status s = check_limits(p);

	if (s == S_OK && p->kind == EXPR_UPDATE)
		s = check_names(p);
	if (s == S_OK)
		s = check_functions(p);
	if (s == S_OK && p->kind != EXPR_UPDATE)
		s = check_names(p);
	if (s == S_OK && p->repeated_section != NULL)
		s = expr_fail(p->kind, p->err, "The \"%s\" section can only be used once in an update expression;",
			      p->repeated_section);
	if (s == S_OK && p->in_operands > 0)
		s = expr_fail(p->kind, p->err,
			      "The IN operator is provided with too many operands; number of operands: %u",
			      p->in_operands);
	return s;
}

enum status
program_parse(enum expr_kind kind, struct slice text, struct arena *arena, struct program *ret, struct err *err)
{
	size_t room = text.len + 1;
	struct parser p = {.kind = kind, .text = text, .err = err};
	uint32_t root;
	enum status s;

	p.tok = lex(kind, text, 0);
	if (p.tok.type == T_EOF)
		return expr_fail(kind, err, "The expression can not be empty;");
	p.nodes = arena_alloc(arena, room * sizeof *p.nodes);
	p.links = arena_alloc(arena, room * sizeof *p.links);
	p.stack = arena_alloc(arena, room * sizeof *p.stack);
	p.elems = arena_alloc(arena, room * sizeof *p.elems);
	p.names = arena_alloc(arena, (room / 2 + 1) * sizeof *p.names);
	p.values = arena_alloc(arena, (room / 2 + 1) * sizeof *p.values);
	p.slot_table = ARENA_ARRAY(arena, uint16_t, SLOT_TABLE_SIZE);
	root = kind == EXPR_UPDATE       ? parse_update(&p)
	       : kind == EXPR_PROJECTION ? parse_projection(&p)
					 : parse_condition(&p);
	if (p.failed)
		return S_VALIDATION;
	s = check_text(&p);
	if (s != S_OK)
		return s;
	*ret = (struct program){.kind = kind,
				.root = root,
				.text = text,
				.node_count = p.node_count,
				.link_count = p.link_count,
				.elem_count = p.elem_count,
				.name_count = p.name_count,
				.value_count = p.value_count,
				.nodes = p.nodes,
				.links = p.links,
				.elems = p.elems,
				.names = p.names,
				.values = p.values};
	return S_OK;
}
