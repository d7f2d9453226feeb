/* The DAX control plane: the table of its operations, and those on clusters. */
#include "api/op_dax.h"

#define DONE(name, shape, run)                                                                                         \
	{                                                                                                              \
		name, OP_BLOCKS, &shape, run, S_OK, NULL                                                               \
	}

/* Sorted by name. */
const struct op dax_ops[] = {
    DONE("CreateCluster", shape_dax_create, op_dax_create),
    DONE("CreateParameterGroup", shape_dax_group_create, op_dax_group_create),
    DONE("CreateSubnetGroup", shape_dax_subnets_create, op_dax_subnets_create),
    DONE("DecreaseReplicationFactor", shape_dax_decrease, op_dax_decrease),
    DONE("DeleteCluster", shape_dax_name, op_dax_delete),
    DONE("DeleteParameterGroup", shape_dax_group_name, op_dax_group_delete),
    DONE("DeleteSubnetGroup", shape_dax_subnets_name, op_dax_subnets_delete),
    DONE("DescribeClusters", shape_dax_describe, op_dax_describe),
    DONE("DescribeDefaultParameters", shape_dax_default_parameters, op_dax_default_parameters),
    DONE("DescribeEvents", shape_dax_events, op_dax_events),
    DONE("DescribeParameterGroups", shape_dax_groups_describe, op_dax_groups_describe),
    DONE("DescribeParameters", shape_dax_parameters, op_dax_parameters),
    DONE("DescribeSubnetGroups", shape_dax_subnets_describe, op_dax_subnets_describe),
    DONE("IncreaseReplicationFactor", shape_dax_increase, op_dax_increase),
    DONE("ListTags", shape_dax_list_tags, op_dax_list_tags),
    DONE("RebootNode", shape_dax_reboot, op_dax_reboot),
    DONE("TagResource", shape_dax_tag, op_dax_tag),
    DONE("UntagResource", shape_dax_untag, op_dax_untag),
    DONE("UpdateCluster", shape_dax_update, op_dax_update),
    DONE("UpdateParameterGroup", shape_dax_group_update, op_dax_group_update),
    DONE("UpdateSubnetGroup", shape_dax_subnets_update, op_dax_subnets_update),
};
const size_t dax_op_count = sizeof dax_ops / sizeof *dax_ops;

enum status
dax_begin(struct op_call *call, struct fleet **ret, struct err *err)
{
	*ret = call_fleet(call);
	if (*ret == NULL)
		return err_set(err, S_DAX_CLUSTER_STATE, "This server runs no DAX clusters");
	fleet_lock(*ret);
	return S_OK;
}

enum status
dax_end(struct fleet *f, enum status s)
{
	if (f != NULL)
		fleet_unlock(f);
	return s;
}

enum status
dax_page(const struct dax_page_in *page, size_t *ret_count, struct err *err)
{
	*ret_count = 100;
	if (!page->max_results.set)
		return S_OK;
	if (page->max_results.value < 20 || page->max_results.value > 100)
		return err_set(err, S_DAX_VALUE, "MaxResults must be between 20 and 100");
	*ret_count = (size_t)page->max_results.value;
	return S_OK;
}

/* --- requests --- */

struct sse_in {
	enum in_bool enabled;
};
struct tag_in {
	struct slice key, value;
};
struct create_in {
	struct slice name, node_type, description, subnet_group, window, topic, role, group;
	struct in_long replication;
	struct in_list zones, security_groups, tags;
	struct sse_in *sse;
	struct in_enum encryption, network;
};
struct name_in {
	struct slice name;
};
struct describe_in {
	struct in_list names;
	struct dax_page_in page;
};
struct update_in {
	struct slice name, description, window, topic, topic_status, group;
	struct in_list security_groups;
};
struct scale_in {
	struct slice name;
	struct in_long replication;
	struct in_list zones, ids;
};
struct reboot_in {
	struct slice name, node_id;
};
struct tags_in {
	struct slice resource, token;
	struct in_list tags, keys;
};

static const char *const values_encryption[] = {"NONE", "TLS", NULL};
static const char *const values_network[] = {"ipv4", "ipv6", "dual_stack", NULL};

