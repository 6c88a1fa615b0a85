/* meta.json of a block (docs/formats/tsdb.md). Unknown members are kept and written again: other programs store theirs
 * there. */
#ifndef TOCSIN_TSDB_BLOCK_META_INT_H
#define TOCSIN_TSDB_BLOCK_META_INT_H

#include "base/err.h"
#include "base/fs.h"
#include "tsdb/block/ulid_int.h"

struct block_parent {
    struct ulid ulid;
    int64_t mint, maxt;
};
struct block_stats {
    uint64_t samples, float_samples, histogram_samples, series, chunks, tombstones;
};
struct block_meta {
    struct ulid ulid;
    int64_t mint, maxt; /* [mint, maxt) */
    struct block_stats stats;
    int level;
    bool deletable, failed;
    bool from_out_of_order, from_stale_series, from_selected_series;
    struct ulid *sources; /* owned arrays */
    size_t sources_count;
    struct block_parent *parents;
    size_t parents_count;
    struct buf extra; /* unknown top-level members as JSON: `,"thanos":{...}` */
};
#define META_BYTES_MAX   (16u << 20)
#define META_SOURCES_MAX 100000

void block_meta_deinit(struct block_meta *m);
void block_meta_copy(const struct block_meta *m, struct block_meta *out);
void block_meta_add_source(struct block_meta *m, const struct ulid *u); /* kept sorted and unique */
void block_meta_add_parent(struct block_meta *m, const struct block_meta *parent);
/* False: such blocks do not count for the head's minValidTime. */
static inline bool block_meta_is_in_order(const struct block_meta *m)
{
    return !m->from_out_of_order && !m->from_stale_series && !m->from_selected_series;
}

void block_meta_encode(const struct block_meta *m, struct buf *out);
MUST_CHECK bool block_meta_decode(struct str json, struct block_meta *m, struct err *err);
MUST_CHECK bool block_meta_read(struct fs *fs, struct str dir, struct block_meta *m, struct err *err);
MUST_CHECK bool block_meta_write(struct fs *fs, struct str dir, const struct block_meta *m, struct err *err);

#endif
