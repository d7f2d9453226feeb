/* The log is overwritten where zeros were written ahead: what a crash, a loss of power or a torn write leaves of it. */
#include "engine/rocksdb/rocksdb_int.h"
#include "on_disk.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#define BLOCK_BYTES  32768
#define PAGE_BYTES   4096
#define RECORD_BYTES 1024 /* a block ends with a record's end */
#define BLOCKS       3
#define RECORDS      (BLOCKS * BLOCK_BYTES / RECORD_BYTES)
#define FIRST_KEY    1000
#define ITEMS_FAMILY 1
#define XFS_MAGIC    0x58465342

static struct log_file {
	char path[128];
	char bytes[2 << 20];
	size_t len;
} logged;

static void
load(struct log_file *log)
{
	FILE *f;

	newest_log(log->path);
	f = fopen(log->path, "rb");
	assert_non_null(f);
	log->len = fread(log->bytes, 1, sizeof log->bytes, f);
	fclose(f);
	assert_true(log->len < sizeof log->bytes);
}

static void
save(const struct log_file *log)
{
	FILE *f = fopen(log->path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(log->bytes, 1, log->len, f), log->len);
	assert_int_equal(fclose(f), 0);
}

static size_t
content_of(const struct log_file *log)
{
	size_t len = log->len;

	while (len > 0 && log->bytes[len - 1] == '\0')
		len--;
	return len;
}

static size_t
find(const struct log_file *log, const char *text)
{
	const char *found = memmem(log->bytes, log->len, text, strlen(text));

	assert_non_null(found);
	return (size_t)(found - log->bytes);
}

static void
put_some(int from, int to)
{
	for (int i = from; i < to; i++)
		put(i);
}

static void
expect(int from, int to, bool there)
{
	for (int i = from; i < to; i++)
		assert_int_equal(is_there(i), there);
}

/* ---- as the engine writes it ---- */

static bool
runs_ahead_here(void)
{
	struct statfs info;

	assert_int_equal(statfs(dir, &info), 0);
	return info.f_type == EXT4_SUPER_MAGIC || info.f_type == XFS_MAGIC;
}

static void
killed_it_leaves_zeros_behind_the_log(void **state)
{
	size_t content;
	pid_t child;
	int status;

	(void)state;
	close_engine();
	child = fork();
	if (child == 0) {
		open_engine();
		put_some(0, 150); /* some 22 KB: half-way through zeros that were written ahead */
		kill(getpid(), SIGKILL);
	}
	waitpid(child, &status, 0);
	load(&logged);
	content = content_of(&logged);
	if (runs_ahead_here())
		assert_true(logged.len > content + 1000);
	else
		assert_true(logged.len < content + 16); /* a mark ends with a number's zeros */
	assert_true(logged.len <= 2 * content + PAGE_BYTES);
	open_engine();
	expect(0, 150, true);
}

static void
an_orderly_end_leaves_none(void **state)
{
	(void)state;
	put_some(0, 200);
	close_engine();
	load(&logged);
	assert_true(logged.len < content_of(&logged) + 16);
}

static atomic_bool stop;

static void *
put_on(void *count)
{
	for (int i = 0; !atomic_load(&stop); i++) {
		put(i);
		atomic_store((atomic_int *)count, i + 1);
	}
	return NULL;
}

/* Its log is copied while the zeros in it are written over: all that was durable before is there, nothing has a gap. */
static void
a_checkpoint_has_no_zeros_within_its_log(void **state)
{
	atomic_int count = 0;
	pthread_t writer;

	(void)state;
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&writer, NULL, put_on, &count), 0);
	for (int round = 0; round < 20; round++) {
		int before = atomic_load(&count), row = 0;
		struct engine *copied;
		char copy[96];
		struct err err;

		snprintf(copy, sizeof copy, "%s/copy", dir);
		if (engine_checkpoint(e, copy, &err) != S_OK)
			fail_msg("%s", err.message);
		if (try_open_at(copy, &copied, &err) != S_OK)
			fail_msg("%s", err.message);
		while (is_in(copied, row))
			row++;
		assert_true(row >= before);
		for (int i = row; i < row + 200; i++)
			assert_false(is_in(copied, i));
		engine_close(copied);
		folder_remove(copy);
	}
	atomic_store(&stop, true);
	pthread_join(writer, NULL);
}