static const struct field text_element = ELEMENT("member", SHAPE_STRING, 0);
static const struct field sse_fields[] = {
    FIELD(struct sse_in, enabled, "Enabled", SHAPE_BOOL, FIELD_REQUIRED),
    FIELD_END,
};
static const struct shape shape_sse = {"SSESpecification", sizeof(struct sse_in), sse_fields};
static const struct field tag_fields[] = {
    FIELD(struct tag_in, key, "Key", SHAPE_STRING, 0),
    FIELD(struct tag_in, value, "Value", SHAPE_STRING, 0),
    FIELD_END,
};
static const struct shape shape_tag_element = {"Tag", sizeof(struct tag_in), tag_fields};
static const struct field tag_element = ELEMENT("member", SHAPE_STRUCT, 0, .shape = &shape_tag_element);

static const struct field create_fields[] = {
    FIELD(struct create_in, name, "ClusterName", SHAPE_STRING, FIELD_REQUIRED),
    FIELD(struct create_in, node_type, "NodeType", SHAPE_STRING, FIELD_REQUIRED),
    FIELD(struct create_in, description, "Description", SHAPE_STRING, 0),
    FIELD(struct create_in, replication, "ReplicationFactor", SHAPE_INT, FIELD_REQUIRED),
    FIELD(struct create_in, zones, "AvailabilityZones", SHAPE_LIST, 0, .element = &text_element),
    FIELD(struct create_in, subnet_group, "SubnetGroupName", SHAPE_STRING, 0),
    FIELD(struct create_in, security_groups, "SecurityGroupIds", SHAPE_LIST, 0, .element = &text_element),
    FIELD(struct create_in, window, "PreferredMaintenanceWindow", SHAPE_STRING, 0),
    FIELD(struct create_in, topic, "NotificationTopicArn", SHAPE_STRING, 0),
    FIELD(struct create_in, role, "IamRoleArn", SHAPE_STRING, FIELD_REQUIRED),
    FIELD(struct create_in, group, "ParameterGroupName", SHAPE_STRING, 0),
    FIELD(struct create_in, tags, "Tags", SHAPE_LIST, 0, .element = &tag_element),
    FIELD(struct create_in, sse, "SSESpecification", SHAPE_STRUCT, 0, .shape = &shape_sse),
    FIELD(struct create_in, encryption, "ClusterEndpointEncryptionType", SHAPE_ENUM, 0, .values = values_encryption),
    FIELD(struct create_in, network, "NetworkType", SHAPE_ENUM, 0, .values = values_network),
    FIELD_END,
};
const struct shape shape_dax_create = {"CreateClusterRequest", sizeof(struct create_in), create_fields};

static const struct field name_fields[] = {
    FIELD(struct name_in, name, "ClusterName", SHAPE_STRING, FIELD_REQUIRED),
    FIELD_END,
};
const struct shape shape_dax_name = {"DeleteClusterRequest", sizeof(struct name_in), name_fields};

static const struct field describe_fields[] = {
    FIELD(struct describe_in, names, "ClusterNames", SHAPE_LIST, 0, .element = &text_element),
    DAX_PAGE_FIELDS(struct describe_in, page),
    FIELD_END,
};
const struct shape shape_dax_describe = {"DescribeClustersRequest", sizeof(struct describe_in), describe_fields};

static const struct field update_fields[] = {
    FIELD(struct update_in, name, "ClusterName", SHAPE_STRING, FIELD_REQUIRED),
    FIELD(struct update_in, description, "Description", SHAPE_STRING, 0),
    FIELD(struct update_in, window, "PreferredMaintenanceWindow", SHAPE_STRING, 0),
    FIELD(struct update_in, topic, "NotificationTopicArn", SHAPE_STRING, 0),
    FIELD(struct update_in, topic_status, "NotificationTopicStatus", SHAPE_STRING, 0),
    FIELD(struct update_in, group, "ParameterGroupName", SHAPE_STRING, 0),
    FIELD(struct update_in, security_groups, "SecurityGroupIds", SHAPE_LIST, 0, .element = &text_element),
    FIELD_END,
};
const struct shape shape_dax_update = {"UpdateClusterRequest", sizeof(struct update_in), update_fields};

static const struct field increase_fields[] = {
    FIELD(struct scale_in, name, "ClusterName", SHAPE_STRING, FIELD_REQUIRED),
    FIELD(struct scale_in, replication, "NewReplicationFactor", SHAPE_INT, FIELD_REQUIRED),
    FIELD(struct scale_in, zones, "AvailabilityZones", SHAPE_LIST, 0, .element = &text_element),
    FIELD_END,
};
const struct shape shape_dax_increase = {"IncreaseReplicationFactorRequest", sizeof(struct scale_in), increase_fields};
static const struct field decrease_fields[] = {
    FIELD(struct scale_in, name, "ClusterName", SHAPE_STRING, FIELD_REQUIRED),
    FIELD(struct scale_in, replication, "NewReplicationFactor", SHAPE_INT, FIELD_REQUIRED),
    FIELD(struct scale_in, zones, "AvailabilityZones", SHAPE_LIST, 0, .element = &text_element),
    FIELD(struct scale_in, ids, "NodeIdsToRemove", SHAPE_LIST, 0, .element = &text_element),
    FIELD_END,
};
const struct shape shape_dax_decrease = {"DecreaseReplicationFactorRequest", sizeof(struct scale_in), decrease_fields};

