/* Range functions over all samples of a window: *_over_time, changes, resets, regression, smoothing (spec 7.4 to 7.6). */
#include "promql/eval_int.h"

#include <math.h>

static bool give(struct point *out, double v)
{
    *out = (struct point){ CELL_FLOAT, v, NULL };
    return true;
}

/* Floats only: windows of histograms alone give nothing, mixed ones an info. True: there are floats. */
static bool floats_only(struct range_call *c, const struct window *w, uint32_t at)
{
    if (w->n && w->hn)
        note_info(c->ev, at, "ignored histograms in a range containing both floats and histograms%.*s",
                  STR_ARG(note_metric(c->ev, c->metric)));
    return w->n > 0;
}
static bool mixed(struct range_call *c, const struct window *w)
{
    if (!w->n || !w->hn)
        return false;
    note_warning(c->ev, range_arg_at(c, 0), "encountered a mix of histograms and floats%.*s",
                 STR_ARG(note_metric(c->ev, c->metric)));
    return true;
}

/* ---- sums ---- */

static bool histogram_over(struct range_call *c, const struct window *w, bool avg, struct point *out)
{
    struct histogram_total t = { 0 };
    uint32_t at = range_arg_at(c, 0);
    for (size_t i = 0; i < w->hn && !t.failed; i++)
        histogram_total_add(c->ev, &t, w->h[i], avg);
    if (t.failed) {
        note_warning(c->ev, at, "vector contains a mix of histograms with exponential and custom buckets schemas%.*s",
                     STR_ARG(note_metric(c->ev, c->metric)));
        return true;
    }
    if (t.seen_reset && t.seen_no_reset)
        note_warning(c->ev, at, "conflicting counter resets during histogram aggregation");
    if (t.reconciled)
        note_info(c->ev, at, "mismatched custom buckets were reconciled during aggregation");
    *out = (struct point){ CELL_HISTOGRAM, 0, histogram_total_value(c->ev, &t, avg) };
    return true;
}

static bool sum_eval(struct range_call *c, const struct window *w, struct point *out)
{
    if (mixed(c, w))
        return true;
    if (w->hn)
        return histogram_over(c, w, false, out);
    struct kahan k = { 0, 0 };
    for (size_t i = 0; i < w->n; i++)
        kahan_add(&k, w->v[i]);
    return give(out, isinf(k.sum) ? k.sum : k.sum + k.c);
}
static bool avg_eval(struct range_call *c, const struct window *w, struct point *out)
{
    if (mixed(c, w))
        return true;
    if (w->hn)
        return histogram_over(c, w, true, out);
    struct average a = { 0 };
    for (size_t i = 0; i < w->n; i++)
        average_add(&a, w->v[i]);
    return give(out, average_value(&a));
}
static bool count_eval(struct range_call *c, const struct window *w, struct point *out)
{
    (void)c;
    return give(out, (double)(w->n + w->hn));
}
static bool present_eval(struct range_call *c, const struct window *w, struct point *out)
{
    (void)c;
    (void)w;
    return give(out, 1);
}

/* ---- extremes, first and last ---- */

static bool extreme(struct range_call *c, const struct window *w, bool want_max, bool want_time, struct point *out)
{
    if (!floats_only(c, w, range_arg_at(c, 0)))
        return true;
    size_t best = 0;
    for (size_t i = 1; i < w->n; i++) {
        double v = w->v[i], b = w->v[best];
        if (want_time ? (want_max ? v >= b : v <= b) || isnan(b) : (want_max ? v > b : v < b) || isnan(b))
            best = i;
    }
    return give(out, want_time ? (double)w->t[best] / 1000 : w->v[best]);
}
static bool min_eval(struct range_call *c, const struct window *w, struct point *out)
{
    return extreme(c, w, false, false, out);
}
static bool max_eval(struct range_call *c, const struct window *w, struct point *out)
{
    return extreme(c, w, true, false, out);
}
static bool ts_min_eval(struct range_call *c, const struct window *w, struct point *out)
{
    return extreme(c, w, false, true, out);
}
static bool ts_max_eval(struct range_call *c, const struct window *w, struct point *out)
{
    return extreme(c, w, true, true, out);
}

