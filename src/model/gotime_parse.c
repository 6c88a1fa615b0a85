/* time.Parse. Fields are collected element by element, then checked and put together; the first failure decides the
 * error, and which part of the text it quotes is Go's choice, so the order of the steps here is Go's. */
#include "model/gotime.h"

#include "model/gotime_int.h"

#include <stdio.h>

enum { UNSET = -1 };

struct parsed {
    struct str layout, text; /* whole, for errors */
    struct str rest;
    struct err *err;
    int64_t year;
    int month, day, yearday;
    int hour, minute, second, ns;
    bool am, pm;
    bool utc;        /* a Z or "UTC" was read */
    bool has_offset; /* offset_s counts. Go writes "none" as -1 s, so an offset of that is none here, too */
    int32_t offset_s;
    struct str zone_name;
    const char *out_of_range; /* the field, or NULL */
};

static bool fail(const struct parsed *p, struct str element, struct str rest)
{
    struct buf text = { 0 };
    buf_c(&text, "parsing time ");
    go_time_quote(&text, p->text);
    buf_c(&text, " as ");
    go_time_quote(&text, p->layout);
    buf_c(&text, ": cannot parse ");
    go_time_quote(&text, rest);
    buf_c(&text, " as ");
    go_time_quote(&text, element);
    err_set(p->err, ERR_INVALID, "%s", text.p);
    buf_deinit(&text);
    return false;
}

static bool fail_message(const struct parsed *p, const char *message, struct str quoted)
{
    struct buf text = { 0 };
    buf_c(&text, "parsing time ");
    go_time_quote(&text, p->text);
    buf_c(&text, message);
    if (quoted.n > 0)
        go_time_quote(&text, quoted);
    err_set(p->err, ERR_INVALID, "%s", text.p);
    buf_deinit(&text);
    return false;
}

static bool digit_at(struct str s, size_t at)
{
    return at < s.n && ascii_is_digit(s.p[at]);
}

static struct str cut_spaces(struct str s)
{
    while (s.n > 0 && s.p[0] == ' ')
        s = str_from(s, 1);
    return s;
}

/* A run of spaces in the layout stands for any number of spaces, none only at the end of the text. */
static bool skip_literal(struct parsed *p, struct str literal)
{
    while (literal.n > 0) {
        if (literal.p[0] == ' ') {
            if (p->rest.n > 0 && p->rest.p[0] != ' ')
                return false;
            literal = cut_spaces(literal);
            p->rest = cut_spaces(p->rest);
            continue;
        }
        if (p->rest.n == 0 || p->rest.p[0] != literal.p[0])
            return false;
        literal = str_from(literal, 1);
        p->rest = str_from(p->rest, 1);
    }
    return true;
}

/* One or two digits; two if `fixed`. */
static bool read_number(struct str *rest, bool fixed, int *v)
{
    if (!digit_at(*rest, 0) || (fixed && !digit_at(*rest, 1)))
        return false;
    size_t n = digit_at(*rest, 1) ? 2 : 1;
    *v = rest->p[0] - '0';
    if (n == 2)
        *v = *v * 10 + (rest->p[1] - '0');
    *rest = str_from(*rest, n);
    return true;
}

static bool read_yearday(struct parsed *p, bool fixed)
{
    for (int i = 0; i < 2 && !fixed && str_starts(p->rest, STR(" ")); i++)
        p->rest = str_from(p->rest, 1);
    size_t n = 0;
    int v = 0;
    for (; n < 3 && digit_at(p->rest, n); n++)
        v = v * 10 + (p->rest.p[n] - '0');
    if (n == 0 || (fixed && n != 3))
        return false;
    p->yearday = v;
    p->rest = str_from(p->rest, n);
    return true;
}

/* Go's atoi: an optional sign, then digits, possibly none. */
static bool read_signed(struct str s, int64_t *v)
{
    bool negative = str_starts(s, STR("-"));
    if (negative || str_starts(s, STR("+")))
        s = str_from(s, 1);
    *v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (!ascii_is_digit(s.p[i]))
            return false;
        *v = *v * 10 + (s.p[i] - '0');
    }
    *v = negative ? -*v : *v;
    return true;
}

static bool read_year(struct parsed *p, size_t digits)
{
    if (p->rest.n < digits || (digits == 4 && !digit_at(p->rest, 0)))
        return false;
    struct str text = str_sub(p->rest, 0, digits);
    p->rest = str_from(p->rest, digits);
    if (!read_signed(text, &p->year))
        return false;
    if (digits == 2)
        p->year += p->year >= 69 ? 1900 : 2000;
    return true;
}

