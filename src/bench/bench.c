#include "bench/bench.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/thread.h"
#include "bench/histogram.h"
#include "bench/setup.h"
#include "bench/wire.h"
#include "codec/json.h"

#define PID_LIMIT     (1 << 22)          /* no process of Linux has a higher number */
#define POOL_BYTES    (64 * 1024 * 1024) /* of signed requests, in each thread */
#define POOL_COUNT    16384
#define SIGN_AGAIN_S  60
#define FAILURE_BYTES 600

struct worker {
	const struct workload *w;
	struct request *pool;
	int pool_count, cursor;
	bool afresh;   /* the pool is too small for all items: each request is made anew */
	int64_t now_s; /* looked up now and then: it only ages signatures */
	struct client_options client;
	struct histogram *histograms; /* KIND_COUNT of them */
	_Atomic uint64_t failures;
	uint64_t unsent;
	char first_failure[FAILURE_BYTES];
	pthread_t thread;
	bool started;
	enum status status;
	struct err err;
};

/* What is known at one moment. */
struct snapshot {
	int64_t at_ns;
	int64_t cpu_us;
	int64_t pid_cpu_us; /* of --pid */
	uint64_t failures;
	struct histogram_view kinds[KIND_COUNT];
	struct histogram_view all;
};

struct run {
	const struct bench_options *options;
	struct workload w;
	struct endpoint endpoint, cache; /* cache: another target of the load, if any */
	struct client_wire wire;
	struct worker *workers;
	atomic_bool stop;
	struct snapshot *from, *to;            /* the measured time */
	struct snapshot *last, *now, *between; /* progress */
};

static const char *const kind_names[KIND_COUNT] = {
    [BENCH_GET] = "get",
    [BENCH_PUT] = "put",
    [BENCH_UPDATE] = "update",
    [BENCH_QUERY] = "query",
    [BENCH_BATCHWRITE] = "batchwrite",
    [BENCH_MIX] = "mix",
    [KIND_RAW] = "raw-get",
    [KIND_CONTROL] = "control",
};

/* ---- a worker ---- */

static struct request *
load_next(void *context, int slot)
{
	struct worker *w = context;
	struct request *request;

	(void)slot;
	do { /* one that is not under way: there are more than connections */
		request = &w->pool[w->cursor];
		if (++w->cursor == w->pool_count)
			w->cursor = 0;
		if ((w->cursor & 63) == 0)
			w->now_s = clock_wall_s();
	} while (request->busy);
	request->busy = true;
	if (w->afresh || w->now_s - request->signed_s > SIGN_AGAIN_S)
		workload_make(w->w, request->kind, crypto_fast_random(), request);
	return request;
}

static void
load_answered(void *context, const struct client_answer *a)
{
	struct worker *w = context;

	a->request->busy = false;
	if (a->status >= 200 && a->status < 300) {
		histogram_record(&w->histograms[a->request->kind], (uint64_t)a->latency_ns);
		return;
	}
	if (atomic_fetch_add_explicit(&w->failures, 1, memory_order_relaxed) == 0)
		snprintf(w->first_failure, sizeof w->first_failure, "HTTP %d: %.*s", a->status,
			 (int)(a->body.len < FAILURE_BYTES ? a->body.len : FAILURE_BYTES), a->body.data);
}

/* More requests than connections, so that there is always one to send. */
static enum status
make_pool(struct worker *w, struct err *err)
{
	struct request probe = {0};
	int64_t count;

	workload_make(w->w, workload_kind(w->w, 0), 0, &probe);
	count = POOL_BYTES / (int64_t)(probe.bytes.len + 256);
	buf_done(&probe.bytes);
	if (count > POOL_COUNT)
		count = POOL_COUNT;
	if (count < 2 * w->client.connections || w->w->options->raw_get != NULL)
		count = 2 * w->client.connections;
	w->pool = calloc((size_t)count, sizeof *w->pool);
	if (w->pool == NULL)
		return err_set(err, S_INTERNAL, "out of memory");
	for (; w->pool_count < count; w->pool_count++)
		workload_make(w->w, workload_kind(w->w, crypto_fast_random()), crypto_fast_random(),
			      &w->pool[w->pool_count]);
	w->afresh = w->w->options->raw_get == NULL && workload_choices(w->w) > w->pool_count;
	return S_OK;
}

static void *
work(void *context)
{
	struct worker *w = context;

	thread_be_prompt();
	w->status = client_run(&w->client, &w->unsent, &w->err);
	return NULL;
}

