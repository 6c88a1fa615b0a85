/* From the columns of the root to the series of the result: names that were marked go, labels are copied out of the querier,
 * cells are packed, and series with equal labels are joined (E2). A column is gone when its series is made, so that a result of
 * many series with few cells each takes the memory of its cells, whatever the number of steps.
 *
 * R1  Series of a range are sorted by labels; those of an instant stand in the order of evaluation. */
#include "promql/eval_int.h"

#include <stdlib.h>

struct finish {
    struct eval *ev;
    const struct frame *f;
    struct promql_result *r;
    size_t capacity;
    int64_t *times;  /* of all steps, shared by series without gaps */
    bool distinct;   /* the root cannot give equal labels twice */
    struct map seen; /* instant: labels that were given */
    struct buf key;
};

static struct promql_series *series_add(struct finish *z)
{
    if (z->r->n == z->capacity) {
        size_t capacity = z->capacity ? z->capacity * 2 : 16;
        struct promql_series *grown = eval_alloc(z->ev, capacity, sizeof *grown);
        if (!grown)
            return NULL;
        if (z->r->n)
            memcpy(grown, z->r->series, z->r->n * sizeof *grown);
        z->r->series = grown;
        z->capacity = capacity;
    }
    return &z->r->series[z->r->n++];
}

static bool collision(struct eval *ev)
{
    return eval_fail(ev, "vector cannot contain metrics with the same labelset");
}

static bool pack_with_gaps(struct finish *z, const struct column *c, struct promql_series *s)
{
    size_t n = z->f->n;
    int64_t *t = eval_alloc(z->ev, s->n + s->hn, sizeof *t);
    double *v = eval_alloc(z->ev, s->n, sizeof *v);
    const struct float_histogram **h = eval_alloc(z->ev, s->hn, sizeof *h);
    if (!t || !v || !h)
        return false;
    s->t = t;
    s->v = v;
    s->ht = t + s->n;
    s->h = h;
    for (size_t i = 0, a = 0, b = 0; i < n; i++) {
        if (c->kind[i] == CELL_FLOAT) {
            t[a] = z->times[i];
            v[a++] = c->v[i];
        } else if (c->kind[i] == CELL_HISTOGRAM) {
            t[s->n + b] = z->times[i];
            h[b++] = c->h[i];
        }
    }
    return true;
}

static bool finish_column(void *arg, struct column *c)
{
    struct finish *z = arg;
    struct eval *ev = z->ev;
    size_t n = z->f->n, floats = 0, histograms = 0;
    if (c->drop_name)
        c->labels = labels_without_name(ev, c->labels);
    if (!z->distinct && !ev->run->is_range) {
        labels_bytes_buf(&z->key, c->labels);
        if (map_get(&z->seen, buf_view(&z->key)))
            return collision(ev);
        map_put(&z->seen, arena_str(ev->a, buf_view(&z->key)), z);
    }
    for (size_t i = 0; i < n; i++) {
        floats += c->kind[i] == CELL_FLOAT;
        histograms += c->kind[i] == CELL_HISTOGRAM;
    }
    if (floats + histograms == 0)
        return true;
    struct promql_series *s = series_add(z);
    if (!s)
        return false;
    *s = (struct promql_series){ .labels = labels_copy(ev->a, c->labels), .n = floats, .hn = histograms };
    if (floats < n)
        return pack_with_gaps(z, c, s);
    double *v = eval_alloc(ev, n, sizeof *v);
    if (!v)
        return false;
    memcpy(v, c->v, n * sizeof *v);
    s->t = z->times;
    s->v = v;
    return true;
}

static int series_order(const void *a, const void *b)
{
    const struct promql_series *x = a, *y = b;
    return labels_cmp_prometheus(x->labels, y->labels);
}

/* Two series without a common step as one. */
static bool join(struct finish *z, struct promql_series *x, const struct promql_series *y)
{
    struct eval *ev = z->ev;
    size_t n = x->n + y->n, hn = x->hn + y->hn, a = 0, b = 0;
    int64_t *t = eval_alloc(ev, n + hn, sizeof *t);
    double *v = eval_alloc(ev, n, sizeof *v);
    const struct float_histogram **h = eval_alloc(ev, hn, sizeof *h);
    if (!t || !v || !h)
        return false;
    for (size_t i = 0; i < n; i++) {
        bool first = b == y->n || (a < x->n && x->t[a] < y->t[b]);
        t[i] = first ? x->t[a] : y->t[b];
        v[i] = first ? x->v[a] : y->v[b];
        *(first ? &a : &b) += 1;
    }
    a = b = 0;
    for (size_t i = 0; i < hn; i++) {
        bool first = b == y->hn || (a < x->hn && x->ht[a] < y->ht[b]);
        t[n + i] = first ? x->ht[a] : y->ht[b];
        h[i] = first ? x->h[a] : y->h[b];
        *(first ? &a : &b) += 1;
    }
    *x = (struct promql_series){ .labels = x->labels, .t = t, .v = v, .n = n, .ht = t + n, .h = h, .hn = hn };
    for (size_t i = 1; i < n; i++)
        if (t[i] == t[i - 1])
            return collision(ev);
    for (size_t i = 0, k = 0; i < hn; i++) {
        while (k < n && t[k] < t[n + i])
            k++;
        if ((i && t[n + i] == t[n + i - 1]) || (k < n && t[k] == t[n + i]))
            return collision(ev);
    }
    return true;
}

static bool sort_and_join(struct finish *z)
{
    struct promql_result *r = z->r;
    size_t kept = 0;
    if (r->n)
        qsort(r->series, r->n, sizeof *r->series, series_order);
    for (size_t i = 0; i < r->n && !z->distinct; i++) {
        if (kept && labels_eq(r->series[kept - 1].labels, r->series[i].labels)) {
            if (!join(z, &r->series[kept - 1], &r->series[i]))
                return false;
        } else {
            r->series[kept++] = r->series[i];
        }
    }
    r->n = z->distinct ? r->n : kept;
    return true;
}

