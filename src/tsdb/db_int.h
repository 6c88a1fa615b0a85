/* The store as its own files see it: head, blocks, and who may change them.
 *
 * Locks (rank): work (1) is held by whatever changes files: maintenance, deletion, cleaning, snapshots. blocks (8) guards
 * the list of blocks; it is held for copying pointers only. */
#ifndef TOCSIN_TSDB_DB_INT_H
#define TOCSIN_TSDB_DB_INT_H

#include "base/rng.h"
#include "tsdb/head/head_int.h"
#include "tsdb/plan_int.h"

struct tsdb_stats {
    struct counter compactions, compactions_failed, compactions_triggered, compactions_skipped, reloads, reloads_failed;
    struct counter retention_time_deletions, retention_size_deletions, vertical_compactions;
    struct gauge blocks, blocks_bytes, lowest, stalled, head_mint, head_maxt, head_mint_s, head_maxt_s, lowest_s;
    struct gauge wal_segment, wal_bytes, exemplars, exemplars_max, exemplar_series, retention_bytes, retention_s, symbol_bytes;
    struct gauge appenders, ooo_window;
    struct histogram compaction_seconds, tombstone_seconds;
    struct counter wal_records, wal_writes_failed, wal_truncations, wal_syncs;
};

struct block_list { /* retained blocks, by mint */
    struct block **v;
    size_t n;
};

struct tsdb {
    struct storage base;
    struct tsdb_options o;
    struct fs *fs;
    struct path dir;
    struct fs_file *lock_file;
    struct lock work;
    struct lock blocks_lock;
    struct block **blocks;
    size_t blocks_count;
    struct head head;
    struct rng rng;
    struct plan_ranges ranges;
    struct tsdb_stats stats;
    bool was_stalled;
    int64_t last_ms; /* of the newest name that was made */
};

static inline struct str tsdb_dir(const struct tsdb *db)
{
    return buf_view(&db->dir.text);
}

/* Retained copies of the blocks that touch the range. */
struct block_list tsdb_blocks(struct tsdb *db, int64_t mint, int64_t maxt);
void block_list_release(struct block_list *l);
/* Reads the directory again: new blocks open, replaced, deletable and too old ones go. Work lock. */
MUST_CHECK bool tsdb_reload(struct tsdb *db, struct err *err);
struct ulid tsdb_new_ulid(struct tsdb *db, wall_ms now);
void tsdb_ooo_compact(struct tsdb *db, wall_ms now);

#endif
