/* Units of time and the civil calendar. The calendar is the proleptic Gregorian one, without leap seconds, computed
 * with days counted from 1 March of year 0 in 400-year eras (Hinnant's algorithms), so it holds for every int64 second
 * that Go can print. Saturates instead of overflowing at the ends. */
#include "base/clock.h"

#include "base/compiler.h"

static const int64_t NS_PER_S = 1000000000;
static const int64_t DAY_S = 86400;

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return a % b < 0 ? q - 1 : q;
}

static int64_t saturating_add(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return b < 0 ? INT64_MIN : INT64_MAX;
    return sum;
}

struct wire_time wire_time_from_ms(wall_ms t)
{
    int64_t s = floor_div(t, 1000);
    return (struct wire_time){ s, (int32_t)(t - s * 1000) * 1000000 };
}

wall_ms wire_time_to_ms(struct wire_time t)
{
    int64_t ms;
    if (__builtin_mul_overflow(t.s, 1000, &ms))
        return t.s < 0 ? INT64_MIN : INT64_MAX;
    return saturating_add(ms, t.ns / 1000000);
}

struct wire_time wire_time_add_ns(struct wire_time t, int64_t ns)
{
    int64_t s = floor_div(ns, NS_PER_S);
    int64_t rest = ns - s * NS_PER_S + t.ns;
    if (rest >= NS_PER_S) {
        rest -= NS_PER_S;
        s++;
    }
    return (struct wire_time){ saturating_add(t.s, s), (int32_t)rest };
}

struct wire_time wire_time_add_ms(struct wire_time t, int64_t ms)
{
    int64_t s = floor_div(ms, 1000);
    struct wire_time sum = wire_time_add_ns(t, (ms - s * 1000) * 1000000);
    sum.s = saturating_add(sum.s, s);
    return sum;
}

int64_t wire_time_sub_ns(struct wire_time a, struct wire_time b)
{
    __int128 ns = ((__int128)a.s - b.s) * NS_PER_S + (a.ns - b.ns);
    if (ns > INT64_MAX)
        return INT64_MAX;
    return ns < INT64_MIN ? INT64_MIN : (int64_t)ns;
}

/* Days since 1970-01-01 of a civil date; month 1..12, any day. */
static int64_t days_from_civil(int64_t year, int month, int64_t day)
{
    year -= month <= 2;
    int64_t era = floor_div(year, 400);
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468 + (day - 1);
}

void civil_from_unix(int64_t unix_s, int32_t ns, int32_t offset_s, struct civil *out)
{
    int64_t local = saturating_add(unix_s, offset_s);
    int64_t days = floor_div(local, DAY_S);
    int64_t second_of_day = local % DAY_S; /* not local - days * DAY_S: that overflows at the far end */
    if (second_of_day < 0)
        second_of_day += DAY_S;
    int64_t shifted = days + 719468;
    int64_t era = floor_div(shifted, 146097);
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100); /* from 1 March */
    int64_t month_index = (5 * day_of_year + 2) / 153;
    int month = (int)(month_index < 10 ? month_index + 3 : month_index - 9);
    int64_t year = year_of_era + era * 400 + (month <= 2);
    int64_t weekday = (days + 4) % 7; /* 1970-01-01 was a Thursday */
    *out = (struct civil){
        .year = year,
        .month = month,
        .day = (int)(day_of_year - (153 * month_index + 2) / 5 + 1),
        .hour = (int)(second_of_day / 3600),
        .minute = (int)(second_of_day / 60 % 60),
        .second = (int)(second_of_day % 60),
        .ns = ns,
        .weekday = (int)(weekday < 0 ? weekday + 7 : weekday),
        .yearday = (int)(days - days_from_civil(year, 1, 1) + 1),
        .offset_s = offset_s,
    };
}

int64_t civil_to_unix(const struct civil *c)
{
    int64_t months = (int64_t)c->month - 1;
    int64_t year = c->year + floor_div(months, 12);
    int month = (int)(months - floor_div(months, 12) * 12) + 1;
    int64_t days = days_from_civil(year, month, c->day);
    return days * DAY_S + (int64_t)c->hour * 3600 + (int64_t)c->minute * 60 + c->second - c->offset_s;
}

/* RFC 3339 */

static bool digits(struct str s, size_t *at, size_t count, int *v)
{
    if (s.n - *at < count)
        return false;
    int sum = 0;
    for (size_t i = 0; i < count; i++) {
        char c = s.p[*at + i];
        if (!ascii_is_digit(c))
            return false;
        sum = sum * 10 + (c - '0');
    }
    *at += count;
    *v = sum;
    return true;
}

