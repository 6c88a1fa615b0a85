/* Aggregations that fold: each series is added to its group's column as it comes and is gone; what is held is one
 * accumulator a group and step. quantile keeps its columns, because it has to see the values of a step together; count_values
 * makes its groups from values.
 *
 * Groups are in order of first appearance. G1: a group that exists has seen at least one cell. */
#include "promql/eval_int.h"

#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"

#include <math.h>

struct group {
    struct labels labels;
    bool drop_name;
    uint8_t *kind; /* bits: 1 floats seen, 2 histograms seen */
    double *a, *b, *n; /* by operation: sum and compensation, mean and M2, value, count */
    struct average *avg;
    struct histogram_total **totals;
    struct vector members; /* quantile: its columns */
};

struct folding {
    struct eval *ev;
    const struct frame *f;
    const struct promql_node *node;
    enum promql_aggregation op;
    struct map by_labels;
    struct group **groups;
    size_t n, capacity;
    struct buf key;
    struct str label; /* count_values */
    double *values;   /* quantile: of a step */
    size_t values_capacity;
    bool histograms_ignored;
};

/* The group under z->key, NULL: none yet. */
static struct group *group_find(struct folding *z, const struct column *c)
{
    struct group *g = map_get(&z->by_labels, buf_view(&z->key));
    if (g)
        g->drop_name |= c->drop_name;
    return g;
}

static struct group *group_make(struct folding *z, const struct column *c, struct labels labels)
{
    struct eval *ev = z->ev;
    struct group *g = ARENA_NEW(ev->a, struct group);
    g->labels = labels;
    g->drop_name = c->drop_name;
    size_t n = z->f->n;
    bool two = z->op == AGG_SUM || z->op == AGG_STDDEV || z->op == AGG_STDVAR;
    if (!(g->kind = eval_alloc(ev, n, 1)))
        return NULL;
    if (z->op == AGG_AVG) {
        if (!(g->avg = eval_alloc(ev, n, sizeof *g->avg)))
            return NULL;
    } else if (z->op != AGG_QUANTILE && !(g->a = eval_alloc(ev, n, sizeof *g->a))) {
        return NULL;
    }
    if (two && (!(g->b = eval_alloc(ev, n, sizeof *g->b)) || !(g->n = eval_alloc(ev, n, sizeof *g->n))))
        return NULL;
    if (z->n == z->capacity) {
        size_t capacity = z->capacity ? z->capacity * 2 : 16;
        struct group **v = eval_alloc(ev, capacity, sizeof(struct group *));
        if (!v)
            return NULL;
        if (z->n)
            memcpy(v, z->groups, z->n * sizeof(struct group *));
        z->groups = v;
        z->capacity = capacity;
    }
    z->groups[z->n++] = g;
    map_put(&z->by_labels, arena_str(ev->a, buf_view(&z->key)), g);
    return g;
}

static struct labels grouping_labels(struct folding *z, struct labels ls)
{
    const struct promql_node *n = z->node;
    if (!n->u.aggregate.without && n->u.aggregate.grouping.n == 0)
        return (struct labels){ NULL, 0 };
    return labels_project(z->ev, ls, &n->u.aggregate.grouping, !n->u.aggregate.without);
}

/* Labels are put together for the first series of a group only. */
static struct group *group_of(struct folding *z, const struct column *c)
{
    const struct promql_node *n = z->node;
    struct group *g;
    if (!n->u.aggregate.without && n->u.aggregate.grouping.n == 0) {
        buf_reset(&z->key);
        return (g = group_find(z, c)) ? g : group_make(z, c, (struct labels){ NULL, 0 });
    }
    labels_project_bytes(&z->key, c->labels, &n->u.aggregate.grouping, !n->u.aggregate.without);
    return (g = group_find(z, c)) ? g : group_make(z, c, grouping_labels(z, c->labels));
}

