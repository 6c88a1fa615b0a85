/* TZif: a table of transitions and a rule for what comes after.
 *
 *     header v1 | data v1 (32-bit, skipped) | header v2 | data v2 (64-bit) | \n rule \n
 *     data = times[timecnt] | type of each [timecnt] | types[typecnt]{offset, dst, name} | names[charcnt] | leap | std | ut
 *
 * Looking up a time is a binary search for the last transition at or before it; behind the last one the rule decides.
 * Before the first one Go takes the first type that is not summer time, and so does this.
 *
 *   Z1  times ascend; every type number is below types_count; every name ends inside `names`.
 *   Z2  There is at least one transition: a zone without any gets one at the beginning of time.
 *   Z3  A zone never changes once made; only refs does.
 * Bounds: ZONE_BYTES_MAX of file; counts are checked against the bytes that are there before anything is read. */
#include "model/timezone.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/mem.h"

#include <stdatomic.h>

enum { HEADER_BYTES = 44, TYPE_BYTES = 6, DAY_S = 86400, TYPES_MAX = 256, OFFSET_S_MAX = 7 * DAY_S };

#define FAR_S (INT64_C(1) << 55) /* past a billion years a summer is out of the question */

struct zone_type {
    int32_t offset_s;
    bool dst;
    struct str name;
};

/* When summer time starts or ends in a year: POSIX's Jn, n and Mm.w.d, with a time of day. */
struct rule_date {
    enum { DATE_JULIAN, DATE_DAY, DATE_MONTH_WEEK } kind;
    int day, week, month;
    int32_t time_s;
};
struct rule {
    bool there, has_dst;
    struct zone_type std, dst;
    struct rule_date start, end;
};

struct zone {
    atomic_uint refs;
    bool is_static;
    struct str name;
    struct arena arena;
    const int64_t *times;
    const uint8_t *time_types;
    size_t times_count;
    const struct zone_type *types;
    size_t types_count;
    struct rule rule;
};

static const int64_t utc_times[] = { INT64_MIN };
static const uint8_t utc_time_types[] = { 0 };
static const struct zone_type utc_types[] = { { 0, false, STR_INIT("UTC") } };
static struct zone utc_zone = {
    .is_static = true,
    .name = STR_INIT("UTC"),
    .times = utc_times,
    .time_types = utc_time_types,
    .times_count = 1,
    .types = utc_types,
    .types_count = 1,
};

struct zone *zone_utc(void)
{
    return &utc_zone;
}

struct zone *zone_retain(struct zone *z)
{
    if (!z->is_static)
        atomic_fetch_add_explicit(&z->refs, 1, memory_order_relaxed);
    return z;
}

void zone_release(struct zone *z)
{
    if (z == NULL || z->is_static || atomic_fetch_sub_explicit(&z->refs, 1, memory_order_acq_rel) != 1)
        return;
    arena_deinit(&z->arena);
    mem_free(z);
}

struct str zone_name(const struct zone *z)
{
    return z != NULL ? z->name : utc_zone.name;
}

static struct zone *zone_new(struct str name)
{
    struct zone *z = MEM_NEW(struct zone);
    atomic_init(&z->refs, 1);
    arena_init(&z->arena, ARENA_NO_LIMIT);
    z->name = arena_str(&z->arena, name);
    return z;
}

struct zone *zone_fixed(struct str name, int32_t offset_s)
{
    struct zone *z = zone_new(name);
    struct zone_type *type = ARENA_NEW(&z->arena, struct zone_type);
    *type = (struct zone_type){ offset_s, false, z->name };
    z->times = utc_times;
    z->time_types = utc_time_types;
    z->times_count = 1;
    z->types = type;
    z->types_count = 1;
    return z;
}

/* The rule, POSIX's TZ: CET-1CEST,M3.5.0,M10.5.0/3 */

static bool take(struct str *s, char c)
{
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = str_from(*s, 1);
    return true;
}

static bool take_number(struct str *s, int low, int high, int *v)
{
    size_t n = 0;
    *v = 0;
    while (n < s->n && ascii_is_digit(s->p[n])) {
        *v = *v * 10 + (s->p[n++] - '0');
        if (*v > high)
            return false;
    }
    *s = str_from(*s, n);
    return n > 0 && *v >= low;
}

/* CEST or <+03> */
static bool take_zone_name(struct str *s, struct str *name)
{
    size_t n = 0;
    if (take(s, '<')) {
        n = str_find_byte(*s, '>');
        if (n == STR_NPOS)
            return false;
        *name = str_sub(*s, 0, n);
        *s = str_from(*s, n + 1);
        return true;
    }
    while (n < s->n && !ascii_is_digit(s->p[n]) && strchr(",-+", s->p[n]) == NULL)
        n++;
    *name = str_sub(*s, 0, n);
    *s = str_from(*s, n);
    return n >= 3;
}

