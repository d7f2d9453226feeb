/*
 * The engine for unit tests: one skip list a space, every version of a key a node of its own, newest first.
 *
 * Writers take turns (one mutex); readers take no lock: nodes are linked with release stores and never freed or changed
 * before the engine closes, so values, iterators and snapshots stay valid as they are. A snapshot is a version number.
 * The price is that overwritten values stay in memory, which a test never notices.
 */
#include "engine/engine_int.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define HEIGHT_MAX 16

enum kind { KIND_PUT, KIND_DELETE, KIND_DELETE_RANGE };

struct node {
	uint64_t version; /* rises with every operation of every batch */
	uint64_t place;   /* of its batch */
	atomic_bool lost; /* undone by engine_memory_fail_sync() */
	enum kind kind;   /* KIND_PUT or KIND_DELETE */
	struct slice key; /* bytes behind the links */
	struct slice value;
	int height;
	_Atomic(struct node *) next[];
};

struct memory {
	struct engine engine;
	struct commit_point point;
	_Atomic uint64_t visible; /* versions <= this are seen */
	pthread_mutex_t lock;     /* writers */
	/* guarded by lock */
	uint64_t version;
	uint64_t random;
	bool held;
	struct node *heads[SPACE_COUNT];
};

struct memory_batch {
	struct engine_batch batch;
	struct buf records; /* struct record, key, value; again */
	size_t count;
};

struct record {
	uint8_t kind;
	uint8_t space;
	uint32_t key_len;
	uint32_t value_len; /* KIND_DELETE_RANGE: the end of the range */
};

struct engine_snapshot {
	uint64_t version;
};

struct memory_iter {
	struct engine_iter iter;
	struct memory *memory;
	struct node *head;
	uint64_t version;
	struct slice from; /* bytes behind the struct */
	struct slice to;   /* empty: no end */
};

struct memory_file {
	struct engine_sorted_file file;
	FILE *stream;
	struct buf last_key;
	bool any;
	bool failed;
	char path[];
};

static struct node *
node_new(int height, struct slice key, struct slice value)
{
	size_t links = sizeof(struct node) + (size_t)height * sizeof(_Atomic(struct node *));
	struct node *node = engine_alloc(links + key.len + value.len);
	char *bytes = (char *)node + links;

	node->height = height;
	if (key.len > 0)
		memcpy(bytes, key.data, key.len);
	if (value.len > 0)
		memcpy(bytes + key.len, value.data, value.len);
	node->key = slice_of(bytes, key.len);
	node->value = slice_of(bytes + key.len, value.len);
	return node;
}

static struct node *
node_next(struct node *node, int level)
{
	return atomic_load_explicit(&node->next[level], memory_order_acquire);
}

/* Order of nodes: keys ascending, versions descending. */
static bool
node_before(const struct node *node, struct slice key, uint64_t version)
{
	int order = slice_cmp(node->key, key);

	return order < 0 || (order == 0 && node->version > version);
}

/*
 * The last node before (key, version), or the head; all levels when prev is given. ret_next: the node that followed it
 * when it was looked at. Asking again could find one that a writer has put in between since, and that lies before (key,
 * version).
 */
static struct node *
search(struct node *head, struct slice key, uint64_t version, struct node **prev, struct node **ret_next)
{
	struct node *at = head, *next = NULL;

	for (int level = HEIGHT_MAX - 1; level >= 0; level--) {
		while ((next = node_next(at, level)) != NULL && node_before(next, key, version))
			at = next;
		if (prev != NULL)
			prev[level] = at;
	}
	*ret_next = next;
	return at;
}

static struct node *
find_before(struct node *head, struct slice key, uint64_t version)
{
	struct node *next;

	return search(head, key, version, NULL, &next);
}

/* The first node at or behind (key, version), or NULL. */
static struct node *
find_from(struct node *head, struct slice key, uint64_t version)
{
	struct node *next;

	search(head, key, version, NULL, &next);
	return next;
}

static int
random_height(struct memory *m)
{
	int height = 1;

	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	for (uint64_t bits = m->random; height < HEIGHT_MAX && (bits & 3) == 0; bits >>= 2)
		height++;
	return height;
}

static void
insert(struct memory *m, enum kind kind, enum engine_space space, struct slice key, struct slice value, uint64_t place)
{
	struct node *node = node_new(random_height(m), key, value);
	struct node *prev[HEIGHT_MAX], *next;

	node->version = ++m->version;
	node->place = place;
	node->kind = kind;
	search(m->heads[space], key, node->version, prev, &next);
	for (int level = 0; level < node->height; level++) {
		atomic_store_explicit(&node->next[level], node_next(prev[level], level), memory_order_relaxed);
		atomic_store_explicit(&prev[level]->next[level], node, memory_order_release);
	}
}

