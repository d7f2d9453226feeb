/*
 * The catalog on the disk: opening, changing one table's record, telling what is in it.
 */
#include "table/change_int.h"

#include "base/clock.h"
#include "base/fault.h"
#include "table/pages.h"

#include <stdio.h>
#include <stdlib.h>

#define CATALOG_VERSION    '2' /* 1 had another order of keys: upgrade.c */
#define FIRST_NUMBER       1u
#define MILLISECONDS_A_DAY (24 * 60 * 60 * 1000LL)

enum { /* first bytes of the keys */
       KEY_READER = 'a',
       KEY_COUNTS = 'c',
       KEY_LAYOUT = 'd',
       KEY_INSIGHTS = 'i',
       KEY_NEXT_NUMBER = 'n',
       KEY_PROGRESS = 'p',
       KEY_QUOTA = 'q',
       KEY_POLICY = 'r',
       KEY_SHARD = 'h',
       KEY_SECRET = 'k',
       KEY_STREAM = 's',
       KEY_TRIM = 'l',
       KEY_TABLE = 't',
       KEY_VERSION = 'v',
};

void
catalog_key_table(struct buf *out, struct slice name)
{
	buf_put_byte(out, KEY_TABLE);
	buf_put_slice(out, name);
}

void
catalog_key_counts(struct buf *out, uint32_t table_number, uint32_t partition)
{
	buf_put_byte(out, KEY_COUNTS);
	buf_put_be32(out, table_number);
	buf_put_be32(out, partition);
}

void
catalog_key_layout(struct buf *out, uint32_t table_number)
{
	buf_put_byte(out, KEY_LAYOUT);
	buf_put_be32(out, table_number);
}

/* Without a shard id: where the rows of the stream's shards begin. */
void
catalog_key_shard(struct buf *out, uint32_t table_number, uint32_t stream, struct slice id)
{
	buf_put_byte(out, KEY_SHARD);
	buf_put_be32(out, table_number);
	buf_put_be32(out, stream);
	buf_put_slice(out, id);
}

void
catalog_key_stream(struct buf *out, uint32_t table_number, uint32_t stream)
{
	buf_put_byte(out, KEY_STREAM);
	buf_put_be32(out, table_number);
	buf_put_be32(out, stream);
}

void
catalog_key_trim(struct buf *out, uint32_t table_number, uint32_t partition)
{
	buf_put_byte(out, KEY_TRIM);
	buf_put_be32(out, table_number);
	buf_put_be32(out, partition);
}

void
catalog_key_reader(struct buf *out, uint32_t table_number, struct slice name)
{
	buf_put_byte(out, KEY_READER);
	buf_put_be32(out, table_number);
	buf_put_byte(out, (uint8_t)name.len);
	buf_put_slice(out, name);
}

void
catalog_key_position(struct buf *out, uint32_t table_number, struct slice name, uint32_t partition)
{
	catalog_key_reader(out, table_number, name);
	buf_put_be32(out, partition);
}

void
catalog_key_secret(struct buf *out)
{
	buf_put_byte(out, KEY_SECRET);
}

static enum status
catalog_each(struct table_db *db, char letter, catalog_row *each, void *context, struct err *err)
{
	char after = (char)(letter + 1);
	struct engine_iter *it = engine_iter_new(db->engine, NULL, SPACE_CATALOG, slice_of(&letter, 1),
						 slice_of(&after, 1), ENGINE_MAY_BLOCK);
	enum status s = S_OK;

	for (engine_iter_first(it); s == S_OK && engine_iter_valid(it); engine_iter_next(it)) {
		struct slice key = engine_iter_key(it);

		s = each(context, slice_of(key.data + 1, key.len - 1), engine_iter_value(it), err);
	}
	if (s == S_OK)
		s = engine_iter_status(it, err);
	engine_iter_free(it);
	return s;
}

enum status
catalog_each_table(struct table_db *db, catalog_row *each, void *context, struct err *err)
{
	return catalog_each(db, KEY_TABLE, each, context, err);
}

