/* Any bytes as gzip: never more than the limit comes out. Any bytes packed come back. */
#include <stdlib.h>

#include "codec/gzip.h"

#define LIMIT 100000

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf packed = {0}, out = {0};
	struct err err;
	enum status s = gzip_unpack(slice_of(data, size), LIMIT, &out, &err);

	if (out.len > (s == S_OK ? LIMIT : 0))
		abort();
	for (int level = 0; level <= 1; level++) {
		packed.len = out.len = 0;
		gzip_put(&packed, slice_of(data, size), level);
		if (gzip_unpack(buf_slice(&packed), size, &out, &err) != S_OK ||
		    !slice_eq(buf_slice(&out), slice_of(data, size)))
			abort();
	}
	buf_done(&packed);
	buf_done(&out);
	return 0;
}
