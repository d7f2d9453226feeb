/*
 * Is everything that was called durable still in the log?
 *
 * After a crash the end of the log may be torn: records cut off, pages missing while later ones arrived. RocksDB's
 * point-in-time recovery handles that by dropping everything from the first damaged place on. The same happens,
 * silently, when a damaged place lies among records that had been fsynced and acknowledged (a bad sector, a stray
 * write). To tell the two apart, batches carry marks: "RocksDB's sequence numbers up to N are on the disk". Before each
 * opening the log is read once; sequence numbers missing at a damaged place, and a later mark that covers them, mean
 * lost acknowledged writes, and the engine refuses to open.
 *
 * There are two things RocksDB does not notice. A file of the log that ends early, but at a record's end, while the
 * next file is there. And zeros where a record should begin (the log is overwritten, see ahead.c): it passes over the
 * rest of that block. Power loss leaves both, for nothing orders bytes that were not synced. It would go on with the
 * next file or block, and a later batch without the earlier ones it was decided by would leave index rows and counts
 * out of step. So the log is cut where the numbers stop following each other, unless a mark says that what is missing
 * was durable. (Only engine_ingest() uses up numbers without a batch; it says so in the log before and after.) Zeros
 * from a record's end to the file's are no damage, only its end.
 *
 * What this cannot see: damage behind the last mark but before the last sync (at most what was written between two
 * syncs before a crash). An orderly end writes a last mark.
 *
 * A log file all of whose writes are in tables is obsolete; it may linger, with others of its kind deleted around it,
 * so its numbers mean nothing. Which files these are is in the manifest: each column family's edits name the first log
 * it still needs, and the first that is kept for any.
 *
 * The format is RocksDB's (and LevelDB's): blocks of 32 KiB; records in fragments that do not cross a block,
 * each with a header: masked CRC-32C (4), length (2), type (1), little-endian.
 */
#include "base/log.h"
#include "engine/rocksdb/rocksdb_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BLOCK_BYTES  32768
#define HEADER_BYTES 7
#define BATCH_HEADER 12 /* sequence number (8), count (4) */

static const char mark_magic[8] = {'S', 't', 'a', 't', 'o', 'r', 'D', 'M'};
static const char ingest_magic[8] = {'S', 't', 'a', 't', 'o', 'r', 'I', 'N'};

enum fragment_type { FRAGMENT_FULL = 1, FRAGMENT_FIRST, FRAGMENT_MIDDLE, FRAGMENT_LAST };

struct scan {
	/* what to do with a whole record */
	enum status (*take)(struct scan *scan, struct slice record, struct err *err);
	char path[PATH_MAX];
	uint64_t content_end; /* of the file: behind it are only zeros */
	uint64_t offset;      /* of the block in the file */
	char block[BLOCK_BYTES];
	size_t block_len;
	struct buf record;    /* fragments so far */
	bool in_record;       /* a FIRST was seen */
	uint64_t next_number; /* that the next batch should begin with; 0: unknown */
	/* the first damaged place whose numbers have not turned up since */
	bool damaged;
	bool damage_here;      /* in the present file */
	uint64_t missing_from; /* 0: unknown */
	uint64_t damage_offset;
	char damage_path[PATH_MAX];
	bool missing; /* there are later batches, and these numbers were skipped: the log is to be cut at that place */
	uint64_t missing_through;
	bool ingesting;         /* numbers may be used up elsewhere */
	bool some_may_go;       /* it is not known which files are obsolete, so whole ones may be missing in between */
	uint64_t record_offset; /* where the present record begins */
};

static void
encode(char mark[DURABLE_MARK_SIZE], const char magic[8], uint64_t number)
{
	memcpy(mark, magic, 8);
	for (int i = 0; i < 8; i++)
		mark[8 + i] = (char)(number >> (8 * i));
}

void
wal_mark_encode(char mark[DURABLE_MARK_SIZE], uint64_t durable_number)
{
	encode(mark, mark_magic, durable_number);
}

void
wal_ingest_encode(char mark[DURABLE_MARK_SIZE], bool begins)
{
	encode(mark, ingest_magic, begins);
}

/* As RocksDB writes it into its logs: a sum over bytes that hold sums of their own would be a weak one. */
static uint32_t
crc32c_masked(const char *data, size_t len)
{
	uint32_t crc = crc32c(0, data, len);

	return (crc >> 15 | crc << 17) + 0xA282EAD8u;
}

/* ---- batches ---- */