enum status
catalog_each_stream(struct table_db *db, catalog_row *each, void *context, struct err *err)
{
	return catalog_each(db, KEY_STREAM, each, context, err);
}

enum status
catalog_each_shard(struct table_db *db, catalog_row *each, void *context, struct err *err)
{
	return catalog_each(db, KEY_SHARD, each, context, err);
}

enum status
catalog_each_trim(struct table_db *db, catalog_row *each, void *context, struct err *err)
{
	return catalog_each(db, KEY_TRIM, each, context, err);
}

enum status
catalog_each_reader(struct table_db *db, catalog_row *each, void *context, struct err *err)
{
	return catalog_each(db, KEY_READER, each, context, err);
}

void
catalog_key_progress(struct buf *out, uint32_t index_number)
{
	buf_put_byte(out, KEY_PROGRESS);
	buf_put_be32(out, index_number);
}

void
catalog_key_policy(struct buf *out, uint32_t table_number)
{
	buf_put_byte(out, KEY_POLICY);
	buf_put_be32(out, table_number);
}

void
catalog_key_stream_policy(struct buf *out, uint32_t table_number, uint32_t stream)
{
	catalog_key_policy(out, table_number);
	buf_put_be32(out, stream);
}

void
catalog_key_insights(struct buf *out, uint32_t table_number)
{
	buf_put_byte(out, KEY_INSIGHTS);
	buf_put_be32(out, table_number);
}

void
catalog_key_quota(struct buf *out, uint32_t table_number)
{
	buf_put_byte(out, KEY_QUOTA);
	buf_put_be32(out, table_number);
}

void
catalog_key_next_number(struct buf *out)
{
	buf_put_byte(out, KEY_NEXT_NUMBER);
}

void
space_range(uint32_t number, struct buf *from, struct buf *to)
{
	from->len = to->len = 0;
	buf_put_be32(from, number);
	buf_put_be32(to, number + 1); /* numbers end before 2^32 - 1, see next_numbers() */
}

enum status
catalog_commit(struct table_db *db, struct engine_batch *batch, struct err *err)
{
	uint64_t seq;
	enum status s;

	fault_pass(FAULT_CATALOG_DECIDED);
	s = engine_apply(db->engine, batch, &seq, err);
	fault_pass(FAULT_CATALOG_APPLIED);
	if (s == S_OK)
		s = engine_sync_to(db->engine, seq, err);
	fault_pass(FAULT_CATALOG_DURABLE);
	return s;
}

enum status
catalog_change(struct table_db *db, const struct table *before, const struct record *record, struct engine_batch *also,
	       struct table **ret, struct err *err)
{
	struct engine_batch *batch = also != NULL ? also : engine_batch_new(db->engine);
	struct buf key = {0}, value = {0};
	struct table *t = NULL;
	enum status s;

	catalog_key_table(&key, record->spec.name);
	record_encode(record, &value);
	s = version_new(db, before, record->spec.name, buf_slice(&value), &t, err);
	if (s != S_OK)
		goto out;
	engine_batch_put(batch, SPACE_CATALOG, buf_slice(&key), buf_slice(&value));
	if (before != NULL)
		core_doubt_begin(before->core);
	s = catalog_commit(db, batch, err);
	if (before != NULL)
		core_doubt_end(before->core, s);
	if (s != S_OK) {
		/* Not durable, yet perhaps not gone either: the row is written again from what is in memory, and until
		 * then nothing is written to the table, which a crash might find being deleted. */
		if (before == NULL)
			jobs_add(db, JOB_REWRITE, record->spec.name, record->number, 0, 0);
		table_release(t);
		t = NULL;
		goto out;
	}
	if (ret != NULL)
		*ret = table_hold(t);
	if (before != NULL)
		directory_publish(t);
	else
		directory_add(db, t);
out:
	if (also == NULL)
		engine_batch_free(batch);
	buf_done(&key);
	buf_done(&value);
	return s;
}

