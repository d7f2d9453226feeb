#include "base/thread.h"
#include "engine/rocksdb/rocksdb_int.h"

#include <stdlib.h>
#include <sys/resource.h>

#define MIB               ((uint64_t)1 << 20)
#define NEARLY_FULL_SLACK (64 * MIB) /* what others may write between two looks at the disk */

/*
 * Nothing may be written to RocksDB's own LOG file: as Debian and Ubuntu build it, its asserts are on, and a line that
 * follows one for which the disk had no room is an assert. What goes wrong reaches us through the calls that fail, and
 * our log.
 *
 * RocksDB 7 writes nothing at its level "6, the number of levels"; it cannot put that level into an OPTIONS file
 * either, and goes on without those files, which nothing reads and which cost two fsyncs for each column family when a
 * directory is made. Later versions would refuse to open, so there it is 5: a few lines while opening, none after that.
 */
#define LOG_LEVEL_SILENT (ROCKSDB_MAJOR < 8 ? 6 : 5)

#define CHECKSUM_CRC32C 1 /* rocksdb::ChecksumType */

/* How the kinds of data differ. */
static const struct space_settings {
	bool bloom; /* point reads of keys that may not be there */
	size_t block_bytes;
	bool small; /* a few KB in all */
} spaces[SPACE_COUNT] = {
    [SPACE_CATALOG] = {false, 4096, true},
    [SPACE_ITEMS] = {true, 16384, false},
    [SPACE_INDEXES] = {false, 16384, false}, /* only walked, never asked for one key that may be missing */
    [SPACE_LOG] = {false, 32768, false},     /* read in order */
};

static void
set_table_options(struct rocks *r, rocksdb_options_t *options, const struct space_settings *space)
{
	rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();

	rocksdb_block_based_options_set_block_size(table, space->block_bytes);
	rocksdb_block_based_options_set_format_version(table, 5);
	rocksdb_block_based_options_set_block_cache(table, r->cache);
	/* filters and index blocks count as cache too: memory stays bounded whatever the data's size */
	rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
	rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(table, 1);
	rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(table, 1);
	rocksdb_block_based_options_set_pin_top_level_index_and_filter(table, 1);
	if (space->bloom) {
		rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(10));
		rocksdb_block_based_options_set_whole_key_filtering(table, 1);
	}
#ifdef ROCKSDB_ARCHIVE                                                    /* else the sum is RocksDB's own, and slow */
	rocksdb_block_based_options_set_checksum(table, CHECKSUM_CRC32C); /* it lets others go on: crc32c.c */
#endif
	rocksdb_options_set_block_based_table_factory(options, table);
	rocksdb_block_based_options_destroy(table);
}

static void
set_space_options(struct rocks *r, rocksdb_options_t *options, const struct space_settings *space,
		  uint64_t write_buffer)
{
	/* upper levels are rewritten soon and read most: not worth compressing */
	static const int compression[] = {rocksdb_no_compression,  rocksdb_no_compression,  rocksdb_lz4_compression,
					  rocksdb_lz4_compression, rocksdb_lz4_compression, rocksdb_lz4_compression,
					  rocksdb_lz4_compression};

	/* a memtable takes its memory block by block, so a large one costs nothing until it is used */
	rocksdb_options_set_write_buffer_size(options, space->small ? 4 * MIB : write_buffer);
	rocksdb_options_set_max_write_buffer_number(options, 3);
	rocksdb_options_set_arena_block_size(options, 256 << 10);
	rocksdb_options_set_target_file_size_base(options, 64 * MIB);
	rocksdb_options_set_max_bytes_for_level_base(options, 256 * MIB);
	rocksdb_options_set_level_compaction_dynamic_level_bytes(options, 1);
	rocksdb_options_set_compression_per_level(options, (int *)compression,
						  sizeof compression / sizeof compression[0]);
	set_table_options(r, options, space);
}

/* RocksDB keeps all files open when it may: finding one then takes no lock. */
static int
open_files_max(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= 32768)
		return -1;
	return (int)(limit.rlim_cur / 4 > 64 ? limit.rlim_cur / 4 : 64); /* the rest is for connections */
}

