/* Claims from peers: whatever comes, a turn is never later than the bound. */
#include "nflog/claims.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct claim_member v[] = { { STR_INIT("a"), true }, { STR_INIT("b"), true }, { STR_INIT("c"), false } };
    struct claim_members members = { v, 3, 1 };
    struct claims *c = claims_new();
    mono_ms now = { 1000 };
    /* Messages, each with a byte of length before it. */
    while (size > 0) {
        size_t n = data[0];
        n = n < size - 1 ? n : size - 1;
        struct str bytes = { (const char *)data + 1, n };
        struct claim_message m;
        struct err err;
        if (claim_message_parse(bytes, &m, &err)) {
            struct buf again = { 0 };
            claim_message_write(&again, &m);
            struct claim_message same;
            if (!claim_message_parse(buf_view(&again), &same, &err) || same.key != m.key)
                abort();
            buf_deinit(&again);
            claims_hear(c, now, &m, &members);
            mono_ms turn = claims_turn(c, now, m.key, now, 15000, &members);
            if (mono_before(mono_add(now, CLAIM_BOUND_MS), turn))
                abort();
        }
        data += 1 + n;
        size -= 1 + n;
        now = mono_add(now, 500);
    }
    claims_free(c);
    return 0;
}
