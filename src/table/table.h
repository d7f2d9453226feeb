/*
 * Tables: the catalog, the write path and the read path. Everything that reads or changes items comes through here,
 * whatever front or feature it serves.
 *
 * One write, one way in: table_commit(). Single writes, batches, transactions (transact.h) and TTL deletes are lists of
 * struct table_write. It locks the partitions involved in order, reads the old items, tests the conditions, puts items,
 * index rows (and later change records) into one engine batch, applies it, unlocks. A lock is held for microseconds and
 * never across I/O: what would touch the disk makes the call return S_WOULD_BLOCK (unless io->may_block, in which case
 * it is read before the lock is taken and verified under it).
 *
 * Every result names a place in the engine's order (io->wait_seq) up to which it must be durable before it may be told
 * to anyone: of the write itself, or of the newest write that a read may have seen.
 */
#ifndef STATOR_TABLE_TABLE_H
#define STATOR_TABLE_TABLE_H

#include "engine/engine.h"
#include "expr/expr.h"
#include "model/schema.h"

#include <stdatomic.h>

#define TABLES_MAX 2500
#define GSI_MAX    20
#define LSI_MAX    5
#define VECTOR_MAX 5 /* vector indexes of a table */
#define TAGS_MAX   50
/* Capacity units of each kind that may be provisioned; DescribeLimits tells them. */
#define QUOTA_TABLE_UNITS   40000 /* a table, and a global index */
#define QUOTA_ACCOUNT_UNITS 80000 /* all of a region */
#define TAG_KEY_MAX         128   /* characters */
#define TAG_VALUE_MAX       256
#define COLLECTION_MAX      (10ULL * 1024 * 1024 * 1024)
#define PAGE_BYTES_MAX      (1024 * 1024)
#define INLINE_BYTES_MAX    (128 * 1024) /* a page larger than this is read where blocking is allowed */

struct table_db; /* all tables of one region */
struct table;    /* one table, counted; see table_find */

/* What a call may do and what it found. */
struct table_io {
	struct arena *arena; /* results live here */
	bool may_block;      /* false on network threads */
	uint64_t wait_seq;   /* out: raised to what must be durable before the answer goes out */
};

/* ---- the catalog ---- */

enum table_status { TABLE_CREATING, TABLE_UPDATING, TABLE_DELETING, TABLE_ACTIVE };
enum index_status { INDEX_CREATING, INDEX_UPDATING, INDEX_DELETING, INDEX_ACTIVE };
enum projection_type { PROJECT_KEYS_ONLY, PROJECT_INCLUDE, PROJECT_ALL };
enum billing_mode { BILLING_PROVISIONED, BILLING_ON_DEMAND };
enum table_class { CLASS_STANDARD, CLASS_INFREQUENT_ACCESS };
/* What a stream shows of the items (stream.h). On the disk: append only. */
enum stream_view {
	STREAM_NONE,
	STREAM_NEW_IMAGE,
	STREAM_OLD_IMAGE,
	STREAM_NEW_AND_OLD_IMAGES,
	STREAM_KEYS_ONLY,
};

/* What the service warms a table on demand for when nobody asks for more: units a second. */
#define WARM_READS_INITIAL  12000
#define WARM_WRITES_INITIAL 4000

/* In a table_spec and a table_update 0 means: not given (an update leaves it as it is). */
struct table_throughput {
	int64_t read_units; /* provisioned; 0 on demand */
	int64_t write_units;
	int64_t max_read_units; /* on-demand maxima; -1: none */
	int64_t max_write_units;
	int64_t warm_read_units; /* kept warm, see table_warm_units(); -1: nothing asked (in an update: too little) */
	int64_t warm_write_units;
	int64_t last_increase_ms, last_decrease_ms, decreases_today; /* describe only; ms of the epoch, 0: never */
};

/* Warm throughput as it is told: what was asked for or provisioned once (-1: nothing), but not less than the units
 * provisioned (0: none, on demand) or the service's default. */
static inline int64_t
table_warm_units(int64_t kept, int64_t provisioned, int64_t initial)
{
	int64_t least = provisioned > 0 ? provisioned : initial;

	return kept > least ? kept : least;
}

