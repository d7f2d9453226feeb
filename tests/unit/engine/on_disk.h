/* An engine in a folder of its own, for the tests of what is on the disk. Included by one .c file each. */
#ifndef TESTS_UNIT_ENGINE_ON_DISK_H
#define TESTS_UNIT_ENGINE_ON_DISK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <dirent.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/fault.h"
#include "engine/engine.h"
#include "folder.h"

#define UNUSED __attribute__((unused))

static char dir[64];
static uint64_t min_free_bytes;
static struct engine *e;

static UNUSED enum status
try_open_at(const char *path, struct engine **ret, struct err *err)
{
	struct engine_options options = {path, 8 << 20, 4 << 20, false, min_free_bytes};

	return engine_rocksdb_open(&options, ret, err);
}

static UNUSED enum status
try_open(struct engine **ret, struct err *err)
{
	return try_open_at(dir, ret, err);
}

static UNUSED void
open_engine(void)
{
	struct err err;

	if (try_open(&e, &err) != S_OK)
		fail_msg("%s", err.message);
}

static UNUSED void
close_engine(void)
{
	engine_close(e);
	e = NULL;
}

static UNUSED int
setup(void **state)
{
	(void)state;
	min_free_bytes = 1 << 20;
	snprintf(dir, sizeof dir, "%s", "/tmp/stator-engine-XXXXXX");
	assert_non_null(mkdtemp(dir));
	open_engine();
	return 0;
}

static UNUSED int
teardown(void **state)
{
	(void)state;
	fault_setup(NULL);
	engine_close(e);
	e = NULL;
	umount2(dir, MNT_DETACH); /* left by a test that failed half-way; else it is no mount */
	folder_remove(dir);
	return 0;
}

static UNUSED enum status
try_put(int number, size_t size, uint64_t *ret_seq, struct err *err)
{
	struct engine_batch *b = engine_batch_new(e);
	char *value = calloc(1, size + 1);
	char key[16];
	enum status s;

	snprintf(key, sizeof key, "%08d", number);
	memset(value, 'a' + number % 26, size);
	engine_batch_put(b, SPACE_ITEMS, slice_str(key), slice_of(value, size));
	s = engine_apply(e, b, ret_seq, err);
	engine_batch_free(b);
	free(value);
	return s;
}

static UNUSED void
put(int number)
{
	uint64_t seq;
	struct err err;

	if (try_put(number, 100, &seq, &err) != S_OK || engine_sync_to(e, seq, &err) != S_OK)
		fail_msg("%s", err.message);
}

static UNUSED bool
is_in(struct engine *engine, int number)
{
	struct engine_value v;
	struct err err;
	char key[16];
	enum status s;

	snprintf(key, sizeof key, "%08d", number);
	s = engine_get(engine, NULL, SPACE_ITEMS, slice_str(key), ENGINE_MAY_BLOCK, &v, &err);
	if (s != S_OK && s != S_NOT_FOUND)
		fail_msg("%s", err.message);
	engine_value_done(&v);
	return s == S_OK;
}

static UNUSED bool
is_there(int number)
{
	return is_in(e, number);
}

/* Tries for a minute. */
static UNUSED void
wait_until_writable(int number)
{
	uint64_t seq;
	struct err err;

	for (int i = 0; i < 6000; i++) {
		if (try_put(number, 100, &seq, &err) == S_OK && engine_sync_to(e, seq, &err) == S_OK)
			return;
		usleep(10000);
	}
	fail_msg("still not writable: %s", err.message);
}

static UNUSED void
newest_log(char path[128])
{
	struct dirent *entry;
	unsigned long newest = 0;
	DIR *d = opendir(dir);

	while ((entry = readdir(d)) != NULL) {
		char *end;
		unsigned long number = strtoul(entry->d_name, &end, 10);

		if (strcmp(end, ".log") == 0 && number >= newest) {
			newest = number;
			snprintf(path, 128, "%s/%.32s", dir, entry->d_name);
		}
	}
	closedir(d);
	assert_true(newest > 0);
}

static UNUSED void
copy_file(const char *from, const char *to)
{
	FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
	char room[65536];
	size_t n;

	assert_non_null(in);
	assert_non_null(out);
	while ((n = fread(room, 1, sizeof room, in)) > 0)
		assert_int_equal(fwrite(room, 1, n, out), n);
	fclose(in);
	assert_int_equal(fclose(out), 0);
}

static UNUSED void
copy_folder(const char *from, const char *to)
{
	struct dirent *entry;
	DIR *d = opendir(from);

	assert_non_null(d);
	while ((entry = readdir(d)) != NULL) {
		char source[384], target[384];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(source, sizeof source, "%s/%s", from, entry->d_name);
		snprintf(target, sizeof target, "%s/%s", to, entry->d_name);
		copy_file(source, target);
	}
	closedir(d);
}

#endif
