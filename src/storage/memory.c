/* A store in memory. Series are found by a map from their labels' bytes; an array sorted by labels is made when it is
 * read after a series was added. Appenders keep their samples aside and apply them at commit.
 *
 * S1  Samples of a series ascend strictly in time.
 * S2  A reference is the series' number + 1 and lives as long as the store.
 *
 * Bounds: none: its users are tests, whose input is bounded by their files. */
#include "storage/memory.h"

#include "base/map.h"
#include "base/mem.h"

#include <stdlib.h>

struct memory_series {
    size_t number;
    struct labels labels;
    struct buf key;
    struct columns samples;
    bool has_last; /* of committed and pending samples */
    int64_t last_t;
    bool last_is_histogram;
    double last_v;
    bool has_metadata;
    struct series_metadata metadata;
    struct exemplar *exemplars;
    size_t exemplars_count, exemplars_capacity;
};

struct memory_storage {
    struct storage base;
    struct arena arena;
    struct map by_key;
    struct memory_series **series; /* by number */
    size_t n, capacity;
    struct memory_series **sorted; /* NULL: not made since a series was added */
};

struct pending_sample {
    struct memory_series *series;
    int64_t t;
    double v;
    struct float_histogram *h;
};
struct memory_appender {
    struct appender base;
    struct memory_storage *st;
    struct pending_sample *v;
    size_t n, capacity;
};

static void labels_key(struct buf *out, struct labels ls)
{
    for (size_t i = 0; i < ls.n; i++) {
        buf_str(out, ls.v[i].name);
        buf_byte(out, '\xff');
        buf_str(out, ls.v[i].value);
        buf_byte(out, '\xff');
    }
}

static struct memory_series *series_get(struct memory_storage *st, struct labels ls, series_ref *ref)
{
    struct buf key = { 0 };
    labels_key(&key, ls);
    struct memory_series *s = map_get(&st->by_key, buf_view(&key));
    if (s) {
        buf_deinit(&key);
    } else {
        s = ARENA_NEW(&st->arena, struct memory_series);
        s->labels = labels_copy(&st->arena, ls);
        s->key = key;
        map_put(&st->by_key, buf_view(&s->key), s);
        if (st->n == st->capacity) {
            st->capacity = mem_grow(st->capacity, st->n + 1);
            st->series = mem_realloc_array(st->series, st->capacity, sizeof(struct memory_series *));
        }
        s->number = st->n;
        st->series[st->n++] = s;
        mem_free(st->sorted);
        st->sorted = NULL;
    }
    *ref = s->number + 1;
    return s;
}

static int series_order(const void *a, const void *b)
{
    const struct memory_series *const *x = a, *const *y = b;
    return labels_cmp_prometheus((*x)->labels, (*y)->labels);
}

static void sort_series(struct memory_storage *st)
{
    if (st->sorted)
        return;
    st->sorted = mem_alloc_array(st->n, sizeof(struct memory_series *));
    if (st->n) {
        memcpy(st->sorted, st->series, st->n * sizeof(struct memory_series *));
        qsort(st->sorted, st->n, sizeof(struct memory_series *), series_order);
    }
}

/* ---- writing ---- */

static struct memory_appender *appender_of(struct appender *a)
{
    return container_of(a, struct memory_appender, base);
}

static enum append_status refuse(struct appender *a, enum append_status s)
{
    struct str text = append_status_text(s);
    err_set(&a->detail, ERR_INVALID, "%.*s", STR_ARG(text));
    return s;
}

static struct memory_series *target(struct appender *a, series_ref *ref, const struct labels *ls, enum append_status *s)
{
    struct memory_storage *st = appender_of(a)->st;
    *s = APPEND_OK;
    if (*ref && *ref <= st->n)
        return st->series[*ref - 1];
    if (!ls) {
        *s = refuse(a, APPEND_UNKNOWN_SERIES);
        return NULL;
    }
    if (ls->n == 0) {
        *s = refuse(a, APPEND_BAD_LABELS);
        return NULL;
    }
    return series_get(st, *ls, ref);
}

static enum append_status admit(struct appender *a, struct memory_series *s, int64_t t, bool histogram, double v)
{
    if (s->has_last && t < s->last_t)
        return refuse(a, APPEND_OUT_OF_ORDER);
    if (s->has_last && t == s->last_t && (histogram || s->last_is_histogram || f64_bits(v) != f64_bits(s->last_v)))
        return refuse(a, APPEND_DUPLICATE);
    return APPEND_OK;
}

