/* From any chunk to columns.
 *
 * D1  Floats are decoded straight into the caller's arrays, past the samples that are there; what is outside the asked
 *     range is then cut off at both ends, so the decoder's loop has no test for it.
 * D2  A chunk is bounded by its 16-bit count. */
#include "tsdb/chunkenc/chunk_int.h"

#include "base/bytes.h"
#include "tsdb/chunkenc/histogram_int.h"
#include "tsdb/chunkenc/xor_int.h"

bool chunk_encoding_known(uint8_t encoding)
{
    return encoding >= CHUNK_XOR && encoding <= CHUNK_FLOAT_HISTOGRAM_ST;
}

bool chunk_encoding_is_float(uint8_t encoding)
{
    return encoding == CHUNK_XOR || encoding == CHUNK_XOR2;
}

size_t chunk_samples(uint8_t encoding, struct str bytes)
{
    if (bytes.n < 2)
        return 0;
    size_t n = get_be16(bytes.p);
    return encoding == CHUNK_HISTOGRAM_ST || encoding == CHUNK_FLOAT_HISTOGRAM_ST ? n & 0x3fff : n;
}

static bool decode_floats(uint8_t encoding, struct str bytes, int64_t mint, int64_t maxt, struct columns *out,
                          struct err *err)
{
    size_t n = chunk_samples(encoding, bytes);
    if (n == 0)
        return true;
    columns_reserve(out, n);
    int64_t *t = out->t + out->n;
    double *v = out->v + out->n;
    const uint8_t *p = (const uint8_t *)bytes.p;
    bool ascends = false;
    if (encoding == CHUNK_XOR ? !xor_decode(p, bytes.n, t, v, &ascends, err) : !xor2_decode(p, bytes.n, t, v, err))
        return false;
    for (size_t i = 1; !ascends && i < n; i++) {
        if (UNLIKELY(t[i] <= t[i - 1]))
            return err_set(err, ERR_CORRUPT, "chunk's times do not ascend");
    }
    size_t from = 0, to = n;
    if (t[0] < mint) {
        size_t high = n;
        while (from < high) {
            size_t mid = from + (high - from) / 2;
            if (t[mid] < mint)
                from = mid + 1;
            else
                high = mid;
        }
    }
    while (to > from && t[to - 1] > maxt)
        to--;
    if (from > 0) {
        memmove(t, t + from, (to - from) * sizeof *t);
        memmove(v, v + from, (to - from) * sizeof *v);
    }
    out->n += to - from;
    return true;
}

static bool decode_histograms(uint8_t encoding, struct str bytes, int64_t mint, int64_t maxt, struct columns *out,
                              struct err *err)
{
    struct histogram_reader r;
    struct err own = { 0 };
    size_t hn0 = out->hn;
    if (!histogram_reader_init(&r, encoding, (const uint8_t *)bytes.p, bytes.n, columns_arena(out), err))
        return false;
    while (histogram_reader_next(&r, &own)) {
        if (r.t < mint)
            continue;
        if (r.t > maxt)
            return true;
        struct float_histogram *h = ARENA_NEW(columns_arena(out), struct float_histogram);
        histogram_reader_float(&r, h);
        columns_push_histogram(out, r.t, h);
    }
    if (own.code != ERR_NONE) {
        out->hn = hn0;
        *err = own;
        return false;
    }
    return true;
}

bool chunk_decode(uint8_t encoding, struct str bytes, int64_t mint, int64_t maxt, struct columns *out, struct err *err)
{
    if (!chunk_encoding_known(encoding))
        return err_set(err, ERR_INVALID, "invalid chunk encoding \"<unknown>\" (%u)", encoding);
    if (chunk_encoding_is_float(encoding))
        return decode_floats(encoding, bytes, mint, maxt, out, err);
    return decode_histograms(encoding, bytes, mint, maxt, out, err);
}
