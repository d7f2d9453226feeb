/*
 * The data directory: made when missing, marked with the format of what is in it, used by one process at a time.
 *
 *     DIR/VERSION        "stator data format 1"
 *     DIR/LOCK           locked (flock) while a server runs; tells its process id
 *     DIR/REGION/        one engine for each region
 *
 * A newer format is refused, and so is a folder with other things in it: nothing is ever written beside strangers'
 * files.
 */
#ifndef STATOR_MAIN_DATADIR_H
#define STATOR_MAIN_DATADIR_H

#include <stdbool.h>

#include "base/status.h"

#define DATA_FORMAT      1
#define DATADIR_PATH_MAX 3072

struct datadir {
	char path[DATADIR_PATH_MAX];
	int lock_fd;
	bool temporary; /* removed by datadir_close */
};

/* path NULL: a temporary one, below TMPDIR. S_LOCKED: another process has it. */
enum status datadir_open(const char *path, struct datadir *ret, struct err *err);
/* A region's folder, made when missing: it is there after a crash before anything is written into it. */
enum status datadir_region(const struct datadir *d, const char *region, char ret[DATADIR_PATH_MAX + 64],
			   struct err *err);
void datadir_close(struct datadir *d);

#endif