static bool read_name(struct parsed *p, struct str (*name)(int), int first, int last, size_t length, int *v)
{
    for (int i = first; i <= last; i++) {
        struct str full = name(i);
        struct str want = str_sub(full, 0, length < full.n ? length : full.n);
        if (p->rest.n >= want.n && str_eq_nocase(str_sub(p->rest, 0, want.n), want)) {
            p->rest = str_from(p->rest, want.n);
            *v = i;
            return true;
        }
    }
    return false;
}

/* ".123" of n bytes, as ns. */
static bool read_fraction(struct parsed *p, size_t n)
{
    struct str text = str_sub(p->rest, 0, n < 10 ? n : 10);
    p->rest = str_from(p->rest, n);
    int64_t v;
    if ((text.p[0] != '.' && text.p[0] != ',') || !read_signed(str_from(text, 1), &v))
        return false;
    if (v < 0) {
        p->out_of_range = "fractional second";
        return true;
    }
    for (size_t i = text.n; i < 10; i++)
        v *= 10;
    p->ns = (int)v;
    return true;
}

static bool starts_fraction(struct str s)
{
    return s.n >= 2 && (s.p[0] == '.' || s.p[0] == ',') && digit_at(s, 1);
}

static size_t fraction_length(struct str s)
{
    size_t n = 1;
    while (digit_at(s, n))
        n++;
    return n;
}

static bool read_second(struct parsed *p, bool fixed, struct str layout)
{
    if (!read_number(&p->rest, fixed, &p->second))
        return false;
    if (p->second >= 60) {
        p->out_of_range = "second";
        return true;
    }
    if (!starts_fraction(p->rest))
        return true;
    struct layout_chunk next;
    layout_next(&layout, &next);
    if (next.element == LAYOUT_FRACTION_0 || next.element == LAYOUT_FRACTION_9)
        return true; /* its own element takes it */
    return read_fraction(p, fraction_length(p->rest));
}

static bool read_offset(struct parsed *p, const struct layout_chunk *chunk)
{
    struct str s = p->rest;
    if (chunk->z && s.n > 0 && s.p[0] == 'Z') {
        p->utc = true;
        p->rest = str_from(s, 1);
        return true;
    }
    size_t length = chunk->text.n; /* an offset is as long as its element */
    if (s.n < length || (chunk->colon && s.p[3] != ':') || (chunk->colon && chunk->seconds && s.p[6] != ':'))
        return false;
    p->rest = str_from(s, length);
    size_t step = chunk->colon ? 3 : 2;
    int part[3] = { 0 };
    size_t parts = chunk->seconds ? 3 : chunk->minutes ? 2 : 1;
    bool ok = s.p[0] == '+' || s.p[0] == '-';
    bool digits_ok = true;
    for (size_t i = 0; i < parts && digits_ok; i++) {
        struct str digits = str_sub(s, 1 + i * step, 2);
        digits_ok = read_number(&digits, true, &part[i]);
    }
    /* 24 hours, 60 minutes: some people write that, and Go lets them. */
    if (part[0] > 24)
        p->out_of_range = "time zone offset hour";
    if (part[1] > 60)
        p->out_of_range = "time zone offset minute";
    if (part[2] > 60)
        p->out_of_range = "time zone offset second";
    p->offset_s = (part[0] * 60 + part[1]) * 60 + part[2];
    if (s.p[0] == '-')
        p->offset_s = -p->offset_s;
    p->has_offset = p->offset_s != -1;
    return ok && digits_ok;
}

/* +3, -11: at most 23. 0 if it is none. */
static size_t signed_hours_length(struct str s)
{
    if (s.n == 0 || (s.p[0] != '+' && s.p[0] != '-'))
        return 0;
    size_t n = 1;
    int v = 0;
    for (; digit_at(s, n); n++)
        if ((v = v * 10 + (s.p[n] - '0')) > 23)
            return 0;
    return n > 1 ? n : 0;
}