/* The newest visible version of this very key; may be a deletion. */
static struct node *
version_of(struct node *head, struct slice key, uint64_t version)
{
	struct node *node = find_from(head, key, version);

	while (node != NULL && slice_eq(node->key, key) && atomic_load(&node->lost))
		node = node_next(node, 0);
	return node != NULL && slice_eq(node->key, key) ? node : NULL;
}

/* The first of node and its followers that is the newest visible version of its key and no deletion. Searches instead
 * of walking: a key written often has many versions. */
static struct node *
visible_forward(struct node *head, struct node *node, uint64_t version)
{
	while (node != NULL) {
		struct node *found = version_of(head, node->key, version);

		if (found != NULL && found->kind == KIND_PUT)
			return found;
		node = find_from(head, node->key, 0);
	}
	return NULL;
}

/* The last visible key < key; with `inclusive` <= key; with `key` NULL data the last of all. */
static struct node *
visible_backward(struct node *head, struct slice key, bool inclusive, uint64_t version)
{
	struct node *at, *found;

	if (inclusive && (found = version_of(head, key, version)) != NULL && found->kind == KIND_PUT)
		return found;
	while ((at = find_before(head, key, UINT64_MAX)) != head) {
		found = version_of(head, at->key, version);
		if (found != NULL && found->kind == KIND_PUT)
			return found;
		key = at->key;
	}
	return NULL;
}

static struct node *
visible_last(struct node *head, uint64_t version)
{
	struct node *at = head, *next;

	for (int level = HEIGHT_MAX - 1; level >= 0; level--) {
		while ((next = node_next(at, level)) != NULL)
			at = next;
	}
	return at == head ? NULL : visible_backward(head, at->key, true, version);
}

/* ---- batches ---- */

static void
batch_add(struct engine_batch *b, enum kind kind, enum engine_space space, struct slice key, struct slice value)
{
	struct memory_batch *batch = (struct memory_batch *)b;
	struct record record = {(uint8_t)kind, (uint8_t)space, (uint32_t)key.len, (uint32_t)value.len};

	assert(space < SPACE_COUNT && key.len <= UINT32_MAX && value.len <= UINT32_MAX);
	buf_put(&batch->records, &record, sizeof record);
	buf_put_slice(&batch->records, key);
	buf_put_slice(&batch->records, value);
	batch->count++;
}

static void
batch_put(struct engine_batch *b, enum engine_space space, struct slice key, struct slice value)
{
	batch_add(b, KIND_PUT, space, key, value);
}

static void
batch_delete(struct engine_batch *b, enum engine_space space, struct slice key)
{
	batch_add(b, KIND_DELETE, space, key, SLICE_NONE);
}

static void
batch_delete_range(struct engine_batch *b, enum engine_space space, struct slice from, struct slice to)
{
	batch_add(b, KIND_DELETE_RANGE, space, from, to);
}

static void
batch_clear(struct engine_batch *b)
{
	struct memory_batch *batch = (struct memory_batch *)b;

	batch->records.len = 0;
	batch->count = 0;
}

static void
batch_free(struct engine_batch *b)
{
	buf_done(&((struct memory_batch *)b)->records);
	free(b);
}

static const struct batch_ops memory_batch_ops = {batch_clear, batch_free, batch_put, batch_delete, batch_delete_range};

static struct engine_batch *
memory_batch_new(struct engine *e)
{
	struct memory_batch *batch = engine_alloc(sizeof *batch);

	(void)e;
	batch->batch.ops = &memory_batch_ops;
	return &batch->batch;
}

/* Empty `to`: to the end. */
static void
delete_range(struct memory *m, enum engine_space space, struct slice from, struct slice to, uint64_t place)
{
	struct node *head = m->heads[space];
	struct node *node = visible_forward(head, find_from(head, from, UINT64_MAX), UINT64_MAX);

	while (node != NULL && (to.len == 0 || slice_cmp(node->key, to) < 0)) {
		insert(m, KIND_DELETE, space, node->key, SLICE_NONE, place);
		node = visible_forward(head, find_from(head, node->key, 0), UINT64_MAX);
	}
}

