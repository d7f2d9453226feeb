#include "model/av.h"

#include <stdlib.h>

#include "model/number.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "lengths of containers are little endian");
_Static_assert(TAG_S == AV_S + 2 && TAG_M == AV_M + 2 && TAG_NULL == AV_NULL + 1, "av_type() counts on it");

const char *
av_type_name(enum av_type type)
{
	static const char *const names[AV_TYPE_COUNT] = {
	    [AV_NULL] = "NULL", [AV_BOOL] = "BOOL", [AV_N] = "N",   [AV_S] = "S", [AV_B] = "B",
	    [AV_SS] = "SS",     [AV_NS] = "NS",     [AV_BS] = "BS", [AV_L] = "L", [AV_M] = "M",
	};

	return names[type];
}

int
av_cmp(struct av a, struct av b)
{
	return slice_cmp(av_bytes(a), av_bytes(b));
}

struct av
av_get(struct av map, struct slice name)
{
	struct av_iter it;

	if (map.data == NULL || map.data[0] != TAG_M)
		return AV_NONE;
	for (it = av_iter(map); av_next(&it);) {
		if (it.name.len == name.len) {
			int order = memcmp(it.name.data, name.data, name.len);

			if (order == 0)
				return it.value;
			if (order > 0)
				break; /* names ascend: it will not come any more */
		} else if (it.name.len > 0 && name.len > 0 && (uint8_t)it.name.data[0] > (uint8_t)name.data[0]) {
			break;
		}
	}
	return AV_NONE;
}

struct av
av_at(struct av list, uint32_t index)
{
	struct av_iter it;

	if (list.data == NULL || list.data[0] != TAG_L || index >= av_count(list))
		return AV_NONE;
	for (it = av_iter(list); av_next(&it);) {
		if (index-- == 0)
			return it.value;
	}
	return AV_NONE;
}

bool
av_set_has(struct av set, struct av element)
{
	struct av_iter it;
	struct slice wanted;

	if (set.data == NULL || element.data == NULL || set.data[0] < TAG_SS || set.data[0] > TAG_BS)
		return false;
	if (!(set.data[0] == TAG_SS && element.data[0] == TAG_S) &&
	    !(set.data[0] == TAG_NS && element.data[0] == TAG_N) &&
	    !(set.data[0] == TAG_BS && element.data[0] == TAG_B))
		return false;
	wanted = av_bytes(element);
	for (it = av_iter(set); av_next(&it);) {
		int order = slice_cmp(it.element, wanted);

		if (order >= 0)
			return order == 0;
	}
	return false;
}

/*
 * Measures the value at *at and moves behind it. Recursion is bounded: a value nests at most about twice AV_DEPTH_MAX
 * deep (an update may put one into another).
 */
static uint64_t
size_of_next(const uint8_t **at)
{
	const uint8_t *value = *at, *end;
	uint64_t size = 3;
	uint32_t len;

	switch (*value) {
	case TAG_NULL:
	case TAG_FALSE:
	case TAG_TRUE:
		*at = value + 1;
		return 1;
	case TAG_N:
		*at = value + 2 + value[1];
		return (uint64_t)number_encoded_size(slice_of(value + 2, value[1]));
	case TAG_S:
	case TAG_B:
		*at = av_raw_varint(value + 1, &len) + len;
		return len;
	case TAG_L:
	case TAG_M:
		end = value + AV_HEAD_BYTES + av_raw_u32(value + 1);
		for (*at = value + AV_HEAD_BYTES; *at < end; size++) {
			if (*value == TAG_M) {
				*at = av_raw_varint(*at, &len) + len;
				size += len;
			}
			size += size_of_next(at);
		}
		return size;
	default: /* sets */
		size = 0;
		end = value + AV_HEAD_BYTES + av_raw_u32(value + 1);
		for (*at = value + AV_HEAD_BYTES; *at < end; *at += len) {
			*at = av_raw_varint(*at, &len);
			size += *value == TAG_NS ? (uint64_t)number_encoded_size(slice_of(*at, len)) : len;
		}
		return size;
	}
}

uint64_t
av_size(struct av value)
{
	const uint8_t *at = value.data;

	return size_of_next(&at);
}

uint64_t
item_size(struct av item)
{
	const uint8_t *at = item.data + AV_HEAD_BYTES, *end = item.data + item.len;
	uint64_t size = 0;
	uint32_t len;

	while (at < end) {
		at = av_raw_varint(at, &len) + len;
		size += len;
		if (*at == TAG_S) { /* most of them: without a call */
			at = av_raw_varint(at + 1, &len) + len;
			size += len;
		} else {
			size += size_of_next(&at);
		}
	}
	return size;
}

int
av_depth(struct av value)
{
	struct av_iter it;
	int deepest = 0;

	if (value.data[0] != TAG_L && value.data[0] != TAG_M)
		return 0;
	for (it = av_iter(value); av_next(&it);) {
		if (it.value.data[0] >= TAG_L) {
			int depth = av_depth(it.value);

			if (depth > deepest)
				deepest = depth;
		}
	}
	return 1 + deepest;
}

struct av
av_of_buf(struct arena *a, const struct buf *b, size_t from)
{
	uint32_t len = (uint32_t)(b->len - from);
	uint8_t *copy = arena_alloc(a, len);

	memcpy(copy, b->data + from, len);
	return (struct av){copy, len};
}

static int
compare_slices(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

static const struct slice *
ascending_names(struct arena *a, const struct slice *names, size_t count)
{
	struct slice *copy;

	for (size_t i = 1;; i++) {
		if (i >= count)
			return names;
		if (slice_cmp(names[i - 1], names[i]) > 0)
			break;
	}
	copy = ARENA_ARRAY(a, struct slice, count);
	memcpy(copy, names, count * sizeof *names);
	qsort(copy, count, sizeof *copy, compare_slices);
	return copy;
}

/* Both ascend, so one walk over the two finds what they share. */
struct av
item_pick(struct arena *a, struct av item, const struct slice *names, size_t count)
{
	size_t most = av_count(item) < count ? av_count(item) : count, picked = 0, name = 0, total = AV_HEAD_BYTES;
	struct slice *spans = ARENA_ARRAY(a, struct slice, most);
	struct av_iter it = av_iter(item);
	const uint8_t *entry = it.at;
	uint32_t body, entries;
	uint8_t *out, *to;

	names = ascending_names(a, names, count);
	for (; name < count && av_next(&it); entry = it.at) {
		int order = -1;

		while (name < count && (order = slice_cmp(names[name], it.name)) < 0)
			name++;
		if (name == count || order != 0)
			continue;
		spans[picked] = slice_of(entry, (size_t)(it.at - entry));
		total += spans[picked++].len;
	}
	out = arena_alloc(a, total);
	body = (uint32_t)(total - AV_HEAD_BYTES);
	entries = (uint32_t)picked;
	out[0] = TAG_M;
	memcpy(out + 1, &body, sizeof body);
	memcpy(out + 5, &entries, sizeof entries);
	to = out + AV_HEAD_BYTES;
	for (size_t i = 0; i < picked; i++) {
		memcpy(to, spans[i].data, spans[i].len);
		to += spans[i].len;
	}
	return (struct av){out, (uint32_t)total};
}