/* All windows in one pass. `queue` holds samples that may still be the extreme of a window: each is further from it than the
 * one before, so the front is the answer, the earliest of equals as when the window is searched. NaNs are no candidates. */
static size_t extreme_column(struct range_call *c, bool want_max)
{
    const struct spans *sp = &c->spans;
    const double *v = c->series->v;
    uint32_t *queue = c->queue;
    if (c->queue_capacity < c->series->n) {
        c->queue_capacity = c->series->n + c->series->n / 2;
        queue = c->queue = eval_alloc(c->ev, c->queue_capacity, sizeof *queue);
        if (!queue) {
            c->queue_capacity = 0;
            return SIZE_MAX;
        }
    }
    size_t front = 0, back = 0, seen = 0, cells = 0;
    for (size_t i = 0; i < c->frame->n; i++) {
        size_t from = sp->from[i], to = sp->to[i];
        for (; seen < to; seen++) {
            double x = v[seen];
            if (isnan(x))
                continue;
            while (back > front && (want_max ? x > v[queue[back - 1]] : x < v[queue[back - 1]]))
                back--;
            queue[back++] = (uint32_t)seen;
        }
        if (from == to)
            continue;
        while (front < back && queue[front] < from)
            front++;
        column_set(c->out, i, front < back ? v[queue[front]] : F64_NAN);
        cells++;
    }
    return cells;
}
static size_t min_all(struct range_call *c)
{
    return extreme_column(c, false);
}
static size_t max_all(struct range_call *c)
{
    return extreme_column(c, true);
}

/* The windows' last samples and sizes are known without looking at the rest. */
static size_t last_all(struct range_call *c)
{
    const struct spans *sp = &c->spans;
    size_t cells = 0;
    for (size_t i = 0; i < c->frame->n; i++) {
        if (sp->from[i] == sp->to[i])
            continue;
        column_set(c->out, i, c->series->v[sp->to[i] - 1]);
        cells++;
    }
    return cells;
}
static size_t count_all(struct range_call *c)
{
    const struct spans *sp = &c->spans;
    size_t cells = 0;
    for (size_t i = 0; i < c->frame->n; i++) {
        if (sp->from[i] == sp->to[i])
            continue;
        column_set(c->out, i, (double)(sp->to[i] - sp->from[i]));
        cells++;
    }
    return cells;
}

static bool first_eval(struct range_call *c, const struct window *w, struct point *out)
{
    if (w->n && (!w->hn || w->t[0] < w->ht[0]))
        return give(out, w->v[0]);
    *out = (struct point){ CELL_HISTOGRAM, 0, histogram_clone(c->ev, w->h[0]) };
    return true;
}
static bool last_eval(struct range_call *c, const struct window *w, struct point *out)
{
    if (w->n && (!w->hn || w->t[w->n - 1] > w->ht[w->hn - 1]))
        return give(out, w->v[w->n - 1]);
    *out = (struct point){ CELL_HISTOGRAM, 0, histogram_clone(c->ev, w->h[w->hn - 1]) };
    return true;
}
static bool ts_first_eval(struct range_call *c, const struct window *w, struct point *out)
{
    (void)c;
    int64_t t = !w->hn || (w->n && w->t[0] < w->ht[0]) ? w->t[0] : w->ht[0];
    return give(out, (double)t / 1000);
}
static bool ts_last_eval(struct range_call *c, const struct window *w, struct point *out)
{
    (void)c;
    int64_t t = !w->hn || (w->n && w->t[w->n - 1] > w->ht[w->hn - 1]) ? w->t[w->n - 1] : w->ht[w->hn - 1];
    return give(out, (double)t / 1000);
}

/* ---- spread ---- */

