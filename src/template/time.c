/* time.Time, time.Duration, time.Month, time.Weekday and *time.Location as templates see them: their methods by name.
 *
 * A time keeps its offset beside its zone, so that printing needs no look-up; whatever moves a time to another zone or
 * instant sets it again (T1: offset_s is the zone's offset at t). Methods of Go that return two plain values cannot be
 * called from a template and are not here. */
#include "template/func_int.h"
#include "template/value.h"

#include "base/num.h"
#include "base/utf8.h"
#include "model/duration.h"
#include "model/gotime.h"

#include <math.h>

#define NS_PER_S INT64_C(1000000000)

void tval_to_go_time(const struct tval *v, struct go_time *out)
{
    const struct tval_time *t = &v->v.time;
    *out = (struct go_time){ .t = t->t };
    switch (t->place) {
    case TVAL_PLACE_ZONE:
        out->zone = t->in;
        break;
    case TVAL_PLACE_NAMED:
        out->fixed = true;
        out->offset_s = t->offset_s;
        out->abbreviation = str_c(t->in);
        break;
    case TVAL_PLACE_OFFSET:
        out->fixed = t->offset_s != 0;
        out->offset_s = t->offset_s;
        break;
    }
}

struct tval tval_from_go_time(struct arena *a, const struct go_time *t)
{
    struct tval v = tval_at_time(t->t, 0);
    v.v.time.offset_s = go_time_offset(t).offset_s;
    if (t->fixed && t->abbreviation.n > 0) {
        v.v.time.place = TVAL_PLACE_NAMED;
        v.v.time.in = arena_cstr(a, t->abbreviation);
    } else if (!t->fixed && t->zone) {
        v.v.time.place = TVAL_PLACE_ZONE;
        v.v.time.in = t->zone;
    }
    return v;
}

static struct tval moved(const struct tval *self, struct wire_time t)
{
    struct tval v = *self;
    v.v.time.t = t;
    if (v.v.time.place == TVAL_PLACE_ZONE) {
        struct zone_offset o;
        zone_at(v.v.time.in, t.s, &o);
        v.v.time.offset_s = o.offset_s;
    }
    return v;
}

static void civil_of(const struct tval *v, struct civil *c)
{
    civil_from_unix(v->v.time.t.s, v->v.time.t.ns, v->v.time.offset_s, c);
}

static void time_string(const struct tval *self, struct buf *out)
{
    struct go_time t;
    tval_to_go_time(self, &t);
    go_time_format(out, GO_TIME_DEFAULT, &t);
}

#define METHOD(name_)                                                                              \
    static bool name_(struct tval_call *c, const struct tval *self, const struct tval *args, size_t args_count, \
                      struct tval *out, struct err *err)
#define UNUSED_ARGS (void)c, (void)args, (void)args_count, (void)err

METHOD(time_format)
{
    struct buf b;
    struct go_time t;
    (void)args_count;
    call_buf(c, &b);
    tval_to_go_time(self, &t);
    go_time_format(&b, args[0].v.s, &t);
    return call_result(c, &b, out, err);
}

METHOD(time_text)
{
    struct buf b;
    (void)args, (void)args_count;
    call_buf(c, &b);
    self->class->string(self, &b);
    return call_result(c, &b, out, err);
}

void tval_time_go_syntax(const struct tval *v, struct buf *out)
{
    const struct tval_time *t = &v->v.time;
    struct civil d;
    civil_of(v, &d);
    buf_printf(out, "time.Date(%lld, time.%.*s, %d, %d, %d, %d, %d, ", (long long)d.year,
               STR_ARG(go_month_name(d.month)), d.day, d.hour, d.minute, d.second, d.ns);
    bool utc = t->place == TVAL_PLACE_ZONE ? !t->in : t->place == TVAL_PLACE_OFFSET && t->offset_s == 0;
    if (utc) {
        buf_c(out, "time.UTC)");
        return;
    }
    struct str name = STR_EMPTY;
    if (t->place == TVAL_PLACE_ZONE)
        name = zone_name(t->in);
    else if (t->place == TVAL_PLACE_NAMED)
        name = str_c(t->in);
    buf_c(out, "time.Location(");
    go_quote(out, name);
    buf_c(out, "))");
}

