/*
 * stator bench: how fast is an endpoint? A client that is light enough for one of its cores to saturate one of a
 * server's.
 *
 * Each thread has an epoll, a share of the connections (HTTP/1.1, keep-alive, one request in flight on each) and a pool
 * of requests made and signed beforehand, signed again when they are older than a minute. So the client's work in the
 * measured time is a system call each way and a histogram; the server's is all of it. Only where there are more items
 * than requests in the pool each is made anew before it is sent: else the same few items would be asked for again and
 * again, which any cache holds.
 *
 * Closed loop: a connection sends its next request when it has the answer. Fixed rate: requests have a moment when they
 * should leave, and latency counts from that moment, so a server that stalls cannot hide it (coordinated omission).
 */
#ifndef STATOR_BENCH_BENCH_H
#define STATOR_BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>

enum bench_workload {
	BENCH_GET,
	BENCH_PUT,
	BENCH_UPDATE,
	BENCH_QUERY,
	BENCH_BATCHWRITE,
	BENCH_MIX, /* half gets, a quarter puts, an eighth updates, an eighth queries */
	BENCH_WORKLOADS,
};

/* Which items are asked for. */
enum bench_keys { BENCH_UNIFORM, BENCH_ZIPF };

struct bench_options {
	const char *endpoint;  /* http://host:port or https://... */
	int workload;          /* enum bench_workload */
	const char *raw_get;   /* not NULL: plain GET of this path instead of a workload */
	const char *dax;       /* not NULL: HOST:PORT of a DAX node of the endpoint; items are read there */
	const char *memcached; /* not NULL: HOST:PORT; the endpoint is not asked */
	const char *redis;     /* the same */
	int64_t connections;   /* of all threads */
	int64_t threads;
	int64_t rate;      /* requests a second; 0: closed loop */
	int64_t warmup_ms; /* not counted */
	int64_t run_ms;    /* counted */
	int64_t pid;       /* of a process whose CPU time is told; 0: none */
	int64_t tables;
	int64_t items;       /* in each table */
	int64_t item_bytes;  /* by DynamoDB's rule */
	int64_t query_items; /* in one partition */
	int64_t batch_items; /* in one BatchWriteItem */
	int keys;            /* enum bench_keys */
	const char *table;
	bool eventual; /* GetItem and Query without ConsistentRead */
	bool no_fill;  /* the table exists and is full */
	bool keep;     /* leave a table that this run made */
	bool insecure; /* https: any certificate */
	const char *region, *access_key, *secret_key, *session_token;
	bool json; /* one JSON object on standard output; progress goes to standard error in any case */
};

/* 0: measured, no request failed. 1: could not measure, or requests failed; said on standard error. */
int bench_run(const struct bench_options *options);

#endif
