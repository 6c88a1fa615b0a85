/* Units of time. Only io/ reads a clock; everything else is given `now`.
 *
 * wall_ms   ms since the Unix epoch, UTC: samples, rule evaluation, logs.
 * mono_ms   ms of a clock that never jumps: timers, timeouts. A struct, so that the compiler keeps the two apart.
 * wire_time seconds and nanoseconds since the epoch, as protobuf's Timestamp: what peers merge by "newer wins", and
 *           what the API shows. Go's zero time (year 1) is WIRE_TIME_ZERO and means "not set". */
#ifndef TOCSIN_BASE_CLOCK_H
#define TOCSIN_BASE_CLOCK_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

typedef int64_t wall_ms;
typedef struct {
    int64_t ms;
} mono_ms;

struct wire_time {
    int64_t s;
    int32_t ns; /* 0 .. 999999999 */
};

#define MONO_NEVER     ((mono_ms){ INT64_MAX })
#define WIRE_TIME_ZERO ((struct wire_time){ -62135596800, 0 }) /* 0001-01-01T00:00:00Z, Go's zero time */

static inline bool mono_before(mono_ms a, mono_ms b)
{
    return a.ms < b.ms;
}
static inline mono_ms mono_add(mono_ms a, int64_t ms)
{
    return a.ms == INT64_MAX ? a : (mono_ms){ a.ms + ms };
}
static inline mono_ms mono_min(mono_ms a, mono_ms b)
{
    return a.ms < b.ms ? a : b;
}

static inline int wire_time_cmp(struct wire_time a, struct wire_time b)
{
    if (a.s != b.s)
        return a.s < b.s ? -1 : 1;
    return a.ns < b.ns ? -1 : a.ns > b.ns;
}
static inline bool wire_time_is_zero(struct wire_time t)
{
    return t.s == -62135596800 && t.ns == 0;
}
struct wire_time wire_time_from_ms(wall_ms t);
wall_ms wire_time_to_ms(struct wire_time t);            /* floor */
struct wire_time wire_time_add_ns(struct wire_time t, int64_t ns);
struct wire_time wire_time_add_ms(struct wire_time t, int64_t ms);
int64_t wire_time_sub_ns(struct wire_time a, struct wire_time b); /* a - b, saturating */

/* A civil date and time of day in some zone. */
struct civil {
    int64_t year;
    int month, day;           /* from 1 */
    int hour, minute, second;
    int32_t ns;
    int weekday;              /* 0 Sunday */
    int yearday;              /* from 1 */
    int32_t offset_s;         /* east of UTC */
};
void civil_from_unix(int64_t unix_s, int32_t ns, int32_t offset_s, struct civil *out);
int64_t civil_to_unix(const struct civil *c); /* uses offset_s; day and month may be out of range, as Go's Date */

/* RFC 3339 as Go parses it (fraction of any length, Z or +hh:mm, lower-case t and z refused). False if it is none. */
MUST_CHECK bool rfc3339_parse(struct str s, struct wire_time *t, int32_t *offset_s);
void rfc3339_write_ms(struct buf *b, struct wire_time t);                 /* UTC, always three decimals, Z */
void rfc3339_write_nano(struct buf *b, struct wire_time t, int32_t offset_s); /* RFC3339Nano: trailing zeros cut */

#endif
