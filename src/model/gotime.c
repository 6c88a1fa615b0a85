/* Go's layouts: the table of elements, and formatting. Parsing is in gotime_parse.c.
 *
 * A layout is read left to right, element by element; an element is recognised by its first byte and the longest form
 * that fits, exactly as Go does it, quirks included: "Janet" holds no month because a small letter follows, "_2006"
 * is an underscore and a year. */
#include "model/gotime.h"

#include "model/gotime_int.h"

void go_time_quote(struct buf *b, struct str s)
{
    static const char digits[] = "0123456789abcdef";
    buf_byte(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 128 || c < ' ') {
            char hex[4] = { '\\', 'x', digits[c >> 4], digits[c & 15] };
            buf_append(b, hex, sizeof hex);
            continue;
        }
        if (c == '"' || c == '\\')
            buf_byte(b, '\\');
        buf_byte(b, (char)c);
    }
    buf_byte(b, '"');
}

static const struct str month_names[] = {
    STR_INIT("January"), STR_INIT("February"), STR_INIT("March"), STR_INIT("April"), STR_INIT("May"),
    STR_INIT("June"), STR_INIT("July"), STR_INIT("August"), STR_INIT("September"), STR_INIT("October"),
    STR_INIT("November"), STR_INIT("December"),
};
static const struct str weekday_names[] = {
    STR_INIT("Sunday"), STR_INIT("Monday"), STR_INIT("Tuesday"), STR_INIT("Wednesday"), STR_INIT("Thursday"),
    STR_INIT("Friday"), STR_INIT("Saturday"),
};

struct str go_month_name(int month)
{
    return month >= 1 && month <= 12 ? month_names[month - 1] : STR_EMPTY;
}

struct str go_weekday_name(int weekday)
{
    return weekday >= 0 && weekday <= 6 ? weekday_names[weekday] : STR_EMPTY;
}

/* Elements by their text. Of two that fit the earlier row wins. */
static const struct row {
    struct str text;
    enum layout_element element;
    bool no_lower_after; /* not an element if a small letter follows */
} rows[] = {
    { STR_INIT("January"), LAYOUT_LONG_MONTH, false },  { STR_INIT("Jan"), LAYOUT_MONTH, true },
    { STR_INIT("Monday"), LAYOUT_LONG_WEEKDAY, false }, { STR_INIT("Mon"), LAYOUT_WEEKDAY, true },
    { STR_INIT("MST"), LAYOUT_ZONE_NAME, false },       { STR_INIT("01"), LAYOUT_ZERO_MONTH, false },
    { STR_INIT("02"), LAYOUT_ZERO_DAY, false },         { STR_INIT("03"), LAYOUT_ZERO_HOUR12, false },
    { STR_INIT("04"), LAYOUT_ZERO_MINUTE, false },      { STR_INIT("05"), LAYOUT_ZERO_SECOND, false },
    { STR_INIT("06"), LAYOUT_YEAR, false },             { STR_INIT("002"), LAYOUT_ZERO_YEARDAY, false },
    { STR_INIT("15"), LAYOUT_HOUR, false },             { STR_INIT("1"), LAYOUT_NUM_MONTH, false },
    { STR_INIT("2006"), LAYOUT_LONG_YEAR, false },      { STR_INIT("2"), LAYOUT_DAY, false },
    { STR_INIT("_2006"), LAYOUT_END, false }, /* an underscore, then the year: see layout_at() */
    { STR_INIT("_2"), LAYOUT_UNDER_DAY, false },        { STR_INIT("__2"), LAYOUT_UNDER_YEARDAY, false },
    { STR_INIT("3"), LAYOUT_HOUR12, false },            { STR_INIT("4"), LAYOUT_MINUTE, false },
    { STR_INIT("5"), LAYOUT_SECOND, false },            { STR_INIT("PM"), LAYOUT_PM, false },
    { STR_INIT("pm"), LAYOUT_PM_LOWER, false },
};

/* Forms of an offset behind '-' or 'Z', in the order Go tries them. */
static const struct offset_row {
    struct str text;
    bool colon, minutes, seconds;
} offset_rows[] = {
    { STR_INIT("070000"), false, true, true }, { STR_INIT("07:00:00"), true, true, true },
    { STR_INIT("0700"), false, true, false },  { STR_INIT("07:00"), true, true, false },
    { STR_INIT("07"), false, false, false },
};