static bool fold_histogram(struct folding *z, struct group *g, size_t i, const struct float_histogram *h)
{
    struct eval *ev = z->ev;
    switch (z->op) {
    case AGG_COUNT: g->a[i]++; break;
    case AGG_GROUP: g->a[i] = 1; break;
    case AGG_SUM:
    case AGG_AVG:
        if (!g->totals && !(g->totals = eval_alloc(ev, z->f->n, sizeof(struct histogram_total *))))
            return false;
        if (!g->totals[i])
            g->totals[i] = ARENA_NEW(ev->a, struct histogram_total);
        histogram_total_add(ev, g->totals[i], h, z->op == AGG_AVG);
        break;
    case AGG_MIN:
    case AGG_MAX:
    case AGG_STDDEV:
    case AGG_STDVAR:
    case AGG_QUANTILE: z->histograms_ignored = true; return true;
    case AGG_TOPK:
    case AGG_BOTTOMK:
    case AGG_COUNT_VALUES:
    case AGG_LIMITK:
    case AGG_LIMIT_RATIO: ASSERT(false); break;
    }
    g->kind[i] |= 2;
    return true;
}

/* Floats in every cell, and the group has floats in every cell: the loop without questions. */
static void fold_sum_dense(struct group *g, const struct column *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double x = c->v[i], s = g->a[i], t = s + x;
        bool larger = fabs(s) >= fabs(x);
        double high = larger ? s : x, low = larger ? x : s;
        g->b[i] = isinf(t) ? 0 : g->b[i] + ((high - t) + low);
        g->a[i] = t;
    }
}
static bool all_are(const uint8_t *p, size_t n, uint8_t value)
{
    return n == 0 || (p[0] == value && memcmp(p, p + 1, n - 1) == 0);
}
static void fold_sum(struct group *g, const struct column *c, size_t n)
{
    if (all_are(c->kind, n, CELL_FLOAT)) {
        if (all_are(g->kind, n, 1)) {
            fold_sum_dense(g, c, n);
            return;
        }
        if (all_are(g->kind, n, 0)) {
            memcpy(g->a, c->v, n * sizeof *g->a);
            memset(g->kind, 1, n);
            return;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (c->kind[i] != CELL_FLOAT)
            continue;
        if (!(g->kind[i] & 1)) {
            g->a[i] = c->v[i];
            g->b[i] = 0;
        } else {
            struct kahan k = { g->a[i], g->b[i] };
            kahan_add(&k, c->v[i]);
            g->a[i] = k.sum;
            g->b[i] = k.c;
        }
        g->kind[i] |= 1;
    }
}
static void fold_extreme(struct group *g, const struct column *c, size_t n, bool max)
{
    for (size_t i = 0; i < n; i++) {
        if (c->kind[i] != CELL_FLOAT)
            continue;
        double v = c->v[i], old = g->a[i];
        if (!(g->kind[i] & 1) || (max ? v > old : v < old) || isnan(old))
            g->a[i] = v;
        g->kind[i] |= 1;
    }
}
static void fold_spread(struct group *g, const struct column *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (c->kind[i] != CELL_FLOAT)
            continue;
        double v = c->v[i];
        if (!(g->kind[i] & 1)) {
            g->a[i] = v;
            g->b[i] = isnan(v) || isinf(v) ? F64_NAN : 0;
            g->n[i] = 1;
        } else {
            g->n[i]++;
            double d = v - g->a[i];
            g->a[i] += d / g->n[i];
            g->b[i] += d * (v - g->a[i]);
        }
        g->kind[i] |= 1;
    }
}
/* All values of a step have to be seen together. */
static bool fold_quantile(struct folding *z, struct group *g, const struct column *c, size_t n)
{
    size_t floats = 0;
    for (size_t i = 0; i < n; i++) {
        floats += c->kind[i] == CELL_FLOAT;
        g->kind[i] |= c->kind[i] == CELL_FLOAT;
    }
    return floats == 0 || vector_add(z->ev, &g->members, column_keep(z->ev, c, n));
}
static bool quantile_at(struct folding *z, const struct group *g, size_t i, double q, double *out)
{
    size_t n = 0;
    if (g->members.n > z->values_capacity) {
        z->values_capacity = g->members.n;
        if (!(z->values = eval_alloc(z->ev, z->values_capacity, sizeof *z->values)))
            return false;
    }
    for (size_t k = 0; k < g->members.n; k++)
        if (g->members.v[k]->kind[i] == CELL_FLOAT)
            z->values[n++] = g->members.v[k]->v[i];
    *out = math_quantile(q, z->values, n);
    return true;
}
static void fold_others(struct folding *z, struct group *g, const struct column *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (c->kind[i] != CELL_FLOAT)
            continue;
        if (z->op == AGG_COUNT)
            g->a[i]++;
        else if (z->op == AGG_GROUP)
            g->a[i] = 1;
        else
            average_add(&g->avg[i], c->v[i]);
        g->kind[i] |= 1;
    }
}

