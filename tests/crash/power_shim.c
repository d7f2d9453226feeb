/*
 * A disk that loses power, for one process: preloaded, it writes down what of a folder would be on the disk if the
 * power went now. tests/integration/power.py applies that after a kill -9.
 *
 *   POWER_FOLDER  absolute path of the folder watched
 *   POWER_LOG     file to append to
 *   POWER_LIES    when set: syncs are answered and not done, as bad disks do; what is lost then must be noticed
 *
 * Lines (numbers are inodes, so that a renamed file stays itself):
 *
 *   create INODE PATH      a name that did not exist
 *   mkdir PATH
 *   rename FROM TO BACKUP  BACKUP: a hard link to what was at TO, or -
 *   unlink PATH BACKUP
 *   truncate INODE LENGTH
 *   overwrite INODE FROM TO  in a *.log: bytes below its length, which were zeros
 *   sync INODE LENGTH COUNT  so many bytes are safe, and of all overwritten ones those of the first COUNT such lines
 *   dirsync PATH           names in this folder are safe
 *
 * A sync takes up to two milliseconds and touches no disk. Other writes need no lines: a file's length tells them.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "shim.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *folder;
static int log_fd = -1;
static unsigned backups, overwrites;
static unsigned seed;

__attribute__((constructor)) static void
begin(void)
{
	const char *log = getenv("POWER_LOG");

	folder = getenv("POWER_FOLDER");
	if (folder == NULL || log == NULL)
		return;
	log_fd = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	seed = (unsigned)getpid();
}

static int
is_watched(const char *path)
{
	return log_fd >= 0 && path != NULL && strncmp(path, folder, strlen(folder)) == 0;
}

/*
 * Without its log nobody can tell what was safe. stderr may be a file as the log is, so a limit on the size of files,
 * which is one cause, is lifted for the last words.
 */
static void
give_up(int why)
{
	const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};

	setrlimit(RLIMIT_FSIZE, &none);
	dprintf(STDERR_FILENO, "power_shim: ends the process: its log %s cannot be written: %s\n", getenv("POWER_LOG"),
		strerror(why));
	abort();
}

__attribute__((format(printf, 1, 2))) static void
note(const char *format, ...)
{
	char line[2 * PATH_MAX + 100];
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	if (REAL(write)(log_fd, line, (size_t)n) != n)
		give_up(errno);
}

/* A second name for what is about to lose its own; beside the log. */
static void
back_up(const char *path, char *ret, size_t size)
{
	snprintf(ret, size, "%s.backup-%d-%u", getenv("POWER_LOG"), getpid(), backups++);
	if (REAL(link)(path, ret) != 0)
		snprintf(ret, size, "-");
}

static int
open_noted(const char *path, int flags, mode_t mode)
{
	int (*real)(const char *, int, ...) = REAL(open);
	struct stat st;
	int fd, is_new;

	if (!is_watched(path))
		return real(path, flags, mode);
	pthread_mutex_lock(&lock);
	is_new = (flags & O_CREAT) != 0 && stat(path, &st) != 0;
	fd = real(path, flags, mode);
	if (fd >= 0 && is_new && fstat(fd, &st) == 0)
		note("create %lu %s\n", (unsigned long)st.st_ino, path);
	else if (fd >= 0 && (flags & O_TRUNC) != 0 && fstat(fd, &st) == 0)
		note("truncate %lu 0\n", (unsigned long)st.st_ino);
	pthread_mutex_unlock(&lock);
	return fd;
}

int
open(const char *path, int flags, ...)
{
	mode_t mode;

	SHIM_MODE(flags, mode);
	return open_noted(path, flags, mode);
}

int
open64(const char *path, int flags, ...)
{
	mode_t mode;

	SHIM_MODE(flags, mode);
	return open_noted(path, flags, mode);
}

static int
sync_noted(int fd, int (*real)(int))
{
	char path[PATH_MAX];
	struct timespec pause = {0, 0};
	struct stat st;
	unsigned before;

	if (log_fd < 0)
		return real(fd);
	if (!is_watched(shim_path(fd, path)) || fstat(fd, &st) != 0)
		return real(fd);
	if (getenv("POWER_LIES") != NULL)
		return 0;
	if (S_ISDIR(st.st_mode)) {
		pthread_mutex_lock(&lock);
		note("dirsync %s\n", path);
		pthread_mutex_unlock(&lock);
		return 0;
	}
	pthread_mutex_lock(&lock);
	before = overwrites;
	pthread_mutex_unlock(&lock);
	pause.tv_nsec = rand_r(&seed) % 2000000;
	nanosleep(&pause, NULL);
	pthread_mutex_lock(&lock); /* the length is of before the pause: what was written meanwhile is not safe */
	note("sync %lu %lld %u\n", (unsigned long)st.st_ino, (long long)st.st_size, before);
	pthread_mutex_unlock(&lock);
	return 0;
}

