/*
 * Is the manifest still what it was?
 *
 * RocksDB's manifest says which tables there are, by edits that are added at its end. One that ends early, or has a
 * page of zeros in it, looks like one whose end was never written: RocksDB opens the older state, and what lies in
 * tables that were named behind that place is gone in silence, for the log's files that had it before were deleted.
 * From the manifest alone that cannot be told from a crash. So beside each MANIFEST-n there is a file SYNCED-n: after
 * each sync of the manifest, and before RocksDB does anything that rests on it, it is noted how many of its bytes are
 * on the disk, and their sum. A note is synced before the manifest's own sync is said to be done, so
 *
 *   - a note never says more than what is on the disk: no crash leaves a manifest that does not fit;
 *   - what is in the manifest and not yet noted, nothing rests on: the log's files are still there.
 *
 * Before each opening the last note is compared with the manifest that CURRENT names. A manifest without notes (an
 * older program made it, or an ephemeral engine) is not looked at. Notes that cannot be read are no harm to the data:
 * that is logged, and the next manifest has new ones.
 *
 * RocksDB makes a new manifest at each opening, and when one is large. A crash may leave notes of one that was not yet
 * named by CURRENT, and its number may be used again. Such notes are removed before each opening, but an older program
 * knows nothing of them: it may make another manifest of that number. So until CURRENT names the manifest, durably, its
 * notes are called SYNCED-n.new, and when those are all there is nothing is refused for them: nobody can tell whether
 * they are of this manifest, and it has only just been named when they are. From then on its number is its own.
 *
 * The file: notes of 16 bytes, the last one counts. Bytes of the manifest (8), their CRC-32C (4), CRC-32C of these
 * twelve (4), little-endian. The end may be torn.
 */
#include "base/log.h"
#include "engine/rocksdb/rocksdb_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MANIFEST   "MANIFEST-"
#define SYNCED     "SYNCED-"
#define NEW        ".new"
#define NOTE_BYTES 16
#define LAST_NOTES 512 /* so many are looked through for one that is whole */
#define PIECE      32768

struct note {
	uint64_t bytes; /* 0: none */
	uint32_t sum;
	off_t at; /* in the file */
};

/* ---- names ---- */

/* What is behind the prefix when that is digits, else NULL. */
static const char *
digits_behind(const char *name, const char *prefix)
{
	size_t len = strlen(prefix), digits;

	if (strncmp(name, prefix, len) != 0)
		return NULL;
	digits = strspn(name + len, "0123456789");
	return digits > 0 && digits < 24 && name[len + digits] == '\0' ? name + len : NULL;
}

static bool
make_path(char ret[PATH_MAX], const char *dir, size_t dir_len, const char *prefix, const char *digits)
{
	if (snprintf(ret, PATH_MAX, "%.*s/%s%s", (int)dir_len, dir, prefix, digits) < PATH_MAX)
		return true;
	errno = ENAMETOOLONG;
	return false;
}

/* The digits of the manifest in force. False: there is none, or CURRENT is damaged; RocksDB complains of that. */
static bool
current_digits(const char *dir, char ret[64])
{
	char path[PATH_MAX], line[64];
	const char *digits = NULL;
	FILE *f = make_path(path, dir, strlen(dir), "CURRENT", "") ? fopen(path, "rbe") : NULL;

	if (f != NULL && fgets(line, sizeof line, f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		digits = digits_behind(line, MANIFEST);
	}
	if (f != NULL)
		fclose(f);
	if (digits != NULL)
		snprintf(ret, 64, "%s", digits);
	return digits != NULL;
}

bool
synced_find(int fd, struct synced_manifest *ret)
{
	char link[32];
	const char *name;
	struct stat info;
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, ret->path, sizeof ret->path - 1);
	if (n <= 0)
		return false;
	ret->path[n] = '\0';
	name = strrchr(ret->path, '/');
	if (name == NULL || digits_behind(name + 1, MANIFEST) == NULL || fstat(fd, &info) != 0 ||
	    !S_ISREG(info.st_mode))
		return false;
	ret->bytes = (uint64_t)info.st_size;
	return true;
}

/* ---- notes as bytes ---- */

static void
put_le(char *p, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		p[i] = (char)(v >> (8 * i));
}

static void
encode(char ret[NOTE_BYTES], const struct note *note)
{
	put_le(ret, note->bytes, 8);
	put_le(ret + 8, note->sum, 4);
	put_le(ret + 12, crc32c(0, ret, 12), 4);
}

static struct note
decode(const char data[NOTE_BYTES])
{
	struct note note = {0};

	if (get_le(data + 12, 4) == crc32c(0, data, 12) && get_le(data, 8) > 0)
		note = (struct note){get_le(data, 8), (uint32_t)get_le(data + 8, 4), 0};
	return note;
}

