/*
 * Any bytes as JSON: reading it piece by piece and skipping over it agree on whether it is JSON; what is read and
 * written again reads back the same.
 */
#include <stdlib.h>

#include "codec/json.h"

static void copy_value(struct json_reader *r, struct buf *out);

static void
copy_object(struct json_reader *r, struct buf *out)
{
	struct slice name;
	bool first = true;

	buf_put_byte(out, '{');
	json_enter_object(r);
	while (json_next_member(r, &name)) {
		if (!first)
			buf_put_byte(out, ',');
		first = false;
		json_put_string(out, name);
		buf_put_byte(out, ':');
		copy_value(r, out);
	}
	buf_put_byte(out, '}');
}

static void
copy_array(struct json_reader *r, struct buf *out)
{
	bool first = true;

	buf_put_byte(out, '[');
	json_enter_array(r);
	while (json_next_element(r)) {
		if (!first)
			buf_put_byte(out, ',');
		first = false;
		copy_value(r, out);
	}
	buf_put_byte(out, ']');
}

static void
copy_value(struct json_reader *r, struct buf *out)
{
	switch (json_peek(r)) {
	case JSON_NULL:
		json_null(r);
		buf_put_lit(out, "null");
		break;
	case JSON_BOOL:
		if (json_bool(r))
			buf_put_lit(out, "true");
		else
			buf_put_lit(out, "false");
		break;
	case JSON_NUMBER:
		buf_put_slice(out, json_number(r));
		break;
	case JSON_STRING:
		json_put_string(out, json_string(r));
		break;
	case JSON_ARRAY:
		copy_array(r, out);
		break;
	case JSON_OBJECT:
		copy_object(r, out);
		break;
	case JSON_NONE:
		json_fail(r, "no value");
	}
}

static bool
copy(struct slice text, struct buf *out)
{
	struct arena arena = {0};
	struct json_reader r;
	bool good;

	json_init(&r, text, &arena);
	copy_value(&r, out);
	json_end(&r);
	good = !json_failed(&r);
	arena_done(&arena);
	return good;
}

static bool
skips(struct slice text)
{
	struct arena arena = {0};
	struct json_reader r;
	bool good;

	json_init(&r, text, &arena);
	json_skip(&r);
	json_end(&r);
	good = !json_failed(&r);
	if (good && arena.used_bytes > 32 * text.len + 64) /* unescaping must not cost more than the text */
		abort();
	arena_done(&arena);
	return good;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf once = {0}, twice = {0};
	bool good = copy(slice_of(data, size), &once);

	if (good != skips(slice_of(data, size)))
		abort();
	if (good && (!copy(buf_slice(&once), &twice) || !slice_eq(buf_slice(&once), buf_slice(&twice))))
		abort();
	buf_done(&once);
	buf_done(&twice);
	return 0;
}
