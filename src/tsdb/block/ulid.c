/* ULIDs: 10 characters of time, 16 of chance, most significant first. */
#include "tsdb/block/ulid_int.h"

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

struct ulid ulid_new(wall_ms now, struct rng *rng)
{
    struct ulid u = { 0 };
    uint64_t t = (uint64_t)now & 0xffffffffffffu;
    for (int i = 9; i >= 0; i--, t >>= 5)
        u.text[i] = alphabet[t & 31];
    for (int i = 10; i < ULID_TEXT; i++)
        u.text[i] = alphabet[rng_below(rng, 32)];
    return u;
}

bool block_ulid_parse(struct str s, struct ulid *u)
{
    if (s.n != ULID_TEXT || s.p[0] > '7')
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\0' || !strchr(alphabet, s.p[i]))
            return false;
    }
    *u = (struct ulid){ 0 };
    memcpy(u->text, s.p, ULID_TEXT);
    return true;
}
