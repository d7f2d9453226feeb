/*
 * Transactions: several writes, or several reads, at one moment.
 *
 * Writes are one commit (commit.c): the partitions of all items are locked in order, every condition is tested on what
 * is there, and one engine batch holds all that changes. So a transaction happens at one point in the order of all
 * writes, between two others, and a single write is nothing but a short one. Reads are taken from one snapshot of the
 * engine: a batch is in it whole or not at all. Together that is strict serializability among transactions and reads
 * and writes of single items. It runs until it is durable: a client's write that meets one of its items before then is
 * refused with S_TRANSACTION_CONFLICT, as the service does; see commit.c.
 *
 * A client's token makes a transaction of writes happen once: a row with the token and a hash of the request is in the
 * same batch, hence durable exactly when the transaction is. A call with a token that is there changes nothing. Rows
 * are kept by spans of ten minutes, so that looking is two point reads and forgetting is one range: a row's life has
 * ended when the span after its own has. Tokens of transactions that failed are not kept: nothing happened.
 * docs/TRANSACTIONS.md
 */
#ifndef STATOR_TABLE_TRANSACT_H
#define STATOR_TABLE_TRANSACT_H

#include "base/crypto.h"
#include "table/table.h"

#define TOKEN_LIFE_MS      (10 * 60 * 1000LL)
#define TOKEN_BYTES_MAX    (4 * 36) /* 36 characters */
#define TRANSACT_ITEMS_MAX 100
#define TRANSACT_BYTES_MAX (4 * 1024 * 1024)

struct token_lock;

struct table_token {
	/* in */
	struct slice text;             /* 1 ... TOKEN_BYTES_MAX bytes */
	uint8_t request[SHA256_BYTES]; /* of all that makes the request what it is */
	/* out */
	bool repeated; /* done before: nothing was changed and the writes tell nothing */
	const uint8_t
	    *read_steps; /* then, one a write: the larger image of the first time in steps of 4 KB, at least 1 */
	/* private */
	struct token_lock *lock;
};

/*
 * As table_commit(), and with a token (NULL: none) at most once in TOKEN_LIFE_MS. S_IDEMPOTENT_MISMATCH: the token was
 * used for another request. At most TRANSACT_ITEMS_MAX writes when there is a token.
 */
enum status table_transact_write(struct table_write *writes, size_t count, struct table_token *token,
				 struct table_io *io, struct err *err);

struct table_get_item {
	struct table *table;
	struct av key;  /* already key_check()ed */
	struct av item; /* out; AV_NONE: there is none */
};
/* All items as they are at one moment. */
enum status table_transact_get(struct table_get_item *gets, size_t count, struct table_io *io, struct err *err);

#endif
