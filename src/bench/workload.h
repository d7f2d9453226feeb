/* The requests of each workload: bodies, signatures, and the pool they wait in. */
#ifndef STATOR_BENCH_WORKLOAD_H
#define STATOR_BENCH_WORKLOAD_H

#include "bench/bench.h"
#include "bench/client.h"
#include "bench/zipf.h"

/* Besides enum bench_workload, what a request can be. */
#define KIND_RAW     BENCH_WORKLOADS
#define KIND_CONTROL (BENCH_WORKLOADS + 1)
#define KIND_COUNT   (BENCH_WORKLOADS + 2)

struct workload {
	const struct bench_options *options;
	const struct endpoint *endpoint;
	const struct endpoint *target; /* of the load: the endpoint, or a cache */
	struct zipf items, partitions; /* with BENCH_ZIPF; partitions: of the query table */
};

/* Write a signed request. body: JSON. */
void workload_sign(const struct workload *w, const char *operation, struct slice body, struct request *ret);
/* After the options are set. */
void workload_init(struct workload *w);
/* So many different requests there are. */
int64_t workload_choices(const struct workload *w);
/* A request of that kind about a random item (kind: get, put, update, query, batchwrite, raw). */
void workload_make(const struct workload *w, int kind, uint64_t random, struct request *ret);
/* The kind of the next request: the workload's own, or one of a mix. */
int workload_kind(const struct workload *w, uint64_t random);

/* Filling: BatchWriteItem of items [from, from + count) into one of the tables. */
struct fill {
	bool queries;  /* NAME-query rather than NAME */
	int64_t table; /* of --tables, from 0 */
	int64_t from;
	int64_t count;
};
void workload_make_fill(const struct workload *w, const struct fill *fill, struct request *ret);
/* memcached, redis: set one item of the same size. */
void workload_make_set(const struct workload *w, int64_t item, struct request *ret);
/* How many items a table holds when full. */
int64_t workload_item_count(const struct workload *w, bool queries);
bool workload_needs(const struct workload *w, bool queries);
/* "stator-bench" or "stator-bench-query", and "-2" for the second of --tables; JSON needs no escapes in it. */
void workload_put_table(const struct workload *w, bool queries, int64_t table, struct buf *out);
/* A server that is no DynamoDB is measured, in its own protocol: no tables are made. */
bool workload_is_foreign(const struct workload *w);

#endif
