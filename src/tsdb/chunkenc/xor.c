/* XOR chunks, bit for bit as upstream writes them.
 *
 * X1  Timestamps: t0 as varint, then t1-t0 as uvarint, then deltas of deltas in classes of 0, 14, 17, 20, 64 bits.
 * X2  A value equal to the one before is one bit; else the XOR's meaningful bits, in the window in force if they fit it.
 * X3  A fresh writer has no window; a reader starts with the window of 64 bits, so both read each other's chunks, also
 *     those that were reopened.
 * X4  Times ascend as long as every delta is in [1, DELTA_CALM] and the first is within TIME_CALM: then nothing wraps. Deltas
 *     change seldom, so the decoder looks at them where they do.
 * X5  The reader never loads past the bytes it was given: all but the last READ_SLACK bytes are read with unaligned
 *     64-bit loads, the rest from a zero-padded copy, and what ran into the padding is an error at the end.
 *
 * The decoder's position is a plain bit index: loads do not wait for the shifts of the sample before, so the processor
 * overlaps samples. */
#include "tsdb/chunkenc/xor_int.h"

#include "base/bytes.h"
#include "tsdb/bytes_int.h"
#include "tsdb/chunkenc/bits_int.h"

_Static_assert(sizeof(struct xor_state) == 32, "lives in every series record");

/* ---- writing ---- */

static size_t put_dod(uint8_t *p, size_t pos, int64_t dod)
{
    if (dod == 0) {
        bits_put56(p, pos, 0, 1);
        return pos + 1;
    }
    if (bits_fit(dod, 14)) {
        bits_put56(p, pos, UINT64_C(2) << 14 | ((uint64_t)dod & 0x3fff), 16);
        return pos + 16;
    }
    if (bits_fit(dod, 17)) {
        bits_put56(p, pos, UINT64_C(6) << 17 | ((uint64_t)dod & 0x1ffff), 20);
        return pos + 20;
    }
    if (bits_fit(dod, 20)) {
        bits_put56(p, pos, UINT64_C(14) << 20 | ((uint64_t)dod & 0xfffff), 24);
        return pos + 24;
    }
    bits_put56(p, pos, 15, 4);
    bits_put(p, pos + 4, (uint64_t)dod, 64);
    return pos + 68;
}

static size_t put_value(struct xor_state *s, uint8_t *p, size_t pos, uint64_t v)
{
    uint64_t x = v ^ s->v;
    if (x == 0) {
        bits_put56(p, pos, 0, 1);
        return pos + 1;
    }
    unsigned lead = (unsigned)__builtin_clzll(x), trail = (unsigned)__builtin_ctzll(x);
    if (lead > 31)
        lead = 31;
    if (s->lead != XOR_NO_WINDOW && lead >= s->lead && trail >= s->trail) {
        unsigned n = 64u - s->lead - s->trail;
        bits_put56(p, pos, 2, 2);
        bits_put(p, pos + 2, x >> s->trail, n);
        return pos + 2 + n;
    }
    unsigned n = 64 - lead - trail;
    s->lead = (uint8_t)lead;
    s->trail = (uint8_t)trail;
    bits_put56(p, pos, 3u << 11 | lead << 6 | (n & 63), 13);
    bits_put(p, pos + 13, x >> trail, n);
    return pos + 13 + n;
}

