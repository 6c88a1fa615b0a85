/* Text to numbers. Integers: digit by digit with a bound. Floats: up to 19 digits go into a 64-bit integer; small cases
 * are exact in double arithmetic (Clinger), nearly all others are decided by one or two 128-bit products (Eisel and
 * Lemire, table in pow10_table.c); what stays undecided (a few in a million, and subnormals) goes to libc's correctly rounding
 * conversion on a canonical copy of the digits, which no locale changes because nothing here ever sets one. */
#include "base/num.h"

#include "base/pow10_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Integers */

static int digit_value(char c)
{
    if (ascii_is_digit(c))
        return c - '0';
    if (ascii_is_alpha(c))
        return ascii_lower(c) - 'a' + 10;
    return 255;
}

/* Go's underscoreOK: an underscore stands between digits or between the prefix and a digit. */
static bool underscores_ok(struct str s, bool prefix)
{
    bool digit_before = prefix;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '_') {
            digit_before = true;
            continue;
        }
        if (!digit_before || i + 1 == s.n || s.p[i + 1] == '_')
            return false;
        digit_before = false;
    }
    return true;
}

static bool detect_base(struct str *s, int *base, bool *prefix)
{
    *prefix = false;
    *base = 10;
    if (s->n < 2 || s->p[0] != '0')
        return true;
    char c = ascii_lower(s->p[1]);
    size_t skip = 2;
    if (c == 'x')
        *base = 16;
    else if (c == 'b')
        *base = 2;
    else if (c == 'o')
        *base = 8;
    else {
        *base = 8;
        skip = 1;
    }
    *prefix = true;
    *s = str_from(*s, skip);
    return s->n > 0;
}

bool num_parse_u64(struct str s, int base, uint64_t *v)
{
    ASSERT(base == 0 || (base >= 2 && base <= 36));
    bool go_literal = base == 0;
    if (go_literal) {
        bool prefix;
        if (!detect_base(&s, &base, &prefix) || !underscores_ok(s, prefix))
            return false;
    }
    if (s.n == 0)
        return false;
    uint64_t sum = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '_' && go_literal)
            continue;
        int d = digit_value(s.p[i]);
        if (d >= base || __builtin_mul_overflow(sum, (uint64_t)base, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)d, &sum))
            return false;
    }
    *v = sum;
    return true;
}

bool num_parse_i64(struct str s, int base, int64_t *v)
{
    bool negative = s.n && s.p[0] == '-';
    if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
        s = str_from(s, 1);
    uint64_t u;
    if (!num_parse_u64(s, base, &u))
        return false;
    if (u > (uint64_t)INT64_MAX + negative)
        return false;
    *v = negative ? (int64_t)(0 - u) : (int64_t)u;
    return true;
}

/* Floats */

enum { DIGITS_MAX = 19, KEPT_DIGITS_MAX = 800 };

struct decimal {
    uint64_t mantissa;  /* the first DIGITS_MAX significant digits */
    int64_t exponent;   /* value = mantissa * 10^exponent, if not truncated */
    bool truncated;     /* digits other than zero were dropped */
    bool negative;
    struct str digits;  /* mantissa as written, with its point, for the slow path */
    int64_t written_exponent;
};

