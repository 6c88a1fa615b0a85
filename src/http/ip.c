/* IP addresses and prefixes: Go's netip.ParseAddr and ParsePrefix, and net.SplitHostPort.
 *
 * I1  An address is n bytes in network order; the rest of b is zero, so that addresses can be compared whole. */
#include "http/ip.h"

#include "base/num.h"

#include <string.h>

/* Four decimal fields without leading zeros. */
static bool parse_v4(struct str s, uint8_t out[4])
{
    struct str rest = s, field;
    size_t fields = 0;
    while (str_split(&rest, '.', &field)) {
        if (fields == 4 || field.n == 0 || field.n > 3 || (field.n > 1 && field.p[0] == '0'))
            return false;
        unsigned v = 0;
        for (size_t i = 0; i < field.n; i++) {
            if (!ascii_is_digit(field.p[i]))
                return false;
            v = v * 10 + (unsigned)(field.p[i] - '0');
        }
        if (v > 255)
            return false;
        out[fields++] = (uint8_t)v;
    }
    return fields == 4;
}

/* One group of up to four hex digits at *at. */
static bool parse_group(struct str s, size_t *at, unsigned *v)
{
    size_t start = *at;
    *v = 0;
    while (*at < s.n && ascii_is_xdigit(s.p[*at]) && *at - start < 5) {
        *v = *v << 4 | (unsigned)ascii_xdigit_value(s.p[*at]);
        (*at)++;
    }
    return *at > start && *at - start <= 4;
}

static bool parse_v6(struct str s, uint8_t out[16])
{
    size_t n = 0, at = 0, gap = SIZE_MAX;
    memset(out, 0, 16);
    if (s.n >= 2 && s.p[0] == ':' && s.p[1] == ':') {
        gap = 0;
        at = 2;
        if (at == s.n)
            return true;
    }
    while (n < 16) {
        size_t start = at;
        unsigned v;
        if (!parse_group(s, &at, &v))
            return false;
        if (at < s.n && s.p[at] == '.') { /* an IPv4 tail */
            if ((gap == SIZE_MAX && n != 12) || n + 4 > 16 || !parse_v4(str_from(s, start), out + n))
                return false;
            n += 4;
            at = s.n;
            break;
        }
        out[n++] = (uint8_t)(v >> 8);
        out[n++] = (uint8_t)v;
        if (at == s.n)
            break;
        if (s.p[at] != ':' || at + 1 == s.n)
            return false;
        at++;
        if (s.p[at] == ':') {
            if (gap != SIZE_MAX)
                return false;
            gap = n;
            at++;
            if (at == s.n)
                break;
        }
    }
    if (at != s.n)
        return false;
    if (gap == SIZE_MAX)
        return n == 16;
    if (n == 16)
        return false; /* the gap must stand for something */
    memmove(out + 16 - (n - gap), out + gap, n - gap);
    memset(out + gap, 0, 16 - n);
    return true;
}

bool ip_parse(struct str s, struct ip *ip)
{
    struct ip r = { 0 };
    bool v6 = str_find_byte(s, ':') != STR_NPOS;
    r.n = v6 ? 16 : 4;
    if (v6 ? !parse_v6(s, r.b) : !parse_v4(s, r.b))
        return false;
    *ip = r;
    return true;
}

bool ip_prefix_parse(struct str s, struct ip_prefix *p)
{
    size_t slash = str_rfind_byte(s, '/');
    struct ip_prefix r;
    uint64_t bits;
    if (slash == STR_NPOS || !ip_parse(str_sub(s, 0, slash), &r.ip))
        return false;
    struct str text = str_from(s, slash + 1);
    if (text.n == 0 || text.n > 3 || (text.n > 1 && text.p[0] == '0') || !ascii_is_digit(text.p[0]) ||
        !num_parse_u64(text, 10, &bits) || bits > r.ip.n * 8u)
        return false;
    r.bits = (unsigned)bits;
    *p = r;
    return true;
}

/* RFC 5952: the longest run of zero groups (two or more, the first of equals) becomes "::". */
static void write_v6(struct buf *out, const uint8_t b[16])
{
    size_t best = 8, best_n = 1;
    for (size_t i = 0; i < 8; i++) {
        size_t n = 0;
        while (i + n < 8 && b[2 * (i + n)] == 0 && b[2 * (i + n) + 1] == 0)
            n++;
        if (n > best_n) {
            best = i;
            best_n = n;
        }
    }
    for (size_t i = 0; i < 8; i++) {
        if (i == best) {
            buf_c(out, "::");
            i += best_n - 1;
            continue;
        }
        if (i > 0 && i != best + best_n)
            buf_byte(out, ':');
        buf_printf(out, "%x", (unsigned)(b[2 * i] << 8 | b[2 * i + 1]));
    }
}

