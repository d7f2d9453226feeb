/* Key schemas, as the upstream's DescribeTable tells them; each loop asks for itself, so that no lock is needed. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/lru.h"
#include "dax/dax_int.h"

static size_t
bucket_of(struct slice region, struct slice name)
{
	return (lru_hash(name) ^ (lru_hash(region) << 1)) % TABLE_BUCKETS;
}

static struct dax_table **
find_place(struct dax_loop *l, struct slice region, struct slice name)
{
	struct dax_table **at = &l->tables[bucket_of(region, name)];

	while (*at != NULL && !(slice_eq((*at)->name, name) && slice_eq((*at)->region, region)))
		at = &(*at)->next;
	return at;
}

struct dax_table *
dax_table_find(struct dax_loop *l, struct slice region, struct slice name, int64_t now_ns)
{
	struct dax_table *t = *find_place(l, region, name);

	if (t == NULL || now_ns - t->fetched_ns > l->node->options.upstream.table_ms * 1000000)
		return NULL;
	return t;
}

void
dax_table_doubt(struct dax_loop *l, struct slice region, struct slice name)
{
	struct dax_table *t = *find_place(l, region, name);

	if (t != NULL)
		t->fetched_ns = INT64_MIN / 2;
}

void
dax_table_release(struct dax_table *t)
{
	if (--t->refs == 0)
		free(t);
}

/* --- reading what DescribeTable tells --- */

struct described {
	struct slice id; /* what a table made anew has another of */
	bool id_is_unique;
	struct slice names[2];
	enum av_type types[2];
	int count;
};

/* {"AttributeName": ..., and the other: ...}; false: it is no object. */
static bool
read_attribute(struct json_reader *json, struct slice other, struct slice *ret_name, struct slice *ret_other)
{
	struct slice member;

	*ret_name = *ret_other = SLICE_NONE;
	if (!json_enter_object(json))
		return false;
	while (json_next_member(json, &member)) {
		if (slice_eq(member, SLICE("AttributeName")))
			*ret_name = json_string(json);
		else if (slice_eq(member, other))
			*ret_other = json_string(json);
		else
			json_skip(json);
	}
	return true;
}

static void
read_key_schema(struct json_reader *json, struct described *d)
{
	struct slice name, type;

	if (!json_enter_array(json))
		return;
	while (json_next_element(json)) {
		if (!read_attribute(json, SLICE("KeyType"), &name, &type))
			return;
		/* the partition key first, in whatever order they come */
		d->names[slice_eq(type, SLICE("RANGE"))] = name;
		d->count++;
	}
}

static void
read_definitions(struct json_reader *json, struct described *d)
{
	struct slice name, type;

	if (!json_enter_array(json))
		return;
	while (json_next_element(json)) {
		if (!read_attribute(json, SLICE("AttributeType"), &name, &type))
			return;
		for (int i = 0; i < 2; i++)
			if (slice_eq(name, d->names[i]) && type.len == 1)
				d->types[i] = type.data[0] == 'N' ? AV_N : type.data[0] == 'B' ? AV_B : AV_S;
	}
}

static bool
read_described(struct slice reply, struct arena *arena, struct described *d)
{
	struct slice member, definitions = SLICE_NONE, created = SLICE_NONE;
	struct json_reader json, part;

	memset(d, 0, sizeof *d);
	json_init(&json, reply, arena);
	if (!json_enter_object(&json))
		return false;
	while (json_next_member(&json, &member)) {
		if (!slice_eq(member, SLICE("Table"))) {
			json_skip(&json);
			continue;
		}
		if (!json_enter_object(&json))
			return false;
		while (json_next_member(&json, &member)) {
			if (slice_eq(member, SLICE("KeySchema")))
				read_key_schema(&json, d);
			else if (slice_eq(member, SLICE("AttributeDefinitions")))
				definitions = json_raw(&json);
			else if (slice_eq(member, SLICE("TableId")))
				d->id = json_string(&json);
			else if (slice_eq(member, SLICE("CreationDateTime")))
				created = json_raw(&json);
			else
				json_skip(&json);
		}
	}
	d->id_is_unique = d->id.len > 0;
	if (!d->id_is_unique) /* some endpoints give none */
		d->id = created;
	json_init(&part, definitions, arena);
	read_definitions(&part, d);
	return !json_failed(&json) && !json_failed(&part) && (d->count == 1 || d->count == 2) && d->names[0].len > 0 &&
	       (d->count == 1 || d->names[1].len > 0);
}

/* --- keeping --- */

static char *
copy(char **at, struct slice s)
{
	char *from = *at;

	memcpy(from, s.data, s.len);
	*at += s.len;
	return from;
}

static struct dax_table *
table_new(struct slice region, struct slice name, const struct described *d)
{
	struct dax_table *t = calloc(1, sizeof *t + region.len + name.len + d->names[0].len + d->names[1].len);
	char *at;

	if (t == NULL)
		abort();
	at = (char *)(t + 1);
	t->region = slice_of(copy(&at, region), region.len);
	t->name = slice_of(copy(&at, name), name.len);
	t->key_count = d->count;
	for (int i = 0; i < d->count; i++) {
		t->keys[i].name = slice_of(copy(&at, d->names[i]), d->names[i].len);
		t->keys[i].type = d->types[i];
	}
	/* a TableId alone is unique, and all that others who clear the cache may know */
	t->id = lru_hash(d->id) >> 1;
	if (!d->id_is_unique)
		t->id = (lru_hash(d->id) ^ lru_hash(name) * 3 ^ lru_hash(region) * 5) >> 1;
	t->fetched_ns = clock_mono_ns();
	t->refs = 1;
	return t;
}

/* Room for one more: the table of one bucket goes, whichever it is. Nobody has as many tables in use. */
static void
make_room(struct dax_loop *l)
{
	for (size_t i = 0; l->table_count >= TABLES_MAX && i < TABLE_BUCKETS; i++) {
		struct dax_table *t = l->tables[i];

		if (t != NULL) {
			l->tables[i] = t->next;
			l->table_count--;
			dax_table_release(t);
		}
	}
}

struct dax_table *
dax_table_put(struct dax_loop *l, struct slice region, struct slice name, struct slice json, struct arena *arena)
{
	struct described d;
	struct dax_table *t, *old, **at;

	if (!read_described(json, arena, &d))
		return NULL;
	t = table_new(region, name, &d);
	make_room(l);
	at = find_place(l, region, name);
	old = *at;
	t->next = old != NULL ? old->next : NULL;
	*at = t;
	if (old != NULL)
		dax_table_release(old);
	else
		l->table_count++;
	return t;
}
