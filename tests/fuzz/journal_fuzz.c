/* A segment of the journal, good frames made from the input and then damaged by it: opening cuts the segment to its good
 * frames, and opening again finds those and no tear. Input: a byte that says how many frames, a length byte and payload
 * for each, and the rest as raw bytes that follow the frames. The last two bytes choose one to change. */
#include "base/bytes.h"
#include "journal/journal.h"
#include "lib/memfs.h"
#include "wire/crc.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool count(void *arg, uint8_t type, struct str payload, struct err *err)
{
    (void)type;
    (void)err;
    *(uint64_t *)arg += 1 + payload.n;
    return true;
}

static uint64_t replay(struct memfs *m, struct journal_stats *stats)
{
    struct journal *j;
    struct err err;
    uint64_t seen = 0;
    if (!journal_open(&j, memfs_fs(m), STR("d"), NULL, count, &seen, stats, &err))
        abort();
    journal_close(j);
    return seen;
}

static void build_segment(struct str in, struct buf *out)
{
    size_t frames = in.n ? (uint8_t)in.p[0] % 8 : 0;
    in = str_from(in, 1);
    for (size_t i = 0; i < frames && in.n > 1; i++) {
        size_t n = (uint8_t)in.p[0];
        struct str body = str_sub(in, 1, n + 1); /* type and payload */
        buf_le32(out, (uint32_t)(body.n - 1));
        buf_le32(out, crc32c(0, body.p, body.n));
        buf_str(out, body);
        in = str_from(in, 1 + body.n);
    }
    buf_str(out, in);
    if (in.n >= 2 && out->n)
        out->p[get_be16(in.p + in.n - 2) % out->n] ^= 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct memfs *m = memfs_new();
    struct journal_stats first, second;
    struct buf segment = { 0 };
    build_segment(str_of((const char *)data, size), &segment);
    memfs_put(m, STR("d/journal.0"), buf_view(&segment));
    uint64_t seen = replay(m, &first);
    if (first.bytes + first.lost_bytes != segment.n)
        abort();
    if (replay(m, &second) != seen || second.records != first.records || second.lost_bytes != 0)
        abort();
    memfs_free(m);
    buf_deinit(&segment);
    return 0;
}
