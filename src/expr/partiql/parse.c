/*
 * The grammar: operator precedence for expressions, of which statements are special ones, as in the language's own
 * parser; so a mistake is found at the same word and told in the same way. What the grammar knows and DynamoDB does not
 * (joins, aliases, grouping) is parsed and refused by statement.c.
 */
#include "expr/partiql/parse_int.h"

/* ---- terms ---- */

/* Expressions with commas between, up to but without `close`. */
static void
parse_list(struct parser *p, struct pq_node *list)
{
	do
		add_child(p, list, pq_parse_expression(p, -1));
	while (accept(p, PT_COMMA));
}

static struct pq_node *
parse_collection(struct parser *p, enum pq_node_type type, enum pq_token_type close, const char *expected)
{
	struct pq_node *n = take_node(p, type);

	if (accept(p, close))
		return n;
	parse_list(p, n);
	return expect(p, close, expected) ? n : NULL;
}

static struct pq_node *
parse_struct(struct parser *p)
{
	struct pq_node *n = take_node(p, N_STRUCT);

	if (accept(p, PT_RBRACE))
		return n;
	do {
		add_child(p, n, pq_parse_expression(p, -1));
		if (!expect(p, PT_COLON, "Expected COLON"))
			return NULL;
		add_child(p, n, pq_parse_expression(p, -1));
	} while (accept(p, PT_COMMA));
	return expect(p, PT_RBRACE, "Expected RIGHT_CURLY") ? n : NULL;
}

/* (a) groups; (a, b) is a list. */
static struct pq_node *
parse_group(struct parser *p)
{
	struct pq_node *n = take_node(p, N_LIST);

	parse_list(p, n);
	if (!expect(p, PT_RPAREN, "Expected RIGHT_PAREN"))
		return NULL;
	return n->count == 1 ? n->first : n;
}

static struct pq_node *
parse_call(struct parser *p)
{
	struct pq_node *n = take_node(p, N_CALL);

	n->text = lower_case(p, n->text);
	advance(p); /* the parenthesis */
	if (accept(p, PT_RPAREN))
		return n;
	if (at_word(p, W_STAR) && following(p)->type == PT_RPAREN && slice_eq(n->text, SLICE("count"))) {
		advance(p);
		advance(p);
		return n;
	}
	if (at_word(p, W_STAR))
		return fail(p, arena_printf(p->arena, "%.*s(*) is not allowed", SLICE_ARG(n->text)).data);
	parse_list(p, n);
	return expect(p, PT_RPAREN, "Expected RIGHT_PAREN") ? n : NULL;
}

static struct pq_node *
parse_keyword(struct parser *p)
{
	switch (p->tok->word) {
	case W_INSERT_INTO:
	case W_SET:
	case W_REMOVE:
		return pq_parse_bare_change(p);
	case W_UPDATE:
		advance(p);
		return pq_parse_table_change(p, false);
	case W_DELETE:
		advance(p);
		if (!at_word(p, W_FROM))
			return fail(p, "Expected FROM after DELETE");
		advance(p);
		return pq_parse_table_change(p, true);
	case W_SELECT:
		return pq_parse_select(p);
	case W_FROM:
		advance(p);
		return pq_parse_from_first(p);
	default:
		if ((p->tok->flags & PQ_FUNCTION) && following(p)->type == PT_LPAREN)
			return parse_call(p);
		return fail(p, "Unexpected keyword");
	}
}

static struct pq_node *
parse_term(struct parser *p)
{
	struct pq_node *n;

	switch ((enum pq_token_type)p->tok->type) {
	case PT_OPERATOR:
		return fail(p, at_word(p, W_STAR) ? "Unexpected term" : "Unexpected operator");
	case PT_KEYWORD:
		return parse_keyword(p);
	case PT_LPAREN:
		return parse_group(p);
	case PT_LBRACKET:
		return parse_collection(p, N_LIST, PT_RBRACKET, "Expected RIGHT_BRACKET");
	case PT_LBAG:
		return parse_collection(p, N_BAG, PT_RBAG, "Expected RIGHT_DOUBLE_ANGLE_BRACKET");
	case PT_LBRACE:
		return parse_struct(p);
	case PT_IDENT:
	case PT_QUOTED:
		return following(p)->type == PT_LPAREN ? parse_call(p) : take_node(p, N_NAME);
	case PT_PARAM:
		n = take_node(p, N_PARAM);
		n->number = p->params++;
		return n;
	case PT_STRING:
		return take_node(p, N_STRING);
	case PT_NUMBER:
		return take_node(p, N_NUMBER);
	case PT_TRUE:
		return take_node(p, N_TRUE);
	case PT_FALSE:
		return take_node(p, N_FALSE);
	case PT_NULL:
		return take_node(p, N_NULL);
	case PT_MISSING:
		return take_node(p, N_MISSING);
	default:
		return fail(p, "Unexpected term");
	}
}