int
fsync(int fd)
{
	return sync_noted(fd, REAL(fsync));
}

int
fdatasync(int fd)
{
	return sync_noted(fd, REAL(fdatasync));
}

/* The server's own fsync() asks the kernel itself (engine/rocksdb/making.c). */
static int
kernel_fsync(int fd)
{
	return (int)REAL(syscall)(SYS_fsync, fd);
}

long
syscall(long number, ...)
{
	long a[6];

	SHIM_ARGUMENTS(number, a);
	if (number == SYS_fsync || number == SYS_fdatasync)
		return sync_noted((int)a[0], kernel_fsync);
	return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* The engine's log is overwritten where it was zeros (engine/rocksdb/ahead.c). */
ssize_t
write(int fd, const void *data, size_t len)
{
	char path[PATH_MAX];
	const char *end;
	struct stat st;
	ssize_t n;
	off_t at;

	if (log_fd < 0 || !is_watched(shim_path(fd, path)) || (end = strrchr(path, '.')) == NULL ||
	    strcmp(end, ".log") != 0)
		return REAL(write)(fd, data, len);
	pthread_mutex_lock(&lock);
	at = lseek(fd, 0, SEEK_CUR);
	if (fstat(fd, &st) != 0)
		st.st_size = 0;
	n = REAL(write)(fd, data, len);
	if (n > 0 && at >= 0 && at < st.st_size) {
		off_t to = at + n < st.st_size ? at + n : st.st_size;

		note("overwrite %lu %lld %lld\n", (unsigned long)st.st_ino, (long long)at, (long long)to);
		overwrites++;
	}
	pthread_mutex_unlock(&lock);
	return n;
}

static const char *
path_at(int dir_fd, const char *name, char ret[2 * PATH_MAX])
{
	size_t len;

	if (name[0] == '/' || dir_fd == AT_FDCWD)
		return name;
	len = strlen(shim_path(dir_fd, ret));
	snprintf(ret + len, PATH_MAX, "/%s", name);
	return ret;
}

int
rename(const char *from, const char *to)
{
	char backup[PATH_MAX];
	int result;

	if (!is_watched(to))
		return REAL(rename)(from, to);
	pthread_mutex_lock(&lock);
	back_up(to, backup, sizeof backup);
	result = REAL(rename)(from, to);
	if (result == 0)
		note("rename %s %s %s\n", from, to, backup);
	pthread_mutex_unlock(&lock);
	return result;
}

int
unlink(const char *path)
{
	char backup[PATH_MAX];
	int result;

	if (!is_watched(path))
		return REAL(unlink)(path);
	pthread_mutex_lock(&lock);
	back_up(path, backup, sizeof backup);
	result = REAL(unlink)(path);
	if (result == 0)
		note("unlink %s %s\n", path, backup);
	pthread_mutex_unlock(&lock);
	return result;
}

int
openat(int dir_fd, const char *name, int flags, ...)
{
	char room[2 * PATH_MAX];
	mode_t mode;

	SHIM_MODE(flags, mode);
	return open_noted(path_at(dir_fd, name, room), flags, mode);
}

int
unlinkat(int dir_fd, const char *name, int flags)
{
	char room[2 * PATH_MAX];

	return flags == 0 ? unlink(path_at(dir_fd, name, room)) : REAL(unlinkat)(dir_fd, name, flags);
}

int
mkdir(const char *path, mode_t mode)
{
	int result;

	if (!is_watched(path))
		return REAL(mkdir)(path, mode);
	pthread_mutex_lock(&lock);
	result = REAL(mkdir)(path, mode);
	if (result == 0)
		note("mkdir %s\n", path);
	pthread_mutex_unlock(&lock);
	return result;
}

int
link(const char *from, const char *to)
{
	struct stat st;
	int result;

	if (!is_watched(to))
		return REAL(link)(from, to);
	pthread_mutex_lock(&lock);
	result = REAL(link)(from, to);
	if (result == 0 && stat(to, &st) == 0)
		note("create %lu %s\n", (unsigned long)st.st_ino, to);
	pthread_mutex_unlock(&lock);
	return result;
}

int
ftruncate(int fd, off_t length)
{
	struct stat st;
	int result;

	if (log_fd < 0)
		return REAL(ftruncate)(fd, length);
	pthread_mutex_lock(&lock);
	result = REAL(ftruncate)(fd, length);
	if (result == 0 && fstat(fd, &st) == 0)
		note("truncate %lu %lld\n", (unsigned long)st.st_ino, (long long)length);
	pthread_mutex_unlock(&lock);
	return result;
}
