/*
 * The only source of time: nothing else in the project asks the system what time it is.
 *
 * Test controls (docs/TEST-CONTROLS.md) move the time that data has: clock_wall_...() may be set forward and back and
 * be stopped. Two more kinds of time follow it or do not:
 *   clock_passed_ns()  of what fills or runs out with time (token buckets): moves forward when the wall clock is moved
 *                      forward, stands still when it stands, never steps back
 *   clock_mono_ns()    of waiting for machines (timeouts, pauses, measuring): never touched
 *   clock_real_...()   of what is told to or by others (signatures, the Date of an answer, lines of the log): never
 *                      touched
 */
#ifndef STATOR_BASE_CLOCK_H
#define STATOR_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_MAX_US 253402300799000000LL /* end of year 9999; the commanded time lies in [0, CLOCK_MAX_US] */

int64_t clock_wall_us(void); /* µs since the Unix epoch */
int64_t clock_wall_ms(void);
int64_t clock_wall_s(void);
int64_t clock_real_us(void);
int64_t clock_real_ms(void);
int64_t clock_real_s(void);
int64_t clock_mono_ns(void);
int64_t clock_passed_ns(void);

/* Test controls only. Any thread. */
void clock_shift_us(int64_t by); /* may be negative; stops at the ends of what the commanded time may be */
void clock_set_us(int64_t to);   /* the same, by how much is missing */
void clock_freeze(bool frozen);  /* stand still; go on from there */
void clock_reset(void);          /* the machine's time again, running */
bool clock_is_frozen(void);

#endif
