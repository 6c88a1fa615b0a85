/* A growing byte buffer that owns its memory. A NUL is kept past the end, so that buf->p can be handed to C.
 * The limit makes a buffer that is fed from outside safe: appending past it sets `overflow`, drops what does not
 * fit, and every later append is ignored; the caller asks once, at the end. 0 means no limit.
 *
 * Thread: one owner. Zero-initialised is a valid empty buffer: `struct buf b = {0};`. */
#ifndef TOCSIN_BASE_BUF_H
#define TOCSIN_BASE_BUF_H

#include "base/str.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *p;
    size_t n, capacity;
    size_t limit_bytes; /* 0: none */
    bool overflow;
};

void buf_deinit(struct buf *b);
void buf_reset(struct buf *b); /* keeps capacity and limit, clears overflow */
void buf_reserve(struct buf *b, size_t extra);
void buf_truncate(struct buf *b, size_t n);

void buf_append(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, struct str s);
void buf_c(struct buf *b, const char *z);
void buf_byte(struct buf *b, char c);
void buf_fill(struct buf *b, char c, size_t n);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
void buf_u64(struct buf *b, uint64_t v); /* decimal */
void buf_i64(struct buf *b, int64_t v);
void buf_erase_front(struct buf *b, size_t n);

static inline struct str buf_view(const struct buf *b)
{
    return str_of(b->p ? b->p : "", b->n); /* valid until the next change */
}
char *buf_take(struct buf *b, size_t *n); /* the caller owns the bytes (mem_free); b is empty again */

/* Fixed-width integers, for files and packets. */
void buf_be16(struct buf *b, uint16_t v);
void buf_be32(struct buf *b, uint32_t v);
void buf_be64(struct buf *b, uint64_t v);
void buf_le32(struct buf *b, uint32_t v);
void buf_le64(struct buf *b, uint64_t v);

#endif