static bool fold_one(void *arg, struct column *c)
{
    struct folding *z = arg;
    struct group *g = group_of(z, c);
    size_t n = z->f->n;
    if (!g)
        return false;
    for (size_t i = 0; c->h && i < n; i++)
        if (c->kind[i] == CELL_HISTOGRAM && !fold_histogram(z, g, i, c->h[i]))
            return false;
    switch (z->op) {
    case AGG_SUM: fold_sum(g, c, n); return true;
    case AGG_MIN:
    case AGG_MAX: fold_extreme(g, c, n, z->op == AGG_MAX); return true;
    case AGG_STDDEV:
    case AGG_STDVAR: fold_spread(g, c, n); return true;
    case AGG_QUANTILE: return fold_quantile(z, g, c, n);
    case AGG_AVG:
    case AGG_COUNT:
    case AGG_GROUP:
    case AGG_TOPK:
    case AGG_BOTTOMK:
    case AGG_COUNT_VALUES:
    case AGG_LIMITK:
    case AGG_LIMIT_RATIO: break;
    }
    fold_others(z, g, c, n);
    return true;
}

/* ---- count_values ---- */

static bool count_value(struct folding *z, const struct column *c, size_t i, struct labels base)
{
    struct buf text = { 0 };
    if (c->kind[i] == CELL_HISTOGRAM)
        float_histogram_write(&text, c->h[i]);
    else
        num_write_f64(&text, c->v[i], 'f', -1);
    struct labels ls = labels_set(z->ev, base, z->label, arena_str(z->ev->a, buf_view(&text)));
    buf_deinit(&text);
    struct column marks = { .drop_name = false };
    labels_bytes_buf(&z->key, ls);
    struct group *g = group_find(z, &marks);
    if (!g && !(g = group_make(z, &marks, ls)))
        return false;
    g->a[i]++;
    g->kind[i] |= 1;
    return true;
}
static bool count_values_one(void *arg, struct column *c)
{
    struct folding *z = arg;
    struct labels base = grouping_labels(z, c->labels);
    for (size_t i = 0; i < z->f->n; i++)
        if (c->kind[i] != CELL_NONE && !count_value(z, c, i, base))
            return false;
    return true;
}

/* ---- results ---- */

static bool finish_histogram(struct folding *z, struct group *g, size_t i, struct column *out)
{
    struct eval *ev = z->ev;
    uint32_t at = z->node->u.aggregate.expr->start;
    struct histogram_total *t = g->totals[i];
    if (g->kind[i] & 1) {
        note_warning(ev, at, "encountered a mix of histograms and floats for aggregation");
        return true;
    }
    if (t->failed) {
        note_warning(ev, at, "vector contains a mix of histograms with exponential and custom buckets schemas");
        return true;
    }
    if (t->seen_reset && t->seen_no_reset)
        note_warning(ev, at, "conflicting counter resets during histogram aggregation");
    if (t->reconciled)
        note_info(ev, at, "mismatched custom buckets were reconciled during aggregation");
    return column_set_histogram(ev, out, z->f->n, i, histogram_total_value(ev, t, z->op == AGG_AVG));
}