static enum status
memory_apply(struct engine *e, struct engine_batch *b, uint64_t *ret_seq, struct err *err)
{
	struct memory *m = (struct memory *)e;
	const struct memory_batch *batch = (struct memory_batch *)b;
	const char *at = batch->records.data;
	uint64_t place;
	bool held;

	assert(batch->batch.ops == &memory_batch_ops);
	pthread_mutex_lock(&m->lock);
	if (batch_is_stale(b)) {
		pthread_mutex_unlock(&m->lock);
		return err_set(err, S_IO, "writes were lost by a disk failure after this one was begun");
	}
	place = atomic_load(&m->point.applied) + 1;
	for (size_t i = 0; i < batch->count; i++) {
		struct record record;
		struct slice key, value;

		memcpy(&record, at, sizeof record);
		key = slice_of(at + sizeof record, record.key_len);
		value = slice_of(key.data + key.len, record.value_len);
		at = value.data + value.len;
		if (record.kind == KIND_DELETE_RANGE)
			delete_range(m, record.space, key, value, place);
		else
			insert(m, record.kind, record.space, key, value, place);
	}
	atomic_store_explicit(&m->visible, m->version, memory_order_release);
	*ret_seq = commit_applied(&m->point);
	held = m->held;
	if (!held)
		commit_durable_quietly(&m->point, *ret_seq);
	pthread_mutex_unlock(&m->lock);
	return S_OK;
}

void
engine_memory_hold_sync(struct engine *memory, bool hold)
{
	struct memory *m = (struct memory *)memory;

	pthread_mutex_lock(&m->lock);
	m->held = hold;
	pthread_mutex_unlock(&m->lock);
	if (!hold)
		commit_durable(&m->point, atomic_load(&m->point.applied));
}

void
engine_memory_fail_sync(struct engine *memory)
{
	struct memory *m = (struct memory *)memory;
	uint64_t durable;

	pthread_mutex_lock(&m->lock);
	durable = atomic_load(&m->point.durable);
	for (int space = 0; space < SPACE_COUNT; space++) {
		for (struct node *n = node_next(m->heads[space], 0); n != NULL; n = node_next(n, 0)) {
			if (n->place > durable)
				atomic_store(&n->lost, true);
		}
	}
	commit_failed(&m->point);
	commit_recovered(&m->point);
	pthread_mutex_unlock(&m->lock);
}

static enum status
memory_sync_to(struct engine *e, uint64_t seq, struct err *err)
{
	return commit_wait(e->point, seq, err);
}

/* ---- reading ---- */

static uint64_t
version_seen(struct memory *m, const struct engine_snapshot *snapshot)
{
	return snapshot != NULL ? snapshot->version : atomic_load_explicit(&m->visible, memory_order_acquire);
}

static enum status
memory_get(struct engine *e, const struct engine_snapshot *snapshot, enum engine_space space, struct slice key,
	   unsigned flags, struct engine_value *ret, struct err *err)
{
	struct memory *m = (struct memory *)e;
	struct node *node = version_of(m->heads[space], key, version_seen(m, snapshot));

	(void)flags;
	if (node == NULL || node->kind != KIND_PUT)
		return err_set(err, S_NOT_FOUND, "no such key");
	ret->data = node->value;
	return S_OK;
}

static void
memory_value_done(struct engine_value *v)
{
	(void)v; /* nodes stay */
}

static struct engine_snapshot *
memory_snapshot_new(struct engine *e)
{
	struct engine_snapshot *snapshot = engine_alloc(sizeof *snapshot);

	snapshot->version = version_seen((struct memory *)e, NULL);
	return snapshot;
}

static void
memory_snapshot_free(struct engine *e, struct engine_snapshot *s)
{
	(void)e;
	free(s);
}

static void
iter_show(struct memory_iter *it, const struct node *node)
{
	it->iter.valid = node != NULL && slice_cmp(node->key, it->from) >= 0 &&
			 (it->to.len == 0 || slice_cmp(node->key, it->to) < 0);
	it->iter.key = it->iter.valid ? node->key : SLICE_NONE;
	it->iter.value = it->iter.valid ? node->value : SLICE_NONE;
}

static void
iter_seek(struct engine_iter *iter, struct slice key)
{
	struct memory_iter *it = (struct memory_iter *)iter;

	if (slice_cmp(key, it->from) < 0)
		key = it->from;
	iter_show(it, visible_forward(it->head, find_from(it->head, key, UINT64_MAX), it->version));
}

static void
iter_seek_back(struct engine_iter *iter, struct slice key)
{
	struct memory_iter *it = (struct memory_iter *)iter;
	bool beyond = it->to.len > 0 && slice_cmp(key, it->to) >= 0;

	iter_show(it, visible_backward(it->head, beyond ? it->to : key, !beyond, it->version));
}

static void
iter_first(struct engine_iter *iter)
{
	iter_seek(iter, ((struct memory_iter *)iter)->from);
}

