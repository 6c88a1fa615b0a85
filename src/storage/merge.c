/* Merging of sources that each answer in label order.
 *
 * M1  The merged set is strictly ascending in labels: equal label sets of different sources become one series.
 * M2  At equal times the source that comes first in the caller's order wins; a float and a histogram of the same time
 *     count as equal times.
 * M3  A histogram that follows one from another source has hint "unknown" (a gauge stays one): the reset between them was
 *     judged by nobody.
 * M4  An optional source that fails is out for good; what it gave before the failure stays.
 *
 * Bounds: the next series is the least of a binary heap of sources; memory is the arena's, and only samples that really
 * interleave are moved. */
#include "storage/merge.h"

#include "base/mem.h"

/* ---- columns ---- */

/* Where the next sample of a run is. */
struct cursor {
    const int64_t *t, *ht;
    const double *v;
    struct float_histogram **h;
    size_t at, n, h_at, hn;
};

static bool cursor_peek(const struct cursor *k, int64_t *t, bool *histogram)
{
    bool f = k->at < k->n, h = k->h_at < k->hn;
    if (!f && !h)
        return false;
    *histogram = h && (!f || k->ht[k->h_at] < k->t[k->at]);
    *t = *histogram ? k->ht[k->h_at] : k->t[k->at];
    return true;
}

static void cursor_skip(struct cursor *k, bool histogram)
{
    if (histogram)
        k->h_at++;
    else
        k->at++;
}

static void forget_hint(struct float_histogram *h)
{
    if (h->hint != RESET_GAUGE)
        h->hint = RESET_UNKNOWN;
}

static void move_sample(struct columns *c, struct cursor *k, bool histogram)
{
    if (histogram)
        columns_push_histogram(c, k->ht[k->h_at], k->h[k->h_at]);
    else
        columns_push(c, k->t[k->at], k->v[k->at]);
    cursor_skip(k, histogram);
}

/* last: the run of the sample before, or NULL. */
static void interleave(struct columns *c, struct cursor *a, struct cursor *b, const struct cursor *last)
{
    for (;;) {
        int64_t ta = INT64_MAX, tb = INT64_MAX;
        bool ha = false, hb = false;
        bool more_a = cursor_peek(a, &ta, &ha), more_b = cursor_peek(b, &tb, &hb);
        if (!more_a && !more_b)
            return;
        bool first = more_a && (!more_b || ta <= tb);
        struct cursor *k = first ? a : b;
        bool histogram = first ? ha : hb;
        if (histogram && last && last != k)
            forget_hint(k->h[k->h_at]);
        move_sample(c, k, histogram);
        last = k;
        if (first && more_b && ta == tb)
            cursor_skip(b, hb);
    }
}

/* How many of the n ascending times are before t. */
static size_t count_before(const int64_t *times, size_t n, int64_t t)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (times[mid] < t)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

void columns_join_runs(struct columns *c, size_t n0, size_t hn0, size_t n1, size_t hn1)
{
    ASSERT(n0 <= n1 && n1 <= c->n);
    ASSERT(hn0 <= hn1 && hn1 <= c->hn);
    if ((n0 == n1 && hn0 == hn1) || (n1 == c->n && hn1 == c->hn))
        return;
    int64_t last = INT64_MIN, first = INT64_MAX;
    if (n1 > n0)
        last = c->t[n1 - 1];
    if (hn1 > hn0 && c->ht[hn1 - 1] > last)
        last = c->ht[hn1 - 1];
    if (c->n > n1)
        first = c->t[n1];
    if (c->hn > hn1 && c->ht[hn1] < first)
        first = c->ht[hn1];
    if (last < first) {
        if (c->hn > hn1)
            forget_hint(c->h[hn1]);
        return;
    }
    size_t stay = count_before(c->t + n0, n1 - n0, first), h_stay = count_before(c->ht + hn0, hn1 - hn0, first);
    n0 += stay;
    hn0 += h_stay;
    struct columns old = { 0 }; /* the rest of both runs aside, then back in order */
    size_t n = c->n - n0, hn = c->hn - hn0;
    columns_reserve(&old, n + 1);
    if (n) {
        memcpy(old.t, c->t + n0, n * sizeof *old.t);
        memcpy(old.v, c->v + n0, n * sizeof *old.v);
    }
    for (size_t i = 0; i < hn; i++)
        columns_push_histogram(&old, c->ht[hn0 + i], c->h[hn0 + i]);
    struct cursor a = { old.t, old.ht, old.v, old.h, 0, n1 - n0, 0, hn1 - hn0 };
    struct cursor b = { old.t, old.ht, old.v, old.h, n1 - n0, n, hn1 - hn0, hn };
    c->n = n0;
    c->hn = hn0;
    interleave(c, &a, &b, stay + h_stay ? &a : NULL);
    columns_deinit(&old);
}

