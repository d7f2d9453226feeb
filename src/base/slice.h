/*
 * A borrowed run of bytes: a pointer and a length, nothing owned, no terminator.
 *
 * Strings of a request point into the request, strings of an item into the item;
 * whoever keeps one longer than its source copies it (arena_dup).
 */
#ifndef STATOR_BASE_SLICE_H
#define STATOR_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const char *data;
	size_t len;
};

#define SLICE(literal) ((struct slice){(literal), sizeof(literal) - 1})
#define SLICE_NONE     ((struct slice){NULL, 0})
/* for printf: "%.*s", SLICE_ARG(s) */
#define SLICE_ARG(s) (int)(s).len, (s).data

static inline struct slice
slice_of(const void *data, size_t len)
{
	return (struct slice){data, len};
}

static inline struct slice
slice_str(const char *text)
{
	return (struct slice){text, text ? strlen(text) : 0};
}

static inline bool
slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Order of unsigned bytes, the shorter first when one is the other's beginning. */
static inline int
slice_cmp(struct slice a, struct slice b)
{
	size_t shorter = a.len < b.len ? a.len : b.len;
	int order = shorter ? memcmp(a.data, b.data, shorter) : 0;

	if (order != 0)
		return order;
	return a.len < b.len ? -1 : a.len > b.len;
}

static inline bool
slice_starts(struct slice whole, struct slice start)
{
	return whole.len >= start.len && (start.len == 0 || memcmp(whole.data, start.data, start.len) == 0);
}

/* Without the blanks and tabs at both ends. */
static inline struct slice
slice_trimmed(struct slice s)
{
	while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t')) {
		s.data++;
		s.len--;
	}
	while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
		s.len--;
	return s;
}

#endif