static double double_of_bits(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static bool parse_special(struct str s, double *v)
{
    bool sign = s.n && (s.p[0] == '-' || s.p[0] == '+');
    bool negative = sign && s.p[0] == '-';
    struct str body = sign ? str_from(s, 1) : s;
    if (str_eq_nocase(body, STR("inf")) || str_eq_nocase(body, STR("infinity"))) {
        *v = negative ? -HUGE_VAL : HUGE_VAL;
        return true;
    }
    if (!sign && str_eq_nocase(body, STR("nan"))) {
        *v = double_of_bits(0x7FF8000000000001ull); /* Go's NaN, which is also Prometheus's normal one */
        return true;
    }
    return false;
}

static bool parse_exponent(struct str s, size_t *at, int64_t *exponent)
{
    bool negative = *at < s.n && s.p[*at] == '-';
    if (*at < s.n && (s.p[*at] == '-' || s.p[*at] == '+'))
        (*at)++;
    if (*at >= s.n || !ascii_is_digit(s.p[*at]))
        return false;
    int64_t e = 0;
    for (; *at < s.n && ascii_is_digit(s.p[*at]); (*at)++)
        if (e < 1000000000000)
            e = e * 10 + (s.p[*at] - '0');
    *exponent = negative ? -e : e;
    return true;
}

static bool scan_decimal(struct str s, struct decimal *d)
{
    *d = (struct decimal){ 0 };
    size_t at = 0;
    if (at < s.n && (s.p[at] == '-' || s.p[at] == '+'))
        d->negative = s.p[at++] == '-';
    size_t from = at;
    int used = 0;
    bool any = false, point = false;
    for (; at < s.n; at++) {
        char c = s.p[at];
        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (!ascii_is_digit(c))
            break;
        any = true;
        if (used < DIGITS_MAX) {
            d->mantissa = d->mantissa * 10 + (uint64_t)(c - '0');
            used += d->mantissa != 0;
            d->exponent -= point;
        } else {
            d->truncated |= c != '0';
            d->exponent += !point;
        }
    }
    d->digits = str_sub(s, from, at - from);
    if (!any)
        return false;
    if (at < s.n && (s.p[at] == 'e' || s.p[at] == 'E')) {
        at++;
        if (!parse_exponent(s, &at, &d->written_exponent))
            return false;
        d->exponent += d->written_exponent;
    }
    return at == s.n;
}

static bool clinger(const struct decimal *d, double *v)
{
    static const double powers[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                     1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
    if (d->truncated || d->mantissa >> 53 || d->exponent < -22 || d->exponent > 22)
        return false;
    double m = (double)d->mantissa;
    *v = d->exponent < 0 ? m / powers[-d->exponent] : m * powers[d->exponent];
    return true;
}

/* The double next to mantissa * 10^exponent; false if the product does not decide. mantissa is not 0. */
static bool eisel_lemire(uint64_t mantissa, int64_t exponent, double *v)
{
    if (exponent < POW10_MIN || exponent > POW10_MAX)
        return false;
    const struct pow10 *power = &pow10_table[exponent - POW10_MIN];
    int shift = __builtin_clzll(mantissa);
    mantissa <<= shift;
    uint64_t exp2 = (uint64_t)(((217706 * exponent) >> 16) + 64 + 1023) - (uint64_t)shift;
    unsigned __int128 x = (unsigned __int128)mantissa * power->hi;
    uint64_t hi = (uint64_t)(x >> 64), lo = (uint64_t)x;
    if ((hi & 0x1FF) == 0x1FF && lo + mantissa < mantissa) {
        unsigned __int128 y = (unsigned __int128)mantissa * power->lo;
        uint64_t merged_hi = hi, merged_lo = lo + (uint64_t)(y >> 64);
        merged_hi += merged_lo < lo;
        if ((merged_hi & 0x1FF) == 0x1FF && merged_lo + 1 == 0 && (uint64_t)y + mantissa < mantissa)
            return false;
        hi = merged_hi;
        lo = merged_lo;
    }
    uint64_t msb = hi >> 63;
    uint64_t result = hi >> (msb + 9);
    exp2 -= 1 ^ msb;
    if (lo == 0 && (hi & 0x1FF) == 0 && (result & 3) == 1)
        return false; /* half-way: ties need the exact value */
    result += result & 1;
    result >>= 1;
    if (result >> 53) {
        result >>= 1;
        exp2++;
    }
    if (exp2 - 1 >= 0x7FF - 1)
        return false; /* subnormal or out of range */
    *v = double_of_bits(exp2 << 52 | (result & ((1ull << 52) - 1)));
    return true;
}

/* A canonical copy: no sign, at most KEPT_DIGITS_MAX significant digits with a final 1 in place of what was dropped
 * (a double's half-way points have at most 767, so more cannot change the rounding), and an exponent. */
static double convert_slowly(const struct decimal *d)
{
    char text[KEPT_DIGITS_MAX + 40];
    size_t n = 0;
    int64_t exponent = d->written_exponent;
    bool point = false, dropped = false;
    for (size_t i = 0; i < d->digits.n; i++) {
        char c = d->digits.p[i];
        if (c == '.') {
            point = true;
            continue;
        }
        exponent -= point;
        if (n == 0 && c == '0')
            continue;
        if (n < KEPT_DIGITS_MAX) {
            text[n++] = c;
        } else {
            dropped |= c != '0';
            exponent++;
        }
    }
    if (n == 0)
        return 0;
    if (dropped) {
        text[n++] = '1';
        exponent--;
    }
    snprintf(text + n, sizeof text - n, "e%lld", (long long)exponent);
    return strtod(text, NULL);
}

static double decimal_value(const struct decimal *d)
{
    double v, above;
    if (d->mantissa == 0)
        return 0;
    if (clinger(d, &v))
        return v;
    if (eisel_lemire(d->mantissa, d->exponent, &v)) {
        if (!d->truncated)
            return v;
        if (eisel_lemire(d->mantissa + 1, d->exponent, &above) && above == v)
            return v;
    }
    return convert_slowly(d);
}

/* 0x1.8p3. Rounds half to even; digits past 60 bits only leave a mark. */
static bool parse_hex(struct str s, double *v)
{
    size_t at = 0;
    bool negative = false;
    if (at < s.n && (s.p[at] == '-' || s.p[at] == '+'))
        negative = s.p[at++] == '-';
    if (s.n - at < 3 || s.p[at] != '0' || ascii_lower(s.p[at + 1]) != 'x')
        return false;
    at += 2;
    uint64_t mantissa = 0;
    int64_t exponent = 0, written;
    bool any = false, point = false, sticky = false;
    for (; at < s.n; at++) {
        if (s.p[at] == '.' && !point) {
            point = true;
            continue;
        }
        int x = ascii_xdigit_value(s.p[at]);
        if (x < 0)
            break;
        any = true;
        if (mantissa >> 60 == 0) {
            mantissa = mantissa << 4 | (uint64_t)x;
            exponent -= point ? 4 : 0;
        } else {
            sticky |= x != 0;
            exponent += point ? 0 : 4;
        }
    }
    if (!any || at >= s.n || ascii_lower(s.p[at]) != 'p')
        return false;
    at++;
    if (!parse_exponent(s, &at, &written) || at != s.n)
        return false;
    exponent += written;
    /* ldexp rounds once if the integer is exact in a double, so bring it to 53 bits (fewer for subnormals) here. */
    if (mantissa) {
        int64_t bits = 64 - __builtin_clzll(mantissa);
        int64_t drop = bits - 53;
        if (exponent + drop < -1074)
            drop = -1074 - exponent;
        if (drop > 0) {
            uint64_t rest = drop >= 64 ? mantissa : mantissa & ((1ull << drop) - 1);
            uint64_t kept = drop >= 64 ? 0 : mantissa >> drop;
            uint64_t half = drop > 64 ? UINT64_MAX : 1ull << (drop - 1);
            bool up = rest > half || (rest == half && (sticky || (kept & 1)));
            mantissa = kept + (drop <= 64 && up);
            exponent += drop;
        }
    }
    int scale = exponent > 5000 ? 5000 : exponent < -5000 ? -5000 : (int)exponent;
    *v = ldexp((double)mantissa, scale);
    if (negative)
        *v = -*v;
    return true;
}

static bool in_range(double v, double *out, bool *range)
{
    *out = v;
    if (isinf(v) && range)
        *range = true;
    return !isinf(v);
}

bool num_parse_f64(struct str s, double *v, bool *range)
{
    if (range)
        *range = false;
    struct decimal d;
    if (LIKELY(scan_decimal(s, &d))) {
        double magnitude = decimal_value(&d);
        return in_range(d.negative ? -magnitude : magnitude, v, range);
    }
    if (parse_special(s, v))
        return true;
    double hex;
    return parse_hex(s, &hex) && in_range(hex, v, range);
}
