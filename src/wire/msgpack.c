/* The msgpack cursor. Each read takes at least the type byte; lengths are checked against what is left before they are
 * believed, so a map or array cannot claim more pairs or items than there are bytes for. */
#include "wire/msgpack.h"

#include "base/bytes.h"
#include "base/mem.h"

enum {
    NIL = 0xC0,
    FALSE_ = 0xC2,
    TRUE_ = 0xC3,
    BIN8 = 0xC4,
    BIN16,
    BIN32,
    EXT8 = 0xC7,
    EXT16,
    EXT32,
    FLOAT32 = 0xCA,
    FLOAT64,
    UINT8 = 0xCC,
    UINT16,
    UINT32,
    UINT64,
    INT8 = 0xD0,
    INT16,
    INT32,
    INT64,
    FIXEXT1 = 0xD4,
    FIXEXT16 = 0xD8,
    STR8 = 0xD9,
    RAW16,
    RAW32,
    ARRAY16 = 0xDC,
    ARRAY32,
    MAP16 = 0xDE,
    MAP32,
};

void msgpack_reader_init(struct msgpack_reader *r, struct str text)
{
    *r = (struct msgpack_reader){ .rest = text };
}

static bool fail(struct msgpack_reader *r)
{
    r->failed = true;
    return false;
}

static bool take_type(struct msgpack_reader *r, uint8_t *type)
{
    if (r->failed || r->rest.n == 0)
        return fail(r);
    *type = (uint8_t)r->rest.p[0];
    r->rest = str_from(r->rest, 1);
    return true;
}

/* A big-endian number of 1, 2, 4 or 8 bytes. */
static bool take_be(struct msgpack_reader *r, size_t bytes, uint64_t *v)
{
    if (r->rest.n < bytes)
        return fail(r);
    uint64_t sum = 0;
    for (size_t i = 0; i < bytes; i++)
        sum = sum << 8 | (uint8_t)r->rest.p[i];
    r->rest = str_from(r->rest, bytes);
    *v = sum;
    return true;
}

static bool take_bytes(struct msgpack_reader *r, uint64_t n, struct str *s)
{
    if (n > r->rest.n)
        return fail(r);
    *s = str_of(r->rest.p, (size_t)n);
    r->rest = str_from(r->rest, (size_t)n);
    return true;
}

/* Pairs or items that follow; each takes at least `bytes_each`. */
static size_t bounded_count(struct msgpack_reader *r, uint64_t count, size_t bytes_each)
{
    if (count > r->rest.n / bytes_each) {
        fail(r);
        return 0;
    }
    return (size_t)count;
}

size_t msgpack_map(struct msgpack_reader *r)
{
    uint8_t type;
    uint64_t count = 0;
    if (!take_type(r, &type) || type == NIL)
        return 0;
    if (type >= 0x80 && type <= 0x8F)
        count = type & 0x0F;
    else if (type != MAP16 && type != MAP32)
        fail(r);
    else if (!take_be(r, type == MAP16 ? 2 : 4, &count))
        return 0;
    return bounded_count(r, count, 2);
}

size_t msgpack_array(struct msgpack_reader *r)
{
    uint8_t type;
    uint64_t count = 0;
    if (!take_type(r, &type) || type == NIL)
        return 0;
    if (type >= 0x90 && type <= 0x9F)
        count = type & 0x0F;
    else if (type != ARRAY16 && type != ARRAY32)
        fail(r);
    else if (!take_be(r, type == ARRAY16 ? 2 : 4, &count))
        return 0;
    return bounded_count(r, count, 1);
}

/* Is it a type of the string and bytes families, and how many bytes is its length field? */
static bool length_field(uint8_t type, size_t *bytes)
{
    switch (type) {
    case STR8:
    case BIN8: *bytes = 1; return true;
    case RAW16:
    case BIN16: *bytes = 2; return true;
    case RAW32:
    case BIN32: *bytes = 4; return true;
    default: return false;
    }
}

