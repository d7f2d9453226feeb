#include "main/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define BYTES_MAX (1024 * 1024)

static enum status
read_file(const char *path, char **ret, size_t *ret_bytes, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	enum status s = S_OK;
	struct stat st;
	char *text = NULL;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) != 0) {
		s = err_set(err, S_IO, "--credentials: %s: %s", path, strerror(errno));
	} else if ((st.st_mode & 077) != 0) {
		s = err_set(err, S_IO, "--credentials: %s can be read by others (mode %o); chmod 600 it", path,
			    (unsigned)st.st_mode & 0777);
	} else if (!S_ISREG(st.st_mode) || st.st_size > BYTES_MAX) {
		s = err_set(err, S_IO, "--credentials: %s is not a file of at most 1 MB", path);
	} else {
		text = calloc(1, (size_t)st.st_size + 1);
		n = text == NULL ? -1 : read(fd, text, (size_t)st.st_size);
		if (n != st.st_size)
			s = err_set(err, S_IO, "--credentials: %s cannot be read", path);
	}
	if (fd >= 0)
		close(fd);
	if (s != S_OK) {
		free(text);
		text = NULL;
	}
	*ret = text;
	*ret_bytes = text != NULL ? (size_t)st.st_size : 0;
	return s;
}

enum status
credentials_read(const char *path, const char *account, struct auth_keys **ret, struct err *err)
{
	struct err inner;
	char *text;
	size_t bytes;
	enum status s;

	*ret = NULL;
	s = read_file(path, &text, &bytes, err);
	if (s != S_OK)
		return s;
	s = auth_keys_read(slice_of(text, bytes), account, ret, &inner);
	if (s != S_OK)
		err_set(err, s, "--credentials: %s: %.1500s", path, inner.message);
	explicit_bzero(text, bytes);
	free(text);
	return s;
}
