/*
 * Inside the parser of PartiQL: the words to come, and the small steps that all of the grammar is made of.
 *
 *   parse.c         expressions by the precedence of operators, and what a statement is
 *   parse_clause.c  the clauses of SELECT, INSERT, UPDATE and DELETE
 *
 * After a failure no word is accepted any more and each part of the grammar gives NULL, so most check only at their
 * end.
 */
#ifndef STATOR_EXPR_PARTIQL_PARSE_INT_H
#define STATOR_EXPR_PARTIQL_PARSE_INT_H

#include "expr/partiql/partiql_int.h"

struct parser {
	const struct pq_token *tok; /* the next one */
	const struct pq_token *end; /* PT_EOF */
	struct arena *arena;
	struct err *err;
	uint32_t depth;
	uint32_t params;
	bool failed;
};

/* ---- parse.c ---- */

/* Up to an operator that binds no tighter than `above`; -1: all of it. NULL: failed, as with all of these. */
struct pq_node *pq_parse_expression(struct parser *p, int above);
/* simple: what may stand to the left of an assignment or behind FROM. */
struct pq_node *pq_parse_path(struct parser *p, bool simple);

/* ---- parse_clause.c ---- */

struct pq_node *pq_parse_select(struct parser *p);
/* UPDATE table actions WHERE, DELETE FROM table WHERE: behind UPDATE, or behind FROM. */
struct pq_node *pq_parse_table_change(struct parser *p, bool delete);
/* FROM table WHERE actions: behind FROM. */
struct pq_node *pq_parse_from_first(struct parser *p);
/* INSERT INTO; or SET and REMOVE without a table, which statement.c refuses. */
struct pq_node *pq_parse_bare_change(struct parser *p);

/* ---- steps ---- */

/* The first failure is told. Always NULL. */
static inline void *
fail(struct parser *p, const char *detail)
{
	if (!p->failed)
		err_set(p->err, S_VALIDATION, PQ_NOT_WELL "%s", detail);
	p->failed = true;
	return NULL;
}

static inline void
advance(struct parser *p)
{
	if (p->tok != p->end)
		p->tok++;
}

static inline bool
at(const struct parser *p, enum pq_token_type type)
{
	return p->tok->type == type;
}

static inline bool
at_word(const struct parser *p, enum pq_word word)
{
	return p->tok->word == word;
}

static inline const struct pq_token *
following(const struct parser *p)
{
	return p->tok != p->end ? p->tok + 1 : p->tok;
}

static inline bool
accept(struct parser *p, enum pq_token_type type)
{
	if (p->failed || !at(p, type))
		return false;
	advance(p);
	return true;
}

static inline bool
accept_word(struct parser *p, enum pq_word word)
{
	if (p->failed || !at_word(p, word))
		return false;
	advance(p);
	return true;
}

static inline bool
expect(struct parser *p, enum pq_token_type type, const char *detail)
{
	if (p->failed)
		return false;
	if (accept(p, type))
		return true;
	fail(p, detail);
	return false;
}

static inline bool
at_end(const struct parser *p)
{
	return at(p, PT_EOF) || (at(p, PT_SEMICOLON) && following(p)->type == PT_EOF);
}

static inline struct pq_node *
new_node(struct parser *p, enum pq_node_type type, const struct pq_token *tok)
{
	struct pq_node *n = ARENA_NEW(p->arena, struct pq_node);

	n->type = (uint8_t)type;
	n->at = tok->at;
	n->len = tok->len;
	n->text = tok->text;
	n->depth = 1;
	return n;
}

/* A word that stands for itself. */
static inline struct pq_node *
take_node(struct parser *p, enum pq_node_type type)
{
	struct pq_node *n = new_node(p, type, p->tok);

	advance(p);
	return n;
}

static inline void
add_child(struct parser *p, struct pq_node *n, struct pq_node *child)
{
	if (p->failed)
		return;
	if (child->depth >= PQ_DEPTH_MAX) {
		fail(p, "Expression is nested too deeply");
		return;
	}
	if (n->last != NULL)
		n->last->next = child;
	else
		n->first = child;
	n->last = child;
	n->count++;
	if (n->depth <= child->depth)
		n->depth = (uint16_t)(child->depth + 1);
}

static inline struct slice
lower_case(struct parser *p, struct slice text)
{
	char *copy = arena_alloc(p->arena, text.len);

	for (size_t i = 0; i < text.len; i++)
		copy[i] = text.data[i] >= 'A' && text.data[i] <= 'Z' ? (char)(text.data[i] - 'A' + 'a') : text.data[i];
	return slice_of(copy, text.len);
}

#endif
