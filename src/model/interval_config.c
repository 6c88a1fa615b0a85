/* The tables of named time intervals. Parsing of single ranges is model/timeinterval.h's; here are the rows, the rule
 * that a present but empty list contains nothing, and the compiled form that borrows the rows' ranges. */
#include "model/interval_config.h"

/* ---- Ranges ---- */

static void emit_buf(struct yaml_emitter *e, struct buf *b)
{
    yaml_emit_str(e, buf_view(b));
    buf_deinit(b);
}

static bool range_is_zero(const void *value)
{
    const struct interval_range *r = value;
    return r->begin == 0 && r->end == 0;
}

static bool weekdays_read(struct binding *b, struct str text, void *out, struct err *err)
{
    (void)b;
    return interval_parse_weekdays(text, out, err);
}

static bool days_read(struct binding *b, struct str text, void *out, struct err *err)
{
    (void)b;
    return interval_parse_days_of_month(text, out, err);
}

static bool months_read(struct binding *b, struct str text, void *out, struct err *err)
{
    (void)b;
    return interval_parse_months(text, out, err);
}

static bool years_read(struct binding *b, struct str text, void *out, struct err *err)
{
    (void)b;
    return interval_parse_years(text, out, err);
}

static void weekdays_emit(struct yaml_emitter *e, const void *value)
{
    struct buf b = { 0 };
    interval_write_weekdays(&b, *(const struct interval_range *)value);
    emit_buf(e, &b);
}

static void numbers_emit(struct yaml_emitter *e, const void *value)
{
    struct buf b = { 0 };
    interval_write_numbers(&b, *(const struct interval_range *)value);
    emit_buf(e, &b);
}

static const struct bind_scalar weekdays_scalar = {
    .size = sizeof(struct interval_range),
    .parse = weekdays_read,
    .emit = weekdays_emit,
    .is_zero = range_is_zero,
};
static const struct bind_scalar days_scalar = {
    .size = sizeof(struct interval_range),
    .parse = days_read,
    .emit = numbers_emit,
    .is_zero = range_is_zero,
};
static const struct bind_scalar months_scalar = {
    .size = sizeof(struct interval_range),
    .parse = months_read,
    .emit = numbers_emit,
    .is_zero = range_is_zero,
};
static const struct bind_scalar years_scalar = {
    .size = sizeof(struct interval_range),
    .parse = years_read,
    .emit = numbers_emit,
    .is_zero = range_is_zero,
};

/* ---- times ---- */

static const struct bind time_fields[] = {
    BIND_STR(struct interval_time_config, start_time, "start_time", "HH:MM, included."),
    BIND_STR(struct interval_time_config, end_time, "end_time", "HH:MM, excluded; 24:00 is the end of the day."),
};

static bool time_check(struct binding *b, void *object, struct err *err)
{
    struct interval_time_config *t = object;
    if (t->start_time.n == 0 || t->end_time.n == 0)
        return err_set(err, ERR_INVALID, "both start and end times must be provided");
    (void)b;
    return interval_parse_times(t->start_time, t->end_time, &t->range, err);
}

static void emit_minute(struct yaml_emitter *e, struct str key, int64_t minute)
{
    struct buf b = { 0 };
    interval_write_minute(&b, minute);
    yaml_emit_str(e, key);
    emit_buf(e, &b);
}

static bool time_emit(struct yaml_emitter *e, const void *object)
{
    const struct interval_time_config *t = object;
    yaml_emit_map(e);
    emit_minute(e, STR("start_time"), t->range.begin);
    emit_minute(e, STR("end_time"), t->range.end);
    yaml_emit_map_end(e);
    return true;
}

static const struct bind_type time_bind =
    BIND_TYPE("timeinterval.yamlTimeRange", struct interval_time_config, time_fields, .title = "times",
              .check = time_check, .emit_short = time_emit);

/* ---- One interval ---- */

static void release_zone(void *what)
{
    zone_release(what);
}

static enum bind_result location_read(struct binding *b, const struct yaml_node *node, void *out)
{
    struct interval_config *c = container_of(out, struct interval_config, location);
    const struct config_env *env = b->env;
    struct err err = { 0 };
    enum bind_result r = bind_read_str(b, node, &c->location);
    if (r != BIND_OK || !env || !env->fs)
        return r;
    c->zone = zone_load(env->fs, c->location, env->local, &err);
    if (!c->zone)
        return bind_fail(b, node, "%s", err.text);
    bind_cleanup_add(b, release_zone, c->zone);
    return BIND_OK;
}