/* What makes a vector index one (vector.h). */
enum vector_distance { VECTOR_COSINE, VECTOR_DOT_PRODUCT, VECTOR_EUCLIDEAN };
struct table_vector_element {
	struct key_attr attr;
	bool hash; /* else INLINE_FILTER */
};
struct table_vector_spec {
	struct slice attribute; /* a list of so many numbers: */
	uint32_t dimensions;
	enum vector_distance distance;
	struct table_vector_element *elements; /* SearchSchema, in the request's order; at most one hash */
	size_t element_count;
};

struct table_index_spec {
	struct slice name;
	bool global;                      /* also of vector indexes */
	struct table_vector_spec *vector; /* NULL: not a vector index. Its schema is then the hash element, or empty */
	struct key_schema schema;
	enum projection_type projection;
	struct slice *include; /* non-key attributes */
	size_t include_count;
	struct table_throughput throughput; /* global only */
};

struct table_tag {
	struct slice key, value;
};

/* What CreateTable asks for, already checked by api against the model's and DynamoDB's rules. */
struct table_spec {
	struct slice name;
	struct key_schema schema;
	struct key_attr *definitions; /* AttributeDefinitions, in the request's order */
	size_t definition_count;
	struct table_index_spec *indexes; /* local ones first */
	size_t index_count;
	enum billing_mode billing;
	struct table_throughput throughput;
	enum table_class class;
	bool deletion_protection;
	struct table_tag *tags;
	size_t tag_count;
	struct slice policy; /* create only: see table_policy_set(); data NULL: none */
	unsigned policy_flags;
	enum stream_view stream; /* create only */
};

/* What DescribeTable tells; a copy in the caller's arena, so it needs no lock. */
struct table_index_description {
	struct table_index_spec spec;
	enum index_status status;
	bool backfilling;
	bool added; /* CREATING by UpdateTable, not with the table */
	uint64_t item_count, size_bytes;
};
struct table_description {
	struct table_spec spec;                  /* without tags */
	struct table_index_description *indexes; /* spec.index_count of them */
	enum table_status status;
	int64_t created_ms;
	int64_t billing_changed_ms;      /* last switch to on demand, 0: never */
	int64_t class_changed_ms;        /* 0: never */
	uint64_t item_count, size_bytes; /* exact, by DynamoDB's size rule */
	char id[37];                     /* UUID text */
	uint32_t number;                 /* first part of row keys; unique for ever */
	struct slice stream_arn;         /* of the latest stream, as long as it is there; empty: none */
	struct slice stream_label;
	enum stream_view stream; /* STREAM_NONE: none is enabled */
};

struct table_update {
	bool set_billing, set_throughput, set_class, set_deletion_protection, set_definitions;
	enum billing_mode billing;
	struct table_throughput throughput;
	enum table_class class;
	bool deletion_protection;
	struct key_attr *definitions;
	size_t definition_count;
	/* at most one of create and delete; several throughput changes */
	struct table_index_spec *create_index; /* NULL: none */
	struct slice delete_index;             /* empty: none */
	bool delete_vector;                    /* it is a vector index */
	struct {
		struct slice name;
		struct table_throughput throughput;
	} * index_throughput;
	size_t index_throughput_count;
	enum { STREAM_LEAVE, STREAM_ENABLE, STREAM_DISABLE } set_stream;
	enum stream_view stream; /* to enable */
};

struct table_db_options {
	const char *region;
	const char *account;           /* 12 digits for ARNs; "123456789012" */
	int control_delay_ms;          /* how long CREATING, UPDATING, DELETING last at least */
	int partitions;                /* of a new table */
	uint64_t item_cache_bytes;     /* bound of the cache of items by key; 0: none */
	bool throttling;               /* capacity is enforced */
	uint64_t collection_bytes_max; /* of an item collection with local indexes; 0: 10 GB */
	uint64_t page_cache_bytes;     /* bound of the cache of pages of queries; 0: none */
};
/* Reads the catalog and resumes what a crash cut short (half-deleted tables, half-built indexes). Borrows the engine.
 */
enum status table_db_open(struct engine *e, const struct table_db_options *options, struct table_db **ret,
			  struct err *err);
