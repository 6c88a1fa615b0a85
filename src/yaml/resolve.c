/* What a plain scalar means: the YAML 1.1 rules as go-yaml v2 applies them (its resolve.go).
 *
 * The first byte is a hint and decides which forms are tried at all: '.' floats; digits and signs timestamps, integers
 * (Go's base 0: 0x, 0o, 0b, a leading 0 for octal; underscores anywhere), floats; a few letters and ~ the words of the
 * table; everything else is a string. Sexagesimal numbers are strings on purpose. */
#include "yaml/doc.h"

#include "base/num.h"

#include <math.h>

#define PLAIN_NUMBER_MAX 512 /* longer digit strings are texts: no int64 or float64 needs them */

struct word {
    struct str text;
    enum yaml_kind kind;
    bool b;
    double f;
};

static const struct word words[] = {
    { STR_INIT("y"), YAML_BOOL, true, 0 },
    { STR_INIT("Y"), YAML_BOOL, true, 0 },
    { STR_INIT("yes"), YAML_BOOL, true, 0 },
    { STR_INIT("Yes"), YAML_BOOL, true, 0 },
    { STR_INIT("YES"), YAML_BOOL, true, 0 },
    { STR_INIT("true"), YAML_BOOL, true, 0 },
    { STR_INIT("True"), YAML_BOOL, true, 0 },
    { STR_INIT("TRUE"), YAML_BOOL, true, 0 },
    { STR_INIT("on"), YAML_BOOL, true, 0 },
    { STR_INIT("On"), YAML_BOOL, true, 0 },
    { STR_INIT("ON"), YAML_BOOL, true, 0 },
    { STR_INIT("n"), YAML_BOOL, false, 0 },
    { STR_INIT("N"), YAML_BOOL, false, 0 },
    { STR_INIT("no"), YAML_BOOL, false, 0 },
    { STR_INIT("No"), YAML_BOOL, false, 0 },
    { STR_INIT("NO"), YAML_BOOL, false, 0 },
    { STR_INIT("false"), YAML_BOOL, false, 0 },
    { STR_INIT("False"), YAML_BOOL, false, 0 },
    { STR_INIT("FALSE"), YAML_BOOL, false, 0 },
    { STR_INIT("off"), YAML_BOOL, false, 0 },
    { STR_INIT("Off"), YAML_BOOL, false, 0 },
    { STR_INIT("OFF"), YAML_BOOL, false, 0 },
    { STR_INIT("~"), YAML_NULL, false, 0 },
    { STR_INIT("null"), YAML_NULL, false, 0 },
    { STR_INIT("Null"), YAML_NULL, false, 0 },
    { STR_INIT("NULL"), YAML_NULL, false, 0 },
    { STR_INIT(".nan"), YAML_FLOAT, false, NAN },
    { STR_INIT(".NaN"), YAML_FLOAT, false, NAN },
    { STR_INIT(".NAN"), YAML_FLOAT, false, NAN },
    { STR_INIT(".inf"), YAML_FLOAT, false, INFINITY },
    { STR_INIT(".Inf"), YAML_FLOAT, false, INFINITY },
    { STR_INIT(".INF"), YAML_FLOAT, false, INFINITY },
    { STR_INIT("+.inf"), YAML_FLOAT, false, INFINITY },
    { STR_INIT("+.Inf"), YAML_FLOAT, false, INFINITY },
    { STR_INIT("+.INF"), YAML_FLOAT, false, INFINITY },
    { STR_INIT("-.inf"), YAML_FLOAT, false, -INFINITY },
    { STR_INIT("-.Inf"), YAML_FLOAT, false, -INFINITY },
    { STR_INIT("-.INF"), YAML_FLOAT, false, -INFINITY },
};

/* Cuts 1 to `max` digits off *s; false if there is none. */
static bool cut_digits(struct str *s, size_t min, size_t max, int *value)
{
    size_t n = 0;
    *value = 0;
    while (n < s->n && n < max && ascii_is_digit(s->p[n]))
        *value = *value * 10 + (s->p[n++] - '0');
    *s = str_from(*s, n);
    return n >= min;
}

static bool cut_byte(struct str *s, char c)
{
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = str_from(*s, 1);
    return true;
}

