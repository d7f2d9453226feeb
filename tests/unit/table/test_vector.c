/* Vector indexes: numbers, kernels, rows, searches, and what happens when the engine fails. */
#include "table/fixture.h"

#include <float.h>
#include <math.h>

#include "table/vector_int.h"

#define DIMENSIONS 20
#define ITEMS      200

/* ---- numbers ---- */

static float
component(const char *decimal)
{
	uint8_t encoded[NUMBER_ENCODED_MAX];
	size_t len = number_encode_text(slice_str(decimal), encoded, &fx.err);
	float f = NAN;

	assert_true(len > 0);
	return vector_component(slice_of(encoded, len), &f) ? f : INFINITY;
}

static void
components_are_the_nearest_floats(void **state)
{
	static const char *const decimals[] = {
	    "0",
	    "1",
	    "-1",
	    "0.1",
	    "-0.3333333333333333333333333333333333333",
	    "16777217",
	    "16777217.0000000000001",
	    "16777216.9999999999999",
	    "1.000000059604644775390625", /* half way between two floats */
	    "1.0000000596046447753906250000000000001",
	    "1.0000000596046447753906249999999999999",
	    "3.4028235e38",
	    "3.4028234663852885981170418348451692544e38",
	    "1.17549435e-38",
	    "1e-45",
	    "7e-46",
	    "1E-130",
	    "1e-23",
	    "123456789012345678",
	    "0.012345678901234567",
	    "99999999999999999999999999999999999999",
	    "18446744073709551615",
	    "18446744073709551617",
	    "1e27",
	    "1e28",
	};
	char line[64];

	(void)state;
	for (size_t i = 0; i < sizeof decimals / sizeof *decimals; i++)
		assert_true(component(decimals[i]) == strtof(decimals[i], NULL));
	srandom(1);
	for (int i = 0; i < 20000; i++) {
		double wide = (double)random() / RAND_MAX * 2 - 1;

		snprintf(line, sizeof line, "%.*g", (int)(random() % 19) + 1,
			 wide * pow(10, (double)(random() % 60) - 30));
		if (component(line) != strtof(line, NULL))
			fail_msg("%s: %.9g", line, (double)component(line));
	}
}

static void
what_no_float_is_near_is_refused(void **state)
{
	(void)state;
	assert_true(isinf(component("1e39")));
	assert_true(isinf(component("-1e39")));
	assert_true(isinf(component("9.9E125")));
	assert_true(isinf(component("3.40282357e38")));
	assert_true(component("3.40282356e38") == FLT_MAX);
}

static void
components_read_back_as_they_are(void **state)
{
	static const float floats[] = {0, 1, -1, 0.1f, 16777216, FLT_MAX, -FLT_MAX, FLT_MIN, 1e-45f, 1.0f / 3, 1e10f};
	char line[VECTOR_TEXT_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
		line[vector_component_text(floats[i], line)] = 0;
		assert_true(component(line) == floats[i]);
	}
	assert_int_equal(vector_component_text(0.1f, line), 3);
	assert_memory_equal(line, "0.1", 3);
	assert_int_equal(vector_component_text(-0.0f, line), 1);
	for (int i = 0; i < 20000; i++) {
		uint32_t bits = (uint32_t)random() ^ (uint32_t)random() << 16;
		float f;

		memcpy(&f, &bits, sizeof f);
		if (!isfinite(f))
			continue;
		line[vector_component_text(f, line)] = 0;
		assert_true(component(line) == f);
	}
}

/* ---- kernels ---- */

