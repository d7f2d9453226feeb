/* Rows of the catalog read when the fleet opens: what is in them is checked as strictly as a request would be, for
 * whatever is loaded is believed from then on. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/json.h"
#include "fleet/fleet_int.h"

#define TEXTS_MAX 512

/* A member of a row and where its value goes. */
struct member {
	const char *name;
	enum { TEXT, SHORT_TEXT, TEXTS, NUMBER, SMALL_NUMBER, FLAG } type;
	size_t offset;
	size_t size;  /* SHORT_TEXT: of the array */
	int64_t most; /* of numbers, which are not negative */
};

static int64_t
take_number(struct json_reader *r, int64_t most)
{
	struct slice text = json_number(r);
	int64_t value = 0;

	for (size_t i = 0; i < text.len; i++) {
		int digit = text.data[i] - '0';

		if (digit < 0 || digit > 9 || digit > most || value > (most - digit) / 10) {
			json_fail(r, "a number out of its range");
			return 0;
		}
		value = 10 * value + digit;
	}
	return value;
}

/* No text has a zero byte: it would end there. */
static struct slice
take_text(struct json_reader *r)
{
	struct slice text = json_string(r);

	if (text.len > 0 && memchr(text.data, '\0', text.len) != NULL)
		json_fail(r, "a text with a zero byte");
	return text;
}

static struct fleet_texts
take_texts(struct json_reader *r)
{
	struct slice texts[TEXTS_MAX];
	size_t count = 0;

	if (json_enter_array(r)) {
		while (json_next_element(r)) {
			struct slice text = take_text(r);

			if (json_failed(r))
				break;
			if (count == TEXTS_MAX) {
				json_fail(r, "too many texts");
				break;
			}
			texts[count++] = text;
		}
	}
	return fleet_copy_texts(texts, count);
}

static void
take_value(struct json_reader *r, const struct member *m, void *target)
{
	void *at = (char *)target + m->offset;
	struct slice text;

	switch (m->type) {
	case TEXT:
		free(*(char **)at); /* named twice: the last one counts */
		*(char **)at = fleet_copy(take_text(r));
		break;
	case SHORT_TEXT:
		text = take_text(r);
		if (text.len >= m->size)
			json_fail(r, "a text that is too long");
		else if (text.len > 0)
			memcpy(at, text.data, text.len);
		break;
	case TEXTS:
		fleet_free_texts(at);
		*(struct fleet_texts *)at = take_texts(r);
		break;
	case NUMBER:
		*(int64_t *)at = take_number(r, m->most);
		break;
	case SMALL_NUMBER: /* and enums, which are ints */
		*(int *)at = (int)take_number(r, m->most);
		break;
	case FLAG:
		*(bool *)at = take_number(r, 1) != 0;
		break;
	}
}

/* An object; those of its members that are in the table. `other` is called for the rest, or they are passed over. */
static void
take_object(struct json_reader *r, const struct member *members, size_t count, void *target,
	    bool (*other)(struct json_reader *r, struct slice name, void *target))
{
	struct slice name;

	if (!json_enter_object(r))
		return;
	while (json_next_member(r, &name)) {
		size_t i = 0;

		while (i < count && !slice_eq(name, slice_str(members[i].name)))
			i++;
		if (i < count)
			take_value(r, &members[i], target);
		else if (other == NULL || !other(r, name, target))
			json_skip(r);
	}
}

/* --- clusters --- */

#define CLUSTER(name, type, field, most)                                                                               \
	{                                                                                                              \
		name, type, offsetof(struct fleet_cluster, field), sizeof(((struct fleet_cluster *)0)->field), most    \
	}
#define NODE(name, type, field, most)                                                                                  \
	{                                                                                                              \
		name, type, offsetof(struct fleet_node, field), sizeof(((struct fleet_node *)0)->field), most          \
	}
static const struct member cluster_members[] = {
    CLUSTER("description", TEXT, description, 0),
    CLUSTER("node_type", TEXT, node_type, 0),
    CLUSTER("role", TEXT, role, 0),
    CLUSTER("subnet_group", TEXT, subnet_group, 0),
    CLUSTER("window", TEXT, window, 0),
    CLUSTER("group", TEXT, group, 0),
    CLUSTER("network", SHORT_TEXT, network, 0),
    CLUSTER("security_groups", TEXTS, security_groups, 0),
    CLUSTER("sse", FLAG, sse, 0),
    CLUSTER("tls", FLAG, tls, 0),
    CLUSTER("state", SMALL_NUMBER, state, CLUSTER_DELETING),
    CLUSTER("created_ms", NUMBER, created_ms, INT64_MAX),
    CLUSTER("port", SMALL_NUMBER, discovery_port, UINT16_MAX),
    CLUSTER("next_number", SMALL_NUMBER, next_number, INT32_MAX / 2),
};
static const struct member node_members[] = {
    NODE("number", SMALL_NUMBER, number, INT32_MAX / 2), NODE("zone", SHORT_TEXT, zone, 0),
    NODE("created_ms", NUMBER, created_ms, INT64_MAX),   NODE("port", SMALL_NUMBER, port, UINT16_MAX),
    NODE("state", SMALL_NUMBER, state, NODE_DELETING),
};
_Static_assert(sizeof(enum fleet_node_state) == sizeof(int) && sizeof(enum fleet_cluster_state) == sizeof(int),
	       "states are read as SMALL_NUMBERs");

