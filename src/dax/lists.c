#include "dax/lists.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/lru.h"
#include "codec/cbor.h"
#include "codec/gzip.h"

#define BUCKETS     16384
#define ID_BITS     52
#define RECORD_MAX  (8 * 1024 * 1024)
#define READ_BYTES  65536
#define CATCH_UP_NS (5LL * 1000000000) /* after the start of a node in a cluster */

/* The file: this, then records of u32 length, u32 CRC-32 (both little endian) and the CBOR array of the names. */
static const char magic[8] = "STDAXL\0\1";

struct dax_lists {
	_Atomic(struct dax_list *) by_id[BUCKETS];
	_Atomic(struct dax_list *) by_names[BUCKETS];
	_Atomic uint64_t count;
	_Atomic(struct dax_list *) first;
	void (*share)(void *context); /* NULL: there are no other nodes */
	void *share_context;
	int64_t complete_ns; /* when the other nodes' lists must have come; monotonic; 0: there are no others */
	/* guarded by lock; who reads the chains takes none */
	pthread_mutex_t lock;
	struct dax_list *last;
	size_t bytes;
	char *path; /* constant; NULL: nothing is kept */
	int fd;     /* -1: there is no file that is trusted; replaced under sync_lock, too */
	off_t end;
	/*
	 * What is in the file may not be on the disk: it was there at the start (the process that wrote it may have
	 * died before its sync), or a write or a sync failed, after which a sync that succeeds says nothing of what was
	 * written before. Nothing is added to such a file: the next sync writes a new one.
	 */
	bool distrusted;
	pthread_mutex_t sync_lock;
	_Atomic uint64_t synced; /* count at the last sync; written under sync_lock */
};

/* --- what a list is --- */

static void
put_wire(struct buf *out, const struct slice *names, size_t count)
{
	cbor_put_array(out, count);
	for (size_t i = 0; i < count; i++)
		cbor_put_text(out, names[i]);
}

/* The heads of CBOR are lengths, so the wire form is what the id is made of. */
static uint64_t
id_of(struct slice wire)
{
	uint8_t hash[SHA256_BYTES];
	uint64_t id = 0;

	crypto_sha256(wire, hash);
	for (int i = 0; i < 8; i++)
		id = id << 8 | hash[i];
	id >>= 64 - ID_BITS;
	return id > DAX_LIST_EMPTY_ID ? id : id + 2;
}

static bool
same_names(const struct dax_list *list, const struct slice *names, size_t count)
{
	if (list->count != count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!slice_eq(list->names[i], names[i]))
			return false;
	return true;
}

static uint64_t
hash_names(const struct slice *names, size_t count)
{
	uint64_t hash = count;

	for (size_t i = 0; i < count; i++)
		hash = (hash ^ lru_hash(names[i])) * UINT64_C(0x9E3779B97F4A7C15) + (hash >> 29);
	return hash;
}

/* One allocation: the list, its names and their bytes. */
static struct dax_list *
list_new(struct slice wire)
{
	struct cbor_reader r;
	struct cbor_items items;
	struct dax_list *list;
	char *copy;

	cbor_init(&r, wire);
	items = cbor_array(&r);
	list = malloc(sizeof *list + items.left * sizeof *list->names + wire.len);
	if (list == NULL)
		abort();
	memset(list, 0, sizeof *list);
	list->names = (struct slice *)(list + 1);
	copy = (char *)(list->names + items.left);
	memcpy(copy, wire.data, wire.len);
	list->wire = slice_of(copy, wire.len);
	cbor_init(&r, list->wire);
	items = cbor_array(&r);
	while (cbor_next(&r, &items))
		list->names[list->count++] = cbor_text(&r);
	list->id = id_of(list->wire);
	list->names_hash = hash_names(list->names, list->count);
	return list;
}

static size_t
list_bytes(const struct dax_list *list)
{
	return sizeof *list + list->count * sizeof *list->names + list->wire.len;
}

/* --- finding --- */

static struct dax_list *
find_id(const struct dax_lists *lists, uint64_t id)
{
	struct dax_list *list = atomic_load_explicit(&lists->by_id[id % BUCKETS], memory_order_acquire);

	while (list != NULL && list->id != id)
		list = list->by_id_next;
	return list;
}

static const struct dax_list empty_list = {.id = DAX_LIST_EMPTY_ID, .wire = {"\x80", 1}};

const struct dax_list *
dax_lists_find(struct dax_lists *lists, uint64_t id)
{
	return id == DAX_LIST_EMPTY_ID ? &empty_list : find_id(lists, id);
}

