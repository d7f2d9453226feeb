/*
 * A manifest that is not what was synced is refused; what a crash may leave of it, or of the notes about it, is not.
 */
#include "engine/rocksdb/rocksdb_int.h"
#include "on_disk.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define NOTE_BYTES 16
#define FILE_MAX   65536

static void
put_both(int number)
{
	struct engine_batch *b = engine_batch_new(e);
	char key[16];
	uint64_t seq;
	struct err err;

	snprintf(key, sizeof key, "%08d", number);
	engine_batch_put(b, SPACE_ITEMS, slice_str(key), SLICE("value"));
	engine_batch_put(b, SPACE_LOG, slice_str(key), SLICE("change"));
	if (engine_apply(e, b, &seq, &err) != S_OK || engine_sync_to(e, seq, &err) != S_OK)
		fail_msg("%s", err.message);
	engine_batch_free(b);
}

/* A checkpoint makes tables of what is in memory: an edit of the manifest. */
static void
make_tables(void)
{
	char path[80];
	struct err err;

	snprintf(path, sizeof path, "%s.checkpoint", dir);
	if (engine_checkpoint(e, path, &err) != S_OK)
		fail_msg("%s", err.message);
	folder_remove(path);
}

/* Rows 1 to 3 are in tables that three edits of one manifest name. */
static int
setup_tables(void **state)
{
	setup(state);
	for (int i = 1; i <= 3; i++) {
		put_both(i);
		make_tables();
	}
	close_engine();
	return 0;
}

static void
assert_opens_with_everything(void)
{
	open_engine();
	for (int i = 1; i <= 3; i++)
		assert_true(is_there(i));
	close_engine();
}

static void
assert_refused(const char *folder)
{
	struct err err;

	assert_int_equal(try_open_at(folder, &e, &err), S_CORRUPT);
	assert_null(e);
	assert_non_null(strstr(err.message, folder));
	assert_non_null(strstr(err.message, "MANIFEST-"));
	assert_non_null(strstr(err.message, "Restore a backup"));
}

/* ---- files ---- */

struct file {
	char path[384];
	char bytes[FILE_MAX];
	size_t len;
};

/* The manifest in force ("MANIFEST"; RocksDB may not have removed the one before yet), or the notes about it
 * ("SYNCED"). */
static void
load(struct file *file, const char *folder, const char *kind)
{
	char path[128], current[32] = "";
	FILE *f;

	snprintf(path, sizeof path, "%s/CURRENT", folder);
	f = fopen(path, "rb");
	assert_non_null(f);
	assert_non_null(fgets(current, sizeof current, f));
	fclose(f);
	current[strcspn(current, "\n")] = '\0';
	snprintf(file->path, sizeof file->path, "%s/%s%s", folder, kind, strchr(current, '-'));
	f = fopen(file->path, "rb");
	assert_non_null(f);
	file->len = fread(file->bytes, 1, sizeof file->bytes, f);
	assert_true(file->len > 0 && file->len < sizeof file->bytes);
	fclose(f);
}

static void
save(const char *path, const char *bytes, size_t len)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

/* Makes the note's own sum fit. */
static void
note_sum(char note[NOTE_BYTES])
{
	uint32_t sum = crc32c(0, note, 12);

	for (int i = 0; i < 4; i++)
		note[12 + i] = (char)(sum >> (8 * i));
}

/* ---- damage ---- */

static void
a_manifest_cut_anywhere_is_refused(void **state)
{
	static struct file manifest;

	(void)state;
	load(&manifest, dir, "MANIFEST");
	for (size_t len = 0; len < manifest.len; len++) {
		assert_int_equal(truncate(manifest.path, (off_t)len), 0);
		assert_refused(dir);
		save(manifest.path, manifest.bytes, manifest.len);
	}
	assert_opens_with_everything();
}

