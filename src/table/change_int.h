/* The change log within the table room: what a write adds to it, and the streams that read it. */
#ifndef STATOR_TABLE_CHANGE_INT_H
#define STATOR_TABLE_CHANGE_INT_H

#include "table/change.h"
#include "table/stream.h"
#include "table/table_int.h"

/* Between the numbers on the wire of two that follow each other: more than there are partitions. */
#define SEQUENCE_STEP 100000u

#define LOG_ON   0x80u /* in table_core.log_wants, beside CHANGE_NEW_IMAGE and CHANGE_OLD_IMAGE */
#define LOG_WAKE 0x40u /* somebody wants to be told */

/* ---- change.c ---- */

/* What a commit adds to one partition's log; becomes the partition's when the batch is applied. */
struct change_draft {
	unsigned wants; /* log_wants, under the lock */
	uint32_t count;
	uint64_t last; /* sequence number */
	uint64_t bytes;
};

static inline void
change_begin(struct table_core *core, const struct partition *p, struct change_draft *ret)
{
	ret->wants = atomic_load_explicit(&core->log_wants, memory_order_relaxed);
	ret->count = 0;
	if (ret->wants != 0) {
		ret->last = atomic_load_explicit(&p->log_last, memory_order_relaxed);
		ret->bytes = 0;
	}
}

/* The record of a decided write that changed something. The caller holds the partition's lock. */
void change_put(const struct table *t, const struct partition *p, struct table_write *w, struct change_draft *draft,
		struct scratch *scratch, struct arena *a);
/* The batch is applied, at the place `seq` of the engine. */
void change_end(struct table_core *core, struct partition *p, const struct change_draft *draft, uint64_t seq);

void log_put_key(struct buf *out, uint32_t table_number, uint32_t partition, uint64_t seq);
static inline uint64_t
log_key_seq(struct slice key)
{
	uint64_t seq;

	memcpy(&seq, key.data + 8, sizeof seq);
	return __builtin_bswap64(seq);
}
/* Numbers go on behind this one. The caller is alone. */
static inline void
log_raise(struct partition *p, uint64_t seq)
{
	if (atomic_load(&p->log_last) < seq)
		atomic_store(&p->log_last, seq);
}
/* The first and the last record's number in [from, to] of a partition; 0: there is none. */
enum status log_find_first(struct table_core *core, uint32_t partition, uint64_t from, uint64_t to, uint64_t *ret,
			   struct err *err);
enum status log_find_last(struct table_core *core, uint32_t partition, uint64_t from, uint64_t to, uint64_t *ret,
			  struct err *err);
/* ---- stream.c ---- */

struct shard;
struct stream {
	struct table_core *core; /* counted */
	struct stream *sibling;  /* of the same table, in no order; NULL: none */
	uint32_t number;         /* rises within the table */
	int64_t created_ms;
	enum stream_view view;
	char label[32];
	struct slice arn;
	struct slice table_name; /* within arn */
	struct key_schema schema;
	struct slice schema_bytes; /* as in the row; the schema's names lie in it */
	/* guarded by streams.lock; changes also hold db->control */
	enum stream_status status;
	int64_t disabled_ms;
	int64_t ahead_since_ns;      /* is_over() */
	struct table_policy *policy; /* counted; NULL: none */
	int64_t policy_revision;     /* the highest so far; guarded by db->control */
	int64_t descriptions_ns;     /* stream_look_describe() */
	uint64_t changed_at;         /* the engine's place of its last change: stream_told() */
	struct shard **shards;       /* by id */
	size_t shard_count, shard_cap;
};
struct shard {
	char id[SHARD_ID_BYTES + 1];
	char parent[SHARD_ID_BYTES + 1]; /* "": none */
	uint32_t partition;
	int64_t created_ms;
	uint64_t first;
	uint64_t last; /* 0: open */
	int64_t closed_ms;
	/* work space of maintenance, which alone looks at it; not copied by stream_pin() */
	struct {
		int64_t ahead_since_ns; /* is_over() */
		bool forgotten;         /* forget_trimmed() */
	} work;
	int64_t reads_ns, bytes_ns; /* stream_look_read(); not copied either */
};

struct streams {
	pthread_mutex_t lock;     /* nothing else is locked under it */
	pthread_mutex_t trimming; /* one pass over the logs at a time: a test control may meet the background's */
	struct change_reader *readers;
	struct log_listener *listener;
	struct stream **by_arn; /* ascending */
	size_t count, cap;
	uint8_t secret[STREAM_SECRET_BYTES];
	/* figures */
	atomic_int policy_count; /* streams with a resource policy */
	_Atomic uint64_t trimmed_bytes;
	_Atomic uint64_t gone_records, gone_bytes; /* written by tables that are gone */
};

