/* Any bytes as a value: what av_check() accepts can be walked, measured, copied and built again to the same bytes. */
#include <stdlib.h>

#include "model/av.h"

static const enum av_tag container_tags[] = {
    [AV_SS] = TAG_SS, [AV_NS] = TAG_NS, [AV_BS] = TAG_BS, [AV_L] = TAG_L, [AV_M] = TAG_M};

/* Writes maps and sets back to front, so that closing them has to sort. */
static void
rebuild(struct buf *out, struct av v)
{
	enum av_type type = av_type(v);
	uint32_t count = av_count(v), i = 0;
	struct av_iter it, *entries;
	size_t mark;

	switch (type) {
	case AV_S:
		av_put_string(out, av_bytes(v));
		return;
	case AV_B:
		av_put_binary(out, av_bytes(v));
		return;
	case AV_N:
		av_put_number(out, av_bytes(v));
		return;
	case AV_BOOL:
		av_put_bool(out, av_is_true(v));
		return;
	case AV_NULL:
		av_put_null(out);
		return;
	default:
		break;
	}
	entries = malloc(sizeof *entries * (count + 1));
	for (it = av_iter(v); av_next(&it);)
		entries[i++] = it;
	if (i != count)
		abort();
	mark = av_open(out, container_tags[type]);
	for (i = 0; i < count; i++) {
		struct av_iter *e = type == AV_L ? &entries[i] : &entries[count - 1 - i];

		if (type == AV_M)
			av_put_name(out, e->name);
		if (type >= AV_L)
			rebuild(out, e->value);
		else
			av_put_element(out, e->element);
	}
	free(entries);
	if (type == AV_L)
		av_close_list(out, mark, count);
	else if ((type == AV_M ? av_close_map : av_close_set)(out, mark, count, NULL) != S_OK)
		abort();
}

static void
look_up(struct av v)
{
	struct arena a = {0};
	struct slice names[8];
	struct av_iter it;
	size_t count = 0;

	for (it = av_iter(v); av_next(&it);) {
		if (!av_equal(av_get(v, it.name), it.value))
			abort();
		if (count < 8)
			names[count++] = it.name;
	}
	if (av_count(item_pick(&a, v, names, count)) != count)
		abort();
	arena_done(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct av v = {data, (uint32_t)size};
	struct buf out = {0};

	if (av_check(slice_of(data, size), NULL) != S_OK)
		return 0;
	/* no value is larger by the rule than 4 times its bytes: an empty list in a list is 4 for 9 */
	if (av_depth(v) > AV_DEPTH_MAX + 1 || av_size(v) > 4 * (uint64_t)size)
		abort();
	if (av_type(v) == AV_M)
		look_up(v);
	rebuild(&out, v);
	if (!slice_eq(buf_slice(&out), slice_of(data, size)))
		abort();
	buf_done(&out);
	return 0;
}
