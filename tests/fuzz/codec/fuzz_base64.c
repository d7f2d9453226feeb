/* Any bytes come back from their base64; any text that is read as base64 is the base64 of what was read. */
#include <stdlib.h>

#include "codec/base64.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {0};
	struct buf text = {0};
	struct slice got;

	base64_put(&text, slice_of(data, size));
	if (text.len != BASE64_LENGTH(size) || !base64_read(buf_slice(&text), &arena, &got) ||
	    !slice_eq(got, slice_of(data, size)))
		abort();
	text.len = 0;
	if (base64_read(slice_of(data, size), &arena, &got)) {
		base64_put(&text, got);
		if (!slice_eq(buf_slice(&text), slice_of(data, size)))
			abort();
	}
	buf_done(&text);
	arena_done(&arena);
	return 0;
}