static int month_days(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

static bool parse_zone(struct str *s)
{
    if (cut_byte(s, 'Z'))
        return true;
    int hours, minutes;
    if (!cut_byte(s, '+') && !cut_byte(s, '-'))
        return false;
    return cut_digits(s, 2, 2, &hours) && cut_byte(s, ':') && cut_digits(s, 2, 2, &minutes) && hours <= 24 &&
           minutes <= 60;
}

/* The four layouts that go-yaml tries: date, date and time with T, t (zone required) or a space (no zone). */
static bool is_timestamp(struct str s)
{
    int year, month, day, hour, minute, second;
    if (!cut_digits(&s, 4, 4, &year) || !cut_byte(&s, '-') || !cut_digits(&s, 1, 2, &month) || !cut_byte(&s, '-') ||
        !cut_digits(&s, 1, 2, &day))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > month_days(year, month))
        return false;
    if (s.n == 0)
        return true;
    bool zoned = s.p[0] == 'T' || s.p[0] == 't';
    if (!zoned && s.p[0] != ' ')
        return false;
    s = str_from(s, 1);
    if (!cut_digits(&s, 1, 2, &hour) || !cut_byte(&s, ':') || !cut_digits(&s, 1, 2, &minute) ||
        !cut_byte(&s, ':') || !cut_digits(&s, 1, 2, &second))
        return false;
    if (hour > 23 || minute > 59 || second > 59)
        return false;
    if (s.n >= 2 && (s.p[0] == '.' || s.p[0] == ',') && ascii_is_digit(s.p[1])) {
        size_t n = 1;
        while (n < s.n && ascii_is_digit(s.p[n]))
            n++;
        s = str_from(s, n);
    }
    return (!zoned || parse_zone(&s)) && s.n == 0;
}

/* ^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$ */
static bool looks_like_float(struct str s)
{
    size_t i = 0, whole, fraction = 0;
    if (i < s.n && (s.p[i] == '-' || s.p[i] == '+'))
        i++;
    for (whole = 0; i < s.n && ascii_is_digit(s.p[i]); whole++)
        i++;
    if (i < s.n && s.p[i] == '.')
        for (i++; i < s.n && ascii_is_digit(s.p[i]); fraction++)
            i++;
    if (whole == 0 && fraction == 0)
        return false;
    if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        i++;
        if (i < s.n && (s.p[i] == '-' || s.p[i] == '+'))
            i++;
        size_t digits = 0;
        for (; i < s.n && ascii_is_digit(s.p[i]); digits++)
            i++;
        if (digits == 0)
            return false;
    }
    return i == s.n;
}

static void set_int(struct yaml_node *out, int64_t v)
{
    out->kind = YAML_INT;
    out->i = v;
    out->f = (double)v;
}

static void set_uint(struct yaml_node *out, uint64_t v)
{
    out->kind = YAML_INT;
    out->u = v;
    out->is_u64 = true;
    out->f = (double)v;
}

static void set_float(struct yaml_node *out, double v)
{
    out->kind = YAML_FLOAT;
    out->f = v;
}

static void resolve_number(struct str text, struct yaml_node *out)
{
    if (is_timestamp(text)) {
        out->kind = YAML_TIMESTAMP;
        return;
    }
    char digits[PLAIN_NUMBER_MAX];
    size_t n = 0;
    if (text.n > sizeof digits)
        return;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] != '_')
            digits[n++] = text.p[i];
    struct str plain = str_of(digits, n);
    int64_t i;
    uint64_t u;
    double f;
    if (num_parse_i64(plain, 0, &i))
        set_int(out, i);
    else if (num_parse_u64(plain, 0, &u))
        set_uint(out, u);
    else if (looks_like_float(plain) && num_parse_f64(plain, &f, NULL))
        set_float(out, f);
}

void yaml_resolve(struct str text, struct yaml_node *out)
{
    out->kind = YAML_STRING;
    if (text.n == 0) {
        out->kind = YAML_NULL;
        return;
    }
    char hint = text.p[0];
    bool number = hint == '+' || hint == '-' || ascii_is_digit(hint);
    if (!number && !str_contains(STR("yYnNtTfFoO~."), str_of(&hint, 1)))
        return;
    if (text.n <= 5)
        for (size_t i = 0; i < ARRAY_LEN(words); i++)
            if (str_eq(words[i].text, text)) {
                out->kind = words[i].kind;
                out->b = words[i].b;
                out->f = words[i].f;
                return;
            }
    double f;
    if (number)
        resolve_number(text, out);
    else if (hint == '.' && num_parse_f64(text, &f, NULL))
        set_float(out, f);
}
