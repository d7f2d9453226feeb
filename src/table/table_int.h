/*
 * Inside the table room.
 *
 * What lives how long:
 *   table_core   the table itself: its partitions, locks, counts. From CreateTable until the last user lets go.
 *   table        one version of its description, immutable, counted. Each control-plane change makes a new one; an
 *                old one holds the next newer one, so whoever holds a version also keeps every later one alive
 *                (a commit works with the newest version and may hand out pointers to its indexes).
 *   index_core   the part of an index that versions share: its number, counts, recent writes.
 *
 * Lock order: db->control, then partitions by (table number, partition), then a directory bucket or db->list_lock.
 * core->current changes only while control, all partitions of the table and its bucket are held, so holding any one
 * of them is enough to read it.
 */
#ifndef STATOR_TABLE_INT_H
#define STATOR_TABLE_INT_H

#include "base/lru.h"
#include "table/insights_int.h"
#include "table/table.h"
#include "table/ttl.h"

#include <pthread.h>
#include <stdatomic.h>

#define DIRECTORY_BUCKETS  1024
#define SCRATCH_SLOTS      64
#define PARTITIONS_MAX     256
#define RECENT_SLOTS       1024 /* of one partition, for its items and local index rows */
#define RECENT_INDEX_SLOTS 512  /* of one global index in one base partition */
#define RECENT_BUSY        UINT64_MAX
#define WRITE_SAMPLES      64 /* hashes of the last writes of a partition: where to split it */

/* ---- catalog records (record.c) ---- */

struct index_record {
	uint32_t number; /* space id of its row keys */
	enum index_status status;
	bool backfilling;
	bool building; /* added to a table with items: rows may still be missing */
	bool has_pending;
	struct table_throughput pending; /* takes effect when UPDATING ends */
};

struct ttl_record {
	uint32_t number; /* space id of the rows by due time; 0: DISABLED */
	enum table_ttl_status status;
	struct slice attribute; /* empty when DISABLED */
	int64_t changed_ms;     /* last UpdateTimeToLive, 0: never */
};

/* All that the catalog keeps about a table, under its name. */
struct record {
	struct table_spec spec;       /* with tags */
	struct index_record *indexes; /* beside spec.indexes */
	uint32_t number;
	uint32_t partitions; /* at creation, all equally wide; split.c has what became of them */
	enum table_status status;
	int64_t created_ms;
	int64_t billing_changed_ms;
	int64_t class_changed_ms;
	bool has_pending;
	struct table_throughput pending;
	struct ttl_record ttl;
	char id[37];
};

/* Memory that goes at once, in pieces of just the size asked for (an arena's block is too much for each of 2,500
 * tables). */
struct pool {
	struct pool_piece *pieces;
};
struct allocator {
	void *(*alloc)(void *context, size_t size);
	void *context;
};
struct allocator arena_allocator(struct arena *a);
struct allocator pool_allocator(struct pool *p);
void table_pool_done(struct pool *p);
void *table_alloc(size_t size); /* never NULL, see base/arena.h */

void record_encode(const struct record *r, struct buf *out);
/* Strings of the record lie in `bytes`; arrays come from the allocator. */
enum status record_decode(struct slice name, struct slice bytes, struct allocator a, struct record *ret,
			  struct err *err);

/* ---- tables ---- */

/* Written under the partition's lock, read by anyone. */
struct count {
	_Atomic int64_t items;
	_Atomic int64_t bytes;
};

#define LOG_MARKS 8

