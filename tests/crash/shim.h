/* What the libraries that stand before the C library share. */
#ifndef STATOR_TESTS_CRASH_SHIM_H
#define STATOR_TESTS_CRASH_SHIM_H

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* The mode that open() and openat() are given behind their last named argument, when they are given one. */
#define SHIM_MODE(last, ret)                                                                                           \
	do {                                                                                                           \
		va_list arguments_;                                                                                    \
                                                                                                                       \
		(ret) = 0;                                                                                             \
		if (((last) & (O_CREAT | O_TMPFILE)) != 0) {                                                           \
			va_start(arguments_, last);                                                                    \
			(ret) = va_arg(arguments_, mode_t);                                                            \
			va_end(arguments_);                                                                            \
		}                                                                                                      \
	} while (0)

/* What syscall() is given behind its number. */
#define SHIM_ARGUMENTS(number, ret)                                                                                    \
	do {                                                                                                           \
		va_list arguments_;                                                                                    \
                                                                                                                       \
		va_start(arguments_, number);                                                                          \
		for (int i_ = 0; i_ < 6; i_++)                                                                         \
			(ret)[i_] = va_arg(arguments_, long);                                                          \
		va_end(arguments_);                                                                                    \
	} while (0)

/* The path behind a descriptor; empty when there is none. */
static inline const char *
shim_path(int fd, char ret[PATH_MAX])
{
	char link_name[64];
	ssize_t n;

	snprintf(link_name, sizeof link_name, "/proc/self/fd/%d", fd);
	n = readlink(link_name, ret, PATH_MAX - 1);
	ret[n > 0 ? n : 0] = '\0';
	return ret;
}

#endif
