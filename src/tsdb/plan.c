/* Planning. Blocks of three classes are planned apart: ordinary and out-of-order ones, those of stale series, those of
 * selected series. Within a class: overlaps first; then aligned windows of growing length, the newest block left aside
 * because it may still get neighbours; then blocks that are worth rewriting for their tombstones. */
#include "tsdb/plan_int.h"

#include "base/mem.h"

#include <stdlib.h>

#define RANGE_FACTOR          3
#define TOMBSTONE_RATIO       0.05

struct plan_ranges plan_ranges_make(int64_t block_ms, int64_t max_ms)
{
    struct plan_ranges r = { .v = { block_ms }, .n = 1 };
    while (r.n < ARRAY_LEN(r.v) && r.v[r.n - 1] <= max_ms / RANGE_FACTOR) {
        r.v[r.n] = r.v[r.n - 1] * RANGE_FACTOR;
        r.n++;
    }
    return r;
}

struct candidates { /* blocks of one class, by mint; index[] into the caller's list */
    const struct block_meta *const *blocks;
    const size_t *index;
    size_t n;
};

static const struct block_meta *at(const struct candidates *c, size_t i)
{
    return c->blocks[c->index[i]];
}

static size_t take(const struct candidates *c, size_t from, size_t to, size_t *out)
{
    for (size_t i = from; i < to; i++)
        out[i - from] = c->index[i];
    return to - from;
}

static size_t plan_overlaps(const struct candidates *c, size_t *out)
{
    for (size_t i = 0; i + 1 < c->n; i++) {
        int64_t reach = at(c, i)->maxt;
        size_t to = i + 1;
        for (; to < c->n && at(c, to)->mint < reach; to++)
            reach = at(c, to)->maxt > reach ? at(c, to)->maxt : reach;
        if (to > i + 1)
            return take(c, i, to, out);
    }
    return 0;
}

static int64_t window_start(int64_t mint, int64_t range)
{
    return mint >= 0 ? range * (mint / range) : range * ((mint - range + 1) / range);
}

/* A window's blocks [from, to) of the first n - 1: worth merging? */
static bool window_chosen(const struct candidates *c, size_t from, size_t to, int64_t range, int64_t high_time)
{
    for (size_t i = from; i < to; i++) {
        if (at(c, i)->failed)
            return false;
    }
    int64_t mint = at(c, from)->mint, maxt = at(c, to - 1)->maxt;
    return to - from > 1 && (maxt - mint == range || maxt <= high_time);
}

static size_t plan_windows(const struct candidates *c, const struct plan_ranges *ranges, size_t *out)
{
    size_t n = c->n ? c->n - 1 : 0; /* without the newest */
    if (n < 2)
        return 0;
    int64_t high_time = at(c, n - 1)->mint;
    for (size_t r = 1; r < ranges->n; r++) {
        int64_t range = ranges->v[r];
        for (size_t from = 0, to; from < n; from = to) {
            int64_t start = window_start(at(c, from)->mint, range);
            to = from;
            while (to < n && at(c, to)->maxt <= start + range)
                to++;
            if (to == from) { /* reaches over its window: left out */
                to = from + 1;
                continue;
            }
            if (window_chosen(c, from, to, range, high_time))
                return take(c, from, to, out);
        }
    }
    return 0;
}

static size_t plan_tombstones(const struct candidates *c, const struct plan_ranges *ranges, size_t *out)
{
    size_t n = c->n ? c->n - 1 : 0;
    for (size_t i = n; i-- > 0;) {
        const struct block_meta *m = at(c, i);
        if (m->maxt - m->mint < ranges->v[ranges->n / 2]) {
            /* Small: only if all of it is gone, and looking further is not worth it. */
            if (m->stats.tombstones > 0 && m->stats.tombstones >= m->stats.series)
                return take(c, i, i + 1, out);
            return 0;
        }
        if ((double)m->stats.tombstones / (double)(m->stats.series + 1) > TOMBSTONE_RATIO)
            return take(c, i, i + 1, out);
    }
    return 0;
}

static int class_of(const struct block_meta *m)
{
    return m->from_selected_series ? 2 : m->from_stale_series ? 1 : 0;
}

size_t plan_compaction(const struct block_meta *const *blocks, size_t n, const struct plan_ranges *ranges,
                       bool overlapping, size_t *out)
{
    size_t *index = mem_alloc_array(n, sizeof *index);
    size_t found = 0;
    for (int class = 0; class < 3 && !found; class++) {
        struct candidates c = { .blocks = blocks, .index = index };
        for (size_t i = 0; i < n; i++) {
            if (class_of(blocks[i]) == class)
                index[c.n++] = i;
        }
        if (overlapping)
            found = plan_overlaps(&c, out);
        if (!found)
            found = plan_windows(&c, ranges, out);
        if (!found)
            found = plan_tombstones(&c, ranges, out);
    }
    mem_free(index);
    return found;
}

/* ---- retention ---- */

static int by_maxt_descending(const void *x, const void *y, void *arg)
{
    const struct block_meta *const *blocks = arg;
    int64_t a = blocks[*(const size_t *)x]->maxt, b = blocks[*(const size_t *)y]->maxt;
    return a > b ? -1 : a < b;
}

void plan_retention(const struct block_meta *const *blocks, const uint64_t *sizes, size_t n, uint64_t head_bytes,
                    int64_t retention_ms, uint64_t retention_bytes, bool *gone)
{
    size_t *order = mem_alloc_array(n, sizeof *order);
    uint64_t sum = head_bytes;
    for (size_t i = 0; i < n; i++) {
        order[i] = i;
        gone[i] = blocks[i]->deletable;
    }
    if (n)
        qsort_r(order, n, sizeof *order, by_maxt_descending, (void *)(uintptr_t)blocks);
    for (size_t i = 1; i < n && retention_ms > 0; i++) {
        if (blocks[order[0]]->maxt - blocks[order[i]]->maxt >= retention_ms)
            gone[order[i]] = true;
    }
    bool over = false;
    for (size_t i = 0; i < n && retention_bytes > 0; i++) {
        if (blocks[order[i]]->deletable)
            continue;
        sum += sizes[order[i]];
        over |= sum > retention_bytes;
        if (over)
            gone[order[i]] = true;
    }
    mem_free(order);
}
