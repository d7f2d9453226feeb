/* `stator dax`, running: loops, upstream, caches, fronts; start and stop order. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "codec/json.h"
#include "front/dax.h"
#include "front/dax_peers.h"
#include "front/dax_upstream.h"
#include "io/http.h"
#include "main/credentials.h"
#include "main/dax_cmd.h"
#include "main/files.h"
#include "main/memory.h"

#define ACCOUNT         "123456789012" /* of ARNs in a credentials file; nothing here asks for it */
#define LISTS_FILE      "dax-attribute-lists"
#define IN_BYTES_TOTAL  ((size_t)512 * 1024 * 1024)
#define OUT_BYTES_TOTAL ((size_t)512 * 1024 * 1024)
#define MEMORY_LOOK_S   5
#define DRAIN_STEP_MS   2

struct dax_server {
	const struct dax_config *config;
	struct loop **loops;
	pthread_t *threads;
	int loop_count, running;
	struct dax_remote *remote;
	struct dax_lists *lists;
	struct cache *cache;
	struct dax_front *front;
	struct dax_peers *peers;  /* NULL: alone */
	struct http_server *http; /* NULL: no --http-listen */
};

/* --- /health and /metrics --- */

static void
put_health(const struct dax_server *s, struct buf *out)
{
	buf_put_lit(out, "{\"status\":\"ok\",\"version\":\"" STATOR_VERSION "\",\"dax\":");
	json_put_string(out, slice_str(dax_front_address(s->front)));
	if (dax_front_tls_address(s->front) != NULL) {
		buf_put_lit(out, ",\"dax_tls\":");
		json_put_string(out, slice_str(dax_front_tls_address(s->front)));
	}
	buf_put_lit(out, ",\"upstream\":");
	json_put_string(out, slice_str(s->config->upstream));
	buf_put_lit(out, "}\n");
}

static void
put_metrics(const struct dax_server *s, struct buf *out)
{
	dax_front_write_metrics(s->front, out);
	dax_remote_write_metrics(s->remote, out);
	if (s->peers != NULL)
		dax_peers_write_metrics(s->peers, out);
	cache_write_metrics(s->cache, slice_str(s->config->node != NULL ? s->config->node : "dax"), out);
}

