/* Entries of the notification log from a peer or a file: what is accepted can be asked, and is written as it came. */
#include "nflog/nflog.h"

#include <stdlib.h>

static void require(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = { (const char *)data, size };
    struct wire_time now = { 1767225600, 0 };
    struct nflog *l = nflog_new(3600 * 1000), *again = nflog_new(3600 * 1000);
    struct replica r = nflog_replica(l), ra = nflog_replica(again);
    struct arena a;
    struct err err;
    arena_init(&a, ARENA_NO_LIMIT);
    if (r.check(bytes, &err)) {
        size_t done = 0;
        while (done < bytes.n)
            done += r.merge(l, now, str_from(bytes, done), 3, NULL, NULL);
        require(nflog_load(l, bytes, &err));
        struct nflog_entry e;
        if (nflog_query(l, &a, STR("g:r/webhook/0"), &e))
            require(e.firing_count + e.resolved_count <= size);
        struct buf once = { 0 }, twice = { 0 };
        replica_encode_all(&r, &once);
        require(ra.check(buf_view(&once), &err));
        require(nflog_load(again, buf_view(&once), &err));
        replica_encode_all(&ra, &twice);
        require(str_eq(buf_view(&once), buf_view(&twice)));
        buf_deinit(&once);
        buf_deinit(&twice);
    }
    arena_deinit(&a);
    nflog_free(l);
    nflog_free(again);
    return 0;
}