static const struct field reboot_fields[] = {
    FIELD(struct reboot_in, name, "ClusterName", SHAPE_STRING, FIELD_REQUIRED),
    FIELD(struct reboot_in, node_id, "NodeId", SHAPE_STRING, FIELD_REQUIRED),
    FIELD_END,
};
const struct shape shape_dax_reboot = {"RebootNodeRequest", sizeof(struct reboot_in), reboot_fields};

static const struct field tag_resource_fields[] = {
    FIELD(struct tags_in, resource, "ResourceName", SHAPE_STRING, FIELD_REQUIRED),
    FIELD(struct tags_in, tags, "Tags", SHAPE_LIST, FIELD_REQUIRED, .element = &tag_element),
    FIELD_END,
};
const struct shape shape_dax_tag = {"TagResourceRequest", sizeof(struct tags_in), tag_resource_fields};
static const struct field untag_fields[] = {
    FIELD(struct tags_in, resource, "ResourceName", SHAPE_STRING, FIELD_REQUIRED),
    FIELD(struct tags_in, keys, "TagKeys", SHAPE_LIST, FIELD_REQUIRED, .element = &text_element),
    FIELD_END,
};
const struct shape shape_dax_untag = {"UntagResourceRequest", sizeof(struct tags_in), untag_fields};
static const struct field list_tags_fields[] = {
    FIELD(struct tags_in, resource, "ResourceName", SHAPE_STRING, FIELD_REQUIRED),
    FIELD(struct tags_in, token, "NextToken", SHAPE_STRING, 0),
    FIELD_END,
};
const struct shape shape_dax_list_tags = {"ListTagsRequest", sizeof(struct tags_in), list_tags_fields};

/* --- replies --- */

/* The address that clients can reach: where nodes listen; of a wildcard, the one this very request has reached. */
static struct slice
host_of(const struct op_call *call, const struct fleet *f)
{
	const char *host = fleet_machine(f)->host;
	struct slice name = call->host;
	const char *colon;

	if (host != NULL && strcmp(host, "0.0.0.0") != 0 && strcmp(host, "::") != 0)
		return slice_str(host);
	if (name.len > 0 && name.data[0] == '[') {
		const char *end = memchr(name.data, ']', name.len);

		return end != NULL ? slice_of(name.data + 1, (size_t)(end - name.data) - 1) : name;
	}
	colon = name.len > 0 ? memrchr(name.data, ':', name.len) : NULL;
	if (colon != NULL)
		name.len = (size_t)(colon - name.data);
	return name.len > 0 ? name : SLICE("127.0.0.1");
}

static void
put_endpoint(struct op_call *call, const struct fleet *f, const struct fleet_cluster *c, int port)
{
	struct slice host = host_of(call, f);
	bool v6 = memchr(host.data, ':', host.len) != NULL;
	struct slice url = arena_printf(call->arena, "%s://%s%.*s%s:%d", c->tls ? "daxs" : "dax", v6 ? "[" : "",
					SLICE_ARG(host), v6 ? "]" : "", port);

	buf_put_lit(call->out, "{\"Address\":");
	json_put_string(call->out, host);
	buf_printf(call->out, ",\"Port\":%d,\"URL\":", port);
	json_put_string(call->out, url);
	buf_put_byte(call->out, '}');
}

static void
put_text(struct buf *out, const char *name, const char *text)
{
	if (text == NULL)
		return;
	buf_printf(out, ",\"%s\":", name);
	json_put_string(out, slice_str(text));
}

