/* UTF-8 as Go reads it: shortest forms only, no surrogates, nothing above U+10FFFF; every byte that does not start a
 * valid sequence stands alone as U+FFFD. */
#include "base/utf8.h"

#include "base/unicode_int.h"

static rune invalid(size_t *size)
{
    *size = 1;
    return RUNE_ERROR;
}

static bool is_continuation(char c)
{
    return ((uint8_t)c & 0xC0) == 0x80;
}

static uint32_t low6(char c)
{
    return (uint8_t)c & 0x3F;
}

rune utf8_decode(struct str s, size_t *size)
{
    ASSERT(s.n > 0);
    uint8_t lead = (uint8_t)s.p[0];
    if (LIKELY(lead < 0x80)) {
        *size = 1;
        return lead;
    }
    if (lead < 0xC2 || lead > 0xF4 || s.n < 2 || !is_continuation(s.p[1]))
        return invalid(size);
    if (lead < 0xE0) {
        *size = 2;
        return ((lead & 0x1Fu) << 6) | low6(s.p[1]);
    }
    if (s.n < 3 || !is_continuation(s.p[2]))
        return invalid(size);
    if (lead < 0xF0) {
        rune r = ((lead & 0x0Fu) << 12) | (low6(s.p[1]) << 6) | low6(s.p[2]);
        if (r < 0x800 || (r >= 0xD800 && r <= 0xDFFF))
            return invalid(size);
        *size = 3;
        return r;
    }
    if (s.n < 4 || !is_continuation(s.p[3]))
        return invalid(size);
    rune r = ((lead & 0x07u) << 18) | (low6(s.p[1]) << 12) | (low6(s.p[2]) << 6) | low6(s.p[3]);
    if (r < 0x10000 || r > 0x10FFFF)
        return invalid(size);
    *size = 4;
    return r;
}

rune utf8_decode_last(struct str s, size_t *size)
{
    ASSERT(s.n > 0);
    size_t back_max = s.n < 4 ? s.n : 4;
    for (size_t back = 1; back <= back_max; back++) {
        if (is_continuation(s.p[s.n - back]))
            continue;
        size_t got;
        rune r = utf8_decode(str_from(s, s.n - back), &got);
        if (got != back)
            break;
        *size = got;
        return r;
    }
    return invalid(size);
}

/* Bytes at the front that are ASCII, eight at a time. */
static size_t ascii_run(struct str s)
{
    size_t i = 0;
    for (; s.n - i >= 8; i += 8) {
        uint64_t v;
        memcpy(&v, s.p + i, sizeof v);
        if (v & 0x8080808080808080ull)
            break;
    }
    while (i < s.n && (uint8_t)s.p[i] < 0x80)
        i++;
    return i;
}

bool utf8_valid(struct str s)
{
    for (;;) {
        s = str_from(s, ascii_run(s));
        if (s.n == 0)
            return true;
        size_t size;
        utf8_decode(s, &size);
        if (size == 1)
            return false;
        s = str_from(s, size);
    }
}

size_t utf8_count(struct str s)
{
    size_t count = 0;
    while (s.n) {
        size_t size;
        utf8_decode(s, &size);
        s = str_from(s, size);
        count++;
    }
    return count;
}

void utf8_append(struct buf *b, rune r)
{
    if (r > 0x10FFFF || (r >= 0xD800 && r <= 0xDFFF))
        r = RUNE_ERROR;
    char out[4];
    size_t n;
    if (r < 0x80) {
        buf_byte(b, (char)r);
        return;
    }
    if (r < 0x800) {
        out[0] = (char)(0xC0 | (r >> 6));
        n = 2;
    } else if (r < 0x10000) {
        out[0] = (char)(0xE0 | (r >> 12));
        n = 3;
    } else {
        out[0] = (char)(0xF0 | (r >> 18));
        n = 4;
    }
    for (size_t i = 1; i < n; i++)
        out[i] = (char)(0x80 | ((r >> (6 * (n - 1 - i))) & 0x3F));
    buf_append(b, out, n);
}

void utf8_append_valid(struct buf *b, struct str s)
{
    size_t clean = 0, at = 0;
    while (at < s.n) {
        size_t size;
        rune r = utf8_decode(str_from(s, at), &size);
        if (r == RUNE_ERROR && size == 1) {
            buf_append(b, s.p + clean, at - clean);
            utf8_append(b, RUNE_ERROR);
            clean = at + 1;
        }
        at += size;
    }
    if (clean < s.n)
        buf_append(b, s.p + clean, s.n - clean);
}

struct str utf8_prefix(struct str s, size_t runes)
{
    size_t at = 0;
    for (; runes > 0 && at < s.n; runes--) {
        size_t size;
        utf8_decode(str_from(s, at), &size);
        at += size;
    }
    return str_of(s.p, at);
}

bool rune_is_printable(rune r)
{
    if (r < 0x7F)
        return r >= 0x20;
    if (r <= 0xFFFF) {
        size_t lo = 0, hi = unicode_printable16_count;
        while (lo < hi) {
            size_t mid = lo + (hi - lo) / 2;
            if (r > unicode_printable16[mid].last)
                lo = mid + 1;
            else
                hi = mid;
        }
        return lo < unicode_printable16_count && r >= unicode_printable16[lo].first;
    }
    size_t lo = 0, hi = unicode_printable32_count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (r > unicode_printable32[mid].last)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < unicode_printable32_count && r >= unicode_printable32[lo].first;
}

