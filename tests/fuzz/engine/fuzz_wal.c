/*
 * Log files and manifests of any bytes: the check before opening ends and stays inside its buffers. The first byte says
 * where the input is cut into CURRENT's manifest and two logs.
 */
#include "engine/rocksdb/rocksdb_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[] = "/tmp/stator-fuzz-wal-XXXXXX";

static void
clean_up(void)
{
	static const char *const names[] = {"CURRENT", "MANIFEST-1", "2.log", "3.log"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char path[64];

		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

static void
write_file(const char *name, const void *data, size_t len)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "wb");
	if (f == NULL || fwrite(data, 1, len, f) != len)
		abort();
	fclose(f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool made;
	size_t first, second;

	if (!made) {
		if (mkdtemp(dir) == NULL)
			abort();
		atexit(clean_up);
		made = true;
		write_file("CURRENT", "MANIFEST-1\n", 11);
	}
	if (size < 1)
		return 0;
	first = (size - 1) * (data[0] >> 4) / 16;
	second = (size - 1 - first) * (data[0] & 15) / 16;
	write_file("MANIFEST-1", data + 1, first);
	write_file("2.log", data + 1 + first, second);
	write_file("3.log", data + 1 + first + second, size - 1 - first - second);
	wal_check(dir, NULL);
	return 0;
}
