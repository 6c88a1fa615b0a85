/* Functions on times and durations. Now is the run's, zones come through the hooks. */
#include "template/func_int.h"

#include "base/num.h"
#include "model/duration.h"
#include "model/gotime.h"

#include <math.h>

#define FUNC(name_)                                                                                \
    static bool name_(struct tval_call *c, const struct tval *args, size_t args_count, struct tval *out, struct err *err)

static struct tval at_zone(struct wire_time t, const struct zone *z)
{
    struct zone_offset o;
    struct tval v = tval_at_time(t, 0);
    if (!z)
        return v;
    zone_at(z, t.s, &o);
    v.v.time.offset_s = o.offset_s;
    v.v.time.place = TVAL_PLACE_ZONE;
    v.v.time.in = z;
    return v;
}

static const struct zone *hook_zone(struct tval_call *c, struct str name)
{
    const struct template_hooks *h = call_hooks(c);
    return h->zone ? h->zone(h->arg, name) : NULL;
}

FUNC(date)
{
    struct buf b;
    struct go_time t;
    (void)args_count;
    call_buf(c, &b);
    tval_to_go_time(&args[1], &t);
    go_time_format(&b, args[0].v.s, &t);
    return call_result(c, &b, out, err);
}

FUNC(tz)
{
    (void)args_count;
    struct str name = args[0].v.s;
    const struct zone *z = NULL;
    if (name.n > 0 && !str_eq(name, STR("UTC"))) {
        z = hook_zone(c, name);
        if (!z && !str_eq(name, STR("Local")))
            return call_fail(err, "unknown time zone %.*s", STR_ARG(name));
    }
    *out = at_zone(args[1].v.time.t, z);
    return true;
}

FUNC(now)
{
    (void)args, (void)args_count, (void)err;
    *out = at_zone(call_run(c)->now, hook_zone(c, STR("Local")));
    return true;
}

FUNC(now_seconds)
{
    (void)args, (void)args_count, (void)err;
    *out = tval_float((double)wire_time_to_ms(call_run(c)->now) / 1000.0);
    return true;
}

FUNC(since)
{
    (void)args_count, (void)err;
    *out = tval_duration(wire_time_sub_ns(call_run(c)->now, args[0].v.time.t));
    return true;
}

static bool parse_date(struct tval_call *c, const struct tval *args, struct tval *out, struct err *err)
{
    struct go_time t;
    if (!go_time_parse(args[0].v.s, args[1].v.s, NULL, &t, err))
        return false;
    *out = tval_from_go_time(c->arena, &t);
    return true;
}

FUNC(to_date)
{
    struct err ignored = { 0 };
    (void)args_count, (void)err;
    if (!parse_date(c, args, out, &ignored))
        *out = tval_at_time(WIRE_TIME_ZERO, 0);
    return true;
}

FUNC(must_to_date)
{
    (void)args_count;
    return parse_date(c, args, out, err);
}

FUNC(parse_duration)
{
    int64_t ms;
    (void)c, (void)args_count;
    if (!duration_parse_signed(args[0].v.s, &ms, err))
        return false;
    *out = tval_float((double)ms / 1000.0);
    return true;
}

const struct func func_rows_time[] = {
    { STR_INIT("date"), FUNC_ALERTMANAGER, "st", date, FUNC_PLAIN },
    { STR_INIT("mustToDate"), FUNC_ALERTMANAGER, "ss", must_to_date, FUNC_PLAIN },
    { STR_INIT("now"), FUNC_ALERTMANAGER, "", now, FUNC_PLAIN },
    { STR_INIT("now"), FUNC_PROMETHEUS, "", now_seconds, FUNC_PLAIN },
    { STR_INIT("parseDuration"), FUNC_PROMETHEUS, "s", parse_duration, FUNC_PLAIN },
    { STR_INIT("since"), FUNC_ALERTMANAGER, "t", since, FUNC_PLAIN },
    { STR_INIT("toDate"), FUNC_ALERTMANAGER, "ss", to_date, FUNC_PLAIN },
    { STR_INIT("tz"), FUNC_ALERTMANAGER, "st", tz, FUNC_PLAIN },
};
const size_t func_rows_time_count = ARRAY_LEN(func_rows_time);
