/* The time series database: a head in memory with a write-ahead log, and blocks of two hours and more on disk, in
 * Prometheus's formats, byte-compatible in both directions (docs/formats/tsdb.md). Everything above reads and writes
 * through storage/storage.h; this header opens the store, drives its background work and answers the operator.
 *
 * Durability: a commit that returned is in the log file (written, not synced): it survives the death of the process. What
 * is damaged on disk is repaired at opening as upstream does, with one log line that says what was lost. When the disk is
 * full, ingestion goes on in memory up to a bound, tsdb_stats.stalled says so, and it recovers by itself.
 *
 * Threads: tsdb_open() and tsdb_close() by the owner, alone. Appenders and queriers from any number of threads.
 * tsdb_maintain() from one thread at a time (the background one); deletion, snapshots and cleaning may be called from any
 * thread and wait for it. Times are wall ms, UTC; `now` only names things and never decides what a sample means. */
#ifndef TOCSIN_TSDB_TSDB_H
#define TOCSIN_TSDB_TSDB_H

#include "base/fs.h"
#include "base/metric.h"
#include "base/rng.h"
#include "storage/storage.h"
#include "storage/tail.h"

struct tsdb;

enum tsdb_compression { TSDB_SNAPPY, TSDB_PLAIN, TSDB_ZSTD }; /* of the log */

struct tsdb_options {
    struct fs *fs;
    struct str dir;
    int64_t block_ms;           /* smallest block; 0: 2 h */
    int64_t block_max_ms;       /* 0: block_ms * 27 at most, by retention */
    int64_t retention_ms;       /* 0: for ever */
    uint64_t retention_bytes;   /* 0: no limit */
    int64_t out_of_order_ms;    /* window; 0: none */
    size_t out_of_order_chunk;  /* samples; 0: 32 */
    size_t exemplars_max;       /* 0: none are kept */
    bool snapshot_on_shutdown;
    bool no_overlap_compaction; /* leave overlapping blocks apart */
    bool no_lock;               /* do not hold <dir>/lock */
    bool read_only;             /* nothing on disk changes; no appender, no maintenance */
    enum tsdb_compression compression;
    uint64_t wal_segment_bytes; /* 0: 128 MiB */
    uint64_t stalled_max_bytes; /* of log and chunks in memory while the disk is full; 0: 256 MiB each */
    unsigned replay_threads;    /* that help at opening; 0: none */
    uint64_t seed;              /* of block names */
};

/* Opens or makes the store: leftovers go, blocks open, the log is replayed and repaired. */
MUST_CHECK bool tsdb_open(const struct tsdb_options *o, wall_ms now, struct tsdb **db, struct err *err);
/* All queriers and appenders have ended. Writes the snapshot if asked for. */
void tsdb_close(struct tsdb *db);
struct storage *tsdb_storage(struct tsdb *db);
/* What a reload may change. */
void tsdb_reconfigure(struct tsdb *db, int64_t out_of_order_ms, int64_t retention_ms, uint64_t retention_bytes,
                      size_t exemplars_max);

/* Does what is due: head to blocks, checkpoint, merging of blocks, retention, writing of what waited for the disk. Called
 * once a minute and after commits that made tsdb_wants_maintenance() true. Long, on its own thread; *stop is polled. */
void tsdb_maintain(struct tsdb *db, wall_ms now, const _Atomic bool *stop);
bool tsdb_wants_maintenance(struct tsdb *db);

/* Deletes what any of the sets accepts in [mint, maxt]: tombstones, applied when blocks are rewritten. */
MUST_CHECK bool tsdb_delete(struct tsdb *db, const struct matchers *sets, size_t sets_count, int64_t mint, int64_t maxt,
                            struct err *err);
/* Rewrites blocks that have tombstones. */
MUST_CHECK bool tsdb_clean_tombstones(struct tsdb *db, wall_ms now, struct err *err);
/* Makes <dir>/snapshots/<name>; the name is appended to `name`. */
MUST_CHECK bool tsdb_snapshot(struct tsdb *db, wall_ms now, bool skip_head, struct buf *name, struct err *err);

/* ---- what the operator asks ---- */

struct tsdb_count {
    struct str name;
    uint64_t value;
};
struct tsdb_status { /* of the head; lists descend by value, at most `limit` long */
    uint64_t series, label_pairs, chunks;
    int64_t mint, maxt; /* INT64_MAX, INT64_MIN: empty */
    struct tsdb_count *series_by_metric, *values_by_label, *bytes_by_label, *series_by_pair;
    size_t series_by_metric_count, values_by_label_count, bytes_by_label_count, series_by_pair_count;
};
void tsdb_status(struct tsdb *db, size_t limit, struct arena *a, struct tsdb_status *out);
/* meta.json of each block, oldest first. */
struct strs tsdb_block_metas(struct tsdb *db, struct arena *a);
bool tsdb_is_stalled(struct tsdb *db); /* the disk takes nothing at the moment */

/* Adds prometheus_tsdb_* and tocsin_tsdb_*. */
void tsdb_register_metrics(struct tsdb *db, struct metric_registry *r);

/* The log from now on (storage/tail.h). */
MUST_CHECK bool tsdb_tail_open(struct tsdb *db, struct tail **out, struct err *err);

#endif
