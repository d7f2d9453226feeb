/*
 * The scan and the reader against each other: what the scan calls complete the reader can walk, however the bytes
 * arrive, and neither looks behind them.
 */
#include <stdint.h>
#include <stdlib.h>

#include "codec/cbor.h"

static void
walk(struct cbor_reader *r, int depth)
{
	struct cbor_items items;

	if (depth == 64) {
		cbor_fail(r, "too deep");
		return;
	}
	switch (cbor_peek(r)) {
	case CBOR_UINT:
	case CBOR_NEGATIVE:
		(void)cbor_magnitude(r);
		break;
	case CBOR_BYTES:
		(void)cbor_bytes(r);
		break;
	case CBOR_TEXT:
		(void)cbor_string(r);
		break;
	case CBOR_ARRAY:
		items = cbor_array(r);
		while (cbor_next(r, &items))
			walk(r, depth + 1);
		break;
	case CBOR_MAP:
		items = cbor_map(r);
		while (cbor_next(r, &items)) {
			walk(r, depth + 1);
			walk(r, depth + 1);
		}
		break;
	case CBOR_TAG:
		(void)cbor_tag(r);
		walk(r, depth + 1);
		break;
	case CBOR_TRUE:
	case CBOR_FALSE:
		(void)cbor_bool(r);
		break;
	case CBOR_NULL:
		(void)cbor_take_null(r);
		break;
	case CBOR_FLOAT:
		(void)cbor_float(r);
		break;
	default:
		cbor_fail(r, "nothing that begins an item");
		break;
	}
}

static enum cbor_progress
scan_in_pieces(const uint8_t *data, size_t size, size_t step, size_t *ret_at)
{
	enum cbor_progress progress = CBOR_MORE;
	struct cbor_scan s;

	cbor_scan_init(&s, 2, 4096);
	for (size_t have = 0; progress == CBOR_MORE; have += step) {
		size_t len = have < size ? have : size, before = s.at;
		uint8_t *copy = malloc(len + 1); /* so that a look behind is seen */

		memcpy(copy, data, len);
		progress = cbor_scan_run(&s, copy, len);
		free(copy);
		if (s.at < before || s.at > len)
			abort();
		if (len == size)
			break;
	}
	*ret_at = s.at;
	return progress;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t whole, pieces;
	enum cbor_progress at_once, in_pieces;
	struct cbor_reader r;

	if (size > 8192)
		return 0;
	(void)scan_in_pieces(data, size, size + 1, &whole);
	at_once = scan_in_pieces(data, size, size > 0 ? size : 1, &whole);
	in_pieces = scan_in_pieces(data, size, 3, &pieces);
	if (at_once != in_pieces || (at_once == CBOR_DONE && whole != pieces))
		abort();
	cbor_init(&r, slice_of(data, size));
	for (int i = 0; i < 2 && !cbor_failed(&r); i++)
		walk(&r, 0);
	if (at_once == CBOR_DONE && !cbor_failed(&r) && (size_t)(r.at - data) != whole)
		abort();
	return 0;
}
