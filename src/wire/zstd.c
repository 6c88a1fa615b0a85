/* zstd, with one compression and one decompression context per thread, freed when the thread ends. Decoding goes through
 * the streaming interface: a frame need not say its size, and may say a wrong one. */
#include "wire/zstd.h"

#include "base/mem.h"

#include <pthread.h>
#include <zstd.h>

struct contexts {
    ZSTD_CCtx *c;
    ZSTD_DCtx *d;
};

static pthread_key_t contexts_key;
static pthread_once_t contexts_once = PTHREAD_ONCE_INIT;

static void contexts_free(void *p)
{
    struct contexts *all = p;
    ZSTD_freeCCtx(all->c);
    ZSTD_freeDCtx(all->d);
    mem_free(all);
}

static void contexts_make_key(void)
{
    int rc = pthread_key_create(&contexts_key, contexts_free);
    ASSERT(rc == 0);
}

static struct contexts *contexts_of_thread(void)
{
    pthread_once(&contexts_once, contexts_make_key);
    struct contexts *all = pthread_getspecific(contexts_key);
    if (!all) {
        all = MEM_NEW(struct contexts);
        all->c = ZSTD_createCCtx();
        all->d = ZSTD_createDCtx();
        ASSERT(all->c && all->d);
        int rc = pthread_setspecific(contexts_key, all);
        ASSERT(rc == 0);
    }
    return all;
}

void zstd_encode(struct str in, int level, struct buf *out)
{
    size_t bound = ZSTD_compressBound(in.n);
    buf_reserve(out, bound);
    size_t n = ZSTD_compressCCtx(contexts_of_thread()->c, out->p + out->n, bound, in.p, in.n, level);
    ASSERT(!ZSTD_isError(n));
    out->n += n;
    out->p[out->n] = 0;
}

static bool too_large(struct err *err, size_t limit_bytes)
{
    return err_set(err, ERR_LIMIT, "zstd: decoded size is larger than the limit of %zu bytes", limit_bytes);
}

static bool decode(ZSTD_DCtx *d, struct str in, size_t limit_bytes, struct buf *out, struct err *err)
{
    const size_t before = out->n, step = ZSTD_DStreamOutSize();
    ZSTD_inBuffer from = { in.p, in.n, 0 };
    size_t rc = 1;
    while (from.pos < from.size || rc != 0) {
        size_t used = out->n - before;
        size_t room = limit_bytes - used < step ? limit_bytes - used + 1 : step; /* one more shows an excess */
        buf_reserve(out, room);
        ZSTD_outBuffer to = { out->p + out->n, room, 0 };
        size_t read_before = from.pos;
        rc = ZSTD_decompressStream(d, &to, &from);
        if (ZSTD_isError(rc))
            return err_set(err, ERR_INVALID, "zstd: %s", ZSTD_getErrorName(rc));
        out->n += to.pos;
        if (out->n - before > limit_bytes)
            return too_large(err, limit_bytes);
        if (to.pos == 0 && from.pos == read_before)
            return err_set(err, ERR_INVALID, "zstd: unexpected end of input");
    }
    return true;
}

bool zstd_decode(struct str in, size_t limit_bytes, struct buf *out, struct err *err)
{
    const size_t before = out->n;
    ZSTD_DCtx *d = contexts_of_thread()->d;
    ZSTD_DCtx_reset(d, ZSTD_reset_session_only);
    bool ok = decode(d, in, limit_bytes, out, err);
    if (out->p)
        buf_truncate(out, ok ? out->n : before);
    return ok;
}
