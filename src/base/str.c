/* Slices. Everything here is a pure function of bytes; an empty str may have any pointer, NULL included, and none of
 * these functions hands such a pointer to libc. ASCII classes go through one table, so that no locale can change what
 * a parser accepts. */
#include "base/str.h"

enum { C_DIGIT = 1, C_ALPHA = 2, C_SPACE = 4, C_XDIGIT = 8 };

static const uint8_t ascii_class[256] = {
    ['0' ... '9'] = C_DIGIT | C_XDIGIT,
    ['A' ... 'F'] = C_ALPHA | C_XDIGIT,
    ['G' ... 'Z'] = C_ALPHA,
    ['a' ... 'f'] = C_ALPHA | C_XDIGIT,
    ['g' ... 'z'] = C_ALPHA,
    ['\t' ... '\r'] = C_SPACE,
    [' '] = C_SPACE,
};

bool ascii_is_digit(char c)
{
    return ascii_class[(uint8_t)c] & C_DIGIT;
}

bool ascii_is_alpha(char c)
{
    return ascii_class[(uint8_t)c] & C_ALPHA;
}

bool ascii_is_alnum(char c)
{
    return ascii_class[(uint8_t)c] & (C_DIGIT | C_ALPHA);
}

bool ascii_is_space(char c)
{
    return ascii_class[(uint8_t)c] & C_SPACE;
}

bool ascii_is_xdigit(char c)
{
    return ascii_class[(uint8_t)c] & C_XDIGIT;
}

int ascii_xdigit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

char ascii_upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - ('a' - 'A')) : c;
}

struct str str_c(const char *z)
{
    return z ? str_of(z, strlen(z)) : STR_EMPTY;
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
            return false;
    return true;
}

int str_cmp(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    if (c != 0)
        return c < 0 ? -1 : 1;
    return a.n < b.n ? -1 : a.n > b.n;
}

bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && str_eq(str_of(s.p, prefix.n), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n && (suffix.n == 0 || memcmp(s.p + (s.n - suffix.n), suffix.p, suffix.n) == 0);
}

size_t str_find_byte(struct str s, char c)
{
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    return at ? (size_t)(at - s.p) : STR_NPOS;
}

size_t str_rfind_byte(struct str s, char c)
{
    const char *at = s.n ? memrchr(s.p, c, s.n) : NULL;
    return at ? (size_t)(at - s.p) : STR_NPOS;
}

size_t str_find(struct str s, struct str needle)
{
    if (needle.n == 0)
        return 0;
    if (needle.n > s.n)
        return STR_NPOS;
    const char *at = memmem(s.p, s.n, needle.p, needle.n);
    return at ? (size_t)(at - s.p) : STR_NPOS;
}

bool str_contains(struct str s, struct str needle)
{
    return str_find(s, needle) != STR_NPOS;
}

struct str str_from(struct str s, size_t at)
{
    if (at >= s.n) /* still a place in s: callers measure what they have read by it */
        return s.p ? str_of(s.p + s.n, 0) : STR_EMPTY;
    return str_of(s.p + at, s.n - at);
}

struct str str_sub(struct str s, size_t at, size_t n)
{
    struct str rest = str_from(s, at);
    return str_of(rest.p, n < rest.n ? n : rest.n);
}

struct str str_trim(struct str s)
{
    while (s.n && ascii_is_space(s.p[0]))
        s = str_of(s.p + 1, s.n - 1);
    while (s.n && ascii_is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

struct str str_trim_set(struct str s, struct str set)
{
    while (s.n && str_find_byte(set, s.p[0]) != STR_NPOS)
        s = str_of(s.p + 1, s.n - 1);
    while (s.n && str_find_byte(set, s.p[s.n - 1]) != STR_NPOS)
        s.n--;
    return s;
}

/* "Exhausted" is written as a NULL pointer with length 0, which no piece of a text ever is. */
bool str_split(struct str *rest, char sep, struct str *head)
{
    if (!rest->p)
        return false;
    size_t at = str_find_byte(*rest, sep);
    if (at == STR_NPOS) {
        *head = *rest;
        *rest = str_of(NULL, 0);
    } else {
        *head = str_of(rest->p, at);
        *rest = str_of(rest->p + at + 1, rest->n - at - 1);
    }
    return true;
}

/* A multiply-and-fold hash in the manner of wyhash: eight bytes a step, 128-bit products, good enough for tables
 * whose keys an outsider chooses only together with much else. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t read64(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t read_tail(const char *p, size_t n) /* n < 8 */
{
    uint64_t v = 0;
    if (n)
        memcpy(&v, p, n);
    return v;
}

uint64_t str_hash(struct str s, uint64_t seed)
{
    const uint64_t k0 = 0xa0761d6478bd642full, k1 = 0xe7037ed1a0b428dbull, k2 = 0x8ebc6af09c88c6e3ull;
    uint64_t h = seed ^ k0;
    const char *p = s.p;
    size_t n = s.n;
    for (; n >= 16; n -= 16, p += 16)
        h = fold(read64(p) ^ k1, read64(p + 8) ^ h);
    uint64_t a = 0, b = 0;
    if (n >= 8) {
        a = read64(p);
        b = read_tail(p + 8, n - 8);
    } else if (n) {
        a = read_tail(p, n);
    }
    h = fold(a ^ k1, b ^ h);
    return fold(h ^ s.n, k2);
}