/* ---- telling ---- */

/* x NULL: of the table itself. */
static void
sum_counts(struct table_core *core, struct index_core *x, uint64_t *ret_items, uint64_t *ret_bytes)
{
	const struct layout *l = layout_of(core);
	int64_t items = 0, bytes = 0;

	for (uint32_t i = 0; i < l->count; i++) {
		const struct count *count = x != NULL ? &index_part_of(x, i)->count : &l->by_id[i]->count;

		items += atomic_load_explicit(&count->items, memory_order_relaxed);
		bytes += atomic_load_explicit(&count->bytes, memory_order_relaxed);
	}
	*ret_items = items > 0 ? (uint64_t)items : 0;
	*ret_bytes = bytes > 0 ? (uint64_t)bytes : 0;
}

/* Decreases are counted a UTC day. */
static void
only_todays_decreases(struct table_throughput *t)
{
	if (t->last_decrease_ms / MILLISECONDS_A_DAY != clock_wall_ms() / MILLISECONDS_A_DAY)
		t->decreases_today = 0;
}

void
catalog_describe(const struct table *t, struct arena *a, struct table_description *ret)
{
	const struct table_core *core = t->core;
	struct record r;

	/* decoding a copy of the bytes is a deep copy of the record */
	if (record_decode(arena_dup(a, core->name), arena_dup(a, t->encoded), arena_allocator(a), &r, NULL) != S_OK)
		abort(); /* they were decoded before */
	*ret = (struct table_description){.spec = r.spec,
					  .status = r.status,
					  .created_ms = r.created_ms,
					  .billing_changed_ms = r.billing_changed_ms,
					  .class_changed_ms = r.class_changed_ms,
					  .number = r.number};
	memcpy(ret->id, r.id, sizeof ret->id);
	only_todays_decreases(&ret->spec.throughput);
	stream_describe_table(t->core, a, ret);
	ret->spec.tags = NULL;
	ret->spec.tag_count = 0;
	sum_counts(t->core, NULL, &ret->item_count, &ret->size_bytes);
	ret->indexes = ARENA_ARRAY(a, struct table_index_description, r.spec.index_count);
	for (size_t i = 0; i < r.spec.index_count; i++) {
		struct table_index_description *x = &ret->indexes[i];

		only_todays_decreases(&r.spec.indexes[i].throughput);
		x->spec = r.spec.indexes[i];
		x->status = r.indexes[i].status;
		x->backfilling = r.indexes[i].backfilling;
		x->added = r.indexes[i].building;
		sum_counts(t->core, t->indexes[i].core, &x->item_count, &x->size_bytes);
	}
}

enum status
table_describe(struct table_db *db, struct slice name, struct arena *a, struct table_description *ret, struct err *err)
{
	struct table *t = directory_find(db, name);

	if (t == NULL)
		return err_set(err, S_RESOURCE_NOT_FOUND, "Requested resource not found: Table: %.*s not found",
			       SLICE_ARG(name));
	catalog_describe(t, a, ret);
	table_release(t);
	return S_OK;
}

struct slice
table_arn(struct table_db *db, struct slice table_name_, struct slice index_name, struct arena *a)
{
	if (index_name.len == 0)
		return arena_printf(a, "arn:aws:dynamodb:%s:%s:table/%.*s", db->region, db->account,
				    SLICE_ARG(table_name_));
	return arena_printf(a, "arn:aws:dynamodb:%s:%s:table/%.*s/index/%.*s", db->region, db->account,
			    SLICE_ARG(table_name_), SLICE_ARG(index_name));
}

struct engine *
table_db_engine(struct table_db *db)
{
	return db->engine;
}

const char *
table_db_region(const struct table_db *db)
{
	return db->region;
}

const char *
table_db_account(const struct table_db *db)
{
	return db->account;
}

