/* LZW with LSB bit order and 8-bit literals, state for state as Go's compress/lzw (spec gossip 5): codes of 9 to 12 bits,
 * 256 clears the table, 257 ends, entries start at 258.
 *
 * L1  While decoding, entries below `hi` that were filled since the last clear form chains that end in a literal; a code
 *     above `hi` is an error, so no chain is followed into what is not filled. The spec's entry 257 (filled when the first
 *     code after a clear is followed) is never a valid string, since 257 as a code means the end.
 * L2  Every code read either ends, clears, or adds at least one byte of output; the limit bounds the rest. */
#include "wire/lzw.h"

enum { CLEAR = 256, END = 257, WIDTH_MIN = 9, WIDTH_MAX = 12, CODES = 1 << WIDTH_MAX, NONE = 0xFFFF };

struct bit_writer {
    struct buf *out;
    uint32_t bits;
    unsigned count;
};

static void put_code(struct bit_writer *w, uint32_t code, unsigned width)
{
    w->bits |= code << w->count;
    w->count += width;
    for (; w->count >= 8; w->count -= 8, w->bits >>= 8)
        buf_byte(w->out, (char)w->bits);
}

/* The encoder's table: open addressing over (prefix code, next byte); load at most 3837 of 16384. */
enum { TABLE_SIZE = 1 << 14 };

struct encoder {
    struct bit_writer w;
    unsigned width;
    uint32_t hi, overflow;
    uint32_t table[TABLE_SIZE]; /* key << 12 | code; 0: free. key = prefix << 8 | byte */
};

static void encoder_clear(struct encoder *e)
{
    e->width = WIDTH_MIN;
    e->hi = END;
    e->overflow = 1u << WIDTH_MIN;
    memset(e->table, 0, sizeof e->table);
}

static uint32_t table_home(uint32_t key)
{
    return (key * 0x9E3779B1u) >> (32 - 14);
}

/* The slot with this key, or the free one where it goes. */
static uint32_t table_place(const struct encoder *e, uint32_t key)
{
    uint32_t i = table_home(key);
    while (e->table[i] && e->table[i] >> 12 != key)
        i = (i + 1) & (TABLE_SIZE - 1);
    return i;
}

/* After each code. True if the table was full and has been cleared. */
static bool encoder_step(struct encoder *e)
{
    e->hi++;
    if (e->hi == e->overflow) {
        e->width++;
        e->overflow <<= 1;
    }
    if (e->hi < CODES - 1)
        return false;
    put_code(&e->w, CLEAR, e->width);
    encoder_clear(e);
    return true;
}

void lzw_encode(struct str in, struct buf *out)
{
    struct encoder e;
    e.w = (struct bit_writer){ .out = out };
    encoder_clear(&e);
    put_code(&e.w, CLEAR, e.width);
    if (in.n > 0) {
        uint32_t current = (uint8_t)in.p[0];
        for (size_t i = 1; i < in.n; i++) {
            uint32_t byte = (uint8_t)in.p[i], key = current << 8 | byte;
            uint32_t slot = table_place(&e, key);
            if (e.table[slot]) {
                current = e.table[slot] & (CODES - 1);
                continue;
            }
            put_code(&e.w, current, e.width);
            current = byte;
            if (!encoder_step(&e))
                e.table[slot] = key << 12 | e.hi;
        }
        put_code(&e.w, current, e.width);
        encoder_step(&e);
    }
    put_code(&e.w, END, e.width);
    if (e.w.count > 0)
        buf_byte(out, (char)e.w.bits);
}

struct decoder {
    struct str in;
    size_t at;
    uint32_t bits;
    unsigned count, width;
    uint32_t hi, overflow, last;
    uint16_t prefix[CODES];
    uint8_t suffix[CODES];
    uint8_t string[CODES]; /* one string, filled from its end */
};

static void decoder_clear(struct decoder *d)
{
    d->width = WIDTH_MIN;
    d->hi = END;
    d->overflow = 1u << WIDTH_MIN;
    d->last = NONE;
}

static bool take_code(struct decoder *d, uint32_t *code)
{
    while (d->count < d->width) {
        if (d->at == d->in.n)
            return false;
        d->bits |= (uint32_t)(uint8_t)d->in.p[d->at++] << d->count;
        d->count += 8;
    }
    *code = d->bits & ((1u << d->width) - 1);
    d->bits >>= d->width;
    d->count -= d->width;
    return true;
}

/* The string of a code, at the end of d->string; returns where it starts. Codes are unequal to CLEAR and END. */
static size_t expand(struct decoder *d, uint32_t code)
{
    size_t start = CODES;
    if (code == d->hi && d->last != NONE) {
        start--; /* its own first byte comes last: filled below */
        code = d->last;
    }
    while (code > 255) {
        ASSERT(start > 1); /* L1 */
        d->string[--start] = d->suffix[code];
        code = d->prefix[code];
    }
    d->string[--start] = (uint8_t)code;
    return start;
}

static bool decode(struct decoder *d, size_t limit_bytes, struct buf *out, struct err *err)
{
    size_t before = out->n;
    uint32_t code;
    while (take_code(d, &code)) {
        if (code == CLEAR) {
            decoder_clear(d);
            continue;
        }
        if (code == END)
            return true;
        if (code > d->hi)
            return err_set(err, ERR_INVALID, "lzw: invalid code");
        bool own = code == d->hi && d->last != NONE;
        size_t start = expand(d, code);
        uint8_t first = d->string[start];
        if (own)
            d->string[CODES - 1] = first;
        if (CODES - start > limit_bytes - (out->n - before))
            return err_set(err, ERR_LIMIT, "lzw: decoded size is larger than the limit of %zu bytes", limit_bytes);
        buf_append(out, d->string + start, CODES - start);
        if (d->last != NONE) {
            d->prefix[d->hi] = (uint16_t)d->last;
            d->suffix[d->hi] = first;
        }
        d->last = code;
        d->hi++;
        if (d->hi >= d->overflow) {
            if (d->width == WIDTH_MAX) {
                d->last = NONE;
                d->hi--;
            } else {
                d->width++;
                d->overflow = 1u << d->width;
            }
        }
    }
    return err_set(err, ERR_INVALID, "lzw: unexpected EOF");
}

bool lzw_decode(struct str in, size_t limit_bytes, struct buf *out, struct err *err)
{
    struct decoder d;
    d.in = in;
    d.at = 0;
    d.bits = d.count = 0;
    memset(d.prefix, 0, sizeof d.prefix);
    memset(d.suffix, 0, sizeof d.suffix);
    decoder_clear(&d);
    size_t before = out->n;
    bool ok = decode(&d, limit_bytes, out, err);
    if (!ok && out->p)
        buf_truncate(out, before);
    return ok;
}
