/* Durations as text. Both parsers walk the text once, in unsigned 64-bit nanoseconds with every step checked, because
 * "999999999999y" is an error and not a small number. */
#include "model/duration.h"

#include "base/utf8.h"
#include "model/gotime_int.h"

enum { NS_PER_MS = 1000000 };
#define NS_PER_S   UINT64_C(1000000000)
#define MS_PER_DAY INT64_C(86400000)
#define NS_LIMIT   (UINT64_C(1) << 63)

static bool fail_quoted(struct err *err, const char *before, struct str text)
{
    struct buf quoted = { 0 };
    go_quote(&quoted, text);
    err_set(err, ERR_INVALID, "%s%s", before, quoted.p);
    buf_deinit(&quoted);
    return false;
}

static bool fail_unit(struct err *err, struct str unit, struct str text)
{
    struct buf quoted = { 0 };
    buf_c(&quoted, "unknown unit ");
    go_quote(&quoted, unit);
    buf_c(&quoted, " in duration ");
    go_quote(&quoted, text);
    err_set(err, ERR_INVALID, "%s", quoted.p);
    buf_deinit(&quoted);
    return false;
}

static size_t count_digits(struct str s)
{
    size_t n = 0;
    while (n < s.n && ascii_is_digit(s.p[n]))
        n++;
    return n;
}

/* Decimal digits as a number; false past 64 bits. */
static bool read_digits(struct str digits, uint64_t *v)
{
    *v = 0;
    for (size_t i = 0; i < digits.n; i++)
        if (__builtin_mul_overflow(*v, 10u, v) || __builtin_add_overflow(*v, (uint64_t)(digits.p[i] - '0'), v))
            return false;
    return true;
}

static const struct duration_unit {
    const char *name;
    int64_t ms;
    bool only_whole; /* printed only if nothing is left over */
} duration_units[] = { /* falling: also the order they must come in */
    { "y", 365 * MS_PER_DAY, true }, { "w", 7 * MS_PER_DAY, true }, { "d", MS_PER_DAY, false },
    { "h", 3600000, false },         { "m", 60000, false },         { "s", 1000, false },
    { "ms", 1, false },
};

bool duration_parse(struct str text, int64_t *ms, struct err *err)
{
    if (text.n == 0)
        return err_set(err, ERR_INVALID, "empty duration string");
    struct str rest = str_eq(text, STR("0")) ? STR_EMPTY : text;
    uint64_t total_ns = 0, v;
    size_t units_from = 0;
    while (rest.n > 0) {
        size_t n = count_digits(rest);
        if (n == 0 || !read_digits(str_sub(rest, 0, n), &v))
            return fail_quoted(err, "not a valid duration string: ", text);
        rest = str_from(rest, n);
        for (n = 0; n < rest.n && !ascii_is_digit(rest.p[n]);)
            n++;
        struct str unit = str_sub(rest, 0, n);
        rest = str_from(rest, n);
        if (n == 0)
            return fail_quoted(err, "not a valid duration string: ", text);
        size_t u = 0;
        while (u < ARRAY_LEN(duration_units) && !str_eq(unit, str_c(duration_units[u].name)))
            u++;
        if (u == ARRAY_LEN(duration_units))
            return fail_unit(err, unit, text);
        if (u < units_from)
            return fail_quoted(err, "not a valid duration string: ", text);
        units_from = u + 1;
        uint64_t unit_ns = (uint64_t)duration_units[u].ms * NS_PER_MS;
        if (v > NS_LIMIT / unit_ns || (total_ns += v * unit_ns) >= NS_LIMIT)
            return err_set(err, ERR_INVALID, "duration out of range");
    }
    *ms = (int64_t)(total_ns / NS_PER_MS);
    return true;
}

bool duration_parse_signed(struct str text, int64_t *ms, struct err *err)
{
    bool negative = str_starts(text, STR("-"));
    if (!duration_parse(str_from(text, negative), ms, err))
        return false;
    *ms = negative ? -*ms : *ms;
    return true;
}

void duration_write(struct buf *b, int64_t ms)
{
    if (ms == 0) {
        buf_c(b, "0s");
        return;
    }
    if (ms < 0)
        buf_byte(b, '-');
    uint64_t left = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    for (size_t i = 0; i < ARRAY_LEN(duration_units); i++) {
        const struct duration_unit *unit = &duration_units[i];
        uint64_t unit_ms = (uint64_t)unit->ms;
        if (left < unit_ms || (unit->only_whole && left % unit_ms != 0))
            continue;
        buf_u64(b, left / unit_ms);
        buf_c(b, unit->name);
        left %= unit_ms;
    }
}

static bool fail_go(struct err *err, const char *what, struct str unit, struct str text)
{
    struct buf quoted = { 0 };
    buf_printf(&quoted, "time: %s ", what);
    if (unit.n > 0) {
        go_time_quote(&quoted, unit);
        buf_c(&quoted, " in duration ");
    }
    go_time_quote(&quoted, text);
    err_set(err, ERR_INVALID, "%s", quoted.p);
    buf_deinit(&quoted);
    return false;
}

