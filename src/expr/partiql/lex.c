/* Words of a statement. What is no word fails the statement without saying what: the service does not say either. */
#include "expr/partiql/partiql_int.h"

#include <stdlib.h>
#include <strings.h>

#define KEYWORD_MAX 20 /* bytes of the longest */

struct keyword {
	const char *text;
	uint8_t word, flags;
};

/* Sorted: keyword_find() bisects, a unit test checks. None of them can be a name unless it is quoted. */
static const struct keyword keywords[] = {
    {"absolute", W_OTHER, 0},
    {"action", W_OTHER, 0},
    {"add", W_OTHER, 0},
    {"all", W_ALL, 0},
    {"allocate", W_OTHER, 0},
    {"alter", W_OTHER, 0},
    {"any", W_OTHER, PQ_TYPE},
    {"are", W_OTHER, 0},
    {"asc", W_ASC, 0},
    {"assertion", W_OTHER, 0},
    {"authorization", W_OTHER, 0},
    {"avg", W_OTHER, PQ_FUNCTION},
    {"bag", W_OTHER, PQ_FUNCTION | PQ_TYPE},
    {"begin", W_OTHER, 0},
    {"bigint", W_OTHER, PQ_TYPE},
    {"bit", W_OTHER, 0},
    {"bit_length", W_OTHER, PQ_FUNCTION},
    {"blob", W_OTHER, PQ_TYPE},
    {"bool", W_OTHER, PQ_TYPE},
    {"boolean", W_OTHER, PQ_TYPE},
    {"can_cast", W_OTHER, 0},
    {"can_lossless_cast", W_OTHER, 0},
    {"cascade", W_OTHER, 0},
    {"cascaded", W_OTHER, 0},
    {"case", W_OTHER, 0},
    {"cast", W_OTHER, 0},
    {"catalog", W_OTHER, 0},
    {"char", W_OTHER, PQ_TYPE},
    {"char_length", W_OTHER, PQ_FUNCTION},
    {"character", W_CHARACTER, PQ_TYPE},
    {"character_length", W_OTHER, PQ_FUNCTION},
    {"check", W_OTHER, 0},
    {"clob", W_OTHER, PQ_TYPE},
    {"close", W_OTHER, 0},
    {"coalesce", W_OTHER, 0},
    {"collate", W_OTHER, 0},
    {"collation", W_OTHER, 0},
    {"column", W_OTHER, 0},
    {"commit", W_OTHER, 0},
    {"connect", W_OTHER, 0},
    {"connection", W_OTHER, 0},
    {"constraint", W_OTHER, 0},
    {"constraints", W_OTHER, 0},
    {"continue", W_OTHER, 0},
    {"convert", W_OTHER, 0},
    {"corresponding", W_OTHER, 0},
    {"count", W_OTHER, PQ_FUNCTION},
    {"create", W_OTHER, 0},
    {"cross", W_CROSS, 0},
    {"current", W_OTHER, 0},
    {"current_date", W_OTHER, 0},
    {"current_time", W_OTHER, 0},
    {"current_timestamp", W_OTHER, 0},
    {"current_user", W_OTHER, 0},
    {"cursor", W_OTHER, 0},
    {"date", W_OTHER, PQ_TYPE},
    {"date_add", W_OTHER, 0},
    {"date_diff", W_OTHER, 0},
    {"deallocate", W_OTHER, 0},
    {"dec", W_OTHER, PQ_TYPE},
    {"decimal", W_OTHER, PQ_TYPE},
    {"declare", W_OTHER, 0},
    {"default", W_OTHER, 0},
    {"deferrable", W_OTHER, 0},
    {"deferred", W_OTHER, 0},
    {"delete", W_DELETE, 0},
    {"desc", W_DESC, 0},
    {"describe", W_OTHER, 0},
    {"descriptor", W_OTHER, 0},
    {"diagnostics", W_OTHER, 0},
    {"disconnect", W_OTHER, 0},
    {"distinct", W_DISTINCT, 0},
    {"domain", W_OTHER, 0},
    {"double", W_DOUBLE, 0},
    {"drop", W_OTHER, 0},
    {"else", W_OTHER, 0},
    {"end", W_OTHER, 0},
    {"escape", W_ESCAPE, 0},
    {"exception", W_OTHER, 0},
    {"exec", W_OTHER, 0},
    {"execute", W_OTHER, 0},
    {"exists", W_OTHER, PQ_FUNCTION},
    {"external", W_OTHER, 0},
    {"extract", W_OTHER, 0},
    {"fetch", W_OTHER, 0},
    {"first", W_OTHER, 0},
    {"float", W_OTHER, PQ_TYPE},
    {"for", W_OTHER, 0},
    {"foreign", W_OTHER, 0},
    {"found", W_OTHER, 0},
    {"from", W_FROM, 0},
    {"full", W_FULL, 0},
    {"get", W_OTHER, 0},
    {"global", W_OTHER, 0},
    {"go", W_OTHER, 0},
    {"goto", W_OTHER, 0},
    {"grant", W_OTHER, 0},
    {"group", W_GROUP, 0},
    {"having", W_HAVING, 0},
    {"identity", W_OTHER, 0},
    {"immediate", W_OTHER, 0},
    {"index", W_OTHER, 0},
    {"indicator", W_OTHER, 0},
    {"initially", W_OTHER, 0},
    {"inner", W_INNER, 0},
    {"input", W_OTHER, 0},
    {"insensitive", W_OTHER, 0},
    {"insert", W_INSERT, 0},
    {"int", W_OTHER, PQ_TYPE},
    {"int2", W_OTHER, PQ_TYPE},
    {"int4", W_OTHER, PQ_TYPE},
    {"int8", W_OTHER, PQ_TYPE},
    {"integer", W_OTHER, PQ_TYPE},
    {"integer2", W_OTHER, PQ_TYPE},
    {"integer4", W_OTHER, PQ_TYPE},
    {"integer8", W_OTHER, PQ_TYPE},
    {"interval", W_OTHER, 0},
    {"into", W_INTO, 0},
    {"isolation", W_OTHER, 0},
    {"join", W_JOIN, 0},
    {"key", W_OTHER, 0},
    {"language", W_OTHER, 0},
    {"last", W_OTHER, 0},
    {"left", W_LEFT, 0},
    {"level", W_OTHER, 0},
    {"limit", W_LIMIT, 0},
    {"list", W_OTHER, PQ_FUNCTION | PQ_TYPE},
    {"local", W_OTHER, 0},
    {"lower", W_OTHER, PQ_FUNCTION},
    {"match", W_OTHER, 0},
    {"max", W_OTHER, PQ_FUNCTION},
    {"min", W_OTHER, PQ_FUNCTION},
    {"modified", W_MODIFIED, 0},
    {"module", W_OTHER, 0},
    {"names", W_OTHER, 0},
    {"national", W_OTHER, 0},
    {"natural", W_OTHER, 0},
    {"nchar", W_OTHER, 0},
    {"new", W_NEW, 0},
    {"next", W_OTHER, 0},
    {"no", W_OTHER, 0},
    {"nullif", W_OTHER, 0},
    {"numeric", W_OTHER, PQ_TYPE},
    {"octet_length", W_OTHER, PQ_FUNCTION},
    {"of", W_OTHER, 0},
    {"old", W_OLD, 0},
    {"on", W_ON, 0},
    {"only", W_OTHER, 0},
    {"open", W_OTHER, 0},
    {"option", W_OTHER, 0},
    {"order", W_ORDER, 0},
    {"outer", W_OUTER, 0},
    {"output", W_OTHER, 0},
    {"overlaps", W_OTHER, 0},
    {"pad", W_OTHER, 0},
    {"partial", W_OTHER, 0},
    {"pivot", W_OTHER, 0},
    {"position", W_OTHER, 0},
    {"precision", W_PRECISION, 0},
    {"prepare", W_OTHER, 0},
    {"preserve", W_OTHER, 0},
    {"primary", W_OTHER, 0},
    {"prior", W_OTHER, 0},
    {"privileges", W_OTHER, 0},
    {"procedure", W_OTHER, 0},
    {"public", W_OTHER, 0},
    {"read", W_OTHER, 0},
    {"real", W_OTHER, PQ_TYPE},
    {"references", W_OTHER, 0},
    {"relative", W_OTHER, 0},
    {"remove", W_REMOVE, 0},
    {"restrict", W_OTHER, 0},
    {"returning", W_RETURNING, 0},
    {"revoke", W_OTHER, 0},
    {"right", W_RIGHT, 0},
    {"rollback", W_OTHER, 0},
    {"rows", W_OTHER, 0},
    {"schema", W_OTHER, 0},
    {"scroll", W_OTHER, 0},
    {"section", W_OTHER, 0},
    {"select", W_SELECT, 0},
    {"session", W_OTHER, 0},
    {"session_user", W_OTHER, 0},
    {"set", W_SET, 0},
    {"sexp", W_OTHER, PQ_FUNCTION | PQ_TYPE},
    {"size", W_OTHER, PQ_FUNCTION},
    {"smallint", W_OTHER, PQ_TYPE},
    {"some", W_OTHER, 0},
    {"space", W_OTHER, 0},
    {"sql", W_OTHER, 0},
    {"sqlcode", W_OTHER, 0},
    {"sqlerror", W_OTHER, 0},
    {"sqlstate", W_OTHER, 0},
    {"string", W_OTHER, PQ_TYPE},
    {"struct", W_OTHER, PQ_TYPE},
    {"substring", W_OTHER, 0},
    {"sum", W_OTHER, PQ_FUNCTION},
    {"symbol", W_OTHER, PQ_TYPE},
    {"system_user", W_OTHER, 0},
    {"table", W_OTHER, 0},
    {"temporary", W_OTHER, 0},
    {"then", W_OTHER, 0},
    {"time", W_OTHER, PQ_TYPE},
    {"timestamp", W_OTHER, PQ_TYPE},
    {"to", W_OTHER, 0},
    {"transaction", W_OTHER, 0},
    {"translate", W_OTHER, 0},
    {"translation", W_OTHER, 0},
    {"trim", W_OTHER, 0},
    {"tuple", W_OTHER, PQ_TYPE},
    {"unique", W_OTHER, 0},
    {"unknown", W_OTHER, 0},
    {"unpivot", W_OTHER, 0},
    {"update", W_UPDATE, 0},
    {"upper", W_OTHER, PQ_FUNCTION},
    {"usage", W_OTHER, 0},
    {"user", W_OTHER, 0},
    {"using", W_OTHER, 0},
    {"value", W_VALUE, 0},
    {"values", W_VALUES, 0},
    {"varchar", W_OTHER, PQ_TYPE},
    {"varying", W_VARYING, 0},
    {"view", W_OTHER, 0},
    {"when", W_OTHER, 0},
    {"whenever", W_OTHER, 0},
    {"where", W_WHERE, 0},
    {"with", W_OTHER, 0},
    {"work", W_OTHER, 0},
    {"write", W_OTHER, 0},
    {"zone", W_OTHER, 0},
};

