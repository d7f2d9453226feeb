/* Folders that tests make and take away again. */
#ifndef STATOR_TESTS_FOLDER_H
#define STATOR_TESTS_FOLDER_H

#include <ftw.h>
#include <stdio.h>

static inline int
folder_remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
	(void)info;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* With all that is in it. 0, or not all of it could be removed. */
static inline int
folder_remove(const char *dir)
{
	return nftw(dir, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