static bool go_unit(struct str name, uint64_t *ns)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {
        { "ns", 1 }, { "us", 1000 }, { "\xC2\xB5s", 1000 }, { "\xCE\xBCs", 1000 }, { "ms", NS_PER_MS },
        { "s", NS_PER_S }, { "m", 60 * NS_PER_S }, { "h", 3600 * NS_PER_S },
    };
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (str_eq(name, str_c(units[i].name))) {
            *ns = units[i].ns;
            return true;
        }
    return false;
}

/* Digits behind the point: the number they make and what to divide it by. Digits past 63 bits are dropped. */
static void go_fraction(struct str digits, uint64_t *v, double *scale)
{
    *v = 0;
    *scale = 1;
    for (size_t i = 0; i < digits.n; i++) {
        if (*v > (NS_LIMIT - 1) / 10)
            return;
        uint64_t next = *v * 10 + (uint64_t)(digits.p[i] - '0');
        if (next > NS_LIMIT)
            return;
        *v = next;
        *scale *= 10;
    }
}

/* One number with its unit, cut off the front. */
static bool go_part(struct str *rest, struct str text, uint64_t *ns, struct err *err)
{
    uint64_t whole, fraction = 0, unit_ns;
    double scale = 1;
    size_t n = count_digits(*rest), fraction_digits = 0;
    if (!read_digits(str_sub(*rest, 0, n), &whole) || whole > NS_LIMIT)
        return fail_go(err, "invalid duration", STR_EMPTY, text);
    *rest = str_from(*rest, n);
    if (str_starts(*rest, STR("."))) {
        *rest = str_from(*rest, 1);
        fraction_digits = count_digits(*rest);
        go_fraction(str_sub(*rest, 0, fraction_digits), &fraction, &scale);
        *rest = str_from(*rest, fraction_digits);
    }
    if (n == 0 && fraction_digits == 0)
        return fail_go(err, "invalid duration", STR_EMPTY, text);
    for (n = 0; n < rest->n && rest->p[n] != '.' && !ascii_is_digit(rest->p[n]);)
        n++;
    struct str unit = str_sub(*rest, 0, n);
    *rest = str_from(*rest, n);
    if (n == 0)
        return fail_go(err, "missing unit in duration", STR_EMPTY, text);
    if (!go_unit(unit, &unit_ns))
        return fail_go(err, "unknown unit", unit, text);
    if (whole > NS_LIMIT / unit_ns)
        return fail_go(err, "invalid duration", STR_EMPTY, text);
    *ns = whole * unit_ns;
    if (fraction > 0)
        *ns += (uint64_t)((double)fraction * ((double)unit_ns / scale));
    return *ns <= NS_LIMIT || fail_go(err, "invalid duration", STR_EMPTY, text);
}

bool go_duration_parse(struct str text, int64_t *ns, struct err *err)
{
    struct str rest = text;
    bool negative = str_starts(rest, STR("-"));
    if (negative || str_starts(rest, STR("+")))
        rest = str_from(rest, 1);
    if (str_eq(rest, STR("0"))) {
        *ns = 0;
        return true;
    }
    if (rest.n == 0)
        return fail_go(err, "invalid duration", STR_EMPTY, text);
    uint64_t total = 0, part = 0;
    while (rest.n > 0) {
        if (!go_part(&rest, text, &part, err))
            return false;
        total += part;
        if (total > NS_LIMIT)
            return fail_go(err, "invalid duration", STR_EMPTY, text);
    }
    if (total == NS_LIMIT && !negative)
        return fail_go(err, "invalid duration", STR_EMPTY, text);
    *ns = (int64_t)(negative ? 0 - total : total);
    return true;
}

/* v / 10^digits without trailing zeros. */
static void write_decimal(struct buf *b, uint64_t v, int digits)
{
    uint64_t unit = 1;
    for (int i = 0; i < digits; i++)
        unit *= 10;
    buf_u64(b, v / unit);
    v %= unit;
    if (v == 0)
        return;
    buf_byte(b, '.');
    while (v > 0) {
        unit /= 10;
        buf_byte(b, (char)('0' + v / unit));
        v %= unit;
    }
}

void go_duration_write(struct buf *b, int64_t ns)
{
    if (ns == 0) {
        buf_c(b, "0s");
        return;
    }
    if (ns < 0)
        buf_byte(b, '-');
    uint64_t left = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    if (left < NS_PER_S) {
        int digits = left < 1000 ? 0 : left < NS_PER_MS ? 3 : 6;
        write_decimal(b, left, digits);
        buf_c(b, digits == 0 ? "ns" : digits == 3 ? "\xC2\xB5s" : "ms");
        return;
    }
    uint64_t minutes = left / (60 * NS_PER_S);
    if (minutes >= 60) {
        buf_u64(b, minutes / 60);
        buf_byte(b, 'h');
    }
    if (minutes > 0) {
        buf_u64(b, minutes % 60);
        buf_byte(b, 'm');
    }
    write_decimal(b, left % (60 * NS_PER_S), 9);
    buf_byte(b, 's');
}