static void
handle(struct http_exchange *x, void *context)
{
	const struct dax_server *s = context;
	bool get = slice_eq(x->method, SLICE("GET")) || slice_eq(x->method, SLICE("HEAD"));

	if (get && slice_eq(x->path, SLICE("/health"))) {
		put_health(s, x->out);
		http_reply(x, 200, SLICE("Content-Type: application/json\r\n"));
	} else if (get && slice_eq(x->path, SLICE("/metrics"))) {
		put_metrics(s, x->out);
		http_reply(x, 200, SLICE("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
	} else {
		http_reply(x, 404, SLICE_NONE);
	}
}

/* --- start --- */

static enum status
make_loops(struct dax_server *s, struct err *err)
{
	int count = s->config->threads > 0 ? (int)s->config->threads : thread_cores();
	enum status status = S_OK;

	thread_share_heaps(count);
	s->loops = calloc((size_t)count, sizeof *s->loops);
	s->threads = calloc((size_t)count, sizeof *s->threads);
	if (s->loops == NULL || s->threads == NULL)
		abort();
	for (; status == S_OK && s->loop_count < count; s->loop_count += status == S_OK)
		status = loop_new(s->loop_count, &s->loops[s->loop_count], err);
	return status;
}

static enum status
open_lists(struct dax_server *s, struct err *err)
{
	const char *dir = s->config->data;
	char path[4096];

	if (dir == NULL)
		return dax_lists_open(NULL, &s->lists, err);
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return err_set(err, S_IO, "--data %s: %s", dir, strerror(errno));
	if (snprintf(path, sizeof path, "%s/" LISTS_FILE, dir) >= (int)sizeof path)
		return err_set(err, S_IO, "--data: the name is too long");
	return dax_lists_open(path, &s->lists, err);
}

static enum status
make_upstream(struct dax_server *s, struct err *err)
{
	const struct dax_config *c = s->config;
	const struct dax_remote_options options = {
	    .url = c->upstream,
	    .region = c->upstream_region,
	    .access_key = c->access_key,
	    .secret = c->secret,
	    .session_token = c->session_token,
	    .ca_file = c->upstream_ca,
	    .timeout_ms = (int)c->upstream_timeout_ms,
	    .connect_ms = (int)c->upstream_connect_ms,
	    .connections = (int)c->upstream_connections,
	    .calls = (int)c->upstream_calls,
	    .table_ms = c->table_ttl_ms,
	};
	struct err why;
	enum status status = dax_remote_new(&options, s->loops, s->loop_count, &s->remote, &why);

	return status == S_OK ? S_OK : err_set(err, status, "--upstream: %.1500s", why.message);
}

static enum status
make_front(struct dax_server *s, struct err *err)
{
	const struct dax_config *c = s->config;
	const char *region = dax_remote_region(s->remote);
	struct dax_front_options options = {
	    .upstream = dax_remote_upstream(s->remote),
	    .cache = s->cache,
	    .lists = s->lists,
	    .listen = c->listen,
	    .tls_listen = c->tls_listen,
	    .tls_cert = c->tls_cert,
	    .tls_key = c->tls_key,
	    .limits = {.connections = files_connections((int)c->max_connections, 1 + (c->tls_listen != NULL)),
		       .idle_ms = (int)c->idle_timeout_ms,
		       .request_ms = (int)c->request_timeout_ms,
		       .write_ms = (int)c->write_timeout_ms,
		       .in_bytes_total = IN_BYTES_TOTAL,
		       .unsent_bytes_total = OUT_BYTES_TOTAL},
	    .regions = &region,
	    .region_count = 1,
	};
	enum status status = S_OK;

	if (c->auth == 1)
		status = credentials_read(c->credentials, ACCOUNT, &options.keys, err);
	if (status != S_OK)
		return status;
	return dax_front_new(&options, s->loops, s->loop_count, &s->front, err);
}

#define SECRET_MIN 16
#define SECRET_MAX 4096

/* Empty without --cluster-secret: then all nodes are on this machine. */
static enum status
read_secret(const char *path, struct buf *ret, struct err *err)
{
	struct stat about;
	ssize_t n;
	int fd;

	if (path == NULL)
		return S_OK;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &about) != 0) {
		err_set(err, S_IO, "--cluster-secret: %s: %s", path, strerror(errno));
	} else if ((about.st_mode & 077) != 0) {
		err_set(err, S_IO, "--cluster-secret: %s can be read by others (mode %o); chmod 600 it", path,
			(unsigned)about.st_mode & 0777);
	} else {
		buf_reserve(ret, SECRET_MAX);
		n = read(fd, ret->data, SECRET_MAX);
		ret->len = n > 0 ? (size_t)n : 0;
		close(fd);
		return ret->len >= SECRET_MIN
			   ? S_OK
			   : err_set(err, S_IO, "--cluster-secret: %s holds less than %d bytes", path, SECRET_MIN);
	}
	if (fd >= 0)
		close(fd);
	return S_IO;
}

static enum status
make_peers(struct dax_server *s, struct err *err)
{
	const struct dax_config *c = s->config;
	struct buf secret = {0};
	struct dax_peers_options options = {
	    .nodes = (const char *const *)c->nodes.items,
	    .node_count = c->nodes.count,
	    .port_offset = (int)c->peer_port_offset,
	    .cache = s->cache,
	    .lists = s->lists,
	    .node = dax_front_node(s->front),
	};
	enum status status;

	if (c->nodes.count == 0)
		return S_OK;
	while (strcmp(c->nodes.items[options.self], c->node) != 0)
		options.self++;
	status = read_secret(c->cluster_secret, &secret, err);
	options.secret = buf_slice(&secret);
	if (status == S_OK)
		status = dax_peers_new(&options, &s->peers, err);
	if (secret.cap > 0)
		explicit_bzero(secret.data, secret.cap);
	buf_done(&secret);
	return status;
}

static enum status
make_http(struct dax_server *s, struct err *err)
{
	const struct http_server_options options = {
	    .listen = s->config->http_listen,
	    .limits = http_limits_default,
	    .handler = handle,
	    .context = s,
	};

	return options.listen != NULL ? http_server_new(&options, s->loops, s->loop_count, &s->http, err) : S_OK;
}

static void *
run_loop(void *loop)
{
	loop_run(loop);
	return NULL;
}