/* [+-]h[h[h]][:mm[:ss]], up to a week as RFC 8536 allows. */
static bool take_offset(struct str *s, int32_t *seconds)
{
    bool negative = take(s, '-');
    if (!negative)
        (void)take(s, '+');
    int h, m = 0, sec = 0;
    if (!take_number(s, 0, 24 * 7, &h))
        return false;
    if (take(s, ':')) {
        if (!take_number(s, 0, 59, &m))
            return false;
        if (take(s, ':') && !take_number(s, 0, 59, &sec))
            return false;
    }
    *seconds = h * 3600 + m * 60 + sec;
    if (negative)
        *seconds = -*seconds;
    return true;
}

static bool take_date(struct str *s, struct rule_date *d)
{
    *d = (struct rule_date){ .time_s = 2 * 3600 };
    bool ok;
    if (take(s, 'J')) {
        d->kind = DATE_JULIAN;
        ok = take_number(s, 1, 365, &d->day);
    } else if (take(s, 'M')) {
        d->kind = DATE_MONTH_WEEK;
        ok = take_number(s, 1, 12, &d->month) && take(s, '.') && take_number(s, 1, 5, &d->week) && take(s, '.') &&
             take_number(s, 0, 6, &d->day);
    } else {
        d->kind = DATE_DAY;
        ok = take_number(s, 0, 365, &d->day);
    }
    return ok && (!take(s, '/') || take_offset(s, &d->time_s));
}

