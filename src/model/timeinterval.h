/* Time intervals: "weekdays nine to five in Berlin". Parsed field by field from the texts of a configuration
 * (spec/alertmanager.md 2.7, whose error texts these are), asked with a Unix time.
 *
 * A field that is absent allows everything; a field that is present and empty allows nothing. The ranges belong to the
 * caller's arena; the zone is counted: time_interval_deinit() gives it back. Upstream: alertmanager timeinterval/.
 * Pure; any thread. */
#ifndef TOCSIN_MODEL_TIMEINTERVAL_H
#define TOCSIN_MODEL_TIMEINTERVAL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "model/timezone.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct interval_range { /* both inclusive, but for times: [begin, end) in minutes of the day */
    int64_t begin, end;
};
struct interval_ranges {
    const struct interval_range *v;
    size_t n;
    bool present;
};
struct time_interval {
    struct interval_ranges times, weekdays, days_of_month, months, years;
    struct zone *zone; /* NULL: UTC */
};

/* One text of a field; ERR_INVALID. Texts are read in lower case. A pair that is refused as a pair is in *r. */
MUST_CHECK bool interval_parse_times(struct str start, struct str end, struct interval_range *r, struct err *err);
MUST_CHECK bool interval_parse_weekdays(struct str text, struct interval_range *r, struct err *err);
MUST_CHECK bool interval_parse_days_of_month(struct str text, struct interval_range *r, struct err *err);
MUST_CHECK bool interval_parse_months(struct str text, struct interval_range *r, struct err *err);
MUST_CHECK bool interval_parse_years(struct str text, struct interval_range *r, struct err *err);

bool time_interval_contains(const struct time_interval *iv, int64_t unix_s);
void time_interval_deinit(struct time_interval *iv);

/* The printed form of one range: "HH:MM", "monday:friday" or "sunday", "1:5" or "7". */
void interval_write_minute(struct buf *b, int64_t minute);
void interval_write_weekdays(struct buf *b, struct interval_range r);
void interval_write_numbers(struct buf *b, struct interval_range r);

#endif
