/* Quantiles, fractions and moments: of native histograms, and of classic buckets (spec 8.2, 8.3, 10.5). */
#include "promql/eval_int.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

double histogram_sample_cost(const struct float_histogram *h)
{
    return (double)((float_histogram_size(h) + 8) / 16);
}

struct float_histogram *histogram_clone(struct eval *ev, const struct float_histogram *h)
{
    struct float_histogram *out = ARENA_NEW(ev->a, struct float_histogram);
    float_histogram_copy(ev->a, h, out);
    return out;
}

static bool sides_equal(const struct float_side *a, const struct float_side *b)
{
    size_t i = 0, k = 0;
    /* Empty spans mean nothing unless they carry an offset. */
    int64_t at_a = 0, at_b = 0;
    uint32_t in_a = 0, in_b = 0;
    if (a->buckets_count != b->buckets_count)
        return false;
    for (size_t n = 0; n < a->buckets_count; n++) {
        while (i < a->spans_count && in_a == 0 && (at_a += a->spans[i].offset, a->spans[i].length == 0))
            i++;
        while (k < b->spans_count && in_b == 0 && (at_b += b->spans[k].offset, b->spans[k].length == 0))
            k++;
        if (i >= a->spans_count || k >= b->spans_count || at_a != at_b || f64_bits(a->buckets[n]) != f64_bits(b->buckets[n]))
            return false;
        at_a++;
        at_b++;
        if (++in_a == a->spans[i].length) {
            in_a = 0;
            i++;
        }
        if (++in_b == b->spans[k].length) {
            in_b = 0;
            k++;
        }
    }
    return true;
}

bool histogram_equals(const struct float_histogram *a, const struct float_histogram *b)
{
    if (a->schema != b->schema || f64_bits(a->count) != f64_bits(b->count) || f64_bits(a->sum) != f64_bits(b->sum))
        return false;
    if (a->schema == HISTOGRAM_SCHEMA_CUSTOM) {
        if (a->custom_values_count != b->custom_values_count)
            return false;
        for (size_t i = 0; i < a->custom_values_count; i++)
            if (f64_bits(a->custom_values[i]) != f64_bits(b->custom_values[i]))
                return false;
    }
    return a->zero_threshold == b->zero_threshold && f64_bits(a->zero_count) == f64_bits(b->zero_count) &&
           sides_equal(&a->positive, &b->positive) && sides_equal(&a->negative, &b->negative);
}

/* ---- native: quantile ---- */

/* Does the histogram have populated buckets on that side? Decides how the zero bucket is read. */
static bool has_side(const struct float_side *s)
{
    return s->buckets_count > 0;
}

static double within_bucket(const struct float_histogram *h, const struct histogram_bucket *b, double f)
{
    if (h->schema == HISTOGRAM_SCHEMA_CUSTOM || b->lower <= 0) {
        if (!(b->lower < 0 && b->upper < 0) || h->schema == HISTOGRAM_SCHEMA_CUSTOM)
            return b->lower + (b->upper - b->lower) * f;
    }
    if (b->lower <= 0 && b->upper >= 0)
        return b->lower + (b->upper - b->lower) * f;
    double lo = log2(fabs(b->lower)), hi = log2(fabs(b->upper));
    if (b->lower > 0)
        return exp2(lo + (hi - lo) * f);
    return -exp2(hi + (lo - hi) * (1 - f));
}