static enum status
worker_init(struct run *run, int index, struct err *err)
{
	const struct bench_options *o = run->options;
	struct worker *w = &run->workers[index];

	w->w = &run->w;
	w->client = (struct client_options){
	    .endpoint = run->w.target,
	    .wire = wire_of(&run->w, &run->wire),
	    .hooks = {load_next, load_answered, w},
	    .connections = (int)(o->connections / o->threads + (index < o->connections % o->threads)),
	    .rate = (double)o->rate / (double)o->threads,
	    .stop = &run->stop,
	};
	w->histograms = calloc(KIND_COUNT, sizeof *w->histograms);
	if (w->histograms == NULL)
		return err_set(err, S_INTERNAL, "out of memory");
	return make_pool(w, err);
}

static void
worker_done(struct worker *w)
{
	for (int i = 0; i < w->pool_count; i++)
		buf_done(&w->pool[i].bytes);
	free(w->pool);
	free(w->histograms);
}

/* ---- looking at them ---- */

static int64_t
cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (int64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

/* What a process has used, all of its threads, those that ended, too. -1: it is not there. */
static int64_t
pid_cpu_us(int64_t pid)
{
	struct timespec t;
	clockid_t clock;

	/* a clock's number has fewer bits than a pid_t: a larger one would be another process's */
	if (pid > PID_LIMIT || clock_getcpuclockid((pid_t)pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
		return -1;
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void
look(const struct run *run, struct snapshot *ret)
{
	memset(ret, 0, sizeof *ret);
	ret->at_ns = clock_mono_ns();
	ret->cpu_us = cpu_us();
	ret->pid_cpu_us = run->options->pid > 0 ? pid_cpu_us(run->options->pid) : 0;
	for (int i = 0; i < run->options->threads; i++) {
		for (int kind = 0; kind < KIND_COUNT; kind++) {
			histogram_add(&ret->kinds[kind], &run->workers[i].histograms[kind]);
			histogram_add(&ret->all, &run->workers[i].histograms[kind]);
		}
		ret->failures += atomic_load_explicit(&run->workers[i].failures, memory_order_relaxed);
	}
}

static void
subtract(struct snapshot *from, const struct snapshot *earlier)
{
	from->at_ns -= earlier->at_ns;
	from->cpu_us -= earlier->cpu_us;
	from->pid_cpu_us -= earlier->pid_cpu_us;
	from->failures -= earlier->failures;
	histogram_subtract(&from->all, &earlier->all);
	for (int kind = 0; kind < KIND_COUNT; kind++)
		histogram_subtract(&from->kinds[kind], &earlier->kinds[kind]);
}

static double
per_second(const struct snapshot *s, uint64_t count)
{
	return s->at_ns > 0 ? (double)count * 1e9 / (double)s->at_ns : 0;
}

static double
at_ms(const struct histogram_view *v, double quantile)
{
	return (double)histogram_at(v, quantile) / 1e6;
}

static void
tell_progress(struct run *run, const char *phase, double second)
{
	struct snapshot *now = run->now, *between = run->between;

	look(run, now);
	*between = *now;
	subtract(between, run->last);
	run->now = run->last;
	run->last = now;
	fprintf(stderr, "  %-8s %4g s %10.0f/s   p50 %8.3f ms   p99 %8.3f ms", phase, second,
		per_second(between, between->all.total), at_ms(&between->all, 0.5), at_ms(&between->all, 0.99));
	if (between->failures > 0)
		fprintf(stderr, "   %llu FAILED", (unsigned long long)between->failures);
	fputc('\n', stderr);
}

/* ---- the result ---- */

static const char *
first_failure(const struct run *run)
{
	for (int i = 0; i < run->options->threads; i++)
		if (run->workers[i].first_failure[0] != '\0')
			return run->workers[i].first_failure;
	return "";
}

static uint64_t
unsent(const struct run *run)
{
	uint64_t sum = 0;

	for (int i = 0; i < run->options->threads; i++)
		sum += run->workers[i].unsent;
	return sum;
}

static double
client_cores(const struct snapshot *s)
{
	return s->at_ns > 0 ? (double)s->cpu_us * 1e3 / (double)s->at_ns : 0;
}

static const char *
target_name(const struct bench_options *o)
{
	return o->dax != NULL         ? o->dax
	       : o->memcached != NULL ? o->memcached
	       : o->redis != NULL     ? o->redis
				      : o->endpoint;
}

static double
pid_us_a_request(const struct snapshot *s)
{
	return s->all.total > 0 ? (double)s->pid_cpu_us / (double)s->all.total : 0;
}

static void
put_json_latency(const struct histogram_view *v, struct buf *out)
{
	static const struct {
		const char *name;
		double quantile;
	} rows[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99_9", 0.999}, {"p99_99", 0.9999}, {"max", 1.0}};

	buf_printf(out, "{\"mean\":%.1f", v->total > 0 ? (double)v->sum_ns / (double)v->total / 1e3 : 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		buf_printf(out, ",\"%s\":%.1f", rows[i].name, (double)histogram_at(v, rows[i].quantile) / 1e3);
	buf_put_lit(out, "}");
}

static void
put_json(const struct run *run, const struct snapshot *s, struct buf *out)
{
	const struct bench_options *o = run->options;
	bool first = true;

	buf_put_lit(out, "{\"workload\":");
	json_put_string(out, slice_str(kind_names[o->raw_get != NULL ? KIND_RAW : o->workload]));
	buf_put_lit(out, ",\"endpoint\":");
	json_put_string(out, slice_str(target_name(o)));
	buf_printf(
	    out,
	    ",\"connections\":%lld,\"threads\":%lld,\"rate\":%lld,\"tables\":%lld,\"items\":%lld,\"item_bytes\":%lld",
	    (long long)o->connections, (long long)o->threads, (long long)o->rate, (long long)o->tables,
	    (long long)o->items, (long long)o->item_bytes);
	buf_printf(out,
		   ",\"seconds\":%.3f,\"requests\":%llu,\"requests_per_second\":%.1f,\"failures\":%llu,\"unsent\":%llu",
		   (double)s->at_ns / 1e9, (unsigned long long)s->all.total, per_second(s, s->all.total),
		   (unsigned long long)s->failures, (unsigned long long)unsent(run));
	if (o->pid > 0)
		buf_printf(out, ",\"pid_cpu_us_per_request\":%.3f", pid_us_a_request(s));
	buf_printf(out, ",\"client_cores\":%.2f,\"latency_us\":", client_cores(s));
	put_json_latency(&s->all, out);
	buf_put_lit(out, ",\"by_kind\":{");
	for (int kind = 0; kind < KIND_COUNT; kind++) {
		if (s->kinds[kind].total == 0)
			continue;
		buf_printf(out, "%s\"%s\":{\"requests\":%llu,\"latency_us\":", first ? "" : ",", kind_names[kind],
			   (unsigned long long)s->kinds[kind].total);
		put_json_latency(&s->kinds[kind], out);
		buf_put_lit(out, "}");
		first = false;
	}
	buf_put_lit(out, "}}\n");
}

static void
put_text(const struct run *run, const struct snapshot *s, struct buf *out)
{
	const struct bench_options *o = run->options;
	bool one_kind = false;

	buf_printf(out, "%s at %s, %lld connections, %.1f s\n", kind_names[o->raw_get != NULL ? KIND_RAW : o->workload],
		   target_name(o), (long long)o->connections, (double)s->at_ns / 1e9);
	buf_printf(out, "  %-11s %12s %9s %9s %9s %9s %9s %9s   ms\n", "", "requests/s", "mean", "p50", "p90", "p99",
		   "p99.9", "max");
	for (int kind = 0; kind <= KIND_COUNT; kind++) {
		const struct histogram_view *v = kind < KIND_COUNT ? &s->kinds[kind] : &s->all;

		if (v->total == 0 || (kind == KIND_COUNT && one_kind))
			continue; /* one kind only: its row is that of all */
		one_kind = v->total == s->all.total;
		buf_printf(out, "  %-11s %12.0f %9.3f %9.3f %9.3f %9.3f %9.3f %9.3f\n",
			   kind < KIND_COUNT ? kind_names[kind] : "all", per_second(s, v->total),
			   (double)v->sum_ns / (double)v->total / 1e6, at_ms(v, 0.5), at_ms(v, 0.9), at_ms(v, 0.99),
			   at_ms(v, 0.999), at_ms(v, 1.0));
	}
	buf_printf(out, "  %llu requests, %llu failed; the client used %.2f of %lld cores\n",
		   (unsigned long long)s->all.total, (unsigned long long)s->failures, client_cores(s),
		   (long long)o->threads);
	if (o->pid > 0)
		buf_printf(out, "  process %lld used %.2f us of CPU a request\n", (long long)o->pid,
			   pid_us_a_request(s));
	if (unsent(run) > 0)
		buf_printf(out, "  %llu requests were due and not sent: the endpoint is slower than --rate\n",
			   (unsigned long long)unsent(run));
}

/* ---- the run ---- */

static void
sleep_until(int64_t at_ns)
{
	struct timespec t = {at_ns / 1000000000, at_ns % 1000000000};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static enum status
start_workers(struct run *run, struct err *err)
{
	for (int i = 0; i < run->options->threads; i++) {
		enum status s = worker_init(run, i, err);

		if (s != S_OK)
			return s;
	}
	for (int i = 0; i < run->options->threads; i++) {
		if (pthread_create(&run->workers[i].thread, NULL, work, &run->workers[i]) != 0)
			return err_set(err, S_INTERNAL, "a thread could not be started");
		run->workers[i].started = true;
	}
	return S_OK;
}

static enum status
stop_workers(struct run *run, struct err *err)
{
	enum status s = S_OK;

	atomic_store(&run->stop, true);
	for (int i = 0; i < run->options->threads; i++) {
		struct worker *w = &run->workers[i];

		if (!w->started)
			continue;
		pthread_join(w->thread, NULL);
		w->started = false;
		if (s == S_OK && w->status != S_OK)
			s = err_set(err, w->status, "%s", w->err.message);
	}
	return s;
}

/* Load until the end; run->to becomes what happened in the measured time. */
static void
measure(struct run *run)
{
	int64_t start_ns = clock_mono_ns(), from_ns = start_ns + run->options->warmup_ms * 1000000;

	look(run, run->last);
	sleep_until(from_ns);
	look(run, run->from);
	if (run->options->warmup_ms > 0)
		tell_progress(run, "warm-up", 0);
	for (int64_t at_ms = 0; at_ms < run->options->run_ms;) {
		at_ms += 1000;
		if (at_ms > run->options->run_ms)
			at_ms = run->options->run_ms;
		sleep_until(from_ns + at_ms * 1000000);
		tell_progress(run, "", (double)at_ms / 1000);
	}
	look(run, run->to);
	subtract(run->to, run->from);
}

static enum status
run_load(struct run *run, struct err *err)
{
	enum status s = start_workers(run, err), stopped;

	if (s == S_OK)
		measure(run);
	stopped = stop_workers(run, s == S_OK ? err : NULL);
	return s == S_OK ? stopped : s;
}

static enum status
run_init(struct run *run, const struct bench_options *o, struct err *err)
{
	const char *other;
	char url[512];

	run->options = o;
	if (o->pid > 0 && pid_cpu_us(o->pid) < 0)
		return err_set(err, S_IO, "--pid: no process %lld", (long long)o->pid);
	run->w = (struct workload){.options = o, .endpoint = &run->endpoint, .target = &run->endpoint};
	workload_init(&run->w);
	run->workers = calloc((size_t)o->threads, sizeof *run->workers);
	run->from = calloc(5, sizeof *run->from);
	if (run->workers == NULL || run->from == NULL)
		return err_set(err, S_INTERNAL, "out of memory");
	run->to = run->from + 1;
	run->last = run->from + 2;
	run->now = run->from + 3;
	run->between = run->from + 4;
	other = o->dax != NULL ? o->dax : o->memcached != NULL ? o->memcached : o->redis;
	if ((other == NULL || other == o->dax) && endpoint_init(&run->endpoint, o->endpoint, o->insecure, err) != S_OK)
		return err->status;
	if (other == NULL)
		return S_OK;
	snprintf(url, sizeof url, "http://%s", other);
	run->w.target = &run->cache;
	return endpoint_init(&run->cache, url, false, err);
}

static void
run_done(struct run *run)
{
	for (int i = 0; run->workers != NULL && i < run->options->threads; i++)
		worker_done(&run->workers[i]);
	free(run->workers);
	free(run->from);
	endpoint_done(&run->endpoint);
	endpoint_done(&run->cache);
}

static int
report(const struct run *run)
{
	struct buf out = {0};

	if (run->options->json)
		put_json(run, run->to, &out);
	else
		put_text(run, run->to, &out);
	fwrite(out.data, 1, out.len, stdout);
	buf_done(&out);
	if (run->to->failures > 0 || first_failure(run)[0] != '\0') {
		fprintf(stderr, "stator bench: requests failed; the first one: %s\n", first_failure(run));
		return 1;
	}
	return 0;
}

int
bench_run(const struct bench_options *options)
{
	struct run run = {0};
	struct setup setup = {0};
	struct err err;
	enum status s;
	int code = 1;

	signal(SIGPIPE, SIG_IGN);
	s = run_init(&run, options, &err);
	if (s == S_OK)
		s = setup_tables(&run.w, &setup, &err);
	if (s == S_OK)
		s = run_load(&run, &err);
	if (s == S_OK)
		code = report(&run);
	else
		fprintf(stderr, "stator bench: %s\n", err.message);
	if (!options->keep && setup_undo(&run.w, &setup, &err) != S_OK && code == 0) {
		fprintf(stderr, "stator bench: %s\n", err.message);
		code = 1;
	}
	setup_done(&setup);
	run_done(&run);
	return code;
}