static bool
take_varint(struct slice *in, uint64_t *ret)
{
	uint64_t v = 0;

	for (int shift = 0; shift < 70; shift += 7) {
		uint8_t byte;

		if (in->len == 0)
			return false;
		byte = (uint8_t)*in->data++;
		in->len--;
		v |= (uint64_t)(byte & 0x7F) << shift;
		if (byte < 0x80) {
			*ret = v;
			return true;
		}
	}
	return false;
}

static bool
take_bytes(struct slice *in, struct slice *ret)
{
	uint64_t len;

	if (!take_varint(in, &len) || len > in->len)
		return false;
	*ret = slice_of(in->data, len);
	in->data += len;
	in->len -= len;
	return true;
}

/* The highest number that the batch's marks call durable, 0 when it has none. *ingesting is set when it says so. */
static uint64_t
find_mark(struct slice batch, bool *ingesting)
{
	/* how the entries of a batch look, by their tag: a column family's id, then so many byte strings */
	static const struct {
		bool known, family;
		uint8_t strings;
	} entries[16] = {
	    [0x0] = {true, false, 1},                                                    /* deletion */
	    [0x1] = {true, false, 2},                                                    /* value */
	    [0x3] = {true, false, 1},                                                    /* log data */
	    [0x4] = {true, true, 1},  [0x5] = {true, true, 2}, [0xD] = {true, false, 0}, /* nothing */
	    [0xE] = {true, true, 2},                                                     /* range deletion */
	    [0xF] = {true, false, 2},
	};
	struct slice in = slice_of(batch.data + BATCH_HEADER, batch.len - BATCH_HEADER);
	uint64_t mark = 0;

	while (in.len > 0) {
		uint8_t tag = (uint8_t)*in.data++;
		struct slice bytes = SLICE_NONE;
		uint64_t family;

		in.len--;
		if (tag >= 16 || !entries[tag].known || (entries[tag].family && !take_varint(&in, &family)))
			return mark;
		for (int i = 0; i < entries[tag].strings; i++) {
			if (!take_bytes(&in, &bytes))
				return mark;
		}
		if (tag == 0x3 && bytes.len == DURABLE_MARK_SIZE && memcmp(bytes.data, ingest_magic, 8) == 0)
			*ingesting = bytes.data[8] != 0;
		if (tag == 0x3 && bytes.len == DURABLE_MARK_SIZE &&
		    memcmp(bytes.data, mark_magic, sizeof mark_magic) == 0) {
			uint64_t number = get_le(bytes.data + 8, 8);

			mark = number > mark ? number : mark;
		}
	}
	return mark;
}

/* ---- scanning ---- */

static void
note_damage(struct scan *scan, size_t at)
{
	scan->in_record = false;
	scan->damage_here = true;
	if (scan->damaged)
		return;
	scan->damaged = true;
	scan->missing = false;
	scan->missing_from = scan->next_number;
	scan->damage_offset = scan->offset + at;
	memcpy(scan->damage_path, scan->path, sizeof scan->path);
}

/* Batches are missing before this one, and the files read well. */
static void
note_gap(struct scan *scan, uint64_t number)
{
	note_damage(scan, 0);
	scan->damage_offset = scan->record_offset;
	scan->missing = true;
	scan->missing_through = number - 1;
}

static enum status
check_batch(struct scan *scan, struct slice batch, struct err *err)
{
	uint64_t number, count, mark;
	bool ingesting = scan->ingesting;

	if (batch.len < BATCH_HEADER)
		return S_OK;
	number = get_le(batch.data, 8);
	count = get_le(batch.data + 8, 4);
	if (scan->damaged && !scan->missing) {
		/* What was torn when a process died is written anew under the same numbers by the next one, in the next
		 * file; so what follows in the same one is out of RocksDB's reach, or read without what is missing. In
		 * another file only the numbers tell, and at the very beginning of the log those are not known. */
		if (scan->damage_here || (scan->missing_from != 0 && number > scan->missing_from)) {
			scan->missing = true;
			scan->missing_through = number > scan->missing_from ? number - 1 : scan->missing_from;
		} else {
			scan->damaged = false;
		}
	}
	mark = find_mark(batch, &scan->ingesting);
	if (!scan->damaged && !ingesting && !scan->some_may_go && count > 0 && scan->next_number != 0 &&
	    number > scan->next_number)
		note_gap(scan, number);
	if (count > 0) /* an empty batch (a mark alone, or RocksDB's note of how far it recovered) takes no number */
		scan->next_number = number + count;
	if (!scan->missing || mark < (scan->missing_from != 0 ? scan->missing_from : scan->missing_through))
		return S_OK;
	return err_set(
	    err, S_CORRUPT,
	    "the log file %s is damaged at byte %" PRIu64 ": writes %" PRIu64 " to %" PRIu64
	    " were durable and are lost. Restore a backup; or, to go on without them and all that followed, move the "
	    "file and those after it away",
	    scan->damage_path, scan->damage_offset, scan->missing_from, scan->missing_through);
}

