/* Taking out of memory what is in blocks, and series that have nothing left.
 *
 * G1  Chunks below the truncation time go when no reader is left that was opened before it and reads from below it: such a
 *     reader does not know the block that has them.
 * G2  A series without data is doomed first. Appenders that were open then may have found it alive, so it dies only when
 *     they are gone and nobody wanted it meanwhile. Its record, labels and symbols are freed when the readers that were
 *     open at its death are gone.
 * G3  Everything here runs on the maintenance thread and never waits: what cannot be done yet is done by the next call.
 * G4  References of dead series are remembered until their samples have left the log, so that a checkpoint keeps their
 *     series records. */
#include "tsdb/head/head_int.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/stopwatch.h"
#include "tsdb/wal/checkpoint_int.h"

#define SLICE 1024 /* series whose removal holds the index lock at a time */

void head_truncate(struct head *h, int64_t mint)
{
    if (mint > time_load(&h->min_valid))
        atomic_store(&h->min_valid, mint);
    if (mint > time_load(&h->mint) && !head_is_empty(h))
        atomic_store(&h->mint, mint);
    if (mint > h->truncate_pending)
        h->truncate_pending = mint;
    h->truncate_epoch = isolation_next_epoch(&h->isolation);
    counter_add_shared(&h->stats.truncations, 1);
}

/* ---- chunks ---- */

struct left { /* what a pass over all series found */
    int64_t mint;
    bool blocked; /* a series without in-order data keeps the head's times where they are */
    uint32_t lowest_file;
    uint64_t chunks;
};

static void note_file(struct left *l, uint64_t ref)
{
    uint32_t file = (uint32_t)(ref >> 32);
    if (file < l->lowest_file)
        l->lowest_file = file;
}

static void drop_below(struct head *h, struct head_series *s, int64_t mint)
{
    size_t n = 0;
    while (n < s->full_count && s->full[n].mint + (int64_t)s->full[n].span < mint)
        n++;
    if (n) {
        memmove(s->full, s->full + n, (s->full_count - n) * sizeof *s->full);
        s->full_count = (uint16_t)(s->full_count - n);
        counter_add(&h->stats.chunks_removed, n);
    }
    if (s->open != OPEN_NONE && s->floats.t < mint) {
        counter_add(&h->stats.chunks_removed, (uint64_t)s->full_count + 1);
        series_drop_chunks(h, s);
    } else if (s->full_count == 0 && s->full) {
        pool_give(&h->pool, s->full, s->full_capacity * sizeof *s->full);
        s->full = NULL;
        s->full_capacity = 0;
    }
    for (int i = 0; i < 2; i++) {
        if (!isolation_needed(&h->isolation, s->commit[i]))
            s->commit[i] = 0; /* numbers wrap: none is kept for long */
    }
    if (s->extra)
        intervals_cut(&s->extra->gone, mint);
}

static bool has_data(const struct head_series *s)
{
    return s->open != OPEN_NONE || s->full_count || (s->extra && (s->extra->ooo.n || s->extra->ooo_chunks_count));
}

static void note_left(const struct head_series *s, struct left *l)
{
    int64_t mint = series_mint(s);
    if (mint == INT64_MAX)
        l->blocked = true;
    else if (mint < l->mint)
        l->mint = mint;
    for (size_t i = 0; i < s->full_count; i++)
        note_file(l, s->full[i].ref);
    for (size_t i = 0; s->extra && i < s->extra->ooo_chunks_count; i++)
        note_file(l, s->extra->ooo_chunks[i].ref);
    l->chunks += (uint64_t)s->full_count + (s->open != OPEN_NONE);
}

static void doom(struct head *h, struct head_series *s, uint32_t slot)
{
    atomic_store_explicit(&s->state, SERIES_DOOMED, memory_order_seq_cst);
    h->doomed[h->doomed_count++] = slot;
}

/* One pass: drops, and dooms series that have nothing left. */
static void pass(struct head *h, int64_t mint, struct left *l)
{
    *l = (struct left){ .mint = INT64_MAX, .lowest_file = UINT32_MAX };
    bool dooming = h->doomed_count == 0;
    uint32_t slots = head_slots(h);
    if (dooming) {
        mem_free(h->doomed);
        h->doomed = mem_alloc_array(slots, sizeof *h->doomed);
    }
    for (uint32_t slot = 0; slot < slots; slot++) {
        struct head_series *s = head_at(h, slot);
        if (series_ref_load(s) == 0 || atomic_load_explicit(&s->state, memory_order_relaxed) == SERIES_DEAD)
            continue;
        struct lock *lock = &head_stripe(h, s)->lock;
        lock_take(lock);
        drop_below(h, s, mint);
        if (has_data(s))
            note_left(s, l);
        else if (dooming)
            doom(h, s, slot);
        lock_give(lock);
    }
    if (dooming)
        h->doomed_epoch = isolation_next_epoch(&h->isolation);
}