/* Stops background work; no call may be running. */
void table_db_close(struct table_db *db);
struct engine *table_db_engine(struct table_db *db);
const char *table_db_region(const struct table_db *db);
const char *table_db_account(const struct table_db *db); /* 12 digits */

/* Control plane. Each is durable when it returns S_OK (it may block: call with blocking allowed). name: 3-255, no ARN.
 */
enum status table_create(struct table_db *db, const struct table_spec *spec, struct arena *a,
			 struct table_description *ret, struct err *err);
enum status table_update(struct table_db *db, struct slice name, const struct table_update *update, struct arena *a,
			 struct table_description *ret, struct err *err);
enum status table_delete(struct table_db *db, struct slice name, struct arena *a, struct table_description *ret,
			 struct err *err);
/* What a failed sync took back is taken out of the counts that table_describe() tells; a load when there was none. Else
 * it reads the disk, or says S_WOULD_BLOCK. */
enum status table_recount(struct table_db *db, bool may_block, struct err *err);
/* Does not block. */
enum status table_describe(struct table_db *db, struct slice name, struct arena *a, struct table_description *ret,
			   struct err *err);
/* Names in byte order, after `start` (exclusive; may be empty), at most limit; *ret_more: others follow. */
void table_list(struct table_db *db, struct slice start, size_t limit, struct arena *a, struct slice **ret_names,
		size_t *ret_count, bool *ret_more);
enum status table_tag(struct table_db *db, struct slice name, const struct table_tag *tags, size_t count,
		      struct err *err);
enum status table_untag(struct table_db *db, struct slice name, const struct slice *keys, size_t count,
			struct err *err);
enum status table_tags(struct table_db *db, struct slice name, struct arena *a, struct table_tag **ret,
		       size_t *ret_count, struct err *err);

/*
 * Resource policies: a document for a table or a stream (stream.h), kept and given back as it is; it goes with what it
 * is of. What it means is its reader's: made once a document by table_policy_meaning(), dropped with the last user.
 */
struct table_policy {
	struct slice document;
	int64_t revision; /* RevisionId: when it was set, ms of the epoch; rises with each change */
	uint8_t flags;    /* the writer's own */
	/* private */
	atomic_uint refs;
	_Atomic(void *) meaning;
	void (*_Atomic drop_meaning)(void *meaning);
	char bytes[];
};
/* Does any table have one? A load. Streams are not counted. */
bool table_db_has_policies(const struct table_db *db);
/* Counted until table_policy_release(); NULL when the table has none or is not there. Does not block. */
struct table_policy *table_policy_find(struct table_db *db, struct slice table_name);
void table_policy_release(struct table_policy *p); /* NULL is fine */
/* make() may return NULL: asked again next time. Every caller passes the same two functions. */
void *table_policy_meaning(struct table_policy *p, void *(*make)(struct slice document), void (*drop)(void *meaning));

struct table_policy_change {
	struct slice document; /* data NULL: delete it */
	unsigned flags;
	struct slice expected; /* ExpectedRevisionId; data NULL: any; "NO_POLICY" */
};
/* Durable when it returns S_OK (it may block). *ret_revision: of the new document, or of the deleted one, 0 when there
 * was none. The same document with the same flags changes nothing. S_POLICY_NOT_FOUND: another revision than expected.
 */
enum status table_policy_set(struct table_db *db, struct slice table_name, const struct table_policy_change *change,
			     int64_t *ret_revision, struct err *err);

/* "arn:aws:dynamodb:REGION:ACCOUNT:table/NAME" and with "/index/NAME"; in the arena. */
struct slice table_arn(struct table_db *db, struct slice table_name, struct slice index_name, struct arena *a);

/*
 * The table of that name, usable for data (ACTIVE or UPDATING), counted until table_release(). S_RESOURCE_NOT_FOUND
 * "Requested resource not found" also while it is CREATING or DELETING, as DynamoDB does for data operations. Any
 * thread, no lock shared with writers of other tables. What schema and indexes tell stays valid while held, except that
 * an index may be dropped: calls that name it then fail as for a missing index.
 */
