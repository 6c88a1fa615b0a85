/* Structured log lines as Go's slog writes them for Alertmanager and Prometheus: key=value (logfmt) or JSON, to
 * stderr. `time=2026-01-02T03:04:05.678Z level=INFO source=file.c:12 msg="Listening on" address=127.0.0.1:9093`.
 *
 * log_write() formats on the caller's stack and issues one write(2); it never allocates. Thread: any. The place that
 * decides what to do about an error logs it, once. Levels: error = someone must act; warn = it degrades;
 * info = life-cycle events; debug = per operation. */
#ifndef TOCSIN_BASE_LOG_H
#define TOCSIN_BASE_LOG_H

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

enum log_kind { LOG_KIND_STR, LOG_KIND_I64, LOG_KIND_F64, LOG_KIND_BOOL, LOG_KIND_DURATION_MS, LOG_KIND_TIME };
struct log_field {
    const char *key;
    enum log_kind kind;
    union {
        struct str s;
        int64_t i;
        double f;
        bool b;
        struct wire_time t;
    } u;
};
#define LOG_STR(k, v)   ((struct log_field){ .key = (k), .kind = LOG_KIND_STR, .u.s = (v) })
#define LOG_CSTR(k, v)  ((struct log_field){ .key = (k), .kind = LOG_KIND_STR, .u.s = str_c(v) })
#define LOG_INT(k, v)   ((struct log_field){ .key = (k), .kind = LOG_KIND_I64, .u.i = (int64_t)(v) })
#define LOG_F64(k, v)   ((struct log_field){ .key = (k), .kind = LOG_KIND_F64, .u.f = (v) })
#define LOG_BOOL(k, v)  ((struct log_field){ .key = (k), .kind = LOG_KIND_BOOL, .u.b = (v) })
#define LOG_DUR(k, ms)  ((struct log_field){ .key = (k), .kind = LOG_KIND_DURATION_MS, .u.i = (ms) })
#define LOG_TIME(k, v)  ((struct log_field){ .key = (k), .kind = LOG_KIND_TIME, .u.t = (v) })
#define LOG_ERR(e)      ((struct log_field){ .key = "err", .kind = LOG_KIND_STR, .u.s = err_text(e) })

void log_configure(enum log_level level, enum log_format format);
MUST_CHECK bool log_level_parse(struct str s, enum log_level *level);
MUST_CHECK bool log_format_parse(struct str s, enum log_format *format);
bool log_enabled(enum log_level level);
/* The clock for the time field; io sets it at start. Until then the field is left out (tests). */
void log_set_clock(struct wire_time (*now)(void));
/* Where lines go: file descriptor 2 unless a test says otherwise. */
void log_set_fd(int fd);

void log_write(enum log_level level, const char *file, int line, const char *msg, const struct log_field *fields,
               size_t fields_count);

/* log_info("Listening on", LOG_STR("address", addr)); */

#define LOG_AT(level, msg, ...)                                                                    \
    do {                                                                                           \
        if (log_enabled(level)) {                                                                  \
            const struct log_field log_fields_[] = { { 0 }, ##__VA_ARGS__ };                       \
            log_write((level), __FILE__, __LINE__, (msg), log_fields_ + 1,                         \
                      sizeof log_fields_ / sizeof log_fields_[0] - 1);                             \
        }                                                                                          \
    } while (0)
#define log_debug(msg, ...) LOG_AT(LOG_DEBUG, msg, ##__VA_ARGS__)
#define log_info(msg, ...)  LOG_AT(LOG_INFO, msg, ##__VA_ARGS__)
#define log_warn(msg, ...)  LOG_AT(LOG_WARN, msg, ##__VA_ARGS__)
#define log_error(msg, ...) LOG_AT(LOG_ERROR, msg, ##__VA_ARGS__)

#endif
