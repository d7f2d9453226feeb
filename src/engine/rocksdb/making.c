/*
 * Making a database without waiting for the disk.
 *
 * RocksDB makes a new database with a dozen fsyncs, one after the other, of states to which nobody will ever go back.
 * Behind the writes of other programs that takes a good part of a second. But a new database holds nothing: until
 * something in it is acknowledged it may be lost in a crash, if only one can see that it was. So:
 *
 *   - MAKING is put into the folder and synced;
 *   - RocksDB makes its files, and no sync of the thread that does it reaches the disk;
 *   - before the first place is called durable everything in the folder is synced, and MAKING goes.
 *
 * A folder with MAKING in it has nothing in it that was acknowledged: it is emptied and made again.
 *
 * RocksDB has no option for this. Its calls of fsync() and fdatasync() find those below before libc's. They also tell
 * synced.c of each manifest that was synced.
 */
#include "base/fault.h"
#include "engine/rocksdb/rocksdb_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MARK "MAKING"

/* ---- no syncs where nothing has to stay ---- */

static _Thread_local bool making; /* this thread is in RocksDB to make a database */
static _Thread_local bool syncing_log;
static atomic_int engines[2]; /* open ones of the process: [1] ephemeral */

static bool
may_skip(void)
{
	return making || (atomic_load(&engines[true]) > 0 && atomic_load(&engines[false]) == 0);
}

void
rocks_syncing_log(bool yes)
{
	syncing_log = yes;
}

bool
rocks_is_syncing_log(void)
{
	return syncing_log;
}

/* What RocksDB does when a manifest is synced (delete logs, name it in CURRENT) it does after this has returned. */
static int
sync_to_disk(long call, int fd)
{
	struct synced_manifest manifest;
	bool is_manifest;

	if (may_skip())
		return 0;
	if (log_sync_refused(fd))
		return syncing_log ? -1 : 0;
	is_manifest = !syncing_log && synced_find(fd, &manifest);
	if (syscall(call, fd) != 0)
		return !syncing_log && log_failed(fd) ? 0 : -1;
	if (!is_manifest) {
		if (!syncing_log)
			synced_folder(fd);
		return 0;
	}
	fault_pass(FAULT_ENGINE_MANIFEST_SYNCED);
	if (!synced_note(&manifest))
		return -1;
	fault_pass(FAULT_ENGINE_MANIFEST_NOTED);
	return 0;
}

int
fsync(int fd)
{
	return sync_to_disk(SYS_fsync, fd);
}

int
fdatasync(int fd)
{
	return sync_to_disk(SYS_fdatasync, fd);
}

void
rocks_count_engine(const struct rocks *r, int by)
{
	atomic_fetch_add(&engines[r->ephemeral], by);
}

/* ---- what is in the folder ---- */

/* Files RocksDB makes, and no others: a folder is never emptied of anything else. */
static bool
is_rocksdb_file(const char *name)
{
	static const char *const patterns[] = {"CURRENT",    "IDENTITY", "LOCK",      "LOG",      "LOG.old.*",
					       "MANIFEST-*", MARK,       "OPTIONS-*", "SYNCED-*", "*.dbtmp",
					       "*.log",      "*.sst",    "probe"};

	for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
		if (fnmatch(patterns[i], name, 0) == 0)
			return true;
	return false;
}

static bool
is_in(int dir_fd, const char *name)
{
	return faccessat(dir_fd, name, F_OK, 0) == 0;
}

static enum status
failed_to(const char *what, const struct rocks *r, struct err *err)
{
	enum status s = errno == ENOSPC || errno == EDQUOT ? S_NO_SPACE : S_IO;

	return err_set(err, s, "%s %s: %s", what, r->dir, strerror(errno));
}

/* Calls visit for each file of RocksDB until one fails. */
static bool
each_file(int dir_fd, bool (*visit)(int dir_fd, const char *name))
{
	int copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *entry;
	bool ok = d != NULL;

	if (d == NULL && copy >= 0)
		close(copy);
	while (ok && (entry = readdir(d)) != NULL)
		if (is_rocksdb_file(entry->d_name))
			ok = visit(dir_fd, entry->d_name);
	if (d != NULL)
		closedir(d);
	return ok;
}

static bool
remove_unless_mark(int dir_fd, const char *name)
{
	return strcmp(name, MARK) == 0 || unlinkat(dir_fd, name, 0) == 0;
}

