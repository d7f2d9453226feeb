/*
 * What the table tests share: a database on the memory engine, items written in one line, expressions.
 * Included by one .c file each, so all is static.
 */
#ifndef TESTS_UNIT_TABLE_FIXTURE_H
#define TESTS_UNIT_TABLE_FIXTURE_H

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "model/number.h"
#include "table/table.h"

#define UNUSED __attribute__((unused))
#define assert_ok(s)                                                                                                   \
	do {                                                                                                           \
		enum status status_ = (s);                                                                             \
		if (status_ != S_OK)                                                                                   \
			fail_msg("%s: %d %s", #s, (int)status_, fx.err.message);                                       \
	} while (0)
#define assert_status(s, expected, text)                                                                               \
	do {                                                                                                           \
		fx.err.message[0] = 0;                                                                                 \
		assert_int_equal((s), (expected));                                                                     \
		assert_string_equal(fx.err.message, (text));                                                           \
	} while (0)

struct fixture {
	struct engine *engine; /* the one the database uses */
	struct engine *memory;
	struct table_db *db;
	struct arena arena;
	struct err err;
	int partitions;
	int delay_ms;
	bool no_cache; /* each read of an item or a page asks the engine */
	bool throttling;
	uint64_t collection_bytes_max; /* 0: as it is */
};
static struct fixture fx;

UNUSED static void
db_open(void)
{
	struct table_db_options options = {"eu-central-1",
					   "000000000000",
					   fx.delay_ms,
					   fx.partitions,
					   fx.no_cache ? 0 : 256 * 1024,
					   fx.throttling,
					   fx.collection_bytes_max,
					   fx.no_cache ? 0 : 4 << 20};

	assert_ok(table_db_open(fx.engine, &options, &fx.db, &fx.err));
}

UNUSED static void
db_reopen(void) /* as after a stop: the engine keeps what it has */
{
	table_db_close(fx.db);
	db_open();
}

#define HELD 1000000 /* ms: no change of a table, index or TTL ends before it is opened again without delay */
UNUSED static void
db_reopen_with_delay(int delay_ms)
{
	fx.delay_ms = delay_ms;
	db_reopen();
}

UNUSED static int
setup_with(int partitions, int delay_ms, bool faulty)
{
	memset(&fx, 0, sizeof fx);
	fx.partitions = partitions;
	fx.delay_ms = delay_ms;
	fx.no_cache = false;
	if (engine_memory_open(&fx.memory, &fx.err) != S_OK)
		return -1;
	fx.engine = faulty ? engine_faulty_new(fx.memory) : fx.memory;
	db_open();
	return 0;
}

UNUSED static int
setup(void **state)
{
	(void)state;
	return setup_with(4, 0, false);
}

UNUSED static int
setup_faulty(void **state)
{
	(void)state;
	return setup_with(4, 0, true);
}

UNUSED static int
teardown(void **state)
{
	(void)state;
	table_db_close(fx.db);
	engine_close(fx.engine);
	arena_done(&fx.arena);
	expr_cache_done();
	return 0;
}

/* ---- values ---- */

/* "S:text", "N:12", "B:bytes", "BOOL", "NULL" */
UNUSED static void
put_value(struct buf *out, const char *text)
{
	struct number n;
	uint8_t encoded[NUMBER_ENCODED_MAX];

	if (strncmp(text, "S:", 2) == 0) {
		av_put_string(out, slice_str(text + 2));
	} else if (strncmp(text, "B:", 2) == 0) {
		av_put_binary(out, slice_str(text + 2));
	} else if (strncmp(text, "N:", 2) == 0) {
		assert_ok(number_parse(slice_str(text + 2), &n, &fx.err));
		av_put_number(out, slice_of(encoded, number_encode(&n, encoded)));
	} else if (strcmp(text, "BOOL") == 0) {
		av_put_bool(out, true);
	} else {
		av_put_null(out);
	}
}

UNUSED static struct av
value(const char *text)
{
	struct buf out = {0};
	struct av v;

	put_value(&out, text);
	v = av_of_buf(&fx.arena, &out, 0);
	buf_done(&out);
	return v;
}

/* item("pk", "S:a", "n", "N:1", NULL) */
UNUSED static struct av
item(const char *name, ...)
{
	struct buf out = {0};
	struct av v;
	size_t map = av_open(&out, TAG_M);
	uint32_t count = 0;
	struct slice duplicate;
	va_list args;

	va_start(args, name);
	for (; name != NULL; name = va_arg(args, const char *)) {
		av_put_name(&out, slice_str(name));
		put_value(&out, va_arg(args, const char *));
		count++;
	}
	va_end(args);
	assert_ok(av_close_map(&out, map, count, &duplicate));
	v = av_of_buf(&fx.arena, &out, 0);
	buf_done(&out);
	return v;
}

UNUSED static const char *
text(const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	return arena_dup(&fx.arena, slice_str(line)).data;
}

/* A string value of that many bytes, as put_value() takes it. */
UNUSED static const char *
long_text(size_t bytes)
{
	char *s = arena_alloc(&fx.arena, bytes + 3);

	memcpy(s, "S:", 2);
	memset(s + 2, 'x', bytes);
	s[bytes + 2] = 0;
	return s;
}

UNUSED static void
assert_same(struct av a, struct av b)
{
	assert_int_equal(av_exists(a), av_exists(b));
	if (av_exists(a))
		assert_true(av_equal(a, b));
}

UNUSED static const char *
string_of(struct av map, const char *name)
{
	struct av v = av_get(map, slice_str(name));

	return av_exists(v) ? arena_dup(&fx.arena, av_bytes(v)).data : "(none)";
}

/* ---- tables ---- */

UNUSED static struct key_schema
schema(const char *partition, const char *sort, enum av_type sort_type)
{
	struct key_schema s = {0};

	s.partition_count = 1;
	s.partition[0] = (struct key_attr){slice_str(partition), AV_S};
	if (sort != NULL) {
		s.sort_count = 1;
		s.sort[0] = (struct key_attr){slice_str(sort), sort_type};
	}
	return s;
}

UNUSED static void
define(struct table_spec *spec, const struct key_attr *attrs, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		size_t n = 0;

		while (n < spec->definition_count && !slice_eq(spec->definitions[n].name, attrs[i].name))
			n++;
		spec->definitions[n] = attrs[i];
		if (n == spec->definition_count)
			spec->definition_count++;
	}
}

