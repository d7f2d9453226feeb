/*
 * File descriptors: the soft limit, which shells and service managers leave at 1,024, is raised to the hard one.
 */
#ifndef STATOR_MAIN_FILES_H
#define STATOR_MAIN_FILES_H

/* Before anything is opened. */
void files_raise_limit(void);
/* How many connections each of `fronts` may have, `wanted` or fewer, so that some descriptors are left for the engine's
 * files. Warns when it is fewer. */
int files_connections(int wanted, int fronts);

#endif