enum status table_find(struct table_db *db, struct slice name, struct table **ret, struct err *err);
void table_release(struct table *t); /* NULL is fine */
struct slice table_name(const struct table *t);
const struct key_schema *table_schema(const struct table *t);
struct table_index; /* valid while the table is held */
const struct table_index *table_index_find(const struct table *t,
					   struct slice name); /* NULL when there is none that can be read */
/* The same, with DynamoDB's words (S_VALIDATION) for a missing index, for one that is still being filled, and for a
 * vector index, which neither Scan nor PartiQL reads (Query has words of its own: see table_vector_index_find()). */
enum status table_index_for_read(const struct table *t, struct slice name, const struct table_index **ret,
				 struct err *err);
size_t table_index_count(const struct table *t);
const struct table_index *table_index_at(const struct table *t, size_t i);
const struct key_schema *table_index_schema(const struct table_index *x);
const struct table_index_spec *table_index_spec(const struct table_index *x);
bool table_has_local_indexes(const struct table *t);

/* ---- writing ---- */

enum write_kind { WRITE_PUT, WRITE_UPDATE, WRITE_DELETE, WRITE_CHECK };
/* Who wants it; the change record tells. On the disk: append only. */
enum change_cause { CAUSE_CLIENT, CAUSE_TTL, CAUSE_REPLICATION };

/* Consumed units of one request on one table or index, in half units so that sums are exact. */
struct table_units {
	const struct table_index *index; /* NULL: the table itself */
	uint32_t half_read, half_write;
	uint64_t vector_write; /* bytes; of vector indexes, which cost no units */
};

struct table_write {
	/* in */
	enum write_kind kind;
	struct table *table;
	struct av key;                /* map of key attributes, already key_check()ed; unused by PUT */
	struct av item;               /* PUT: the new item, already key_check_item()ed */
	const struct expr *condition; /* NULL: none */
	const struct expr *update;    /* UPDATE */
	enum change_cause cause;
	int64_t expires_ms; /* not 0: a DELETE by TTL (ttl.h); does nothing unless that is when the item is due. Free */
	struct slice origin; /* of a replicated write: the region where it was made; at most 255 bytes */
	/* out, also when the condition failed */
	enum status status;                 /* of this write: S_OK, S_COND_FAILED, S_VALIDATION ... */
	struct slice message;               /* of a status that is not S_OK */
	struct av old_item;                 /* AV_NONE: there was none */
	struct av new_item;                 /* after PUT and UPDATE */
	struct av updated_old, updated_new; /* UPDATE */
	uint64_t change_seq;                /* of the record in the change log (change.h); 0: none was made */
	struct table_units *units;          /* table first, then the indexes that were written */
	size_t unit_count;
};

/*
 * All or nothing: when any write's own status is not S_OK nothing is applied, the first such status is returned, and
 * the writes tell theirs. Two writes must not name the same item (the caller checks). Items over 400 KB, key attributes
 * of indexes with wrong types, and update errors are S_VALIDATION. Batches of puts and deletes without conditions go
 * through here too. S_IO, S_NO_SPACE: engine trouble, nothing applied.
 */
enum status table_commit(struct table_write *writes, size_t count, struct table_io *io, struct err *err);

/* ---- reading ---- */

/* *ret is AV_NONE when there is no such item (S_OK). Always consistent: there is no staler copy to read. */
enum status table_get(struct table *t, struct av key, struct table_io *io, struct av *ret, struct err *err);

enum select_kind { SELECT_ALL, SELECT_PROJECTED, SELECT_SPECIFIC, SELECT_COUNT };

