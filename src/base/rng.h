/* A seeded source of random numbers (xoshiro256**), passed in, so that simulations replay. Not for secrets: those
 * come from crypto/. Thread: one owner. */
#ifndef TOCSIN_BASE_RNG_H
#define TOCSIN_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t s[4];
};
void rng_seed(struct rng *r, uint64_t seed);
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n); /* 0 .. n-1, unbiased; n > 0 */
double rng_unit(struct rng *r);                /* [0, 1) */
void rng_bytes(struct rng *r, void *p, size_t n);

#endif
