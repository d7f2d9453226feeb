/* Opening, closing, the thread that does what is due, and memory. */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "fleet/fleet_int.h"

const char *const fleet_node_states[] = {
    [NODE_CREATING] = "creating",
    [NODE_AVAILABLE] = "available",
    [NODE_REBOOTING] = "rebooting",
    [NODE_DELETING] = "deleting",
};
const char *const fleet_cluster_states[] = {
    [CLUSTER_CREATING] = "creating",
    [CLUSTER_AVAILABLE] = "available",
    [CLUSTER_MODIFYING] = "modifying",
    [CLUSTER_DELETING] = "deleting",
};
const char *const fleet_sources[] = {
    [SOURCE_CLUSTER] = "CLUSTER",
    [SOURCE_PARAMETER_GROUP] = "PARAMETER_GROUP",
    [SOURCE_SUBNET_GROUP] = "SUBNET_GROUP",
};

/* --- memory --- */

char *
fleet_copy(struct slice text)
{
	char *copy;

	if (text.data == NULL)
		return NULL;
	copy = strndup(text.data, text.len);
	if (copy == NULL)
		abort();
	return copy;
}

struct fleet_texts
fleet_copy_texts(const struct slice *texts, size_t count)
{
	struct fleet_texts t = {.items = calloc(count + 1, sizeof *t.items), .count = count};

	if (t.items == NULL)
		abort();
	for (size_t i = 0; i < count; i++)
		t.items[i] = fleet_copy(texts[i]);
	return t;
}

void
fleet_free_texts(struct fleet_texts *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->items[i]);
	free(t->items);
	*t = (struct fleet_texts){0};
}

void
fleet_cluster_free(struct fleet_cluster *c)
{
	for (size_t i = 0; i < c->tag_count; i++) {
		free(c->tags[i].key);
		free(c->tags[i].value);
	}
	free(c->tags);
	fleet_free_texts(&c->security_groups);
	free(c->description);
	free(c->node_type);
	free(c->role);
	free(c->subnet_group);
	free(c->window);
	free(c->group);
	free(c);
}

void
fleet_group_free(struct fleet_group *g)
{
	free(g->name);
	free(g->description);
	free(g);
}

void
fleet_subnets_free(struct fleet_subnet_group *g)
{
	fleet_free_texts(&g->subnets);
	free(g->name);
	free(g->description);
	free(g);
}

/* --- lists, by name --- */

void
fleet_insert_cluster(struct fleet *f, struct fleet_cluster *c)
{
	struct fleet_cluster **at = &f->clusters;

	while (*at != NULL && strcmp((*at)->name, c->name) < 0)
		at = &(*at)->next;
	c->next = *at;
	*at = c;
}

void
fleet_insert_group(struct fleet *f, struct fleet_group *g)
{
	struct fleet_group **at = &f->groups;

	while (*at != NULL && strcmp((*at)->name, g->name) < 0)
		at = &(*at)->next;
	g->next = *at;
	*at = g;
}

void
fleet_insert_subnets(struct fleet *f, struct fleet_subnet_group *g)
{
	struct fleet_subnet_group **at = &f->subnet_groups;

	while (*at != NULL && strcmp((*at)->name, g->name) < 0)
		at = &(*at)->next;
	g->next = *at;
	*at = g;
}

struct fleet_cluster *
fleet_clusters(struct fleet *f)
{
	return f->clusters;
}

struct fleet_group *
fleet_groups(struct fleet *f)
{
	return f->groups;
}

struct fleet_subnet_group *
fleet_subnet_groups(struct fleet *f)
{
	return f->subnet_groups;
}

const struct fleet_event *
fleet_events(struct fleet *f, size_t *ret_count)
{
	*ret_count = f->event_count;
	return f->events;
}

const char *
fleet_region(const struct fleet *f)
{
	return f->region;
}

const char *
fleet_account(const struct fleet *f)
{
	return f->account;
}

const struct fleet_machine *
fleet_machine(const struct fleet *f)
{
	return &f->machine;
}

void
fleet_lock(struct fleet *f)
{
	pthread_mutex_lock(&f->lock);
}

void
fleet_unlock(struct fleet *f)
{
	pthread_cond_signal(&f->work); /* something may be due now */
	pthread_mutex_unlock(&f->lock);
}

/* --- the thread --- */

/* The cluster whose step comes first; NULL: none has one. */
static struct fleet_cluster *
first_due(struct fleet *f)
{
	struct fleet_cluster *first = NULL;

	for (struct fleet_cluster *c = f->clusters; c != NULL; c = c->next)
		if (c->state != CLUSTER_AVAILABLE && c->due_ns != 0 && (first == NULL || c->due_ns < first->due_ns))
			first = c;
	return first;
}

