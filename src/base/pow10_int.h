/* Powers of ten to 128 bits, generated: see tools/gen_pow10.py. 10^e is (hi:lo) * 2^(floor(log2(10^e)) - 127), cut. */
#ifndef TOCSIN_BASE_POW10_INT_H
#define TOCSIN_BASE_POW10_INT_H

#include <stdint.h>

#define POW10_MIN (-348)
#define POW10_MAX 347

struct pow10 {
    uint64_t hi, lo;
};
extern const struct pow10 pow10_table[POW10_MAX - POW10_MIN + 1];

#endif