static void keep(struct memory_appender *a, struct memory_series *s, int64_t t, double v, struct float_histogram *h)
{
    if (s->has_last && s->last_t == t)
        return; /* the same sample again */
    if (a->n == a->capacity) {
        a->capacity = mem_grow(a->capacity, a->n + 1);
        a->v = mem_realloc_array(a->v, a->capacity, sizeof *a->v);
    }
    a->v[a->n++] = (struct pending_sample){ .series = s, .t = t, .v = v, .h = h };
    s->has_last = true;
    s->last_t = t;
    s->last_v = v;
    s->last_is_histogram = h != NULL;
}

static enum append_status memory_sample(struct appender *a, series_ref *ref, const struct labels *ls, int64_t t, double v)
{
    enum append_status status;
    struct memory_series *s = target(a, ref, ls, &status);
    if (s && (status = admit(a, s, t, false, v)) == APPEND_OK)
        keep(appender_of(a), s, t, v, NULL);
    return status;
}

static enum append_status memory_histogram(struct appender *a, series_ref *ref, const struct labels *ls, int64_t t,
                                           const struct int_histogram *h, const struct float_histogram *fh)
{
    enum append_status status;
    struct memory_series *s = target(a, ref, ls, &status);
    if (!s || (status = admit(a, s, t, true, 0)) != APPEND_OK)
        return status;
    struct arena *memory = columns_arena(&s->samples);
    struct float_histogram *copy = ARENA_NEW(memory, struct float_histogram);
    if (h)
        float_histogram_from_int(memory, h, copy);
    else
        float_histogram_copy(memory, fh, copy);
    keep(appender_of(a), s, t, 0, copy);
    return APPEND_OK;
}

static enum append_status memory_exemplar(struct appender *a, series_ref ref, const struct exemplar *e)
{
    struct memory_storage *st = appender_of(a)->st;
    if (ref == 0 || ref > st->n)
        return refuse(a, APPEND_UNKNOWN_SERIES);
    struct memory_series *s = st->series[ref - 1];
    if (s->exemplars_count == s->exemplars_capacity) {
        s->exemplars_capacity = mem_grow(s->exemplars_capacity, s->exemplars_count + 1);
        s->exemplars = mem_realloc_array(s->exemplars, s->exemplars_capacity, sizeof *s->exemplars);
    }
    struct exemplar *copy = &s->exemplars[s->exemplars_count++];
    *copy = *e;
    copy->labels = labels_copy(&st->arena, e->labels);
    return APPEND_OK;
}

static enum append_status memory_metadata(struct appender *a, series_ref ref, const struct series_metadata *m)
{
    struct memory_storage *st = appender_of(a)->st;
    if (ref == 0 || ref > st->n)
        return refuse(a, APPEND_UNKNOWN_SERIES);
    st->series[ref - 1]->metadata = (struct series_metadata){
        .type = m->type,
        .unit = arena_str(&st->arena, m->unit),
        .help = arena_str(&st->arena, m->help),
    };
    st->series[ref - 1]->has_metadata = true;
    return APPEND_OK;
}

static void appender_end(struct memory_appender *a)
{
    mem_free(a->v);
    mem_free(a);
}

static bool memory_commit(struct appender *base, struct err *err)
{
    (void)err;
    struct memory_appender *a = appender_of(base);
    for (size_t i = 0; i < a->n; i++) {
        struct pending_sample *p = &a->v[i];
        if (p->h)
            columns_push_histogram(&p->series->samples, p->t, p->h);
        else
            columns_push(&p->series->samples, p->t, p->v);
    }
    appender_end(a);
    return true;
}

static void memory_rollback(struct appender *base)
{
    struct memory_appender *a = appender_of(base);
    for (size_t i = 0; i < a->n; i++) {
        struct memory_series *s = a->v[i].series;
        const struct columns *c = &s->samples;
        s->has_last = c->n || c->hn;
        s->last_is_histogram = c->hn && (c->n == 0 || c->ht[c->hn - 1] > c->t[c->n - 1]);
        if (s->has_last) {
            s->last_t = s->last_is_histogram ? c->ht[c->hn - 1] : c->t[c->n - 1];
            s->last_v = s->last_is_histogram ? 0 : c->v[c->n - 1];
        }
    }
    appender_end(a);
}

static const struct appender_ops memory_appender_ops = {
    .sample = memory_sample,
    .histogram = memory_histogram,
    .exemplar = memory_exemplar,
    .metadata = memory_metadata,
    .commit = memory_commit,
    .rollback = memory_rollback,
};

static bool memory_appender(struct storage *st, const struct append_options *o, struct appender **out, struct err *err)
{
    (void)o;
    (void)err;
    struct memory_appender *a = MEM_NEW(struct memory_appender);
    a->base.ops = &memory_appender_ops;
    a->st = container_of(st, struct memory_storage, base);
    *out = &a->base;
    return true;
}

