/* Parameter groups, which decide how long nodes keep entries, and subnet groups, which are labels. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/clock.h"
#include "fleet/fleet_int.h"

#define NAME_MAX_BYTES 255

/* Names of groups: letters, digits, dots, hyphens; folded. */
static enum status
check_name(struct slice name, const char *what, char ret[NAME_MAX_BYTES + 1], struct err *err)
{
	bool good = name.len >= 1 && name.len <= NAME_MAX_BYTES;

	for (size_t i = 0; good && i < name.len; i++) {
		char c = name.data[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c + 32);
		good = (c >= 'a' && c <= 'z') ||
		       (i > 0 && ((c >= '0' && c <= '9') || c == '.' || (c == '-' && name.data[i - 1] != '-')));
		ret[i] = c;
	}
	if (!good || name.data[name.len - 1] == '-')
		return err_set(err, S_DAX_VALUE,
			       "%s name is not valid. Names must begin with a letter; must contain only ASCII letters, "
			       "digits, dots and hyphens; and must not end with a hyphen or contain two consecutive "
			       "hyphens.",
			       what);
	ret[name.len] = '\0';
	return S_OK;
}

/* --- parameter groups --- */

#define GROUP "Parameter group"

enum status
fleet_group_find(struct fleet *f, struct slice name, struct fleet_group **ret, struct err *err)
{
	const struct slice other = SLICE(FLEET_DEFAULT_GROUP_2);
	struct slice wanted = name;

	if (name.len == other.len && strncasecmp(name.data, other.data, other.len) == 0)
		wanted = SLICE(FLEET_DEFAULT_GROUP);
	for (struct fleet_group *g = f->groups; g != NULL; g = g->next) {
		if (wanted.len == strlen(g->name) && strncasecmp(g->name, wanted.data, wanted.len) == 0) {
			*ret = g;
			return S_OK;
		}
	}
	return err_set(err, S_DAX_GROUP_NOT_FOUND, "Parameter group not found: %.*s", SLICE_ARG(name));
}

enum status
fleet_group_create(struct fleet *f, struct slice name, struct slice description, struct fleet_group **ret,
		   struct err *err)
{
	char folded[NAME_MAX_BYTES + 1];
	struct fleet_batch *b;
	struct fleet_group *g;
	size_t count = 0;
	enum status s = check_name(name, GROUP, folded, err);

	if (s != S_OK)
		return s;
	for (g = f->groups; g != NULL; g = g->next, count++)
		if (strcmp(g->name, folded) == 0)
			return err_set(err, S_DAX_GROUP_EXISTS, "Parameter group already exists: %s", folded);
	if (strncmp(folded, "default.", 8) == 0)
		return err_set(err, S_DAX_VALUE, "Names of parameter groups must not begin with \"default.\"");
	if (count > FLEET_GROUPS_MAX) /* the default one is not counted */
		return err_set(err, S_DAX_GROUP_QUOTA, "A region can have at most %d parameter groups",
			       FLEET_GROUPS_MAX);
	g = calloc(1, sizeof *g);
	if (g == NULL)
		abort();
	g->name = fleet_copy(slice_str(folded));
	g->description = fleet_copy(description);
	g->item_ttl_ms = g->query_ttl_ms = FLEET_TTL_DEFAULT_MS;
	b = fleet_batch_new(f);
	fleet_batch_put_group(b, g);
	fleet_batch_event(b, SOURCE_PARAMETER_GROUP, g->name, "Parameter group %s created.", g->name);
	s = fleet_batch_end(b, err);
	if (s != S_OK) {
		fleet_group_free(g);
		return s;
	}
	fleet_insert_group(f, g);
	*ret = g;
	return S_OK;
}

static enum status
read_setting(const struct fleet_setting *setting, int64_t *item_ms, int64_t *query_ms, bool *item_set, bool *query_set,
	     struct err *err)
{
	bool item = slice_eq(setting->name, SLICE("record-ttl-millis"));
	int64_t value = 0;

	if (!item && !slice_eq(setting->name, SLICE("query-ttl-millis")))
		return err_set(err, S_DAX_VALUE, "Parameter %.*s does not exist", SLICE_ARG(setting->name));
	for (size_t i = 0; i < setting->value.len; i++) {
		char c = setting->value.data[i];

		value = c >= '0' && c <= '9' && value <= FLEET_TTL_MAX_MS ? value * 10 + (c - '0') : INT64_MAX / 16;
	}
	if (setting->value.len == 0 || value > FLEET_TTL_MAX_MS)
		return err_set(err, S_DAX_VALUE, "Parameter %.*s: %.*s is not an integer from 0 to %d",
			       SLICE_ARG(setting->name), SLICE_ARG(setting->value), FLEET_TTL_MAX_MS);
	*(item ? item_ms : query_ms) = value;
	*(item ? item_set : query_set) = true;
	return S_OK;
}

