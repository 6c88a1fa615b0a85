/* The streaming writer. One flag is all the state there is: whether a comma is due before the next key or value. It is
 * clear after an opening bracket and after a key, set after every value. Runs of bytes that need no escape are found a word
 * at a time and copied whole: nearly every string is one run. */
#include "json/writer.h"

#include "base/num.h"
#include "base/utf8.h"

#include <string.h>

/* What a byte is to the writer. */
enum { PLAIN = 0, ESCAPED = 1, HTML = 2, MULTIBYTE = 3 };

static const uint8_t byte_class[256] = {
    [0 ... 0x1F] = ESCAPED, ['"'] = ESCAPED,          ['\\'] = ESCAPED, ['<'] = HTML,
    ['>'] = HTML,           ['&'] = HTML,             [0x80 ... 0xFF] = MULTIBYTE,
};

#define EVERY_BYTE(c) (UINT64_C(0x0101010101010101) * (uint64_t)(c))

/* Not 0 if one of eight bytes is not PLAIN (with html), and only then; which one is not said. `x - EVERY_BYTE(1) & ~x`
 * has the top bit of a byte that is zero set. < and > differ in one bit, as do " and &. */
static uint64_t special_bytes(uint64_t x)
{
    uint64_t angle = (x | EVERY_BYTE(0x02)) ^ EVERY_BYTE('>');
    uint64_t quote = (x | EVERY_BYTE(0x04)) ^ EVERY_BYTE('&');
    uint64_t slash = x ^ EVERY_BYTE('\\');
    uint64_t found = (x - EVERY_BYTE(0x20)) & ~x;
    found |= (angle - EVERY_BYTE(1)) & ~angle;
    found |= (quote - EVERY_BYTE(1)) & ~quote;
    found |= (slash - EVERY_BYTE(1)) & ~slash;
    return (found | x) & EVERY_BYTE(0x80);
}

static bool is_plain(uint8_t c, bool html)
{
    return byte_class[c] == PLAIN || (byte_class[c] == HTML && !html);
}

/* How many bytes from the beginning need no escape. */
static size_t plain_run(struct str s, bool html)
{
    size_t at = 0;
    for (uint64_t x; s.n - at >= sizeof x; at += sizeof x) {
        memcpy(&x, s.p + at, sizeof x);
        if (special_bytes(x))
            break;
    }
    while (at < s.n && is_plain((uint8_t)s.p[at], html))
        at++;
    return at;
}

void json_writer_init(struct json_writer *w, struct buf *out)
{
    *w = (struct json_writer){ .out = out, .html = true };
}

static void before_value(struct json_writer *w)
{
    if (w->need_comma)
        buf_byte(w->out, ',');
    w->need_comma = true;
}

static void open(struct json_writer *w, char bracket)
{
    before_value(w);
    buf_byte(w->out, bracket);
    w->need_comma = false;
}

static void close(struct json_writer *w, char bracket)
{
    buf_byte(w->out, bracket);
    w->need_comma = true;
}

void jw_object(struct json_writer *w)
{
    open(w, '{');
}

void jw_object_end(struct json_writer *w)
{
    close(w, '}');
}

void jw_array(struct json_writer *w)
{
    open(w, '[');
}

void jw_array_end(struct json_writer *w)
{
    close(w, ']');
}

void jw_str(struct json_writer *w, struct str s)
{
    before_value(w);
    buf_byte(w->out, '"');
    json_escape(w->out, s, w->html);
    buf_byte(w->out, '"');
}

void jw_key(struct json_writer *w, struct str key)
{
    jw_str(w, key);
    buf_byte(w->out, ':');
    w->need_comma = false;
}

void jw_i64(struct json_writer *w, int64_t v)
{
    before_value(w);
    buf_i64(w->out, v);
}

void jw_u64(struct json_writer *w, uint64_t v)
{
    before_value(w);
    buf_u64(w->out, v);
}

void jw_f64(struct json_writer *w, double v)
{
    before_value(w);
    num_write_json_f64(w->out, v);
}

void jw_bool(struct json_writer *w, bool v)
{
    before_value(w);
    buf_str(w->out, v ? STR("true") : STR("false"));
}

void jw_null(struct json_writer *w)
{
    before_value(w);
    buf_str(w->out, STR("null"));
}

void jw_raw(struct json_writer *w, struct str json)
{
    before_value(w);
    buf_str(w->out, json);
}

static char *put(char *p, struct str s)
{
    if (s.n)
        memcpy(p, s.p, s.n);
    return p + s.n;
}

/* A pair that needs no escape, the usual one, is one reservation and its copies. */
void jw_kv(struct json_writer *w, struct str key, struct str value)
{
    struct buf *out = w->out;
    if (out->limit_bytes || plain_run(key, w->html) < key.n || plain_run(value, w->html) < value.n) {
        jw_key(w, key);
        jw_str(w, value);
        return;
    }
    buf_reserve(out, key.n + value.n + sizeof ",\"\":\"\"");
    char *p = out->p + out->n;
    if (w->need_comma)
        *p++ = ',';
    *p++ = '"';
    p = put(put(put(p, key), STR("\":\"")), value);
    *p++ = '"';
    *p = 0;
    out->n = (size_t)(p - out->p);
    w->need_comma = true;
}

/* Escapes */

static void escape_hex(struct buf *out, rune r)
{
    static const char hex[] = "0123456789abcdef";
    const char text[] = { '\\', 'u', hex[r >> 12 & 15], hex[r >> 8 & 15], hex[r >> 4 & 15], hex[r & 15] };
    buf_append(out, text, sizeof text);
}

static void escape_ascii(struct buf *out, char c)
{
    char letter = 0;
    switch (c) {
    case '"':
    case '\\': letter = c; break;
    case '\b': letter = 'b'; break;
    case '\f': letter = 'f'; break;
    case '\n': letter = 'n'; break;
    case '\r': letter = 'r'; break;
    case '\t': letter = 't'; break;
    default: escape_hex(out, (uint8_t)c); return;
    }
    const char text[] = { '\\', letter };
    buf_append(out, text, sizeof text);
}

/* Bytes taken; U+2028 and U+2029 end a line in JavaScript, so Go escapes them too. */
static size_t escape_multibyte(struct buf *out, struct str s)
{
    size_t size;
    rune r = utf8_decode(s, &size);
    if ((r == RUNE_ERROR && size == 1) || r == 0x2028 || r == 0x2029)
        escape_hex(out, r);
    else
        buf_append(out, s.p, size);
    return size;
}

void json_escape(struct buf *out, struct str s, bool html)
{
    for (size_t at = 0; at < s.n;) {
        size_t run = plain_run(str_from(s, at), html);
        buf_append(out, s.p + at, run);
        at += run;
        if (at == s.n)
            return;
        if (byte_class[(uint8_t)s.p[at]] == MULTIBYTE)
            at += escape_multibyte(out, str_from(s, at));
        else
            escape_ascii(out, s.p[at++]);
    }
}