METHOD(time_go_string)
{
    struct buf b;
    (void)args, (void)args_count;
    call_buf(c, &b);
    tval_time_go_syntax(self, &b);
    return call_result(c, &b, out, err);
}

METHOD(time_unix)
{
    UNUSED_ARGS;
    *out = tval_int64(self->v.time.t.s);
    return true;
}

/* Go's arithmetic wraps around. */
static int64_t scaled(const struct tval *v, uint64_t per_s, int64_t ns_each)
{
    return (int64_t)((uint64_t)v->v.time.t.s * per_s + (uint64_t)(v->v.time.t.ns / ns_each));
}

METHOD(time_unix_milli)
{
    UNUSED_ARGS;
    *out = tval_int64(scaled(self, 1000, 1000000));
    return true;
}

METHOD(time_unix_micro)
{
    UNUSED_ARGS;
    *out = tval_int64(scaled(self, 1000000, 1000));
    return true;
}

METHOD(time_unix_nano)
{
    UNUSED_ARGS;
    *out = tval_int64(scaled(self, 1000000000, 1));
    return true;
}

METHOD(time_utc)
{
    UNUSED_ARGS;
    *out = tval_at_time(self->v.time.t, 0);
    return true;
}

static struct tval in_zone(const struct tval *self, const struct zone *z)
{
    struct tval v = tval_at_time(self->v.time.t, 0);
    if (z) {
        v.v.time.place = TVAL_PLACE_ZONE;
        v.v.time.in = z;
        v = moved(&v, v.v.time.t);
    }
    return v;
}

METHOD(time_local)
{
    UNUSED_ARGS;
    const struct template_hooks *h = call_hooks(c);
    *out = in_zone(self, h->zone ? h->zone(h->arg, STR("Local")) : NULL);
    return true;
}

/* A place that is no struct zone: its ref.n is 1, and ref.p a struct tval_time that is shown there. */
static const struct tval_time *fixed_place(const struct tval *zone)
{
    return zone->v.ref.n == 1 ? zone->v.ref.p : NULL;
}

METHOD(time_in)
{
    UNUSED_ARGS;
    const struct tval_time *fixed = fixed_place(&args[0]);
    if (!fixed) {
        *out = in_zone(self, args[0].v.ref.p);
        return true;
    }
    *out = tval_at_time(self->v.time.t, fixed->offset_s);
    out->v.time.place = fixed->place;
    out->v.time.in = fixed->in;
    return true;
}

METHOD(time_location)
{
    (void)args, (void)args_count, (void)err;
    const struct tval_time *t = &self->v.time;
    if (t->place == TVAL_PLACE_NAMED || (t->place == TVAL_PLACE_OFFSET && t->offset_s != 0)) {
        struct tval_time *fixed = ARENA_NEW(c->arena, struct tval_time);
        *fixed = *t;
        *out = tval_ref(&tval_zone_class, fixed, 1);
    } else {
        *out = tval_ref(&tval_zone_class, t->place == TVAL_PLACE_ZONE ? t->in : NULL, 0);
    }
    return true;
}

METHOD(time_year)
{
    UNUSED_ARGS;
    struct civil d;
    civil_of(self, &d);
    *out = tval_int(d.year);
    return true;
}

METHOD(time_month)
{
    UNUSED_ARGS;
    struct civil d;
    civil_of(self, &d);
    *out = (struct tval){ .kind = TVAL_INT, .class = &tval_month_class, .v.i = d.month };
    return true;
}

METHOD(time_weekday)
{
    UNUSED_ARGS;
    struct civil d;
    civil_of(self, &d);
    *out = (struct tval){ .kind = TVAL_INT, .class = &tval_weekday_class, .v.i = d.weekday };
    return true;
}

