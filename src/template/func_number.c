/* Functions that show numbers to people. All take what Prometheus's convertToFloat takes: numbers, durations (seconds)
 * and texts that are numbers. */
#include "template/func_int.h"

#include "base/num.h"
#include "base/utf8.h"

#include <math.h>

#define FUNC(name_)                                                                                \
    static bool name_(struct tval_call *c, const struct tval *args, size_t args_count, struct tval *out, struct err *err)

static bool parse_text(struct str s, double *v, struct err *err)
{
    bool range = false;
    if (num_parse_f64(s, v, &range))
        return true;
    struct buf b = { .limit_bytes = 512 };
    go_quote(&b, s);
    call_fail(err, "strconv.ParseFloat: parsing %.*s: %s", STR_ARG(buf_view(&b)),
              range ? "value out of range" : "invalid syntax");
    buf_deinit(&b);
    return false;
}

static bool to_float(const struct tval *a, double *v, struct err *err)
{
    if (a->class == &tval_duration_class)
        *v = (double)(a->v.i / 1000000000) + (double)(a->v.i % 1000000000) / 1e9;
    else if (a->class)
        return call_fail(err, "can't convert %.*s to float", STR_ARG(tval_type_name(a)));
    else if (a->kind == TVAL_FLOAT)
        *v = a->v.f;
    else if (a->kind == TVAL_INT)
        *v = (double)a->v.i;
    else if (a->kind == TVAL_STR)
        return parse_text(a->v.s, v, err);
    else
        return call_fail(err, "can't convert %.*s to float", STR_ARG(tval_type_name(a)));
    return true;
}

/* "%.4g" with a unit behind it. */
static bool write_short(struct tval_call *c, const char *sign, double v, const char *prefix, const char *unit,
                        struct tval *out, struct err *err)
{
    struct buf b;
    call_buf(c, &b);
    buf_c(&b, sign);
    const struct tval arg = tval_float(v);
    format_printf(&b, STR("%.4g"), &arg, 1);
    buf_c(&b, prefix);
    buf_c(&b, unit);
    return call_result(c, &b, out, err);
}

static const char *scale_down(double *v)
{
    static const char *const prefixes[] = { "m", "u", "n", "p", "f", "a", "z", "y" };
    const char *prefix = "";
    for (size_t i = 0; i < ARRAY_LEN(prefixes) && fabs(*v) < 1; i++) {
        prefix = prefixes[i];
        *v *= 1000;
    }
    return prefix;
}

FUNC(humanize)
{
    static const char *const prefixes[] = { "k", "M", "G", "T", "P", "E", "Z", "Y" };
    double v;
    const char *prefix = "";
    (void)args_count;
    if (!to_float(&args[0], &v, err))
        return false;
    if (v == 0 || isnan(v) || isinf(v))
        return write_short(c, "", v, "", "", out, err);
    if (fabs(v) < 1) {
        prefix = scale_down(&v);
    } else {
        for (size_t i = 0; i < ARRAY_LEN(prefixes) && fabs(v) >= 1000; i++) {
            prefix = prefixes[i];
            v /= 1000;
        }
    }
    return write_short(c, "", v, prefix, "", out, err);
}

FUNC(humanize1024)
{
    static const char *const prefixes[] = { "ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi" };
    double v;
    const char *prefix = "";
    (void)args_count;
    if (!to_float(&args[0], &v, err))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(prefixes) && fabs(v) >= 1024 && !isinf(v); i++) {
        prefix = prefixes[i];
        v /= 1024;
    }
    return write_short(c, "", v, prefix, "", out, err);
}

