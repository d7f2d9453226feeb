/* Any bytes as key parts of any type: what is read back is written as the same bytes. */
#include <stdlib.h>

#include "model/key.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum av_type types[] = {AV_S, AV_B, AV_N};
	struct buf value = {0}, key = {0};

	for (int i = 0; i < 3; i++) {
		struct slice rest = slice_of(data, size);

		while (rest.len > 0) {
			const char *start = rest.data;
			struct av v;

			value.len = key.len = 0;
			if (key_read_part(&rest, types[i], &value) != S_OK)
				break;
			v = (struct av){(const uint8_t *)value.data, (uint32_t)value.len};
			if (av_type(v) != types[i] || av_raw_span(v.data) != v.len)
				abort();
			key_put_part(&key, v);
			if (!slice_eq(buf_slice(&key), slice_of(start, (size_t)(rest.data - start))))
				abort();
		}
	}
	buf_done(&value);
	buf_done(&key);
	return 0;
}