METHOD(time_day)
{
    UNUSED_ARGS;
    struct civil d;
    civil_of(self, &d);
    *out = tval_int(d.day);
    return true;
}

METHOD(time_yearday)
{
    UNUSED_ARGS;
    struct civil d;
    civil_of(self, &d);
    *out = tval_int(d.yearday);
    return true;
}

METHOD(time_hour)
{
    UNUSED_ARGS;
    struct civil d;
    civil_of(self, &d);
    *out = tval_int(d.hour);
    return true;
}

METHOD(time_minute)
{
    UNUSED_ARGS;
    struct civil d;
    civil_of(self, &d);
    *out = tval_int(d.minute);
    return true;
}

METHOD(time_second)
{
    UNUSED_ARGS;
    struct civil d;
    civil_of(self, &d);
    *out = tval_int(d.second);
    return true;
}

METHOD(time_nanosecond)
{
    UNUSED_ARGS;
    *out = tval_int(self->v.time.t.ns);
    return true;
}

METHOD(time_is_zero)
{
    UNUSED_ARGS;
    *out = tval_bool(wire_time_is_zero(self->v.time.t));
    return true;
}

METHOD(time_is_dst)
{
    UNUSED_ARGS;
    struct go_time t;
    tval_to_go_time(self, &t);
    *out = tval_bool(go_time_offset(&t).dst);
    return true;
}

METHOD(time_before)
{
    UNUSED_ARGS;
    *out = tval_bool(wire_time_cmp(self->v.time.t, args[0].v.time.t) < 0);
    return true;
}

METHOD(time_after)
{
    UNUSED_ARGS;
    *out = tval_bool(wire_time_cmp(self->v.time.t, args[0].v.time.t) > 0);
    return true;
}

METHOD(time_equal)
{
    UNUSED_ARGS;
    *out = tval_bool(wire_time_cmp(self->v.time.t, args[0].v.time.t) == 0);
    return true;
}

METHOD(time_compare)
{
    UNUSED_ARGS;
    *out = tval_int(wire_time_cmp(self->v.time.t, args[0].v.time.t));
    return true;
}

METHOD(time_sub)
{
    UNUSED_ARGS;
    *out = tval_duration(wire_time_sub_ns(self->v.time.t, args[0].v.time.t));
    return true;
}

METHOD(time_add)
{
    UNUSED_ARGS;
    *out = moved(self, wire_time_add_ns(self->v.time.t, args[0].v.i));
    return true;
}

/* Fields that no calendar reaches would overflow its arithmetic; Go's would wrap around. */
static int64_t clamp(int64_t v, int64_t bound)
{
    return v > bound ? bound : v < -bound ? -bound : v;
}

METHOD(time_add_date)
{
    UNUSED_ARGS;
    struct civil d;
    civil_of(self, &d);
    int64_t months = d.month - 1 + clamp(args[1].v.i, 1000000000) ;
    int64_t years = months / 12;
    months %= 12;
    if (months < 0) {
        months += 12;
        years--;
    }
    d.year += years + clamp(args[0].v.i, 1000000000);
    d.month = (int)months + 1;
    d.day += (int)clamp(args[2].v.i, 1000000000);
    struct wire_time t = { civil_to_unix(&d), d.ns };
    if (self->v.time.place == TVAL_PLACE_ZONE)
        t = zone_from_civil(self->v.time.in, &d);
    *out = moved(self, t);
    return true;
}

/* Go rounds times since the zero time, durations since zero. */
static uint64_t remainder_since_zero(struct wire_time t, uint64_t d)
{
    struct wire_time zero = WIRE_TIME_ZERO;
    __int128 ns = (__int128)(t.s - zero.s) * NS_PER_S + t.ns;
    __int128 r = ns % (__int128)d;
    return (uint64_t)(r < 0 ? r + (__int128)d : r);
}