struct partition {
	_Alignas(64) pthread_mutex_t lock;
	_Atomic uint64_t last;    /* recent.h: as `recent`, for all writes of the partition */
	uint64_t failures;        /* engine_failed_through() that the counts belong to */
	struct count count;       /* of the table; of the indexes: index_part */
	_Atomic uint64_t *recent; /* RECENT_SLOTS */
	struct ongoing *ongoing;  /* commit.c: items of transactions that are not durable; NULL: there was none yet */
	uint64_t ongoing_last;    /* the place of the newest of them */
	uint32_t id;
	/* set when it is made, then constant */
	uint32_t parent;          /* whose upper part it was; its own number when it was there from the beginning */
	uint64_t split_seq;       /* the parent's log up to there comes before this partition's */
	uint64_t inherited_bytes; /* it may hold so much that its parent counted */
	/* change.c; written under the lock */
	_Atomic uint64_t log_last;    /* the last sequence number given out */
	_Atomic uint64_t log_records; /* written since the start */
	_Atomic uint64_t log_bytes;
	/* change_trim.c; written by the background thread */
	_Atomic uint64_t log_oldest;  /* at or before the first record that is there; 0: not known */
	uint64_t log_empty_at;        /* log_last when no record was found */
	_Atomic uint64_t log_trimmed; /* records up to here are gone */
	_Atomic uint64_t log_stale;   /* those up to here are older than a stream shows */
	struct {
		int64_t passed_ns; /* clock_passed_ns() when log_last was ... */
		uint64_t seq;
	} log_marks[LOG_MARKS]; /* oldest first; only while numbers are ahead of the clock; guarded by streams.lock */
	unsigned log_mark_count;
	/* split.c; written under the lock */
	_Atomic uint64_t writes;
	uint64_t samples[WRITE_SAMPLES];
	int64_t
	    inherited_writes; /* its share of those before the last split, less what it gave; guarded by db->control */
	/* the background thread's */
	int64_t looked_ns;
	uint64_t looked_writes;
	unsigned busy_looks;
};

/*
 * Which partition a hash belongs to. A layout is never changed: a split makes another one and publishes it while all
 * locks of the table are held. So whoever holds a partition's lock holds the layout still. Readers, who hold none, load
 * it after they have read the data: then it knows every partition that has written what they saw. Old ones stay until
 * the table goes.
 */
struct range {
	uint64_t first;
	struct partition *partition;
};
struct layout {
	struct layout *older;
	uint32_t count;           /* of partitions: numbers 0 ... count - 1 */
	struct partition **by_id; /* behind the ranges */
	struct range ranges[];    /* count of them, ascending */
};

/* throttle.c: when the bucket would have been empty, clock_passed_ns() */
typedef _Atomic int64_t throttle_bucket;
struct throttle {
	throttle_bucket read, write;
	_Atomic uint64_t refused_reads, refused_writes;
	_Atomic uint32_t trouble[TROUBLE_KINDS]; /* how many are still to be refused, see table_trouble_set() */
};

#define QUOTA_DAY_MS            (24 * 60 * 60 * 1000LL)
#define QUOTA_DECREASES         4 /* of provisioned units in a UTC day; later ones once an hour */
#define QUOTA_DECREASE_PAUSE_MS 3600000LL
#define QUOTA_ON_DEMAND         4 /* switches to on demand in 24 hours */
#define QUOTA_CLASS             2 /* changes of class in: */
#define QUOTA_CLASS_DAYS        30
/* When the last changes of a kind were, the oldest first; ms of the epoch, 0: there were not so many. */
struct quota {
	int64_t on_demand_ms[QUOTA_ON_DEMAND];
	int64_t class_ms[QUOTA_CLASS];
};

struct index_core {
	atomic_uint refs;
	uint32_t number;
	atomic_bool dropped;
	bool has_recent;          /* not for local indexes: they use the table's */
	struct throttle throttle; /* global ones */
	struct insights insights; /* global ones */
	_Atomic(struct index_parts *) parts;
};
/* The part of an index that one partition of the table writes. */
struct index_part {
	struct count count;
	_Atomic uint64_t *recent; /* RECENT_INDEX_SLOTS, or NULL */
};
/* By partition; grows like a layout does, before the partition is there. */
struct index_parts {
	struct index_parts *older;
	uint32_t count;
	struct index_part *at[];
};