/* ---- files ---- */

/* As much as there is; -1: errno. */
static ssize_t
read_at(int fd, char *ret, size_t len, off_t at)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, ret + done, len - done, at + (off_t)done);

		if (n < 0)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static bool
write_at(int fd, const char *data, size_t len, off_t at)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pwrite(fd, data + done, len - done, at + (off_t)done);

		if (n < 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

/* Where the next note goes: over one that is torn. */
static off_t
end_of_notes(int fd)
{
	struct stat info;

	return fstat(fd, &info) == 0 ? info.st_size / NOTE_BYTES * NOTE_BYTES : -1;
}

/* The last one that is whole; none: its bytes are 0. */
static bool
read_last(int fd, struct note *ret)
{
	char data[LAST_NOTES * NOTE_BYTES];
	off_t end = end_of_notes(fd), from = end > (off_t)sizeof data ? end - (off_t)sizeof data : 0;
	ssize_t n = end >= 0 ? read_at(fd, data, (size_t)(end - from), from) : -1;

	*ret = (struct note){0};
	for (n = n < 0 ? n : n / NOTE_BYTES * NOTE_BYTES; n > 0 && ret->bytes == 0; n -= NOTE_BYTES) {
		*ret = decode(data + n - NOTE_BYTES);
		ret->at = from + n - NOTE_BYTES;
	}
	return n >= 0;
}

/* Goes on from *note until it is of `bytes` bytes, or of fewer where the file ends. */
static bool
sum_up(const char *path, uint64_t bytes, struct note *note)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char piece[PIECE];
	ssize_t n = fd >= 0 ? 1 : -1;

	while (n > 0 && note->bytes < bytes) {
		uint64_t want = bytes - note->bytes;

		n = read_at(fd, piece, want < sizeof piece ? (size_t)want : sizeof piece, (off_t)note->bytes);
		if (n > 0) {
			note->sum = crc32c(note->sum, piece, (size_t)n);
			note->bytes += (uint64_t)n;
		}
	}
	if (fd >= 0) {
		int cause = errno;

		close(fd);
		errno = cause;
	}
	return n >= 0;
}

/* ---- noting ---- */

static pthread_mutex_t notes_lock = PTHREAD_MUTEX_INITIALIZER; /* held while one is written and synced */

static bool
add_note(int fd, const struct synced_manifest *manifest)
{
	char data[NOTE_BYTES];
	struct note note;

	if (!read_last(fd, &note))
		return false;
	/* Two threads synced the manifest and the later one was first here; or the note is of a sync that failed. The
	 * kernel may have given that up and say nothing at the next one: what is written anew it cannot pass over. */
	if (note.bytes < manifest->bytes) {
		if (!sum_up(manifest->path, manifest->bytes, &note))
			return false;
		note.at = end_of_notes(fd);
	}
	encode(data, &note);
	return write_at(fd, data, sizeof data, note.at) && fdatasync(fd) == 0;
}

/* Beside the manifest. fresh: while CURRENT may not name it. */
static bool
notes_path(char ret[PATH_MAX], const char *dir, size_t dir_len, const char *digits, bool fresh)
{
	char name[80];

	snprintf(name, sizeof name, "%s%s", digits, fresh ? NEW : "");
	return make_path(ret, dir, dir_len, SYNCED, name);
}

/* The file's name need not be synced: RocksDB syncs the folder when CURRENT names the manifest, and goes on then. */
bool
synced_note(const struct synced_manifest *manifest)
{
	const char *name = strrchr(manifest->path, '/') + 1;
	size_t dir_len = (size_t)(name - 1 - manifest->path);
	char path[PATH_MAX];
	bool ok;
	int fd, cause;

	if (!notes_path(path, manifest->path, dir_len, name + strlen(MANIFEST), false))
		return false;
	pthread_mutex_lock(&notes_lock);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && notes_path(path, manifest->path, dir_len, name + strlen(MANIFEST), true))
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ok = fd >= 0 && add_note(fd, manifest);
	cause = errno;
	if (fd >= 0)
		close(fd);
	/* an old one that was synced with all that was in the folder (making.c) while RocksDB removed it */
	if (!ok && access(manifest->path, F_OK) != 0 && errno == ENOENT) {
		unlink(path);
		ok = true;
	}
	pthread_mutex_unlock(&notes_lock);
	errno = cause;
	return ok;
}

/* RocksDB syncs the folder when CURRENT names the manifest; on btrfs CURRENT instead, under its new name. */
static bool
folder_in_force(int fd, char ret[PATH_MAX])
{
	char link[32], *name;
	struct stat info;
	ssize_t n;

	if (fstat(fd, &info) != 0 || (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode)))
		return false;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, ret, PATH_MAX - 1);
	if (n <= 0)
		return false;
	ret[n] = '\0';
	if (S_ISDIR(info.st_mode))
		return true;
	name = strrchr(ret, '/');
	if (name == NULL || strcmp(name, "/CURRENT") != 0)
		return false;
	*name = '\0';
	return true;
}

