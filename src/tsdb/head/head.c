/* The head's life, its series and its times.
 *
 * H1  A series record never moves and its memory stays a series record for ever (slots are used again, segments are not
 *     given back), so that a stale reference can be looked at and found out.
 * H2  Labels, postings and slots change under the index lock held for writing only; samples under the series' stripe.
 * H3  mint and maxt cover all in-order samples that are in memory; min_valid is where in-order data begins that no block
 *     has. An empty head has mint INT64_MAX and maxt INT64_MIN.
 *
 * Bounds: SERIES_SEGMENTS * SERIES_PER_SEGMENT series at a time. */
#include "tsdb/head/head_int.h"

#include "base/mem.h"

void head_init(struct head *h, const struct tsdb_options *o, struct str dir)
{
    memset(h, 0, sizeof *h);
    h->fs = o->fs;
    h->o = *o;
    path_set(&h->dir, "%.*s", STR_ARG(dir));
    atomic_init(&h->mint, TIME_NONE_MIN);
    atomic_init(&h->maxt, TIME_NONE_MAX);
    atomic_init(&h->min_valid, INT64_MIN);
    atomic_init(&h->ooo_mint, TIME_NONE_MIN);
    atomic_init(&h->ooo_maxt, TIME_NONE_MAX);
    atomic_init(&h->ooo_window, o->out_of_order_ms);
    h->truncate_pending = INT64_MIN;
    h->next_ref = 1;
    isolation_init(&h->isolation);
    rwlock_init(&h->index_lock);
    lock_init(&h->pools_lock);
    pool_init(&h->pool);
    memindex_init(&h->index, &h->pool);
    for (size_t i = 0; i < STRIPES; i++)
        lock_init(&h->stripes[i].lock);
    h->exemplars = exemplar_ring_new(o->exemplars_max);
}

static void extra_free(struct series_extra *x)
{
    if (!x)
        return;
    histogram_chunk_deinit(&x->histogram);
    raw_samples_deinit(&x->ooo);
    if (x->ooo_memory_ready)
        arena_deinit(&x->ooo_memory);
    mem_free(x->ooo_chunks);
    intervals_deinit(&x->gone);
    mem_free(x->metadata);
    mem_free(x);
}

/* ---- memory of records ---- */

#define SEGMENT_BYTES     (SERIES_PER_SEGMENT * sizeof(struct head_series))
#define SEGMENTS_PER_HUGE (MEM_HUGE_BYTES / SEGMENT_BYTES)
#define SEGMENTS_SINGLE   64 /* the first so many come one by one; a multiple of the above */

static bool owns_memory(size_t segment)
{
    return segment < SEGMENTS_SINGLE || segment % SEGMENTS_PER_HUGE == 0;
}

/* Makes a segment, in a large head also those that follow it. */
static void add_segment(struct head *h, size_t segment)
{
    bool single = segment < SEGMENTS_SINGLE;
    size_t bytes = single ? SEGMENT_BYTES : MEM_HUGE_BYTES;
    char *p = mem_alloc_aligned(single ? POOL_LINE : MEM_HUGE_BYTES, bytes);
    ASSERT(owns_memory(segment));
    memset(p, 0, bytes);
    for (size_t i = 0; i < bytes / SEGMENT_BYTES; i++)
        h->segments[segment + i] = (struct head_series *)(void *)(p + i * SEGMENT_BYTES);
}

/* ---- life ---- */

