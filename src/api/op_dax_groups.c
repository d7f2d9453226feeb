/* The DAX control plane: parameter groups, subnet groups, events. */
#include <stdio.h>
#include <stdlib.h>

#include "api/op_dax.h"
#include "base/clock.h"

#define DAY_MS (INT64_C(86400) * 1000)

static const struct field text_element = ELEMENT("member", SHAPE_STRING, 0);

/* --- requests --- */

struct setting_in {
	struct slice name, value;
};
struct group_in {
	struct slice name, description, source;
	struct in_list settings, names;
	struct dax_page_in page;
};
struct subnets_in {
	struct slice name, description;
	struct in_list subnets, names;
	struct dax_page_in page;
};
struct events_in {
	struct slice source;
	struct in_enum type;
	struct slice start, end; /* JSON */
	struct in_long duration;
	struct dax_page_in page;
};

static const struct field setting_fields[] = {
    FIELD(struct setting_in, name, "ParameterName", SHAPE_STRING, 0),
    FIELD(struct setting_in, value, "ParameterValue", SHAPE_STRING, 0),
    FIELD_END,
};
static const struct shape shape_setting = {"ParameterNameValue", sizeof(struct setting_in), setting_fields};
static const struct field setting_element = ELEMENT("member", SHAPE_STRUCT, 0, .shape = &shape_setting);

static const struct field group_create_fields[] = {
    FIELD(struct group_in, name, "ParameterGroupName", SHAPE_STRING, FIELD_REQUIRED),
    FIELD(struct group_in, description, "Description", SHAPE_STRING, 0),
    FIELD_END,
};
const struct shape shape_dax_group_create = {"CreateParameterGroupRequest", sizeof(struct group_in),
					     group_create_fields};
static const struct field group_update_fields[] = {
    FIELD(struct group_in, name, "ParameterGroupName", SHAPE_STRING, FIELD_REQUIRED),
    FIELD(struct group_in, settings, "ParameterNameValues", SHAPE_LIST, FIELD_REQUIRED, .element = &setting_element),
    FIELD_END,
};
const struct shape shape_dax_group_update = {"UpdateParameterGroupRequest", sizeof(struct group_in),
					     group_update_fields};
static const struct field group_name_fields[] = {
    FIELD(struct group_in, name, "ParameterGroupName", SHAPE_STRING, FIELD_REQUIRED),
    FIELD_END,
};
const struct shape shape_dax_group_name = {"DeleteParameterGroupRequest", sizeof(struct group_in), group_name_fields};
static const struct field groups_describe_fields[] = {
    FIELD(struct group_in, names, "ParameterGroupNames", SHAPE_LIST, 0, .element = &text_element),
    DAX_PAGE_FIELDS(struct group_in, page),
    FIELD_END,
};
const struct shape shape_dax_groups_describe = {"DescribeParameterGroupsRequest", sizeof(struct group_in),
						groups_describe_fields};
static const struct field parameters_fields[] = {
    FIELD(struct group_in, name, "ParameterGroupName", SHAPE_STRING, FIELD_REQUIRED),
    FIELD(struct group_in, source, "Source", SHAPE_STRING, 0),
    DAX_PAGE_FIELDS(struct group_in, page),
    FIELD_END,
};
const struct shape shape_dax_parameters = {"DescribeParametersRequest", sizeof(struct group_in), parameters_fields};
static const struct field default_parameters_fields[] = {
    DAX_PAGE_FIELDS(struct group_in, page),
    FIELD_END,
};
const struct shape shape_dax_default_parameters = {"DescribeDefaultParametersRequest", sizeof(struct group_in),
						   default_parameters_fields};

static const struct field subnets_create_fields[] = {
    FIELD(struct subnets_in, name, "SubnetGroupName", SHAPE_STRING, FIELD_REQUIRED),
    FIELD(struct subnets_in, description, "Description", SHAPE_STRING, 0),
    FIELD(struct subnets_in, subnets, "SubnetIds", SHAPE_LIST, FIELD_REQUIRED, .element = &text_element),
    FIELD_END,
};
const struct shape shape_dax_subnets_create = {"CreateSubnetGroupRequest", sizeof(struct subnets_in),
					       subnets_create_fields};