static bool offset_at(struct str s, struct layout_chunk *chunk)
{
    struct str behind = str_from(s, 1);
    for (size_t i = 0; i < ARRAY_LEN(offset_rows); i++) {
        const struct offset_row *row = &offset_rows[i];
        if (!str_starts(behind, row->text))
            continue;
        chunk->element = LAYOUT_OFFSET;
        chunk->text = str_sub(s, 0, row->text.n + 1);
        chunk->z = s.p[0] == 'Z';
        chunk->colon = row->colon;
        chunk->minutes = row->minutes;
        chunk->seconds = row->seconds;
        return true;
    }
    return false;
}

/* .000 or ,999: one digit repeated, and no other digit behind. */
static bool fraction_at(struct str s, struct layout_chunk *chunk)
{
    if (s.n < 2 || (s.p[1] != '0' && s.p[1] != '9'))
        return false;
    size_t n = 1;
    while (n < s.n && s.p[n] == s.p[1])
        n++;
    if (n < s.n && ascii_is_digit(s.p[n]))
        return false;
    chunk->element = s.p[1] == '0' ? LAYOUT_FRACTION_0 : LAYOUT_FRACTION_9;
    chunk->text = str_sub(s, 0, n);
    chunk->digits = n - 1;
    chunk->point = s.p[0];
    return true;
}

static bool layout_at(struct str s, struct layout_chunk *chunk)
{
    char first = s.p[0];
    if (first == '-' || first == 'Z')
        return offset_at(s, chunk);
    if (first == '.' || first == ',')
        return fraction_at(s, chunk);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *row = &rows[i];
        if (!str_starts(s, row->text))
            continue;
        char after = s.n > row->text.n ? s.p[row->text.n] : '\0';
        if (row->no_lower_after && after >= 'a' && after <= 'z')
            continue;
        chunk->element = row->element;
        chunk->text = str_sub(s, 0, row->text.n);
        return row->element != LAYOUT_END;
    }
    return false;
}

void layout_next(struct str *layout, struct layout_chunk *chunk)
{
    for (size_t i = 0; i < layout->n; i++) {
        *chunk = (struct layout_chunk){ .element = LAYOUT_END };
        if (!layout_at(str_from(*layout, i), chunk))
            continue;
        chunk->literal = str_sub(*layout, 0, i);
        *layout = str_from(*layout, i + chunk->text.n);
        return;
    }
    *chunk = (struct layout_chunk){ .literal = *layout, .text = STR_EMPTY };
    *layout = STR_EMPTY;
}

struct zone_offset go_time_offset(const struct go_time *t)
{
    struct zone_offset o;
    if (t->fixed)
        return (struct zone_offset){ .offset_s = t->offset_s, .abbreviation = t->abbreviation };
    zone_at(t->zone, t->t.s, &o);
    return o;
}

void go_time_civil(const struct go_time *t, struct civil *c)
{
    civil_from_unix(t->t.s, t->t.ns, go_time_offset(t).offset_s, c);
}

static void write_int(struct buf *b, int64_t v, size_t width)
{
    if (v < 0)
        buf_byte(b, '-');
    uint64_t magnitude = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    size_t digits = 1;
    for (uint64_t rest = magnitude; rest >= 10; rest /= 10)
        digits++;
    if (digits < width)
        buf_fill(b, '0', width - digits);
    buf_u64(b, magnitude);
}

static void write_offset(struct buf *b, const struct layout_chunk *chunk, int32_t offset_s)
{
    if (chunk->z && offset_s == 0) {
        buf_byte(b, 'Z');
        return;
    }
    int32_t minutes = offset_s / 60; /* towards zero, so the sign of less than a minute is lost, as in Go */
    bool negative = minutes < 0;
    buf_byte(b, negative ? '-' : '+');
    minutes = negative ? -minutes : minutes;
    write_int(b, minutes / 60, 2);
    if (chunk->colon)
        buf_byte(b, ':');
    if (chunk->minutes)
        write_int(b, minutes % 60, 2);
    if (!chunk->seconds)
        return;
    if (chunk->colon)
        buf_byte(b, ':');
    write_int(b, (negative ? -offset_s : offset_s) % 60, 2);
}

static void write_zone_name(struct buf *b, const struct zone_offset *o)
{
    static const struct layout_chunk plain = { .minutes = true };
    if (o->abbreviation.n > 0)
        buf_str(b, o->abbreviation);
    else
        write_offset(b, &plain, o->offset_s);
}

