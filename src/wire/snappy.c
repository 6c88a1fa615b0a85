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
