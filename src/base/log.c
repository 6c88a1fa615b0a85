/* Log lines in the two forms of Go's slog, with prometheus/common/promslog's choices: UTC times (milliseconds in text,
 * nanoseconds in JSON), source as file:line without folders, durations as Go prints them.
 *
 * L1  One line, one write(2): lines of several threads do not mix (pipes: up to PIPE_BUF; files: opened for append).
 * L2  No allocation: the line lives in LINE_BYTES_MAX of stack, through a buf whose limit keeps it from growing. A
 *     value past VALUE_BYTES_MAX is cut; a field that no longer fits is left out, the line stays well formed. */
#include "base/log.h"

#include "base/buf.h"
#include "base/num.h"
#include "base/utf8.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 16384, VALUE_BYTES_MAX = 4096 };

static _Atomic int log_level_now = LOG_INFO;
static _Atomic int log_format_now = LOG_LOGFMT;
static _Atomic int log_fd = 2;
static struct wire_time (*_Atomic log_clock)(void);

void log_configure(enum log_level level, enum log_format format)
{
    atomic_store_explicit(&log_level_now, (int)level, memory_order_relaxed);
    atomic_store_explicit(&log_format_now, (int)format, memory_order_relaxed);
}

static const struct str level_flags[] = {
    [LOG_DEBUG] = STR_INIT("debug"),
    [LOG_INFO] = STR_INIT("info"),
    [LOG_WARN] = STR_INIT("warn"),
    [LOG_ERROR] = STR_INIT("error"),
};

static const struct str level_names[] = {
    [LOG_DEBUG] = STR_INIT("DEBUG"),
    [LOG_INFO] = STR_INIT("INFO"),
    [LOG_WARN] = STR_INIT("WARN"),
    [LOG_ERROR] = STR_INIT("ERROR"),
};

bool log_level_parse(struct str s, enum log_level *level)
{
    for (size_t i = 0; i < ARRAY_LEN(level_flags); i++) {
        if (str_eq_nocase(s, level_flags[i])) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool log_format_parse(struct str s, enum log_format *format)
{
    if (str_eq(s, STR("logfmt")))
        *format = LOG_LOGFMT;
    else if (str_eq(s, STR("json")))
        *format = LOG_JSON;
    else
        return false;
    return true;
}

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&log_level_now, memory_order_relaxed);
}

void log_set_clock(struct wire_time (*now)(void))
{
    atomic_store(&log_clock, now);
}

void log_set_fd(int fd)
{
    atomic_store(&log_fd, fd);
}

/* Values */

static bool is_safe_in_json(char c)
{
    return (uint8_t)c >= 0x20 && c != '"' && c != '\\' && (uint8_t)c < 0x80;
}

/* slog's needsQuoting. */
static bool needs_quoting(struct str s)
{
    if (s.n == 0)
        return true;
    for (size_t at = 0; at < s.n;) {
        char c = s.p[at];
        if ((uint8_t)c < 0x80) {
            if (c != '\\' && (c == ' ' || c == '=' || !is_safe_in_json(c)))
                return true;
            at++;
            continue;
        }
        size_t size;
        rune r = utf8_decode(str_from(s, at), &size);
        if (r == RUNE_ERROR || rune_is_white_space(r) || !rune_is_printable(r))
            return true;
        at += size;
    }
    return false;
}

static void write_text(struct buf *b, struct str s)
{
    if (needs_quoting(s))
        go_quote(b, s);
    else
        buf_str(b, s);
}

static void write_json_rune(struct buf *b, struct str at, size_t *size)
{
    static const char hex[] = "0123456789abcdef";
    rune r = utf8_decode(at, size);
    if (r == '"' || r == '\\') {
        buf_byte(b, '\\');
        buf_byte(b, (char)r);
    } else if (r == '\n' || r == '\r' || r == '\t' || r == '\b' || r == '\f') {
        buf_byte(b, '\\');
        buf_byte(b, r == '\n' ? 'n' : r == '\r' ? 'r' : r == '\t' ? 't' : r == '\b' ? 'b' : 'f');
    } else if (r < 0x20 || r == 0x2028 || r == 0x2029) {
        const char out[] = { '\\', 'u', hex[r >> 12], hex[r >> 8 & 15], hex[r >> 4 & 15], hex[r & 15] };
        buf_append(b, out, sizeof out);
    } else if (r == RUNE_ERROR && *size == 1) {
        buf_c(b, "\\ufffd");
    } else {
        buf_append(b, at.p, *size);
    }
}

static void write_json(struct buf *b, struct str s)
{
    buf_byte(b, '"');
    while (s.n) {
        size_t run = 0;
        while (run < s.n && is_safe_in_json(s.p[run]))
            run++;
        buf_append(b, s.p, run);
        s = str_from(s, run);
        if (s.n == 0)
            break;
        size_t size;
        write_json_rune(b, s, &size);
        s = str_from(s, size);
    }
    buf_byte(b, '"');
}

static struct str cut(struct str s)
{
    if (s.n <= VALUE_BYTES_MAX)
        return s;
    size_t n = VALUE_BYTES_MAX;
    while (n > VALUE_BYTES_MAX - 4 && ((uint8_t)s.p[n] & 0xC0) == 0x80)
        n--;
    return str_of(s.p, n);
}