/* ---- one series from several ---- */

struct merged_series {
    struct series base;
    struct series **v;
    size_t n;
};

static bool merged_read(struct series *s, int64_t mint, int64_t maxt, struct columns *out, struct err *err)
{
    struct merged_series *m = container_of(s, struct merged_series, base);
    size_t n0 = out->n, hn0 = out->hn;
    bool ok = true;
    for (size_t i = 0; ok && i < m->n; i++) {
        size_t n1 = out->n, hn1 = out->hn;
        ok = series_read(m->v[i], mint, maxt, out, err);
        if (ok)
            columns_join_runs(out, n0, hn0, n1, hn1);
    }
    return ok;
}

/* Chunks of several sources in order of mint: gathered, sorted, shown. */
struct chunk_list {
    struct encoded_chunk *v;
    size_t n, capacity;
};

static bool gather_chunk(void *arg, const struct encoded_chunk *c, struct err *err)
{
    (void)err;
    struct chunk_list *list = arg;
    if (list->n == list->capacity) {
        list->capacity = mem_grow(list->capacity, list->n + 1);
        list->v = mem_realloc_array(list->v, list->capacity, sizeof *list->v);
    }
    struct encoded_chunk copy = *c;
    copy.bytes.p = mem_dup(c->bytes.p, c->bytes.n);
    size_t at = list->n++;
    while (at > 0 && list->v[at - 1].mint > copy.mint) {
        list->v[at] = list->v[at - 1];
        at--;
    }
    list->v[at] = copy;
    return true;
}

static bool merged_chunks(struct series *s, int64_t mint, int64_t maxt, chunk_visit *visit, void *arg, struct err *err)
{
    struct merged_series *m = container_of(s, struct merged_series, base);
    struct chunk_list list = { 0 };
    bool ok = true;
    for (size_t i = 0; ok && i < m->n; i++)
        ok = series_chunks(m->v[i], mint, maxt, gather_chunk, &list, err);
    for (size_t i = 0; ok && i < list.n; i++)
        ok = visit(arg, &list.v[i], err);
    for (size_t i = 0; i < list.n; i++)
        mem_free((void *)(uintptr_t)list.v[i].bytes.p);
    mem_free(list.v);
    return ok;
}

static const struct series_ops merged_series_ops = { .read = merged_read, .chunks = merged_chunks };

struct series *merge_series(struct arena *a, struct series **v, size_t n)
{
    ASSERT(n > 0);
    if (n == 1)
        return v[0];
    struct merged_series *m = ARENA_NEW(a, struct merged_series);
    struct series **copy = arena_alloc_array(a, n, sizeof(struct series *));
    memcpy(copy, v, n * sizeof(struct series *));
    *m = (struct merged_series){ .base = { .ops = &merged_series_ops, .labels = v[0]->labels }, .v = copy, .n = n };
    return &m->base;
}

/* ---- one set from several ---- */

