/*
 * Streams: the change log of a table as DynamoDB Streams tells it.
 *
 * A stream shows the log's records from the moment it was enabled to the moment it was disabled, each for
 * STREAM_RETENTION_MS. It is cut into shards: one open shard for each partition. A shard is closed and its children
 * opened when its partition is split, when it has grown old (STREAM_ROLL_MS), and when the stream is disabled (without
 * children). A record lies in the shard that was open when it was written; a closed shard whose records have all been
 * trimmed is forgotten. Streams and their shards are rows of the catalog and outlive their table by
 * STREAM_RETENTION_MS, as a disabled stream outlives its time; a new table of the same name gets a stream of its own.
 *
 * Sequence numbers on the wire are decimal: seq * 100000 + partition, at least 21 digits (the model's minimum, which
 * the time in µs reaches by itself since 2001). So they are unique in the table and rise within a partition.
 */
#ifndef STATOR_TABLE_STREAM_H
#define STATOR_TABLE_STREAM_H

#include "table/change.h"

#define STREAM_RETENTION_MS (24 * 60 * 60 * 1000LL)
#define STREAM_ROLL_MS      (4 * 60 * 60 * 1000LL)
#define SHARD_ID_BYTES      37 /* "shardId-", 20 digits (created, ms of the epoch), "-", 8 hexadecimal digits */
#define SEQUENCE_DIGITS_MIN 21
#define SEQUENCE_DIGITS_MAX 40
#define STREAM_SECRET_BYTES 32

enum stream_status { STREAM_ENABLING, STREAM_ENABLED, STREAM_DISABLING, STREAM_DISABLED };

/* Digits and a NUL. */
void stream_sequence(uint64_t seq, uint32_t partition, char ret[SEQUENCE_DIGITS_MAX + 1]);

struct stream_name {
	struct slice arn, label, table_name;
};
/* In the order of their ARNs: of one table, or of all (table_name empty); behind `start` (exclusive, may be empty). */
void stream_list(struct table_db *db, struct slice table_name, struct slice start, size_t limit, struct arena *a,
		 struct stream_name **ret, size_t *ret_count, bool *ret_more);

struct stream_shard {
	struct slice id, parent; /* parent empty: none */
	uint32_t partition;
	uint64_t first, last; /* last 0: open */
};
struct stream_description {
	struct stream_name name;
	enum stream_status status;
	enum stream_view view;
	int64_t created_ms;
	struct key_schema schema;
	struct stream_shard *shards; /* by id */
	size_t shard_count;
	bool more;
};
/* Shards behind `start` (exclusive, may be empty); children_of: only those whose parent that is, when it is not empty.
 * S_RESOURCE_NOT_FOUND. */
enum status stream_describe(struct table_db *db, struct slice arn, struct slice start, struct slice children_of,
			    size_t limit, struct table_io *io, struct stream_description *ret, struct err *err);

/* ---- policies ---- */

/* Does any stream have one? A load. */
bool stream_db_has_policies(const struct table_db *db);
/* As those of tables (table.h), by the stream's ARN. */
struct table_policy *stream_policy_find(struct table_db *db, struct slice arn);
/* S_RESOURCE_NOT_FOUND: with no words but the ARN's. */
enum status stream_policy_set(struct table_db *db, struct slice arn, const struct table_policy_change *change,
			      int64_t *ret_revision, struct err *err);

/* ---- positions ---- */

enum stream_start { START_TRIM_HORIZON, START_LATEST, START_AT_SEQUENCE, START_AFTER_SEQUENCE };
/* The sequence number of the first record to be read. `sequence` for the latter two. S_RESOURCE_NOT_FOUND,
 * S_TRIMMED_DATA, S_VALIDATION: the number is not of this shard. */
enum status stream_find(struct table_db *db, struct slice arn, struct slice shard_id, enum stream_start start,
			struct slice sequence, struct table_io *io, uint64_t *ret_seq, struct err *err);

/* What every record of a page has alike. */
struct stream_page {
	enum stream_view view;
	uint32_t partition;
	uint64_t event_high, event_low; /* stream_event_id() */
	/* out */
	uint64_t next_seq;
	bool ended; /* the shard is closed and has been read to its end */
	bool more;  /* a limit was reached */
};
/*
 * Up to `limit` records from seq on, ending with the one that reaches `bytes`; each() gets them one by one, valid
 * during the call. `page` is filled before the first. S_RESOURCE_NOT_FOUND, S_TRIMMED_DATA, S_WOULD_BLOCK.
 */
enum status stream_read(struct table_db *db, struct slice arn, struct slice shard_id, uint64_t seq, uint32_t limit,
			size_t bytes, struct table_io *io,
			void (*each)(void *context, const struct stream_page *page, const struct change *change),
			void *context, struct stream_page *page, struct err *err);
/*
 * With --throttling, as for the service: DescribeStream ten times a second and stream, GetRecords five times and 2 MB a
 * second and shard. S_THROTTLING. What is not there is not told here. A read that was let in is charged when it has
 * been done, since it may have to be begun twice.
 */
enum status stream_look_describe(struct table_db *db, struct slice arn, struct err *err);
enum status stream_look_read(struct table_db *db, struct slice arn, struct slice shard_id, struct err *err);
void stream_charge_read(struct table_db *db, struct slice arn, struct slice shard_id, uint64_t bytes);
/* 32 hexadecimal digits, no NUL; no other record of any table has them. */
void stream_event_id(const struct stream_page *page, uint64_t seq, char ret[32]);
/* STREAM_SECRET_BYTES; made with the database, the same after every start: for telling iterators of this server from
 * others. */
const uint8_t *stream_secret(const struct table_db *db);

#endif
