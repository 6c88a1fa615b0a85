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

double math_quantile(double q, double *values, size_t n)
{
    if (n == 0 || isnan(q))
        return F64_NAN;
    if (q < 0)
        return -F64_INF;
    if (q > 1)
        return F64_INF;
    qsort(values, n, sizeof *values, value_order);
    double rank = q * (double)(n - 1), low = floor(rank);
    size_t lo = low > 0 ? (size_t)low : 0, hi = lo + 1 < n ? lo + 1 : n - 1;
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
