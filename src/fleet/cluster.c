/* Clusters: what changes them, and the steps from one state to the next. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "fleet/fleet_int.h"

#define NO_CLUSTER    "Cluster not found."
#define GRACE_STEP_MS INT64_C(20)

/* --- finding --- */

enum status
fleet_find(struct fleet *f, struct slice name, bool tell_name, struct fleet_cluster **ret, struct err *err)
{
	char folded[24];
	enum status s = fleet_check_name(name, folded, err);

	if (s != S_OK)
		return s;
	for (struct fleet_cluster *c = f->clusters; c != NULL; c = c->next) {
		if (strcmp(c->name, folded) == 0) {
			*ret = c;
			return S_OK;
		}
	}
	if (tell_name)
		return err_set(err, S_DAX_CLUSTER_NOT_FOUND, "Cluster %s not found.", folded);
	return err_set(err, S_DAX_CLUSTER_NOT_FOUND, NO_CLUSTER);
}

static enum status
find_available(struct fleet *f, struct slice name, struct fleet_cluster **ret, struct err *err)
{
	enum status s = fleet_find(f, name, false, ret, err);

	if (s == S_OK && (*ret)->state != CLUSTER_AVAILABLE)
		return err_set(err, S_DAX_CLUSTER_STATE, "Cluster %s is not in available state.", (*ret)->name);
	return s;
}

enum status
fleet_find_arn(struct fleet *f, struct slice resource, struct fleet_cluster **ret, struct err *err)
{
	char prefix[128];
	int len = snprintf(prefix, sizeof prefix, "arn:aws:dax:%s:%s:cache/", f->region, f->account);

	if (slice_starts(resource, SLICE("arn:"))) {
		if (!slice_starts(resource, slice_of(prefix, (size_t)len)))
			return err_set(err, S_DAX_ARN, "Invalid ARN: %.*s", SLICE_ARG(resource));
		resource = slice_of(resource.data + len, resource.len - (size_t)len);
	}
	return fleet_find(f, resource, true, ret, err);
}

static struct fleet_group *
group_of(struct fleet *f, const struct fleet_cluster *c)
{
	for (struct fleet_group *g = f->groups; g != NULL; g = g->next)
		if (strcmp(g->name, c->group) == 0)
			return g;
	abort(); /* a group in use is not deleted */
}

/* --- telling --- */

void
fleet_tell(struct fleet *f, struct fleet_cluster *c)
{
	struct fleet_told told = {0};

	for (int i = 0; i < c->node_count; i++) {
		const struct fleet_node *n = &c->nodes[i];

		if (n->state != NODE_AVAILABLE || n->member == NULL)
			continue;
		told.nodes[told.count].member = n->member;
		told.nodes[told.count].number = n->number + 1;
		told.nodes[told.count].port = n->port;
		told.nodes[told.count].id = n->id;
		told.nodes[told.count].zone = n->zone;
		told.count++;
	}
	if (told.count > 0 && told.nodes[0].number != c->leader) {
		c->leader = told.nodes[0].number;
		c->leader_session = (int64_t)(crypto_fast_random() >> 33);
	}
	told.leader_session = c->leader_session;
	if (c->discovery != NULL)
		f->machine.tell(f->machine.context, c->discovery, &told);
}

/* --- nodes --- */

static enum status
start_member(struct fleet *f, const struct fleet_cluster *c, const char *id, int *port, struct fleet_member **ret,
	     struct err *err)
{
	const struct fleet_group *g = group_of(f, c);
	struct fleet_member_spec spec = {
	    .cluster = c->name,
	    .id = id,
	    .port = *port,
	    .tls = c->tls,
	    .item_ttl_ms = g->item_ttl_ms,
	    .query_ttl_ms = g->query_ttl_ms,
	};

	return f->machine.start(f->machine.context, &spec, ret, port, err);
}

static void
stop_node(struct fleet *f, struct fleet_node *n)
{
	if (n->member != NULL)
		f->machine.stop(f->machine.context, n->member);
	n->member = NULL;
}

enum status
fleet_start_cluster(struct fleet *f, struct fleet_cluster *c, struct err *err)
{
	enum status s = S_OK;

	if (c->discovery == NULL)
		s = start_member(f, c, NULL, &c->discovery_port, &c->discovery, err);
	for (int i = 0; s == S_OK && i < c->node_count; i++)
		if (c->nodes[i].member == NULL && c->nodes[i].state != NODE_DELETING)
			s = start_member(f, c, c->nodes[i].id, &c->nodes[i].port, &c->nodes[i].member, err);
	fleet_tell(f, c);
	return s;
}

