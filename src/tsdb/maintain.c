/* Background work: from the head to blocks, from small blocks to large ones.
 *
 * M1  Order: the logs and chunks_head get what waited for the disk; head blocks while the head spans more than one and a
 *     half ranges; the log's checkpoint; out-of-order data; merging of blocks until there is nothing to merge or the head
 *     is due again. Retention happens whenever the list of blocks is made anew.
 * M2  A step that fails is logged and left for the next call; a block whose merging failed is marked, so that it is not
 *     tried for ever.
 * M3  Nothing waits: what needs appenders or readers to end is done by a later call. */
#include "tsdb/db_int.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/stopwatch.h"
#include "tsdb/compact_int.h"

static bool stopped(const _Atomic bool *stop)
{
    return stop && atomic_load_explicit(stop, memory_order_relaxed);
}

/* ---- what waited for the disk ---- */

static void write_waiting(struct tsdb *db)
{
    struct head *h = &db->head;
    struct err err = { 0 };
    bool ok = wal_maintain(&h->wal, &err);
    if (h->has_wbl)
        ok = wal_maintain(&h->wbl, &err) && ok;
    ok = mapper_flush(&h->mapper, &err) && ok;
    if (!ok && !db->was_stalled)
        log_error("The disk takes nothing: samples are kept in memory", LOG_ERR(&err),
                  LOG_INT("limit_bytes", db->o.stalled_max_bytes));
    if (ok && db->was_stalled)
        log_info("The disk takes writes again: all samples in memory were written");
    db->was_stalled = !ok;
    gauge_set(&db->stats.stalled, ok ? 0 : 1);
}

bool tsdb_is_stalled(struct tsdb *db)
{
    return db->head.has_wal && atomic_load_explicit(&db->head.wal.is_stalled, memory_order_relaxed);
}

/* ---- head ---- */

static void fresh_meta(struct tsdb *db, wall_ms now, int64_t mint, int64_t maxt, struct block_meta *meta)
{
    *meta = (struct block_meta){ .ulid = tsdb_new_ulid(db, now), .mint = mint, .maxt = maxt, .level = 1 };
    block_meta_add_source(meta, &meta->ulid);
}

/* One range of the head. False: it could not be done now. */
static bool cut_head(struct tsdb *db, wall_ms now, int64_t *maxt_out)
{
    struct head *h = &db->head;
    struct err err = { 0 };
    struct block_meta meta;
    bool written = false;
    int64_t mint = time_load(&h->mint), maxt = range_end(mint, h->o.block_ms);
    if (!isolation_no_appender_below(&h->isolation, maxt))
        return false;
    counter_add(&db->stats.compactions_triggered, 1);
    fresh_meta(db, now, mint, maxt, &meta);
    struct stopwatch w = stopwatch_start();
    bool ok = head_write_block(h, tsdb_dir(db), mint, maxt, &meta, &written, &err) && (!written || tsdb_reload(db, &err));
    if (ok) {
        counter_add(&db->stats.compactions, written);
        histogram_observe(&db->stats.compaction_seconds, stopwatch_seconds(w));
        if (written)
            log_info("write block", LOG_INT("mint", mint), LOG_INT("maxt", maxt), LOG_CSTR("ulid", meta.ulid.text),
                     LOG_INT("samples", meta.stats.samples), LOG_F64("duration_seconds", stopwatch_seconds(w)));
        head_truncate(h, maxt);
        head_collect(h);
        *maxt_out = maxt;
    } else {
        counter_add(&db->stats.compactions_failed, 1);
        log_error("Compaction of the head failed", LOG_ERR(&err));
    }
    block_meta_deinit(&meta);
    return ok;
}

/* ---- out of order ---- */

static int64_t floor_range(int64_t t, int64_t width)
{
    int64_t q = t / width;
    return (t % width < 0 ? q - 1 : q) * width;
}

/* Maps the open out-of-order chunks; counts[slot] is how many chunks each series has then. */
static uint32_t *map_all_ooo(struct head *h, uint32_t n, bool *any)
{
    uint32_t *counts = mem_alloc_array(n, sizeof *counts);
    for (uint32_t slot = 0; slot < n; slot++) {
        struct head_series *s = head_at(h, slot);
        if (series_ref_load(s) == 0)
            continue;
        struct lock *lock = &head_stripe(h, s)->lock;
        lock_take(lock);
        if (s->extra) {
            series_map_ooo(h, s, NULL);
            counts[slot] = (uint32_t)s->extra->ooo_chunks_count;
            *any |= counts[slot] > 0;
        }
        lock_give(lock);
    }
    return counts;
}