/* Both parameters have the change type IMMEDIATE. */
static void
apply_group(struct fleet *f, const struct fleet_group *g)
{
	for (struct fleet_cluster *c = f->clusters; c != NULL; c = c->next)
		for (int i = 0; strcmp(c->group, g->name) == 0 && i < c->node_count; i++)
			if (c->nodes[i].member != NULL)
				f->machine.set_ttls(f->machine.context, c->nodes[i].member, g->item_ttl_ms,
						    g->query_ttl_ms);
}

enum status
fleet_group_update(struct fleet *f, struct slice name, const struct fleet_setting *settings, size_t count,
		   struct fleet_group **ret, struct err *err)
{
	struct fleet_group *g, changed;
	struct fleet_batch *b;
	enum status s = fleet_group_find(f, name, &g, err);

	if (s != S_OK)
		return s;
	if (strcmp(g->name, FLEET_DEFAULT_GROUP) == 0)
		return err_set(err, S_DAX_GROUP_STATE, "Default parameter groups cannot be modified: %s", g->name);
	if (count < 1 || count > 20)
		return err_set(err, S_DAX_VALUE, "Between 1 and 20 parameters can be changed at once");
	changed = *g;
	for (size_t i = 0; s == S_OK && i < count; i++)
		s = read_setting(&settings[i], &changed.item_ttl_ms, &changed.query_ttl_ms, &changed.item_set,
				 &changed.query_set, err);
	if (s != S_OK)
		return s;
	b = fleet_batch_new(f);
	fleet_batch_put_group(b, &changed);
	fleet_batch_event(b, SOURCE_PARAMETER_GROUP, g->name, "Parameter group %s updated.", g->name);
	s = fleet_batch_end(b, err);
	if (s != S_OK)
		return s;
	*g = changed;
	apply_group(f, g);
	*ret = g;
	return S_OK;
}

enum status
fleet_group_delete(struct fleet *f, struct slice name, struct err *err)
{
	struct fleet_group *g, **at = &f->groups;
	struct fleet_batch *b;
	enum status s = fleet_group_find(f, name, &g, err);

	if (s != S_OK)
		return s;
	if (strcmp(g->name, FLEET_DEFAULT_GROUP) == 0)
		return err_set(err, S_DAX_GROUP_STATE, "Default parameter groups cannot be deleted: %s", g->name);
	for (const struct fleet_cluster *c = f->clusters; c != NULL; c = c->next)
		if (strcmp(c->group, g->name) == 0)
			return err_set(err, S_DAX_GROUP_STATE, "Parameter group %s is in use by cluster %s", g->name,
				       c->name);
	b = fleet_batch_new(f);
	fleet_batch_delete(b, ROW_GROUP, g->name);
	fleet_batch_event(b, SOURCE_PARAMETER_GROUP, g->name, "Parameter group %s deleted.", g->name);
	s = fleet_batch_end(b, err);
	if (s != S_OK)
		return s;
	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	fleet_group_free(g);
	return S_OK;
}

/* --- subnet groups --- */

#define SUBNETS "Subnet group"

enum status
fleet_subnets_find(struct fleet *f, struct slice name, struct fleet_subnet_group **ret, struct err *err)
{
	for (struct fleet_subnet_group *g = f->subnet_groups; g != NULL; g = g->next) {
		if (name.len == strlen(g->name) && strncasecmp(g->name, name.data, name.len) == 0) {
			*ret = g;
			return S_OK;
		}
	}
	return err_set(err, S_DAX_SUBNETS_NOT_FOUND, "Subnet group not found: %.*s", SLICE_ARG(name));
}

static enum status
check_subnets(const struct slice *subnets, size_t count, struct err *err)
{
	if (count < 1)
		return err_set(err, S_DAX_SUBNET, "A subnet group needs at least one subnet");
	if (count > FLEET_SUBNETS_MAX)
		return err_set(err, S_DAX_SUBNET_QUOTA, "A subnet group can have at most %d subnets",
			       FLEET_SUBNETS_MAX);
	for (size_t i = 0; i < count; i++) {
		if (!slice_starts(subnets[i], SLICE("subnet-")) || subnets[i].len < 8 || subnets[i].len > 64)
			return err_set(err, S_DAX_SUBNET, "Invalid subnet: %.*s", SLICE_ARG(subnets[i]));
		for (size_t j = 0; j < i; j++)
			if (slice_eq(subnets[i], subnets[j]))
				return err_set(err, S_DAX_SUBNET, "Subnet %.*s is named twice", SLICE_ARG(subnets[i]));
	}
	return S_OK;
}