bool msgpack_str(struct msgpack_reader *r, struct str *s)
{
    uint8_t type;
    if (!take_type(r, &type))
        return false;
    if (type >= 0xA0 && type <= 0xBF)
        return take_bytes(r, type & 0x1F, s);
    if (type == NIL) {
        *s = str_of(NULL, 0);
        return true;
    }
    size_t field;
    uint64_t n;
    return length_field(type, &field) ? take_be(r, field, &n) && take_bytes(r, n, s) : fail(r);
}

static int64_t sign_extend(uint64_t v, size_t bytes)
{
    unsigned shift = 64 - 8 * (unsigned)bytes;
    return (int64_t)(v << shift) >> shift;
}

/* Any integer: its bits, and whether they are those of a negative number. */
static bool take_integer(struct msgpack_reader *r, uint64_t *v, bool *negative)
{
    uint8_t type;
    *negative = false;
    if (!take_type(r, &type))
        return false;
    if (type <= 0x7F || type >= 0xE0) {
        *v = (uint64_t)(int64_t)(int8_t)type;
        *negative = type >= 0xE0;
        return true;
    }
    if (type >= UINT8 && type <= UINT64)
        return take_be(r, (size_t)1 << (type - UINT8), v);
    if (type < INT8 || type > INT64)
        return fail(r);
    size_t bytes = (size_t)1 << (type - INT8);
    if (!take_be(r, bytes, v))
        return false;
    int64_t extended = sign_extend(*v, bytes);
    *v = (uint64_t)extended;
    *negative = extended < 0;
    return true;
}

bool msgpack_u64(struct msgpack_reader *r, uint64_t max, uint64_t *v)
{
    uint64_t got;
    bool negative;
    if (!take_integer(r, &got, &negative))
        return false;
    if (negative || got > max)
        return fail(r);
    *v = got;
    return true;
}

bool msgpack_i64(struct msgpack_reader *r, int64_t *v)
{
    uint64_t got;
    bool negative;
    if (!take_integer(r, &got, &negative))
        return false;
    if (!negative && got > INT64_MAX)
        return fail(r);
    *v = (int64_t)got;
    return true;
}

bool msgpack_bool(struct msgpack_reader *r, bool *v)
{
    uint8_t type;
    if (!take_type(r, &type))
        return false;
    if (type != TRUE_ && type != FALSE_ && type > 1)
        return fail(r);
    *v = type == TRUE_ || type == 1;
    return true;
}

/* Bytes of content of a type that holds no other values; false if it does, or is none. */
static bool scalar_bytes(struct msgpack_reader *r, uint8_t type, uint64_t *n)
{
    size_t field;
    *n = 0;
    if (type <= 0x7F || type >= 0xE0 || type == NIL || type == FALSE_ || type == TRUE_)
        return true;
    if (type >= 0xA0 && type <= 0xBF)
        *n = type & 0x1F;
    else if (length_field(type, &field))
        return take_be(r, field, n);
    else if (type >= EXT8 && type <= EXT32) {
        if (!take_be(r, (size_t)1 << (type - EXT8), n))
            return false;
        *n += 1;
    } else if (type == FLOAT32 || type == FLOAT64)
        *n = type == FLOAT32 ? 4 : 8;
    else if (type >= UINT8 && type <= UINT64)
        *n = (uint64_t)1 << (type - UINT8);
    else if (type >= INT8 && type <= INT64)
        *n = (uint64_t)1 << (type - INT8);
    else if (type >= FIXEXT1 && type <= FIXEXT16)
        *n = ((uint64_t)1 << (type - FIXEXT1)) + 1;
    else
        return fail(r);
    return true;
}

static bool is_container(uint8_t type)
{
    return (type >= 0x80 && type <= 0x9F) || (type >= ARRAY16 && type <= MAP32);
}