/* How long is the zone abbreviation at the front? 0 if there is none. */
static size_t zone_name_length(struct str s)
{
    if (s.n < 3)
        return 0;
    if (str_starts(s, STR("ChST")) || str_starts(s, STR("MeST")))
        return 4;
    if (str_starts(s, STR("GMT")))
        return 3 + signed_hours_length(str_from(s, 3));
    if (s.p[0] == '+' || s.p[0] == '-')
        return signed_hours_length(s);
    size_t n = 0;
    while (n < 6 && n < s.n && s.p[n] >= 'A' && s.p[n] <= 'Z')
        n++;
    bool fits = n == 3 || (n == 5 && s.p[4] == 'T') ||
                (n == 4 && (s.p[3] == 'T' || str_starts(s, STR("WITA"))));
    return fits ? n : 0;
}

static bool read_zone_name(struct parsed *p)
{
    if (str_starts(p->rest, STR("UTC"))) {
        p->utc = true;
        p->rest = str_from(p->rest, 3);
        return true;
    }
    size_t n = zone_name_length(p->rest);
    p->zone_name = str_sub(p->rest, 0, n);
    p->rest = str_from(p->rest, n);
    return n > 0;
}

static bool read_half(struct parsed *p, struct str am, struct str pm)
{
    if (p->rest.n < 2)
        return false;
    struct str half = str_sub(p->rest, 0, 2);
    p->rest = str_from(p->rest, 2);
    p->am = p->am || str_eq(half, am);
    p->pm = p->pm || str_eq(half, pm);
    return str_eq(half, am) || str_eq(half, pm);
}

static bool read_bounded(struct parsed *p, bool fixed, int low, int high, const char *name, int *v)
{
    if (!read_number(&p->rest, fixed, v))
        return false;
    if (*v < low || *v > high)
        p->out_of_range = name;
    return true;
}