static bool is_mapped(const struct ip *ip)
{
    static const uint8_t prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
    return ip->n == 16 && memcmp(ip->b, prefix, sizeof prefix) == 0;
}

void ip_write(struct buf *b, const struct ip *ip)
{
    const uint8_t *v4 = ip->b;
    if (is_mapped(ip)) {
        buf_c(b, "::ffff:");
        v4 = ip->b + 12;
    } else if (ip->n == 16) {
        write_v6(b, ip->b);
        return;
    }
    ASSERT(ip->n == 4 || ip->n == 16);
    buf_printf(b, "%u.%u.%u.%u", v4[0], v4[1], v4[2], v4[3]);
}

struct ip ip_unmap(const struct ip *ip)
{
    if (!is_mapped(ip))
        return *ip;
    struct ip r = { .n = 4 };
    memcpy(r.b, ip->b + 12, 4);
    return r;
}

bool ip_eq(const struct ip *a, const struct ip *b)
{
    return a->n == b->n && memcmp(a->b, b->b, a->n) == 0;
}

int ip_cmp(const struct ip *a, const struct ip *b)
{
    if (a->n != b->n)
        return a->n < b->n ? -1 : 1;
    return memcmp(a->b, b->b, a->n);
}

bool ip_prefix_contains(const struct ip_prefix *p, const struct ip *ip)
{
    if (p->ip.n != ip->n)
        return false;
    ASSERT(p->bits <= ip->n * 8u);
    size_t whole = p->bits / 8;
    if (memcmp(p->ip.b, ip->b, whole) != 0)
        return false;
    unsigned rest = p->bits % 8;
    return rest == 0 || (p->ip.b[whole] ^ ip->b[whole]) >> (8 - rest) == 0;
}

bool ip_is_loopback(const struct ip *ip)
{
    static const struct ip v6 = { { [15] = 1 }, 16 };
    struct ip u = ip_unmap(ip);
    return u.n == 4 ? u.b[0] == 127 : ip_eq(&u, &v6);
}

bool ip_is_unspecified(const struct ip *ip)
{
    static const uint8_t zero[16];
    struct ip u = ip_unmap(ip);
    return u.n != 0 && memcmp(u.b, zero, u.n) == 0;
}

bool ip_is_private(const struct ip *ip)
{
    struct ip u = ip_unmap(ip);
    if (u.n == 16)
        return (u.b[0] & 0xfe) == 0xfc;
    return u.n == 4 && (u.b[0] == 10 || (u.b[0] == 172 && (u.b[1] & 0xf0) == 16) || (u.b[0] == 192 && u.b[1] == 168));
}

bool ip_is_link_local(const struct ip *ip)
{
    struct ip u = ip_unmap(ip);
    if (u.n == 16)
        return u.b[0] == 0xfe && (u.b[1] & 0xc0) == 0x80;
    return u.n == 4 && u.b[0] == 169 && u.b[1] == 254;
}

static bool refuse(const char **why, const char *text)
{
    *why = text;
    return false;
}

bool host_port_split(struct str s, struct str *host, struct str *port, const char **why)
{
    static const char *const missing_port = "missing port in address";
    static const char *const colons = "too many colons in address";
    size_t colon = str_rfind_byte(s, ':'), open_from = 0, close_from = 0;
    struct str h;
    if (colon == STR_NPOS)
        return refuse(why, missing_port);
    if (s.p[0] == '[') {
        size_t end = str_find_byte(s, ']');
        if (end == STR_NPOS)
            return refuse(why, "missing ']' in address");
        if (end + 1 == s.n)
            return refuse(why, missing_port);
        if (end + 1 != colon)
            return refuse(why, s.p[end + 1] == ':' ? colons : missing_port);
        h = str_sub(s, 1, end - 1);
        open_from = 1;
        close_from = end + 1;
    } else {
        h = str_sub(s, 0, colon);
        if (str_find_byte(h, ':') != STR_NPOS)
            return refuse(why, colons);
    }
    if (str_find_byte(str_from(s, open_from), '[') != STR_NPOS)
        return refuse(why, "unexpected '[' in address");
    if (str_find_byte(str_from(s, close_from), ']') != STR_NPOS)
        return refuse(why, "unexpected ']' in address");
    *host = h;
    *port = str_from(s, colon + 1);
    return true;
}

void host_port_join(struct buf *b, struct str host, struct str port)
{
    bool brackets = str_find_byte(host, ':') != STR_NPOS;
    if (brackets)
        buf_byte(b, '[');
    buf_str(b, host);
    buf_c(b, brackets ? "]:" : ":");
    buf_str(b, port);
}