/* ---- reading ---- */

struct view_series {
    struct series base;
    const struct memory_series *s;
};
struct memory_set {
    struct series_set base;
    struct view_series *v;
    size_t n, at;
};
struct memory_querier {
    struct querier base;
    struct memory_storage *st;
};

static bool view_read(struct series *base, int64_t mint, int64_t maxt, struct columns *out, struct err *err)
{
    (void)err;
    const struct view_series *v = container_of(base, struct view_series, base);
    const struct columns *c = &v->s->samples;
    for (size_t i = 0; i < c->n; i++) {
        if (c->t[i] >= mint && c->t[i] <= maxt)
            columns_push(out, c->t[i], c->v[i]);
    }
    for (size_t i = 0; i < c->hn; i++) {
        if (c->ht[i] >= mint && c->ht[i] <= maxt) {
            struct float_histogram *h = ARENA_NEW(columns_arena(out), struct float_histogram);
            float_histogram_copy(columns_arena(out), c->h[i], h);
            columns_push_histogram(out, c->ht[i], h);
        }
    }
    return true;
}

static bool view_chunks(struct series *base, int64_t mint, int64_t maxt, chunk_visit *visit, void *arg, struct err *err)
{
    (void)base, (void)mint, (void)maxt, (void)visit, (void)arg;
    return err_set(err, ERR_UNAVAILABLE, "the store in memory has no chunks");
}

static const struct series_ops view_ops = { .read = view_read, .chunks = view_chunks };

static bool set_next(struct series_set *base, struct series **s, struct err *err)
{
    (void)err;
    struct memory_set *set = container_of(base, struct memory_set, base);
    *s = set->at < set->n ? &set->v[set->at++].base : NULL;
    return true;
}

static const struct series_set_ops set_ops = { .next = set_next };

static bool has_sample(const struct memory_series *s, int64_t mint, int64_t maxt)
{
    const struct columns *c = &s->samples;
    for (size_t i = 0; i < c->n; i++) {
        if (c->t[i] >= mint && c->t[i] <= maxt)
            return true;
    }
    for (size_t i = 0; i < c->hn; i++) {
        if (c->ht[i] >= mint && c->ht[i] <= maxt)
            return true;
    }
    return false;
}

static bool memory_select(struct querier *q, const struct matchers *ms, const struct select_hints *hints,
                          struct series_set **out, struct err *err)
{
    (void)err;
    struct memory_storage *st = container_of(q, struct memory_querier, base)->st;
    sort_series(st);
    struct memory_set *set = ARENA_NEW(q->arena, struct memory_set);
    set->base.ops = &set_ops;
    set->v = arena_alloc_array(q->arena, st->n + 1, sizeof *set->v);
    for (size_t i = 0; i < st->n; i++) {
        const struct memory_series *s = st->sorted[i];
        if (hints && hints->limit && set->n == hints->limit)
            break;
        if (matchers_match(ms, s->labels) && has_sample(s, q->mint, q->maxt))
            set->v[set->n++] = (struct view_series){ .base = { .ops = &view_ops, .labels = s->labels }, .s = s };
    }
    *out = &set->base;
    return true;
}

static int str_order(const void *a, const void *b)
{
    const struct str *x = a, *y = b;
    return str_cmp(*x, *y);
}

static void sort_unique(struct strs *s, size_t limit)
{
    size_t n = 0;
    if (s->n)
        qsort(s->v, s->n, sizeof *s->v, str_order);
    for (size_t i = 0; i < s->n && (limit == 0 || n < limit); i++) {
        if (n == 0 || !str_eq(s->v[n - 1], s->v[i]))
            s->v[n++] = s->v[i];
    }
    s->n = n;
}

static bool accepted(const struct matchers *ms, const struct memory_series *s)
{
    return !ms || matchers_match(ms, s->labels);
}

static bool memory_label_values(struct querier *q, struct str name, const struct matchers *ms, size_t limit,
                                struct strs *out, struct err *err)
{
    (void)err;
    struct memory_storage *st = container_of(q, struct memory_querier, base)->st;
    *out = (struct strs){ .v = arena_alloc_array(q->arena, st->n + 1, sizeof(struct str)) };
    for (size_t i = 0; i < st->n; i++) {
        if (accepted(ms, st->series[i]) && labels_has(st->series[i]->labels, name))
            out->v[out->n++] = labels_get(st->series[i]->labels, name);
    }
    sort_unique(out, limit);
    return true;
}