void xor_append(struct xor_state *s, uint8_t partial, int64_t t, uint64_t v, struct xor_step *step)
{
    ASSERT(s->n < XOR_SAMPLES_MAX);
    uint8_t *p = step->bytes;
    size_t pos;
    if (s->n == 0) {
        *s = (struct xor_state){ .bits = 16, .lead = XOR_NO_WINDOW };
        step->at = 2;
        pos = 8 * put_uvarint(p, zigzag(t));
        bits_put(p, pos, v, 64);
        pos += 64;
    } else {
        ASSERT(t > s->t);
        uint64_t delta = (uint64_t)t - (uint64_t)s->t;
        pos = s->bits & 7;
        step->at = s->bits >> 3;
        p[0] = partial;
        if (s->n == 1) {
            uint8_t varint[UVARINT_MAX];
            size_t n = put_uvarint(varint, delta);
            for (size_t i = 0; i < n; i++, pos += 8)
                bits_put56(p, pos, varint[i], 8);
        } else {
            pos = put_dod(p, pos, (int64_t)(delta - s->delta));
        }
        pos = put_value(s, p, pos, v);
        s->delta = delta;
    }
    s->t = t;
    s->v = v;
    s->n++;
    s->bits = step->at * 8 + (uint32_t)pos;
    step->n = (uint32_t)((pos + 7) >> 3);
}

/* ---- reading ---- */

#define READ_SLACK 48 /* bytes: a sample's 19, two loads of 9, and some */

#define DELTA_CALM UINT64_C(0x3fffffffffff)                    /* ms: some 2,000 years */
#define TIME_CALM  (INT64_MAX - (int64_t)(XOR_SAMPLES_MAX * DELTA_CALM)) /* either side of zero */
_Static_assert(XOR_SAMPLES_MAX * DELTA_CALM < INT64_MAX / 2, "a chunk of such deltas does not wrap");

struct decoder {
    int64_t t;
    uint64_t delta, v;
    uint64_t delta_bits; /* all deltas - 1, or-ed: above DELTA_CALM if one is not positive, or is vast */
    unsigned lead, shift; /* window: leading zeros, trailing zeros */
};

static inline uint64_t load(const uint8_t *p, size_t pos)
{
    return get_be64(p + (pos >> 3)) << (pos & 7); /* 57 good bits at the top */
}
static inline uint64_t load64(const uint8_t *p, size_t pos)
{
    unsigned off = (unsigned)(pos & 7);
    const uint8_t *q = p + (pos >> 3);
    return off ? get_be64(q) << off | (uint64_t)(q[8] >> (8 - off)) : get_be64(q);
}

/* The dod field at the top of w; *used counts its bits. */
static inline uint64_t read_dod(const uint8_t *p, size_t pos, uint64_t w, unsigned *used)
{
    if (!(w >> 62 & 1)) {
        *used = 16;
        return (uint64_t)bits_signed(w >> 48 & 0x3fff, 14);
    }
    if (!(w >> 61 & 1)) {
        *used = 20;
        return (uint64_t)bits_signed(w >> 44 & 0x1ffff, 17);
    }
    if (!(w >> 60 & 1)) {
        *used = 24;
        return (uint64_t)bits_signed(w >> 40 & 0xfffff, 20);
    }
    *used = 68;
    return load64(p, pos + 4);
}

/* The value field that is `used` bits into w, which was loaded from bit pos. Returns the bits from pos to the field's end; 0:
 * a window that makes no sense. */
static inline unsigned read_value(struct decoder *s, const uint8_t *p, size_t pos, uint64_t w, unsigned used)
{
    uint64_t c = w << used;
    if (!(c >> 63))
        return used + 1;
    if (c >> 62 & 1) {
        unsigned lead = (unsigned)(c >> 57 & 31), n = (unsigned)(c >> 51 & 63);
        n = n ? n : 64;
        if (UNLIKELY(lead + n > 64))
            return 0;
        s->lead = lead;
        s->shift = 64 - lead - n;
        used += 13;
    } else {
        used += 2;
    }
    unsigned n = 64 - s->lead - s->shift;
    uint64_t x = used + n <= 57 ? (w << used) >> (64 - n) : load64(p, pos + used) >> (64 - n);
    s->v ^= x << s->shift;
    return used + n;
}

/* Samples i.. from bit *position on, as long as they start at or before `last`. Returns how many there are now; *bad if
 * a window makes no sense. */
