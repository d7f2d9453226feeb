/*
 * A disk that fails on command, for one process: preloaded, it makes calls on chosen files fail, do only a part of what
 * they were asked for, or be the last thing the process does. tests/integration/faulty_disk.py holds the other end.
 *
 *   DISK_CONTROL  a file that both sides map: struct control below
 *   POWER_LOG     when set (power_shim.c, which comes behind this one): a failed sync is noted there as `poison INODE`,
 *                 for the pages it did not write are lost and a later sync that succeeds does not bring them back
 *
 * What fails: an errno. TORN: a write that writes a part, and then the process is killed. SHORT: a part, and that is
 * said, which is no failure at all. A sync that fails has synced nothing.
 */
#include <errno.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "shim.h"

enum operation {
	OP_READ = 1,
	OP_WRITE = 2,
	OP_SYNC = 4,
	OP_OPEN = 8, /* for writing */
	OP_RENAME = 16,
	OP_UNLINK = 32,
	OP_TRUNCATE = 64,
	OP_ALLOCATE = 128,
};

#undef fread_unlocked /* a macro where optimised */

#define TORN  (-1)
#define SHORT (-2)

/* The same in faulty_disk.py. */
struct control {
	_Atomic uint32_t armed;
	uint32_t operations;
	int32_t result; /* an errno, TORN or SHORT */
	uint32_t skip;  /* so many go well first */
	uint32_t count; /* then so many fail; 0: all */
	_Atomic uint32_t passed;
	_Atomic uint32_t failed;
	char folder[256];  /* below it */
	char pattern[100]; /* of the file's name; `.` for folders */
};

static struct control *control;

__attribute__((constructor)) static void
begin(void)
{
	const char *path = getenv("DISK_CONTROL");
	int fd = path != NULL ? REAL(open)(path, O_RDWR | O_CLOEXEC) : -1;
	void *at = fd >= 0 ? mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;

	if (at != MAP_FAILED)
		control = at;
	if (fd >= 0)
		close(fd);
}

static int
hits_path(uint32_t operation, const char *path, int is_folder)
{
	const char *name = strrchr(path, '/');
	uint32_t n;

	if (control == NULL || !atomic_load(&control->armed) || (control->operations & operation) == 0 ||
	    strncmp(path, control->folder, strlen(control->folder)) != 0)
		return 0;
	if (fnmatch(control->pattern, is_folder ? "." : name != NULL ? name + 1 : path, 0) != 0)
		return 0;
	n = atomic_fetch_add(&control->passed, 1);
	if (n < control->skip || (control->count != 0 && n - control->skip >= control->count))
		return 0;
	atomic_fetch_add(&control->failed, 1);
	return control->result;
}

static int
hits(uint32_t operation, int fd)
{
	char path[PATH_MAX];
	struct stat info;

	if (control == NULL || !atomic_load_explicit(&control->armed, memory_order_relaxed))
		return 0;
	if (shim_path(fd, path)[0] == '\0')
		return 0;
	return hits_path(operation, path, fstat(fd, &info) == 0 && S_ISDIR(info.st_mode));
}

/* What becomes of a write or read of so many bytes: *len may be less afterwards. True: it fails, errno is set. */
static int
is_refused(int result, size_t *len)
{
	if (result > 0) {
		errno = result;
		return 1;
	}
	if (result != 0 && *len > 1)
		*len = 1 + (size_t)rand() % (*len - 1);
	return 0;
}

static ssize_t
ended(int result, ssize_t n)
{
	if (result == TORN)
		kill(getpid(), SIGKILL);
	return n;
}

ssize_t
write(int fd, const void *data, size_t len)
{
	int result = hits(OP_WRITE, fd);

	return is_refused(result, &len) ? -1 : ended(result, REAL(write)(fd, data, len));
}

ssize_t
pwrite(int fd, const void *data, size_t len, off_t at)
{
	int result = hits(OP_WRITE, fd);

	return is_refused(result, &len) ? -1 : ended(result, REAL(pwrite)(fd, data, len, at));
}

ssize_t
read(int fd, void *data, size_t len)
{
	int result = hits(OP_READ, fd);

	return is_refused(result, &len) ? -1 : REAL(read)(fd, data, len);
}

ssize_t
pread(int fd, void *data, size_t len, off_t at)
{
	int result = hits(OP_READ, fd);

	return is_refused(result, &len) ? -1 : REAL(pread)(fd, data, len, at);
}

/* glibc's flag for "an error was seen": there is no call that sets it */
static size_t
stream_failed(FILE *stream, int result)
{
	stream->_flags |= 0x20;
	errno = result;
	return 0;
}

size_t
fread(void *data, size_t size, size_t count, FILE *stream)
{
	int result = hits(OP_READ, fileno(stream));

	return result > 0 ? stream_failed(stream, result) : REAL(fread)(data, size, count, stream);
}

size_t
fread_unlocked(void *data, size_t size, size_t count, FILE *stream)
{
	int result = hits(OP_READ, fileno(stream));

	return result > 0 ? stream_failed(stream, result) : REAL(fread_unlocked)(data, size, count, stream);
}

static int
sync_fails(int fd)
{
	int result = hits(OP_SYNC, fd);
	const char *log = getenv("POWER_LOG");
	struct stat info;
	char line[64];
	int log_fd;

	if (result <= 0)
		return 0;
	if (log != NULL && fstat(fd, &info) == 0 && (log_fd = REAL(open)(log, O_WRONLY | O_APPEND | O_CLOEXEC)) >= 0) {
		int n = snprintf(line, sizeof line, "poison %lu\n", (unsigned long)info.st_ino);

		if (REAL(write)(log_fd, line, (size_t)n) != n)
			abort();
		close(log_fd);
	}
	errno = result;
	return 1;
}

int
fsync(int fd)
{
	return sync_fails(fd) ? -1 : REAL(fsync)(fd);
}

int
fdatasync(int fd)
{
	return sync_fails(fd) ? -1 : REAL(fdatasync)(fd);
}

/* The server's own fsync() asks the kernel itself (engine/rocksdb/making.c). */
long
syscall(long number, ...)
{
	long a[6];

	SHIM_ARGUMENTS(number, a);
	if ((number == SYS_fsync || number == SYS_fdatasync) && sync_fails((int)a[0]))
		return -1;
	return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static int
path_fails(uint32_t operation, const char *path)
{
	int result = hits_path(operation, path, 0);

	if (result > 0)
		errno = result;
	return result > 0;
}

int
open(const char *path, int flags, ...)
{
	mode_t mode;

	SHIM_MODE(flags, mode);
	if ((flags & O_ACCMODE) != O_RDONLY && path_fails(OP_OPEN, path))
		return -1;
	return REAL(open)(path, flags, mode);
}

int
rename(const char *from, const char *to)
{
	return path_fails(OP_RENAME, to) ? -1 : REAL(rename)(from, to);
}

int
unlink(const char *path)
{
	return path_fails(OP_UNLINK, path) ? -1 : REAL(unlink)(path);
}

int
ftruncate(int fd, off_t length)
{
	int result = hits(OP_TRUNCATE, fd);

	if (result > 0)
		errno = result;
	return result > 0 ? -1 : REAL(ftruncate)(fd, length);
}

int
fallocate(int fd, int mode, off_t at, off_t len)
{
	int result = hits(OP_ALLOCATE, fd);

	if (result > 0)
		errno = result;
	return result > 0 ? -1 : REAL(fallocate)(fd, mode, at, len);
}
