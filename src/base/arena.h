/*
 * Memory of one request: taken piece by piece, given back all at once.
 *
 * arena_alloc() never returns NULL: requests are bounded long before memory is
 * (body and connection limits), so when the system has none left the process
 * ends with a log line, and what was acknowledged is on the disk. In sanitizer
 * builds every allocation is a malloc of its own, so that an overrun is caught.
 */
#ifndef STATOR_BASE_ARENA_H
#define STATOR_BASE_ARENA_H

#include "base/slice.h"

struct arena_block;

struct arena {
	struct arena_block *blocks; /* newest first */
	char *next;
	char *end;
	size_t used_bytes; /* of all blocks; for limits and figures */
};

struct arena_mark {
	struct arena_block *block;
	char *next;
	size_t used_bytes;
};

/* A zeroed arena is ready for use. */
void arena_done(struct arena *a);
/* Forget everything, keep at most one block (64 KiB) for the next request. */
void arena_reset(struct arena *a);
void *arena_alloc_slow(struct arena *a, size_t size);

struct arena_mark arena_mark(struct arena *a);
void arena_rewind(struct arena *a, struct arena_mark mark);

/* 16-byte aligned, not zeroed; size 0 gives a valid pointer. */
static inline void *
arena_alloc(struct arena *a, size_t size)
{
	char *p = a->next;

	size = (size + 15) & ~(size_t)15;
	if (p == NULL || size > (size_t)(a->end - p))
		return arena_alloc_slow(a, size);
	a->next = p + size;
	a->used_bytes += size;
	return p;
}

static inline void *
arena_zalloc(struct arena *a, size_t size)
{
	return memset(arena_alloc(a, size), 0, size);
}

#define ARENA_NEW(a, type)          ((type *)arena_zalloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, count) ((type *)arena_zalloc((a), sizeof(type) * (count)))

static inline struct slice
arena_dup(struct arena *a, struct slice s)
{
	char *copy = arena_alloc(a, s.len + 1);

	if (s.len > 0)
		memcpy(copy, s.data, s.len);
	copy[s.len] = '\0';
	return (struct slice){copy, s.len};
}

/* printf into the arena; NUL-terminated. */
struct slice arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
