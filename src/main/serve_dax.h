/* The DAX node built into `stator serve`: its caches, its attribute lists, its front. */
#ifndef STATOR_MAIN_SERVE_DAX_H
#define STATOR_MAIN_SERVE_DAX_H

#include "front/dax.h"
#include "main/config.h"
#include "main/datadir.h"

/* Zeroed: none. */
struct serve_dax {
	struct cache *cache;
	struct dax_lists *lists;
	struct dax_front *front; /* NULL: neither --dax-listen nor --dax-tls-listen was given */
};

/* After the operations and before the loops run; tells the HTTP front its addresses and figures. Pair with
 * serve_dax_close(), also after a failure. */
enum status serve_dax_open(struct serve_dax *d, const struct config *c, const struct datadir *datadir,
			   struct op_context *ops, struct loop **loops, int loop_count, struct front_http *http,
			   struct err *err);
/* SIGHUP. The credentials file has been read once more without a mistake. */
void serve_dax_reload(struct serve_dax *d, const struct config *c);
int serve_dax_in_progress(const struct serve_dax *d);
void serve_dax_close(struct serve_dax *d); /* after the loops ended */

#endif