void
fleet_stop_cluster(struct fleet *f, struct fleet_cluster *c)
{
	for (int i = 0; i < c->node_count; i++)
		stop_node(f, &c->nodes[i]);
	if (c->discovery != NULL)
		f->machine.stop(f->machine.context, c->discovery);
	c->discovery = NULL;
}

/* The zone with the fewest nodes of this cluster. */
static void
choose_zone(const struct fleet *f, const struct fleet_cluster *c, struct slice wanted, char ret[40])
{
	int counts[3] = {0}, best = 0;

	if (wanted.len > 0) {
		snprintf(ret, 40, "%.*s", SLICE_ARG(wanted));
		return;
	}
	for (int i = 0; i < c->node_count; i++) {
		int letter = c->nodes[i].zone[strlen(c->nodes[i].zone) - 1] - 'a';

		if (letter >= 0 && letter < 3)
			counts[letter]++;
	}
	for (int i = 1; i < 3; i++)
		if (counts[i] < counts[best])
			best = i;
	snprintf(ret, 40, "%s%c", f->region, 'a' + best);
}

static bool
letter_is_used(const struct fleet_cluster *c, int number)
{
	for (int i = 0; i < c->node_count; i++)
		if (c->nodes[i].number % 26 == number % 26)
			return true;
	return false;
}

static struct fleet_node *
add_node(const struct fleet *f, struct fleet_cluster *c, struct slice zone)
{
	struct fleet_node n = {.state = NODE_CREATING, .created_ms = clock_wall_ms()};

	choose_zone(f, c, zone, n.zone);
	while (letter_is_used(c, c->next_number))
		c->next_number++;
	n.number = c->next_number++;
	snprintf(n.id, sizeof n.id, "%s-%c", c->name, 'a' + n.number % 26);
	c->nodes[c->node_count] = n;
	return &c->nodes[c->node_count++];
}

static void
remove_node(struct fleet_cluster *c, int i)
{
	memmove(&c->nodes[i], &c->nodes[i + 1], (size_t)(c->node_count - i - 1) * sizeof c->nodes[0]);
	c->node_count--;
}

/* --- steps --- */

static int64_t
soon(const struct fleet *f)
{
	return clock_mono_ns() + (int64_t)f->delay_ms * 1000000 + 1;
}

static void
log_failure(const struct fleet_cluster *c, enum status s, const struct err *err)
{
	if (s != S_OK)
		log_error("fleet", "DAX cluster %s: %s", c->name, err->message);
}

static void
finish_delete(struct fleet *f, struct fleet_cluster *c)
{
	struct fleet_batch *b = fleet_batch_new(f);
	struct fleet_cluster **at = &f->clusters;
	struct err err;

	fleet_stop_cluster(f, c);
	fleet_batch_delete(b, ROW_CLUSTER, c->name);
	fleet_batch_event(b, SOURCE_CLUSTER, c->name, "Cluster deleted.");
	if (fleet_batch_end(b, &err) != S_OK) { /* the disk failed: it is tried again */
		log_failure(c, S_IO, &err);
		c->due_ns = clock_mono_ns() + 1000000000;
		return;
	}
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	fleet_cluster_free(c);
}

/* Nodes that were being made are there, those that were going are gone. */
static void
settle_nodes(struct fleet *f, struct fleet_cluster *c, struct fleet_batch *b)
{
	struct err err;

	for (int i = c->node_count - 1; i >= 0; i--) {
		struct fleet_node *n = &c->nodes[i];

		switch (n->state) {
		case NODE_CREATING:
			n->state = NODE_AVAILABLE;
			fleet_batch_event(b, SOURCE_CLUSTER, c->name, "Added node %s in Availability Zone %s", n->id,
					  n->zone);
			break;
		case NODE_REBOOTING:
			if (n->member != NULL) {
				f->machine.pause(f->machine.context, n->member);
				log_failure(c, f->machine.again(f->machine.context, n->member, &err), &err);
			}
			n->state = NODE_AVAILABLE;
			fleet_batch_event(b, SOURCE_CLUSTER, c->name, "Restarted node %s", n->id);
			break;
		case NODE_DELETING:
			stop_node(f, n);
			fleet_batch_event(b, SOURCE_CLUSTER, c->name, "Removed node %s", n->id);
			remove_node(c, i);
			break;
		case NODE_AVAILABLE:
			break;
		}
	}
}

