/* Go's time.ParseDuration and Duration.String. Sums are kept in uint64 and refused above 1<<63, as Go does; fractions
 * are taken digit by digit while they fit and the rest is cut. */
#include "yaml/go_duration_int.h"

#define LIMIT ((uint64_t)1 << 63)

struct unit {
    struct str name;
    uint64_t ns;
};
static const struct unit units[] = {
    { STR_INIT("ns"), 1 },
    { STR_INIT("us"), 1000 },
    { STR_INIT("\xc2\xb5s"), 1000 }, /* micro sign */
    { STR_INIT("\xce\xbcs"), 1000 }, /* Greek mu */
    { STR_INIT("ms"), 1000000 },
    { STR_INIT("s"), 1000000000 },
    { STR_INIT("m"), UINT64_C(60000000000) },
    { STR_INIT("h"), UINT64_C(3600000000000) },
};

static bool cut_unit(struct str *s, uint64_t *ns)
{
    size_t n = 0;
    while (n < s->n && s->p[n] != '.' && !ascii_is_digit(s->p[n]))
        n++;
    struct str name = str_sub(*s, 0, n);
    *s = str_from(*s, n);
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (str_eq(units[i].name, name)) {
            *ns = units[i].ns;
            return true;
        }
    return false;
}

/* One number with its unit, added to *sum. */
static bool cut_part(struct str *s, uint64_t *sum)
{
    uint64_t whole = 0, fraction = 0, unit;
    double scale = 1;
    size_t digits = 0;
    for (; s->n && ascii_is_digit(s->p[0]); *s = str_from(*s, 1), digits++) {
        if (whole > LIMIT / 10)
            return false;
        whole = whole * 10 + (uint64_t)(s->p[0] - '0');
        if (whole > LIMIT)
            return false;
    }
    if (s->n && s->p[0] == '.') {
        *s = str_from(*s, 1);
        for (bool full = false; s->n && ascii_is_digit(s->p[0]); *s = str_from(*s, 1), digits++) {
            full = full || fraction > (LIMIT - 1) / 10;
            if (full)
                continue;
            fraction = fraction * 10 + (uint64_t)(s->p[0] - '0');
            scale *= 10;
        }
    }
    if (digits == 0 || !cut_unit(s, &unit) || whole > LIMIT / unit)
        return false;
    whole *= unit;
    if (fraction)
        whole += (uint64_t)((double)fraction * ((double)unit / scale));
    if (whole > LIMIT)
        return false;
    *sum += whole;
    return *sum <= LIMIT;
}

bool yaml_go_duration_parse(struct str text, int64_t *ns)
{
    bool negative = text.n && text.p[0] == '-';
    if (text.n && (text.p[0] == '-' || text.p[0] == '+'))
        text = str_from(text, 1);
    uint64_t sum = 0;
    if (str_eq(text, STR("0"))) {
        *ns = 0;
        return true;
    }
    if (text.n == 0)
        return false;
    while (text.n)
        if (!cut_part(&text, &sum))
            return false;
    if (!negative && sum > LIMIT - 1)
        return false;
    *ns = sum == LIMIT ? INT64_MIN : negative ? -(int64_t)sum : (int64_t)sum;
    return true;
}

static void write_fraction(struct buf *out, uint64_t whole, uint64_t fraction, unsigned digits, const char *unit)
{
    char text[10];
    ASSERT(digits < sizeof text);
    for (unsigned i = digits; i-- > 0; fraction /= 10)
        text[i] = (char)('0' + fraction % 10);
    while (digits && text[digits - 1] == '0')
        digits--;
    buf_u64(out, whole);
    if (digits)
        buf_byte(out, '.');
    buf_append(out, text, digits);
    buf_c(out, unit);
}

void yaml_go_duration_write(struct buf *out, int64_t ns)
{
    uint64_t u = ns < 0 ? (uint64_t)0 - (uint64_t)ns : (uint64_t)ns;
    if (ns < 0)
        buf_byte(out, '-');
    if (u == 0) {
        buf_c(out, "0s");
    } else if (u < 1000) {
        write_fraction(out, u, 0, 0, "ns");
    } else if (u < 1000000) {
        write_fraction(out, u / 1000, u % 1000, 3, "\xc2\xb5s");
    } else if (u < 1000000000) {
        write_fraction(out, u / 1000000, u % 1000000, 6, "ms");
    } else {
        uint64_t seconds = u / 1000000000, minutes = seconds / 60;
        if (minutes >= 60)
            buf_printf(out, "%lluh", (unsigned long long)(minutes / 60));
        if (minutes)
            buf_printf(out, "%llum", (unsigned long long)(minutes % 60));
        write_fraction(out, seconds % 60, u % 1000000000, 9, "s");
    }
}