static void
all_kernels_give_the_same_bits(void **state)
{
	static const uint32_t counts[] = {1, 2, 3, 15, 16, 17, 31, 32, 33, 100, 128, 1000, 1536, 4096};
	char floats[4 * 4096 + 1];
	double query[4096];
	unsigned kernels = 0;

	(void)state;
	while (vector_kernel(kernels) != NULL)
		kernels++;
	assert_true(kernels >= 1);
	assert_string_equal(vector_kernel(kernels - 1)->name, "plain");
	for (int round = 0; round < 50; round++) {
		uint32_t count = counts[(size_t)round % (sizeof counts / sizeof *counts)];
		char *at = floats + round % 2; /* not aligned */
		double dot = 0, distance = 0, magnitude = 0;

		for (uint32_t i = 0; i < count; i++) {
			float f = (float)((double)random() / RAND_MAX - 0.5) * (round % 3 ? 1 : 1e30f), g = f * 3 + 1;

			memcpy(at + 4 * (size_t)i, &f, 4);
			query[i] = (double)g;
			dot += (double)f * query[i];
			magnitude += fabs((double)f * query[i]);
			distance += ((double)f - query[i]) * ((double)f - query[i]);
		}
		for (unsigned k = 0; k < kernels; k++) {
			const struct vector_kernel *kernel = vector_kernel(k), *plain = vector_kernel(kernels - 1);

			assert_true(kernel->dot(at, query, count) == plain->dot(at, query, count));
			assert_true(kernel->squared_distance(at, query, count) ==
				    plain->squared_distance(at, query, count));
			assert_true(fabs(kernel->dot(at, query, count) - dot) <= 1e-12 * magnitude);
			assert_true(fabs(kernel->squared_distance(at, query, count) - distance) <= 1e-12 * distance);
		}
	}
}

/* ---- tables ---- */

static struct table_index_spec
vector_index(const char *name, enum vector_distance distance, enum projection_type projection)
{
	struct table_vector_spec *v = ARENA_NEW(&fx.arena, struct table_vector_spec);
	struct table_index_spec x = {.name = slice_str(name), .global = true, .vector = v, .projection = projection};

	v->attribute = SLICE("v");
	v->dimensions = DIMENSIONS;
	v->distance = distance;
	v->elements = ARENA_ARRAY(&fx.arena, struct table_vector_element, 2);
	v->elements[0] = (struct table_vector_element){{SLICE("f"), AV_S}, false};
	v->elements[1] = (struct table_vector_element){{SLICE("t"), AV_S}, true};
	v->element_count = 2;
	x.schema.partition_count = 1;
	x.schema.partition[0] = v->elements[1].attr;
	return x;
}

static void
make_vector(int seed, float ret[DIMENSIONS])
{
	for (int i = 0; i < DIMENSIONS; i++)
		ret[i] = (float)((seed * 7919 + i * 104729) % 1009) / 1009 - 0.5f;
}

static struct av
vector_item(const char *pk, const float *vector, const char *tenant, const char *filter)
{
	struct buf out = {0};
	size_t map = av_open(&out, TAG_M), list;
	uint32_t count = 2;
	struct av v;

	av_put_name(&out, SLICE("pk"));
	av_put_string(&out, slice_str(pk));
	if (filter != NULL) {
		av_put_name(&out, SLICE("f"));
		av_put_string(&out, slice_str(filter));
		count++;
	}
	if (tenant != NULL) {
		av_put_name(&out, SLICE("t"));
		av_put_string(&out, slice_str(tenant));
		count++;
	}
	av_put_name(&out, SLICE("v"));
	list = av_open(&out, TAG_L);
	for (int i = 0; i < DIMENSIONS; i++) {
		uint8_t encoded[NUMBER_ENCODED_MAX];
		char line[VECTOR_TEXT_MAX];

		av_put_number(
		    &out, slice_of(encoded, number_encode_text(slice_of(line, vector_component_text(vector[i], line)),
							       encoded, NULL)));
	}
	av_close_list(&out, list, DIMENSIONS);
	assert_ok(av_close_map(&out, map, count, NULL));
	v = av_of_buf(&fx.arena, &out, 0);
	buf_done(&out);
	return v;
}

static struct av
numbered(int i)
{
	float vector[DIMENSIONS];

	make_vector(i, vector);
	return vector_item(text("%d", i), vector, i % 2 ? "odd" : "even", i % 3 ? "a" : "b");
}