static bool memory_label_names(struct querier *q, const struct matchers *ms, size_t limit, struct strs *out,
                               struct err *err)
{
    (void)err;
    struct memory_storage *st = container_of(q, struct memory_querier, base)->st;
    size_t total = 0;
    for (size_t i = 0; i < st->n; i++)
        total += st->series[i]->labels.n;
    *out = (struct strs){ .v = arena_alloc_array(q->arena, total + 1, sizeof(struct str)) };
    for (size_t i = 0; i < st->n; i++) {
        struct labels ls = st->series[i]->labels;
        for (size_t j = 0; accepted(ms, st->series[i]) && j < ls.n; j++)
            out->v[out->n++] = ls.v[j].name;
    }
    sort_unique(out, limit);
    return true;
}

static bool memory_exemplars(struct querier *q, const struct matchers *sets, size_t sets_count,
                             struct exemplar_series **out, size_t *n, struct err *err)
{
    (void)err;
    struct memory_storage *st = container_of(q, struct memory_querier, base)->st;
    sort_series(st);
    *out = arena_alloc_array(q->arena, st->n + 1, sizeof **out);
    *n = 0;
    for (size_t i = 0; i < st->n; i++) {
        const struct memory_series *s = st->sorted[i];
        bool wanted = false;
        for (size_t k = 0; !wanted && k < sets_count; k++)
            wanted = matchers_match(&sets[k], s->labels);
        if (!wanted || s->exemplars_count == 0)
            continue;
        struct exemplar *v = arena_alloc_array(q->arena, s->exemplars_count, sizeof *v);
        size_t kept = 0;
        for (size_t k = 0; k < s->exemplars_count; k++) {
            if (s->exemplars[k].t >= q->mint && s->exemplars[k].t <= q->maxt)
                v[kept++] = s->exemplars[k];
        }
        if (kept)
            (*out)[(*n)++] = (struct exemplar_series){ .labels = s->labels, .v = v, .n = kept };
    }
    return true;
}

static bool memory_querier_metadata(struct querier *q, struct labels series, struct series_metadata *out)
{
    struct memory_storage *st = container_of(q, struct memory_querier, base)->st;
    struct buf key = { 0 };
    labels_key(&key, series);
    const struct memory_series *s = map_get(&st->by_key, buf_view(&key));
    buf_deinit(&key);
    if (!s || !s->has_metadata)
        return false;
    *out = s->metadata;
    return true;
}

static void memory_close(struct querier *q)
{
    (void)q;
}

static const struct querier_ops memory_querier_ops = {
    .select = memory_select,
    .label_values = memory_label_values,
    .label_names = memory_label_names,
    .exemplars = memory_exemplars,
    .metadata = memory_querier_metadata,
    .close = memory_close,
};

static bool memory_querier(struct storage *st, struct arena *a, int64_t mint, int64_t maxt, struct querier **out,
                           struct err *err)
{
    (void)err;
    struct memory_querier *q = ARENA_NEW(a, struct memory_querier);
    q->base = (struct querier){ .ops = &memory_querier_ops, .arena = a, .mint = mint, .maxt = maxt };
    q->st = container_of(st, struct memory_storage, base);
    *out = &q->base;
    return true;
}

static bool memory_start_time(struct storage *base, int64_t *t)
{
    struct memory_storage *st = container_of(base, struct memory_storage, base);
    bool any = false;
    for (size_t i = 0; i < st->n; i++) {
        const struct columns *c = &st->series[i]->samples;
        if (c->n && (!any || c->t[0] < *t)) {
            *t = c->t[0];
            any = true;
        }
        if (c->hn && (!any || c->ht[0] < *t)) {
            *t = c->ht[0];
            any = true;
        }
    }
    return any;
}

static const struct storage_ops memory_ops = {
    .querier = memory_querier,
    .appender = memory_appender,
    .start_time = memory_start_time,
};

struct storage *memory_storage_new(void)
{
    struct memory_storage *st = MEM_NEW(struct memory_storage);
    st->base.ops = &memory_ops;
    arena_init(&st->arena, ARENA_NO_LIMIT);
    return &st->base;
}

void memory_storage_free(struct storage *base)
{
    if (!base)
        return;
    struct memory_storage *st = container_of(base, struct memory_storage, base);
    for (size_t i = 0; i < st->n; i++) {
        columns_deinit(&st->series[i]->samples);
        buf_deinit(&st->series[i]->key);
        mem_free(st->series[i]->exemplars);
    }
    mem_free(st->series);
    mem_free(st->sorted);
    map_deinit(&st->by_key);
    arena_deinit(&st->arena);
    mem_free(st);
}
