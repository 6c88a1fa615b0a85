/* Any bytes as the small files of a block: meta.json and tombstones (given a right checksum). What is read is written again
 * and reads the same. */
#include "base/bytes.h"
#include "tsdb/block/meta_int.h"
#include "tsdb/tombstones_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_meta(struct str in)
{
    struct block_meta m = { 0 }, again = { 0 };
    struct buf once = { 0 }, twice = { 0 };
    struct err err = { 0 };
    if (block_meta_decode(in, &m, &err)) {
        block_meta_encode(&m, &once);
        ASSERT(block_meta_decode(buf_view(&once), &again, &err));
        block_meta_encode(&again, &twice);
        ASSERT(str_eq(buf_view(&once), buf_view(&twice)));
    } else {
        ASSERT(err.code != ERR_NONE);
    }
    block_meta_deinit(&m);
    block_meta_deinit(&again);
    buf_deinit(&once);
    buf_deinit(&twice);
}

static void check_tombstones(struct str in)
{
    struct tombstones t = { 0 }, again = { 0 };
    struct buf once = { 0 }, twice = { 0 };
    struct err err = { 0 };
    if (tombstones_decode_body(in, &t, &err)) {
        tombstones_encode(&t, &once);
        ASSERT(tombstones_decode(buf_view(&once), &again, &err));
        tombstones_encode(&again, &twice);
        ASSERT(once.n == twice.n && tombstones_count(&t) == tombstones_count(&again));
        for (size_t i = 0; i < once.n; i += 1 + once.n / 16) { /* no flipped byte is taken for a good one */
            struct tombstones bad = { 0 };
            once.p[i] ^= 0x10;
            ASSERT(!tombstones_decode(buf_view(&once), &bad, &err));
            once.p[i] ^= 0x10;
            tombstones_deinit(&bad);
        }
    }
    tombstones_deinit(&t);
    tombstones_deinit(&again);
    buf_deinit(&once);
    buf_deinit(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_of((const char *)data, size);
    check_meta(in);
    check_tombstones(in);
    return 0;
}