struct table_core {
	struct table_db *db;
	atomic_uint refs; /* each version holds one */
	uint32_t number;
	_Atomic(struct layout *) layout;
	struct stream *streams;    /* all that were enabled and are still to be read; as streams.by_arn */
	_Atomic uint64_t log_news; /* the engine's place of the newest record that nobody was woken for; 0: none */
	atomic_uint log_wants;     /* change.c: 0, or LOG_ON and the images; changes under all partition locks */
	atomic_bool dropped;       /* DELETING: set under all partition locks; nothing is written any more */
	_Atomic uint64_t doubt;    /* core_doubt(): engine_reopened() + 1 when it began, 0: none */
	bool doubt_is_mine;        /* of the change in progress, not an earlier one's; guarded by db->control */
	struct table *current;     /* counted; see above */
	struct table_core *next;   /* in its bucket */
	struct throttle throttle;
	struct insights insights;
	struct quota quota; /* guarded by db->control */
	struct slice name;
	int64_t policy_revision; /* the highest so far; guarded by db->control */
	/* guarded by policy_lock; changes only while db->control is held too */
	pthread_mutex_t policy_lock;
	_Atomic(struct table_policy *) policy; /* counted; NULL, which may be seen without the lock: none */
};

/* ttl.h: what versions with the same TTL number share. */
#define TTL_DELAYS 8
struct ttl_core {
	atomic_uint refs;
	uint32_t number;
	_Atomic int64_t earliest_ms; /* no row that is not dealt with is due before this; see ttl_lower() */
	_Atomic int64_t deleting_ms; /* figures: due time of what is deleted next, 0: none */
	_Atomic uint64_t backlog;
	_Atomic uint64_t deleted;
	_Atomic uint64_t delays[TTL_DELAYS + 1];
	_Atomic uint64_t delay_sum_ms;
};

struct table_index {
	const struct table_index_spec *spec;
	const struct index_record *record;
	struct index_core *core;
	const struct slice *key_names; /* index and table key attributes, distinct */
	size_t key_name_count;
	const struct slice *row_names; /* what a row holds; unused when it holds all */
	size_t row_name_count;
	bool whole;      /* PROJECT_ALL */
	bool maintained; /* not DELETING */
};

struct table {
	atomic_uint refs;
	struct table_core *core;
	struct table *newer; /* counted, NULL in the newest; set under the bucket's lock */
	struct pool pool;
	struct slice encoded; /* the record's bytes */
	struct record record;
	struct table_index *indexes;
	size_t index_count;
	struct ttl_core *ttl; /* NULL: no rows by due time are kept */
	const uint16_t
	    *by_name; /* places in `indexes`, names ascending: the order in which DynamoDB checks their keys */
	bool has_local;
	bool has_vector;
};

/* Work space of one call, kept for the next. */
struct scratch {
	struct engine_batch *batch;
	struct buf keys;
	struct buf value;
	struct buf from, to;
	struct buf change;
};

struct bucket {
	pthread_mutex_t lock;
	struct table_core *first;
};

struct job;
struct tokens; /* transact.c */
struct table_token;

struct table_db {
	/* set at open, then constant */
	struct engine *engine;
	struct lru *items;   /* encoded items by row key, empty for no such item; stamped with engine_reopened();
				commit.c, read.c */
	struct pages *pages; /* NULL: none are kept */
	char region[64];
	char account[16];
	int64_t control_delay_ns;
	uint32_t partitions;
	bool throttling;
	atomic_bool throttles; /* throttling, or refusals were asked for */
	uint64_t collection_bytes_max;
	uint64_t split_bytes; /* SPLIT_BYTES; smaller in tests */
	/* guarded by control */
	pthread_mutex_t control; /* one control-plane change at a time; held across its sync */
	uint32_t next_number;
	/* guarded by list_lock: names in byte order */
	pthread_mutex_t list_lock;
	struct table_core **list; /* borrowed from the buckets */
	size_t list_count;
	size_t list_cap;
	/* guarded by jobs_lock */
	pthread_mutex_t jobs_lock;
	pthread_cond_t jobs_wake;
	pthread_cond_t jobs_ran; /* jobs_ran_count rose */
	uint64_t jobs_ran_count;
	struct job *jobs; /* by due time */
	bool stopping;
	pthread_t thread;
	bool thread_started;
	/* jobs.c; the background thread's, but what is atomic */
	pthread_t reclaim_thread;
	bool reclaim_started;
	atomic_bool reclaim_runs, reclaim_stop;
	int64_t reclaim_due_ns;

