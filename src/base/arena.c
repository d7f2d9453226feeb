#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK_BYTES (64u * 1024)

struct arena_block {
	struct arena_block *older;
	char *end;
	_Alignas(16) char data[];
};

static struct arena_block *
block_new(struct arena *a, size_t size)
{
	struct arena_block *block = malloc(sizeof *block + size);

	if (block == NULL) {
		fprintf(stderr, "out of memory: an arena asked for %zu bytes\n", size);
		abort();
	}
	block->older = a->blocks;
	block->end = block->data + size;
	a->blocks = block;
	return block;
}

void *
arena_alloc_slow(struct arena *a, size_t size)
{
	struct arena_block *block;

#ifdef STATOR_SANITIZE
	block = block_new(a, size);
	a->next = NULL; /* the next allocation comes here again */
	a->end = NULL;
#else
	block = block_new(a, size > BLOCK_BYTES ? size : BLOCK_BYTES);
	a->next = block->data + size;
	a->end = block->end;
#endif
	a->used_bytes += size;
	return block->data;
}

struct arena_mark
arena_mark(struct arena *a)
{
	return (struct arena_mark){a->blocks, a->next, a->used_bytes};
}

void
arena_rewind(struct arena *a, struct arena_mark mark)
{
	while (a->blocks != mark.block) {
		struct arena_block *older = a->blocks->older;

		free(a->blocks);
		a->blocks = older;
	}
	a->next = mark.next;
	a->end = mark.block != NULL && mark.next != NULL ? mark.block->end : NULL;
	a->used_bytes = mark.used_bytes;
}

void
arena_reset(struct arena *a)
{
	struct arena_block *keep = a->blocks;

	while (keep != NULL && (keep->older != NULL || keep->end - keep->data > (ptrdiff_t)BLOCK_BYTES)) {
		struct arena_block *older = keep->older;

		free(keep);
		keep = older;
	}
	a->blocks = keep;
	a->next = keep != NULL ? keep->data : NULL;
	a->end = keep != NULL ? keep->end : NULL;
	a->used_bytes = 0;
#ifdef STATOR_SANITIZE
	free(keep);
	a->blocks = NULL;
	a->next = a->end = NULL;
#endif
}

void
arena_done(struct arena *a)
{
	arena_rewind(a, (struct arena_mark){NULL, NULL, 0});
}

struct slice
arena_printf(struct arena *a, const char *format, ...)
{
	va_list args, again;
	int length;
	char *text;

	va_start(args, format);
	va_copy(again, args);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	text = arena_alloc(a, (size_t)length + 1);
	vsnprintf(text, (size_t)length + 1, format, again);
	va_end(again);
	return (struct slice){text, (size_t)length};
}