static struct dax_list *
find_names(const struct dax_lists *lists, uint64_t hash, const struct slice *names, size_t count)
{
	struct dax_list *list = atomic_load_explicit(&lists->by_names[hash % BUCKETS], memory_order_acquire);

	while (list != NULL && (list->names_hash != hash || !same_names(list, names, count)))
		list = list->by_names_next;
	return list;
}

/* Under the lock. */
static void
link_list(struct dax_lists *lists, struct dax_list *list)
{
	_Atomic(struct dax_list *) *id = &lists->by_id[list->id % BUCKETS];
	_Atomic(struct dax_list *) *names = &lists->by_names[list->names_hash % BUCKETS];

	list->by_id_next = atomic_load_explicit(id, memory_order_relaxed);
	list->by_names_next = atomic_load_explicit(names, memory_order_relaxed);
	atomic_store_explicit(id, list, memory_order_release);
	atomic_store_explicit(names, list, memory_order_release);
	if (lists->last != NULL)
		atomic_store_explicit(&lists->last->newer, list, memory_order_release);
	else
		atomic_store_explicit(&lists->first, list, memory_order_release);
	lists->last = list;
	lists->bytes += list_bytes(list);
	atomic_fetch_add_explicit(&lists->count, 1, memory_order_relaxed);
}

/* --- the file --- */

