#include "model/av.h"

#include <stdio.h>
#include <stdlib.h>

static inline uint8_t *
write_varint(uint8_t *to, uint32_t v)
{
	while (v >= 0x80) {
		*to++ = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	*to++ = (uint8_t)v;
	return to;
}

static inline void
put_varint_bytes(struct buf *out, struct slice bytes)
{
	uint8_t *to;

	buf_reserve(out, bytes.len + 5);
	to = write_varint((uint8_t *)out->data + out->len, (uint32_t)bytes.len);
	if (bytes.len > 0)
		memcpy(to, bytes.data, bytes.len);
	out->len = (size_t)(to - (uint8_t *)out->data) + bytes.len;
}

void
av_put_null(struct buf *out)
{
	buf_put_byte(out, TAG_NULL);
}

void
av_put_bool(struct buf *out, bool value)
{
	buf_put_byte(out, value ? TAG_TRUE : TAG_FALSE);
}

static void
put_text(struct buf *out, enum av_tag tag, struct slice bytes)
{
	buf_reserve(out, bytes.len + 6);
	out->data[out->len++] = (char)tag;
	put_varint_bytes(out, bytes);
}

void
av_put_string(struct buf *out, struct slice bytes)
{
	put_text(out, TAG_S, bytes);
}

void
av_put_binary(struct buf *out, struct slice bytes)
{
	put_text(out, TAG_B, bytes);
}

void
av_put_number(struct buf *out, struct slice encoded)
{
	char *to;

	buf_reserve(out, encoded.len + 2);
	to = out->data + out->len;
	to[0] = TAG_N;
	to[1] = (char)encoded.len;
	memcpy(to + 2, encoded.data, encoded.len);
	out->len += encoded.len + 2;
}

void
av_put_value(struct buf *out, struct av value)
{
	buf_put(out, value.data, value.len);
}

void
av_put_name(struct buf *out, struct slice name)
{
	put_varint_bytes(out, name);
}

void
av_put_element(struct buf *out, struct slice element)
{
	put_varint_bytes(out, element);
}

size_t
av_open(struct buf *out, enum av_tag tag)
{
	size_t mark = out->len;

	buf_reserve(out, AV_HEAD_BYTES);
	out->data[mark] = (char)tag;
	memset(out->data + mark + 1, 0, AV_HEAD_BYTES - 1);
	out->len += AV_HEAD_BYTES;
	return mark;
}

void
av_close_list(struct buf *out, size_t mark, uint32_t count)
{
	uint32_t body = (uint32_t)(out->len - mark - AV_HEAD_BYTES);

	memcpy(out->data + mark + 1, &body, sizeof body);
	memcpy(out->data + mark + 5, &count, sizeof count);
}

void
av_close_map_sorted(struct buf *out, size_t mark, uint32_t count)
{
	av_close_list(out, mark, count);
}

/* ---- sorting entries and elements ---- */

/* One entry of a map (name and value) or element of a set, while it is being sorted. */
struct entry {
	uint64_t
	    first;   /* the first eight bytes of the name, big endian, zeros behind its end: decides most comparisons */
	uint32_t at; /* offset from the start of the body */
	uint32_t len; /* of the whole entry */
};

#define ENTRIES_ON_STACK 64
#define RUN_LENGTH       12 /* sorted by insertion, then merged */

/* Reads eight bytes also of a shorter name: what stands behind it is in the buf, and close_sorting() keeps room at its
 * end. */
static uint64_t
first_bytes(struct slice name)
{
	uint64_t first;

	if (name.len == 0)
		return 0;
	memcpy(&first, name.data, sizeof first);
	first = __builtin_bswap64(first);
	return name.len >= sizeof first ? first : first & ~(uint64_t)0 << (64 - 8 * name.len);
}

static struct slice
entry_name(const uint8_t *body, const struct entry *e)
{
	uint32_t len;
	const uint8_t *at = av_raw_varint(body + e->at, &len);

	return slice_of(at, len);
}

static inline int
compare(const uint8_t *body, const struct entry *a, const struct entry *b)
{
	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	return slice_cmp(entry_name(body, a), entry_name(body, b));
}

static void
sort_run(const uint8_t *body, struct entry *e, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct entry moving = e[i];
		size_t to = i;

		while (to > 0 && compare(body, &moving, &e[to - 1]) < 0) {
			e[to] = e[to - 1];
			to--;
		}
		e[to] = moving;
	}
}

static void
merge(const uint8_t *body, const struct entry *a, size_t a_count, const struct entry *b, size_t b_count,
      struct entry *to)
{
	while (a_count > 0 && b_count > 0) {
		if (compare(body, b, a) < 0) {
			*to++ = *b++;
			b_count--;
		} else {
			*to++ = *a++;
			a_count--;
		}
	}
	memcpy(to, a, a_count * sizeof *a);
	memcpy(to + a_count, b, b_count * sizeof *b);
}

