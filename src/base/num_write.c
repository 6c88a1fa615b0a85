/* Numbers to text. The shortest decimal that reads back as the same double comes from Schubfach (R. Giulietti): one
 * 128-bit multiplication for the value and one for each end of its rounding interval, correct for all doubles,
 * subnormals and powers of two included. Given precisions are exact and rounded half to even, which libc's printf does.
 *
 * The forms are Go's: an exponent of at least two digits; 'g' is 'e' below 1e-4 and, for the shortest, from 1e6 on. */
#include "base/num.h"

#include "base/pow10_int.h"

#include <math.h>
#include <stdio.h>

/* "00" to "99" */
static const char pairs[200] = "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
                               "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

char *num_put_u64(char *p, uint64_t v)
{
    char text[20];
    size_t at = sizeof text;
    for (; v >= 100; v /= 100)
        memcpy(text + (at -= 2), pairs + v % 100 * 2, 2);
    if (v >= 10)
        memcpy(text + (at -= 2), pairs + v * 2, 2);
    else
        text[--at] = (char)('0' + v);
    memcpy(p, text + at, sizeof text - at);
    return p + (sizeof text - at);
}

struct shortest {
    char digits[20];
    int count; /* of digits, no trailing zeros; "0" for zero */
    int point; /* value = 0.digits * 10^point */
};

static uint64_t round_to_odd(uint64_t hi, uint64_t lo, uint64_t cp)
{
    unsigned __int128 x = (unsigned __int128)lo * cp;
    unsigned __int128 y = (unsigned __int128)hi * cp + (uint64_t)(x >> 64);
    return (uint64_t)(y >> 64) | ((uint64_t)y > 1);
}

/* Schubfach wants the power rounded up; the table is rounded down and exact from 10^0 to 10^55. */
static struct pow10 power_up(int e)
{
    struct pow10 p = pow10_table[e - POW10_MIN];
    if (e < 0 || e > 55) {
        p.lo++;
        p.hi += p.lo == 0;
    }
    return p;
}

static void decimal_of(uint64_t fraction, int biased, uint64_t *digits, int *exponent)
{
    const int bias = 1075;
    uint64_t c = fraction;
    int q = 1 - bias;
    if (biased) {
        c |= 1ull << 52;
        q = biased - bias;
        if (q <= 0 && q > -53 && (c & ((1ull << -q) - 1)) == 0) {
            *digits = c >> -q; /* a small integer */
            *exponent = 0;
            return;
        }
    }
    bool odd = c & 1;
    bool closer_below = fraction == 0 && biased > 1;
    uint64_t below = 4 * c - 2 + closer_below, at = 4 * c, above = 4 * c + 2;
    int k = (q * 1262611 - (closer_below ? 524031 : 0)) >> 22; /* floor(log10 of the interval) */
    int h = q + ((-k * 1741647) >> 19) + 1;                   /* q + floor(log2(10^-k)) + 1 */
    struct pow10 g = power_up(-k);
    uint64_t lower = round_to_odd(g.hi, g.lo, below << h) + odd;
    uint64_t v = round_to_odd(g.hi, g.lo, at << h);
    uint64_t upper = round_to_odd(g.hi, g.lo, above << h) - odd;
    uint64_t s = v / 4;
    if (s >= 10) {
        uint64_t tens = s / 10;
        bool down_fits = lower <= 40 * tens, up_fits = 40 * tens + 40 <= upper;
        if (down_fits != up_fits) {
            *digits = tens + up_fits;
            *exponent = k + 1;
            return;
        }
    }
    bool down_fits = lower <= 4 * s, up_fits = 4 * s + 4 <= upper;
    *exponent = k;
    if (down_fits != up_fits) {
        *digits = s + up_fits;
        return;
    }
    uint64_t mid = 4 * s + 2;
    *digits = s + (v > mid || (v == mid && (s & 1)));
}

static void shortest_of(double magnitude, struct shortest *out)
{
    uint64_t bits;
    memcpy(&bits, &magnitude, sizeof bits);
    ASSERT(bits >> 63 == 0);
    if (bits == 0) {
        *out = (struct shortest){ .digits = "0", .count = 1, .point = 1 };
        return;
    }
    uint64_t digits;
    int exponent;
    decimal_of(bits & ((1ull << 52) - 1), (int)(bits >> 52), &digits, &exponent);
    while (digits % 10 == 0) {
        digits /= 10;
        exponent++;
    }
    out->count = (int)(num_put_u64(out->digits, digits) - out->digits);
    out->point = out->count + exponent;
}

/* A cursor over a fixed array whose size the callers have reckoned: 17 digits, sign, point, "e-308". */
static char *put(char *p, const char *bytes, int n)
{
    memcpy(p, bytes, (size_t)n);
    return p + n;
}

static char *put_e(char *p, const struct shortest *s, char e)
{
    *p++ = s->digits[0];
    if (s->count > 1) {
        *p++ = '.';
        p = put(p, s->digits + 1, s->count - 1);
    }
    int exponent = s->point - 1;
    bool zero = s->count == 1 && s->digits[0] == '0';
    if (zero)
        exponent = 0;
    *p++ = e;
    *p++ = exponent < 0 ? '-' : '+';
    if (exponent < 0)
        exponent = -exponent;
    if (exponent >= 100)
        *p++ = (char)('0' + exponent / 100);
    *p++ = (char)('0' + exponent / 10 % 10);
    *p++ = (char)('0' + exponent % 10);
    return p;
}

