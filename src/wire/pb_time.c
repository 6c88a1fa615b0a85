/* Timestamps: see pb_time.h. */
#include "wire/pb_time.h"

static const int64_t SECONDS_MIN = -62135596800; /* 0001-01-01 */
static const int64_t SECONDS_MAX = 253402300799; /* 9999-12-31T23:59:59 */

bool pb_read_time(struct str message, struct wire_time *t)
{
    struct pb_reader r;
    struct pb_field f;
    int64_t s = 0, ns = 0;
    pb_reader_init(&r, message);
    while (pb_next(&r, &f)) {
        if (f.type != PB_VARINT)
            continue;
        if (f.number == 1)
            s = pb_i64(&f);
        else if (f.number == 2)
            ns = (int32_t)pb_i64(&f);
    }
    if (r.failed)
        return false;
    s = s < SECONDS_MIN ? SECONDS_MIN : s > SECONDS_MAX ? SECONDS_MAX : s;
    int64_t carry = ns / 1000000000;
    ns %= 1000000000;
    if (ns < 0) {
        ns += 1000000000;
        carry--;
    }
    *t = (struct wire_time){ s + carry, (int32_t)ns };
    return true;
}

void pb_write_time(struct buf *b, uint32_t number, struct wire_time t)
{
    size_t mark = pb_begin(b, number);
    if (t.s)
        pb_write_i64(b, 1, t.s);
    if (t.ns)
        pb_write_i64(b, 2, t.ns);
    pb_end(b, mark);
}
