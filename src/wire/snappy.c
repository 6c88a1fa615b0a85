/* Google's snappy behind our buffers. Its compressor needs room for the worst case up front; that room is reserved in the
 * output and given back by not counting it. */
#include "wire/snappy.h"

#include "wire/varint.h"

#include <snappy-c.h>

void snappy_encode(struct str in, struct buf *out)
{
    size_t n = snappy_max_compressed_length(in.n);
    buf_reserve(out, n);
    snappy_status status = snappy_compress(in.n ? in.p : "", in.n, out->p + out->n, &n);
    ASSERT(status == SNAPPY_OK);
    out->n += n;
    out->p[out->n] = 0;
}

/* The length, and then a literal: there is nothing yet that could be copied. Its length is in the tag's upper six bits, or
 * from 60 on in one to four bytes that follow. */
bool snappy_first_byte(struct str in, uint8_t *first)
{
    uint64_t claimed;
    size_t at = uvarint_read(in, &claimed);
    if (at == 0 || claimed == 0 || at >= in.n || (in.p[at] & 3) != 0)
        return false;
    unsigned length = (uint8_t)in.p[at] >> 2;
    at += length < 60 ? 1 : length - 60 + 2;
    if (at >= in.n)
        return false;
    *first = (uint8_t)in.p[at];
    return true;
}

bool snappy_decode(struct str in, size_t limit_bytes, struct buf *out, struct err *err)
{
    uint64_t claimed;
    if (uvarint_read(in, &claimed) == 0 || claimed > UINT32_MAX)
        return err_set(err, ERR_INVALID, "snappy: corrupt input");
    if (claimed > limit_bytes)
        return err_set(err, ERR_LIMIT, "snappy: decoded block of %llu bytes is larger than the limit of %zu",
                       (unsigned long long)claimed, limit_bytes);
    size_t n = (size_t)claimed;
    buf_reserve(out, n);
    if (snappy_uncompress(in.p, in.n, out->p + out->n, &n) != SNAPPY_OK) {
        out->p[out->n] = 0;
        return err_set(err, ERR_INVALID, "snappy: corrupt input");
    }
    ASSERT(n == claimed);
    out->n += n;
    out->p[out->n] = 0;
    return true;
}
