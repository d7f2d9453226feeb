/*
 * The DAX clusters of a region: what the control plane (AmazonDAXV3) knows and does.
 *
 * A cluster is cache nodes on this machine, each with a listening port, connections and a cache of its own, and a
 * discovery endpoint that tells clients the nodes. Which program makes nodes is not known here: a struct fleet_machine
 * does. What was asked for is kept in the region's engine (docs/formats/catalog.md, rows `D`) and is durable before an
 * operation answers; when the program starts, the clusters start again, on the same ports.
 *
 * A cluster is creating, available, modifying or deleting, a node creating, available, rebooting or deleting. Steps
 * that take time at Amazon take `delay_ms` here and are done by one thread of the fleet; a node that is going leaves
 * the endpoints answer at once, and is closed when its clients have
 * gone (they ask every 4 s), or after FLEET_GRACE_MS.
 *
 * The first node in the list that is available is the primary; the others are replicas. When it leaves, the next one
 * is, with a new leader session.
 *
 * Labels without effect, because there is nothing of their kind here: subnet groups, security groups, the maintenance
 * window (nothing is ever done in it), the IAM role (nodes act for each client with that client's own rights),
 * server-side encryption (nodes write no items to any disk). They are checked in their form, kept and told.
 */
#ifndef STATOR_FLEET_FLEET_H
#define STATOR_FLEET_FLEET_H

#include "base/arena.h"
#include "base/status.h"
#include "engine/engine.h"

#define FLEET_NODES_MAX         10 /* of a cluster: a primary and nine replicas */
#define FLEET_CLUSTERS_MAX      50
#define FLEET_GROUPS_MAX        20
#define FLEET_SUBNET_GROUPS_MAX 50
#define FLEET_SUBNETS_MAX       20
#define FLEET_TAGS_MAX          50
#define FLEET_TTL_MAX_MS        INT32_MAX
#define FLEET_TTL_DEFAULT_MS    300000
#define FLEET_DEFAULT_GROUP     "default.dax1.0"
#define FLEET_DEFAULT_GROUP_2   "default.dax.1.0" /* how the service's guide spells it */
#define FLEET_EVENT_DAYS        14
#define FLEET_EVENTS_MAX        2000
#define FLEET_GRACE_MS          6000

/* --- who makes nodes --- */

struct fleet_member; /* the machine's: a running node */
struct fleet_member_spec {
	const char *cluster, *id; /* id NULL: the discovery endpoint, which has no cache */
	int port;                 /* 0: choose one */
	bool tls;
	int64_t item_ttl_ms, query_ttl_ms;
};
/* One cluster's nodes as clients are told them, the primary first. */
struct fleet_told {
	int64_t leader_session;
	int count;
	struct {
		struct fleet_member *member;
		int number; /* of the node; never used twice in a cluster */
		int port;
		const char *id, *zone;
	} nodes[FLEET_NODES_MAX];
};
struct fleet_machine {
	void *context;
	/* Begin to listen. S_DAX_CAPACITY: no port or no memory is left. */
	enum status (*start)(void *context, const struct fleet_member_spec *spec, struct fleet_member **ret,
			     int *ret_port, struct err *err);
	/* Has it no connections of clients any more? */
	bool (*is_idle)(void *context, struct fleet_member *member);
	/* Close the port and its connections; what is in the cache stays for again(). */
	void (*pause)(void *context, struct fleet_member *member);
	enum status (*again)(void *context, struct fleet_member *member, struct err *err);
	void (*stop)(void *context, struct fleet_member *member);
	void (*set_ttls)(void *context, struct fleet_member *member, int64_t item_ttl_ms, int64_t query_ttl_ms);
	/* All members of a cluster, the discovery endpoint among them, tell this from now on; entries are copied
	 * between the nodes in it. */
	void (*tell)(void *context, struct fleet_member *discovery, const struct fleet_told *told);
	const char *host; /* that nodes listen on; NULL or "0.0.0.0": any */
	bool has_tls;
};

/* --- what there is --- */

struct fleet_texts {
	char **items;
	size_t count;
};
struct fleet_tag {
	char *key, *value;
};

enum fleet_node_state { NODE_CREATING, NODE_AVAILABLE, NODE_REBOOTING, NODE_DELETING };
extern const char *const fleet_node_states[];
struct fleet_node {
	int number; /* 0 is "-a" */
	char id[32];
	char zone[40];
	int64_t created_ms;
	int port;
	enum fleet_node_state state;
	struct fleet_member *member;
};

enum fleet_cluster_state { CLUSTER_CREATING, CLUSTER_AVAILABLE, CLUSTER_MODIFYING, CLUSTER_DELETING };
extern const char *const fleet_cluster_states[];
struct fleet_cluster {
	struct fleet_cluster *next; /* by name */
	char name[24];
	char *description, *node_type, *role, *subnet_group, *window, *group; /* description NULL: none */
	char network[12];
	struct fleet_texts security_groups;
	struct fleet_tag *tags;
	size_t tag_count;
	bool sse, tls;
	enum fleet_cluster_state state;
	int64_t created_ms;
	int discovery_port;
	int next_number;
	struct fleet_node nodes[FLEET_NODES_MAX];
	int node_count;
	/* while running */
	struct fleet_member *discovery;
	int64_t due_ns;     /* of its next step, when it is not available */
	int64_t leaving_ns; /* since when nodes of it have been leaving */
	int64_t leader_session;
	int leader; /* number of the primary; -1: none */
};

