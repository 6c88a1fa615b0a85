/* Base64 and hex. The decoder reads quanta of four characters; a short one is only good at the end, with its padding in
 * the padded shapes and without it in the raw ones. */
#include "wire/base64.h"

#include <stdint.h>

static const char std_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static bool is_url(enum base64_shape shape)
{
    return shape == BASE64_URL || shape == BASE64_URL_RAW;
}

static bool is_padded(enum base64_shape shape)
{
    return shape == BASE64_STD || shape == BASE64_URL;
}

void base64_encode(struct str in, enum base64_shape shape, struct buf *out)
{
    const char *alphabet = is_url(shape) ? url_alphabet : std_alphabet;
    for (size_t i = 0; i < in.n; i += 3) {
        size_t left = in.n - i < 3 ? in.n - i : 3;
        uint32_t v = 0;
        for (size_t k = 0; k < 3; k++)
            v = v << 8 | (k < left ? (uint8_t)in.p[i + k] : 0);
        char quantum[4];
        for (size_t k = 0; k < 4; k++)
            quantum[k] = k <= left ? alphabet[v >> (18 - 6 * k) & 63] : '=';
        buf_append(out, quantum, is_padded(shape) ? 4 : left + 1);
    }
}

static int value_of(char c, bool url)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == (url ? '-' : '+'))
        return 62;
    return c == (url ? '_' : '/') ? 63 : -1;
}

/* The next character that is no line break; false at the end. */
static bool next(struct str in, size_t *at, char *c)
{
    while (*at < in.n && (in.p[*at] == '\r' || in.p[*at] == '\n'))
        (*at)++;
    if (*at == in.n)
        return false;
    *c = in.p[(*at)++];
    return true;
}

/* The end of the text after a quantum of `count` characters (2 or 3), where the next character, if any, is c. */
static bool ends_right(struct str in, size_t *at, size_t count, bool has_c, char c, bool padded)
{
    if (!padded)
        return !has_c;
    for (size_t i = count; i < 4; i++) {
        if (!has_c || c != '=')
            return false;
        has_c = next(in, at, &c);
    }
    return !has_c;
}

static bool decode(struct str in, enum base64_shape shape, struct buf *out)
{
    size_t at = 0;
    for (;;) {
        uint32_t v = 0;
        size_t count = 0;
        bool has_c = false;
        char c = 0;
        while (count < 4 && (has_c = next(in, &at, &c))) {
            int x = value_of(c, is_url(shape));
            if (x < 0)
                break;
            v = v << 6 | (uint32_t)x;
            count++;
        }
        if (count == 0)
            return !has_c;
        if (count == 1)
            return false;
        const char bytes[] = { (char)(v << (6 * (4 - count)) >> 16), (char)(v << (6 * (4 - count)) >> 8),
                               (char)(v << (6 * (4 - count))) };
        buf_append(out, bytes, count - 1);
        if (count < 4)
            return ends_right(in, &at, count, has_c, c, is_padded(shape));
    }
}

bool base64_decode(struct str in, enum base64_shape shape, struct buf *out)
{
    size_t before = out->n;
    buf_reserve(out, in.n / 4 * 3 + 3);
    bool ok = decode(in, shape, out);
    if (!ok)
        buf_truncate(out, before);
    return ok;
}

void hex_encode(struct str in, struct buf *out)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < in.n; i++) {
        const char pair[] = { hex[(uint8_t)in.p[i] >> 4], hex[(uint8_t)in.p[i] & 15] };
        buf_append(out, pair, 2);
    }
}

bool hex_decode(struct str in, struct buf *out)
{
    size_t before = out->n;
    bool ok = in.n % 2 == 0;
    for (size_t i = 0; ok && i < in.n; i += 2) {
        int high = ascii_xdigit_value(in.p[i]), low = ascii_xdigit_value(in.p[i + 1]);
        ok = high >= 0 && low >= 0;
        if (ok)
            buf_byte(out, (char)(high << 4 | low));
    }
    if (!ok && out->p)
        buf_truncate(out, before);
    return ok;
}