static bool
write_whole(int fd, const void *data, size_t len, off_t at)
{
	const char *from = data;

	while (len > 0) {
		ssize_t n = pwrite(fd, from, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		from += n;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static void
put_le32(struct buf *out, uint32_t value)
{
	buf_put(out, &value, sizeof value); /* as all of Stator's, on little-endian machines */
}

static void
put_record(struct buf *out, struct slice wire)
{
	put_le32(out, (uint32_t)wire.len);
	put_le32(out, crc32_of(wire));
	buf_put_slice(out, wire);
}

/* Under the lock. */
static enum status
append(struct dax_lists *lists, struct slice wire, struct err *err)
{
	struct buf record = {0};
	bool written;

	if (lists->path == NULL || lists->distrusted)
		return S_OK; /* it goes into the new file, before anybody is told its id */
	put_record(&record, wire);
	written = write_whole(lists->fd, record.data, record.len, lists->end);
	fault_pass(FAULT_LIST_APPENDED);
	if (written)
		lists->end += (off_t)record.len;
	else
		lists->distrusted = true;
	buf_done(&record);
	return written ? S_OK
		       : err_set(err, S_IO, "the file of attribute lists cannot be written: %s", strerror(errno));
}

static bool
sync_folder_of(const char *path)
{
	char *folder = strdup(path), *slash;
	bool ok;
	int fd;

	if (folder == NULL)
		abort();
	slash = strrchr(folder, '/');
	if (slash != NULL)
		slash[slash == folder ? 1 : 0] = '\0';
	fd = open(slash != NULL ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ok = fd >= 0 && fsync(fd) == 0;
	if (fd >= 0)
		close(fd);
	free(folder);
	return ok;
}

/* All lists into a new file in the place of the old one. Under both locks: whoever adds a list waits for the disk. */
static bool
write_anew(struct dax_lists *lists)
{
	struct buf content = {0}, fresh = {0};
	int fd;
	bool ok;

	buf_put(&content, magic, sizeof magic);
	for (const struct dax_list *l = dax_lists_after(lists, NULL); l != NULL; l = dax_lists_after(lists, l))
		put_record(&content, l->wire);
	buf_printf(&fresh, "%s.new%c", lists->path, '\0');
	fd = open(fresh.data, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ok = fd >= 0 && write_whole(fd, content.data, content.len, 0) && fsync(fd) == 0;
	fault_pass(FAULT_LISTS_WRITTEN);
	ok = ok && rename(fresh.data, lists->path) == 0 && sync_folder_of(lists->path);
	if (ok) {
		if (lists->fd >= 0)
			close(lists->fd);
		lists->fd = fd;
		lists->end = (off_t)content.len;
		lists->distrusted = false;
	} else if (fd >= 0) {
		int cause = errno;

		close(fd);
		errno = cause;
	}
	buf_done(&content);
	buf_done(&fresh);
	return ok;
}

/* A record's payload is one array of texts, and not more. */
static bool
is_list(struct slice wire)
{
	struct cbor_reader r;
	struct cbor_items items;

	cbor_init(&r, wire);
	items = cbor_array(&r);
	if (items.indefinite || items.left > DAX_LIST_NAMES_MAX)
		return false;
	while (cbor_next(&r, &items))
		(void)cbor_text(&r);
	return !cbor_failed(&r) && cbor_at_end(&r);
}

static bool
read_whole(int fd, struct buf *out)
{
	char *room = malloc(READ_BYTES);
	ssize_t n;

	if (room == NULL)
		abort();
	while ((n = read(fd, room, READ_BYTES)) != 0) {
		if (n > 0)
			buf_put(out, room, (size_t)n);
		else if (errno != EINTR)
			break;
	}
	free(room);
	return n == 0;
}

/* Up to the first record that is not whole: what a crash tore off was told to nobody. */
static enum status
take_lists(struct dax_lists *lists, struct slice data, const char *path, struct err *err)
{
	size_t at = sizeof magic;

	if (data.len >= sizeof magic && memcmp(data.data, magic, sizeof magic) != 0)
		return err_set(err, S_CORRUPT, "%s is no file of attribute lists", path);
	while (at <= data.len && data.len - at >= 8) {
		struct slice wire;
		uint32_t len, crc;
		struct dax_list *list;

		memcpy(&len, data.data + at, 4);
		memcpy(&crc, data.data + at + 4, 4);
		if (len > RECORD_MAX || len > data.len - at - 8)
			break;
		wire = slice_of(data.data + at + 8, len);
		if (crc32_of(wire) != crc || !is_list(wire))
			break;
		list = list_new(wire);
		if (find_id(lists, list->id) == NULL)
			link_list(lists, list);
		else
			free(list);
		at += 8 + len;
	}
	if (at < data.len)
		log_warn("dax", "%s: %zu bytes behind the last whole record are left out", path, data.len - at);
	return S_OK;
}

static enum status
load(struct dax_lists *lists, const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct buf data = {0};
	enum status s = S_OK;

	lists->path = strdup(path);
	if (lists->path == NULL)
		abort();
	lists->distrusted = true;
	if (fd < 0 && errno != ENOENT)
		return err_set(err, S_IO, "cannot open %s: %s", path, strerror(errno));
	if (fd >= 0 && !read_whole(fd, &data))
		s = err_set(err, S_IO, "cannot read %s: %s", path, strerror(errno));
	if (s == S_OK)
		s = take_lists(lists, buf_slice(&data), path, err);
	if (fd >= 0)
		close(fd);
	buf_done(&data);
	return s;
}

enum status
dax_lists_open(const char *path, struct dax_lists **ret, struct err *err)
{
	struct dax_lists *lists = calloc(1, sizeof *lists);
	enum status s = S_OK;

	*ret = NULL;
	if (lists == NULL)
		abort();
	pthread_mutex_init(&lists->lock, NULL);
	pthread_mutex_init(&lists->sync_lock, NULL);
	lists->fd = -1;
	if (path != NULL)
		s = load(lists, path, err);
	if (s != S_OK) {
		dax_lists_close(lists);
		return s;
	}
	if (path == NULL)
		lists->synced = dax_lists_count(lists);
	*ret = lists;
	return S_OK;
}

void
dax_lists_close(struct dax_lists *lists)
{
	if (lists == NULL)
		return;
	for (size_t i = 0; i < BUCKETS; i++) {
		struct dax_list *list = atomic_load(&lists->by_id[i]), *next;

		for (; list != NULL; list = next) {
			next = list->by_id_next;
			free(list);
		}
	}
	if (lists->fd >= 0)
		close(lists->fd);
	free(lists->path);
	pthread_mutex_destroy(&lists->lock);
	pthread_mutex_destroy(&lists->sync_lock);
	free(lists);
}

bool
dax_lists_is_synced(const struct dax_lists *lists)
{
	return (lists->path == NULL && lists->share == NULL) || atomic_load(&lists->synced) >= dax_lists_count(lists);
}

/* Under sync_lock. */
static enum status
sync_file(struct dax_lists *lists, struct err *err)
{
	bool ok;

	pthread_mutex_lock(&lists->lock);
	ok = !lists->distrusted || write_anew(lists);
	pthread_mutex_unlock(&lists->lock);
	if (ok && fdatasync(lists->fd) == 0)
		return S_OK;
	err_set(err, S_IO, "the file of attribute lists cannot be written: %s", strerror(errno));
	pthread_mutex_lock(&lists->lock);
	lists->distrusted = true;
	pthread_mutex_unlock(&lists->lock);
	return S_IO;
}

enum status
dax_lists_sync(struct dax_lists *lists, struct err *err)
{
	uint64_t count = dax_lists_count(lists);
	enum status s = S_OK;

	if (dax_lists_is_synced(lists))
		return S_OK;
	pthread_mutex_lock(&lists->sync_lock);
	if (lists->synced < count) {
		if (lists->path != NULL)
			s = sync_file(lists, err);
		fault_pass(FAULT_LIST_SYNCED);
		if (s == S_OK && lists->share != NULL)
			lists->share(lists->share_context);
		if (s == S_OK)
			lists->synced = count;
	}
	pthread_mutex_unlock(&lists->sync_lock);
	return s;
}

uint64_t
dax_lists_count(const struct dax_lists *lists)
{
	return atomic_load_explicit(&lists->count, memory_order_relaxed);
}

/* --- adding --- */

/* Under the lock. */
static enum status
add_new(struct dax_lists *lists, struct slice wire, const struct dax_list **ret, struct err *err)
{
	struct dax_list *list;
	enum status s;

	if (dax_lists_count(lists) >= DAX_LISTS_MAX || lists->bytes + wire.len > DAX_LISTS_BYTES)
		return err_set(err, S_LIMIT_EXCEEDED,
			       "There are too many different lists of attribute names: DAX is not made for data in "
			       "the names of attributes");
	list = list_new(wire);
	if (find_id(lists, list->id) != NULL) {
		free(list);
		return err_set(err, S_VALIDATION, "These attribute names cannot be told from another list of names");
	}
	s = append(lists, wire, err);
	if (s != S_OK) {
		free(list);
		return s;
	}
	link_list(lists, list);
	*ret = list;
	return S_OK;
}

enum status
dax_lists_add(struct dax_lists *lists, const struct slice *names, size_t count, const struct dax_list **ret,
	      struct err *err)
{
	uint64_t hash;
	struct buf wire = {0};
	enum status s = S_OK;

	*ret = &empty_list;
	if (count == 0)
		return S_OK;
	if (count > DAX_LIST_NAMES_MAX)
		return err_set(err, S_VALIDATION, "An item of more than %d attributes cannot pass through DAX",
			       DAX_LIST_NAMES_MAX);
	hash = hash_names(names, count);
	*ret = find_names(lists, hash, names, count);
	if (*ret != NULL)
		return S_OK;
	put_wire(&wire, names, count);
	if (wire.len > RECORD_MAX) {
		buf_done(&wire);
		return err_set(err, S_VALIDATION, "Too many bytes of attribute names");
	}
	pthread_mutex_lock(&lists->lock);
	*ret = find_names(lists, hash, names, count);
	if (*ret == NULL)
		s = add_new(lists, buf_slice(&wire), ret, err);
	pthread_mutex_unlock(&lists->lock);
	buf_done(&wire);
	return s;
}

/* ---- for nodes of a cluster ---- */

const struct dax_list *
dax_lists_after(struct dax_lists *lists, const struct dax_list *last)
{
	return atomic_load_explicit(last != NULL ? &last->newer : &lists->first, memory_order_acquire);
}

enum status
dax_lists_add_wire(struct dax_lists *lists, struct slice wire, struct err *err)
{
	const struct dax_list *added;
	enum status s = S_OK;

	if (wire.len > RECORD_MAX || !is_list(wire))
		return err_set(err, S_VALIDATION, "no list of attribute names");
	if (dax_lists_find(lists, id_of(wire)) != NULL)
		return S_OK;
	pthread_mutex_lock(&lists->lock);
	if (find_id(lists, id_of(wire)) == NULL)
		s = add_new(lists, wire, &added, err);
	pthread_mutex_unlock(&lists->lock);
	return s;
}

void
dax_lists_on_sync(struct dax_lists *lists, void (*share)(void *context), void *context)
{
	lists->share_context = context;
	lists->share = share;
	lists->complete_ns = share != NULL ? clock_mono_ns() + CATCH_UP_NS : 0;
}

enum status
dax_lists_unknown(struct dax_lists *lists, uint64_t id, struct err *err)
{
	if (lists->complete_ns != 0 && clock_mono_ns() < lists->complete_ns)
		return err_set(err, S_THROTTLING,
			       "This node has just started and does not know attribute list %llu yet",
			       (unsigned long long)id);
	return err_set(err, S_VALIDATION, "Unknown attribute list id: %llu", (unsigned long long)id);
}