static const struct field subnets_update_fields[] = {
    FIELD(struct subnets_in, name, "SubnetGroupName", SHAPE_STRING, FIELD_REQUIRED),
    FIELD(struct subnets_in, description, "Description", SHAPE_STRING, 0),
    FIELD(struct subnets_in, subnets, "SubnetIds", SHAPE_LIST, 0, .element = &text_element),
    FIELD_END,
};
const struct shape shape_dax_subnets_update = {"UpdateSubnetGroupRequest", sizeof(struct subnets_in),
					       subnets_update_fields};
static const struct field subnets_name_fields[] = {
    FIELD(struct subnets_in, name, "SubnetGroupName", SHAPE_STRING, FIELD_REQUIRED),
    FIELD_END,
};
const struct shape shape_dax_subnets_name = {"DeleteSubnetGroupRequest", sizeof(struct subnets_in),
					     subnets_name_fields};
static const struct field subnets_describe_fields[] = {
    FIELD(struct subnets_in, names, "SubnetGroupNames", SHAPE_LIST, 0, .element = &text_element),
    DAX_PAGE_FIELDS(struct subnets_in, page),
    FIELD_END,
};
const struct shape shape_dax_subnets_describe = {"DescribeSubnetGroupsRequest", sizeof(struct subnets_in),
						 subnets_describe_fields};

static const char *const values_source[] = {"CLUSTER", "PARAMETER_GROUP", "SUBNET_GROUP", NULL}; /* as fleet_source */
static const struct field events_fields[] = {
    FIELD(struct events_in, source, "SourceName", SHAPE_STRING, 0),
    FIELD(struct events_in, type, "SourceType", SHAPE_ENUM, 0, .values = values_source),
    FIELD(struct events_in, start, "StartTime", SHAPE_ANY, 0),
    FIELD(struct events_in, end, "EndTime", SHAPE_ANY, 0),
    FIELD(struct events_in, duration, "Duration", SHAPE_INT, 0),
    DAX_PAGE_FIELDS(struct events_in, page),
    FIELD_END,
};
const struct shape shape_dax_events = {"DescribeEventsRequest", sizeof(struct events_in), events_fields};

/* --- parameter groups --- */

static void
put_text(struct buf *out, const char *name, const char *text)
{
	if (text == NULL)
		return;
	buf_printf(out, ",\"%s\":", name);
	json_put_string(out, slice_str(text));
}

static void
put_group(struct buf *out, const struct fleet_group *g)
{
	buf_put_lit(out, "{\"ParameterGroupName\":");
	json_put_string(out, slice_str(g->name));
	put_text(out, "Description", g->description);
	buf_put_byte(out, '}');
}

static enum status
reply_group(struct op_call *call, struct fleet *f, const struct fleet_group *g, enum status s)
{
	if (s == S_OK) {
		buf_put_lit(call->out, "{\"ParameterGroup\":");
		put_group(call->out, g);
		buf_put_byte(call->out, '}');
	}
	return dax_end(f, s);
}

enum status
op_dax_group_create(struct op_call *call, const void *input, struct err *err)
{
	const struct group_in *in = input;
	struct fleet_group *g = NULL;
	struct fleet *f = NULL;
	enum status s = dax_begin(call, &f, err);

	if (s == S_OK)
		s = fleet_group_create(f, in->name, in->description, &g, err);
	return reply_group(call, f, g, s);
}

enum status
op_dax_group_update(struct op_call *call, const void *input, struct err *err)
{
	const struct group_in *in = input;
	struct fleet_setting *settings = ARENA_ARRAY(call->arena, struct fleet_setting, in->settings.count);
	struct fleet_group *g = NULL;
	struct fleet *f = NULL;
	enum status s = dax_begin(call, &f, err);

	for (uint32_t i = 0; i < in->settings.count; i++) {
		const struct setting_in *one = ((void *const *)in->settings.items)[i];

		if (one != NULL)
			settings[i] = (struct fleet_setting){one->name, one->value};
	}
	if (s == S_OK)
		s = fleet_group_update(f, in->name, settings, in->settings.count, &g, err);
	return reply_group(call, f, g, s);
}

static void
put_deletion(struct op_call *call, const char *what, struct slice name)
{
	buf_put_lit(call->out, "{\"DeletionMessage\":");
	json_put_string(call->out, arena_printf(call->arena, "%s %.*s has been deleted.", what, SLICE_ARG(name)));
	buf_put_byte(call->out, '}');
}