static double variance(const struct window *w)
{
    struct kahan mean = { 0, 0 }, aux = { 0, 0 };
    for (size_t i = 0; i < w->n; i++) {
        double d = w->v[i] - (mean.sum + mean.c);
        kahan_add(&mean, d / (double)(i + 1));
        kahan_add(&aux, d * (w->v[i] - (mean.sum + mean.c)));
    }
    return (aux.sum + aux.c) / (double)w->n;
}
static bool stddev_eval(struct range_call *c, const struct window *w, struct point *out)
{
    return !floats_only(c, w, range_arg_at(c, 0)) || give(out, sqrt(variance(w)));
}
static bool stdvar_eval(struct range_call *c, const struct window *w, struct point *out)
{
    return !floats_only(c, w, range_arg_at(c, 0)) || give(out, variance(w));
}

static bool quantile_eval(struct range_call *c, const struct window *w, struct point *out)
{
    double q = c->params[0][c->step];
    if (!floats_only(c, w, range_arg_at(c, 1)))
        return true;
    if (isnan(q) || q < 0 || q > 1) {
        struct buf b = { 0 };
        note_warning(c->ev, range_arg_at(c, 0), "quantile value should be between 0 and 1, got %.*s",
                     STR_ARG(note_number(&b, q)));
        buf_deinit(&b);
    }
    double *v = range_scratch(c, w->n);
    if (!v)
        return false;
    memcpy(v, w->v, w->n * sizeof *v);
    return give(out, math_quantile(q, v, w->n));
}

static bool mad_eval(struct range_call *c, const struct window *w, struct point *out)
{
    if (!floats_only(c, w, range_arg_at(c, 0)))
        return true;
    double *v = range_scratch(c, w->n);
    if (!v)
        return false;
    bool nan = false;
    for (size_t i = 0; i < w->n; i++) {
        v[i] = w->v[i];
        nan |= isnan(v[i]);
    }
    if (nan)
        return give(out, F64_NAN);
    double median = math_quantile(0.5, v, w->n);
    for (size_t i = 0; i < w->n; i++)
        v[i] = fabs(v[i] - median);
    return give(out, math_quantile(0.5, v, w->n));
}

/* ---- transitions ---- */

/* Walks floats and histograms in time; calls the pairs. */
static bool transitions(struct range_call *c, const struct window *whole, bool resets, struct point *out)
{
    struct window cut;
    const struct window *w = whole;
    if (c->place->anchored) {
        if (!extended_window(c, whole, &cut))
            return true;
        w = &cut;
    }
    if (w->n + w->hn == 0)
        return true;
    size_t i = 0, k = 0, count = 0;
    bool use_starts = resets && c->ev->features & PROMQL_START_TIMES;
    enum cell prev = CELL_NONE;
    while (i < w->n || k < w->hn) {
        bool is_float = k >= w->hn || (i < w->n && w->t[i] < w->ht[k]);
        if (prev != CELL_NONE && (prev == CELL_FLOAT) != is_float) {
            count++;
        } else if (prev == CELL_FLOAT) {
            double v = w->v[i], p = w->v[i - 1];
            if (resets)
                count += v < p || (use_starts && w->st && start_time_reset(w->t[i - 1], w->st[i - 1], w->t[i], w->st[i]));
            else
                count += v != p && !(isnan(v) && isnan(p));
        } else if (prev == CELL_HISTOGRAM) {
            const struct float_histogram *h = w->h[k], *p = w->h[k - 1];
            if (resets)
                count += float_histogram_is_reset(c->ev->a, h, p) ||
                         (use_starts && w->hst && start_time_reset(w->ht[k - 1], w->hst[k - 1], w->ht[k], w->hst[k]));
            else
                count += !histogram_equals(h, p);
        }
        prev = is_float ? CELL_FLOAT : CELL_HISTOGRAM;
        *(is_float ? &i : &k) += 1;
    }
    return give(out, (double)count);
}
static bool changes_eval(struct range_call *c, const struct window *w, struct point *out)
{
    return transitions(c, w, false, out);
}
static bool resets_eval(struct range_call *c, const struct window *w, struct point *out)
{
    return transitions(c, w, true, out);
}

