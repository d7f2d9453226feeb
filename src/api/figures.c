#include <stdio.h>
#include <stdlib.h>

#include "api/op_int.h"

/*
 * Each thread counts in a block of its own, found through a thread-local pointer; a block is written by its thread
 * alone and read by whoever writes the metrics, hence relaxed atomics. Blocks live as long as the figures.
 */

#define OPS_MAX     256 /* operations of all services, and one row for unknown names */
#define BUCKETS     16
#define STATUS_ROWS STATUS_COUNT

static const struct {
	int64_t at_most_ns;
	const char *text;
} buckets[BUCKETS] = {
    {100000, "0.0001"},  {250000, "0.00025"}, {500000, "0.0005"},  {1000000, "0.001"},
    {2500000, "0.0025"}, {5000000, "0.005"},  {10000000, "0.01"},  {25000000, "0.025"},
    {50000000, "0.05"},  {100000000, "0.1"},  {250000000, "0.25"}, {500000000, "0.5"},
    {1000000000, "1"},   {2500000000, "2.5"}, {5000000000, "5"},   {10000000000, "10"},
};

struct op_figures {
	_Atomic uint64_t by_status[STATUS_ROWS];
	_Atomic uint64_t by_latency[BUCKETS + 1]; /* the last: slower than all */
	_Atomic uint64_t nanoseconds;
};

struct block {
	struct block *next;
	struct op_figures ops[OPS_MAX];
};

struct figures {
	uint64_t id; /* a freed one's address may come back; its id does not */
	pthread_mutex_t lock;
	struct block *blocks;
};

static _Atomic uint64_t last_id;
static _Thread_local struct {
	uint64_t id;
	struct block *block;
} mine;

struct figures *
figures_new(void)
{
	struct figures *f = calloc(1, sizeof *f);

	if (f == NULL)
		abort();
	f->id = atomic_fetch_add(&last_id, 1) + 1;
	pthread_mutex_init(&f->lock, NULL);
	return f;
}

void
figures_free(struct figures *f)
{
	if (f == NULL)
		return;
	while (f->blocks != NULL) {
		struct block *next = f->blocks->next;

		free(f->blocks);
		f->blocks = next;
	}
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static struct block *
my_block(struct figures *f)
{
	if (mine.id == f->id)
		return mine.block;
	mine.block = calloc(1, sizeof *mine.block);
	if (mine.block == NULL)
		abort();
	mine.id = f->id;
	pthread_mutex_lock(&f->lock);
	mine.block->next = f->blocks;
	f->blocks = mine.block;
	pthread_mutex_unlock(&f->lock);
	return mine.block;
}

static void
add(_Atomic uint64_t *counter, uint64_t by)
{
	/* one writer: no need for a locked instruction */
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by, memory_order_relaxed);
}

static size_t
all_ops(void)
{
	size_t count = 0;

	for (size_t i = 0; i < service_count; i++)
		count += *services[i].op_count;
	return count;
}

void
figures_count(struct figures *f, const struct op *op, enum status status, int64_t nanoseconds)
{
	struct op_figures *row = &my_block(f)->ops[op != NULL ? op_number(op) : all_ops()];
	int bucket = 0;

	while (bucket < BUCKETS && nanoseconds > buckets[bucket].at_most_ns)
		bucket++;
	add(&row->by_status[status], 1);
	add(&row->by_latency[bucket], 1);
	add(&row->nanoseconds, (uint64_t)nanoseconds);
}

struct sums {
	uint64_t total, by_status[STATUS_ROWS], by_latency[BUCKETS + 1], nanoseconds;
};

static void
sum_up(struct figures *f, size_t row, struct sums *ret)
{
	memset(ret, 0, sizeof *ret);
	for (struct block *b = f->blocks; b != NULL; b = b->next) {
		struct op_figures *from = &b->ops[row];

		for (int i = 0; i < STATUS_ROWS; i++)
			ret->by_status[i] += atomic_load_explicit(&from->by_status[i], memory_order_relaxed);
		for (int i = 0; i <= BUCKETS; i++)
			ret->by_latency[i] += atomic_load_explicit(&from->by_latency[i], memory_order_relaxed);
		ret->nanoseconds += atomic_load_explicit(&from->nanoseconds, memory_order_relaxed);
	}
	for (int i = 0; i <= BUCKETS; i++)
		ret->total += ret->by_latency[i];
}

/* "PutItem"; of other services than DynamoDB with their name: "dax:TagResource" is another operation than "TagResource"
 */
static const char *
row_name(size_t row, char room[96])
{
	for (size_t i = 0; i < service_count; i++) {
		if (row < *services[i].op_count) {
			snprintf(room, 96, "%s%s%s", i > 0 ? services[i].name : "", i > 0 ? ":" : "",
				 services[i].ops[row].name);
			return room;
		}
		row -= *services[i].op_count;
	}
	return "unknown";
}

static void
write_histogram(const char *name, const struct sums *sums, struct buf *out)
{
	uint64_t below = 0;

	for (int i = 0; i < BUCKETS; i++) {
		below += sums->by_latency[i];
		buf_printf(out, "stator_request_seconds_bucket{operation=\"%s\",le=\"%s\"} %llu\n", name,
			   buckets[i].text, (unsigned long long)below);
	}
	buf_printf(out, "stator_request_seconds_bucket{operation=\"%s\",le=\"+Inf\"} %llu\n", name,
		   (unsigned long long)sums->total);
	buf_printf(out, "stator_request_seconds_sum{operation=\"%s\"} %.9f\n", name, (double)sums->nanoseconds / 1e9);
	buf_printf(out, "stator_request_seconds_count{operation=\"%s\"} %llu\n", name, (unsigned long long)sums->total);
}

void
figures_write(struct figures *f, struct buf *out)
{
	size_t count = all_ops();
	struct sums *all = calloc(count + 1, sizeof *all);
	char name[96];

	if (all == NULL)
		abort();
	pthread_mutex_lock(&f->lock);
	for (size_t row = 0; row <= count; row++)
		sum_up(f, row, &all[row]);
	pthread_mutex_unlock(&f->lock);
	buf_put_lit(out, "# HELP stator_requests_total Requests answered, by operation.\n"
			 "# TYPE stator_requests_total counter\n");
	for (size_t row = 0; row <= count; row++)
		if (all[row].total > 0)
			buf_printf(out, "stator_requests_total{operation=\"%s\"} %llu\n", row_name(row, name),
				   (unsigned long long)all[row].total);
	buf_put_lit(out, "# HELP stator_errors_total Requests answered with an error, by operation and error.\n"
			 "# TYPE stator_errors_total counter\n");
	for (size_t row = 0; row <= count; row++)
		for (int status = 1; status < STATUS_ROWS; status++)
			if (all[row].by_status[status] > 0)
				buf_printf(out, "stator_errors_total{operation=\"%s\",error=\"%s\"} %llu\n",
					   row_name(row, name), status_short_name((enum status)status),
					   (unsigned long long)all[row].by_status[status]);
	buf_put_lit(out, "# HELP stator_request_seconds Time from request to answer, without the network.\n"
			 "# TYPE stator_request_seconds histogram\n");
	for (size_t row = 0; row <= count; row++)
		if (all[row].total > 0)
			write_histogram(row_name(row, name), &all[row], out);
	free(all);
}
