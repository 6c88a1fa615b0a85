/* Reading and writing the plain parts of TSDB files: varints, fixed-width integers, length-prefixed strings.
 *
 * A cursor walks bytes it does not own; the first read past the end makes it bad, and every later one gives zero, so that a
 * record is read straight through and judged once. Header-only, because WAL replay lives in here. */
#ifndef TOCSIN_TSDB_BYTES_INT_H
#define TOCSIN_TSDB_BYTES_INT_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct cursor {
    const uint8_t *p, *end;
    bool bad;
};

static inline struct cursor cursor_of(const void *p, size_t n)
{
    return (struct cursor){ .p = p, .end = (const uint8_t *)p + n };
}
static inline size_t cursor_left(const struct cursor *c)
{
    return (size_t)(c->end - c->p);
}
static inline bool cursor_more(const struct cursor *c)
{
    return !c->bad && c->p < c->end;
}
static inline void cursor_fail(struct cursor *c)
{
    c->bad = true;
    c->p = c->end;
}
static inline uint8_t get_u8(struct cursor *c)
{
    if (UNLIKELY(c->p >= c->end)) {
        cursor_fail(c);
        return 0;
    }
    return *c->p++;
}
static inline uint32_t take_be32(struct cursor *c)
{
    if (UNLIKELY(cursor_left(c) < 4)) {
        cursor_fail(c);
        return 0;
    }
    uint32_t v = get_be32(c->p);
    c->p += 4;
    return v;
}
static inline uint64_t take_be64(struct cursor *c)
{
    if (UNLIKELY(cursor_left(c) < 8)) {
        cursor_fail(c);
        return 0;
    }
    uint64_t v = get_be64(c->p);
    c->p += 8;
    return v;
}
static inline uint64_t take_uvarint(struct cursor *c)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (UNLIKELY(c->p >= c->end))
            break;
        uint8_t b = *c->p++;
        if (UNLIKELY(shift == 63 && b > 1))
            break;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (LIKELY(b < 0x80))
            return v;
    }
    cursor_fail(c);
    return 0;
}
static inline int64_t unzigzag(uint64_t u)
{
    return (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
}
static inline uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}
static inline int64_t take_varint(struct cursor *c)
{
    return unzigzag(take_uvarint(c));
}
static inline struct str take_bytes(struct cursor *c, uint64_t n)
{
    if (UNLIKELY(n > cursor_left(c))) {
        cursor_fail(c);
        return STR_EMPTY;
    }
    struct str s = str_of((const char *)c->p, (size_t)n);
    c->p += n;
    return s;
}
static inline struct str take_str(struct cursor *c)
{
    return take_bytes(c, take_uvarint(c));
}

#define UVARINT_MAX 10

static inline size_t put_uvarint(uint8_t *p, uint64_t v)
{
    size_t n = 0;
    while (v >= 0x80) {
        p[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    p[n++] = (uint8_t)v;
    return n;
}
static inline size_t uvarint_len(uint64_t v)
{
    size_t n = 1;
    for (; v >= 0x80; v >>= 7)
        n++;
    return n;
}
static inline void buf_uvarint(struct buf *b, uint64_t v)
{
    uint8_t p[UVARINT_MAX];
    buf_append(b, p, put_uvarint(p, v));
}
static inline void buf_varint(struct buf *b, int64_t v)
{
    buf_uvarint(b, zigzag(v));
}
static inline void buf_uvarint_str(struct buf *b, struct str s)
{
    buf_uvarint(b, s.n);
    buf_str(b, s);
}

#endif