static void write_string(struct buf *b, enum log_format format, struct str s)
{
    if (format == LOG_JSON)
        write_json(b, cut(s));
    else
        write_text(b, cut(s));
}

/* time.Duration's String() for whole milliseconds: 0s, 250ms, 1.5s, 1m0s, 26h3m4.5s. */
static void write_duration(struct buf *b, int64_t ms)
{
    uint64_t left = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    if (ms < 0)
        buf_byte(b, '-');
    if (left > 0 && left < 1000) {
        buf_u64(b, left);
        buf_append(b, "ms", 2);
        return;
    }
    uint64_t hours = left / 3600000, minutes = left / 60000 % 60, seconds = left / 1000 % 60, rest = left % 1000;
    if (hours) {
        buf_u64(b, hours);
        buf_byte(b, 'h');
    }
    if (hours || minutes) {
        buf_u64(b, minutes);
        buf_byte(b, 'm');
    }
    buf_u64(b, seconds);
    if (rest) {
        const char digits[] = { '.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10), (char)('0' + rest % 10) };
        buf_append(b, digits, rest % 10 ? 4 : rest % 100 ? 3 : 2);
    }
    buf_byte(b, 's');
}

static void write_float(struct buf *b, enum log_format format, double v)
{
    if (format == LOG_LOGFMT)
        num_write_f64(b, v, 'g', -1);
    else if (isfinite(v))
        num_write_json_f64(b, v);
    else
        buf_c(b, isnan(v) ? "\"NaN\"" : v > 0 ? "\"+Inf\"" : "\"-Inf\"");
}

static void write_value(struct buf *b, enum log_format format, const struct log_field *f)
{
    const char *quote = format == LOG_JSON ? "\"" : "";
    switch (f->kind) {
    case LOG_KIND_STR:
        write_string(b, format, f->u.s);
        break;
    case LOG_KIND_I64:
        buf_i64(b, f->u.i);
        break;
    case LOG_KIND_F64:
        write_float(b, format, f->u.f);
        break;
    case LOG_KIND_BOOL:
        buf_c(b, f->u.b ? "true" : "false");
        break;
    case LOG_KIND_DURATION_MS:
        buf_c(b, quote);
        write_duration(b, f->u.i);
        buf_c(b, quote);
        break;
    case LOG_KIND_TIME:
        buf_c(b, quote);
        if (format == LOG_JSON)
            rfc3339_write_nano(b, f->u.t, 0);
        else
            rfc3339_write_ms(b, f->u.t);
        buf_c(b, quote);
        break;
    }
}

/* Lines */

static void write_key(struct buf *b, enum log_format format, struct str key)
{
    if (format == LOG_JSON) {
        buf_byte(b, b->n == 0 ? '{' : ',');
        write_json(b, key);
        buf_byte(b, ':');
    } else {
        if (b->n)
            buf_byte(b, ' ');
        write_text(b, key);
        buf_byte(b, '=');
    }
}

/* Adds the field whole or not at all (L2). */
static void write_field(struct buf *b, enum log_format format, const struct log_field *f)
{
    size_t before = b->n;
    write_key(b, format, str_c(f->key));
    write_value(b, format, f);
    if (b->overflow) {
        b->overflow = false;
        buf_truncate(b, before);
    }
}

static struct str base_name(const char *file)
{
    struct str path = str_c(file);
    size_t slash = str_rfind_byte(path, '/');
    return slash == STR_NPOS ? path : str_from(path, slash + 1);
}

static void write_source(struct buf *b, enum log_format format, const char *file, int line)
{
    char text[256];
    struct buf source = { .p = text, .capacity = sizeof text, .limit_bytes = sizeof text - 1 };
    buf_str(&source, base_name(file));
    buf_byte(&source, ':');
    buf_i64(&source, line);
    write_field(b, format, &LOG_STR("source", buf_view(&source)));
}

/* A log that cannot be written has nowhere to complain; a full pipe or a signal is tried again. */
static void write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t did = write(fd, p, n);
        if (did < 0 && errno == EINTR)
            continue;
        if (did <= 0)
            return;
        p += did;
        n -= (size_t)did;
    }
}

void log_write(enum log_level level, const char *file, int line, const char *msg, const struct log_field *fields,
               size_t fields_count)
{
    ASSERT((size_t)level < ARRAY_LEN(level_names));
    int errno_before = errno;
    char text[LINE_BYTES_MAX];
    struct buf b = { .p = text, .capacity = sizeof text, .limit_bytes = sizeof text - 3 };
    enum log_format format = (enum log_format)atomic_load_explicit(&log_format_now, memory_order_relaxed);
    struct wire_time (*now)(void) = atomic_load(&log_clock);
    if (now)
        write_field(&b, format, &LOG_TIME("time", now()));
    write_field(&b, format, &LOG_STR("level", level_names[level]));
    write_source(&b, format, file, line);
    write_field(&b, format, &LOG_CSTR("msg", msg));
    for (size_t i = 0; i < fields_count; i++)
        write_field(&b, format, &fields[i]);
    b.limit_bytes = 0;
    ASSERT(b.n + 2 < b.capacity);
    if (format == LOG_JSON)
        buf_byte(&b, '}');
    buf_byte(&b, '\n');
    write_all(atomic_load(&log_fd), b.p, b.n);
    errno = errno_before;
}