static void
a_manifest_with_other_bytes_is_refused(void **state)
{
	static struct file manifest, damaged;

	(void)state;
	load(&manifest, dir, "MANIFEST");
	for (size_t at = 0; at < manifest.len; at++) {
		damaged = manifest;
		damaged.bytes[at] ^= 0x10;
		save(manifest.path, damaged.bytes, damaged.len);
		assert_refused(dir);
		memset(damaged.bytes + at, 0, damaged.len - at); /* also an end that is there and reads as zeros */
		if (memcmp(damaged.bytes, manifest.bytes, manifest.len) == 0)
			continue;
		save(manifest.path, damaged.bytes, damaged.len);
		assert_refused(dir);
	}
	save(manifest.path, manifest.bytes, manifest.len);
	assert_opens_with_everything();
}

/* The manifest as it was at its first note is one that RocksDB takes: without the notes nobody would know. */
static void
the_older_state_is_opened_only_on_purpose(void **state)
{
	static struct file manifest, notes;
	uint64_t first = 0;

	(void)state;
	load(&manifest, dir, "MANIFEST");
	load(&notes, dir, "SYNCED");
	assert_true(notes.len >= 4 * NOTE_BYTES && notes.len % NOTE_BYTES == 0);
	memcpy(&first, notes.bytes, 8);
	assert_true(first > 0 && first < manifest.len);
	assert_int_equal(truncate(manifest.path, (off_t)first), 0);
	assert_refused(dir);
	assert_int_equal(unlink(notes.path), 0);
	open_engine();
	put_both(4);
	assert_true(is_there(4));
}

static void
a_checkpoint_has_notes_of_its_own(void **state)
{
	char path[80];
	static struct file manifest;
	struct err err;

	(void)state;
	open_engine();
	snprintf(path, sizeof path, "%s.copy", dir);
	assert_int_equal(engine_checkpoint(e, path, &err), S_OK);
	close_engine();
	load(&manifest, path, "MANIFEST");
	assert_int_equal(truncate(manifest.path, (off_t)manifest.len - 1), 0);
	assert_refused(path);
	save(manifest.path, manifest.bytes, manifest.len);
	assert_int_equal(try_open_at(path, &e, &err), S_OK);
	assert_true(is_there(3));
	close_engine();
	folder_remove(path);
}

/* ---- what a crash may leave ---- */

static void
an_end_that_was_never_noted_is_a_torn_end(void **state)
{
	static const char zeros[4096], half_a_record[] = {1, 2, 3, 4, 100, 0, 1, 'x'};
	static struct file manifest;

	(void)state;
	for (int i = 0; i < 2; i++) {
		load(&manifest, dir, "MANIFEST");
		if (i == 0)
			memcpy(manifest.bytes + manifest.len, zeros, sizeof zeros);
		else
			memcpy(manifest.bytes + manifest.len, half_a_record, sizeof half_a_record);
		save(manifest.path, manifest.bytes, manifest.len + (i == 0 ? sizeof zeros : sizeof half_a_record));
		assert_opens_with_everything();
	}
}

static void
notes_may_be_torn_damaged_or_gone(void **state)
{
	static const char zeros[100], garbage[100] = "garbage";
	static struct file notes;

	(void)state;
	load(&notes, dir, "SYNCED");
	save(notes.path, notes.bytes, notes.len - 1);
	assert_opens_with_everything();
	load(&notes, dir, "SYNCED");
	memcpy(notes.bytes + notes.len, zeros, sizeof zeros);
	save(notes.path, notes.bytes, notes.len + sizeof zeros);
	assert_opens_with_everything();
	load(&notes, dir, "SYNCED");
	memcpy(notes.bytes + notes.len, garbage, sizeof garbage);
	save(notes.path, notes.bytes, notes.len + sizeof garbage);
	assert_opens_with_everything();
	load(&notes, dir, "SYNCED");
	save(notes.path, garbage, sizeof garbage);
	assert_opens_with_everything();
	load(&notes, dir, "SYNCED");
	save(notes.path, "", 0);
	assert_opens_with_everything();
	load(&notes, dir, "SYNCED");
	assert_int_equal(unlink(notes.path), 0);
	assert_opens_with_everything();
}

