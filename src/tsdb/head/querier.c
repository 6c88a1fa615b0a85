/* Reading the head.
 *
 * Q1  A querier is registered from opening to closing: what it may see was decided then, and no text or file it may have
 *     met is freed before.
 * Q2  Postings are matched and sorted under the index lock; samples are copied under the stripe, series by series, when
 *     they are asked for, and decoded outside of any lock.
 * Q3  What a read needs beside its result lives in `scratch`, which is reset from series to series. */
#include "tsdb/head/head_int.h"

#include "base/mem.h"
#include "storage/merge.h"
#include "tsdb/chunkenc/chunk_int.h"

#include <stdlib.h>

#define LABELS_AHEAD 64 /* series whose labels are made under one taking of the index lock */

struct head_querier {
    struct querier base;
    struct head *h;
    struct isolation_user user;
    struct arena scratch;
    struct buf bytes;
};
struct head_view {
    struct series base;
    struct head_querier *q;
    uint32_t slot;
};
struct head_set {
    struct series_set base;
    struct head_querier *q;
    uint32_t *slots;
    size_t n, at, left;
    struct series *ready[LABELS_AHEAD];
    size_t ready_n, ready_at;
};

/* ---- a series ---- */

static void drop_hidden(struct columns *out, size_t n0, size_t hn0, size_t hidden)
{
    for (; hidden > 0 && (out->n > n0 || out->hn > hn0); hidden--) {
        bool h = out->hn > hn0 && (out->n == n0 || out->ht[out->hn - 1] > out->t[out->n - 1]);
        if (h)
            out->hn--;
        else
            out->n--;
    }
}

/* In the rare case that samples of full chunks must be hidden, those chunks are read whole first. */
static bool read_full_hidden(struct head_querier *q, const struct series_view *v, int64_t mint, int64_t maxt,
                             struct columns *out, struct err *err)
{
    struct columns all = { 0 };
    uint8_t encoding;
    struct str bytes;
    bool ok = true;
    for (size_t i = 0; ok && i < v->full_count; i++)
        ok = mapper_read(&q->h->mapper, v->full[i].ref, &q->bytes, &encoding, &bytes, err) &&
             chunk_decode(encoding, bytes, INT64_MIN, INT64_MAX, &all, err);
    if (ok)
        drop_hidden(&all, 0, 0, v->hidden);
    for (size_t i = 0; ok && i < all.n; i++) {
        if (all.t[i] >= mint && all.t[i] <= maxt)
            columns_push(out, all.t[i], all.v[i]);
    }
    for (size_t i = 0; ok && i < all.hn; i++) {
        if (all.ht[i] < mint || all.ht[i] > maxt)
            continue;
        struct float_histogram *h = ARENA_NEW(columns_arena(out), struct float_histogram);
        float_histogram_copy(columns_arena(out), all.h[i], h);
        columns_push_histogram(out, all.ht[i], h);
    }
    columns_deinit(&all);
    return ok;
}

static bool read_in_order(struct head_querier *q, const struct series_view *v, int64_t mint, int64_t maxt,
                          struct columns *out, struct err *err)
{
    uint8_t encoding;
    struct str bytes;
    if (UNLIKELY(v->hidden > 0)) {
        if (!read_full_hidden(q, v, mint, maxt, out, err))
            return false;
    } else {
        for (size_t i = 0; i < v->full_count; i++) {
            if (!mapper_read(&q->h->mapper, v->full[i].ref, &q->bytes, &encoding, &bytes, err) ||
                !chunk_decode(encoding, bytes, mint, maxt, out, err))
                return false;
        }
    }
    return v->open_encoding == CHUNK_NONE || chunk_decode(v->open_encoding, v->open, mint, maxt, out, err);
}