bool rune_is_white_space(rune r)
{
    if (r < 0x80)
        return r == ' ' || (r >= '\t' && r <= '\r');
    return r == 0x85 || r == 0xA0 || r == 0x1680 || (r >= 0x2000 && r <= 0x200A) || r == 0x2028 || r == 0x2029 ||
           r == 0x202F || r == 0x205F || r == 0x3000;
}

/* Go's quoting */

static void hex_escape(struct buf *b, char kind, uint32_t v, int digits)
{
    static const char hex[] = "0123456789abcdef";
    char out[10] = { '\\', kind };
    for (int i = 0; i < digits; i++)
        out[2 + i] = hex[(v >> (4 * (digits - 1 - i))) & 0xF];
    buf_append(b, out, 2 + (size_t)digits);
}

static char short_escape(rune r)
{
    switch (r) {
    case '\a': return 'a';
    case '\b': return 'b';
    case '\f': return 'f';
    case '\n': return 'n';
    case '\r': return 'r';
    case '\t': return 't';
    case '\v': return 'v';
    default: return 0;
    }
}

static void quote_rune(struct buf *b, rune r)
{
    char escape = short_escape(r);
    if (escape) {
        buf_byte(b, '\\');
        buf_byte(b, escape);
    } else if (r < 0x20 || r == 0x7F) {
        hex_escape(b, 'x', r, 2);
    } else if (r < 0x10000) {
        hex_escape(b, 'u', r, 4);
    } else {
        hex_escape(b, 'U', r, 8);
    }
}

static bool is_plain(char c)
{
    return c >= ' ' && c < 0x7F && c != '"' && c != '\\';
}

void go_quote(struct buf *b, struct str s)
{
    buf_byte(b, '"');
    size_t at = 0;
    while (at < s.n) {
        size_t from = at;
        while (at < s.n && is_plain(s.p[at]))
            at++;
        if (at > from)
            buf_append(b, s.p + from, at - from);
        if (at == s.n)
            break;
        size_t size;
        rune r = utf8_decode(str_from(s, at), &size);
        if (r == RUNE_ERROR && size == 1) {
            hex_escape(b, 'x', (uint8_t)s.p[at], 2);
        } else if (r == '"' || r == '\\') {
            buf_byte(b, '\\');
            buf_byte(b, (char)r);
        } else if (rune_is_printable(r)) {
            buf_append(b, s.p + at, size);
        } else {
            quote_rune(b, r);
        }
        at += size;
    }
    buf_byte(b, '"');
}

static bool hex_value(struct str s, size_t at, size_t digits, uint32_t *v)
{
    if (s.n - at < digits)
        return false;
    *v = 0;
    for (size_t i = 0; i < digits; i++) {
        int x = ascii_xdigit_value(s.p[at + i]);
        if (x < 0)
            return false;
        *v = *v << 4 | (uint32_t)x;
    }
    return true;
}

static bool octal_value(struct str s, size_t at, uint32_t *v)
{
    if (s.n - at < 3)
        return false;
    *v = 0;
    for (size_t i = 0; i < 3; i++) {
        if (s.p[at + i] < '0' || s.p[at + i] > '7')
            return false;
        *v = *v << 3 | (uint32_t)(s.p[at + i] - '0');
    }
    return *v <= 255;
}

static char unescape_short(char c)
{
    static const char from[] = "abfnrtv\\\"", to[] = "\a\b\f\n\r\t\v\\\"";
    for (size_t i = 0; from[i]; i++)
        if (from[i] == c)
            return to[i];
    return 0;
}

/* One escape; *at is past the backslash and moves past the escape. */
static bool unescape(struct buf *b, struct str s, size_t *at)
{
    if (*at >= s.n)
        return false;
    char c = s.p[*at];
    uint32_t v;
    if (c == 'x') {
        if (!hex_value(s, *at + 1, 2, &v))
            return false;
        buf_byte(b, (char)v);
        *at += 3;
        return true;
    }
    if (c == 'u' || c == 'U') {
        size_t digits = c == 'u' ? 4 : 8;
        if (!hex_value(s, *at + 1, digits, &v) || v > 0x10FFFF || (v >= 0xD800 && v <= 0xDFFF))
            return false;
        utf8_append(b, v);
        *at += 1 + digits;
        return true;
    }
    if (c >= '0' && c <= '7') {
        if (!octal_value(s, *at, &v))
            return false;
        buf_byte(b, (char)v);
        *at += 3;
        return true;
    }
    char plain = unescape_short(c);
    if (!plain)
        return false;
    buf_byte(b, plain);
    (*at)++;
    return true;
}

static bool unquote_raw(struct buf *b, struct str body)
{
    if (str_find_byte(body, '`') != STR_NPOS)
        return false;
    for (size_t i = 0; i < body.n; i++)
        if (body.p[i] != '\r')
            buf_byte(b, body.p[i]);
    return true;
}

bool go_unquote(struct buf *b, struct str quoted, bool raw)
{
    if (quoted.n < 2 || quoted.p[0] != quoted.p[quoted.n - 1])
        return false;
    struct str body = str_sub(quoted, 1, quoted.n - 2);
    if (quoted.p[0] == '`')
        return raw && unquote_raw(b, body);
    if (quoted.p[0] != '"')
        return false;
    size_t at = 0;
    while (at < body.n) {
        size_t from = at;
        while (at < body.n && is_plain(body.p[at]))
            at++;
        if (at > from)
            buf_append(b, body.p + from, at - from);
        if (at == body.n)
            break;
        char c = body.p[at];
        if (c == '"' || c == '\n')
            return false;
        if (c == '\\') {
            at++;
            if (!unescape(b, body, &at))
                return false;
            continue;
        }
        size_t size;
        utf8_append(b, utf8_decode(str_from(body, at), &size));
        at += size;
    }
    return true;
}
