/* Any bytes as the text of a time interval's field: what is taken prints and parses to the same range. */
#include "model/timeinterval.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void numbers(bool (*parse)(struct str, struct interval_range *, struct err *), struct str text)
{
    struct interval_range r, again;
    struct err err;
    if (!parse(text, &r, &err))
        return;
    struct buf b = { 0 };
    interval_write_numbers(&b, r);
    ASSERT(parse(buf_view(&b), &again, &err));
    ASSERT(r.begin == again.begin && r.end == again.end);
    struct time_interval iv = { .years = { &r, 1, true }, .days_of_month = { &r, 1, true } };
    (void)time_interval_contains(&iv, (int64_t)text.n * 86400);
    buf_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_of((const char *)data, size);
    struct interval_range r;
    struct err err;
    numbers(interval_parse_days_of_month, text);
    numbers(interval_parse_months, text);
    numbers(interval_parse_years, text);
    if (interval_parse_weekdays(text, &r, &err)) {
        struct buf b = { 0 };
        interval_write_weekdays(&b, r);
        ASSERT(interval_parse_weekdays(buf_view(&b), &r, &err));
        buf_deinit(&b);
    }
    (void)interval_parse_times(str_sub(text, 0, 5), str_from(text, 5), &r, &err);
    return 0;
}
