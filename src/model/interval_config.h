/* time_intervals and mute_time_intervals of a configuration: named lists of time intervals (spec/alertmanager.md 2.7). */
#ifndef TOCSIN_MODEL_INTERVAL_CONFIG_H
#define TOCSIN_MODEL_INTERVAL_CONFIG_H

#include "model/config_types.h"
#include "model/timeinterval.h"
#include "yaml/bind.h"

struct interval_time_config { /* one entry of times */
    struct str start_time, end_time;
    struct interval_range range;
};
struct interval_config {
    /* Lists: NULL if the key is absent, not if the list is empty. */
    struct interval_time_config *times;
    size_t times_count;
    struct interval_range *weekdays, *days_of_month, *months, *years;
    size_t weekdays_count, days_of_month_count, months_count, years_count;
    struct str location; /* as written */
    struct zone *zone;   /* NULL: UTC */
};
struct named_interval_config {
    struct str name;
    uint32_t line;
    struct interval_config *intervals;
    size_t intervals_count;
    struct time_interval *compiled; /* intervals_count; borrow ranges and zones from `intervals`: never deinit them */
};
extern const struct bind_type named_interval_bind;      /* of time_intervals */
extern const struct bind_type mute_named_interval_bind; /* of mute_time_intervals: other error texts */

#endif
