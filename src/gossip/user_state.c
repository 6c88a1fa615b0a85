/* User messages and states: Part and FullState (spec 13; alertmanager cluster/clusterpb). Fields of an unknown number
 * are skipped; a wire type that is not the expected one makes the message undecodable, as in Go. Empty data is left
 * out, as proto3 does. */
#include "gossip/gossip_int.h"

#include "wire/pb.h"

enum { PART_KEY = 1, PART_DATA = 2, STATE_PARTS = 1 };

void gossip_part_encode(struct buf *out, struct str key, struct str data)
{
    if (key.n != 0)
        pb_write_str(out, PART_KEY, key);
    if (data.n != 0)
        pb_write_str(out, PART_DATA, data);
}

bool gossip_part_decode(struct str part, struct str *key, struct str *data)
{
    struct pb_reader r;
    struct pb_field f;
    *key = *data = STR_EMPTY;
    pb_reader_init(&r, part);
    while (pb_next(&r, &f)) {
        if (f.number != PART_KEY && f.number != PART_DATA)
            continue;
        if (f.type != PB_LEN)
            return false;
        *(f.number == PART_KEY ? key : data) = f.bytes;
    }
    return !r.failed;
}

void gossip_full_state_add(struct buf *out, struct str key, struct str data)
{
    size_t mark = pb_begin(out, STATE_PARTS);
    gossip_part_encode(out, key, data);
    pb_end(out, mark);
}

bool gossip_full_state_next(struct str *rest, struct str *key, struct str *data, bool *bad)
{
    struct pb_reader r;
    struct pb_field f;
    pb_reader_init(&r, *rest);
    while (pb_next(&r, &f)) {
        if (f.number != STATE_PARTS)
            continue;
        *rest = r.rest;
        if (f.type == PB_LEN && gossip_part_decode(f.bytes, key, data))
            return true;
        *bad = true;
        return false;
    }
    if (r.failed)
        *bad = true;
    rest->n = 0;
    return false;
}

/* A set of length-delimited records as a number; whether it could be read. Two of equal numbers are taken for equal: 64 bits
 * of a seeded hash, and push/pulls go on. */
static bool records_hash(struct str data, uint64_t seed, uint64_t *hash)
{
    struct str record;
    bool failed = false;
    *hash = 0;
    while (pb_delimited(&data, &record, &failed))
        *hash += str_hash(record, seed);
    return !failed;
}

static bool part_of(struct str state, struct str wanted, struct str *data)
{
    struct str key;
    bool bad = false;
    while (gossip_full_state_next(&state, &key, data, &bad))
        if (str_eq(key, wanted))
            return true;
    return false;
}

void full_state_answer(struct buf *out, struct str own, struct str theirs, uint64_t seed)
{
    struct str rest = own, key, data, other;
    bool bad = false;
    size_t begin = out->n;
    while (gossip_full_state_next(&rest, &key, &data, &bad)) {
        uint64_t a, b;
        bool same = part_of(theirs, key, &other) && records_hash(data, seed, &a) && records_hash(other, seed, &b) && a == b;
        gossip_full_state_add(out, key, same ? STR_EMPTY : data);
    }
    if (!bad)
        return;
    buf_truncate(out, begin);
    buf_str(out, own);
}

bool gossip_key_is_own(struct str key)
{
    return str_starts(key, STR(GOSSIP_OWN_PREFIX));
}
