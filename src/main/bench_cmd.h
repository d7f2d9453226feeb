/* The options of `stator bench`. */
#ifndef STATOR_MAIN_BENCH_CMD_H
#define STATOR_MAIN_BENCH_CMD_H

#include "main/cli.h"

extern const struct cli_command bench_command;
int bench_cmd(int argc, char **argv); /* returns the exit code */

#endif
