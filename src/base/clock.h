/*
 * The only source of time. Tests move it (--test-controls); nothing else in the
 * project asks the system what time it is.
 */
#ifndef STATOR_BASE_CLOCK_H
#define STATOR_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_wall_us(void); /* µs since the Unix epoch, plus the test offset */
int64_t clock_wall_ms(void);
int64_t clock_wall_s(void);
int64_t clock_mono_ns(void);     /* for intervals and timeouts; never moved, never steps back */
void clock_shift_us(int64_t by); /* test controls only: move the wall clock; may be negative */

#endif