static void
write_cache_metrics(struct table_db *db, const char *cache, struct lru_figures f, struct buf *out)
{
	const struct {
		const char *name, *type;
		uint64_t value;
	} rows[] = {
	    {"hits_total", "counter", f.hits},
	    {"misses_total", "counter", f.misses},
	    {"evictions_total", "counter", f.evictions},
	    {"entries", "gauge", f.entries},
	    {"bytes", "gauge", f.bytes},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		buf_printf(out, "# TYPE stator_%s_cache_%s %s\nstator_%s_cache_%s{region=\"%s\"} %llu\n", cache,
			   rows[i].name, rows[i].type, cache, rows[i].name, db->region,
			   (unsigned long long)rows[i].value);
}

static void
write_refused(const struct table *t, const struct table_index *x, struct buf *out)
{
	const struct throttle *throttle = x != NULL ? &x->core->throttle : &t->core->throttle;
	struct slice index = x != NULL ? x->spec->name : SLICE_NONE;

	for (int write = 0; write < 2; write++)
		buf_printf(
		    out,
		    "stator_throttled_requests_total{region=\"%s\",table=\"%.*s\",index=\"%.*s\",capacity=\"%s\"} "
		    "%llu\n",
		    t->core->db->region, SLICE_ARG(t->core->name), (int)index.len, index.len > 0 ? index.data : "",
		    write ? "write" : "read",
		    (unsigned long long)atomic_load_explicit(
			write ? &throttle->refused_writes : &throttle->refused_reads, memory_order_relaxed));
}

static void
write_throttle_metrics(struct table_db *db, const struct slice *names, size_t count, struct buf *out)
{
	buf_put_lit(out,
		    "# HELP stator_throttled_requests_total Times that capacity was asked for and refused; index is "
		    "empty for the table itself.\n# TYPE stator_throttled_requests_total counter\n");
	for (size_t i = 0; i < count; i++) {
		struct table *t = directory_find(db, names[i]);

		if (t == NULL)
			continue;
		write_refused(t, NULL, out);
		for (size_t n = 0; n < t->index_count; n++)
			if (t->indexes[n].spec->global)
				write_refused(t, &t->indexes[n], out);
		table_release(t);
	}
}

void
table_db_write_metrics(struct table_db *db, struct buf *out)
{
	struct arena a = {0};
	struct slice *names;
	size_t count;
	bool more;

	table_list(db, SLICE_NONE, TABLES_MAX, &a, &names, &count, &more);
	buf_printf(out, "# TYPE stator_tables gauge\nstator_tables{region=\"%s\"} %zu\n", db->region, count);
	buf_put_lit(out, "# TYPE stator_table_items gauge\n# TYPE stator_table_bytes gauge\n");
	for (size_t i = 0; i < count; i++) {
		struct table *t = directory_find(db, names[i]);
		uint64_t items, bytes;

		if (t == NULL)
			continue; /* dropped meanwhile */
		sum_counts(t->core, NULL, &items, &bytes);
		buf_printf(out, "stator_table_items{region=\"%s\",table=\"%.*s\"} %llu\n", db->region,
			   SLICE_ARG(names[i]), (unsigned long long)items);
		buf_printf(out, "stator_table_bytes{region=\"%s\",table=\"%.*s\"} %llu\n", db->region,
			   SLICE_ARG(names[i]), (unsigned long long)bytes);
		table_release(t);
	}
	if (db->throttling)
		write_throttle_metrics(db, names, count, out);
	arena_done(&a);
	ttl_write_metrics(db, out);
	write_cache_metrics(db, "item", lru_figures(db->items), out);
	write_cache_metrics(db, "page", pages_figures(db->pages), out);
	change_write_metrics(db, out);
	table_insights_write_metrics(db, out);
}

/* ---- opening ---- */

/* What a crash or a stop cut short goes on. */
static void
resume(struct table_db *db, const struct table *t)
{
	struct slice name = t->core->name;

	if (t->record.status == TABLE_DELETING) {
		jobs_add(db, JOB_DROP_TABLE, name, t->core->number, 0, 0);
		return;
	}
	insights_resume(db, t);
	if (t->record.status != TABLE_ACTIVE)
		jobs_add(db, JOB_SETTLE, name, t->core->number, 0, db->control_delay_ns);
	if (t->record.ttl.status == TTL_ENABLING)
		jobs_add(db, JOB_TTL_FILL, name, t->core->number, t->record.ttl.number, db->control_delay_ns);
	else if (t->record.ttl.status == TTL_DISABLING)
		jobs_add(db, JOB_TTL_DROP, name, t->core->number, t->record.ttl.number, db->control_delay_ns);
	for (size_t i = 0; i < t->index_count; i++) {
		const struct index_record *x = t->indexes[i].record;

		if (x->status == INDEX_DELETING)
			jobs_add(db, JOB_DROP_INDEX, name, t->core->number, x->number, db->control_delay_ns);
		else if (x->building && t->record.status == TABLE_ACTIVE)
			jobs_add(db, JOB_BACKFILL, name, t->core->number, x->number, 0);
	}
}

enum status
catalog_check_numbers(const struct table_db *db, struct slice name, const struct record *r, struct err *err)
{
	bool given = r->number < db->next_number && r->ttl.number < db->next_number;

	for (size_t i = 0; i < r->spec.index_count; i++)
		given = given && r->indexes[i].number < db->next_number;
	return given ? S_OK
		     : err_set(err, S_CORRUPT, "the catalog's record of table %.*s has a number that was not given out",
			       SLICE_ARG(name));
}

static enum status
load_table(void *context, struct slice name, struct slice bytes, struct err *err)
{
	struct table_db *db = context;
	struct table *t;
	enum status s = version_new(db, NULL, name, bytes, &t, err);

	if (s != S_OK)
		return s;
	s = catalog_check_numbers(db, name, &t->record, err);
	if (s == S_OK)
		s = layout_load(t->core, err);
	for (size_t i = 0; i < t->index_count; i++)
		index_parts_grow(t->indexes[i].core, layout_of(t->core)->count);
	for (uint32_t i = 0; s == S_OK && i < layout_of(t->core)->count; i++)
		s = counts_load(t, layout_of(t->core)->by_id[i], ENGINE_MAY_BLOCK, err);
	if (s == S_OK)
		s = policy_load(t->core, err);
	if (s == S_OK)
		s = insights_load(t, err);
	if (s == S_OK)
		s = quota_load(t->core, err);
	if (s != S_OK) {
		table_release(t);
		return s;
	}
	atomic_store(&t->core->dropped, t->record.status == TABLE_DELETING);
	for (size_t i = 0; i < t->index_count; i++)
		atomic_store(&t->indexes[i].core->dropped, !t->indexes[i].maintained);
	directory_add(db, t);
	resume(db, t);
	return S_OK;
}

void
catalog_put_form(struct engine_batch *batch)
{
	static const char key = KEY_VERSION, version = CATALOG_VERSION;

	engine_batch_put(batch, SPACE_CATALOG, slice_of(&key, 1), slice_of(&version, 1));
}

/* The form of the whole catalog, and the next free number. A new database gets the first. *ret_old: it is form 1. */
static enum status
load_head(struct table_db *db, bool *ret_old, struct err *err)
{
	static const char version = CATALOG_VERSION;
	struct engine_value value = {0};
	struct engine_batch *batch;
	uint64_t seq;
	enum status s;

	s = engine_get(db->engine, NULL, SPACE_CATALOG, SLICE("v"), ENGINE_MAY_BLOCK, &value, err);
	*ret_old = s == S_OK && slice_eq(value.data, SLICE("1"));
	if (s == S_OK && !*ret_old && !slice_eq(value.data, slice_of(&version, 1)))
		s = err_set(
		    err, S_CORRUPT,
		    "the data was written by a newer stator, in form %.*s of the catalog; this one, " STATOR_VERSION
		    ", reads forms up to %c",
		    SLICE_ARG(value.data), version);
	engine_value_done(&value);
	if (s == S_NOT_FOUND) {
		batch = engine_batch_new(db->engine);
		catalog_put_form(batch);
		/* durable with whatever is first acknowledged: nobody waits for it */
		s = engine_apply(db->engine, batch, &seq, err);
		engine_batch_free(batch);
	}
	db->next_number = FIRST_NUMBER;
	if (s != S_OK)
		return s;
	value = (struct engine_value){0};
	s = engine_get(db->engine, NULL, SPACE_CATALOG, SLICE("n"), ENGINE_MAY_BLOCK, &value, err);
	if (s == S_OK && value.data.len == 4) {
		memcpy(&db->next_number, value.data.data, 4);
		db->next_number = __builtin_bswap32(db->next_number);
	} else if (s == S_OK) {
		s = err_set(err, S_CORRUPT, "the catalog's row of the next number is damaged");
	}
	engine_value_done(&value);
	return s == S_NOT_FOUND ? S_OK : s;
}

enum status
table_db_open(struct engine *e, const struct table_db_options *options, struct table_db **ret, struct err *err)
{
	struct table_db *db = table_alloc(sizeof *db);
	pthread_condattr_t attributes;
	bool is_old;
	enum status s;

	db->engine = e;
	db->items = lru_new(options->item_cache_bytes);
	db->pages = options->page_cache_bytes > 0 ? pages_new(options->page_cache_bytes) : NULL;
	snprintf(db->region, sizeof db->region, "%s", options->region ? options->region : "us-east-1");
	snprintf(db->account, sizeof db->account, "%s", options->account ? options->account : "123456789012");
	db->control_delay_ns = options->control_delay_ms > 0 ? options->control_delay_ms * 1000000LL : 0;
	db->partitions = options->partitions < 1                ? 4
			 : options->partitions > PARTITIONS_MAX ? PARTITIONS_MAX
								: (uint32_t)options->partitions;
	db->throttling = options->throttling;
	atomic_init(&db->throttles, options->throttling);
	db->split_bytes = SPLIT_BYTES;
	db->collection_bytes_max = options->collection_bytes_max > 0 ? options->collection_bytes_max : COLLECTION_MAX;
	pthread_mutex_init(&db->control, NULL);
	pthread_mutex_init(&db->list_lock, NULL);
	pthread_mutex_init(&db->insights_lock, NULL);
	pthread_mutex_init(&db->jobs_lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&db->jobs_wake, &attributes);
	pthread_cond_init(&db->jobs_ran, &attributes);
	pthread_condattr_destroy(&attributes);
	for (int i = 0; i < DIRECTORY_BUCKETS; i++)
		pthread_mutex_init(&db->buckets[i].lock, NULL);
	s = load_head(db, &is_old, err);
	if (s == S_OK && is_old)
		s = upgrade_form_1(db, err);
	if (s == S_OK)
		s = catalog_each_table(db, load_table, db, err);
	if (s == S_OK)
		s = streams_open(db, err);
	if (s == S_OK)
		s = tokens_open(db, err);
	if (s == S_OK)
		s = jobs_start(db, err);
	if (s != S_OK) {
		table_db_close(db);
		return s;
	}
	*ret = db;
	return S_OK;
}

void
table_db_close(struct table_db *db)
{
	if (db == NULL)
		return;
	jobs_stop(db);
	if (db->streams != NULL)
		streams_close(db);
	directory_done(db);
	tokens_close(db);
	for (int i = 0; i < DIRECTORY_BUCKETS; i++)
		pthread_mutex_destroy(&db->buckets[i].lock);
	pthread_cond_destroy(&db->jobs_wake);
	pthread_cond_destroy(&db->jobs_ran);
	pthread_mutex_destroy(&db->jobs_lock);
	pthread_mutex_destroy(&db->list_lock);
	pthread_mutex_destroy(&db->insights_lock);
	pthread_mutex_destroy(&db->control);
	pages_free(db->pages);
	lru_free(db->items);
	free(db);
}
