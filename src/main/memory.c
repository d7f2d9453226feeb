#include "main/memory.h"

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#define KEPT_MAX ((size_t)64 << 20)

static size_t
resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long resident = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%*u %lu", &resident) != 1)
		resident = 0;
	fclose(f);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

void
memory_keep_freed(void)
{
	mallopt(M_TRIM_THRESHOLD, 32 << 20); /* free bytes at the end of a thread's heap before it shrinks */
	mallopt(M_MMAP_THRESHOLD, 4 << 20);  /* larger blocks are mapped and unmapped each for itself */
}

void
memory_give_back(bool quiet)
{
	struct mallinfo2 info;
	size_t used, resident;

	if (!quiet)
		return;
	info = mallinfo2();
	used = info.uordblks + info.hblkhd;
	resident = resident_bytes();
	/* what was given back before still counts as free, hence the look at what is really there */
	if (info.fordblks > KEPT_MAX && resident > used + KEPT_MAX)
		malloc_trim(0);
}