static void
set_database_options(rocksdb_options_t *options, uint64_t write_buffer)
{
	rocksdb_options_set_create_if_missing(options, 1);
	rocksdb_options_set_create_missing_column_families(options, 1);
	rocksdb_options_set_paranoid_checks(options, 1);
	/*
	 * All spaces become tables together. Else, when the log could not be written, one space's memtable may still
	 * become a table with writes whose other half was only in the log: a change record without its item.
	 */
	rocksdb_options_set_atomic_flush(options, 1);
	/* the syncing thread decides when the log is written */
	rocksdb_options_set_manual_wal_flush(options, 1);
	/* What was cut off or torn at the end is dropped; what lies behind a damaged place is dropped too, which would
	 * be silent loss: wal_check() has refused to open before that when it was durable. */
	rocksdb_options_set_wal_recovery_mode(options, rocksdb_point_in_time_recovery);
	rocksdb_options_set_max_total_wal_size(options, 4 * write_buffer);
	rocksdb_options_set_db_write_buffer_size(options, 3 * write_buffer);
	rocksdb_options_set_bytes_per_sync(options, MIB); /* else one sync of a whole table delays the log's */
	rocksdb_options_set_max_background_jobs(options, 2);
	rocksdb_options_set_max_open_files(options, open_files_max());
	rocksdb_options_set_enable_pipelined_write(options, 0);
	rocksdb_options_set_unordered_write(options, 0);
	rocksdb_options_set_info_log_level(options, LOG_LEVEL_SILENT);
	rocksdb_options_set_keep_log_file_num(options, 1);
	rocksdb_options_set_max_manifest_file_size(options, 16 * MIB);
	rocksdb_options_set_stats_dump_period_sec(options, 0); /* no thread that wakes for it */
	rocksdb_options_set_stats_persist_period_sec(options, 0);
	rocksdb_options_set_skip_stats_update_on_db_open(options, 1);
	rocksdb_options_set_avoid_unnecessary_blocking_io(options,
							  1); /* old files go in the background, not in a reader */
}

/* ---- RocksDB's threads ---- */

/* They begin with the manners of the thread that asks for them; a loop on the same processor is to come first. */
static void *
start_threads(void *unused)
{
	rocksdb_env_t *env = rocksdb_create_default_env();

	(void)unused;
	thread_be_polite();
	thread_be_modest();
	rocksdb_env_set_background_threads(env, 1);
	rocksdb_env_set_high_priority_background_threads(env, 1);
	rocksdb_env_destroy(env);
	return NULL;
}

static void
start_threads_once(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, start_threads, NULL) == 0)
		pthread_join(thread, NULL);
}

enum status
rocks_options_init(struct rocks *r, const struct engine_options *options, struct err *err)
{
	uint64_t write_buffer = options->write_buffer_bytes > 0 ? options->write_buffer_bytes : 64 * MIB;
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, start_threads_once);
	r->dir = strdup(options->dir);
	if (r->dir == NULL)
		return err_set(err, S_INTERNAL, "no memory for an engine");
	r->min_free_bytes = options->min_free_bytes;
	r->nearly_full_bytes = r->min_free_bytes + 4 * write_buffer + NEARLY_FULL_SLACK;
	r->cache_bytes = options->cache_bytes > 0 ? options->cache_bytes : 64 * MIB;
	/* Not the strict kind: that fails reads when all entries are in use at once. It may pass its size by what is
	 * pinned by the requests in flight, which is bounded. */
	r->cache = rocksdb_cache_create_lru(r->cache_bytes);
	for (int i = 0; i < SPACE_COUNT; i++) {
		r->options[i] = rocksdb_options_create();
		set_database_options(r->options[i], write_buffer);
		set_space_options(r, r->options[i], &spaces[i], write_buffer);
	}
	r->write_options = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(r->write_options, 0);
	rocksdb_writeoptions_disable_WAL(r->write_options, r->ephemeral);
	for (int i = 0; i < 2; i++) {
		r->read_options[i] = rocksdb_readoptions_create();
		rocksdb_readoptions_set_read_tier(r->read_options[i], i);
	}
	r->ingest_options = rocksdb_ingestexternalfileoptions_create();
	rocksdb_ingestexternalfileoptions_set_move_files(r->ingest_options, 1);
	return S_OK;
}

void
rocks_options_done(struct rocks *r)
{
	free(r->dir);
	if (r->cache == NULL)
		return;
	for (int i = 0; i < SPACE_COUNT; i++)
		rocksdb_options_destroy(r->options[i]);
	for (int i = 0; i < 2; i++)
		rocksdb_readoptions_destroy(r->read_options[i]);
	rocksdb_writeoptions_destroy(r->write_options);
	rocksdb_ingestexternalfileoptions_destroy(r->ingest_options);
	rocksdb_cache_destroy(r->cache);
}