struct source_head {
    struct series_set *set;
    struct series *series; /* next one, NULL at the end */
    size_t order;          /* place in the caller's list */
    struct str *warning;   /* where an optional source's failure goes; NULL: it fails the set */
};

struct merged_set {
    struct series_set base;
    struct arena *arena;
    struct source_head *heads; /* a heap by (labels, order), ended sources left out */
    size_t n, sources;
    bool started;
    struct err failed;
    struct series **equal; /* the series of one label set */
};

static bool head_less(const struct source_head *a, const struct source_head *b)
{
    int c = labels_cmp_prometheus(a->series->labels, b->series->labels);
    return c != 0 ? c < 0 : a->order < b->order;
}

static void sift_down(struct merged_set *m, size_t i)
{
    for (;;) {
        size_t least = i, left = 2 * i + 1, right = 2 * i + 2;
        if (left < m->n && head_less(&m->heads[left], &m->heads[least]))
            least = left;
        if (right < m->n && head_less(&m->heads[right], &m->heads[least]))
            least = right;
        if (least == i)
            return;
        struct source_head tmp = m->heads[i];
        m->heads[i] = m->heads[least];
        m->heads[least] = tmp;
        i = least;
    }
}

/* Pulls the head's next series; *more is false at its end. */
static bool head_pull(struct merged_set *m, struct source_head *h, bool *more, struct err *err)
{
    struct err own = { 0 };
    *more = false;
    if (series_set_next(h->set, &h->series, &own)) {
        *more = h->series != NULL;
        return true;
    }
    if (!h->warning) {
        *err = own;
        return false;
    }
    if (h->warning->n == 0)
        *h->warning = arena_str(m->arena, err_text(&own));
    return true;
}

static bool merged_start(struct merged_set *m, struct err *err)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++) {
        bool more;
        struct source_head h = m->heads[i];
        if (!head_pull(m, &h, &more, err))
            return false;
        if (more)
            m->heads[n++] = h;
    }
    m->n = n;
    for (size_t i = n / 2; i-- > 0;)
        sift_down(m, i);
    m->started = true;
    return true;
}

static bool merged_pop(struct merged_set *m, struct err *err)
{
    bool more;
    if (!head_pull(m, &m->heads[0], &more, err))
        return false;
    if (!more)
        m->heads[0] = m->heads[--m->n];
    sift_down(m, 0);
    return true;
}

static bool merged_next(struct series_set *set, struct series **out, struct err *err)
{
    struct merged_set *m = container_of(set, struct merged_set, base);
    *out = NULL;
    if (m->failed.code != ERR_NONE) {
        *err = m->failed;
        return false;
    }
    bool ok = m->started || merged_start(m, &m->failed);
    if (ok && m->n) {
        struct labels labels = m->heads[0].series->labels;
        size_t n = 0;
        do {
            m->equal[n++] = m->heads[0].series;
            ok = merged_pop(m, &m->failed);
        } while (ok && m->n && n < m->sources && labels_eq(labels, m->heads[0].series->labels));
        if (ok)
            *out = merge_series(m->arena, m->equal, n);
    }
    if (!ok)
        *err = m->failed;
    return ok;
}

static const struct series_set_ops merged_set_ops = { .next = merged_next };

static struct series_set *merged_set_new(struct arena *a, struct series_set **v, size_t n, struct str **warnings)
{
    struct merged_set *m = ARENA_NEW(a, struct merged_set);
    *m = (struct merged_set){ .base = { .ops = &merged_set_ops }, .arena = a, .n = n, .sources = n };
    m->heads = arena_alloc_array(a, n + 1, sizeof *m->heads);
    m->equal = arena_alloc_array(a, n + 1, sizeof(struct series *));
    for (size_t i = 0; i < n; i++)
        m->heads[i] = (struct source_head){ .set = v[i], .order = i, .warning = warnings ? warnings[i] : NULL };
    return &m->base;
}

