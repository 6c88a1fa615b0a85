/* The runner's store: series in an array, sorted when read. Appending gives each histogram the hint that the real store would
 * show: gauge if given; unknown for the first of a run, not reset for the others (spec 17.2). */
#include "promql/testscript_int.h"

#include "base/map.h"
#include "base/mem.h"

#include <stdlib.h>

struct script_series {
    struct labels labels;
    struct columns c;
    int64_t *st, *hst;
    size_t st_capacity, hst_capacity;
    int64_t last_t;
    bool any, last_is_run; /* the last sample was a histogram that a run may go on from */
    bool has_starts;
};
struct script_store {
    struct storage base;
    struct arena arena;
    struct map by_key;
    struct script_series **v;
    size_t n, capacity;
    bool sorted;
};

struct script_view { /* series as a querier shows it */
    struct series base;
    struct script_series *s;
};
struct script_set {
    struct series_set base;
    struct script_view *v;
    size_t n, at;
};
struct script_querier {
    struct querier base;
    struct script_store *st;
};

static struct str store_key(struct arena *a, struct labels ls)
{
    struct buf b = { 0 };
    for (size_t i = 0; i < ls.n; i++) {
        buf_str(&b, ls.v[i].name);
        buf_byte(&b, '\xff');
        buf_str(&b, ls.v[i].value);
        buf_byte(&b, '\xff');
    }
    struct str s = arena_str(a, buf_view(&b));
    buf_deinit(&b);
    return s;
}

struct script_series *script_store_series(struct script_store *st, struct labels ls)
{
    struct str key = store_key(&st->arena, ls);
    struct script_series *s = map_get(&st->by_key, key);
    if (s)
        return s;
    s = ARENA_NEW(&st->arena, struct script_series);
    s->labels = labels_copy(&st->arena, ls);
    map_put(&st->by_key, key, s);
    if (st->n == st->capacity) {
        st->capacity = mem_grow(st->capacity, st->n + 1);
        st->v = mem_realloc_array(st->v, st->capacity, sizeof(struct script_series *));
    }
    st->v[st->n++] = s;
    st->sorted = false;
    return s;
}

static bool bucket_vanished(struct arena *a, const struct float_histogram *prev, const struct float_histogram *cur)
{
    struct float_histogram now = *cur;
    now.hint = RESET_UNKNOWN;
    return float_histogram_is_reset(a, &now, prev);
}

static enum counter_reset_hint hint_for(struct script_store *st, const struct script_series *s, const struct float_histogram *h)
{
    if (h->hint == RESET_GAUGE)
        return RESET_GAUGE;
    if (!s->last_is_run || h->hint == RESET_YES)
        return RESET_UNKNOWN;
    const struct float_histogram *p = s->c.h[s->c.hn - 1];
    bool same = p->schema == h->schema && p->zero_threshold == h->zero_threshold &&
                p->custom_values_count == h->custom_values_count;
    for (size_t i = 0; same && i < h->custom_values_count; i++)
        same = p->custom_values[i] == h->custom_values[i];
    return same && !bucket_vanished(&st->arena, p, h) ? RESET_NO : RESET_UNKNOWN;
}

static void push_start(int64_t **v, size_t *capacity, size_t n, int64_t start)
{
    if (n > *capacity) {
        *capacity = mem_grow(*capacity, n);
        *v = mem_realloc_array(*v, *capacity, sizeof **v);
    }
    (*v)[n - 1] = start;
}

bool script_series_add(struct script_store *st, struct script_series *s, int64_t t, double v, const struct float_histogram *h,
                       int64_t start, struct err *err)
{
    if (s->any && t <= s->last_t)
        return err_set(err, ERR_INVALID, "out of order sample");
    s->any = true;
    s->last_t = t;
    s->has_starts |= start != 0;
    if (!h) {
        columns_push(&s->c, t, v);
        push_start(&s->st, &s->st_capacity, s->c.n, start);
        s->last_is_run = false;
        return true;
    }
    struct arena *a = columns_arena(&s->c);
    struct float_histogram *copy = ARENA_NEW(a, struct float_histogram);
    float_histogram_copy(a, h, copy);
    copy->hint = hint_for(st, s, h);
    columns_push_histogram(&s->c, t, copy);
    push_start(&s->hst, &s->hst_capacity, s->c.hn, start);
    s->last_is_run = copy->hint != RESET_GAUGE && !is_stale_nan(h->sum);
    return true;
}

/* ---- reading ---- */

