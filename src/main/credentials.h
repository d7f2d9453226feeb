/* The credentials file of --auth sigv4. docs/ACCESS.md describes what is in it. */
#ifndef STATOR_MAIN_CREDENTIALS_H
#define STATOR_MAIN_CREDENTIALS_H

#include "api/auth.h"

/* Refused when others can read it, or when it is wrong; err says "--credentials: FILE ...". */
enum status credentials_read(const char *path, const char *account, struct auth_keys **ret, struct err *err);

#endif