static enum status
take_fragment(struct scan *scan, size_t at, int type, struct slice payload, struct err *err)
{
	enum status s = S_OK;

	if (type == FRAGMENT_FULL || type == FRAGMENT_FIRST) {
		if (scan->in_record)
			note_damage(scan, at); /* the record before has no end */
		scan->record.len = 0;
		scan->record_offset = scan->offset + at;
		scan->in_record = true;
	} else if (!scan->in_record) {
		note_damage(scan, at); /* the record has no beginning */
		return S_OK;
	}
	if (type == FRAGMENT_FULL) {
		scan->in_record = false;
		return scan->take(scan, payload, err);
	}
	buf_put_slice(&scan->record, payload);
	if (type == FRAGMENT_LAST) {
		scan->in_record = false;
		s = scan->take(scan, buf_slice(&scan->record), err);
	}
	return s;
}

/* 0: nothing valid begins here. */
static size_t
fragment_length(const struct scan *scan, size_t at)
{
	const char *header = scan->block + at;
	size_t len;

	if (scan->block_len - at < HEADER_BYTES)
		return 0;
	len = get_le(header + 4, 2);
	if (header[6] < FRAGMENT_FULL || header[6] > FRAGMENT_LAST || len > scan->block_len - at - HEADER_BYTES)
		return 0;
	return crc32c_masked(header + 6, len + 1) == get_le(header, 4) ? HEADER_BYTES + len : 0;
}

/* Behind a damaged place the next fragment may begin anywhere. */
static size_t
find_fragment(const struct scan *scan, size_t at)
{
	while (at < scan->block_len && fragment_length(scan, at) == 0)
		at++;
	return at;
}

static enum status
scan_block(struct scan *scan, struct err *err)
{
	enum status s = S_OK;
	size_t at = 0;

	/* less than a header's room at a block's end is filled with zeros */
	while (s == S_OK && at < scan->block_len && BLOCK_BYTES - at >= HEADER_BYTES) {
		size_t len = fragment_length(scan, at);

		if (len == 0) {
			bool known = scan->damaged;

			if (scan->offset + at >= scan->content_end)
				return S_OK;
			note_damage(scan, at);
			/* only near the place where damage begins: a long run of garbage is searched at block starts */
			if (known && at == 0)
				return S_OK;
			at = find_fragment(scan, at + 1);
			continue;
		}
		s = take_fragment(scan, at, scan->block[at + 6],
				  slice_of(scan->block + at + HEADER_BYTES, len - HEADER_BYTES), err);
		at += len;
	}
	return s;
}

/* Behind the log's last record there may be zeros (ahead.c, and what loss of power makes of it): they are as good as
 * the file's end. A record that ends with zeros of its own begins before this place. */
static bool
find_content_end(FILE *stream, char room[BLOCK_BYTES], uint64_t *ret)
{
	size_t len = 0;
	off_t end;

	if (fseeko(stream, 0, SEEK_END) != 0)
		return false;
	for (end = ftello(stream); end > 0 && len == 0; end += (off_t)len) {
		len = (size_t)((end - 1) % BLOCK_BYTES + 1);
		end -= (off_t)len;
		if (fseeko(stream, end, SEEK_SET) != 0 || fread(room, 1, len, stream) != len)
			return false;
		while (len > 0 && room[len - 1] == '\0')
			len--;
	}
	*ret = (uint64_t)end;
	return end >= 0 && fseeko(stream, 0, SEEK_SET) == 0;
}

static enum status
scan_file(struct scan *scan, struct err *err)
{
	FILE *stream = fopen(scan->path, "rbe");
	enum status s = S_OK;

	if (stream == NULL)
		return err_set(err, S_IO, "%s: %s", scan->path, strerror(errno));
	if (!find_content_end(stream, scan->block, &scan->content_end))
		s = err_set(err, S_IO, "%s: %s", scan->path, strerror(errno));
	scan->damage_here = false;
	scan->offset = 0;
	scan->in_record = false;
	while (s == S_OK && scan->offset < scan->content_end &&
	       (scan->block_len = fread(scan->block, 1, BLOCK_BYTES, stream)) > 0) {
		s = scan_block(scan, err);
		scan->offset += scan->block_len;
	}
	if (s == S_OK && ferror(stream))
		s = err_set(err, S_IO, "%s: %s", scan->path, strerror(errno));
	if (s == S_OK && scan->in_record)
		note_damage(scan, 0); /* cut off */
	fclose(stream);
	return s;
}

