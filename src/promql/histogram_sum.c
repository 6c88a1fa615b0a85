/* Sums and averages of histograms with compensation, and trimming (spec 10.3, 10.6). */
#include "promql/eval_int.h"

#include <math.h>

/* ---- sums ---- */

static bool any_infinite(const struct float_histogram *h)
{
    bool inf = isinf(h->count) || isinf(h->sum) || isinf(h->zero_count);
    for (size_t i = 0; i < h->positive.buckets_count; i++)
        inf |= (bool)isinf(h->positive.buckets[i]);
    for (size_t i = 0; i < h->negative.buckets_count; i++)
        inf |= (bool)isinf(h->negative.buckets[i]);
    return inf;
}

static void total_start(struct eval *ev, struct histogram_total *t, const struct float_histogram *h)
{
    t->h = histogram_clone(ev, h);
    t->c = ARENA_NEW(ev->a, struct float_histogram);
    float_histogram_kahan_init(ev->a, t->h, t->c);
}

void histogram_total_add(struct eval *ev, struct histogram_total *t, const struct float_histogram *h, bool avg)
{
    if (t->failed)
        return;
    t->n++;
    t->seen_reset |= h->hint == RESET_YES;
    t->seen_no_reset |= h->hint == RESET_NO;
    if (t->n == 1) {
        total_start(ev, t, h);
        return;
    }
    struct histogram_notes notes = { 0 };
    double k = (double)t->n;
    if (avg && !t->running) {
        struct float_histogram sum = { 0 }, c = { 0 };
        float_histogram_copy(ev->a, t->h, &sum);
        float_histogram_copy(ev->a, t->c, &c);
        if (!float_histogram_kahan_add(ev->a, &sum, &c, h, &notes)) {
            t->failed = true;
            return;
        }
        t->reconciled |= notes.bounds_reconciled;
        if (!any_infinite(&sum)) {
            *t->h = sum;
            *t->c = c;
            return;
        }
        t->running = true;
        float_histogram_div(t->h, k - 1);
        float_histogram_div(t->c, k - 1);
    }
    const struct float_histogram *add = h;
    if (t->running) {
        double q = (k - 1) / k;
        float_histogram_mul(t->h, q);
        float_histogram_mul(t->c, q);
        struct float_histogram *part = histogram_clone(ev, h);
        float_histogram_div(part, k);
        add = part;
    }
    if (!float_histogram_kahan_add(ev->a, t->h, t->c, add, &notes))
        t->failed = true;
    t->reconciled |= notes.bounds_reconciled;
}

const struct float_histogram *histogram_total_value(struct eval *ev, struct histogram_total *t, bool avg)
{
    ASSERT(t->n > 0);
    if (avg && !t->running && t->n > 1) {
        float_histogram_div(t->h, (double)t->n);
        float_histogram_div(t->c, (double)t->n);
    }
    float_histogram_kahan_finish(t->h, t->c);
    float_histogram_compact(ev->a, t->h);
    return t->h;
}

/* ---- trim ---- */

struct kept {
    double count, midpoint;
};

/* What of a bucket whose bounds are finite, or zero bucket, stays when cut at v. */
static struct kept cut_inside(const struct histogram_bucket *b, double v, bool upper, bool linear)
{
    double p;
    if (linear)
        p = (v - b->lower) / (b->upper - b->lower);
    else if (b->lower > 0)
        p = (log2(v) - log2(b->lower)) / (log2(b->upper) - log2(b->lower));
    else
        p = 1 - (log2(fabs(v)) - log2(fabs(b->upper))) / (log2(fabs(b->lower)) - log2(fabs(b->upper)));
    double lo = upper ? b->lower : v, hi = upper ? v : b->upper;
    struct kept k = { b->count * (upper ? p : 1 - p), (lo + hi) / 2 };
    if (!linear)
        k.midpoint = hi < 0 ? -sqrt(lo * hi) : sqrt(lo * hi);
    return k;
}