/* The first counts[slot] chunks of each series are in blocks now. */
static void drop_ooo(struct head *h, const uint32_t *counts, uint32_t n)
{
    int64_t mint = INT64_MAX, maxt = INT64_MIN;
    for (uint32_t slot = 0, slots = head_slots(h); slot < slots; slot++) {
        struct head_series *s = head_at(h, slot);
        if (series_ref_load(s) == 0)
            continue;
        struct lock *lock = &head_stripe(h, s)->lock;
        lock_take(lock);
        struct series_extra *x = s->extra;
        if (x && slot < n && counts[slot]) {
            memmove(x->ooo_chunks, x->ooo_chunks + counts[slot],
                    (x->ooo_chunks_count - counts[slot]) * sizeof *x->ooo_chunks);
            x->ooo_chunks_count -= counts[slot];
        }
        for (size_t i = 0; x && i < x->ooo_chunks_count; i++) {
            mint = x->ooo_chunks[i].mint < mint ? x->ooo_chunks[i].mint : mint;
            maxt = x->ooo_chunks[i].maxt > maxt ? x->ooo_chunks[i].maxt : maxt;
        }
        if (x && x->ooo.n) {
            mint = x->ooo.v[0].t < mint ? x->ooo.v[0].t : mint;
            maxt = x->ooo.v[x->ooo.n - 1].t > maxt ? x->ooo.v[x->ooo.n - 1].t : maxt;
        }
        lock_give(lock);
    }
    atomic_store(&h->ooo_mint, mint);
    atomic_store(&h->ooo_maxt, maxt);
}

static bool write_ooo_blocks(struct tsdb *db, wall_ms now, int64_t mint, int64_t maxt, struct err *err)
{
    struct head *h = &db->head;
    bool ok = true;
    for (int64_t t = floor_range(mint, h->o.block_ms); ok && t <= maxt; t += h->o.block_ms) {
        struct block_meta meta;
        bool written = false;
        fresh_meta(db, now, t, t + h->o.block_ms, &meta);
        meta.from_out_of_order = true;
        ok = head_write_ooo_block(h, tsdb_dir(db), t, t + h->o.block_ms, &meta, &written, err);
        counter_add(&db->stats.compactions, ok && written);
        block_meta_deinit(&meta);
    }
    return ok;
}

void tsdb_ooo_compact(struct tsdb *db, wall_ms now)
{
    struct head *h = &db->head;
    struct err err = { 0 };
    bool any = false;
    int64_t mint = time_load(&h->ooo_mint), maxt = time_load(&h->ooo_maxt);
    uint32_t segment = 0;
    uint64_t offset;
    if (maxt == TIME_NONE_MAX || h->ooo_drop_counts)
        return;
    if (h->has_wbl) {
        if (!wal_cut(&h->wbl, &err)) {
            log_error("Compaction of out-of-order data failed", LOG_ERR(&err));
            return;
        }
        wal_position(&h->wbl, &segment, &offset);
    }
    uint32_t n = head_slots(h);
    uint32_t *counts = map_all_ooo(h, n, &any);
    bool ok = !any || (write_ooo_blocks(db, now, mint, maxt, &err) && tsdb_reload(db, &err));
    if (!ok || !any) {
        if (!ok)
            log_error("Compaction of out-of-order data failed", LOG_ERR(&err));
        mem_free(counts);
        return;
    }
    if (h->has_wbl && !wal_truncate(&h->wbl, segment, &err))
        log_warn("Removing write-behind segments failed", LOG_ERR(&err));
    h->ooo_drop_counts = counts;
    h->ooo_drop_n = n;
    h->ooo_drop_epoch = isolation_next_epoch(&h->isolation);
}

/* Chunks that are in blocks leave when no reader is left that does not know those blocks. */
static void finish_ooo(struct head *h)
{
    if (!h->ooo_drop_counts || !isolation_readers_gone(&h->isolation, h->ooo_drop_epoch))
        return;
    drop_ooo(h, h->ooo_drop_counts, h->ooo_drop_n);
    mem_free(h->ooo_drop_counts);
    h->ooo_drop_counts = NULL;
}

/* ---- blocks ---- */

static void mark_failed(struct tsdb *db, struct block **v, size_t n)
{
    struct err err = { 0 };
    for (size_t i = 0; i < n; i++) {
        v[i]->meta.failed = true;
        if (!block_meta_write(db->fs, buf_view(&v[i]->dir.text), &v[i]->meta, &err))
            log_warn("Marking a block failed", LOG_ERR(&err));
    }
}

