/* A folder with the files of a database, for targets that read such files. Included by one .c file each. */
#ifndef TESTS_FUZZ_ENGINE_DISK_H
#define TESTS_FUZZ_ENGINE_DISK_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/rocksdb/rocksdb_int.h"
#include "folder.h"

static char dir[] = "/tmp/stator-fuzz-XXXXXX";

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

static void
remove_folder(void)
{
	folder_remove(dir);
}

/* Before the first input; true then. */
static bool
make_folder(void)
{
	static bool made;

	if (made)
		return false;
	if (mkdtemp(dir) == NULL)
		abort();
	atexit(remove_folder);
	write_file("CURRENT", "MANIFEST-1\n", 11);
	return made = true;
}

#endif
