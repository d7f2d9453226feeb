/* Other protocols than HTTP: DAX, and memcached and redis to compare with. Only what the load needs. */
#ifndef STATOR_BENCH_WIRE_H
#define STATOR_BENCH_WIRE_H

#include "bench/workload.h"

/* How the options' cache answers; NULL: they name none. context must be the workload. */
const struct client_wire *wire_of(const struct workload *w, struct client_wire *ret);
/* Read one item, whose key is `key`. */
void wire_make_get(const struct workload *w, struct slice key, struct request *ret);
/* memcached, redis: keep `value` under the key. */
void wire_make_set(const struct workload *w, struct slice key, struct slice value, struct request *ret);

#endif