static bool read_ooo(struct head_querier *q, const struct series_view *v, size_t n0, size_t hn0, int64_t mint, int64_t maxt,
                     struct columns *out, struct err *err)
{
    uint8_t encoding;
    struct str bytes;
    for (size_t i = 0; i < v->ooo_count; i++) {
        size_t n1 = out->n, hn1 = out->hn;
        if (!mapper_read(&q->h->mapper, v->ooo[i].ref, &q->bytes, &encoding, &bytes, err) ||
            !chunk_decode(encoding, bytes, mint, maxt, out, err))
            return false;
        columns_join_runs(out, n0, hn0, n1, hn1);
    }
    size_t n1 = out->n, hn1 = out->hn;
    for (size_t i = 0; i < v->ooo_open_count; i++) {
        const struct raw_sample *s = &v->ooo_open[i];
        if (s->t < mint || s->t > maxt)
            continue;
        if (!s->h && !s->fh) {
            columns_push(out, s->t, f64_from_bits(s->v));
            continue;
        }
        struct float_histogram *h = ARENA_NEW(columns_arena(out), struct float_histogram);
        if (s->h)
            float_histogram_from_int(columns_arena(out), s->h, h);
        else
            float_histogram_copy(columns_arena(out), s->fh, h);
        if (h->hint != RESET_GAUGE)
            h->hint = RESET_UNKNOWN;
        columns_push_histogram(out, s->t, h);
    }
    columns_join_runs(out, n0, hn0, n1, hn1);
    return true;
}

static bool out_of_memory(struct err *err)
{
    return err_set(err, ERR_LIMIT, "too many series: the query's memory is full");
}

static bool look(struct head_view *v, int64_t *mint, int64_t *maxt, struct series_view *out, struct err *err)
{
    struct head_querier *q = v->q;
    *mint = *mint > q->base.mint ? *mint : q->base.mint;
    *maxt = *maxt < q->base.maxt ? *maxt : q->base.maxt;
    arena_reset(&q->scratch);
    return series_look(q->h, head_at(q->h, v->slot), v->slot, &q->user, *mint, *maxt, &q->scratch, out) ||
           out_of_memory(err);
}

static bool view_read(struct series *base, int64_t mint, int64_t maxt, struct columns *out, struct err *err)
{
    struct head_view *v = container_of(base, struct head_view, base);
    struct series_view seen;
    size_t n0 = out->n, hn0 = out->hn;
    if (!look(v, &mint, &maxt, &seen, err) || !read_in_order(v->q, &seen, mint, maxt, out, err) ||
        !read_ooo(v->q, &seen, n0, hn0, mint, maxt, out, err))
        return err_wrap(err, "head");
    struct intervals gone = { .v = seen.gone, .n = seen.gone_count };
    columns_drop_intervals(out, n0, hn0, &gone);
    return true;
}

static bool show(const struct encoded_chunk *c, const struct intervals *gone, chunk_visit *visit, void *arg, struct err *err)
{
    if (intervals_contain(gone, c->mint, c->maxt))
        return true;
    return intervals_overlap(gone, c->mint, c->maxt) ? chunk_without(c, gone, visit, arg, err) : visit(arg, c, err);
}

static bool show_mapped(struct head_querier *q, uint64_t ref, int64_t mint, int64_t maxt, const struct intervals *gone,
                        chunk_visit *visit, void *arg, struct err *err)
{
    struct encoded_chunk c = { .mint = mint, .maxt = maxt };
    return mapper_read(&q->h->mapper, ref, &q->bytes, &c.encoding, &c.bytes, err) && show(&c, gone, visit, arg, err);
}

static bool view_chunks(struct series *base, int64_t mint, int64_t maxt, chunk_visit *visit, void *arg, struct err *err)
{
    struct head_view *v = container_of(base, struct head_view, base);
    struct series_view seen;
    if (!look(v, &mint, &maxt, &seen, err))
        return false;
    struct intervals gone = { .v = seen.gone, .n = seen.gone_count };
    bool ok = true;
    for (size_t i = 0; ok && i < seen.full_count; i++) {
        const struct head_chunk *c = &seen.full[i];
        ok = show_mapped(v->q, c->ref, c->mint, c->mint + (int64_t)c->span, &gone, visit, arg, err);
    }
    if (ok && seen.open_encoding != CHUNK_NONE) {
        struct encoded_chunk c = { seen.open_mint, seen.open_maxt, seen.open_encoding, seen.open };
        ok = show(&c, &gone, visit, arg, err);
    }
    for (size_t i = 0; ok && i < seen.ooo_count; i++)
        ok = show_mapped(v->q, seen.ooo[i].ref, seen.ooo[i].mint, seen.ooo[i].maxt, &gone, visit, arg, err);
    struct raw_samples open = { .v = seen.ooo_open, .n = seen.ooo_open_count };
    return ok && raw_encode(&open, (struct raw_limits){ 0 }, visit, arg, err);
}

