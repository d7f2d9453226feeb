#include "main/memory.h"

#include "base/clock.h"

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#define KEPT_MAX          ((size_t)64 << 20)
#define KEPT_A_MINUTE_MAX ((size_t)32 << 20) /* by the look that is made once a minute, whoever is served */
#define END_KEPT          (32 << 20)         /* free bytes at the end of a heap before it shrinks */
#define END_LEFT          (1 << 20)
#define CUT_US            50000
#define MINUTE_NS         60000000000LL

/* Of the heaps and stacks, without the program's file. */
static size_t
resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long resident, of_files;
	size_t pages = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%*u %lu %lu", &resident, &of_files) == 2 && resident > of_files)
		pages = resident - of_files;
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

void
memory_keep_freed(void)
{
	mallopt(M_TRIM_THRESHOLD, END_KEPT);
	mallopt(M_MMAP_THRESHOLD, 4 << 20); /* larger blocks are mapped and unmapped each for itself */
}

/*
 * malloc_trim() gives back the pages between what is used, and the free end of the first heap only. That of the others
 * goes when a block is freed there, which under load is soon.
 */
static void
cut_ends(void)
{
	mallopt(M_TRIM_THRESHOLD, END_LEFT);
	usleep(CUT_US);
	mallopt(M_TRIM_THRESHOLD, END_KEPT);
}

void
memory_give_back(bool quiet)
{
	static int64_t due_ns;
	int64_t now_ns = clock_mono_ns();
	bool due = now_ns >= due_ns;
	size_t kept_max = due ? KEPT_A_MINUTE_MAX : KEPT_MAX, used;
	struct mallinfo2 info;

	if (!due && !quiet)
		return;
	if (due)
		due_ns = now_ns + MINUTE_NS;
	info = mallinfo2();
	used = info.uordblks + info.hblkhd;
	/* what was given back before still counts as free, hence the look at what is really there */
	if (info.fordblks > kept_max && resident_bytes() > used + kept_max) {
		malloc_trim(0);
		cut_ends();
	}
}