void head_deinit(struct head *h)
{
    for (uint32_t slot = 0, n = head_slots(h); slot < n; slot++) {
        struct head_series *s = head_at(h, slot);
        extra_free(s->extra);
        if (s->full_capacity * sizeof *s->full > POOL_BLOCK_MAX)
            pool_give(&h->pool, s->full, s->full_capacity * sizeof *s->full);
        if (s->labels_count * sizeof *s->labels > POOL_BLOCK_MAX)
            pool_give(&h->pool, s->labels, s->labels_count * sizeof *s->labels);
    }
    while (h->garbage) {
        struct garbage *g = h->garbage;
        h->garbage = g->next;
        mem_free(g->slots);
        mem_free(g);
    }
    if (h->has_wal)
        wal_close(&h->wal);
    if (h->has_wbl)
        wal_close(&h->wbl);
    wal_times_deinit(&h->checkpoint_times);
    if (h->mapper.fs)
        mapper_close(&h->mapper);
    head_appenders_free(h);
    exemplar_ring_free(h->exemplars);
    for (size_t i = 0; i < SERIES_SEGMENTS; i++) {
        if (owns_memory(i))
            mem_free(h->segments[i]);
    }
    for (size_t i = 0; i < STRIPES; i++) {
        mem_free(h->stripes[i].old);
        lock_deinit(&h->stripes[i].lock);
    }
    mem_free(h->free_slots);
    mem_free(h->doomed);
    mem_free(h->ooo_drop_counts);
    map64_deinit(&h->kept_refs);
    memindex_deinit(&h->index);
    pool_deinit(&h->pool);
    isolation_deinit(&h->isolation);
    rwlock_deinit(&h->index_lock);
    lock_deinit(&h->pools_lock);
    path_deinit(&h->dir);
}

/* ---- times ---- */

static void lower(_Atomic int64_t *t, int64_t v)
{
    int64_t was = atomic_load_explicit(t, memory_order_relaxed);
    while (v < was && !atomic_compare_exchange_weak_explicit(t, &was, v, memory_order_relaxed, memory_order_relaxed))
        ;
}

static void raise(_Atomic int64_t *t, int64_t v)
{
    int64_t was = atomic_load_explicit(t, memory_order_relaxed);
    while (v > was && !atomic_compare_exchange_weak_explicit(t, &was, v, memory_order_relaxed, memory_order_relaxed))
        ;
}

void head_observe_times(struct head *h, int64_t mint, int64_t maxt)
{
    lower(&h->mint, mint);
    raise(&h->maxt, maxt);
}

void head_observe_ooo_times(struct head *h, int64_t mint, int64_t maxt)
{
    lower(&h->ooo_mint, mint);
    raise(&h->ooo_maxt, maxt);
}

bool head_is_empty(struct head *h)
{
    return time_load(&h->mint) == TIME_NONE_MIN;
}

bool head_is_compactable(struct head *h)
{
    int64_t mint = time_load(&h->mint), maxt = time_load(&h->maxt);
    return mint != TIME_NONE_MIN && maxt > mint && maxt - mint > h->o.block_ms / 2 * 3;
}

int64_t head_lowest(struct head *h)
{
    int64_t valid = time_load(&h->min_valid), maxt = time_load(&h->maxt);
    if (maxt == TIME_NONE_MAX || maxt < INT64_MIN + h->o.block_ms)
        return valid;
    int64_t recent = maxt - h->o.block_ms / 2;
    return recent > valid ? recent : valid;
}

/* ---- series ---- */

struct series_extra *series_extra(struct head_series *s)
{
    if (!s->extra)
        s->extra = MEM_NEW(struct series_extra);
    return s->extra;
}

static bool same_labels(const struct head *h, const struct head_series *s, struct labels ls)
{
    if (s->labels_count != ls.n)
        return false;
    for (size_t i = 0; i < ls.n; i++) {
        if (!str_eq(memindex_text(&h->index, s->labels[i].value), ls.v[i].value) ||
            !str_eq(memindex_text(&h->index, s->labels[i].name), ls.v[i].name))
            return false;
    }
    return true;
}

static struct head_series *find(const struct head *h, struct labels ls, uint32_t hash, uint32_t *slot)
{
    size_t cursor = 0;
    for (uint32_t at; (at = memindex_candidate(&h->index, hash, &cursor)) != 0;) {
        struct head_series *s = head_at(h, at - 1);
        if (s->hash == hash && same_labels(h, s, ls)) {
            *slot = at - 1;
            return s;
        }
    }
    return NULL;
}

