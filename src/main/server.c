#include "main/server.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/thread.h"
#include "main/credentials.h"
#include "main/datadir.h"
#include "main/files.h"
#include "main/memory.h"
#include "main/serve_dax.h"
#include "ttl/ttl.h"

#define DRAIN_STEP_MS 2
#define MEMORY_LOOK_S 5

struct loop_thread {
	struct loop *loop;
	pthread_t thread;
	bool running;
	struct loop_task passed; /* see pass_loops() */
	sem_t *passing;
};

struct server {
	const struct config *config;
	int64_t started_ns;
	struct datadir datadir;
	struct engine *engines[REGIONS_MAX];
	struct table_db *dbs[REGIONS_MAX];
	size_t region_count; /* opened so far */
	struct ttl_service *ttl;
	struct op_context *ops;
	struct loop_thread *threads;
	struct loop **loops;
	int loop_count;
	struct front_http *http;
	struct serve_dax dax;
};

/* ---- start ---- */

static enum status
open_region(struct server *s, const char *region, struct err *err)
{
	const struct config *c = s->config;
	char dir[DATADIR_PATH_MAX + 64];
	struct engine_options engine = {
	    .dir = dir,
	    .cache_bytes = (uint64_t)c->cache_bytes / c->regions.count,
	    .write_buffer_bytes = (uint64_t)c->write_buffer_bytes,
	    .ephemeral = c->ephemeral,
	    .min_free_bytes = (uint64_t)c->min_free_bytes,
	};
	struct table_db_options tables = {
	    .region = region,
	    .account = c->account,
	    .control_delay_ms = (int)c->control_plane_delay_ms,
	    .partitions = (int)c->partitions,
	    .item_cache_bytes = (uint64_t)c->item_cache_bytes / c->regions.count,
	    .page_cache_bytes = (uint64_t)c->page_cache_bytes / c->regions.count,
	    .throttling = c->throttling,
	};
	size_t i = s->region_count;
	enum status status = datadir_region(&s->datadir, region, dir, err);

	fault_pass(FAULT_REGION_MADE);
	if (status == S_OK)
		status = engine_rocksdb_open(&engine, &s->engines[i], err);
	if (status != S_OK)
		return status;
	s->region_count++;
	return table_db_open(s->engines[i], &tables, &s->dbs[i], err);
}

static int
loops_wanted(const struct server *s)
{
	return s->config->threads > 0 ? (int)s->config->threads : thread_cores();
}

static enum status
make_loops(struct server *s, struct err *err)
{
	int count = loops_wanted(s);

	s->loops = calloc((size_t)count, sizeof *s->loops);
	s->threads = calloc((size_t)count, sizeof *s->threads);
	if (s->loops == NULL || s->threads == NULL)
		return err_set(err, S_INTERNAL, "out of memory");
	for (; s->loop_count < count; s->loop_count++) {
		enum status status = loop_new(s->loop_count, &s->loops[s->loop_count], err);

		if (status != S_OK)
			return status;
		s->threads[s->loop_count].loop = s->loops[s->loop_count];
	}
	return S_OK;
}

static enum status
make_operations(struct server *s, struct err *err)
{
	struct op_options options = {
	    .io_threads = (int)s->config->io_threads,
	    .io_queue_max = 4096,
	    .in_progress_max = (int)s->config->max_requests,
	    .loops = s->loops,
	    .loop_count = s->loop_count,
	    .fleets = s->dax.fleets,
	    .wording_2026 = s->config->wording == WORDING_OF_2026,
	};

	return op_context_new(&options, s->dbs, s->region_count, &s->ops, err);
}

static enum status
make_front(struct server *s, struct err *err)
{
	const struct config *c = s->config;
	struct front_http_options options = {
	    .ops = s->ops,
	    .dbs = s->dbs,
	    .db_count = s->region_count,
	    .listen = c->listen,
	    .tls_cert = c->tls_cert,
	    .tls_key = c->tls_key,
	    .test_controls = c->test_controls,
	    .limits = http_limits_default,
	};

	if (c->auth == AUTH_SIGV4) {
		enum status status = credentials_read(c->credentials, c->account, &options.keys, err);

		if (status != S_OK)
			return status;
	}
	options.limits.connections = (int)c->max_connections;
	options.limits.body_bytes_total = (size_t)c->request_memory;
	options.limits.unsent_bytes_total = (size_t)c->answer_memory;
	options.limits.idle_ms = (int)c->idle_timeout_ms;
	options.limits.request_ms = (int)c->request_timeout_ms;
	options.limits.write_ms = (int)c->write_timeout_ms;
	return front_http_new(&options, s->loops, s->loop_count, &s->http, err);
}

static void *
run_loop(void *context)
{
	struct loop_thread *t = context;

	loop_run(t->loop);
	expr_cache_done();
	return NULL;
}

