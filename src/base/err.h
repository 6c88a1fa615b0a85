/* Errors: one value in the caller's frame, fixed size, so that it works when memory does not. A function that can
 * fail returns bool (or a pointer), takes `struct err *err` last and sets it once; callers add what they know as a
 * prefix, so that the text reads "outer: inner: cause". err is untouched on success.
 *
 * Texts: lower case, no full stop, the offending value quoted. Upstream's own words where clients see them.
 * Log or return, never both. */
#ifndef TOCSIN_BASE_ERR_H
#define TOCSIN_BASE_ERR_H

#include "base/str.h"

#include <stdarg.h>
#include <stdint.h>

enum err_code {
    ERR_NONE = 0,
    ERR_INVALID,     /* the input is wrong */
    ERR_NOT_FOUND,
    ERR_CONFLICT,
    ERR_LIMIT,       /* a bound was reached */
    ERR_IO,          /* the system said no */
    ERR_CORRUPT,     /* a file or a packet is damaged */
    ERR_TIMEOUT,
    ERR_UNAVAILABLE, /* not now */
    ERR_CANCELLED,
};

#define ERR_TEXT_MAX 1024

struct err {
    enum err_code code;
    uint32_t line, column; /* of the input, from 1; 0: unknown */
    char text[ERR_TEXT_MAX];
};

/* Sets code and text; always returns false, so that `return err_set(...)` reads well. */
bool err_set(struct err *err, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
bool err_vset(struct err *err, enum err_code code, const char *fmt, va_list ap) PRINTF_LIKE(3, 0);
/* As err_set with a place in the input. */
bool err_set_at(struct err *err, enum err_code code, uint32_t line, uint32_t column, const char *fmt, ...)
    PRINTF_LIKE(5, 6);
/* Puts "prefix: " before the text that is there; always returns false. */
bool err_wrap(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* From errno: "<formatted>: <strerror in Go's words>", code by errno (ENOENT NOT_FOUND, EEXIST
 * CONFLICT, ENOSPC EDQUOT EFBIG LIMIT, ETIMEDOUT TIMEOUT, ECANCELED CANCELLED, else IO). Returns false. */
bool err_errno(struct err *err, int errnum, const char *fmt, ...) PRINTF_LIKE(3, 4);

struct str err_text(const struct err *err); /* valid as long as *err */
const char *err_code_name(enum err_code code);

#endif