static struct kept cut_first_custom(const struct histogram_bucket *b, double v, bool upper)
{
    double whole = b->upper > 0 ? b->upper / 2 : b->upper;
    if (upper) {
        if (v >= b->upper)
            return (struct kept){ b->count, whole };
        if (b->upper <= 0)
            return (struct kept){ isinf(v) ? 0 : b->count, v };
        if (v > 0)
            return (struct kept){ b->count * v / b->upper, v / 2 };
        return (struct kept){ 0, 0 };
    }
    if (isinf(v) && v < 0)
        return (struct kept){ b->count, whole };
    if (v >= 0 && b->upper > v)
        return (struct kept){ b->count * (1 - v / b->upper), (v + b->upper) / 2 };
    if (v < 0 && b->upper > 0)
        return (struct kept){ 0, 0 };
    return (struct kept){ 0, 0 };
}

static struct kept cut_last_custom(const struct histogram_bucket *b, double v, bool upper)
{
    if (upper)
        return isinf(v) && v > 0 ? (struct kept){ b->count, b->lower } : (struct kept){ 0, 0 };
    if (isinf(v) && v > 0)
        return (struct kept){ 0, 0 };
    return (struct kept){ b->count, v > b->lower ? v : b->lower };
}

static double whole_midpoint(const struct float_histogram *h, const struct histogram_bucket *b)
{
    if (h->schema == HISTOGRAM_SCHEMA_CUSTOM || b->side == 0)
        return (b->lower + b->upper) / 2;
    return b->upper < 0 ? -sqrt(b->lower * b->upper) : sqrt(b->lower * b->upper);
}

static struct kept cut(const struct float_histogram *h, const struct histogram_bucket *b, double v, bool upper)
{
    bool custom = h->schema == HISTOGRAM_SCHEMA_CUSTOM;
    if (custom && isinf(b->lower) && isinf(b->upper))
        return (struct kept){ isinf(v) && (v > 0) == upper ? b->count : 0, 0 };
    if (custom && isinf(b->lower) && b->lower < 0)
        return cut_first_custom(b, v, upper);
    if (custom && isinf(b->upper))
        return cut_last_custom(b, v, upper);
    if (upper ? b->upper <= v : b->lower >= v)
        return (struct kept){ b->count, whole_midpoint(h, b) };
    if (upper ? b->lower >= v : b->upper <= v)
        return (struct kept){ 0, 0 };
    return cut_inside(b, v, upper, custom || b->side == 0);
}

static bool populated(const struct float_side *s)
{
    for (size_t i = 0; i < s->buckets_count; i++)
        if (s->buckets[i] != 0)
            return true;
    return false;
}

const struct float_histogram *histogram_trim(struct eval *ev, const struct float_histogram *h, double at, bool upper)
{
    struct float_histogram *out = histogram_clone(ev, h);
    struct histogram_walk w;
    struct histogram_bucket b;
    bool negatives = populated(&h->negative), positives = populated(&h->positive), changed = false;
    struct kahan count = { 0, 0 }, sum = { 0, 0 };
    size_t negative = h->negative.buckets_count, positive = 0;
    histogram_walk_start(&w, h, false);
    while (histogram_walk_next(&w, &b)) {
        if (b.side == 0) {
            if (!negatives && positives)
                b.lower = 0;
            else if (!positives && negatives)
                b.upper = 0;
        }
        struct kept k = cut(h, &b, at, upper);
        if (b.count == 0)
            k.count = 0;
        changed |= k.count != b.count;
        if (k.count != 0) {
            count.sum += k.count;
            kahan_add(&sum, k.midpoint * k.count);
        }
        if (b.side < 0)
            out->negative.buckets[--negative] = k.count;
        else if (b.side == 0)
            out->zero_count = k.count;
        else
            out->positive.buckets[positive++] = k.count;
    }
    if (changed) {
        out->count = count.sum;
        out->sum = sum.sum + sum.c;
    }
    float_histogram_compact(ev->a, out);
    return out;
}