/* With a torn end behind the last whole note the manifest must still be as long as that says. */
static void
a_torn_note_does_not_hide_the_one_before(void **state)
{
	static struct file manifest, notes;

	(void)state;
	load(&manifest, dir, "MANIFEST");
	load(&notes, dir, "SYNCED");
	memset(notes.bytes + notes.len, 0, 3 * NOTE_BYTES + 5);
	save(notes.path, notes.bytes, notes.len + 3 * NOTE_BYTES + 5);
	assert_int_equal(truncate(manifest.path, (off_t)manifest.len - 1), 0);
	assert_refused(dir);
}

/* A manifest that CURRENT never named has left notes, and its number is used again. */
static void
notes_of_another_manifest_are_not_believed(void **state)
{
	static struct file notes;
	char path[384];
	unsigned long number;

	(void)state;
	load(&notes, dir, "SYNCED");
	number = strtoul(strrchr(notes.path, '-') + 1, NULL, 10);
	assert_true(number > 0);
	for (unsigned long n = number + 1; n < number + 40; n++) {
		snprintf(path, sizeof path, "%s/SYNCED-%06lu", dir, n);
		save(path, notes.bytes, notes.len);
	}
	assert_opens_with_everything();
	snprintf(path, sizeof path, "%s/SYNCED-%06lu", dir, number + 39);
	assert_int_not_equal(access(path, F_OK), 0);
	assert_opens_with_everything();
}

/* What an older program leaves that came after a crash of this one: its manifest has the number of one that this one
 * had noted and CURRENT never named. */
static void
an_older_programs_manifest_is_not_held_against_notes_it_does_not_know(void **state)
{
	static struct file manifest, notes;
	char path[400];

	(void)state;
	load(&manifest, dir, "MANIFEST");
	load(&notes, dir, "SYNCED");
	snprintf(path, sizeof path, "%s.new", notes.path);
	save(path, notes.bytes, notes.len);
	assert_int_equal(unlink(notes.path), 0);
	/* first the other order: they are of this manifest */
	assert_opens_with_everything();
	assert_int_not_equal(access(path, F_OK), 0);
	load(&manifest, dir, "MANIFEST");
	load(&notes, dir, "SYNCED");
	snprintf(path, sizeof path, "%s.new", notes.path);
	notes.bytes[8] ^= 1; /* a sum that another manifest has */
	note_sum(notes.bytes);
	save(path, notes.bytes, NOTE_BYTES);
	assert_int_equal(unlink(notes.path), 0);
	assert_opens_with_everything();
	/* and with notes that are its own nothing else counts */
	load(&manifest, dir, "MANIFEST");
	load(&notes, dir, "SYNCED");
	snprintf(path, sizeof path, "%s.new", notes.path);
	save(path, notes.bytes, notes.len);
	assert_int_equal(truncate(manifest.path, (off_t)manifest.len - 1), 0);
	assert_refused(dir);
}