/* n log n whatever the order given. Returns where the result is: in e or in scratch. */
static struct entry *
sort_entries(const uint8_t *body, struct entry *e, struct entry *scratch, size_t count)
{
	for (size_t i = 0; i < count; i += RUN_LENGTH)
		sort_run(body, e + i, count - i < RUN_LENGTH ? count - i : RUN_LENGTH);
	for (size_t run = RUN_LENGTH; run < count; run *= 2) {
		struct entry *swap = e;

		for (size_t i = 0; i < count; i += 2 * run) {
			size_t a_count = count - i < run ? count - i : run;
			size_t b_count = count - i - a_count < run ? count - i - a_count : run;

			merge(body, e + i, a_count, e + i + a_count, b_count, scratch + i);
		}
		e = scratch;
		scratch = swap;
	}
	return e;
}

/* Notes where the entries are; true when they strictly ascend already. */
static bool
list_entries(const uint8_t *body, bool map, struct entry *e, uint32_t count)
{
	const uint8_t *at = body;
	bool ascending = true;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t len;
		const uint8_t *name = av_raw_varint(at, &len);
		const uint8_t *end = name + len;

		if (map)
			end += av_raw_span(end);
		e[i] = (struct entry){first_bytes(slice_of(name, len)), (uint32_t)(at - body), (uint32_t)(end - at)};
		if (i > 0 && ascending && compare(body, &e[i - 1], &e[i]) >= 0)
			ascending = false;
		at = end;
	}
	return ascending;
}

/* Rewrites the body in the order of the entries, by way of the free room behind it. */
static void
move_entries(struct buf *out, size_t start, struct entry *e, uint32_t count)
{
	size_t body = out->len - start;
	char *to, *from;

	buf_reserve(out, body);
	from = out->data + start;
	to = out->data + out->len;
	for (uint32_t i = 0; i < count; i++) {
		memcpy(to, from + e[i].at, e[i].len);
		e[i].at = (uint32_t)(to - (out->data + out->len));
		to += e[i].len;
	}
	memcpy(from, out->data + out->len, body);
}

static enum status
find_duplicate(const uint8_t *body, const struct entry *e, uint32_t count, struct slice *ret_duplicate)
{
	for (uint32_t i = 1; i < count; i++) {
		if (compare(body, &e[i - 1], &e[i]) == 0) {
			if (ret_duplicate != NULL)
				*ret_duplicate = entry_name(body, &e[i]);
			return S_VALIDATION;
		}
	}
	return S_OK;
}

static enum status
close_sorting(struct buf *out, size_t mark, uint32_t count, bool map, struct slice *ret_duplicate)
{
	struct entry on_stack[2 * ENTRIES_ON_STACK], *entries = on_stack, *sorted;
	size_t start = mark + AV_HEAD_BYTES;
	enum status s = S_OK;

	av_close_list(out, mark, count);
	if (count < 2)
		return S_OK;
	buf_reserve(out, sizeof entries->first);
	if (count > ENTRIES_ON_STACK && (entries = malloc(2 * sizeof *entries * count)) == NULL) {
		fprintf(stderr, "out of memory: sorting %u attributes\n", count);
		abort(); /* as the arena does, and for the same reason */
	}
	if (!list_entries((uint8_t *)out->data + start, map, entries, count)) {
		sorted = sort_entries((uint8_t *)out->data + start, entries, entries + count, count);
		move_entries(out, start, sorted, count);
		s = find_duplicate((uint8_t *)out->data + start, sorted, count, ret_duplicate);
	}
	if (entries != on_stack)
		free(entries);
	return s;
}

enum status
av_close_map(struct buf *out, size_t mark, uint32_t count, struct slice *ret_duplicate)
{
	return close_sorting(out, mark, count, true, ret_duplicate);
}

enum status
av_close_set(struct buf *out, size_t mark, uint32_t count, struct slice *ret_duplicate)
{
	return close_sorting(out, mark, count, false, ret_duplicate);
}

/* ---- small values in an arena ---- */

struct av
av_string(struct arena *a, struct slice bytes)
{
	uint8_t *out = arena_alloc(a, bytes.len + 6), *to;

	out[0] = TAG_S;
	to = write_varint(out + 1, (uint32_t)bytes.len);
	if (bytes.len > 0)
		memcpy(to, bytes.data, bytes.len);
	return (struct av){out, (uint32_t)((size_t)(to - out) + bytes.len)};
}

struct av
av_number(struct arena *a, struct slice encoded)
{
	uint8_t *out = arena_alloc(a, encoded.len + 2);

	out[0] = TAG_N;
	out[1] = (uint8_t)encoded.len;
	memcpy(out + 2, encoded.data, encoded.len);
	return (struct av){out, (uint32_t)encoded.len + 2};
}
