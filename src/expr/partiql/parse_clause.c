/* The clauses of statements. What a clause says, statement.c looks at. */
#include "expr/partiql/parse_int.h"

/* ---- SELECT ---- */

static bool
is_name(const struct pq_token *tok)
{
	return tok->type == PT_IDENT || tok->type == PT_QUOTED;
}

/* [AS] name, and where FROM may have them AT name and BY name. */
static void
parse_aliases(struct parser *p, bool source, bool *alias)
{
	static const struct {
		enum pq_token_type type;
		const char *expected;
	} kinds[] = {{PT_AS, "Expected identifier for AS-alias"},
		     {PT_AT, "Expected identifier for AT-alias"},
		     {PT_BY, "Expected identifier for BY-alias"}};

	for (size_t i = 0; i < (source ? 3 : 1) && !p->failed; i++) {
		bool named = accept(p, kinds[i].type);

		if (!named && (i > 0 || !is_name(p->tok)))
			continue;
		if (!is_name(p->tok)) {
			fail(p, kinds[i].expected);
			return;
		}
		advance(p);
		*alias = true;
	}
}

static struct pq_node *
link_node(struct pq_node *first, struct pq_node **last, struct pq_node *n)
{
	if (first == NULL)
		first = n;
	else
		(*last)->next = n;
	*last = n;
	return first;
}

static struct pq_node *
parse_sources(struct parser *p, bool *alias)
{
	struct pq_node *first = NULL, *last = NULL;

	do {
		struct pq_node *n = pq_parse_expression(p, -1);

		if (p->failed)
			return NULL;
		first = link_node(first, &last, n);
		parse_aliases(p, true, alias);
		if (last != first && accept_word(p, W_ON))
			pq_parse_expression(p, -1);
	} while (accept(p, PT_COMMA) || accept_word(p, W_JOIN));
	return first;
}

static void
parse_items(struct parser *p, struct pq_select *s)
{
	struct pq_node *last = NULL;
	uint32_t count = 0;
	bool star = false;

	do {
		struct pq_node *n;

		count++;
		if (at_word(p, W_STAR)) {
			advance(p);
			star = true;
			continue;
		}
		n = pq_parse_expression(p, -1);
		if (p->failed)
			return;
		s->items = link_node(s->items, &last, n);
		parse_aliases(p, false, &s->alias);
	} while (accept(p, PT_COMMA));
	if (star && count > 1)
		fail(p,
		     "Other expressions may not be present in the select list when '*' is used without dot notation.");
}

static void
note_unsupported(struct pq_select *s, const struct pq_token *tok)
{
	if (s->unsupported.word == W_NONE)
		s->unsupported = *tok;
}

static void
parse_order(struct parser *p, struct pq_select *s)
{
	struct pq_order **end = &s->order;

	if (!accept_word(p, W_ORDER) || !expect(p, PT_BY, "Expected BY"))
		return;
	do {
		struct pq_order *order = ARENA_NEW(p->arena, struct pq_order);

		order->value = pq_parse_expression(p, -1);
		order->descending = accept_word(p, W_DESC);
		if (!order->descending)
			accept_word(p, W_ASC);
		*end = order;
		end = &order->next;
	} while (accept(p, PT_COMMA));
}

/* Clauses that only have to be recognised. */
static void
parse_foreign_clauses(struct parser *p, struct pq_select *s)
{
	bool alias = false;

	if (at_word(p, W_GROUP)) {
		note_unsupported(s, p->tok);
		advance(p);
		if (!expect(p, PT_BY, "Expected BY"))
			return;
		do {
			pq_parse_expression(p, -1);
			parse_aliases(p, false, &alias);
		} while (accept(p, PT_COMMA));
	}
	while (!p->failed && (at_word(p, W_HAVING) || at_word(p, W_LIMIT) || at_word(p, W_OFFSET))) {
		note_unsupported(s, p->tok);
		advance(p);
		pq_parse_expression(p, -1);
	}
}

struct pq_node *
pq_parse_select(struct parser *p)
{
	struct pq_node *n = take_node(p, N_SELECT);
	struct pq_select *s = ARENA_NEW(p->arena, struct pq_select);

	n->select = s;
	if (at_word(p, W_DISTINCT))
		note_unsupported(s, p->tok);
	if (at_word(p, W_DISTINCT) || at_word(p, W_ALL))
		advance(p);
	if (at_word(p, W_VALUE)) {
		note_unsupported(s, p->tok);
		advance(p);
	}
	parse_items(p, s);
	if (p->failed)
		return NULL;
	if (!accept_word(p, W_FROM))
		return fail(p, "Expected FROM after SELECT list");
	s->sources = parse_sources(p, &s->alias);
	if (accept_word(p, W_WHERE))
		s->where = pq_parse_expression(p, -1);
	parse_order(p, s);
	parse_foreign_clauses(p, s);
	return p->failed ? NULL : n;
}