static void
put_nodes(struct op_call *call, const struct fleet *f, const struct fleet_cluster *c)
{
	struct buf *out = call->out;
	bool first = true;

	buf_put_lit(out, ",\"Nodes\":[");
	for (int i = 0; i < c->node_count; i++) {
		const struct fleet_node *n = &c->nodes[i];

		buf_printf(out, "%s{\"NodeId\":\"%s\"", first ? "" : ",", n->id);
		first = false;
		if (n->state == NODE_AVAILABLE || n->state == NODE_REBOOTING) {
			buf_put_lit(out, ",\"Endpoint\":");
			put_endpoint(call, f, c, n->port);
		}
		if (n->state != NODE_CREATING)
			buf_printf(out, ",\"NodeCreateTime\":%lld.%03d", (long long)(n->created_ms / 1000),
				   (int)(n->created_ms % 1000));
		put_text(out, "AvailabilityZone", n->zone);
		put_text(out, "NodeStatus", fleet_node_states[n->state]);
		put_text(out, "ParameterGroupStatus", "in-sync");
		buf_put_byte(out, '}');
	}
	buf_put_byte(out, ']');
}

static void
put_node_ids(struct buf *out, const struct fleet_cluster *c)
{
	const char *between = "";
	bool any = false;

	for (int i = 0; i < c->node_count; i++)
		any |= c->nodes[i].state == NODE_DELETING;
	if (!any)
		return;
	buf_put_lit(out, ",\"NodeIdsToRemove\":[");
	for (int i = 0; i < c->node_count; i++) {
		if (c->nodes[i].state == NODE_DELETING) {
			buf_printf(out, "%s\"%s\"", between, c->nodes[i].id);
			between = ",";
		}
	}
	buf_put_byte(out, ']');
}

static void
put_cluster(struct op_call *call, const struct fleet *f, const struct fleet_cluster *c)
{
	bool whole = c->state == CLUSTER_AVAILABLE || c->state == CLUSTER_MODIFYING;
	struct buf *out = call->out;
	int active = 0;

	for (int i = 0; i < c->node_count; i++)
		active += whole && c->nodes[i].state == NODE_AVAILABLE && c->nodes[i].member != NULL;
	buf_printf(out, "{\"ClusterName\":\"%s\"", c->name);
	put_text(out, "Description", c->description);
	buf_printf(out, ",\"ClusterArn\":\"arn:aws:dax:%s:%s:cache/%s\",\"TotalNodes\":%d,\"ActiveNodes\":%d",
		   fleet_region(f), fleet_account(f), c->name, c->node_count, active);
	put_text(out, "NodeType", c->node_type);
	put_text(out, "Status", fleet_cluster_states[c->state]);
	buf_put_lit(out, ",\"ClusterDiscoveryEndpoint\":");
	if (whole)
		put_endpoint(call, f, c, c->discovery_port);
	else
		buf_printf(out, "{\"Port\":%d}", c->discovery_port);
	put_node_ids(out, c);
	if (whole)
		put_nodes(call, f, c);
	put_text(out, "PreferredMaintenanceWindow", c->window);
	put_text(out, "SubnetGroup", c->subnet_group);
	buf_put_lit(out, ",\"SecurityGroups\":[");
	for (size_t i = 0; i < c->security_groups.count; i++) {
		buf_put_slice(out,
			      i > 0 ? SLICE(",{\"SecurityGroupIdentifier\":") : SLICE("{\"SecurityGroupIdentifier\":"));
		json_put_string(out, slice_str(c->security_groups.items[i]));
		buf_put_lit(out, ",\"Status\":\"active\"}");
	}
	buf_put_byte(out, ']');
	put_text(out, "IamRoleArn", c->role);
	buf_put_lit(out, ",\"ParameterGroup\":{\"ParameterGroupName\":");
	json_put_string(out, slice_str(c->group));
	buf_put_lit(out, ",\"ParameterApplyStatus\":\"in-sync\",\"NodeIdsToReboot\":[]}");
	buf_printf(out, ",\"SSEDescription\":{\"Status\":\"%s\"},\"ClusterEndpointEncryptionType\":\"%s\"",
		   c->sse ? "ENABLED" : "DISABLED", c->tls ? "TLS" : "NONE");
	put_text(out, "NetworkType", c->network);
	buf_put_byte(out, '}');
}

static enum status
reply_cluster(struct op_call *call, struct fleet *f, const struct fleet_cluster *c, enum status s)
{
	if (s == S_OK) {
		buf_put_lit(call->out, "{\"Cluster\":");
		put_cluster(call, f, c);
		buf_put_byte(call->out, '}');
	}
	return dax_end(f, s);
}

/* --- operations --- */

static enum status
refuse_topic(struct slice topic, struct err *err)
{
	if (topic.data == NULL)
		return S_OK;
	return err_set(err, S_DAX_VALUE, "Amazon SNS topics are not offered by this version of Stator");
}

