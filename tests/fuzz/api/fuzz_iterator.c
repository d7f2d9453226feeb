/*
 * Any bytes as a shard iterator: it is refused, unless it is exactly what this server would have made. The first byte
 * chooses: the text as it is; or a true iterator of which some bytes are changed as the input says, which must be told
 * from the true one.
 */
#include <stdlib.h>

#include "api/stream_iterator.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t secret[32] = "not so secret, but 32 bytes long";

static void
parse(const char *text, size_t len, bool is_true)
{
	char *copy = malloc(len ? len : 1);
	struct stream_iterator it;
	struct arena a = {0};
	struct buf again = {0};

	memcpy(copy, text, len);
	if (stream_iterator_parse(slice_of(copy, len), secret, &a, &it, NULL) == S_OK) {
		stream_iterator_put(&again, &it, secret);
		if (!is_true || !slice_eq(buf_slice(&again), slice_of(copy, len)))
			abort();
	} else if (is_true) {
		abort();
	}
	buf_done(&again);
	arena_done(&a);
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stream_iterator it = {
	    .arn = SLICE("arn:aws:dynamodb:us-east-1:123456789012:table/Music/stream/2015-05-20T20:51:10.252"),
	    .shard_id = SLICE("shardId-00000001414576573621-f55eea83"),
	    .seq = 1414576573621000,
	    .made_ms = 1414576573999};
	struct buf text = {0}, before = {0};

	if (size == 0)
		return 0;
	if (data[0] & 1) {
		parse((const char *)data + 1, size - 1, false);
		return 0;
	}
	it.more = data[0] & 2;
	stream_iterator_put(&text, &it, secret);
	buf_put_slice(&before, buf_slice(&text));
	for (size_t i = 1; i + 1 < size; i += 2) /* a place, and what is added to it */
		text.data[(size_t)data[i] * text.len / 256] += (char)data[i + 1];
	parse(text.data, text.len, slice_eq(buf_slice(&text), buf_slice(&before)));
	buf_done(&text);
	buf_done(&before);
	return 0;
}
