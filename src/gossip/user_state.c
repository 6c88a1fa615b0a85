/* User messages and states: Part and FullState (spec 13; alertmanager cluster/clusterpb). Fields of an unknown number
 * are skipped; a wire type that is not the expected one makes the message undecodable, as in Go. Empty data is left
 * out, as proto3 does. */
#include "gossip/gossip.h"

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

bool gossip_key_is_own(struct str key)
{
    return str_starts(key, STR(GOSSIP_OWN_PREFIX));
}