struct series_set *merge_series_sets(struct arena *a, struct series_set **v, size_t n)
{
    return n == 1 ? v[0] : merged_set_new(a, v, n, NULL);
}

/* ---- one querier from several ---- */

struct merged_source {
    struct querier *querier;
    bool optional;
    struct str warning; /* what it failed with; empty: nothing */
};
struct merged_querier {
    struct querier base;
    struct merged_source *v;
    size_t n;
};

static struct merged_querier *merged_of(struct querier *q)
{
    return container_of(q, struct merged_querier, base);
}

/* An error of source s: a warning if it is optional. True if the answer goes on without it. */
static bool tolerate(struct merged_querier *m, struct merged_source *s, const struct err *own, struct err *err)
{
    if (s->optional) {
        if (s->warning.n == 0)
            s->warning = arena_str(m->base.arena, err_text(own));
        return true;
    }
    *err = *own;
    return false;
}

static bool merged_select(struct querier *q, const struct matchers *ms, const struct select_hints *hints,
                          struct series_set **set, struct err *err)
{
    struct merged_querier *m = merged_of(q);
    struct select_hints own_hints = hints ? *hints : (struct select_hints){ 0 };
    own_hints.unsorted = false; /* merging reads in order */
    struct series_set **sets = arena_alloc_array(q->arena, m->n + 1, sizeof(struct series_set *));
    struct str **warnings = arena_alloc_array(q->arena, m->n + 1, sizeof(struct str *));
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++) {
        struct merged_source *s = &m->v[i];
        struct err own = { 0 };
        if (querier_select(s->querier, ms, &own_hints, &sets[n], &own)) {
            warnings[n++] = s->optional ? &s->warning : NULL;
        } else if (!tolerate(m, s, &own, err)) {
            return false;
        }
    }
    *set = merged_set_new(q->arena, sets, n, warnings);
    return true;
}

/* Two sorted lists as one, at most `limit` (0: all). */
static struct strs strs_union(struct arena *a, struct strs x, struct strs y, size_t limit)
{
    if (y.n == 0)
        return x;
    if (x.n == 0)
        return y;
    struct strs out = { .v = arena_alloc_array(a, x.n + y.n, sizeof(struct str)) };
    size_t i = 0, j = 0;
    while ((i < x.n || j < y.n) && (limit == 0 || out.n < limit)) {
        int c = i == x.n ? 1 : j == y.n ? -1 : str_cmp(x.v[i], y.v[j]);
        out.v[out.n++] = c <= 0 ? x.v[i] : y.v[j];
        i += c <= 0;
        j += c >= 0;
    }
    return out;
}

static bool merged_label_values(struct querier *q, struct str name, const struct matchers *ms, size_t limit,
                                struct strs *out, struct err *err)
{
    struct merged_querier *m = merged_of(q);
    *out = (struct strs){ 0 };
    for (size_t i = 0; i < m->n; i++) {
        struct strs part = { 0 };
        struct err own = { 0 };
        if (querier_label_values(m->v[i].querier, name, ms, limit, &part, &own))
            *out = strs_union(q->arena, *out, part, limit);
        else if (!tolerate(m, &m->v[i], &own, err))
            return false;
    }
    return true;
}

static bool merged_label_names(struct querier *q, const struct matchers *ms, size_t limit, struct strs *out,
                               struct err *err)
{
    struct merged_querier *m = merged_of(q);
    *out = (struct strs){ 0 };
    for (size_t i = 0; i < m->n; i++) {
        struct strs part = { 0 };
        struct err own = { 0 };
        if (querier_label_names(m->v[i].querier, ms, limit, &part, &own))
            *out = strs_union(q->arena, *out, part, limit);
        else if (!tolerate(m, &m->v[i], &own, err))
            return false;
    }
    return true;
}