/* ---- the manifest ---- */

#define FAMILIES_MAX 16

/* What one edit says, as far as we ask. */
struct edit {
	uint64_t family;
	uint64_t log_number;  /* 0: does not say */
	uint64_t log_to_keep; /* 0: does not say */
	bool dropped;
};

struct manifest {
	struct scan scan; /* first: take_edit() finds the rest through it */
	uint64_t log_numbers[FAMILIES_MAX];
	bool alive[FAMILIES_MAX];
	uint64_t
	    log_to_keep; /* the first that recovery reads; a family that nothing is written to still names an old one */
	bool strange;    /* not understood: says nothing */
};

/* The tags of RocksDB's edits that this engine's settings bring about. */
enum edit_tag {
	EDIT_COMPARATOR = 1,
	EDIT_LOG = 2,
	EDIT_NEXT_FILE = 3,
	EDIT_LAST_SEQUENCE = 4,
	EDIT_CURSOR = 5,
	EDIT_DELETED = 6,
	EDIT_PREVIOUS_LOG = 9,
	EDIT_LOG_TO_KEEP = 10,
	EDIT_NEW_FILE = 103,
	EDIT_FAMILY = 200,
	EDIT_FAMILY_ADD = 201,
	EDIT_FAMILY_DROP = 202,
	EDIT_FAMILY_MAX = 203,
	EDIT_ATOMIC_GROUP = 300,
	EDIT_IGNORABLE = 1 << 13 /* from here on: a byte string that may be skipped */
};

/* A new table file: level, number, size, two keys, two sequence numbers, then tagged fields up to tag 1. */
static bool
skip_new_file(struct slice *in)
{
	struct slice bytes;
	uint64_t v;

	if (!take_varint(in, &v) || !take_varint(in, &v) || !take_varint(in, &v) || !take_bytes(in, &bytes) ||
	    !take_bytes(in, &bytes) || !take_varint(in, &v) || !take_varint(in, &v))
		return false;
	while (take_varint(in, &v)) {
		if (v == 1)
			return true;
		if (!take_bytes(in, &bytes))
			return false;
	}
	return false;
}

static bool
parse_field(uint64_t tag, struct slice *in, struct edit *edit)
{
	struct slice bytes;
	uint64_t v;

	switch (tag) {
	case EDIT_LOG:
		return take_varint(in, &edit->log_number);
	case EDIT_LOG_TO_KEEP:
		return take_varint(in, &edit->log_to_keep);
	case EDIT_FAMILY:
		return take_varint(in, &edit->family);
	case EDIT_FAMILY_DROP:
		edit->dropped = true;
		return true;
	case EDIT_NEXT_FILE:
	case EDIT_LAST_SEQUENCE:
	case EDIT_PREVIOUS_LOG:
	case EDIT_FAMILY_MAX:
	case EDIT_ATOMIC_GROUP:
		return take_varint(in, &v);
	case EDIT_COMPARATOR:
	case EDIT_FAMILY_ADD:
		return take_bytes(in, &bytes);
	case EDIT_CURSOR:
		return take_varint(in, &v) && take_bytes(in, &bytes);
	case EDIT_DELETED:
		return take_varint(in, &v) && take_varint(in, &v);
	case EDIT_NEW_FILE:
		return skip_new_file(in);
	default:
		return tag >= EDIT_IGNORABLE && take_bytes(in, &bytes);
	}
}

static enum status
take_edit(struct scan *scan, struct slice record, struct err *err)
{
	struct manifest *m = (struct manifest *)scan;
	struct edit edit = {0};
	uint64_t tag;

	(void)err;
	while (record.len > 0 && !m->strange)
		m->strange = !take_varint(&record, &tag) || !parse_field(tag, &record, &edit);
	if (m->strange || edit.family >= FAMILIES_MAX) {
		m->strange = true;
		return S_OK;
	}
	m->alive[edit.family] = !edit.dropped;
	if (edit.log_number > m->log_numbers[edit.family])
		m->log_numbers[edit.family] = edit.log_number;
	if (edit.log_to_keep > m->log_to_keep)
		m->log_to_keep = edit.log_to_keep;
	return S_OK;
}