/* The head begins where its oldest chunk does, or where appenders may still write. */
static void settle_times(struct head *h, const struct left *l)
{
    if (l->blocked || l->mint <= time_load(&h->mint))
        return;
    int64_t lowest = head_lowest(h), to = l->mint < lowest ? l->mint : lowest;
    if (to > time_load(&h->mint)) {
        atomic_store(&h->mint, to);
        atomic_store(&h->min_valid, to);
    }
}

static void collect_chunks(struct head *h)
{
    struct left l;
    struct stopwatch w = stopwatch_start();
    if (h->truncate_pending == INT64_MIN ||
        !isolation_no_reader_below(&h->isolation, h->truncate_epoch, h->truncate_pending))
        return;
    pass(h, h->truncate_pending, &l);
    h->truncate_pending = INT64_MIN;
    gauge_set(&h->stats.chunks, (double)l.chunks);
    if (h->opening)
        return;
    settle_times(h, &l);
    mapper_truncate(&h->mapper, l.lowest_file);
    struct garbage *g = MEM_NEW(struct garbage); /* stands for the files that were dropped */
    g->epoch = isolation_next_epoch(&h->isolation);
    g->next = h->garbage;
    h->garbage = g;
    fcounter_add(&h->stats.gc_seconds, stopwatch_seconds(w));
}

/* ---- series ---- */

/* Times as values of a map, which are never NULL. */
static void *time_as_pointer(int64_t t)
{
    return (void *)(uintptr_t)((uint64_t)(t < INT64_MAX ? t : t - 1) + (UINT64_C(1) << 63) + 1);
}
static int64_t pointer_as_time(void *p)
{
    return (int64_t)((uint64_t)(uintptr_t)p - 1 - (UINT64_C(1) << 63));
}

void head_keep_ref(struct head *h, uint64_t ref)
{
    map64_put(&h->kept_refs, ref, time_as_pointer(time_load(&h->maxt)));
}

static void remove_slice(struct head *h, const uint32_t *slots, size_t n, struct garbage *g)
{
    rwlock_take_write(&h->index_lock);
    for (size_t i = 0; i < n; i++) {
        struct head_series *s = head_at(h, slots[i]);
        uint8_t doomed = SERIES_DOOMED;
        struct lock *lock = &head_stripe(h, s)->lock;
        lock_take(lock);
        bool dies = !has_data(s) && atomic_compare_exchange_strong(&s->state, &doomed, SERIES_DEAD);
        if (!dies && doomed == SERIES_DOOMED)
            atomic_store(&s->state, SERIES_LIVE);
        lock_give(lock);
        if (!dies)
            continue;
        memindex_remove(&h->index, s->id, slots[i], s->hash, s->labels, s->labels_count);
        head_keep_ref(h, s->ref);
        h->series_count--;
        counter_add_shared(&h->stats.series_removed, 1);
        g->slots[g->slots_count++] = slots[i];
    }
    rwlock_give_write(&h->index_lock);
}

static void collect_series(struct head *h)
{
    if (h->doomed_count == 0 || !isolation_appenders_gone(&h->isolation, h->doomed_epoch))
        return;
    struct garbage *g = MEM_NEW(struct garbage);
    g->slots = mem_alloc_array(h->doomed_count, sizeof *g->slots);
    for (size_t i = 0; i < h->doomed_count; i += SLICE)
        remove_slice(h, h->doomed + i, h->doomed_count - i < SLICE ? h->doomed_count - i : SLICE, g);
    rwlock_take_write(&h->index_lock);
    memindex_sweep(&h->index);
    gauge_set(&h->stats.series, (double)h->series_count);
    rwlock_give_write(&h->index_lock);
    h->doomed_count = 0;
    g->epoch = isolation_next_epoch(&h->isolation);
    g->next = h->garbage;
    h->garbage = g;
}