	pthread_mutex_t insights_lock;
	unsigned insights_rules;      /* guarded by control; see INSIGHTS_RULES_MAX */
	atomic_int insights_counting; /* tables and indexes that count keys */
	_Atomic uint64_t recounted;   /* counts.c: engine_reopened() that all counts belong to */
	struct tokens *tokens;
	struct streams *streams; /* stream.c */
	_Atomic(struct scratch *) spare[SCRATCH_SLOTS];
	atomic_int policy_count; /* tables with a resource policy */
	_Atomic uint64_t ttl_generation;
	struct bucket buckets[DIRECTORY_BUCKETS];
};

/* ---- directory.c ---- */

struct table *directory_find(struct table_db *db, struct slice name); /* any status; counted; NULL */
void directory_add(struct table_db *db, struct table *first_version); /* takes the caller's count */
/* Make the version current. With new_index the caller's change becomes visible to writers all at once: takes all locks.
 */
void directory_publish(struct table *version);
void directory_remove(struct table_core *core);
/* A version from the record's bytes. `before`: the version it follows, or NULL. Counted once. */
enum status version_new(struct table_db *db, const struct table *before, struct slice name, struct slice encoded,
			struct table **ret, struct err *err);
struct table *table_hold(struct table *t);
void core_hold(struct table_core *core);
void core_release(struct table_core *core);
/* One that belongs to no directory (of a table that is gone, whose log is still read). Counted once. */
struct table_core *core_new(struct table_db *db, struct slice name, const struct record *record);
/* Lock the partition that a hash belongs to. */
struct partition *partition_lock(struct table_core *core, uint64_t hash);
/* The caller holds db->control, so that no partition is added meanwhile. */
void core_lock_all(struct table_core *core);
void core_unlock_all(struct table_core *core);
size_t directory_count(struct table_db *db);
void directory_done(struct table_db *db); /* for table_db_close() */

struct scratch *table_scratch_take(struct table_db *db);
void table_scratch_give(struct table_db *db, struct scratch *s);

/* ---- catalog.c ---- */

/* Keys of SPACE_CATALOG: a letter, then what it is about. docs/formats/catalog.md */
void catalog_key_table(struct buf *out, struct slice name);
void catalog_key_counts(struct buf *out, uint32_t table_number, uint32_t partition);
void catalog_key_progress(struct buf *out, uint32_t index_number);
void catalog_key_policy(struct buf *out, uint32_t table_number);
void catalog_key_stream_policy(struct buf *out, uint32_t table_number, uint32_t stream);
void catalog_key_insights(struct buf *out, uint32_t table_number);
void catalog_key_quota(struct buf *out, uint32_t table_number);
void catalog_key_next_number(struct buf *out);
void catalog_key_layout(struct buf *out, uint32_t table_number);
void catalog_key_stream(struct buf *out, uint32_t table_number, uint32_t stream);
void catalog_key_shard(struct buf *out, uint32_t table_number, uint32_t stream, struct slice id);
void catalog_key_trim(struct buf *out, uint32_t table_number, uint32_t partition);
void catalog_key_secret(struct buf *out);
void catalog_key_reader(struct buf *out, uint32_t table_number, struct slice name);
void catalog_key_position(struct buf *out, uint32_t table_number, struct slice name, uint32_t partition);
/* Each row of a kind; keys without their letter. Ends with the first failure. */
typedef enum status catalog_row(void *context, struct slice key, struct slice value, struct err *err);
enum status catalog_each_table(struct table_db *db, catalog_row *each, void *context, struct err *err);
enum status catalog_each_stream(struct table_db *db, catalog_row *each, void *context, struct err *err);
enum status catalog_each_shard(struct table_db *db, catalog_row *each, void *context, struct err *err);
enum status catalog_each_trim(struct table_db *db, catalog_row *each, void *context, struct err *err);
enum status catalog_each_reader(struct table_db *db, catalog_row *each, void *context, struct err *err);
void space_range(uint32_t number, struct buf *from, struct buf *to);
/* Apply and wait until it is durable. */
enum status catalog_commit(struct table_db *db, struct engine_batch *batch, struct err *err);
/*
 * One change of one table: `record` (changed copy) becomes durable, then current. `also`: NULL or further rows in the
 * same batch. On failure nothing has changed. The caller holds db->control.
 */