/* ---- as a crash leaves it ---- */

static void
zeros_are_the_end(void **state)
{
	static const size_t counts[] = {1, 6, 7, 100, PAGE_BYTES, BLOCK_BYTES, 300000};

	(void)state;
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		put_some(10 * (int)i, 10 * (int)i + 10);
		close_engine();
		load(&logged);
		memset(logged.bytes + logged.len, 0, counts[i]);
		logged.len += counts[i];
		save(&logged);
		open_engine();
		expect(0, 10 * (int)i + 10, true);
	}
}

static void
a_record_torn_inside_the_zeros_is_no_damage(void **state)
{
	size_t at, keep;

	(void)state;
	put_some(0, 100);
	close_engine();
	load(&logged);
	at = find(&logged, "00000090");
	keep = logged.len;
	logged.len += 2 * BLOCK_BYTES;
	memset(logged.bytes + at + 4, 0, logged.len - at - 4);
	save(&logged);
	open_engine();
	expect(0, 90, true);
	expect(90, 100, false);
	assert_true(keep > at);
	put_some(90, 100);
	close_engine();
	open_engine();
	expect(0, 100, true);
}

/* ---- pages that did not arrive ---- */

static uint64_t
get_number(const char *p)
{
	return get_le(p, 8);
}

/* All of the log is in its first block. The number that the next batch has. */
static uint64_t
next_number(const struct log_file *log)
{
	uint64_t next = 0;
	size_t at = 0;

	while (at + 7 < log->len && log->bytes[at + 6] != 0) {
		uint64_t count = get_le(log->bytes + at + 7 + 8, 4);

		if (count > 0)
			next = get_number(log->bytes + at + 7) + count;
		at += 7 + get_le(log->bytes + at + 4, 2);
		assert_true(at < BLOCK_BYTES);
	}
	return next;
}

static char *
put_bytes(char *at, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		*at++ = (char)(v >> (8 * i));
	return at;
}

static char *
put_varint(char *at, size_t v)
{
	for (; v >= 0x80; v >>= 7)
		*at++ = (char)(v | 0x80);
	*at++ = (char)v;
	return at;
}

/* The bytes of a record's header behind its batch of so many bytes. */
static void
finish_record(struct log_file *log, size_t payload)
{
	char *header = log->bytes + log->len;
	uint32_t sum;

	put_bytes(header + 4, payload, 2);
	header[6] = 1;
	sum = crc32c(0, header + 6, payload + 1);
	put_bytes(header, (sum >> 15 | sum << 17) + 0xA282EAD8u, 4);
	log->len += 7 + payload;
}

/* A record of exactly so many bytes that puts a key. */
static void
add_put(struct log_file *log, uint64_t number, int key, size_t record_bytes)
{
	char *begin = log->bytes + log->len + 7, *at = put_bytes(put_bytes(begin, number, 8), 1, 4);
	char text[16];
	size_t rest;

	snprintf(text, sizeof text, "%08d", key);
	*at++ = 5;
	at = put_varint(at, ITEMS_FAMILY);
	at = put_varint(at, 8);
	memcpy(at, text, 8);
	at += 8;
	rest = record_bytes - 7 - (size_t)(at - begin);
	/* the value's length takes two bytes, or three of which the last one is 0 */
	at = put_varint(at, rest - 2 < 16384 ? rest - 2 : rest - 3);
	memset(at, 'v', record_bytes - 7 - (size_t)(at - begin));
	finish_record(log, record_bytes - 7);
}

static void
add_mark(struct log_file *log, uint64_t number, uint64_t durable)
{
	char *begin = log->bytes + log->len + 7, *at = put_bytes(put_bytes(begin, number, 8), 0, 4);

	*at++ = 3;
	*at++ = DURABLE_MARK_SIZE;
	wal_mark_encode(at, durable);
	finish_record(log, (size_t)(at - begin) + DURABLE_MARK_SIZE);
}

/* What was durable, and behind it from the second block on what was written and not synced; with a record that has no
 * number before `marked`, if any. -> the next number */
