/* XOR2 chunks (encoding 4) of newer servers: read only, because the released ones refuse it. Joint prefixes for time and
 * value, stale markers in five bits, and start timestamps, which are read past and dropped.
 *
 * Y1  A stale marker is no base of later XORs: the value before it stays the base (0 bits if there was none), and
 *     "unchanged" means unchanged from the base. */
#include "tsdb/chunkenc/xor_int.h"

#include "model/sample.h"
#include "tsdb/chunkenc/bits_int.h"

struct xor2 {
    struct bit_reader r;
    struct xor_column base;
    int64_t t;
    uint64_t delta, v;
};

static void read_window(struct xor2 *x)
{
    unsigned lead = (unsigned)bit_reader_take(&x->r, 5), n = (unsigned)bit_reader_take(&x->r, 6);
    n = n ? n : 64;
    if (lead + n > 64) {
        x->r.bad = true;
        return;
    }
    x->base.lead = (uint8_t)lead;
    x->base.trail = (uint8_t)(64 - lead - n);
}

static void read_payload(struct xor2 *x)
{
    x->base.v ^= bit_reader_take(&x->r, 64u - x->base.lead - x->base.trail) << x->base.trail;
    x->v = x->base.v;
}

/* 0 unchanged, 10 in the window, 110 new window, 111 stale. */
static void read_value(struct xor2 *x)
{
    if (!bit_reader_take(&x->r, 1)) {
        x->v = x->base.v;
    } else if (!bit_reader_take(&x->r, 1)) {
        read_payload(x);
    } else if (!bit_reader_take(&x->r, 1)) {
        read_window(x);
        read_payload(x);
    } else {
        x->v = STALE_NAN_BITS;
    }
}

static void read_joint(struct xor2 *x)
{
    unsigned ones = 0;
    while (ones < 5 && bit_reader_take(&x->r, 1))
        ones++;
    switch (ones) {
    case 0:
        x->v = x->base.v;
        break;
    case 1:
        if (bit_reader_take(&x->r, 1))
            read_window(x);
        read_payload(x);
        break;
    case 2: {
        uint64_t d = bit_reader_take(&x->r, 13);
        x->delta += d >= 4096 ? d - 8192 : d;
        read_value(x);
        break;
    }
    case 3: {
        uint64_t d = bit_reader_take(&x->r, 20);
        x->delta += d >= 1u << 19 ? d - (1u << 20) : d;
        read_value(x);
        break;
    }
    case 4:
        x->delta += bit_reader_take(&x->r, 64);
        read_value(x);
        break;
    default:
        x->v = STALE_NAN_BITS;
    }
    x->t = (int64_t)((uint64_t)x->t + x->delta);
}

bool xor2_decode(const uint8_t *p, size_t size, int64_t *t, double *v, struct err *err)
{
    if (size < 3)
        return err_set(err, ERR_CORRUPT, "chunk ends inside a sample");
    size_t n = get_be16(p);
    unsigned first_st = p[2] & 0x7f;
    struct xor2 x = { .r = { .p = p, .bytes = size, .pos = 24 } };
    for (size_t i = 0; i < n && !x.r.bad; i++) {
        if (i == 0) {
            x.t = bit_reader_varint(&x.r);
            x.v = bit_reader_take(&x.r, 64);
            x.base.v = x.v == STALE_NAN_BITS ? 0 : x.v;
            if (p[2] & 0x80)
                bit_reader_varint(&x.r);
        } else if (i == 1) {
            x.delta = bit_reader_uvarint(&x.r);
            x.t = (int64_t)((uint64_t)x.t + x.delta);
            read_value(&x);
        } else {
            read_joint(&x);
        }
        if (i > 0 && first_st && i >= first_st)
            bit_reader_varbit_int(&x.r);
        t[i] = x.t;
        v[i] = f64_from_bits(x.v);
    }
    return x.r.bad ? err_set(err, ERR_CORRUPT, "chunk ends inside a sample") : true;
}
