/* Variable-width fields of chunks.
 *
 * V1  The smallest class that holds a value is used: equal content gives equal bytes on every server.
 * V2  A writer's column starts without a window; a reader's with the whole 64 bits (as upstream's do). */
#include "tsdb/chunkenc/bits_int.h"

const uint8_t varbit_widths[9] = { 0, 3, 6, 9, 12, 18, 25, 56, 64 };

/* k ones and a zero (8 ones for the last class), then the payload. */
static void put_class(struct bit_writer *w, unsigned k, uint64_t payload)
{
    unsigned prefix_bits = k < 8 ? k + 1 : 8;
    uint64_t prefix = k < 8 ? ((UINT64_C(1) << k) - 1) << 1 : 0xff;
    bit_writer_put(w, prefix, prefix_bits);
    if (varbit_widths[k])
        bit_writer_put(w, payload, varbit_widths[k]);
}

void bit_writer_varbit_int(struct bit_writer *w, int64_t v)
{
    unsigned k = 0;
    if (v != 0) {
        for (k = 1; k < 8 && !bits_fit(v, varbit_widths[k]); k++)
            ;
    }
    put_class(w, k, (uint64_t)v);
}

void bit_writer_varbit_uint(struct bit_writer *w, uint64_t v)
{
    unsigned k = 0;
    if (v != 0) {
        for (k = 1; k < 8 && v >> varbit_widths[k] != 0; k++)
            ;
    }
    put_class(w, k, v);
}

void xor_column_write(struct xor_column *c, struct bit_writer *w, uint64_t v)
{
    uint64_t x = v ^ c->v;
    c->v = v;
    if (x == 0) {
        bit_writer_put(w, 0, 1);
        return;
    }
    unsigned lead = (unsigned)__builtin_clzll(x), trail = (unsigned)__builtin_ctzll(x);
    if (lead > 31)
        lead = 31;
    if (c->lead != XOR_NO_WINDOW && lead >= c->lead && trail >= c->trail) {
        bit_writer_put(w, 2, 2);
        bit_writer_put(w, x >> c->trail, 64u - c->lead - c->trail);
        return;
    }
    unsigned meaningful = 64 - lead - trail;
    c->lead = (uint8_t)lead;
    c->trail = (uint8_t)trail;
    bit_writer_put(w, 3u << 11 | lead << 6 | (meaningful & 63), 13);
    bit_writer_put(w, x >> trail, meaningful);
}

void xor_column_read(struct xor_column *c, struct bit_reader *r)
{
    if (!bit_reader_take(r, 1))
        return;
    if (bit_reader_take(r, 1)) {
        unsigned lead = (unsigned)bit_reader_take(r, 5), meaningful = (unsigned)bit_reader_take(r, 6);
        if (meaningful == 0)
            meaningful = 64;
        if (lead + meaningful > 64) {
            r->bad = true;
            return;
        }
        c->lead = (uint8_t)lead;
        c->trail = (uint8_t)(64 - lead - meaningful);
    }
    unsigned n = 64u - c->lead - c->trail;
    c->v ^= bit_reader_take(r, n) << c->trail;
}
