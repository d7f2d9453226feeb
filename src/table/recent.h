/*
 * Recent writes: up to which place must the log be durable before a value just read may be told?
 *
 * The promise: a read never returns what a crash could still take away. The engine makes a batch visible before it is
 * durable, so a reader has to find out the place of the newest write it may have seen. Keeping that for each key would
 * be a second database; instead the places are kept in slots, picked by the partition key's hash. A slot holds the
 * place of the newest write to any key that falls into it, so it may only name a later place than needed, never an
 * earlier one.
 *
 * Every slot belongs to one partition of one table and is written only under that partition's lock, by one writer at a
 * time. Global indexes have slots too, but as their rows are written from all partitions they have an array in each of
 * them, and a reader of the index looks at its slot in every partition. Rows of local indexes have the hash of
 * their items, so they share the table's slots.
 *
 * Writer, under the lock:   slot := BUSY;  engine_apply() -> seq;  slot := seq   (on failure: slot := what it was)
 * Reader, without a lock:   read the data;  load the slot
 *
 * Why it holds. Say the reader has seen batch W. W's BUSY was stored before W became visible, and the reader loads the
 * slot after it has seen W, so it finds W's BUSY or something stored later. Places rise under the lock, so any later
 * value that is not BUSY is W's place or a higher one (a failed later batch puts back a value that was itself stored
 * after W's BUSY). On BUSY the reader waits for a value: it spins shortly and then takes the lock, under which no slot
 * is BUSY. It needs no second look at the data: the value then found covers all that it saw. If it has not seen W, any
 * value is right.
 *
 * After a failed sync the engine comes back without what was lost, and slots may still name lost places. A reader takes
 * engine_durable() BEFORE it reads: a place up to that value is durable or was lost and is already gone from what
 * is read (engine_durable() passes a lost place only when reads no longer show it), so nothing needs to be waited for.
 *
 * When a partition is split, with all locks held, its slots are copied to the new one. A reader takes the layout after
 * it has read the data: it finds the slot of whoever wrote what it saw, or the copy made since.
 */
#ifndef STATOR_TABLE_RECENT_H
#define STATOR_TABLE_RECENT_H

#include "table/table_int.h"

uint64_t recent_wait_for(_Atomic uint64_t *slot, struct partition *p);

static inline uint64_t
recent_load(_Atomic uint64_t *slot, struct partition *p)
{
	uint64_t seq = atomic_load_explicit(slot, memory_order_acquire);

	return seq != RECENT_BUSY ? seq : recent_wait_for(slot, p);
}

/* The partition's number comes from the hash's high bits, the slot's from the low ones. */
static inline _Atomic uint64_t *
recent_slot(struct partition *p, uint64_t hash)
{
	return &p->recent[hash % RECENT_SLOTS];
}

static inline _Atomic uint64_t *
recent_index_slot(struct index_core *x, uint32_t partition, uint64_t hash)
{
	return &index_part_of(x, partition)->recent[hash % RECENT_INDEX_SLOTS];
}

static inline void
recent_raise(uint64_t *wait_seq, uint64_t seq, uint64_t durable_before)
{
	if (seq > durable_before && seq > *wait_seq)
		*wait_seq = seq;
}

/* For a reader of one item collection of the table or a local index; of a global index; of hashes first ... last. */
void recent_read_collection(struct table_core *core, uint64_t hash, uint64_t durable_before, uint64_t *wait_seq);
void recent_read_index(struct table_core *core, struct index_core *x, uint64_t hash, uint64_t durable_before,
		       uint64_t *wait_seq);
void recent_read_range(struct table_core *core, uint64_t first, uint64_t last, uint64_t durable_before,
		       uint64_t *wait_seq);

#endif