/* Nodes that are going still have clients, and may have them yet. */
static bool
clients_are_leaving(struct fleet *f, const struct fleet_cluster *c)
{
	if (c->state != CLUSTER_MODIFYING || clock_mono_ns() - c->leaving_ns > FLEET_GRACE_MS * INT64_C(1000000))
		return false;
	for (int i = 0; i < c->node_count; i++)
		if ((c->nodes[i].state == NODE_DELETING || c->nodes[i].state == NODE_REBOOTING) &&
		    c->nodes[i].member != NULL && !f->machine.is_idle(f->machine.context, c->nodes[i].member))
			return true;
	return false;
}

void
fleet_step(struct fleet *f, struct fleet_cluster *c)
{
	struct fleet_batch *b;
	struct err err;

	if (clients_are_leaving(f, c)) {
		c->due_ns = clock_mono_ns() + GRACE_STEP_MS * 1000000;
		return;
	}
	c->due_ns = 0;
	if (c->state == CLUSTER_DELETING) {
		finish_delete(f, c);
		return;
	}
	b = fleet_batch_new(f);
	if (c->state == CLUSTER_CREATING)
		fleet_batch_event(b, SOURCE_CLUSTER, c->name, "Cluster created.");
	settle_nodes(f, c, b);
	c->state = CLUSTER_AVAILABLE;
	/* what could not start before (its port was taken) has another chance */
	log_failure(c, fleet_start_cluster(f, c, &err), &err);
	fleet_batch_put_cluster(b, c);
	log_failure(c, fleet_batch_end(b, &err), &err);
}

static enum status
keep(struct fleet *f, struct fleet_cluster *c, struct err *err)
{
	struct fleet_batch *b = fleet_batch_new(f);

	fleet_batch_put_cluster(b, c);
	return fleet_batch_end(b, err);
}

/* --- operations --- */

static enum status
check_create(struct fleet *f, const struct fleet_create *in, struct fleet_cluster *c, struct err *err)
{
	struct fleet_subnet_group *subnets;
	struct fleet_group *group;
	enum status s = fleet_check_role(in->role, err);
	size_t count = 0;

	if (s == S_OK)
		s = fleet_check_name(in->name, c->name, err);
	if (s == S_OK)
		s = fleet_check_node_type(in->node_type, err);
	if (s == S_OK)
		s = fleet_check_replication(in->replication, err);
	if (s == S_OK && in->zone_count > 0 && in->zone_count != (size_t)in->replication)
		s = err_set(err, S_DAX_COMBINATION,
			    "The number of Availability Zones must be equal to the replication factor");
	if (s == S_OK)
		s = fleet_check_zones(f, in->zones, in->zone_count, err);
	if (s == S_OK)
		s = fleet_check_security_groups(in->security_groups, in->security_group_count, err);
	if (s == S_OK && in->window.data != NULL)
		s = fleet_check_window(in->window, err);
	if (s == S_OK)
		s = fleet_check_network(f, in->network, c->network, err);
	if (s == S_OK && in->tls && !f->machine.has_tls)
		s = err_set(err, S_DAX_COMBINATION,
			    "ClusterEndpointEncryptionType TLS needs a server with a certificate (--tls-cert)");
	if (s == S_OK && in->tag_count > FLEET_TAGS_MAX)
		s = err_set(err, S_DAX_TAG_QUOTA, "A cluster can have at most %d tags", FLEET_TAGS_MAX);
	if (s == S_OK)
		s = fleet_check_tags(in->tag_keys, in->tag_values, in->tag_count, err);
	for (const struct fleet_cluster *o = f->clusters; s == S_OK && o != NULL; o = o->next, count++)
		if (strcmp(o->name, c->name) == 0)
			s = err_set(err, S_DAX_CLUSTER_EXISTS, "Cluster already exists: %s", c->name);
	if (s == S_OK && count >= FLEET_CLUSTERS_MAX)
		s = err_set(err, S_DAX_CLUSTER_QUOTA, "A region can have at most %d clusters", FLEET_CLUSTERS_MAX);
	if (s == S_OK && in->subnet_group.data != NULL)
		s = fleet_subnets_find(f, in->subnet_group, &subnets, err);
	if (s == S_OK && in->group.data != NULL)
		s = fleet_group_find(f, in->group, &group, err);
	return s;
}