/* ---- change_reader.c ---- */

/* One partition's position. */
struct reader_position {
	_Atomic uint64_t acked; /* through this number nothing is needed */
	uint64_t next;          /* to be read */
	uint64_t delivered;     /* the last one handed out */
};
struct change_reader {
	struct change_reader
	    *next;               /* all fields but positions: guarded by streams.lock; changes also hold db->control */
	struct table_core *core; /* counted */
	struct slice name, table_name;
	unsigned images;
	int64_t retention_ms;
	bool in_memory, open;
	void (*wake)(void *context);
	void *context;
	uint64_t told;          /* work space of the thread that wakes */
	_Atomic uint32_t count; /* partitions that have a position */
	struct reader_position positions[PARTITIONS_MAX];
};

enum status readers_load(struct table_db *db, struct err *err);
void readers_done(struct table_db *db);
enum status readers_maintain(struct table_db *db,
			     struct err *err); /* those of tables that are gone; db->control is held */
/* From where on a partition's records are needed by readers; UINT64_MAX: by none. */
uint64_t readers_keep_from(struct table_core *core, const struct partition *p);
/* What readers want of the table's records; 0: there is none. */
unsigned readers_want(struct table_core *core);
bool readers_use(struct table_core *core);
void log_wake_readers(struct table_db *db);
struct log_listener *log_listen(struct table_db *db);
void log_listener_end(struct log_listener *l);

/* ---- stream.c ---- */

/* The core of a table by number, or what is left of it: its log. Counted. */
struct table_core *core_numbered(struct table_db *db, uint32_t number, struct slice name);
enum status streams_open(struct table_db *db, struct err *err); /* after the tables are loaded */
void streams_close(struct table_db *db);
/* Rows of what CreateTable (core NULL: there is none yet) or UpdateTable begins; the stream itself is there after
 * stream_begun(). The caller holds db->control. */
struct stream *stream_begin(struct table_db *db, const struct table_core *core, struct slice table_name,
			    const struct key_schema *schema, uint32_t table_number, enum stream_view view,
			    struct engine_batch *batch);
void stream_begun(struct table_core *core, struct stream *s);
void stream_free(struct stream *s); /* one that did not begin; NULL is fine */
/* The stream that is not DISABLED, or NULL. The caller holds db->control. */
struct stream *stream_enabled(struct table_core *core);
/* DISABLING; its end is stream_settle(). */
void stream_put_disabling(struct stream *s, struct engine_batch *batch);
void stream_disabling(struct stream *s);
/* ENABLING -> ENABLED, DISABLING -> DISABLED. The caller holds db->control. */
enum status stream_settle(struct table_core *core, struct err *err);
/* The table goes: rows of its streams, all closed; then the same in memory. */
void stream_put_deleted(struct table_core *core, struct engine_batch *batch);
void stream_deleted(struct table_core *core);
/* All rows of the table's streams, as they are in memory. */
void stream_put_rows(struct table_core *core, struct engine_batch *batch);
/* The same for a table that is gone. The caller holds db->control. */
void stream_put_rows_left(struct table_db *db, uint32_t table_number, struct engine_batch *batch);
/* What DescribeTable tells. */
void stream_describe_table(struct table_core *core, struct arena *a, struct table_description *ret);
/* The images that the table's streams and readers want. The caller holds all locks. */
void log_set_wants(struct table_core *core);

struct slice table_copy(struct slice s); /* on the heap */
/* Label and ARN, from created_ms. */
void stream_set_names(struct table_db *db, struct stream *s, struct slice table_name_);
/* The names lie in the bytes. */
bool stream_take_schema(struct slice bytes, struct key_schema *ret);
void streams_add(struct streams *all, struct stream *s); /* to the directory; needs the lock */
#define STREAM_HEAD_BYTES 19 /* of a stream's row: version, status, view, created, disabled */
#define SHARD_HEAD_BYTES  37 /* of a shard's: version, partition, created, first, last, closed */
void stream_put_row(const struct stream *s, uint32_t table_number, enum stream_status status, int64_t disabled_ms,
		    struct engine_batch *batch);
void shard_put_row(const struct stream *s, const struct shard *shard, uint64_t last, int64_t closed_ms,
		   struct engine_batch *batch);
