/* Shared by the texts of Go's time package. Inside the folder only. */
#ifndef TOCSIN_MODEL_GOTIME_INT_H
#define TOCSIN_MODEL_GOTIME_INT_H

#include "base/buf.h"
#include "base/str.h"

/* The time package's own quoting: every byte of what is not printable ASCII as \xHH. */
void go_time_quote(struct buf *b, struct str s);

/* An element of a layout. */
enum layout_element {
    LAYOUT_END, /* no element: the rest is literal */
    LAYOUT_LONG_MONTH, LAYOUT_MONTH, LAYOUT_NUM_MONTH, LAYOUT_ZERO_MONTH,
    LAYOUT_LONG_WEEKDAY, LAYOUT_WEEKDAY,
    LAYOUT_DAY, LAYOUT_UNDER_DAY, LAYOUT_ZERO_DAY, LAYOUT_UNDER_YEARDAY, LAYOUT_ZERO_YEARDAY,
    LAYOUT_HOUR, LAYOUT_HOUR12, LAYOUT_ZERO_HOUR12,
    LAYOUT_MINUTE, LAYOUT_ZERO_MINUTE, LAYOUT_SECOND, LAYOUT_ZERO_SECOND,
    LAYOUT_LONG_YEAR, LAYOUT_YEAR,
    LAYOUT_PM, LAYOUT_PM_LOWER,
    LAYOUT_ZONE_NAME,
    LAYOUT_OFFSET,      /* -07 and its kin; see struct layout_chunk */
    LAYOUT_FRACTION_0, LAYOUT_FRACTION_9,
};
struct layout_chunk {
    struct str literal; /* before the element */
    struct str text;    /* the element as written */
    enum layout_element element;
    bool z;       /* LAYOUT_OFFSET: 'Z' for UTC */
    bool colon;   /* hh:mm */
    bool minutes, seconds;
    size_t digits; /* of a fraction */
    char point;    /* '.' or ',' */
};
/* Cuts the next literal and element off the front; LAYOUT_END with the whole rest as literal if there is none. */
void layout_next(struct str *layout, struct layout_chunk *chunk);

#endif