/* For 1e-6 <= value < 1e21 or 0. */
static char *put_f_plain(char *p, const struct shortest *s)
{
    if (s->point <= 0) {
        p = put(p, "0.00000", 2 - s->point);
        return put(p, s->digits, s->count);
    }
    if (s->point >= s->count) {
        p = put(p, s->digits, s->count);
        return put(p, "00000000000000000000", s->point - s->count);
    }
    p = put(p, s->digits, s->point);
    *p++ = '.';
    return put(p, s->digits + s->point, s->count - s->point);
}

static void write_f(struct buf *b, const struct shortest *s)
{
    if (s->point <= 0) {
        buf_append(b, "0.", 2);
        buf_fill(b, '0', (size_t)-s->point);
        buf_append(b, s->digits, (size_t)s->count);
    } else if (s->point >= s->count) {
        buf_append(b, s->digits, (size_t)s->count);
        buf_fill(b, '0', (size_t)(s->point - s->count));
    } else {
        buf_append(b, s->digits, (size_t)s->point);
        buf_byte(b, '.');
        buf_append(b, s->digits + s->point, (size_t)(s->count - s->point));
    }
}

static char *put_f_small(char *p, const struct shortest *s) /* 1e-4 <= value < 1e6 */
{
    if (s->point <= 0) {
        p = put(p, "0.", 2);
        p = put(p, "0000", -s->point);
        return put(p, s->digits, s->count);
    }
    if (s->point >= s->count) {
        p = put(p, s->digits, s->count);
        return put(p, "000000", s->point - s->count);
    }
    p = put(p, s->digits, s->point);
    *p++ = '.';
    return put(p, s->digits + s->point, s->count - s->point);
}

static const char *special(double v)
{
    if (isnan(v))
        return "NaN";
    if (isinf(v))
        return v > 0 ? "+Inf" : "-Inf";
    return NULL;
}

/* Go decides 'g' for the shortest form as if the precision were 6. */
static size_t format_g(char *out, double v, char e)
{
    const char *name = special(v);
    if (name) {
        size_t n = strlen(name);
        memcpy(out, name, n);
        return n;
    }
    struct shortest s;
    shortest_of(fabs(v), &s);
    char *p = out;
    if (signbit(v))
        *p++ = '-';
    int exponent = s.point - 1;
    p = exponent < -4 || exponent >= 6 ? put_e(p, &s, e) : put_f_small(p, &s);
    return (size_t)(p - out);
}

size_t num_format_f64(char out[NUM_F64_MAX], double v)
{
    return format_g(out, v, 'e');
}

static void write_given(struct buf *b, double v, char fmt, int precision)
{
    switch (fmt) {
    case 'e': buf_printf(b, "%.*e", precision, v); break;
    case 'E': buf_printf(b, "%.*E", precision, v); break;
    case 'f': buf_printf(b, "%.*f", precision, v); break;
    case 'g': buf_printf(b, "%.*g", precision, v); break;
    case 'G': buf_printf(b, "%.*G", precision, v); break;
    default: ASSERT(strchr("eEfgG", fmt) != NULL);
    }
}

void num_write_f64(struct buf *b, double v, char fmt, int precision)
{
    const char *name = special(v);
    if (name) {
        buf_c(b, name);
        return;
    }
    if (precision >= 0) {
        write_given(b, v, fmt, precision);
        return;
    }
    char text[NUM_F64_MAX];
    if (fmt == 'g' || fmt == 'G') {
        buf_append(b, text, format_g(text, v, fmt == 'g' ? 'e' : 'E'));
        return;
    }
    struct shortest s;
    shortest_of(fabs(v), &s);
    if (signbit(v))
        buf_byte(b, '-');
    if (fmt == 'f') {
        write_f(b, &s);
        return;
    }
    ASSERT(fmt == 'e' || fmt == 'E');
    buf_append(b, text, (size_t)(put_e(text, &s, fmt) - text));
}

char *num_put_plain(char *p, double v)
{
    const char *name = special(v);
    if (UNLIKELY(name != NULL))
        return put(p, name, (int)strlen(name));
    double a = fabs(v);
    if (signbit(v))
        *p++ = '-';
    if (a < 1e15 && a == trunc(a))
        return num_put_u64(p, (uint64_t)a);
    struct shortest s;
    shortest_of(a, &s);
    return a >= 1e-6 && a < 1e21 ? put_f_plain(p, &s) : put_e(p, &s, 'e');
}

void num_write_json_f64(struct buf *b, double v)
{
    double magnitude = fabs(v);
    if (magnitude == 0 || (magnitude >= 1e-6 && magnitude < 1e21)) {
        num_write_f64(b, v, 'f', -1);
        return;
    }
    ASSERT(!isnan(v) && !isinf(v)); /* JSON has no word for them: the caller's decision */
    struct shortest s;
    shortest_of(magnitude, &s);
    char text[NUM_F64_MAX];
    size_t n = (size_t)(put_e(text, &s, 'e') - text);
    if (text[n - 2] == '0' && text[n - 3] == '-') { /* e-09 to e-9 */
        text[n - 2] = text[n - 1];
        n--;
    }
    if (v < 0)
        buf_byte(b, '-');
    buf_append(b, text, n);
}
