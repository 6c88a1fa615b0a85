/* Which blocks are to be merged, and which are too old: pure decisions over metas (docs/formats/tsdb.md; upstream
 * tsdb/compact.go Plan, tsdb/db.go BeyondTimeRetention). */
#ifndef TOCSIN_TSDB_PLAN_INT_H
#define TOCSIN_TSDB_PLAN_INT_H

#include "tsdb/block/meta_int.h"

struct plan_ranges {
    int64_t v[10];
    size_t n;
};
/* block_ms, times 3 each, as far as max_ms goes; always the first. */
struct plan_ranges plan_ranges_make(int64_t block_ms, int64_t max_ms);

/* Picks what to merge next out of blocks sorted by mint: their indexes go to `out` (room for n). 0: nothing. One block
 * alone is to be rewritten because of its tombstones. */
size_t plan_compaction(const struct block_meta *const *blocks, size_t n, const struct plan_ranges *ranges,
                       bool overlapping, size_t *out);

/* Which blocks go: `gone[i]` is set. sizes in bytes; head_bytes count toward the limit. 0 switches a rule off. */
void plan_retention(const struct block_meta *const *blocks, const uint64_t *sizes, size_t n, uint64_t head_bytes,
                    int64_t retention_ms, uint64_t retention_bytes, bool *gone);

#endif