static void
take_nodes(struct json_reader *r, struct fleet_cluster *c)
{
	c->node_count = 0;
	if (!json_enter_array(r))
		return;
	while (json_next_element(r)) {
		struct fleet_node n = {0};

		take_object(r, node_members, sizeof node_members / sizeof *node_members, &n, NULL);
		if (!json_failed(r) && (c->node_count == FLEET_NODES_MAX || n.zone[0] == '\0'))
			json_fail(r, "too many nodes, or one without a zone");
		if (json_failed(r))
			return;
		c->nodes[c->node_count++] = n;
	}
}

/* Key, value, key, value ... */
static void
take_tags(struct json_reader *r, struct fleet_cluster *c)
{
	struct fleet_texts flat = take_texts(r);

	if (c->tag_count != 0 || flat.count % 2 != 0 || flat.count / 2 > FLEET_TAGS_MAX) {
		fleet_free_texts(&flat);
		json_fail(r, "tags that are no pairs, too many or there twice");
		return;
	}
	free(c->tags);
	c->tag_count = flat.count / 2;
	c->tags = calloc(c->tag_count + 1, sizeof *c->tags);
	if (c->tags == NULL)
		abort();
	for (size_t i = 0; i < c->tag_count; i++)
		c->tags[i] = (struct fleet_tag){flat.items[2 * i], flat.items[2 * i + 1]};
	free(flat.items);
}

static bool
take_lists(struct json_reader *r, struct slice name, void *target)
{
	bool nodes = slice_eq(name, SLICE("nodes"));

	if (nodes)
		take_nodes(r, target);
	else if (slice_eq(name, SLICE("tags")))
		take_tags(r, target);
	else
		return false;
	return true;
}

static bool
is_whole(const struct fleet_cluster *c)
{
	for (int i = 0; i < c->node_count; i++) {
		if (c->nodes[i].number >= c->next_number)
			return false;
		for (int j = 0; j < i; j++)
			if (c->nodes[j].number % 26 == c->nodes[i].number % 26)
				return false;
	}
	return c->name[0] != '\0' && c->node_type != NULL && c->role != NULL && c->subnet_group != NULL &&
	       c->window != NULL && c->group != NULL;
}

static void
take_cluster(struct fleet *f, struct slice key, struct json_reader *r)
{
	struct fleet_cluster *c = calloc(1, sizeof *c);

	if (c == NULL)
		abort();
	c->leader = -1;
	if (key.len < sizeof c->name)
		memcpy(c->name, key.data, key.len);
	take_object(r, cluster_members, sizeof cluster_members / sizeof *cluster_members, c, take_lists);
	if (!json_failed(r) && !is_whole(c))
		json_fail(r, "something of the cluster is missing");
	if (json_failed(r)) {
		fleet_cluster_free(c);
		return;
	}
	for (int i = 0; i < c->node_count; i++)
		snprintf(c->nodes[i].id, sizeof c->nodes[i].id, "%s-%c", c->name, 'a' + c->nodes[i].number % 26);
	fleet_insert_cluster(f, c);
}

/* --- groups --- */

static void
take_group(struct fleet *f, struct slice key, struct json_reader *r)
{
	static const struct member members[] = {
	    {"description", TEXT, offsetof(struct fleet_group, description), 0, 0},
	    {"record_ttl_ms", NUMBER, offsetof(struct fleet_group, item_ttl_ms), 0, FLEET_TTL_MAX_MS},
	    {"query_ttl_ms", NUMBER, offsetof(struct fleet_group, query_ttl_ms), 0, FLEET_TTL_MAX_MS},
	};
	struct fleet_group *g = calloc(1, sizeof *g);

	if (g == NULL)
		abort();
	g->name = fleet_copy(key);
	g->item_ttl_ms = g->query_ttl_ms = -1;
	take_object(r, members, sizeof members / sizeof *members, g, NULL);
	if (json_failed(r)) {
		fleet_group_free(g);
		return;
	}
	g->item_set = g->item_ttl_ms >= 0;
	g->query_set = g->query_ttl_ms >= 0;
	g->item_ttl_ms = g->item_set ? g->item_ttl_ms : FLEET_TTL_DEFAULT_MS;
	g->query_ttl_ms = g->query_set ? g->query_ttl_ms : FLEET_TTL_DEFAULT_MS;
	fleet_insert_group(f, g);
}

