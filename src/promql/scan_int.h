/* Questions to all values of a series at once, two values an instruction (the compiler's vectors: any CPU has them or an
 * equivalent). They are asked of every sample that a range function reads, and the answer is nearly always "none". */
#ifndef TOCSIN_PROMQL_SCAN_INT_H
#define TOCSIN_PROMQL_SCAN_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef double scan_pair __attribute__((vector_size(16), aligned(8), may_alias));
typedef int64_t scan_mask __attribute__((vector_size(16)));
#define SCAN_BLOCK 8

static inline scan_pair scan_load(const double *v)
{
    return *(const scan_pair *)(const void *)v;
}
static inline bool scan_any(scan_mask m)
{
    return (m[0] | m[1]) != 0;
}

/* Is any of v[0..n) a NaN, stale markers included? */
static inline bool scan_has_nan(const double *v, size_t n)
{
    size_t i = 0;
    for (; i + SCAN_BLOCK <= n; i += SCAN_BLOCK) {
        scan_pair a = scan_load(v + i), b = scan_load(v + i + 2), c = scan_load(v + i + 4), d = scan_load(v + i + 6);
        if (scan_any((a != a) | (b != b) | (c != c) | (d != d)))
            return true;
    }
    bool any = false;
    for (; i < n; i++)
        any |= __builtin_isnan(v[i]);
    return any;
}

/* An i >= from, from > 0, such that no v[k] < v[k - 1] comes before it and one does in [i, i + SCAN_BLOCK); n: none does. */
static inline size_t scan_fall(const double *v, size_t from, size_t n)
{
    size_t i = from;
    for (; i + SCAN_BLOCK <= n; i += SCAN_BLOCK) {
        const double *p = v + i;
        if (scan_any((scan_load(p) < scan_load(p - 1)) | (scan_load(p + 2) < scan_load(p + 1)) |
                     (scan_load(p + 4) < scan_load(p + 3)) | (scan_load(p + 6) < scan_load(p + 5))))
            return i;
    }
    for (; i < n; i++)
        if (v[i] < v[i - 1])
            return i;
    return n;
}

#endif
