/* The growing buffer.
 *
 * B1  capacity == 0 and p == NULL, or capacity > n and p[n] == 0: one byte past the content is always the NUL.
 * B2  overflow is sticky until buf_reset(); while it is set nothing is appended, so what is there is a whole prefix
 *     of what was asked for, cut between two appends. */
#include "base/buf.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "base/num.h"

#include <stdio.h>

void buf_deinit(struct buf *b)
{
    mem_free(b->p);
    *b = (struct buf){ .limit_bytes = b->limit_bytes };
}

void buf_reset(struct buf *b)
{
    b->n = 0;
    b->overflow = false;
    if (b->p)
        b->p[0] = 0;
}

/* Room for `extra` more bytes and the NUL; false if the limit forbids it. */
static bool make_room(struct buf *b, size_t extra)
{
    if (UNLIKELY(b->overflow))
        return false;
    size_t need;
    if (__builtin_add_overflow(b->n, extra, &need) || (b->limit_bytes && need > b->limit_bytes)) {
        b->overflow = true;
        return false;
    }
    if (UNLIKELY(need >= b->capacity)) {
        b->capacity = mem_grow(b->capacity < 56 ? 28 : b->capacity, need + 1);
        b->p = mem_realloc(b->p, b->capacity);
    }
    return true;
}

void buf_reserve(struct buf *b, size_t extra)
{
    size_t need;
    ASSERT(!__builtin_add_overflow(b->n, extra, &need));
    if (need < b->capacity)
        return;
    b->capacity = mem_grow(b->capacity, need + 1);
    b->p = mem_realloc(b->p, b->capacity);
    b->p[b->n] = 0;
}

void buf_truncate(struct buf *b, size_t n)
{
    ASSERT(n <= b->n);
    b->n = n;
    if (b->p)
        b->p[n] = 0;
}

void buf_append(struct buf *b, const void *p, size_t n)
{
    /* Short pieces that fit are what a writer mostly has. A limit of 0 becomes the largest one. */
    size_t need = b->n + n;
    if (LIKELY(n && n < b->capacity - b->n && need - 1 <= b->limit_bytes - 1 && !b->overflow)) {
        memcpy(b->p + b->n, p, n);
    } else {
        if (n == 0 || !make_room(b, n))
            return;
        memcpy(b->p + b->n, p, n);
    }
    b->n = need;
    b->p[need] = 0;
}

void buf_str(struct buf *b, struct str s)
{
    buf_append(b, s.p, s.n);
}

void buf_c(struct buf *b, const char *z)
{
    if (z)
        buf_append(b, z, strlen(z));
}

void buf_byte(struct buf *b, char c)
{
    if (!make_room(b, 1))
        return;
    b->p[b->n++] = c;
    b->p[b->n] = 0;
}

void buf_fill(struct buf *b, char c, size_t n)
{
    if (n == 0 || !make_room(b, n))
        return;
    memset(b->p + b->n, c, n);
    b->n += n;
    b->p[b->n] = 0;
}

void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    char small[256];
    int n = vsnprintf(small, sizeof small, fmt, ap);
    ASSERT(n >= 0);
    if ((size_t)n < sizeof small) {
        buf_append(b, small, (size_t)n);
    } else if (make_room(b, (size_t)n)) {
        vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(b, fmt, ap);
    va_end(ap);
}

void buf_u64(struct buf *b, uint64_t v)
{
    char digits[20];
    buf_append(b, digits, (size_t)(num_put_u64(digits, v) - digits));
}

void buf_i64(struct buf *b, int64_t v)
{
    if (v < 0)
        buf_byte(b, '-');
    buf_u64(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void buf_erase_front(struct buf *b, size_t n)
{
    ASSERT(n <= b->n);
    if (n == 0)
        return;
    b->n -= n;
    memmove(b->p, b->p + n, b->n + 1);
}

char *buf_take(struct buf *b, size_t *n)
{
    char *p = b->p ? b->p : mem_alloc(1);
    if (n)
        *n = b->n;
    *b = (struct buf){ .limit_bytes = b->limit_bytes };
    return p;
}

void buf_be16(struct buf *b, uint16_t v)
{
    char raw[sizeof v];
    put_be16(raw, v);
    buf_append(b, raw, sizeof raw);
}

void buf_be32(struct buf *b, uint32_t v)
{
    char raw[sizeof v];
    put_be32(raw, v);
    buf_append(b, raw, sizeof raw);
}

void buf_be64(struct buf *b, uint64_t v)
{
    char raw[sizeof v];
    put_be64(raw, v);
    buf_append(b, raw, sizeof raw);
}

void buf_le32(struct buf *b, uint32_t v)
{
    buf_append(b, &v, sizeof v);
}

void buf_le64(struct buf *b, uint64_t v)
{
    buf_append(b, &v, sizeof v);
}