static enum status
start_threads(struct server *s, struct err *err)
{
	for (int i = 0; i < s->loop_count; i++) {
		char name[16];
		int failed = pthread_create(&s->threads[i].thread, NULL, run_loop, &s->threads[i]);

		if (failed != 0)
			return err_set(err, S_INTERNAL, "a thread could not be started: %s", strerror(failed));
		s->threads[i].running = true;
		snprintf(name, sizeof name, "loop-%d", i);
		pthread_setname_np(s->threads[i].thread, name);
	}
	return S_OK;
}

static enum status
start(struct server *s, struct err *err)
{
	enum status status = datadir_open(s->config->data, &s->datadir, err);

	thread_share_heaps(loops_wanted(s));
	serve_dax_init(&s->dax, s->config, &s->datadir);
	for (size_t i = 0; status == S_OK && i < s->config->regions.count; i++)
		status = open_region(s, s->config->regions.items[i], err);
	if (status == S_OK)
		status = ttl_service_new(s->dbs, s->region_count, &s->ttl, err);
	if (status == S_OK)
		status = make_loops(s, err);
	if (status == S_OK)
		status = make_operations(s, err);
	if (status == S_OK)
		status = make_front(s, err);
	if (status == S_OK)
		status = serve_dax_open(&s->dax, s->config, s->ops, s->dbs, s->region_count, s->loops, s->loop_count,
					s->http, err);
	if (status == S_OK)
		status = start_threads(s, err);
	if (status == S_OK)
		status = serve_fleet_open(&s->dax, s->ops, s->dbs, s->region_count, s->loops, s->loop_count, err);
	return status;
}

/* ---- stop: everything is fine half-started ---- */

static void
stop(struct server *s)
{
	serve_fleet_close(&s->dax);
	for (int i = 0; i < s->loop_count; i++)
		if (s->threads[i].running)
			loop_stop(s->loops[i]);
	for (int i = 0; i < s->loop_count; i++)
		if (s->threads[i].running)
			pthread_join(s->threads[i].thread, NULL);
	serve_dax_close(&s->dax);
	if (s->http != NULL)
		front_http_free(s->http);
	if (s->ops != NULL)
		op_context_free(s->ops);
	for (int i = 0; i < s->loop_count; i++)
		loop_free(s->loops[i]);
	ttl_service_free(s->ttl);
	for (size_t i = 0; i < s->region_count; i++) {
		if (s->dbs[i] != NULL)
			table_db_close(s->dbs[i]);
		engine_close(s->engines[i]);
	}
	free(s->loops);
	free(s->threads);
	datadir_close(&s->datadir);
}

/* ---- telling that it runs ---- */

static void
tell_ready(const struct server *s)
{
	const struct config *c = s->config;
	const char *address = front_http_address(s->http), *scheme = c->tls_cert != NULL ? "https" : "http";
	const char *region = c->regions.items[0];
	int64_t us = (clock_mono_ns() - s->started_ns) / 1000;

	if (c->log_format == LOG_JSON) {
		printf("{\"ready\":true,\"endpoint\":\"%s://%s\",\"region\":\"%s\",\"ready_us\":%lld}\n", scheme,
		       address, region, (long long)us);
	} else {
		printf("stator %s ready at %s://%s (region %s, %s %s, %lld.%lld ms)\n", STATOR_VERSION, scheme, address,
		       region, c->ephemeral ? "nothing kept:" : "data in", s->datadir.path, (long long)us / 1000,
		       (long long)us / 100 % 10);
		/* the table is the README's, so that one may go on there */
		printf("\n"
		       "Try it from another terminal. Any AWS SDK works with this endpoint; the AWS CLI wants some "
		       "credentials%s:\n\n"
		       "  export AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s AWS_DEFAULT_REGION=%s\n\n"
		       "  aws dynamodb create-table --endpoint-url %s://%s --table-name Music "
		       "--billing-mode PAY_PER_REQUEST \\\n"
		       "      --attribute-definitions AttributeName=Artist,AttributeType=S "
		       "AttributeName=Song,AttributeType=S \\\n"
		       "      --key-schema AttributeName=Artist,KeyType=HASH AttributeName=Song,KeyType=RANGE\n"
		       "  aws dynamodb put-item --endpoint-url %s://%s --table-name Music \\\n"
		       "      --item '{\"Artist\":{\"S\":\"Miriam Makeba\"},\"Song\":{\"S\":\"Pata Pata\"},"
		       "\"Year\":{\"N\":\"1967\"}}'\n"
		       "  aws dynamodb scan --endpoint-url %s://%s --table-name Music\n\n"
		       "Ctrl-C stops it.\n",
		       c->auth == AUTH_ANY ? " (here any will do)" : "", c->auth == AUTH_ANY ? "local" : "...",
		       c->auth == AUTH_ANY ? "local" : "...", region, scheme, address, scheme, address, scheme,
		       address);
	}
	fflush(stdout); /* a pipe is waiting for this line */
}

/* ---- signals ---- */