enum status
op_dax_group_delete(struct op_call *call, const void *input, struct err *err)
{
	const struct group_in *in = input;
	struct fleet *f = NULL;
	enum status s = dax_begin(call, &f, err);

	if (s == S_OK)
		s = fleet_group_delete(f, in->name, err);
	if (s == S_OK)
		put_deletion(call, "Parameter group", in->name);
	return dax_end(f, s);
}

enum status
op_dax_groups_describe(struct op_call *call, const void *input, struct err *err)
{
	const struct group_in *in = input;
	struct fleet_group *g, *last = NULL;
	struct fleet *f = NULL;
	size_t count;
	enum status s = dax_page(&in->page, &count, err);

	if (s == S_OK)
		s = dax_begin(call, &f, err);
	if (s != S_OK)
		return s;
	buf_put_lit(call->out, "{\"ParameterGroups\":[");
	for (uint32_t i = 0; s == S_OK && i < in->names.count; i++) {
		s = fleet_group_find(f, dax_texts(&in->names)[i], &g, err);
		if (i > 0)
			buf_put_byte(call->out, ',');
		if (s == S_OK)
			put_group(call->out, g);
	}
	for (g = in->names.count > 0 ? NULL : fleet_groups(f); g != NULL && count > 0; g = g->next) {
		if (slice_cmp(slice_str(g->name), in->page.token) <= 0)
			continue;
		if (last != NULL)
			buf_put_byte(call->out, ',');
		put_group(call->out, g);
		last = g;
		count--;
	}
	buf_put_byte(call->out, ']');
	if (g != NULL && last != NULL)
		put_text(call->out, "NextToken", last->name);
	buf_put_byte(call->out, '}');
	return dax_end(f, s);
}

/* --- parameters --- */

static void
put_parameter(struct buf *out, const char **between, const char *name, const char *what, int64_t value, bool by_user,
	      struct slice source)
{
	const char *from = by_user ? "user" : "system";

	if (source.len > 0 && !slice_eq(source, slice_str(from)))
		return;
	buf_printf(out,
		   "%s{\"ParameterName\":\"%s\",\"ParameterType\":\"DEFAULT\",\"ParameterValue\":\"%lld\","
		   "\"NodeTypeSpecificValues\":[],\"Description\":\"%s\",\"Source\":\"%s\",\"DataType\":\"integer\","
		   "\"AllowedValues\":\"0-%d\",\"IsModifiable\":\"TRUE\",\"ChangeType\":\"IMMEDIATE\"}",
		   *between, name, (long long)value, what, from, FLEET_TTL_MAX_MS);
	*between = ",";
}

static enum status
reply_parameters(struct op_call *call, struct slice group, struct slice source, const struct dax_page_in *page,
		 struct err *err)
{
	struct fleet_group *g = NULL;
	struct fleet *f = NULL;
	const char *between = "";
	size_t count;
	enum status s = dax_page(page, &count, err);

	if (s == S_OK && page->token.len > 0) /* all of them fit into one answer */
		s = err_set(err, S_DAX_VALUE, "Invalid NextToken: %.*s", SLICE_ARG(page->token));
	if (s == S_OK)
		s = dax_begin(call, &f, err);
	if (s == S_OK)
		s = fleet_group_find(f, group, &g, err);
	if (s == S_OK) {
		buf_put_lit(call->out, "{\"Parameters\":[");
		put_parameter(call->out, &between, "query-ttl-millis",
			      "Duration in milliseconds for queries to remain cached", g->query_ttl_ms, g->query_set,
			      source);
		put_parameter(call->out, &between, "record-ttl-millis",
			      "Duration in milliseconds for records to remain valid in cache (0: without end)",
			      g->item_ttl_ms, g->item_set, source);
		buf_put_lit(call->out, "]}");
	}
	return dax_end(f, s);
}

enum status
op_dax_parameters(struct op_call *call, const void *input, struct err *err)
{
	const struct group_in *in = input;

	return reply_parameters(call, in->name, in->source, &in->page, err);
}

enum status
op_dax_default_parameters(struct op_call *call, const void *input, struct err *err)
{
	const struct group_in *in = input;

	return reply_parameters(call, SLICE(FLEET_DEFAULT_GROUP), SLICE_NONE, &in->page, err);
}

