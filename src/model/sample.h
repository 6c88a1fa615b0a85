/* A sample, and the two NaNs that mean something: the staleness marker, and the one that every other NaN becomes when
 * it is stored. Upstream: prometheus model/value/value.go. */
#ifndef TOCSIN_MODEL_SAMPLE_H
#define TOCSIN_MODEL_SAMPLE_H

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct sample {
    wall_ms t;
    double v;
};

#define STALE_NAN_BITS  UINT64_C(0x7ff0000000000002)
#define NORMAL_NAN_BITS UINT64_C(0x7ff8000000000001)

static inline uint64_t f64_bits(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}
static inline double f64_from_bits(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}
/* The marker is a signalling NaN: it survives moves and memcpy, but no arithmetic. */
static inline double stale_nan(void)
{
    return f64_from_bits(STALE_NAN_BITS);
}
static inline bool is_stale_nan(double v)
{
    return f64_bits(v) == STALE_NAN_BITS;
}
static inline double normal_nan(void)
{
    return f64_from_bits(NORMAL_NAN_BITS);
}

#endif
