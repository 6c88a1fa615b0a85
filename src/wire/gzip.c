/* zlib behind our buffers. One inflate loop serves gzip, zlib and raw deflate; it grows the output by steps and stops one
 * byte past the limit. */
#include "wire/gzip.h"

#include <zlib.h>

enum { WINDOW_GZIP = 15 + 16, WINDOW_ZLIB = 15, WINDOW_RAW = -15, STEP_BYTES = 64 * 1024 };

static void encode(struct str in, int level, int window_bits, struct buf *out)
{
    ASSERT(level >= -1 && level <= 9);
    ASSERT(in.n <= UINT32_MAX);
    z_stream z = { 0 };
    int rc = deflateInit2(&z, level, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY);
    ASSERT(rc == Z_OK);
    size_t bound = deflateBound(&z, in.n);
    ASSERT(bound <= UINT32_MAX);
    buf_reserve(out, bound);
    z.next_in = (z_const Bytef *)(uintptr_t)in.p;
    z.avail_in = (uInt)in.n;
    z.next_out = (Bytef *)out->p + out->n;
    z.avail_out = (uInt)bound;
    rc = deflate(&z, Z_FINISH);
    ASSERT(rc == Z_STREAM_END);
    out->n += z.total_out;
    out->p[out->n] = 0;
    deflateEnd(&z);
}

/* One stream from *in, which moves past it. */
static bool decode_one(struct str *in, int window_bits, size_t limit_bytes, size_t before, struct buf *out,
                       struct err *err)
{
    z_stream z = { 0 };
    int rc = inflateInit2(&z, window_bits);
    ASSERT(rc == Z_OK);
    z.next_in = (z_const Bytef *)(uintptr_t)in->p;
    z.avail_in = (uInt)in->n;
    bool ok = true;
    do {
        size_t used = out->n - before;
        size_t room = limit_bytes - used < STEP_BYTES ? limit_bytes - used + 1 : STEP_BYTES;
        buf_reserve(out, room);
        z.next_out = (Bytef *)out->p + out->n;
        z.avail_out = (uInt)room;
        rc = inflate(&z, Z_NO_FLUSH);
        out->n += room - z.avail_out;
        if (out->n - before > limit_bytes)
            ok = err_set(err, ERR_LIMIT, "decoded size is larger than the limit of %zu bytes", limit_bytes);
        else if (rc == Z_BUF_ERROR || (rc == Z_OK && z.avail_in == 0 && z.avail_out > 0))
            ok = err_set(err, ERR_INVALID, "unexpected EOF");
        else if (rc != Z_OK && rc != Z_STREAM_END)
            ok = err_set(err, ERR_INVALID, "%s", z.msg ? z.msg : "corrupt input");
    } while (ok && rc != Z_STREAM_END);
    *in = str_from(*in, in->n - z.avail_in);
    inflateEnd(&z);
    return ok;
}

static bool finish(bool ok, struct buf *out, size_t before, const char *what, struct err *err)
{
    if (out->p)
        buf_truncate(out, ok ? out->n : before);
    return ok || err_wrap(err, "%s", what);
}

void gzip_encode(struct str in, int level, struct buf *out)
{
    encode(in, level, WINDOW_GZIP, out);
}

bool gzip_decode(struct str in, size_t limit_bytes, struct buf *out, struct err *err)
{
    size_t before = out->n;
    bool ok = in.n <= UINT32_MAX || err_set(err, ERR_LIMIT, "more than 4 GiB");
    if (ok && in.n == 0)
        ok = err_set(err, ERR_INVALID, "unexpected EOF");
    while (ok && in.n > 0)
        ok = decode_one(&in, WINDOW_GZIP, limit_bytes, before, out, err);
    return finish(ok, out, before, "gzip", err);
}

void deflate_encode(struct str in, int level, struct buf *out)
{
    encode(in, level, WINDOW_ZLIB, out);
}

bool deflate_decode(struct str in, size_t limit_bytes, struct buf *out, struct err *err)
{
    size_t before = out->n;
    if (in.n > UINT32_MAX)
        return err_set(err, ERR_LIMIT, "deflate: more than 4 GiB");
    /* zlib's header: method 8, and the first two bytes are a multiple of 31. */
    bool zlib = in.n >= 2 && (in.p[0] & 0x0F) == 8 && (((uint8_t)in.p[0] << 8) + (uint8_t)in.p[1]) % 31 == 0;
    bool ok = decode_one(&in, zlib ? WINDOW_ZLIB : WINDOW_RAW, limit_bytes, before, out, err);
    return finish(ok, out, before, "deflate", err);
}
