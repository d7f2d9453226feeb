#include "main/datadir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"

#define FORMAT_LINE "stator data format "

struct data_file {
	char path[DATADIR_PATH_MAX + 64];
};

static struct data_file
file_in(const struct datadir *d, const char *name)
{
	struct data_file f;

	snprintf(f.path, sizeof f.path, "%s/%s", d->path, name);
	return f;
}

static enum status
sync_dir(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;
	int cause = errno;

	if (fd >= 0)
		close(fd);
	return ok ? S_OK : err_set(err, S_IO, "data directory %s: %s", path, strerror(cause));
}

/* Like mkdir -p. What is made is there after a crash: each parent is synced. */
static enum status
make_dirs(char *path, struct err *err)
{
	for (char *slash = path;; slash++) {
		char *end = strchr(slash, '/');
		bool made;

		if (end == path)
			continue;
		if (end != NULL)
			*end = '\0';
		made = mkdir(path, 0700) == 0;
		if (!made && errno != EEXIST)
			return err_set(err, S_IO, "data directory %s cannot be made: %s", path, strerror(errno));
		if (made) {
			char parent[DATADIR_PATH_MAX];
			char *last;

			snprintf(parent, sizeof parent, "%s", path);
			last = strrchr(parent, '/');
			if (last != NULL)
				last[last == parent ? 1 : 0] = '\0';
			if (sync_dir(last != NULL ? parent : ".", err) != S_OK)
				return S_IO;
		}
		if (end == NULL)
			return S_OK;
		*end = '/';
		slash = end;
		if (end[1] == '\0')
			return S_OK;
	}
}