static bool is_map(uint8_t type)
{
    return (type >= 0x80 && type <= 0x8F) || type == MAP16 || type == MAP32;
}

bool msgpack_skip(struct msgpack_reader *r)
{
    size_t left[MSGPACK_DEPTH_MAX] = { 1 }; /* values still to come, per open container */
    int depth = 0;
    while (depth >= 0) {
        if (left[depth] == 0) {
            depth--;
            continue;
        }
        left[depth]--;
        if (r->failed || r->rest.n == 0)
            return fail(r);
        uint8_t type = (uint8_t)r->rest.p[0];
        if (is_container(type)) {
            if (++depth == MSGPACK_DEPTH_MAX)
                return fail(r);
            left[depth] = is_map(type) ? 2 * msgpack_map(r) : msgpack_array(r);
            if (r->failed)
                return false;
            continue;
        }
        uint64_t n;
        struct str ignored;
        r->rest = str_from(r->rest, 1);
        if (!scalar_bytes(r, type, &n) || !take_bytes(r, n, &ignored))
            return false;
    }
    return true;
}

/* Writer */

static void write_type(struct buf *b, unsigned type)
{
    buf_byte(b, (char)type);
}

void msgpack_write_map(struct buf *b, uint32_t pairs)
{
    if (pairs < 16) {
        write_type(b, 0x80 | pairs);
    } else if (pairs <= UINT16_MAX) {
        write_type(b, MAP16);
        buf_be16(b, (uint16_t)pairs);
    } else {
        write_type(b, MAP32);
        buf_be32(b, pairs);
    }
}

void msgpack_write_array(struct buf *b, uint32_t count)
{
    if (count < 16) {
        write_type(b, 0x90 | count);
    } else if (count <= UINT16_MAX) {
        write_type(b, ARRAY16);
        buf_be16(b, (uint16_t)count);
    } else {
        write_type(b, ARRAY32);
        buf_be32(b, count);
    }
}

void msgpack_write_str(struct buf *b, struct str s)
{
    if (s.n < 32) {
        write_type(b, 0xA0 | (unsigned)s.n);
    } else if (s.n <= UINT16_MAX) {
        write_type(b, RAW16);
        buf_be16(b, (uint16_t)s.n);
    } else {
        write_type(b, RAW32);
        buf_be32(b, u32_from_size(s.n));
    }
    buf_str(b, s);
}

void msgpack_write_u64(struct buf *b, uint64_t v)
{
    if (v <= 0x7F) {
        write_type(b, (unsigned)v);
    } else if (v <= UINT8_MAX) {
        write_type(b, UINT8);
        write_type(b, (unsigned)v);
    } else if (v <= UINT16_MAX) {
        write_type(b, UINT16);
        buf_be16(b, (uint16_t)v);
    } else if (v <= UINT32_MAX) {
        write_type(b, UINT32);
        buf_be32(b, (uint32_t)v);
    } else {
        write_type(b, UINT64);
        buf_be64(b, v);
    }
}

void msgpack_write_i64(struct buf *b, int64_t v)
{
    if (v >= 0) {
        msgpack_write_u64(b, (uint64_t)v);
    } else if (v >= -32) {
        write_type(b, (unsigned)(uint8_t)v);
    } else if (v >= INT8_MIN) {
        write_type(b, INT8);
        write_type(b, (unsigned)(uint8_t)v);
    } else if (v >= INT16_MIN) {
        write_type(b, INT16);
        buf_be16(b, (uint16_t)v);
    } else if (v >= INT32_MIN) {
        write_type(b, INT32);
        buf_be32(b, (uint32_t)v);
    } else {
        write_type(b, INT64);
        buf_be64(b, (uint64_t)v);
    }
}

void msgpack_write_bool(struct buf *b, bool v)
{
    write_type(b, v ? TRUE_ : FALSE_);
}

void msgpack_write_nil(struct buf *b)
{
    write_type(b, NIL);
}
