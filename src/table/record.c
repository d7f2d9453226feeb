/*
 * Catalog records as bytes. docs/formats/catalog.md describes them; a change of the form is a new version number, and
 * every version ever written stays readable.
 */
#include "table/vector_int.h"

#include <stdio.h>
#include <stdlib.h>

#define RECORD_VERSION 3 /* 1: without vector indexes; 2: without TTL */

enum { /* flags of a table */
       FLAG_PROTECTED = 1,
       FLAG_PENDING = 2,
};
enum { /* flags of an index */
       FLAG_GLOBAL = 1,
       FLAG_BACKFILLING = 2,
       FLAG_BUILDING = 4,
       FLAG_INDEX_PENDING = 8,
       FLAG_VECTOR = 16,
};

/* ---- memory ---- */

struct pool_piece {
	struct pool_piece *next;
	_Alignas(16) char data[];
};

static void
out_of_memory(size_t size)
{
	fprintf(stderr, "out of memory: a table asked for %zu bytes\n", size);
	abort();
}

void *
table_alloc(size_t size)
{
	void *p = calloc(1, size ? size : 1);

	if (p == NULL)
		out_of_memory(size);
	return p;
}

static void *
pool_alloc(void *context, size_t size)
{
	struct pool *pool = context;
	struct pool_piece *piece = table_alloc(sizeof *piece + size);

	piece->next = pool->pieces;
	pool->pieces = piece;
	return piece->data;
}

void
table_pool_done(struct pool *p)
{
	while (p->pieces != NULL) {
		struct pool_piece *next = p->pieces->next;

		free(p->pieces);
		p->pieces = next;
	}
}

static void *
arena_alloc_zeroed(void *context, size_t size)
{
	return arena_zalloc(context, size);
}

struct allocator
arena_allocator(struct arena *a)
{
	return (struct allocator){arena_alloc_zeroed, a};
}

struct allocator
pool_allocator(struct pool *p)
{
	return (struct allocator){pool_alloc, p};
}

/* ---- writing ---- */

static void
put_uint(struct buf *out, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		buf_put_byte(out, (uint8_t)v | 0x80);
	buf_put_byte(out, (uint8_t)v);
}

/* Small negative values stay short: 0, -1, 1, -2 ... as 0, 1, 2, 3 ... */
static void
put_int(struct buf *out, int64_t v)
{
	put_uint(out, ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0));
}

static void
put_text(struct buf *out, struct slice s)
{
	put_uint(out, s.len);
	buf_put_slice(out, s);
}

static void
put_attrs(struct buf *out, const struct key_attr *attrs, size_t count)
{
	put_uint(out, count);
	for (size_t i = 0; i < count; i++) {
		put_text(out, attrs[i].name);
		put_uint(out, attrs[i].type);
	}
}

static void
put_schema(struct buf *out, const struct key_schema *schema)
{
	put_attrs(out, schema->partition, schema->partition_count);
	put_attrs(out, schema->sort, schema->sort_count);
}

static void
put_throughput(struct buf *out, const struct table_throughput *t)
{
	put_int(out, t->read_units);
	put_int(out, t->write_units);
	put_int(out, t->max_read_units);
	put_int(out, t->max_write_units);
	put_int(out, t->warm_read_units);
	put_int(out, t->warm_write_units);
	put_int(out, t->last_increase_ms);
	put_int(out, t->last_decrease_ms);
	put_int(out, t->decreases_today);
}

static void
put_vector(struct buf *out, const struct table_vector_spec *v)
{
	put_text(out, v->attribute);
	put_uint(out, v->dimensions);
	put_uint(out, v->distance);
	put_uint(out, v->element_count);
	for (size_t i = 0; i < v->element_count; i++) {
		put_text(out, v->elements[i].attr.name);
		put_uint(out, v->elements[i].attr.type);
		put_uint(out, v->elements[i].hash);
	}
}

static void
put_index(struct buf *out, const struct table_index_spec *spec, const struct index_record *r)
{
	put_uint(out, r->number);
	put_uint(out, r->status);
	put_uint(out, (spec->global ? FLAG_GLOBAL : 0) | (r->backfilling ? FLAG_BACKFILLING : 0) |
			  (r->building ? FLAG_BUILDING : 0) | (r->has_pending ? FLAG_INDEX_PENDING : 0) |
			  (spec->vector != NULL ? FLAG_VECTOR : 0));
	put_text(out, spec->name);
	put_schema(out, &spec->schema);
	put_uint(out, spec->projection);
	put_uint(out, spec->include_count);
	for (size_t i = 0; i < spec->include_count; i++)
		put_text(out, spec->include[i]);
	if (spec->vector != NULL)
		put_vector(out, spec->vector);
	put_throughput(out, &spec->throughput);
	if (r->has_pending)
		put_throughput(out, &r->pending);
}

