/* Durations as text, in the two dialects the peers use.
 *
 * Prometheus's (configuration, rules, range selectors): integers with the units y w d h m s ms in falling order, each at
 * most once; "0" alone is zero. In ms. Printed with years and weeks only when nothing is left over: 90d, 2w, 1m30s, 0s.
 * Go's (flags, a few receiver fields, templates): decimals with h m s ms us µs ns in any order and a sign. In ns.
 *
 * Upstream: prometheus/common model/time.go, Go time.ParseDuration and Duration.String. Pure; any thread. */
#ifndef TOCSIN_MODEL_DURATION_H
#define TOCSIN_MODEL_DURATION_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* The longest duration that upstream's int64 of nanoseconds holds, about 292 years, in ms. */
#define DURATION_MS_MAX INT64_C(9223372036854)

/* ERR_INVALID: "empty duration string", "not a valid duration string: \"x\"", "unknown unit \"u\" in duration \"x\"",
 * "duration out of range". */
MUST_CHECK bool duration_parse(struct str text, int64_t *ms, struct err *err);
/* As duration_parse, with an optional leading '-' (rule offsets, PromQL). */
MUST_CHECK bool duration_parse_signed(struct str text, int64_t *ms, struct err *err);
void duration_write(struct buf *b, int64_t ms);

/* ERR_INVALID: "time: invalid duration \"x\"", "time: missing unit in duration \"x\"",
 * "time: unknown unit \"u\" in duration \"x\"" (quoted as Go's time package quotes). */
MUST_CHECK bool go_duration_parse(struct str text, int64_t *ns, struct err *err);
void go_duration_write(struct buf *b, int64_t ns); /* 3h30m0s, 1.5s, 100ms, 0s */

#endif
