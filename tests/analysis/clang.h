/*
 * What clang's analyzer, which sees one file at a time, must know of functions in others. Included by scripts/analyse
 * before each file but base/status.c.
 */
#ifndef STATOR_TESTS_ANALYSIS_CLANG_H
#define STATOR_TESTS_ANALYSIS_CLANG_H

#include "base/status.h"

/* It returns its second argument: S_OK never comes with a failure. */
#define err_set(err, status, ...) ((void)(err_set)(err, status, __VA_ARGS__), (status))

/* cmocka's: it ends the test. */
__attribute__((noreturn)) void _fail(const char *file, int line);

#endif