static void
sync_names_in(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	syscall(SYS_fsync, fd);
	close(fd);
}

void
synced_folder(int fd)
{
	char dir[PATH_MAX], from[PATH_MAX], to[PATH_MAX], digits[64];

	if (!folder_in_force(fd, dir) || !current_digits(dir, digits) ||
	    !notes_path(from, dir, strlen(dir), digits, true) || !notes_path(to, dir, strlen(dir), digits, false))
		return;
	pthread_mutex_lock(&notes_lock);
	/* nothing is wrong when it fails: the notes are believed a little less, and it is tried again the next time */
	if (access(to, F_OK) != 0 && rename(from, to) == 0)
		sync_names_in(dir);
	pthread_mutex_unlock(&notes_lock);
}

/* ---- checking ---- */

/* False: there are no notes, or none that can be read. */
static bool
last_note_of(const char *path, struct note *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool ok = fd >= 0 && read_last(fd, ret) && ret->bytes > 0;

	if (!ok && (fd >= 0 || errno != ENOENT))
		log_warn("engine", "%s cannot be read: whether the manifest is whole is not known", path);
	if (fd >= 0)
		close(fd);
	return ok;
}

enum status
synced_check(const char *dir, struct err *err)
{
	char digits[64], path[PATH_MAX], notes[PATH_MAX], what[128];
	struct note noted, now = {0};
	bool fresh;

	if (access("/proc/self/fd", X_OK) != 0)
		log_warn("engine", "/proc is not there: it cannot be noted how much of %s's manifest is on the disk",
			 dir);
	if (!current_digits(dir, digits) || !make_path(path, dir, strlen(dir), MANIFEST, digits) ||
	    !notes_path(notes, dir, strlen(dir), digits, false) || access(path, F_OK) != 0)
		return S_OK;
	fresh = access(notes, F_OK) != 0 && notes_path(notes, dir, strlen(dir), digits, true);
	if (!last_note_of(notes, &noted))
		return S_OK;
	if (!sum_up(path, noted.bytes, &now))
		return err_set(err, S_IO, "%s: %s", path, strerror(errno));
	if (now.bytes == noted.bytes && now.sum == noted.sum)
		return S_OK;
	if (fresh) {
		log_warn("engine", "%s is of another manifest, or not all of %s was written; it is passed over", notes,
			 path);
		return S_OK;
	}
	if (now.bytes < noted.bytes)
		snprintf(what, sizeof what, "ends at byte %" PRIu64 ", and %" PRIu64 " bytes of it were on the disk",
			 now.bytes, noted.bytes);
	else
		snprintf(what, sizeof what, "is damaged: its first %" PRIu64 " bytes are not those that were written",
			 noted.bytes);
	return err_set(err, S_CORRUPT,
		       "%s %s. Tables may be missing in it, and with them writes that were durable. Restore a backup; "
		       "or, to go on with what is left, move %s away",
		       path, what, notes);
}

/* Of another manifest than the one in force. */
static bool
is_over(const char *name, const char *current)
{
	size_t len = strlen(current);

	if (strncmp(name, SYNCED, strlen(SYNCED)) != 0)
		return false;
	name += strlen(SYNCED);
	if (strncmp(name, current, len) == 0 && (name[len] == '\0' || strcmp(name + len, NEW) == 0))
		return false;
	name += strspn(name, "0123456789");
	return *name == '\0' || strcmp(name, NEW) == 0;
}

enum status
synced_tidy(const char *dir, bool is_ours, struct err *err)
{
	char current[64];
	struct dirent *entry;
	enum status s = S_OK;
	bool removed = false;
	DIR *d;

	if (!current_digits(dir, current) || (d = opendir(dir)) == NULL)
		return S_OK;
	while (s == S_OK && (entry = readdir(d)) != NULL) {
		if (!is_over(entry->d_name, current) || (!is_ours && wal_is_open_elsewhere(dir)))
			continue;
		if (unlinkat(dirfd(d), entry->d_name, 0) != 0 && errno != ENOENT)
			s = err_set(err, S_IO, "%s/%s cannot be removed: %s", dir, entry->d_name, strerror(errno));
		removed = true;
	}
	/* else a loss of power could bring them back beside a new manifest of that number */
	if (s == S_OK && removed && !is_ours && fsync(dirfd(d)) != 0)
		s = err_set(err, S_IO, "%s cannot be synced: %s", dir, strerror(errno));
	closedir(d);
	return s;
}
