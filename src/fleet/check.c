/* What a caller may ask for: names, windows, zones, tags. */
#include <stdio.h>
#include <strings.h>

#include "base/crypto.h"
#include "fleet/fleet_int.h"

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* 1 to 20 letters, digits and hyphens, folded. */
enum status
fleet_check_name(struct slice name, char ret[24], struct err *err)
{
	bool good = name.len >= 1 && name.len <= 20 && is_letter(name.data[0]) && name.data[name.len - 1] != '-';

	for (size_t i = 0; good && i < name.len; i++) {
		char c = name.data[i];

		good = is_letter(c) || is_digit(c) || (c == '-' && name.data[i - 1] != '-');
		ret[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
	}
	if (!good)
		return err_set(
		    err, S_DAX_VALUE,
		    "Cluster ID specified is not a valid identifier. Identifiers must begin with a letter; "
		    "must contain only ASCII letters, digits, and hyphens; and must not end with a hyphen or "
		    "contain two consecutive hyphens.");
	ret[name.len] = '\0';
	return S_OK;
}

enum status
fleet_check_role(struct slice arn, struct err *err)
{
	static const char *const missing[] = {"Second colon partition", "Third colon vendor",
					      "Fourth colon (region/namespace delimiter)",
					      "Fifth colon (namespace/relative-id delimiter)"};
	struct slice rest;

	if (!slice_starts(arn, SLICE("arn:")))
		return err_set(err, S_DAX_VALUE, "ARNs must start with 'arn:': %.*s", SLICE_ARG(arn));
	rest = slice_of(arn.data + 4, arn.len - 4);
	for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
		const char *colon = rest.len > 0 ? memchr(rest.data, ':', rest.len) : NULL;

		if (colon == NULL)
			return err_set(err, S_DAX_VALUE, "%s not found: %.*s", missing[i], SLICE_ARG(arn));
		rest = slice_of(colon + 1, rest.len - (size_t)(colon + 1 - rest.data));
	}
	return S_OK;
}

static const char *const node_types[] = {
    "dax.r3.2xlarge",  "dax.r3.4xlarge",   "dax.r3.8xlarge",   "dax.r3.large",     "dax.r3.xlarge",   "dax.r4.16xlarge",
    "dax.r4.2xlarge",  "dax.r4.4xlarge",   "dax.r4.8xlarge",   "dax.r4.large",     "dax.r4.xlarge",   "dax.r5.12xlarge",
    "dax.r5.16xlarge", "dax.r5.24xlarge",  "dax.r5.2xlarge",   "dax.r5.4xlarge",   "dax.r5.8xlarge",  "dax.r5.large",
    "dax.r5.xlarge",   "dax.r7i.12xlarge", "dax.r7i.16xlarge", "dax.r7i.24xlarge", "dax.r7i.2xlarge", "dax.r7i.4xlarge",
    "dax.r7i.8xlarge", "dax.r7i.large",    "dax.r7i.xlarge",   "dax.t2.medium",    "dax.t2.small",    "dax.t3.medium",
    "dax.t3.small",
};

enum status
fleet_check_node_type(struct slice type, struct err *err)
{
	for (size_t i = 0; i < sizeof node_types / sizeof *node_types; i++)
		if (slice_eq(type, slice_str(node_types[i])))
			return S_OK;
	return err_set(err, S_DAX_VALUE, "Invalid node type: %.*s", SLICE_ARG(type));
}

/* Minute of the week of "sun:05:00"; -1: it is none. */
static int
minute_of(const char *text)
{
	static const char *const days[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

	for (int day = 0; day < 7; day++) {
		int hour, minute;

		if (strncasecmp(text, days[day], 3) != 0 || text[3] != ':' || text[6] != ':' || !is_digit(text[4]) ||
		    !is_digit(text[5]) || !is_digit(text[7]) || !is_digit(text[8]))
			continue;
		hour = (text[4] - '0') * 10 + text[5] - '0';
		minute = (text[7] - '0') * 10 + text[8] - '0';
		return hour < 24 && minute < 60 ? (day * 24 + hour) * 60 + minute : -1;
	}
	return -1;
}

#define WEEK_MINUTES (7 * 24 * 60)

enum status
fleet_check_window(struct slice window, struct err *err)
{
	int from = -1, to = -1;

	if (window.len == 19 && window.data[9] == '-') {
		from = minute_of(window.data);
		to = minute_of(window.data + 10);
	}
	if (from < 0 || to < 0)
		return err_set(err, S_DAX_VALUE, "Invalid maintenance window: %.*s. Expected ddd:hh24:mi-ddd:hh24:mi",
			       SLICE_ARG(window));
	if ((to - from + WEEK_MINUTES) % WEEK_MINUTES < 60)
		return err_set(err, S_DAX_VALUE, "The maintenance window must be at least 60 minutes: %.*s",
			       SLICE_ARG(window));
	return S_OK;
}

char *
fleet_random_window(void)
{
	static const char *const days[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
	uint64_t random = crypto_fast_random();
	int from = (int)(random % (WEEK_MINUTES / 30)) * 30, to = (from + 60) % WEEK_MINUTES;
	char text[40];

	snprintf(text, sizeof text, "%s:%02d:%02d-%s:%02d:%02d", days[from / 1440], from / 60 % 24, from % 60,
		 days[to / 1440], to / 60 % 24, to % 60);
	return fleet_copy(slice_str(text));
}

/* "us-east-1a" */
enum status
fleet_check_zones(const struct fleet *f, const struct slice *zones, size_t count, struct err *err)
{
	size_t len = strlen(f->region);

	for (size_t i = 0; i < count; i++)
		if (zones[i].len != len + 1 || !slice_starts(zones[i], slice_str(f->region)) ||
		    zones[i].data[len] < 'a' || zones[i].data[len] > 'z')
			return err_set(err, S_DAX_VALUE, "Invalid Availability Zone: %.*s", SLICE_ARG(zones[i]));
	return S_OK;
}

enum status
fleet_check_security_groups(const struct slice *groups, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++)
		if (!slice_starts(groups[i], SLICE("sg-")) || groups[i].len < 4 || groups[i].len > 64)
			return err_set(err, S_DAX_VALUE, "Invalid security group: %.*s", SLICE_ARG(groups[i]));
	return S_OK;
}

enum status
fleet_check_tags(const struct slice *keys, const struct slice *values, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		if (keys[i].len < 1 || keys[i].len > 512 || values[i].len > 1024 ||
		    slice_starts(keys[i], SLICE("aws:")))
			return err_set(err, S_DAX_VALUE, "Invalid tag: %.*s", SLICE_ARG(keys[i]));
	}
	return S_OK;
}

/* What this machine's nodes speak; empty is the default. */
enum status
fleet_check_network(const struct fleet *f, struct slice network, char ret[12], struct err *err)
{
	const char *own = f->machine.host != NULL && strchr(f->machine.host, ':') != NULL ? "ipv6" : "ipv4";

	if (network.len > 0 && !slice_eq(network, slice_str(own)))
		return err_set(err, S_DAX_VALUE,
			       "NetworkType %.*s: the nodes of this server are reached through %s addresses",
			       SLICE_ARG(network), own);
	snprintf(ret, 12, "%s", own);
	return S_OK;
}

enum status
fleet_check_replication(int64_t replication, struct err *err)
{
	if (replication < 1)
		return err_set(err, S_DAX_VALUE, "Replication factor must be at least 1");
	if (replication > FLEET_NODES_MAX)
		return err_set(err, S_DAX_NODE_QUOTA, "A cluster can have at most %d nodes", FLEET_NODES_MAX);
	return S_OK;
}