static uint64_t
write_unsynced(int marked)
{
	size_t rest, more = 0;
	uint64_t number;

	put_some(0, 10);
	close_engine();
	load(&logged);
	number = next_number(&logged);
	rest = BLOCK_BYTES - logged.len;
	assert_true(rest > 17000); /* so that its value's length takes three bytes */
	add_put(&logged, number++, FIRST_KEY - 1, rest);
	for (int i = 0; i < RECORDS; i++) {
		if (i == marked) {
			add_mark(&logged, number, 1);
			more = logged.len % RECORD_BYTES;
		}
		add_put(&logged, number++, FIRST_KEY + i, RECORD_BYTES - more);
		more = 0;
	}
	assert_int_equal(logged.len, (BLOCKS + 1) * BLOCK_BYTES);
	return number;
}

/* Nothing behind what is missing; *ret: how many are there. */
static int
count_unsynced(void)
{
	int there = 0;

	while (there < RECORDS && is_there(FIRST_KEY + there))
		there++;
	expect(FIRST_KEY + there, FIRST_KEY + RECORDS, false);
	return there;
}

/* The second folder is then as the first one is. */
static void
copy_over(const char *from, const char *to)
{
	folder_remove(to);
	assert_int_equal(mkdir(to, 0700), 0);
	copy_folder(from, to);
}

static void
nothing_behind_a_page_that_did_not_arrive_is_found(void **state)
{
	static struct log_file whole;
	char kept[64];
	size_t begin = BLOCK_BYTES;

	(void)state;
	write_unsynced(-1);
	save(&logged);
	snprintf(kept, sizeof kept, "%.48s.kept", dir);
	copy_over(dir, kept);
	open_engine();
	assert_int_equal(count_unsynced(), RECORDS); /* RocksDB takes them as its own */
	close_engine();
	whole = logged;
	for (size_t page = begin; page < begin + (BLOCKS - 1) * BLOCK_BYTES; page += PAGE_BYTES) {
		size_t zeros = page / PAGE_BYTES % 3 * 100 + PAGE_BYTES; /* also a part of the next */

		copy_over(kept, dir);
		logged = whole;
		memset(logged.bytes + page, 0, zeros);
		if (page / PAGE_BYTES % 2 == 0) { /* and the room behind it was there */
			memset(logged.bytes + logged.len, 0, PAGE_BYTES);
			logged.len += PAGE_BYTES;
		}
		save(&logged);
		open_engine();
		expect(0, 10, true);
		assert_int_equal(count_unsynced(), (page - begin) / RECORD_BYTES);
		put(5);
		close_engine();
		open_engine();
		assert_int_equal(count_unsynced(), (page - begin) / RECORD_BYTES);
		close_engine();
	}
	folder_remove(kept);
}

/* It has no number that could be missing, but RocksDB passes over the rest of the block behind it. */
static void
what_follows_a_lone_lost_record_is_not_found(void **state)
{
	const int lost = 40;
	size_t at = BLOCK_BYTES + (size_t)lost * RECORD_BYTES;

	(void)state;
	write_unsynced(lost);
	assert_int_equal(logged.bytes[at + 4], 12 + 2 + DURABLE_MARK_SIZE);
	memset(logged.bytes + at, 0, 7 + 12 + 2 + DURABLE_MARK_SIZE);
	save(&logged);
	open_engine();
	expect(0, 10, true);
	assert_int_equal(count_unsynced(), lost);
}

static void
a_page_of_zeros_in_what_was_durable_is_refused(void **state)
{
	uint64_t number = write_unsynced(-1);
	struct err err;

	(void)state;
	add_mark(&logged, number, number - 1);
	memset(logged.bytes + (size_t)2 * BLOCK_BYTES, 0, PAGE_BYTES);
	save(&logged);
	assert_int_equal(try_open(&e, &err), S_CORRUPT);
	assert_non_null(strstr(err.message, "durable and are lost"));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(killed_it_leaves_zeros_behind_the_log),
	    TEST(an_orderly_end_leaves_none),
	    TEST(a_checkpoint_has_no_zeros_within_its_log),
	    TEST(zeros_are_the_end),
	    TEST(a_record_torn_inside_the_zeros_is_no_damage),
	    TEST(nothing_behind_a_page_that_did_not_arrive_is_found),
	    TEST(what_follows_a_lone_lost_record_is_not_found),
	    TEST(a_page_of_zeros_in_what_was_durable_is_refused),
	};

	return cmocka_run_group_tests_name("log written ahead", tests, NULL, NULL);
}
