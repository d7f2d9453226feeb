/*
 * Any bytes as the file of attribute lists: it is refused, or opened with the lists that are whole; a list that is then
 * added and synced is there when it is opened again, with all that were there before.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "dax/lists.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[] = "/dev/shm/stator-fuzz-lists-XXXXXX"; /* it is synced often */

static void
remove_file(void)
{
	(void)unlink(path);
}

static void
write_file(const uint8_t *data, size_t size)
{
	static bool named; /* not told by the name's last letter: that may be an X, too */
	FILE *f;

	if (!named) {
		int fd = mkstemp(path);

		if (fd < 0)
			abort();
		close(fd);
		named = true;
		atexit(remove_file);
		log_setup(LOG_ERROR, LOG_TEXT); /* each cut is worth a line elsewhere */
	}
	f = fopen(path, "wb");
	if (f == NULL || fwrite(data, 1, size, f) != size || fclose(f) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct slice names[] = {{"added", 5}, {"later", 5}};
	const struct dax_list *added, *found;
	struct dax_lists *lists;
	struct err err = {0};
	uint64_t count;

	write_file(data, size);
	if (dax_lists_open(path, &lists, &err) != S_OK) {
		if (err.message[0] == '\0')
			abort();
		return 0;
	}
	if (dax_lists_add(lists, names, 2, &added, &err) != S_OK || dax_lists_sync(lists, &err) != S_OK)
		abort();
	count = dax_lists_count(lists);
	for (const struct dax_list *l = dax_lists_after(lists, NULL); l != NULL; l = dax_lists_after(lists, l))
		if (dax_lists_find(lists, l->id) != l)
			abort();
	uint64_t id = added->id;

	dax_lists_close(lists);
	if (dax_lists_open(path, &lists, &err) != S_OK || dax_lists_count(lists) != count)
		abort();
	found = dax_lists_find(lists, id);
	if (found == NULL || found->count != 2 || !slice_eq(found->names[1], names[1]))
		abort();
	dax_lists_close(lists);
	return 0;
}
