/* Error values. Texts are cut at ERR_TEXT_MAX between two runes, never in the middle of one, since they end up in JSON.
 * System errors are worded as Go words them: "open x: no such file or directory", lower case, no full stop. */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>

/* Drops the bytes of a rune that vsnprintf cut in half at the end of a full text. */
static void trim_cut_rune(char *text, size_t n)
{
    size_t back = 0;
    while (back < 3 && back < n && ((uint8_t)text[n - 1 - back] & 0xC0) == 0x80)
        back++;
    if (back >= n)
        return;
    uint8_t lead = (uint8_t)text[n - 1 - back];
    size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (want > back + 1)
        text[n - 1 - back] = 0;
}

PRINTF_LIKE(3, 0) static void format(char *out, size_t capacity, const char *fmt, va_list ap)
{
    int n = vsnprintf(out, capacity, fmt, ap);
    if (n < 0)
        out[0] = 0;
    else if ((size_t)n >= capacity)
        trim_cut_rune(out, capacity - 1);
}

bool err_vset(struct err *err, enum err_code code, const char *fmt, va_list ap)
{
    ASSERT(code != ERR_NONE);
    char text[ERR_TEXT_MAX]; /* an argument may point into *err */
    format(text, sizeof text, fmt, ap);
    err->code = code;
    err->line = err->column = 0;
    memcpy(err->text, text, strlen(text) + 1);
    return false;
}

bool err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    err_vset(err, code, fmt, ap);
    va_end(ap);
    return false;
}

bool err_set_at(struct err *err, enum err_code code, uint32_t line, uint32_t column, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    err_vset(err, code, fmt, ap);
    va_end(ap);
    err->line = line;
    err->column = column;
    return false;
}

static void prefix(struct err *err, const char *head)
{
    char text[ERR_TEXT_MAX];
    int n = snprintf(text, sizeof text, "%s: %s", head, err->text);
    if (n >= (int)sizeof text)
        trim_cut_rune(text, sizeof text - 1);
    memcpy(err->text, text, strlen(text) + 1);
}

bool err_wrap(struct err *err, const char *fmt, ...)
{
    char head[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    format(head, sizeof head, fmt, ap);
    va_end(ap);
    prefix(err, head);
    return false;
}

static const struct {
    int errnum;
    const char *text;
} errno_texts[] = {
    { E2BIG, "argument list too long" },
    { EACCES, "permission denied" },
    { EADDRINUSE, "address already in use" },
    { EADDRNOTAVAIL, "cannot assign requested address" },
    { EAFNOSUPPORT, "address family not supported by protocol" },
    { EAGAIN, "resource temporarily unavailable" },
    { EALREADY, "operation already in progress" },
    { EBADF, "bad file descriptor" },
    { EBUSY, "device or resource busy" },
    { ECANCELED, "operation canceled" },
    { ECONNABORTED, "software caused connection abort" },
    { ECONNREFUSED, "connection refused" },
    { ECONNRESET, "connection reset by peer" },
    { EDESTADDRREQ, "destination address required" },
    { EDOM, "numerical argument out of domain" },
    { EDQUOT, "disk quota exceeded" },
    { EEXIST, "file exists" },
    { EFAULT, "bad address" },
    { EFBIG, "file too large" },
    { EHOSTUNREACH, "no route to host" },
    { EINPROGRESS, "operation now in progress" },
    { EINTR, "interrupted system call" },
    { EINVAL, "invalid argument" },
    { EIO, "input/output error" },
    { EISCONN, "transport endpoint is already connected" },
    { EISDIR, "is a directory" },
    { ELOOP, "too many levels of symbolic links" },
    { EMFILE, "too many open files" },
    { EMLINK, "too many links" },
    { EMSGSIZE, "message too long" },
    { ENAMETOOLONG, "file name too long" },
    { ENETDOWN, "network is down" },
    { ENETUNREACH, "network is unreachable" },
    { ENFILE, "too many open files in system" },
    { ENOBUFS, "no buffer space available" },
    { ENODEV, "no such device" },
    { ENOENT, "no such file or directory" },
    { ENOLCK, "no locks available" },
    { ENOMEM, "cannot allocate memory" },
    { ENOSPC, "no space left on device" },
    { ENOSYS, "function not implemented" },
    { ENOTCONN, "transport endpoint is not connected" },
    { ENOTDIR, "not a directory" },
    { ENOTEMPTY, "directory not empty" },
    { ENOTSOCK, "socket operation on non-socket" },
    { ENOTSUP, "operation not supported" },
    { ENXIO, "no such device or address" },
    { EPERM, "operation not permitted" },
    { EPIPE, "broken pipe" },
    { EPROTO, "protocol error" },
    { EPROTONOSUPPORT, "protocol not supported" },
    { ERANGE, "numerical result out of range" },
    { EROFS, "read-only file system" },
    { ESPIPE, "illegal seek" },
    { ESRCH, "no such process" },
    { ESTALE, "stale NFS file handle" },
    { ETIMEDOUT, "connection timed out" },
    { ETXTBSY, "text file busy" },
    { EXDEV, "invalid cross-device link" },
};

static const char *errno_text(int errnum)
{
    for (size_t i = 0; i < ARRAY_LEN(errno_texts); i++)
        if (errno_texts[i].errnum == errnum)
            return errno_texts[i].text;
    return NULL;
}

static enum err_code errno_code(int errnum)
{
    switch (errnum) {
    case ENOENT:
        return ERR_NOT_FOUND;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ERR_LIMIT;
    case EEXIST:
        return ERR_CONFLICT;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case ECANCELED:
        return ERR_CANCELLED;
    default:
        return ERR_IO;
    }
}

bool err_errno(struct err *err, int errnum, const char *fmt, ...)
{
    char head[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    format(head, sizeof head, fmt, ap);
    va_end(ap);
    const char *text = errno_text(errnum);
    if (text)
        err_set(err, errno_code(errnum), "%s", text);
    else
        err_set(err, errno_code(errnum), "errno %d", errnum);
    if (head[0])
        prefix(err, head);
    return false;
}

struct str err_text(const struct err *err)
{
    return str_c(err->text);
}

const char *err_code_name(enum err_code code)
{
    static const char *const names[] = {
        [ERR_NONE] = "none",
        [ERR_INVALID] = "invalid",
        [ERR_NOT_FOUND] = "not_found",
        [ERR_CONFLICT] = "conflict",
        [ERR_LIMIT] = "limit",
        [ERR_IO] = "io",
        [ERR_CORRUPT] = "corrupt",
        [ERR_TIMEOUT] = "timeout",
        [ERR_UNAVAILABLE] = "unavailable",
        [ERR_CANCELLED] = "cancelled",
    };
    ASSERT((size_t)code < ARRAY_LEN(names));
    return names[code];
}