FUNC(humanize_duration)
{
    double v;
    (void)args_count;
    if (!to_float(&args[0], &v, err))
        return false;
    if (isnan(v) || isinf(v))
        return write_short(c, "", v, "", "", out, err);
    if (v == 0)
        return write_short(c, "", v, "", "s", out, err);
    if (fabs(v) < 1) {
        const char *prefix = scale_down(&v);
        return write_short(c, "", v, prefix, "s", out, err);
    }
    const char *sign = v < 0 ? "-" : "";
    v = fabs(v);
    int64_t s = v >= 9.2e18 ? INT64_MAX : (int64_t)v;
    int64_t days = s / 86400, hours = s / 3600 % 24, minutes = s / 60 % 60;
    if (s < 60)
        return write_short(c, sign, v, "", "s", out, err);
    struct buf b;
    call_buf(c, &b);
    buf_c(&b, sign);
    if (days != 0)
        buf_printf(&b, "%lldd ", (long long)days);
    if (days != 0 || hours != 0)
        buf_printf(&b, "%lldh ", (long long)hours);
    buf_printf(&b, "%lldm %llds", (long long)minutes, (long long)(s % 60));
    return call_result(c, &b, out, err);
}

FUNC(humanize_percentage)
{
    double v;
    (void)args_count;
    return to_float(&args[0], &v, err) && write_short(c, "", v * 100, "", "%", out, err);
}

/* Seconds as nanoseconds, if they fit. */
static bool to_nanoseconds(double v, const char *what, int64_t *ns, struct err *err)
{
    double scaled = v * 1e9;
    if (!(scaled >= -9223372036854775808.0 && scaled < 9223372036854775808.0)) {
        struct buf b = { 0 };
        num_write_f64(&b, v, 'g', -1);
        call_fail(err, "%.*s cannot be represented as a nanoseconds %s since it overflows int64",
                  STR_ARG(buf_view(&b)), what);
        buf_deinit(&b);
        return false;
    }
    *ns = (int64_t)scaled;
    return true;
}

static bool timestamp(double v, struct tval *out, struct err *err)
{
    int64_t ns = 0;
    if (!to_nanoseconds(v, "timestamp", &ns, err))
        return false;
    /* Prometheus's times are in ms; Go's division cuts towards zero. */
    *out = tval_at_time(wire_time_from_ms(ns / 1000000), 0);
    return true;
}

FUNC(humanize_timestamp)
{
    double v;
    struct tval t;
    (void)args_count;
    if (!to_float(&args[0], &v, err))
        return false;
    if (isnan(v) || isinf(v))
        return write_short(c, "", v, "", "", out, err);
    if (!timestamp(v, &t, err))
        return false;
    struct buf b;
    call_buf(c, &b);
    tval_print(&t, &b);
    return call_result(c, &b, out, err);
}

FUNC(to_time)
{
    double v;
    (void)c, (void)args_count;
    if (!to_float(&args[0], &v, err))
        return false;
    if (isnan(v) || isinf(v))
        return call_fail(err, "value is NaN or Inf");
    return timestamp(v, out, err);
}

FUNC(to_duration)
{
    double v;
    int64_t ns = 0;
    (void)c, (void)args_count;
    if (!to_float(&args[0], &v, err))
        return false;
    if (isnan(v) || isinf(v))
        return call_fail(err, "value is NaN or Inf");
    if (!to_nanoseconds(v, "duration", &ns, err))
        return false;
    *out = tval_duration(ns);
    return true;
}

const struct func func_rows_number[] = {
    { STR_INIT("humanize"), FUNC_PROMETHEUS, "a", humanize, FUNC_PLAIN },
    { STR_INIT("humanize1024"), FUNC_PROMETHEUS, "a", humanize1024, FUNC_PLAIN },
    { STR_INIT("humanizeDuration"), FUNC_ALERTMANAGER | FUNC_PROMETHEUS, "a", humanize_duration, FUNC_PLAIN },
    { STR_INIT("humanizePercentage"), FUNC_PROMETHEUS, "a", humanize_percentage, FUNC_PLAIN },
    { STR_INIT("humanizeTimestamp"), FUNC_PROMETHEUS, "a", humanize_timestamp, FUNC_PLAIN },
    { STR_INIT("toDuration"), FUNC_PROMETHEUS, "a", to_duration, FUNC_PLAIN },
    { STR_INIT("toTime"), FUNC_PROMETHEUS, "a", to_time, FUNC_PLAIN },
};
const size_t func_rows_number_count = ARRAY_LEN(func_rows_number);