enum status catalog_change(struct table_db *db, const struct table *before, const struct record *record,
			   struct engine_batch *also, struct table **ret, struct err *err);
void catalog_describe(const struct table *t, struct arena *a, struct table_description *ret);
void catalog_put_form(struct engine_batch *batch);
/* Would a number be given out again that the table has? S_CORRUPT. */
enum status catalog_check_numbers(const struct table_db *db, struct slice name, const struct record *r,
				  struct err *err);

/* ---- upgrade.c ---- */

/* Before any table is loaded; afterwards the catalog has the form of now. It may take as long as all items are read and
 * written. On failure, and after a crash, everything is as it was. */
enum status upgrade_form_1(struct table_db *db, struct err *err);

/* ---- policy.c ---- */

/* The table's row, when it has one. */
enum status policy_load(struct table_core *core, struct err *err);
void policy_publish(struct table_core *core, struct table_policy *p);
void policy_forget(struct table_core *core);
/* What CreateTable brings; NULL: nothing. */
struct table_policy *policy_of_spec(const struct table_spec *spec, int64_t revision);
void policy_put_row(struct engine_batch *batch, uint32_t table_number, const struct table_policy *p); /* NULL: none */
void policy_rewrite_row(struct engine_batch *batch, const struct table_core *core);

/* What a policy is of: a table or one of its streams. */
struct policy_place {
	const char *kind;              /* as messages have it: "table", "stream" */
	struct slice name;             /* the same */
	const struct table_core *core; /* the table, or the stream's */
	struct slice key;              /* of the row */
	struct table_policy *now;      /* NULL: none; the change does not let go of it */
	int64_t *highest;              /* of all its revisions so far */
};

/* The row under a key, or its deletion when there is no policy. */
void policy_write_row(struct engine_batch *batch, struct slice key, const struct table_policy *p);
/* S_OK and NULL when there is none. `whose` is for the message about a row that cannot be read. */
enum status policy_read_row(struct table_db *db, struct slice key, struct slice whose, struct table_policy **ret,
			    struct err *err);
/*
 * All of a change but the publishing: after S_OK *ret_policy is what there is from now on, counted for the caller when
 * it is not place->now; after a failure it is place->now. The caller holds db->control.
 */
enum status policy_change(const struct policy_place *place, const struct table_policy_change *change,
			  int64_t *ret_revision, struct table_policy **ret_policy, struct err *err);

/* ---- control.c ---- */

/* Numbers of row key spaces; the new counter goes into the same batch as who uses them. The caller holds db->control.
 */
enum status next_numbers(struct table_db *db, size_t count, struct engine_batch *batch, uint32_t *ret_first,
			 struct err *err);

/* ---- ttl.c, ttl_control.c ---- */

struct ttl_core *ttl_core_for(const struct table *before, uint32_t number); /* counted */
void ttl_core_release(struct ttl_core *x);                                  /* NULL is fine */
void ttl_put_key(struct buf *out, uint32_t number, int64_t due_ms, struct slice row_key);
/*
 * A write's rows, of a version with ttl: that of the old item goes, that of the new one comes, when their due times
 * differ. `work` is overwritten. *earliest_ms is lowered to the time of a row that was put: once the batch is applied
 * that is for ttl_lower().
 */
