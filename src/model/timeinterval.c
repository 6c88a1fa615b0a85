/* Time intervals: texts to ranges, and the question whether a time is inside (spec/alertmanager.md 2.7).
 *
 * Every field is a list of ranges of small numbers. Texts of all fields but times go through one function: lower case,
 * split at the colon, read each side by the field's own reader, then check the pair. */
#include "model/timeinterval.h"

#include "base/num.h"
#include "base/utf8.h"
#include "model/gotime.h"

#include <unicase.h>

static bool parse_minute(struct str text, int64_t *minute, struct err *err)
{
    bool shaped = text.n == 5 && text.p[2] == ':' && ascii_is_digit(text.p[0]) && ascii_is_digit(text.p[1]) &&
                  ascii_is_digit(text.p[3]) && ascii_is_digit(text.p[4]);
    int64_t hours = 0, minutes = 0;
    if (shaped) {
        hours = (text.p[0] - '0') * 10 + (text.p[1] - '0');
        minutes = (text.p[3] - '0') * 10 + (text.p[4] - '0');
    }
    if (!shaped || hours > 24 || minutes > 59 || (hours == 24 && minutes > 0))
        return err_set(err, ERR_INVALID, "couldn't parse timestamp %.*s, invalid format", STR_ARG(text));
    *minute = hours * 60 + minutes;
    return true;
}

bool interval_parse_times(struct str start, struct str end, struct interval_range *r, struct err *err)
{
    if (start.n == 0 || end.n == 0)
        return err_set(err, ERR_INVALID, "both start and end times must be provided");
    if (!parse_minute(start, &r->begin, err) || !parse_minute(end, &r->end, err))
        return false;
    if (r->begin >= r->end)
        return err_set(err, ERR_INVALID, "start time cannot be equal or greater than end time");
    return true;
}

typedef bool read_member(struct str text, int64_t *v, struct err *err);

static bool read_integer(struct str text, int64_t *v, struct err *err)
{
    if (num_parse_i64(text, 10, v))
        return true;
    struct str digits = str_starts(text, STR("-")) || str_starts(text, STR("+")) ? str_from(text, 1) : text;
    bool all_digits = digits.n > 0;
    for (size_t i = 0; i < digits.n; i++)
        all_digits = all_digits && ascii_is_digit(digits.p[i]);
    struct buf message = { 0 };
    buf_c(&message, "strconv.Atoi: parsing ");
    go_quote(&message, text);
    buf_c(&message, all_digits ? ": value out of range" : ": invalid syntax");
    err_set(err, ERR_INVALID, "%s", message.p);
    buf_deinit(&message);
    return false;
}

static bool read_weekday(struct str text, int64_t *v, struct err *err)
{
    for (int day = 0; day < 7; day++)
        if (str_eq_nocase(text, go_weekday_name(day))) {
            *v = day;
            return true;
        }
    return err_set(err, ERR_INVALID, "%.*s is not a valid weekday", STR_ARG(text));
}

static bool read_month(struct str text, int64_t *v, struct err *err)
{
    for (int month = 1; month <= 12; month++)
        if (str_eq_nocase(text, go_month_name(month))) {
            *v = month;
            return true;
        }
    return num_parse_i64(text, 10, v) || err_set(err, ERR_INVALID, "%.*s is not a valid month", STR_ARG(text));
}

static void lower(struct buf *out, struct str text)
{
    while (text.n > 0) {
        size_t size;
        rune r = utf8_decode(text, &size);
        utf8_append(out, uc_tolower(r));
        text = str_from(text, size);
    }
}

static bool parse_lower(struct str text, read_member *read, struct interval_range *r, struct err *err)
{
    struct str rest = text, head, tail;
    (void)str_split(&rest, ':', &head);
    if (!str_split(&rest, ':', &tail)) {
        if (!read(head, &r->begin, err))
            return false;
        r->end = r->begin;
        return true;
    }
    struct str more;
    if (str_split(&rest, ':', &more))
        return err_set(err, ERR_INVALID, "couldn't parse range %.*s, invalid format", STR_ARG(text));
    return read(head, &r->begin, err) && read(tail, &r->end, err);
}

static bool parse_range(struct str text, read_member *read, struct interval_range *r, struct err *err)
{
    struct buf low = { 0 };
    lower(&low, text);
    bool ok = parse_lower(buf_view(&low), read, r, err);
    buf_deinit(&low);
    return ok;
}

bool interval_parse_weekdays(struct str text, struct interval_range *r, struct err *err)
{
    if (!parse_range(text, read_weekday, r, err))
        return false;
    if (r->begin > r->end)
        return err_set(err, ERR_INVALID, "start day cannot be before end day");
    return true;
}