static void
iter_last(struct engine_iter *iter)
{
	struct memory_iter *it = (struct memory_iter *)iter;

	if (it->to.len > 0)
		iter_seek_back(iter, it->to);
	else
		iter_show(it, visible_last(it->head, it->version));
}

static void
iter_next(struct engine_iter *iter)
{
	struct memory_iter *it = (struct memory_iter *)iter;

	iter_show(it, visible_forward(it->head, find_from(it->head, iter->key, 0), it->version));
}

static void
iter_prev(struct engine_iter *iter)
{
	struct memory_iter *it = (struct memory_iter *)iter;

	iter_show(it, visible_backward(it->head, iter->key, false, it->version));
}

static enum status
iter_status(const struct engine_iter *it, struct err *err)
{
	(void)it;
	(void)err;
	return S_OK;
}

static void
iter_free(struct engine_iter *it)
{
	free(it);
}

static const struct iter_ops memory_iter_ops = {
    .first = iter_first,
    .last = iter_last,
    .seek = iter_seek,
    .seek_back = iter_seek_back,
    .next = iter_next,
    .prev = iter_prev,
    .status = iter_status,
    .free = iter_free,
};

static struct engine_iter *
memory_iter_new(struct engine *e, const struct engine_snapshot *snapshot, enum engine_space space, struct slice from,
		struct slice to, unsigned flags)
{
	struct memory *m = (struct memory *)e;
	struct memory_iter *it = engine_alloc(sizeof *it + from.len + to.len);
	char *bytes = (char *)(it + 1);

	(void)flags;
	if (from.len > 0)
		memcpy(bytes, from.data, from.len);
	if (to.len > 0)
		memcpy(bytes + from.len, to.data, to.len);
	it->iter.ops = &memory_iter_ops;
	it->memory = m;
	it->head = m->heads[space];
	it->version = version_seen(m, snapshot);
	it->from = slice_of(bytes, from.len);
	it->to = slice_of(bytes + from.len, to.len);
	return &it->iter;
}

/* ---- whole ranges ---- */

static enum status
memory_checkpoint(struct engine *e, const char *dir, struct err *err)
{
	(void)e;
	return err_set(err, S_IO, "the memory engine has no files to make a checkpoint of in %s", dir);
}

static enum status
read_record(FILE *stream, const char *path, struct buf *out, uint32_t lens[2], bool *ret_end, struct err *err)
{
	size_t got = fread(lens, 1, 2 * sizeof lens[0], stream);

	*ret_end = got == 0 && feof(stream);
	if (*ret_end)
		return S_OK;
	out->len = 0;
	if (got == 2 * sizeof lens[0]) {
		size_t size = (size_t)lens[0] + lens[1];

		buf_reserve(out, size + 1);
		if (fread(out->data, 1, size, stream) == size)
			return S_OK;
	}
	return err_set(err, S_CORRUPT, "%s ends in the middle of a record", path);
}

static enum status
batch_file(struct engine_batch *b, enum engine_space space, const char *path, struct err *err)
{
	FILE *stream = fopen(path, "rbe");
	struct buf record = {0};
	uint32_t lens[2];
	bool end = false;
	enum status s = S_OK;

	if (stream == NULL)
		return err_set(err, S_IO, "%s: %s", path, strerror(errno));
	while ((s = read_record(stream, path, &record, lens, &end, err)) == S_OK && !end)
		batch_put(b, space, slice_of(record.data, lens[0]), slice_of(record.data + lens[0], lens[1]));
	buf_done(&record);
	fclose(stream);
	return s;
}

static enum status
memory_ingest(struct engine *e, enum engine_space space, const char *const *files, size_t count, struct err *err)
{
	struct engine_batch *b = engine_batch_new(e);
	enum status s = S_OK;
	uint64_t seq;

	for (size_t i = 0; i < count && s == S_OK; i++)
		s = batch_file(b, space, files[i], err);
	if (s == S_OK)
		s = memory_apply(e, b, &seq, err);
	for (size_t i = 0; i < count && s == S_OK; i++)
		remove(files[i]); /* as RocksDB does, which moves them */
	batch_free(b);
	return s;
}

static enum status
memory_drop(struct engine *e, enum engine_space space, struct slice from, struct slice to, struct err *err)
{
	struct engine_batch *b = engine_batch_new(e);
	enum status s;
	uint64_t seq;

	batch_delete_range(b, space, from, to);
	s = memory_apply(e, b, &seq, err);
	batch_free(b);
	return s == S_OK ? commit_wait(e->point, seq, err) : s;
}