/* ---- paths ---- */

static struct pq_node *
parse_dot(struct parser *p, bool simple)
{
	advance(p);
	if (at(p, PT_IDENT) || at(p, PT_QUOTED))
		return take_node(p, N_FIELD);
	if (at_word(p, W_STAR))
		return simple ? fail(p, "Invalid path dot component for simple path") : take_node(p, N_WILD);
	return fail(p, "Invalid path dot component");
}

static struct pq_node *
parse_bracket(struct parser *p, bool simple)
{
	struct pq_node *n;

	advance(p);
	if (at_word(p, W_STAR)) {
		n = take_node(p, N_WILD);
	} else {
		struct pq_node *index = pq_parse_expression(p, -1);

		if (p->failed)
			return NULL;
		n = new_node(p, N_INDEX, p->tok);
		n->at = index->at;
		n->len = index->len;
		add_child(p, n, index);
		if (simple && index->type != N_NUMBER && index->type != N_STRING && index->type != N_NAME)
			return fail(p, "Invalid path component for simple path");
	}
	return expect(p, PT_RBRACKET, "Expected RIGHT_BRACKET") ? n : NULL;
}

struct pq_node *
pq_parse_path(struct parser *p, bool simple)
{
	struct pq_node *term, *path;

	if (simple && !at(p, PT_IDENT) && !at(p, PT_QUOTED))
		return fail(p, "Expected identifier for simple path");
	term = simple ? take_node(p, N_NAME) : parse_term(p);
	if (p->failed || (!at(p, PT_DOT) && !at(p, PT_LBRACKET)))
		return term;
	path = new_node(p, N_PATH, p->tok);
	path->at = term->at;
	path->len = term->len;
	path->text = term->text;
	add_child(p, path, term);
	while (!p->failed && (at(p, PT_DOT) || at(p, PT_LBRACKET)))
		add_child(p, path, at(p, PT_DOT) ? parse_dot(p, simple) : parse_bracket(p, simple));
	return path;
}

/* ---- operators ---- */

static int
precedence(const struct pq_token *tok)
{
	switch (tok->word) {
	case W_UNION:
	case W_EXCEPT:
	case W_INTERSECT:
		return 5;
	case W_OR:
		return 10;
	case W_AND:
		return 20;
	case W_EQ:
	case W_NE:
	case W_IS:
	case W_IS_NOT:
	case W_IN:
	case W_NOT_IN:
		return 40;
	case W_LT:
	case W_LE:
	case W_GT:
	case W_GE:
	case W_BETWEEN:
	case W_NOT_BETWEEN:
	case W_LIKE:
	case W_NOT_LIKE:
		return 50;
	case W_PLUS:
	case W_MINUS:
	case W_CONCAT:
		return 60;
	case W_STAR:
	case W_DIVIDE:
	case W_MODULO:
		return 70;
	default:
		return 0;
	}
}

/* The sign becomes part of the number; the number stays where it is in the text. */
static struct pq_node *
negate(struct parser *p, struct pq_node *number)
{
	if (number->text.data[0] == '-')
		number->text = slice_of(number->text.data + 1, number->text.len - 1);
	else
		number->text = arena_printf(p->arena, "-%.*s", SLICE_ARG(number->text));
	return number;
}

static struct pq_node *
parse_unary(struct parser *p)
{
	const struct pq_token *op = p->tok;
	struct pq_node *operand, *n;

	if (!at_word(p, W_NOT) && !at_word(p, W_PLUS) && !at_word(p, W_MINUS))
		return pq_parse_path(p, false);
	if (++p->depth > PQ_DEPTH_MAX)
		return fail(p, "Expression is nested too deeply");
	advance(p);
	operand = op->word == W_NOT ? pq_parse_expression(p, 30) : parse_unary(p);
	p->depth--;
	if (p->failed)
		return NULL;
	if (operand->type == N_NUMBER && op->word != W_NOT)
		return op->word == W_PLUS ? operand : negate(p, operand);
	n = new_node(p, N_UNARY, op);
	n->op = op->word;
	add_child(p, n, operand);
	return n;
}

