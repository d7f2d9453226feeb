/*
 * The server: everything started in order, stopped in the opposite one.
 *
 *     data directory -> engines -> table databases -> operations -> loops -> HTTP front -> loop threads
 *
 * The calling thread keeps the signals: SIGTERM and SIGINT stop (a second one ends the process at once), SIGHUP reads
 * the TLS files again.
 */
#ifndef STATOR_MAIN_SERVER_H
#define STATOR_MAIN_SERVER_H

#include "main/config.h"

/* Returns the process's exit code. */
int server_run(const struct config *wanted);

#endif
