#include "front/metrics.h"

#include <stdlib.h>

#define FAMILIES_MAX 256 /* ours to choose: every family is written by this program */

struct family {
	struct slice name; /* owned */
	struct buf header;
	struct buf samples;
};

struct metrics_merge {
	struct family families[FAMILIES_MAX];
	size_t count;
};

struct metrics_merge *
metrics_merge_new(void)
{
	struct metrics_merge *m = calloc(1, sizeof *m);

	if (m == NULL)
		abort();
	return m;
}

static struct slice
take_line(struct slice *text)
{
	const char *end = memchr(text->data, '\n', text->len);
	size_t len = end != NULL ? (size_t)(end - text->data) : text->len;
	struct slice line = {text->data, len};

	text->data += len + (end != NULL);
	text->len -= len + (end != NULL);
	return line;
}

static struct family *
find(struct metrics_merge *m, struct slice name)
{
	for (size_t i = 0; i < m->count; i++)
		if (slice_eq(m->families[i].name, name))
			return &m->families[i];
	return NULL;
}

/* "# HELP name text" or "# TYPE name type" */
static void
add_header(struct metrics_merge *m, struct slice line, bool *known)
{
	struct slice name = {line.data + 7, line.len - 7};
	const char *blank = memchr(name.data, ' ', name.len);
	struct family *f;

	if (blank != NULL)
		name.len = (size_t)(blank - name.data);
	f = find(m, name);
	if (f == NULL) {
		if (m->count == FAMILIES_MAX)
			abort(); /* our own mistake, seen by the first request of a test */
		f = &m->families[m->count++];
		f->name.data = malloc(name.len);
		if (f->name.data == NULL)
			abort();
		memcpy((char *)f->name.data, name.data, name.len);
		f->name.len = name.len;
		known[f - m->families] = false;
	}
	if (known[f - m->families])
		return; /* told by an earlier region */
	buf_put_slice(&f->header, line);
	buf_put_byte(&f->header, '\n');
}

/* A histogram's samples have a suffix that the family has not. */
static struct family *
family_of(struct metrics_merge *m, struct slice name)
{
	static const char *const suffixes[] = {"_bucket", "_sum", "_count"};
	struct family *f = find(m, name);

	for (size_t i = 0; f == NULL && i < sizeof suffixes / sizeof suffixes[0]; i++) {
		struct slice suffix = slice_str(suffixes[i]);

		if (name.len > suffix.len && memcmp(name.data + name.len - suffix.len, suffix.data, suffix.len) == 0)
			f = find(m, slice_of(name.data, name.len - suffix.len));
	}
	return f;
}

static void
add_sample(struct metrics_merge *m, struct slice line, struct slice region)
{
	size_t name_len = strcspn(line.data, "{ ");
	struct family *f = family_of(m, slice_of(line.data, name_len));
	bool labels = line.data[name_len] == '{';
	struct buf *out;

	if (f == NULL)
		abort(); /* a sample without a TYPE line: our own mistake */
	out = &f->samples;
	if (region.len == 0 || (labels && memmem(line.data, line.len, "region=\"", 8) != NULL)) {
		buf_put_slice(out, line);
	} else {
		buf_put(out, line.data, name_len);
		buf_printf(out, "{region=\"%.*s\"%s", SLICE_ARG(region), labels ? "," : "}");
		buf_put(out, line.data + name_len + labels, line.len - name_len - labels);
	}
	buf_put_byte(out, '\n');
}

void
metrics_merge_add(struct metrics_merge *m, struct slice text, struct slice region)
{
	bool known[FAMILIES_MAX];

	for (size_t i = 0; i < FAMILIES_MAX; i++)
		known[i] = i < m->count;
	while (text.len > 0) {
		struct slice line = take_line(&text);

		if (line.len == 0)
			continue;
		if (slice_starts(line, SLICE("# HELP ")) || slice_starts(line, SLICE("# TYPE ")))
			add_header(m, line, known);
		else
			add_sample(m, line, region);
	}
}

void
metrics_merge_end(struct metrics_merge *m, struct buf *out)
{
	for (size_t i = 0; i < m->count; i++) {
		struct family *f = &m->families[i];

		if (f->samples.len > 0) {
			buf_put_slice(out, buf_slice(&f->header));
			buf_put_slice(out, buf_slice(&f->samples));
		}
		buf_done(&f->header);
		buf_done(&f->samples);
		free((char *)f->name.data);
	}
	free(m);
}