UNUSED static struct table_spec
spec_of(const char *name, struct key_schema key, const struct table_index_spec *indexes, size_t count)
{
	struct table_spec spec = {.name = slice_str(name), .schema = key, .billing = BILLING_ON_DEMAND};

	spec.definitions = ARENA_ARRAY(&fx.arena, struct key_attr, 64);
	define(&spec, key.partition, key.partition_count);
	define(&spec, key.sort, key.sort_count);
	spec.index_count = count;
	spec.indexes = ARENA_ARRAY(&fx.arena, struct table_index_spec, count);
	for (size_t i = 0; i < count; i++) {
		spec.indexes[i] = indexes[i];
		define(&spec, indexes[i].schema.partition, indexes[i].schema.partition_count);
		define(&spec, indexes[i].schema.sort, indexes[i].schema.sort_count);
	}
	return spec;
}

UNUSED static struct table_description
describe(const char *name)
{
	struct table_description d;

	assert_ok(table_describe(fx.db, slice_str(name), &fx.arena, &d, &fx.err));
	return d;
}

/* ACTIVE, and all its indexes too. */
UNUSED static bool
is_active(const char *name)
{
	struct table_description d = describe(name);
	bool active = d.status == TABLE_ACTIVE;

	for (size_t i = 0; i < d.spec.index_count; i++)
		active &= d.indexes[i].status == INDEX_ACTIVE;
	return active;
}