static struct table *
create_vectors(const struct table_index_spec *indexes, size_t count)
{
	struct table_spec spec = spec_of("T", schema("pk", NULL, AV_S), indexes, count);
	const struct key_attr definitions[] = {{SLICE("f"), AV_S}, {SLICE("t"), AV_S}};
	struct table_description d;

	define(&spec, definitions, 2);
	assert_ok(table_create(fx.db, &spec, &fx.arena, &d, &fx.err));
	wait_active("T");
	return find("T");
}

static enum status
look(struct table *t, const char *index, const float *query, const char *tenant, const char *filter, uint32_t top,
     bool may_block, struct table_found *ret)
{
	struct table_io io = {.arena = &fx.arena, .may_block = may_block};
	struct table_vector_filter f = {SLICE("f"), filter != NULL ? value(text("S:%s", filter)) : AV_NONE};
	struct table_search search = {.table = t,
				      .vector = query,
				      .hash = value(text("S:%s", tenant)),
				      .filters = &f,
				      .filter_count = filter != NULL,
				      .top = top};
	enum status s = table_vector_index_for_search(t, slice_str(index), &search.index, &fx.err);

	return s == S_OK ? table_search(&search, &io, ret, &fx.err) : s;
}

static double
reference(enum vector_distance distance, const float *a, const float *b)
{
	double dot = 0, aa = 0, bb = 0, squares = 0;

	for (int i = 0; i < DIMENSIONS; i++) {
		double x = (double)a[i], y = (double)b[i];

		dot += x * y;
		aa += x * x;
		bb += y * y;
		squares += (x - y) * (x - y);
	}
	return distance == VECTOR_DOT_PRODUCT ? dot
	       : distance == VECTOR_EUCLIDEAN ? sqrt(squares)
					      : 1 - dot / sqrt(aa * bb);
}

/* How many items of those that are there must be before a score? */
static void
assert_finds_what_is_nearest(struct table *t, const char *index, enum vector_distance distance, const bool *there)
{
	struct table_found found;
	float query[DIMENSIONS], vector[DIMENSIONS];

	for (int seed = 1000; seed < 1010; seed++) {
		uint32_t expected = 0;

		make_vector(seed, query);
		for (int i = 0; i < ITEMS; i++)
			expected += there[i] && i % 2 && i % 3 == 0;
		assert_ok(look(t, index, query, "odd", "b", 10, true, &found));
		assert_int_equal(found.count, expected < 10 ? expected : 10);
		for (uint32_t n = 0; n < found.count; n++) {
			int i = atoi(string_of(found.hits[n].item, "pk"));
			double score;
			uint32_t before = 0;

			assert_true(there[i] && i % 2 && i % 3 == 0);
			make_vector(i, vector);
			score = reference(distance, vector, query);
			assert_true(fabs(score - found.hits[n].score) < 1e-6);
			for (int other = 0; other < ITEMS; other++) {
				double theirs;

				if (!there[other] || other % 2 == 0 || other % 3)
					continue;
				make_vector(other, vector);
				theirs = reference(distance, vector, query);
				before +=
				    distance == VECTOR_DOT_PRODUCT ? theirs > score + 1e-9 : theirs < score - 1e-9;
			}
			assert_true(before <= n);
		}
	}
}