static enum status
start(struct dax_server *s, struct err *err)
{
	enum status status = make_loops(s, err);

	if (status == S_OK)
		status = open_lists(s, err);
	if (status == S_OK)
		status = make_upstream(s, err);
	if (status != S_OK)
		return status;
	s->cache = cache_new((uint64_t)s->config->memory_bytes);
	cache_set_ttl(s->cache, CACHE_ITEMS, s->config->record_ttl_ms);
	cache_set_ttl(s->cache, CACHE_QUERIES, s->config->query_ttl_ms);
	status = make_front(s, err);
	if (status == S_OK)
		status = make_peers(s, err);
	if (status == S_OK)
		status = make_http(s, err);
	for (; status == S_OK && s->running < s->loop_count; s->running += status == S_OK) {
		int failed = pthread_create(&s->threads[s->running], NULL, run_loop, s->loops[s->running]);

		if (failed != 0)
			status = err_set(err, S_INTERNAL, "a thread could not be started: %s", strerror(failed));
	}
	return status;
}

/* --- stop: everything is fine half-started --- */

static void
stop(struct dax_server *s)
{
	for (int i = 0; i < s->running; i++)
		loop_stop(s->loops[i]);
	for (int i = 0; i < s->running; i++)
		pthread_join(s->threads[i], NULL);
	if (s->http != NULL)
		http_server_free(s->http);
	dax_peers_free(s->peers);
	dax_front_free(s->front);
	dax_remote_free(s->remote);
	cache_free(s->cache);
	dax_lists_close(s->lists);
	for (int i = 0; i < s->loop_count; i++)
		loop_free(s->loops[i]);
	free(s->loops);
	free(s->threads);
}

static void
tell_ready(const struct dax_server *s)
{
	const struct dax_config *c = s->config;
	const char *http = s->http != NULL ? http_server_address(s->http) : NULL;
	const char *tls = dax_front_tls_address(s->front);

	if (c->log_format == LOG_JSON) {
		printf("{\"ready\":true,\"dax\":\"%s\"%s%s%s%s%s%s}\n", dax_front_address(s->front),
		       tls != NULL ? ",\"dax_tls\":\"" : "", tls != NULL ? tls : "", tls != NULL ? "\"" : "",
		       http != NULL ? ",\"endpoint\":\"http://" : "", http != NULL ? http : "",
		       http != NULL ? "\"" : "");
	} else {
		printf("stator %s dax ready at dax://%s%s%s in front of %s\n", STATOR_VERSION,
		       dax_front_address(s->front), tls != NULL ? " and daxs://" : "", tls != NULL ? tls : "",
		       c->upstream);
		if (http != NULL)
			printf("http://%s/metrics tells what the caches do\n", http);
	}
	fflush(stdout); /* a pipe is waiting for this line */
}

static void
reload(struct dax_server *s)
{
	const struct dax_config *c = s->config;
	struct auth_keys *keys;
	struct err err;

	if (dax_front_reload_tls(s->front, &err) != S_OK)
		log_error("main", "SIGHUP: the old certificate stays in use: %s", err.message);
	if (c->auth != 1)
		return;
	if (credentials_read(c->credentials, ACCOUNT, &keys, &err) == S_OK)
		dax_front_set_keys(s->front, keys);
	else
		log_error("main", "SIGHUP: the old credentials stay in use: %s", err.message);
}

static void
wait_for_end(struct dax_server *s, const sigset_t *signals)
{
	static const struct timespec look = {MEMORY_LOOK_S, 0};

	for (;;) {
		int signal = sigtimedwait(signals, NULL, &look);

		if (signal == SIGHUP)
			reload(s);
		else if (signal == SIGTERM || signal == SIGINT)
			return;
		memory_give_back(dax_front_in_progress(s->front) == 0);
	}
}

static void
drain(struct dax_server *s)
{
	int64_t deadline_ns;

	if (s->peers != NULL) {
		/* clients ask for the nodes every 4 s: they go to the others by themselves, and nothing breaks off */
		int64_t until_ns = clock_mono_ns() + s->config->leave_time_ms * 1000000;

		dax_peers_leave(s->peers);
		while (dax_front_connections(s->front) > 0 && clock_mono_ns() < until_ns)
			usleep(DRAIN_STEP_MS * 1000);
	}
	deadline_ns = clock_mono_ns() + s->config->drain_timeout_ms * 1000000;
	dax_front_drain(s->front);
	while (dax_front_in_progress(s->front) > 0 && clock_mono_ns() < deadline_ns)
		usleep(DRAIN_STEP_MS * 1000);
}

int
dax_server_run(const struct dax_config *config)
{
	struct dax_server s = {.config = config};
	sigset_t signals;
	struct err err;

	/* before the first thread starts, so that all of them leave signals to this one */
	files_raise_limit();
	signal(SIGPIPE, SIG_IGN);
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
	tell_ready(&s);
	wait_for_end(&s, &signals);
	drain(&s);
	stop(&s);
	log_info("main", "stopped");
	return 0;
}
