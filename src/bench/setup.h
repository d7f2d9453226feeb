/* Tables before and after a measurement. */
#ifndef STATOR_BENCH_SETUP_H
#define STATOR_BENCH_SETUP_H

#include "bench/workload.h"

struct setup {
	bool *made[2]; /* for each of --tables, whether this run made it: [0] NAME, [1] NAME-query; or NULL */
};

/* Make and fill the tables the workload needs. Tells its progress on standard error. Pair with setup_done(), also after
 * a failure. */
enum status setup_tables(const struct workload *w, struct setup *ret, struct err *err);
/* Delete what setup_tables made. */
enum status setup_undo(const struct workload *w, const struct setup *setup, struct err *err);
void setup_done(struct setup *setup);

#endif