static void
searches_find_the_nearest(void **state)
{
	struct table_index_spec indexes[] = {vector_index("cos", VECTOR_COSINE, PROJECT_ALL),
					     vector_index("dot", VECTOR_DOT_PRODUCT, PROJECT_KEYS_ONLY),
					     vector_index("euc", VECTOR_EUCLIDEAN, PROJECT_ALL)};
	struct table *t = create_vectors(indexes, 3);
	bool there[ITEMS] = {false};

	(void)state;
	for (int i = 0; i < ITEMS; i++) {
		assert_ok(put(t, numbered(i)));
		there[i] = true;
	}
	for (int i = 0; i < ITEMS; i += 4) {
		assert_ok(delete (t, item("pk", text("S:%d", i), NULL)));
		there[i] = false;
	}
	assert_finds_what_is_nearest(t, "cos", VECTOR_COSINE, there);
	assert_finds_what_is_nearest(t, "dot", VECTOR_DOT_PRODUCT, there);
	assert_finds_what_is_nearest(t, "euc", VECTOR_EUCLIDEAN, there);
	table_release(t);
	db_reopen();
	t = find("T");
	assert_finds_what_is_nearest(t, "cos", VECTOR_COSINE, there);
	assert_int_equal(describe("T").indexes[0].item_count, ITEMS * 3 / 4);
	table_release(t);
}

static void
a_search_goes_where_it_may_block_when_it_is_long(void **state)
{
	struct table_index_spec x = vector_index("cos", VECTOR_COSINE, PROJECT_ALL);
	struct table *t = create_vectors(&x, 1);
	float query[DIMENSIONS];
	struct table_found found;

	(void)state;
	make_vector(1, query);
	for (int i = 0; i < 100; i++)
		assert_ok(put(t, numbered(i)));
	assert_ok(look(t, "cos", query, "odd", NULL, 5, false, &found));
	assert_int_equal(found.count, 5);
	for (int i = 100; i < 3000; i++) {
		struct arena_mark mark = arena_mark(&fx.arena);

		assert_ok(put(t, numbered(i)));
		arena_rewind(&fx.arena, mark);
	}
	assert_int_equal(look(t, "cos", query, "odd", NULL, 5, false, &found), S_WOULD_BLOCK);
	assert_ok(look(t, "cos", query, "odd", NULL, 5, true, &found));
	table_release(t);
}

static void
rows_are_written_only_when_they_change(void **state)
{
	struct table_index_spec indexes[] = {vector_index("all", VECTOR_COSINE, PROJECT_ALL),
					     vector_index("keys", VECTOR_COSINE, PROJECT_KEYS_ONLY)};
	struct table *t = create_vectors(indexes, 2);
	const struct expr *set_x = expression(EXPR_UPDATE, "SET x = :a", "S:more", NULL);
	const struct expr *set_t = expression(EXPR_UPDATE, "SET t = :a", "S:other", NULL);
	struct table_write w = {.kind = WRITE_UPDATE, .table = t, .key = item("pk", "S:1", NULL), .update = set_x};
	struct table_io io = blocking_io();
	struct table_found found;
	float vector[DIMENSIONS];

	(void)state;
	make_vector(1, vector);
	assert_ok(put(t, numbered(1)));
	assert_ok(table_commit(&w, 1, &io, &fx.err));
	assert_int_equal(w.unit_count, 2); /* what ALL projects has changed: told as capacity */
	assert_true(slice_eq(table_index_spec(w.units[1].index)->name, SLICE("all")));
	assert_int_equal(w.units[1].vector_write, VECTOR_WRITE_MIN_BYTES);
	assert_int_equal(w.units[1].half_write, 0);
	assert_ok(look(t, "all", vector, "odd", NULL, 1, true, &found));
	assert_string_equal(string_of(found.hits[0].item, "x"), "more");
	assert_false(av_exists(av_get(found.hits[0].item, SLICE("v"))));
	assert_true(found.hits[0].score == 0);
	assert_ok(look(t, "keys", vector, "odd", NULL, 1, true, &found));
	assert_false(av_exists(av_get(found.hits[0].item, SLICE("x"))));
	assert_string_equal(string_of(found.hits[0].item, "f"), "a");
	w.update = set_t;
	assert_ok(table_commit(&w, 1, &io, &fx.err));
	assert_int_equal(w.units[1].vector_write, 2 * VECTOR_WRITE_MIN_BYTES);
	assert_ok(look(t, "all", vector, "odd", NULL, 1, true, &found));
	assert_int_equal(found.count, 0);
	assert_ok(look(t, "all", vector, "other", NULL, 1, true, &found));
	assert_int_equal(found.count, 1);
	table_release(t);
}