/* ---- INSERT, UPDATE, DELETE ---- */

static void
parse_insert(struct parser *p, struct pq_change *c, struct pq_action *a)
{
	a->path = pq_parse_path(p, true);
	a->word = accept_word(p, W_VALUE) ? W_INSERT_INTO : W_VALUES;
	if (!p->failed)
		a->value = pq_parse_expression(p, -1);
	if (a->word == W_INSERT_INTO && at_word(p, W_RETURNING)) /* refused later */
		c->returning_in_insert = true;
}

static struct pq_action *
new_action(struct parser *p, struct pq_action **end, enum pq_word word)
{
	struct pq_action *a = ARENA_NEW(p->arena, struct pq_action);

	a->word = word;
	return *end = a;
}

static struct pq_action **
parse_set(struct parser *p, struct pq_action **end)
{
	do {
		struct pq_action *a = new_action(p, end, W_SET);

		a->path = pq_parse_path(p, true);
		if (p->failed)
			return end;
		if (!accept_word(p, W_EQ)) {
			fail(p, "Expected '='");
			return end;
		}
		a->value = pq_parse_expression(p, -1);
		end = &a->next;
	} while (accept(p, PT_COMMA));
	return end;
}

/* SET ..., REMOVE ... as often as they come, or INSERT INTO. */
static void
parse_actions(struct parser *p, struct pq_change *c)
{
	struct pq_action **end = &c->actions;

	while (!p->failed && (at_word(p, W_SET) || at_word(p, W_REMOVE) || at_word(p, W_INSERT_INTO))) {
		enum pq_word word = (enum pq_word)p->tok->word;

		advance(p);
		if (word == W_SET) {
			end = parse_set(p, end);
			continue;
		}
		new_action(p, end, word);
		if (word == W_INSERT_INTO) {
			parse_insert(p, c, *end);
		} else {
			(*end)->path = pq_parse_path(p, true);
			while (accept(p, PT_COMMA)) { /* REMOVE a, b */
				end = &(*end)->next;
				new_action(p, end, word)->path = pq_parse_path(p, true);
			}
		}
		end = &(*end)->next;
	}
	if (c->actions == NULL)
		fail(p, "Expected data manipulation");
}

static void
parse_where(struct parser *p, struct pq_change *c)
{
	if (accept_word(p, W_WHERE))
		c->where = pq_parse_expression(p, -1);
}

static void
parse_returning(struct parser *p, struct pq_change *c)
{
	static const uint8_t kinds[] = {[W_ALL_OLD] = PARTIQL_ALL_OLD,
					[W_ALL_NEW] = PARTIQL_ALL_NEW,
					[W_MODIFIED_OLD] = PARTIQL_MODIFIED_OLD,
					[W_MODIFIED_NEW] = PARTIQL_MODIFIED_NEW};

	if (!accept_word(p, W_RETURNING))
		return;
	if (p->tok->word < W_ALL_OLD || p->tok->word > W_MODIFIED_NEW) {
		fail(p, "Expected ( MODIFIED | ALL ) ( NEW | OLD ) in each returning element.");
		return;
	}
	c->returning = (enum partiql_returning)kinds[p->tok->word];
	advance(p);
	if (!accept_word(p, W_STAR) || at(p, PT_COMMA))
		fail(p, "Unsupported syntax in RETURNING columns.");
}

static struct pq_node *
new_change(struct parser *p)
{
	struct pq_node *n = new_node(p, N_CHANGE, p->tok);

	n->change = ARENA_NEW(p->arena, struct pq_change);
	return n;
}

struct pq_node *
pq_parse_table_change(struct parser *p, bool delete)
{
	struct pq_node *n = new_change(p);
	struct pq_change *c = n->change;

	c->delete = delete;
	c->sources = pq_parse_path(p, true);
	if (!p->failed)
		parse_aliases(p, true, &c->alias);
	if (!p->failed && !delete)
		parse_actions(p, c);
	parse_where(p, c);
	parse_returning(p, c);
	return p->failed ? NULL : n;
}

struct pq_node *
pq_parse_from_first(struct parser *p)
{
	struct pq_node *n = new_change(p);
	struct pq_change *c = n->change;

	c->sources = parse_sources(p, &c->alias);
	parse_where(p, c);
	if (!p->failed)
		parse_actions(p, c);
	parse_returning(p, c);
	return p->failed ? NULL : n;
}

struct pq_node *
pq_parse_bare_change(struct parser *p)
{
	struct pq_node *n = new_change(p);

	parse_actions(p, n->change);
	if (n->change->returning_in_insert)
		parse_returning(p, n->change);
	return p->failed ? NULL : n;
}