/* IS BOOLEAN, IS NOT MISSING ... */
static struct pq_node *
parse_is(struct parser *p, const struct pq_token *op, struct pq_node *left)
{
	struct pq_node *n = new_node(p, N_IS, op);
	bool is_type = at(p, PT_NULL) || at(p, PT_MISSING) || (p->tok->flags & PQ_TYPE);

	if (!is_type)
		return fail(p, "Expected type name");
	n->op = op->word;
	n->text = lower_case(p, p->tok->text);
	add_child(p, n, left);
	advance(p);
	if (accept(p, PT_LPAREN)) { /* DECIMAL(5, 2): the numbers say nothing to us */
		struct pq_node *arguments = new_node(p, N_LIST, p->tok);

		parse_list(p, arguments);
		if (!expect(p, PT_RPAREN, "Expected RIGHT_PAREN"))
			return NULL;
	}
	return n;
}

static struct pq_node *
parse_right(struct parser *p, const struct pq_token *op)
{
	if (at(p, PT_EOF))
		return fail(p, "Missing right-hand side expression of infix operator");
	if ((op->word == W_IN || op->word == W_NOT_IN) && at(p, PT_LPAREN) && following(p)->word != W_SELECT &&
	    following(p)->word != W_VALUES) {
		struct pq_node *list = take_node(p, N_LIST);

		parse_list(p, list);
		return expect(p, PT_RPAREN, "Expected RIGHT_PAREN") ? list : NULL;
	}
	return pq_parse_expression(p, precedence(op));
}

/* a AND b AND c is one node, so that long conditions do not make deep trees. */
static struct pq_node *
join(struct parser *p, const struct pq_token *op, struct pq_node *left, struct pq_node *right)
{
	struct pq_node *n = left;

	if ((op->word != W_AND && op->word != W_OR) || left->type != N_BINARY || left->op != op->word) {
		n = new_node(p, N_BINARY, op);
		n->op = op->word;
		add_child(p, n, left);
	}
	add_child(p, n, right);
	return n;
}

/* What stands behind the second operand of BETWEEN and LIKE. */
static struct pq_node *
parse_third(struct parser *p, const struct pq_token *op, struct pq_node *left, struct pq_node *right)
{
	bool between = op->word == W_BETWEEN || op->word == W_NOT_BETWEEN;
	struct pq_node *n;

	if (!between && !at_word(p, W_ESCAPE))
		return join(p, op, left, right);
	if (!accept_word(p, between ? W_AND : W_ESCAPE))
		return fail(p, "Expected AND");
	if (at_end(p))
		return fail(p, between ? "Expected expression after AND" : "Expected expression after ESCAPE");
	n = new_node(p, N_TERNARY, op);
	n->op = op->word;
	add_child(p, n, left);
	add_child(p, n, right);
	add_child(p, n, pq_parse_expression(p, precedence(op)));
	return n;
}

static struct pq_node *
parse_infix(struct parser *p, struct pq_node *left)
{
	const struct pq_token *op = p->tok;
	struct pq_node *right;

	advance(p);
	if (op->word == W_IS || op->word == W_IS_NOT)
		return parse_is(p, op, left);
	right = parse_right(p, op);
	if (p->failed)
		return NULL;
	switch (op->word) {
	case W_BETWEEN:
	case W_NOT_BETWEEN:
	case W_LIKE:
	case W_NOT_LIKE:
		return parse_third(p, op, left, right);
	default:
		return join(p, op, left, right);
	}
}

struct pq_node *
pq_parse_expression(struct parser *p, int above)
{
	struct pq_node *n;

	if (p->failed || ++p->depth > PQ_DEPTH_MAX)
		return fail(p, "Expression is nested too deeply");
	n = parse_unary(p);
	while (!p->failed && precedence(p->tok) > above && precedence(p->tok) > 0)
		n = parse_infix(p, n);
	p->depth--;
	return p->failed ? NULL : n;
}

/* ---- statements ---- */

