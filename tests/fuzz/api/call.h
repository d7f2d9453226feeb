/* One call of an operation, for the fuzz targets that need no more of it than its answer. */
#ifndef STATOR_TESTS_FUZZ_API_CALL_H
#define STATOR_TESTS_FUZZ_API_CALL_H

#include <stdlib.h>

#include "api/op.h"

static inline void
call_done(struct op_call *call)
{
	(void)call;
}

/* The answer is added to `out`; returns its HTTP status. On the memory engine nothing is waited for. */
static inline int
call_op(struct op_context *context, const char *operation, const char *body, struct buf *out)
{
	struct op_call *call = calloc(1, sizeof *call);
	struct arena arena = {0};
	int status;

	if (call == NULL)
		abort();
	call->context = context;
	call->arena = &arena;
	call->target = arena_printf(&arena, "DynamoDB_20120810.%s", operation);
	call->body = slice_str(body);
	call->out = out;
	call->done = call_done;
	op_start(call);
	status = call->http_status;
	arena_done(&arena);
	free(call);
	return status;
}

#endif
