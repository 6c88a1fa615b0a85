/* Silences from a peer or a file: what is accepted can be merged, asked, encoded and read again, with the same result. */
#include "silence/silence.h"

#include <stdlib.h>

static void require(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = { (const char *)data, size };
    struct silence_options options = { .retention_ms = 3600 * 1000 };
    struct wire_time now = { 1767225600, 0 };
    struct silence_store *a = silence_store_new(&options), *b = silence_store_new(&options);
    struct replica ra = silence_store_replica(a), rb = silence_store_replica(b);
    struct err err;
    if (ra.check(bytes, &err)) {
        size_t done = 0;
        while (done < bytes.n)
            done += ra.merge(a, now, str_from(bytes, done), 3, NULL, NULL);
        require(silence_store_load(b, bytes, NULL, NULL, &err));
        struct label l[] = { { STR("a"), STR("b") }, { STR("alertname"), STR("x") } };
        struct str ids[4];
        silence_store_match(b, now, labels_normalize(l, 2), ids, 4);
        struct buf once = { 0 }, twice = { 0 };
        uint64_t cursor = 0;
        silence_store_snapshot(b, &cursor, SIZE_MAX, &once);
        require(rb.check(buf_view(&once), &err));
        struct silence_store *c = silence_store_new(&options);
        require(silence_store_load(c, buf_view(&once), NULL, NULL, &err));
        cursor = 0;
        silence_store_snapshot(c, &cursor, SIZE_MAX, &twice);
        require(str_eq(buf_view(&once), buf_view(&twice)));
        silence_store_free(c);
        buf_deinit(&once);
        buf_deinit(&twice);
    }
    silence_store_free(a);
    silence_store_free(b);
    return 0;
}