static const struct series_ops view_ops = { .read = view_read, .chunks = view_chunks };

/* ---- a set ---- */

static bool overlaps(struct head *h, struct head_series *s, int64_t mint, int64_t maxt)
{
    struct lock *lock = &head_stripe(h, s)->lock;
    bool yes = false;
    lock_take(lock);
    if (s->open != OPEN_NONE) /* the open chunk counts as if it had no end */
        yes = s->chunk_mint <= maxt;
    for (size_t i = 0; !yes && i < s->full_count; i++)
        yes = s->full[i].mint <= maxt && s->full[i].mint + (int64_t)s->full[i].span >= mint;
    const struct series_extra *x = s->extra;
    for (size_t i = 0; x && !yes && i < x->ooo_chunks_count; i++)
        yes = x->ooo_chunks[i].mint <= maxt && x->ooo_chunks[i].maxt >= mint;
    if (x && !yes && x->ooo.n)
        yes = x->ooo.v[0].t <= maxt && x->ooo.v[x->ooo.n - 1].t >= mint;
    lock_give(lock);
    return yes;
}

static bool fill_ready(struct head_set *set, struct err *err)
{
    struct head_querier *q = set->q;
    bool ok = true;
    set->ready_n = set->ready_at = 0;
    rwlock_take_read(&q->h->index_lock);
    while (ok && set->at < set->n && set->ready_n < LABELS_AHEAD && set->left) {
        uint32_t slot = set->slots[set->at++];
        struct head_series *s = head_at(q->h, slot);
        if (!overlaps(q->h, s, q->base.mint, q->base.maxt))
            continue;
        struct head_view *v = arena_try_alloc(q->base.arena, sizeof *v);
        ok = v && series_labels(q->h, s, q->base.arena, &v->base.labels);
        if (ok) {
            v->base.ops = &view_ops;
            v->q = q;
            v->slot = slot;
            set->ready[set->ready_n++] = &v->base;
            set->left--;
        }
    }
    rwlock_give_read(&q->h->index_lock);
    return ok || out_of_memory(err);
}

static bool set_next(struct series_set *base, struct series **out, struct err *err)
{
    struct head_set *set = container_of(base, struct head_set, base);
    *out = NULL;
    if (set->ready_at == set->ready_n && !fill_ready(set, err))
        return false;
    if (set->ready_at < set->ready_n)
        *out = set->ready[set->ready_at++];
    return true;
}

static const struct series_set_ops set_ops = { .next = set_next };

/* ---- selecting ---- */

bool head_matching(struct head *h, const struct matchers *ms, struct arena *a, uint32_t **slots, size_t *n, struct err *err)
{
    struct postings *p = postings_for_matchers(&h->index.source, a, ms, err);
    if (!p)
        return false;
    *slots = arena_try_alloc_array(a, p->estimate + 1, sizeof **slots);
    *n = 0;
    if (!*slots)
        return out_of_memory(err);
    while (postings_next(p)) {
        uint32_t slot = memindex_slot(&h->index, p->at);
        if (slot)
            (*slots)[(*n)++] = slot - 1;
    }
    return true;
}

static int by_labels(const void *x, const void *y, void *arg)
{
    const struct head *h = arg;
    return series_compare(h, head_at(h, *(const uint32_t *)x), head_at(h, *(const uint32_t *)y));
}

