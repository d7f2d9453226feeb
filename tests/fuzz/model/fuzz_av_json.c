/*
 * Any bytes as DynamoDB JSON. What is read passes av_check(), and written and read again gives the same bytes. What is
 * refused has its words, and a value error leaves the reader behind the value.
 */
#include <stdlib.h>

#include "model/av_json.h"

typedef enum status (*read_function)(struct json_reader *, struct arena *, struct av *, struct err *);
typedef void (*write_function)(struct buf *, struct av);

static void
try(struct slice text, read_function read, write_function write)
{
	struct arena arena = {0};
	struct buf out = {0};
	struct json_reader r, again;
	struct av value, back;
	struct err err = {.status = S_OK};
	enum status s;

	json_init(&r, text, &arena);
	s = read(&r, &arena, &value, &err);
	if (av_exists(value) != (s == S_OK) || json_failed(&r) != (s == S_SERIALIZATION) ||
	    (s != S_OK && err.status != s))
		abort();
	if (s == S_VALIDATION) { /* the same bytes as JSON only: the place must be the same */
		json_init(&again, text, &arena);
		json_skip(&again);
		if (again.at != r.at || err.message[0] == '\0')
			abort();
	}
	if (s == S_OK) {
		if (av_check(slice_of(value.data, value.len), &err) != S_OK)
			abort();
		write(&out, value);
		json_init(&again, buf_slice(&out), &arena);
		if (read(&again, &arena, &back, &err) != S_OK || !av_equal(value, back))
			abort();
		json_end(&again);
		if (json_failed(&again))
			abort();
	}
	buf_done(&out);
	arena_done(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try(slice_of(data, size), av_read_json, av_write_json);
	try(slice_of(data, size), item_read_json, item_write_json);
	return 0;
}