static void location_emit(struct yaml_emitter *e, const void *value)
{
    struct str name = *(const struct str *)value;
    yaml_emit_str(e, name);
}

static bool location_is_zero(const void *value)
{
    return ((const struct str *)value)->n == 0;
}

static const struct bind_scalar location_scalar = {
    .size = sizeof(struct str),
    .parse_node = location_read,
    .emit = location_emit,
    .is_zero = location_is_zero,
};

static const struct bind interval_fields[] = {
    BIND_LIST(struct interval_config, times, "times", "Times of day.", &time_bind,
              .go_type = "[]timeinterval.TimeRange"),
    BIND_SCALARS(struct interval_config, weekdays, "weekdays", "Names of days, or ranges such as monday:friday.",
                 &weekdays_scalar, .flow = true, .go_type = "[]timeinterval.WeekdayRange"),
    BIND_SCALARS(struct interval_config, days_of_month, "days_of_month",
                 "1 to 31, negative from the month's end, or ranges.", &days_scalar, .flow = true,
                 .go_type = "[]timeinterval.DayOfMonthRange"),
    BIND_SCALARS(struct interval_config, months, "months", "Names or numbers of months, or ranges.", &months_scalar,
                 .flow = true, .go_type = "[]timeinterval.MonthRange"),
    BIND_SCALARS(struct interval_config, years, "years", "Years, or ranges.", &years_scalar, .flow = true,
                 .go_type = "[]timeinterval.YearRange"),
    BIND_SCALAR(struct interval_config, location, "location", "Time zone: an IANA name, Local or UTC (default).",
                &location_scalar),
};
static const struct bind_type interval_bind =
    BIND_TYPE("timeinterval.TimeInterval", struct interval_config, interval_fields, .title = "time_interval");

/* ---- Named lists ---- */

static const struct bind named_fields[] = {
    BIND_STR(struct named_interval_config, name, "name", "What routes call it.", .always = true),
    BIND_LIST(struct named_interval_config, intervals, "time_intervals",
              "It is in if any of these contains the time.", &interval_bind, .always = true,
              .go_type = "[]timeinterval.TimeInterval"),
};

static struct interval_ranges ranges(const struct interval_range *v, size_t n)
{
    return (struct interval_ranges){ v, n, v != NULL };
}

static void compile(struct arena *a, const struct interval_config *c, struct time_interval *out)
{
    struct interval_range *times = c->times ? arena_alloc_array(a, c->times_count, sizeof *times) : NULL;
    for (size_t i = 0; i < c->times_count; i++)
        times[i] = c->times[i].range;
    *out = (struct time_interval){
        .times = ranges(times, c->times_count),
        .weekdays = ranges(c->weekdays, c->weekdays_count),
        .days_of_month = ranges(c->days_of_month, c->days_of_month_count),
        .months = ranges(c->months, c->months_count),
        .years = ranges(c->years, c->years_count),
        .zone = c->zone,
    };
}

static bool named_check(struct binding *b, struct named_interval_config *c, const char *unnamed, struct err *err)
{
    if (c->name.n == 0)
        return err_set(err, ERR_INVALID, "%s", unnamed);
    c->compiled = arena_alloc_array(b->arena, c->intervals_count, sizeof *c->compiled);
    for (size_t i = 0; i < c->intervals_count; i++)
        compile(b->arena, &c->intervals[i], &c->compiled[i]);
    return true;
}

static bool interval_check(struct binding *b, void *object, struct err *err)
{
    return named_check(b, object, "missing name in time interval", err);
}

static bool mute_check(struct binding *b, void *object, struct err *err)
{
    return named_check(b, object, "missing name in mute time interval", err);
}

const struct bind_type named_interval_bind =
    BIND_TYPE("config.plain", struct named_interval_config, named_fields, .title = "time_intervals",
              .check = interval_check, .line_offset = offsetof(struct named_interval_config, line));
const struct bind_type mute_named_interval_bind =
    BIND_TYPE("config.plain", struct named_interval_config, named_fields, .title = "mute_time_intervals",
              .check = mute_check, .line_offset = offsetof(struct named_interval_config, line));
