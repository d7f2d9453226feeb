/* What the operations of the DAX control plane need: dax:CreateCluster and the like, on clusters. */
#include "api/auth_int.h"

/* Members that name a cluster: by name or ARN; a list of names needs the right for each of them. */
static const char *const members[] = {"ClusterName", "ResourceName"};

static struct slice
arn_of(struct auth *a, struct slice name)
{
	char *folded;

	if (slice_starts(name, SLICE("arn:")))
		return name;
	folded = arena_alloc(a->call->arena, name.len + 1);
	for (size_t i = 0; i < name.len; i++) /* as they are kept */
		folded[i] = name.data[i] >= 'A' && name.data[i] <= 'Z' ? (char)(name.data[i] + 32) : name.data[i];
	return arena_printf(a->call->arena, "%.*scache/%.*s", SLICE_ARG(auth_prefix(a)), (int)name.len, folded);
}

enum status
auth_dax_needs(struct auth *a)
{
	const struct in_list *names = auth_member(a->shape, a->in, "ClusterNames", SHAPE_LIST);
	struct need need = {.action = a->call->op->name, .resource = SLICE("*")};
	enum status s = S_OK;

	for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
		const struct slice *name = auth_member(a->shape, a->in, members[i], SHAPE_STRING);

		if (name != NULL && name->len > 0)
			need.resource = arn_of(a, *name);
	}
	if (names == NULL || names->count == 0)
		return auth_need(a, &need);
	for (uint32_t i = 0; s == S_OK && i < names->count; i++) {
		need.resource = arn_of(a, ((const struct slice *)names->items)[i]);
		s = auth_need(a, &need);
	}
	return s;
}
