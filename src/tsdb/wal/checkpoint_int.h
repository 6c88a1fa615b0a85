/* Checkpoints: what the oldest segments of the log still say, rewritten (docs/formats/tsdb.md; upstream
 * tsdb/wlog/checkpoint.go). checkpoint.N replaces the segments up to N. */
#ifndef TOCSIN_TSDB_WAL_CHECKPOINT_INT_H
#define TOCSIN_TSDB_WAL_CHECKPOINT_INT_H

#include "tsdb/wal/log_int.h"

/* The newest checkpoint of a log's directory. *found false: there is none. ERR_CORRUPT: a checkpoint that is no directory. */
MUST_CHECK bool checkpoint_last(struct fs *fs, struct str dir, bool *found, uint32_t *number, struct err *err);
struct str checkpoint_path(struct path *p, struct str dir, uint32_t number);

typedef bool checkpoint_keep(void *arg, uint64_t ref);
struct checkpoint_plan {
    struct fs *fs;
    struct str dir;                    /* of the log */
    uint32_t first, upto;              /* segments that it replaces */
    int64_t mint;
    checkpoint_keep *keep;
    void *arg;
    const struct wal_times *log_times;
    struct wal_times *checkpoint_times; /* of the last checkpoint; then of the new one */
};
/* Writes checkpoint.<upto> of the last checkpoint and the segments first .. upto: series for which keep() says so,
 * samples, histograms and exemplars at or after mint, tombstones that reach it, the newest metadata of each series. */
MUST_CHECK bool checkpoint_write(const struct checkpoint_plan *p, struct err *err);
MUST_CHECK bool checkpoints_remove_below(struct fs *fs, struct str dir, uint32_t number, struct err *err);

#endif
