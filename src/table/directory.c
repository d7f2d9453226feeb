/*
 * The directory: from a name to the newest version of a table, for every request, and the life of versions.
 */
#include "table/vector_int.h"

#include <stdio.h>
#include <stdlib.h>

static struct bucket *
bucket_of(struct table_db *db, struct slice name)
{
	uint32_t hash = 2166136261u; /* FNV-1a: names are short */

	for (size_t i = 0; i < name.len; i++)
		hash = (hash ^ (uint8_t)name.data[i]) * 16777619u;
	return &db->buckets[(hash ^ hash >> 16) % DIRECTORY_BUCKETS];
}

/* ---- counting ---- */

struct table *
table_hold(struct table *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	return t;
}

static void
index_core_release(struct index_core *x)
{
	if (x == NULL || atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) != 1)
		return;
	insights_done(&x->insights);
	index_parts_free(x);
	free(x);
}

void
core_hold(struct table_core *core)
{
	atomic_fetch_add_explicit(&core->refs, 1, memory_order_relaxed);
}

void
core_release(struct table_core *core)
{
	if (core == NULL || atomic_fetch_sub_explicit(&core->refs, 1, memory_order_acq_rel) != 1)
		return;
	layout_done(core);
	pthread_mutex_destroy(&core->policy_lock);
	policy_forget(core);
	insights_done(&core->insights);
	free((void *)core->name.data);
	free(core);
}

void
table_release(struct table *t)
{
	while (t != NULL && atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) == 1) {
		struct table *newer = t->newer;

		for (size_t i = 0; t->indexes != NULL && i < t->index_count; i++)
			index_core_release(t->indexes[i].core);
		ttl_core_release(t->ttl);
		core_release(t->core);
		table_pool_done(&t->pool);
		free(t);
		t = newer; /* the count it held */
	}
}

/* ---- making ---- */

struct table_core *
core_new(struct table_db *db, struct slice name, const struct record *record)
{
	struct table_core *core = table_alloc(sizeof *core);

	core->db = db;
	atomic_init(&core->refs, 1);
	core->number = record->number;
	core->name = (struct slice){memcpy(table_alloc(name.len + 1), name.data, name.len), name.len};
	layout_init(core, record->partitions);
	pthread_mutex_init(&core->policy_lock, NULL);
	throttle_init(&core->throttle);
	return core;
}

static struct index_core *
index_core_for(const struct table *before, uint32_t number, bool global, uint32_t partitions)
{
	struct index_core *x;

	for (size_t i = 0; before != NULL && i < before->index_count; i++)
		if (before->indexes[i].core->number == number) {
			atomic_fetch_add_explicit(&before->indexes[i].core->refs, 1, memory_order_relaxed);
			return before->indexes[i].core;
		}
	x = table_alloc(sizeof *x);
	atomic_init(&x->refs, 1);
	x->number = number;
	throttle_init(&x->throttle);
	x->has_recent = global;
	index_parts_grow(x, partitions);
	return x;
}