void
record_encode(const struct record *r, struct buf *out)
{
	const struct table_spec *spec = &r->spec;

	buf_put_byte(out, RECORD_VERSION);
	put_uint(out, r->number);
	put_uint(out, r->partitions);
	buf_put(out, r->id, 36);
	put_uint(out, r->status);
	put_uint(out, (spec->deletion_protection ? FLAG_PROTECTED : 0) | (r->has_pending ? FLAG_PENDING : 0));
	put_int(out, r->created_ms);
	put_int(out, r->billing_changed_ms);
	put_int(out, r->class_changed_ms);
	put_schema(out, &spec->schema);
	put_attrs(out, spec->definitions, spec->definition_count);
	put_uint(out, spec->billing);
	put_uint(out, spec->class);
	put_throughput(out, &spec->throughput);
	if (r->has_pending)
		put_throughput(out, &r->pending);
	put_uint(out, spec->index_count);
	for (size_t i = 0; i < spec->index_count; i++)
		put_index(out, &spec->indexes[i], &r->indexes[i]);
	put_uint(out, spec->tag_count);
	for (size_t i = 0; i < spec->tag_count; i++) {
		put_text(out, spec->tags[i].key);
		put_text(out, spec->tags[i].value);
	}
	put_uint(out, r->ttl.number);
	put_uint(out, r->ttl.status);
	put_text(out, r->ttl.attribute);
	put_int(out, r->ttl.changed_ms);
}

/* ---- reading ---- */

/* Latches the first error; a failed reader gives zeros and empty texts. */
struct reader {
	const char *at;
	const char *end;
	bool bad;
	struct allocator a;
};

static uint64_t
get_uint(struct reader *r)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64 && r->at < r->end; shift += 7) {
		uint8_t byte = (uint8_t)*r->at++;

		v |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return r->bad ? 0 : v;
	}
	r->bad = true;
	return 0;
}