/* These five need streams.lock. */
struct stream *stream_find_arn(const struct streams *all, struct slice arn);
size_t shard_place(const struct stream *s, struct slice id); /* where it is, or where it belongs */
void shard_add(struct stream *s, struct shard *shard);
void shard_remove(struct stream *s, size_t at);
void stream_remove(struct streams *all, struct stream *s); /* from the directory */
/*
 * What is told of a stream's shards must be durable: the answer waits for the place of their last change. A failed sync
 * may have taken that back, while memory has it still; then S_IO, until the rows are written again (JOB_REWRITE).
 * durable_before: engine_durable() of before the shards were looked at.
 */
enum status stream_told(struct engine *e, uint64_t changed_at, uint64_t durable_before, struct table_io *io,
			struct err *err);
/*
 * All that was changed of the table's streams is durable, so nobody has to wait for it. To be said as soon as it is so:
 * the engine remembers only the latest losses one by one, of older places it may say that they were lost when they were
 * not. The caller holds db->control.
 */
void stream_durable(struct table_core *core);
/* The rows of the table's streams have been written again, durably; the table may be gone. */
void stream_rewritten(struct table_db *db, uint32_t table_number);

/* A shard to be read: its table's core, counted (also when found is false), and a copy of it. */
struct pinned {
	struct table_core *core;
	bool found;
	enum stream_view view;
	int64_t created_ms;
	uint64_t changed_at;
	struct shard shard;
	uint64_t through; /* no record behind it is the shard's, as far as is known: an open one may be closed
			     meanwhile, and its child be written in the same partition */
};
enum status stream_pin(struct table_db *db, struct slice arn, struct slice shard_id, struct pinned *ret,
		       struct err *err);

/* ---- stream_policy.c ---- */

/* The stream's row, when it has one. Needs core and number. */
enum status stream_policy_load(struct stream *s, struct err *err);
void stream_policy_forget(struct stream *s);                                    /* the stream is out of the directory */
void stream_policy_put_row(const struct stream *s, struct engine_batch *batch); /* as it is in memory */
void stream_policy_delete_row(const struct stream *s, struct engine_batch *batch);

/* ---- stream_shards.c ---- */

/*
 * A change of one stream's shards, made while all locks of the table are held: the rows go into the batch, and once
 * that is applied shard_change_done() makes it true in memory. A failed one is just freed.
 */
struct shard_change {
	struct stream *stream;
	struct engine_batch *batch;
	struct {
		struct shard *shard;
		uint64_t last;
	} closed[PARTITIONS_MAX];
	uint32_t closed_count;
	int64_t closed_ms;
	struct shard *opened[PARTITIONS_MAX + 1];
	uint32_t opened_count;
	uint64_t log_last[PARTITIONS_MAX]; /* what it makes of the partitions' last numbers; 0: as they are */
};
struct shard_change *shard_change_new(struct stream *s, struct engine_batch *batch);
/* The number of the last record of a closed shard is *ret_last (at least its first number, so it has one). */
void shard_change_close(struct shard_change *c, struct shard *shard, uint64_t *ret_last);
/* parent NULL: none. */
void shard_change_open(struct shard_change *c, uint32_t partition, const struct shard *parent);
struct shard *shard_open_of(const struct stream *s, uint32_t partition); /* NULL: none */
void shard_change_done(struct shard_change *c, struct layout *layout, uint64_t seq);
void shard_change_free(struct shard_change *c);
/* Roll what is old, forget what is trimmed. Takes db->control. */
enum status shards_maintain(struct table_db *db, struct err *err);

/* ---- change_trim.c ---- */

uint64_t log_horizon(int64_t age_ms); /* the first sequence number that is younger than that, by the clock */
/* The same by all that is known of the partition, whose numbers may be ahead of the clock. The caller holds
 * streams.lock.
 */
uint64_t log_younger_than(const struct partition *p, int64_t age_ms);
uint64_t log_shown_from(struct table_core *core, struct partition *p); /* what a stream shows */
/* Drop what nobody needs any more; with slack so that it is done in few large steps. *ret_all: not all was looked at
 * before that time (clock_mono_ns). */
enum status logs_trim(struct table_db *db, bool slack, int64_t until_ns, bool *ret_all, struct err *err);
/* The lowest number from `from` on of a table that has records; 0: there is none. */
enum status log_next_number(struct table_db *db, uint32_t from, uint32_t *ret, struct err *err);
enum status log_drop_range(struct table_db *db, uint32_t table_number, struct err *err);
/* The table's whole log, when no stream and no reader is left. The caller holds db->control. */
enum status log_drop_if_unused(struct table_core *core, struct err *err);
/* The figures of a table go on to count when it is gone. */
void change_count_gone(struct table_core *core);
enum status log_job(struct table_db *db, struct err *err); /* JOB_LOG */

#endif