/* Each engine call of a write, and of a search, fails once: nothing half done, and no wrong answer. */
static void
engine_failures_leave_index_and_table_alike(void **state)
{
	struct table_index_spec x = vector_index("cos", VECTOR_COSINE, PROJECT_ALL);
	struct table *t = create_vectors(&x, 1);
	float vector[DIMENSIONS];
	struct table_found found;
	enum status s;

	(void)state;
	make_vector(5, vector);
	for (uint64_t n = 1;; n++) {
		engine_faulty_arm(fx.engine, n, S_IO);
		s = put(t, numbered(5));
		engine_faulty_arm(fx.engine, 0, S_OK);
		assert_ok(look(t, "cos", vector, "odd", NULL, 1, true, &found));
		assert_int_equal(found.count, s == S_OK);
		if (s == S_OK)
			break;
		assert_true(n < 50);
	}
	for (uint64_t n = 1;; n++) {
		engine_faulty_arm(fx.engine, n, S_IO);
		s = look(t, "cos", vector, "odd", NULL, 1, true, &found);
		engine_faulty_arm(fx.engine, 0, S_OK);
		if (s == S_OK)
			break;
		assert_int_equal(s, S_IO);
		assert_true(n < 50);
	}
	assert_int_equal(found.count, 1);
	for (uint64_t n = 1; n < 4; n++) {
		engine_faulty_arm(fx.engine, n, S_WOULD_BLOCK);
		s = look(t, "cos", vector, "odd", NULL, 1, false, &found);
		engine_faulty_arm(fx.engine, 0, S_OK);
		assert_true(s == S_OK || s == S_WOULD_BLOCK);
	}
	table_release(t);
}

static void
a_search_waits_for_what_it_saw(void **state)
{
	struct table_index_spec x = vector_index("cos", VECTOR_COSINE, PROJECT_ALL);
	struct table *t = create_vectors(&x, 1);
	struct table_search search = {.table = t, .hash = value("S:odd"), .top = 1};
	struct table_io io = blocking_io();
	struct table_found found;
	float vector[DIMENSIONS];

	(void)state;
	make_vector(1, vector);
	search.vector = vector;
	assert_ok(table_vector_index_for_search(t, SLICE("cos"), &search.index, &fx.err));
	engine_memory_hold_sync(fx.memory, true);
	assert_ok(put(t, numbered(1)));
	assert_ok(table_search(&search, &io, &found, &fx.err));
	assert_int_equal(found.count, 1);
	assert_true(io.wait_seq > engine_durable(fx.engine));
	assert_true(io.wait_seq <= engine_applied(fx.engine));
	engine_memory_hold_sync(fx.memory, false);
	io.wait_seq = 0;
	assert_ok(table_search(&search, &io, &found, &fx.err));
	assert_true(io.wait_seq <= engine_durable(fx.engine));
	table_release(t);
}

static void
records_keep_vector_indexes(void **state)
{
	struct table_index_spec x = vector_index("cos", VECTOR_EUCLIDEAN, PROJECT_ALL);
	struct record r = {.number = 7, .partitions = 4, .status = TABLE_ACTIVE}, back;
	const struct table_vector_spec *v;
	struct buf bytes = {0};

	(void)state;
	memset(r.id, 'x', 36);
	r.spec = spec_of("T", schema("pk", NULL, AV_S), &x, 1);
	r.indexes = ARENA_ARRAY(&fx.arena, struct index_record, 1);
	record_encode(&r, &bytes);
	assert_ok(record_decode(SLICE("T"), buf_slice(&bytes), arena_allocator(&fx.arena), &back, &fx.err));
	v = back.spec.indexes[0].vector;
	assert_non_null(v);
	assert_int_equal(v->dimensions, DIMENSIONS);
	assert_int_equal(v->distance, VECTOR_EUCLIDEAN);
	assert_int_equal(v->element_count, 2);
	assert_true(v->elements[1].hash && !v->elements[0].hash);
	assert_true(slice_eq(v->elements[0].attr.name, SLICE("f")));
	for (size_t cut = 0; cut < bytes.len; cut++)
		assert_int_equal(
		    record_decode(SLICE("T"), slice_of(bytes.data, cut), arena_allocator(&fx.arena), &back, NULL),
		    S_CORRUPT);
	for (size_t i = 0; i < bytes.len; i++)
		for (int flip = 1; flip < 256; flip <<= 1) {
			bytes.data[i] = (char)(bytes.data[i] ^ flip);
			record_decode(SLICE("T"), buf_slice(&bytes), arena_allocator(&fx.arena), &back, NULL);
			bytes.data[i] = (char)(bytes.data[i] ^ flip);
		}
	buf_done(&bytes);
}

