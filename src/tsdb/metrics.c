/* The store's metrics under upstream's names, and a few of its own. */
#include "tsdb/db_int.h"

static const struct metric_desc head_rows[] = {
    METRIC(GAUGE, struct head_stats, series, "prometheus_tsdb_head_series", "Total number of series in the head block."),
    METRIC(GAUGE, struct head_stats, chunks, "prometheus_tsdb_head_chunks", "Total number of chunks in the head block."),
    METRIC(COUNTER, struct head_stats, series_created, "prometheus_tsdb_head_series_created_total", "Total number of series created in the head"),
    METRIC(COUNTER, struct head_stats, series_removed, "prometheus_tsdb_head_series_removed_total", "Total number of series removed in the head"),
    METRIC(COUNTER, struct head_stats, chunks_created, "prometheus_tsdb_head_chunks_created_total", "Total number of chunks created in the head"),
    METRIC(COUNTER, struct head_stats, chunks_removed, "prometheus_tsdb_head_chunks_removed_total", "Total number of chunks removed in the head"),
    METRIC(COUNTER, struct head_stats, truncations, "prometheus_tsdb_head_truncations_total", "Total number of head truncations attempted."),
    METRIC(COUNTER, struct head_stats, truncations_failed, "prometheus_tsdb_head_truncations_failed_total", "Total number of head truncations that failed."),
    METRIC(COUNTER, struct head_stats, wal_corruptions, "prometheus_tsdb_wal_corruptions_total", "Total number of WAL corruptions."),
    METRIC(COUNTER, struct head_stats, mmap_corruptions, "prometheus_tsdb_mmap_chunk_corruptions_total", "Total number of memory-mapped chunk corruptions."),
    METRIC(COUNTER, struct head_stats, checkpoints, "prometheus_tsdb_checkpoint_creations_total", "Total number of checkpoint creations attempted."),
    METRIC(COUNTER, struct head_stats, checkpoints_failed, "prometheus_tsdb_checkpoint_creations_failed_total", "Total number of checkpoint creations that failed."),
    METRIC(COUNTER, struct head_stats, checkpoint_deletions, "prometheus_tsdb_checkpoint_deletions_total", "Total number of checkpoint deletions attempted."),
    METRIC(COUNTER, struct head_stats, appended_floats, "prometheus_tsdb_head_samples_appended_total", "Total number of appended samples.", "type=float"),
    METRIC(COUNTER, struct head_stats, appended_histograms, "prometheus_tsdb_head_samples_appended_total", "Total number of appended samples.", "type=histogram"),
    METRIC(COUNTER, struct head_stats, ooo_appended, "prometheus_tsdb_head_out_of_order_samples_appended_total", "Total number of appended out of order samples.", "type=float"),
    METRIC(COUNTER, struct head_stats, out_of_bounds, "prometheus_tsdb_out_of_bound_samples_total", "Total number of out of bound samples ingestion failed attempts with out of order support disabled.", "type=float"),
    METRIC(COUNTER, struct head_stats, out_of_order, "prometheus_tsdb_out_of_order_samples_total", "Total number of out of order samples ingestion failed attempts due to out of order being disabled.", "type=float"),
    METRIC(COUNTER, struct head_stats, too_old, "prometheus_tsdb_too_old_samples_total", "Total number of out of order samples ingestion failed attempts with out of support enabled, but sample outside of time window.", "type=float"),
    METRIC(COUNTER, struct head_stats, exemplars_appended, "prometheus_tsdb_exemplar_exemplars_appended_total", "Total number of appended exemplars."),
    METRIC(COUNTER, struct head_stats, exemplars_out_of_order, "prometheus_tsdb_exemplar_out_of_order_exemplars_total", "Total number of out of order exemplar ingestion failed attempts."),
    METRIC(FCOUNTER, struct head_stats, replay_seconds, "prometheus_tsdb_data_replay_duration_seconds", "Time taken to replay the data on disk."),
    METRIC(FCOUNTER, struct head_stats, gc_seconds, "tocsin_tsdb_head_gc_seconds_total", "Seconds spent on dropping chunks and series from the head."),
    METRIC(FCOUNTER, struct head_stats, wal_truncate_seconds, "tocsin_tsdb_wal_truncate_seconds_total", "Seconds spent on checkpoints."),
    METRIC(COUNTER, struct head_stats, wbl_corruptions, "tocsin_tsdb_wbl_corruptions_total", "Write-behind logs that were repaired."),
    METRIC(COUNTER, struct head_stats, duplicates, "tocsin_tsdb_duplicate_samples_total", "Samples refused because their time had another value."),
    METRIC(COUNTER, struct head_stats, unknown_refs, "tocsin_tsdb_replay_unknown_references_total", "Records of the log that named no known series."),
    METRIC(COUNTER, struct head_stats, refused, "tocsin_tsdb_refused_samples_total", "Samples refused because the disk was full and the bound on memory reached."),
};

