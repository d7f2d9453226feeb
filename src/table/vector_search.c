/*
 * SearchVectors: one pass over the rows of a HASH value with a heap of the nearest, then their items. Rows and items
 * are read in one snapshot, so that an item is told as it was compared.
 *
 * What was seen must be durable before it is told (recent.h). A search sees rows that writes of all partitions have
 * put, so it waits for the newest write of each.
 */
#include "table/vector_int.h"

#include "base/thread.h"
#include "model/key.h"
#include "model/number.h"
#include "table/recent.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* A walk over more than this leaves the engine's cache to others. */
#define CACHED_BYTES_MAX (32 * 1024 * 1024)

#define BREATH_BYTES (16 * 1024) /* of rows between two questions whether others want to go on */

/* VectorSearchRequestBytes as measured of the service: a price for each dimension, whatever the index holds, and what
 * is told. */
#define SEARCH_TENTHS_PER_DIMENSION 176

struct near {
	double rank; /* the lower the nearer */
	uint64_t place;
	struct buf key; /* of the row */
	struct buf floats;
};

struct search {
	const struct table_search *in;
	struct table_io *io;
	struct table_core *core;
	const struct table_index *index;
	const struct table_vector_spec *vector;
	struct scratch *scratch;
	struct engine_snapshot *snapshot;
	unsigned flags;
	size_t prefix_len; /* of the rows' keys: what stands before the table's key */
	const double *query;
	double query_squares;
	const struct vector_kernel *kernel;
	struct near *heap; /* the farthest first */
	uint32_t count;
	bool tells_vector; /* the projection names it, and the index projects it */
	uint64_t told_bytes;
};

/* ---- ranking ---- */

static double
rank_of(const struct search *s, const struct vector_row *row)
{
	uint32_t n = s->vector->dimensions;
	double product, both;

	switch (s->vector->distance) {
	case VECTOR_EUCLIDEAN:
		return s->kernel->squared_distance(row->floats, s->query, n);
	case VECTOR_DOT_PRODUCT:
		return -s->kernel->dot(row->floats, s->query, n);
	case VECTOR_COSINE:
		break;
	}
	both = row->squares * s->query_squares;
	if (both == 0)
		return 1; /* a vector without direction is as far from all others as an orthogonal one */
	product = s->kernel->dot(row->floats, s->query, n) / sqrt(both);
	return product >= 1 ? 0 : product <= -1 ? 2 : 1 - product;
}

/* What the client is told: within the range of a 32-bit float, and of its precision. */
static double
score_of(const struct search *s, double rank)
{
	double score = s->vector->distance == VECTOR_EUCLIDEAN     ? sqrt(rank)
		       : s->vector->distance == VECTOR_DOT_PRODUCT ? 0 - rank
								   : rank;

	if (score > (double)FLT_MAX)
		return (double)FLT_MAX;
	if (score < -(double)FLT_MAX)
		return -(double)FLT_MAX;
	return (double)(float)score;
}

/* ---- the heap ---- */

static bool
farther(const struct near *a, const struct near *b)
{
	return a->rank > b->rank || (a->rank == b->rank && a->place > b->place);
}

static void
swap_near(struct near *a, struct near *b)
{
	struct near c = *a;

	*a = *b;
	*b = c;
}

static void
sift_down(struct search *s)
{
	for (uint32_t at = 0;;) {
		uint32_t child = 2 * at + 1;

		if (child + 1 < s->count && farther(&s->heap[child + 1], &s->heap[child]))
			child++;
		if (child >= s->count || !farther(&s->heap[child], &s->heap[at]))
			return;
		swap_near(&s->heap[child], &s->heap[at]);
		at = child;
	}
}

static void
sift_up(struct search *s)
{
	for (uint32_t at = s->count - 1; at > 0 && farther(&s->heap[at], &s->heap[(at - 1) / 2]); at = (at - 1) / 2)
		swap_near(&s->heap[at], &s->heap[(at - 1) / 2]);
}

static void
keep(struct search *s, double rank, uint64_t place, struct slice key, const struct vector_row *row)
{
	bool full = s->count == s->in->top;
	struct near *n = full ? &s->heap[0] : &s->heap[s->count++];

	n->rank = rank;
	n->place = place;
	n->key.len = n->floats.len = 0;
	buf_put_slice(&n->key, key);
	if (s->tells_vector)
		buf_put(&n->floats, row->floats, s->vector->dimensions * sizeof(float));
	if (full)
		sift_down(s);
	else
		sift_up(s);
}

static int
nearest_first(const void *a, const void *b)
{
	return farther(a, b) ? 1 : -1; /* no two have one place */
}

/* ---- the walk ---- */

static bool
passes(const struct search *s, const struct vector_row *row)
{
	for (size_t i = 0; i < s->in->filter_count; i++) {
		struct av value = av_get(row->filters, s->in->filters[i].name);

		if (!av_exists(value) || !av_equal(value, s->in->filters[i].value))
			return false;
	}
	return true;
}