UNUSED static void
wait_active(const char *name)
{
	for (int i = 0; i < 120000 && !is_active(name); i++)
		usleep(500);
	assert_true(is_active(name));
}

UNUSED static void
wait_gone(const char *name)
{
	struct table_description d;
	int i = 0;

	while (table_describe(fx.db, slice_str(name), &fx.arena, &d, &fx.err) == S_OK && i++ < 120000)
		usleep(500);
	assert_int_equal(table_describe(fx.db, slice_str(name), &fx.arena, &d, &fx.err), S_RESOURCE_NOT_FOUND);
}

UNUSED static struct table *
find(const char *name)
{
	struct table *t = NULL;

	assert_ok(table_find(fx.db, slice_str(name), &t, &fx.err));
	return t;
}

UNUSED static struct table *
create(const char *name, struct key_schema key, const struct table_index_spec *indexes, size_t count)
{
	struct table_spec spec = spec_of(name, key, indexes, count);
	struct table_description d;

	assert_ok(table_create(fx.db, &spec, &fx.arena, &d, &fx.err));
	wait_active(name);
	return find(name);
}

/* ---- expressions ---- */

/* :a, :b, :c are the values given. */
UNUSED static const struct expr *
expression(enum expr_kind kind, const char *source, const char *a, const char *b)
{
	struct expr_params *params = ARENA_NEW(&fx.arena, struct expr_params);
	struct expr *e;

	params->values = ARENA_ARRAY(&fx.arena, struct expr_value, 2);
	if (a != NULL)
		params->values[params->value_count++] =
		    (struct expr_value){.placeholder = SLICE(":a"), .value = value(a)};
	if (b != NULL)
		params->values[params->value_count++] =
		    (struct expr_value){.placeholder = SLICE(":b"), .value = value(b)};
	params->has_values = params->value_count > 0;
	assert_ok(expr_bind(kind, arena_dup(&fx.arena, slice_str(source)), params, &fx.arena, &e, &fx.err));
	return e;
}

/* ---- writing and reading in one line ---- */

UNUSED static struct table_io
blocking_io(void)
{
	return (struct table_io){.arena = &fx.arena, .may_block = true};
}

UNUSED static enum status
put(struct table *t, struct av new_item)
{
	struct table_io io = blocking_io();
	struct table_write w = {.kind = WRITE_PUT, .table = t, .item = new_item};

	return table_commit(&w, 1, &io, &fx.err);
}

UNUSED static enum status delete (struct table *t, struct av key) {
	struct table_io io = blocking_io(); struct table_write w = {.kind = WRITE_DELETE, .table = t, .key = key};

	return table_commit(&w, 1, &io, &fx.err);
}

UNUSED static struct av
get(struct table *t, struct av key)
{
	struct table_io io = blocking_io();
	struct av got;

	assert_ok(table_get(t, key, &io, &got, &fx.err));
	return got;
}

UNUSED static struct table_page
page(struct table_read read)
{
	struct table_io io = blocking_io();
	struct table_page p;

	assert_ok(table_read_page(&read, &io, &p, &fx.err));
	return p;
}

/* All pages with that limit, one behind the other. */
UNUSED static struct table_page
all_pages(struct table_read read, uint32_t limit)
{
	struct table_page whole = {0}, p;

	whole.items = ARENA_ARRAY(&fx.arena, struct av, 4096);
	read.limit = limit;
	do {
		p = page(read);
		for (uint32_t i = 0; i < p.count; i++)
			whole.items[whole.count + i] = p.items[i];
		whole.count += p.count;
		whole.scanned += p.scanned;
		assert_true(limit == 0 || p.scanned <= limit);
		read.start_key = p.last_key;
	} while (av_exists(p.last_key));
	return whole;
}

/* Could it be told to a client? */
UNUSED static bool
durable(uint64_t seq)
{
	enum status s;

	while ((s = engine_wait_status(fx.engine, seq)) == S_WOULD_BLOCK)
		sched_yield();
	return s == S_OK;
}

#endif