/* A record as it was written before there were vector indexes. */
static void
records_of_version_1_are_read(void **state)
{
	struct table_index_spec x = {
	    .name = SLICE("by_g"), .global = true, .schema = schema("g", NULL, AV_S), .projection = PROJECT_ALL};
	struct record r = {.number = 7, .partitions = 4, .status = TABLE_ACTIVE}, back;
	struct buf bytes = {0};

	(void)state;
	memset(r.id, 'x', 36);
	r.spec = spec_of("T", schema("pk", NULL, AV_S), &x, 1);
	r.indexes = ARENA_ARRAY(&fx.arena, struct index_record, 1);
	record_encode(&r, &bytes);
	bytes.data[0] = 1; /* without vectors the forms are alike, but for the four bytes of a TTL that is off */
	bytes.len -= 4;
	assert_ok(record_decode(SLICE("T"), buf_slice(&bytes), arena_allocator(&fx.arena), &back, &fx.err));
	assert_null(back.spec.indexes[0].vector);
	assert_true(slice_eq(back.spec.indexes[0].name, SLICE("by_g")));
	bytes.data[0] = 99;
	assert_int_equal(record_decode(SLICE("T"), buf_slice(&bytes), arena_allocator(&fx.arena), &back, NULL),
			 S_CORRUPT);
	buf_done(&bytes);
}

static void
damaged_rows_are_told(void **state)
{
	char row[VECTOR_ROW_HEAD + 4 * DIMENSIONS] = {VECTOR_ROW_VERSION};
	struct vector_row read;

	(void)state;
	assert_true(vector_row_read(slice_of(row, sizeof row), DIMENSIONS, &read));
	for (size_t len = 0; len < sizeof row; len++)
		assert_false(vector_row_read(slice_of(row, len), DIMENSIONS, &read));
	assert_false(vector_row_read(slice_of(row, sizeof row), DIMENSIONS - 1, &read));
	row[1] = 1;
	assert_false(vector_row_read(slice_of(row, sizeof row), DIMENSIONS, &read));
	row[1] = 0;
	row[0] = 2;
	assert_false(vector_row_read(slice_of(row, sizeof row), DIMENSIONS, &read));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(components_are_the_nearest_floats),
	    cmocka_unit_test(what_no_float_is_near_is_refused),
	    cmocka_unit_test(components_read_back_as_they_are),
	    cmocka_unit_test(all_kernels_give_the_same_bits),
	    cmocka_unit_test(damaged_rows_are_told),
	    cmocka_unit_test_setup_teardown(searches_find_the_nearest, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_search_goes_where_it_may_block_when_it_is_long, setup, teardown),
	    cmocka_unit_test_setup_teardown(rows_are_written_only_when_they_change, setup, teardown),
	    cmocka_unit_test_setup_teardown(engine_failures_leave_index_and_table_alike, setup_faulty, teardown),
	    cmocka_unit_test_setup_teardown(a_search_waits_for_what_it_saw, setup, teardown),
	    cmocka_unit_test_setup_teardown(records_keep_vector_indexes, setup, teardown),
	    cmocka_unit_test_setup_teardown(records_of_version_1_are_read, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
