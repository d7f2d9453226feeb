/*
 * How much room the disk has, and what RocksDB is told of it.
 *
 * After a table could not be written for want of room RocksDB looks every five seconds whether there is some, and then
 * recovers by itself. With all spaces becoming tables together 7.8 can meet itself there: the flush it asks for waits
 * for its turn behind one that failed, and closing the database waits for that recovery, for good. The engine opens the
 * database anew when the disk works again, so RocksDB is told that its folder has no room left whenever it asks. What
 * it asks before a compaction is about a file, and it is told the truth. A compaction that met the full disk is no more
 * than tried again.
 *
 * RocksDB's calls of statvfs() find the one below before libc's.
 */
#include "engine/rocksdb/rocksdb_int.h"

#include <dlfcn.h>
#include <sys/statvfs.h>

static int
libc_statvfs(const char *path, struct statvfs *ret)
{
	static int (*_Atomic real)(const char *, struct statvfs *);
	int (*function)(const char *, struct statvfs *) = atomic_load_explicit(&real, memory_order_relaxed);

	if (function == NULL) {
		*(void **)&function = dlsym(RTLD_NEXT, "statvfs");
		atomic_store_explicit(&real, function, memory_order_relaxed);
	}
	return function(path, ret);
}

bool
rocks_free_bytes(const char *dir, uint64_t *ret)
{
	struct statvfs info;

	if (libc_statvfs(dir, &info) != 0)
		return false;
	*ret = (uint64_t)info.f_bavail * info.f_frsize;
	return true;
}

int
statvfs(const char *restrict path, struct statvfs *restrict ret)
{
	int failed = libc_statvfs(path, ret);

	if (failed == 0 && log_is_watched(path))
		ret->f_bfree = ret->f_bavail = 0;
	return failed;
}