/* Adds or replaces. */
static void
set_tags(struct fleet_cluster *c, const struct slice *keys, const struct slice *values, size_t count)
{
	c->tags = reallocarray(c->tags, c->tag_count + count + 1, sizeof *c->tags);
	if (c->tags == NULL)
		abort();
	for (size_t i = 0; i < count; i++) {
		size_t at = 0;

		while (at < c->tag_count && !slice_eq(slice_str(c->tags[at].key), keys[i]))
			at++;
		if (at == c->tag_count) {
			c->tags[c->tag_count++].key = fleet_copy(keys[i]);
		} else {
			free(c->tags[at].value);
		}
		c->tags[at].value = fleet_copy(values[i].data != NULL ? values[i] : SLICE(""));
	}
}

/* As it is kept, whatever case the caller wrote it in: group_of() compares exactly. The group has been found before. */
static char *
name_of_group(struct fleet *f, struct slice asked)
{
	struct fleet_group *g;
	struct err err;

	if (asked.data == NULL || fleet_group_find(f, asked, &g, &err) != S_OK)
		return fleet_copy(SLICE(FLEET_DEFAULT_GROUP));
	return fleet_copy(slice_str(g->name));
}

static void
fill_cluster(struct fleet *f, const struct fleet_create *in, struct fleet_cluster *c)
{
	const struct slice default_security = SLICE("sg-00000001");

	c->description = fleet_copy(in->description);
	c->node_type = fleet_copy(in->node_type);
	c->role = fleet_copy(in->role);
	c->subnet_group = fleet_copy(in->subnet_group.data != NULL ? in->subnet_group : SLICE("default"));
	for (char *at = c->subnet_group; *at != '\0'; at++)
		*at = *at >= 'A' && *at <= 'Z' ? (char)(*at + 32) : *at;
	c->group = name_of_group(f, in->group);
	c->window = in->window.data != NULL ? fleet_copy(in->window) : fleet_random_window();
	c->security_groups = in->security_group_count > 0
				 ? fleet_copy_texts(in->security_groups, in->security_group_count)
				 : fleet_copy_texts(&default_security, 1);
	set_tags(c, in->tag_keys, in->tag_values, in->tag_count);
	c->sse = in->sse;
	c->tls = in->tls;
	c->state = CLUSTER_CREATING;
	c->created_ms = clock_wall_ms();
	c->leader = -1;
	for (int64_t i = 0; i < in->replication; i++)
		add_node(f, c, in->zone_count > 0 ? in->zones[i] : SLICE_NONE);
}

enum status
fleet_create(struct fleet *f, const struct fleet_create *in, struct fleet_cluster **ret, struct err *err)
{
	struct fleet_cluster *c = calloc(1, sizeof *c);
	enum status s;

	if (c == NULL)
		abort();
	s = check_create(f, in, c, err);
	if (s != S_OK) {
		free(c);
		return s;
	}
	fill_cluster(f, in, c);
	s = fleet_start_cluster(f, c, err);
	if (s == S_OK)
		s = keep(f, c, err);
	if (s != S_OK) {
		fleet_stop_cluster(f, c);
		fleet_cluster_free(c);
		return s;
	}
	fleet_insert_cluster(f, c);
	c->due_ns = soon(f);
	*ret = c;
	return S_OK;
}

enum status
fleet_delete(struct fleet *f, struct slice name, struct fleet_cluster **ret, struct err *err)
{
	struct fleet_cluster *c;
	enum status s = find_available(f, name, &c, err);

	if (s != S_OK)
		return s;
	c->state = CLUSTER_DELETING;
	s = keep(f, c, err);
	if (s != S_OK) {
		c->state = CLUSTER_AVAILABLE;
		return s;
	}
	c->due_ns = soon(f);
	*ret = c;
	return S_OK;
}

static void
replace_text(char **text, struct slice with)
{
	if (with.data == NULL)
		return;
	free(*text);
	*text = fleet_copy(with);
}