/* Keys and values of a list of tags, apart. */
static void
split_tags(struct op_call *call, const struct in_list *tags, struct slice **ret_keys, struct slice **ret_values)
{
	*ret_keys = ARENA_ARRAY(call->arena, struct slice, tags->count);
	*ret_values = ARENA_ARRAY(call->arena, struct slice, tags->count);
	for (uint32_t i = 0; i < tags->count; i++) {
		const struct tag_in *tag = ((void *const *)tags->items)[i];

		if (tag == NULL)
			continue;
		(*ret_keys)[i] = tag->key;
		(*ret_values)[i] = tag->value;
	}
}

enum status
op_dax_create(struct op_call *call, const void *input, struct err *err)
{
	const struct create_in *in = input;
	struct fleet_create create = {
	    .name = in->name,
	    .node_type = in->node_type,
	    .description = in->description,
	    .subnet_group = in->subnet_group,
	    .window = in->window,
	    .role = in->role,
	    .group = in->group,
	    .network = in->network.text,
	    .zones = dax_texts(&in->zones),
	    .zone_count = in->zones.count,
	    .security_groups = dax_texts(&in->security_groups),
	    .security_group_count = in->security_groups.count,
	    .tag_count = in->tags.count,
	    .replication = in->replication.value,
	    .sse = in->sse != NULL && in->sse->enabled == IN_TRUE,
	    .tls = slice_eq(in->encryption.text, SLICE("TLS")),
	};
	struct slice *keys, *values;
	struct fleet_cluster *c = NULL;
	struct fleet *f = NULL;
	enum status s = refuse_topic(in->topic, err);

	split_tags(call, &in->tags, &keys, &values);
	create.tag_keys = keys;
	create.tag_values = values;
	if (s == S_OK)
		s = dax_begin(call, &f, err);
	if (s == S_OK)
		s = fleet_create(f, &create, &c, err);
	return reply_cluster(call, f, c, s);
}

enum status
op_dax_delete(struct op_call *call, const void *input, struct err *err)
{
	const struct name_in *in = input;
	struct fleet_cluster *c = NULL;
	struct fleet *f = NULL;
	enum status s = dax_begin(call, &f, err);

	if (s == S_OK)
		s = fleet_delete(f, in->name, &c, err);
	return reply_cluster(call, f, c, s);
}

/* Those that are named, in that order; each must be there. */
static enum status
describe_named(struct op_call *call, struct fleet *f, const struct in_list *names, struct err *err)
{
	struct fleet_cluster *c;
	enum status s = S_OK;

	for (uint32_t i = 0; s == S_OK && i < names->count; i++) {
		s = fleet_find(f, dax_texts(names)[i], true, &c, err);
		if (s == S_OK) {
			if (i > 0)
				buf_put_byte(call->out, ',');
			put_cluster(call, f, c);
		}
	}
	buf_put_byte(call->out, ']');
	return s;
}

static void
describe_all(struct op_call *call, struct fleet *f, struct slice token, size_t count)
{
	const struct fleet_cluster *c, *last = NULL;

	for (c = fleet_clusters(f); c != NULL && count > 0; c = c->next) {
		if (slice_cmp(slice_str(c->name), token) <= 0)
			continue;
		if (last != NULL)
			buf_put_byte(call->out, ',');
		put_cluster(call, f, c);
		last = c;
		count--;
	}
	buf_put_byte(call->out, ']');
	if (c != NULL)
		put_text(call->out, "NextToken", last->name);
}

enum status
op_dax_describe(struct op_call *call, const void *input, struct err *err)
{
	const struct describe_in *in = input;
	struct fleet *f = NULL;
	size_t count;
	enum status s = dax_page(&in->page, &count, err);

	if (s == S_OK)
		s = dax_begin(call, &f, err);
	if (s != S_OK)
		return s;
	buf_put_lit(call->out, "{\"Clusters\":[");
	if (in->names.count > 0)
		s = describe_named(call, f, &in->names, err);
	else
		describe_all(call, f, in->page.token, count);
	buf_put_byte(call->out, '}');
	return dax_end(f, s);
}