/* Words that are no plain keywords. */
static const struct {
	const char *text;
	uint8_t type, word;
} specials[] = {
    {"and", PT_OPERATOR, W_AND},         {"as", PT_AS, W_NONE},           {"at", PT_AT, W_NONE},
    {"between", PT_OPERATOR, W_BETWEEN}, {"by", PT_BY, W_NONE},           {"except", PT_OPERATOR, W_EXCEPT},
    {"false", PT_FALSE, W_NONE},         {"in", PT_OPERATOR, W_IN},       {"intersect", PT_OPERATOR, W_INTERSECT},
    {"is", PT_OPERATOR, W_IS},           {"like", PT_OPERATOR, W_LIKE},   {"missing", PT_MISSING, W_NONE},
    {"not", PT_OPERATOR, W_NOT},         {"null", PT_NULL, W_NONE},       {"or", PT_OPERATOR, W_OR},
    {"true", PT_TRUE, W_NONE},           {"union", PT_OPERATOR, W_UNION},
};

/* Two words that are one. */
static const struct {
	uint8_t first, second, both, type, flags;
} merges[] = {
    {W_NOT, W_IN, W_NOT_IN, PT_OPERATOR, 0},
    {W_IS, W_NOT, W_IS_NOT, PT_OPERATOR, 0},
    {W_NOT, W_BETWEEN, W_NOT_BETWEEN, PT_OPERATOR, 0},
    {W_NOT, W_LIKE, W_NOT_LIKE, PT_OPERATOR, 0},
    {W_UNION, W_ALL, W_UNION, PT_OPERATOR, 0},
    {W_UNION, W_DISTINCT, W_UNION, PT_OPERATOR, 0},
    {W_EXCEPT, W_ALL, W_EXCEPT, PT_OPERATOR, 0},
    {W_EXCEPT, W_DISTINCT, W_EXCEPT, PT_OPERATOR, 0},
    {W_INTERSECT, W_ALL, W_INTERSECT, PT_OPERATOR, 0},
    {W_INTERSECT, W_DISTINCT, W_INTERSECT, PT_OPERATOR, 0},
    {W_INSERT, W_INTO, W_INSERT_INTO, PT_KEYWORD, 0},
    {W_ALL, W_OLD, W_ALL_OLD, PT_KEYWORD, 0},
    {W_ALL, W_NEW, W_ALL_NEW, PT_KEYWORD, 0},
    {W_MODIFIED, W_OLD, W_MODIFIED_OLD, PT_KEYWORD, 0},
    {W_MODIFIED, W_NEW, W_MODIFIED_NEW, PT_KEYWORD, 0},
    {W_DOUBLE, W_PRECISION, W_OTHER, PT_KEYWORD, PQ_TYPE},
    {W_CHARACTER, W_VARYING, W_OTHER, PT_KEYWORD, PQ_TYPE},
    {W_CROSS, W_JOIN, W_JOIN, PT_KEYWORD, 0},
    {W_INNER, W_JOIN, W_JOIN, PT_KEYWORD, 0},
    {W_LEFT, W_JOIN, W_JOIN, PT_KEYWORD, 0},
    {W_RIGHT, W_JOIN, W_JOIN, PT_KEYWORD, 0},
    {W_FULL, W_JOIN, W_JOIN, PT_KEYWORD, 0},
    {W_OUTER, W_JOIN, W_JOIN, PT_KEYWORD, 0},
};