METHOD(time_truncate)
{
    UNUSED_ARGS;
    int64_t d = args[0].v.i;
    *out = *self;
    if (d > 0)
        *out = moved(self, wire_time_add_ns(self->v.time.t, -(int64_t)remainder_since_zero(self->v.time.t, (uint64_t)d)));
    return true;
}

METHOD(time_round)
{
    UNUSED_ARGS;
    int64_t d = args[0].v.i;
    *out = *self;
    if (d > 0) {
        uint64_t r = remainder_since_zero(self->v.time.t, (uint64_t)d);
        int64_t by = r + r < (uint64_t)d ? -(int64_t)r : d - (int64_t)r;
        *out = moved(self, wire_time_add_ns(self->v.time.t, by));
    }
    return true;
}

static const struct tval_method time_methods[] = {
    { STR_INIT("Add"), "d", time_add },
    { STR_INIT("AddDate"), "iii", time_add_date },
    { STR_INIT("After"), "t", time_after },
    { STR_INIT("Before"), "t", time_before },
    { STR_INIT("Compare"), "t", time_compare },
    { STR_INIT("Day"), "", time_day },
    { STR_INIT("Equal"), "t", time_equal },
    { STR_INIT("Format"), "s", time_format },
    { STR_INIT("GoString"), "", time_go_string },
    { STR_INIT("Hour"), "", time_hour },
    { STR_INIT("In"), "p", time_in },
    { STR_INIT("IsDST"), "", time_is_dst },
    { STR_INIT("IsZero"), "", time_is_zero },
    { STR_INIT("Local"), "", time_local },
    { STR_INIT("Location"), "", time_location },
    { STR_INIT("Minute"), "", time_minute },
    { STR_INIT("Month"), "", time_month },
    { STR_INIT("Nanosecond"), "", time_nanosecond },
    { STR_INIT("Round"), "d", time_round },
    { STR_INIT("Second"), "", time_second },
    { STR_INIT("String"), "", time_text },
    { STR_INIT("Sub"), "t", time_sub },
    { STR_INIT("Truncate"), "d", time_truncate },
    { STR_INIT("UTC"), "", time_utc },
    { STR_INIT("Unix"), "", time_unix },
    { STR_INIT("UnixMicro"), "", time_unix_micro },
    { STR_INIT("UnixMilli"), "", time_unix_milli },
    { STR_INIT("UnixNano"), "", time_unix_nano },
    { STR_INIT("Weekday"), "", time_weekday },
    { STR_INIT("Year"), "", time_year },
    { STR_INIT("YearDay"), "", time_yearday },
};
const struct tval_class tval_time_class = { .name = STR_INIT("time.Time"),
                                            .kind = TVAL_TIME,
                                            .methods = time_methods,
                                            .methods_count = ARRAY_LEN(time_methods),
                                            .string = time_string };

/* ---- durations ---- */

static void duration_string(const struct tval *self, struct buf *out)
{
    go_duration_write(out, self->v.i);
}

/* Whole units and the rest apart, as Go does it, so that no precision is lost. */
static double in_units(int64_t ns, int64_t unit)
{
    return (double)(ns / unit) + (double)(ns % unit) / (double)unit;
}

METHOD(duration_hours)
{
    UNUSED_ARGS;
    *out = tval_float(in_units(self->v.i, 3600 * NS_PER_S));
    return true;
}

METHOD(duration_minutes)
{
    UNUSED_ARGS;
    *out = tval_float(in_units(self->v.i, 60 * NS_PER_S));
    return true;
}

METHOD(duration_seconds)
{
    UNUSED_ARGS;
    *out = tval_float(in_units(self->v.i, NS_PER_S));
    return true;
}

METHOD(duration_milliseconds)
{
    UNUSED_ARGS;
    *out = tval_int64(self->v.i / 1000000);
    return true;
}

METHOD(duration_microseconds)
{
    UNUSED_ARGS;
    *out = tval_int64(self->v.i / 1000);
    return true;
}

METHOD(duration_nanoseconds)
{
    UNUSED_ARGS;
    *out = tval_int64(self->v.i);
    return true;
}