/* --- subnet groups --- */

static void
put_subnets(struct buf *out, const struct fleet *f, const struct fleet_subnet_group *g)
{
	char zone[64];

	buf_put_lit(out, "{\"SubnetGroupName\":");
	json_put_string(out, slice_str(g->name));
	put_text(out, "Description", g->description);
	buf_put_lit(out, ",\"Subnets\":[");
	for (size_t i = 0; i < g->subnets.count; i++) {
		fleet_zone_of(f, g->subnets.items[i], zone, sizeof zone);
		buf_put_slice(out, i > 0 ? SLICE(",{\"SubnetIdentifier\":") : SLICE("{\"SubnetIdentifier\":"));
		json_put_string(out, slice_str(g->subnets.items[i]));
		put_text(out, "SubnetAvailabilityZone", zone);
		buf_put_lit(out, ",\"SupportedNetworkTypes\":[\"ipv4\",\"ipv6\"]}");
	}
	buf_put_lit(out, "],\"SupportedNetworkTypes\":[\"ipv4\",\"ipv6\"]}");
}

static enum status
reply_subnets(struct op_call *call, struct fleet *f, const struct fleet_subnet_group *g, enum status s)
{
	if (s == S_OK) {
		buf_put_lit(call->out, "{\"SubnetGroup\":");
		put_subnets(call->out, f, g);
		buf_put_byte(call->out, '}');
	}
	return dax_end(f, s);
}

enum status
op_dax_subnets_create(struct op_call *call, const void *input, struct err *err)
{
	const struct subnets_in *in = input;
	struct fleet_subnet_group *g = NULL;
	struct fleet *f = NULL;
	enum status s = dax_begin(call, &f, err);

	if (s == S_OK)
		s = fleet_subnets_create(f, in->name, in->description, dax_texts(&in->subnets), in->subnets.count, &g,
					 err);
	return reply_subnets(call, f, g, s);
}

enum status
op_dax_subnets_update(struct op_call *call, const void *input, struct err *err)
{
	static const struct slice none[1];
	const struct subnets_in *in = input;
	const struct slice *subnets = in->subnets.count > 0 ? dax_texts(&in->subnets) : none;
	struct fleet_subnet_group *g = NULL;
	struct fleet *f = NULL;
	enum status s = dax_begin(call, &f, err);

	if (s == S_OK)
		s = fleet_subnets_update(f, in->name, in->description, in->subnets.set ? subnets : NULL,
					 in->subnets.count, &g, err);
	return reply_subnets(call, f, g, s);
}

enum status
op_dax_subnets_delete(struct op_call *call, const void *input, struct err *err)
{
	const struct subnets_in *in = input;
	struct fleet *f = NULL;
	enum status s = dax_begin(call, &f, err);

	if (s == S_OK)
		s = fleet_subnets_delete(f, in->name, err);
	if (s == S_OK)
		put_deletion(call, "Subnet group", in->name);
	return dax_end(f, s);
}

enum status
op_dax_subnets_describe(struct op_call *call, const void *input, struct err *err)
{
	const struct subnets_in *in = input;
	struct fleet_subnet_group *g, *last = NULL;
	struct fleet *f = NULL;
	size_t count;
	enum status s = dax_page(&in->page, &count, err);

	if (s == S_OK)
		s = dax_begin(call, &f, err);
	if (s != S_OK)
		return s;
	buf_put_lit(call->out, "{\"SubnetGroups\":[");
	for (uint32_t i = 0; s == S_OK && i < in->names.count; i++) {
		s = fleet_subnets_find(f, dax_texts(&in->names)[i], &g, err);
		if (i > 0)
			buf_put_byte(call->out, ',');
		if (s == S_OK)
			put_subnets(call->out, f, g);
	}
	for (g = in->names.count > 0 ? NULL : fleet_subnet_groups(f); g != NULL && count > 0; g = g->next) {
		if (slice_cmp(slice_str(g->name), in->page.token) <= 0)
			continue;
		if (last != NULL)
			buf_put_byte(call->out, ',');
		put_subnets(call->out, f, g);
		last = g;
		count--;
	}
	buf_put_byte(call->out, ']');
	if (g != NULL && last != NULL)
		put_text(call->out, "NextToken", last->name);
	buf_put_byte(call->out, '}');
	return dax_end(f, s);
}

/* --- events --- */