/* ---- regression ---- */

static void regression(const struct window *w, int64_t origin, double *slope, double *intercept)
{
    struct kahan x = { 0, 0 }, y = { 0, 0 }, xy = { 0, 0 }, xx = { 0, 0 };
    bool constant = true;
    for (size_t i = 0; i < w->n; i++) {
        double v = w->v[i], s = (double)(w->t[i] - origin) / 1000;
        if (constant && i > 0 && v != w->v[0])
            constant = false;
        kahan_add(&x, s);
        kahan_add(&y, v);
        kahan_add(&xy, s * v);
        kahan_add(&xx, s * s);
    }
    if (constant && !isnan(w->v[0])) {
        bool infinite = isinf(w->v[0]);
        *slope = infinite ? F64_NAN : 0;
        *intercept = infinite ? F64_NAN : w->v[0];
        return;
    }
    double n = (double)w->n, sx = x.sum + x.c, sy = y.sum + y.c;
    double cov = xy.sum + xy.c - sx * sy / n, var = xx.sum + xx.c - sx * sx / n;
    *slope = cov / var;
    *intercept = sy / n - *slope * sx / n;
}
static bool deriv_eval(struct range_call *c, const struct window *w, struct point *out)
{
    double slope, intercept;
    if (!floats_only(c, w, range_arg_at(c, 0)) || w->n < 2)
        return true;
    regression(w, w->t[0], &slope, &intercept);
    return give(out, slope);
}
static bool predict_eval(struct range_call *c, const struct window *w, struct point *out)
{
    double slope, intercept;
    if (!floats_only(c, w, range_arg_at(c, 0)) || w->n < 2)
        return true;
    regression(w, w->now, &slope, &intercept);
    return give(out, slope * c->params[1][c->step] + intercept);
}

static bool smoothing_eval(struct range_call *c, const struct window *w, struct point *out)
{
    double sf = c->params[1][c->step], tf = c->params[2][c->step];
    if (!(sf > 0 && sf < 1))
        return eval_fail(c->ev, "invalid smoothing factor. Expected: 0 < sf < 1, got: %f", sf);
    if (!(tf > 0 && tf < 1))
        return eval_fail(c->ev, "invalid trend factor. Expected: 0 < tf < 1, got: %f", tf);
    if (!floats_only(c, w, range_arg_at(c, 0)) || w->n < 2)
        return true;
    double s0 = 0, s1 = w->v[0], b = w->v[1] - w->v[0];
    for (size_t i = 1; i < w->n; i++) {
        if (i > 1)
            b = tf * (s1 - s0) + (1 - tf) * b;
        double next = sf * w->v[i] + (1 - sf) * (s1 + b);
        s0 = s1;
        s1 = next;
    }
    return give(out, s1);
}

const struct range_function range_sum = { sum_eval, NULL, NULL }, range_avg = { avg_eval, NULL, NULL }, range_count = { count_eval, NULL, count_all },
                            range_present = { present_eval, NULL, NULL }, range_min = { min_eval, NULL, min_all },
                            range_max = { max_eval, NULL, max_all }, range_ts_min = { ts_min_eval, NULL, NULL },
                            range_ts_max = { ts_max_eval, NULL, NULL }, range_first = { first_eval, NULL, NULL },
                            range_last = { last_eval, NULL, last_all }, range_ts_first = { ts_first_eval, NULL, NULL },
                            range_ts_last = { ts_last_eval, NULL, NULL }, range_stddev = { stddev_eval, NULL, NULL },
                            range_stdvar = { stdvar_eval, NULL, NULL }, range_quantile = { quantile_eval, NULL, NULL },
                            range_mad = { mad_eval, NULL, NULL }, range_changes = { changes_eval, NULL, NULL },
                            range_resets = { resets_eval, NULL, NULL }, range_deriv = { deriv_eval, NULL, NULL },
                            range_predict = { predict_eval, NULL, NULL }, range_smoothing = { smoothing_eval, NULL, NULL };
