/* The DAX clusters of the control plane, in `stator serve`. */
#include <stdio.h>
#include <stdlib.h>

#include "main/credentials.h"
#include "main/serve_dax.h"

#define IN_BYTES_TOTAL ((size_t)64 * 1024 * 1024) /* of one node */

static enum status
read_keys(void *context, struct auth_keys **ret, struct err *err)
{
	const struct serve_dax *d = context;

	return credentials_read(d->config->credentials, d->config->account, ret, err);
}

/* Nodes listen where the built-in one does, else on loopback. */
static void
choose_host(struct serve_dax *d)
{
	const char *listen = d->config->dax_listen, *colon = listen != NULL ? strrchr(listen, ':') : NULL;
	size_t len = colon != NULL ? (size_t)(colon - listen) : 0;

	snprintf(d->host, sizeof d->host, "127.0.0.1");
	if (colon == NULL)
		return;
	if (listen[0] == '[')
		snprintf(d->host, sizeof d->host, "%.*s", (int)len - 2, listen + 1);
	else
		snprintf(d->host, sizeof d->host, "%.*s", len > 0 ? (int)len : 7, len > 0 ? listen : "0.0.0.0");
}

static struct dax_fleet *
make_machine(struct serve_dax *d, struct table_db *db, struct op_context *ops, struct loop **loops, int loop_count)
{
	const struct config *c = d->config;
	struct dax_fleet_options options = {
	    .ops = ops,
	    .loops = loops,
	    .loop_count = loop_count,
	    .region = table_db_region(db),
	    .host = d->host,
	    .node_bytes = (uint64_t)c->dax_node_memory_bytes,
	    .db = db,
	    .coherent = c->dax_coherent,
	    .tls_cert = c->tls_cert,
	    .tls_key = c->tls_key,
	    .limits = {.connections = (int)c->max_connections,
		       .idle_ms = (int)c->idle_timeout_ms,
		       .request_ms = (int)c->request_timeout_ms,
		       .write_ms = (int)c->write_timeout_ms,
		       .in_bytes_total = IN_BYTES_TOTAL,
		       .unsent_bytes_total = (size_t)c->answer_memory},
	    .lists = serve_dax_lists,
	    .keys = c->auth == AUTH_SIGV4 ? read_keys : NULL,
	    .context = d,
	};

	(void)config_ports(c->dax_ports, &options.port_first,
			   &options.port_last); /* checked when the options were read */
	return dax_fleet_new(&options);
}

enum status
serve_fleet_open(struct serve_dax *d, struct op_context *ops, struct table_db **dbs, size_t db_count,
		 struct loop **loops, int loop_count, struct err *err)
{
	enum status s = S_OK;

	choose_host(d);
	for (size_t i = 0; s == S_OK && i < db_count; i++) {
		struct fleet_options options = {
		    .region = table_db_region(dbs[i]),
		    .account = table_db_account(dbs[i]),
		    .delay_ms = (int)d->config->control_plane_delay_ms,
		};
		struct fleet *fleet;

		d->machines[i] = make_machine(d, dbs[i], ops, loops, loop_count);
		atomic_store(&d->region_count, i + 1);
		options.machine = dax_fleet_machine(d->machines[i]);
		s = fleet_open(table_db_engine(dbs[i]), &options, &fleet, err);
		if (s == S_OK)
			atomic_store(&d->fleets[i], fleet);
	}
	return s;
}

void
serve_fleet_reload(struct serve_dax *d)
{
	for (size_t i = 0; i < d->region_count; i++)
		dax_fleet_reload(d->machines[i]);
}

void
serve_fleet_add_metrics(struct serve_dax *d, struct metrics_merge *merge)
{
	for (size_t i = 0; i < d->region_count; i++)
		dax_fleet_add_metrics(d->machines[i], merge);
}

void
serve_fleet_close(struct serve_dax *d)
{
	for (size_t i = 0; i < d->region_count; i++)
		fleet_close(atomic_exchange(&d->fleets[i], NULL));
}