static bool read_element(struct parsed *p, const struct layout_chunk *chunk, struct str layout)
{
    enum layout_element e = chunk->element;
    int ignored;
    switch (e) {
    case LAYOUT_END:
        return true;
    case LAYOUT_LONG_MONTH:
        return read_name(p, go_month_name, 1, 12, SIZE_MAX, &p->month);
    case LAYOUT_MONTH:
        return read_name(p, go_month_name, 1, 12, 3, &p->month);
    case LAYOUT_NUM_MONTH:
    case LAYOUT_ZERO_MONTH:
        return read_bounded(p, e == LAYOUT_ZERO_MONTH, 1, 12, "month", &p->month);
    case LAYOUT_LONG_WEEKDAY:
        return read_name(p, go_weekday_name, 0, 6, SIZE_MAX, &ignored);
    case LAYOUT_WEEKDAY:
        return read_name(p, go_weekday_name, 0, 6, 3, &ignored);
    case LAYOUT_UNDER_DAY:
        if (str_starts(p->rest, STR(" ")))
            p->rest = str_from(p->rest, 1);
        return read_number(&p->rest, false, &p->day);
    case LAYOUT_DAY:
    case LAYOUT_ZERO_DAY:
        return read_number(&p->rest, e == LAYOUT_ZERO_DAY, &p->day);
    case LAYOUT_UNDER_YEARDAY:
    case LAYOUT_ZERO_YEARDAY:
        return read_yearday(p, e == LAYOUT_ZERO_YEARDAY);
    case LAYOUT_HOUR:
        return read_bounded(p, false, 0, 23, "hour", &p->hour);
    case LAYOUT_HOUR12:
    case LAYOUT_ZERO_HOUR12:
        return read_bounded(p, e == LAYOUT_ZERO_HOUR12, 0, 12, "hour", &p->hour);
    case LAYOUT_MINUTE:
    case LAYOUT_ZERO_MINUTE:
        return read_bounded(p, e == LAYOUT_ZERO_MINUTE, 0, 59, "minute", &p->minute);
    case LAYOUT_SECOND:
    case LAYOUT_ZERO_SECOND:
        return read_second(p, e == LAYOUT_ZERO_SECOND, layout);
    case LAYOUT_LONG_YEAR:
        return read_year(p, 4);
    case LAYOUT_YEAR:
        return read_year(p, 2);
    case LAYOUT_PM:
        return read_half(p, STR("AM"), STR("PM"));
    case LAYOUT_PM_LOWER:
        return read_half(p, STR("am"), STR("pm"));
    case LAYOUT_ZONE_NAME:
        return read_zone_name(p);
    case LAYOUT_OFFSET:
        return read_offset(p, chunk);
    case LAYOUT_FRACTION_0:
        return p->rest.n >= chunk->digits + 1 && read_fraction(p, chunk->digits + 1);
    case LAYOUT_FRACTION_9:
        return !starts_fraction(p->rest) || read_fraction(p, fraction_length(p->rest));
    }
    return false;
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_in(int month, int64_t year)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Month and day from the day of the year, or the other way round checked. */
static bool settle_date(struct parsed *p)
{
    if (p->yearday != UNSET) {
        int month = 1, day = p->yearday;
        if (day < 1 || day > 365 + is_leap(p->year))
            return fail_message(p, ": day-of-year out of range", STR_EMPTY);
        for (; day > days_in(month, p->year); month++)
            day -= days_in(month, p->year);
        if (p->month != UNSET && p->month != month)
            return fail_message(p, ": day-of-year does not match month", STR_EMPTY);
        if (p->day != UNSET && p->day != day)
            return fail_message(p, ": day-of-year does not match day", STR_EMPTY);
        p->month = month;
        p->day = day;
    }
    if (p->month == UNSET)
        p->month = 1;
    if (p->day == UNSET)
        p->day = 1;
    if (p->day < 1 || p->day > days_in(p->month, p->year))
        return fail_message(p, ": day out of range", STR_EMPTY);
    return true;
}

static void place_in(struct go_time *out, struct wire_time t, const struct zone *zone)
{
    *out = (struct go_time){ .t = t, .zone = zone };
}

static void place_fixed(struct go_time *out, struct wire_time t, struct str name, int32_t offset_s)
{
    *out = (struct go_time){ .t = t, .fixed = true, .offset_s = offset_s, .abbreviation = name };
}

/* Which zone the civil time is in: read from the text, or looked up, or the default. */
static void settle_zone(const struct parsed *p, const struct zone *in, struct go_time *out)
{
    struct civil c = { .year = p->year, .month = p->month, .day = p->day, .hour = p->hour,
                       .minute = p->minute, .second = p->second, .ns = p->ns };
    struct wire_time t = { civil_to_unix(&c), p->ns };
    if (p->utc) {
        place_in(out, t, NULL);
        return;
    }
    if (p->has_offset) {
        t.s -= p->offset_s;
        struct zone_offset here;
        zone_at(in, t.s, &here);
        if (here.offset_s == p->offset_s && (p->zone_name.n == 0 || str_eq(here.abbreviation, p->zone_name)))
            place_in(out, t, in);
        else
            place_fixed(out, t, p->zone_name, p->offset_s);
        return;
    }
    if (p->zone_name.n == 0) {
        place_in(out, zone_from_civil(in, &c), in);
        return;
    }
    int32_t offset_s = 0;
    if (zone_lookup_abbreviation(in, p->zone_name, t.s, &offset_s)) {
        t.s -= offset_s;
        place_in(out, t, in);
        return;
    }
    /* An unknown abbreviation is a zone of that name without an offset; "GMT+3" has one, but moves nothing. */
    int64_t hours = 0;
    if (p->zone_name.n > 3 && str_starts(p->zone_name, STR("GMT")) && read_signed(str_from(p->zone_name, 3), &hours))
        offset_s = (int32_t)hours * 3600;
    place_fixed(out, t, p->zone_name, offset_s);
}

bool go_time_parse(struct str layout, struct str text, const struct zone *in, struct go_time *out, struct err *err)
{
    if (layout.n > GO_TIME_LAYOUT_MAX || text.n > GO_TIME_LAYOUT_MAX)
        return err_set(err, ERR_LIMIT, "time or layout longer than %d bytes", GO_TIME_LAYOUT_MAX);
    struct parsed p = { .layout = layout, .text = text, .rest = text, .err = err,
                        .month = UNSET, .day = UNSET, .yearday = UNSET, .zone_name = STR_EMPTY };
    for (;;) {
        struct layout_chunk chunk;
        layout_next(&layout, &chunk);
        if (!skip_literal(&p, chunk.literal))
            return fail(&p, chunk.literal, p.rest);
        if (chunk.element == LAYOUT_END)
            break;
        struct str before = p.rest;
        bool read = read_element(&p, &chunk, layout);
        if (p.out_of_range != NULL) {
            char message[64];
            snprintf(message, sizeof message, ": %s out of range", p.out_of_range);
            return fail_message(&p, message, STR_EMPTY);
        }
        if (!read)
            return fail(&p, chunk.text, before);
    }
    if (p.rest.n > 0)
        return fail_message(&p, ": extra text: ", p.rest);
    if (p.pm && p.hour < 12)
        p.hour += 12;
    else if (p.am && p.hour == 12)
        p.hour = 0;
    if (!settle_date(&p))
        return false;
    settle_zone(&p, in, out);
    return true;
}