/* Until CURRENT names the manifest nobody may take its notes for those of another one of that number. */
static void
notes_get_their_name_when_the_manifest_is_in_force(void **state)
{
	char path[400];
	static struct file notes;
	int status;
	pid_t child;
	unsigned long number;
	bool found = false;

	(void)state;
	load(&notes, dir, "SYNCED");
	number = strtoul(strrchr(notes.path, '-') + 1, NULL, 10);
	child = fork();
	if (child == 0) {
		fault_setup("engine-manifest-noted:kill:1");
		open_engine();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	for (unsigned long n = number + 1; n < number + 40; n++) {
		snprintf(path, sizeof path, "%s/SYNCED-%06lu", dir, n);
		assert_int_not_equal(access(path, F_OK), 0);
		strcat(path, ".new");
		found = found || access(path, F_OK) == 0;
	}
	assert_true(found);
	assert_opens_with_everything();
}

/* RocksDB does so on btrfs, where it does not sync the folder. */
static void
notes_get_their_name_when_current_itself_is_synced(void **state)
{
	static struct file manifest, notes;
	char path[400];
	int fd;

	(void)state;
	load(&manifest, dir, "MANIFEST");
	load(&notes, dir, "SYNCED");
	snprintf(path, sizeof path, "%s.new", notes.path);
	assert_int_equal(rename(notes.path, path), 0);
	fd = open(manifest.path, O_RDONLY | O_CLOEXEC);
	synced_folder(fd); /* another file of the folder says nothing */
	close(fd);
	assert_int_equal(access(path, F_OK), 0);
	snprintf(path, sizeof path, "%s/CURRENT", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fsync(fd), 0);
	close(fd);
	assert_int_equal(access(notes.path, F_OK), 0);
	assert_int_equal(truncate(manifest.path, (off_t)manifest.len - 1), 0);
	assert_refused(dir);
}

/* ---- a sync of the notes that fails ---- */

static bool syncs_fail;
static int syncs_of_notes;

/* Before libc's: fsync() and fdatasync() of the engine come by here. Like libc's it takes six arguments, whatever was
 * given. */
__attribute__((no_sanitize("address"))) long
syscall(long number, ...)
{
	long a[6];
	char link[64], path[256] = "";
	va_list arguments;

	va_start(arguments, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(arguments, long);
	va_end(arguments);
	if (number == SYS_fdatasync || number == SYS_fsync) {
		snprintf(link, sizeof link, "/proc/self/fd/%ld", a[0]);
		if (readlink(link, path, sizeof path - 1) > 0 && strstr(path, "/SYNCED-") != NULL) {
			syncs_of_notes += !syncs_fail;
			if (syncs_fail) {
				errno = EIO;
				return -1;
			}
		}
	}
	return ((__typeof__(&syscall))dlsym(RTLD_NEXT, "syscall"))(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* After one that failed the kernel may hold a note that will never be on the disk. */
static void
a_note_whose_sync_failed_is_written_and_synced_again(void **state)
{
	static struct file manifest, notes;
	struct synced_manifest m;
	int fd;

	(void)state;
	load(&manifest, dir, "MANIFEST");
	manifest.bytes[manifest.len++] = 'x';
	save(manifest.path, manifest.bytes, manifest.len);
	fd = open(manifest.path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && synced_find(fd, &m));
	syncs_fail = true;
	syncs_of_notes = 0;
	assert_false(synced_note(&m));
	assert_int_equal(errno, EIO);
	load(&notes, dir, "SYNCED");
	syncs_fail = false;
	assert_true(synced_note(&m));
	assert_int_equal(syncs_of_notes, 1);
	close(fd);
	assert_int_equal(truncate(manifest.path, (off_t)manifest.len - 1), 0);
	assert_refused(dir);
	/* it is the same note, and in its place */
	save(manifest.path, manifest.bytes, manifest.len);
	load(&manifest, dir, "SYNCED");
	assert_int_equal(manifest.len, notes.len);
	assert_memory_equal(manifest.bytes, notes.bytes, notes.len);
}

static void
notes_that_cannot_be_removed_are_told(void **state)
{
	char path[384];
	struct err err;

	(void)state;
	snprintf(path, sizeof path, "%s/SYNCED-999999", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(try_open(&e, &err), S_IO);
	assert_non_null(strstr(err.message, path));
	assert_int_equal(rmdir(path), 0);
	assert_opens_with_everything();
}

/* While opening: the child of a process that had a database open has none of RocksDB's threads. */
static void
a_death_before_the_note_loses_nothing(void **state)
{
	int status;
	pid_t child;

	(void)state;
	child = fork();
	if (child == 0) {
		fault_setup("engine-manifest-synced:kill:1");
		open_engine();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_opens_with_everything();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_tables, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_manifest_cut_anywhere_is_refused),
	    TEST(a_manifest_with_other_bytes_is_refused),
	    TEST(the_older_state_is_opened_only_on_purpose),
	    TEST(a_checkpoint_has_notes_of_its_own),
	    TEST(an_end_that_was_never_noted_is_a_torn_end),
	    TEST(notes_may_be_torn_damaged_or_gone),
	    TEST(a_torn_note_does_not_hide_the_one_before),
	    TEST(notes_of_another_manifest_are_not_believed),
	    TEST(notes_that_cannot_be_removed_are_told),
	    TEST(a_death_before_the_note_loses_nothing),
	    TEST(an_older_programs_manifest_is_not_held_against_notes_it_does_not_know),
	    TEST(notes_get_their_name_when_the_manifest_is_in_force),
	    TEST(notes_get_their_name_when_current_itself_is_synced),
	    TEST(a_note_whose_sync_failed_is_written_and_synced_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