static int64_t
get_int(struct reader *r)
{
	uint64_t v = get_uint(r);

	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* A number below `limit`. */
static unsigned
get_below(struct reader *r, unsigned limit)
{
	uint64_t v = get_uint(r);

	if (v < limit)
		return (unsigned)v;
	r->bad = true;
	return 0;
}

static struct slice
get_text(struct reader *r)
{
	uint64_t len = get_uint(r);
	struct slice s;

	if (len > (size_t)(r->end - r->at)) {
		r->bad = true;
		return SLICE_NONE;
	}
	s = (struct slice){r->at, len};
	r->at += len;
	return s;
}

/* A count of things that take at least a byte each, so that a bad count cannot ask for much memory. */
static size_t
get_count(struct reader *r)
{
	uint64_t count = get_uint(r);

	if (count > (size_t)(r->end - r->at))
		r->bad = true;
	return r->bad ? 0 : count;
}

static void *
get_array(struct reader *r, size_t count, size_t size)
{
	return r->a.alloc(r->a.context, count * size);
}

static void
get_attr(struct reader *r, struct key_attr *ret)
{
	ret->name = get_text(r);
	ret->type = (enum av_type)get_below(r, AV_TYPE_COUNT);
}

static uint8_t
get_key_attrs(struct reader *r, struct key_attr ret[KEY_ATTRS_MAX])
{
	unsigned count = get_below(r, KEY_ATTRS_MAX + 1);

	for (unsigned i = 0; i < count; i++)
		get_attr(r, &ret[i]);
	return (uint8_t)count;
}

static void
get_schema(struct reader *r, struct key_schema *ret)
{
	ret->partition_count = get_key_attrs(r, ret->partition);
	ret->sort_count = get_key_attrs(r, ret->sort);
}

static void
get_throughput(struct reader *r, struct table_throughput *ret)
{
	ret->read_units = get_int(r);
	ret->write_units = get_int(r);
	ret->max_read_units = get_int(r);
	ret->max_write_units = get_int(r);
	ret->warm_read_units = get_int(r);
	ret->warm_write_units = get_int(r);
	ret->last_increase_ms = get_int(r);
	ret->last_decrease_ms = get_int(r);
	ret->decreases_today = get_int(r);
}

static struct table_vector_spec *
get_vector(struct reader *r)
{
	struct table_vector_spec *v = get_array(r, 1, sizeof *v);

	v->attribute = get_text(r);
	v->dimensions = get_below(r, VECTOR_DIMENSIONS_MAX + 1);
	v->distance = (enum vector_distance)get_below(r, VECTOR_EUCLIDEAN + 1);
	v->element_count = get_count(r);
	v->elements = get_array(r, v->element_count, sizeof *v->elements);
	for (size_t i = 0; i < v->element_count; i++) {
		get_attr(r, &v->elements[i].attr);
		v->elements[i].hash = get_below(r, 2);
	}
	return v;
}

static void
get_index(struct reader *r, struct table_index_spec *spec, struct index_record *index)
{
	unsigned flags;

	index->number = (uint32_t)get_uint(r);
	index->status = (enum index_status)get_below(r, INDEX_ACTIVE + 1);
	flags = get_below(r, 32);
	spec->global = flags & FLAG_GLOBAL;
	index->backfilling = flags & FLAG_BACKFILLING;
	index->building = flags & FLAG_BUILDING;
	index->has_pending = flags & FLAG_INDEX_PENDING;
	spec->name = get_text(r);
	get_schema(r, &spec->schema);
	spec->projection = (enum projection_type)get_below(r, PROJECT_ALL + 1);
	spec->include_count = get_count(r);
	spec->include = get_array(r, spec->include_count, sizeof *spec->include);
	for (size_t i = 0; i < spec->include_count; i++)
		spec->include[i] = get_text(r);
	if (flags & FLAG_VECTOR)
		spec->vector = get_vector(r);
	get_throughput(r, &spec->throughput);
	if (index->has_pending)
		get_throughput(r, &index->pending);
}

static void
get_ttl(struct reader *r, struct ttl_record *ret)
{
	ret->number = (uint32_t)get_uint(r);
	ret->status = (enum table_ttl_status)get_below(r, TTL_DISABLING + 1);
	ret->attribute = get_text(r);
	ret->changed_ms = get_int(r);
	if ((ret->status != TTL_DISABLED) != (ret->number != 0))
		r->bad = true;
}

static void
get_table(struct reader *r, int version, struct record *ret)
{
	struct table_spec *spec = &ret->spec;
	unsigned flags;

	ret->number = (uint32_t)get_uint(r);
	ret->partitions = get_below(r, PARTITIONS_MAX + 1);
	if (r->end - r->at < 36) {
		r->bad = true;
		return;
	}
	memcpy(ret->id, r->at, 36);
	r->at += 36;
	ret->status = (enum table_status)get_below(r, TABLE_ACTIVE + 1);
	flags = get_below(r, 4);
	spec->deletion_protection = flags & FLAG_PROTECTED;
	ret->has_pending = flags & FLAG_PENDING;
	ret->created_ms = get_int(r);
	ret->billing_changed_ms = get_int(r);
	ret->class_changed_ms = get_int(r);
	get_schema(r, &spec->schema);
	spec->definition_count = get_count(r);
	spec->definitions = get_array(r, spec->definition_count, sizeof *spec->definitions);
	for (size_t i = 0; i < spec->definition_count; i++)
		get_attr(r, &spec->definitions[i]);
	spec->billing = (enum billing_mode)get_below(r, BILLING_ON_DEMAND + 1);
	spec->class = (enum table_class)get_below(r, CLASS_INFREQUENT_ACCESS + 1);
	get_throughput(r, &spec->throughput);
	if (ret->has_pending)
		get_throughput(r, &ret->pending);
	spec->index_count = get_count(r);
	spec->indexes = get_array(r, spec->index_count, sizeof *spec->indexes);
	ret->indexes = get_array(r, spec->index_count, sizeof *ret->indexes);
	for (size_t i = 0; i < spec->index_count; i++)
		get_index(r, &spec->indexes[i], &ret->indexes[i]);
	spec->tag_count = get_count(r);
	spec->tags = get_array(r, spec->tag_count, sizeof *spec->tags);
	for (size_t i = 0; i < spec->tag_count; i++) {
		spec->tags[i].key = get_text(r);
		spec->tags[i].value = get_text(r);
	}
	if (version >= 3)
		get_ttl(r, &ret->ttl);
}

enum status
record_decode(struct slice name, struct slice bytes, struct allocator a, struct record *ret, struct err *err)
{
	struct reader r = {bytes.data, bytes.data + bytes.len, false, a};
	int version = bytes.len > 0 ? (uint8_t)*r.at++ : -1;

	*ret = (struct record){0};
	ret->spec.name = name;
	if (version < 1 || version > RECORD_VERSION)
		return err_set(err, S_CORRUPT, "the catalog's record of table %.*s has an unknown form (%d)",
			       SLICE_ARG(name), version);
	get_table(&r, version, ret);
	if (r.bad || r.at != r.end || ret->partitions == 0 || ret->spec.schema.partition_count == 0)
		return err_set(err, S_CORRUPT, "the catalog's record of table %.*s is damaged", SLICE_ARG(name));
	return S_OK;
}
