/* Variable-length integers: protobuf's base-128 (also Go's encoding/binary Uvarint and Varint). Readers are bounded by
 * the bytes they are given and refuse more than 64 bits. Thread: any. */
#ifndef TOCSIN_WIRE_VARINT_H
#define TOCSIN_WIRE_VARINT_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VARINT_BYTES_MAX 10

/* Bytes read, 0 if the text ends too early or the number has more than 64 bits. */
size_t uvarint_read(struct str s, uint64_t *v);
size_t varint_read(struct str s, int64_t *v); /* zigzag */
/* Moves *s past the number; false (and *s unchanged) if there is none. */
MUST_CHECK bool uvarint_take(struct str *s, uint64_t *v);
MUST_CHECK bool varint_take(struct str *s, int64_t *v);

size_t uvarint_size(uint64_t v);
size_t uvarint_put(uint8_t out[VARINT_BYTES_MAX], uint64_t v); /* bytes written */
void uvarint_write(struct buf *b, uint64_t v);
void varint_write(struct buf *b, int64_t v); /* zigzag */

static inline uint64_t zigzag_encode(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}
static inline int64_t zigzag_decode(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

#endif