static bool
is_no_remains(int dir_fd, const char *name)
{
	(void)dir_fd;
	return fnmatch("MANIFEST-*", name, 0) != 0 && fnmatch("*.sst", name, 0) != 0;
}

static bool
sync_file(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	bool ok = fd >= 0 ? fsync(fd) == 0 : errno == ENOENT; /* RocksDB may just have removed it */
	int cause = errno;

	if (fd >= 0)
		close(fd);
	errno = cause;
	return ok;
}

/* ---- making ---- */

/*
 * The mark is locked while it is there, so that a folder is not emptied under another engine. flags: O_CREAT or none.
 * False without an error: there is no mark.
 */
static bool
hold_mark(struct rocks *r, int dir_fd, int flags, enum status *ret, struct err *err)
{
	struct stat info;
	int fd = openat(dir_fd, MARK, O_WRONLY | O_CLOEXEC | flags, 0600);

	*ret = S_OK;
	if (fd < 0 && errno != ENOENT)
		*ret = failed_to("cannot begin to make", r, err);
	else if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0)
		*ret = err_set(err, S_LOCKED, "%s is in use by another process: one data directory serves one server",
			       r->dir);
	else if (fd >= 0 && fstat(fd, &info) == 0 && info.st_nlink > 0)
		r->mark_fd = fd;
	if (fd >= 0 && r->mark_fd != fd)
		close(fd);
	return r->mark_fd >= 0;
}

static enum status
begin_in(struct rocks *r, int dir_fd, struct err *err)
{
	enum status s = S_OK;
	bool unfinished = r->mark_fd >= 0 ? is_in(dir_fd, MARK) : hold_mark(r, dir_fd, 0, &s, err);

	if (s != S_OK)
		return s;
	if (unfinished && !each_file(dir_fd, remove_unless_mark))
		return failed_to("cannot empty the unfinished", r, err);
	if (is_in(dir_fd, "CURRENT"))
		return S_OK;
	if (!each_file(dir_fd, is_no_remains)) /* RocksDB would make a new database and remove what is there */
		return err_set(err, S_CORRUPT, "%s has data in it, but its file CURRENT is missing", r->dir);
	if (!unfinished && !hold_mark(r, dir_fd, O_CREAT, &s, err))
		return s != S_OK ? s : err_set(err, S_LOCKED, "%s is in use by another process", r->dir);
	if (fsync(dir_fd) != 0)
		return failed_to("cannot begin to make", r, err);
	atomic_store(&r->unfinished, true);
	making = true;
	return S_OK;
}

enum status
rocks_making_begin(struct rocks *r, struct err *err)
{
	enum status s;
	int dir_fd;

	if (r->ephemeral)
		return S_OK;
	if (mkdir(r->dir, 0700) != 0 && errno != EEXIST)
		return failed_to("cannot make", r, err);
	dir_fd = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return failed_to("cannot open", r, err);
	s = begin_in(r, dir_fd, err);
	close(dir_fd);
	return s;
}

void
rocks_making_pause(void)
{
	making = false;
}

void
rocks_making_drop(struct rocks *r)
{
	if (r->mark_fd >= 0)
		close(r->mark_fd);
	r->mark_fd = -1;
	atomic_store(&r->unfinished, false);
}

static bool
finish_in(int dir_fd)
{
	if (fault_hit(FAULT_ENGINE_MAKING)) {
		errno = EIO;
		return false;
	}
	if (!each_file(dir_fd, sync_file) || fsync(dir_fd) != 0)
		return false;
	fault_pass(FAULT_ENGINE_MADE);
	return (unlinkat(dir_fd, MARK, 0) == 0 || errno == ENOENT) && fsync(dir_fd) == 0;
}

enum status
rocks_making_finish(struct rocks *r, struct err *err)
{
	enum status s = S_OK;
	int dir_fd;

	if (!atomic_load(&r->unfinished))
		return S_OK;
	pthread_mutex_lock(&r->making_lock);
	if (atomic_load(&r->unfinished)) {
		dir_fd = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir_fd < 0 || !finish_in(dir_fd))
			s = failed_to("cannot finish making", r, err);
		else
			rocks_making_drop(r);
		if (dir_fd >= 0)
			close(dir_fd);
	}
	pthread_mutex_unlock(&r->making_lock);
	return s;
}
