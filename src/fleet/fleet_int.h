/* What the files of this room share; no other room includes it. */
#ifndef STATOR_FLEET_FLEET_INT_H
#define STATOR_FLEET_FLEET_INT_H

#include <pthread.h>

#include "base/buf.h"
#include "fleet/fleet.h"

struct fleet {
	struct engine *engine;
	char *region, *account;
	int delay_ms;
	struct fleet_machine machine;
	pthread_t thread;
	bool threaded;
	/* guarded by lock */
	pthread_mutex_t lock;
	pthread_cond_t work; /* a due_ns was set, or the end */
	bool ending;
	struct fleet_cluster *clusters;
	struct fleet_group *groups;
	struct fleet_subnet_group *subnet_groups;
	struct fleet_event *events; /* oldest first */
	size_t event_count, event_room;
	uint64_t event_next;
};

/* --- record.c: rows are written --- */

#define ROW_PREFIX 'D'
enum fleet_row { ROW_CLUSTER = 'c', ROW_GROUP = 'p', ROW_SUBNETS = 's', ROW_EVENT = 'e' };

struct fleet_batch;
/* Changes that become durable together. */
struct fleet_batch *fleet_batch_new(struct fleet *f);
void fleet_batch_put_cluster(struct fleet_batch *b, const struct fleet_cluster *c);
void fleet_batch_put_group(struct fleet_batch *b, const struct fleet_group *g);
void fleet_batch_put_subnets(struct fleet_batch *b, const struct fleet_subnet_group *g);
void fleet_batch_delete(struct fleet_batch *b, enum fleet_row row, const char *name);
/* Adds it to the events in memory, too; events too old or too many go. */
void fleet_batch_event(struct fleet_batch *b, enum fleet_source type, const char *source, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Waits until it is durable; frees the batch. */
enum status fleet_batch_end(struct fleet_batch *b, struct err *err);
/* Takes source and message. */
void fleet_add_event(struct fleet *f, const struct fleet_event *e);

/* --- load.c: rows are read --- */

/* S_CORRUPT names the row that makes no sense. Members that are not known are left out, and so are rows of kinds that
 * are not known: later versions have them. */
enum status fleet_load(struct fleet *f, struct err *err);

/* --- fleet.c --- */

char *fleet_copy(struct slice text); /* data NULL: NULL */
struct fleet_texts fleet_copy_texts(const struct slice *texts, size_t count);
void fleet_free_texts(struct fleet_texts *t);
void fleet_cluster_free(struct fleet_cluster *c);
void fleet_group_free(struct fleet_group *g);
void fleet_subnets_free(struct fleet_subnet_group *g);
void fleet_insert_cluster(struct fleet *f, struct fleet_cluster *c);
void fleet_insert_group(struct fleet *f, struct fleet_group *g);
void fleet_insert_subnets(struct fleet *f, struct fleet_subnet_group *g);

/* --- check.c: S_OK, or what is wrong with what a caller gave --- */

/* 1 to 20 letters, digits and hyphens, folded. */
enum status fleet_check_name(struct slice name, char ret[24], struct err *err);
enum status fleet_check_role(struct slice arn, struct err *err);
enum status fleet_check_node_type(struct slice type, struct err *err);
enum status fleet_check_window(struct slice window, struct err *err);
char *fleet_random_window(void); /* the caller's */
enum status fleet_check_zones(const struct fleet *f, const struct slice *zones, size_t count, struct err *err);
enum status fleet_check_security_groups(const struct slice *groups, size_t count, struct err *err);
enum status fleet_check_tags(const struct slice *keys, const struct slice *values, size_t count, struct err *err);
/* Empty is the default: what this machine's nodes speak. */
enum status fleet_check_network(const struct fleet *f, struct slice network, char ret[12], struct err *err);
enum status fleet_check_replication(int64_t replication, struct err *err);

/* --- cluster.c --- */

/* Its nodes begin to listen. */
enum status fleet_start_cluster(struct fleet *f, struct fleet_cluster *c, struct err *err);
void fleet_stop_cluster(struct fleet *f, struct fleet_cluster *c);
/* The next step of a cluster that is not available; c may be freed. */
void fleet_step(struct fleet *f, struct fleet_cluster *c);
/* Everybody in the cluster is told who is there now. */
void fleet_tell(struct fleet *f, struct fleet_cluster *c);

#endif
