/*
 * The change log: what happened to items, in order.
 *
 * A write puts its change record into the same engine batch as the item, so the record exists exactly when the write
 * does. Streams, triggers, replication and point-in-time recovery only read this log; none of them hooks the write
 * path. Each partition of a table has a log of its own; its sequence numbers rise: seq = the commit's time in µs, or
 * the last one plus 1 when the clock has not moved on (or has stepped back). Between partitions there is no order.
 *
 * A table keeps records while a reader needs them (stream.h is one kind, struct change_reader the other) and writes
 * none when it has no reader: that costs a write a load and a branch. A write that leaves the item as it was makes no
 * record. What a record holds of the item follows from what the readers of the moment want.
 *
 * As with all reads, what is found may be so new that a crash could still take it away: io->wait_seq tells up to where
 * the engine must be durable before a record may be acted upon. docs/formats/log.md has the bytes.
 */
#ifndef STATOR_TABLE_CHANGE_H
#define STATOR_TABLE_CHANGE_H

#include "table/table.h"

enum change_kind { CHANGE_INSERT, CHANGE_MODIFY, CHANGE_REMOVE };

/* What of the item a reader wants beside its keys. */
#define CHANGE_NEW_IMAGE 1u
#define CHANGE_OLD_IMAGE 2u

struct change {
	uint64_t seq;
	int64_t committed_us; /* wall clock of the commit; seq rises even when this does not */
	enum change_kind kind;
	enum change_cause cause;
	struct slice origin; /* region where the write was made; empty: this one */
	struct av keys;
	struct av old_image; /* AV_NONE: there was no item, or no reader wanted it */
	struct av new_image; /* AV_NONE: likewise */
};

/* One record's bytes; the change points into them. S_CORRUPT: not what this program writes. */
enum status change_decode(uint64_t seq, struct slice bytes, struct change *ret, struct err *err);

/*
 * ---- readers with a position of their own ----
 *
 * A reader is a name in a table. It reads the partitions one by one (change_reader_lanes()), each from its own
 * position, and acknowledges what it is done with. What a partition held before it was split is read in the parent: the
 * child has nothing to read before the parent's part has been acknowledged, so the changes of one item are always read
 * in order. Records are kept for it until they are acknowledged, but no longer than its retention. The table's end does
 * not end a reader: it may read what is there.
 *
 * Calls for one reader come from one thread at a time.
 */
#define CHANGE_READER_NAME_MAX 128

struct change_reader;

struct change_reader_options {
	struct slice name;    /* unique in its table; what kind of reader it is in front: "trigger/..." */
	unsigned images;      /* CHANGE_NEW_IMAGE | CHANGE_OLD_IMAGE */
	int64_t retention_ms; /* records older than that go, acknowledged or not */
	bool in_memory;       /* nothing durable: it ends with change_reader_close(), or with the process */
	/* Called when records may have become readable, from the thread that syncs the log, or by the writer itself
	 * where writes are durable at once, under its locks: short, only to post or signal, and not to call this room.
	 * May be NULL. */
	void (*wake)(void *context);
	void *context;
};

/*
 * Open a reader of a table: from the next write on; or, when a durable one of that name was there before, from where it
 * stood. Durable on return, may block. One at a time of each name: S_RESOURCE_IN_USE.
 */
enum status change_reader_open(struct table_db *db, struct slice table_name,
			       const struct change_reader_options *options, struct change_reader **ret,
			       struct err *err);
/* Stop reading and free; a durable position stays and records are kept for it on. wake() is not called any more. */
void change_reader_close(struct change_reader *r); /* NULL is fine */
/* Close and give the position up for ever. Durable on return, may block. When it fails the reader is closed, its
 * position stays. */
enum status change_reader_detach(struct change_reader *r, struct err *err);
/* Partitions that now have something to read, at most `max` of them; 0: none. What a partition has may turn out to be
 * nothing when it is read. */
uint32_t change_reader_lanes(struct change_reader *r, uint32_t *ret, uint32_t max);

struct change_batch {
	struct change *changes; /* count of them, in the order in which they happened */
	uint32_t count;
	bool trimmed; /* the reader lagged behind its retention: records before these are gone */
	bool more;
};
/*
 * The next records of a partition, behind the last one read: at most `limit` of them, ending with the one that reaches
 * `bytes`. In io->arena. Once the engine is durable up to io->wait_seq they may be acted upon.
 */
enum status change_reader_read(struct change_reader *r, uint32_t partition, uint32_t limit, size_t bytes,
			       struct table_io *io, struct change_batch *ret, struct err *err);
/* Read again from behind the last acknowledged record. */
void change_reader_rewind(struct change_reader *r, uint32_t partition);
/* All up to seq is done with. Durable when the engine is up to *ret_seq (may be NULL); a crash before that reads some
 * records again. */
enum status change_reader_ack(struct change_reader *r, uint32_t partition, uint64_t seq, uint64_t *ret_seq,
			      struct err *err);

/*
 * ---- maintenance ----
 *
 * Once every few seconds the table's background thread trims, rolls and expires shards, and splits partitions. The test
 * controls can ask for it at once. Durable on return; may block.
 */
/* Everything that is due by the clock of now. */
enum status change_maintain(struct table_db *db, struct err *err);
/* Close the table's open stream shards that have records and open a child of each. */
enum status change_roll(struct table_db *db, struct slice table_name, struct err *err);
/* Split one partition of the table, or (UINT32_MAX) the one that has been written most. S_LIMIT_EXCEEDED: there are
 * PARTITIONS_MAX, or the partition is one hash wide. */
enum status table_split(struct table_db *db, struct slice table_name, uint32_t partition, struct err *err);

/* stator_log_...: of the region. */
void change_write_metrics(struct table_db *db, struct buf *out);

#endif