static void *
run(void *context)
{
	struct fleet *f = context;

	pthread_setname_np(pthread_self(), "dax-fleet");
	pthread_mutex_lock(&f->lock);
	while (!f->ending) {
		struct fleet_cluster *c = first_due(f);
		struct timespec until;

		if (c == NULL) {
			pthread_cond_wait(&f->work, &f->lock);
		} else if (clock_mono_ns() < c->due_ns) {
			until = (struct timespec){c->due_ns / 1000000000, c->due_ns % 1000000000};
			pthread_cond_timedwait(&f->work, &f->lock, &until);
		} else {
			fleet_step(f, c);
		}
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

/* --- opening and closing --- */

/* Clusters that were about to be deleted go on with that; the others start. */
static void
start_all(struct fleet *f)
{
	struct err err;

	for (struct fleet_cluster *c = f->clusters; c != NULL; c = c->next) {
		if (c->state != CLUSTER_DELETING && fleet_start_cluster(f, c, &err) != S_OK)
			log_error("fleet", "DAX cluster %s: %s", c->name, err.message);
		if (c->state != CLUSTER_AVAILABLE)
			c->due_ns = clock_mono_ns();
	}
}

static struct fleet_group *
default_group(void)
{
	struct fleet_group *g = calloc(1, sizeof *g);

	if (g == NULL)
		abort();
	g->name = fleet_copy(SLICE(FLEET_DEFAULT_GROUP));
	g->description = fleet_copy(SLICE("Default parameter group for dax1.0"));
	g->item_ttl_ms = g->query_ttl_ms = FLEET_TTL_DEFAULT_MS;
	return g;
}

static struct fleet_subnet_group *
default_subnets(void)
{
	const struct slice subnets[] = {SLICE("subnet-00000001"), SLICE("subnet-00000002"), SLICE("subnet-00000003")};
	struct fleet_subnet_group *g = calloc(1, sizeof *g);

	if (g == NULL)
		abort();
	g->name = fleet_copy(SLICE("default"));
	g->description = fleet_copy(SLICE("Default subnet group"));
	g->subnets = fleet_copy_texts(subnets, 3);
	return g;
}

enum status
fleet_open(struct engine *engine, const struct fleet_options *options, struct fleet **ret, struct err *err)
{
	struct fleet *f = calloc(1, sizeof *f);
	pthread_condattr_t monotonic;
	enum status s;
	int failed;

	*ret = NULL;
	if (f == NULL)
		abort();
	f->engine = engine;
	f->region = fleet_copy(slice_str(options->region));
	f->account = fleet_copy(slice_str(options->account));
	f->delay_ms = options->delay_ms;
	f->machine = options->machine;
	pthread_mutex_init(&f->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&f->work, &monotonic);
	pthread_condattr_destroy(&monotonic);
	fleet_insert_group(f, default_group());
	fleet_insert_subnets(f, default_subnets());
	s = fleet_load(f, err);
	if (s == S_OK) {
		start_all(f);
		failed = pthread_create(&f->thread, NULL, run, f);
		f->threaded = failed == 0;
		if (failed != 0)
			s = err_set(err, S_INTERNAL, "a thread could not be started: %s", strerror(failed));
	}
	if (s != S_OK) {
		fleet_close(f);
		return s;
	}
	*ret = f;
	return S_OK;
}

void
fleet_close(struct fleet *f)
{
	if (f == NULL)
		return;
	pthread_mutex_lock(&f->lock);
	f->ending = true;
	pthread_cond_signal(&f->work);
	pthread_mutex_unlock(&f->lock);
	if (f->threaded)
		pthread_join(f->thread, NULL);
	while (f->clusters != NULL) {
		struct fleet_cluster *c = f->clusters;

		f->clusters = c->next;
		fleet_stop_cluster(f, c);
		fleet_cluster_free(c);
	}
	while (f->groups != NULL) {
		struct fleet_group *g = f->groups;

		f->groups = g->next;
		fleet_group_free(g);
	}
	while (f->subnet_groups != NULL) {
		struct fleet_subnet_group *g = f->subnet_groups;

		f->subnet_groups = g->next;
		fleet_subnets_free(g);
	}
	for (size_t i = 0; i < f->event_count; i++) {
		free(f->events[i].source);
		free(f->events[i].message);
	}
	free(f->events);
	pthread_cond_destroy(&f->work);
	pthread_mutex_destroy(&f->lock);
	free(f->region);
	free(f->account);
	free(f);
}