struct fleet_group {
	struct fleet_group *next; /* by name */
	char *name, *description;
	int64_t item_ttl_ms, query_ttl_ms;
	bool item_set, query_set; /* by a user: Source "user" */
};
struct fleet_subnet_group {
	struct fleet_subnet_group *next; /* by name */
	char *name, *description;
	struct fleet_texts subnets;
};

enum fleet_source { SOURCE_CLUSTER, SOURCE_PARAMETER_GROUP, SOURCE_SUBNET_GROUP };
extern const char *const fleet_sources[];
struct fleet_event {
	int64_t at_ms;
	uint64_t number;
	enum fleet_source type;
	char *source, *message;
};

/* --- a region's fleet --- */

struct fleet;
struct fleet_options {
	const char *region, *account;
	int delay_ms;
	struct fleet_machine machine;
};
/* Reads what is kept and starts it. Clusters whose ports are taken are told in the log and stay without nodes until a
 * node is rebooted. Borrows the engine. */
enum status fleet_open(struct engine *engine, const struct fleet_options *options, struct fleet **ret, struct err *err);
void fleet_close(struct fleet *f); /* stops all nodes; NULL is fine */
const char *fleet_region(const struct fleet *f);
const char *fleet_account(const struct fleet *f);
const struct fleet_machine *fleet_machine(const struct fleet *f);

/* Everything below, and what it points to, is between these two. */
void fleet_lock(struct fleet *f);
void fleet_unlock(struct fleet *f);

/* Each change is durable when it returns. */

struct fleet_create {
	struct slice name, node_type, description, subnet_group, window, role, group, network;
	const struct slice *zones, *security_groups;
	size_t zone_count, security_group_count;
	const struct slice *tag_keys, *tag_values;
	size_t tag_count;
	int64_t replication;
	bool sse, tls;
};
enum status fleet_create(struct fleet *f, const struct fleet_create *in, struct fleet_cluster **ret, struct err *err);
/* By name, folded; S_DAX_CLUSTER_NOT_FOUND, S_DAX_VALUE. */
enum status fleet_find(struct fleet *f, struct slice name, bool tell_name, struct fleet_cluster **ret, struct err *err);
enum status fleet_delete(struct fleet *f, struct slice name, struct fleet_cluster **ret, struct err *err);
struct fleet_update {
	struct slice name, description, window, group; /* data NULL: stays */
	const struct slice *security_groups;
	size_t security_group_count;
	bool security_groups_given;
};
enum status fleet_update(struct fleet *f, const struct fleet_update *in, struct fleet_cluster **ret, struct err *err);
enum status fleet_increase(struct fleet *f, struct slice name, int64_t replication, const struct slice *zones,
			   size_t zone_count, struct fleet_cluster **ret, struct err *err);
enum status fleet_decrease(struct fleet *f, struct slice name, int64_t replication, const struct slice *zones,
			   size_t zone_count, const struct slice *ids, size_t id_count, struct fleet_cluster **ret,
			   struct err *err);
enum status fleet_reboot(struct fleet *f, struct slice name, struct slice node_id, struct fleet_cluster **ret,
			 struct err *err);
/* resource: an ARN, or a name. */
enum status fleet_find_arn(struct fleet *f, struct slice resource, struct fleet_cluster **ret, struct err *err);
enum status fleet_tag(struct fleet *f, struct fleet_cluster *c, const struct slice *keys, const struct slice *values,
		      size_t count, struct err *err);
/* *ret_removed tells the tags that went, as copies in the arena. */
enum status fleet_untag(struct fleet *f, struct fleet_cluster *c, const struct slice *keys, size_t count,
			struct arena *arena, struct fleet_tag **ret_removed, size_t *ret_count, struct err *err);
struct fleet_cluster *fleet_clusters(struct fleet *f);

enum status fleet_group_create(struct fleet *f, struct slice name, struct slice description, struct fleet_group **ret,
			       struct err *err);
struct fleet_setting {
	struct slice name, value;
};
enum status fleet_group_update(struct fleet *f, struct slice name, const struct fleet_setting *settings, size_t count,
			       struct fleet_group **ret, struct err *err);
enum status fleet_group_delete(struct fleet *f, struct slice name, struct err *err);
enum status fleet_group_find(struct fleet *f, struct slice name, struct fleet_group **ret, struct err *err);
struct fleet_group *fleet_groups(struct fleet *f);

enum status fleet_subnets_create(struct fleet *f, struct slice name, struct slice description,
				 const struct slice *subnets, size_t count, struct fleet_subnet_group **ret,
				 struct err *err);
/* description, subnets: data NULL: stays. */
enum status fleet_subnets_update(struct fleet *f, struct slice name, struct slice description,
				 const struct slice *subnets, size_t count, struct fleet_subnet_group **ret,
				 struct err *err);
enum status fleet_subnets_delete(struct fleet *f, struct slice name, struct err *err);
enum status fleet_subnets_find(struct fleet *f, struct slice name, struct fleet_subnet_group **ret, struct err *err);
struct fleet_subnet_group *fleet_subnet_groups(struct fleet *f);
/* The label of the zone that a subnet is in. */
void fleet_zone_of(const struct fleet *f, const char *subnet, char *ret, size_t size);

/* Oldest first. */
const struct fleet_event *fleet_events(struct fleet *f, size_t *ret_count);

#endif