static size_t decode_run(struct decoder *d, const uint8_t *p, size_t *position, size_t last, size_t i, size_t n,
                         int64_t *t, double *v, bool *bad)
{
    struct decoder s = *d;
    size_t pos = *position;
    for (; i < n && pos <= last; i++) {
        uint64_t w = load(p, pos);
        unsigned used = 1;
        if (w >> 63) {
            s.delta += read_dod(p, pos, w, &used);
            s.delta_bits |= s.delta - 1;
            if (UNLIKELY(used == 68)) {
                pos += 68;
                used = 0;
                w = load(p, pos);
            }
        }
        s.t = (int64_t)((uint64_t)s.t + s.delta);
        used = read_value(&s, p, pos, w, used);
        if (UNLIKELY(used == 0)) {
            *bad = true;
            break;
        }
        pos += used;
        t[i] = s.t;
        memcpy(&v[i], &s.v, sizeof v[i]);
    }
    *position = pos;
    *d = s;
    return i;
}

static bool short_chunk(struct err *err)
{
    return err_set(err, ERR_CORRUPT, "chunk ends inside a sample");
}

/* False: the chunk ends inside it. */
static bool read_second_value(struct decoder *d, const uint8_t *p, size_t size, size_t *pos, bool *bad)
{
    if (LIKELY(size > READ_SLACK)) { /* two samples end before the slack does */
        unsigned used = read_value(d, p, *pos, load(p, *pos), 0);
        *bad = used == 0;
        *pos += used;
        return true;
    }
    struct bit_reader r = { .p = p, .bytes = size, .pos = *pos };
    struct xor_column column = { .v = d->v };
    xor_column_read(&column, &r);
    d->v = column.v;
    d->lead = column.lead;
    d->shift = column.trail;
    *pos = r.pos;
    return !r.bad;
}

bool xor_decode(const uint8_t *p, size_t size, int64_t *t, double *v, bool *ascends, struct err *err)
{
    *ascends = false;
    if (size < 2)
        return short_chunk(err);
    size_t n = get_be16(p);
    if (n == 0)
        return true;
    struct cursor c = cursor_of(p + 2, size - 2);
    struct decoder d = { .t = take_varint(&c) };
    d.v = take_be64(&c);
    if (c.bad)
        return short_chunk(err);
    t[0] = d.t;
    memcpy(&v[0], &d.v, sizeof v[0]);
    if (n == 1)
        return true;
    d.delta = take_uvarint(&c); /* the second sample has its own form of time, the rest of it is a value field */
    if (c.bad)
        return short_chunk(err);
    d.delta_bits = d.delta - 1;
    d.t = (int64_t)((uint64_t)d.t + d.delta);
    size_t pos = (size_t)(c.p - p) * 8, i = 2;
    bool bad = false;
    if (!read_second_value(&d, p, size, &pos, &bad))
        return short_chunk(err);
    t[1] = d.t;
    memcpy(&v[1], &d.v, sizeof v[1]);

    if (size > READ_SLACK && !bad)
        i = decode_run(&d, p, &pos, (size - READ_SLACK) * 8, i, n, t, v, &bad);
    if (i < n && !bad) {
        size_t at = pos >> 3;
        if (at >= size)
            return short_chunk(err);
        uint8_t tail[READ_SLACK * 3] = { 0 };
        size_t rest = size - at;
        ASSERT(rest <= READ_SLACK + XOR_SAMPLE_BYTES_MAX);
        memcpy(tail, p + at, rest);
        size_t tail_pos = pos & 7;
        i = decode_run(&d, tail, &tail_pos, rest * 8, i, n, t, v, &bad);
        if (i < n || tail_pos > rest * 8)
            return short_chunk(err);
    }
    *ascends = d.delta_bits <= DELTA_CALM && t[0] <= TIME_CALM && t[0] >= -TIME_CALM;
    return bad ? err_set(err, ERR_CORRUPT, "chunk has a value of no width") : true;
}
