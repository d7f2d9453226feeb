#include "engine/rocksdb/rocksdb_int.h"

static double
property(struct rocks *r, const char *name)
{
	uint64_t sum = 0, value;

	for (int i = 0; i < SPACE_COUNT; i++) {
		if (rocksdb_property_int_cf(r->db, r->spaces[i], name, &value) == 0)
			sum += value;
	}
	return (double)sum;
}

static void
write_properties(struct rocks *r, struct buf *out)
{
	static const struct {
		const char *name, *help, *property;
	} rows[] = {
	    {"memtable_bytes", "Writes not yet in tables", "rocksdb.cur-size-all-mem-tables"},
	    {"live_bytes", "Estimated size of the live data", "rocksdb.estimate-live-data-size"},
	    {"table_bytes", "Size of all table files", "rocksdb.total-sst-files-size"},
	    {"compaction_pending_bytes", "Estimated bytes compaction has to rewrite",
	     "rocksdb.estimate-pending-compaction-bytes"},
	    {"level0_files", "Table files not yet sorted into levels", "rocksdb.num-files-at-level0"},
	};
	static const struct {
		const char *name, *help, *property;
	} whole[] = {
	    {"compactions_running", "Compactions running now", "rocksdb.num-running-compactions"},
	    {"flushes_running", "Memtables being written now", "rocksdb.num-running-flushes"},
	    {"write_delayed", "Bytes a second writes are slowed down to, 0: not", "rocksdb.actual-delayed-write-rate"},
	    {"write_stopped", "1 while compaction holds up all writes", "rocksdb.is-write-stopped"},
	};
	uint64_t value;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		engine_metric(out, rows[i].name, "gauge", rows[i].help, property(r, rows[i].property));
	for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
		if (rocksdb_property_int(r->db, whole[i].property, &value) == 0)
			engine_metric(out, whole[i].name, "gauge", whole[i].help, (double)value);
	}
}

static void
write_sync_histogram(const struct sync_figures *sync, struct buf *out)
{
	uint64_t sum = 0;

	buf_put_lit(out, "# HELP stator_engine_sync_seconds Duration of a log sync.\n"
			 "# TYPE stator_engine_sync_seconds histogram\n");
	for (int i = 0; i < SYNC_BUCKETS; i++) {
		sum += atomic_load(&sync->buckets[i]);
		buf_printf(out, "stator_engine_sync_seconds_bucket{le=\"%g\"} %llu\n", 50e-6 * (double)(1u << i),
			   (unsigned long long)sum);
	}
	sum += atomic_load(&sync->buckets[SYNC_BUCKETS]);
	buf_printf(out, "stator_engine_sync_seconds_bucket{le=\"+Inf\"} %llu\n", (unsigned long long)sum);
	buf_printf(out, "stator_engine_sync_seconds_sum %.9f\n", (double)atomic_load(&sync->total_ns) * 1e-9);
	buf_printf(out, "stator_engine_sync_seconds_count %llu\n", (unsigned long long)sum);
}

void
rocks_write_metrics(struct engine *e, struct buf *out)
{
	struct rocks *r = (struct rocks *)e;
	uint64_t gets = 0, would_block = 0;

	for (int i = 0; i < GATE_SHARDS; i++) {
		gets += atomic_load_explicit(&r->gate[i].gets, memory_order_relaxed);
		would_block += atomic_load_explicit(&r->gate[i].would_block, memory_order_relaxed);
	}
	engine_metric(out, "gets_total", "counter", "Reads of one key", (double)gets);
	engine_metric(out, "gets_uncached_total", "counter",
		      "Reads of one key not answered from memory at the first try", (double)would_block);
	engine_metric(out, "syncs_total", "counter", "Log syncs", (double)atomic_load(&r->sync.count));
	write_sync_histogram(&r->sync, out);
	engine_metric(out, "disk_failures_total", "counter",
		      "Failed writes or syncs after which the engine was reopened",
		      (double)atomic_load(&r->sync.failed));
	engine_metric(out, "recoveries_total", "counter", "Times the engine was reopened",
		      (double)atomic_load(&r->sync.recovered));
	engine_metric(out, "failed", "gauge", "1 while writes are refused after a disk failure",
		      atomic_load(&r->state) == ENGINE_FAILED);
	engine_metric(out, "disk_free_bytes", "gauge", "Free space of the disk when last looked",
		      (double)atomic_load(&r->free_bytes));
	engine_metric(out, "disk_free_min_bytes", "gauge", "Below this writes are refused", (double)r->min_free_bytes);
	engine_metric(out, "cache_capacity_bytes", "gauge", "Size of the block cache", (double)r->cache_bytes);
	engine_metric(out, "cache_used_bytes", "gauge", "Block cache in use",
		      (double)rocksdb_cache_get_usage(r->cache));
	engine_metric(out, "cache_pinned_bytes", "gauge", "Block cache that cannot be given up now",
		      (double)rocksdb_cache_get_pinned_usage(r->cache));
	if (!gate_enter(r, false))
		return;
	write_properties(r, out);
	gate_leave(r);
}