static bool finish_start(struct finish *z)
{
    z->times = eval_alloc(z->ev, z->f->n, sizeof *z->times);
    for (size_t i = 0; z->times && i < z->f->n; i++)
        z->times[i] = frame_time(z->f, i);
    return z->times != NULL;
}

/* A bare range selector or subquery: the samples themselves. */
struct raw {
    struct finish *z;
    const struct promql_node *node;
    int64_t from, to;
};
static bool raw_one(void *arg, const struct range_series *s)
{
    struct raw *raw = arg;
    struct finish *z = raw->z;
    struct eval *ev = z->ev;
    size_t a = 0, b = s->n, c = 0, d = s->hn;
    const struct promql_place *p =
        raw->node->kind == NODE_MATRIX ? &raw->node->u.matrix.selector->u.selector.place : &raw->node->u.subquery.place;
    struct promql_series out = { .labels = s->drop_name ? labels_without_name(ev, s->labels) : s->labels };
    out.labels = labels_copy(ev->a, out.labels);
    int64_t *t = NULL;
    double *v = NULL;
    struct float_histogram **h = NULL;
    if (p->anchored || p->smoothed) {
        struct window w = { .t = s->t, .v = s->v, .n = s->n, .ht = s->ht, .h = s->h, .hn = s->hn, .start = raw->from, .end = raw->to };
        if (!extended_matrix(ev, raw->node, &w, &t, &v, &out.n))
            return false;
        out.t = t;
        out.v = v;
    } else {
        while (a < b && s->t[a] <= raw->from)
            a++;
        while (b > a && s->t[b - 1] > raw->to)
            b--;
        while (c < d && s->ht[c] <= raw->from)
            c++;
        while (d > c && s->ht[d - 1] > raw->to)
            d--;
        out.n = b - a;
        out.hn = d - c;
        t = eval_alloc(ev, out.n + out.hn, sizeof *t);
        v = eval_alloc(ev, out.n, sizeof *v);
        h = eval_alloc(ev, out.hn, sizeof(struct float_histogram *));
        if (!t || !v || !h)
            return false;
        if (out.n) {
            memcpy(t, s->t + a, out.n * sizeof *t);
            memcpy(v, s->v + a, out.n * sizeof *v);
        }
        for (size_t i = 0; i < out.hn; i++) {
            t[out.n + i] = s->ht[c + i];
            h[i] = histogram_clone(ev, s->h[c + i]);
        }
        out.t = t;
        out.v = v;
        out.ht = t + out.n;
        out.h = (const struct float_histogram *const *)h;
    }
    if (out.n + out.hn == 0)
        return true;
    struct promql_series *slot = series_add(z);
    if (!slot)
        return false;
    *slot = out;
    ev->samples_total += out.n + out.hn;
    return eval_count(ev, out.n + out.hn);
}

static bool run_matrix(struct finish *z, const struct promql_node *n)
{
    const struct promql_place *p =
        n->kind == NODE_MATRIX ? &n->u.matrix.selector->u.selector.place : &n->u.subquery.place;
    int64_t r = place_time(z->f, p, 0);
    struct raw raw = { z, n, r - (n->kind == NODE_MATRIX ? n->u.matrix.range.ms : n->u.subquery.range.ms), r };
    if (!range_each(z->ev, z->f, n, raw_one, &raw))
        return false;
    if (z->r->n)
        qsort(z->r->series, z->r->n, sizeof *z->r->series, series_order);
    for (size_t i = 1; i < z->r->n; i++)
        if (labels_eq(z->r->series[i - 1].labels, z->r->series[i].labels))
            return eval_fail(z->ev, "vector cannot contain metrics with the same labelset");
    return true;
}

static bool run_scalar(struct finish *z, const struct promql_node *root)
{
    struct eval *ev = z->ev;
    struct column *c = column_new(ev, z->f->n);
    if (!c || !eval_scalar(ev, z->f, root, c->v))
        return false;
    z->r->scalar = c->v[0];
    if (!ev->run->is_range)
        return true;
    memset(c->kind, CELL_FLOAT, z->f->n);
    return finish_start(z) && finish_column(z, c);
}

/* An aggregation whose columns are its groups. */
static bool makes_groups(const struct promql_node *n)
{
    if (n->kind != NODE_AGGREGATE)
        return false;
    enum promql_aggregation op = n->u.aggregate.op;
    return op != AGG_TOPK && op != AGG_BOTTOMK && op != AGG_LIMITK && op != AGG_LIMIT_RATIO;
}

bool result_of_root(struct eval *ev, const struct promql_node *root, const struct frame *f, struct promql_result *r)
{
    const struct promql_node *n = promql_unparen(root);
    struct finish z = { .ev = ev, .f = f, .r = r };
    z.distinct = n->kind == NODE_SELECTOR || (makes_groups(n) && !ev->delayed);
    r->type = ev->run->is_range ? PROMQL_MATRIX : root->type;
    r->t = ev->run->start_ms;
    if (root->type == PROMQL_STRING) {
        r->string = arena_str(ev->a, n->u.string.value);
        return true;
    }
    if (root->type == PROMQL_MATRIX)
        return run_matrix(&z, n);
    if (root->type == PROMQL_SCALAR)
        return run_scalar(&z, root);
    bool ok = finish_start(&z) && eval_vector(ev, f, root, finish_column, &z) &&
              (!ev->run->is_range || sort_and_join(&z));
    map_deinit(&z.seen);
    buf_deinit(&z.key);
    return ok;
}
