/* UUIDs and ULIDs as text. */
#include "crypto/ids.h"

void uuid_v4_text(const uint8_t random[16], char out[UUID_TEXT_BYTES + 1])
{
    static const char hex[] = "0123456789abcdef";
    char *p = out;
    for (size_t i = 0; i < 16; i++) {
        uint8_t v = random[i];
        if (i == 6)
            v = (uint8_t)((v & 0x0F) | 0x40); /* version 4 */
        if (i == 8)
            v = (uint8_t)((v & 0x3F) | 0x80); /* RFC 4122's variant */
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        *p++ = hex[v >> 4];
        *p++ = hex[v & 15];
    }
    *p = 0;
    ASSERT(p == out + UUID_TEXT_BYTES);
}

bool uuid_is_valid(struct str s)
{
    if (s.n != UUID_TEXT_BYTES)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        if (hyphen ? s.p[i] != '-' : !ascii_is_xdigit(s.p[i]))
            return false;
    }
    return true;
}

static const char crockford[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* 130 bits of text for 128 of value: the first character carries three. */
void ulid_text(wall_ms t, const uint8_t random[10], char out[ULID_TEXT_BYTES + 1])
{
    ASSERT(t >= 0 && t >> 48 == 0);
    unsigned __int128 v = (unsigned __int128)(uint64_t)t << 80;
    for (size_t i = 0; i < 10; i++)
        v |= (unsigned __int128)random[i] << (72 - 8 * i);
    for (size_t i = ULID_TEXT_BYTES; i > 0; i--, v >>= 5)
        out[i - 1] = crockford[(size_t)(v & 31)];
    out[ULID_TEXT_BYTES] = 0;
}

bool ulid_parse(struct str s, wall_ms *t, uint8_t random[10])
{
    if (s.n != ULID_TEXT_BYTES || s.p[0] > '7' || s.p[0] < '0')
        return false;
    unsigned __int128 v = 0;
    for (size_t i = 0; i < s.n; i++) {
        size_t x = str_find_byte(str_of(crockford, 32), ascii_upper(s.p[i]));
        if (x == STR_NPOS)
            return false;
        v = v << 5 | x;
    }
    if (t)
        *t = (wall_ms)(uint64_t)(v >> 80);
    for (size_t i = 0; random && i < 10; i++)
        random[i] = (uint8_t)(v >> (72 - 8 * i));
    return true;
}
