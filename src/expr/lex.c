#include "expr/expr_int.h"

#include <strings.h>

/* Classes of bytes; anything else makes a T_BAD token. */
enum { C_LETTER = 1, C_DIGIT = 2, C_WORD = 4, C_SPACE = 8 };

static inline unsigned
class_of(char c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
		return C_LETTER | C_WORD;
	if (c >= '0' && c <= '9')
		return C_DIGIT | C_WORD;
	if (c == '_')
		return C_WORD;
	if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
		return C_SPACE;
	return 0;
}

static const struct {
	char word[8];
	uint8_t len;
	bool of_update; /* else of conditions */
	enum token_type type;
} keywords[] = {
    {"AND", 3, false, T_AND},         {"OR", 2, false, T_OR},  {"NOT", 3, false, T_NOT},
    {"BETWEEN", 7, false, T_BETWEEN}, {"IN", 2, false, T_IN},  {"SET", 3, true, T_SET},
    {"REMOVE", 6, true, T_REMOVE},    {"ADD", 3, true, T_ADD}, {"DELETE", 6, true, T_DELETE},
};

static enum token_type
word_type(enum expr_kind kind, const char *word, size_t len)
{
	if (kind == EXPR_PROJECTION || len < 2 || len > 7)
		return T_IDENT;
	for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
		if (keywords[i].of_update == (kind == EXPR_UPDATE) && keywords[i].len == len &&
		    strncasecmp(keywords[i].word, word, len) == 0)
			return keywords[i].type;
	return T_IDENT;
}

static size_t
run_of(struct slice text, size_t at, unsigned class)
{
	size_t end = at;

	while (end < text.len && (class_of(text.data[end]) & class))
		end++;
	return end - at;
}

/* Whole characters, so that messages stay UTF-8. */
static size_t
character_len(struct slice text, size_t at)
{
	size_t len = 1;

	while (at + len < text.len && ((unsigned char)text.data[at + len] & 0xC0) == 0x80)
		len++;
	return len;
}

static struct token
token(enum token_type type, size_t at, size_t len)
{
	return (struct token){type, (uint32_t)at, (uint32_t)len};
}

static struct token
lex_word(enum expr_kind kind, struct slice text, size_t at)
{
	char c = text.data[at];
	size_t len;

	if (c == '#' || c == ':') {
		len = run_of(text, at + 1, C_WORD);
		if (len == 0)
			return token(T_BAD, at, 1);
		return token(c == '#' ? T_NAME : T_VALUE, at, len + 1);
	}
	if (class_of(c) & C_LETTER) {
		len = run_of(text, at, C_WORD);
		return token(word_type(kind, text.data + at, len), at, len);
	}
	if (class_of(c) & C_DIGIT)
		return token(T_NUMBER, at, run_of(text, at, C_DIGIT));
	return token(T_BAD, at, character_len(text, at)); /* an underscore too: names begin with a letter */
}

struct token
lex(enum expr_kind kind, struct slice text, size_t at)
{
	char next;

	at += run_of(text, at, C_SPACE);
	if (at == text.len)
		return token(T_EOF, at, 0);
	next = at + 1 < text.len ? text.data[at + 1] : '\0';
	switch (text.data[at]) {
	case '(':
		return token(T_LPAREN, at, 1);
	case ')':
		return token(T_RPAREN, at, 1);
	case '[':
		return token(T_LBRACKET, at, 1);
	case ']':
		return token(T_RBRACKET, at, 1);
	case ',':
		return token(T_COMMA, at, 1);
	case '.':
		return token(T_DOT, at, 1);
	case '+':
		return token(T_PLUS, at, 1);
	case '-':
		return token(T_MINUS, at, 1);
	case '=':
		return token(T_EQ, at, 1);
	case '<':
		if (next == '>')
			return token(T_NE, at, 2);
		return next == '=' ? token(T_LE, at, 2) : token(T_LT, at, 1);
	case '>':
		return next == '=' ? token(T_GE, at, 2) : token(T_GT, at, 1);
	default:
		return lex_word(kind, text, at);
	}
}