void ttl_put_rows(const struct table *t, struct av old_item, struct av new_item, struct slice row_key,
		  struct engine_batch *batch, struct buf *work, int64_t *earliest_ms);
void ttl_lower(struct ttl_core *x, int64_t due_ms);
/* May this item be deleted because that is its time? By the clock of now. */
bool ttl_holds(const struct table *t, struct av item, int64_t due_ms);
/* All rows are there; the rows of a disabled one go. The caller holds db->control. */
enum status ttl_filled(struct table_db *db, struct table *t, uint32_t number, struct arena *a, struct err *err);
enum status ttl_drop(struct table_db *db, struct table *t, uint32_t number, struct arena *a, struct err *err);
void ttl_write_metrics(struct table_db *db, struct buf *out);
/* ---- split.c ---- */

#define SPLIT_BYTES (10ULL * 1024 * 1024 * 1024) /* of items, on the disk: a larger partition is split */

/* The layout as it is made with the table. */
void layout_init(struct table_core *core, uint32_t partitions);
/* What the catalog knows of splits. The caller is alone. */
enum status layout_load(struct table_core *core, struct err *err);
void layout_done(struct table_core *core);
/* At least so many partitions: for the core of a table that is gone. The caller is alone. */
void layout_need(struct table_core *core, uint32_t partitions);
/* The row as it stands, when the table has one. */
void layout_put_row(struct table_core *core, struct engine_batch *batch);
/* What is due: partitions that are too large, or that have been written too much since the last look. */
enum status split_where_needed(struct table_db *db, struct err *err);
/* As many parts as that; those that are there stay. */
void index_parts_grow(struct index_core *x, uint32_t partitions);
void index_parts_free(struct index_core *x);

/* ---- quota.c; all S_LIMIT_EXCEEDED. The caller holds db->control ---- */

enum status quota_check_decrease(const struct table_throughput *now, int64_t now_ms, struct err *err);
/* Take one of what is left; q is then to be written and to become the core's. */
enum status quota_switch_to_on_demand(struct quota *q, int64_t now_ms, struct err *err);
enum status quota_change_class(struct quota *q, bool changes, int64_t now_ms, struct err *err);
void quota_put_row(struct engine_batch *batch, uint32_t table_number, const struct quota *q);
enum status quota_load(struct table_core *core, struct err *err);
/* What a table is about to be; `before`: what it was, or NULL. Only what grows is looked at. */
enum status quota_check_units(struct table_db *db, const struct table *before, const struct record *after,
			      struct err *err);

/* ---- jobs.c: what happens later ---- */

enum job_kind {
	JOB_SETTLE,
	JOB_BACKFILL,
	JOB_DROP_INDEX,
	JOB_DROP_TABLE,
	JOB_REWRITE,
	JOB_FORGET_TOKENS,
	JOB_TTL_FILL, /* the two of TTL: index_number is the number of its rows */
	JOB_TTL_DROP,
	JOB_LOG,
	JOB_INSIGHTS,
};
void jobs_add(struct table_db *db, enum job_kind kind, struct slice table_name, uint32_t table_number,
	      uint32_t index_number, int64_t delay_ns);
/*
 * Hold the answer of a control-plane call until what it began is over, when that is a matter of milliseconds. The SDKs'
 * waiters look at once and then sleep 20 s: the first look shall find the table ACTIVE, or gone. Returns without it
 * when it takes longer, or is set to. The caller may block and holds no lock.
 */
void jobs_linger(struct table_db *db, const struct table *t);
enum status jobs_start(struct table_db *db, struct err *err);
enum status reclaim_now(struct table_db *db, struct err *err); /* the disk space of dropped ranges; blocks */
void jobs_stop(struct table_db *db);

/* ---- commit.c ---- */

