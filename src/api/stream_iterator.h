/*
 * Shard iterators: where a reader stands, as an opaque string that only this server can have made.
 *
 *     ARN of the stream "|1|" base64(position, first 16 bytes of HMAC-SHA256(secret, ARN position))
 *
 * Nothing is kept for one that was given out. It ends STREAM_ITERATOR_LIFE_MS after it was made.
 */
#ifndef STATOR_API_STREAM_ITERATOR_H
#define STATOR_API_STREAM_ITERATOR_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"

#define STREAM_ITERATOR_LIFE_MS   (15 * 60 * 1000LL)
#define STREAM_ITERATOR_BYTES_MAX 2048

struct stream_iterator {
	struct slice arn;
	struct slice shard_id; /* "shardId-..." as table/stream.h makes them */
	uint64_t seq;          /* the next record's number is at least that */
	int64_t made_ms;       /* stream_iterator_now_ms() */
	bool more;             /* the page before ended at a limit: the next one may be a large one, too */
};

/* The time that iterators live by: the clock's, and what test controls have let them age. */
int64_t stream_iterator_now_ms(void);
void stream_iterators_age(int64_t by_ms);
bool stream_iterator_expired(const struct stream_iterator *it, int64_t now_ms);

/* secret: 32 bytes. */
void stream_iterator_put(struct buf *out, const struct stream_iterator *it, const uint8_t *secret);
/* S_VALIDATION: not made here. The ARN lies in the text, the shard id in the arena. Says nothing about its age. */
enum status stream_iterator_parse(struct slice text, const uint8_t *secret, struct arena *a,
				  struct stream_iterator *ret, struct err *err);

#endif