static void write_fraction(struct buf *b, const struct layout_chunk *chunk, int32_t ns)
{
    bool trim = chunk->element == LAYOUT_FRACTION_9;
    if (trim && ns == 0)
        return;
    size_t from = b->n;
    buf_byte(b, chunk->point);
    write_int(b, ns, 9);
    size_t n = from + 1 + (chunk->digits < 9 ? chunk->digits : 9);
    if (trim) {
        while (n > from + 1 && b->p[n - 1] == '0')
            n--;
        if (n == from + 1)
            n--;
    }
    if (!b->overflow)
        buf_truncate(b, n);
}

static void write_element(struct buf *b, const struct layout_chunk *chunk, const struct civil *c,
                          const struct zone_offset *o)
{
    int hour12 = c->hour % 12 == 0 ? 12 : c->hour % 12;
    switch (chunk->element) {
    case LAYOUT_END:
        break;
    case LAYOUT_LONG_MONTH:
        buf_str(b, go_month_name(c->month));
        break;
    case LAYOUT_MONTH:
        buf_str(b, str_sub(go_month_name(c->month), 0, 3));
        break;
    case LAYOUT_NUM_MONTH:
    case LAYOUT_ZERO_MONTH:
        write_int(b, c->month, chunk->element == LAYOUT_ZERO_MONTH ? 2 : 0);
        break;
    case LAYOUT_LONG_WEEKDAY:
        buf_str(b, go_weekday_name(c->weekday));
        break;
    case LAYOUT_WEEKDAY:
        buf_str(b, str_sub(go_weekday_name(c->weekday), 0, 3));
        break;
    case LAYOUT_UNDER_DAY:
        if (c->day < 10)
            buf_byte(b, ' ');
        write_int(b, c->day, 0);
        break;
    case LAYOUT_DAY:
    case LAYOUT_ZERO_DAY:
        write_int(b, c->day, chunk->element == LAYOUT_ZERO_DAY ? 2 : 0);
        break;
    case LAYOUT_UNDER_YEARDAY:
        buf_fill(b, ' ', c->yearday < 10 ? 2 : c->yearday < 100);
        write_int(b, c->yearday, 0);
        break;
    case LAYOUT_ZERO_YEARDAY:
        write_int(b, c->yearday, 3);
        break;
    case LAYOUT_HOUR:
        write_int(b, c->hour, 2);
        break;
    case LAYOUT_HOUR12:
    case LAYOUT_ZERO_HOUR12:
        write_int(b, hour12, chunk->element == LAYOUT_ZERO_HOUR12 ? 2 : 0);
        break;
    case LAYOUT_MINUTE:
    case LAYOUT_ZERO_MINUTE:
        write_int(b, c->minute, chunk->element == LAYOUT_ZERO_MINUTE ? 2 : 0);
        break;
    case LAYOUT_SECOND:
    case LAYOUT_ZERO_SECOND:
        write_int(b, c->second, chunk->element == LAYOUT_ZERO_SECOND ? 2 : 0);
        break;
    case LAYOUT_LONG_YEAR:
        write_int(b, c->year, 4);
        break;
    case LAYOUT_YEAR:
        write_int(b, c->year < 0 ? 0 : c->year % 100, 2);
        break;
    case LAYOUT_PM:
        buf_c(b, c->hour >= 12 ? "PM" : "AM");
        break;
    case LAYOUT_PM_LOWER:
        buf_c(b, c->hour >= 12 ? "pm" : "am");
        break;
    case LAYOUT_ZONE_NAME:
        write_zone_name(b, o);
        break;
    case LAYOUT_OFFSET:
        write_offset(b, chunk, o->offset_s);
        break;
    case LAYOUT_FRACTION_0:
    case LAYOUT_FRACTION_9:
        write_fraction(b, chunk, c->ns);
        break;
    }
}

void go_time_format(struct buf *b, struct str layout, const struct go_time *t)
{
    struct civil c;
    struct zone_offset o = go_time_offset(t);
    civil_from_unix(t->t.s, t->t.ns, o.offset_s, &c);
    struct layout_chunk chunk;
    do {
        layout_next(&layout, &chunk);
        buf_str(b, chunk.literal);
        write_element(b, &chunk, &c, &o);
    } while (chunk.element != LAYOUT_END);
}