struct lexer {
	struct slice text;
	size_t at;
	struct arena *arena;
	struct pq_token *tokens;
	uint32_t count, room, params;
};

static const struct keyword *
keyword_find(struct slice word)
{
	size_t low = 0, high = sizeof keywords / sizeof *keywords;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = slice_cmp(slice_str(keywords[middle].text), word);

		if (order == 0)
			return &keywords[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const char *
pq_keyword(size_t i)
{
	return i < sizeof keywords / sizeof *keywords ? keywords[i].text : NULL;
}

static int
peek(const struct lexer *l, size_t ahead)
{
	return l->at + ahead < l->text.len ? (unsigned char)l->text.data[l->at + ahead] : -1;
}

static bool
is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static bool
is_name_start(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$';
}

/* ---- tokens ---- */

static void
merge(struct lexer *l)
{
	struct pq_token *first, *second;

	while (l->count >= 2) {
		bool merged = false;

		first = &l->tokens[l->count - 2];
		second = &l->tokens[l->count - 1];
		for (size_t i = 0; i < sizeof merges / sizeof *merges && !merged; i++) {
			if (first->word != merges[i].first || second->word != merges[i].second)
				continue;
			first->word = merges[i].both;
			first->type = merges[i].type;
			first->flags = merges[i].flags;
			first->len = second->at + second->len - first->at;
			first->text = slice_of(l->text.data + first->at, first->len);
			merged = true;
		}
		if (!merged)
			return;
		l->count--;
	}
}

static void
push(struct lexer *l, struct pq_token token)
{
	if (l->count == l->room) {
		struct pq_token *more;

		l->room = l->room == 0 ? 64 : 2 * l->room;
		more = arena_alloc(l->arena, l->room * sizeof *more);
		if (l->count > 0)
			memcpy(more, l->tokens, l->count * sizeof *more);
		l->tokens = more;
	}
	l->tokens[l->count++] = token;
	if (token.word > W_OTHER)
		merge(l);
}

static void
take(struct lexer *l, enum pq_token_type type, enum pq_word word, size_t len)
{
	push(l, (struct pq_token){.type = (uint8_t)type,
				  .word = (uint8_t)word,
				  .at = (uint32_t)l->at,
				  .len = (uint32_t)len,
				  .text = slice_of(l->text.data + l->at, len)});
	l->at += len;
}

static void
take_word(struct lexer *l)
{
	char lower[KEYWORD_MAX];
	const struct keyword *keyword = NULL;
	struct slice word;
	size_t len = 1;

	while (is_name_start(peek(l, len)) || is_digit(peek(l, len)))
		len++;
	if (len > sizeof lower) {
		take(l, PT_IDENT, W_NONE, len);
		return;
	}
	for (size_t i = 0; i < len; i++) {
		char c = l->text.data[l->at + i];

		lower[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
	}
	word = slice_of(lower, len);
	for (size_t i = 0; i < sizeof specials / sizeof *specials; i++)
		if (slice_eq(slice_str(specials[i].text), word)) {
			take(l, specials[i].type, specials[i].word, len);
			return;
		}
	keyword = keyword_find(word);
	if (keyword == NULL) {
		take(l, PT_IDENT, W_NONE, len);
		return;
	}
	push(l, (struct pq_token){.type = PT_KEYWORD,
				  .word = keyword->word,
				  .flags = keyword->flags,
				  .at = (uint32_t)l->at,
				  .len = (uint32_t)len,
				  .text = slice_of(l->text.data + l->at, len)});
	l->at += len;
}

/* 'it''s', "a""b": a doubled quote is one. */
static bool
take_quoted(struct lexer *l, char quote, enum pq_token_type type)
{
	size_t start = l->at, doubled = 0, len;
	struct pq_token token = {.type = (uint8_t)type, .at = (uint32_t)start};
	char *copy;

	for (l->at++;; l->at++) {
		if (peek(l, 0) < 0)
			return false;
		if (peek(l, 0) != quote)
			continue;
		if (peek(l, 1) != quote)
			break;
		doubled++;
		l->at++;
	}
	l->at++;
	token.len = (uint32_t)(l->at - start);
	token.text = slice_of(l->text.data + start + 1, token.len - 2);
	if (doubled > 0) {
		copy = arena_alloc(l->arena, token.text.len);
		len = 0;
		for (size_t i = 0; i < token.text.len; i++) {
			copy[len++] = token.text.data[i];
			if (token.text.data[i] == quote)
				i++;
		}
		token.text = slice_of(copy, len);
	}
	push(l, token);
	return true;
}

/* An exponent and the scale it leaves must fit 32 bits, as they must in Java's decimals. */
static bool
scale_fits(struct slice exponent, bool negative, size_t fraction)
{
	int64_t value = 0;

	for (size_t i = 0; i < exponent.len; i++) {
		value = value * 10 + (exponent.data[i] - '0');
		if (value > (int64_t)INT32_MAX + 1)
			return false;
	}
	if (negative)
		value = -value;
	return value <= INT32_MAX && (int64_t)fraction - value <= INT32_MAX;
}

/* 12, 12.5, 12., .5 and each of them with an exponent. */
static bool
take_number(struct lexer *l)
{
	size_t len = 0, fraction = 0, digits;
	bool negative = false;

	while (is_digit(peek(l, len)))
		len++;
	if (peek(l, len) == '.') {
		for (len++; is_digit(peek(l, len)); len++)
			fraction++;
	}
	if (peek(l, len) == 'e' || peek(l, len) == 'E') {
		len++;
		if (peek(l, len) == '+' || peek(l, len) == '-')
			negative = peek(l, len++) == '-';
		for (digits = 0; is_digit(peek(l, len + digits)); digits++)
			;
		if (digits == 0 || !scale_fits(slice_of(l->text.data + l->at + len, digits), negative, fraction))
			return false;
		len += digits;
	}
	take(l, PT_NUMBER, W_NONE, len);
	return true;
}

/* White space and comments. False: a comment that does not end. */
static bool
skip_blanks(struct lexer *l)
{
	for (;;) {
		int c = peek(l, 0);

		if (c == ' ' || (c >= '\t' && c <= '\r')) {
			l->at++;
		} else if (c == '-' && peek(l, 1) == '-') {
			while (peek(l, 0) >= 0 && peek(l, 0) != '\n' && peek(l, 0) != '\r')
				l->at++;
		} else if (c == '/' && peek(l, 1) == '*') {
			const char *end = memmem(l->text.data + l->at + 2, l->text.len - l->at - 2, "*/", 2);

			if (end == NULL)
				return false;
			l->at = (size_t)(end - l->text.data) + 2;
		} else {
			return true;
		}
	}
}

/* Longer ones first. */
static bool
take_sign(struct lexer *l)
{
	static const struct {
		char text[3];
		uint8_t type, word;
	} signs[] = {
	    {"<<", PT_LBAG, W_NONE},       {">>", PT_RBAG, W_NONE},      {"<=", PT_OPERATOR, W_LE},
	    {">=", PT_OPERATOR, W_GE},     {"<>", PT_OPERATOR, W_NE},    {"!=", PT_OPERATOR, W_NE},
	    {"||", PT_OPERATOR, W_CONCAT}, {"<", PT_OPERATOR, W_LT},     {">", PT_OPERATOR, W_GT},
	    {"=", PT_OPERATOR, W_EQ},      {"+", PT_OPERATOR, W_PLUS},   {"-", PT_OPERATOR, W_MINUS},
	    {"*", PT_OPERATOR, W_STAR},    {"/", PT_OPERATOR, W_DIVIDE}, {"%", PT_OPERATOR, W_MODULO},
	    {"@", PT_OPERATOR, W_AT_SIGN}, {"?", PT_PARAM, W_NONE},      {".", PT_DOT, W_NONE},
	    {",", PT_COMMA, W_NONE},       {":", PT_COLON, W_NONE},      {";", PT_SEMICOLON, W_NONE},
	    {"(", PT_LPAREN, W_NONE},      {")", PT_RPAREN, W_NONE},     {"[", PT_LBRACKET, W_NONE},
	    {"]", PT_RBRACKET, W_NONE},    {"{", PT_LBRACE, W_NONE},     {"}", PT_RBRACE, W_NONE},
	};

	for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
		size_t len = strlen(signs[i].text);

		if (peek(l, 0) != signs[i].text[0] || (len == 2 && peek(l, 1) != signs[i].text[1]))
			continue;
		l->params += signs[i].type == PT_PARAM;
		take(l, signs[i].type, signs[i].word, len);
		return true;
	}
	return false;
}

static bool
take_token(struct lexer *l)
{
	int c = peek(l, 0);

	if (is_name_start(c)) {
		take_word(l);
		return true;
	}
	if (is_digit(c) || (c == '.' && is_digit(peek(l, 1))))
		return take_number(l);
	if (c == '\'')
		return take_quoted(l, '\'', PT_STRING);
	if (c == '"')
		return take_quoted(l, '"', PT_QUOTED);
	return take_sign(l);
}

enum status
pq_lex(struct slice text, struct arena *arena, struct pq_token **ret, uint32_t *ret_count, uint32_t *ret_params,
       struct err *err)
{
	struct lexer l = {.text = text, .arena = arena};
	bool ok = skip_blanks(&l);

	while (ok && l.at < text.len)
		ok = take_token(&l) && skip_blanks(&l);
	if (!ok)
		return err_set(err, S_VALIDATION, "%s", PQ_NOT_WELL);
	take(&l, PT_EOF, W_NONE, 0);
	*ret = l.tokens;
	*ret_count = l.count;
	*ret_params = l.params;
	return S_OK;
}