/* table_commit() and table_transact_write(); a transaction's writes to tables cost twice */
enum status commit_writes(struct table_write *writes, size_t count, bool transaction, struct table_token *token,
			  struct table_io *io, struct err *err);

/* ---- throttle.c ---- */

void throttle_init(struct throttle *t);
bool throttle_has(const throttle_bucket *b, int64_t now_ns);
/* Negative half units give back what was just taken. */
void throttle_take(throttle_bucket *b, int64_t half_units, int64_t rate, int64_t now_ns);
/* Is there anything left? S_THROUGHPUT_EXCEEDED, S_THROTTLING. */
enum status throttle_look(const struct table *t, const struct table_index *x, bool write, int64_t now_ns,
			  struct err *err);
/* Was a conflict with a transaction asked for? S_TRANSACTION_CONFLICT. */
enum status throttle_look_conflict(const struct table *t, struct err *err);
enum status throttle_tell_conflict(struct err *err); /* the same for one that came by itself */
void throttle_charge(const struct table *t, const struct table_index *x, bool write, int64_t half_units,
		     int64_t now_ns);

/* ---- transact.c: tokens of transactions ---- */

enum status tokens_open(struct table_db *db, struct err *err);
void tokens_close(struct table_db *db);
/* Drop the rows whose life has ended. */
enum status tokens_forget(struct table_db *db, struct err *err);
/* Locked before any partition and until the batch is applied: of two calls with one token the second finds the row. */
void token_lock(struct table_db *db, struct table_token *token);
void token_unlock(struct table_token *token);
/* Sets token->repeated. `key` is work space. */
enum status token_find(struct table_db *db, struct table_token *token, size_t count, unsigned flags, struct buf *key,
		       struct arena *a, struct err *err);
/* The row of decided writes. */
void token_put(struct table_db *db, const struct table_token *token, const struct table_write *writes, size_t count,
	       struct engine_batch *batch, struct buf *key, struct buf *value);
/* recent.h, for all tokens of the lock. */
_Atomic uint64_t *token_slot(const struct table_token *token);

/* ---- split.c ---- */

/*
 * Partitions and shards change in memory when their batch is applied, so writes that follow rely on a batch that may
 * not be durable. They lie behind it in the log, which is enough, unless a failed sync takes the batch back: then no
 * write may go through before the rows are written again. So with a table's record: a crash could find it as it was
 * refused. Begin: under all partition locks, with the batch applied, or before it is. End: with what became of its
 * sync; a failed one has the rows written again (JOB_REWRITE). The caller holds db->control.
 */
#define MSG_DOUBT "the table is written again to the disk after a failure"
void core_doubt_begin(struct table_core *core);
enum status core_doubt_end(struct table_core *core, enum status synced);
void core_doubt_over(struct table_core *core);

static inline bool
core_is_doubtful(struct table_core *core)
{
	uint64_t doubt = atomic_load_explicit(&core->doubt, memory_order_relaxed);

	return doubt != 0 && doubt != engine_reopened(core->db->engine) + 1;
}

/* ---- backfill.c ---- */

/* One step of filling an index (NULL: the rows of TTL); *ret_done when the last item has been looked at. */
enum status backfill_step(struct table *t, const struct table_index *x, bool *ret_done, struct err *err);

/* ---- counts.c ---- */

struct delta {
	int64_t items;
	int64_t bytes;
};
/*
 * A write that changes counts, under the partition's lock and with a batch cleared before: begin, put the row, apply,
 * end. A failed sync took writes away that are counted in memory; the row tells what is left. It is read again by every
 * write until one has gone through, because only then is it certain that the engine was back when it was read.
 */
enum status counts_begin(const struct table *t, struct partition *partition, unsigned flags, uint64_t *ret_failures,
			 struct err *err);
/* The row after `table` and `indexes` (one a t->indexes; NULL: none) are added. */
void counts_put_row(const struct table *t, const struct partition *partition, struct delta table,
		    const struct delta *indexes, struct engine_batch *batch, struct buf *scratch);