static bool view_read(struct series *base, int64_t mint, int64_t maxt, struct columns *out, struct err *err)
{
    (void)err;
    struct script_series *s = container_of(base, struct script_view, base)->s;
    size_t n0 = out->n, h0 = out->hn;
    int64_t *st = NULL, *hst = NULL;
    if (s->has_starts) {
        st = arena_alloc_array(columns_arena(out), n0 + s->c.n + 1, sizeof *st);
        hst = arena_alloc_array(columns_arena(out), h0 + s->c.hn + 1, sizeof *hst);
    }
    for (size_t i = 0; i < s->c.n; i++) {
        if (s->c.t[i] < mint || s->c.t[i] > maxt)
            continue;
        if (st)
            st[out->n] = s->st[i];
        columns_push(out, s->c.t[i], s->c.v[i]);
    }
    for (size_t i = 0; i < s->c.hn; i++) {
        if (s->c.ht[i] < mint || s->c.ht[i] > maxt)
            continue;
        if (hst)
            hst[out->hn] = s->hst[i];
        columns_push_histogram(out, s->c.ht[i], s->c.h[i]);
    }
    out->st = st;
    out->hst = hst;
    return true;
}
static bool view_chunks(struct series *s, int64_t mint, int64_t maxt, chunk_visit *visit, void *arg, struct err *err)
{
    (void)s;
    (void)mint;
    (void)maxt;
    (void)visit;
    (void)arg;
    return err_set(err, ERR_UNAVAILABLE, "a test script's store has no chunks");
}
static const struct series_ops view_ops = { view_read, view_chunks };

static bool set_next(struct series_set *base, struct series **s, struct err *err)
{
    (void)err;
    struct script_set *set = container_of(base, struct script_set, base);
    *s = set->at < set->n ? &set->v[set->at++].base : NULL;
    return true;
}
static const struct series_set_ops set_ops = { set_next };

static int series_order(const void *a, const void *b)
{
    const struct script_series *const *x = a, *const *y = b;
    return labels_cmp_prometheus((*x)->labels, (*y)->labels);
}

static bool q_select(struct querier *base, const struct matchers *ms, const struct select_hints *hints, struct series_set **out,
                     struct err *err)
{
    (void)hints;
    (void)err;
    struct script_store *st = container_of(base, struct script_querier, base)->st;
    if (!st->sorted && st->n)
        qsort(st->v, st->n, sizeof(struct script_series *), series_order);
    st->sorted = true;
    struct script_set *set = ARENA_NEW(base->arena, struct script_set);
    set->base.ops = &set_ops;
    set->v = arena_alloc_array(base->arena, st->n + 1, sizeof *set->v);
    for (size_t i = 0; i < st->n; i++)
        if (matchers_match(ms, st->v[i]->labels))
            set->v[set->n++] = (struct script_view){ .base = { &view_ops, st->v[i]->labels }, .s = st->v[i] };
    *out = &set->base;
    return true;
}
static bool q_values(struct querier *q, struct str name, const struct matchers *ms, size_t limit, struct strs *out, struct err *err)
{
    (void)q;
    (void)name;
    (void)ms;
    (void)limit;
    (void)err;
    *out = (struct strs){ 0 };
    return true;
}
static bool q_names(struct querier *q, const struct matchers *ms, size_t limit, struct strs *out, struct err *err)
{
    return q_values(q, STR_EMPTY, ms, limit, out, err);
}
static bool q_exemplars(struct querier *q, const struct matchers *sets, size_t n, struct exemplar_series **out, size_t *count,
                        struct err *err)
{
    (void)q;
    (void)sets;
    (void)n;
    (void)out;
    (void)err;
    *count = 0;
    return true;
}
static bool q_metadata(struct querier *q, struct labels series, struct series_metadata *out)
{
    (void)q;
    (void)series;
    (void)out;
    return false;
}
static void q_close(struct querier *q)
{
    (void)q;
}
static const struct querier_ops q_ops = { q_select, q_values, q_names, q_exemplars, q_metadata, q_close };

static bool store_querier(struct storage *base, struct arena *a, int64_t mint, int64_t maxt, struct querier **out, struct err *err)
{
    (void)err;
    struct script_querier *q = ARENA_NEW(a, struct script_querier);
    q->base = (struct querier){ &q_ops, a, mint, maxt };
    q->st = container_of(base, struct script_store, base);
    *out = &q->base;
    return true;
}
static bool store_appender(struct storage *st, const struct append_options *o, struct appender **a, struct err *err)
{
    (void)st;
    (void)o;
    (void)a;
    return err_set(err, ERR_UNAVAILABLE, "a test script's store takes samples from its script only");
}
static bool store_start(struct storage *st, int64_t *t)
{
    (void)st;
    (void)t;
    return false;
}
static const struct storage_ops store_ops = { store_querier, store_appender, store_start };

struct script_store *script_store_new(void)
{
    struct script_store *st = MEM_NEW(struct script_store);
    st->base.ops = &store_ops;
    arena_init(&st->arena, ARENA_NO_LIMIT);
    return st;
}
void script_store_free(struct script_store *st)
{
    if (!st)
        return;
    for (size_t i = 0; i < st->n; i++) {
        columns_deinit(&st->v[i]->c);
        mem_free(st->v[i]->st);
        mem_free(st->v[i]->hst);
    }
    mem_free(st->v);
    map_deinit(&st->by_key);
    arena_deinit(&st->arena);
    mem_free(st);
}
struct storage *script_store_storage(struct script_store *st)
{
    return &st->base;
}
