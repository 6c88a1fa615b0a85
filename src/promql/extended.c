/* anchored and smoothed: ranges whose edges are samples or interpolations, not extrapolations (spec 7.3, 10.4). Windows that
 * come here reach a lookback further back (and, smoothed, further on) than the range itself. */
#include "promql/eval_int.h"

#include <math.h>

bool extended_allowed(const char *function, bool anchored)
{
    static const char *const both[] = { "delta", "increase", "rate" };
    for (size_t i = 0; i < ARRAY_LEN(both); i++)
        if (strcmp(both[i], function) == 0)
            return true;
    return anchored && (strcmp(function, "changes") == 0 || strcmp(function, "resets") == 0);
}

static double between(int64_t t1, double y1, int64_t t2, double y2, int64_t t, bool counter)
{
    if (counter && y2 < y1)
        y1 = 0;
    return y1 + (y2 - y1) * (double)(t - t1) / (double)(t2 - t1);
}

/* Which samples bound the range. False: nothing. */
static bool edges(const int64_t *t, size_t n, const struct window *w, bool smoothed, size_t *first, size_t *last)
{
    if (n == 0)
        return false;
    *first = 0;
    for (size_t i = 0; i < n && t[i] <= w->start; i++)
        *first = i;
    *last = n - 1;
    for (size_t i = 0; smoothed && i < n; i++) {
        if (t[i] >= w->end) {
            *last = i;
            break;
        }
    }
    return t[*last] > w->start && !(smoothed && t[*first] > w->end);
}

struct float_edges {
    size_t first, last;
    double left, right;
};
static bool float_edges(const struct window *w, bool smoothed, bool counter, struct float_edges *e)
{
    if (!edges(w->t, w->n, w, smoothed, &e->first, &e->last))
        return false;
    size_t a = e->first, b = e->last;
    e->left = w->v[a];
    e->right = w->v[b];
    if (smoothed && w->t[a] < w->start && a + 1 < w->n)
        e->left = between(w->t[a], w->v[a], w->t[a + 1], w->v[a + 1], w->start, counter);
    if (smoothed && w->t[b] > w->end && b > 0)
        e->right = between(w->t[b - 1], w->v[b - 1], w->t[b], w->v[b], w->end, counter);
    return true;
}

static bool float_rate(struct range_call *c, const struct window *w, bool counter, bool rate, struct point *out)
{
    struct float_edges e;
    if (!float_edges(w, c->place->smoothed, counter, &e))
        return true;
    double result = e.right - e.left, prev = e.left;
    for (size_t i = 0; counter && i < w->n; i++) {
        if (w->t[i] <= w->start || w->t[i] >= w->end)
            continue;
        if (w->v[i] < prev)
            result += prev;
        prev = w->v[i];
    }
    if (counter && e.right < prev)
        result += prev;
    *out = (struct point){ CELL_FLOAT, rate ? result / ((double)c->range_ms / 1000) : result, NULL };
    return true;
}

/* ---- histograms ---- */

static bool custom(const struct float_histogram *h)
{
    return h->schema == HISTOGRAM_SCHEMA_CUSTOM;
}

/* h1 + (h2 - h1) * fraction; for counters that restarted, h2 * fraction. NULL: buckets do not fit. */
static struct float_histogram *histogram_between(struct eval *ev, const struct float_histogram *h1, int64_t t1,
                                                 const struct float_histogram *h2, int64_t t2, int64_t t, bool counter,
                                                 bool *across_reset)
{
    double fraction = (double)(t - t1) / (double)(t2 - t1);
    struct float_histogram *h = histogram_clone(ev, h2);
    struct histogram_notes notes = { 0 };
    *across_reset = counter && float_histogram_is_reset(ev->a, h2, h1);
    if (*across_reset) {
        float_histogram_mul(h, fraction);
        return h;
    }
    enum counter_reset_hint hint = h1->hint == h2->hint ? h1->hint
                                   : h1->hint == RESET_GAUGE || h2->hint == RESET_GAUGE ? RESET_GAUGE : RESET_UNKNOWN;
    if (!float_histogram_sub(ev->a, h, h1, &notes))
        return NULL;
    float_histogram_mul(h, fraction);
    if (!float_histogram_add(ev->a, h, h1, &notes))
        return NULL;
    h->hint = hint;
    return h;
}