/* Nothing of the parents is left: they go at the next reload. */
static void mark_deletable(struct tsdb *db, struct block **v, size_t n)
{
    struct err err = { 0 };
    for (size_t i = 0; i < n; i++) {
        v[i]->meta.deletable = true;
        if (!block_meta_write(db->fs, buf_view(&v[i]->dir.text), &v[i]->meta, &err))
            log_warn("Marking a block failed", LOG_ERR(&err));
    }
}

static bool merge_some(struct tsdb *db, wall_ms now, struct block **v, size_t n, const _Atomic bool *stop)
{
    struct ulid ulid = tsdb_new_ulid(db, now);
    struct block_meta meta;
    struct err err = { 0 };
    bool written = false;
    struct stopwatch w = stopwatch_start();
    compact_meta(v, n, &ulid, &meta);
    counter_add(&db->stats.compactions_triggered, 1);
    bool ok = compact_blocks(db->fs, tsdb_dir(db), v, n, &meta, stop, &written, &err);
    if (ok) {
        counter_add(&db->stats.compactions, 1);
        histogram_observe(&db->stats.compaction_seconds, stopwatch_seconds(w));
        log_info("compact blocks", LOG_INT("count", n), LOG_INT("mint", meta.mint), LOG_INT("maxt", meta.maxt),
                 LOG_CSTR("ulid", ulid.text), LOG_F64("duration_seconds", stopwatch_seconds(w)));
        if (!written)
            mark_deletable(db, v, n);
    } else if (err.code != ERR_CANCELLED) {
        counter_add(&db->stats.compactions_failed, 1);
        log_error("compaction failed", LOG_ERR(&err));
        if (err.code == ERR_CORRUPT || err.code == ERR_INVALID)
            mark_failed(db, v, n);
    }
    block_meta_deinit(&meta);
    if (ok && !tsdb_reload(db, &err)) {
        log_error("Reloading blocks failed", LOG_ERR(&err));
        ok = false;
    }
    return ok;
}

/* An out-of-order block that reaches past what the head has given to blocks: merged with ordinary ones it would lose its
 * mark, and the next start would take its end for theirs and leave out what only the log has. */
static bool is_ahead(struct head *h, const struct block_meta *m)
{
    return !block_meta_is_in_order(m) && m->maxt > time_load(&h->min_valid);
}

/* One plan. False: nothing to do, or it failed. */
static bool merge_next(struct tsdb *db, wall_ms now, const _Atomic bool *stop)
{
    struct block_list all = tsdb_blocks(db, INT64_MIN, INT64_MAX);
    const struct block_meta **metas = mem_alloc_array(all.n, sizeof(struct block_meta *));
    size_t *picked = mem_alloc_array(all.n, sizeof *picked);
    struct block **v = mem_alloc_array(all.n, sizeof(struct block *));
    size_t candidates = 0;
    for (size_t i = 0; i < all.n; i++) {
        if (is_ahead(&db->head, &all.v[i]->meta))
            continue;
        v[candidates] = all.v[i];
        metas[candidates++] = &all.v[i]->meta;
    }
    size_t n = plan_compaction(metas, candidates, &db->ranges, !db->o.no_overlap_compaction, picked);
    for (size_t i = 0; i < n; i++)
        v[i] = v[picked[i]]; /* picked ascends: nothing is overwritten before it is read */
    bool done = n > 0 && merge_some(db, now, v, n, stop);
    mem_free(metas);
    mem_free(picked);
    mem_free(v);
    block_list_release(&all);
    return done;
}

/* ---- the step ---- */

bool tsdb_wants_maintenance(struct tsdb *db)
{
    return !db->o.read_only && head_is_compactable(&db->head);
}

void tsdb_maintain(struct tsdb *db, wall_ms now, const _Atomic bool *stop)
{
    struct head *h = &db->head;
    struct err err = { 0 };
    int64_t cut_to = INT64_MIN;
    if (db->o.read_only)
        return;
    lock_take(&db->work);
    write_waiting(db);
    finish_ooo(h);
    head_collect(h);
    while (!stopped(stop) && head_is_compactable(h) && cut_head(db, now, &cut_to))
        ;
    if (cut_to != INT64_MIN && !stopped(stop)) {
        if (!head_truncate_log(h, cut_to, &err))
            log_error("Truncating the log failed", LOG_ERR(&err));
        tsdb_ooo_compact(db, now);
        finish_ooo(h);
    }
    while (!stopped(stop) && !head_is_compactable(h) && merge_next(db, now, stop))
        ;
    struct err reload_err = { 0 };
    if (!stopped(stop) && !tsdb_reload(db, &reload_err))
        log_error("Reloading blocks failed", LOG_ERR(&reload_err));
    lock_give(&db->work);
}
