/*
 * Frames between DAX nodes. The first byte chooses: bytes as somebody unknown sends them, or payloads as a node that
 * has the secret would send them, into a cache.
 */
#include "front/dax_wire.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
take_frames(const char *data, size_t size)
{
	struct wire w = {0};
	enum wire_type type;
	struct slice payload;
	long taken;

	while ((taken = wire_take(&w, data, size, &type, &payload)) > 0) {
		if ((size_t)taken > size || payload.data < data || payload.data + payload.len > data + size)
			abort();
		data += taken;
		size -= (size_t)taken;
	}
}

static void
take_payload(struct slice payload)
{
	static struct cache *cache;
	struct cache_copied copied, again;
	struct wire_state told;
	struct buf out = {0};

	(void)wire_read_state(payload, &told);
	if (!wire_read_copy(payload, &copied))
		return;
	wire_put_copy(&copied, &out);
	if (!wire_read_copy(buf_slice(&out), &again) || again.table_id != copied.table_id ||
	    again.what != copied.what || !slice_eq(again.key, copied.key) || !slice_eq(again.value, copied.value))
		abort();
	buf_done(&out);
	if (cache == NULL)
		cache = cache_new(8 << 20);
	cache_copy(cache, &copied);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 1)
		take_frames((const char *)data + 1, size - 1);
	else
		take_payload(slice_of(data + 1, size - 1));
	return 0;
}
