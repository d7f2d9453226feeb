/*
 * CBOR (RFC 8949): a scan that knows when items are complete, a reader that pulls, a writer that appends. Nothing of
 * DynamoDB or DAX here.
 *
 * The scan walks heads only and goes on where it stopped, so that a message that arrives byte by byte is looked at
 * once. What is accepted: integers, definite byte and text strings, arrays and maps of both kinds, tags, floats, true,
 * false, null. Refused: chunked strings, other simple values, reserved heads, nesting beyond a limit, lengths beyond
 * one.
 *
 * The reader latches its first failure (cbor_failed), after which every call returns nothing quickly, so callers check
 * once at the end. Strings are slices of the input.
 */
#ifndef STATOR_CODEC_CBOR_H
#define STATOR_CODEC_CBOR_H

#include "base/buf.h"

/* --- is it all there? --- */

#define CBOR_SCAN_DEPTH 48 /* containers within containers; one level costs 8 bytes in each scan */

struct cbor_scan {
	size_t at;        /* bytes known to belong to the items */
	size_t max_bytes; /* of all of them */
	int depth;
	uint64_t left[CBOR_SCAN_DEPTH + 1]; /* items to come at each level; see cbor.c for indefinite ones */
};
enum cbor_progress { CBOR_MORE, CBOR_DONE, CBOR_BAD };

/* Expect `items` items of at most max_bytes in all. */
void cbor_scan_init(struct cbor_scan *s, uint64_t items, size_t max_bytes);
/* data: everything since the start, of which s->at bytes were seen before. DONE: the items are its first s->at bytes.
 */
enum cbor_progress cbor_scan_run(struct cbor_scan *s, const void *data, size_t len);

/* --- reading --- */

enum cbor_kind {
	CBOR_NONE, /* the end, or after a failure */
	CBOR_UINT,
	CBOR_NEGATIVE, /* -1 - n */
	CBOR_BYTES,
	CBOR_TEXT,
	CBOR_ARRAY,
	CBOR_MAP,
	CBOR_TAG,
	CBOR_FALSE,
	CBOR_TRUE,
	CBOR_NULL,
	CBOR_FLOAT,
	CBOR_BREAK, /* ends an indefinite container; cbor_next() takes it */
};

struct cbor_reader {
	const uint8_t *at, *end;
	const char *failure; /* static text; NULL while all is well */
};
struct cbor_items { /* of a container being read */
	uint64_t left;
	bool indefinite;
};

static inline void
cbor_init(struct cbor_reader *r, struct slice bytes)
{
	const char *at = bytes.len > 0 ? bytes.data : "";

	*r = (struct cbor_reader){(const uint8_t *)at, (const uint8_t *)at + bytes.len, NULL};
}
static inline bool
cbor_failed(const struct cbor_reader *r)
{
	return r->failure != NULL;
}
static inline bool
cbor_at_end(const struct cbor_reader *r)
{
	return r->at == r->end;
}
void cbor_fail(struct cbor_reader *r, const char *what); /* the first one stays */
enum cbor_kind cbor_peek(const struct cbor_reader *r);

/* Each takes one item of its kind or latches a failure. */
int64_t cbor_int(struct cbor_reader *r);         /* either sign; beyond 64 bits signed is a failure */
uint64_t cbor_magnitude(struct cbor_reader *r);  /* of UINT or NEGATIVE: the n of its head */
struct slice cbor_bytes(struct cbor_reader *r);  /* a byte string */
struct slice cbor_text(struct cbor_reader *r);   /* a text string, valid UTF-8 */
struct slice cbor_string(struct cbor_reader *r); /* either, valid UTF-8 */
uint64_t cbor_tag(struct cbor_reader *r);        /* the tag's head; its item comes next */
bool cbor_bool(struct cbor_reader *r);           /* also the integers 0 and 1 */
double cbor_float(struct cbor_reader *r);        /* of any width */
bool cbor_take_null(struct cbor_reader *r);      /* false, and nothing taken, when something else comes */
void cbor_skip(struct cbor_reader *r);           /* any one item; not recursive */
struct slice cbor_raw(struct cbor_reader *r);    /* any one item, as its bytes */
struct cbor_items cbor_array(struct cbor_reader *r);
struct cbor_items cbor_map(struct cbor_reader *r);
/* Is there another element (or pair)? A container's elements need at least a byte each, so a count cannot promise more
 * than there are bytes left. */
bool cbor_next(struct cbor_reader *r, struct cbor_items *items);

bool cbor_utf8_valid(struct slice text);

/* --- writing: definite lengths, shortest heads --- */

enum cbor_major { CBOR_M_UINT, CBOR_M_NEGATIVE, CBOR_M_BYTES, CBOR_M_TEXT, CBOR_M_ARRAY, CBOR_M_MAP, CBOR_M_TAG };

void cbor_put_head(struct buf *out, enum cbor_major major, uint64_t value);
void cbor_put_int(struct buf *out, int64_t value);
void cbor_put_bytes(struct buf *out, struct slice bytes);
void cbor_put_text(struct buf *out, struct slice text);
void cbor_put_float(struct buf *out, double value); /* always 64 bits */
#define cbor_put_null(out)           buf_put_byte((out), 0xf6)
#define cbor_put_bool(out, value)    buf_put_byte((out), (value) ? 0xf5 : 0xf4)
#define cbor_put_array(out, count)   cbor_put_head((out), CBOR_M_ARRAY, (count))
#define cbor_put_map(out, count)     cbor_put_head((out), CBOR_M_MAP, (count))
#define cbor_put_map_indefinite(out) buf_put_byte((out), 0xbf)
#define cbor_put_break(out)          buf_put_byte((out), 0xff)

/*
 * A byte string around what is not yet written: mark = cbor_open_bytes(out); ... append ...; cbor_close_bytes(out,
 * mark). The content is moved when its head turns out longer than one byte.
 */
size_t cbor_open_bytes(struct buf *out);
void cbor_close_bytes(struct buf *out, size_t mark);

#endif
