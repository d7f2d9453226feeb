/* What the log costs, by region; not by table, of which there may be thousands. */
#include "table/change_int.h"

#include "base/clock.h"

struct figures {
	uint64_t records, bytes, oldest, streams, open_shards, closed_shards, readers;
};

static void
add_core(struct table_core *core, struct figures *f)
{
	const struct layout *l = layout_of(core);

	for (uint32_t i = 0; i < l->count; i++) {
		uint64_t oldest = atomic_load(&l->by_id[i]->log_oldest);

		f->records += atomic_load_explicit(&l->by_id[i]->log_records, memory_order_relaxed);
		f->bytes += atomic_load_explicit(&l->by_id[i]->log_bytes, memory_order_relaxed);
		if (oldest != 0 && (f->oldest == 0 || oldest < f->oldest))
			f->oldest = oldest;
	}
}

void
change_count_gone(struct table_core *core)
{
	struct streams *all = core->db->streams;
	struct figures f = {0};

	add_core(core, &f);
	atomic_fetch_add(&all->gone_records, f.records);
	atomic_fetch_add(&all->gone_bytes, f.bytes);
}

static void
put(struct table_db *db, struct buf *out, const char *name, const char *type, const char *help, uint64_t value)
{
	buf_printf(out, "# HELP stator_%s %s\n# TYPE stator_%s %s\nstator_%s{region=\"%s\"} %llu\n", name, help, name,
		   type, name, db->region, (unsigned long long)value);
}

void
change_write_metrics(struct table_db *db, struct buf *out)
{
	struct streams *all = db->streams;
	struct figures f = {0};
	int64_t now_us = clock_wall_us();

	pthread_mutex_lock(&db->list_lock);
	for (size_t i = 0; i < db->list_count; i++)
		add_core(db->list[i], &f);
	pthread_mutex_unlock(&db->list_lock);
	pthread_mutex_lock(&all->lock);
	f.streams = all->count;
	for (size_t i = 0; i < all->count; i++)
		for (size_t n = 0; n < all->by_arn[i]->shard_count; n++)
			*(all->by_arn[i]->shards[n]->last == 0 ? &f.open_shards : &f.closed_shards) += 1;
	for (const struct change_reader *r = all->readers; r != NULL; r = r->next)
		f.readers++;
	pthread_mutex_unlock(&all->lock);
	put(db, out, "log_records_total", "counter", "Change records written.",
	    f.records + atomic_load(&all->gone_records));
	put(db, out, "log_bytes_total", "counter", "Bytes of change records written.",
	    f.bytes + atomic_load(&all->gone_bytes));
	put(db, out, "log_trimmed_bytes_total", "counter", "Bytes of change records dropped, as the disk held them.",
	    atomic_load(&all->trimmed_bytes));
	put(db, out, "log_held_bytes", "gauge", "Bytes of change records on the disk, about.",
	    engine_approximate_bytes(db->engine, SPACE_LOG, slice_of("", 1), SLICE_NONE));
	put(db, out, "log_oldest_record_seconds", "gauge", "Age of the oldest change record.",
	    f.oldest != 0 && (uint64_t)now_us > f.oldest ? ((uint64_t)now_us - f.oldest) / 1000000 : 0);
	put(db, out, "log_readers", "gauge", "Readers of change records other than streams.", f.readers);
	put(db, out, "streams", "gauge", "Streams that can be read.", f.streams);
	buf_printf(out,
		   "# TYPE stator_stream_shards gauge\nstator_stream_shards{region=\"%s\",state=\"open\"} %llu\n"
		   "stator_stream_shards{region=\"%s\",state=\"closed\"} %llu\n",
		   db->region, (unsigned long long)f.open_shards, db->region, (unsigned long long)f.closed_shards);
}