static void
end_at_once(int signal)
{
	static const char line[] = "second signal: ending at once\n";

	(void)signal;
	(void)!write(STDERR_FILENO, line, sizeof line - 1);
	_exit(1);
}

/* From now on SIGTERM and SIGINT reach a handler, whatever the process waits for. */
static void
arm_second_signal(void)
{
	struct sigaction action = {.sa_handler = end_at_once};
	sigset_t set;

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void
reload_credentials(struct server *s)
{
	struct auth_keys *keys;
	struct err err;

	if (s->config->auth != AUTH_SIGV4)
		return;
	if (credentials_read(s->config->credentials, s->config->account, &keys, &err) != S_OK) {
		log_error("main", "SIGHUP: the old credentials stay in use: %s", err.message);
		return;
	}
	log_info("main", "SIGHUP: %s is in use, with %zu keys", s->config->credentials, auth_keys_count(keys));
	front_http_set_keys(s->http, keys);
}

static void
reload_tls(struct server *s)
{
	struct err err;

	if (s->config->tls_cert == NULL)
		log_info("main", "SIGHUP: there is no --tls-cert to read again");
	else if (front_http_reload_tls(s->http, &err) == S_OK)
		log_info("main", "SIGHUP: %s and %s are in use for new connections", s->config->tls_cert,
			 s->config->tls_key);
	else
		log_error("main", "SIGHUP: the old certificate stays in use: %s", err.message);
}

static void
tell_passed(struct loop_task *task)
{
	sem_post(((struct loop_thread *)((char *)task - offsetof(struct loop_thread, passed)))->passing);
}

/* Wait until each loop has done what was posted to it before. */
static void
pass_loops(struct server *s)
{
	sem_t passing;

	sem_init(&passing, 0, 0);
	for (int i = 0; i < s->loop_count; i++) {
		s->threads[i].passing = &passing;
		s->threads[i].passed.run = tell_passed;
		loop_post(s->loops[i], &s->threads[i].passed);
	}
	for (int i = 0; i < s->loop_count; i++)
		while (sem_wait(&passing) != 0)
			; /* EINTR */
	sem_destroy(&passing);
}

/* False when requests in progress were given up. */
static bool
drain(struct server *s)
{
	int64_t deadline_ns = clock_mono_ns() + s->config->drain_timeout_ms * 1000000;

	front_http_drain(s->http);
	if (s->dax.front != NULL)
		dax_front_drain(s->dax.front);
	pass_loops(s); /* only now no further request is read, so what is counted below does not rise again */
	while (front_http_in_progress(s->http) > 0 || serve_dax_in_progress(&s->dax) > 0 ||
	       op_in_progress(s->ops) > 0) {
		if (clock_mono_ns() > deadline_ns) {
			log_warn("main", "%d requests are still in progress after %lld ms; not waiting for them",
				 front_http_in_progress(s->http), (long long)s->config->drain_timeout_ms);
			return false;
		}
		usleep(DRAIN_STEP_MS * 1000);
	}
	return true;
}

static void
wait_for_end(struct server *s, const sigset_t *signals)
{
	static const struct timespec look = {MEMORY_LOOK_S, 0};

	for (;;) {
		int signal = sigtimedwait(signals, NULL, &look);

		if (signal == SIGHUP) {
			reload_tls(s);
			reload_credentials(s);
			serve_dax_reload(&s->dax, s->config);
		} else if (signal == SIGTERM || signal == SIGINT) {
			arm_second_signal();
			log_info("main", "%s: finishing what is in progress", signal == SIGTERM ? "SIGTERM" : "SIGINT");
			return;
		}
		/* signals or not: whoever sends one every few seconds shall not keep memory from being looked at */
		memory_give_back(op_in_progress(s->ops) == 0 && front_http_in_progress(s->http) == 0);
	}
}

int
server_run(const struct config *wanted)
{
	struct config fitting = *wanted;
	const struct config *config = &fitting;
	struct server s = {.config = config, .started_ns = clock_mono_ns(), .datadir.lock_fd = -1};
	sigset_t signals;
	struct err err;
	bool drained;

	files_raise_limit();
	fitting.max_connections = files_connections((int)wanted->max_connections, 1 + (wanted->dax_listen != NULL) +
										      (wanted->dax_tls_listen != NULL));
	/* before the first thread starts, so that all of them leave signals to this one */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file at its limit is a full disk, not the end of the process */
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);

	if (start(&s, &err) != S_OK) {
		log_error("main", "%s", err.message);
		stop(&s);
		return 1;
	}
	if (config->test_controls)
		log_warn("main", "test controls are on: whoever is let in at %s may move the clock and break requests",
			 front_http_address(s.http));
	tell_ready(&s);
	wait_for_end(&s, &signals);
	drained = drain(&s);
	stop(&s);
	log_info("main", "stopped");
	if (!drained)
		_exit(0); /* all is synced and closed; what given-up requests held is not looked for */
	return 0;
}
