/* Bit streams as chunks use them: bytes filled from the most significant bit, fields high bit first, zero padding at the
 * end (docs/formats/tsdb.md; upstream tsdb/chunkenc/bstream.go, varbit.go). */
#ifndef TOCSIN_TSDB_CHUNKENC_BITS_INT_H
#define TOCSIN_TSDB_CHUNKENC_BITS_INT_H

#include "base/bytes.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- writing ---- */

/* Puts the low n bits (n <= 56) of v at bit `pos`. Bits of the byte at pos that are before it stay; the eight bytes from
 * there on are written, so the buffer has that much room. */
static inline void bits_put56(uint8_t *p, size_t pos, uint64_t v, unsigned n)
{
    size_t at = pos >> 3;
    unsigned off = (unsigned)(pos & 7);
    uint64_t keep = off ? (uint64_t)(p[at] & (0xff00u >> off)) << 56 : 0;
    put_be64(p + at, keep | (n ? (v << (64 - n)) >> off : 0));
}
static inline void bits_put(uint8_t *p, size_t pos, uint64_t v, unsigned n)
{
    if (n > 56) {
        bits_put56(p, pos, v >> 32, n - 32);
        pos += n - 32;
        n = 32;
        v &= 0xffffffffu;
    }
    bits_put56(p, pos, v, n);
}

struct bit_writer { /* a growing stream; owns its bytes (mem_free) */
    uint8_t *p;
    size_t bits, capacity;
};
#define BIT_WRITER_SLACK 16

static inline void bit_writer_put(struct bit_writer *w, uint64_t v, unsigned n)
{
    size_t need = ((w->bits + n) >> 3) + BIT_WRITER_SLACK;
    if (UNLIKELY(need > w->capacity)) {
        w->capacity = need + need / 2 + 32;
        w->p = mem_realloc(w->p, w->capacity);
    }
    bits_put(w->p, w->bits, v, n);
    w->bits += n;
}
static inline size_t bit_writer_bytes(const struct bit_writer *w)
{
    return (w->bits + 7) >> 3;
}

/* ---- reading ---- */

/* Checked reading: past the end gives zeros and sets bad. */
struct bit_reader {
    const uint8_t *p;
    size_t bytes, pos; /* pos in bits */
    bool bad;
};

static inline size_t bit_reader_left(const struct bit_reader *r)
{
    return r->bytes * 8 - r->pos;
}
static inline uint64_t bit_reader_take(struct bit_reader *r, unsigned n)
{
    if (n == 0)
        return 0;
    if (UNLIKELY(r->bad || bit_reader_left(r) < n)) {
        r->bad = true;
        return 0;
    }
    size_t at = r->pos >> 3;
    unsigned off = (unsigned)(r->pos & 7);
    r->pos += n;
    if (LIKELY(at + 9 <= r->bytes)) {
        uint64_t w = get_be64(r->p + at) << off;
        if (off)
            w |= (uint64_t)(r->p[at + 8] >> (8 - off));
        return w >> (64 - n);
    }
    uint8_t tail[16] = { 0 };
    memcpy(tail, r->p + at, r->bytes - at < 16 ? r->bytes - at : 16);
    uint64_t w = get_be64(tail) << off;
    if (off)
        w |= (uint64_t)(tail[8] >> (8 - off));
    return w >> (64 - n);
}
static inline uint64_t bit_reader_uvarint(struct bit_reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70 && !r->bad; shift += 7) {
        uint64_t b = bit_reader_take(r, 8);
        if (shift < 64)
            v |= (b & 0x7f) << shift;
        if (b < 0x80)
            return v;
    }
    r->bad = true;
    return 0;
}
static inline int64_t bit_reader_varint(struct bit_reader *r)
{
    uint64_t u = bit_reader_uvarint(r);
    return (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
}

/* An n-bit field of a range -(2^(n-1)-1) .. 2^(n-1): off-centre by one. */
static inline int64_t bits_signed(uint64_t x, unsigned n)
{
    if (n < 64 && x > UINT64_C(1) << (n - 1))
        return (int64_t)(x - (UINT64_C(1) << n));
    return (int64_t)x;
}
static inline bool bits_fit(int64_t x, unsigned n)
{
    int64_t top = INT64_C(1) << (n - 1);
    return x > -top && x <= top;
}

/* varbit: the number of leading ones picks the width. */
extern const uint8_t varbit_widths[9];
static inline unsigned bit_reader_varbit_width(struct bit_reader *r)
{
    unsigned k = 0;
    while (k < 8 && bit_reader_take(r, 1))
        k++;
    return varbit_widths[k];
}
static inline uint64_t bit_reader_varbit_uint(struct bit_reader *r)
{
    return bit_reader_take(r, bit_reader_varbit_width(r));
}
static inline int64_t bit_reader_varbit_int(struct bit_reader *r)
{
    unsigned n = bit_reader_varbit_width(r);
    return n ? bits_signed(bit_reader_take(r, n), n) : 0;
}
void bit_writer_varbit_int(struct bit_writer *w, int64_t v);
void bit_writer_varbit_uint(struct bit_writer *w, uint64_t v);

/* ---- a value that is XORed against the one before it ---- */

#define XOR_NO_WINDOW 0xff
struct xor_column {
    uint64_t v;
    uint8_t lead, trail; /* window in force; lead XOR_NO_WINDOW: none (writers only) */
};
void xor_column_write(struct xor_column *c, struct bit_writer *w, uint64_t v);
void xor_column_read(struct xor_column *c, struct bit_reader *r);

#endif