static bool literal(struct str s, size_t *at, char c)
{
    if (*at >= s.n || s.p[*at] != c)
        return false;
    (*at)++;
    return true;
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_in_month(int64_t year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Go reads '.' or ',' followed by any number of digits and cuts what is past nanoseconds. */
static bool parse_fraction(struct str s, size_t *at, int32_t *ns)
{
    *ns = 0;
    if (*at >= s.n || (s.p[*at] != '.' && s.p[*at] != ','))
        return true;
    size_t i = *at + 1;
    if (i >= s.n || !ascii_is_digit(s.p[i]))
        return false;
    int32_t scale = 100000000;
    for (; i < s.n && ascii_is_digit(s.p[i]); i++, scale /= 10)
        *ns += (s.p[i] - '0') * scale;
    *at = i;
    return true;
}

static bool parse_zone(struct str s, size_t *at, int32_t *offset_s)
{
    *offset_s = 0;
    if (literal(s, at, 'Z'))
        return true;
    if (*at >= s.n || (s.p[*at] != '+' && s.p[*at] != '-'))
        return false;
    bool west = s.p[(*at)++] == '-';
    int hours, minutes;
    if (!digits(s, at, 2, &hours) || !literal(s, at, ':') || !digits(s, at, 2, &minutes))
        return false;
    if (hours > 24 || minutes > 60) /* Go's own bounds */
        return false;
    *offset_s = (hours * 3600 + minutes * 60) * (west ? -1 : 1);
    return true;
}

bool rfc3339_parse(struct str s, struct wire_time *t, int32_t *offset_s)
{
    int year;
    struct civil c = { 0 };
    int32_t ns, offset;
    size_t at = 0;
    bool ok = digits(s, &at, 4, &year) && literal(s, &at, '-') && digits(s, &at, 2, &c.month) &&
              literal(s, &at, '-') && digits(s, &at, 2, &c.day) && literal(s, &at, 'T');
    if (!ok)
        return false;
    /* Go's layout "15" also takes an hour of one digit. */
    if (!digits(s, &at, 2, &c.hour) && !digits(s, &at, 1, &c.hour))
        return false;
    ok = literal(s, &at, ':') && digits(s, &at, 2, &c.minute) && literal(s, &at, ':') &&
         digits(s, &at, 2, &c.second) && parse_fraction(s, &at, &ns) && parse_zone(s, &at, &offset);
    if (!ok || at != s.n)
        return false;
    if (c.month < 1 || c.month > 12 || c.day < 1 || c.day > days_in_month(year, c.month) || c.hour > 23 ||
        c.minute > 59 || c.second > 59)
        return false;
    c.year = year;
    c.offset_s = offset;
    *t = (struct wire_time){ civil_to_unix(&c), ns };
    if (offset_s)
        *offset_s = offset;
    return true;
}

static void write_padded(struct buf *b, uint64_t v, int width)
{
    char text[20];
    for (int i = width - 1; i >= 0; i--, v /= 10)
        text[i] = (char)('0' + v % 10);
    buf_append(b, text, (size_t)width);
}

static void write_date_time(struct buf *b, const struct civil *c)
{
    uint64_t year = c->year < 0 ? 0 - (uint64_t)c->year : (uint64_t)c->year;
    if (c->year < 0)
        buf_byte(b, '-');
    if (year > 9999)
        buf_u64(b, year);
    else
        write_padded(b, year, 4);
    const int parts[] = { c->month, c->day, c->hour, c->minute, c->second };
    const char before[] = { '-', '-', 'T', ':', ':' };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        buf_byte(b, before[i]);
        write_padded(b, (uint64_t)parts[i], 2);
    }
}

/* The two digits of 0..99. */
static void put_pair(char *p, unsigned v)
{
    p[0] = (char)('0' + v / 10);
    p[1] = (char)('0' + v % 10);
}

void rfc3339_write_ms(struct buf *b, struct wire_time t)
{
    struct civil c;
    civil_from_unix(t.s, t.ns, 0, &c);
    const unsigned ms = (unsigned)t.ns / 1000000;
    if (UNLIKELY(c.year < 0 || c.year > 9999)) {
        write_date_time(b, &c);
        buf_byte(b, '.');
        write_padded(b, ms, 3);
        buf_byte(b, 'Z');
        return;
    }
    char text[] = "yyyy-mm-ddThh:mm:ss.mmmZ"; /* three of these for each alert that is listed */
    put_pair(text, (unsigned)c.year / 100);
    put_pair(text + 2, (unsigned)c.year % 100);
    put_pair(text + 5, (unsigned)c.month);
    put_pair(text + 8, (unsigned)c.day);
    put_pair(text + 11, (unsigned)c.hour);
    put_pair(text + 14, (unsigned)c.minute);
    put_pair(text + 17, (unsigned)c.second);
    text[20] = (char)('0' + ms / 100);
    put_pair(text + 21, ms % 100);
    buf_append(b, text, sizeof text - 1);
}

void rfc3339_write_nano(struct buf *b, struct wire_time t, int32_t offset_s)
{
    struct civil c;
    civil_from_unix(t.s, t.ns, offset_s, &c);
    write_date_time(b, &c);
    if (t.ns) {
        buf_byte(b, '.');
        int width = 9;
        uint64_t ns = (uint64_t)t.ns;
        for (; ns % 10 == 0; ns /= 10)
            width--;
        write_padded(b, ns, width);
    }
    if (offset_s == 0) {
        buf_byte(b, 'Z');
        return;
    }
    uint64_t minutes = (uint64_t)(offset_s < 0 ? -offset_s : offset_s) / 60;
    buf_byte(b, offset_s < 0 ? '-' : '+');
    write_padded(b, minutes / 60, 2);
    buf_byte(b, ':');
    write_padded(b, minutes % 60, 2);
}