static enum status
keep_subnets(struct fleet *f, const struct fleet_subnet_group *g, const char *what, struct err *err)
{
	struct fleet_batch *b = fleet_batch_new(f);

	fleet_batch_put_subnets(b, g);
	fleet_batch_event(b, SOURCE_SUBNET_GROUP, g->name, "Subnet group %s %s.", g->name, what);
	return fleet_batch_end(b, err);
}

enum status
fleet_subnets_create(struct fleet *f, struct slice name, struct slice description, const struct slice *subnets,
		     size_t count, struct fleet_subnet_group **ret, struct err *err)
{
	char folded[NAME_MAX_BYTES + 1];
	struct fleet_subnet_group *g;
	size_t groups = 0;
	enum status s = check_name(name, SUBNETS, folded, err);

	if (s == S_OK)
		s = check_subnets(subnets, count, err);
	if (s != S_OK)
		return s;
	for (g = f->subnet_groups; g != NULL; g = g->next, groups++)
		if (strcmp(g->name, folded) == 0)
			return err_set(err, S_DAX_SUBNETS_EXIST, "Subnet group already exists: %s", folded);
	if (groups > FLEET_SUBNET_GROUPS_MAX) /* the default one is not counted */
		return err_set(err, S_DAX_SUBNETS_QUOTA, "A region can have at most %d subnet groups",
			       FLEET_SUBNET_GROUPS_MAX);
	g = calloc(1, sizeof *g);
	if (g == NULL)
		abort();
	g->name = fleet_copy(slice_str(folded));
	g->description = fleet_copy(description);
	g->subnets = fleet_copy_texts(subnets, count);
	s = keep_subnets(f, g, "created", err);
	if (s != S_OK) {
		fleet_subnets_free(g);
		return s;
	}
	fleet_insert_subnets(f, g);
	*ret = g;
	return S_OK;
}

enum status
fleet_subnets_update(struct fleet *f, struct slice name, struct slice description, const struct slice *subnets,
		     size_t count, struct fleet_subnet_group **ret, struct err *err)
{
	struct fleet_subnet_group *g, changed;
	enum status s = fleet_subnets_find(f, name, &g, err);

	if (s == S_OK && subnets != NULL)
		s = check_subnets(subnets, count, err);
	if (s != S_OK)
		return s;
	changed = *g;
	changed.description = fleet_copy(description.data != NULL ? description : slice_str(g->description));
	if (subnets != NULL) {
		changed.subnets = fleet_copy_texts(subnets, count);
	} else {
		changed.subnets = g->subnets;
	}
	s = keep_subnets(f, &changed, "updated", err);
	if (s != S_OK) {
		free(changed.description);
		if (subnets != NULL)
			fleet_free_texts(&changed.subnets);
		return s;
	}
	free(g->description);
	if (subnets != NULL)
		fleet_free_texts(&g->subnets);
	*g = changed;
	*ret = g;
	return S_OK;
}

enum status
fleet_subnets_delete(struct fleet *f, struct slice name, struct err *err)
{
	struct fleet_subnet_group *g, **at = &f->subnet_groups;
	struct fleet_batch *b;
	enum status s = fleet_subnets_find(f, name, &g, err);

	if (s != S_OK)
		return s;
	if (strcmp(g->name, "default") == 0)
		return err_set(err, S_DAX_SUBNETS_IN_USE, "The default subnet group cannot be deleted");
	for (const struct fleet_cluster *c = f->clusters; c != NULL; c = c->next)
		if (strcmp(c->subnet_group, g->name) == 0)
			return err_set(err, S_DAX_SUBNETS_IN_USE, "Subnet group %s is in use by cluster %s", g->name,
				       c->name);
	b = fleet_batch_new(f);
	fleet_batch_delete(b, ROW_SUBNETS, g->name);
	fleet_batch_event(b, SOURCE_SUBNET_GROUP, g->name, "Subnet group %s deleted.", g->name);
	s = fleet_batch_end(b, err);
	if (s != S_OK)
		return s;
	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	fleet_subnets_free(g);
	return S_OK;
}

void
fleet_zone_of(const struct fleet *f, const char *subnet, char *ret, size_t size)
{
	size_t len = strlen(subnet);

	/* spread by their last digit; nothing lies behind it */
	snprintf(ret, size, "%s%c", f->region, 'a' + (unsigned char)subnet[len - 1] % 3);
}