static void free_series(struct head *h, uint32_t slot)
{
    struct head_series *s = head_at(h, slot);
    memindex_release_symbols(&h->index, s->labels, s->labels_count);
    pool_give(&h->pool, s->labels, s->labels_count * sizeof *s->labels);
    series_drop_chunks(h, s);
    if (s->extra) {
        struct series_extra *x = s->extra;
        histogram_chunk_deinit(&x->histogram);
        raw_samples_deinit(&x->ooo);
        if (x->ooo_memory_ready)
            arena_deinit(&x->ooo_memory);
        mem_free(x->ooo_chunks);
        intervals_deinit(&x->gone);
        mem_free(x->metadata);
        mem_free(x);
    }
    __atomic_store_n(&s->ref, 0, __ATOMIC_RELEASE);
    s->labels = NULL;
    s->labels_count = 0;
    s->extra = NULL;
    s->commit[0] = s->commit[1] = 0;
    s->total = 0;
    if (h->free_count == h->free_capacity) {
        h->free_capacity = mem_grow(h->free_capacity, h->free_count + 1);
        h->free_slots = mem_realloc_array(h->free_slots, h->free_capacity, sizeof *h->free_slots);
    }
    h->free_slots[h->free_count++] = slot;
}

static void free_garbage(struct head *h)
{
    struct garbage **at = &h->garbage;
    bool waiting = false;
    while (*at) {
        struct garbage *g = *at;
        if (!isolation_readers_gone(&h->isolation, g->epoch)) {
            waiting = true;
            at = &g->next;
            continue;
        }
        *at = g->next;
        rwlock_take_write(&h->index_lock);
        for (size_t i = 0; i < g->slots_count; i++)
            free_series(h, g->slots[i]);
        rwlock_give_write(&h->index_lock);
        mem_free(g->slots);
        mem_free(g);
    }
    if (!waiting)
        mapper_free_dropped(&h->mapper);
}

void head_collect(struct head *h)
{
    collect_chunks(h);
    collect_series(h);
    free_garbage(h);
}

/* ---- the log ---- */

struct keep {
    struct head *h;
    struct map64 live; /* refs of series in the head */
    int64_t mint;
};

static bool keep_series(void *arg, uint64_t ref)
{
    const struct keep *k = arg;
    if (map64_get(&k->live, ref))
        return true;
    void *until = map64_get(&k->h->kept_refs, ref);
    return until && pointer_as_time(until) >= k->mint;
}

static void forget_refs(struct head *h, int64_t mint)
{
    struct map64 left = { 0 };
    void *until;
    for (size_t i = 0; (until = map64_next(&h->kept_refs, &i)) != NULL;) {
        if (pointer_as_time(until) >= mint)
            map64_put(&left, map64_key_at(&h->kept_refs, i), until);
    }
    map64_deinit(&h->kept_refs);
    h->kept_refs = left;
}

static void live_refs(struct head *h, struct map64 *out)
{
    for (uint32_t slot = 0, n = head_slots(h); slot < n; slot++) {
        struct head_series *s = head_at(h, slot);
        uint64_t ref = series_ref_load(s);
        if (ref && atomic_load_explicit(&s->state, memory_order_relaxed) != SERIES_DEAD)
            map64_put(out, ref, s);
    }
}

bool head_truncate_log(struct head *h, int64_t mint, struct err *err)
{
    struct wal_segments s = { 0 };
    struct stopwatch w = stopwatch_start();
    struct str dir = buf_view(&h->wal.dir.text);
    struct keep k = { .h = h, .mint = mint };
    if (!h->has_wal || !wal_segments_list(h->fs, dir, &s, err))
        return !h->has_wal;
    int64_t first = s.n ? s.v[0] : 0, last = s.n ? (int64_t)s.v[s.n - 1] - 1 : -1;
    wal_segments_deinit(&s);
    if (!wal_cut(&h->wal, err))
        return false;
    if (last < 0)
        return true;
    int64_t upto = first + (last - first) * 2 / 3;
    if (upto <= first)
        return true;
    live_refs(h, &k.live);
    counter_add(&h->stats.checkpoints, 1);
    struct wal_times times;
    wal_times_now(&h->wal, &times);
    struct checkpoint_plan plan = { .fs = h->fs, .dir = dir, .first = (uint32_t)first, .upto = (uint32_t)upto, .mint = mint,
                                    .keep = keep_series, .arg = &k, .log_times = &times,
                                    .checkpoint_times = &h->checkpoint_times };
    bool ok = checkpoint_write(&plan, err);
    wal_times_deinit(&times);
    map64_deinit(&k.live);
    if (!ok) {
        counter_add(&h->stats.checkpoints_failed, 1);
        return false;
    }
    ok = wal_truncate(&h->wal, (uint32_t)upto + 1, err) && checkpoints_remove_below(h->fs, dir, (uint32_t)upto, err);
    counter_add(&h->stats.checkpoint_deletions, 1);
    forget_refs(h, mint);
    fcounter_add(&h->stats.wal_truncate_seconds, stopwatch_seconds(w));
    return ok;
}
