/* The protobuf cursor. Every step consumes at least one byte and stays within the message, so a walk ends. Groups (which
 * none of our formats use, but a newer peer might) are passed over with an explicit depth instead of recursion. */
#include "wire/pb.h"

#include "base/bytes.h"
#include "wire/varint.h"

enum { GROUP_DEPTH_MAX = 64 };

static const uint32_t FIELD_MAX = (1u << 29) - 1;

void pb_reader_init(struct pb_reader *r, struct str message)
{
    *r = (struct pb_reader){ .rest = message };
}

static bool fail(struct pb_reader *r)
{
    r->failed = true;
    return false;
}

/* Tag and value; for a group only its tag. */
static bool read_field(struct pb_reader *r, struct pb_field *f)
{
    uint64_t tag, length;
    if (!uvarint_take(&r->rest, &tag) || tag >> 3 == 0 || tag >> 3 > FIELD_MAX)
        return fail(r);
    f->number = (uint32_t)(tag >> 3);
    f->type = (enum pb_type)(tag & 7);
    f->value = 0;
    f->bytes = STR_EMPTY;
    switch ((unsigned)(tag & 7)) {
    case PB_VARINT:
        return uvarint_take(&r->rest, &f->value) || fail(r);
    case PB_I64:
        if (r->rest.n < 8)
            return fail(r);
        f->value = get_le64(r->rest.p);
        r->rest = str_from(r->rest, 8);
        return true;
    case PB_I32:
        if (r->rest.n < 4)
            return fail(r);
        f->value = get_le32(r->rest.p);
        r->rest = str_from(r->rest, 4);
        return true;
    case PB_LEN:
        if (!uvarint_take(&r->rest, &length) || length > r->rest.n)
            return fail(r);
        f->bytes = str_of(r->rest.p, (size_t)length);
        r->rest = str_from(r->rest, (size_t)length);
        return true;
    case PB_GROUP:
    case PB_GROUP_END:
        return true;
    default:
        return fail(r);
    }
}

static bool skip_group(struct pb_reader *r, uint32_t number)
{
    uint32_t open[GROUP_DEPTH_MAX] = { number };
    int depth = 1;
    while (depth > 0) {
        struct pb_field f;
        if (!read_field(r, &f))
            return false;
        if (f.type == PB_GROUP) {
            if (depth == GROUP_DEPTH_MAX)
                return fail(r);
            open[depth++] = f.number;
        } else if (f.type == PB_GROUP_END && open[--depth] != f.number) {
            return fail(r);
        }
    }
    return true;
}

bool pb_next(struct pb_reader *r, struct pb_field *f)
{
    while (!r->failed && r->rest.n > 0) {
        if (!read_field(r, f))
            return false;
        if (f->type == PB_GROUP_END)
            return fail(r);
        if (f->type != PB_GROUP)
            return true;
        if (!skip_group(r, f->number))
            return false;
    }
    return false;
}

double pb_f64(const struct pb_field *f)
{
    double v;
    memcpy(&v, &f->value, sizeof v);
    return v;
}

float pb_f32(const struct pb_field *f)
{
    uint32_t bits = (uint32_t)f->value;
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

bool pb_packed_varint(struct str *packed, uint64_t *v, bool *failed)
{
    if (packed->n == 0)
        return false;
    if (uvarint_take(packed, v))
        return true;
    *failed = true;
    return false;
}

bool pb_packed_f64(struct str *packed, double *v, bool *failed)
{
    if (packed->n == 0)
        return false;
    if (packed->n < sizeof *v) {
        *failed = true;
        return false;
    }
    memcpy(v, packed->p, sizeof *v);
    *packed = str_from(*packed, sizeof *v);
    return true;
}

/* Writer */

void pb_write_tag(struct buf *b, uint32_t number, enum pb_type type)
{
    ASSERT(number > 0 && number <= FIELD_MAX);
    uvarint_write(b, (uint64_t)number << 3 | (unsigned)type);
}

void pb_write_u64(struct buf *b, uint32_t number, uint64_t v)
{
    pb_write_tag(b, number, PB_VARINT);
    uvarint_write(b, v);
}

void pb_write_i64(struct buf *b, uint32_t number, int64_t v)
{
    pb_write_u64(b, number, (uint64_t)v);
}

void pb_write_s64(struct buf *b, uint32_t number, int64_t v)
{
    pb_write_u64(b, number, zigzag_encode(v));
}

void pb_write_bool(struct buf *b, uint32_t number, bool v)
{
    pb_write_u64(b, number, v);
}

void pb_write_fixed64(struct buf *b, uint32_t number, uint64_t v)
{
    pb_write_tag(b, number, PB_I64);
    buf_le64(b, v);
}

void pb_write_fixed32(struct buf *b, uint32_t number, uint32_t v)
{
    pb_write_tag(b, number, PB_I32);
    buf_le32(b, v);
}

void pb_write_f64(struct buf *b, uint32_t number, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    pb_write_fixed64(b, number, bits);
}

void pb_write_str(struct buf *b, uint32_t number, struct str s)
{
    pb_write_tag(b, number, PB_LEN);
    uvarint_write(b, s.n);
    buf_str(b, s);
}

/* One byte is kept free for the length, which suffices for most; a longer one moves the content. */
size_t pb_begin_delimited(struct buf *b)
{
    buf_byte(b, 0);
    return b->n;
}

size_t pb_begin(struct buf *b, uint32_t number)
{
    pb_write_tag(b, number, PB_LEN);
    return pb_begin_delimited(b);
}

void pb_end(struct buf *b, size_t mark)
{
    if (b->overflow)
        return;
    ASSERT(mark > 0 && mark <= b->n);
    uint8_t length[VARINT_BYTES_MAX];
    size_t content = b->n - mark;
    size_t n = uvarint_put(length, content);
    if (n > 1) {
        buf_fill(b, 0, n - 1);
        if (b->overflow)
            return;
        memmove(b->p + mark + n - 1, b->p + mark, content);
    }
    memcpy(b->p + mark - 1, length, n);
}

bool pb_delimited(struct str *s, struct str *message, bool *failed)
{
    if (s->n == 0)
        return false;
    struct str rest = *s;
    uint64_t length;
    if (!uvarint_take(&rest, &length) || length > rest.n) {
        *failed = true;
        return false;
    }
    *message = str_of(rest.p, (size_t)length);
    *s = str_from(rest, (size_t)length);
    return true;
}