static enum status
lock(struct datadir *d, struct err *err)
{
	struct data_file f = file_in(d, "LOCK");
	char text[64] = "";

	d->lock_fd = open(f.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (d->lock_fd < 0)
		return err_set(err, S_IO, "%s: %s", f.path, strerror(errno));
	if (flock(d->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		ssize_t n = errno == EWOULDBLOCK ? pread(d->lock_fd, text, sizeof text - 1, 0) : -1;

		if (n < 0)
			return err_set(err, S_IO, "%s: %s", f.path, strerror(errno));
		text[strcspn(text, "\n")] = '\0';
		return err_set(
		    err, S_LOCKED,
		    "data directory %s is in use by another stator (process %s); stop that one, or choose another "
		    "directory with --data",
		    d->path, n > 0 ? text : "unknown");
	}
	snprintf(text, sizeof text, "%ld\n", (long)getpid());
	if (ftruncate(d->lock_fd, 0) != 0 || pwrite(d->lock_fd, text, strlen(text), 0) < 0)
		return err_set(err, S_IO, "%s: %s", f.path, strerror(errno));
	return S_OK;
}

static bool
has_strangers(const struct datadir *d)
{
	DIR *dir = opendir(d->path);
	struct dirent *entry;
	bool found = false;

	while (dir != NULL && !found && (entry = readdir(dir)) != NULL) {
		const char *name = entry->d_name;

		/* VERSION.new: a crash while it was written. lost+found: the top of a file system. */
		found = strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strcmp(name, "LOCK") != 0 &&
			strcmp(name, "VERSION.new") != 0 && strcmp(name, "lost+found") != 0;
	}
	if (dir != NULL)
		closedir(dir);
	return found;
}

static enum status
write_version(const struct datadir *d, struct err *err)
{
	struct data_file final = file_in(d, "VERSION"), fresh = file_in(d, "VERSION.new");
	char text[64];
	int n = snprintf(text, sizeof text, FORMAT_LINE "%d\n", DATA_FORMAT);
	int fd;
	bool ok;

	if (has_strangers(d))
		return err_set(
		    err, S_CORRUPT,
		    "%s is not empty and has no VERSION file, so it is not a data directory of stator; choose another",
		    d->path);
	fd = open(fresh.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ok = fd >= 0 && write(fd, text, (size_t)n) == n && (d->temporary || fsync(fd) == 0);
	if (fd >= 0)
		close(fd);
	fault_pass(FAULT_VERSION_WRITTEN);
	if (!ok || rename(fresh.path, final.path) != 0)
		return err_set(err, S_IO, "%s cannot be written: %s", final.path, strerror(errno));
	return d->temporary ? S_OK : sync_dir(d->path, err);
}

/* *ret_is_new: there is no VERSION yet. */
static enum status
check_version(const struct datadir *d, bool *ret_is_new, struct err *err)
{
	struct data_file f = file_in(d, "VERSION");
	char text[64] = "";
	int fd = open(f.path, O_RDONLY | O_CLOEXEC);
	long format = 0;

	*ret_is_new = fd < 0 && errno == ENOENT;
	if (fd < 0)
		return *ret_is_new ? S_OK : err_set(err, S_IO, "%s: %s", f.path, strerror(errno));
	if (read(fd, text, sizeof text - 1) < 0)
		text[0] = '\0';
	close(fd);
	if (strncmp(text, FORMAT_LINE, sizeof FORMAT_LINE - 1) == 0)
		format = strtol(text + sizeof FORMAT_LINE - 1, NULL, 10); /* one too large for a long is a large one */
	if (format < 1)
		return err_set(err, S_CORRUPT, "%s does not tell a data format; is this a data directory of stator?",
			       f.path);
	if (format > DATA_FORMAT)
		return err_set(
		    err, S_CORRUPT,
		    "%s was written by a newer stator (data format %ld); this one, %s, reads formats up to %d", d->path,
		    format, STATOR_VERSION, DATA_FORMAT);
	return S_OK;
}

static enum status
make_temporary(struct datadir *d, struct err *err)
{
	const char *parent = getenv("TMPDIR");

	snprintf(d->path, sizeof d->path, "%s/stator-XXXXXX", parent != NULL && *parent != '\0' ? parent : "/tmp");
	if (mkdtemp(d->path) == NULL)
		return err_set(err, S_IO, "a temporary folder %s cannot be made: %s", d->path, strerror(errno));
	d->temporary = true;
	return S_OK;
}

enum status
datadir_open(const char *path, struct datadir *ret, struct err *err)
{
	bool is_new = false;
	enum status s;

	*ret = (struct datadir){.lock_fd = -1};
	if (path == NULL) {
		s = make_temporary(ret, err);
	} else if (strlen(path) >= sizeof ret->path) {
		s = err_set(err, S_VALIDATION, "--data: the path is too long");
	} else {
		memcpy(ret->path, path, strlen(path) + 1);
		s = make_dirs(ret->path, err);
	}
	if (s == S_OK)
		s = check_version(ret, &is_new, err); /* before anything is written: a later format's stays as it is */
	if (s == S_OK)
		s = lock(ret, err);
	if (s == S_OK)
		s = check_version(ret, &is_new, err); /* again: who had the lock may just have made it */
	if (s == S_OK && is_new)
		s = write_version(ret, err);
	if (s != S_OK)
		datadir_close(ret);
	return s;
}

enum status
datadir_region(const struct datadir *d, const char *region, char ret[DATADIR_PATH_MAX + 64], struct err *err)
{
	struct data_file f = file_in(d, region);

	memcpy(ret, f.path, sizeof f.path);
	if (mkdir(ret, 0700) == 0)
		return d->temporary ? S_OK : sync_dir(d->path, err);
	return errno == EEXIST ? S_OK : err_set(err, S_IO, "%s cannot be made: %s", ret, strerror(errno));
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void
datadir_close(struct datadir *d)
{
	if (d->temporary && nftw(d->path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
		log_warn("main", "%s could not be removed: %s", d->path, strerror(errno));
	d->temporary = false;
	if (d->lock_fd >= 0)
		close(d->lock_fd); /* and with it the lock */
	d->lock_fd = -1;
}
