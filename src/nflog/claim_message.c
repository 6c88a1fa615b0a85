/* Batches of claims: bytes.
 *
 *     batch = u8 version (1) | name holder | message*
 *     message = u8 kind | le64 key | uvarint round | TAKE: time
 *                                                  | PASS: name origin
 *                                                  | ASK: time | uvarint serial
 *                                                  | YES: uvarint serial
 *     time = uvarint seconds since the year 1 | uvarint nanoseconds
 *     name = uvarint n | n bytes; an origin of no bytes is the one of the PASS before it
 *
 * A batch that was cut or damaged is read up to the damage: each message stands for itself. */
#include "nflog/claim_message.h"

#include "base/bytes.h"
#include "wire/varint.h"

enum { VERSION = 1, MESSAGE_BYTES_MAX = 64 + 2 + CLAIM_NAME_MAX, NS_PER_S = 1000000000 };

uint64_t claim_key(struct str nflog_key)
{
    /* FNV-1a: the same on every node, unlike str_hash(). */
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < nflog_key.n; i++)
        h = (h ^ (uint8_t)nflog_key.p[i]) * 1099511628211u;
    return h;
}

/* ---- Writing ---- */

static void write_name(struct buf *out, struct str name)
{
    ASSERT(name.n <= CLAIM_NAME_MAX);
    uvarint_write(out, name.n);
    buf_str(out, name);
}

static void write_origin(struct claim_batch *b, struct str origin)
{
    if (origin.n == b->origin_n && str_eq(origin, str_of(b->bytes.p + b->origin_at, b->origin_n))) {
        write_name(&b->bytes, STR_EMPTY);
        return;
    }
    write_name(&b->bytes, origin);
    b->origin_n = origin.n;
    b->origin_at = b->bytes.n - origin.n;
}

static void write_time(struct buf *out, struct wire_time t)
{
    uvarint_write(out, (uint64_t)t.s - (uint64_t)WIRE_TIME_ZERO.s);
    uvarint_write(out, (uint64_t)t.ns);
}

bool claim_batch_add(struct claim_batch *b, const struct claim_message *m)
{
    if (b->bytes.n > CLAIM_BYTES_MAX - MESSAGE_BYTES_MAX)
        return false;
    if (b->bytes.n == 0) {
        ASSERT(m->holder.n > 0);
        buf_byte(&b->bytes, VERSION);
        write_name(&b->bytes, m->holder);
    }
    buf_byte(&b->bytes, (char)m->kind);
    buf_le64(&b->bytes, m->key);
    uvarint_write(&b->bytes, m->round);
    switch (m->kind) {
    case CLAIM_TAKE:
        write_time(&b->bytes, m->seen);
        break;
    case CLAIM_FAIL:
        break;
    case CLAIM_PASS:
        ASSERT(m->origin.n > 0);
        write_origin(b, m->origin);
        break;
    case CLAIM_ASK:
        write_time(&b->bytes, m->seen);
        uvarint_write(&b->bytes, m->serial);
        break;
    case CLAIM_YES:
        uvarint_write(&b->bytes, m->serial);
        break;
    }
    return true;
}

void claim_batch_reset(struct claim_batch *b)
{
    buf_reset(&b->bytes);
    b->origin_at = b->origin_n = 0;
}

void claim_batch_deinit(struct claim_batch *b)
{
    buf_deinit(&b->bytes);
    *b = (struct claim_batch){ 0 };
}

/* ---- Reading ---- */

static bool take_name(struct str *rest, struct str *name)
{
    uint64_t n;
    if (!uvarint_take(rest, &n) || n > CLAIM_NAME_MAX || n > rest->n)
        return false;
    *name = str_sub(*rest, 0, (size_t)n);
    *rest = str_from(*rest, (size_t)n);
    return true;
}

static bool take_u32(struct str *rest, uint32_t max, uint32_t *v)
{
    uint64_t n;
    if (!uvarint_take(rest, &n) || n > max)
        return false;
    *v = (uint32_t)n;
    return true;
}

static bool take_time(struct str *rest, struct wire_time *t)
{
    uint64_t s;
    uint32_t ns;
    if (!uvarint_take(rest, &s) || !take_u32(rest, NS_PER_S - 1, &ns))
        return false;
    *t = (struct wire_time){ (int64_t)(s + (uint64_t)WIRE_TIME_ZERO.s), (int32_t)ns };
    return true;
}

void claim_reader_init(struct claim_reader *r, struct str bytes)
{
    *r = (struct claim_reader){ .rest = bytes, .holder = STR_EMPTY, .origin = STR_EMPTY };
    r->failed = bytes.n == 0 || bytes.n > CLAIM_BYTES_MAX || bytes.p[0] != VERSION;
    if (r->failed)
        return;
    r->rest = str_from(bytes, 1);
    r->failed = !take_name(&r->rest, &r->holder) || r->holder.n == 0;
}

static bool take_more(struct claim_reader *r, struct claim_message *m)
{
    struct str origin;
    switch (m->kind) {
    case CLAIM_TAKE:
        return take_time(&r->rest, &m->seen);
    case CLAIM_FAIL:
        return true;
    case CLAIM_PASS:
        if (!take_name(&r->rest, &origin))
            return false;
        r->origin = origin.n ? origin : r->origin;
        m->origin = r->origin;
        return m->origin.n > 0;
    case CLAIM_ASK:
        return take_time(&r->rest, &m->seen) && take_u32(&r->rest, UINT32_MAX, &m->serial);
    case CLAIM_YES:
        return take_u32(&r->rest, UINT32_MAX, &m->serial);
    }
    return false;
}

bool claim_reader_next(struct claim_reader *r, struct claim_message *m)
{
    enum { HEAD_BYTES = 9 };
    if (r->failed || r->rest.n == 0)
        return false;
    r->failed = r->rest.n < HEAD_BYTES || r->rest.p[0] < CLAIM_TAKE || r->rest.p[0] > CLAIM_YES;
    if (r->failed)
        return false;
    *m = (struct claim_message){ .kind = (enum claim_kind)r->rest.p[0], .key = get_le64(r->rest.p + 1),
                                 .holder = r->holder, .origin = STR_EMPTY, .seen = WIRE_TIME_ZERO };
    r->rest = str_from(r->rest, HEAD_BYTES);
    r->failed = !take_u32(&r->rest, CLAIM_ROUND_MAX, &m->round) || !take_more(r, m);
    return !r->failed;
}