static bool rule_parse(struct str s, struct rule *rule)
{
    *rule = (struct rule){ 0 };
    if (!take_zone_name(&s, &rule->std.name) || !take_offset(&s, &rule->std.offset_s))
        return false;
    rule->std.offset_s = -rule->std.offset_s; /* the text says what to add to get UTC */
    rule->there = true;
    if (s.n == 0 || s.p[0] == ',')
        return true;
    rule->has_dst = rule->dst.dst = true;
    if (!take_zone_name(&s, &rule->dst.name))
        return false;
    rule->dst.offset_s = rule->std.offset_s + 3600;
    if (s.n > 0 && s.p[0] != ',') {
        if (!take_offset(&s, &rule->dst.offset_s))
            return false;
        rule->dst.offset_s = -rule->dst.offset_s;
    }
    if (s.n == 0)
        s = STR(",M3.2.0,M11.1.0"); /* what tzcode takes for granted */
    return take(&s, ',') && take_date(&s, &rule->start) && take(&s, ',') && take_date(&s, &rule->end) && s.n == 0;
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Seconds from the start of the year, in UTC, given the offset in force before. */
static int64_t rule_second(const struct rule_date *d, int64_t year, int32_t offset_s)
{
    int64_t day = d->day;
    if (d->kind == DATE_JULIAN) { /* counts from 1 and knows no 29 February */
        day -= 1;
        if (is_leap(year) && d->day >= 60)
            day++;
    } else if (d->kind == DATE_MONTH_WEEK) {
        struct civil first = { .year = year, .month = d->month, .day = 1 }, c;
        civil_from_unix(civil_to_unix(&first), 0, 0, &c);
        struct civil next = { .year = year, .month = d->month + 1, .day = 1 };
        int64_t length = (civil_to_unix(&next) - civil_to_unix(&first)) / DAY_S;
        int64_t in_month = (d->day - c.weekday + 7) % 7;
        for (int i = 1; i < d->week && in_month + 7 < length; i++)
            in_month += 7;
        day = c.yearday - 1 + in_month;
    }
    return day * DAY_S + d->time_s - offset_s;
}

static const struct zone_type *rule_at(const struct rule *rule, int64_t unix_s)
{
    if (!rule->has_dst || unix_s > FAR_S || unix_s < -FAR_S)
        return &rule->std;
    struct civil c;
    civil_from_unix(unix_s, 0, 0, &c);
    struct civil january = { .year = c.year, .month = 1, .day = 1 };
    int64_t second = unix_s - civil_to_unix(&january);
    int64_t start = rule_second(&rule->start, c.year, rule->std.offset_s);
    int64_t end = rule_second(&rule->end, c.year, rule->dst.offset_s);
    if (start <= end)
        return second >= start && second < end ? &rule->dst : &rule->std;
    return second >= end && second < start ? &rule->std : &rule->dst; /* the southern half: summer spans the new year */
}

/* The file */

struct counts {
    size_t ut, std, leap, times, types, chars;
};

static bool read_header(struct str s, char *version, struct counts *n)
{
    if (s.n < HEADER_BYTES || memcmp(s.p, "TZif", 4) != 0)
        return false;
    *version = s.p[4];
    const char *p = s.p + 20;
    *n = (struct counts){ get_be32(p), get_be32(p + 4), get_be32(p + 8), get_be32(p + 12), get_be32(p + 16),
                          get_be32(p + 20) };
    size_t most = ZONE_BYTES_MAX;
    return n->ut <= most && n->std <= most && n->leap <= most && n->times <= most && n->types <= TYPES_MAX &&
           n->chars <= most;
}

static size_t data_bytes(const struct counts *n, size_t time_bytes)
{
    return n->times * (time_bytes + 1) + n->types * TYPE_BYTES + n->chars + n->leap * (time_bytes + 4) + n->std + n->ut;
}

static bool read_types(struct zone *z, struct str types, struct str names, size_t count)
{
    struct zone_type *v = arena_alloc_array(&z->arena, count, sizeof *v);
    names = arena_str(&z->arena, names);
    for (size_t i = 0; i < count; i++) {
        const char *p = types.p + i * TYPE_BYTES;
        int32_t offset_s = (int32_t)get_be32(p);
        size_t from = (unsigned char)p[5];
        size_t length = from < names.n ? str_find_byte(str_from(names, from), '\0') : STR_NPOS;
        if (length == STR_NPOS || offset_s > OFFSET_S_MAX || offset_s < -OFFSET_S_MAX)
            return false;
        v[i] = (struct zone_type){ offset_s, p[4] != 0, str_sub(names, from, length) };
    }
    z->types = v;
    z->types_count = count;
    return true;
}

static bool read_times(struct zone *z, struct str times, struct str time_types, size_t count, size_t time_bytes)
{
    z->times = utc_times;
    z->time_types = utc_time_types;
    z->times_count = 1;
    if (count == 0)
        return true;
    int64_t *v = arena_alloc_array(&z->arena, count, sizeof *v);
    uint8_t *t = arena_alloc(&z->arena, count);
    for (size_t i = 0; i < count; i++) {
        const char *p = times.p + i * time_bytes;
        v[i] = time_bytes == 8 ? (int64_t)get_be64(p) : (int32_t)get_be32(p);
        t[i] = (uint8_t)time_types.p[i];
        if (t[i] >= z->types_count || (i > 0 && v[i] <= v[i - 1]))
            return false;
    }
    z->times = v;
    z->time_types = t;
    z->times_count = count;
    return true;
}

static bool read_data(struct zone *z, struct str s, const struct counts *n, size_t time_bytes)
{
    if (n->types == 0 || s.n < data_bytes(n, time_bytes))
        return false;
    struct str times = str_sub(s, 0, n->times * time_bytes);
    struct str time_types = str_sub(s, times.n, n->times);
    struct str types = str_sub(s, times.n + n->times, n->types * TYPE_BYTES);
    struct str names = str_sub(s, times.n + n->times + types.n, n->chars);
    return read_types(z, types, names, n->types) && read_times(z, times, time_types, n->times, time_bytes);
}

/* "\nCET-1CEST,M3.5.0,M10.5.0/3\n"; a rule that cannot be read is none, as in Go. */
static void read_footer(struct zone *z, struct str s)
{
    if (!take(&s, '\n'))
        return;
    size_t n = str_find_byte(s, '\n');
    if (n != STR_NPOS && !rule_parse(arena_str(&z->arena, str_sub(s, 0, n)), &z->rule))
        z->rule = (struct rule){ 0 };
}

static bool read_file(struct zone *z, struct str s)
{
    char version;
    struct counts n;
    if (!read_header(s, &version, &n))
        return false;
    s = str_from(s, HEADER_BYTES);
    if (version == '\0')
        return read_data(z, s, &n, 4);
    if (s.n < data_bytes(&n, 4))
        return false;
    s = str_from(s, data_bytes(&n, 4));
    if (!read_header(s, &version, &n))
        return false;
    s = str_from(s, HEADER_BYTES);
    if (!read_data(z, s, &n, 8))
        return false;
    read_footer(z, str_from(s, data_bytes(&n, 8)));
    return true;
}

struct zone *zone_parse(struct str name, struct str tzif, struct err *err)
{
    struct zone *z = zone_new(name);
    if (tzif.n <= ZONE_BYTES_MAX && read_file(z, tzif))
        return z;
    zone_release(z);
    err_set(err, ERR_CORRUPT, "malformed time zone information");
    return NULL;
}

static struct zone *load_file(struct fs *fs, struct str name, struct str path, struct err *err)
{
    struct buf bytes = { 0 };
    struct zone *z = NULL;
    if (fs_read_file(fs, path, ZONE_BYTES_MAX, &bytes, err))
        z = zone_parse(name, buf_view(&bytes), err);
    buf_deinit(&bytes);
    return z;
}

static struct zone *load_named(struct fs *fs, struct str name, struct err *err)
{
    struct buf path = { 0 };
    buf_c(&path, ZONE_DIR "/");
    buf_str(&path, name);
    struct zone *z = load_file(fs, name, buf_view(&path), err);
    buf_deinit(&path);
    return z;
}

struct zone *zone_load(struct fs *fs, struct str name, struct zone *local, struct err *err)
{
    if (name.n == 0 || str_eq(name, STR("UTC")))
        return zone_utc();
    if (str_eq(name, STR("Local")))
        return local != NULL ? zone_retain(local) : zone_utc();
    if (str_contains(name, STR("..")) || name.p[0] == '/' || name.p[0] == '\\')
        return err_set(err, ERR_INVALID, "time: invalid location name"), NULL;
    struct err cause = { 0 };
    struct zone *z = str_find_byte(name, '\0') == STR_NPOS ? load_named(fs, name, &cause) : NULL;
    if (z != NULL)
        return z;
    if (cause.code == ERR_CORRUPT)
        *err = cause;
    else
        err_set(err, ERR_INVALID, "unknown time zone %.*s", STR_ARG(name));
    return NULL;
}

struct zone *zone_load_local(struct fs *fs, bool tz_set, struct str tz_env)
{
    struct err ignored = { 0 };
    struct zone *z = NULL;
    if (!tz_set) {
        z = load_file(fs, STR("Local"), STR("/etc/localtime"), &ignored);
    } else {
        struct str tz = str_starts(tz_env, STR(":")) ? str_from(tz_env, 1) : tz_env;
        if (str_starts(tz, STR("/")))
            z = load_file(fs, str_eq(tz, STR("/etc/localtime")) ? STR("Local") : tz, tz, &ignored);
        else if (tz.n > 0 && !str_eq(tz, STR("UTC")) && !str_contains(tz, STR("..")))
            z = load_named(fs, tz, &ignored);
    }
    return z != NULL ? z : zone_utc();
}

/* Asking */

/* Go's choice for times before the first transition. */
static const struct zone_type *first_type(const struct zone *z)
{
    bool first_used = false;
    for (size_t i = 0; i < z->times_count; i++)
        first_used = first_used || z->time_types[i] == 0;
    if (!first_used)
        return &z->types[0];
    if (z->types[z->time_types[0]].dst)
        for (size_t i = z->time_types[0]; i-- > 0;)
            if (!z->types[i].dst)
                return &z->types[i];
    for (size_t i = 0; i < z->types_count; i++)
        if (!z->types[i].dst)
            return &z->types[i];
    return &z->types[0];
}

static const struct zone_type *type_at(const struct zone *z, int64_t unix_s)
{
    ASSERT(z->times_count > 0);
    if (unix_s < z->times[0])
        return first_type(z);
    size_t low = 0, high = z->times_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (z->times[middle] <= unix_s)
            low = middle;
        else
            high = middle;
    }
    if (low + 1 == z->times_count && z->rule.there)
        return rule_at(&z->rule, unix_s);
    return &z->types[z->time_types[low]];
}

