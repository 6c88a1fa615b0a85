/* XOR chunks: floats after Gorilla (upstream tsdb/chunkenc/xor.go). A chunk is a be16 count and a bit stream.
 *
 * The writer keeps its state outside of the bytes, in 32 bytes that live in the series record; the bytes are the caller's,
 * in whatever storage it likes. Pure; one owner. */
#ifndef TOCSIN_TSDB_CHUNKENC_XOR_INT_H
#define TOCSIN_TSDB_CHUNKENC_XOR_INT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XOR_SAMPLES_MAX 65535
#define XOR_SAMPLE_BYTES_MAX 19 /* what one more sample may add */

struct xor_state {
    int64_t t;       /* of the newest sample */
    uint64_t v;      /* its bits */
    uint64_t delta;  /* between the newest two */
    uint32_t bits;   /* length, the count's 16 included; 0: no chunk */
    uint16_t n;
    uint8_t lead, trail;
};

static inline size_t xor_bytes(const struct xor_state *s)
{
    return (s->bits + 7u) >> 3;
}

#define XOR_STEP_BYTES 40
/* What changes in the bytes when (t, v) is appended: `bytes` of them from index `at` on (the first may be rewritten),
 * beside the count in the first two. Lets the caller make room before it copies. */
struct xor_step {
    uint32_t at, n;
    uint8_t bytes[XOR_STEP_BYTES];
};
/* Advances *s by one sample; `partial` is the chunk's last byte (ignored if it is full or there is none). t must be
 * greater than s->t and s->n below XOR_SAMPLES_MAX. */
void xor_append(struct xor_state *s, uint8_t partial, int64_t t, uint64_t v, struct xor_step *step);

/* All samples of a chunk: t and v have room for the count in the first two bytes. Trailing bytes are ignored. *ascends: the
 * times surely do, so that nobody has to look; false says nothing. */
MUST_CHECK bool xor_decode(const uint8_t *p, size_t n, int64_t *t, double *v, bool *ascends, struct err *err);
/* The same for encoding 4, written by newer servers: start timestamps are read and dropped. */
MUST_CHECK bool xor2_decode(const uint8_t *p, size_t n, int64_t *t, double *v, struct err *err);

#endif
