/* DAX in `stator serve`: the node built in (its caches, its attribute lists, its front), and the clusters of the
 * control plane. */
#ifndef STATOR_MAIN_SERVE_DAX_H
#define STATOR_MAIN_SERVE_DAX_H

#include <pthread.h>

#include "cache/coherent.h"
#include "front/dax.h"
#include "front/dax_fleet.h"
#include "main/config.h"
#include "main/datadir.h"

/* Zeroed: none. */
struct serve_dax {
	struct cache *cache;
	struct coherent *coherent; /* NULL: not --dax-coherent */
	struct dax_lists *lists;   /* of all nodes; NULL before the first one starts. Guarded by lock */
	struct dax_front *front;   /* NULL: neither --dax-listen nor --dax-tls-listen was given */
	pthread_mutex_t lock;
	const struct config *config;
	const struct datadir *datadir;
	char host[128];                          /* that nodes of clusters listen on */
	struct dax_fleet *machines[REGIONS_MAX]; /* one a region */
	_Atomic(struct fleet *) fleets[REGIONS_MAX];
	_Atomic size_t region_count; /* of machines; loops that write metrics look at them */
};

/* First of all. */
void serve_dax_init(struct serve_dax *d, const struct config *c, const struct datadir *datadir);
/* After the operations and before the loops run; tells the HTTP front its addresses and figures. Pair with
 * serve_dax_close(), also after a failure. */
enum status serve_dax_open(struct serve_dax *d, const struct config *c, struct op_context *ops, struct table_db **dbs,
			   size_t db_count, struct loop **loops, int loop_count, struct front_http *http,
			   struct err *err);
/* SIGHUP. The credentials file has been read once more without a mistake. */
void serve_dax_reload(struct serve_dax *d, const struct config *c);
/* When the loops run: the clusters that were there start again. */
enum status serve_fleet_open(struct serve_dax *d, struct op_context *ops, struct table_db **dbs, size_t db_count,
			     struct loop **loops, int loop_count, struct err *err);
void serve_fleet_reload(struct serve_dax *d);
void serve_fleet_add_metrics(struct serve_dax *d, struct metrics_merge *merge);
/* While the loops run, if they ever did: calls of the nodes are waited for. */
void serve_fleet_close(struct serve_dax *d); /* what is left of them serve_dax_close() frees */
/* The lists that all nodes share; opened when they are first asked for. */
enum status serve_dax_lists(void *context, struct dax_lists **ret, struct err *err);

int serve_dax_in_progress(const struct serve_dax *d);
void serve_dax_close(struct serve_dax *d); /* after the loops ended */

#endif
