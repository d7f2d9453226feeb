/* A machine for DAX clusters whose nodes do nothing. Included by one .c file each, so all is static. */
#ifndef TESTS_UNIT_FLEET_STILL_MACHINE_H
#define TESTS_UNIT_FLEET_STILL_MACHINE_H

#include <stdlib.h>

#include "fleet/fleet.h"

struct fleet_member {
	int port;
};

static enum status
member_start(void *context, const struct fleet_member_spec *spec, struct fleet_member **ret, int *ret_port,
	     struct err *err)
{
	(void)context, (void)err;
	*ret = calloc(1, sizeof **ret);
	if (*ret == NULL)
		abort();
	*ret_port = spec->port != 0 ? spec->port : 8121;
	return S_OK;
}

static bool
member_is_idle(void *context, struct fleet_member *member)
{
	(void)context, (void)member;
	return true;
}

static void
member_pause(void *context, struct fleet_member *member)
{
	(void)context, (void)member;
}

static enum status
member_again(void *context, struct fleet_member *member, struct err *err)
{
	(void)context, (void)member, (void)err;
	return S_OK;
}

static void
member_stop(void *context, struct fleet_member *member)
{
	(void)context;
	free(member);
}

static void
member_set_ttls(void *context, struct fleet_member *member, int64_t item_ttl_ms, int64_t query_ttl_ms)
{
	(void)context, (void)member, (void)item_ttl_ms, (void)query_ttl_ms;
}

static void
member_tell(void *context, struct fleet_member *discovery, const struct fleet_told *told)
{
	(void)context, (void)discovery;
	for (int i = 0; i < told->count; i++)
		if (told->nodes[i].member == NULL || told->nodes[i].id[0] == '\0')
			abort();
}

static const struct fleet_options still_fleet_options = {
    .region = "us-east-1",
    .account = "000000000000",
    .machine = {.start = member_start,
		.is_idle = member_is_idle,
		.pause = member_pause,
		.again = member_again,
		.stop = member_stop,
		.set_ttls = member_set_ttls,
		.tell = member_tell,
		.host = "127.0.0.1"},
};

#endif