static struct exemplar_series exemplars_join(struct arena *a, const struct exemplar_series *x,
                                             const struct exemplar_series *y)
{
    struct exemplar *v = arena_alloc_array(a, x->n + y->n, sizeof *v);
    size_t n = 0, i = 0, j = 0;
    while (i < x->n || j < y->n) {
        bool from_x = j == y->n || (i < x->n && x->v[i].t <= y->v[j].t);
        const struct exemplar *e = from_x ? &x->v[i++] : &y->v[j++];
        if (n == 0 || v[n - 1].t != e->t || f64_bits(v[n - 1].value) != f64_bits(e->value) ||
            !labels_eq(v[n - 1].labels, e->labels))
            v[n++] = *e;
    }
    return (struct exemplar_series){ .labels = x->labels, .v = v, .n = n };
}

static bool merged_exemplars(struct querier *q, const struct matchers *sets, size_t sets_count,
                             struct exemplar_series **out, size_t *n, struct err *err)
{
    struct merged_querier *m = merged_of(q);
    *out = NULL;
    *n = 0;
    for (size_t s = 0; s < m->n; s++) {
        struct exemplar_series *part = NULL;
        size_t part_n = 0;
        struct err own = { 0 };
        if (!querier_exemplars(m->v[s].querier, sets, sets_count, &part, &part_n, &own)) {
            if (!tolerate(m, &m->v[s], &own, err))
                return false;
            continue;
        }
        struct exemplar_series *both = arena_alloc_array(q->arena, *n + part_n + 1, sizeof *both);
        size_t k = 0, i = 0, j = 0;
        while (i < *n || j < part_n) {
            int c = i == *n ? 1 : j == part_n ? -1 : labels_cmp_prometheus((*out)[i].labels, part[j].labels);
            both[k++] = c < 0 ? (*out)[i] : c > 0 ? part[j] : exemplars_join(q->arena, &(*out)[i], &part[j]);
            i += c <= 0;
            j += c >= 0;
        }
        *out = both;
        *n = k;
    }
    return true;
}

static bool merged_metadata(struct querier *q, struct labels series, struct series_metadata *out)
{
    struct merged_querier *m = merged_of(q);
    for (size_t i = 0; i < m->n; i++) {
        if (querier_metadata(m->v[i].querier, series, out))
            return true;
    }
    return false;
}

static void merged_close(struct querier *q)
{
    struct merged_querier *m = merged_of(q);
    for (size_t i = 0; i < m->n; i++)
        querier_close(m->v[i].querier);
}

static const struct querier_ops merged_querier_ops = {
    .select = merged_select,
    .label_values = merged_label_values,
    .label_names = merged_label_names,
    .exemplars = merged_exemplars,
    .metadata = merged_metadata,
    .close = merged_close,
};

struct querier *merge_querier(struct arena *a, const struct merge_source *sources, size_t n, int64_t mint, int64_t maxt)
{
    if (n == 1 && !sources[0].optional)
        return sources[0].querier;
    struct merged_querier *m = ARENA_NEW(a, struct merged_querier);
    *m = (struct merged_querier){
        .base = { .ops = &merged_querier_ops, .arena = a, .mint = mint, .maxt = maxt },
        .v = arena_alloc_array(a, n + 1, sizeof *m->v),
        .n = n,
    };
    for (size_t i = 0; i < n; i++)
        m->v[i] = (struct merged_source){ .querier = sources[i].querier, .optional = sources[i].optional };
    return &m->base;
}

struct strs merge_querier_warnings(const struct querier *q)
{
    struct strs out = { 0 };
    if (q->ops != &merged_querier_ops)
        return out;
    const struct merged_querier *m = (const struct merged_querier *)(const void *)((const char *)q -
                                                                                    offsetof(struct merged_querier, base));
    out.v = arena_alloc_array(q->arena, m->n + 1, sizeof(struct str));
    for (size_t i = 0; i < m->n; i++) {
        if (m->v[i].warning.n)
            out.v[out.n++] = m->v[i].warning;
    }
    return out;
}
