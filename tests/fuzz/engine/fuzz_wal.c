/*
 * Log files and manifests of any bytes: the check before opening ends and stays inside its buffers. The first byte says
 * where the input is cut into CURRENT's manifest and two logs.
 */
#include "disk.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t first, second;

	make_folder();
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