static bool schema_mix(struct range_call *c)
{
    note_warning(c->ev, range_arg_at(c, 0),
                 "vector contains a mix of histograms with exponential and custom buckets schemas%.*s",
                 STR_ARG(note_metric(c->ev, c->metric)));
    return true;
}
static void not_a(struct range_call *c, const char *what)
{
    note_warning(c->ev, range_arg_at(c, 0), "this native histogram metric is not a %s: \"%.*s\"", what, STR_ARG(c->metric));
}

static bool histogram_rate(struct range_call *c, const struct window *w, bool counter, bool rate, struct point *out)
{
    struct eval *ev = c->ev;
    size_t first, last;
    bool smoothed = c->place->smoothed, reset_left = false, reset_right = false, gauge = false;
    if (!edges(w->ht, w->hn, w, smoothed, &first, &last))
        return true;
    for (size_t i = first; i <= last; i++) {
        if (custom(w->h[i]) != custom(w->h[first]))
            return schema_mix(c);
        gauge |= w->h[i]->hint == RESET_GAUGE;
    }
    if (counter && gauge)
        not_a(c, "counter");
    struct float_histogram *left = histogram_clone(ev, w->h[first]), *right = histogram_clone(ev, w->h[last]);
    bool left_made = smoothed && w->ht[first] < w->start && first + 1 < w->hn;
    if (left_made)
        left = histogram_between(ev, w->h[first], w->ht[first], w->h[first + 1], w->ht[first + 1], w->start, counter, &reset_left);
    if (smoothed && w->ht[last] > w->end && last > 0)
        right = histogram_between(ev, w->h[last - 1], w->ht[last - 1], w->h[last], w->ht[last], w->end, counter, &reset_right);
    if (!left || !right)
        return schema_mix(c);
    if (!counter && (left->hint != RESET_GAUGE || right->hint != RESET_GAUGE))
        not_a(c, "gauge");
    struct float_histogram *result = histogram_clone(ev, right);
    struct histogram_notes notes = { 0 };
    bool ok = float_histogram_sub(ev->a, result, left, &notes);
    const struct float_histogram *prev = left;
    size_t from = first + 1;
    bool walk = counter;
    if (reset_left) {
        prev = w->h[first + 1];
        from = first + 2;
        walk = counter && first + 1 < last;
    }
    for (size_t i = from; walk && ok && i < last; i++) {
        if (float_histogram_is_reset(ev->a, w->h[i], prev))
            ok = float_histogram_add(ev->a, result, prev, &notes);
        prev = w->h[i];
    }
    if (walk && ok && float_histogram_is_reset(ev->a, right, prev))
        ok = float_histogram_add(ev->a, result, prev, &notes);
    if (!ok)
        return schema_mix(c);
    if (rate)
        float_histogram_div(result, (double)c->range_ms / 1000);
    result->hint = RESET_GAUGE;
    float_histogram_compact(ev->a, result);
    *out = (struct point){ CELL_HISTOGRAM, 0, result };
    return true;
}

bool extended_rate(struct range_call *c, const struct window *w, bool counter, bool rate, struct point *out)
{
    if (w->n && w->hn) {
        note_warning(c->ev, range_arg_at(c, 0), "encountered a mix of histograms and floats%.*s",
                     STR_ARG(note_metric(c->ev, c->metric)));
        return true;
    }
    return w->hn ? histogram_rate(c, w, counter, rate, out) : float_rate(c, w, counter, rate, out);
}