enum status
fleet_update(struct fleet *f, const struct fleet_update *in, struct fleet_cluster **ret, struct err *err)
{
	struct fleet_group *group = NULL;
	struct fleet_cluster *c;
	enum status s = find_available(f, in->name, &c, err);

	if (s == S_OK && in->window.data != NULL)
		s = fleet_check_window(in->window, err);
	if (s == S_OK)
		s = fleet_check_security_groups(in->security_groups, in->security_group_count, err);
	if (s == S_OK && in->group.data != NULL)
		s = fleet_group_find(f, in->group, &group, err);
	if (s != S_OK)
		return s;
	replace_text(&c->description, in->description);
	replace_text(&c->window, in->window);
	if (in->security_groups_given) {
		fleet_free_texts(&c->security_groups);
		c->security_groups = fleet_copy_texts(in->security_groups, in->security_group_count);
	}
	if (group != NULL) {
		replace_text(&c->group, slice_str(group->name));
		for (int i = 0; i < c->node_count; i++)
			if (c->nodes[i].member != NULL)
				f->machine.set_ttls(f->machine.context, c->nodes[i].member, group->item_ttl_ms,
						    group->query_ttl_ms);
	}
	*ret = c;
	return keep(f, c, err);
}

enum status
fleet_increase(struct fleet *f, struct slice name, int64_t replication, const struct slice *zones, size_t zone_count,
	       struct fleet_cluster **ret, struct err *err)
{
	struct fleet_cluster *c;
	enum status s = find_available(f, name, &c, err);
	int before;

	if (s == S_OK)
		s = fleet_check_replication(replication, err);
	if (s == S_OK && replication <= c->node_count)
		s = err_set(err, S_DAX_VALUE,
			    "The new replication factor must be greater than the current one, which is %d",
			    c->node_count);
	if (s == S_OK && zone_count > 0 && zone_count != (size_t)(replication - c->node_count))
		s = err_set(err, S_DAX_COMBINATION,
			    "The number of Availability Zones must be equal to the number of new nodes");
	if (s == S_OK)
		s = fleet_check_zones(f, zones, zone_count, err);
	if (s != S_OK)
		return s;
	before = c->node_count;
	for (int i = 0; c->node_count < replication; i++)
		add_node(f, c, zone_count > 0 ? zones[i] : SLICE_NONE);
	c->state = CLUSTER_MODIFYING;
	s = fleet_start_cluster(f, c, err);
	if (s == S_OK)
		s = keep(f, c, err);
	if (s != S_OK) {
		while (c->node_count > before)
			stop_node(f, &c->nodes[--c->node_count]);
		c->state = CLUSTER_AVAILABLE;
		return s;
	}
	c->due_ns = soon(f);
	*ret = c;
	return S_OK;
}

static int
find_node(const struct fleet_cluster *c, struct slice id)
{
	for (int i = 0; i < c->node_count; i++)
		if (slice_eq(slice_str(c->nodes[i].id), id))
			return i;
	return -1;
}

static bool
is_in(const char *text, const struct slice *texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (slice_eq(slice_str(text), texts[i]))
			return true;
	return false;
}

/* Which nodes go: those that are named; else the last ones, of the named zones if there are any. */
static enum status
choose_leaving(const struct fleet_cluster *c, int count, const struct slice *zones, size_t zone_count,
	       const struct slice *ids, size_t id_count, bool ret[FLEET_NODES_MAX], struct err *err)
{
	memset(ret, 0, FLEET_NODES_MAX * sizeof *ret);
	if (id_count > 0 && id_count != (size_t)count)
		return err_set(err, S_DAX_COMBINATION,
			       "The number of nodes to remove must be the current replication factor less the new one");
	for (size_t i = 0; i < id_count; i++) {
		int at = find_node(c, ids[i]);

		if (at < 0)
			return err_set(err, S_DAX_NODE_NOT_FOUND, "Node not found: %.*s", SLICE_ARG(ids[i]));
		if (ret[at])
			return err_set(err, S_DAX_VALUE, "Node %s is named twice", c->nodes[at].id);
		ret[at] = true;
	}
	for (int i = c->node_count - 1; id_count == 0 && i >= 0 && count > 0; i--) {
		if (zone_count == 0 || is_in(c->nodes[i].zone, zones, zone_count)) {
			ret[i] = true;
			count--;
		}
	}
	if (id_count == 0 && count > 0)
		return err_set(err, S_DAX_COMBINATION, "There are not as many nodes in these Availability Zones");
	return S_OK;
}

/* The states of some nodes say that they go: their clients are told, and have some time. Undone when it cannot be kept.
 */
