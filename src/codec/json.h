/*
 * A strict JSON reader that pulls and a writer that appends. Nothing of DynamoDB here.
 *
 * The reader walks text once, without a tree: the caller asks for what it expects. It latches its first error
 * (json_failed), after which every call returns nothing quickly, so callers check once at the end. Strict: RFC 8259,
 * valid UTF-8, lone surrogates refused, depth at most JSON_DEPTH_MAX, nothing behind the value. Duplicate member names
 * are the caller's to find: it knows its names. Strings without escapes are slices of the text; others are unescaped
 * into the arena. Numbers are given as their text. SSE2 scans strings 16 bytes a step.
 *
 * A failure is either malformed text (what stands there is no JSON) or a value of another type than the caller asked
 * for (wrong_type). For the latter the texts are those of the AWS services' own reader, which clients know.
 */
#ifndef STATOR_CODEC_JSON_H
#define STATOR_CODEC_JSON_H

#include <emmintrin.h>

#include "base/arena.h"
#include "base/buf.h"

#define JSON_DEPTH_MAX 512 /* costs a bit each; an attribute value costs two levels a level */

enum json_type { JSON_NONE, JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_reader {
	const char *at;
	const char *end;
	const char *start;
	struct arena *arena;
	int depth;
	bool need_comma;     /* inside the current container */
	bool wrong_type;     /* the failure is a well-formed value of another type than asked for */
	const char *failure; /* NULL while all is well; else what is wrong: static text or in the arena */
};

void json_init(struct json_reader *r, struct slice text, struct arena *arena);

/* What comes next, without taking it; JSON_NONE after a failure, at the end, or (then it latches) when no value does.
 */
enum json_type json_peek(struct json_reader *r);

/*
 *     if (json_enter_object(r))
 *         while (json_next_member(r, &name))
 *             ... read exactly one value, or json_skip(r)
 *     if (json_enter_array(r))
 *         while (json_next_element(r))
 *             ... read exactly one value
 * The closing bracket is taken by the call that returns false.
 */
bool json_enter_object(struct json_reader *r);
bool json_next_member(struct json_reader *r, struct slice *ret_name);
bool json_enter_array(struct json_reader *r);
bool json_next_element(struct json_reader *r);

/* Each takes one value of its type, or latches a failure and returns nothing. A null is of none of these types. */
struct slice json_string(struct json_reader *r);
struct slice json_number(struct json_reader *r); /* its text; see json_want for exact words about other types */
/* true and false; and as AWS reads them, the strings "true", "1", "yes", "false", "0" and "no" in any case. */
bool json_bool(struct json_reader *r);
void json_null(struct json_reader *r);
void json_skip(struct json_reader *r);        /* any value, checked all the same; not recursive */
struct slice json_raw(struct json_reader *r); /* any value, checked, as its text */

/* After the value: only blanks may follow. Latches when something does. */
void json_end(struct json_reader *r);
void json_fail(struct json_reader *r, const char *what); /* the first one stays; static text or in the arena */
/* The same for a well-formed value that does not fit (wrong_type): its words are meant for the client. */
void json_fail_type(struct json_reader *r, const char *what);

/*
 * For the innermost loops, in line: how long the string is whose first byte is at `at`, where at least 16 bytes can be
 * read; -1 when it does not end within them or holds anything but plain ASCII without escapes.
 */
static inline int
json_short_length(const char *at)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
	unsigned quotes = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')));
	unsigned others = (unsigned)_mm_movemask_epi8(/* signed: bytes of 0x80 and more are below a space too */
						      _mm_or_si128(_mm_cmplt_epi8(v, _mm_set1_epi8(' ')),
								   _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'))));

	/* the bits below the lowest quote: none of them may be another's */
	return quotes != 0 && ((quotes - 1) & ~quotes & others) == 0 ? __builtin_ctz(quotes) : -1;
}

/*
 * What a caller expected, for the words about a value that is something else. json_string() and json_bool() use
 * them by themselves; json_number() says "Integer". Lists, maps and structures need the caller:
 *
 *     if (json_peek(r) != JSON_OBJECT) json_mismatch(r, JSON_WANT_STRUCT, "com.amazonaws.dynamodb.v20120810.Tag");
 */
enum json_want {
	JSON_WANT_BOOLEAN,
	JSON_WANT_STRING,
	JSON_WANT_INTEGER,
	JSON_WANT_LONG,
	JSON_WANT_DOUBLE,
	JSON_WANT_BLOB,
	JSON_WANT_LIST,
	JSON_WANT_MAP,        /* a map; java_class: of its values */
	JSON_WANT_STRUCT,     /* a structure as a member of a structure */
	JSON_WANT_STRUCT_ITEM /* a structure as an element of a list or a value of a map */
};
/* Latch that what comes next is not what was wanted. java_class: full name for MAP and STRUCT kinds, else unused. */
void json_mismatch(struct json_reader *r, enum json_want want, const char *java_class);

static inline bool
json_failed(const struct json_reader *r)
{
	return r->failure != NULL;
}

/* The writer: bytes appended to a buf. Commas are the caller's. */
void json_put_string(struct buf *out, struct slice text); /* quoted; escapes what JSON requires */
/*
 * For writers that reserve once for many values: the same at `to`, where the caller has made room for the text and its
 * two quotes. Returns the place behind it, or NULL when something needs an escape (what stands at `to` is then
 * rubbish): use json_put_string().
 */
char *json_write_plain(char *to, struct slice text);

/* Which of 16 bytes JSON wants escaped: a bit for each. */
static inline unsigned
json_special_of_16(__m128i v)
{
	const __m128i control = _mm_set1_epi8(0x1F);

	return (unsigned)_mm_movemask_epi8(
	    _mm_or_si128(_mm_cmpeq_epi8(_mm_max_epu8(v, control), control),
			 _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')))));
}

/* json_write_plain() in line, of at most 16 bytes of which 16 can be read: up to 17 bytes at `to` are overwritten. */
static inline char *
json_write_short(char *to, struct slice text)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)text.data);

	if ((json_special_of_16(v) & ((1u << text.len) - 1)) != 0)
		return NULL;
	*to++ = '"';
	_mm_storeu_si128((__m128i *)(void *)to, v);
	to[text.len] = '"';
	return to + text.len + 1;
}

void json_put_int(struct buf *out, int64_t value);
void json_put_double(struct buf *out, double value); /* reads back the same; 5.0 as 5.0; null when not finite */

#endif