METHOD(duration_abs)
{
    UNUSED_ARGS;
    int64_t d = self->v.i;
    *out = tval_duration(d >= 0 ? d : d == INT64_MIN ? INT64_MAX : -d);
    return true;
}

METHOD(duration_truncate)
{
    UNUSED_ARGS;
    int64_t m = args[0].v.i;
    *out = tval_duration(m <= 0 ? self->v.i : self->v.i - self->v.i % m);
    return true;
}

METHOD(duration_round)
{
    UNUSED_ARGS;
    int64_t d = self->v.i, m = args[0].v.i;
    *out = *self;
    if (m <= 0)
        return true;
    int64_t r = d % m;
    uint64_t abs = r < 0 ? 0 - (uint64_t)r : (uint64_t)r;
    bool up = abs + abs >= (uint64_t)m;
    int64_t rounded;
    if (!up)
        rounded = d - r;
    else if (d < 0)
        rounded = __builtin_sub_overflow(d - r, m, &rounded) ? INT64_MIN : rounded;
    else
        rounded = __builtin_add_overflow(d - r, m, &rounded) ? INT64_MAX : rounded;
    *out = tval_duration(rounded);
    return true;
}

static const struct tval_method duration_methods[] = {
    { STR_INIT("Abs"), "", duration_abs },
    { STR_INIT("Hours"), "", duration_hours },
    { STR_INIT("Microseconds"), "", duration_microseconds },
    { STR_INIT("Milliseconds"), "", duration_milliseconds },
    { STR_INIT("Minutes"), "", duration_minutes },
    { STR_INIT("Nanoseconds"), "", duration_nanoseconds },
    { STR_INIT("Round"), "d", duration_round },
    { STR_INIT("Seconds"), "", duration_seconds },
    { STR_INIT("String"), "", time_text },
    { STR_INIT("Truncate"), "d", duration_truncate },
};
const struct tval_class tval_duration_class = { .name = STR_INIT("time.Duration"),
                                                .kind = TVAL_INT,
                                                .methods = duration_methods,
                                                .methods_count = ARRAY_LEN(duration_methods),
                                                .string = duration_string };

/* ---- months, weekdays, zones ---- */

static void named(struct buf *out, struct str name, const char *type, int64_t i)
{
    if (name.n > 0)
        buf_str(out, name);
    else
        buf_printf(out, "%%!%s(%lld)", type, (long long)i);
}

static void month_string(const struct tval *self, struct buf *out)
{
    int64_t i = self->v.i;
    named(out, i >= 1 && i <= 12 ? go_month_name((int)i) : STR_EMPTY, "Month", i);
}

static void weekday_string(const struct tval *self, struct buf *out)
{
    int64_t i = self->v.i;
    named(out, i >= 0 && i <= 6 ? go_weekday_name((int)i) : STR_EMPTY, "Weekday", i);
}

/* An offset without a name has an empty one. */
static void zone_string(const struct tval *self, struct buf *out)
{
    const struct tval_time *fixed = fixed_place(self);
    if (!fixed)
        buf_str(out, zone_name(self->v.ref.p));
    else if (fixed->place == TVAL_PLACE_NAMED)
        buf_c(out, fixed->in);
}

static const struct tval_method string_method[] = { { STR_INIT("String"), "", time_text } };
const struct tval_class tval_month_class = { .name = STR_INIT("time.Month"),
                                             .kind = TVAL_INT,
                                             .methods = string_method,
                                             .methods_count = 1,
                                             .string = month_string };
const struct tval_class tval_weekday_class = { .name = STR_INIT("time.Weekday"),
                                               .kind = TVAL_INT,
                                               .methods = string_method,
                                               .methods_count = 1,
                                               .string = weekday_string };
const struct tval_class tval_zone_class = { .name = STR_INIT("*time.Location"),
                                            .kind = TVAL_STRUCT,
                                            .pointer = true,
                                            .methods = string_method,
                                            .methods_count = 1,
                                            .string = zone_string };
