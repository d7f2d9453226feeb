/* Our side of simdjson.cc. */
#include "codec/json.h"

const char *json_failure(const uint8_t *data, size_t size);

/* NULL when the bytes are JSON; static text, for nothing here is of a wrong type. */
const char *
json_failure(const uint8_t *data, size_t size)
{
	struct arena arena = {0};
	struct json_reader r;

	json_init(&r, slice_of(data, size), &arena);
	json_skip(&r);
	json_end(&r);
	arena_done(&arena);
	return r.failure;
}