void counts_end(const struct table *t, struct partition *partition, uint64_t failures, struct delta table,
		const struct delta *indexes);
/* Set the counts in memory from the stored row. The caller holds the partition's lock (or is alone). */
enum status counts_load(const struct table *t, struct partition *partition, unsigned flags, struct err *err);

/* ---- index.c ---- */

/* What a write does to one index. Keys lie in `keys` (offsets, because it moves). */
struct index_change {
	const struct table_index *index;
	bool had, has; /* was and is the item in the index */
	bool same_key;
	bool changed;                /* what the index projects: that costs */
	bool row_changed;            /* what its row holds: that is written. Rows of vector indexes hold less */
	struct slice new_value;      /* the row's bytes */
	uint64_t old_size, new_size; /* of what is projected, by the size rule */
	uint64_t old_hash, new_hash;
	size_t old_key_at, old_key_len, new_key_at, new_key_len;
};
/*
 * Compare an item before and after (AV_NONE: none) for one index. S_VALIDATION when the new item's index key has a
 * wrong type or length; what was already so in the old item and an update does not touch is just not indexed.
 */
enum status index_compare(const struct table *t, const struct table_index *x, struct av old_item, struct av new_item,
			  enum key_cause cause, struct buf *keys, struct arena *a, struct index_change *ret,
			  struct err *err);
/* The same for a vector index (vector.c). */
enum status vector_compare(const struct table *t, const struct table_index *x, struct av old_item, struct av new_item,
			   enum key_cause cause, struct buf *keys, struct arena *a, struct index_change *ret,
			   struct err *err);
/* Can the vector index hold this item? What it has of the index's attributes must fit; what is missing is no error. */
enum status vector_check_item(const struct table_index *x, struct av item, struct err *err);
/* What a write of the item is billed by: `size` with each vector that an index reads at four bytes a dimension. */
uint64_t vector_billed_size(const struct table *t, struct av item, uint64_t size);
/* Append the index's row key to keys. */
void index_put_key(const struct table *t, const struct table_index *x, struct av item, struct buf *keys, size_t *ret_at,
		   size_t *ret_len, uint64_t *ret_hash);
/* The item as the index holds it. */
struct av index_project(const struct table_index *x, struct av item, struct arena *a);

/* Is anything counted anywhere? */
static inline bool
insights_counting(const struct table_db *db)
{
	return atomic_load_explicit(&db->insights_counting, memory_order_relaxed) > 0;
}

static inline struct slice
buf_part(const struct buf *b, size_t at, size_t len)
{
	return (struct slice){b->data + at, len};
}

static inline const struct layout *
layout_of(struct table_core *core)
{
	return atomic_load_explicit(&core->layout, memory_order_acquire);
}

static inline struct partition *
layout_find(const struct layout *l, uint64_t hash)
{
	uint32_t low = 0, high = l->count;

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (l->ranges[middle].first <= hash)
			low = middle;
		else
			high = middle;
	}
	return l->ranges[low].partition;
}

static inline struct partition *
partition_of(struct table_core *core, uint64_t hash)
{
	return layout_find(layout_of(core), hash);
}

/* What the item cache's entries of a table are stamped with: they end with a reopening of the engine, and with a
 * layout, because the slot that guarded a value may not be the one that its next writer marks. */
static inline uint64_t
item_stamp(const struct table_db *db, const struct layout *l)
{
	return engine_reopened(db->engine) << 16 | l->count;
}

static inline struct index_part *
index_part_of(struct index_core *x, uint32_t partition)
{
	return atomic_load_explicit(&x->parts, memory_order_acquire)->at[partition];
}

static inline struct slice
av_slice(struct av v)
{
	return (struct slice){(const char *)v.data, v.len};
}

/* A stored item or index row: the value itself. Its first byte, TAG_M, also tells the format; others are left for later
 * ones. */
static inline struct av
av_stored(struct slice bytes)
{
	return (struct av){(const uint8_t *)bytes.data, (uint32_t)bytes.len};
}

#endif