/* Seconds of the epoch as a JSON number; unset: -1. */
static enum status
read_time(struct slice json, int64_t *ret_ms, struct err *err)
{
	char text[40];
	double seconds;
	char *end;

	*ret_ms = -1;
	if (json.data == NULL || slice_eq(json, SLICE("null")))
		return S_OK;
	snprintf(text, sizeof text, "%.*s", json.len < sizeof text ? (int)json.len : 0, json.data);
	seconds = strtod(text, &end);
	if (end == text || *end != '\0' || !(seconds >= 0 && seconds < 253402300800.0))
		return err_set(err, S_SERIALIZATION, "%s", "");
	*ret_ms = (int64_t)(seconds * 1000);
	return S_OK;
}

/* The interval asked for: the last 24 hours unless told otherwise. */
static enum status
read_interval(const struct events_in *in, int64_t *ret_start, int64_t *ret_end, struct err *err)
{
	int64_t now = clock_wall_ms(), duration = in->duration.value * 60000;
	enum status s = read_time(in->start, ret_start, err);

	if (s == S_OK)
		s = read_time(in->end, ret_end, err);
	if (s != S_OK)
		return s;
	if (in->duration.set && in->duration.value < 0)
		return err_set(err, S_DAX_VALUE, "Duration must not be negative");
	if (in->duration.set && *ret_start >= 0 && *ret_end >= 0)
		return err_set(err, S_DAX_COMBINATION, "Duration cannot be used with both StartTime and EndTime");
	if (!in->duration.set)
		duration = DAY_MS;
	if (*ret_start >= 0 && *ret_end < 0)
		*ret_end = in->duration.set ? *ret_start + duration : now;
	else if (*ret_end < 0)
		*ret_end = now;
	if (*ret_start < 0)
		*ret_start = *ret_end - duration;
	if (*ret_start > *ret_end)
		return err_set(err, S_DAX_VALUE, "StartTime must not be later than EndTime");
	return S_OK;
}

static bool
is_asked(const struct events_in *in, const struct fleet_event *e)
{
	return (in->source.data == NULL || slice_eq(in->source, slice_str(e->source))) &&
	       (in->type.value == 0 || in->type.value - 1 == (int)e->type);
}

enum status
op_dax_events(struct op_call *call, const void *input, struct err *err)
{
	const struct events_in *in = input;
	const struct fleet_event *events;
	size_t count, total, told = 0, i;
	uint64_t after = 0, last = 0;
	int64_t start, end;
	struct fleet *f = NULL;
	enum status s = dax_page(&in->page, &count, err);

	if (s == S_OK)
		s = read_interval(in, &start, &end, err);
	if (s == S_OK && in->page.token.len > 0) {
		char digits[24];
		char *stop;

		snprintf(digits, sizeof digits, "%.*s",
			 in->page.token.len < sizeof digits ? (int)in->page.token.len : 0, in->page.token.data);
		after = strtoull(digits, &stop, 10);
		if (stop == digits || *stop != '\0')
			s = err_set(err, S_DAX_VALUE, "Invalid NextToken: %.*s", SLICE_ARG(in->page.token));
	}
	if (s == S_OK)
		s = dax_begin(call, &f, err);
	if (s != S_OK)
		return s;
	events = fleet_events(f, &total);
	buf_put_lit(call->out, "{\"Events\":[");
	for (i = 0; i < total && told < count; i++) {
		const struct fleet_event *e = &events[i];

		if (e->at_ms < start || e->at_ms > end || (in->page.token.len > 0 && e->number <= after) ||
		    !is_asked(in, e))
			continue;
		buf_put_slice(call->out, told++ > 0 ? SLICE(",{\"SourceName\":") : SLICE("{\"SourceName\":"));
		json_put_string(call->out, slice_str(e->source));
		put_text(call->out, "SourceType", fleet_sources[e->type]);
		put_text(call->out, "Message", e->message);
		buf_printf(call->out, ",\"Date\":%lld.%03d}", (long long)(e->at_ms / 1000), (int)(e->at_ms % 1000));
		last = e->number;
	}
	buf_put_byte(call->out, ']');
	if (i < total)
		buf_printf(call->out, ",\"NextToken\":\"%llu\"", (unsigned long long)last);
	buf_put_byte(call->out, '}');
	return dax_end(f, s);
}