static enum status
file_put(struct engine_sorted_file *f, struct slice key, struct slice value, struct err *err)
{
	struct memory_file *file = (struct memory_file *)f;
	uint32_t lens[2] = {(uint32_t)key.len, (uint32_t)value.len};

	if (file->any && slice_cmp(buf_slice(&file->last_key), key) >= 0)
		return err_set(err, S_INTERNAL, "keys of %s must ascend", file->path);
	file->any = true;
	file->last_key.len = 0;
	buf_put_slice(&file->last_key, key);
	if (fwrite(lens, sizeof lens, 1, file->stream) == 1 && fwrite(key.data, 1, key.len, file->stream) == key.len &&
	    fwrite(value.data, 1, value.len, file->stream) == value.len)
		return S_OK;
	file->failed = true;
	return err_set(err, errno == ENOSPC ? S_NO_SPACE : S_IO, "%s: %s", file->path, strerror(errno));
}

static enum status
file_finish(struct engine_sorted_file *f, struct err *err)
{
	struct memory_file *file = (struct memory_file *)f;
	enum status s = S_OK;

	if (fclose(file->stream) != 0 || file->failed)
		s = err_set(err, errno == ENOSPC ? S_NO_SPACE : S_IO, "%s: %s", file->path, strerror(errno));
	else if (!file->any)
		s = err_set(err, S_INTERNAL, "%s: a sorted file needs at least one key", file->path);
	if (s != S_OK)
		remove(file->path);
	buf_done(&file->last_key);
	free(file);
	return s;
}

static const struct sorted_file_ops memory_file_ops = {file_put, file_finish};

static enum status
memory_sorted_file_open(struct engine *e, enum engine_space space, const char *path, struct engine_sorted_file **ret,
			struct err *err)
{
	struct memory_file *file = engine_alloc(sizeof *file + strlen(path) + 1);

	(void)e;
	(void)space;
	memcpy(file->path, path, strlen(path));
	file->file.ops = &memory_file_ops;
	file->stream = fopen(path, "wbe");
	if (file->stream == NULL) {
		free(file);
		return err_set(err, S_IO, "%s: %s", path, strerror(errno));
	}
	*ret = &file->file;
	return S_OK;
}

static uint64_t
memory_approximate_bytes(struct engine *e, enum engine_space space, struct slice from, struct slice to)
{
	struct engine_iter *it = memory_iter_new(e, NULL, space, from, to, 0);
	uint64_t sum = 0;

	for (iter_first(it); it->valid; iter_next(it))
		sum += it->key.len + it->value.len;
	iter_free(it);
	return sum;
}

static void
memory_write_metrics(struct engine *e, struct buf *out)
{
	(void)e; /* nothing but the commit point, which engine_write_metrics() tells */
	(void)out;
}

static void
memory_close(struct engine *e)
{
	struct memory *m = (struct memory *)e;

	if (m->held)
		engine_memory_hold_sync(e, false);
	for (int space = 0; space < SPACE_COUNT; space++) {
		struct node *next;

		for (struct node *n = m->heads[space]; n != NULL; n = next) {
			next = node_next(n, 0);
			free(n);
		}
	}
	pthread_mutex_destroy(&m->lock);
	commit_done(&m->point);
	free(m);
}

static const struct engine_ops memory_ops = {
    .close = memory_close,
    .batch_new = memory_batch_new,
    .apply = memory_apply,
    .sync_to = memory_sync_to,
    .get = memory_get,
    .value_done = memory_value_done,
    .snapshot_new = memory_snapshot_new,
    .snapshot_free = memory_snapshot_free,
    .iter_new = memory_iter_new,
    .checkpoint = memory_checkpoint,
    .ingest = memory_ingest,
    .drop = memory_drop,
    .sorted_file_open = memory_sorted_file_open,
    .approximate_bytes = memory_approximate_bytes,
    .write_metrics = memory_write_metrics,
};

enum status
engine_memory_open(struct engine **ret, struct err *err)
{
	struct memory *m = aligned_alloc(_Alignof(struct memory), sizeof *m);

	if (m == NULL)
		return err_set(err, S_INTERNAL, "no memory for an engine");
	memset(m, 0, sizeof *m);
	m->engine.ops = &memory_ops;
	m->engine.point = &m->point;
	m->random = 0x9E3779B97F4A7C15u;
	commit_init(&m->point);
	pthread_mutex_init(&m->lock, NULL);
	for (int space = 0; space < SPACE_COUNT; space++)
		m->heads[space] = node_new(HEIGHT_MAX, SLICE_NONE, SLICE_NONE);
	*ret = &m->engine;
	return S_OK;
}