/* What a statement is that is none: the names are those of the language's own tree. */
static const char *
operation_name(const struct pq_node *n)
{
	static const char *const by_type[] = {
	    [N_NAME] = "Id",         [N_PATH] = "Path", [N_STRING] = "Lit",      [N_NUMBER] = "Lit",
	    [N_TRUE] = "Lit",        [N_FALSE] = "Lit", [N_NULL] = "Lit",        [N_MISSING] = "Missing",
	    [N_PARAM] = "Parameter", [N_LIST] = "List", [N_BAG] = "Bag",         [N_STRUCT] = "Struct",
	    [N_CALL] = "Call",       [N_IS] = "IsType", [N_TERNARY] = "Between", [N_CHANGE] = "Dml",
	};
	static const char *const by_op[W_COUNT] = {
	    [W_OR] = "Or",         [W_AND] = "And",
	    [W_NOT] = "Not",       [W_EQ] = "Eq",
	    [W_NE] = "Ne",         [W_LT] = "Lt",
	    [W_LE] = "Lte",        [W_GT] = "Gt",
	    [W_GE] = "Gte",        [W_IN] = "InCollection",
	    [W_NOT_IN] = "Not",    [W_LIKE] = "Like",
	    [W_NOT_LIKE] = "Not",  [W_PLUS] = "Plus",
	    [W_MINUS] = "Minus",   [W_STAR] = "Times",
	    [W_DIVIDE] = "Divide", [W_MODULO] = "Modulo",
	    [W_CONCAT] = "Concat", [W_UNION] = "Union",
	    [W_EXCEPT] = "Except", [W_INTERSECT] = "Intersect",
	};

	if (n->type == N_BINARY || n->type == N_UNARY)
		return by_op[n->op];
	return by_type[n->type];
}

static bool
classify(const struct pq_node *n, struct partiql *p)
{
	const struct pq_change *c;

	p->root = (struct pq_node *)n;
	if (n->type == N_CALL && slice_eq(n->text, SLICE("exists")) && n->count == 1 && n->first->type == N_SELECT) {
		p->kind = PARTIQL_EXISTS;
		p->root = n->first;
		return true;
	}
	if (n->type == N_SELECT) {
		p->kind = PARTIQL_SELECT;
		return true;
	}
	if (n->type != N_CHANGE)
		return false;
	c = n->change;
	p->kind = c->delete ? PARTIQL_DELETE : PARTIQL_UPDATE;
	for (const struct pq_action *a = c->actions; a != NULL; a = a->next) {
		bool insert = a->word != W_SET && a->word != W_REMOVE;

		if (insert && (c->sources != NULL || c->actions->next != NULL))
			return false;
		if (insert)
			p->kind = PARTIQL_INSERT;
	}
	return c->sources != NULL || p->kind == PARTIQL_INSERT;
}

enum status
partiql_parse(struct slice text, struct arena *arena, struct partiql **ret, struct err *err)
{
	struct parser p = {.arena = arena, .err = err};
	struct partiql *statement = ARENA_NEW(arena, struct partiql);
	struct pq_token *tokens;
	struct pq_node *root;
	uint32_t count;
	enum status s = pq_lex(text, arena, &tokens, &count, &statement->param_count, err);

	if (s != S_OK)
		return s;
	p.tok = tokens;
	p.end = tokens + count - 1;
	root = pq_parse_expression(&p, -1);
	if (!p.failed && !at_end(&p))
		fail(&p, at(&p, PT_SEMICOLON) ? "Unexpected token after semicolon. (Only one query is allowed.)"
					      : "Unexpected token after expression");
	if (p.failed)
		return S_VALIDATION;
	statement->text = text;
	if (!classify(root, statement))
		return err_set(err, S_VALIDATION, "Unsupported operation: %s", operation_name(root));
	*ret = statement;
	return S_OK;
}

enum partiql_kind
partiql_kind(const struct partiql *p)
{
	return p->kind;
}

void
partiql_source(const struct partiql *p, struct slice *ret_table, struct slice *ret_index)
{
	const struct pq_node *n = p->root->type == N_SELECT   ? p->root->select->sources
				  : p->kind == PARTIQL_INSERT ? p->root->change->actions->path
							      : p->root->change->sources;

	*ret_table = *ret_index = SLICE_NONE;
	if (n->next != NULL)
		return;
	if (n->type == N_NAME)
		*ret_table = n->text;
	if (n->type == N_PATH && n->count == 2 && n->first->type == N_NAME && n->last->type == N_FIELD) {
		*ret_table = n->first->text;
		*ret_index = n->last->text;
	}
}
