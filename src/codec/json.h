/*
 * A strict JSON reader that pulls and a writer that appends. Nothing of DynamoDB here.
 *
 * The reader walks text once, without a tree: the caller asks for what it expects. It latches its first error
 * (json_failed), after which every call returns nothing quickly, so callers check once at the end. Strict: RFC 8259,
 * valid UTF-8, no duplicate member names where the caller asks for the check, depth at most JSON_DEPTH_MAX, nothing
 * behind the value. Strings without escapes are slices of the text; others are unescaped into the arena. Numbers are
 * given as their text. SSE2 scans strings 16 bytes a step.
 */
#ifndef STATOR_CODEC_JSON_H
#define STATOR_CODEC_JSON_H

#include "base/arena.h"
#include "base/buf.h"

#define JSON_DEPTH_MAX 128

enum json_type { JSON_NONE, JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_reader {
	const char   *at;
	const char   *end;
	const char   *start;
	struct arena *arena;
	int           depth;
	bool          need_comma; /* inside the current container */
	const char   *failure;    /* NULL while all is well; else what is wrong, static text */
};

void json_init(struct json_reader *r, struct slice text, struct arena *arena);

/* What comes next, without taking it; JSON_NONE after a failure or at the end. */
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

/* Each takes one value of its type, or latches a failure and returns nothing. */
struct slice json_string(struct json_reader *r);
struct slice json_number(struct json_reader *r); /* its text */
bool         json_bool(struct json_reader *r);
void         json_null(struct json_reader *r);
void         json_skip(struct json_reader *r);   /* any value, checked all the same; not recursive */
struct slice json_raw(struct json_reader *r);    /* any value, checked, as its text */

/* After the value: only blanks may follow. Latches when something does. */
void json_end(struct json_reader *r);
void json_fail(struct json_reader *r, const char *what);
static inline bool
json_failed(const struct json_reader *r)
{
	return r->failure != NULL;
}

/* The writer: bytes appended to a buf. Commas are the caller's. */
void json_put_string(struct buf *out, struct slice text); /* quoted; escapes what JSON requires */
void json_put_int(struct buf *out, int64_t value);
void json_put_double(struct buf *out, double value);      /* shortest text that reads back the same; 5.0 as 5.0 */

#endif