static enum status
damaged(const struct search *s, struct err *err)
{
	return err_set(err, S_CORRUPT, "a row of vector index %.*s of table %.*s is damaged",
		       SLICE_ARG(s->index->spec->name), SLICE_ARG(s->core->name));
}

static enum status
compare_all(struct search *s, struct engine_iter *it, struct err *err)
{
	uint64_t place = 0, bytes = 0, breathed_bytes = 0;

	for (engine_iter_first(it); engine_iter_valid(it); engine_iter_next(it), place++) {
		struct slice value = engine_iter_value(it);
		struct vector_row row;
		double rank;

		bytes += value.len;
		if (!s->io->may_block && bytes > INLINE_BYTES_MAX)
			return S_WOULD_BLOCK;
		if (bytes - breathed_bytes >= BREATH_BYTES) {
			breathed_bytes = bytes;
			thread_breathe();
		}
		if (!vector_row_read(value, s->vector->dimensions, &row))
			return damaged(s, err);
		if (s->in->filter_count > 0 && !passes(s, &row))
			continue;
		rank = rank_of(s, &row);
		/* a later one that is as near does not take an earlier one's place */
		if (s->count < s->in->top || rank < s->heap[0].rank)
			keep(s, rank, place, engine_iter_key(it), &row);
	}
	return engine_iter_status(it, err);
}

static bool
is_large(const struct search *s)
{
	const struct layout *l = layout_of(s->core);
	int64_t bytes = 0;

	for (uint32_t i = 0; i < l->count; i++)
		bytes += atomic_load_explicit(&index_part_of(s->index->core, i)->count.bytes, memory_order_relaxed);
	return bytes > CACHED_BYTES_MAX;
}

static enum status
walk(struct search *s, struct err *err)
{
	struct buf *from = &s->scratch->from, *to = &s->scratch->to;
	struct engine_iter *it;
	enum status status;

	key_put_collection(from, s->index->core->number, &s->in->hash, s->index->spec->schema.partition_count, NULL);
	s->prefix_len = from->len;
	buf_put_slice(to, buf_slice(from));
	key_after_prefix(to);
	it = engine_iter_new(s->core->db->engine, s->snapshot, SPACE_INDEXES, buf_slice(from), buf_slice(to),
			     s->flags | ENGINE_NEVER_DROPPED | (is_large(s) ? ENGINE_SCAN : 0));
	status = compare_all(s, it, err);
	engine_iter_free(it);
	return status;
}

/* ---- the items ---- */

/* The table's row key from the index row's: number, hash of the partition key, and the key parts as they are. */
static enum status
item_key(struct search *s, struct slice row_key, struct err *err)
{
	const struct key_schema *schema = &s->in->table->record.spec.schema;
	size_t before = s->prefix_len + sizeof(uint64_t); /* and the hash of the table's key */
	struct buf *key = &s->scratch->keys, *partition = &s->scratch->value;
	struct slice rest;

	if (row_key.len < before)
		return damaged(s, err);
	rest = slice_of(row_key.data + before, row_key.len - before);
	partition->len = key->len = 0;
	if (key_read_part(&rest, schema->partition[0].type, partition) != S_OK)
		return damaged(s, err);
	key_put_collection(key, s->core->number,
			   &(struct av){(const uint8_t *)partition->data, (uint32_t)partition->len}, 1, NULL);
	buf_put_slice(key, rest);
	return S_OK;
}

static void
put_floats(struct buf *out, const char *floats, uint32_t count)
{
	size_t list = av_open(out, TAG_L);

	for (uint32_t i = 0; i < count; i++) {
		uint8_t encoded[NUMBER_ENCODED_MAX];
		char text[VECTOR_TEXT_MAX];
		float f;

		memcpy(&f, floats + 4 * (size_t)i, sizeof f);
		av_put_number(out, slice_of(encoded, number_encode_text(slice_of(text, vector_component_text(f, text)),
									encoded, NULL)));
	}
	av_close_list(out, list, count);
}

/* What the index projects of the item: its own copy of the vector when that was asked for, else without it. */
static struct av
entry_of(struct search *s, struct av item, const struct near *n)
{
	struct av projected = index_project(s->index, item, s->io->arena);
	struct buf *out = &s->scratch->value;
	struct av_iter it = av_iter(projected);
	uint32_t count = 0;
	size_t map;

	out->len = 0;
	map = av_open(out, TAG_M);
	while (av_next(&it)) {
		bool is_vector = slice_eq(it.name, s->vector->attribute);

		if (is_vector && !s->tells_vector)
			continue;
		av_put_name(out, it.name);
		if (is_vector)
			put_floats(out, n->floats.data, s->vector->dimensions);
		else
			av_put_value(out, it.value);
		count++;
	}
	av_close_map_sorted(out, map, count);
	return av_of_buf(s->io->arena, out, 0);
}

