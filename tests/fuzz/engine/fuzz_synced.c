/*
 * Manifests and notes about them of any bytes: the check before opening and the next note end and stay inside their
 * buffers, and what was noted last is what the check then finds. The first byte says where the input is cut into
 * manifest and notes, and whether the notes get sums that fit.
 */
#include "base/log.h"
#include "disk.h"

#include <fcntl.h>

#define NOTE_BYTES 16

static void
write_notes(const uint8_t *data, size_t len, bool mend)
{
	char *notes = malloc(len + 1);

	if (notes == NULL)
		abort();
	memcpy(notes, data, len);
	for (size_t at = 0; mend && at + NOTE_BYTES <= len; at += NOTE_BYTES) {
		uint32_t sum = crc32c(0, notes + at, 12);

		memcpy(notes + at + 12, &sum, sizeof sum);
	}
	write_file("SYNCED-1", notes, len);
	free(notes);
}

/* As after a sync of the manifest, or of one that is removed meanwhile. */
static bool
note(bool removed)
{
	struct synced_manifest manifest;
	char path[64];
	bool noted;
	int fd;

	snprintf(path, sizeof path, "%s/MANIFEST-1", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || !synced_find(fd, &manifest))
		abort();
	if (removed)
		unlink(path);
	noted = synced_note(&manifest);
	close(fd);
	return noted;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct rocks nothing_to_sync = {.ephemeral = true};
	size_t first;
	enum status before;

	if (make_folder()) {
		log_setup(LOG_ERROR, LOG_TEXT); /* notes that cannot be read are worth a line elsewhere */
		rocks_count_engine(&nothing_to_sync, 1);
	}
	if (size < 1)
		return 0;
	first = (size - 1) * (data[0] >> 1) / 127;
	write_file("MANIFEST-1", data + 1, first);
	write_file("SYNCED-2", data, size);
	write_notes(data + 1 + first, size - 1 - first, data[0] & 1);
	before = synced_check(dir, NULL);
	if (before != S_OK && before != S_CORRUPT)
		abort();
	if (synced_tidy(dir, true, NULL) != S_OK)
		abort();
	/* RocksDB goes on with a manifest only where it was right */
	if (before == S_OK && (!note(false) || synced_check(dir, NULL) != S_OK))
		abort();
	if (!note(true))
		abort();
	return 0;
}
