/*
 * Two asserts of RocksDB that a failing disk meets, and how they are kept from it. The packaged RocksDB 7.8 has them
 * on.
 *
 * A log that cannot be written: one of them ends the process when it comes back to a log's file after a write to it has
 * failed (or a sync by one of its own threads): whoever is behind the one that failed cannot know of it yet, and is
 * taken for a mistake. After a failed sync by the syncing thread (FlushWAL) it is not. So RocksDB is told of every
 * failure there, as Linux tells of what it could not write later on:
 *
 *   - the first failure of a log is noted and kept from RocksDB;
 *   - from then on nothing is written to the logs in that folder: what is there ends at the failure, torn at most
 * (behind it may be zeros), as after a crash, and no later log makes it look whole;
 *   - the syncing thread's next sync of a log in that folder fails with the errno that was noted, and so does each one
 *     after it, until the database was closed.
 *
 * Nothing is durable before a sync by the syncing thread, so nothing is acknowledged that was not written. Behind a
 * sync of its own that was kept from it RocksDB may write tables and delete the log: they have all that the log had
 * (all spaces become tables together), so what is told as lost is there then, as it may be.
 *
 * RocksDB's calls of write() find the one below before libc's. Which file a descriptor is, /proc tells; without it
 * everything is as RocksDB made it.
 *
 * A compaction that leaves nothing, all it read being dropped, and cannot write the table that says so: the statistics
 * of compactions, which nobody here reads, ask for the first key of that table, and it has none.
 */
#include "engine/rocksdb/rocksdb_int.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_SUFFIX ".log"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_watch *watches; /* guarded by lock */
static atomic_int broken;         /* so many have a cause */

/* ---- which log ---- */

/* The folder's path when fd is one of RocksDB's logs. */
static bool
folder_of_log(int fd, char ret[PATH_MAX])
{
	char link[32], *name;
	size_t digits;
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, ret, PATH_MAX - 1);
	if (n <= 0)
		return false;
	ret[n] = '\0';
	name = strrchr(ret, '/');
	if (name == NULL)
		return false;
	*name++ = '\0';
	digits = strspn(name, "0123456789");
	return digits > 0 && strcmp(name + digits, LOG_SUFFIX) == 0;
}

/* Held by the lock. NULL: nobody watches it. */
static struct log_watch *
watch_of(const char *folder)
{
	struct log_watch *w = watches;
	struct stat info;

	if (stat(folder, &info) != 0)
		return NULL;
	while (w != NULL && (w->device != info.st_dev || w->inode != info.st_ino))
		w = w->next;
	return w;
}

/* What its log's first failure was; 0: none. With a cause: that one, unless there was one before. */
static int
note(int fd, int cause)
{
	char folder[PATH_MAX];
	struct log_watch *w;

	if (!folder_of_log(fd, folder))
		return 0;
	pthread_mutex_lock(&lock);
	w = watch_of(folder);
	if (w != NULL && w->cause == 0 && cause != 0) {
		w->cause = cause;
		atomic_fetch_add(&broken, 1);
	}
	cause = w != NULL ? w->cause : 0;
	pthread_mutex_unlock(&lock);
	return cause;
}

/* ---- watching ---- */

void
log_watch(struct log_watch *w, const char *dir)
{
	struct stat info;

	if (stat(dir, &info) != 0)
		return; /* then it will not be opened either */
	pthread_mutex_lock(&lock);
	*w = (struct log_watch){.device = info.st_dev, .inode = info.st_ino, .watching = true, .next = watches};
	watches = w;
	pthread_mutex_unlock(&lock);
}

void
log_unwatch(struct log_watch *w)
{
	if (!w->watching)
		return;
	pthread_mutex_lock(&lock);
	for (struct log_watch **at = &watches; *at != NULL; at = &(*at)->next)
		if (*at == w) {
			*at = w->next;
			break;
		}
	if (w->cause != 0)
		atomic_fetch_sub(&broken, 1);
	w->watching = false;
	pthread_mutex_unlock(&lock);
}

bool
log_is_watched(const char *dir)
{
	bool is;

	pthread_mutex_lock(&lock);
	is = watch_of(dir) != NULL;
	pthread_mutex_unlock(&lock);
	return is;
}

/* ---- writing and syncing ---- */

bool
log_sync_refused(int fd)
{
	int cause = atomic_load(&broken) > 0 ? note(fd, 0) : 0;

	if (cause != 0)
		errno = cause;
	return cause != 0;
}

bool
log_failed(int fd)
{
	int cause = errno;
	bool noted = note(fd, cause) != 0;

	errno = cause;
	return noted;
}

/* What would be called without the one below: a sanitizer's, a test's that is preloaded, or libc's. */
ssize_t __interceptor_write(int fd, const void *data, size_t len) __attribute__((weak));

static ssize_t
write_out(int fd, const void *data, size_t len)
{
	static ssize_t (*_Atomic next)(int, const void *, size_t);
	ssize_t (*call)(int, const void *, size_t) = atomic_load_explicit(&next, memory_order_relaxed);

	if (__interceptor_write != NULL)
		return __interceptor_write(fd, data, len);
	if (call == NULL) {
		*(void **)&call = dlsym(RTLD_NEXT, "write");
		atomic_store_explicit(&next, call, memory_order_relaxed);
	}
	return call(fd, data, len);
}

ssize_t
write(int fd, const void *data, size_t len)
{
	ssize_t n;

	if (atomic_load(&broken) > 0 && note(fd, 0) != 0)
		return (ssize_t)len;
	n = write_out(fd, data, len);
	if (n > 0 && rocks_is_syncing_log() && !log_run_ahead(fd, (size_t)n))
		log_failed(fd);
	return n >= 0 || errno == EINTR || errno == EAGAIN || !log_failed(fd) ? n : (ssize_t)len;
}

/* ---- the statistics of compactions ---- */

/* rocksdb::Slice, as it is returned. */
struct rocksdb_slice {
	const char *data;
	size_t len;
};

/* rocksdb::CompactionState::SmallestUserKey() and LargestUserKey(). Within the archive they are called by another name
 * (CMakeLists.txt, --wrap), the shared library finds those of the program before its own. */
#ifdef ROCKSDB_ARCHIVE
#define CALLED_AS "__wrap_"
#else
#define CALLED_AS ""
#endif
struct rocksdb_slice compaction_smallest_key(void *state) __asm__(CALLED_AS
								  "_ZN7rocksdb15CompactionState15SmallestUserKeyEv");
struct rocksdb_slice compaction_largest_key(void *state) __asm__(CALLED_AS
								 "_ZN7rocksdb15CompactionState14LargestUserKeyEv");

struct rocksdb_slice
compaction_smallest_key(void *state)
{
	(void)state;
	return (struct rocksdb_slice){"", 0};
}

struct rocksdb_slice
compaction_largest_key(void *state)
{
	(void)state;
	return (struct rocksdb_slice){"", 0};
}