static const struct metric_desc db_rows[] = {
    METRIC(COUNTER, struct tsdb_stats, compactions, "prometheus_tsdb_compactions_total", "Total number of compactions that were executed for the partition."),
    METRIC(COUNTER, struct tsdb_stats, compactions_failed, "prometheus_tsdb_compactions_failed_total", "Total number of compactions that failed for the partition."),
    METRIC(COUNTER, struct tsdb_stats, compactions_triggered, "prometheus_tsdb_compactions_triggered_total", "Total number of triggered compactions for the partition."),
    METRIC(COUNTER, struct tsdb_stats, compactions_skipped, "prometheus_tsdb_compactions_skipped_total", "Total number of skipped compactions due to disabled auto compaction."),
    METRIC(COUNTER, struct tsdb_stats, reloads, "prometheus_tsdb_reloads_total", "Number of times the database reloaded block data from disk."),
    METRIC(COUNTER, struct tsdb_stats, reloads_failed, "prometheus_tsdb_reloads_failures_total", "Number of times the database failed to reloadBlocks block data from disk."),
    METRIC(COUNTER, struct tsdb_stats, retention_time_deletions, "prometheus_tsdb_time_retentions_total", "The number of times that blocks were deleted because the maximum time limit was exceeded."),
    METRIC(COUNTER, struct tsdb_stats, retention_size_deletions, "prometheus_tsdb_size_retentions_total", "The number of times that blocks were deleted because the maximum number of bytes was exceeded."),
    METRIC(COUNTER, struct tsdb_stats, vertical_compactions, "prometheus_tsdb_vertical_compactions_total", "Total number of compactions done on overlapping blocks."),
    METRIC(HISTOGRAM, struct tsdb_stats, compaction_seconds, "prometheus_tsdb_compaction_duration_seconds", "Duration of compaction runs"),
    METRIC(HISTOGRAM, struct tsdb_stats, tombstone_seconds, "prometheus_tsdb_tombstone_cleanup_seconds", "The time taken to recompact blocks to remove tombstones."),
    METRIC(GAUGE, struct tsdb_stats, blocks, "prometheus_tsdb_blocks_loaded", "Number of currently loaded data blocks"),
    METRIC(GAUGE, struct tsdb_stats, blocks_bytes, "prometheus_tsdb_storage_blocks_bytes", "The number of bytes that are currently used for local storage by all blocks."),
    METRIC(GAUGE, struct tsdb_stats, lowest, "prometheus_tsdb_lowest_timestamp", "Lowest timestamp value stored in the database. The unit is decided by the library consumer."),
    METRIC(GAUGE, struct tsdb_stats, lowest_s, "prometheus_tsdb_lowest_timestamp_seconds", "Lowest timestamp value stored in the database."),
    METRIC(GAUGE, struct tsdb_stats, head_mint, "prometheus_tsdb_head_min_time", "Minimum time bound of the head block. The unit is decided by the library consumer."),
    METRIC(GAUGE, struct tsdb_stats, head_mint_s, "prometheus_tsdb_head_min_time_seconds", "Minimum time bound of the head block."),
    METRIC(GAUGE, struct tsdb_stats, head_maxt, "prometheus_tsdb_head_max_time", "Maximum timestamp of the head block. The unit is decided by the library consumer."),
    METRIC(GAUGE, struct tsdb_stats, head_maxt_s, "prometheus_tsdb_head_max_time_seconds", "Maximum timestamp of the head block."),
    METRIC(GAUGE, struct tsdb_stats, appenders, "prometheus_tsdb_head_active_appenders", "Number of currently active appender transactions"),
    METRIC(GAUGE, struct tsdb_stats, wal_segment, "prometheus_tsdb_wal_segment_current", "WAL segment index that TSDB is currently writing to."),
    METRIC(GAUGE, struct tsdb_stats, wal_bytes, "prometheus_tsdb_wal_storage_size_bytes", "Size of the write log directory."),
    METRIC(COUNTER, struct tsdb_stats, wal_truncations, "prometheus_tsdb_wal_truncations_total", "Total number of write log truncations attempted."),
    METRIC(COUNTER, struct tsdb_stats, wal_writes_failed, "prometheus_tsdb_wal_writes_failed_total", "Total number of write log writes that failed."),
    METRIC(COUNTER, struct tsdb_stats, wal_syncs, "tocsin_tsdb_wal_syncs_total", "Segments of the log that were synced."),
    METRIC(COUNTER, struct tsdb_stats, wal_records, "tocsin_tsdb_wal_records_total", "Records written to the log."),
    METRIC(GAUGE, struct tsdb_stats, symbol_bytes, "prometheus_tsdb_symbol_table_size_bytes", "Size of symbol table in memory for loaded blocks"),
    METRIC(GAUGE, struct tsdb_stats, retention_bytes, "prometheus_tsdb_retention_limit_bytes", "Max number of bytes to be retained in the tsdb blocks, configured 0 means disabled"),
    METRIC(GAUGE, struct tsdb_stats, retention_s, "prometheus_tsdb_retention_limit_seconds", "How long to retain samples in storage."),
    METRIC(GAUGE, struct tsdb_stats, exemplars, "prometheus_tsdb_exemplar_exemplars_in_storage", "Number of exemplars currently in circular storage."),
    METRIC(GAUGE, struct tsdb_stats, exemplars_max, "prometheus_tsdb_exemplar_max_exemplars", "Total number of exemplars the exemplar storage can store, resizeable."),
    METRIC(GAUGE, struct tsdb_stats, stalled, "tocsin_tsdb_stalled", "1 while the disk takes nothing and samples are kept in memory."),
    METRIC(GAUGE, struct tsdb_stats, ooo_window, "tocsin_tsdb_out_of_order_window_seconds", "How far back samples are taken out of order."),
};

