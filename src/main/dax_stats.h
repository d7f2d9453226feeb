/* `stator dax stats`: what the caches of a running server hold and how they do, read from its /metrics. */
#ifndef STATOR_MAIN_DAX_STATS_H
#define STATOR_MAIN_DAX_STATS_H

#include "main/cli.h"

extern const struct cli_command dax_stats_command;

int dax_stats_cmd(int argc, char **argv);

#endif