double histogram_quantile_of(struct eval *ev, double q, const struct float_histogram *h, struct str metric, uint32_t at)
{
    if (q < 0)
        return -F64_INF;
    if (q > 1)
        return F64_INF;
    if (h->count == 0 || isnan(q))
        return F64_NAN;
    bool descending = !(isnan(h->sum) || q < 0.5);
    double rank = (descending ? 1 - q : q) * h->count, acc = 0;
    struct histogram_walk w;
    struct histogram_bucket b = { 0 }, next;
    histogram_walk_start(&w, h, descending);
    while (histogram_walk_next(&w, &next)) {
        b = next;
        if (b.count == 0)
            continue;
        acc += b.count;
        if (acc >= rank)
            break;
    }
    bool custom = h->schema == HISTOGRAM_SCHEMA_CUSTOM;
    if (!custom && b.lower < 0 && b.upper > 0) {
        if (!has_side(&h->negative) && has_side(&h->positive))
            b.lower = 0;
        else if (!has_side(&h->positive) && has_side(&h->negative))
            b.upper = 0;
    } else if (custom) {
        if (isinf(b.lower)) {
            if (b.upper <= 0)
                return b.upper;
            b.lower = 0;
        } else if (isinf(b.upper)) {
            return b.lower;
        }
    }
    if (acc > h->count)
        acc = h->count;
    if (acc < rank) {
        if (isnan(h->sum)) {
            note_info(ev, at, "input to histogram_quantile has NaN observations, result is NaN%.*s",
                      STR_ARG(note_metric(ev, metric)));
            return F64_NAN;
        }
        return b.upper;
    }
    if (isnan(h->sum)) {
        double total = acc;
        while (histogram_walk_next(&w, &next)) {
            total += next.count;
            b = next;
        }
        (void)total;
        if (total < h->count)
            note_info(ev, at, "input to histogram_quantile has NaN observations, result is skewed higher%.*s",
                      STR_ARG(note_metric(ev, metric)));
    }
    double r = descending ? acc - rank : rank - (acc - b.count);
    return within_bucket(h, &b, r / b.count);
}

/* ---- native: fraction ---- */

struct rank_of {
    double value, rank;
    bool set;
};
static void rank_step(const struct float_histogram *h, const struct histogram_bucket *b, double rank, struct rank_of *r)
{
    if (r->set)
        return;
    double v = r->value;
    if (b->lower >= v) {
        r->rank = rank;
        r->set = true;
        return;
    }
    if (!(b->lower < v && b->upper > v))
        return;
    double p;
    if (isinf(b->lower) && b->lower < 0)
        p = 1;
    else if (h->schema == HISTOGRAM_SCHEMA_CUSTOM || (b->lower <= 0 && b->upper >= 0))
        p = (v - b->lower) / (b->upper - b->lower);
    else if (b->lower > 0)
        p = (log2(v) - log2(b->lower)) / (log2(b->upper) - log2(b->lower));
    else
        p = 1 - (log2(fabs(v)) - log2(fabs(b->upper))) / (log2(fabs(b->lower)) - log2(fabs(b->upper)));
    r->rank = rank + b->count * p;
    r->set = true;
}

double histogram_fraction_of(struct eval *ev, double lower, double upper, const struct float_histogram *h, struct str metric,
                             uint32_t at)
{
    if (h->count == 0 || isnan(lower) || isnan(upper))
        return F64_NAN;
    if (lower >= upper)
        return 0;
    struct rank_of lo = { .value = lower }, hi = { .value = upper };
    struct histogram_walk w;
    struct histogram_bucket b;
    double rank = 0, total = h->count;
    histogram_walk_start(&w, h, false);
    while (histogram_walk_next(&w, &b)) {
        if (b.lower <= 0 && b.upper >= 0) {
            if (!has_side(&h->negative) && has_side(&h->positive))
                b.lower = 0;
            else if (!has_side(&h->positive) && has_side(&h->negative))
                b.upper = 0;
        }
        rank_step(h, &b, rank, &lo);
        rank_step(h, &b, rank, &hi);
        rank += b.count;
    }
    if (isnan(h->sum)) {
        total = rank;
        if (total < h->count)
            note_info(ev, at, "input to histogram_fraction has NaN observations, which are excluded from all fractions%.*s",
                      STR_ARG(note_metric(ev, metric)));
    }
    if (!lo.set || lo.rank > total)
        lo.rank = total;
    if (!hi.set || hi.rank > total)
        hi.rank = total;
    return (hi.rank - lo.rank) / h->count;
}

double histogram_variance(const struct float_histogram *h)
{
    double mean = h->sum / h->count;
    struct kahan k = { 0, 0 };
    struct histogram_walk w;
    struct histogram_bucket b;
    histogram_walk_start(&w, h, false);
    while (histogram_walk_next(&w, &b)) {
        if (b.count == 0)
            continue;
        double x;
        if (h->schema == HISTOGRAM_SCHEMA_CUSTOM)
            x = (b.upper + b.lower) / 2;
        else if (b.lower <= 0 && b.upper >= 0)
            x = 0;
        else
            x = b.upper < 0 ? -sqrt(b.upper * b.lower) : sqrt(b.upper * b.lower);
        double d = x - mean;
        kahan_add(&k, b.count * d * d);
    }
    return (k.sum + k.c) / h->count;
}

