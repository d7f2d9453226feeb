/*
 * How long does a search of a vector index take? Fills a table on RocksDB and searches it.
 *
 *     cc -O2 -g -D_GNU_SOURCE -Isrc tests/bench/micro_vector.c -o micro_vector build/libtable.a build/libexpr.a \
 *         build/libengine.a build/libmodel.a build/libcodec.a build/libbase.a -lrocksdb -lcrypto -lisal -lm -lpthread
 *     ./micro_vector DIR ITEMS DIMENSIONS [CACHE_MIB]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "model/number.h"
#include "table/vector.h"

#define BATCH    64
#define SEARCHES 7

static struct err err;

static void
must(enum status s, const char *what)
{
	if (s == S_OK)
		return;
	fprintf(stderr, "%s: %d %s\n", what, (int)s, err.message);
	exit(1);
}

static float
next_float(void)
{
	return (float)random() / (float)RAND_MAX - 0.5f;
}

static struct av
make_item(struct arena *a, int n, int dimensions)
{
	struct buf out = {0};
	size_t map = av_open(&out, TAG_M), list;
	char line[40];
	struct av v;

	av_put_name(&out, SLICE("pk"));
	av_put_string(&out, slice_of(line, (size_t)snprintf(line, sizeof line, "item-%d", n)));
	av_put_name(&out, SLICE("v"));
	list = av_open(&out, TAG_L);
	for (int i = 0; i < dimensions; i++) {
		uint8_t encoded[NUMBER_ENCODED_MAX];
		size_t len = (size_t)snprintf(line, sizeof line, "%.7f", (double)next_float());

		av_put_number(&out, slice_of(encoded, number_encode_text(slice_of(line, len), encoded, NULL)));
	}
	av_close_list(&out, list, (uint32_t)dimensions);
	must(av_close_map(&out, map, 2, NULL), "item");
	v = av_of_buf(a, &out, 0);
	buf_done(&out);
	return v;
}

static void
create(struct table_db *db, uint32_t dimensions)
{
	struct arena a = {0};
	struct key_attr pk = {SLICE("pk"), AV_S};
	struct table_vector_spec v = {.attribute = SLICE("v"), .dimensions = dimensions, .distance = VECTOR_COSINE};
	struct table_index_spec x = {.name = SLICE("vix"), .global = true, .vector = &v};
	struct table_spec spec = {.name = SLICE("big"),
				  .schema = {.partition_count = 1, .partition = {pk}},
				  .definitions = &pk,
				  .definition_count = 1,
				  .indexes = &x,
				  .index_count = 1,
				  .billing = BILLING_ON_DEMAND};
	struct table_description d;

	must(table_create(db, &spec, &a, &d, &err), "create");
	do
		must(table_describe(db, SLICE("big"), &a, &d, &err), "describe");
	while (d.status != TABLE_ACTIVE && usleep(1000) == 0);
	arena_done(&a);
}

static void
fill(struct table *t, int items, int dimensions)
{
	struct arena a = {0};
	int64_t started = clock_mono_ns();

	for (int n = 0; n < items;) {
		struct table_write writes[BATCH] = {0};
		struct table_io io = {.arena = &a, .may_block = true};
		int count = 0;

		for (; count < BATCH && n < items; count++, n++) {
			writes[count].kind = WRITE_PUT;
			writes[count].table = t;
			writes[count].item = make_item(&a, n, dimensions);
		}
		must(table_commit(writes, (size_t)count, &io, &err), "put");
		arena_reset(&a);
	}
	printf("filled: %.1f s, %.0f items/s\n", (double)(clock_mono_ns() - started) / 1e9,
	       items / ((double)(clock_mono_ns() - started) / 1e9));
	arena_done(&a);
}

static void
search(struct table *t, uint32_t dimensions)
{
	struct arena a = {0};
	struct table_search s = {.table = t, .top = 10};
	float *vector = ARENA_ARRAY(&a, float, dimensions);

	must(table_vector_index_for_search(t, SLICE("vix"), &s.index, &err), "index");
	s.vector = vector;
	for (int i = 0; i < SEARCHES; i++) {
		struct table_io io = {.arena = &a, .may_block = true};
		struct table_found found;
		int64_t started = clock_mono_ns();

		for (uint32_t n = 0; n < dimensions; n++)
			vector[n] = next_float();
		must(table_search(&s, &io, &found, &err), "search");
		printf("search: %.1f ms, best %.6f\n", (double)(clock_mono_ns() - started) / 1e6, found.hits[0].score);
	}
	arena_done(&a);
}

int
main(int argc, char **argv)
{
	struct engine_options options = {.dir = argc > 3 ? argv[1] : NULL,
					 .cache_bytes = (argc > 4 ? strtoull(argv[4], NULL, 10) : 64) << 20};
	struct table_db_options db_options = {.partitions = 4};
	struct engine *engine;
	struct table_db *db;
	struct table *t;

	if (argc < 4) {
		fprintf(stderr, "micro_vector DIR ITEMS DIMENSIONS [CACHE_MIB]\n");
		return 2;
	}
	must(engine_rocksdb_open(&options, &engine, &err), "open");
	must(table_db_open(engine, &db_options, &db, &err), "tables");
	if (table_find(db, SLICE("big"), &t, &err) != S_OK) {
		create(db, (uint32_t)atoi(argv[3]));
		must(table_find(db, SLICE("big"), &t, &err), "find");
		fill(t, atoi(argv[2]), atoi(argv[3]));
	}
	search(t, (uint32_t)atoi(argv[3]));
	table_release(t);
	table_db_close(db);
	engine_close(engine);
	return 0;
}
