/*
 * Room in the log that is there before it is written.
 *
 * fdatasync() of a file that has grown commits the file system's journal, for its length and its blocks are news: a
 * second write that the first has to wait for, by another thread. A file that is overwritten needs only its bytes
 * written. So whenever the log's content reaches the file's end, zeros are written behind it, and the sync that is due
 * anyway takes them along; the syncs after that, until they are used up, are of an overwritten file.
 *
 * Nothing rests on the zeros. What is synced is durable with or without them; not written, it only takes longer.
 * RocksDB writes where it stopped, not at the file's end, and gives the file its own length when it closes it. After a
 * crash the log ends with zeros: its reader passes over them, and for wal_check() they are its end.
 *
 * There are at most as many as the log has bytes, so a small one stays small.
 */
#include "engine/rocksdb/rocksdb_int.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define AHEAD_BYTES ((off_t)512 << 10)  /* written while RocksDB holds the log's lock: 0.1 ms */
#define SMALL_BYTES ((size_t)128 << 10) /* with more in one sync its own bytes cost more than the journal's */
#define PAGE_BYTES  4096

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

/* Others write elsewhere what is written again (btrfs), or have no journal to spare (tmpfs). */
static bool
is_overwritten_in_place(int fd)
{
	struct statfs info;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || (flags & (O_APPEND | O_DIRECT)) != 0 || fstatfs(fd, &info) != 0)
		return false;
	return info.f_type == EXT4_SUPER_MAGIC || info.f_type == XFS_SUPER_MAGIC;
}

static atomic_int held;

void
log_hold_ahead(bool hold)
{
	atomic_fetch_add(&held, hold ? 1 : -1);
}

bool
log_run_ahead(int fd, size_t written)
{
	static char zeros[AHEAD_BYTES];
	off_t at = lseek(fd, 0, SEEK_CUR), to;
	struct stat info;

	if (atomic_load(&held) > 0 || written > SMALL_BYTES || at < 0 || fstat(fd, &info) != 0 || info.st_size > at)
		return true;
	to = (at + (at < AHEAD_BYTES ? at : AHEAD_BYTES)) & -(off_t)PAGE_BYTES;
	if (to <= at || !is_overwritten_in_place(fd))
		return true;
	return pwrite(fd, zeros, (size_t)(to - at), at) >= 0 || errno == ENOSPC || errno == EDQUOT || errno == EFBIG ||
	       errno == EINTR;
}
