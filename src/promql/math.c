/* Arithmetic that several files need: operators, quantiles, averages, comparisons with tolerance. */
#include "promql/eval_int.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

double math_op(enum promql_op op, double l, double r)
{
    switch (op) {
    case OP_ADD: return l + r;
    case OP_SUB: return l - r;
    case OP_MUL: return l * r;
    case OP_DIV: return l / r;
    case OP_MOD: return fmod(l, r);
    case OP_POW: return pow(l, r);
    case OP_ATAN2: return atan2(l, r);
    case OP_EQ: return l == r;
    case OP_NE: return l != r;
    case OP_LT: return l < r;
    case OP_LE: return l <= r;
    case OP_GT: return l > r;
    case OP_GE: return l >= r;
    case OP_TRIM_UPPER:
    case OP_TRIM_LOWER:
    case OP_AND:
    case OP_OR:
    case OP_UNLESS: break;
    }
    return F64_NAN;
}

static int value_order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    bool xn = isnan(x), yn = isnan(y);
    if (xn || yn)
        return xn && yn ? 0 : xn ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* Puts the k-th smallest of v at v[k], what is not larger before it and what is not smaller behind. No NaN. Halves that
 * do not get smaller quickly are sorted, so that no order of values is slow. */
static void select_nth(double *v, size_t n, size_t k)
{
    size_t low = 0, high = n - 1, budget = 16 * n;
    while (low < high) {
        size_t span = high - low + 1;
        if (budget < span) {
            qsort(v + low, span, sizeof *v, value_order);
            return;
        }
        budget -= span;
        double a = v[low], b = v[low + span / 2], c = v[high];
        double pivot = a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
        size_t i = low, j = high;
        for (;;) {
            while (v[i] < pivot)
                i++;
            while (v[j] > pivot)
                j--;
            if (i >= j)
                break;
            double t = v[i];
            v[i++] = v[j];
            v[j--] = t;
        }
        /* v[low..i) <= pivot <= v[i..high], and i is past low because the pivot is one of them */
        if (i == low)
            i++;
        if (k < i)
            high = i - 1;
        else
            low = i;
    }
}

double math_quantile(double q, double *values, size_t n)
{
    if (n == 0 || isnan(q))
        return F64_NAN;
    if (q < 0)
        return -F64_INF;
    if (q > 1)
        return F64_INF;
    size_t nans = 0;
    for (size_t i = 0; i < n; i++) { /* they come first */
        if (isnan(values[i])) {
            double t = values[nans];
            values[nans++] = values[i];
            values[i] = t;
        }
    }
    double rank = q * (double)(n - 1), low = floor(rank);
    size_t lo = low > 0 ? (size_t)low : 0, hi = lo + 1 < n ? lo + 1 : n - 1;
    if (lo >= nans)
        select_nth(values + nans, n - nans, lo - nans);
    if (hi > lo && hi >= nans) { /* the smallest of what follows */
        size_t least = hi;
        for (size_t i = hi + 1; i < n; i++)
            least = values[i] < values[least] ? i : least;
        double t = values[hi];
        values[hi] = values[least];
        values[least] = t;
    }
    double w = rank - low;
    return values[lo] * (1 - w) + values[hi] * w;
}

bool math_almost_equal(double a, double b, double eps)
{
    if (is_stale_nan(a) || is_stale_nan(b))
        return is_stale_nan(a) && is_stale_nan(b);
    if (isnan(a) && isnan(b))
        return true;
    if (a == b)
        return true;
    double s = fabs(a) + fabs(b), d = fabs(a - b);
    if (a == 0 || b == 0 || s < DBL_MIN)
        return d < eps * DBL_MIN;
    return d / (s < DBL_MAX ? s : DBL_MAX) < eps;
}

double math_min(double a, double b)
{
    if ((isinf(a) && a < 0) || (isinf(b) && b < 0))
        return -F64_INF;
    if (isnan(a) || isnan(b))
        return F64_NAN;
    return a < b || (a == b && signbit(a)) ? a : b;
}

double math_max(double a, double b)
{
    if ((isinf(a) && a > 0) || (isinf(b) && b > 0))
        return F64_INF;
    if (isnan(a) || isnan(b))
        return F64_NAN;
    return a > b || (a == b && !signbit(a)) ? a : b;
}

void average_add(struct average *a, double v)
{
    a->n++;
    if (a->n == 1) {
        a->k = (struct kahan){ v, 0 };
        return;
    }
    double k = (double)a->n;
    if (!a->running) {
        struct kahan next = a->k;
        kahan_add(&next, v);
        if (!isinf(next.sum)) {
            a->k = next;
            return;
        }
        a->running = true;
        a->k.sum /= k - 1;
        a->k.c /= k - 1;
    }
    double q = (k - 1) / k;
    a->k.sum *= q;
    a->k.c *= q;
    kahan_add(&a->k, v / k);
}

double average_value(const struct average *a)
{
    if (a->running)
        return a->k.sum + a->k.c;
    return a->k.sum / (double)a->n + a->k.c / (double)a->n;
}
