/*
 * Any bytes as a change record: it is refused, or its parts lie within it, behind each other, and are all of it.
 * Records whose values are sound are written by the stream's reader: their sizes can be taken.
 */
#include <stdlib.h>

#include "table/change.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Where the value ends when it begins at `at`; values that are not there end where they begin. */
static const char *
behind(const char *at, struct av v)
{
	if (!av_exists(v))
		return at;
	if ((const char *)v.data != at || v.data[0] != TAG_M)
		abort();
	return at + v.len;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size ? size : 1); /* of its own, so that reading beyond it is seen */
	struct slice bytes = {copy, size};
	struct change change;
	const char *end;

	memcpy(copy, data, size);
	if (change_decode(7, bytes, &change, NULL) == S_OK) {
		const struct av *values[] = {&change.keys, &change.old_image, &change.new_image};

		end = (const char *)change.keys.data;
		if (change.seq != 7 || !av_exists(change.keys) || end < copy || end > copy + size)
			abort();
		if (change.origin.len > 0 && change.origin.data + change.origin.len != end)
			abort();
		for (size_t i = 0; i < 3; i++) {
			struct slice v = {(const char *)values[i]->data, values[i]->len};

			end = behind(end, *values[i]);
			if (av_exists(*values[i]) && av_check(v, NULL) == S_OK && item_size(*values[i]) > size * 2)
				abort();
		}
		if (end != copy + size)
			abort();
	}
	free(copy);
	return 0;
}
