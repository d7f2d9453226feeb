#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void
buf_grow(struct buf *b, size_t more)
{
	size_t cap = b->cap < 256 ? 256 : b->cap;

	while (cap - b->len < more)
		cap *= 2;
	b->data = realloc(b->data, cap);
	if (b->data == NULL) {
		fprintf(stderr, "out of memory: a buffer asked for %zu bytes\n", cap);
		abort();
	}
	b->cap = cap;
}

void
buf_done(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

void
buf_printf(struct buf *b, const char *format, ...)
{
	va_list args, again;
	int length;

	va_start(args, format);
	va_copy(again, args);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	buf_reserve(b, (size_t)length + 1);
	vsnprintf(b->data + b->len, (size_t)length + 1, format, again);
	va_end(again);
	b->len += (size_t)length;
}
