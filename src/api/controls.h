/*
 * Test controls: what happens by itself in hours, or hardly ever, happens on command. docs/TEST-CONTROLS.md.
 *
 * A table of controls (controls.c): name, parameters, one function. A feature that has something to command adds a row.
 * A front that offers them hands the body of such a request to op_start_control(); it runs where blocking is allowed
 * and is answered when what was asked for has been done and is durable. Off, they cost an operation a load and a
 * branch.
 */
#ifndef STATOR_API_CONTROLS_H
#define STATOR_API_CONTROLS_H

#include "api/op.h"

#define CONTROL_BODY_MAX 65536

/* As op_start(), of a call whose body is {"control": NAME, ...}. A caller who is known must be an administrator. */
void op_start_control(struct op_call *call);
/* All controls with their parameters, and how the clock stands, as JSON. */
void controls_describe(struct buf *out);

#endif