static double finish_float(struct folding *z, struct group *g, size_t i)
{
    switch (z->op) {
    case AGG_SUM: return g->a[i] + g->b[i];
    case AGG_AVG: return average_value(&g->avg[i]);
    case AGG_STDVAR: return g->b[i] / g->n[i];
    case AGG_STDDEV: return sqrt(g->b[i] / g->n[i]);
    case AGG_QUANTILE:
    case AGG_COUNT:
    case AGG_MIN:
    case AGG_MAX:
    case AGG_GROUP:
    case AGG_COUNT_VALUES:
    case AGG_TOPK:
    case AGG_BOTTOMK:
    case AGG_LIMITK:
    case AGG_LIMIT_RATIO: break;
    }
    return g->a[i];
}

static bool finish_groups(struct folding *z, const double *q, column_emit *emit, void *arg)
{
    size_t n = z->f->n;
    struct column *out = z->n ? column_new(z->ev, n) : NULL;
    for (size_t k = 0; k < z->n; k++) {
        struct group *g = z->groups[k];
        if (!out || !eval_poll(z->ev))
            return false;
        column_clear(out, n);
        out->labels = g->labels;
        out->drop_name = g->drop_name;
        for (size_t i = 0; i < n; i++) {
            if (g->totals && g->totals[i]) {
                if (!finish_histogram(z, g, i, out))
                    return false;
            } else if (g->kind[i]) {
                double v;
                if (z->op != AGG_QUANTILE)
                    v = finish_float(z, g, i);
                else if (!quantile_at(z, g, i, q[i], &v))
                    return false;
                column_set(out, i, v);
            }
        }
        size_t cost = column_cost(out, n);
        if (cost && (!eval_count(z->ev, cost) || !emit(arg, out)))
            return false;
    }
    return true;
}

/* One warning for NaN, one for the largest above 1, one for the smallest below 0. */
static void warn_quantiles(struct eval *ev, const double *q, size_t n, uint32_t at)
{
    double lo = 0, hi = 1;
    bool nan = false;
    for (size_t i = 0; i < n; i++) {
        nan |= isnan(q[i]);
        lo = q[i] < lo ? q[i] : lo;
        hi = q[i] > hi ? q[i] : hi;
    }
    const double bad[] = { F64_NAN, hi, lo };
    const bool is[] = { nan, hi > 1, lo < 0 };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct buf b = { 0 };
        if (is[i])
            note_warning(ev, at, "quantile value should be between 0 and 1, got %.*s", STR_ARG(note_number(&b, bad[i])));
        buf_deinit(&b);
    }
}

bool aggregate_eval(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    struct folding z = { .ev = ev, .f = f, .node = n, .op = n->u.aggregate.op };
    double *q = NULL;
    size_t before = ev->samples;
    const struct promql_node *param = n->u.aggregate.param;
    if (z.op == AGG_QUANTILE) {
        if (!(q = eval_scalar_new(ev, f, param)))
            return false;
        warn_quantiles(ev, q, f->n, param->start);
    }
    if (z.op == AGG_COUNT_VALUES) {
        z.label = promql_unparen(param)->u.string.value;
        if (!label_name_is_utf8(z.label)) {
            struct buf b = { 0 };
            go_quote(&b, z.label);
            eval_fail(ev, "invalid label name %.*s", STR_ARG(buf_view(&b)));
            buf_deinit(&b);
            return false;
        }
    }
    bool ok = eval_vector(ev, f, n->u.aggregate.expr, z.op == AGG_COUNT_VALUES ? count_values_one : fold_one, &z);
    eval_uncount(ev, before);
    if (ok && z.histograms_ignored)
        note_info(ev, n->u.aggregate.expr->start, "ignored histogram in %.*s aggregation",
                  STR_ARG(promql_aggregation_text(z.op)));
    ok = ok && finish_groups(&z, q, emit, arg);
    map_deinit(&z.by_labels);
    buf_deinit(&z.key);
    return ok;
}
