/* Tables before and after a measurement. */
#ifndef STATOR_BENCH_SETUP_H
#define STATOR_BENCH_SETUP_H

#include "bench/workload.h"

struct setup {
	bool made[2]; /* by this run: [0] the table, [1] NAME-query */
};

/* Make and fill the tables the workload needs. Tells its progress on standard error. */
enum status setup_tables(const struct workload *w, struct setup *ret, struct err *err);
/* Delete what setup_tables made. */
enum status setup_undo(const struct workload *w, const struct setup *setup, struct err *err);

#endif
