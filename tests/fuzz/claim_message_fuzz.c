/* Claims from peers: whatever comes, what was read is written the same, and a turn is never later than the bound. */
#include "nflog/claims.h"

#include <stdlib.h>

static void again(const struct claim_message *m)
{
    struct claim_batch b = { 0 };
    struct claim_reader r;
    struct claim_message same;
    if (!claim_batch_add(&b, m))
        abort();
    claim_reader_init(&r, buf_view(&b.bytes));
    bool timed = m->kind == CLAIM_TAKE || m->kind == CLAIM_ASK;
    if (!claim_reader_next(&r, &same) || r.rest.n || same.kind != m->kind || same.key != m->key || same.round != m->round ||
        same.serial != m->serial || (timed && wire_time_cmp(same.seen, m->seen) != 0) || !str_eq(same.origin, m->origin))
        abort();
    claim_batch_deinit(&b);
}

static void hear(struct claims *c, mono_ms now, const struct claim_message *m, const struct claim_members *members)
{
    struct claim_message answer;
    if (m->kind != CLAIM_ASK)
        (void)claims_hear(c, now, m, members);
    else if (m->key % 4 == 0)
        claims_insist(c, now, m, members, WIRE_TIME_ZERO, &answer);
    else if (claims_asked(c, now, m, members, &answer))
        again(&answer);
    if (m->key % 4 == 1 && !claims_are_ours(c, now, m->key, members))
        claims_ask(c, now, m->key, members, WIRE_TIME_ZERO, &answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct claim_member v[] = { { STR_INIT("a"), true, false }, { STR_INIT("b"), true, false },
                                             { STR_INIT("c"), false, true } };
    struct claim_members members = { v, 3, 1 };
    struct claims *c = claims_new();
    mono_ms now = { 1000 };
    /* Batches, each with a byte of length before it. */
    while (size > 0) {
        size_t n = data[0];
        n = n < size - 1 ? n : size - 1;
        struct claim_reader r;
        struct claim_message m;
        for (claim_reader_init(&r, str_of((const char *)data + 1, n)); claim_reader_next(&r, &m);) {
            again(&m);
            hear(c, now, &m, &members);
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
