/*
 * Named places where a test may make the process fail: return an error, wait,
 * or die on the spot. Off (one relaxed load) unless armed.
 *
 *   STATOR_FAULT=engine-before-sync:kill:100   die at the 100th passage
 *   STATOR_FAULT=engine-sync:io                every passage fails
 */
#ifndef STATOR_BASE_FAULT_H
#define STATOR_BASE_FAULT_H

#include <stdatomic.h>
#include <stdbool.h>

extern atomic_bool fault_armed;
bool fault_hit_slow(const char *name);
/*
 * Arm what the specification names and nothing else; NULL or "" disarms. Commas separate several:
 * name:kind or name:kind:n for the n-th passage only (counted from 1, from now). Kinds: kill (SIGKILL to
 * this process), io (fault_hit() says true), sleep:MS. False when it is malformed; the faults are then as they were.
 */
bool fault_setup(const char *specification);

/* True when the named place shall fail now. */
static inline bool
fault_hit(const char *name)
{
	return atomic_load_explicit(&fault_armed, memory_order_relaxed) && fault_hit_slow(name);
}

#endif