/* ---- classic buckets ---- */

static int bucket_order(const void *a, const void *b)
{
    const struct bucket *x = a, *y = b;
    return x->upper < y->upper ? -1 : x->upper > y->upper;
}
static size_t sort_and_join(struct bucket *b, size_t n)
{
    qsort(b, n, sizeof *b, bucket_order);
    size_t k = 0;
    for (size_t i = 1; i < n; i++) {
        if (b[i].upper == b[k].upper)
            b[k].count += b[i].count;
        else
            b[++k] = b[i];
    }
    return n ? k + 1 : 0;
}

static void make_monotonic(struct bucket *b, size_t n, bool *forced, double *lo, double *hi, double *diff)
{
    double prev = b[0].count;
    *lo = F64_INF;
    *hi = -F64_INF;
    *diff = 0;
    for (size_t i = 1; i < n; i++) {
        double v = b[i].count;
        if (v == prev)
            continue;
        if (math_almost_equal(prev, v, 1e-12)) {
            b[i].count = prev;
            continue;
        }
        if (v < prev) {
            b[i].count = prev;
            *forced = true;
            *lo = b[i].upper < *lo ? b[i].upper : *lo;
            *hi = b[i].upper > *hi ? b[i].upper : *hi;
            *diff = prev - v > *diff ? prev - v : *diff;
            continue;
        }
        prev = v;
    }
}

double bucket_quantile(double q, struct bucket *b, size_t n, bool *forced, double *lo, double *hi, double *diff)
{
    *forced = false;
    if (isnan(q))
        return F64_NAN;
    if (q < 0)
        return -F64_INF;
    if (q > 1)
        return F64_INF;
    n = sort_and_join(b, n);
    if (n == 0 || !isinf(b[n - 1].upper) || b[n - 1].upper < 0)
        return F64_NAN;
    make_monotonic(b, n, forced, lo, hi, diff);
    if (n < 2 || b[n - 1].count == 0 || isnan(b[n - 1].count))
        return F64_NAN;
    double rank = q * b[n - 1].count;
    size_t i = 0;
    while (i < n - 1 && !(b[i].count >= rank))
        i++;
    if (i == n - 1)
        return b[n - 2].upper;
    if (i == 0 && b[0].upper <= 0)
        return b[0].upper;
    double start = 0, count = b[i].count;
    if (i > 0) {
        start = b[i - 1].upper;
        count -= b[i - 1].count;
        rank -= b[i - 1].count;
    }
    return start + (b[i].upper - start) * (rank / count);
}

double bucket_fraction(double lower, double upper, struct bucket *b, size_t n)
{
    n = sort_and_join(b, n);
    if (n == 0 || !isinf(b[n - 1].upper) || b[n - 1].upper < 0)
        return F64_NAN;
    double total = b[n - 1].count;
    if (total == 0 || isnan(lower) || isnan(upper))
        return F64_NAN;
    if (lower >= upper)
        return 0;
    struct rank_of r[2] = { { .value = lower }, { .value = upper } };
    double rank = 0;
    for (size_t i = 0; i < n; i++) {
        double lb = i ? b[i - 1].upper : b[0].upper > 0 ? 0 : -F64_INF, ub = b[i].upper;
        for (size_t k = 0; k < 2; k++) {
            double v = r[k].value;
            if (r[k].set || !(lb >= v || (lb < v && v < ub)))
                continue;
            r[k].set = true;
            if (lb >= v)
                r[k].rank = rank;
            else
                r[k].rank = isinf(lb) ? b[i].count : rank + (b[i].count - rank) * (v - lb) / (ub - lb);
        }
        rank = b[i].count;
    }
    for (size_t k = 0; k < 2; k++)
        if (!r[k].set || r[k].rank > total)
            r[k].rank = total;
    return (r[1].rank - r[0].rank) / total;
}