bool extended_window(struct range_call *c, const struct window *w, struct window *out)
{
    (void)c;
    size_t a = 0, b = 0;
    while (a < w->n && w->t[a] <= w->start)
        a++;
    while (b < w->hn && w->ht[b] <= w->start)
        b++;
    if (a == w->n && b == w->hn)
        return false;
    /* The newest of either type at or before the start is the baseline. */
    bool float_base = a > 0 && (b == 0 || w->t[a - 1] > w->ht[b - 1]);
    if (float_base)
        a--;
    else if (b > 0)
        b--;
    *out = *w;
    out->n = w->n - a;
    out->t = out->n ? w->t + a : NULL;
    out->v = out->n ? w->v + a : NULL;
    out->st = out->n && w->st ? w->st + a : NULL;
    out->hn = w->hn - b;
    out->ht = out->hn ? w->ht + b : NULL;
    out->h = out->hn ? w->h + b : NULL;
    out->hst = out->hn && w->hst ? w->hst + b : NULL;
    return true;
}

bool extended_matrix(struct eval *ev, const struct promql_node *n, const struct window *w, int64_t **t, double **v, size_t *count)
{
    const struct promql_place *p = &n->u.matrix.selector->u.selector.place;
    struct float_edges e;
    *count = 0;
    if (w->hn)
        return eval_fail(ev, "%s modifier is not supported with histograms", p->anchored ? "anchored" : "smoothed");
    if (!float_edges(w, p->smoothed, false, &e))
        return true;
    *t = eval_alloc(ev, w->n + 2, sizeof **t);
    *v = eval_alloc(ev, w->n + 2, sizeof **v);
    if (!*t || !*v)
        return false;
    size_t k = 0;
    (*t)[k] = w->start;
    (*v)[k++] = e.left;
    for (size_t i = 0; i < w->n; i++) {
        if (w->t[i] <= w->start || w->t[i] >= w->end)
            continue;
        (*t)[k] = w->t[i];
        (*v)[k++] = w->v[i];
    }
    (*t)[k] = w->end;
    (*v)[k++] = e.right;
    *count = k;
    return true;
}

bool smoothed_instant(struct eval *ev, const struct promql_node *n, const struct window *w, int64_t r, struct str metric,
                      struct point *out)
{
    if (w->n && w->hn) {
        note_warning(ev, n->start, "encountered a mix of histograms and floats%.*s", STR_ARG(note_metric(ev, metric)));
        return true;
    }
    const int64_t *t = w->hn ? w->ht : w->t;
    size_t count = w->hn ? w->hn : w->n, k = 0;
    while (k < count && t[k] <= r)
        k++;
    if (k == 0)
        return true;
    bool exact = t[k - 1] == r, later = k < count;
    if (!w->hn) {
        *out = (struct point){ CELL_FLOAT, exact || !later ? w->v[k - 1] : between(t[k - 1], w->v[k - 1], t[k], w->v[k], r, false),
                               NULL };
        return true;
    }
    struct float_histogram *h = histogram_clone(ev, w->h[k - 1]);
    if (!exact && !later) {
        h->hint = h->hint == RESET_GAUGE ? RESET_GAUGE : RESET_UNKNOWN;
    } else if (!exact) {
        const struct float_histogram *a = w->h[k - 1], *b = w->h[k];
        bool counter = !(a->hint == RESET_GAUGE && b->hint == RESET_GAUGE), across;
        h = custom(a) == custom(b) ? histogram_between(ev, a, t[k - 1], b, t[k], r, counter, &across) : NULL;
        if (!h) {
            note_warning(ev, n->start, "vector contains a mix of histograms with exponential and custom buckets schemas%.*s",
                         STR_ARG(note_metric(ev, metric)));
            return true;
        }
    }
    *out = (struct point){ CELL_HISTOGRAM, 0, h };
    return true;
}