static void
scan_manifest(struct manifest *m, const char *dir)
{
	char path[PATH_MAX], name[64] = "";
	FILE *current = NULL;
	bool read;

	m->scan.take = take_edit;
	if (snprintf(path, sizeof path, "%s/CURRENT", dir) < (int)sizeof path)
		current = fopen(path, "rbe");
	read = current != NULL && fgets(name, sizeof name, current) != NULL;
	if (current != NULL)
		fclose(current);
	name[strcspn(name, "\n")] = '\0';
	if (!read || snprintf(m->scan.path, sizeof m->scan.path, "%s/%s", dir, name) >= (int)sizeof m->scan.path ||
	    scan_file(&m->scan, NULL) != S_OK)
		m->strange = true;
	buf_done(&m->scan.record);
}

/* Log files with a lower number are obsolete. A manifest that cannot be read is RocksDB's to complain of. */
static uint64_t
first_needed_log(const char *dir, bool *ret_known)
{
	struct manifest *m = engine_alloc(sizeof *m);
	uint64_t first = UINT64_MAX;

	scan_manifest(m, dir);
	for (int i = 0; i < FAMILIES_MAX; i++) {
		if (m->alive[i] && m->log_numbers[i] < first)
			first = m->log_numbers[i];
	}
	if (first == UINT64_MAX || first < m->log_to_keep)
		first = m->log_to_keep;
	*ret_known = !m->strange;
	if (m->strange)
		first = 0;
	free(m);
	return first;
}

static int
is_log(const struct dirent *entry)
{
	size_t digits = strspn(entry->d_name, "0123456789");

	return digits > 0 && strcmp(entry->d_name + digits, ".log") == 0;
}

static int
by_number(const struct dirent **a, const struct dirent **b)
{
	unsigned long long x = strtoull((*a)->d_name, NULL, 10), y = strtoull((*b)->d_name, NULL, 10);

	return x < y ? -1 : x > y;
}

bool
wal_is_open_elsewhere(const char *dir)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[PATH_MAX];
	bool held = false;
	int fd = -1;

	if (snprintf(path, sizeof path, "%s/LOCK", dir) < (int)sizeof path)
		fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		held = fcntl(fd, F_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
	if (fd >= 0)
		close(fd);
	return held;
}

static bool
cut_file(int dir_fd, const char *name, uint64_t length)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && ftruncate(fd, (off_t)length) == 0 && fsync(fd) == 0;
	int cause = errno;

	if (fd >= 0)
		close(fd);
	errno = cause;
	return ok;
}

/* The later files first: a crash in between leaves what will be cut again. */
static enum status
cut_log(const struct scan *scan, const char *dir, struct dirent **logs, int count, struct err *err)
{
	const char *cut_name = strrchr(scan->damage_path, '/') + 1;
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = dir_fd >= 0, reached = false;

	for (int i = count - 1; ok && !reached && i >= 0; i--) {
		reached = strcmp(logs[i]->d_name, cut_name) == 0;
		ok = cut_file(dir_fd, logs[i]->d_name, reached ? scan->damage_offset : 0);
	}
	if (!ok)
		err_set(err, S_IO, "the log in %s cannot be cut: %s", dir, strerror(errno));
	if (dir_fd >= 0)
		close(dir_fd);
	if (!ok)
		return S_IO;
	log_warn("engine",
		 "the log lacks writes %" PRIu64 " to %" PRIu64
		 " (none was acknowledged) and is cut at %s, byte %" PRIu64,
		 scan->missing_from, scan->missing_through, scan->damage_path, scan->damage_offset);
	return S_OK;
}

enum status
wal_check(const char *dir, struct err *err)
{
	struct dirent **logs = NULL;
	struct scan *scan;
	enum status s = S_OK;
	bool known;
	uint64_t needed = first_needed_log(dir, &known);
	int count = scandir(dir, &logs, is_log, by_number);

	if (count < 0)
		return errno == ENOENT ? S_OK : err_set(err, S_IO, "%s: %s", dir, strerror(errno));
	scan = engine_alloc(sizeof *scan);
	scan->take = check_batch;
	scan->some_may_go = !known;
	for (int i = 0; i < count; i++) {
		bool obsolete = strtoull(logs[i]->d_name, NULL, 10) < needed;

		if (s == S_OK && !obsolete &&
		    snprintf(scan->path, sizeof scan->path, "%s/%s", dir, logs[i]->d_name) < (int)sizeof scan->path)
			s = scan_file(scan, err);
	}
	if (s == S_OK && scan->missing && known && !wal_is_open_elsewhere(dir))
		s = cut_log(scan, dir, logs, count, err);
	for (int i = 0; i < count; i++)
		free(logs[i]);
	free(logs);
	buf_done(&scan->record);
	free(scan);
	return s;
}
