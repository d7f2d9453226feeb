/* Runs a fuzz target over every file of the folders named, so that found inputs stay tests in every build. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes of a file, exactly sized, so that an overrun is seen; NULL: errno says why not. */
static uint8_t *
read_file(FILE *f, size_t *ret_size)
{
	uint8_t *data;
	long size;

	if (fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0)
		return NULL;
	rewind(f);
	*ret_size = (size_t)size;
	data = malloc(size > 0 ? (size_t)size : 1);
	if (data != NULL && fread(data, 1, (size_t)size, f) != (size_t)size) {
		free(data);
		return NULL;
	}
	return data;
}

static int
replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	size_t size;

	if (f != NULL) {
		data = read_file(f, &size);
		fclose(f);
	}
	if (data == NULL) {
		perror(path);
		return -1;
	}
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 0;
}

int
main(int argc, char **argv)
{
	int files = 0;

	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);
		struct dirent *entry;

		if (dir == NULL) {
			perror(argv[i]);
			return 1;
		}
		while ((entry = readdir(dir)) != NULL) {
			char path[4096];

			if (entry->d_name[0] == '.')
				continue;
			snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
			if (replay_file(path) != 0)
				return 1;
			files++;
		}
		closedir(dir);
	}
	if (files == 0) {
		fprintf(stderr, "no corpus files\n");
		return 1;
	}
	printf("%d inputs replayed\n", files);
	return 0;
}