struct table_read {
	struct table *table;
	const struct table_index *index;  /* NULL: the table */
	const struct key_range *range;    /* Query; NULL: Scan */
	uint32_t segment, total_segments; /* Scan; 0, 1 when not parallel */
	bool backward;
	bool consistent;               /* for capacity only */
	struct av start_key;           /* ExclusiveStartKey, already checked; AV_NONE: from the beginning */
	uint32_t limit;                /* items evaluated; 0: none but 1 MB */
	const struct expr *filter;     /* NULL: none */
	const struct expr *projection; /* NULL: none */
	enum select_kind select;       /* SELECT_ALL on a local index fetches what is not projected from the table */
	/* Called with each item of the page, which is valid only that long: saves a copy. NULL: table_page has them. */
	void (*take)(void *context, struct av item);
	/*
	 * What take() has made of the page's items, when it is bytes that depend on nothing but the items, and all who
	 * set this make the same: such a page may be kept (pages.h), and then told again as table_page.text without one
	 * call of take(). NULL: it is not.
	 */
	struct slice (*text)(void *context);
	void *context;
};
/* A text as take() had made it, in a cache that it stays in until table_text_done(). */
struct table_text {
	struct lru_shard *shard;
	struct lru_entry *entry; /* NULL: there is none */
	uint32_t at, len;
	uint32_t crc, crc_shift; /* codec/gzip.h */
};
struct table_page {
	struct av *items; /* count of them; NULL for SELECT_COUNT, and when they were taken */
	uint32_t count, scanned;
	struct av last_key;             /* AV_NONE: the end was reached */
	struct table_units units;       /* of the table or index read */
	struct table_units table_units; /* half_read > 0 when a local index fetched from the table */
	struct table_text text;         /* instead of calls of take(); also after a failure: to be done with */
};
enum status table_read_page(const struct table_read *read, struct table_io *io, struct table_page *ret,
			    struct err *err);

void table_text_copy(const struct table_text *text, char *ret); /* len bytes */
/* Where it lies, until table_text_done(); 0: in more than `max` runs. */
size_t table_text_runs(const struct table_text *text, struct slice *ret, size_t max);
void table_text_done(struct table_text *text); /* none is fine */

/* Capacity rules. bytes as by item_size(). */
uint32_t capacity_half_reads(uint64_t bytes, bool consistent); /* 4 KB steps; at least one step */
uint32_t capacity_half_writes(uint64_t bytes);                 /* 1 KB steps; at least one */

/*
 * Throttling, when it is switched on (table_db_options). Writes are charged by table_commit(), which fails with
 * S_THROUGHPUT_EXCEEDED or S_THROTTLING (the same per write) and then has applied nothing. What reads cost their caller
 * knows: it charges after it has read and drops the answer when it fails. A call that charges and may then have to be
 * run again where blocking is allowed should be there from the start: table_db_charges().
 */
bool table_db_throttles(const struct table_db *db);
/* Is there a point in charging for reads: does it throttle, or count keys? */
bool table_db_charges(const struct table_db *db);
struct table_charge {
	struct table *table;
	const struct table_index *index; /* NULL: the table itself */
	uint64_t half_units;
	bool transaction; /* of TransactGetItems: may meet a conflict that was asked for */
	/* What was read, to be counted (insights.h): a map with the item's key, or a range; both may be missing */
	struct av key;
	const struct key_range *range;
};
/* All or none; all of one database. *ret_which (may be NULL): the first that was refused. */
enum status table_charge_reads(const struct table_charge *charges, size_t count, size_t *ret_which, struct err *err);
/* ThrottlingReasons of the last refusal on this thread, when err is it; valid until the next one. */
bool table_refusal(const struct err *err, struct slice *ret_reason, struct slice *ret_resource);

/*
 * Trouble on request, for test controls: the next `count` item reads or writes of a table (or of a global index, when
 * it is named) are refused for capacity; the next writes, and reads in transactions, of a table meet a transaction
 * (S_TRANSACTION_CONFLICT). It replaces what is left of an earlier request of the same kind.
 */
enum table_trouble { TROUBLE_READS_THROTTLED, TROUBLE_WRITES_THROTTLED, TROUBLE_CONFLICTS, TROUBLE_KINDS };
enum status table_trouble_set(struct table_db *db, struct slice table_name, struct slice index_name,
			      enum table_trouble kind, uint32_t count, struct err *err);
void table_trouble_end(struct table_db *db); /* of all tables */

/* Item collection size estimate of one partition key over table and local indexes, bytes. */
uint64_t table_collection_bytes(struct table *t, struct av key, struct table_io *io);

/* Prometheus lines: stator_tables, stator_table_items ... */
void table_db_write_metrics(struct table_db *db, struct buf *out);

#endif
