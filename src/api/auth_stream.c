/* What the operations of DynamoDB Streams need: rights on streams, by the
 * caller's policies and the stream's own. A table's resource policy has no say in them. */
#include "api/auth_int.h"

static struct slice
member(struct auth *a, const char *name)
{
	const struct slice *text = a->shape != NULL ? auth_member(a->shape, a->in, name, SHAPE_STRING) : NULL;

	return text != NULL ? *text : SLICE_NONE;
}

/* An iterator begins with its stream's ARN. One that was not made here is found out later, whatever ARN it shows. */
static struct slice
arn_of_iterator(struct slice iterator)
{
	const char *bar = iterator.len > 0 ? memchr(iterator.data, '|', iterator.len) : NULL;

	return bar != NULL ? slice_of(iterator.data, (size_t)(bar - iterator.data)) : SLICE_NONE;
}

enum status
auth_stream_needs(struct auth *a)
{
	struct need need = {.action = a->call->op->name, .resource = member(a, "StreamArn")};
	struct slice table = member(a, "TableName");

	if (need.resource.len == 0)
		need.resource = arn_of_iterator(member(a, "ShardIterator"));
	need.stream = need.resource;
	if (need.resource.len == 0 && strcmp(need.action, "ListStreams") == 0)
		need.resource = arena_printf(a->call->arena, "%.*stable/%.*s/stream/*", SLICE_ARG(auth_prefix(a)),
					     SLICE_ARG(table.len > 0 ? table : SLICE("*")));
	if (need.resource.len == 0)
		need.resource = SLICE("*");
	return auth_need(a, &need);
}
