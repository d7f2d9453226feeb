/*
 * What BatchWriteItem is compared with: one thread that puts items into RocksDB by batches of 512 and syncs the log
 * with each, as fast as it can. The library, the write buffer and the disk are the server's; nothing else is.
 *
 *     rocksdb_batch DIR SECONDS [ITEMS] [ITEM_BYTES] [BATCH]
 *
 * Prints {"items":..., "seconds":..., "cpu_us":..., "p50_us":..., "p99_us":...}; the times are of batches.
 *
 * The db_bench of Debian's rocksdb-tools does the same with --benchmarks=fillrandom --batch_size=512 --sync, but is
 * built with assertions and says itself that it is unnecessarily slow.
 */
#include <rocksdb/c.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define KEY_BYTES   32      /* as long as a row key of the table that is compared */
#define BATCHES_MAX 1000000 /* whose times are kept */

static uint64_t seed = 88172645463325252;

static uint64_t
next_random(void) /* xorshift: only the spread matters */
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double
cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void
check(char *message)
{
	if (message == NULL)
		return;
	fprintf(stderr, "rocksdb_batch: %s\n", message);
	exit(1);
}

static rocksdb_t *
open_database(const char *dir)
{
	rocksdb_options_t *options = rocksdb_options_create();
	char *message = NULL;
	rocksdb_t *db;

	rocksdb_options_set_create_if_missing(options, 1);
	rocksdb_options_set_write_buffer_size(options, 64 << 20);
	rocksdb_options_set_max_write_buffer_number(options, 3);
	rocksdb_options_set_compression(options, rocksdb_no_compression);
	db = rocksdb_open(options, dir, &message);
	check(message);
	rocksdb_options_destroy(options);
	return db;
}

static void
fill_batch(rocksdb_writebatch_t *batch, long count, long items, char *value, size_t value_bytes)
{
	rocksdb_writebatch_clear(batch);
	for (long i = 0; i < count; i++) {
		uint64_t random = next_random();
		uint64_t item = random % (uint64_t)items, hash = item * 0x9e3779b97f4a7c15;
		char key[KEY_BYTES] = "";

		memcpy(key, &hash, sizeof hash); /* in no order, as hashed keys are */
		memcpy(key + sizeof hash, &item, sizeof item);
		memcpy(value + random % (value_bytes - 8), &random, 8); /* no two values alike */
		rocksdb_writebatch_put(batch, key, KEY_BYTES, value, value_bytes);
	}
}

static int
compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
	double seconds = argc > 2 ? strtod(argv[2], NULL) : 1, began, at, cpu;
	long items = argc > 3 ? strtol(argv[3], NULL, 10) : 10000;
	size_t value_bytes = argc > 4 ? strtoul(argv[4], NULL, 10) : 1024;
	long batch_items = argc > 5 ? strtol(argv[5], NULL, 10) : 512, batches = 0;
	rocksdb_writeoptions_t *sync = rocksdb_writeoptions_create();
	rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
	double *times = calloc(BATCHES_MAX, sizeof *times);
	rocksdb_t *db;
	char *value;

	if (argc < 3 || items < 1 || value_bytes < 16 || batch_items < 1 || times == NULL) {
		fprintf(stderr, "usage: rocksdb_batch DIR SECONDS [ITEMS] [ITEM_BYTES] [BATCH]\n");
		return 2;
	}
	value = malloc(value_bytes);
	for (size_t i = 0; i < value_bytes; i++)
		value[i] = (char)next_random();
	db = open_database(argv[1]);
	rocksdb_writeoptions_set_sync(sync, 1);
	cpu = cpu_us();
	began = at = now_s();
	while (at - began < seconds && batches < BATCHES_MAX) {
		char *message = NULL;
		double from = at;

		fill_batch(batch, batch_items, items, value, value_bytes);
		rocksdb_write(db, sync, batch, &message);
		check(message);
		at = now_s();
		times[batches++] = at - from;
	}
	cpu = cpu_us() - cpu;
	qsort(times, (size_t)batches, sizeof *times, compare_doubles);
	printf("{\"items\":%ld,\"seconds\":%.6f,\"cpu_us\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f}\n",
	       batches * batch_items, at - began, cpu, times[batches / 2] * 1e6, times[batches * 99 / 100] * 1e6);
	rocksdb_close(db);
	rocksdb_writebatch_destroy(batch);
	rocksdb_writeoptions_destroy(sync);
	free(times);
	free(value);
	return 0;
}