static void
take_subnets(struct fleet *f, struct slice key, struct json_reader *r)
{
	static const struct member members[] = {
	    {"description", TEXT, offsetof(struct fleet_subnet_group, description), 0, 0},
	    {"subnets", TEXTS, offsetof(struct fleet_subnet_group, subnets), 0, 0},
	};
	struct fleet_subnet_group *g = calloc(1, sizeof *g);

	if (g == NULL)
		abort();
	g->name = fleet_copy(key);
	take_object(r, members, sizeof members / sizeof *members, g, NULL);
	if (json_failed(r)) {
		fleet_subnets_free(g);
		return;
	}
	/* what was made of the one that is always there */
	for (struct fleet_subnet_group **at = &f->subnet_groups; *at != NULL; at = &(*at)->next) {
		struct fleet_subnet_group *old = *at;

		if (strcmp(old->name, g->name) != 0)
			continue;
		*at = old->next;
		fleet_subnets_free(old);
		break;
	}
	fleet_insert_subnets(f, g);
}

/* --- events --- */

static void
take_event(struct fleet *f, struct slice key, struct json_reader *r)
{
	static const struct member members[] = {
	    {"at_ms", NUMBER, offsetof(struct fleet_event, at_ms), 0, INT64_MAX},
	    {"type", SMALL_NUMBER, offsetof(struct fleet_event, type), 0, SOURCE_SUBNET_GROUP},
	    {"source", TEXT, offsetof(struct fleet_event, source), 0, 0},
	    {"message", TEXT, offsetof(struct fleet_event, message), 0, 0},
	};
	struct fleet_event e = {0};

	if (key.len == sizeof e.number)
		memcpy(&e.number, key.data, sizeof e.number);
	e.number = __builtin_bswap64(e.number);
	take_object(r, members, sizeof members / sizeof *members, &e, NULL);
	if (!json_failed(r) &&
	    (key.len != sizeof e.number || e.number == UINT64_MAX || e.source == NULL || e.message == NULL))
		json_fail(r, "something of the event is missing");
	if (json_failed(r)) {
		free(e.source);
		free(e.message);
		return;
	}
	fleet_add_event(f, &e);
}

/* --- all --- */

static enum status
take_row(struct fleet *f, struct slice key, struct slice value, struct arena *arena, struct err *err)
{
	static const struct {
		enum fleet_row row;
		void (*take)(struct fleet *f, struct slice key, struct json_reader *r);
	} kinds[] = {
	    {ROW_CLUSTER, take_cluster},
	    {ROW_GROUP, take_group},
	    {ROW_SUBNETS, take_subnets},
	    {ROW_EVENT, take_event},
	};
	struct slice name = slice_of(key.data + 2, key.len - 2);
	struct json_reader r;

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (key.data[1] != (char)kinds[i].row)
			continue;
		json_init(&r, value, arena);
		if (kinds[i].row != ROW_EVENT && (name.len == 0 || memchr(name.data, '\0', name.len) != NULL))
			json_fail(&r, "a name that is none");
		kinds[i].take(f, name, &r);
		json_end(&r);
		if (json_failed(&r))
			return err_set(err, S_CORRUPT, "the catalog's row D%c%.*s makes no sense: %s", key.data[1],
				       SLICE_ARG(name), r.failure);
	}
	return S_OK;
}

/* A group in use cannot be deleted, so each cluster's is there. */
static enum status
check_groups(const struct fleet *f, struct err *err)
{
	for (const struct fleet_cluster *c = f->clusters; c != NULL; c = c->next) {
		const struct fleet_group *g = f->groups;

		while (g != NULL && strcmp(g->name, c->group) != 0)
			g = g->next;
		if (g == NULL)
			return err_set(err, S_CORRUPT, "the catalog's row Dc%s names a group that is not there: %s",
				       c->name, c->group);
	}
	return S_OK;
}

enum status
fleet_load(struct fleet *f, struct err *err)
{
	const char from[] = {ROW_PREFIX}, to[] = {ROW_PREFIX + 1};
	struct engine_iter *it =
	    engine_iter_new(f->engine, NULL, SPACE_CATALOG, slice_of(from, 1), slice_of(to, 1), ENGINE_MAY_BLOCK);
	struct arena arena = {0};
	enum status s = S_OK;

	for (engine_iter_first(it); s == S_OK && engine_iter_valid(it); engine_iter_next(it)) {
		if (engine_iter_key(it).len >= 2)
			s = take_row(f, engine_iter_key(it), engine_iter_value(it), &arena, err);
		arena_reset(&arena);
	}
	if (s == S_OK)
		s = engine_iter_status(it, err);
	if (s == S_OK)
		s = check_groups(f, err);
	engine_iter_free(it);
	arena_done(&arena);
	return s;
}