void zone_at(const struct zone *z, int64_t unix_s, struct zone_offset *out)
{
    const struct zone_type *type = type_at(z != NULL ? z : &utc_zone, unix_s);
    *out = (struct zone_offset){ type->offset_s, type->dst, type->name };
}

void zone_civil(const struct zone *z, struct wire_time t, struct civil *out)
{
    struct zone_offset o;
    zone_at(z, t.s, &o);
    civil_from_unix(t.s, t.ns, o.offset_s, out);
}

struct wire_time zone_from_civil(const struct zone *z, const struct civil *c)
{
    struct civil in_utc = *c;
    in_utc.offset_s = 0;
    int64_t unix_s = civil_to_unix(&in_utc);
    struct zone_offset o;
    zone_at(z, unix_s, &o);
    if (o.offset_s != 0) {
        zone_at(z, unix_s - o.offset_s, &o);
        unix_s -= o.offset_s;
    }
    return wire_time_add_ns((struct wire_time){ unix_s, 0 }, c->ns);
}

bool zone_lookup_abbreviation(const struct zone *z, struct str abbreviation, int64_t unix_s, int32_t *offset_s)
{
    z = z != NULL ? z : &utc_zone;
    const struct zone_type *any = NULL;
    for (size_t i = 0; i < z->types_count; i++) {
        const struct zone_type *type = &z->types[i];
        if (!str_eq(type->name, abbreviation))
            continue;
        any = any != NULL ? any : type;
        const struct zone_type *then = type_at(z, unix_s - type->offset_s);
        if (str_eq(then->name, abbreviation)) {
            *offset_s = then->offset_s;
            return true;
        }
    }
    if (any != NULL)
        *offset_s = any->offset_s;
    return any != NULL;
}