static void set_time(struct gauge *ms, struct gauge *s, int64_t t)
{
    gauge_set(ms, (double)t);
    gauge_set(s, (double)t / 1000);
}

static void follow(struct counter *c, uint64_t to)
{
    counter_add_shared(c, to - counter_get(c));
}

/* Gauges that are computed when they are asked for. */
static void collect(void *stats, void *arg)
{
    struct tsdb_stats *s = stats;
    struct tsdb *db = arg;
    struct head *h = &db->head;
    struct path path = { 0 };
    uint64_t symbols = 0;
    int64_t lowest = time_load(&h->mint);
    set_time(&s->head_mint, &s->head_mint_s, time_load(&h->mint));
    set_time(&s->head_maxt, &s->head_maxt_s, time_load(&h->maxt));
    struct block_list l = tsdb_blocks(db, INT64_MIN, INT64_MAX);
    for (size_t i = 0; i < l.n; i++) {
        symbols += l.v[i]->index.symbols_count;
        lowest = l.v[i]->meta.mint < lowest ? l.v[i]->meta.mint : lowest;
    }
    block_list_release(&l);
    set_time(&s->lowest, &s->lowest_s, lowest);
    gauge_set(&s->symbol_bytes, (double)symbols); /* one byte a symbol is what a block's index keeps of it */
    gauge_set(&s->appenders, (double)isolation_appenders_count(&h->isolation));
    gauge_set(&s->wal_segment, (double)atomic_load_explicit(&h->wal.current_segment, memory_order_relaxed));
    gauge_set(&s->wal_bytes, (double)wal_dir_bytes(db->fs, path_set(&path, "%.*s/" NAME_WAL, STR_ARG(tsdb_dir(db)))));
    follow(&s->wal_records, atomic_load_explicit(&h->wal.stats.records, memory_order_relaxed));
    follow(&s->wal_writes_failed, atomic_load_explicit(&h->wal.stats.failed_writes, memory_order_relaxed));
    follow(&s->wal_truncations, atomic_load_explicit(&h->wal.stats.truncations, memory_order_relaxed));
    follow(&s->wal_syncs, atomic_load_explicit(&h->wal.stats.syncs, memory_order_relaxed));
    gauge_set(&s->ooo_window, (double)time_load(&h->ooo_window) / 1000);
    gauge_set(&s->exemplars, (double)exemplar_ring_count(h->exemplars));
    gauge_set(&s->exemplars_max, (double)exemplar_ring_max(h->exemplars));
    gauge_set(&s->stalled, tsdb_is_stalled(db) ? 1 : 0);
    path_deinit(&path);
}

void tsdb_register_metrics(struct tsdb *db, struct metric_registry *r)
{
    metric_registry_add(r, db_rows, ARRAY_LEN(db_rows), &db->stats, collect, db);
    metric_registry_add(r, head_rows, ARRAY_LEN(head_rows), &db->head.stats, NULL, NULL);
}
