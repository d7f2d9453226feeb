/*
 * A growing run of bytes on the heap: replies, encoded items, engine keys.
 *
 * Growth never fails visibly (see arena.h for why); what is written into one is
 * bounded by whoever writes. A zeroed buf is empty and ready.
 */
#ifndef STATOR_BASE_BUF_H
#define STATOR_BASE_BUF_H

#include "base/slice.h"

struct buf {
	char *data;
	size_t len;
	size_t cap;
};

void buf_done(struct buf *b);
void buf_grow(struct buf *b, size_t more); /* room for `more` bytes behind len */
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline void
buf_reserve(struct buf *b, size_t more)
{
	if (b->cap - b->len < more)
		buf_grow(b, more);
}

static inline void
buf_put(struct buf *b, const void *data, size_t len)
{
	if (len == 0)
		return;
	buf_reserve(b, len);
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

static inline void
buf_put_slice(struct buf *b, struct slice s)
{
	buf_put(b, s.data, s.len);
}

static inline void
buf_put_byte(struct buf *b, uint8_t byte)
{
	buf_reserve(b, 1);
	b->data[b->len++] = (char)byte;
}

#define buf_put_lit(b, literal) buf_put((b), (literal), sizeof(literal) - 1)

/* Big-endian, so that byte order is number order. */
static inline void
buf_put_be32(struct buf *b, uint32_t v)
{
	v = __builtin_bswap32(v);
	buf_put(b, &v, sizeof v);
}

static inline void
buf_put_be64(struct buf *b, uint64_t v)
{
	v = __builtin_bswap64(v);
	buf_put(b, &v, sizeof v);
}

/* And back. */
static inline uint32_t
get_be32(const char *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof v);
	return __builtin_bswap32(v);
}

static inline uint64_t
get_be64(const char *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof v);
	return __builtin_bswap64(v);
}

static inline struct slice
buf_slice(const struct buf *b)
{
	return (struct slice){b->data, b->len};
}

#endif
