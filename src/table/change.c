/*
 * The change log's records: what a write adds, and the bytes.
 *
 * Key: table number (u32), partition (u32), sequence number (u64), all big-endian, in the engine's space LOG. A
 * partition's records are written under its lock, so they appear in their order.
 */
#include "base/clock.h"
#include "table/change_int.h"

#define RECORD_VERSION 1
#define RECORD_HEAD    11 /* version, flags, cause, time */

enum { /* flags; the two low bits are the kind */
       FLAG_KIND = 3,
       FLAG_OLD = 4,
       FLAG_NEW = 8,
       FLAG_ORIGIN = 16,
};

void
log_put_key(struct buf *out, uint32_t table_number, uint32_t partition, uint64_t seq)
{
	buf_put_be32(out, table_number);
	buf_put_be32(out, partition);
	buf_put_be64(out, seq);
}

/* ---- writing ---- */

static uint64_t
seq_after(uint64_t last, int64_t now_us)
{
	return now_us > 0 && (uint64_t)now_us > last ? (uint64_t)now_us : last + 1;
}

void
change_put(const struct table *t, const struct partition *p, struct table_write *w, struct change_draft *draft,
	   struct scratch *scratch, struct arena *a)
{
	bool had = av_exists(w->old_item), has = av_exists(w->new_item);
	enum change_kind kind = !had ? CHANGE_INSERT : has ? CHANGE_MODIFY : CHANGE_REMOVE;
	bool put_old = had && draft->wants & CHANGE_OLD_IMAGE, put_new = has && draft->wants & CHANGE_NEW_IMAGE;
	struct buf *out = &scratch->change;
	int64_t now_us = clock_wall_us();
	size_t key;

	draft->last = w->change_seq = seq_after(draft->last, now_us);
	out->len = 0;
	log_put_key(out, t->core->number, p->id, draft->last);
	key = out->len;
	buf_put_byte(out, RECORD_VERSION);
	buf_put_byte(out, (uint8_t)kind | (put_old ? FLAG_OLD : 0) | (put_new ? FLAG_NEW : 0) |
			      (w->origin.len > 0 ? FLAG_ORIGIN : 0));
	buf_put_byte(out, (uint8_t)w->cause);
	buf_put(out, &now_us, sizeof now_us); /* little endian, as all machines we build for */
	if (w->origin.len > 0) {
		buf_put_byte(out, (uint8_t)w->origin.len);
		buf_put_slice(out, w->origin);
	}
	av_put_value(out, key_of_item(&t->record.spec.schema, has ? w->new_item : w->old_item, a));
	if (put_old)
		av_put_value(out, w->old_item);
	if (put_new)
		av_put_value(out, w->new_item);
	engine_batch_put(scratch->batch, SPACE_LOG, buf_part(out, 0, key), buf_part(out, key, out->len - key));
	draft->count++;
	draft->bytes += out->len;
}

static void
add(_Atomic uint64_t *figure, uint64_t n)
{
	/* one writer at a time (the partition's lock): no need for an atomic addition */
	atomic_store_explicit(figure, atomic_load_explicit(figure, memory_order_relaxed) + n, memory_order_relaxed);
}

void
change_end(struct table_core *core, struct partition *p, const struct change_draft *draft, uint64_t seq)
{
	if (draft->count == 0)
		return;
	atomic_store_explicit(&p->log_last, draft->last, memory_order_release);
	add(&p->log_records, draft->count);
	add(&p->log_bytes, draft->bytes);
	if (draft->wants & LOG_WAKE) {
		uint64_t known = atomic_load_explicit(&core->log_news, memory_order_relaxed);

		while (known < seq && !atomic_compare_exchange_weak(&core->log_news, &known, seq))
			;
		if (engine_durable(core->db->engine) >= seq) /* nothing is synced here: nobody else would tell them */
			log_wake_readers(core->db);
	}
}

/* ---- reading ---- */

/* One value from the front of the bytes; its outermost length is checked, what is in it was made here. */
static bool
take_value(struct slice *bytes, struct av *ret)
{
	uint32_t span;

	if (bytes->len < AV_HEAD_BYTES || (uint8_t)bytes->data[0] != TAG_M)
		return false;
	span = av_raw_u32((const uint8_t *)bytes->data + 1);
	if (span > bytes->len - AV_HEAD_BYTES)
		return false;
	*ret = (struct av){(const uint8_t *)bytes->data, AV_HEAD_BYTES + span};
	*bytes = slice_of(bytes->data + ret->len, bytes->len - ret->len);
	return true;
}

enum status
change_decode(uint64_t seq, struct slice bytes, struct change *ret, struct err *err)
{
	uint8_t flags;

	*ret = (struct change){.seq = seq};
	if (bytes.len < RECORD_HEAD || bytes.data[0] != RECORD_VERSION)
		goto bad;
	flags = (uint8_t)bytes.data[1];
	ret->kind = (enum change_kind)(flags & FLAG_KIND);
	ret->cause = (enum change_cause)(uint8_t)bytes.data[2];
	memcpy(&ret->committed_us, bytes.data + 3, sizeof ret->committed_us);
	bytes = slice_of(bytes.data + RECORD_HEAD, bytes.len - RECORD_HEAD);
	if (ret->kind > CHANGE_REMOVE || ret->cause > CAUSE_REPLICATION)
		goto bad;
	if (flags & FLAG_ORIGIN) {
		size_t len = bytes.len > 0 ? (uint8_t)bytes.data[0] : 0;

		if (bytes.len < 1 + len)
			goto bad;
		ret->origin = slice_of(bytes.data + 1, len);
		bytes = slice_of(bytes.data + 1 + len, bytes.len - 1 - len);
	}
	if (!take_value(&bytes, &ret->keys) || (flags & FLAG_OLD && !take_value(&bytes, &ret->old_image)) ||
	    (flags & FLAG_NEW && !take_value(&bytes, &ret->new_image)) || bytes.len > 0)
		goto bad;
	return S_OK;
bad:
	return err_set(err, S_CORRUPT, "a change record is damaged");
}

static enum status
find(struct table_core *core, uint32_t partition, uint64_t from, uint64_t to, bool last, uint64_t *ret, struct err *err)
{
	struct buf low = {0}, high = {0};
	struct engine_iter *it;
	enum status s;

	*ret = 0;
	if (from > to)
		return S_OK;
	log_put_key(&low, core->number, partition, from);
	log_put_key(&high, core->number, partition, to);
	buf_put_byte(&high, 0); /* `to` is in it */
	it = engine_iter_new(core->db->engine, NULL, SPACE_LOG, buf_slice(&low), buf_slice(&high),
			     ENGINE_MAY_BLOCK | ENGINE_SCAN);
	if (last)
		engine_iter_last(it);
	else
		engine_iter_first(it);
	if (engine_iter_valid(it)) {
		*ret = log_key_seq(engine_iter_key(it));
		s = S_OK;
	} else {
		s = engine_iter_status(it, err);
	}
	engine_iter_free(it);
	buf_done(&low);
	buf_done(&high);
	return s;
}

enum status
log_find_first(struct table_core *core, uint32_t partition, uint64_t from, uint64_t to, uint64_t *ret, struct err *err)
{
	return find(core, partition, from, to, false, ret, err);
}

enum status
log_find_last(struct table_core *core, uint32_t partition, uint64_t from, uint64_t to, uint64_t *ret, struct err *err)
{
	return find(core, partition, from, to, true, ret, err);
}
