/* Time zones: what a clock on the wall shows at a Unix time, for as many zones as a configuration names. Read from
 * TZif data (RFC 8536, versions 1 to 4): 64-bit transitions, then the footer's POSIX rule for the years after the last
 * one. Upstream: Go time.LoadLocation.
 *
 * A zone is immutable and counted; zone_utc() is static and may be retained and released like any other. "Local" is
 * the zone of the process, which app loads once (zone_load_local) and passes on; NULL stands for UTC everywhere.
 * Thread: any. */
#ifndef TOCSIN_MODEL_TIMEZONE_H
#define TOCSIN_MODEL_TIMEZONE_H

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define ZONE_DIR       "/usr/share/zoneinfo"
#define ZONE_BYTES_MAX (256 * 1024) /* the largest file of tzdata 2024 has 3.6 KB */

struct zone;

struct zone_offset {
    int32_t offset_s; /* east of UTC */
    bool dst;
    struct str abbreviation; /* "CEST", "+03"; valid as long as the zone */
};

/* The zone in these bytes; `name` is what zone_name() says. ERR_CORRUPT. */
MUST_CHECK struct zone *zone_parse(struct str name, struct str tzif, struct err *err);
/* "" and "UTC" are UTC, "Local" is `local` (NULL: UTC), anything else a file under ZONE_DIR. Names that leave the
 * directory are refused. ERR_INVALID "unknown time zone X". */
MUST_CHECK struct zone *zone_load(struct fs *fs, struct str name, struct zone *local, struct err *err);
/* The process's zone by Go's rules: tz_env is the TZ variable (tz_set false: not set, then /etc/localtime; empty or not
 * loadable: UTC). Never fails. zone_name() is "Local". */
struct zone *zone_load_local(struct fs *fs, bool tz_set, struct str tz_env);
/* A zone with one offset for all times. The name may be empty. */
struct zone *zone_fixed(struct str name, int32_t offset_s);
struct zone *zone_utc(void);

struct zone *zone_retain(struct zone *z);
void zone_release(struct zone *z); /* NULL is fine */

struct str zone_name(const struct zone *z); /* NULL: "UTC" */
void zone_at(const struct zone *z, int64_t unix_s, struct zone_offset *out);
/* The civil time in the zone. */
void zone_civil(const struct zone *z, struct wire_time t, struct civil *out);
/* Go's time.Date: c's fields (offset_s ignored, out-of-range fields carried) as a time in the zone. In a gap or an
 * overlap one of the two offsets is used, the one Go would use. */
struct wire_time zone_from_civil(const struct zone *z, const struct civil *c);
/* Offset of an abbreviation in the zone, preferring the one in force at unix_s; false if it has none of that name. */
bool zone_lookup_abbreviation(const struct zone *z, struct str abbreviation, int64_t unix_s, int32_t *offset_s);

#endif