static enum status
let_go(struct fleet *f, struct fleet_cluster *c, struct err *err)
{
	enum status s;

	c->state = CLUSTER_MODIFYING;
	s = keep(f, c, err);
	if (s != S_OK) {
		for (int i = 0; i < c->node_count; i++)
			c->nodes[i].state = NODE_AVAILABLE;
		c->state = CLUSTER_AVAILABLE;
		return s;
	}
	fleet_tell(f, c);
	c->leaving_ns = clock_mono_ns();
	c->due_ns = soon(f);
	return S_OK;
}

enum status
fleet_decrease(struct fleet *f, struct slice name, int64_t replication, const struct slice *zones, size_t zone_count,
	       const struct slice *ids, size_t id_count, struct fleet_cluster **ret, struct err *err)
{
	bool leaving[FLEET_NODES_MAX];
	struct fleet_cluster *c;
	enum status s = find_available(f, name, &c, err);

	if (s == S_OK)
		s = fleet_check_replication(replication, err);
	if (s == S_OK && replication >= c->node_count)
		s = err_set(err, S_DAX_VALUE,
			    "The new replication factor must be less than the current one, which is %d", c->node_count);
	if (s == S_OK)
		s = fleet_check_zones(f, zones, zone_count, err);
	if (s == S_OK)
		s = choose_leaving(c, c->node_count - (int)replication, zones, zone_count, ids, id_count, leaving, err);
	if (s != S_OK)
		return s;
	for (int i = 0; i < c->node_count; i++)
		if (leaving[i])
			c->nodes[i].state = NODE_DELETING;
	*ret = c;
	return let_go(f, c, err);
}

enum status
fleet_reboot(struct fleet *f, struct slice name, struct slice node_id, struct fleet_cluster **ret, struct err *err)
{
	struct fleet_cluster *c;
	enum status s = find_available(f, name, &c, err);
	int at;

	if (s != S_OK)
		return s;
	at = find_node(c, node_id);
	if (at < 0)
		return err_set(err, S_DAX_NODE_NOT_FOUND, "Node not found: %.*s", SLICE_ARG(node_id));
	c->nodes[at].state = NODE_REBOOTING;
	*ret = c;
	return let_go(f, c, err);
}

/* --- tags --- */

enum status
fleet_tag(struct fleet *f, struct fleet_cluster *c, const struct slice *keys, const struct slice *values, size_t count,
	  struct err *err)
{
	size_t more = 0;
	enum status s = fleet_check_tags(keys, values, count, err);

	if (s == S_OK && c->state == CLUSTER_DELETING)
		s = err_set(err, S_DAX_CLUSTER_STATE, "Cluster %s is not in available state.", c->name);
	if (s != S_OK)
		return s;
	for (size_t i = 0; i < count; i++) {
		bool there = false;

		for (size_t at = 0; at < c->tag_count; at++)
			there |= slice_eq(slice_str(c->tags[at].key), keys[i]);
		more += !there;
	}
	if (c->tag_count + more > FLEET_TAGS_MAX)
		return err_set(err, S_DAX_TAG_QUOTA, "A cluster can have at most %d tags", FLEET_TAGS_MAX);
	set_tags(c, keys, values, count);
	return keep(f, c, err);
}

enum status
fleet_untag(struct fleet *f, struct fleet_cluster *c, const struct slice *keys, size_t count, struct arena *arena,
	    struct fleet_tag **ret_removed, size_t *ret_count, struct err *err)
{
	struct fleet_tag *removed = ARENA_ARRAY(arena, struct fleet_tag, c->tag_count);
	size_t kept = 0, gone = 0;

	for (size_t i = 0; i < c->tag_count; i++) {
		struct fleet_tag *tag = &c->tags[i];

		if (!is_in(tag->key, keys, count)) {
			c->tags[kept++] = *tag;
			continue;
		}
		removed[gone].key = (char *)arena_dup(arena, slice_str(tag->key)).data;
		removed[gone++].value = (char *)arena_dup(arena, slice_str(tag->value)).data;
		free(tag->key);
		free(tag->value);
	}
	c->tag_count = kept;
	*ret_removed = removed;
	*ret_count = gone;
	if (gone == 0)
		return err_set(err, S_DAX_TAG_NOT_FOUND, "The cluster has none of these tags");
	return keep(f, c, err);
}