enum status
op_dax_update(struct op_call *call, const void *input, struct err *err)
{
	const struct update_in *in = input;
	const struct fleet_update update = {
	    .name = in->name,
	    .description = in->description,
	    .window = in->window,
	    .group = in->group,
	    .security_groups = dax_texts(&in->security_groups),
	    .security_group_count = in->security_groups.count,
	    .security_groups_given = in->security_groups.set,
	};
	struct fleet_cluster *c = NULL;
	struct fleet *f = NULL;
	enum status s = refuse_topic(in->topic, err);

	if (s == S_OK && in->topic_status.data != NULL)
		s = err_set(err, S_DAX_VALUE, "The cluster has no notification topic whose status could be changed");
	if (s == S_OK)
		s = dax_begin(call, &f, err);
	if (s == S_OK)
		s = fleet_update(f, &update, &c, err);
	return reply_cluster(call, f, c, s);
}

enum status
op_dax_increase(struct op_call *call, const void *input, struct err *err)
{
	const struct scale_in *in = input;
	struct fleet_cluster *c = NULL;
	struct fleet *f = NULL;
	enum status s = dax_begin(call, &f, err);

	if (s == S_OK)
		s = fleet_increase(f, in->name, in->replication.value, dax_texts(&in->zones), in->zones.count, &c, err);
	return reply_cluster(call, f, c, s);
}

enum status
op_dax_decrease(struct op_call *call, const void *input, struct err *err)
{
	const struct scale_in *in = input;
	struct fleet_cluster *c = NULL;
	struct fleet *f = NULL;
	enum status s = dax_begin(call, &f, err);

	if (s == S_OK)
		s = fleet_decrease(f, in->name, in->replication.value, dax_texts(&in->zones), in->zones.count,
				   dax_texts(&in->ids), in->ids.count, &c, err);
	return reply_cluster(call, f, c, s);
}

enum status
op_dax_reboot(struct op_call *call, const void *input, struct err *err)
{
	const struct reboot_in *in = input;
	struct fleet_cluster *c = NULL;
	struct fleet *f = NULL;
	enum status s = dax_begin(call, &f, err);

	if (s == S_OK)
		s = fleet_reboot(f, in->name, in->node_id, &c, err);
	return reply_cluster(call, f, c, s);
}

/* --- tags --- */

static void
put_tags(struct buf *out, const struct fleet_tag *tags, size_t count)
{
	buf_put_lit(out, "{\"Tags\":[");
	for (size_t i = 0; i < count; i++) {
		buf_put_slice(out, i > 0 ? SLICE(",{\"Key\":") : SLICE("{\"Key\":"));
		json_put_string(out, slice_str(tags[i].key));
		buf_put_lit(out, ",\"Value\":");
		json_put_string(out, slice_str(tags[i].value));
		buf_put_byte(out, '}');
	}
	buf_put_lit(out, "]}");
}

enum status
op_dax_tag(struct op_call *call, const void *input, struct err *err)
{
	const struct tags_in *in = input;
	struct slice *keys, *values;
	struct fleet_cluster *c;
	struct fleet *f = NULL;
	enum status s = dax_begin(call, &f, err);

	split_tags(call, &in->tags, &keys, &values);
	if (s == S_OK)
		s = fleet_find_arn(f, in->resource, &c, err);
	if (s == S_OK)
		s = fleet_tag(f, c, keys, values, in->tags.count, err);
	if (s == S_OK)
		put_tags(call->out, c->tags, c->tag_count);
	return dax_end(f, s);
}

enum status
op_dax_untag(struct op_call *call, const void *input, struct err *err)
{
	const struct tags_in *in = input;
	struct fleet_tag *removed;
	struct fleet_cluster *c;
	struct fleet *f = NULL;
	size_t count;
	enum status s = dax_begin(call, &f, err);

	if (s == S_OK)
		s = fleet_find_arn(f, in->resource, &c, err);
	if (s == S_OK)
		s = fleet_untag(f, c, dax_texts(&in->keys), in->keys.count, call->arena, &removed, &count, err);
	if (s == S_OK)
		put_tags(call->out, removed, count);
	return dax_end(f, s);
}

enum status
op_dax_list_tags(struct op_call *call, const void *input, struct err *err)
{
	const struct tags_in *in = input;
	struct fleet_cluster *c;
	struct fleet *f = NULL;
	enum status s = dax_begin(call, &f, err);

	/* all of them fit into one answer, so no token was ever given out */
	if (s == S_OK && in->token.len > 0)
		s = err_set(err, S_DAX_VALUE, "Invalid NextToken: %.*s", SLICE_ARG(in->token));
	if (s == S_OK)
		s = fleet_find_arn(f, in->resource, &c, err);
	if (s == S_OK)
		put_tags(call->out, c->tags, c->tag_count);
	return dax_end(f, s);
}
