/* Base-128 integers, least significant group first. A tenth byte may only hold the 64th bit. */
#include "wire/varint.h"

size_t uvarint_read(struct str s, uint64_t *v)
{
    uint64_t sum = 0;
    size_t n = s.n < VARINT_BYTES_MAX ? s.n : VARINT_BYTES_MAX;
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if (c < 0x80) {
            if (i == VARINT_BYTES_MAX - 1 && c > 1)
                return 0;
            *v = sum | (uint64_t)c << (7 * i);
            return i + 1;
        }
        sum |= (uint64_t)(c & 0x7F) << (7 * i);
    }
    return 0;
}

size_t varint_read(struct str s, int64_t *v)
{
    uint64_t u;
    size_t n = uvarint_read(s, &u);
    if (n)
        *v = zigzag_decode(u);
    return n;
}

bool uvarint_take(struct str *s, uint64_t *v)
{
    size_t n = uvarint_read(*s, v);
    *s = n ? str_from(*s, n) : *s;
    return n != 0;
}

bool varint_take(struct str *s, int64_t *v)
{
    size_t n = varint_read(*s, v);
    *s = n ? str_from(*s, n) : *s;
    return n != 0;
}

size_t uvarint_size(uint64_t v)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(v | 1);
    return (bits + 6) / 7;
}

size_t uvarint_put(uint8_t out[VARINT_BYTES_MAX], uint64_t v)
{
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    return n;
}

void uvarint_write(struct buf *b, uint64_t v)
{
    uint8_t out[VARINT_BYTES_MAX];
    buf_append(b, out, uvarint_put(out, v));
}

void varint_write(struct buf *b, int64_t v)
{
    uvarint_write(b, zigzag_encode(v));
}
