/*
 * A data directory with any VERSION and any LOCK in it, or none: it is opened, or refused with words and left as it
 * was. Input: a byte (1: there is a VERSION, 2: there is a LOCK, 4: there is a file of somebody else's, 8: one that was
 * not finished), a length, so many bytes of LOCK, and VERSION.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/rocksdb/rocksdb_int.h"
#include "main/datadir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/stator-fuzz-datadir-XXXXXX";
static const char *const names[] = {"VERSION", "LOCK", "stranger", "VERSION.new"};

static const char *
path_of(size_t i)
{
	static char path[64];

	snprintf(path, sizeof path, "%s/%s", dir, names[i]);
	return path;
}

static void
put_file(size_t i, bool there, const uint8_t *data, size_t size)
{
	FILE *f;

	if (!there) {
		unlink(path_of(i));
		return;
	}
	f = fopen(path_of(i), "wb");
	if (f == NULL || fwrite(data, 1, size, f) != size || fclose(f) != 0)
		abort();
}

static size_t
get_file(size_t i, char ret[4096])
{
	FILE *f = fopen(path_of(i), "rb");
	size_t n = f != NULL ? fread(ret, 1, 4096, f) : 0;

	if (f != NULL)
		fclose(f);
	return n;
}

static void
clean_up(void)
{
	for (size_t i = 0; i < 4; i++)
		unlink(path_of(i));
	rmdir(dir);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct rocks nothing_to_sync = {.ephemeral = true};
	static bool made;
	struct datadir d;
	struct err err = {0};
	char version[4096], told[4096];
	size_t lock_size;

	if (size < 2 || size > 4000)
		return 0;
	if (!made) {
		rocks_count_engine(&nothing_to_sync, 1);
		if (mkdtemp(dir) == NULL)
			abort();
		atexit(clean_up);
		made = true;
	}
	lock_size = data[1] < size - 2 ? data[1] : size - 2;
	put_file(0, data[0] & 1, data + 2 + lock_size, size - 2 - lock_size);
	put_file(1, data[0] & 2, data + 2, lock_size);
	put_file(2, data[0] & 4, data, 1);
	put_file(3, data[0] & 8, data, size);
	if (datadir_open(dir, &d, &err) == S_OK) {
		size_t n = get_file(0, version);
		long format;

		version[n < sizeof version ? n : n - 1] = '\0';
		if (sscanf(version, "stator data format %ld", &format) != 1 || format < 1 || format > DATA_FORMAT ||
		    ((data[0] & 5) == 4))
			abort();
		n = get_file(1, told);
		told[n < sizeof told ? n : sizeof told - 1] = '\0';
		if (strtol(told, NULL, 10) != (long)getpid())
			abort();
		datadir_close(&d);
	} else {
		if (err.message[0] == '\0')
			abort();
		if (data[0] & 1) { /* not a byte of it has changed */
			size_t n = get_file(0, version);

			if (n != size - 2 - lock_size || memcmp(version, data + 2 + lock_size, n) != 0)
				abort();
		}
	}
	return 0;
}