static bool check_day(int64_t day, struct err *err)
{
    if (day == 0 || day < -31 || day > 31)
        return err_set(err, ERR_INVALID, "%lld is not a valid day of the month: out of range", (long long)day);
    return true;
}

bool interval_parse_days_of_month(struct str text, struct interval_range *r, struct err *err)
{
    if (!parse_range(text, read_integer, r, err) || !check_day(r->begin, err) || !check_day(r->end, err))
        return false;
    if (r->begin < 0 && r->end > 0)
        return err_set(err, ERR_INVALID, "end day must be negative if start day is negative");
    /* The shortest month decides what is always wrong. */
    int64_t begin = r->begin < 0 ? 28 + r->begin : r->begin;
    int64_t end = r->end < 0 ? 28 + r->end : r->end;
    if (begin > end)
        return err_set(err, ERR_INVALID, "end day %lld is always before start day %lld", (long long)r->end,
                       (long long)r->begin);
    return true;
}

/* In the words of a configuration; empty outside 1..12. */
static void month_text(struct buf *b, int64_t month)
{
    if (month >= 1 && month <= 12)
        lower(b, go_month_name((int)month));
}

bool interval_parse_months(struct str text, struct interval_range *r, struct err *err)
{
    if (!parse_range(text, read_month, r, err))
        return false;
    if (r->begin <= r->end)
        return true;
    struct buf message = { 0 };
    buf_c(&message, "end month ");
    month_text(&message, r->end);
    buf_c(&message, " is before start month ");
    month_text(&message, r->begin);
    err_set(err, ERR_INVALID, "%s", message.p);
    buf_deinit(&message);
    return false;
}

bool interval_parse_years(struct str text, struct interval_range *r, struct err *err)
{
    if (!parse_range(text, read_integer, r, err))
        return false;
    if (r->begin > r->end)
        return err_set(err, ERR_INVALID, "end year %lld is before start year %lld", (long long)r->end,
                       (long long)r->begin);
    return true;
}

static bool in_ranges(const struct interval_ranges *ranges, int64_t v)
{
    if (!ranges->present)
        return true;
    for (size_t i = 0; i < ranges->n; i++)
        if (v >= ranges->v[i].begin && v <= ranges->v[i].end)
            return true;
    return false;
}

static bool in_times(const struct interval_ranges *ranges, int64_t minute)
{
    if (!ranges->present)
        return true;
    for (size_t i = 0; i < ranges->n; i++)
        if (minute >= ranges->v[i].begin && minute < ranges->v[i].end)
            return true;
    return false;
}

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

static bool in_days_of_month(const struct interval_ranges *ranges, const struct civil *c)
{
    if (!ranges->present)
        return true;
    struct civil first = { .year = c->year, .month = c->month, .day = 1 };
    struct civil next = { .year = c->year, .month = c->month + 1, .day = 1 };
    int64_t length = (civil_to_unix(&next) - civil_to_unix(&first)) / 86400;
    for (size_t i = 0; i < ranges->n; i++) {
        struct interval_range r = ranges->v[i];
        int64_t begin = r.begin < 0 ? length + r.begin + 1 : r.begin;
        int64_t end = r.end < 0 ? length + r.end + 1 : r.end;
        if (begin > length)
            continue;
        if (c->day >= clamp(begin, -length, length) && c->day <= clamp(end, -length, length))
            return true;
    }
    return false;
}

bool time_interval_contains(const struct time_interval *iv, int64_t unix_s)
{
    struct civil c;
    zone_civil(iv->zone, (struct wire_time){ unix_s, 0 }, &c);
    return in_times(&iv->times, c.hour * 60 + c.minute) && in_days_of_month(&iv->days_of_month, &c) &&
           in_ranges(&iv->months, c.month) && in_ranges(&iv->weekdays, c.weekday) && in_ranges(&iv->years, c.year);
}

void time_interval_deinit(struct time_interval *iv)
{
    zone_release(iv->zone);
    *iv = (struct time_interval){ 0 };
}

void interval_write_minute(struct buf *b, int64_t minute)
{
    buf_printf(b, "%02d:%02d", (int)(minute / 60), (int)(minute % 60));
}

void interval_write_weekdays(struct buf *b, struct interval_range r)
{
    lower(b, go_weekday_name((int)r.begin));
    if (r.end != r.begin) {
        buf_byte(b, ':');
        lower(b, go_weekday_name((int)r.end));
    }
}

void interval_write_numbers(struct buf *b, struct interval_range r)
{
    buf_i64(b, r.begin);
    if (r.end != r.begin) {
        buf_byte(b, ':');
        buf_i64(b, r.end);
    }
}