static enum status
fetch(struct search *s, const struct near *n, struct table_hit *ret, struct err *err)
{
	struct engine_value value = {0};
	struct av entry;
	enum status status = item_key(s, buf_slice(&n->key), err);

	if (status != S_OK)
		return status;
	status = engine_get(s->core->db->engine, s->snapshot, SPACE_ITEMS, buf_slice(&s->scratch->keys), s->flags,
			    &value, err);
	if (status == S_OK) {
		entry = entry_of(s, av_stored(value.data), n);
		s->told_bytes += item_size(entry);
		ret->score = score_of(s, n->rank);
		ret->item = s->in->projection != NULL ? expr_project(s->in->projection, entry, s->io->arena) : entry;
	}
	engine_value_done(&value);
	if (status == S_NOT_FOUND)
		return err_set(err, S_CORRUPT, "a row of vector index %.*s of table %.*s has no item",
			       SLICE_ARG(s->index->spec->name), SLICE_ARG(s->core->name));
	return status;
}

static enum status
fetch_all(struct search *s, struct table_found *ret, struct err *err)
{
	uint64_t bytes = 0;
	enum status status = S_OK;

	qsort(s->heap, s->count, sizeof *s->heap, nearest_first);
	ret->hits = ARENA_ARRAY(s->io->arena, struct table_hit, s->count);
	for (uint32_t i = 0; i < s->count && status == S_OK; i++) {
		status = fetch(s, &s->heap[i], &ret->hits[ret->count++], err);
		if (status == S_OK)
			bytes += item_size(ret->hits[i].item);
		if (status == S_OK && bytes > VECTOR_RESPONSE_BYTES_MAX)
			status = err_set(err, S_VALIDATION,
					 "The search results exceed the maximum response size of 16 MB. Reduce TopK or "
					 "request fewer attributes in ProjectionExpression");
		if (status == S_OK && !s->io->may_block && bytes > INLINE_BYTES_MAX)
			status = S_WOULD_BLOCK;
	}
	return status;
}

/* ---- all of it ---- */

static bool
projects_vector(const struct search *s)
{
	const struct slice *names;
	size_t count;
	bool named = false, projected = s->index->whole;

	if (s->in->projection == NULL)
		return false;
	names = expr_projected_attrs(s->in->projection, &count);
	for (size_t i = 0; i < count; i++)
		named |= slice_eq(names[i], s->vector->attribute);
	for (size_t i = 0; i < s->index->row_name_count; i++)
		projected |= slice_eq(s->index->row_names[i], s->vector->attribute);
	return named && projected;
}

static void
prepare(struct search *s)
{
	uint32_t n = s->vector->dimensions;
	double *query = arena_alloc(s->io->arena, n * sizeof *query);

	for (uint32_t i = 0; i < n; i++)
		query[i] = (double)s->in->vector[i];
	s->query = query;
	s->kernel = vector_kernel(0);
	s->query_squares = s->kernel->dot(s->in->vector, query, n);
	s->heap = ARENA_ARRAY(s->io->arena, struct near, s->in->top);
	s->tells_vector = projects_vector(s);
}

/* Rows and items of what is being dropped may be missing: the flag is set before the first is. */
static enum status
check_dropped(const struct search *s, struct err *err)
{
	if (atomic_load(&s->core->dropped))
		return err_set(err, S_RESOURCE_NOT_FOUND, "Requested resource not found");
	if (atomic_load(&s->index->core->dropped))
		return err_set(err, S_VALIDATION, "The table does not have the specified index: %.*s",
			       SLICE_ARG(s->index->spec->name));
	return S_OK;
}

static uint64_t
request_bytes(const struct search *s)
{
	uint64_t bytes = (SEARCH_TENTHS_PER_DIMENSION * (uint64_t)s->vector->dimensions + 5) / 10 + s->told_bytes;

	return bytes > VECTOR_SEARCH_MIN_BYTES ? bytes : VECTOR_SEARCH_MIN_BYTES;
}

enum status
table_search(const struct table_search *in, struct table_io *io, struct table_found *ret, struct err *err)
{
	struct search s = {.in = in,
			   .io = io,
			   .core = in->table->core,
			   .index = in->index,
			   .vector = in->index->spec->vector,
			   .flags = io->may_block ? ENGINE_MAY_BLOCK : ENGINE_CACHED_ONLY};
	struct engine *e = s.core->db->engine;
	uint64_t durable_before = engine_durable(e);
	enum status status, gone;

	*ret = (struct table_found){0};
	prepare(&s);
	s.scratch = table_scratch_take(s.core->db);
	s.snapshot = engine_snapshot_new(e);
	status = walk(&s, err);
	if (status == S_OK)
		status = fetch_all(&s, ret, err);
	engine_snapshot_free(e, s.snapshot);
	table_scratch_give(s.core->db, s.scratch);
	for (uint32_t i = 0; i < in->top; i++) {
		buf_done(&s.heap[i].key);
		buf_done(&s.heap[i].floats);
	}
	if (status == S_OK || status == S_CORRUPT) {
		gone = check_dropped(&s, err);
		status = gone != S_OK ? gone : status;
	}
	if (status != S_OK)
		return status;
	recent_read_range(s.core, 0, UINT64_MAX, durable_before, &io->wait_seq);
	ret->bytes = request_bytes(&s);
	return S_OK;
}
