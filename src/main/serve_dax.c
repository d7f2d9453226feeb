#include "main/serve_dax.h"

#include <stdio.h>

#include "base/log.h"
#include "front/metrics.h"
#include "main/credentials.h"

#define LISTS_FILE     "dax-attribute-lists"
#define BUILT_IN       "stator" /* the cluster that the node of --dax-listen is, in rights */
#define IN_BYTES_TOTAL ((size_t)512 * 1024 * 1024)

static void
write_metrics(void *context, struct buf *out)
{
	struct serve_dax *d = context;

	struct metrics_merge *caches = metrics_merge_new();
	struct buf text = {0};

	if (d->front != NULL) {
		dax_front_write_metrics(d->front, out);
		cache_write_metrics(d->cache, SLICE("serve"), &text);
		if (d->coherent != NULL)
			coherent_write_metrics(d->coherent, SLICE("serve"), &text);
	}
	metrics_merge_add(caches, buf_slice(&text), SLICE_NONE); /* each family once, whatever the nodes */
	serve_fleet_add_metrics(d, caches);
	metrics_merge_end(caches, out);
	buf_done(&text);
}

void
serve_dax_init(struct serve_dax *d, const struct config *c, const struct datadir *datadir)
{
	d->config = c;
	d->datadir = datadir;
	pthread_mutex_init(&d->lock, NULL);
}

enum status
serve_dax_lists(void *context, struct dax_lists **ret, struct err *err)
{
	struct serve_dax *d = context;
	char path[DATADIR_PATH_MAX + 64];
	enum status s = S_OK;

	snprintf(path, sizeof path, "%s/" LISTS_FILE, d->datadir->path);
	pthread_mutex_lock(&d->lock);
	if (d->lists == NULL)
		s = dax_lists_open(d->config->ephemeral ? NULL : path, &d->lists, err);
	*ret = d->lists;
	pthread_mutex_unlock(&d->lock);
	return s;
}

enum status
serve_dax_open(struct serve_dax *d, const struct config *c, struct op_context *ops, struct table_db **dbs,
	       size_t db_count, struct loop **loops, int loop_count, struct front_http *http, struct err *err)
{
	struct dax_front_options options = {
	    .upstream = dax_front_local(ops, c->dax_coherent),
	    .listen = c->dax_listen,
	    .tls_listen = c->dax_tls_listen,
	    .tls_cert = c->tls_cert,
	    .tls_key = c->tls_key,
	    .limits = {.connections = (int)c->max_connections,
		       .idle_ms = (int)c->idle_timeout_ms,
		       .request_ms = (int)c->request_timeout_ms,
		       .write_ms = (int)c->write_timeout_ms,
		       .in_bytes_total = IN_BYTES_TOTAL,
		       .unsent_bytes_total = (size_t)c->answer_memory},
	    .regions = (const char *const *)c->regions.items,
	    .region_count = c->regions.count,
	    .cluster = BUILT_IN,
	};
	enum status s;

	front_http_on_metrics(http, write_metrics, d);
	if (c->dax_listen == NULL && c->dax_tls_listen == NULL)
		return S_OK;
	s = serve_dax_lists(d, &d->lists, err);
	if (s == S_OK && c->auth == AUTH_SIGV4)
		s = credentials_read(c->credentials, c->account, &options.keys, err);
	if (s != S_OK)
		return s;
	d->cache = cache_new((uint64_t)c->dax_memory_bytes);
	cache_set_ttl(d->cache, CACHE_ITEMS, c->dax_record_ttl_ms);
	cache_set_ttl(d->cache, CACHE_QUERIES, c->dax_query_ttl_ms);
	options.cache = d->cache;
	options.lists = d->lists;
	if (c->dax_coherent)
		s = coherent_new(d->cache, dbs, db_count, &d->coherent, err);
	if (s == S_OK)
		s = dax_front_new(&options, loops, loop_count, &d->front, err);
	if (s != S_OK)
		return s;
	if (dax_front_address(d->front) != NULL)
		front_http_add_address(http, "dax", dax_front_address(d->front));
	if (dax_front_tls_address(d->front) != NULL)
		front_http_add_address(http, "dax_tls", dax_front_tls_address(d->front));
	return S_OK;
}

void
serve_dax_reload(struct serve_dax *d, const struct config *c)
{
	struct auth_keys *keys;
	struct err err;

	serve_fleet_reload(d);
	if (d->front == NULL)
		return;
	if (dax_front_reload_tls(d->front, &err) != S_OK)
		log_error("main", "SIGHUP: the old certificate of DAX stays in use: %s", err.message);
	if (c->auth != AUTH_SIGV4)
		return;
	if (credentials_read(c->credentials, c->account, &keys, &err) == S_OK)
		dax_front_set_keys(d->front, keys);
	else
		log_error("main", "SIGHUP: the old credentials of DAX stay in use: %s", err.message);
}

int
serve_dax_in_progress(const struct serve_dax *d)
{
	int sum = d->front != NULL ? dax_front_in_progress(d->front) : 0;

	for (size_t i = 0; i < d->region_count; i++)
		sum += dax_fleet_in_progress(d->machines[i]);
	return sum;
}

void
serve_dax_close(struct serve_dax *d)
{
	for (size_t i = 0; i < d->region_count; i++)
		dax_fleet_free(d->machines[i]);
	dax_front_free(d->front);
	coherent_free(d->coherent);
	cache_free(d->cache);
	dax_lists_close(d->lists);
	pthread_mutex_destroy(&d->lock);
}