uint32_t *head_sorted_slots(struct head *h, size_t *n)
{
    rwlock_take_read(&h->index_lock);
    uint32_t *slots = mem_alloc_array(h->index.all.n, sizeof *slots);
    const uint32_t *ids = id_list_at(&h->index.all);
    *n = 0;
    for (uint32_t i = 0; i < h->index.all.n; i++) {
        uint32_t slot = memindex_slot(&h->index, ids[i]);
        if (slot)
            slots[(*n)++] = slot - 1;
    }
    if (*n)
        qsort_r(slots, *n, sizeof *slots, by_labels, h);
    rwlock_give_read(&h->index_lock);
    return slots;
}

static struct head_querier *querier_of(struct querier *q)
{
    return container_of(q, struct head_querier, base);
}

static bool head_select(struct querier *base, const struct matchers *ms, const struct select_hints *hints,
                        struct series_set **out, struct err *err)
{
    struct head_querier *q = querier_of(base);
    struct head_set *set = ARENA_NEW(base->arena, struct head_set);
    *set = (struct head_set){ .base = { &set_ops }, .q = q, .left = hints && hints->limit ? hints->limit : SIZE_MAX };
    rwlock_take_read(&q->h->index_lock);
    bool ok = head_matching(q->h, ms, base->arena, &set->slots, &set->n, err);
    if (ok && set->n > 1 && !(hints && hints->unsorted))
        qsort_r(set->slots, set->n, sizeof *set->slots, by_labels, q->h);
    rwlock_give_read(&q->h->index_lock);
    *out = &set->base;
    return ok;
}

/* ---- names and values ---- */

static int by_text(const void *x, const void *y)
{
    const struct str *a = x, *b = y;
    return str_cmp(*a, *b);
}

static int by_sym(const void *x, const void *y)
{
    sym a = *(const sym *)x, b = *(const sym *)y;
    return a < b ? -1 : a > b;
}

/* Distinct syms as sorted texts. */
static bool syms_to_strs(struct head_querier *q, sym *v, size_t n, size_t limit, struct strs *out, struct err *err)
{
    size_t unique = 0;
    if (n)
        qsort(v, n, sizeof *v, by_sym);
    for (size_t i = 0; i < n; i++) {
        if (unique == 0 || v[unique - 1] != v[i])
            v[unique++] = v[i];
    }
    out->v = arena_try_alloc_array(q->base.arena, unique + 1, sizeof *out->v);
    if (!out->v)
        return out_of_memory(err);
    for (size_t i = 0; i < unique; i++)
        out->v[out->n++] = memindex_text(&q->h->index, v[i]);
    if (out->n)
        qsort(out->v, out->n, sizeof *out->v, by_text);
    if (limit && out->n > limit)
        out->n = limit;
    return true;
}

static bool values_of_name(struct head_querier *q, struct str name, const struct matchers *ms, size_t limit,
                           struct strs *out, struct err *err)
{
    size_t n;
    struct index_entry **v = memindex_values(&q->h->index, name, &n);
    out->v = arena_try_alloc_array(q->base.arena, (limit && limit < n ? limit : n) + 1, sizeof *out->v);
    for (size_t i = 0; out->v && i < n && (limit == 0 || out->n < limit); i++) {
        struct str text = memindex_text(&q->h->index, v[i]->value);
        bool wanted = true;
        for (size_t k = 0; wanted && ms && k < ms->n; k++)
            wanted = matcher_matches_value(&ms->v[k], text);
        if (wanted)
            out->v[out->n++] = text;
    }
    memindex_values_done(&q->h->index);
    return out->v || out_of_memory(err);
}

/* Syms of the values of `name` (or, with p == NULL, of all names) of the series that match. */
static bool gather_syms(struct head_querier *q, const struct matchers *ms, struct str name, sym **v, size_t *n,
                        struct err *err)
{
    struct head *h = q->h;
    uint32_t *slots;
    size_t slots_n, capacity = 0;
    sym wanted = name.p ? symtab_find(h->index.symbols, name) : UINT32_MAX;
    *v = NULL;
    *n = 0;
    if (!head_matching(h, ms, q->base.arena, &slots, &slots_n, err))
        return false;
    for (size_t i = 0; i < slots_n; i++) {
        const struct head_series *s = head_at(h, slots[i]);
        for (size_t k = 0; k < s->labels_count; k++) {
            if (name.p && s->labels[k].name != wanted)
                continue;
            if (*n == capacity) {
                capacity = mem_grow(capacity, *n + 1);
                *v = mem_realloc_array(*v, capacity, sizeof **v);
            }
            sym got = name.p ? s->labels[k].value : s->labels[k].name;
            if (*n == 0 || (*v)[*n - 1] != got)
                (*v)[(*n)++] = got;
        }
    }
    return true;
}

