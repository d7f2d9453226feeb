#include "main/files.h"

#include <sys/resource.h>

#include "base/log.h"

#define LIMIT_MAX   (1 << 20) /* no more than anybody can need: an unlimited one makes some tables large */
#define OTHER_FILES 64        /* listening sockets, loops, the log, the lock */

void
files_raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= LIMIT_MAX || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max < LIMIT_MAX ? limit.rlim_max : LIMIT_MAX;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		log_warn("main", "the limit of open files could not be raised to %llu",
			 (unsigned long long)limit.rlim_cur);
}

int
files_connections(int wanted, int fronts)
{
	struct rlimit limit;
	long room;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= LIMIT_MAX)
		return wanted;
	/* RocksDB takes a quarter (engine/rocksdb/options.c), or all it needs of a large limit */
	room = ((long)limit.rlim_cur - (long)limit.rlim_cur / 4 - OTHER_FILES) / (fronts > 0 ? fronts : 1);
	if (room < 1)
		room = 1;
	if (room >= wanted)
		return wanted;
	log_warn("main", "of %d connections only %ld fit into the limit of %llu open files (ulimit -Hn)", wanted, room,
		 (unsigned long long)limit.rlim_cur);
	return (int)room;
}