static int
slice_order(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

static size_t
add_schema_names(struct slice *names, size_t count, const struct key_schema *schema)
{
	for (unsigned i = 0; i < schema->partition_count; i++)
		names[count++] = schema->partition[i].name;
	for (unsigned i = 0; i < schema->sort_count; i++)
		names[count++] = schema->sort[i].name;
	return count;
}

/* Sorted and without doubles, as item_pick() likes them. */
static size_t
sort_names(struct slice *names, size_t count)
{
	size_t kept = 0;

	qsort(names, count, sizeof *names, slice_order);
	for (size_t i = 0; i < count; i++)
		if (kept == 0 || !slice_eq(names[kept - 1], names[i]))
			names[kept++] = names[i];
	return kept;
}

static void
index_setup(struct table *t, size_t i, const struct table *before)
{
	struct table_index *x = &t->indexes[i];
	struct allocator a = pool_allocator(&t->pool);
	struct slice *names;
	size_t elements;

	x->spec = &t->record.spec.indexes[i];
	x->record = &t->record.indexes[i];
	/* a search waits for whole partitions (vector_search.c): no slots of its own */
	x->core = index_core_for(before, x->record->number, x->spec->global && x->spec->vector == NULL,
				 layout_of(t->core)->count);
	x->whole = x->spec->projection == PROJECT_ALL;
	x->maintained = x->record->status != INDEX_DELETING;
	names = a.alloc(a.context, 4 * KEY_ATTRS_MAX * sizeof *names);
	x->key_name_count = add_schema_names(names, 0, &x->spec->schema);
	x->key_name_count = sort_names(names, add_schema_names(names, x->key_name_count, &t->record.spec.schema));
	x->key_names = names;
	elements = x->spec->vector != NULL ? x->spec->vector->element_count : 0;
	names = a.alloc(a.context, (x->key_name_count + elements + x->spec->include_count) * sizeof *names);
	memcpy(names, x->key_names, x->key_name_count * sizeof *names);
	x->row_name_count = x->key_name_count;
	for (size_t n = 0; n < elements; n++)
		names[x->row_name_count++] = x->spec->vector->elements[n].attr.name;
	if (x->spec->projection == PROJECT_INCLUDE) {
		for (size_t n = 0; n < x->spec->include_count; n++)
			names[x->row_name_count++] = x->spec->include[n];
	}
	x->row_name_count = sort_names(names, x->row_name_count);
	x->row_names = names;
	t->has_local |= !x->spec->global;
	t->has_vector |= x->spec->vector != NULL;
}

static void
order_by_name(struct table *t)
{
	struct allocator a = pool_allocator(&t->pool);
	uint16_t *order = a.alloc(a.context, t->index_count * sizeof *order);

	for (size_t i = 0; i < t->index_count; i++) {
		size_t at = i;

		for (; at > 0 && slice_cmp(t->indexes[order[at - 1]].spec->name, t->indexes[i].spec->name) > 0; at--)
			order[at] = order[at - 1];
		order[at] = (uint16_t)i;
	}
	t->by_name = order;
}

enum status
version_new(struct table_db *db, const struct table *before, struct slice name, struct slice encoded,
	    struct table **ret, struct err *err)
{
	struct table *t = table_alloc(sizeof *t);
	struct allocator a = pool_allocator(&t->pool);
	char *copy = a.alloc(a.context, encoded.len);
	enum status s;

	atomic_init(&t->refs, 1);
	memcpy(copy, encoded.data, encoded.len);
	t->encoded = (struct slice){copy, encoded.len};
	s = record_decode(before != NULL ? before->core->name : name, t->encoded, a, &t->record, err);
	if (s != S_OK) {
		table_release(t);
		return s;
	}
	if (before != NULL) {
		t->core = before->core;
		atomic_fetch_add_explicit(&t->core->refs, 1, memory_order_relaxed);
	} else {
		t->core = core_new(db, name, &t->record);
	}
	t->record.spec.name = t->core->name;
	t->index_count = t->record.spec.index_count;
	t->indexes = a.alloc(a.context, t->index_count * sizeof *t->indexes);
	for (size_t i = 0; i < t->index_count; i++)
		index_setup(t, i, before);
	order_by_name(t);
	if (t->record.ttl.status == TTL_ENABLING || t->record.ttl.status == TTL_ENABLED)
		t->ttl = ttl_core_for(before, t->record.ttl.number);
	*ret = t;
	return S_OK;
}

/* ---- finding and changing ---- */

static struct table_core **
bucket_find(struct bucket *bucket, struct slice name)
{
	struct table_core **at = &bucket->first;

	while (*at != NULL && !slice_eq((*at)->name, name))
		at = &(*at)->next;
	return at;
}

struct table *
directory_find(struct table_db *db, struct slice name)
{
	struct bucket *bucket = bucket_of(db, name);
	struct table_core *core;
	struct table *t = NULL;

	pthread_mutex_lock(&bucket->lock);
	core = *bucket_find(bucket, name);
	if (core != NULL)
		t = table_hold(core->current);
	pthread_mutex_unlock(&bucket->lock);
	return t;
}

/* Where the name is in the list, or where it belongs. The caller holds list_lock. */
static size_t
list_place(const struct table_db *db, struct slice name)
{
	size_t low = 0, high = db->list_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (slice_cmp(db->list[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void
directory_add(struct table_db *db, struct table *first_version)
{
	struct table_core *core = first_version->core;
	struct bucket *bucket = bucket_of(db, core->name);
	size_t place;

	pthread_mutex_lock(&db->list_lock);
	if (db->list_count == db->list_cap) {
		db->list_cap = db->list_cap ? 2 * db->list_cap : 64;
		db->list = realloc(db->list, db->list_cap * sizeof *db->list);
		if (db->list == NULL)
			abort();
	}
	place = list_place(db, core->name);
	memmove(db->list + place + 1, db->list + place, (db->list_count - place) * sizeof *db->list);
	db->list[place] = core;
	db->list_count++;
	pthread_mutex_unlock(&db->list_lock);

	pthread_mutex_lock(&bucket->lock);
	core->current = first_version;
	core->next = bucket->first;
	bucket->first = core;
	pthread_mutex_unlock(&bucket->lock);
	if (first_version->ttl != NULL)
		atomic_fetch_add(&db->ttl_generation, 1);
}

void
directory_remove(struct table_core *core)
{
	struct table_db *db = core->db;
	struct bucket *bucket = bucket_of(db, core->name);
	struct table_core **at;
	size_t place;

	pthread_mutex_lock(&db->list_lock);
	place = list_place(db, core->name);
	memmove(db->list + place, db->list + place + 1, (db->list_count - place - 1) * sizeof *db->list);
	db->list_count--;
	pthread_mutex_unlock(&db->list_lock);

	pthread_mutex_lock(&bucket->lock);
	at = bucket_find(bucket, core->name);
	*at = core->next;
	pthread_mutex_unlock(&bucket->lock);
	if (core->current->ttl != NULL)
		atomic_fetch_add(&db->ttl_generation, 1);
	table_release(core->current); /* the directory's count; nobody finds it any more */
}

void
core_lock_all(struct table_core *core)
{
	const struct layout *l = layout_of(core);

	for (uint32_t i = 0; i < l->count; i++)
		pthread_mutex_lock(&l->by_id[i]->lock);
}

void
core_unlock_all(struct table_core *core)
{
	const struct layout *l = layout_of(core);

	for (uint32_t i = l->count; i-- > 0;)
		pthread_mutex_unlock(&l->by_id[i]->lock);
}

struct partition *
partition_lock(struct table_core *core, uint64_t hash)
{
	for (;;) {
		struct partition *p = partition_of(core, hash);

		pthread_mutex_lock(&p->lock);
		if (partition_of(core, hash) == p)
			return p;
		pthread_mutex_unlock(&p->lock); /* it was split just now */
	}
}

/*
 * All partition locks are held while the version changes, so that every write is decided wholly by one version, and
 * once this returns nobody writes by an older one any more.
 */
void
directory_publish(struct table *version)
{
	struct table_core *core = version->core;
	struct bucket *bucket = bucket_of(core->db, core->name);
	struct table *older;

	core_lock_all(core);
	pthread_mutex_lock(&bucket->lock);
	older = core->current;
	core->current = version;
	older->newer = table_hold(version);
	pthread_mutex_unlock(&bucket->lock);
	if (version->record.status == TABLE_DELETING)
		atomic_store(&core->dropped, true);
	for (size_t i = 0; i < version->index_count; i++)
		if (!version->indexes[i].maintained)
			atomic_store(&version->indexes[i].core->dropped, true);
	core_unlock_all(core);
	if (older->ttl != NULL || version->ttl != NULL)
		atomic_fetch_add(&core->db->ttl_generation, 1);
	table_release(older);
}

size_t
directory_count(struct table_db *db)
{
	size_t count;

	pthread_mutex_lock(&db->list_lock);
	count = db->list_count;
	pthread_mutex_unlock(&db->list_lock);
	return count;
}

void
table_list(struct table_db *db, struct slice start, size_t limit, struct arena *a, struct slice **ret_names,
	   size_t *ret_count, bool *ret_more)
{
	size_t place, count;
	struct slice *names;

	pthread_mutex_lock(&db->list_lock);
	place = list_place(db, start);
	if (place < db->list_count && slice_eq(db->list[place]->name, start))
		place++;
	count = db->list_count - place;
	*ret_more = count > limit;
	if (count > limit)
		count = limit;
	names = ARENA_ARRAY(a, struct slice, count);
	for (size_t i = 0; i < count; i++)
		names[i] = arena_dup(a, db->list[place + i]->name);
	pthread_mutex_unlock(&db->list_lock);
	*ret_names = names;
	*ret_count = count;
}

/* ---- what a held table tells ---- */

enum status
table_find(struct table_db *db, struct slice name, struct table **ret, struct err *err)
{
	struct table *t = directory_find(db, name);

	*ret = NULL;
	if (t != NULL && (t->record.status == TABLE_ACTIVE || t->record.status == TABLE_UPDATING)) {
		*ret = t;
		return S_OK;
	}
	table_release(t);
	return err_set(err, S_RESOURCE_NOT_FOUND, "Requested resource not found");
}

struct slice
table_name(const struct table *t)
{
	return t->core->name;
}

const struct key_schema *
table_schema(const struct table *t)
{
	return &t->record.spec.schema;
}

static const struct table_index *
index_named(const struct table *t, struct slice name)
{
	for (size_t i = 0; i < t->index_count; i++)
		if (slice_eq(t->indexes[i].spec->name, name))
			return &t->indexes[i];
	return NULL;
}

static bool
index_readable(const struct table_index *x)
{
	return x->record->status == INDEX_ACTIVE || x->record->status == INDEX_UPDATING;
}

const struct table_index *
table_index_find(const struct table *t, struct slice name)
{
	const struct table_index *x = index_named(t, name);

	return x != NULL && index_readable(x) && x->spec->vector == NULL ? x : NULL;
}

enum status
table_index_for_read(const struct table *t, struct slice name, const struct table_index **ret, struct err *err)
{
	const struct table_index *x = index_named(t, name);

	*ret = x;
	if (x != NULL && index_readable(x) && x->spec->vector == NULL)
		return S_OK;
	*ret = NULL;
	if (x != NULL && x->spec->vector != NULL && x->record->status != INDEX_DELETING)
		return err_set(err, S_VALIDATION, "Scan operation not supported on this index type");
	if (x != NULL && x->record->status == INDEX_CREATING)
		return err_set(err, S_VALIDATION, "Cannot read from backfilling global secondary index: %.*s",
			       SLICE_ARG(name));
	return err_set(err, S_VALIDATION, "The table does not have the specified index: %.*s", SLICE_ARG(name));
}

bool
table_vector_index_find(const struct table *t, struct slice name)
{
	const struct table_index *x = index_named(t, name);

	return x != NULL && x->spec->vector != NULL && x->record->status != INDEX_DELETING;
}

enum status
table_vector_index_for_search(const struct table *t, struct slice name, const struct table_index **ret, struct err *err)
{
	const struct table_index *x = index_named(t, name);

	*ret = NULL;
	if (x != NULL && x->spec->vector != NULL && x->record->status == INDEX_ACTIVE) {
		*ret = x;
		return S_OK;
	}
	if (x != NULL && x->spec->vector != NULL && x->record->status == INDEX_CREATING && x->record->backfilling)
		return err_set(err, S_VALIDATION, "Cannot search backfilling vector index: %.*s", SLICE_ARG(name));
	return err_set(err, S_VALIDATION, "The table does not have the specified index: %.*s", SLICE_ARG(name));
}

size_t
table_index_count(const struct table *t)
{
	return t->index_count;
}

const struct table_index *
table_index_at(const struct table *t, size_t i)
{
	return &t->indexes[i];
}

const struct key_schema *
table_index_schema(const struct table_index *x)
{
	return &x->spec->schema;
}

const struct table_index_spec *
table_index_spec(const struct table_index *x)
{
	return x->spec;
}

bool
table_has_local_indexes(const struct table *t)
{
	return t->has_local;
}

/* ---- work space ---- */

#define SCRATCH_KEEP_BYTES (1024 * 1024)

/* A place of its own for each thread, so that as a rule nobody else touches it. */
static unsigned
scratch_place(void)
{
	static atomic_uint threads;
	static _Thread_local unsigned mine;

	if (mine == 0)
		mine = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) + 1;
	return mine % SCRATCH_SLOTS;
}

struct scratch *
table_scratch_take(struct table_db *db)
{
	struct scratch *s = atomic_exchange_explicit(&db->spare[scratch_place()], NULL, memory_order_acq_rel);

	if (s == NULL) {
		s = table_alloc(sizeof *s);
		s->batch = engine_batch_new(db->engine);
	}
	s->keys.len = s->value.len = s->from.len = s->to.len = 0;
	return s;
}

static void
scratch_free(struct scratch *s)
{
	if (s == NULL)
		return;
	engine_batch_free(s->batch);
	buf_done(&s->keys);
	buf_done(&s->value);
	buf_done(&s->from);
	buf_done(&s->to);
	buf_done(&s->change);
	free(s);
}

void
table_scratch_give(struct table_db *db, struct scratch *s)
{
	if (s->keys.cap > SCRATCH_KEEP_BYTES)
		buf_done(&s->keys);
	if (s->value.cap > SCRATCH_KEEP_BYTES)
		buf_done(&s->value);
	if (s->change.cap > SCRATCH_KEEP_BYTES)
		buf_done(&s->change);
	scratch_free(atomic_exchange_explicit(&db->spare[scratch_place()], s, memory_order_acq_rel));
}

/* For table_db_close(): everything that is left. */
void
directory_done(struct table_db *db)
{
	for (size_t i = 0; i < db->list_count; i++)
		table_release(db->list[i]->current);
	free(db->list);
	for (int i = 0; i < SCRATCH_SLOTS; i++)
		scratch_free(atomic_load(&db->spare[i]));
}