static bool head_label_values(struct querier *base, struct str name, const struct matchers *ms, size_t limit,
                              struct strs *out, struct err *err)
{
    struct head_querier *q = querier_of(base);
    bool others = false, ok;
    *out = (struct strs){ 0 };
    for (size_t i = 0; ms && i < ms->n; i++)
        others |= !str_eq(ms->v[i].name, name);
    rwlock_take_read(&q->h->index_lock);
    if (others) {
        sym *v;
        size_t n;
        ok = gather_syms(q, ms, name, &v, &n, err) && syms_to_strs(q, v, n, limit, out, err);
        mem_free(v);
    } else {
        ok = values_of_name(q, name, ms, limit, out, err);
    }
    rwlock_give_read(&q->h->index_lock);
    return ok;
}

static bool head_label_names(struct querier *base, const struct matchers *ms, size_t limit, struct strs *out,
                             struct err *err)
{
    struct head_querier *q = querier_of(base);
    sym *v = NULL;
    size_t n = 0;
    bool ok = true;
    *out = (struct strs){ 0 };
    rwlock_take_read(&q->h->index_lock);
    if (ms && ms->n) {
        ok = gather_syms(q, ms, (struct str){ 0 }, &v, &n, err);
    } else {
        const struct name_entry *e;
        v = mem_alloc_array(q->h->index.names.count + 1, sizeof *v);
        for (size_t i = 0; (e = map64_next(&q->h->index.names, &i)) != NULL;)
            v[n++] = e->name;
    }
    ok = ok && syms_to_strs(q, v, n, limit, out, err);
    rwlock_give_read(&q->h->index_lock);
    mem_free(v);
    return ok;
}

static bool head_exemplars(struct querier *base, const struct matchers *sets, size_t sets_count,
                           struct exemplar_series **out, size_t *n, struct err *err)
{
    struct head_querier *q = querier_of(base);
    return exemplar_ring_select(q->h->exemplars, sets, sets_count, base->mint, base->maxt, base->arena, out, n) ||
           out_of_memory(err);
}

static bool head_querier_metadata(struct querier *base, struct labels labels, struct series_metadata *out)
{
    struct head_querier *q = querier_of(base);
    bool created, found = false;
    uint32_t slot;
    struct head_series *s = head_series_get(q->h, labels, 0, false, &created, &slot);
    if (!s)
        return false;
    struct lock *lock = &head_stripe(q->h, s)->lock;
    lock_take(lock);
    if (s->extra && s->extra->metadata) {
        const struct series_metadata *m = s->extra->metadata;
        *out = (struct series_metadata){ m->type, arena_str(base->arena, m->unit), arena_str(base->arena, m->help) };
        found = true;
    }
    lock_give(lock);
    return found;
}

static void head_querier_close(struct querier *base)
{
    struct head_querier *q = querier_of(base);
    arena_deinit(&q->scratch);
    buf_deinit(&q->bytes);
    isolation_reader_close(&q->h->isolation, &q->user);
}

static const struct querier_ops querier_ops = {
    .select = head_select,
    .label_values = head_label_values,
    .label_names = head_label_names,
    .exemplars = head_exemplars,
    .metadata = head_querier_metadata,
    .close = head_querier_close,
};

struct querier *head_querier(struct head *h, struct arena *a, int64_t mint, int64_t maxt)
{
    struct head_querier *q = ARENA_NEW(a, struct head_querier);
    q->base = (struct querier){ .ops = &querier_ops, .arena = a, .mint = mint, .maxt = maxt };
    q->h = h;
    arena_init(&q->scratch, ARENA_NO_LIMIT);
    isolation_reader_open(&h->isolation, &q->user, mint);
    return &q->base;
}
