/* Go's time layouts: time.Format and time.Parse for any layout, zone names included. Templates and amtool's
 * --date.format use them. Upstream: Go time/format.go; spec/gotemplate.md 7. Pure; any thread. */
#ifndef TOCSIN_MODEL_GOTIME_H
#define TOCSIN_MODEL_GOTIME_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "model/timezone.h"

#include <stdbool.h>

/* A time with its location, as Go's time.Time has one: a zone, or a fixed offset with a name that may be empty. */
struct go_time {
    struct wire_time t;
    const struct zone *zone; /* borrowed; NULL: UTC unless fixed */
    bool fixed;              /* offset_s and abbreviation instead of zone */
    int32_t offset_s;
    struct str abbreviation;
};

#define GO_TIME_DEFAULT     STR("2006-01-02 15:04:05.999999999 -0700 MST") /* Time.String() without the monotonic part */
#define GO_TIME_RFC3339     STR("2006-01-02T15:04:05Z07:00")
#define GO_TIME_LAYOUT_MAX  1024 /* longer layouts and values are refused by go_time_parse */

void go_time_civil(const struct go_time *t, struct civil *c);
struct zone_offset go_time_offset(const struct go_time *t);
void go_time_format(struct buf *b, struct str layout, const struct go_time *t);
/* time.ParseInLocation: `in` is the zone of texts that name none and in which abbreviations are looked up (NULL: UTC).
 * The abbreviation of *out points into `text`. ERR_INVALID with Go's text:
 * `parsing time "v" as "layout": cannot parse "rest" as "element"`. */
MUST_CHECK bool go_time_parse(struct str layout, struct str text, const struct zone *in, struct go_time *out,
                              struct err *err);

struct str go_month_name(int month);     /* 1..12; else "%!Month(n)" is the caller's business: the empty str */
struct str go_weekday_name(int weekday); /* 0 Sunday .. 6 */

#endif