/* A slot for a new series; false: the bound is reached. */
static bool take_slot(struct head *h, uint32_t *slot)
{
    if (h->free_count) {
        *slot = h->free_slots[--h->free_count];
        return true;
    }
    *slot = head_slots(h);
    if (*slot == SERIES_SEGMENTS * SERIES_PER_SEGMENT)
        return false;
    if (!h->segments[*slot / SERIES_PER_SEGMENT])
        add_segment(h, *slot / SERIES_PER_SEGMENT);
    atomic_store_explicit(&h->slots_count, *slot + 1, memory_order_release);
    return true;
}

static struct head_series *create(struct head *h, struct labels ls, uint32_t hash, uint64_t ref, uint32_t *slot)
{
    size_t got;
    if (ls.n > UINT16_MAX || h->index.next_id >= UINT32_MAX - 1 || !take_slot(h, slot))
        return NULL;
    struct head_series *s = head_at(h, *slot);
    uint64_t own_ref = ref ? ref : h->next_ref;
    if (own_ref >= h->next_ref)
        h->next_ref = own_ref + 1;
    struct sym_pair *pairs = pool_take(&h->pool, ls.n * sizeof *pairs, &got);
    memindex_intern(&h->index, ls, pairs);
    s->labels = pairs;
    s->labels_count = (uint16_t)ls.n;
    s->hash = hash;
    s->unlogged_by = UNLOGGED_NOBODY;
    s->id = memindex_add(&h->index, *slot, hash, pairs, ls.n);
    __atomic_store_n(&s->ref, own_ref, __ATOMIC_RELEASE);
    atomic_store_explicit(&s->state, SERIES_LIVE, memory_order_release);
    h->series_count++;
    gauge_set(&h->stats.series, (double)h->series_count);
    counter_add_shared(&h->stats.series_created, 1);
    return s;
}

struct head_series *head_series_get(struct head *h, struct labels ls, uint64_t ref, bool make, bool *created,
                                    uint32_t *slot)
{
    uint32_t hash = labels_hash32(ls);
    *created = false;
    rwlock_take_read(&h->index_lock);
    struct head_series *s = find(h, ls, hash, slot);
    rwlock_give_read(&h->index_lock);
    if (s || !make)
        return s;
    rwlock_take_write(&h->index_lock);
    s = find(h, ls, hash, slot);
    if (!s) {
        s = create(h, ls, hash, ref, slot);
        *created = s != NULL;
    }
    rwlock_give_write(&h->index_lock);
    return s;
}

bool series_labels(const struct head *h, const struct head_series *s, struct arena *a, struct labels *out)
{
    struct label *v = arena_try_alloc_array(a, (size_t)s->labels_count + 1, sizeof *v);
    if (!v)
        return false;
    for (size_t i = 0; i < s->labels_count; i++) {
        v[i].name = memindex_text(&h->index, s->labels[i].name);
        v[i].value = memindex_text(&h->index, s->labels[i].value);
    }
    *out = (struct labels){ v, s->labels_count };
    return true;
}

int series_compare(const struct head *h, const struct head_series *a, const struct head_series *b)
{
    size_t n = a->labels_count < b->labels_count ? a->labels_count : b->labels_count;
    for (size_t i = 0; i < n; i++) {
        struct sym_pair x = a->labels[i], y = b->labels[i];
        if (x.name != y.name)
            return str_cmp(memindex_text(&h->index, x.name), memindex_text(&h->index, y.name));
        if (x.value != y.value)
            return str_cmp(memindex_text(&h->index, x.value), memindex_text(&h->index, y.value));
    }
    return a->labels_count < b->labels_count ? -1 : a->labels_count > b->labels_count;
}
